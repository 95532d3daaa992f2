/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_resize.c - vmm resize
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/whom.h"

static void resize_help(void)
{
	fputs("usage: vmm resize [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Have guests see how large their disks are now, after an image or a block device\n"
	      "was made longer or shorter.\n"
	      "\n"
	      WHOM_HELP
	      "      --json         tell what they answer\n"
	      "  -h, --help         show this text\n", stdout);
}

static int resize_run(int argc, char **argv)
{
	return whom_tell(argc, argv, "{\"command\":\"resize\"}", resize_help);
}

const struct command command_resize = {
	.name = "resize",
	.summary = "tell guests the new sizes of their disks",
	.run = resize_run,
	.help = resize_help,
};
