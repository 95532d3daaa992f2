/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hostile.c - drivers that do what none may, to every device of victims.c
 *
 * By the registers of virtio-mmio and of virtio-pci, with the I/O loop on a thread of its own,
 * as in life.  Whatever is done, the machine runs on: the device ignores it, or fails the
 * request, or waits for a reset; and after a reset it works.  Rings that the kernel or another
 * process serves are theirs to check: of such a device the registers are tested.  What is
 * in rings does not depend on the transport.  HOSTILE.md says what is tested where.
 */
#include <linux/virtio_config.h>
#include <malloc.h>

#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "tests/unit/transport.h"
#include "tests/unit/victims.h"
#include "vmm/bus.h"

#define T_OK		(DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK)
#define T_RUNS		(T_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define T_RAM_END	(DRIVER_RAM_BASE + DRIVER_RAM_SIZE)
#define T_SIZE		8
#define T_TABLE		(DRIVER_DATA + MIB(1))
#define T_UART		0x01000000ull	/* what a guest finds there is no RAM */

struct t_rig {
	struct driver		d;
	const struct victim	*victim;
	struct transport	t;
	pthread_t		thread;
	_Atomic pid_t		tid;		/* by itself, before it serves anything */
	struct t_log		log;
	struct logger		logger;
};

/* By which it goes from now on. */
static const struct transport_ops *t_transport = &transport_mmio;

/* ---- The driver ---------------------------------------------------------------- */

static u8 t_status(struct t_rig *rig)
{
	return rig->t.ops->status(&rig->t);
}

static void t_set_status(struct t_rig *rig, u8 val)
{
	rig->t.ops->set_status(&rig->t, val);
}

static void t_kick_queue(struct t_rig *rig, u32 queue)
{
	rig->t.ops->kick(&rig->t, queue);
}

static void t_kick(struct t_rig *rig)
{
	for (u32 i = 0; i < rig->d.nr_queues; i++)
		t_kick_queue(rig, i);
}

static void t_features(struct t_rig *rig, u64 features)
{
	rig->t.ops->set_features(&rig->t, features);
}

static bool t_ready(struct t_rig *rig)
{
	return rig->t.ops->ready(&rig->t);
}

/* Of the queue that is selected by it. */
static void t_layout(struct t_rig *rig, u32 queue, const struct virtq_layout *l)
{
	rig->t.ops->select(&rig->t, queue);
	rig->t.ops->set_layout(&rig->t, l);
	rig->t.ops->set_ready(&rig->t, true);
}

static bool t_packed(const struct t_rig *rig)
{
	return driver_packed && rig->d.dev->offered & 1ull << VIRTIO_F_RING_PACKED;
}

static void t_negotiate(struct t_rig *rig)
{
	rig->t.ops->reset(&rig->t);
	t_set_status(rig, DRIVER_ACK);
	t_features(rig, 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
		   (t_packed(rig) ? 1ull << VIRTIO_F_RING_PACKED : 0));
	t_set_status(rig, T_OK);
	assert_int_equal(t_status(rig), T_OK);
}

static void t_bring_up(struct t_rig *rig)
{
	t_negotiate(rig);
	for (u32 i = 0; i < rig->d.nr_queues; i++) {
		driver_queue_init(&rig->d.q[i], &rig->d.mem, i, T_SIZE);
		rig->d.q[i].packed = t_packed(rig);
		t_layout(rig, i, &rig->d.q[i].layout);
		assert_true(t_ready(rig));
	}
	t_set_status(rig, T_RUNS);
	assert_int_equal(t_status(rig), T_RUNS);
}

static struct driver_queue *t_queue(struct t_rig *rig)
{
	return &rig->d.q[rig->victim->queue];
}

static u16 t_used(struct t_rig *rig)
{
	return driver_nr_used(t_queue(rig));
}

/* Who is at the other end takes what has come. */
static void t_take(struct t_rig *rig)
{
	if (rig->victim->host)
		rig->victim->host(NULL, 0);
}

/* A request with which nothing is wrong. */
static void t_works(struct t_rig *rig)
{
	struct driver_queue *q = t_queue(rig);
	struct driver_buf bufs[3];
	u16 before = t_used(rig);
	size_t nr = 0;

	for (; nr < ARRAY_SIZE(bufs) && rig->victim->good[nr].len; nr++) {
		bufs[nr] = (struct driver_buf){
			DRIVER_DATA + nr * KIB(8), rig->victim->good[nr].len, rig->victim->good[nr].in,
		};
		memset(driver_at(q, bufs[nr].addr), 0, bufs[nr].len);
	}
	driver_add(q, bufs, nr);
	t_kick_queue(rig, rig->victim->queue);
	/* What was sent before may be in the way of it. */
	t_until((t_take(rig), t_used(rig) == (u16)(before + 1)));
}

