/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdriver.c - what the driver of a network card says, whoever serves its rings
 */
#include <endian.h>
#include <linux/virtio_net.h>

#include "devices/netdriver.h"
#include "devices/netio.h"
#include "devices/virtio.h"

#define BIT(nr)		(1ull << (nr))

bool netdriver_features(u64 features)
{
	const u64 host = BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
			 BIT(VIRTIO_NET_F_HOST_USO);
	const u64 guest = BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			  BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6);

	return !(features & BIT(VIRTIO_NET_F_MQ)) == !(features & BIT(VIRTIO_NET_F_CTRL_VQ)) &&
	       !(features & host && !(features & BIT(VIRTIO_NET_F_CSUM))) &&
	       !(features & guest && !(features & BIT(VIRTIO_NET_F_GUEST_CSUM)));
}

u32 netdriver_pairs(const struct virtq_chain *chain, u32 max)
{
	struct {
		struct virtio_net_ctrl_hdr	hdr;
		struct virtio_net_ctrl_mq	mq;
	} __attribute__((packed)) cmd = { .hdr = { 0 } };
	u32 nr;

	if (iov_read(chain->iov, chain->nr_out, 0, &cmd, sizeof(cmd)) < sizeof(cmd) ||
	    cmd.hdr.class != VIRTIO_NET_CTRL_MQ || cmd.hdr.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)
		return 0;
	nr = le16toh(cmd.mq.virtqueue_pairs);
	return nr <= max ? nr : 0;
}

void netdriver_answer(struct virtio_queue *q, const struct virtq_chain *chain, u8 ack)
{
	iov_write(chain->iov + chain->nr_out, chain->nr_in, 0, &ack, sizeof(ack));
	virtio_push(q, chain->head, chain->in_len ? sizeof(ack) : 0);
}
