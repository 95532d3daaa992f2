/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error.c - the text of a failure
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/error.h"

int error_set(struct vmm_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return ret;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return ret;
}

int error_sys(struct vmm_error *err, int ret, const char *fmt, ...)
{
	const char *why = strerrordesc_np(-ret);
	va_list ap;
	int len;

	if (!err)
		return ret;
	va_start(ap, fmt);
	len = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(err->msg))
		return ret;
	if (why)
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", why);
	else
		snprintf(err->msg + len, sizeof(err->msg) - len, ": error %d", -ret);
	return ret;
}
