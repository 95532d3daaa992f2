/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - the command line of "vmm run", as a struct
 *
 * Spellings and meanings are kvmtool's where it has the option.  Of its options
 * that are still to come the names are here, to be told from misspelled ones and
 * so that an abbreviation does not change its meaning when they arrive.
 *
 * Not getopt_long(): it has static state and prints.  The syntax is the same:
 * "--name value", "--name=value", unambiguous prefixes, "-cN", "--" ends; an
 * argument that may be left out follows "=" alone.
 */
#include "vmm/cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/conffile.h"
#include "vmm/cli/netopt.h"
#include "vmm/cli/number.h"
#include "vmm/cli/refuse.h"
#include "vmm/cli/speopt.h"
#include "vmm/cli/vhostopt.h"

#define KIB		1024ull
#define MIB		(1024 * KIB)
#define RAM_GRAIN	(64 * KIB)	/* vmm.h, vmm_config.ram_size */
#define RAM_BASE_MIN	(2048 * MIB)	/* vmm.h, vmm_config.ram_base */
#define SVE_VL_GRAIN	128		/* vmm.h, vmm_machine_config.sve_max_vl */
#define SVE_VL_MAX	2048
#define IO_THREADS_MAX	16		/* vmm.h, vmm_config.io_threads */
#define NAME_MAX_LEN	64
#define LONGEST_SHOWN	64	/* of a word that means nothing */

enum option_id {
	OPT_LATER,		/* kvmtool's, not ours yet */
	OPT_HEADING,
	OPT_VM_FLAG,		/* .set in vm_flags */
	OPT_MACHINE_FLAG,	/* .set in machine.flags, .clear not */
	OPT_HELP,
	OPT_NAME,
	OPT_CPUS,
	OPT_MEM,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_PARAMS,
	OPT_FIRMWARE,
	OPT_FIRMWARE_ADDRESS,
	OPT_FLASH,
	OPT_NODEFAULTS,
	OPT_CONSOLE,
	OPT_TTY,
	OPT_VIRTIO_PORT,
	OPT_NETWORK,
	OPT_DISK,
	OPT_FS,
	OPT_9P,
	OPT_RNG,
	OPT_BALLOON,
	OPT_VSOCK,
	OPT_VIRTIO_TRANSPORT,
	OPT_VIRTIO_RING,
	OPT_IO_THREADS,
	OPT_VHOST_USER,
	OPT_DEV,
	OPT_HUGETLBFS,
	OPT_MEMFD,
	OPT_LOGLEVEL,
	OPT_DEBUG,
	OPT_SVE_MAX_VL,
	OPT_KASLR_SEED,
	OPT_COUNTER_OFFSET,
	OPT_CNTFRQ,
	OPT_IRQCHIP,
	OPT_PMU,
	OPT_SPE,
	OPT_AFFINITY,
	OPT_ON_NO_CPU,
	OPT_DUMP_DTB,
	OPT_DT_OVERLAY,
	OPT_NO_REBOOT,
	OPT_EXPECT,
	OPT_TIMEOUT,
	OPT_SANDBOX,
	OPT_CONFIG,
	OPT_LOG_FORMAT,
	OPT_PIDFILE,
	OPT_USER,
	OPT_CHROOT,
	OPT_READY_FD,
};

struct option {
	enum option_id	id;
	char		letter;
	const char	*name;
	const char	*arg;
	bool		may;		/* the argument may be left out; "=" comes first */
	const char	*help;
	uint64_t	set;
	uint64_t	clear;
};

#define HEADING(text)						\
	{ .id = OPT_HEADING, .name = (text) }
#define OPTION(_id, _letter, _name, _arg, _help)		\
	{ .id = (_id), .letter = (_letter), .name = (_name), .arg = (_arg), .help = (_help) }
#define OPTIONAL(_id, _name, _arg, _help)			\
	{ .id = (_id), .name = (_name), .arg = (_arg), .may = true, .help = (_help) }
#define FLAG(_id, _name, _set, _clear, _help)			\
	{ .id = (_id), .name = (_name), .set = (_set), .clear = (_clear), .help = (_help) }
#define LATER(_letter, _name)					\
	{ .id = OPT_LATER, .letter = (_letter), .name = (_name) }

