/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.h - the device's side of a virtqueue, split or packed (virtio 1.2, 2.7 and 2.8)
 *
 * A queue belongs to one I/O thread, which alone calls these functions.  A driver that
 * breaks the rules gets -EPROTO from virtq_pop(), with the rule in .why, and nothing
 * of the queue is looked at any more.  Which kind of ring it has was negotiated, and shows
 * in nothing that these functions do.
 */
#ifndef DEVICES_VIRTQ_H
#define DEVICES_VIRTQ_H

#include <sys/uio.h>

#include "vmm/gmem.h"
#include "vmm/types.h"

#define VIRTQ_MAX_SIZE	1024

/*
 * What the driver wrote to the queue's registers.  In a packed queue .desc is all of the
 * ring, .avail what the driver wants to be told, and .used what the device wants to be.
 */
struct virtq_layout {
	u32	size;
	gpa_t	desc;
	gpa_t	avail;
	gpa_t	used;
};

/*
 * A chain of buffers that the driver offers: .nr_out elements to be read, then .nr_in
 * to be written, all of them RAM and none of them empty.
 */
struct virtq_chain {
	struct iovec	*iov;		/* the caller's, of .max elements */
	u32		max;
	u16		head;		/* its name, until virtq_push(); below .size */
	u16		nr_out;
	u16		nr_in;
	u32		out_len;	/* bytes */
	u32		in_len;
};

/* A chain that is given back, with how many bytes were written to it. */
struct virtq_used {
	u16	head;
	u32	len;
};

struct virtq {
	const struct gmem	*mem;
	struct gview		desc;
	struct gview		avail;
	struct gview		used;
	u16			size;
	u16			next_avail;	/* the next to take */
	u16			used_idx;	/* the next to give back */
	u16			nr_inflight;
	bool			event_idx;
	bool			indirect;
	bool			packed;
	const char		*why;		/* NULL: the driver keeps to the rules */
	u64			inflight[VIRTQ_MAX_SIZE / 64];

	/* Of a split ring. */
	u16			avail_idx;	/* as far as it was read */
	u16			signalled;	/* .used_idx at the last look at the event */

	/* Of a packed one, in slots of the ring. */
	u16			nr_slots;	/* in flight */
	u32			nr_unsignalled;	/* used since the last look at the event */
	u16			slots[VIRTQ_MAX_SIZE];	/* of what is in flight, each */
};

/*
 * What is wrong with @layout, of a queue of at most @max_size; NULL: nothing.  @features
 * are those that were negotiated.
 */
const char *virtq_check(const struct gmem *mem, const struct virtq_layout *layout, u32 max_size,
			u64 features);

/* Begin with a layout that has passed, with the same features. */
void virtq_init(struct virtq *vq, const struct gmem *mem, const struct virtq_layout *layout,
		u64 features);

/*
 * Take the next chain.  1, 0 if there is none, -EPROTO; also for a chain of more than
 * @chain->max elements, which the caller has told the driver not to make.
 */
int virtq_pop(struct virtq *vq, struct virtq_chain *chain);

/* Give a chain back with @len bytes written to it; in any order, each once. */
void virtq_push(struct virtq *vq, u16 head, u32 len);
/* Several at once: the driver sees all of them or none. */
void virtq_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr);

/* Take back the latest pop, as if it had not been. */
void virtq_unpop(struct virtq *vq, u16 head);

/* Was @head, which is within the queue, taken and not yet given back? */
static inline bool virtq_is_inflight(const struct virtq *vq, u16 head)
{
	return vq->inflight[head / 64] >> head % 64 & 1;
}

/* Does the driver want an interrupt for what was pushed since the last call? */
bool virtq_should_signal(struct virtq *vq);

/* Ask to be kicked.  True if there is something already, and no kick may come for it. */
bool virtq_enable_kicks(struct virtq *vq);
void virtq_disable_kicks(struct virtq *vq);

#endif
