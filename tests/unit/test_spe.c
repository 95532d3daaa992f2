/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spe.c - spe/spe.c, on each kernel that gives SPE to guests
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libfdt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdt/tree.h"
#include "spe/abi.h"
#include "spe/spe.h"
#include "spe/topology.h"
#include "tests/unit/fake_spe.h"
#include "tests/unit/t.h"
#include "vmm/cpumask.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"
#include "vmm/kvm.h"

#define T_TYPE		8
#define T_VCPUS		3
#define T_SIZE		MIB(4)
#define T_BASE		MIB(2048)
#define T_SLOT		0
#define T_BUFFER	KIB(64)

static struct cpumask t_list(const char *text)
{
	struct cpumask mask;

	assert_int_equal(cpumask_parse(&mask, text, strlen(text)), 0);
	return mask;
}

/* ---- Choosing ------------------------------------------------------------------ */

static struct spu t_spu(u32 nr, const char *cpus)
{
	struct spu spu = { .nr = nr, .dev = { .usable = true, .type = T_TYPE + (int)nr } };

	snprintf(spu.dev.name, sizeof(spu.dev.name), "arm_spe_%u", nr);
	spu.dev.cpus = t_list(cpus);
	return spu;
}

static char t_root[] = "/nonexistent";

static struct topology t_topology(struct spu *spus, size_t nr)
{
	return (struct topology){ .root = t_root, .spus = spus, .nr_spus = nr };
}

static void test_instance_with_most_cpus_is_chosen(void **state)
{
	static const struct {
		const char *others;
		const char *want;
	} cases[] = {
		{ "0-15", "arm_spe_1" },	/* the most */
		{ "0-5", "arm_spe_0" },		/* of what is left */
		{ "0-3", "arm_spe_0" },
		{ "4", "arm_spe_1" },
		{ "0-1,4-5", "arm_spe_0" },	/* a tie: the lowest */
		{ "4-5,10-11", "arm_spe_1" },
		{ "10-11", "arm_spe_2" },
	};
	struct spu spus[3];
	struct topology topo;

	(void)state;
	spus[0] = t_spu(0, "0-3");
	spus[1] = t_spu(1, "4-9");
	spus[2] = t_spu(2, "10-11");
	topo = t_topology(spus, 3);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cpumask others = t_list(cases[i].others);
		const struct spe_config cfg = { 0 };
		struct spe *spe;

		assert_int_equal(spe_create(&spe, &cfg, &topo, &others, NULL), 0);
		assert_string_equal(spe_instance(spe), cases[i].want);
		assert_true(cpumask_equal(spe_cpus(spe),
					  &topology_spu(&topo, cases[i].want)->dev.cpus));
		spe_destroy(spe);
	}
}

static void test_named_instance_is_taken(void **state)
{
	struct cpumask others = t_list("0-15");
	const struct spe_config cfg = { .instance = "arm_spe_2" };
	struct spu spus[2];
	struct topology topo;
	struct spe *spe;

	(void)state;
	spus[0] = t_spu(0, "0-3");
	spus[1] = t_spu(2, "4");
	topo = t_topology(spus, 2);
	assert_int_equal(spe_create(&spe, &cfg, &topo, &others, NULL), 0);
	assert_string_equal(spe_instance(spe), "arm_spe_2");
	spe_destroy(spe);
}

static void test_refusals_say_what_is_missing(void **state)
{
	static const struct {
		struct spe_config cfg;
		const char *others;
		int ret;
		const char *msg;
	} cases[] = {
		{ { .instance = "arm_spe_7" }, "0-9", -ENOTSUP,
		  "SPE: this host has no arm_spe_7, but arm_spe_0 (CPUs 0-3), arm_spe_1 (CPUs none)" },
		{ { .instance = "arm_spe_1" }, "0-9", -ENOTSUP,
		  "SPE: arm_spe_1 cannot be used: its cpumask is empty" },
		{ { 0 }, "6-9", -EINVAL,
		  "SPE: no CPU is both one of arm_spe_0 (0-3) and one that the vCPUs may run on (6-9)" },
		{ { .abi = "elisei-v99" }, "0-9", -EINVAL,
		  "SPE: no interface is called 'elisei-v99'; vmm-spe-abi(5) lists them" },
		{ { .abi = "elisei-v5", .abi_text = "x" }, "0-9", -EINVAL,
		  "SPE: the interface is given by name and by a description" },
		{ { .abi_text = "group = 3\nfrob\n" }, "0-9", -EINVAL,
		  "SPE interface: line 2: 'frob' is not of the form key = value" },
		{ { .buffer_max = 4097 }, "0-9", -EINVAL,
		  "SPE: a guest cannot be told of a buffer of 4097 bytes at most; powers of two from 4 KiB on can" },
		{ { .buffer_max = MIB(8) + KIB(4) }, "0-9", -EINVAL,
		  "SPE: a guest cannot be told of a buffer of 8392704 bytes at most; powers of two from 4 KiB on can" },
	};
	struct spu spus[2];
	struct topology topo;

	(void)state;
	spus[0] = t_spu(0, "0-3");
	spus[1] = t_spu(1, "");
	spus[1].dev.usable = false;
	strcpy(spus[1].dev.reason, "its cpumask is empty");
	topo = t_topology(spus, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cpumask others = t_list(cases[i].others);
		struct vmm_error err = { "" };
		struct spe *spe = NULL;

		assert_int_equal(spe_create(&spe, &cases[i].cfg, &topo, &others, &err), cases[i].ret);
		assert_string_equal(err.msg, cases[i].msg);
		assert_null(spe);
	}
	topo.nr_spus = 0;
	topo.online = t_list("0");
	for (int named = 0; named <= 1; named++) {
		const struct spe_config cfg = { .instance = named ? "arm_spe_0" : NULL };
		struct cpumask others = t_list("0-9");
		struct vmm_error err = { "" };
		struct spe *spe = NULL;

		assert_int_equal(spe_create(&spe, &cfg, &topo, &others, &err), -ENOTSUP);
		assert_string_equal(err.msg,
				    "SPE: this host's CPUs have no SPE, or firmware does not tell of it");
	}
}

