/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vhost_relay.c - devices/vhost_relay.c: backends that go away and come back
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "tests/unit/backend.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX)
#define T_SIZE		64
#define T_LEN		100
#define T_MANY		8

static const struct virtio_ops t_ops = {
	.name = "other",
	.id = 42,
	.nr_queues = 2,
	.queue_size = T_SIZE,
	VHOST_USER_OPS,
	VHOST_USER_RELAY_OPS,
};

struct t_rig {
	struct backend		b;
	struct driver		d;
	struct vmm_error	err;
	u32			nr_rests;
	u32			done[T_SIZE];	/* how often, by head */
};

static void t_take_front(struct t_rig *rig)
{
	/* Theirs is the only one then, and closing ours is the end. */
	close(rig->b.front);
	rig->b.front = -1;
}

static void on_rests(void *ctx, struct loop *loop)
{
	struct driver *d = ctx;

	(void)loop;
	((struct t_rig *)((char *)d - offsetof(struct t_rig, d)))->nr_rests++;
}

static void t_open_with(struct t_rig *rig, u64 more)
{
	static const u8 config[] = { 1, 2, 3, 4, 5 };
	struct virtio *dev;

	memset(rig, 0, sizeof(*rig));
	driver_open(&rig->d, 1);
	rig->d.env.rests = on_rests;
	backend_open(&rig->b);
	rig->b.features |= more;
	backend_greet(&rig->b);
	const struct vhost_user_config cfg = {
		.ops = &t_ops, .nr_queues = 2, .fd = rig->b.front, .waits = true,
		.config = config, .config_size = sizeof(config),
	};
	assert_int_equal(vhost_user_create(&dev, &rig->d.env, 3, &cfg, &rig->err), 0);
	t_take_front(rig);
	driver_attach(&rig->d, dev);
	assert_true(backend_serve(&rig->b));
}

static void t_open(struct t_rig *rig)
{
	t_open_with(rig, 0);
}

static void t_turn(struct t_rig *rig)
{
	driver_turn(&rig->d);
	backend_serve(&rig->b);
	driver_turn(&rig->d);
}

static void t_drive(struct t_rig *rig)
{
	driver_start(&rig->d, T_WANTED);
	t_turn(rig);
}

static void t_close(struct t_rig *rig)
{
	/* It must not be waited for. */
	backend_close(&rig->b);
	driver_close(&rig->d);
}

static void t_die(struct t_rig *rig)
{
	backend_close(&rig->b);
	driver_turn(&rig->d);
}

/* Another one is there, and has been told all. */
static int t_replace(struct t_rig *rig)
{
	int ret;

	backend_greet(&rig->b);
	ret = vhost_user_replace(rig->d.dev, rig->b.front, &rig->err);
	t_take_front(rig);
	return ret;
}

static void t_come(struct t_rig *rig)
{
	backend_open(&rig->b);
	assert_int_equal(t_replace(rig), 0);
	t_turn(rig);
}

/* Requests of a byte of their own each, as many as @nr. */
static void t_ask(struct t_rig *rig, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		const struct driver_buf in = {
			DRIVER_DATA + (u64)(rig->d.q[1].avail_idx % T_SIZE) * KIB(1), T_LEN, true,
		};

		driver_add(&rig->d.q[1], &in, 1);
	}
	driver_kick(&rig->d, 1);
}

/* What the driver gets back; each may come once. */
static u32 t_get(struct t_rig *rig)
{
	u32 nr = 0;
	u32 head;
	u32 len;

	driver_turn(&rig->d);
	for (; driver_used(&rig->d.q[1], &head, &len); nr++) {
		assert_in_range(head, 0, T_SIZE - 1);
		assert_int_equal(len, T_LEN);
		assert_int_equal(++rig->done[head], 1);
	}
	return nr;
}

static u32 t_finish_all(struct t_rig *rig)
{
	u32 nr = backend_take(&rig->b, 1);

	for (u32 i = 0; i < nr; i++)
		backend_finish(&rig->b, 1, 0, 7);
	return nr;
}

