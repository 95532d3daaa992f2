/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm.c - typed wrappers over the seam in kvm.h
 */
#include <errno.h>
#include <string.h>

#include "vmm/kvm.h"

/* sizeof(sigset_t) as the kernel counts it: 64 signals. */
#define KERNEL_SIGSET	8

static int kvm_ioctl(const struct kvm *kvm, int fd, unsigned long req, void *arg)
{
	return kvm->ops->ioctl(kvm->ctx, fd, req, arg);
}

void kvm_init(struct kvm *kvm, const struct kvm_ops *ops, void *ctx)
{
	*kvm = (struct kvm){ .ops = ops, .ctx = ctx, .fd = -1, .vm = -1 };
}

static void close_fd(const struct kvm *kvm, int *fd)
{
	if (*fd >= 0)
		kvm->ops->close(kvm->ctx, *fd);
	*fd = -1;
}

int kvm_open(struct kvm *kvm, int fd)
{
	int ret = fd < 0 ? kvm->ops->open(kvm->ctx) : fd;

	if (ret < 0)
		return ret;
	kvm->fd = ret;
	ret = kvm_ioctl(kvm, kvm->fd, KVM_GET_API_VERSION, NULL);
	if (ret < 0)
		return ret;
	if (ret != KVM_API_VERSION)
		return -ENOTSUP;
	ret = kvm_ioctl(kvm, kvm->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(struct kvm_run))
		return -ENOTSUP;
	kvm->run_size = (size_t)ret;
	return 0;
}

void kvm_destroy_vm(struct kvm *kvm)
{
	close_fd(kvm, &kvm->vm);
}

void kvm_close_dev(struct kvm *kvm)
{
	close_fd(kvm, &kvm->fd);
}

void kvm_close(struct kvm *kvm)
{
	close_fd(kvm, &kvm->vm);
	kvm_close_dev(kvm);
}

int kvm_check_extension(const struct kvm *kvm, unsigned int cap)
{
	int fd = kvm->vm >= 0 ? kvm->vm : kvm->fd;

	return kvm_ioctl(kvm, fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);
}

int kvm_capability(const struct kvm *kvm, unsigned int cap)
{
	int ret = kvm_check_extension(kvm, cap);

	return ret < 0 ? 0 : ret;
}

int kvm_create_vm(struct kvm *kvm, unsigned long type)
{
	int ret;

	/* The kernel gives up when it is interrupted, with nothing done. */
	do
		ret = kvm_ioctl(kvm, kvm->fd, KVM_CREATE_VM, (void *)type);
	while (ret == -EINTR);
	if (ret < 0)
		return ret;
	kvm->vm = ret;
	return 0;
}

int kvm_enable_cap(const struct kvm *kvm, unsigned int cap, u64 arg)
{
	struct kvm_enable_cap req = { .cap = cap, .args = { arg } };

	return kvm_ioctl(kvm, kvm->vm, KVM_ENABLE_CAP, &req);
}

static int set_memory(const struct kvm *kvm, u32 slot, u32 flags, gpa_t gpa, u64 size, void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(kvm, kvm->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_set_memory(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host)
{
	return set_memory(kvm, slot, 0, gpa, size, host);
}

int kvm_set_memory_readonly(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host)
{
	return set_memory(kvm, slot, KVM_MEM_READONLY, gpa, size, host);
}

int kvm_create_guest_memfd(const struct kvm *kvm, u64 size)
{
	struct kvm_create_guest_memfd req = {
		.size = size,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};

	return kvm_ioctl(kvm, kvm->vm, KVM_CREATE_GUEST_MEMFD, &req);
}

int kvm_set_guest_memfd(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host, int fd)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot,
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
		.guest_memfd = (u32)fd,
	};

	return kvm_ioctl(kvm, kvm->vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

int kvm_pre_fault(const struct kvm *kvm, int vcpu, gpa_t *gpa, u64 *size)
{
	struct kvm_pre_fault_memory req = { .gpa = *gpa, .size = *size };
	int ret = kvm_ioctl(kvm, vcpu, KVM_PRE_FAULT_MEMORY, &req);

	*gpa = req.gpa;
	*size = req.size;
	return ret;
}

int kvm_create_vcpu(const struct kvm *kvm, u32 id, struct kvm_run **run)
{
	int fd = kvm_ioctl(kvm, kvm->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
	int ret;

	if (fd < 0)
		return fd;
	ret = kvm->ops->map_run(kvm->ctx, fd, kvm->run_size, run);
	if (ret) {
		close_fd(kvm, &fd);
		return ret;
	}
	return fd;
}

void kvm_destroy_vcpu(const struct kvm *kvm, int *vcpu, struct kvm_run **run)
{
	if (*run)
		kvm->ops->unmap_run(kvm->ctx, *run, kvm->run_size);
	*run = NULL;
	close_fd(kvm, vcpu);
}

int kvm_set_kick(const struct kvm *kvm, int vcpu, int signal)
{
	union {
		struct kvm_signal_mask head;
		u8 bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET];
	} mask = { .head.len = KERNEL_SIGSET };
	u64 blocked = ~(1ull << (signal - 1));

	memcpy(mask.head.sigset, &blocked, KERNEL_SIGSET);
	return kvm_ioctl(kvm, vcpu, KVM_SET_SIGNAL_MASK, &mask);
}

int kvm_run(const struct kvm *kvm, int vcpu)
{
	return kvm_ioctl(kvm, vcpu, KVM_RUN, NULL);
}

int kvm_get_reg_bytes(const struct kvm *kvm, int vcpu, u64 id, void *val)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)val };

	return kvm_ioctl(kvm, vcpu, KVM_GET_ONE_REG, &reg);
}

