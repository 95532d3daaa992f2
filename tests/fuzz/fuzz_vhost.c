/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_vhost.c - a vhost-user backend that lies, says nothing, or goes away
 *
 * What it answers before the device is there is the first of the input; then the guest and
 * the backend do things in turn.  Whatever that is, nobody waits for ever, and a backend
 * that keeps to the protocol can take its place.  A network card of two pairs has a queue
 * of its own besides, and a cable.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_net.h"
#include "tests/fuzz/input.h"
#include "tests/unit/backend.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/fd.h"

#define STEPS	100
#define WANTED	(1ull << VIRTIO_F_VERSION_1)
#define CONTROL	4
#define COMMAND	(DRIVER_DATA + KIB(900))

static const struct virtio_ops ops = {
	.name = "lied", .id = 42, .nr_queues = 2, .queue_size = 64, VHOST_USER_OPS,
	VHOST_USER_RELAY_OPS,
};

static struct driver driver;
static struct backend backend;
static bool is_card;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	driver_open(&driver, 1);
	return 0;
}

/* As far as the socket takes it. */
static void say(const void *data, size_t len)
{
	if (backend.fd >= 0)
		must(send(backend.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) <= (ssize_t)len);
}

/* A message, true in what is not chosen; with a descriptor sometimes, which nobody wants. */
static void say_message(struct input *in)
{
	static const u8 requests[] = {
		VHOST_GET_FEATURES, VHOST_GET_PROTOCOL_FEATURES, VHOST_GET_QUEUE_NUM, VHOST_GET_VRING_BASE,
		VHOST_SET_FEATURES, VHOST_SET_OWNER, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM,
	};
	u8 how = input_u8(in);
	struct vhost_message msg = {
		.request = requests[how % ARRAY_SIZE(requests)],
		.flags = how & 8 ? input_u8(in) : VHOST_VERSION | VHOST_REPLY,
		.size = how & 16 ? input_u32(in) : 8,
	};

	if (how & 32)
		msg.request = input_u32(in);
	msg.num = how & 64 ? input_u64(in) : 0;
	if (how & 128 && backend.fd >= 0)
		vhost_send(backend.fd, &(struct vhost_message){ .request = msg.request, .flags = msg.flags,
								.size = 8, .num = msg.num },
			   driver.irq_fd);
	else
		say(&msg, VHOST_HEADER + 8);
}

