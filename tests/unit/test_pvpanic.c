/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pvpanic.c - devices/pvpanic.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <libfdt.h>

#include "devices/pvpanic.h"
#include "fdt/tree.h"
#include "vmm/bus.h"

struct t_rig {
	struct pvpanic	*pv;
	unsigned int	nr_events;
	u8		last;
};

static void t_event(void *ctx, u8 events)
{
	struct t_rig *rig = ctx;

	rig->nr_events++;
	rig->last = events;
}

static void t_open(struct t_rig *rig, u8 events)
{
	*rig = (struct t_rig){ 0 };
	assert_int_equal(pvpanic_create(&rig->pv, events, t_event, rig, NULL), 0);
}

static void test_read_says_what_is_understood(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
	assert_int_equal(pvpanic_read(rig.pv, 0), 0x03);
	assert_int_equal(pvpanic_read(rig.pv, 1), 0);
	assert_int_equal(rig.nr_events, 0);
	pvpanic_destroy(rig.pv);
}

static void test_write_tells_the_event(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED | PVPANIC_SHUTDOWN);
	pvpanic_write(rig.pv, 0, 0x01);
	assert_int_equal(rig.last, PVPANIC_PANICKED);
	pvpanic_write(rig.pv, 0, 0x02);
	assert_int_equal(rig.last, PVPANIC_CRASH_LOADED);
	pvpanic_write(rig.pv, 0, 0x04);
	assert_int_equal(rig.last, PVPANIC_SHUTDOWN);
	assert_int_equal(rig.nr_events, 3);
	pvpanic_destroy(rig.pv);
}

static void test_bits_that_are_not_understood_are_ignored(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, PVPANIC_PANICKED);
	pvpanic_write(rig.pv, 0, 0xfe);
	pvpanic_write(rig.pv, 0, 0);
	assert_int_equal(rig.nr_events, 0);
	pvpanic_write(rig.pv, 0, 0xff);
	assert_int_equal(rig.last, PVPANIC_PANICKED);
	pvpanic_destroy(rig.pv);
}

static void test_accesses_of_any_width(void **state)
{
	const struct bus_ops *ops = &pvpanic_bus_ops;
	struct t_rig rig;

	(void)state;
	t_open(&rig, PVPANIC_PANICKED);
	assert_int_equal(ops->read(rig.pv, 0, 2), 0x01);
	assert_int_equal(ops->read(rig.pv, 1, 1), 0);
	ops->write(rig.pv, 1, 1, 0xff);
	assert_int_equal(rig.nr_events, 0);
	ops->write(rig.pv, 0, 2, 0x0100);
	assert_int_equal(rig.nr_events, 0);
	ops->write(rig.pv, 0, 2, 0x0101);
	assert_int_equal(rig.nr_events, 1);
	pvpanic_destroy(rig.pv);
}

static void test_destroy_takes_null(void **state)
{
	(void)state;
	pvpanic_destroy(NULL);
}

static void test_node_is_what_linux_matches(void **state)
{
	u8 buf[1024] __attribute__((aligned(8)));
	const fdt32_t *cells;
	struct t_rig rig;
	struct tree t;
	int node;
	int len;

	(void)state;
	t_open(&rig, PVPANIC_PANICKED);
	tree_init(&t, buf, sizeof(buf));
	pvpanic_tree(rig.pv, &t, 0x1040000);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/pvpanic@1040000");
	assert_true(node >= 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "qemu,pvpanic-mmio"), 0);
	cells = fdt_getprop(buf, node, "reg", &len);
	assert_int_equal(len, 16);
	assert_int_equal(fdt32_to_cpu(cells[1]), 0x1040000);
	assert_int_equal(fdt32_to_cpu(cells[3]), 2);
	pvpanic_destroy(rig.pv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_says_what_is_understood),
		cmocka_unit_test(test_write_tells_the_event),
		cmocka_unit_test(test_bits_that_are_not_understood_are_ignored),
		cmocka_unit_test(test_accesses_of_any_width),
		cmocka_unit_test(test_destroy_takes_null),
		cmocka_unit_test(test_node_is_what_linux_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
