/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hostinfo.c - arm64/hostinfo.c: fake kernels, and trees in place of sysfs
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arm64/hostinfo.h"
#include "tests/unit/fake_spe.h"
#include "tests/unit/faults.h"
#include "tests/unit/sysfs.h"
#include "tests/unit/t.h"

#define CPU	"devices/system/cpu"
#define SOURCES	"bus/event_source/devices"

/* ---- Trees ---------------------------------------------------------------------- */

static void t_source(const char *root, const char *name, const char *type, const char *file,
		     const char *cpus)
{
	char path[256];

	snprintf(path, sizeof(path), SOURCES "/%s/type", name);
	t_put(root, path, type);
	snprintf(path, sizeof(path), SOURCES "/%s/%s", name, file);
	t_put(root, path, cpus);
}

/* Four CPUs present of 64 possible, the last one offline; two kinds of cores. */
static char *t_mixed(void)
{
	char *root = t_root();

	t_put(root, CPU "/online", "0-2\n");
	t_put(root, CPU "/present", "0-3\n");
	t_put(root, CPU "/possible", "0-63\n");
	t_put(root, CPU "/cpu0/regs/identification/midr_el1", "0x00000000410fd050\n");
	t_put(root, CPU "/cpu1/regs/identification/midr_el1", "0x00000000410fd050\n");
	t_put(root, CPU "/cpu2/regs/identification/midr_el1", "0x00000000410fd0b0\n");
	t_source(root, "armv8_little", "8\n", "cpus", "0-1\n");
	t_source(root, "armv8_big", "9\n", "cpus", "2\n");
	return root;
}

/* Every CPU that this process has is one of arm_spe_0's. */
static char *t_profiling(void)
{
	char *root = t_root();
	struct cpumask cpus;
	char list[4096];

	assert_int_equal(cpumask_get_affinity(&cpus), 0);
	cpumask_format(&cpus, list, sizeof(list));
	t_put(root, CPU "/online", list);
	t_source(root, "arm_spe_0", "8\n", "cpumask", list);
	t_put(root, SOURCES "/arm_spe_0/caps/min_interval", "1024\n");
	t_put(root, SOURCES "/arm_spe_0/caps/count_size", "12\n");
	return root;
}

/* ---- Looking ---------------------------------------------------------------------- */

static struct vmm_host *t_look(const struct kvm_ops *ops, void *ctx, const char *root)
{
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct vmm_error err = { "" };
	struct vmm_host *host;

	cfg.sysfs = root;
	if (hostinfo_open(&host, &cfg, ops, ctx, &err))
		fail_msg("%s", err.msg);
	return host;
}

static struct vmm_host_info t_info(const struct vmm_host *host)
{
	struct vmm_host_info info = VMM_HOST_INFO_INIT;

	assert_int_equal(vmm_host_info(host, &info), 0);
	return info;
}

static struct vmm_host_verdict t_verdict(const struct vmm_host *host)
{
	struct vmm_host_verdict verdict = VMM_HOST_VERDICT_INIT;

	assert_int_equal(vmm_host_verdict(host, &verdict), 0);
	return verdict;
}

static void t_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' does not say '%s'", text, part);
}

/* ---- KVM -------------------------------------------------------------------------- */

