/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_net.h - a network card (virtio 1.2, 5.1)
 */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "vmm.h"

#include "vmm/types.h"

struct netio;
struct vhost;
struct virtio;
struct virtio_env;
struct vmm_net_stats;

#define VIRTIO_NET_PAIRS	8	/* of queues, at most */

struct virtio_net_params {
	u8	mac[6];
	u16	mtu;			/* 0: the driver is told nothing of it */
	u32	nr_pairs;		/* 0: one; more: each by a queue of one tap interface */
	struct netio *io[VIRTIO_NET_PAIRS];	/* NULL: nothing is behind it yet */
	struct vhost *vhost[VIRTIO_NET_PAIRS];	/* the kernel serves a tap's rings; NULL: we do */
	/* The peer has gone, and the link is down; on the home loop, no lock held. */
	void	(*lost)(void *ctx, u32 index, const char *msg);
	void	*ctx;
};

/*
 * To be destroyed by virtio_destroy().  All .io and .vhost are the device's from here on,
 * also upon failure; without an .io its link is down.
 */
int virtio_net_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct virtio_net_params *params, struct vmm_error *err);

/* Of a device that was not made: all .io and .vhost. */
void virtio_net_forget(const struct virtio_net_params *params);

/*
 * From any thread: put another one behind it, which offers what the first one did, or
 * take the cable out and put it in again.
 */
void virtio_net_attach(struct virtio *dev, struct netio *io);
void virtio_net_link(struct virtio *dev, bool up);

/* What was dropped of frames that we pass on; from any thread. */
void virtio_net_stats(struct virtio *dev, struct vmm_net_stats *stats);

#endif
