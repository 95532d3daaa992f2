// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench-disk.c - a Linux guest's only program for `make bench`: reads of its disk
 *
 * reads=N depth=D, of the kernel's command line: N reads of 4 KiB, anywhere on /dev/vda,
 * past the page cache, D of them at a time.  Prints what one took, and powers off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK		4096
#define MAX_DEPTH	64

static uint64_t counter(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, CNTVCT_EL0" : "=r"(v) : : "memory");
	return v;
}

static uint64_t frequency(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, CNTFRQ_EL0" : "=r"(v));
	return v;
}

static long number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

static struct iocb *ask(struct iocb *iocb, int fd, uint64_t blocks)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	iocb->aio_lio_opcode = IOCB_CMD_PREAD;
	iocb->aio_fildes = (uint32_t)fd;
	iocb->aio_nbytes = BLOCK;
	iocb->aio_offset = (int64_t)((x >> 8) % blocks * BLOCK);
	return iocb;
}

/* How many came back whole. */
static long reads(int fd, uint64_t blocks, long nr, long depth)
{
	static struct iocb iocbs[MAX_DEPTH];
	struct io_event events[MAX_DEPTH];
	struct iocb *next[MAX_DEPTH];
	char *buf = aligned_alloc(BLOCK, BLOCK * MAX_DEPTH);
	aio_context_t ctx = 0;
	long asked = 0;
	long done = 0;
	long good = 0;
	long n;

	if (!buf || syscall(SYS_io_setup, depth, &ctx))
		return -1;
	for (n = 0; n < depth; n++) {
		iocbs[n].aio_buf = (uintptr_t)(buf + n * BLOCK);
		next[n] = ask(&iocbs[n], fd, blocks);
	}
	while (done < nr) {
		if (n > nr - asked)
			n = nr - asked;
		if (n && syscall(SYS_io_submit, ctx, n, next) != n)
			return -1;
		asked += n;
		n = syscall(SYS_io_getevents, ctx, 1, depth, events, NULL);
		if (n < 1)
			return -1;
		done += n;
		for (long i = 0; i < n; i++) {
			good += events[i].res == BLOCK;
			next[i] = ask((struct iocb *)(uintptr_t)events[i].obj, fd, blocks);
		}
	}
	return good;
}

int main(void)
{
	long nr = number("reads", 1000);
	long depth = number("depth", 1);
	uint64_t size = 0;
	uint64_t t;
	long good;
	int fd;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/vda", O_RDONLY | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) || depth > MAX_DEPTH)
		printf("GUEST-DISK none\n");
	reads(fd, size / BLOCK, 32, 1);
	t = counter();
	good = reads(fd, size / BLOCK, nr, depth);
	t = counter() - t;
	printf("GUEST-DISK good=%ld of=%ld\n", good, nr);
	if (good == nr)
		printf("each_ns=%.0f\n", (double)t * 1e9 / (double)frequency() / (double)nr);
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
