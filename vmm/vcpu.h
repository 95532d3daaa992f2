/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu.h - one virtual CPU and the loop that runs it
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm.h"

#include "vmm/kvm.h"
#include "vmm/types.h"

struct vcpu {
	struct vmm	*vm;
	u32		id;
	int		fd;		/* KVM's, -1 before it is created */
	struct kvm_run	*run;
	pthread_t	thread;		/* valid while .entered, or .joinable */
	bool		entered;	/* under the VM's lock: in vcpu_loop() */
	bool		joinable;	/* the thread is the library's */

	/* Counted by the vCPU's thread, read by any. */
	_Atomic u64	nr_runs;
	_Atomic u64	nr_mmio;
	_Atomic u64	nr_kicks;
	_Atomic u64	nr_others;
	atomic_int	tid;
};

/* Run until the VM stops, on the calling thread, which is vCPU @vcpu's alone.
 * The kick signal must be blocked. */
void vcpu_loop(struct vcpu *vcpu);

#endif
