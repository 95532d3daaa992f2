/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.c - the public calls: arguments, states, errno
 *
 * What a host hands in is checked and copied here; the rest of the core may rely
 * on it.  Every call leaves errno as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

#define STRINGIFY_(x)	#x
#define STRINGIFY(x)	STRINGIFY_(x)

#define RAM_DEFAULT	MIB(256)
#define RAM_BASE	GIB(2)
#define MTU_LEAST	68		/* RFC 791 */
#define CID_LEAST	3		/* behind VMADDR_CID_HOST, vsock(7) */
#define RAM_UNIT	KIB(64)		/* the largest page a guest can use */

static int check_config(struct vmm_config *cfg, struct vmm_error *err)
{
	const u64 known = VMM_F_KVM_FD | VMM_F_RAM_FD | VMM_F_HOST_THREADS | VMM_F_NO_HUGEPAGES |
			  VMM_F_KICK_HANDLER | VMM_F_SANDBOX | VMM_F_SANDBOX_AUDIT;
	u64 end;
	int ret = config_flags(cfg->flags, known, err);

	if (!ret)
		ret = config_reserved(cfg->reserved, err);
	if (ret)
		return ret;
	if (!cfg->ram_size)
		cfg->ram_size = RAM_DEFAULT;
	if (!cfg->ram_base)
		cfg->ram_base = RAM_BASE;
	if (!cfg->vcpus)
		cfg->vcpus = 1;
	if (!cfg->io_threads)
		cfg->io_threads = 1;
	if ((cfg->flags & VMM_F_SANDBOX_AUDIT) && !(cfg->flags & VMM_F_SANDBOX))
		return error_set(err, -EINVAL, "sandbox: to audit it takes one");
	if ((cfg->flags & VMM_F_SANDBOX) && (cfg->flags & VMM_F_HOST_THREADS))
		return error_set(err, -EINVAL, "sandbox: the host's threads are its own");
	if (cfg->ram_size % RAM_UNIT)
		return error_set(err, -EINVAL, "RAM: %llu bytes are not a multiple of 64 KiB",
				 (unsigned long long)cfg->ram_size);
	if (cfg->ram_base < RAM_BASE || cfg->ram_base % MIB(2) ||
	    add_overflow(cfg->ram_base, cfg->ram_size, &end))
		return error_set(err, -EINVAL,
				 "RAM: cannot start at 0x%llx; it may at 0x80000000 or, in steps of 2 MiB, above",
				 (unsigned long long)cfg->ram_base);
	if (cfg->io_threads > VM_MAX_IO_THREADS)
		return error_set(err, -EINVAL, "I/O threads: %u, of at most %u", cfg->io_threads,
				 VM_MAX_IO_THREADS);
	if (cfg->on_no_cpu > VMM_NO_CPU_STOP)
		return error_set(err, -EINVAL, "on_no_cpu: no way %u to go on", cfg->on_no_cpu);
	if (cfg->kick_signal && (cfg->kick_signal < SIGRTMIN || cfg->kick_signal > SIGRTMAX))
		return error_set(err, -EINVAL, "kick signal: %d is not a real-time signal",
				 cfg->kick_signal);
	return 0;
}

static void free_spe(struct vmm_spe_config *cfg)
{
	free((char *)cfg->instance);
	free((char *)cfg->abi);
	free((char *)cfg->abi_text);
}

static void destroy(struct vmm *vm)
{
	vm_teardown(vm);
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++) {
		fd_close(&vm->consoles[i].in_fd);
		fd_close(&vm->consoles[i].out_fd);
	}
	for (u32 i = 0; i < vm->nr_devices; i++)
		vm_device_close(&vm->devices[i]);
	vm_ports_close(vm);
	for (u32 i = 0; i < vm->nr_overlays; i++)
		fd_close(&vm->overlay_fds[i]);
	fd_close(&vm->flash_fd);
	fd_close(&vm->boot.kernel_fd);
	fd_close(&vm->boot.initrd_fd);
	fd_close(&vm->boot.dtb_fd);
	fd_close(&vm->cfg.kvm_fd);
	fd_close(&vm->cfg.ram_fd);
	fd_close(&vm->event_fd);
	free(vm->boot.cmdline);
	free((char *)vm->cfg.cpus);
	free((char *)vm->cfg.sysfs);
	free((char *)vm->mcfg.pmu);
	free_spe(&vm->scfg);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->place_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

/* Duplicate @fd over itself if @flags has @flag, or make it -1. */
static int borrow(int *fd, u64 flags, u64 flag, const char *name, struct vmm_error *err)
{
	int ret;

	if (!(flags & flag)) {
		*fd = -1;
		return 0;
	}
	ret = fd_dup(*fd);
	if (ret < 0) {
		ret = error_sys(err, ret, "%s: descriptor %d", name, *fd);
		*fd = -1;
		return ret;
	}
	*fd = ret;
	return 0;
}

