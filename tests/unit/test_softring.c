/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_softring.c - a loop without io_uring on a host that fails
 *
 * A life of a loop in which everything is asked for once, with each of the system's calls
 * failing in turn, interrupted, or doing a part.  What was asked for is done or fails, and
 * ends once; what did not fail has its result; and nothing is left.  The Makefile renames
 * the calls of the library to those here.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/loop.h"

#define ODD_ERRNO	EDOM	/* nothing returns it by itself */

/* ---- The calls ------------------------------------------------------------------- */

enum how { FAIL, INTERRUPT, PART };

static struct {
	pthread_mutex_t	lock;
	bool		armed;
	enum how	how;
	u32		at;		/* the call that it happens to, from 1 */
	u32		nr;
	const char	*what;		/* it was; NULL: there were fewer calls */
	bool		made_part;
} plan = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Does it happen to this call, which may be interrupted; or to what it moves? */
static bool hit(const char *what, bool waits, bool moves)
{
	bool it;

	pthread_mutex_lock(&plan.lock);
	it = plan.armed && (plan.how == PART ? moves : !moves && (plan.how == FAIL || waits)) &&
	     ++plan.nr == plan.at;
	if (it)
		plan.what = what;
	pthread_mutex_unlock(&plan.lock);
	return it;
}

static bool fails(const char *what, bool waits, int error)
{
	if (!hit(what, waits, false))
		return false;
	errno = plan.how == INTERRUPT ? EINTR : error;
	return true;
}

void *t_malloc(size_t size);
void *t_calloc(size_t n, size_t size);
int t_eventfd(unsigned int n, int flags);
int t_timerfd_create(int clock, int flags);
int t_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old);
int t_fstat(int fd, struct stat *st);
int t_epoll_create1(int flags);
int t_epoll_ctl(int set, int op, int fd, struct epoll_event *ev);
int t_epoll_wait(int set, struct epoll_event *ev, int max, int timeout);
ssize_t t_preadv2(int fd, const struct iovec *iov, int nr, off_t off, int flags);
ssize_t t_pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags);
ssize_t t_readv(int fd, const struct iovec *iov, int nr);
ssize_t t_writev(int fd, const struct iovec *iov, int nr);
int t_fsync(int fd);
int t_fdatasync(int fd);
int t_fallocate(int fd, int mode, off_t off, off_t len);
ssize_t t_recv(int fd, void *buf, size_t len, int flags);
ssize_t t_send(int fd, const void *buf, size_t len, int flags);
ssize_t t_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t t_sendmsg(int fd, const struct msghdr *msg, int flags);
int t_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int t_io_uring_queue_init_params(unsigned int n, struct io_uring *ring, struct io_uring_params *p);

void *t_malloc(size_t size) { return fails("malloc", false, ENOMEM) ? NULL : malloc(size); }
void *t_calloc(size_t n, size_t size) { return fails("calloc", false, ENOMEM) ? NULL : calloc(n, size); }

#define CALL(what, waits, real) (fails(what, waits, ODD_ERRNO) ? -1 : (real))

int t_eventfd(unsigned int n, int flags) { return CALL("eventfd", false, eventfd(n, flags)); }
int t_timerfd_create(int clock, int flags) { return CALL("timerfd_create", false, timerfd_create(clock, flags)); }
int t_fstat(int fd, struct stat *st) { return CALL("fstat", false, fstat(fd, st)); }
int t_epoll_create1(int flags) { return CALL("epoll_create1", false, epoll_create1(flags)); }
int t_fsync(int fd) { return CALL("fsync", true, fsync(fd)); }
int t_fdatasync(int fd) { return CALL("fdatasync", true, fdatasync(fd)); }

/* With a timer that is there and a time that is one it cannot fail. */
int t_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	return timerfd_settime(fd, flags, when, old);
}

int t_epoll_ctl(int set, int op, int fd, struct epoll_event *ev)
{
	return CALL("epoll_ctl", false, epoll_ctl(set, op, fd, ev));
}

int t_epoll_wait(int set, struct epoll_event *ev, int max, int timeout)
{
	return CALL("epoll_wait", true, epoll_wait(set, ev, max, timeout));
}

int t_fallocate(int fd, int mode, off_t off, off_t len)
{
	return CALL("fallocate", true, fallocate(fd, mode, off, len));
}

int t_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return fails("pthread_create", false, ODD_ERRNO) ? ODD_ERRNO : pthread_create(thread, attr, fn, arg);
}

/* As kernel.io_uring_disabled has it. */
int t_io_uring_queue_init_params(unsigned int n, struct io_uring *ring, struct io_uring_params *p)
{
	(void)n;
	(void)ring;
	(void)p;
	return -EPERM;
}

/* All but the first byte of what is moved is left. */
static const struct iovec *part(const char *what, const struct iovec *iov, int *nr, struct iovec *one)
{
	if (!hit(what, false, true))
		return iov;
	*one = (struct iovec){ iov->iov_base, 1 };
	*nr = 1;
	plan.made_part = true;
	return one;
}

