/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_9p.c - devices/virtio_9p.c and vmm_add_9p(), with a server of the test's own,
 * which keeps to the protocol or does not
 */
#include <errno.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio_9p.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/vm.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define T_OUT(i)	(DRIVER_DATA + (u64)(i) * KIB(16))
#define T_IN(i)		(DRIVER_DATA + MIB(1) + (u64)(i) * KIB(16))
#define T_NOTAG		0xffff

enum { RLERROR = 7, TGETATTR = 24, TVERSION = 100, TATTACH = 104, TFLUSH = 108, TREAD = 116 };

struct t_rig {
	struct driver	d;
	int		peer;
	u32		next;	/* place of a request */
};

/* A message as it is on the wire. */
struct t_msg {
	u32	size;
	u8	type;
	u16	tag;
	u8	body[512];
} __attribute__((packed));

static int t_pair(int *peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*peer = fds[1];
	return fds[0];
}

static void t_open_as(struct t_rig *r, const char *aname, const char *uname)
{
	struct virtio_9p_params params = { .tag = "share", .aname = aname, .uname = uname };
	struct vmm_error err;
	struct virtio *dev;

	*r = (struct t_rig){ .next = 0 };
	driver_open(&r->d, 1);
	params.fd = t_pair(&r->peer);
	assert_int_equal(virtio_9p_create(&dev, &r->d.env, 3, &params, &err), 0);
	close(params.fd);
	driver_attach(&r->d, dev);
	driver_start(&r->d, T_WANTED);
}

static void t_open(struct t_rig *r, const char *aname)
{
	t_open_as(r, aname, "");
}

static void t_close(struct t_rig *r)
{
	driver_close(&r->d);
	if (r->peer >= 0)
		close(r->peer);
}

/* ---- The guest -------------------------------------------------------------- */

/* Offer a request that says to have @size bytes, and has @out; @in for the reply.  Its place. */
static u32 t_request(struct t_rig *r, const struct t_msg *msg, u32 out, u32 in)
{
	const u32 i = r->next++ % 60;
	const struct driver_buf bufs[] = {
		{ T_OUT(i), out < 7 ? out : 7, false }, { T_OUT(i) + 7, out - 7, false }, { T_IN(i), in, true },
	};

	memcpy(driver_at(&r->d.q[0], T_OUT(i)), msg, out < sizeof(*msg) ? out : sizeof(*msg));
	memset(driver_at(&r->d.q[0], T_IN(i)), 0xee, KIB(16));
	if (out <= 7)
		driver_add(&r->d.q[0], (const struct driver_buf[]){ bufs[0], bufs[2] }, in ? 2 : 1);
	else
		driver_add(&r->d.q[0], bufs, in ? 3 : 2);
	driver_kick(&r->d, 0);
	return i;
}

static struct t_msg t_msg(u8 type, u16 tag, const void *body, size_t len)
{
	struct t_msg m = { .size = (u32)(7 + len), .type = type, .tag = tag };

	memcpy(m.body, body, len);
	return m;
}

static u32 t_ask(struct t_rig *r, u8 type, u16 tag, const void *body, size_t len)
{
	const struct t_msg m = t_msg(type, tag, body, len);

	return t_request(r, &m, m.size, 512);
}

static const struct t_msg *t_reply(struct t_rig *r, u32 i)
{
	return driver_at(&r->d.q[0], T_IN(i));
}

/* The next chain given back, and how many bytes it has. */
static u32 t_used(struct t_rig *r)
{
	u32 head;
	u32 len;

	t_until((driver_turn(&r->d), driver_used(&r->d.q[0], &head, &len)));
	return len;
}

static bool t_none_used(struct t_rig *r)
{
	u32 head;
	u32 len;

	driver_turn(&r->d);
	return !driver_used(&r->d.q[0], &head, &len);
}

static void t_is_error(struct t_rig *r, u32 i, u16 tag, u32 error)
{
	u32 ecode;

	assert_int_equal(t_reply(r, i)->size, 11);
	assert_int_equal(t_reply(r, i)->type, RLERROR);
	assert_int_equal(t_reply(r, i)->tag, tag);
	memcpy(&ecode, t_reply(r, i)->body, 4);
	assert_int_equal(ecode, error);
}

