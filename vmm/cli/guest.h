/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - the VM that the options of "vmm run" describe
 *
 * What is opened once for all its boots is apart from what each boot makes.
 * Calls that return an enum status have said on stderr why it is not 0.
 */
#ifndef VMM_CLI_GUEST_H
#define VMM_CLI_GUEST_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/cli/consend.h"
#include "vmm/cli/fsd.h"
#include "vmm/cli/helper.h"
#include "vmm/cli/nets.h"
#include "vmm/cli/options.h"
#include "vmm/cli/report.h"
#include "vmm/cli/speopt.h"
#include "vmm/cli/vhosts.h"

#define VSOCK_DEVICE	"/dev/vhost-vsock"
#define GUEST_FDS	(OPTIONS_FS + VHOSTS_MAX + 1 + OPTIONS_TTYS * CONSSOCK_FDS)

struct guest {
	const struct run_options *opts;
	struct report	report;
	struct vmm	*vm;		/* NULL between boots */
	uint32_t	cpus;
	uint64_t	ram_size;
	uint64_t	host_ram;	/* 0: unknown */
	int		image_fd;	/* kernel or firmware */
	int		initrd_fd;
	int		flash_fd;
	bool		flash_readonly;
	int		kvm_fd;
	int		dtb_fd;		/* until it is written */
	int		disk_fds[OPTIONS_DISKS];
	int		overlay_fds[OPTIONS_OVERLAYS];
	struct vhosts	vhosts;
	bool		made_dtb;	/* there was no such file before */
	bool		started;	/* once at least */
	bool		confined;	/* in the sandbox */
	char		*cmdline;
	struct speopt	spe;
	struct helper	helper;		/* with .fsds and .vhosts */
	struct fsd	fsds[OPTIONS_FS];
	struct consend	ends[OPTIONS_TTYS];	/* of .opts->ttys */
	uint32_t	open_ports;	/* bit n: the guest is told that somebody is at named port n */
	struct nets	nets;
	char		name[80];
};

/* guest_close() may be called after it, whatever it returned. */
int guest_open(struct guest *guest, const struct run_options *opts);
void guest_close(struct guest *guest);

/* The console that stdin and stdout are, if any, reads @in_fd unless that is -1, and writes @out_fd. */
int guest_build(struct guest *guest, int in_fd, int out_fd);
int guest_start(struct guest *guest);

/* Raise the limit that the VM meets, if this process may. */
bool guest_raise_limit(const struct guest *guest);
void guest_allow_raises(void);

/*
 * Processes that serve the guest's devices and sockets of its consoles and ports: what to
 * poll for, at most GUEST_FDS, and how many that is, and until when, in milliseconds from
 * now, -1 for ever; and then what to do about it.
 */
unsigned int guest_poll(const struct guest *guest, struct pollfd *fds);
int guest_timeout(const struct guest *guest);
void guest_serve(struct guest *guest);

/* Back to before guest_build(). */
void guest_destroy(struct guest *guest);

#endif /* VMM_CLI_GUEST_H */
