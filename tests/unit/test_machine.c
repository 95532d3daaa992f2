/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_machine.c - bring-up of the arm64 machine: what KVM is asked, in which order,
 * what the guest is told, and what is refused
 */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arm64/reg.h"
#include "tests/unit/overlays.h"
#include "tests/unit/t.h"
#include "vmm/vm.h"

#define FEATURE(f)	(1u << (f))

/* A machine that has been started once, and what was seen of it. */
struct t_machine {
	struct fake_kvm			*fake;
	struct vmm			*vm;
	struct vmm_config		cfg;
	struct vmm_machine_config	machine;
	struct vmm_boot_config		boot;
	u32				nr_rngs;
	int				overlays[2];
	u32				nr_overlays;
	struct vmm_error		err;
	struct fake_call		*calls;
	size_t				nr_calls;
	void				*dtb;
};

static struct t_machine t_machine(const struct fake_profile *profile)
{
	struct t_machine t = {
		.fake = fake_create(profile),
		.cfg = VMM_CONFIG_INIT,
		.machine = VMM_MACHINE_CONFIG_INIT,
		.boot = VMM_BOOT_CONFIG_INIT,
	};

	t.cfg.ram_size = T_RAM;
	t.boot.kernel_fd = t_kernel();
	t.boot.flags = VMM_BOOT_F_DUMP_DTB;
	t.boot.dtb_fd = memfd_create("t-dtb", MFD_CLOEXEC);
	return t;
}

static int t_try(struct t_machine *t)
{
	struct stat st;
	int ret;

	assert_int_equal(vm_create(&t->vm, &t->cfg, &fake_kvm_ops, t->fake, &t->err), 0);
	assert_int_equal(vmm_set_machine(t->vm, &t->machine, &t->err), 0);
	assert_int_equal(vmm_set_boot(t->vm, &t->boot, &t->err), 0);
	for (u32 i = 0; i < t->nr_rngs; i++) {
		struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;

		assert_int_equal(vmm_add_rng(t->vm, &rng, &t->err), i);
	}
	for (u32 i = 0; i < t->nr_overlays; i++) {
		struct vmm_overlay_config overlay = VMM_OVERLAY_CONFIG_INIT;

		overlay.fd = t->overlays[i];
		assert_int_equal(vmm_add_overlay(t->vm, &overlay, &t->err), 0);
	}
	ret = vmm_start(t->vm, &t->err);
	t->calls = calloc(FAKE_MAX_CALLS, sizeof(*t->calls));
	t->nr_calls = fake_log(t->fake, t->calls, FAKE_MAX_CALLS);
	assert_int_equal(fstat(t->boot.dtb_fd, &st), 0);
	t->dtb = calloc(1, (size_t)st.st_size + 1);
	assert_int_equal(pread(t->boot.dtb_fd, t->dtb, (size_t)st.st_size, 0), st.st_size);
	return ret;
}

static void t_up(struct t_machine *t)
{
	int ret = t_try(t);

	if (ret)
		fail_msg("vmm_start: %d, %s", ret, t->err.msg);
	assert_int_equal(fdt_check_header(t->dtb), 0);
}

static void t_down(struct t_machine *t)
{
	vmm_destroy(t->vm);
	t_fake_done(t->fake);
	close(t->boot.kernel_fd);
	close(t->boot.dtb_fd);
	if (t->boot.flags & VMM_BOOT_F_INITRD)
		close(t->boot.initrd_fd);
	for (u32 i = 0; i < t->nr_overlays; i++)
		close(t->overlays[i]);
	free(t->calls);
	free(t->dtb);
}

/* The start is refused, and the text has this. */
static void t_lacks(struct t_machine *t, const char *text)
{
	assert_int_equal(t_try(t), -ENOTSUP);
	if (!strstr(t->err.msg, text))
		fail_msg("'%s' does not say '%s'", t->err.msg, text);
	assert_int_equal(fake_nr_open(t->fake), 0);
	t_down(t);
}

/* ---- The stream of ioctls ------------------------------------------------------------ */

/* The first such call from @from on, or -1. */
static int find(const struct t_machine *t, int from, unsigned long req, u64 arg)
{
	for (size_t i = (size_t)from; i < t->nr_calls; i++)
		if (t->calls[i].req == req && t->calls[i].arg == arg)
			return (int)i;
	return -1;
}

static size_t count(const struct t_machine *t, unsigned long req)
{
	size_t n = 0;

	for (size_t i = 0; i < t->nr_calls; i++)
		n += t->calls[i].req == req;
	return n;
}

