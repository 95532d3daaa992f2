/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu.c - the loop that runs a vCPU
 *
 * KVM's return value is looked at before exit_reason, which is stale after EINTR;
 * and the shared page is not written between two runs except where an MMIO read
 * wants its answer, because KVM completes a pending access on the next entry.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/machine.h"
#include "vmm/repin.h"
#include "vmm/vm.h"

/* One writer, so no need for a locked add. */
static void count(_Atomic u64 *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void fail(struct vcpu *vcpu, int ret, const struct vmm_error *err)
{
	vm_stop(vcpu->vm, VMM_STOP_ERROR, ret, (int)vcpu->id, err->msg);
}

static void odd_mmio(struct vcpu *vcpu)
{
	struct vmm_error err;

	error_set(&err, -EIO, "vcpu%u: MMIO access of %u bytes", vcpu->id, vcpu->run->mmio.len);
	fail(vcpu, -EIO, &err);
}

#define MMIO_SIZES	(1u << 1 | 1u << 2 | 1u << 4 | 1u << 8)

/* Guests are little-endian on the bus; so is every host we run on. */
static void mmio(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	struct kvm_run *run = vcpu->run;
	unsigned int len = run->mmio.len;
	u64 val;

	if (len > sizeof(val) || !(MMIO_SIZES >> len & 1)) {
		odd_mmio(vcpu);
		return;
	}
	/* All eight bytes: KVM takes what it wants of them, and so do we. */
	_Static_assert(sizeof(run->mmio.data) == sizeof(val), "kvm_run.mmio");
	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, sizeof(val));
		bus_write(&vm->bus, &vm->log, run->mmio.phys_addr, len, val);
	} else {
		val = bus_read(&vm->bus, &vm->log, run->mmio.phys_addr, len);
		memcpy(run->mmio.data, &val, sizeof(val));
	}
}

static void system_event(struct vcpu *vcpu)
{
	struct vmm_error err;
	u32 type = vcpu->run->system_event.type;

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(vcpu->vm, VMM_STOP_GUEST_OFF, 0, (int)vcpu->id, "the guest powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(vcpu->vm, VMM_STOP_GUEST_RESET, 0, (int)vcpu->id, "the guest asked for a reboot");
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vm_stop(vcpu->vm, VMM_STOP_GUEST_CRASH, 0, (int)vcpu->id, "the guest crashed");
		break;
	default:
		error_set(&err, -EIO, "vcpu%u: unknown system event %u", vcpu->id, type);
		fail(vcpu, -EIO, &err);
	}
}

static void wrong_cpu(struct vcpu *vcpu, u32 cpu)
{
	struct vmm_error err;
	int ret = repin_wrong_cpu(vcpu, cpu, &err);

	if (ret)
		fail(vcpu, ret, &err);
}

static void fail_entry(struct vcpu *vcpu)
{
	u64 reason = vcpu->run->fail_entry.hardware_entry_failure_reason;
	u32 cpu = vcpu->run->fail_entry.cpu;
	struct vmm_error err;

	if (reason & KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED) {
		wrong_cpu(vcpu, cpu);
		return;
	}
	error_set(&err, -EIO, "vcpu%u: entry failed on host CPU %u, reason 0x%llx", vcpu->id, cpu,
		  (unsigned long long)reason);
	fail(vcpu, -EIO, &err);
}

/* What only the architecture knows, of an exit or of a failure. */
static void ask_machine(struct vcpu *vcpu, int ret)
{
	struct vmm_error err;

	ret = machine_vcpu_exit(vcpu, ret, &err);
	if (ret == -EXDEV)
		wrong_cpu(vcpu, (u32)sched_getcpu());
	else if (ret == -EDQUOT)
		vm_wait_limit(vcpu, err.msg);
	else if (ret)
		fail(vcpu, ret, &err);
}

static void rare_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vmm_error err;

	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY) {
		count(&vcpu->nr_others);
		fail_entry(vcpu);
		return;
	}
	repin_entered(vcpu);
	switch (run->exit_reason) {
	case KVM_EXIT_INTR:
		count(&vcpu->nr_kicks);
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		count(&vcpu->nr_others);
		system_event(vcpu);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		count(&vcpu->nr_others);
		error_set(&err, -EIO, "vcpu%u: KVM internal error %u", vcpu->id,
			  run->internal.suberror);
		fail(vcpu, -EIO, &err);
		return;
	}
	count(&vcpu->nr_others);
	ask_machine(vcpu, 0);
}

/* What a guest does all the time, at the least cost. */
static void handle_exit(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_MMIO) {
		rare_exit(vcpu);
		return;
	}
	repin_entered(vcpu);
	count(&vcpu->nr_mmio);
	mmio(vcpu);
}

/*
 * An answered kick.  Where a handler takes the signal, .immediate_exit is what keeps
 * a kick from getting lost before the entry.  Whoever sets it has set .halt before:
 * what is taken back here is either that one's, and .halt is seen, or an older one,
 * and the new one stays.
 */
static void unkick(struct vcpu *vcpu)
{
	if (!vcpu->vm->kick_handled) {
		kvm_unkick(&vcpu->vm->kvm, vcpu->vm->kick_signal);
		return;
	}
	__atomic_exchange_n(&vcpu->run->immediate_exit, 0, __ATOMIC_ACQUIRE);
}

/* KVM_RUN said no.  Returns only if trying again makes sense, or all is over. */
static void run_failed(struct vcpu *vcpu, int ret)
{
	switch (ret) {
	case -EINTR:
		count(&vcpu->nr_kicks);
		unkick(vcpu);
		return;
	case -EAGAIN:
		count(&vcpu->nr_others);
		return;
	}
	count(&vcpu->nr_others);
	ask_machine(vcpu, ret);
}

static int mask_kick(const struct vmm *vm, int how)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, vm->kick_signal);
	return -pthread_sigmask(how, &kick, NULL);
}

/* Let the kick in: by the host's handler, or while KVM_RUN lasts. */
static void prepare(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	struct vmm_error err;
	int ret = repin_first(vcpu, &err);

	if (!ret) {
		ret = vm->kick_handled ? mask_kick(vm, SIG_UNBLOCK) :
					 kvm_set_kick(&vm->kvm, vcpu->fd, vm->kick_signal);
		if (ret)
			error_sys(&err, ret, "vcpu%u: KVM_SET_SIGNAL_MASK", vcpu->id);
	}
	if (!ret)
		ret = vm_confine(vm, VMM_SANDBOX_VCPU, &err);
	if (ret)
		fail(vcpu, ret, &err);
}

int vcpu_loop(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	int ret = vm_vcpu_enter(vcpu);

	if (ret)
		return ret == -ECANCELED ? 0 : ret;
	atomic_store(&vcpu->tid, (int)gettid());
	prepare(vcpu);
	for (;;) {
		if (atomic_load_explicit(&vm->halt, memory_order_acquire) &&
		    !vm_vcpu_wait(vcpu))
			break;
		count(&vcpu->nr_runs);
		ret = kvm_run(&vm->kvm, vcpu->fd);
		if (ret < 0)
			run_failed(vcpu, ret);
		else
			handle_exit(vcpu);
	}
	if (vm->kick_handled)
		mask_kick(vm, SIG_BLOCK);
	kvm_unkick(&vm->kvm, vm->kick_signal);
	vm_vcpu_leave(vcpu);
	return 0;
}