#define MOVE(what, call)						\
	struct iovec one;						\
									\
	if (fails(what, true, ODD_ERRNO))				\
		return -1;						\
	iov = part(what, iov, &nr, &one);				\
	return (call)

ssize_t t_preadv2(int fd, const struct iovec *iov, int nr, off_t off, int flags)
{
	MOVE("preadv2", preadv2(fd, iov, nr, off, flags));
}

ssize_t t_pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags)
{
	MOVE("pwritev2", pwritev2(fd, iov, nr, off, flags));
}

ssize_t t_readv(int fd, const struct iovec *iov, int nr)
{
	MOVE("readv", readv(fd, iov, nr));
}

ssize_t t_writev(int fd, const struct iovec *iov, int nr)
{
	MOVE("writev", writev(fd, iov, nr));
}

ssize_t t_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec whole = { buf, len };
	const struct iovec *iov = &whole;
	int nr = 1;

	MOVE("recv", recv(fd, iov->iov_base, iov->iov_len, flags));
}

ssize_t t_send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec whole = { (void *)(uintptr_t)buf, len };
	const struct iovec *iov = &whole;
	int nr = 1;

	MOVE("send", send(fd, iov->iov_base, iov->iov_len, flags));
}

ssize_t t_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return CALL("recvmsg", true, recvmsg(fd, msg, flags));
}

ssize_t t_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return CALL("sendmsg", true, sendmsg(fd, msg, flags));
}

/* ---- One life ----------------------------------------------------------------------- */

enum { READ, WRITE, SYNC, ROOM, SEND, RECV, SENDMSG, RECVMSG, PIPE, WAIT, NR_OPS };

static const char *const names[] = {
	"read", "write", "sync", "room", "send", "recv", "sendmsg", "recvmsg", "pipe", "wait",
};
_Static_assert(ARRAY_SIZE(names) == NR_OPS, "a name each");

static const int results[NR_OPS] = {
	[READ] = 4, [WRITE] = 4, [SEND] = 4, [RECV] = 4, [SENDMSG] = 4, [RECVMSG] = 4, [PIPE] = 4,
	[WAIT] = -ETIME,
};

struct op {
	struct loop_io	io;
	u32		nr;
	int		res;
};

struct life {
	struct loop	*loop;
	struct op	ops[NR_OPS];
	struct watch	watch;
	u32		nr_watched;
	u32		revents;
	int		file;
	int		stream[2];
	int		packets[2];
	int		pipe[2];
	int		bell;
	char		in[4][4];
	struct msghdr	msgs[2];
	struct iovec	iov[2];
	struct __kernel_timespec soon;
};

static void on_done(struct loop_io *io, int res)
{
	struct op *op = io->arg;

	op->nr++;
	op->res = res;
}

static void on_watch(struct watch *w, u32 revents)
{
	struct life *life = w->arg;

	life->nr_watched++;
	life->revents = revents;
}

static struct io_uring_sqe *sqe(struct life *life, int i)
{
	return loop_sqe(life->loop, &life->ops[i].io);
}

static void life_ask(struct life *life)
{
	loop_read(life->loop, &life->ops[READ].io, life->file, life->in[0], 4, 0);
	io_uring_prep_write(sqe(life, WRITE), life->file, "wxyz", 4, 8);
	loop_fdatasync(life->loop, &life->ops[SYNC].io, life->file);
	loop_fallocate(life->loop, &life->ops[ROOM].io, life->file, 0, 0, 64);
	io_uring_prep_recv(sqe(life, RECV), life->stream[0], life->in[1], 4, 0);
	io_uring_prep_recvmsg(sqe(life, RECVMSG), life->packets[0], &life->msgs[0], 0);
	loop_read(life->loop, &life->ops[PIPE].io, life->pipe[0], life->in[3], 4, 0);
	io_uring_prep_timeout(sqe(life, WAIT), &life->soon, 0, 0);
	loop_watch(life->loop, &life->watch, life->bell, POLLIN);
	assert_int_equal(loop_dispatch(life->loop), 0);
	/* What they wait for. */
	io_uring_prep_send(sqe(life, SEND), life->stream[1], "abcd", 4, 0);
	io_uring_prep_sendmsg(sqe(life, SENDMSG), life->packets[1], &life->msgs[1], 0);
	assert_int_equal(write(life->pipe[1], "pipe", 4), 4);
	assert_int_equal(write(life->bell, &(u64){ 1 }, 8), 8);
}

static bool life_over(const struct life *life)
{
	u32 nr = !!life->nr_watched;

	for (size_t i = 0; i < NR_OPS; i++)
		nr += !!life->ops[i].nr;
	return nr == NR_OPS + 1;
}

/* What failed takes with it who waits for it: nothing was sent. */
static bool follows(const struct life *life, int i)
{
	return (i == RECV && life->ops[SEND].res != 4) || (i == RECVMSG && life->ops[SENDMSG].res != 4);
}

