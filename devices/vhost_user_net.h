/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user_net.h - a network card that another process serves (virtio 1.2, 5.1)
 */
#ifndef DEVICES_VHOST_USER_NET_H
#define DEVICES_VHOST_USER_NET_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

#define VHOST_USER_NET_PAIRS	8	/* of queues, at most */

struct vhost_user_net_params {
	u8	mac[6];
	u16	mtu;		/* 0: nobody is told of one */
	u32	nr_pairs;	/* 0: one; more: its backend has to have as many */
	int	fd;		/* a vhost-user socket of its backend, borrowed */
	bool	waits;		/* for another; of one pair */
};

/* To be destroyed by virtio_destroy(). */
int vhost_user_net_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  const struct vhost_user_net_params *params, struct vmm_error *err);

/* From any thread: take the cable out, and put it in again. */
void vhost_user_net_link(struct virtio *dev, bool up);

#endif