int kvm_set_reg_bytes(const struct kvm *kvm, int vcpu, u64 id, const void *val)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)val };

	return kvm_ioctl(kvm, vcpu, KVM_SET_ONE_REG, &reg);
}

int kvm_get_reg(const struct kvm *kvm, int vcpu, u64 id, u64 *val)
{
	return kvm_get_reg_bytes(kvm, vcpu, id, val);
}

int kvm_set_reg(const struct kvm *kvm, int vcpu, u64 id, u64 val)
{
	return kvm_set_reg_bytes(kvm, vcpu, id, &val);
}

int kvm_create_device(const struct kvm *kvm, u32 type)
{
	struct kvm_create_device dev = { .type = type };
	int ret = kvm_ioctl(kvm, kvm->vm, KVM_CREATE_DEVICE, &dev);

	return ret < 0 ? ret : (int)dev.fd;
}

int kvm_test_device(const struct kvm *kvm, u32 type)
{
	struct kvm_create_device dev = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return kvm_ioctl(kvm, kvm->vm, KVM_CREATE_DEVICE, &dev);
}

void kvm_destroy_device(const struct kvm *kvm, int *dev)
{
	close_fd(kvm, dev);
}

static int attr_ioctl(const struct kvm *kvm, int fd, unsigned long req, u32 group, u64 attr,
		      const void *val)
{
	struct kvm_device_attr da = { .group = group, .attr = attr, .addr = (uintptr_t)val };

	return kvm_ioctl(kvm, fd, req, &da);
}

int kvm_has_attr(const struct kvm *kvm, int fd, u32 group, u64 attr)
{
	return attr_ioctl(kvm, fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

int kvm_set_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, const void *val)
{
	return attr_ioctl(kvm, fd, KVM_SET_DEVICE_ATTR, group, attr, val);
}

int kvm_get_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, void *val)
{
	return attr_ioctl(kvm, fd, KVM_GET_DEVICE_ATTR, group, attr, val);
}

int kvm_irq_line(const struct kvm *kvm, u32 irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	return kvm_ioctl(kvm, kvm->vm, KVM_IRQ_LINE, &line);
}

static int ioeventfd(const struct kvm *kvm, gpa_t gpa, u32 len, u64 val, int fd, u32 flags)
{
	struct kvm_ioeventfd bell = {
		.datamatch = val, .addr = gpa, .len = len, .fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	return kvm_ioctl(kvm, kvm->vm, KVM_IOEVENTFD, &bell);
}

int kvm_ioeventfd(const struct kvm *kvm, gpa_t gpa, u32 len, u64 val, int fd)
{
	return ioeventfd(kvm, gpa, len, val, fd, 0);
}

int kvm_ioeventfd_off(const struct kvm *kvm, gpa_t gpa, u32 len, u64 val, int fd)
{
	return ioeventfd(kvm, gpa, len, val, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

int kvm_signal_msi(const struct kvm *kvm, u32 devid, u64 addr, u32 data)
{
	struct kvm_msi msi = {
		.address_lo = (u32)addr, .address_hi = (u32)(addr >> 32), .data = data,
		.flags = KVM_MSI_VALID_DEVID, .devid = devid,
	};

	return kvm_ioctl(kvm, kvm->vm, KVM_SIGNAL_MSI, &msi);
}

static int irqfd(const struct kvm *kvm, u32 gsi, int fd, u32 flags)
{
	struct kvm_irqfd irq = { .fd = (u32)fd, .gsi = gsi, .flags = flags };

	return kvm_ioctl(kvm, kvm->vm, KVM_IRQFD, &irq);
}

int kvm_irqfd(const struct kvm *kvm, u32 gsi, int fd)
{
	return irqfd(kvm, gsi, fd, 0);
}

int kvm_irqfd_off(const struct kvm *kvm, u32 gsi, int fd)
{
	return irqfd(kvm, gsi, fd, KVM_IRQFD_FLAG_DEASSIGN);
}

int kvm_set_routes(const struct kvm *kvm, const struct kvm_irq_routing *routes)
{
	return kvm_ioctl(kvm, kvm->vm, KVM_SET_GSI_ROUTING, (void *)routes);
}

int kvm_vm_ioctl(const struct kvm *kvm, unsigned long req, void *arg)
{
	return kvm_ioctl(kvm, kvm->vm, req, arg);
}

int kvm_vcpu_ioctl(const struct kvm *kvm, int vcpu, unsigned long req, void *arg)
{
	return kvm_ioctl(kvm, vcpu, req, arg);
}

void kvm_kick(const struct kvm *kvm, pthread_t thread, int signal)
{
	kvm->ops->kick(kvm->ctx, thread, signal);
}

void kvm_unkick(const struct kvm *kvm, int signal)
{
	kvm->ops->unkick(kvm->ctx, signal);
}
