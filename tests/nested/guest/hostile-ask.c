// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile-ask.c - requests that lie, in rings that do not; and some that change under way
 *
 * What is written here is kept away from the program itself: buffers to write lie in @data's
 * area, and the balloon gets no other pages of RAM either.
 */
#include "hostile.h"

#define SIZE		8
#define QUEUES		5
#define TABLE		0xf000UL	/* 128 descriptors, in data */
#define BUFFERS		0x10000UL	/* as many bytes to read, then those to write */
#define STATUS		0x1fff00UL
#define SPARE		0x200000UL	/* from here to the end of RAM there is nothing */
#define TABLE_LENGTH	128u
#define DESC_INDIRECT	0x0004u

/* virtio 1.2, 5; one that is not here is asked nothing. */
enum { NET = 1, BLK, CONSOLE, RNG, BALLOON, P9 = 9, VSOCK = 19 };

#define CONSOLE_F_MULTIPORT	(1UL << 1)
#define NET_F_CTRL_VQ		(1UL << 17)
#define NET_F_MQ		(1UL << 22)

struct ask {
	uint64_t features;
	uint32_t queue;
	uint32_t out;		/* bytes to read */
	uint32_t in;		/* and to write */
	bool status;		/* and one by itself */
	bool kept;		/* by the device, for as long as it likes */
};

static uint64_t pick(uint64_t *seed, const uint64_t *from, unsigned nr)
{
	return any(seed) % 4 ? from[any(seed) % nr] : any(seed);
}

#define PICK(seed, ...) ({								\
	static const uint64_t from_[] = { __VA_ARGS__ };				\
	pick(seed, from_, sizeof(from_) / sizeof(from_[0])); })

/* Lengths: @max is not to be passed. */
#define LENGTH(seed, max, ...) ((uint32_t)(PICK(seed, __VA_ARGS__) % ((max) + 1UL)))

/* Sectors behind the end, sums that overflow; 5.2.6 */
static void ask_blk(struct ask *a, volatile uint32_t *w, uint64_t *seed)
{
	uint64_t sector = PICK(seed, 0, 1, 511, 512, 513, 1UL << 55, (1UL << 55) - 1, -1UL, -8UL);

	w[0] = (uint32_t)PICK(seed, 0, 1, 4, 8, 11, 13, 14);
	w[2] = (uint32_t)sector;
	w[3] = (uint32_t)(sector >> 32);
	for (unsigned i = 4; i < 16; i += 4) {
		sector = PICK(seed, 0, 511, 512, -1UL, (1UL << 55) - 1);
		w[i] = (uint32_t)sector;
		w[i + 1] = (uint32_t)(sector >> 32);
		w[i + 2] = (uint32_t)PICK(seed, 0, 1, 2, 512, 0xffffffff);
		w[i + 3] = (uint32_t)PICK(seed, 0, 1, 2);
	}
	a->out = LENGTH(seed, 0x8000, 1, 8, 15, 16, 17, 32, 48, 527, 528, 0x1010);
	a->in = LENGTH(seed, 0x10000, 0, 0, 1, 20, 511, 512, 0x1000);
	a->status = any(seed) % 8;
}

/* Headers that lie, 5.1.6, and commands; 5.1.6.5 */
static void ask_net(struct ask *a, volatile uint32_t *w, uint64_t *seed)
{
	a->queue = a->features & NET_F_CTRL_VQ && any(seed) % 4 == 0 ? 2 : 1;
	if (a->queue == 1) {
		w[0] = (uint32_t)PICK(seed, 0, 1, 0x101, 0x401, 0x301, 0x8101);
		w[1] = (uint32_t)PICK(seed, 0, 1, 0xffff, 0xffff0000, 54);
		w[2] = (uint32_t)PICK(seed, 0, 1, 34, 0xffff, 0xffff0000, 60);
		a->out = LENGTH(seed, 0x10000, 1, 11, 12, 13, 26, 72, 1526, 0xffff, 0x10000);
	} else {
		w[0] = (uint32_t)(any(seed) % 7 | any(seed) % 4 << 8 | PICK(seed, 0, 1, 2, 3, 0x8000, 0xffff) << 16);
		a->out = LENGTH(seed, 400, 1, 2, 3, 4, 10);
		a->status = any(seed) % 8;
	}
}

