/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mc146818.c - devices/mc146818.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <libfdt.h>

#include "devices/clock.h"
#include "devices/mc146818.h"
#include "fdt/tree.h"
#include "vmm/bus.h"

enum {
	T_SECOND = 0, T_SECOND_ALARM, T_MINUTE, T_MINUTE_ALARM, T_HOUR, T_HOUR_ALARM,
	T_WEEKDAY, T_DAY, T_MONTH, T_YEAR, T_A, T_B, T_C, T_D, T_CENTURY = 0x32,
};

#define T_SET		0x80
#define T_BINARY	0x04
#define T_24H		0x02

/* 14 November 2023, 22:13:20, a Tuesday */
#define T_START		1700000000u

struct t_rig {
	struct mc146818	*rtc;
	u64		now;
};

static u64 t_clock(void *ctx)
{
	struct t_rig *rig = ctx;

	return rig->now;
}

static struct t_rig *t_open(void)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct clock clock = { .now = t_clock, .ctx = rig };

	rig->now = T_START;
	assert_int_equal(mc146818_create(&rig->rtc, &clock, NULL), 0);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	mc146818_destroy(rig->rtc);
	free(rig);
}

static u8 t_in(struct t_rig *rig, u8 reg)
{
	mc146818_write(rig->rtc, 0, reg);
	return mc146818_read(rig->rtc, 1);
}

static void t_out(struct t_rig *rig, u8 reg, u8 val)
{
	mc146818_write(rig->rtc, 0, reg);
	mc146818_write(rig->rtc, 1, val);
}

/* As the firmware does it: the clock stands meanwhile. */
static void t_set(struct t_rig *rig, const u8 (*regs)[2], size_t nr)
{
	u8 b = t_in(rig, T_B);

	t_out(rig, T_B, b | T_SET);
	for (size_t i = 0; i < nr; i++)
		t_out(rig, regs[i][0], regs[i][1]);
	t_out(rig, T_B, b & ~T_SET);
}

#define T_SET_TO(rig, ...) do {							\
	static const u8 regs_[][2] = { __VA_ARGS__ };				\
										\
	t_set(rig, regs_, sizeof(regs_) / sizeof(regs_[0]));			\
} while (0)

static void t_shows(struct t_rig *rig, int century, int year, int month, int day, int weekday,
		    int hour, int minute, int second)
{
	assert_int_equal(t_in(rig, T_SECOND), second);
	assert_int_equal(t_in(rig, T_MINUTE), minute);
	assert_int_equal(t_in(rig, T_HOUR), hour);
	assert_int_equal(t_in(rig, T_WEEKDAY), weekday);
	assert_int_equal(t_in(rig, T_DAY), day);
	assert_int_equal(t_in(rig, T_MONTH), month);
	assert_int_equal(t_in(rig, T_YEAR), year);
	assert_int_equal(t_in(rig, T_CENTURY), century);
}

static void test_begins_with_the_clock_in_bcd(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	assert_int_equal(t_in(rig, T_A), 0x26);
	assert_int_equal(t_in(rig, T_B), T_24H);
	assert_int_equal(t_in(rig, T_C), 0);
	assert_int_equal(t_in(rig, T_D), 0x80);
	t_shows(rig, 0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x13, 0x20);
	rig->now += 3600 * 2;
	t_shows(rig, 0x20, 0x23, 0x11, 0x15, 4, 0x00, 0x13, 0x20);
	t_close(rig);
}

static void test_formats(void **state)
{
	static const struct {
		u32	seconds;	/* of the day */
		u8	b;
		u8	hour;
	} rows[] = {
		{ 0, T_24H, 0x00 }, { 0, T_24H | T_BINARY, 0 }, { 0, 0, 0x12 }, { 0, T_BINARY, 12 },
		{ 11 * 3600, 0, 0x11 }, { 11 * 3600, T_BINARY, 11 },
		{ 12 * 3600, 0, 0x92 }, { 12 * 3600, T_BINARY, 0x8c },
		{ 23 * 3600, 0, 0x91 }, { 23 * 3600, T_BINARY, 0x8b },
		{ 23 * 3600, T_24H, 0x23 }, { 23 * 3600, T_24H | T_BINARY, 23 },
	};
	struct t_rig *rig = t_open();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig->now = T_START - T_START % 86400 + rows[i].seconds;
		t_out(rig, T_B, rows[i].b);
		assert_int_equal(t_in(rig, T_HOUR), rows[i].hour);
		assert_int_equal(t_in(rig, T_MONTH), rows[i].b & T_BINARY ? 11 : 0x11);
		/* What it shows is what it takes. */
		t_out(rig, T_B, rows[i].b | T_SET);
		t_out(rig, T_HOUR, rows[i].hour);
		t_out(rig, T_B, rows[i].b);
		assert_int_equal(t_in(rig, T_HOUR), rows[i].hour);
		assert_int_equal(t_in(rig, T_DAY), rows[i].b & T_BINARY ? 14 : 0x14);
	}
	t_close(rig);
}

