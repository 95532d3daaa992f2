/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_stop.c - vmm stop
 */
#include <stdio.h>
#include <stdlib.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/crowd.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

#define PATIENCE	60	/* seconds for a guest to power itself off */
#define END_MS		10000	/* for one whose plug is pulled */

static void stop_help(void)
{
	fputs("usage: vmm stop [--timeout SECONDS | --force] [--json] {-a | [-n] NAME...}\n"
	      "\n"
	      "Press guests' power buttons, wait until they have ended, and pull the plugs of\n"
	      "those that do not in time.\n"
	      "\n"
	      WHOM_HELP
	      "  -t, --timeout SECONDS\n"
	      "                     how long they have to power themselves off; 60\n"
	      "  -f, --force        pull the plugs at once\n"
	      "      --json         tell how each has ended\n"
	      "  -h, --help         show this text\n", stdout);
}

/* Of those that have not ended yet. */
static void ask_all(struct crowd *crowd, const char *request)
{
	for (size_t i = 0; i < crowd->nr; i++) {
		struct vmm_error err;

		/* One that is gone meanwhile has stopped as well. */
		if (!crowd->follows[i].ended)
			follow_ask(&crowd->follows[i], request, &err);
	}
}

static int pull_plugs(struct crowd *crowd)
{
	int ret;

	ask_all(crowd, "{\"command\":\"stop\",\"force\":true}");
	ret = crowd_wait(crowd, END_MS);
	for (size_t i = 0; ret && i < crowd->nr; i++)
		if (!crowd->follows[i].ended)
			report_fatal("%s: it does not stop", crowd->follows[i].name);
	return ret ? STATUS_ERROR : 0;
}

static int stop_all(const struct whom *whom, bool force, int64_t patience)
{
	struct crowd crowd;
	int status = crowd_join(&crowd, whom);
	int ret = 0;

	if (!force) {
		ask_all(&crowd, "{\"command\":\"stop\"}");
		ret = crowd_wait(&crowd, patience);
	}
	if ((force || ret) && pull_plugs(&crowd))
		status = STATUS_ERROR;
	if (whom->json && crowd_print(&crowd))
		status = STATUS_ERROR;
	crowd_leave(&crowd);
	return status;
}

static int stop_run(int argc, char **argv)
{
	static const struct crowd_command stop = {
		.may_force = true, .patience_ms = PATIENCE * 1000, .run = stop_all, .help = stop_help,
	};

	return crowd_command(&stop, argc, argv);
}

const struct command command_stop = {
	.name = "stop",
	.summary = "power guests off",
	.run = stop_run,
	.help = stop_help,
};
