/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unpack.h - decompress a kernel from memory to memory
 */
#ifndef ARM64_UNPACK_H
#define ARM64_UNPACK_H

#include "vmm.h"

#include "vmm/types.h"

enum unpack_format {
	UNPACK_GZIP,
	UNPACK_ZSTD,
};

/*
 * Decompress @src, all members or frames of it, to @dst, which has room for
 * *@dst_len bytes; *@dst_len becomes what was written.  Neither may be 4 GiB long.
 * What follows the last member is left alone, as gzip(1) does.
 *
 * -ENOEXEC: truncated or corrupt; -EFBIG: there is more than @dst takes; -ENOMEM.
 */
int unpack(enum unpack_format format, void *dst, u64 *dst_len, const void *src, u64 src_len,
	   struct vmm_error *err);

#endif
