// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile.c - what a guest that owns its kernel can do to a machine, without one
 *
 * Accesses of every size to every register, holes between them, rings and buffers that
 * are nonsense, resets in between, doorbells in a tight loop, PSCI as nobody means it.
 * In the end each virtio device is brought up as a driver does it, and has to be there:
 *
 *   HOSTILE virtio=.. mended=.. psci=.. sum=..
 *
 * psci has a bit for each call that was not refused as it shall be.  RAM is written with
 * the MMU off, past the caches; what the device is to see is cleaned from them all the
 * same, as lines of somebody else's may lie there.
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

static void set_queue(uint64_t dev, uint32_t sel, uint32_t size, const uint64_t at[3])
{
	out(dev + QUEUE_SEL, sel);
	out(dev + QUEUE_NUM, size);
	for (unsigned i = 0; i < 3; i++) {
		out(dev + QUEUE_DESC + 16 * i, (uint32_t)at[i]);
		out(dev + QUEUE_DESC + 16 * i + 4, (uint32_t)(at[i] >> 32));
	}
	out(dev + QUEUE_READY, 1);
}

static bool negotiate(uint64_t dev)
{
	out(dev + STATUS, 0);
	out(dev + STATUS, 3);
	out(dev + DRIVER_FEATURES_SEL, 0);
	out(dev + DRIVER_FEATURES, 0);
	out(dev + DRIVER_FEATURES_SEL, 1);
	out(dev + DRIVER_FEATURES, 1);		/* VERSION_1 */
	out(dev + STATUS, STATUS_OK);
	return in(dev + STATUS) == STATUS_OK;
}

/* Where something might be: RAM, its ends, devices, nowhere. */
static uint64_t any_place(const struct hostile *h, uint64_t *seed, uint64_t data)
{
	switch (any(seed) % 12) {
	case 0: return h->virtio[any(seed) % h->nr_virtio] + any(seed) % 0x200;
	case 1: return UART;
	case 2: return 0x3fff0000UL;		/* the GIC's distributor */
	case 3: return h->ram - any(seed) % 32;
	case 4: return h->ram + h->ram_size - any(seed) % 32;
	case 5: return -(any(seed) % 64);
	case 6: return any(seed) << 16 ^ any(seed);
	}
	return data + any(seed) % 0x8000;
}

static void abuse_rings(const struct hostile *h, uint64_t dev, uint64_t *seed, uint64_t data)
{
	const uint64_t rings[3] = { data, data + 0x1000, data + 0x2000 };
	uint64_t odd[3] = { rings[0], rings[1], rings[2] };
	volatile uint16_t *avail = (volatile uint16_t *)rings[1];
	struct desc *desc = (struct desc *)rings[0];
	uint32_t size = 8;

	zero(data, 0x3000);
	negotiate(dev);
	/* One that has to be refused, often; then a good one. */
	odd[any(seed) % 3] = any_place(h, seed, data);
	set_queue(dev, (uint32_t)any(seed) % 4, (uint32_t)any(seed) % 20, odd);
	for (unsigned q = 0; q < 3; q++)
		set_queue(dev, q, size, rings);		/* all on the same memory */
	out(dev + STATUS, STATUS_RUNS);
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
		out(dev + QUEUE_NOTIFY, q);
	/* Writes of everything while it runs. */
	for (unsigned i = 0; i < 20; i++) {
		uint64_t off = any(seed) % 0x200;

		/* But for its reset, which comes anyway. */
		if ((off & ~7UL) != STATUS)
			touch(dev + off, (unsigned)any(seed), any(seed));
	}
	out(dev + QUEUE_NOTIFY, (uint32_t)any(seed));
}

static bool is_mended(uint64_t dev, uint64_t data)
{
	const uint64_t rings[3] = { data, data + 0x1000, data + 0x2000 };

	zero(data, 0x3000);
	if (!negotiate(dev))
		return false;
	set_queue(dev, 0, 8, rings);
	if (in(dev + QUEUE_READY) != 1)
		return false;
	out(dev + STATUS, STATUS_RUNS);
	out(dev + QUEUE_NOTIFY, 0);
	return in(dev + STATUS) == STATUS_RUNS;
}

static void storm(uint64_t dev)
{
	for (unsigned i = 0; i < STORM; i++)
		out(dev + QUEUE_NOTIFY, i & 1);
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
	unsigned mended = 0;

	for (unsigned n = 0; n < ROUNDS; n++)
		for (unsigned i = 0; i < h->nr_virtio; i++)
			abuse_rings(h, h->virtio[i], &seed, data);
	for (unsigned i = 0; i < h->nr_virtio; i++)
		storm(h->virtio[i]);
	sum += abuse_registers(&seed);
	psci = abuse_psci(h);
	for (unsigned i = 0; i < h->nr_virtio; i++)
		mended += is_mended(h->virtio[i], data);
	flat_say("HOSTILE virtio=", h->nr_virtio);
	flat_say(" mended=", mended);
	flat_say(" psci=", psci);
	flat_say(" sum=", sum);
	flat_puts(".\n");
}