static void test_server_has_all(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	char *root = t_mixed();
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, root);
	struct vmm_host_info info = t_info(host);

	(void)state;
	assert_int_equal(info.kvm_error, 0);
	assert_string_equal(info.kvm_why, "");
	assert_int_equal(info.kvm_version, 12);
	assert_int_equal(info.max_vcpus, 64);
	assert_int_equal(info.ipa_bits, 48);
	assert_int_equal(info.irqchips, 1u << VMM_IRQCHIP_GICV2 | 1u << VMM_IRQCHIP_GICV3 |
					1u << VMM_IRQCHIP_GICV3_ITS);
	assert_int_equal(info.features, VMM_HOST_PMU | VMM_HOST_SVE | VMM_HOST_PAUTH |
					VMM_HOST_MTE | VMM_HOST_PVTIME | VMM_HOST_NESTED |
					VMM_HOST_E2H0 | VMM_HOST_COUNTER_OFFSET);
	assert_true(*info.kernel && *info.machine);
	assert_true(info.nofile > 0 && info.nofile <= info.nofile_max);
	/* With T_NO_IO_URING it is another: check-threads.sh. */
	assert_int_equal(info.io_uring, !getenv("T_NO_IO_URING"));
	/* Nothing of KVM stays open while the host is. */
	assert_int_equal(fake_nr_open(fake), 0);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_board_has_little(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_board);
	char *root = t_mixed();
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, root);
	struct vmm_host_info info = t_info(host);

	(void)state;
	assert_int_equal(info.kvm_error, 0);
	assert_int_equal(info.ipa_bits, 40);
	assert_int_equal(info.max_vcpus, 8);
	assert_int_equal(info.irqchips, 1u << VMM_IRQCHIP_GICV2);
	assert_int_equal(info.features, 0);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_guest_memfd_counts_if_it_can_be_mapped(void **state)
{
	static const struct {
		int	flags;
		u64	features;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, VMM_HOST_GUEST_MEMFD } };
	char *root = t_mixed();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fake_cap caps[] = {
			{ KVM_CAP_GUEST_MEMFD_FLAGS, cases[i].flags }, { 0 },
		};
		struct fake_profile profile = fake_board;
		struct fake_kvm *fake;
		struct vmm_host *host;

		profile.caps = caps;
		fake = fake_create(&profile);
		host = t_look(&fake_kvm_ops, fake, root);
		assert_int_equal(t_info(host).features, cases[i].features);
		vmm_host_close(host);
		t_fake_done(fake);
	}
	t_remove(root);
}

static int open_enoent(void *ctx)
{
	(void)ctx;
	return -ENOENT;
}

static int open_eacces(void *ctx)
{
	(void)ctx;
	return -EACCES;
}

/* A host is looked at all the same. */
static void t_without_kvm(int (*fn)(void *ctx), int error, const char *text)
{
	struct kvm_ops ops = fake_kvm_ops;
	char *root = t_mixed();
	struct vmm_host *host;
	struct vmm_host_info info;

	ops.open = fn;
	host = t_look(&ops, NULL, root);
	info = t_info(host);
	assert_int_equal(info.kvm_error, error);
	t_says(info.kvm_why, text);
	assert_int_equal(info.kvm_version, 0);
	assert_int_equal(info.nr_cpus, 4);
	assert_true(t_verdict(host).error < 0);
	vmm_host_close(host);
	t_remove(root);
}

static void test_no_kvm_is_a_result(void **state)
{
	(void)state;
	t_without_kvm(open_enoent, -ENODEV, "there is no /dev/kvm");
}

static void test_no_permission_is_a_result(void **state)
{
	(void)state;
	t_without_kvm(open_eacces, -EACCES, "no permission");
}

static void t_unusable(const struct fake_profile *profile, int error, const char *text)
{
	struct fake_kvm *fake = fake_create(profile);
	char *root = t_mixed();
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, root);
	struct vmm_host_info info = t_info(host);

	assert_int_equal(info.kvm_error, error);
	t_says(info.kvm_why, text);
	assert_int_equal(info.ipa_bits, 0);
	assert_int_equal(info.max_vcpus, 0);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_kvm_of_another_kind_is_told(void **state)
{
	struct fake_profile old = fake_server;
	struct fake_profile x86 = fake_board;

	(void)state;
	old.api_version = 11;
	x86.gicv2 = false;
	t_unusable(&old, -ENOTSUP, "not version 12");
	t_unusable(&x86, -ENOTSUP, "not for arm64 guests");
}

