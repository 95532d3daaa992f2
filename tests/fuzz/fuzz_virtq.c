/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_virtq.c - whatever a driver writes, a queue hands out buffers in RAM alone
 *
 * RAM is a few pages between pages that fault.  What is in flight is kept here too, and
 * has to be what the queue says.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>

#include "devices/virtq.h"
#include "tests/fuzz/input.h"

#define BASE	0x80000000ull
#define RAM	KIB(16)
#define GUARD	KIB(64)
#define TABLE	(BASE + KIB(8))		/* of indirect descriptors */
#define MAX	32
#define IOV	16

struct rig {
	struct gmem		mem;
	struct virtq_layout	layout;
	struct virtq		vq;
	struct iovec		iov[IOV];
	u16			inflight[MAX];
	u32			nr;
	bool			latest;		/* the last one may be taken back */
};

static u8 *ram;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	ram = mmap(NULL, RAM + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(ram != MAP_FAILED);
	ram += GUARD;
	must(!mprotect(ram, RAM, PROT_READ | PROT_WRITE));
	return 0;
}

/* Mostly in RAM. */
static gpa_t choose_addr(struct input *in)
{
	u8 kind = input_u8(in);

	if (kind == 0xff)
		return input_u64(in);
	if (kind >= 0xf0)
		return BASE + RAM - kind % 16;
	return BASE + input_u16(in) % RAM;
}

static void choose_layout(struct rig *rig, struct input *in)
{
	u8 kind = input_u8(in);

	rig->layout = (struct virtq_layout){
		.size = 1u << kind % 6, .desc = BASE, .avail = BASE + KIB(2), .used = BASE + KIB(4),
	};
	if (kind & 0x80)
		rig->layout.size = input_u32(in);
	if (kind & 0x40)
		rig->layout.desc = choose_addr(in);
	if (kind & 0x20)
		rig->layout.avail = choose_addr(in);
	if (kind & 0x10)
		rig->layout.used = choose_addr(in);
}

static void write_desc(struct rig *rig, struct input *in, gpa_t table, u32 nr)
{
	u32 i = input_u8(in) % nr;
	struct vring_desc d = { .addr = choose_addr(in) };

	d.len = input_u16(in);
	if (d.len == 0xffff)
		d.len = input_u32(in);
	d.flags = input_u8(in) % 8;
	if (d.flags & VRING_DESC_F_INDIRECT && d.len % 2)
		d.addr = TABLE, d.len = d.len % 64 * 16;
	d.next = input_u8(in);
	gmem_write(&rig->mem, table + i * sizeof(d), &d, sizeof(d));
}

/* A slot of a packed ring: mostly the next, or one after it, offered as it has to be. */
static void write_slot(struct rig *rig, struct input *in)
{
	u8 kind = input_u8(in);
	u32 ahead = kind / 64;
	u32 i = (rig->vq.next_avail & 0x7fff) + ahead;
	bool wrap = rig->vq.next_avail & 0x8000;
	struct vring_packed_desc d = { .addr = choose_addr(in) };

	if (i >= rig->layout.size)
		i = (i - rig->layout.size) % rig->layout.size, wrap = !wrap;
	d.len = input_u16(in);
	if (d.len == 0xffff)
		d.len = input_u32(in);
	d.flags = kind % 8;
	if (d.flags & VRING_DESC_F_INDIRECT && d.len % 2)
		d.addr = TABLE, d.len = d.len % 64 * 16;
	d.id = input_u8(in);
	if (d.id < 0xc0)
		d.id %= rig->layout.size;
	d.flags |= wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
	/* Or any: no more than one in eight. */
	if ((kind & 0x38) == 0x38)
		d.flags = input_u16(in), i = d.id % rig->layout.size;
	gmem_write(&rig->mem, rig->layout.desc + i * sizeof(d), &d, sizeof(d));
}

static void offer(struct rig *rig, u16 head)
{
	struct vring_avail *avail = gmem_host(&rig->mem, rig->layout.avail, 4);

	avail->ring[avail->idx % rig->layout.size] = head;
	avail->idx++;
}

