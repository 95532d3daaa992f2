/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loop.c - an I/O thread's event loop
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/loop.h"

static int t_eventfd(u64 n)
{
	int fd = eventfd((unsigned int)n, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void ring(int fd)
{
	u64 one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

struct seen {
	u32		nr;
	u32		revents;
	int		fd;
	bool		again;
	bool		quit;
	struct watch	*unwatch;
};

static void on_watch(struct watch *w, u32 revents)
{
	struct seen *seen = w->arg;
	u64 n;

	seen->nr++;
	seen->revents = revents;
	if (read(w->fd, &n, sizeof(n)) < 0)
		n = 0;
	if (seen->again)
		loop_watch(w->loop, w, w->fd, POLLIN);
	if (seen->unwatch)
		loop_unwatch(seen->unwatch);
	if (seen->quit)
		loop_quit(w->loop);
}

static void test_watch_fires_once_an_arming(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	int fd = t_eventfd(1);

	(void)state;
	loop_watch(loop, &w, fd, POLLIN);
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(seen.revents, POLLIN);
	ring(fd);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 1);
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 2);
	loop_destroy(loop);
	close(fd);
}

static void test_unwatched_is_silent(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	int fd = t_eventfd(0);

	(void)state;
	loop_unwatch(&w);
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	loop_unwatch(&w);
	assert_false(w.armed);
	ring(fd);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 0);

	/* Also when it was ready, but nobody had looked. */
	loop_watch(loop, &w, fd, POLLIN);
	loop_unwatch(&w);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 0);
	loop_destroy(loop);
	close(fd);
}

static void test_callback_may_unwatch_another_that_is_ready(void **state)
{
	struct loop *loop = t_loop();
	struct seen a = { 0 };
	struct seen b = { 0 };
	struct watch wa = { .fn = on_watch, .arg = &a };
	struct watch wb = { .fn = on_watch, .arg = &b };
	int fa = t_eventfd(1);
	int fb = t_eventfd(1);

	(void)state;
	a.unwatch = &wb;
	b.unwatch = &wa;
	loop_watch(loop, &wa, fa, POLLIN);
	loop_watch(loop, &wb, fb, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(a.nr + b.nr, 1);
	loop_destroy(loop);
	close(fa);
	close(fb);
}

static void t_not_done(struct loop_io *io, int res)
{
	(void)io, (void)res;
	fail();
}

/* While one is waited for, a callback waits for another, and sees the end of the first. */
static void test_unwatch_amid_an_unwatch(void **state)
{
	struct seen ready = { 0 }, quiet = { 0 };
	struct watch by_watch = { .fn = on_watch, .arg = &ready };
	struct watch first = { .fn = on_watch, .arg = &quiet }, second = first;
	struct loop_io io = { .done = t_not_done };
	int fd = t_eventfd(1), silent = eventfd(0, EFD_CLOEXEC);
	struct loop *loop;
	u64 n;

	(void)state;
	assert_true(silent >= 0);
	alarm(60);
	assert_int_equal(loop_create(&loop, NULL), 0);
	ready.unwatch = &second;
	for (u32 i = 0; i < 2; i++) {
		loop_watch(loop, &by_watch, fd, POLLIN);
		loop_watch(loop, &second, silent, POLLIN);
		if (i)
			loop_read(loop, &io, silent, &n, sizeof(n), 0);
		else
			loop_watch(loop, &first, silent, POLLIN);
		/* The end of the first is behind that of who is ready, and before the second's. */
		assert_int_equal(loop_submit(loop), 0);
		if (i)
			loop_cancel(loop, &io);
		else
			loop_unwatch(&first);
		/* Without io_uring the first may have ended before anybody was called. */
		assert_int_equal(loop_dispatch(loop), 0);
		assert_int_equal(ready.nr, i + 1);
		assert_int_equal(quiet.nr, 0);
		assert_false(first.armed || second.armed || io.busy);
		ring(fd);
	}
	loop_destroy(loop);
	close(fd);
	close(silent);
	alarm(0);
}

static void test_bad_descriptor_is_an_error_of_it(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	int fd = t_eventfd(0);

	(void)state;
	close(fd);
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(seen.revents, POLLERR);
	assert_false(w.armed);
	loop_destroy(loop);
}

static void test_hangup_is_reported(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	loop_watch(loop, &w, fds[0], POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.revents & POLLHUP, POLLHUP);
	loop_destroy(loop);
	close(fds[0]);
}

/* More than the ring has entries, at once. */
static void test_many_watches_at_once(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w[200];
	int fds[ARRAY_SIZE(w)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct watch){ .fn = on_watch, .arg = &seen };
		fds[i] = t_eventfd(1);
		loop_watch(loop, &w[i], fds[i], POLLIN);
	}
	for (int i = 0; i < 10 && seen.nr < ARRAY_SIZE(w); i++)
		assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, ARRAY_SIZE(w));
	loop_destroy(loop);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		close(fds[i]);
}

