/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spe.c - the Statistical Profiling Extension for one VM
 *
 * SPE writes its records to memory by itself and cannot wait for a page, so
 * beside attributes to set there is, on most kernels, memory to nail down; which
 * rule holds is the interface's (abi.h).  The process's limits are the host's:
 * what is too low is reported with the number that is needed, never raised.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "fdt/tree.h"
#include "spe/dialect.h"
#include "spe/spe.h"
#include "spe/topology.h"
#include "vmm/cpumask.h"
#include "vmm/error.h"
#include "vmm/gmem.h"
#include "vmm/kvm.h"

#define LIST_TEXT	48		/* of a CPU list in a message */
#define PPI_SPE		(SPE_INTID - 16)

/* The series' Documentation/virt/kvm/api.rst, KVM_CAP_ARM_LOCK_USER_MEMORY_REGION */
#define LOCK_FLAG_LOCK		1
#define LOCK_FLAG_UNLOCK	2
#define LOCK_READ		1
#define LOCK_WRITE		2
#define UNLOCK_ALL		1

/* Where the kernel says "again", it has lost a race that it may win. */
#define MAX_RETRIES		100

struct spe {
	char			name[TOPOLOGY_NAME];	/* of the instance */
	int			type;
	struct cpumask		cpus;
	u64			buffer_max;
	bool			chosen;		/* .abi is the caller's choice */
	struct spe_abi		abi;
	bool			limited;
	struct spe_limit	limit;		/* if .limited */
	unsigned int		version;

	/* What spe_up() has done and spe_down() has to undo. */
	const struct kvm	*kvm;
	bool			slot_locked;
	u32			slot;
	void			*locked;	/* by mlock() */
	size_t			locked_size;
};

/* ---- Choosing the instance ------------------------------------------------------- */

static unsigned int nr_left(const struct spu *spu, const struct cpumask *others)
{
	struct cpumask both;

	cpumask_and(&both, &spu->dev.cpus, others);
	return cpumask_count(&both);
}

static void list_instances(const struct topology *topo, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < topo->nr_spus && at < size; i++) {
		char cpus[LIST_TEXT];

		at += (size_t)snprintf(buf + at, size - at, "%s%s (CPUs %s)", i ? ", " : "",
				       topo->spus[i].dev.name,
				       cpumask_format(&topo->spus[i].dev.cpus, cpus, sizeof(cpus)));
	}
}

static int no_instance(const struct topology *topo, const struct spe_config *cfg,
		       struct vmm_error *err)
{
	char text[VMM_MSG_SIZE];

	if (!topo->nr_spus)
		return error_set(err, -ENOTSUP, "SPE: %s",
				 topology_no_spe(topo, text, sizeof(text)));
	if (cfg->instance) {
		list_instances(topo, text, sizeof(text));
		return error_set(err, -ENOTSUP, "SPE: this host has no %.32s, but %s", cfg->instance,
				 text);
	}
	return error_set(err, -ENOTSUP, "SPE: %s cannot be used: %s", topo->spus[0].dev.name,
			 topo->spus[0].dev.reason);
}

static int exclude(const struct spu *spu, const struct cpumask *others, struct vmm_error *err)
{
	char a[LIST_TEXT];
	char b[LIST_TEXT];

	return error_set(err, -EINVAL,
			 "SPE: no CPU is both one of %s (%s) and one that the vCPUs may run on (%s)",
			 spu->dev.name, cpumask_format(&spu->dev.cpus, a, sizeof(a)),
			 cpumask_format(others, b, sizeof(b)));
}

static int choose(const struct spu **out, const struct spe_config *cfg,
		  const struct topology *topo, const struct cpumask *others,
		  struct vmm_error *err)
{
	const struct spu *best = NULL;

	for (size_t i = 0; i < topo->nr_spus; i++) {
		const struct spu *spu = &topo->spus[i];

		if (cfg->instance && strcmp(cfg->instance, spu->dev.name))
			continue;
		if (cfg->instance && !spu->dev.usable)
			return error_set(err, -ENOTSUP, "SPE: %s cannot be used: %s",
					 spu->dev.name, spu->dev.reason);
		if (!spu->dev.usable)
			continue;
		/* They are in order: of equals the first one stays. */
		if (!best || nr_left(spu, others) > nr_left(best, others))
			best = spu;
	}
	if (!best)
		return no_instance(topo, cfg, err);
	if (!nr_left(best, others))
		return exclude(best, others, err);
	*out = best;
	return 0;
}

/*
 * PMBIDR_EL1.MaxBuffSize (Arm DEN0154): a mantissa of 9 bits and an exponent, so
 * 4 KiB steps up to 4 MiB and coarser ones above.
 */