int vm_create(struct vmm **out, const struct vmm_config *user, const struct kvm_ops *ops,
	      void *ctx, struct vmm_error *err)
{
	struct vmm_config cfg;
	struct vmm *vm;
	int ret = config_copy(&cfg, sizeof(cfg), user, err);

	if (!ret)
		ret = check_config(&cfg, err);
	if (ret)
		return ret;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return error_set(err, -ENOMEM, "VM: no memory");

	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->place_lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	vm->state = VM_NEW;
	vm->event_fd = -1;
	vm->flash_fd = -1;
	vm->balloon = vm->hvc = vm->ports_dev = -1;
	vm->boot.kernel_fd = vm->boot.initrd_fd = vm->boot.dtb_fd = -1;
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++)
		vm->consoles[i].in_fd = vm->consoles[i].out_fd = -1;
	vm->log = (struct logger){ .fn = cfg.log, .opaque = cfg.opaque, .level = cfg.log_level };
	vm->kick_signal = cfg.kick_signal ? cfg.kick_signal : SIGRTMIN;
	vm->kick_handled = cfg.flags & VMM_F_KICK_HANDLER;
	kvm_init(&vm->kvm, ops, ctx);

	vm->cfg = cfg;
	vm->cfg.cpus = NULL;
	vm->cfg.kvm_fd = vm->cfg.ram_fd = -1;
	vm->cfg.sysfs = strdup(cfg.sysfs ? cfg.sysfs : "/sys");
	if (!vm->cfg.sysfs) {
		ret = error_set(err, -ENOMEM, "VM: no memory");
		goto fail;
	}
	vm->cfg.kvm_fd = cfg.kvm_fd;
	ret = borrow(&vm->cfg.kvm_fd, cfg.flags, VMM_F_KVM_FD, "KVM", err);
	if (ret)
		goto fail;
	vm->cfg.ram_fd = cfg.ram_fd;
	ret = borrow(&vm->cfg.ram_fd, cfg.flags, VMM_F_RAM_FD, "RAM", err);
	if (ret)
		goto fail;
	if (cfg.cpus) {
		vm->cfg.cpus = strdup(cfg.cpus);
		if (!vm->cfg.cpus) {
			ret = error_set(err, -ENOMEM, "VM: no memory");
			goto fail;
		}
	}
	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->event_fd < 0) {
		ret = error_sys(err, -errno, "VM: eventfd");
		goto fail;
	}
	*out = vm;
	return 0;
fail:
	destroy(vm);
	return ret;
}

int vmm_create(struct vmm **vm, const struct vmm_config *cfg, struct vmm_error *err)
{
	KEEP_ERRNO();

	return vm_create(vm, cfg, &kvm_linux_ops, NULL, err);
}

void vmm_destroy(struct vmm *vm)
{
	KEEP_ERRNO();

	if (vm)
		destroy(vm);
}

/* ---- Configuration ------------------------------------------------------ */

/* With the lock held: the calls that configure a VM hold it from end to end. */
static int must_be_new(struct vmm *vm, struct vmm_error *err)
{
	if (vm->state == VM_NEW && !vm->starting)
		return 0;
	return error_set(err, -EBUSY, "VM: it has been started");
}

/* What each of them begins with: copy @user's struct, whose flags are @flags of @known. */
static int take_config(struct vmm *vm, void *cfg, size_t size, const uint64_t *flags, u64 known,
		       const void *user, struct vmm_error *err)
{
	int ret = must_be_new(vm, err);

	if (!ret)
		ret = config_copy(cfg, size, user, err);
	return ret ? ret : config_flags(*flags, known, err);
}

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}
#define HOLD_LOCK(vm)								\
	pthread_mutex_t *held __attribute__((cleanup(unlock), unused)) = &(vm)->lock; \
	pthread_mutex_lock(held)

int vmm_set_machine(struct vmm *vm, const struct vmm_machine_config *user,
		    struct vmm_error *err)
{
	const u64 known = VMM_MACHINE_F_PACKED * 2 - 1;
	struct vmm_machine_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, known, user, err);
	if (ret)
		return ret;
	if (cfg.irqchip > VMM_IRQCHIP_GICV3_ITS)
		return error_set(err, -EINVAL, "interrupt controller: no kind %u", cfg.irqchip);
	if (cfg.virtio > VMM_VIRTIO_PCI)
		return error_set(err, -EINVAL, "virtio: no transport %u", cfg.virtio);
	if (cfg.sve_max_vl % 128 || cfg.sve_max_vl > 2048)
		return error_set(err, -EINVAL,
				 "SVE: vectors of %u bits; they have 128 to 2048, in steps of 128",
				 cfg.sve_max_vl);
	if ((cfg.flags & VMM_MACHINE_F_E2H0) && !(cfg.flags & VMM_MACHINE_F_NESTED))
		return error_set(err, -EINVAL, "E2H0: makes sense with a nested guest only");
	if (cfg.pmu) {
		cfg.pmu = strdup(cfg.pmu);
		if (!cfg.pmu)
			return error_set(err, -ENOMEM, "VM: no memory");
	}
	free((char *)vm->mcfg.pmu);
	vm->mcfg = cfg;
	return 0;
}

/* Replace a string of the caller's, which may be NULL, by a copy. */
static int own(const char **text)
{
	if (!*text)
		return 0;
	*text = strdup(*text);
	return *text ? 0 : -ENOMEM;
}

int vmm_set_spe(struct vmm *vm, const struct vmm_spe_config *user, struct vmm_error *err)
{
	struct vmm_spe_config cfg;
	struct vmm_spe_config copy;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, VMM_SPE_F_OPTIONAL, user, err);
	if (ret)
		return ret;
	if (cfg.abi && cfg.abi_text)
		return error_set(err, -EINVAL, "SPE: its kernel interface by name and by description");
	copy = cfg;
	copy.instance = copy.abi = copy.abi_text = NULL;
	ret = own(&cfg.instance);
	copy.instance = cfg.instance;
	if (!ret) {
		ret = own(&cfg.abi);
		copy.abi = cfg.abi;
	}
	if (!ret) {
		ret = own(&cfg.abi_text);
		copy.abi_text = cfg.abi_text;
	}
	if (ret) {
		free_spe(&copy);
		return error_set(err, ret, "VM: no memory");
	}
	free_spe(&vm->scfg);
	vm->scfg = copy;
	vm->want_spe = true;
	return 0;
}

