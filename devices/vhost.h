/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost.h - a device whose rings the kernel serves
 *
 * All at the device's home.
 */
#ifndef DEVICES_VHOST_H
#define DEVICES_VHOST_H

#include <linux/virtio_config.h>

#include "vmm.h"

#include "vmm/types.h"

struct vhost;
struct virtio;

/* ioctl(2), or what a test has in its place. */
typedef int vhost_control(int fd, unsigned long request, ...);

/*
 * @fd, of a device file of vhost's that @what names, is duplicated.  Of the features in
 * @features that are the kernel's it has to have those of @needed too.
 */
int vhost_create(struct vhost **vhost, const char *what, int fd, u64 features, u64 needed,
		 vhost_control *ctl, struct vmm_error *err);
void vhost_destroy(struct vhost *vhost);

/* Of @features of .._create(): those that this kernel has. */
u64 vhost_features(const struct vhost *vhost);

/* Tell it where rings @first and up of @dev are, those that are ready: its rings 0 and up. */
int vhost_set_up(struct vhost *vhost, const struct virtio *dev, u32 first, u32 nr_rings);

/* No kernel's vhost has them: to be taken off what the device offers. */
#define VHOST_LACKS	(1ull << VIRTIO_F_RING_PACKED)

/* A request of the device's own: 0 or a negative errno. */
int vhost_tell(const struct vhost *vhost, unsigned long request, const void *arg);

#endif
