/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_number.c - vmm/cli/number.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/cli/number.h"

#define T_SENTINEL	0x5e5e5e5e5e5e5e5eull

struct t_number {
	const char	*text;
	int		ret;
	uint64_t	val;
};

static void test_number_is_decimal_hexadecimal_or_octal(void **state)
{
	static const struct t_number good[] = {
		{ "0", 0, 0 },
		{ "00", 0, 0 },
		{ "7", 0, 7 },
		{ "010", 0, 8 },
		{ "0x10", 0, 16 },
		{ "0XfF", 0, 255 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "0xffffffffffffffff", 0, UINT64_MAX },
		{ "01777777777777777777777", 0, UINT64_MAX },
		{ "0x00000000000000000000000000000001", 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t val = T_SENTINEL;

		assert_int_equal(number_parse(good[i].text, &val), 0);
		assert_int_equal(val, good[i].val);
	}
}

static void test_number_rejects_all_else(void **state)
{
	static const struct t_number bad[] = {
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1\n", -EINVAL, 0 },
		{ "x", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "0xg", -EINVAL, 0 },
		{ "0x-1", -EINVAL, 0 },
		{ "08", -EINVAL, 0 },
		{ "1a", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "\xd9\xa1", -EINVAL, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "0x10000000000000000", -ERANGE, 0 },
		{ "02000000000000000000000", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t val;

		assert_int_equal(number_parse(bad[i].text, &val), bad[i].ret);
	}
}

static void t_check_size(const char *text, char unit, uint64_t want, const char *want_end)
{
	const char *end = NULL;
	uint64_t val = T_SENTINEL;

	assert_int_equal(number_parse_size(text, unit, &end, &val), 0);
	assert_int_equal(val, want);
	assert_string_equal(end, want_end);
}

static void test_size_takes_each_unit_in_either_case(void **state)
{
	static const char units[] = "BKMGTP";

	(void)state;
	for (size_t i = 0; units[i]; i++) {
		char text[] = { '3', units[i], '\0' };

		t_check_size(text, 'M', 3ull << (10 * i), "");
		text[1] |= 0x20;
		t_check_size(text, 'M', 3ull << (10 * i), "");
	}
}

static void test_size_without_unit_is_in_the_default_one(void **state)
{
	(void)state;
	t_check_size("5", 'M', 5ull << 20, "");
	t_check_size("5", 'B', 5, "");
	t_check_size("0x10", 'M', 16ull << 20, "");
	t_check_size("0", 'P', 0, "");
}

static void test_size_leaves_the_rest_to_the_caller(void **state)
{
	(void)state;
	t_check_size("5M@0x80000000", 'M', 5ull << 20, "@0x80000000");
	t_check_size("5@1", 'M', 5ull << 20, "@1");
	t_check_size("5MB", 'M', 5ull << 20, "B");
	t_check_size("5Q", 'M', 5ull << 20, "Q");
	t_check_size("5 M", 'M', 5ull << 20, " M");
	/* "b" is a digit here. */
	t_check_size("0x1b", 'B', 0x1b, "");
}

static void test_size_rejects_what_overflows(void **state)
{
	static const char *const big[] = {
		"16384P", "16777216T", "17179869184G", "18446744073709551615K",
		"18446744073709551615", "18446744073709551616B",
	};
	const char *end;
	uint64_t val;

	(void)state;
	for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++)
		assert_int_equal(number_parse_size(big[i], 'M', &end, &val), -ERANGE);
	t_check_size("16383P", 'M', 16383ull << 50, "");
	t_check_size("18446744073709551615B", 'M', UINT64_MAX, "");
}

static void test_size_rejects_what_is_no_number(void **state)
{
	static const char *const bad[] = { "", "M", "-5", "@5", " 5", "+5", "0xM" };
	const char *end;
	uint64_t val;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(number_parse_size(bad[i], 'M', &end, &val), -EINVAL);
}

static void test_count_is_within_its_bounds_and_its_length(void **state)
{
	static const char *const bad[] = { "", "0", "65", "-1", "4,", "00000000000000101" };
	uint32_t val = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(number_parse_count(bad[i], strlen(bad[i]), 64, &val), -EINVAL);
	assert_int_equal(val, 7);
	assert_int_equal(number_parse_count("64,ro", 2, 64, &val), 0);
	assert_int_equal(val, 64);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_is_decimal_hexadecimal_or_octal),
		cmocka_unit_test(test_number_rejects_all_else),
		cmocka_unit_test(test_size_takes_each_unit_in_either_case),
		cmocka_unit_test(test_size_without_unit_is_in_the_default_one),
		cmocka_unit_test(test_size_leaves_the_rest_to_the_caller),
		cmocka_unit_test(test_size_rejects_what_overflows),
		cmocka_unit_test(test_size_rejects_what_is_no_number),
		cmocka_unit_test(test_count_is_within_its_bounds_and_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
