/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtq.c - devices/virtq*.c: what a queue is with either kind of ring, and with a split one
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "devices/virtq.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_SIZE		8
#define T_FEATURES	(1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define T_EVENT_IDX	(T_FEATURES | 1ull << VIRTIO_RING_F_EVENT_IDX)
#define T_TABLE		(DRIVER_DATA + MIB(1))
#define T_RAM_END	(DRIVER_RAM_BASE + DRIVER_RAM_SIZE)

struct t_rig {
	struct gmem		mem;
	struct driver_queue	drv;
	struct virtq		vq;
	struct iovec		iov[2 * T_SIZE];
	struct virtq_chain	chain;
};

/* The feature that makes the kind of ring, which the driver has too. */
static u64 t_ring(void)
{
	return driver_packed ? 1ull << VIRTIO_F_RING_PACKED : 0;
}

static void t_open(struct t_rig *rig, u64 features)
{
	features |= t_ring();
	memset(rig, 0, sizeof(*rig));
	driver_ram(&rig->mem);
	driver_queue_init(&rig->drv, &rig->mem, 0, T_SIZE);
	assert_null(virtq_check(&rig->mem, &rig->drv.layout, T_SIZE, features));
	virtq_init(&rig->vq, &rig->mem, &rig->drv.layout, features);
	rig->chain = (struct virtq_chain){ .iov = rig->iov, .max = ARRAY_SIZE(rig->iov) };
}

static void t_close(struct t_rig *rig)
{
	gmem_fini(&rig->mem);
}

/* The driver broke the rule that says @part, and the queue stays broken. */
static void t_broken(struct t_rig *rig, const char *part)
{
	assert_int_equal(virtq_pop(&rig->vq, &rig->chain), -EPROTO);
	assert_non_null(rig->vq.why);
	if (!strstr(rig->vq.why, part))
		fail_msg("\"%s\" is not about \"%s\"", rig->vq.why, part);
	assert_int_equal(virtq_pop(&rig->vq, &rig->chain), -EPROTO);
	t_close(rig);
}

static const struct driver_buf t_out = { .addr = DRIVER_DATA, .len = 16 };
static const struct driver_buf t_in = { .addr = DRIVER_DATA + 4096, .len = 100, .in = true };

static void t_set(struct t_rig *rig, u16 i, gpa_t addr, u32 len, u16 flags, u16 next)
{
	rig->drv.desc[i] = (struct vring_desc){ addr, len, flags, next };
}

static void test_pop_gives_the_buffers_in_order(void **state)
{
	const struct driver_buf bufs[] = {
		t_out, { DRIVER_DATA + 100, 1, false }, t_in, { T_RAM_END - 1, 1, true },
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
	driver_add(&rig.drv, bufs, 4);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(rig.chain.nr_out, 2);
	assert_int_equal(rig.chain.nr_in, 2);
	assert_int_equal(rig.chain.out_len, 17);
	assert_int_equal(rig.chain.in_len, 101);
	for (size_t i = 0; i < 4; i++) {
		assert_ptr_equal(rig.iov[i].iov_base, driver_at(&rig.drv, bufs[i].addr));
		assert_int_equal(rig.iov[i].iov_len, bufs[i].len);
	}
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
	t_close(&rig);
}

static void test_push_tells_head_and_length(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;
	u16 a;
	u16 b;

	(void)state;
	t_open(&rig, 0);
	a = driver_add(&rig.drv, &t_in, 1);
	b = driver_add(&rig.drv, &t_in, 1);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(rig.chain.head, a);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(rig.vq.nr_inflight, 2);
	virtq_push(&rig.vq, b, 7);
	virtq_push(&rig.vq, a, 0);
	assert_int_equal(rig.vq.nr_inflight, 0);
	assert_true(driver_used(&rig.drv, &head, &len));
	assert_int_equal(head, b);
	assert_int_equal(len, 7);
	assert_true(driver_used(&rig.drv, &head, &len));
	assert_int_equal(head, a);
	assert_false(driver_used(&rig.drv, &head, &len));
	t_close(&rig);
}

/* All indices wrap at 2^16, and at the ring's end. */
static void test_goes_round_many_times(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig, T_FEATURES);
	for (u32 i = 0; i < 70000; i++) {
		const struct driver_buf bufs[] = { t_out, t_in };
		u16 want = i % 2 ? driver_add(&rig.drv, bufs, 2) :
				   driver_add_indirect(&rig.drv, T_TABLE, bufs, 2);

		assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
		virtq_push(&rig.vq, rig.chain.head, i);
		assert_true(driver_used(&rig.drv, &head, &len));
		assert_int_equal(head, want);
		assert_int_equal(len, i);
	}
	t_close(&rig);
}