/* tests/unit/check-options.sh reads the rows: the name is on the row's first line. */
static const struct option table[] = {
	HEADING("What to boot"),
	OPTION(OPT_KERNEL, 'k', "kernel", "FILE",
	       "arm64 Image (raw, gzipped or EFI zboot) or flat\n"
	       "binary; also the first argument without a dash"),
	OPTION(OPT_INITRD, 'i', "initrd", "FILE", "initial RAM disk"),
	OPTION(OPT_PARAMS, 'p', "params", "STRING",
	       "appended to the kernel's command line"),
	OPTION(OPT_FIRMWARE, 'f', "firmware", "FILE",
	       "raw firmware image, instead of a kernel"),
	OPTION(OPT_FIRMWARE_ADDRESS, 0, "firmware-address", "ADDR",
	       "where it goes (default: the start of RAM)"),
	OPTION(OPT_FLASH, 'F', "flash", "FILE[,ro]",
	       "NOR flash kept in a file of a power of two of\n"
	       "bytes, 64 KiB to 16 MiB"),
	OPTION(OPT_NODEFAULTS, 0, "nodefaults", NULL,
	       "pass --params alone, with nothing before it"),
	OPTION(OPT_NO_REBOOT, 0, "no-reboot", NULL, "end when the guest reboots"),
	OPTION(OPT_DT_OVERLAY, 0, "dt-overlay", "FILE",
	       "merge this overlay, as dtc compiles it, into the\n"
	       "device tree; repeatable"),
	OPTION(OPT_DUMP_DTB, 0, "dump-dtb", "FILE",
	       "write the device tree to FILE and go on"),

	HEADING("CPUs and memory"),
	OPTION(OPT_CPUS, 'c', "cpus", "N", "number of vCPUs (default: the CPUs online)"),
	OPTION(OPT_MEM, 'm', "mem", "SIZE[@ADDR]",
	       "RAM, with a unit of BKMGTP or in MiB, and where\n"
	       "it begins (default: 64 MiB x (vCPUs + 3), at\n"
	       "most 80 % of the host's; at 2 GiB)"),
	OPTION(OPT_AFFINITY, 0, "vcpu-affinity", "LIST",
	       "host CPUs: 0-3,8 for every vCPU, or 0=0-1:1=2"),
	OPTION(OPT_ON_NO_CPU, 0, "on-no-cpu", "wait|stop",
	       "what to do when no host CPU that a vCPU may use\n"
	       "is left: wait for one (default), or stop"),
	OPTION(OPT_HUGETLBFS, 0, "hugetlbfs", "DIR",
	       "take RAM from the hugetlbfs mounted there"),
	OPTION(OPT_MEMFD, 0, "memfd", NULL, "take RAM from a memfd"),
	FLAG(OPT_VM_FLAG, "no-hugepages", VMM_F_NO_HUGEPAGES, 0,
	     "do not ask for transparent huge pages"),

	HEADING("Devices"),
	OPTION(OPT_CONSOLE, 0, "console", "TYPE[,TO]",
	       "serial (default), or virtio: hvc0, on stdio\n"
	       "(default) or as --tty"),
	OPTION(OPT_TTY, 0, "tty", "N[,TO]",
	       "serial port N, 0 to 3, on a new pty (default),\n"
	       "stdio, file=FILE, at its end, or socket=PATH,\n"
	       "which is made; repeatable"),
	OPTION(OPT_VIRTIO_PORT, 0, "virtio-port", "NAME[,TO]",
	       "a port of that name for the guest's programs, on\n"
	       "a new pty (default), file=FILE or socket=PATH;\n"
	       "repeatable"),
	OPTION(OPT_DISK, 'd', "disk", "FILE[,KEY]...",
	       "disk: a raw image or a block device; keys are ro,\n"
	       "direct: past the page cache, queues=N and\n"
	       "serial=TEXT; repeatable.  A directory: the root\n"
	       "file system, as by --fs, with its keys"),
	OPTION(OPT_FS, 0, "fs", "DIR,TAG[,KEY]...",
	       "a directory of the host's, to mount as virtiofs\n"
	       "TAG, by virtiofsd; keys are ro and\n"
	       "sandbox=namespace|chroot|none; repeatable"),
	OPTION(OPT_9P, 0, "9p", "DIR,TAG[,KEY]...",
	       "the same, to mount as 9p TAG, by diod; keys are\n"
	       "ro and sandbox=namespace|none; repeatable"),
	OPTION(OPT_VHOST_USER, 0, "vhost-user", "KEY=VALUE,...",
	       "a device that another process serves, which\n"
	       "listens already; keys are type=blk, socket=PATH,\n"
	       "queues=N and reconnect=SECONDS; repeatable"),
	OPTION(OPT_RNG, 0, "rng", NULL, "virtio-rng: random numbers of the host's"),
	OPTIONAL(OPT_BALLOON, "balloon", "KEY,...",
		 "virtio-balloon: memory that the guest gives up,\n"
		 "by vmm balloon; keys are size=SIZE, to begin\n"
		 "with, no-oom: keep it from a guest that runs out\n"
		 "of memory, and no-reporting: of free pages"),
	OPTION(OPT_VSOCK, 0, "vsock", "CID", "sockets to the host, by vhost-vsock, as CID"),
	OPTION(OPT_VIRTIO_TRANSPORT, 0, "virtio-transport", "TYPE", "pci (default) or mmio"),
	OPTION(OPT_VIRTIO_RING, 0, "virtio-ring", "TYPE",
	       "split (default) or packed: which rings drivers\n"
	       "of virtio devices are offered"),
	OPTION(OPT_IO_THREADS, 0, "io-threads", "N",
	       "threads that serve the devices' queues, 1 to 16\n"
	       "(default: 1)"),
	OPTION(OPT_NETWORK, 'n', "network", "KEY=VALUE,...",
	       "a network card; repeatable; keys are\n"
	       "mode=tap|user|vhost-user|none (tap; user: by\n"
	       "passt), tapif, fd, script, downscript, vhost,\n"
	       "socket, reconnect, mq, host_ip, guest_ip,\n"
	       "guest_mac, mtu\n"
	       "(default: no network)"),

	HEADING("The machine"),
	OPTION(OPT_IRQCHIP, 0, "irqchip", "TYPE",
	       "gicv2, gicv3 or gicv3-its (default: gicv3 if the\n"
	       "host has it, with ITS for PCI, else gicv2)"),
	OPTIONAL(OPT_PMU, "pmu", "NAME",
	       "give the guest a PMUv3 (default: that of the\n"
	       "most host CPUs, where they differ)"),
	FLAG(OPT_MACHINE_FLAG, "no-pmu", 0, VMM_MACHINE_F_PMU, "... or none (default)"),
	OPTIONAL(OPT_SPE, "spe", "KEY=VALUE,...",
		 "give the guest SPE, for profiling; keys are\n"
		 "instance=NAME, abi=NAME|FILE, buffer-max=SIZE,\n"
		 "and optional: go without if there is none"),
	FLAG(OPT_MACHINE_FLAG, "nested", VMM_MACHINE_F_NESTED, 0, "start vCPUs at EL2"),
	FLAG(OPT_MACHINE_FLAG, "e2h0", VMM_MACHINE_F_E2H0, 0, "... without VHE"),
	FLAG(OPT_MACHINE_FLAG, "no-sve", VMM_MACHINE_F_NO_SVE, 0, "hide SVE"),
	OPTION(OPT_SVE_MAX_VL, 0, "sve-max-vl", "BITS",
	       "longest SVE vector (default: all that KVM has)"),
	FLAG(OPT_MACHINE_FLAG, "no-pauth", VMM_MACHINE_F_NO_PAUTH, 0,
	     "hide pointer authentication"),
	FLAG(OPT_MACHINE_FLAG, "disable-mte", VMM_MACHINE_F_NO_MTE, 0,
	     "hide memory tagging"),
	FLAG(OPT_MACHINE_FLAG, "no-mte", VMM_MACHINE_F_NO_MTE, 0, "the same"),
	FLAG(OPT_MACHINE_FLAG, "no-pvtime", VMM_MACHINE_F_NO_PVTIME, 0,
	     "do not tell the guest its stolen time"),
	OPTION(OPT_KASLR_SEED, 0, "kaslr-seed", "N",
	       "seed for the kernel's place (default: random)"),
	FLAG(OPT_MACHINE_FLAG, "no-seed", VMM_MACHINE_F_NO_SEED, 0,
	     "neither kaslr-seed nor rng-seed"),
	OPTION(OPT_COUNTER_OFFSET, 0, "counter-offset", "N",
	       "ticks to take off the guest's counters"),
	OPTION(OPT_CNTFRQ, 0, "override-bad-firmware-cntfrq", "HZ",
	       "counter frequency for the device tree"),

	HEADING("The program"),
	OPTION(OPT_EXPECT, 0, "expect", "REGEX",
	       "end with status 0 once the guest has printed it;\n"
	       "repeatable: one after the other"),
	OPTION(OPT_TIMEOUT, 0, "timeout", "SECONDS", "stop the guest after that time"),
	OPTION(OPT_SANDBOX, 0, "sandbox", "on|off|audit",
	       "give up what running the guest does not take\n"
	       "(default: on, if the host can), or log its use"),
	OPTION(OPT_USER, 0, "user", "USER",
	       "become that user, a name or UID[:GID], once all\n"
	       "is open; needs root"),
	OPTION(OPT_CHROOT, 0, "chroot", "DIR",
	       "make DIR, which may be empty, the root directory\n"
	       "once all is open; needs root"),
	OPTION(OPT_NAME, 0, "name", "NAME", "name of the guest (default: guest-PID)"),
	OPTION(OPT_CONFIG, 0, "config", "FILE",
	       "take options from FILE, an \"option = value\" a\n"
	       "line; those behind it override"),
	OPTION(OPT_PIDFILE, 0, "pidfile", "FILE",
	       "write the process's number there, until it ends"),
	OPTION(OPT_READY_FD, 0, "ready-fd", "N",
	       "write \"READY=1\" to descriptor N, and close it,\n"
	       "once the guest runs"),
	OPTION(OPT_DEV, 0, "dev", "PATH", "KVM device (default: /dev/kvm)"),
	OPTION(OPT_LOGLEVEL, 0, "loglevel", "LEVEL",
	       "error, warning, info (default) or debug"),
	OPTION(OPT_LOG_FORMAT, 0, "log-format", "FORMAT",
	       "text (default), or json: an object a line"),
	OPTION(OPT_DEBUG, 0, "debug", NULL, "the same as --loglevel debug"),
	OPTION(OPT_HELP, 'h', "help", NULL, "show this text"),

	LATER(0, "aarch32"),
	LATER(0, "debug-iodelay"),
	LATER(0, "debug-ioport"),
	LATER(0, "debug-mmio"),
	LATER(0, "debug-single-step"),
	LATER(0, "force-pci"),
	LATER(0, "gtk"),
	LATER(0, "guest-memfd"),
	LATER(0, "no-dhcp"),
	LATER(0, "protected"),
	LATER(0, "psci"),
	LATER(0, "sdl"),
	LATER(0, "vfio-pci"),
	LATER(0, "virtio-legacy"),
	LATER(0, "vnc"),
};

