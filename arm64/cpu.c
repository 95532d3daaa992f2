/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu.c - vCPUs: what they have, and the state they start in
 *
 * Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT and KVM_ARM_VCPU_FINALIZE.
 */
#include <errno.h>
#include <stdlib.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "arm64/reg.h"
#include "spe/spe.h"
#include "vmm/error.h"

#define FEATURE(f)	(1ull << (f))

/* MPIDR_EL1: Aff0-2 and Aff3, without the flags (Arm ARM, D19.2.102). */
#define MPIDR_AFFINITY	0xff00ffffffull

/* ID_AA64MMFR0_EL1 (Arm ARM, D19.2.64) */
#define PARANGE		0xfull
#define PARANGE_48	0x5ull

static bool offers(const struct machine *m, unsigned int cap)
{
	return kvm_capability(&m->vm->kvm, cap) > 0;
}

static int want_pmu(struct machine *m, struct vmm_error *err)
{
	if (!machine_has(m, VMM_MACHINE_F_PMU))
		return 0;
	if (!offers(m, KVM_CAP_ARM_PMU_V3))
		return error_set(err, -ENOTSUP, "PMU: this host's KVM has none for guests");
	m->features |= FEATURE(KVM_ARM_VCPU_PMU_V3);
	return 0;
}

static int want_nested(struct machine *m, struct vmm_error *err)
{
	bool e2h0 = machine_has(m, VMM_MACHINE_F_E2H0);

	if (!machine_has(m, VMM_MACHINE_F_NESTED))
		return 0;
	if (!offers(m, e2h0 ? KVM_CAP_ARM_EL2_E2H0 : KVM_CAP_ARM_EL2))
		return error_set(err, -ENOTSUP,
				 "nested guests: this host's KVM has none%s (Linux 6.16 on a CPU with FEAT_NV2, and kvm-arm.mode=nested)",
				 e2h0 ? " without VHE" : "");
	if (m->irqchip == VMM_IRQCHIP_GICV2)
		return error_set(err, -ENOTSUP, "nested guests: they need a GICv3");
	m->features |= FEATURE(KVM_ARM_VCPU_HAS_EL2);
	if (e2h0)
		m->features |= FEATURE(KVM_ARM_VCPU_HAS_EL2_E2H0);
	return 0;
}

static int want_sve(struct machine *m, struct vmm_error *err)
{
	bool has = offers(m, KVM_CAP_ARM_SVE);

	if (machine_has(m, VMM_MACHINE_F_NO_SVE))
		return 0;
	if (!has && m->vm->mcfg.sve_max_vl)
		return error_set(err, -ENOTSUP, "SVE: this host's KVM has none for guests");
	if (has)
		m->features |= FEATURE(KVM_ARM_VCPU_SVE);
	return 0;
}

static void want_pauth(struct machine *m)
{
	/* KVM takes both or none. */
	if (!machine_has(m, VMM_MACHINE_F_NO_PAUTH) &&
	    offers(m, KVM_CAP_ARM_PTRAUTH_ADDRESS) && offers(m, KVM_CAP_ARM_PTRAUTH_GENERIC))
		m->features |= FEATURE(KVM_ARM_VCPU_PTRAUTH_ADDRESS) |
			       FEATURE(KVM_ARM_VCPU_PTRAUTH_GENERIC);
}

/* Tags live beside anonymous memory only; a mapped descriptor has none. */
static int want_mte(struct machine *m, struct vmm_error *err)
{
	int ret;

	if (machine_has(m, VMM_MACHINE_F_NO_MTE) || m->vm->cfg.ram_fd >= 0 ||
	    !offers(m, KVM_CAP_ARM_MTE))
		return 0;
	ret = kvm_enable_cap(&m->vm->kvm, KVM_CAP_ARM_MTE, 0);
	if (ret)
		return error_sys(err, ret, "MTE: enabling it");
	m->mte = true;
	return 0;
}

static int choose_features(struct machine *m, struct vmm_error *err)
{
	int ret;

	m->features = FEATURE(KVM_ARM_VCPU_PSCI_0_2);
	ret = want_pmu(m, err);
	if (!ret)
		ret = want_nested(m, err);
	if (!ret)
		ret = want_sve(m, err);
	if (!ret)
		ret = want_mte(m, err);
	want_pauth(m);
	if (m->spe)
		m->features |= FEATURE(spe_feature(m->spe));
	return ret;
}

