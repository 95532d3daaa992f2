/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_balloon.h - memory that the guest gives up and takes back (virtio 1.2, 5.5)
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

#define VIRTIO_BALLOON_PAGE	KIB(4)		/* whatever a page of the guest's is */

struct virtio_balloon_params {
	u64	flags;		/* VMM_BALLOON_F_* */
	u64	target;		/* bytes the guest shall give up to begin with */
	/* RAM has to stay with us: the guest gives up what it likes, and nothing is freed. */
	bool	keep;
};

/* To be destroyed by virtio_destroy(). */
int virtio_balloon_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  const struct virtio_balloon_params *params, struct vmm_error *err);

/* From any thread, no lock held: what it shall give up, in bytes, at most all of RAM. */
void virtio_balloon_set(struct virtio *dev, u64 target);

/*
 * From any thread, no lock held: all but .size.  The guest is asked for newer statistics,
 * which a later call finds.
 */
void virtio_balloon_stats(struct virtio *dev, struct vmm_balloon_stats *stats);

#endif
