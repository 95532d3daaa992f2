/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rootdir.c - a directory among the disks, as kvmtool has it
 *
 * There it is a 9P file system; here it is a virtio-fs, which Debian's kernels mount
 * without an initrd.
 */
#include "vmm/cli/rootdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What cannot be looked at is left to who opens it. */
static bool is_directory(const struct disk_option *disk)
{
	char *path = strndup(disk->path, (size_t)disk->path_len);
	struct stat st;
	bool is = path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	free(path);
	return is;
}

static int refuse(struct vmm_error *err, const struct disk_option *disk, const char *why)
{
	snprintf(err->msg, sizeof(err->msg), "--disk %.*s: %s",
		 disk->path_len < 160 ? disk->path_len : 160, disk->path, why);
	return -EINVAL;
}

static int take(struct run_options *opts, const struct disk_option *disk, struct vmm_error *err)
{
	if (opts->root_fs)
		return refuse(err, disk, "a second directory; one can be the root file system");
	if (disk->direct || disk->queues || disk->serial)
		return refuse(err, disk, "a directory takes only ro and sandbox=");
	if (opts->nr_fs == OPTIONS_FS)
		return refuse(err, disk, "too many directories, with those of --fs");
	opts->fs[opts->nr_fs++] = (struct fs_option){
		.dir = disk->path, .dir_len = disk->path_len,
		.tag = OPTIONS_ROOT_TAG, .tag_len = (int)strlen(OPTIONS_ROOT_TAG),
		.sandbox = disk->sandbox, .sandbox_len = disk->sandbox_len, .ro = disk->ro,
	};
	opts->root_fs = true;
	return 0;
}

int rootdir_take(struct run_options *opts, struct vmm_error *err)
{
	uint32_t disks = 0;

	for (uint32_t i = 0; i < opts->nr_disks; i++) {
		const struct disk_option disk = opts->disks[i];
		int ret = 0;

		if (is_directory(&disk))
			ret = take(opts, &disk, err);
		else if (disk.sandbox)
			ret = refuse(err, &disk, "sandbox= is for directories");
		else
			opts->disks[disks++] = disk;
		if (ret)
			return ret;
	}
	opts->nr_disks = disks;
	return 0;
}
