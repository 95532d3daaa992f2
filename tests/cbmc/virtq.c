/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - proofs about devices/virtq.c, for CBMC
 *
 * Every load from guest memory gives any value, another one each time: what a driver that
 * writes while we read can do at worst.  Each proof begins with any queue that the
 * invariant allows, does one thing, and shows the invariant again; so it holds after any
 * number of them.  What is asserted of a view, that an access is inside, is all that
 * gmem.c asks for; and there it is proven that a view is RAM.
 */
#include <assert.h>
#include <errno.h>

#include "vmm/gmem.h"

/* ---- Guest memory, as a driver can make it ------------------------------------- */

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

struct vring_desc;
static void model_read(const struct gview *v, u64 off, struct vring_desc *d, size_t len);

#define gview_load16		model_load16
#define gview_load16_acquire	model_load16
#define gview_load16_ordered	model_load16
#define gview_store16		model_store16
#define gview_store16_release	model_store16
#define gview_swap16		model_store16
#define gview_store32		model_store32
#define gview_read		model_read
#include "devices/virtq.c"

static void model_read(const struct gview *v, u64 off, struct vring_desc *d, size_t len)
{
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

int gmem_iov(const struct gmem *mem, gpa_t gpa, u64 len, struct iovec *iov)
{
	if (!gmem_covers(mem, gpa, len))
		return -EFAULT;
	/* The address itself, to be looked at. */
	iov->iov_base = (void *)gpa;
	iov->iov_len = len;
	return 0;
}

/* ---- The invariant ----------------------------------------------------------------- */

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

/* Of a queue of at most MAX, 64 or less. */
static bool holds(const struct virtq *vq)
{
	return is_power_of_2(vq->size) && vq->size <= MAX &&
	       vq->desc.host && vq->desc.len == vq->size * 16ull &&
	       vq->avail.host && vq->avail.len == 6 + vq->size * 2ull &&
	       vq->used.host && vq->used.len == 6 + vq->size * 8ull &&
	       !(vq->inflight[0] >> vq->size) && vq->nr_inflight == count(vq) &&
	       (vq->why || (u16)(vq->avail_idx - vq->next_avail) <= vq->size);
}

static void any_queue(struct virtq *vq, struct gmem *mem)
{
	struct virtq any;

	*mem = any_ram();
	*vq = any;
	vq->mem = mem;
	vq->why = nondet_bool() ? "any" : NULL;
	vq->desc.host = vq->avail.host = vq->used.host = &somewhere;
	__CPROVER_assume(holds(vq));
}

/* ---- The proofs --------------------------------------------------------------------- */

/* What has passed the check is a queue. */
void prove_init(void)
{
	struct virtq_layout l = { nondet_u32(), nondet_u64(), nondet_u64(), nondet_u64() };
	struct gmem mem = any_ram();
	u32 max = nondet_u32();
	struct virtq vq;

	__CPROVER_assume(max <= MAX);
	if (virtq_check(&mem, &l, max))
		return;
	assert(l.size <= max);
	assert(gmem_covers(&mem, l.desc, l.size * 16ull));
	assert(gmem_covers(&mem, l.avail, 6 + l.size * 2ull));
	assert(gmem_covers(&mem, l.used, 6 + l.size * 8ull));
	virtq_init(&vq, &mem, &l, nondet_u64());
	assert(holds(&vq) && !vq.nr_inflight);
}

void prove_pop(void)
{
	struct iovec iov[MAX];
	struct virtq_chain chain = { .iov = iov, .max = nondet_u32() };
	struct gmem mem;
	struct virtq vq;
	u64 before;
	u32 nr;
	int ret;

	__CPROVER_assume(chain.max <= MAX);
	any_queue(&vq, &mem);
	before = vq.inflight[0];
	nr = vq.nr_inflight;
	ret = virtq_pop(&vq, &chain);
	assert(ret == 1 || ret == 0 || ret == -EPROTO);
	assert((ret == -EPROTO) == !!vq.why);
	assert(holds(&vq));
	if (ret != 1) {
		assert(vq.inflight[0] == before && vq.nr_inflight == nr);
		return;
	}
	assert(chain.head < vq.size && !(before >> chain.head & 1) && nr < vq.size);
	assert(vq.inflight[0] == (before | 1ull << chain.head));
	assert(chain.nr_out + chain.nr_in >= 1);
	assert(chain.nr_out + chain.nr_in <= chain.max && chain.nr_out + chain.nr_in <= vq.size);
	for (u32 i = 0; i < MAX; i++) {
		if (i >= (u32)chain.nr_out + chain.nr_in)
			break;
		assert(iov[i].iov_len && iov[i].iov_len <= UINT32_MAX);
		assert(gmem_covers(&mem, (gpa_t)iov[i].iov_base, iov[i].iov_len));
	}
	if (nondet_bool()) {
		virtq_unpop(&vq, chain.head);
		assert(holds(&vq) && vq.inflight[0] == before);
	}
}

/* The lengths are the sums: apart, as sums are hard. */
void prove_sums(void)
{
	struct iovec iov[MAX];
	struct virtq_chain chain = { .iov = iov, .max = MAX };
	struct gmem mem;
	struct virtq vq;
	u64 out = 0;
	u64 in = 0;

	any_queue(&vq, &mem);
	if (virtq_pop(&vq, &chain) != 1)
		return;
	for (u32 i = 0; i < MAX; i++) {
		if (i < chain.nr_out)
			out += iov[i].iov_len;
		else if (i < (u32)chain.nr_out + chain.nr_in)
			in += iov[i].iov_len;
	}
	assert(chain.out_len == out && chain.in_len == in);
}

/* The device gives back what is in flight. */
void prove_push(void)
{
	u16 head = nondet_u16();
	struct gmem mem;
	struct virtq vq;

	any_queue(&vq, &mem);
	__CPROVER_assume(head < vq.size && vq.inflight[0] >> head & 1);
	virtq_push(&vq, head, nondet_u32());
	assert(holds(&vq) && !(vq.inflight[0] >> head & 1));
}

void prove_notices(void)
{
	struct gmem mem;
	struct virtq vq;

	any_queue(&vq, &mem);
	if (nondet_bool())
		virtq_should_signal(&vq);
	else if (nondet_bool())
		virtq_enable_kicks(&vq);
	else
		virtq_disable_kicks(&vq);
	assert(holds(&vq));
}

/* All but the walk along a chain, for queues of any size. */
void prove_large(void)
{
	struct virtq_chain chain;
	struct gmem mem = any_ram();
	struct virtq vq;
	u16 head = nondet_u16();

	vq.mem = &mem;
	vq.why = NULL;
	__CPROVER_assume(is_power_of_2(vq.size) && vq.size <= VIRTQ_MAX_SIZE);
	vq.desc = (struct gview){ &somewhere, vq.size * 16ull };
	vq.avail = (struct gview){ &somewhere, avail_size(vq.size) };
	vq.used = (struct gview){ &somewhere, used_size(vq.size) };
	if (next_head(&vq, &head) == 1) {
		assert(head < vq.size && !(vq.inflight[head / 64] >> head % 64 & 1));
		return;
	}
	__CPROVER_assume(head < vq.size && vq.inflight[head / 64] >> head % 64 & 1);
	virtq_push(&vq, head, nondet_u32());
	virtq_should_signal(&vq);
	virtq_enable_kicks(&vq);
	virtq_disable_kicks(&vq);
	(void)chain;
}