static void test_buffer_sizes_that_can_be_told(void **state)
{
	static const struct {
		u64 size;
		bool fine;
	} cases[] = {
		{ KIB(4), true }, { KIB(64), true }, { KIB(68), true }, { MIB(2), true },
		{ MIB(4) - KIB(4), true }, { MIB(4), true }, { MIB(4) + KIB(4), false },
		{ MIB(4) + KIB(8), true }, { MIB(8), true }, { MIB(8) + KIB(16), true },
		{ GIB(1), true }, { GIB(1) + KIB(64), false }, { 1, false }, { 4095, false },
		{ 1ull << 63, false },
	};
	struct cpumask others = t_list("0-3");
	struct spu spus[1];
	struct topology topo;

	(void)state;
	spus[0] = t_spu(0, "0-3");
	topo = t_topology(spus, 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct spe_config cfg = { .buffer_max = cases[i].size };
		struct spe *spe = NULL;
		int ret = spe_create(&spe, &cfg, &topo, &others, NULL);

		if (ret != (cases[i].fine ? 0 : -EINVAL))
			fail_msg("%llu: %d", (unsigned long long)cases[i].size, ret);
		spe_destroy(spe);
	}
}

static void test_cpus_are_followed_by_name_and_type(void **state)
{
	struct cpumask others = t_list("0-3");
	const struct spe_config cfg = { 0 };
	struct cpumask now;
	struct spu spus[1];
	struct topology topo;
	struct spe *spe;

	(void)state;
	spus[0] = t_spu(0, "2-3");
	topo = t_topology(spus, 1);
	assert_int_equal(spe_create(&spe, &cfg, &topo, &others, NULL), 0);
	spus[0].dev.cpus = t_list("3");
	assert_int_equal(spe_cpus_now(spe, &topo, &now), 0);
	assert_true(cpumask_has(&now, 3) && cpumask_count(&now) == 1);
	/* All of them are offline: no CPU, and still the instance. */
	spus[0].dev.cpus = t_list("");
	spus[0].dev.usable = false;
	assert_int_equal(spe_cpus_now(spe, &topo, &now), 0);
	assert_true(cpumask_empty(&now));
	spus[0] = t_spu(0, "2-3");
	spus[0].dev.type++;
	assert_int_equal(spe_cpus_now(spe, &topo, &now), -ENODEV);
	topo.nr_spus = 0;
	assert_int_equal(spe_cpus_now(spe, &topo, &now), -ENODEV);
	spe_destroy(spe);
}

/* ---- One VM ---------------------------------------------------------------------- */

struct t_vm {
	const struct fake_spe_kernel	*kernel;
	struct fake_spe			*fake;
	struct spe			*spe;
	struct spu			spus[1];
	struct topology			topo;
	struct kvm			kvm;
	struct gmem			ram;
	int				ram_fd;
	int				gic;
	int				vcpus[T_VCPUS];
	struct kvm_run			*runs[T_VCPUS];
	struct spe_vm			vm;
};

/* The CPU that the test is on has SPE, and no other. */
static struct cpumask t_here(void)
{
	struct cpumask here;

	cpumask_clear(&here);
	cpumask_set(&here, (unsigned int)sched_getcpu());
	return here;
}

static int t_ram(struct t_vm *t, struct vmm_error *err)
{
	bool memfd = spe_wants_guest_memfd(t->spe);
	int ret = memfd ? kvm_create_guest_memfd(&t->kvm, T_SIZE) : -1;

	if (memfd && ret < 0)
		return ret;
	t->ram_fd = ret;
	ret = gmem_init(&t->ram, T_BASE, T_SIZE, t->ram_fd, 0, err);
	if (ret)
		return ret;
	return memfd ? kvm_set_guest_memfd(&t->kvm, T_SLOT, T_BASE, T_SIZE, t->ram.host, t->ram_fd)
		     : kvm_set_memory(&t->kvm, T_SLOT, T_BASE, T_SIZE, t->ram.host);
}

