/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapif.h - a tap interface of the host's
 */
#ifndef VMM_CLI_TAPIF_H
#define VMM_CLI_TAPIF_H

#include "vmm/cli/netopt.h"

#define TAPIF_NAME	16	/* IFNAMSIZ */

/*
 * The interface that @opt describes, for vmm_add_net(): the one that is there, or a new
 * one, with the name in @name, up and with an address or as its script has made it.  Its
 * descriptors, opt.queues of them, are in @fds, upon failure too those that are not negative.
 */
int tapif_open(const struct netopt *opt, int *fds, char *name, struct vmm_error *err);

/* At the end, before the descriptor is closed. */
void tapif_down(const struct netopt *opt, const char *name);

#endif /* VMM_CLI_TAPIF_H */
