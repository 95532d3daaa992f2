/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_spe.c - kernels whose KVM gives SPE to guests, each in its own way
 *
 * The refusals are those of the series that each function names.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/fake_spe.h"
#include "tests/unit/t.h"

#define MAX_VMS		8
#define MAX_VCPUS	8
#define MAX_SLOTS	4
#define MAX_LOG		4096
#define PMSVER		1ull
#define DEFAULT_TYPE	8
#define STEP		MIB(2)		/* that KVM_PRE_FAULT_MEMORY does at once */

#define SUPPORTED_CPUS	_IOW(KVMIO, 0xc5, char *)
#define REG_DFR0	ARM64_SYS_REG(3, 0, 0, 5, 0)

const struct fake_spe_kernel fake_spe_kernels[] = {
	/* Linux proper.  Nobody else's number may be taken for SPE's. */
	{ .name = "linux-5.4", .feature = -1 },
	{ .name = "linux-5.16", .feature = -1 },
	{ .name = "linux-6.1", .feature = -1 },
	{ .name = "linux-6.12", .feature = -1, .vm_attr = true },
	{ .name = "linux-6.16", .feature = -1, .vm_attr = true, .refuses = 0x180 },
	{ .name = "linux-6.16-nested", .feature = -1, .vm_attr = true, .accepts = 0x180,
	  .caps = { { 240, 1 }, { 241, 1 } } },
	{ .name = "linux-7.3", .feature = -1, .vm_attr = true, .refuses = 0x180, .accepts = 0x200,
	  .caps = { { 234, 1 }, { 236, 1 }, { 244, 3 }, { 245, 1 }, { 251, 1 } } },
	{ .name = "linux-7.3-nested", .feature = -1, .vm_attr = true, .accepts = 0x380,
	  .caps = { { 234, 1 }, { 236, 1 }, { 240, 1 }, { 241, 1 }, { 244, 3 }, { 251, 1 } } },
	/* Worse than any that is known: every number there ever was is somebody's. */
	{ .name = "linux-all-caps", .feature = -1, .vm_attr = true, .all_caps = true,
	  .refuses = 0x180, .caps = { { 240, 0 }, { 241, 0 } } },
	{ .name = "linux-all-caps-nested", .feature = -1, .vm_attr = true, .all_caps = true,
	  .accepts = 0x380 },
	{ .name = "linux-all-caps-bit-7", .feature = -1, .vm_attr = true, .all_caps = true,
	  .accepts = 0x380, .caps = { { 206, 0 }, { 240, 0 }, { 241, 0 }, { 251, 0 } } },
	{ .name = "linux-group-3", .feature = -1, .vm_attr = true, .all_caps = true,
	  .accepts = 0x380, .strange_group = true,
	  .caps = { { 206, 0 }, { 240, 0 }, { 241, 0 }, { 251, 0 } } },

	{ .name = "holla-v2", .series = FAKE_MURRAY, .row = "holla-v2", .caps = { { 173, 1 } },
	  .feature = 7, .group = 2, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = -1 },
	{ .name = "murray-v2", .series = FAKE_MURRAY, .row = "murray-v2", .caps = { { 179, 1 } },
	  .feature = 7, .group = 3, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = -1 },
	{ .name = "qemu-v3", .series = FAKE_MURRAY, .row = "qemu-v3", .caps = { { 184, 1 } },
	  .feature = 7, .group = 3, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = -1 },
	{ .name = "elisei-v3", .series = FAKE_ELISEI_3, .row = "elisei-v3", .caps = { { 191, 1 } },
	  .feature = 7, .group = 3, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = -1,
	  .vm_attr = true },
	{ .name = "elisei-v4", .series = FAKE_ELISEI_4, .row = "elisei-v4",
	  .caps = { { 206, 1 }, { 207, 1 }, { 208, 1 } },
	  .feature = 7, .group = 3, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = 2 },
	{ .name = "elisei-v5", .series = FAKE_ELISEI_5, .row = "elisei-v5",
	  .caps = { { 207, 1 }, { 208, 1 } },
	  .feature = 7, .group = 3, .irq = 0, .init = 1, .spu = -1, .size = -1, .stop = 2 },
	/* Numbers that nobody has published: these are the tests' own. */
	{ .name = "elisei-v6", .series = FAKE_ELISEI_6, .caps = { { 247, 1 } },
	  .text = "name = my-v6\ncapability = 247\nfeature-bit = 9\ngroup = 3\nirq = 0\nspu = 1\n"
		  "buffer-size = 2\ninit = 3\nmemory = kvm-pins\nwrong-cpu = fail-entry\n"
		  "exit-rlimit = 42\nexit-rlimit-need = 8\n",
	  .feature = 9, .group = 3, .irq = 0, .init = 3, .spu = 1, .size = 2, .stop = -1,
	  .exit_rlimit = 42, .vm_attr = true, .refuses = 0x180 },
	{ .name = "elisei-v7", .series = FAKE_ELISEI_7,
	  .caps = { { 234, 1 }, { 236, 1 }, { 244, 3 }, { 251, 1 }, { 253, 1 } },
	  .text = "name = my-v7\ncapability = 253\nfeature-bit = 10\ngroup = 3\nirq = 0\nspu = 1\n"
		  "init = 2\nmemory = guest-memfd\nwrong-cpu = fail-entry\n",
	  .feature = 10, .group = 3, .irq = 0, .init = 2, .spu = 1, .size = -1, .stop = -1,
	  .vm_attr = true, .accepts = 0x380 },
	{ .name = "plain", .series = FAKE_PLAIN, .caps = { { 1000, 1 } },
	  .text = "name = my-plain\ncapability = 1000\nfeature-bit = 16\ngroup = 3\nirq = 0\n"
		  "init = 1\nspu = 2\nmemory = none\nwrong-cpu = fail-entry\n",
	  .feature = 16, .group = 3, .irq = 0, .init = 1, .spu = 2, .size = -1, .stop = -1,
	  .vm_attr = true, .refuses = 0x80 },
};
const size_t fake_spe_nr_kernels = ARRAY_SIZE(fake_spe_kernels);

