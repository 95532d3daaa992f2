/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conssock.h - a unix socket of the host for a serial port
 */
#ifndef VMM_CLI_CONSSOCK_H
#define VMM_CLI_CONSSOCK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vmm.h"

#define CONSSOCK_BACKLOG	16384	/* bytes of output that are kept for a client, at least */
#define CONSSOCK_CHUNK		4096
#define CONSSOCK_FDS		2

struct conssock {
	int		guest_fd;	/* for the guest's console to read and write; -1: none */
	int		fd;		/* its other end */
	int		listen_fd;	/* -1: nobody is accepted any more */
	int		client;		/* -1: nobody is attached */
	bool		deaf;		/* the client takes no more output */
	const char	*path;		/* borrowed */
	dev_t		dev;		/* of the socket's file */
	ino_t		ino;
	size_t		in_len;		/* what the guest has not taken yet */
	size_t		in_start;
	size_t		out_len;	/* what no client has taken yet */
	char		*in;		/* CONSSOCK_CHUNK, while it is open; */
	char		*out;		/* ... and behind it CONSSOCK_BACKLOG + CONSSOCK_CHUNK */
};

/* conssock_close() may be called after either; it removes the file, if it is ours still. */
void conssock_clear(struct conssock *cons);
int conssock_open(struct conssock *cons, const char *path, struct vmm_error *err);
void conssock_close(struct conssock *cons);

/* What to poll for, CONSSOCK_FDS of them.  When any comes, conssock_serve() moves bytes. */
void conssock_poll(const struct conssock *cons, struct pollfd *fds);
void conssock_serve(struct conssock *cons);

#endif /* VMM_CLI_CONSSOCK_H */
