/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu.h - one virtual CPU and the loop that runs it
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm.h"

#include "vmm/cpumask.h"
#include "vmm/kvm.h"
#include "vmm/loop.h"
#include "vmm/types.h"

/* What I/O thread 0 finds out for a vCPU; under the VM's lock. */
struct vcpu_look {
	struct loop_msg		msg;
	bool			wanted;
	int			ret;		/* of machine_constrain() */
	struct vmm_error	err;
	struct cpumask		online;		/* empty: not known */
};

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
	_Atomic u64	nr_wrong_cpu;
	_Atomic u64	nr_repins;
	_Atomic u64	nr_stalls;
	_Atomic u64	repin_latency[VMM_LATENCY_BUCKETS];
	atomic_int	tid;
	atomic_int	stalled;

	/* repin.c, on the vCPU's thread. */
	struct cpumask	cpus;		/* where it may run */
	u64		last_repin;	/* CLOCK_MONOTONIC */
	unsigned int	streak;		/* wrong-CPU exits with no entry in between */
	unsigned int	doubts;		/* ... that may mean something else */
	struct vcpu_look look;
	char		where[64];	/* written under the placement's lock */
};

/*
 * Run until the VM stops, on the calling thread, which has the kick signal blocked.
 * -EBUSY: another thread runs this vCPU.
 */
int vcpu_loop(struct vcpu *vcpu);

#endif