/* The next chain has been answered with an error, which is in place @i. */
static void t_refused(struct t_rig *r, u32 i, u16 tag, u32 error)
{
	assert_int_equal(t_used(r), 11);
	t_is_error(r, i, tag, error);
}

/* ---- The server ------------------------------------------------------------------ */

static void t_hear(struct t_rig *r, struct t_msg *m)
{
	driver_turn(&r->d);
	assert_int_equal(recv(r->peer, m, 7, MSG_WAITALL), 7);
	assert_true(m->size >= 7 && m->size <= sizeof(*m));
	if (m->size > 7)
		assert_int_equal(recv(r->peer, m->body, m->size - 7, MSG_WAITALL), m->size - 7);
}

static bool t_hears_nothing(struct t_rig *r)
{
	char c;

	driver_turn(&r->d);
	return recv(r->peer, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void t_say(struct t_rig *r, u8 type, u16 tag, const void *body, size_t len)
{
	const struct t_msg m = t_msg(type, tag, body, len);

	assert_int_equal(send(r->peer, &m, m.size, MSG_NOSIGNAL), m.size);
	driver_turn(&r->d);
}

static const u8 t_version[] = "\x00\x20\x00\x00\x08\x00" "9P2000.L";	/* of 8 KiB */
#define T_VERSION_LEN	(sizeof(t_version) - 1)

static void t_session(struct t_rig *r)
{
	struct t_msg m;

	t_ask(r, TVERSION, T_NOTAG, t_version, T_VERSION_LEN);
	t_hear(r, &m);
	assert_int_equal(m.type, TVERSION);
	assert_int_equal(m.tag, T_NOTAG);
	t_say(r, TVERSION + 1, T_NOTAG, t_version, T_VERSION_LEN);
	assert_int_equal(t_used(r), 7 + T_VERSION_LEN);
}

static void t_gone(struct t_rig *r, const char *why)
{
	t_until((driver_turn(&r->d), r->d.nr_broken == 1));
	assert_non_null(strstr(r->d.why, why));
	assert_false(driver_status(&r->d, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void t_replace(struct t_rig *r)
{
	const int old = r->peer;
	struct vmm_error err;
	int fd = t_pair(&r->peer);

	assert_int_equal(virtio_9p_replace(r->d.dev, fd, &err), 0);
	close(fd);
	driver_turn(&r->d);
	if (old >= 0)
		close(old);
}

/* ---- What is right ----------------------------------------------------------------- */

static void test_tells_its_tag(void **state)
{
	struct t_rig r;
	u8 config[8];

	(void)state;
	t_open(&r, "");
	assert_int_equal(r.d.dev->ops->id, VIRTIO_ID_9P);
	assert_true(r.d.dev->offered & 1ull << VIRTIO_9P_MOUNT_TAG);
	virtio_config_read(r.d.dev, 0, config, sizeof(config));
	assert_memory_equal(config, "\5\0share\0", 8);
	t_close(&r);
}

static void test_hands_messages_on(void **state)
{
	struct t_rig r;
	struct t_msg m;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	i = t_ask(&r, TGETATTR, 5, "abc", 3);
	t_hear(&r, &m);
	assert_int_equal(m.size, 10);
	assert_int_equal(m.type, TGETATTR);
	assert_int_equal(m.tag, 5);
	assert_memory_equal(m.body, "abc", 3);
	assert_true(t_none_used(&r));
	t_say(&r, TGETATTR + 1, 5, "answer", 6);
	assert_int_equal(t_used(&r), 13);
	assert_memory_equal(t_reply(&r, i)->body, "answer\xee", 7);
	t_close(&r);
}

static void test_replies_come_in_any_order(void **state)
{
	struct t_rig r;
	struct t_msg m;
	u32 i[3];

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (u16 tag = 0; tag < 3; tag++)
		i[tag] = t_ask(&r, TREAD, tag, "", 0);
	for (u16 tag = 0; tag < 3; tag++)
		t_hear(&r, &m);
	for (u16 tag = 3; tag--;) {
		const u8 body = (u8)('a' + tag);

		t_say(&r, TREAD + 1, tag, &body, 1);
		assert_int_equal(t_used(&r), 8);
	}
	for (u16 tag = 0; tag < 3; tag++)
		assert_int_equal(t_reply(&r, i[tag])->body[0], 'a' + tag);
	t_close(&r);
}

static void test_a_reply_in_pieces(void **state)
{
	const struct t_msg m = { .size = 12, .type = TREAD + 1, .tag = 1, .body = "whole" };
	struct t_rig r;
	struct t_msg heard;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	i = t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &heard);
	for (u32 n = 0; n < m.size; n++) {
		assert_true(t_none_used(&r));
		assert_int_equal(send(r.peer, (const u8 *)&m + n, 1, 0), 1);
	}
	assert_int_equal(t_used(&r), 12);
	assert_memory_equal(t_reply(&r, i)->body, "whole", 5);
	t_close(&r);
}

/* More than the socket takes: the rest waits, and what is behind it. */
static void test_a_server_that_reads_slowly(void **state)
{
	struct t_msg m = { .size = KIB(8), .type = 118, .body = "x" };
	struct t_rig r;
	u64 got = 0;
	u32 n;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (m.tag = 0; m.tag < 50; m.tag++)
		t_request(&r, &m, KIB(8), 11);
	while (got < 50 * KIB(8)) {
		u8 buf[KIB(4)];
		ssize_t len;

		driver_turn(&r.d);
		len = recv(r.peer, buf, sizeof(buf), MSG_DONTWAIT);
		if (len > 0)
			got += (u64)len;
		else
			assert_int_equal(errno, EAGAIN);
	}
	assert_true(t_hears_nothing(&r));
	for (n = 0; n < 50; n++) {
		t_say(&r, 119, (u16)n, "\0\0\0", 4);
		assert_int_equal(t_used(&r), 11);
	}
	t_close(&r);
}

static void test_names_what_is_attached_to(void **state)
{
	static const u8 body[] = "\1\0\0\0\xff\xff\xff\xff\6\0nobody\4\0/etc\xff\xff\xff\xff";
	static const u8 want[] = "\1\0\0\0\xff\xff\xff\xff\6\0nobody\7\0/export\xff\xff\xff\xff";
	static const u8 numbered[] = "\1\0\0\0\xff\xff\xff\xff\0\0\4\0/etc\xe8\3\0\0";
	static const u8 as_root[] = "\1\0\0\0\xff\xff\xff\xff\4\0root\7\0/export\xff\xff\xff\xff";
	struct t_rig r;
	struct t_msg m;

	(void)state;
	t_open(&r, "/export");
	t_session(&r);
	t_ask(&r, TATTACH, 1, body, sizeof(body) - 1);
	t_hear(&r, &m);
	assert_int_equal(m.size, 7 + sizeof(want) - 1);
	assert_memory_equal(m.body, want, sizeof(want) - 1);
	t_close(&r);
	t_open_as(&r, "/export", "root");
	t_session(&r);
	t_ask(&r, TATTACH, 1, numbered, sizeof(numbered) - 1);
	t_hear(&r, &m);
	assert_int_equal(m.size, 7 + sizeof(as_root) - 1);
	assert_memory_equal(m.body, as_root, sizeof(as_root) - 1);
	t_close(&r);
	t_open(&r, "");
	t_session(&r);
	t_ask(&r, TATTACH, 1, body, sizeof(body) - 1);
	t_hear(&r, &m);
	assert_memory_equal(m.body, body, sizeof(body) - 1);
	t_close(&r);
}

/* What was flushed is given back, empty, before the guest hears that it is flushed. */
static void test_flushed_request_is_given_back(void **state)
{
	struct t_rig r;
	struct t_msg m;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	i = t_ask(&r, TREAD, 1, "", 0);
	t_ask(&r, TFLUSH, 2, "\1", 2);
	t_hear(&r, &m);
	t_hear(&r, &m);
	assert_int_equal(m.type, TFLUSH);
	t_say(&r, TFLUSH + 1, 2, "", 0);
	assert_int_equal(t_used(&r), 0);
	assert_int_equal(t_reply(&r, i)->type, 0xee);
	assert_int_equal(t_used(&r), 7);
	/* The tag may be had again. */
	i = t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &m);
	t_say(&r, TREAD + 1, 1, "x", 1);
	assert_int_equal(t_used(&r), 8);
	/* And it was too late for that one; one flushes itself. */
	t_ask(&r, TFLUSH, 2, "\1", 2);
	t_ask(&r, TFLUSH, 3, "\3", 2);
	t_say(&r, TFLUSH + 1, 2, "", 0);
	t_say(&r, TFLUSH + 1, 3, "", 0);
	assert_int_equal(t_used(&r), 7);
	assert_int_equal(t_used(&r), 7);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* ---- A guest that lies ----------------------------------------------------------------- */

/* HOSTILE: sizes, and requests out of place. */
static void test_refuses_what_is_no_message(void **state)
{
	const struct {
		struct t_msg	msg;
		u32		out;
		u32		error;
	} rows[] = {
		{ { .size = 0, .tag = 1 }, 20, EINVAL },
		{ { .size = 3, .tag = 1 }, 20, EINVAL },
		{ { .size = 6, .tag = 1 }, 20, EINVAL },
		{ { .size = 21, .tag = 1 }, 20, EINVAL },
		{ { .size = 0x80000007, .tag = 1 }, 20, EINVAL },
		{ { .size = UINT32_MAX, .tag = 1 }, 20, EINVAL },
		{ { .size = KIB(8) + 1, .tag = 1 }, KIB(8) + 1, EMSGSIZE },
		{ { .size = 8, .type = TFLUSH, .tag = 1 }, 8, EINVAL },
		{ { .size = 7, .type = TFLUSH, .tag = 1 }, 7, EINVAL },
		{ { .size = 10, .type = TFLUSH, .tag = 1 }, 10, EINVAL },
		{ { .size = 7, .type = TATTACH, .tag = 1 }, 7, EINVAL },
		{ { .size = 7, .type = TVERSION, .tag = 1 }, 7, EINVAL },
	};
	struct t_rig r;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++)
		t_refused(&r, t_request(&r, &rows[n].msg, rows[n].out, 512), 1, rows[n].error);
	assert_true(t_hears_nothing(&r));
	/* Nor a header that is cut short; its tag reads as far as it was there. */
	t_refused(&r, t_request(&r, &(struct t_msg){ .size = 7, .tag = 1 }, 4, 512), 0, EINVAL);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* HOSTILE: what a chain has behind its message is not for the server. */
static void test_message_ends_where_it_says(void **state)
{
	const struct t_msg m = { .size = 9, .type = TREAD, .tag = 1, .body = "abcdefgh" };
	struct t_rig r;
	struct t_msg heard;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (u32 out = 9; out < 15; out++) {
		t_request(&r, &m, out, 512);
		t_hear(&r, &heard);
		assert_int_equal(heard.size, 9);
		assert_memory_equal(heard.body, "ab", 2);
		assert_true(t_hears_nothing(&r));
		t_say(&r, TREAD + 1, 1, "", 0);
		assert_int_equal(t_used(&r), 7);
	}
	t_close(&r);
}

/* HOSTILE: what they mean is the server's to know; what it has none for it says. */
static void test_types_that_there_are_not(void **state)
{
	struct t_rig r;
	struct t_msg m;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (u32 type = 0; type < 256; type++) {
		u32 i;

		if (type == TVERSION || type == TATTACH || type == TFLUSH)
			continue;
		i = t_ask(&r, (u8)type, (u16)type, "", 0);
		t_hear(&r, &m);
		assert_int_equal(m.type, type);
		t_say(&r, RLERROR, (u16)type, "\x5f\0\0\0", 4);
		t_refused(&r, i, (u16)type, EOPNOTSUPP);
	}
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* HOSTILE: as many at a time as the queue holds, of each tag there is. */
static void test_every_tag_in_flight(void **state)
{
	static u16 heard[128];
	struct t_rig r;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (u32 first = 0; first < 0x10000; first += 128) {
		struct t_msg m;

		for (u32 n = 0; n < 128; n++) {
			const gpa_t at = T_OUT(0) + n * 64;
			const struct driver_buf bufs[] = { { at, 7, false }, { at + 16, 11, true } };

			m = (struct t_msg){ .size = 7, .type = TREAD, .tag = (u16)(first + n) };
			memcpy(driver_at(&r.d.q[0], at), &m, 7);
			driver_add_indirect(&r.d.q[0], at + 32, bufs, 2);
		}
		driver_kick(&r.d, 0);
		for (u32 n = 0; n < 128; n++) {
			t_hear(&r, &m);
			heard[n] = m.tag;
		}
		assert_true(t_hears_nothing(&r));
		for (u32 n = 128; n--; ) {
			assert_int_equal(heard[n], first + n);
			t_say(&r, TREAD + 1, heard[n], "xyz", 3);
			assert_int_equal(t_used(&r), 10);
		}
	}
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* HOSTILE: two that flush one another; who is answered for what is gone has no session any more. */
static void test_flushes_in_a_circle(void **state)
{
	struct t_rig r;
	struct t_msg m;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	t_ask(&r, TFLUSH, 2, "\3", 2);
	t_ask(&r, TFLUSH, 3, "\2", 2);
	t_hear(&r, &m);
	t_hear(&r, &m);
	t_say(&r, TFLUSH + 1, 2, "", 0);
	assert_int_equal(t_used(&r), 0);
	assert_int_equal(t_used(&r), 7);
	t_say(&r, TFLUSH + 1, 3, "", 0);
	t_gone(&r, "answers what was not asked");
	t_replace(&r);
	t_session(&r);
	t_close(&r);
}

static void test_refuses_odd_attaches(void **state)
{
	static const struct {
		const char	*body;
		size_t		len;
	} rows[] = {
		{ "\1\0\0\0\xff\xff\xff\xff", 8 },
		{ "\1\0\0\0\xff\xff\xff\xff\6\0nobo", 14 },
		{ "\1\0\0\0\xff\xff\xff\xff\xff\xffnobody\0\0\xff\xff\xff\xff", 22 },
		{ "\1\0\0\0\xff\xff\xff\xff\6\0nobody\5\0/etc\xff\xff\xff\xff", 26 },
		{ "\1\0\0\0\xff\xff\xff\xff\6\0nobody\3\0/etc\xff\xff\xff\xff", 26 },
		{ "\1\0\0\0\xff\xff\xff\xff\6\0nobody\0\0", 18 },
	};
	struct t_rig r;

	(void)state;
	t_open(&r, "/export");
	t_session(&r);
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++)
		t_refused(&r, t_ask(&r, TATTACH, 1, rows[n].body, rows[n].len), 1, EINVAL);
	assert_true(t_hears_nothing(&r));
	t_close(&r);
}

/* HOSTILE: two requests of one tag are never told apart by a reply. */
static void test_refuses_a_tag_in_flight(void **state)
{
	struct t_rig r;
	struct t_msg m;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	t_ask(&r, TREAD, 7, "", 0);
	t_refused(&r, t_ask(&r, TGETATTR, 7, "", 0), 7, EINVAL);
	t_hear(&r, &m);
	assert_true(t_hears_nothing(&r));
	t_say(&r, TREAD + 1, 7, "", 0);
	assert_int_equal(t_used(&r), 7);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

static void test_session_is_first_and_alone(void **state)
{
	static const u8 none[] = "\x00\x00\x00\x00\x08\x00" "9P2000.L";
	static const u8 tiny[] = "\xff\x0f\x00\x00\x08\x00" "9P2000.L";
	static const u8 huge[] = "\xff\xff\xff\xff\x08\x00" "9P2000.L";
	struct t_rig r;
	struct t_msg m;
	u32 msize;

	(void)state;
	t_open(&r, "");
	t_refused(&r, t_ask(&r, TREAD, 1, "", 0), 1, EIO);
	t_refused(&r, t_ask(&r, TVERSION, T_NOTAG, none, sizeof(none) - 1), T_NOTAG, EINVAL);
	t_refused(&r, t_ask(&r, TVERSION, T_NOTAG, tiny, sizeof(tiny) - 1), T_NOTAG, EINVAL);
	t_ask(&r, TVERSION, T_NOTAG, huge, sizeof(huge) - 1);
	t_hear(&r, &m);
	memcpy(&msize, m.body, 4);
	assert_int_equal(msize, KIB(512));
	/* Of another version there is no session. */
	t_say(&r, TVERSION + 1, T_NOTAG, "\x00\x20\x00\x00\x07\x00unknown", 13);
	assert_int_equal(t_used(&r), 20);
	t_refused(&r, t_ask(&r, TREAD, 1, "", 0), 1, EIO);
	t_session(&r);
	t_ask(&r, TREAD, 1, "", 0);
	t_refused(&r, t_ask(&r, TVERSION, T_NOTAG, t_version, T_VERSION_LEN), T_NOTAG, EBUSY);
	t_close(&r);
}

static void test_reply_that_does_not_fit(void **state)
{
	struct t_rig r;
	struct t_msg m = { .size = 7, .type = TREAD, .tag = 1 };
	struct t_msg heard;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	i = t_request(&r, &m, 7, 12);
	t_hear(&r, &heard);
	t_say(&r, TREAD + 1, 1, "123456", 6);
	t_refused(&r, i, 1, EMSGSIZE);
	assert_int_equal(((const u8 *)t_reply(&r, i))[11], 0xee);
	/* Nor that; and where nothing can be written. */
	i = t_request(&r, &m, 7, 10);
	t_hear(&r, &heard);
	t_say(&r, TREAD + 1, 1, "123456", 6);
	assert_int_equal(t_used(&r), 0);
	assert_int_equal(t_reply(&r, i)->type, 0xee);
	t_request(&r, &m, 7, 0);
	t_hear(&r, &heard);
	t_say(&r, TREAD + 1, 1, "", 0);
	assert_int_equal(t_used(&r), 0);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* ---- A server that lies, or goes ----------------------------------------------------------- */

static void test_server_that_makes_no_sense(void **state)
{
	static const struct t_msg rows[] = {
		{ .size = 0, .type = TREAD + 1, .tag = 1 },
		{ .size = 6, .type = TREAD + 1, .tag = 1 },
		{ .size = KIB(8) + 1, .type = TREAD + 1, .tag = 1 },
		{ .size = UINT32_MAX, .type = TREAD + 1, .tag = 1 },
		{ .size = 7, .type = TREAD + 1, .tag = 2 },
		{ .size = 7, .type = TREAD, .tag = 1 },
		{ .size = 7, .type = TGETATTR + 1, .tag = 1 },
		{ .size = 7, .type = RLERROR, .tag = 1 },
		{ .size = 12, .type = RLERROR, .tag = 1 },
	};

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		struct t_rig r;
		struct t_msg m;
		u32 i;

		t_open(&r, "");
		t_session(&r);
		i = t_ask(&r, TREAD, 1, "", 0);
		t_hear(&r, &m);
		assert_int_equal(send(r.peer, &rows[n], 12, MSG_NOSIGNAL), 12);
		t_refused(&r, i, 1, EIO);
		t_gone(&r, n < 4 ? "sends what is no message" : "answers what was not asked");
		/* It has been left. */
		assert_true(recv(r.peer, &m, 1, 0) <= 0);
		t_refused(&r, t_ask(&r, TREAD, 1, "", 0), 1, EIO);
		t_close(&r);
	}
}

/* Half of a header, or of what is behind it, and then nothing, or its end. */
static void test_server_that_says_half(void **state)
{
	const struct t_msg half = { .size = 20, .type = TREAD + 1, .tag = 1, .body = "half" };

	(void)state;
	for (u32 n = 0; n < 20; n++) {
		struct t_rig r;
		struct t_msg m;
		u32 i;

		t_open(&r, "");
		t_session(&r);
		i = t_ask(&r, TREAD, 1, "", 0);
		t_hear(&r, &m);
		assert_int_equal(send(r.peer, &half, n, 0), n);
		assert_true(t_none_used(&r));
		if (n % 2) {
			shutdown(r.peer, SHUT_RDWR);
			t_refused(&r, i, 1, EIO);
			t_gone(&r, "has gone");
		} else {
			/* Nobody waits for the rest. */
			driver_status(&r.d, 0);
			driver_turn(&r.d);
			assert_int_equal(driver_status(&r.d, -1), 0);
			driver_start(&r.d, T_WANTED);
		}
		t_replace(&r);
		t_session(&r);
		t_close(&r);
	}
}

/* Before there is a session, and when nothing at all is asked for. */
static void test_server_that_speaks_first(void **state)
{
	struct t_rig r;

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		t_open(&r, "");
		if (n)
			t_session(&r);
		t_say(&r, TREAD + 1, 1, "", 0);
		/* Before the driver has asked for anything it is not listened to. */
		if (!n)
			t_ask(&r, TVERSION, T_NOTAG, t_version, T_VERSION_LEN);
		t_gone(&r, "answers what was not asked");
		t_replace(&r);
		t_close(&r);
	}
}

static void test_server_that_goes_and_another(void **state)
{
	struct t_rig r;
	struct t_msg m;
	u32 i[3];

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (u16 tag = 0; tag < 3; tag++)
		i[tag] = t_ask(&r, TREAD, tag, "", 0);
	t_hear(&r, &m);
	close(r.peer);
	r.peer = -1;
	for (u16 tag = 0; tag < 3; tag++)
		assert_int_equal(t_used(&r), 11);
	for (u16 tag = 0; tag < 3; tag++)
		t_is_error(&r, i[tag], tag, EIO);
	t_gone(&r, "9p3: the 9P server has gone; the guest has to mount it anew");
	t_refused(&r, t_ask(&r, TVERSION, T_NOTAG, t_version, T_VERSION_LEN), T_NOTAG, EIO);
	t_replace(&r);
	/* It knows nothing of what the guest has had. */
	t_refused(&r, t_ask(&r, TREAD, 1, "", 0), 1, EIO);
	assert_true(t_hears_nothing(&r));
	t_session(&r);
	i[0] = t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &m);
	t_say(&r, TREAD + 1, 1, "new", 3);
	assert_int_equal(t_used(&r), 10);
	assert_memory_equal(t_reply(&r, i[0])->body, "new", 3);
	t_close(&r);
}

/* In the middle of a message, either way. */
static void test_replaced_amid_messages(void **state)
{
	struct t_msg m = { .size = KIB(8), .type = 118 };
	struct t_rig r;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	for (m.tag = 0; m.tag < 40; m.tag++)
		t_request(&r, &m, KIB(8), 11);
	assert_int_equal(send(r.peer, "\x0b\0\0\0\x77", 5, 0), 5);
	t_replace(&r);
	for (u32 n = 0; n < 40; n++)
		assert_int_equal(t_used(&r), 11);
	t_session(&r);
	i = t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &m);
	t_say(&r, TREAD + 1, 1, "new", 3);
	assert_int_equal(t_used(&r), 10);
	assert_memory_equal(t_reply(&r, i)->body, "new", 3);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

/* HOSTILE: what the driver before the reset had asked for is not answered to the one after. */
static void test_reset_in_flight_ends_the_connection(void **state)
{
	struct t_rig r;
	struct t_msg m;
	char c;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &m);
	driver_status(&r.d, 0);
	driver_turn(&r.d);
	assert_int_equal(driver_status(&r.d, -1), 0);
	assert_int_equal(recv(r.peer, &c, 1, 0), 0);
	driver_start(&r.d, T_WANTED);
	t_refused(&r, t_ask(&r, TVERSION, T_NOTAG, t_version, T_VERSION_LEN), T_NOTAG, EIO);
	t_replace(&r);
	t_session(&r);
	/* With nothing in flight there is nothing to fear, but a session to begin. */
	driver_status(&r.d, 0);
	driver_turn(&r.d);
	driver_start(&r.d, T_WANTED);
	t_refused(&r, t_ask(&r, TREAD, 1, "", 0), 1, EIO);
	t_session(&r);
	assert_int_equal(r.d.nr_broken, 0);
	t_close(&r);
}

static void test_pause_holds_replies(void **state)
{
	struct t_rig r;
	struct t_msg m;
	struct loop *loop;
	u32 i;

	(void)state;
	t_open(&r, "");
	t_session(&r);
	i = t_ask(&r, TREAD, 1, "", 0);
	t_hear(&r, &m);
	loop = r.d.env.loops[0];
	virtio_pause(r.d.dev, loop);
	assert_true(virtio_at_rest(r.d.dev, loop));
	t_say(&r, TREAD + 1, 1, "x", 1);
	t_ask(&r, TREAD, 2, "", 0);
	assert_true(t_none_used(&r));
	assert_true(t_hears_nothing(&r));
	assert_int_equal(t_reply(&r, i)->type, 0xee);
	virtio_resume(r.d.dev, loop);
	assert_int_equal(t_used(&r), 8);
	t_hear(&r, &m);
	assert_int_equal(m.tag, 2);
	/* Another server comes meanwhile, and is heard of afterwards. */
	virtio_pause(r.d.dev, loop);
	assert_true(virtio_at_rest(r.d.dev, loop));
	t_replace(&r);
	assert_true(t_none_used(&r));
	virtio_resume(r.d.dev, loop);
	assert_int_equal(t_used(&r), 11);
	t_session(&r);
	t_close(&r);
}

/* ---- By vmm.h -------------------------------------------------------------------------------- */

static void test_api(void **state)
{
	struct vmm_9p_config cfg = VMM_9P_CONFIG_INIT;
	struct vmm_config vm_cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_error err;
	char name[VMM_9P_NAME_MAX + 2];
	struct vmm *vm;
	int peer;

	(void)state;
	vm = t_vm(fake, &vm_cfg);
	cfg.fd = t_pair(&peer);
	assert_int_equal(vmm_add_9p(vm, NULL, &err), -EINVAL);
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EINVAL);
	assert_string_equal(err.msg, "9p: a tag has 1 to 36 bytes");
	cfg.tag = "";
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EINVAL);
	cfg.tag = "1234567890123456789012345678901234567";
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EINVAL);
	cfg.tag = "tag";
	cfg.flags = 1;
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -E2BIG);
	cfg.flags = 0;
	cfg.reserved = 1;
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -E2BIG);
	cfg.reserved = 0;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cfg.aname = name;
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EINVAL);
	name[VMM_9P_NAME_MAX] = '\0';
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), 0);
	cfg.aname = NULL;
	name[VMM_9P_NAME_MAX] = 'a';
	cfg.uname = name;
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EINVAL);
	cfg.uname = "root";
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), 1);
	assert_int_equal(vmm_set_backend(vm, 0, cfg.fd, &err), -EBUSY);
	close(cfg.fd);
	assert_int_equal(vmm_add_9p(vm, &cfg, &err), -EBADF);
	close(peer);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_wants_a_stream_socket(void **state)
{
	struct virtio_9p_params params = { .tag = "t", .aname = "", .uname = "" };
	struct vmm_error err;
	struct virtio *dev;
	struct driver d;
	int peer;
	int fds[2];

	(void)state;
	driver_open(&d, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	params.fd = fds[0];
	assert_int_equal(virtio_9p_create(&dev, &d.env, 0, &params, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "9p0: descriptor"));
	params.fd = t_pair(&peer);
	assert_int_equal(virtio_9p_create(&dev, &d.env, 0, &params, &err), 0);
	driver_attach(&d, dev);
	assert_int_equal(virtio_9p_replace(dev, fds[0], &err), -EINVAL);
	driver_close(&d);
	close(params.fd);
	close(peer);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_its_tag),
		cmocka_unit_test(test_hands_messages_on),
		cmocka_unit_test(test_replies_come_in_any_order),
		cmocka_unit_test(test_a_reply_in_pieces),
		cmocka_unit_test(test_a_server_that_reads_slowly),
		cmocka_unit_test(test_names_what_is_attached_to),
		cmocka_unit_test(test_flushed_request_is_given_back),
		cmocka_unit_test(test_refuses_what_is_no_message),
		cmocka_unit_test(test_message_ends_where_it_says),
		cmocka_unit_test(test_types_that_there_are_not),
		cmocka_unit_test(test_every_tag_in_flight),
		cmocka_unit_test(test_flushes_in_a_circle),
		cmocka_unit_test(test_refuses_odd_attaches),
		cmocka_unit_test(test_refuses_a_tag_in_flight),
		cmocka_unit_test(test_session_is_first_and_alone),
		cmocka_unit_test(test_reply_that_does_not_fit),
		cmocka_unit_test(test_server_that_makes_no_sense),
		cmocka_unit_test(test_server_that_says_half),
		cmocka_unit_test(test_server_that_speaks_first),
		cmocka_unit_test(test_server_that_goes_and_another),
		cmocka_unit_test(test_replaced_amid_messages),
		cmocka_unit_test(test_reset_in_flight_ends_the_connection),
		cmocka_unit_test(test_pause_holds_replies),
		cmocka_unit_test(test_api),
		cmocka_unit_test(test_wants_a_stream_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
