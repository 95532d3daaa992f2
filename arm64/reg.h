/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reg.h - KVM's names for registers of a vCPU (api.rst, KVM_SET_ONE_REG)
 */
#ifndef ARM64_REG_H
#define ARM64_REG_H

#include "vmm/kvm.h"

#define CORE_REG(name)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |	\
			 KVM_REG_ARM_CORE_REG(name))

/* Encodings: Arm ARM, D24.2 */
#define REG_MPIDR_EL1		ARM64_SYS_REG(3, 0, 0, 0, 5)
#define REG_ID_AA64MMFR0_EL1	ARM64_SYS_REG(3, 0, 0, 7, 0)
#define REG_SCTLR_EL1		ARM64_SYS_REG(3, 0, 1, 0, 0)
#define REG_TTBR0_EL1		ARM64_SYS_REG(3, 0, 2, 0, 0)
#define REG_TTBR1_EL1		ARM64_SYS_REG(3, 0, 2, 0, 1)
#define REG_TCR_EL1		ARM64_SYS_REG(3, 0, 2, 0, 2)
#define REG_ESR_EL1		ARM64_SYS_REG(3, 0, 5, 2, 0)
#define REG_FAR_EL1		ARM64_SYS_REG(3, 0, 6, 0, 0)
#define REG_VBAR_EL1		ARM64_SYS_REG(3, 0, 12, 0, 0)
#define REG_TPIDR_EL1		ARM64_SYS_REG(3, 0, 13, 0, 4)

#endif