static int t_vcpu(struct t_vm *t, u32 i)
{
	struct kvm_vcpu_init init = { 0 };
	int ret = kvm_create_vcpu(&t->kvm, i, &t->runs[i]);

	if (ret < 0)
		return ret;
	t->vcpus[i] = ret;
	ret = kvm_vm_ioctl(&t->kvm, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << spe_feature(t->spe);
	return ret ? ret : kvm_vcpu_ioctl(&t->kvm, t->vcpus[i], KVM_ARM_VCPU_INIT, &init);
}

static int t_gic(struct t_vm *t)
{
	u64 dist = 0x3fff0000;
	u64 redist = 0x3ff00000;
	int ret = kvm_set_attr(&t->kvm, t->gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
			       KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);

	if (!ret)
		ret = kvm_set_attr(&t->kvm, t->gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
				   KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
	return ret ? ret : kvm_set_attr(&t->kvm, t->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
					KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

/* As the machine does it, step by step. */
static int t_build(struct t_vm *t, const struct spe_config *cfg, struct vmm_error *err)
{
	struct spe_config full = *cfg;
	int ret;

	if (t->kernel->text)
		full.abi_text = t->kernel->text;
	ret = spe_create(&t->spe, &full, &t->topo, &t->spus[0].dev.cpus, err);
	if (!ret)
		ret = kvm_open(&t->kvm, -1);
	if (!ret)
		ret = spe_probe(t->spe, &t->kvm, err);
	if (!ret)
		ret = kvm_create_vm(&t->kvm, 0);
	if (!ret)
		ret = t_ram(t, err);
	if (!ret)
		ret = kvm_create_device(&t->kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (ret < 0)
		return ret;
	t->gic = ret;
	ret = 0;
	for (u32 i = 0; i < T_VCPUS && !ret; i++)
		ret = t_vcpu(t, i);
	return ret ? ret : t_gic(t);
}

static void t_open(struct t_vm *t, const char *kernel)
{
	struct cpumask here = t_here();

	memset(t, 0, sizeof(*t));
	t->kernel = fake_spe_kernel(kernel);
	assert_non_null(t->kernel);
	t->fake = fake_spe_create(t->kernel);
	assert_non_null(t->fake);
	fake_spe_instance(t->fake, T_TYPE, &here);
	t->spus[0] = t_spu(0, "0");
	t->spus[0].dev.cpus = here;
	t->topo = t_topology(t->spus, 1);
	t->ram_fd = t->gic = -1;
	for (u32 i = 0; i < T_VCPUS; i++)
		t->vcpus[i] = -1;
	kvm_init(&t->kvm, &fake_spe_ops, t->fake);
	t->vm = (struct spe_vm){
		.kvm = &t->kvm,
		.vcpus = t->vcpus,
		.nr_vcpus = T_VCPUS,
		.ram = &t->ram,
		.ram_slot = T_SLOT,
	};
}

static void t_made(struct t_vm *t, const char *kernel, const struct spe_config *cfg)
{
	struct vmm_error err = { "" };
	const struct spe_config none = { 0 };

	t_open(t, kernel);
	if (t_build(t, cfg ? cfg : &none, &err))
		fail_msg("%s: %s", kernel, err.msg);
	fake_spe_reset(t->fake);
}

static void t_up(struct t_vm *t)
{
	struct vmm_error err = { "" };

	if (spe_up(t->spe, &t->vm, &err))
		fail_msg("%s: %s", t->kernel->name, err.msg);
}

/* Everything goes the way that machine.c's table goes back, and nothing remains. */
static void t_close(struct t_vm *t)
{
	if (t->spe)
		spe_down(t->spe);
	for (u32 i = 0; i < T_VCPUS; i++)
		kvm_destroy_vcpu(&t->kvm, &t->vcpus[i], &t->runs[i]);
	kvm_destroy_device(&t->kvm, &t->gic);
	gmem_fini(&t->ram);
	fd_close(&t->ram_fd);
	kvm_close(&t->kvm);
	spe_destroy(t->spe);
	assert_int_equal(fake_nr_open(fake_spe_base(t->fake)), 0);
	if (fake_spe_wrong(t->fake))
		fail_msg("%s: %s", t->kernel->name, fake_spe_wrong(t->fake));
	fake_spe_destroy(t->fake);
}

static const char *const t_kernels[] = {
	"holla-v2", "murray-v2", "qemu-v3", "elisei-v3", "elisei-v4", "elisei-v5", "elisei-v6",
	"elisei-v7", "plain",
};

/* A guest that leaves KVM_RUN once, with an exit of the script. */
static void t_run_once(struct t_vm *t, u32 vcpu)
{
	static const struct fake_step steps[] = { { .kind = FAKE_EXIT, .data = 77 } };
	int ret;

	fake_script(fake_spe_base(t->fake), vcpu, steps, 1, 0);
	ret = kvm_run(&t->kvm, t->vcpus[vcpu]);
	if (ret)
		fail_msg("%s: KVM_RUN: %d", t->kernel->name, ret);
	assert_int_equal(t->runs[vcpu]->exit_reason, 77);
}

static void t_pin_here(struct cpumask *before)
{
	struct cpumask here = t_here();

	assert_int_equal(cpumask_get_affinity(before), 0);
	assert_int_equal(cpumask_set_affinity(&here), 0);
}

static void test_guest_runs_on_every_kernel(void **state)
{
	struct cpumask before;

	(void)state;
	t_pin_here(&before);
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		struct t_vm t;

		t_made(&t, t_kernels[k], NULL);
		t_up(&t);
		assert_int_equal(spe_version(t.spe), 1);
		assert_null(spe_limit(t.spe));
		for (u32 i = 0; i < T_VCPUS; i++)
			t_run_once(&t, i);
		t_close(&t);
	}
	assert_int_equal(cpumask_set_affinity(&before), 0);
}

static size_t t_sets(struct t_vm *t, u32 group, int attr, u64 val)
{
	struct fake_call calls[256];
	size_t nr = fake_spe_log(t->fake, calls, ARRAY_SIZE(calls));
	size_t n = 0;

	for (size_t i = 0; i < nr; i++)
		n += calls[i].req == KVM_SET_DEVICE_ATTR && calls[i].vcpu >= 0 &&
		     calls[i].arg == ((u64)group << 32 | (u32)attr) && calls[i].val == val;
	return n;
}

static void test_attributes_are_set_on_each_vcpu(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		const struct fake_spe_kernel *kernel;
		struct t_vm t;

		t_made(&t, t_kernels[k], NULL);
		kernel = t.kernel;
		t_up(&t);
		assert_int_equal(t_sets(&t, kernel->group, kernel->irq, 21), T_VCPUS);
		assert_int_equal(t_sets(&t, kernel->group, kernel->init, 0), T_VCPUS);
		if (kernel->spu >= 0)
			assert_int_equal(t_sets(&t, kernel->group, kernel->spu, T_TYPE), T_VCPUS);
		if (kernel->stop >= 0)
			assert_int_equal(t_sets(&t, kernel->group, kernel->stop, 0), 0);
		t_close(&t);
	}
}

static void test_buffer_size_is_set_where_there_is_one(void **state)
{
	const struct spe_config cfg = { .buffer_max = T_BUFFER };
	const struct spe_config none = { 0 };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		struct vmm_error err = { "" };
		struct t_vm t;

		t_open(&t, t_kernels[k]);
		if (t.kernel->size >= 0) {
			assert_int_equal(t_build(&t, &cfg, &err), 0);
			t_up(&t);
			assert_int_equal(t_sets(&t, t.kernel->group, t.kernel->size, T_BUFFER),
					 T_VCPUS);
		} else {
			assert_int_equal(t_build(&t, &cfg, &err), -ENOTSUP);
			assert_non_null(strstr(err.msg, "sets no limit to a guest's buffer"));
		}
		t_close(&t);
	}
	/* Not asked for: not set, the guest's buffer is without a limit. */
	{
		struct t_vm t;

		t_made(&t, "elisei-v6", &none);
		t_up(&t);
		assert_int_equal(t_sets(&t, t.kernel->group, t.kernel->size, 0), 0);
		t_close(&t);
	}
}

static void test_again_is_tried_again(void **state)
{
	static const char *const kernels[] = { "elisei-v3", "elisei-v4", "elisei-v5", "elisei-v7" };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
		struct t_vm t;

		t_made(&t, kernels[k], NULL);
		fake_spe_again(t.fake, 20);
		t_up(&t);
		t_close(&t);
	}
}

static void test_again_without_end_is_given_up(void **state)
{
	static const struct {
		const char *kernel;
		int ret;
	} cases[] = {
		{ "elisei-v3", -EAGAIN }, { "elisei-v4", -EAGAIN }, { "elisei-v5", -EAGAIN },
		{ "elisei-v7", -EINTR },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct vmm_error err = { "" };
		struct t_vm t;

		t_made(&t, cases[k].kernel, NULL);
		fake_spe_again(t.fake, 1000000);
		assert_int_equal(spe_up(t.spe, &t.vm, &err), cases[k].ret);
		assert_true(strlen(err.msg) > 10);
		t_close(&t);
	}
}

/* An interface whose kernel has been replaced: the version is looked at last. */
static void test_pmsver_of_zero_is_refused(void **state)
{
	struct vmm_error err = { "" };
	struct kvm_vcpu_init init = { 0 };
	struct t_vm t;
	int ret;

	(void)state;
	t_made(&t, "plain", NULL);
	/* vCPU 0 loses the feature, and reads no SPE any more. */
	t.vm.nr_vcpus = 0;
	assert_int_equal(kvm_vm_ioctl(&t.kvm, KVM_ARM_PREFERRED_TARGET, &init), 0);
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
	assert_int_equal(kvm_vcpu_ioctl(&t.kvm, t.vcpus[0], KVM_ARM_VCPU_INIT, &init), 0);
	ret = spe_up(t.spe, &t.vm, &err);
	assert_int_equal(ret, -ENOTSUP);
	assert_non_null(strstr(err.msg, "would still see none"));
	t_close(&t);
}

static void test_interrupt_controller_that_is_not_ready_is_told(void **state)
{
	static const struct {
		const char *kernel;
		int ret;
	} cases[] = {
		{ "murray-v2", -ENODEV }, { "elisei-v3", -ENODEV }, { "elisei-v5", -ENXIO },
		{ "plain", -ENXIO },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct vmm_error err = { "" };
		struct t_vm t;
		struct spe_config cfg = { 0 };

		t_open(&t, cases[k].kernel);
		cfg.abi_text = t.kernel->text;
		assert_int_equal(spe_create(&t.spe, &cfg, &t.topo, &t.spus[0].dev.cpus, &err), 0);
		assert_int_equal(kvm_open(&t.kvm, -1), 0);
		assert_int_equal(spe_probe(t.spe, &t.kvm, &err), 0);
		assert_int_equal(kvm_create_vm(&t.kvm, 0), 0);
		assert_int_equal(t_ram(&t, &err), 0);
		t.gic = kvm_create_device(&t.kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
		for (u32 i = 0; i < T_VCPUS; i++)
			assert_int_equal(t_vcpu(&t, i), 0);
		assert_int_equal(spe_up(t.spe, &t.vm, &err), cases[k].ret);
		assert_int_equal(strncmp(err.msg, "SPE: vcpu0: ", 12), 0);
		t_close(&t);
	}
}

/* ---- Faults ---------------------------------------------------------------------- */

/* Sanitizers are slow: some of the calls will do. */
#define STRIDE	(T_SANITIZED ? 2 : 1)

static void test_each_failure_of_up_is_passed_on(void **state)
{
	static const int errnos[] = { EIO, ENXIO, EFAULT };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		bool failed = true;

		for (size_t n = 1; failed; n += STRIDE) {
			int want = errnos[n % ARRAY_SIZE(errnos)];
			const struct spe_config cfg = { 0 };
			struct vmm_error err = { "" };
			struct fake_call call;
			struct t_vm t;
			int ret;

			t_made(&t, t_kernels[k], &cfg);
			fake_spe_fail(t.fake, n, want);
			ret = spe_up(t.spe, &t.vm, &err);
			failed = fake_spe_failed(t.fake, &call);
			fake_spe_reset(t.fake);
			if (ret != (failed ? -want : 0))
				fail_msg("%s: call %zu failed with %d, spe_up() with %d: %s",
					 t_kernels[k], n, want, ret, err.msg);
			if (failed)
				assert_int_equal(strncmp(err.msg, "SPE: ", 5), 0);
			/* It can be taken down, and again. */
			spe_down(t.spe);
			t_close(&t);
		}
	}
}

static void test_each_failure_from_the_start_leaves_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		bool failed = true;

		for (size_t n = 1; failed; n += STRIDE) {
			const struct spe_config cfg = { 0 };
			struct vmm_error err = { "" };
			struct fake_call call;
			struct t_vm t;
			int ret;

			t_open(&t, t_kernels[k]);
			fake_spe_fail(t.fake, n, EIO);
			ret = t_build(&t, &cfg, &err);
			if (!ret)
				ret = spe_up(t.spe, &t.vm, &err);
			failed = fake_spe_failed(t.fake, &call);
			fake_spe_reset(t.fake);
			assert_int_equal(ret, failed ? -EIO : 0);
			t_close(&t);
		}
	}
}