/* ... and then nobody does anything any more. */
static void t_settle(struct t_rig *rig)
{
	t_works(rig);
	t_until(!rig->victim->settled || rig->victim->settled());
}

static bool t_waits_for_reset(struct t_rig *rig)
{
	return t_status(rig) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* ---- Each of the devices ------------------------------------------------------------ */

static void *io_thread(void *arg)
{
	struct t_rig *rig = arg;

	rig->tid = gettid();
	assert_int_equal(loop_run(rig->d.env.loops[0]), 0);
	return NULL;
}

static void t_open(struct t_rig *rig, const struct victim *victim)
{
	*rig = (struct t_rig){ .victim = victim, .log = T_LOG_INIT };
	driver_open(&rig->d, 1);
	rig->logger = (struct logger){ .fn = t_log, .opaque = &rig->log, .level = VMM_LOG_WARN };
	rig->d.env.log = &rig->logger;
	victims_host(0);
	driver_attach(&rig->d, victim->make(&rig->d.env));
	transport_up(&rig->t, t_transport, rig->d.dev);
	assert_int_equal(pthread_create(&rig->thread, NULL, io_thread, rig), 0);
	t_bring_up(rig);
}

/* However it was left. */
static void t_close(struct t_rig *rig)
{
	rig->t.ops->find(&rig->t);
	t_bring_up(rig);
	t_works(rig);
	loop_quit(rig->d.env.loops[0]);
	pthread_join(rig->thread, NULL);
	virtio_destroy(rig->d.dev);
	rig->d.dev = NULL;
	rig->t.ops->down(&rig->t);
	driver_close(&rig->d);
	if (rig->victim->unmake)
		rig->victim->unmake();
}

/* Close what was @i - 1, and open the next; of those whose rings are ours, and of this kind. */
static bool t_next(struct t_rig *rig, u32 *i, bool rings)
{
	if (*i)
		t_close(rig);
	while (*i < nr_victims) {
		const struct victim *victim = &victims[(*i)++];

		if (rings && victim->elsewhere)
			continue;
		t_open(rig, victim);
		if (!rings || t_packed(rig) == driver_packed)
			return true;
		t_close(rig);
	}
	return false;
}

#define t_each(rig)		for (u32 t_i = 0; t_next(rig, &t_i, false); )
#define t_each_ring(rig)	for (u32 t_i = 0; t_next(rig, &t_i, true); )

/* What was done breaks the device, once. */
static void t_broken(struct t_rig *rig)
{
	t_kick(rig);
	t_until(t_waits_for_reset(rig) && rig->d.nr_broken);
	t_kick(rig);
	assert_int_equal(rig->d.nr_broken, 1);
	rig->d.nr_broken = 0;
}

static void t_set_idx(struct t_rig *rig, u16 idx)
{
	__atomic_store_n(&t_queue(rig)->avail->idx, idx, __ATOMIC_RELEASE);
}

static void t_set(struct t_rig *rig, u16 i, gpa_t addr, u32 len, u16 flags, u16 next)
{
	t_queue(rig)->desc[i] = (struct vring_desc){ addr, len, flags, next };
}

/* Of a packed ring in its first round; the flags that say so are its last. */
static void t_slot(struct t_rig *rig, u16 i, u32 flags, u16 id)
{
	struct vring_packed_desc *d = &t_queue(rig)->slots[i];

	d->addr = DRIVER_DATA;
	d->len = 1;
	d->id = id;
	__atomic_store_n(&d->flags, (u16)flags, __ATOMIC_RELEASE);
}

/* ---- Registers -------------------------------------------------------------------------- */

static void test_registers_are_written_while_it_runs(void **state)
{
	const struct virtq_layout other = { 4, DRIVER_RING(9), DRIVER_RING(10), DRIVER_RING(11) };
	const struct virtq_layout wild = { 0, 1, UINT64_MAX, 0 };
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		for (u32 i = 0; i < rig.d.nr_queues; i++) {
			rig.t.ops->select(&rig.t, i);
			rig.t.ops->set_ready(&rig.t, false);
			assert_true(t_ready(&rig));
			t_layout(&rig, i, &other);
			t_works(&rig);
			t_layout(&rig, i, &wild);
			t_works(&rig);
		}
		t_features(&rig, UINT64_MAX);
		t_set_status(&rig, DRIVER_ACK);
		assert_int_equal(t_status(&rig), T_RUNS);
		t_works(&rig);
	}
}

