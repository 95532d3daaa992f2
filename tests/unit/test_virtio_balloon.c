/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_balloon.c - devices/virtio_balloon.c
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/virtio_balloon.h"
#include "tests/unit/driver.h"
#include "tests/unit/fake_kvm.h"
#include "tests/unit/t.h"
#include "vmm/vm.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
			 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ull << VIRTIO_BALLOON_F_STATS_VQ)
#define T_ALL		(T_WANTED | 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | \
			 1ull << VIRTIO_BALLOON_F_REPORTING)
#define T_PAGE		KIB(4)
#define T_PFN(gpa)	((u32)((gpa) / T_PAGE))
#define T_PAGES		(DRIVER_RAM_BASE + MIB(1))	/* those that are given up here */
#define T_STATS		(DRIVER_DATA + KIB(512))

enum { T_INFLATE, T_DEFLATE, T_STATSQ, T_DENSE, T_REPORT };

static void t_open_with(struct driver *d, const struct virtio_balloon_params *params)
{
	struct vmm_error err;
	struct virtio *dev;

	assert_int_equal(virtio_balloon_create(&dev, &d->env, 3, params, &err), 0);
	driver_attach(d, dev);
}

static void t_open(struct driver *d, u64 features)
{
	const struct virtio_balloon_params params = { .target = 0 };

	driver_open(d, 1);
	t_open_with(d, &params);
	driver_start(d, features);
	memset(gmem_host(&d->mem, T_PAGES, MIB(1)), 7, MIB(1));
}

static void t_done(struct driver *d, u32 queue, u16 head, u32 want_len)
{
	u32 got;
	u32 len;

	assert_true(driver_used(&d->q[queue], &got, &len));
	assert_int_equal(got, head);
	assert_int_equal(len, want_len);
}

/* Page numbers as they stand, in one chain. */
static void t_move(struct driver *d, u32 queue, const u32 *pfns, u32 nr)
{
	const struct driver_buf buf = { DRIVER_DATA, nr * 4, false };
	u16 head;

	assert_int_equal(gmem_write(&d->mem, DRIVER_DATA, pfns, nr * 4), 0);
	head = driver_add(&d->q[queue], &buf, 1);
	driver_kick(d, queue);
	t_done(d, queue, head, 0);
}

static struct vmm_balloon_stats t_stats(struct driver *d)
{
	struct vmm_balloon_stats stats;

	virtio_balloon_stats(d->dev, &stats);
	driver_turn(d);
	return stats;
}

/* Bytes of @nr pages that are as they were. */
static u64 t_left(struct driver *d, u64 page, u64 nr)
{
	const u8 *p = gmem_host(&d->mem, T_PAGES + page * T_PAGE, nr * T_PAGE);
	u64 left = 0;

	for (u64 i = 0; i < nr * T_PAGE; i++)
		left += p[i] == 7;
	return left;
}

static u64 t_host_bytes(struct driver *d)
{
	struct stat st;

	assert_int_equal(fstat(d->env.mem_fd, &st), 0);
	return (u64)st.st_blocks * 512;
}