#define TABLE_SIZE	(sizeof(table) / sizeof(table[0]))

bool options_text(size_t index, struct option_text *text)
{
	memset(text, 0, sizeof(*text));
	if (index >= TABLE_SIZE || table[index].id == OPT_LATER)
		return false;
	if (table[index].id == OPT_HEADING) {
		text->heading = table[index].name;
		return true;
	}
	text->name = table[index].name;
	text->arg = table[index].arg;
	text->may = table[index].may;
	text->help = table[index].help;
	text->letter = table[index].letter;
	return true;
}

static int refuse_later(struct vmm_error *err, const char *what, const char *arg)
{
	return refuse(err, -ENOTSUP, "%s%s%s: not in this version", what, *arg ? " " : "", arg);
}

/* ---- Values ------------------------------------------------------------ */

static int take_number(const struct option *opt, const char *arg, uint64_t min,
		       uint64_t max, uint64_t *val, struct vmm_error *err)
{
	int ret = number_parse(arg, val);

	if (ret == -EINVAL)
		return refuse(err, -EINVAL, "--%s %s: not a number", opt->name, arg);
	if (ret || *val < min || *val > max)
		return refuse(err, -EINVAL, "--%s %s: not within %llu to %llu", opt->name,
			      arg, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

int options_stdio_port(const struct run_options *opts)
{
	for (int i = 0; i < OPTIONS_SERIAL_PORTS; i++)
		if (opts->ttys[i].kind == TTY_STDIO)
			return i;
	return -1;
}

bool options_stdio_hvc(const struct run_options *opts)
{
	return opts->ttys[OPTIONS_HVC].kind == TTY_STDIO;
}

void options_tty_name(const struct run_options *opts, unsigned int i, char *name)
{
	if (i < OPTIONS_SERIAL_PORTS)
		snprintf(name, OPTIONS_TTY_NAME, "--tty %u", i);
	else if (i == OPTIONS_HVC)
		snprintf(name, OPTIONS_TTY_NAME, "--console virtio");
	else
		snprintf(name, OPTIONS_TTY_NAME, "--virtio-port %.*s", opts->ttys[i].name_len,
			 opts->ttys[i].name);
}

static int take_u32(const struct option *opt, const char *arg, uint32_t *val,
		    struct vmm_error *err)
{
	uint64_t wide;
	int ret = take_number(opt, arg, 1, UINT32_MAX, &wide, err);

	if (ret == 0)
		*val = (uint32_t)wide;
	return ret;
}

static int take_mem(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	uint64_t size;
	uint64_t base = 0;
	const char *end;
	int ret;

	ret = number_parse_size(arg, 'M', &end, &size);
	if (ret == 0 && *end == '@') {
		ret = number_parse_size(end + 1, 'B', &end, &base);
		if (ret == 0 && base < RAM_BASE_MIN)
			return refuse(err, -EINVAL, "--mem %s: RAM is at 0x%llx or above",
				      arg, RAM_BASE_MIN);
	}
	if (ret == -EINVAL || (ret == 0 && *end))
		return refuse(err, -EINVAL, "--mem %s: not SIZE[BKMGTP][@ADDR]", arg);
	if (ret || size + base < size)
		return refuse(err, -EINVAL, "--mem %s: above 64 bits", arg);
	if (!size || size % RAM_GRAIN)
		return refuse(err, -EINVAL, "--mem %s: not a positive multiple of 64K", arg);
	opts->ram_size = size;
	opts->ram_base = base;
	return 0;
}

static int take_name(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(arg);

	if (!len || len > NAME_MAX_LEN)
		return refuse(err, -EINVAL, "--name %s: not 1 to %d characters", arg,
			      NAME_MAX_LEN);
	if (strspn(arg, allowed) != len)
		return refuse(err, -EINVAL, "--name %s: only letters, digits and ._- may be in it",
			      arg);
	opts->name = arg;
	return 0;
}

/* A path is all the rest, commas too. */
static int take_tty_end(struct tty_option *tty, const struct option *opt, const char *arg,
			const char *end, struct vmm_error *err)
{
	static const struct {
		const char	*name;
		enum tty_kind	kind;
	} kinds[] = {
		{ "stdio", TTY_STDIO }, { "pty", TTY_PTY },
		{ "file=", TTY_FILE }, { "socket=", TTY_SOCKET },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].name);
		bool has_path = kinds[i].name[len - 1] == '=';

		if (strncmp(end, kinds[i].name, len) || has_path != !!end[len])
			continue;
		tty->kind = kinds[i].kind;
		tty->path = has_path ? end + len : NULL;
		return 0;
	}
	return refuse(err, -EINVAL, "--%s %s: not stdio, pty, file=FILE or socket=PATH", opt->name, arg);
}

