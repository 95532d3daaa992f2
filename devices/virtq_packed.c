/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq_packed.c - the device's side of a packed virtqueue (virtio 1.2, 2.8)
 *
 * One ring holds what the driver offers and what it gets back: a chain lies in slots that
 * follow one another, and one used descriptor stands for all of them.  Whose a slot is
 * say two bits of its flags against a wrap counter, which changes with every round.
 *
 * Nothing the driver wrote is read twice: the flags of a chain's first slot, then each
 * descriptor once, copied out, checked, then used.  A walk is bounded by the slots that
 * are not in flight, and what is in flight by a bit a buffer id.
 */
#include <linux/virtio_ring.h>

#include "devices/virtq_ring.h"

/* 2.8.13 */
#define DESC_LEN	8
#define DESC_ID		12
#define DESC_FLAGS	14
#define F_AVAIL		(1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED		(1u << VRING_PACKED_DESC_F_USED)

/* 2.8.14 */
#define EVENT_PLACE	0
#define EVENT_FLAGS	2
#define EVENT_SIZE	4
#define EVENT_MASK	3u

/* 2.8.10.1 */
#define DESC_ALIGN	16
#define EVENT_ALIGN	4

/* A place is a slot, and above it the wrap counter of who is there, as in an event. */
#define WRAP		(1u << VRING_PACKED_EVENT_F_WRAP_CTR)

_Static_assert(sizeof(struct vring_packed_desc) == VIRTQ_DESC_SIZE, "2.8.13");
_Static_assert(VIRTQ_MAX_SIZE < WRAP, "there is room for both");

/* Any size will do (2.8.10.1). */
const char *packed_check(const struct gmem *mem, const struct virtq_layout *l)
{
	if (!l->size)
		return "its size is 0";
	if (l->desc % DESC_ALIGN || l->avail % EVENT_ALIGN || l->used % EVENT_ALIGN)
		return "a part of its ring is not aligned";
	if (!gmem_covers(mem, l->desc, (u64)l->size * VIRTQ_DESC_SIZE) ||
	    !gmem_covers(mem, l->avail, EVENT_SIZE) || !gmem_covers(mem, l->used, EVENT_SIZE))
		return "a part of its ring is not in RAM";
	return NULL;
}

/* Both wrap counters begin as 1 (2.8.1). */
void packed_init(struct virtq *vq, const struct virtq_layout *l)
{
	vq->next_avail = vq->used_idx = WRAP;
	gview_init(&vq->desc, vq->mem, l->desc, (u64)l->size * VIRTQ_DESC_SIZE);
	gview_init(&vq->avail, vq->mem, l->avail, EVENT_SIZE);
	gview_init(&vq->used, vq->mem, l->used, EVENT_SIZE);
	assert(vq->desc.host && vq->avail.host && vq->used.host);
}

static u16 slot(u16 place)
{
	return place & (u16)~WRAP;
}

static u64 at(u16 place)
{
	return (u64)slot(place) * VIRTQ_DESC_SIZE;
}

/* @nr slots on, at most a round. */
static u16 onwards(const struct virtq *vq, u16 place, u32 nr)
{
	u32 next = slot(place) + nr;

	return next < vq->size ? (u16)(place + nr) : (u16)((next - vq->size) | (~place & WRAP));
}

static u16 backwards(const struct virtq *vq, u16 place, u32 nr)
{
	return slot(place) >= nr ? (u16)(place - nr) :
				   (u16)((slot(place) + vq->size - nr) | (~place & WRAP));
}

/* ---- Taking -------------------------------------------------------------- */

/* 2.8.1: one bit is the driver's wrap counter, the other is not. */
static bool is_available(u16 flags, u16 place)
{
	return (flags & (F_AVAIL | F_USED)) == (place & WRAP ? F_AVAIL : F_USED);
}

/*
 * 2.8.7: the descriptors of a table follow one another, of their flags only one counts,
 * and so none of them leads into another table.
 */
static int walk_table(struct virtq *vq, struct virtq_chain *chain, const struct vring_packed_desc *in)
{
	struct vring_packed_desc d;
	struct gview table;
	u32 nr = 0;
	int ret;

	ret = virtq_enter(vq, in->addr, in->len, &table, &nr);
	if (!ret && nr > vq->size)
		ret = virtq_broken(vq, "a chain is longer than the queue");
	for (u32 i = 0; i < nr && !ret; i++) {
		gview_read(&table, (u64)i * sizeof(d), &d, sizeof(d));
		ret = virtq_add(vq, chain, d.addr, d.len, d.flags & VRING_DESC_F_WRITE);
	}
	return ret;
}

/* The chain whose first slot is next and has @flags: how many slots it takes, or -EPROTO. */
static int walk(struct virtq *vq, struct virtq_chain *chain, u16 flags)
{
	const u32 room = vq->size - vq->nr_slots;
	struct vring_packed_desc d;
	u16 place = vq->next_avail;

	for (u32 nr = 1; nr <= room; nr++) {
		gview_read(&vq->desc, at(place), &d, sizeof(d));
		if (nr == 1)
			d.flags = flags;
		/* All of them are before the first is (2.8.6, 2.8.17). */
		else if (!is_available(d.flags, place))
			return virtq_broken(vq, "a chain goes on where nothing is offered");
		if (d.flags & VRING_DESC_F_INDIRECT && (nr > 1 || d.flags & VRING_DESC_F_NEXT))
			return virtq_broken(vq, "an indirect table is not all of its chain");
		if (d.flags & VRING_DESC_F_INDIRECT ? walk_table(vq, chain, &d) :
		    virtq_add(vq, chain, d.addr, d.len, d.flags & VRING_DESC_F_WRITE))
			return -EPROTO;
		if (!(d.flags & VRING_DESC_F_NEXT)) {
			chain->head = d.id;	/* the last one has it (2.8.6) */
			return (int)nr;
		}
		place = onwards(vq, place, 1);
	}
	return virtq_broken(vq, "it offers more descriptors than the ring has room for");
}

