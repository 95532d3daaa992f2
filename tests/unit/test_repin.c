/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_repin.c - a vCPU's thread is where it belongs, and comes back when moved
 *
 * The host has the CPUs that it has; that others are gone is told by a fake sysfs
 * and by a sched_setaffinity() that fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/faults.h"
#include "tests/unit/t.h"
#include "vmm/vm.h"

#define WRONG_CPU							\
	{ .kind = FAKE_FAIL_ENTRY, .data = KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED, .addr = 1 }

/* ---- A sysfs with CPUs alone --------------------------------------------------------- */

static void put(const char *root, const char *path, const char *text)
{
	char name[256];
	int fd;

	snprintf(name, sizeof(name), "%s/%s", root, path);
	for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(name, 0755);
		*p = '/';
	}
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int make_sysfs(void **state)
{
	char *root = strdup("/tmp/t-sysfs-XXXXXX");

	if (!root || !mkdtemp(root))
		return -1;
	put(root, "devices/system/cpu/online", "0-1\n");
	put(root, "devices/system/cpu/possible", "0-1\n");
	put(root, "devices/system/cpu/present", "0-1\n");
	put(root, "devices/system/cpu/cpu0/online", "1\n");
	put(root, "devices/system/cpu/cpu1/online", "1\n");
	*state = root;
	return 0;
}

static int remove_sysfs(void **state)
{
	char cmd[64];
	int ret;

	snprintf(cmd, sizeof(cmd), "rm -r %s", (char *)*state);
	ret = system(cmd);
	free(*state);
	return ret;
}

/* ---- VMs ------------------------------------------------------------------------------- */

/* The first CPU that this process may use. */
static unsigned int a_cpu(void)
{
	struct cpumask cpus;
	unsigned int cpu = 0;

	cpumask_get_affinity(&cpus);
	while (!cpumask_has(&cpus, cpu))
		cpu++;
	return cpu;
}

/* A VM that is pinned to a_cpu(). */
static struct vmm *t_pinned(struct fake_kvm *fake, const char *sysfs, enum vmm_no_cpu on_no_cpu)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	char cpus[16];

	snprintf(cpus, sizeof(cpus), "%u", a_cpu());
	cfg.cpus = cpus;
	cfg.sysfs = sysfs;
	cfg.on_no_cpu = on_no_cpu;
	return t_vm(fake, &cfg);
}

static struct vmm_vcpu_stats t_stats(struct vmm *vm)
{
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	return stats;
}

struct look {
	bool	wrong;
	int	err;		/* for sched_setaffinity(), from then on */
	size_t	times;		/* that it gets that; 0: for ever */
};

/* In KVM_RUN: is the thread where it belongs, and nowhere else? */
static int look(struct kvm_run *run, void *arg)
{
	struct look *l = arg;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	l->wrong |= CPU_COUNT(&set) != 1 || !CPU_ISSET(a_cpu(), &set);
	l->wrong |= sched_getcpu() != (int)a_cpu();
	run->exit_reason = KVM_EXIT_INTR;
	return 0;
}

/* Someone moves the thread, and KVM says that it is wrong there. */
static int moved(struct kvm_run *run, void *arg)
{
	const struct look *l = arg;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	if (l)
		faults_set_affinity_times(l->err, l->times ? l->times : SIZE_MAX);
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED;
	run->fail_entry.cpu = 1;
	return 0;
}

static void test_thread_is_pinned_before_the_first_entry(void **state)
{
	struct look seen = { 0 };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = look, .arg = &seen },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);

	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_false(seen.wrong);
	assert_int_equal(t_stats(vm).wrong_cpu, 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_thread_that_was_moved_comes_back(void **state)
{
	struct look seen = { 0 };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = moved },
		{ .kind = FAKE_CALL, .fn = look, .arg = &seen },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);
	struct vmm_vcpu_stats stats;
	u64 latencies = 0;

	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_false(seen.wrong);
	stats = t_stats(vm);
	assert_int_equal(stats.wrong_cpu, 1);
	assert_int_equal(stats.repins, 1);
	assert_int_equal(stats.stalls, 0);
	assert_int_equal(stats.stalled, 0);
	for (u32 i = 0; i < VMM_LATENCY_BUCKETS; i++)
		latencies += stats.repin_latency[i];
	assert_int_equal(latencies, 1);
	assert_non_null(strstr(stats.cpus, "user"));
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* Whoever moves it again and again slows nothing down, and does not end the VM. */
static void test_moves_in_a_row_are_all_undone(void **state)
{
	enum { MOVES = 500 };
	struct look seen = { 0 };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = moved, .times = MOVES },
		{ .kind = FAKE_CALL, .fn = look, .arg = &seen },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);

	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_false(seen.wrong);
	assert_int_equal(t_stats(vm).wrong_cpu, MOVES);
	assert_int_equal(t_stats(vm).repins, MOVES);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* KVM refuses a CPU that is right: it is asked ever more slowly, and can be stopped. */
static void test_refusals_without_a_reason_are_not_a_busy_loop(void **state)
{
	static const struct fake_step steps[] = { WRONG_CPU };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);
	u64 runs;

	fake_script(fake, 0, steps, 1, 0);
	t_start(vm);
	t_until(t_stats(vm).runs >= 10);
	runs = t_stats(vm).runs;
	t_sleep_ms(200);
	assert_in_range(t_stats(vm).runs, runs, runs + 10);
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_resume(vm), 0);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- No CPU left ------------------------------------------------------------------------ */

