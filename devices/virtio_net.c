/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_net.c - a network card (virtio 1.2, 5.1)
 *
 * Queue 0 receives, queue 1 transmits, on one loop.  Frames to transmit are with the
 * backend before the turn ends, or back on the ring until it has room.  Buffers to
 * receive to are held before there is a frame, as many as the longest one takes; for a
 * driver that offers less the next frame's length is found out first.
 */
#include <endian.h>
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/netio.h"
#include "devices/vhost_net.h"
#include "devices/virtio.h"
#include "devices/virtio_net.h"
#include "vmm/error.h"

#define RX		0
#define TX		1
#define QUEUE_SIZE	256
#define IOV_SIZE	1024		/* UIO_MAXIOV */
#define FRAMES_A_RUN	256
#define BIT(nr)		(1ull << (nr))

/* Buffers of the driver's for the frames to come, in their order. */
struct room {
	struct virtq_used	chains[QUEUE_SIZE];	/* .len: how much each takes */
	u16			nr_iov[QUEUE_SIZE];
	u32			nr;
	size_t			len;			/* of all */
	struct iovec		iov[IOV_SIZE];
	u32			iov_used;
};

/* What is sent together. */
struct batch {
	struct netio_frame	frames[QUEUE_SIZE];
	struct virtq_used	chains[QUEUE_SIZE];
	u32			nr;
	struct iovec		iov[IOV_SIZE];
};

struct virtio_net {
	struct virtio			virtio;		/* first */
	struct virtio_net_params	params;
	struct virtio_net_config	config;

	/* At home, where both queues are. */
	struct netio			*io;		/* NULL: nobody is there */
	int				gone;		/* why .io is of no use any more */
	bool				cable;		/* is in, as far as the host goes */
	bool				mergeable;
	u32				nr_dropped;	/* that were told */
	struct watch			in;		/* for a frame to come */
	struct watch			out;		/* for room to send */
	struct room			room;
	struct batch			batch;

	/* Under the device's lock: how it shall be. */
	struct netio			*new_io;
	bool				new_cable;
	struct loop_msg			change_msg;
};

static struct virtio_net *of(struct virtio *dev)
{
	return (struct virtio_net *)dev;
}

static struct loop *home(struct virtio_net *net)
{
	return net->virtio.queues[RX].loop;
}

static bool has_peer(const struct virtio_net *net)
{
	return net->io && !net->gone;
}

/* On the next turn, when nobody is amid a batch. */
static void lose_peer(struct virtio_net *net, int error)
{
	net->gone = error;
	loop_post(home(net), &net->change_msg);
}

/* ---- Receiving: the driver's buffers ------------------------------------------ */

enum fit { FITS, LATER, NEVER };

static void hold(struct room *r, const struct virtq_chain *chain)
{
	struct iovec *iov = r->iov + r->iov_used;

	memmove(iov, iov + chain->nr_out, chain->nr_in * sizeof(*iov));
	r->chains[r->nr] = (struct virtq_used){ .head = chain->head, .len = chain->in_len };
	r->nr_iov[r->nr++] = chain->nr_in;
	r->iov_used += chain->nr_in;
	r->len += chain->in_len;
}

/* Hold enough for a frame of @len. */
static enum fit make_room(struct virtio_net *net, struct virtio_queue *q, size_t len)
{
	struct room *r = &net->room;

	while (!r->nr || (net->mergeable && r->len < len)) {
		struct virtq_chain chain = { .iov = r->iov + r->iov_used, .max = QUEUE_SIZE };

		if (r->nr == q->vq.size || r->iov_used + QUEUE_SIZE > IOV_SIZE)
			return NEVER;
		if (!virtio_pop(q, &chain))
			return LATER;
		if (chain.nr_in)
			hold(r, &chain);
		else
			virtio_push(q, chain.head, 0);
	}
	return r->len >= len ? FITS : NEVER;
}