static bool representable(u64 size)
{
	unsigned int top;

	if (!size || size % KIB(4))
		return false;
	top = 63 - (unsigned int)__builtin_clzll(size);
	if (top < 22)
		return true;
	return top <= 51 && !(size & ((1ull << (top - 9)) - 1));
}

static int take_config(struct spe *spe, const struct spe_config *cfg, struct vmm_error *err)
{
	const struct spe_abi *row;

	if (cfg->buffer_max && !representable(cfg->buffer_max))
		return error_set(err, -EINVAL,
				 "SPE: a guest cannot be told of a buffer of %llu bytes at most; powers of two from 4 KiB on can",
				 (unsigned long long)cfg->buffer_max);
	spe->buffer_max = cfg->buffer_max;
	spe->chosen = cfg->abi || cfg->abi_text;
	if (cfg->abi && cfg->abi_text)
		return error_set(err, -EINVAL, "SPE: the interface is given by name and by a description");
	if (cfg->abi_text)
		return abi_parse(&spe->abi, cfg->abi_text, err);
	if (!cfg->abi)
		return 0;
	row = dialect_find(cfg->abi);
	if (!row)
		return error_set(err, -EINVAL,
				 "SPE: no interface is called '%.32s'; vmm-spe-abi(5) lists them",
				 cfg->abi);
	spe->abi = *row;
	return 0;
}

int spe_create(struct spe **out, const struct spe_config *cfg, const struct topology *topo,
	       const struct cpumask *others, struct vmm_error *err)
{
	const struct spu *spu = NULL;
	struct spe *spe = calloc(1, sizeof(*spe));
	int ret;

	if (!spe)
		return error_set(err, -ENOMEM, "SPE: no memory");
	ret = take_config(spe, cfg, err);
	if (!ret)
		ret = choose(&spu, cfg, topo, others, err);
	if (ret) {
		free(spe);
		return ret;
	}
	memcpy(spe->name, spu->dev.name, sizeof(spe->name));
	spe->type = spu->dev.type;
	spe->cpus = spu->dev.cpus;
	*out = spe;
	return 0;
}

void spe_destroy(struct spe *spe)
{
	free(spe);
}

int spe_probe(struct spe *spe, const struct kvm *kvm, struct vmm_error *err)
{
	const struct dialect_spu spu = { .type = spe->type, .cpus = &spe->cpus };
	int ret = spe->chosen ? dialect_verify(&spe->abi, kvm, &spu, err)
			      : dialect_detect(&spe->abi, kvm, &spu, err);

	if (ret)
		return ret;
	if (spe->buffer_max && spe->abi.buffer_size == ABI_NONE)
		return error_set(err, -ENOTSUP,
				 "SPE: the interface %s of this kernel sets no limit to a guest's buffer",
				 spe->abi.name);
	return 0;
}

const char *spe_instance(const struct spe *spe)
{
	return spe->name;
}

const struct cpumask *spe_cpus(const struct spe *spe)
{
	return &spe->cpus;
}

int spe_cpus_now(const struct spe *spe, const struct topology *topo, struct cpumask *cpus)
{
	const struct spu *spu = topology_spu(topo, spe->name);

	if (!spu || (spu->dev.usable && spu->dev.type != spe->type))
		return -ENODEV;
	*cpus = spu->dev.cpus;
	return 0;
}

const struct spe_abi *spe_abi(const struct spe *spe)
{
	return &spe->abi;
}

u32 spe_feature(const struct spe *spe)
{
	return (u32)spe->abi.feature_bit;
}

bool spe_wants_guest_memfd(const struct spe *spe)
{
	return spe->abi.memory == ABI_MEMORY_GUEST_MEMFD;
}

bool spe_holds_ram(const struct spe *spe)
{
	switch (spe->abi.memory) {
	case ABI_MEMORY_MLOCK:
	case ABI_MEMORY_LOCK_MEMSLOTS:
	case ABI_MEMORY_GUEST_MEMFD:
		return true;
	}
	return false;
}

unsigned int spe_version(const struct spe *spe)
{
	return spe->version;
}

const struct spe_limit *spe_limit(const struct spe *spe)
{
	return spe->limited ? &spe->limit : NULL;
}

/* ---- Limits ---------------------------------------------------------------------------- */

static struct spe_limit memlock(u64 need)
{
	struct spe_limit limit = {
		.name = "RLIMIT_MEMLOCK",
		.resource = RLIMIT_MEMLOCK,
		.need = need,
	};
	struct rlimit r;

