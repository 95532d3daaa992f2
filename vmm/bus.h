/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus.h - who answers at a guest physical address that is not RAM
 *
 * Regions are added while the machine is built and then only read, so a look-up
 * takes no lock.  A device locks itself.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "vmm/log.h"
#include "vmm/types.h"

/*
 * @off counts from the start of the region, @len is 1, 2, 4 or 8, and the access
 * lies wholly inside the region.  Values are zero-extended to 64 bits; what a
 * device returns above @len bytes is cut off.
 */
struct bus_ops {
	u64	(*read)(void *dev, u64 off, unsigned int len);
	void	(*write)(void *dev, u64 off, unsigned int len, u64 val);
};

struct bus_region {
	const char		*name;
	gpa_t			base;
	u64			size;
	const struct bus_ops	*ops;
	void			*dev;
};

#define BUS_MAX_REGIONS	36

struct bus {
	struct bus_region	regions[BUS_MAX_REGIONS];
	size_t			nr_regions;
	struct ratelimit	strays;
};

/* -EEXIST if the range meets another region, -ENOSPC, -EINVAL if it wraps. */
int bus_add(struct bus *bus, const char *name, gpa_t base, u64 size,
	    const struct bus_ops *ops, void *dev);

/*
 * An access of a vCPU.  Where nobody answers, reads give 0, writes vanish, and
 * @log gets a rate-limited line.
 */
u64 bus_read(struct bus *bus, const struct logger *log, gpa_t gpa, unsigned int len);
void bus_write(struct bus *bus, const struct logger *log, gpa_t gpa, unsigned int len,
	       u64 val);

#endif
