/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_smokefile.c - a list of images, vmm-smoke(5), is refused with a line's number, or
 * holds images that can be run
 */
#include <errno.h>

#include "tests/fuzz/input.h"
#include "vmm/cli/smokefile.h"

static void check(const struct smoke_list *list)
{
	must(list->nr && list->nr <= SMOKEFILE_IMAGES_MAX);
	for (size_t i = 0; i < list->nr; i++) {
		const struct smoke_image *image = &list->images[i];

		must(image->name[0] && strlen(image->name) <= SMOKEFILE_NAME_MAX);
		must(!strcmp(image->dir, "/work"));
		must(image->timeout);
		must(image->argc >= 2 && !image->argv[image->argc]);
		for (int n = 0; n < image->argc; n++)
			must(image->argv[n]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smoke_list list = { .nr = 0 };
	struct vmm_error err = { "" };
	/* With the room behind it that was promised, and no more. */
	char *text = malloc(size + 1);
	int ret;

	must(text);
	memcpy(text, data, size);
	ret = smokefile_parse(&list, "/work/list", text, size, &err);
	must(!ret || ret == -EINVAL);
	must(!ret || err.msg[0]);
	if (!ret)
		check(&list);
	smokefile_free(&list);
	free(text);
	return 0;
}
