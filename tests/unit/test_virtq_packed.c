/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtq_packed.c - devices/virtq_packed.c
 *
 * What a queue does with either kind of ring is in test_virtq.c.
 */
#include <errno.h>
#include <linux/virtio_config.h>

#include "devices/virtq.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_SIZE		8
#define T_PACKED	(1ull << VIRTIO_F_RING_PACKED)
#define T_INDIRECT	(1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define T_EVENT_IDX	(1ull << VIRTIO_RING_F_EVENT_IDX)
#define T_TABLE		(DRIVER_DATA + MIB(1))
#define T_RAM_END	(DRIVER_RAM_BASE + DRIVER_RAM_SIZE)
#define T_NEXT		VRING_DESC_F_NEXT
#define T_WRITE		VRING_DESC_F_WRITE
#define T_FIRST		DRIVER_AVAIL		/* offered in the first round */
#define T_SECOND	DRIVER_USED		/* ... in the second */

struct t_rig {
	struct gmem		mem;
	struct driver_queue	drv;
	struct virtq		vq;
	struct iovec		iov[2 * T_SIZE];
	struct virtq_chain	chain;
};

static void t_open_sized(struct t_rig *rig, u64 features, u32 size)
{
	memset(rig, 0, sizeof(*rig));
	driver_packed = true;
	driver_ram(&rig->mem);
	driver_queue_init(&rig->drv, &rig->mem, 0, size);
	features |= T_PACKED;
	assert_null(virtq_check(&rig->mem, &rig->drv.layout, size, features));
	virtq_init(&rig->vq, &rig->mem, &rig->drv.layout, features);
	rig->chain = (struct virtq_chain){ .iov = rig->iov, .max = ARRAY_SIZE(rig->iov) };
}

static void t_open(struct t_rig *rig, u64 features)
{
	t_open_sized(rig, features, T_SIZE);
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
	assert_false(virtq_enable_kicks(&rig->vq));
	t_close(rig);
}

static const struct driver_buf t_out = { .addr = DRIVER_DATA, .len = 16 };
static const struct driver_buf t_in = { .addr = DRIVER_DATA + 4096, .len = 100, .in = true };

static void t_set(struct t_rig *rig, u16 i, u32 flags, u16 id)
{
	rig->drv.slots[i] = (struct vring_packed_desc){ DRIVER_DATA, 16, id, (u16)flags };
}

static u16 t_add(struct t_rig *rig, u32 nr)
{
	struct driver_buf bufs[T_SIZE];

	for (u32 i = 0; i < nr; i++)
		bufs[i] = t_in;
	return driver_add(&rig->drv, bufs, nr);
}

static u16 t_pop(struct t_rig *rig)
{
	assert_int_equal(virtq_pop(&rig->vq, &rig->chain), 1);
	return rig->chain.head;
}

/* ---- What a driver sees ----------------------------------------------------------- */

/* 2.8.6: one used descriptor where the first of the chain was, and the rest is skipped. */
static void test_chain_comes_back_as_one(void **state)
{
	struct t_rig rig;
	u16 a;
	u16 b;

	(void)state;
	t_open(&rig, 0);
	a = t_add(&rig, 3);
	b = t_add(&rig, 2);
	assert_int_equal(t_pop(&rig), a);
	assert_int_equal(rig.chain.nr_in, 3);
	assert_int_equal(t_pop(&rig), b);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
	virtq_push(&rig.vq, a, 7);
	virtq_push(&rig.vq, b, 0);
	assert_int_equal(rig.drv.slots[0].id, a);
	assert_int_equal(rig.drv.slots[0].len, 7);
	assert_int_equal(rig.drv.slots[0].flags, DRIVER_AVAIL | DRIVER_USED | T_WRITE);
	assert_int_equal(rig.drv.slots[1].flags, T_FIRST | T_WRITE | T_NEXT);
	/* 2.8.3: nothing was written to it. */
	assert_int_equal(rig.drv.slots[3].flags, DRIVER_AVAIL | DRIVER_USED);
	assert_int_equal(rig.drv.slots[3].id, b);
	t_close(&rig);
}

