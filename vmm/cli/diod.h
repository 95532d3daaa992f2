/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diod.h - diod(8), in a root of its own
 */
#ifndef VMM_CLI_DIOD_H
#define VMM_CLI_DIOD_H

struct fsd;

/* Set its .user. */
void diod_user(struct fsd *fsd);

/* What a guest's every attach has to ask it for. */
const char *diod_aname(const struct fsd *fsd);

/*
 * In a child: become the diod that serves @fsd on descriptor @fd.  What goes wrong is said
 * on standard error.
 */
__attribute__((noreturn)) void diod_become(const struct fsd *fsd, int fd);

#endif
