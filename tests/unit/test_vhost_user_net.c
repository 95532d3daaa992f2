/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vhost_user_net.c - devices/vhost_user_net.c
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <unistd.h>

#include "devices/netio.h"
#include "devices/vhost_user.h"
#include "devices/vhost_user_net.h"
#include "tests/unit/backend.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define BIT(nr)		(1ull << (nr))
#define T_OURS		(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))
#define T_FRAMES	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define T_MQ		(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ))
#define T_WANTED	(BIT(VIRTIO_F_VERSION_1) | T_OURS | T_FRAMES)
#define T_CONTROL	4		/* with two pairs */
#define T_COMMAND	(DRIVER_DATA + KIB(900))
#define T_ACK		(T_COMMAND + 64)

struct t_rig {
	struct backend		b;
	struct driver		d;
	struct vmm_error	err;
	bool			waits;
};

static int t_create(struct t_rig *rig, struct virtio **dev, u32 nr_pairs, u16 mtu)
{
	const struct vhost_user_net_params params = {
		.mac = { 2, 1, 2, 3, 4, 5 }, .mtu = mtu, .nr_pairs = nr_pairs, .fd = rig->b.front,
		.waits = rig->waits,
	};
	int ret;

	backend_greet(&rig->b);
	ret = vhost_user_net_create(dev, &rig->d.env, 3, &params, &rig->err);
	close(rig->b.front);
	rig->b.front = -1;
	return ret;
}

static void t_init(struct t_rig *rig)
{
	rig->waits = false;
	driver_open(&rig->d, 1);
	backend_open(&rig->b);
	rig->b.features |= T_FRAMES;
	rig->b.nr_queues = 1;
}

static void t_attach(struct t_rig *rig, u32 nr_pairs, u16 mtu)
{
	struct virtio *dev;

	if (t_create(rig, &dev, nr_pairs, mtu))
		fail_msg("%s", rig->err.msg);
	driver_attach(&rig->d, dev);
	assert_true(backend_serve(&rig->b));
}

static void t_turn(struct t_rig *rig)
{
	driver_turn(&rig->d);
	backend_serve(&rig->b);
	driver_turn(&rig->d);
}

static void t_open(struct t_rig *rig)
{
	t_init(rig);
	t_attach(rig, 1, 0);
	driver_start(&rig->d, T_WANTED);
	t_turn(rig);
}

static void t_open_pairs(struct t_rig *rig)
{
	t_init(rig);
	rig->b.features |= BIT(VIRTIO_NET_F_MQ);
	rig->b.nr_queues = 2;
	t_attach(rig, 2, 0);
	driver_start(&rig->d, T_WANTED | T_MQ);
	t_turn(rig);
}

static void t_close(struct t_rig *rig)
{
	backend_close(&rig->b);
	driver_close(&rig->d);
}

static struct virtio_net_config t_config(struct t_rig *rig)
{
	struct virtio_net_config config;

	driver_locked(&rig->d, virtio_config_read(rig->d.dev, 0, &config, sizeof(config)));
	return config;
}

static bool t_link(struct t_rig *rig)
{
	return t_config(rig).status & VIRTIO_NET_S_LINK_UP;
}

static void t_enabled(struct t_rig *rig, bool first, bool second)
{
	const bool wanted[] = { first, first, second, second };

	for (u32 i = 0; i < rig->d.dev->nr_elsewhere; i++)
		assert_int_equal(rig->b.q[i].enabled, wanted[i]);
}

/* Does a frame come by queue @i? */
static bool t_comes(struct t_rig *rig, u32 i)
{
	const struct driver_buf in = { DRIVER_DATA, 1526, true };
	u32 head;
	u32 len;

	driver_add(&rig->d.q[i], &in, 1);
	driver_kick(&rig->d, i);
	return backend_work(&rig->b, i, 1) && driver_used(&rig->d.q[i], &head, &len) && len == 1526;
}

static u64 t_last(const struct t_rig *rig, u32 request)
{
	for (u32 i = rig->b.nr_log; i-- > 0;)
		if (rig->b.log[i].request == request)
			return rig->b.log[i].num;
	fail_msg("no request %u", request);
	return 0;
}

/* ---- What it is ------------------------------------------------------------------ */

