/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image_head.h - what a kernel file is, by its first bytes
 */
#ifndef ARM64_IMAGE_HEAD_H
#define ARM64_IMAGE_HEAD_H

#include "vmm.h"

#include "arm64/unpack.h"
#include "vmm/types.h"

#define IMAGE_HEAD_SIZE	4096	/* as much of a file as is looked at */

enum image_kind {
	IMAGE_KIND_FLAT,	/* nothing that is known: code from the first byte on */
	IMAGE_KIND_IMAGE,
	IMAGE_KIND_PACKED,	/* all of the file is compressed */
	IMAGE_KIND_ZBOOT,	/* an EFI program around a compressed Image */
};

struct image_head {
	enum image_kind		kind;

	/* IMAGE */
	u64			text_offset;
	u64			image_size;	/* in memory, 0: unknown */
	u64			flags;
	u64			file_size;	/* that its sections need, 0: unknown */

	/* PACKED and ZBOOT; the offset and size of ZBOOT are what the file says */
	enum unpack_format	format;
	u64			payload_offset;
	u64			payload_size;
};

/* Image flags (Documentation/arch/arm64/booting.rst, 4) */
#define IMAGE_FLAGS_PAGE_SIZE(flags)	((flags) >> 1 & 3)

/*
 * @buf has the file's first @len bytes: all of it, or IMAGE_HEAD_SIZE.
 * -ENOEXEC: it is known, and nothing that can be booted.
 */
int image_head_parse(const u8 *buf, size_t len, struct image_head *head, struct vmm_error *err);

#endif