static void test_unlock_that_fails_is_survived(void **state)
{
	const struct spe_config cfg = { 0 };
	struct kvm_enable_cap unlock = { .cap = 207, .flags = 2, .args = { T_SLOT, 1 } };
	struct t_vm t;

	(void)state;
	t_made(&t, "elisei-v5", &cfg);
	t_up(&t);
	fake_spe_fail(t.fake, 1, EINVAL);
	spe_down(t.spe);
	/* The fake demands that it is unlocked. */
	assert_int_equal(kvm_vm_ioctl(&t.kvm, KVM_ENABLE_CAP, &unlock), 0);
	t_close(&t);
}

/* ---- Limits ---------------------------------------------------------------------- */

static void t_memlock(rlim_t soft, struct rlimit *old)
{
	struct rlimit low;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, old), 0);
	low = *old;
	low.rlim_cur = soft;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
}

static void test_limit_that_is_too_low_is_named_by_kvm(void **state)
{
	static const char *const kernels[] = { "elisei-v4", "elisei-v5" };
	struct rlimit old;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
		struct vmm_error err = { "" };
		const struct spe_limit *limit;
		struct t_vm t;

		t_made(&t, kernels[k], NULL);
		t_memlock(KIB(64), &old);
		fake_spe_memlock(t.fake, KIB(64));
		assert_int_equal(spe_up(t.spe, &t.vm, &err), -ENOMEM);
		limit = spe_limit(t.spe);
		assert_non_null(limit);
		assert_string_equal(limit->name, "RLIMIT_MEMLOCK");
		assert_int_equal(limit->resource, RLIMIT_MEMLOCK);
		assert_int_equal(limit->have, KIB(64));
		assert_int_equal(limit->need, T_SIZE);
		assert_string_equal(err.msg,
				    "SPE: locking the guest's RAM in KVM: RLIMIT_MEMLOCK is 64 KiB, and 4096 KiB are needed: ulimit -l 4096, or LimitMEMLOCK=4096K in a systemd unit, or CAP_IPC_LOCK");
		/* With more it works, on the same VM. */
		fake_spe_memlock(t.fake, T_SIZE);
		spe_down(t.spe);
		t_up(&t);
		assert_null(spe_limit(t.spe));
		assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
		t_close(&t);
	}
}

