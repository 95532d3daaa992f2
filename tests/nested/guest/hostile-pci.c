// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile-pci.c - configuration space, BARs over everything, and messages to anywhere
 *                 (PCI Local Bus 3.0, 6; virtio 1.2, 4.1)
 */
#include "hostile.h"

/* virtio 1.2, 4.1.4.3 */
#define PCI_CONFIG_VECTOR	0x10
#define PCI_QUEUE_VECTOR	0x1a

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
static bool place(struct device *d)
{
	uint64_t bar = d->bar;
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

static unsigned abuse_function(const struct hostile *h, struct device *d, uint64_t *seed,
			       uint64_t data)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 40; i++)
		touch(d->cfg + any(seed) % 0x1000, (unsigned)any(seed), any(seed));
	for (unsigned i = 0; i < 8; i++) {
		uint64_t at = i % 4 == 0 ? data : i % 4 == 1 ? PCI_WINDOW + any(seed) % 4 * 0x10000 :
					      hostile_place(h, seed, data);

		out(d->cfg + 0x10, (uint32_t)at);
		out16(d->cfg + 0x04, (unsigned)any(seed) & 7);
		device_kick(d, 0);			/* where it was, or is */
		touch(PCI_WINDOW + any(seed) % 0x100000, (unsigned)any(seed), any(seed));
		wrong += wrong_words(data + 0x8000);
		wrong += wrong_words(data);
	}
	return place(d) ? wrong : wrong + 1000;
}

/* Vectors that there are, and others; messages to anywhere but the ITS. */
static void abuse_messages(const struct hostile *h, const struct device *d, uint64_t *seed,
			   uint64_t data)
{
	out16(d->msix_cap + 2, 0x8000);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t entry = d->msix_table + any(seed) % 80 * 16;
		uint64_t at = hostile_place(h, seed, data);

		out(entry, (uint32_t)at);
		out(entry + 4, (uint32_t)(at >> 32));
		out(entry + 8, (uint32_t)any(seed));
		out(entry + 12, (uint32_t)any(seed) & 1);
		out16(d->regs + (i % 2 ? PCI_QUEUE_VECTOR : PCI_CONFIG_VECTOR), (unsigned)any(seed));
		device_kick(d, (uint32_t)any(seed) % 3);
		if (i % 8 == 0)
			out16(d->msix_cap + 2, (unsigned)any(seed));
	}
	out16(d->msix_cap + 2, 0x8000);
}

void pci_move(const struct device *d, uint64_t to)
{
	out(d->cfg + 0x10, (uint32_t)to);
	out(d->cfg + 0x10, (uint32_t)d->bar);
}

unsigned pci_abuse(const struct hostile *h, struct device *d, uint64_t *seed, uint64_t data)
{
	abuse_messages(h, d, seed, data);
	return abuse_function(h, d, seed, data);
}

/* All functions of the bus; there may be more than are virtio's. */
unsigned pci_find(const struct hostile *h, struct device *found, unsigned max)
{
	unsigned nr = 0;

	for (unsigned slot = 0; h->ecam && slot < 32 && nr < max; slot++) {
		struct device *d = &found[nr];

		d->cfg = h->ecam + (slot << 15);
		d->bar = PCI_WINDOW + 0x10000 * (slot + 1);
		if ((cfg_in(d, 0) & 0xffff) == 0x1af4 && place(d))
			nr++;
	}
	return nr;
}