	if (!getrlimit(RLIMIT_MEMLOCK, &r))
		limit.have = r.rlim_cur;
	return limit;
}

static int too_low(struct vmm_error *err, int ret, const struct spe_limit *limit, const char *what)
{
	unsigned long long kib = (limit->need + 1023) >> 10;

	return error_set(err, ret,
			 "SPE: %s: %s is %llu KiB, and %llu KiB are needed: ulimit -l %llu, or LimitMEMLOCK=%lluK in a systemd unit, or CAP_IPC_LOCK",
			 what, limit->name, (unsigned long long)limit->have >> 10, kib, kib, kib);
}

bool spe_needs(const struct spe *spe, u64 ram, struct spe_limit *limit)
{
	switch (spe->abi.memory) {
	case ABI_MEMORY_MLOCK:
	case ABI_MEMORY_LOCK_MEMSLOTS:
		*limit = memlock(ram);
		return true;
	case ABI_MEMORY_KVM_PINS:
		if (!spe->buffer_max)
			return false;
		*limit = memlock(spe->buffer_max);
		return true;
	}
	return false;
}

/*
 * A failure to lock @need bytes: is it the limit?  If that seems high enough the
 * process has locked memory before, of which the limit is an upper bound.
 */
static int lock_failed(struct spe *spe, int ret, u64 need, const char *what, struct vmm_error *err)
{
	struct spe_limit limit = memlock(need);

	if (limit.have >= need && limit.have != RLIM_INFINITY)
		limit.need = limit.have + need;
	if ((ret == -ENOMEM || ret == -EPERM) && limit.have < limit.need) {
		spe->limit = limit;
		spe->limited = true;
		return too_low(err, ret, &limit, what);
	}
	return error_sys(err, ret, "SPE: %s", what);
}

/* ---- Memory ---------------------------------------------------------------------------- */

static int lock_pages(struct spe *spe, const struct gmem *ram, struct vmm_error *err)
{
	if (mlock(ram->host, ram->size))
		return lock_failed(spe, -errno, ram->size, "locking the guest's RAM", err);
	spe->locked = ram->host;
	spe->locked_size = ram->size;
	return 0;
}

static int lock_slot(struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	struct kvm_enable_cap req = {
		.cap = (u32)spe->abi.lock_capability,
		.flags = LOCK_FLAG_LOCK,
		.args = { vm->ram_slot, LOCK_READ | LOCK_WRITE },
	};
	int ret = -EAGAIN;

	/* It may race with the host's own work on these pages. */
	for (int i = 0; i < MAX_RETRIES && ret == -EAGAIN; i++)
		ret = kvm_vm_ioctl(vm->kvm, KVM_ENABLE_CAP, &req);
	if (ret)
		return lock_failed(spe, ret, vm->ram->size, "locking the guest's RAM in KVM", err);
	spe->slot_locked = true;
	spe->slot = vm->ram_slot;
	return 0;
}

static int lock_memory(struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	switch (spe->abi.memory) {
	case ABI_MEMORY_MLOCK:
		return lock_pages(spe, vm->ram, err);
	case ABI_MEMORY_LOCK_MEMSLOTS:
		return lock_slot(spe, vm, err);
	}
	return 0;
}

/* All of RAM, through the first vCPU.  KVM says how far it has come. */
static int pre_fault(const struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	gpa_t gpa = vm->ram->base;
	u64 size = vm->ram->size;
	int idle = 0;

	if (spe->abi.memory != ABI_MEMORY_GUEST_MEMFD)
		return 0;
	while (size) {
		u64 before = size;
		int ret = kvm_pre_fault(vm->kvm, vm->vcpus[0], &gpa, &size);

		idle = size < before ? 0 : idle + 1;
		if (ret && ret != -EINTR && ret != -EAGAIN)
			return error_sys(err, ret, "SPE: KVM_PRE_FAULT_MEMORY at 0x%llx",
					 (unsigned long long)gpa);
		if (idle >= MAX_RETRIES)
			return error_sys(err, ret ? ret : -EAGAIN,
					 "SPE: KVM_PRE_FAULT_MEMORY stays at 0x%llx",
					 (unsigned long long)gpa);
	}
	return 0;
}

/* ---- Attributes -------------------------------------------------------------------------- */

static int set(const struct spe *spe, const struct spe_vm *vm, u32 vcpu, int attr, const void *val,
	       const char *what, struct vmm_error *err)
{
	int ret;

	if (attr == ABI_NONE)
		return 0;
	ret = kvm_set_attr(vm->kvm, vm->vcpus[vcpu], (u32)spe->abi.group, (u64)attr, val);
	return ret ? error_sys(err, ret, "SPE: vcpu%u: setting its %s", vcpu, what) : 0;
}