static void check(const struct rig *rig, const struct virtq_chain *chain)
{
	u64 out = 0;
	u64 in = 0;

	must(chain->head < rig->layout.size);
	must(chain->nr_out + chain->nr_in >= 1);
	must((u32)chain->nr_out + chain->nr_in <= chain->max);
	must((u32)chain->nr_out + chain->nr_in <= rig->layout.size);
	for (u32 i = 0; i < (u32)chain->nr_out + chain->nr_in; i++) {
		const u8 *p = chain->iov[i].iov_base;

		must(p >= ram && chain->iov[i].iov_len && chain->iov[i].iov_len <= RAM);
		must(p + chain->iov[i].iov_len <= ram + RAM);
		*(i < chain->nr_out ? &out : &in) += chain->iov[i].iov_len;
	}
	must(chain->out_len == out && chain->in_len == in);
	for (u32 i = 0; i < rig->nr; i++)
		must(rig->inflight[i] != chain->head);
	must(rig->nr < rig->layout.size);
}

static void pop(struct rig *rig, u32 max)
{
	struct virtq_chain chain = { .iov = rig->iov, .max = max };
	bool was_broken = rig->vq.why;
	int ret = virtq_pop(&rig->vq, &chain);

	must(ret == 1 || ret == 0 || ret == -EPROTO);
	must((ret == -EPROTO) == (rig->vq.why != NULL));
	must(!was_broken || ret == -EPROTO);
	rig->latest = ret == 1;
	if (ret != 1)
		return;
	check(rig, &chain);
	rig->inflight[rig->nr++] = chain.head;
}

static void push(struct rig *rig, u32 which, u32 len)
{
	if (!rig->nr)
		return;
	which %= rig->nr;
	virtq_push(&rig->vq, rig->inflight[which], len);
	rig->inflight[which] = rig->inflight[--rig->nr];
	rig->latest = false;
}

static void step(struct rig *rig, struct input *in)
{
	u8 op = input_u8(in);

	switch (op % 16) {
	case 0 ... 2:
		if (rig->vq.packed)
			write_slot(rig, in);
		else
			write_desc(rig, in, rig->layout.desc, rig->layout.size);
		break;
	case 3:
		write_desc(rig, in, TABLE, 64);
		break;
	case 4 ... 5:
		if (rig->vq.packed)
			write_slot(rig, in);
		else
			offer(rig, input_u8(in));
		break;
	case 6:
		/* The index, or the flags of the event. */
		gmem_write(&rig->mem, rig->layout.avail + 2, &(u16){ input_u16(in) }, 2);
		break;
	case 7:
		gmem_write(&rig->mem, choose_addr(in), &(u8){ input_u8(in) }, 1);
		break;
	case 8 ... 10:
		pop(rig, op & 0x80 ? op / 16 : IOV);
		break;
	case 11:
		push(rig, input_u8(in), input_u32(in));
		break;
	case 12:
		if (rig->latest)
			virtq_unpop(&rig->vq, rig->inflight[--rig->nr]);
		rig->latest = false;
		break;
	case 13:
		virtq_should_signal(&rig->vq);
		break;
	case 14:
		virtq_enable_kicks(&rig->vq);
		break;
	case 15:
		virtq_disable_kicks(&rig->vq);
		break;
	}
	must(rig->vq.nr_inflight == rig->nr);
	must(rig->vq.nr_slots <= rig->layout.size);
	must(!rig->vq.packed || !rig->vq.nr_slots == !rig->nr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { .mem = { .host = ram, .base = BASE, .size = RAM } };
	u8 kind = input_u8(&in);
	u64 features = (kind & 1 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0) |
		       (kind & 2 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0) |
		       (kind & 4 ? 1ull << VIRTIO_F_RING_PACKED : 0);

	memset(ram, 0, RAM);
	choose_layout(&rig, &in);
	if (virtq_check(&rig.mem, &rig.layout, MAX, features))
		return 0;
	must(rig.layout.size && rig.layout.size <= MAX);
	virtq_init(&rig.vq, &rig.mem, &rig.layout, features);
	while (in.left)
		step(&rig, &in);
	while (rig.nr)
		push(&rig, 0, 0);
	return 0;
}
