/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regs.c - what is in a vCPU's registers, for who looks inside
 */
#include <errno.h>
#include <stddef.h>

#include "arm64/machine.h"
#include "arm64/reg.h"
#include "arm64/walk.h"
#include "vmm/machine.h"

#define NR_X	31

static const struct {
	u64	id;
	size_t	to;		/* in struct vmm_vcpu_regs */
} regs[] = {
	{ CORE_REG(regs.sp),	offsetof(struct vmm_vcpu_regs, sp_el0) },
	{ CORE_REG(regs.pc),	offsetof(struct vmm_vcpu_regs, pc) },
	{ CORE_REG(regs.pstate), offsetof(struct vmm_vcpu_regs, pstate) },
	{ CORE_REG(sp_el1),	offsetof(struct vmm_vcpu_regs, sp_el1) },
	{ CORE_REG(elr_el1),	offsetof(struct vmm_vcpu_regs, elr_el1) },
	{ CORE_REG(spsr[KVM_SPSR_EL1]), offsetof(struct vmm_vcpu_regs, spsr_el1) },
	{ REG_MPIDR_EL1,	offsetof(struct vmm_vcpu_regs, mpidr_el1) },
	{ REG_SCTLR_EL1,	offsetof(struct vmm_vcpu_regs, sctlr_el1) },
	{ REG_TCR_EL1,		offsetof(struct vmm_vcpu_regs, tcr_el1) },
	{ REG_TTBR0_EL1,	offsetof(struct vmm_vcpu_regs, ttbr0_el1) },
	{ REG_TTBR1_EL1,	offsetof(struct vmm_vcpu_regs, ttbr1_el1) },
	{ REG_VBAR_EL1,		offsetof(struct vmm_vcpu_regs, vbar_el1) },
	{ REG_ESR_EL1,		offsetof(struct vmm_vcpu_regs, esr_el1) },
	{ REG_FAR_EL1,		offsetof(struct vmm_vcpu_regs, far_el1) },
	{ REG_TPIDR_EL1,	offsetof(struct vmm_vcpu_regs, tpidr_el1) },
};

static int read_power(struct vmm *vm, u32 index, struct vmm_vcpu_regs *out)
{
	struct kvm_mp_state state;
	int ret = kvm_vcpu_ioctl(&vm->kvm, vm->vcpus[index].fd, KVM_GET_MP_STATE, &state);

	if (ret >= 0)
		out->off = state.mp_state == KVM_MP_STATE_STOPPED;
	return ret < 0 ? ret : 0;
}

int machine_vcpu_regs(struct vmm *vm, u32 index, struct vmm_vcpu_regs *out)
{
	int fd = vm->vcpus[index].fd;
	int ret = read_power(vm, index, out);

	/* KVM counts them by halves of a register. */
	for (u32 i = 0; i < NR_X && !ret; i++)
		ret = kvm_get_reg(&vm->kvm, fd, CORE_REG(regs.regs[0]) + 2 * i, &out->x[i]);
	for (size_t i = 0; i < ARRAY_SIZE(regs) && !ret; i++)
		ret = kvm_get_reg(&vm->kvm, fd, regs[i].id, (u64 *)((char *)out + regs[i].to));
	return ret;
}

int machine_vcpu_read(struct vmm *vm, u32 index, u64 va, void *buf, size_t len)
{
	struct vmm_vcpu_regs now;
	int fd = vm->vcpus[index].fd;
	int ret = kvm_get_reg(&vm->kvm, fd, REG_SCTLR_EL1, &now.sctlr_el1);

	if (!ret)
		ret = kvm_get_reg(&vm->kvm, fd, REG_TCR_EL1, &now.tcr_el1);
	if (!ret)
		ret = kvm_get_reg(&vm->kvm, fd, REG_TTBR0_EL1, &now.ttbr0_el1);
	if (!ret)
		ret = kvm_get_reg(&vm->kvm, fd, REG_TTBR1_EL1, &now.ttbr1_el1);
	return ret ? ret : walk_read(&vm->ram, &now, va, buf, len);
}
