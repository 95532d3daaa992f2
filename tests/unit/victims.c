/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victims.c - every virtio device, to be maltreated
 *
 * What serves rings elsewhere is a thread: the fake of the kernel's vhost, or the other side
 * of vhost-user.
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/netio.h"
#include "devices/vhost_net.h"
#include "devices/vhost_user_blk.h"
#include "devices/vhost_user_net.h"
#include "devices/virtio_9p.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_fs.h"
#include "devices/virtio_net.h"
#include "devices/virtio_ports.h"
#include "devices/virtio_rng.h"
#include "devices/virtio_vsock.h"
#include "tests/unit/backend.h"
#include "tests/unit/fake_vhost.h"
#include "tests/unit/t.h"
#include "tests/unit/victims.h"
#include "vmm/fd.h"

#define DISK	KIB(256)

static u8 host_is;
static int disk = -1;
static int peer = -1;

void victims_host(u8 how)
{
	host_is = how;
}

/* ---- rng ---------------------------------------------------------------------- */

static ssize_t rng_fill(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	if (host_is & 1) {
		errno = EAGAIN;
		return -1;
	}
	len = host_is & 2 ? len / 2 : len;
	memset(buf, 0xaa, len);
	return (ssize_t)len;
}

static struct virtio *rng_make(const struct virtio_env *env)
{
	struct virtio *dev;

	assert_int_equal(virtio_rng_create(&dev, env, 0, rng_fill, NULL), 0);
	return dev;
}

/* ---- blk ------------------------------------------------------------------------ */

static struct virtio *blk_make(const struct virtio_env *env)
{
	struct blk_config cfg = { .nr_queues = 2, .serial = "victim" };
	struct virtio *dev;

	disk = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(disk, (off_t)DISK), 0);
	cfg.fd = disk;
	assert_int_equal(virtio_blk_create(&dev, env, 0, &cfg, NULL), 0);
	return dev;
}

static void blk_unmake(void)
{
	close(disk);
}

static size_t blk_header(u8 *buf, u8 how, u64 arg)
{
	const struct virtio_blk_outhdr hdr = { .type = how % 16, .sector = arg };

	memcpy(buf, &hdr, sizeof(hdr));
	return sizeof(hdr);
}

/* The file behind it gets shorter, or is as it was. */
static void blk_host(const void *data, size_t len)
{
	off_t size = len && *(const u8 *)data & 1 ? 1000 : (off_t)DISK;

	assert_int_equal(ftruncate(disk, size), 0);
}

/* ---- net -------------------------------------------------------------------------- */

static void net_lost(void *ctx, u32 index, const char *msg)
{
	(void)ctx;
	assert_int_equal(index, 0);
	assert_true(msg[0]);
}

static struct virtio *net_make(const struct virtio_env *env)
{
	struct virtio_net_params params = { .mac = { 2 }, .lost = net_lost };
	struct virtio *dev;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(netstream_create(&params.io[0], fds[0], NULL), 0);
	close(fds[0]);
	peer = fds[1];
	assert_int_equal(virtio_net_create(&dev, env, 0, &params, NULL), 0);
	return dev;
}

static void net_unmake(void)
{
	close(peer);
}

/* A tap interface that is content with everything. */
static int tap_control(int fd, unsigned long request, ...)
{
	va_list ap;

	(void)fd;
	va_start(ap, request);
	if (request == TUNGETIFF)
		va_arg(ap, struct ifreq *)->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	va_end(ap);
	return 0;
}

/* Of the host's only the first pair is heard of. */
static struct virtio *net_tap_make(const struct virtio_env *env, u32 nr_pairs, bool vhost)
{
	struct virtio_net_params params = { .mac = { 2 }, .nr_pairs = nr_pairs, .lost = net_lost };
	struct virtio *dev;
	int fds[2];

