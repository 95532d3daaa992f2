/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockdir.c - the directory in which running guests have their control sockets
 *
 * A guest that was killed leaves its socket, which nobody answers any more; whoever
 * comes next removes it.  To tell it from one that is just being made, sockets are
 * made and removed with the directory locked.
 */
#include "vmm/cli/sockdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int find_place(struct sockdir *dir)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int len;

	/* A relative path is to be ignored (XDG Base Directory Specification). */
	if (!base || *base != '/')
		base = geteuid() == 0 ? "/run" : NULL;
	if (!base)
		return -ENOENT;
	len = snprintf(dir->path, sizeof(dir->path), "%s/vmm", base);
	return len < (int)sizeof(dir->path) ? 0 : -ENAMETOOLONG;
}

/* Ours alone, or a guest there may be somebody else's. */
static int check_owner(const struct sockdir *dir)
{
	struct stat st;

	if (fstat(dir->fd, &st))
		return -errno;
	return st.st_uid != geteuid() || st.st_mode & 077 ? -EPERM : 0;
}

int sockdir_open(struct sockdir *dir, bool make)
{
	int ret;

	dir->fd = -1;
	dir->path[0] = '\0';
	ret = find_place(dir);
	if (ret)
		return ret;
	if (make && mkdir(dir->path, 0700) && errno != EEXIST)
		return -errno;
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0)
		return -errno;
	ret = check_owner(dir);
	if (ret)
		sockdir_close(dir);
	return ret;
}

void sockdir_close(struct sockdir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
}

int sockdir_lock(const struct sockdir *dir)
{
	while (flock(dir->fd, LOCK_EX)) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

void sockdir_unlock(const struct sockdir *dir)
{
	flock(dir->fd, LOCK_UN);
}

int sockdir_address(const struct sockdir *dir, const char *name, struct sockaddr_un *addr)
{
	int len;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	len = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/%s" SOCKDIR_SUFFIX, dir->path,
		       name);
	return len < (int)sizeof(addr->sun_path) ? 0 : -ENAMETOOLONG;
}

int sockdir_connect(const struct sockdir *dir, const char *name, int timeout_ms)
{
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct sockaddr_un addr;
	int ret = sockdir_address(dir, name, &addr);
	int fd;

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* One who is suspended accepts nobody, and the queue may be full. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	do {
		ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	} while (ret == -EINTR);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

bool sockdir_bury(const struct sockdir *dir, const char *name)
{
	struct sockaddr_un addr;
	struct stat st;
	int fd = sockdir_connect(dir, name, 1);

	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return fd != -ENOENT;
	/* That is also what is said of a file that is no socket. */
	if (!sockdir_address(dir, name, &addr) && !lstat(addr.sun_path, &st) &&
	    S_ISSOCK(st.st_mode))
		unlink(addr.sun_path);
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How long the name in @file is; 0: it is no socket's. */
static size_t name_len(const char *file)
{
	size_t len = strlen(file);
	size_t suffix = strlen(SOCKDIR_SUFFIX);

	if (len <= suffix || strcmp(file + len - suffix, SOCKDIR_SUFFIX))
		return 0;
	return len - suffix;
}

/* As many of the names as there is room for in @names, which is enough. */
static void take_names(const struct sockdir *dir, struct dirent **files, int nr_files, char **names)
{
	char *text = (char *)(names + nr_files + 1);
	size_t nr = 0;

	for (int i = 0; i < nr_files; i++) {
		size_t len = name_len(files[i]->d_name);

		if (!len)
			continue;
		memcpy(text, files[i]->d_name, len);
		text[len] = '\0';
		if (!sockdir_bury(dir, text))
			continue;
		names[nr++] = text;
		text += len + 1;
	}
	qsort(names, nr, sizeof(*names), by_name);
	names[nr] = NULL;
}

char **sockdir_living(const struct sockdir *dir)
{
	size_t size = sizeof(char *);
	struct dirent **files;
	char **names;
	int nr_files;

	if (sockdir_lock(dir))
		return NULL;
	nr_files = scandirat(dir->fd, ".", &files, NULL, NULL);
	for (int i = 0; i < nr_files; i++)
		size += sizeof(char *) + strlen(files[i]->d_name) + 1;
	names = nr_files < 0 ? NULL : malloc(size);
	if (names)
		take_names(dir, files, nr_files, names);
	sockdir_unlock(dir);
	for (int i = 0; i < nr_files; i++)
		free(files[i]);
	if (nr_files >= 0)
		free(files);
	return names;
}
