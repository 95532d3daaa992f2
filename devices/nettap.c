/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nettap.c - frames to and from a tap interface
 *
 * They go between the guest's memory and the kernel, with virtio-net's header before
 * them: the kernel checks it, and what the guest's driver has negotiated is what the
 * kernel may leave to it, checksums and segments.  A frame's length is not known until
 * it is read, so a driver that offers little room has its frames read to a buffer of
 * ours first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/netio.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

#ifndef TUN_F_USO4			/* Linux 6.2 */
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

#define BIT(nr)		(1ull << (nr))

struct nettap {
	struct netio	io;		/* first */
	nettap_control	*control;
	bool		detached;	/* from the interface */
	size_t		held;		/* bytes of a frame in .buf */
	u8		buf[NETIO_LONGEST];
};

static struct nettap *of(struct netio *io)
{
	return (struct nettap *)io;
}

static int control(struct nettap *t, int fd, unsigned long request, void *arg)
{
	return t->control(fd, request, arg) < 0 ? -errno : 0;
}

/* ---- Offloads --------------------------------------------------------------- */

static int set_offload(struct nettap *t, unsigned long flags)
{
	/* By value. */
	return control(t, t->io.fd, TUNSETOFFLOAD, (void *)flags);
}

/* What the kernel leaves to who reads, for what the driver says it can do. */
static unsigned long offload_of(u64 features)
{
	unsigned long flags = 0;

	if (features & BIT(VIRTIO_NET_F_GUEST_CSUM))
		flags |= TUN_F_CSUM;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
		flags |= TUN_F_TSO4;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
		flags |= TUN_F_TSO6;
	if (features & BIT(VIRTIO_NET_F_GUEST_ECN))
		flags |= TUN_F_TSO_ECN;
	if (features & BIT(VIRTIO_NET_F_GUEST_USO4))
		flags |= TUN_F_USO4;
	if (features & BIT(VIRTIO_NET_F_GUEST_USO6))
		flags |= TUN_F_USO6;
	return flags;
}

/* A kernel that can leave a thing to others takes it from others too. */
static u64 offers(struct netio *io)
{
	const u64 tso = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
			BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
			BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_ECN);
	const u64 uso = BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_USO4) |
			BIT(VIRTIO_NET_F_GUEST_USO6);
	u64 offered = 0;

	if (!set_offload(of(io), offload_of(tso)))
		offered = tso;
	if (offered && !set_offload(of(io), offload_of(tso | uso)))
		offered |= uso;
	set_offload(of(io), 0);
	return offered;
}

static int start(struct netio *io, u64 features)
{
	return set_offload(of(io), offload_of(features));
}

/* The kernel spreads what comes over the queues that are attached, as the guest has sent. */
static int enable(struct netio *io, bool on)
{
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };
	struct nettap *t = of(io);
	int ret = on == t->detached ? control(t, io->fd, TUNSETQUEUE, &ifr) : 0;

	if (!ret)
		t->detached = !on;
	return ret;
}

/* ---- Frames -------------------------------------------------------------------- */

static bool is_gone(int error)
{
	return error == EBADFD || error == EBADF || error == ENODEV;
}

/* 1: taken; 0: no room now. */
static int send_one(struct netio *io, const struct netio_frame *f)
{
	ssize_t n;

	if (!f->nr || f->len < NETIO_HEADER + ETH_HLEN || f->len > NETIO_LONGEST) {
		io->nr_dropped++;
		return 1;
	}
	do
		n = writev(io->fd, f->iov, (int)f->nr);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	if (errno == EAGAIN)
		return 0;
	if (is_gone(errno))
		return -errno;
	/* A header that lies; or the interface is down, EIO, which is no fault of the guest's. */
	if (errno == EINVAL)
		io->nr_dropped++;
	else
		io->nr_refused++;
	return 1;
}

static int send_frames(struct netio *io, struct netio_frame *frames, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		int ret = send_one(io, &frames[i]);

		if (ret <= 0)
			return ret ? ret : (int)i;
	}
	return (int)nr;
}

static bool unsent(const struct netio *io)
{
	(void)io;
	return false;
}

static ssize_t take(const struct netio *io, const struct iovec *iov, unsigned int nr)
{
	ssize_t n;

	do
		n = readv(io->fd, iov, (int)nr);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : -errno;
}

static ssize_t next(struct netio *io, bool exact)
{
	struct nettap *t = of(io);
	const struct iovec iov = { t->buf, sizeof(t->buf) };
	ssize_t n;

	if (t->held)
		return (ssize_t)t->held;
	if (!exact)
		return NETIO_LONGEST;
	n = take(io, &iov, 1);
	if (n > 0)
		t->held = (size_t)n;
	return n;
}

static ssize_t receive(struct netio *io, const struct iovec *iov, unsigned int nr)
{
	struct nettap *t = of(io);
	size_t n = t->held;

	if (!n)
		return take(io, iov, nr);
	iov_write(iov, nr, 0, t->buf, n);
	t->held = 0;
	return (ssize_t)n;
}

static void drop(struct netio *io)
{
	of(io)->held = 0;
}

/* ------------------------------------------------------------------------------------ */

/* The descriptor may be in use again, by another device. */
static void destroy(struct netio *io)
{
	enable(io, true);
	fd_close(&io->fd);
	free(of(io));
}

static const struct netio_ops ops = {
	.offers = offers,
	.start = start,
	.enable = enable,
	.send = send_frames,
	.unsent = unsent,
	.next = next,
	.receive = receive,
	.drop = drop,
	.destroy = destroy,
};

static int check(struct nettap *t, int fd, struct vmm_error *err)
{
	const unsigned int wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int header = NETIO_HEADER;
	struct ifreq ifr = { .ifr_flags = 0 };
	int flags = fcntl(fd, F_GETFL);
	int ret;

	if (flags < 0)
		return error_sys(err, -errno, "net: descriptor %d", fd);
	ret = control(t, fd, TUNGETIFF, &ifr);
	if (ret)
		return error_set(err, -EINVAL, "net: descriptor %d is of no tap interface", fd);
	if (((unsigned int)ifr.ifr_flags & (wanted | IFF_TUN)) != wanted)
		return error_set(err, -EINVAL,
				 "net: %.16s was not made with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
				 ifr.ifr_name);
	if (!(flags & O_NONBLOCK))
		return error_set(err, -EINVAL, "net: the descriptor of %.16s is not O_NONBLOCK",
				 ifr.ifr_name);
	ret = control(t, fd, TUNSETVNETHDRSZ, &header);
	return ret ? error_sys(err, ret, "net: %.16s: setting the header's size", ifr.ifr_name) : 0;
}

int nettap_create(struct netio **out, int fd, nettap_control *ctl, struct vmm_error *err)
{
	struct nettap *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return error_set(err, -ENOMEM, "net: no memory");
	t->io.ops = &ops;
	t->io.fd = -1;
	t->control = ctl;
	ret = check(t, fd, err);
	if (!ret) {
		ret = fd_dup(fd);
		t->io.fd = ret < 0 ? -1 : ret;
		ret = ret < 0 ? error_sys(err, ret, "net: descriptor %d", fd) : 0;
	}
	if (ret) {
		destroy(&t->io);
		return ret;
	}
	*out = &t->io;
	return 0;
}
