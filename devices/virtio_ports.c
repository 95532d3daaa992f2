/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_ports.c - channels with names between guest and host (virtio 1.2, 5.3)
 *
 * A virtio-console whose ports are no consoles.  Number 0 is the one that a driver without
 * MULTIPORT takes for its console: it is never added, and what is printed there vanishes.
 *
 * What the driver has to be told are bits of each port, and what is told is what is so by
 * then.  So a driver that gives no buffers for it costs nothing, and one that asks again and
 * again is told once.  It has no input before it has opened a port, for Linux throws that away.
 */
#include "devices/virtio_ports.h"

#include <endian.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio.h"
#include "devices/vport.h"
#include "vmm/error.h"

enum { NOBODYS_INPUT, NOBODYS_OUTPUT, CONTROL_IN, CONTROL_OUT, FIRST };

#define BIT(nr)	(1u << (nr))

struct port {
	struct vport	io;
	char		name[VMM_PORT_NAME_MAX + 1];
	bool		wanted_open;	/* under the device's lock: somebody is at the host's end */

	/* On the loop alone. */
	bool		open;		/* ... as the driver is to know it */
	bool		ready;		/* the driver has made it its own */
	u32		owed;		/* bit n: message n of the driver's to hear */
};

struct virtio_ports {
	struct virtio			virtio;		/* first */
	struct virtio_env		env;		/* with the first loop alone */
	struct virtio_console_config	config;
	struct port			*ports;
	u32				nr;
	struct loop_msg			open_msg;

	/* On the loop alone. */
	struct iovec			iov[VPORT_QUEUE_SIZE];
	u32				nr_draining;
	void				(*drained)(void *arg);
	void				*drained_arg;
};

static struct virtio_ports *of(struct virtio *dev)
{
	return (struct virtio_ports *)dev;
}

/* Of a queue from FIRST on. */
static struct port *port_of(const struct virtio_queue *q)
{
	return &of(q->dev)->ports[(q->index - FIRST) / 2];
}

/* ---- What the driver is told ----------------------------------------------------------- */

/* In this order, for none makes sense before those in front of it. */
static const u16 events[] = {
	VIRTIO_CONSOLE_PORT_ADD, VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_PORT_OPEN,
};

struct message {
	struct virtio_console_control	control;
	char				name[VMM_PORT_NAME_MAX];
};

/* Port @i's next one; its length, or 0: there is none. */
static size_t next_message(struct virtio_ports *vp, u32 i, struct message *msg)
{
	struct port *p = &vp->ports[i];
	size_t len = sizeof(msg->control);
	u32 e = 0;

	while (e < ARRAY_SIZE(events) && !(p->owed & BIT(events[e])))
		e++;
	if (e == ARRAY_SIZE(events))
		return 0;
	p->owed &= ~BIT(events[e]);
	msg->control.id = htole32(i + 1);
	msg->control.event = htole16(events[e]);
	msg->control.value = htole16(events[e] == VIRTIO_CONSOLE_PORT_OPEN ? p->open : 1);
	if (events[e] == VIRTIO_CONSOLE_PORT_NAME) {
		memcpy(msg->name, p->name, strlen(p->name));
		len += strlen(p->name);
	}
	return len;
}

/* A buffer that is too short for the message is wasted, and so is the message. */
static void tell(struct virtio_ports *vp)
{
	struct virtio_queue *q = &vp->virtio.queues[CONTROL_IN];
	struct message msg;

	for (u32 i = 0; i < vp->nr && !q->paused; i++) {
		while (vp->ports[i].owed) {
			struct virtq_chain chain = { .iov = vp->iov, .max = VPORT_QUEUE_SIZE };
			size_t len;

			if (!virtio_pop(q, &chain)) {
				virtio_wait_kick(q);
				return;
			}
			len = next_message(vp, i, &msg);
			if (iov_write(chain.iov + chain.nr_out, chain.nr_in, 0, &msg, len) < len)
				len = 0;
			virtio_push(q, chain.head, (u32)len);
		}
	}
}

/* ---- Who is at the host's end ----------------------------------------------------------- */

