/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * placement.h - which host CPUs a vCPU may run on, and why
 *
 * For each vCPU an intersection of named constraints, each a set of host CPUs
 * and a reason.  It is worked out before the VM starts; every vCPU thread pins
 * itself before its first entry, so that it is never on a wrong CPU to begin with.
 */
#ifndef VMM_PLACEMENT_H
#define VMM_PLACEMENT_H

#include "vmm.h"

#include "vmm/cpumask.h"
#include "vmm/types.h"

enum placement_reason {
	PLACE_PROCESS,		/* the affinity of the process when the VM starts */
	PLACE_USER,		/* vmm_config.cpus */
	PLACE_REASONS,
};

/* A set for one vCPU, or for all of them. */
#define PLACE_ALL	UINT32_MAX
struct constraint {
	enum placement_reason	reason;
	u32			vcpu;
	struct cpumask		cpus;
};

struct placement {
	struct constraint	*list;
	size_t			nr;
};

void placement_fini(struct placement *p);

/* One more constraint.  -ENOMEM. */
int placement_add(struct placement *p, enum placement_reason reason, u32 vcpu,
		  const struct cpumask *cpus);

/* The user's: "0-3,8" or "0=0-1:1=2", for a VM with @nr_vcpus.  -EINVAL. */
int placement_add_user(struct placement *p, const char *text, u32 nr_vcpus,
		       struct vmm_error *err);

/*
 * What vCPU @vcpu may run on.  If that is nothing: -EINVAL, and @err names two
 * constraints that exclude one another, with both lists.
 */
int placement_resolve(const struct placement *p, u32 vcpu, struct cpumask *cpus,
		      struct vmm_error *err);

/* Has vCPU @vcpu any constraint that its thread does not meet of itself? */
bool placement_binds(const struct placement *p, u32 vcpu);

#endif
