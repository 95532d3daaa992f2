/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repin.h - put a vCPU's thread where it belongs, and back when it was moved away
 *
 * All on the vCPU's own thread.
 */
#ifndef VMM_REPIN_H
#define VMM_REPIN_H

#include "vmm.h"

#include "vmm/types.h"
#include "vmm/vcpu.h"

/* Before the first entry.  Does nothing for a vCPU that may run anywhere. */
int repin_first(struct vcpu *vcpu, struct vmm_error *err);

/*
 * KVM handed the vCPU back because host CPU @cpu lacks what it needs.  On return 0
 * the vCPU may be entered again; or the VM is pausing or stopping, which the caller
 * looks at anyway.  A negative errno: it cannot go on, @err says why.
 */
int repin_wrong_cpu(struct vcpu *vcpu, u32 cpu, struct vmm_error *err);

/* KVM_RUN came back for any other reason: the vCPU was in the guest. */
static inline void repin_entered(struct vcpu *vcpu)
{
	vcpu->streak = 0;
	vcpu->doubts = 0;
}

#endif