/* A frame of @len is in the first of them. */
static void deliver(struct virtio_net *net, struct virtio_queue *q, size_t len)
{
	struct room *r = &net->room;
	size_t left = len;
	u32 iovs = 0;
	u32 nr = 0;
	__le16 num;

	do {
		struct virtq_used *chain = &r->chains[nr];

		r->len -= chain->len;
		if (chain->len > left)
			chain->len = (u32)left;
		left -= chain->len;
		iovs += r->nr_iov[nr++];
	} while (left);
	num = htole16((u16)nr);
	iov_write(r->iov, r->iov_used, offsetof(struct virtio_net_hdr_v1, num_buffers), &num,
		  sizeof(num));
	virtio_push_all(q, r->chains, nr);
	r->nr -= nr;
	r->iov_used -= iovs;
	memmove(r->chains, r->chains + nr, r->nr * sizeof(r->chains[0]));
	memmove(r->nr_iov, r->nr_iov + nr, r->nr * sizeof(r->nr_iov[0]));
	memmove(r->iov, r->iov + iovs, r->iov_used * sizeof(r->iov[0]));
}

static void give_back(struct virtio_net *net, struct virtio_queue *q)
{
	struct room *r = &net->room;

	for (u32 i = 0; i < r->nr; i++)
		r->chains[i].len = 0;
	if (r->nr)
		virtio_push_all(q, r->chains, r->nr);
	r->nr = r->iov_used = 0;
	r->len = 0;
}

/* How long the next frame is, and where it goes. */
static ssize_t next_frame(struct virtio_net *net, struct virtio_queue *q, enum fit *fit)
{
	ssize_t len = net->io->ops->next(net->io, !net->cable);

	*fit = NEVER;
	if (len <= 0 || !net->cable)
		return len;
	*fit = make_room(net, q, (size_t)len);
	if (*fit == FITS)
		return len;
	len = net->io->ops->next(net->io, true);
	if (len > 0)
		*fit = make_room(net, q, (size_t)len);
	return len;
}

/* One frame: 1, 0 if there is none, -EAGAIN if it waits for buffers, or the peer's errno. */
static ssize_t receive_one(struct virtio_net *net, struct virtio_queue *q)
{
	enum fit fit;
	ssize_t len = next_frame(net, q, &fit);

	if (len <= 0)
		return len;
	if (fit == LATER)
		return -EAGAIN;
	if (fit == NEVER) {
		net->io->ops->drop(net->io);
		return 1;
	}
	len = net->io->ops->receive(net->io, net->room.iov, net->room.iov_used);
	if (len <= 0)
		return len;
	deliver(net, q, (size_t)len);
	return 1;
}

static bool receive(struct virtio_net *net, struct virtio_queue *q)
{
	ssize_t ret = 1;

	if (net->in.armed || !has_peer(net))
		return false;
	for (u32 i = 0; i < FRAMES_A_RUN && ret > 0; i++)
		ret = receive_one(net, q);
	if (ret == -EAGAIN)
		return true;
	if (ret < 0)
		lose_peer(net, (int)ret);
	else
		loop_watch(q->loop, &net->in, net->io->fd, POLLIN);
	return false;
}

/* ---- Transmitting ---------------------------------------------------------------- */

static void collect(struct virtio_net *net, struct virtio_queue *q)
{
	struct batch *b = &net->batch;
	struct virtq_chain chain = { .max = QUEUE_SIZE };
	u32 used = 0;

	/* An element before each frame is the backend's. */
	for (b->nr = 0; b->nr < QUEUE_SIZE && used + 1 + QUEUE_SIZE <= IOV_SIZE; b->nr++) {
		struct netio_frame *f = &b->frames[b->nr];

		chain.iov = b->iov + used + 1;
		if (!virtio_pop(q, &chain))
			break;
		b->chains[b->nr] = (struct virtq_used){ .head = chain.head };
		*f = (struct netio_frame){ .iov = chain.iov, .nr = chain.nr_out, .len = chain.out_len };
		used += f->nr ? 1 + f->nr : 0;
	}
}

/* How many of the batch are done with. */
static u32 send_batch(struct virtio_net *net)
{
	struct batch *b = &net->batch;
	struct netio *io = net->io;
	int ret;

	if (!has_peer(net) || !net->cable)
		return b->nr;
	ret = io->ops->send(io, b->frames, b->nr);
	if (ret < 0)
		lose_peer(net, ret);
	if (io->nr_dropped != net->nr_dropped)
		log_limited(net->virtio.env->log, &net->virtio.limit, VMM_LOG_WARN,
			    "%s: frames that make no sense are dropped", net->virtio.name);
	net->nr_dropped = io->nr_dropped;
	return ret < 0 ? b->nr : (u32)ret;
}

