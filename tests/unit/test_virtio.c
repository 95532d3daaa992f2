/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio.c - devices/virtio.c, with a device and a transport of the test's
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/virtio.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_SIZE		8
#define T_FEATURE	5
#define T_REFUSED	6	/* it is offered, and the device does not take it */
#define T_ACK		(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << T_FEATURE)

struct t_rig {
	struct virtio		virtio;		/* the device begins with it */
	struct gmem		mem;
	struct virtio_env	env;
	struct driver_queue	drv[2];
	u8			config[4];

	/* How the device is. */
	int			start_ret;
	bool			hold;		/* chains stay in flight */
	bool			forgets;	/* to wait for kicks */
	bool			keep_at_stop;

	/* What it has seen. */
	u32			nr_starts;
	u32			nr_resets;
	atomic_uint		nr_kicks;	/* on either loop */
	u32			nr_writes;
	struct {
		struct virtio_queue	*q;
		u16			head;
	} held[2 * T_SIZE];
	u32			nr_held;

	/* The driver has. */
	u32			nr_irqs[2];
	u32			nr_config_irqs;
	u32			nr_was_reset;
	u32			nr_broken;
	char			why[VMM_MSG_SIZE];
};

/* ---- The device -------------------------------------------------------------- */

static struct t_rig *rig_of(struct virtio *dev)
{
	return (struct t_rig *)dev;
}

static bool t_accept(struct virtio *dev, u64 features)
{
	(void)dev;
	return !(features & 1ull << T_REFUSED);
}

static void t_config_write(struct virtio *dev, u32 off, const void *val, u32 len)
{
	rig_of(dev)->nr_writes++;
	memcpy(dev->config + off, val, len);
}

static int t_dev_start(struct virtio *dev)
{
	rig_of(dev)->nr_starts++;
	return rig_of(dev)->start_ret;
}

static void t_reset(struct virtio *dev)
{
	rig_of(dev)->nr_resets++;
}

static bool t_kick(struct virtio_queue *q)
{
	struct t_rig *rig = rig_of(q->dev);
	struct iovec iov[T_SIZE];
	struct virtq_chain chain = { .iov = iov, .max = T_SIZE };

	rig->nr_kicks++;
	while (virtio_pop(q, &chain)) {
		if (rig->hold) {
			rig->held[rig->nr_held].q = q;
			rig->held[rig->nr_held++].head = chain.head;
		} else {
			virtio_push(q, chain.head, chain.in_len);
		}
	}
	return !rig->forgets;
}

static void t_give_back(struct t_rig *rig)
{
	while (rig->nr_held) {
		rig->nr_held--;
		virtio_push(rig->held[rig->nr_held].q, rig->held[rig->nr_held].head, 0);
	}
}

static void t_stop_queue(struct virtio_queue *q)
{
	if (!rig_of(q->dev)->keep_at_stop)
		t_give_back(rig_of(q->dev));
}

static void t_destroy(struct virtio *dev)
{
	virtio_fini(dev);
}

static const struct virtio_ops ops = {
	.name = "test",
	.id = 42,
	.nr_queues = 2,
	.queue_size = T_SIZE,
	.accept = t_accept,
	.config_write = t_config_write,
	.start = t_dev_start,
	.reset = t_reset,
	.kick = t_kick,
	.stop_queue = t_stop_queue,
	.destroy = t_destroy,
};

/* ---- The transport --------------------------------------------------------------- */

static void t_queue_irq(struct virtio_queue *q)
{
	rig_of(q->dev)->nr_irqs[q->index]++;
}

static void t_config_irq(struct virtio *dev)
{
	rig_of(dev)->nr_config_irqs++;
}

static void t_was_reset(struct virtio *dev)
{
	rig_of(dev)->nr_was_reset++;
}

static const struct virtio_transport_ops transport = {
	.queue_irq = t_queue_irq,
	.config_irq = t_config_irq,
	.was_reset = t_was_reset,
};

