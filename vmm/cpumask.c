/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpumask.c - sets of host CPUs
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cpumask.h"

void cpumask_clear(struct cpumask *mask)
{
	memset(mask, 0, sizeof(*mask));
}

bool cpumask_empty(const struct cpumask *mask)
{
	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++)
		if (mask->bits[i])
			return false;
	return true;
}

bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	return !memcmp(a, b, sizeof(*a));
}

void cpumask_and(struct cpumask *out, const struct cpumask *a, const struct cpumask *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] & b->bits[i];
}

void cpumask_or(struct cpumask *out, const struct cpumask *a, const struct cpumask *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(out->bits); i++)
		out->bits[i] = a->bits[i] | b->bits[i];
}

unsigned int cpumask_count(const struct cpumask *mask)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mask->bits); i++)
		n += (unsigned int)__builtin_popcountl(mask->bits[i]);
	return n;
}

/* A CPU number at *@p, which moves past it. */
static int parse_cpu(const char **p, const char *end, unsigned int *cpu)
{
	unsigned int n = 0;
	const char *start = *p;

	while (*p < end && **p >= '0' && **p <= '9') {
		n = n * 10 + (unsigned int)(*(*p)++ - '0');
		if (n >= CPUMASK_BITS)
			return -ERANGE;
	}
	*cpu = n;
	return *p == start ? -EINVAL : 0;
}

int cpumask_parse(struct cpumask *mask, const char *text, size_t len)
{
	const char *end = text + len;
	int ret;

	cpumask_clear(mask);
	if (len && end[-1] == '\n')
		end--;
	if (text == end)
		return 0;
	for (const char *p = text;; p++) {
		unsigned int first;
		unsigned int last;

		ret = parse_cpu(&p, end, &first);
		if (ret)
			return ret;
		last = first;
		if (p < end && *p == '-') {
			p++;
			ret = parse_cpu(&p, end, &last);
			if (ret)
				return ret;
		}
		if (last < first)
			return -EINVAL;
		for (unsigned int cpu = first; cpu <= last; cpu++)
			cpumask_set(mask, cpu);
		if (p == end)
			return 0;
		if (*p != ',')
			return -EINVAL;
	}
}

const char *cpumask_format(const struct cpumask *mask, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned int cpu = 0; cpu < CPUMASK_BITS; cpu++) {
		unsigned int last = cpu;
		char item[24];
		int len;

		if (!cpumask_has(mask, cpu))
			continue;
		while (cpumask_has(mask, last + 1))
			last++;
		len = last > cpu ? snprintf(item, sizeof(item), "%s%u-%u", at ? "," : "", cpu, last)
				 : snprintf(item, sizeof(item), "%s%u", at ? "," : "", cpu);
		/* Always leave room to say that there is more. */
		if (at + (size_t)len + sizeof("...") > size) {
			memcpy(buf + at, "...", sizeof("..."));
			return buf;
		}
		memcpy(buf + at, item, (size_t)len + 1);
		at += (size_t)len;
		cpu = last;
	}
	if (!at)
		memcpy(buf, "none", sizeof("none"));
	return buf;
}

int cpumask_get_affinity(struct cpumask *mask)
{
	cpumask_clear(mask);
	return sched_getaffinity(0, sizeof(mask->bits), (cpu_set_t *)mask->bits) < 0 ? -errno : 0;
}

int cpumask_set_affinity(const struct cpumask *mask)
{
	return sched_setaffinity(0, sizeof(mask->bits), (const cpu_set_t *)mask->bits) ? -errno : 0;
}
