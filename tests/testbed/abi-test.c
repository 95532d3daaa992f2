/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abi-test.c - KVM's interface for SPE in guests, call by call, without a VMM
 *
 *   abi-test [fail-entry | enoexec]
 *
 * Runs in the test bed's machine and speaks TAP: the error codes that its README.md
 * promises; what guests with and without the feature see; a buffer whose pages are
 * not there, not writable, or no memory; the level of the interrupt.  The argument is
 * what a wrong CPU looks like.  SPE has to be on CPUs 2-3.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_VCPUS	2
#define RAM		0x80000000ull
#define RAM_SIZE	0x400000ull
#define BUFFER		(RAM + 0x100000)	/* never touched but by SPE */
#define ROM		0x90000000ull		/* the same, read-only for the guest */
#define ROM_SIZE	0x10000ull
#define NOTHING		0xa0000000ull
#define REPORT		0x10000000ull		/* nothing there: a store comes out as MMIO */
#define PPI		21
#define NR_REPORTS	8
#define PATIENCE_S	3

#define SPE		(1u << KVM_ARM_VCPU_SPE)
#define PSCI		(1u << KVM_ARM_VCPU_PSCI_0_2)
#define PMU		(1u << KVM_ARM_VCPU_PMU_V3)
#define EL1_32BIT	(1u << KVM_ARM_VCPU_EL1_32BIT)

/* A field of struct kvm_regs */
#define CORE_REG(at)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (at) / sizeof(__u32))
#define REG_PC		CORE_REG(offsetof(struct kvm_regs, regs.pc))
#define REG_X(n)	CORE_REG(offsetof(struct kvm_regs, regs.regs) + 8 * (n))
#define REG_DFR0	ARM64_SYS_REG(3, 0, 0, 5, 0)
#define PMSVER(dfr0)	((dfr0) >> 32 & 15)

#define PMBSR_COLL	(1ull << 16)
#define PMBSR_S		(1ull << 17)
#define PMBSR_EA	(1ull << 18)
#define PMBSR_EC(v)	((v) >> 26 & 0x3f)

/*
 * The guest.  `registers` reads what belongs to SPE, one after the other, and reports
 * how many of them are undefined.  `profile` profiles itself into a buffer at x0 that
 * ends at x1, for x2 iterations of two instructions, and reports PMBPTR_EL1, PMBSR_EL1
 * and, after that is cleared, that it is done.
 */
