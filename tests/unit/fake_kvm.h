/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_kvm.h - a fake KVM behind the seam of vmm/kvm.h
 *
 * One struct fake_kvm is one host kernel: it keeps VMs, vCPUs, devices, memory
 * slots, attributes and registers, and refuses what KVM refuses, with the errno
 * of arch/arm64/kvm.  What that host has is a profile.  Guests are scripts of
 * exits, one a vCPU.  Descriptors and the shared page are real ones, so that a
 * leak shows in /proc/self.
 *
 * Everything may be called from any thread.  Nothing is allocated after
 * fake_create(), so tests can make allocations fail without hitting the fake.
 */
#ifndef TESTS_FAKE_KVM_H
#define TESTS_FAKE_KVM_H

#include "vmm/kvm.h"
#include "vmm/types.h"

struct fake_kvm;

struct fake_cap {
	unsigned int	cap;
	int		value;
};

/* What a host has. */
struct fake_profile {
	const char		*name;
	int			api_version;	/* 0: KVM_API_VERSION */
	unsigned int		ipa_bits;	/* 0: from before KVM_CAP_ARM_VM_IPA_SIZE */
	unsigned int		max_vcpus;
	bool			gicv2;
	bool			gicv3;
	bool			its;
	bool			no_routes;	/* no KVM_SET_GSI_ROUTING */
	u32			known;		/* vCPU features this kernel knows */
	u32			features;	/* ... and this host has */
	bool			mte;
	bool			pvtime;
	bool			counter_offset;
	u64			mmfr0;		/* ID_AA64MMFR0_EL1 */
	bool			less_pa;	/* a VM may have less of its PARange */
	u64			sve_vls;	/* bit n: vectors of (n + 1) * 128 bits */
	/* More capabilities, up to one numbered 0; they win over the above. */
	const struct fake_cap	*caps;
	/* Attribute groups of a vCPU that KVM proper does not have; -ENXIO: nor this. */
	int			(*vcpu_attr)(struct fake_kvm *fake, u32 vcpu, unsigned long req,
					     const struct kvm_device_attr *attr);
};

extern const struct fake_profile fake_server;	/* GICv3, ITS and all the rest */
extern const struct fake_profile fake_board;	/* an old kernel, GICv2, little else */

/* ---- What a guest does ---------------------------------------------------- */

enum fake_kind {
	FAKE_READ,		/* MMIO; the value is kept, see fake_value() */
	FAKE_WRITE,		/* MMIO of .data */
	FAKE_READ_UNTIL,	/* ... until (value & .mask) == .data */
	FAKE_SYSTEM_EVENT,	/* of type .data */
	FAKE_FAIL_ENTRY,	/* reason .data, on CPU .addr */
	FAKE_INTERNAL_ERROR,	/* suberror .data */
	FAKE_EXIT,		/* any other exit reason, .data */
	FAKE_RETURN,		/* KVM_RUN itself returns .ret */
	FAKE_CPU_ON,		/* power vCPU .data on, without an exit */
	FAKE_BLOCK,		/* stay in the guest until kicked */
	FAKE_GATE,		/* stay in the guest until fake_open_gate() */
	FAKE_SLOW,		/* stay until fake_open_gate(), whoever kicks */
	FAKE_CALL,		/* KVM_RUN returns what .fn does */
};

struct fake_step {
	enum fake_kind	kind;
	u64		addr;
	u64		data;
	u64		mask;
	u32		len;		/* of an access; 0: four */
	u32		times;		/* 0: once */
	int		ret;
	int		(*fn)(struct kvm_run *run, void *arg);
	void		*arg;
};

/*
 * What vCPU @vcpu of every VM does, @rounds times (0: for ever).  The steps are
 * borrowed.  At the end of its script a vCPU stays in the guest until kicked.
 */
void fake_script(struct fake_kvm *fake, u32 vcpu, const struct fake_step *steps,
		 size_t nr_steps, u32 rounds);

/* Let every vCPU that is at a FAKE_GATE or FAKE_SLOW, or comes to one, go on. */
void fake_open_gate(struct fake_kvm *fake);

/* Wait until @nr vCPUs are inside KVM_RUN and stay there.  False after 10 s. */
bool fake_wait_inside(struct fake_kvm *fake, u32 nr);

/* What the n-th FAKE_READ of a vCPU got, counted from 0.  False: not there yet. */
bool fake_value(struct fake_kvm *fake, u32 vcpu, size_t n, u64 *val);

/* ---- What happened -------------------------------------------------------- */

/* Calls of the seam that are no ioctl, in the log. */
#define FAKE_OP_OPEN		1ul
#define FAKE_OP_MAP_RUN		2ul

struct fake_call {
	unsigned long	req;	/* of an ioctl, or FAKE_OP_* */
	int		vcpu;	/* -1: it is not of a vCPU */
	u64		arg;	/* capability, register, slot, vCPU, device type,
				 * group << 32 | attribute */
	u64		val;	/* what was set */
	int		ret;
};

#define FAKE_MAX_CALLS	4096

/* A copy of what happened, in order; returns how much, at most @max. */
size_t fake_log(struct fake_kvm *fake, struct fake_call *calls, size_t max);

/* Calls of the seam that can fail, since fake_create() or fake_reset(). */
size_t fake_nr_calls(struct fake_kvm *fake);

/* Forget the log, the count and the fault; gates are closed. */
void fake_reset(struct fake_kvm *fake);

/* From now on the @n-th call, counted from 1, fails with @err, once. */
void fake_fail(struct fake_kvm *fake, size_t n, int err);
/* The call that did; false: there was none. */
bool fake_failed(struct fake_kvm *fake, struct fake_call *call);

/* The level of a line of the GIC, of the latest VM. */
bool fake_irq(struct fake_kvm *fake, u32 intid);
/* How often KVM would have pulsed it for an irqfd, since it was asked last. */
u32 fake_pulses(struct fake_kvm *fake, u32 gsi);
/* Such messages to its ITS, from the start, by whichever way. */
u32 fake_messages(struct fake_kvm *fake, u32 devid, u64 addr, u32 data);
/* Where @gpa of the latest VM is in this process, or NULL. */
void *fake_host(struct fake_kvm *fake, u64 gpa);
/* What KVM_GET_ONE_REG has of an id; of the latest VM. */
u64 fake_reg(struct fake_kvm *fake, u32 vcpu, u64 id);

/* Let the host's counter go on, which stands otherwise; and the latest guest's. */
void fake_tick(struct fake_kvm *fake, u64 ticks);
u64 fake_counter(struct fake_kvm *fake);

/* As if the guest had set it; of the latest VM. */
void fake_set_reg(struct fake_kvm *fake, u32 vcpu, u64 id, u64 val);

/* VMs, vCPUs, devices and /dev/kvm that are open. */
u32 fake_nr_open(struct fake_kvm *fake);
/* Kicks that no KVM_RUN and no unkick has taken: they would hit the host. */
u32 fake_nr_pending(struct fake_kvm *fake);
/* What no program may do to KVM, or NULL: a wrong descriptor, two threads on one
 * vCPU, the kick not blocked, and so on. */
const char *fake_wrong(struct fake_kvm *fake);

/* ---- Itself ---------------------------------------------------------------- */

extern const struct kvm_ops fake_kvm_ops;	/* its ctx is the fake */

struct fake_kvm *fake_create(const struct fake_profile *profile);
void fake_destroy(struct fake_kvm *fake);

/* Descriptors to hand in as VMM_F_KVM_FD; the caller closes them. */
int fake_open_dev(struct fake_kvm *fake);

#endif
