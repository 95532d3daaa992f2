/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_resume.c - vmm resume
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/whom.h"

static void resume_help(void)
{
	fputs("usage: vmm resume [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Let guests go on that `vmm pause` has stopped.\n"
	      "\n"
	      WHOM_HELP
	      "      --json         tell what they answer\n"
	      "  -h, --help         show this text\n", stdout);
}

static int resume_run(int argc, char **argv)
{
	return whom_tell(argc, argv, "{\"command\":\"resume\"}", resume_help);
}

const struct command command_resume = {
	.name = "resume",
	.summary = "let paused guests go on",
	.run = resume_run,
	.help = resume_help,
};
