/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.h - one virtual machine: its configuration, its parts, its life
 *
 * The lock guards what changes during life: the state, the events, which vCPUs
 * are inside.  RAM, the bus and the machine are built before the first thread and
 * taken down after the last one, and need none.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm.h"

#include "vmm/bus.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"
#include "vmm/kvm.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/placement.h"
#include "vmm/vcpu.h"

#define VM_MAX_CONSOLES		4
#define VM_MAX_DEVICES		24
#define VM_MAX_QUEUES		64	/* of a device */
#define VM_MAX_IO_THREADS	16
#define VM_MAX_EVENTS		16

enum vm_state { VM_NEW, VM_RUNNING, VM_PAUSED, VM_STOPPED };

struct cpuwatch;
struct machine;

/* Descriptors are our duplicates, or -1. */
struct vm_console {
	int	in_fd;
	int	out_fd;
};

enum vm_device_kind {
	VM_RNG, VM_DISK, VM_FS, VM_9P, VM_NET, VM_BALLOON, VM_VHOST_USER, VM_VSOCK, VM_HVC, VM_PORTS
};

struct vm_port {
	char	name[VMM_PORT_NAME_MAX + 1];
	int	in_fd;			/* ours, or -1 */
	int	out_fd;			/* ... */
	bool	open;			/* to begin with */
};

struct vm_device {
	enum vm_device_kind	kind;
	int			fd;		/* our duplicate, or -1 */
	/* Of a disk. */
	u64			flags;		/* VMM_DISK_F_* */
	u32			queues;
	char			serial[VMM_DISK_SERIAL + 1];
	/* Of a file system. */
	char			tag[VMM_FS_TAG_MAX + 1];
	char			aname[VMM_9P_NAME_MAX + 1];
	char			uname[VMM_9P_NAME_MAX + 1];
	/* Of a vsock. */
	u32			cid;
	/* Of a network card. */
	struct vmm_net_config	net;		/* .queues are counted; .more_.. are ours, or -1 */
	int			vhost_fd;	/* ours, or -1 */
	/* Of a balloon. */
	struct vmm_balloon_config balloon;
	/* Of a console: .fd is the input's. */
	int			out_fd;
};

static inline void vm_device_close(struct vm_device *dev)
{
	fd_close(&dev->fd);
	fd_close(&dev->vhost_fd);
	for (u32 i = 0; i + 1 < dev->net.queues; i++) {
		fd_close(&dev->net.more_fds[i]);
		fd_close(&dev->net.more_vhost_fds[i]);
	}
	if (dev->kind == VM_HVC)
		fd_close(&dev->out_fd);
}

/* It is served by a process at the other end of .fd. */
static inline bool vm_device_has_backend(const struct vm_device *dev)
{
	return dev->kind == VM_FS || dev->kind == VM_9P || dev->kind == VM_VHOST_USER ||
	       (dev->kind == VM_NET && dev->net.flags & VMM_NET_F_VHOST_USER);
}

struct vm_boot {
	u64	flags;			/* VMM_BOOT_F_* */
	int	kernel_fd;
	int	initrd_fd;
	int	dtb_fd;
	char	*cmdline;
	gpa_t	firmware_addr;
};

struct io_thread {
	struct vmm	*vm;
	struct loop	*loop;
	pthread_t	thread;
	bool		joinable;
	u32		index;
	struct loop_msg	pause_msg;
	bool		entered;	/* under the lock: someone is in vmm_io_run() */
	bool		at_rest;	/* ... its devices are paused, and nothing is in flight */
	bool		paused;		/* on the thread alone: machine_pause_io() was called */
};

struct vmm {
	/* Set by vmm_create() and vmm_set_*(), constant from vmm_start() on. */
	struct vmm_config		cfg;	/* its pointers are ours */
	struct vmm_machine_config	mcfg;
	bool				want_spe;
	struct vmm_spe_config		scfg;	/* its pointers are ours */
	struct vm_boot			boot;
	int				overlay_fds[VMM_MAX_OVERLAYS];
	u32				nr_overlays;
	struct vm_console		consoles[VM_MAX_CONSOLES];
	u32				nr_consoles;
	int				flash_fd;	/* -1: there is none */
	bool				flash_readonly;
	struct vm_device		devices[VM_MAX_DEVICES];	/* virtio */
	u32				nr_devices;
	u32				nr_nets;
	int				balloon;	/* which of .devices; -1: none */
	int				hvc;		/* ... */
	int				ports_dev;	/* ... */
	struct vm_port			ports[VMM_MAX_PORTS];
	u32				nr_ports;
	u16				hvc_cols;	/* 0: not known */
	u16				hvc_rows;
	struct logger			log;
	int				kick_signal;
	bool				kick_handled;	/* VMM_F_KICK_HANDLER */

	/* Built by vmm_start(). */
	struct kvm			kvm;
	struct gmem			ram;
	struct bus			bus;
	struct vcpu			*vcpus;
	struct machine			*machine;
	struct io_thread		io[VM_MAX_IO_THREADS];