/* The limit seems high enough, so something has been locked before. */
static void test_limit_that_others_use_up_is_named(void **state)
{
	struct vmm_error err = { "" };
	struct rlimit old;
	struct t_vm t;

	(void)state;
	t_made(&t, "elisei-v5", NULL);
	t_memlock(T_SIZE + KIB(64), &old);
	fake_spe_memlock(t.fake, KIB(64));
	assert_int_equal(spe_up(t.spe, &t.vm, &err), -ENOMEM);
	assert_int_equal(spe_limit(t.spe)->need, 2 * T_SIZE + KIB(64));
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	t_close(&t);
}

static void test_limit_of_the_buffer_is_named(void **state)
{
	const struct spe_config cfg = { .buffer_max = MIB(1) };
	struct vmm_error err = { "" };
	struct spe_limit limit;
	struct rlimit old;
	struct t_vm t;

	(void)state;
	t_made(&t, "elisei-v6", &cfg);
	t_memlock(KIB(64), &old);
	fake_spe_memlock(t.fake, KIB(64));
	assert_true(spe_needs(t.spe, T_SIZE, &limit));
	assert_int_equal(limit.need, MIB(1));
	assert_int_equal(limit.have, KIB(64));
	assert_int_equal(spe_up(t.spe, &t.vm, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "RLIMIT_MEMLOCK is 64 KiB, and 1024 KiB are needed"));
	assert_int_equal(spe_limit(t.spe)->need, MIB(1));
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	t_close(&t);
}

