/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * landlock.c - no file but those that are named (Documentation/userspace-api/landlock.rst)
 *
 * The interface has a version; each brings rights that older kernels do not know,
 * and so cannot take away.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/landlock.h"

/* include/uapi/linux/landlock.h, of which old headers have but a part. */
#define RULESET_VERSION		(1u << 0)
#define RULE_PATH_BENEATH	1
#define FS_WRITE_FILE		(1ull << 1)
#define FS_READ_FILE		(1ull << 2)
#define FS_READ_DIR		(1ull << 3)
#define FS_REMOVE_FILE		(1ull << 5)
#define FS_MAKE_REG		(1ull << 8)
#define FS_TRUNCATE		(1ull << 14)	/* Linux 6.2 */
#define FS_IOCTL_DEV		(1ull << 15)	/* Linux 6.10 */
#define NET_BIND_TCP		(1ull << 0)	/* Linux 6.7 */
#define NET_CONNECT_TCP		(1ull << 1)
#define SCOPE_ABSTRACT_UNIX	(1ull << 0)	/* Linux 6.12 */

/* Of a file that is no directory. */
#define FS_FILE			(FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

struct ruleset {
	u64	fs;
	u64	net;
	u64	scoped;
};

struct rule {
	u64	access;
	int	fd;
} __attribute__((packed));

/* How many rights of files each version has. */
static u64 fs_rights(int version)
{
	static const u8 nr[] = { 0, 13, 14, 15, 15, 16 };
	int last = (int)ARRAY_SIZE(nr) - 1;

	return (1ull << nr[version < last ? version : last]) - 1;
}

int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	return version > 0 ? (int)version : 0;
}

static u64 rights_of(u64 access)
{
	u64 rights = 0;

	if (access & VMM_PATH_READ)
		rights |= FS_READ_FILE | FS_READ_DIR;
	if (access & VMM_PATH_WRITE)
		rights |= FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
	if (access & VMM_PATH_MAKE)
		rights |= FS_MAKE_REG | FS_REMOVE_FILE;
	return rights;
}

/* What is not there cannot be opened, with or without a rule. */
static int allow(int ruleset, const struct vmm_sandbox_path *path, u64 known, struct vmm_error *err)
{
	struct rule rule = { .access = rights_of(path->access) & known };
	struct stat st;
	int ret = 0;

	rule.fd = open(path->path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 :
		       error_sys(err, -errno, "sandbox: %s", path->path);
	if (!fstat(rule.fd, &st) && !S_ISDIR(st.st_mode))
		rule.access &= FS_FILE;
	if (rule.access && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0))
		ret = error_sys(err, -errno, "sandbox: %s", path->path);
	close(rule.fd);
	return ret;
}

int landlock_restrict(const struct vmm_sandbox_path *const lists[], const size_t nrs[],
		      size_t nr_lists, struct vmm_error *err)
{
	int version = landlock_version();
	struct ruleset attr = { .fs = fs_rights(version) };
	int ret = 0;
	int fd;

	if (!version)
		return 0;
	if (version >= 4)
		attr.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return error_sys(err, -errno, "sandbox: Landlock");
	for (size_t i = 0; i < nr_lists; i++)
		for (size_t j = 0; j < nrs[i] && !ret; j++)
			ret = allow(fd, &lists[i][j], attr.fs, err);
	if (!ret && syscall(SYS_landlock_restrict_self, fd, 0))
		ret = error_sys(err, -errno, "sandbox: Landlock");
	fd_close(&fd);
	return ret;
}
