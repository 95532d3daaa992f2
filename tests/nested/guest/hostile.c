// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile.c - what a guest that owns its kernel can do to a machine, without one
 *
 * Accesses of every size to every register, holes between them, rings and buffers that
 * are nonsense, resets in between, doorbells in a tight loop, BARs over everything and
 * messages to anywhere where there is PCI, PSCI as nobody means it.
 * In the end each virtio device is brought up as a driver does it, and has to answer a
 * request:
 *
 *   HOSTILE virtio=.. mended=.. wrong=.. psci=.. sum=..
 *
 * wrong are words of RAM that were not there while a BAR was.  psci has a bit for each call
 * that was not refused as it shall be.  RAM is written with the MMU off, past the caches;
 * what the device is to see is cleaned from them all the same, as lines of somebody else's
 * may lie there.
 */
#include <stdbool.h>

#include "flat.h"

#define ROUNDS		60
#define STORM		2000

#define UART		0x01000000UL
#define RTC		0x01010000UL
#define GPIO		0x01012000UL
#define FLASH		0x02000000UL
#define HOLES		0x00f00000UL

/* virtio 1.2, 4.2.2 */
#define DEVICE_ID		0x008
#define DRIVER_FEATURES		0x020
#define DRIVER_FEATURES_SEL	0x024
#define QUEUE_SEL		0x030
#define QUEUE_NUM_MAX		0x034
#define QUEUE_NUM		0x038
#define QUEUE_READY		0x044
#define QUEUE_NOTIFY		0x050
#define STATUS			0x070
#define QUEUE_DESC		0x080
#define QUEUE_AVAIL		0x090
#define QUEUE_USED		0x0a0
#define STATUS_OK		0x0b	/* found, driven, features settled */
#define STATUS_RUNS		0x0f

/* virtio 1.2, 4.1.4.3 */
#define PCI_DRIVER_FEATURE_SEL	0x08
#define PCI_DRIVER_FEATURE	0x0c
#define PCI_CONFIG_VECTOR	0x10
#define PCI_STATUS_OFF		0x14
#define PCI_QUEUE_SEL		0x16
#define PCI_QUEUE_SIZE		0x18
#define PCI_QUEUE_VECTOR	0x1a
#define PCI_QUEUE_ENABLE	0x1c
#define PCI_QUEUE_DESC		0x20
#define PCI_WINDOW		0x50000000UL

#define PSCI_CPU_ON		0xc4000003UL
#define PSCI_AFFINITY_INFO	0xc4000004UL
#define INVALID_PARAMETERS	(uint64_t)-2
#define ALREADY_ON		(uint64_t)-4
#define NOT_SUPPORTED		(uint64_t)-1

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static uint32_t in(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static void out(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

static uint64_t now(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v));
	return v;
}

static uint64_t frequency(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}

static uint64_t any(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 16;
}

/* An access with 1, 2, 4 or 8 bytes; returns what it read. */
static uint64_t touch(uint64_t addr, unsigned how, uint64_t v)
{
	switch (how % 8) {
	case 0: *(volatile uint8_t *)addr = (uint8_t)v; return 0;
	case 1: *(volatile uint16_t *)(addr & ~1UL) = (uint16_t)v; return 0;
	case 2: *(volatile uint32_t *)(addr & ~3UL) = (uint32_t)v; return 0;
	case 3: *(volatile uint64_t *)(addr & ~7UL) = v; return 0;
	case 4: return *(volatile uint8_t *)addr;
	case 5: return *(volatile uint16_t *)(addr & ~1UL);
	case 6: return *(volatile uint32_t *)(addr & ~3UL);
	}
	return *(volatile uint64_t *)(addr & ~7UL);
}