/* mlock() itself refuses only those who may not: in a process of our own. */
static int t_mlock_refused(void)
{
	struct vmm_error err = { "" };
	struct rlimit old;
	struct t_vm t;
	int ret;

	t_made(&t, "elisei-v3", NULL);
	t_memlock(KIB(64), &old);
	if (!geteuid() && setresuid(65534, 65534, 65534))
		return 77;
	ret = spe_up(t.spe, &t.vm, &err);
	if (!ret)
		return 77;
	if (ret != -ENOMEM || !spe_limit(t.spe) || spe_limit(t.spe)->need != T_SIZE)
		return 1;
	if (!strstr(err.msg, "locking the guest's RAM: RLIMIT_MEMLOCK is 64 KiB, and 4096 KiB"))
		return 2;
	spe_down(t.spe);
	return 0;
}

static void test_mlock_that_is_refused_names_the_limit(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (T_SANITIZED) {
		print_message("skipped: the sanitizers' mlock() does nothing\n");
		skip();
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(t_mlock_refused());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: this user may lock all memory there is\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_needs_are_told_before(void **state)
{
	static const struct {
		const char *kernel;
		u64 need;
	} cases[] = {
		{ "murray-v2", T_SIZE }, { "elisei-v3", T_SIZE }, { "elisei-v4", T_SIZE },
		{ "elisei-v5", T_SIZE }, { "elisei-v6", 0 }, { "elisei-v7", 0 }, { "plain", 0 },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct spe_limit limit = { 0 };
		struct t_vm t;

		t_made(&t, cases[k].kernel, NULL);
		assert_int_equal(spe_needs(t.spe, T_SIZE, &limit), cases[k].need != 0);
		assert_int_equal(limit.need, cases[k].need);
		t_close(&t);
	}
}

/* ---- KVM_RUN --------------------------------------------------------------------- */

/* Move the instance to a CPU where the test is not. */
static void t_elsewhere(struct t_vm *t)
{
	struct cpumask other;

	cpumask_clear(&other);
	cpumask_set(&other, 4000);
	fake_spe_instance(t->fake, T_TYPE, &other);
}

static void test_wrong_cpu_is_told_in_each_form(void **state)
{
	static const struct {
		const char *kernel;
		bool told;
	} cases[] = {
		{ "murray-v2", false }, { "elisei-v3", false }, { "elisei-v4", true },
		{ "elisei-v5", true }, { "elisei-v6", true }, { "elisei-v7", true }, { "plain", true },
	};
	struct cpumask before;

	(void)state;
	t_pin_here(&before);
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct cpumask here = t_here();
		struct spe_exit_info info;
		struct t_vm t;
		int ret;

		t_made(&t, cases[k].kernel, NULL);
		t_up(&t);
		t_run_once(&t, 1);
		if (cases[k].told) {
			t_elsewhere(&t);
			ret = kvm_run(&t.kvm, t.vcpus[1]);
			assert_int_equal(spe_exit(t.spe, ret, t.runs[1], &info), SPE_EXIT_WRONG_CPU);
			assert_int_equal(info.cpu, sched_getcpu());
			/* It is the instance's as far as we know: ENOEXEC is ambiguous then. */
			assert_int_equal(info.certain, ret == 0);
			fake_spe_instance(t.fake, T_TYPE, &here);
		}
		t_run_once(&t, 1);
		assert_int_equal(spe_exit(t.spe, 0, t.runs[1], &info), SPE_EXIT_OTHER);
		t_close(&t);
	}
	assert_int_equal(cpumask_set_affinity(&before), 0);
}

static void test_noexec_off_the_instance_is_certain(void **state)
{
	struct spe_exit_info info;
	struct cpumask before;
	struct t_vm t;

	(void)state;
	t_pin_here(&before);
	t_open(&t, "elisei-v5");
	cpumask_clear(&t.spus[0].dev.cpus);
	cpumask_set(&t.spus[0].dev.cpus, 4000);
	assert_int_equal(t_build(&t, &(struct spe_config){ 0 }, NULL), 0);
	t_up(&t);
	assert_int_equal(spe_exit(t.spe, -ENOEXEC, t.runs[0], &info), SPE_EXIT_WRONG_CPU);
	assert_true(info.certain);
	assert_int_equal(info.cpu, sched_getcpu());
	t_close(&t);
	assert_int_equal(cpumask_set_affinity(&before), 0);
}

/* A kernel may have either form under the same numbers. */
static void test_either_form_is_understood(void **state)
{
	static const char *const kernels[] = { "elisei-v4", "elisei-v5", "elisei-v6", "elisei-v7", "plain" };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kernels); k++) {
		struct spe_exit_info info;
		struct t_vm t;

		t_made(&t, kernels[k], NULL);
		assert_int_equal(spe_exit(t.spe, -ENOEXEC, t.runs[0], &info), SPE_EXIT_WRONG_CPU);
		t.runs[0]->exit_reason = KVM_EXIT_FAIL_ENTRY;
		t.runs[0]->fail_entry.hardware_entry_failure_reason = 1;
		t.runs[0]->fail_entry.cpu = 77;
		assert_int_equal(spe_exit(t.spe, 0, t.runs[0], &info), SPE_EXIT_WRONG_CPU);
		assert_int_equal(info.cpu, 77);
		assert_true(info.certain);
		t_close(&t);
	}
}

