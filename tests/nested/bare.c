// SPDX-License-Identifier: BSD-2-Clause
/*
 * bare.c - a loop of KVM_RUN and nothing else: what an exit costs whoever makes it
 *
 *   bare FILE PVTIME    run FILE, at the start of RAM, until it powers off; PVTIME=1: tell
 *                       it its stolen time, for which KVM works in every exit
 *
 * One vCPU with what every guest has: RAM, a GICv3, PSCI.  An access to a device is let
 * pass: a store does nothing, a load reads what was there.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM		0x80000000ull
#define RAM_SIZE	(64ull << 20)
#define PVTIME		0x80000ull
#define GIC_DIST	0x3fff0000ull
#define GIC_REDIST	0x3ffb0000ull

static int must(int ret, const char *what)
{
	if (ret < 0) {
		perror(what);
		exit(1);
	}
	return ret;
}

static void attribute(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	must(ioctl(fd, KVM_SET_DEVICE_ATTR, &a), "KVM_SET_DEVICE_ATTR");
}

static void gic(int vm)
{
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t dist = GIC_DIST;
	uint64_t redist = GIC_REDIST;

	must(ioctl(vm, KVM_CREATE_DEVICE, &dev), "KVM_CREATE_DEVICE");
	attribute((int)dev.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	attribute((int)dev.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
	attribute((int)dev.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static void memory(int vm, uint32_t slot, uint64_t gpa, void *ram, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)ram,
	};

	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

int main(int argc, char **argv)
{
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	char *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_one_reg pc = { .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
					KVM_REG_ARM_CORE_REG(regs.pc) };
	struct kvm_vcpu_init init;
	struct kvm_run *run;
	uint64_t value = RAM;
	uint64_t pvtime = PVTIME;
	int vcpu;

	if (argc != 3 || ram == MAP_FAILED)
		return 2;
	must((int)read(must(open(argv[1], O_RDONLY), argv[1]), ram, RAM_SIZE), argv[1]);
	memory(vm, 0, RAM, ram, RAM_SIZE);
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	must(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	must(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	gic(vm);
	if (atoi(argv[2])) {
		memory(vm, 1, PVTIME, mmap(NULL, 65536, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
		attribute(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &pvtime);
	}
	pc.addr = (uintptr_t)&value;
	must(ioctl(vcpu, KVM_SET_ONE_REG, &pc), "KVM_SET_ONE_REG");
	run = mmap(NULL, (size_t)must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"),
		   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return 1;
	do
		must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	while (run->exit_reason == KVM_EXIT_MMIO);
	return run->exit_reason != KVM_EXIT_SYSTEM_EVENT;
}
