/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.c - the VM that the options of "vmm run" describe
 *
 * Files are opened before anything else is tried, so that a wrong name is
 * reported as such on any host, and once, so that a reboot boots the same ones
 * even if the names have come to mean others.
 */
#include "vmm/cli/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/cli/closefd.h"
#include "vmm/cli/diod.h"
#include "vmm/cli/ramfile.h"
#include "vmm/cli/refuse.h"
#include "vmm/cli/status.h"

#define CPUS_MAX	8192	/* of a host that can be counted */
#define BLAME_MS	1000
#define MAX_RAISES	4	/* of a limit, which may turn out higher than was told */

/* ---- What is opened once ------------------------------------------------ */

/* O_NONBLOCK, for a fifo would keep us in open(). */
static int open_input(const char *what, const char *path, int *fd)
{
	struct stat st = { .st_mode = 0 };

	*fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0) {
		/* Test suites for kvmtool look for these words. */
		report_fatal("Unable to open %s %s: %s", what, path, strerror(errno));
		return STATUS_FILE;
	}
	if (fstat(*fd, &st))
		report_fatal("Unable to use %s %s: %s", what, path, strerror(errno));
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	else
		report_fatal("Unable to use %s %s: %s", what, path,
			     S_ISDIR(st.st_mode) ? "it is a directory" : "not a regular file");
	return STATUS_FILE;
}

static int open_images(struct guest *guest)
{
	const struct run_options *opts = guest->opts;
	int status;

	if (opts->firmware)
		status = open_input("firmware", opts->firmware, &guest->image_fd);
	else
		status = open_input("kernel", opts->kernel, &guest->image_fd);
	if (status || !opts->initrd || opts->firmware)
		return status;
	return open_input("initrd", opts->initrd, &guest->initrd_fd);
}

static int open_overlays(struct guest *guest)
{
	int status = 0;

	for (uint32_t i = 0; i < guest->opts->nr_overlays && !status; i++)
		status = open_input("device tree overlay", guest->opts->overlays[i],
				    &guest->overlay_fds[i]);
	return status;
}

/*
 * O_NONBLOCK, for a fifo would keep us in open(); and not afterwards, for it would
 * make a disk that is busy fail.
 */
static int open_disk(const struct disk_option *disk, const char *path, int *fd)
{
	int mode = (disk->ro ? O_RDONLY : O_RDWR) | (disk->direct ? O_DIRECT : 0);
	struct stat st = { .st_mode = 0 };

	*fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0) {
		report_fatal("Unable to open disk %s: %s", path,
			     errno == EISDIR ? "a directory; not in this version" : strerror(errno));
		return STATUS_FILE;
	}
	if (fstat(*fd, &st) || fcntl(*fd, F_SETFL, mode))
		report_fatal("Unable to use disk %s: %s", path, strerror(errno));
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	else
		report_fatal("Unable to use disk %s: neither a file nor a block device", path);
	return STATUS_FILE;
}

static int open_disks(struct guest *guest)
{
	int status = 0;

	for (uint32_t i = 0; i < guest->opts->nr_disks && !status; i++) {
		const struct disk_option *disk = &guest->opts->disks[i];
		char *path = strndup(disk->path, (size_t)disk->path_len);

		if (!path) {
			report_fatal("out of memory");
			return STATUS_ERROR;
		}
		status = open_disk(disk, path, &guest->disk_fds[i]);
		free(path);
	}
	return status;
}