int packed_pop(struct virtq *vq, struct virtq_chain *chain)
{
	/* The driver's barrier before it writes them is the partner (2.8.21.1.1). */
	u16 flags = gview_load16_acquire(&vq->desc, at(vq->next_avail) + DESC_FLAGS);
	int nr;

	if (!is_available(flags, vq->next_avail))
		return 0;
	virtq_begin(chain);
	nr = walk(vq, chain, flags);
	if (nr < 0)
		return nr;
	/* Ids are the driver's choice: 2.8.22 has it have no more than there are slots. */
	if (chain->head >= vq->size)
		return virtq_broken(vq, "the id of a chain is not below the size of the queue");
	if (virtq_flies(vq, chain->head))
		return virtq_broken(vq, "it offers a chain that is still in flight");
	vq->next_avail = onwards(vq, vq->next_avail, (u32)nr);
	vq->slots[chain->head] = (u16)nr;
	vq->nr_slots += (u16)nr;
	virtq_took(vq, chain->head);
	return 1;
}

/* The slots that it is in are free again; how many. */
static u16 land(struct virtq *vq, u16 head)
{
	u16 nr = vq->slots[head];

	virtq_landed(vq, head);
	vq->nr_slots -= nr;
	return nr;
}

void packed_unpop(struct virtq *vq, u16 head)
{
	vq->next_avail = backwards(vq, vq->next_avail, land(vq, head));
}

/* ---- Giving back ------------------------------------------------------------ */

/* 2.8.1: both bits are the device's wrap counter; 2.8.4: there is a length only with WRITE. */
static u16 used_flags(u16 place, u32 len)
{
	return (u16)((place & WRAP ? F_AVAIL | F_USED : 0) | (len ? VRING_DESC_F_WRITE : 0));
}

/*
 * A used descriptor is in the first of as many slots as the chain had, which need not be
 * the chain's own: they are given back in the order in which they are done with (2.8.12).
 * The driver looks at one slot alone, the next (2.8.2): what follows it is written before.
 */
void packed_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr)
{
	const u16 first = vq->used_idx;

	assert(nr);
	for (u32 i = 0; i < nr; i++) {
		const u16 place = vq->used_idx;
		const u16 slots = land(vq, used[i].head);

		gview_store32(&vq->desc, at(place) + DESC_LEN, used[i].len);
		gview_store16(&vq->desc, at(place) + DESC_ID, used[i].head);
		if (i)
			gview_store16(&vq->desc, at(place) + DESC_FLAGS, used_flags(place, used[i].len));
		vq->used_idx = onwards(vq, place, slots);
		vq->nr_unsignalled += slots;
	}
	/* The driver's acquire of the flags is the partner: descriptors and buffers are whole. */
	gview_store16_release(&vq->desc, at(first) + DESC_FLAGS, used_flags(first, used[0].len));
}

/* ---- Who is told when ---------------------------------------------------------- */

/* Is the slot that the driver waits for among the @nr before the next to be used? */
static bool has_passed(const struct virtq *vq, u16 event, u32 nr)
{
	u16 next = slot(vq->used_idx);
	u16 waited = slot(event);

	/* Of the round before, in which slots count on to below 0. */
	if ((event ^ vq->used_idx) & WRAP)
		waited = (u16)(waited - vq->size);
	return vring_need_event(waited, next, (u16)(next - nr));
}

/*
 * The driver writes what it wants, then looks at the next slot; we write the slots, then
 * look at what it wants.  Each has a full barrier in between (2.8.21.2.1 has the driver's
 * for its half), so that one of us sees the other.
 */
bool packed_should_signal(struct virtq *vq)
{
	u32 nr = vq->nr_unsignalled;
	u16 flags;

	if (!nr)
		return false;
	vq->nr_unsignalled = 0;
	gview_fence();
	/* It writes the place before the flags that make it count. */
	flags = gview_load16_acquire(&vq->avail, EVENT_FLAGS) & EVENT_MASK;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vq->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* A round is all that a place can tell. */
	return has_passed(vq, gview_load16(&vq->avail, EVENT_PLACE), nr < vq->size ? nr : vq->size);
}

bool packed_enable_kicks(struct virtq *vq)
{
	u16 flags = VRING_PACKED_EVENT_FLAG_ENABLE;

	if (vq->event_idx) {
		gview_store16(&vq->used, EVENT_PLACE, vq->next_avail);
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	}
	gview_store16_release(&vq->used, EVENT_FLAGS, flags);
	gview_fence();
	return is_available(gview_load16(&vq->desc, at(vq->next_avail) + DESC_FLAGS), vq->next_avail);
}

/* With an event index there is nothing to do: the event lies behind. */
void packed_disable_kicks(struct virtq *vq)
{
	if (!vq->event_idx)
		gview_store16(&vq->used, EVENT_FLAGS, VRING_PACKED_EVENT_FLAG_DISABLE);
}
