/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user_blk.h - a disk that another process serves (virtio 1.2, 5.2)
 */
#ifndef DEVICES_VHOST_USER_BLK_H
#define DEVICES_VHOST_USER_BLK_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

/* @fd is a vhost-user socket of its backend, borrowed. */
int vhost_user_blk_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  u32 nr_queues, int fd, bool waits, struct vmm_error *err);

#endif