extern const char guest[], guest_end[], registers[], profile[];
__asm__(".pushsection .rodata\n"
	".globl guest, guest_end, registers, profile\n"
	".balign 2048\n"
	"guest:\n"
	".org guest + 0x200\n"		/* exception from EL1: skip what is undefined */
	"	mrs	x12, esr_el1\n"
	"	lsr	x12, x12, #26\n"
	"	cbnz	x12, 1f\n"
	"	add	x10, x10, #1\n"
	"	mrs	x12, elr_el1\n"
	"	add	x12, x12, #4\n"
	"	msr	elr_el1, x12\n"
	"	eret\n"
	"1:	str	x12, [x9, #56]\n"
	"	b	1b\n"
	".org guest + 0x800\n"
	"registers:\n"
	"	adr	x12, guest\n"
	"	msr	vbar_el1, x12\n"
	"	isb\n"
	"	mov	x9, #0x10000000\n"
	"	mov	x10, #0\n"
	"	mrs	x11, S3_0_C9_C9_0\n"
	"	mrs	x11, S3_0_C9_C9_1\n"	/* PMSNEVFR_EL1, of SPEv1.2 */
	"	mrs	x11, S3_0_C9_C9_2\n"
	"	mrs	x11, S3_0_C9_C9_3\n"
	"	mrs	x11, S3_0_C9_C9_4\n"
	"	mrs	x11, S3_0_C9_C9_5\n"
	"	mrs	x11, S3_0_C9_C9_6\n"
	"	mrs	x11, S3_0_C9_C9_7\n"
	"	mrs	x11, S3_0_C9_C10_0\n"
	"	mrs	x11, S3_0_C9_C10_1\n"
	"	mrs	x11, S3_0_C9_C10_3\n"
	"	str	x10, [x9]\n"
	"	mrs	x11, id_aa64dfr0_el1\n"
	"	str	x11, [x9, #8]\n"
	"	b	.\n"
	"profile:\n"
	"	mov	x9, #0x10000000\n"
	"	msr	S3_0_C9_C10_1, x0\n"	/* PMBPTR_EL1 */
	"	mov	x12, #1\n"
	"	orr	x1, x1, x12\n"
	"	msr	S3_0_C9_C10_0, x1\n"	/* PMBLIMITR_EL1.E */
	"	mov	x12, #1024\n"
	"	msr	S3_0_C9_C9_3, x12\n"	/* PMSIRR_EL1 */
	"	msr	S3_0_C9_C9_4, xzr\n"	/* PMSFCR_EL1 */
	"	msr	S3_0_C9_C9_2, x12\n"	/* PMSICR_EL1 */
	"	isb\n"
	"	mov	x12, #2\n"
	"	msr	S3_0_C9_C9_0, x12\n"	/* PMSCR_EL1.E1SPE */
	"	isb\n"
	"2:	subs	x2, x2, #1\n"
	"	b.ne	2b\n"
	"	msr	S3_0_C9_C9_0, xzr\n"
	"	isb\n"
	"	hint	#17\n"			/* PSB CSYNC */
	"	dsb	nsh\n"
	"	isb\n"
	"	mrs	x11, S3_0_C9_C10_1\n"
	"	str	x11, [x9]\n"
	"	mrs	x11, S3_0_C9_C10_3\n"
	"	str	x11, [x9, #8]\n"
	"	msr	S3_0_C9_C10_3, xzr\n"
	"	msr	S3_0_C9_C10_0, xzr\n"
	"	isb\n"
	"	str	xzr, [x9, #16]\n"
	"	b	.\n"
	"guest_end:\n"
	".popsection\n");

struct vm {
	int kvm, fd, gic;
	int vcpu[NR_VCPUS];
	struct kvm_run *run;
	size_t run_size;
	uint8_t *ram, *rom;
};

static unsigned int nr_tests, nr_failed;
static int spu_type;

static bool ok(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++nr_tests, what);
	nr_failed += !good;
	return good;
}

static void is(long long got, long long want, const char *what)
{
	if (!ok(got == want, what))
		printf("# got %lld (%#llx), want %lld (%#llx)\n", got, got, want, want);
}

