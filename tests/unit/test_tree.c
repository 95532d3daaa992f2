/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tree.c - fdt/tree.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libfdt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fdt/tree.h"

#define T_SIZE	4096

struct t_tree {
	struct tree	t;
	u8		buf[T_SIZE] __attribute__((aligned(8)));
	u8		guard[64];
};

static void t_start(struct t_tree *tt, size_t size)
{
	memset(tt, 0xa5, sizeof(*tt));
	tree_init(&tt->t, tt->buf, size);
}

static void t_guard_is_whole(const struct t_tree *tt, size_t size)
{
	for (size_t i = size; i < sizeof(tt->buf); i++)
		assert_int_equal(tt->buf[i], 0xa5);
	for (size_t i = 0; i < sizeof(tt->guard); i++)
		assert_int_equal(tt->guard[i], 0xa5);
}

static void t_expect(const struct t_tree *tt, const char *path, const char *name,
		     const void *val, size_t len)
{
	int node = fdt_path_offset(tt->buf, path);
	int got;
	const void *p;

	assert_true(node >= 0);
	p = fdt_getprop(tt->buf, node, name, &got);
	assert_non_null(p);
	assert_int_equal(got, len);
	assert_memory_equal(p, val, len);
}

static void t_write_machine(struct tree *t)
{
	tree_string(t, "compatible", "linux,dummy-virt");
	tree_u32(t, "#address-cells", 2);
	tree_begin(t, "rtc@%llx", 0x1010000ull);
	tree_strings(t, "compatible", "arm,pl031", "arm,primecell");
	tree_reg(t, 0x1010000, 0x1000);
	tree_cells(t, "interrupts", GIC_SPI, 3, IRQ_HIGH);
	tree_empty(t, "dma-coherent");
	tree_u64(t, "kaslr-seed", 0x0123456789abcdefull);
	tree_bytes(t, "mac", "\1\2\3", 3);
	tree_begin(t, "child");
	tree_end(t);
	tree_end(t);
	tree_begin(t, "chosen");
	tree_end(t);
}

static void test_writes_what_libfdt_reads(void **state)
{
	static const u8 reg[16] = { 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0 };
	static const u8 irq[12] = { 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4 };
	static const u8 seed[8] = { 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
	struct t_tree tt;
	int size;

	(void)state;
	t_start(&tt, T_SIZE);
	t_write_machine(&tt.t);
	size = tree_finish(&tt.t);

	assert_true(size > 0);
	assert_int_equal(fdt_check_full(tt.buf, (size_t)size), 0);
	assert_int_equal(fdt_totalsize(tt.buf), size);
	t_expect(&tt, "/", "compatible", "linux,dummy-virt", 17);
	t_expect(&tt, "/", "#address-cells", "\0\0\0\2", 4);
	t_expect(&tt, "/rtc@1010000", "compatible", "arm,pl031\0arm,primecell", 24);
	t_expect(&tt, "/rtc@1010000", "reg", reg, sizeof(reg));
	t_expect(&tt, "/rtc@1010000", "interrupts", irq, sizeof(irq));
	t_expect(&tt, "/rtc@1010000", "dma-coherent", "", 0);
	t_expect(&tt, "/rtc@1010000", "kaslr-seed", seed, sizeof(seed));
	t_expect(&tt, "/rtc@1010000", "mac", "\1\2\3", 3);
	assert_true(fdt_path_offset(tt.buf, "/rtc@1010000/child") > 0);
	assert_true(fdt_path_offset(tt.buf, "/chosen") > 0);
	t_guard_is_whole(&tt, T_SIZE);
}

static void test_root_alone_is_a_tree(void **state)
{
	struct t_tree tt;
	int size;

	(void)state;
	t_start(&tt, T_SIZE);
	size = tree_finish(&tt.t);
	assert_true(size > 0);
	assert_int_equal(fdt_check_full(tt.buf, (size_t)size), 0);
}

static void test_every_buffer_too_small_is_enospc(void **state)
{
	struct t_tree tt;
	int size;

	(void)state;
	t_start(&tt, T_SIZE);
	t_write_machine(&tt.t);
	size = tree_finish(&tt.t);
	assert_true(size > 0);
	for (int n = 0; n < size; n++) {
		t_start(&tt, (size_t)n);
		t_write_machine(&tt.t);
		assert_int_equal(tree_finish(&tt.t), -ENOSPC);
		t_guard_is_whole(&tt, (size_t)n);
	}
	/* libfdt fills the names from the end of the buffer: nothing is lost by that. */
	t_start(&tt, (size_t)size);
	t_write_machine(&tt.t);
	assert_int_equal(tree_finish(&tt.t), size);
	t_guard_is_whole(&tt, (size_t)size);
}

static void test_node_name_has_63_characters(void **state)
{
	static const char *const a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";	/* 31 */
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);
	tree_begin(&tt.t, "%s%s@", a, a);
	tree_end(&tt.t);
	assert_true(tree_finish(&tt.t) > 0);

	t_start(&tt, T_SIZE);
	tree_begin(&tt.t, "%s%s@0", a, a);
	assert_int_equal(tt.t.ret, -EINVAL);
	assert_int_equal(tree_finish(&tt.t), -EINVAL);

	t_start(&tt, T_SIZE);
	tree_begin(&tt.t, "%s", "");
	assert_int_equal(tree_finish(&tt.t), -EINVAL);
}