/* Take the vector lengths above the asked-for maximum out of KVM's set. */
static int limit_vl(struct machine *m, struct vcpu *vcpu, struct vmm_error *err)
{
	u64 set[KVM_ARM64_SVE_VLS_WORDS];
	u32 max_vq = m->vm->mcfg.sve_max_vl / 128;
	bool any = false;
	int ret;

	if (!max_vq)
		return 0;
	ret = kvm_get_reg_bytes(&m->vm->kvm, vcpu->fd, KVM_REG_ARM64_SVE_VLS, set);
	if (ret)
		return error_sys(err, ret, "vcpu%u: reading its vector lengths", vcpu->id);
	for (u32 vq = KVM_ARM64_SVE_VQ_MIN; vq <= KVM_ARM64_SVE_VQ_MAX; vq++) {
		u64 *word = &set[(vq - KVM_ARM64_SVE_VQ_MIN) / 64];
		u64 bit = 1ull << (vq - KVM_ARM64_SVE_VQ_MIN) % 64;

		if (vq > max_vq)
			*word &= ~bit;
		else if (*word & bit)
			any = true;
	}
	if (!any)
		return error_set(err, -ENOTSUP, "SVE: this host has no vectors of %u bits or less",
				 m->vm->mcfg.sve_max_vl);
	ret = kvm_set_reg_bytes(&m->vm->kvm, vcpu->fd, KVM_REG_ARM64_SVE_VLS, set);
	return ret ? error_sys(err, ret, "vcpu%u: setting its vector lengths", vcpu->id) : 0;
}

static int finalize_sve(struct machine *m, struct vcpu *vcpu, struct vmm_error *err)
{
	int feature = KVM_ARM_VCPU_SVE;
	int ret;

	if (!(m->features & FEATURE(KVM_ARM_VCPU_SVE)))
		return 0;
	ret = limit_vl(m, vcpu, err);
	if (ret)
		return ret;
	ret = kvm_vcpu_ioctl(&m->vm->kvm, vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature);
	return ret ? error_sys(err, ret, "vcpu%u: KVM_ARM_VCPU_FINALIZE", vcpu->id) : 0;
}

static int init_vcpu(struct machine *m, struct vcpu *vcpu, struct kvm_vcpu_init init,
		     struct vmm_error *err)
{
	const struct kvm *kvm = &m->vm->kvm;
	int ret = kvm_create_vcpu(kvm, vcpu->id, &vcpu->run);

	if (ret < 0)
		return error_sys(err, ret, "vcpu%u: KVM_CREATE_VCPU", vcpu->id);
	vcpu->fd = ret;
	init.features[0] = (u32)m->features;
	init.features[1] = (u32)(m->features >> 32);
	if (vcpu->id)
		init.features[0] |= FEATURE(KVM_ARM_VCPU_POWER_OFF);
	ret = kvm_vcpu_ioctl(kvm, vcpu->fd, KVM_ARM_VCPU_INIT, &init);
	if (ret)
		return error_sys(err, ret, "vcpu%u: KVM_ARM_VCPU_INIT with features 0x%llx", vcpu->id,
				 (unsigned long long)m->features);
	ret = finalize_sve(m, vcpu, err);
	if (ret)
		return ret;
	ret = kvm_get_reg(kvm, vcpu->fd, REG_MPIDR_EL1, &m->mpidr[vcpu->id]);
	return ret ? error_sys(err, ret, "vcpu%u: reading MPIDR_EL1", vcpu->id) : 0;
}

/*
 * kvmtool's UEFI maps whatever PARange says that there is, in tables for 48 bits, where the rest
 * would lie over the beginning (edk2, KvmtoolVirtMemInfoLib.c).  Nothing of a guest's is up there.
 * Of one vCPU it is said for all (the kernel's sys_regs.c, set_id_reg(), from 6.7 on).
 */
static void limit_pa(struct machine *m)
{
	const struct kvm *kvm = &m->vm->kvm;
	const int fd = m->vm->vcpus[0].fd;
	u64 mmfr0 = 0;
	int ret = kvm_get_reg(kvm, fd, REG_ID_AA64MMFR0_EL1, &mmfr0);

	if (ret || (mmfr0 & PARANGE) <= PARANGE_48)
		return;
	ret = kvm_set_reg(kvm, fd, REG_ID_AA64MMFR0_EL1, (mmfr0 & ~PARANGE) | PARANGE_48);
	if (ret)
		log_warn(&m->vm->log,
			 "firmware: these CPUs have addresses of more than 48 bits, which kvmtool's UEFI does not bear, and this host's kernel does not let a guest have less (Linux 6.7)");
}

