/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_help.c - vmm help
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

/* "The most commonly used" is how test suites for kvmtool recognise it. */
static void print_all(void)
{
	const struct command *command;

	fputs("usage: vmm COMMAND [ARGS]\n"
	      "\n"
	      "The most commonly used vmm commands are:\n", stdout);
	for (size_t i = 0; (command = command_at(i)); i++)
		printf("   %-12s%s\n", command->name, command->summary);
	fputs("\n"
	      "See 'vmm help COMMAND' or 'vmm COMMAND --help' for more on one of them.\n",
	      stdout);
}

static void help_help(void)
{
	fputs("usage: vmm help [COMMAND]\n"
	      "\n"
	      "List the commands, or show the usage of one.\n", stdout);
}

static int help_run(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		print_all();
		return command_help_done();
	}
	if (argc > 2 && !command_wants_help(argv[1])) {
		report_fatal("%s: one argument too many", argv[2]);
		return STATUS_USAGE;
	}
	command = command_find(command_wants_help(argv[1]) ? argv[0] : argv[1]);
	if (!command) {
		report_fatal("%s: unknown command, see 'vmm --help'", argv[1]);
		return STATUS_USAGE;
	}
	command->help();
	return command_help_done();
}

const struct command command_help = {
	.name = "help",
	.summary = "show how a command is used",
	.run = help_run,
	.help = help_help,
};