/* What a call returned that shall fail with @want; 0: succeed. */
static void gives(int ret, int want, const char *what)
{
	int got = ret < 0 ? errno : 0;

	if (!ok(got == want, what))
		printf("# got %s, want %s\n", got ? strerror(got) : "success",
		       want ? strerror(want) : "success");
}

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void stand_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	need(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void add_slot(struct vm *vm, unsigned int slot, uint64_t at, void *mem, uint64_t size,
		     unsigned int flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = at, .memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	need(!ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static void open_vm(struct vm *vm)
{
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	need(vm->kvm >= 0, "/dev/kvm");
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	need(vm->fd >= 0, "KVM_CREATE_VM");
	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	vm->rom = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(vm->ram != MAP_FAILED && vm->rom != MAP_FAILED, "mmap");
	/* Nothing may be mapped but what was touched. */
	madvise(vm->ram, RAM_SIZE, MADV_NOHUGEPAGE);
	memcpy(vm->ram, guest, (size_t)(guest_end - guest));
	add_slot(vm, 0, RAM, vm->ram, RAM_SIZE, 0);
	add_slot(vm, 1, ROM, vm->rom, ROM_SIZE, KVM_MEM_READONLY);
	for (int i = 0; i < NR_VCPUS; i++) {
		vm->vcpu[i] = ioctl(vm->fd, KVM_CREATE_VCPU, i);
		need(vm->vcpu[i] >= 0, "KVM_CREATE_VCPU");
	}
	vm->run_size = (size_t)ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu[0], 0);
	need(vm->run != MAP_FAILED, "mmap of the vCPU");
	vm->gic = -1;
}

static void close_vm(struct vm *vm)
{
	munmap(vm->run, vm->run_size);
	for (int i = 0; i < NR_VCPUS; i++)
		close(vm->vcpu[i]);
	if (vm->gic >= 0)
		close(vm->gic);
	close(vm->fd);
	close(vm->kvm);
	munmap(vm->ram, RAM_SIZE);
	munmap(vm->rom, ROM_SIZE);
}

static int init_vcpu(const struct vm *vm, int vcpu, unsigned int features)
{
	struct kvm_vcpu_init init;

	need(!ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = features;
	return ioctl(vm->vcpu[vcpu], KVM_ARM_VCPU_INIT, &init);
}

static void init_vcpus(const struct vm *vm, unsigned int features)
{
	for (int i = 0; i < NR_VCPUS; i++)
		need(!init_vcpu(vm, i, features), "KVM_ARM_VCPU_INIT");
}

static void set_gic(const struct vm *vm, unsigned int group, uint64_t attr, uint64_t val)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)&val };

	need(!ioctl(vm->gic, KVM_SET_DEVICE_ATTR, &a), "KVM_SET_DEVICE_ATTR of the GIC");
}

static void create_gic(struct vm *vm)
{
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };

	need(!ioctl(vm->fd, KVM_CREATE_DEVICE, &dev), "KVM_CREATE_DEVICE");
	vm->gic = (int)dev.fd;
	set_gic(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x08000000);
	set_gic(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, 0x080a0000);
}

static void init_gic(const struct vm *vm)
{
	set_gic(vm, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
}

/* Is vCPU 0's line raised? */
static bool raised(const struct vm *vm)
{
	uint32_t val = 0;
	struct kvm_device_attr a = {
		.group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
		.attr = VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT,
		.addr = (uintptr_t)&val,
	};

	need(!ioctl(vm->gic, KVM_GET_DEVICE_ATTR, &a), "the levels of the GIC's lines");
	return val >> PPI & 1;
}

static int attr_call(const struct vm *vm, int vcpu, unsigned long call, unsigned int group,
		     uint64_t attr, void *addr)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)addr };

	return ioctl(vm->vcpu[vcpu], call, &a);
}

static int spe_has(const struct vm *vm, uint64_t attr)
{
	return attr_call(vm, 0, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, attr, NULL);
}

static int spe_set(const struct vm *vm, int vcpu, uint64_t attr, int val)
{
	return attr_call(vm, vcpu, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, attr, &val);
}

static int spe_get(const struct vm *vm, uint64_t attr, int *val)
{
	return attr_call(vm, 0, KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, attr, val);
}

/* Of KVM's debugfs. */
static long statistic(const struct vm *vm, const char *name)
{
	char path[128];
	long val = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s", getpid(), vm->fd, name);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &val) != 1)
		val = -1;
	if (f)
		fclose(f);
	return val;
}

