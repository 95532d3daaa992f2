/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_profiling.c - whole VMs with SPE, on every kernel that has or lacks it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fake_spe.h"
#include "tests/unit/sysfs.h"
#include "tests/unit/t.h"
#include "vmm/vm.h"

/* ---- The host: every CPU that this process has is one of arm_spe_0's ------------- */

static int make_host(void **state)
{
	char *root = t_root();
	struct cpumask cpus;
	char list[4096];

	assert_int_equal(cpumask_get_affinity(&cpus), 0);
	cpumask_format(&cpus, list, sizeof(list));
	t_put(root, "devices/system/cpu/online", list);
	t_put(root, "devices/system/cpu/possible", list);
	t_put(root, "bus/event_source/devices/arm_spe_0/type", "8\n");
	t_put(root, "bus/event_source/devices/arm_spe_0/cpumask", list);
	*state = root;
	return 0;
}

static int remove_host(void **state)
{
	t_remove(*state);
	return 0;
}

/* ---- VMs --------------------------------------------------------------------------- */

static struct vmm *t_spe_vm(struct fake_spe *fake, const char *sysfs, const char *abi_text,
			    u64 flags, struct t_log *log)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_spe_config spe = VMM_SPE_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm *vm;

	cfg.ram_size = T_RAM;
	cfg.vcpus = 2;
	cfg.sysfs = sysfs;
	cfg.log = log ? t_log : NULL;
	cfg.opaque = log;
	cfg.log_level = VMM_LOG_DEBUG;
	assert_int_equal(vm_create(&vm, &cfg, &fake_spe_ops, fake, NULL), 0);
	spe.flags = flags;
	spe.abi_text = abi_text;
	assert_int_equal(vmm_set_spe(vm, &spe, NULL), 0);
	boot.kernel_fd = t_kernel();
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	close(boot.kernel_fd);
	return vm;
}

static void t_spe_done(struct fake_spe *fake)
{
	if (fake_spe_wrong(fake))
		fail_msg("%s", fake_spe_wrong(fake));
	assert_int_equal(fake_nr_open(fake_spe_base(fake)), 0);
	fake_spe_destroy(fake);
}

static const struct fake_step off[] = { T_OFF };

static void test_every_kernel_gives_what_it_has_or_says_that_it_has_nothing(void **state)
{
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];
		struct fake_spe *fake = fake_spe_create(k);
		struct vmm *vm = t_spe_vm(fake, *state, k->text, 0, NULL);
		struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
		struct vmm_error err = { "" };
		int ret;

		fake_script(fake_spe_base(fake), 0, off, ARRAY_SIZE(off), 1);
		ret = vmm_start(vm, &err);
		if (!k->row && !k->text) {
			assert_int_equal(ret, -ENOTSUP);
			assert_true(strlen(err.msg) > 20);
		} else {
			if (ret)
				fail_msg("%s: %d, %s", k->name, ret, err.msg);
			t_stopped(vm, VMM_STOP_GUEST_OFF);
			assert_int_equal(vmm_stats(vm, 0, &stats), 0);
			assert_non_null(strstr(stats.cpus, "SPE arm_spe_0"));
			assert_int_equal(stats.wrong_cpu, 0);
		}
		vmm_destroy(vm);
		t_spe_done(fake);
	}
}

static void test_optional_starts_without_and_says_so_once(void **state)
{
	struct fake_spe *fake = fake_spe_create(fake_spe_kernel("linux-6.12"));
	struct t_log log = T_LOG_INIT;
	struct vmm *vm = t_spe_vm(fake, *state, NULL, VMM_SPE_F_OPTIONAL, &log);

	fake_script(fake_spe_base(fake), 0, off, ARRAY_SIZE(off), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_true(t_logged(&log, "the guest gets no SPE"));
	assert_int_equal(log.nr[VMM_LOG_WARN], 1);
	vmm_destroy(vm);
	t_spe_done(fake);
}

/* Each call of the seam fails in turn: that errno comes out, and nothing stays. */
static void test_each_call_fails(void **state)
{
	static const char *const names[] = { "elisei-v5", "elisei-v3" };

	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		size_t n = 0;
		bool failed = true;

		while (failed) {
			struct fake_spe *fake = fake_spe_create(fake_spe_kernel(names[k]));
			struct vmm *vm = t_spe_vm(fake, *state, NULL, 0, NULL);
			struct vmm_error err = { "" };
			struct t_process before;
			struct fake_call call;
			int ret;

			fake_script(fake_spe_base(fake), 0, off, ARRAY_SIZE(off), 1);
			t_process_save(&before);
			fake_spe_fail(fake, ++n, EDOM);
			ret = vmm_start(vm, &err);
			failed = fake_spe_failed(fake, &call);
			if (ret) {
				assert_true(*err.msg);
				t_process_check(&before);
				/* The VM is as new. */
				fake_script(fake_spe_base(fake), 0, off, ARRAY_SIZE(off), 1);
				t_start(vm);
			}
			vmm_destroy(vm);
			assert_int_equal(fake_nr_open(fake_spe_base(fake)), 0);
			fake_spe_destroy(fake);
		}
		assert_true(n > 30);
	}
}

/* The vCPU waits until the host has raised the limit, and then goes on. */
static void test_limit_is_an_event_and_the_guest_waits(void **state)
{
	const struct fake_spe_kernel *k = fake_spe_kernel("elisei-v6");
	const struct fake_step steps[] = {
		{ .kind = FAKE_EXIT, .data = k->exit_rlimit },
		{ .kind = FAKE_EXIT, .data = k->exit_rlimit },
		T_OFF,
	};
	struct fake_spe *fake = fake_spe_create(k);
	struct vmm *vm = t_spe_vm(fake, *state, k->text, 0, NULL);
	struct vmm_limit limit = VMM_LIMIT_INIT;
	struct vmm_event ev = VMM_EVENT_INIT;

	fake_script(fake_spe_base(fake), 0, steps, ARRAY_SIZE(steps), 1);
	assert_int_equal(vmm_limit(vm, &limit), 0);
	t_start(vm);
	for (int i = 0; i < 2; i++) {
		t_event(vm, &ev);
		assert_int_equal(ev.type, VMM_EVENT_LIMIT);
		assert_int_equal(ev.index, 0);
		assert_non_null(strstr(ev.msg, "RLIMIT_MEMLOCK"));
		assert_int_equal(vmm_limit(vm, &limit), 1);
		assert_int_equal(limit.resource, RLIMIT_MEMLOCK);
		assert_int_equal(vmm_retry(vm), 0);
	}
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_spe_done(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kernel_gives_what_it_has_or_says_that_it_has_nothing),
		cmocka_unit_test(test_optional_starts_without_and_says_so_once),
		cmocka_unit_test(test_limit_is_an_event_and_the_guest_waits),
		cmocka_unit_test(test_each_call_fails),
	};

	return cmocka_run_group_tests(tests, make_host, remove_host);
}
