/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk.h - a disk: a file or a block device of the host's (virtio 1.2, 5.2)
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

#define VIRTIO_BLK_SERIAL	20

struct blk_config {
	int		fd;		/* duplicated; neither O_APPEND nor O_NONBLOCK */
	bool		ro;
	u32		nr_queues;
	const char	*serial;	/* at most VIRTIO_BLK_SERIAL bytes */
};

/* To be destroyed by virtio_destroy(). */
int virtio_blk_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct blk_config *cfg, struct vmm_error *err);

/*
 * See how long it is now, and tell the guest if that has changed; @size is what the guest
 * sees then, in bytes.  From any thread, no lock held.  On failure all is as it was.
 */
int virtio_blk_resize(struct virtio *dev, u64 *size, struct vmm_error *err);

#endif
