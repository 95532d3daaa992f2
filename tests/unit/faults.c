/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faults.c - calls of libc's that fail on request
 *
 * Those of the program alone are in faults_cli.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <liburing.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/unit/faults.h"
#include "vmm/types.h"

#define MAX_PLANS	8

struct plan {
	const char	*what;
	int		err;
	size_t		n;
};

static struct {
	pthread_mutex_t	lock;
	pid_t		pid;		/* whose calls count */
	const char *const *skipped;	/* which do not */
	size_t		nr_skipped;
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

static __thread bool spared;

void faults_spare(bool on)
{
	spared = on;
}

void faults_arm(size_t n, int err)
{
	pthread_mutex_lock(&faults.lock);
	faults.pid = getpid();
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

void faults_skip(const char *const *names, size_t nr)
{
	pthread_mutex_lock(&faults.lock);
	faults.skipped = names;
	faults.nr_skipped = nr;
	pthread_mutex_unlock(&faults.lock);
}

/* With the lock held. */
static bool counts(const char *what)
{
	if (spared || getpid() != faults.pid)
		return false;
	for (size_t i = 0; i < faults.nr_skipped; i++)
		if (!strcmp(faults.skipped[i], what))
			return false;
	return true;
}

int faults_hit(const char *what, int err)
{
	bool fails;

	pthread_mutex_lock(&faults.lock);
	fails = counts(what) && ++faults.nr == faults.fail_at;
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
	if (spared)
		return;
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
int t_ioctl(int fd, unsigned long req, ...);
int t_socket(int domain, int type, int protocol);
int t_bind(int fd, const struct sockaddr *addr, socklen_t len);
int t_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
ssize_t t_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t t_recv(int fd, void *buf, size_t len, int flags);
int t_inotify_init1(int flags);
int t_memfd_create(const char *name, unsigned int flags);
int t_ftruncate(int fd, off_t size);
off_t t_lseek(int fd, off_t off, int whence);
int t_epoll_create1(int flags);
int t_epoll_ctl(int set, int op, int fd, struct epoll_event *ev);
int t_fdatasync(int fd);
int t_fallocate(int fd, int mode, off_t off, off_t len);
ssize_t t_pwritev2(int fd, const struct iovec *iov, int nr, off_t off, int flags);
ssize_t t_pwrite(int fd, const void *buf, size_t len, off_t off);
ssize_t t_pwritev(int fd, const struct iovec *iov, int nr, off_t off);

void *t_malloc(size_t size)
{
	bool in_part;

	return fails("malloc", &in_part) || faults_hit("malloc", ENOMEM) ? NULL : malloc(size);
}

void *t_calloc(size_t n, size_t size)
{
	bool in_part;

	return fails("calloc", &in_part) || faults_hit("calloc", ENOMEM) ? NULL : calloc(n, size);
}

void *t_realloc(void *p, size_t size)
{
	return faults_hit("realloc", ENOMEM) ? NULL : realloc(p, size);
}

char *t_strdup(const char *s)
{
	return faults_hit("strdup", ENOMEM) ? NULL : strdup(s);
}

void *t_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = faults_hit("mmap", 0) ? MAP_FAILED : mmap(addr, len, prot, flags, fd, off);

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
	return faults_hit("eventfd", 0) ? -1 : eventfd(n, flags);
}

int t_timerfd_create(int clock, int flags)
{
	return faults_hit("timerfd_create", 0) ? -1 : timerfd_create(clock, flags);
}

int t_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	return faults_hit("timerfd_settime", 0) ? -1 : timerfd_settime(fd, flags, new, old);
}

int t_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return faults_hit(cmd == F_DUPFD_CLOEXEC ? "fcntl" : "fcntl of flags", 0) ? -1 : fcntl(fd, cmd, arg);
}

int t_fstat(int fd, struct stat *st)
{
	return faults_hit(fd <= STDERR_FILENO ? "fstat of stdio" : "fstat", 0) ? -1 : fstat(fd, st);
}

int t_fstatfs(int fd, struct statfs *fs)
{
	return faults_hit("fstatfs", 0) ? -1 : fstatfs(fd, fs);
}

ssize_t t_pread(int fd, void *buf, size_t len, off_t off)
{
	if (faults_hit("pread", 0) || (len && !(len = part(len))))
		return -1;
	return pread(fd, buf, len, off);
}

ssize_t t_pread64(int fd, void *buf, size_t len, off_t off)
{
	if (faults_hit("pread64", 0) || (len && !(len = part(len))))
		return -1;
	return pread(fd, buf, len, off);
}

int t_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return faults_hit("sched_getaffinity", 0) ? -1 : sched_getaffinity(pid, size, set);
}

int t_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	pthread_mutex_lock(&faults.lock);
	errno = faults.nr_affinity ? faults.affinity : 0;
	if (errno)
		faults.nr_affinity--;
	pthread_mutex_unlock(&faults.lock);
	if (errno || faults_hit("sched_setaffinity", 0))
		return -1;
	return sched_setaffinity(pid, size, set);
}

int t_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int err = faults_hit("pthread_create", 0);

	return err ? err : pthread_create(thread, attr, fn, arg);
}

int t_pthread_attr_init(pthread_attr_t *attr)
{
	int err = faults_hit("pthread_attr_init", 0);

	return err ? err : pthread_attr_init(attr);
}

int t_pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
	int err = faults_hit("pthread_attr_setstacksize", 0);

	return err ? err : pthread_attr_setstacksize(attr, size);
}