static int open_flash(struct guest *guest)
{
	const char *arg = guest->opts->flash;
	size_t len = arg ? strlen(arg) : 0;
	char path[PATH_MAX];

	if (!arg)
		return 0;
	guest->flash_readonly = len > 3 && !strcmp(arg + len - 3, ",ro");
	snprintf(path, sizeof(path), "%.*s", (int)(guest->flash_readonly ? len - 3 : len), arg);
	guest->flash_fd = open(path, (guest->flash_readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK |
			       O_NOCTTY | O_CLOEXEC);
	if (guest->flash_fd >= 0)
		return 0;
	report_fatal("Unable to open flash %s: %s", path, strerror(errno));
	return STATUS_FILE;
}

static int open_fs(struct guest *guest)
{
	struct vmm_error err = { "" };

	for (uint32_t i = 0; i < guest->opts->nr_fs; i++) {
		int ret = fsd_open(&guest->fsds[i], &guest->opts->fs[i], &err);

		if (ret) {
			report_fatal("%s", err.msg);
			return ret == -ENOTSUP ? STATUS_HOST : STATUS_FILE;
		}
	}
	return 0;
}

static int open_vhosts(struct guest *guest)
{
	struct vmm_error err = { "" };

	if (!vhosts_open(&guest->vhosts, guest->opts, &err))
		return 0;
	report_fatal("%s", err.msg);
	return STATUS_FILE;
}

static int open_helper(struct guest *guest)
{
	if (!guest->opts->nr_fs && !vhosts_reconnect(&guest->vhosts))
		return 0;
	if (!helper_open(&guest->helper, guest->fsds, guest->opts->nr_fs, &guest->vhosts))
		return 0;
	report_fatal("a process to start and connect to others: %s", strerror(errno));
	return STATUS_ERROR;
}

static int open_kvm(struct guest *guest)
{
	const char *dev = guest->opts->dev;

	/* Unless told, the library finds it; each time, so it has to be there still. */
	if (!dev && !guest->opts->user && !guest->opts->chroot)
		return 0;
	if (!dev)
		dev = "/dev/kvm";
	guest->kvm_fd = open(dev, O_RDWR | O_CLOEXEC);
	if (guest->kvm_fd >= 0)
		return 0;
	report_fatal("%s: %s", dev, strerror(errno));
	return STATUS_HOST;
}

/* A file that was there is emptied only when its new content is at hand. */
static int open_dtb(struct guest *guest)
{
	const char *path = guest->opts->dump_dtb;

	if (!path)
		return 0;
	guest->dtb_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	guest->made_dtb = guest->dtb_fd >= 0;
	if (guest->dtb_fd < 0 && errno == EEXIST)
		guest->dtb_fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (guest->dtb_fd >= 0)
		return 0;
	report_fatal("--dump-dtb %s: %s", path, strerror(errno));
	return STATUS_USAGE;
}

static int open_ttys(struct guest *guest)
{
	for (unsigned int i = 0; i < OPTIONS_TTYS; i++) {
		const struct tty_option *tty = &guest->opts->ttys[i];
		char name[OPTIONS_TTY_NAME];
		struct vmm_error err;

		if (!consend_open(&guest->ends[i], tty, &err))
			continue;
		options_tty_name(guest->opts, i, name);
		report_fatal("%s: %s", name, err.msg);
		return tty->path ? STATUS_FILE : STATUS_ERROR;
	}
	return 0;
}

/* Those that we may run on, which in a container are not all that are online. */
static uint32_t count_cpus(void)
{
	unsigned long mask[CPUS_MAX / (8 * sizeof(unsigned long))] = { 0 };
	uint32_t cpus = 0;

	if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)mask))
		return 1;
	for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
		cpus += (uint32_t)__builtin_popcountl(mask[i]);
	return cpus;
}

