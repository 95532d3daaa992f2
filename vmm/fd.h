/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fd.h - descriptors: -1, or ours and CLOEXEC
 */
#ifndef VMM_FD_H
#define VMM_FD_H

/* A CLOEXEC duplicate of a descriptor we were lent, or a negative errno. */
int fd_dup(int fd);

/* Close @fd unless it is -1, and make it -1.  errno is as before. */
void fd_close(int *fd);

#endif
