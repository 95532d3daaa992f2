/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vport.c - a port of a virtio-console: two queues, and the host's descriptors behind them
 *
 * Between them is a chardev, as behind a UART.  Of the driver's buffers at most one each way
 * is here: one to be filled when there is input, and one whose bytes found no room yet, while
 * what comes after it waits on the ring.
 */
#include "devices/vport.h"

#include "devices/chardev.h"
#include "vmm/error.h"

#define CHUNK		512		/* bytes copied at a time */
#define LONGEST		MIB(1)		/* of a chain that is printed */

static struct virtio_queue *input(const struct vport *p)
{
	return &p->dev->queues[p->input];
}

static struct virtio_queue *output(const struct vport *p)
{
	return &p->dev->queues[p->input + 1];
}

static bool take(struct virtio_queue *q, struct vport_kept *k)
{
	k->chain = (struct virtq_chain){ .iov = k->iov, .max = VPORT_QUEUE_SIZE };
	k->done = 0;
	k->here = virtio_pop(q, &k->chain);
	return k->here;
}

static void give_back(struct virtio_queue *q, struct vport_kept *k, u32 len)
{
	k->here = false;
	virtio_push(q, k->chain.head, len);
}

/* ---- Output --------------------------------------------------------------------- */

/* False: there is no room for the rest, and tx_room() will be called. */
static bool print(struct vport *p)
{
	struct vport_kept *k = &p->out;
	u8 buf[CHUNK];

	while (k->done < k->chain.out_len) {
		size_t len = iov_read(k->iov, k->chain.nr_out, k->done, buf, sizeof(buf));
		size_t put = chardev_put(p->chr, buf, len);

		k->done += put;
		if (put < len && chardev_room(p->chr) < CHARDEV_LOW)
			return false;
	}
	return true;
}

static bool transmit(struct vport *p)
{
	struct virtio_queue *q = output(p);

	while (p->out.here || take(q, &p->out)) {
		if (p->out.chain.out_len > LONGEST)
			virtio_break(p->dev, "%u bytes to print at once", p->out.chain.out_len);
		else if (!print(p))
			return false;
		give_back(q, &p->out, 0);
	}
	return true;
}

static void tx_room(void *arg)
{
	virtio_run(output(arg));
}

/* ---- Input ----------------------------------------------------------------------- */

size_t vport_room(struct vport *p)
{
	/* Buffers that cannot be written to are of no use to anyone. */
	while (!p->in.here && take(input(p), &p->in))
		if (!p->in.chain.in_len)
			give_back(input(p), &p->in, 0);
	if (p->in.here)
		return p->in.chain.in_len;
	virtio_wait_kick(input(p));
	return 0;
}

void vport_give(struct vport *p, const void *buf, size_t len)
{
	struct vport_kept *k = &p->in;

	iov_write(k->iov + k->chain.nr_out, k->chain.nr_in, 0, buf, len);
	give_back(input(p), k, (u32)len);
}

static size_t rx_room(void *arg)
{
	struct vport *p = arg;

	return p->deaf ? 0 : vport_room(p);
}

static void rx(void *arg, const u8 *buf, size_t len)
{
	struct vport *p = arg;

	vport_give(p, buf, len);
	if (p->given)
		p->given(p);
}

bool vport_has_input(const struct vport *p)
{
	return chardev_has_input(p->chr);
}

void vport_hear(struct vport *p)
{
	if (!p->deaf)
		chardev_kick_rx(p->chr);
}

/* ---- The queues --------------------------------------------------------------------- */

bool vport_kick(struct vport *p, struct virtio_queue *q)
{
	if (p->paused) {
		p->paused = false;
		chardev_resume(p->chr);
	}
	if (q == output(p))
		return transmit(p);
	chardev_kick_rx(p->chr);
	/* While there is a buffer nobody needs to hear of more: that is for vport_room(). */
	vport_room(p);
	return false;
}

/* Input would be written to the buffer that is here for it. */
void vport_rest(struct vport *p)
{
	p->paused = true;
	chardev_pause(p->chr);
}

/* What it has printed and found no room for is lost to a driver that resets it. */
void vport_stop_queue(struct vport *p, struct virtio_queue *q)
{
	struct vport_kept *k = q == output(p) ? &p->out : &p->in;

	if (k->here)
		give_back(q, k, 0);
}

/* ---- Its life -------------------------------------------------------------------------- */

void vport_drain(struct vport *p, void (*done)(void *arg), void *arg)
{
	/* The last kick may be on its way; and no vCPU runs that could print more. */
	output(p)->paused = false;
	virtio_run(output(p));
	chardev_drain(p->chr, done, arg);
}

void vport_abandon(struct vport *p)
{
	chardev_abandon(p->chr);
}

int vport_init(struct vport *p, struct virtio *dev, const struct vport_config *cfg,
	       struct vmm_error *err)
{
	static const struct chardev_ops ops = { .rx_room = rx_room, .rx = rx, .tx_room = tx_room };
	const struct chardev_config chr = {
		.name = cfg->name, .log = dev->env->log, .in_fd = cfg->in_fd, .out_fd = cfg->out_fd,
		.ops = &ops, .arg = p,
	};

	p->dev = dev;
	p->input = cfg->input;
	return chardev_create(&p->chr, input(p)->loop, &chr, err);
}

void vport_fini(struct vport *p)
{
	chardev_destroy(p->chr);
	p->chr = NULL;
}
