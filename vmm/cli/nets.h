/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nets.h - the guest's network cards, and who is behind them
 *
 * Tap interfaces, and connections to vhost-user backends, are for all boots of a guest;
 * each boot has a passt of its own for each card that wants one.  One that ends is reported
 * and started again, and the guest goes on meanwhile with the link down.
 */
#ifndef VMM_CLI_NETS_H
#define VMM_CLI_NETS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/cli/netkeep.h"
#include "vmm/cli/netopt.h"
#include "vmm/cli/options.h"
#include "vmm/cli/report.h"
#include "vmm/cli/tapif.h"
#include "vmm/cli/vhosts.h"

struct net {
	struct netopt	opt;
	char		name[TAPIF_NAME];	/* of a tap interface */
	/* For all boots: one of each for a pair of queues, or -1. */
	int		fds[VMM_NET_QUEUES];	/* tap or fd=N */
	int		vhost_fds[VMM_NET_QUEUES];
	uint32_t	index;			/* the device's */
	uint32_t	vhost;			/* vhost-user: which of the connections */
};

struct nets {
	struct net	net[OPTIONS_NETS];
	unsigned int	nr;
	struct netkeep_card cards[OPTIONS_NETS];
	struct netkeep	keep;
	struct vhosts	*vhosts;
};

/*
 * What the options ask for, before the sandbox; connections to vhost-user backends are
 * added to @vhosts, which has to stay.  nets_close() may be called after it, and on zeros.
 */
int nets_open(struct nets *nets, const struct run_options *opts, struct vhosts *vhosts,
	      struct vmm_error *err);
void nets_close(struct nets *nets);

/* Does another process have to have the guest's RAM? */
bool nets_share_ram(const struct nets *nets);

/* For a VM that is NEW. */
int nets_add(struct nets *nets, struct vmm *vm, struct helper *h, struct vmm_error *err);

/* What to poll for POLLIN, or -1; and what to do then. */
int nets_fd(const struct nets *nets);
void nets_serve(struct nets *nets, struct vmm *vm, const struct report *report);

#endif /* VMM_CLI_NETS_H */
