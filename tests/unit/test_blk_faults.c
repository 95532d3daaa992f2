/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_blk_faults.c - devices/virtio_blk.c on a disk that fails
 *
 * What the host cannot read, write or flush is an I/O error of that request, told once, to the
 * guest and in the log; nothing is left of it, and the disk works on.  Above all, a flush
 * that failed is never told as one that was done.
 *
 * Without io_uring each call of the library can be made to fail with what a disk fails with:
 * faults.h.  What io_uring does is the kernel's, so there the device's descriptor is made
 * one that cannot, and the file that it was again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/unit/driver.h"
#include "tests/unit/faults.h"
#include "tests/unit/t.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define T_FEATURES	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH | \
			 1ull << VIRTIO_BLK_F_CONFIG_WCE)
#define T_SIZE		MIB(1)
#define T_LEN		12288u		/* a third is whole sectors, and not short of one */
#define T_HDR		DRIVER_DATA
#define T_STATUS	(DRIVER_DATA + 64)
#define T_DATA		(DRIVER_DATA + KIB(64))
#define T_MANY		300u		/* more than the device has places for requests */
#define T_NONE		0xee		/* a status that no device gives */

/* Who does the I/O. */
enum t_io { WORKER, LENT, MEMORY, SCATTERED /* the same, two buffers */, RING };
static enum t_io t_io;

struct t_rig {
	struct driver	d;
	struct t_log	log;
	struct logger	logger;
	int		fd;
	int		device_fd;	/* the device's own */
};

/* Another descriptor of the same file. */
static int t_other(int fd)
{
	struct stat want;
	struct stat st;
	int other = 0;

	assert_int_equal(fstat(fd, &want), 0);
	while (other == fd || fstat(other, &st) || st.st_dev != want.st_dev || st.st_ino != want.st_ino)
		assert_in_range(++other, 0, 1000);
	return other;
}

static void t_open(struct t_rig *rig)
{
	struct blk_config cfg = { .nr_queues = 1 };
	struct vmm_error err = { "" };
	struct virtio *dev;
	void *zeroes = calloc(1, T_SIZE);

	*rig = (struct t_rig){ .log = T_LOG_INIT };
	rig->logger = (struct logger){ t_log, &rig->log, VMM_LOG_DEBUG };
	if (t_io == WORKER || t_io == LENT)
		faults_plan("io_uring_queue_init_params", EPERM, 1);
	if (t_io == LENT)
		setenv("T_LENT_LOOPS", "1", 1);
	driver_open(&rig->d, 1);
	unsetenv("T_LENT_LOOPS");
	assert_int_equal(faults_unplan(), 0);
	assert_int_equal(loop_is_soft(rig->d.env.loops[0]), t_io == WORKER || t_io == LENT);
	rig->d.env.log = &rig->logger;
	rig->fd = t_io == MEMORY || t_io == SCATTERED ? memfd_create("t-disk", MFD_CLOEXEC) : t_disk_file();
	assert_int_equal(pwrite(rig->fd, zeroes, T_SIZE, 0), T_SIZE);
	free(zeroes);
	cfg.fd = rig->fd;
	assert_int_equal(virtio_blk_create(&dev, &rig->d.env, 0, &cfg, &err), 0);
	rig->device_fd = t_other(rig->fd);
	driver_attach(&rig->d, dev);
	driver_start(&rig->d, T_FEATURES);
	driver_turn(&rig->d);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	close(rig->fd);
}

static u8 *t_mem(struct t_rig *rig, gpa_t at)
{
	return driver_at(&rig->d.q[0], at);
}