static void clean(uint64_t from, uint64_t len)
{
	for (uint64_t a = from & ~63UL; a < from + len; a += 64)
		__asm__ volatile("dc civac, %0" : : "r"(a) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
}

static void zero(uint64_t from, uint64_t len)
{
	for (uint64_t a = from; a < from + len; a += 8)
		*(volatile uint64_t *)a = 0;
	clean(from, len);
}

/* ---- virtio ----------------------------------------------------------------- */

/* By one transport or the other. */
struct device {
	uint64_t regs;		/* virtio-mmio's, or the common ones */
	uint64_t size;		/* of what can be written there */
	uint64_t notify;	/* 0: virtio-mmio */
	uint64_t cfg;		/* PCI configuration */
	uint64_t msix_cap, msix_table;
};

static void out16(uint64_t addr, unsigned v)
{
	*(volatile uint16_t *)addr = (uint16_t)v;
}

static void set_status(const struct device *d, uint8_t v)
{
	if (!d->notify) {
		out(d->regs + STATUS, v);
		return;
	}
	*(volatile uint8_t *)(d->regs + PCI_STATUS_OFF) = v;
	while (!v && *(volatile uint8_t *)(d->regs + PCI_STATUS_OFF))
		;		/* until it is reset: virtio 1.2, 4.1.4.3.2 */
}

static uint32_t get_status(const struct device *d)
{
	return d->notify ? *(volatile uint8_t *)(d->regs + PCI_STATUS_OFF) : in(d->regs + STATUS);
}

static void set_queue(const struct device *d, uint32_t sel, uint32_t size, const uint64_t at[3])
{
	uint64_t step = d->notify ? 8 : 16;
	uint64_t first = d->regs + (d->notify ? PCI_QUEUE_DESC : QUEUE_DESC);

	if (d->notify) {
		out16(d->regs + PCI_QUEUE_SEL, sel);
		out16(d->regs + PCI_QUEUE_SIZE, size);
		out16(d->regs + PCI_QUEUE_VECTOR, sel);
	} else {
		out(d->regs + QUEUE_SEL, sel);
		out(d->regs + QUEUE_NUM, size);
	}
	for (unsigned i = 0; i < 3; i++) {
		out(first + step * i, (uint32_t)at[i]);
		out(first + step * i + 4, (uint32_t)(at[i] >> 32));
	}
	if (d->notify)
		out16(d->regs + PCI_QUEUE_ENABLE, 1);
	else
		out(d->regs + QUEUE_READY, 1);
}

static void kick(const struct device *d, uint32_t queue)
{
	if (d->notify)
		out16(d->notify, queue);
	else
		out(d->regs + QUEUE_NOTIFY, queue);
}

static bool negotiate(const struct device *d)
{
	uint64_t sel = d->regs + (d->notify ? PCI_DRIVER_FEATURE_SEL : DRIVER_FEATURES_SEL);
	uint64_t features = d->regs + (d->notify ? PCI_DRIVER_FEATURE : DRIVER_FEATURES);

	set_status(d, 0);
	set_status(d, 3);
	out(sel, 0);
	out(features, 1u << 28);	/* INDIRECT_DESC */
	out(sel, 1);
	out(features, 1);		/* VERSION_1 */
	set_status(d, STATUS_OK);
	return get_status(d) == STATUS_OK;
}

/* Where something might be: RAM, its ends, devices, nowhere. */
static uint64_t any_place(const struct hostile *h, uint64_t *seed, uint64_t data)
{
	switch (any(seed) % 12) {
	case 0: return h->nr_virtio ? h->virtio[any(seed) % h->nr_virtio] + any(seed) % 0x200 :
				      PCI_WINDOW + any(seed) % 0x100000;
	case 1: return UART;
	case 2: return 0x3fff0000UL;		/* the GIC's distributor */
	case 3: return h->ram - any(seed) % 32;
	case 4: return h->ram + h->ram_size - any(seed) % 32;
	case 5: return -(any(seed) % 64);
	case 6: return any(seed) << 16 ^ any(seed);
	}
	return data + any(seed) % 0x8000;
}

static void abuse_rings(const struct hostile *h, const struct device *d, uint64_t *seed,
			uint64_t data)
{
	const uint64_t rings[3] = { data, data + 0x1000, data + 0x2000 };
	uint64_t odd[3] = { rings[0], rings[1], rings[2] };
	volatile uint16_t *avail = (volatile uint16_t *)rings[1];
	struct desc *desc = (struct desc *)rings[0];
	uint32_t size = 8;

	zero(data, 0x3000);
	negotiate(d);
	/* One that has to be refused, often; then a good one. */
	odd[any(seed) % 3] = any_place(h, seed, data);
	set_queue(d, (uint32_t)any(seed) % 4, (uint32_t)any(seed) % 20, odd);
	for (unsigned q = 0; q < 3; q++)
		set_queue(d, q, size, rings);		/* all on the same memory */
	set_status(d, STATUS_RUNS);
	for (unsigned i = 0; i < size; i++) {
		desc[i].addr = any_place(h, seed, data + 0x4000);
		desc[i].len = (uint32_t)(any(seed) % 8 ? any(seed) % 0x2000 : any(seed));
		desc[i].flags = any(seed) % 4 ? any(seed) % 4 : any(seed) % 8;
		desc[i].next = (uint16_t)(any(seed) % (size + 2));
		avail[2 + i] = (uint16_t)(any(seed) % (size + 1));
	}
	avail[1] = (uint16_t)(any(seed) % 4 ? any(seed) % (size + 1) : any(seed));
	clean(data, 0x3000);
	for (unsigned q = 0; q < 4; q++)
		kick(d, q);
	/* Writes of everything while it runs. */
	for (unsigned i = 0; i < 20; i++) {
		uint64_t off = any(seed) % d->size;

		/* But for its reset, which comes anyway. */
		if ((off & ~7UL) != ((d->notify ? PCI_STATUS_OFF : STATUS) & ~7UL))
			touch(d->regs + off, (unsigned)any(seed), any(seed));
	}
	kick(d, (uint32_t)any(seed));
}

/* What each device does when it works: a chain for one of its queues. */
struct chain {
	uint32_t id;		/* virtio 1.2, 5 */
	uint32_t queue;
	uint32_t out;		/* bytes to read */
	uint32_t in[2];		/* and to write */
	uint32_t begins;	/* the first of those to read */
};

static const struct chain chains[] = {
	{ .id = 1, .queue = 1, .out = 12 + 60 },			/* a frame */
	{ .id = 2, .queue = 0, .out = 16, .in = { 20, 1 }, .begins = 8 },	/* GET_ID */
	{ .id = 3, .queue = 1, .out = 1 },				/* a byte to print */
	{ .id = 4, .queue = 0, .in = { 64 } },				/* randomness */
	{ .id = 5, .queue = 0, .out = 4, .begins = 0x7fffffff },	/* no page of RAM's */
	{ .id = 19, .queue = 1, .out = 44 },				/* a packet from nobody */
};

static uint16_t used_idx(uint64_t ring)
{
	clean(ring, 4);		/* of what lies there from before */
	return *(volatile uint16_t *)(ring + 2);
}

/* A request like any driver's, and it is answered. */
static bool serves(const struct device *d, const struct chain *c, uint64_t data)
{
	uint64_t rings[3][3], buf = data + 0xa000, begun;
	volatile uint16_t *avail;
	struct desc *desc;
	unsigned nr = 0;

	zero(data, 0xb000);
	if (!negotiate(d))
		return false;
	for (unsigned q = 0; q < 3; q++) {
		for (unsigned i = 0; i < 3; i++)
			rings[q][i] = data + 0x3000 * q + 0x1000 * i;
		set_queue(d, q, 8, rings[q]);
	}
	desc = (struct desc *)rings[c->queue][0];
	avail = (volatile uint16_t *)rings[c->queue][1];
	if (c->out)
		desc[nr++] = (struct desc){ .addr = buf, .len = c->out };
	for (unsigned i = 0; i < 2 && c->in[i]; i++)
		desc[nr++] = (struct desc){ .addr = buf + 0x100 * (i + 1), .len = c->in[i], .flags = 2 };
	for (unsigned i = 0; i + 1 < nr; i++) {
		desc[i].flags |= 1;
		desc[i].next = (uint16_t)(i + 1);
	}
	*(volatile uint32_t *)buf = c->begins;
	avail[1] = 1;
	clean(data, 0xb000);
	set_status(d, STATUS_RUNS);
	kick(d, c->queue);
	begun = now();
	while (used_idx(rings[c->queue][2]) != 1)
		if (now() - begun > 10 * frequency())
			return false;
	return get_status(d) == STATUS_RUNS;
}

static bool is_mended(const struct device *d, uint64_t data)
{
	uint32_t id = d->notify ? (in(d->cfg) >> 16) - 0x1040 : in(d->regs + DEVICE_ID);

	for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		if (chains[i].id == id)
			return serves(d, &chains[i], data);
	return false;
}

static void storm(const struct device *d)
{
	for (unsigned i = 0; i < STORM; i++)
		kick(d, i & 1);
}

/* ---- PCI (PCI Local Bus 3.0, 6; virtio 1.2, 4.1) ------------------------------------ */

static uint32_t cfg_in(const struct device *d, unsigned off)
{
	return in(d->cfg + (off & ~3u)) >> off % 4 * 8;
}

/* The next capability of that number and, of virtio's, that kind; 0: none. */
static unsigned find_cap(const struct device *d, unsigned id, unsigned kind)
{
	unsigned at = cfg_in(d, 0x34) & 0xfc;

	for (unsigned n = 0; at && n < 48; n++) {
		if ((cfg_in(d, at) & 0xff) == id && (!kind || (cfg_in(d, at + 3) & 0xff) == kind))
			return at;
		at = cfg_in(d, at + 1) & 0xfc;
	}
	return 0;
}

/* The BAR where it belongs, and what is found there. */
static bool pci_place(struct device *d, uint64_t bar)
{
	unsigned common = find_cap(d, 0x09, 1);
	unsigned notify = find_cap(d, 0x09, 2);
	unsigned msix = find_cap(d, 0x11, 0);

	if (!common || !notify || !msix)
		return false;
	out(d->cfg + 0x10, (uint32_t)bar);
	out16(d->cfg + 0x04, 0x6);		/* memory, and it may send messages */
	d->regs = bar + cfg_in(d, common + 8);
	d->notify = bar + cfg_in(d, notify + 8);
	d->msix_cap = d->cfg + msix;
	d->msix_table = bar + (cfg_in(d, msix + 4) & ~7u);
	d->size = 0x40;
	return true;
}

/* Of RAM, wherever a BAR may be: the number of words that are not as they were written. */
static unsigned wrong_words(uint64_t at)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 64; i++)
		out(at + i * 64, 0x5eed0000 + i);
	for (unsigned i = 0; i < 64; i++)
		wrong += in(at + i * 64) != 0x5eed0000 + i;
	return wrong;
}

