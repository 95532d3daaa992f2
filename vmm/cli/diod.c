/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diod.c - diod(8), in a root of its own
 *
 * diod goes by names, and follows what a guest makes of them meanwhile: a symbolic link in
 * the place of a directory would lead it out of what it shares.  So nothing else is there:
 * its root directory has what is shared, the host's libraries, and a list of users with
 * one in it, who is the one that we are.  None of it but what is shared can be written to, and
 * that neither if it is for reading only: it is the kernel that refuses it.
 */
#include "vmm/cli/diod.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/cli/fsd.h"

#define SHARE		"share"		/* in that root */
#define FAILED		126
#define MAX_ARGS	20

static const char *const libraries[] = { "usr", "lib", "lib64" };
#define NR_LIBRARIES	(sizeof(libraries) / sizeof(libraries[0]))

struct root {
	const struct fsd	*fsd;
	int			fd;			/* of what becomes it */
	int			share;			/* mounts that are nowhere yet */
	int			null;
	int			lib[NR_LIBRARIES];	/* or -1: there is no such directory */
};

const char *diod_aname(const struct fsd *fsd)
{
	return strcmp(fsd->sandbox, "none") ? "/" SHARE : fsd->dir;
}

/* In its own root the list of users is ours; otherwise it is the host's. */
void diod_user(struct fsd *fsd)
{
	FILE *list = strcmp(fsd->sandbox, "none") ? NULL : fopen("/etc/passwd", "re");
	const struct passwd *user = NULL;

	while (list && (user = fgetpwent(list)) && user->pw_uid != geteuid())
		;
	snprintf(fsd->user, sizeof(fsd->user), "%s",
		 user ? user->pw_name : geteuid() ? "vmm" : "root");
	if (list)
		fclose(list);
}

__attribute__((noreturn)) static void fail(const struct fsd *fsd, const char *what)
{
	dprintf(STDERR_FILENO, "vmm: --9p %s: %s: %s\n", fsd->dir, what, strerror(errno));
	_exit(FAILED);
}

/* As where there is no namespace to be had, or / is no mount. */
__attribute__((noreturn)) static void no_root(const struct fsd *fsd, const char *what)
{
	dprintf(STDERR_FILENO, "vmm: --9p %s: a root of its own: %s: %s; sandbox=none does without\n",
		fsd->dir, what, strerror(errno));
	_exit(FAILED);
}

static void write_to(const struct fsd *fsd, int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		no_root(fsd, path);
	close(fd);
}

/* Who is not root has to be it over what is mounted, and stays who he is. */
static void take_namespace(const struct fsd *fsd)
{
	const unsigned int uid = geteuid();
	const unsigned int gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)))
		no_root(fsd, "a namespace");
	if (uid) {
		write_to(fsd, AT_FDCWD, "/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", uid, uid);
		write_to(fsd, AT_FDCWD, "/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "%u %u 1", gid, gid);
		write_to(fsd, AT_FDCWD, "/proc/self/gid_map", map);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		no_root(fsd, "mounts of its own");
}

/* A copy of what is mounted at @path, with @flags of mount_setattr(2). */
static int clone_tree(const struct fsd *fsd, const char *path, unsigned long flags)
{
	struct mount_attr attr = { .attr_set = flags };
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		no_root(fsd, path);
	return fd;
}

/* The host's directories, before ours hides them. */
static void clone_trees(struct root *root)
{
	const struct fsd *fsd = root->fsd;
	struct stat st;
	char path[16];

	root->share = clone_tree(fsd, fsd->dir, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 (fsd->ro ? MOUNT_ATTR_RDONLY : 0));
	root->null = clone_tree(fsd, "/dev/null", 0);
	for (size_t i = 0; i < NR_LIBRARIES; i++) {
		snprintf(path, sizeof(path), "/%s", libraries[i]);
		root->lib[i] = -1;
		if (!lstat(path, &st) && S_ISDIR(st.st_mode))
			root->lib[i] = clone_tree(fsd, path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						  MOUNT_ATTR_NODEV);
	}
}

/* An empty one, over all that there is. */
static void mount_root(struct root *root)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "755", 0) ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		no_root(root->fsd, "a tmpfs");
	root->fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID);
	if (root->fd < 0 || move_mount(root->fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH))
		no_root(root->fsd, "a root directory");
	close(fs);
}

static void put(const struct root *root, int tree, const char *name)
{
	if (move_mount(tree, "", root->fd, name, MOVE_MOUNT_F_EMPTY_PATH))
		no_root(root->fsd, name);
	close(tree);
}

/* A symbolic link of the host's, as "lib" is nowadays. */
static void link_library(const struct root *root, const char *name)
{
	char path[16];
	char target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/%s", name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	if (symlinkat(target, root->fd, name))
		no_root(root->fsd, name);
}

static void fill_root(struct root *root)
{
	const struct fsd *fsd = root->fsd;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char user[64];

	if (mkdirat(root->fd, SHARE, 0755) || mkdirat(root->fd, "etc", 0755) ||
	    mkdirat(root->fd, "dev", 0755))
		no_root(fsd, "its directories");
	snprintf(user, sizeof(user), "%s:x:%u:%u::/:\n", fsd->user, geteuid(), getegid());
	write_to(fsd, root->fd, "etc/passwd", user);
	write_to(fsd, root->fd, "dev/null", "");
	for (size_t i = 0; i < NR_LIBRARIES; i++) {
		if (root->lib[i] < 0) {
			link_library(root, libraries[i]);
			continue;
		}
		if (mkdirat(root->fd, libraries[i], 0755))
			no_root(fsd, libraries[i]);
		put(root, root->lib[i], libraries[i]);
	}
	put(root, root->null, "dev/null");
	put(root, root->share, SHARE);
	if (mount_setattr(root->fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ||
	    fchdir(root->fd) || chroot(".") || chdir("/"))
		no_root(fsd, "its root directory");
}

void diod_become(const struct fsd *fsd, int fd)
{
	const char *argv[MAX_ARGS] = {
		/* Whoever the guest says to be, and without logging what it does. */
		"diod", "--foreground", "--no-auth", "--allsquash", "--config-file", "/dev/null",
		"--logdest", "/dev/null", "--export", diod_aname(fsd), "--rfdno",
	};
	struct root root = { .fsd = fsd };
	int program = open(fsd->program, O_PATH | O_CLOEXEC);
	char number[16];
	size_t n = 11;

	if (program < 0)
		fail(fsd, fsd->program);
	snprintf(number, sizeof(number), "%d", fd);
	argv[n++] = number;
	argv[n++] = "--wfdno";
	argv[n++] = number;
	if (fsd->ro) {
		argv[n++] = "--export-opts";
		argv[n++] = "ro";
	}
	/* Anybody else is it by being it. */
	if (!geteuid()) {
		argv[n++] = "--squashuser";
		argv[n++] = fsd->user;
	}
	if (strcmp(fsd->sandbox, "none")) {
		take_namespace(fsd);
		clone_trees(&root);
		mount_root(&root);
		fill_root(&root);
	}
	syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
	fail(fsd, fsd->program);
}
