/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_net.c - the kernel serves the rings of a network card on a tap interface
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "devices/vhost_net.h"
#include "devices/virtio.h"

#define PAIR	2u		/* rings */

/* What the driver may have negotiated, of that which is the kernel's here. */
#define FEATURES	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
			 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_NET_F_MRG_RXBUF)

int vhost_net_start(struct vhost *v, const struct virtio *dev, u32 first)
{
	return vhost_set_up(v, dev, first, PAIR);
}

int vhost_net_plug(struct vhost *v, const struct virtio *dev, u32 first, int tap)
{
	int ret = 0;

	for (u32 i = 0; i < PAIR && !ret; i++) {
		const struct vhost_vring_file file = { .index = i, .fd = tap };

		if (dev->queues[first + i].ready)
			ret = vhost_tell(v, VHOST_NET_SET_BACKEND, &file);
	}
	return ret;
}

int vhost_net_create(struct vhost **vhost, int fd, vhost_control *ctl, struct vmm_error *err)
{
	return vhost_create(vhost, "vhost-net", fd, FEATURES, FEATURES, ctl, err);
}