static void test_run_before_its_time_is_explained(void **state)
{
	static const struct {
		const char *kernel;
		int ret;
	} cases[] = {
		{ "elisei-v3", -EPERM }, { "elisei-v4", -EPERM }, { "elisei-v5", -EINVAL },
		{ "elisei-v6", -EINVAL }, { "elisei-v7", -EINVAL }, { "plain", -EINVAL },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct spe_exit_info info;
		struct t_vm t;
		int ret;

		t_made(&t, cases[k].kernel, NULL);
		ret = kvm_run(&t.kvm, t.vcpus[0]);
		assert_int_equal(ret, cases[k].ret);
		assert_int_equal(spe_exit(t.spe, ret, t.runs[0], &info), SPE_EXIT_FAILED);
		assert_int_equal(info.error, ret);
		assert_non_null(strstr(info.msg.msg, spe_abi(t.spe)->name));
		t_close(&t);
	}
}

static void test_what_is_not_ours_is_left_alone(void **state)
{
	static const int rets[] = { -EINTR, -EIO, -EFAULT, -ENOMEM, -EBUSY };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(t_kernels); k++) {
		struct spe_exit_info info;
		struct kvm_run *run;
		struct t_vm t;

		t_made(&t, t_kernels[k], NULL);
		run = t.runs[0];
		/* Also with what an earlier exit has left behind. */
		for (int stale = 0; stale <= 1; stale++) {
			run->exit_reason = stale ? KVM_EXIT_FAIL_ENTRY : KVM_EXIT_MMIO;
			run->fail_entry.hardware_entry_failure_reason = 1;
			for (size_t i = 0; i < ARRAY_SIZE(rets); i++)
				assert_int_equal(spe_exit(t.spe, rets[i], run, &info),
						 SPE_EXIT_OTHER);
		}
		run->exit_reason = KVM_EXIT_MMIO;
		assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_OTHER);
		assert_int_equal(spe_exit(t.spe, -EAGAIN, run, &info), SPE_EXIT_OTHER);
		/* Another reason than the CPU. */
		run->exit_reason = KVM_EXIT_FAIL_ENTRY;
		run->fail_entry.hardware_entry_failure_reason = 2;
		assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_OTHER);
		run->exit_reason = 41;
		assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_OTHER);
		t_close(&t);
	}
}

