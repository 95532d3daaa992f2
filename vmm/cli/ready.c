/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ready.c - who supervises us: which process this is, and when its guest runs
 *
 * sd_notify(3) is one datagram, and libsystemd has no static library.
 */
#include "vmm/cli/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void ready_clear(struct ready *ready)
{
	ready->fd = ready->notify = ready->pidfile = -1;
	ready->path = NULL;
	ready->told = false;
}

/* Somebody may have put another file there. */
static void remove_pidfile(struct ready *ready)
{
	struct stat ours;
	struct stat st;

	if (!fstat(ready->pidfile, &ours) && !lstat(ready->path, &st) && st.st_dev == ours.st_dev &&
	    st.st_ino == ours.st_ino)
		unlink(ready->path);
	close(ready->pidfile);
	ready->pidfile = -1;
}

static int write_pid(int fd)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t done;

	if (ftruncate(fd, 0))
		return -errno;
	done = write(fd, text, (size_t)len);
	if (done < 0)
		return -errno;
	return done == len ? 0 : -ENOSPC;
}

/* It is ours as long as it is locked, so what a killed process left is no obstacle. */
static int make_pidfile(struct ready *ready, const char *path, struct vmm_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0644);
	int ret = fd < 0 ? -errno : 0;

	if (!ret && flock(fd, LOCK_EX | LOCK_NB))
		ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!ret) {
		ready->pidfile = fd;
		ready->path = path;
		ret = write_pid(fd);
		if (!ret)
			return 0;
		remove_pidfile(ready);
	} else if (fd >= 0) {
		close(fd);
	}
	snprintf(err->msg, sizeof(err->msg), "--pidfile %s: %s", path,
		 ret == -EBUSY ? "another process has it" : strerror(-ret));
	return ret;
}

/* -1: nobody wants to know. */
static int open_notify(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || (*path != '/' && *path != '@') || len >= sizeof(addr.sun_path))
		return -1;
	memcpy(addr.sun_path, path, len);
	/* A name that is no file's begins with a NUL. */
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (const struct sockaddr *)&addr,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		return fd;
	close(fd);
	return -1;
}

int ready_begin(struct ready *ready, int fd, const char *pidfile, struct vmm_error *err)
{
	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC)) {
		snprintf(err->msg, sizeof(err->msg), "--ready-fd %d: no descriptor of ours", fd);
		return -EINVAL;
	}
	ready->fd = fd;
	ready->notify = open_notify();
	return pidfile ? make_pidfile(ready, pidfile, err) : 0;
}

static void notify(const struct ready *ready, const char *state)
{
	if (ready->notify >= 0 && send(ready->notify, state, strlen(state), MSG_NOSIGNAL) < 0)
		return;
}

/* Who does not listen any more has no use for it. */
void ready_tell(struct ready *ready)
{
	static const char text[] = "READY=1\n";

	if (ready->told)
		return;
	ready->told = true;
	notify(ready, text);
	if (ready->fd < 0)
		return;
	if (write(ready->fd, text, sizeof(text) - 1) < 0)
		errno = 0;
	close(ready->fd);
	ready->fd = -1;
}

void ready_end(struct ready *ready)
{
	if (ready->told)
		notify(ready, "STOPPING=1\n");
	if (ready->notify >= 0)
		close(ready->notify);
	if (ready->fd >= 0)
		close(ready->fd);
	ready->fd = ready->notify = -1;
	if (ready->pidfile >= 0)
		remove_pidfile(ready);
}
