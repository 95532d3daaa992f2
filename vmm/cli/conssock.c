/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conssock.c - a unix socket of the host for a serial port
 *
 * The guest's console has one end of a pair for as long as there is a guest, so that
 * clients come and go without its noticing.  One is served at a time, the next waits in
 * the listener's queue.
 *
 * Output that nobody is there to take is kept, the newest of it, and is what a client
 * sees first.  A client that does not read makes the guest wait, and a guest that does
 * not read makes the client wait, so neither loses anything.
 */
#include "vmm/cli/conssock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/cli/closefd.h"
#include "vmm/cli/refuse.h"

#define OUT_SIZE	(CONSSOCK_BACKLOG + CONSSOCK_CHUNK)
#define LAST_MS		1000	/* for a client to take what is left in the end */

void conssock_clear(struct conssock *cons)
{
	memset(cons, 0, sizeof(*cons));
	cons->guest_fd = cons->fd = cons->listen_fd = cons->client = -1;
}

/* ---- Its name ------------------------------------------------------------- */

/* Whoever else makes or removes a socket there waits.  -1: it cannot be locked. */
static int lock_dir_of(const char *path)
{
	char buf[PATH_MAX];
	int fd;

	snprintf(buf, sizeof(buf), "%s", path);
	fd = open(dirname(buf), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX)) {
		if (errno != EINTR)
			close_fd(&fd);
	}
	return fd;
}

/* Does somebody answer there?  If not, and it is a socket, it is removed. */
static bool bury(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;
	bool dead;

	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED &&
	       !lstat(addr->sun_path, &st) && S_ISSOCK(st.st_mode) && !unlink(addr->sun_path);
	close(fd);
	return dead;
}

/* For its owner alone. */
static int bind_to(struct conssock *cons, const struct sockaddr_un *addr)
{
	const struct sockaddr *sa = (const struct sockaddr *)addr;
	struct stat st;

	if (fchmod(cons->listen_fd, 0600))
		return -errno;
	if (bind(cons->listen_fd, sa, sizeof(*addr))) {
		if (errno != EADDRINUSE)
			return -errno;
		if (!bury(addr) || bind(cons->listen_fd, sa, sizeof(*addr)))
			return -EADDRINUSE;
	}
	if (listen(cons->listen_fd, 1) || lstat(addr->sun_path, &st)) {
		int ret = -errno;

		unlink(addr->sun_path);
		return ret;
	}
	cons->dev = st.st_dev;
	cons->ino = st.st_ino;
	return 0;
}

static int listen_at(struct conssock *cons, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int lock;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	cons->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (cons->listen_fd < 0)
		return -errno;
	lock = lock_dir_of(path);
	ret = bind_to(cons, &addr);
	close_fd(&lock);
	if (!ret)
		cons->path = path;
	return ret;
}