static bool transmit(struct virtio_net *net, struct virtio_queue *q)
{
	struct batch *b = &net->batch;

	if (net->out.armed)
		return false;
	do {
		u32 done;

		collect(net, q);
		done = send_batch(net);
		if (done)
			virtio_push_all(q, b->chains, done);
		for (u32 i = b->nr; i > done; i--)
			virtio_unpop(q, b->chains[i - 1].head);
		if (has_peer(net) && (done < b->nr || net->io->ops->unsent(net->io))) {
			loop_watch(q->loop, &net->out, net->io->fd, POLLOUT);
			return false;
		}
	} while (b->nr);
	return true;
}

/* ---- The link ----------------------------------------------------------------------- */

static void tell_link(struct virtio_net *net)
{
	const __virtio16 status = htole16(has_peer(net) && net->cable ? VIRTIO_NET_S_LINK_UP : 0);

	if (status != net->config.status)
		virtio_set_config(&net->virtio, offsetof(struct virtio_net_config, status),
				  &status, sizeof(status));
}

/* With nobody there nothing is watched, whatever happens while we wait. */
static void detach(struct virtio_net *net)
{
	struct netio *io = net->io;

	net->io = NULL;
	if (net->in.armed)
		loop_unwatch(&net->in);
	if (net->out.armed)
		loop_unwatch(&net->out);
	netio_destroy(io);
}

static void attach(struct virtio_net *net, struct netio *io)
{
	detach(net);
	net->gone = 0;
	net->nr_dropped = 0;
	if (net->virtio.started)
		net->gone = io->ops->start(io, net->virtio.features);
	net->io = io;
}

/* What the kernel serves it serves while the cable is in, and nothing during a pause. */
static int plug(struct virtio_net *net)
{
	const bool in = net->cable && !net->virtio.queues[RX].paused;

	return vhost_net_plug(net->params.vhost, &net->virtio, in ? net->io->fd : VHOST_FILE_UNBIND);
}

static void replug(struct virtio *dev)
{
	int ret = plug(of(dev));

	if (ret)
		virtio_break(dev, "vhost: %s", strerrordesc_np(-ret));
}

static void on_change(void *arg)
{
	struct virtio_net *net = arg;
	struct netio *io;
	int gone;

	pthread_mutex_lock(&net->virtio.lock);
	io = net->new_io;
	net->new_io = NULL;
	net->cable = net->new_cable;
	pthread_mutex_unlock(&net->virtio.lock);
	if (io)
		attach(net, io);
	if (net->params.vhost && net->virtio.started)
		replug(&net->virtio);
	gone = net->gone;
	if (gone)
		detach(net);
	net->gone = 0;
	tell_link(net);
	if (gone) {
		char msg[VMM_MSG_SIZE];

		snprintf(msg, sizeof(msg), "%s: the link is down, its peer has gone: %s",
			 net->virtio.name, strerrordesc_np(-gone));
		net->params.lost(net->params.ctx, net->virtio.index, msg);
	}
	for (u32 i = RX; i <= TX; i++)
		virtio_run(&net->virtio.queues[i]);
}

static void on_ready(struct watch *w, u32 revents)
{
	(void)revents;
	virtio_run(w->arg);
}

void virtio_net_attach(struct virtio *dev, struct netio *io)
{
	struct virtio_net *net = of(dev);
	struct netio *old;

	pthread_mutex_lock(&dev->lock);
	old = net->new_io;
	net->new_io = io;
	pthread_mutex_unlock(&dev->lock);
	netio_destroy(old);
	loop_post(home(net), &net->change_msg);
}

void virtio_net_link(struct virtio *dev, bool up)
{
	struct virtio_net *net = of(dev);

	pthread_mutex_lock(&dev->lock);
	net->new_cable = up;
	pthread_mutex_unlock(&dev->lock);
	loop_post(home(net), &net->change_msg);
}

/* ---- The device ------------------------------------------------------------------------ */

static bool kick(struct virtio_queue *q)
{
	struct virtio_net *net = of(q->dev);

	return q->index == RX ? receive(net, q) : transmit(net, q);
}

