/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profiling.c - SPE in the machine: spe/ knows how, this is when
 */
#include <errno.h>
#include <stdlib.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "spe/spe.h"
#include "vmm/error.h"

#define DOUBTS_MAX	8	/* exits in a row that may not be about the CPU */

/* Without, and that once. */
static int do_without(struct machine *m, int ret, struct vmm_error *err)
{
	struct vmm *vm = m->vm;

	if (ret != -ENOTSUP || !(vm->scfg.flags & VMM_SPE_F_OPTIONAL))
		return ret;
	log_warn(&vm->log, "the guest gets no SPE: %s", err->msg);
	spe_destroy(m->spe);
	m->spe = NULL;
	pthread_mutex_lock(&vm->place_lock);
	placement_remove(&vm->placement, PLACE_SPE);
	pthread_mutex_unlock(&vm->place_lock);
	return 0;
}

int profiling_find(struct machine *m, struct vmm_error *err)
{
	struct vmm_error why;
	int ret;

	if (!m->spe)
		return 0;
	if (machine_has(m, VMM_MACHINE_F_NESTED))
		return error_set(err, -ENOTSUP, "SPE: not for nested guests, no kernel has that");
	ret = do_without(m, spe_probe(m->spe, &m->vm->kvm, &why), &why);
	return ret ? error_set(err, ret, "%s", why.msg) : 0;
}

static void note_limit(struct machine *m, const struct spe_limit *limit)
{
	if (limit)
		vm_set_limit(m->vm, limit->resource, limit->have, limit->need);
}

int profiling_up(struct machine *m, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	struct spe_vm svm = {
		.kvm = &vm->kvm, .nr_vcpus = vm->cfg.vcpus, .ram = &vm->ram, .ram_slot = SLOT_RAM,
	};
	int *fds;
	int ret;

	if (!m->spe)
		return 0;
	fds = calloc(vm->cfg.vcpus, sizeof(*fds));
	if (!fds)
		return error_set(err, -ENOMEM, "SPE: no memory");
	for (u32 i = 0; i < vm->cfg.vcpus; i++)
		fds[i] = vm->vcpus[i].fd;
	svm.vcpus = fds;
	ret = spe_up(m->spe, &svm, err);
	free(fds);
	if (ret)
		note_limit(m, spe_limit(m->spe));
	return ret;
}

void profiling_down(struct machine *m)
{
	if (m->spe)
		spe_down(m->spe);
}

/* As machine_vcpu_exit(); 0: it is not about SPE. */
int profiling_exit(struct vcpu *vcpu, int ret, struct vmm_error *err)
{
	struct machine *m = vcpu->vm->machine;
	struct spe_exit_info info;

	switch (spe_exit(m->spe, ret, vcpu->run, &info)) {
	case SPE_EXIT_OTHER:
		return 0;
	case SPE_EXIT_WRONG_CPU:
		if (!info.certain && ++vcpu->doubts > DOUBTS_MAX)
			break;
		return -EXDEV;
	case SPE_EXIT_RLIMIT:
		note_limit(m, &info.limit);
		error_set(err, -EDQUOT, "vcpu%u: %s", vcpu->id, info.msg.msg);
		return -EDQUOT;
	case SPE_EXIT_FAILED:
		break;
	}
	return error_set(err, info.error, "vcpu%u: %s", vcpu->id, info.msg.msg);
}

void profiling_tree(const struct machine *m, struct tree *t)
{
	if (m->spe)
		spe_tree(t);
}
