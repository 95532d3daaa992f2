/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlays.h - device tree overlays to be merged
 */
#ifndef TESTS_UNIT_OVERLAYS_H
#define TESTS_UNIT_OVERLAYS_H

#include <stddef.h>

/* One that gives @target a child @node, with the property "text" = @text.  Its length. */
size_t overlay_make(void *buf, size_t size, const char *target, const char *node, const char *text);

/* The same in a file, to be closed. */
int overlay_file(const char *target, const char *node, const char *text);

#endif