static void test_unpop_leaves_it_for_later(void **state)
{
	struct t_rig rig;
	u16 head;

	(void)state;
	t_open(&rig, 0);
	head = driver_add(&rig.drv, &t_in, 1);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	virtq_unpop(&rig.vq, rig.chain.head);
	assert_int_equal(rig.vq.nr_inflight, 0);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(rig.chain.head, head);
	t_close(&rig);
}

static void test_indirect_table_may_end_a_chain(void **state)
{
	const struct driver_buf bufs[] = { t_out, t_in };
	struct t_rig rig;

	(void)state;
	t_open(&rig, T_FEATURES);
	rig.drv.next_desc = 1;
	driver_add_indirect(&rig.drv, T_TABLE + 1, bufs, 2);	/* anywhere: 2.7.5.3 */
	rig.drv.avail_idx = rig.drv.avail->idx = 0;
	t_set(&rig, 0, DRIVER_DATA + 64, 8, VRING_DESC_F_NEXT, 1);
	driver_offer(&rig.drv, 0);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(rig.chain.nr_out, 2);
	assert_int_equal(rig.chain.nr_in, 1);
	t_close(&rig);
}

/* ---- What a driver must not do ------------------------------------------------ */

static void test_check_rejects_sizes(void **state)
{
	static const u32 sizes[] = { 0, 3, 6, T_SIZE * 2, 0x8000, 0x10000, UINT32_MAX };
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig.drv.layout.size = sizes[i];
		assert_non_null(virtq_check(&rig.mem, &rig.drv.layout, T_SIZE, t_ring()));
	}
	rig.drv.layout.size = 1;
	assert_null(virtq_check(&rig.mem, &rig.drv.layout, T_SIZE, t_ring()));
	t_close(&rig);
}

static void test_check_rejects_rings_outside_of_ram(void **state)
{
	static const gpa_t bad[] = {
		0, 0x03000000, 0x50000000, DRIVER_RAM_BASE - 16, T_RAM_END - 16, T_RAM_END,
		UINT64_MAX - 15, UINT64_MAX,
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (int ring = 0; ring < 3; ring++) {
			struct virtq_layout l = rig.drv.layout;

			*(gpa_t *[]){ &l.desc, &l.avail, &l.used }[ring] = bad[i];
			assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, t_ring()));
		}
	}
	t_close(&rig);
}

static void test_check_rejects_unaligned_rings(void **state)
{
	struct virtq_layout l;
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	l = rig.drv.layout;
	l.desc += 8;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, t_ring()));
	l = rig.drv.layout;
	l.avail += 1;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, t_ring()));
	l = rig.drv.layout;
	l.used += 2;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, t_ring()));
	t_close(&rig);
}

static void test_pop_rejects_a_jump_of_idx(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	rig.drv.avail->idx = T_SIZE + 1;
	t_broken(&rig, "room");
	t_open(&rig, 0);
	rig.drv.avail->idx = 0xffff;		/* backwards */
	t_broken(&rig, "room");
}

static void test_pop_rejects_a_head_outside_of_the_table(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	driver_offer(&rig.drv, T_SIZE);
	t_broken(&rig, "head");
	t_open(&rig, 0);
	driver_offer(&rig.drv, 0xffff);
	t_broken(&rig, "head");
}

static void test_pop_rejects_a_head_in_flight(void **state)
{
	struct t_rig rig;
	u16 head;

	(void)state;
	t_open(&rig, 0);
	head = driver_add(&rig.drv, &t_in, 1);
	driver_offer(&rig.drv, head);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 1);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), -EPROTO);
	/* What is in flight is completed all the same. */
	virtq_push(&rig.vq, head, 0);
	assert_int_equal(rig.drv.used->idx, 1);
	t_broken(&rig, "in flight");
}

static void test_pop_rejects_a_looping_chain(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	t_set(&rig, 0, DRIVER_DATA, 1, VRING_DESC_F_NEXT, 1);
	t_set(&rig, 1, DRIVER_DATA, 1, VRING_DESC_F_NEXT, 0);
	driver_offer(&rig.drv, 0);
	t_broken(&rig, "longer");
	/* The same in a table of its own, of more descriptors than the queue. */
	t_open(&rig, T_FEATURES);
	driver_add_indirect(&rig.drv, T_TABLE, (struct driver_buf[T_SIZE + 1]){
		t_out, t_out, t_out, t_out, t_out, t_out, t_out, t_out, t_out }, T_SIZE + 1);
	t_broken(&rig, "longer");
}