/* A port's bytes, and control messages; 5.3.6 */
static void ask_console(struct ask *a, volatile uint32_t *w, uint64_t *seed)
{
	a->queue = a->features & CONSOLE_F_MULTIPORT && any(seed) % 4 ? 3 : 1;
	w[0] = (uint32_t)PICK(seed, 0, 1, 2, 0xffffffff);
	w[1] = (uint32_t)(any(seed) % 9 | any(seed) % 3 << 16);
	a->out = LENGTH(seed, 300, 1, 7, 8, 9, 40);
}

/* Pages that are none, twice, and what is not in there; statistics; reports; 5.5.6 */
static void ask_balloon(const struct hostile *h, struct ask *a, volatile uint32_t *w, uint64_t *seed,
			uint64_t data)
{
	a->queue = any(seed) % 4;
	if (a->queue == 3) {
		a->in = LENGTH(seed, 0x10000, 1, 0xfff, 0x1000, 0x8000);
		return;
	}
	for (unsigned i = 0; i < 64 && a->queue < 2; i++) {
		uint64_t spare = data + SPARE + any(seed) % 8 * 4096;

		w[i] = (uint32_t)(any(seed) % 2 ? spare :
				  PICK(seed, 0, 0x01000000, 0x3fff0000, 0x50000000, 0xffffffff000) % (h->ram - 1)) >> 12;
		if (any(seed) % 8 == 0)
			w[i] = (uint32_t)((h->ram + h->ram_size) >> 12) + (uint32_t)(any(seed) % 2 << 28);
	}
	a->out = LENGTH(seed, 0x400, 1, 3, 4, 5, 10, 64, 256);
	a->kept |= a->queue == 2;
}

/* Ports, operations, lengths and credit of nobody's, and no answer is ever read; 5.10.6 */
static void ask_vsock(struct ask *a, volatile uint32_t *w, uint64_t *seed)
{
	a->queue = 1;
	w[0] = (uint32_t)PICK(seed, 77, 77, 77, 2, 0);
	w[2] = (uint32_t)PICK(seed, 2, 2, 2, 77, 1);
	w[1] = w[3] = any(seed) % 8 ? 0 : (uint32_t)any(seed);
	w[6] = (uint32_t)PICK(seed, 0, 1, 16, 0xffffffff);
	w[7] = (uint32_t)(PICK(seed, 1, 1, 2) % 4 | any(seed) % 9 << 16);
	a->out = LENGTH(seed, 0x2000, 1, 43, 44, 44, 60, 0x1000);
}

/* Lengths of 9P2000.L's messages, most often with a name for its type. */
static void ask_9p(struct ask *a, volatile uint32_t *w, uint64_t *seed)
{
	a->out = LENGTH(seed, 0x1000, 1, 6, 7, 11, 21, 64);
	w[0] = any(seed) % 2 ? a->out : (uint32_t)PICK(seed, 0, 6, 7, 0x7fffffff, 0xffffffff);
	a->in = LENGTH(seed, 0x1000, 0, 6, 7, 11, 64, 0x1000);
}

static bool ask(const struct hostile *h, const struct device *d, struct ask *a, uint64_t *seed, uint64_t data)
{
	volatile uint32_t *w = (volatile uint32_t *)(data + BUFFERS);

	*a = (struct ask){ .features = device_features(d) };
	/* What others serve, which have no packed rings here, they may be angry with for good. */
	a->kept = !(a->features & RING_PACKED);
	for (unsigned i = 0; i < 128; i++)
		w[i] = (uint32_t)any(seed);
	switch (device_id(d)) {
	case NET: ask_net(a, w, seed); return true;
	case BLK: ask_blk(a, w, seed); return true;
	case CONSOLE: ask_console(a, w, seed); return true;
	case RNG: a->in = LENGTH(seed, 0x100000, 1, 0x10000, 0x10001, 0x100000); return true;
	case BALLOON: ask_balloon(h, a, w, seed, data); return true;
	case P9: ask_9p(a, w, seed); return true;
	case VSOCK: ask_vsock(a, w, seed); return true;
	}
	return false;
}