static void set_reg(const struct vm *vm, uint64_t id, uint64_t val)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };

	need(!ioctl(vm->vcpu[0], KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static uint64_t get_reg(const struct vm *vm, uint64_t id)
{
	uint64_t val = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };

	need(!ioctl(vm->vcpu[0], KVM_GET_ONE_REG, &reg), "KVM_GET_ONE_REG");
	return val;
}

static void start_at(struct vm *vm, const char *code)
{
	/* The store that came out last is still to be completed. */
	vm->run->immediate_exit = 1;
	if (vm->run->exit_reason == KVM_EXIT_MMIO)
		need(ioctl(vm->vcpu[0], KVM_RUN, 0) && errno == EINTR, "KVM_RUN");
	vm->run->immediate_exit = 0;
	set_reg(vm, REG_PC, RAM + (uint64_t)(code - guest));
}

/* Runs until report @last, and keeps all of them. */
static bool run_until(struct vm *vm, unsigned int last, uint64_t reports[NR_REPORTS])
{
	for (int i = 0; i < 100; i++) {
		uint64_t at;
		int ret;

		alarm(PATIENCE_S);
		ret = ioctl(vm->vcpu[0], KVM_RUN, 0);
		alarm(0);
		if (ret) {
			printf("# KVM_RUN: %s at %#llx\n", strerror(errno),
			       (unsigned long long)get_reg(vm, REG_PC));
			return false;
		}
		at = vm->run->mmio.phys_addr - REPORT;
		if (vm->run->exit_reason != KVM_EXIT_MMIO || at / 8 >= NR_REPORTS) {
			printf("# exit %u\n", vm->run->exit_reason);
			return false;
		}
		memcpy(&reports[at / 8], vm->run->mmio.data, 8);
		if (at / 8 == last)
			return true;
	}
	return false;
}

static void open_ready(struct vm *vm)
{
	open_vm(vm);
	init_vcpus(vm, SPE | PSCI);
	create_gic(vm);
	init_gic(vm);
	for (int i = 0; i < NR_VCPUS; i++)
		need(!spe_set(vm, i, KVM_ARM_VCPU_SPE_IRQ, PPI) &&
		     !spe_set(vm, i, KVM_ARM_VCPU_SPE_SPU, spu_type) &&
		     !spe_set(vm, i, KVM_ARM_VCPU_SPE_INIT, 0), "KVM_ARM_VCPU_SPE_CTRL");
}

static void test_features(void)
{
	struct vm vm;

	open_vm(&vm);
	ok(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_SPE) > 0, "KVM_CAP_ARM_SPE of a VM");
	ok(ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_SPE) > 0, "... and of the system");
	gives(init_vcpu(&vm, 0, 1u << 7 | PSCI), ENOENT, "KVM_ARM_VCPU_INIT with bit 7: ENOENT");
	gives(init_vcpu(&vm, 0, 1u << 15 | PSCI), ENOENT, "... bit 15: ENOENT");
	gives(init_vcpu(&vm, 0, 1u << 17 | PSCI), ENOENT, "... bit 17: ENOENT");
	gives(init_vcpu(&vm, 0, SPE | EL1_32BIT), EINVAL, "... SPE and 32-bit EL1: EINVAL");
	gives(init_vcpu(&vm, 0, SPE | PSCI), 0, "... SPE");
	gives(init_vcpu(&vm, 1, PSCI), EINVAL, "... not for the second vCPU then: EINVAL");
	gives(init_vcpu(&vm, 1, SPE | PSCI), 0, "... for both");
	close_vm(&vm);
}