static uint64_t host_ram(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

static int size_ram(struct guest *guest)
{
	const struct run_options *opts = guest->opts;
	uint64_t page = 1;
	int ret;

	guest->host_ram = host_ram();
	guest->ram_size = opts->ram_size;
	if (!opts->ram_size)
		guest->ram_size = options_default_ram(guest->cpus, guest->host_ram);
	if (!opts->hugetlbfs)
		return 0;

	ret = ramfile_page_size(opts->hugetlbfs, &page);
	if (ret) {
		report_fatal("--hugetlbfs %s: %s", opts->hugetlbfs,
			     ret == -EMEDIUMTYPE ? "not a hugetlbfs" : strerror(-ret));
		return STATUS_USAGE;
	}
	if (!opts->ram_size)
		guest->ram_size -= guest->ram_size % page;
	if (guest->ram_size && guest->ram_size % page == 0)
		return 0;
	report_fatal("--hugetlbfs %s: RAM must be a multiple of its pages of %llu KiB",
		     opts->hugetlbfs, (unsigned long long)page >> 10);
	return STATUS_USAGE;
}

static int make_cmdline(struct guest *guest)
{
	guest->cmdline = options_cmdline(guest->opts);
	if (guest->cmdline)
		return 0;
	report_fatal("out of memory");
	return STATUS_ERROR;
}

static int read_spe(struct guest *guest)
{
	struct vmm_error err;
	int ret = 0;

	if (guest->opts->spe)
		ret = speopt_parse(&guest->spe, guest->opts->spe_arg, &err);
	if (!ret)
		ret = speopt_load(&guest->spe, &err);
	if (!ret)
		return 0;
	report_fatal("%s", err.msg);
	return ret == -ENOMEM ? STATUS_ERROR : STATUS_USAGE;
}

static int open_nets(struct guest *guest)
{
	struct vmm_error err = { "" };
	int ret = nets_open(&guest->nets, guest->opts, &guest->vhosts, &err);

	if (!ret)
		return 0;
	report_fatal("%s", err.msg);
	return ret == -ENOMEM ? STATUS_ERROR : STATUS_HOST;
}

_Static_assert(sizeof(struct guest) <= 16384, "it is all touched: private memory of each vmm");

int guest_open(struct guest *guest, const struct run_options *opts)
{
	/* What leaves something behind when it is undone comes last. */
	static int (*const steps[])(struct guest *) = {
		open_images, open_overlays, open_flash, open_disks, open_fs, open_vhosts, size_ram,
		make_cmdline, read_spe, open_kvm, open_nets, open_helper, open_dtb, open_ttys,
	};
	int status = 0;

	memset(guest, 0, sizeof(*guest));
	guest->opts = opts;
	guest->report.level = opts->log_level;
	guest->report.name = opts->name;
	guest->image_fd = -1;
	guest->initrd_fd = -1;
	guest->kvm_fd = -1;
	guest->dtb_fd = -1;
	for (size_t i = 0; i < OPTIONS_DISKS; i++)
		guest->disk_fds[i] = -1;
	for (size_t i = 0; i < OPTIONS_OVERLAYS; i++)
		guest->overlay_fds[i] = -1;
	vhosts_clear(&guest->vhosts);
	guest->flash_fd = -1;
	helper_clear(&guest->helper);
	for (size_t i = 0; i < OPTIONS_FS; i++)
		fsd_clear(&guest->fsds[i]);
	for (size_t i = 0; i < OPTIONS_TTYS; i++)
		consend_clear(&guest->ends[i]);
	if (opts->name)
		snprintf(guest->name, sizeof(guest->name), "%s", opts->name);
	else
		snprintf(guest->name, sizeof(guest->name), "guest-%d", (int)getpid());
	guest->cpus = opts->cpus ? opts->cpus : count_cpus();

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !status; i++)
		status = steps[i](guest);
	return status;
}

/*
 * The last VM is left to the end of the process: with the address space gone, KVM has
 * no MMU notifier to wait for, which takes vmm_destroy() three ticks of the host.  A
 * VM of several vCPUs takes as long all the same from Linux 6.10 on, where
 * kvm_destroy_mpidr_data() waits for a grace period of RCU, whoever the VMM is.
 * Builds with assertions, as those under sanitizers are, leave nothing behind.
 */
#ifdef NDEBUG
#define LEAVES_LAST	true
#else
#define LEAVES_LAST	false
#endif

void guest_close(struct guest *guest)
{
	/* What serves it ends with it. */
	if (!LEAVES_LAST || guest->opts->nr_fs)
		guest_destroy(guest);
	helper_close(&guest->helper);
	for (size_t i = 0; i < OPTIONS_FS; i++)
		fsd_close(&guest->fsds[i]);
	if (guest->made_dtb && !guest->started)
		unlink(guest->opts->dump_dtb);
	close_fd(&guest->dtb_fd);
	close_fd(&guest->image_fd);
	close_fd(&guest->initrd_fd);
	close_fd(&guest->flash_fd);
	close_fd(&guest->kvm_fd);
	for (size_t i = 0; i < OPTIONS_DISKS; i++)
		close_fd(&guest->disk_fds[i]);
	for (size_t i = 0; i < OPTIONS_OVERLAYS; i++)
		close_fd(&guest->overlay_fds[i]);
	vhosts_close(&guest->vhosts);
	for (size_t i = 0; i < OPTIONS_TTYS; i++)
		consend_close(&guest->ends[i]);
	nets_close(&guest->nets);
	speopt_fini(&guest->spe);
	free(guest->cmdline);
	guest->cmdline = NULL;
}

/* ---- What each boot makes ----------------------------------------------- */

/*
 * The library names an object by its kind, "kernel: is empty"; which file that
 * was, only the program knows.
 */
