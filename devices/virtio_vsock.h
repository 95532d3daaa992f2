/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_vsock.h - sockets between the guest and its host (virtio 1.2, 5.10)
 */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include "devices/vhost.h"

struct virtio;
struct virtio_env;

/*
 * To be destroyed by virtio_destroy().  @fd, of /dev/vhost-vsock, is duplicated; the guest
 * is @cid as long as it is open.
 */
int virtio_vsock_create(struct virtio **dev, const struct virtio_env *env, u32 index, u32 cid,
			int fd, vhost_control *ctl, struct vmm_error *err);

#endif
