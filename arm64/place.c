/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.c - what the guest's PMU and SPE ask of the placement of its vCPUs
 *
 * On a host whose CPUs differ, KVM gives a VM the PMU of some of them and runs its
 * vCPUs on no others (KVM_ARM_VCPU_PMU_V3_SET_PMU).  A host with one PMU for all of
 * its CPUs asks for nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "arm64/machine.h"
#include "spe/spe.h"
#include "spe/topology.h"
#include "vmm/cpumask.h"
#include "vmm/error.h"
#include "vmm/machine.h"

/* The sum of what the vCPUs may use, this reason aside. */
static void others(const struct vmm *vm, enum placement_reason reason, struct cpumask *sum)
{
	cpumask_clear(sum);
	for (u32 i = 0; i < vm->cfg.vcpus; i++) {
		struct cpumask cpus;

		placement_allows(&vm->placement, i, reason, &cpus);
		cpumask_or(sum, sum, &cpus);
	}
}

static const struct event_source *most_cpus(const struct vmm *vm, const struct topology *topo)
{
	const struct event_source *best = NULL;
	unsigned int best_count = 0;
	struct cpumask allowed;

	others(vm, PLACE_PMU, &allowed);
	for (size_t i = 0; i < topo->nr_pmus; i++) {
		struct cpumask both;

		cpumask_and(&both, &allowed, &topo->pmus[i].cpus);
		if (!topo->pmus[i].usable || (best && cpumask_count(&both) <= best_count))
			continue;
		best = &topo->pmus[i];
		best_count = cpumask_count(&both);
	}
	return best;
}

static int no_such_pmu(const struct topology *topo, const char *name, struct vmm_error *err)
{
	char list[VMM_MSG_SIZE] = "none";
	size_t len = 0;

	for (size_t i = 0; i < topo->nr_pmus && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					topo->pmus[i].name);
	return error_set(err, -ENOTSUP, "PMU: this host has no %.64s; it has: %.160s", name, list);
}

/* Which PMU: the one that it already is, the one that was asked for, or the largest. */
static int choose_pmu(struct machine *m, const struct topology *topo,
		      const struct event_source **pmu, struct vmm_error *err)
{
	const char *name = *m->pmu_name ? m->pmu_name : m->vm->mcfg.pmu;

	*pmu = name ? topology_pmu(topo, name) : most_cpus(m->vm, topo);
	if (name && !*pmu)
		return no_such_pmu(topo, name, err);
	if (*pmu && !(*pmu)->usable)
		return error_set(err, -ENOTSUP, "PMU %s: %s", (*pmu)->name, (*pmu)->reason);
	return 0;
}

static bool covers(const struct cpumask *outer, const struct cpumask *inner)
{
	struct cpumask both;

	cpumask_and(&both, outer, inner);
	return cpumask_equal(&both, inner);
}

static int constrain_pmu(struct machine *m, const struct topology *topo, struct vmm_error *err)
{
	const struct event_source *pmu;
	int ret = choose_pmu(m, topo, &pmu, err);

	if (ret || !pmu)
		return ret;
	if (!m->vm->mcfg.pmu && covers(&pmu->cpus, &topo->possible))
		return 0;
	snprintf(m->pmu_name, sizeof(m->pmu_name), "%s", pmu->name);
	m->pmu_type = pmu->type;
	ret = placement_set(&m->vm->placement, PLACE_PMU, PLACE_ALL, pmu->name, &pmu->cpus);
	return ret ? error_set(err, ret, "placement: no memory") : 0;
}

/* The instance's CPUs come and go; those that it once had it will have again. */
static int refresh_spe(struct machine *m, const struct topology *topo, struct vmm_error *err)
{
	struct cpumask cpus = *spe_cpus(m->spe);
	struct cpumask now;
	int ret;

	if (!spe_cpus_now(m->spe, topo, &now))
		cpumask_or(&cpus, &cpus, &now);
	ret = placement_set(&m->vm->placement, PLACE_SPE, PLACE_ALL, spe_instance(m->spe), &cpus);
	return ret ? error_set(err, ret, "placement: no memory") : 0;
}

static int constrain_spe(struct machine *m, const struct topology *topo, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	struct spe_config cfg = {
		.instance = vm->scfg.instance, .abi = vm->scfg.abi, .abi_text = vm->scfg.abi_text,
		.buffer_max = vm->scfg.buffer_max,
	};
	struct vmm_error why;
	struct cpumask allowed;
	int ret;

	if (m->spe)
		return refresh_spe(m, topo, err);
	/* Chosen once: either there is one now, or the guest does without. */
	if (!vm->want_spe || m->spe_chosen)
		return 0;
	m->spe_chosen = true;
	others(vm, PLACE_SPE, &allowed);
	ret = spe_create(&m->spe, &cfg, topo, &allowed, &why);
	if (ret == -ENOTSUP && (vm->scfg.flags & VMM_SPE_F_OPTIONAL)) {
		log_warn(&vm->log, "the guest gets no SPE: %s", why.msg);
		return 0;
	}
	return ret ? error_set(err, ret, "%s", why.msg) : refresh_spe(m, topo, err);
}

int machine_constrain(struct vmm *vm, struct vmm_error *err)
{
	bool pmu = vm->mcfg.flags & VMM_MACHINE_F_PMU;
	struct topology *topo;
	int ret;

	if (!pmu && !vm->want_spe)
		return 0;
	ret = topology_read(&topo, vm->cfg.sysfs, err);
	if (ret)
		return ret;
	ret = constrain_spe(vm->machine, topo, err);
	if (!ret && pmu)
		ret = constrain_pmu(vm->machine, topo, err);
	topology_destroy(topo);
	return ret;
}

int machine_online(struct vmm *vm, struct cpumask *cpus)
{
	struct topology *topo;
	int ret = topology_read(&topo, vm->cfg.sysfs, NULL);

	if (ret)
		return ret;
	*cpus = topo->online;
	topology_destroy(topo);
	return 0;
}
