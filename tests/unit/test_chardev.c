/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_chardev.c - devices/chardev.c and devices/stream.c
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/chardev.h"
#include "devices/stream.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define T_PATIENCE_MS	10000

struct t_rig {
	struct loop	*loop;
	struct chardev	*chr;
	struct logger	log;
	unsigned int	nr_lines;
	pthread_mutex_t	lock;		/* stands for the device's */
	size_t		rx_room;
	u8		got[65536];
	size_t		nr_got;
	unsigned int	nr_tx_room;
	unsigned int	nr_done;
};

static void t_log(void *opaque, int level, const char *msg)
{
	struct t_rig *rig = opaque;

	(void)level;
	(void)msg;
	rig->nr_lines++;
}

static size_t t_rx_room(void *arg)
{
	struct t_rig *rig = arg;
	size_t n;

	pthread_mutex_lock(&rig->lock);
	n = rig->rx_room;
	pthread_mutex_unlock(&rig->lock);
	return n;
}

static void t_rx(void *arg, const u8 *buf, size_t len)
{
	struct t_rig *rig = arg;

	pthread_mutex_lock(&rig->lock);
	assert_true(len <= rig->rx_room);
	assert_true(rig->nr_got + len <= sizeof(rig->got));
	memcpy(rig->got + rig->nr_got, buf, len);
	rig->nr_got += len;
	rig->rx_room -= len;
	pthread_mutex_unlock(&rig->lock);
}

static void t_tx_room(void *arg)
{
	struct t_rig *rig = arg;

	rig->nr_tx_room++;
}

static const struct chardev_ops t_ops = {
	.rx_room = t_rx_room,
	.rx = t_rx,
	.tx_room = t_tx_room,
};

static void t_done(void *arg)
{
	struct t_rig *rig = arg;

	rig->nr_done++;
}

static struct t_rig *t_open(int in_fd, int out_fd)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct chardev_config cfg = {
		.name = "serial0",
		.in_fd = in_fd,
		.out_fd = out_fd,
		.ops = &t_ops,
	};
	struct vmm_error err;

	assert_non_null(rig);
	/* T_LENT_LOOPS=1: check-threads.sh */
	assert_int_equal(getenv("T_LENT_LOOPS") ? loop_create_lent(&rig->loop, &err) :
						  loop_create(&rig->loop, &err), 0);
	rig->log = (struct logger){ .fn = t_log, .opaque = rig, .level = VMM_LOG_DEBUG };
	pthread_mutex_init(&rig->lock, NULL);
	cfg.log = &rig->log;
	cfg.arg = rig;
	assert_int_equal(chardev_create(&rig->chr, rig->loop, &cfg, &err), 0);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	chardev_destroy(rig->chr);
	loop_destroy(rig->loop);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
}

static void t_sleep_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static long t_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static long t_now_ms(void)
{
	return t_now_us() / 1000;
}

/* Let the loop run for some time. */
static void t_turn(struct t_rig *rig, long ms)
{
	long end = t_now_ms() + ms;

	do {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	} while (t_now_ms() < end);
}

#define t_turn_until(rig, cond) do {						\
	long t_end = t_now_ms() + T_PATIENCE_MS;				\
	while (!(cond)) {							\
		assert_true(t_now_ms() < t_end);				\
		t_turn(rig, 0);							\
	}									\
} while (0)

/* Does the loop sleep when nothing happens? */
static void t_is_idle(struct t_rig *rig)
{
	struct pollfd p = { .fd = loop_fd(rig->loop), .events = POLLIN };

	/* What is late on a busy machine comes once; who spins is never at rest. */
	for (int i = 0; i < 20; i++) {
		t_turn(rig, 20);
		if (!poll(&p, 1, 50))
			return;
	}
	fail_msg("the loop is never idle");
}

static void t_pipe(int p[2], int flags)
{
	assert_int_equal(pipe2(p, flags), 0);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) > 0);
}

