/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_diod_guest.c - what a guest says to a real diod, by way of devices/virtio_9p.c and
 * vmm/cli/diod.c
 *
 * diod follows names wherever they lead, so that what a guest can reach is what is in the
 * root directory that it was given.  Here a driver with a 9P client of its own looks for a
 * way out of it, and for one to keep the server, or us, from working.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/virtio_9p.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/cli/diod.h"
#include "vmm/cli/fsd.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1)
#define T_MSIZE		KIB(16)
#define T_PLACES	48		/* of requests in flight */
#define T_OUT(place)	(DRIVER_DATA + (u64)(place) * KIB(32))
#define T_IN(place)	(T_OUT(place) + KIB(16))
#define T_NOTAG		0xffff
#define T_NOFID		UINT32_MAX
#define T_SECRET	"of the host's"

enum {
	RLERROR = 7, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18, TRENAME = 20, TREADLINK = 22,
	TGETATTR = 24, TSETATTR = 26, TXATTRWALK = 30, TREADDIR = 40, TLINK = 70, TMKDIR = 72,
	TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100, TATTACH = 104, TFLUSH = 108, TWALK = 110,
	TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122,
};

struct t_rig {
	struct driver	d;
	struct fsd	fsd;
	struct t_process before;
	int		place_of[DRIVER_IDS];	/* by the id of a chain */
	bool		asked[T_PLACES];	/* and not answered */
};

static char t_dir[64];		/* what nobody may see, with a share in it */
static char t_share[96];
static char t_outside[96];

/* ---- Files of the host's --------------------------------------------------------- */

static void t_put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *t_in_share(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", t_share, name);
	return path;
}