/* Each day of 450 years. */
static void test_calendar_is_the_c_librarys(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_B, T_24H | T_BINARY);
	for (time_t day = 0; day < 165000; day++) {
		time_t t = day * 86400 + day * 7919 % 86400;
		struct tm tm;

		rig->now = (u64)t;
		gmtime_r(&t, &tm);
		t_shows(rig, (tm.tm_year / 100 + 19) / 10 * 16 + (tm.tm_year / 100 + 19) % 10,
			tm.tm_year % 100, tm.tm_mon + 1, tm.tm_mday, tm.tm_wday + 1, tm.tm_hour,
			tm.tm_min, tm.tm_sec);
		/* To set it to what it shows moves nothing. */
		t_out(rig, T_B, T_24H | T_BINARY | T_SET);
		t_out(rig, T_B, T_24H | T_BINARY);
		assert_int_equal(t_in(rig, T_SECOND), tm.tm_sec);
		assert_int_equal(t_in(rig, T_DAY), tm.tm_mday);
		assert_int_equal(t_in(rig, T_MONTH), tm.tm_mon + 1);
	}
	t_close(rig);
}

static void test_setting_moves_it_and_the_clock_takes_it_along(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	T_SET_TO(rig, { T_SECOND, 0x58 }, { T_MINUTE, 0x59 }, { T_HOUR, 0x23 }, { T_DAY, 0x28 },
		 { T_MONTH, 0x02 }, { T_YEAR, 0x24 });
	t_shows(rig, 0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58);
	rig->now += 2;
	t_shows(rig, 0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00);
	T_SET_TO(rig, { T_YEAR, 0x99 }, { T_CENTURY, 0x19 }, { T_MONTH, 0x12 }, { T_DAY, 0x31 });
	rig->now += 86400;
	t_shows(rig, 0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00);
	/* Without stopping it, too. */
	t_out(rig, T_MINUTE, 0x30);
	t_out(rig, T_CENTURY, 0x21);
	t_shows(rig, 0x21, 0x00, 0x01, 0x01, 6, 0x00, 0x30, 0x00);
	t_close(rig);
}

static void test_it_stands_while_it_is_set(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_B, T_24H | T_SET);
	rig->now += 40;
	t_shows(rig, 0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x13, 0x20);
	t_out(rig, T_SECOND, 0x30);
	assert_int_equal(t_in(rig, T_SECOND), 0x30);
	t_out(rig, T_B, T_24H);
	assert_int_equal(t_in(rig, T_SECOND), 0x30);
	rig->now += 1;
	assert_int_equal(t_in(rig, T_SECOND), 0x31);
	t_close(rig);
}

static void test_what_is_no_time_leaves_it_alone(void **state)
{
	static const u8 bad[][2] = {
		{ T_SECOND, 0x60 }, { T_SECOND, 0x0a }, { T_MINUTE, 0xf0 }, { T_HOUR, 0x24 },
		{ T_DAY, 0x00 }, { T_DAY, 0x32 }, { T_MONTH, 0x00 }, { T_MONTH, 0x13 },
		{ T_YEAR, 0xa0 }, { T_CENTURY, 0xff },
	};
	struct t_rig *rig = t_open();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t_set(rig, &bad[i], 1);
		t_shows(rig, 0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x13, 0x20);
	}
	T_SET_TO(rig, { T_YEAR, 0x00 }, { T_CENTURY, 0x00 });
	t_shows(rig, 0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x13, 0x20);
	t_out(rig, T_B, 0);
	T_SET_TO(rig, { T_HOUR, 0x00 });
	assert_int_equal(t_in(rig, T_HOUR), 0x90);
	T_SET_TO(rig, { T_HOUR, 0x13 });
	assert_int_equal(t_in(rig, T_HOUR), 0x90);
	t_close(rig);
}

/* Read one after the other while a minute ends: all of the old one, then all of the new. */
static void test_registers_are_of_one_moment(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	rig->now += 39;
	assert_int_equal(t_in(rig, T_SECOND), 0x59);
	rig->now += 1;
	assert_int_equal(t_in(rig, T_MINUTE), 0x13);
	assert_int_equal(t_in(rig, T_SECOND), 0x00);
	assert_int_equal(t_in(rig, T_MINUTE), 0x14);
	/* But nothing is kept for longer than that. */
	rig->now += 120;
	assert_int_equal(t_in(rig, T_HOUR), 0x22);
	assert_int_equal(t_in(rig, T_MINUTE), 0x16);
	t_close(rig);
}