/* 2.8.12: in the order in which they are done with, whatever their lengths are. */
static void test_chains_are_done_in_any_order(void **state)
{
	static const u8 orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(orders); k++) {
		t_open_sized(&rig, 0, 7);	/* the rounds begin anywhere */
		for (u32 n = 0; n < 100; n++) {
			u16 heads[3];

			for (u32 i = 0; i < 3; i++)
				heads[i] = t_add(&rig, 1 + (i + n) % 3);
			for (u32 i = 0; i < 3; i++)
				assert_int_equal(t_pop(&rig), heads[i]);
			for (u32 i = 0; i < 3; i++)
				virtq_push(&rig.vq, heads[orders[k][i]], 1 + n + i);
			for (u32 i = 0; i < 3; i++) {
				assert_true(driver_used(&rig.drv, &head, &len));
				assert_int_equal(head, heads[orders[k][i]]);
				assert_int_equal(len, 1 + n + i);
			}
			assert_false(driver_used(&rig.drv, &head, &len));
			assert_int_equal(rig.drv.used_slot, rig.drv.next_slot);
			assert_int_equal(rig.vq.nr_slots, 0);
		}
		t_close(&rig);
	}
}

/* One that is done first makes room for one that is offered anew, before the others end. */
static void test_one_stays_for_many_rounds(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;
	u16 slow;

	(void)state;
	t_open(&rig, 0);
	slow = t_add(&rig, 2);
	assert_int_equal(t_pop(&rig), slow);
	for (u32 i = 0; i < 1000; i++) {
		u16 fast = t_add(&rig, 1 + i % 6);

		assert_int_equal(t_pop(&rig), fast);
		virtq_push(&rig.vq, fast, i + 1);
		assert_true(driver_used(&rig.drv, &head, &len));
		assert_int_equal(head, fast);
		assert_int_equal(len, i + 1);
	}
	virtq_push(&rig.vq, slow, 1);
	assert_true(driver_used(&rig.drv, &head, &len));
	assert_int_equal(head, slow);
	assert_int_equal(rig.drv.used_slot, rig.drv.next_slot);
	t_close(&rig);
}

/* The driver looks at the first alone: it is marked last, and has all of them behind it. */
static void test_batch_is_seen_whole(void **state)
{
	struct virtq_used used[3];
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig, 0);
	for (u32 n = 0; n < 50; n++) {
		for (u32 i = 0; i < 3; i++) {
			t_add(&rig, 1 + i % 2);
			used[i] = (struct virtq_used){ t_pop(&rig), i * 10 };
		}
		virtq_push_all(&rig.vq, used, 3);
		for (u32 i = 0; i < 3; i++) {
			assert_true(driver_used(&rig.drv, &head, &len));
			assert_int_equal(head, used[i].head);
			assert_int_equal(len, i * 10);
		}
		assert_false(driver_used(&rig.drv, &head, &len));
	}
	t_close(&rig);
}

/* Also backwards over the end of the ring, and to where all of it was taken. */
static void test_unpop_goes_back_over_the_end(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	for (u32 n = 0; n < 200; n++) {
		const u16 place = rig.vq.next_avail;
		const u16 head = t_add(&rig, 1 + n % T_SIZE);
		u32 used;
		u32 len;

		assert_int_equal(t_pop(&rig), head);
		virtq_unpop(&rig.vq, head);
		assert_int_equal(rig.vq.next_avail, place);
		assert_int_equal(rig.vq.nr_slots, 0);
		assert_int_equal(t_pop(&rig), head);
		virtq_push(&rig.vq, head, 1);
		assert_true(driver_used(&rig.drv, &used, &len));
	}
	t_close(&rig);
}

/* 2.8.10.1 */
static void test_size_is_no_power_of_two(void **state)
{
	static const u32 sizes[] = { 1, 3, 5, 7, 100, 255 };
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		t_open_sized(&rig, 0, sizes[i]);
		for (u32 n = 0; n < 3 * sizes[i]; n++) {
			u16 a = t_add(&rig, 1);

			assert_int_equal(t_pop(&rig), a);
			virtq_push(&rig.vq, a, n);
			assert_true(driver_used(&rig.drv, &head, &len));
			assert_int_equal(head, a);
			assert_int_equal(len, n);
		}
		t_close(&rig);
	}
}

