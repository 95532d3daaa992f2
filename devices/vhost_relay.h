/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_relay.h - rings of our own between a driver and a backend that may go away
 *
 * A backend that is killed leaves rings behind of which nobody can tell what it had still
 * to do, as it may have done things in any order.  So it gets others, in memory of ours:
 * what the driver offers is offered there, and what comes back is given back to the
 * driver, with a note between of what is in flight.  The table of descriptors is the
 * driver's own, and so are all buffers: nothing is copied but heads.
 *
 * All of this is at home, where all queues of such a device are.
 */
#ifndef DEVICES_VHOST_RELAY_H
#define DEVICES_VHOST_RELAY_H

#include "vmm.h"

#include "vmm/types.h"

struct vhost_relay;
struct virtio;
struct virtio_queue;

/* What a backend is told of a ring: addresses as we have them, and eventfds. */
struct vhost_relay_ring {
	u64	avail;
	u64	used;
	int	kick;
	int	call;
};

/* Of the rings of all backends together, which they map. */
struct vhost_relay_memory {
	int	fd;
	u64	user;
	u64	size;
};

/* @broke: the backend does not keep to the rules of a ring; called at home. */
int vhost_relay_create(struct vhost_relay **relay, struct virtio *dev, u32 nr_rings,
		       void (*broke)(struct virtio *dev), struct vmm_error *err);
/* NULL is fine. */
void vhost_relay_destroy(struct vhost_relay *r);

struct vhost_relay_memory vhost_relay_memory(const struct vhost_relay *r);
struct vhost_relay_ring vhost_relay_ring(const struct vhost_relay *r, u32 index);

/* Rings that are new, on which all that is in flight is offered, again. */
void vhost_relay_begin(struct vhost_relay *r);

/* A kick for every ring that is ready. */
void vhost_relay_kick_all(struct vhost_relay *r);

/* Offer what the driver does. */
void vhost_relay_offer(struct vhost_relay *r, struct virtio_queue *q);

/* Give back what the backend has done; false: it does not keep to the rules. */
bool vhost_relay_collect(struct vhost_relay *r);

/* Give back all that is in flight, done or not, as the driver resets the device. */
void vhost_relay_end(struct vhost_relay *r);

#endif