static int take_tty(struct run_options *opts, const struct option *opt, const char *arg,
		    struct vmm_error *err)
{
	size_t len = strcspn(arg, ",");
	char number[16];
	uint64_t port;
	int ret;

	snprintf(number, sizeof(number), "%.*s", (int)len, arg);
	ret = take_number(opt, number, 0, OPTIONS_SERIAL_PORTS - 1, &port, err);
	if (ret)
		return ret;
	return take_tty_end(&opts->ttys[port], opt, arg, arg[len] ? arg + len + 1 : "pty", err);
}

static int take_console(struct run_options *opts, const struct option *opt, const char *arg,
			struct vmm_error *err)
{
	struct tty_option *tty = &opts->ttys[OPTIONS_HVC];
	size_t len = strlen("virtio");

	*tty = (struct tty_option){ .kind = TTY_NOTHING };
	opts->hvc = !strncmp(arg, "virtio", len) && (!arg[len] || arg[len] == ',');
	if (opts->hvc)
		return take_tty_end(tty, opt, arg, arg[len] ? arg + len + 1 : "stdio", err);
	if (!strcmp(arg, "serial"))
		return 0;
	return refuse(err, -EINVAL, "--console %s: not serial or virtio", arg);
}

static bool is_port_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return len && len <= VMM_PORT_NAME_MAX && !(name[0] == '.' && len <= 2 && name[len - 1] == '.');
}

static int take_virtio_port(struct run_options *opts, const struct option *opt, const char *arg,
			    struct vmm_error *err)
{
	struct tty_option tty = { .name = arg, .name_len = (int)strcspn(arg, ",") };
	const char *to = arg + tty.name_len;
	int ret;

	if (!is_port_name(arg, (size_t)tty.name_len))
		return refuse(err, -EINVAL, "--virtio-port %.*s: not a name of 1 to %d printable bytes",
			      LONGEST_SHOWN, arg, VMM_PORT_NAME_MAX);
	ret = take_tty_end(&tty, opt, arg, *to ? to + 1 : "pty", err);
	if (ret)
		return ret;
	if (tty.kind == TTY_STDIO)
		return refuse(err, -EINVAL, "--virtio-port %s: the terminal is for consoles", arg);
	for (uint32_t i = 0; i < opts->nr_ports; i++) {
		const struct tty_option *other = &opts->ttys[OPTIONS_FIRST_PORT + i];

		if (other->name_len == tty.name_len && !strncmp(other->name, arg, (size_t)tty.name_len))
			return refuse(err, -EINVAL, "--virtio-port %s: there is one of that name", arg);
	}
	if (opts->nr_ports == OPTIONS_PORTS)
		return refuse(err, -EINVAL, "--virtio-port %s: more than %d of them", arg, OPTIONS_PORTS);
	opts->ttys[OPTIONS_FIRST_PORT + opts->nr_ports++] = tty;
	return 0;
}

/* Its words, and that they make sense; who runs the VM takes them apart again. */
static int take_network(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct netopt opt;
	int ret = netopt_parse(&opt, arg, err);

	netopt_fini(&opt);
	if (ret)
		return ret;
	if (opts->nr_nets == OPTIONS_NETS)
		return refuse(err, -EINVAL, "--network %s: more than %d of them", arg, OPTIONS_NETS);
	opts->net_trans |= 1u << opt.trans;
	opts->nets[opts->nr_nets++] = arg;
	return 0;
}

/* How virtiofsd is kept inside its directory, its own word for it. */
static bool take_fs_sandbox(const char *key, size_t len, const char **sandbox, int *sandbox_len)
{
	static const char *const names[] = { "namespace", "chroot", "none" };

	if (len <= 8 || strncmp(key, "sandbox=", 8))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) != len - 8 || strncmp(key + 8, names[i], len - 8))
			continue;
		*sandbox = names[i];
		*sandbox_len = (int)len - 8;
		return true;
	}
	return false;
}

static int take_disk_key(struct disk_option *disk, const char *key, size_t len,
			 struct vmm_error *err)
{
	if (take_fs_sandbox(key, len, &disk->sandbox, &disk->sandbox_len))
		return 0;
	if (len == 2 && !strncmp(key, "ro", len)) {
		disk->ro = true;
	} else if (len == 6 && !strncmp(key, "direct", len)) {
		disk->direct = true;
	} else if (len > 7 && !strncmp(key, "serial=", 7)) {
		disk->serial = key + 7;
		disk->serial_len = (int)len - 7;
		if (disk->serial_len > VMM_DISK_SERIAL)
			return refuse(err, -EINVAL, "--disk: %.*s: more than %d bytes",
				      (int)len, key, VMM_DISK_SERIAL);
	} else if (len > 7 && !strncmp(key, "queues=", 7)) {
		if (number_parse_count(key + 7, len - 7, VMM_DISK_QUEUES, &disk->queues))
			return refuse(err, -EINVAL, "--disk: %.*s: not within 1 to %d", (int)len, key,
				      VMM_DISK_QUEUES);
	} else {
		return refuse(err, -EINVAL, "--disk: '%.*s' is not ro, direct, queues=N or serial=TEXT",
			      len < LONGEST_SHOWN ? (int)len : LONGEST_SHOWN, key);
	}
	return 0;
}

/* kvmtool's: what is behind the first comma is no part of the name. */
static int take_disk(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct disk_option disk = { .path = arg, .path_len = (int)strcspn(arg, ",") };
	const char *key = arg + disk.path_len;

	if (!disk.path_len)
		return refuse(err, -EINVAL, "--disk: the name of the file is empty");
	if (!strncmp(arg, "scsi:", 5))
		return refuse_later(err, "--disk", arg);
	if (opts->nr_disks == OPTIONS_DISKS)
		return refuse(err, -EINVAL, "--disk %s: more than %d of them", arg, OPTIONS_DISKS);
	while (*key) {
		size_t len = strcspn(++key, ",");
		int ret = take_disk_key(&disk, key, len, err);

		if (ret)
			return ret;
		key += len;
	}
	opts->disks[opts->nr_disks++] = disk;
	return 0;
}

static int take_balloon_key(struct run_options *opts, const char *key, size_t len,
			    struct vmm_error *err)
{
	const char *end;

	if (len > 5 && !strncmp(key, "size=", 5)) {
		int ret = number_parse_size(key + 5, 'M', &end, &opts->balloon_size);

		if (!ret && end == key + len)
			return 0;
	} else if (len == 6 && !strncmp(key, "no-oom", len)) {
		opts->balloon_flags |= VMM_BALLOON_F_NO_OOM;
		return 0;
	} else if (len == 12 && !strncmp(key, "no-reporting", len)) {
		opts->balloon_flags |= VMM_BALLOON_F_NO_REPORTING;
		return 0;
	}
	return refuse(err, -EINVAL, "--balloon: '%.*s' is not size=SIZE, no-oom or no-reporting",
		      len < LONGEST_SHOWN ? (int)len : LONGEST_SHOWN, key);
}

