/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_overlay.c - fdt/overlay.c
 */
#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fdt/overlay.h"
#include "fdt/tree.h"
#include "tests/unit/overlays.h"
#include "vmm.h"

/* A tree with a /device, as small as it can be, in as much memory as it may take. */
static void *t_tree(size_t room)
{
	void *fdt = malloc(room);
	struct tree t;

	assert_non_null(fdt);
	tree_init(&t, fdt, room);
	tree_begin(&t, "device");
	tree_string(&t, "text", "old");
	tree_end(&t);
	assert_true(tree_finish(&t) > 0);
	return fdt;
}

/* What is merged lies in a block of its own, of just its length. */
static int t_merge(void *fdt, size_t room, const void *dtbo, size_t len, struct vmm_error *err)
{
	void *copy = malloc(len ? len : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, dtbo, len);
	err->msg[0] = '\0';
	ret = overlay_merge(fdt, room, copy, len, err);
	assert_int_equal(ret < 0, err->msg[0] != '\0');
	free(copy);
	return ret;
}

static const char *t_text(const void *fdt, const char *path)
{
	return fdt_getprop(fdt, fdt_path_offset(fdt, path), "text", NULL);
}

static void test_nodes_and_properties_are_merged(void **state)
{
	void *fdt = t_tree(4096);
	struct vmm_error err;
	char dtbo[1024];
	size_t len = overlay_make(dtbo, sizeof(dtbo), "/device", "child", "new");
	int ret = t_merge(fdt, 4096, dtbo, len, &err);

	(void)state;
	assert_int_equal(ret, fdt_totalsize(fdt));
	assert_int_equal(fdt_check_full(fdt, (size_t)ret), 0);
	assert_string_equal(t_text(fdt, "/device"), "old");
	assert_string_equal(t_text(fdt, "/device/child"), "new");
	/* ... and one into what came by one. */
	len = overlay_make(dtbo, sizeof(dtbo), "/device", "child", "newer");
	assert_true(t_merge(fdt, 4096, dtbo, len, &err) > 0);
	len = overlay_make(dtbo, sizeof(dtbo), "/device/child", "third", "deep");
	assert_true(t_merge(fdt, 4096, dtbo, len, &err) > 0);
	assert_string_equal(t_text(fdt, "/device/child"), "newer");
	assert_string_equal(t_text(fdt, "/device/child/third"), "deep");
	free(fdt);
}

static void t_refused(const void *dtbo, size_t len, size_t room, const char *text)
{
	void *fdt = t_tree(room);
	struct vmm_error err;

	assert_int_equal(t_merge(fdt, room, dtbo, len, &err), -ENOEXEC);
	if (!strstr(err.msg, text))
		fail_msg("'%s' does not say '%s'", err.msg, text);
	free(fdt);
}

static void test_what_cannot_be_merged_is_explained(void **state)
{
	char dtbo[1024];
	size_t len;
	void *plain;

	(void)state;
	len = overlay_make(dtbo, sizeof(dtbo), "/nowhere", "child", "new");
	t_refused(dtbo, len, 4096, "it refers to a node that this machine's tree does not have");
	len = overlay_make(dtbo, sizeof(dtbo), "/device", "child", "new");
	t_refused("/dts-v1/; /plugin/; / { fragment { }; };   ", 44, 4096, "not what dtc makes");
	t_refused(dtbo, 0, 4096, "truncated");
	plain = t_tree(4096);
	t_refused(dtbo, len, fdt_totalsize(plain) + 8, "no room");
	t_refused(plain, fdt_totalsize(plain), 4096, "it is no overlay");
	free(plain);
}

/* Cut anywhere, and with any byte changed: refused with a text, or merged. */
static void test_damage_never_surprises(void **state)
{
	struct vmm_error err;
	char dtbo[1024];
	size_t len = overlay_make(dtbo, sizeof(dtbo), "/device", "child", "new");

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		t_refused(dtbo, cut, 4096, "");
	for (size_t at = 0; at < len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			void *fdt = t_tree(4096);
			int ret;

			dtbo[at] = (char)(dtbo[at] ^ 1 << bit);
			ret = t_merge(fdt, 4096, dtbo, len, &err);
			assert_true(ret == -ENOEXEC || (ret > 0 && !fdt_check_full(fdt, (size_t)ret)));
			dtbo[at] = (char)(dtbo[at] ^ 1 << bit);
			free(fdt);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes_and_properties_are_merged),
		cmocka_unit_test(test_what_cannot_be_merged_is_explained),
		cmocka_unit_test(test_damage_never_surprises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
