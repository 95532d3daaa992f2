/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.c - what the block device leaves of the requests that io_uring itself can do
 *
 * Reads of 4 KiB anywhere in a file that is in the page cache, 32 at a time, into the same
 * memory: once by a bare loop on a ring, once by the device, for a driver of our own; with
 * a split ring, then with a packed one.
 * What is measured is CPU time, the driver's own not counted: it bounds how many reads a
 * thread can do in a second, and depends little on what else runs.  They take turns, and
 * the best turn of each counts.  Natively, on any Linux.
 */
#include <liburing.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/loop.h"

#define DEPTH		32
#define BLOCK		KIB(4)
#define FILE_SIZE	MIB(64)
#define READS		50000
#define TURNS		9

#define HEADERS		DRIVER_DATA
#define STATUS		(DRIVER_DATA + KIB(4))
#define DATA		(DRIVER_DATA + KIB(64))

static u64 random_block(void)
{
	static u32 x = 1;

	x = x * 1664525 + 1013904223;
	return (x >> 8) % (FILE_SIZE / BLOCK);
}

/* What this thread has used of a CPU, in seconds. */
static double used(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- The ring alone -------------------------------------------------------------- */

static void ask(struct io_uring *ring, int fd, u8 *buf, u64 slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, buf + slot * BLOCK, BLOCK, random_block() * BLOCK);
	io_uring_sqe_set_data64(sqe, slot);
}

/* Reads in a second of CPU time. */
static double bare(int fd)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct gmem mem;
	double start;
	u32 asked = 0;
	u32 done = 0;
	u8 *buf;

	driver_ram(&mem);
	buf = gmem_host(&mem, DATA, DEPTH * BLOCK);
	start = used();
	assert_int_equal(io_uring_queue_init(DEPTH, &ring, 0), 0);
	for (; asked < DEPTH; asked++)
		ask(&ring, fd, buf, asked);
	while (done < READS) {
		assert_true(io_uring_submit_and_wait(&ring, 1) >= 0);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			u64 slot = cqe->user_data;

			assert_int_equal(cqe->res, BLOCK);
			io_uring_cqe_seen(&ring, cqe);
			done++;
			if (asked < READS) {
				ask(&ring, fd, buf, slot);
				asked++;
			}
		}
	}
	start = used() - start;
	io_uring_queue_exit(&ring);
	gmem_fini(&mem);
	return READS / start;
}

/* ---- The device ---------------------------------------------------------------------- */

struct rig {
	struct driver	d;
	u32		slots[256];	/* by their heads */
};

static void begin(struct rig *rig, u32 slot)
{
	const struct virtio_blk_outhdr hdr = {
		.type = VIRTIO_BLK_T_IN, .sector = random_block() * (BLOCK / 512),
	};

	memcpy(driver_at(&rig->d.q[0], HEADERS + slot * sizeof(hdr)), &hdr, sizeof(hdr));
}

static void make_chains(struct rig *rig)
{
	for (u32 i = 0; i < DEPTH; i++) {
		const struct driver_buf bufs[] = {
			{ HEADERS + i * sizeof(struct virtio_blk_outhdr),
			  sizeof(struct virtio_blk_outhdr), false },
			{ DATA + i * BLOCK, BLOCK, true },
			{ STATUS + i, 1, true },
		};

		begin(rig, i);
		rig->slots[driver_add(&rig->d.q[0], bufs, ARRAY_SIZE(bufs))] = i;
	}
}

/* Take what is done, and ask again; how many were done. */
static u32 take(struct rig *rig, u32 *asked)
{
	const struct driver_mark before = driver_mark(&rig->d.q[0]);
	u32 done = 0;
	u32 head;
	u32 len;

	for (; driver_used(&rig->d.q[0], &head, &len); done++) {
		u32 slot = rig->slots[head];

		assert_int_equal(*(u8 *)driver_at(&rig->d.q[0], STATUS + slot), VIRTIO_BLK_S_OK);
		if (*asked == READS)
			continue;
		begin(rig, slot);
		driver_offer(&rig->d.q[0], (u16)head);
		++*asked;
	}
	/* As a driver does: not if the device looks anyway (virtio 1.2, 2.7.10, 2.8.10). */
	if (before.avail_idx != rig->d.q[0].avail_idx && driver_must_kick(&rig->d.q[0], before))
		virtio_kick(rig->d.dev, 0);
	return done;
}

static double device(int fd, bool packed)
{
	const struct blk_config cfg = { .fd = fd, .nr_queues = 1, .ro = true };
	struct vmm_error err;
	struct virtio *dev;
	struct rig rig = { 0 };
	u32 asked = DEPTH;
	double time = 0;

	driver_packed = packed;
	driver_open(&rig.d, 1);
	assert_int_equal(virtio_blk_create(&dev, &rig.d.env, 0, &cfg, &err), 0);
	driver_attach(&rig.d, dev);
	driver_start(&rig.d, 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX);
	make_chains(&rig);
	virtio_kick(dev, 0);
	for (u32 done = 0; done < READS; done += take(&rig, &asked)) {
		double start = used();

		assert_int_equal(loop_dispatch(rig.d.env.loops[0]), 0);
		time += used() - start;
	}
	driver_close(&rig.d);
	return READS / time;
}

int main(void)
{
	static u8 buf[MIB(1)];
	int fd = t_disk_file();
	double best[3] = { 0 };

	for (u32 i = 0; i < FILE_SIZE / sizeof(buf); i++)
		assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	for (u32 i = 0; i < TURNS; i++) {
		const double rates[] = { bare(fd), device(fd, false), device(fd, true) };

		for (size_t k = 0; k < ARRAY_SIZE(rates); k++)
			best[k] = rates[k] > best[k] ? rates[k] : best[k];
	}
	printf("native-disk status=0 bare_ns=%.0f device_ns=%.0f percent=%.0f packed_ns=%.0f\n",
	       1e9 / best[0], 1e9 / best[1], 100 * best[1] / best[0], 1e9 / best[2]);
	close(fd);
	return 0;
}
