/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_net.h - the kernel serves the rings of a network card on a tap interface
 */
#ifndef DEVICES_VHOST_NET_H
#define DEVICES_VHOST_NET_H

#include "devices/vhost.h"

/* @fd, of /dev/vhost-net, is duplicated. */
int vhost_net_create(struct vhost **vhost, int fd, vhost_control *ctl, struct vmm_error *err);

/*
 * At home.  Rings @first of @dev and the one behind it are the kernel's from .._start() on,
 * and frames go by way of the tap interface @tap from .._plug() on; with -1 they rest, and
 * nothing of them is in the kernel any more.
 */
int vhost_net_start(struct vhost *vhost, const struct virtio *dev, u32 first);
int vhost_net_plug(struct vhost *vhost, const struct virtio *dev, u32 first, int tap);

#endif
