/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * helper.h - a process that starts virtiofsds and diods, and connects, for one that may not
 *
 * "vmm run" gives up, before it builds a guest, the right to start processes.  The helper
 * was made before, and has it still: asked by a number, it starts the virtiofsd of that
 * number, or connects to the socket of that number, as the command line had it, and
 * nothing else.  It ends with its maker.
 */
#ifndef VMM_CLI_HELPER_H
#define VMM_CLI_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vmm.h"

struct fsd;
struct vhosts;

struct helper {
	pid_t	pid;		/* 0: there is none */
	int	fd;
};

void helper_clear(struct helper *h);

/* While the process has one thread.  0, or -1 with errno. */
int helper_open(struct helper *h, struct fsd *fsds, unsigned int nr, struct vhosts *vhosts);
void helper_close(struct helper *h);

/*
 * What fsd.h has, done there to number @i: returns the connected socket.  @pid_fd is
 * readable when that virtiofsd has ended, until somebody hears of it; @again: it may be
 * started once more.
 */
int helper_start(struct helper *h, unsigned int i, int *pid_fd, struct vmm_error *err);
void helper_stop(struct helper *h, unsigned int i, int *pid_fd);
bool helper_ended(struct helper *h, unsigned int i, int *pid_fd, char *how, size_t size, bool *again);

/* To the socket of device @i of @vhosts: it, or a negative errno with its text in @err. */
int helper_connect(struct helper *h, unsigned int i, struct vmm_error *err);

#endif /* VMM_CLI_HELPER_H */