static void set_open(struct port *p, bool open)
{
	if (p->open == open)
		return;
	p->open = open;
	if (p->ready)
		p->owed |= BIT(VIRTIO_CONSOLE_PORT_OPEN);
}

/* Whoever has gone may have left something behind. */
static void look(struct virtio_ports *vp, struct port *p)
{
	bool wanted;

	pthread_mutex_lock(&vp->virtio.lock);
	wanted = p->wanted_open;
	pthread_mutex_unlock(&vp->virtio.lock);
	if (wanted || p->io.deaf || !vport_has_input(&p->io))
		set_open(p, wanted);
}

static void on_given(struct vport *io)
{
	struct port *p = (struct port *)io;
	struct virtio_ports *vp = of(io->dev);

	look(vp, p);
	tell(vp);
}

static void on_open(void *arg)
{
	struct virtio_ports *vp = arg;

	for (u32 i = 0; i < vp->nr; i++)
		look(vp, &vp->ports[i]);
	tell(vp);
}

void virtio_ports_open(struct virtio *dev, u32 nr, bool open)
{
	struct virtio_ports *vp = of(dev);

	pthread_mutex_lock(&dev->lock);
	vp->ports[nr].wanted_open = open;
	pthread_mutex_unlock(&dev->lock);
	loop_post(dev->queues[CONTROL_IN].loop, &vp->open_msg);
}

/* ---- What the driver says ----------------------------------------------------------------- */

static void hear(struct virtio_ports *vp, struct port *p, bool open)
{
	p->io.deaf = !open;
	vport_hear(&p->io);
	look(vp, p);
}

/* What is said of ports that are not there, or not of a device at all, is nothing to it. */
static void obey(struct virtio_ports *vp, const struct virtio_console_control *control)
{
	const u32 id = le32toh(control->id);
	const bool value = le16toh(control->value);
	struct port *p = id && id <= vp->nr ? &vp->ports[id - 1] : NULL;

	switch (le16toh(control->event)) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		for (u32 i = 0; i < vp->nr && value; i++)
			vp->ports[i].owed |= BIT(VIRTIO_CONSOLE_PORT_ADD);
		break;
	case VIRTIO_CONSOLE_PORT_READY:
		if (!p)
			break;
		p->ready = value;
		if (value)
			p->owed |= BIT(VIRTIO_CONSOLE_PORT_NAME) | BIT(VIRTIO_CONSOLE_PORT_OPEN);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (p)
			hear(vp, p, value);
		break;
	}
}

static void take_messages(struct virtio_ports *vp, struct virtio_queue *q)
{
	struct virtio_console_control control;

	for (;;) {
		struct virtq_chain chain = { .iov = vp->iov, .max = VPORT_QUEUE_SIZE };
		size_t len;

		if (!virtio_pop(q, &chain))
			return;
		len = iov_read(chain.iov, chain.nr_out, 0, &control, sizeof(control));
		virtio_push(q, chain.head, 0);
		if (len == sizeof(control))
			obey(vp, &control);
	}
}

/* ---- The device ---------------------------------------------------------------------------- */

static void swallow(struct virtio_ports *vp, struct virtio_queue *q)
{
	struct virtq_chain chain = { .iov = vp->iov, .max = VPORT_QUEUE_SIZE };

	while (virtio_pop(q, &chain)) {
		virtio_push(q, chain.head, 0);
		chain = (struct virtq_chain){ .iov = vp->iov, .max = VPORT_QUEUE_SIZE };
	}
}

static bool kick(struct virtio_queue *q)
{
	struct virtio_ports *vp = of(q->dev);

	switch (q->index) {
	case NOBODYS_INPUT:
		return false;
	case NOBODYS_OUTPUT:
		swallow(vp, q);
		return true;
	case CONTROL_OUT:
		take_messages(vp, q);
		tell(vp);
		return true;
	case CONTROL_IN:
		/* Buffers with nothing to be told wait; and tell() asks for what it lacks. */
		tell(vp);
		return false;
	}
	return vport_kick(&port_of(q)->io, q);
}

