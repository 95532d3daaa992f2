/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user_net.c - a network card that another process serves (virtio 1.2, 5.1)
 *
 * The backend has the rings that frames are on; passt(1) is one.  Ours is the
 * configuration, and with several pairs of queues the control queue behind them, by which
 * the driver says how many it uses (5.1.6.5.5): a ring that it does not use is not
 * enabled, and none is while the cable is out.  The link is up while there is a backend;
 * a card that waits for another goes on with that.
 *
 * All of this happens at home, where all rings are, but for vhost_user_net_link().
 */
#include <endian.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "devices/netdriver.h"
#include "devices/netio.h"
#include "devices/vhost_user.h"
#include "devices/vhost_user_net.h"
#include "devices/virtio.h"
#include "vmm/error.h"

#define QUEUE_SIZE	256
#define BIT(nr)		(1ull << (nr))

_Static_assert(2 * VHOST_USER_NET_PAIRS <= VHOST_USER_MAX_QUEUES, "two a pair");

/* What a backend may do with frames. */
#define FRAME_FEATURES								\
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |		\
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |		\
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) |		\
	 BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_TSO4) |		\
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |		\
	 BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_GUEST_USO4) |		\
	 BIT(VIRTIO_NET_F_GUEST_USO6) | BIT(VIRTIO_NET_F_MRG_RXBUF))

struct card {
	struct virtio		*dev;
	u32			nr_pairs;
	u32			used;		/* pairs, by the driver */
	bool			connected;	/* there is a backend */
	bool			cable;		/* is in */
	struct loop_msg		cable_msg;
	/* A command that waits for the backend. */
	bool			pending;
	struct virtq_chain	chain;
	struct iovec		iov[QUEUE_SIZE];

	bool			new_cable;	/* under the device's lock: how it shall be */
};

static struct card *of(const struct virtio *dev)
{
	return dev->queues[0].priv;
}

/* ---- The rings that are enabled, and the link ------------------------------------ */

/* True: the backend has done it. */
static bool enable(struct card *c)
{
	u32 nr = c->cable ? 2 * c->used : 0;

	return vhost_user_enable(c->dev, BIT(nr) - 1);
}

static void tell_link(struct card *c)
{
	const __virtio16 status = htole16(c->connected && c->cable ? VIRTIO_NET_S_LINK_UP : 0);
	const u32 off = offsetof(struct virtio_net_config, status);

	if (memcmp(c->dev->config + off, &status, sizeof(status)))
		virtio_set_config(c->dev, off, &status, sizeof(status));
}

static void linked(struct virtio *dev, bool up)
{
	of(dev)->connected = up;
	tell_link(of(dev));
}

static void on_cable(void *arg)
{
	struct card *c = arg;

	pthread_mutex_lock(&c->dev->lock);
	c->cable = c->new_cable;
	pthread_mutex_unlock(&c->dev->lock);
	enable(c);
	tell_link(c);
}

void vhost_user_net_link(struct virtio *dev, bool up)
{
	struct card *c = of(dev);

	pthread_mutex_lock(&dev->lock);
	c->new_cable = up;
	pthread_mutex_unlock(&dev->lock);
	loop_post(dev->queues[0].loop, &c->cable_msg);
}

/* ---- The control queue ------------------------------------------------------------- */

static struct virtio_queue *control(const struct card *c)
{
	return &c->dev->queues[2 * c->nr_pairs];
}