int vmm_set_boot(struct vmm *vm, const struct vmm_boot_config *user, struct vmm_error *err)
{
	const u64 known = VMM_BOOT_F_INITRD | VMM_BOOT_F_FIRMWARE | VMM_BOOT_F_DUMP_DTB;
	struct vmm_boot_config cfg;
	struct vm_boot boot;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, known, user, err);
	if (!ret)
		ret = config_reserved((u64)cfg.reserved, err);
	if (ret)
		return ret;

	boot = (struct vm_boot){
		.flags = cfg.flags, .kernel_fd = cfg.kernel_fd, .initrd_fd = -1, .dtb_fd = -1,
		.firmware_addr = cfg.firmware_addr,
	};
	ret = borrow(&boot.kernel_fd, 1, 1, "kernel", err);
	if (ret)
		return ret;
	boot.initrd_fd = cfg.initrd_fd;
	ret = borrow(&boot.initrd_fd, cfg.flags, VMM_BOOT_F_INITRD, "initrd", err);
	if (ret)
		goto fail;
	boot.dtb_fd = cfg.dtb_fd;
	ret = borrow(&boot.dtb_fd, cfg.flags, VMM_BOOT_F_DUMP_DTB, "device tree", err);
	if (ret)
		goto fail;
	boot.cmdline = strdup(cfg.cmdline ? cfg.cmdline : "");
	if (!boot.cmdline) {
		ret = error_set(err, -ENOMEM, "VM: no memory");
		goto fail;
	}
	fd_close(&vm->boot.kernel_fd);
	fd_close(&vm->boot.initrd_fd);
	fd_close(&vm->boot.dtb_fd);
	free(vm->boot.cmdline);
	vm->boot = boot;
	return 0;
fail:
	fd_close(&boot.kernel_fd);
	fd_close(&boot.initrd_fd);
	fd_close(&boot.dtb_fd);
	return ret;
}

int vmm_add_overlay(struct vmm *vm, const struct vmm_overlay_config *user, struct vmm_error *err)
{
	struct vmm_overlay_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, 0, user, err);
	if (!ret)
		ret = config_reserved((u64)cfg.reserved, err);
	if (ret)
		return ret;
	if (vm->nr_overlays == VMM_MAX_OVERLAYS)
		return error_set(err, -ENOSPC, "overlay: a VM has at most %d", VMM_MAX_OVERLAYS);
	ret = fd_dup(cfg.fd);
	if (ret < 0)
		return error_sys(err, ret, "overlay %u: descriptor %d", vm->nr_overlays, cfg.fd);
	vm->overlay_fds[vm->nr_overlays++] = ret;
	return 0;
}

static int borrow_both(u64 flags, int *in_fd, int *out_fd, struct vmm_error *err)
{
	int ret = borrow(in_fd, flags, VMM_CONSOLE_F_IN, "console input", err);

	if (ret)
		return ret;
	ret = borrow(out_fd, flags, VMM_CONSOLE_F_OUT, "console output", err);
	if (ret)
		fd_close(in_fd);
	return ret;
}

int vmm_add_console(struct vmm *vm, const struct vmm_console_config *user,
		    struct vmm_error *err)
{
	struct vmm_console_config cfg;
	struct vm_console con;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags,
			  VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT, user, err);
	if (ret)
		return ret;
	if (vm->nr_consoles == VM_MAX_CONSOLES)
		return error_set(err, -ENOSPC, "console: a VM has at most %u", VM_MAX_CONSOLES);
	con = (struct vm_console){ .in_fd = cfg.in_fd, .out_fd = cfg.out_fd };
	ret = borrow_both(cfg.flags, &con.in_fd, &con.out_fd, err);
	if (ret)
		return ret;
	vm->consoles[vm->nr_consoles] = con;
	return (int)vm->nr_consoles++;
}

/* Several may read, or one may write; until the last duplicate of @fd is closed. */
static int lock_file(int fd, bool ro, const char *what, struct vmm_error *err)
{
	struct flock whole = { .l_type = ro ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &whole))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(err, -ETXTBSY, "%s: somebody else has it open%s", what,
				 ro ? " for writing" : "");
	return error_sys(err, -errno, "%s: locking it", what);
}

int vmm_add_flash(struct vmm *vm, const struct vmm_flash_config *user, struct vmm_error *err)
{
	struct vmm_flash_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, VMM_FLASH_F_READONLY, user, err);
	if (ret)
		return ret;
	if (vm->flash_fd >= 0)
		return error_set(err, -ENOSPC, "flash: a VM has at most one");
	ret = fd_dup(cfg.fd);
	if (ret < 0)
		return error_sys(err, ret, "flash: descriptor %d", cfg.fd);
	vm->flash_fd = ret;
	vm->flash_readonly = cfg.flags & VMM_FLASH_F_READONLY;
	ret = lock_file(vm->flash_fd, vm->flash_readonly, "flash", err);
	if (ret)
		fd_close(&vm->flash_fd);
	return ret;
}

/* With the lock held: room for one more device, whose index is returned. */
static int add_device(struct vmm *vm, const struct vm_device *dev, struct vmm_error *err)
{
	if (vm->nr_devices == VM_MAX_DEVICES)
		return error_set(err, -ENOSPC, "virtio: a VM has at most %u devices",
				 VM_MAX_DEVICES);
	vm->devices[vm->nr_devices] = *dev;
	if (dev->kind != VM_NET)
		vm->devices[vm->nr_devices].vhost_fd = -1;
	return (int)vm->nr_devices++;
}