const struct fake_spe_kernel *fake_spe_kernel(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fake_spe_kernels); i++)
		if (!strcmp(fake_spe_kernels[i].name, name))
			return &fake_spe_kernels[i];
	return NULL;
}

struct vcpu_state {
	int			fd;		/* -1: none */
	u32			nr;
	bool			has_spe;
	int			irq;
	bool			init;
	bool			ran;
	u64			size;
	bool			has_cpus;
	struct cpumask		cpus;
	struct kvm_run		*run;
};

struct slot_state {
	u64			size;
	u64			host;
	u64			gpa;
	bool			memfd;
	bool			locked;
};

struct vm_state {
	bool			used;
	int			fd;
	int			gic;
	bool			has_gic;
	bool			gic_ready;
	bool			finalized;
	bool			ran;
	bool			has_spu;
	u64			faulted;	/* bytes from the start of slot 0 */
	struct slot_state	slots[MAX_SLOTS];
	struct vcpu_state	vcpus[MAX_VCPUS];
};

struct fake_spe {
	const struct fake_spe_kernel	*kernel;
	struct fake_kvm			*base;
	pthread_mutex_t			lock;
	int				type;
	struct cpumask			cpus;
	u32				again;
	u64				memlock;
	struct vm_state			vms[MAX_VMS];
	struct fake_call		log[MAX_LOG];
	size_t				nr_log;
	size_t				nr_calls;
	size_t				fail_at;
	int				fail_errno;
	bool				has_failed;
	struct fake_call		failed;
	char				wrong[96];
};

/* No guest without SPE, no stolen time: group 2 shall be free to be something else. */
static const struct fake_profile base_profile = {
	.name = "below fake_spe",
	.ipa_bits = 40,
	.max_vcpus = MAX_VCPUS,
	.gicv2 = true,
	.gicv3 = true,
	.its = true,
	.known = 0x7f,
	.features = 0x7f,
	.pvtime = true,
	.mmfr0 = 0x101125,
	.sve_vls = 1,
};

static void wrong(struct fake_spe *spe, const char *what)
{
	if (!spe->wrong[0])
		snprintf(spe->wrong, sizeof(spe->wrong), "%s", what);
}

static struct vm_state *find(struct fake_spe *spe, int fd, struct vcpu_state **vcpu)
{
	*vcpu = NULL;
	for (u32 i = 0; i < MAX_VMS; i++) {
		struct vm_state *vm = &spe->vms[i];

		if (!vm->used)
			continue;
		if (fd == vm->fd || (vm->gic >= 0 && fd == vm->gic))
			return vm;
		for (u32 j = 0; j < MAX_VCPUS; j++) {
			if (vm->vcpus[j].fd == fd) {
				*vcpu = &vm->vcpus[j];
				return vm;
			}
		}
	}
	return NULL;
}

static bool again(struct fake_spe *spe)
{
	if (!spe->again)
		return false;
	spe->again--;
	return true;
}

/* ---- Attributes ------------------------------------------------------------------ */

static bool is_ppi(int irq)
{
	return irq >= 16 && irq <= 31;
}

static bool irq_differs(const struct vm_state *vm, int irq)
{
	for (u32 i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].irq && vm->vcpus[i].irq != irq)
			return true;
	return false;
}