static void *run(void *arg)
{
	return (void *)(intptr_t)loop_run(arg);
}

static void t_join(pthread_t thread)
{
	void *ret;

	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
}

struct box {
	struct loop_msg	msg;
	u32		nr;		/* on the loop's thread */
	u32		*order;
	u32		at;
	pthread_t	thread;
	struct loop	*loop;
	u32		repost;
};

static void on_msg(void *arg)
{
	struct box *box = arg;

	box->nr++;
	box->thread = pthread_self();
	if (box->order)
		box->at = (*box->order)++;
	if (box->repost) {
		box->repost--;
		loop_post(box->loop, &box->msg);
	}
}

static void test_messages_run_on_the_loop_in_order(void **state)
{
	struct loop *loop = t_loop();
	struct box box[10];
	u32 order = 0;
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(box); i++) {
		box[i] = (struct box){ .order = &order, .msg = { .fn = on_msg, .arg = &box[i] } };
		loop_post(loop, &box[i].msg);
	}
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
	loop_quit(loop);
	t_join(thread);
	for (size_t i = 0; i < ARRAY_SIZE(box); i++) {
		assert_int_equal(box[i].nr, 1);
		assert_int_equal(box[i].at, i);
		assert_true(pthread_equal(box[i].thread, thread));
	}
	loop_destroy(loop);
}

static void test_message_that_is_queued_is_not_queued_again(void **state)
{
	struct loop *loop = t_loop();
	struct box box = { .msg = { .fn = on_msg, .arg = &box } };

	(void)state;
	for (int i = 0; i < 5; i++)
		loop_post(loop, &box.msg);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(box.nr, 1);
	loop_post(loop, &box.msg);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(box.nr, 2);
	loop_destroy(loop);
}

static void test_message_may_post_itself(void **state)
{
	struct loop *loop = t_loop();
	struct box box = { .msg = { .fn = on_msg, .arg = &box }, .loop = loop, .repost = 3 };

	(void)state;
	loop_post(loop, &box.msg);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(box.nr, 4);
	loop_destroy(loop);
}

struct poster {
	struct loop	*loop;
	struct box	*box;
	u32		rounds;
};

static void *post(void *arg)
{
	struct poster *p = arg;

	for (u32 i = 0; i < p->rounds; i++)
		loop_post(p->loop, &p->box->msg);
	return NULL;
}

