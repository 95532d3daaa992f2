/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpumask.h - sets of host CPUs, and how people write them: "0-3,8"
 */
#ifndef VMM_CPUMASK_H
#define VMM_CPUMASK_H

#include "vmm/types.h"

/* As many as any Linux can have (CONFIG_NR_CPUS goes up to 8192). */
#define CPUMASK_BITS	8192
#define CPUMASK_LONG	(8 * sizeof(unsigned long))

struct cpumask {
	unsigned long	bits[CPUMASK_BITS / CPUMASK_LONG];
};

static inline bool cpumask_has(const struct cpumask *mask, unsigned int cpu)
{
	return cpu < CPUMASK_BITS && mask->bits[cpu / CPUMASK_LONG] >> cpu % CPUMASK_LONG & 1;
}

static inline void cpumask_set(struct cpumask *mask, unsigned int cpu)
{
	mask->bits[cpu / CPUMASK_LONG] |= 1ul << cpu % CPUMASK_LONG;
}

void cpumask_clear(struct cpumask *mask);
bool cpumask_empty(const struct cpumask *mask);
bool cpumask_equal(const struct cpumask *a, const struct cpumask *b);
void cpumask_and(struct cpumask *out, const struct cpumask *a, const struct cpumask *b);
void cpumask_or(struct cpumask *out, const struct cpumask *a, const struct cpumask *b);
unsigned int cpumask_count(const struct cpumask *mask);

/*
 * Read the @len characters at @text: numbers and ranges between commas, as the
 * kernel writes them; a newline at the end is fine.  An empty text is the empty
 * set.  -EINVAL for anything else, -ERANGE for a CPU that cannot be.
 */
int cpumask_parse(struct cpumask *mask, const char *text, size_t len);

/*
 * Write @mask in the same form, "none" if it is empty, cut with "..." if it does
 * not fit into @size, which must be 8 at least.  Returns @buf.
 */
const char *cpumask_format(const struct cpumask *mask, char *buf, size_t size);

/* What the calling thread may run on, or be given; a negative errno on failure. */
int cpumask_get_affinity(struct cpumask *mask);
int cpumask_set_affinity(const struct cpumask *mask);

#endif
