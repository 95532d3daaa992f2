/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error.h - the text of a failure, made where the failure is understood
 */
#ifndef VMM_ERROR_H
#define VMM_ERROR_H

#include <errno.h>

#include "vmm.h"

#include "vmm/types.h"

/*
 * Put the text, "object: matter", into @err (which may be NULL) and return
 * @ret, so that a failing function ends in one line.
 */
int error_set(struct vmm_error *err, int ret, const char *fmt, ...) PRINTF(3, 4);

/* The same with ": strerror(-ret)" at the end. */
int error_sys(struct vmm_error *err, int ret, const char *fmt, ...) PRINTF(3, 4);

/* In a public call: errno is left alone. */
static inline void error_restore_errno(const int *saved)
{
	errno = *saved;
}
#define KEEP_ERRNO() \
	int saved_errno __attribute__((cleanup(error_restore_errno), unused)) = errno

#endif
