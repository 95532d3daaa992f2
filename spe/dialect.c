/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dialect.c - the interfaces that kernels have had for SPE in guests, and which
 * one this kernel has
 *
 * None of them is in Linux proper, which since has used all of their numbers but
 * the attribute group for something else: feature bit 7 is nested virtualisation,
 * group 2 stolen time, group 0 of a VM's attributes the SMCCC filter, and every
 * capability is another one's.  So no number proves anything.  A row is this
 * kernel's if all of it is there at once, on a VM made for the question, and if a
 * vCPU with the feature then reads an ID register that says SPE.  Nothing is
 * enabled to find out, and what means something else in Linux proper is not set.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spe/dialect.h"
#include "vmm/cpumask.h"
#include "vmm/error.h"
#include "vmm/kvm.h"

/*
 * The series of 2025 and after have numbers of their own, which only their
 * kernels' headers know.  Bit 7 is that of the series before, in the table below.
 */
#if defined(KVM_ARM_VCPU_SPE) && defined(KVM_ARM_VCPU_SPE_CTRL) && \
	defined(KVM_ARM_VCPU_SPE_IRQ) && defined(KVM_ARM_VCPU_SPE_INIT)
#if KVM_ARM_VCPU_SPE != 7
#define HAVE_NUMBERS
#endif
#endif

#ifdef HAVE_NUMBERS
#define H_FEATURE	KVM_ARM_VCPU_SPE
#define H_GROUP		KVM_ARM_VCPU_SPE_CTRL
#define H_IRQ		KVM_ARM_VCPU_SPE_IRQ
#define H_INIT		KVM_ARM_VCPU_SPE_INIT
#else
#define H_FEATURE	ABI_NONE
#define H_GROUP		ABI_NONE
#define H_IRQ		ABI_NONE
#define H_INIT		ABI_NONE
#endif

#if defined(HAVE_NUMBERS) && defined(KVM_CAP_ARM_SPE)
#define H_CAP		KVM_CAP_ARM_SPE
#else
#define H_CAP		ABI_NONE
#endif

#if defined(HAVE_NUMBERS) && defined(KVM_ARM_VCPU_SPE_SPU)
#define H_SPU		KVM_ARM_VCPU_SPE_SPU
#elif defined(HAVE_NUMBERS) && defined(KVM_ARM_VCPU_SPE_ASSIGN_SPU)
#define H_SPU		KVM_ARM_VCPU_SPE_ASSIGN_SPU
#else
#define H_SPU		ABI_NONE
#endif

#if defined(HAVE_NUMBERS) && defined(KVM_ARM_VCPU_MAX_BUFFER_SIZE)
#define H_SIZE		KVM_ARM_VCPU_MAX_BUFFER_SIZE
#elif defined(HAVE_NUMBERS) && defined(KVM_ARM_VCPU_SPE_MAX_BUFFER_SIZE)
#define H_SIZE		KVM_ARM_VCPU_SPE_MAX_BUFFER_SIZE
#else
#define H_SIZE		ABI_NONE
#endif

#if defined(HAVE_NUMBERS) && defined(KVM_EXIT_RLIMIT)
#define H_RLIMIT	KVM_EXIT_RLIMIT
#else
#define H_RLIMIT	ABI_NONE
#endif

/* A size or a limit is the mark of v6; without, it is v7 or a kernel that maps
 * what SPE needs by itself. */
#if defined(HAVE_NUMBERS) && \
	(defined(KVM_ARM_VCPU_MAX_BUFFER_SIZE) || \
	 defined(KVM_ARM_VCPU_SPE_MAX_BUFFER_SIZE) || defined(KVM_EXIT_RLIMIT))
#define V6(x)		(x)
#define V7(x)		ABI_NONE
#else
#define V6(x)		ABI_NONE
#define V7(x)		(x)
#endif

#define NOTHING									\
	.capability = ABI_NONE, .absent_capability = ABI_NONE,			\
	.feature_bit = ABI_NONE, .group = ABI_NONE, .irq = ABI_NONE,		\
	.init = ABI_NONE, .spu = ABI_NONE, .buffer_size = ABI_NONE,		\
	.stop = ABI_NONE, .finalize_group = ABI_NONE,				\
	.finalize_attr = ABI_NONE, .lock_capability = ABI_NONE,			\
	.cpus_capability = ABI_NONE, .cpus_ioctl = ABI_NONE,			\
	.exit_rlimit = ABI_NONE, .exit_rlimit_need = ABI_NONE,			\
	.not_ready = EINVAL