static void t_rename(const char *from, const char *to)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", t_share, from);
	assert_int_equal(rename(path, t_in_share(to)), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int t_setup(void **state)
{
	(void)state;
	strcpy(t_dir, "/tmp/t-diod.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	snprintf(t_outside, sizeof(t_outside), "%s/outside", t_dir);
	snprintf(t_share, sizeof(t_share), "%s/share", t_dir);
	assert_int_equal(mkdir(t_share, 0755), 0);
	t_put(t_outside, T_SECRET);
	t_put(t_in_share("file"), "file");
	assert_int_equal(mkdir(t_in_share("sub"), 0755), 0);
	t_put(t_in_share("sub/outside"), "inside");
	return 0;
}

static int t_teardown(void **state)
{
	(void)state;
	return nftw(t_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (ftw->level == 1 && strcmp(path, t_share) && strcmp(path, t_outside))
		fail_msg("%s was made", path);
	return 0;
}

/* What is beside the share is what it was, and nothing was put there. */
static void t_outside_is_whole(void)
{
	char buf[32] = "";
	int fd = open(t_outside, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), strlen(T_SECRET));
	assert_string_equal(buf, T_SECRET);
	close(fd);
	assert_int_equal(nftw(t_dir, count_one, 8, FTW_PHYS), 0);
}

/* ---- The client ------------------------------------------------------------------------ */

static u8 *t_number(u8 *at, u64 val, u32 len)
{
	for (u32 i = 0; i < len; i++)
		*at++ = (u8)(val >> 8 * i);
	return at;
}

static u64 t_get(const u8 *at, u32 len)
{
	u64 val = 0;

	for (u32 i = 0; i < len; i++)
		val |= (u64)at[i] << 8 * i;
	return val;
}

static u8 *t_string(u8 *at, const char *s)
{
	const size_t len = strlen(s);

	at = t_number(at, len, 2);
	memcpy(at, s, len);
	return at + len;
}

/* Offer the message that is in @place already. */
static void t_offer(struct t_rig *rig, u32 place, u32 len)
{
	const struct driver_buf bufs[] = {
		{ T_OUT(place), len, false }, { T_IN(place), T_MSIZE, true },
	};

	assert_false(rig->asked[place]);
	memset(driver_at(&rig->d.q[0], T_IN(place)), 0, 64);
	rig->place_of[driver_add(&rig->d.q[0], bufs, 2)] = (int)place;
	rig->asked[place] = true;
	driver_kick(&rig->d, 0);
}

/* A request of @format: 1, 2, 4 and 8 are numbers of so many bytes, s is a string. */
static void t_vpost(struct t_rig *rig, u32 place, u8 type, u16 tag, const char *format, va_list ap)
{
	u8 *msg = driver_at(&rig->d.q[0], T_OUT(place));
	u8 *at = msg + 7;

	for (; *format; format++) {
		if (*format == 's')
			at = t_string(at, va_arg(ap, const char *));
		else if (*format == '8')
			at = t_number(at, va_arg(ap, u64), 8);
		else
			at = t_number(at, va_arg(ap, unsigned int), (u32)(*format - '0'));
		assert_true(at < msg + KIB(12));
	}
	t_number(msg, (u64)(at - msg), 4);
	t_number(msg + 4, type, 1);
	t_number(msg + 5, tag, 2);
	t_offer(rig, place, (u32)(at - msg));
}

static void t_post(struct t_rig *rig, u32 place, u8 type, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t_vpost(rig, place, type, (u16)(100 + place), format, ap);
	va_end(ap);
}

static bool t_answered(struct t_rig *rig, u32 place)
{
	u32 head;
	u32 len;

	driver_turn(&rig->d);
	while (driver_used(&rig->d.q[0], &head, &len))
		rig->asked[rig->place_of[head]] = false;
	return !rig->asked[place];
}

static const u8 *t_reply(struct t_rig *rig, u32 place)
{
	return driver_at(&rig->d.q[0], T_IN(place));
}

/* 0 or an errno; nothing else is a reply. */
static int t_result(struct t_rig *rig, u32 place, u8 type)
{
	const u8 *reply = t_reply(rig, place);

	if (reply[4] == RLERROR)
		return (int)t_get(reply + 7, 4);
	assert_int_equal(reply[4], type + 1);
	return 0;
}

/* Ask, and wait for the answer, which is in place 0. */
static int t_ask(struct t_rig *rig, u8 type, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t_vpost(rig, 0, type, type == TVERSION ? T_NOTAG : 1, format, ap);
	va_end(ap);
	t_until(t_answered(rig, 0));
	return t_result(rig, 0, type);
}

/* Fid 0 is the share from here on. */
static void t_session(struct t_rig *rig)
{
	assert_int_equal(t_ask(rig, TVERSION, "4s", (u32)T_MSIZE, "9P2000.L"), 0);
	assert_int_equal(t_ask(rig, TATTACH, "44ss4", 0, T_NOFID, "nobody", "/", T_NOFID), 0);
}

static int t_walk(struct t_rig *rig, u32 fid, const char *name)
{
	return t_ask(rig, TWALK, "442s", 0, fid, 1, name);
}

static void t_clunk(struct t_rig *rig, u32 fid)
{
	t_ask(rig, TCLUNK, "4", fid);
}

/* ---- The server ------------------------------------------------------------------------- */

/* Some hosts have no diod, or refuse namespaces to whoever we are. */
static void t_need_diod(void)
{
	if (access("/usr/sbin/diod", X_OK)) {
		print_message("skipped: there is no /usr/sbin/diod\n");
		skip();
	}
	t_need_namespaces();
}

static int t_serve(struct t_rig *rig)
{
	struct vmm_error err;
	int fd = fsd_start(&rig->fsd, &err);

	assert_true(fd >= 0);
	return fd;
}

static void t_open(struct t_rig *rig)
{
	const struct fs_option opt = {
		.dir = t_share, .dir_len = (int)strlen(t_share), .tag = "tag", .tag_len = 3, .p9 = true,
	};
	struct virtio_9p_params params = { .tag = "tag" };
	struct vmm_error err;
	struct virtio *dev;

	t_need_diod();
	memset(rig, 0, sizeof(*rig));
	t_process_save(&rig->before);
	fsd_clear(&rig->fsd);
	assert_int_equal(fsd_open(&rig->fsd, &opt, &err), 0);
	params.aname = diod_aname(&rig->fsd);
	params.uname = rig->fsd.user;
	params.fd = t_serve(rig);
	driver_open(&rig->d, 1);
	assert_int_equal(virtio_9p_create(&dev, &rig->d.env, 0, &params, &err), 0);
	close(params.fd);
	driver_attach(&rig->d, dev);
	driver_start(&rig->d, T_WANTED);
	t_session(rig);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	fsd_close(&rig->fsd);
	t_process_check(&rig->before);
	t_outside_is_whole();
}

/* Another one takes its place. */
static void t_again(struct t_rig *rig)
{
	struct vmm_error err;
	int fd;

	fsd_stop(&rig->fsd);
	fd = t_serve(rig);
	assert_int_equal(virtio_9p_replace(rig->d.dev, fd, &err), 0);
	close(fd);
	driver_turn(&rig->d);
	t_session(rig);
}

/* ---- Ways out ------------------------------------------------------------------------------ */

/* Whatever a fid is of, it is not the secret, and cannot be made one's own. */
static void t_look(struct t_rig *rig, u32 fid)
{
	const u8 *data = t_reply(rig, 0) + 11;

	if (!t_ask(rig, TLOPEN, "44", fid, 0) && !t_ask(rig, TREAD, "484", fid, (u64)0, 100))
		assert_null(memmem(data, 100, T_SECRET, strlen(T_SECRET)));
	t_clunk(rig, fid);
}

static void t_look_for(struct t_rig *rig, const char *name)
{
	if (!t_walk(rig, 1, name))
		t_look(rig, 1);
	/* By way of a directory, and of two. */
	if (!t_ask(rig, TWALK, "442ss", 0, 1, 2, "sub", name))
		t_look(rig, 1);
	if (!t_ask(rig, TWALK, "442sss", 0, 1, 3, "..", "..", name))
		t_look(rig, 1);
	/* And from a fid that is there already. */
	if (!t_walk(rig, 2, "..")) {
		if (!t_ask(rig, TWALK, "442s", 2, 1, 1, name))
			t_look(rig, 1);
		t_clunk(rig, 2);
	}
}

static void test_dots_lead_nowhere(void **state)
{
	static const char *const names[] = {
		"outside", "..", "../outside", "../../outside", "/../outside", "sub/../../outside", "./../outside",
		"/proc/self/root", "/proc/1/root", "../proc/self/cwd", "/etc/shadow", "../etc/shadow", "", ".", "/",
	};
	struct t_rig rig;
	char deep[512];

	(void)state;
	t_open(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		t_look_for(&rig, names[i]);
	t_look_for(&rig, t_outside);
	snprintf(deep, sizeof(deep), "../../../../../../../../..%s", t_outside);
	t_look_for(&rig, deep);
	/* Nothing of the host's is changed by such a name either. */
	snprintf(deep, sizeof(deep), "..%s/made", t_dir);
	for (u32 n = 0; n < 2; n++) {
		const char *name = n ? deep : "../made";

		t_ask(&rig, TMKDIR, "4s44", 0, name, 0755, 0);
		t_ask(&rig, TSYMLINK, "4ss4", 0, name, "x", 0);
		t_ask(&rig, TMKNOD, "4s4444", 0, name, S_IFIFO | 0644, 0, 0, 0);
		if (!t_walk(&rig, 1, "."))
			t_ask(&rig, TLCREATE, "4s444", 1, name, O_RDWR, 0644, 0);
		t_clunk(&rig, 1);
		if (!t_walk(&rig, 1, "file")) {
			t_ask(&rig, TLINK, "44s", 0, 1, name);
			t_ask(&rig, TRENAME, "44s", 1, 0, name);
			t_clunk(&rig, 1);
		}
		t_ask(&rig, TRENAMEAT, "4s4s", 0, "file", 0, name);
		t_outside_is_whole();
	}
	t_ask(&rig, TUNLINKAT, "4s4", 0, "../outside", 0);
	t_ask(&rig, TUNLINKAT, "4s4", 0, t_outside, 0);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_links_lead_nowhere(void **state)
{
	struct t_rig rig;
	char deep[512];
	const char *const targets[] = {
		"../outside", t_outside, deep, "/proc/self/root", "..", t_dir, "/etc/shadow", "/dev/null", "l",
	};

	(void)state;
	t_open(&rig);
	snprintf(deep, sizeof(deep), "sub/../../../../../../../..%s", t_outside);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		assert_int_equal(t_ask(&rig, TSYMLINK, "4ss4", 0, "l", targets[i], 0), 0);
		t_look_for(&rig, "l");
		t_look_for(&rig, "l/outside");
		if (!t_ask(&rig, TWALK, "442ss", 0, 1, 2, "l", "outside"))
			t_look(&rig, 1);
		/* Cut it off, if it can be opened so, and write to it. */
		if (!t_walk(&rig, 1, "l")) {
			t_ask(&rig, TSETATTR, "4444488888", 1, 0x9, 0777, 0, 0, (u64)0, (u64)0, (u64)0, (u64)0,
			      (u64)0);
			if (!t_ask(&rig, TLOPEN, "44", 1, O_RDWR | O_TRUNC))
				t_ask(&rig, TWRITE, "4841", 1, (u64)0, 1, 'x');
			t_clunk(&rig, 1);
		}
		t_outside_is_whole();
		assert_int_equal(unlink(t_in_share("l")), 0);
	}
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* What was a directory when it was walked is a way out of it when it is opened, and back. */
static void test_swaps_lead_nowhere(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_rename("sub", "real");
	assert_int_equal(symlink(t_dir, t_in_share("out")), 0);
	for (u32 n = 0; n < 100; n++) {
		const char *first = n % 2 ? "out" : "real";
		const char *then = n % 2 ? "real" : "out";

		t_rename(first, "d");
		assert_int_equal(t_ask(&rig, TWALK, "442s", 0, 2, 1, "d"), 0);
		if (!t_ask(&rig, TWALK, "442ss", 0, 1, 2, "d", "outside")) {
			t_rename("d", first);
			t_rename(then, "d");
			t_look(&rig, 1);
			t_rename("d", then);
			t_rename(first, "d");
		}
		t_rename("d", first);
		t_rename(then, "d");
		if (!t_ask(&rig, TWALK, "442s", 2, 1, 1, "outside"))
			t_look(&rig, 1);
		t_clunk(&rig, 2);
		t_rename("d", then);
	}
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* A disk or a terminal of the host's, made by the guest or there before. */
static void test_devices_cannot_be_opened(void **state)
{
	static const struct {
		u32	mode;
		u32	major;
		u32	minor;
	} rows[] = { { S_IFCHR, 1, 3 }, { S_IFCHR, 1, 1 }, { S_IFCHR, 5, 0 }, { S_IFBLK, 7, 0 }, { S_IFBLK, 8, 0 } };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows) * 2; i++) {
		const u32 major = rows[i / 2].major;
		const u32 minor = rows[i / 2].minor;
		const u32 mode = rows[i / 2].mode | 0666;

		if (i % 2)
			t_ask(&rig, TMKNOD, "4s4444", 0, "node", mode, major, minor, 0);
		else if (mknod(t_in_share("node"), mode, makedev(major, minor)))
			continue;
		if (!t_walk(&rig, 1, "node")) {
			for (int flags = O_RDONLY; flags <= O_RDWR; flags++)
				assert_int_not_equal(t_ask(&rig, TLOPEN, "44", 1, flags), 0);
			t_clunk(&rig, 1);
		}
		unlink(t_in_share("node"));
	}
	t_close(&rig);
}

/* ---- Ways to get stuck ------------------------------------------------------------------------ */

/*
 * Who opens one end of a pipe waits for the other.  Few of those keep nobody else from being
 * served; with more than the server has threads it serves nobody any more, which is its
 * guest's doing, and neither we nor its end wait for it.
 */
static void test_pipes_block_nobody_else(void **state)
{
	struct pollfd p = { .events = POLLIN };
	struct t_process before;
	struct t_rig rig;
	char how[32];
	u64 begun;

	(void)state;
	t_open(&rig);
	t_process_save(&before);
	assert_int_equal(t_ask(&rig, TMKNOD, "4s4444", 0, "pipe", S_IFIFO | 0644, 0, 0, 0), 0);
	for (u32 i = 1; i < T_PLACES; i++)
		assert_int_equal(t_walk(&rig, i, "pipe"), 0);
	for (u32 i = 1; i < 8; i++)
		t_post(&rig, i, TLOPEN, "44", i, 0);
	for (u32 n = 0; n < 50; n++) {
		assert_int_equal(t_walk(&rig, 1000, "file"), 0);
		t_look(&rig, 1000);
	}
	for (u32 i = 1; i < 8; i++)
		assert_false(t_answered(&rig, i));
	for (u32 i = 8; i < T_PLACES; i++)
		t_post(&rig, i, TLOPEN, "44", i, 0);
	t_sleep_ms(100);
	t_process_check(&before);
	begun = t_now_ms();
	driver_status(&rig.d, 0);
	t_until((driver_turn(&rig.d), !driver_status(&rig.d, -1)));
	assert_true(t_now_ms() < begun + 1000);
	driver_start(&rig.d, T_WANTED);
	memset(rig.asked, 0, sizeof(rig.asked));
	/* With its connection it is to end. */
	p.fd = rig.fsd.gone_fd;
	assert_int_equal(poll(&p, 1, T_TIMEOUT_MS), 1);
	fsd_gone(&rig.fsd);
	t_until((fsd_hurry(&rig.fsd), fsd_ended(&rig.fsd, how, sizeof(how))));
	assert_string_equal(how, "SIGKILL");
	/* And all is well with another. */
	t_again(&rig);
	assert_int_equal(t_walk(&rig, 1, "file"), 0);
	t_look(&rig, 1);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* ---- Requests that make no sense ---------------------------------------------------------------- */

/* It ends, if it must; then we say so, and go on with another. */
static void t_still_there(struct t_rig *rig)
{
	if (rig->d.nr_broken) {
		print_message("diod has ended: %s\n", rig->d.why);
		rig->d.nr_broken = 0;
		t_again(rig);
	}
	assert_int_equal(t_walk(rig, 900, "file"), 0);
	t_look(rig, 900);
}

static void test_counts_that_lie(void **state)
{
	static const u32 counts[] = { 0, 1, T_MSIZE - 11, T_MSIZE, T_MSIZE + 1, 0x7fffffff, 0x80000000, UINT32_MAX };
	static const u64 offsets[] = { 0, 1, INT64_MAX, 1ull << 63, UINT64_MAX };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_int_equal(t_walk(&rig, 1, "file"), 0);
	assert_int_equal(t_ask(&rig, TLOPEN, "44", 1, O_RDWR), 0);
	assert_int_equal(t_walk(&rig, 2, "sub"), 0);
	assert_int_equal(t_ask(&rig, TLOPEN, "44", 2, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(counts) * ARRAY_SIZE(offsets); i++) {
		const u32 count = counts[i / ARRAY_SIZE(offsets)];
		const u64 offset = offsets[i % ARRAY_SIZE(offsets)];

		t_ask(&rig, TREAD, "484", 1, offset, count);
		t_ask(&rig, TREADDIR, "484", 2, offset, count);
		t_ask(&rig, TWRITE, "484s", 1, offset, count, "x");
		t_ask(&rig, TREAD, "484", 2, offset, count);
		t_ask(&rig, TXATTRWALK, "44s", 0, 3, "user.none");
		t_clunk(&rig, 3);
	}
	for (u32 nr = 0; nr < 0x10000; nr = nr < 20 ? nr + 1 : nr * 2 + 1) {
		t_ask(&rig, TWALK, "442s", 0, 4, nr, "sub");
		t_clunk(&rig, 4);
	}
	t_still_there(&rig);
	t_close(&rig);
}

static void test_names_that_are_huge(void **state)
{
	char name[9000];
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (u32 len = 250; len < sizeof(name); len = len < 260 ? len + 1 : len * 2) {
		memset(name, 'n', len);
		name[len] = '\0';
		t_walk(&rig, 1, name);
		t_clunk(&rig, 1);
		t_ask(&rig, TMKDIR, "4s44", 0, name, 0755, 0);
		t_ask(&rig, TSYMLINK, "4ss4", 0, "l", name, 0);
		if (!t_walk(&rig, 1, "l"))
			t_ask(&rig, TREADLINK, "4", 1);
		t_clunk(&rig, 1);
		t_ask(&rig, TUNLINKAT, "4s4", 0, "l", 0);
		t_ask(&rig, TXATTRWALK, "44s", 0, 1, name);
		t_clunk(&rig, 1);
	}
	/* Deeper and deeper, by a fid of each. */
	memset(name, 'd', 200);
	name[200] = '\0';
	assert_int_equal(t_walk(&rig, 1, "."), 0);
	for (u32 n = 0; n < 40; n++) {
		t_ask(&rig, TMKDIR, "4s44", 1 + n, name, 0755, 0);
		if (t_ask(&rig, TWALK, "442s", 1 + n, 2 + n, 1, name))
			break;
	}
	t_still_there(&rig);
	t_close(&rig);
}

static void test_fids_are_used_again(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	/* Those that are, those that are not, and what was open is something else. */
	t_ask(&rig, TATTACH, "44ss4", 0, T_NOFID, "root", "/etc", 0);
	t_ask(&rig, TATTACH, "44ss4", 1, 0, "root", "/etc", 0);
	t_clunk(&rig, 1);
	assert_int_equal(t_walk(&rig, 1, "file"), 0);
	t_walk(&rig, 1, "sub");
	t_ask(&rig, TREAD, "484", 1, (u64)0, 10);
	t_clunk(&rig, 1);
	assert_int_equal(t_walk(&rig, 1, "file"), 0);
	assert_int_equal(t_ask(&rig, TLOPEN, "44", 1, 0), 0);
	t_ask(&rig, TLOPEN, "44", 1, O_RDWR);
	t_ask(&rig, TWALK, "442s", 1, 2, 1, "..");
	t_ask(&rig, TWALK, "442", 1, 1, 0);
	t_ask(&rig, TREADDIR, "484", 1, (u64)0, 100);
	t_ask(&rig, TWRITE, "4841", 1, (u64)0, 1, 'x');
	t_ask(&rig, TREMOVE, "4", 1);
	t_ask(&rig, TREAD, "484", 1, (u64)0, 10);
	for (u32 n = 0; n < 3; n++)
		assert_int_not_equal(t_ask(&rig, TCLUNK, "4", 1), 0);
	t_ask(&rig, TGETATTR, "48", T_NOFID, UINT64_MAX);
	t_ask(&rig, TFLUSH, "2", 1);
	t_put(t_in_share("file"), "file");
	t_still_there(&rig);
	/* A session in a session, and fids of the one before. */
	assert_int_equal(t_walk(&rig, 1, "file"), 0);
	t_session(&rig);
	t_ask(&rig, TGETATTR, "48", 1, (u64)0x7ff);
	t_clunk(&rig, 1);
	assert_int_equal(t_ask(&rig, TVERSION, "4s", 0, "9P2000.L"), EINVAL);
	t_session(&rig);
	t_still_there(&rig);
	t_close(&rig);
}

static const struct t_shape {
	u8		type;
	const char	*format;
} t_shapes[] = {
	{ 8, "4" }, { TLOPEN, "44" }, { TLCREATE, "4s444" }, { TSYMLINK, "4ss4" }, { TMKNOD, "4s4444" },
	{ TRENAME, "44s" }, { TREADLINK, "4" }, { TGETATTR, "48" }, { TSETATTR, "4444488888" },
	{ TXATTRWALK, "44s" }, { 32, "4s84" }, { TREADDIR, "484" }, { 50, "44" }, { 52, "414884s" },
	{ 54, "41884s" }, { TLINK, "44s" }, { TMKDIR, "4s44" }, { TRENAMEAT, "4s4s" },
	{ TUNLINKAT, "4s4" }, { 102, "4ss4" }, { TFLUSH, "2" }, { TWALK, "442s" }, { TREAD, "484" },
	{ TWRITE, "4841" }, { TCLUNK, "4" }, { TREMOVE, "4" },
};

/* A message of that shape with any numbers in it; its length. */
static u32 t_compose(u8 *msg, const struct t_shape *shape, u32 *x)
{
	static const u64 numbers[] = { 0, 1, 2, 3, 4, 5, 0x7ff, T_MSIZE, 1u << 31, INT64_MAX, UINT64_MAX };
	static const char *const names[] = { "file", "sub", "..", "", "l", "a/b", "new", "user.x" };
	u8 *at = msg + 7;

	for (const char *f = shape->format; *f; f++) {
		*x = *x * 1664525 + 1013904223;
		if (*f == 's')
			at = t_string(at, names[*x >> 20 & 7]);
		else
			/* Fids more often than not. */
			at = t_number(at, numbers[*x >> 28 > 3 ? *x >> 20 & 3 : (*x >> 16) % ARRAY_SIZE(numbers)],
				      (u32)(*f - '0'));
	}
	return (u32)(at - msg);
}

static void t_send(struct t_rig *rig, u8 type, u32 len)
{
	u8 *msg = driver_at(&rig->d.q[0], T_OUT(0));

	t_number(msg, len, 4);
	t_number(msg + 4, type, 1);
	t_number(msg + 5, 1, 2);
	t_offer(rig, 0, len);
	t_until(t_answered(rig, 0));
}

static void test_well_formed_noise(void **state)
{
	struct t_rig rig;
	u32 x = 1;

	(void)state;
	t_open(&rig);
	for (u32 n = 0; n < 2000; n++) {
		const struct t_shape *shape = &t_shapes[n % ARRAY_SIZE(t_shapes)];

		t_send(&rig, shape->type, t_compose(driver_at(&rig.d.q[0], T_OUT(0)), shape, &x));
		if (rig.d.nr_broken)
			t_again(&rig);
		rig.d.nr_broken = 0;
	}
	t_outside_is_whole();
	t_put(t_in_share("file"), "file");
	t_again(&rig);
	t_still_there(&rig);
	t_close(&rig);
}

/* Each a byte too short, then too long, and those that there are not: it may end of them. */
static void test_messages_of_the_wrong_length(void **state)
{
	struct t_rig rig;
	u32 x = 1;

	(void)state;
	t_open(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(t_shapes); i++) {
		for (u32 n = 0; n < 2; n++) {
			const u32 len = t_compose(driver_at(&rig.d.q[0], T_OUT(0)), &t_shapes[i], &x);

			t_send(&rig, t_shapes[i].type, n ? len + 1 : len - 1);
			if (rig.d.nr_broken)
				t_again(&rig);
			rig.d.nr_broken = 0;
		}
	}
	t_send(&rig, 0, 7);
	t_put(t_in_share("file"), "file");
	t_again(&rig);
	t_still_there(&rig);
	t_close(&rig);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_dots_lead_nowhere),
		TEST(test_links_lead_nowhere),
		TEST(test_swaps_lead_nowhere),
		TEST(test_devices_cannot_be_opened),
		TEST(test_pipes_block_nobody_else),
		TEST(test_counts_that_lie),
		TEST(test_names_that_are_huge),
		TEST(test_fids_are_used_again),
		TEST(test_well_formed_noise),
		TEST(test_messages_of_the_wrong_length),
	};

	/* Whose chains in flight stay apart from the next. */
	driver_packed = true;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
