/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockdir.h - the directory in which running guests have their control sockets
 */
#ifndef VMM_CLI_SOCKDIR_H
#define VMM_CLI_SOCKDIR_H

#include <stdbool.h>
#include <stddef.h>

#define SOCKDIR_SUFFIX	".sock"

struct sockaddr_un;

struct sockdir {
	int	fd;
	char	path[128];
};

/*
 * Open $XDG_RUNTIME_DIR/vmm or, without that variable, root's /run/vmm; with @make,
 * make it if it is not there.  -ENOENT: there is none, and if .path is empty no
 * place for one; -EPERM: others than this user may have put something into it.
 */
int sockdir_open(struct sockdir *dir, bool make);
void sockdir_close(struct sockdir *dir);

/* Keep others from adding and removing. */
int sockdir_lock(const struct sockdir *dir);
void sockdir_unlock(const struct sockdir *dir);

/* -ENAMETOOLONG if it does not fit, as addresses of sockets are short. */
int sockdir_address(const struct sockdir *dir, const char *name, struct sockaddr_un *addr);

/* A connection to the guest of that name.  -ECONNREFUSED: it is dead; -ENOENT. */
int sockdir_connect(const struct sockdir *dir, const char *name, int timeout_ms);

/*
 * With the lock held: remove the socket of a guest that died without doing so.
 * True if it lives.
 */
bool sockdir_bury(const struct sockdir *dir, const char *name);

/*
 * The names of all guests that live, in order, ended by NULL, in one piece to be
 * freed; NULL with errno if they cannot be told.  Takes the lock.
 */
char **sockdir_living(const struct sockdir *dir);

#endif /* VMM_CLI_SOCKDIR_H */
