/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_console.c - a console without registers for each byte (virtio 1.2, 5.3)
 *
 * Queue 0 is for input, queue 1 for output, and between them and the host's descriptors
 * is a chardev, as behind a UART.  Of the driver's buffers at most one each way is here:
 * one to be filled when there is input, and one whose bytes found no room yet, while what
 * comes after it waits on the ring.
 *
 * There is one port.  With several, which MULTIPORT would be for, Linux takes rows for
 * columns in the message that tells a new size, against the specification; the
 * configuration leaves no doubt.
 */
#include <endian.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chardev.h"
#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "vmm/error.h"

#define QUEUE_SIZE	128
#define CHUNK		512		/* bytes copied at a time */
#define LONGEST		MIB(1)		/* of a chain that is printed */

enum { INPUT, OUTPUT, NR_QUEUES };

/* A chain that is kept. */
struct kept {
	bool			here;
	struct virtq_chain	chain;
	size_t			done;		/* bytes of it */
	struct iovec		iov[QUEUE_SIZE];
};

struct virtio_console {
	struct virtio			virtio;		/* first */
	struct virtio_env		env;		/* with the first loop alone */
	struct virtio_console_config	config;
	struct chardev			*chr;

	/* Under the device's lock: what shall be as if typed, before any other input. */
	char				typed[VIRTIO_CONSOLE_TYPED + 1];
	struct loop_msg			type_msg;

	/* On the loop alone. */
	struct kept			in;
	struct kept			out;
	bool				paused;		/* .chr is */
};

static struct virtio_console *of(struct virtio *dev)
{
	return (struct virtio_console *)dev;
}

static bool take(struct virtio_queue *q, struct kept *k)
{
	k->chain = (struct virtq_chain){ .iov = k->iov, .max = QUEUE_SIZE };
	k->done = 0;
	k->here = virtio_pop(q, &k->chain);
	return k->here;
}

static void give_back(struct virtio_queue *q, struct kept *k, u32 len)
{
	k->here = false;
	virtio_push(q, k->chain.head, len);
}

/* ---- Output --------------------------------------------------------------------- */

/* False: there is no room for the rest, and tx_room() will be called. */
static bool print(struct virtio_console *con)
{
	struct kept *k = &con->out;
	u8 buf[CHUNK];

	while (k->done < k->chain.out_len) {
		size_t len = iov_read(k->iov, k->chain.nr_out, k->done, buf, sizeof(buf));
		size_t put = chardev_put(con->chr, buf, len);

		k->done += put;
		if (put < len && chardev_room(con->chr) < CHARDEV_LOW)
			return false;
	}
	return true;
}

static bool transmit(struct virtio_console *con, struct virtio_queue *q)
{
	while (con->out.here || take(q, &con->out)) {
		if (con->out.chain.out_len > LONGEST)
			virtio_break(&con->virtio, "%u bytes to print at once", con->out.chain.out_len);
		else if (!print(con))
			return false;
		give_back(q, &con->out, 0);
	}
	return true;
}

static void tx_room(void *arg)
{
	struct virtio_console *con = arg;

	virtio_run(&con->virtio.queues[OUTPUT]);
}

/* ---- Input ----------------------------------------------------------------------- */

static size_t rx_room(void *arg)
{
	struct virtio_console *con = arg;
	struct virtio_queue *q = &con->virtio.queues[INPUT];

	/* Buffers that cannot be written to are of no use to anyone. */
	while (!con->in.here && take(q, &con->in))
		if (!con->in.chain.in_len)
			give_back(q, &con->in, 0);
	return con->in.here ? con->in.chain.in_len : 0;
}

static void rx(void *arg, const u8 *buf, size_t len)
{
	struct virtio_console *con = arg;
	struct kept *k = &con->in;

	iov_write(k->iov + k->chain.nr_out, k->chain.nr_in, 0, buf, len);
	give_back(&con->virtio.queues[INPUT], k, (u32)len);
}

/* As much of it as @max, into @text; how much that is. */
static size_t next_typed(struct virtio_console *con, char *text, size_t max)
{
	size_t len;

	pthread_mutex_lock(&con->virtio.lock);
	len = strnlen(con->typed, max);
	memcpy(text, con->typed, len);
	memmove(con->typed, con->typed + len, sizeof(con->typed) - len);
	pthread_mutex_unlock(&con->virtio.lock);
	return len;
}

/* The driver's buffers may be shorter, and then the rest needs another. */
static void take_typed(struct virtio_console *con)
{
	char text[sizeof(con->typed)];
	size_t room;
	size_t len;

	while ((room = rx_room(con)) > 0) {
		len = next_typed(con, text, room < VIRTIO_CONSOLE_TYPED ? room : VIRTIO_CONSOLE_TYPED);
		if (!len)
			return;
		rx(con, (const u8 *)text, len);
	}
}