int t_io_uring_queue_init_params(unsigned int n, struct io_uring *ring, struct io_uring_params *p)
{
	bool in_part;
	int err = fails("io_uring_queue_init_params", &in_part) ?
		  errno : faults_hit("io_uring_queue_init_params", 0);

	return err ? -err : io_uring_queue_init_params(n, ring, p);
}

int t_io_uring_register(unsigned int fd, unsigned int op, const void *arg, unsigned int n)
{
	int err = faults_hit("io_uring_register", 0);

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

/* ---- What only a machine of one's own has: tap interfaces, and vhost of the kernel's ---- */

static const struct {
	unsigned long	req;
	const char	*name;
} requests[] = {
	{ TUNSETIFF, "TUNSETIFF" }, { TUNGETIFF, "TUNGETIFF" },
	{ TUNSETVNETHDRSZ, "TUNSETVNETHDRSZ" }, { TUNSETOFFLOAD, "TUNSETOFFLOAD" },
	{ TUNSETQUEUE, "TUNSETQUEUE" },
	{ SIOCSIFADDR, "SIOCSIFADDR" }, { SIOCSIFNETMASK, "SIOCSIFNETMASK" },
	{ SIOCGIFFLAGS, "SIOCGIFFLAGS" }, { SIOCSIFFLAGS, "SIOCSIFFLAGS" },
	{ VHOST_GET_FEATURES, "VHOST_GET_FEATURES" }, { VHOST_SET_FEATURES, "VHOST_SET_FEATURES" },
	{ VHOST_SET_OWNER, "VHOST_SET_OWNER" }, { VHOST_SET_MEM_TABLE, "VHOST_SET_MEM_TABLE" },
	{ VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM" },
	{ VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE" },
	{ VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR" },
	{ VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK" },
	{ VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL" },
	{ VHOST_NET_SET_BACKEND, "VHOST_NET_SET_BACKEND" },
	{ VHOST_VSOCK_SET_GUEST_CID, "VHOST_VSOCK_SET_GUEST_CID" },
	{ VHOST_VSOCK_SET_RUNNING, "VHOST_VSOCK_SET_RUNNING" },
};

static const char *request_name(unsigned long req, const void *arg)
{
	/* What undoes something, when nothing can be done about it. */
	if (req == TUNSETQUEUE && ((const struct ifreq *)arg)->ifr_flags & IFF_ATTACH_QUEUE)
		return "TUNSETQUEUE to attach";
	if (req == VHOST_NET_SET_BACKEND && ((const struct vhost_vring_file *)arg)->fd < 0)
		return "VHOST_NET_SET_BACKEND to none";
	if (req == VHOST_VSOCK_SET_RUNNING && !*(const int *)arg)
		return "VHOST_VSOCK_SET_RUNNING to stop";
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].req == req)
			return requests[i].name;
	return NULL;
}

/* As the kernel does it when nothing is wrong. */
static int pretend(unsigned long req, void *arg)
{
	struct ifreq *ifr = arg;

	switch (req) {
	case TUNSETIFF:
		snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "tap7");
		break;
	case TUNGETIFF:
		*ifr = (struct ifreq){ .ifr_name = "tap7" };
		ifr->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
		break;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = UINT64_MAX;
		break;
	}
	return 0;
}

int t_ioctl(int fd, unsigned long req, ...)
{
	const char *name;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	name = request_name(req, arg);
	if (faults_hit(name ? name : "ioctl", 0))
		return -1;
	return name ? pretend(req, arg) : ioctl(fd, req, arg);
}

/* --------------------------------------------------------------------------------------- */

int t_socket(int domain, int type, int protocol)
{
	return faults_hit("socket", 0) ? -1 : socket(domain, type, protocol);
}

int t_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return faults_hit("bind", 0) ? -1 : bind(fd, addr, len);
}

int t_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	return faults_hit("getsockopt", 0) ? -1 : getsockopt(fd, level, name, val, len);
}

ssize_t t_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return faults_hit("sendmsg", 0) ? -1 : sendmsg(fd, m, flags);
}

ssize_t t_recv(int fd, void *buf, size_t len, int flags)
{
	return faults_hit("recv", 0) ? -1 : recv(fd, buf, len, flags);
}

int t_inotify_init1(int flags)
{
	return faults_hit("inotify_init1", 0) ? -1 : inotify_init1(flags);
}

int t_memfd_create(const char *name, unsigned int flags)
{
	return faults_hit("memfd_create", 0) ? -1 : memfd_create(name, flags);
}

int t_ftruncate(int fd, off_t size)
{
	return faults_hit("ftruncate", 0) ? -1 : ftruncate(fd, size);
}

off_t t_lseek(int fd, off_t off, int whence)
{
	return faults_hit("lseek", 0) ? -1 : lseek(fd, off, whence);
}

int t_epoll_create1(int flags)
{
	return faults_hit("epoll_create1", 0) ? -1 : epoll_create1(flags);
}

int t_epoll_ctl(int set, int op, int fd, struct epoll_event *ev)
{
	return faults_hit("epoll_ctl", 0) ? -1 : epoll_ctl(set, op, fd, ev);
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
	if (in_part)
		iov = a_third(iov, &nr, &one);
	return pwritev2(fd, iov, nr, off, flags);
}

ssize_t t_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	bool in_part;

	if (fails("pwrite", &in_part))
		return -1;
	return pwrite(fd, buf, in_part ? len / 3 : len, off);
}

ssize_t t_pwritev(int fd, const struct iovec *iov, int nr, off_t off)
{
	struct iovec one;
	bool in_part;

	if (fails("pwritev", &in_part))
		return -1;
	if (in_part)
		iov = a_third(iov, &nr, &one);
	return pwritev(fd, iov, nr, off);
}
