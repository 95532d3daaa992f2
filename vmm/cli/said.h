/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * said.h - what a program says on its standard error, passed on to ours within bounds
 *
 * A guest can make who serves it complain: 10 lines in 5 seconds are passed on, and how many
 * were left out.  Nothing here waits, neither for the program nor for who reads our own.
 */
#ifndef VMM_CLI_SAID_H
#define VMM_CLI_SAID_H

#include <stdbool.h>
#include <stdint.h>

#define SAID_BURST	10
#define SAID_WINDOW_MS	5000
#define SAID_LINE	512

struct said {
	int		fd;		/* that it is read from; -1: none */
	uint64_t	begun_ms;	/* of the window */
	unsigned int	nr_lines;	/* in it */
	unsigned int	nr_left_out;
	unsigned int	len;		/* of the line that is not at its end; what is longer is cut */
	bool		passes;		/* ... and is passed on */
};

/* Nothing is open. */
void said_clear(struct said *s);

/* Begin: the descriptor, close-on-exec, that the program is to write to, or a negative errno. */
int said_begin(struct said *s);

/* Take some of what there is; @who says it, "--fs /srv: virtiofsd". */
void said_take(struct said *s, const char *who);

/* Take what there is, and close it. */
void said_end(struct said *s, const char *who);

#endif /* VMM_CLI_SAID_H */
