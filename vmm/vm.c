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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/cpuwatch.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/machine.h"
#include "vmm/sandbox.h"
#include "vmm/thread.h"
#include "vmm/vm.h"

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
		log_limited(&vm->log, &vm->lost_limit, VMM_LOG_WARN,
			    "event lost, the host takes none: %s", ev->msg);
}

/* A vCPU that is the caller itself is not in the guest, and will look anyway. */
static void kick(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;

	if (pthread_equal(vcpu->thread, pthread_self()))
		return;
	if (vm->kick_handled)	/* see unkick() in vcpu.c */
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	kvm_kick(&vm->kvm, vcpu->thread, vm->kick_signal);
}

/* Under the lock: make every vCPU look at .halt. */
static void kick_all(struct vmm *vm)
{
	atomic_store_explicit(&vm->halt, true, memory_order_release);
	for (u32 i = 0; i < vm->cfg.vcpus; i++)
		if (vm->vcpus[i].entered)
			kick(&vm->vcpus[i]);
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

int vm_vcpu_enter(struct vcpu *vcpu)
{
	struct vmm *vm = vcpu->vm;
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	if (vcpu->entered)
		ret = -EBUSY;
	else if (vm->stopping && !vcpu->joinable)
		ret = -ECANCELED;
	if (!ret) {
		vcpu->entered = true;
		/* The library's own threads are known and were counted before they began. */
		if (!vcpu->joinable) {
			vcpu->thread = pthread_self();
			vm->nr_inside++;
		}
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
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
	/* Told once: two that told each other on every wake would not sleep. */
	vm->nr_waiting++;
	if (vm->paused)
		pthread_cond_broadcast(&vm->changed);
	while (vm->paused && !vm->stopping)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->nr_waiting--;
	go_on = !vm->stopping;
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

void vm_host_changed(struct vmm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->cpus_seen++;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

static void cpus_changed(void *arg)
{
	vm_host_changed(arg);
}

void vm_set_limit(struct vmm *vm, int resource, u64 have, u64 need)
{
	pthread_mutex_lock(&vm->lock);
	vm->limit = (struct vmm_limit){
		.size = sizeof(vm->limit), .resource = resource, .have = have, .need = need,
	};
	pthread_mutex_unlock(&vm->lock);
}

static bool is_stopping(struct vmm *vm)
{
	bool stopping;

	pthread_mutex_lock(&vm->lock);
	stopping = vm->stopping;
	pthread_mutex_unlock(&vm->lock);
	return stopping;
}

/* On I/O thread 0. */
static void start_cpuwatch(void *arg)
{
	struct vmm *vm = arg;
	struct vmm_error err;
	int ret;

	/* The loop also finds what is left for it when all is taken down. */
	if (is_stopping(vm))
		return;
	ret = cpuwatch_create(&vm->cpuwatch, vm->io[0].loop, vm->cfg.sysfs, cpus_changed, vm, &err);
	if (ret) {
		vm_stop(vm, VMM_STOP_ERROR, ret, -1, err.msg);
		return;
	}
	pthread_mutex_lock(&vm->lock);
	vm->cpuwatch_up = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

/* Under the lock: shall a vCPU that waits for something give up? */
static bool called_away(const struct vmm *vm)
{
	return vm->stopping || vm->paused;
}

/* On I/O thread 0. */
static void look(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vmm *vm = vcpu->vm;
	struct vmm_error err = { "" };
	struct cpumask online;
	int ret;

	if (is_stopping(vm))
		return;
	/* Hear of changes first, or one may come in between. */
	if (vm->cpuwatch)
		cpuwatch_cgroup(vm->cpuwatch, atomic_load(&vcpu->tid));
	pthread_mutex_lock(&vm->place_lock);
	ret = machine_constrain(vm, &err);
	pthread_mutex_unlock(&vm->place_lock);
	if (machine_online(vm, &online))
		cpumask_clear(&online);
	pthread_mutex_lock(&vm->lock);
	vcpu->look.ret = ret;
	vcpu->look.err = err;
	vcpu->look.online = online;
	vcpu->look.wanted = false;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

int vm_look(struct vcpu *vcpu, struct cpumask *online, struct vmm_error *err)
{
	struct vmm *vm = vcpu->vm;
	int ret = -ECANCELED;

	pthread_mutex_lock(&vm->lock);
	vcpu->look.wanted = true;
	/* It may be queued still, since a time when the VM was paused. */
	if (!vcpu->look.msg.fn)
		vcpu->look.msg = (struct loop_msg){ .fn = look, .arg = vcpu };
	loop_post(vm->io[0].loop, &vcpu->look.msg);
	while (vcpu->look.wanted && !called_away(vm))
		pthread_cond_wait(&vm->changed, &vm->lock);
	if (!vcpu->look.wanted) {
		ret = vcpu->look.ret;
		*online = vcpu->look.online;
		if (ret)
			error_set(err, ret, "%s", vcpu->look.err.msg);
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

void vm_watch_cpus(struct vmm *vm, u64 *seen)
{
	pthread_mutex_lock(&vm->lock);
	if (!vm->cpuwatch_asked) {
		vm->cpuwatch_asked = true;
		vm->cpuwatch_msg = (struct loop_msg){ .fn = start_cpuwatch, .arg = vm };
		loop_post(vm->io[0].loop, &vm->cpuwatch_msg);
	}
	while (!vm->cpuwatch_up && !called_away(vm))
		pthread_cond_wait(&vm->changed, &vm->lock);
	*seen = vm->cpus_seen;
	pthread_mutex_unlock(&vm->lock);
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* Under the lock: false when the time is up. */
static bool wait_until(struct vmm *vm, const struct timespec *until)
{
	return pthread_cond_clockwait(&vm->changed, &vm->lock, CLOCK_MONOTONIC, until) != ETIMEDOUT;
}

bool vm_wait_cpus(struct vmm *vm, u64 *seen, unsigned int ms)
{
	struct timespec until = in_ms(ms);
	bool in_time = true;
	bool go_on;

	pthread_mutex_lock(&vm->lock);
	while (vm->cpus_seen == *seen && !called_away(vm) && in_time) {
		if (ms)
			in_time = wait_until(vm, &until);
		else
			pthread_cond_wait(&vm->changed, &vm->lock);
	}
	go_on = !called_away(vm);
	*seen = vm->cpus_seen;
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

void vm_wait_limit(struct vcpu *vcpu, const char *msg)
{
	struct vmm *vm = vcpu->vm;
	struct vmm_event ev = {
		.size = sizeof(ev), .type = VMM_EVENT_LIMIT, .index = (int)vcpu->id,
	};
	u64 seen;

	pthread_mutex_lock(&vm->lock);
	seen = vm->cpus_seen;
	pthread_mutex_unlock(&vm->lock);
	snprintf(ev.msg, sizeof(ev.msg), "%s", msg);
	vm_event(vm, &ev);
	vm_wait_cpus(vm, &seen, 0);
}

void vm_wait_ms(struct vmm *vm, unsigned int ms)
{
	struct timespec until = in_ms(ms);

	pthread_mutex_lock(&vm->lock);
	while (!called_away(vm) && wait_until(vm, &until))
		;
	pthread_mutex_unlock(&vm->lock);
}

/* On an I/O thread, whenever .paused has changed, or less is in flight. */
static void pause_or_resume(void *arg)
{
	struct io_thread *io = arg;
	struct vmm *vm = io->vm;
	bool rest;

	pthread_mutex_lock(&vm->lock);
	rest = vm->paused && !vm->stopping;
	io->at_rest &= rest;
	pthread_mutex_unlock(&vm->lock);
	if (!rest) {
		if (io->paused)
			machine_resume_io(vm, io->index);
		io->paused = false;
		return;
	}
	io->paused = true;
	if (!machine_pause_io(vm, io->index))
		return;
	/* If somebody has resumed meanwhile there is another message. */
	pthread_mutex_lock(&vm->lock);
	io->at_rest = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

/* A message, so that what a turn does at its end is done. */
void vm_io_rests(struct vmm *vm, const struct loop *loop)
{
	for (u32 i = 0; i < vm->cfg.io_threads; i++)
		if (vm->io[i].loop == loop)
			loop_post(vm->io[i].loop, &vm->io[i].pause_msg);
}

/* Under the lock. */
static void tell_io(struct vmm *vm)
{
	for (u32 i = 0; i < vm->cfg.io_threads; i++)
		loop_post(vm->io[i].loop, &vm->io[i].pause_msg);
}

/* Under the lock.  A host's loop, which may be the caller's own, is not waited for. */
static bool io_at_rest(const struct vmm *vm)
{
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		const struct io_thread *io = &vm->io[i];

		if ((io->joinable || io->entered) && !io->at_rest)
			return false;
	}
	return true;
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
	/* A vmm_resume() meanwhile ends the wait too. */
	while (vm->paused && vm->nr_waiting < vm->nr_inside && !vm->stopping)
		pthread_cond_wait(&vm->changed, &vm->lock);
	if (vm->paused && !vm->stopping && !vm->counter_held) {
		machine_hold_counter(vm);
		vm->counter_held = true;
	}
	/* What they have asked for comes to its end. */
	tell_io(vm);
	while (vm->paused && !io_at_rest(vm) && !vm->stopping)
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
		if (vm->counter_held)
			machine_release_counter(vm);
		vm->counter_held = false;
		vm->paused = false;
		vm->state = VM_RUNNING;
		atomic_store_explicit(&vm->halt, false, memory_order_release);
		pthread_cond_broadcast(&vm->changed);
		tell_io(vm);
		ret = 0;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vm_confine(struct vmm *vm, enum vmm_sandbox_role role, struct vmm_error *err)
{
	if (!(vm->cfg.flags & VMM_F_SANDBOX))
		return 0;
	return sandbox_filter(role, vm->cfg.flags & VMM_F_SANDBOX_AUDIT, err);
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
	ret = vm_confine(io->vm, VMM_SANDBOX_IO, &err);
	if (!ret) {
		ret = loop_run(io->loop);
		if (!ret)
			return NULL;
		error_sys(&err, ret, "io_uring: waiting for events");
	}
	vm_stop(io->vm, VMM_STOP_ERROR, ret, -1, err.msg);
	/* Nothing can be written any more, but the stop must be told all the same. */
	pthread_mutex_lock(&io->vm->lock);
	while (io->vm->nr_inside)
		pthread_cond_wait(&io->vm->changed, &io->vm->lock);
	pthread_mutex_unlock(&io->vm->lock);
	vm_drained(io->vm);
	return NULL;
}

static int start_io(struct vmm *vm, struct vmm_error *err)
{
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		struct io_thread *io = &vm->io[i];
		int ret;

		if (vm->cfg.flags & VMM_F_HOST_THREADS) {
			/* It may poll before it dispatches. */
			ret = loop_submit(io->loop);
			if (ret)
				return error_sys(err, ret, "I/O %u: io_uring", i);
			continue;
		}
		ret = thread_spawn(&io->thread, io_main, io);
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
		ret = thread_spawn(&vcpu->thread, vcpu_thread, vcpu);
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
	cpuwatch_destroy(vm->cpuwatch);
	vm->cpuwatch = NULL;
	vm->cpuwatch_asked = vm->cpuwatch_up = false;
	machine_destroy(vm);
	for (u32 i = 0; i < vm->cfg.io_threads; i++) {
		loop_destroy(vm->io[i].loop);
		vm->io[i] = (struct io_thread){ 0 };
	}
	placement_fini(&vm->placement);
	vm->stopping = false;
	atomic_store(&vm->halt, false);
}

/*
 * The process' affinity is a constraint like the others: together they must leave a
 * CPU.  A VM that has no others is not looked at any further.
 */
static int place(struct vmm *vm, struct vmm_error *err)
{
	struct cpumask cpus;
	int ret = cpumask_get_affinity(&cpus);

	if (ret)
		return error_sys(err, ret, "placement: the affinity of this process");
	pthread_mutex_lock(&vm->place_lock);
	ret = placement_set(&vm->placement, PLACE_PROCESS, PLACE_ALL, "", &cpus);
	if (ret)
		error_set(err, ret, "placement: no memory");
	if (!ret && vm->cfg.cpus)
		ret = placement_add_user(&vm->placement, vm->cfg.cpus, vm->cfg.vcpus, err);
	if (!ret)
		ret = machine_prepare(vm, err);
	for (u32 i = 0; i < vm->cfg.vcpus && !ret; i++)
		ret = placement_resolve(&vm->placement, i, &cpus, err);
	pthread_mutex_unlock(&vm->place_lock);
	return ret;
}

struct build {
	struct vmm		*vm;
	struct vmm_error	*err;
	int			ret;
};

static void *build_thread(void *arg)
{
	struct build *b = arg;
	struct vmm *vm = b->vm;
	struct cpumask cpus;

	pthread_mutex_lock(&vm->place_lock);
	b->ret = placement_resolve(&vm->placement, PLACE_ALL, &cpus, b->err);
	pthread_mutex_unlock(&vm->place_lock);
	if (b->ret)
		return NULL;
	b->ret = cpumask_set_affinity(&cpus);
	if (b->ret)
		error_sys(b->err, b->ret, "placement: going to the CPUs of the VM");
	else
		b->ret = machine_create(vm, b->err);
	return NULL;
}

/*
 * KVM makes what a vCPU has depend on the CPU that asks for it.  Where that matters,
 * a thread of our own asks, on CPUs that qualify: the caller's affinity is its own.
 */
static int build(struct vmm *vm, struct vmm_error *err)
{
	struct build b = { .vm = vm, .err = err };
	pthread_t thread;
	int ret;

	if (!placement_binds(&vm->placement, PLACE_ALL))
		return machine_create(vm, err);
	ret = thread_spawn(&thread, build_thread, &b);
	if (ret)
		return error_sys(err, ret, "placement: a thread to build the machine");
	pthread_join(thread, NULL);
	return b.ret;
}

/* What has been read, and what the devices have duplicates of. */
static void close_inputs(struct vmm *vm)
{
	fd_close(&vm->boot.kernel_fd);
	fd_close(&vm->boot.initrd_fd);
	fd_close(&vm->boot.dtb_fd);
	for (u32 i = 0; i < vm->nr_devices; i++)
		vm_device_close(&vm->devices[i]);
	vm_ports_close(vm);
	for (u32 i = 0; i < vm->nr_consoles; i++) {
		fd_close(&vm->consoles[i].in_fd);
		fd_close(&vm->consoles[i].out_fd);
	}
}

int vm_start(struct vmm *vm, struct vmm_error *err)
{
	const bool lent = vm->cfg.flags & VMM_F_HOST_THREADS;
	int ret = place(vm, err);

	for (u32 i = 0; !ret && i < vm->cfg.io_threads; i++) {
		vm->io[i].vm = vm;
		vm->io[i].index = i;
		vm->io[i].pause_msg = (struct loop_msg){ .fn = pause_or_resume, .arg = &vm->io[i] };
		ret = lent ? loop_create_lent(&vm->io[i].loop, err) :
			     loop_create(&vm->io[i].loop, err);
	}
	if (!ret && loop_is_soft(vm->io[0].loop))
		log_info(&vm->log, "I/O: files by %s, which is slower: io_uring is refused to this process",
			 lent ? "calls that wait" : "a thread");
	if (!ret)
		ret = build(vm, err);
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
	close_inputs(vm);
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
	/* Threads that the host lent end by themselves now; no one waits for STOPPED. */
	for (u32 i = 0; i < vm->cfg.io_threads; i++)
		loop_quit(vm->io[i].loop);
	while (vm->nr_inside || vm->nr_users)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
	undo(vm);
}