/* What is held for frames to come is not touched before a run. */
static bool at_rest(struct virtio_queue *q)
{
	(void)q;
	return true;
}

static void stop_queue(struct virtio_queue *q)
{
	struct virtio_net *net = of(q->dev);
	struct watch *w = q->index == RX ? &net->in : &net->out;

	if (w->armed)
		loop_unwatch(w);
	if (q->index == RX)
		give_back(net, q);
}

/* virtio 1.2, 5.1.3.1: segments of ours have checksums that are to be made. */
static bool accept(struct virtio *dev, u64 features)
{
	const u64 host = BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
			 BIT(VIRTIO_NET_F_HOST_USO);
	const u64 guest = BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			  BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6);

	(void)dev;
	return !(features & host && !(features & BIT(VIRTIO_NET_F_CSUM))) &&
	       !(features & guest && !(features & BIT(VIRTIO_NET_F_GUEST_CSUM)));
}

static int start(struct virtio *dev)
{
	struct virtio_net *net = of(dev);

	net->mergeable = virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF);
	return net->io ? net->io->ops->start(net->io, dev->features) : 0;
}

static void reset(struct virtio *dev)
{
	struct virtio_net *net = of(dev);

	if (net->io)
		net->io->ops->start(net->io, 0);
}

static void destroy(struct virtio *dev)
{
	struct virtio_net *net = of(dev);

	while (net->change_msg.queued && !loop_dispatch(home(net)))
		;
	netio_destroy(net->io);
	netio_destroy(net->new_io);
	vhost_destroy(net->params.vhost);
	virtio_fini(dev);
	free(net);
}

static int start_vhost(struct virtio *dev)
{
	struct virtio_net *net = of(dev);
	int ret = start(dev);

	if (!ret)
		ret = vhost_net_start(net->params.vhost, dev);
	if (!ret)
		ret = plug(net);
	/* Of two rings one may be at work. */
	if (ret)
		vhost_net_plug(net->params.vhost, dev, VHOST_FILE_UNBIND);
	return ret;
}

static void stop_vhost(struct virtio *dev)
{
	vhost_net_plug(of(dev)->params.vhost, dev, VHOST_FILE_UNBIND);
	virtio_stopped(dev);
}

static const struct virtio_ops vhost_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.nr_queues = 2,
	.queue_size = QUEUE_SIZE,
	.accept = accept,
	.start = start_vhost,
	.stop = stop_vhost,
	.rest = replug,
	.reset = reset,
	.destroy = destroy,
};

static const struct virtio_ops ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.nr_queues = 2,
	.queue_size = QUEUE_SIZE,
	.accept = accept,
	.start = start,
	.reset = reset,
	.kick = kick,
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

static void set_config(struct virtio_net *net)
{
	memcpy(net->config.mac, net->params.mac, sizeof(net->config.mac));
	net->config.status = htole16(net->io ? VIRTIO_NET_S_LINK_UP : 0);
	net->config.mtu = htole16(net->params.mtu);
	net->virtio.config = (u8 *)&net->config;
	net->virtio.config_size = offsetof(struct virtio_net_config, speed);
}

static u64 offered(struct virtio_net *net)
{
	return BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
	       (net->params.mtu ? BIT(VIRTIO_NET_F_MTU) : 0) |
	       (net->io ? net->io->ops->offers(net->io) : 0);
}

int virtio_net_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct virtio_net_params *params, struct netio *io,
		      struct vmm_error *err)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	int ret;

	if (!net) {
		vhost_destroy(params->vhost);
		netio_destroy(io);
		return error_set(err, -ENOMEM, "net%u: no memory", index);
	}
	net->params = *params;
	net->io = io;
	net->cable = net->new_cable = true;
	set_config(net);
	ret = virtio_init(&net->virtio, params->vhost ? &vhost_ops : &ops, env, index, 0, offered(net),
			  true, err);
	if (ret) {
		destroy(&net->virtio);
		return ret;
	}
	net->in = (struct watch){ .fn = on_ready, .arg = &net->virtio.queues[RX] };
	net->out = (struct watch){ .fn = on_ready, .arg = &net->virtio.queues[TX] };
	net->change_msg = (struct loop_msg){ .fn = on_change, .arg = net };
	*dev = &net->virtio;
	return 0;
}