static void t_on_broken(void *ctx, u32 index, const char *msg)
{
	struct t_rig *rig = ctx;

	assert_int_equal(index, 3);
	rig->nr_broken++;
	snprintf(rig->why, sizeof(rig->why), "%s", msg);
}

/* ---- Together -------------------------------------------------------------------- */

static const struct logger quiet = { .fn = NULL };

static struct t_rig *t_open(u32 nr_loops)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct vmm_error err;

	assert_non_null(rig);
	driver_ram(&rig->mem);
	rig->env = (struct virtio_env){
		.mem = &rig->mem, .log = &quiet, .nr_loops = nr_loops,
		.broken = t_on_broken, .ctx = rig,
	};
	for (u32 i = 0; i < nr_loops; i++)
		assert_int_equal(loop_create(&rig->env.loops[i], &err), 0);
	rig->virtio.config = rig->config;
	rig->virtio.config_size = sizeof(rig->config);
	assert_int_equal(virtio_init(&rig->virtio, &ops, &rig->env, 3, 0,
				     1ull << T_FEATURE | 1ull << T_REFUSED, false, &err), 0);
	rig->virtio.transport = &transport;
	for (u32 i = 0; i < 2; i++)
		driver_queue_init(&rig->drv[i], &rig->mem, i, T_SIZE);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	virtio_destroy(&rig->virtio);
	for (u32 i = 0; i < rig->env.nr_loops; i++)
		loop_destroy(rig->env.loops[i]);
	gmem_fini(&rig->mem);
	free(rig);
}

/* Let the loops do what there is to do, and wait for nothing. */
static void t_turn(struct t_rig *rig)
{
	for (u32 n = 0; n < 8; n++)
		for (u32 i = 0; i < rig->env.nr_loops; i++)
			assert_int_equal(loop_dispatch(rig->env.loops[i]), 0);
}

#define t_locked(rig, call)						\
	do {								\
		pthread_mutex_lock(&(rig)->virtio.lock);		\
		call;							\
		pthread_mutex_unlock(&(rig)->virtio.lock);		\
	} while (0)

static u8 t_status(struct t_rig *rig, int val)
{
	u8 now;

	if (val >= 0)
		t_locked(rig, virtio_set_status(&rig->virtio, (u8)val));
	t_locked(rig, now = rig->virtio.status);
	return now;
}

