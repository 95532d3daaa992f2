/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.c - the guest's counter: where it starts, and that it stands while the VM does
 *
 * arm64 has nothing like KVM_KVMCLOCK_CTRL, by which a guest is told that it was
 * stopped, and a guest that finds minutes gone reports CPUs that hung.  So it does not
 * find them: its counter is set back to where it was.  The virtual one alone, which is
 * the one that Linux uses, by a register of any vCPU; or both, where KVM was given an
 * offset, which makes that register read-only, and where the guest has an EL2, whose
 * own offset would be taken for a part of it.
 */
#include <errno.h>
#include <string.h>

#include "arm64/machine.h"
#include "vmm/error.h"
#include "vmm/machine.h"

static int set_offset(struct machine *m)
{
	struct kvm_arm_counter_offset off = { .counter_offset = m->counter_offset };
	int ret = kvm_vm_ioctl(&m->vm->kvm, KVM_ARM_SET_COUNTER_OFFSET, &off);

	return ret < 0 ? ret : 0;
}

int counter_up(struct machine *m, struct vmm_error *err)
{
	int ret;

	if (!machine_has(m, VMM_MACHINE_F_COUNTER_OFFSET))
		return 0;
	if (!kvm_capability(&m->vm->kvm, KVM_CAP_COUNTER_OFFSET))
		return error_set(err, -ENOTSUP, "counter offset: this host's KVM has none (Linux 6.4)");
	m->counter_offset = m->vm->mcfg.counter_offset;
	ret = set_offset(m);
	return ret ? error_sys(err, ret, "counter offset") : 0;
}

static void warn(struct machine *m, int ret)
{
	log_warn(&m->vm->log, "pause: the guest's counter goes on: %s", strerrordesc_np(-ret));
}

static int read_counter(struct machine *m, u64 *counter)
{
	return kvm_get_reg(&m->vm->kvm, m->vm->vcpus[0].fd, KVM_REG_ARM_TIMER_CNT, counter);
}

void machine_hold_counter(struct vmm *vm)
{
	struct machine *m = vm->machine;
	int ret = read_counter(m, &m->counter);

	m->counter_held = !ret;
	if (ret)
		warn(m, ret);
}

static int set_back(struct machine *m)
{
	const u64 by_offset = VMM_MACHINE_F_COUNTER_OFFSET | VMM_MACHINE_F_NESTED;
	u64 now;
	int ret;

	if (!machine_has(m, by_offset))
		return kvm_set_reg(&m->vm->kvm, m->vm->vcpus[0].fd, KVM_REG_ARM_TIMER_CNT, m->counter);
	ret = read_counter(m, &now);
	if (ret)
		return ret;
	m->counter_offset += now - m->counter;
	return set_offset(m);
}

void machine_release_counter(struct vmm *vm)
{
	struct machine *m = vm->machine;
	int ret = m->counter_held ? set_back(m) : 0;

	m->counter_held = false;
	if (ret)
		warn(m, ret);
}