static void t_nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static u8 t_pattern(size_t i)
{
	return (u8)(i * 31 + i / 251);
}

/* Put bytes of the pattern from @at on until no more are taken. */
static size_t t_put_pattern(struct t_rig *rig, size_t at, size_t len)
{
	u8 buf[1000];
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		size_t took;

		for (size_t i = 0; i < n; i++)
			buf[i] = t_pattern(at + done + i);
		took = chardev_put(rig->chr, buf, n);
		done += took;
		if (took < n)
			break;
	}
	return done;
}

/* Read what is there and compare.  The descriptor does not block. */
static size_t t_check_pattern(int fd, size_t at)
{
	u8 buf[4096];
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], t_pattern(at + done + (size_t)i));
		done += (size_t)n;
	}
	return done;
}

static int t_nr_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* ---- Output ------------------------------------------------------------- */

static void test_put_bytes_arrive_in_order(void **state)
{
	struct t_rig *rig;
	char buf[16] = "";
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"hel", 3), 3);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"lo", 2), 2);
	t_turn_until(rig, read(p[0], buf, sizeof(buf)) == 5);
	assert_string_equal(buf, "hello");
	t_is_idle(rig);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_bytes_put_singly_leave_in_one_write(void **state)
{
	struct t_rig *rig;
	u8 buf[256];
	int s[2];

	(void)state;
	/* A packet a write. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s), 0);
	rig = t_open(-1, s[1]);
	for (int i = 0; i < 100; i++)
		assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 1);
	t_turn_until(rig, recv(s[0], buf, sizeof(buf), 0) == 100);
	t_close(rig);
	close(s[0]);
	close(s[1]);
}

/* Half a ring does not wait for the millisecond; one try in a hundred must show it. */
static void test_half_a_ring_leaves_at_once(void **state)
{
	bool was_quick = false;
	struct t_rig *rig;
	size_t got = 0;
	size_t put = 0;
	int nr;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
	rig = t_open(-1, s[1]);
	for (int i = 0; i < 100 && !was_quick; i++) {
		long start = t_now_us();

		put += t_put_pattern(rig, put, CHARDEV_RING / 2);
		while (t_now_us() < start + 700)
			assert_int_equal(loop_dispatch(rig->loop), 0);
		assert_int_equal(ioctl(s[0], FIONREAD, &nr), 0);
		was_quick = (size_t)nr == put - got && t_now_us() < start + 950;
		t_turn_until(rig, (got += t_check_pattern(s[0], got)) == put);
	}
	assert_true(was_quick);
	t_close(rig);
	close(s[0]);
	close(s[1]);
}

static void test_put_takes_no_more_than_the_ring_holds(void **state)
{
	struct t_rig *rig;
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	assert_int_equal(chardev_room(rig->chr), CHARDEV_RING);
	assert_int_equal(t_put_pattern(rig, 0, 2 * CHARDEV_RING), CHARDEV_RING);
	assert_int_equal(chardev_room(rig->chr), 0);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 0);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void t_full_pipe(int flags)
{
	const size_t total = 200000;
	struct t_rig *rig;
	size_t put = 0;
	size_t got = 0;
	long end;
	int p[2];

	t_pipe(p, flags);
	t_nonblock(p[0]);
	rig = t_open(-1, p[1]);
	/* Nobody reads: the pipe fills, then the ring, and the loop still turns. */
	end = t_now_ms() + 50;
	while (t_now_ms() < end) {
		put += t_put_pattern(rig, put, total - put);
		t_turn(rig, 0);
	}
	assert_true(put >= CHARDEV_RING);
	assert_true(put < total);
	t_is_idle(rig);
	/* A reader appears. */
	end = t_now_ms() + T_PATIENCE_MS;
	while (got < total) {
		put += t_put_pattern(rig, put, total - put);
		t_turn(rig, 0);
		got += t_check_pattern(p[0], got);
		assert_true(t_now_ms() < end);
	}
	assert_int_equal(put, total);
	assert_int_equal(chardev_room(rig->chr), CHARDEV_RING);
	t_is_idle(rig);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_full_pipe_loses_nothing_once_it_is_read(void **state)
{
	(void)state;
	t_full_pipe(O_NONBLOCK);
}

static void test_full_blocking_pipe_does_not_block_the_loop(void **state)
{
	(void)state;
	t_full_pipe(0);
}

static void test_blocking_socket_does_not_block_the_loop(void **state)
{
	struct t_rig *rig;
	size_t put = 0;
	size_t got = 0;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	t_nonblock(s[0]);
	rig = t_open(-1, s[1]);
	for (int i = 0; i < 100; i++) {
		put += t_put_pattern(rig, put, 100000);
		t_turn(rig, 0);
	}
	assert_true(chardev_room(rig->chr) < CHARDEV_RING);
	t_is_idle(rig);
	t_turn_until(rig, (got += t_check_pattern(s[0], got)) == put);
	t_close(rig);
	close(s[0]);
	close(s[1]);
}

static void test_regular_file_gets_everything(void **state)
{
	char path[] = "/tmp/test_chardev.XXXXXX";
	int fd = mkstemp(path);
	struct t_rig *rig;
	size_t put = 0;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	rig = t_open(-1, fd);
	while (put < 100000) {
		put += t_put_pattern(rig, put, 100000 - put);
		t_turn(rig, 0);
	}
	chardev_drain(rig->chr, t_done, rig);
	t_turn_until(rig, rig->nr_done);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(t_check_pattern(fd, 0), 100000);
	t_close(rig);
	close(fd);
}

/* The tests' own SIGPIPE would end them. */
static void t_gone_reader(int flags)
{
	struct t_rig *rig;
	sigset_t set;
	int p[2];

	t_pipe(p, flags);
	rig = t_open(-1, p[1]);
	close(p[0]);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 1);
	t_turn_until(rig, rig->nr_lines);
	for (int i = 0; i < 100; i++)
		assert_int_equal(t_put_pattern(rig, 0, 1000), 1000);
	assert_int_equal(chardev_room(rig->chr), CHARDEV_RING);
	t_is_idle(rig);
	assert_int_equal(rig->nr_lines, 1);
	assert_int_equal(sigpending(&set), 0);
	assert_int_equal(sigismember(&set, SIGPIPE), 0);
	chardev_drain(rig->chr, t_done, rig);
	assert_int_equal(rig->nr_done, 1);
	t_close(rig);
	close(p[1]);
}

static void test_reader_that_is_gone_ends_output_without_a_signal(void **state)
{
	(void)state;
	t_gone_reader(O_NONBLOCK);
	t_gone_reader(0);
}

static void test_reader_that_goes_while_pipe_is_full_is_noticed(void **state)
{
	struct t_rig *rig;
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	for (int i = 0; i < 20; i++) {
		t_put_pattern(rig, 0, CHARDEV_RING);
		t_turn(rig, 0);
	}
	assert_int_equal(chardev_room(rig->chr), 0);
	close(p[0]);
	t_turn_until(rig, rig->nr_lines == 1);
	assert_int_equal(chardev_room(rig->chr), CHARDEV_RING);
	assert_int_equal(rig->nr_tx_room, 1);
	t_close(rig);
	close(p[1]);
}

static void test_signal_that_was_pending_stays_pending(void **state)
{
	const struct timespec now = { 0 };
	struct stream s;
	sigset_t set;
	sigset_t old;
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	assert_int_equal(stream_init(&s, p[1]), 0);
	close(p[0]);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	raise(SIGPIPE);
	assert_int_equal(stream_write(&s, "x", 1), -EPIPE);
	assert_int_equal(sigtimedwait(&set, NULL, &now), SIGPIPE);
	assert_int_equal(stream_write(&s, "x", 1), -EPIPE);
	assert_int_equal(sigtimedwait(&set, NULL, &now), -1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	stream_fini(&s);
	close(p[1]);
}

static void test_no_output_descriptor_swallows_everything(void **state)
{
	struct t_rig *rig = t_open(-1, -1);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(t_put_pattern(rig, 0, CHARDEV_RING), CHARDEV_RING);
	assert_int_equal(chardev_room(rig->chr), CHARDEV_RING);
	chardev_drain(rig->chr, t_done, rig);
	assert_int_equal(rig->nr_done, 1);
	t_close(rig);
}

static void test_tx_room_follows_little_room_once(void **state)
{
	struct t_rig *rig;
	size_t got = 0;
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	for (int i = 0; i < 20; i++) {
		t_put_pattern(rig, 0, CHARDEV_RING);
		t_turn(rig, 0);
	}
	assert_true(chardev_room(rig->chr) < CHARDEV_LOW);
	assert_int_equal(rig->nr_tx_room, 0);
	/* A page at a time: told only when half is free. */
	while (!rig->nr_tx_room) {
		u8 buf[512];

		if (read(p[0], buf, sizeof(buf)) > 0)
			got += sizeof(buf);
		t_turn(rig, 0);
	}
	assert_true(got >= CHARDEV_RING / 2);
	assert_true(chardev_room(rig->chr) >= CHARDEV_RING / 2);
	chardev_drain(rig->chr, t_done, rig);
	while (!rig->nr_done) {
		u8 buf[512];

		if (read(p[0], buf, sizeof(buf)) < 0)
			assert_int_equal(errno, EAGAIN);
		t_turn(rig, 0);
	}
	assert_int_equal(rig->nr_tx_room, 1);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_many_rings_wrap_the_counters(void **state)
{
	struct t_rig *rig;
	size_t put = 0;
	size_t got = 0;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
	rig = t_open(-1, s[1]);
	for (size_t len = 1; len < 4000; len += 7) {
		while (chardev_room(rig->chr) < len) {
			t_turn(rig, 0);
			got += t_check_pattern(s[0], got);
		}
		put += t_put_pattern(rig, put, len);
	}
	t_turn_until(rig, (got += t_check_pattern(s[0], got)) == put);
	t_close(rig);
	close(s[0]);
	close(s[1]);
}

/* ---- The end ------------------------------------------------------------ */

static void test_drain_is_done_when_everything_is_written(void **state)
{
	struct t_rig *rig;
	size_t put = 0;
	size_t got = 0;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	t_nonblock(p[0]);
	rig = t_open(-1, p[1]);
	put = t_put_pattern(rig, 0, CHARDEV_RING);
	chardev_drain(rig->chr, t_done, rig);
	t_turn(rig, 20);
	assert_int_equal(rig->nr_done, 0);
	while (!rig->nr_done) {
		got += t_check_pattern(p[0], got);
		t_turn(rig, 0);
	}
	got += t_check_pattern(p[0], got);
	assert_int_equal(got, put);
	t_turn(rig, 20);
	assert_int_equal(rig->nr_done, 1);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_drain_does_not_wait_for_the_gathering_time(void **state)
{
	struct t_rig *rig;
	char buf[2];
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 1);
	chardev_drain(rig->chr, t_done, rig);
	assert_int_equal(rig->nr_done, 1);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 1);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_abandon_ends_a_drain_that_waits(void **state)
{
	struct t_rig *rig;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	rig = t_open(-1, p[1]);
	t_put_pattern(rig, 0, CHARDEV_RING);
	chardev_drain(rig->chr, t_done, rig);
	t_turn(rig, 20);
	assert_int_equal(rig->nr_done, 0);
	chardev_abandon(rig->chr);
	assert_int_equal(rig->nr_done, 1);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 1);
	t_is_idle(rig);
	assert_int_equal(rig->nr_done, 1);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_abandon_without_a_drain_is_fine(void **state)
{
	struct t_rig *rig = t_open(-1, STDOUT_FILENO);

	(void)state;
	chardev_abandon(rig->chr);
	assert_int_equal(rig->nr_done, 0);
	t_close(rig);
}

static void test_destroy_with_everything_armed_leaves_nothing(void **state)
{
	int before = t_nr_fds();
	struct t_rig *rig;
	int out[2];
	int in[2];

	(void)state;
	t_pipe(in, 0);
	t_pipe(out, 0);
	rig = t_open(in[0], out[1]);
	rig->rx_room = 10;
	chardev_kick_rx(rig->chr);
	for (int i = 0; i < 20; i++) {
		t_put_pattern(rig, 0, CHARDEV_RING);
		t_turn(rig, 0);
	}
	/* And ready, so that their functions would run. */
	assert_int_equal(write(in[1], "x", 1), 1);
	close(out[0]);
	chardev_destroy(rig->chr);
	assert_int_equal(rig->nr_got, 0);
	rig->chr = NULL;
	t_close(rig);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	assert_int_equal(t_nr_fds(), before);
}

/* The timer's function, run while another watch is waited for, must arm nothing. */
static void test_destroy_with_a_kick_pending_arms_nothing(void **state)
{
	struct t_rig *rig;
	int out[2];
	int in[2];

	(void)state;
	t_pipe(in, 0);
	t_pipe(out, 0);
	rig = t_open(in[0], out[1]);
	chardev_kick_rx(rig->chr);
	for (int i = 0; i < 20; i++) {
		t_put_pattern(rig, 0, CHARDEV_RING);
		t_turn(rig, 0);
	}
	rig->rx_room = 10;
	chardev_kick_rx(rig->chr);
	t_sleep_ms(3);
	chardev_destroy(rig->chr);
	rig->chr = NULL;
	assert_int_equal(write(in[1], "x", 1), 1);
	t_turn(rig, 10);
	assert_int_equal(rig->nr_got, 0);
	t_close(rig);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

static void test_destroy_takes_null(void **state)
{
	(void)state;
	chardev_destroy(NULL);
}

static void t_refused(int in_fd, int out_fd, const char *what)
{
	struct chardev_config cfg = {
		.name = "serial0",
		.in_fd = in_fd,
		.out_fd = out_fd,
		.ops = &t_ops,
	};
	struct chardev *chr = NULL;
	int before = t_nr_fds();
	struct vmm_error err;
	struct loop *loop;

	assert_int_equal(loop_create(&loop, &err), 0);
	assert_int_equal(chardev_create(&chr, loop, &cfg, &err), -EBADF);
	assert_non_null(strstr(err.msg, what));
	assert_null(chr);
	loop_destroy(loop);
	assert_int_equal(t_nr_fds(), before);
}

static void test_bad_descriptor_is_refused_by_name(void **state)
{
	(void)state;
	t_refused(900, -1, "input descriptor 900");
	t_refused(0, 901, "output descriptor 901");
}

/* ---- Input -------------------------------------------------------------- */

static void test_input_is_read_only_as_far_as_there_is_room(void **state)
{
	struct t_rig *rig;
	int left;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	rig = t_open(p[0], -1);
	rig->rx_room = 3;
	assert_int_equal(write(p[1], "abcdefgh", 8), 8);
	t_turn(rig, 10);
	assert_int_equal(rig->nr_got, 0);	/* not before the first kick */
	chardev_kick_rx(rig->chr);
	t_turn_until(rig, rig->nr_got == 3);
	t_is_idle(rig);
	assert_int_equal(rig->nr_got, 3);
	assert_int_equal(ioctl(p[0], FIONREAD, &left), 0);
	assert_int_equal(left, 5);
	rig->rx_room = 10;
	chardev_kick_rx(rig->chr);
	t_turn_until(rig, rig->nr_got == 8);
	assert_memory_equal(rig->got, "abcdefgh", 8);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_kick_without_new_room_changes_nothing(void **state)
{
	struct t_rig *rig;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	rig = t_open(p[0], -1);
	assert_int_equal(write(p[1], "x", 1), 1);
	for (int i = 0; i < 5; i++) {
		chardev_kick_rx(rig->chr);
		t_turn(rig, 2);
	}
	assert_int_equal(rig->nr_got, 0);
	t_is_idle(rig);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void test_end_of_input_is_quiet(void **state)
{
	struct t_rig *rig;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	rig = t_open(p[0], -1);
	rig->rx_room = 100;
	assert_int_equal(write(p[1], "bye", 3), 3);
	close(p[1]);
	chardev_kick_rx(rig->chr);
	t_turn_until(rig, rig->nr_got == 3);
	t_is_idle(rig);
	chardev_kick_rx(rig->chr);
	t_is_idle(rig);
	assert_int_equal(rig->nr_lines, 0);
	t_close(rig);
	close(p[0]);
}

static void test_input_from_a_file_and_from_null(void **state)
{
	char path[] = "/tmp/test_chardev.XXXXXX";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = mkstemp(path);
	struct t_rig *rig;

	(void)state;
	assert_true(fd >= 0 && null >= 0);
	unlink(path);
	assert_int_equal(write(fd, "commands\n", 9), 9);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	rig = t_open(fd, null);
	rig->rx_room = 100;
	chardev_kick_rx(rig->chr);
	t_turn_until(rig, rig->nr_got == 9);
	t_is_idle(rig);
	t_close(rig);
	rig = t_open(null, null);
	rig->rx_room = 100;
	chardev_kick_rx(rig->chr);
	t_put_pattern(rig, 0, 1000);
	chardev_drain(rig->chr, t_done, rig);
	t_turn_until(rig, rig->nr_done);
	t_is_idle(rig);
	assert_int_equal(rig->nr_got, 0);
	t_close(rig);
	close(null);
	close(fd);
}

static void test_one_socket_both_ways(void **state)
{
	struct t_rig *rig;
	char buf[8] = "";
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	t_nonblock(s[0]);
	rig = t_open(s[1], s[1]);
	close(s[1]);		/* ours is a duplicate */
	rig->rx_room = 100;
	chardev_kick_rx(rig->chr);
	assert_int_equal(write(s[0], "in", 2), 2);
	assert_int_equal(chardev_put(rig->chr, (const u8 *)"out", 3), 3);
	t_turn_until(rig, rig->nr_got == 2 && read(s[0], buf, sizeof(buf)) == 3);
	assert_string_equal(buf, "out");
	t_close(rig);
	close(s[0]);
}

static int t_pty(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return -1;
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*slave >= 0);
	return master;
}

static void test_pty_whose_slave_was_closed_does_not_spin(void **state)
{
	struct t_rig *rig;
	int slave;
	int master = t_pty(&slave);

	(void)state;
	if (master < 0) {
		print_message("skipped: there is no /dev/ptmx\n");
		skip();
	}
	t_nonblock(master);
	rig = t_open(master, master);
	rig->rx_room = 100;
	chardev_kick_rx(rig->chr);
	close(slave);
	t_is_idle(rig);
	/* More than a pty's buffer: what nobody takes is dropped. */
	for (int i = 0; i < 50; i++) {
		t_put_pattern(rig, 0, CHARDEV_RING);
		t_turn(rig, 2);
	}
	t_is_idle(rig);
	chardev_drain(rig->chr, t_done, rig);
	t_turn_until(rig, rig->nr_done);
	t_close(rig);
	close(master);
}

static void test_blocking_terminal_gets_everything(void **state)
{
	const size_t total = 5000;
	struct t_rig *rig;
	size_t got = 0;
	int slave;
	int master = t_pty(&slave);

	(void)state;
	if (master < 0) {
		print_message("skipped: there is no /dev/ptmx\n");
		skip();
	}
	t_nonblock(master);
	rig = t_open(-1, slave);
	for (size_t i = 0; i < total; i++)
		assert_int_equal(chardev_put(rig->chr, (const u8 *)"x", 1), 1);
	t_turn_until(rig, ({
		u8 buf[4096];
		ssize_t n = read(master, buf, sizeof(buf));

		got += n > 0 ? (size_t)n : 0;
		got == total;
	}));
	t_close(rig);
	close(slave);
	close(master);
}

/* ---- The descriptor ------------------------------------------------------ */

static void test_only_what_may_wait_is_polled_first(void **state)
{
	static const u8 zeroes[100000];
	struct stream s;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, 0), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 65536) >= 65536);
	assert_int_equal(stream_init(&s, fds[1]), 0);
	assert_true(stream_must_poll(&s));
	s.no_nowait = true;		/* an older kernel */
	assert_int_equal(stream_write(&s, zeroes, sizeof(zeroes)), 4096);
	t_nonblock(fds[1]);		/* by whoever shares it */
	assert_false(stream_must_poll(&s));
	assert_int_equal(stream_write(&s, zeroes, sizeof(zeroes)), 61440);
	assert_int_equal(stream_write(&s, zeroes, sizeof(zeroes)), -EAGAIN);
	stream_fini(&s);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(stream_init(&s, fds[1]), 0);
	assert_false(stream_must_poll(&s));
	assert_int_equal(stream_read(&s, fds, sizeof(fds)), -EAGAIN);
	stream_fini(&s);
	close(fds[0]);
	close(fds[1]);
}

/* ---- Threads ------------------------------------------------------------ */

struct t_race {
	struct t_rig	*rig;
	int		fd;
	size_t		total;
};

static void *t_loop_thread(void *arg)
{
	struct t_rig *rig = arg;

	assert_int_equal(loop_run(rig->loop), 0);
	return NULL;
}

static void *t_reader_thread(void *arg)
{
	struct t_race *race = arg;
	size_t got = 0;

	while (got < race->total) {
		struct pollfd p = { .fd = race->fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, T_PATIENCE_MS), 1);
		got += t_check_pattern(race->fd, got);
	}
	return NULL;
}

static void test_vcpu_and_loop_threads_lose_nothing(void **state)
{
	struct t_race race = { .total = 1000000 };
	pthread_t loop_thread;
	pthread_t reader;
	struct t_rig *rig;
	size_t put = 0;
	unsigned int seed = 1;
	int p[2];

	(void)state;
	t_pipe(p, O_NONBLOCK);
	rig = t_open(-1, p[1]);
	race.rig = rig;
	race.fd = p[0];
	pthread_create(&loop_thread, NULL, t_loop_thread, rig);
	pthread_create(&reader, NULL, t_reader_thread, &race);
	while (put < race.total) {
		size_t len = (size_t)rand_r(&seed) % 300;

		if (len > race.total - put)
			len = race.total - put;
		pthread_mutex_lock(&rig->lock);
		if (chardev_room(rig->chr))
			put += t_put_pattern(rig, put, len);
		pthread_mutex_unlock(&rig->lock);
		if (rand_r(&seed) % 1000 == 0)
			t_sleep_ms(2);
	}
	pthread_join(reader, NULL);
	loop_quit(rig->loop);
	pthread_join(loop_thread, NULL);
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

static void *t_input_thread(void *arg)
{
	struct t_race *race = arg;
	size_t put = 0;

	while (put < race->total) {
		u8 buf[77];
		size_t n = race->total - put < sizeof(buf) ? race->total - put : sizeof(buf);
		ssize_t ret;

		for (size_t i = 0; i < n; i++)
			buf[i] = t_pattern(put + i);
		ret = write(race->fd, buf, n);
		assert_true(ret > 0);
		put += (size_t)ret;
	}
	return NULL;
}

/* The guest makes room in small pieces, at the worst moments. */
static void test_kicks_and_input_race_without_loss(void **state)
{
	struct t_race race = { .total = 60000 };
	pthread_t loop_thread;
	pthread_t writer;
	struct t_rig *rig;
	long end = t_now_ms() + 3 * T_PATIENCE_MS;
	size_t got = 0;
	int p[2];

	(void)state;
	t_pipe(p, 0);
	rig = t_open(p[0], -1);
	race.fd = p[1];
	pthread_create(&loop_thread, NULL, t_loop_thread, rig);
	pthread_create(&writer, NULL, t_input_thread, &race);
	while (got < race.total) {
		bool made_room = false;

		pthread_mutex_lock(&rig->lock);
		got = rig->nr_got;
		if (!rig->rx_room) {
			rig->rx_room = 1 + got % 64;
			made_room = true;
		}
		pthread_mutex_unlock(&rig->lock);
		if (made_room)
			chardev_kick_rx(rig->chr);
		assert_true(t_now_ms() < end);
	}
	pthread_join(writer, NULL);
	loop_quit(rig->loop);
	pthread_join(loop_thread, NULL);
	for (size_t i = 0; i < race.total; i++)
		assert_int_equal(rig->got[i], t_pattern(i));
	t_close(rig);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_bytes_arrive_in_order),
		cmocka_unit_test(test_bytes_put_singly_leave_in_one_write),
		cmocka_unit_test(test_half_a_ring_leaves_at_once),
		cmocka_unit_test(test_put_takes_no_more_than_the_ring_holds),
		cmocka_unit_test(test_full_pipe_loses_nothing_once_it_is_read),
		cmocka_unit_test(test_full_blocking_pipe_does_not_block_the_loop),
		cmocka_unit_test(test_blocking_socket_does_not_block_the_loop),
		cmocka_unit_test(test_regular_file_gets_everything),
		cmocka_unit_test(test_reader_that_is_gone_ends_output_without_a_signal),
		cmocka_unit_test(test_reader_that_goes_while_pipe_is_full_is_noticed),
		cmocka_unit_test(test_signal_that_was_pending_stays_pending),
		cmocka_unit_test(test_no_output_descriptor_swallows_everything),
		cmocka_unit_test(test_tx_room_follows_little_room_once),
		cmocka_unit_test(test_many_rings_wrap_the_counters),
		cmocka_unit_test(test_drain_is_done_when_everything_is_written),
		cmocka_unit_test(test_drain_does_not_wait_for_the_gathering_time),
		cmocka_unit_test(test_abandon_ends_a_drain_that_waits),
		cmocka_unit_test(test_abandon_without_a_drain_is_fine),
		cmocka_unit_test(test_destroy_with_everything_armed_leaves_nothing),
		cmocka_unit_test(test_destroy_with_a_kick_pending_arms_nothing),
		cmocka_unit_test(test_destroy_takes_null),
		cmocka_unit_test(test_bad_descriptor_is_refused_by_name),
		cmocka_unit_test(test_input_is_read_only_as_far_as_there_is_room),
		cmocka_unit_test(test_kick_without_new_room_changes_nothing),
		cmocka_unit_test(test_end_of_input_is_quiet),
		cmocka_unit_test(test_input_from_a_file_and_from_null),
		cmocka_unit_test(test_one_socket_both_ways),
		cmocka_unit_test(test_pty_whose_slave_was_closed_does_not_spin),
		cmocka_unit_test(test_blocking_terminal_gets_everything),
		cmocka_unit_test(test_only_what_may_wait_is_polled_first),
		cmocka_unit_test(test_vcpu_and_loop_threads_lose_nothing),
		cmocka_unit_test(test_kicks_and_input_race_without_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
