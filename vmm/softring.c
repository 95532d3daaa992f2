/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softring.c - what a loop needs of io_uring, by epoll, where it is refused
 *
 * What has to become ready is in an epoll set, armed for one event at a time, and is done
 * without blocking when it is.  What blocks whatever one does, which is all that is done to
 * files, is a worker's, one after the other, who rings a bell that is in the set as well; or,
 * where no thread may be made, it is done at once, and the loop waits.  The set is itself
 * a descriptor that a host can poll.  Nothing of a file can be cancelled once it has begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/softring.h"
#include "vmm/thread.h"

#define EVENTS		32	/* taken at once */

/* The same bits, the one a short and the other an enum. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI &&
	       EPOLLERR == POLLERR && EPOLLHUP == POLLHUP, "poll's events and epoll's");

struct op {
	struct io_uring_sqe	sqe;
	struct op		*next;
	u64			deadline;	/* of a timeout, in ns */
	int			res;
};

struct list {
	struct op	*first;
	struct op	**end;
};

struct softring {
	/* The loop's. */
	struct list	prepared;
	struct list	waiting;	/* for something to become ready */
	struct list	timeouts;
	struct list	taken;		/* completions */
	struct op	*free;
	int		set;		/* epoll */
	int		timer;		/* of the first of .timeouts */

	int		bell;		/* eventfd: there may be completions */
	pthread_mutex_t	lock;
	pthread_cond_t	work;
	struct list	files;		/* for the worker */
	struct list	done;		/* by it */
	bool		quit;
	pthread_t	worker;
	bool		has_worker;
};

static void list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void append(struct list *l, struct op *op)
{
	op->next = NULL;
	*l->end = op;
	l->end = &op->next;
}

static struct op *take_first(struct list *l)
{
	struct op *op = l->first;

	if (op) {
		l->first = op->next;
		if (!l->first)
			l->end = &l->first;
	}
	return op;
}

static void take_out(struct list *l, struct op *op)
{
	struct op **at = &l->first;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	if (!op->next)
		l->end = at;
}

static void ring_bell(const struct softring *ring)
{
	const u64 one = 1;

	/* Non-blocking; at 2^64 - 2 it is readable anyway. */
	if (write(ring->bell, &one, sizeof(one)) < 0)
		return;
}

/* Of the bell, or the timer: neither blocks. */
static void clear(int fd)
{
	u64 n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

static void complete(struct softring *ring, struct op *op, int res)
{
	op->res = res;
	append(&ring->taken, op);
}

/* ---- What an entry asks for ---------------------------------------------------- */

/* The elements of a READ or WRITE, of one or of several. */
static const struct iovec *elements(const struct io_uring_sqe *sqe, struct iovec *one, int *nr)
{
	if (sqe->opcode == IORING_OP_READV || sqe->opcode == IORING_OP_WRITEV) {
		*nr = (int)sqe->len;
		return (const struct iovec *)(uintptr_t)sqe->addr;
	}
	*one = (struct iovec){ .iov_base = (void *)(uintptr_t)sqe->addr, .iov_len = sqe->len };
	*nr = 1;
	return one;
}

static bool writes(const struct io_uring_sqe *sqe)
{
	return sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_WRITEV;
}

static ssize_t move(const struct io_uring_sqe *sqe, off_t off, int flags)
{
	struct iovec one;
	int nr;
	const struct iovec *iov = elements(sqe, &one, &nr);

	return writes(sqe) ? pwritev2(sqe->fd, iov, nr, off, flags) :
			     preadv2(sqe->fd, iov, nr, off, flags);
}

static ssize_t try_file(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_FSYNC:
		return sqe->fsync_flags & IORING_FSYNC_DATASYNC ? fdatasync(sqe->fd) :
								  fsync(sqe->fd);
	case IORING_OP_FALLOCATE:
		return fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr);
	}
	return move(sqe, (off_t)sqe->off, (int)sqe->rw_flags);
}

/* Blocks.  A thread that was lent may have signals; what they interrupt begins again. */
static int do_file(const struct io_uring_sqe *sqe)
{
	ssize_t ret;

	do
		ret = try_file(sqe);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : (int)ret;
}

