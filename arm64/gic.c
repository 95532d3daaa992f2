/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gic.c - the in-kernel interrupt controller: GICv3, with ITS if asked, or GICv2
 *
 * Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst, arm-vgic-its.rst.
 */
#include <errno.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "vmm/error.h"

/* 6.17, with KVM_CAP_ARM_EL2: the maintenance interrupt of a nested host. */
#ifndef KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ
#define KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ	9
#endif

#define GICV2_MAX_CPUS	8

static int create(struct machine *m, enum vmm_irqchip chip)
{
	u32 type = chip == VMM_IRQCHIP_GICV2 ? KVM_DEV_TYPE_ARM_VGIC_V2 : KVM_DEV_TYPE_ARM_VGIC_V3;
	int fd = kvm_create_device(&m->vm->kvm, type);

	if (fd < 0)
		return fd;
	m->gic_fd = fd;
	m->irqchip = chip;
	return 0;
}

static const char *chip_name(enum vmm_irqchip chip)
{
	static const char *const names[] = {
		[VMM_IRQCHIP_AUTO] = "gicv3",
		[VMM_IRQCHIP_GICV2] = "gicv2",
		[VMM_IRQCHIP_GICV3] = "gicv3",
		[VMM_IRQCHIP_GICV3_ITS] = "gicv3-its",
	};

	return names[chip];
}

static int create_its(struct machine *m, struct vmm_error *err)
{
	int fd = kvm_create_device(&m->vm->kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);

	if (fd >= 0) {
		m->its_fd = fd;
		return 0;
	}
	return error_sys(err, fd == -ENODEV ? -ENOTSUP : fd,
			 "interrupt controller: the ITS of gicv3-its");
}

int gic_up(struct machine *m, struct vmm_error *err)
{
	enum vmm_irqchip want = m->vm->mcfg.irqchip;
	int ret = create(m, want ? want : VMM_IRQCHIP_GICV3);

	if (ret == -ENODEV && want == VMM_IRQCHIP_AUTO)
		ret = create(m, VMM_IRQCHIP_GICV2);
	if (ret == -ENODEV)
		return error_set(err, -ENOTSUP, "interrupt controller: this host's KVM has no %s",
				 chip_name(want));
	if (ret)
		return error_sys(err, ret, "interrupt controller: %s", chip_name(want));
	if (m->irqchip == VMM_IRQCHIP_GICV2 && m->vm->cfg.vcpus > GICV2_MAX_CPUS)
		return error_set(err, -ENOTSUP, "vCPUs: %u, of at most %u that a GICv2 has",
				 m->vm->cfg.vcpus, GICV2_MAX_CPUS);
	if (want == VMM_IRQCHIP_GICV3_ITS)
		return create_its(m, err);
	/* PCI functions can do without, at the price of an exit for each interrupt. */
	if (want == VMM_IRQCHIP_AUTO && m->irqchip == VMM_IRQCHIP_GICV3 && virtio_on_pci(m)) {
		ret = create_its(m, err);
		return ret == -ENOTSUP ? 0 : ret;
	}
	return 0;
}

static int set_addr(struct machine *m, int fd, u64 type, gpa_t addr)
{
	return kvm_set_attr(&m->vm->kvm, fd, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &addr);
}

static int place_v2(struct machine *m)
{
	int ret = set_addr(m, m->gic_fd, KVM_VGIC_V2_ADDR_TYPE_DIST, MAP_GICD);

	return ret ? ret : set_addr(m, m->gic_fd, KVM_VGIC_V2_ADDR_TYPE_CPU, MAP_GICC);
}

static int place_v3(struct machine *m)
{
	int ret = set_addr(m, m->gic_fd, KVM_VGIC_V3_ADDR_TYPE_DIST, MAP_GICD);

	m->redist = MAP_GICD - m->vm->cfg.vcpus * MAP_REDIST_SIZE;
	m->its = m->redist - MAP_ITS_SIZE;
	return ret ? ret : set_addr(m, m->gic_fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, m->redist);
}

static int finish_its(struct machine *m)
{
	int ret = set_addr(m, m->its_fd, KVM_VGIC_ITS_ADDR_TYPE, m->its);

	return ret ? ret : kvm_set_attr(&m->vm->kvm, m->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
					KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

int gic_finish(struct machine *m, struct vmm_error *err)
{
	const u32 nr_irqs = INTID_SPI + NR_SPIS;
	const u32 maint = INTID_PPI + PPI_GIC_MAINT;
	int ret = m->irqchip == VMM_IRQCHIP_GICV2 ? place_v2(m) : place_v3(m);

	if (!ret)
		ret = kvm_set_attr(&m->vm->kvm, m->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs);
	if (!ret && machine_has(m, VMM_MACHINE_F_NESTED))
		ret = kvm_set_attr(&m->vm->kvm, m->gic_fd, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &maint);
	if (!ret)
		ret = kvm_set_attr(&m->vm->kvm, m->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (!ret && m->its_fd >= 0)
		ret = finish_its(m);
	return ret ? error_sys(err, ret, "interrupt controller: setting up the %s",
			       chip_name(m->irqchip)) : 0;
}

void gic_down(struct machine *m)
{
	kvm_destroy_device(&m->vm->kvm, &m->its_fd);
	kvm_destroy_device(&m->vm->kvm, &m->gic_fd);
}

static void its_tree(const struct machine *m, struct tree *t)
{
	if (m->its_fd < 0)
		return;
	tree_begin(t, "msi-controller@%llx", (unsigned long long)m->its);
	tree_string(t, "compatible", "arm,gic-v3-its");
	tree_empty(t, "msi-controller");
	tree_u32(t, "#msi-cells", 1);
	tree_reg(t, m->its, MAP_ITS_SIZE);
	tree_u32(t, "phandle", PHANDLE_MSI);
	tree_end(t);
}

void gic_tree(const struct machine *m, struct tree *t)
{
	bool v2 = m->irqchip == VMM_IRQCHIP_GICV2;
	gpa_t second = v2 ? MAP_GICC : m->redist;
	u64 size = v2 ? MAP_GICC_SIZE : m->vm->cfg.vcpus * MAP_REDIST_SIZE;

	tree_begin(t, "intc@%llx", MAP_GICD);
	tree_string(t, "compatible", v2 ? "arm,cortex-a15-gic" : "arm,gic-v3");
	tree_empty(t, "interrupt-controller");
	tree_u32(t, "#interrupt-cells", 3);
	tree_u32(t, "#address-cells", 2);
	tree_u32(t, "#size-cells", 2);
	tree_cells(t, "reg", MAP_GICD >> 32, (u32)MAP_GICD, 0, MAP_GICD_SIZE,
		   (u32)(second >> 32), (u32)second, (u32)(size >> 32), (u32)size);
	tree_u32(t, "phandle", PHANDLE_GIC);
	if (machine_has(m, VMM_MACHINE_F_NESTED))
		tree_cells(t, "interrupts", GIC_PPI, PPI_GIC_MAINT, IRQ_HIGH);
	tree_empty(t, "ranges");
	its_tree(m, t);
	tree_end(t);
}
