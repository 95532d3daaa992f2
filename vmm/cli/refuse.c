/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * refuse.c - why something is not done, for whoever reports it
 */
#include "vmm/cli/refuse.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(struct vmm_error *err, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return error;
}