static unsigned abuse_function(const struct hostile *h, struct device *d, uint64_t bar,
			       uint64_t *seed, uint64_t data)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 40; i++)
		touch(d->cfg + any(seed) % 0x1000, (unsigned)any(seed), any(seed));
	for (unsigned i = 0; i < 8; i++) {
		uint64_t at = i % 4 == 0 ? data : i % 4 == 1 ? PCI_WINDOW + any(seed) % 4 * 0x10000 :
					      any_place(h, seed, data);

		out(d->cfg + 0x10, (uint32_t)at);
		out16(d->cfg + 0x04, (unsigned)any(seed) & 7);
		kick(d, 0);			/* where it was, or is */
		touch(PCI_WINDOW + any(seed) % 0x100000, (unsigned)any(seed), any(seed));
		wrong += wrong_words(data + 0x8000);
		wrong += wrong_words(data);
	}
	return pci_place(d, bar) ? wrong : wrong + 1000;
}

/* Vectors that there are, and others; messages to anywhere but the ITS. */
static void abuse_messages(const struct hostile *h, const struct device *d, uint64_t *seed,
			   uint64_t data)
{
	out16(d->msix_cap + 2, 0x8000);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t entry = d->msix_table + any(seed) % 80 * 16;
		uint64_t at = any_place(h, seed, data);

		out(entry, (uint32_t)at);
		out(entry + 4, (uint32_t)(at >> 32));
		out(entry + 8, (uint32_t)any(seed));
		out(entry + 12, (uint32_t)any(seed) & 1);
		out16(d->regs + (i % 2 ? PCI_QUEUE_VECTOR : PCI_CONFIG_VECTOR), (unsigned)any(seed));
		kick(d, (uint32_t)any(seed) % 3);
		if (i % 8 == 0)
			out16(d->msix_cap + 2, (unsigned)any(seed));
	}
	out16(d->msix_cap + 2, 0x8000);
}

