/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_vsock.c - sockets between the guest and its host (virtio 1.2, 5.10)
 *
 * The kernel serves the rings of packets.  That of events stays unserved: the only event
 * there is tells of a migration (5.10.6.7), and there is none.
 */
#include <endian.h>
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio.h"
#include "devices/virtio_vsock.h"
#include "vmm/error.h"

#define RX		0
#define NR_PACKETS	2	/* rings of them: 0 to the guest, 1 from it */
#define QUEUE_SIZE	128
#define BIT(nr)		(1ull << (nr))
#define NEEDED		(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT(VIRTIO_RING_F_INDIRECT_DESC))

struct virtio_vsock {
	struct virtio			virtio;		/* first */
	struct vhost			*vhost;
	struct virtio_vsock_config	config;
};

static struct virtio_vsock *of(struct virtio *dev)
{
	return (struct virtio_vsock *)dev;
}

/*
 * While it does not run the kernel touches no ring, and keeps its place in each.  A kick
 * that comes meanwhile, such as one right behind DRIVER_OK, it takes and forgets, and it
 * does not look when it runs again (vhost_vsock_handle_tx_kick(), vhost_vsock_start()).
 */
static int set_running(struct virtio *dev, int run)
{
	int ret = vhost_tell(of(dev)->vhost, VHOST_VSOCK_SET_RUNNING, &run);

	for (u32 i = 0; i < NR_PACKETS && run && !ret; i++)
		virtio_kick(dev, i);
	return ret;
}

static int start(struct virtio *dev)
{
	int ret = vhost_set_up(of(dev)->vhost, dev, 0, NR_PACKETS);

	return ret ? ret : set_running(dev, !dev->queues[RX].paused);
}

static void rest(struct virtio *dev)
{
	int ret = set_running(dev, !dev->queues[RX].paused);

	if (ret)
		virtio_break(dev, "vhost: %s", strerrordesc_np(-ret));
}

static void stop(struct virtio *dev)
{
	set_running(dev, 0);
	virtio_stopped(dev);
}

static void destroy(struct virtio *dev)
{
	struct virtio_vsock *vsock = of(dev);

	vhost_destroy(vsock->vhost);
	virtio_fini(dev);
	free(vsock);
}

static const struct virtio_ops ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.nr_queues = NR_PACKETS + 1,
	.queue_size = QUEUE_SIZE,
	.start = start,
	.stop = stop,
	.rest = rest,
	.destroy = destroy,
};

static int set_cid(const struct vhost *vhost, u64 cid, struct vmm_error *err)
{
	int ret = vhost_tell(vhost, VHOST_VSOCK_SET_GUEST_CID, &cid);

	if (ret == -EADDRINUSE)
		return error_set(err, ret, "vsock: CID %llu is another guest's", (unsigned long long)cid);
	return ret ? error_sys(err, ret, "vsock: CID %llu", (unsigned long long)cid) : 0;
}

int virtio_vsock_create(struct virtio **dev, const struct virtio_env *env, u32 index, u32 cid,
			int fd, vhost_control *ctl, struct vmm_error *err)
{
	struct virtio_vsock *vsock = calloc(1, sizeof(*vsock));
	struct vhost *vhost;
	int ret;

	if (!vsock)
		return error_set(err, -ENOMEM, "vsock%u: no memory", index);
	ret = vhost_create(&vhost, "vsock", fd, BIT(VIRTIO_VSOCK_F_SEQPACKET), NEEDED, ctl, err);
	if (ret) {
		free(vsock);
		return ret;
	}
	vsock->vhost = vhost;
	vsock->config.guest_cid = htole64(cid);
	vsock->virtio.config = (u8 *)&vsock->config;
	vsock->virtio.config_size = sizeof(vsock->config);
	ret = virtio_init(&vsock->virtio, &ops, env, index, 0,
			  vhost_features(vhost) & BIT(VIRTIO_VSOCK_F_SEQPACKET), 0, err);
	vsock->virtio.offered &= ~VHOST_LACKS;
	if (!ret)
		ret = set_cid(vhost, cid, err);
	if (ret) {
		destroy(&vsock->virtio);
		return ret;
	}
	*dev = &vsock->virtio;
	return 0;
}