	for (u32 i = 0; i < params.nr_pairs; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					    fds), 0);
		assert_int_equal(nettap_create(&params.io[i], fds[0], tap_control, NULL), 0);
		if (vhost)
			assert_int_equal(vhost_net_create(&params.vhost[i], fds[0], fake_vhost_control,
							  NULL), 0);
		close(fds[0]);
		if (i)
			close(fds[1]);
		else
			peer = fds[1];
	}
	assert_int_equal(virtio_net_create(&dev, env, 0, &params, NULL), 0);
	return dev;
}

static struct virtio *net_mq_make(const struct virtio_env *env)
{
	return net_tap_make(env, 2, false);
}

/* A command to use so many pairs, or what looks like one. */
static size_t net_mq_header(u8 *buf, u8 how, u64 arg)
{
	const struct virtio_net_ctrl_hdr hdr = { .class = VIRTIO_NET_CTRL_MQ, .cmd = how & 1 };
	const u16 pairs = arg & 0x8000 ? (u16)arg : arg % 4;

	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), &pairs, sizeof(pairs));
	return sizeof(hdr) + sizeof(pairs);
}

static size_t net_header(u8 *buf, u8 how, u64 arg)
{
	const struct virtio_net_hdr_v1 hdr = {
		.flags = how & 7, .gso_type = how >> 3, .hdr_len = (u16)arg, .gso_size = (u16)(arg >> 16),
		.csum_start = (u16)(arg >> 32), .csum_offset = (u16)(arg >> 48),
	};

	memcpy(buf, &hdr, sizeof(hdr));
	return sizeof(hdr);
}

