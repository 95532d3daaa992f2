/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.h - take from a thread what it does not need
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include "vmm.h"

#include "vmm/types.h"

/* Does this kernel have filters? */
bool sandbox_possible(void);

/* The filter of @role on the calling thread, and no new privileges. */
int sandbox_filter(enum vmm_sandbox_role role, bool audit, struct vmm_error *err);

#endif
