/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_console.c - a console without registers for each byte (virtio 1.2, 5.3)
 *
 * There is one port; those that are no console are a device of their own, virtio_ports.c.
 * With MULTIPORT Linux takes rows for columns in the message that tells a new size, against
 * the specification; the configuration leaves no doubt.
 */
#include <endian.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "devices/vport.h"
#include "vmm/error.h"

enum { INPUT, OUTPUT, NR_QUEUES };

struct virtio_console {
	struct virtio			virtio;		/* first */
	struct virtio_env		env;		/* with the first loop alone */
	struct virtio_console_config	config;
	struct vport			port;

	/* Under the device's lock: what shall be as if typed, before any other input. */
	char				typed[VIRTIO_CONSOLE_TYPED + 1];
	struct loop_msg			type_msg;
};

static struct virtio_console *of(struct virtio *dev)
{
	return (struct virtio_console *)dev;
}

/* ---- What is typed in the host's name ------------------------------------------------ */

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

	while ((room = vport_room(&con->port)) > 0) {
		len = next_typed(con, text, room < VIRTIO_CONSOLE_TYPED ? room : VIRTIO_CONSOLE_TYPED);
		if (!len)
			return;
		vport_give(&con->port, text, len);
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

/* ---- The device -------------------------------------------------------------------- */

static bool kick(struct virtio_queue *q)
{
	struct virtio_console *con = of(q->dev);

	if (q->index == INPUT)
		take_typed(con);
	return vport_kick(&con->port, q);
}

static bool at_rest(struct virtio_queue *q)
{
	vport_rest(&of(q->dev)->port);
	return true;
}

static void stop_queue(struct virtio_queue *q)
{
	vport_stop_queue(&of(q->dev)->port, q);
}

/* What was typed for a driver is for no other. */
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
	vport_drain(&of(dev)->port, done, arg);
}

void virtio_console_abandon(struct virtio *dev)
{
	vport_abandon(&of(dev)->port);
}

static void destroy(struct virtio *dev)
{
	struct virtio_console *con = of(dev);

	while (con->type_msg.queued && !loop_dispatch(dev->queues[INPUT].loop))
		;
	vport_fini(&con->port);
	virtio_fini(dev);
	free(con);
}

static const struct virtio_ops ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.nr_queues = NR_QUEUES,
	.queue_size = VPORT_QUEUE_SIZE,
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
	const struct vport_config port = {
		.name = "hvc0", .in_fd = params->in_fd, .out_fd = params->out_fd, .input = INPUT,
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
		ret = vport_init(&con->port, &con->virtio, &port, err);
	if (ret) {
		destroy(&con->virtio);
		return ret;
	}
	*dev = &con->virtio;
	return 0;
}
