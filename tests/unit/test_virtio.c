/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio.c - devices/virtio.c, with a device and a transport of the test's
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "devices/virtio.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_SIZE		8
#define T_FEATURE	5
#define T_REFUSED	6	/* it is offered, and the device does not take it */
#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << T_FEATURE)

struct t_rig {
	struct virtio		virtio;		/* the device begins with it */
	struct driver		d;
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

/* ---- With a driver --------------------------------------------------------------- */

static struct t_rig *t_open(u32 nr_loops)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct vmm_error err;

	assert_non_null(rig);
	driver_open(&rig->d, nr_loops);
	rig->virtio.config = rig->config;
	rig->virtio.config_size = sizeof(rig->config);
	assert_int_equal(virtio_init(&rig->virtio, &ops, &rig->d.env, 3, 0,
				     1ull << T_FEATURE | 1ull << T_REFUSED, 1, &err), 0);
	driver_attach(&rig->d, &rig->virtio);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	free(rig);
}

static void t_turn(struct t_rig *rig)
{
	driver_turn(&rig->d);
}

#define t_locked(rig, call)	driver_locked(&(rig)->d, call)

static u8 t_status(struct t_rig *rig, int val)
{
	return driver_status(&rig->d, val);
}

static bool t_negotiate(struct t_rig *rig, u64 features)
{
	return driver_negotiate(&rig->d, features);
}

static bool t_set_queue(struct t_rig *rig, u32 i, const struct virtq_layout *l)
{
	return driver_set_queue(&rig->d, i, l);
}

static void t_drive(struct t_rig *rig)
{
	driver_start(&rig->d, T_WANTED);
	t_turn(rig);
}

static const struct driver_buf t_in = { .addr = DRIVER_DATA, .len = 100, .in = true };

static void t_offer(struct t_rig *rig, u32 i, u32 nr)
{
	while (nr--)
		driver_add(&rig->d.q[i], &t_in, 1);
	virtio_kick(&rig->virtio, i);
	t_turn(rig);
}

static u32 t_take_used(struct t_rig *rig, u32 i)
{
	u32 nr = 0;
	u32 head;
	u32 len;

	while (driver_used(&rig->d.q[i], &head, &len))
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
		assert_int_equal(t_status(rig, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK |
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
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_DRIVER), DRIVER_ACK);
	/* Those that are the device's to set, or nobody's. */
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_NEEDS_RESET | 0x20), DRIVER_ACK);
	assert_int_equal(t_status(rig, VIRTIO_CONFIG_S_DRIVER_OK), DRIVER_ACK);
	assert_int_equal(t_status(rig, 0), 0);
	assert_int_equal(rig->d.nr_was_reset, 1);
	t_close(rig);
}

/* ---- Queues ------------------------------------------------------------------------- */

static void test_refuses_queues(void **state)
{
	struct t_rig *rig = t_open(1);
	struct virtq_layout bad[4];

	(void)state;
	/* Not before the features are known. */
	t_set_queue(rig, 0, &rig->d.q[0].layout);
	assert_false(rig->virtio.queues[0].ready);
	assert_true(t_negotiate(rig, T_WANTED));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = rig->d.q[0].layout;
	bad[0].size = 2 * T_SIZE;
	bad[1].size = 0x10008;
	bad[2].desc = DRIVER_RAM_BASE + DRIVER_RAM_SIZE;
	bad[3].used++;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_set_queue(rig, 0, &bad[i]);
		assert_false(rig->virtio.queues[0].ready);
	}
	t_set_queue(rig, 0, &rig->d.q[0].layout);
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
	t_locked(rig, virtio_queue_set_ready(&rig->virtio.queues[0], false));
	t_set_queue(rig, 0, &other);
	assert_true(rig->virtio.queues[0].ready);
	assert_memory_equal(&rig->virtio.queues[0].layout, &rig->d.q[0].layout, sizeof(other));
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
	assert_int_equal(rig->d.nr_irqs[0], 50);
	assert_int_equal(rig->d.nr_irqs[1], 50);
	assert_int_equal(rig->d.nr_broken, 0);
	t_close(rig);
}

