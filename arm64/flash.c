/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flash.c - the machine's NOR flash, and when it is a memory slot
 */
#include <errno.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "devices/cfi_flash.h"
#include "spe/abi.h"
#include "spe/spe.h"
#include "vmm/error.h"

_Static_assert(MAP_FLASH + CFI_FLASH_SIZE_MAX <= MAP_VIRTIO, "the flash meets virtio-mmio");

/* On a vCPU's thread, which KVM lets change slots while others run. */
static int map(void *ctx, void *host)
{
	struct machine *m = ctx;
	u64 size = host ? cfi_flash_size(m->flash) : 0;

	return kvm_set_memory_readonly(&m->vm->kvm, SLOT_FLASH, MAP_FLASH, size, host);
}

static int may_change_slots(struct machine *m, struct vmm_error *err)
{
	int ret = kvm_check_extension(&m->vm->kvm, KVM_CAP_READONLY_MEM);

	if (ret < 0)
		return error_sys(err, ret, "flash: asking for KVM_CAP_READONLY_MEM");
	if (!ret)
		return error_set(err, -ENOTSUP, "flash: this host's KVM has no read-only memory");
	if (m->spe && spe_abi(m->spe)->memory == ABI_MEMORY_LOCK_MEMSLOTS)
		return error_set(err, -ENOTSUP,
				 "flash: not with SPE, for which this kernel wants memory slots to stay as they are");
	return 0;
}

int flash_up(struct machine *m, struct vmm_error *err)
{
	struct cfi_flash_config cfg = {
		.fd = m->vm->flash_fd,
		.readonly = m->vm->flash_readonly,
		.log = &m->vm->log,
		.map = map,
		.ctx = m,
	};
	int ret;

	if (m->vm->flash_fd < 0)
		return 0;
	ret = may_change_slots(m, err);
	if (!ret)
		ret = cfi_flash_create(&m->flash, &cfg, err);
	if (ret)
		return ret;
	ret = bus_add(&m->vm->bus, "flash", MAP_FLASH, cfi_flash_size(m->flash),
		      &cfi_flash_bus_ops, m->flash);
	if (!ret)
		ret = cfi_flash_map(m->flash);
	return ret ? error_sys(err, ret, "flash: its place at 0x%llx", MAP_FLASH) : 0;
}

void flash_down(struct machine *m)
{
	cfi_flash_destroy(m->flash);
	m->flash = NULL;
}

void flash_tree(const struct machine *m, struct tree *t)
{
	if (m->flash)
		cfi_flash_tree(m->flash, t, MAP_FLASH);
}
