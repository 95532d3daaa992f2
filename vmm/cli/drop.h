/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drop.h - become another user, in another root directory
 */
#ifndef VMM_CLI_DROP_H
#define VMM_CLI_DROP_H

#include <sys/types.h>

#include "vmm.h"

struct drop {
	const char	*root;		/* NULL: the one that there is */
	const char	*user;		/* as it was said; NULL: the same */
	uid_t		uid;
	gid_t		gid;
};

/*
 * Find out who @user is: a name of @passwd, /etc/passwd unless it is NULL, or numbers,
 * "UID" or "UID:GID".  -EINVAL, with @err.
 */
int drop_find(struct drop *drop, const char *root, const char *user, const char *passwd,
	      struct vmm_error *err);

/* For good, before there are threads.  A negative errno with @err: no longer what it was. */
int drop_enter(const struct drop *drop, struct vmm_error *err);

#endif /* VMM_CLI_DROP_H */
