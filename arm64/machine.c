/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.c - bring-up of the arm64 machine: one table, undone from the bottom
 */
#include <errno.h>
#include <stdlib.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "spe/spe.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/machine.h"

/* Bits of address space that end at @end. */
static unsigned int address_bits(u64 end)
{
	return end > 1 ? 64 - (unsigned int)__builtin_clzll(end - 1) : 0;
}

#define IPA_BITS_MIN	32	/* Documentation/virt/kvm/api.rst, KVM_CREATE_VM */
#define IPA_BITS_OLD	40	/* without KVM_CAP_ARM_VM_IPA_SIZE */

/* The fewer bits, the fewer levels a stage-2 walk has. */
static int create_vm(struct machine *m, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	unsigned int limit = (unsigned int)kvm_capability(&vm->kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	unsigned int bits = address_bits(vm->cfg.ram_base + vm->cfg.ram_size);
	int ret;

	if (bits < IPA_BITS_MIN)
		bits = IPA_BITS_MIN;
	if (bits > (limit ? limit : IPA_BITS_OLD))
		return error_set(err, -ENOTSUP,
				 "RAM: it ends above bit %u of the guest's addresses; this host has %u bits for them",
				 bits - 1, limit ? limit : IPA_BITS_OLD);
	ret = kvm_create_vm(&vm->kvm, limit ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0);
	if (ret)
		return error_sys(err, ret, "KVM: creating a VM");
	return 0;
}

int kvm_explain(int ret, struct vmm_error *err)
{
	switch (ret) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return error_set(err, -ENODEV,
				 "KVM: there is no /dev/kvm; the kernel must start at EL2 (hyp mode) and have KVM built in");
	case -EACCES:
	case -EPERM:
		return error_set(err, -EACCES,
				 "KVM: no permission to open /dev/kvm; being in its group (kvm) is the usual way");
	case -ENOTTY:
		return error_set(err, -ENODEV, "KVM: that is not a KVM device");
	case -ENOTSUP:
		return error_set(err, -ENOTSUP, "KVM: its interface is not version %d",
				 KVM_API_VERSION);
	}
	return error_sys(err, ret, "KVM: opening /dev/kvm");
}

int kvm_up(struct machine *m, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	int ret;
	int max;

	ret = vm->cfg.kvm_fd >= 0 ? fd_dup(vm->cfg.kvm_fd) : -1;
	if (ret < -1)
		return error_sys(err, ret, "KVM: descriptor %d", vm->cfg.kvm_fd);
	ret = kvm_open(&vm->kvm, ret);
	if (ret)
		return kvm_explain(ret, err);
	max = kvm_capability(&vm->kvm, KVM_CAP_MAX_VCPUS);
	if (max && vm->cfg.vcpus > (u32)max)
		return error_set(err, -ENOTSUP, "vCPUs: %u, of at most %d that this host's KVM has",
				 vm->cfg.vcpus, max);
	return create_vm(m, err);
}

void kvm_down(struct machine *m)
{
	kvm_close(&m->vm->kvm);
}

/* What SPE may want: memory that is KVM's own, which nothing can take away. */
static int guest_memfd_up(struct machine *m, struct vmm_error *err)
{
	if (!m->spe || !spe_wants_guest_memfd(m->spe))
		return 0;
	if (m->vm->cfg.ram_fd >= 0)
		return error_set(err, -ENOTSUP,
				 "SPE: this kernel wants RAM from a guest_memfd, not from a descriptor of the host's");
	m->guest_memfd = kvm_create_guest_memfd(&m->vm->kvm, m->vm->cfg.ram_size);
	return m->guest_memfd < 0 ? error_sys(err, m->guest_memfd, "RAM: a guest_memfd") : 0;
}

static int ram_up(struct machine *m, struct vmm_error *err)
{
	struct vmm *vm = m->vm;
	bool huge = !(vm->cfg.flags & VMM_F_NO_HUGEPAGES);
	int ret = guest_memfd_up(m, err);

	if (!ret)
		ret = gmem_init(&vm->ram, vm->cfg.ram_base, vm->cfg.ram_size,
				m->guest_memfd >= 0 ? m->guest_memfd : vm->cfg.ram_fd,
				huge ? GMEM_HUGEPAGES : 0, err);
	if (ret)
		return ret;
	if (m->guest_memfd >= 0)
		ret = kvm_set_guest_memfd(&vm->kvm, SLOT_RAM, vm->ram.base, vm->ram.size,
					  vm->ram.host, m->guest_memfd);
	else
		ret = kvm_set_memory(&vm->kvm, SLOT_RAM, vm->ram.base, vm->ram.size, vm->ram.host);
	return ret ? error_sys(err, ret, "RAM: giving %llu MiB to KVM",
			       (unsigned long long)(vm->ram.size >> 20)) : 0;
}