/* No doorbell is lost: after the last post, the message runs once more. */
static void test_posts_from_many_threads_arrive(void **state)
{
	struct loop *loop = t_loop();
	struct box box[4];
	struct poster posters[4];
	pthread_t threads[4];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		box[i] = (struct box){ .msg = { .fn = on_msg, .arg = &box[i] } };
		posters[i] = (struct poster){ loop, &box[i], 2000 };
		assert_int_equal(pthread_create(&threads[i], NULL, post, &posters[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	loop_quit(loop);
	t_join(thread);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_in_range(box[i].nr, 1, 2000);
		assert_false(box[i].msg.queued);
	}
	loop_destroy(loop);
}

static void test_quit_is_for_good(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { .quit = true };
	struct watch w = { .fn = on_watch, .arg = &seen };
	int fd = t_eventfd(1);

	(void)state;
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(seen.nr, 1);
	/* Whoever comes late goes at once. */
	assert_int_equal(loop_run(loop), 0);
	loop_destroy(loop);
	close(fd);
}

/* What a host with a loop of its own does. */
static void test_descriptor_is_readable_when_there_is_work(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	struct box box = { .msg = { .fn = on_msg, .arg = &box } };
	struct pollfd pfd = { .fd = loop_fd(loop), .events = POLLIN };
	int fd = t_eventfd(0);

	(void)state;
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	ring(fd);
	assert_int_equal(poll(&pfd, 1, T_TIMEOUT_MS), 1);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(seen.nr, 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	loop_post(loop, &box.msg);
	assert_int_equal(poll(&pfd, 1, T_TIMEOUT_MS), 1);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(box.nr, 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	loop_destroy(loop);
	close(fd);
}

static void test_destroyed_loop_leaves_nothing(void **state)
{
	struct t_process before;

	(void)state;
	loop_destroy(t_loop());
	t_process_save(&before);
	for (int i = 0; i < 100; i++)
		loop_destroy(t_loop());
	loop_destroy(NULL);
	t_process_check(&before);
}

static void *dispatch_once(void *arg)
{
	loop_dispatch(arg);
	return NULL;
}

/* A watch armed by a thread that has ended belongs to the loop's next thread. */
static void test_unwatch_after_its_thread_ended(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	pthread_t thread;
	int fd = t_eventfd(0);

	(void)state;
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(pthread_create(&thread, NULL, dispatch_once, loop), 0);
	pthread_join(thread, NULL);
	loop_unwatch(&w);
	assert_false(w.armed);
	assert_int_equal(seen.nr, 0);
	loop_destroy(loop);
	close(fd);
}

/* What a thread has armed ends with it, and not when another one cancels it, a tick later. */
static void test_thread_takes_along_what_it_has_armed(void **state)
{
	struct loop *loop = t_loop();
	struct pollfd pfd = { .fd = loop_fd(loop), .events = POLLIN };
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	pthread_t thread;
	int fd = t_eventfd(0);

	(void)state;
	loop_watch(loop, &w, fd, POLLIN);
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
	loop_quit(loop);
	t_join(thread);
	assert_true(loop_is_soft(loop) || poll(&pfd, 1, 0) == 1);
	loop_unwatch(&w);
	assert_false(w.armed);
	assert_int_equal(seen.nr, 0);
	loop_destroy(loop);
	close(fd);
}

/* ---- Operations ----------------------------------------------------------- */

struct op {
	struct loop_io	io;
	struct loop	*loop;
	u32		nr;
	int		res;
};

static void on_done(struct loop_io *io, int res)
{
	struct op *op = io->arg;

	op->nr++;
	op->res = res;
}

static struct op t_op(struct loop *loop)
{
	return (struct op){ .loop = loop, .io.done = on_done };
}

static int t_wait(struct op *op)
{
	op->io.arg = op;
	t_until(loop_dispatch(op->loop) || op->nr);
	assert_int_equal(op->nr, 1);
	assert_false(op->io.busy);
	return op->res;
}

/* Whoever takes over the thread finds nothing in its ring that it has not already. */
static void test_ring_opens_and_connects_nothing(void **state)
{
	const struct sockaddr addr = { .sa_family = AF_UNIX };
	struct loop *loop = t_loop();
	struct io_uring_sqe *sqe;
	struct op op = t_op(loop);

	(void)state;
	sqe = loop_sqe(loop, &op.io);
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(t_wait(&op), -EACCES);
	op = t_op(loop);
	sqe = loop_sqe(loop, &op.io);
	io_uring_prep_connect(sqe, -1, &addr, sizeof(addr));
	assert_int_equal(t_wait(&op), -EACCES);
	loop_destroy(loop);
}

/* ... and T_NO_IO_URING makes a difference: check-threads.sh. */
static void test_threads_where_io_uring_is_refused(void **state)
{
	struct loop *loop = t_loop();

	(void)state;
	assert_int_equal(loop_is_soft(loop), !!getenv("T_NO_IO_URING"));
	loop_destroy(loop);
}

static void test_operations_have_their_result(void **state)
{
	struct loop *loop = t_loop();
	char out[2][4] = { "abc", "def" };
	char in[8] = "";
	const struct iovec iov[2] = { { out[0], 3 }, { out[1], 3 } };
	const struct iovec back = { in, sizeof(in) };
	int fd = t_file("", 0);
	struct op op = t_op(loop);

	(void)state;
	loop_writev(loop, &op.io, fd, iov, 2, 2, 0);
	assert_true(op.io.busy);
	assert_int_equal(t_wait(&op), 6);
	op = t_op(loop);
	loop_readv(loop, &op.io, fd, &back, 1, 0, 0);
	assert_int_equal(t_wait(&op), 8);
	assert_memory_equal(in, "\0\0abcdef", 8);
	op = t_op(loop);
	loop_read(loop, &op.io, fd, in, 2, 6);
	assert_int_equal(t_wait(&op), 2);
	assert_memory_equal(in, "ef", 2);
	op = t_op(loop);
	loop_fdatasync(loop, &op.io, fd);
	assert_int_equal(t_wait(&op), 0);
	op = t_op(loop);
	loop_fallocate(loop, &op.io, fd, 0, 0, 100);
	assert_int_equal(t_wait(&op), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 100);
	op = t_op(loop);
	loop_read(loop, &op.io, -1, in, 2, 0);
	assert_int_equal(t_wait(&op), -EBADF);
	loop_destroy(loop);
	close(fd);
}

static void test_cancelled_operation_is_silent(void **state)
{
	struct loop *loop = t_loop();
	int fd = eventfd(0, EFD_CLOEXEC);
	struct op op = t_op(loop);
	u64 n;

	(void)state;
	op.io.arg = &op;
	loop_cancel(loop, &op.io);		/* was never submitted */
	loop_read(loop, &op.io, fd, &n, sizeof(n), 0);
	assert_int_equal(loop_dispatch(loop), 0);
	loop_cancel(loop, &op.io);
	assert_false(op.io.busy);
	ring(fd);
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(op.nr, 0);
	loop_destroy(loop);
	close(fd);
}

/* Once asked or again and again; who begins to listen late has missed nothing, either. */
static void test_listening_hears_each_write(void **state)
{
	struct loop *loop = t_loop();
	int fd = eventfd(0, EFD_CLOEXEC);
	struct op op = t_op(loop);
	u64 count;
	u32 before;

	(void)state;
	op.io.arg = &op;
	ring(fd);
	for (u32 i = 0; i < 1000; i++) {
		if (!op.io.busy)
			loop_listen(loop, &op.io, fd, &count);
		before = op.nr;
		if (i)
			ring(fd);
		/* In the kernel already, or not yet. */
		if (i % 3 == 0)
			assert_int_equal(loop_submit(loop), 0);
		t_until(loop_dispatch(loop) || op.nr > before);
		assert_true(op.res > 0);
	}
	/* Nobody is called for nothing, or for ever. */
	if (!op.io.busy)
		loop_listen(loop, &op.io, fd, &count);
	before = op.nr;
	for (u32 i = 0; i < 100; i++)
		assert_int_equal(loop_dispatch(loop), 0);
	assert_in_range(op.nr, before, before + 1);
	before = op.nr;
	ring(fd);
	loop_cancel(loop, &op.io);
	assert_false(op.io.busy);
	ring(fd);
	for (u32 i = 0; i < 10; i++)
		assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(op.nr, before);
	loop_destroy(loop);
	close(fd);
}

static void on_ready(struct watch *w, u32 revents)
{
	struct seen *seen = w->arg;

	seen->nr++;
	seen->revents = revents;
}

/* In both directions, by more than one: each has what is its own. */
static void test_many_wait_for_one_descriptor(void **state)
{
	struct loop *loop = t_loop();
	struct seen in = { 0 };
	struct seen out = { 0 };
	struct watch win = { .fn = on_ready, .arg = &in };
	struct watch wout = { .fn = on_ready, .arg = &out };
	struct op op[2] = { t_op(loop), t_op(loop) };
	char buf[2] = "";
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	for (int i = 0; i < 2; i++) {
		op[i].io.arg = &op[i];
		io_uring_prep_recv(loop_sqe(loop, &op[i].io), fds[0], buf + i, 1, 0);
	}
	assert_int_equal(loop_dispatch(loop), 0);
	assert_int_equal(op[0].nr + op[1].nr, 0);
	loop_watch(loop, &wout, fds[0], POLLOUT);
	t_until(loop_dispatch(loop) || out.nr);
	assert_int_equal(out.revents, POLLOUT);
	assert_int_equal(op[0].nr + op[1].nr, 0);
	assert_int_equal(write(fds[1], "a", 1), 1);
	t_until(loop_dispatch(loop) || op[0].nr || op[1].nr);
	assert_int_equal(op[0].nr + op[1].nr, 1);
	/* The others come and go, and it waits on. */
	loop_watch(loop, &win, fds[0], POLLIN);
	assert_int_equal(loop_dispatch(loop), 0);
	loop_unwatch(&win);
	assert_int_equal(write(fds[1], "b", 1), 1);
	t_until(loop_dispatch(loop) || op[0].nr + op[1].nr == 2);
	assert_int_equal(buf[0] + buf[1], 'a' + 'b');
	assert_int_equal(op[0].res + op[1].res, 2);
	assert_int_equal(in.nr, 0);
	assert_int_equal(out.nr, 1);
	loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

/* A number is not a descriptor: what waited on the old one says nothing of the new. */
static void test_descriptors_share_a_number_in_turn(void **state)
{
	struct loop *loop = t_loop();

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct seen seen = { 0 };
		struct watch w = { .fn = on_watch, .arg = &seen };
		int fd = t_eventfd(0);

		loop_watch(loop, &w, fd, POLLIN);
		assert_int_equal(loop_dispatch(loop), 0);
		assert_int_equal(seen.nr, 0);
		if (i % 2) {
			ring(fd);
			t_until(loop_dispatch(loop) || seen.nr);
		} else {
			loop_unwatch(&w);
		}
		close(fd);
	}
	loop_destroy(loop);
}

/* What cannot be waited for is ready, as poll() has it. */
static void test_devices_without_poll_are_ready(void **state)
{
	struct loop *loop = t_loop();
	struct seen seen = { 0 };
	struct watch w = { .fn = on_watch, .arg = &seen };
	struct op op = t_op(loop);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int file = t_file("x", 1);
	char buf[4];

	(void)state;
	loop_read(loop, &op.io, fd, buf, sizeof(buf), 0);
	assert_int_equal(t_wait(&op), 0);
	loop_watch(loop, &w, file, POLLIN);
	t_until(loop_dispatch(loop) || seen.nr);
	assert_int_equal(seen.revents, POLLIN);
	loop_destroy(loop);
	close(fd);
	close(file);
}

static void on_done_quit(struct loop_io *io, int res)
{
	struct op *op = io->arg;

	on_done(io, res);
	loop_quit(op->loop);
}

static void test_timeouts_end_in_order(void **state)
{
	struct __kernel_timespec late = { .tv_sec = 1000 };
	struct __kernel_timespec soon = { .tv_nsec = 30000000 };
	struct loop *loop = t_loop();
	struct op op[3] = { t_op(loop), t_op(loop), t_op(loop) };
	u64 begin = t_now_ms();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		op[i].io.arg = &op[i];
		io_uring_prep_timeout(loop_sqe(loop, &op[i].io), i == 1 ? &soon : &late, 0, 0);
	}
	assert_int_equal(loop_dispatch(loop), 0);
	loop_cancel(loop, &op[0].io);
	assert_int_equal(op[0].nr + op[1].nr, 0);
	t_until(loop_dispatch(loop) || op[1].nr);
	assert_int_equal(op[1].res, -ETIME);
	assert_in_range(t_now_ms() - begin, 29, T_TIMEOUT_MS);
	assert_int_equal(op[0].nr + op[2].nr, 0);
	/* ... and a loop that runs wakes for them as well. */
	op[1] = t_op(loop);
	op[1].io.arg = &op[1];
	op[1].io.done = on_done_quit;
	io_uring_prep_timeout(loop_sqe(loop, &op[1].io), &soon, 0, 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(op[1].nr, 1);
	loop_cancel(loop, &op[2].io);
	loop_destroy(loop);
}

static void test_lent_loop_starts_no_thread(void **state)
{
	struct vmm_error err = { 0 };
	struct t_process before;
	struct t_process now;
	struct loop *loop;
	struct pollfd pfd = { .events = POLLIN };
	char buf[4];
	int fd = t_file("abcd", 4);
	struct op op;

	(void)state;
	t_process_save(&before);
	assert_int_equal(loop_create_lent(&loop, &err), 0);
	t_process_save(&now);
	assert_int_equal(before.nr_threads, now.nr_threads);
	pfd.fd = loop_fd(loop);
	op = t_op(loop);
	op.io.arg = &op;
	loop_read(loop, &op.io, fd, buf, sizeof(buf), 0);
	/* A host that has only submitted sees at its descriptor that there is more to do. */
	assert_int_equal(loop_submit(loop), 0);
	assert_int_equal(op.nr, 0);
	assert_int_equal(poll(&pfd, 1, T_TIMEOUT_MS), 1);
	assert_int_equal(t_wait(&op), 4);
	assert_memory_equal(buf, "abcd", 4);
	loop_dispatch(loop);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	loop_destroy(loop);
	close(fd);
}

static size_t t_allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* A few at a time for long: what the loop needs for them is that of a few. */
static void test_operations_take_memory_once(void **state)
{
	struct loop *loop = t_loop();
	int fd = t_file("x", 1);
	struct op op[8];
	size_t before = 0;
	char c[8];

	(void)state;
	for (u32 n = 0; n < 5000; n++) {
		if (n == 100)
			before = t_allocated();
		for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
			op[i] = t_op(loop);
			op[i].io.arg = &op[i];
			loop_read(loop, &op[i].io, fd, &c[i], 1, 0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(op); i++)
			t_until(loop_dispatch(loop) || op[i].nr);
	}
	assert_true(T_SANITIZED || t_allocated() < before + KIB(4));
	loop_destroy(loop);
	close(fd);
}

struct turn {
	struct loop		*loop;
	struct loop_defer	defer;
	struct loop_msg		msg;
	u32			nr_deferred;
	u32			nr_messages;
};

static void on_defer(void *arg)
{
	((struct turn *)arg)->nr_deferred++;
}

/* Posts itself for ever, and asks for the end of the turn twice. */
static void on_turn(void *arg)
{
	struct turn *t = arg;

	t->nr_messages++;
	loop_defer(t->loop, &t->defer);
	loop_defer(t->loop, &t->defer);
	loop_post(t->loop, &t->msg);
}

static void test_turn_ends_and_then_what_was_deferred_runs_once(void **state)
{
	struct turn t = { .loop = t_loop() };

	(void)state;
	t.defer = (struct loop_defer){ .fn = on_defer, .arg = &t };
	t.msg = (struct loop_msg){ .fn = on_turn, .arg = &t };
	loop_post(t.loop, &t.msg);
	/* A dispatch is two turns at most: it comes back all the same. */
	assert_int_equal(loop_dispatch(t.loop), 0);
	assert_in_range(t.nr_messages, 1, 2);
	assert_int_equal(t.nr_deferred, t.nr_messages);
	loop_destroy(t.loop);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch_fires_once_an_arming),
		cmocka_unit_test(test_unwatched_is_silent),
		cmocka_unit_test(test_callback_may_unwatch_another_that_is_ready),
		cmocka_unit_test(test_unwatch_amid_an_unwatch),
		cmocka_unit_test(test_bad_descriptor_is_an_error_of_it),
		cmocka_unit_test(test_hangup_is_reported),
		cmocka_unit_test(test_many_watches_at_once),
		cmocka_unit_test(test_messages_run_on_the_loop_in_order),
		cmocka_unit_test(test_message_that_is_queued_is_not_queued_again),
		cmocka_unit_test(test_message_may_post_itself),
		cmocka_unit_test(test_posts_from_many_threads_arrive),
		cmocka_unit_test(test_quit_is_for_good),
		cmocka_unit_test(test_descriptor_is_readable_when_there_is_work),
		cmocka_unit_test(test_destroyed_loop_leaves_nothing),
		cmocka_unit_test(test_unwatch_after_its_thread_ended),
		cmocka_unit_test(test_thread_takes_along_what_it_has_armed),
		cmocka_unit_test(test_ring_opens_and_connects_nothing),
		cmocka_unit_test(test_threads_where_io_uring_is_refused),
		cmocka_unit_test(test_operations_have_their_result),
		cmocka_unit_test(test_cancelled_operation_is_silent),
		cmocka_unit_test(test_listening_hears_each_write),
		cmocka_unit_test(test_many_wait_for_one_descriptor),
		cmocka_unit_test(test_descriptors_share_a_number_in_turn),
		cmocka_unit_test(test_devices_without_poll_are_ready),
		cmocka_unit_test(test_timeouts_end_in_order),
		cmocka_unit_test(test_lent_loop_starts_no_thread),
		cmocka_unit_test(test_operations_take_memory_once),
		cmocka_unit_test(test_turn_ends_and_then_what_was_deferred_runs_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
