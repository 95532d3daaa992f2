/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_reset.c - vmm reset
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/whom.h"

static void reset_help(void)
{
	fputs("usage: vmm reset [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Boot guests anew, without asking them: as by the reset button of a machine.\n"
	      "\n"
	      WHOM_HELP
	      "      --json         tell what they answer\n"
	      "  -h, --help         show this text\n", stdout);
}

static int reset_run(int argc, char **argv)
{
	return whom_tell(argc, argv, "{\"command\":\"reset\"}", reset_help);
}

const struct command command_reset = {
	.name = "reset",
	.summary = "boot guests anew",
	.run = reset_run,
	.help = reset_help,
};
