/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.h - the driver's side of a split virtqueue, well-formed and not, for tests
 *
 * Rings and buffers are laid out in a guest's RAM of the test's own.  Everything can be
 * written by hand too: .desc and so on are the rings.
 */
#ifndef TESTS_DRIVER_H
#define TESTS_DRIVER_H

#include <linux/virtio_ring.h>

#include "devices/virtq.h"
#include "vmm/gmem.h"
#include "vmm/types.h"

#define DRIVER_RAM_BASE	GIB(2)
#define DRIVER_RAM_SIZE	MIB(4)

/* Queue @i of a driver has its rings here, and its buffers where they do not meet. */
#define DRIVER_RING(i)	(DRIVER_RAM_BASE + (u64)(i) * KIB(64))
#define DRIVER_DATA	(DRIVER_RAM_BASE + MIB(2))

struct driver_queue {
	struct gmem		*mem;
	struct virtq_layout	layout;
	struct vring_desc	*desc;
	struct vring_avail	*avail;
	struct vring_used	*used;
	u16			next_desc;
	u16			avail_idx;
	u16			used_idx;	/* as far as it was taken */
};

struct driver_buf {
	gpa_t	addr;
	u32	len;
	bool	in;		/* the device writes it */
};

void driver_ram(struct gmem *mem);
void driver_queue_init(struct driver_queue *q, struct gmem *mem, u32 i, u32 size);

/* Offer a chain; returns its head. */
u16 driver_add(struct driver_queue *q, const struct driver_buf *bufs, size_t nr);
/* The same as one indirect table at @table. */
u16 driver_add_indirect(struct driver_queue *q, gpa_t table, const struct driver_buf *bufs, size_t nr);
/* Offer the chain that begins at @head, as often as one likes. */
void driver_offer(struct driver_queue *q, u16 head);

/* Take a used chain: false if there is none. */
bool driver_used(struct driver_queue *q, u32 *head, u32 *len);

static inline void *driver_at(struct driver_queue *q, gpa_t gpa)
{
	return gmem_host(q->mem, gpa, 1);
}

#endif
