// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile.c - what a guest that owns its kernel can do to a machine, without one
 *
 * Accesses of every size to every register, holes between them, rings and buffers that
 * are nonsense, requests that lie or change under way, resets in between, doorbells in a
 * tight loop, BARs over everything and messages to anywhere where there is PCI, PSCI as
 * nobody means it.
 * After a few rounds of it all that is made once is there: then it answers bytes until q, for
 * who looks at what it has cost, and goes on.  Then it says
 *
 *   HOSTILE virtio=.. wrong=.. psci=.. sum=..
 *
 * where wrong are words of RAM that were not there while a BAR was, and requests without an
 * answer, and psci has a bit for each call that was not refused as it shall be.  Later each
 * virtio device is brought up as a driver does it, and has to answer a request; and so again
 * with a packed ring, if it offers that:
 *
 *   SERVES of=.. split=.. packed=..
 *
 * RAM is written with the MMU off, past the caches; what the device is to see is cleaned from
 * them all the same, as lines of somebody else's may lie there.
 */
#include "hostile.h"

#define WARM_ROUNDS	8
#define ROUNDS		60
#define STORM		2000

#define UART		0x01000000UL
#define RTC		0x01010000UL
#define GPIO		0x01012000UL
#define FLASH		0x02000000UL
#define HOLES		0x00f00000UL

#define PSCI_CPU_ON		0xc4000003UL
#define PSCI_AFFINITY_INFO	0xc4000004UL
#define INVALID_PARAMETERS	(uint64_t)-2
#define ALREADY_ON		(uint64_t)-4
#define NOT_SUPPORTED		(uint64_t)-1

uint64_t hostile_place(const struct hostile *h, uint64_t *seed, uint64_t data)
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

static void storm(const struct device *d)
{
	for (unsigned i = 0; i < STORM; i++)
		device_kick(d, i & 1);
}

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

/* Devices are at rest afterwards. */
static unsigned abuse(const struct hostile *h, struct device *devices, unsigned nr, uint64_t *seed,
		      unsigned from, unsigned to)
{
	uint64_t data = place_of_data(h);
	unsigned wrong = 0;

	for (unsigned n = from; n < to; n++) {
		for (unsigned i = 0; i < nr; i++) {
			ring_abuse(h, &devices[i], seed, data);
			if (devices[i].cfg && n % 4 == 0)
				wrong += pci_abuse(h, &devices[i], seed, data);
			if (!ask_abuse(h, &devices[i], seed, data))
				continue;
			flat_say("STUCK virtio=", i);
			flat_say(" round=", n);
			flat_puts("\n");
			wrong++;
		}
	}
	for (unsigned i = 0; i < nr; i++)
		storm(&devices[i]);
	for (unsigned i = 0; i < nr; i++)
		device_set_status(&devices[i], 0);
	return wrong;
}

/* How many of them serve; who does not is told. */
static unsigned serving(const struct device *devices, unsigned nr, bool packed, uint64_t data)
{
	unsigned good = 0;

	for (unsigned i = 0; i < nr; i++) {
		if (packed && !(device_features(&devices[i]) & RING_PACKED))
			continue;
		if (device_serves(&devices[i], packed, data)) {
			good++;
			continue;
		}
		flat_say("DEAD virtio=", i);
		flat_say(" id=", device_id(&devices[i]));
		flat_say(" status=", device_status(&devices[i]));
		flat_say(" packed=", packed);
		flat_puts("\n");
	}
	return good;
}

unsigned devices_find(const struct hostile *h, struct device devices[MAX_DEVICES])
{
	unsigned nr = pci_find(h, devices, MAX_DEVICES);

	for (unsigned i = 0; i < h->nr_virtio && nr < MAX_DEVICES; i++, nr++) {
		devices[nr].regs = h->virtio[i];
		devices[nr].size = 0x200;
		devices[nr].notify = devices[nr].cfg = 0;
	}
	return nr;
}

void flat_hostile(const struct hostile *h)
{
	struct device devices[MAX_DEVICES];
	unsigned nr = devices_find(h, devices);
	uint64_t seed = 1;
	unsigned wrong = abuse(h, devices, nr, &seed, 0, WARM_ROUNDS);
	uint64_t sum;

	flat_echo();
	wrong += abuse(h, devices, nr, &seed, WARM_ROUNDS, ROUNDS);
	sum = abuse_registers(&seed);
	flat_say("HOSTILE virtio=", nr);
	flat_say(" wrong=", wrong);
	flat_say(" psci=", abuse_psci(h));
	flat_say(" sum=", sum);
	flat_puts(".\n");
}

void flat_serves(const struct hostile *h)
{
	struct device devices[MAX_DEVICES];
	unsigned nr = devices_find(h, devices);
	unsigned split = serving(devices, nr, false, place_of_data(h));
	unsigned packed = serving(devices, nr, true, place_of_data(h));

	flat_say("SERVES of=", nr);
	flat_say(" split=", split);
	flat_say(" packed=", packed);
	flat_puts(".\n");
}