static void test_without(void)
{
	uint64_t reports[NR_REPORTS] = { 0 };
	struct vm vm;
	int val;

	open_vm(&vm);
	init_vcpus(&vm, PSCI);
	create_gic(&vm);
	gives(spe_has(&vm, KVM_ARM_VCPU_SPE_IRQ), ENXIO, "without the feature: has IRQ: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), ENXIO, "... set IRQ: ENXIO");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_IRQ, &val), ENXIO, "... get IRQ: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_SPU, spu_type), ENXIO, "... set SPU: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), ENXIO, "... set INIT: ENXIO");
	init_gic(&vm);
	is((long long)PMSVER(get_reg(&vm, REG_DFR0)), 0, "... ID_AA64DFR0_EL1.PMSVer is 0");
	start_at(&vm, registers);
	ok(run_until(&vm, 1, reports), "... it runs");
	is((long long)reports[0], 11, "... each of the 11 registers is undefined");
	is((long long)PMSVER(reports[1]), 0, "... PMSVer is 0 in the guest");
	stand_on(0);
	start_at(&vm, registers);
	ok(run_until(&vm, 1, reports), "... on a CPU without SPE too");
	stand_on(2);
	close_vm(&vm);

	open_vm(&vm);
	init_vcpus(&vm, SPE | PSCI);
	gives(spe_has(&vm, KVM_ARM_VCPU_SPE_IRQ), ENXIO, "without a GIC: has IRQ: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), ENXIO, "... set IRQ: ENXIO");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_IRQ, &val), ENXIO, "... get IRQ: ENXIO");
	close_vm(&vm);
}

static void test_attributes(void)
{
	struct vm vm;
	int val = -1;

	open_vm(&vm);
	init_vcpus(&vm, SPE | PSCI);
	create_gic(&vm);
	gives(spe_has(&vm, KVM_ARM_VCPU_SPE_IRQ), 0, "has IRQ");
	gives(spe_has(&vm, KVM_ARM_VCPU_SPE_INIT), 0, "has INIT");
	gives(spe_has(&vm, KVM_ARM_VCPU_SPE_SPU), 0, "has SPU");
	gives(spe_has(&vm, 3), ENXIO, "has another: ENXIO");
	gives(spe_set(&vm, 0, 3, 0), ENXIO, "set another: ENXIO");
	gives(spe_get(&vm, 3, &val), ENXIO, "get another: ENXIO");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_IRQ, &val), ENXIO, "get IRQ before it is set: ENXIO");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_SPU, &val), ENXIO, "get SPU before it is set: ENXIO");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_INIT, &val), ENXIO, "get INIT: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), ENXIO, "INIT before IRQ: ENXIO");

	gives(attr_call(&vm, 0, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, KVM_ARM_VCPU_SPE_IRQ, NULL),
	      EFAULT, "set IRQ from nowhere: EFAULT");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, 15), EINVAL, "IRQ: an SGI: EINVAL");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, 32), EINVAL, "IRQ: an SPI: EINVAL");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, -1), EINVAL, "IRQ: -1: EINVAL");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), 0, "IRQ");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), EBUSY, "... twice: EBUSY");
	gives(spe_set(&vm, 1, KVM_ARM_VCPU_SPE_IRQ, PPI + 1), EINVAL, "... another for another vCPU: EINVAL");
	gives(spe_set(&vm, 1, KVM_ARM_VCPU_SPE_IRQ, PPI), 0, "... the same");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_IRQ, &val), 0, "get IRQ");
	is(val, PPI, "... what was set");
	gives(attr_call(&vm, 0, KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, KVM_ARM_VCPU_SPE_IRQ, NULL),
	      EFAULT, "... to nowhere: EFAULT");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), ENXIO, "INIT before SPU: ENXIO");

	gives(attr_call(&vm, 0, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_SPE_CTRL, KVM_ARM_VCPU_SPE_SPU, NULL),
	      EFAULT, "set SPU from nowhere: EFAULT");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_SPU, 100000), ENXIO, "SPU: of no instance: ENXIO");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_SPU, spu_type), 0, "SPU");
	gives(spe_set(&vm, 1, KVM_ARM_VCPU_SPE_SPU, spu_type), 0, "... the same for another vCPU");
	gives(spe_get(&vm, KVM_ARM_VCPU_SPE_SPU, &val), 0, "get SPU");
	is(val, spu_type, "... what was set");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), ENXIO, "INIT before the GIC's: ENXIO");

	init_gic(&vm);
	gives(ioctl(vm.vcpu[0], KVM_RUN, 0), EINVAL, "KVM_RUN before INIT: EINVAL");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), 0, "INIT");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), EBUSY, "... twice: EBUSY");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), EBUSY, "IRQ after INIT: EBUSY");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_SPU, spu_type), EBUSY, "SPU after INIT: EBUSY");
	close_vm(&vm);

	/* Two owners of an interrupt */
	val = PPI;
	open_vm(&vm);
	init_vcpus(&vm, SPE | PMU | PSCI);
	create_gic(&vm);
	init_gic(&vm);
	gives(attr_call(&vm, 0, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ,
			&val), 0, "the PMU takes the PPI");
	gives(attr_call(&vm, 0, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT,
			NULL), 0, "... and owns it");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_IRQ, PPI), 0, "SPE takes the same");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_SPU, spu_type), 0, "... with an SPU");
	gives(spe_set(&vm, 0, KVM_ARM_VCPU_SPE_INIT, 0), ENXIO, "... INIT: ENXIO");
	close_vm(&vm);
}

