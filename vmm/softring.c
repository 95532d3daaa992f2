/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softring.c - what a loop needs of io_uring, by two threads, where it is refused
 *
 * One thread polls for what has to become ready, and does it then without blocking; the
 * other does what blocks whatever one does, which is all that is done to files, one after
 * the other.  Either ends with a ring of the eventfd that the loop waits on.  What is ready
 * when the loop looks it does itself, at once, as io_uring would.  Nothing of a file can
 * be cancelled once it has begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/softring.h"
#include "vmm/thread.h"

#define POLL_EARLY	64	/* of a poll's memory, which grows */

struct op {
	struct io_uring_sqe	sqe;
	struct op		*next;
	u64			deadline;	/* of a timeout, in ns */
	const struct polls	*polled;	/* the latest to do so, as number .slot */
	u32			slot;
	bool			cancelled;
	int			res;
};

/* Those that wait, as poll() has them. */
struct polls {
	struct pollfd	*fds;
	u32		nr;
	u32		max;
	u64		deadline;
};

struct list {
	struct op	*first;
	struct op	**end;
};

struct softring {
	/* The loop's. */
	struct list	prepared;
	struct list	taken;		/* completions */
	struct op	*free;

	int		bell;		/* eventfd: something is in .done */
	int		wake;		/* eventfd: look at .waiting again */
	pthread_mutex_t	lock;
	pthread_cond_t	work;
	struct list	files;		/* for the worker */
	struct list	waiting;	/* for something to become ready */
	struct list	done;
	bool		quit;

	struct polls	looks;		/* the loop's */
	struct polls	sleeps;		/* the poller's */

