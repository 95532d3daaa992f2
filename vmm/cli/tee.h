/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tee.h - the guest's output on its way to stdout, for who wants to read along
 */
#ifndef VMM_CLI_TEE_H
#define VMM_CLI_TEE_H

#include <poll.h>
#include <stddef.h>

#define TEE_CHUNK	4096

struct tee {
	int	rd;		/* -1: there is none */
	int	wr;		/* for the guest's console to write */
	int	out_fd;		/* borrowed */
	size_t	start;		/* of what .out_fd has not taken yet */
	size_t	len;
	char	buf[TEE_CHUNK];
};

/* tee_close() may be called after either. */
void tee_clear(struct tee *tee);
int tee_open(struct tee *tee, int out_fd);
void tee_close(struct tee *tee);

/*
 * What to poll for.  When it comes, tee_pump() moves output, and returns how many
 * bytes at .buf are new.
 */
struct pollfd tee_poll(const struct tee *tee);
size_t tee_pump(struct tee *tee);

#endif /* VMM_CLI_TEE_H */