static u8 t_negotiate(struct t_rig *rig, u64 features)
{
	t_status(rig, T_ACK);
	t_locked(rig, virtio_accept(&rig->virtio, 0, (u32)features);
		      virtio_accept(&rig->virtio, 1, (u32)(features >> 32)));
	return t_status(rig, T_ACK | VIRTIO_CONFIG_S_FEATURES_OK) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void t_set_queue(struct t_rig *rig, u32 i, const struct virtq_layout *l)
{
	struct virtio_queue *q = virtio_queue(&rig->virtio, i);

	virtio_queue_set_size(q, l->size);
	virtio_queue_set_addr(q, &q->layout.desc, 0, (u32)l->desc);
	virtio_queue_set_addr(q, &q->layout.desc, 32, (u32)(l->desc >> 32));
	virtio_queue_set_addr(q, &q->layout.avail, 0, (u32)l->avail);
	virtio_queue_set_addr(q, &q->layout.avail, 32, (u32)(l->avail >> 32));
	virtio_queue_set_addr(q, &q->layout.used, 0, (u32)l->used);
	virtio_queue_set_addr(q, &q->layout.used, 32, (u32)(l->used >> 32));
	virtio_queue_set_ready(q, true);
}

static void t_drive(struct t_rig *rig)
{
	assert_true(t_negotiate(rig, T_WANTED));
	for (u32 i = 0; i < 2; i++) {
		t_locked(rig, t_set_queue(rig, i, &rig->drv[i].layout));
		assert_true(rig->virtio.queues[i].ready);
	}
	t_status(rig, T_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	t_turn(rig);
}

static const struct driver_buf t_in = { .addr = DRIVER_DATA, .len = 100, .in = true };

static void t_offer(struct t_rig *rig, u32 i, u32 nr)
{
	while (nr--)
		driver_add(&rig->drv[i], &t_in, 1);
	virtio_kick(&rig->virtio, i);
	t_turn(rig);
}

static u32 t_take_used(struct t_rig *rig, u32 i)
{
	u32 nr = 0;
	u32 head;
	u32 len;

	while (driver_used(&rig->drv[i], &head, &len))
		nr++;
	return nr;
}

/* ---- Negotiation ------------------------------------------------------------------ */

static void test_offers_the_ring_and_the_device(void **state)
{
	struct t_rig *rig = t_open(1);
	u64 all;

	(void)state;
	all = virtio_offered(&rig->virtio, 0) | (u64)virtio_offered(&rig->virtio, 1) << 32;
	assert_int_equal(all, T_WANTED | 1ull << T_REFUSED | 1ull << VIRTIO_RING_F_EVENT_IDX |
			      1ull << VIRTIO_RING_F_INDIRECT_DESC);
	assert_int_equal(virtio_offered(&rig->virtio, 2), 0);
	assert_int_equal(virtio_offered(&rig->virtio, UINT32_MAX), 0);
	t_close(rig);
}

static void test_refuses_features(void **state)
{
	static const u64 bad[] = {
		1ull << T_FEATURE,			/* without VERSION_1: a legacy driver */
		T_WANTED | 1ull << 63, T_WANTED | 1ull << 7, T_WANTED | 1ull << T_REFUSED, 0,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct t_rig *rig = t_open(1);

		assert_false(t_negotiate(rig, bad[i]));
		/* Nor does it begin to work. */
		assert_int_equal(t_status(rig, T_ACK | VIRTIO_CONFIG_S_FEATURES_OK |
					       VIRTIO_CONFIG_S_DRIVER_OK) &
				 (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK), 0);
		t_turn(rig);
		assert_int_equal(rig->nr_starts, 0);
		t_close(rig);
	}
}

static void test_features_settle(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	assert_true(t_negotiate(rig, T_WANTED));
	t_locked(rig, virtio_accept(&rig->virtio, 0, UINT32_MAX));
	assert_int_equal(rig->virtio.features, T_WANTED);
	assert_true(virtio_has(&rig->virtio, T_FEATURE));
	t_close(rig);
}

static void test_status_bits_stay(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_ACKNOWLEDGE), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_DRIVER), T_ACK);
	/* Those that are the device's to set, or nobody's. */
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_NEEDS_RESET | 0x20), T_ACK);
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_DRIVER_OK), T_ACK);
	assert_int_equal(t_status(rig, 0), 0);
	assert_int_equal(rig->nr_was_reset, 1);
	t_close(rig);
}

/* ---- Queues ------------------------------------------------------------------------- */

static void test_refuses_queues(void **state)
{
	struct t_rig *rig = t_open(1);
	struct virtq_layout bad[4];

	(void)state;
	/* Not before the features are known. */
	t_locked(rig, t_set_queue(rig, 0, &rig->drv[0].layout));
	assert_false(rig->virtio.queues[0].ready);
	assert_true(t_negotiate(rig, T_WANTED));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = rig->drv[0].layout;
	bad[0].size = 2 * T_SIZE;
	bad[1].size = 0x10008;
	bad[2].desc = DRIVER_RAM_BASE + DRIVER_RAM_SIZE;
	bad[3].used++;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_locked(rig, t_set_queue(rig, 0, &bad[i]));
		assert_false(rig->virtio.queues[0].ready);
	}
	t_locked(rig, t_set_queue(rig, 0, &rig->drv[0].layout));
	assert_true(rig->virtio.queues[0].ready);
	assert_null(virtio_queue(&rig->virtio, 2));
	assert_null(virtio_queue(&rig->virtio, UINT32_MAX));
	virtio_kick(&rig->virtio, 2);
	virtio_kick(&rig->virtio, UINT32_MAX);
	t_close(rig);
}