static void test_chains_from_before_driver_ok_need_no_kick(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	assert_true(t_negotiate(rig, T_WANTED));
	assert_true(t_set_queue(rig, 0, &rig->d.q[0].layout));
	driver_add(&rig->d.q[0], &t_in, 1);
	t_status(rig, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	t_turn(rig);
	assert_int_equal(t_take_used(rig, 0), 1);
	t_close(rig);
}

static void test_no_interrupt_if_the_driver_wants_none(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	t_drive(rig);
	rig->d.q[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	t_offer(rig, 0, 1);
	assert_int_equal(t_take_used(rig, 0), 1);
	assert_int_equal(rig->d.nr_irqs[0], 0);
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
	driver_add(&rig->d.q[0], &t_in, 1);
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
	assert_int_equal(rig->d.nr_config_irqs, 1);
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
		assert_int_equal(rig->d.nr_was_reset, n);
		assert_false(rig->virtio.queues[0].ready);
		assert_int_equal(rig->virtio.queues[0].layout.desc, 0);
		assert_int_equal(rig->virtio.features, 0);
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
	assert_int_equal(t_status(rig, DRIVER_ACK), running);
	t_set_queue(rig, 0, &rig->d.q[1].layout);
	t_locked(rig, virtio_accept(&rig->virtio, 0, 0);
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
		assert_int_equal(pthread_create(&threads[i], NULL, io_thread, rig->d.env.loops[i]), 0);
	for (u32 n = 0; n < 50; n++) {
		driver_start(&rig->d, T_WANTED | 1ull << VIRTIO_RING_F_EVENT_IDX);
		/* As many as there is room for; some are not done when the reset comes. */
		for (u32 k = 0; k < 40; k++) {
			struct driver_queue *drv = &rig->d.q[k % 2];

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
	assert_int_equal(rig->d.nr_broken, 0);
	for (u32 i = 0; i < 2; i++) {
		loop_quit(rig->d.env.loops[i]);
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
	rig->d.q[0].avail->idx = 1000;
	virtio_kick(&rig->virtio, 0);
	t_turn(rig);
}

static void test_broken_rule_breaks_the_device(void **state)
{
	struct t_rig *rig = t_open(1);

	(void)state;
	t_break(rig);
	assert_int_equal(rig->d.nr_broken, 1);
	assert_non_null(strstr(rig->d.why, "test3: waits for a reset: queue 0: "));
	assert_int_equal(rig->d.nr_config_irqs, 1);
	assert_true(t_status(rig, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* None of its queues works, and it is told once. */
	t_take_used(rig, 1);
	t_offer(rig, 1, 1);
	virtio_kick(&rig->virtio, 0);
	t_turn(rig);
	assert_int_equal(t_take_used(rig, 1), 0);
	assert_int_equal(rig->d.nr_broken, 1);
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
	assert_int_equal(rig->d.nr_broken, 1);
	assert_true(t_status(rig, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	t_offer(rig, 0, 1);
	assert_int_equal(rig->nr_kicks, 0);
	t_status(rig, 0);
	t_turn(rig);
	assert_int_equal(t_status(rig, -1), 0);
	assert_int_equal(rig->nr_resets, 0);
	t_close(rig);
}

/* ---- A pause -------------------------------------------------------------------- */

static bool t_took(struct t_rig *rig, u32 queue)
{
	u32 head;
	u32 len;

	return driver_used(&rig->d.q[queue], &head, &len);
}

static u32 nr_rests;

static void t_rests(void *ctx, struct loop *loop)
{
	(void)ctx;
	assert_non_null(loop);
	nr_rests++;
}

static void test_paused_queues_are_left_alone(void **state)
{
	const struct driver_buf buf = { DRIVER_DATA, 64, true };
	struct t_rig *rig = t_open(1);
	struct loop *loop = rig->d.env.loops[0];
	struct virtio *dev = &rig->virtio;
	u32 nr_kicks;

	(void)state;
	nr_rests = 0;
	rig->d.env.rests = t_rests;
	driver_start(&rig->d, T_WANTED);
	driver_turn(&rig->d);
	/* One is in flight. */
	rig->hold = true;
	driver_add(&rig->d.q[0], &buf, 1);
	driver_kick(&rig->d, 0);
	driver_turn(&rig->d);
	assert_int_equal(rig->nr_held, 1);
	virtio_pause(dev, loop);
	assert_false(virtio_at_rest(dev, loop));
	nr_kicks = rig->nr_kicks;
	driver_add(&rig->d.q[0], &buf, 1);
	driver_kick(&rig->d, 0);
	driver_add(&rig->d.q[1], &buf, 1);
	driver_kick(&rig->d, 1);
	driver_turn(&rig->d);
	assert_int_equal(rig->nr_kicks, nr_kicks);
	assert_int_equal(nr_rests, 0);
	t_give_back(rig);
	driver_turn(&rig->d);
	assert_int_equal(nr_rests, 1);
	assert_true(virtio_at_rest(dev, loop));
	assert_int_equal(rig->nr_kicks, nr_kicks);
	/* Kicks that came meanwhile are answered, once. */
	rig->hold = false;
	virtio_resume(dev, loop);
	driver_turn(&rig->d);
	assert_true(t_took(rig, 0));
	assert_true(t_took(rig, 0));
	assert_true(t_took(rig, 1));
	assert_false(t_took(rig, 0));
	assert_int_equal(nr_rests, 1);
	t_close(rig);
}

/* The queues of another loop are another's to pause; one that was not started rests. */
static void test_pause_is_of_a_loop(void **state)
{
	const struct driver_buf buf = { DRIVER_DATA, 64, true };
	struct t_rig *rig = t_open(2);
	struct virtio *dev = &rig->virtio;

	(void)state;
	virtio_pause(dev, dev->queues[0].loop);
	assert_true(virtio_at_rest(dev, dev->queues[0].loop));
	driver_start(&rig->d, T_WANTED);
	driver_add(&rig->d.q[0], &buf, 1);
	driver_kick(&rig->d, 0);
	driver_add(&rig->d.q[1], &buf, 1);
	driver_kick(&rig->d, 1);
	driver_turn(&rig->d);
	assert_false(t_took(rig, 0));
	assert_true(t_took(rig, 1));
	/* A reset goes on. */
	driver_status(&rig->d, 0);
	driver_turn(&rig->d);
	assert_int_equal(driver_status(&rig->d, -1), 0);
	driver_start(&rig->d, T_WANTED);
	driver_add(&rig->d.q[0], &buf, 1);
	driver_turn(&rig->d);
	assert_false(t_took(rig, 0));
	virtio_resume(dev, dev->queues[0].loop);
	driver_turn(&rig->d);
	assert_true(t_took(rig, 0));
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
		cmocka_unit_test(test_paused_queues_are_left_alone),
		cmocka_unit_test(test_pause_is_of_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
