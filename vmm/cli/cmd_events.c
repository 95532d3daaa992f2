/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_events.c - vmm events
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/follow.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

static void events_help(void)
{
	fputs("usage: vmm events [--json] [[-n] NAME]\n"
	      "\n"
	      "Tell what happens to a running guest, until it has ended.\n"
	      "NAME may be left out if only one guest runs.\n"
	      "\n"
	      "  -n, --name NAME    this guest, as does NAME alone\n"
	      "      --json         as the guest tells it, a line of JSON each\n"
	      "  -h, --help         show this text\n", stdout);
}

static void print_time(json_int_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[64] = "?";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	printf("%s.%03d", text, (int)(ms % 1000));
}

/* "2026-11-25 12:00:00.123 stalled: vCPU 1: why" */
static void print_news(const json_t *news)
{
	static const char *const numbers[] = { "vcpu", "boots", "status" };
	static const char *const names[] = { "vCPU", "boot", "status" };

	print_time(ask_number(news, "time"));
	printf(" %s", ask_string(news, "event"));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (json_object_get(news, numbers[i]))
			printf(", %s %lld", names[i], (long long)ask_number(news, numbers[i]));
	if (*ask_string(news, "reason"))
		printf(", %s", ask_string(news, "reason"));
	if (*ask_string(news, "message"))
		printf(": %s", ask_string(news, "message"));
	putchar('\n');
}

/* Line by line, for who reads along. */
static int tell(const json_t *news, bool json)
{
	if (json) {
		json_dumpf(news, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_news(news);
	}
	return command_help_done();
}

static int follow_it(const struct whom *whom)
{
	struct follow follow;
	struct vmm_error err;
	json_t *news;
	int status = 0;

	if (follow_open(&follow, &whom->dir, whom->names[0], &err)) {
		report_fatal("%s", err.msg);
		status = STATUS_ERROR;
	}
	while (!status && (news = follow_next(&follow, -1))) {
		status = tell(news, whom->json);
		json_decref(news);
	}
	if (!status && follow.status < 0) {
		report_fatal("%s: it ended without a word, or has too much to tell",
			     whom->names[0]);
		status = STATUS_ERROR;
	}
	follow_close(&follow);
	return status;
}

static int events_run(int argc, char **argv)
{
	struct whom whom;
	int status = whom_parse(&whom, NULL, argc, argv);

	if (status)
		return status;
	if (whom.help) {
		events_help();
		return command_help_done();
	}
	if (whom.all || whom.nr > 1) {
		report_fatal("%s: of one guest at a time", whom.all ? "--all" : whom.names[1]);
		return STATUS_USAGE;
	}
	status = whom_open(&whom, true);
	if (!status)
		status = follow_it(&whom);
	whom_close(&whom);
	return status;
}

const struct command command_events = {
	.name = "events",
	.summary = "tell what happens to a running guest",
	.run = events_run,
	.help = events_help,
};
