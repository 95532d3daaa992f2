/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faults.c - calls of libc's that fail on request
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/unit/faults.h"

#define MAX_PLANS	8

struct plan {
	const char	*what;
	int		err;
	size_t		n;
};

static struct {
	pthread_mutex_t	lock;
	size_t		fail_at;	/* 0: never */
	size_t		nr;
	int		err;
	const char	*failed;	/* what did */
	size_t		nr_maps;	/* that the library has */
	int		affinity;	/* what sched_setaffinity() fails with, or 0 */
	size_t		nr_affinity;	/* how often */
	int		ring;		/* what a ring fails with, or 0 */
	bool		crowded;
	struct plan	plans[MAX_PLANS];
	size_t		nr_plans;	/* those that are used up as well */
	bool		hinder;
	size_t		nr_hindered;
	size_t		nr_turns;
} faults = { .lock = PTHREAD_MUTEX_INITIALIZER };

void faults_arm(size_t n, int err)
{
	pthread_mutex_lock(&faults.lock);
	faults.fail_at = n;
	faults.nr = 0;
	faults.err = err;
	faults.failed = NULL;
	pthread_mutex_unlock(&faults.lock);
}

const char *faults_failed(void)
{
	const char *what;

	pthread_mutex_lock(&faults.lock);
	what = faults.failed;
	pthread_mutex_unlock(&faults.lock);
	return what;
}

void faults_disarm(void)
{
	pthread_mutex_lock(&faults.lock);
	faults.fail_at = 0;
	pthread_mutex_unlock(&faults.lock);
}

int faults_errno(void)
{
	int err;

	pthread_mutex_lock(&faults.lock);
	err = faults.err;
	pthread_mutex_unlock(&faults.lock);
	return err;
}

void faults_set_affinity_times(int err, size_t n)
{
	pthread_mutex_lock(&faults.lock);
	faults.affinity = err;
	faults.nr_affinity = n;
	pthread_mutex_unlock(&faults.lock);
}

void faults_set_affinity(int err)
{
	faults_set_affinity_times(err, SIZE_MAX);
}

void faults_break_rings(int err)
{
	pthread_mutex_lock(&faults.lock);
	faults.ring = err;
	pthread_mutex_unlock(&faults.lock);
}

void faults_crowd_rings(bool on)
{
	pthread_mutex_lock(&faults.lock);
	faults.crowded = on;
	pthread_mutex_unlock(&faults.lock);
}

void faults_plan(const char *what, int err, size_t n)
{
	pthread_mutex_lock(&faults.lock);
	if (faults.nr_plans == MAX_PLANS)
		abort();
	faults.plans[faults.nr_plans++] = (struct plan){ what, err, n };
	pthread_mutex_unlock(&faults.lock);
}

size_t faults_unplan(void)
{
	size_t left = 0;

	pthread_mutex_lock(&faults.lock);
	for (size_t i = 0; i < faults.nr_plans; i++)
		left += faults.plans[i].n;
	faults.nr_plans = 0;
	pthread_mutex_unlock(&faults.lock);
	return left;
}

/* With the lock held.  Is there a plan for this call? */
static bool planned(const char *what, int *err)
{
	for (size_t i = 0; i < faults.nr_plans; i++) {
		struct plan *p = &faults.plans[i];

		if (!p->n || strcmp(p->what, what))
			continue;
		p->n--;
		*err = p->err;
		return true;
	}
	return false;
}

void faults_hinder(void)
{
	pthread_mutex_lock(&faults.lock);
	faults.hinder = true;
	faults.nr_hindered = 0;
	pthread_mutex_unlock(&faults.lock);
}

size_t faults_unhinder(void)
{
	size_t nr;

	pthread_mutex_lock(&faults.lock);
	faults.hinder = false;
	nr = faults.nr_hindered;
	pthread_mutex_unlock(&faults.lock);
	return nr;
}

/* Of @len bytes so many, or 0: the call is interrupted. */
static size_t part(size_t len)
{
	pthread_mutex_lock(&faults.lock);
	if (faults.hinder) {
		faults.nr_hindered++;
		len = faults.nr_turns++ % 2 ? 0 : len / 3 + 1;
	}
	pthread_mutex_unlock(&faults.lock);
	if (!len)
		errno = EINTR;
	return len;
}

