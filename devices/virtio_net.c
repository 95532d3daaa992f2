/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_net.c - a network card (virtio 1.2, 5.1)
 *
 * Queue 0 receives, queue 1 transmits, on one loop; and so do the next two, with a netio
 * of their own, if there are more pairs.  Frames to transmit are with the backend before
 * the turn ends, or back on the ring until it has room.  Buffers to receive to are held
 * before there is a frame, as many as the longest one takes; for a driver that offers less
 * the next frame's length is found out first.
 *
 * Only if there are more pairs is there a control queue behind them (5.1.6.5.5): its one
 * command says how many of them the driver uses, at first one.
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

#include "devices/netdriver.h"
#include "devices/netio.h"
#include "devices/vhost.h"
#include "devices/vhost_net.h"
#include "devices/virtio.h"
#include "devices/virtio_net.h"
#include "vmm/error.h"
#include "vmm/log.h"

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

/* At the loop of its queues, but for what is said of others. */
struct pair {
	struct virtio_net		*net;
	u32				index;
	struct vhost			*vhost;		/* NULL: we serve it */
	struct netio			*io;		/* NULL: nobody is there */
	int				gone;		/* why .io is of no use any more */
	bool				cable;		/* is in, as far as the host goes */
	bool				used;		/* by the driver */
	/* Written at the loop, read by any thread. */
	atomic_ullong			rx_dropped;
	atomic_ullong			tx_dropped;
	struct watch			in;		/* for a frame to come */
	struct watch			out;		/* for room to send */
	struct room			room;
	struct batch			batch;
	struct loop_msg			change_msg;
	atomic_bool			served;		/* .io was there when .applied was set */
	atomic_uint			applied;	/* .new_used, as it was last found */
};

/* The command that has not come to its end, on the loop of its queue. */
struct control {
	bool				pending;
	u32				wanted;		/* pairs */
	struct virtq_chain		chain;
	struct iovec			iov[QUEUE_SIZE];
	struct loop_msg			applied_msg;
};

struct virtio_net {
	struct virtio			virtio;		/* first */
	struct virtio_net_params	params;
	struct virtio_net_config	config;
	u32				nr_pairs;
	struct pair			*pairs;
	struct control			control;
	bool				mergeable;
	bool				vhost_runs;	/* at home: its rings may be at work */

	/* Under the device's lock: how it shall be. */
	struct netio			*new_io;	/* of the first pair */
	bool				new_cable;
	u32				new_used;	/* pairs */
};

static struct virtio_net *of(struct virtio *dev)
{
	return (struct virtio_net *)dev;
}

static struct virtio_queue *queue(const struct pair *p, u32 which)
{
	return &p->net->virtio.queues[2 * p->index + which];
}

static bool has_peer(const struct pair *p)
{
	return p->io && !p->gone && p->used;
}