/* All functions of the bus; there may be more than are virtio's. */
static unsigned find_functions(const struct hostile *h, struct device *found, unsigned max)
{
	unsigned nr = 0;

	for (unsigned slot = 0; h->ecam && slot < 32 && nr < max; slot++) {
		struct device *d = &found[nr];

		d->cfg = h->ecam + (slot << 15);
		if ((cfg_in(d, 0) & 0xffff) == 0x1af4 &&
		    pci_place(d, PCI_WINDOW + 0x10000 * (slot + 1)))
			nr++;
	}
	return nr;
}

/* ---- The rest ------------------------------------------------------------------ */

static uint64_t abuse_registers(uint64_t *seed)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 400; i++) {
		unsigned how = (unsigned)any(seed);

		sum += touch(RTC + any(seed) % 0x1000, how, any(seed));
		sum += touch(GPIO + any(seed) % 0x1000, how, any(seed));
		sum += touch(FLASH + any(seed) % 0x10000, how, any(seed));
		sum += touch(HOLES + any(seed) % 0x10000, how, any(seed));
		/* All but what sends, which somebody reads. */
		sum += touch(UART + 1 + any(seed) % 7, how & 4, any(seed) & 0xff & ~0x10UL);
	}
	/* As it was: no divisor, no loop, no interrupt. */
	touch(UART + 3, 0, 3);
	touch(UART + 1, 0, 0);
	touch(UART + 4, 0, 3);
	touch(UART + 2, 0, 7);
	return sum;
}

