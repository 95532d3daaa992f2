/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - the control socket of a running guest
 *
 * A peer is one of the same user, or root.  It gets its answers in the order of its
 * requests, one a turn, and the next one only when it has taken the last.  There
 * are CONTROL_PEERS at a time: one that is silent, or does not read, costs its place
 * when somebody else wants it, and nothing before.  One that follows the news has
 * reason to be silent, and goes last; but what waits for it to read is limited.
 */
#include "vmm/cli/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG	16

/* ---- The socket --------------------------------------------------------------- */

void control_clear(struct control *control)
{
	control->fd = -1;
	control->clock = 0;
	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		control->peers[i].fd = -1;
		control->peers[i].in = control->in[i];
	}
}

__attribute__((format(printf, 3, 4)))
static int fail(struct vmm_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return ret;
}

static int explain_dir(const struct sockdir *dir, int ret, struct vmm_error *err)
{
	if (!dir->path[0])
		return fail(err, ret, "no control socket: XDG_RUNTIME_DIR is not set");
	if (ret == -EPERM)
		return fail(err, ret, "no control socket: %s is not this user's alone", dir->path);
	return fail(err, ret, "no control socket: %s: %s", dir->path, strerror(-ret));
}

/* The mode is that of the file from its first moment on. */
static int make(int fd, const struct sockaddr_un *addr)
{
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	return 0;
}

/* With the directory locked. */
static int listen_at(struct control *control, const struct sockdir *dir, struct vmm_error *err)
{
	struct sockaddr_un addr;
	struct stat st;
	int ret = sockdir_address(dir, control->name, &addr);

	if (ret)
		return fail(err, ret, "no control socket: its name in %s is too long", dir->path);
	ret = make(control->fd, &addr);
	if (ret == -EADDRINUSE) {
		if (sockdir_bury(dir, control->name))
			return fail(err, -EEXIST, "--name %s: a guest of this name is running",
				    control->name);
		ret = make(control->fd, &addr);
	}
	if (!ret && (listen(control->fd, BACKLOG) || lstat(addr.sun_path, &st))) {
		ret = -errno;
		unlink(addr.sun_path);
	}
	if (ret)
		return fail(err, ret, "no control socket: %s: %s", addr.sun_path, strerror(-ret));
	control->dev = st.st_dev;
	control->ino = st.st_ino;
	return 0;
}

int control_open(struct control *control, const char *name, struct vmm_error *err)
{
	struct sockdir dir;
	int ret = sockdir_open(&dir, true);

	if (!ret)
		ret = sockdir_lock(&dir);
	if (ret) {
		sockdir_close(&dir);
		return explain_dir(&dir, ret, err);
	}
	snprintf(control->name, sizeof(control->name), "%s", name);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		ret = fail(err, -errno, "no control socket: %s", strerror(errno));
	else
		ret = listen_at(control, &dir, err);
	sockdir_close(&dir);
	if (ret && control->fd >= 0) {
		close(control->fd);
		control->fd = -1;
	}
	return ret;
}

static void forget_output(struct control_peer *peer)
{
	free(peer->out);
	peer->out = NULL;
	peer->out_len = peer->sent = 0;
}

static void drop(struct control_peer *peer)
{
	forget_output(peer);
	close(peer->fd);
	peer->fd = -1;
}

/* If it is still ours: somebody may have removed it, and another taken the name. */
static void remove_file(const struct control *control)
{
	struct sockaddr_un addr;
	struct sockdir dir;
	struct stat st;

	if (!sockdir_open(&dir, false) && !sockdir_lock(&dir) &&
	    !sockdir_address(&dir, control->name, &addr) && !lstat(addr.sun_path, &st) &&
	    st.st_dev == control->dev && st.st_ino == control->ino)
		unlink(addr.sun_path);
	sockdir_close(&dir);
}

/* ---- Peers ---------------------------------------------------------------------- */

/* The end of the first request, or NULL if it is not complete. */
static const char *line_end(const struct control_peer *peer)
{
	return memchr(peer->in, '\n', peer->len);
}

static short wanted(const struct control_peer *peer)
{
	if (peer->out || line_end(peer))
		return POLLOUT;
	if (peer->ended)
		return peer->follows ? 0 : POLLOUT;	/* until it hangs up */
	return POLLIN;
}

nfds_t control_poll(const struct control *control, struct pollfd *fds)
{
	nfds_t nr = 1;

	fds[0] = (struct pollfd){ .fd = control->fd, .events = POLLIN };
	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		const struct control_peer *peer = &control->peers[i];

		fds[1 + i] = (struct pollfd){ .fd = peer->fd };
		if (peer->fd < 0)
			continue;
		fds[1 + i].events = wanted(peer);
		nr = 2 + i;
	}
	return nr;
}