/* Said again, it is said anew. */
static int take_balloon(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	int ret = 0;

	opts->balloon = true;
	opts->balloon_flags = opts->balloon_size = 0;
	for (const char *key = arg; key && !ret; key = *key ? key + 1 : NULL) {
		size_t len = strcspn(key, ",");

		ret = take_balloon_key(opts, key, len, err);
		key += len;
	}
	return ret;
}

static const char *fs_name(const struct fs_option *fs)
{
	return fs->p9 ? "--9p" : "--fs";
}

static int take_fs_key(struct fs_option *fs, const char *key, size_t len, struct vmm_error *err)
{
	/* That is virtiofsd's alone. */
	const bool chroot = len == 14 && !strncmp(key, "sandbox=chroot", len);

	if (!(fs->p9 && chroot) && take_fs_sandbox(key, len, &fs->sandbox, &fs->sandbox_len))
		return 0;
	if (len == 2 && !strncmp(key, "ro", len)) {
		fs->ro = true;
		return 0;
	}
	return refuse(err, -EINVAL, "%s: '%.*s' is not ro or sandbox=namespace|%snone", fs_name(fs),
		      len < LONGEST_SHOWN ? (int)len : LONGEST_SHOWN, key, fs->p9 ? "" : "chroot|");
}

static int take_fs(struct run_options *opts, const char *arg, bool p9, struct vmm_error *err)
{
	struct fs_option fs = { .dir = arg, .dir_len = (int)strcspn(arg, ","), .p9 = p9 };
	const char *key;

	fs.tag = arg + fs.dir_len + (arg[fs.dir_len] == ',');
	fs.tag_len = (int)strcspn(fs.tag, ",");
	if (!fs.dir_len || !fs.tag_len)
		return refuse(err, -EINVAL, "%s %.*s: not DIR,TAG", fs_name(&fs), LONGEST_SHOWN, arg);
	if (fs.tag_len > VMM_FS_TAG_MAX)
		return refuse(err, -EINVAL, "%s: %.*s: a tag has at most %d bytes", fs_name(&fs),
			      LONGEST_SHOWN, fs.tag, VMM_FS_TAG_MAX);
	if (opts->nr_fs == OPTIONS_FS)
		return refuse(err, -EINVAL, "%s %.*s: more than %d of them", fs_name(&fs), LONGEST_SHOWN,
			      arg, OPTIONS_FS);
	for (key = fs.tag + fs.tag_len; *key;) {
		size_t len = strcspn(++key, ",");
		int ret = take_fs_key(&fs, key, len, err);

		if (ret)
			return ret;
		key += len;
	}
	opts->fs[opts->nr_fs++] = fs;
	return 0;
}

static int take_vhost_user(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct vhostopt opt;
	int ret = vhostopt_parse(&opt, arg, err);

	if (ret)
		return ret;
	if (opts->nr_vhosts == OPTIONS_VHOSTS)
		return refuse(err, -EINVAL, "--vhost-user: more than %d of them", OPTIONS_VHOSTS);
	opts->vhosts[opts->nr_vhosts++] = arg;
	return 0;
}

/* What is below is the hypervisor, the guest itself, the host; and -1 is anybody. */
static int take_vsock(struct run_options *opts, const struct option *opt, const char *arg,
		      struct vmm_error *err)
{
	uint64_t cid;
	int ret = take_number(opt, arg, 3, UINT32_MAX - 1, &cid, err);

	if (!ret)
		opts->vsock_cid = (uint32_t)cid;
	return ret;
}

static int take_virtio_transport(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	if (!strcmp(arg, "mmio"))
		opts->machine.virtio = VMM_VIRTIO_MMIO;
	else if (!strcmp(arg, "pci"))
		opts->machine.virtio = VMM_VIRTIO_PCI;
	else if (!strcmp(arg, "pci-legacy") || !strcmp(arg, "mmio-legacy"))
		return refuse(err, -ENOTSUP, "--virtio-transport %s: there is no legacy virtio here", arg);
	else
		return refuse(err, -EINVAL, "--virtio-transport %s: not pci or mmio", arg);
	return 0;
}

static int take_virtio_ring(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	if (!strcmp(arg, "packed"))
		opts->machine.flags |= VMM_MACHINE_F_PACKED;
	else if (!strcmp(arg, "split"))
		opts->machine.flags &= ~VMM_MACHINE_F_PACKED;
	else
		return refuse(err, -EINVAL, "--virtio-ring %s: not split or packed", arg);
	return 0;
}

static int take_loglevel(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	static const char *const names[] = {
		[VMM_LOG_ERROR]	= "error",
		[VMM_LOG_WARN]	= "warning",
		[VMM_LOG_INFO]	= "info",
		[VMM_LOG_DEBUG]	= "debug",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == VMM_LOG_DEBUG + 1,
		       "a level without a name");
	for (int i = 0; i <= VMM_LOG_DEBUG; i++) {
		if (!strcmp(arg, names[i])) {
			opts->log_level = i;
			return 0;
		}
	}
	return refuse(err, -EINVAL, "--loglevel %s: not error, warning, info or debug", arg);
}

static int take_irqchip(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	static const char *const names[] = {
		[VMM_IRQCHIP_GICV2]	= "gicv2",
		[VMM_IRQCHIP_GICV3]	= "gicv3",
		[VMM_IRQCHIP_GICV3_ITS]	= "gicv3-its",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == VMM_IRQCHIP_GICV3_ITS + 1,
		       "an irqchip without a name");
	for (uint32_t i = VMM_IRQCHIP_GICV2; i <= VMM_IRQCHIP_GICV3_ITS; i++) {
		if (!strcmp(arg, names[i])) {
			opts->machine.irqchip = i;
			return 0;
		}
	}
	if (!strcmp(arg, "gicv2m"))
		return refuse_later(err, "--irqchip", arg);
	return refuse(err, -EINVAL, "--irqchip %s: not gicv2, gicv3 or gicv3-its", arg);
}

static int take_path(const struct option *opt, const char *arg, const char **path,
		     struct vmm_error *err)
{
	if (!*arg)
		return refuse(err, -EINVAL, "--%s: the argument is empty", opt->name);
	*path = arg;
	return 0;
}

