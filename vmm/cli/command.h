/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - what a command of the program is
 *
 * A command is a file cmd_NAME.c that defines command_NAME, and its row below.
 */
#ifndef VMM_CLI_COMMAND_H
#define VMM_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct command {
	const char	*name;
	const char	*summary;	/* its line in "vmm --help" */
	/* argv[0] is the command's name.  Returns an enum status. */
	int		(*run)(int argc, char **argv);
	void		(*help)(void);	/* to stdout */
};

/* In the order of "vmm --help". */
#define COMMANDS(row)	\
	row(run)	\
	row(list)	\
	row(stat)	\
	row(events)	\
	row(console)	\
	row(stop)	\
	row(wait)	\
	row(pause)	\
	row(resume)	\
	row(reset)	\
	row(resize)	\
	row(link)	\
	row(debug)	\
	row(balloon)	\
	row(host)	\
	row(smoke)	\
	row(help)	\
	row(version)

#define COMMAND_DECLARE(cmd)	extern const struct command command_##cmd;
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* NULL: there is none of this name, or behind the last. */
const struct command *command_find(const char *name);
const struct command *command_at(size_t index);

/* Whether @arg asks for help. */
bool command_wants_help(const char *arg);

/* Send help on its way.  Returns an enum status. */
int command_help_done(void);

#endif /* VMM_CLI_COMMAND_H */
