/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vhost_user.c - devices/vhost_user.c and devices/vhost_msg.c
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "tests/unit/backend.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1)
#define T_SIZE		64

static const struct virtio_ops t_ops = {
	.name = "other",
	.id = 42,
	.nr_queues = 2,
	.queue_size = T_SIZE,
	VHOST_USER_OPS,
};

struct t_rig {
	struct backend		b;
	struct driver		d;
	struct vmm_error	err;
};

static int t_create(struct t_rig *rig, struct virtio **dev)
{
	static const u8 config[] = { 1, 2, 3, 4, 5 };
	const struct vhost_user_config cfg = {
		.ops = &t_ops, .nr_queues = 2, .fd = rig->b.front,
		.config = config, .config_size = sizeof(config),
	};
	int ret = vhost_user_create(dev, &rig->d.env, 3, &cfg, &rig->err);

	/* Theirs is the only one then, and closing ours is the end. */
	close(rig->b.front);
	rig->b.front = -1;
	return ret;
}

static void t_attach(struct t_rig *rig)
{
	struct virtio *dev;

	backend_greet(&rig->b);
	assert_int_equal(t_create(rig, &dev), 0);
	driver_attach(&rig->d, dev);
	assert_true(backend_serve(&rig->b));
}

static void t_open(struct t_rig *rig)
{
	driver_open(&rig->d, 1);
	backend_open(&rig->b);
	t_attach(rig);
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

/* One chain through the backend. */
static void t_transfer(struct t_rig *rig, u8 byte)
{
	const struct driver_buf in = { DRIVER_DATA, 100, true };
	const u8 *data = driver_at(&rig->d.q[1], DRIVER_DATA);
	u64 rung;
	u32 head;
	u32 len;

	memset(driver_at(&rig->d.q[1], DRIVER_DATA), 0, 101);
	driver_add(&rig->d.q[1], &in, 1);
	driver_kick(&rig->d, 1);
	/* Nobody else looks at it. */
	assert_false(driver_used(&rig->d.q[1], &head, &len));
	assert_int_equal(backend_work(&rig->b, 1, byte), 1);
	assert_true(driver_used(&rig->d.q[1], &head, &len));
	assert_int_equal(len, 100);
	assert_int_equal(data[0], byte);
	assert_int_equal(data[99], byte);
	assert_int_equal(data[100], 0);
	assert_int_equal(read(rig->d.irq_fd, &rung, sizeof(rung)), sizeof(rung));
	assert_int_equal(rig->d.nr_irqs[1], 0);
}

/* ---- As it should be ---------------------------------------------------------- */

static void test_hands_memory_and_rings_over(void **state)
{
	static const u32 expected[] = {
		VHOST_GET_FEATURES, VHOST_GET_PROTOCOL_FEATURES, VHOST_SET_PROTOCOL_FEATURES,
		VHOST_GET_QUEUE_NUM, VHOST_SET_OWNER, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE,
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_SET_VRING_ENABLE,
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_SET_VRING_ENABLE,
		VHOST_GET_FEATURES,
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	assert_int_equal(rig.b.nr_log, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		bool set = i > 3 && expected[i] != VHOST_GET_FEATURES;

		assert_int_equal(rig.b.log[i].request, expected[i]);
		assert_int_equal(rig.b.log[i].flags, VHOST_VERSION | (set ? VHOST_NEED_REPLY : 0));
	}
	/* Of all that it offered, we know two. */
	assert_int_equal(rig.b.log[2].num,
			 1 << VHOST_PROTOCOL_F_MQ | 1 << VHOST_PROTOCOL_F_REPLY_ACK);
	assert_int_equal(rig.b.acked, T_WANTED | 1ull << VHOST_F_PROTOCOL_FEATURES);
	assert_int_equal(rig.b.region[0].gpa, DRIVER_RAM_BASE);
	assert_int_equal(rig.b.region[0].size, DRIVER_RAM_SIZE);
	for (u32 i = 0; i < 2; i++) {
		assert_memory_equal(&rig.b.q[i].layout, &rig.d.q[i].layout, sizeof(rig.d.q[i].layout));
		assert_true(rig.b.q[i].enabled);
	}
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_backend_serves_the_rings(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_transfer(&rig, 7);
	t_transfer(&rig, 8);
	t_close(&rig);
}

static u32 t_base(const struct t_rig *rig)
{
	for (u32 i = 0; i < rig->b.nr_log; i++)
		if (rig->b.log[i].request == VHOST_SET_VRING_BASE)
			return rig->b.log[i].state.num;
	fail_msg("no base was told");
	return 0;
}

/* Packed rings, if the backend has them; it is told of their rounds, 1 in both directions. */
static void test_packed_rings_are_the_backends_affair(void **state)
{
	const u64 packed = 1ull << VIRTIO_F_RING_PACKED;
	struct t_rig rig;

	(void)state;
	for (u32 has = 0; has < 2; has++) {
		driver_packed = true;
		driver_open(&rig.d, 1);
		backend_open(&rig.b);
		rig.b.features |= has ? packed : 0;
		t_attach(&rig);
		assert_int_equal(!!(rig.d.dev->offered & packed), has);
		t_drive(&rig);
		assert_int_equal(!!(rig.b.acked & packed), has);
		assert_int_equal(t_base(&rig), has ? 0x80008000 : 0);
		for (u8 n = 1; n < 10; n++)
			t_transfer(&rig, n);
		/* And from the start again. */
		driver_status(&rig.d, 0);
		t_turn(&rig);
		t_drive(&rig);
		t_transfer(&rig, 100);
		assert_int_equal(rig.d.nr_broken, 0);
		t_close(&rig);
		/* The driver may also have split ones. */
		driver_open(&rig.d, 1);
		backend_open(&rig.b);
		rig.b.features |= packed;
		driver_packed = false;
		t_attach(&rig);
		t_drive(&rig);
		assert_int_equal(t_base(&rig), 0);
		t_transfer(&rig, 100);
		t_close(&rig);
	}
}

/* Also by a backend that forgets what it was rung for before a ring is enabled. */
static void test_what_came_before_driver_ok_is_served(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 100, true };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_true(driver_negotiate(&rig.d, T_WANTED));
	for (u32 i = 0; i < 2; i++)
		assert_true(driver_set_queue(&rig.d, i, &rig.d.q[i].layout));
	driver_add(&rig.d.q[0], &in, 1);
	driver_status(&rig.d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	driver_kick(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(backend_work(&rig.b, 0, 1), 1);
	t_close(&rig);
}

static void test_queue_that_is_not_ready_stays_ours(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_true(driver_negotiate(&rig.d, T_WANTED));
	assert_true(driver_set_queue(&rig.d, 1, &rig.d.q[1].layout));
	driver_status(&rig.d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	t_turn(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_NUM), 1);
	t_transfer(&rig, 9);
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_VRING_BASE), 1);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_close(&rig);
}

static void test_driver_may_want_no_interrupt(void **state)
{
	struct t_rig rig;
	int fd;

	(void)state;
	t_open(&rig);
	fd = rig.d.irq_fd;
	rig.d.irq_fd = -1;
	t_drive(&rig);
	rig.d.irq_fd = fd;
	assert_int_equal(rig.b.q[1].call, -1);
	for (u32 i = 0; i < rig.b.nr_log; i++)
		if (rig.b.log[i].request == VHOST_SET_VRING_CALL)
			assert_true(rig.b.log[i].num & VHOST_NO_FD);
	t_close(&rig);
}

static void test_backend_without_answers_to_requests(void **state)
{
	struct t_rig rig;

	(void)state;
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	rig.b.protocol = 0;
	t_attach(&rig);
	t_drive(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_QUEUE_NUM), 0);
	for (u32 i = 0; i < rig.b.nr_log; i++)
		assert_int_equal(rig.b.log[i].flags, VHOST_VERSION);
	t_transfer(&rig, 3);
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_close(&rig);
}

static void test_offers_what_the_backend_has(void **state)
{
	const u64 had = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	struct t_rig rig;

	(void)state;
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	rig.b.features = had | 1ull << VHOST_F_PROTOCOL_FEATURES | 1ull << 5;
	t_attach(&rig);
	assert_int_equal(rig.d.dev->offered, had);
	assert_int_equal(rig.d.dev->config_size, 5);
	assert_int_equal(rig.d.dev->config[4], 5);
	t_close(&rig);
}

/* ---- Reset ------------------------------------------------------------------------ */

static void test_reset_waits_for_the_rings(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	rig.b.lazy = true;
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_VRING_BASE), 2);
	assert_int_not_equal(driver_status(&rig.d, -1), 0);
	backend_reply(&rig.b, VHOST_GET_VRING_BASE, 0);
	t_turn(&rig);
	assert_int_not_equal(driver_status(&rig.d, -1), 0);
	backend_reply(&rig.b, VHOST_GET_VRING_BASE, 1);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(rig.d.nr_was_reset, 1);
	assert_int_equal(rig.d.nr_broken, 0);
	/* And once more, on the same connection. */
	t_drive(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_OWNER), 1);
	t_transfer(&rig, 4);
	t_close(&rig);
}

