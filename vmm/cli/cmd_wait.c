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

static int wait_for(const struct whom *whom, int64_t patience)
{
	struct crowd crowd;
	int status = crowd_join(&crowd, whom);

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
	const char *timeout = NULL;
	const struct whom_option options[] = {
		{ 't', "timeout", NULL, &timeout },
		{ 0, NULL, NULL, NULL },
	};
	struct whom whom;
	int64_t patience = -1;
	int status = whom_parse(&whom, options, argc, argv);

	if (!status && !whom.help)
		status = crowd_patience(timeout, &patience);
	if (status)
		return status;
	if (whom.help) {
		wait_help();
		return command_help_done();
	}
	status = whom_open(&whom, false);
	if (!status)
		status = wait_for(&whom, patience);
	whom_close(&whom);
	return status;
}

const struct command command_wait = {
	.name = "wait",
	.summary = "wait until guests have ended",
	.run = wait_run,
	.help = wait_help,
};
