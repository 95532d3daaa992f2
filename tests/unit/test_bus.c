/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bus.c - who answers at an address that is not RAM
 */
#include <errno.h>

#include "tests/unit/t.h"
#include "vmm/bus.h"

struct dev {
	u64		off;
	unsigned int	len;
	u64		val;
	u32		nr_reads;
	u32		nr_writes;
};

static u64 dev_read(void *dev, u64 off, unsigned int len)
{
	struct dev *d = dev;

	d->off = off;
	d->len = len;
	d->nr_reads++;
	return 0x1122334455667788;
}

static void dev_write(void *dev, u64 off, unsigned int len, u64 val)
{
	struct dev *d = dev;

	d->off = off;
	d->len = len;
	d->val = val;
	d->nr_writes++;
}

static const struct bus_ops ops = { .read = dev_read, .write = dev_write };
static const struct logger quiet = { 0 };

static void test_access_goes_to_its_region(void **state)
{
	struct dev a = { 0 };
	struct dev b = { 0 };
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, "a", 0x1000, 0x10, &ops, &a), 0);
	assert_int_equal(bus_add(&bus, "b", 0x1010, 0x10, &ops, &b), 0);
	bus_write(&bus, &quiet, 0x1014, 2, 0xbeef);
	assert_int_equal(a.nr_writes, 0);
	assert_int_equal(b.off, 4);
	assert_int_equal(b.len, 2);
	assert_int_equal(b.val, 0xbeef);
	bus_read(&bus, &quiet, 0x100f, 1);
	assert_int_equal(a.off, 15);
}

static void test_read_is_cut_to_its_width(void **state)
{
	struct dev a = { 0 };
	struct bus bus = { 0 };

	(void)state;
	bus_add(&bus, "a", 0, 0x10, &ops, &a);
	assert_int_equal(bus_read(&bus, &quiet, 0, 1), 0x88);
	assert_int_equal(bus_read(&bus, &quiet, 0, 2), 0x7788);
	assert_int_equal(bus_read(&bus, &quiet, 0, 4), 0x55667788);
	assert_true(bus_read(&bus, &quiet, 0, 8) == 0x1122334455667788);
}

static void test_access_across_an_edge_hits_nothing(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_WARN };
	struct dev a = { 0 };
	struct bus bus = { 0 };

	(void)state;
	bus_add(&bus, "a", 0x1000, 6, &ops, &a);
	assert_int_equal(bus_read(&bus, &log, 0xfff, 2), 0);
	assert_int_equal(bus_read(&bus, &log, 0x1004, 4), 0);
	assert_int_equal(bus_read(&bus, &log, 0x1000, 8), 0);
	bus_write(&bus, &log, 0x1006, 1, 1);
	bus_write(&bus, &log, UINT64_MAX, 8, 1);
	assert_int_equal(a.nr_reads + a.nr_writes, 0);
	assert_int_equal(lines.nr[VMM_LOG_WARN], 5);
	assert_true(t_logged(&lines, "read of 2 bytes at 0xfff"));
}

static void test_top_of_the_address_space_is_a_place(void **state)
{
	struct dev a = { 0 };
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, "a", UINT64_MAX - 15, 16, &ops, &a), -EINVAL);
	assert_int_equal(bus_add(&bus, "a", UINT64_MAX - 16, 16, &ops, &a), 0);
	bus_write(&bus, &quiet, UINT64_MAX - 8, 8, 1);
	assert_int_equal(a.off, 8);
	bus_write(&bus, &quiet, UINT64_MAX - 7, 8, 1);
	assert_int_equal(a.nr_writes, 1);
}

static void test_regions_do_not_overlap(void **state)
{
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, "a", 0x1000, 0x1000, &ops, NULL), 0);
	assert_int_equal(bus_add(&bus, "b", 0x1000, 0x1000, &ops, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, "b", 0xfff, 2, &ops, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, "b", 0x1fff, 1, &ops, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, "b", 0, 0x10000, &ops, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, "b", 0x1800, 0, &ops, NULL), -EINVAL);
	assert_int_equal(bus_add(&bus, "b", 0, 0x1000, &ops, NULL), 0);
	assert_int_equal(bus_add(&bus, "c", 0x2000, 1, &ops, NULL), 0);
	assert_int_equal(bus.nr_regions, 3);
}

static void test_full_bus_refuses(void **state)
{
	struct bus bus = { 0 };

	(void)state;
	for (u64 i = 0; i < BUS_MAX_REGIONS; i++)
		assert_int_equal(bus_add(&bus, "a", i * 16, 16, &ops, NULL), 0);
	assert_int_equal(bus_add(&bus, "a", BUS_MAX_REGIONS * 16, 16, &ops, NULL), -ENOSPC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_goes_to_its_region),
		cmocka_unit_test(test_read_is_cut_to_its_width),
		cmocka_unit_test(test_access_across_an_edge_hits_nothing),
		cmocka_unit_test(test_top_of_the_address_space_is_a_place),
		cmocka_unit_test(test_regions_do_not_overlap),
		cmocka_unit_test(test_full_bus_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