static void test_reset_waits_no_longer_than_a_driver(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	rig.b.lazy = true;
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_not_equal(driver_status(&rig.d, -1), 0);
	t_until((driver_turn(&rig.d), driver_status(&rig.d, -1) == 0));
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "other3: its backend does not give its rings back");
	assert_false(backend_serve(&rig.b));
	t_close(&rig);
}

static void test_backend_goes_during_a_reset(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	rig.b.lazy = true;
	driver_status(&rig.d, 0);
	t_turn(&rig);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(rig.d.nr_broken, 1);
	driver_close(&rig.d);
}

/* ---- One goes, another comes ---------------------------------------------------------- */

static void test_backend_that_goes_breaks_the_device(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "other3: waits for a reset: its backend has gone");
	assert_true(driver_status(&rig.d, -1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	/* There is none to start with. */
	driver_start(&rig.d, T_WANTED);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 2);
	assert_non_null(strstr(rig.d.why, "it cannot start"));
	driver_close(&rig.d);
}

static void test_backend_that_goes_unused_is_told(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "other3: its backend has gone");
	driver_close(&rig.d);
}

static int t_replace(struct t_rig *rig)
{
	int ret;

	backend_greet(&rig->b);
	ret = vhost_user_replace(rig->d.dev, rig->b.front, &rig->err);
	close(rig->b.front);
	rig->b.front = -1;
	return ret;
}