/* Andrew Murray, v2, 13/18: kvm_arm_spe_v1_set_attr() */
static int set_murray(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu,
		      int attr, const void *val)
{
	int irq;

	if (attr == spe->kernel->irq) {
		if (!vm->has_gic)
			return -EINVAL;
		if (!vcpu->has_spe)
			return -ENODEV;
		if (!val)
			return -EFAULT;
		memcpy(&irq, val, sizeof(irq));
		if (!is_ppi(irq) || irq_differs(vm, irq))
			return -EINVAL;
		if (vcpu->irq)
			return -EBUSY;
		vcpu->irq = irq;
		return 0;
	}
	if (attr == spe->kernel->init) {
		if (!vm->gic_ready)
			return -ENODEV;
		if (!vcpu->has_spe)
			return -ENXIO;
		if (vcpu->init)
			return -EBUSY;
		if (!vcpu->irq)
			return -EINVAL;
		vcpu->init = true;
		return 0;
	}
	return -ENXIO;
}

static int set_irq(struct vm_state *vm, struct vcpu_state *vcpu, const void *val)
{
	int irq;

	if (vcpu->irq || vcpu->init)
		return -EBUSY;
	if (!val)
		return -EFAULT;
	memcpy(&irq, val, sizeof(irq));
	if (!is_ppi(irq) || irq_differs(vm, irq))
		return -EINVAL;
	vcpu->irq = irq;
	return 0;
}

/* Alexandru Elisei, v3, 9/16 */
static int init_v3(struct vm_state *vm, struct vcpu_state *vcpu)
{
	if (!vcpu->irq)
		return -ENXIO;
	if (!vm->gic_ready)
		return -ENODEV;
	if (vcpu->init)
		return -EBUSY;
	vcpu->init = true;
	return 0;
}

/* v5, 22/38; v6 and v7 want an instance too */
static int init_v5(const struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu)
{
	if (vcpu->init)
		return -EBUSY;
	if (!vcpu->irq || !vm->gic_ready)
		return -ENXIO;
	if (spe->kernel->spu >= 0 && !vm->has_spu)
		return -ENXIO;
	vcpu->init = true;
	return 0;
}

static int set_spu(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu,
		   const void *val)
{
	int type;

	if (vcpu->init)
		return -EBUSY;
	if (!val)
		return -EFAULT;
	memcpy(&type, val, sizeof(type));
	if (type != spe->type)
		return -ENXIO;
	if (!vm->has_spu && vm->ran)
		return -EBUSY;
	vm->has_spu = true;
	return 0;
}

/* v6, 14/35 and 33/35 */
static int set_size(struct fake_spe *spe, struct vm_state *vm, const void *val)
{
	u64 size;

	if (vm->ran)
		return -EBUSY;
	if (!val)
		return -EFAULT;
	memcpy(&size, val, sizeof(size));
	if (size & 0xfff)
		return -EDOM;
	if (size > spe->memlock)
		return -ENOMEM;
	for (u32 i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].size && vm->vcpus[i].size != size)
			return -EINVAL;
	vm->vcpus[0].size = size;
	return 0;
}

static int set_elisei(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu,
		      int attr, const void *val)
{
	const struct fake_spe_kernel *k = spe->kernel;

	if (!vcpu->has_spe || !vm->has_gic)
		return -ENXIO;
	if (attr == k->irq)
		return set_irq(vm, vcpu, val);
	if (attr == k->init)
		return k->series == FAKE_ELISEI_3 ? init_v3(vm, vcpu) : init_v5(spe, vm, vcpu);
	if (attr == k->spu)
		return set_spu(spe, vm, vcpu, val);
	if (attr == k->size)
		return set_size(spe, vm, val);
	if (attr == k->stop)
		return vcpu->init ? 0 : -EAGAIN;
	return -ENXIO;
}

static bool knows(const struct fake_spe_kernel *k, int attr)
{
	return attr == k->irq || attr == k->init || attr == k->spu || attr == k->size ||
	       attr == k->stop;
}

/* -ENXIO with @ours false: the base is to be asked. */
static int vcpu_attr(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu,
		     unsigned long req, const struct kvm_device_attr *a, bool *ours)
{
	const struct fake_spe_kernel *k = spe->kernel;
	const void *val = (const void *)(uintptr_t)a->addr;

	*ours = true;
	if (k->strange_group && a->group == 3)
		return req == KVM_HAS_DEVICE_ATTR ? 0 : -EINVAL;
	*ours = k->series != FAKE_LINUX && a->group == k->group;
	if (!*ours || a->attr > INT32_MAX)
		return -ENXIO;
	if (req == KVM_HAS_DEVICE_ATTR) {
		bool usable = vcpu->has_spe && (k->series == FAKE_MURRAY || vm->has_gic);

		return usable && knows(k, (int)a->attr) ? 0 : -ENXIO;
	}
	if (req != KVM_SET_DEVICE_ATTR)
		return -ENXIO;
	if (k->series == FAKE_MURRAY)
		return set_murray(spe, vm, vcpu, (int)a->attr, val);
	return set_elisei(spe, vm, vcpu, (int)a->attr, val);
}