static void report_failure(const struct guest *guest, const char *msg)
{
	const struct run_options *opts = guest->opts;
	const struct {
		const char	*kind;
		const char	*name;
	} objects[] = {
		{ "kernel", opts->kernel },
		{ "initrd", opts->initrd },
		{ "firmware", opts->firmware },
		{ "flash", opts->flash },
		{ "KVM", opts->dev },
	};
	unsigned int overlay;

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		size_t len = strlen(objects[i].kind);

		if (objects[i].name && !strncmp(msg, objects[i].kind, len) && msg[len] == ':') {
			report_fatal("%s: %s", objects[i].name, msg);
			return;
		}
	}
	if (sscanf(msg, "overlay %u:", &overlay) == 1 && overlay < opts->nr_overlays)
		report_fatal("%s: %s", opts->overlays[overlay], msg);
	else if (!strncmp(msg, "CPU list ", 9))
		report_fatal("--vcpu-affinity: %s", msg);
	else
		report_fatal("%s", msg);
}

static int fail(const struct guest *guest, int error, const struct vmm_error *err)
{
	report_failure(guest, err->msg[0] ? err->msg : strerror(-error));
	return status_of(error);
}

/* -1: RAM needs no file.  A fresh one for each boot, as RAM is after a reset. */
static int open_ram(struct guest *guest, int *fd)
{
	const char *dir = guest->opts->hugetlbfs;

	*fd = -1;
	if (dir)
		*fd = ramfile_hugetlbfs(dir, guest->ram_size);
	else if (guest->opts->memfd || guest->opts->nr_fs || guest->opts->nr_vhosts ||
		 nets_share_ram(&guest->nets))
		*fd = ramfile_memfd(guest->name, guest->ram_size);
	else
		return 0;
	if (*fd >= 0)
		return 0;
	if (dir && *fd == -ENOMEM)
		report_fatal("--hugetlbfs %s: too few free pages for %llu MiB", dir,
			     (unsigned long long)guest->ram_size >> 20);
	else
		report_fatal("%s%s: no file for RAM: %s", dir ? "--hugetlbfs " : "--memfd",
			     dir ? dir : "", strerror(-*fd));
	return STATUS_ERROR;
}

static int create(struct guest *guest)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { "" };
	int status;
	int ret;

	status = open_ram(guest, &cfg.ram_fd);
	if (status)
		return status;
	cfg.flags = guest->opts->vm_flags | VMM_F_KICK_HANDLER;
	if (guest->confined)
		cfg.flags |= VMM_F_SANDBOX;
	if (guest->opts->sandbox == SANDBOX_AUDIT)
		cfg.flags |= VMM_F_SANDBOX_AUDIT;
	if (cfg.ram_fd >= 0)
		cfg.flags |= VMM_F_RAM_FD;
	else
		cfg.ram_fd = 0;
	if (guest->kvm_fd >= 0) {
		cfg.flags |= VMM_F_KVM_FD;
		cfg.kvm_fd = guest->kvm_fd;
	}
	cfg.ram_size = guest->ram_size;
	cfg.ram_base = guest->opts->ram_base;
	cfg.vcpus = guest->cpus;
	cfg.io_threads = guest->opts->io_threads;
	cfg.log_level = guest->opts->log_level;
	cfg.cpus = guest->opts->affinity;
	cfg.on_no_cpu = guest->opts->on_no_cpu;
	cfg.log = report_vmm;
	cfg.opaque = &guest->report;

	ret = vmm_create(&guest->vm, &cfg, &err);
	if (cfg.flags & VMM_F_RAM_FD)
		close(cfg.ram_fd);
	if (ret) {
		guest->vm = NULL;
		return fail(guest, ret, &err);
	}
	return 0;
}

static int set_boot(struct guest *guest, struct vmm_error *err)
{
	struct vmm_boot_config cfg = VMM_BOOT_CONFIG_INIT;

	cfg.kernel_fd = guest->image_fd;
	cfg.cmdline = guest->cmdline;
	if (guest->opts->firmware) {
		cfg.flags |= VMM_BOOT_F_FIRMWARE;
		cfg.firmware_addr = guest->opts->firmware_addr;
	}
	if (guest->initrd_fd >= 0) {
		cfg.flags |= VMM_BOOT_F_INITRD;
		cfg.initrd_fd = guest->initrd_fd;
	}
	if (guest->dtb_fd >= 0) {
		cfg.flags |= VMM_BOOT_F_DUMP_DTB;
		cfg.dtb_fd = guest->dtb_fd;
	}
	return vmm_set_boot(guest->vm, &cfg, err);
}

