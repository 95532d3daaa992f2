/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlay.c - device tree overlays, as dtc compiles them from a /plugin/
 */
#include <errno.h>
#include <libfdt.h>
#include <limits.h>

#include "fdt/overlay.h"
#include "vmm/error.h"

static int refuse(struct vmm_error *err, int ret)
{
	switch (-ret) {
	case FDT_ERR_NOTFOUND:
		return error_set(err, -ENOEXEC,
				 "it refers to a node that this machine's tree does not have; its nodes have no labels, use target-path");
	case FDT_ERR_NOSPACE:
		return error_set(err, -ENOEXEC, "there is no room for it behind the device tree");
	case FDT_ERR_TRUNCATED:
		return error_set(err, -ENOEXEC, "it is truncated");
	case FDT_ERR_BADMAGIC:
		return error_set(err, -ENOEXEC, "it is not what dtc makes");
	}
	return error_set(err, -ENOEXEC, "it is damaged: %s", fdt_strerror(ret));
}

/* A tree without a fragment is merged without a complaint, and does nothing. */
static bool has_fragment(const void *dtbo)
{
	int node;

	fdt_for_each_subnode(node, dtbo, 0)
		if (fdt_subnode_offset(dtbo, node, "__overlay__") >= 0)
			return true;
	return false;
}

int overlay_merge(void *fdt, size_t room, void *dtbo, size_t len, struct vmm_error *err)
{
	int ret = fdt_check_full(dtbo, len);

	if (ret)
		return refuse(err, ret);
	if (!has_fragment(dtbo))
		return error_set(err, -ENOEXEC, "it is no overlay: no node has an __overlay__ in it");
	ret = fdt_open_into(fdt, fdt, room < INT_MAX ? (int)room : INT_MAX);
	if (!ret)
		ret = fdt_overlay_apply(fdt, dtbo);
	if (!ret)
		ret = fdt_pack(fdt);
	return ret ? refuse(err, ret) : (int)fdt_totalsize(fdt);
}
