/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - the device's side of a virtqueue, of either kind
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "devices/virtq.h"
#include "devices/virtq_ring.h"

static bool is_packed(u64 features)
{
	return features & 1ull << VIRTIO_F_RING_PACKED;
}

const char *virtq_check(const struct gmem *mem, const struct virtq_layout *l, u32 max_size,
			u64 features)
{
	if (l->size > max_size || l->size > VIRTQ_MAX_SIZE)
		return "its size is above the maximum";
	return is_packed(features) ? packed_check(mem, l) : split_check(mem, l);
}

void virtq_init(struct virtq *vq, const struct gmem *mem, const struct virtq_layout *l, u64 features)
{
	*vq = (struct virtq){
		.mem = mem,
		.size = (u16)l->size,
		.event_idx = features & 1ull << VIRTIO_RING_F_EVENT_IDX,
		.indirect = features & 1ull << VIRTIO_RING_F_INDIRECT_DESC,
		.packed = is_packed(features),
	};
	if (vq->packed)
		packed_init(vq, l);
	else
		split_init(vq, l);
}

int virtq_pop(struct virtq *vq, struct virtq_chain *chain)
{
	if (vq->why)
		return -EPROTO;
	return vq->packed ? packed_pop(vq, chain) : split_pop(vq, chain);
}

void virtq_unpop(struct virtq *vq, u16 head)
{
	if (vq->packed)
		packed_unpop(vq, head);
	else
		split_unpop(vq, head);
}

void virtq_push_all(struct virtq *vq, const struct virtq_used *used, u32 nr)
{
	if (vq->packed)
		packed_push_all(vq, used, nr);
	else
		split_push_all(vq, used, nr);
}

void virtq_push(struct virtq *vq, u16 head, u32 len)
{
	const struct virtq_used used = { .head = head, .len = len };

	virtq_push_all(vq, &used, 1);
}

bool virtq_should_signal(struct virtq *vq)
{
	return vq->packed ? packed_should_signal(vq) : split_should_signal(vq);
}

bool virtq_enable_kicks(struct virtq *vq)
{
	if (vq->why)
		return false;
	return vq->packed ? packed_enable_kicks(vq) : split_enable_kicks(vq);
}

void virtq_disable_kicks(struct virtq *vq)
{
	if (vq->packed)
		packed_disable_kicks(vq);
	else
		split_disable_kicks(vq);
}