/* A request that is answered, and once. */
static u8 t_request(struct t_rig *rig, u32 type, u64 sector, u32 len)
{
	const struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	const struct driver_buf bufs[] = {
		{ T_HDR, sizeof(hdr), false }, { T_DATA, len, type == VIRTIO_BLK_T_IN },
		{ T_STATUS, 1, true },
	};
	const struct driver_buf none[] = { bufs[0], bufs[2] };
	const struct driver_buf halves[] = {
		bufs[0], { T_DATA + len / 2, len / 2, bufs[1].in }, { T_DATA, len / 2, bufs[1].in },
		bufs[2],
	};
	u16 want;
	u32 head;
	u32 n;

	memcpy(t_mem(rig, T_HDR), &hdr, sizeof(hdr));
	*t_mem(rig, T_STATUS) = T_NONE;
	if (!len)
		want = driver_add(&rig->d.q[0], none, 2);
	else if (t_io == SCATTERED)
		want = driver_add(&rig->d.q[0], halves, 4);
	else
		want = driver_add(&rig->d.q[0], bufs, 3);
	virtio_kick(rig->d.dev, 0);
	t_until((driver_turn(&rig->d), driver_used(&rig->d.q[0], &head, &n)));
	assert_int_equal(head, want);
	driver_turn(&rig->d);
	assert_false(driver_used(&rig->d.q[0], &head, &n));
	return *t_mem(rig, T_STATUS);
}

static u8 t_put(struct t_rig *rig, u8 byte)
{
	memset(t_mem(rig, T_DATA), byte, T_LEN);
	return t_request(rig, VIRTIO_BLK_T_OUT, 8, T_LEN);
}

static u8 t_flush(struct t_rig *rig)
{
	return t_request(rig, VIRTIO_BLK_T_FLUSH, 0, 0);
}

static u8 t_discard(struct t_rig *rig)
{
	const struct virtio_blk_discard_write_zeroes range = { .sector = 1024, .num_sectors = 8 };

	memcpy(t_mem(rig, T_DATA), &range, sizeof(range));
	return t_request(rig, VIRTIO_BLK_T_DISCARD, 0, sizeof(range));
}

static void t_write_through(struct t_rig *rig, bool on)
{
	const u8 wce = !on;

	driver_locked(&rig->d, virtio_config_write(rig->d.dev, offsetof(struct virtio_blk_config, wce),
						   &wce, 1));
}

/* The log has @nr lines, the latest of which says @part. */
static void t_told(struct t_rig *rig, u32 nr, const char *part)
{
	assert_int_equal(rig->log.nr[VMM_LOG_WARN], nr);
	if (!t_logged(&rig->log, part))
		fail_msg("not told: %s: %s", part, rig->log.text);
}

/* All that is asked of the disk is done, and nothing is left of what was. */
static void t_works(struct t_rig *rig)
{
	u32 nr_lines = rig->log.nr[VMM_LOG_WARN];
	u8 *back = t_mem(rig, T_DATA);

	assert_int_equal(t_put(rig, 0x77), VIRTIO_BLK_S_OK);
	assert_int_equal(t_flush(rig), VIRTIO_BLK_S_OK);
	memset(back, 0, T_LEN);
	assert_int_equal(t_request(rig, VIRTIO_BLK_T_IN, 8, T_LEN), VIRTIO_BLK_S_OK);
	for (u32 i = 0; i < T_LEN; i++)
		assert_int_equal(back[i], 0x77);
	assert_int_equal(rig->log.nr[VMM_LOG_WARN], nr_lines);
	assert_int_equal(rig->d.nr_broken, 0);
	/* Nothing is in flight: a reset waits for none. */
	driver_status(&rig->d, 0);
	driver_turn(&rig->d);
	assert_int_equal(driver_status(&rig->d, -1), 0);
	driver_start(&rig->d, T_FEATURES);
	driver_turn(&rig->d);
	assert_int_equal(t_put(rig, 1), VIRTIO_BLK_S_OK);
}

/* What a write is. */
static const char *t_write(void)
{
	return t_io == MEMORY ? "pwrite" : t_io == SCATTERED ? "pwritev" : "pwritev2";
}

/* How much of one is done in part: a third of its first buffer. */
static u32 t_part(void)
{
	return T_LEN / (t_io == SCATTERED ? 6 : 3);
}

/* ---- By the library's own calls: not io_uring ------------------------------------ */