static int add_overlays(struct guest *guest, struct vmm_error *err)
{
	struct vmm_overlay_config cfg = VMM_OVERLAY_CONFIG_INIT;
	int ret = 0;

	for (uint32_t i = 0; i < guest->opts->nr_overlays && !ret; i++) {
		cfg.fd = guest->overlay_fds[i];
		ret = vmm_add_overlay(guest->vm, &cfg, err);
	}
	return ret;
}

/* -1: none, which is no descriptor of a configuration. */
static uint64_t which_fds(int in_fd, int out_fd)
{
	return (in_fd >= 0 ? VMM_CONSOLE_F_IN : 0) | (out_fd >= 0 ? VMM_CONSOLE_F_OUT : 0);
}

static struct vmm_console_config console_on(const struct consend *end, int in_fd, int out_fd)
{
	struct vmm_console_config cfg = VMM_CONSOLE_CONFIG_INIT;

	cfg.in_fd = consend_in(end, in_fd);
	cfg.out_fd = consend_out(end, out_fd);
	cfg.flags = which_fds(cfg.in_fd, cfg.out_fd);
	return cfg;
}

static int add_hvc(struct guest *guest, int in_fd, int out_fd, struct vmm_error *err)
{
	struct vmm_console_config cfg = console_on(&guest->ends[OPTIONS_HVC], in_fd, out_fd);
	int ret;

	if (!guest->opts->hvc)
		return 0;
	ret = vmm_add_hvc(guest->vm, &cfg, err);
	return ret < 0 ? ret : 0;
}

static int add_port(struct guest *guest, uint32_t i, struct vmm_error *err)
{
	const struct consend *end = &guest->ends[OPTIONS_FIRST_PORT + i];
	const struct tty_option *tty = &guest->opts->ttys[OPTIONS_FIRST_PORT + i];
	struct vmm_port_config cfg = VMM_PORT_CONFIG_INIT;
	char name[VMM_PORT_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", tty->name_len, tty->name);
	cfg.name = name;
	cfg.in_fd = consend_in(end, -1);
	cfg.out_fd = consend_out(end, -1);
	cfg.flags = which_fds(cfg.in_fd, cfg.out_fd);
	guest->open_ports |= 1u << i;
	if (!consend_is_attached(end)) {
		cfg.flags |= VMM_PORT_F_CLOSED;
		guest->open_ports &= ~(1u << i);
	}
	return vmm_add_port(guest->vm, &cfg, err);
}

static int add_ports(struct guest *guest, struct vmm_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < guest->opts->nr_ports && ret >= 0; i++)
		ret = add_port(guest, i, err);
	return ret < 0 ? ret : 0;
}

/* They are numbered as they are added, so those below a wanted one are too. */
static int add_serial_ports(struct guest *guest, int in_fd, int out_fd, struct vmm_error *err)
{
	int last = OPTIONS_SERIAL_PORTS - 1;
	int ret = 0;

	while (last && guest->opts->ttys[last].kind == TTY_NOTHING)
		last--;
	for (int i = 0; ret >= 0 && i <= last; i++) {
		struct vmm_console_config cfg = console_on(&guest->ends[i], in_fd, out_fd);

		ret = vmm_add_console(guest->vm, &cfg, err);
	}
	return ret < 0 ? ret : 0;
}

static int add_disk(struct guest *guest, uint32_t i, struct vmm_error *err)
{
	const struct disk_option *disk = &guest->opts->disks[i];
	struct vmm_disk_config cfg = VMM_DISK_CONFIG_INIT;
	char serial[VMM_DISK_SERIAL + 1] = "";
	struct vmm_error why = { "" };
	int ret;

	cfg.fd = guest->disk_fds[i];
	cfg.flags = disk->ro ? VMM_DISK_F_RO : 0;
	cfg.queues = disk->queues;
	if (disk->serial)
		snprintf(serial, sizeof(serial), "%.*s", disk->serial_len, disk->serial);
	cfg.serial = serial;
	ret = vmm_add_disk(guest->vm, &cfg, &why);
	if (ret < 0)
		snprintf(err->msg, sizeof(err->msg), "%.*s: %.*s", disk->path_len, disk->path,
			 (int)sizeof(err->msg) / 2, why.msg);
	return ret;
}

