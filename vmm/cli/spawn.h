/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.h - programs that work for us
 */
#ifndef VMM_CLI_SPAWN_H
#define VMM_CLI_SPAWN_H

#include <sys/types.h>

#define SPAWN_FD	3	/* what the descriptor handed over is there */

/*
 * Run argv[0], found by $PATH if it has no slash, in a process group of its own, so that
 * the keys of our terminal are not for it, with all signals as they are by default,
 * nothing to read, and @fd as SPAWN_FD unless that is -1.  0 or a negative errno.
 */
int spawn(pid_t *pid, const char *const argv[], int fd);

/* Run it and wait for its end: its status as waitpid() has it, or a negative errno. */
int spawn_wait(const char *const argv[]);

#endif /* VMM_CLI_SPAWN_H */
