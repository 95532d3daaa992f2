/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_error.c - the text of a failure
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/t.h"
#include "vmm/error.h"

static void test_text_and_number_go_together(void **state)
{
	struct vmm_error err;

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "blk%d: queue size %u", 3, 5u), -EINVAL);
	assert_string_equal(err.msg, "blk3: queue size 5");
	assert_int_equal(error_sys(&err, -ENOENT, "blk%d", 3), -ENOENT);
	assert_string_equal(err.msg, "blk3: No such file or directory");
	assert_int_equal(error_sys(&err, -4095, "blk3"), -4095);
	assert_string_equal(err.msg, "blk3: error 4095");
}

static void test_nobody_wants_the_text(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(error_sys(NULL, -EINVAL, "x"), -EINVAL);
}

static void test_long_text_is_cut_and_terminated(void **state)
{
	struct vmm_error err;
	char text[1000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.msg), VMM_MSG_SIZE - 1);
	error_sys(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.msg), VMM_MSG_SIZE - 1);
	error_sys(&err, -EINVAL, "%.250s", text);
	assert_int_equal(strlen(err.msg), VMM_MSG_SIZE - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_and_number_go_together),
		cmocka_unit_test(test_nobody_wants_the_text),
		cmocka_unit_test(test_long_text_is_cut_and_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
