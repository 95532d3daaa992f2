/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.c - the life of a VM: start, pause, stop, and who hears of it
 *
 * A stop goes through four hands.  Whoever has a reason calls vm_stop(), which
 * sets .halt and kicks; each vCPU leaves its loop; the last one asks I/O thread 0
 * to write out what the guest has printed; and that thread tells STOPPED, as the
 * last event, and ends the I/O threads.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

#define STACK_SIZE	KIB(128)

static void ring(struct vmm *vm)
{
	uint64_t one = 1;

	/* Non-blocking; at 2^64 - 2 it is readable anyway. */
	if (write(vm->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* Under the lock. */
static bool queue_event(struct vmm *vm, const struct vmm_event *ev)
{
	/* One place is kept for STOPPED. */
	u32 room = VM_MAX_EVENTS - (ev->type != VMM_EVENT_STOPPED);

	if (vm->nr_events >= room)
		return false;
	vm->events[(vm->first_event + vm->nr_events++) % VM_MAX_EVENTS] = *ev;
	ring(vm);
	return true;
}

void vm_event(struct vmm *vm, const struct vmm_event *ev)
{
	bool queued;

	pthread_mutex_lock(&vm->lock);
	queued = vm->state != VM_STOPPED && queue_event(vm, ev);
	pthread_mutex_unlock(&vm->lock);
	if (!queued)
		log_warn(&vm->log, "event lost, the host takes none: %s", ev->msg);
}

/* Under the lock: make every vCPU look at .halt. */
static void kick_all(struct vmm *vm)
{
	atomic_store_explicit(&vm->halt, true, memory_order_release);
	for (u32 i = 0; i < vm->cfg.vcpus; i++)
		if (vm->vcpus[i].entered)
			kvm_kick(&vm->kvm, vm->vcpus[i].thread, vm->kick_signal);
	pthread_cond_broadcast(&vm->changed);
}

/* Under the lock: no vCPU is inside, and none will be. */
static void ask_drain(struct vmm *vm)
{
	if (vm->stopping && !vm->nr_inside && !vm->starting && vm->state != VM_STOPPED)
		loop_post(vm->io[0].loop, &vm->drain_msg);
}

void vm_stop(struct vmm *vm, enum vmm_stop_reason reason, int error, int vcpu,
	     const char *msg)
{
	pthread_mutex_lock(&vm->lock);
	if (!vm->stopping) {
		vm->stopping = true;
		vm->stop = (struct vmm_event){
			.size = sizeof(vm->stop),
			.type = VMM_EVENT_STOPPED,
			.reason = reason,
			.error = error,
			.index = vcpu,
		};
		snprintf(vm->stop.msg, sizeof(vm->stop.msg), "%s", msg);
		kick_all(vm);
	}
	if (reason == VMM_STOP_HOST)
		vm->abandon = true;
	ask_drain(vm);
	pthread_mutex_unlock(&vm->lock);
}

/* On I/O thread 0.  A second call, for a host that will not wait, is welcome. */
static void drain(void *arg)
{
	struct vmm *vm = arg;
	bool abandon;
	bool over;

	pthread_mutex_lock(&vm->lock);
	abandon = vm->abandon;
	over = vm->drained;
	pthread_mutex_unlock(&vm->lock);
	if (!over)
		machine_drain(vm, abandon);
}

void vm_drained(struct vmm *vm)
{
	bool first;

	pthread_mutex_lock(&vm->lock);
	first = !vm->drained;
	if (first) {
		vm->drained = true;
		vm->state = VM_STOPPED;
		queue_event(vm, &vm->stop);
		for (u32 i = 0; i < vm->cfg.io_threads; i++)
			loop_quit(vm->io[i].loop);
		pthread_cond_broadcast(&vm->changed);
	}
	pthread_mutex_unlock(&vm->lock);
	if (first)
		log_debug(&vm->log, "stopped: %s", vm->stop.msg);
}

bool vm_vcpu_enter(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	bool enter;

	pthread_mutex_lock(&vm->lock);
	enter = vcpu->joinable || (!vm->stopping && !vcpu->entered);
	if (enter) {
		vcpu->thread = pthread_self();
		vcpu->entered = true;
		/* The library's own threads were counted before they began. */
		vm->nr_inside += !vcpu->joinable;
	}
	pthread_mutex_unlock(&vm->lock);
	return enter;
}

void vm_vcpu_leave(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	vcpu->entered = false;
	vm->nr_inside--;
	ask_drain(vm);
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

bool vm_vcpu_wait(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	bool go_on;

	pthread_mutex_lock(&vm->lock);
	while (vm->paused && !vm->stopping) {
		vm->nr_waiting++;
		pthread_cond_broadcast(&vm->changed);
		pthread_cond_wait(&vm->changed, &vm->lock);
		vm->nr_waiting--;
	}
	go_on = !vm->stopping;
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

int vm_pause(struct vmm *vm)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->state != VM_RUNNING || vm->stopping) {
		ret = -EBUSY;
		goto out;
	}
	vm->paused = true;
	vm->state = VM_PAUSED;
	kick_all(vm);
	while (vm->nr_waiting < vm->nr_inside && !vm->stopping)
		pthread_cond_wait(&vm->changed, &vm->lock);
	if (vm->stopping)
		ret = -EBUSY;
out:
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vm_resume(struct vmm *vm)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&vm->lock);
	if (vm->state == VM_PAUSED && !vm->stopping) {
		vm->paused = false;
		vm->state = VM_RUNNING;
		atomic_store_explicit(&vm->halt, false, memory_order_release);
		pthread_cond_broadcast(&vm->changed);
		ret = 0;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	vcpu_loop(vcpu);
	return NULL;
}

static void *io_main(void *arg)
{
	struct io_thread *io = arg;
	struct vmm_error err;
	int ret;

	pthread_setname_np(pthread_self(), "vmm-io");
	ret = loop_run(io->loop);
	if (ret) {
		error_sys(&err, ret, "io_uring: waiting for events");
		vm_stop(io->vm, VMM_STOP_ERROR, ret, -1, err.msg);
	}
	return NULL;
}

/* Every signal is blocked in our threads from their first instruction. */
static int spawn(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all;
	int ret;

	sigfillset(&all);
	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	ret = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!ret)
		ret = pthread_attr_setsigmask_np(&attr, &all);
	if (!ret)
		ret = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -ret;
}

static int start_io(struct vmm *vm, struct vmm_error *err)
{
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		struct io_thread *io = &vm->io[i];
		int ret;

		if (vm->cfg.flags & VMM_F_HOST_THREADS)
			continue;
		ret = spawn(&io->thread, io_main, io);
		if (ret)
			return error_sys(err, ret, "I/O thread %u", i);
		io->joinable = true;
	}
	return 0;
}

/*
 * With the lock held, so that no vCPU gets past vm_vcpu_enter() until all have a
 * thread.  Where one has none, the others find .stopping set and leave again.
 */
static int start_vcpus(struct vmm *vm, struct vmm_error *err)
{
	bool ours = !(vm->cfg.flags & VMM_F_HOST_THREADS);
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	for (u32 i = 0; ours && i < vm->cfg.vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		vcpu->joinable = true;
		vm->nr_inside++;
		ret = spawn(&vcpu->thread, vcpu_thread, vcpu);
		if (!ret)
			continue;
		vcpu->joinable = false;
		vm->nr_inside--;
		vm->stopping = true;
		kick_all(vm);
		error_sys(err, ret, "vcpu%u: its thread", i);
		goto out;
	}
	vm->state = VM_RUNNING;
	vm->starting = false;
out:
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static void join_all(struct vmm *vm)
{
	for (u32 i = 0; vm->vcpus && i < vm->cfg.vcpus; i++) {
		if (vm->vcpus[i].joinable)
			pthread_join(vm->vcpus[i].thread, NULL);
		vm->vcpus[i].joinable = false;
	}
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		if (vm->io[i].joinable) {
			loop_quit(vm->io[i].loop);
			pthread_join(vm->io[i].thread, NULL);
		}
		vm->io[i].joinable = false;
	}
}

/* All that vm_start() made, from the bottom up. */
static void undo(struct vmm *vm)
{
	join_all(vm);
	machine_destroy(vm);
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		loop_destroy(vm->io[i].loop);
		vm->io[i] = (struct io_thread){ 0 };
	}
	placement_fini(&vm->placement);
	vm->stopping = false;
	atomic_store(&vm->halt, false);
}