static int add_virtiofsd(struct vmm *vm, const struct fsd *fsd, int fd, struct vmm_error *err)
{
	struct vmm_fs_config cfg = VMM_FS_CONFIG_INIT;

	cfg.fd = fd;
	cfg.tag = fsd->tag;
	return vmm_add_fs(vm, &cfg, err);
}

static int add_diod(struct vmm *vm, const struct fsd *fsd, int fd, struct vmm_error *err)
{
	struct vmm_9p_config cfg = VMM_9P_CONFIG_INIT;

	cfg.fd = fd;
	cfg.tag = fsd->tag;
	cfg.aname = diod_aname(fsd);
	cfg.uname = fsd->user;
	return vmm_add_9p(vm, &cfg, err);
}

static int add_fs(struct guest *guest, uint32_t i, struct vmm_error *err)
{
	struct fsd *fsd = &guest->fsds[i];
	int fd = helper_start(&guest->helper, i, &fsd->pid_fd, err);
	int ret;

	if (fd < 0)
		return fd;
	ret = (fsd->p9 ? add_diod : add_virtiofsd)(guest->vm, fsd, fd, err);
	close(fd);
	fsd->device = ret;
	return ret;
}

/* For each boot, so that connections to the guest that was there before are at an end. */
static int add_vsock(struct guest *guest, struct vmm_error *err)
{
	struct vmm_vsock_config cfg = VMM_VSOCK_CONFIG_INIT;
	int ret;

	cfg.cid = guest->opts->vsock_cid;
	cfg.fd = open(VSOCK_DEVICE, O_RDWR | O_CLOEXEC);
	if (cfg.fd < 0) {
		ret = errno == EACCES ? -EACCES : -ENOTSUP;
		snprintf(err->msg, sizeof(err->msg), "--vsock: " VSOCK_DEVICE ": %s", strerror(errno));
		return ret;
	}
	ret = vmm_add_vsock(guest->vm, &cfg, err);
	close(cfg.fd);
	return ret;
}

/* Disks first, so that they are numbered as they are written. */
static int add_devices(struct guest *guest, struct vmm_error *err)
{
	struct vmm_flash_config flash = VMM_FLASH_CONFIG_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct vmm_balloon_config balloon = VMM_BALLOON_CONFIG_INIT;
	int ret = 0;

	if (guest->opts->flash) {
		flash.fd = guest->flash_fd;
		flash.flags = guest->flash_readonly ? VMM_FLASH_F_READONLY : 0;
		ret = vmm_add_flash(guest->vm, &flash, err);
	}
	for (uint32_t i = 0; i < guest->opts->nr_disks && ret >= 0; i++)
		ret = add_disk(guest, i, err);
	if (ret >= 0)
		ret = vhosts_add(&guest->vhosts, guest->vm, &guest->helper, err);
	for (uint32_t i = 0; i < guest->opts->nr_fs && ret >= 0; i++)
		ret = add_fs(guest, i, err);
	if (ret >= 0)
		ret = nets_add(&guest->nets, guest->vm, &guest->helper, err);
	if (ret >= 0 && guest->opts->vsock_cid)
		ret = add_vsock(guest, err);
	if (ret >= 0 && guest->opts->rng)
		ret = vmm_add_rng(guest->vm, &rng, err);
	balloon.flags = guest->opts->balloon_flags;
	balloon.target = guest->opts->balloon_size;
	if (ret >= 0 && guest->opts->balloon)
		ret = vmm_add_balloon(guest->vm, &balloon, err);
	return ret < 0 ? ret : 0;
}

int guest_build(struct guest *guest, int in_fd, int out_fd)
{
	struct vmm_error err = { "" };
	int status;
	int ret;

	status = create(guest);
	if (status)
		return status;
	ret = vmm_set_machine(guest->vm, &guest->opts->machine, &err);
	if (ret == 0 && guest->opts->spe)
		ret = vmm_set_spe(guest->vm, &guest->spe.cfg, &err);
	if (ret == 0)
		ret = set_boot(guest, &err);
	if (ret == 0)
		ret = add_overlays(guest, &err);
	if (ret == 0)
		ret = add_serial_ports(guest, in_fd, out_fd, &err);
	/* Behind the disks, whose indices others have to know. */
	if (ret == 0)
		ret = add_devices(guest, &err);
	if (ret == 0)
		ret = add_hvc(guest, in_fd, out_fd, &err);
	if (ret == 0)
		ret = add_ports(guest, &err);
	return ret ? fail(guest, ret, &err) : 0;
}