/* Is the mapping around @host locked?  The kernel looks at VM_LOCKED.  Under
 * sanitizers nothing ever is: their mlock() does nothing. */
static bool is_locked(u64 host)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long start;
	unsigned long long end;
	char line[512];
	bool inside = false;
	bool locked = T_SANITIZED;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			inside = host >= start && host < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			locked |= strstr(line, " lo") != NULL;
	}
	if (f)
		fclose(f);
	return locked;
}

/* v3, 11/16; in Linux proper this attribute is the SMCCC filter, which is never set
 * by us. */
static int vm_attr(struct fake_spe *spe, struct vm_state *vm, unsigned long req,
		   const struct kvm_device_attr *a)
{
	if (!spe->kernel->vm_attr)
		return -ENOTTY;
	if (a->group || a->attr)
		return -ENXIO;
	if (req == KVM_HAS_DEVICE_ATTR)
		return 0;
	if (spe->kernel->series != FAKE_ELISEI_3) {
		wrong(spe, "the SMCCC filter was set");
		return -EINVAL;
	}
	for (u32 i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].fd >= 0 && !vm->vcpus[i].init)
			return -ENXIO;
	if (vm->finalized)
		return -EBUSY;
	if (again(spe))
		return -EAGAIN;
	for (u32 i = 0; i < MAX_SLOTS; i++)
		if (vm->slots[i].size && !is_locked(vm->slots[i].host))
			return -EFAULT;
	vm->finalized = true;
	return 0;
}

/* ---- Memory ------------------------------------------------------------------------ */

/* v5, 02/38 and 03/38 */
static int lock_slot(struct fake_spe *spe, struct vm_state *vm, const struct kvm_enable_cap *cap)
{
	u64 nr = cap->args[0];
	struct slot_state *slot = nr < MAX_SLOTS ? &vm->slots[nr] : NULL;
	bool v4 = spe->kernel->series == FAKE_ELISEI_4;

	if (cap->args[2] || cap->args[3] || !slot || !slot->size)
		return -EINVAL;
	if (cap->flags == 2) {
		if (cap->args[1] > 1 || !slot->locked)
			return -EINVAL;
		slot->locked = false;
		return 0;
	}
	if (cap->flags != 1 || !(cap->args[1] & 1) || cap->args[1] > 3)
		return -EINVAL;
	if (slot->locked || (v4 && vm->ran))
		return -EBUSY;
	if (slot->size > spe->memlock)
		return -ENOMEM;
	if (again(spe))
		return -EAGAIN;
	slot->locked = true;
	return 0;
}

static u32 lock_cap(const struct fake_spe *spe)
{
	return spe->kernel->series == FAKE_ELISEI_4 ? 206 :
	       spe->kernel->series == FAKE_ELISEI_5 ? 207 : 0;
}

static int create_memfd(struct fake_spe *spe, const struct kvm_create_guest_memfd *req)
{
	int fd;

	if (spe->kernel->series != FAKE_ELISEI_7)
		return -ENOTTY;
	if (req->flags != 3 || !req->size || req->size % 4096)
		return -EINVAL;
	fd = memfd_create("fake-guest-memfd", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)req->size)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int pre_fault(struct fake_spe *spe, struct vm_state *vm, struct kvm_pre_fault_memory *req)
{
	const struct slot_state *slot = &vm->slots[0];
	u64 off = req->gpa - slot->gpa;
	u64 len = req->size < STEP ? req->size : STEP;

	if (spe->kernel->series != FAKE_ELISEI_7)
		return -ENOTTY;
	if (!req->size || req->size % 4096 || req->gpa % 4096 || req->flags)
		return -EINVAL;
	if (req->gpa < slot->gpa || off >= slot->size || req->size > slot->size - off)
		return -ENOENT;
	if (again(spe))
		return -EINTR;
	if (off == vm->faulted)
		vm->faulted += len;
	req->gpa += len;
	req->size -= len;
	return 0;
}

/* ---- KVM_RUN ------------------------------------------------------------------------- */

static void check_memory(struct fake_spe *spe, const struct vm_state *vm)
{
	const struct slot_state *ram = &vm->slots[0];

	switch (spe->kernel->series) {
	case FAKE_MURRAY:
		if (!is_locked(ram->host))
			wrong(spe, "the guest runs and its RAM is not locked");
		return;
	case FAKE_ELISEI_4:
	case FAKE_ELISEI_5:
		if (!ram->locked)
			wrong(spe, "the guest runs and its slot is not locked");
		return;
	case FAKE_ELISEI_7:
		if (!ram->memfd || vm->faulted != ram->size)
			wrong(spe, "the guest runs and not all of its RAM is mapped");
		return;
	case FAKE_LINUX:
	case FAKE_ELISEI_3:
	case FAKE_ELISEI_6:
	case FAKE_PLAIN:
		return;
	}
}

