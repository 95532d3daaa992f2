/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - guest memory as a driver can make it, for proofs about rings
 *
 * Every load from guest memory gives any value, another one each time: what a driver that
 * writes while we read can do at worst.  What is asserted of a view, that an access is
 * inside, is all that gmem.c asks for; and there it is proven that a view is RAM.
 */
#include <assert.h>
#include <errno.h>
#include <linux/virtio_ring.h>

#include "vmm/gmem.h"

u16 nondet_u16(void);
u32 nondet_u32(void);
u64 nondet_u64(void);
_Bool nondet_bool(void);

static void inside(const struct gview *v, u64 off, u64 len)
{
	assert(v->host);
	assert(off <= v->len && len <= v->len - off);
	assert(off % len == 0);
}

static u16 model_load16(const struct gview *v, u64 off)
{
	inside(v, off, 2);
	return nondet_u16();
}

static void model_store16(const struct gview *v, u64 off, u16 val)
{
	(void)val;
	inside(v, off, 2);
}

static void model_store32(const struct gview *v, u64 off, u32 val)
{
	(void)val;
	inside(v, off, 4);
}

static void model_read(const struct gview *v, u64 off, void *buf, size_t len);

static int model_iov(const struct gmem *mem, gpa_t gpa, u64 len, struct iovec *iov)
{
	if (!gmem_covers(mem, gpa, len))
		return -EFAULT;
	/* The address itself, to be looked at. */
	iov->iov_base = (void *)gpa;
	iov->iov_len = len;
	return 0;
}

#define gview_load16		model_load16
#define gview_load16_acquire	model_load16
#define gview_load16_ordered	model_load16
#define gview_store16		model_store16
#define gview_store16_release	model_store16
#define gview_swap16		model_store16
#define gview_store32		model_store32
#define gview_read		model_read
#define gview_fence()
#define gmem_iov		model_iov
#include "devices/virtq_ring.h"

/* A descriptor of either kind is four numbers. */
static void model_read(const struct gview *v, u64 off, void *buf, size_t len)
{
	struct vring_desc *d = buf;

	assert(len == sizeof(*d));
	inside(v, off, len);
	d->addr = nondet_u64();
	d->len = nondet_u32();
	d->flags = nondet_u16();
	d->next = nondet_u16();
}

/* What these promise, and gmem.c is shown to keep. */
int gview_init(struct gview *view, const struct gmem *mem, gpa_t gpa, u64 len)
{
	bool covered = gmem_covers(mem, gpa, len);

	view->host = covered ? mem->host : NULL;
	view->len = len;
	return covered ? 0 : -EFAULT;
}

static u8 somewhere;

static struct gmem any_ram(void)
{
	struct gmem mem = { .host = &somewhere, .base = nondet_u64(), .size = nondet_u64() };

	__CPROVER_assume(mem.size <= UINT64_MAX - mem.base);
	return mem;
}

static u32 count(const struct virtq *vq)
{
	u32 nr = 0;

	for (u32 i = 0; i < MAX; i++)
		nr += vq->inflight[0] >> i & 1;
	return nr;
}

static void init_of(u32 size);

/*
 * Size by size, each of them a number to the solver.  Larger ones are refused at once: to
 * follow them any further is what it may not come back from.
 */
void prove_init(void)
{
	struct virtq_layout larger = { nondet_u32(), nondet_u64(), nondet_u64(), nondet_u64() };
	struct gmem mem = any_ram();
	u32 max = nondet_u32();

	for (u32 size = 0; size <= MAX; size++)
		if (nondet_bool())
			init_of(size);
	__CPROVER_assume(max <= MAX && larger.size > MAX);
	assert(virtq_check(&mem, &larger, max, nondet_u64()));
}