/* An initialiser may set a field twice; the later one, the row's, counts. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct spe_abi rows[] = {
	{
		/* RFC v7, 3 September 2026 */
		NOTHING,
		.name = "elisei-v7",
		.capability = V7(H_CAP),
		.feature_bit = V7(H_FEATURE),
		.group = V7(H_GROUP), .irq = V7(H_IRQ), .init = V7(H_INIT), .spu = V7(H_SPU),
		.memory = ABI_MEMORY_GUEST_MEMFD,
		.wrong_cpu = ABI_WRONG_CPU_FAIL_ENTRY,
	},
	{
		/* RFC v6, 14 November 2025 */
		NOTHING,
		.name = "elisei-v6",
		.capability = V6(H_CAP),
		.feature_bit = V6(H_FEATURE),
		.group = V6(H_GROUP), .irq = V6(H_IRQ), .init = V6(H_INIT), .spu = V6(H_SPU),
		.buffer_size = V6(H_SIZE),
		.exit_rlimit = V6(H_RLIMIT),
		.memory = ABI_MEMORY_KVM_PINS,
		.wrong_cpu = ABI_WRONG_CPU_FAIL_ENTRY,
	},
	{
		/* The attributes of v7 on a kernel that maps what SPE needs by itself. */
		NOTHING,
		.name = "plain",
		.capability = V7(H_CAP),
		.feature_bit = V7(H_FEATURE),
		.group = V7(H_GROUP), .irq = V7(H_IRQ), .init = V7(H_INIT), .spu = V7(H_SPU),
		.memory = ABI_MEMORY_NONE,
		.wrong_cpu = ABI_WRONG_CPU_FAIL_ENTRY,
	},
	{
		/* RFC v5, 17 November 2021, on 5.16-rc1 */
		NOTHING,
		.name = "elisei-v5",
		.capability = 208, .absent_capability = 206,
		.feature_bit = 7,
		.group = 3, .irq = 0, .init = 1, .stop = 2,
		.memory = ABI_MEMORY_LOCK_MEMSLOTS, .lock_capability = 207,
		.wrong_cpu = ABI_WRONG_CPU_ENOEXEC,
		.not_ready = EINVAL,
	},
	{
		/* RFC v4, 25 August 2021, on 5.14-rc5 */
		NOTHING,
		.name = "elisei-v4",
		.capability = 208,
		.feature_bit = 7,
		.group = 3, .irq = 0, .init = 1, .stop = 2,
		.memory = ABI_MEMORY_LOCK_MEMSLOTS, .lock_capability = 206,
		.cpus_capability = 207, .cpus_ioctl = 0xc5,
		.wrong_cpu = ABI_WRONG_CPU_ENOEXEC,
		.not_ready = EPERM,
	},
	{
		/* RFC v3, 27 October 2020, on 5.10-rc1: every CPU must have SPE */
		NOTHING,
		.name = "elisei-v3",
		.capability = 191,
		.feature_bit = 7,
		.group = 3, .irq = 0, .init = 1,
		.finalize_group = 0, .finalize_attr = 0,
		.memory = ABI_MEMORY_MLOCK,
		.wrong_cpu = ABI_WRONG_CPU_NONE,
		.not_ready = EPERM,
	},
	/*
	 * In the first ones nothing keeps the guest's memory mapped.  Locked
	 * memory is at least not taken away again.
	 */
	{
		/* The headers of QEMU's series v3, 15 September 2020 */
		NOTHING,
		.name = "qemu-v3",
		.capability = 184,
		.feature_bit = 7,
		.group = 3, .irq = 0, .init = 1,
		.memory = ABI_MEMORY_MLOCK,
		.wrong_cpu = ABI_WRONG_CPU_NONE,
	},
	{
		/* Andrew Murray, v2, 20 December 2019, on 5.5-rc2 */
		NOTHING,
		.name = "murray-v2",
		.capability = 179,
		.feature_bit = 7,
		.group = 3, .irq = 0, .init = 1,
		.memory = ABI_MEMORY_MLOCK,
		.wrong_cpu = ABI_WRONG_CPU_NONE,
	},
	{
		/* Sudeep Holla, v2, 23 May 2019 */
		NOTHING,
		.name = "holla-v2",
		.capability = 173,
		.feature_bit = 7,
		.group = 2, .irq = 0, .init = 1,
		.memory = ABI_MEMORY_MLOCK,
		.wrong_cpu = ABI_WRONG_CPU_NONE,
	},
};
#pragma GCC diagnostic pop