static void life_check(struct life *life)
{
	u32 nr_odd = 0;

	for (int i = 0; i < NR_OPS; i++) {
		const struct op *op = &life->ops[i];

		if (op->nr > 1)
			fail_msg("%s of %s: %u ends", plan.what, names[i], op->nr);
		if (op->res == results[i])
			continue;
		if (follows(life, i))
			continue;
		/* The one that was hit, and no other. */
		nr_odd++;
		if (plan.how == INTERRUPT || !plan.what || nr_odd > 1 ||
		    (op->res != -ODD_ERRNO && !(plan.how == PART && op->res == 1)))
			fail_msg("%s: %s is %d", plan.what ? plan.what : "nothing", names[i], op->res);
	}
	if (life->revents != POLLIN && (plan.how != FAIL || life->revents != POLLERR))
		fail_msg("%s: the watch saw 0x%x", plan.what, life->revents);
	if (life->ops[READ].res == 4)
		assert_memory_equal(life->in[0], "0123", 4);
	if (life->ops[RECV].res == 4)
		assert_memory_equal(life->in[1], "abcd", 4);
	if (life->ops[PIPE].res == 4)
		assert_memory_equal(life->in[3], "pipe", 4);
}

static void life_open(struct life *life)
{
	*life = (struct life){
		.file = t_file("0123456789abcdef", 16), .soon.tv_nsec = 1000000,
		.bell = eventfd(0, EFD_CLOEXEC), .watch = { .fn = on_watch, .arg = life },
		.iov = { { life->in[2], 4 }, { (char *)(uintptr_t)"pack", 4 } },
	};
	for (int i = 0; i < 2; i++)
		life->msgs[i] = (struct msghdr){ .msg_iov = &life->iov[i], .msg_iovlen = 1 };
	for (int i = 0; i < NR_OPS; i++)
		life->ops[i].io = (struct loop_io){ .done = on_done, .arg = &life->ops[i] };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life->stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life->packets), 0);
	assert_int_equal(pipe2(life->pipe, O_CLOEXEC), 0);
}

static void life_close(struct life *life)
{
	close(life->file);
	close(life->bell);
	for (int i = 0; i < 2; i++) {
		close(life->stream[i]);
		close(life->packets[i]);
		close(life->pipe[i]);
	}
}

static int life_create(struct life *life, bool lent)
{
	struct vmm_error err = { 0 };
	int ret = lent ? loop_create_lent(&life->loop, &err) : loop_create(&life->loop, &err);

	if (ret)
		assert_true(err.msg[0]);
	return ret;
}

/* False: it happened to no call, as there are fewer. */
static bool live(enum how how, u32 at, bool lent)
{
	u64 end = t_now_ms() + T_TIMEOUT_MS;
	struct life life;
	int ret;

	life_open(&life);
	plan.how = how;
	plan.at = at;
	plan.nr = 0;
	plan.what = NULL;
	plan.armed = true;
	ret = life_create(&life, lent);
	if (ret) {
		assert_true(plan.what && (ret == -ODD_ERRNO || ret == -ENOMEM));
		assert_int_equal(life_create(&life, lent), 0);
	}
	life_ask(&life);
	while (!life_over(&life)) {
		bool given_up = t_now_ms() > end;

		assert_int_equal(loop_dispatch(life.loop), 0);
		/* Who waits for what was never sent is called off. */
		for (int i = 0; i < NR_OPS; i++) {
			const int from = i == RECV ? SEND : SENDMSG;

			if ((i != RECV && i != RECVMSG) || life.ops[i].nr || !life.ops[from].nr ||
			    life.ops[from].res >= 0)
				continue;
			loop_cancel(life.loop, &life.ops[i].io);
			life.ops[i].nr = 1;
			life.ops[i].res = -ECANCELED;
		}
		if (given_up)
			fail_msg("%s, number %u: it does not end", plan.what ? plan.what : "nothing", at);
		t_sleep_ms(0);
	}
	loop_destroy(life.loop);
	plan.armed = false;
	life_check(&life);
	life_close(&life);
	return plan.what;
}

static void live_all(enum how how, u32 least)
{
	struct t_process before;
	u32 at[2] = { 1, 1 };

	live(FAIL, UINT32_MAX, false);
	t_process_save(&before);
	for (int lent = 0; lent < 2; lent++) {
		while (live(how, at[lent], lent))
			at[lent]++;
		assert_in_range(at[lent], least, 1000);
	}
	t_process_check(&before);
}

static void test_each_call_fails(void **state)
{
	(void)state;
	live_all(FAIL, 25);
}

static void test_each_call_is_interrupted(void **state)
{
	(void)state;
	live_all(INTERRUPT, 10);
}

static void test_each_call_does_a_part(void **state)
{
	(void)state;
	live_all(PART, 5);
	assert_true(plan.made_part);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call_fails),
		cmocka_unit_test(test_each_call_is_interrupted),
		cmocka_unit_test(test_each_call_does_a_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
