/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm_linux.c - the seam of kvm.h on the system calls; the only KVM calls here
 *
 * The kick is a signal that is blocked in the thread at all times but inside
 * KVM_RUN, where KVM_SET_SIGNAL_MASK lets it in.  So it needs no handler, cannot
 * be lost between a check and the entry, and ends KVM_RUN with EINTR.  The kernel
 * leaves it pending; unkick() takes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm.h"

static int linux_open(void *ctx)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -errno : fd;
}

static int linux_ioctl(void *ctx, int fd, unsigned long req, void *arg)
{
	int ret = ioctl(fd, req, arg);

	(void)ctx;
	return ret < 0 ? -errno : ret;
}

static int linux_map_run(void *ctx, int vcpu_fd, size_t size, struct kvm_run **run)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);

	(void)ctx;
	if (p == MAP_FAILED)
		return -errno;
	*run = p;
	return 0;
}

static void linux_unmap_run(void *ctx, struct kvm_run *run, size_t size)
{
	(void)ctx;
	munmap(run, size);
}

static void linux_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

static void linux_kick(void *ctx, pthread_t thread, int signal)
{
	(void)ctx;
	pthread_kill(thread, signal);
}

static void linux_unkick(void *ctx, int signal)
{
	const struct timespec now = { 0 };
	sigset_t set;

	(void)ctx;
	sigemptyset(&set);
	sigaddset(&set, signal);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

const struct kvm_ops kvm_linux_ops = {
	.open = linux_open,
	.ioctl = linux_ioctl,
	.map_run = linux_map_run,
	.unmap_run = linux_unmap_run,
	.close = linux_close,
	.kick = linux_kick,
	.unkick = linux_unkick,
};