const struct spe_abi *dialect_row(size_t i)
{
	return i < ARRAY_SIZE(rows) ? &rows[i] : NULL;
}

const struct spe_abi *dialect_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* ID_AA64DFR0_EL1 (Arm ARM, D19.2.59): PMSVer 35:32, 0 no SPE. */
#define REG_ID_AA64DFR0_EL1	ARM64_SYS_REG(3, 0, 0, 5, 0)

int dialect_pmsver(const struct kvm *kvm, int vcpu, unsigned int *ver)
{
	u64 dfr0 = 0;
	int ret = kvm_get_reg(kvm, vcpu, REG_ID_AA64DFR0_EL1, &dfr0);

	*ver = dfr0 >> 32 & 0xf;
	return ret;
}

int dialect_set_cpus(const struct spe_abi *abi, const struct kvm *kvm, int vcpu,
		     const struct cpumask *cpus)
{
	char list[4096];

	/* Longer than what the kernel takes; a list that is cut does not parse. */
	cpumask_format(cpus, list, sizeof(list));
	return kvm_vcpu_ioctl(kvm, vcpu, _IOW(KVMIO, (unsigned int)abi->cpus_ioctl, char *), list);
}

/* ---- One interface on a VM made for the question ----------------------------------- */

struct trial {
	const struct spe_abi		*abi;
	const struct dialect_spu	*spu;
	struct kvm			kvm;	/* its .fd is borrowed */
	int				gic;
	int				vcpu;
	struct kvm_run			*run;
	bool				near;	/* its capabilities are all there */
	struct vmm_error		*err;
};

/* This kernel does not follow that interface, because. */
static int no(struct trial *t, const char *fmt, ...) PRINTF(2, 3);