/* The peer takes what there is, and sends this. */
static void net_host(const void *data, size_t len)
{
	char buf[4096];

	while (recv(peer, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	if (len)
		assert_true(send(peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) <= (ssize_t)len);
}

/* ---- balloon ------------------------------------------------------------------------ */

static struct virtio *balloon;

static struct virtio *balloon_make(const struct virtio_env *env)
{
	const struct virtio_balloon_params params = { .target = MIB(1) };

	assert_int_equal(virtio_balloon_create(&balloon, env, 0, &params, NULL), 0);
	return balloon;
}

/* Pages of RAM, and below and above it, in any order. */
static size_t balloon_header(u8 *buf, u8 how, u64 arg)
{
	u32 pfns[8];

	for (u32 i = 0; i < ARRAY_SIZE(pfns); i++) {
		pfns[i] = (u32)(GIB(2) >> 12) + (u32)(arg >> 8 * i & 0xff);
		if (how >> i & 1)
			pfns[i] = (u32)(arg * (i + 1));
	}
	memcpy(buf, pfns, sizeof(pfns));
	return sizeof(pfns);
}

/* Somebody wants more of its memory, or less, and to know how it is. */
static void balloon_host(const void *data, size_t len)
{
	struct vmm_balloon_stats stats;

	virtio_balloon_stats(balloon, &stats);
	assert_true(stats.actual % VIRTIO_BALLOON_PAGE == 0);
	if (len)
		virtio_balloon_set(balloon, *(const u8 *)data * KIB(16));
}

/* ---- console ------------------------------------------------------------------------- */

static struct virtio *console_make(const struct virtio_env *env)
{
	struct virtio_console_params params = { .cols = 80, .rows = 25 };
	struct virtio *dev;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	params.in_fd = params.out_fd = fds[0];
	assert_int_equal(virtio_console_create(&dev, env, 0, &params, NULL), 0);
	close(fds[0]);
	peer = fds[1];
	return dev;
}

/* ---- ports ---------------------------------------------------------------------------- */

static struct virtio *named;

/* At the second one there is nobody. */
static struct virtio *ports_make(const struct virtio_env *env)
{
	struct virtio_port ports[] = {
		{ .name = "victim", .open = true }, { .name = "other", .in_fd = -1, .out_fd = -1 },
	};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ports[0].in_fd = ports[0].out_fd = fds[0];
	assert_int_equal(virtio_ports_create(&named, env, 0, ports, ARRAY_SIZE(ports), NULL), 0);
	close(fds[0]);
	peer = fds[1];
	return named;
}

/* A control message about one of them, or of none. */
static size_t ports_header(u8 *buf, u8 how, u64 arg)
{
	const struct virtio_console_control msg = {
		.id = arg & 0x8000 ? (u32)arg : arg % 4, .event = how & 15, .value = how >> 4 & 1,
	};

	memcpy(buf, &msg, sizeof(msg));
	return sizeof(msg);
}

/* Somebody comes, or goes. */
static void ports_host(const void *data, size_t len)
{
	if (len)
		virtio_ports_open(named, len & 1, *(const u8 *)data & 1);
	net_host(data, len);
}

/* ---- 9p ------------------------------------------------------------------------------- */

static struct virtio *p9_make(const struct virtio_env *env)
{
	struct virtio_9p_params params = { .tag = "victim", .aname = "/export", .uname = "root" };
	struct virtio *dev;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	params.fd = fds[0];
	assert_int_equal(virtio_9p_create(&dev, env, 0, &params, NULL), 0);
	close(fds[0]);
	peer = fds[1];
	return dev;
}

/* The first bytes of a request: a session's beginning, an attach, a flush, or any other. */
static size_t p9_header(u8 *buf, u8 how, u64 arg)
{
	static const u8 types[] = { 100, 104, 108, 116 };
	const u32 size = how & 4 ? (u32)(arg >> 32) : 7 + (u32)(arg >> 32) % 64;
	const u16 tag = (u16)arg & 3;

	memcpy(buf, &size, sizeof(size));
	buf[4] = types[how & 3];
	memcpy(buf + 5, &tag, sizeof(tag));
	memcpy(buf + 7, &arg, sizeof(arg));
	return 15;
}

/* ---- What the kernel serves ------------------------------------------------------------- */

#define BIT(nr)		(1ull << (nr))
#define VHOST_HAS	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_NET_F_MRG_RXBUF))

static struct virtio *vsock_make(const struct virtio_env *env)
{
	struct virtio *dev;

	fake_vhost_reset(VHOST_HAS);
	fake_vhost_serve();
	assert_int_equal(virtio_vsock_create(&dev, env, 0, 7, STDERR_FILENO, fake_vhost_control, NULL), 0);
	return dev;
}

static struct virtio *vhost_net_make(const struct virtio_env *env)
{
	fake_vhost_reset(VHOST_HAS);
	fake_vhost_serve();
	return net_tap_make(env, 1, true);
}

/* The control queue is ours. */
static struct virtio *vhost_net_mq_make(const struct virtio_env *env)
{
	fake_vhost_reset(VHOST_HAS);
	fake_vhost_serve();
	return net_tap_make(env, 2, true);
}

static void vhost_net_unmake(void)
{
	fake_vhost_rest();
	close(peer);
}

/* ---- What another process serves ------------------------------------------------------------ */

static struct backend backend;
static pthread_t backend_server;

static int backend_up(void)
{
	backend_open(&backend);
	backend.features |= BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_NET_F_MQ);
	assert_int_equal(pthread_create(&backend_server, NULL, backend_thread, &backend), 0);
	return backend.front;
}

/* With the device the connection has ended. */
static void backend_down(void)
{
	pthread_join(backend_server, NULL);
	backend_close(&backend);
}

static bool backend_settled(void)
{
	return backend_runs(&backend);
}

/* Nobody but the device has the other side from now on. */
static struct virtio *backend_has(struct virtio *dev, int ret)
{
	assert_int_equal(ret, 0);
	fd_close(&backend.front);
	return dev;
}

static struct virtio *fs_make(const struct virtio_env *env)
{
	struct virtio *dev;
	int ret = virtio_fs_create(&dev, env, 0, "victim", backend_up(), NULL);

	return backend_has(dev, ret);
}

static struct virtio *user_blk_make(const struct virtio_env *env)
{
	struct virtio *dev;
	int ret = vhost_user_blk_create(&dev, env, 0, 2, backend_up(), false, NULL);

	return backend_has(dev, ret);
}

/* We read its rings, and pass on what is in them. */
static struct virtio *relay_make(const struct virtio_env *env)
{
	struct virtio *dev;
	int ret = vhost_user_blk_create(&dev, env, 0, 2, backend_up(), true, NULL);

	return backend_has(dev, ret);
}

static struct virtio *user_net_make(const struct virtio_env *env)
{
	const struct vhost_user_net_params params = { .mac = { 2 }, .fd = backend_up() };
	struct virtio *dev;
	int ret = vhost_user_net_create(&dev, env, 0, &params, NULL);

	return backend_has(dev, ret);
}

/* The control queue is ours here too, and waits for the backend. */
static struct virtio *user_net_mq_make(const struct virtio_env *env)
{
	const struct vhost_user_net_params params = { .mac = { 2 }, .nr_pairs = 2, .fd = backend_up() };
	struct virtio *dev;
	int ret = vhost_user_net_create(&dev, env, 0, &params, NULL);

	return backend_has(dev, ret);
}

const struct victim victims[] = {
	{
		.name = "rng", .make = rng_make,
		.good = { { 16, true } },
	}, {
		.name = "blk", .make = blk_make, .unmake = blk_unmake,
		.good = { { 16, false }, { 512, true }, { 1, true } },
		.header = blk_header, .host = blk_host,
	}, {
		.name = "net", .make = net_make, .unmake = net_unmake,
		.queue = 1, .good = { { 76, false } }, .input = 1,
		.header = net_header, .host = net_host,
	}, {
		.name = "balloon", .make = balloon_make,
		.good = { { 64, false } },
		.header = balloon_header, .host = balloon_host,
	}, {
		.name = "console", .make = console_make, .unmake = net_unmake,
		.queue = 1, .good = { { 76, false } }, .input = 1,
		.host = net_host,
	}, {
		.name = "net-mq", .make = net_mq_make, .unmake = net_unmake,
		.queue = 4, .good = { { 4, false }, { 1, true } }, .input = 1 | 1 << 2,
		.header = net_mq_header, .host = net_host,
	}, {
		.name = "9p", .make = p9_make, .unmake = net_unmake,
		.good = { { 64, false }, { 64, true } },
		.header = p9_header, .host = net_host,
	}, {
		.name = "ports", .make = ports_make, .unmake = net_unmake,
		.queue = 3, .good = { { 8, false } }, .input = 1 | 1 << 2 | 1 << 4,
		.header = ports_header, .host = ports_host,
	}, {
		.name = "vsock", .make = vsock_make, .unmake = fake_vhost_rest, .elsewhere = true,
		.queue = 1, .good = { { 64, false } }, .input = 1 | 1 << 2,
	}, {
		.name = "vhost-net", .make = vhost_net_make, .unmake = vhost_net_unmake, .elsewhere = true,
		.queue = 1, .good = { { 76, false } }, .input = 1,
	}, {
		.name = "vhost-net-mq", .make = vhost_net_mq_make, .unmake = vhost_net_unmake,
		.queue = 4, .good = { { 4, false }, { 1, true } }, .input = 1 | 1 << 2,
		.header = net_mq_header,
	}, {
		.name = "fs", .make = fs_make, .unmake = backend_down, .settled = backend_settled,
		.elsewhere = true,
		.queue = 1, .good = { { 40, false }, { 80, true } },
	}, {
		.name = "user-blk", .make = user_blk_make, .unmake = backend_down, .settled = backend_settled,
		.elsewhere = true,
		.queue = 1, .good = { { 16, false }, { 512, true }, { 1, true } },
	}, {
		.name = "user-net", .make = user_net_make, .unmake = backend_down, .settled = backend_settled,
		.elsewhere = true,
		.queue = 1, .good = { { 76, false } }, .input = 1,
	}, {
		.name = "user-net-mq", .make = user_net_mq_make, .unmake = backend_down,
		.settled = backend_settled,
		.queue = 4, .good = { { 4, false }, { 1, true } }, .input = 1 | 1 << 2,
		.header = net_mq_header,
	}, {
		.name = "relay", .make = relay_make, .unmake = backend_down, .settled = backend_settled,
		.queue = 1, .good = { { 16, false }, { 512, true }, { 1, true } },
	},
};
const u32 nr_victims = ARRAY_SIZE(victims);
