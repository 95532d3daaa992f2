/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus.c - who answers at a guest physical address that is not RAM
 *
 * A handful of regions: a linear search over one or two cache lines of bases
 * costs less than the exit that led here by two orders of magnitude.
 */
#include <errno.h>

#include "vmm/bus.h"

int bus_add(struct bus *bus, const char *name, gpa_t base, u64 size,
	    const struct bus_ops *ops, void *dev)
{
	u64 end;

	if (!size || add_overflow(base, size, &end))
		return -EINVAL;
	for (size_t i = 0; i < bus->nr_regions; i++) {
		const struct bus_region *r = &bus->regions[i];

		if (base < r->base + r->size && r->base < end)
			return -EEXIST;
	}
	if (bus->nr_regions == BUS_MAX_REGIONS)
		return -ENOSPC;
	bus->regions[bus->nr_regions++] = (struct bus_region){
		.name = name, .base = base, .size = size, .ops = ops, .dev = dev,
	};
	return 0;
}

/* The region that all of the access lies in. */
static const struct bus_region *find(const struct bus *bus, gpa_t gpa, unsigned int len)
{
	const struct bus_region *end = bus->regions + bus->nr_regions;

	for (const struct bus_region *r = bus->regions; r < end; r++) {
		if (gpa >= r->base && gpa - r->base <= r->size - len && len <= r->size)
			return r;
	}
	return NULL;
}

/* @len is 1 to 8. */
static u64 cut(u64 val, unsigned int len)
{
	return val & ~0ull >> (64 - len * 8);
}

u64 bus_read(struct bus *bus, const struct logger *log, gpa_t gpa, unsigned int len)
{
	const struct bus_region *r = find(bus, gpa, len);
	u64 val;

	if (!r) {
		log_limited(log, &bus->strays, VMM_LOG_WARN,
			    "bus: read of %u bytes at 0x%llx, where nothing is", len,
			    (unsigned long long)gpa);
		return 0;
	}
	val = r->ops->read(r->dev, gpa - r->base, len);
	return cut(val, len);
}

void bus_write(struct bus *bus, const struct logger *log, gpa_t gpa, unsigned int len,
	       u64 val)
{
	const struct bus_region *r = find(bus, gpa, len);

	if (!r) {
		log_limited(log, &bus->strays, VMM_LOG_WARN,
			    "bus: write of %u bytes at 0x%llx, where nothing is", len,
			    (unsigned long long)gpa);
		return;
	}
	r->ops->write(r->dev, gpa - r->base, len, cut(val, len));
}