static bool t_needs_reset(struct t_rig *rig)
{
	return driver_status(&rig->d, -1) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* ---- One that stays ------------------------------------------------------------ */

static void test_passes_requests_on(void **state)
{
	const u8 *data;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	/* Nobody keeps an event index for it. */
	assert_int_equal(rig.b.acked, 1ull << VIRTIO_F_VERSION_1 | 1ull << VHOST_F_PROTOCOL_FEATURES);
	assert_int_equal(rig.b.nr_regions, 2);
	for (u32 n = 0; n < 3 * T_SIZE; n++) {
		memset(rig.done, 0, sizeof(rig.done));
		/* The driver's own event index is minded. */
		rig.d.q[1].avail->ring[T_SIZE] = (u16)n;
		t_ask(&rig, 1);
		assert_int_equal(backend_work(&rig.b, 1, (u8)n), 1);
		assert_int_equal(t_get(&rig), 1);
		data = driver_at(&rig.d.q[1], DRIVER_DATA + n % T_SIZE * KIB(1));
		assert_int_equal(data[0], (u8)n);
		assert_int_equal(data[T_LEN - 1], (u8)n);
		assert_int_equal(rig.d.nr_irqs[1], n + 1);
	}
	/* It was not rung at all for what it had not been asked. */
	assert_int_equal(rig.d.nr_irqs[0], 0);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* A driver that would have packed rings, and a backend that has them, meet by split ones. */
static void test_packed_rings_are_not_offered(void **state)
{
	const u64 packed = 1ull << VIRTIO_F_RING_PACKED;
	struct t_rig rig;

	(void)state;
	t_open_with(&rig, packed);
	assert_int_equal(rig.d.dev->offered & packed, 0);
	/* It may not be taken all the same. */
	assert_false(driver_negotiate(&rig.d, T_WANTED | packed));
	driver_status(&rig.d, 0);
	t_drive(&rig);
	assert_int_equal(rig.b.acked & packed, 0);
	t_ask(&rig, T_MANY);
	assert_int_equal(backend_take(&rig.b, 1), T_MANY);
	t_die(&rig);
	backend_open(&rig.b);
	rig.b.features |= packed;
	assert_int_equal(t_replace(&rig), 0);
	t_turn(&rig);
	assert_int_equal(rig.b.acked & packed, 0);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	assert_false(t_needs_reset(&rig));
	t_close(&rig);
}

static void test_reset_gives_everything_back(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	assert_int_equal(backend_take(&rig.b, 1), T_MANY);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_not_equal(driver_status(&rig.d, -1), 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_VRING_BASE), 2);
	/* What was left there is none of the next driver's. */
	rig.b.q[1].nr_held = 0;
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

static void test_kick_before_it_is_enabled_is_not_lost(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, T_LEN, true };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_true(driver_negotiate(&rig.d, T_WANTED));
	for (u32 i = 0; i < 2; i++)
		assert_true(driver_set_queue(&rig.d, i, &rig.d.q[i].layout));
	driver_add(&rig.d.q[1], &in, 1);
	driver_status(&rig.d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	t_turn(&rig);
	assert_int_equal(backend_work(&rig.b, 1, 1), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

/* ---- One that goes --------------------------------------------------------------- */

/* Whatever the order in which it had done things, and whether it had told. */
static void test_next_one_gets_what_was_not_done(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	/* So long that the rings have gone round. */
	for (u32 n = 0; n < 5 * T_SIZE / T_MANY; n++) {
		memset(rig.done, 0, sizeof(rig.done));
		t_ask(&rig, T_MANY);
		assert_int_equal(t_finish_all(&rig), T_MANY);
		assert_int_equal(t_get(&rig), T_MANY);
	}
	memset(rig.done, 0, sizeof(rig.done));
	t_ask(&rig, T_MANY);
	assert_int_equal(backend_take(&rig.b, 1), T_MANY);
	backend_finish(&rig.b, 1, 5, 1);
	assert_int_equal(t_get(&rig), 1);
	rig.b.mute = true;
	backend_finish(&rig.b, 1, 2, 1);
	backend_finish(&rig.b, 1, 5, 1);
	assert_int_equal(t_get(&rig), 0);
	t_die(&rig);
	assert_int_equal(t_get(&rig), 2);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "other3: its backend has gone; requests wait for another");
	assert_false(t_needs_reset(&rig));
	t_ask(&rig, T_MANY);
	assert_int_equal(t_get(&rig), 0);
	t_come(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_OWNER), 1);
	assert_int_equal(t_finish_all(&rig), 2 * T_MANY - 3);
	assert_int_equal(t_get(&rig), 2 * T_MANY - 3);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_false(t_needs_reset(&rig));
	t_close(&rig);
}

/* What the driver asks for meanwhile is not looked for again and again. */
static void test_waiting_takes_no_time(void **state)
{
	struct pollfd loop = { .events = POLLIN };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_die(&rig);
	t_ask(&rig, T_MANY);
	driver_turn(&rig.d);
	loop.fd = loop_fd(rig.d.env.loops[0]);
	assert_int_equal(poll(&loop, 1, 0), 0);
	t_come(&rig);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	t_close(&rig);
}

/* Who gives it another one may have heard of its end before the loop does. */
static void test_next_one_may_be_early(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	backend_close(&rig.b);
	t_come(&rig);
	assert_false(t_needs_reset(&rig));
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	t_close(&rig);
}

/* One that is there still may be at work: it is not done twice while it is. */
static void test_replacing_one_that_works_breaks_the_device(void **state)
{
	struct backend old;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, 1);
	old = rig.b;
	t_come(&rig);
	assert_false(backend_serve(&old));
	backend_close(&old);
	assert_true(t_needs_reset(&rig));
	assert_non_null(strstr(rig.d.why, "is replaced"));
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

static void test_full_queue_survives_many_of_them(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_SIZE);
	for (u32 n = 0; n < 20; n++) {
		assert_int_equal(backend_take(&rig.b, 1), T_SIZE - n);
		backend_finish(&rig.b, 1, n % 3, 1);
		t_die(&rig);
		assert_int_equal(t_get(&rig), 1);
		t_come(&rig);
	}
	assert_int_equal(t_finish_all(&rig), T_SIZE - 20);
	assert_int_equal(t_get(&rig), T_SIZE - 20);
	t_close(&rig);
}

/* It dies again, after each of the messages by which it is told everything. */
static void test_dies_at_each_message(void **state)
{
	u32 life = 0;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	assert_int_equal(backend_take(&rig.b, 1), T_MANY);
	do {
		t_die(&rig);
		backend_open(&rig.b);
		assert_int_equal(t_replace(&rig), 0);
		rig.b.life = ++life;
		driver_turn(&rig.d);
	} while (!backend_serve(&rig.b));
	/* Those of the beginning, and six for each of its rings. */
	assert_int_equal(life, 4 + 4 + 2 * 6 + 1);
	driver_turn(&rig.d);
	assert_int_equal(t_get(&rig), 0);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	assert_false(t_needs_reset(&rig));
	t_close(&rig);
}

static void test_refusal_by_the_next_one_breaks_the_device(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, 1);
	t_die(&rig);
	backend_open(&rig.b);
	rig.b.refuses = VHOST_SET_MEM_TABLE;
	assert_int_equal(t_replace(&rig), 0);
	t_turn(&rig);
	assert_true(t_needs_reset(&rig));
	assert_non_null(strstr(rig.d.why, "refuses SET_MEM_TABLE"));
	/* A reset mends that too. */
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	backend_close(&rig.b);
	t_come(&rig);
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

static void test_other_kind_is_refused_and_the_right_one_taken(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	t_die(&rig);
	backend_open(&rig.b);
	rig.b.features &= ~(1ull << VIRTIO_RING_F_INDIRECT_DESC);
	assert_int_equal(t_replace(&rig), -ENOTSUP);
	assert_string_equal(rig.err.msg, "other3: its new backend lacks features 0x10000000");
	backend_close(&rig.b);
	backend_open(&rig.b);
	rig.b.nr_queues = 1;
	assert_int_equal(t_replace(&rig), -ENOTSUP);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	assert_false(t_needs_reset(&rig));
	t_come(&rig);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	t_close(&rig);
}

/* ---- What a guest may do meanwhile -------------------------------------------------- */

/* Who asks has others to serve meanwhile. */
static void test_one_that_does_not_answer_is_not_waited_for_long(void **state)
{
	struct t_rig rig;
	u64 start;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	t_die(&rig);
	for (int answers = 0; answers < 2; answers++) {
		backend_open(&rig.b);
		/* However many it gives before it falls silent. */
		if (answers)
			backend_reply(&rig.b, VHOST_GET_FEATURES, rig.b.features);
		start = t_now_ms();
		assert_int_equal(vhost_user_replace(rig.d.dev, rig.b.front, &rig.err), -ETIMEDOUT);
		assert_in_range(t_now_ms() - start, 1000, 5000);
		assert_non_null(strstr(rig.err.msg, answers ? "GET_PROTOCOL_FEATURES" : "GET_FEATURES"));
		t_take_front(&rig);
		backend_close(&rig.b);
	}
	driver_turn(&rig.d);
	assert_false(t_needs_reset(&rig));
	t_come(&rig);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	t_close(&rig);
}

static void test_reset_while_there_is_none(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	t_die(&rig);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	/* A driver can begin without one, too. */
	t_drive(&rig);
	assert_false(t_needs_reset(&rig));
	t_ask(&rig, 3);
	t_come(&rig);
	assert_int_equal(t_finish_all(&rig), 3);
	assert_int_equal(t_get(&rig), 3);
	/* And come after the next has. */
	t_die(&rig);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	t_come(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_KICK), 0);
	memset(rig.done, 0, sizeof(rig.done));
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

static void test_reset_while_the_next_one_is_told(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	t_die(&rig);
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	driver_turn(&rig.d);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_not_equal(driver_status(&rig.d, -1), 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(rig.d.nr_broken, 1);
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

static void test_driver_that_breaks_the_rules_is_stopped_as_ever(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	driver_offer(&rig.d.q[1], T_SIZE);
	driver_kick(&rig.d, 1);
	assert_true(t_needs_reset(&rig));
	assert_non_null(strstr(rig.d.why, "outside of the table"));
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_drive(&rig);
	t_ask(&rig, 1);
	assert_int_equal(t_finish_all(&rig), 1);
	assert_int_equal(t_get(&rig), 1);
	t_close(&rig);
}

/* ---- A pause -------------------------------------------------------------------------- */

static void test_pause_does_not_wait_for_one_that_has_gone(void **state)
{
	struct loop *loop;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	loop = rig.d.env.loops[0];
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	virtio_pause(rig.d.dev, loop);
	assert_false(virtio_at_rest(rig.d.dev, loop));
	rig.nr_rests = 0;
	t_die(&rig);
	assert_true(rig.nr_rests > 0);
	assert_true(virtio_at_rest(rig.d.dev, loop));
	/* The next one begins when the guest does. */
	t_come(&rig);
	assert_true(virtio_at_rest(rig.d.dev, loop));
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_KICK), 0);
	virtio_resume(rig.d.dev, loop);
	t_turn(&rig);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	t_close(&rig);
}

/* ---- Backends that lie ------------------------------------------------------------------ */

static struct vring_used *t_used(struct t_rig *rig)
{
	return (void *)gmem_host(&rig->b.mem, rig->b.q[1].layout.used, 1);
}

static void t_ring(struct t_rig *rig)
{
	const u64 one = 1;

	assert_int_equal(write(rig->b.q[1].call, &one, sizeof(one)), sizeof(one));
	driver_turn(&rig->d);
}

static void test_lies_in_its_ring_break_the_device(void **state)
{
	static const struct {
		u16	idx;
		u32	heads[3];
	} lies[] = {
		{ 3, { 0, 1, 0 } }, { UINT16_MAX, { 0 } }, { 1, { T_SIZE } }, { 1, { 65536 } },
		{ 1, { 2 } }, { 2, { 1, 1 } }, { 2, { 0, 2 } }, { 1, { UINT32_MAX } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		/* They are found when it is told, and at its end. */
		for (u32 dies = 0; dies < 2; dies++) {
			struct t_rig rig;
			u32 head;
			u32 len;

			t_open(&rig);
			t_drive(&rig);
			t_ask(&rig, 2);
			for (u32 n = 0; n < 3; n++)
				t_used(&rig)->ring[n].id = lies[i].heads[n];
			t_used(&rig)->idx = lies[i].idx;
			if (dies)
				t_die(&rig);
			else
				t_ring(&rig);
			if (!t_needs_reset(&rig))
				fail_msg("lie %zu: it works on", i);
			assert_non_null(strstr(rig.d.why, "does not keep to the protocol"));
			/* Of what comes with a lie nothing is passed on. */
			assert_false(driver_used(&rig.d.q[1], &head, &len));
			/* It is let go. */
			assert_false(!dies && backend_serve(&rig.b));
			t_close(&rig);
		}
	}
}

/* ---- Disks ---------------------------------------------------------------------------------- */

static void t_greet_disk(struct t_rig *rig, u64 capacity)
{
	const struct virtio_blk_config config = { .capacity = capacity };
	struct vhost_message msg = {
		.request = VHOST_GET_CONFIG, .flags = VHOST_VERSION | VHOST_REPLY,
		.size = VHOST_CONFIG_HEADER + 60, .config = { .size = 60 },
	};

	memcpy(msg.config.bytes, &config, 60);
	backend_greet(&rig->b);
	backend_send(&rig->b, &msg, VHOST_HEADER + msg.size);
}

static int t_another_disk(struct t_rig *rig, u64 capacity)
{
	int ret;

	backend_open(&rig->b);
	t_greet_disk(rig, capacity);
	ret = vhost_user_replace(rig->d.dev, rig->b.front, &rig->err);
	t_take_front(rig);
	return ret;
}

static void test_disk_must_be_as_it_was(void **state)
{
	struct virtio *dev;
	struct t_rig rig;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	t_greet_disk(&rig, 4711);
	assert_int_equal(vhost_user_blk_create(&dev, &rig.d.env, 3, 2, rig.b.front, true, &rig.err), 0);
	t_take_front(&rig);
	driver_attach(&rig.d, dev);
	assert_true(backend_serve(&rig.b));
	t_drive(&rig);
	t_ask(&rig, T_MANY);
	t_die(&rig);
	assert_int_equal(t_another_disk(&rig, 4712), -ENOTSUP);
	assert_string_equal(rig.err.msg, "blk3: its new backend has another configuration");
	backend_close(&rig.b);
	assert_int_equal(t_another_disk(&rig, 4711), 0);
	t_turn(&rig);
	assert_int_equal(t_finish_all(&rig), T_MANY);
	assert_int_equal(t_get(&rig), T_MANY);
	assert_false(t_needs_reset(&rig));
	t_close(&rig);
}

/* ---- Ends -------------------------------------------------------------------------------------- */

static void test_destroyed_in_any_state(void **state)
{
	(void)state;
	for (u32 n = 0; n < 5; n++) {
		struct t_process before;
		struct t_rig rig;

		t_process_save(&before);
		t_open(&rig);
		if (n > 0)
			t_drive(&rig);
		if (n > 1)
			t_ask(&rig, T_MANY);
		if (n > 2)
			t_die(&rig);
		if (n > 3) {
			backend_open(&rig.b);
			assert_int_equal(t_replace(&rig), 0);
		}
		t_close(&rig);
		t_process_check(&before);
	}
}

/* As in life: it dies now and then, while somebody else asks it for things. */
static void test_backends_come_and_go_on_threads(void **state)
{
	u32 nr_done = 0;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	for (u32 n = 0; n < 20; n++) {
		pthread_t thread;

		t_die(&rig);
		backend_open(&rig.b);
		assert_int_equal(pthread_create(&thread, NULL, backend_thread, &rig.b), 0);
		assert_int_equal(vhost_user_replace(rig.d.dev, rig.b.front, &rig.err), 0);
		t_take_front(&rig);
		for (u32 i = 0; i < 10; i++) {
			memset(rig.done, 0, sizeof(rig.done));
			t_ask(&rig, 1);
			t_until((nr_done += t_get(&rig)) > n * 10 + i);
		}
		shutdown(rig.b.fd, SHUT_RDWR);
		pthread_join(thread, NULL);
	}
	assert_int_equal(nr_done, 200);
	t_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_requests_on),
		cmocka_unit_test(test_packed_rings_are_not_offered),
		cmocka_unit_test(test_reset_gives_everything_back),
		cmocka_unit_test(test_kick_before_it_is_enabled_is_not_lost),
		cmocka_unit_test(test_next_one_gets_what_was_not_done),
		cmocka_unit_test(test_waiting_takes_no_time),
		cmocka_unit_test(test_next_one_may_be_early),
		cmocka_unit_test(test_replacing_one_that_works_breaks_the_device),
		cmocka_unit_test(test_full_queue_survives_many_of_them),
		cmocka_unit_test(test_dies_at_each_message),
		cmocka_unit_test(test_refusal_by_the_next_one_breaks_the_device),
		cmocka_unit_test(test_other_kind_is_refused_and_the_right_one_taken),
		cmocka_unit_test(test_one_that_does_not_answer_is_not_waited_for_long),
		cmocka_unit_test(test_reset_while_there_is_none),
		cmocka_unit_test(test_reset_while_the_next_one_is_told),
		cmocka_unit_test(test_driver_that_breaks_the_rules_is_stopped_as_ever),
		cmocka_unit_test(test_pause_does_not_wait_for_one_that_has_gone),
		cmocka_unit_test(test_lies_in_its_ring_break_the_device),
		cmocka_unit_test(test_disk_must_be_as_it_was),
		cmocka_unit_test(test_destroyed_in_any_state),
		cmocka_unit_test(test_backends_come_and_go_on_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
