/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - the command line of "vmm run", as a struct
 *
 * Nothing here looks at the host: what depends on it is left zero, and decided
 * by who runs the VM.
 */
#ifndef VMM_CLI_OPTIONS_H
#define VMM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

#include "vmm/cli/expect.h"

#define OPTIONS_SERIAL_PORTS	4
#define OPTIONS_DISKS		24	/* vmm.h, vmm_add_disk() */
#define OPTIONS_NETS		8
#define OPTIONS_VHOSTS		8
#define OPTIONS_PORTS		VMM_MAX_PORTS

/* Whatever has an end at the host's: serial ports, the virtio-console, and named ports. */
#define OPTIONS_HVC		OPTIONS_SERIAL_PORTS
#define OPTIONS_FIRST_PORT	(OPTIONS_HVC + 1)
#define OPTIONS_TTYS		(OPTIONS_FIRST_PORT + OPTIONS_PORTS)

/* Of --disk: parts of one string of argv, not terminated. */
struct disk_option {
	const char	*path;
	int		path_len;
	const char	*serial;	/* NULL: none */
	int		serial_len;
	const char	*sandbox;	/* a directory's, see fs_option */
	int		sandbox_len;
	bool		ro;
	bool		direct;
	uint32_t	queues;		/* 0: the library's default */
};

/* Unless it was asked for, a host without what it takes is no reason to refuse. */
enum sandbox { SANDBOX_AUTO, SANDBOX_ON, SANDBOX_OFF, SANDBOX_AUDIT };

#define OPTIONS_FS		8
#define OPTIONS_OVERLAYS	VMM_MAX_OVERLAYS

/* Of --fs and --9p: parts of one string of argv, not terminated. */
struct fs_option {
	const char	*dir;
	int		dir_len;
	const char	*tag;
	int		tag_len;
	const char	*sandbox;	/* NULL: virtiofsd's default */
	int		sandbox_len;
	bool		ro;
	bool		p9;		/* by 9P and diod */
};

/* What it is connected to. */
enum tty_kind {
	TTY_NOTHING,
	TTY_STDIO,
	TTY_PTY,
	TTY_FILE,
	TTY_SOCKET,
};

struct tty_option {
	enum tty_kind	kind;
	const char	*path;		/* of a file or a socket */
	const char	*name;		/* of a named port: part of a string of argv, not terminated */
	int		name_len;
};

/* Of a directory that is the guest's root. */
#define OPTIONS_ROOT_TAG	"rootfs"

/* Strings are those of argv, or of a file that is part of it. */
struct run_options {
	bool		help;		/* asked for; nothing else counts then */
	bool		nodefaults;
	bool		no_reboot;
	bool		memfd;
	bool		spe;
	bool		log_json;
	bool		has_config;
	bool		rng;
	bool		hvc;		/* the guest's console is a virtio-console */
	bool		balloon;
	int		log_level;	/* enum vmm_log_level */
	uint32_t	cpus;		/* 0: as many as are online */
	uint32_t	io_threads;	/* 0: the library's default */
	uint32_t	on_no_cpu;	/* enum vmm_no_cpu */
	enum sandbox	sandbox;
	uint32_t	timeout;	/* seconds; 0: none */
	uint32_t	nr_expect;
	uint32_t	nr_disks;
	uint32_t	nr_fs;
	uint32_t	nr_overlays;
	bool		root_fs;	/* the last of them is the guest's root */
	uint32_t	vsock_cid;	/* 0: none */
	uint32_t	nr_nets;
	uint32_t	net_trans;	/* bit N: of enum vmm_virtio_transport, by --network */
	uint64_t	ram_size;	/* 0: options_default_ram() */
	uint64_t	ram_base;	/* 0: the library's default */
	uint64_t	vm_flags;	/* VMM_F_* */
	uint64_t	balloon_flags;	/* VMM_BALLOON_F_* */
	uint64_t	balloon_size;	/* bytes to begin with */
	uint64_t	firmware_addr;	/* 0: the start of RAM */
	const char	*name;		/* NULL: guest-PID */
	const char	*kernel;
	const char	*initrd;
	const char	*firmware;
	const char	*flash;		/* FILE or FILE,ro */
	const char	*params;
	const char	*dev;		/* NULL: the library's default */
	const char	*hugetlbfs;
	const char	*affinity;
	const char	*dump_dtb;
	const char	*pidfile;
	const char	*user;		/* NULL: who started it */
	const char	*chroot;
	int		ready_fd;	/* 0: none */
	char		**config;	/* words of --config */
	size_t		nr_config;
	const char	*spe_arg;	/* of speopt_parse(); NULL: none */
	const char	*expect[EXPECT_MAX];
	const char	*overlays[OPTIONS_OVERLAYS];
	struct tty_option ttys[OPTIONS_TTYS];
	uint32_t	nr_ports;	/* that have a name */
	struct disk_option disks[OPTIONS_DISKS];
	struct fs_option fs[OPTIONS_FS];
	const char	*nets[OPTIONS_NETS];	/* of netopt_parse() */
	uint32_t	nr_vhosts;
	const char	*vhosts[OPTIONS_VHOSTS];	/* of vhostopt_parse() */
	struct vmm_machine_config machine;
};

/*
 * argv[0] is the command's name.  0, or -EINVAL with what is wrong in @err, or
 * -ENOTSUP for what kvmtool has and this version does not.
 */
int options_parse(struct run_options *opts, int argc, char *const argv[],
		  struct vmm_error *err);

/* To be called if options_parse() returned 0. */
void options_fini(struct run_options *opts);

/* The serial port that stdin and stdout are, or -1. */
int options_stdio_port(const struct run_options *opts);

/* Are stdin and stdout the virtio-console? */
bool options_stdio_hvc(const struct run_options *opts);

/* How the user has called row @i of .ttys. */
#define OPTIONS_TTY_NAME	96
void options_tty_name(const struct run_options *opts, unsigned int i, char *name);

/* The kernel's command line, to be freed; NULL if there is no memory. */
char *options_cmdline(const struct run_options *opts);

/* kvmtool's choice: 64 MiB a vCPU and 192 more, at most 80 % of the host's. */
uint64_t options_default_ram(uint32_t cpus, uint64_t host_ram);

/* The option table, to print: row @index, or false behind the last. */
struct option_text {
	const char	*heading;	/* not an option; the rest is NULL */
	const char	*name;
	const char	*arg;		/* NULL: takes none */
	const char	*help;		/* lines of at most 49 columns */
	char		letter;		/* 0: none */
	bool		may;		/* the argument may be left out */
};
bool options_text(size_t index, struct option_text *text);

#endif /* VMM_CLI_OPTIONS_H */
