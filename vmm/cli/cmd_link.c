/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_link.c - vmm link
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli/command.h"
#include "vmm/cli/number.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

static void link_help(void)
{
	fputs("usage: vmm link [--json] [-n] NAME [CARD] {up|down}\n"
	      "\n"
	      "Take the cable out of a guest's network card, which the guest sees and with which\n"
	      "nothing goes through any more, or put it in again.  CARD is counted from 0 over\n"
	      "the guest's --network options; it is all of them if that is left out.\n"
	      "\n"
	      "  -n, --name NAME    this guest, as does NAME alone\n"
	      "      --json         tell what it answers\n"
	      "  -h, --help         show this text\n", stdout);
}

/* The words behind the guest's name. */
static int make_request(char *request, size_t size, char **words, int nr)
{
	const char *state = words[nr - 1];
	char card[40] = "";
	uint64_t index;

	if (strcmp(state, "up") && strcmp(state, "down")) {
		report_fatal("%s: not up or down", state);
		return STATUS_USAGE;
	}
	if (nr == 2 && (number_parse(words[0], &index) || index > INT32_MAX)) {
		report_fatal("%s: not the number of a network card", words[0]);
		return STATUS_USAGE;
	}
	if (nr == 2)
		snprintf(card, sizeof(card), ",\"card\":%" PRIu64, index);
	snprintf(request, size, "{\"command\":\"link\",\"up\":%s%s}",
		 strcmp(state, "up") ? "false" : "true", card);
	return 0;
}

static int link_run(int argc, char **argv)
{
	char request[80];
	struct whom whom;
	int status = whom_parse(&whom, NULL, argc, argv);

	if (!status && whom.help) {
		link_help();
		return command_help_done();
	}
	if (!status && (whom.all || whom.nr < 2 || whom.nr > 3)) {
		report_fatal("a guest, a card or none, and up or down, see 'vmm help link'");
		status = STATUS_USAGE;
	}
	if (!status)
		status = make_request(request, sizeof(request), whom.names + 1, whom.nr - 1);
	if (status)
		return status;
	whom.nr = 1;
	return whom_send(&whom, request);
}

const struct command command_link = {
	.name = "link",
	.summary = "take out guests' network cables, and put them in",
	.run = link_run,
	.help = link_help,
};