static void test_queues_that_are_not_there(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		const u32 sels[] = {
			rig.d.nr_queues, 0xff, 0x7fff, 0xffff, 0x10000, INT32_MAX, 1u << 31, UINT32_MAX,
		};

		for (size_t i = 0; i < ARRAY_SIZE(sels) && sels[i] <= rig.t.ops->widest; i++) {
			t_layout(&rig, sels[i], &rig.d.q[0].layout);
			assert_int_equal(rig.t.ops->max_size(&rig.t), 0);
			assert_false(t_ready(&rig));
			t_kick_queue(&rig, sels[i]);
		}
		t_works(&rig);
	}
}

/* Each is refused; and then a driver that goes on regardless finds nothing served. */
static void t_refuses(struct t_rig *rig, const struct virtq_layout *l)
{
	t_negotiate(rig);
	t_layout(rig, rig->victim->queue, l);
	assert_false(t_ready(rig));
	t_set_status(rig, T_RUNS);
	t_kick(rig);
}

static void test_queues_of_sizes_that_cannot_be(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		const u32 max = rig.d.dev->queues[0].max_size;
		const u32 sizes[] = {
			0, max + 1, 2 * max, 0x8000, 0x10000 + max, 1u << 31, UINT32_MAX,
			/* Of a packed ring these can be. */
			3, max - 1,
		};

		for (size_t i = 0; i < ARRAY_SIZE(sizes) - (t_packed(&rig) ? 2 : 0); i++) {
			struct virtq_layout l = t_queue(&rig)->layout;

			if (sizes[i] > rig.t.ops->widest)
				continue;
			l.size = sizes[i];
			t_refuses(&rig, &l);
		}
	}
}

/* Its own registers among them: only RAM is ever read or written for a device. */
static void test_rings_that_are_not_ram(void **state)
{
	static const gpa_t bad[] = {
		0, T_UART, 0x03000000, 0x50000000, DRIVER_RAM_BASE - 16, T_RAM_END - 2, T_RAM_END,
		UINT64_MAX - 15, 1ull << 63, DRIVER_RAM_BASE + (1ull << 32),
	};
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(bad) * 3; i++) {
			struct virtq_layout l = t_queue(&rig)->layout;

			*(gpa_t *[]){ &l.desc, &l.avail, &l.used }[i % 3] = bad[i / 3];
			t_refuses(&rig, &l);
		}
	}
}

static void t_access(const struct transport_area *area, u32 off, u32 len)
{
	static const u64 vals[] = { 1, 0x7fffffff, UINT32_MAX, UINT64_MAX };
	const u64 mask = len < 8 ? (1ull << len * 8) - 1 : UINT64_MAX;

	area->ops->read(area->dev, off, len);
	for (size_t i = 0; i < ARRAY_SIZE(vals); i++)
		area->ops->write(area->dev, off, len, vals[i] & mask);
}

static void test_accesses_of_any_size_anywhere(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		for (u32 i = 0; i < rig.t.nr_areas; i++) {
			const struct transport_area *area = &rig.t.areas[i];

			for (u32 len = 1; len <= 8; len *= 2)
				for (u32 off = area->from; off + len <= area->to; off++)
					t_access(area, off, len);
		}
	}
}

static void test_steps_of_the_negotiation_are_left_out(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		/* Everything at once, with every feature there could be. */
		rig.t.ops->reset(&rig.t);
		t_features(&rig, UINT64_MAX);
		t_set_status(&rig, T_RUNS);
		assert_int_equal(t_status(&rig) & ~(u32)DRIVER_ACK, 0);
		t_kick(&rig);
		/* None, and no FEATURES_OK. */
		rig.t.ops->reset(&rig.t);
		t_features(&rig, 0);
		t_layout(&rig, 0, &rig.d.q[0].layout);
		assert_false(t_ready(&rig));
		t_set_status(&rig, DRIVER_ACK | VIRTIO_CONFIG_S_DRIVER_OK);
		assert_int_equal(t_status(&rig), DRIVER_ACK);
		t_kick(&rig);
		/* Each that is not offered, alone. */
		for (u32 bit = 0; bit < 64; bit++) {
			if (rig.d.dev->offered >> bit & 1)
				continue;
			rig.t.ops->reset(&rig.t);
			t_set_status(&rig, DRIVER_ACK);
			t_features(&rig, 1ull << VIRTIO_F_VERSION_1 | 1ull << bit);
			t_set_status(&rig, T_RUNS);
			assert_int_equal(t_status(&rig), DRIVER_ACK);
		}
	}
}

