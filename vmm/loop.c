/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - an I/O thread's event loop, on io_uring
 *
 * A watch is one IORING_OP_POLL_ADD whose user_data is the watch.  Messages come
 * through a list under a mutex and one eventfd, itself watched.  A turn is: take
 * the completions, run the messages, submit what both have armed, in one system
 * call that also waits.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/loop.h"

#define RING_ENTRIES	64

struct loop {
	struct io_uring		ring;
	bool			has_ring;
	bool			quit;		/* for good; set and read on the loop's thread */
	int			bell;		/* eventfd: the inbox has something */
	struct watch		bell_watch;
	struct loop_msg		quit_msg;
	pthread_mutex_t		lock;		/* the inbox's */
	struct loop_msg		*inbox;
	struct loop_msg		**inbox_end;
};

static struct io_uring_sqe *get_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	/* The queue is full: hand over what is in it, which empties it. */
	while (!sqe) {
		io_uring_submit(&loop->ring);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	return sqe;
}

void loop_watch(struct loop *loop, struct watch *w, int fd, u32 events)
{
	struct io_uring_sqe *sqe;

	if (w->armed)
		return;
	sqe = get_sqe(loop);
	io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data(sqe, w);
	w->loop = loop;
	w->fd = fd;
	w->events = events;
	w->armed = true;
}

/* Returns true if the completion was the last of @until. */
static bool complete(struct io_uring_cqe *cqe, const struct watch *until)
{
	struct watch *w = io_uring_cqe_get_data(cqe);

	if (!w)
		return false;		/* the answer to a cancellation */
	w->armed = false;
	if (w == until)
		return true;
	/* The thread that submitted it has ended, and this one carries on. */
	if (cqe->res == -ECANCELED) {
		loop_watch(w->loop, w, w->fd, w->events);
		return false;
	}
	/* A poll that failed is told as an error of the descriptor, as poll() does. */
	w->fn(w, cqe->res < 0 ? POLLERR : (u32)cqe->res);
	return false;
}

/* Take the completions that are there; stop behind that of @until. */
static bool reap(struct loop *loop, const struct watch *until)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&loop->ring, &cqe)) {
		struct io_uring_cqe copy = *cqe;

		/* Free the slot first: the callback may call us again. */
		io_uring_cqe_seen(&loop->ring, cqe);
		if (complete(&copy, until))
			return true;
		if (until && !until->armed)
			return true;
	}
	return false;
}

void loop_unwatch(struct watch *w)
{
	struct loop *loop = w->loop;
	struct io_uring_sqe *sqe;

	if (!w->armed)
		return;
	sqe = get_sqe(loop);
	io_uring_prep_cancel(sqe, w, 0);
	io_uring_sqe_set_data(sqe, NULL);
	while (w->armed) {
		int ret = io_uring_submit_and_wait(&loop->ring, 1);

		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			break;
		reap(loop, w);
	}
}

static void on_bell(struct watch *w, u32 revents)
{
	struct loop *loop = w->arg;
	struct loop_msg *msg;
	uint64_t n;

	(void)revents;
	/* Cannot block: the poll said so, and no one else reads it. */
	if (read(loop->bell, &n, sizeof(n)) < 0)
		n = 0;
	loop_watch(loop, w, loop->bell, POLLIN);
	for (;;) {
		pthread_mutex_lock(&loop->lock);
		msg = loop->inbox;
		if (msg) {
			loop->inbox = msg->next;
			if (!loop->inbox)
				loop->inbox_end = &loop->inbox;
			msg->queued = false;
		}
		pthread_mutex_unlock(&loop->lock);
		if (!msg)
			return;
		msg->fn(msg->arg);
	}
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
	uint64_t one = 1;
	bool ring;

	pthread_mutex_lock(&loop->lock);
	ring = !loop->inbox;
	if (!msg->queued) {
		msg->queued = true;
		msg->next = NULL;
		*loop->inbox_end = msg;
		loop->inbox_end = &msg->next;
	} else {
		ring = false;
	}
	pthread_mutex_unlock(&loop->lock);
	/* Fails only at a count of 2^64 - 2, when the bell rings anyway. */
	if (ring && write(loop->bell, &one, sizeof(one)) < 0)
		return;
}

static void do_quit(void *arg)
{
	struct loop *loop = arg;

	loop->quit = true;
}

void loop_quit(struct loop *loop)
{
	loop_post(loop, &loop->quit_msg);
}

int loop_create(struct loop **out, struct vmm_error *err)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CLAMP };
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return error_set(err, -ENOMEM, "loop: no memory");
	pthread_mutex_init(&loop->lock, NULL);
	loop->inbox_end = &loop->inbox;
	loop->quit_msg = (struct loop_msg){ .fn = do_quit, .arg = loop };
	loop->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->bell < 0) {
		ret = error_sys(err, -errno, "loop: eventfd");
		goto out;
	}
	ret = io_uring_queue_init_params(RING_ENTRIES, &loop->ring, &params);
	if (ret) {
		if (ret == -ENOSYS || ret == -EPERM)
			ret = error_set(err, -ENOTSUP,
					"io_uring: not available to this process (%s); see the sysctl kernel.io_uring_disabled and the seccomp filter in force",
					ret == -ENOSYS ? "ENOSYS" : "EPERM");
		else
			ret = error_sys(err, ret, "io_uring: setting up a ring");
		goto out;
	}
	loop->has_ring = true;
	loop->bell_watch = (struct watch){ .fn = on_bell, .arg = loop };
	loop_watch(loop, &loop->bell_watch, loop->bell, POLLIN);
	*out = loop;
	return 0;
out:
	loop_destroy(loop);
	return ret;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->has_ring) {
		loop_unwatch(&loop->bell_watch);
		io_uring_queue_exit(&loop->ring);
	}
	fd_close(&loop->bell);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static bool transient(int ret)
{
	return ret == -EINTR || ret == -EAGAIN || ret == -EBUSY || ret == -ETIME;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		int ret = io_uring_submit_and_wait(&loop->ring, 1);

		if (ret < 0 && !transient(ret))
			return ret;
		reap(loop, NULL);
	}
	return 0;
}

int loop_dispatch(struct loop *loop)
{
	int ret;

	reap(loop, NULL);
	ret = io_uring_submit(&loop->ring);
	if (ret < 0 && !transient(ret))
		return ret;
	/* What was ready at once is there now, and may not ring again. */
	reap(loop, NULL);
	ret = io_uring_submit(&loop->ring);
	return ret < 0 && !transient(ret) ? ret : 0;
}

int loop_submit(struct loop *loop)
{
	int ret = io_uring_submit(&loop->ring);

	return ret < 0 && !transient(ret) ? ret : 0;
}

int loop_fd(const struct loop *loop)
{
	return loop->ring.ring_fd;
}
