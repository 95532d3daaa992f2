/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * whom.h - the guests that a command is for
 *
 * As kvmtool's users name them, "-n NAME" and "--all", or by their names alone.
 */
#ifndef VMM_CLI_WHOM_H
#define VMM_CLI_WHOM_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/cli/sockdir.h"

/* What one command has besides: sets .flag, or .value to its argument. */
struct whom_option {
	char		letter;		/* 0: none */
	const char	*name;		/* NULL: behind the last */
	bool		*flag;
	const char	**value;
};

struct whom {
	const char	*command;
	char		**names;
	int		nr;
	bool		all;
	bool		json;
	bool		help;		/* asked for; nothing else counts then */
	struct sockdir	dir;
	char		**living;	/* what .names is, if it is not argv */
};

/* Options and names, of which argv keeps the names alone.  An enum status. */
int whom_parse(struct whom *whom, const struct whom_option *options, int argc, char **argv);

/*
 * Open the directory, and find out who is meant if that is not said: with @lone the
 * only one that runs.  An enum status; whom_close() may be called after any.
 */
int whom_open(struct whom *whom, bool lone);
void whom_close(struct whom *whom);

/* Find the guests that were parsed, ask each, and print what they answer under --json. */
int whom_send(struct whom *whom, const char *request);

/* All of a command that sends each of its guests one request, of no other words. */
int whom_tell(int argc, char **argv, const char *request, void (*help)(void));

/* What their help says of it. */
#define WHOM_HELP							\
	"  -a, --all          all guests of this user that are running\n"	\
	"  -n, --name NAME    this guest, as does NAME alone\n"

#endif /* VMM_CLI_WHOM_H */