/* Requests are under way each time, and none is left open or done after the reset. */
static void test_resets_in_the_middle(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		for (u32 n = 0; n < 50; n++) {
			struct driver_queue *q = t_queue(&rig);
			const struct driver_buf in = { DRIVER_DATA + KIB(64), KIB(64), true };
			u16 used;

			for (u32 i = 0; i < T_SIZE; i++)
				driver_add(q, &in, 1);
			for (u32 i = 0; i < rig.d.nr_queues; i++)
				if (q != &rig.d.q[i])
					driver_add(&rig.d.q[i], &in, 1);
			t_kick(&rig);
			rig.t.ops->reset(&rig.t);
			used = t_used(&rig);
			t_kick(&rig);
			assert_int_equal(t_used(&rig), used);
			t_bring_up(&rig);
		}
		rig.d.nr_broken = 0;
	}
}

/* ---- Rings ---------------------------------------------------------------------------------- */

static void test_idx_jumps(void **state)
{
	static const u16 idx[] = { T_SIZE + 1, 0x7fff, 0x8000, 0xffff };
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(idx); i++) {
			t_bring_up(&rig);
			t_set_idx(&rig, idx[i]);
			t_broken(&rig);
		}
	}
}

static void test_heads_outside_of_the_table(void **state)
{
	static const u16 heads[] = { T_SIZE, 0x7fff, 0xffff };
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
			t_bring_up(&rig);
			driver_offer(t_queue(&rig), heads[i]);
			t_broken(&rig);
		}
	}
}

static void test_packed_ids_outside_of_the_queue(void **state)
{
	static const u16 ids[] = { T_SIZE, 0x7fff, 0xffff };
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
			t_bring_up(&rig);
			t_slot(&rig, 0, DRIVER_AVAIL, ids[i]);
			t_broken(&rig);
		}
	}
}

/* Whether the first one is still under way is a matter of time here too. */
static void test_packed_ids_are_offered_twice(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u32 n = 0; n < 20; n++) {
			t_bring_up(&rig);
			for (u16 i = 0; i < T_SIZE; i++)
				t_slot(&rig, i, DRIVER_AVAIL | VRING_DESC_F_WRITE, 3);
			t_kick(&rig);
			t_until(t_waits_for_reset(&rig) || t_used(&rig) == T_SIZE);
			assert_in_range(t_used(&rig), 0, T_SIZE);
		}
		rig.d.nr_broken = 0;
	}
}

static void test_packed_chains_without_an_end(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u16 i = 0; i < T_SIZE; i++)
			t_slot(&rig, (u16)(T_SIZE - 1 - i), DRIVER_AVAIL | VRING_DESC_F_NEXT, 0);
		t_broken(&rig);
	}
}

/* Into what was never offered, is used, or is of another round. */
static void test_packed_chains_that_leave_what_is_offered(void **state)
{
	static const u16 lies[] = { 0, DRIVER_AVAIL | DRIVER_USED, DRIVER_USED, DRIVER_USED | VRING_DESC_F_NEXT };
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
			t_bring_up(&rig);
			t_slot(&rig, 1, lies[i], 0);
			t_slot(&rig, 0, DRIVER_AVAIL | VRING_DESC_F_NEXT, 0);
			t_broken(&rig);
		}
	}
}

/* Offers of a round that has not come are none, however often the device is kicked. */
static void test_packed_offers_of_the_wrong_round(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u16 i = 0; i < T_SIZE; i++)
			t_slot(&rig, i, DRIVER_USED | VRING_DESC_F_WRITE, i);
		for (u32 n = 0; n < 20; n++)
			t_kick(&rig);
		assert_int_equal(t_used(&rig), 0);
		assert_int_equal(rig.d.nr_broken, 0);
		assert_false(t_waits_for_reset(&rig));
	}
}

static void test_packed_indirect_tables_that_make_no_sense(void **state)
{
	static const struct vring_packed_desc bad[] = {
		{ T_TABLE, 0, 0, VRING_DESC_F_INDIRECT },
		{ T_TABLE, 8, 0, VRING_DESC_F_INDIRECT },
		{ T_TABLE, 24, 0, VRING_DESC_F_INDIRECT },
		{ T_TABLE, 16 * (T_SIZE + 1), 0, VRING_DESC_F_INDIRECT },
		{ T_TABLE, 0xfffffff0, 0, VRING_DESC_F_INDIRECT },
		{ T_UART, 16, 0, VRING_DESC_F_INDIRECT },
		{ 0x03000000, 16, 0, VRING_DESC_F_INDIRECT },
		{ T_RAM_END - 8, 16, 0, VRING_DESC_F_INDIRECT },
		{ UINT64_MAX - 7, 16, 0, VRING_DESC_F_INDIRECT },
		{ T_TABLE, 16, 0, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
	};
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			t_bring_up(&rig);
			driver_offer_slots(t_queue(&rig), &bad[i], 1);
			t_broken(&rig);
		}
	}
}