static int first(const struct t_machine *t, unsigned long req)
{
	for (size_t i = 0; i < t->nr_calls; i++)
		if (t->calls[i].req == req)
			return (int)i;
	return -1;
}

static int last(const struct t_machine *t, unsigned long req)
{
	for (size_t i = t->nr_calls; i > 0; i--)
		if (t->calls[i - 1].req == req)
			return (int)i - 1;
	return -1;
}

static u64 attr(u32 group, u64 attr)
{
	return (u64)group << 32 | attr;
}

#define GIC_INIT	attr(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT)

static void test_bring_up_has_its_order(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	int gic;
	int init;

	(void)state;
	t.cfg.vcpus = 3;
	t.machine.flags = VMM_MACHINE_F_PMU | VMM_MACHINE_F_COUNTER_OFFSET;
	t_up(&t);
	assert_int_equal(first(&t, FAKE_OP_OPEN), 0);
	assert_int_equal(first(&t, KVM_GET_API_VERSION), 1);
	gic = find(&t, 0, KVM_CREATE_DEVICE, KVM_DEV_TYPE_ARM_VGIC_V3);
	init = find(&t, 0, KVM_SET_DEVICE_ATTR, GIC_INIT);
	assert_true(first(&t, KVM_CREATE_VM) < first(&t, KVM_ARM_SET_COUNTER_OFFSET));
	assert_true(first(&t, KVM_ARM_SET_COUNTER_OFFSET) < first(&t, KVM_CREATE_VCPU));
	assert_true(find(&t, 0, KVM_ENABLE_CAP, KVM_CAP_ARM_MTE) >= 0);
	assert_true(find(&t, 0, KVM_ENABLE_CAP, KVM_CAP_ARM_MTE) < first(&t, KVM_CREATE_VCPU));
	assert_in_range(gic, 1, first(&t, KVM_CREATE_VCPU));
	assert_true(last(&t, KVM_ARM_VCPU_FINALIZE) < init);
	assert_true(last(&t, KVM_CREATE_VCPU) < init);
	assert_true(find(&t, 0, KVM_SET_DEVICE_ATTR, attr(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0)) < init);
	assert_true(init < find(&t, 0, KVM_SET_DEVICE_ATTR,
				attr(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT)));
	assert_int_equal(count(&t, KVM_CREATE_VCPU), 3);
	assert_int_equal(count(&t, KVM_ARM_VCPU_INIT), 3);
	assert_int_equal(count(&t, KVM_ARM_VCPU_FINALIZE), 3);
	/* And nothing runs before all is set up. */
	for (int i = 0; first(&t, KVM_RUN) >= 0 && i < (int)t.nr_calls; i++)
		if (t.calls[i].req == KVM_SET_DEVICE_ATTR || t.calls[i].req == KVM_SET_ONE_REG)
			assert_true(i < first(&t, KVM_RUN));
	t_down(&t);
}

static void test_failures_of_no_call_are_swallowed(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.cfg.vcpus = 2;
	t_up(&t);
	for (size_t i = 0; i < t.nr_calls; i++)
		if (t.calls[i].ret < 0 && t.calls[i].req != KVM_RUN)
			fail_msg("call %zu, 0x%lx, failed with %d", i, t.calls[i].req, t.calls[i].ret);
	t_down(&t);
}

static void test_features_are_what_kvm_offers(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	u64 all = FEATURE(KVM_ARM_VCPU_PSCI_0_2) | FEATURE(KVM_ARM_VCPU_SVE) |
		  FEATURE(KVM_ARM_VCPU_PTRAUTH_ADDRESS) | FEATURE(KVM_ARM_VCPU_PTRAUTH_GENERIC);
	int init;

	(void)state;
	t.cfg.vcpus = 2;
	t_up(&t);
	/* What costs something is off, what does not is on; others than the first sleep. */
	init = find(&t, 0, KVM_ARM_VCPU_INIT, all);
	assert_true(init >= 0);
	assert_int_equal(t.calls[init].vcpu, 0);
	init = find(&t, 0, KVM_ARM_VCPU_INIT, all | FEATURE(KVM_ARM_VCPU_POWER_OFF));
	assert_true(init >= 0);
	assert_int_equal(t.calls[init].vcpu, 1);
	t_down(&t);

	t = t_machine(&fake_board);
	t_up(&t);
	assert_true(find(&t, 0, KVM_ARM_VCPU_INIT, FEATURE(KVM_ARM_VCPU_PSCI_0_2)) >= 0);
	assert_int_equal(count(&t, KVM_ENABLE_CAP), 0);
	assert_int_equal(count(&t, KVM_ARM_VCPU_FINALIZE), 0);
	t_down(&t);
}