static int hit(const char *what, int err)
{
	bool fails;

	pthread_mutex_lock(&faults.lock);
	fails = ++faults.nr == faults.fail_at;
	if (fails) {
		faults.failed = what;
		if (err)
			faults.err = err;
		err = faults.err;
	}
	pthread_mutex_unlock(&faults.lock);
	if (!fails)
		return 0;
	errno = err;
	return err;
}

/* Is it planned for this call, and what?  Sweeps have none of these. */
static bool fails(const char *what, bool *in_part)
{
	int err = 0;

	pthread_mutex_lock(&faults.lock);
	*in_part = planned(what, &err) && !err;
	pthread_mutex_unlock(&faults.lock);
	if (err)
		errno = err;
	return err;
}

static void count_map(int delta)
{
	pthread_mutex_lock(&faults.lock);
	faults.nr_maps += (size_t)delta;
	pthread_mutex_unlock(&faults.lock);
}

size_t faults_nr_maps(void)
{
	size_t nr;

	pthread_mutex_lock(&faults.lock);
	nr = faults.nr_maps;
	pthread_mutex_unlock(&faults.lock);
	return nr;
}

/* The library calls these by their names with t_ in front. */
void *t_malloc(size_t size);
void *t_calloc(size_t n, size_t size);
void *t_realloc(void *p, size_t size);
char *t_strdup(const char *s);
void *t_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int t_munmap(void *addr, size_t len);
int t_eventfd(unsigned int n, int flags);
int t_timerfd_create(int clock, int flags);
int t_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);
int t_fcntl(int fd, int cmd, ...);
int t_fstat(int fd, struct stat *st);
int t_fstatfs(int fd, struct statfs *fs);
ssize_t t_pread(int fd, void *buf, size_t len, off_t off);
ssize_t t_pread64(int fd, void *buf, size_t len, off_t off);
int t_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int t_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int t_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int t_pthread_attr_init(pthread_attr_t *attr);
int t_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size);
int t_io_uring_queue_init_params(unsigned int n, struct io_uring *ring, struct io_uring_params *p);
int t_io_uring_register(unsigned int fd, unsigned int op, const void *arg, unsigned int n);
int t_io_uring_submit(struct io_uring *ring);
int t_io_uring_submit_and_wait(struct io_uring *ring, unsigned int n);
int t_fdatasync(int fd);
int t_fallocate(int fd, int mode, off_t off, off_t len);
ssize_t t_pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags);
ssize_t t_pwritev(int fd, const struct iovec *iov, int nr, off_t off);

void *t_malloc(size_t size)
{
	bool in_part;

	return fails("malloc", &in_part) || hit("malloc", ENOMEM) ? NULL : malloc(size);
}

void *t_calloc(size_t n, size_t size)
{
	bool in_part;

	return fails("calloc", &in_part) || hit("calloc", ENOMEM) ? NULL : calloc(n, size);
}

void *t_realloc(void *p, size_t size)
{
	return hit("realloc", ENOMEM) ? NULL : realloc(p, size);
}

char *t_strdup(const char *s)
{
	return hit("strdup", ENOMEM) ? NULL : strdup(s);
}

void *t_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = hit("mmap", 0) ? MAP_FAILED : mmap(addr, len, prot, flags, fd, off);

	/* What is fixed lies inside another one. */
	if (p != MAP_FAILED && !(flags & MAP_FIXED))
		count_map(1);
	return p;
}

int t_munmap(void *addr, size_t len)
{
	count_map(-1);
	return munmap(addr, len);
}

int t_eventfd(unsigned int n, int flags)
{
	return hit("eventfd", 0) ? -1 : eventfd(n, flags);
}

int t_timerfd_create(int clock, int flags)
{
	return hit("timerfd_create", 0) ? -1 : timerfd_create(clock, flags);
}

int t_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	return hit("timerfd_settime", 0) ? -1 : timerfd_settime(fd, flags, new, old);
}

int t_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return hit(cmd == F_DUPFD_CLOEXEC ? "fcntl" : "fcntl of flags", 0) ? -1 : fcntl(fd, cmd, arg);
}

