/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_net.c - the kernel serves the rings of a network card on a tap interface
 *
 * A thread of the kernel's takes kicks and rings interrupts itself, with the guest's
 * memory as it is mapped here.  Where the rings are was checked before, as for a device
 * of ours; what is in them the kernel checks.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "devices/vhost_net.h"
#include "devices/virtio.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

/* What the driver may have negotiated, of that which is the kernel's here. */
#define FEATURES	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
			 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_NET_F_MRG_RXBUF)

struct vhost_net {
	int			fd;
	vhost_net_control	*control;
};

static int control(const struct vhost_net *v, unsigned long request, const void *arg)
{
	return v->control(v->fd, request, arg) < 0 ? -errno : 0;
}

/* ---- Rings ---------------------------------------------------------------- */

static u64 host(const struct gmem *mem, gpa_t gpa)
{
	return (uintptr_t)gmem_host(mem, gpa, 1);
}

static int set_memory(const struct vhost_net *v, const struct gmem *mem)
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
	return control(v, VHOST_SET_MEM_TABLE, &u);
}

static int set_queue(const struct vhost_net *v, struct virtio_queue *q)
{
	const struct gmem *mem = q->dev->env->mem;
	const struct vhost_vring_state num = { .index = q->index, .num = q->layout.size };
	const struct vhost_vring_state base = { .index = q->index };
	const struct vhost_vring_addr addr = {
		.index = q->index,
		.desc_user_addr = host(mem, q->layout.desc),
		.avail_user_addr = host(mem, q->layout.avail),
		.used_user_addr = host(mem, q->layout.used),
	};
	const struct vhost_vring_file kick = { .index = q->index, .fd = q->kick_fd };
	const struct vhost_vring_file call = { .index = q->index, .fd = virtio_irq_fd(q) };
	int ret = control(v, VHOST_SET_VRING_NUM, &num);

	if (!ret)
		ret = control(v, VHOST_SET_VRING_BASE, &base);
	if (!ret)
		ret = control(v, VHOST_SET_VRING_ADDR, &addr);
	if (!ret)
		ret = control(v, VHOST_SET_VRING_KICK, &kick);
	return ret ? ret : control(v, VHOST_SET_VRING_CALL, &call);
}

int vhost_net_start(struct vhost_net *v, const struct virtio *dev)
{
	const u64 features = dev->features & FEATURES;
	int ret = control(v, VHOST_SET_FEATURES, &features);

	if (!ret)
		ret = set_memory(v, dev->env->mem);
	for (u32 i = 0; i < dev->nr_queues && !ret; i++)
		if (dev->queues[i].ready)
			ret = set_queue(v, &dev->queues[i]);
	return ret;
}

int vhost_net_plug(struct vhost_net *v, const struct virtio *dev, int tap)
{
	int ret = 0;

	for (u32 i = 0; i < dev->nr_queues && !ret; i++) {
		const struct vhost_vring_file file = { .index = i, .fd = tap };

		if (dev->queues[i].ready)
			ret = control(v, VHOST_NET_SET_BACKEND, &file);
	}
	return ret;
}

/* --------------------------------------------------------------------------------- */

void vhost_net_destroy(struct vhost_net *v)
{
	if (!v)
		return;
	fd_close(&v->fd);
	free(v);
}

int vhost_net_create(struct vhost_net **out, int fd, vhost_net_control *ctl, struct vmm_error *err)
{
	struct vhost_net *v = calloc(1, sizeof(*v));
	u64 features = 0;
	int ret;

	if (!v)
		return error_set(err, -ENOMEM, "vhost-net: no memory");
	v->control = ctl;
	v->fd = fd_dup(fd);
	if (v->fd < 0) {
		ret = error_sys(err, v->fd, "vhost-net: descriptor %d", fd);
		v->fd = -1;
		goto out;
	}
	ret = control(v, VHOST_GET_FEATURES, &features);
	if (!ret)
		ret = control(v, VHOST_SET_OWNER, NULL);
	/* A start that failed before has left it ours. */
	if (ret && ret != -EBUSY) {
		ret = error_sys(err, ret, "vhost-net: descriptor %d", fd);
		goto out;
	}
	if ((features & FEATURES) != FEATURES) {
		ret = error_set(err, -ENOTSUP, "vhost-net: this kernel's lacks features 0x%llx",
				(unsigned long long)(FEATURES & ~features));
		goto out;
	}
	*out = v;
	return 0;
out:
	vhost_net_destroy(v);
	return ret;
}