static void test_features_can_be_refused(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.machine.flags = VMM_MACHINE_F_NO_SVE | VMM_MACHINE_F_NO_PAUTH | VMM_MACHINE_F_NO_MTE |
			  VMM_MACHINE_F_NO_PVTIME;
	t_up(&t);
	assert_true(find(&t, 0, KVM_ARM_VCPU_INIT, FEATURE(KVM_ARM_VCPU_PSCI_0_2)) >= 0);
	assert_int_equal(count(&t, KVM_ENABLE_CAP), 0);
	assert_int_equal(find(&t, 0, KVM_SET_USER_MEMORY_REGION, 1), -1);
	t_down(&t);
}

static void test_shared_ram_has_no_tags(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.cfg.flags = VMM_F_RAM_FD;
	t.cfg.ram_fd = memfd_create("t-ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t.cfg.ram_fd, (off_t)T_RAM), 0);
	t_up(&t);
	assert_int_equal(count(&t, KVM_ENABLE_CAP), 0);
	t_down(&t);
	close(t.cfg.ram_fd);
}

static void test_nested_guest_has_el2(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	int init;

	(void)state;
	t.machine.flags = VMM_MACHINE_F_NESTED | VMM_MACHINE_F_E2H0;
	t_up(&t);
	init = first(&t, KVM_ARM_VCPU_INIT);
	assert_true(t.calls[init].arg & FEATURE(KVM_ARM_VCPU_HAS_EL2));
	assert_true(t.calls[init].arg & FEATURE(KVM_ARM_VCPU_HAS_EL2_E2H0));
	/* The maintenance interrupt, before INIT. */
	init = find(&t, 0, KVM_SET_DEVICE_ATTR, attr(9, 0));
	assert_in_range(init, 1, find(&t, 0, KVM_SET_DEVICE_ATTR, GIC_INIT));
	assert_int_equal(t.calls[init].val, 25);
	assert_string_equal(fdt_getprop(t.dtb, fdt_path_offset(t.dtb, "/psci"), "method", NULL), "smc");
	t_down(&t);
}

static void test_vector_length_can_be_limited(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.cfg.vcpus = 2;
	t.machine.sve_max_vl = 256;
	t_up(&t);
	assert_true(find(&t, 0, KVM_SET_ONE_REG, KVM_REG_ARM64_SVE_VLS) >= 0);
	assert_true(last(&t, KVM_ARM_VCPU_FINALIZE) >
		    find(&t, 0, KVM_SET_ONE_REG, KVM_REG_ARM64_SVE_VLS));
	t_down(&t);
}

static void test_address_space_is_as_small_as_it_can_be(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	struct t_machine u = t_machine(&fake_server);
	struct t_machine v = t_machine(&fake_board);

	(void)state;
	t_up(&t);
	assert_true(find(&t, 0, KVM_CREATE_VM, 32) >= 0);
	t_down(&t);
	u.cfg.ram_base = GIB(4);
	t_up(&u);
	assert_true(find(&u, 0, KVM_CREATE_VM, 33) >= 0);
	t_down(&u);
	/* From before it could be chosen. */
	t_up(&v);
	assert_true(find(&v, 0, KVM_CREATE_VM, 0) >= 0);
	t_down(&v);
}

static void test_first_registers_are_those_of_the_boot_protocol(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	u64 x0;

	(void)state;
	t.cfg.vcpus = 2;
	t_up(&t);
	assert_int_equal(fake_reg(t.fake, 0, CORE_REG(regs.pc)), GIB(2) + 0x80000);
	x0 = fake_reg(t.fake, 0, CORE_REG(regs.regs[0]));
	assert_int_equal(x0 % MIB(2), 0);
	assert_int_equal(fdt_check_header(fake_host(t.fake, x0)), 0);
	assert_memory_equal(fake_host(t.fake, x0), t.dtb, fdt_totalsize(t.dtb));
	assert_int_equal(fake_reg(t.fake, 1, CORE_REG(regs.pc)), 0);
	/* The kernel is there. */
	assert_int_equal(*(u32 *)fake_host(t.fake, GIB(2) + 0x80000), 0xd503201f);
	t_down(&t);
}

/* ---- What the host does not have --------------------------------------------------------- */

static void test_what_the_host_lacks_is_refused_by_name(void **state)
{
	static const struct {
		u64		flags;
		u32		irqchip;
		const char	*text;
	} asks[] = {
		{ VMM_MACHINE_F_PMU, 0, "PMU" },
		{ VMM_MACHINE_F_NESTED, 0, "nested" },
		{ VMM_MACHINE_F_NESTED | VMM_MACHINE_F_E2H0, 0, "VHE" },
		{ VMM_MACHINE_F_COUNTER_OFFSET, 0, "counter offset" },
		{ 0, VMM_IRQCHIP_GICV3, "gicv3" },
		{ 0, VMM_IRQCHIP_GICV3_ITS, "gicv3-its" },
	};
	struct t_machine t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		t = t_machine(&fake_board);
		t.machine.flags = asks[i].flags;
		t.machine.irqchip = asks[i].irqchip;
		t_lacks(&t, asks[i].text);
	}
	t = t_machine(&fake_board);
	t.machine.sve_max_vl = 128;
	t_lacks(&t, "SVE");
	t = t_machine(&fake_board);
	t.cfg.vcpus = 9;
	t_lacks(&t, "8");
	t = t_machine(&fake_server);
	t.cfg.vcpus = 9;
	t.machine.irqchip = VMM_IRQCHIP_GICV2;
	t_lacks(&t, "GICv2");
	t = t_machine(&fake_server);
	t.cfg.vcpus = 100000;
	t_lacks(&t, "vCPUs");
	t = t_machine(&fake_board);
	t.cfg.ram_base = 1ull << 40;
	t_lacks(&t, "40 bits");
}