static int set_buffer(struct spe *spe, const struct spe_vm *vm, u32 vcpu, struct vmm_error *err)
{
	int ret;

	if (!spe->buffer_max)
		return 0;
	ret = kvm_set_attr(vm->kvm, vm->vcpus[vcpu], (u32)spe->abi.group,
			   (u64)spe->abi.buffer_size, &spe->buffer_max);
	if (ret == -ENOMEM)
		return lock_failed(spe, ret, spe->buffer_max, "the guest's buffer", err);
	return ret ? error_sys(err, ret, "SPE: vcpu%u: setting the size of its buffer", vcpu) : 0;
}

static int set_cpus(const struct spe *spe, const struct spe_vm *vm, u32 vcpu, struct vmm_error *err)
{
	int ret;

	if (spe->abi.cpus_ioctl == ABI_NONE)
		return 0;
	ret = dialect_set_cpus(&spe->abi, vm->kvm, vm->vcpus[vcpu], &spe->cpus);
	return ret ? error_sys(err, ret, "SPE: vcpu%u: setting its CPUs", vcpu) : 0;
}

static int describe_vcpu(struct spe *spe, const struct spe_vm *vm, u32 vcpu, struct vmm_error *err)
{
	const int intid = SPE_INTID;
	int ret = set_cpus(spe, vm, vcpu, err);

	if (!ret)
		ret = set(spe, vm, vcpu, spe->abi.irq, &intid, "interrupt", err);
	if (!ret)
		ret = set(spe, vm, vcpu, spe->abi.spu, &spe->type, "instance", err);
	return ret ? ret : set_buffer(spe, vm, vcpu, err);
}

static int explain_init(const struct spe *spe, int ret, u32 vcpu, struct vmm_error *err)
{
	if (ret == -ENODEV)
		return error_set(err, ret,
				 "SPE: vcpu%u: KVM has no SPE for it, or no complete interrupt controller",
				 vcpu);
	return error_sys(err, ret, "SPE: vcpu%u: starting it, interface %s", vcpu, spe->abi.name);
}

static int init_vcpu(const struct spe *spe, const struct spe_vm *vm, u32 vcpu, struct vmm_error *err)
{
	int ret = kvm_set_attr(vm->kvm, vm->vcpus[vcpu], (u32)spe->abi.group, (u64)spe->abi.init, NULL);

	return ret ? explain_init(spe, ret, vcpu, err) : 0;
}

/* The last word, on the VM; "again" if memory moved underneath. */
static int finalize(const struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	int ret = -EAGAIN;

	if (spe->abi.finalize_group == ABI_NONE)
		return 0;
	for (int i = 0; i < MAX_RETRIES && ret == -EAGAIN; i++)
		ret = kvm_set_attr(vm->kvm, vm->kvm->vm, (u32)spe->abi.finalize_group,
				   (u64)spe->abi.finalize_attr, NULL);
	return ret ? error_sys(err, ret, "SPE: the end of setting it up") : 0;
}

static int check_version(struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	int ret = dialect_pmsver(vm->kvm, vm->vcpus[0], &spe->version);

	if (ret)
		return error_sys(err, ret, "SPE: vcpu0: reading ID_AA64DFR0_EL1");
	if (!spe->version)
		return error_set(err, -ENOTSUP,
				 "SPE: KVM took every setting, and the guest would still see none (interface %s)",
				 spe->abi.name);
	return 0;
}

int spe_up(struct spe *spe, const struct spe_vm *vm, struct vmm_error *err)
{
	int ret = 0;

	spe->kvm = vm->kvm;
	spe->limited = false;
	ret = lock_memory(spe, vm, err);
	for (u32 i = 0; i < vm->nr_vcpus && !ret; i++)
		ret = describe_vcpu(spe, vm, i, err);
	for (u32 i = 0; i < vm->nr_vcpus && !ret; i++)
		ret = init_vcpu(spe, vm, i, err);
	if (!ret)
		ret = finalize(spe, vm, err);
	if (!ret)
		ret = pre_fault(spe, vm, err);
	return ret ? ret : check_version(spe, vm, err);
}

void spe_down(struct spe *spe)
{
	struct kvm_enable_cap unlock = {
		.cap = (u32)spe->abi.lock_capability,
		.flags = LOCK_FLAG_UNLOCK,
		.args = { spe->slot, UNLOCK_ALL },
	};

	/* Nothing can be done if these fail, and the end of the VM does it too. */
	if (spe->slot_locked)
		(void)kvm_vm_ioctl(spe->kvm, KVM_ENABLE_CAP, &unlock);
	if (spe->locked)
		munlock(spe->locked, spe->locked_size);
	spe->slot_locked = false;
	spe->locked = NULL;
	spe->kvm = NULL;
}

