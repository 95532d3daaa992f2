/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlay.h - device tree overlays, as dtc compiles them from a /plugin/
 */
#ifndef VMM_FDT_OVERLAY_H
#define VMM_FDT_OVERLAY_H

#include "vmm/types.h"

struct vmm_error;

/*
 * Merge the overlay in @len bytes at @dtbo, which are changed, into the tree at @fdt,
 * which may grow to @room bytes.  Its new size, or -ENOEXEC with the matter alone in
 * @err: the tree is of no use then.
 */
int overlay_merge(void *fdt, size_t room, void *dtbo, size_t len, struct vmm_error *err);

#endif