static int first_run(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu)
{
	struct cpumask both;

	if (spe->kernel->series == FAKE_ELISEI_3)
		return vm->finalized ? 0 : -EPERM;
	if (spe->kernel->series == FAKE_MURRAY)
		return 0;
	if (!vcpu->init)
		return spe->kernel->series == FAKE_ELISEI_4 ? -EPERM : -EINVAL;
	if (spe->kernel->series != FAKE_ELISEI_4)
		return 0;
	if (!vcpu->has_cpus)
		return -ENOEXEC;
	cpumask_and(&both, &vcpu->cpus, &spe->cpus);
	return cpumask_equal(&both, &vcpu->cpus) ? 0 : -ENOEXEC;
}

static int run_refused(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu)
{
	unsigned int cpu = (unsigned int)sched_getcpu();
	int ret;

	if (!vcpu->has_spe)
		return 1;
	if (!vcpu->ran) {
		ret = first_run(spe, vm, vcpu);
		if (ret)
			return ret;
		check_memory(spe, vm);
	}
	vcpu->ran = vm->ran = true;
	if (cpumask_has(&spe->cpus, cpu))
		return 1;
	switch (spe->kernel->series) {
	case FAKE_ELISEI_4:
	case FAKE_ELISEI_5:
		return -ENOEXEC;
	case FAKE_ELISEI_6:
	case FAKE_ELISEI_7:
	case FAKE_PLAIN:
		vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
		vcpu->run->fail_entry.hardware_entry_failure_reason =
			KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED;
		vcpu->run->fail_entry.cpu = cpu;
		return 0;
	case FAKE_LINUX:
	case FAKE_MURRAY:
	case FAKE_ELISEI_3:
		break;
	}
	return 1;
}

/* ---- The seam ---------------------------------------------------------------------------- */

static int base_ioctl(struct fake_spe *spe, int fd, unsigned long req, void *arg)
{
	return fake_kvm_ops.ioctl(spe->base, fd, req, arg);
}

static int check_extension(struct fake_spe *spe, int fd, void *arg)
{
	const struct fake_spe_kernel *k = spe->kernel;
	uintptr_t cap = (uintptr_t)arg;

	for (size_t i = 0; i < ARRAY_SIZE(k->caps) && k->caps[i].cap; i++)
		if (k->caps[i].cap == cap)
			return k->caps[i].value;
	if (k->all_caps && cap >= 173 && cap <= 252)
		return 3;
	if (cap >= 173)
		return 0;
	return base_ioctl(spe, fd, KVM_CHECK_EXTENSION, arg);
}

static int init_vcpu(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu, int fd,
		     const struct kvm_vcpu_init *init)
{
	const struct fake_spe_kernel *k = spe->kernel;
	u32 bit = k->feature < 0 ? 0 : 1u << k->feature;
	struct kvm_vcpu_init copy = *init;
	int ret;

	if (init->features[0] & k->refuses)
		return -EINVAL;
	if ((init->features[0] & bit) && (init->features[0] & 1u << KVM_ARM_VCPU_EL1_32BIT))
		return -EINVAL;
	copy.features[0] &= ~(bit | k->accepts);
	ret = base_ioctl(spe, fd, KVM_ARM_VCPU_INIT, &copy);
	if (ret)
		return ret;
	vcpu->has_spe = init->features[0] & bit;
	if (spe->kernel->series == FAKE_ELISEI_3)
		vm->finalized = false;
	return 0;
}

static int read_dfr0(const struct fake_spe *spe, const struct vm_state *vm,
		     const struct vcpu_state *vcpu, const struct kvm_one_reg *reg)
{
	bool hidden = spe->kernel->spu >= 0 && spe->kernel->series != FAKE_LINUX && !vm->has_spu;
	u64 val = 0x10305106 | (vcpu->has_spe && !hidden ? PMSVER << 32 : 0);

	memcpy((void *)(uintptr_t)reg->addr, &val, sizeof(val));
	return 0;
}

static int set_cpus(struct fake_spe *spe, struct vcpu_state *vcpu, const char *list)
{
	if (spe->kernel->series != FAKE_ELISEI_4)
		return -EINVAL;
	if (vcpu->ran)
		return -ENOEXEC;
	if (cpumask_parse(&vcpu->cpus, list, strlen(list)))
		return -EINVAL;
	vcpu->has_cpus = true;
	return 0;
}