/* On the next turn, when nobody is amid a batch. */
static void lose_peer(struct pair *p, int error)
{
	p->gone = error;
	loop_post(queue(p, RX)->loop, &p->change_msg);
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
static enum fit make_room(struct pair *p, struct virtio_queue *q, size_t len)
{
	struct room *r = &p->room;

	while (!r->nr || (p->net->mergeable && r->len < len)) {
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
static void deliver(struct pair *p, struct virtio_queue *q, size_t len)
{
	struct room *r = &p->room;
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

static void give_back(struct pair *p, struct virtio_queue *q)
{
	struct room *r = &p->room;

	for (u32 i = 0; i < r->nr; i++)
		r->chains[i].len = 0;
	if (r->nr)
		virtio_push_all(q, r->chains, r->nr);
	r->nr = r->iov_used = 0;
	r->len = 0;
}

/* How long the next frame is, and where it goes. */
static ssize_t next_frame(struct pair *p, struct virtio_queue *q, enum fit *fit)
{
	ssize_t len = p->io->ops->next(p->io, !p->cable);

	*fit = NEVER;
	if (len <= 0 || !p->cable)
		return len;
	*fit = make_room(p, q, (size_t)len);
	if (*fit == FITS)
		return len;
	len = p->io->ops->next(p->io, true);
	if (len > 0)
		*fit = make_room(p, q, (size_t)len);
	return len;
}

/* One frame: 1, 0 if there is none, -EAGAIN if it waits for buffers, or the peer's errno. */
static ssize_t receive_one(struct pair *p, struct virtio_queue *q)
{
	enum fit fit;
	ssize_t len = next_frame(p, q, &fit);

	if (len <= 0)
		return len;
	if (fit == LATER)
		return -EAGAIN;
	if (fit == NEVER) {
		p->io->ops->drop(p->io);
		p->rx_dropped++;
		return 1;
	}
	len = p->io->ops->receive(p->io, p->room.iov, p->room.iov_used);
	if (len <= 0)
		return len;
	deliver(p, q, (size_t)len);
	return 1;
}

static bool receive(struct pair *p, struct virtio_queue *q)
{
	ssize_t ret = 1;

	if (p->in.armed || !has_peer(p))
		return false;
	for (u32 i = 0; i < FRAMES_A_RUN && ret > 0; i++)
		ret = receive_one(p, q);
	if (ret == -EAGAIN)
		return true;
	if (ret < 0)
		lose_peer(p, (int)ret);
	else
		loop_watch(q->loop, &p->in, p->io->fd, POLLIN);
	return false;
}

/* ---- Transmitting ---------------------------------------------------------------- */

static void collect(struct pair *p, struct virtio_queue *q)
{
	struct batch *b = &p->batch;
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
static u32 send_batch(struct pair *p)
{
	struct batch *b = &p->batch;
	struct netio *io = p->io;
	int ret;

	if (!has_peer(p) || !p->cable) {
		p->tx_dropped += b->nr;
		return b->nr;
	}
	ret = io->ops->send(io, b->frames, b->nr);
	if (ret < 0) {
		/* Some may have been sent. */
		p->tx_dropped += b->nr;
		lose_peer(p, ret);
	} else if (io->nr_dropped + io->nr_refused) {
		p->tx_dropped += io->nr_dropped + io->nr_refused;
	}
	if (io->nr_dropped)
		log_limited(p->net->virtio.env->log, &p->net->virtio.limit, VMM_LOG_WARN,
			    "%s: frames that make no sense are dropped", p->net->virtio.name);
	io->nr_dropped = io->nr_refused = 0;
	return ret < 0 ? b->nr : (u32)ret;
}

static bool transmit(struct pair *p, struct virtio_queue *q)
{
	struct batch *b = &p->batch;

	if (p->out.armed)
		return false;
	do {
		u32 done;

		collect(p, q);
		done = send_batch(p);
		if (done)
			virtio_push_all(q, b->chains, done);
		for (u32 i = b->nr; i > done; i--)
			virtio_unpop(q, b->chains[i - 1].head);
		if (has_peer(p) && (done < b->nr || p->io->ops->unsent(p->io))) {
			loop_watch(q->loop, &p->out, p->io->fd, POLLOUT);
			return false;
		}
	} while (b->nr);
	return true;
}

/* ---- The link ----------------------------------------------------------------------- */

static void tell_link(struct virtio_net *net)
{
	const struct pair *first = &net->pairs[0];
	const __virtio16 status = htole16(has_peer(first) && first->cable ? VIRTIO_NET_S_LINK_UP : 0);

	if (status != net->config.status)
		virtio_set_config(&net->virtio, offsetof(struct virtio_net_config, status),
				  &status, sizeof(status));
}

static void unwatch(struct pair *p)
{
	if (p->in.armed)
		loop_unwatch(&p->in);
	if (p->out.armed)
		loop_unwatch(&p->out);
}

/* With nobody there nothing is watched, whatever happens while we wait. */
static void detach(struct pair *p)
{
	struct netio *io = p->io;

	p->io = NULL;
	unwatch(p);
	netio_destroy(io);
}

static void attach(struct pair *p, struct netio *io)
{
	detach(p);
	p->gone = 0;
	if (p->net->virtio.started)
		p->gone = io->ops->start(io, p->net->virtio.features);
	p->io = io;
}

/*
 * What the kernel serves it serves while the cable is in, and nothing during a pause.  That its
 * tap interface was deleted is not noticed until the cable or the pairs change: the descriptor
 * tells of it, but by a wake-up that looks as one for a frame, and to be woken for each of those
 * is what vhost is there to avoid.  A listener of rtnetlink would hear of it.
 */
static int plug(struct pair *p)
{
	const bool in = p->net->vhost_runs && has_peer(p) && p->cable && !queue(p, RX)->paused;

	return vhost_net_plug(p->vhost, &p->net->virtio, queue(p, RX)->index,
			      in ? p->io->fd : VHOST_FILE_UNBIND);
}

static void unplug(struct virtio_net *net)
{
	net->vhost_runs = false;
	for (u32 i = 0; i < net->nr_pairs; i++)
		vhost_net_plug(net->pairs[i].vhost, &net->virtio, 2 * i, VHOST_FILE_UNBIND);
}

static void replug_pair(struct pair *p)
{
	int ret = plug(p);

	if (ret)
		virtio_break(&p->net->virtio, "vhost: %s", strerrordesc_np(-ret));
}

static void replug(struct virtio *dev)
{
	for (u32 i = 0; i < of(dev)->nr_pairs; i++)
		replug_pair(&of(dev)->pairs[i]);
}

/* What is not used has no frames, and nobody looks at it. */
static void use(struct pair *p, bool used)
{
	int ret;

	if (p->used == used || !p->io)
		return;
	p->used = used;
	unwatch(p);
	if (p->vhost && p->net->virtio.started && !used)
		replug_pair(p);
	ret = p->io->ops->enable(p->io, used);
	if (ret)
		p->gone = ret;
}

static void tell_lost(const struct virtio_net *net, int error)
{
	char msg[VMM_MSG_SIZE];

	snprintf(msg, sizeof(msg), "%s: the link is down, its peer has gone: %s", net->virtio.name,
		 strerrordesc_np(-error));
	net->params.lost(net->params.ctx, net->virtio.index, msg);
}

static void on_change(void *arg)
{
	struct pair *p = arg;
	struct virtio_net *net = p->net;
	struct netio *io = NULL;
	u32 used;
	int gone;

	pthread_mutex_lock(&net->virtio.lock);
	if (!p->index) {
		io = net->new_io;
		net->new_io = NULL;
	}
	p->cable = net->new_cable;
	used = net->new_used;
	pthread_mutex_unlock(&net->virtio.lock);
	if (io)
		attach(p, io);
	use(p, p->index < used);
	gone = p->gone;
	if (gone)
		detach(p);
	p->gone = 0;
	if (p->vhost && net->virtio.started)
		replug_pair(p);
	/* An interface goes with all its queues. */
	if (!p->index)
		tell_link(net);
	if (gone && !p->index)
		tell_lost(net, gone);
	else if (gone)
		log_limited(net->virtio.env->log, &net->virtio.limit, VMM_LOG_WARN,
			    "%s: nobody is behind queues %u and %u: %s", net->virtio.name,
			    queue(p, RX)->index, queue(p, TX)->index, strerrordesc_np(-gone));
	atomic_store(&p->served, p->io);
	atomic_store(&p->applied, used);
	loop_post(net->virtio.queues[net->virtio.nr_queues - 1].loop, &net->control.applied_msg);
	for (u32 i = RX; i <= TX; i++)
		virtio_run(queue(p, i));
}

static void change(struct virtio_net *net)
{
	for (u32 i = 0; i < net->nr_pairs; i++)
		loop_post(queue(&net->pairs[i], RX)->loop, &net->pairs[i].change_msg);
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
	change(net);
}

void virtio_net_link(struct virtio *dev, bool up)
{
	struct virtio_net *net = of(dev);

	pthread_mutex_lock(&dev->lock);
	net->new_cable = up;
	pthread_mutex_unlock(&dev->lock);
	change(net);
}

void virtio_net_stats(struct virtio *dev, struct vmm_net_stats *stats)
{
	for (u32 i = 0; i < of(dev)->nr_pairs; i++) {
		stats->rx_dropped += of(dev)->pairs[i].rx_dropped;
		stats->tx_dropped += of(dev)->pairs[i].tx_dropped;
	}
}

/* ---- The control queue --------------------------------------------------------------- */

static bool is_control(const struct virtio_queue *q)
{
	return q->index == 2 * of(q->dev)->nr_pairs;
}

static void set_used(struct virtio_net *net, u32 nr)
{
	pthread_mutex_lock(&net->virtio.lock);
	net->new_used = nr;
	pthread_mutex_unlock(&net->virtio.lock);
	change(net);
}

/* A command comes to its end when no frame comes any more that it forbids. */
static bool take_commands(struct virtio_net *net, struct virtio_queue *q)
{
	struct control *c = &net->control;

	while (!c->pending) {
		c->chain = (struct virtq_chain){ .iov = c->iov, .max = QUEUE_SIZE };
		if (!virtio_pop(q, &c->chain))
			return true;
		c->wanted = netdriver_pairs(&c->chain, net->nr_pairs);
		c->pending = c->wanted;
		if (c->pending)
			set_used(net, c->wanted);
		else
			netdriver_answer(q, &c->chain, VIRTIO_NET_ERR);
	}
	return false;
}

/* A driver that is told of an error goes on with the pairs that it has used so far. */
static void on_applied(void *arg)
{
	struct virtio_net *net = arg;
	struct virtio_queue *q = &net->virtio.queues[2 * net->nr_pairs];
	u8 ack = VIRTIO_NET_OK;

	if (!net->control.pending)
		return;
	for (u32 i = 0; i < net->nr_pairs; i++) {
		if (atomic_load(&net->pairs[i].applied) != net->control.wanted)
			return;
		if (i < net->control.wanted && !atomic_load(&net->pairs[i].served))
			ack = VIRTIO_NET_ERR;
	}
	net->control.pending = false;
	netdriver_answer(q, &net->control.chain, ack);
	virtio_run(q);
}

/* ---- The device ------------------------------------------------------------------------ */

static struct pair *pair_of(const struct virtio_queue *q)
{
	return &of(q->dev)->pairs[q->index / 2];
}

static bool kick(struct virtio_queue *q)
{
	if (is_control(q))
		return take_commands(of(q->dev), q);
	return q->index % 2 == RX ? receive(pair_of(q), q) : transmit(pair_of(q), q);
}

/* What is held for frames to come is not touched before a run. */
static bool at_rest(struct virtio_queue *q)
{
	return !is_control(q) || !of(q->dev)->control.pending;
}

static void stop_control(struct virtio_net *net, struct virtio_queue *q)
{
	if (net->control.pending)
		virtio_push(q, net->control.chain.head, 0);
	net->control.pending = false;
}

static void stop_queue(struct virtio_queue *q)
{
	struct watch *w;

	if (is_control(q)) {
		stop_control(of(q->dev), q);
		return;
	}
	w = q->index % 2 == RX ? &pair_of(q)->in : &pair_of(q)->out;
	if (w->armed)
		loop_unwatch(w);
	if (q->index % 2 == RX)
		give_back(pair_of(q), q);
}

static bool accept(struct virtio *dev, u64 features)
{
	(void)dev;
	return netdriver_features(features);
}

/* The offloads are those of the interface.  The pairs hear of it before their first kick. */
static int start(struct virtio *dev)
{
	struct virtio_net *net = of(dev);
	struct netio *io = net->pairs[0].io;

	net->mergeable = virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF);
	if (net->nr_pairs > 1)
		set_used(net, 1);
	return io ? io->ops->start(io, dev->features) : 0;
}

static void reset(struct virtio *dev)
{
	struct netio *io = of(dev)->pairs[0].io;

	if (io)
		io->ops->start(io, 0);
}

void virtio_net_forget(const struct virtio_net_params *params)
{
	for (u32 i = 0; i < VIRTIO_NET_PAIRS; i++) {
		netio_destroy(params->io[i]);
		vhost_destroy(params->vhost[i]);
	}
}

static void destroy(struct virtio *dev)
{
	struct virtio_net *net = of(dev);

	for (u32 i = 0; net->pairs && i < net->nr_pairs; i++) {
		struct pair *p = &net->pairs[i];

		while (p->change_msg.queued && !loop_dispatch(queue(p, RX)->loop))
			;
	}
	while (net->control.applied_msg.queued &&
	       !loop_dispatch(dev->queues[dev->nr_queues - 1].loop))
		;
	for (u32 i = 0; net->pairs && i < net->nr_pairs; i++)
		net->params.io[i] = net->pairs[i].io;
	virtio_net_forget(&net->params);
	netio_destroy(net->new_io);
	free(net->pairs);
	virtio_fini(dev);
	free(net);
}

static int start_vhost(struct virtio *dev)
{
	struct virtio_net *net = of(dev);
	int ret = start(dev);

	net->vhost_runs = true;
	for (u32 i = 0; i < net->nr_pairs && !ret; i++) {
		ret = vhost_net_start(net->pairs[i].vhost, dev, 2 * i);
		if (!ret)
			ret = plug(&net->pairs[i]);
	}
	/* Of the rings some may be at work. */
	if (ret)
		unplug(net);
	return ret;
}

/* Until the control queue has stopped too there may be changes, and pauses. */
static void stop_vhost(struct virtio *dev)
{
	unplug(of(dev));
	virtio_stopped(dev);
}

static const struct virtio_ops vhost_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.queue_size = QUEUE_SIZE,
	.accept = accept,
	.start = start_vhost,
	.stop = stop_vhost,
	.rest = replug,
	.reset = reset,
	.kick = kick,			/* of the control queue */
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

static const struct virtio_ops ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
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
	net->config.status = htole16(net->params.io[0] ? VIRTIO_NET_S_LINK_UP : 0);
	net->config.max_virtqueue_pairs = htole16((u16)net->nr_pairs);
	net->config.mtu = htole16(net->params.mtu);
	net->virtio.config = (u8 *)&net->config;
	net->virtio.config_size = offsetof(struct virtio_net_config, speed);
}

static u64 offered(const struct virtio_net *net)
{
	struct netio *io = net->params.io[0];

	return BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
	       (net->params.mtu ? BIT(VIRTIO_NET_F_MTU) : 0) |
	       (net->nr_pairs > 1 ? BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) : 0) |
	       (io ? io->ops->offers(io) : 0);
}

static void init_pair(struct virtio_net *net, u32 i)
{
	struct pair *p = &net->pairs[i];

	p->net = net;
	p->index = i;
	p->io = net->params.io[i];
	p->vhost = net->params.vhost[i];
	p->cable = p->used = true;
	p->change_msg = (struct loop_msg){ .fn = on_change, .arg = p };
	p->in = (struct watch){ .fn = on_ready, .arg = queue(p, RX) };
	p->out = (struct watch){ .fn = on_ready, .arg = queue(p, TX) };
}

int virtio_net_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct virtio_net_params *params, struct vmm_error *err)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	const bool vhost = params->vhost[0];
	int ret;

	if (!net) {
		virtio_net_forget(params);
		return error_set(err, -ENOMEM, "net%u: no memory", index);
	}
	net->params = *params;
	net->nr_pairs = params->nr_pairs ? params->nr_pairs : 1;
	net->new_cable = true;
	net->new_used = net->nr_pairs;
	net->control.applied_msg = (struct loop_msg){ .fn = on_applied, .arg = net };
	set_config(net);
	/* Each pair on a loop; the kernel's are all told at home. */
	ret = virtio_init(&net->virtio, vhost ? &vhost_ops : &ops, env, index,
			  2 * net->nr_pairs + (net->nr_pairs > 1), offered(net), vhost ? 0 : 2, err);
	if (!ret) {
		net->pairs = calloc(net->nr_pairs, sizeof(*net->pairs));
		ret = net->pairs ? 0 : error_set(err, -ENOMEM, "net%u: no memory", index);
	}
	if (ret) {
		destroy(&net->virtio);
		return ret;
	}
	if (vhost) {
		net->virtio.nr_elsewhere = 2 * net->nr_pairs;
		net->virtio.offered &= ~VHOST_LACKS;
	}
	for (u32 i = 0; i < net->nr_pairs; i++)
		init_pair(net, i);
	*dev = &net->virtio;
	return 0;
}