static int take_overlay(struct run_options *opts, const struct option *opt, const char *arg,
			struct vmm_error *err)
{
	if (opts->nr_overlays == OPTIONS_OVERLAYS)
		return refuse(err, -EINVAL, "--%s %s: more than %d of them", opt->name, arg,
			      OPTIONS_OVERLAYS);
	return take_path(opt, arg, &opts->overlays[opts->nr_overlays++], err);
}

/* Whoever opens it takes the ",ro" off. */
static int take_flash(const struct option *opt, const char *arg, const char **path,
		      struct vmm_error *err)
{
	return take_path(opt, strcmp(arg, ",ro") ? arg : "", path, err);
}

static int take_pmu(struct run_options *opts, const struct option *opt, const char *arg,
		    struct vmm_error *err)
{
	opts->machine.flags |= VMM_MACHINE_F_PMU;
	opts->machine.pmu = NULL;
	return arg ? take_path(opt, arg, &opts->machine.pmu, err) : 0;
}

/* Its words, and that they make sense; who runs the VM takes them apart again. */
static int take_spe(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct speopt opt;
	int ret = speopt_parse(&opt, arg, err);

	speopt_fini(&opt);
	opts->spe = true;
	opts->spe_arg = arg;
	return ret ? -EINVAL : 0;
}

static int take_on_no_cpu(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	if (!strcmp(arg, "wait"))
		opts->on_no_cpu = VMM_NO_CPU_WAIT;
	else if (!strcmp(arg, "stop"))
		opts->on_no_cpu = VMM_NO_CPU_STOP;
	else
		return refuse(err, -EINVAL, "--on-no-cpu %s: not wait or stop", arg);
	return 0;
}

static int take_sandbox(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	static const char *const names[] = {
		[SANDBOX_ON]	= "on",
		[SANDBOX_OFF]	= "off",
		[SANDBOX_AUDIT]	= "audit",
	};

	for (size_t i = SANDBOX_ON; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(arg, names[i])) {
			opts->sandbox = (enum sandbox)i;
			return 0;
		}
	}
	return refuse(err, -EINVAL, "--sandbox %s: not on, off or audit", arg);
}

static int take_expect(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct expect expect;
	int ret;

	if (!*arg)
		return refuse(err, -EINVAL, "--expect: the argument is empty");
	if (opts->nr_expect == EXPECT_MAX)
		return refuse(err, -EINVAL, "--expect %s: more than %d of them", arg, EXPECT_MAX);
	ret = expect_init(&expect, &arg, 1, err);
	expect_fini(&expect);
	opts->expect[opts->nr_expect++] = arg;
	return ret;
}

/* The words yet to be parsed. */
struct words {
	char *const	*argv;
	int		left;
};

static int take_log_format(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	opts->log_json = !strcmp(arg, "json");
	if (opts->log_json || !strcmp(arg, "text"))
		return 0;
	return refuse(err, -EINVAL, "--log-format %s: not text or json", arg);
}

/* The first three have another use. */
static int take_ready_fd(struct run_options *opts, const struct option *opt, const char *arg,
			 struct vmm_error *err)
{
	uint64_t fd;
	int ret = take_number(opt, arg, 3, INT_MAX, &fd, err);

	opts->ready_fd = ret ? 0 : (int)fd;
	return ret;
}

static int parse_long(struct run_options *opts, const char *word, struct words *words,
		      struct vmm_error *err);

/* The words live as long as @opts, which has their strings. */
static int take_config_word(struct run_options *opts, const struct conffile *file, char *word)
{
	char **more = realloc(opts->config, (opts->nr_config + 1) * sizeof(*more));
	struct words none = { .left = 0 };
	struct vmm_error why;
	int ret;

	if (!more) {
		free(word);
		return conffile_refuse(file, 0, -ENOMEM, "out of memory");
	}
	opts->config = more;
	more[opts->nr_config++] = word;
	ret = parse_long(opts, word + strlen("--"), &none, &why);
	return ret ? conffile_refuse(file, 0, ret, "%s", why.msg) : 0;
}

static int take_config(struct run_options *opts, const char *arg, struct vmm_error *err)
{
	struct conffile file;
	char *text;
	char *word;
	long len;
	int ret;

	if (opts->has_config)
		return refuse(err, -EINVAL, "--config %s: there is one already", arg);
	len = conffile_load(arg, &text, err);
	if (len < 0)
		return -EINVAL;
	opts->has_config = true;
	conffile_begin(&file, arg, text, (size_t)len, err);
	do {
		ret = conffile_next(&file, &word);
		if (ret == CONFFILE_SECTION)
			ret = conffile_refuse(&file, 0, -EINVAL, "a section: this is a list of images");
		if (ret != CONFFILE_OPTION)
			break;
		ret = take_config_word(opts, &file, word);
	} while (!ret && !opts->help);
	free(text);
	return ret;
}

static int take_sve_max_vl(struct run_options *opts, const struct option *opt,
			   const char *arg, struct vmm_error *err)
{
	uint64_t bits;
	int ret = take_number(opt, arg, SVE_VL_GRAIN, SVE_VL_MAX, &bits, err);

	if (ret)
		return ret;
	if (bits % SVE_VL_GRAIN)
		return refuse(err, -EINVAL, "--sve-max-vl %s: not a multiple of %d", arg,
			      SVE_VL_GRAIN);
	opts->machine.sve_max_vl = (uint32_t)bits;
	return 0;
}

static int take_io_threads(struct run_options *opts, const struct option *opt, const char *arg,
			   struct vmm_error *err)
{
	uint64_t n;
	int ret = take_number(opt, arg, 1, IO_THREADS_MAX, &n, err);

	if (!ret)
		opts->io_threads = (uint32_t)n;
	return ret;
}

