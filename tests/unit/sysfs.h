/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysfs.h - trees of small files that stand for a host's sysfs
 */
#ifndef TESTS_SYSFS_H
#define TESTS_SYSFS_H

#include <stddef.h>

/* A new, empty directory; t_remove() takes it away with all that is in it. */
char *t_root(void);
void t_remove(char *root);

/* The file @path below @root, with the directories that it takes. */
void t_bytes(const char *root, const char *path, const void *data, size_t len);
void t_put(const char *root, const char *path, const char *text);

#endif
