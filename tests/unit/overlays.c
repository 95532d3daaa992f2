/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlays.c - device tree overlays to be merged
 */
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/overlays.h"

size_t overlay_make(void *buf, size_t size, const char *target, const char *node, const char *text)
{
	assert_int_equal(fdt_create(buf, (int)size), 0);
	assert_int_equal(fdt_finish_reservemap(buf), 0);
	assert_int_equal(fdt_begin_node(buf, ""), 0);
	assert_int_equal(fdt_begin_node(buf, "fragment@0"), 0);
	assert_int_equal(fdt_property_string(buf, "target-path", target), 0);
	assert_int_equal(fdt_begin_node(buf, "__overlay__"), 0);
	assert_int_equal(fdt_begin_node(buf, node), 0);
	assert_int_equal(fdt_property_string(buf, "text", text), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fdt_end_node(buf), 0);
	assert_int_equal(fdt_finish(buf), 0);
	return fdt_totalsize(buf);
}

int overlay_file(const char *target, const char *node, const char *text)
{
	int fd = memfd_create("t-overlay", MFD_CLOEXEC);
	char buf[1024];
	size_t len = overlay_make(buf, sizeof(buf), target, node, text);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, buf, len, 0), len);
	return fd;
}
