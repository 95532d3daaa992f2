/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.c - the driver's side of virtio, for tests
 */
#include <linux/virtio_config.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/driver.h"
#include "tests/unit/t.h"

void driver_ram(struct gmem *mem)
{
	struct vmm_error err;

	assert_int_equal(gmem_init(mem, DRIVER_RAM_BASE, DRIVER_RAM_SIZE, -1, 0, &err), 0);
}

void driver_queue_init(struct driver_queue *q, struct gmem *mem, u32 i, u32 size)
{
	*q = (struct driver_queue){
		.mem = mem,
		.layout = {
			.size = size,
			.desc = DRIVER_RING(i),
			.avail = DRIVER_RING(i) + KIB(32),
			.used = DRIVER_RING(i) + KIB(48),
		},
	};
	memset(gmem_host(mem, DRIVER_RING(i), KIB(64)), 0, KIB(64));
	q->desc = gmem_host(mem, q->layout.desc, 1);
	q->avail = gmem_host(mem, q->layout.avail, 1);
	q->used = gmem_host(mem, q->layout.used, 1);
}

static void fill(struct vring_desc *d, const struct driver_buf *buf, bool last, u16 next)
{
	*d = (struct vring_desc){
		.addr = buf->addr,
		.len = buf->len,
		.flags = (u16)((buf->in ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT)),
		.next = last ? 0 : next,
	};
}

void driver_offer(struct driver_queue *q, u16 head)
{
	q->avail->ring[q->avail_idx % q->layout.size] = head;
	__atomic_store_n(&q->avail->idx, ++q->avail_idx, __ATOMIC_SEQ_CST);
}

u16 driver_add(struct driver_queue *q, const struct driver_buf *bufs, size_t nr)
{
	u16 head = (u16)(q->next_desc % q->layout.size);

	for (size_t i = 0; i < nr; i++) {
		u16 at = (u16)(q->next_desc++ % q->layout.size);

		fill(&q->desc[at], &bufs[i], i + 1 == nr, (u16)((at + 1) % q->layout.size));
	}
	driver_offer(q, head);
	return head;
}

u16 driver_add_indirect(struct driver_queue *q, gpa_t table, const struct driver_buf *bufs, size_t nr)
{
	u16 head = (u16)(q->next_desc++ % q->layout.size);
	u8 *to = gmem_host(q->mem, table, nr * sizeof(struct vring_desc));
	struct vring_desc d;

	/* It need not be aligned. */
	for (size_t i = 0; i < nr; i++) {
		fill(&d, &bufs[i], i + 1 == nr, (u16)(i + 1));
		memcpy(to + i * sizeof(d), &d, sizeof(d));
	}
	q->desc[head] = (struct vring_desc){
		.addr = table, .len = (u32)(nr * sizeof(d)), .flags = VRING_DESC_F_INDIRECT,
	};
	driver_offer(q, head);
	return head;
}

bool driver_used(struct driver_queue *q, u32 *head, u32 *len)
{
	const struct vring_used_elem *e = &q->used->ring[q->used_idx % q->layout.size];

	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_idx)
		return false;
	*head = e->id;
	*len = e->len;
	q->used_idx++;
	return true;
}

/* ---- A whole device -------------------------------------------------------- */

static struct driver *driver_of(struct virtio *dev)
{
	return dev->transport_dev;
}

static void on_queue_irq(struct virtio_queue *q)
{
	driver_of(q->dev)->nr_irqs[q->index]++;
}

static int on_irq_fd(struct virtio_queue *q)
{
	return driver_of(q->dev)->irq_fd;
}

static void on_config_irq(struct virtio *dev)
{
	driver_of(dev)->nr_config_irqs++;
}

static void on_was_reset(struct virtio *dev)
{
	driver_of(dev)->nr_was_reset++;
}

static const struct virtio_transport_ops transport = {
	.queue_irq = on_queue_irq,
	.irq_fd = on_irq_fd,
	.config_irq = on_config_irq,
	.was_reset = on_was_reset,
};

