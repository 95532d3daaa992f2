/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * refuse.h - why something is not done, for whoever reports it
 */
#ifndef VMM_CLI_REFUSE_H
#define VMM_CLI_REFUSE_H

#include "vmm.h"

/* Put the text into @err, cut if it is too long, and return @error. */
__attribute__((format(printf, 3, 4)))
int refuse(struct vmm_error *err, int error, const char *fmt, ...);

#endif /* VMM_CLI_REFUSE_H */