static bool at_rest(struct virtio_queue *q)
{
	if (q->index >= FIRST)
		vport_rest(&port_of(q)->io);
	return true;
}

static void stop_queue(struct virtio_queue *q)
{
	if (q->index >= FIRST)
		vport_stop_queue(&port_of(q)->io, q);
}

static void reset(struct virtio *dev)
{
	struct virtio_ports *vp = of(dev);

	for (u32 i = 0; i < vp->nr; i++) {
		struct port *p = &vp->ports[i];

		p->io.deaf = true;
		p->ready = false;
		p->owed = 0;
		look(vp, p);
	}
}

static void drained_one(void *arg)
{
	struct virtio_ports *vp = arg;

	if (!--vp->nr_draining)
		vp->drained(vp->drained_arg);
}

void virtio_ports_drain(struct virtio *dev, void (*done)(void *arg), void *arg)
{
	struct virtio_ports *vp = of(dev);

	vp->drained = done;
	vp->drained_arg = arg;
	vp->nr_draining = vp->nr + 1;	/* this call's own, for when all are done at once */
	for (u32 i = 0; i < vp->nr; i++)
		vport_drain(&vp->ports[i].io, drained_one, vp);
	drained_one(vp);
}

void virtio_ports_abandon(struct virtio *dev)
{
	for (u32 i = 0; i < of(dev)->nr; i++)
		vport_abandon(&of(dev)->ports[i].io);
}

static void destroy(struct virtio *dev)
{
	struct virtio_ports *vp = of(dev);

	while (vp->open_msg.queued && !loop_dispatch(dev->queues[CONTROL_IN].loop))
		;
	for (u32 i = 0; vp->ports && i < vp->nr; i++)
		vport_fini(&vp->ports[i].io);
	free(vp->ports);
	virtio_fini(dev);
	free(vp);
}

static const struct virtio_ops ops = {
	.name = "ports",
	.id = VIRTIO_ID_CONSOLE,
	.queue_size = VPORT_QUEUE_SIZE,
	.reset = reset,
	.kick = kick,
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

static int port_up(struct virtio_ports *vp, u32 i, const struct virtio_port *from,
		   struct vmm_error *err)
{
	struct port *p = &vp->ports[i];
	const struct vport_config cfg = {
		.name = p->name, .in_fd = from->in_fd, .out_fd = from->out_fd, .input = FIRST + 2 * i,
	};

	_Static_assert(offsetof(struct port, io) == 0, "on_given()");
	memcpy(p->name, from->name, strnlen(from->name, VMM_PORT_NAME_MAX));
	p->wanted_open = p->open = from->open;
	p->io.deaf = true;
	p->io.given = on_given;
	return vport_init(&p->io, &vp->virtio, &cfg, err);
}

int virtio_ports_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			const struct virtio_port *ports, u32 nr, struct vmm_error *err)
{
	struct virtio_ports *vp = calloc(1, sizeof(*vp));
	int ret;

	if (!vp)
		return error_set(err, -ENOMEM, "ports%u: no memory", index);
	/* As of a console: the machine asks for the last output to be written there. */
	vp->env = *env;
	vp->env.nr_loops = 1;
	vp->nr = nr;
	vp->open_msg = (struct loop_msg){ .fn = on_open, .arg = vp };
	vp->config.max_nr_ports = htole32(nr + 1);
	vp->virtio.config = (u8 *)&vp->config;
	vp->virtio.config_size = offsetof(struct virtio_console_config, emerg_wr);
	vp->ports = calloc(nr, sizeof(*vp->ports));
	ret = virtio_init(&vp->virtio, &ops, &vp->env, index, FIRST + 2 * nr,
			  1ull << VIRTIO_CONSOLE_F_MULTIPORT, 0, err);
	if (!ret && !vp->ports)
		ret = error_set(err, -ENOMEM, "ports%u: no memory", index);
	for (u32 i = 0; i < nr && !ret; i++)
		ret = port_up(vp, i, &ports[i], err);
	if (ret) {
		destroy(&vp->virtio);
		return ret;
	}
	*dev = &vp->virtio;
	return 0;
}