static void test_exit_for_a_limit_says_how_much(void **state)
{
	const struct spe_config cfg = { .buffer_max = MIB(1) };
	const struct spe_config none = { 0 };
	struct spe_exit_info info;
	struct rlimit old;
	struct kvm_run *run;
	struct t_vm t;
	u64 need = MIB(3);

	(void)state;
	t_memlock(KIB(64), &old);
	t_made(&t, "elisei-v6", &cfg);
	run = t.runs[2];
	run->exit_reason = t.kernel->exit_rlimit;
	memcpy((u8 *)&run->hw + 8, &need, sizeof(need));
	assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_RLIMIT);
	assert_int_equal(info.limit.need, MIB(3));
	assert_int_equal(info.limit.resource, RLIMIT_MEMLOCK);
	assert_int_equal(info.error, -ENOMEM);
	assert_non_null(strstr(info.msg.msg, "3072 KiB are needed"));
	/* KVM does not say: it is what the guest was told. */
	memset((u8 *)&run->hw + 8, 0, 8);
	assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_RLIMIT);
	assert_int_equal(info.limit.need, MIB(1));
	t_close(&t);

	t_made(&t, "elisei-v6", &none);
	run = t.runs[2];
	run->exit_reason = t.kernel->exit_rlimit;
	memset((u8 *)&run->hw + 8, 0, 8);
	assert_int_equal(spe_exit(t.spe, 0, run, &info), SPE_EXIT_RLIMIT);
	assert_int_equal(info.limit.need, 0);
	assert_non_null(strstr(info.msg.msg, "RLIMIT_MEMLOCK, 64 KiB, is too low"));
	t_close(&t);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
}

static void test_stopped_profiling_is_explained(void **state)
{
	struct spe_exit_info info;
	struct t_vm t;

	(void)state;
	t_made(&t, "elisei-v5", NULL);
	t.runs[0]->exit_reason = KVM_EXIT_FAIL_ENTRY;
	t.runs[0]->fail_entry.hardware_entry_failure_reason = 1;
	assert_int_equal(spe_exit(t.spe, -EAGAIN, t.runs[0], &info), SPE_EXIT_FAILED);
	assert_int_equal(info.error, -EAGAIN);
	t_close(&t);
}

static void test_tree_has_the_node(void **state)
{
	static const u8 irq[12] = { 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 4 };
	u8 buf[2048] __attribute__((aligned(8)));
	struct tree t;
	const void *prop;
	int node;
	int len;

	(void)state;
	tree_init(&t, buf, sizeof(buf));
	spe_tree(&t);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/spe");
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(buf, node,
						   "arm,statistical-profiling-extension-v1"), 0);
	prop = fdt_getprop(buf, node, "interrupts", &len);
	assert_int_equal(len, sizeof(irq));
	assert_memory_equal(prop, irq, sizeof(irq));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instance_with_most_cpus_is_chosen),
		cmocka_unit_test(test_named_instance_is_taken),
		cmocka_unit_test(test_refusals_say_what_is_missing),
		cmocka_unit_test(test_buffer_sizes_that_can_be_told),
		cmocka_unit_test(test_cpus_are_followed_by_name_and_type),
		cmocka_unit_test(test_guest_runs_on_every_kernel),
		cmocka_unit_test(test_attributes_are_set_on_each_vcpu),
		cmocka_unit_test(test_buffer_size_is_set_where_there_is_one),
		cmocka_unit_test(test_again_is_tried_again),
		cmocka_unit_test(test_again_without_end_is_given_up),
		cmocka_unit_test(test_pmsver_of_zero_is_refused),
		cmocka_unit_test(test_interrupt_controller_that_is_not_ready_is_told),
		cmocka_unit_test(test_each_failure_of_up_is_passed_on),
		cmocka_unit_test(test_each_failure_from_the_start_leaves_nothing),
		cmocka_unit_test(test_unlock_that_fails_is_survived),
		cmocka_unit_test(test_limit_that_is_too_low_is_named_by_kvm),
		cmocka_unit_test(test_limit_that_others_use_up_is_named),
		cmocka_unit_test(test_limit_of_the_buffer_is_named),
		cmocka_unit_test(test_mlock_that_is_refused_names_the_limit),
		cmocka_unit_test(test_needs_are_told_before),
		cmocka_unit_test(test_wrong_cpu_is_told_in_each_form),
		cmocka_unit_test(test_noexec_off_the_instance_is_certain),
		cmocka_unit_test(test_either_form_is_understood),
		cmocka_unit_test(test_run_before_its_time_is_explained),
		cmocka_unit_test(test_what_is_not_ours_is_left_alone),
		cmocka_unit_test(test_exit_for_a_limit_says_how_much),
		cmocka_unit_test(test_stopped_profiling_is_explained),
		cmocka_unit_test(test_tree_has_the_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