static void test_its_that_is_missing_is_refused(void **state)
{
	struct fake_profile profile = fake_server;
	struct t_machine t;

	(void)state;
	profile.its = false;
	t = t_machine(&profile);
	t.machine.irqchip = VMM_IRQCHIP_GICV3_ITS;
	t_lacks(&t, "ITS");
}

static void test_vector_length_below_the_least_is_refused(void **state)
{
	struct fake_profile profile = fake_server;
	struct t_machine t;

	(void)state;
	profile.sve_vls = 0x8;		/* 512 bits alone */
	t = t_machine(&profile);
	t.machine.sve_max_vl = 256;
	t_lacks(&t, "256 bits");
}

static void test_gicv2_serves_where_there_is_no_gicv3(void **state)
{
	struct t_machine t = t_machine(&fake_board);

	(void)state;
	t.cfg.vcpus = 8;
	t_up(&t);
	assert_true(find(&t, 0, KVM_CREATE_DEVICE, KVM_DEV_TYPE_ARM_VGIC_V2) >= 0);
	t_down(&t);
}

/* ---- The device tree ------------------------------------------------------------------------ */

static int node(const struct t_machine *t, const char *path)
{
	int off = fdt_path_offset(t->dtb, path);

	if (off < 0)
		fail_msg("%s: %s", path, fdt_strerror(off));
	return off;
}

static void t_strings(const struct t_machine *t, const char *path, const char *name,
		      const char *want)
{
	int index = fdt_stringlist_search(t->dtb, node(t, path), name, want);

	if (index < 0)
		fail_msg("%s of %s has no %s", name, path, want);
}

static u32 cell(const struct t_machine *t, const char *path, const char *name, u32 i)
{
	int len;
	const fdt32_t *p = fdt_getprop(t->dtb, node(t, path), name, &len);

	if (!p || len < (int)(4 * (i + 1)))
		fail_msg("%s of %s has no cell %u", name, path, i);
	return fdt32_to_cpu(p[i]);
}

static u64 cells(const struct t_machine *t, const char *path, const char *name, u32 i)
{
	return (u64)cell(t, path, name, i) << 32 | cell(t, path, name, i + 1);
}

static bool has(const struct t_machine *t, const char *path, const char *name)
{
	return fdt_getprop(t->dtb, node(t, path), name, NULL);
}

static bool is_there(const struct t_machine *t, const char *path)
{
	return fdt_path_offset(t->dtb, path) >= 0;
}