/* Whether the first one is still under way is a matter of time: nothing is used twice. */
static void test_heads_are_offered_twice(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u32 n = 0; n < 20; n++) {
			t_bring_up(&rig);
			for (u32 i = 0; i < rig.d.nr_queues; i++) {
				const struct driver_buf in = { DRIVER_DATA, 2000, true };
				u16 head = driver_add(&rig.d.q[i], &in, 1);

				for (u32 k = 1; k < T_SIZE; k++)
					driver_offer(&rig.d.q[i], head);
			}
			t_kick(&rig);
			t_until(t_waits_for_reset(&rig) || t_used(&rig) == T_SIZE);
			assert_in_range(t_used(&rig), 0, T_SIZE);
		}
		rig.d.nr_broken = 0;
	}
}

static void test_chains_that_loop(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		t_set(&rig, 0, DRIVER_DATA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
		t_set(&rig, 1, DRIVER_DATA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
		driver_offer(t_queue(&rig), 0);
		t_broken(&rig);
		t_bring_up(&rig);
		t_set(&rig, 5, DRIVER_DATA, 1, VRING_DESC_F_NEXT, 5);
		driver_offer(t_queue(&rig), 5);
		t_broken(&rig);
	}
}

static void test_chains_that_leave_the_table(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		t_set(&rig, 0, DRIVER_DATA, 1, VRING_DESC_F_NEXT, T_SIZE);
		driver_offer(t_queue(&rig), 0);
		t_broken(&rig);
		t_bring_up(&rig);
		t_set(&rig, 0, DRIVER_DATA, 1, VRING_DESC_F_NEXT, 0xffff);
		driver_offer(t_queue(&rig), 0);
		t_broken(&rig);
	}
}

static void test_indirect_tables_that_make_no_sense(void **state)
{
	static const struct vring_desc bad[] = {
		{ T_TABLE, 0, VRING_DESC_F_INDIRECT, 0 },
		{ T_TABLE, 8, VRING_DESC_F_INDIRECT, 0 },
		{ T_TABLE, 24, VRING_DESC_F_INDIRECT, 0 },
		{ T_TABLE, 0xfffffff0, VRING_DESC_F_INDIRECT, 0 },
		{ T_UART, 16, VRING_DESC_F_INDIRECT, 0 },
		{ 0x03000000, 16, VRING_DESC_F_INDIRECT, 0 },
		{ T_RAM_END - 8, 16, VRING_DESC_F_INDIRECT, 0 },
		{ UINT64_MAX - 7, 16, VRING_DESC_F_INDIRECT, 0 },
		{ T_TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 },
		{ T_TABLE, 16, VRING_DESC_F_INDIRECT, 0 },	/* it has itself in it */
	};
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			t_bring_up(&rig);
			memcpy(driver_at(t_queue(&rig), T_TABLE), &bad[ARRAY_SIZE(bad) - 1], sizeof(bad[0]));
			t_queue(&rig)->desc[0] = bad[i];
			driver_offer(t_queue(&rig), 0);
			t_broken(&rig);
		}
	}
}

static void test_buffers_that_are_not_ram(void **state)
{
	static const struct driver_buf bad[] = {
		{ 0, 16, false }, { T_UART, 1, true }, { 0x03000070, 4, true },
		{ DRIVER_RAM_BASE - 1, 2, true }, { T_RAM_END - 15, 16, false }, { T_RAM_END, 16, true },
		{ UINT64_MAX, 1, true }, { UINT64_MAX - 7, 16, false }, { DRIVER_RAM_BASE, UINT32_MAX, true },
		{ DRIVER_RAM_BASE + (1ull << 32), 16, true },
	};
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			const struct driver_buf bufs[] = { { DRIVER_DATA, 16, false }, bad[i] };

			t_bring_up(&rig);
			driver_add(t_queue(&rig), bufs, 2);
			t_broken(&rig);
		}
	}
}

static void test_buffers_in_the_wrong_order_or_empty(void **state)
{
	static const struct driver_buf bad[][2] = {
		{ { DRIVER_DATA, 16, true }, { DRIVER_DATA, 16, false } },
		{ { DRIVER_DATA, 0, false }, { DRIVER_DATA, 16, true } },
		{ { DRIVER_DATA, 16, false }, { DRIVER_DATA, 0, true } },
	};
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			t_bring_up(&rig);
			driver_add(t_queue(&rig), bad[i], 2);
			t_broken(&rig);
		}
	}
}

