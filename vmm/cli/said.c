/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * said.c - what a program says on its standard error, passed on to ours within bounds
 */
#include "vmm/cli/said.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/answer.h"
#include "vmm/cli/closefd.h"

#define READS	64	/* at a time: others wait meanwhile */

void said_clear(struct said *s)
{
	*s = (struct said){ .fd = -1 };
}

int said_begin(struct said *s)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK)) {
		int ret = -errno;

		close(fds[0]);
		close(fds[1]);
		return ret;
	}
	s->fd = fds[0];
	s->len = 0;
	return fds[1];
}

/* A pipe that has room has it for a line (pipe(7), PIPE_BUF). */
static bool has_room(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && p.revents & POLLOUT;
}

static void tell_left_out(struct said *s, const char *who)
{
	if (!s->nr_left_out || !has_room())
		return;
	dprintf(STDERR_FILENO, "vmm: %.128s: %u more of its lines were left out\n", who, s->nr_left_out);
	s->nr_left_out = 0;
}

static void begin_line(struct said *s, const char *who)
{
	uint64_t now = answer_now_ms();

	if (!s->begun_ms || now - s->begun_ms >= SAID_WINDOW_MS) {
		tell_left_out(s, who);
		s->begun_ms = now;
		s->nr_lines = 0;
	}
	s->passes = s->nr_lines++ < SAID_BURST && has_room();
	if (!s->passes)
		s->nr_left_out++;
}

/* Of a line without what ends it, or what ends it. */
static void pass(struct said *s, const char *text, size_t len)
{
	if (s->passes && len && write(STDERR_FILENO, text, len) < 0)
		s->passes = false;
}

static void end_line(struct said *s)
{
	pass(s, "\n", 1);
	s->len = 0;
	s->passes = false;
}

/* Returns how much of it is taken: a line, or a part that is all there is of it. */
static size_t take_line(struct said *s, const char *text, size_t len, const char *who)
{
	const char *end = memchr(text, '\n', len);
	size_t n = end ? (size_t)(end - text) : len;
	size_t room = SAID_LINE - s->len;

	if (!s->len)
		begin_line(s, who);
	/* In one piece, where it came in one: others write there, too. */
	if (end && !s->len && n < room) {
		pass(s, text, n + 1);
		s->passes = false;
		return n + 1;
	}
	pass(s, text, n < room ? n : room);
	s->len += (unsigned int)(n < room ? n : room);
	if (end)
		end_line(s);
	return n + (end != NULL);
}

void said_take(struct said *s, const char *who)
{
	char buf[4096];

	for (int i = 0; i < READS && s->fd >= 0; i++) {
		ssize_t n = read(s->fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			close_fd(&s->fd);
		for (ssize_t done = 0; done < n;)
			done += (ssize_t)take_line(s, buf + done, (size_t)(n - done), who);
	}
}

void said_end(struct said *s, const char *who)
{
	said_take(s, who);
	close_fd(&s->fd);
	if (s->len)
		end_line(s);
	tell_left_out(s, who);
}
