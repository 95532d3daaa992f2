/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdcons.h - stdin and stdout as the guest's first console
 */
#ifndef VMM_CLI_STDCONS_H
#define VMM_CLI_STDCONS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "vmm/cli/keys.h"

#define STDCONS_CHUNK	4096

enum stdcons_state {
	STDCONS_OPEN,		/* stdin is read */
	STDCONS_AWAY,		/* ... by another job, which has the terminal */
	STDCONS_ENDED,		/* end of file */
};

struct stdcons {
	enum stdcons_state state;
	bool		is_terminal;
	int		pipe_rd;	/* for the guest's console to read; -1: no more input */
	int		pipe_wr;
	int		out_fd;		/* for the guest's console to write, while it is made */
	int		away_fd;	/* epoll, see stdcons.c; -1 if never away */
	struct keys	keys;
	size_t		start;		/* of what the pipe has not taken yet */
	size_t		len;
	char		buf[STDCONS_CHUNK];
};

/* stdcons_fini() may be called after either. */
void stdcons_clear(struct stdcons *cons);
int stdcons_init(struct stdcons *cons);
void stdcons_fini(struct stdcons *cons);

/* .out_fd, which is of use only until the guest has a duplicate. */
void stdcons_open_out(struct stdcons *cons);
void stdcons_close_out(struct stdcons *cons);

/* The guest gets the terminal; also after a SIGCONT. */
void stdcons_enter(struct stdcons *cons);
void stdcons_leave(struct stdcons *cons);

/* What to poll for.  When it comes, stdcons_pump() moves input: KEYS_*. */
struct pollfd stdcons_poll(const struct stdcons *cons);
unsigned int stdcons_pump(struct stdcons *cons);

#endif /* VMM_CLI_STDCONS_H */
