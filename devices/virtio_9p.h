/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_9p.h - a directory of the host's by 9P (virtio device 9, <linux/virtio_9p.h>)
 */
#ifndef DEVICES_VIRTIO_9P_H
#define DEVICES_VIRTIO_9P_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

/* What of the config is lent is duplicated or copied. */
struct virtio_9p_params {
	int		fd;		/* a connected stream socket: the server */
	const char	*tag;
	const char	*aname;		/* that every attach asks for; empty: the guest's */
	const char	*uname;		/* ... and as whom; likewise */
};

/* To be destroyed by virtio_destroy(). */
int virtio_9p_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		     const struct virtio_9p_params *params, struct vmm_error *err);

/*
 * Another server, whose socket is duplicated.  From any thread, no lock held: it is heard of
 * at the device's loop, or when a pause is over.
 */
int virtio_9p_replace(struct virtio *dev, int fd, struct vmm_error *err);

#endif
