/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_version.c - vmm version
 */
#include <stdio.h>

#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

#include "vmm.h"

static void version_help(void)
{
	fputs("usage: vmm version\n"
	      "\n"
	      "Print the version of vmm and end.\n", stdout);
}

static int version_run(int argc, char **argv)
{
	if (argc > 1 && !command_wants_help(argv[1])) {
		report_fatal("%s: version takes no argument", argv[1]);
		return STATUS_USAGE;
	}
	if (argc > 1)
		version_help();
	else
		printf("vmm %s\n", vmm_version());
	return command_help_done();
}

const struct command command_version = {
	.name = "version",
	.summary = "print the version",
	.run = version_run,
	.help = version_help,
};
