/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq_split.c - the device's side of a split virtqueue (virtio 1.2, 2.7)
 *
 * Nothing the driver wrote is read twice: idx, head and descriptors are copied out,
 * checked, then used.  A walk is bounded by the size of the queue, which no chain may
 * exceed (2.7.5.3.1), and what is in flight by a bit a head.
 */
#include <linux/virtio_ring.h>

#include "devices/virtq_ring.h"

#define RING_FLAGS	0
#define EVENT		2

static u64 avail_size(u32 size)
{
	return SPLIT_ELEMENTS + (u64)size * SPLIT_AVAIL_ELEMENT + EVENT;
}

static u64 used_size(u32 size)
{
	return SPLIT_ELEMENTS + (u64)size * SPLIT_USED_ELEMENT + EVENT;
}

const char *split_check(const struct gmem *mem, const struct virtq_layout *l)
{
	if (!is_power_of_2(l->size))
		return "its size is no power of two";
	if (l->desc % VRING_DESC_ALIGN_SIZE || l->avail % VRING_AVAIL_ALIGN_SIZE ||
	    l->used % VRING_USED_ALIGN_SIZE)
		return "a ring is not aligned";
	if (!gmem_covers(mem, l->desc, (u64)l->size * sizeof(struct vring_desc)) ||
	    !gmem_covers(mem, l->avail, avail_size(l->size)) ||
	    !gmem_covers(mem, l->used, used_size(l->size)))
		return "a ring is not in RAM";
	return NULL;
}

void split_init(struct virtq *vq, const struct virtq_layout *l)
{
	gview_init(&vq->desc, vq->mem, l->desc, (u64)l->size * sizeof(struct vring_desc));
	gview_init(&vq->avail, vq->mem, l->avail, avail_size(l->size));
	gview_init(&vq->used, vq->mem, l->used, used_size(l->size));
	assert(vq->desc.host && vq->avail.host && vq->used.host);
}

/* ---- Taking -------------------------------------------------------------- */

/* The head that is next: 1, 0, -EPROTO. */
static int next_head(struct virtq *vq, u16 *head)
{
	if (vq->next_avail == vq->avail_idx) {
		/* The driver's release of idx is the partner: entries before it are whole. */
		vq->avail_idx = gview_load16_acquire(&vq->avail, SPLIT_IDX);
		if (vq->next_avail == vq->avail_idx)
			return 0;
		if ((u16)(vq->avail_idx - vq->next_avail) > vq->size)
			return virtq_broken(vq, "it offers more chains than the queue has room for");
	}
	*head = gview_load16(&vq->avail, SPLIT_ELEMENTS +
			     (u64)(vq->next_avail & (vq->size - 1)) * SPLIT_AVAIL_ELEMENT);
	if (*head >= vq->size)
		return virtq_broken(vq, "the head of a chain is outside of the table");
	if (virtq_flies(vq, *head))
		return virtq_broken(vq, "it offers a chain that is still in flight");
	return 1;
}

static int walk(struct virtq *vq, struct virtq_chain *chain)
{
	struct gview table = vq->desc;
	u32 nr = vq->size;		/* descriptors in the table */
	u32 next = chain->head;
	bool nested = false;
	struct vring_desc d;
	u32 len = 0;

	for (;;) {
		gview_read(&table, (u64)next * sizeof(d), &d, sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (nested)
				return virtq_broken(vq, "an indirect table is inside another");
			if (d.flags & VRING_DESC_F_NEXT)
				return virtq_broken(vq, "an indirect table is not the end of its chain");
			if (virtq_enter(vq, d.addr, d.len, &table, &nr))
				return -EPROTO;
			nested = true;
			next = 0;
			continue;
		}
		if (++len > vq->size)
			return virtq_broken(vq, "a chain is longer than the queue");
		if (virtq_add(vq, chain, d.addr, d.len, d.flags & VRING_DESC_F_WRITE))
			return -EPROTO;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		next = d.next;
		if (next >= nr)
			return virtq_broken(vq, "a chain goes on outside of its table");
	}
}

int split_pop(struct virtq *vq, struct virtq_chain *chain)
{
	int ret = next_head(vq, &chain->head);

	if (ret <= 0)
		return ret;
	virtq_begin(chain);
	ret = walk(vq, chain);
	if (ret)
		return ret;
	vq->next_avail++;
	virtq_took(vq, chain->head);
	return 1;
}

void split_unpop(struct virtq *vq, u16 head)
{
	virtq_landed(vq, head);
	vq->next_avail--;
}

/* ---- Giving back ------------------------------------------------------------ */

void split_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		u64 at = SPLIT_ELEMENTS + (u64)(vq->used_idx++ & (vq->size - 1)) * SPLIT_USED_ELEMENT;

		virtq_landed(vq, used[i].head);
		gview_store32(&vq->used, at, used[i].head);
		gview_store32(&vq->used, at + 4, used[i].len);
	}
	/* The driver's acquire of idx is the partner: elements and buffers are whole. */
	gview_store16_release(&vq->used, SPLIT_IDX, vq->used_idx);
}

/* used_event, behind the available ring (2.7.7); avail_event, behind the used ring. */
static u64 used_event(const struct virtq *vq)
{
	return SPLIT_ELEMENTS + (u64)vq->size * SPLIT_AVAIL_ELEMENT;
}

static u64 avail_event(const struct virtq *vq)
{
	return SPLIT_ELEMENTS + (u64)vq->size * SPLIT_USED_ELEMENT;
}

/*
 * The driver writes what it wants, then looks at idx; we write idx, then look at what
 * it wants.  Each does both in this order, so that one of us sees the other.
 */
bool split_should_signal(struct virtq *vq)
{
	u16 old = vq->signalled;

	if (old == vq->used_idx)
		return false;
	vq->signalled = vq->used_idx;
	gview_swap16(&vq->used, SPLIT_IDX, vq->used_idx);
	if (!vq->event_idx)
		return !(gview_load16_ordered(&vq->avail, RING_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(gview_load16_ordered(&vq->avail, used_event(vq)), vq->used_idx, old);
}

bool split_enable_kicks(struct virtq *vq)
{
	if (vq->event_idx)
		gview_swap16(&vq->used, avail_event(vq), vq->next_avail);
	else
		gview_swap16(&vq->used, RING_FLAGS, 0);
	return gview_load16_ordered(&vq->avail, SPLIT_IDX) != vq->next_avail;
}

/* With an event index there is nothing to do: the event lies behind. */
void split_disable_kicks(struct virtq *vq)
{
	if (!vq->event_idx)
		gview_store16(&vq->used, RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}
