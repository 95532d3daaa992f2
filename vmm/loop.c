/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - an I/O thread's event loop, on io_uring
 *
 * A watch is one IORING_OP_POLL_ADD whose user_data is the watch, an operation has
 * its address there with IS_IO set.  Messages come through a list under a mutex and
 * one eventfd, itself watched.  A turn is: take the completions, run the messages and
 * what they have deferred, submit what all have armed, in one system call that also
 * waits.
 *
 * Where io_uring is refused, epoll and a thread do the same by the same entries: softring.c.
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
#include "vmm/softring.h"

#define RING_ENTRIES	64
#define IS_IO		1ull	/* in user_data */
#define MOST_PAUSES	1000	/* of a millisecond each */

/* An entry that the ring had no room for. */
struct late {
	struct io_uring_sqe	sqe;
	struct late		*next;
};

struct loop {
	struct io_uring		ring;
	bool			has_ring;
	bool			listens;	/* one entry polls for good: Linux 5.18 */
	struct softring		*soft;		/* in place of it, or NULL */
	struct late		*late;		/* behind what is in the ring, the oldest first */
	struct late		**late_end;
	int			broken;		/* why entries have been lost, or 0 */
	struct io_uring_sqe	nowhere;	/* those that are */
	bool			quit;		/* for good; set and read on the loop's thread */
	int			bell;		/* eventfd: the inbox has something */
	struct watch		bell_watch;
	struct loop_msg		quit_msg;
	pthread_mutex_t		lock;		/* the inbox's */
	struct loop_msg		*inbox;
	struct loop_msg		**inbox_end;
	struct loop_defer	*deferred;	/* the latest first */
};

/* ---- The ring, whoever it is ------------------------------------------------- */

static struct io_uring_sqe *next_sqe(struct loop *loop)
{
	return loop->soft ? softring_sqe(loop->soft) : io_uring_get_sqe(&loop->ring);
}

/* Of io_uring_enter(2): it may go better the next time. */
static bool transient(int ret)
{
	return ret == -EINTR || ret == -EAGAIN || ret == -EBUSY || ret == -ETIME;
}

/* A kernel without memory (EAGAIN), a millisecond later; or true: there are completions. */
static bool pause_a_little(struct loop *loop)
{
	struct pollfd ring = { .fd = loop_fd(loop), .events = POLLIN };

	return poll(&ring, 1, 1) > 0;
}

/* Those that came late go in their turn: an entry may be the cancellation of one before it. */
static void move_up(struct loop *loop)
{
	while (loop->late) {
		struct late *first = loop->late;
		struct io_uring_sqe *sqe = next_sqe(loop);

		if (!sqe)
			return;
		*sqe = first->sqe;
		loop->late = first->next;
		if (!loop->late)
			loop->late_end = &loop->late;
		free(first);
	}
}

/*
 * Hand over everything.  If that fails with EBUSY, a kernel before 5.13 wants completions taken
 * first; then the ring is full of them, so that whoever waits for it or polls it is woken.
 */
static int submit(struct loop *loop)
{
	int ret;

	if (loop->broken)
		return loop->broken;
	if (loop->soft) {
		softring_submit(loop->soft);
		return 0;
	}
	do {
		move_up(loop);
		ret = io_uring_submit(&loop->ring);
	} while (ret > 0 && (loop->late || io_uring_sq_ready(&loop->ring)));
	return ret;
}

static int submit_and_wait(struct loop *loop)
{
	int ret = loop->late ? submit(loop) : 0;

	if (loop->broken)
		return loop->broken;
	if (loop->soft) {
		softring_wait(loop->soft);
		return 0;
	}
	/* Else there is more to do than to wait. */
	if (!loop->late)
		ret = io_uring_submit_and_wait(&loop->ring, 1);
	if (ret == -EAGAIN)
		pause_a_little(loop);
	return ret;
}

struct completion {
	u64	user_data;
	int	res;
	bool	more;		/* are to come of the same entry */
};

/* A completion whose slot is free again: what it calls may call us. */
static bool next_cqe(struct loop *loop, struct completion *c)
{
	struct io_uring_cqe *cqe;

	if (loop->soft) {
		c->more = false;
		return softring_next(loop->soft, &c->user_data, &c->res);
	}
	if (io_uring_peek_cqe(&loop->ring, &cqe))
		return false;
	*c = (struct completion){ cqe->user_data, cqe->res, cqe->flags & IORING_CQE_F_MORE };
	io_uring_cqe_seen(&loop->ring, cqe);
	return true;
}