static void test_another_backend_serves_after_a_reset(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	t_turn(&rig);
	/* It knows nothing of the rings that were lost. */
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_KICK), 0);
	driver_status(&rig.d, 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_VRING_BASE), 0);
	t_drive(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_OWNER), 1);
	t_transfer(&rig, 5);
	assert_int_equal(rig.d.nr_broken, 1);
	t_close(&rig);
}

static void test_backend_is_replaced_while_it_works(void **state)
{
	struct t_rig rig;
	struct backend old;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	old = rig.b;
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	t_turn(&rig);
	assert_false(backend_serve(&old));
	backend_close(&old);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_non_null(strstr(rig.d.why, "is replaced"));
	driver_status(&rig.d, 0);
	t_turn(&rig);
	t_drive(&rig);
	t_transfer(&rig, 6);
	t_close(&rig);
}

static void test_of_two_others_the_last_counts(void **state)
{
	struct t_rig rig;
	struct backend first;
	struct backend second;

	(void)state;
	t_open(&rig);
	first = rig.b;
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	second = rig.b;
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	t_turn(&rig);
	assert_false(backend_serve(&first));
	assert_false(backend_serve(&second));
	backend_close(&first);
	backend_close(&second);
	t_drive(&rig);
	t_transfer(&rig, 6);
	/* And one that nobody takes any more. */
	backend_close(&rig.b);
	backend_open(&rig.b);
	assert_int_equal(t_replace(&rig), 0);
	t_close(&rig);
}

