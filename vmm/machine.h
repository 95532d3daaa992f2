/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.h - what an architecture gives the core; arm64/ implements it
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "vmm.h"

#include "vmm/types.h"

struct cpumask;
struct vcpu;

/*
 * Begin: set the constraints on placement that the machine's features bring.  The
 * placement is locked.  machine_destroy() follows, also upon failure.
 */
int machine_prepare(struct vmm *vm, struct vmm_error *err);

/* Set them anew, when the host has changed.  The placement is locked. */
int machine_constrain(struct vmm *vm, struct vmm_error *err);

/*
 * Build all that stands between a VM's configuration and its first instruction:
 * KVM's VM, RAM, vCPUs, devices, images.  On failure everything is undone.
 */
int machine_create(struct vmm *vm, struct vmm_error *err);

/* Undo it all, when no thread is inside. */
void machine_destroy(struct vmm *vm);

/* The host's CPUs that are online. */
int machine_online(struct vmm *vm, struct cpumask *cpus);

/*
 * Begin to serve the devices, before I/O thread 0, which they belong to, runs.
 * Until then no descriptor of the host is touched.
 */
void machine_start_io(struct vmm *vm);

/*
 * On the thread of I/O thread @io: bring what belongs to it to rest, so that neither
 * guest memory nor a device nor a descriptor of the host is touched; and go on.  False:
 * something is still in flight; call again after vm_io_rests().
 */
bool machine_pause_io(struct vmm *vm, u32 io);
void machine_resume_io(struct vmm *vm, u32 io);

/*
 * No vCPU is in the guest: hold its counter, or let it go on from where it was held.
 * Where that is not possible there is a warning, and the counter goes on meanwhile.
 */
void machine_hold_counter(struct vmm *vm);
void machine_release_counter(struct vmm *vm);

/*
 * On I/O thread 0: write out what the guest has printed, as long as that
 * takes, or no longer than it takes if @abandon; then call vm_drained() once.
 * May be called again with @abandon while it is under way.
 */
void machine_drain(struct vmm *vm, bool abandon);

/*
 * While no vCPU is in the guest: the registers of one, but for .size; and what it sees
 * at a virtual address, all of the range or -EFAULT.
 */
int machine_vcpu_regs(struct vmm *vm, u32 index, struct vmm_vcpu_regs *regs);
int machine_vcpu_read(struct vmm *vm, u32 index, u64 va, void *buf, size_t len);

/* A break on console @index, then @text.  -ENOENT; -EAGAIN: the guest is not so far. */
int machine_console_break(struct vmm *vm, u32 index, const char *text);

/* Press the power button.  From any thread, while the VM runs. */
int machine_power_button(struct vmm *vm);

/* Another backend for device @index, which has one.  From any thread, while the VM is. */
int machine_set_backend(struct vmm *vm, u32 index, int fd, struct vmm_error *err);

/*
 * A network card's peer and its cable: vmm_net_attach(), vmm_net_link().  From any thread,
 * while the VM has threads.
 */
int machine_net_attach(struct vmm *vm, u32 index, int fd, struct vmm_error *err);
int machine_net_link(struct vmm *vm, u32 index, bool up);
/* Of one whose frames go through us. */
void machine_net_stats(struct vmm *vm, u32 index, struct vmm_net_stats *stats);

/* vmm_disk_resize().  From any thread, while the VM has threads. */
int machine_disk_resize(struct vmm *vm, u32 index, u64 *size, struct vmm_error *err);

/* The balloon, which there is.  From any thread, while the VM has threads. */
void machine_balloon_set(struct vmm *vm, u64 target);
void machine_balloon_stats(struct vmm *vm, struct vmm_balloon_stats *stats);

/* The virtio-console, which there is.  From any thread, while the VM has threads. */
void machine_hvc_resize(struct vmm *vm, u16 cols, u16 rows);
int machine_hvc_type(struct vmm *vm, const char *text);

/* vmm_port_open() of a port that there is.  From any thread, while the VM has threads. */
void machine_port_open(struct vmm *vm, u32 index, bool open);

/*
 * An exit of KVM_RUN, or with @ret < 0 a failure of it, that only the architecture
 * knows.  0: handled; -EXDEV: the thread is on a wrong CPU; -EDQUOT: a limit of the
 * process is in the way, noted by vm_set_limit(), @err says which; another negative
 * errno with the text in @err: the guest cannot go on.
 */
int machine_vcpu_exit(struct vcpu *vcpu, int ret, struct vmm_error *err);

#endif