static void test_pop_rejects_a_next_outside_of_the_table(void **state)
{
	struct t_rig rig;
	struct vring_desc *t;

	(void)state;
	t_open(&rig, 0);
	t_set(&rig, 0, DRIVER_DATA, 1, VRING_DESC_F_NEXT, T_SIZE);
	driver_offer(&rig.drv, 0);
	t_broken(&rig, "outside");
	t_open(&rig, T_FEATURES);
	driver_add_indirect(&rig.drv, T_TABLE, &t_out, 1);
	t = driver_at(&rig.drv, T_TABLE);
	t->flags = VRING_DESC_F_NEXT;
	t->next = 1;
	t_broken(&rig, "outside");
}

static void test_pop_rejects_indirect_tables(void **state)
{
	static const struct {
		gpa_t		addr;
		u32		len;
		u16		flags;
		const char	*why;
	} bad[] = {
		{ T_TABLE, 0, 0, "whole number" },
		{ T_TABLE, 15, 0, "whole number" },
		{ T_TABLE, 17, 0, "whole number" },
		{ T_TABLE, 0xfffffff0, 0, "RAM" },
		{ 0x03000000, 16, 0, "RAM" },
		{ T_RAM_END - 8, 16, 0, "RAM" },
		{ UINT64_MAX - 7, 16, 0, "RAM" },
		{ T_TABLE, 16, VRING_DESC_F_NEXT, "end of its chain" },
	};
	struct t_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_open(&rig, T_FEATURES);
		t_set(&rig, 0, bad[i].addr, bad[i].len, VRING_DESC_F_INDIRECT | bad[i].flags, 1);
		driver_offer(&rig.drv, 0);
		t_broken(&rig, bad[i].why);
	}
	t_open(&rig, T_FEATURES);
	driver_add_indirect(&rig.drv, T_TABLE, &t_out, 1);
	*(struct vring_desc *)driver_at(&rig.drv, T_TABLE) = (struct vring_desc){
		.addr = T_TABLE, .len = 16, .flags = VRING_DESC_F_INDIRECT,
	};
	t_broken(&rig, "inside another");
	t_open(&rig, 0);
	driver_add_indirect(&rig.drv, T_TABLE, &t_out, 1);
	t_broken(&rig, "negotiated");
}

static void test_pop_rejects_buffers_outside_of_ram(void **state)
{
	static const struct driver_buf bad[] = {
		{ 0, 1, false }, { 0x50000000, 4, true }, { DRIVER_RAM_BASE - 1, 2, false },
		{ T_RAM_END - 1, 2, true }, { T_RAM_END, 1, true }, { UINT64_MAX, 1, false },
		{ UINT64_MAX - 1, 4, true }, { DRIVER_RAM_BASE, UINT32_MAX, true },
	};
	struct t_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_open(&rig, 0);
		driver_add(&rig.drv, &bad[i], 1);
		t_broken(&rig, "RAM");
	}
}

static void test_pop_rejects_odd_chains(void **state)
{
	const struct driver_buf empty = { DRIVER_DATA, 0, false };
	const struct driver_buf turned[] = { t_in, t_out };
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	driver_add(&rig.drv, &empty, 1);
	t_broken(&rig, "empty");
	t_open(&rig, 0);
	driver_add(&rig.drv, turned, 2);
	t_broken(&rig, "follows");
	t_open(&rig, 0);
	rig.chain.max = 1;
	driver_add(&rig.drv, (struct driver_buf[]){ t_out, t_in }, 2);
	t_broken(&rig, "more buffers");
}

/* 4 GiB are more than this RAM has, but the same part of it may be offered again. */
static void test_pop_rejects_a_sum_of_4_gib(void **state)
{
	struct vmm_error err;
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	gmem_fini(&rig.mem);
	assert_int_equal(gmem_init(&rig.mem, DRIVER_RAM_BASE, GIB(1), -1, 0, &err), 0);
	driver_queue_init(&rig.drv, &rig.mem, 0, T_SIZE);
	virtq_init(&rig.vq, &rig.mem, &rig.drv.layout, 0);
	for (u16 i = 0; i < 4; i++)
		t_set(&rig, i, DRIVER_RAM_BASE, (u32)GIB(1), i < 3 ? VRING_DESC_F_NEXT : 0, (u16)(i + 1));
	driver_offer(&rig.drv, 0);
	t_broken(&rig, "4 GiB");
}

