/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faults_cli.c - calls of libc's by the program alone that fail on request
 *
 * Device files that are not everybody's are pretended.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/faults.h"
#include "vmm/types.h"

int t_open(const char *path, int flags, ...);
FILE *t_fopen(const char *path, const char *mode);
int t_stat(const char *path, struct stat *st);
int t_lstat(const char *path, struct stat *st);
int t_mkdir(const char *path, mode_t mode);
int t_fchmod(int fd, mode_t mode);
int t_flock(int fd, int op);
int t_pipe2(int *fds, int flags);
int t_socketpair(int domain, int type, int protocol, int *fds);
int t_listen(int fd, int backlog);
int t_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t t_send(int fd, const void *buf, size_t len, int flags);
ssize_t t_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t t_write(int fd, const void *buf, size_t len);
int t_signalfd(int fd, const sigset_t *set, int flags);
pid_t t_fork(void);
int t_pidfd_open(pid_t pid, unsigned int flags);
int t_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *files,
		   const posix_spawnattr_t *attr, char *const argv[], char *const env[]);

static bool is_pretended(const char *path)
{
	static const char *const paths[] = { "/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!strcmp(paths[i], path))
			return true;
	return false;
}

static const char *open_name(const char *path, int flags)
{
	if (flags & O_DIRECTORY)
		return "open of a directory";
	return strcmp(path, "/proc/self/fd/1") ? "open" : "open of stdout";
}

int t_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if (faults_hit(open_name(path, flags), 0))
		return -1;
	return is_pretended(path) ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : open(path, flags, mode);
}

FILE *t_fopen(const char *path, const char *mode)
{
	return faults_hit("fopen", 0) ? NULL : fopen(path, mode);
}

int t_stat(const char *path, struct stat *st)
{
	return faults_hit("stat", 0) ? -1 : stat(path, st);
}

int t_lstat(const char *path, struct stat *st)
{
	return faults_hit("lstat", 0) ? -1 : lstat(path, st);
}

int t_mkdir(const char *path, mode_t mode)
{
	return faults_hit("mkdir", 0) ? -1 : mkdir(path, mode);
}

int t_fchmod(int fd, mode_t mode)
{
	return faults_hit("fchmod", 0) ? -1 : fchmod(fd, mode);
}

int t_flock(int fd, int op)
{
	const char *name = op == LOCK_UN ? "flock to unlock" :
			   op & LOCK_NB ? "flock without waiting" : "flock";

	return faults_hit(name, 0) ? -1 : flock(fd, op);
}

int t_pipe2(int *fds, int flags)
{
	return faults_hit("pipe2", 0) ? -1 : pipe2(fds, flags);
}

int t_socketpair(int domain, int type, int protocol, int *fds)
{
	return faults_hit("socketpair", 0) ? -1 : socketpair(domain, type, protocol, fds);
}

int t_listen(int fd, int backlog)
{
	return faults_hit("listen", 0) ? -1 : listen(fd, backlog);
}

int t_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return faults_hit("connect", 0) ? -1 : connect(fd, addr, len);
}

ssize_t t_send(int fd, const void *buf, size_t len, int flags)
{
	return faults_hit("send", 0) ? -1 : send(fd, buf, len, flags);
}

ssize_t t_recvmsg(int fd, struct msghdr *m, int flags)
{
	return faults_hit("recvmsg", 0) ? -1 : recvmsg(fd, m, flags);
}

/* What is said of a failure is heard. */
ssize_t t_write(int fd, const void *buf, size_t len)
{
	return fd != STDERR_FILENO && faults_hit("write", 0) ? -1 : write(fd, buf, len);
}

int t_signalfd(int fd, const sigset_t *set, int flags)
{
	return faults_hit("signalfd", 0) ? -1 : signalfd(fd, set, flags);
}

pid_t t_fork(void)
{
	return faults_hit("fork", 0) ? -1 : fork();
}

int t_pidfd_open(pid_t pid, unsigned int flags)
{
	return faults_hit("pidfd_open", 0) ? -1 : pidfd_open(pid, flags);
}

int t_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *files,
		   const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	int err = faults_hit("posix_spawnp", 0);

	return err ? err : posix_spawnp(pid, file, files, attr, argv, env);
}