static void test_what_is_given_up_is_the_hosts(void **state)
{
	/* In no order, with a gap, and one of them twice. */
	const u32 pfns[] = {
		T_PFN(T_PAGES) + 3, T_PFN(T_PAGES) + 1, T_PFN(T_PAGES) + 2, T_PFN(T_PAGES) + 9,
		T_PFN(T_PAGES) + 1,
	};
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	t_move(&d, T_INFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(t_left(&d, 0, 1), T_PAGE);
	assert_int_equal(t_left(&d, 1, 3), 0);
	assert_int_equal(t_left(&d, 4, 5), 5 * T_PAGE);
	assert_int_equal(t_left(&d, 9, 1), 0);
	assert_int_equal(t_stats(&d).actual, 4 * T_PAGE);
	t_move(&d, T_DEFLATE, pfns, 2);
	assert_int_equal(t_stats(&d).actual, 2 * T_PAGE);
	/* ... and it is memory, as before. */
	memset(gmem_host(&d.mem, T_PAGES + T_PAGE, T_PAGE), 7, T_PAGE);
	assert_int_equal(t_left(&d, 1, 1), T_PAGE);
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
}

static void test_all_of_it_to_and_fro(void **state)
{
	u32 pfns[256];
	struct driver d;
	u64 before;

	(void)state;
	t_open(&d, T_ALL);
	before = t_host_bytes(&d);
	for (u32 i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = T_PFN(T_PAGES) + (i * 7 & 255);
	t_move(&d, T_INFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(t_stats(&d).actual, MIB(1));
	/* But for the pages of rings and numbers that were touched meanwhile. */
	assert_in_range(t_host_bytes(&d), before - MIB(1), before - MIB(1) + 4 * T_PAGE);
	t_move(&d, T_DEFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(t_stats(&d).actual, 0);
	driver_close(&d);
}

/* HOSTILE: pages that are not RAM, again and again, and odd lengths. */
static void test_pages_that_are_none_are_ignored(void **state)
{
	const u32 strays[] = {
		0, 1, T_PFN(DRIVER_RAM_BASE) - 1, T_PFN(DRIVER_RAM_BASE + DRIVER_RAM_SIZE), 0x1000,
		INT32_MAX, 1u << 31, UINT32_MAX, T_PFN(0x03000000), T_PFN(DRIVER_RAM_BASE) | 1u << 31,
	};
	const struct driver_buf odd = { DRIVER_DATA, 7, false };
	const struct driver_buf in = { T_PAGES, 64, true };
	struct driver d;
	u16 head;

	(void)state;
	t_open(&d, T_ALL);
	for (u32 i = 0; i < 50; i++) {
		t_move(&d, T_INFLATE, strays, ARRAY_SIZE(strays));
		t_move(&d, T_DEFLATE, strays, ARRAY_SIZE(strays));
	}
	assert_int_equal(t_stats(&d).actual, 0);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	/* A number and three quarters of one; then none at all. */
	assert_int_equal(gmem_write(&d.mem, DRIVER_DATA, strays, 8), 0);
	head = driver_add(&d.q[T_INFLATE], &odd, 1);
	driver_kick(&d, T_INFLATE);
	t_done(&d, T_INFLATE, head, 0);
	head = driver_add(&d.q[T_INFLATE], &in, 1);
	driver_kick(&d, T_INFLATE);
	t_done(&d, T_INFLATE, head, 0);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
}

/* HOSTILE: a page that never was in the balloon is taken out of it. */
static void test_deflating_what_is_not_there_counts_nothing(void **state)
{
	const u32 pfns[] = { T_PFN(T_PAGES), T_PFN(T_PAGES), T_PFN(T_PAGES) + 1 };
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	t_move(&d, T_DEFLATE, pfns, 3);
	assert_int_equal(t_stats(&d).actual, 0);
	t_move(&d, T_INFLATE, pfns, 2);
	assert_int_equal(t_stats(&d).actual, T_PAGE);
	t_move(&d, T_DEFLATE, pfns, 3);
	assert_int_equal(t_stats(&d).actual, 0);
	assert_int_equal(t_left(&d, 1, 1), T_PAGE);
	driver_close(&d);
}

/* HOSTILE: its own rings.  It has lost them, nobody else anything. */
static void test_rings_in_the_balloon(void **state)
{
	const u32 pfn = T_PFN(DRIVER_RING(T_INFLATE));
	const u32 good = T_PFN(T_PAGES);
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	for (u32 i = 0; i < 16; i++) {
		const u32 each = pfn + i;
		const struct driver_buf buf = { DRIVER_DATA, 4, false };

		assert_int_equal(gmem_write(&d.mem, DRIVER_DATA, &each, 4), 0);
		driver_add(&d.q[T_INFLATE], &buf, 1);
		driver_kick(&d, T_INFLATE);
	}
	driver_status(&d, 0);
	driver_turn(&d);
	driver_start(&d, T_ALL);
	t_move(&d, T_INFLATE, &good, 1);
	assert_int_equal(t_left(&d, 0, 1), 0);
	driver_close(&d);
}

/* HOSTILE: how long a chain takes is bounded. */
static void test_too_many_at_once_break_it(void **state)
{
	const struct driver_buf most = { DRIVER_DATA, KIB(16), false };
	const struct driver_buf more = { DRIVER_DATA, KIB(16) + 4, false };
	struct driver d;
	u16 head;

	(void)state;
	t_open(&d, T_ALL);
	head = driver_add(&d.q[T_INFLATE], &most, 1);
	driver_kick(&d, T_INFLATE);
	t_done(&d, T_INFLATE, head, 0);
	assert_int_equal(d.nr_broken, 0);
	driver_add(&d.q[T_INFLATE], &more, 1);
	driver_kick(&d, T_INFLATE);
	assert_int_equal(d.nr_broken, 1);
	assert_non_null(strstr(d.why, "balloon3: "));
	driver_close(&d);
}

static void test_reset_empties_it(void **state)
{
	const u32 pfn = T_PFN(T_PAGES);
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	t_move(&d, T_INFLATE, &pfn, 1);
	driver_status(&d, 0);
	driver_turn(&d);
	assert_int_equal(t_stats(&d).actual, 0);
	driver_start(&d, T_ALL);
	/* So that it is given back again. */
	memset(gmem_host(&d.mem, T_PAGES, T_PAGE), 7, T_PAGE);
	t_move(&d, T_INFLATE, &pfn, 1);
	assert_int_equal(t_left(&d, 0, 1), 0);
	driver_close(&d);
}

/* A host whose pages are sixteen of the balloon's gives back whole ones alone. */
static void test_large_pages_of_the_host(void **state)
{
	u32 pfns[16];
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	d.mem.page = KIB(64);
	for (u32 i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = T_PFN(T_PAGES) + 16 + i;
	t_move(&d, T_INFLATE, pfns, 15);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	t_move(&d, T_DEFLATE, pfns, 1);
	t_move(&d, T_INFLATE, pfns + 15, 1);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	t_move(&d, T_INFLATE, pfns, 1);
	assert_int_equal(t_left(&d, 16, 16), 0);
	assert_int_equal(t_left(&d, 0, 256), MIB(1) - KIB(64));
	/* A driver that does not tell before it takes pages back may be in the others. */
	driver_status(&d, 0);
	driver_turn(&d);
	driver_start(&d, T_WANTED & ~(1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST));
	memset(gmem_host(&d.mem, T_PAGES, MIB(1)), 7, MIB(1));
	t_move(&d, T_INFLATE, pfns, 16);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	driver_close(&d);
}

static void test_memory_that_has_to_stay_stays(void **state)
{
	const u32 pfn = T_PFN(T_PAGES);
	const struct virtio_balloon_params params[] = { { .keep = true }, { .keep = false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		struct driver d;

		driver_open(&d, 1);
		d.mem.pooled = !params[i].keep;
		t_open_with(&d, &params[i]);
		assert_false(d.dev->offered & 1ull << VIRTIO_BALLOON_F_REPORTING);
		driver_start(&d, T_WANTED);
		memset(gmem_host(&d.mem, T_PAGES, MIB(1)), 7, MIB(1));
		t_move(&d, T_INFLATE, &pfn, 1);
		assert_int_equal(t_stats(&d).actual, T_PAGE);
		assert_int_equal(t_left(&d, 0, 256), MIB(1));
		driver_close(&d);
	}
}

/* The host has something against it: told once, and the guest goes on. */
static void test_host_that_cannot_take_it(void **state)
{
	const u32 pfns[] = { T_PFN(T_PAGES), T_PFN(T_PAGES) + 5 };
	struct t_log log = T_LOG_INIT;
	struct logger logger = { .fn = t_log, .opaque = &log, .level = VMM_LOG_WARN };
	struct driver d;
	int fd;

	(void)state;
	driver_open(&d, 1);
	d.env.log = &logger;
	fd = d.env.mem_fd;
	d.env.mem_fd = d.irq_fd;	/* an eventfd has no holes */
	t_open_with(&d, &(struct virtio_balloon_params){ .target = 0 });
	driver_start(&d, T_ALL);
	t_move(&d, T_INFLATE, pfns, 2);
	assert_int_equal(t_stats(&d).actual, 2 * T_PAGE);
	assert_true(t_logged(&log, "balloon3: the host keeps what the guest gives up: "));
	assert_int_equal(d.nr_broken, 0);
	d.env.mem_fd = fd;
	driver_close(&d);
}

/* ---- What the guest is told, and tells ---------------------------------------- */

static u32 t_config(struct driver *d, u32 off)
{
	__le32 val;

	driver_locked(d, virtio_config_read(d->dev, off, &val, sizeof(val)));
	return val;
}

static void test_target_is_told(void **state)
{
	const struct virtio_balloon_params params = { .target = MIB(2) + 5 };
	const u32 actual = 17;
	struct driver d;

	(void)state;
	driver_open(&d, 1);
	t_open_with(&d, &params);
	assert_int_equal(d.dev->ops->id, VIRTIO_ID_BALLOON);
	assert_int_equal(t_config(&d, 0), 512);
	driver_start(&d, T_ALL);
	assert_int_equal(d.nr_config_irqs, 0);
	virtio_balloon_set(d.dev, MIB(1));
	assert_int_equal(t_config(&d, 0), 256);
	assert_int_equal(d.nr_config_irqs, 1);
	assert_int_equal(t_stats(&d).target, MIB(1));
	/* The driver writes down how far it is, and nothing else. */
	driver_locked(&d, virtio_config_write(d.dev, 4, &actual, 4));
	driver_locked(&d, virtio_config_write(d.dev, 0, &actual, 4));
	driver_locked(&d, virtio_config_write(d.dev, 6, &actual, 4));
	driver_locked(&d, virtio_config_write(d.dev, 8, &actual, 4));
	assert_int_equal(t_config(&d, 0), 256);
	assert_int_equal(t_config(&d, 4), 17);
	assert_int_equal(t_config(&d, 8), 0);
	assert_int_equal(t_stats(&d).actual, 0);
	driver_close(&d);
}

static void test_what_is_offered(void **state)
{
	const struct virtio_balloon_params params = {
		.flags = VMM_BALLOON_F_NO_OOM | VMM_BALLOON_F_NO_REPORTING,
	};
	const u64 both = 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | 1ull << VIRTIO_BALLOON_F_REPORTING;
	struct driver d;

	(void)state;
	t_open(&d, T_ALL);
	assert_int_equal(d.dev->offered & T_ALL, T_ALL);
	driver_close(&d);
	driver_open(&d, 1);
	t_open_with(&d, &params);
	assert_int_equal(d.dev->offered & T_ALL, T_ALL & ~both);
	assert_false(driver_negotiate(&d, T_ALL));
	driver_close(&d);
}

static u16 t_tell(struct driver *d, u64 free)
{
	struct virtio_balloon_stat stats[] = {
		{ VIRTIO_BALLOON_S_MEMFREE, free }, { VIRTIO_BALLOON_S_MEMTOT, MIB(4) },
		{ 0x7777, 5 }, { VMM_BALLOON_STATS, 6 },
	};
	/* Short by a byte: the last one is none. */
	const struct driver_buf buf = { T_STATS, sizeof(stats) - 1, false };
	u16 head;

	assert_int_equal(gmem_write(&d->mem, T_STATS, stats, sizeof(stats)), 0);
	head = driver_add(&d->q[T_STATSQ], &buf, 1);
	driver_kick(d, T_STATSQ);
	return head;
}

static void test_statistics_are_asked_for(void **state)
{
	struct vmm_balloon_stats stats;
	struct driver d;
	u16 head;
	u32 got;
	u32 len;

	(void)state;
	t_open(&d, T_ALL);
	assert_int_equal(t_stats(&d).known, 0);		/* nobody there yet */
	head = t_tell(&d, 1000);
	/* It stays until somebody asks. */
	assert_false(driver_used(&d.q[T_STATSQ], &got, &len));
	stats = t_stats(&d);
	assert_int_equal(stats.updates, 1);
	assert_int_equal(stats.known, 1u << VMM_BALLOON_FREE | 1u << VMM_BALLOON_TOTAL);
	assert_int_equal(stats.guest[VMM_BALLOON_FREE], 1000);
	assert_int_equal(stats.guest[VMM_BALLOON_TOTAL], MIB(4));
	t_done(&d, T_STATSQ, head, 0);
	t_stats(&d);
	assert_false(driver_used(&d.q[T_STATSQ], &got, &len));
	/* What was asked for meanwhile is this. */
	t_tell(&d, 2000);
	assert_false(driver_used(&d.q[T_STATSQ], &got, &len));
	stats = t_stats(&d);
	assert_int_equal(stats.guest[VMM_BALLOON_FREE], 2000);
	assert_int_equal(stats.updates, 2);
	driver_close(&d);
}

/* HOSTILE: two buffers, an empty one, and a reset while one is here. */
static void test_odd_buffers_for_statistics(void **state)
{
	const struct driver_buf in = { T_STATS, 64, true };
	const struct driver_buf byte = { T_STATS, 1, false };
	struct driver d;
	u16 head;
	u16 last;

	(void)state;
	t_open(&d, T_ALL);
	head = t_tell(&d, 1);
	last = driver_add(&d.q[T_STATSQ], &in, 1);
	driver_kick(&d, T_STATSQ);
	t_done(&d, T_STATSQ, head, 0);
	head = driver_add(&d.q[T_STATSQ], &byte, 1);
	driver_kick(&d, T_STATSQ);
	t_done(&d, T_STATSQ, last, 0);
	assert_int_equal(t_stats(&d).guest[VMM_BALLOON_FREE], 1);
	t_done(&d, T_STATSQ, head, 0);
	t_tell(&d, 2);
	driver_status(&d, 0);
	driver_turn(&d);
	assert_int_equal(driver_status(&d, -1), 0);
	assert_int_equal(t_stats(&d).known, 0);
	driver_start(&d, T_ALL);
	t_tell(&d, 3);
	assert_int_equal(t_stats(&d).guest[VMM_BALLOON_FREE], 3);
	assert_int_equal(d.nr_broken, 0);
	/* And taken down with one here. */
	t_tell(&d, 4);
	driver_close(&d);
}

static void test_nothing_is_touched_while_paused(void **state)
{
	struct driver d;
	u16 head;
	u32 got;
	u32 len;

	(void)state;
	t_open(&d, T_ALL);
	head = t_tell(&d, 1);
	virtio_pause(d.dev, d.env.loops[0]);
	assert_true(virtio_at_rest(d.dev, d.env.loops[0]));
	t_stats(&d);
	assert_false(driver_used(&d.q[T_STATSQ], &got, &len));
	virtio_resume(d.dev, d.env.loops[0]);
	driver_turn(&d);
	t_done(&d, T_STATSQ, head, 0);
	driver_close(&d);
}

/* ---- Free pages -------------------------------------------------------------------- */

/* Where a driver puts the queue depends on how it reads the specification. */
static void test_free_pages_are_the_hosts(void **state)
{
	static const u32 queues[] = { T_REPORT, T_DENSE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		const struct driver_buf bufs[] = {
			{ T_PAGES + T_PAGE, 2 * T_PAGE, true },
			{ T_PAGES + 5 * T_PAGE - 1, 2 * T_PAGE, true },	/* one whole page is in it */
			{ T_PAGES + 9 * T_PAGE, T_PAGE - 1, true },	/* none */
		};
		struct driver d;
		u16 head;

		t_open(&d, T_ALL);
		head = driver_add(&d.q[queues[i]], bufs, ARRAY_SIZE(bufs));
		driver_kick(&d, queues[i]);
		t_done(&d, queues[i], head, 0);
		assert_int_equal(t_left(&d, 0, 1), T_PAGE);
		assert_int_equal(t_left(&d, 1, 2), 0);
		assert_int_equal(t_left(&d, 3, 2), 2 * T_PAGE);
		assert_int_equal(t_left(&d, 5, 1), 0);
		assert_int_equal(t_left(&d, 6, 250), 250 * T_PAGE);
		assert_int_equal(t_stats(&d).reported, 3 * T_PAGE);
		assert_int_equal(t_stats(&d).actual, 0);
		driver_close(&d);
	}
}

static void test_reports_that_were_not_negotiated_are_none(void **state)
{
	const struct driver_buf buf = { T_PAGES, MIB(1), true };
	struct driver d;
	u16 head;

	(void)state;
	t_open(&d, T_WANTED);
	head = driver_add(&d.q[T_REPORT], &buf, 1);
	driver_kick(&d, T_REPORT);
	t_done(&d, T_REPORT, head, 0);
	assert_int_equal(t_left(&d, 0, 256), MIB(1));
	driver_close(&d);
}

/* HOSTILE: what it only lets us read it has not given up. */
static void test_reports_of_pages_to_read_are_none(void **state)
{
	const struct driver_buf bufs[] = {
		{ T_PAGES, T_PAGE, false }, { T_PAGES + T_PAGE, T_PAGE, true },
	};
	struct driver d;
	u16 head;

	(void)state;
	t_open(&d, T_ALL);
	head = driver_add(&d.q[T_REPORT], bufs, 2);
	driver_kick(&d, T_REPORT);
	t_done(&d, T_REPORT, head, 0);
	assert_int_equal(t_left(&d, 0, 1), T_PAGE);
	assert_int_equal(t_left(&d, 1, 1), 0);
	driver_close(&d);
}

/* ---- In a VM ------------------------------------------------------------------------ */

static void test_vm_has_one(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_balloon_config cfg = VMM_BALLOON_CONFIG_INIT;
	struct vmm_balloon_stats stats = VMM_BALLOON_STATS_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error err;
	u64 ram = vm->cfg.ram_size;

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	cfg.flags = 1ull << 63;
	assert_int_equal(vmm_add_balloon(vm, &cfg, &err), -E2BIG);
	cfg.flags = 0;
	cfg.target = ram + 1;
	assert_int_equal(vmm_add_balloon(vm, &cfg, &err), -EINVAL);
	cfg.target = MIB(4);
	assert_int_equal(vmm_add_rng(vm, &rng, &err), 0);
	assert_int_equal(vmm_add_balloon(vm, &cfg, &err), 1);
	assert_int_equal(vmm_add_balloon(vm, &cfg, &err), -ENOSPC);
	assert_int_equal(vmm_balloon_set(vm, 0), -EBUSY);
	assert_int_equal(vmm_balloon_stats(vm, &stats), -EBUSY);
	t_start(vm);
	assert_int_equal(vmm_balloon_stats(vm, &stats), 0);
	assert_int_equal(stats.size, sizeof(stats));
	assert_int_equal(stats.target, MIB(4));
	assert_int_equal(vmm_balloon_set(vm, ram + 1), -EINVAL);
	assert_int_equal(vmm_balloon_set(vm, ram), 0);
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_balloon_set(vm, MIB(8) + 1), 0);
	assert_int_equal(vmm_balloon_stats(vm, &stats), 0);
	assert_int_equal(stats.target, MIB(8));
	stats.size = 3;
	assert_int_equal(vmm_balloon_stats(vm, &stats), -EINVAL);
	assert_int_equal(vmm_stop(vm), 0);
	t_stopped(vm, VMM_STOP_HOST);
	assert_int_equal(vmm_balloon_set(vm, 0), -EBUSY);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_vm_without_one_says_so(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_balloon_stats stats = VMM_BALLOON_STATS_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	t_start(vm);
	assert_int_equal(vmm_balloon_set(vm, 0), -ENOENT);
	assert_int_equal(vmm_balloon_stats(vm, &stats), -ENOENT);
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_given_up_is_the_hosts),
		cmocka_unit_test(test_all_of_it_to_and_fro),
		cmocka_unit_test(test_pages_that_are_none_are_ignored),
		cmocka_unit_test(test_deflating_what_is_not_there_counts_nothing),
		cmocka_unit_test(test_rings_in_the_balloon),
		cmocka_unit_test(test_too_many_at_once_break_it),
		cmocka_unit_test(test_reset_empties_it),
		cmocka_unit_test(test_large_pages_of_the_host),
		cmocka_unit_test(test_memory_that_has_to_stay_stays),
		cmocka_unit_test(test_host_that_cannot_take_it),
		cmocka_unit_test(test_target_is_told),
		cmocka_unit_test(test_what_is_offered),
		cmocka_unit_test(test_statistics_are_asked_for),
		cmocka_unit_test(test_odd_buffers_for_statistics),
		cmocka_unit_test(test_nothing_is_touched_while_paused),
		cmocka_unit_test(test_free_pages_are_the_hosts),
		cmocka_unit_test(test_reports_that_were_not_negotiated_are_none),
		cmocka_unit_test(test_reports_of_pages_to_read_are_none),
		cmocka_unit_test(test_vm_has_one),
		cmocka_unit_test(test_vm_without_one_says_so),
	};

	return driver_run_each_kind(tests);
}