/* It takes what there is and closes what came along. */
static void hear(u32 max)
{
	for (u32 i = 0; i < max && backend.fd >= 0; i++) {
		u8 buf[64];
		union {
			struct cmsghdr	head;
			char		buf[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};
		struct cmsghdr *c;
		int fd;

		if (recvmsg(backend.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		c = CMSG_FIRSTHDR(&m);
		if (c) {
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
			close(fd);
		}
	}
}

static void come(void)
{
	backend_open(&backend);
	backend.features |= 1ull << VIRTIO_NET_F_MQ;
}

/* Nobody of ours keeps the connection open. */
static void go(void)
{
	fd_close(&backend.fd);
	backend_close(&backend);
	come();
	fd_close(&backend.fd);
}

static int make(struct virtio **dev, bool waits)
{
	struct vmm_error err = { "" };
	const struct vhost_user_config cfg = {
		.ops = &ops, .nr_queues = 2, .fd = backend.front, .config = "config", .config_size = 6,
		.waits = waits,
	};
	const struct vhost_user_net_params card = {
		.mac = { 2 }, .mtu = 1400, .nr_pairs = 2, .fd = backend.front,
	};
	int ret = is_card ? vhost_user_net_create(dev, &driver.env, 3, &card, &err) :
			    vhost_user_create(dev, &driver.env, 3, &cfg, &err);

	must(!ret || (err.msg[0] && ret < 0));
	fd_close(&backend.front);
	return ret;
}

/* Another, whose answers were sent before. */
static void replace(struct input *in)
{
	struct vmm_error err = { "" };
	u8 how = input_u8(in);
	int ret;

	backend_close(&backend);
	come();
	if (how & 1)
		backend_greet(&backend);
	else
		for (u32 i = 0; i < 3; i++)
			say_message(in);
	/* It is not waited for. */
	shutdown(backend.fd, SHUT_WR);
	ret = vhost_user_replace(driver.dev, backend.front, &err);
	must(!ret || err.msg[0]);
	fd_close(&backend.front);
}

static void start(u64 features)
{
	if (!driver_negotiate(&driver, features))
		return;
	for (u32 i = 0; i < driver.nr_queues; i++)
		if (!driver.dev->queues[i].ready)
			driver_set_queue(&driver, i, &driver.q[i].layout);
	driver_status(&driver, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* What a card has besides its rings. */
static void use_card(struct input *in, u32 what)
{
	const struct driver_buf bufs[] = { { COMMAND, 4, false }, { COMMAND + 64, 1, true } };
	u8 *p = driver_at(&driver.q[CONTROL], COMMAND);

	if (what <= CONTROL) {
		virtio_kick(driver.dev, what);
	} else if (what == CONTROL + 1) {
		vhost_user_net_link(driver.dev, input_u8(in) & 1);
	} else {
		p[0] = VIRTIO_NET_CTRL_MQ;
		p[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
		p[2] = input_u8(in) % 4;
		p[3] = 0;
		driver_add(&driver.q[CONTROL], bufs, 2);
		virtio_kick(driver.dev, CONTROL);
	}
}

static void step(struct input *in)
{
	static const struct vhost_message back = {
		.request = VHOST_GET_VRING_BASE, .flags = VHOST_VERSION | VHOST_REPLY, .size = 8,
	};
	u8 how = input_u8(in);
	const void *data;
	size_t len;

	switch (how % 12) {
	case 0 ... 1:
		say_message(in);
		break;
	case 2:
		len = input_data(in, &data, 255);
		say(data, len);
		break;
	case 3:
		hear(1 + how / 12);
		break;
	case 4:
		start(WANTED | input_u32(in));
		break;
	case 5:
		driver_status(&driver, 0);
		break;
	case 6:
		driver_status(&driver, input_u8(in));
		break;
	case 7:
		if (is_card)
			use_card(in, how / 12 % (CONTROL + 3));
		else
			virtio_kick(driver.dev, how / 12 % 3);
		break;
	case 8 ... 9:
		driver_turn(&driver);
		break;
	case 10:
		/* The rings are given back, as often as it likes. */
		for (u32 i = 0; i <= how / 12; i++)
			say(&back, VHOST_HEADER + 8);
		break;
	case 11:
		if (how < 128)
			go();
		else
			replace(in);
		break;
	}
}

/* It is let go, and one that is good serves a driver that begins anew. */
static void check_mended(void)
{
	const struct driver_buf in = { DRIVER_DATA, 100, true };
	struct vmm_error err;
	u32 head;
	u32 len;

	if (is_card)
		vhost_user_net_link(driver.dev, true);
	backend_close(&backend);
	come();
	/* What one that lied has promised, it has. */
	backend.features |= driver.dev->offered;
	backend_greet(&backend);
	must(!vhost_user_replace(driver.dev, backend.front, &err));
	fd_close(&backend.front);
	must(backend_serve(&backend));
	driver_turn(&driver);
	driver_status(&driver, 0);
	for (u32 i = 0; i < 8; i++) {
		driver_turn(&driver);
		must(backend_serve(&backend));
	}
	driver_turn(&driver);
	must(!driver_status(&driver, -1));
	driver_start(&driver, WANTED);
	driver_turn(&driver);
	must(backend_serve(&backend));
	driver_turn(&driver);
	driver_add(&driver.q[1], &in, 1);
	driver_kick(&driver, 1);
	must(backend_work(&backend, 1, 7) == 1);
	driver_turn(&driver);
	must(driver_used(&driver.q[1], &head, &len) && len == 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u8 how = input_u8(&in);
	struct virtio *dev;

	is_card = how & 4;
	come();
	if (how & 1) {
		backend_greet(&backend);
	} else {
		for (u32 i = 0; i < 3; i++)
			say_message(&in);
		if (!(how & 2))
			backend_greet(&backend);
		/* Who says nothing is waited for; that is another test's. */
		shutdown(backend.fd, SHUT_WR);
	}
	if (!make(&dev, how & 4)) {
		driver_attach(&driver, dev);
		for (u32 i = 0; i < STEPS && in.left; i++)
			step(&in);
		check_mended();
		backend_close(&backend);
		driver_turn(&driver);
		virtio_destroy(driver.dev);
	} else {
		backend_close(&backend);
	}
	return 0;
}
