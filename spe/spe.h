/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spe.h - the Statistical Profiling Extension for one VM
 *
 * In this order:
 *	spe_create()	chooses an instance of the host's; placement takes spe_cpus()
 *	spe_probe()	finds out how this kernel wants to be asked for it
 *	...		RAM from a guest_memfd if spe_wants_guest_memfd(), vCPUs with spe_feature()
 *	spe_up()	once the vCPUs and the interrupt controller are complete
 *	spe_exit()	of KVM_RUNs that went wrong, on any vCPU's thread
 *	spe_down()	when no vCPU runs any more, before RAM is unmapped
 *
 * spe_probe(), KVM_ARM_VCPU_INIT and spe_up() belong on a thread that runs on
 * spe_cpus() alone.
 */
#ifndef SPE_SPE_H
#define SPE_SPE_H

#include "vmm.h"

#include "vmm/types.h"

struct cpumask;
struct gmem;
struct kvm;
struct kvm_run;
struct spe;
struct spe_abi;
struct spu;
struct topology;
struct tree;

struct spe_config {
	const char	*instance;	/* arm_spe_N; NULL: the one with most CPUs */
	const char	*abi;		/* a name of dialect.c's; NULL: find out */
	const char	*abi_text;	/* vmm-spe-abi(5), in place of .abi */
	u64		buffer_max;	/* of the guest, bytes; 0: what the kernel allows */
};

/* A limit of the process that is in the way, as setrlimit() knows it. */
struct spe_limit {
	const char	*name;		/* RLIMIT_MEMLOCK */
	int		resource;
	u64		have;		/* bytes; RLIM_INFINITY is all ones */
	u64		need;		/* at least */
};

/* The interrupt is the one that every VMM uses, PPI 5 (DEN0094 BSA). */
#define SPE_INTID	21

/*
 * @others: what all other constraints of placement allow.  -ENOTSUP: this host
 * has no SPE that can be used; -EINVAL: the configuration makes no sense, or no
 * CPU is left.
 */
int spe_create(struct spe **spe, const struct spe_config *cfg, const struct topology *topo,
	       const struct cpumask *others, struct vmm_error *err);
void spe_destroy(struct spe *spe);

/* @kvm has /dev/kvm open; what is found out is found out on another VM. */
int spe_probe(struct spe *spe, const struct kvm *kvm, struct vmm_error *err);

const char *spe_instance(const struct spe *spe);
const struct cpumask *spe_cpus(const struct spe *spe);

/*
 * The instance's CPUs of now, after @topo was read again: those that are online,
 * and may be none.  -ENODEV: the instance is gone, or another one by its name.
 */
int spe_cpus_now(const struct spe *spe, const struct topology *topo, struct cpumask *cpus);

/* After spe_probe(). */
const struct spe_abi *spe_abi(const struct spe *spe);
u32 spe_feature(const struct spe *spe);		/* bit of KVM_ARM_VCPU_INIT */

/*
 * What the process should be allowed to lock for a VM with @ram bytes, before
 * spe_up() is tried; false: nothing.  Whether it is allowed to is not looked at.
 */
bool spe_needs(const struct spe *spe, u64 ram, struct spe_limit *limit);

/*
 * RAM must be memory of KVM's (kvm_create_guest_memfd()): the caller maps it as
 * it would any other file, and gives it to KVM by kvm_set_guest_memfd().
 */
bool spe_wants_guest_memfd(const struct spe *spe);

/* All of RAM has to stay where it is for as long as the VM runs. */
bool spe_holds_ram(const struct spe *spe);

/* The VM as it stands, all borrowed. */
struct spe_vm {
	const struct kvm	*kvm;
	const int		*vcpus;		/* descriptors */
	u32			nr_vcpus;
	const struct gmem	*ram;
	u32			ram_slot;
};

/*
 * Do all that is left to do before the first KVM_RUN; memory slots stay as they
 * are from here on.  What has been done when it fails, spe_down() undoes.  If a
 * limit was too low spe_limit() says which.
 */
int spe_up(struct spe *spe, const struct spe_vm *vm, struct vmm_error *err);
void spe_down(struct spe *spe);
const struct spe_limit *spe_limit(const struct spe *spe);

/* ID_AA64DFR0_EL1.PMSVer that guests see, after spe_up(): 1 is SPEv1p0. */
unsigned int spe_version(const struct spe *spe);

/* What an unusual return of KVM_RUN means for SPE. */
enum spe_exit {
	SPE_EXIT_OTHER,		/* it is not about SPE */
	SPE_EXIT_WRONG_CPU,	/* move the thread and run again */
	SPE_EXIT_RLIMIT,	/* raise .limit and run again, or stop with .error */
	SPE_EXIT_FAILED,	/* stop with .error */
};

struct spe_exit_info {
	/*
	 * Of WRONG_CPU: where the thread was, as far as is known.  If not
	 * .certain, the kernel says the same of something else; the thread
	 * seems to be where it belongs.  Try again a few times, then stop with
	 * .error.
	 */
	unsigned int		cpu;
	bool			certain;
	struct spe_limit	limit;
	int			error;		/* a negative errno, with .msg */
	struct vmm_error	msg;
};

/* @ret is KVM_RUN's, 0 or a negative errno.  On the vCPU's thread. */
enum spe_exit spe_exit(const struct spe *spe, int ret, const struct kvm_run *run,
		       struct spe_exit_info *info);

/* The guest's node; every vCPU has SPE. */
void spe_tree(struct tree *t);

#endif