/* Whatever fails is told, and nothing stays open. */
static void test_each_failing_call_is_told(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	char *root = t_mixed();
	struct t_process before;
	size_t nr_calls;

	(void)state;
	vmm_host_close(t_look(&fake_kvm_ops, fake, root));
	nr_calls = fake_nr_calls(fake);
	assert_true(nr_calls > 15);
	t_process_save(&before);
	for (size_t n = 1; n <= nr_calls; n++) {
		struct vmm_host *host;
		struct vmm_host_info info;
		struct fake_call call;

		fake_reset(fake);
		fake_fail(fake, n, EDOM);
		host = t_look(&fake_kvm_ops, fake, root);
		info = t_info(host);
		assert_true(fake_failed(fake, &call));
		assert_int_equal(info.kvm_error, -EDOM);
		assert_true(strlen(info.kvm_why) > 10);
		assert_int_equal(info.features, 0);
		assert_int_equal(fake_nr_open(fake), 0);
		vmm_host_close(host);
	}
	t_process_check(&before);
	t_fake_done(fake);
	t_remove(root);
}

static void test_kvm_descriptor_is_borrowed(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct kvm_ops ops = fake_kvm_ops;
	char *root = t_mixed();
	struct vmm_host *host;
	int fd = fake_open_dev(fake);

	(void)state;
	ops.open = open_enoent;
	cfg.flags = VMM_HOST_F_KVM_FD;
	cfg.kvm_fd = fd;
	cfg.sysfs = root;
	assert_int_equal(hostinfo_open(&host, &cfg, &ops, fake, NULL), 0);
	assert_int_equal(t_info(host).kvm_error, 0);
	vmm_host_close(host);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fake_kvm_ops.close(fake, fd);
	cfg.kvm_fd = 1000000;
	assert_int_equal(hostinfo_open(&host, &cfg, &ops, fake, NULL), -EBADF);
	t_fake_done(fake);
	t_remove(root);
}

/* ---- CPUs -------------------------------------------------------------------------- */

static void t_cpu(const struct vmm_host *host, u32 index, struct vmm_host_cpu *cpu)
{
	*cpu = (struct vmm_host_cpu)VMM_HOST_CPU_INIT;
	assert_int_equal(vmm_host_cpu(host, index, cpu), 0);
}

static void test_each_present_cpu_has_a_row(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_board);
	char *root = t_mixed();
	struct vmm_host *host;
	struct vmm_host_cpu cpu;
	struct cpumask mine;

	(void)state;
	t_source(root, "arm_spe_0", "10\n", "cpumask", "2\n");
	host = t_look(&fake_kvm_ops, fake, root);
	assert_int_equal(cpumask_get_affinity(&mine), 0);
	assert_int_equal(t_info(host).nr_cpus, 4);
	t_cpu(host, 0, &cpu);
	assert_int_equal(cpu.number, 0);
	assert_int_equal(cpu.online, 1);
	assert_int_equal(cpu.allowed, cpumask_has(&mine, 0));
	assert_int_equal(cpu.midr, 0x410fd050);
	assert_string_equal(cpu.name, "Cortex-A55");
	assert_string_equal(cpu.pmu, "armv8_little");
	assert_string_equal(cpu.spe, "");
	t_cpu(host, 2, &cpu);
	assert_string_equal(cpu.name, "Cortex-A76");
	assert_string_equal(cpu.pmu, "armv8_big");
	assert_string_equal(cpu.spe, "arm_spe_0");
	t_cpu(host, 3, &cpu);
	assert_int_equal(cpu.number, 3);
	assert_int_equal(cpu.online, 0);
	assert_int_equal(cpu.midr, 0);
	assert_string_equal(cpu.name, "");
	assert_string_equal(cpu.pmu, "");
	assert_int_equal(vmm_host_cpu(host, 4, &cpu), -ENOENT);
	assert_int_equal(vmm_host_cpu(host, UINT32_MAX, &cpu), -ENOENT);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_cpu_outside_of_the_affinity_is_not_allowed(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_board);
	struct cpumask before;
	struct cpumask one;
	unsigned int first = 0;
	char *root = t_mixed();
	struct vmm_host *host;
	struct vmm_host_cpu cpu;

	(void)state;
	assert_int_equal(cpumask_get_affinity(&before), 0);
	while (!cpumask_has(&before, first))
		first++;
	cpumask_clear(&one);
	cpumask_set(&one, first);
	assert_int_equal(cpumask_set_affinity(&one), 0);
	host = t_look(&fake_kvm_ops, fake, root);
	assert_int_equal(cpumask_set_affinity(&before), 0);
	for (u32 i = 0; i < 4; i++) {
		t_cpu(host, i, &cpu);
		assert_int_equal(cpu.allowed, i == first);
	}
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_host_without_any_file_has_the_cpus_of_the_process(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_board);
	char *root = t_root();
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, root);
	struct cpumask mine;

	(void)state;
	assert_int_equal(cpumask_get_affinity(&mine), 0);
	assert_int_equal(t_info(host).nr_cpus, cpumask_count(&mine));
	assert_int_equal(t_info(host).nr_spes, 0);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