/* HOSTILE: registers are written again while the device runs. */
static void test_queue_registers_are_frozen(void **state)
{
	struct t_rig *rig = t_open(1);
	const struct virtq_layout other = { T_SIZE / 2, DRIVER_RING(5), DRIVER_RING(6), DRIVER_RING(7) };

	(void)state;
	t_drive(rig);
	t_locked(rig, virtio_queue_set_ready(&rig->virtio.queues[0], false);
		      t_set_queue(rig, 0, &other));
	assert_true(rig->virtio.queues[0].ready);
	assert_memory_equal(&rig->virtio.queues[0].layout, &rig->drv[0].layout, sizeof(other));
	t_offer(rig, 0, 1);
	assert_int_equal(t_take_used(rig, 0), 1);
	t_close(rig);
}

/* ---- At work ------------------------------------------------------------------------- */

static void test_serves_queues_on_their_loops(void **state)
{
	struct t_rig *rig = t_open(2);

	(void)state;
	assert_ptr_not_equal(rig->virtio.queues[0].loop, rig->virtio.queues[1].loop);
	t_drive(rig);
	assert_int_equal(rig->nr_starts, 1);
	for (u32 n = 0; n < 100; n++) {
		t_offer(rig, n % 2, 3);
		assert_int_equal(t_take_used(rig, n % 2), 3);
	}
	/* One interrupt a turn, not a chain. */
	assert_int_equal(rig->nr_irqs[0], 50);
	assert_int_equal(rig->nr_irqs[1], 50);
	assert_int_equal(rig->nr_broken, 0);
	t_close(rig);
}

static void test_chains_from_before_driver_ok_need_no_kick(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	driver_add(&rig->drv[0], &t_in, 1);
	t_drive(rig);
	assert_int_equal(t_take_used(rig, 0), 1);
	t_close(rig);
}

