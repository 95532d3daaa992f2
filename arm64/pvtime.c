/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvtime.c - stolen time: how long a vCPU wanted to run and could not
 *
 * KVM keeps 64 bytes a vCPU in guest memory outside RAM and tells the guest where
 * by a hypercall (Arm DEN 0057; Documentation/virt/kvm/devices/vcpu.rst, section 3),
 * so that there is nothing to say of it in the device tree.
 */
#include <errno.h>
#include <sys/mman.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "vmm/error.h"

#define BYTES_A_VCPU	64

_Static_assert(MAP_PVTIME_SIZE / BYTES_A_VCPU >= 512, "KVM has up to 512 vCPUs");

static int tell_vcpu(struct machine *m, u32 i)
{
	gpa_t gpa = MAP_PVTIME + i * BYTES_A_VCPU;

	return kvm_set_attr(&m->vm->kvm, m->vm->vcpus[i].fd, KVM_ARM_VCPU_PVTIME_CTRL,
			    KVM_ARM_VCPU_PVTIME_IPA, &gpa);
}

int pvtime_up(struct machine *m, struct vmm_error *err)
{
	const struct kvm *kvm = &m->vm->kvm;
	void *p;
	int ret;

	/*
	 * Not a thing to insist on: the kernel may have no run delays to report.
	 * The attribute alone proves nothing, group 2 was SPE's in a kernel of 2019.
	 */
	if (machine_has(m, VMM_MACHINE_F_NO_PVTIME) ||
	    kvm_capability(kvm, KVM_CAP_STEAL_TIME) <= 0 ||
	    kvm_has_attr(kvm, m->vm->vcpus[0].fd, KVM_ARM_VCPU_PVTIME_CTRL,
			 KVM_ARM_VCPU_PVTIME_IPA))
		return 0;
	p = mmap(NULL, MAP_PVTIME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return error_sys(err, -errno, "stolen time: mapping its memory");
	m->pvtime = p;
	ret = kvm_set_memory(kvm, SLOT_PVTIME, MAP_PVTIME, MAP_PVTIME_SIZE, p);
	for (u32 i = 0; !ret && i < m->vm->cfg.vcpus; i++)
		ret = tell_vcpu(m, i);
	return ret ? error_sys(err, ret, "stolen time: setting it up") : 0;
}

void pvtime_down(struct machine *m)
{
	if (m->pvtime)
		munmap(m->pvtime, MAP_PVTIME_SIZE);
	m->pvtime = NULL;
}