/* ---- SPE -------------------------------------------------------------------------- */

static void test_instances_tell_what_they_can(void **state)
{
	struct vmm_host_spe spe = VMM_HOST_SPE_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	char *root = t_mixed();
	struct vmm_host *host;

	(void)state;
	t_source(root, "arm_spe_0", "10\n", "cpumask", "0-1\n");
	t_put(root, SOURCES "/arm_spe_0/caps/min_interval", "256\n");
	t_put(root, SOURCES "/arm_spe_0/caps/arch_inst", "1\n");
	t_source(root, "arm_spe_1", "11\n", "cpumask", "nonsense\n");
	host = t_look(&fake_kvm_ops, fake, root);
	assert_int_equal(t_info(host).nr_spes, 2);
	assert_int_equal(vmm_host_spe(host, 0, &spe), 0);
	assert_string_equal(spe.name, "arm_spe_0");
	assert_string_equal(spe.cpus, "0-1");
	assert_string_equal(spe.reason, "");
	assert_int_equal(spe.type, 10);
	assert_int_equal(spe.known, VMM_HOST_SPE_MIN_INTERVAL | VMM_HOST_SPE_ARCH_INST);
	assert_int_equal(spe.min_interval, 256);
	assert_int_equal(spe.arch_inst, 1);
	assert_int_equal(vmm_host_spe(host, 1, &spe), 0);
	assert_string_equal(spe.cpus, "none");
	t_says(spe.reason, "nonsense");
	assert_int_equal(vmm_host_spe(host, 2, &spe), -ENOENT);
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_verdict_names_missing_hardware(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	char *root = t_mixed();
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, root);
	struct vmm_host_verdict v = t_verdict(host);

	(void)state;
	assert_int_equal(v.error, -ENOTSUP);
	t_says(v.why, "have no SPE");
	assert_string_equal(v.instance, "");
	assert_string_equal(v.cpus, "");
	assert_string_equal(v.abi, "");
	vmm_host_close(host);
	t_fake_done(fake);
	t_remove(root);
}

static void test_verdict_names_missing_kvm(void **state)
{
	struct kvm_ops ops = fake_kvm_ops;
	char *root = t_profiling();
	struct vmm_host *host;
	struct vmm_host_verdict v;

	(void)state;
	ops.open = open_eacces;
	host = t_look(&ops, NULL, root);
	v = t_verdict(host);
	assert_int_equal(v.error, -EACCES);
	t_says(v.why, "no permission");
	assert_string_equal(v.instance, "arm_spe_0");
	vmm_host_close(host);
	t_remove(root);
}

/* Each kernel's own answer, and nothing of the caller's is changed. */
static void test_verdict_knows_each_kernel(void **state)
{
	char *root = t_profiling();

	(void)state;
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];
		struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
		struct vmm_spe_config spe = VMM_SPE_CONFIG_INIT;
		struct fake_spe *fake = fake_spe_create(k);
		struct vmm_host_verdict v;
		struct cpumask before;
		struct cpumask after;
		struct vmm_host *host;

		assert_int_equal(cpumask_get_affinity(&before), 0);
		cfg.sysfs = root;
		spe.abi_text = k->text;
		cfg.spe = &spe;
		assert_int_equal(hostinfo_open(&host, &cfg, &fake_spe_ops, fake, NULL), 0);
		assert_int_equal(cpumask_get_affinity(&after), 0);
		assert_true(cpumask_equal(&before, &after));
		v = t_verdict(host);
		if (!k->row && !k->text) {
			assert_int_equal(v.error, -ENOTSUP);
			assert_true(strlen(v.why) > 20);
			assert_string_equal(v.abi, "");
		} else {
			if (v.error)
				fail_msg("%s: %s", k->name, v.why);
			if (k->row)
				assert_string_equal(v.abi, k->row);
			assert_string_equal(v.instance, "arm_spe_0");
			assert_true(*v.cpus);
		}
		vmm_host_close(host);
		assert_null(fake_spe_wrong(fake));
		assert_int_equal(fake_nr_open(fake_spe_base(fake)), 0);
		fake_spe_destroy(fake);
	}
	t_remove(root);
}

