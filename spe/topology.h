/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topology.h - the host's CPUs, and which of them can count and profile
 *
 * What sysfs says at one moment; CPUs come and go, so read it again when it
 * matters.  What sysfs says is not trusted: an instance with an absurd file is
 * there but not usable, and says why.
 */
#ifndef SPE_TOPOLOGY_H
#define SPE_TOPOLOGY_H

#include "vmm.h"

#include "vmm/cpumask.h"
#include "vmm/types.h"

#define TOPOLOGY_NAME	64
#define TOPOLOGY_REASON	128

/* caps/ of an SPE instance, as the driver names them. */
enum spu_cap {
	SPU_ARCH_INST,
	SPU_COUNT_SIZE,
	SPU_ERND,
	SPU_MIN_INTERVAL,
	SPU_EVENT_FILTER,	/* newer kernels only */
	SPU_MAX_BUFF_SIZE,	/* newer kernels only */
	SPU_CAPS,
};

/* A device below bus/event_source: an SPE instance, or the PMU of some CPUs. */
struct event_source {
	char		name[TOPOLOGY_NAME];	/* arm_spe_0, armv8_cortex_a57 */
	bool		usable;
	char		reason[TOPOLOGY_REASON];	/* ... if it is not */
	int		type;			/* what perf and KVM know it by */
	struct cpumask	cpus;			/* of it, online */
};

/* A Statistical Profiling Unit: one instance of the host's driver. */
struct spu {
	struct event_source	dev;
	u32			nr;		/* arm_spe_<nr> */
	u32			caps;		/* bit n: .cap[n] is set */
	u64			cap[SPU_CAPS];
};

struct topology {
	char			*root;
	struct cpumask		possible;
	struct cpumask		present;
	struct cpumask		online;
	struct cpumask		process;	/* what the reading thread might run on */
	struct spu		*spus;		/* by number */
	size_t			nr_spus;
	struct event_source	*pmus;		/* by name */
	size_t			nr_pmus;
};

/*
 * Read the sysfs that is mounted at @root (NULL: /sys).  Fails only for want of
 * memory or descriptors, or if there is no sysfs.
 */
int topology_read(struct topology **topo, const char *root, struct vmm_error *err);
void topology_destroy(struct topology *topo);

/* NULL if there is none. */
const struct spu *topology_spu(const struct topology *topo, const char *name);
const struct event_source *topology_pmu(const struct topology *topo, const char *name);

const char *spu_cap_name(enum spu_cap cap);

/* MIDR_EL1 of @cpu, 0 if the host does not tell; it tells only of online CPUs. */
u64 topology_midr(const struct topology *topo, unsigned int cpu);
/* "Neoverse-N1"; NULL if it is not known here. */
const char *topology_midr_name(u64 midr);

/*
 * For a host that shows no SPE: put into @buf what is missing, hardware,
 * firmware's description, driver or KPTI, and what would help.  Returns @buf.
 */
const char *topology_no_spe(const struct topology *topo, char *buf, size_t size);

#endif
