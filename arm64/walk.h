/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.h - what a vCPU sees at a virtual address
 */
#ifndef ARM64_WALK_H
#define ARM64_WALK_H

#include "vmm.h"

#include "vmm/gmem.h"
#include "vmm/types.h"

/*
 * Of @regs the registers SCTLR, TCR and TTBR count.  Translate @va as EL1 and EL0 do, permissions apart: to @pa, and @left bytes on from
 * there are contiguous.  -EFAULT: it is not mapped, or tables are not in RAM.
 */
int walk_translate(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va, gpa_t *pa,
		   u64 *left);

/* All of the range or none of it. */
int walk_read(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va, void *buf,
	      size_t len);

#endif