static int apply(struct run_options *opts, const struct option *opt, const char *arg,
		 struct vmm_error *err)
{
	switch (opt->id) {
	case OPT_HEADING:
	case OPT_LATER:
		break;
	case OPT_VM_FLAG:
		opts->vm_flags |= opt->set;
		break;
	case OPT_MACHINE_FLAG:
		opts->machine.flags |= opt->set;
		opts->machine.flags &= ~opt->clear;
		break;
	case OPT_HELP:
		opts->help = true;
		break;
	case OPT_NAME:
		return take_name(opts, arg, err);
	case OPT_CPUS:
		return take_u32(opt, arg, &opts->cpus, err);
	case OPT_MEM:
		return take_mem(opts, arg, err);
	case OPT_KERNEL:
		return take_path(opt, arg, &opts->kernel, err);
	case OPT_INITRD:
		return take_path(opt, arg, &opts->initrd, err);
	case OPT_PARAMS:
		opts->params = arg;
		break;
	case OPT_FIRMWARE:
		return take_path(opt, arg, &opts->firmware, err);
	case OPT_FLASH:
		return take_flash(opt, arg, &opts->flash, err);
	case OPT_FIRMWARE_ADDRESS:
		return take_number(opt, arg, 0, UINT64_MAX, &opts->firmware_addr, err);
	case OPT_NODEFAULTS:
		opts->nodefaults = true;
		break;
	case OPT_CONSOLE:
		return take_console(opts, opt, arg, err);
	case OPT_TTY:
		return take_tty(opts, opt, arg, err);
	case OPT_VIRTIO_PORT:
		return take_virtio_port(opts, opt, arg, err);
	case OPT_NETWORK:
		return take_network(opts, arg, err);
	case OPT_DISK:
		return take_disk(opts, arg, err);
	case OPT_FS:
		return take_fs(opts, arg, false, err);
	case OPT_9P:
		return take_fs(opts, arg, true, err);
	case OPT_VHOST_USER:
		return take_vhost_user(opts, arg, err);
	case OPT_VSOCK:
		return take_vsock(opts, opt, arg, err);
	case OPT_RNG:
		opts->rng = true;
		break;
	case OPT_BALLOON:
		return take_balloon(opts, arg, err);
	case OPT_VIRTIO_TRANSPORT:
		return take_virtio_transport(opts, arg, err);
	case OPT_VIRTIO_RING:
		return take_virtio_ring(opts, arg, err);
	case OPT_IO_THREADS:
		return take_io_threads(opts, opt, arg, err);
	case OPT_DEV:
		return take_path(opt, arg, &opts->dev, err);
	case OPT_HUGETLBFS:
		return take_path(opt, arg, &opts->hugetlbfs, err);
	case OPT_MEMFD:
		opts->memfd = true;
		break;
	case OPT_LOGLEVEL:
		return take_loglevel(opts, arg, err);
	case OPT_DEBUG:
		opts->log_level = VMM_LOG_DEBUG;
		break;
	case OPT_SVE_MAX_VL:
		return take_sve_max_vl(opts, opt, arg, err);
	case OPT_KASLR_SEED:
		opts->machine.flags |= VMM_MACHINE_F_KASLR_SEED;
		return take_number(opt, arg, 0, UINT64_MAX, &opts->machine.kaslr_seed, err);
	case OPT_COUNTER_OFFSET:
		opts->machine.flags |= VMM_MACHINE_F_COUNTER_OFFSET;
		return take_number(opt, arg, 0, UINT64_MAX, &opts->machine.counter_offset,
				   err);
	case OPT_CNTFRQ:
		return take_u32(opt, arg, &opts->machine.cntfrq, err);
	case OPT_IRQCHIP:
		return take_irqchip(opts, arg, err);
	case OPT_PMU:
		return take_pmu(opts, opt, arg, err);
	case OPT_SPE:
		return take_spe(opts, arg, err);
	case OPT_ON_NO_CPU:
		return take_on_no_cpu(opts, arg, err);
	case OPT_AFFINITY:
		return take_path(opt, arg, &opts->affinity, err);
	case OPT_DUMP_DTB:
		return take_path(opt, arg, &opts->dump_dtb, err);
	case OPT_DT_OVERLAY:
		return take_overlay(opts, opt, arg, err);
	case OPT_NO_REBOOT:
		opts->no_reboot = true;
		break;
	case OPT_EXPECT:
		return take_expect(opts, arg, err);
	case OPT_TIMEOUT:
		return take_u32(opt, arg, &opts->timeout, err);
	case OPT_SANDBOX:
		return take_sandbox(opts, arg, err);
	case OPT_CONFIG:
		return take_config(opts, arg, err);
	case OPT_LOG_FORMAT:
		return take_log_format(opts, arg, err);
	case OPT_PIDFILE:
		return take_path(opt, arg, &opts->pidfile, err);
	case OPT_USER:
		return take_path(opt, arg, &opts->user, err);
	case OPT_CHROOT:
		return take_path(opt, arg, &opts->chroot, err);
	case OPT_READY_FD:
		return take_ready_fd(opts, opt, arg, err);
	}
	return 0;
}

/* ---- Syntax ------------------------------------------------------------ */

/*
 * NULL, with the reason in @err, if there is none.  @name is not terminated: a
 * value may follow it in the same argument.
 */
static const struct option *find_long(const char *name, size_t len, struct vmm_error *err)
{
	const struct option *found = NULL;
	const struct option *other = NULL;

	for (size_t i = 0; i < TABLE_SIZE; i++) {
		const struct option *opt = &table[i];

		if (opt->id == OPT_HEADING || strncmp(opt->name, name, len))
			continue;
		if (!opt->name[len])
			return opt;
		if (!found)
			found = opt;
		else if (!other)
			other = opt;
	}
	if (!found || !len) {
		refuse(err, 0, "--%.*s: unknown option, see 'vmm help run'",
		       len < LONGEST_SHOWN ? (int)len : LONGEST_SHOWN, name);
		return NULL;
	}
	if (other) {
		refuse(err, 0, "--%.*s: ambiguous, --%s or --%s", (int)len, name,
		       found->name, other->name);
		return NULL;
	}
	return found;
}

static const struct option *find_short(char letter, struct vmm_error *err)
{
	for (size_t i = 0; i < TABLE_SIZE; i++) {
		if (table[i].letter == letter)
			return &table[i];
	}
	refuse(err, 0, "-%c: unknown option, see 'vmm help run'", letter);
	return NULL;
}

/* @value is what was written in the option's own word, NULL if nothing was. */
static int finish(struct run_options *opts, const struct option *opt, const char *value,
		  struct words *words, struct vmm_error *err)
{
	char name[3] = { '-', opt->letter, '\0' };

	if (opt->id == OPT_LATER && opt->letter)
		return refuse(err, -ENOTSUP, "--%s, %s: not in this version", opt->name, name);
	if (opt->id == OPT_LATER)
		return refuse(err, -ENOTSUP, "--%s: not in this version", opt->name);
	if (!opt->arg && value)
		return refuse(err, -EINVAL, "--%s: takes no argument", opt->name);
	if (opt->arg && !opt->may && !value) {
		if (!words->left)
			return refuse(err, -EINVAL, "--%s: the argument is missing, %s",
				      opt->name, opt->arg);
		value = *words->argv++;
		words->left--;
	}
	return apply(opts, opt, value, err);
}

static int parse_long(struct run_options *opts, const char *word, struct words *words,
		      struct vmm_error *err)
{
	size_t len = strcspn(word, "=");
	const struct option *opt = find_long(word, len, err);

	if (!opt)
		return -EINVAL;
	return finish(opts, opt, word[len] ? word + len + 1 : NULL, words, err);
}

static int parse_short(struct run_options *opts, const char *word, struct words *words,
		       struct vmm_error *err)
{
	const struct option *opt = find_short(*word, err);

