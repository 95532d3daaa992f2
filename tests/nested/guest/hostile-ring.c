// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile-ring.c - rings and buffers that are nonsense, split and packed
 */
#include "hostile.h"

#define SIZE	8

/* What a buffer may be, on the way to nonsense. */
static struct desc any_buffer(const struct hostile *h, uint64_t *seed, uint64_t data)
{
	return (struct desc){
		.addr = hostile_place(h, seed, data + 0x4000),
		.len = (uint32_t)(any(seed) % 8 ? any(seed) % 0x2000 : any(seed)),
	};
}

static void fill_split(const struct hostile *h, uint64_t *seed, uint64_t data, const uint64_t rings[3])
{
	volatile uint16_t *avail = (volatile uint16_t *)rings[1];
	struct desc *desc = (struct desc *)rings[0];

	for (unsigned i = 0; i < SIZE; i++) {
		desc[i] = any_buffer(h, seed, data);
		desc[i].flags = any(seed) % 4 ? any(seed) % 4 : any(seed) % 8;
		desc[i].next = (uint16_t)(any(seed) % (SIZE + 2));
		avail[2 + i] = (uint16_t)(any(seed) % (SIZE + 1));
	}
	avail[1] = (uint16_t)(any(seed) % 4 ? any(seed) % (SIZE + 1) : any(seed));
}

/* Chains that go on where nothing is offered, ids twice and too high, any event. */
static void fill_packed(const struct hostile *h, uint64_t *seed, uint64_t data, const uint64_t rings[3],
			unsigned round)
{
	volatile uint16_t *event = (volatile uint16_t *)rings[1];
	const unsigned offered = round & 1 ? DESC_USED : DESC_AVAIL;
	struct desc *desc = (struct desc *)rings[0];

	for (unsigned i = 0; i < SIZE; i++) {
		unsigned flags = any(seed) % 4 ? any(seed) % 4 : any(seed) % 8;

		desc[i] = any_buffer(h, seed, data);
		desc[i].flags = (uint16_t)(any(seed) % 16 ? any(seed) % (SIZE + 1) : any(seed));
		desc[i].next = (uint16_t)(flags | (any(seed) % 16 ? offered : any(seed) & 0xfff8));
	}
	event[0] = (uint16_t)any(seed);
	event[1] = (uint16_t)any(seed) & 3;
}

void ring_abuse(const struct hostile *h, const struct device *d, uint64_t *seed, uint64_t data)
{
	const uint64_t rings[3] = { data, data + 0x1000, data + 0x2000 };
	uint64_t odd[3] = { rings[0], rings[1], rings[2] };
	bool packed = device_features(d) & RING_PACKED && any(seed) % 2;

	zero(data, 0x3000);
	device_negotiate(d, VERSION_1 | INDIRECT_DESC | (packed ? RING_PACKED : 0) |
			 (any(seed) % 2 ? EVENT_IDX : 0));
	/* One that has to be refused, often; then a good one. */
	odd[any(seed) % 3] = hostile_place(h, seed, data);
	device_set_queue(d, (uint32_t)any(seed) % 4, (uint32_t)any(seed) % 20, odd);
	for (unsigned q = 0; q < 3; q++)
		device_set_queue(d, q, SIZE, rings);		/* all on the same memory */
	device_set_status(d, STATUS_RUNS);
	for (unsigned round = 0; round < (packed ? 3 : 1); round++) {
		if (packed)
			fill_packed(h, seed, data, rings, round);
		else
			fill_split(h, seed, data, rings);
		clean(data, 0x3000);
		for (unsigned q = 0; q < 4; q++)
			device_kick(d, q);
	}
	/* Writes of everything while it runs, but for its reset, which comes anyway. */
	for (unsigned i = 0; i < 20; i++) {
		uint64_t off = any(seed) % d->size;

		if (device_keeps(d, off))
			touch(d->regs + off, (unsigned)any(seed), any(seed));
	}
	device_kick(d, (uint32_t)any(seed));
}
