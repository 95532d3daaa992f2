/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_rng.c - random numbers for the guest (virtio 1.2, 5.4)
 *
 * A host that has none yet, which is so early in its boot alone, is asked again a
 * little later; meanwhile the driver's buffers stay where they are.
 */
#include <liburing.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "devices/virtio.h"
#include "devices/virtio_rng.h"
#include "vmm/error.h"

#define QUEUE_SIZE	8
/* Of one chain: the driver sees how much it got, and a long one would hold up others. */
#define LONGEST		KIB(4)
#define RETRY_NS	100000000

struct virtio_rng {
	struct virtio	virtio;		/* first */
	virtio_rng_fill	*fill;
	struct loop_io	retry;
	struct iovec	iov[QUEUE_SIZE];
};

/* How much there was; less than nothing: ask later. */
static ssize_t fill_chain(struct virtio_rng *rng, const struct virtq_chain *chain)
{
	const struct iovec *in = &chain->iov[chain->nr_out];
	size_t done = 0;

	for (u32 i = 0; i < chain->nr_in && done < LONGEST; i++) {
		size_t len = in[i].iov_len < LONGEST - done ? in[i].iov_len : LONGEST - done;
		ssize_t n = rng->fill(in[i].iov_base, len, GRND_NONBLOCK);

		if (n < 0)
			return done ? (ssize_t)done : n;
		done += (size_t)n;
		if ((size_t)n < len)
			break;
	}
	return (ssize_t)done;
}

static void ask_later(struct virtio_rng *rng, struct virtio_queue *q)
{
	static const struct __kernel_timespec delay = { .tv_nsec = RETRY_NS };

	io_uring_prep_timeout(loop_sqe(q->loop, &rng->retry),
			      (struct __kernel_timespec *)&delay, 0, 0);
}

static bool kick(struct virtio_queue *q)
{
	struct virtio_rng *rng = (struct virtio_rng *)q->dev;
	struct virtq_chain chain = { .iov = rng->iov, .max = QUEUE_SIZE };

	if (rng->retry.busy)
		return false;
	while (virtio_pop(q, &chain)) {
		ssize_t n = fill_chain(rng, &chain);

		if (n < 0) {
			virtio_unpop(q, chain.head);
			ask_later(rng, q);
			return false;
		}
		virtio_push(q, chain.head, (u32)n);
	}
	return true;
}

static void on_retry(struct loop_io *io, int res)
{
	(void)res;
	virtio_run(io->arg);
}

static void stop_queue(struct virtio_queue *q)
{
	loop_cancel(q->loop, &((struct virtio_rng *)q->dev)->retry);
}

static void destroy(struct virtio *dev)
{
	virtio_fini(dev);
	free(dev);
}

static const struct virtio_ops ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.nr_queues = 1,
	.queue_size = QUEUE_SIZE,
	.kick = kick,
	.stop_queue = stop_queue,
	.destroy = destroy,
};

int virtio_rng_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      virtio_rng_fill *fill, struct vmm_error *err)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return error_set(err, -ENOMEM, "rng%u: no memory", index);
	ret = virtio_init(&rng->virtio, &ops, env, index, 0, 0, 0, err);
	if (ret) {
		destroy(&rng->virtio);
		return ret;
	}
	rng->fill = fill;
	rng->retry = (struct loop_io){ .done = on_retry, .arg = &rng->virtio.queues[0] };
	*dev = &rng->virtio;
	return 0;
}