	if (!opt)
		return -EINVAL;
	return finish(opts, opt, word[1] ? word + 1 : NULL, words, err);
}

static int take_operand(const char **operand, const char *word, struct vmm_error *err)
{
	if (*operand)
		return refuse(err, -EINVAL, "%s: one argument too many", word);
	if (!*word)
		return refuse(err, -EINVAL, "the name of the kernel is empty");
	*operand = word;
	return 0;
}

/* Unless told otherwise, stdin and stdout are the first serial port or the virtio-console. */
static void settle_stdio(struct run_options *opts)
{
	if (!opts->hvc && opts->ttys[0].kind == TTY_NOTHING && options_stdio_port(opts) < 0)
		opts->ttys[0].kind = TTY_STDIO;
}

static int check_ttys(const struct run_options *opts, struct vmm_error *err)
{
	int stdio = options_stdio_port(opts);
	char name[OPTIONS_TTY_NAME];

	if (opts->nr_expect && stdio < 0 && !options_stdio_hvc(opts))
		return refuse(err, -EINVAL, "--expect: excludes %s", opts->hvc ?
			      "--console virtio elsewhere than on stdio" : "--tty 0");
	if (stdio >= 0 && options_stdio_hvc(opts))
		return refuse(err, -EINVAL, "--tty %d,stdio: excludes --console virtio", stdio);
	for (int i = 0; i < OPTIONS_TTYS; i++) {
		if (i < OPTIONS_SERIAL_PORTS && opts->ttys[i].kind == TTY_STDIO && i != stdio)
			return refuse(err, -EINVAL, "--tty %d,stdio: port %d is", i, stdio);
		options_tty_name(opts, (unsigned int)i, name);
		if (opts->ttys[i].kind == TTY_SOCKET && opts->chroot)
			return refuse(err, -EINVAL, "%s,socket: excludes --chroot", name);
	}
	return 0;
}

/* What options mean together. */
static int check(const struct run_options *opts, struct vmm_error *err)
{
	uint64_t flags = opts->machine.flags;

	if (opts->kernel && opts->firmware)
		return refuse(err, -EINVAL, "--firmware: excludes --kernel");
	if (!opts->kernel && !opts->firmware)
		return refuse(err, -EINVAL, "no kernel: give --kernel FILE or --firmware FILE");
	if (opts->firmware_addr && !opts->firmware)
		return refuse(err, -EINVAL, "--firmware-address: needs --firmware");
	if (opts->hugetlbfs && opts->memfd)
		return refuse(err, -EINVAL, "--hugetlbfs: excludes --memfd");
	if (opts->hugetlbfs && opts->chroot)
		return refuse(err, -EINVAL, "--hugetlbfs: excludes --chroot");
	if (opts->net_trans & 1u << (opts->machine.virtio == VMM_VIRTIO_MMIO ?
				     VMM_VIRTIO_PCI : VMM_VIRTIO_MMIO))
		return refuse(err, -ENOTSUP,
			      "--network: trans: all devices have that of --virtio-transport");
	if ((flags & VMM_MACHINE_F_E2H0) && !(flags & VMM_MACHINE_F_NESTED))
		return refuse(err, -EINVAL, "--e2h0: needs --nested");
	if ((flags & VMM_MACHINE_F_NO_SVE) && opts->machine.sve_max_vl)
		return refuse(err, -EINVAL, "--no-sve: excludes --sve-max-vl");
	if ((flags & VMM_MACHINE_F_NO_SEED) && (flags & VMM_MACHINE_F_KASLR_SEED))
		return refuse(err, -EINVAL, "--no-seed: excludes --kaslr-seed");
	return check_ttys(opts, err);
}

static int parse(struct run_options *opts, int argc, char *const argv[], struct vmm_error *err)
{
	struct words words = { .argv = argv + 1, .left = argc - 1 };
	const char *operand = NULL;
	bool only_operands = false;

	memset(opts, 0, sizeof(*opts));
	opts->machine.size = sizeof(opts->machine);
	opts->log_level = VMM_LOG_INFO;
	err->msg[0] = '\0';

	while (words.left > 0) {
		const char *word = *words.argv++;
		int ret;

		words.left--;
		if (!only_operands && !strcmp(word, "--")) {
			only_operands = true;
			continue;
		}
		if (only_operands || word[0] != '-' || !word[1])
			ret = take_operand(&operand, word, err);
		else if (word[1] == '-')
			ret = parse_long(opts, word + 2, &words, err);
		else
			ret = parse_short(opts, word + 1, &words, err);
		if (ret || opts->help)
			return ret;
	}
	if (operand && opts->kernel)
		return refuse(err, -EINVAL, "%s: the kernel is %s already", operand,
			      opts->kernel);
	if (operand)
		opts->kernel = operand;
	settle_stdio(opts);
	return check(opts, err);
}

int options_parse(struct run_options *opts, int argc, char *const argv[],
		  struct vmm_error *err)
{
	int ret = parse(opts, argc, argv, err);

	if (ret)
		options_fini(opts);
	return ret;
}

void options_fini(struct run_options *opts)
{
	while (opts->nr_config)
		free(opts->config[--opts->nr_config]);
	free(opts->config);
	opts->config = NULL;
}

/* ---- What follows from them --------------------------------------------- */

/* Not the end of another parameter, such as nfsroot=. */
static bool has_root(const char *params)
{
	for (const char *p = params; (p = strstr(p, "root=")); p++) {
		if (p == params || p[-1] == ' ' || p[-1] == '\t' || p[-1] == '"')
			return true;
	}
	return false;
}

char *options_cmdline(const struct run_options *opts)
{
	const char *params = opts->params ? opts->params : "";
	int stdio = options_stdio_port(opts);
	char console[] = "ttyS0";
	const char *root;
	char *line;

	if (opts->nodefaults)
		return strdup(params);
	if (opts->initrd || has_root(params))
		root = "";
	else if (opts->root_fs)
		root = " root=" OPTIONS_ROOT_TAG " rootfstype=virtiofs rw";
	else
		root = " root=/dev/vda rw";
	if (stdio > 0)
		console[4] += (char)stdio;
	if (asprintf(&line, "console=%s%s%s%s", opts->hvc ? "hvc0" : console, root,
		     *params ? " " : "", params) < 0)
		return NULL;
	return line;
}

/* A host of unknown size is not a reason to refuse, hence 0 is no limit. */
uint64_t options_default_ram(uint32_t cpus, uint64_t host_ram)
{
	uint64_t size = 64 * MIB * ((uint64_t)cpus + 3);
	uint64_t most = host_ram / 5 * 4;

	if (most && size > most)
		size = most;
	return size & ~(MIB - 1);
}