static void test_tree_tells_of_the_machine(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.cfg.vcpus = 17;
	t.boot.cmdline = "console=ttyS0 quiet";
	t.boot.flags |= VMM_BOOT_F_INITRD;
	t.boot.initrd_fd = t_file("initrd", 6);
	t_up(&t);
	t_strings(&t, "/", "compatible", "linux,dummy-virt");
	assert_int_equal(cell(&t, "/", "#address-cells", 0), 2);
	assert_int_equal(cell(&t, "/", "#size-cells", 0), 2);
	assert_int_equal(cell(&t, "/", "interrupt-parent", 0),
			 fdt_get_phandle(t.dtb, node(&t, "/intc@3fff0000")));

	t_strings(&t, "/memory@80000000", "device_type", "memory");
	assert_int_equal(cells(&t, "/memory@80000000", "reg", 0), GIB(2));
	assert_int_equal(cells(&t, "/memory@80000000", "reg", 2), T_RAM);

	t_strings(&t, "/cpus/cpu@0", "device_type", "cpu");
	t_strings(&t, "/cpus/cpu@0", "enable-method", "psci");
	assert_int_equal(cell(&t, "/cpus", "#address-cells", 0), 1);
	assert_int_equal(cell(&t, "/cpus/cpu@f", "reg", 0), 15);
	assert_int_equal(cell(&t, "/cpus/cpu@100", "reg", 0), 0x100);

	t_strings(&t, "/psci", "compatible", "arm,psci-0.2");
	t_strings(&t, "/psci", "method", "hvc");

	t_strings(&t, "/intc@3fff0000", "compatible", "arm,gic-v3");
	assert_int_equal(cell(&t, "/intc@3fff0000", "#interrupt-cells", 0), 3);
	assert_true(has(&t, "/intc@3fff0000", "interrupt-controller"));
	assert_int_equal(cells(&t, "/intc@3fff0000", "reg", 0), 0x3fff0000);
	assert_int_equal(cells(&t, "/intc@3fff0000", "reg", 4), 0x3fff0000 - 17 * 0x20000);
	assert_int_equal(cells(&t, "/intc@3fff0000", "reg", 6), 17 * 0x20000);

	t_strings(&t, "/timer", "compatible", "arm,armv8-timer");
	assert_true(has(&t, "/timer", "always-on"));
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(cell(&t, "/timer", "interrupts", 3 * i), 1);
	assert_int_equal(cell(&t, "/timer", "interrupts", 1), 13);
	assert_int_equal(cell(&t, "/timer", "interrupts", 4), 14);
	assert_int_equal(cell(&t, "/timer", "interrupts", 7), 11);
	assert_int_equal(cell(&t, "/timer", "interrupts", 10), 10);
	assert_false(has(&t, "/timer", "clock-frequency"));

	t_strings(&t, "/chosen", "bootargs", "console=ttyS0 quiet");
	assert_int_equal(cells(&t, "/chosen", "linux,initrd-end", 0) -
			 cells(&t, "/chosen", "linux,initrd-start", 0), 6);
	assert_memory_equal(fake_host(t.fake, cells(&t, "/chosen", "linux,initrd-start", 0)),
			    "initrd", 6);
	assert_false(is_there(&t, "/pmu"));
	t_down(&t);
}

static void test_tree_leads_to_the_console(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	const char *path;
	int uart;

	(void)state;
	t_up(&t);
	path = fdt_get_alias(t.dtb, fdt_getprop(t.dtb, node(&t, "/chosen"), "stdout-path", NULL));
	assert_non_null(path);
	uart = node(&t, path);
	assert_int_equal(fdt_node_check_compatible(t.dtb, uart, "ns16550a"), 0);
	assert_int_equal(cells(&t, path, "reg", 0), 0x1000000);
	assert_true(is_there(&t, "/rtc@1010000"));
	t_strings(&t, "/rtc@1010000", "compatible", "arm,pl031");
	t_strings(&t, "/rtc@1010000", "compatible", "arm,primecell");
	t_down(&t);
}

/* The clock that kvmtool's firmware looks for is there with firmware, and then only. */
static void test_tree_of_firmware_has_its_clock(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t_up(&t);
	assert_false(is_there(&t, "/rtc@1013000"));
	t_down(&t);
	t = t_machine(&fake_server);
	t.boot.flags |= VMM_BOOT_F_FIRMWARE;
	t.nr_rngs = VM_MAX_DEVICES;
	t.machine.virtio = VMM_VIRTIO_MMIO;
	t_up(&t);
	t_strings(&t, "/rtc@1013000", "compatible", "motorola,mc146818");
	assert_int_equal(cells(&t, "/rtc@1013000", "reg", 0), 0x1013000);
	t_strings(&t, "/rtc@1010000", "compatible", "arm,pl031");
	t_down(&t);
}