	pthread_t	poller;
	pthread_t	worker;
	bool		has_poller;
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

static void ring_eventfd(int fd)
{
	const u64 one = 1;

	/* Non-blocking; at 2^64 - 2 it is readable anyway. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void clear_eventfd(int fd)
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

/* With the lock held. */
static void complete(struct softring *ring, struct op *op, int res)
{
	op->res = res;
	append(&ring->done, op);
	ring_eventfd(ring->bell);
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

/* On the worker. */
static int do_file(const struct io_uring_sqe *sqe)
{
	ssize_t ret;

	switch (sqe->opcode) {
	case IORING_OP_FSYNC:
		ret = sqe->fsync_flags & IORING_FSYNC_DATASYNC ? fdatasync(sqe->fd) :
								 fsync(sqe->fd);
		break;
	case IORING_OP_FALLOCATE:
		ret = fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr);
		break;
	default:
		ret = move(sqe, (off_t)sqe->off, (int)sqe->rw_flags);
	}
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

/* On the poller.  -EAGAIN: go on waiting. */
static int do_ready(const struct io_uring_sqe *sqe, u32 revents)
{
	int flags = (int)sqe->msg_flags | MSG_DONTWAIT;
	void *addr = (void *)(uintptr_t)sqe->addr;
	ssize_t ret;

	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return revents & POLLNVAL ? -EBADF : (int)revents;
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
	return ret < 0 ? -errno : (int)ret;
}

static short events_of(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return (short)sqe->poll32_events;
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
		int res;

		while (!ring->files.first && !ring->quit)
			pthread_cond_wait(&ring->work, &ring->lock);
		if (ring->quit)
			break;
		op = take_first(&ring->files);
		pthread_mutex_unlock(&ring->lock);
		res = do_file(&op->sqe);
		pthread_mutex_lock(&ring->lock);
		complete(ring, op, res);
	}
	pthread_mutex_unlock(&ring->lock);
	return NULL;
}

/* ---- The poller: everything that becomes ready ----------------------------------- */

/* With the lock held.  Without memory not all are there, and those behind wait longer. */
static void fill(struct softring *ring, struct polls *p)
{
	u32 want = 1;

	for (struct op *op = ring->waiting.first; op; op = op->next)
		want++;
	if (want > p->max) {
		struct pollfd *more = realloc(p->fds, 2 * want * sizeof(*more));

		if (more) {
			p->fds = more;
			p->max = 2 * want;
		}
	}
	p->nr = 0;
	p->fds[p->nr++] = (struct pollfd){ .fd = ring->wake, .events = POLLIN };
	p->deadline = UINT64_MAX;
	for (struct op *op = ring->waiting.first; op && p->nr < p->max; op = op->next) {
		bool timeout = op->sqe.opcode == IORING_OP_TIMEOUT;

		op->polled = p;
		op->slot = p->nr;
		/* A timeout's is ignored. */
		p->fds[p->nr++] = (struct pollfd){
			.fd = timeout ? -1 : op->sqe.fd, .events = timeout ? 0 : events_of(&op->sqe),
		};
		if (timeout && op->deadline < p->deadline)
			p->deadline = op->deadline;
	}
}

static void wait_for(struct polls *p)
{
	u64 now = now_ns();
	u64 left = p->deadline > now ? p->deadline - now : 0;
	const struct timespec ts = {
		.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull),
	};

	if (ppoll(p->fds, p->nr, p->deadline == UINT64_MAX ? NULL : &ts, NULL) < 0)
		for (u32 i = 0; i < p->nr; i++)
			p->fds[i].revents = 0;
}

/* With the lock held: what has come of @op, or -EAGAIN. */
static int look(const struct op *op, u32 revents)
{
	if (op->cancelled)
		return -ECANCELED;
	if (op->sqe.opcode == IORING_OP_TIMEOUT)
		return op->deadline <= now_ns() ? -ETIME : -EAGAIN;
	if (op->sqe.fd < 0)
		return -EBADF;
	return revents ? do_ready(&op->sqe, revents) : -EAGAIN;
}

/* With the lock held, after a poll: those that were in it, and are there still. */
static void take_ready(struct softring *ring, const struct polls *p)
{
	struct op *next;

	for (struct op *op = ring->waiting.first; op; op = next) {
		int res = look(op, op->polled == p ? (u32)p->fds[op->slot].revents : 0);

		next = op->next;
		/*
		 * A descriptor that is polled is held open by that: to tell that it is not
		 * any more is left to who was asleep on it.
		 */
		if (res == -EAGAIN || (res == -ECANCELED && p != &ring->sleeps))
			continue;
		take_out(&ring->waiting, op);
		complete(ring, op, res);
	}
}

static void *poll_all(void *arg)
{
	struct softring *ring = arg;

	pthread_setname_np(pthread_self(), "vmm-poll");
	pthread_mutex_lock(&ring->lock);
	while (!ring->quit) {
		fill(ring, &ring->sleeps);
		pthread_mutex_unlock(&ring->lock);
		wait_for(&ring->sleeps);
		pthread_mutex_lock(&ring->lock);
		if (ring->sleeps.fds[0].revents)
			clear_eventfd(ring->wake);
		take_ready(ring, &ring->sleeps);
	}
	pthread_mutex_unlock(&ring->lock);
	return NULL;
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

/* With the lock held. */
static int cancel(struct softring *ring, u64 user_data)
{
	for (struct op *op = ring->waiting.first; op; op = op->next) {
		if (op->sqe.user_data != user_data || op->cancelled)
			continue;
		op->cancelled = true;
		return 0;
	}
	for (struct op *op = ring->files.first; op; op = op->next) {
		if (op->sqe.user_data != user_data)
			continue;
		take_out(&ring->files, op);
		complete(ring, op, -ECANCELED);
		return 0;
	}
	return -ENOENT;
}

static bool is_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

/* With the lock held.  True: for the poller. */
static bool hand_over(struct softring *ring, struct op *op)
{
	const struct __kernel_timespec *ts;

	switch (op->sqe.opcode) {
	case IORING_OP_ASYNC_CANCEL:
		complete(ring, op, cancel(ring, op->sqe.addr));
		return true;
	case IORING_OP_TIMEOUT:
		ts = (const struct __kernel_timespec *)(uintptr_t)op->sqe.addr;
		op->deadline = now_ns() + (u64)ts->tv_sec * 1000000000ull + (u64)ts->tv_nsec;
		break;
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		if (!is_file(op->sqe.fd))
			break;
		/* fallthrough */
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
		append(&ring->files, op);
		pthread_cond_signal(&ring->work);
		return false;
	case IORING_OP_POLL_ADD:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
		break;
	default:
		complete(ring, op, -EACCES);	/* as a ring that is restricted has it */
		return false;
	}
	append(&ring->waiting, op);
	return true;
}

void softring_submit(struct softring *ring)
{
	bool wake = false;
	struct op *op;

	if (!ring->prepared.first)
		return;
	pthread_mutex_lock(&ring->lock);
	while ((op = take_first(&ring->prepared)))
		wake |= hand_over(ring, op);
	pthread_mutex_unlock(&ring->lock);
	if (wake)
		ring_eventfd(ring->wake);
}

void softring_wait(struct softring *ring)
{
	struct pollfd p = { .fd = ring->bell, .events = POLLIN };

	softring_submit(ring);
	if (!ring->taken.first)
		poll(&p, 1, -1);
}

static void take_done(struct softring *ring)
{
	clear_eventfd(ring->bell);
	pthread_mutex_lock(&ring->lock);
	fill(ring, &ring->looks);
	if (poll(ring->looks.fds, ring->looks.nr, 0) >= 0)
		take_ready(ring, &ring->looks);
	if (ring->done.first) {
		ring->taken = ring->done;
		list_init(&ring->done);
	}
	pthread_mutex_unlock(&ring->lock);
}

bool softring_next(struct softring *ring, u64 *user_data, int *res)
{
	struct op *op;

	if (!ring->taken.first)
		take_done(ring);
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
	return ring->bell;
}

/* ---- From the loop ---------------------------------------------------------------- */

static int polls_init(struct polls *p)
{
	p->fds = malloc(POLL_EARLY * sizeof(*p->fds));
	if (!p->fds)
		return -ENOMEM;
	p->max = POLL_EARLY;
	return 0;
}

static int start(struct softring *ring)
{
	int ret;

	if (polls_init(&ring->looks) || polls_init(&ring->sleeps))
		return -ENOMEM;
	ring->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->bell < 0)
		return -errno;
	ring->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->wake < 0)
		return -errno;
	ret = thread_spawn(&ring->poller, poll_all, ring);
	ring->has_poller = !ret;
	if (!ret) {
		ret = thread_spawn(&ring->worker, work, ring);
		ring->has_worker = !ret;
	}
	return ret;
}

int softring_create(struct softring **out, struct vmm_error *err)
{
	struct softring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return error_set(err, -ENOMEM, "loop: no memory");
	ring->bell = ring->wake = -1;
	list_init(&ring->prepared);
	list_init(&ring->taken);
	list_init(&ring->files);
	list_init(&ring->waiting);
	list_init(&ring->done);
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->work, NULL);
	ret = start(ring);
	if (ret) {
		softring_destroy(ring);
		return error_sys(err, ret, "loop: threads in place of io_uring");
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
	if (ring->has_poller) {
		ring_eventfd(ring->wake);
		pthread_join(ring->poller, NULL);
	}
	if (ring->has_worker)
		pthread_join(ring->worker, NULL);
	free_ops(ring->prepared.first);
	free_ops(ring->taken.first);
	free_ops(ring->files.first);
	free_ops(ring->waiting.first);
	free_ops(ring->done.first);
	free_ops(ring->free);
	free(ring->looks.fds);
	free(ring->sleeps.fds);
	fd_close(&ring->bell);
	fd_close(&ring->wake);
	pthread_cond_destroy(&ring->work);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}
