/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_rng.h - random numbers for the guest (virtio 1.2, 5.4)
 */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include <sys/types.h>

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

/* As getrandom(2) is, which does not block with GRND_NONBLOCK. */
typedef ssize_t virtio_rng_fill(void *buf, size_t len, unsigned int flags);

/* To be destroyed by virtio_destroy(). */
int virtio_rng_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      virtio_rng_fill *fill, struct vmm_error *err);

#endif