static void test_verdict_is_no_if_the_instance_is_not_there(void **state)
{
	struct fake_spe *fake = fake_spe_create(fake_spe_kernel("elisei-v5"));
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct vmm_spe_config spe = VMM_SPE_CONFIG_INIT;
	char *root = t_profiling();
	struct vmm_host_verdict v;
	struct vmm_host *host;

	(void)state;
	cfg.sysfs = root;
	spe.instance = "arm_spe_7";
	cfg.spe = &spe;
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_spe_ops, fake, NULL), 0);
	v = t_verdict(host);
	assert_int_equal(v.error, -ENOTSUP);
	t_says(v.why, "arm_spe_7");
	vmm_host_close(host);
	fake_spe_destroy(fake);
	t_remove(root);
}

static void test_each_failing_call_leaves_nothing(void **state)
{
	char *root = t_profiling();
	struct t_process before;
	size_t n = 0;
	bool failed;

	(void)state;
	do {
		struct fake_spe *fake = fake_spe_create(fake_spe_kernel("elisei-v5"));
		struct vmm_host_verdict v;
		struct vmm_host *host;
		struct fake_call call;

		t_process_save(&before);
		fake_spe_fail(fake, ++n, EDOM);
		host = t_look(&fake_spe_ops, fake, root);
		failed = fake_spe_failed(fake, &call);
		v = t_verdict(host);
		if (failed != !!v.error)
			fail_msg("%zu: %d, %s", n, v.error, v.why);
		vmm_host_close(host);
		t_process_check(&before);
		assert_int_equal(fake_nr_open(fake_spe_base(fake)), 0);
		fake_spe_destroy(fake);
	} while (failed);
	assert_true(n > 30);
	t_remove(root);
}

/* Of libc's calls: out of memory fails it, and nothing is left behind. */
static void test_each_failing_call_of_libc_leaves_nothing(void **state)
{
	char *root = t_profiling();
	struct t_process before;
	size_t n = 0;
	bool failed;

	(void)state;
	do {
		struct fake_spe *fake = fake_spe_create(fake_spe_kernel("elisei-v5"));
		struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
		struct vmm_error err = { "" };
		struct vmm_host *host = NULL;
		int ret;

		cfg.sysfs = root;
		t_process_save(&before);
		faults_arm(++n, EDOM);
		ret = hostinfo_open(&host, &cfg, &fake_spe_ops, fake, &err);
		failed = faults_failed();
		faults_disarm();
		if (ret) {
			assert_true(failed);
			assert_int_equal(ret, -faults_errno());
			assert_true(strlen(err.msg) > 5);
		} else if (failed) {
			/* A thread that cannot be made is the verdict's affair; a ring is none. */
			assert_true(t_verdict(host).error < 0 || !t_verdict(host).why[0] ||
				    !t_info(host).io_uring);
		} else {
			assert_int_equal(t_verdict(host).error, 0);
		}
		vmm_host_close(host);
		t_process_check(&before);
		assert_int_equal(fake_nr_open(fake_spe_base(fake)), 0);
		fake_spe_destroy(fake);
	} while (failed);
	assert_true(n > 5);
	t_remove(root);
}

/* ---- The structs ------------------------------------------------------------------ */