static void test_flush_that_fails_is_told(void **state)
{
	static const int errs[] = { EIO, ENOSPC, EDQUOT };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (u32 i = 0; i < ARRAY_SIZE(errs); i++) {
		assert_int_equal(t_put(&rig, 1), VIRTIO_BLK_S_OK);
		faults_plan("fdatasync", errs[i], 1);
		assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_IOERR);
		assert_int_equal(faults_unplan(), 0);
		t_told(&rig, i + 1, strerrordesc_np(errs[i]));
		/* The next one is another. */
		assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_OK);
	}
	/* Many, and then none. */
	faults_plan("fdatasync", EIO, T_MANY);
	for (u32 i = 0; i < T_MANY; i++)
		assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_OK);
	t_works(&rig);
	t_close(&rig);
}

static void test_write_that_fails_is_told(void **state)
{
	static const int errs[] = { EIO, ENOSPC, EFBIG };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (u32 i = 0; i < ARRAY_SIZE(errs); i++) {
		faults_plan(t_write(), errs[i], 1);
		assert_int_equal(t_put(&rig, 2), VIRTIO_BLK_S_IOERR);
		assert_int_equal(faults_unplan(), 0);
		t_told(&rig, i + 1, strerrordesc_np(errs[i]));
		assert_int_equal(t_put(&rig, 3), VIRTIO_BLK_S_OK);
	}
	t_works(&rig);
	t_close(&rig);
}