static void test_with(void)
{
	uint64_t reports[NR_REPORTS] = { 0 };
	struct vm vm;

	open_ready(&vm);
	is((long long)PMSVER(get_reg(&vm, REG_DFR0)), 1, "ID_AA64DFR0_EL1.PMSVer");
	start_at(&vm, registers);
	ok(run_until(&vm, 1, reports), "a guest with the feature runs");
	is((long long)reports[0], 1, "... one register is undefined, that of SPEv1.2");
	is((long long)PMSVER(reports[1]), 1, "... PMSVer is 1 in the guest");
	close_vm(&vm);
}

static void profile_into(struct vm *vm, uint64_t from, uint64_t size, uint64_t iterations,
			 uint64_t reports[NR_REPORTS])
{
	set_reg(vm, REG_X(0), from);
	set_reg(vm, REG_X(1), from + size);
	set_reg(vm, REG_X(2), iterations);
	start_at(vm, profile);
	ok(run_until(vm, 1, reports), "... the guest profiles itself");
}

/* All records from @at on that begin with a PC of the guest's at EL1. */
static unsigned int records(const uint8_t *at, size_t size)
{
	unsigned int n = 0;
	uint64_t pc;

	for (; size >= 64; at += 64, size -= 64) {
		memcpy(&pc, at + 1, sizeof(pc));
		n += at[0] == 0xb0 && (pc >> 61 & 3) == 1 && (pc & 0xffffffffffffff) >= RAM &&
		     (pc & 0xffffffffffffff) < RAM + RAM_SIZE;
	}
	return n;
}

