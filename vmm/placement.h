/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * placement.h - which host CPUs a vCPU may run on, and why
 *
 * For each vCPU an intersection of named constraints, each a set of host CPUs
 * and a reason.  It is worked out before the VM starts; every vCPU thread pins
 * itself before its first entry, so that it is never on a wrong CPU to begin with.
 * repin.c brings back those that somebody else has moved.
 *
 * A placement belongs to the caller, who locks it where more than one thread can
 * be inside.
 */
#ifndef VMM_PLACEMENT_H
#define VMM_PLACEMENT_H

#include "vmm.h"

#include "vmm/cpumask.h"
#include "vmm/types.h"

enum placement_reason {
	PLACE_PROCESS,		/* the affinity of the process when the VM starts */
	PLACE_USER,		/* vmm_config.cpus */
	PLACE_PMU,		/* the CPUs of the guest's PMU */
	PLACE_SPE,		/* the CPUs of the guest's SPE instance */
	PLACE_REASONS,
};

/* A set for one vCPU, or for all of them. */
#define PLACE_ALL	UINT32_MAX
struct constraint {
	enum placement_reason	reason;
	u32			vcpu;
	char			name[32];	/* of the PMU or the instance, or empty */
	struct cpumask		cpus;
};

struct placement {
	struct constraint	*list;
	size_t			nr;
};

void placement_fini(struct placement *p);

/* One more constraint; in place of the one with this reason for this vCPU.  -ENOMEM. */
int placement_set(struct placement *p, enum placement_reason reason, u32 vcpu,
		  const char *name, const struct cpumask *cpus);

/* Take the constraints with @reason away. */
void placement_remove(struct placement *p, enum placement_reason reason);

/* The user's: "0-3,8" or "0=0-1:1=2", for a VM with @nr_vcpus.  -EINVAL. */
int placement_add_user(struct placement *p, const char *text, u32 nr_vcpus,
		       struct vmm_error *err);

/*
 * What vCPU @vcpu may run on; with PLACE_ALL, what holds for every one.  If that is
 * nothing: -ENOTSUP, and @err names two constraints that exclude one another, with
 * both lists.
 */
int placement_resolve(const struct placement *p, u32 vcpu, struct cpumask *cpus,
		      struct vmm_error *err);

/* What all constraints but those with @reason leave vCPU @vcpu; may be nothing. */
void placement_allows(const struct placement *p, u32 vcpu, enum placement_reason reason,
		      struct cpumask *cpus);

/* Has vCPU @vcpu any constraint that its thread does not meet of itself? */
bool placement_binds(const struct placement *p, u32 vcpu);

/* For people: "2-3 (SPE arm_spe_0)", or "any".  Returns @buf. */
const char *placement_describe(const struct placement *p, u32 vcpu, char *buf, size_t size);

#endif