static void test_check_rejects_sizes_and_places(void **state)
{
	struct virtq_layout l;
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	l = rig.drv.layout;
	l.size = 0;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	l.size = T_SIZE + 1;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	l.size = UINT32_MAX;
	assert_non_null(virtq_check(&rig.mem, &l, UINT32_MAX, T_PACKED));
	l = rig.drv.layout;
	l.avail += 2;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	l = rig.drv.layout;
	l.used = T_RAM_END - 2;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	/* The parts are small, and may be the last of RAM. */
	l.used = T_RAM_END - 4;
	l.avail = T_RAM_END - 8;
	l.desc = T_RAM_END - 16 * (T_SIZE + 1);
	assert_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	l.desc += 32;
	assert_non_null(virtq_check(&rig.mem, &l, T_SIZE, T_PACKED));
	t_close(&rig);
}

/* Nor do old ones, of a ring that was not cleared, count for the wrong round. */
static void test_pop_takes_what_is_offered_in_its_round(void **state)
{
	static const u16 none[] = { 0, DRIVER_AVAIL | DRIVER_USED, T_SECOND, T_SECOND | T_NEXT | T_WRITE };
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		t_set(&rig, 0, none[i], 0);
		assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
		assert_false(virtq_enable_kicks(&rig.vq));
	}
	for (u16 i = 0; i < T_SIZE; i++) {
		t_set(&rig, i, T_FIRST, i);
		assert_int_equal(t_pop(&rig), i);
		virtq_push(&rig.vq, i, 0);
	}
	t_set(&rig, 0, T_FIRST, 0);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
	t_set(&rig, 0, T_SECOND, 0);
	assert_int_equal(t_pop(&rig), 0);
	t_close(&rig);
}

/* ---- What a driver must not do ------------------------------------------------------ */

static void test_pop_rejects_ids_outside_of_the_queue(void **state)
{
	static const u16 ids[] = { T_SIZE, 0x7fff, 0xffff };
	struct t_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		t_open(&rig, 0);
		t_set(&rig, 0, T_FIRST, ids[i]);
		t_broken(&rig, "id");
		/* The last one's counts. */
		t_open(&rig, 0);
		t_set(&rig, 0, T_FIRST | T_NEXT, 0);
		t_set(&rig, 1, T_FIRST, ids[i]);
		t_broken(&rig, "id");
	}
	t_open(&rig, 0);
	t_set(&rig, 0, T_FIRST | T_NEXT, 0xffff);
	t_set(&rig, 1, T_FIRST, 3);
	assert_int_equal(t_pop(&rig), 3);
	t_close(&rig);
}

static void test_pop_rejects_an_id_in_flight(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	t_set(&rig, 0, T_FIRST, 5);
	t_set(&rig, 1, T_FIRST, 5);
	assert_int_equal(t_pop(&rig), 5);
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), -EPROTO);
	/* What is in flight is completed all the same. */
	virtq_push(&rig.vq, 5, 0);
	assert_int_equal(rig.vq.nr_inflight, 0);
	assert_int_equal(rig.vq.nr_slots, 0);
	t_broken(&rig, "in flight");
}

/* There is no next to lead back, but a chain can go on for ever, round after round. */
static void test_pop_rejects_a_chain_without_an_end(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	for (u16 i = 0; i < T_SIZE; i++)
		t_set(&rig, i, T_FIRST | T_NEXT, i);
	t_broken(&rig, "room");
}

