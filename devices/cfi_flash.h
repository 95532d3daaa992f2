/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cfi_flash.h - NOR flash that describes itself (CFI), kept in a file
 *
 * Where firmware keeps its variables.
 */
#ifndef DEVICES_CFI_FLASH_H
#define DEVICES_CFI_FLASH_H

#include <stdbool.h>

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct cfi_flash;
struct logger;
struct tree;

#define CFI_FLASH_BLOCK		0x10000		/* bytes erased at once */
#define CFI_FLASH_SIZE_MIN	CFI_FLASH_BLOCK
#define CFI_FLASH_SIZE_MAX	0x1000000

extern const struct bus_ops cfi_flash_bus_ops;

struct cfi_flash_config {
	int			fd;		/* borrowed; of its size is the flash */
	bool			readonly;	/* the file is never written */
	const struct logger	*log;
	/*
	 * The flash can be read as memory at @host from now on, or, if that is NULL, no
	 * more.  Called by whichever thread writes to the flash.  A negative errno: it
	 * stays as it was.
	 */
	int			(*map)(void *ctx, void *host);
	void			*ctx;
};

/*
 * The file is read here, and written whenever the guest programs or erases; what is
 * done to the file meanwhile by others the guest does not see.  -ENOEXEC: it is no
 * power of two from CFI_FLASH_SIZE_MIN to CFI_FLASH_SIZE_MAX bytes long.
 */
int cfi_flash_create(struct cfi_flash **flash, const struct cfi_flash_config *cfg,
		     struct vmm_error *err);
/* For the first time, once it is in its place.  What .map returns. */
int cfi_flash_map(struct cfi_flash *flash);
/* No more than the VM lives: .map is not told. */
void cfi_flash_destroy(struct cfi_flash *flash);

/* Bytes. */
u64 cfi_flash_size(const struct cfi_flash *flash);

/* Any thread.  @len is 1, 2, 4 or 8 and the access within the size. */
u64 cfi_flash_read(struct cfi_flash *flash, u64 off, unsigned int len);
void cfi_flash_write(struct cfi_flash *flash, u64 off, unsigned int len, u64 val);

void cfi_flash_tree(const struct cfi_flash *flash, struct tree *t, gpa_t base);

#endif