/* The same with a duplicate of @fd, which is @name to the reader of @err. */
static int add_device_fd(struct vmm *vm, struct vm_device *dev, int fd, const char *name,
			 struct vmm_error *err)
{
	int ret;

	dev->fd = fd;
	ret = borrow(&dev->fd, 1, 1, name, err);
	if (!ret)
		ret = add_device(vm, dev, err);
	if (ret < 0)
		fd_close(&dev->fd);
	return ret;
}

int vmm_add_rng(struct vmm *vm, const struct vmm_rng_config *user, struct vmm_error *err)
{
	const struct vm_device dev = { .kind = VM_RNG, .fd = -1 };
	struct vmm_rng_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, 0, user, err);
	return ret ? ret : add_device(vm, &dev, err);
}

static int check_disk(const struct vmm_disk_config *cfg, struct vmm_error *err)
{
	int mode = fcntl(cfg->fd, F_GETFL);

	if (mode < 0)
		return error_sys(err, -errno, "disk: descriptor %d", cfg->fd);
	if (mode & (O_APPEND | O_NONBLOCK))
		return error_set(err, -EINVAL, "disk: descriptor %d is O_APPEND or O_NONBLOCK", cfg->fd);
	if ((mode & O_ACCMODE) != O_RDWR &&
	    ((mode & O_ACCMODE) != O_RDONLY || !(cfg->flags & VMM_DISK_F_RO)))
		return error_set(err, -EINVAL, "disk: descriptor %d is not open for that", cfg->fd);
	if (cfg->queues > VMM_DISK_QUEUES)
		return error_set(err, -EINVAL, "disk: %u queues, of at most %u", cfg->queues,
				 VMM_DISK_QUEUES);
	if (cfg->serial && strlen(cfg->serial) > VMM_DISK_SERIAL)
		return error_set(err, -EINVAL, "disk: a serial number of more than %u bytes",
				 VMM_DISK_SERIAL);
	return 0;
}

int vmm_add_disk(struct vmm *vm, const struct vmm_disk_config *user, struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_DISK };
	struct vmm_disk_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, VMM_DISK_F_RO, user, err);
	if (!ret)
		ret = check_disk(&cfg, err);
	if (ret)
		return ret;
	dev.flags = cfg.flags;
	dev.queues = cfg.queues ? cfg.queues : 1;
	snprintf(dev.serial, sizeof(dev.serial), "%s", cfg.serial ? cfg.serial : "");
	dev.fd = cfg.fd;
	ret = borrow(&dev.fd, 1, 1, "disk", err);
	if (!ret)
		ret = lock_file(dev.fd, cfg.flags & VMM_DISK_F_RO, "disk", err);
	if (!ret)
		ret = add_device(vm, &dev, err);
	if (ret < 0)
		fd_close(&dev.fd);
	return ret;
}

static int take_tag(struct vm_device *dev, const char *tag, const char *what, struct vmm_error *err)
{
	if (!tag || !tag[0] || strlen(tag) > VMM_FS_TAG_MAX)
		return error_set(err, -EINVAL, "%s: a tag has 1 to %u bytes", what, VMM_FS_TAG_MAX);
	strcpy(dev->tag, tag);
	return 0;
}

int vmm_add_fs(struct vmm *vm, const struct vmm_fs_config *user, struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_FS, .fd = -1 };
	struct vmm_fs_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, 0, user, err);
	if (!ret)
		ret = config_reserved((u64)cfg.reserved, err);
	if (!ret)
		ret = take_tag(&dev, cfg.tag, "fs", err);
	if (ret)
		return ret;
	return add_device_fd(vm, &dev, cfg.fd, "fs", err);
}

int vmm_add_9p(struct vmm *vm, const struct vmm_9p_config *user, struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_9P, .fd = -1 };
	struct vmm_9p_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, 0, user, err);
	if (!ret)
		ret = config_reserved((u64)cfg.reserved, err);
	if (!ret)
		ret = take_tag(&dev, cfg.tag, "9p", err);
	if (ret)
		return ret;
	if ((cfg.aname && strlen(cfg.aname) > VMM_9P_NAME_MAX) ||
	    (cfg.uname && strlen(cfg.uname) > VMM_9P_NAME_MAX))
		return error_set(err, -EINVAL, "9p: what and who is attached has at most %u bytes",
				 VMM_9P_NAME_MAX);
	strcpy(dev.aname, cfg.aname ? cfg.aname : "");
	strcpy(dev.uname, cfg.uname ? cfg.uname : "");
	return add_device_fd(vm, &dev, cfg.fd, "9p", err);
}

int vmm_add_vhost_user(struct vmm *vm, const struct vmm_vhost_user_config *user,
		       struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_VHOST_USER, .fd = -1 };
	struct vmm_vhost_user_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, VMM_VHOST_USER_F_WAIT, user, err);
	if (!ret)
		ret = config_reserved(cfg.reserved, err);
	if (ret)
		return ret;
	if (cfg.type != VMM_VHOST_USER_BLK)
		return error_set(err, -EINVAL, "vhost-user: no device of type %u", cfg.type);
	if (cfg.queues > VMM_VHOST_USER_QUEUES)
		return error_set(err, -EINVAL, "vhost-user: %u queues, of at most %u", cfg.queues,
				 VMM_VHOST_USER_QUEUES);
	dev.queues = cfg.queues ? cfg.queues : 1;
	dev.flags = cfg.flags;
	return add_device_fd(vm, &dev, cfg.fd, "vhost-user", err);
}

