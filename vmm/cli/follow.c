/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.c - hear what happens to a running guest, until it has ended
 *
 * A guest says how it ends; that it has ended is for the kernel to say, by its
 * process, which holds its files until then, and which may be killed before it says
 * anything.  Where processes cannot be followed the end of the connection counts.
 */
#include "vmm/cli/follow.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vmm/cli/ask.h"

#define PATIENCE_MS	3000
#define STATUS_MAX	255	/* of a process */
#define LINES_AT_ONCE	256

int64_t follow_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Of who listens; it answered just now, so the number is still its own. */
static int open_process(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
		return -1;
	return pidfd_open(cred.pid, 0);
}

static void hang_up(struct follow *follow)
{
	if (follow->fd >= 0)
		close(follow->fd);
	follow->fd = -1;
}

void follow_close(struct follow *follow)
{
	hang_up(follow);
	if (follow->pidfd >= 0)
		close(follow->pidfd);
	follow->pidfd = -1;
}

int follow_open(struct follow *follow, const struct sockdir *dir, const char *name,
		struct vmm_error *err)
{
	json_t *reply;
	int ret;

	follow->name = name;
	follow->pidfd = follow->status = -1;
	follow->ended = false;
	follow->len = 0;
	follow->fd = sockdir_connect(dir, name, PATIENCE_MS);
	if (follow->fd < 0)
		return ask_explain(name, follow->fd, err);
	ret = follow_ask(follow, "{\"command\":\"events\"}", err);
	if (ret)
		return ret;
	reply = follow_next(follow, PATIENCE_MS);
	if (!reply)
		return ask_explain(name, follow->fd < 0 ? -ECONNRESET : -EAGAIN, err);
	ret = *ask_string(reply, "error") ? ask_explain(name, -EPROTO, err) : 0;
	json_decref(reply);
	follow->pidfd = open_process(follow->fd);
	return ret;
}

int follow_ask(struct follow *follow, const char *request, struct vmm_error *err)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "%s\n", request);
	ssize_t sent;

	if (follow->fd < 0)
		return ask_explain(follow->name, -ECONNRESET, err);
	do {
		sent = send(follow->fd, line, (size_t)len, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent == len)
		return 0;
	return ask_explain(follow->name, sent < 0 ? -errno : -EAGAIN, err);
}

static bool is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static bool has_gone(const struct follow *follow)
{
	if (follow->pidfd >= 0)
		return is_readable(follow->pidfd, 0);
	return follow->fd < 0;
}

/* False when nothing more will come. */
static bool fill(struct follow *follow)
{
	ssize_t n = recv(follow->fd, follow->buf + follow->len, FOLLOW_LINE - follow->len,
			 MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	follow->len += (size_t)n;
	return n > 0;
}

/* What is no JSON is taken for an empty object: there is no more in it. */
static json_t *take_line(struct follow *follow, char *end)
{
	size_t len = (size_t)(end - follow->buf);
	json_t *line = json_loadb(follow->buf, len, 0, NULL);
	json_int_t status = ask_number(line, "status");

	follow->len -= len + 1;
	memmove(follow->buf, end + 1, follow->len);
	/* Of another number a part would be our own status, 0 maybe. */
	if (!strcmp(ask_string(line, "event"), "ended") && status >= 0 && status <= STATUS_MAX)
		follow->status = (int)status;
	return line ? line : json_object();
}


static int time_left(int64_t deadline)
{
	int64_t left = deadline - follow_clock_ms();

	if (deadline < 0 || left > INT_MAX)
		return deadline < 0 ? -1 : INT_MAX;
	return left > 0 ? (int)left : 0;
}

/* A part of a line is nothing, and does not make us wait longer. */
json_t *follow_next(struct follow *follow, int ms)
{
	int64_t deadline = ms > 0 ? follow_clock_ms() + ms : ms;

	for (;;) {
		char *end = memchr(follow->buf, '\n', follow->len);

		if (end)
			return take_line(follow, end);
		if (follow->fd < 0 || !is_readable(follow->fd, time_left(deadline)))
			return NULL;
		if (follow->len == FOLLOW_LINE || !fill(follow))
			hang_up(follow);
	}
}

/*
 * What is told is all told before the process is gone.  Until then one who has no end of
 * it is not listened to longer than the others.
 */
static bool catch_up(struct follow *follow)
{
	bool gone = has_gone(follow);
	json_t *line;

	for (unsigned int nr = 0; (gone || nr < LINES_AT_ONCE) && (line = follow_next(follow, 0)); nr++)
		json_decref(line);
	follow->ended = gone;
	return gone;
}

/* How many go on; @fds is filled in for them. */
static size_t look(struct follow *follows, size_t nr, struct pollfd *fds)
{
	size_t left = 0;

	for (size_t i = 0; i < nr; i++) {
		struct follow *follow = &follows[i];

		if (follow->ended || catch_up(follow))
			continue;
		fds[2 * left] = (struct pollfd){ .fd = follow->fd, .events = POLLIN };
		fds[2 * left + 1] = (struct pollfd){ .fd = follow->pidfd, .events = POLLIN };
		left++;
	}
	return left;
}

int follow_wait(struct follow *follows, size_t nr, int64_t deadline)
{
	struct pollfd *fds = calloc(2 * nr + 1, sizeof(*fds));
	size_t left;
	int ms = -1;

	if (!fds)
		return -ENOMEM;
	while ((left = look(follows, nr, fds)) && ms) {
		ms = time_left(deadline);
		poll(fds, 2 * left, ms);
	}
	free(fds);
	return left ? -EAGAIN : 0;
}
