/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_wait.c - vmm wait
 */
#include <stdio.h>
#include <stdlib.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/crowd.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

static void wait_help(void)
{
	fputs("usage: vmm wait [--timeout SECONDS] [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Wait until guests have ended, and exit as the first of them that did not power\n"
	      "itself off.\n"
	      "\n"
	      WHOM_HELP
	      "  -t, --timeout SECONDS\n"
	      "                     no longer than this\n"
	      "      --json         tell how each has ended\n"
	      "  -h, --help         show this text\n", stdout);
}

static int wait_for(const struct whom *whom, bool force, int64_t patience)
{
	struct crowd crowd;
	int status = crowd_join(&crowd, whom);

	(void)force;
	if (crowd_wait(&crowd, patience))
		status = STATUS_TIMEOUT;
	for (size_t i = 0; i < crowd.nr && !status; i++)
		status = crowd_status(&crowd.follows[i]);
	if (whom->json && crowd_print(&crowd))
		status = STATUS_ERROR;
	crowd_leave(&crowd);
	return status;
}

static int wait_run(int argc, char **argv)
{
	static const struct crowd_command wait = {
		.patience_ms = -1, .run = wait_for, .help = wait_help,
	};

	return crowd_command(&wait, argc, argv);
}

const struct command command_wait = {
	.name = "wait",
	.summary = "wait until guests have ended",
	.run = wait_run,
	.help = wait_help,
};