static int no(struct trial *t, const char *fmt, ...)
{
	char why[VMM_MSG_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return error_set(t->err, -ENOTSUP, "SPE: this kernel does not have the interface %s: %s",
			 t->abi->name, why);
}

/* It could not be found out. */
static int broken(struct trial *t, int ret, const char *what)
{
	return error_sys(t->err, ret, "SPE: asking KVM for it (%s)", what);
}

/* What a kernel says that does not know an attribute, or attributes at all. */
static bool unknown(int ret)
{
	return ret == -ENXIO || ret == -ENODEV || ret == -EINVAL || ret == -ENOTTY;
}

static int want_capability(struct trial *t, int cap)
{
	int ret;

	if (cap == ABI_NONE)
		return 0;
	ret = kvm_check_extension(&t->kvm, (unsigned int)cap);
	if (ret < 0)
		return broken(t, ret, "KVM_CHECK_EXTENSION");
	return ret ? 0 : no(t, "its KVM lacks capability %d", cap);
}

static int want_no_capability(struct trial *t, int cap, const char *meaning)
{
	int ret;

	if (cap == ABI_NONE)
		return 0;
	ret = kvm_check_extension(&t->kvm, (unsigned int)cap);
	if (ret < 0)
		return broken(t, ret, "KVM_CHECK_EXTENSION");
	return ret ? no(t, "its KVM has capability %d%s", cap, meaning) : 0;
}

/* Feature bits that Linux proper has given away since. */
static int check_feature(struct trial *t)
{
	static const struct {
		int bit;
		int cap;
		const char *meaning;
	} taken[] = {
		{ KVM_ARM_VCPU_HAS_EL2, KVM_CAP_ARM_EL2,
		  ": feature bit 7 is nested virtualisation here" },
		{ KVM_ARM_VCPU_HAS_EL2_E2H0, KVM_CAP_ARM_EL2_E2H0,
		  ": feature bit 8 is nested virtualisation here" },
		{ KVM_ARM_VCPU_PMU_V3_STRICT, KVM_CAP_ARM_PMU_V3_STRICT,
		  ": feature bit 9 is of the PMU here" },
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(taken) && !ret; i++)
		if (taken[i].bit == t->abi->feature_bit)
			ret = want_no_capability(t, taken[i].cap, taken[i].meaning);
	return ret;
}

#define MEMFD_FLAGS	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)

static int check_guest_memfd(struct trial *t)
{
	int ret;

	if (t->abi->memory != ABI_MEMORY_GUEST_MEMFD)
		return 0;
	ret = want_capability(t, KVM_CAP_PRE_FAULT_MEMORY);
	if (ret)
		return ret;
	ret = kvm_check_extension(&t->kvm, KVM_CAP_GUEST_MEMFD_FLAGS);
	if (ret < 0)
		return broken(t, ret, "KVM_CHECK_EXTENSION");
	if (((u64)ret & MEMFD_FLAGS) != MEMFD_FLAGS)
		return no(t, "its guest_memfd cannot be mapped");
	return 0;
}

static int check_capabilities(struct trial *t)
{
	const struct spe_abi *abi = t->abi;
	int ret = want_capability(t, abi->capability);

	if (!ret)
		ret = want_no_capability(t, abi->absent_capability, "");
	if (!ret)
		ret = want_capability(t, abi->lock_capability);
	if (!ret)
		ret = want_capability(t, abi->cpus_capability);
	if (!ret)
		t->near = abi->capability != ABI_NONE;
	if (!ret)
		ret = check_feature(t);
	return ret ? ret : check_guest_memfd(t);
}

/* Every host has this many address bits; where there is a choice there must be one. */
#define IPA_BITS	32

static int create(struct trial *t)
{
	int limit = kvm_check_extension(&t->kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	int ret;

	if (limit < 0)
		return broken(t, limit, "KVM_CHECK_EXTENSION");
	ret = kvm_create_vm(&t->kvm, limit ? KVM_VM_TYPE_ARM_IPA_SIZE(IPA_BITS) : 0);
	if (ret)
		return broken(t, ret, "KVM_CREATE_VM");
	/* Attributes of SPE want an interrupt controller, a GICv2 where it must be. */
	ret = kvm_create_device(&t->kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (ret == -ENODEV)
		ret = kvm_create_device(&t->kvm, KVM_DEV_TYPE_ARM_VGIC_V2);
	if (ret < 0)
		return broken(t, ret, "KVM_CREATE_DEVICE");
	t->gic = ret;
	ret = kvm_create_vcpu(&t->kvm, 0, &t->run);
	if (ret < 0)
		return broken(t, ret, "KVM_CREATE_VCPU");
	t->vcpu = ret;
	return 0;
}

static int init_vcpu(struct trial *t)
{
	struct kvm_vcpu_init init = { 0 };
	int ret = kvm_vm_ioctl(&t->kvm, KVM_ARM_PREFERRED_TARGET, &init);

	if (ret)
		return broken(t, ret, "KVM_ARM_PREFERRED_TARGET");
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << t->abi->feature_bit;
	ret = kvm_vcpu_ioctl(&t->kvm, t->vcpu, KVM_ARM_VCPU_INIT, &init);
	if (ret == -ENOENT)
		return no(t, "its KVM does not know feature bit %d", t->abi->feature_bit);
	if (ret == -EINVAL)
		return no(t, "its KVM refuses feature bit %d", t->abi->feature_bit);
	return ret ? broken(t, ret, "KVM_ARM_VCPU_INIT") : 0;
}

static int want_attr(struct trial *t, int fd, int group, int attr, const char *what)
{
	int ret;

	if (attr == ABI_NONE)
		return 0;
	ret = kvm_has_attr(&t->kvm, fd, (u32)group, (u64)attr);
	if (unknown(ret))
		return no(t, "its KVM lacks attribute %d of group %d, %s", attr, group, what);
	return ret ? broken(t, ret, "KVM_HAS_DEVICE_ATTR") : 0;
}

static int check_attrs(struct trial *t)
{
	const struct spe_abi *abi = t->abi;
	int ret = want_attr(t, t->vcpu, abi->group, abi->irq, "the interrupt");

	if (!ret)
		ret = want_attr(t, t->vcpu, abi->group, abi->init, "the start");
	if (!ret)
		ret = want_attr(t, t->vcpu, abi->group, abi->spu, "the instance");
	if (!ret)
		ret = want_attr(t, t->vcpu, abi->group, abi->buffer_size, "the buffer's size");
	if (!ret)
		ret = want_attr(t, t->vcpu, abi->group, abi->stop, "the stop");
	if (!ret)
		ret = want_attr(t, t->kvm.vm, abi->finalize_group, abi->finalize_attr,
				"the end of setting up");
	return ret;
}

static int check_cpus_ioctl(struct trial *t)
{
	int ret;

	if (t->abi->cpus_ioctl == ABI_NONE)
		return 0;
	ret = dialect_set_cpus(t->abi, &t->kvm, t->vcpu, t->spu->cpus);
	if (unknown(ret))
		return no(t, "its KVM takes no list of CPUs for a vCPU");
	return ret ? broken(t, ret, "the CPUs of a vCPU") : 0;
}

/* The proof.  What a guest is told may depend on the instance. */
static int check_version(struct trial *t)
{
	const struct spe_abi *abi = t->abi;
	unsigned int ver;
	int ret;

	if (abi->spu != ABI_NONE) {
		ret = kvm_set_attr(&t->kvm, t->vcpu, (u32)abi->group, (u64)abi->spu, &t->spu->type);
		if (unknown(ret))
			return no(t, "its KVM knows no instance of type %d", t->spu->type);
		if (ret)
			return broken(t, ret, "the instance");
	}
	ret = dialect_pmsver(&t->kvm, t->vcpu, &ver);
	if (ret)
		return broken(t, ret, "ID_AA64DFR0_EL1");
	return ver ? 0 : no(t, "a guest with feature bit %d sees no SPE", abi->feature_bit);
}

static int try(struct trial *t)
{
	static int (*const steps[])(struct trial *t) = {
		check_capabilities,
		create,
		init_vcpu,
		check_attrs,
		check_cpus_ioctl,
		check_version,
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && !ret; i++)
		ret = steps[i](t);
	kvm_destroy_vcpu(&t->kvm, &t->vcpu, &t->run);
	kvm_destroy_device(&t->kvm, &t->gic);
	kvm_destroy_vm(&t->kvm);
	return ret;
}

static struct trial trial_of(const struct spe_abi *abi, const struct kvm *kvm,
			     const struct dialect_spu *spu, struct vmm_error *err)
{
	struct trial t = { .abi = abi, .spu = spu, .kvm = *kvm, .gic = -1, .vcpu = -1, .err = err };

	t.kvm.vm = -1;
	return t;
}

int dialect_verify(const struct spe_abi *abi, const struct kvm *kvm,
		   const struct dialect_spu *spu, struct vmm_error *err)
{
	struct trial t = trial_of(abi, kvm, spu, err);

	if (abi->feature_bit == ABI_NONE)
		return error_set(err, -ENOTSUP,
				 "SPE: the numbers of the interface %s are not known to this program, whose kernel headers lack KVM_ARM_VCPU_SPE; describe it in a file, see vmm-spe-abi(5)",
				 abi->name);
	return try(&t);
}

int dialect_detect(struct spe_abi *abi, const struct kvm *kvm, const struct dialect_spu *spu,
		   struct vmm_error *err)
{
	struct vmm_error why = { "" };
	bool near = false;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vmm_error this = { "" };
		struct trial t = trial_of(&rows[i], kvm, spu, &this);
		int ret;

		if (rows[i].feature_bit == ABI_NONE)
			continue;
		ret = try(&t);
		if (!ret) {
			*abi = rows[i];
			return 0;
		}
		if (ret != -ENOTSUP)
			return error_set(err, ret, "%s", this.msg);
		if (t.near && !near)
			why = this;
		near |= t.near;
	}
	/* The one that came closest tells most. */
	if (near)
		return error_set(err, -ENOTSUP, "%s", why.msg);
	return error_set(err, -ENOTSUP,
			 "SPE: this host's kernel has no SPE for guests, as no released Linux has; it takes one with the series \"KVM: arm64: SPE support\", and abi=FILE if its numbers are its own");
}