static struct io_uring_sqe *add_late(struct loop *loop)
{
	struct late *late = calloc(1, sizeof(*late));

	if (!late)
		return NULL;
	*loop->late_end = late;
	loop->late_end = &late->next;
	return &late->sqe;
}

/* The queue is full: hand over what is in it, which empties it. */
static struct io_uring_sqe *make_room(struct loop *loop)
{
	int ret = submit(loop);
	struct io_uring_sqe *sqe = next_sqe(loop);

	if (!sqe && ret < 0 && !transient(ret))
		loop->broken = ret;
	return sqe;
}

/*
 * Never NULL.  Who asks is in the midst of something and must not be called, so no completion
 * is taken to make room.  Of a ring that fails for good, or that there is no memory for, the
 * entry goes nowhere, and the end of the turn tells.
 */
static struct io_uring_sqe *get_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = NULL;

	if (loop->broken)
		return &loop->nowhere;
	if (!loop->late)
		sqe = next_sqe(loop);
	if (!sqe && !loop->late)
		sqe = make_room(loop);
	if (!sqe && !loop->soft && !loop->broken)
		sqe = add_late(loop);
	if (sqe)
		return sqe;
	if (!loop->broken)
		loop->broken = -ENOMEM;
	return &loop->nowhere;
}

/* ---- Watches ------------------------------------------------------------------ */

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
static bool complete(const struct completion *c, const void *until)
{
	struct watch *w = (struct watch *)(uintptr_t)c->user_data;
	int res = c->res;

	if (!w)
		return false;		/* the answer to a cancellation */
	if (c->user_data & IS_IO) {
		struct loop_io *io = (struct loop_io *)(uintptr_t)(c->user_data & ~IS_IO);

		io->busy = c->more;
		if (io == until)
			return true;
		if (!io->leaving)
			io->done(io, res);
		return false;
	}
	w->armed = false;
	if (w == until)
		return true;
	/* Somebody below us on the stack waits for this. */
	if (w->leaving)
		return false;
	/* The thread that submitted it has ended, and this one carries on. */
	if (res == -ECANCELED) {
		loop_watch(w->loop, w, w->fd, w->events);
		return false;
	}
	/* A poll that failed is told as an error of the descriptor, as poll() does. */
	w->fn(w, res < 0 ? POLLERR : (u32)res);
	return false;
}

/* Take the completions that are there; stop behind that of @until, if it is *@busy. */
static bool reap(struct loop *loop, const void *until, const bool *busy)
{
	struct completion c;

	while (next_cqe(loop, &c)) {
		if (complete(&c, until))
			return true;
		if (busy && !*busy)
			return true;
	}
	return false;
}

/*
 * Cancel what has @data and wait until it is no more @busy.  What ends meanwhile is called, and
 * may cancel something itself; that one then sees the end of ours, which is @leaving.
 */
static void cancel(struct loop *loop, u64 data, const void *until, const bool *busy, bool *leaving)
{
	struct io_uring_sqe *sqe;

	if (!*busy)
		return;
	*leaving = true;
	sqe = get_sqe(loop);
	io_uring_prep_cancel64(sqe, data, 0);
	io_uring_sqe_set_data(sqe, NULL);
	while (*busy) {
		int ret = submit_and_wait(loop);

		if (ret < 0 && !transient(ret))
			break;
		reap(loop, until, busy);
	}
	*leaving = false;
}

void loop_unwatch(struct watch *w)
{
	cancel(w->loop, (uintptr_t)w, w, &w->armed, &w->leaving);
}

/* ---- Operations ----------------------------------------------------------- */

struct io_uring_sqe *loop_sqe(struct loop *loop, struct loop_io *io)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io->busy = true;
	/* Preparing an entry leaves its user_data alone. */
	io_uring_sqe_set_data64(sqe, (uintptr_t)io | IS_IO);
	return sqe;
}

void loop_read(struct loop *loop, struct loop_io *io, int fd, void *buf, u32 len, u64 off)
{
	io_uring_prep_read(loop_sqe(loop, io), fd, buf, len, off);
}

