/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.h - the driver's side of virtio, well-formed and not, for tests
 *
 * Rings and buffers are laid out in a guest's RAM of the test's own.  Everything can be
 * written by hand too: .desc and so on are the rings.
 */
#ifndef TESTS_DRIVER_H
#define TESTS_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdatomic.h>

#include "devices/virtio.h"
#include "devices/virtq.h"
#include "vmm/gmem.h"
#include "vmm/types.h"

#define DRIVER_RAM_BASE	GIB(2)
#define DRIVER_RAM_SIZE	MIB(4)

/* Queue @i of a driver has its rings here, and its buffers where they do not meet. */
#define DRIVER_RING(i)	(DRIVER_RAM_BASE + (u64)(i) * KIB(64))
#define DRIVER_DATA	(DRIVER_RAM_BASE + MIB(2))

/* Are rings that are made from now on packed, where the device has them?  False at first. */
extern bool driver_packed;

#define DRIVER_AVAIL	(1u << VRING_PACKED_DESC_F_AVAIL)
#define DRIVER_USED	(1u << VRING_PACKED_DESC_F_USED)
#define DRIVER_WRAP	(1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define DRIVER_IDS	256
#define DRIVER_KEPT	8

struct driver_queue {
	struct gmem		*mem;
	struct virtq_layout	layout;
	struct vring_desc	*desc;
	struct vring_avail	*avail;
	struct vring_used	*used;
	u16			next_desc;
	u16			avail_idx;	/* both kinds: chains that were offered */
	u16			used_idx;	/* as far as it was taken */

	/* The same memory as a packed ring; a place has the wrap counter above the slot. */
	bool				packed;
	struct vring_packed_desc	*slots;
	struct vring_packed_desc_event	*driver_event;
	struct vring_packed_desc_event	*device_event;
	u16				next_slot;	/* places */
	u16				used_slot;
	u16				next_id;
	u16				nr_slots[DRIVER_IDS];	/* of what is with the device */
	struct vring_packed_desc	kept[DRIVER_IDS][DRIVER_KEPT];	/* what it was */
	u16				nr_kept[DRIVER_IDS];
};

struct driver_buf {
	gpa_t	addr;
	u32	len;
	bool	in;		/* the device writes it */
};

void driver_ram(struct gmem *mem);
void driver_queue_init(struct driver_queue *q, struct gmem *mem, u32 i, u32 size);

/* Offer a chain; returns its head, or its id. */
u16 driver_add(struct driver_queue *q, const struct driver_buf *bufs, size_t nr);
/* The same as one indirect table at @table. */
u16 driver_add_indirect(struct driver_queue *q, gpa_t table, const struct driver_buf *bufs, size_t nr);
/* Offer the chain that begins at @head, as often as one likes. */
void driver_offer(struct driver_queue *q, u16 head);

/* Of a packed ring: offer descriptors as they are, but for the flags that say whose they are. */
void driver_offer_slots(struct driver_queue *q, const struct vring_packed_desc *d, size_t nr);

/* Take a used chain: false if there is none. */
bool driver_used(struct driver_queue *q, u32 *head, u32 *len);
/* How many there have been, of 2^16.  Of a packed ring they are taken. */
u16 driver_nr_used(struct driver_queue *q);
/* Does the device want a kick, since what it was before the latest offers? */
struct driver_mark {
	u16	avail_idx;
	u16	next_slot;
};
struct driver_mark driver_mark(const struct driver_queue *q);
bool driver_must_kick(const struct driver_queue *q, struct driver_mark before);

static inline void *driver_at(struct driver_queue *q, gpa_t gpa)
{
	return gmem_host(q->mem, gpa, 1);
}

/*
 * The driver of a whole device, by the calls that a transport makes.  Its loops run when
 * driver_turn() is called, or on threads of the test's.
 */
#define DRIVER_QUEUES	8
#define DRIVER_ACK	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

struct driver {
	struct gmem		mem;
	struct virtio_env	env;
	struct virtio		*dev;
	struct driver_queue	q[DRIVER_QUEUES];
	u32			nr_queues;
	u32			nr_irqs[DRIVER_QUEUES];
	int			irq_fd;		/* of all queues, for a device that hands it on */
	u32			nr_config_irqs;
	u32			nr_was_reset;
	atomic_uint		nr_broken;	/* told by a loop */
	char			why[VMM_MSG_SIZE];
};

/* Memory, which can be shared, and loops, for a device to be made of .env; then take the device. */
void driver_open(struct driver *d, u32 nr_loops);
void driver_attach(struct driver *d, struct virtio *dev);
/* Destroys the device too. */
void driver_close(struct driver *d);

/* Let the loops do what there is to do, and wait for nothing. */
void driver_turn(struct driver *d);

/* Set the status unless @val is negative; returns what it is then. */
u8 driver_status(struct driver *d, int val);
/* Up to FEATURES_OK; was it taken?  With packed rings, if driver_packed is and they are offered. */
bool driver_negotiate(struct driver *d, u64 features);
bool driver_set_queue(struct driver *d, u32 i, const struct virtq_layout *l);
/* All of it, to DRIVER_OK, with rings that are new. */
void driver_start(struct driver *d, u64 features);
void driver_kick(struct driver *d, u32 i);

/* Tests in which nothing depends on the kind of ring: with one, then with the other. */
#define driver_run_each_kind(tests)							\
	({										\
		int driver_failed;							\
											\
		driver_packed = false;							\
		driver_failed = cmocka_run_group_tests_name("split", tests, NULL, NULL);	\
		driver_packed = true;							\
		driver_failed += cmocka_run_group_tests_name("packed", tests, NULL, NULL);	\
		driver_packed = false;							\
		driver_failed;								\
	})

#define driver_locked(d, call)						\
	do {								\
		pthread_mutex_lock(&(d)->dev->lock);			\
		call;							\
		pthread_mutex_unlock(&(d)->dev->lock);			\
	} while (0)

#endif