/* False: the command waits for the backend. */
static bool carry_out(struct card *c, struct virtio_queue *q)
{
	u32 nr = netdriver_pairs(&c->chain, c->nr_pairs);

	if (nr) {
		c->used = nr;
		c->pending = !enable(c);
	}
	if (!c->pending)
		netdriver_answer(q, &c->chain, nr ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
	return !c->pending;
}

static bool kick(struct virtio_queue *q)
{
	struct card *c = of(q->dev);

	while (!c->pending) {
		c->chain = (struct virtq_chain){ .iov = c->iov, .max = QUEUE_SIZE };
		if (!virtio_pop(q, &c->chain))
			return true;
		if (!carry_out(c, q))
			break;
	}
	return false;
}

static void settled(struct virtio *dev)
{
	struct card *c = of(dev);

	if (!c->pending)
		return;
	c->pending = false;
	netdriver_answer(control(c), &c->chain, VIRTIO_NET_OK);
	virtio_run(control(c));
}

static void stop_queue(struct virtio_queue *q)
{
	struct card *c = of(q->dev);

	if (c->pending)
		virtio_push(q, c->chain.head, 0);
	c->pending = false;
}

/* ---- The device ---------------------------------------------------------------------- */

static bool accept(struct virtio *dev, u64 features)
{
	(void)dev;
	return netdriver_features(features);
}

/* A driver uses one pair until it says otherwise. */
static int start(struct virtio *dev)
{
	of(dev)->used = 1;
	enable(of(dev));
	return vhost_user_start(dev);
}

static void destroy(struct virtio *dev)
{
	struct card *c = of(dev);

	while (c && c->cable_msg.queued && !loop_dispatch(dev->queues[0].loop))
		;
	vhost_user_destroy(dev);
	free(c);
}

#define CARD_OPS			\
	.name = "net",			\
	.id = VIRTIO_ID_NET,		\
	.queue_size = QUEUE_SIZE,	\
	.accept = accept,		\
	.start = start,			\
	.stop = vhost_user_stop,	\
	.destroy = destroy

static const struct virtio_ops ops = {
	CARD_OPS,
	.kick = kick,			/* of the control queue, as the next one */
	.stop_queue = stop_queue,
};

/* Frames may come twice, or not at all. */
static const struct virtio_ops waiting_ops = {
	CARD_OPS,
	VHOST_USER_RELAY_OPS,
};

static int make(struct virtio **dev, const struct virtio_env *env, u32 index, u32 nr_pairs,
		const struct vhost_user_net_params *params, struct vmm_error *err)
{
	struct virtio_net_config config = {
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16((u16)nr_pairs),
		.mtu = htole16(params->mtu),
	};
	const bool several = nr_pairs > 1;
	const struct vhost_user_config cfg = {
		.ops = params->waits ? &waiting_ops : &ops,
		.nr_queues = 2 * nr_pairs,
		.nr_own = several,
		.nr_pairs = nr_pairs,
		.features = FRAME_FEATURES | (several ? BIT(VIRTIO_NET_F_MQ) : 0),
		.own_features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
				(params->mtu ? BIT(VIRTIO_NET_F_MTU) : 0) |
				(several ? BIT(VIRTIO_NET_F_CTRL_VQ) : 0),
		.mtu = params->mtu,
		.fd = params->fd,
		.config = &config,
		.config_size = offsetof(struct virtio_net_config, speed),
		.linked = linked,
		.settled = settled,
		.waits = params->waits,
	};

	memcpy(config.mac, params->mac, sizeof(config.mac));
	return vhost_user_create(dev, env, index, &cfg, err);
}

int vhost_user_net_create(struct virtio **out, const struct virtio_env *env, u32 index,
			  const struct vhost_user_net_params *params, struct vmm_error *err)
{
	const u32 nr_pairs = params->nr_pairs ? params->nr_pairs : 1;
	struct card *c = calloc(1, sizeof(*c));
	struct virtio *dev;
	int ret;

	if (!c)
		return error_set(err, -ENOMEM, "net%u: no memory", index);
	ret = make(&dev, env, index, nr_pairs, params, err);
	if (ret) {
		free(c);
		return ret;
	}
	*c = (struct card){
		.dev = dev, .nr_pairs = nr_pairs, .used = 1, .connected = true, .cable = true,
		.new_cable = true, .cable_msg = { .fn = on_cable, .arg = c },
	};
	dev->queues[0].priv = c;
	if (nr_pairs > 1 && !(dev->offered & BIT(VIRTIO_NET_F_MQ))) {
		ret = error_set(err, -ENOTSUP, "%s: its backend has no more than one pair of queues",
				dev->name);
		virtio_destroy(dev);
		return ret;
	}
	*out = dev;
	return 0;
}