/* What is ready need not be so any more: -EAGAIN then, as far as the kernel lets us. */
static ssize_t move_now(const struct io_uring_sqe *sqe)
{
	ssize_t ret = move(sqe, -1, RWF_NOWAIT);
	struct iovec one;
	int nr;
	const struct iovec *iov;

	if (ret >= 0 || errno != EOPNOTSUPP)
		return ret;
	iov = elements(sqe, &one, &nr);
	return writes(sqe) ? writev(sqe->fd, iov, nr) : readv(sqe->fd, iov, nr);
}

/* Does not block.  -EAGAIN: go on waiting. */
static int do_ready(const struct io_uring_sqe *sqe, u32 revents)
{
	int flags = (int)sqe->msg_flags | MSG_DONTWAIT;
	void *addr = (void *)(uintptr_t)sqe->addr;
	ssize_t ret;

	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return (int)revents;
	case IORING_OP_RECV:
		ret = recv(sqe->fd, addr, sqe->len, flags);
		break;
	case IORING_OP_SEND:
		ret = send(sqe->fd, addr, sqe->len, flags | MSG_NOSIGNAL);
		break;
	case IORING_OP_RECVMSG:
		ret = recvmsg(sqe->fd, addr, flags);
		break;
	case IORING_OP_SENDMSG:
		ret = sendmsg(sqe->fd, addr, flags | MSG_NOSIGNAL);
		break;
	default:
		ret = move_now(sqe);
	}
	if (ret >= 0)
		return (int)ret;
	return errno == EINTR ? -EAGAIN : -errno;
}

static u32 events_of(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return sqe->poll32_events;
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return POLLOUT;
	}
	return writes(sqe) ? POLLOUT : POLLIN;
}

/* ---- The worker: files --------------------------------------------------------- */

static void *work(void *arg)
{
	struct softring *ring = arg;
	struct op *op;

	pthread_setname_np(pthread_self(), "vmm-files");
	pthread_mutex_lock(&ring->lock);
	for (;;) {
		while (!ring->files.first && !ring->quit)
			pthread_cond_wait(&ring->work, &ring->lock);
		if (ring->quit)
			break;
		op = take_first(&ring->files);
		pthread_mutex_unlock(&ring->lock);
		op->res = do_file(&op->sqe);
		pthread_mutex_lock(&ring->lock);
		append(&ring->done, op);
		ring_bell(ring);
	}
	pthread_mutex_unlock(&ring->lock);
	return NULL;
}

static void ask_worker(struct softring *ring, struct op *op)
{
	pthread_mutex_lock(&ring->lock);
	append(&ring->files, op);
	pthread_cond_signal(&ring->work);
	pthread_mutex_unlock(&ring->lock);
}

static void take_done(struct softring *ring)
{
	struct op *op;

	clear(ring->bell);
	pthread_mutex_lock(&ring->lock);
	while ((op = take_first(&ring->done)))
		append(&ring->taken, op);
	pthread_mutex_unlock(&ring->lock);
}

/* ---- The set: everything that becomes ready --------------------------------------- */

/* Have @fd in the set for what is waited for there, once; nothing any more: out of it. */
static int arm(struct softring *ring, int fd)
{
	struct epoll_event ev = { .data.fd = fd };

	for (const struct op *op = ring->waiting.first; op; op = op->next)
		if (op->sqe.fd == fd)
			ev.events |= events_of(&op->sqe) | EPOLLONESHOT;
	if (!ev.events)
		return epoll_ctl(ring->set, EPOLL_CTL_DEL, fd, &ev) ? -errno : 0;
	if (!epoll_ctl(ring->set, EPOLL_CTL_MOD, fd, &ev))
		return 0;
	/* Who closes a descriptor takes it out, and another may have its number. */
	if (errno == ENOENT && !epoll_ctl(ring->set, EPOLL_CTL_ADD, fd, &ev))
		return 0;
	return -errno;
}

