/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_pause.c - vmm pause
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/whom.h"

static void pause_help(void)
{
	fputs("usage: vmm pause [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Stop guests as they are, until `vmm resume`: no vCPU runs, no device moves, and\n"
	      "their time stands.\n"
	      "\n"
	      WHOM_HELP
	      "      --json         tell what they answer\n"
	      "  -h, --help         show this text\n", stdout);
}

static int pause_run(int argc, char **argv)
{
	return whom_tell(argc, argv, "{\"command\":\"pause\"}", pause_help);
}

const struct command command_pause = {
	.name = "pause",
	.summary = "stop guests' time",
	.run = pause_run,
	.help = pause_help,
};
