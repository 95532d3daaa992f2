// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile-serve.c - a request of each kind of device, as its driver makes it
 *
 * With a split ring and with a packed one: a chain for one of its queues, and it is used.
 */
#include "hostile.h"

#define SIZE		8
#define FS		26
#define NEEDS_RESET	0x40u	/* virtio 1.2, 2.1 */

struct chain {
	uint32_t id;		/* virtio 1.2, 5 */
	uint32_t queue;
	uint32_t out;		/* bytes to read */
	uint32_t in[2];		/* and to write */
	uint32_t begins[12];	/* the first of those to read */
};

static const struct chain chains[] = {
	{ .id = 1, .queue = 1, .out = 12 + 60 },			/* a frame */
	{ .id = 2, .queue = 0, .out = 16, .in = { 20, 1 }, .begins = { 8 } },	/* GET_ID */
	{ .id = 3, .queue = 1, .out = 1, .begins = { '.' } },		/* a byte to print */
	{ .id = 4, .queue = 0, .in = { 64 } },				/* randomness */
	{ .id = 5, .queue = 0, .out = 4, .begins = { 0x7fffffff } },	/* no page of RAM's */
	/* Tversion, no tag, 8 KiB, "9P2000.L" */
	{ .id = 9, .queue = 0, .out = 21, .in = { 64 },
	  .begins = { 21, 0x00ffff64, 0x08000020, 0x32503900, 0x2e303030, 'L' } },
	{ .id = 19, .queue = 1, .out = 44 },				/* a packet from nobody */
	/* FUSE_INIT of 7.31, <linux/fuse.h> */
	{ .id = FS, .queue = 1, .out = 56, .in = { 80 }, .begins = { 56, 26, 1, [10] = 7, 31 } },
};

static unsigned make_buffers(const struct chain *c, struct desc *to, uint64_t buf)
{
	unsigned nr = 0;

	if (c->out)
		to[nr++] = (struct desc){ .addr = buf, .len = c->out };
	for (unsigned i = 0; i < 2 && c->in[i]; i++)
		to[nr++] = (struct desc){ .addr = buf + 0x100 * (i + 1), .len = c->in[i], .flags = DESC_WRITE };
	for (unsigned i = 0; i < sizeof(c->begins) / sizeof(c->begins[0]); i++)
		((volatile uint32_t *)buf)[i] = c->begins[i];
	return nr;
}

/* In a packed ring what is offered lies in the first slots, in order (2.8.6). */
void chain_offer(struct desc *desc, unsigned nr, const uint64_t ring[3], bool packed)
{
	for (unsigned i = 0; i + 1 < nr; i++)
		desc[i].flags |= DESC_NEXT;
	for (unsigned i = 0; packed && i < nr; i++) {
		desc[i].next = desc[i].flags | DESC_AVAIL;
		desc[i].flags = 3;			/* the id */
	}
	for (unsigned i = 0; !packed && i + 1 < nr; i++)
		desc[i].next = (uint16_t)(i + 1);
	if (!packed)
		((volatile uint16_t *)ring[1])[1] = 1;
}

bool chain_is_used(const uint64_t ring[3], bool packed)
{
	const uint16_t both = DESC_AVAIL | DESC_USED;

	if (packed)
		return (load16(ring[0] + 14) & both) == both && load16(ring[0] + 12) == 3;
	return load16(ring[2] + 2) == 1;
}

static bool serves(const struct device *d, const struct chain *c, bool packed, uint64_t data)
{
	uint64_t rings[3][3], begun;
	struct desc *desc;
	unsigned nr;

	zero(data, 0xb000);
	if (!device_negotiate(d, VERSION_1 | INDIRECT_DESC | (packed ? RING_PACKED : 0)))
		return false;
	for (unsigned q = 0; q < 3; q++) {
		for (unsigned i = 0; i < 3; i++)
			rings[q][i] = data + 0x3000 * q + 0x1000 * i;
		device_set_queue(d, q, SIZE, rings[q]);
	}
	desc = (struct desc *)rings[c->queue][0];
	nr = make_buffers(c, desc, data + 0xa000);
	chain_offer(desc, nr, rings[c->queue], packed);
	clean(data, 0xb000);
	device_set_status(d, STATUS_RUNS);
	device_kick(d, c->queue);
	begun = now();
	while (!chain_is_used(rings[c->queue], packed))
		if (now() - begun > 10 * frequency() || device_status(d) != STATUS_RUNS)
			return false;
	return device_status(d) == STATUS_RUNS;
}

/* Who serves a file system may be on its way only, which takes seconds on a busy host. */
static bool serves_soon(const struct device *d, const struct chain *c, bool packed, uint64_t data)
{
	uint64_t begun = now();
	bool good;

	do
		good = serves(d, c, packed, data);
	while (!good && c->id == FS && device_status(d) & NEEDS_RESET && now() - begun < 60 * frequency());
	return good;
}

bool device_serves(const struct device *d, bool packed, uint64_t data)
{
	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		if (chains[i].id == device_id(d))
			return serves_soon(d, &chains[i], packed, data);
	return false;
}