static void test_tells_of_itself(void **state)
{
	static const u8 mac[] = { 2, 1, 2, 3, 4, 5 };
	struct virtio_net_config config;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	config = t_config(&rig);
	assert_int_equal(rig.d.dev->ops->id, 1);
	assert_string_equal(rig.d.dev->name, "net3");
	assert_int_equal(rig.d.dev->nr_queues, 2);
	assert_memory_equal(config.mac, mac, sizeof(mac));
	assert_int_equal(config.status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(config.max_virtqueue_pairs, 1);
	assert_int_equal(config.mtu, 0);
	assert_true(t_comes(&rig, 0));
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_offers_what_the_backend_does_with_frames(void **state)
{
	const u64 ring = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |
			 BIT(VIRTIO_RING_F_INDIRECT_DESC);
	struct t_rig rig;

	(void)state;
	t_init(&rig);
	/* Not what has no place here: a control queue of its own, and what it would be for. */
	rig.b.features |= BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_MQ) |
			  BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_SPEED_DUPLEX);
	t_attach(&rig, 1, 0);
	assert_int_equal(rig.d.dev->offered, ring | T_OURS | T_FRAMES);
	driver_start(&rig.d, T_WANTED);
	t_turn(&rig);
	/* Of an address and a link it has said nothing, so it is told nothing of them. */
	assert_int_equal(rig.b.acked, (T_WANTED & ~T_OURS) | BIT(VHOST_F_PROTOCOL_FEATURES));
	assert_int_equal(backend_count(&rig.b, VHOST_NET_SET_MTU), 0);
	t_close(&rig);
}

static void test_features_have_to_make_sense(void **state)
{
	struct t_rig rig;

	(void)state;
	t_init(&rig);
	t_attach(&rig, 1, 0);
	assert_false(driver_negotiate(&rig.d, T_WANTED & ~BIT(VIRTIO_NET_F_CSUM)));
	t_close(&rig);
}

static void test_mtu_is_told_to_both(void **state)
{
	struct t_rig rig;

	(void)state;
	t_init(&rig);
	t_attach(&rig, 1, 1400);
	assert_int_equal(t_config(&rig).mtu, 1400);
	driver_start(&rig.d, T_WANTED | BIT(VIRTIO_NET_F_MTU));
	t_turn(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_NET_SET_MTU), 1);
	assert_int_equal(t_last(&rig, VHOST_NET_SET_MTU), 1400);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_mtu_that_the_backend_does_not_want(void **state)
{
	struct t_rig rig;

	(void)state;
	t_init(&rig);
	rig.b.protocol &= ~BIT(VHOST_PROTOCOL_F_NET_MTU);
	t_attach(&rig, 1, 1400);
	driver_start(&rig.d, T_WANTED | BIT(VIRTIO_NET_F_MTU));
	t_turn(&rig);
	assert_int_equal(backend_count(&rig.b, VHOST_NET_SET_MTU), 0);
	assert_true(t_comes(&rig, 0));
	t_close(&rig);
}

/* ---- Pairs of queues ------------------------------------------------------------- */

static void t_say(struct driver *d, u8 class, u8 cmd, u16 pairs)
{
	const struct driver_buf bufs[] = { { T_COMMAND, 4, false }, { T_ACK, 1, true } };
	u8 *p = driver_at(&d->q[T_CONTROL], T_COMMAND);

	p[0] = class;
	p[1] = cmd;
	p[2] = (u8)pairs;
	p[3] = (u8)(pairs >> 8);
	*(u8 *)driver_at(&d->q[T_CONTROL], T_ACK) = 0xee;
	driver_add(&d->q[T_CONTROL], bufs, 2);
	driver_kick(d, T_CONTROL);
}

static void t_use(struct driver *d, u16 pairs)
{
	t_say(d, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs);
}

/* What it says to the command that was the last: -1 nothing yet. */
static int t_ack(struct driver *d)
{
	u32 head;
	u32 len;

	if (!driver_used(&d->q[T_CONTROL], &head, &len))
		return -1;
	return len == 1 ? *(u8 *)driver_at(&d->q[T_CONTROL], T_ACK) : -2;
}