/* ---- KVM_RUN ------------------------------------------------------------------------------- */

static bool fail_entry(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_FAIL_ENTRY &&
	       run->fail_entry.hardware_entry_failure_reason & KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED;
}

/*
 * "Exec format error" is a wrong CPU, but also a guest that fetches instructions
 * where there is no memory.
 */
static enum spe_exit wrong_by_errno(const struct spe *spe, struct spe_exit_info *info)
{
	int cpu = sched_getcpu();

	info->cpu = cpu < 0 ? 0 : (unsigned int)cpu;
	info->certain = cpu >= 0 && !cpumask_has(&spe->cpus, info->cpu);
	info->error = error_set(&info->msg, -ENOEXEC,
				"KVM refuses to run it on host CPU %u, which is one of %s: the guest executes what is not memory",
				info->cpu, spe->name);
	return SPE_EXIT_WRONG_CPU;
}

/* How much KVM wants to be allowed to lock: it says so, or it is the buffer's size
 * that we set, or not known. */
static u64 rlimit_need(const struct spe *spe, const struct kvm_run *run)
{
	u64 need = 0;

	if (spe->abi.exit_rlimit_need != ABI_NONE)
		memcpy(&need, (const u8 *)&run->hw + spe->abi.exit_rlimit_need, sizeof(need));
	return need ? need : spe->buffer_max;
}

static enum spe_exit limit_exit(const struct spe *spe, const struct kvm_run *run,
				struct spe_exit_info *info)
{
	info->limit = memlock(rlimit_need(spe, run));
	if (info->limit.need)
		info->error = too_low(&info->msg, -ENOMEM, &info->limit, "pinning the guest's buffer");
	else
		info->error = error_set(&info->msg, -ENOMEM,
					"SPE: pinning the guest's buffer: %s, %llu KiB, is too low for it; ulimit -l, LimitMEMLOCK= in a systemd unit or CAP_IPC_LOCK raise it, buffer-max keeps the guest below",
					info->limit.name, (unsigned long long)info->limit.have >> 10);
	return SPE_EXIT_RLIMIT;
}

static enum spe_exit not_ready(const struct spe *spe, int ret, struct spe_exit_info *info)
{
	info->error = error_sys(&info->msg, ret,
				"KVM_RUN: the setting up of SPE is not complete in the eyes of this kernel (interface %s)",
				spe->abi.name);
	return SPE_EXIT_FAILED;
}

/* The stop attribute, which is never set here, speaks through a stale-looking exit. */
static enum spe_exit stopped(struct spe_exit_info *info)
{
	info->error = error_set(&info->msg, -EAGAIN,
				"SPE: the guest profiles while profiling is stopped for it");
	return SPE_EXIT_FAILED;
}

enum spe_exit spe_exit(const struct spe *spe, int ret, const struct kvm_run *run,
		       struct spe_exit_info *info)
{
	const struct spe_abi *abi = &spe->abi;

	memset(info, 0, sizeof(*info));
	/* After a failure exit_reason is what it was before, mostly. */
	if (ret == -EAGAIN && abi->stop != ABI_NONE && fail_entry(run))
		return stopped(info);
	if (ret < 0 && ret == -abi->not_ready)
		return not_ready(spe, ret, info);
	/* Whatever the form of this kernel is said to be: headers do not tell it. */
	if (ret == -ENOEXEC && abi->wrong_cpu != ABI_WRONG_CPU_NONE)
		return wrong_by_errno(spe, info);
	if (ret < 0)
		return SPE_EXIT_OTHER;
	if (fail_entry(run) && abi->wrong_cpu != ABI_WRONG_CPU_NONE) {
		info->cpu = run->fail_entry.cpu;
		info->certain = true;
		return SPE_EXIT_WRONG_CPU;
	}
	if (abi->exit_rlimit != ABI_NONE && run->exit_reason == (u32)abi->exit_rlimit)
		return limit_exit(spe, run, info);
	return SPE_EXIT_OTHER;
}

/* Documentation/devicetree/bindings/arm/spe-pmu.yaml */
void spe_tree(struct tree *t)
{
	tree_begin(t, "spe");
	tree_string(t, "compatible", "arm,statistical-profiling-extension-v1");
	tree_cells(t, "interrupts", GIC_PPI, PPI_SPE, IRQ_HIGH);
	tree_end(t);
}
