// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench-disk.c - a Linux guest's only program for `make bench`: reads of its disk
 *
 * reads=N depth=D, of the kernel's command line: N reads of 4 KiB, anywhere on /dev/vda,
 * past the page cache, D of them at a time.  With kib=K they are of K KiB, one behind the
 * other.  Prints what one took, and powers off.
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

/* What is read, of a disk of that many such blocks. */
struct pattern {
	uint64_t	bytes;
	uint64_t	blocks;
	uint64_t	next;		/* block, if they are in their order */
	int		in_order;
};

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

static uint64_t block(struct pattern *p)
{
	static uint32_t x = 1;

	if (p->in_order)
		return p->next++ % p->blocks;
	x = x * 1664525 + 1013904223;
	return (x >> 8) % p->blocks;
}

static struct iocb *ask(struct iocb *iocb, int fd, struct pattern *p)
{
	iocb->aio_lio_opcode = IOCB_CMD_PREAD;
	iocb->aio_fildes = (uint32_t)fd;
	iocb->aio_nbytes = p->bytes;
	iocb->aio_offset = (int64_t)(block(p) * p->bytes);
	return iocb;
}

/* How many came back whole. */
static long reads(int fd, struct pattern *p, long nr, long depth)
{
	static struct iocb iocbs[MAX_DEPTH];
	struct io_event events[MAX_DEPTH];
	struct iocb *next[MAX_DEPTH];
	char *buf = aligned_alloc(p->bytes, p->bytes * (size_t)depth);
	aio_context_t ctx = 0;
	long asked = 0;
	long done = 0;
	long good = 0;
	long n;

	if (!buf || syscall(SYS_io_setup, depth, &ctx))
		return -1;
	for (n = 0; n < depth; n++) {
		iocbs[n].aio_buf = (uintptr_t)(buf + (size_t)n * p->bytes);
		next[n] = ask(&iocbs[n], fd, p);
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
			good += events[i].res == (int64_t)p->bytes;
			next[i] = ask((struct iocb *)(uintptr_t)events[i].obj, fd, p);
		}
	}
	return good;
}

int main(void)
{
	long nr = number("reads", 1000);
	long depth = number("depth", 1);
	long kib = number("kib", 0);
	struct pattern p = { .bytes = kib ? (uint64_t)kib << 10 : BLOCK, .in_order = kib != 0 };
	uint64_t size = 0;
	uint64_t t;
	long good;
	int fd;

	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/vda", O_RDONLY | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) || depth > MAX_DEPTH)
		printf("GUEST-DISK none\n");
	p.blocks = size / p.bytes;
	reads(fd, &p, 32, 1);
	t = counter();
	good = reads(fd, &p, nr, depth);
	t = counter() - t;
	printf("GUEST-DISK good=%ld of=%ld\n", good, nr);
	if (good == nr)
		printf("each_ns=%.0f\n", (double)t * 1e9 / (double)frequency() / (double)nr);
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