static void test_configuration_is_checked(void **state)
{
	struct {
		struct vmm_host_config	cfg;
		char			more[8];
	} newer = { .cfg.size = sizeof(newer) };
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct vmm_spe_config spe = VMM_SPE_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_board);
	struct vmm_host *host;
	struct vmm_error err;

	(void)state;
	assert_int_equal(hostinfo_open(&host, NULL, &fake_kvm_ops, fake, &err), -EINVAL);
	cfg.flags = 2;
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -E2BIG);
	cfg.flags = 0;
	cfg.reserved = 1;
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -E2BIG);
	cfg.reserved = 0;
	cfg.spe = &spe;
	spe.abi = spe.abi_text = "x";
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -EINVAL);
	spe.abi = spe.abi_text = NULL;
	spe.flags = 2;
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -E2BIG);
	cfg.spe = NULL;
	cfg.sysfs = "/nonexistent";
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -ENOENT);
	t_says(err.msg, "/nonexistent");
	cfg.size = 0;
	assert_int_equal(hostinfo_open(&host, &cfg, &fake_kvm_ops, fake, &err), -EINVAL);
	assert_int_equal(hostinfo_open(&host, &newer.cfg, &fake_kvm_ops, fake, &err), 0);
	vmm_host_close(host);
	newer.more[0] = 1;
	assert_int_equal(hostinfo_open(&host, &newer.cfg, &fake_kvm_ops, fake, &err), -E2BIG);
	vmm_host_close(NULL);
	t_fake_done(fake);
}

static void test_older_and_newer_callers_are_served(void **state)
{
	struct {
		struct vmm_host_info	info;
		char			more[8];
	} newer;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_host *host = t_look(&fake_kvm_ops, fake, NULL);
	struct vmm_host_info old;

	(void)state;
	memset(&old, 0x55, sizeof(old));
	old.size = offsetof(struct vmm_host_info, kvm_why);
	assert_int_equal(vmm_host_info(host, &old), 0);
	assert_int_equal(old.kvm_version, 12);
	assert_int_equal(old.size, offsetof(struct vmm_host_info, kvm_why));
	assert_int_equal(old.kvm_why[0], 0x55);
	memset(&newer, 0x55, sizeof(newer));
	newer.info.size = sizeof(newer);
	assert_int_equal(vmm_host_info(host, &newer.info), 0);
	assert_int_equal(newer.info.max_vcpus, 64);
	assert_int_equal(newer.more[0], 0);
	old.size = 0;
	assert_int_equal(vmm_host_info(host, &old), -EINVAL);
	vmm_host_close(host);
	t_fake_done(fake);
}

/* The real thing, whatever it is here, with errno left alone. */
static void test_this_host_can_be_looked_at(void **state)
{
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct vmm_error err = { "" };
	struct vmm_host *host;

	(void)state;
	errno = EDOM;
	if (vmm_host_open(&host, &cfg, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(errno, EDOM);
	assert_true(t_info(host).nr_cpus > 0);
	assert_true(!t_verdict(host).error || *t_verdict(host).why);
	vmm_host_close(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_has_all),
		cmocka_unit_test(test_board_has_little),
		cmocka_unit_test(test_guest_memfd_counts_if_it_can_be_mapped),
		cmocka_unit_test(test_no_kvm_is_a_result),
		cmocka_unit_test(test_no_permission_is_a_result),
		cmocka_unit_test(test_kvm_of_another_kind_is_told),
		cmocka_unit_test(test_each_failing_call_is_told),
		cmocka_unit_test(test_kvm_descriptor_is_borrowed),
		cmocka_unit_test(test_each_present_cpu_has_a_row),
		cmocka_unit_test(test_cpu_outside_of_the_affinity_is_not_allowed),
		cmocka_unit_test(test_host_without_any_file_has_the_cpus_of_the_process),
		cmocka_unit_test(test_instances_tell_what_they_can),
		cmocka_unit_test(test_verdict_names_missing_hardware),
		cmocka_unit_test(test_verdict_names_missing_kvm),
		cmocka_unit_test(test_verdict_knows_each_kernel),
		cmocka_unit_test(test_verdict_is_no_if_the_instance_is_not_there),
		cmocka_unit_test(test_each_failing_call_leaves_nothing),
		cmocka_unit_test(test_each_failing_call_of_libc_leaves_nothing),
		cmocka_unit_test(test_configuration_is_checked),
		cmocka_unit_test(test_older_and_newer_callers_are_served),
		cmocka_unit_test(test_this_host_can_be_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
