/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ready.h - who supervises us: which process this is, and when its guest runs
 */
#ifndef VMM_CLI_READY_H
#define VMM_CLI_READY_H

#include <stdbool.h>
#include <sys/types.h>

#include "vmm.h"

struct ready {
	int		fd;		/* to be told; -1: none, or it was */
	int		notify;		/* a socket to systemd; -1: none */
	int		pidfile;	/* -1: none */
	const char	*path;		/* ... of it */
	bool		told;
};

/* ready_end() may be called after either. */
void ready_clear(struct ready *ready);

/*
 * Before the sandbox is entered: @fd is -1 or to be told, @pidfile NULL or a file to
 * make.  $NOTIFY_SOCKET is looked at too, sd_notify(3), and nobody there is no error.
 * -EINVAL, -EBUSY if a process that lives has the file, or its errno.
 */
int ready_begin(struct ready *ready, int fd, const char *pidfile, struct vmm_error *err);

/* The guest runs; once.  To @fd, and to systemd if that is who started us. */
void ready_tell(struct ready *ready);
void ready_end(struct ready *ready);

#endif /* VMM_CLI_READY_H */
