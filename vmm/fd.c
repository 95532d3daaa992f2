/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fd.c - descriptors: -1, or ours and CLOEXEC
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "vmm/fd.h"

int fd_dup(int fd)
{
	int saved = errno;
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int ret = new < 0 ? -errno : new;

	errno = saved;
	return ret;
}

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
