/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtq.c - proofs about devices/virtq.c with a split ring, for CBMC
 *
 * Each proof begins with any queue that the invariant allows, does one thing, and shows the
 * invariant again; so it holds after any number of them.
 */
#include "tests/cbmc/ring.h"

#include "devices/virtq.c"
#include "devices/virtq_split.c"

/* Nothing gets there: which kind it is does not change. */
#define NEVER(type, name, ...)	type name(__VA_ARGS__) { assert(false); }
NEVER(const char *, packed_check, const struct gmem *mem, const struct virtq_layout *l)
NEVER(void, packed_init, struct virtq *vq, const struct virtq_layout *l)
NEVER(int, packed_pop, struct virtq *vq, struct virtq_chain *chain)
NEVER(void, packed_unpop, struct virtq *vq, u16 head)
NEVER(void, packed_push_all, struct virtq *vq, const struct virtq_used *used, u32 nr)
NEVER(bool, packed_should_signal, struct virtq *vq)
NEVER(bool, packed_enable_kicks, struct virtq *vq)
NEVER(void, packed_disable_kicks, struct virtq *vq)

/* ---- The invariant ----------------------------------------------------------------- */

/* Of a queue of at most MAX, 64 or less. */
static bool holds(const struct virtq *vq)
{
	return !vq->packed && is_power_of_2(vq->size) && vq->size <= MAX &&
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
static void init_of(u32 size)
{
	struct virtq_layout l = { size, nondet_u64(), nondet_u64(), nondet_u64() };
	struct gmem mem = any_ram();
	u64 features = nondet_u64() & ~(1ull << VIRTIO_F_RING_PACKED);
	u32 max = nondet_u32();
	struct virtq vq;

	__CPROVER_assume(max <= MAX);
	if (virtq_check(&mem, &l, max, features))
		return;
	assert(l.size <= max);
	assert(gmem_covers(&mem, l.desc, l.size * 16ull));
	assert(gmem_covers(&mem, l.avail, 6 + l.size * 2ull));
	assert(gmem_covers(&mem, l.used, 6 + l.size * 8ull));
	virtq_init(&vq, &mem, &l, features);
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
	vq.packed = false;
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