static void test_pairs_are_enabled_as_the_driver_says(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open_pairs(&rig);
	assert_int_equal(t_config(&rig).max_virtqueue_pairs, 2);
	assert_int_equal(rig.d.dev->nr_queues, 5);
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_NUM), 4);
	/* Of the control queue it hears nothing. */
	assert_int_equal(rig.b.acked & T_MQ, BIT(VIRTIO_NET_F_MQ));
	t_enabled(&rig, true, false);
	assert_false(t_comes(&rig, 2));
	t_use(&rig.d, 2);
	/* It comes to its end when the backend has done it. */
	assert_int_equal(t_ack(&rig.d), -1);
	t_turn(&rig);
	assert_int_equal(t_ack(&rig.d), VIRTIO_NET_OK);
	t_enabled(&rig, true, true);
	/* What came before is not forgotten. */
	assert_int_equal(backend_work(&rig.b, 2, 1), 1);
	t_use(&rig.d, 1);
	t_turn(&rig);
	assert_int_equal(t_ack(&rig.d), VIRTIO_NET_OK);
	t_enabled(&rig, true, false);
	/* And what is so already need not be waited for. */
	t_use(&rig.d, 1);
	assert_int_equal(t_ack(&rig.d), VIRTIO_NET_OK);
	assert_true(t_comes(&rig, 0));
	t_close(&rig);
}

/* More commands than the backend has answered do not pile up. */
static void test_commands_wait_for_one_another(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open_pairs(&rig);
	for (u32 i = 0; i < 20; i++)
		t_use(&rig.d, i % 2 ? 1 : 2);
	assert_true(backend_serve(&rig.b));
	assert_int_equal(backend_count(&rig.b, VHOST_SET_VRING_ENABLE), 4 + 2);
	for (u32 i = 0; i < 20; i++) {
		t_turn(&rig);
		assert_int_equal(t_ack(&rig.d), VIRTIO_NET_OK);
	}
	assert_int_equal(t_ack(&rig.d), -1);
	t_enabled(&rig, true, false);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_commands_of_no_sense_change_nothing(void **state)
{
	static const struct { u8 class; u8 cmd; u16 pairs; } rows[] = {
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0 },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 3 },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0xffff },
		{ VIRTIO_NET_CTRL_MQ, 1, 2 }, { VIRTIO_NET_CTRL_RX, 0, 2 },
	};
	const struct driver_buf only_in = { T_ACK, 1, true };
	const struct driver_buf only_out = { T_COMMAND, 4, false };
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open_pairs(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t_say(&rig.d, rows[i].class, rows[i].cmd, rows[i].pairs);
		assert_int_equal(t_ack(&rig.d), VIRTIO_NET_ERR);
	}
	driver_add(&rig.d.q[T_CONTROL], &only_in, 1);
	driver_kick(&rig.d, T_CONTROL);
	assert_int_equal(t_ack(&rig.d), VIRTIO_NET_ERR);
	driver_add(&rig.d.q[T_CONTROL], &only_out, 1);
	driver_kick(&rig.d, T_CONTROL);
	assert_true(driver_used(&rig.d.q[T_CONTROL], &head, &len));
	assert_int_equal(len, 0);
	t_turn(&rig);
	t_enabled(&rig, true, false);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_a_reset_does_not_wait_for_commands(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open_pairs(&rig);
	t_use(&rig.d, 2);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_true(driver_used(&rig.d.q[T_CONTROL], &head, &len));
	assert_int_equal(len, 0);
	t_turn(&rig);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	driver_start(&rig.d, T_WANTED | T_MQ);
	t_turn(&rig);
	t_enabled(&rig, true, false);
	t_use(&rig.d, 2);
	t_turn(&rig);
	assert_int_equal(t_ack(&rig.d), VIRTIO_NET_OK);
	assert_true(t_comes(&rig, 2));
	t_close(&rig);
}

