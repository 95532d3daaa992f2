/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_overlay.c - any device tree overlay is merged into a sound tree, or refused
 */
#include <errno.h>
#include <libfdt.h>

#include "fdt/overlay.h"
#include "fdt/tree.h"
#include "tests/fuzz/input.h"
#include "vmm.h"

#define ROOM	4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_error err = { "" };
	void *dtbo = malloc(size + 1);
	void *fdt = malloc(ROOM);
	struct tree t;
	int ret;

	must(dtbo && fdt);
	if (size)
		memcpy(dtbo, data, size);
	tree_init(&t, fdt, ROOM);
	tree_u32(&t, "#address-cells", 2);
	tree_begin(&t, "chosen");
	tree_string(&t, "bootargs", "quiet");
	tree_end(&t);
	tree_begin(&t, "intc");
	tree_u32(&t, "phandle", PHANDLE_GIC);
	tree_end(&t);
	must(tree_finish(&t) > 0);

	ret = overlay_merge(fdt, ROOM, dtbo, size, &err);
	must(ret == -ENOEXEC ? err.msg[0] : ret > 0 && ret <= ROOM);
	must(ret < 0 || !fdt_check_full(fdt, (size_t)ret));
	free(dtbo);
	free(fdt);
	return 0;
}