/* The process' affinity is a constraint like the user's: together they must leave a CPU. */
static int place(struct vmm *vm, struct vmm_error *err)
{
	struct cpumask cpus;
	int ret;

	if (!vm->cfg.cpus)
		return 0;
	ret = placement_add_user(&vm->placement, vm->cfg.cpus, vm->cfg.vcpus, err);
	if (ret)
		return ret;
	ret = cpumask_get_affinity(&cpus);
	if (!ret)
		ret = placement_add(&vm->placement, PLACE_PROCESS, PLACE_ALL, &cpus);
	if (ret)
		return error_sys(err, ret, "placement");
	for (u32 i = 0; i < vm->cfg.vcpus; i++) {
		ret = placement_resolve(&vm->placement, i, &cpus, err);
		if (ret)
			return ret;
	}
	return 0;
}

int vm_start(struct vmm *vm, struct vmm_error *err)
{
	int ret = place(vm, err);

	for (u32 i = 0; !ret && i < vm->cfg.io_threads; i++) {
		vm->io[i].vm = vm;
		ret = loop_create(&vm->io[i].loop, err);
	}
	if (!ret)
		ret = machine_create(vm, err);
	if (ret)
		goto fail;
	vm->drain_msg = (struct loop_msg){ .fn = drain, .arg = vm };
	/* The loop is still this thread's. */
	machine_start_io(vm);
	ret = start_io(vm, err);
	if (!ret)
		ret = start_vcpus(vm, err);
	if (ret)
		goto fail;
	return 0;
fail:
	undo(vm);
	return ret;
}

void vm_teardown(struct vmm *vm)
{
	bool started;

	pthread_mutex_lock(&vm->lock);
	started = vm->state != VM_NEW;
	pthread_mutex_unlock(&vm->lock);
	if (!started)
		return;
	vm_stop(vm, VMM_STOP_HOST, 0, -1, "stopped by the host");
	pthread_mutex_lock(&vm->lock);
	/* Threads that the host lent end by themselves now. */
	while (vm->nr_inside || vm->nr_users)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
	undo(vm);
}
