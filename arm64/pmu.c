/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmu.c - PMUv3 for guests (Documentation/virt/kvm/devices/vcpu.rst, section 1)
 */
#include <errno.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "vmm/error.h"

/*
 * For the whole VM.  Kernels that cannot be told (before 5.18) take the PMU of the
 * CPU that creates the vCPUs, which is one of those we want.
 */
static int set_pmu(struct machine *m, struct vmm_error *err)
{
	const struct kvm *kvm = &m->vm->kvm;
	int fd = m->vm->vcpus[0].fd;
	int ret;

	if (!*m->pmu_name || kvm_has_attr(kvm, fd, KVM_ARM_VCPU_PMU_V3_CTRL,
					  KVM_ARM_VCPU_PMU_V3_SET_PMU))
		return 0;
	ret = kvm_set_attr(kvm, fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_SET_PMU,
			   &m->pmu_type);
	return ret ? error_sys(err, ret, "PMU %s: choosing it", m->pmu_name) : 0;
}

int pmu_up(struct machine *m, struct vmm_error *err)
{
	const struct kvm *kvm = &m->vm->kvm;
	int intid = INTID_PPI + PPI_PMU;
	int ret;

	if (!machine_has(m, VMM_MACHINE_F_PMU))
		return 0;
	ret = set_pmu(m, err);
	if (ret)
		return ret;
	for (u32 i = 0; i < m->vm->cfg.vcpus; i++) {
		int fd = m->vm->vcpus[i].fd;

		ret = kvm_set_attr(kvm, fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid);
		if (!ret)
			ret = kvm_set_attr(kvm, fd, KVM_ARM_VCPU_PMU_V3_CTRL,
					   KVM_ARM_VCPU_PMU_V3_INIT, NULL);
		if (ret)
			return error_sys(err, ret, "vcpu%u: its PMU", i);
	}
	return 0;
}

void pmu_tree(const struct machine *m, struct tree *t)
{
	if (!machine_has(m, VMM_MACHINE_F_PMU))
		return;
	tree_begin(t, "pmu");
	tree_string(t, "compatible", "arm,armv8-pmuv3");
	tree_cells(t, "interrupts", GIC_PPI, PPI_PMU, IRQ_HIGH);
	tree_end(t);
}
