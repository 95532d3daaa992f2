/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - read and write a descriptor that the host lent us
 *
 * Sockets take a flag a call.  Everything else is asked with RWF_NOWAIT, which
 * new kernels know for pipes.  Where it is not known, the caller has polled: a
 * pipe that poll() reports writable has room for PIPE_BUF bytes (pipe(7)).  Of a
 * terminal poll() says less, a little room and no more: small pieces make it
 * unlikely that a blocking one keeps us, and O_NONBLOCK, which vmm.h asks for
 * there, makes it impossible.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "devices/stream.h"
#include "vmm/fd.h"

int stream_init(struct stream *s, int fd)
{
	struct stat st;
	int ret;

	*s = (struct stream){ .fd = -1 };
	if (fd < 0)
		return 0;
	ret = fd_dup(fd);
	if (ret < 0)
		return ret;
	s->fd = ret;
	if (fstat(s->fd, &st) < 0) {
		ret = -errno;
		stream_fini(s);
		return ret;
	}
	s->is_socket = S_ISSOCK(st.st_mode);
	s->is_file = S_ISREG(st.st_mode);
	s->is_char = S_ISCHR(st.st_mode);
	return 0;
}

void stream_fini(struct stream *s)
{
	fd_close(&s->fd);
}

/* The mode is shared with whoever else has the descriptor, so ask each time. */
static bool is_nonblocking(const struct stream *s)
{
	int flags = fcntl(s->fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

bool stream_must_poll(const struct stream *s)
{
	return !s->is_socket && !s->is_file && !is_nonblocking(s);
}

/* Is RWF_NOWAIT what was refused?  If it was not, the plain call says so. */
static bool refuses_nowait(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

#define CHAR_CHUNK	64

static size_t chunk(const struct stream *s, size_t len)
{
	size_t max = s->is_char ? CHAR_CHUNK : PIPE_BUF;

	if (!stream_must_poll(s))
		return len;
	return len < max ? len : max;
}

static ssize_t do_read(struct stream *s, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	ssize_t ret;

	if (s->is_socket)
		return recv(s->fd, buf, len, MSG_DONTWAIT);
	if (!s->is_file && !s->no_nowait) {
		ret = preadv2(s->fd, &iov, 1, -1, RWF_NOWAIT);
		if (ret >= 0 || !refuses_nowait(errno))
			return ret;
		s->no_nowait = true;
	}
	return read(s->fd, buf, len);
}

static ssize_t do_write(struct stream *s, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	ssize_t ret;

	if (s->is_socket)
		return send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->is_file)
		return write(s->fd, buf, len);
	if (!s->no_nowait) {
		ret = pwritev2(s->fd, &iov, 1, -1, RWF_NOWAIT);
		if (ret >= 0 || !refuses_nowait(errno))
			return ret;
		s->no_nowait = true;
	}
	return write(s->fd, buf, chunk(s, len));
}

/*
 * A write to a pipe that nobody reads, or past RLIMIT_FSIZE, sends the thread a
 * signal that would end a host that lent us its thread.  Block it, and take it
 * back unless it was there before.
 */
static ssize_t quiet_write(struct stream *s, const void *buf, size_t len)
{
	const struct timespec now = { 0 };
	sigset_t ours;
	sigset_t before;
	sigset_t old;
	ssize_t ret;

	sigemptyset(&ours);
	sigaddset(&ours, SIGPIPE);
	sigaddset(&ours, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &ours, &old);
	sigpending(&before);
	ret = do_write(s, buf, len);
	if (ret < 0) {
		ret = -errno;
		if (ret == -EPIPE && !sigismember(&before, SIGPIPE))
			sigtimedwait(&ours, NULL, &now);
		if (ret == -EFBIG && !sigismember(&before, SIGXFSZ))
			sigtimedwait(&ours, NULL, &now);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret ? ret : -EAGAIN;
}

ssize_t stream_read(struct stream *s, void *buf, size_t len)
{
	int saved = errno;
	ssize_t ret;

	do {
		ret = do_read(s, buf, len);
	} while (ret < 0 && errno == EINTR);
	ret = ret < 0 ? -errno : ret;
	errno = saved;
	return ret;
}

ssize_t stream_write(struct stream *s, const void *buf, size_t len)
{
	int saved = errno;
	ssize_t ret;

	do {
		ret = quiet_write(s, buf, len);
	} while (ret == -EINTR);
	errno = saved;
	return ret;
}