/* Firmware is told of 48 bits of address at most, where the kernel lets us; Linux of all. */
static void test_firmware_gets_no_more_than_48_bits(void **state)
{
	static const struct {
		u64	mmfr0;
		bool	firmware;
		bool	less_pa;
		u64	told;
		bool	warned;
	} cases[] = {
		{ 0x101126, true, true, 0x101125, false },
		{ 0x101127, true, true, 0x101125, false },
		{ 0x101126, true, false, 0x101126, true },
		{ 0x101126, false, true, 0x101126, false },
		{ 0x101125, true, false, 0x101125, false },
		{ 0x101122, true, true, 0x101122, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_profile profile = fake_server;
		struct t_log log = T_LOG_INIT;
		struct t_machine t;

		profile.mmfr0 = cases[i].mmfr0;
		profile.less_pa = cases[i].less_pa;
		t = t_machine(&profile);
		t.cfg.log = t_log;
		t.cfg.opaque = &log;
		t.cfg.log_level = VMM_LOG_WARN;
		t.cfg.vcpus = 2;
		t.boot.flags |= cases[i].firmware ? VMM_BOOT_F_FIRMWARE : 0;
		t_up(&t);
		assert_int_equal(fake_reg(t.fake, 0, REG_ID_AA64MMFR0_EL1), cases[i].told);
		assert_int_equal(t_logged(&log, "more than 48 bits"), cases[i].warned);
		t_down(&t);
	}
}

/* Interrupts of SPIs are there once, and in the range that KVM was told. */
static void test_tree_gives_each_line_once(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	bool seen[32] = { false };
	int off = 0;
	u32 nr = 0;

	(void)state;
	t.nr_rngs = VM_MAX_DEVICES;
	t.machine.virtio = VMM_VIRTIO_MMIO;
	t_up(&t);
	while ((off = fdt_next_node(t.dtb, off, NULL)) >= 0) {
		int len = 0;
		const fdt32_t *p = fdt_getprop(t.dtb, off, "interrupts", &len);

		for (int i = 0; p && i + 3 <= len / 4; i += 3) {
			u32 spi = fdt32_to_cpu(p[i + 1]);

			if (fdt32_to_cpu(p[i]))
				continue;
			assert_in_range(spi, 0, 31);
			assert_false(seen[spi]);
			seen[spi] = true;
			nr++;
		}
	}
	assert_true(nr >= 3 + VM_MAX_DEVICES);
	t_down(&t);
}

/* Every reg of a device lies where the bus or KVM answers, and no two overlap. */
static void test_tree_gives_each_address_once(void **state)
{
	struct { u64 base; u64 size; } ranges[64];
	struct t_machine t = t_machine(&fake_server);
	size_t nr = 0;
	int off = 0;

	(void)state;
	t.machine.irqchip = VMM_IRQCHIP_GICV3_ITS;
	t.nr_rngs = VM_MAX_DEVICES;
	t.machine.virtio = VMM_VIRTIO_MMIO;
	t_up(&t);
	while ((off = fdt_next_node(t.dtb, off, NULL)) >= 0) {
		int len = 0;
		const u8 *p = fdt_getprop(t.dtb, off, "reg", &len);

		if (!strncmp(fdt_get_name(t.dtb, off, NULL), "cpu@", 4))
			continue;
		/* Of two cells each, and aligned as one is. */
		for (int i = 0; p && i + 16 <= len; i += 16) {
			ranges[nr].base = fdt64_ld((const fdt64_t *)(p + i));
			ranges[nr].size = fdt64_ld((const fdt64_t *)(p + i + 8));
			for (size_t j = 0; j < nr; j++)
				assert_false(ranges[nr].base < ranges[j].base + ranges[j].size &&
					     ranges[j].base < ranges[nr].base + ranges[nr].size);
			nr++;
			assert_true(nr < ARRAY_SIZE(ranges));
		}
	}
	assert_true(nr >= 6 + VM_MAX_DEVICES);
	t_down(&t);
}

/* PCI: a bridge, whose functions have lines of their own, and an ITS to send to. */
static void test_tree_tells_of_pci(void **state)
{
	static const char path[] = "/pci@40000000";
	struct t_machine t = t_machine(&fake_server);
	struct t_machine u = t_machine(&fake_board);
	struct t_machine v = t_machine(&fake_server);
	int len;

	(void)state;
	t.nr_rngs = 5;
	t_up(&t);
	t_strings(&t, path, "compatible", "pci-host-ecam-generic");
	assert_int_equal(cells(&t, path, "reg", 0), 0x40000000);
	assert_int_equal(cells(&t, path, "reg", 2), MIB(1));
	assert_non_null(fdt_getprop(t.dtb, node(&t, path), "interrupt-map", &len));
	assert_int_equal(len, 5 * 10 * 4);
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(cell(&t, path, "interrupt-map", i * 10), i << 11);
		assert_int_equal(cell(&t, path, "interrupt-map", i * 10 + 8), 8 + i);
	}
	assert_true(has(&t, path, "msi-map"));
	assert_true(find(&t, 0, KVM_CREATE_DEVICE, KVM_DEV_TYPE_ARM_VGIC_ITS) >= 0);
	t_down(&t);
	/* No ITS on that host, and none wanted on this. */
	u.nr_rngs = 1;
	t_up(&u);
	assert_true(is_there(&u, path));
	assert_false(has(&u, path, "msi-map"));
	t_down(&u);
	v.nr_rngs = 1;
	v.machine.irqchip = VMM_IRQCHIP_GICV3;
	t_up(&v);
	assert_false(has(&v, path, "msi-map"));
	assert_int_equal(find(&v, 0, KVM_CREATE_DEVICE, KVM_DEV_TYPE_ARM_VGIC_ITS), -1);
	t_down(&v);
}