static void test_the_other_registers(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	/* No interrupt has ever come, the battery is never flat, an update never in progress. */
	for (unsigned int val = 0; val < 256; val++) {
		t_out(rig, T_A, (u8)val);
		t_out(rig, T_C, (u8)val);
		t_out(rig, T_D, (u8)val);
		assert_int_equal(t_in(rig, T_A), val & 0x7f);
		assert_int_equal(t_in(rig, T_C), 0);
		assert_int_equal(t_in(rig, T_D), 0x80);
	}
	for (u8 reg = 0x0e; reg < 0x80; reg++)
		if (reg != T_CENTURY)
			t_out(rig, reg, (u8)~reg);
	for (u8 reg = 0x0e; reg < 0x80; reg++)
		if (reg != T_CENTURY)
			assert_int_equal(t_in(rig, reg), (u8)~reg);
	t_out(rig, T_SECOND_ALARM, 0xc0);
	t_out(rig, T_HOUR_ALARM, 0x07);
	assert_int_equal(t_in(rig, T_SECOND_ALARM), 0xc0);
	assert_int_equal(t_in(rig, T_HOUR_ALARM), 0x07);
	t_close(rig);
}

static void test_the_index(void **state)
{
	const struct bus_ops *ops = &mc146818_bus_ops;
	struct t_rig *rig = t_open();

	(void)state;
	ops->write(rig->rtc, 0, 1, 0x8d);
	assert_int_equal(ops->read(rig->rtc, 0, 1), 0x0d);
	assert_int_equal(ops->read(rig->rtc, 1, 1), 0x80);
	assert_int_equal(ops->read(rig->rtc, 0, 2), 0x0d);
	ops->write(rig->rtc, 0, 2, 0x550e);
	ops->write(rig->rtc, 1, 1, 0x1a5);
	assert_int_equal(ops->read(rig->rtc, 1, 1), 0xa5);
	ops->write(rig->rtc, 2, 1, 1);
	assert_int_equal(ops->read(rig->rtc, 2, 1), 0);
	assert_int_equal(ops->read(rig->rtc, 0, 1), 0x0e);
	t_close(rig);
}

/* Whatever the clock says, and whatever it was set to, it shows a time. */
static void test_any_clock(void **state)
{
	static const u64 clocks[] = { 0, UINT32_MAX, 253402300799, 253402300800, INT64_MAX,
				      1ull << 63, UINT64_MAX };
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_B, T_24H | T_BINARY);
	for (int set = 0; set < 3; set++) {
		if (set == 1)
			T_SET_TO(rig, { T_CENTURY, 0x99 }, { T_YEAR, 99 });
		if (set == 2)
			T_SET_TO(rig, { T_CENTURY, 0x00 }, { T_YEAR, 1 }, { T_MONTH, 1 },
				 { T_DAY, 1 });
		for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
			rig->now = clocks[i];
			assert_in_range(t_in(rig, T_SECOND), 0, 59);
			assert_in_range(t_in(rig, T_HOUR), 0, 23);
			assert_in_range(t_in(rig, T_WEEKDAY), 1, 7);
			assert_in_range(t_in(rig, T_DAY), 1, 31);
			assert_in_range(t_in(rig, T_MONTH), 1, 12);
			assert_in_range(t_in(rig, T_YEAR), 0, 99);
			assert_in_range(t_in(rig, T_CENTURY), 0, 0x99);
		}
		rig->now = T_START;
	}
	t_shows(rig, 0x00, 1, 1, 1, 2, 22, 13, 20);
	t_close(rig);
}

static void test_node(void **state)
{
	u8 buf[4096] __attribute__((aligned(8)));
	struct t_rig *rig = t_open();
	const fdt32_t *cells;
	struct tree t;
	int node;
	int len;

	(void)state;
	tree_init(&t, buf, sizeof(buf));
	mc146818_tree(rig->rtc, &t, 0x1013000);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/rtc@1013000");
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "motorola,mc146818"), 0);
	/* kvmtool's firmware takes two cells of address and two of size, and wants two bytes. */
	cells = fdt_getprop(buf, node, "reg", &len);
	assert_int_equal(len, 16);
	assert_int_equal(fdt32_to_cpu(cells[1]), 0x1013000);
	assert_int_equal(fdt32_to_cpu(cells[3]), 2);
	t_close(rig);
	mc146818_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_with_the_clock_in_bcd),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_calendar_is_the_c_librarys),
		cmocka_unit_test(test_setting_moves_it_and_the_clock_takes_it_along),
		cmocka_unit_test(test_it_stands_while_it_is_set),
		cmocka_unit_test(test_what_is_no_time_leaves_it_alone),
		cmocka_unit_test(test_registers_are_of_one_moment),
		cmocka_unit_test(test_the_other_registers),
		cmocka_unit_test(test_the_index),
		cmocka_unit_test(test_any_clock),
		cmocka_unit_test(test_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
