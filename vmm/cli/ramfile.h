/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ramfile.h - a file to be the guest's RAM
 */
#ifndef VMM_CLI_RAMFILE_H
#define VMM_CLI_RAMFILE_H

#include <stdint.h>

/* A memfd, called "vmm:@name" in /proc.  Returns it or a negative errno. */
int ramfile_memfd(const char *name, uint64_t size);

/* The size of the pages of a hugetlbfs; -EMEDIUMTYPE if @dir is on none. */
int ramfile_page_size(const char *dir, uint64_t *size);

/* A file on the hugetlbfs at @dir that no directory has. */
int ramfile_hugetlbfs(const char *dir, uint64_t size);

#endif /* VMM_CLI_RAMFILE_H */