static void test_tree_of_gicv2_and_its(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	struct t_machine u = t_machine(&fake_server);

	(void)state;
	t.machine.irqchip = VMM_IRQCHIP_GICV2;
	t_up(&t);
	t_strings(&t, "/intc@3fff0000", "compatible", "arm,cortex-a15-gic");
	assert_int_equal(cells(&t, "/intc@3fff0000", "reg", 4), 0x3ffd0000);
	t_down(&t);
	u.machine.irqchip = VMM_IRQCHIP_GICV3_ITS;
	u.cfg.vcpus = 2;
	t_up(&u);
	t_strings(&u, "/intc@3fff0000/msi-controller@3ff90000", "compatible", "arm,gic-v3-its");
	t_down(&u);
}

static void test_tree_of_one_cpu_needs_no_psci_to_start_it(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.machine.cntfrq = 1000000;
	t_up(&t);
	assert_false(has(&t, "/cpus/cpu@0", "enable-method"));
	assert_int_equal(cell(&t, "/timer", "clock-frequency", 0), 1000000);
	t_down(&t);
}

static void test_tree_tells_of_the_pmu(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.machine.flags = VMM_MACHINE_F_PMU;
	t_up(&t);
	t_strings(&t, "/pmu", "compatible", "arm,armv8-pmuv3");
	assert_int_equal(cell(&t, "/pmu", "interrupts", 0), 1);
	assert_int_equal(cell(&t, "/pmu", "interrupts", 1), 7);
	t_down(&t);
}

static void test_seeds_are_random_or_chosen_or_none(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	struct t_machine u = t_machine(&fake_server);
	struct t_machine v = t_machine(&fake_server);

	(void)state;
	t_up(&t);
	t.machine.flags = 0;
	assert_true(has(&t, "/chosen", "rng-seed"));
	assert_true(has(&t, "/chosen", "kaslr-seed"));
	u.machine.flags = VMM_MACHINE_F_KASLR_SEED;
	u.machine.kaslr_seed = 0x1122334455667788;
	t_up(&u);
	assert_true(cells(&u, "/chosen", "kaslr-seed", 0) == 0x1122334455667788);
	assert_memory_not_equal(fdt_getprop(t.dtb, node(&t, "/chosen"), "rng-seed", NULL),
				fdt_getprop(u.dtb, node(&u, "/chosen"), "rng-seed", NULL), 64);
	v.machine.flags = VMM_MACHINE_F_NO_SEED;
	t_up(&v);
	assert_false(has(&v, "/chosen", "rng-seed"));
	assert_false(has(&v, "/chosen", "kaslr-seed"));
	t_down(&t);
	t_down(&u);
	t_down(&v);
}

static void test_tree_with_a_long_command_line(void **state)
{
	struct t_machine t = t_machine(&fake_server);
	struct t_machine u = t_machine(&fake_server);
	const size_t len = MIB(3);
	char *text = malloc(len);

	(void)state;
	memset(text, 'a', len);
	text[40000] = '\0';
	t.boot.cmdline = text;
	t_up(&t);
	assert_string_equal(fdt_getprop(t.dtb, node(&t, "/chosen"), "bootargs", NULL), text);
	t_down(&t);
	/* What does not fit is an error, and not a tree that is cut. */
	text[40000] = 'a';
	text[len - 1] = '\0';
	u.boot.cmdline = text;
	assert_int_equal(t_try(&u), -ENOSPC);
	assert_true(u.err.msg[0]);
	t_down(&u);
	free(text);
}

