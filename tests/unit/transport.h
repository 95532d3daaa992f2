/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport.h - a virtio device's registers as the driver has them, by either transport
 *
 * What the driver writes goes through the bus operations of the transport, as in a VM.
 */
#ifndef TESTS_TRANSPORT_H
#define TESTS_TRANSPORT_H

#include <stdatomic.h>

#include "devices/virtq.h"
#include "vmm/types.h"

struct bus_ops;
struct pci;
struct virtio;
struct virtio_mmio;
struct virtio_pci;

/* Where a driver finds registers. */
struct transport_area {
	const struct bus_ops	*ops;
	void			*dev;
	u32			from;
	u32			to;
};

struct transport {
	const struct transport_ops	*ops;
	struct virtio			*dev;
	struct virtio_mmio		*mmio;
	struct virtio_pci		*vpci;
	struct pci			*pci;
	atomic_uint			nr_messages;
	atomic_bool			line;		/* INTx */
	struct transport_area		areas[8];
	u32				nr_areas;
};

struct transport_ops {
	const char	*name;
	u32		widest;		/* number of a queue, and size of one, that can be written */
	void		(*up)(struct transport *t);
	void		(*down)(struct transport *t);
	/* Reachable again, wherever the driver has put it. */
	void		(*find)(struct transport *t);

	u8		(*status)(struct transport *t);
	void		(*set_status)(struct transport *t, u8 val);
	/* As it is done by this transport; the device does what it has to on another thread. */
	void		(*reset)(struct transport *t);
	void		(*set_features)(struct transport *t, u64 features);
	void		(*kick)(struct transport *t, u32 queue);
	/* The queue that is meant from now on. */
	void		(*select)(struct transport *t, u32 queue);
	u32		(*max_size)(struct transport *t);
	bool		(*ready)(struct transport *t);
	void		(*set_layout)(struct transport *t, const struct virtq_layout *l);
	void		(*set_ready)(struct transport *t, bool ready);
};

extern const struct transport_ops transport_mmio;
extern const struct transport_ops transport_pci;

/* @dev must be destroyed before .down. */
void transport_up(struct transport *t, const struct transport_ops *ops, struct virtio *dev);

#endif