static void choose_mac(struct vmm *vm, u8 *mac)
{
	static const u8 zeroes[6];
	static const u8 first[6] = { 0x02, 0x15, 0x15, 0x15, 0x15, 0x15 };

	if (memcmp(mac, zeroes, sizeof(zeroes)))
		return;
	memcpy(mac, first, sizeof(first));
	mac[5] = (u8)(mac[5] + vm->nr_nets);
}

/* What is behind a card. */
#define NET_KINDS	(VMM_NET_F_STREAM | VMM_NET_F_TAP | VMM_NET_F_VHOST_USER)

static int check_net(const struct vmm_net_config *cfg, struct vmm_error *err)
{
	const u64 kinds = cfg->flags & NET_KINDS;

	if (kinds & (kinds - 1))
		return error_set(err, -EINVAL,
				 "net: a stream socket, a tap interface and vhost-user exclude one another");
	if (cfg->flags & VMM_NET_F_VHOST && !(cfg->flags & VMM_NET_F_TAP))
		return error_set(err, -EINVAL, "net: vhost-net needs a tap interface");
	if (cfg->flags & VMM_NET_F_WAIT && (!(cfg->flags & VMM_NET_F_VHOST_USER) || cfg->queues > 1))
		return error_set(err, -EINVAL, "net: only vhost-user with one pair of queues can wait");
	if (cfg->queues > VMM_NET_QUEUES)
		return error_set(err, -EINVAL, "net: %u pairs of queues; there may be %d", cfg->queues,
				 VMM_NET_QUEUES);
	if (cfg->queues > 1 && !(cfg->flags & (VMM_NET_F_TAP | VMM_NET_F_VHOST_USER)))
		return error_set(err, -EINVAL, "net: more queues need a tap interface or vhost-user");
	if (cfg->mtu && cfg->mtu < MTU_LEAST)
		return error_set(err, -EINVAL, "net: an MTU of %u is below %u", cfg->mtu, MTU_LEAST);
	if (cfg->mac[0] & 1)
		return error_set(err, -EINVAL, "net: the MAC address is one of a group");
	return 0;
}

/* All descriptors of @dev are -1 or ours, whatever is returned. */
static int borrow_net(struct vm_device *dev, const struct vmm_net_config *cfg, struct vmm_error *err)
{
	const u32 nr = cfg->flags & VMM_NET_F_VHOST_USER ? 1 : dev->net.queues;
	int ret = 0;

	for (u32 i = 0; i < nr && !ret; i++) {
		int *fd = i ? &dev->net.more_fds[i - 1] : &dev->fd;
		int *vhost_fd = i ? &dev->net.more_vhost_fds[i - 1] : &dev->vhost_fd;

		*fd = i ? cfg->more_fds[i - 1] : cfg->fd;
		ret = borrow(fd, cfg->flags, NET_KINDS, "net", err);
		if (ret)
			break;
		*vhost_fd = i ? cfg->more_vhost_fds[i - 1] : cfg->vhost_fd;
		ret = borrow(vhost_fd, cfg->flags, VMM_NET_F_VHOST, "vhost-net", err);
	}
	return ret;
}

int vmm_add_net(struct vmm *vm, const struct vmm_net_config *user, struct vmm_error *err)
{
	const u64 known = NET_KINDS | VMM_NET_F_VHOST | VMM_NET_F_WAIT;
	struct vm_device dev = { .kind = VM_NET, .fd = -1, .vhost_fd = -1 };
	struct vmm_net_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, known, user, err);
	if (!ret)
		ret = check_net(&cfg, err);
	if (ret)
		return ret;
	choose_mac(vm, cfg.mac);
	dev.net = cfg;
	dev.net.queues = cfg.queues ? cfg.queues : 1;
	memset(dev.net.more_fds, -1, sizeof(dev.net.more_fds));
	memset(dev.net.more_vhost_fds, -1, sizeof(dev.net.more_vhost_fds));
	ret = borrow_net(&dev, &cfg, err);
	if (!ret)
		ret = add_device(vm, &dev, err);
	if (ret < 0) {
		vm_device_close(&dev);
		return ret;
	}
	vm->nr_nets++;
	return ret;
}

int vmm_add_hvc(struct vmm *vm, const struct vmm_console_config *user, struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_HVC };
	struct vmm_console_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT,
			  user, err);
	if (ret)
		return ret;
	if (vm->hvc >= 0)
		return error_set(err, -ENOSPC, "console: a VM has at most one hvc");
	dev.fd = cfg.in_fd;
	dev.out_fd = cfg.out_fd;
	ret = borrow_both(cfg.flags, &dev.fd, &dev.out_fd, err);
	if (ret)
		return ret;
	ret = add_device(vm, &dev, err);
	if (ret < 0) {
		fd_close(&dev.fd);
		fd_close(&dev.out_fd);
		return ret;
	}
	return vm->hvc = ret;
}

/* Of what a device node can be called by. */
static bool is_port_name(const char *name)
{
	size_t len = 0;

	for (; name[len]; len++)
		if (len == VMM_PORT_NAME_MAX || name[len] <= ' ' || name[len] > '~' || name[len] == '/')
			return false;
	return len && strcmp(name, ".") && strcmp(name, "..");
}

static int check_port(const struct vmm *vm, const char *name, struct vmm_error *err)
{
	if (!name || !is_port_name(name))
		return error_set(err, -EINVAL, "port: a name of 1 to %u printable bytes, without a slash",
				 VMM_PORT_NAME_MAX);
	if (vm->nr_ports == VMM_MAX_PORTS)
		return error_set(err, -ENOSPC, "port: a VM has at most %u", VMM_MAX_PORTS);
	for (u32 i = 0; i < vm->nr_ports; i++)
		if (!strcmp(vm->ports[i].name, name))
			return error_set(err, -EEXIST, "port: there is one called %s", name);
	return 0;
}

