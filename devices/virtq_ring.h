/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq_ring.h - the two kinds of ring below virtq.h, and what walks along both
 *
 * The functions are those of virtq.h, for a queue of that kind; virtq.c chooses.
 */
#ifndef DEVICES_VIRTQ_RING_H
#define DEVICES_VIRTQ_RING_H

#include <assert.h>
#include <errno.h>

#include "devices/virtq.h"

/*
 * 2.7.6, 2.7.8: in the avail ring and in the used ring the elements follow the indices, and
 * behind them is the event.
 */
#define SPLIT_IDX		2
#define SPLIT_ELEMENTS		4
#define SPLIT_AVAIL_ELEMENT	2
#define SPLIT_USED_ELEMENT	8

const char *split_check(const struct gmem *mem, const struct virtq_layout *l);
void split_init(struct virtq *vq, const struct virtq_layout *l);
int split_pop(struct virtq *vq, struct virtq_chain *chain);
void split_unpop(struct virtq *vq, u16 head);
void split_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr);
bool split_should_signal(struct virtq *vq);
bool split_enable_kicks(struct virtq *vq);
void split_disable_kicks(struct virtq *vq);

const char *packed_check(const struct gmem *mem, const struct virtq_layout *l);
void packed_init(struct virtq *vq, const struct virtq_layout *l);
int packed_pop(struct virtq *vq, struct virtq_chain *chain);
void packed_unpop(struct virtq *vq, u16 head);
void packed_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr);
bool packed_should_signal(struct virtq *vq);
bool packed_enable_kicks(struct virtq *vq);
void packed_disable_kicks(struct virtq *vq);

/* ---- A driver that breaks the rules ----------------------------------------- */

static inline int virtq_broken(struct virtq *vq, const char *why)
{
	vq->why = why;
	return -EPROTO;
}

/* ---- What is in flight ------------------------------------------------------- */

static inline u64 virtq_bit(u16 head)
{
	return 1ull << head % 64;
}

static inline bool virtq_flies(const struct virtq *vq, u16 head)
{
	return vq->inflight[head / 64] & virtq_bit(head);
}

static inline void virtq_took(struct virtq *vq, u16 head)
{
	vq->inflight[head / 64] |= virtq_bit(head);
	vq->nr_inflight++;
}

static inline void virtq_landed(struct virtq *vq, u16 head)
{
	assert(head < vq->size && virtq_flies(vq, head));
	vq->inflight[head / 64] &= ~virtq_bit(head);
	vq->nr_inflight--;
}

/* ---- A chain ------------------------------------------------------------------- */

static inline void virtq_begin(struct virtq_chain *chain)
{
	chain->nr_out = chain->nr_in = 0;
	chain->out_len = chain->in_len = 0;
}

static inline int virtq_add(struct virtq *vq, struct virtq_chain *chain, gpa_t addr, u32 len, bool in)
{
	u32 nr = chain->nr_out + chain->nr_in;
	u32 *sum = in ? &chain->in_len : &chain->out_len;

	if (!len)
		return virtq_broken(vq, "a buffer is empty");
	if (!in && chain->nr_in)
		return virtq_broken(vq, "a buffer to read follows one to write");
	if (nr == chain->max)
		return virtq_broken(vq, "a chain has more buffers than the device takes");
	if (gmem_iov(vq->mem, addr, len, &chain->iov[nr]))
		return virtq_broken(vq, "a buffer is not in RAM");
	if (__builtin_add_overflow(*sum, len, sum))
		return virtq_broken(vq, "a chain has 4 GiB or more");
	if (in)
		chain->nr_in++;
	else
		chain->nr_out++;
	return 0;
}

/* A descriptor is 16 bytes in either kind. */
#define VIRTQ_DESC_SIZE	16u

/* The table of @nr descriptors that is at @addr. */
static inline int virtq_enter(struct virtq *vq, gpa_t addr, u32 len, struct gview *table, u32 *nr)
{
	if (!vq->indirect)
		return virtq_broken(vq, "an indirect table was not negotiated");
	if (!len || len % VIRTQ_DESC_SIZE)
		return virtq_broken(vq, "an indirect table is no whole number of descriptors");
	if (gview_init(table, vq->mem, addr, len))
		return virtq_broken(vq, "an indirect table is not in RAM");
	*nr = len / VIRTQ_DESC_SIZE;
	return 0;
}

#endif
