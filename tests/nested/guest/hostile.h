// SPDX-License-Identifier: BSD-2-Clause
//
// hostile.h - what the parts of the hostile guest share: accesses, chance, and a device
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>

#include "flat.h"

#define PCI_WINDOW		0x50000000UL
#define MAX_DEVICES		32

/* By one transport or the other. */
struct device {
	uint64_t regs;		/* virtio-mmio's, or the common ones */
	uint64_t size;		/* of what can be written there */
	uint64_t notify;	/* 0: virtio-mmio */
	uint64_t cfg;		/* PCI configuration */
	uint64_t msix_cap, msix_table;
	uint64_t bar;
};

/* Features: virtio 1.2, 6 */
#define INDIRECT_DESC	(1UL << 28)
#define EVENT_IDX	(1UL << 29)
#define VERSION_1	(1UL << 32)
#define RING_PACKED	(1UL << 34)

#define STATUS_RUNS	0x0fu	/* found, driven, features settled, ready */

/* virtio 1.2, 2.7.5 and 2.8.13 */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;		/* in a packed ring: the id */
	uint16_t next;		/* ... and the flags */
};

#define DESC_NEXT	0x0001u
#define DESC_WRITE	0x0002u
#define DESC_AVAIL	0x0080u	/* packed, in the first round */
#define DESC_USED	0x8000u

static inline uint32_t in(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void out(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

static inline uint64_t now(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v));
	return v;
}

static inline uint64_t frequency(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}

static inline uint64_t any(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005UL + 1442695040888963407UL;
	return *seed >> 16;
}

/* An access with 1, 2, 4 or 8 bytes; returns what it read. */
static inline uint64_t touch(uint64_t addr, unsigned how, uint64_t v)
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

static inline void clean(uint64_t from, uint64_t len)
{
	for (uint64_t a = from & ~63UL; a < from + len; a += 64)
		__asm__ volatile("dc civac, %0" : : "r"(a) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
}

static inline uint16_t load16(uint64_t at)
{
	clean(at, 2);		/* of what lies there from before */
	return *(volatile uint16_t *)at;
}

static inline void zero(uint64_t from, uint64_t len)
{
	for (uint64_t a = from; a < from + len; a += 8)
		*(volatile uint64_t *)a = 0;
	clean(from, len);
}

/* Of RAM, where nothing else is. */
static inline uint64_t place_of_data(const struct hostile *h)
{
	return (h->end + 0x1ffffUL) & ~0xffffUL;
}

static inline void out16(uint64_t addr, unsigned v)
{
	*(volatile uint16_t *)addr = (uint16_t)v;
}

#pragma GCC visibility push(hidden)
/* Where something might be: RAM, its ends, devices, nowhere. */
uint64_t hostile_place(const struct hostile *h, uint64_t *seed, uint64_t data);

/* All there are, by both transports: how many. */
unsigned devices_find(const struct hostile *h, struct device devices[MAX_DEVICES]);

/* hostile-device.c */
uint32_t device_id(const struct device *d);
void device_set_status(const struct device *d, uint32_t v);
uint32_t device_status(const struct device *d);
uint64_t device_features(const struct device *d);
/* After a reset: with @wanted, as far as the device has it; whether that is fine. */
bool device_negotiate(const struct device *d, uint64_t wanted);
void device_set_queue(const struct device *d, uint32_t sel, uint32_t size, const uint64_t at[3]);
void device_kick(const struct device *d, uint32_t queue);
/* May it be written at @off without a reset? */
bool device_keeps(const struct device *d, uint64_t off);

/* hostile-ring.c: a driver's life; @data is the place for rings and buffers. */
void ring_abuse(const struct hostile *h, const struct device *d, uint64_t *seed, uint64_t data);

/* hostile-ask.c: a request that lies; 1 if it has no answer, and the device does not say that
   it is broken. */
unsigned ask_abuse(const struct hostile *h, const struct device *d, uint64_t *seed, uint64_t data);

/* hostile-serve.c: is a request like any driver's answered? */
bool device_serves(const struct device *d, bool packed, uint64_t data);
/* A chain of @nr descriptors, as the first of a ring; has the device used it? */
void chain_offer(struct desc *desc, unsigned nr, const uint64_t ring[3], bool packed);
bool chain_is_used(const uint64_t ring[3], bool packed);

/* hostile-pci.c */
unsigned pci_find(const struct hostile *h, struct device *found, unsigned max);
/* How many words of RAM were not there while a BAR was. */
unsigned pci_abuse(const struct hostile *h, struct device *d, uint64_t *seed, uint64_t data);
/* Its BAR lies there for a moment. */
void pci_move(const struct device *d, uint64_t to);
#pragma GCC visibility pop

#endif