int vmm_add_port(struct vmm *vm, const struct vmm_port_config *user, struct vmm_error *err)
{
	const struct vm_device dev = { .kind = VM_PORTS, .fd = -1 };
	struct vmm_port_config cfg;
	struct vm_port *port;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags,
			  VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT | VMM_PORT_F_CLOSED, user, err);
	if (!ret)
		ret = check_port(vm, cfg.name, err);
	if (!ret)
		ret = borrow_both(cfg.flags, &cfg.in_fd, &cfg.out_fd, err);
	if (ret)
		return ret;
	if (vm->ports_dev < 0)
		vm->ports_dev = ret = add_device(vm, &dev, err);
	if (ret < 0) {
		fd_close(&cfg.in_fd);
		fd_close(&cfg.out_fd);
		return ret;
	}
	port = &vm->ports[vm->nr_ports];
	*port = (struct vm_port){
		.in_fd = cfg.in_fd, .out_fd = cfg.out_fd, .open = !(cfg.flags & VMM_PORT_F_CLOSED),
	};
	memcpy(port->name, cfg.name, strlen(cfg.name));
	return (int)vm->nr_ports++;
}

int vmm_add_balloon(struct vmm *vm, const struct vmm_balloon_config *user, struct vmm_error *err)
{
	const u64 known = VMM_BALLOON_F_NO_OOM | VMM_BALLOON_F_NO_REPORTING;
	struct vm_device dev = { .kind = VM_BALLOON, .fd = -1 };
	struct vmm_balloon_config *cfg = &dev.balloon;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, cfg, sizeof(*cfg), &cfg->flags, known, user, err);
	if (ret)
		return ret;
	if (vm->balloon >= 0)
		return error_set(err, -ENOSPC, "balloon: a VM has at most one");
	if (cfg->target > vm->cfg.ram_size)
		return error_set(err, -EINVAL, "balloon: %llu MiB, of a guest that has %llu",
				 (unsigned long long)cfg->target >> 20,
				 (unsigned long long)vm->cfg.ram_size >> 20);
	ret = add_device(vm, &dev, err);
	if (ret >= 0)
		vm->balloon = ret;
	return ret;
}

int vmm_add_vsock(struct vmm *vm, const struct vmm_vsock_config *user, struct vmm_error *err)
{
	struct vm_device dev = { .kind = VM_VSOCK, .fd = -1 };
	struct vmm_vsock_config cfg;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = take_config(vm, &cfg, sizeof(cfg), &cfg.flags, 0, user, err);
	if (ret)
		return ret;
	if (cfg.cid < CID_LEAST || cfg.cid == UINT32_MAX)
		return error_set(err, -EINVAL, "vsock: no guest can have the CID %u", cfg.cid);
	dev.cid = cfg.cid;
	return add_device_fd(vm, &dev, cfg.fd, "vsock", err);
}

/* ---- Life --------------------------------------------------------------- */

int vmm_start(struct vmm *vm, struct vmm_error *err)
{
	int ret;

	KEEP_ERRNO();
	pthread_mutex_lock(&vm->lock);
	ret = must_be_new(vm, err);
	if (!ret && vm->boot.kernel_fd < 0)
		ret = error_set(err, -EINVAL, "VM: there is nothing to boot");
	vm->starting |= !ret;
	if (!ret)
		vm->limit = (struct vmm_limit){ 0 };
	pthread_mutex_unlock(&vm->lock);
	if (ret)
		return ret;
	ret = vm_start(vm, err);
	if (ret) {
		pthread_mutex_lock(&vm->lock);
		vm->starting = false;
		pthread_mutex_unlock(&vm->lock);
	}
	return ret;
}

int vmm_pause(struct vmm *vm)
{
	KEEP_ERRNO();

	return vm_pause(vm);
}

int vmm_resume(struct vmm *vm)
{
	KEEP_ERRNO();

	return vm_resume(vm);
}

static bool has_started(struct vmm *vm)
{
	bool started;

	pthread_mutex_lock(&vm->lock);
	started = vm->state != VM_NEW;
	pthread_mutex_unlock(&vm->lock);
	return started;
}

int vmm_shutdown(struct vmm *vm)
{
	int ret = -EBUSY;

	KEEP_ERRNO();
	pthread_mutex_lock(&vm->lock);
	/* Under the lock: it keeps vmm_destroy() away from the machine. */
	if (vm->state == VM_RUNNING)
		ret = machine_power_button(vm);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_console_break(struct vmm *vm, uint32_t index, const char *text)
{
	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EBUSY;
	return machine_console_break(vm, index, text);
}

/* With the lock held: is device @index a network card of a VM that runs? */
static int must_be_net(const struct vmm *vm, u32 index, struct vmm_error *err)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return error_set(err, -EBUSY, "VM: it is not running");
	if (index >= vm->nr_devices || vm->devices[index].kind != VM_NET)
		return error_set(err, -ENOENT, "net: device %u is no network card", index);
	return 0;
}

int vmm_net_attach(struct vmm *vm, uint32_t index, int fd, struct vmm_error *err)
{
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = must_be_net(vm, index, err);
	if (!ret && vm->devices[index].net.flags & VMM_NET_F_TAP)
		ret = error_set(err, -EINVAL, "net: device %u is on a tap interface", index);
	if (!ret && vm->devices[index].net.flags & VMM_NET_F_VHOST_USER)
		ret = error_set(err, -EINVAL, "net: device %u is served by a process", index);
	return ret ? ret : machine_net_attach(vm, index, fd, err);
}