/* 512 iterations are 1024 instructions, so a sample. */
static void test_buffer(void)
{
	uint64_t reports[NR_REPORTS] = { 0 };
	uint8_t *buffer;
	struct vm vm;
	long exits;

	open_ready(&vm);
	buffer = vm.ram + (BUFFER - RAM);
	printf("# a buffer whose pages are not there yet\n");
	profile_into(&vm, BUFFER, 8192, 512 * 40, reports);
	/* The one that met no page is lost, and the guest told so. */
	is((long long)(reports[0] - BUFFER), 39 * 64, "... all of 40 samples but one are written");
	is(records(buffer, 8192), 39, "... and are records");
	is((long long)reports[1], (long long)PMBSR_COLL, "... PMBSR_EL1.COLL");
	is(statistic(&vm, "spe_s2_faults"), 1, "... after one fault at stage 2");
	is(statistic(&vm, "spe_irqs"), 0, "... and no interrupt");
	ok(!raised(&vm), "... the line is low");
	ok(run_until(&vm, 2, reports), "... and done");

	printf("# the same, the page being taken away between two runs\n");
	need(!madvise(buffer, 8192, MADV_DONTNEED), "MADV_DONTNEED");
	profile_into(&vm, BUFFER, 8192, 512 * 40, reports);
	is(records(buffer, 8192), 39, "... records");
	is(statistic(&vm, "spe_s2_faults"), 2, "... after another fault");
	ok(run_until(&vm, 2, reports), "... and done");

	printf("# full\n");
	exits = statistic(&vm, "exits");
	profile_into(&vm, BUFFER, 4096, 5000000, reports);
	exits = statistic(&vm, "exits") - exits;
	is((long long)reports[1], (long long)(PMBSR_S | 1), "... PMBSR_EL1: S, buffer full");
	is((long long)(reports[0] - BUFFER), 4096, "... PMBPTR_EL1");
	is(statistic(&vm, "spe_irqs"), 1, "... one interrupt");
	ok(raised(&vm), "... the line is high");
	if (!ok(exits < 500, "... without a storm of exits"))
		printf("# %ld exits\n", exits);
	ok(run_until(&vm, 2, reports), "... the guest clears PMBSR_EL1.S");
	ok(!raised(&vm), "... and the line is low again");
	profile_into(&vm, BUFFER, 8192, 512 * 40, reports);
	is(records(buffer, 8192), 64, "... afterwards it works as before");
	is((long long)(reports[0] - BUFFER), 40 * 64, "... with all of 40 samples");
	ok(run_until(&vm, 2, reports), "... and done");

	printf("# memory that is read-only for the guest\n");
	profile_into(&vm, ROM, 4096, 512 * 40, reports);
	is((long long)PMBSR_EC(reports[1]), 0x24, "... PMBSR_EL1.EC: fault at stage 1");
	is((long long)(reports[1] & (PMBSR_S | PMBSR_EA | 0x3f)), (long long)(PMBSR_S | PMBSR_EA | 0x10),
	   "... external abort");
	is((long long)reports[0], (long long)ROM, "... PMBPTR_EL1 stays");
	ok(raised(&vm), "... the line is high");
	is(records(vm.rom, 4096), 0, "... and nothing is written");
	ok(run_until(&vm, 2, reports), "... the guest goes on");
	printf("# no memory\n");
	profile_into(&vm, NOTHING, 4096, 512 * 40, reports);
	is((long long)(reports[1] & (PMBSR_S | PMBSR_EA | 0x3f)), (long long)(PMBSR_S | PMBSR_EA | 0x10),
	   "... external abort");
	ok(run_until(&vm, 2, reports), "... the guest goes on");
	close_vm(&vm);
}

static void test_wrong_cpu(bool enoexec)
{
	uint64_t reports[NR_REPORTS] = { 0 };
	struct vm vm;
	int ret;

	open_ready(&vm);
	start_at(&vm, registers);
	stand_on(1);
	vm.run->exit_reason = 1000;
	ret = ioctl(vm.vcpu[0], KVM_RUN, 0);
	if (enoexec) {
		gives(ret, ENOEXEC, "KVM_RUN on a wrong CPU: ENOEXEC");
	} else {
		gives(ret, 0, "KVM_RUN on a wrong CPU returns 0");
		is(vm.run->exit_reason, KVM_EXIT_FAIL_ENTRY, "... KVM_EXIT_FAIL_ENTRY");
		is((long long)vm.run->fail_entry.hardware_entry_failure_reason,
		   KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED, "... CPU_UNSUPPORTED");
		is(vm.run->fail_entry.cpu, 1, "... and on which");
	}
	stand_on(3);
	ok(run_until(&vm, 1, reports), "... on a right one it goes on");
	is((long long)reports[0], 1, "... as if nothing had been");
	stand_on(2);
	close_vm(&vm);
}

/* Only to end a KVM_RUN */
static void on_alarm(int sig)
{
	(void)sig;
}

static int first_spu(void)
{
	int type = -1;
	FILE *f = fopen("/sys/bus/event_source/devices/arm_spe_0/type", "r");

	need(f && fscanf(f, "%d", &type) == 1, "arm_spe_0");
	fclose(f);
	return type;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	spu_type = first_spu();
	stand_on(2);
	test_features();
	test_without();
	test_attributes();
	test_with();
	test_buffer();
	test_wrong_cpu(argc > 1 && !strcmp(argv[1], "enoexec"));
	printf("1..%u\n", nr_tests);
	return nr_failed != 0;
}
