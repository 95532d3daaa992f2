/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the control socket of a running guest: lines in, lines out
 *
 * It is served by whoever polls: nothing here blocks, whatever a peer does or
 * does not do.  What the lines say is not known here.
 */
#ifndef VMM_CLI_CONTROL_H
#define VMM_CLI_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm.h"

#include "vmm/cli/sockdir.h"

#define CONTROL_LINE	4096	/* the longest request, with its newline */
#define CONTROL_PEERS	32	/* one more, and the one that is idle longest has to go */
#define CONTROL_BACKLOG	(1u << 20)	/* bytes of news for a follower that does not read */
#define CONTROL_FDS	(1 + CONTROL_PEERS)

struct control_peer {
	int		fd;		/* -1: free */
	bool		ended;		/* nothing more comes; close when all is sent */
	bool		follows;	/* ... but for one that wants the news */
	bool		lost;		/* too much news: to be closed */
	uint64_t	last;		/* of .clock, when it was heard */
	size_t		len;		/* in .in */
	char		*out;		/* what is to be sent, NULL: nothing */
	size_t		out_len;
	size_t		sent;
	char		*in;		/* a line's room */
};

struct control {
	int		fd;		/* -1: there is no socket */
	char		name[80];
	dev_t		dev;		/* of the socket's file */
	ino_t		ino;
	uint64_t	clock;		/* counts what is heard */
	/*
	 * The answer to a request, with a newline, to be freed; NULL: no memory.
	 * Who asks is sent what control_tell() tells once it has set @follows.
	 */
	char		*(*answer)(void *arg, const char *line, size_t len, bool *follows);
	void		*arg;
	struct control_peer peers[CONTROL_PEERS];
	/* Apart from them: memory that is not used is none. */
	char		in[CONTROL_PEERS][CONTROL_LINE];
};

/* control_close() may be called after either. */
void control_clear(struct control *control);

/*
 * -EEXIST: a guest of that name is running; any other failure: it will do without,
 * and @err says why.
 */
int control_open(struct control *control, const char *name, struct vmm_error *err);
void control_close(struct control *control);

/*
 * Fill in all CONTROL_FDS of @fds and return how many, from the first one on, are to
 * be polled; and what to do when that has been done.
 */
nfds_t control_poll(const struct control *control, struct pollfd *fds);
void control_serve(struct control *control, const struct pollfd *fds);

/* News for all who follow: lines, each with its newline. */
void control_tell(struct control *control, const char *lines);

#endif /* VMM_CLI_CONTROL_H */