static void test_another_backend_must_have_what_was_offered(void **state)
{
	struct t_rig rig;
	struct backend old;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	old = rig.b;
	backend_open(&rig.b);
	rig.b.features &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(t_replace(&rig), -ENOTSUP);
	assert_string_equal(rig.err.msg, "other3: its new backend lacks features 0x20000000");
	backend_close(&rig.b);
	rig.b = old;
	t_turn(&rig);
	t_transfer(&rig, 1);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* ---- Backends that lie -------------------------------------------------------------------- */

struct t_lie {
	const char	*what;
	struct vhost_message msg;
	u32		len;		/* 0: the end of the connection */
	int		ret;
};

static void test_lies_at_first_are_refused(void **state)
{
	const u32 reply = VHOST_VERSION | VHOST_REPLY;
	const u64 fine = 1ull << VIRTIO_F_VERSION_1 | 1ull << VHOST_F_PROTOCOL_FEATURES;
	const struct t_lie lies[] = {
		{ "end", { 0 }, 0, -ENOTCONN },
		{ "half", { VHOST_GET_FEATURES, reply, 8, { fine } }, 7, -ENOTCONN },
		{ "no payload", { VHOST_GET_FEATURES, reply, 8, { fine } }, 14, -ENOTCONN },
		{ "other", { VHOST_GET_QUEUE_NUM, reply, 8, { fine } }, 20, -EPROTO },
		{ "no reply", { VHOST_GET_FEATURES, VHOST_VERSION, 8, { fine } }, 20, -EPROTO },
		{ "version", { VHOST_GET_FEATURES, VHOST_REPLY | 2, 8, { fine } }, 20, -EPROTO },
		{ "short", { VHOST_GET_FEATURES, reply, 4, { fine } }, 16, -EPROTO },
		{ "empty", { VHOST_GET_FEATURES, reply, 0, { fine } }, 12, -EPROTO },
		{ "long", { VHOST_GET_FEATURES, reply, 16, { fine } }, 28, -EPROTO },
		{ "huge", { VHOST_GET_FEATURES, reply, UINT32_MAX, { fine } }, 12, -EPROTO },
		{ "one more", { VHOST_GET_FEATURES, reply, sizeof(struct vhost_message) - 11, { fine } },
		  12, -EPROTO },
		{ "legacy", { VHOST_GET_FEATURES, reply, 8, { 1ull << VHOST_F_PROTOCOL_FEATURES } },
		  20, -ENOTSUP },
		{ "old", { VHOST_GET_FEATURES, reply, 8, { 1ull << VIRTIO_F_VERSION_1 } }, 20, -ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct t_process before;
		struct virtio *dev;
		struct t_rig rig;

		driver_open(&rig.d, 1);
		t_process_save(&before);
		backend_open(&rig.b);
		if (lies[i].len)
			backend_send(&rig.b, &lies[i].msg, lies[i].len);
		shutdown(rig.b.fd, SHUT_WR);
		if (t_create(&rig, &dev) != lies[i].ret)
			fail_msg("%s: %s", lies[i].what, rig.err.msg);
		assert_non_null(strstr(rig.err.msg, "other3: its backend"));
		backend_close(&rig.b);
		t_process_check(&before);
		rig.d.dev = NULL;
		driver_close(&rig.d);
	}
}

static void test_too_few_queues_are_refused(void **state)
{
	struct virtio *dev;
	struct t_rig rig;

	(void)state;
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	rig.b.nr_queues = 1;
	backend_greet(&rig.b);
	assert_int_equal(t_create(&rig, &dev), -ENOTSUP);
	assert_string_equal(rig.err.msg, "other3: its backend has 1 queues, not 2");
	t_close(&rig);
}

/* What a backend of a disk answers ahead, with @size and @offset in its configuration. */
static void t_greet_disk(struct t_rig *rig, u32 size, u32 offset)
{
	const struct virtio_blk_config config = { .capacity = 4711, .num_queues = 99, .seg_max = 7 };
	struct vhost_message msg = {
		.request = VHOST_GET_CONFIG, .flags = VHOST_VERSION | VHOST_REPLY,
		.size = VHOST_CONFIG_HEADER + 60, .config = { .offset = offset, .size = size },
	};

	memcpy(msg.config.bytes, &config, 60);
	backend_greet(&rig->b);
	backend_send(&rig->b, &msg, VHOST_HEADER + msg.size);
}

static int t_create_disk(struct t_rig *rig, struct virtio **dev)
{
	return vhost_user_blk_create(dev, &rig->d.env, 3, 2, rig->b.front, false, &rig->err);
}

static void test_disk_is_as_the_backend_says(void **state)
{
	const u64 ours = 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_MQ |
			 1ull << VIRTIO_BLK_F_SEG_MAX;
	struct virtio_blk_config config;
	struct virtio *dev;
	struct t_rig rig;

	(void)state;
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	/* What has no place here is not offered: a cache to switch, erasing in secret. */
	rig.b.features |= ours | 1ull << VIRTIO_BLK_F_CONFIG_WCE | 1ull << VIRTIO_BLK_F_SECURE_ERASE;
	t_greet_disk(&rig, 60, 0);
	assert_int_equal(t_create_disk(&rig, &dev), 0);
	close(rig.b.front);
	rig.b.front = -1;
	driver_attach(&rig.d, dev);
	assert_true(backend_serve(&rig.b));
	assert_int_equal(backend_count(&rig.b, VHOST_GET_CONFIG), 1);
	driver_locked(&rig.d, virtio_config_read(dev, 0, &config, sizeof(config)));
	assert_int_equal(config.capacity, 4711);
	assert_int_equal(config.seg_max, 7);
	assert_int_equal(config.num_queues, 2);
	assert_int_equal(dev->offered & ((1ull << 24) - 1), ours);
	t_drive(&rig);
	t_transfer(&rig, 5);
	t_close(&rig);
}

static void test_disk_without_a_size_is_refused(void **state)
{
	static const struct { u32 size; u32 offset; int ret; } rows[] = {
		{ 60, 1, -EPROTO }, { 59, 0, -EPROTO }, { 61, 0, -EPROTO },
		{ UINT32_MAX, 0, -EPROTO }, { 0, 0, -ENOTSUP },
	};
	struct virtio *dev;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_rig rig;

		driver_open(&rig.d, 1);
		backend_open(&rig.b);
		if (!rows[i].size)
			rig.b.protocol &= ~(1ull << VHOST_PROTOCOL_F_CONFIG);
		t_greet_disk(&rig, rows[i].size, rows[i].offset);
		assert_int_equal(t_create_disk(&rig, &dev), rows[i].ret);
		assert_non_null(strstr(rig.err.msg, rows[i].size ? "GET_CONFIG" : "configuration"));
		t_close(&rig);
	}
}

static void test_silence_is_waited_for_so_long_only(void **state)
{
	struct backend b;
	u64 start = t_now_ms();
	u64 num;

	(void)state;
	backend_open(&b);
	assert_int_equal(vhost_ask(b.front, VHOST_GET_FEATURES, &num, vhost_until(50)), -ETIMEDOUT);
	assert_true(t_now_ms() - start >= 50);
	/* Nor does a byte now and then help. */
	backend_send(&b, "x", 1);
	assert_int_equal(vhost_ask(b.front, VHOST_GET_FEATURES, &num, vhost_until(50)), -ETIMEDOUT);
	backend_close(&b);
}

static void test_lies_at_work_break_the_device(void **state)
{
	const u32 reply = VHOST_VERSION | VHOST_REPLY;
	const struct t_lie lies[] = {
		{ "unasked", { VHOST_SET_FEATURES, reply, 8, { 0 } }, 20, 0 },
		{ "base", { VHOST_GET_VRING_BASE, reply, 8, { 0 } }, 20, 0 },
		{ "huge", { VHOST_SET_FEATURES, reply, UINT32_MAX, { 0 } }, 12, 0 },
		{ "unknown", { UINT32_MAX, reply, 8, { 0 } }, 20, 0 },
		{ "nothing", { 0, 0, 0, { 0 } }, 12, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct t_rig rig;
		int ours;
		char c;

		driver_open(&rig.d, 1);
		backend_open(&rig.b);
		ours = dup(rig.b.front);
		t_attach(&rig);
		t_drive(&rig);
		backend_send(&rig.b, &lies[i].msg, lies[i].len);
		driver_turn(&rig.d);
		if (rig.d.nr_broken != 1)
			fail_msg("%s: it works on", lies[i].what);
		assert_non_null(strstr(rig.d.why, "does not keep to the protocol"));
		/* It is let go, though somebody else has the connection, too, and learns of it. */
		assert_false(backend_serve(&rig.b));
		assert_int_equal(recv(ours, &c, 1, MSG_DONTWAIT), 0);
		close(ours);
		t_close(&rig);
	}
}

static volatile sig_atomic_t t_refused;	/* the call, or -1 */

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	t_refused = info->si_syscall;
}

/* A turn as in life, where the thread may do no more than it must. */
static void *confined_turn(void *arg)
{
	struct vmm_sandbox_config cfg = VMM_SANDBOX_CONFIG_INIT;
	struct t_rig *rig = arg;

	cfg.role = VMM_SANDBOX_IO;
	if (vmm_sandbox_enter(&cfg, NULL))
		return NULL;
	driver_turn(&rig->d);
	return rig;
}

/* Without a right to shutdown(), a backend that lies would be the end of the process. */
static void test_backend_is_let_go_in_the_sandbox(void **state)
{
	const struct sigaction sys = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	static const u8 lie[12];
	struct sigaction before;
	struct t_rig rig;
	pthread_t thread;
	void *done;
	int ours;
	char c;

	(void)state;
	if (T_SANITIZED) {
		print_message("skipped: a sanitizer makes system calls of its own\n");
		skip();
	}
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	ours = dup(rig.b.front);
	t_attach(&rig);
	t_drive(&rig);
	backend_send(&rig.b, lie, sizeof(lie));
	t_refused = -1;
	assert_int_equal(sigaction(SIGSYS, &sys, &before), 0);
	assert_int_equal(pthread_create(&thread, NULL, confined_turn, &rig), 0);
	assert_int_equal(pthread_join(thread, &done), 0);
	sigaction(SIGSYS, &before, NULL);
	assert_ptr_equal(done, &rig);
	assert_int_equal(t_refused, -1);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_int_equal(recv(ours, &c, 1, MSG_DONTWAIT), 0);
	close(ours);
	t_close(&rig);
}

static void test_wrong_answers_break_the_device(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	driver_start(&rig.d, T_WANTED);
	driver_turn(&rig.d);
	/* The first that waits is SET_OWNER. */
	backend_reply(&rig.b, VHOST_SET_FEATURES, 0);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 1);
	t_close(&rig);
}