	pthread_mutex_t			place_lock;
	struct placement		placement;
	struct ratelimit		repin_limit;
	struct ratelimit		lost_limit;	/* events that the host does not take */

	/* A vCPU looks at it before each entry: there is something to do under the lock. */
	atomic_bool			halt;

	pthread_mutex_t			lock;
	pthread_cond_t			changed;	/* of anything below */
	enum vm_state			state;
	bool				starting;	/* a vmm_start() is under way */
	bool				paused;		/* vCPUs shall wait, and I/O rest */
	bool				counter_held;	/* machine_hold_counter() was called */
	bool				stopping;	/* vCPUs shall leave */
	bool				abandon;	/* ... and nobody waits for output */
	bool				drained;
	u32				nr_inside;	/* vCPUs in vcpu_loop() */
	u32				nr_waiting;	/* ... that wait while paused */
	u32				nr_users;	/* host threads in vmm_io_run() */
	struct vmm_event		stop;		/* what STOPPED will say */
	struct vmm_event		events[VM_MAX_EVENTS];
	u32				nr_events;
	u32				first_event;
	int				event_fd;
	struct loop_msg			drain_msg;
	struct vmm_limit		limit;		/* .size is 0: none is in the way */

	/* Host CPUs come and go; listened to since a vCPU first had none. */
	struct cpuwatch			*cpuwatch;	/* I/O thread 0's */
	struct loop_msg			cpuwatch_msg;
	bool				cpuwatch_asked;
	bool				cpuwatch_up;
	u64				cpus_seen;	/* counts the changes */
};

static inline void vm_ports_close(struct vmm *vm)
{
	for (u32 i = 0; i < vm->nr_ports; i++) {
		fd_close(&vm->ports[i].in_fd);
		fd_close(&vm->ports[i].out_fd);
	}
}

/*
 * Stop the VM for @reason; the first reason is the one that is told.  From any
 * thread, with no lock held.
 */
void vm_stop(struct vmm *vm, enum vmm_stop_reason reason, int error, int vcpu,
	     const char *msg);

/* Queue an event; when there is no room the new one is dropped and logged. */
void vm_event(struct vmm *vm, const struct vmm_event *ev);

/* On I/O thread 0: the last output is written; STOPPED may be told. */
void vm_drained(struct vmm *vm);

/* The calling thread is the VM's own, and gives up what @role does not need. */
int vm_confine(struct vmm *vm, enum vmm_sandbox_role role, struct vmm_error *err);

/* On the I/O thread of @loop: while paused, less is in flight there. */
void vm_io_rests(struct vmm *vm, const struct loop *loop);

/* A vCPU found .halt set.  Returns false when it shall leave. */
bool vm_vcpu_wait(struct vcpu *vcpu);

/*
 * Have I/O thread 0 look at the host for a vCPU, whose thread opens no files: read the
 * masks anew into the placement, and what is online into @online.  -ECANCELED: the VM
 * is stopping or pausing.
 */
int vm_look(struct vcpu *vcpu, struct cpumask *online, struct vmm_error *err);

/*
 * For a vCPU that has no host CPU, on its thread: begin to hear of changes, and say
 * in @seen how many there have been; then wait for one more, or at most @ms
 * milliseconds if that is not 0.  False if the VM is stopping or pausing, which
 * ends any wait.  vm_look() hears of the vCPU's cpuset too, once that has begun.
 */
void vm_watch_cpus(struct vmm *vm, u64 *seen);
bool vm_wait_cpus(struct vmm *vm, u64 *seen, unsigned int ms);

/* Note a limit that is in the way; vmm_limit() tells it. */
void vm_set_limit(struct vmm *vm, int resource, u64 have, u64 need);

/* vCPU @vcpu waits until the host has raised a limit, or the VM stops or pauses. */
void vm_wait_limit(struct vcpu *vcpu, const char *msg);

/* The host has changed: who waits for that looks again. */
void vm_host_changed(struct vmm *vm);

/* Wait @ms milliseconds, less if the VM is stopping or pausing. */
void vm_wait_ms(struct vmm *vm, unsigned int ms);

/*
 * A vCPU begins and ends its loop.  It cannot begin if another thread runs it
 * (-EBUSY), or if the VM is stopping (-ECANCELED).
 */
int vm_vcpu_enter(struct vcpu *vcpu);
void vm_vcpu_leave(struct vcpu *vcpu);

/* vmm_start(), vmm_destroy() and so on, without the checks of arguments. */
int vm_start(struct vmm *vm, struct vmm_error *err);
void vm_teardown(struct vmm *vm);
int vm_pause(struct vmm *vm);
int vm_resume(struct vmm *vm);

/* vmm_create() over any implementation of the seam. */
int vm_create(struct vmm **vm, const struct vmm_config *cfg, const struct kvm_ops *ops,
	      void *ctx, struct vmm_error *err);

#endif
