/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confined.c - what a program that has entered the sandbox can reach, and what not
 *
 *   confined DIR [open]     of DIR/mine it may have all, of DIR/read it may read, and
 *                           nothing of DIR/other; with "open", of files it may have all
 *
 * A line for each thing that it tries, with the error, or 0.  What seccomp lets through
 * is tried, and by io_uring what it does not see.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vmm.h>

static int other_dir = -1;	/* open before */
static int stream = -1;
static int unbound = -1;
static int dgram = -1;
static struct sockaddr_in listener;
static const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0confined" };

static void tell(const char *what, int error)
{
	printf("%s %d\n", what, error);
}

static void try(const char *what, int dir, const char *path, int flags)
{
	int fd = openat(dir, path, flags | O_CLOEXEC, 0600);

	tell(what, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

static void try_remove(const char *what, const char *path)
{
	tell(what, unlink(path) ? errno : 0);
}

/* What one request of io_uring comes to. */
static int submitted(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(ring, 1);

	if (ret < 0 || io_uring_peek_cqe(ring, &cqe))
		return ret < 0 ? ret : -EIO;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static void try_ring(void)
{
	struct io_uring ring;
	int ret;

	if (io_uring_queue_init(4, &ring, 0)) {
		tell("ring", errno);
		return;
	}
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "other/file", O_RDONLY, 0);
	ret = submitted(&ring);
	tell("ring-read-other", ret < 0 ? -ret : 0);
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "read/new", O_WRONLY | O_CREAT, 0600);
	ret = submitted(&ring);
	tell("ring-make-read", ret < 0 ? -ret : 0);
	io_uring_prep_connect(io_uring_get_sqe(&ring), stream, (const struct sockaddr *)&listener,
			      sizeof(listener));
	ret = submitted(&ring);
	tell("ring-connect", ret < 0 ? -ret : 0);
	io_uring_queue_exit(&ring);
}

/* Somebody's outside, to be spoken to. */
static int prepare(void)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	int local = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t len = sizeof(listener);

	listener.sin_family = AF_INET;
	listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	other_dir = open("other", O_PATH | O_DIRECTORY);
	stream = socket(AF_INET, SOCK_STREAM, 0);
	unbound = socket(AF_INET, SOCK_STREAM, 0);
	dgram = socket(AF_UNIX, SOCK_DGRAM, 0);
	return other_dir < 0 || stream < 0 || dgram < 0 ||
	       bind(tcp, (const struct sockaddr *)&listener, sizeof(listener)) || listen(tcp, 1) ||
	       getsockname(tcp, (struct sockaddr *)&listener, &len) ||
	       bind(local, (const struct sockaddr *)&name, sizeof(name));
}

static void try_sockets(void)
{
	const struct sockaddr_in any = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	tell("bind", bind(unbound, (const struct sockaddr *)&any, sizeof(any)) ? errno : 0);
	tell("abstract", sendto(dgram, "x", 1, 0, (const struct sockaddr *)&name, sizeof(name)) < 0 ?
			 errno : 0);
}

int main(int argc, char **argv)
{
	static const struct vmm_sandbox_path paths[] = {
		{ "mine", VMM_PATH_READ | VMM_PATH_WRITE | VMM_PATH_MAKE },
		{ "read", VMM_PATH_READ },
	};
	struct vmm_sandbox_config cfg = VMM_SANDBOX_CONFIG_INIT;
	struct vmm_error err;

	if (argc < 2 || chdir(argv[1]) || prepare()) {
		perror("confined");
		return 2;
	}
	cfg.role = VMM_SANDBOX_CONTROL;
	if (argc == 2) {
		cfg.flags = VMM_SANDBOX_F_FILES;
		cfg.paths = paths;
		cfg.nr_paths = sizeof(paths) / sizeof(paths[0]);
	}
	if (vmm_sandbox_enter(&cfg, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	try("read-mine", AT_FDCWD, "mine/file", O_RDONLY);
	try("write-mine", AT_FDCWD, "mine/file", O_WRONLY);
	try("make-mine", AT_FDCWD, "mine/new", O_WRONLY | O_CREAT | O_EXCL);
	try_remove("remove-mine", "mine/new");
	try("read-read", AT_FDCWD, "read/file", O_RDONLY);
	try("list-read", AT_FDCWD, "read", O_RDONLY | O_DIRECTORY);
	try("write-read", AT_FDCWD, "read/file", O_WRONLY);
	try("make-read", AT_FDCWD, "read/new-too", O_WRONLY | O_CREAT | O_EXCL);
	try_remove("remove-read", "read/gone");
	try("read-other", AT_FDCWD, "other/file", O_RDONLY);
	try("list-other", AT_FDCWD, "other", O_RDONLY | O_DIRECTORY);
	try("write-other", AT_FDCWD, "other/file", O_WRONLY);
	try("make-other", AT_FDCWD, "other/new", O_WRONLY | O_CREAT | O_EXCL);
	try_remove("remove-other", "other/gone");
	try("link", AT_FDCWD, "mine/link", O_RDONLY);
	try("above", AT_FDCWD, "mine/../other/file", O_RDONLY);
	try("within", other_dir, "file", O_RDONLY);
	try("self", AT_FDCWD, "/proc/self/status", O_RDONLY);
	try("init", AT_FDCWD, "/proc/1/status", O_RDONLY);
	try("sys", AT_FDCWD, "/sys/kernel/uevent_seqnum", O_RDONLY);
	try("passwd", AT_FDCWD, "/etc/passwd", O_RDONLY);
	try("null", AT_FDCWD, "/dev/null", O_WRONLY);
	try_ring();
	try_sockets();
	return 0;
}