static void test_wrong_order_is_einval(void **state)
{
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);		/* a node left open */
	tree_begin(&tt.t, "a");
	assert_int_equal(tree_finish(&tt.t), -EINVAL);

	t_start(&tt, T_SIZE);		/* one closed too often */
	tree_end(&tt.t);
	assert_int_equal(tree_finish(&tt.t), -EINVAL);

	t_start(&tt, T_SIZE);		/* two roots */
	tree_end(&tt.t);
	tree_begin(&tt.t, "b");
	assert_int_equal(tree_finish(&tt.t), -EINVAL);

	t_start(&tt, T_SIZE);		/* a property behind a child */
	tree_begin(&tt.t, "a");
	tree_end(&tt.t);
	tree_u32(&tt.t, "late", 1);
	assert_int_equal(tree_finish(&tt.t), -EINVAL);

	t_start(&tt, T_SIZE);		/* and one outside the root */
	tree_end(&tt.t);
	tree_empty(&tt.t, "outside");
	tree_begin(&tt.t, "b");
	assert_int_equal(tree_finish(&tt.t), -EINVAL);
}

static void test_finished_tree_takes_no_more(void **state)
{
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);
	assert_true(tree_finish(&tt.t) > 0);
	tree_u32(&tt.t, "late", 1);
	assert_int_equal(tt.t.ret, -EINVAL);
	assert_int_equal(tree_finish(&tt.t), -EINVAL);
}

static void test_first_error_stays(void **state)
{
	static const u8 big[T_SIZE];
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);
	tree_bytes(&tt.t, "big", big, sizeof(big));
	assert_int_equal(tt.t.ret, -ENOSPC);
	tree_begin(&tt.t, "%s", "");
	t_write_machine(&tt.t);
	assert_int_equal(tree_finish(&tt.t), -ENOSPC);
}

static void test_absurd_sizes_are_refused(void **state)
{
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);
	tree_bytes(&tt.t, "big", tt.buf, (size_t)INT_MAX + 1);
	assert_int_equal(tree_finish(&tt.t), -ENOSPC);
	tree_init(&tt.t, tt.buf, (size_t)INT_MAX + 1);
	assert_int_equal(tree_finish(&tt.t), -EINVAL);
}

static void test_lists_may_be_empty(void **state)
{
	struct t_tree tt;

	(void)state;
	t_start(&tt, T_SIZE);
	tree_string_list(&tt.t, "strings", NULL, 0);
	tree_cell_list(&tt.t, "cells", NULL, 0);
	tree_bytes(&tt.t, "bytes", NULL, 0);
	assert_true(tree_finish(&tt.t) > 0);
	t_expect(&tt, "/", "strings", "", 0);
	t_expect(&tt, "/", "cells", "", 0);
	t_expect(&tt, "/", "bytes", "", 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes_what_libfdt_reads),
		cmocka_unit_test(test_root_alone_is_a_tree),
		cmocka_unit_test(test_every_buffer_too_small_is_enospc),
		cmocka_unit_test(test_node_name_has_63_characters),
		cmocka_unit_test(test_wrong_order_is_einval),
		cmocka_unit_test(test_finished_tree_takes_no_more),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_absurd_sizes_are_refused),
		cmocka_unit_test(test_lists_may_be_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
