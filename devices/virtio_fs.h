/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_fs.h - a directory of the host's as a file system (virtio 1.2, 5.11)
 */
#ifndef DEVICES_VIRTIO_FS_H
#define DEVICES_VIRTIO_FS_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

/* @tag is what a guest mounts; @fd a vhost-user socket of its backend, borrowed. */
int virtio_fs_create(struct virtio **dev, const struct virtio_env *env, u32 index, const char *tag,
		     int fd, struct vmm_error *err);

#endif