static void test_pop_rejects_more_than_there_is_room_for(void **state)
{
	struct t_rig rig;

	(void)state;
	/* All slots are in flight, and the first is offered again. */
	t_open(&rig, 0);
	for (u16 i = 0; i < T_SIZE; i++) {
		t_set(&rig, i, T_FIRST, i);
		t_pop(&rig);
	}
	assert_int_equal(virtq_pop(&rig.vq, &rig.chain), 0);
	t_set(&rig, 0, T_SECOND, 0);
	t_broken(&rig, "room");
	/* Some are, and a chain runs into them. */
	t_open(&rig, 0);
	for (u16 i = 0; i < T_SIZE; i++) {
		t_set(&rig, i, T_FIRST, i);
		t_pop(&rig);
	}
	virtq_push(&rig.vq, 4, 0);
	virtq_push(&rig.vq, 2, 0);
	t_set(&rig, 0, T_SECOND | T_NEXT, 4);
	t_set(&rig, 1, T_SECOND | T_NEXT, 4);
	t_set(&rig, 2, T_SECOND, 4);
	t_broken(&rig, "room");
}

static void test_pop_rejects_a_chain_into_what_is_not_offered(void **state)
{
	static const u16 lies[] = { 0, DRIVER_AVAIL | DRIVER_USED, T_SECOND };
	struct t_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		t_open(&rig, 0);
		t_set(&rig, 0, T_FIRST | T_NEXT, 0);
		t_set(&rig, 1, lies[i], 0);
		t_broken(&rig, "nothing is offered");
	}
	/* Over the end of the ring the other bit counts. */
	for (u32 right = 0; right < 2; right++) {
		t_open(&rig, 0);
		for (u16 i = 0; i + 1 < T_SIZE; i++) {
			t_set(&rig, i, T_FIRST, i);
			t_pop(&rig);
			virtq_push(&rig.vq, i, 0);
		}
		t_set(&rig, T_SIZE - 1, T_FIRST | T_NEXT, 0);
		t_set(&rig, 0, right ? T_SECOND : T_FIRST, 6);
		if (!right) {
			t_broken(&rig, "nothing is offered");
			continue;
		}
		assert_int_equal(t_pop(&rig), 6);
		assert_int_equal(rig.vq.next_avail, 1);
		t_close(&rig);
	}
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
		{ T_TABLE, 16 * (T_SIZE + 1), 0, "longer" },
		{ T_TABLE, 0xfffffff0, 0, "RAM" },
		{ 0x03000000, 16, 0, "RAM" },
		{ T_RAM_END - 8, 16, 0, "RAM" },
		{ UINT64_MAX - 7, 16, 0, "RAM" },
		{ T_TABLE, 16, VRING_DESC_F_NEXT, "all of its chain" },
	};
	struct t_rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vring_packed_desc d = { bad[i].addr, bad[i].len, 0, bad[i].flags | VRING_DESC_F_INDIRECT };

		t_open(&rig, T_INDIRECT);
		driver_offer_slots(&rig.drv, &d, 1);
		t_broken(&rig, bad[i].why);
	}
	/* 2.8.5, 2.8.19: a list is all of one kind. */
	t_open(&rig, T_INDIRECT);
	driver_offer_slots(&rig.drv, (struct vring_packed_desc[]){
		{ DRIVER_DATA, 16, 0, VRING_DESC_F_NEXT }, { T_TABLE, 16, 0, VRING_DESC_F_INDIRECT } }, 2);
	t_broken(&rig, "all of its chain");
	t_open(&rig, 0);
	driver_add_indirect(&rig.drv, T_TABLE, &t_out, 1);
	t_broken(&rig, "negotiated");
}

/* 2.8.7: of the flags in a table only one counts, so no other table is reached from it. */
static void test_table_inside_of_a_table_is_a_buffer(void **state)
{
	struct vring_packed_desc *t;
	struct t_rig rig;

	(void)state;
	t_open(&rig, T_INDIRECT);
	driver_add_indirect(&rig.drv, T_TABLE, (struct driver_buf[]){ t_out, t_out }, 2);
	t = driver_at(&rig.drv, T_TABLE);
	/* It has itself in it, and goes on. */
	t[0] = (struct vring_packed_desc){ T_TABLE, 32, 9, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT };
	t[1].flags = VRING_DESC_F_NEXT | T_SECOND;
	t_pop(&rig);
	assert_int_equal(rig.chain.nr_out, 2);
	assert_ptr_equal(rig.iov[0].iov_base, t);
	assert_int_equal(rig.chain.out_len, 48);
	t_close(&rig);
}