/* ---- Who is told when ------------------------------------------------------------ */

static void t_serve(struct t_rig *rig)
{
	driver_add(&rig->drv, &t_in, 1);
	assert_int_equal(virtq_pop(&rig->vq, &rig->chain), 1);
	virtq_push(&rig->vq, rig->chain.head, 1);
}

static void test_signal_follows_the_flag(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	assert_false(virtq_should_signal(&rig.vq));
	t_serve(&rig);
	assert_true(virtq_should_signal(&rig.vq));
	assert_false(virtq_should_signal(&rig.vq));
	rig.drv.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	t_serve(&rig);
	assert_false(virtq_should_signal(&rig.vq));
	t_close(&rig);
}

static void test_signal_follows_the_event_index(void **state)
{
	struct t_rig rig;
	u16 *event;

	(void)state;
	t_open(&rig, T_EVENT_IDX);
	event = &rig.drv.avail->ring[T_SIZE];
	rig.drv.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;	/* means nothing now */
	t_serve(&rig);
	assert_true(virtq_should_signal(&rig.vq));
	*event = 2;		/* when the third is used */
	t_serve(&rig);
	assert_false(virtq_should_signal(&rig.vq));
	t_serve(&rig);
	assert_true(virtq_should_signal(&rig.vq));
	/* Within a batch. */
	*event = 4;
	t_serve(&rig);
	t_serve(&rig);
	t_serve(&rig);
	assert_true(virtq_should_signal(&rig.vq));
	t_serve(&rig);
	assert_false(virtq_should_signal(&rig.vq));
	t_close(&rig);
}

static void test_kicks_follow_the_flag(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	virtq_disable_kicks(&rig.vq);
	assert_int_equal(rig.drv.used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(virtq_enable_kicks(&rig.vq));
	assert_int_equal(rig.drv.used->flags, 0);
	driver_add(&rig.drv, &t_in, 1);
	assert_true(virtq_enable_kicks(&rig.vq));
	t_close(&rig);
}

static void test_kicks_follow_the_event_index(void **state)
{
	struct t_rig rig;
	u16 *event;

	(void)state;
	t_open(&rig, T_EVENT_IDX);
	event = (u16 *)&rig.drv.used->ring[T_SIZE];
	t_serve(&rig);
	t_serve(&rig);
	assert_false(virtq_enable_kicks(&rig.vq));
	assert_int_equal(*event, 2);
	virtq_disable_kicks(&rig.vq);
	assert_int_equal(rig.drv.used->flags, 0);
	driver_add(&rig.drv, &t_in, 1);
	assert_true(virtq_enable_kicks(&rig.vq));
	t_close(&rig);
}

/* The tests that make nothing of a ring by hand. */
static int t_each_kind(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pop_gives_the_buffers_in_order),
		cmocka_unit_test(test_push_tells_head_and_length),
		cmocka_unit_test(test_goes_round_many_times),
		cmocka_unit_test(test_unpop_leaves_it_for_later),
		cmocka_unit_test(test_check_rejects_unaligned_rings),
		cmocka_unit_test(test_pop_rejects_buffers_outside_of_ram),
		cmocka_unit_test(test_pop_rejects_odd_chains),
	};

	return driver_run_each_kind(tests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_indirect_table_may_end_a_chain),
		cmocka_unit_test(test_check_rejects_sizes),
		cmocka_unit_test(test_check_rejects_rings_outside_of_ram),
		cmocka_unit_test(test_pop_rejects_a_jump_of_idx),
		cmocka_unit_test(test_pop_rejects_a_head_outside_of_the_table),
		cmocka_unit_test(test_pop_rejects_a_head_in_flight),
		cmocka_unit_test(test_pop_rejects_a_looping_chain),
		cmocka_unit_test(test_pop_rejects_a_next_outside_of_the_table),
		cmocka_unit_test(test_pop_rejects_indirect_tables),
		cmocka_unit_test(test_pop_rejects_a_sum_of_4_gib),
		cmocka_unit_test(test_signal_follows_the_flag),
		cmocka_unit_test(test_signal_follows_the_event_index),
		cmocka_unit_test(test_kicks_follow_the_flag),
		cmocka_unit_test(test_kicks_follow_the_event_index),
	};

	return t_each_kind() + cmocka_run_group_tests(tests, NULL, NULL);
}