/* More is not moved at once anyway (MAX_RW_COUNT of the kernel). */
static u32 clamp_len(size_t len)
{
	return len < GIB(1) ? (u32)len : (u32)GIB(1);
}

/*
 * Each write wakes who polls an eventfd, whatever it has counted already.  So nothing has to be
 * read, and no other entry armed; what it has counted is found when polling begins.
 */
void loop_listen(struct loop *loop, struct loop_io *io, int eventfd, u64 *count)
{
	if (loop->listens)
		io_uring_prep_poll_multishot(loop_sqe(loop, io), eventfd, POLLIN);
	else
		loop_read(loop, io, eventfd, count, sizeof(*count), 0);
}

void loop_readv(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		unsigned int nr, u64 off, int flags)
{
	struct io_uring_sqe *sqe = loop_sqe(loop, io);

	/* One element need not be copied by the kernel, and kept meanwhile. */
	if (nr == 1)
		io_uring_prep_read(sqe, fd, iov->iov_base, clamp_len(iov->iov_len), off);
	else
		io_uring_prep_readv(sqe, fd, iov, nr, off);
	sqe->rw_flags = flags;
}

void loop_writev(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		 unsigned int nr, u64 off, int flags)
{
	struct io_uring_sqe *sqe = loop_sqe(loop, io);

	if (nr == 1)
		io_uring_prep_write(sqe, fd, iov->iov_base, clamp_len(iov->iov_len), off);
	else
		io_uring_prep_writev(sqe, fd, iov, nr, off);
	sqe->rw_flags = flags;
}

void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd)
{
	io_uring_prep_fsync(loop_sqe(loop, io), fd, IORING_FSYNC_DATASYNC);
}

void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode, u64 off, u64 len)
{
	io_uring_prep_fallocate(loop_sqe(loop, io), fd, mode, (off_t)off, (off_t)len);
}

void loop_cancel(struct loop *loop, struct loop_io *io)
{
	cancel(loop, (uintptr_t)io | IS_IO, io, &io->busy, &io->leaving);
}

/* ---- What comes at the end of a turn --------------------------------------- */

void loop_defer(struct loop *loop, struct loop_defer *d)
{
	if (d->queued)
		return;
	d->queued = true;
	d->next = loop->deferred;
	loop->deferred = d;
}

static void run_deferred(struct loop *loop)
{
	while (loop->deferred) {
		struct loop_defer *d = loop->deferred;

		loop->deferred = d->next;
		d->queued = false;
		d->fn(d->arg);
	}
}

static void take_turn(struct loop *loop)
{
	reap(loop, NULL, NULL);
	run_deferred(loop);
}

/* ---- Messages ----------------------------------------------------------------- */

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
	pthread_mutex_lock(&loop->lock);
	msg = loop->inbox;
	loop->inbox = NULL;
	loop->inbox_end = &loop->inbox;
	/* Those that are posted from here on are for the next turn, so that one ends. */
	while (msg) {
		struct loop_msg *next = msg->next;

		msg->queued = false;
		pthread_mutex_unlock(&loop->lock);
		msg->fn(msg->arg);
		pthread_mutex_lock(&loop->lock);
		msg = next;
	}
	pthread_mutex_unlock(&loop->lock);
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

/*
 * What a ring can be asked for.  No filter of system calls sees what a ring does; one
 * that opens nothing and connects to nothing is of little use to whoever takes over its
 * thread.  An operation that has no place here ends with EACCES.
 */
static const u8 ring_ops[] = {
	IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT,
	IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV,
	IORING_OP_FSYNC, IORING_OP_FALLOCATE,
	IORING_OP_SEND, IORING_OP_RECV, IORING_OP_SENDMSG, IORING_OP_RECVMSG,
};

/* For good, and before it takes anything. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction list[ARRAY_SIZE(ring_ops)] = { 0 };
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(ring_ops); i++) {
		list[i].opcode = IORING_RESTRICTION_SQE_OP;
		list[i].sqe_op = ring_ops[i];
	}
	/* Not by liburing's names for the two: 2.3 declares them and has them not. */
	ret = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, list,
				ARRAY_SIZE(ring_ops));
	if (!ret)
		ret = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return ret;
}

/* By the sysctl kernel.io_uring_disabled, a filter of system calls, or for good. */
static bool is_refusal(int ret)
{
	return ret == -ENOSYS || ret == -EPERM;
}