static void test_pop_rejects_a_sum_of_4_gib(void **state)
{
	struct vmm_error err;
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	gmem_fini(&rig.mem);
	assert_int_equal(gmem_init(&rig.mem, DRIVER_RAM_BASE, GIB(1), -1, 0, &err), 0);
	driver_queue_init(&rig.drv, &rig.mem, 0, T_SIZE);
	virtq_init(&rig.vq, &rig.mem, &rig.drv.layout, T_PACKED);
	for (u16 i = 0; i < 4; i++)
		rig.drv.slots[i] = (struct vring_packed_desc){
			DRIVER_RAM_BASE, (u32)GIB(1), 0, (u16)(T_FIRST | (i < 3 ? T_NEXT : 0)),
		};
	t_broken(&rig, "4 GiB");
}

/* ---- Who is told when ------------------------------------------------------------------- */

static void t_serve(struct t_rig *rig, u32 slots)
{
	u32 head;
	u32 len;

	t_add(rig, slots);
	virtq_push(&rig->vq, t_pop(rig), 1);
	assert_true(driver_used(&rig->drv, &head, &len));
}

static void test_signal_follows_the_flags(void **state)
{
	static const struct {
		u16	flags;
		bool	wanted;
	} all[] = {
		{ VRING_PACKED_EVENT_FLAG_ENABLE, true },
		{ VRING_PACKED_EVENT_FLAG_DISABLE, false },
		{ VRING_PACKED_EVENT_FLAG_DESC, true },	/* was not negotiated */
		{ 3, true },				/* reserved */
		{ VRING_PACKED_EVENT_FLAG_DISABLE | 0xfffc, false },
		{ VRING_PACKED_EVENT_FLAG_ENABLE | 0xfffc, true },
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	assert_false(virtq_should_signal(&rig.vq));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		rig.drv.driver_event->flags = all[i].flags;
		rig.drv.driver_event->off_wrap = 5;
		t_serve(&rig, 1);
		assert_int_equal(virtq_should_signal(&rig.vq), all[i].wanted);
		assert_false(virtq_should_signal(&rig.vq));
	}
	/* Both still mean what they do with an event index. */
	t_close(&rig);
	t_open(&rig, T_EVENT_IDX);
	t_serve(&rig, 1);
	assert_true(virtq_should_signal(&rig.vq));
	rig.drv.driver_event->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	t_serve(&rig, 1);
	assert_false(virtq_should_signal(&rig.vq));
	t_close(&rig);
}

/*
 * From each place a driver waits for each other up to a round away, chains come back in
 * batches of each size: it is told at the batch with the slot in it, and at no other.
 */
static void test_signal_follows_the_event_index(void **state)
{
	struct t_rig rig;

	(void)state;
	for (u32 size = 1; size <= 7; size++) {
		for (u32 ahead = 0; ahead < size; ahead++) {
			for (u32 slots = 1; slots <= size; slots++) {
				t_open_sized(&rig, T_EVENT_IDX, size);
				rig.drv.driver_event->flags = VRING_PACKED_EVENT_FLAG_DESC;
				for (u32 from = 0; from < 3 * size; from++) {
					u32 place = rig.drv.used_slot % DRIVER_WRAP + ahead;
					u16 wrap = rig.drv.used_slot & DRIVER_WRAP;
					u32 nr = 0;

					if (place >= size) {
						place -= size;
						wrap ^= DRIVER_WRAP;
					}
					rig.drv.driver_event->off_wrap = (u16)(place | wrap);
					for (; nr + slots <= ahead; nr += slots) {
						t_serve(&rig, slots);
						assert_false(virtq_should_signal(&rig.vq));
					}
					t_serve(&rig, slots);
					assert_true(virtq_should_signal(&rig.vq));
				}
				t_close(&rig);
			}
		}
	}
}

