/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_columns.c - vmm/cli/columns.c and uptime.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/cli/columns.h"
#include "vmm/cli/uptime.h"

/* What columns_print() writes to stdout. */
static void t_prints(struct columns *table, const char *want)
{
	int mem = memfd_create("stdout", MFD_CLOEXEC);
	int out = dup(STDOUT_FILENO);
	char buf[512];
	ssize_t len;

	fflush(stdout);
	assert_true(mem >= 0 && out >= 0);
	assert_int_equal(dup2(mem, STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(columns_print(table), 0);
	fflush(stdout);
	assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	len = pread(mem, buf, sizeof(buf) - 1, 0);
	assert_true(len >= 0);
	buf[len] = '\0';
	assert_string_equal(buf, want);
	close(out);
	close(mem);
}

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct columns table = { .nr = 3 };

	(void)state;
	columns_add(&table, "a");
	columns_add(&table, "long head");
	columns_add(&table, "c");
	columns_add(&table, "%d", 1000);
	columns_add(&table, "%s", "x");
	columns_add(&table, "end");
	t_prints(&table, "a     long head  c\n1000  x          end\n");
	assert_int_equal(table.nr_cells, 0);
	t_prints(&table, "");
}

static void test_no_blanks_are_left_at_the_end(void **state)
{
	struct columns table = { .nr = 3 };

	(void)state;
	columns_add(&table, "a");
	columns_add(&table, "b");
	columns_add(&table, "%s", "");
	columns_add(&table, "%s", "");
	columns_add(&table, "%s", "");
	columns_add(&table, "c");
	t_prints(&table, "a  b\n      c\n");
}

static void test_control_characters_are_replaced(void **state)
{
	struct columns table = { .nr = 1 };

	(void)state;
	columns_add(&table, "a\x1b[31m\nb\x7f");
	t_prints(&table, "a?[31m?b?\n");
}

static void test_uptime_is_short_while_it_is(void **state)
{
	static const struct {
		double		seconds;
		const char	*text;
	} times[] = {
		{ 0, "0:00" }, { 7.9, "0:07" }, { 61, "1:01" }, { 3599, "59:59" },
		{ 3600, "1:00:00" }, { 86399, "23:59:59" }, { 86400, "1 day 0:00:00" },
		{ 180123, "2 days 2:02:03" }, { -1, "0:00" }, { 1e300, "0:00" },
	};
	char buf[UPTIME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_string_equal(uptime_format(times[i].seconds, buf), times[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(test_no_blanks_are_left_at_the_end),
		cmocka_unit_test(test_control_characters_are_replaced),
		cmocka_unit_test(test_uptime_is_short_while_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