int cpu_up(struct machine *m, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	struct kvm_vcpu_init init = { 0 };
	int ret = choose_features(m, err);

	if (ret)
		return ret;
	ret = kvm_vm_ioctl(&vm->kvm, KVM_ARM_PREFERRED_TARGET, &init);
	if (ret)
		return error_sys(err, ret, "KVM_ARM_PREFERRED_TARGET");
	vm->vcpus = calloc(vm->cfg.vcpus, sizeof(*vm->vcpus));
	for (u32 i = 0; vm->vcpus && i < vm->cfg.vcpus; i++) {
		vm->vcpus[i].vm = vm;
		vm->vcpus[i].id = i;
		vm->vcpus[i].fd = -1;
	}
	m->mpidr = calloc(vm->cfg.vcpus, sizeof(*m->mpidr));
	if (!m->mpidr || !vm->vcpus)
		return error_set(err, -ENOMEM, "vCPUs: no memory");
	for (u32 i = 0; i < vm->cfg.vcpus && !ret; i++)
		ret = init_vcpu(m, &vm->vcpus[i], init, err);
	if (!ret && vm->boot.flags & VMM_BOOT_F_FIRMWARE)
		limit_pa(m);
	return ret;
}

void cpu_down(struct machine *m)
{
	struct vmm *vm = m->vm;

	for (u32 i = 0; vm->vcpus && i < vm->cfg.vcpus; i++)
		kvm_destroy_vcpu(&vm->kvm, &vm->vcpus[i].fd, &vm->vcpus[i].run);
	free(vm->vcpus);
	vm->vcpus = NULL;
	free(m->mpidr);
	m->mpidr = NULL;
}

/*
 * ID_AA64MMFR0_EL1: TGran16 23:20, 0 none; TGran64 27:24, 0xf
 * none; TGran4 31:28, 0xf none.
 */
int cpu_granules(struct machine *m, unsigned int *granules)
{
	u64 mmfr0 = 0;
	int ret = kvm_get_reg(&m->vm->kvm, m->vm->vcpus[0].fd, REG_ID_AA64MMFR0_EL1, &mmfr0);

	*granules = ((mmfr0 >> 28 & 0xf) != 0xf ? IMAGE_GRANULE_4K : 0) |
		    ((mmfr0 >> 20 & 0xf) != 0 ? IMAGE_GRANULE_16K : 0) |
		    ((mmfr0 >> 24 & 0xf) != 0xf ? IMAGE_GRANULE_64K : 0);
	return ret;
}

/*
 * Documentation/arch/arm64/booting.rst: x0 holds the device tree, x1 to x3 are
 * zero.  These, the exception level and the masked interrupts are how KVM resets.
 */
int cpu_boot(struct machine *m, struct vmm_error *err)
{
	const struct kvm *kvm = &m->vm->kvm;
	int fd = m->vm->vcpus[0].fd;
	int ret = kvm_set_reg(kvm, fd, CORE_REG(regs.regs[0]), m->image.dtb);

	if (!ret)
		ret = kvm_set_reg(kvm, fd, CORE_REG(regs.pc), m->image.entry);
	return ret ? error_sys(err, ret, "vcpu0: setting its first registers") : 0;
}

void cpu_tree(const struct machine *m, struct tree *t)
{
	u32 nr = m->vm->cfg.vcpus;
	bool wide = m->mpidr[nr - 1] & MPIDR_AFFINITY & ~0xffffffffull;

	tree_begin(t, "cpus");
	tree_u32(t, "#address-cells", wide ? 2 : 1);
	tree_u32(t, "#size-cells", 0);
	for (u32 i = 0; i < nr; i++) {
		u64 reg = m->mpidr[i] & MPIDR_AFFINITY;

		tree_begin(t, "cpu@%llx", (unsigned long long)reg);
		tree_string(t, "device_type", "cpu");
		tree_string(t, "compatible", "arm,arm-v8");
		if (nr > 1)
			tree_string(t, "enable-method", "psci");
		if (wide)
			tree_u64(t, "reg", reg);
		else
			tree_u32(t, "reg", (u32)reg);
		tree_end(t);
	}
	tree_end(t);
}