int vmm_net_link(struct vmm *vm, uint32_t index, int up)
{
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = must_be_net(vm, index, NULL);
	return ret ? ret : machine_net_link(vm, index, up);
}

int vmm_net_stats(struct vmm *vm, uint32_t index, struct vmm_net_stats *stats)
{
	struct vmm_net_stats now = { 0 };
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = must_be_net(vm, index, NULL);
	if (!ret && vm->devices[index].net.flags & (VMM_NET_F_VHOST | VMM_NET_F_VHOST_USER))
		ret = -EOPNOTSUPP;
	if (ret)
		return ret;
	machine_net_stats(vm, index, &now);
	return config_fill(stats, &now, sizeof(now));
}

int vmm_disk_resize(struct vmm *vm, uint32_t index, uint64_t *size, struct vmm_error *err)
{
	uint64_t unwanted;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return error_set(err, -EBUSY, "VM: it is not running");
	if (index >= vm->nr_devices || vm->devices[index].kind != VM_DISK)
		return error_set(err, -ENOENT, "disk: device %u is none", index);
	return machine_disk_resize(vm, index, size ? size : &unwanted, err);
}

int vmm_hvc_resize(struct vmm *vm, uint32_t cols, uint32_t rows)
{
	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (vm->hvc < 0)
		return -ENOENT;
	if (cols > UINT16_MAX || rows > UINT16_MAX)
		return -EINVAL;
	if (vm->starting || vm->state == VM_STOPPED)
		return -EBUSY;
	vm->hvc_cols = (u16)cols;
	vm->hvc_rows = (u16)rows;
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		machine_hvc_resize(vm, vm->hvc_cols, vm->hvc_rows);
	return 0;
}

int vmm_hvc_type(struct vmm *vm, const char *text)
{
	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (vm->hvc < 0)
		return -ENOENT;
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EBUSY;
	return machine_hvc_type(vm, text);
}

int vmm_port_open(struct vmm *vm, uint32_t index, int open)
{
	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (index >= vm->nr_ports)
		return -ENOENT;
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EBUSY;
	machine_port_open(vm, index, open);
	return 0;
}

/* With the lock held: has a VM that runs a balloon? */
static int must_have_balloon(const struct vmm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EBUSY;
	return vm->balloon < 0 ? -ENOENT : 0;
}

int vmm_balloon_set(struct vmm *vm, uint64_t target)
{
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = must_have_balloon(vm);
	if (!ret && target > vm->cfg.ram_size)
		ret = -EINVAL;
	if (!ret)
		machine_balloon_set(vm, target);
	return ret;
}

int vmm_balloon_stats(struct vmm *vm, struct vmm_balloon_stats *stats)
{
	struct vmm_balloon_stats now;
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	ret = must_have_balloon(vm);
	if (ret)
		return ret;
	machine_balloon_stats(vm, &now);
	return config_fill(stats, &now, sizeof(now));
}

int vmm_stop(struct vmm *vm)
{
	KEEP_ERRNO();

	if (!has_started(vm))
		return -EBUSY;
	vm_stop(vm, VMM_STOP_HOST, 0, -1, "stopped by the host");
	return 0;
}

int vmm_limit(struct vmm *vm, struct vmm_limit *limit)
{
	struct vmm_limit now;

	KEEP_ERRNO();
	pthread_mutex_lock(&vm->lock);
	now = vm->limit;
	pthread_mutex_unlock(&vm->lock);
	if (!now.size)
		return 0;
	if (config_fill(limit, &now, sizeof(now)))
		return -EINVAL;
	return 1;
}

int vmm_retry(struct vmm *vm)
{
	KEEP_ERRNO();

	if (!has_started(vm))
		return -EBUSY;
	vm_host_changed(vm);
	return 0;
}

int vmm_set_backend(struct vmm *vm, uint32_t index, int fd, struct vmm_error *err)
{
	bool alive;

	KEEP_ERRNO();
	pthread_mutex_lock(&vm->lock);
	alive = vm->state == VM_RUNNING || vm->state == VM_PAUSED;
	pthread_mutex_unlock(&vm->lock);
	if (!alive)
		return error_set(err, -EBUSY, "VM: it does not run");
	if (index >= vm->nr_devices || !vm_device_has_backend(&vm->devices[index]))
		return error_set(err, -ENOENT, "device %u: it has no backend", index);
	/* It stays there until vmm_destroy(), and the backend is waited for: no lock. */
	return machine_set_backend(vm, index, fd, err);
}

/* ---- Events ------------------------------------------------------------- */

int vmm_event_fd(const struct vmm *vm)
{
	return vm->event_fd;
}

