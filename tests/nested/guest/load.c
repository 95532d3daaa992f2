// SPDX-License-Identifier: BSD-2-Clause
/*
 * load.c - disks that are read and written without an end
 *
 * Each has eight requests under way, and each that is done is asked for again.
 * Once all disks have done some of them this says LOAD and their number, and goes on.
 */
#include "hostile.h"

#define MAX_DISKS	4
#define DISK		2	/* virtio 1.2, 5.2 */
#define REQUESTS	8
#define SIZE		32	/* descriptors; three for a request */
#define LEN		4096
#define SOME		(4 * REQUESTS)

/* Of a disk, in RAM. */
#define AVAIL		0x1000
#define USED		0x2000
#define HEADERS		0x3000
#define STATUSES	0x4000
#define DATA		0x5000
#define STRIDE		(DATA + REQUESTS * LEN)

struct disk {
	const struct device	*dev;
	uint64_t		at;
	uint16_t		seen;
};

/* Every other one writes; virtio 1.2, 5.2.6. */
static void make_request(const struct disk *disk, unsigned i)
{
	struct desc *desc = (struct desc *)disk->at + 3 * i;
	const unsigned writes = i % 2;
	const uint64_t header = disk->at + HEADERS + 16 * i;

	*(volatile uint32_t *)header = writes;
	*(volatile uint64_t *)(header + 8) = i * (LEN / 512);
	desc[0] = (struct desc){ header, 16, DESC_NEXT, (uint16_t)(3 * i + 1) };
	desc[1] = (struct desc){ disk->at + DATA + i * LEN, LEN,
				 (uint16_t)(DESC_NEXT | (writes ? 0 : DESC_WRITE)), (uint16_t)(3 * i + 2) };
	desc[2] = (struct desc){ disk->at + STATUSES + 64 * i, 1, DESC_WRITE, 0 };
}

static void offer(const struct disk *disk, uint16_t head)
{
	volatile uint16_t *avail = (volatile uint16_t *)(disk->at + AVAIL);
	const uint16_t idx = avail[1];

	avail[2 + idx % SIZE] = head;
	__asm__ volatile("dmb sy" : : : "memory");
	avail[1] = (uint16_t)(idx + 1);
	clean(disk->at + AVAIL, 4 + 2 * SIZE);
}

static void begin(const struct disk *disk)
{
	const uint64_t ring[3] = { disk->at, disk->at + AVAIL, disk->at + USED };

	zero(disk->at, STRIDE);
	device_negotiate(disk->dev, VERSION_1);
	device_set_queue(disk->dev, 0, SIZE, ring);
	for (unsigned i = 0; i < REQUESTS; i++)
		make_request(disk, i);
	clean(disk->at, STRIDE);
	device_set_status(disk->dev, STATUS_RUNS);
	for (unsigned i = 0; i < REQUESTS; i++)
		offer(disk, (uint16_t)(3 * i));
	device_kick(disk->dev, 0);
}

/* What is done is asked for again: how many. */
static unsigned go_on(struct disk *disk)
{
	const uint16_t idx = load16(disk->at + USED + 2);
	unsigned nr = 0;

	for (; disk->seen != idx; disk->seen++, nr++)
		offer(disk, load16(disk->at + USED + 4 + 8 * (disk->seen % SIZE)));
	if (nr)
		device_kick(disk->dev, 0);
	return nr;
}

void flat_load(const struct hostile *h)
{
	struct device devices[MAX_DEVICES];
	const unsigned nr = devices_find(h, devices);
	struct disk disks[MAX_DISKS];
	unsigned nr_disks = 0;

	for (unsigned i = 0; i < nr && nr_disks < MAX_DISKS; i++) {
		if (device_id(&devices[i]) != DISK)
			continue;
		disks[nr_disks] = (struct disk){ &devices[i], place_of_data(h) + nr_disks * STRIDE, 0 };
		begin(&disks[nr_disks++]);
	}
	for (unsigned i = 0; i < nr_disks; i++)
		for (unsigned done = 0; done < SOME; )
			done += go_on(&disks[i]);
	flat_say("LOAD disks=", nr_disks);
	flat_puts(".\n");
	for (unsigned i = 0; nr_disks; i++)
		go_on(&disks[i % nr_disks]);
}
