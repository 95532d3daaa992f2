/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * closefd.h - close a descriptor that there may be
 */
#ifndef VMM_CLI_CLOSEFD_H
#define VMM_CLI_CLOSEFD_H

#include <unistd.h>

/* -1, which *@fd is afterwards, is none. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif /* VMM_CLI_CLOSEFD_H */
