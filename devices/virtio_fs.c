/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_fs.c - a directory of the host's as a file system (virtio 1.2, 5.11)
 *
 * All that happens in its queues is between the guest and the backend, virtiofsd.
 */
#include <endian.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "devices/vhost_user.h"
#include "devices/virtio.h"
#include "devices/virtio_fs.h"

/*
 * The longest that a backend takes: a driver makes no request of more pages.  More than
 * one queue for requests is of no use to virtiofsd, which serves them all by one thread.
 */
#define QUEUE_SIZE	1024
#define REQUEST_QUEUES	1

static const struct virtio_ops ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.nr_queues = 1 + REQUEST_QUEUES,	/* and that for what cannot wait */
	.queue_size = QUEUE_SIZE,
	VHOST_USER_OPS,
};

int virtio_fs_create(struct virtio **dev, const struct virtio_env *env, u32 index, const char *tag,
		     int fd, struct vmm_error *err)
{
	struct virtio_fs_config config = { .num_request_queues = htole32(REQUEST_QUEUES) };
	const struct vhost_user_config cfg = {
		.ops = &ops,
		.nr_queues = ops.nr_queues,
		.fd = fd,
		.config = &config,
		.config_size = sizeof(config),
	};

	_Static_assert(sizeof(config.tag) == VMM_FS_TAG_MAX, "a tag");
	memcpy(config.tag, tag, strnlen(tag, sizeof(config.tag)));
	return vhost_user_create(dev, env, index, &cfg, err);
}
