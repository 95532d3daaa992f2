/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_spe.h - kernels whose KVM gives SPE to guests, each in its own way
 *
 * Another implementation of the seam of vmm/kvm.h, laid over a struct fake_kvm:
 * it answers what is about SPE as that kernel does, with its orders and errnos,
 * and passes on the rest.  There are kernels of Linux proper among them, whose
 * numbers mean something else.  May be called from any thread.
 */
#ifndef TESTS_FAKE_SPE_H
#define TESTS_FAKE_SPE_H

#include "tests/unit/fake_kvm.h"
#include "vmm/cpumask.h"

enum fake_series {
	FAKE_LINUX,		/* no SPE */
	FAKE_MURRAY,		/* v2, and what is like it */
	FAKE_ELISEI_3,
	FAKE_ELISEI_4,
	FAKE_ELISEI_5,
	FAKE_ELISEI_6,
	FAKE_ELISEI_7,
	FAKE_PLAIN,		/* v7's attributes, memory is KVM's business */
};

struct fake_spe_kernel {
	const char		*name;
	enum fake_series	series;
	const char		*row;		/* of dialect.c; NULL: none is right */
	const char		*text;		/* vmm-spe-abi(5), of what has no row */
	struct fake_cap		caps[96];
	bool			all_caps;	/* positive: 173 to 252, if not in .caps */
	u32			accepts;	/* feature bits that are something else */
	u32			refuses;	/* ... that are known, not had here */
	int			feature;	/* of SPE, -1: none */
	u32			group;
	int			irq;
	int			init;
	int			spu;
	int			size;
	int			stop;
	bool			vm_attr;	/* attribute 0 of group 0 of a VM */
	bool			strange_group;	/* group 3 has attributes, none is SPE's */
	u32			exit_rlimit;
};

extern const struct fake_spe_kernel fake_spe_kernels[];
extern const size_t fake_spe_nr_kernels;
const struct fake_spe_kernel *fake_spe_kernel(const char *name);

struct fake_spe;

struct fake_spe *fake_spe_create(const struct fake_spe_kernel *kernel);
void fake_spe_destroy(struct fake_spe *spe);
extern const struct kvm_ops fake_spe_ops;	/* its ctx is the struct fake_spe */

/* What lies below: scripts, gates, leaks. */
struct fake_kvm *fake_spe_base(struct fake_spe *spe);

/* The instance: its type (default 8) and its CPUs (default all). */
void fake_spe_instance(struct fake_spe *spe, int type, const struct cpumask *cpus);

/* Calls that may say "again" do so @n times; at most @bytes may be locked. */
void fake_spe_again(struct fake_spe *spe, u32 n);
void fake_spe_memlock(struct fake_spe *spe, u64 bytes);

/* From now on the @n-th call of the seam, counted from 1, fails with @err, once. */
void fake_spe_fail(struct fake_spe *spe, size_t n, int err);
/* What failed; false: nothing. */
bool fake_spe_failed(struct fake_spe *spe, struct fake_call *call);

/* Everything since fake_spe_create() or fake_spe_reset(). */
size_t fake_spe_log(struct fake_spe *spe, struct fake_call *calls, size_t max);
void fake_spe_reset(struct fake_spe *spe);

/* What no program may do, or NULL: run without what the memory rule wants, leave
 * a slot locked, and so on. */
const char *fake_spe_wrong(struct fake_spe *spe);

#endif