static void announce_pty(const struct guest *guest, const struct report *shown, unsigned int i)
{
	const struct tty_option *tty = &guest->opts->ttys[i];
	unsigned int number = guest->ends[i].pty.number;

	if (i < OPTIONS_SERIAL_PORTS)
		report_log(shown, VMM_LOG_INFO, "ttyS%u: /dev/pts/%u", i, number);
	else if (i == OPTIONS_HVC)
		report_log(shown, VMM_LOG_INFO, "hvc0: /dev/pts/%u", number);
	else
		report_log(shown, VMM_LOG_INFO, "%.*s: /dev/pts/%u", tty->name_len, tty->name, number);
}

/* Said once the guest runs, so that a start that fails has one line alone. */
static void announce(const struct guest *guest)
{
	const struct run_options *opts = guest->opts;
	/* At any --loglevel: there is no other way to learn a pty's name. */
	const struct report shown = { .name = opts->name, .level = VMM_LOG_INFO };

	for (unsigned int i = 0; i < OPTIONS_TTYS; i++)
		if (guest->ends[i].pty.fd >= 0)
			announce_pty(guest, &shown, i);
	if (guest->host_ram && guest->ram_size > guest->host_ram)
		report_log(&guest->report, VMM_LOG_WARN,
			   "--mem: %llu MiB is more than the host has, %llu MiB",
			   (unsigned long long)guest->ram_size >> 20,
			   (unsigned long long)guest->host_ram >> 20);
	if (opts->firmware && opts->initrd)
		report_log(&guest->report, VMM_LOG_WARN,
			   "--initrd: ignored, firmware is given none");
}

/* The soft limit alone, if that is enough; the hard one takes privilege. */
bool guest_raise_limit(const struct guest *guest)
{
	struct vmm_limit limit = VMM_LIMIT_INIT;
	struct rlimit r;

	if (vmm_limit(guest->vm, &limit) <= 0 || limit.need <= limit.have)
		return false;
	if (getrlimit((__rlimit_resource_t)limit.resource, &r))
		return false;
	r.rlim_cur = limit.need;
	if (r.rlim_max < r.rlim_cur)
		r.rlim_max = r.rlim_cur;
	return !setrlimit((__rlimit_resource_t)limit.resource, &r);
}

/* While there is privilege, so that the soft limit can be raised without. */
void guest_allow_raises(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r) || r.rlim_max == RLIM_INFINITY)
		return;
	r.rlim_max = RLIM_INFINITY;
	if (setrlimit(RLIMIT_MEMLOCK, &r))
		return;		/* then errors say how much is needed */
}

static unsigned int poll_fs(const struct guest *guest, struct pollfd *fds)
{
	for (uint32_t i = 0; i < guest->opts->nr_fs; i++)
		fds[i] = (struct pollfd){ .fd = guest->fsds[i].pid_fd, .events = POLLIN };
	return guest->opts->nr_fs;
}

unsigned int guest_poll(const struct guest *guest, struct pollfd *fds)
{
	unsigned int nr = poll_fs(guest, fds);

	nr += vhosts_poll(&guest->vhosts, fds + nr);
	fds[nr++] = (struct pollfd){ .fd = nets_fd(&guest->nets), .events = POLLIN };
	for (int i = 0; i < OPTIONS_TTYS; i++, nr += CONSSOCK_FDS)
		conssock_poll(&guest->ends[i].sock, fds + nr);
	return nr;
}

int guest_timeout(const struct guest *guest)
{
	return vhosts_timeout(&guest->vhosts);
}