/* More than a round since it was last asked, and what was waited for is in the next one. */
static void test_signal_after_more_than_a_round(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, T_EVENT_IDX);
	rig.drv.driver_event->flags = VRING_PACKED_EVENT_FLAG_DESC;
	for (u32 i = 0; i < 2 * T_SIZE + 3; i++)
		t_serve(&rig, 1);
	/* At 3 of the third round; waited for is 2 of the same, then 6. */
	rig.drv.driver_event->off_wrap = DRIVER_WRAP | 2;
	assert_true(virtq_should_signal(&rig.vq));
	for (u32 i = 0; i < 2 * T_SIZE; i++)
		t_serve(&rig, 1);
	rig.drv.driver_event->off_wrap = DRIVER_WRAP | 6;
	assert_false(virtq_should_signal(&rig.vq));
	for (u32 i = 0; i < 2 * T_SIZE; i++)
		t_serve(&rig, 1);
	/* Of the next round, not of the one before the last. */
	rig.drv.driver_event->off_wrap = 2;
	assert_false(virtq_should_signal(&rig.vq));
	/* Any nonsense is an answer. */
	t_serve(&rig, 1);
	rig.drv.driver_event->off_wrap = 0xffff;
	virtq_should_signal(&rig.vq);
	t_close(&rig);
}

static void test_kicks_follow_the_flags(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, 0);
	virtq_disable_kicks(&rig.vq);
	assert_int_equal(rig.drv.device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_false(virtq_enable_kicks(&rig.vq));
	assert_int_equal(rig.drv.device_event->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	driver_add(&rig.drv, &t_in, 1);
	assert_true(virtq_enable_kicks(&rig.vq));
	t_close(&rig);
}

/* 2.8.14: the slot that is taken next, with its round. */
static void test_kicks_follow_the_event_index(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, T_EVENT_IDX);
	for (u32 i = 0; i < 3 * T_SIZE; i += 2) {
		struct driver_mark mark;

		assert_false(virtq_enable_kicks(&rig.vq));
		assert_int_equal(rig.drv.device_event->flags, VRING_PACKED_EVENT_FLAG_DESC);
		assert_int_equal(rig.drv.device_event->off_wrap, rig.drv.next_slot);
		assert_int_equal(rig.drv.next_slot,
				 i % T_SIZE | (i / T_SIZE % 2 ? 0 : DRIVER_WRAP));
		virtq_disable_kicks(&rig.vq);
		mark = driver_mark(&rig.drv);
		t_serve(&rig, 1);
		assert_true(driver_must_kick(&rig.drv, mark));
		mark = driver_mark(&rig.drv);
		driver_add(&rig.drv, &t_in, 1);
		assert_false(driver_must_kick(&rig.drv, mark));
		assert_true(virtq_enable_kicks(&rig.vq));
		virtq_push(&rig.vq, t_pop(&rig), 1);
		assert_int_equal(driver_nr_used(&rig.drv), i + 2);
	}
	t_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_comes_back_as_one),
		cmocka_unit_test(test_chains_are_done_in_any_order),
		cmocka_unit_test(test_one_stays_for_many_rounds),
		cmocka_unit_test(test_batch_is_seen_whole),
		cmocka_unit_test(test_unpop_goes_back_over_the_end),
		cmocka_unit_test(test_size_is_no_power_of_two),
		cmocka_unit_test(test_check_rejects_sizes_and_places),
		cmocka_unit_test(test_pop_takes_what_is_offered_in_its_round),
		cmocka_unit_test(test_pop_rejects_ids_outside_of_the_queue),
		cmocka_unit_test(test_pop_rejects_an_id_in_flight),
		cmocka_unit_test(test_pop_rejects_a_chain_without_an_end),
		cmocka_unit_test(test_pop_rejects_more_than_there_is_room_for),
		cmocka_unit_test(test_pop_rejects_a_chain_into_what_is_not_offered),
		cmocka_unit_test(test_pop_rejects_indirect_tables),
		cmocka_unit_test(test_table_inside_of_a_table_is_a_buffer),
		cmocka_unit_test(test_pop_rejects_a_sum_of_4_gib),
		cmocka_unit_test(test_signal_follows_the_flags),
		cmocka_unit_test(test_signal_follows_the_event_index),
		cmocka_unit_test(test_signal_after_more_than_a_round),
		cmocka_unit_test(test_kicks_follow_the_flags),
		cmocka_unit_test(test_kicks_follow_the_event_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
