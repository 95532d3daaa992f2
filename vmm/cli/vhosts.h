/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhosts.h - connections to other processes that serve devices, and the disks among those
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

#define VHOSTS_MAX	(OPTIONS_VHOSTS + OPTIONS_NETS)

struct vhost {
	const char	*option;	/* that asks for it */
	char		path[VHOSTOPT_PATH];
	uint32_t	reconnect;	/* seconds between tries; 0: there is none */
	int		fd;		/* -1: there is none at the time */
	int		device;		/* its index in the VM */
	uint64_t	next_ms;	/* when to try again */
	char		said[VMM_MSG_SIZE];	/* against the last that was tried */
	bool		returned;	/* another is there, and nobody was told yet */
};

struct vhosts {
	uint32_t	nr;
	struct vhost	list[VHOSTS_MAX];
	uint32_t	nr_disks;	/* the first of them */
	struct vhostopt	disks[OPTIONS_VHOSTS];
};

void vhosts_clear(struct vhosts *v);
/* The first connections, of the disks.  Returns an errno with its text in @err. */
int vhosts_open(struct vhosts *v, const struct run_options *opts, struct vmm_error *err);
/* One more, behind them, of what @option asks for: its number, or an errno likewise. */
int vhosts_connect(struct vhosts *v, const char *path, uint32_t reconnect, const char *option,
		   struct vmm_error *err);
void vhosts_close(struct vhosts *v);

/* Is there one that is connected anew? */
bool vhosts_reconnect(const struct vhosts *v);

/*
 * For each boot, each connection is begun anew: connection @i to make a device of, whose
 * index is to be kept in .device then, or an errno; and all disks.
 */
int vhosts_take(struct vhosts *v, uint32_t i, struct helper *h, struct vmm_error *err);
int vhosts_add(struct vhosts *v, struct vmm *vm, struct helper *h, struct vmm_error *err);

/* What to poll for, VHOSTS_MAX at most, and for how long, in milliseconds; -1: for ever. */
unsigned int vhosts_poll(const struct vhosts *v, struct pollfd *fds);
int vhosts_timeout(const struct vhosts *v);
void vhosts_serve(struct vhosts *v, struct vmm *vm, struct helper *h, const struct report *report);

/* One that was connected anew, each time once; or NULL. */
const struct vhost *vhosts_returned(struct vhosts *v);

/* Is its process there, as far as the connection tells? */
bool vhost_is_there(const struct vhost *one);

#endif /* VMM_CLI_VHOSTS_H */
