/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.c - the driver's side of a split virtqueue, for tests
 */
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
