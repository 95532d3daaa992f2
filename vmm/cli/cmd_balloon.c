/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_balloon.c - vmm balloon
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/balloon.h"
#include "vmm/cli/command.h"
#include "vmm/cli/number.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

static void balloon_help(void)
{
	fputs("usage: vmm balloon [-i AMOUNT | -d AMOUNT] [--json] [[-n] NAME [SIZE]]\n"
	      "\n"
	      "Have a guest give up memory, SIZE of it, or take it back; or show how much it has\n"
	      "given up.  It has been run with --balloon.  Sizes are in MiB, or have a unit of\n"
	      "BKMGTP.  NAME may be left out if only one guest runs, and it is only shown.\n"
	      "\n"
	      "  -n, --name NAME        this guest, as does NAME alone\n"
	      "  -i, --inflate AMOUNT   so much more than now\n"
	      "  -d, --deflate AMOUNT   so much less than now\n"
	      "      --json             as the guest tells it\n"
	      "  -h, --help             show this text\n", stdout);
}

/* The member of the request that @text is, or none. */
static int add_member(char *request, size_t size, const char *key, const char *text)
{
	size_t len = strlen(request);
	const char *end;
	uint64_t bytes;

	if (!text)
		return 0;
	if (number_parse_size(text, 'M', &end, &bytes) || *end || bytes > INT64_MAX) {
		report_fatal("%s: not a SIZE[BKMGTP]", text);
		return STATUS_USAGE;
	}
	snprintf(request + len, size - len, ",\"%s\":%" PRIu64, key, bytes);
	return 0;
}

static int print(const struct whom *whom, const json_t *reply)
{
	if (whom->json)
		return ask_print(reply);
	balloon_print(json_object_get(reply, "balloon"));
	return command_help_done();
}

static int balloon(const struct whom *whom, const char *request)
{
	struct vmm_error err;
	json_t *reply;
	int status;

	if (ask(&whom->dir, whom->names[0], request, &reply, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_ERROR;
	}
	status = print(whom, reply);
	json_decref(reply);
	return status;
}

static int balloon_run(int argc, char **argv)
{
	const char *inflate = NULL;
	const char *deflate = NULL;
	const struct whom_option options[] = {
		{ 'i', "inflate", NULL, &inflate },
		{ 'd', "deflate", NULL, &deflate },
		{ 0, NULL, NULL, NULL },
	};
	char request[160] = "{\"command\":\"balloon\"";
	const char *size = NULL;
	struct whom whom;
	int status = whom_parse(&whom, options, argc, argv);

	if (!status && whom.help) {
		balloon_help();
		return command_help_done();
	}
	if (!status && (whom.all || whom.nr > 2)) {
		report_fatal("one guest at a time, see 'vmm help balloon'");
		status = STATUS_USAGE;
	}
	if (status)
		return status;
	if (whom.nr == 2) {
		size = whom.names[1];
		whom.nr = 1;
	}
	if (!!size + !!inflate + !!deflate > 1) {
		report_fatal("SIZE, --inflate and --deflate exclude one another");
		return STATUS_USAGE;
	}
	status = add_member(request, sizeof(request), "size", size);
	if (!status)
		status = add_member(request, sizeof(request), "inflate", inflate);
	if (!status)
		status = add_member(request, sizeof(request), "deflate", deflate);
	if (status)
		return status;
	strcat(request, "}");
	status = whom_open(&whom, !size && !inflate && !deflate);
	if (!status)
		status = balloon(&whom, request);
	whom_close(&whom);
	return status;
}

const struct command command_balloon = {
	.name = "balloon",
	.summary = "have a guest give up memory, or take it back",
	.run = balloon_run,
	.help = balloon_help,
};
