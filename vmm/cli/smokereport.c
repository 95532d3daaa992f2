/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smokereport.c - what became of the images, for people and for programs
 */
#include "vmm/cli/smokereport.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_SIZE	4096	/* of a failed guest's console, in JUnit */

static const char *const words[] = {
	[SMOKE_WAITS]	= "wait",
	[SMOKE_RUNS]	= "start",
	[SMOKE_PASSED]	= "ok",
	[SMOKE_FAILED]	= "FAIL",
	[SMOKE_SKIPPED]	= "skip",
};
_Static_assert(sizeof(words) / sizeof(words[0]) == SMOKE_SKIPPED + 1, "a state without a word");

/* What a guest has made us say must not act on a terminal, or end a line. */
static void put_plain(FILE *out, const char *text)
{
	for (; *text; text++)
		putc(*text < ' ' || *text > '~' ? '?' : *text, out);
}

void smokereport_line(FILE *out, const struct smoke_result *result, bool begins)
{
	if (result->state == SMOKE_RUNS && !begins)
		return;
	fprintf(out, "%-5s %s", words[result->state], result->image->name);
	if (result->state == SMOKE_PASSED || result->state == SMOKE_FAILED)
		fprintf(out, " (%.1f s)", result->seconds);
	if (result->why[0]) {
		fputs(": ", out);
		put_plain(out, result->why);
	}
	putc('\n', out);
	fflush(out);
}

void smokereport_tap_plan(FILE *out, size_t nr)
{
	fprintf(out, "TAP version 13\n1..%zu\n", nr);
	fflush(out);
}

void smokereport_tap(FILE *out, const struct smoke_result *result, size_t nr)
{
	fprintf(out, "%s %zu - %s", result->state == SMOKE_FAILED ? "not ok" : "ok", nr,
		result->image->name);
	if (result->state == SMOKE_SKIPPED)
		fputs(" # SKIP stopped by the user", out);
	fprintf(out, "\n# %.1f s%s", result->seconds, result->why[0] ? ": " : "");
	put_plain(out, result->why);
	putc('\n', out);
	fflush(out);
}

static void put_xml(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		switch (c) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\r':
			break;
		default:
			putc(c == '\n' || (c >= ' ' && c <= '~') ? c : '?', out);
		}
	}
}

static void put_tail(FILE *out, const struct smoke *smoke, const struct smoke_result *result)
{
	char buf[TAIL_SIZE];
	ssize_t got = -1;
	char *path;
	off_t size;
	int fd;

	if (asprintf(&path, "%s/%s.log", smoke->log_dir, result->image->name) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return;
	size = lseek(fd, 0, SEEK_END);
	got = pread(fd, buf, sizeof(buf), size > TAIL_SIZE ? size - TAIL_SIZE : 0);
	close(fd);
	if (got <= 0)
		return;
	fputs("      <system-out>", out);
	put_xml(out, buf, (size_t)got);
	fputs("</system-out>\n", out);
}

static void put_case(FILE *out, const struct smoke *smoke, const struct smoke_result *result)
{
	fprintf(out, "    <testcase classname=\"vmm-smoke\" name=\"%s\" time=\"%.3f\"",
		result->image->name, result->seconds);
	if (result->state == SMOKE_PASSED) {
		fputs("/>\n", out);
		return;
	}
	fprintf(out, ">\n      <%s message=\"",
		result->state == SMOKE_SKIPPED ? "skipped" : "failure");
	put_xml(out, result->why, strlen(result->why));
	fputs("\"/>\n", out);
	if (result->state == SMOKE_FAILED)
		put_tail(out, smoke, result);
	fputs("    </testcase>\n", out);
}

void smokereport_junit(FILE *out, const struct smoke *smoke)
{
	double seconds = 0;

	for (size_t i = 0; i < smoke->nr; i++)
		seconds += smoke->results[i].seconds;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
	fprintf(out, "  <testsuite name=\"vmm smoke\" tests=\"%zu\" failures=\"%zu\" "
		"skipped=\"%zu\" time=\"%.3f\">\n", smoke->nr, smoke_count(smoke, SMOKE_FAILED),
		smoke_count(smoke, SMOKE_SKIPPED), seconds);
	for (size_t i = 0; i < smoke->nr; i++)
		put_case(out, smoke, &smoke->results[i]);
	fputs("  </testsuite>\n</testsuites>\n", out);
}

static json_t *pack(const struct smoke *smoke, const struct smoke_result *result)
{
	static const char *const states[] = {
		[SMOKE_PASSED] = "passed", [SMOKE_FAILED] = "failed", [SMOKE_SKIPPED] = "skipped",
	};
	json_t *entry = json_pack("{s:s, s:s, s:f, s:s+++}",
				  "name", result->image->name, "result", states[result->state],
				  "seconds", result->seconds,
				  "log", smoke->log_dir, "/", result->image->name, ".log");

	if (result->state != SMOKE_SKIPPED)
		json_object_set_new(entry, "status", json_integer(result->status));
	if (result->why[0]) {
		json_t *why = json_string(result->why);

		/* No UTF-8: a guest's or a file system's. */
		json_object_set_new(entry, "why", why ? why : json_string("?"));
	}
	return entry;
}

void smokereport_json(FILE *out, const struct smoke *smoke)
{
	json_t *list = json_array();

	for (size_t i = 0; i < smoke->nr; i++)
		json_array_append_new(list, pack(smoke, &smoke->results[i]));
	json_dumpf(list, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putc('\n', out);
	json_decref(list);
}