int t_fstat(int fd, struct stat *st)
{
	return hit("fstat", 0) ? -1 : fstat(fd, st);
}

int t_fstatfs(int fd, struct statfs *fs)
{
	return hit("fstatfs", 0) ? -1 : fstatfs(fd, fs);
}

ssize_t t_pread(int fd, void *buf, size_t len, off_t off)
{
	if (hit("pread", 0) || (len && !(len = part(len))))
		return -1;
	return pread(fd, buf, len, off);
}

ssize_t t_pread64(int fd, void *buf, size_t len, off_t off)
{
	if (hit("pread64", 0) || (len && !(len = part(len))))
		return -1;
	return pread(fd, buf, len, off);
}

int t_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return hit("sched_getaffinity", 0) ? -1 : sched_getaffinity(pid, size, set);
}

int t_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	pthread_mutex_lock(&faults.lock);
	errno = faults.nr_affinity ? faults.affinity : 0;
	if (errno)
		faults.nr_affinity--;
	pthread_mutex_unlock(&faults.lock);
	if (errno || hit("sched_setaffinity", 0))
		return -1;
	return sched_setaffinity(pid, size, set);
}

int t_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int err = hit("pthread_create", 0);

	return err ? err : pthread_create(thread, attr, fn, arg);
}

int t_pthread_attr_init(pthread_attr_t *attr)
{
	int err = hit("pthread_attr_init", 0);

	return err ? err : pthread_attr_init(attr);
}

int t_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
	int err = hit("pthread_attr_setstacksize", 0);

	return err ? err : pthread_attr_setstacksize(attr, size);
}

int t_io_uring_queue_init_params(unsigned int n, struct io_uring *ring, struct io_uring_params *p)
{
	bool in_part;
	int err = fails("io_uring_queue_init_params", &in_part) ?
		  errno : hit("io_uring_queue_init_params", 0);

	return err ? -err : io_uring_queue_init_params(n, ring, p);
}

int t_io_uring_register(unsigned int fd, unsigned int op, const void *arg, unsigned int n)
{
	int err = hit("io_uring_register", 0);

	return err ? -err : io_uring_register(fd, op, arg, n);
}

/* 0, or what the ring fails with when it is to take something. */
static int ring_fails(const char *what, struct io_uring *ring)
{
	int err = 0;

	pthread_mutex_lock(&faults.lock);
	if (!planned(what, &err))
		err = faults.crowded && io_uring_cq_ready(ring) ? EBUSY : faults.ring;
	pthread_mutex_unlock(&faults.lock);
	return err;
}

int t_io_uring_submit(struct io_uring *ring)
{
	int err = ring_fails("io_uring_submit", ring);

	return err ? -err : io_uring_submit(ring);
}

int t_io_uring_submit_and_wait(struct io_uring *ring, unsigned int n)
{
	int err = ring_fails("io_uring_submit_and_wait", ring);

	if (!err && !part(1))
		err = EINTR;
	return err ? -err : io_uring_submit_and_wait(ring, n);
}

int t_fdatasync(int fd)
{
	bool in_part;

	return fails("fdatasync", &in_part) ? -1 : fdatasync(fd);
}

int t_fallocate(int fd, int mode, off_t off, off_t len)
{
	bool in_part;

	return fails("fallocate", &in_part) ? -1 : fallocate(fd, mode, off, len);
}

static const struct iovec *a_third(const struct iovec *iov, int *nr, struct iovec *one)
{
	*one = (struct iovec){ iov->iov_base, iov->iov_len / 3 };
	*nr = 1;
	return one;
}

ssize_t t_pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags)
{
	struct iovec one;
	bool in_part;

	if (fails(flags & RWF_DSYNC ? "pwritev2 through" : "pwritev2", &in_part))
		return -1;
	return pwritev2(fd, in_part ? a_third(iov, &nr, &one) : iov, nr, off, flags);
}

ssize_t t_pwritev(int fd, const struct iovec *iov, int nr, off_t off)
{
	struct iovec one;
	bool in_part;

	if (fails("pwritev", &in_part))
		return -1;
	return pwritev(fd, in_part ? a_third(iov, &nr, &one) : iov, nr, off);
}
