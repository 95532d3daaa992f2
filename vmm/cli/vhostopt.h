/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhostopt.h - the argument of --vhost-user, and the connection that it is for
 */
#ifndef VMM_CLI_VHOSTOPT_H
#define VMM_CLI_VHOSTOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "vmm.h"

#define VHOSTOPT_PATH	sizeof(((struct sockaddr_un *)0)->sun_path)	/* the longest, with its end */
#define VHOSTOPT_RECONNECT	3600	/* seconds, at most */

struct vhostopt {
	uint32_t		type;	/* enum vmm_vhost_user_type */
	uint32_t		queues;	/* 0: the library's default */
	uint32_t		reconnect; /* seconds between tries; 0: there is none */
	char			path[VHOSTOPT_PATH];	/* of its socket */
};

/*
 * KEY=VALUE with commas between them: type, socket, queues and reconnect.  Looks at nothing
 * of the host.  -EINVAL with the matter in @err.
 */
int vhostopt_parse(struct vhostopt *opt, const char *arg, struct vmm_error *err);

/*
 * Returns a connected socket, or a negative errno with its text in @err, of the option
 * @name.  @path is shorter than VHOSTOPT_PATH.  Who listens, and has many to accept already,
 * is waited for only with @wait.
 */
int vhostopt_connect(const char *path, bool wait, const char *name, struct vmm_error *err);

#endif /* VMM_CLI_VHOSTOPT_H */