/* A part is gone on with, and if that fails, all has. */
static void test_short_write_is_gone_on_with(void **state)
{
	struct t_rig rig;
	char what[64];
	u8 byte;

	(void)state;
	t_open(&rig);
	faults_plan(t_write(), 0, 3);
	assert_int_equal(t_put(&rig, 4), VIRTIO_BLK_S_OK);
	assert_int_equal(faults_unplan(), 0);
	for (u32 i = 0; i < T_LEN; i += 512) {
		assert_int_equal(pread(rig.fd, &byte, 1, 8 * 512 + i), 1);
		assert_int_equal(byte, 4);
	}
	faults_plan(t_write(), 0, 1);
	faults_plan(t_write(), EIO, 1);
	assert_int_equal(t_put(&rig, 5), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	snprintf(what, sizeof(what), "at byte %u: Input/output error", 8 * 512 + t_part());
	t_told(&rig, 1, what);
	/* The part is there, and no more of it. */
	assert_int_equal(pread(rig.fd, &byte, 1, 8 * 512 + t_part() - 1), 1);
	assert_int_equal(byte, 5);
	assert_int_equal(pread(rig.fd, &byte, 1, 8 * 512 + t_part()), 1);
	assert_int_equal(byte, 4);
	t_works(&rig);
	t_close(&rig);
}

/* Without a cache what is done is on the disk: its write, each part of it, says so or fails. */
static void test_write_through_that_fails_is_told(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_write_through(&rig, true);
	faults_plan("pwritev2 through", EIO, 1);
	assert_int_equal(t_put(&rig, 6), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	t_told(&rig, 1, "Input/output error");
	faults_plan("pwritev2 through", 0, 1);
	faults_plan("pwritev2 through", EIO, 1);
	assert_int_equal(t_put(&rig, 6), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	t_told(&rig, 2, "at byte 8192: Input/output error");
	assert_int_equal(t_put(&rig, 6), VIRTIO_BLK_S_OK);
	/* What is zeroed or let go is followed by a flush. */
	faults_plan("fdatasync", EIO, 1);
	assert_int_equal(t_discard(&rig), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	t_told(&rig, 3, "Input/output error");
	assert_int_equal(t_discard(&rig), VIRTIO_BLK_S_OK);
	t_write_through(&rig, false);
	t_works(&rig);
	t_close(&rig);
}

static void test_discard_that_fails_is_told(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	faults_plan("fallocate", EIO, 1);
	assert_int_equal(t_discard(&rig), VIRTIO_BLK_S_IOERR);
	t_told(&rig, 1, "Input/output error");
	/* That it cannot is no error: it was a hint. */
	faults_plan("fallocate", EOPNOTSUPP, 1);
	assert_int_equal(t_discard(&rig), VIRTIO_BLK_S_OK);
	assert_int_equal(faults_unplan(), 0);
	t_told(&rig, 1, "Input/output error");
	t_works(&rig);
	t_close(&rig);
}

/* A guest that goes on and on fills no log, and uses nothing up. */
static void test_disk_that_fails_for_good_is_told_a_few_times(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	faults_plan(t_write(), EIO, T_MANY);
	for (u32 i = 0; i < T_MANY; i++)
		assert_int_equal(t_put(&rig, 8), VIRTIO_BLK_S_IOERR);
	assert_int_equal(faults_unplan(), 0);
	assert_in_range(rig.log.nr[VMM_LOG_WARN], 1, 30);
	t_works(&rig);
	t_close(&rig);
}

/* ---- By whatever there is ------------------------------------------------------------------ */

/* The device's descriptor is another file's for as long as this. */
static void t_swap(struct t_rig *rig, const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : rig->fd;

	assert_true(fd >= 0);
	assert_int_equal(dup3(fd, rig->device_fd, O_CLOEXEC), rig->device_fd);
	if (path)
		close(fd);
}

/* /dev/full can be written by nobody, and not be flushed. */
static void test_device_that_is_full(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (int through = 0; through < 2; through++) {
		t_write_through(&rig, through);
		t_swap(&rig, "/dev/full");
		assert_int_equal(t_put(&rig, 9), VIRTIO_BLK_S_IOERR);
		t_told(&rig, 2 * (u32)through + 1, "No space left");
		assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_IOERR);
		t_told(&rig, 2 * (u32)through + 2, "Invalid argument");
		t_swap(&rig, NULL);
		assert_int_equal(t_flush(&rig), VIRTIO_BLK_S_OK);
		assert_int_equal(t_put(&rig, 9), VIRTIO_BLK_S_OK);
	}
	t_write_through(&rig, false);
	t_works(&rig);
	t_close(&rig);
}

/* A part fits, and then no more. */
static void test_file_that_may_not_be_so_long(void **state)
{
	const u64 limit = 8 * 512 + 4096;
	struct rlimit before;
	struct t_rig rig;
	u8 byte = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	t_open(&rig);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ limit, before.rlim_max }), 0);
	for (int through = 0; through < 2; through++) {
		t_write_through(&rig, through);
		assert_int_equal(t_put(&rig, (u8)(10 + through)), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	t_told(&rig, 2, "at byte 8192: File too large");
	assert_int_equal(pread(rig.fd, &byte, 1, (off_t)limit - 1), 1);
	assert_int_equal(byte, 11);
	assert_int_equal(pread(rig.fd, &byte, 1, (off_t)limit), 1);
	assert_int_equal(byte, 0);
	signal(SIGXFSZ, SIG_DFL);
	t_write_through(&rig, false);
	t_works(&rig);
	t_close(&rig);
}

#define BY_CALLS							\
	cmocka_unit_test(test_write_that_fails_is_told),		\
	cmocka_unit_test(test_short_write_is_gone_on_with),		\
	cmocka_unit_test(test_disk_that_fails_for_good_is_told_a_few_times)
#define OF_A_DISK							\
	cmocka_unit_test(test_device_that_is_full),			\
	cmocka_unit_test(test_file_that_may_not_be_so_long)

int main(void)
{
	static const struct CMUnitTest soft[] = {
		BY_CALLS,
		cmocka_unit_test(test_flush_that_fails_is_told),
		cmocka_unit_test(test_write_through_that_fails_is_told),
		cmocka_unit_test(test_discard_that_fails_is_told),
		OF_A_DISK,
	};
	/* Has nothing to flush, and is known to be in memory whatever its descriptor is. */
	static const struct CMUnitTest memory[] = {
		BY_CALLS, cmocka_unit_test(test_file_that_may_not_be_so_long),
	};
	static const struct CMUnitTest ring[] = { OF_A_DISK };
	int failed = 0;

	t_io = WORKER;
	failed += driver_run_each_kind(soft);
	t_io = LENT;
	failed += driver_run_each_kind(soft);
	t_io = MEMORY;
	failed += driver_run_each_kind(memory);
	t_io = SCATTERED;
	failed += driver_run_each_kind(memory);
	t_io = RING;
	return failed + driver_run_each_kind(ring);
}
