/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdriver.h - what the driver of a network card says, whoever serves its rings
 */
#ifndef DEVICES_NETDRIVER_H
#define DEVICES_NETDRIVER_H

#include "vmm/types.h"

struct virtio_queue;
struct virtq_chain;

/*
 * Do these features make sense together?  virtio 1.2, 5.1.3.1: segments of ours have
 * checksums that are to be made.  The control queue is for pairs of queues alone, and
 * without them it would be another one.
 */
bool netdriver_features(u64 features);

/*
 * Of a command on the control queue: how many pairs of queues, of at most @max, the driver
 * is to use.  0: it makes no sense.
 */
u32 netdriver_pairs(const struct virtq_chain *chain, u32 max);

/* Give it back with its answer, VIRTIO_NET_OK or VIRTIO_NET_ERR. */
void netdriver_answer(struct virtio_queue *q, const struct virtq_chain *chain, u8 ack);

#endif
