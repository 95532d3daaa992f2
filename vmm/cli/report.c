/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - the lines that the program writes to stderr
 *
 * A line is put together on the stack and leaves in one write(2), so that lines
 * of different threads do not mix and no lock is needed.  A file name or a guest
 * cannot make two lines of one: control characters are replaced.
 */
#include "vmm/cli/report.h"

#include <stdio.h>
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

/* Nothing can be done about a stderr that takes no more. */
static void line_write(struct line *line)
{
	for (size_t i = 0; i < line->len; i++) {
		if ((unsigned char)line->text[i] < ' ' || line->text[i] == 0x7f)
			line->text[i] = '?';
	}
	line->text[line->len++] = '\n';
	if (write(STDERR_FILENO, line->text, line->len) < 0)
		return;
}

void report_fatal(const char *fmt, ...)
{
	struct line line;
	va_list ap;

	line.len = 0;
	line_add(&line, "vmm: Fatal: ");
	va_start(ap, fmt);
	line_vadd(&line, fmt, ap);
	va_end(ap);
	line_write(&line);
}

static void line_begin(struct line *line, const struct report *report, int level)
{
	static const char *const names[] = {
		[VMM_LOG_ERROR]	= "error",
		[VMM_LOG_WARN]	= "warning",
		[VMM_LOG_INFO]	= "info",
		[VMM_LOG_DEBUG]	= "debug",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == VMM_LOG_DEBUG + 1,
		       "a level without a name");
	if (level < VMM_LOG_ERROR || level > VMM_LOG_DEBUG)
		level = VMM_LOG_DEBUG;
	line->len = 0;
	line_add(line, "vmm: ");
	if (report->name)
		line_add(line, "%s: ", report->name);
	line_add(line, "%s: ", names[level]);
}

void report_log(const struct report *report, int level, const char *fmt, ...)
{
	struct line line;
	va_list ap;

	if (level > report->level)
		return;
	line_begin(&line, report, level);
	va_start(ap, fmt);
	line_vadd(&line, fmt, ap);
	va_end(ap);
	line_write(&line);
}

void report_vmm(void *opaque, int level, const char *msg)
{
	report_log(opaque, level, "%s", msg);
}
