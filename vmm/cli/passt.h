/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passt.h - passt(1) at work for a guest's network card
 */
#ifndef VMM_CLI_PASST_H
#define VMM_CLI_PASST_H

#include <sys/types.h>

#include "vmm/cli/netopt.h"

#define PASST_MTU	65520	/* what it takes and tells by itself */

struct passt {
	pid_t	pid;		/* 0: it does not run */
	int	pidfd;		/* readable when it has ended; -1 */
};

/* Start it; @fd is our end of the connection, the caller's from then on. */
int passt_start(struct passt *passt, const struct netopt *opt, int *fd, struct vmm_error *err);

/* It has ended: why, in words. */
void passt_reap(struct passt *passt, char *why, size_t size);

/* End it; does nothing if it does not run. */
void passt_stop(struct passt *passt);

#endif /* VMM_CLI_PASST_H */