/* ---- Kernels ---------------------------------------------------------------------------------- */

static void test_overlays_are_merged_in_their_order(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.overlays[0] = overlay_file("/chosen", "ours", "one");
	t.overlays[1] = overlay_file("/chosen/ours", "below", "two");
	t.nr_overlays = 2;
	t_up(&t);
	assert_string_equal(fdt_getprop(t.dtb, node(&t, "/chosen/ours"), "text", NULL), "one");
	assert_string_equal(fdt_getprop(t.dtb, node(&t, "/chosen/ours/below"), "text", NULL), "two");
	t_down(&t);
}

static void test_overlay_that_cannot_be_merged_is_refused(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	t.overlays[0] = overlay_file("/chosen", "ours", "one");
	t.overlays[1] = overlay_file("/theirs", "below", "two");
	t.nr_overlays = 2;
	assert_int_equal(t_try(&t), -ENOEXEC);
	assert_non_null(strstr(t.err.msg, "overlay 1: it refers to a node"));
	t_down(&t);
	t = t_machine(&fake_server);
	t.overlays[0] = overlay_file("/chosen", "ours", "one");
	t.nr_overlays = 1;
	assert_int_equal(ftruncate(t.overlays[0], VMM_OVERLAY_MAX + 1), 0);
	assert_int_equal(t_try(&t), -ENOEXEC);
	assert_string_equal(t.err.msg, "overlay 0: it has more than 65536 bytes");
	t_down(&t);
}

static void test_kernel_that_is_none_is_refused(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	close(t.boot.kernel_fd);
	t.boot.kernel_fd = t_file("", 0);
	assert_int_equal(t_try(&t), -ENOEXEC);
	assert_non_null(strstr(t.err.msg, "kernel"));
	t_down(&t);
}

static void test_kernel_that_does_not_fit_is_refused(void **state)
{
	struct t_machine t = t_machine(&fake_server);

	(void)state;
	assert_int_equal(ftruncate(t.boot.kernel_fd, 64 << 20), 0);
	assert_int_equal(t_try(&t), -EFBIG);
	t_down(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bring_up_has_its_order),
		cmocka_unit_test(test_failures_of_no_call_are_swallowed),
		cmocka_unit_test(test_features_are_what_kvm_offers),
		cmocka_unit_test(test_features_can_be_refused),
		cmocka_unit_test(test_shared_ram_has_no_tags),
		cmocka_unit_test(test_nested_guest_has_el2),
		cmocka_unit_test(test_vector_length_can_be_limited),
		cmocka_unit_test(test_address_space_is_as_small_as_it_can_be),
		cmocka_unit_test(test_first_registers_are_those_of_the_boot_protocol),
		cmocka_unit_test(test_what_the_host_lacks_is_refused_by_name),
		cmocka_unit_test(test_its_that_is_missing_is_refused),
		cmocka_unit_test(test_vector_length_below_the_least_is_refused),
		cmocka_unit_test(test_gicv2_serves_where_there_is_no_gicv3),
		cmocka_unit_test(test_tree_tells_of_the_machine),
		cmocka_unit_test(test_tree_leads_to_the_console),
		cmocka_unit_test(test_tree_of_firmware_has_its_clock),
		cmocka_unit_test(test_firmware_gets_no_more_than_48_bits),
		cmocka_unit_test(test_tree_gives_each_line_once),
		cmocka_unit_test(test_tree_gives_each_address_once),
		cmocka_unit_test(test_tree_tells_of_pci),
		cmocka_unit_test(test_tree_of_gicv2_and_its),
		cmocka_unit_test(test_tree_of_one_cpu_needs_no_psci_to_start_it),
		cmocka_unit_test(test_tree_tells_of_the_pmu),
		cmocka_unit_test(test_seeds_are_random_or_chosen_or_none),
		cmocka_unit_test(test_tree_with_a_long_command_line),
		cmocka_unit_test(test_overlays_are_merged_in_their_order),
		cmocka_unit_test(test_overlay_that_cannot_be_merged_is_refused),
		cmocka_unit_test(test_kernel_that_is_none_is_refused),
		cmocka_unit_test(test_kernel_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