static void test_no_interrupt_if_the_driver_wants_none(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	t_drive(rig);
	rig->drv[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	t_offer(rig, 0, 1);
	assert_int_equal(t_take_used(rig, 0), 1);
	assert_int_equal(rig->nr_irqs[0], 0);
	t_close(rig);
}

/* A device that waits for something else is not called for kicks' sake, but loses none. */
static void test_device_that_waits_is_run_again(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	rig->forgets = true;
	t_drive(rig);
	t_offer(rig, 0, 1);
	rig->hold = true;
	t_offer(rig, 0, 1);
	assert_int_equal(rig->nr_held, 1);
	t_give_back(rig);
	rig->forgets = rig->hold = false;
	driver_add(&rig->drv[0], &t_in, 1);
	virtio_wait_kick(&rig->virtio.queues[0]);
	t_turn(rig);
	assert_int_equal(t_take_used(rig, 0), 3);
	t_close(rig);
}

static void test_config_reads_and_writes(void **state)
{
	static const u8 val[4] = { 1, 2, 3, 4 };
	struct t_rig *rig = t_open(1);
	u8 got[8];

	(void)state;
	t_drive(rig);
	virtio_set_config(&rig->virtio, 1, val, 2);
	assert_int_equal(rig->nr_config_irqs, 1);
	assert_int_equal(rig->virtio.generation, 1);
	t_locked(rig, virtio_config_read(&rig->virtio, 0, got, 8));
	assert_memory_equal(got, "\0\1\2\0\0\0\0\0", 8);
	t_locked(rig, virtio_config_read(&rig->virtio, UINT64_MAX, got, 2));
	assert_memory_equal(got, "\0\0", 2);
	t_locked(rig, virtio_config_write(&rig->virtio, 0, val, 4);
		      virtio_config_write(&rig->virtio, 1, val, 4);
		      virtio_config_write(&rig->virtio, 4, val, 1);
		      virtio_config_write(&rig->virtio, UINT64_MAX, val, 2));
	assert_int_equal(rig->nr_writes, 1);
	assert_memory_equal(rig->config, val, 4);
	t_close(rig);
}

/* ---- Reset ----------------------------------------------------------------------------- */

static void test_reset_gives_all_back(void **state)
{
	struct t_rig *rig = t_open(2);

	(void)state;
	for (u32 n = 1; n <= 3; n++) {
		t_drive(rig);
		rig->hold = true;
		t_offer(rig, 0, 3);
		t_offer(rig, 1, 2);
		assert_int_equal(rig->nr_held, 5);
		t_status(rig, 0);
		t_turn(rig);
		assert_int_equal(t_status(rig, -1), 0);
		assert_int_equal(rig->nr_held, 0);
		assert_int_equal(rig->nr_resets, n);
		assert_int_equal(rig->nr_was_reset, n);
		assert_false(rig->virtio.queues[0].ready);
		assert_int_equal(rig->virtio.queues[0].layout.desc, 0);
		assert_int_equal(rig->virtio.features, 0);
		for (u32 i = 0; i < 2; i++)
			driver_queue_init(&rig->drv[i], &rig->mem, i, T_SIZE);
		rig->hold = false;
	}
	t_close(rig);
}

/* What is in flight elsewhere is waited for, and the status does not read 0 before. */
static void test_reset_waits_for_what_is_in_flight(void **state)
{
	struct t_rig *rig = t_open(1);
	u8 running;

	(void)state;
	t_drive(rig);
	rig->hold = rig->keep_at_stop = true;
	t_offer(rig, 0, 2);
	running = t_status(rig, -1);
	assert_int_equal(t_status(rig, 0), running);
	t_turn(rig);
	assert_int_equal(t_status(rig, -1), running);
	/* Nothing else is heard meanwhile. */
	assert_int_equal(t_status(rig, T_ACK), running);
	t_locked(rig, virtio_accept(&rig->virtio, 0, 0);
		      t_set_queue(rig, 0, &rig->drv[1].layout);
		      virtio_config_write(&rig->virtio, 0, "", 1));
	assert_int_equal(rig->nr_writes, 0);
	t_locked(rig, assert_false(virtio_wait_reset(&rig->virtio, 5)));
	t_give_back(rig);
	t_turn(rig);
	assert_int_equal(t_status(rig, -1), 0);
	t_locked(rig, assert_true(virtio_wait_reset(&rig->virtio, 5)));
	t_close(rig);
}

static void *io_thread(void *arg)
{
	assert_int_equal(loop_run(arg), 0);
	return NULL;
}

/* A driver on a thread of its own, and loops on theirs, as in life. */
static void test_reset_under_load(void **state)
{
	struct t_rig *rig = t_open(2);
	pthread_t threads[2];
	u32 used = 0;

	(void)state;
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, io_thread, rig->env.loops[i]), 0);
	for (u32 n = 0; n < 50; n++) {
		assert_true(t_negotiate(rig, T_WANTED | 1ull << VIRTIO_RING_F_EVENT_IDX));
		for (u32 i = 0; i < 2; i++) {
			driver_queue_init(&rig->drv[i], &rig->mem, i, T_SIZE);
			t_locked(rig, t_set_queue(rig, i, &rig->drv[i].layout));
		}
		t_status(rig, T_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
		/* As many as there is room for; some are not done when the reset comes. */
		for (u32 k = 0; k < 40; k++) {
			struct driver_queue *drv = &rig->drv[k % 2];

			t_until((used += t_take_used(rig, k % 2),
				 (u16)(drv->avail_idx - drv->used_idx) < T_SIZE));
			driver_add(drv, &t_in, 1);
			virtio_kick(&rig->virtio, k % 2);
		}
		t_locked(rig, virtio_set_status(&rig->virtio, 0);
			      assert_true(virtio_wait_reset(&rig->virtio, T_TIMEOUT_MS)));
		assert_int_equal(t_status(rig, -1), 0);
	}
	assert_in_range(used, 50 * (40 - 2 * T_SIZE), 50 * 40);
	assert_int_equal(rig->nr_broken, 0);
	for (u32 i = 0; i < 2; i++) {
		loop_quit(rig->env.loops[i]);
		pthread_join(threads[i], NULL);
	}
	assert_int_equal(rig->nr_resets, 50);
	t_close(rig);
}

