/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conffile.c - files of options, a line each
 *
 * A line is "option" or "option = value" with the long name of an option of "vmm run",
 * a "[NAME]", a comment that begins with "#", or empty.  There is no quoting: a value
 * goes to the end of its line, without the blanks around it.
 */
#include "vmm/cli/conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int conffile_refuse(const struct conffile *file, unsigned int line, int ret, const char *fmt, ...)
{
	char *msg = file->err->msg;
	int len = snprintf(msg, VMM_MSG_SIZE, "%s:%u: ", file->path, line ? line : file->line);
	va_list ap;

	if (len < 0 || len >= VMM_MSG_SIZE)
		return ret;
	va_start(ap, fmt);
	vsnprintf(msg + len, VMM_MSG_SIZE - (size_t)len, fmt, ap);
	va_end(ap);
	return ret;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

static int take_option(const struct conffile *file, char *line, char **word)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strspn(line, allowed);
	char *value = line + len;
	int got;

	value += strspn(value, " \t");
	if (!len || line[0] == '-' || (*value && *value != '='))
		return conffile_refuse(file, 0, -EINVAL,
				       "not OPTION or OPTION = VALUE, with an option of 'vmm run'");
	if (*value)
		got = asprintf(word, "--%.*s=%s", (int)len, line, trim(value + 1));
	else
		got = asprintf(word, "--%.*s", (int)len, line);
	return got < 0 ? conffile_refuse(file, 0, -ENOMEM, "out of memory") : CONFFILE_OPTION;
}

void conffile_begin(struct conffile *file, const char *path, char *text, size_t len,
		    struct vmm_error *err)
{
	*file = (struct conffile){ .path = path, .err = err, .text = text, .end = text + len };
}

int conffile_next(struct conffile *file, char **word)
{
	while (file->text < file->end) {
		char *line = file->text;
		char *stop = memchr(line, '\n', (size_t)(file->end - line));

		file->line++;
		if (!stop)
			stop = file->end;
		*stop = '\0';
		file->text = stop + 1;
		if (strlen(line) != (size_t)(stop - line))
			return conffile_refuse(file, 0, -EINVAL, "a NUL byte: this is no text");
		line = trim(line);
		if (*line == '[') {
			*word = line;
			return CONFFILE_SECTION;
		}
		if (*line && *line != '#')
			return take_option(file, line, word);
	}
	return CONFFILE_END;
}

/* One byte more than is allowed, so that too much is seen, and one for a NUL. */
static long read_all(int fd, char *text)
{
	size_t len = 0;

	while (len <= CONFFILE_SIZE_MAX) {
		ssize_t got = read(fd, text + len, CONFFILE_SIZE_MAX + 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		len += (size_t)got;
	}
	return len > CONFFILE_SIZE_MAX ? -EFBIG : (long)len;
}

long conffile_load(const char *path, char **text, struct vmm_error *err)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	long len = -errno;

	*text = NULL;
	if (fd >= 0) {
		*text = malloc(CONFFILE_SIZE_MAX + 2);
		len = *text ? read_all(fd, *text) : -ENOMEM;
		close(fd);
	}
	if (len >= 0)
		return len;
	free(*text);
	*text = NULL;
	snprintf(err->msg, sizeof(err->msg), "%s: %s", path, strerror((int)-len));
	return len;
}