static void test_too_few_pairs_are_refused(void **state)
{
	static const struct { u64 queues; u64 features; u64 protocol; const char *why; } rows[] = {
		{ 1, BIT(VIRTIO_NET_F_MQ), UINT64_MAX, "net3: its backend has 1 pairs of queues, not 2" },
		{ 2, BIT(VIRTIO_NET_F_MQ), ~BIT(VHOST_PROTOCOL_F_MQ),
		  "net3: its backend has 1 pairs of queues, not 2" },
		{ 2, 0, UINT64_MAX, "net3: its backend has no more than one pair of queues" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_process before;
		struct virtio *dev = NULL;
		struct t_rig rig;

		rig.waits = false;
		driver_open(&rig.d, 1);
		t_process_save(&before);
		backend_open(&rig.b);
		rig.b.nr_queues = rows[i].queues;
		rig.b.features |= rows[i].features;
		rig.b.protocol = rows[i].protocol;
		assert_int_equal(t_create(&rig, &dev, 2, 0), -ENOTSUP);
		assert_string_equal(rig.err.msg, rows[i].why);
		/* It is gone, and not the caller's to destroy. */
		assert_null(dev);
		backend_close(&rig.b);
		t_process_check(&before);
		rig.d.dev = NULL;
		driver_close(&rig.d);
	}
}

/* ---- The link ------------------------------------------------------------------------ */

static void test_cable_is_taken_out(void **state)
{
	struct t_rig rig;
	u32 irqs;

	(void)state;
	t_open(&rig);
	irqs = rig.d.nr_config_irqs;
	vhost_user_net_link(rig.d.dev, false);
	t_turn(&rig);
	assert_false(t_link(&rig));
	assert_int_equal(rig.d.nr_config_irqs, irqs + 1);
	t_enabled(&rig, false, false);
	assert_false(t_comes(&rig, 0));
	/* A driver that comes meanwhile finds it so. */
	driver_status(&rig.d, 0);
	t_turn(&rig);
	driver_start(&rig.d, T_WANTED);
	t_turn(&rig);
	assert_false(t_link(&rig));
	t_enabled(&rig, false, false);
	assert_false(t_comes(&rig, 0));
	vhost_user_net_link(rig.d.dev, true);
	t_turn(&rig);
	t_turn(&rig);
	assert_true(t_link(&rig));
	t_enabled(&rig, true, false);
	assert_int_equal(backend_work(&rig.b, 0, 1), 1);
	t_close(&rig);
}

/* However often, and whatever the backend has done by then: the last word counts. */
static void test_cable_goes_in_and_out(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (u32 i = 0; i < 1001; i++) {
		vhost_user_net_link(rig.d.dev, i % 2);
		driver_turn(&rig.d);
	}
	t_turn(&rig);
	t_turn(&rig);
	t_enabled(&rig, false, false);
	assert_true(rig.b.nr_log < BACKEND_LOG);
	assert_int_equal(rig.d.nr_broken, 0);
	/* Nobody turns the loop any more. */
	vhost_user_net_link(rig.d.dev, true);
	t_close(&rig);
}

static void test_link_is_down_without_a_backend(void **state)
{
	struct t_rig rig;
	int ret;

	(void)state;
	t_open(&rig);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	assert_false(t_link(&rig));
	assert_int_equal(rig.d.nr_broken, 1);
	assert_string_equal(rig.d.why, "net3: waits for a reset: its backend has gone");
	backend_open(&rig.b);
	rig.b.features |= T_FRAMES;
	rig.b.nr_queues = 1;
	backend_greet(&rig.b);
	/* It need not have said that it knows of addresses. */
	ret = vhost_user_replace(rig.d.dev, rig.b.front, &rig.err);
	assert_int_equal(ret, 0);
	close(rig.b.front);
	rig.b.front = -1;
	t_turn(&rig);
	assert_true(t_link(&rig));
	driver_status(&rig.d, 0);
	t_turn(&rig);
	driver_start(&rig.d, T_WANTED);
	t_turn(&rig);
	assert_true(t_comes(&rig, 0));
	t_close(&rig);
}

/* Another one is given to it. */
static void t_come(struct t_rig *rig)
{
	backend_open(&rig->b);
	rig->b.features |= T_FRAMES;
	rig->b.nr_queues = 1;
	backend_greet(&rig->b);
	assert_int_equal(vhost_user_replace(rig->d.dev, rig->b.front, &rig->err), 0);
	close(rig->b.front);
	rig->b.front = -1;
	t_turn(rig);
}

static void test_one_that_waits_goes_on_with_the_next(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 1526, true };
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_init(&rig);
	rig.waits = true;
	t_attach(&rig, 1, 0);
	driver_start(&rig.d, T_WANTED);
	t_turn(&rig);
	for (u32 n = 0; n < 3; n++) {
		/* Two buffers are there; of one, and of what comes meanwhile, the next knows. */
		for (u32 i = 0; i < 2; i++)
			driver_add(&rig.d.q[0], &in, 1);
		driver_kick(&rig.d, 0);
		assert_int_equal(backend_take(&rig.b, 0), 2);
		backend_finish(&rig.b, 0, 0, (u8)n);
		backend_close(&rig.b);
		driver_turn(&rig.d);
		assert_false(t_link(&rig));
		assert_string_equal(rig.d.why, "net3: its backend has gone; requests wait for another");
		assert_int_equal(rig.d.nr_broken, n + 1);
		assert_true(driver_used(&rig.d.q[0], &head, &len));
		assert_false(driver_used(&rig.d.q[0], &head, &len));
		driver_add(&rig.d.q[0], &in, 1);
		driver_kick(&rig.d, 0);
		t_come(&rig);
		assert_true(t_link(&rig));
		assert_true(rig.b.q[0].enabled && rig.b.q[1].enabled);
		assert_int_equal(backend_work(&rig.b, 0, (u8)n), 2);
		driver_turn(&rig.d);
		for (u32 i = 0; i < 2; i++)
			assert_true(driver_used(&rig.d.q[0], &head, &len));
		assert_int_equal(driver_status(&rig.d, -1) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	}
	/* The cable is out when the next one comes: its rings are not enabled. */
	vhost_user_net_link(rig.d.dev, false);
	backend_close(&rig.b);
	driver_turn(&rig.d);
	t_come(&rig);
	assert_false(t_link(&rig));
	assert_false(rig.b.q[0].enabled || rig.b.q[1].enabled);
	vhost_user_net_link(rig.d.dev, true);
	t_turn(&rig);
	t_turn(&rig);
	assert_true(t_link(&rig));
	assert_true(rig.b.q[0].enabled && rig.b.q[1].enabled);
	t_close(&rig);
}

/* ---- Backends that lie ------------------------------------------------------------- */

static void test_refusals_break_the_card(void **state)
{
	static const struct { u32 request; u32 nr; const char *why; } rows[] = {
		{ VHOST_SET_VRING_ENABLE, 0, "its backend refuses SET_VRING_ENABLE" },
		{ VHOST_NET_SET_MTU, 1, "its backend refuses NET_SET_MTU" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_rig rig;

		t_init(&rig);
		t_attach(&rig, 1, 1400);
		rig.b.refuses = rows[i].request;
		driver_start(&rig.d, T_WANTED);
		t_turn(&rig);
		assert_int_equal(rig.d.nr_broken, 1);
		assert_non_null(strstr(rig.d.why, rows[i].why));
		assert_false(t_link(&rig));
		t_close(&rig);
	}
}

static void test_command_is_refused(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open_pairs(&rig);
	rig.b.refuses = VHOST_SET_VRING_ENABLE;
	t_use(&rig.d, 2);
	t_turn(&rig);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_non_null(strstr(rig.d.why, "refuses SET_VRING_ENABLE"));
	/* The driver has it back with the reset. */
	assert_false(driver_used(&rig.d.q[T_CONTROL], &head, &len));
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_true(driver_used(&rig.d.q[T_CONTROL], &head, &len));
	t_close(&rig);
}

static void test_command_is_answered_with_nonsense(void **state)
{
	static const struct { u32 request; u32 flags; u32 size; } rows[] = {
		{ VHOST_SET_VRING_NUM, VHOST_VERSION | VHOST_REPLY, 8 },
		{ VHOST_SET_VRING_ENABLE, VHOST_VERSION, 8 },
		{ VHOST_SET_VRING_ENABLE, VHOST_VERSION | VHOST_REPLY, 4 },
		{ VHOST_SET_VRING_ENABLE, VHOST_VERSION | VHOST_REPLY, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vhost_message msg = {
			.request = rows[i].request, .flags = rows[i].flags, .size = rows[i].size,
		};
		struct t_rig rig;

		t_open_pairs(&rig);
		t_use(&rig.d, 2);
		backend_send(&rig.b, &msg, VHOST_HEADER + 8);
		driver_turn(&rig.d);
		assert_int_equal(rig.d.nr_broken, 1);
		assert_non_null(strstr(rig.d.why, "does not keep to the protocol"));
		assert_int_equal(t_ack(&rig.d), -1);
		t_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_of_itself),
		cmocka_unit_test(test_offers_what_the_backend_does_with_frames),
		cmocka_unit_test(test_features_have_to_make_sense),
		cmocka_unit_test(test_mtu_is_told_to_both),
		cmocka_unit_test(test_mtu_that_the_backend_does_not_want),
		cmocka_unit_test(test_pairs_are_enabled_as_the_driver_says),
		cmocka_unit_test(test_commands_wait_for_one_another),
		cmocka_unit_test(test_commands_of_no_sense_change_nothing),
		cmocka_unit_test(test_a_reset_does_not_wait_for_commands),
		cmocka_unit_test(test_too_few_pairs_are_refused),
		cmocka_unit_test(test_cable_is_taken_out),
		cmocka_unit_test(test_cable_goes_in_and_out),
		cmocka_unit_test(test_link_is_down_without_a_backend),
		cmocka_unit_test(test_one_that_waits_goes_on_with_the_next),
		cmocka_unit_test(test_refusals_break_the_card),
		cmocka_unit_test(test_command_is_refused),
		cmocka_unit_test(test_command_is_answered_with_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
