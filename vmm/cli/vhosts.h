/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhosts.h - devices that other processes serve, and the connections to those
 *
 * One that has "reconnect" is connected anew, as often as it says, when its process has
 * gone; by the helper, as this process may connect to nothing once it is confined.
 */
#ifndef VMM_CLI_VHOSTS_H
#define VMM_CLI_VHOSTS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm.h"

#include "vmm/cli/options.h"
#include "vmm/cli/vhostopt.h"

struct helper;
struct report;

struct vhost {
	struct vhostopt	opt;
	int		fd;		/* -1: there is none at the time */
	int		device;		/* its index in the VM */
	uint64_t	next_ms;	/* when to try again */
	char		said[VMM_MSG_SIZE];	/* against the last that was tried */
};

struct vhosts {
	uint32_t	nr;
	struct vhost	list[OPTIONS_VHOSTS];
};

void vhosts_clear(struct vhosts *v);
/* The first connections.  Returns an errno with its text in @err. */
int vhosts_open(struct vhosts *v, const struct run_options *opts, struct vmm_error *err);
void vhosts_close(struct vhosts *v);

/* Is there one that is connected anew? */
bool vhosts_reconnect(const struct vhosts *v);

/* For each boot: each connection is begun anew. */
int vhosts_add(struct vhosts *v, struct vmm *vm, struct helper *h, struct vmm_error *err);

/* What to poll for, OPTIONS_VHOSTS at most, and for how long, in milliseconds; -1: for ever. */
unsigned int vhosts_poll(const struct vhosts *v, struct pollfd *fds);
int vhosts_timeout(const struct vhosts *v);
void vhosts_serve(struct vhosts *v, struct vmm *vm, struct helper *h, const struct report *report);

#endif /* VMM_CLI_VHOSTS_H */