static uint64_t abuse_psci(const struct hostile *h)
{
	uint64_t bad = 0;

	/* No such CPU; one that runs; functions that are none. */
	bad |= (uint64_t)(flat_psci(PSCI_CPU_ON, 0xff00ffffffUL, h->ram, 0) != INVALID_PARAMETERS);
	bad |= (uint64_t)(flat_psci(PSCI_CPU_ON, h->mpidr, h->ram, 0) != ALREADY_ON) << 1;
	bad |= (uint64_t)(flat_psci(PSCI_AFFINITY_INFO, 0xff00ffffffUL, 0, 0) != INVALID_PARAMETERS) << 2;
	bad |= (uint64_t)(flat_psci(0x8400001fUL, 0, 0, 0) != NOT_SUPPORTED) << 3;
	bad |= (uint64_t)((uint32_t)flat_psci(0xc700ffffUL, 0, 0, 0) != (uint32_t)NOT_SUPPORTED) << 4;
	return bad;
}

void flat_hostile(const struct hostile *h)
{
	const uint64_t data = (h->end + 0x1ffffUL) & ~0xffffUL;
	uint64_t sum = 0, seed = 1, psci;
	struct device devices[32];
	unsigned nr = find_functions(h, devices, 32);
	unsigned mended = 0, wrong = 0;

	for (unsigned i = 0; i < h->nr_virtio && nr < 32; i++, nr++) {
		devices[nr].regs = h->virtio[i];
		devices[nr].size = 0x200;
		devices[nr].notify = devices[nr].cfg = 0;
	}
	for (unsigned n = 0; n < ROUNDS; n++) {
		for (unsigned i = 0; i < nr; i++) {
			struct device *d = &devices[i];
			uint64_t bar = PCI_WINDOW + ((d->cfg - h->ecam) >> 15) * 0x10000 + 0x10000;

			abuse_rings(h, d, &seed, data);
			if (!d->cfg || n % 4)
				continue;
			abuse_messages(h, d, &seed, data);
			wrong += abuse_function(h, d, bar, &seed, data);
		}
	}
	for (unsigned i = 0; i < nr; i++)
		storm(&devices[i]);
	sum += abuse_registers(&seed);
	psci = abuse_psci(h);
	for (unsigned i = 0; i < nr; i++) {
		if (is_mended(&devices[i], data))
			mended++;
		else
			flat_say("DEAD virtio=", i);
	}
	flat_say("HOSTILE virtio=", nr);
	flat_say(" mended=", mended);
	flat_say(" wrong=", wrong);
	flat_say(" psci=", psci);
	flat_say(" sum=", sum);
	flat_puts(".\n");
}