/* All that RAM has, as often as there are descriptors, to read or to write. */
static void test_requests_that_are_huge(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u32 in = 0; in < 2; in++) {
			struct driver_buf bufs[T_SIZE];

			t_bring_up(&rig);
			/* Not where the rings are: they would be overwritten. */
			for (u32 i = 0; i < T_SIZE; i++)
				bufs[i] = (struct driver_buf){
					DRIVER_DATA, DRIVER_RAM_SIZE - (DRIVER_DATA - DRIVER_RAM_BASE), in,
				};
			driver_add(t_queue(&rig), bufs, T_SIZE);
			t_kick(&rig);
			t_until(t_waits_for_reset(&rig) || t_used(&rig));
		}
		rig.d.nr_broken = 0;
	}
}

/* Neither short of their header or status, nor of nothing else. */
static void test_requests_without_their_parts(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		for (u32 len = 1; len < 40; len++) {
			for (u32 in = 0; in < 2; in++) {
				const struct driver_buf one = { DRIVER_DATA, len, in };

				t_bring_up(&rig);
				driver_add(t_queue(&rig), &one, 1);
				t_kick(&rig);
				t_until(t_waits_for_reset(&rig) || t_used(&rig));
			}
		}
		rig.d.nr_broken = 0;
	}
}

/* ---- Another vCPU writes meanwhile ------------------------------------------------------------ */

struct t_scribbler {
	struct t_rig	*rig;
	atomic_bool	stop;
};

/* The race is what is tested. */
__attribute__((no_sanitize("thread"), no_sanitize("address")))
static void *scribble(void *arg)
{
	struct t_scribbler *s = arg;
	struct driver_queue *q = t_queue(s->rig);
	volatile struct vring_desc *desc = q->desc;
	volatile struct vring_avail *avail = q->avail;
	volatile u8 *data = driver_at(q, DRIVER_DATA);
	u32 x = 1;

	while (!s->stop) {
		x = x * 1664525 + 1013904223;
		desc[x >> 8 & (T_SIZE - 1)].len = x >> 16 & 0xfff;
		desc[x >> 11 & (T_SIZE - 1)].addr = x & 0x80 ? DRIVER_DATA : x & 0x40 ? T_UART : T_RAM_END - 8;
		desc[x >> 14 & (T_SIZE - 1)].flags = x >> 20 & 7;
		desc[x >> 17 & (T_SIZE - 1)].next = x >> 24 & 15;
		avail->ring[x >> 9 & (T_SIZE - 1)] = x >> 12 & 15;
		data[x >> 26] = (u8)x;
	}
	return NULL;
}

/* All of a ring, in any round, with tables that are the ring itself. */
__attribute__((no_sanitize("thread"), no_sanitize("address")))
static void *scribble_packed(void *arg)
{
	struct t_scribbler *s = arg;
	struct driver_queue *q = t_queue(s->rig);
	volatile struct vring_packed_desc *slots = q->slots;
	volatile u8 *data = driver_at(q, DRIVER_DATA);
	u32 x = 1;

	while (!s->stop) {
		x = x * 1664525 + 1013904223;
		slots[x >> 8 & (T_SIZE - 1)].len = x >> 16 & 0xfff;
		slots[x >> 11 & (T_SIZE - 1)].addr = x & 0x80 ? DRIVER_DATA : x & 0x40 ? T_UART :
						     x & 0x20 ? T_RAM_END - 8 : q->layout.desc;
		slots[x >> 17 & (T_SIZE - 1)].id = x >> 24 & 15;
		slots[x >> 14 & (T_SIZE - 1)].flags = (x >> 20 & 7) | (x & 0x100 ? DRIVER_AVAIL : DRIVER_USED);
		q->driver_event->off_wrap = (u16)x;
		q->driver_event->flags = x >> 28 & 3;
		data[x >> 26] = (u8)x;
	}
	return NULL;
}

static void test_packed_contents_change_meanwhile(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		struct t_scribbler s = { .rig = &rig };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, scribble_packed, &s), 0);
		for (u32 n = 0; n < 150; n++) {
			t_negotiate(&rig);
			t_layout(&rig, rig.victim->queue, &t_queue(&rig)->layout);
			t_set_status(&rig, T_RUNS);
			for (u32 i = 0; i < T_SIZE; i++)
				t_kick(&rig);
		}
		s.stop = true;
		pthread_join(thread, NULL);
		rig.d.nr_broken = 0;
	}
}

