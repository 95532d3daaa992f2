/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packed.c - proofs about devices/virtq.c with a packed ring, for CBMC
 *
 * Each proof begins with any queue that the invariant allows, does one thing, and shows the
 * invariant again; so it holds after any number of them.
 */
#include "tests/cbmc/ring.h"

#include "devices/virtq.c"
#include "devices/virtq_packed.c"

/* Nothing gets there: which kind it is does not change. */
#define NEVER(type, name, ...)	type name(__VA_ARGS__) { assert(false); }
NEVER(const char *, split_check, const struct gmem *mem, const struct virtq_layout *l)
NEVER(void, split_init, struct virtq *vq, const struct virtq_layout *l)
NEVER(int, split_pop, struct virtq *vq, struct virtq_chain *chain)
NEVER(void, split_unpop, struct virtq *vq, u16 head)
NEVER(void, split_push_all, struct virtq *vq, const struct virtq_used *used, u32 nr)
NEVER(bool, split_should_signal, struct virtq *vq)
NEVER(bool, split_enable_kicks, struct virtq *vq)
NEVER(void, split_disable_kicks, struct virtq *vq)

/* ---- The invariant ----------------------------------------------------------------- */

static u32 sum(const struct virtq *vq)
{
	u32 nr = 0;

	for (u32 i = 0; i < MAX; i++)
		if (vq->inflight[0] >> i & 1)
			nr += vq->slots[i];
	return nr;
}

/* Each chain that is in flight has a slot at least, of a ring that has that many. */
static bool slots_hold(const struct virtq *vq)
{
	for (u32 i = 0; i < MAX; i++)
		if (vq->inflight[0] >> i & 1 && (!vq->slots[i] || vq->slots[i] > vq->size))
			return false;
	return vq->nr_slots <= vq->size && vq->nr_slots == sum(vq);
}

/*
 * Of a queue of at most MAX, 64 or less.  What is in flight is all that lies between what is
 * given back next and what is taken next: so one never overtakes the other.
 */
static bool holds(const struct virtq *vq)
{
	return vq->packed && vq->size && vq->size <= MAX &&
	       vq->desc.host && vq->desc.len == vq->size * 16ull &&
	       vq->avail.host && vq->avail.len == 4 && vq->used.host && vq->used.len == 4 &&
	       !(vq->inflight[0] >> vq->size) && vq->nr_inflight == count(vq) &&
	       slots_hold(vq) && slot(vq->next_avail) < vq->size && slot(vq->used_idx) < vq->size &&
	       vq->next_avail == onwards(vq, vq->used_idx, vq->nr_slots);
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

static bool flies(const struct virtq *vq, u16 head)
{
	return head < vq->size && vq->inflight[0] >> head & 1;
}

/* ---- The proofs --------------------------------------------------------------------- */

/* What has passed the check is a queue. */
static void init_of(u32 size)
{
	struct virtq_layout l = { size, nondet_u64(), nondet_u64(), nondet_u64() };
	u64 features = nondet_u64() | 1ull << VIRTIO_F_RING_PACKED;
	struct gmem mem = any_ram();
	u32 max = nondet_u32();
	struct virtq vq;

	__CPROVER_assume(max <= MAX);
	if (virtq_check(&mem, &l, max, features))
		return;
	assert(l.size && l.size <= max);
	assert(gmem_covers(&mem, l.desc, l.size * 16ull));
	assert(gmem_covers(&mem, l.avail, 4));
	assert(gmem_covers(&mem, l.used, 4));
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
	nr = vq.nr_slots;
	ret = virtq_pop(&vq, &chain);
	assert(ret == 1 || ret == 0 || ret == -EPROTO);
	assert((ret == -EPROTO) == !!vq.why);
	assert(holds(&vq));
	if (ret != 1) {
		assert(vq.inflight[0] == before && vq.nr_slots == nr);
		return;
	}
	assert(chain.head < vq.size && !(before >> chain.head & 1));
	assert(vq.inflight[0] == (before | 1ull << chain.head) && vq.nr_slots > nr);
	assert(chain.nr_out + chain.nr_in >= 1);
	assert(chain.nr_out + chain.nr_in <= chain.max && chain.nr_out + chain.nr_in <= vq.size);
	for (u32 i = 0; i < MAX; i++) {
		if (i >= (u32)chain.nr_out + chain.nr_in)
			break;
		assert(iov[i].iov_len && iov[i].iov_len <= UINT32_MAX);
		assert(gmem_covers(&mem, (gpa_t)iov[i].iov_base, iov[i].iov_len));
	}
}

/* Of what is in flight any: that it is the latest is not what holds it together. */
void prove_unpop(void)
{
	u16 head = nondet_u16();
	struct gmem mem;
	struct virtq vq;
	u16 nr;

	any_queue(&vq, &mem);
	__CPROVER_assume(flies(&vq, head));
	nr = vq.nr_slots;
	virtq_unpop(&vq, head);
	assert(holds(&vq) && !flies(&vq, head) && vq.nr_slots < nr);
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
	__CPROVER_assume(flies(&vq, head));
	virtq_push(&vq, head, nondet_u32());
	assert(holds(&vq) && !flies(&vq, head));
}

void prove_batch(void)
{
	const struct virtq_used used[2] = {
		{ nondet_u16(), nondet_u32() }, { nondet_u16(), nondet_u32() },
	};
	struct gmem mem;
	struct virtq vq;

	any_queue(&vq, &mem);
	__CPROVER_assume(flies(&vq, used[0].head) && flies(&vq, used[1].head));
	__CPROVER_assume(used[0].head != used[1].head);
	virtq_push_all(&vq, used, 2);
	assert(holds(&vq) && !flies(&vq, used[0].head) && !flies(&vq, used[1].head));
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
	struct gmem mem = any_ram();
	u16 place = nondet_u16();
	u16 head = nondet_u16();
	u32 nr = nondet_u32();
	struct virtq vq;
	u16 next;

	vq.mem = &mem;
	vq.why = NULL;
	vq.packed = true;
	__CPROVER_assume(vq.size && vq.size <= VIRTQ_MAX_SIZE);
	vq.desc = (struct gview){ &somewhere, vq.size * 16ull };
	vq.avail = vq.used = (struct gview){ &somewhere, 4 };
	__CPROVER_assume(slot(place) < vq.size && nr <= vq.size);
	next = onwards(&vq, place, nr);
	assert(slot(next) < vq.size);
	assert((slot(next) + (((next ^ place) & WRAP) ? vq.size : 0)) == slot(place) + nr);
	assert(backwards(&vq, next, nr) == place);
	__CPROVER_assume(slot(vq.next_avail) < vq.size && slot(vq.used_idx) < vq.size);
	__CPROVER_assume(head < vq.size && vq.inflight[head / 64] >> head % 64 & 1);
	__CPROVER_assume(vq.slots[head] <= vq.nr_slots && vq.nr_slots <= vq.size);
	virtq_push(&vq, head, nondet_u32());
	assert(slot(vq.used_idx) < vq.size && vq.nr_slots <= vq.size);
	virtq_should_signal(&vq);
	virtq_enable_kicks(&vq);
	virtq_disable_kicks(&vq);
}