/* Whoever waits there is told if it is for nothing. */
static void arm_or_fail(struct softring *ring, int fd)
{
	int ret = arm(ring, fd);
	struct op *next;

	for (struct op *op = ring->waiting.first; op && ret; op = next) {
		next = op->next;
		if (op->sqe.fd != fd)
			continue;
		take_out(&ring->waiting, op);
		/* A file, or a device without poll(): as with poll(), always ready. */
		complete(ring, op, ret == -EPERM ? do_ready(&op->sqe, events_of(&op->sqe)) : ret);
	}
}

/* Do what waits for this of @fd. */
static void serve(struct softring *ring, int fd, u32 revents)
{
	bool left = false;
	struct op *next;

	for (struct op *op = ring->waiting.first; op; op = next) {
		u32 mine = revents & (events_of(&op->sqe) | EPOLLERR | EPOLLHUP);
		int res = -EAGAIN;

		next = op->next;
		if (op->sqe.fd != fd)
			continue;
		if (mine)
			res = do_ready(&op->sqe, mine);
		if (res == -EAGAIN) {
			left = true;
			continue;
		}
		take_out(&ring->waiting, op);
		complete(ring, op, res);
	}
	if (left)
		arm_or_fail(ring, fd);
}

static void set_timer(struct softring *ring)
{
	struct itimerspec when = { 0 };
	u64 first = 0;

	for (const struct op *op = ring->timeouts.first; op; op = op->next)
		if (!first || op->deadline < first)
			first = op->deadline;
	when.it_value.tv_sec = (time_t)(first / 1000000000ull);
	when.it_value.tv_nsec = (long)(first % 1000000000ull);
	timerfd_settime(ring->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void start_timeout(struct softring *ring, struct op *op)
{
	const struct __kernel_timespec *ts =
		(const struct __kernel_timespec *)(uintptr_t)op->sqe.addr;

	op->deadline = now_ns() + (u64)ts->tv_sec * 1000000000ull + (u64)ts->tv_nsec;
	append(&ring->timeouts, op);
	set_timer(ring);
}

static void expire(struct softring *ring)
{
	u64 now = now_ns();
	struct op *next;

	clear(ring->timer);
	for (struct op *op = ring->timeouts.first; op; op = next) {
		next = op->next;
		if (op->deadline > now)
			continue;
		take_out(&ring->timeouts, op);
		complete(ring, op, -ETIME);
	}
	set_timer(ring);
}

/* Take what is ready; wait for it if @timeout is -1. */
static void collect(struct softring *ring, int timeout)
{
	struct epoll_event ready[EVENTS];
	int nr = epoll_wait(ring->set, ready, EVENTS, timeout);

	for (int i = 0; i < nr; i++) {
		if (ready[i].data.fd == ring->bell)
			take_done(ring);
		else if (ready[i].data.fd == ring->timer)
			expire(ring);
		else
			serve(ring, ready[i].data.fd, ready[i].events);
	}
}

/* ---- The loop ------------------------------------------------------------------- */

struct io_uring_sqe *softring_sqe(struct softring *ring)
{
	struct op *op = ring->free;

	if (op)
		ring->free = op->next;
	else
		op = malloc(sizeof(*op));
	if (!op)
		return NULL;
	*op = (struct op){ .next = NULL };
	append(&ring->prepared, op);
	return &op->sqe;
}

static struct op *find(const struct list *l, u64 user_data)
{
	struct op *op = l->first;

	while (op && op->sqe.user_data != user_data)
		op = op->next;
	return op;
}

static struct op *take_from_worker(struct softring *ring, u64 user_data)
{
	struct op *op;

	pthread_mutex_lock(&ring->lock);
	op = find(&ring->files, user_data);
	if (op)
		take_out(&ring->files, op);
	pthread_mutex_unlock(&ring->lock);
	return op;
}

static int cancel(struct softring *ring, u64 user_data)
{
	struct op *op;

	if ((op = find(&ring->waiting, user_data))) {
		take_out(&ring->waiting, op);
		arm(ring, op->sqe.fd);
	} else if ((op = find(&ring->timeouts, user_data))) {
		take_out(&ring->timeouts, op);
		set_timer(ring);
	} else {
		op = take_from_worker(ring, user_data);
	}
	if (!op)
		return -ENOENT;
	complete(ring, op, -ECANCELED);
	return 0;
}

/* 1: it is; 0: it is not.  Where nobody knows, an offset must not be left out. */
static int is_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
}

static void do_or_ask(struct softring *ring, struct op *op)
{
	if (ring->has_worker)
		ask_worker(ring, op);
	else
		complete(ring, op, do_file(&op->sqe));
}

static void hand_over(struct softring *ring, struct op *op)
{
	int ret;

	switch (op->sqe.opcode) {
	case IORING_OP_ASYNC_CANCEL:
		complete(ring, op, cancel(ring, op->sqe.addr));
		return;
	case IORING_OP_TIMEOUT:
		start_timeout(ring, op);
		return;
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		ret = is_file(op->sqe.fd);
		if (!ret)
			break;
		if (ret < 0)
			complete(ring, op, ret);
		else
			do_or_ask(ring, op);
		return;
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
		do_or_ask(ring, op);
		return;
	case IORING_OP_POLL_ADD:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
		break;
	default:
		complete(ring, op, -EACCES);	/* as a ring that is restricted has it */
		return;
	}
	append(&ring->waiting, op);
	arm_or_fail(ring, op->sqe.fd);
}

static void hand_over_all(struct softring *ring)
{
	struct op *op;

	while ((op = take_first(&ring->prepared)))
		hand_over(ring, op);
}

void softring_submit(struct softring *ring)
{
	hand_over_all(ring);
	/* For who polls the set. */
	if (ring->taken.first)
		ring_bell(ring);
}

void softring_wait(struct softring *ring)
{
	hand_over_all(ring);
	if (!ring->taken.first)
		collect(ring, -1);
}

bool softring_next(struct softring *ring, u64 *user_data, int *res)
{
	struct op *op;

	if (!ring->taken.first)
		collect(ring, 0);
	op = take_first(&ring->taken);
	if (!op)
		return false;
	*user_data = op->sqe.user_data;
	*res = op->res;
	op->next = ring->free;
	ring->free = op;
	return true;
}

int softring_fd(const struct softring *ring)
{
	return ring->set;
}

/* ---- From the loop ---------------------------------------------------------------- */

static int add(struct softring *ring, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(ring->set, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int set_up(struct softring *ring)
{
	int ret;

	ring->set = epoll_create1(EPOLL_CLOEXEC);
	if (ring->set < 0)
		return -errno;
	ring->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->bell < 0)
		return -errno;
	ring->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ring->timer < 0)
		return -errno;
	ret = add(ring, ring->bell);
	return ret ? ret : add(ring, ring->timer);
}

int softring_create(struct softring **out, bool threads, struct vmm_error *err)
{
	struct softring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return error_set(err, -ENOMEM, "loop: no memory");
	ring->set = ring->bell = ring->timer = -1;
	list_init(&ring->prepared);
	list_init(&ring->waiting);
	list_init(&ring->timeouts);
	list_init(&ring->taken);
	list_init(&ring->files);
	list_init(&ring->done);
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->work, NULL);
	ret = set_up(ring);
	if (!ret && threads) {
		ret = thread_spawn(&ring->worker, work, ring);
		ring->has_worker = !ret;
	}
	if (ret) {
		softring_destroy(ring);
		return error_sys(err, ret, "loop: what takes the place of io_uring");
	}
	*out = ring;
	return 0;
}

static void free_ops(struct op *op)
{
	while (op) {
		struct op *next = op->next;

		free(op);
		op = next;
	}
}

void softring_destroy(struct softring *ring)
{
	if (!ring)
		return;
	pthread_mutex_lock(&ring->lock);
	ring->quit = true;
	pthread_cond_signal(&ring->work);
	pthread_mutex_unlock(&ring->lock);
	if (ring->has_worker)
		pthread_join(ring->worker, NULL);
	free_ops(ring->prepared.first);
	free_ops(ring->waiting.first);
	free_ops(ring->timeouts.first);
	free_ops(ring->taken.first);
	free_ops(ring->files.first);
	free_ops(ring->done.first);
	free_ops(ring->free);
	fd_close(&ring->timer);
	fd_close(&ring->bell);
	fd_close(&ring->set);
	pthread_cond_destroy(&ring->work);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}