static void test_contents_change_meanwhile(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each_ring(&rig) {
		struct t_scribbler s = { .rig = &rig };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
		for (u32 n = 0; n < 150; n++) {
			t_negotiate(&rig);
			t_queue(&rig)->used->idx = 0;
			t_set_idx(&rig, 0);
			t_layout(&rig, rig.victim->queue, &t_queue(&rig)->layout);
			t_set_status(&rig, T_RUNS);
			for (u32 i = 1; i <= T_SIZE; i++) {
				t_set_idx(&rig, (u16)i);
				t_kick(&rig);
			}
		}
		s.stop = true;
		pthread_join(thread, NULL);
		rig.d.nr_broken = 0;
	}
}

/* ---- What a guest can make grow ------------------------------------------------------------------ */

/* The shortest way to break a device, if its rings are ours. */
static void t_err(struct t_rig *rig)
{
	const struct vring_packed_desc wild = { DRIVER_DATA, 1, 1000, 0 };

	if (t_packed(rig))
		driver_offer_slots(t_queue(rig), &wild, 1);
	else
		t_set_idx(rig, 1000);
}

static u32 t_lines(struct t_rig *rig)
{
	u32 nr;

	pthread_mutex_lock(&rig->log.lock);
	nr = rig->log.nr[VMM_LOG_WARN];
	pthread_mutex_unlock(&rig->log.lock);
	return nr;
}

static void t_break(struct t_rig *rig)
{
	if (rig->victim->elsewhere)
		return;
	t_err(rig);
	t_kick(rig);
	t_until(t_waits_for_reset(rig));
}

/*
 * A burst of lines, one that says so, and another for each window that has passed.  A device
 * that cannot do without the ring that is refused says so too.
 */
static void test_log_does_not_grow_with_mistakes(void **state)
{
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		const u64 begun = t_now_ms();
		u32 nr = 0;

		for (; nr < 50; nr++) {
			t_bring_up(&rig);
			t_break(&rig);
			/* And a ring that is refused. */
			t_refuses(&rig, &(struct virtq_layout){ .size = 3 });
		}
		if (rig.victim->elsewhere)
			assert_in_range(rig.d.nr_broken, 0, nr);
		else
			assert_int_equal(rig.d.nr_broken, nr);
		assert_in_range(t_lines(&rig), 1,
				(LOG_BURST + 2) * (1 + (t_now_ms() - begun) / LOG_WINDOW_MS));
	}
}

/* It waits, and did not run meanwhile; one that wants to and may not is no such. */
static bool t_thread_sleeps(struct t_rig *rig)
{
	struct timespec times[2];
	clockid_t clock;
	bool waits = true;

	assert_int_equal(pthread_getcpuclockid(rig->thread, &clock), 0);
	for (u32 i = 0; i < 2; i++) {
		if (i)
			t_sleep_ms(10);
		waits &= t_thread_state(rig->tid) == 'S';
		assert_int_equal(clock_gettime(clock, &times[i]), 0);
	}
	return waits && !memcmp(&times[0], &times[1], sizeof(times[0]));
}

/* Buffers that wait for something to come are not looked at again and again. */
static void test_waiting_buffers_cost_no_time(void **state)
{
	struct t_rig rig;
	u32 nr = 0;

	(void)state;
	t_each(&rig) {
		t_settle(&rig);
		for (u32 i = 0; i < rig.d.nr_queues; i++) {
			const struct driver_buf in = { DRIVER_DATA + i * KIB(4), 64, true };

			if (!(rig.victim->input >> i & 1))
				continue;
			for (u32 n = 0; n < 4; n++, nr++)
				driver_add(&rig.d.q[i], &in, 1);
			t_kick_queue(&rig, i);
		}
		t_until(t_thread_sleeps(&rig));
		assert_int_equal(t_status(&rig), T_RUNS);
	}
	assert_true(nr > 0);
}

/* A sanitizer's memory is its own, so there it is about what kicks and rounds do, not how many. */
#define KICKS		(T_SANITIZED ? 5000 : 20000)
#define ROUNDS		(T_SANITIZED ? 70 : 170)

/* The kernel may take a thread of its own to wait for them: one. */
static void test_kicks_cost_no_memory(void **state)
{
	struct t_process before;
	struct t_process after;
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		t_settle(&rig);
		t_process_save(&before);
		for (u32 n = 0; n < KICKS / rig.d.nr_queues; n++)
			t_kick(&rig);
		t_works(&rig);
		t_process_save(&after);
		assert_int_equal(after.nr_fds, before.nr_fds);
		assert_true(after.nr_threads <= before.nr_threads + 1);
		assert_true(T_SANITIZED || after.kib < before.kib + 1024);
		assert_int_equal(rig.d.nr_broken, 0);
	}
}

