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

struct virtio_net_params {
	u8	mac[6];
	u16	mtu;			/* 0: the driver is told nothing of it */
	struct vhost *vhost;	/* the kernel serves a tap's rings; NULL: we do */
	/* The peer has gone, and the link is down; on the home loop, no lock held. */
	void	(*lost)(void *ctx, u32 index, const char *msg);
	void	*ctx;
};

/*
 * To be destroyed by virtio_destroy().  @io and .vhost are the device's from here on,
 * also upon failure; NULL: nothing is behind it yet, and its link is down.
 */
int virtio_net_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct virtio_net_params *cfg, struct netio *io,
		      struct vmm_error *err);

/*
 * From any thread: put another one behind it, which offers what the first one did, or
 * take the cable out and put it in again.
 */
void virtio_net_attach(struct virtio *dev, struct netio *io);
void virtio_net_link(struct virtio *dev, bool up);

#endif