static int ring_up(struct loop *loop, bool threads, struct vmm_error *err)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED };
	int ret = io_uring_queue_init_params(RING_ENTRIES, &loop->ring, &params);

	if (is_refusal(ret))
		return softring_create(&loop->soft, threads, err);
	if (ret)
		return error_sys(err, ret, "io_uring: setting up a ring");
	ret = restrict_ring(&loop->ring);
	if (!ret) {
		loop->has_ring = true;
		/* There is no feature that says so; one of the release that made it reliable is. */
		loop->listens = params.features & IORING_FEAT_LINKED_FILE;
		return 0;
	}
	io_uring_queue_exit(&loop->ring);
	if (is_refusal(ret))
		return softring_create(&loop->soft, threads, err);
	return error_sys(err, ret, "io_uring: restricting a ring");
}

static int create(struct loop **out, bool threads, struct vmm_error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return error_set(err, -ENOMEM, "loop: no memory");
	pthread_mutex_init(&loop->lock, NULL);
	loop->inbox_end = &loop->inbox;
	loop->late_end = &loop->late;
	loop->quit_msg = (struct loop_msg){ .fn = do_quit, .arg = loop };
	loop->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->bell < 0) {
		ret = error_sys(err, -errno, "loop: eventfd");
		goto out;
	}
	ret = ring_up(loop, threads, err);
	if (ret)
		goto out;
	loop->bell_watch = (struct watch){ .fn = on_bell, .arg = loop };
	loop_watch(loop, &loop->bell_watch, loop->bell, POLLIN);
	*out = loop;
	return 0;
out:
	loop_destroy(loop);
	return ret;
}

int loop_create(struct loop **loop, struct vmm_error *err)
{
	return create(loop, true, err);
}

int loop_create_lent(struct loop **loop, struct vmm_error *err)
{
	return create(loop, false, err);
}

bool loop_ring_possible(void)
{
	struct vmm_error err;
	struct loop *loop;
	bool possible;

	if (loop_create_lent(&loop, &err))
		return false;
	possible = loop->has_ring;
	loop_destroy(loop);
	return possible;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->bell_watch.armed)
		loop_unwatch(&loop->bell_watch);
	if (loop->has_ring)
		io_uring_queue_exit(&loop->ring);
	softring_destroy(loop->soft);
	while (loop->late) {
		struct late *next = loop->late->next;

		free(loop->late);
		loop->late = next;
	}
	fd_close(&loop->bell);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/*
 * The thread ends, and takes along what it has armed.  Cancelled by another one, each of these
 * would take the kernel a tick or two (io_uring's fallback_work).  What a disk has not done yet
 * is tried again by whoever waits for it; before 5.19 nothing is taken along.
 */
static void part(struct loop *loop)
{
	struct io_uring_sqe *sqe;

	if (loop->soft || loop->broken)
		return;
	sqe = get_sqe(loop);
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data(sqe, NULL);
	submit(loop);
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		int ret = submit_and_wait(loop);

		if (ret < 0 && !transient(ret))
			return ret;
		take_turn(loop);
	}
	part(loop);
	return 0;
}

/*
 * For who is elsewhere until the ring has something.  Of what the kernel has no memory for
 * nothing would tell, so it is tried again, as nothing else can be done for long.
 */
static int hand_over(struct loop *loop)
{
	int ret = submit(loop);

	for (int i = 0; i < MOST_PAUSES && ret == -EAGAIN; i++) {
		if (pause_a_little(loop))
			return 0;
		ret = submit(loop);
	}
	if (ret == -EAGAIN)
		ret = loop->broken = -ENOMEM;
	return ret < 0 && !transient(ret) ? ret : 0;
}

int loop_dispatch(struct loop *loop)
{
	int ret;

	take_turn(loop);
	ret = hand_over(loop);
	if (ret)
		return ret;
	/* What was ready at once is there now, and may not ring again. */
	take_turn(loop);
	return hand_over(loop);
}

int loop_submit(struct loop *loop)
{
	return hand_over(loop);
}

bool loop_is_soft(const struct loop *loop)
{
	return loop->soft;
}

int loop_fd(const struct loop *loop)
{
	return loop->soft ? softring_fd(loop->soft) : loop->ring.ring_fd;
}
