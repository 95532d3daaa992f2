/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost.c - a device whose rings the kernel serves
 *
 * A thread of the kernel's takes kicks and rings interrupts itself, with the guest's
 * memory as it is mapped here.  Where the rings are was checked before, as for a device
 * of ours; what is in them the kernel checks.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <stdlib.h>

#include "devices/vhost.h"
#include "devices/virtio.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

struct vhost {
	int		fd;
	vhost_control	*control;
	u64		features;	/* what the kernel has of those that are its affair */
};

int vhost_tell(const struct vhost *v, unsigned long request, const void *arg)
{
	return v->control(v->fd, request, arg) < 0 ? -errno : 0;
}

/* ---- Rings ---------------------------------------------------------------- */

static u64 host(const struct gmem *mem, gpa_t gpa)
{
	return (uintptr_t)gmem_host(mem, gpa, 1);
}

static int set_memory(const struct vhost *v, const struct gmem *mem)
{
	union {
		struct vhost_memory	table;
		u8			room[sizeof(struct vhost_memory) +
					     sizeof(struct vhost_memory_region)];
	} u = { .room = { 0 } };

	u.table.nregions = 1;
	u.table.regions[0] = (struct vhost_memory_region){
		.guest_phys_addr = mem->base, .memory_size = mem->size,
		.userspace_addr = (uintptr_t)mem->host,
	};
	return vhost_tell(v, VHOST_SET_MEM_TABLE, &u);
}

static int set_queue(const struct vhost *v, u32 index, struct virtio_queue *q)
{
	const struct gmem *mem = q->dev->env->mem;
	const struct vhost_vring_state num = { .index = index, .num = q->layout.size };
	const struct vhost_vring_state base = { .index = index };
	const struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = host(mem, q->layout.desc),
		.avail_user_addr = host(mem, q->layout.avail),
		.used_user_addr = host(mem, q->layout.used),
	};
	const struct vhost_vring_file kick = { .index = index, .fd = q->kick_fd };
	const struct vhost_vring_file call = { .index = index, .fd = virtio_irq_fd(q) };
	int ret = vhost_tell(v, VHOST_SET_VRING_NUM, &num);

	if (!ret)
		ret = vhost_tell(v, VHOST_SET_VRING_BASE, &base);
	if (!ret)
		ret = vhost_tell(v, VHOST_SET_VRING_ADDR, &addr);
	if (!ret)
		ret = vhost_tell(v, VHOST_SET_VRING_KICK, &kick);
	return ret ? ret : vhost_tell(v, VHOST_SET_VRING_CALL, &call);
}

int vhost_set_up(struct vhost *v, const struct virtio *dev, u32 first, u32 nr_rings)
{
	const u64 features = dev->features & v->features;
	int ret = vhost_tell(v, VHOST_SET_FEATURES, &features);

	if (!ret)
		ret = set_memory(v, dev->env->mem);
	for (u32 i = 0; i < nr_rings && !ret; i++)
		if (dev->queues[first + i].ready)
			ret = set_queue(v, i, &dev->queues[first + i]);
	return ret;
}

/* --------------------------------------------------------------------------------- */

u64 vhost_features(const struct vhost *v)
{
	return v->features;
}

void vhost_destroy(struct vhost *v)
{
	if (!v)
		return;
	fd_close(&v->fd);
	free(v);
}

int vhost_create(struct vhost **out, const char *what, int fd, u64 features, u64 needed,
		 vhost_control *ctl, struct vmm_error *err)
{
	struct vhost *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return error_set(err, -ENOMEM, "%s: no memory", what);
	v->control = ctl;
	v->fd = fd_dup(fd);
	if (v->fd < 0) {
		ret = error_sys(err, v->fd, "%s: descriptor %d", what, fd);
		v->fd = -1;
		goto out;
	}
	ret = vhost_tell(v, VHOST_GET_FEATURES, &v->features);
	if (!ret)
		ret = vhost_tell(v, VHOST_SET_OWNER, NULL);
	/* A start that failed before has left it ours. */
	if (ret && ret != -EBUSY) {
		ret = error_sys(err, ret, "%s: descriptor %d", what, fd);
		goto out;
	}
	if (needed & ~v->features) {
		ret = error_set(err, -ENOTSUP, "%s: this kernel's lacks features 0x%llx", what,
				(unsigned long long)(needed & ~v->features));
		goto out;
	}
	v->features &= features | needed;
	*out = v;
	return 0;
out:
	vhost_destroy(v);
	return ret;
}
