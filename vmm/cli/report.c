/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - the lines that the program writes to stderr
 *
 * A line is put together on the stack and leaves in one write(2), so that lines
 * of different threads do not mix and no lock is needed.  A file name or a guest
 * cannot make two lines of one: control characters are replaced.
 */
#include "vmm/cli/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

#define LINE_SIZE	1024

struct line {
	size_t	len;
	char	text[LINE_SIZE];
};

static void line_vadd(struct line *line, const char *fmt, va_list ap)
{
	size_t room = LINE_SIZE - line->len;
	int len = vsnprintf(line->text + line->len, room, fmt, ap);

	if (len > 0)
		line->len += (size_t)len < room ? (size_t)len : room - 1;
}

__attribute__((format(printf, 2, 3)))
static void line_add(struct line *line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_vadd(line, fmt, ap);
	va_end(ap);
}

static bool in_json;	/* set once, before there are threads */

void report_in_json(bool json)
{
	in_json = json;
}

/* Nothing can be done about a stderr that takes no more. */
static void put(const char *text, size_t len)
{
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

static void line_write(struct line *line)
{
	for (size_t i = 0; i < line->len; i++) {
		if ((unsigned char)line->text[i] < ' ' || line->text[i] == 0x7f)
			line->text[i] = '?';
	}
	line->text[line->len++] = '\n';
	put(line->text, line->len);
}

/* Text of a guest, or a file name, need not be UTF-8. */
static json_t *to_string(struct line *line)
{
	json_t *string = json_stringn(line->text, line->len);

	if (string)
		return string;
	for (size_t i = 0; i < line->len; i++)
		if ((unsigned char)line->text[i] >= 0x80)
			line->text[i] = '?';
	return json_stringn(line->text, line->len);
}

static json_int_t wall_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (json_int_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void write_json(const char *level, const char *name, struct line *line)
{
	json_t *object = json_pack("{s:I, s:s, s:s*, s:o}", "time", wall_clock_ms(), "level", level,
				   "name", name, "message", to_string(line));
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	char *whole = NULL;
	int len = text ? asprintf(&whole, "%s\n", text) : -1;

	if (len > 0) {
		put(whole, (size_t)len);
		free(whole);
	}
	free(text);
	json_decref(object);
}

void report_fatal(const char *fmt, ...)
{
	struct line line;
	va_list ap;

	line.len = 0;
	if (!in_json)
		line_add(&line, "vmm: Fatal: ");
	va_start(ap, fmt);
	line_vadd(&line, fmt, ap);
	va_end(ap);
	if (in_json)
		write_json("fatal", NULL, &line);
	else
		line_write(&line);
}

static const char *level_name(int level)
{
	static const char *const names[] = {
		[VMM_LOG_ERROR]	= "error",
		[VMM_LOG_WARN]	= "warning",
		[VMM_LOG_INFO]	= "info",
		[VMM_LOG_DEBUG]	= "debug",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == VMM_LOG_DEBUG + 1,
		       "a level without a name");
	return level < VMM_LOG_ERROR || level > VMM_LOG_DEBUG ? names[VMM_LOG_DEBUG] : names[level];
}

static void line_begin(struct line *line, const struct report *report, int level)
{
	line_add(line, "vmm: ");
	if (report->name)
		line_add(line, "%s: ", report->name);
	line_add(line, "%s: ", level_name(level));
}

void report_log(const struct report *report, int level, const char *fmt, ...)
{
	struct line line;
	va_list ap;

	if (level > report->level)
		return;
	line.len = 0;
	if (!in_json)
		line_begin(&line, report, level);
	va_start(ap, fmt);
	line_vadd(&line, fmt, ap);
	va_end(ap);
	if (in_json)
		write_json(level_name(level), report->name, &line);
	else
		line_write(&line);
}

void report_vmm(void *opaque, int level, const char *msg)
{
	report_log(opaque, level, "%s", msg);
}