int conssock_open(struct conssock *cons, const char *path, struct vmm_error *err)
{
	int pair[2];
	int ret;

	conssock_clear(cons);
	cons->in = malloc(CONSSOCK_CHUNK + OUT_SIZE);
	if (!cons->in)
		return refuse(err, -ENOMEM, "%s: out of memory", path);
	cons->out = cons->in + CONSSOCK_CHUNK;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return refuse(err, -errno, "%s: %s", path, strerror(errno));
	cons->guest_fd = pair[0];
	cons->fd = pair[1];
	ret = listen_at(cons, path);
	return ret ? refuse(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* Somebody may have put another file there. */
static void remove_file(const struct conssock *cons)
{
	struct stat st;

	if (cons->path && !lstat(cons->path, &st) && st.st_dev == cons->dev &&
	    st.st_ino == cons->ino)
		unlink(cons->path);
}

/* ---- Bytes ---------------------------------------------------------------- */

static void welcome(struct conssock *cons)
{
	cons->client = accept4(cons->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cons->deaf = false;
	/* It would stay in the queue, and wake us for ever. */
	if (cons->client < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		close_fd(&cons->listen_fd);
}

static void give_input(struct conssock *cons)
{
	ssize_t done = send(cons->fd, cons->in + cons->in_start, cons->in_len, MSG_NOSIGNAL);

	if (done < 0)
		return;
	cons->in_start += (size_t)done;
	cons->in_len -= (size_t)done;
}

/* A client's end is that of its input: what it sent before has been read by then. */
static void take_input(struct conssock *cons)
{
	ssize_t got = read(cons->client, cons->in, CONSSOCK_CHUNK);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close_fd(&cons->client);
		return;
	}
	cons->in_start = 0;
	cons->in_len = (size_t)got;
	give_input(cons);
}

static bool has_reader(const struct conssock *cons)
{
	return cons->client >= 0 && !cons->deaf;
}

/* Where the next chunk goes, which the oldest makes room for if nobody waits for that. */
static size_t make_room(struct conssock *cons)
{
	size_t room = OUT_SIZE - cons->out_len;

	if (room >= CONSSOCK_CHUNK || has_reader(cons))
		return room < CONSSOCK_CHUNK ? room : CONSSOCK_CHUNK;
	cons->out_len -= CONSSOCK_CHUNK - room;
	memmove(cons->out, cons->out + CONSSOCK_CHUNK - room, cons->out_len);
	return CONSSOCK_CHUNK;
}

static bool take_output(struct conssock *cons)
{
	size_t room = make_room(cons);
	ssize_t got = room ? read(cons->fd, cons->out + cons->out_len, room) : 0;

	if (got <= 0)
		return false;
	cons->out_len += (size_t)got;
	return true;
}

static void give_output(struct conssock *cons)
{
	ssize_t done = send(cons->client, cons->out, cons->out_len, MSG_NOSIGNAL);

	if (done < 0) {
		/* Gone, but what it has typed may still be there to read. */
		cons->deaf = errno != EAGAIN && errno != EINTR;
		return;
	}
	cons->out_len -= (size_t)done;
	memmove(cons->out, cons->out + done, cons->out_len);
}

void conssock_poll(const struct conssock *cons, struct pollfd *fds)
{
	short client = 0;
	short guest = 0;

	if (!cons->in_len)
		client |= POLLIN;
	else
		guest |= POLLOUT;
	if (cons->out_len && has_reader(cons))
		client |= POLLOUT;
	if (cons->out_len < OUT_SIZE || !has_reader(cons))
		guest |= POLLIN;
	fds[0] = (struct pollfd){ .fd = cons->fd, .events = guest };
	fds[1] = (struct pollfd){ .fd = cons->listen_fd, .events = POLLIN };
	/* One that is waited for in no way would wake us by its hanging up. */
	if (cons->client >= 0)
		fds[1] = (struct pollfd){ .fd = client ? cons->client : -1, .events = client };
}

void conssock_serve(struct conssock *cons)
{
	if (cons->fd < 0)
		return;
	if (cons->client < 0 && cons->listen_fd >= 0)
		welcome(cons);
	if (cons->in_len)
		give_input(cons);
	else if (cons->client >= 0)
		take_input(cons);
	take_output(cons);
	if (cons->out_len && has_reader(cons))
		give_output(cons);
}

/* The guest's last words, for who reads them. */
static void drain(struct conssock *cons)
{
	struct pollfd p = { .fd = cons->client, .events = POLLOUT };

	while ((take_output(cons) || cons->out_len) && has_reader(cons) &&
	       poll(&p, 1, LAST_MS) > 0)
		give_output(cons);
}

void conssock_close(struct conssock *cons)
{
	if (cons->fd >= 0)
		drain(cons);
	remove_file(cons);
	close_fd(&cons->client);
	close_fd(&cons->listen_fd);
	close_fd(&cons->fd);
	close_fd(&cons->guest_fd);
	free(cons->in);
	conssock_clear(cons);
}
