/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ramfile.c - a file to be the guest's RAM
 */
#include "vmm/cli/ramfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Takes the descriptor over; it is closed if the size is refused. */
static int set_size(int fd, uint64_t size)
{
	int ret;

	if (ftruncate(fd, (off_t)size) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int ramfile_memfd(const char *name, uint64_t size)
{
	char label[96];
	int fd;

	snprintf(label, sizeof(label), "vmm:%s", name);
	fd = memfd_create(label, MFD_CLOEXEC);
	return fd < 0 ? -errno : set_size(fd, size);
}

int ramfile_page_size(const char *dir, uint64_t *size)
{
	struct statfs fs;

	if (statfs(dir, &fs))
		return -errno;
	if ((uint32_t)fs.f_type != HUGETLBFS_MAGIC)
		return -EMEDIUMTYPE;
	*size = (uint64_t)fs.f_bsize;
	return 0;
}

/* For kernels whose hugetlbfs has no O_TMPFILE. */
static int open_unlinked(const char *dir)
{
	char *path;
	int fd;

	if (asprintf(&path, "%s/vmm-XXXXXX", dir) < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(path);
	free(path);
	return fd;
}

/*
 * A page that is not there when the guest first touches it would kill us with
 * SIGBUS.  A shared mapping reserves them all, or fails; the reservation is the
 * file's, and stays when the mapping goes.
 */
static int reserve(int fd, uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int ret;

	if (map != MAP_FAILED) {
		munmap(map, size);
		return fd;
	}
	ret = -errno;
	close(fd);
	return ret;
}

int ramfile_hugetlbfs(const char *dir, uint64_t size)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	if (fd < 0)
		fd = open_unlinked(dir);
	if (fd >= 0)
		fd = set_size(fd, size);
	return fd < 0 ? fd : reserve(fd, size);
}
