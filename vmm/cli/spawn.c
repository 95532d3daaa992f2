/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.c - programs that work for us
 */
#include "vmm/cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

/* All descriptors of ours are CLOEXEC; a duplicate on itself is not any more. */
static int set_files(posix_spawn_file_actions_t *files, int fd)
{
	int ret = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!ret)
		ret = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
	if (!ret && fd >= 0)
		ret = posix_spawn_file_actions_adddup2(files, fd, SPAWN_FD);
	return ret;
}

static int set_signals(posix_spawnattr_t *attr)
{
	sigset_t none;
	sigset_t all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	ret = posix_spawnattr_setsigmask(attr, &none);
	if (!ret)
		ret = posix_spawnattr_setsigdefault(attr, &all);
	if (!ret)
		ret = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					       POSIX_SPAWN_SETPGROUP);
	return ret;
}

int spawn(pid_t *pid, const char *const argv[], int fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int ret;

	ret = posix_spawn_file_actions_init(&files);
	if (ret)
		return -ret;
	ret = posix_spawnattr_init(&attr);
	if (!ret) {
		ret = set_files(&files, fd);
		if (!ret)
			ret = set_signals(&attr);
		if (!ret)
			ret = posix_spawnp(pid, argv[0], &files, &attr, (char *const *)argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return -ret;
}

int spawn_wait(const char *const argv[])
{
	int status = 0;
	pid_t pid;
	int ret = spawn(&pid, argv, -1);

	if (ret)
		return ret;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}
