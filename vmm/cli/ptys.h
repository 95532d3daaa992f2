/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptys.h - a pseudo-terminal of the host for a serial port
 */
#ifndef VMM_CLI_PTYS_H
#define VMM_CLI_PTYS_H

struct pty {
	int		fd;	/* our side, non-blocking */
	int		peer;	/* the user's side, see ptys.c */
	unsigned int	number;	/* it is /dev/pts/NUMBER */
};

/* A negative errno on failure; @pty is good for pty_close() in any case. */
int pty_open(struct pty *pty);
void pty_close(struct pty *pty);

#endif /* VMM_CLI_PTYS_H */
