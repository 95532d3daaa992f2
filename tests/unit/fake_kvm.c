/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_kvm.c - a fake KVM behind the seam of vmm/kvm.h
 *
 * An object is a memfd, found again by its inode, so that duplicates count as the
 * same and a wrong descriptor is told from a right one.  The page shared with a
 * vCPU is its memfd's.  Each refusal names the function of Linux 6.12 that it is
 * taken from.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_kvm.h"

#define MAX_VMS		4
#define MAX_VCPUS	64
#define MAX_DEVICES	4
#define MAX_SLOTS	8
#define MAX_BELLS	64
#define MAX_MESSAGES	64
#define MAX_ROUTES	4096
#define MAX_VALUES	256
#define MAX_THREADS	256
#define NR_INTIDS	1024
#define RUN_SIZE	8192
#define PAGE		4096
#define WAIT_S		10

#define UNSET		UINT64_MAX
#define BIT(n)		(1ull << (n))

struct id {
	dev_t	dev;
	ino_t	ino;
	bool	open;
};

#define NR_SYS_REGS	8

struct vcpu_state {
	struct id		id;
	u32			nr;
	bool			initialised;
	bool			finalised;	/* SVE */
	bool			off;
	bool			ran;
	bool			running;
	u32			features;
	u64			sve_vls;
	u32			pmu_irq;
	bool			pmu_ready;
	u64			pvtime;
	u64			mask;		/* of KVM_SET_SIGNAL_MASK */
	bool			has_mask;
	u64			sys[NR_SYS_REGS];
	u32			core[sizeof(struct kvm_regs) / 4];
	struct kvm_run		*run;
	size_t			pc;		/* of the script */
	u32			times;
	u32			round;
	bool			reading;	/* an MMIO read waits for its value */
	u64			values[MAX_VALUES];
	size_t			nr_values;
};

struct device_state {
	struct id	id;
	u32		type;
	u64		its_base;
};

/* KVM_IOEVENTFD and KVM_IRQFD: the fake keeps a duplicate of the eventfd. */
struct bell {
	u64	addr;
	u64	val;
	u32	len;
	int	fd;
};

struct irqfd {
	u32	gsi;
	u32	id;
	int	fd;
};

struct slot {
	u64	gpa;
	u64	size;
	u64	host;
	u32	flags;
};

struct vm_state {
	struct id		id;
	bool			used;		/* it or a part of it is open */
	u64			serial;
	unsigned int		ipa_bits;
	bool			mte;
	bool			features_set;
	u32			features;
	struct slot		slots[MAX_SLOTS];
	struct vcpu_state	vcpus[MAX_VCPUS];
	u32			nr_vcpus;	/* that were created, ever */
	u32			max_vcpus;
	struct device_state	devices[MAX_DEVICES];
	u32			gic;		/* KVM_DEV_TYPE_*, or 0 */
	u64			dist;
	u64			second;		/* GICv2's CPU interface, GICv3's redistributors */
	u32			nr_irqs;
	bool			gic_ready;	/* initialised */
	bool			gic_mapped;
	u32			maint;
	bool			level[NR_INTIDS];
	struct bell		bells[MAX_BELLS];
	u32			nr_bells;
	struct irqfd		irqfds[MAX_BELLS];
	u32			nr_irqfds;
	struct kvm_irq_routing_entry routes[MAX_ROUTES];
	u32			nr_routes;
	struct kvm_msi		messages[MAX_MESSAGES];
	u32			nr_messages;
	u64			less_pa;	/* of ID_AA64MMFR0_EL1.PARange */
	u64			voffset;	/* of the guest's virtual counter */
	bool			offset_set;	/* by KVM_ARM_SET_COUNTER_OFFSET */
};

/* A thread with signals that are pending and blocked. */
struct pending {
	pthread_t	thread;
	u64		signals;
};

struct script {
	const struct fake_step	*steps;
	size_t			nr;
	u32			rounds;
};

struct fake_kvm {
	const struct fake_profile	*profile;
	pthread_mutex_t			lock;
	pthread_cond_t			changed;
	struct id			dev;
	int				dev_fd;		/* the fake's own */
	u32				nr_dev;		/* opened by others */
	u64				serial;
	struct vm_state			vms[MAX_VMS];
	struct script			scripts[MAX_VCPUS];
	bool				gate;
	u32				nr_inside;	/* vCPUs that wait in KVM_RUN */
	struct pending			pending[MAX_THREADS];
	struct fake_call		log[FAKE_MAX_CALLS];
	size_t				nr_log;
	size_t				nr_calls;
	size_t				fail_at;
	int				fail_errno;
	bool				has_failed;
	struct fake_call		failed;
	char				wrong[128];
	u64				counter;	/* the host's */
};

#define FEATURES_6_1	0x7full
#define FEATURES_6_16	0x1ffull
const struct fake_profile fake_server = {
	.name = "server",
	.ipa_bits = 48,
	.max_vcpus = MAX_VCPUS,
	.gicv2 = true,
	.gicv3 = true,
	.its = true,
	.known = FEATURES_6_16,
	.features = FEATURES_6_16,
	.mte = true,
	.pvtime = true,
	.counter_offset = true,
	.mmfr0 = 0x101125,		/* every granule */
	.sve_vls = 0x000b,		/* 128, 256 and 512 bits */
};
const struct fake_profile fake_board = {
	.name = "board",
	.max_vcpus = 8,
	.gicv2 = true,
	.known = FEATURES_6_1,
	.features = BIT(KVM_ARM_VCPU_POWER_OFF) | BIT(KVM_ARM_VCPU_PSCI_0_2),
	.mmfr0 = 0x0f000000,		/* 4 KiB alone */
};

