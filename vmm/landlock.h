/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * landlock.h - no file but those that are named
 */
#ifndef VMM_LANDLOCK_H
#define VMM_LANDLOCK_H

#include "vmm.h"

#include "vmm/types.h"

/* The kernel's version of Landlock; 0: it has none, or it is off. */
int landlock_version(void);

/*
 * The calling thread, which has no_new_privs, opens nothing but what is in @lists, of
 * @nrs paths each.  Does nothing where there is no Landlock.
 */
int landlock_restrict(const struct vmm_sandbox_path *const lists[], const size_t nrs[],
		      size_t nr_lists, struct vmm_error *err);

#endif
