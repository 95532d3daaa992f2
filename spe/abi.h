/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abi.h - one kernel's interface for SPE in guests, as data and as text
 *
 * Kernels that give SPE to guests are out of tree and their numbers move, so what
 * a kernel looks like is data: a row of dialect.c, or a text that a user wrote,
 * vmm-spe-abi(5).
 */
#ifndef SPE_ABI_H
#define SPE_ABI_H

#include "vmm.h"

#include "vmm/types.h"

#define ABI_NAME	32
#define ABI_NONE	(-1)	/* the interface does not have it */

/* What it takes that SPE, which cannot fault, finds its memory mapped. */
enum abi_memory {
	ABI_MEMORY_NONE,		/* KVM sees to it */
	ABI_MEMORY_MLOCK,		/* RAM is mlock()ed */
	ABI_MEMORY_LOCK_MEMSLOTS,	/* RAM's slot is locked with KVM_ENABLE_CAP */
	ABI_MEMORY_KVM_PINS,		/* KVM pins the buffer, within RLIMIT_MEMLOCK */
	ABI_MEMORY_GUEST_MEMFD,		/* RAM is a guest_memfd, KVM_PRE_FAULT_MEMORY maps it */
	ABI_MEMORIES,
};

/* How KVM_RUN says that it was called on a CPU without the VM's SPE. */
enum abi_wrong_cpu {
	ABI_WRONG_CPU_NONE,		/* it does not */
	ABI_WRONG_CPU_FAIL_ENTRY,	/* 0, and KVM_EXIT_FAIL_ENTRY, reason bit 0 */
	ABI_WRONG_CPU_ENOEXEC,		/* -1, and ENOEXEC */
	ABI_WRONG_CPUS,
};

/* Numbers are ABI_NONE where the interface has no such thing. */
struct spe_abi {
	char	name[ABI_NAME];
	int	capability;		/* KVM_CHECK_EXTENSION is positive */
	int	absent_capability;	/* ... and of this one 0 */
	int	feature_bit;		/* of KVM_ARM_VCPU_INIT */
	int	group;			/* of a vCPU's attributes, and in it: */
	int	irq;			/* int: the interrupt */
	int	init;			/* no value */
	int	spu;			/* int: perf's type of the SPE instance */
	int	buffer_size;		/* u64: the most a guest's buffer may have */
	int	stop;			/* int: flags */
	int	finalize_group;		/* an attribute of the VM, set when all is done */
	int	finalize_attr;
	int	memory;			/* enum abi_memory */
	int	lock_capability;	/* of ABI_MEMORY_LOCK_MEMSLOTS */
	int	cpus_capability;	/* a vCPU takes a list of CPUs ... */
	int	cpus_ioctl;		/* ... by _IOW(KVMIO, this, char *) */
	int	wrong_cpu;		/* enum abi_wrong_cpu */
	int	not_ready;		/* errno of a KVM_RUN that came before INIT */
	int	exit_rlimit;		/* exit reason: a limit is too low to pin */
	int	exit_rlimit_need;	/* where its u64 with the bytes needed is: offset
					 * from the end of the common part of kvm_run */
};

/*
 * Read a description, vmm-spe-abi(5).  -EINVAL with "line 3: ..." in @err for
 * what it must not contain.
 */
int abi_parse(struct spe_abi *abi, const char *text, struct vmm_error *err);

/*
 * Write the description that abi_parse() reads as the same.  Returns @buf; a
 * size of ABI_TEXT is always enough.
 */
#define ABI_TEXT	1024
const char *abi_format(const struct spe_abi *abi, char *buf, size_t size);

#endif