/* Of a start that failed with @ret: a server has ended at once, and has said why itself. */
static int blame_fs(struct guest *guest, int ret)
{
	struct pollfd fds[OPTIONS_FS];
	char how[32];
	bool again;

	if (!guest->opts->nr_fs || (ret != -ENOTCONN && ret != -ECONNRESET && ret != -EPIPE))
		return 0;
	/* Its connection ends a little earlier than it does. */
	poll(fds, poll_fs(guest, fds), BLAME_MS);
	for (uint32_t i = 0; i < guest->opts->nr_fs; i++) {
		struct fsd *fsd = &guest->fsds[i];

		if (!helper_ended(&guest->helper, i, &fsd->pid_fd, how, sizeof(how), &again))
			continue;
		report_fatal("%s %s: %s has ended: %s", fsd_option(fsd), fsd->dir, fsd_program(fsd), how);
		return STATUS_HOST;
	}
	return 0;
}

static int start(struct guest *guest, struct vmm_error *err)
{
	int ret = vmm_start(guest->vm, err);

	for (int i = 0; ret == -ENOMEM && i < MAX_RAISES && guest_raise_limit(guest); i++)
		ret = vmm_start(guest->vm, err);
	return ret;
}

int guest_start(struct guest *guest)
{
	struct vmm_error err = { "" };
	int ret;

	/* A device, a pipe or a terminal has no length, and needs none. */
	if (guest->dtb_fd >= 0 && ftruncate(guest->dtb_fd, 0) && errno != EINVAL) {
		report_fatal("--dump-dtb %s: %s", guest->opts->dump_dtb, strerror(errno));
		return STATUS_ERROR;
	}
	ret = start(guest, &err);
	if (ret) {
		int status = blame_fs(guest, ret);

		return status ? status : fail(guest, ret, &err);
	}
	/* Written; a later boot would append a second tree to the first. */
	close_fd(&guest->dtb_fd);
	if (!guest->started)
		announce(guest);
	guest->started = true;
	return 0;
}

/* ---- Who serves it ------------------------------------------------------ */

static void restart_fs(struct guest *guest, uint32_t i, bool again)
{
	struct fsd *fsd = &guest->fsds[i];
	const struct report *report = &guest->report;
	struct vmm_error err = { "" };
	int fd;
	int ret;

	if (!again) {
		report_log(report, VMM_LOG_ERROR,
			   "%s %s: %s keeps ending, and is not started any more", fsd_option(fsd),
			   fsd->dir, fsd_program(fsd));
		return;
	}
	fd = helper_start(&guest->helper, i, &fsd->pid_fd, &err);
	ret = fd < 0 ? fd : vmm_set_backend(guest->vm, (uint32_t)fsd->device, fd, &err);
	if (fd >= 0)
		close(fd);
	/* When the VM has stopped meanwhile nobody needs it. */
	if (ret && ret != -EBUSY)
		report_log(report, VMM_LOG_ERROR, "%s %s: starting it again: %s", fsd_option(fsd),
			   fsd->dir, err.msg);
}

/* Who has come to a port, and who has gone.  A guest that has stopped need not know. */
static void tell_ports(struct guest *guest)
{
	for (uint32_t i = 0; i < guest->opts->nr_ports; i++) {
		bool open = consend_is_attached(&guest->ends[OPTIONS_FIRST_PORT + i]);

		if (open != !!(guest->open_ports & 1u << i) && !vmm_port_open(guest->vm, i, open))
			guest->open_ports ^= 1u << i;
	}
}

void guest_serve(struct guest *guest)
{
	for (uint32_t i = 0; i < guest->opts->nr_fs; i++) {
		struct fsd *fsd = &guest->fsds[i];
		char how[32];
		bool again;

		if (!helper_ended(&guest->helper, i, &fsd->pid_fd, how, sizeof(how), &again))
			continue;
		report_log(&guest->report, VMM_LOG_WARN,
			   "%s %s: %s has ended: %s; the guest has to %s", fsd_option(fsd), fsd->dir,
			   fsd_program(fsd), how, fsd->p9 ? "mount it anew" : "reset the device");
		restart_fs(guest, i, again);
	}
	vhosts_serve(&guest->vhosts, guest->vm, &guest->helper, &guest->report);
	nets_serve(&guest->nets, guest->vm, &guest->report);
	for (int i = 0; i < OPTIONS_TTYS; i++)
		conssock_serve(&guest->ends[i].sock);
	tell_ports(guest);
}

void guest_destroy(struct guest *guest)
{
	vmm_destroy(guest->vm);
	guest->vm = NULL;
	for (uint32_t i = 0; i < guest->opts->nr_fs; i++)
		helper_stop(&guest->helper, i, &guest->fsds[i].pid_fd);
}
