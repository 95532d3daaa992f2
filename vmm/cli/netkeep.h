/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netkeep.h - a process beside us that starts passt(1) and watches over it
 *
 * We give up the right to start programs before the guest runs.  Who keeps it is forked
 * before, has no descriptor of ours but one end of a connection, and ends with it,
 * however we end: then it ends each passt and runs the scripts that are for the end.
 */
#ifndef VMM_CLI_NETKEEP_H
#define VMM_CLI_NETKEEP_H

#include <sys/types.h>

#include "vmm/cli/netopt.h"
#include "vmm/cli/options.h"
#include "vmm/cli/passt.h"
#include "vmm/cli/tapif.h"

/* A card, as the one who keeps it knows it. */
struct netkeep_card {
	const struct netopt	*opt;
	const char		*name;		/* of a tap interface */
	bool			passt;		/* wants one */
};

struct netkeep {
	pid_t		pid;			/* 0: there is none */
	int		fd;			/* or -1 */
	uint32_t	boot;
};

/* What has happened to a card. */
struct netkeep_news {
	uint32_t	boot;
	uint32_t	card;
	int		error;			/* 0: passt runs, and here is a connection */
	char		msg[VMM_MSG_SIZE];	/* otherwise: why it does not, or not any more */
};

int netkeep_start(struct netkeep *keep, const struct netkeep_card *cards, unsigned int nr);

/* End it and wait for that; does nothing if there is none. */
void netkeep_stop(struct netkeep *keep);

/* Start every passt anew: news of each follow. */
int netkeep_boot(struct netkeep *keep);

/*
 * The next news of this boot, with the connection in @fd or -1: 1, 0 if there is none
 * and @wait is false, or a negative errno if who keeps it has gone.
 */
int netkeep_next(struct netkeep *keep, struct netkeep_news *news, int *fd, bool wait);

#endif /* VMM_CLI_NETKEEP_H */