/* Returns false if the base shall answer. */
static bool vcpu_ioctl(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu, int fd,
		       unsigned long req, void *arg, int *ret)
{
	const struct kvm_one_reg *reg = arg;
	bool ours = true;

	switch (req) {
	case KVM_ARM_VCPU_INIT:
		*ret = init_vcpu(spe, vm, vcpu, fd, arg);
		return true;
	case SUPPORTED_CPUS:
		*ret = set_cpus(spe, vcpu, arg);
		return true;
	case KVM_PRE_FAULT_MEMORY:
		*ret = pre_fault(spe, vm, arg);
		return true;
	case KVM_GET_ONE_REG:
		if (reg->id != REG_DFR0)
			return false;
		*ret = read_dfr0(spe, vm, vcpu, reg);
		return true;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		*ret = vcpu_attr(spe, vm, vcpu, req, arg, &ours);
		return ours;
	case KVM_RUN:
		*ret = run_refused(spe, vm, vcpu);
		return *ret != 1;
	}
	return false;
}

static bool set_memory(struct fake_spe *spe, struct vm_state *vm, int fd, unsigned long req,
		       void *arg, int *ret)
{
	const struct kvm_userspace_memory_region2 *new = arg;
	bool memfd = req == KVM_SET_USER_MEMORY_REGION2;
	struct kvm_userspace_memory_region old = {
		.slot = new->slot,
		.flags = memfd ? new->flags & ~(u32)KVM_MEM_GUEST_MEMFD : new->flags,
		.guest_phys_addr = new->guest_phys_addr,
		.memory_size = new->memory_size,
		.userspace_addr = new->userspace_addr,
	};

	if (new->slot < MAX_SLOTS && vm->slots[new->slot].locked) {
		*ret = -EBUSY;
		return true;
	}
	*ret = memfd && spe->kernel->series != FAKE_ELISEI_7 ? -ENOTTY :
	       base_ioctl(spe, fd, KVM_SET_USER_MEMORY_REGION, &old);
	if (!*ret && old.slot < MAX_SLOTS)
		vm->slots[old.slot] = (struct slot_state){
			.size = old.memory_size,
			.host = old.userspace_addr,
			.gpa = old.guest_phys_addr,
			.memfd = memfd && new->flags & KVM_MEM_GUEST_MEMFD,
		};
	return true;
}

static int add_vcpu(struct fake_spe *spe, struct vm_state *vm, int fd, void *arg)
{
	int ret = base_ioctl(spe, fd, KVM_CREATE_VCPU, arg);

	for (u32 i = 0; ret >= 0 && i < MAX_VCPUS; i++) {
		if (vm->vcpus[i].fd < 0) {
			vm->vcpus[i] = (struct vcpu_state){ .fd = ret, .nr = (u32)(uintptr_t)arg };
			break;
		}
	}
	return ret;
}

static bool vm_ioctl(struct fake_spe *spe, struct vm_state *vm, int fd, unsigned long req,
		     void *arg, int *ret)
{
	const struct kvm_enable_cap *cap = arg;
	struct kvm_create_device *dev = arg;

	switch (req) {
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		return set_memory(spe, vm, fd, req, arg, ret);
	case KVM_CREATE_GUEST_MEMFD:
		*ret = create_memfd(spe, arg);
		return true;
	case KVM_CREATE_VCPU:
		*ret = add_vcpu(spe, vm, fd, arg);
		return true;
	case KVM_CREATE_DEVICE:
		*ret = base_ioctl(spe, fd, req, arg);
		if (!*ret && dev->type != KVM_DEV_TYPE_ARM_VGIC_ITS) {
			vm->gic = (int)dev->fd;
			vm->has_gic = true;
		}
		return true;
	case KVM_ENABLE_CAP:
		/* Linux proper has another meaning for each of these. */
		if (!lock_cap(spe) && cap->cap >= 206 && cap->cap <= 208)
			wrong(spe, "somebody else's capability was enabled");
		if (cap->cap != lock_cap(spe))
			return false;
		*ret = lock_slot(spe, vm, cap);
		return true;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		*ret = vm_attr(spe, vm, req, arg);
		return true;
	}
	return false;
}

