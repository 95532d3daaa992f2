/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_mmio.h - virtio over a page of registers (virtio 1.2, 4.2)
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct tree;
struct virtio;
struct virtio_mmio;

#define VIRTIO_MMIO_SIZE	0x200
/* A write of a queue's number there kicks it: .kick_fd of that queue may take it. */
#define VIRTIO_MMIO_KICK	0x050

extern const struct bus_ops virtio_mmio_bus_ops;

/* The transport of @dev, which must be destroyed first. */
int virtio_mmio_create(struct virtio_mmio **mmio, struct virtio *dev, struct vmm_error *err);
void virtio_mmio_destroy(struct virtio_mmio *mmio);

/* An eventfd: each time it is rung the driver wants a pulse of its interrupt line. */
int virtio_mmio_irq_fd(const struct virtio_mmio *mmio);

/* @spi as in a device tree. */
void virtio_mmio_tree(struct tree *t, gpa_t base, u32 spi);

#endif
