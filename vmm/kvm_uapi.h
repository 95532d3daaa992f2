/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm_uapi.h - <linux/kvm.h>, and what older headers lack of it
 *
 * A number defined by the installed headers wins.  Each one below names the
 * kernel release that introduced it; Documentation/virt/kvm/api.rst and
 * arch/arm64/include/uapi/asm/kvm.h are where they come from.
 */
#ifndef VMM_KVM_UAPI_H
#define VMM_KVM_UAPI_H

#include <linux/kvm.h>

/* 6.4: the guest's counters start at an offset of the host's. */
#ifndef KVM_CAP_COUNTER_OFFSET
#define KVM_CAP_COUNTER_OFFSET	227
#define KVM_ARM_SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct kvm_arm_counter_offset)
struct kvm_arm_counter_offset {
	__u64 counter_offset;
	__u64 reserved;
};
#endif

/* 6.16: nested virtualisation. */
#ifndef KVM_CAP_ARM_EL2
#define KVM_CAP_ARM_EL2		240
#define KVM_CAP_ARM_EL2_E2H0	241
#endif
#ifndef KVM_ARM_VCPU_HAS_EL2
#define KVM_ARM_VCPU_HAS_EL2		7
#define KVM_ARM_VCPU_HAS_EL2_E2H0	8
#endif

/* 5.18 (the PMU that a VM uses), 6.0 (why an entry failed). */
#ifndef KVM_ARM_VCPU_PMU_V3_SET_PMU
#define KVM_ARM_VCPU_PMU_V3_SET_PMU	3
#endif
#ifndef KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED
#define KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED	(1ULL << 0)
#endif

#endif
