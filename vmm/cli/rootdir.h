/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rootdir.h - a directory among the disks
 */
#ifndef VMM_CLI_ROOTDIR_H
#define VMM_CLI_ROOTDIR_H

#include "vmm/cli/options.h"

/*
 * A directory is no disk: it becomes the guest's root file system, of @opts->fs.
 * 0, or -EINVAL with what is wrong in @err.
 */
int rootdir_take(struct run_options *opts, struct vmm_error *err);

#endif /* VMM_CLI_ROOTDIR_H */