int vmm_next_event(struct vmm *vm, struct vmm_event *ev)
{
	size_t size = ev->size;
	uint64_t n;
	int ret = 0;

	KEEP_ERRNO();
	if (size < sizeof(size))
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (vm->nr_events) {
		struct vmm_event *first = &vm->events[vm->first_event];

		memcpy(ev, first, size < sizeof(*first) ? size : sizeof(*first));
		ev->size = size;
		vm->first_event = (vm->first_event + 1) % VM_MAX_EVENTS;
		vm->nr_events--;
		ret = 1;
	}
	/* Empty: not readable any more.  It does not block, and holds no secret. */
	if (!vm->nr_events && read(vm->event_fd, &n, sizeof(n)) < 0)
		n = 0;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* ---- A host's own threads ----------------------------------------------- */

static bool lends_threads(const struct vmm *vm)
{
	return vm->cfg.flags & VMM_F_HOST_THREADS;
}

int vmm_vcpu_run(struct vmm *vm, uint32_t index)
{
	struct cpumask cpus;
	sigset_t kick;
	sigset_t old;
	int ret = 0;

	KEEP_ERRNO();
	if (!lends_threads(vm) || !has_started(vm))
		return -EBUSY;
	if (index >= vm->cfg.vcpus)
		return -ENOENT;
	ret = cpumask_get_affinity(&cpus);
	if (ret)
		return ret;
	sigemptyset(&kick);
	sigaddset(&kick, vm->kick_signal);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	ret = vcpu_loop(&vm->vcpus[index]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		ret = cpumask_set_affinity(&cpus);
	return ret;
}

int vmm_io_run(struct vmm *vm, uint32_t index)
{
	int ret = 0;

	KEEP_ERRNO();
	if (!lends_threads(vm))
		return -EBUSY;
	if (index >= vm->cfg.io_threads)
		return -ENOENT;
	pthread_mutex_lock(&vm->lock);
	if (vm->state == VM_NEW || vm->io[index].entered)
		ret = -EBUSY;
	vm->io[index].entered |= !ret;
	vm->nr_users += !ret;
	pthread_mutex_unlock(&vm->lock);
	if (ret)
		return ret;
	ret = loop_run(vm->io[index].loop);
	pthread_mutex_lock(&vm->lock);
	vm->io[index].entered = false;
	vm->nr_users--;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_io_fd(const struct vmm *vm, uint32_t index)
{
	if (!lends_threads(vm))
		return -EBUSY;
	if (index >= vm->cfg.io_threads)
		return -ENOENT;
	return vm->io[index].loop ? loop_fd(vm->io[index].loop) : -EBUSY;
}

int vmm_io_dispatch(struct vmm *vm, uint32_t index)
{
	KEEP_ERRNO();

	if (!lends_threads(vm) || !has_started(vm))
		return -EBUSY;
	if (index >= vm->cfg.io_threads)
		return -ENOENT;
	return loop_dispatch(vm->io[index].loop);
}

/* ---- Looking inside ----------------------------------------------------- */

int vmm_mem_read(struct vmm *vm, uint64_t gpa, void *buf, size_t len)
{
	return has_started(vm) ? gmem_read(&vm->ram, gpa, buf, len) : -EBUSY;
}

int vmm_mem_write(struct vmm *vm, uint64_t gpa, const void *buf, size_t len)
{
	return has_started(vm) ? gmem_write(&vm->ram, gpa, buf, len) : -EBUSY;
}

/* Under the lock: no vCPU is in the guest, nor will be until the lock is given up. */
static bool stands(const struct vmm *vm)
{
	if (vm->state == VM_PAUSED)
		return vm->nr_waiting >= vm->nr_inside;
	return vm->state == VM_STOPPED;
}

int vmm_vcpu_regs(struct vmm *vm, uint32_t index, struct vmm_vcpu_regs *out)
{
	struct vmm_vcpu_regs regs = { .off = 0 };
	int ret;

	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (index >= vm->cfg.vcpus)
		return -ENOENT;
	if (!stands(vm))
		return -EBUSY;
	ret = machine_vcpu_regs(vm, index, &regs);
	return ret ? ret : config_fill(out, &regs, sizeof(regs));
}

int vmm_vcpu_read(struct vmm *vm, uint32_t index, uint64_t va, void *buf, size_t len)
{
	KEEP_ERRNO();
	HOLD_LOCK(vm);
	if (index >= vm->cfg.vcpus)
		return -ENOENT;
	return stands(vm) ? machine_vcpu_read(vm, index, va, buf, len) : -EBUSY;
}

int vmm_stats(struct vmm *vm, uint32_t index, struct vmm_vcpu_stats *out)
{
	struct vmm_vcpu_stats stats = { 0 };
	size_t size = out->size;

	if (size < sizeof(size))
		return -EINVAL;
	if (index >= vm->cfg.vcpus)
		return -ENOENT;
	if (has_started(vm)) {
		struct vcpu *vcpu = &vm->vcpus[index];

		stats.runs = atomic_load_explicit(&vcpu->nr_runs, memory_order_relaxed);
		stats.mmio = atomic_load_explicit(&vcpu->nr_mmio, memory_order_relaxed);
		stats.kicks = atomic_load_explicit(&vcpu->nr_kicks, memory_order_relaxed);
		stats.others = atomic_load_explicit(&vcpu->nr_others, memory_order_relaxed);
		stats.tid = atomic_load_explicit(&vcpu->tid, memory_order_relaxed);
		stats.stalled = atomic_load_explicit(&vcpu->stalled, memory_order_relaxed);
		stats.wrong_cpu = atomic_load_explicit(&vcpu->nr_wrong_cpu, memory_order_relaxed);
		stats.repins = atomic_load_explicit(&vcpu->nr_repins, memory_order_relaxed);
		stats.stalls = atomic_load_explicit(&vcpu->nr_stalls, memory_order_relaxed);
		for (size_t i = 0; i < VMM_LATENCY_BUCKETS; i++)
			stats.repin_latency[i] = atomic_load_explicit(&vcpu->repin_latency[i],
								      memory_order_relaxed);
		pthread_mutex_lock(&vm->place_lock);
		placement_describe(&vm->placement, index, stats.cpus, sizeof(stats.cpus));
		pthread_mutex_unlock(&vm->place_lock);
	}
	stats.size = size;
	memcpy(out, &stats, size < sizeof(stats) ? size : sizeof(stats));
	return 0;
}

const char *vmm_version(void)
{
	return STRINGIFY(VMM_VERSION_MAJOR) "." STRINGIFY(VMM_VERSION_MINOR);
}