static void test_destroy_in_the_middle(void **state)
{
	struct t_rig *rig = t_open(2);

	(void)state;
	t_drive(rig);
	rig->hold = true;
	t_offer(rig, 0, 3);
	t_status(rig, 0);
	virtio_kick(&rig->virtio, 1);
	t_close(rig);
	virtio_destroy(NULL);
}

/* ---- Broken ---------------------------------------------------------------------------- */

static void t_break(struct t_rig *rig)
{
	t_drive(rig);
	t_offer(rig, 1, 1);
	rig->drv[0].avail->idx = 1000;
	virtio_kick(&rig->virtio, 0);
	t_turn(rig);
}

static void test_broken_rule_breaks_the_device(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	t_break(rig);
	assert_int_equal(rig->nr_broken, 1);
	assert_non_null(strstr(rig->why, "test3: waits for a reset: queue 0: "));
	assert_int_equal(rig->nr_config_irqs, 1);
	assert_true(t_status(rig, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* None of its queues works, and it is told once. */
	t_take_used(rig, 1);
	t_offer(rig, 1, 1);
	virtio_kick(&rig->virtio, 0);
	t_turn(rig);
	assert_int_equal(t_take_used(rig, 1), 0);
	assert_int_equal(rig->nr_broken, 1);
	t_close(rig);
}

static void test_reset_mends_it(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	t_break(rig);
	t_status(rig, 0);
	t_turn(rig);
	assert_int_equal(t_status(rig, -1), 0);
	for (u32 i = 0; i < 2; i++)
		driver_queue_init(&rig->drv[i], &rig->mem, i, T_SIZE);
	t_drive(rig);
	t_offer(rig, 0, 2);
	assert_int_equal(t_take_used(rig, 0), 2);
	t_close(rig);
}

static void test_device_that_cannot_start_is_broken(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	rig->start_ret = -EIO;
	t_drive(rig);
	assert_int_equal(rig->nr_broken, 1);
	assert_true(t_status(rig, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	t_offer(rig, 0, 1);
	assert_int_equal(rig->nr_kicks, 0);
	t_status(rig, 0);
	t_turn(rig);
	assert_int_equal(t_status(rig, -1), 0);
	assert_int_equal(rig->nr_resets, 0);
	t_close(rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers_the_ring_and_the_device),
		cmocka_unit_test(test_refuses_features),
		cmocka_unit_test(test_features_settle),
		cmocka_unit_test(test_status_bits_stay),
		cmocka_unit_test(test_refuses_queues),
		cmocka_unit_test(test_queue_registers_are_frozen),
		cmocka_unit_test(test_serves_queues_on_their_loops),
		cmocka_unit_test(test_chains_from_before_driver_ok_need_no_kick),
		cmocka_unit_test(test_no_interrupt_if_the_driver_wants_none),
		cmocka_unit_test(test_device_that_waits_is_run_again),
		cmocka_unit_test(test_config_reads_and_writes),
		cmocka_unit_test(test_reset_gives_all_back),
		cmocka_unit_test(test_reset_waits_for_what_is_in_flight),
		cmocka_unit_test(test_reset_under_load),
		cmocka_unit_test(test_destroy_in_the_middle),
		cmocka_unit_test(test_broken_rule_breaks_the_device),
		cmocka_unit_test(test_reset_mends_it),
		cmocka_unit_test(test_device_that_cannot_start_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