PRINTF(2, 3)
static void wrong(struct fake_kvm *fake, const char *fmt, ...)
{
	va_list ap;

	if (fake->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(fake->wrong, sizeof(fake->wrong), fmt, ap);
	va_end(ap);
}

/* ---- Objects ---------------------------------------------------------------- */

static int new_object(struct id *id, const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if ((size && ftruncate(fd, (off_t)size)) || fstat(fd, &st)) {
		close(fd);
		return -EIO;
	}
	*id = (struct id){ .dev = st.st_dev, .ino = st.st_ino, .open = true };
	return fd;
}

static bool is(const struct id *id, const struct stat *st)
{
	return id->open && id->dev == st->st_dev && id->ino == st->st_ino;
}

struct object {
	struct id		*id;
	bool			is_dev;
	struct vm_state		*vm;
	struct vcpu_state	*vcpu;
	struct device_state	*device;
};

static bool find_in_vm(struct vm_state *vm, const struct stat *st, struct object *obj)
{
	obj->vm = vm;
	if (is(&vm->id, st)) {
		obj->id = &vm->id;
		return true;
	}
	for (u32 i = 0; i < MAX_VCPUS; i++) {
		if (is(&vm->vcpus[i].id, st)) {
			obj->vcpu = &vm->vcpus[i];
			obj->id = &obj->vcpu->id;
			return true;
		}
	}
	for (u32 i = 0; i < MAX_DEVICES; i++) {
		if (is(&vm->devices[i].id, st)) {
			obj->device = &vm->devices[i];
			obj->id = &obj->device->id;
			return true;
		}
	}
	return false;
}

static int find(struct fake_kvm *fake, int fd, struct object *obj)
{
	struct stat st;

	*obj = (struct object){ 0 };
	if (fstat(fd, &st)) {
		wrong(fake, "descriptor %d is not open", fd);
		return -EBADF;
	}
	if (is(&fake->dev, &st)) {
		obj->is_dev = true;
		obj->id = &fake->dev;
		return 0;
	}
	for (u32 i = 0; i < MAX_VMS; i++)
		if (fake->vms[i].used && find_in_vm(&fake->vms[i], &st, obj))
			return 0;
	return -ENOTTY;
}

static struct vm_state *latest(struct fake_kvm *fake)
{
	struct vm_state *vm = NULL;

	for (u32 i = 0; i < MAX_VMS; i++)
		if (fake->vms[i].used && (!vm || fake->vms[i].serial > vm->serial))
			vm = &fake->vms[i];
	return vm;
}

static void check_used(struct vm_state *vm)
{
	bool used = vm->id.open;

	for (u32 i = 0; i < MAX_VCPUS; i++)
		used |= vm->vcpus[i].id.open;
	for (u32 i = 0; i < MAX_DEVICES; i++)
		used |= vm->devices[i].id.open;
	if (vm->used && !used) {
		while (vm->nr_bells)
			close(vm->bells[--vm->nr_bells].fd);
		while (vm->nr_irqfds)
			close(vm->irqfds[--vm->nr_irqfds].fd);
	}
	vm->used = used;
}

/* ---- Faults and the log ------------------------------------------------------ */

/* True if this call shall fail; the caller has filled in what it knows. */
static bool faulted(struct fake_kvm *fake, struct fake_call *call)
{
	if (++fake->nr_calls != fake->fail_at)
		return false;
	call->ret = -fake->fail_errno;
	fake->failed = *call;
	fake->has_failed = true;
	return true;
}

static void note(struct fake_kvm *fake, const struct fake_call *call)
{
	if (fake->nr_log < FAKE_MAX_CALLS)
		fake->log[fake->nr_log++] = *call;
}

/* ---- /dev/kvm ------------------------------------------------------------------ */

static int capability(const struct fake_kvm *fake, const struct vm_state *vm, unsigned long cap)
{
	const struct fake_profile *p = fake->profile;

	for (const struct fake_cap *c = p->caps; c && c->cap; c++)
		if (c->cap == cap)
			return c->value;
	switch (cap) {
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_ONE_REG:
	case KVM_CAP_DEVICE_CTRL:
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_ARM_PSCI_0_2:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_IOEVENTFD:
	case KVM_CAP_IRQFD:
	case KVM_CAP_READONLY_MEM:
		return 1;
	case KVM_CAP_MAX_VCPUS:
		return (int)(vm ? vm->max_vcpus : p->max_vcpus);
	case KVM_CAP_NR_VCPUS:
		return (int)p->max_vcpus;
	case KVM_CAP_ARM_VM_IPA_SIZE:
		return (int)p->ipa_bits;
	case KVM_CAP_ARM_PMU_V3:
		return !!(p->features & BIT(KVM_ARM_VCPU_PMU_V3));
	case KVM_CAP_ARM_SVE:
		return !!(p->features & BIT(KVM_ARM_VCPU_SVE));
	case KVM_CAP_ARM_PTRAUTH_ADDRESS:
		return !!(p->features & BIT(KVM_ARM_VCPU_PTRAUTH_ADDRESS));
	case KVM_CAP_ARM_PTRAUTH_GENERIC:
		return !!(p->features & BIT(KVM_ARM_VCPU_PTRAUTH_GENERIC));
	case KVM_CAP_ARM_EL2:
		return !!(p->features & BIT(KVM_ARM_VCPU_HAS_EL2));
	case KVM_CAP_ARM_EL2_E2H0:
		return !!(p->features & BIT(KVM_ARM_VCPU_HAS_EL2_E2H0));
	case KVM_CAP_ARM_MTE:
		return p->mte;
	case KVM_CAP_COUNTER_OFFSET:
		return p->counter_offset;
	case KVM_CAP_STEAL_TIME:
		return p->pvtime;
	}
	return 0;
}

/* kvm_arch_init_vm(), kvm_init_stage2_mmu() */
static int create_vm(struct fake_kvm *fake, unsigned long type)
{
	unsigned int limit = fake->profile->ipa_bits ? fake->profile->ipa_bits : 40;
	unsigned int bits = type & KVM_VM_TYPE_ARM_IPA_SIZE_MASK;
	int fd;

	if (type & ~KVM_VM_TYPE_ARM_IPA_SIZE_MASK || (bits && !fake->profile->ipa_bits))
		return -EINVAL;
	if (bits && (bits < 32 || bits > limit))
		return -EINVAL;
	for (u32 i = 0; i < MAX_VMS; i++) {
		struct vm_state *vm = &fake->vms[i];

		if (vm->used)
			continue;
		memset(vm, 0, sizeof(*vm));
		fd = new_object(&vm->id, "fake-vm", 0);
		if (fd < 0)
			return fd;
		vm->used = true;
		vm->serial = ++fake->serial;
		vm->ipa_bits = bits ? bits : 40;
		vm->max_vcpus = fake->profile->max_vcpus;
		vm->dist = vm->second = UNSET;
		return fd;
	}
	return -EMFILE;
}

static int dev_ioctl(struct fake_kvm *fake, unsigned long req, void *arg)
{
	switch (req) {
	case KVM_GET_API_VERSION:
		return fake->profile->api_version ? fake->profile->api_version : KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CHECK_EXTENSION:
		return capability(fake, NULL, (unsigned long)arg);
	case KVM_CREATE_VM:
		return create_vm(fake, (unsigned long)arg);
	}
	return -ENOTTY;
}

/* ---- VM -------------------------------------------------------------------------- */

/* __kvm_set_memory_region(), kvm_arch_prepare_memory_region() */
static int set_memory(struct vm_state *vm, const struct kvm_userspace_memory_region *r)
{
	struct slot *slot = &vm->slots[r->slot];

	if (r->slot >= MAX_SLOTS || r->flags & ~KVM_MEM_READONLY)
		return -EINVAL;
	if (r->memory_size % PAGE || r->guest_phys_addr % PAGE || r->userspace_addr % PAGE)
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr)
		return -EINVAL;
	if (!r->memory_size) {
		if (!slot->size)
			return -EINVAL;
		*slot = (struct slot){ 0 };
		return 0;
	}
	if (slot->size && (slot->size != r->memory_size || slot->host != r->userspace_addr ||
			   slot->flags != r->flags))
		return -EINVAL;
	for (u32 i = 0; i < MAX_SLOTS; i++) {
		const struct slot *s = &vm->slots[i];

		if (s != slot && s->size && r->guest_phys_addr < s->gpa + s->size &&
		    s->gpa < r->guest_phys_addr + r->memory_size)
			return -EEXIST;
	}
	if ((r->guest_phys_addr + r->memory_size) >> vm->ipa_bits)
		if ((r->guest_phys_addr + r->memory_size - 1) >> vm->ipa_bits)
			return -EFAULT;
	*slot = (struct slot){ r->guest_phys_addr, r->memory_size, r->userspace_addr, r->flags };
	return 0;
}

/* kvm_vm_ioctl_create_vcpu(), kvm_arch_vcpu_precreate() */
static int create_vcpu(struct fake_kvm *fake, struct vm_state *vm, unsigned long nr)
{
	struct vcpu_state *vcpu;
	int fd;

	if (nr >= fake->profile->max_vcpus || nr >= MAX_VCPUS)
		return -EINVAL;
	if (vm->nr_vcpus >= vm->max_vcpus)
		return -EINVAL;
	if (vm->gic_ready)
		return -EBUSY;
	if (nr >= vm->max_vcpus)
		return -EINVAL;
	vcpu = &vm->vcpus[nr];
	if (vcpu->id.open || vcpu->nr)
		return -EEXIST;
	memset(vcpu, 0, sizeof(*vcpu));
	fd = new_object(&vcpu->id, "fake-vcpu", RUN_SIZE);
	if (fd < 0)
		return fd;
	vcpu->nr = (u32)nr;
	vcpu->pvtime = UNSET;
	vm->nr_vcpus++;
	/* kvm_timer_vcpu_init() */
	if (!vm->offset_set)
		vm->voffset = fake->counter;
	return fd;
}

/* kvm_vgic_create() */
static int create_gic(struct vm_state *vm, u32 type)
{
	if (vm->gic)
		return -EEXIST;
	for (u32 i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].ran)
			return -EBUSY;
	if (type == KVM_DEV_TYPE_ARM_VGIC_V2 && vm->max_vcpus > 8)
		vm->max_vcpus = 8;
	if (vm->nr_vcpus > vm->max_vcpus)
		return -E2BIG;
	vm->gic = type;
	return 0;
}

