/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - put a kernel, an initrd and firmware where they belong in guest RAM
 *
 * Layout (the same as kvmtool's, so that images made for it run unmodified).
 * The payload region is the first min(RAM, 512 MiB).  In it, from the bottom: the
 * kernel at its text_offset (or at 0x80000 where the header is missing or says
 * nothing of its size); and from the top: 2 MiB and 64 KiB of room, the device
 * tree on a multiple of 2 MiB, and the initrd directly below it.
 */
#ifndef ARM64_IMAGE_H
#define ARM64_IMAGE_H

#include "vmm.h"

#include "vmm/gmem.h"
#include "vmm/types.h"

/* Granules that a vCPU's stage 1 translation can use (ID_AA64MMFR0_EL1). */
#define IMAGE_GRANULE_4K	(1u << 0)
#define IMAGE_GRANULE_16K	(1u << 1)
#define IMAGE_GRANULE_64K	(1u << 2)

struct image_request {
	int		kernel_fd;
	int		initrd_fd;	/* -1: none */
	bool		firmware;	/* kernel_fd is firmware, taken as it is */
	gpa_t		firmware_addr;	/* 0: the start of RAM */
	unsigned int	granules;	/* IMAGE_GRANULE_*, what the vCPUs have */
};

struct image_layout {
	const char	*format;	/* "Image", "gzip Image", "EFI zboot (zstd)", "flat binary", ... */
	gpa_t		entry;		/* of vCPU 0 */
	gpa_t		initrd;		/* its first byte */
	gpa_t		initrd_end;	/* one past its last; 0: no initrd */
	gpa_t		dtb;		/* where the device tree goes */
	u64		dtb_max;	/* and how long it may be */
};

/*
 * Load what @req names into @mem and say in @out where it went.  Files are read
 * straight into guest memory, or decompressed into it; nothing is buffered.
 *
 * -ENOEXEC: not an image for this machine, truncated or corrupt; -EFBIG: it does
 * not fit, or two parts would overlap; or the errno of a read.  @err says which file
 * ("kernel: ...", "initrd: ...", "firmware: ...") and why, with sizes in the text.
 */
int image_load(const struct image_request *req, const struct gmem *mem,
	       struct image_layout *out, struct vmm_error *err);

#endif
