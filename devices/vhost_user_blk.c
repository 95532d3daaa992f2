/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user_blk.c - a disk that another process serves (virtio 1.2, 5.2)
 *
 * What its image is like, qcow2 or something behind a network, is between the backend
 * and its user; qemu-storage-daemon is one.  From it comes the device's configuration, too,
 * of which only the number of queues is ours to say.
 */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "devices/virtio.h"

#define QUEUE_SIZE	256

/* Of virtio 1.1; what later kernels have behind that, an older backend does not know. */
#define CONFIG_SIZE	60

_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4 == CONFIG_SIZE,
	       "virtio 1.1, 5.2.4");

static void amend(void *config, u32 nr_queues)
{
	struct virtio_blk_config *c = config;

	c->num_queues = htole16((u16)nr_queues);
}

static const struct virtio_ops ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.queue_size = QUEUE_SIZE,
	VHOST_USER_OPS,
	VHOST_USER_RELAY_OPS,
};

int vhost_user_blk_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  u32 nr_queues, int fd, bool waits, struct vmm_error *err)
{
	/* The cache is not the driver's to switch: that takes a configuration it can write. */
	const struct vhost_user_config cfg = {
		.ops = &ops,
		.nr_queues = nr_queues,
		.features = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
			    1ull << VIRTIO_BLK_F_GEOMETRY | 1ull << VIRTIO_BLK_F_RO |
			    1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH |
			    1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_DISCARD |
			    1ull << VIRTIO_BLK_F_WRITE_ZEROES |
			    (nr_queues > 1 ? 1ull << VIRTIO_BLK_F_MQ : 0),
		.fd = fd,
		.config_size = CONFIG_SIZE,
		.amend = amend,
		/* Reading, writing, discarding: done twice is as good as once. */
		.waits = waits,
	};

	return vhost_user_create(dev, env, index, &cfg, err);
}