/* Up to the event that tells of it. */
static void t_stall(struct fake_kvm *fake, struct vmm *vm, const struct fake_step *steps, size_t nr)
{
	struct vmm_event ev;

	fake_script(fake, 0, steps, nr, 1);
	t_start(vm);
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_STALLED);
	assert_int_equal(ev.index, 0);
	assert_non_null(strstr(ev.msg, "vcpu0: stalled"));
	assert_int_equal(t_stats(vm).stalled, 1);
	assert_int_equal(t_stats(vm).stalls, 1);
}

static void test_vcpu_waits_until_a_cpu_returns(void **state)
{
	struct look gone = { .err = EINVAL };
	struct look seen = { 0 };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = moved, .arg = &gone },
		{ .kind = FAKE_CALL, .fn = look, .arg = &seen },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);
	struct vmm_event ev;

	t_stall(fake, vm, steps, ARRAY_SIZE(steps));
	/* A false alarm. */
	put(*state, "devices/system/cpu/cpu1/online", "0\n");
	t_sleep_ms(20);
	assert_int_equal(t_stats(vm).stalled, 1);
	faults_set_affinity(0);
	put(*state, "devices/system/cpu/cpu1/online", "1\n");
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_UNSTALLED);
	assert_int_equal(ev.index, 0);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_false(seen.wrong);
	assert_int_equal(t_stats(vm).stalled, 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/*
 * The kernel says EINVAL as well when a cpuset changes at the same moment: to the first
 * try, to the question what the cpuset is and to the second try, which another follows.
 */
static void test_refusal_that_passes_is_no_stall(void **state)
{
	struct look gone = { .err = EINVAL, .times = 3 };
	struct look seen = { 0 };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = moved, .arg = &gone },
		{ .kind = FAKE_CALL, .fn = look, .arg = &seen },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_STOP);

	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_false(seen.wrong);
	assert_int_equal(t_stats(vm).wrong_cpu, 1);
	assert_int_equal(t_stats(vm).stalls, 0);
	assert_int_equal(t_stats(vm).repins, 1);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_vcpu_that_waits_can_be_paused_and_stopped(void **state)
{
	struct look gone = { .err = EINVAL };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = moved, .arg = &gone, .times = UINT32_MAX },
	};
	struct t_process before;

	for (int i = 0; i < 3; i++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);

		t_stall(fake, vm, steps, 1);
		if (i == 1) {
			assert_int_equal(vmm_pause(vm), 0);
			assert_int_equal(vmm_resume(vm), 0);
		}
		if (i == 2)
			vmm_stop(vm);
		vmm_destroy(vm);
		faults_set_affinity(0);
		t_fake_done(fake);
		if (!i)
			t_process_save(&before);
	}
	t_process_check(&before);
}

static void test_host_may_prefer_to_stop(void **state)
{
	struct look gone = { .err = EINVAL };
	const struct fake_step steps[] = { { .kind = FAKE_CALL, .fn = moved, .arg = &gone } };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_STOP);
	struct vmm_event ev;

	fake_script(fake, 0, steps, 1, 1);
	t_start(vm);
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_STOPPED);
	assert_int_equal(ev.reason, VMM_STOP_ERROR);
	assert_int_equal(ev.error, -ENODEV);
	assert_non_null(strstr(ev.msg, "vcpu0"));
	vmm_destroy(vm);
	faults_set_affinity(0);
	t_fake_done(fake);
}

static void test_pinning_that_is_forbidden_is_told(void **state)
{
	struct look gone = { .err = EPERM };
	const struct fake_step steps[] = { { .kind = FAKE_CALL, .fn = moved, .arg = &gone } };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_pinned(fake, *state, VMM_NO_CPU_WAIT);
	struct vmm_event ev;

	fake_script(fake, 0, steps, 1, 1);
	t_start(vm);
	t_event(vm, &ev);
	assert_int_equal(ev.reason, VMM_STOP_ERROR);
	assert_int_equal(ev.error, -EPERM);
	assert_non_null(strstr(ev.msg, "pinning"));
	vmm_destroy(vm);
	faults_set_affinity(0);
	t_fake_done(fake);
}

int main(void)
{
#define WITH_SYSFS(test) cmocka_unit_test_setup_teardown(test, make_sysfs, remove_sysfs)
	static const struct CMUnitTest tests[] = {
		WITH_SYSFS(test_thread_is_pinned_before_the_first_entry),
		WITH_SYSFS(test_thread_that_was_moved_comes_back),
		WITH_SYSFS(test_moves_in_a_row_are_all_undone),
		WITH_SYSFS(test_refusals_without_a_reason_are_not_a_busy_loop),
		WITH_SYSFS(test_vcpu_waits_until_a_cpu_returns),
		WITH_SYSFS(test_refusal_that_passes_is_no_stall),
		WITH_SYSFS(test_vcpu_that_waits_can_be_paused_and_stopped),
		WITH_SYSFS(test_host_may_prefer_to_stop),
		WITH_SYSFS(test_pinning_that_is_forbidden_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