static void ram_down(struct machine *m)
{
	gmem_fini(&m->vm->ram);
	kvm_destroy_device(&m->vm->kvm, &m->guest_memfd);
}

static int image_up(struct machine *m, struct vmm_error *err)
{
	const struct vm_boot *boot = &m->vm->boot;
	struct image_request req = {
		.kernel_fd = boot->kernel_fd,
		.initrd_fd = boot->initrd_fd,
		.firmware = boot->flags & VMM_BOOT_F_FIRMWARE,
		.firmware_addr = boot->firmware_addr,
	};
	int ret = cpu_granules(m, &req.granules);

	if (ret)
		return error_sys(err, ret, "vcpu0: reading ID_AA64MMFR0_EL1");
	ret = image_load(&req, &m->vm->ram, &m->image, err);
	if (!ret)
		log_debug(&m->vm->log, "%s at 0x%llx, device tree at 0x%llx", m->image.format,
			  (unsigned long long)m->image.entry, (unsigned long long)m->image.dtb);
	return ret;
}

/*
 * Descriptors that nobody uses any more.  A device lives as long as its VM, unless
 * it has a release operation (struct kvm_device_ops), which interrupt controllers
 * do not.
 */
static int spare_descriptors(struct machine *m, struct vmm_error *err)
{
	(void)err;
	gic_down(m);
	kvm_close_dev(&m->vm->kvm);
	return 0;
}

/*
 * A line a step, with what it must come after.  Each "down" takes what a half-made
 * "up" has left.
 */
static const struct step {
	int	(*up)(struct machine *m, struct vmm_error *err);
	void	(*down)(struct machine *m);
} steps[] = {
	{ kvm_up, kvm_down },		/* the VM's address space is sized for RAM */
	{ profiling_find, NULL },	/* decides on RAM and on the vCPUs' features */
	{ counter_up, NULL },		/* before any vCPU */
	{ ram_up, ram_down },
	{ gic_up, gic_down },		/* before the vCPUs: timer and PMU lines end in it */
	{ cpu_up, cpu_down },
	{ gic_finish, NULL },		/* a redistributor for each vCPU */
	{ pmu_up, NULL },		/* wants a finished GIC */
	{ pvtime_up, pvtime_down },	/* wants initialised vCPUs */
	{ profiling_up, profiling_down }, /* wants all of it, and memory slots stay as they are */
	{ board_up, board_down },
	{ flash_up, flash_down },	/* comes and goes as a memory slot */
	{ virtio_up, virtio_down },	/* interrupts go to a finished GIC */
	{ image_up, NULL },		/* wants to know the vCPUs' page sizes */
	{ dt_up, NULL },		/* tells of all the above */
	{ cpu_boot, NULL },		/* the first registers point to kernel and tree */
	{ spare_descriptors, NULL },	/* all is set up */
};

static void undo(struct machine *m, size_t nr_done)
{
	while (nr_done--)
		if (steps[nr_done].down)
			steps[nr_done].down(m);
	spe_destroy(m->spe);
	m->vm->machine = NULL;
	free(m);
}

int machine_prepare(struct vmm *vm, struct vmm_error *err)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "machine: no memory");
	m->vm = vm;
	m->gic_fd = m->its_fd = m->guest_memfd = -1;
	vm->machine = m;
	return machine_constrain(vm, err);
}

int machine_create(struct vmm *vm, struct vmm_error *err)
{
	struct machine *m = vm->machine;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		ret = steps[i].up(m, err);
		if (ret) {
			undo(m, i + 1);
			return ret;
		}
	}
	return 0;
}

void machine_destroy(struct vmm *vm)
{
	if (vm->machine)
		undo(vm->machine, ARRAY_SIZE(steps));
}

int machine_vcpu_exit(struct vcpu *vcpu, int ret, struct vmm_error *err)
{
	if (vcpu->vm->machine->spe) {
		int verdict = profiling_exit(vcpu, ret, err);

		if (verdict)
			return verdict;
	}
	if (ret < 0)
		return error_sys(err, ret, "vcpu%u: KVM_RUN", vcpu->id);
	return error_set(err, -EIO, "vcpu%u: KVM_RUN came back with exit reason %u", vcpu->id,
			 vcpu->run->exit_reason);
}
