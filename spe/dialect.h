/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dialect.h - the interfaces that kernels have had for SPE in guests, and which
 * one this kernel has
 */
#ifndef SPE_DIALECT_H
#define SPE_DIALECT_H

#include "vmm.h"

#include "spe/abi.h"
#include "vmm/types.h"

struct cpumask;
struct kvm;

/* The instance that the guest shall have. */
struct dialect_spu {
	int			type;	/* perf's and KVM's number of it */
	const struct cpumask	*cpus;
};

/*
 * The rows, in the order in which they are tried; NULL after the last one.  One
 * whose numbers nobody has published, and the headers of this build do not
 * define, is there with .feature_bit ABI_NONE.
 */
const struct spe_abi *dialect_row(size_t i);
/* NULL if there is none of that name. */
const struct spe_abi *dialect_find(const char *name);

/*
 * Find out on a throw-away VM which row, if any, this kernel follows.  @kvm has
 * /dev/kvm open; its VM, if it has one, is left alone.  On a thread that runs on
 * CPUs of @spu alone.  -ENOTSUP: none; any other errno: it could not be found
 * out.  On kernels without any this takes one KVM_CHECK_EXTENSION a row.
 */
int dialect_detect(struct spe_abi *abi, const struct kvm *kvm, const struct dialect_spu *spu,
		   struct vmm_error *err);

/* The same for one interface: does this kernel follow it? */
int dialect_verify(const struct spe_abi *abi, const struct kvm *kvm,
		   const struct dialect_spu *spu, struct vmm_error *err);

/* ID_AA64DFR0_EL1.PMSVer of a vCPU: 0 if it has no SPE. */
int dialect_pmsver(const struct kvm *kvm, int vcpu, unsigned int *ver);

/* Tell KVM that @vcpu will run on @cpus only, as .cpus_ioctl wants to be told. */
int dialect_set_cpus(const struct spe_abi *abi, const struct kvm *kvm, int vcpu,
		     const struct cpumask *cpus);

#endif