static void test_refusal_breaks_the_device(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	rig.b.refuses = VHOST_SET_MEM_TABLE;
	t_drive(&rig);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "other3: waits for a reset: its backend refuses SET_MEM_TABLE");
	t_close(&rig);
}

static void test_bytes_may_come_one_by_one(void **state)
{
	struct vhost_message msg = {
		.request = VHOST_GET_VRING_BASE, .flags = VHOST_VERSION | VHOST_REPLY, .size = 8,
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	rig.b.lazy = true;
	driver_status(&rig.d, 0);
	t_turn(&rig);
	for (u32 n = 0; n < 2; n++) {
		for (size_t i = 0; i < 20; i++) {
			assert_int_not_equal(driver_status(&rig.d, -1), 0);
			backend_send(&rig.b, (u8 *)&msg + i, 1);
			driver_turn(&rig.d);
		}
	}
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_close(&rig);
}

/* What is sent along is not kept. */
static void test_descriptors_of_the_backend_are_dropped(void **state)
{
	const struct vhost_message msg = {
		.request = VHOST_GET_VRING_BASE, .flags = VHOST_VERSION | VHOST_REPLY, .size = 8,
	};
	struct t_process before;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_drive(&rig);
	t_process_save(&before);
	rig.b.lazy = true;
	driver_status(&rig.d, 0);
	t_turn(&rig);
	for (u32 n = 0; n < 2; n++)
		assert_int_equal(vhost_send(rig.b.fd, &msg, rig.b.fd), 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	t_process_check(&before);
	t_close(&rig);
}

static void test_backend_that_does_not_read(void **state)
{
	const struct vhost_message msg = { .request = VHOST_SET_OWNER, .flags = VHOST_VERSION };
	struct t_rig rig;
	int fd;

	(void)state;
	driver_open(&rig.d, 1);
	backend_open(&rig.b);
	fd = dup(rig.b.front);
	t_attach(&rig);
	while (!vhost_send(fd, &msg, -1))
		;
	driver_start(&rig.d, T_WANTED);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_non_null(strstr(rig.d.why, "it cannot start: Resource temporarily unavailable"));
	close(fd);
	t_close(&rig);
}

/* ---- Ends ------------------------------------------------------------------------------------- */

static void test_memory_must_be_a_file(void **state)
{
	struct virtio *dev;
	struct t_rig rig;
	int fd;

	(void)state;
	driver_open(&rig.d, 1);
	fd = rig.d.env.mem_fd;
	rig.d.env.mem_fd = -1;
	backend_open(&rig.b);
	assert_int_equal(t_create(&rig, &dev), -EINVAL);
	assert_non_null(strstr(rig.err.msg, "RAM that is a file"));
	rig.d.env.mem_fd = fd;
	t_close(&rig);
}

/* With threads as in life, and taken down while it works. */
static void test_destroyed_while_it_works(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 100, true };
	pthread_t thread;
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig);
	assert_int_equal(pthread_create(&thread, NULL, backend_thread, &rig.b), 0);
	driver_start(&rig.d, T_WANTED);
	driver_turn(&rig.d);
	for (u32 i = 0; i < 100; i++) {
		driver_add(&rig.d.q[1], &in, 1);
		driver_kick(&rig.d, 1);
		t_until((driver_turn(&rig.d), driver_used(&rig.d.q[1], &head, &len)));
	}
	driver_add(&rig.d.q[1], &in, 1);
	driver_close(&rig.d);
	pthread_join(thread, NULL);
	assert_int_equal(backend_count(&rig.b, VHOST_GET_VRING_BASE), 2);
	backend_close(&rig.b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hands_memory_and_rings_over),
		cmocka_unit_test(test_backend_serves_the_rings),
		cmocka_unit_test(test_packed_rings_are_the_backends_affair),
		cmocka_unit_test(test_what_came_before_driver_ok_is_served),
		cmocka_unit_test(test_queue_that_is_not_ready_stays_ours),
		cmocka_unit_test(test_driver_may_want_no_interrupt),
		cmocka_unit_test(test_backend_without_answers_to_requests),
		cmocka_unit_test(test_offers_what_the_backend_has),
		cmocka_unit_test(test_reset_waits_for_the_rings),
		cmocka_unit_test(test_reset_waits_no_longer_than_a_driver),
		cmocka_unit_test(test_backend_goes_during_a_reset),
		cmocka_unit_test(test_backend_that_goes_breaks_the_device),
		cmocka_unit_test(test_backend_that_goes_unused_is_told),
		cmocka_unit_test(test_another_backend_serves_after_a_reset),
		cmocka_unit_test(test_backend_is_replaced_while_it_works),
		cmocka_unit_test(test_of_two_others_the_last_counts),
		cmocka_unit_test(test_another_backend_must_have_what_was_offered),
		cmocka_unit_test(test_lies_at_first_are_refused),
		cmocka_unit_test(test_too_few_queues_are_refused),
		cmocka_unit_test(test_disk_is_as_the_backend_says),
		cmocka_unit_test(test_disk_without_a_size_is_refused),
		cmocka_unit_test(test_silence_is_waited_for_so_long_only),
		cmocka_unit_test(test_lies_at_work_break_the_device),
		cmocka_unit_test(test_backend_is_let_go_in_the_sandbox),
		cmocka_unit_test(test_wrong_answers_break_the_device),
		cmocka_unit_test(test_refusal_breaks_the_device),
		cmocka_unit_test(test_bytes_may_come_one_by_one),
		cmocka_unit_test(test_descriptors_of_the_backend_are_dropped),
		cmocka_unit_test(test_backend_that_does_not_read),
		cmocka_unit_test(test_memory_must_be_a_file),
		cmocka_unit_test(test_destroyed_while_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