struct t_cost {
	struct t_process	process;
	size_t			bytes;		/* that were allocated */
};

static void t_cost(struct t_cost *cost)
{
	struct mallinfo2 info = mallinfo2();

	t_process_save(&cost->process);
	cost->bytes = info.uordblks + info.hblkhd;
}

/* Whatever a driver does, and however often, what the device has is what it began with. */
static void test_mistakes_and_resets_cost_nothing(void **state)
{
	struct t_cost before;
	struct t_cost after;
	struct t_rig rig;

	(void)state;
	t_each(&rig) {
		for (u32 n = 0; n <= ROUNDS; n++) {
			t_bring_up(&rig);
			/* What it sends nobody takes, so there is room for a few. */
			if (n % 50 == 20)
				t_settle(&rig);
			/* What it takes to look is there from the first time on. */
			if (n == 0 || n == 20)
				t_cost(&before);
			if (n == ROUNDS)
				t_cost(&after);
			t_break(&rig);
			t_refuses(&rig, &(struct virtq_layout){ .size = 3 });
		}
		rig.d.nr_broken = 0;
		assert_int_equal(after.process.nr_fds, before.process.nr_fds);
		assert_true(after.process.nr_threads <= before.process.nr_threads + 1);
		if (!T_SANITIZED && after.bytes >= before.bytes + 300)
			fail_msg("%s: %zu bytes, then %zu", rig.d.dev->name, before.bytes, after.bytes);
	}
}

static const char *t_group(const char *what)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s by %s, %s", what, t_transport->name,
		 driver_packed ? "packed" : "split");
	return name;
}

#define t_run(what, tests, packed)							\
	(driver_packed = (packed),							\
	 cmocka_run_group_tests_name(t_group(what), tests, NULL, NULL))

int main(void)
{
	static const struct CMUnitTest registers[] = {
		cmocka_unit_test(test_registers_are_written_while_it_runs),
		cmocka_unit_test(test_queues_that_are_not_there),
		cmocka_unit_test(test_queues_of_sizes_that_cannot_be),
		cmocka_unit_test(test_rings_that_are_not_ram),
		cmocka_unit_test(test_accesses_of_any_size_anywhere),
		cmocka_unit_test(test_steps_of_the_negotiation_are_left_out),
		cmocka_unit_test(test_resets_in_the_middle),
	};
	static const struct CMUnitTest grow[] = {
		cmocka_unit_test(test_log_does_not_grow_with_mistakes),
		cmocka_unit_test(test_waiting_buffers_cost_no_time),
		cmocka_unit_test(test_kicks_cost_no_memory),
		cmocka_unit_test(test_mistakes_and_resets_cost_nothing),
	};
	static const struct CMUnitTest rings[] = {
		cmocka_unit_test(test_buffers_that_are_not_ram),
		cmocka_unit_test(test_buffers_in_the_wrong_order_or_empty),
		cmocka_unit_test(test_requests_that_are_huge),
		cmocka_unit_test(test_requests_without_their_parts),
	};
	static const struct CMUnitTest split[] = {
		cmocka_unit_test(test_idx_jumps),
		cmocka_unit_test(test_heads_outside_of_the_table),
		cmocka_unit_test(test_heads_are_offered_twice),
		cmocka_unit_test(test_chains_that_loop),
		cmocka_unit_test(test_chains_that_leave_the_table),
		cmocka_unit_test(test_indirect_tables_that_make_no_sense),
		cmocka_unit_test(test_contents_change_meanwhile),
	};
	static const struct CMUnitTest packed[] = {
		cmocka_unit_test(test_packed_ids_outside_of_the_queue),
		cmocka_unit_test(test_packed_ids_are_offered_twice),
		cmocka_unit_test(test_packed_chains_without_an_end),
		cmocka_unit_test(test_packed_chains_that_leave_what_is_offered),
		cmocka_unit_test(test_packed_offers_of_the_wrong_round),
		cmocka_unit_test(test_packed_indirect_tables_that_make_no_sense),
		cmocka_unit_test(test_packed_contents_change_meanwhile),
	};
	static const struct transport_ops *const transports[] = { &transport_mmio, &transport_pci };
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		t_transport = transports[i];
		for (u32 kind = 0; kind < 2; kind++) {
			failed += t_run("registers", registers, kind);
			failed += t_run("rings", rings, kind);
		}
		failed += t_run("contents", split, false);
		failed += t_run("contents", packed, true);
		/* They take the longest, and what they are about is of either ring. */
		failed += t_run("growth", grow, t_transport == &transport_pci);
	}
	return failed;
}