static void on_broken(void *ctx, u32 index, const char *msg)
{
	struct driver *d = ctx;

	assert_int_equal(index, d->dev->index);
	d->nr_broken++;
	snprintf(d->why, sizeof(d->why), "%s", msg);
}

void driver_open(struct driver *d, u32 nr_loops)
{
	static const struct logger quiet = { .fn = NULL };
	struct vmm_error err;

	int fd = memfd_create("ram", MFD_CLOEXEC);

	memset(d, 0, sizeof(*d));
	assert_int_equal(ftruncate(fd, DRIVER_RAM_SIZE), 0);
	assert_int_equal(gmem_init(&d->mem, DRIVER_RAM_BASE, DRIVER_RAM_SIZE, fd, 0, &err), 0);
	d->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->env = (struct virtio_env){
		.mem = &d->mem, .mem_fd = fd, .log = &quiet, .nr_loops = nr_loops, .broken = on_broken, .ctx = d,
	};
	for (u32 i = 0; i < nr_loops; i++)
		d->env.loops[i] = t_loop();
}

static void new_rings(struct driver *d)
{
	for (u32 i = 0; i < d->nr_queues; i++)
		driver_queue_init(&d->q[i], &d->mem, i, d->dev->ops->queue_size);
}

void driver_attach(struct driver *d, struct virtio *dev)
{
	assert_in_range(dev->nr_queues, 1, DRIVER_QUEUES);
	dev->transport = &transport;
	dev->transport_dev = d;
	d->dev = dev;
	d->nr_queues = dev->nr_queues;
	new_rings(d);
}

void driver_close(struct driver *d)
{
	virtio_destroy(d->dev);
	for (u32 i = 0; i < d->env.nr_loops; i++)
		loop_destroy(d->env.loops[i]);
	gmem_fini(&d->mem);
	close(d->env.mem_fd);
	close(d->irq_fd);
}

void driver_turn(struct driver *d)
{
	for (u32 n = 0; n < 8; n++)
		for (u32 i = 0; i < d->env.nr_loops; i++)
			assert_int_equal(loop_dispatch(d->env.loops[i]), 0);
}

u8 driver_status(struct driver *d, int val)
{
	u8 now;

	if (val >= 0)
		driver_locked(d, virtio_set_status(d->dev, (u8)val));
	driver_locked(d, now = d->dev->status);
	return now;
}

bool driver_negotiate(struct driver *d, u64 features)
{
	driver_status(d, DRIVER_ACK);
	driver_locked(d, virtio_accept(d->dev, 0, (u32)features);
			 virtio_accept(d->dev, 1, (u32)(features >> 32)));
	return driver_status(d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK) &
	       VIRTIO_CONFIG_S_FEATURES_OK;
}

static bool set_queue(struct virtio_queue *q, const struct virtq_layout *l)
{
	const gpa_t addrs[] = { l->desc, l->avail, l->used };
	gpa_t *regs[] = { &q->layout.desc, &q->layout.avail, &q->layout.used };

	virtio_queue_set_size(q, l->size);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		virtio_queue_set_addr(q, regs[i], 0, (u32)addrs[i]);
		virtio_queue_set_addr(q, regs[i], 32, (u32)(addrs[i] >> 32));
	}
	virtio_queue_set_ready(q, true);
	return q->ready;
}

bool driver_set_queue(struct driver *d, u32 i, const struct virtq_layout *l)
{
	bool ready;

	driver_locked(d, ready = set_queue(virtio_queue(d->dev, i), l));
	return ready;
}

void driver_start(struct driver *d, u64 features)
{
	assert_true(driver_negotiate(d, features));
	new_rings(d);
	for (u32 i = 0; i < d->nr_queues; i++)
		assert_true(driver_set_queue(d, i, &d->q[i].layout));
	driver_status(d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

void driver_kick(struct driver *d, u32 i)
{
	virtio_kick(d->dev, i);
	driver_turn(d);
}
