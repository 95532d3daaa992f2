/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cpumask.c - sets of host CPUs
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/t.h"

static int parse(struct cpumask *mask, const char *text)
{
	return cpumask_parse(mask, text, strlen(text));
}

static void t_round(const char *in, const char *out)
{
	struct cpumask mask;
	char buf[64];

	assert_int_equal(parse(&mask, in), 0);
	assert_string_equal(cpumask_format(&mask, buf, sizeof(buf)), out);
}

static void test_parse_reads_what_the_kernel_writes(void **state)
{
	(void)state;
	t_round("0", "0");
	t_round("0-3,8\n", "0-3,8");
	t_round("5,4,3-3", "3-5");
	t_round("0-8191", "0-8191");
	t_round("8191", "8191");
	t_round("", "none");
	t_round("\n", "none");
}

static void test_parse_refuses_all_else(void **state)
{
	static const char *const bad[] = {
		",", "1,", ",1", "-", "1-", "-1", "3-1", "1--2", "1 ", " 1", "a", "1,,2", "0x1",
		"1\n\n", "1-2-3", "1;2", "\n1",
	};
	struct cpumask mask;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(&mask, bad[i]) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
}

static void test_parse_refuses_cpus_that_cannot_be(void **state)
{
	struct cpumask mask;

	(void)state;
	assert_int_equal(parse(&mask, "8192"), -ERANGE);
	assert_int_equal(parse(&mask, "0-8192"), -ERANGE);
	assert_int_equal(parse(&mask, "4294967296"), -ERANGE);
	assert_int_equal(parse(&mask, "99999999999999999999999999"), -ERANGE);
}

static void test_parse_reads_no_further_than_told(void **state)
{
	struct cpumask mask;
	char buf[16];

	(void)state;
	assert_int_equal(cpumask_parse(&mask, "12", 1), 0);
	assert_string_equal(cpumask_format(&mask, buf, sizeof(buf)), "1");
	assert_int_equal(cpumask_parse(&mask, "1-23", 2), -EINVAL);
}

static void test_format_says_where_it_was_cut(void **state)
{
	struct cpumask mask;
	char buf[16];

	(void)state;
	assert_int_equal(parse(&mask, "1,3,5,7,9,11,13,15"), 0);
	for (size_t size = 8; size <= sizeof(buf); size++) {
		memset(buf, 'x', sizeof(buf));
		cpumask_format(&mask, buf, size);
		assert_non_null(memchr(buf, 0, size));
		assert_string_equal(buf + strlen(buf) - 3, "...");
		for (size_t i = size; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 'x');
	}
}

static void test_set_operations(void **state)
{
	struct cpumask a;
	struct cpumask b;
	struct cpumask both;

	(void)state;
	parse(&a, "0-9,100");
	parse(&b, "5-20,100-110");
	cpumask_and(&both, &a, &b);
	assert_int_equal(cpumask_count(&both), 6);
	assert_true(cpumask_has(&both, 100));
	assert_false(cpumask_has(&both, 4));
	assert_false(cpumask_has(&both, UINT32_MAX));
	assert_false(cpumask_equal(&a, &b));
	cpumask_and(&both, &both, &both);
	cpumask_clear(&both);
	assert_true(cpumask_empty(&both));
	cpumask_set(&both, 8191);
	assert_false(cpumask_empty(&both));
}

static void test_affinity_of_this_thread_can_be_set_again(void **state)
{
	struct cpumask mask;

	(void)state;
	assert_int_equal(cpumask_get_affinity(&mask), 0);
	assert_false(cpumask_empty(&mask));
	assert_int_equal(cpumask_set_affinity(&mask), 0);
	cpumask_clear(&mask);
	assert_int_equal(cpumask_set_affinity(&mask), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_reads_what_the_kernel_writes),
		cmocka_unit_test(test_parse_refuses_all_else),
		cmocka_unit_test(test_parse_refuses_cpus_that_cannot_be),
		cmocka_unit_test(test_parse_reads_no_further_than_told),
		cmocka_unit_test(test_format_says_where_it_was_cut),
		cmocka_unit_test(test_set_operations),
		cmocka_unit_test(test_affinity_of_this_thread_can_be_set_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
