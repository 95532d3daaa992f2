/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm.h - KVM behind one seam
 *
 * struct kvm_ops is the seam, at the height of the system calls: kvm_linux.c is
 * the real one and the only file that calls into the kernel's KVM; the unit tests
 * have one that keeps the state of a fake kernel.  Above it are wrappers that say
 * in the language of types what each ioctl takes.
 *
 * All return 0 or a non-negative result, or a negative errno.  They may be called
 * from any thread, except that kvm_run() and what concerns one vCPU belong to
 * that vCPU's thread once it runs.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <pthread.h>

#include "vmm/kvm_uapi.h"
#include "vmm/types.h"

struct kvm_ops {
	int	(*open)(void *ctx);
	int	(*ioctl)(void *ctx, int fd, unsigned long req, void *arg);
	int	(*map_run)(void *ctx, int vcpu_fd, size_t size, struct kvm_run **run);
	void	(*unmap_run)(void *ctx, struct kvm_run *run, size_t size);
	void	(*close)(void *ctx, int fd);
	/* Make a KVM_RUN of @thread return, the present one or else the next. */
	void	(*kick)(void *ctx, pthread_t thread, int signal);
	/* On the thread itself: take back kicks that no KVM_RUN has consumed. */
	void	(*unkick)(void *ctx, int signal);
};

struct kvm {
	const struct kvm_ops	*ops;
	void			*ctx;
	int			fd;		/* /dev/kvm */
	int			vm;
	size_t			run_size;	/* of the page shared with a vCPU */
};

extern const struct kvm_ops kvm_linux_ops;

/* Start with nothing open. */
void kvm_init(struct kvm *kvm, const struct kvm_ops *ops, void *ctx);

/* Open /dev/kvm, or use @fd unless it is -1, and check the API version. */
int kvm_open(struct kvm *kvm, int fd);
void kvm_close(struct kvm *kvm);

/* The value of a capability, 0 if there is none; of the VM once it exists. */
int kvm_capability(const struct kvm *kvm, unsigned int cap);
/* The same, where a failure must not pass for "none": a negative errno. */
int kvm_check_extension(const struct kvm *kvm, unsigned int cap);

int kvm_create_vm(struct kvm *kvm, unsigned long type);
/* Close /dev/kvm, which a VM needs no more once its vCPUs are there. */
void kvm_close_dev(struct kvm *kvm);
/* Close the VM and leave /dev/kvm open. */
void kvm_destroy_vm(struct kvm *kvm);
int kvm_enable_cap(const struct kvm *kvm, unsigned int cap, u64 arg);
int kvm_set_memory(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host);
/* The guest's writes are exits (KVM_CAP_READONLY_MEM). */
int kvm_set_memory_readonly(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host);

/*
 * Memory that is KVM's, for RAM that must stay mapped into the guest: a new
 * guest_memfd, which can be mapped, shared, like any other; and a slot that is
 * all of it, seen from here at @host.
 */
int kvm_create_guest_memfd(const struct kvm *kvm, u64 size);
int kvm_set_guest_memfd(const struct kvm *kvm, u32 slot, gpa_t gpa, u64 size, void *host, int fd);
/*
 * Map guest memory that is not yet mapped.  It may take several calls: on return 0
 * @gpa and @size are what is left to do.
 */
int kvm_pre_fault(const struct kvm *kvm, int vcpu, gpa_t *gpa, u64 *size);

/* Returns the descriptor of vCPU @id and its shared page. */
int kvm_create_vcpu(const struct kvm *kvm, u32 id, struct kvm_run **run);
void kvm_destroy_vcpu(const struct kvm *kvm, int *vcpu, struct kvm_run **run);

/* Let @signal, and no other, interrupt KVM_RUN of this vCPU. */
int kvm_set_kick(const struct kvm *kvm, int vcpu, int signal);
int kvm_run(const struct kvm *kvm, int vcpu);

int kvm_get_reg(const struct kvm *kvm, int vcpu, u64 id, u64 *val);
int kvm_set_reg(const struct kvm *kvm, int vcpu, u64 id, u64 val);
/* Registers of other sizes than 8 bytes: @val points to as many as @id says. */
int kvm_set_reg_bytes(const struct kvm *kvm, int vcpu, u64 id, const void *val);
int kvm_get_reg_bytes(const struct kvm *kvm, int vcpu, u64 id, void *val);

/* Returns the new device's descriptor. */
int kvm_create_device(const struct kvm *kvm, u32 type);
void kvm_destroy_device(const struct kvm *kvm, int *dev);
/* Whether there is such a device to create: 0 or a negative errno, -ENODEV if not. */
int kvm_test_device(const struct kvm *kvm, u32 type);

/* Attributes of a device, a vCPU or the VM, as @fd is. */
int kvm_has_attr(const struct kvm *kvm, int fd, u32 group, u64 attr);
int kvm_set_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, const void *val);
int kvm_get_attr(const struct kvm *kvm, int fd, u32 group, u64 attr, void *val);

/* KVM_IRQ_LINE: @irq is encoded as the architecture wants it. */
int kvm_irq_line(const struct kvm *kvm, u32 irq, bool level);

/* A guest's write of @val, @len bytes of it, to @gpa rings the eventfd @fd and is no exit. */
int kvm_ioeventfd(const struct kvm *kvm, gpa_t gpa, u32 len, u64 val, int fd);
int kvm_ioeventfd_off(const struct kvm *kvm, gpa_t gpa, u32 len, u64 val, int fd);
/* Ringing the eventfd @fd is a pulse on @gsi, or the message that it is routed to. */
int kvm_irqfd(const struct kvm *kvm, u32 gsi, int fd);
int kvm_irqfd_off(const struct kvm *kvm, u32 gsi, int fd);
/* Which message each is, in place of all that was routed before. */
int kvm_set_routes(const struct kvm *kvm, const struct kvm_irq_routing *routes);
/* A message of device @devid to the ITS that listens at @addr. */
int kvm_signal_msi(const struct kvm *kvm, u32 devid, u64 addr, u32 data);

/* Any other ioctl, on the VM. */
int kvm_vm_ioctl(const struct kvm *kvm, unsigned long req, void *arg);
int kvm_vcpu_ioctl(const struct kvm *kvm, int vcpu, unsigned long req, void *arg);

void kvm_kick(const struct kvm *kvm, pthread_t thread, int signal);
void kvm_unkick(const struct kvm *kvm, int signal);

#endif
