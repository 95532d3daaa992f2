/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_cpulist.c - a list of CPUs is refused, or is what its own text says
 */
#include <errno.h>

#include "tests/fuzz/input.h"
#include "vmm/cpumask.h"

#define ROOM	(8 * CPUMASK_BITS)	/* more than any list has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[ROOM];
	struct cpumask mask;
	struct cpumask again;
	char small[16];
	int ret = cpumask_parse(&mask, (const char *)data, size);

	must(!ret || ret == -EINVAL || ret == -ERANGE);
	if (ret)
		return 0;
	must(strlen(cpumask_format(&mask, small, 8 + size % 8)) < 8 + size % 8);
	cpumask_format(&mask, text, sizeof(text));
	must(strlen(text) < sizeof(text) - 4);
	if (cpumask_empty(&mask)) {
		must(!strcmp(text, "none") && !cpumask_count(&mask));
		return 0;
	}
	must(!cpumask_parse(&again, text, strlen(text)));
	must(cpumask_equal(&mask, &again) && cpumask_count(&mask));
	return 0;
}