static unsigned make_chain(const struct ask *a, struct desc *to, uint64_t *seed, uint64_t data)
{
	uint32_t cut = a->out > 1 && any(seed) % 2 ? (uint32_t)(1 + any(seed) % (a->out - 1)) : a->out;
	unsigned nr = 0;

	if (a->out)
		to[nr++] = (struct desc){ .addr = data + BUFFERS, .len = cut };
	if (cut < a->out)
		to[nr++] = (struct desc){ .addr = data + BUFFERS + cut, .len = a->out - cut };
	if (a->in)
		to[nr++] = (struct desc){ .addr = data + 2 * BUFFERS, .len = a->in, .flags = DESC_WRITE };
	if (a->status || !nr)
		to[nr++] = (struct desc){ .addr = data + STATUS, .len = 1, .flags = DESC_WRITE };
	return nr;
}

/* More than 4 GiB, by a table that has the rest of RAM in each of its entries. */
static unsigned make_huge(const struct hostile *h, struct desc *to, uint64_t data, bool packed)
{
	struct desc *table = (struct desc *)(data + TABLE);

	for (unsigned i = 0; i < TABLE_LENGTH; i++) {
		table[i] = (struct desc){
			.addr = data + SPARE,
			.len = (uint32_t)(h->ram + h->ram_size - data - SPARE),
		};
		if (!packed && i + 1 < TABLE_LENGTH) {
			table[i].flags = DESC_NEXT;
			table[i].next = (uint16_t)(i + 1);
		}
	}
	to[0] = (struct desc){ .addr = data + TABLE, .len = TABLE_LENGTH * sizeof(*table), .flags = DESC_INDIRECT };
	return 1;
}

/* While it is looked at: what is asked, where it lies, and how long it is. */
static void change(const struct hostile *h, const struct ask *a, const uint64_t ring[3], uint64_t *seed,
		   uint64_t data)
{
	volatile struct desc *desc = (volatile struct desc *)ring[0];

	for (unsigned i = 0; i < 64; i++) {
		unsigned n = any(seed) % 4;
		uint64_t place = hostile_place(h, seed, data + BUFFERS);

		*(volatile uint32_t *)(data + BUFFERS + any(seed) % 32 * 4) = (uint32_t)any(seed);
		if (i % 2)
			desc[n].len = (uint32_t)(any(seed) % 2 ? a->out : any(seed) % BUFFERS);
		else
			desc[n].addr = place;
	}
}

unsigned ask_abuse(const struct hostile *h, const struct device *d, uint64_t *seed, uint64_t data)
{
	const bool packed = device_features(d) & RING_PACKED && any(seed) % 2;
	const bool huge = any(seed) % 16 == 0;
	uint64_t rings[QUEUES][3], begun;
	struct desc *desc;
	struct ask a;
	unsigned nr;

	zero(data, BUFFERS);
	if (!ask(h, d, &a, seed, data))
		return 0;
	/* All that there is, but pairs, by which queues have other numbers (5.1.2). */
	if (!device_negotiate(d, ~(NET_F_MQ | (packed ? 0 : RING_PACKED))))
		return 1;
	for (unsigned q = 0; q < QUEUES; q++) {
		for (unsigned i = 0; i < 3; i++)
			rings[q][i] = data + 0x3000 * q + 0x1000 * i;
		device_set_queue(d, q, SIZE, rings[q]);
	}
	desc = (struct desc *)rings[a.queue][0];
	nr = huge ? make_huge(h, desc, data, packed) : make_chain(&a, desc, seed, data);
	chain_offer(desc, nr, rings[a.queue], packed);
	clean(data, 3 * BUFFERS);
	device_set_status(d, STATUS_RUNS);
	device_kick(d, a.queue);
	if (d->cfg && any(seed) % 4 == 0)
		pci_move(d, data);
	if (any(seed) % 4 == 0) {
		change(h, &a, rings[a.queue], seed, data);
		a.kept = true;
	}
	begun = now();
	while (!chain_is_used(rings[a.queue], packed) && device_status(d) == STATUS_RUNS) {
		if (a.kept && now() - begun > frequency() / 1000)
			return 0;
		if (now() - begun > 10 * frequency())
			return 1;
	}
	return 0;
}