static bool gic_ioctl(struct fake_spe *spe, struct vm_state *vm, int fd, unsigned long req,
		      void *arg, int *ret)
{
	const struct kvm_device_attr *a = arg;

	*ret = base_ioctl(spe, fd, req, arg);
	if (req == KVM_SET_DEVICE_ATTR && !*ret && a->group == KVM_DEV_ARM_VGIC_GRP_CTRL &&
	    a->attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
		vm->gic_ready = true;
	return true;
}

static int create_vm(struct fake_spe *spe, int fd, void *arg)
{
	int ret = base_ioctl(spe, fd, KVM_CREATE_VM, arg);

	for (u32 i = 0; ret >= 0 && i < MAX_VMS; i++) {
		struct vm_state *vm = &spe->vms[i];

		if (vm->used)
			continue;
		*vm = (struct vm_state){ .used = true, .fd = ret, .gic = -1 };
		for (u32 j = 0; j < MAX_VCPUS; j++)
			vm->vcpus[j].fd = -1;
		break;
	}
	return ret;
}

static bool answer(struct fake_spe *spe, int fd, unsigned long req, void *arg, int *ret)
{
	struct vcpu_state *vcpu;
	struct vm_state *vm = find(spe, fd, &vcpu);

	if (req == KVM_CHECK_EXTENSION) {
		*ret = check_extension(spe, fd, arg);
		return true;
	}
	if (vcpu)
		return vcpu_ioctl(spe, vm, vcpu, fd, req, arg, ret);
	if (vm && fd == vm->gic)
		return gic_ioctl(spe, vm, fd, req, arg, ret);
	if (vm)
		return vm_ioctl(spe, vm, fd, req, arg, ret);
	if (req == KVM_CREATE_VM) {
		*ret = create_vm(spe, fd, arg);
		return true;
	}
	return false;
}

static bool faulted(struct fake_spe *spe, struct fake_call *call)
{
	if (++spe->nr_calls != spe->fail_at)
		return false;
	call->ret = -spe->fail_errno;
	spe->failed = *call;
	spe->has_failed = true;
	return true;
}

static void note(struct fake_spe *spe, const struct fake_call *call)
{
	if (spe->nr_log < MAX_LOG)
		spe->log[spe->nr_log++] = *call;
}

static struct fake_call describe(struct fake_spe *spe, int fd, unsigned long req, void *arg)
{
	struct fake_call call = { .req = req, .vcpu = -1 };
	const struct kvm_device_attr *attr = arg;
	const struct kvm_enable_cap *cap = arg;
	struct vcpu_state *vcpu;

	find(spe, fd, &vcpu);
	if (vcpu)
		call.vcpu = (int)vcpu->nr;
	switch (req) {
	case KVM_CHECK_EXTENSION:
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		call.arg = (uintptr_t)arg;
		break;
	case KVM_ENABLE_CAP:
		call.arg = cap->cap;
		call.val = cap->flags;
		break;
	case KVM_ARM_VCPU_INIT:
		call.arg = ((const struct kvm_vcpu_init *)arg)->features[0];
		break;
	case KVM_SET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		call.arg = (u64)attr->group << 32 | attr->attr;
		if (attr->addr)
			memcpy(&call.val, (void *)(uintptr_t)attr->addr, sizeof(u32));
		break;
	}
	return call;
}

static int spe_ioctl(void *ctx, int fd, unsigned long req, void *arg)
{
	struct fake_spe *spe = ctx;
	struct fake_call call;
	bool answered;
	int ret = 0;

	pthread_mutex_lock(&spe->lock);
	call = describe(spe, fd, req, arg);
	answered = faulted(spe, &call);
	if (answered)
		ret = call.ret;
	else
		answered = answer(spe, fd, req, arg, &ret);
	call.ret = ret;
	if (answered)
		note(spe, &call);
	pthread_mutex_unlock(&spe->lock);
	if (answered)
		return ret;
	/* It may be a KVM_RUN that lasts. */
	ret = base_ioctl(spe, fd, req, arg);
	pthread_mutex_lock(&spe->lock);
	call.ret = ret;
	note(spe, &call);
	pthread_mutex_unlock(&spe->lock);
	return ret;
}

static int spe_open(void *ctx)
{
	struct fake_spe *spe = ctx;
	struct fake_call call = { .req = FAKE_OP_OPEN, .vcpu = -1 };
	bool fault;

	pthread_mutex_lock(&spe->lock);
	fault = faulted(spe, &call);
	pthread_mutex_unlock(&spe->lock);
	return fault ? call.ret : fake_kvm_ops.open(spe->base);
}

static int spe_map_run(void *ctx, int fd, size_t size, struct kvm_run **run)
{
	struct fake_spe *spe = ctx;
	struct fake_call call = { .req = FAKE_OP_MAP_RUN, .vcpu = -1 };
	struct vcpu_state *vcpu;
	int ret;

	pthread_mutex_lock(&spe->lock);
	ret = faulted(spe, &call) ? call.ret : fake_kvm_ops.map_run(spe->base, fd, size, run);
	find(spe, fd, &vcpu);
	if (!ret && vcpu)
		vcpu->run = *run;
	pthread_mutex_unlock(&spe->lock);
	return ret;
}

static void spe_unmap_run(void *ctx, struct kvm_run *run, size_t size)
{
	struct fake_spe *spe = ctx;

	fake_kvm_ops.unmap_run(spe->base, run, size);
}

static void forget(struct fake_spe *spe, struct vm_state *vm, struct vcpu_state *vcpu, int fd)
{
	bool open = false;

	if (vcpu)
		vcpu->fd = -1;
	else if (fd == vm->gic)
		vm->gic = -1;
	else
		vm->fd = -1;
	for (u32 i = 0; i < MAX_VCPUS; i++)
		open |= vm->vcpus[i].fd >= 0;
	if (open || vm->fd >= 0 || vm->gic >= 0)
		return;
	for (u32 i = 0; i < MAX_SLOTS; i++)
		if (vm->slots[i].locked)
			wrong(spe, "a VM went away with a locked slot");
	vm->used = false;
}

static void spe_close(void *ctx, int fd)
{
	struct fake_spe *spe = ctx;
	struct vcpu_state *vcpu;
	struct vm_state *vm;

	pthread_mutex_lock(&spe->lock);
	vm = find(spe, fd, &vcpu);
	if (vm)
		forget(spe, vm, vcpu, fd);
	pthread_mutex_unlock(&spe->lock);
	fake_kvm_ops.close(spe->base, fd);
}

static void spe_kick(void *ctx, pthread_t thread, int signal)
{
	struct fake_spe *spe = ctx;

	fake_kvm_ops.kick(spe->base, thread, signal);
}

static void spe_unkick(void *ctx, int signal)
{
	struct fake_spe *spe = ctx;

	fake_kvm_ops.unkick(spe->base, signal);
}

const struct kvm_ops fake_spe_ops = {
	.open = spe_open,
	.ioctl = spe_ioctl,
	.map_run = spe_map_run,
	.unmap_run = spe_unmap_run,
	.close = spe_close,
	.kick = spe_kick,
	.unkick = spe_unkick,
};

/* ---- For tests ------------------------------------------------------------------------------ */

struct fake_spe *fake_spe_create(const struct fake_spe_kernel *kernel)
{
	struct fake_spe *spe = calloc(1, sizeof(*spe));

	if (!spe)
		return NULL;
	spe->base = fake_create(&base_profile);
	if (!spe->base) {
		free(spe);
		return NULL;
	}
	spe->kernel = kernel;
	spe->type = DEFAULT_TYPE;
	spe->memlock = UINT64_MAX;
	memset(&spe->cpus, 0xff, sizeof(spe->cpus));
	pthread_mutex_init(&spe->lock, NULL);
	return spe;
}

void fake_spe_destroy(struct fake_spe *spe)
{
	if (!spe)
		return;
	fake_destroy(spe->base);
	pthread_mutex_destroy(&spe->lock);
	free(spe);
}

struct fake_kvm *fake_spe_base(struct fake_spe *spe)
{
	return spe->base;
}

void fake_spe_instance(struct fake_spe *spe, int type, const struct cpumask *cpus)
{
	pthread_mutex_lock(&spe->lock);
	spe->type = type;
	spe->cpus = *cpus;
	pthread_mutex_unlock(&spe->lock);
}

void fake_spe_again(struct fake_spe *spe, u32 n)
{
	pthread_mutex_lock(&spe->lock);
	spe->again = n;
	pthread_mutex_unlock(&spe->lock);
}

void fake_spe_memlock(struct fake_spe *spe, u64 bytes)
{
	pthread_mutex_lock(&spe->lock);
	spe->memlock = bytes;
	pthread_mutex_unlock(&spe->lock);
}

void fake_spe_fail(struct fake_spe *spe, size_t n, int err)
{
	pthread_mutex_lock(&spe->lock);
	spe->nr_calls = 0;
	spe->fail_at = n;
	spe->fail_errno = err;
	spe->has_failed = false;
	pthread_mutex_unlock(&spe->lock);
}

bool fake_spe_failed(struct fake_spe *spe, struct fake_call *call)
{
	bool has;

	pthread_mutex_lock(&spe->lock);
	has = spe->has_failed;
	if (has)
		*call = spe->failed;
	pthread_mutex_unlock(&spe->lock);
	return has;
}

size_t fake_spe_log(struct fake_spe *spe, struct fake_call *calls, size_t max)
{
	size_t nr;

	pthread_mutex_lock(&spe->lock);
	nr = spe->nr_log < max ? spe->nr_log : max;
	memcpy(calls, spe->log, nr * sizeof(*calls));
	pthread_mutex_unlock(&spe->lock);
	return nr;
}

void fake_spe_reset(struct fake_spe *spe)
{
	pthread_mutex_lock(&spe->lock);
	spe->nr_log = 0;
	spe->nr_calls = 0;
	spe->fail_at = 0;
	spe->has_failed = false;
	pthread_mutex_unlock(&spe->lock);
}

const char *fake_spe_wrong(struct fake_spe *spe)
{
	const char *below = fake_wrong(spe->base);

	return spe->wrong[0] ? spe->wrong : below;
}