static void on_typed(void *arg)
{
	struct virtio_console *con = arg;

	if (!con->virtio.queues[INPUT].paused)
		take_typed(con);
}

int virtio_console_type(struct virtio *dev, const char *text)
{
	struct virtio_console *con = of(dev);
	size_t len = strlen(text);
	int ret = -EAGAIN;

	pthread_mutex_lock(&dev->lock);
	if (len <= VIRTIO_CONSOLE_TYPED && !con->typed[0] && !dev->resetting &&
	    dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		memcpy(con->typed, text, len);
		ret = 0;
	}
	pthread_mutex_unlock(&dev->lock);
	if (!ret)
		loop_post(dev->queues[INPUT].loop, &con->type_msg);
	return ret;
}

static const struct chardev_ops chr_ops = { .rx_room = rx_room, .rx = rx, .tx_room = tx_room };

/* ---- The device -------------------------------------------------------------------- */

static bool kick(struct virtio_queue *q)
{
	struct virtio_console *con = of(q->dev);

	if (con->paused) {
		con->paused = false;
		chardev_resume(con->chr);
	}
	if (q->index == OUTPUT)
		return transmit(con, q);
	take_typed(con);
	chardev_kick_rx(con->chr);
	return true;
}

/* Input would be written to the buffer that is here for it. */
static bool at_rest(struct virtio_queue *q)
{
	struct virtio_console *con = of(q->dev);

	con->paused = true;
	chardev_pause(con->chr);
	return true;
}

/* What it has printed and found no room for is lost to a driver that resets it. */
static void stop_queue(struct virtio_queue *q)
{
	struct virtio_console *con = of(q->dev);
	struct kept *k = q->index == OUTPUT ? &con->out : &con->in;

	if (k->here)
		give_back(q, k, 0);
}

/* So is what was not taken of what was typed. */
static void reset(struct virtio *dev)
{
	struct virtio_console *con = of(dev);

	pthread_mutex_lock(&dev->lock);
	memset(con->typed, 0, sizeof(con->typed));
	pthread_mutex_unlock(&dev->lock);
}

void virtio_console_resize(struct virtio *dev, u16 cols, u16 rows)
{
	const __le16 size[] = { htole16(cols), htole16(rows) };

	virtio_set_config(dev, offsetof(struct virtio_console_config, cols), size, sizeof(size));
}

void virtio_console_drain(struct virtio *dev, void (*done)(void *arg), void *arg)
{
	struct virtio_console *con = of(dev);
	struct virtio_queue *q = &dev->queues[OUTPUT];

	/* The last kick may be on its way; and no vCPU runs that could print more. */
	q->paused = false;
	virtio_run(q);
	chardev_drain(con->chr, done, arg);
}

void virtio_console_abandon(struct virtio *dev)
{
	chardev_abandon(of(dev)->chr);
}

static void destroy(struct virtio *dev)
{
	struct virtio_console *con = of(dev);

	while (con->type_msg.queued && !loop_dispatch(dev->queues[INPUT].loop))
		;
	chardev_destroy(con->chr);
	virtio_fini(dev);
	free(con);
}

static const struct virtio_ops ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.nr_queues = NR_QUEUES,
	.queue_size = QUEUE_SIZE,
	.reset = reset,
	.kick = kick,
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

int virtio_console_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  const struct virtio_console_params *params, struct vmm_error *err)
{
	struct virtio_console *con = calloc(1, sizeof(*con));
	struct chardev_config chr = {
		.name = "hvc0", .log = env->log, .in_fd = params->in_fd, .out_fd = params->out_fd,
		.ops = &chr_ops, .arg = con,
	};
	int ret;

	if (!con)
		return error_set(err, -ENOMEM, "console%u: no memory", index);
	/* There the machine asks for the last output to be written. */
	con->env = *env;
	con->env.nr_loops = 1;
	con->type_msg = (struct loop_msg){ .fn = on_typed, .arg = con };
	con->config.cols = htole16(params->cols);
	con->config.rows = htole16(params->rows);
	con->virtio.config = (u8 *)&con->config;
	con->virtio.config_size = offsetof(struct virtio_console_config, max_nr_ports);
	ret = virtio_init(&con->virtio, &ops, &con->env, index, 0, 1ull << VIRTIO_CONSOLE_F_SIZE,
			  0, err);
	if (!ret)
		ret = chardev_create(&con->chr, env->loops[0], &chr, err);
	if (ret) {
		destroy(&con->virtio);
		return ret;
	}
	*dev = &con->virtio;
	return 0;
}
