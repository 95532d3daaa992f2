/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repin.c - put a vCPU's thread where it belongs, and back when it was moved away
 *
 * Others may move our threads: taskset, a cpuset, hotplug.  The ordinary answer to
 * a wrong-CPU exit is one sched_setaffinity() to the set that is known.  If that is
 * refused, or the next entry fails at once, the host is not what it was: its masks
 * are read again and the set is worked out anew.  If none of it is online, or a
 * cpuset forbids it all, the vCPU waits until something changes; and if KVM keeps
 * refusing a CPU that ought to be right, tries come ever more slowly, and end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/error.h"
#include "vmm/machine.h"
#include "vmm/repin.h"
#include "vmm/vm.h"

#define AT_ONCE_NS	2000000ull	/* two exits closer than this belong together */
#define PATIENCE	4		/* of them, before tries are spaced out */
#define BACKOFF_MAX	8		/* the longest pause is 2^8 ms */
#define TRIES_MAX	400		/* about a minute and a half of them */
#define CPUSET_LOOK_MS	1000		/* see cpuwatch.c for what goes unheard */
#define SETTLE_MS	200		/* from unused to offline */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

static void count(_Atomic u64 *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static void count_latency(struct vcpu *vcpu, u64 ns)
{
	u64 us = ns / 1000;
	unsigned int bucket = us ? 64 - (unsigned int)__builtin_clzll(us) : 0;

	if (bucket >= VMM_LATENCY_BUCKETS)
		bucket = VMM_LATENCY_BUCKETS - 1;
	count(&vcpu->repin_latency[bucket]);
}

/* Work out .cpus and .where. */
static int resolve(struct vcpu *vcpu, struct vmm_error *err)
{
	struct vmm *vm = vcpu->vm;
	char where[sizeof(vcpu->where)];
	int ret;

	pthread_mutex_lock(&vm->place_lock);
	ret = placement_resolve(&vm->placement, vcpu->id, &vcpu->cpus, err);
	placement_describe(&vm->placement, vcpu->id, where, sizeof(where));
	memcpy(vcpu->where, where, sizeof(where));
	pthread_mutex_unlock(&vm->place_lock);
	return ret;
}

/* The same after reading the host's masks anew; @online as vm_look() has it. */
static int resolve_again(struct vcpu *vcpu, struct cpumask *online, struct vmm_error *err)
{
	int ret = vm_look(vcpu, online, err);

	return ret ? ret : resolve(vcpu, err);
}

int repin_first(struct vcpu *vcpu, struct vmm_error *err)
{
	bool binds;
	int ret;

	pthread_mutex_lock(&vcpu->vm->place_lock);
	binds = placement_binds(&vcpu->vm->placement, vcpu->id);
	pthread_mutex_unlock(&vcpu->vm->place_lock);
	if (!binds)
		return 0;
	ret = resolve(vcpu, err);
	if (ret)
		return ret;
	ret = cpumask_set_affinity(&vcpu->cpus);
	return ret ? error_sys(err, ret, "vcpu%u: pinning its thread to CPUs %s", vcpu->id,
			       vcpu->where) : 0;
}

/* What the cpuset leaves us: a thread that asks for every CPU there can be gets those. */
static int read_cpuset(struct cpumask *cpus)
{
	memset(cpus, 0xff, sizeof(*cpus));
	cpumask_set_affinity(cpus);
	return cpumask_get_affinity(cpus);
}

static bool disjoint(const struct cpumask *a, const struct cpumask *b)
{
	struct cpumask both;

	cpumask_and(&both, a, b);
	return cpumask_empty(&both);
}

enum stall {
	STALL_OFFLINE,
	STALL_CPUSET,
	STALL_UNKNOWN,		/* nothing to be seen; a CPU on its way out is still online */
};

/* What keeps us from all of our CPUs, when those @online are? */
static enum stall explain_stall(struct vcpu *vcpu, const struct cpumask *online, char *buf,
				size_t size)
{
	struct cpumask cpuset;
	char list[64];

	snprintf(buf, size, "vcpu%u: stalled: no online CPU among %s", vcpu->id, vcpu->where);
	if (disjoint(online, &vcpu->cpus))
		return STALL_OFFLINE;
	if (read_cpuset(&cpuset) || !disjoint(&cpuset, &vcpu->cpus))
		return STALL_UNKNOWN;
	snprintf(buf, size,
		 "vcpu%u: stalled: the cpuset of this process allows CPUs %s, none among %s",
		 vcpu->id, cpumask_format(&cpuset, list, sizeof(list)), vcpu->where);
	return STALL_CPUSET;
}

/*
 * Is there really no CPU to go to?  The kernel also refuses when a cpuset changes at
 * the same moment; and a CPU that goes offline leaves the cpusets first.
 */
static bool is_stalled(struct vcpu *vcpu, char *buf, size_t size)
{
	struct cpumask online;

	/* Called away: there is no need to know. */
	if (vm_look(vcpu, &online, NULL) == -ECANCELED)
		return false;
	if (explain_stall(vcpu, &online, buf, size) == STALL_OFFLINE)
		return true;
	if (!cpumask_set_affinity(&vcpu->cpus))
		return false;
	vm_wait_ms(vcpu->vm, SETTLE_MS);
	if (!cpumask_set_affinity(&vcpu->cpus))
		return false;
	if (vm_look(vcpu, &online, NULL) == -ECANCELED)
		return false;
	explain_stall(vcpu, &online, buf, size);
	return true;
}

static void tell(struct vcpu *vcpu, int type, const char *msg)
{
	struct vmm_event ev = { .size = sizeof(ev), .type = type, .index = (int)vcpu->id };

	snprintf(ev.msg, sizeof(ev.msg), "%s", msg);
	vm_event(vcpu->vm, &ev);
	/* The host program has the event. */
	log_limited(&vcpu->vm->log, &vcpu->vm->repin_limit, VMM_LOG_DEBUG, "%s", msg);
}

/* Say what we wait for, when it begins and when it becomes something else. */
static void tell_stall(struct vcpu *vcpu, char *told, const char *msg)
{
	if (!strcmp(told, msg))
		return;
	strcpy(told, msg);
	tell(vcpu, VMM_EVENT_STALLED, msg);
}

/*
 * No CPU to go to.  Hear of changes first and look again then, or the change that
 * matters may come in between.  Not all that a cpuset does can be heard.
 */
static int stall(struct vcpu *vcpu, struct vmm_error *err)
{
	struct vmm *vm = vcpu->vm;
	char told[VMM_MSG_SIZE] = "";
	char msg[VMM_MSG_SIZE];
	struct cpumask online;
	enum stall why;
	u64 seen;
	int ret;

	if (!is_stalled(vcpu, msg, sizeof(msg)))
		return 0;
	if (vm->cfg.on_no_cpu == VMM_NO_CPU_STOP)
		return error_set(err, -ENODEV, "%s", msg);
	count(&vcpu->nr_stalls);
	atomic_store(&vcpu->stalled, 1);
	tell_stall(vcpu, told, msg);
	vm_watch_cpus(vm, &seen);
	for (;;) {
		ret = resolve_again(vcpu, &online, NULL);
		if (ret == -ECANCELED)
			goto out;
		if (!ret && !cpumask_set_affinity(&vcpu->cpus))
			break;
		why = explain_stall(vcpu, &online, msg, sizeof(msg));
		tell_stall(vcpu, told, msg);
		if (!vm_wait_cpus(vm, &seen, why == STALL_OFFLINE ? 0 : CPUSET_LOOK_MS))
			goto out;
	}
	snprintf(msg, sizeof(msg), "vcpu%u: goes on, on CPUs %s", vcpu->id, vcpu->where);
	tell(vcpu, VMM_EVENT_UNSTALLED, msg);
out:
	atomic_store(&vcpu->stalled, 0);
	return 0;
}

/* May the thread run where it should not?  Then someone has moved it. */
static bool moved_away(const struct vcpu *vcpu)
{
	struct cpumask right;
	struct cpumask now;

	if (cpumask_get_affinity(&now))
		return false;
	cpumask_and(&right, &now, &vcpu->cpus);
	return !cpumask_equal(&right, &now);
}

/*
 * Does KVM refuse what we took for right?  Not if it was moved again just now, as
 * often as that may be.
 */
static bool refused_again(const struct vcpu *vcpu, u64 now)
{
	if (cpumask_empty(&vcpu->cpus))
		return true;
	return vcpu->streak && now - vcpu->last_repin < AT_ONCE_NS && !moved_away(vcpu);
}

/* KVM refuses a CPU that should do: a host in motion, or one that we misread. */
static int insist(struct vcpu *vcpu, u32 cpu, struct vmm_error *err)
{
	unsigned int over = vcpu->streak - PATIENCE;

	if (over > TRIES_MAX)
		return error_set(err, -EIO,
				 "vcpu%u: KVM does not run it on CPU %u, although that is among %s",
				 vcpu->id, cpu, vcpu->where);
	vm_wait_ms(vcpu->vm, 1u << (over < BACKOFF_MAX ? over : BACKOFF_MAX));
	return 0;
}

int repin_wrong_cpu(struct vcpu *vcpu, u32 cpu, struct vmm_error *err)
{
	u64 start = now_ns();
	bool again = refused_again(vcpu, start);
	struct cpumask online;
	int ret;

	count(&vcpu->nr_wrong_cpu);
	log_limited(&vcpu->vm->log, &vcpu->vm->repin_limit, VMM_LOG_INFO,
		    "vcpu%u: was on CPU %u, goes back to %s", vcpu->id, cpu, vcpu->where);
	vcpu->streak = again ? vcpu->streak + 1 : 1;
	if (again) {
		ret = resolve_again(vcpu, &online, err);
		if (ret)
			return ret == -ECANCELED ? 0 : ret;
	}
	if (vcpu->streak > PATIENCE) {
		ret = insist(vcpu, cpu, err);
		if (ret)
			return ret;
	}
	ret = cpumask_empty(&vcpu->cpus) ? -EINVAL : cpumask_set_affinity(&vcpu->cpus);
	if (ret == -EINVAL) {
		ret = stall(vcpu, err);
		if (ret)
			return ret;
	} else if (ret) {
		return error_sys(err, ret, "vcpu%u: pinning its thread to CPUs %s", vcpu->id,
				 vcpu->where);
	}
	vcpu->last_repin = now_ns();
	count(&vcpu->nr_repins);
	count_latency(vcpu, vcpu->last_repin - start);
	return 0;
}
