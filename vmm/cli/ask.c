/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.c - ask a running guest
 */
#include "vmm/cli/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/cli/command.h"
#include "vmm/cli/follow.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

#define PATIENCE_MS	3000	/* for a sign of life */
#define ANSWER_MS	15000	/* for all of it */
#define ANSWER_MAX	(16u << 20)
#define CHUNK		65536u

__attribute__((format(printf, 3, 4)))
static int fail(struct vmm_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return ret;
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A line, without its newline.  Who comes forward with a byte now and then is not waited for. */
static int receive(int fd, char **line, size_t *len)
{
	int64_t end_ms = follow_clock_ms() + ANSWER_MS;
	size_t size = 0;
	char *end = NULL;

	while (!end) {
		char *more;
		ssize_t n;

		if (size - *len < CHUNK) {
			size += 2 * CHUNK;
			more = size > ANSWER_MAX ? NULL : realloc(*line, size);
			if (!more)
				return -ENOMEM;
			*line = more;
		}
		if (follow_clock_ms() > end_ms)
			return -EAGAIN;
		n = recv(fd, *line + *len, size - *len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ECONNRESET;
		end = memchr(*line + *len, '\n', (size_t)n);
		*len += (size_t)n;
	}
	*len = (size_t)(end - *line);
	return 0;
}

int ask_explain(const char *name, int ret, struct vmm_error *err)
{
	switch (ret) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENAMETOOLONG:
		return fail(err, ret, "%s: no guest of this name is running", name);
	case -EAGAIN:
		return fail(err, ret, "%s: it does not answer; is it suspended?", name);
	case -ECONNRESET:
	case -EPIPE:
		return fail(err, ret, "%s: it has ended meanwhile", name);
	}
	return fail(err, ret, "%s: %s", name, strerror(-ret));
}

static int converse(int fd, const char *request, json_t **reply)
{
	char *line = NULL;
	size_t len = 0;
	int ret = send_all(fd, request, strlen(request));

	if (!ret)
		ret = send_all(fd, "\n", 1);
	if (!ret)
		ret = receive(fd, &line, &len);
	if (!ret) {
		*reply = json_loadb(line, len, 0, NULL);
		ret = *reply ? 0 : -EPROTO;
	}
	free(line);
	return ret;
}

int ask(const struct sockdir *dir, const char *name, const char *request, json_t **reply,
	struct vmm_error *err)
{
	const char *refusal;
	int fd = sockdir_connect(dir, name, PATIENCE_MS);
	int ret = fd;

	if (fd >= 0) {
		ret = converse(fd, request, reply);
		close(fd);
	}
	if (ret)
		return ask_explain(name, ret, err);
	refusal = ask_string(*reply, "error");
	if (!*refusal && json_is_object(*reply))
		return 0;
	fail(err, 0, "%s: it says: %s", name, *refusal ? refusal : "what is no answer");
	json_decref(*reply);
	return -EPROTO;
}

int ask_who(struct sockdir *dir, char ***names)
{
	int ret = sockdir_open(dir, false);

	*names = NULL;
	if (!ret) {
		*names = sockdir_living(dir);
		ret = *names ? 0 : -errno;
	} else if (ret == -ENOENT) {
		/* Nobody has made it yet. */
		*names = calloc(1, sizeof(**names));
		ret = *names ? 0 : -ENOMEM;
	}
	if (!ret)
		return 0;
	sockdir_close(dir);
	report_fatal("%s: %s", dir->path, ret == -EPERM ? "not this user's alone" : strerror(-ret));
	return STATUS_ERROR;
}

int ask_print(const json_t *reply)
{
	json_dumpf(reply, stdout, JSON_INDENT(2));
	putchar('\n');
	return command_help_done();
}

json_int_t ask_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* What a terminal would obey, in ASCII or as U+0080 to U+009F. */
static bool is_control(const unsigned char *p)
{
	return *p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

/* It is going to be shown, and whose it is may be anybody's: as in report.c. */
const char *ask_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	for (unsigned char *p = (unsigned char *)text; p && *p; p++) {
		if (!is_control(p))
			continue;
		if (*p == 0xc2)
			p[1] = '?';
		*p = '?';
	}
	return text ? text : "";
}
