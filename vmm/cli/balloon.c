/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balloon.c - what a guest tells of its balloon, for people
 */
#include "vmm/cli/balloon.h"

#include <stdio.h>

#include "vmm/cli/ask.h"

#define MIB_BITS	20

static long long mib(const json_t *object, const char *key)
{
	return (long long)ask_number(object, key) >> MIB_BITS;
}

void balloon_print(const json_t *balloon)
{
	static const char *const sizes[] = { "total", "available", "free", "caches" };
	const json_t *guest = json_object_get(balloon, "guest");
	const char *sep = ", the guest has";

	if (!balloon)
		return;
	printf("balloon: %lld of %lld MiB", mib(balloon, "actual"), mib(balloon, "size"));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!json_object_get(guest, sizes[i]))
			continue;
		printf("%s %lld MiB %s", sep, mib(guest, sizes[i]), sizes[i]);
		sep = ",";
	}
	printf("; %lld MiB reported free so far\n", mib(balloon, "reported"));
}
