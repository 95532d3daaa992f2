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

bool driver_packed;

void driver_ram(struct gmem *mem)
{
	struct vmm_error err;

	assert_int_equal(gmem_init(mem, DRIVER_RAM_BASE, DRIVER_RAM_SIZE, -1, 0, &err), 0);
}

void driver_queue_init(struct driver_queue *q, struct gmem *mem, u32 i, u32 size)
{
	*q = (struct driver_queue){
		.mem = mem,
		.packed = driver_packed,
		.next_slot = DRIVER_WRAP,
		.used_slot = DRIVER_WRAP,
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
	q->slots = (void *)q->desc;
	q->driver_event = (void *)q->avail;
	q->device_event = (void *)q->used;
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

/* ---- Packed ----------------------------------------------------------------- */

static void advance(const struct driver_queue *q, u16 *place, u32 nr)
{
	u32 slot = (*place & (DRIVER_WRAP - 1)) + nr;
	u16 wrap = *place & DRIVER_WRAP;

	*place = (u16)(slot < q->layout.size ? slot | wrap : (slot - q->layout.size) | (wrap ^ DRIVER_WRAP));
}

static u16 offered(u16 place)
{
	return place & DRIVER_WRAP ? DRIVER_AVAIL : DRIVER_USED;
}

/* The first one's flags last (virtio 1.2, 2.8.6). */
void driver_offer_slots(struct driver_queue *q, const struct vring_packed_desc *d, size_t nr)
{
	struct vring_packed_desc *first = &q->slots[q->next_slot & (DRIVER_WRAP - 1)];
	u16 flags = d[0].flags | offered(q->next_slot);

	for (size_t i = 0; i < nr; i++) {
		struct vring_packed_desc *to = &q->slots[q->next_slot & (DRIVER_WRAP - 1)];

		to->addr = d[i].addr;
		to->len = d[i].len;
		to->id = d[i].id;
		if (i)
			to->flags = d[i].flags | offered(q->next_slot);
		advance(q, &q->next_slot, 1);
	}
	q->avail_idx++;
	__atomic_store_n(&first->flags, flags, __ATOMIC_SEQ_CST);
}

static u16 free_id(struct driver_queue *q)
{
	while (q->nr_slots[q->next_id % q->layout.size])
		q->next_id++;
	return (u16)(q->next_id++ % q->layout.size);
}

static u16 offer_packed(struct driver_queue *q, struct vring_packed_desc *d, size_t nr)
{
	u16 id;

	assert_in_range(q->layout.size, 1, DRIVER_IDS);
	id = free_id(q);
	for (size_t i = 0; i < nr; i++) {
		d[i].id = id;
		if (i < DRIVER_KEPT)
			q->kept[id][i] = d[i];
	}
	q->nr_kept[id] = q->nr_slots[id] = (u16)nr;
	driver_offer_slots(q, d, nr);
	return id;
}

static struct vring_packed_desc packed(const struct driver_buf *buf, bool last)
{
	return (struct vring_packed_desc){
		.addr = buf->addr, .len = buf->len,
		.flags = (u16)((buf->in ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT)),
	};
}

static u16 add_packed(struct driver_queue *q, const struct driver_buf *bufs, size_t nr)
{
	struct vring_packed_desc d[DRIVER_IDS];

	assert_in_range(nr, 1, DRIVER_IDS);
	for (size_t i = 0; i < nr; i++)
		d[i] = packed(&bufs[i], i + 1 == nr);
	return offer_packed(q, d, nr);
}

static u16 add_packed_indirect(struct driver_queue *q, gpa_t table, const struct driver_buf *bufs, size_t nr)
{
	u8 *to = gmem_host(q->mem, table, nr * sizeof(struct vring_packed_desc));
	struct vring_packed_desc d;

	for (size_t i = 0; i < nr; i++) {
		d = packed(&bufs[i], true);
		memcpy(to + i * sizeof(d), &d, sizeof(d));
	}
	d = (struct vring_packed_desc){
		.addr = table, .len = (u32)(nr * sizeof(d)), .flags = VRING_DESC_F_INDIRECT,
	};
	return offer_packed(q, &d, 1);
}

static bool used_packed(struct driver_queue *q, u32 *head, u32 *len)
{
	const struct vring_packed_desc *d = &q->slots[q->used_slot & (DRIVER_WRAP - 1)];
	u16 both = q->used_slot & DRIVER_WRAP ? DRIVER_AVAIL | DRIVER_USED : 0;
	u16 flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

	if ((flags & (DRIVER_AVAIL | DRIVER_USED)) != both)
		return false;
	*head = d->id;
	*len = flags & VRING_DESC_F_WRITE ? d->len : 0;
	/* Of what was written by hand nobody knows how long it was: one. */
	advance(q, &q->used_slot, *head < DRIVER_IDS && q->nr_slots[*head] ? q->nr_slots[*head] : 1);
	if (*head < DRIVER_IDS)
		q->nr_slots[*head] = 0;
	q->used_idx++;
	return true;
}

/* ---- Either kind ---------------------------------------------------------------- */

void driver_offer(struct driver_queue *q, u16 head)
{
	if (q->packed) {
		assert_in_range(q->nr_kept[head], 1, DRIVER_KEPT);
		q->nr_slots[head] = q->nr_kept[head];
		driver_offer_slots(q, q->kept[head], q->nr_kept[head]);
		return;
	}
	q->avail->ring[q->avail_idx % q->layout.size] = head;
	__atomic_store_n(&q->avail->idx, ++q->avail_idx, __ATOMIC_SEQ_CST);
}

u16 driver_add(struct driver_queue *q, const struct driver_buf *bufs, size_t nr)
{
	u16 head = (u16)(q->next_desc % q->layout.size);

	if (q->packed)
		return add_packed(q, bufs, nr);
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

	if (q->packed)
		return add_packed_indirect(q, table, bufs, nr);
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

	if (q->packed)
		return used_packed(q, head, len);
	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_idx)
		return false;
	*head = e->id;
	*len = e->len;
	q->used_idx++;
	return true;
}

u16 driver_nr_used(struct driver_queue *q)
{
	u32 head;
	u32 len;

	if (!q->packed)
		return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	while (driver_used(q, &head, &len))
		;
	return q->used_idx;
}

struct driver_mark driver_mark(const struct driver_queue *q)
{
	return (struct driver_mark){ q->avail_idx, q->next_slot };
}

static bool must_kick_packed(const struct driver_queue *q, u16 before)
{
	u16 flags = __atomic_load_n(&q->device_event->flags, __ATOMIC_ACQUIRE);
	u16 event = q->device_event->off_wrap;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* Slot by slot, from where it was to where it is. */
	for (; before != q->next_slot; advance(q, &before, 1))
		if (before == event)
			return true;
	return false;
}

bool driver_must_kick(const struct driver_queue *q, struct driver_mark before)
{
	const u16 *event = (const u16 *)&q->used->ring[q->layout.size];

	__sync_synchronize();
	return q->packed ? must_kick_packed(q, before.next_slot) :
	       vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), q->avail_idx, before.avail_idx);
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
		.packed = driver_packed,
	};
	for (u32 i = 0; i < nr_loops; i++)
		d->env.loops[i] = t_loop();
}

static void new_rings(struct driver *d)
{
	for (u32 i = 0; i < d->nr_queues; i++) {
		driver_queue_init(&d->q[i], &d->mem, i, d->dev->ops->queue_size);
		d->q[i].packed &= !!(d->dev->offered & 1ull << VIRTIO_F_RING_PACKED);
	}
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
	const u64 ring = 1ull << VIRTIO_F_RING_PACKED;

	if (driver_packed)
		features |= d->dev->offered & ring;
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