/* False: the peer is gone. */
static bool flush(struct control_peer *peer)
{
	ssize_t n = send(peer->fd, peer->out + peer->sent, peer->out_len - peer->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	peer->sent += (size_t)n;
	if (peer->sent == peer->out_len)
		forget_output(peer);
	return true;
}

/* Behind what is on its way. */
static bool add_output(struct control_peer *peer, const char *text)
{
	size_t left = peer->out_len - peer->sent;
	size_t len = strlen(text);
	char *out;

	if (peer->sent)
		memmove(peer->out, peer->out + peer->sent, left);
	peer->sent = 0;
	peer->out_len = left;
	out = realloc(peer->out, left + len);
	if (!out)
		return false;
	memcpy(out + left, text, len);
	peer->out = out;
	peer->out_len += len;
	return true;
}

/* It may be news to others, and to this peer as well, which are told first. */
static bool answer(struct control *control, struct control_peer *peer, const char *line, size_t len)
{
	char *reply = control->answer(control->arg, line, len, &peer->follows);
	bool alive = reply && add_output(peer, reply);

	free(reply);
	return alive && flush(peer);
}

void control_tell(struct control *control, const char *lines)
{
	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		struct control_peer *peer = &control->peers[i];

		if (peer->fd < 0 || !peer->follows)
			continue;
		/* It is closed once no peer is being served. */
		if (peer->out_len - peer->sent > CONTROL_BACKLOG || !add_output(peer, lines))
			peer->lost = true;
	}
}

void control_close(struct control *control)
{
	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		struct control_peer *peer = &control->peers[i];

		if (peer->fd < 0)
			continue;
		/* The last news; what does not fit into the socket now is lost. */
		if (peer->out)
			flush(peer);
		drop(peer);
	}
	if (control->fd < 0)
		return;
	close(control->fd);
	control->fd = -1;
	remove_file(control);
}

/* The first complete request, if there is one. */
static bool take_line(struct control *control, struct control_peer *peer)
{
	const char *end = line_end(peer);
	size_t len;
	bool alive;

	if (!end && peer->len == CONTROL_LINE) {
		/* Longer than any request: what would follow cannot be told apart. */
		peer->ended = true;
		peer->follows = false;
		peer->len = 0;
		return answer(control, peer, peer->in, CONTROL_LINE);
	}
	if (!end)
		return true;
	len = (size_t)(end - peer->in);
	alive = len == 0 || answer(control, peer, peer->in, len);
	peer->len -= len + 1;
	memmove(peer->in, end + 1, peer->len);
	return alive;
}

static bool fill(struct control *control, struct control_peer *peer)
{
	ssize_t n = recv(peer->fd, peer->in + peer->len, CONTROL_LINE - peer->len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	peer->ended = n == 0;
	peer->len += (size_t)n;
	peer->last = ++control->clock;
	return true;
}

static void serve(struct control *control, struct control_peer *peer, short events)
{
	bool alive = true;

	/* There may be news since its events were asked for. */
	if (peer->out)
		alive = events & POLLOUT ? flush(peer) : !(events & (POLLHUP | POLLERR));
	else if (events & POLLIN)
		alive = fill(control, peer);
	else if (!(events & POLLOUT))
		alive = false;
	if (alive && !peer->out)
		alive = take_line(control, peer);
	if (!alive || (peer->ended && !peer->follows && !peer->out && !line_end(peer)))
		drop(peer);
}

static bool goes_before(const struct control_peer *a, const struct control_peer *b)
{
	if (a->follows != b->follows)
		return b->follows;
	return a->last < b->last;
}

static struct control_peer *find_place(struct control *control)
{
	struct control_peer *idle = &control->peers[0];

	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		struct control_peer *peer = &control->peers[i];

		if (peer->fd < 0)
			return peer;
		if (goes_before(peer, idle))
			idle = peer;
	}
	drop(idle);
	return idle;
}

static bool is_one_of_us(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	return cred.uid == geteuid() || cred.uid == 0;
}

static int accept_peer(const struct control *control)
{
	int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void welcome(struct control *control)
{
	struct control_peer *peer;
	int fd = accept_peer(control);

	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
		/* It stays in the queue, and would wake us for ever. */
		control_close(control);
		return;
	}
	if (fd < 0)
		return;
	if (!is_one_of_us(fd)) {
		close(fd);
		return;
	}
	peer = find_place(control);
	peer->fd = fd;
	peer->ended = peer->follows = peer->lost = false;
	peer->len = 0;
	peer->out = NULL;
	peer->out_len = peer->sent = 0;
	peer->last = ++control->clock;
}

void control_serve(struct control *control, const struct pollfd *fds)
{
	for (size_t i = 0; i < CONTROL_PEERS; i++) {
		struct control_peer *peer = &control->peers[i];

		if (fds[1 + i].revents && peer->fd == fds[1 + i].fd)
			serve(control, peer, fds[1 + i].revents);
	}
	for (size_t i = 0; i < CONTROL_PEERS; i++)
		if (control->peers[i].fd >= 0 && control->peers[i].lost)
			drop(&control->peers[i]);
	if (fds[0].revents)
		welcome(control);
}