static int create_device(struct fake_kvm *fake, struct vm_state *vm, struct kvm_create_device *req)
{
	const struct fake_profile *p = fake->profile;
	bool has = req->type == KVM_DEV_TYPE_ARM_VGIC_V2 ? p->gicv2 :
		   req->type == KVM_DEV_TYPE_ARM_VGIC_V3 ? p->gicv3 :
		   req->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? p->its : false;
	bool its = req->type == KVM_DEV_TYPE_ARM_VGIC_ITS;
	int ret;

	if (!has)
		return -ENODEV;
	if (req->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	for (u32 i = 0; i < MAX_DEVICES; i++) {
		struct device_state *dev = &vm->devices[i];

		if (dev->id.open)
			continue;
		ret = its ? 0 : create_gic(vm, req->type);
		if (ret)
			return ret;
		*dev = (struct device_state){ .type = req->type, .its_base = UNSET };
		ret = new_object(&dev->id, its ? "fake-its" : "fake-gic", 0);
		if (ret < 0)
			return ret;
		req->fd = (u32)ret;
		return 0;
	}
	return -EMFILE;
}

/* kvm_vm_ioctl_enable_cap() */
static int enable_cap(struct fake_kvm *fake, struct vm_state *vm, const struct kvm_enable_cap *cap)
{
	if (cap->flags)
		return -EINVAL;
	if (cap->cap == KVM_CAP_ARM_MTE) {
		if (!fake->profile->mte || vm->nr_vcpus)
			return -EINVAL;
		vm->mte = true;
		return 0;
	}
	return -EINVAL;
}

/* kvm_vm_ioctl_irq_line(), kvm_vgic_inject_irq() */
static int irq_line(struct vm_state *vm, const struct kvm_irq_level *line)
{
	u32 type = line->irq >> KVM_ARM_IRQ_TYPE_SHIFT & KVM_ARM_IRQ_TYPE_MASK;
	u32 intid = line->irq & KVM_ARM_IRQ_NUM_MASK;

	if (!vm->gic)
		return -ENXIO;
	if (type != KVM_ARM_IRQ_TYPE_SPI || intid < 32)
		return -EINVAL;
	if (!vm->gic_ready)
		return -EBUSY;
	if (intid >= vm->nr_irqs)
		return -EINVAL;
	vm->level[intid] = line->level;
	return 0;
}

static int hold_eventfd(int fd)
{
	char path[32];
	char link[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return -EBADF;
	if (strcmp(link, "anon_inode:[eventfd]"))
		return -EINVAL;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* kvm_deassign_ioeventfd() */
static int no_ioeventfd(struct vm_state *vm, const struct kvm_ioeventfd *req)
{
	for (u32 i = 0; i < vm->nr_bells; i++) {
		struct bell *b = &vm->bells[i];

		if (b->addr != req->addr || b->val != req->datamatch || b->len != req->len)
			continue;
		close(b->fd);
		*b = vm->bells[--vm->nr_bells];
		return 0;
	}
	return -ENOENT;
}

/* kvm_assign_ioeventfd() */
static int ioeventfd(struct vm_state *vm, const struct kvm_ioeventfd *req)
{
	struct bell *bell = &vm->bells[vm->nr_bells];
	int fd;

	if (req->flags == (KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN))
		return no_ioeventfd(vm, req);
	if (req->flags != KVM_IOEVENTFD_FLAG_DATAMATCH ||
	    (req->len != 1 && req->len != 2 && req->len != 4 && req->len != 8))
		return -EINVAL;
	for (u32 i = 0; i < vm->nr_bells; i++)
		if (vm->bells[i].addr == req->addr && vm->bells[i].val == req->datamatch)
			return -EEXIST;
	if (vm->nr_bells == MAX_BELLS)
		return -ENOSPC;
	fd = hold_eventfd(req->fd);
	if (fd < 0)
		return fd;
	*bell = (struct bell){ req->addr, req->datamatch, req->len, fd };
	vm->nr_bells++;
	return 0;
}

/* kvm_send_userspace_msi(), vgic_its_inject_msi() */
static int signal_msi(struct vm_state *vm, const struct kvm_msi *msi)
{
	bool its = false;

	for (u32 i = 0; i < MAX_DEVICES; i++)
		its |= vm->devices[i].type == KVM_DEV_TYPE_ARM_VGIC_ITS;
	if (!its)
		return -ENODEV;
	if (msi->flags != KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (vm->nr_messages < MAX_MESSAGES)
		vm->messages[vm->nr_messages++] = *msi;
	return 1;
}

/* kvm_set_irq_routing(); before the first, each GSI is a line of the GIC. */
static int set_routes(const struct fake_kvm *fake, struct vm_state *vm,
		      const struct kvm_irq_routing *req)
{
	if (fake->profile->no_routes)
		return -EINVAL;
	if (req->flags || req->nr > MAX_ROUTES)
		return -EINVAL;
	for (u32 i = 0; i < req->nr; i++) {
		const struct kvm_irq_routing_entry *e = &req->entries[i];

		if (e->type != KVM_IRQ_ROUTING_MSI || e->flags != KVM_MSI_VALID_DEVID ||
		    e->gsi >= MAX_ROUTES)
			return -EINVAL;
		for (u32 j = 0; j < i; j++)
			if (req->entries[j].gsi == e->gsi)
				return -EINVAL;
	}
	memcpy(vm->routes, req->entries, req->nr * sizeof(*req->entries));
	vm->nr_routes = req->nr;
	return 0;
}

/* Which eventfd it is: a duplicate is the same. */
static u32 eventfd_id(int fd)
{
	char path[48];
	char line[64];
	u32 id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "eventfd-id: %u", &id);
	if (f)
		fclose(f);
	return id;
}

/* irqfd_wakeup(): what was rung since we looked is sent. */
static void drain_irqfd(struct vm_state *vm, const struct irqfd *irq)
{
	struct pollfd p = { .fd = irq->fd, .events = POLLIN };
	u64 n;

	if (poll(&p, 1, 0) != 1 || read(irq->fd, &n, sizeof(n)) != sizeof(n))
		return;
	for (u32 i = 0; i < vm->nr_routes; i++) {
		const struct kvm_irq_routing_entry *e = &vm->routes[i];
		const struct kvm_msi msi = {
			.address_lo = e->u.msi.address_lo, .address_hi = e->u.msi.address_hi,
			.data = e->u.msi.data, .flags = e->flags, .devid = e->u.msi.devid,
		};

		if (e->gsi == irq->gsi)
			signal_msi(vm, &msi);
	}
}

/* kvm_irqfd_deassign() */
static int no_irqfd(struct vm_state *vm, const struct kvm_irqfd *req)
{
	for (u32 i = 0; i < vm->nr_irqfds; i++) {
		struct irqfd *irq = &vm->irqfds[i];

		if (irq->gsi != req->gsi || irq->id != eventfd_id((int)req->fd))
			continue;
		drain_irqfd(vm, irq);
		close(irq->fd);
		*irq = vm->irqfds[--vm->nr_irqfds];
		return 0;
	}
	return 0;
}

/* kvm_irqfd_assign() */
static int irqfd(struct vm_state *vm, const struct kvm_irqfd *req)
{
	u32 id = eventfd_id((int)req->fd);
	int fd;

	if (req->flags == KVM_IRQFD_FLAG_DEASSIGN)
		return no_irqfd(vm, req);
	if (req->flags)
		return -EINVAL;
	if (!vm->gic_ready)
		return -EAGAIN;
	for (u32 i = 0; i < vm->nr_irqfds; i++)
		if (vm->irqfds[i].id == id)
			return -EBUSY;
	if (vm->nr_irqfds == MAX_BELLS)
		return -ENOSPC;
	fd = hold_eventfd((int)req->fd);
	if (fd < 0)
		return fd;
	vm->irqfds[vm->nr_irqfds++] = (struct irqfd){ req->gsi, id, fd };
	return 0;
}

/* kvm_vm_ioctl_set_counter_offset() */
static int counter_offset(struct fake_kvm *fake, struct vm_state *vm,
			  const struct kvm_arm_counter_offset *off)
{
	if (!fake->profile->counter_offset)
		return -ENOTTY;
	if (off->reserved)
		return -EINVAL;
	for (u32 i = 0; i < MAX_VCPUS; i++)
		if (vm->vcpus[i].running)
			return -EBUSY;
	vm->voffset = off->counter_offset;
	vm->offset_set = true;
	return 0;
}

static int vm_ioctl(struct fake_kvm *fake, struct vm_state *vm, unsigned long req, void *arg)
{
	switch (req) {
	case KVM_CHECK_EXTENSION:
		return capability(fake, vm, (unsigned long)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return set_memory(vm, arg);
	case KVM_CREATE_VCPU:
		return create_vcpu(fake, vm, (unsigned long)arg);
	case KVM_CREATE_DEVICE:
		return create_device(fake, vm, arg);
	case KVM_ENABLE_CAP:
		return enable_cap(fake, vm, arg);
	case KVM_IRQ_LINE:
		return irq_line(vm, arg);
	case KVM_IOEVENTFD:
		return ioeventfd(vm, arg);
	case KVM_IRQFD:
		return irqfd(vm, arg);
	case KVM_SET_GSI_ROUTING:
		return set_routes(fake, vm, arg);
	case KVM_SIGNAL_MSI:
		return signal_msi(vm, arg);
	case KVM_ARM_SET_COUNTER_OFFSET:
		return counter_offset(fake, vm, arg);
	case KVM_ARM_PREFERRED_TARGET:
		*(struct kvm_vcpu_init *)arg = (struct kvm_vcpu_init){
			.target = KVM_ARM_TARGET_GENERIC_V8,
		};
		return 0;
	}
	return -ENOTTY;
}

/* ---- Devices ---------------------------------------------------------------------- */

/* vgic_check_iorange() */
static int place(const struct vm_state *vm, u64 *at, u64 addr, u64 align, u64 size)
{
	if (*at != UNSET)
		return -EEXIST;
	if (addr % align)
		return -EINVAL;
	if (addr + size < addr)
		return -EINVAL;
	if (addr >> vm->ipa_bits || (addr + size - 1) >> vm->ipa_bits)
		return -E2BIG;
	*at = addr;
	return 0;
}

/* kvm_vgic_addr() */
static int set_gic_addr(struct vm_state *vm, u64 type, u64 addr)
{
	bool v2 = vm->gic == KVM_DEV_TYPE_ARM_VGIC_V2;

	switch (type) {
	case KVM_VGIC_V2_ADDR_TYPE_DIST:
		return v2 ? place(vm, &vm->dist, addr, 0x1000, 0x1000) : -ENXIO;
	case KVM_VGIC_V2_ADDR_TYPE_CPU:
		return v2 ? place(vm, &vm->second, addr, 0x1000, 0x2000) : -ENXIO;
	case KVM_VGIC_V3_ADDR_TYPE_DIST:
		return v2 ? -ENXIO : place(vm, &vm->dist, addr, 0x10000, 0x10000);
	case KVM_VGIC_V3_ADDR_TYPE_REDIST:
		return v2 ? -ENXIO : place(vm, &vm->second, addr, 0x10000, 0x20000);
	}
	return -ENXIO;
}

/* vgic_set_common_attr() */
static int set_nr_irqs(struct vm_state *vm, u32 nr)
{
	if (nr < 64 || nr > 1023 || nr % 32)
		return -EINVAL;
	if (vm->gic_ready || vm->nr_irqs)
		return -EBUSY;
	vm->nr_irqs = nr;
	return 0;
}

static void init_gic(struct vm_state *vm)
{
	if (!vm->nr_irqs)
		vm->nr_irqs = 256;
	vm->gic_ready = true;
}

static int set_gic_attr(struct vm_state *vm, const struct kvm_device_attr *a)
{
	void *val = (void *)(uintptr_t)a->addr;
	u64 addr;
	u32 nr;

	switch (a->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		memcpy(&addr, val, sizeof(addr));
		return set_gic_addr(vm, a->attr, addr);
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		memcpy(&nr, val, sizeof(nr));
		return set_nr_irqs(vm, nr);
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		if (a->attr != KVM_DEV_ARM_VGIC_CTRL_INIT)
			return -ENXIO;
		init_gic(vm);
		return 0;
	case 9:		/* KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, vgic_v3_set_attr() */
		memcpy(&nr, val, sizeof(nr));
		if (vm->gic_ready)
			return -EBUSY;
		if (vm->gic != KVM_DEV_TYPE_ARM_VGIC_V3 || nr < 16 || nr > 31)
			return -EINVAL;
		vm->maint = nr;
		return 0;
	}
	return -ENXIO;
}

/* vgic_its_set_attr() */
static int set_its_attr(struct vm_state *vm, struct device_state *its,
			const struct kvm_device_attr *a)
{
	u64 addr;

	switch (a->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		if (a->attr != KVM_VGIC_ITS_ADDR_TYPE)
			return -ENODEV;
		memcpy(&addr, (void *)(uintptr_t)a->addr, sizeof(addr));
		return place(vm, &its->its_base, addr, 0x10000, 0x20000);
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		if (a->attr != KVM_DEV_ARM_VGIC_CTRL_INIT)
			return -ENXIO;
		/* The documentation's, stricter than the code. */
		return its->its_base == UNSET ? -ENXIO : 0;
	}
	return -ENXIO;
}

static int device_ioctl(struct vm_state *vm, struct device_state *dev, unsigned long req, void *arg)
{
	if (req != KVM_SET_DEVICE_ATTR)
		return req == KVM_HAS_DEVICE_ATTR ? -ENXIO : -ENOTTY;
	if (dev->type == KVM_DEV_TYPE_ARM_VGIC_ITS)
		return set_its_attr(vm, dev, arg);
	return set_gic_attr(vm, arg);
}

/* ---- vCPU -------------------------------------------------------------------------- */

/* kvm_vcpu_init_check_features(), kvm_vcpu_set_target() */
static int init_vcpu(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu,
		     const struct kvm_vcpu_init *init)
{
	const u64 pauth = BIT(KVM_ARM_VCPU_PTRAUTH_ADDRESS) | BIT(KVM_ARM_VCPU_PTRAUTH_GENERIC);
	const u64 el2 = BIT(KVM_ARM_VCPU_HAS_EL2) | BIT(KVM_ARM_VCPU_HAS_EL2_E2H0);
	u32 features = init->features[0];

	if (init->target != KVM_ARM_TARGET_GENERIC_V8)
		return -EINVAL;
	if (features & ~fake->profile->known)
		return -ENOENT;
	for (size_t i = 1; i < ARRAY_SIZE(init->features); i++)
		if (init->features[i])
			return -ENOENT;
	if (features & ~fake->profile->features)
		return -EINVAL;
	if ((features & pauth) && (features & pauth) != pauth)
		return -EINVAL;
	if ((features & el2) == BIT(KVM_ARM_VCPU_HAS_EL2_E2H0))
		return -EINVAL;
	vcpu->off = features & BIT(KVM_ARM_VCPU_POWER_OFF);
	features &= ~(u32)BIT(KVM_ARM_VCPU_POWER_OFF);
	if (vm->features_set && vm->features != features)
		return -EINVAL;
	vm->features_set = true;
	vm->features = vcpu->features = features;
	vcpu->sve_vls = fake->profile->sve_vls;
	vcpu->initialised = true;
	return 0;
}

static bool is_final(const struct vcpu_state *vcpu)
{
	return vcpu->finalised || !(vcpu->features & BIT(KVM_ARM_VCPU_SVE));
}

/* kvm_arm_vcpu_finalize() */
static int finalize(struct vcpu_state *vcpu, int what)
{
	if (what != KVM_ARM_VCPU_SVE || !(vcpu->features & BIT(KVM_ARM_VCPU_SVE)))
		return -EINVAL;
	if (vcpu->finalised)
		return -EPERM;
	vcpu->finalised = true;
	return 0;
}

/* set_sve_vls(): up to the greatest that is asked for, all that the host has */
static int set_sve_vls(const struct fake_kvm *fake, struct vcpu_state *vcpu, const u64 *set)
{
	u64 below;

	if (vcpu->finalised)
		return -EPERM;
	if (!set[0])
		return -EINVAL;
	below = UINT64_MAX >> __builtin_clzll(set[0]);
	for (u32 i = 1; i < KVM_ARM64_SVE_VLS_WORDS; i++)
		if (set[i])
			return -EINVAL;
	if (set[0] != (fake->profile->sve_vls & below))
		return -EINVAL;
	vcpu->sve_vls = set[0];
	return 0;
}

#define REG_MPIDR_EL1		ARM64_SYS_REG(3, 0, 0, 0, 5)
#define REG_ID_AA64MMFR0_EL1	ARM64_SYS_REG(3, 0, 0, 7, 0)

/* reset_mpidr() */
static u64 mpidr(const struct vcpu_state *vcpu)
{
	u64 nr = vcpu->nr;

	return (nr & 0xf) | (nr >> 4 & 0xff) << 8 | (nr >> 12 & 0xff) << 16 | BIT(31);
}

/* set_core_reg() and get_core_reg(): offsets count in words */
static int core_reg(struct vcpu_state *vcpu, const struct kvm_one_reg *reg, bool set)
{
	size_t off = reg->id & ~(KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_CORE);
	size_t size = (size_t)1 << ((reg->id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	void *val = (void *)(uintptr_t)reg->addr;

	if (off >= ARRAY_SIZE(vcpu->core) || off * 4 + size > sizeof(vcpu->core))
		return -ENOENT;
	if (set)
		memcpy(&vcpu->core[off], val, size);
	else
		memcpy(val, &vcpu->core[off], size);
	return 0;
}

/* Those of EL1 that have no meaning here. */
static int sys_reg(struct vcpu_state *vcpu, const struct kvm_one_reg *reg, bool set)
{
	static const u64 ids[NR_SYS_REGS] = {
		ARM64_SYS_REG(3, 0, 1, 0, 0), ARM64_SYS_REG(3, 0, 2, 0, 0),
		ARM64_SYS_REG(3, 0, 2, 0, 1), ARM64_SYS_REG(3, 0, 2, 0, 2),
		ARM64_SYS_REG(3, 0, 5, 2, 0), ARM64_SYS_REG(3, 0, 6, 0, 0),
		ARM64_SYS_REG(3, 0, 12, 0, 0), ARM64_SYS_REG(3, 0, 13, 0, 4),
	};
	u64 *val = (u64 *)(uintptr_t)reg->addr;

	for (size_t i = 0; i < NR_SYS_REGS; i++) {
		if (ids[i] != reg->id)
			continue;
		if (set)
			vcpu->sys[i] = *val;
		else
			*val = vcpu->sys[i];
		return 0;
	}
	return -ENOENT;
}

/* arch_timer_set_user(), and kvm_arm_timer_set_reg() before that */
static int timer_count(const struct fake_kvm *fake, struct vm_state *vm, u64 *val, bool set)
{
	if (!set)
		*val = fake->counter - vm->voffset;
	else if (!vm->offset_set)
		vm->voffset = fake->counter - *val;
	return 0;
}

/* set_id_reg(), from 6.7 on: less of PARange, and as for the rest what it is. */
static int mmfr0(const struct fake_kvm *fake, struct vm_state *vm, u64 *val, bool set)
{
	const u64 now = fake->profile->mmfr0 - vm->less_pa;

	if (!set)
		*val = now;
	else if (*val > fake->profile->mmfr0 || (*val ^ now) & ~0xfull || (*val != now && !fake->profile->less_pa))
		return -EINVAL;
	else
		vm->less_pa = fake->profile->mmfr0 - *val;
	return 0;
}

/* kvm_arm_set_reg(), kvm_arm_get_reg() */
static int one_reg(const struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu,
		   const struct kvm_one_reg *reg, bool set)
{
	u64 *val = (u64 *)(uintptr_t)reg->addr;

	if (!vcpu->initialised)
		return -ENOEXEC;
	if ((reg->id & KVM_REG_ARCH_MASK) != KVM_REG_ARM64)
		return -EINVAL;
	if ((reg->id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM_CORE)
		return core_reg(vcpu, reg, set);
	switch (reg->id) {
	case KVM_REG_ARM_TIMER_CNT:
		return timer_count(fake, vm, val, set);
	case REG_MPIDR_EL1:
		if (!set)
			*val = mpidr(vcpu);
		return 0;
	case REG_ID_AA64MMFR0_EL1:
		return mmfr0(fake, vm, val, set);
	case KVM_REG_ARM64_SVE_VLS:
		if (!(vcpu->features & BIT(KVM_ARM_VCPU_SVE)))
			return -ENOENT;
		if (set)
			return set_sve_vls(fake, vcpu, val);
		memset(val, 0, KVM_ARM64_SVE_VLS_WORDS * sizeof(u64));
		val[0] = vcpu->sve_vls;
		return 0;
	}
	return sys_reg(vcpu, reg, set);
}

/* kvm_arm_pmu_v3_set_attr(), kvm_arm_pmu_v3_init() */
static int set_pmu(struct vm_state *vm, struct vcpu_state *vcpu, const struct kvm_device_attr *a)
{
	int irq;

	if (!(vcpu->features & BIT(KVM_ARM_VCPU_PMU_V3)))
		return -ENODEV;
	if (vcpu->pmu_ready)
		return -EBUSY;
	switch (a->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
		memcpy(&irq, (void *)(uintptr_t)a->addr, sizeof(irq));
		if (!vm->gic || irq < 16 || irq >= NR_INTIDS)
			return -EINVAL;
		for (u32 i = 0; i < MAX_VCPUS; i++)
			if (vm->vcpus[i].pmu_irq && (vm->vcpus[i].pmu_irq == (u32)irq) != (irq < 32))
				return -EINVAL;
		if (vcpu->pmu_irq)
			return -EBUSY;
		vcpu->pmu_irq = (u32)irq;
		return 0;
	case KVM_ARM_VCPU_PMU_V3_INIT:
		if (vm->gic && !vm->gic_ready)
			return -ENODEV;
		if (vm->gic && !vcpu->pmu_irq)
			return -ENXIO;
		vcpu->pmu_ready = true;
		return 0;
	}
	return -ENXIO;
}

/* kvm_arm_pvtime_set_attr() */
static int set_pvtime(struct fake_kvm *fake, const struct vm_state *vm, struct vcpu_state *vcpu,
		      const struct kvm_device_attr *a)
{
	u64 gpa;

	if (!fake->profile->pvtime || a->attr != KVM_ARM_VCPU_PVTIME_IPA)
		return -ENXIO;
	memcpy(&gpa, (void *)(uintptr_t)a->addr, sizeof(gpa));
	if (gpa % 64)
		return -EINVAL;
	if (vcpu->pvtime != UNSET)
		return -EEXIST;
	for (u32 i = 0; i < MAX_SLOTS; i++) {
		if (gpa >= vm->slots[i].gpa && gpa - vm->slots[i].gpa < vm->slots[i].size) {
			vcpu->pvtime = gpa;
			return 0;
		}
	}
	return -EINVAL;
}

/* kvm_arm_vcpu_arch_set_attr() and its sisters */
static int vcpu_attr(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu,
		     unsigned long req, const struct kvm_device_attr *a)
{
	bool has;

	if (fake->profile->vcpu_attr) {
		int ret = fake->profile->vcpu_attr(fake, vcpu->nr, req, a);

		if (ret != -ENXIO)
			return ret;
	}
	if (req == KVM_GET_DEVICE_ATTR)
		return -ENXIO;
	switch (a->group) {
	case KVM_ARM_VCPU_PMU_V3_CTRL:
		if (req == KVM_SET_DEVICE_ATTR)
			return set_pmu(vm, vcpu, a);
		has = (vcpu->features & BIT(KVM_ARM_VCPU_PMU_V3)) &&
		      a->attr <= KVM_ARM_VCPU_PMU_V3_SET_PMU;
		return has ? 0 : -ENXIO;
	case KVM_ARM_VCPU_PVTIME_CTRL:
		if (req == KVM_SET_DEVICE_ATTR)
			return set_pvtime(fake, vm, vcpu, a);
		has = fake->profile->pvtime && a->attr == KVM_ARM_VCPU_PVTIME_IPA;
		return has ? 0 : -ENXIO;
	}
	return -ENXIO;
}

/* kvm_vcpu_ioctl(): KVM_SET_SIGNAL_MASK */
static int set_mask(struct vcpu_state *vcpu, const struct kvm_signal_mask *mask)
{
	if (!mask) {
		vcpu->has_mask = false;
		return 0;
	}
	if (mask->len != sizeof(vcpu->mask))
		return -EINVAL;
	memcpy(&vcpu->mask, mask->sigset, sizeof(vcpu->mask));
	vcpu->has_mask = true;
	return 0;
}

/* ---- KVM_RUN ------------------------------------------------------------------------ */

static struct pending *pending_of(struct fake_kvm *fake, pthread_t thread, bool add)
{
	struct pending *free_one = NULL;

	for (u32 i = 0; i < MAX_THREADS; i++) {
		struct pending *p = &fake->pending[i];

		if (p->signals && pthread_equal(p->thread, thread))
			return p;
		if (!p->signals && !free_one)
			free_one = p;
	}
	if (add && free_one)
		free_one->thread = thread;
	return add ? free_one : NULL;
}

static u64 blocked_signals(void)
{
	sigset_t blocked;
	u64 set = 0;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		if (sigismember(&blocked, sig))
			set |= BIT(sig - 1);
	return set;
}

/*
 * A signal is pending that the thread blocks, but the vCPU's mask lets in; or without
 * a mask one that the thread lets in, which its handler then takes.
 */
static bool interrupted(struct fake_kvm *fake, const struct vcpu_state *vcpu)
{
	struct pending *p = pending_of(fake, pthread_self(), false);
	u64 in;

	if (!p)
		return false;
	in = p->signals & ~(vcpu->has_mask ? vcpu->mask : blocked_signals());
	if (!vcpu->has_mask)
		p->signals &= ~in;
	return in;
}

static void check_mask(struct fake_kvm *fake, const struct vcpu_state *vcpu)
{
	sigset_t blocked;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		if (vcpu->has_mask && !(vcpu->mask & BIT(sig - 1)) && !sigismember(&blocked, sig))
			wrong(fake, "vCPU %u runs on a thread that does not block its kick", vcpu->nr);
}

/* vgic_v2_map_resources(), vgic_v3_map_resources(), kvm_arm_pmu_v3_enable() */
static int first_run(struct vm_state *vm, struct vcpu_state *vcpu)
{
	if (vcpu->ran)
		return 0;
	if (vm->gic && !vm->gic_mapped) {
		u64 size = vm->gic == KVM_DEV_TYPE_ARM_VGIC_V2 ? 0x2000 : vm->nr_vcpus * 0x20000ull;

		if (vm->dist == UNSET || vm->second == UNSET)
			return -ENXIO;
		if (vm->dist < vm->second + size && vm->second < vm->dist + 0x10000)
			return -EINVAL;
		if (!vm->gic_ready && vm->gic != KVM_DEV_TYPE_ARM_VGIC_V2)
			return -EBUSY;
		init_gic(vm);
		vm->gic_mapped = true;
	}
	if ((vcpu->features & BIT(KVM_ARM_VCPU_PMU_V3)) && vm->gic && !vcpu->pmu_ready)
		return -EINVAL;
	vcpu->ran = true;
	return 0;
}

static const struct fake_step *current(struct fake_kvm *fake, struct vcpu_state *vcpu)
{
	const struct script *s = &fake->scripts[vcpu->nr];

	if (vcpu->pc == s->nr && s->nr) {
		if (s->rounds && vcpu->round + 1 >= s->rounds)
			return NULL;
		vcpu->round++;
		vcpu->pc = 0;
	}
	return vcpu->pc < s->nr ? &s->steps[vcpu->pc] : NULL;
}

static void advance(struct vcpu_state *vcpu, const struct fake_step *step)
{
	if (++vcpu->times < step->times)
		return;
	vcpu->times = 0;
	vcpu->pc++;
}

/* kvm_handle_mmio_return() */
static void finish_mmio(struct fake_kvm *fake, struct vcpu_state *vcpu)
{
	const struct fake_step *step;
	u64 val = 0;

	if (!vcpu->reading)
		return;
	vcpu->reading = false;
	step = &fake->scripts[vcpu->nr].steps[vcpu->pc];
	memcpy(&val, vcpu->run->mmio.data, vcpu->run->mmio.len);
	if (step->kind == FAKE_READ && vcpu->nr_values < MAX_VALUES)
		vcpu->values[vcpu->nr_values++] = val;
	if (step->kind == FAKE_READ || (val & step->mask) == step->data)
		advance(vcpu, step);
	pthread_cond_broadcast(&fake->changed);
}

static void mmio(struct vcpu_state *vcpu, const struct fake_step *step)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = step->addr;
	run->mmio.len = step->len ? step->len : 4;
	run->mmio.is_write = step->kind == FAKE_WRITE;
	/* A read must be answered: nothing of the last access shall help. */
	memset(run->mmio.data, 0xa5, sizeof(run->mmio.data));
	if (run->mmio.is_write)
		memcpy(run->mmio.data, &step->data, sizeof(step->data));
	else
		vcpu->reading = true;
}

/* ioeventfd_write(): no exit for who has a bell there. */
static bool rings(const struct vm_state *vm, const struct fake_step *step)
{
	const u64 one = 1;

	for (u32 i = 0; i < vm->nr_bells; i++) {
		const struct bell *b = &vm->bells[i];

		if (b->addr == step->addr && b->val == step->data &&
		    b->len == (step->len ? step->len : 4))
			return write(b->fd, &one, sizeof(one)) == sizeof(one);
	}
	return false;
}

/* Set in place of a return value by a step that makes no exit. */
#define NO_EXIT		INT32_MAX

static int play(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu,
		const struct fake_step *step)
{
	struct kvm_run *run = vcpu->run;
	int ret = 0;

	switch (step->kind) {
	case FAKE_READ:
	case FAKE_READ_UNTIL:
		mmio(vcpu, step);
		return 0;		/* on, once it is answered */
	case FAKE_WRITE:
		if (rings(vm, step))
			ret = NO_EXIT;
		else
			mmio(vcpu, step);
		break;
	case FAKE_SYSTEM_EVENT:
		run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
		run->system_event.type = (u32)step->data;
		break;
	case FAKE_FAIL_ENTRY:
		run->exit_reason = KVM_EXIT_FAIL_ENTRY;
		run->fail_entry.hardware_entry_failure_reason = step->data;
		run->fail_entry.cpu = (u32)step->addr;
		break;
	case FAKE_INTERNAL_ERROR:
		run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
		run->internal.suberror = (u32)step->data;
		break;
	case FAKE_EXIT:
		run->exit_reason = (u32)step->data;
		break;
	case FAKE_RETURN:
		ret = step->ret;
		break;
	case FAKE_CPU_ON:
		vm->vcpus[step->data].off = false;
		pthread_cond_broadcast(&fake->changed);
		ret = NO_EXIT;
		break;
	case FAKE_CALL:
		pthread_mutex_unlock(&fake->lock);
		ret = step->fn(run, step->arg);
		pthread_mutex_lock(&fake->lock);
		break;
	case FAKE_BLOCK:
	case FAKE_GATE:
	case FAKE_SLOW:
		break;
	}
	advance(vcpu, step);
	return ret;
}

static void wait_inside(struct fake_kvm *fake)
{
	fake->nr_inside++;
	pthread_cond_broadcast(&fake->changed);
	pthread_cond_wait(&fake->changed, &fake->lock);
	fake->nr_inside--;
}

static int run_guest(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu)
{
	for (;;) {
		const struct fake_step *step = vcpu->off ? NULL : current(fake, vcpu);
		int ret;

		if (step && step->kind == FAKE_SLOW && !fake->gate) {
			wait_inside(fake);
			continue;
		}
		if (interrupted(fake, vcpu)) {
			if (step && step->kind == FAKE_BLOCK)
				advance(vcpu, step);
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
		if (!step || step->kind == FAKE_BLOCK || (step->kind == FAKE_GATE && !fake->gate)) {
			wait_inside(fake);
			continue;
		}
		if (step->kind == FAKE_GATE || step->kind == FAKE_SLOW) {
			advance(vcpu, step);
			continue;
		}
		ret = play(fake, vm, vcpu, step);
		if (ret != NO_EXIT)
			return ret;
	}
}

/* kvm_arch_vcpu_ioctl_run() */
static int run(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu)
{
	int ret;

	if (!vcpu->initialised)
		return -ENOEXEC;
	if (!is_final(vcpu))
		return -EPERM;
	if (!vcpu->run) {
		wrong(fake, "vCPU %u runs without its shared page", vcpu->nr);
		return -EIO;
	}
	if (vcpu->running) {
		wrong(fake, "vCPU %u runs on two threads", vcpu->nr);
		return -EIO;
	}
	ret = first_run(vm, vcpu);
	if (ret)
		return ret;
	check_mask(fake, vcpu);
	vcpu->running = true;
	finish_mmio(fake, vcpu);
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		ret = -EINTR;
	} else {
		ret = run_guest(fake, vm, vcpu);
	}
	vcpu->running = false;
	return ret;
}

static int vcpu_ioctl(struct fake_kvm *fake, struct vm_state *vm, struct vcpu_state *vcpu,
		      unsigned long req, void *arg)
{
	switch (req) {
	case KVM_RUN:
		return run(fake, vm, vcpu);
	case KVM_ARM_VCPU_INIT:
		return init_vcpu(fake, vm, vcpu, arg);
	case KVM_ARM_VCPU_FINALIZE:
		return vcpu->initialised ? finalize(vcpu, *(int *)arg) : -ENOEXEC;
	case KVM_SET_SIGNAL_MASK:
		return set_mask(vcpu, arg);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(fake, vm, vcpu, arg, req == KVM_SET_ONE_REG);
	case KVM_GET_MP_STATE:
		((struct kvm_mp_state *)arg)->mp_state =
			vcpu->off ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE;
		return 0;
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		return vcpu_attr(fake, vm, vcpu, req, arg);
	}
	return -ENOTTY;
}

/* ---- The seam ------------------------------------------------------------------------ */

/* What of the argument is worth a look afterwards. */
static void describe(struct fake_call *call, void *arg)
{
	const struct kvm_userspace_memory_region *mem = arg;
	const struct kvm_device_attr *attr = arg;
	const struct kvm_create_device *dev = arg;
	const struct kvm_vcpu_init *init = arg;
	const struct kvm_one_reg *reg = arg;
	const struct kvm_enable_cap *cap = arg;
	const struct kvm_irq_level *line = arg;
	const struct kvm_ioeventfd *bell = arg;
	const struct kvm_irqfd *irq = arg;

	switch (call->req) {
	case KVM_CHECK_EXTENSION:
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		call->arg = (uintptr_t)arg;
		break;
	case KVM_SET_USER_MEMORY_REGION:
		call->arg = mem->slot;
		call->val = mem->guest_phys_addr;
		break;
	case KVM_CREATE_DEVICE:
		call->arg = dev->type;
		break;
	case KVM_ENABLE_CAP:
		call->arg = cap->cap;
		break;
	case KVM_ARM_VCPU_INIT:
		call->arg = init->features[0];
		break;
	case KVM_SET_ONE_REG:
	case KVM_GET_ONE_REG:
		call->arg = reg->id;
		break;
	case KVM_SET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		call->arg = (u64)attr->group << 32 | attr->attr;
		if (attr->addr)
			memcpy(&call->val, (void *)(uintptr_t)attr->addr, sizeof(u32));
		break;
	case KVM_IOEVENTFD:
		call->arg = bell->addr;
		call->val = bell->datamatch;
		break;
	case KVM_IRQFD:
		call->arg = irq->gsi;
		break;
	case KVM_IRQ_LINE:
		call->arg = line->irq;
		call->val = line->level;
		break;
	}
}

static int fake_ioctl(void *ctx, int fd, unsigned long req, void *arg)
{
	struct fake_kvm *fake = ctx;
	struct fake_call call = { .req = req, .vcpu = -1 };
	struct object obj;
	int ret;

	pthread_mutex_lock(&fake->lock);
	ret = find(fake, fd, &obj);
	if (!ret) {
		if (obj.vcpu)
			call.vcpu = (int)obj.vcpu->nr;
		describe(&call, arg);
		if (faulted(fake, &call))
			ret = call.ret;
		else if (obj.is_dev)
			ret = dev_ioctl(fake, req, arg);
		else if (obj.vcpu)
			ret = vcpu_ioctl(fake, obj.vm, obj.vcpu, req, arg);
		else if (obj.device)
			ret = device_ioctl(obj.vm, obj.device, req, arg);
		else
			ret = vm_ioctl(fake, obj.vm, req, arg);
	}
	call.ret = ret;
	note(fake, &call);
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static int open_dev(struct fake_kvm *fake)
{
	int fd = dup(fake->dev_fd);

	if (fd < 0)
		return -errno;
	fake->nr_dev++;
	return fd;
}

static int fake_open(void *ctx)
{
	struct fake_kvm *fake = ctx;
	struct fake_call call = { .req = FAKE_OP_OPEN, .vcpu = -1 };
	int ret;

	pthread_mutex_lock(&fake->lock);
	ret = faulted(fake, &call) ? call.ret : open_dev(fake);
	call.ret = ret;
	note(fake, &call);
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static int map_run(struct fake_kvm *fake, int fd, size_t size, struct kvm_run **out)
{
	struct object obj;
	void *p;
	int ret = find(fake, fd, &obj);

	if (ret)
		return ret;
	if (!obj.vcpu || size > RUN_SIZE)
		return -EINVAL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	obj.vcpu->run = p;
	*out = p;
	return 0;
}

static int fake_map_run(void *ctx, int fd, size_t size, struct kvm_run **out)
{
	struct fake_kvm *fake = ctx;
	struct fake_call call = { .req = FAKE_OP_MAP_RUN, .vcpu = -1 };
	int ret;

	pthread_mutex_lock(&fake->lock);
	ret = faulted(fake, &call) ? call.ret : map_run(fake, fd, size, out);
	call.ret = ret;
	note(fake, &call);
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static void fake_unmap_run(void *ctx, struct kvm_run *page, size_t size)
{
	struct fake_kvm *fake = ctx;

	pthread_mutex_lock(&fake->lock);
	for (u32 i = 0; i < MAX_VMS; i++) {
		for (u32 j = 0; j < MAX_VCPUS; j++) {
			struct vcpu_state *vcpu = &fake->vms[i].vcpus[j];

			if (vcpu->run != page)
				continue;
			if (vcpu->running)
				wrong(fake, "vCPU %u lost its shared page while it ran", vcpu->nr);
			vcpu->run = NULL;
			munmap(page, size);
			page = NULL;
		}
	}
	if (page)
		wrong(fake, "a page is unmapped that is no vCPU's");
	pthread_mutex_unlock(&fake->lock);
}

static void fake_close(void *ctx, int fd)
{
	struct fake_kvm *fake = ctx;
	struct object obj;

	pthread_mutex_lock(&fake->lock);
	if (find(fake, fd, &obj)) {
		/* A host may have lent us something that is no KVM: ours to close. */
		close(fd);
	} else if (obj.is_dev) {
		if (fake->nr_dev)
			fake->nr_dev--;
		close(fd);
	} else {
		if (obj.vcpu && obj.vcpu->running)
			wrong(fake, "vCPU %u was closed while it ran", obj.vcpu->nr);
		obj.id->open = false;
		close(fd);
		check_used(obj.vm);
	}
	pthread_mutex_unlock(&fake->lock);
}

static void fake_kick(void *ctx, pthread_t thread, int signal)
{
	struct fake_kvm *fake = ctx;
	struct pending *p;

	pthread_mutex_lock(&fake->lock);
	p = pending_of(fake, thread, true);
	if (p)
		p->signals |= BIT(signal - 1);
	else
		wrong(fake, "more threads than the fake can count have kicks pending");
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

static void fake_unkick(void *ctx, int signal)
{
	struct fake_kvm *fake = ctx;
	struct pending *p;

	pthread_mutex_lock(&fake->lock);
	p = pending_of(fake, pthread_self(), false);
	if (p)
		p->signals &= ~BIT(signal - 1);
	pthread_mutex_unlock(&fake->lock);
}

const struct kvm_ops fake_kvm_ops = {
	.open = fake_open,
	.ioctl = fake_ioctl,
	.map_run = fake_map_run,
	.unmap_run = fake_unmap_run,
	.close = fake_close,
	.kick = fake_kick,
	.unkick = fake_unkick,
};

/* ---- For tests -------------------------------------------------------------------------- */

void fake_script(struct fake_kvm *fake, u32 vcpu, const struct fake_step *steps,
		 size_t nr_steps, u32 rounds)
{
	pthread_mutex_lock(&fake->lock);
	fake->scripts[vcpu] = (struct script){ steps, nr_steps, rounds };
	pthread_mutex_unlock(&fake->lock);
}

void fake_open_gate(struct fake_kvm *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->gate = true;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

bool fake_wait_inside(struct fake_kvm *fake, u32 nr)
{
	struct timespec until;
	bool reached;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&fake->lock);
	while (fake->nr_inside < nr)
		if (pthread_cond_timedwait(&fake->changed, &fake->lock, &until))
			break;
	reached = fake->nr_inside >= nr;
	pthread_mutex_unlock(&fake->lock);
	return reached;
}

bool fake_value(struct fake_kvm *fake, u32 vcpu, size_t n, u64 *val)
{
	const struct vm_state *vm;
	bool has;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	has = vm && n < vm->vcpus[vcpu].nr_values;
	if (has)
		*val = vm->vcpus[vcpu].values[n];
	pthread_mutex_unlock(&fake->lock);
	return has;
}

size_t fake_log(struct fake_kvm *fake, struct fake_call *calls, size_t max)
{
	size_t nr;

	pthread_mutex_lock(&fake->lock);
	nr = fake->nr_log < max ? fake->nr_log : max;
	memcpy(calls, fake->log, nr * sizeof(*calls));
	pthread_mutex_unlock(&fake->lock);
	return nr;
}

size_t fake_nr_calls(struct fake_kvm *fake)
{
	size_t nr;

	pthread_mutex_lock(&fake->lock);
	nr = fake->nr_calls;
	pthread_mutex_unlock(&fake->lock);
	return nr;
}

void fake_reset(struct fake_kvm *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->nr_log = 0;
	fake->nr_calls = 0;
	fake->fail_at = 0;
	fake->has_failed = false;
	fake->gate = false;
	pthread_mutex_unlock(&fake->lock);
}

void fake_fail(struct fake_kvm *fake, size_t n, int err)
{
	pthread_mutex_lock(&fake->lock);
	fake->nr_calls = 0;
	fake->fail_at = n;
	fake->fail_errno = err;
	fake->has_failed = false;
	pthread_mutex_unlock(&fake->lock);
}

bool fake_failed(struct fake_kvm *fake, struct fake_call *call)
{
	bool has;

	pthread_mutex_lock(&fake->lock);
	has = fake->has_failed;
	if (has)
		*call = fake->failed;
	pthread_mutex_unlock(&fake->lock);
	return has;
}

bool fake_irq(struct fake_kvm *fake, u32 intid)
{
	const struct vm_state *vm;
	bool level;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	level = vm && vm->level[intid];
	pthread_mutex_unlock(&fake->lock);
	return level;
}

void *fake_host(struct fake_kvm *fake, u64 gpa)
{
	const struct vm_state *vm;
	void *host = NULL;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	for (u32 i = 0; vm && i < MAX_SLOTS; i++) {
		const struct slot *s = &vm->slots[i];

		if (gpa >= s->gpa && gpa - s->gpa < s->size)
			host = (void *)(uintptr_t)(s->host + (gpa - s->gpa));
	}
	pthread_mutex_unlock(&fake->lock);
	return host;
}

void fake_set_reg(struct fake_kvm *fake, u32 vcpu, u64 id, u64 val)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };
	struct vm_state *vm;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	if (vm)
		one_reg(fake, vm, &vm->vcpus[vcpu], &reg, true);
	pthread_mutex_unlock(&fake->lock);
}

u64 fake_reg(struct fake_kvm *fake, u32 vcpu, u64 id)
{
	u64 val = 0;
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };
	struct vm_state *vm;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	if (vm)
		one_reg(fake, vm, &vm->vcpus[vcpu], &reg, false);
	pthread_mutex_unlock(&fake->lock);
	return val;
}

void fake_tick(struct fake_kvm *fake, u64 ticks)
{
	pthread_mutex_lock(&fake->lock);
	fake->counter += ticks;
	pthread_mutex_unlock(&fake->lock);
}

u64 fake_counter(struct fake_kvm *fake)
{
	struct vm_state *vm;
	u64 val = 0;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	if (vm)
		val = fake->counter - vm->voffset;
	pthread_mutex_unlock(&fake->lock);
	return val;
}

u32 fake_nr_open(struct fake_kvm *fake)
{
	u32 nr;

	pthread_mutex_lock(&fake->lock);
	nr = fake->nr_dev;
	for (u32 i = 0; i < MAX_VMS; i++) {
		const struct vm_state *vm = &fake->vms[i];

		if (!vm->used)
			continue;
		nr += vm->id.open;
		for (u32 j = 0; j < MAX_VCPUS; j++)
			nr += vm->vcpus[j].id.open;
		for (u32 j = 0; j < MAX_DEVICES; j++)
			nr += vm->devices[j].id.open;
	}
	pthread_mutex_unlock(&fake->lock);
	return nr;
}

u32 fake_pulses(struct fake_kvm *fake, u32 gsi)
{
	struct vm_state *vm;
	u64 sum = 0;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	for (u32 i = 0; vm && i < vm->nr_irqfds; i++) {
		u64 n;

		/* They do not block. */
		if (vm->irqfds[i].gsi == gsi && read(vm->irqfds[i].fd, &n, sizeof(n)) == sizeof(n))
			sum += n;
	}
	pthread_mutex_unlock(&fake->lock);
	return (u32)sum;
}

u32 fake_messages(struct fake_kvm *fake, u32 devid, u64 addr, u32 data)
{
	struct vm_state *vm;
	u32 nr = 0;

	pthread_mutex_lock(&fake->lock);
	vm = latest(fake);
	for (u32 i = 0; vm && i < vm->nr_irqfds; i++)
		drain_irqfd(vm, &vm->irqfds[i]);
	for (u32 i = 0; vm && i < vm->nr_messages; i++) {
		const struct kvm_msi *m = &vm->messages[i];

		nr += m->devid == devid && m->data == data && m->address_lo == (u32)addr &&
		      m->address_hi == addr >> 32;
	}
	pthread_mutex_unlock(&fake->lock);
	return nr;
}

u32 fake_nr_pending(struct fake_kvm *fake)
{
	u32 nr = 0;

	pthread_mutex_lock(&fake->lock);
	for (u32 i = 0; i < MAX_THREADS; i++)
		nr += fake->pending[i].signals != 0;
	pthread_mutex_unlock(&fake->lock);
	return nr;
}

const char *fake_wrong(struct fake_kvm *fake)
{
	bool has;

	pthread_mutex_lock(&fake->lock);
	has = fake->wrong[0];
	pthread_mutex_unlock(&fake->lock);
	return has ? fake->wrong : NULL;
}

struct fake_kvm *fake_create(const struct fake_profile *profile)
{
	struct fake_kvm *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return NULL;
	fake->profile = profile;
	pthread_mutex_init(&fake->lock, NULL);
	pthread_cond_init(&fake->changed, NULL);
	fake->dev_fd = new_object(&fake->dev, "fake-kvm", 0);
	if (fake->dev_fd < 0) {
		free(fake);
		return NULL;
	}
	return fake;
}

void fake_destroy(struct fake_kvm *fake)
{
	if (!fake)
		return;
	close(fake->dev_fd);
	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

int fake_open_dev(struct fake_kvm *fake)
{
	return dup(fake->dev_fd);
}
