/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_expect.c - vmm/cli/expect.c and tee.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/expect.h"
#include "vmm/cli/tee.h"

static struct expect *t_expect(void **state, const char *first, const char *second)
{
	const char *patterns[] = { first, second };
	struct expect *expect = *state;
	struct vmm_error err;

	expect_fini(expect);
	assert_int_equal(expect_init(expect, patterns, second ? 2 : 1, &err), 0);
	return expect;
}

static void t_feed(struct expect *expect, const char *text)
{
	expect_feed(expect, text, strlen(text));
}

static void t_one(void **state, const char *pattern, const char *text, bool found)
{
	struct expect *expect = t_expect(state, pattern, NULL);

	t_feed(expect, text);
	if ((expect_awaited(expect) == NULL) != found)
		fail_msg("'%s' %s in '%s'", pattern, found ? "not found" : "found", text);
	/* One byte at a time it is no different. */
	expect = t_expect(state, pattern, NULL);
	for (size_t i = 0; text[i]; i++)
		expect_feed(expect, text + i, 1);
	assert_int_equal(expect_awaited(expect) == NULL, found);
}

static void test_a_pattern_is_found_in_a_line_or_what_there_is_of_it(void **state)
{
	t_one(state, "login: ", "debian login: ", true);
	t_one(state, "^login", "a\nlogin\n", true);
	t_one(state, "^login", "a login\n", false);
	t_one(state, "a.b", "a\nb\n", false);
	t_one(state, "(x|y)z+", "..yzz", true);
}

static void test_the_end_of_a_line_is_known_only_when_it_is_there(void **state)
{
	t_one(state, "up$", "up and running\n", false);
	t_one(state, "up$", "up", false);
	t_one(state, "up$", "up\r\n", true);
}

static void test_what_terminals_eat_is_no_part_of_a_line(void **state)
{
	t_one(state, "^hello world$", "\x1b[1;31mhel\x1b[0mlo\r \x1b(Bwor\x1b]0;title\x07ld\a\n", true);
	t_one(state, "^plain$", "\x1b]2;a title\x1b\\plain\n", true);
	t_one(state, "^plain$", "\x1b" "7\x1b\x1b[Kplain\n", true);
	/* A string that is never ended does not hide all that follows. */
	t_one(state, "^next$", "\x1b]0;cut off\nnext\n", true);
}

static void test_a_cursor_sent_elsewhere_begins_a_line(void **state)
{
	t_one(state, "^Choose language", "title\x1b[5;10HChoose language", true);
	t_one(state, "titleChoose", "title\x1b[5;10HChoose", false);
	t_one(state, "two words", "two\x1b[1Cwords", true);
}

static void test_patterns_are_found_in_their_order(void **state)
{
	struct expect *expect = t_expect(state, "one", "two");

	t_feed(expect, "two one\n");
	assert_string_equal(expect_awaited(expect), "two");
	t_feed(expect, "two");
	assert_null(expect_awaited(expect));

	/* On one line, each behind the other; the same text does not count twice. */
	expect = t_expect(state, "a", "a");
	t_feed(expect, "a\n");
	assert_non_null(expect_awaited(expect));
	t_feed(expect, "a\n");
	assert_null(expect_awaited(expect));
	expect = t_expect(state, "a", "^b");
	t_feed(expect, "ab");
	assert_non_null(expect_awaited(expect));
	t_feed(expect, "\nb");
	assert_null(expect_awaited(expect));
}

static void test_a_line_without_end_is_forgotten_by_halves(void **state)
{
	struct expect *expect = t_expect(state, "needle", NULL);

	for (int i = 0; i < 100000; i++)
		expect_feed(expect, "x", 1);
	assert_true(expect->len < EXPECT_LINE);
	t_feed(expect, "needle");
	assert_null(expect_awaited(expect));
	/* Nor does one that is empty for ever do harm. */
	expect = t_expect(state, "x*$", "b");
	for (int i = 0; i < 10000; i++)
		t_feed(expect, "x");
	t_feed(expect, "\nb");
	assert_null(expect_awaited(expect));
}

static void test_bytes_of_all_kinds_are_survived(void **state)
{
	struct expect *expect = t_expect(state, "end", NULL);
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (int i = 0; i < 256; i++) {
		char pair[3] = { '\x1b', (char)i, '\n' };

		expect_feed(expect, all, sizeof(all));
		expect_feed(expect, pair, sizeof(pair));
	}
	t_feed(expect, "\x1b\\\x07\n\nend");
	assert_null(expect_awaited(expect));
}

static void test_a_panic_is_heard(void **state)
{
	struct expect *expect = t_expect(state, "up", NULL);

	t_feed(expect, "[    0.5] Kernel panic - not sync");
	assert_false(expect->panic);
	t_feed(expect, "ing: VFS: Unable");
	assert_true(expect->panic);
	assert_non_null(expect_awaited(expect));
}

static void test_a_pattern_that_makes_no_sense_is_refused(void **state)
{
	const char *patterns[] = { "good", "(bad" };
	struct expect *expect = *state;
	struct vmm_error err;

	assert_int_equal(expect_init(expect, patterns, 2, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--expect (bad: "));
	assert_int_equal(expect->nr, 0);
}

static int t_try(const char *pattern, struct vmm_error *err)
{
	struct expect expect;
	int ret = expect_init(&expect, &pattern, 1, err);

	expect_fini(&expect);
	return ret;
}

/* They would take memory without a bound, for as long as that lasts. */
static void test_repetitions_of_repetitions_are_refused(void **state)
{
	static const char *const stacked[] = {
		"UP+++", "a**", "x{2}{3}", "(a)?{9}", "[]a]*+",
	};
	static const char *const bad[] = {
		"a{513}", "(a{99}){99}", "((a{9}){9}){9}", "(a{30}){30}", "((b|a{9,}){9}){,9}", "a{99999999999}",
		"(((((((((a+)+)+)+)+)+)+)+)+)+", "(((((((((a?)?)?)?)?)?)?)?)?)?", "([]a[:digit:]]{32}){32}",
		"\\({600}", "(a\\)b){200}",
	};
	static const char *const good[] = {
		"UP+", "a{512}", "(a{20}){22}", "(ab){170}", "[]+*{9}{9}{9}]{9}", "\\+\\+\\+{2}", "x{2,}",
		"[a-z]+:[0-9]{1,5}", "[[:alpha:]{]{9}", "((a+b*)?c?)+",
	};
	char longest[EXPECT_SIZE + 2];
	struct vmm_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(stacked) / sizeof(stacked[0]); i++) {
		if (t_try(stacked[i], &err) != -EINVAL)
			fail_msg("'%s' is taken", stacked[i]);
		assert_non_null(strstr(err.msg, ": a repetition of a repetition"));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (t_try(bad[i], &err) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		assert_non_null(strstr(err.msg, ": too long, with its repetitions"));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (t_try(good[i], &err))
			fail_msg("%s", err.msg);
	/* The C library calls itself for each of them. */
	memset(longest, '(', sizeof(longest) - 1);
	longest[EXPECT_SIZE + 1] = '\0';
	assert_int_equal(t_try(longest, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "...: too long"));
	memset(longest, 'x', EXPECT_SIZE);
	longest[EXPECT_SIZE] = '\0';
	assert_int_equal(t_try(longest, &err), 0);
}

static void test_what_refers_back_is_refused(void **state)
{
	struct vmm_error err;

	(void)state;
	assert_int_equal(t_try("(a*)*\\1", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "refers back"));
	assert_int_equal(t_try("[\\1]\\\\1", &err), 0);
}

static void test_the_tee_passes_output_on_and_waits_for_a_slow_reader(void **state)
{
	char big[TEE_CHUNK];
	struct tee tee;
	int out[2];
	size_t filled = 0;
	char c;

	(void)state;
	assert_int_equal(pipe2(out, O_NONBLOCK), 0);
	assert_int_equal(tee_open(&tee, out[1]), 0);
	assert_int_equal(write(tee.wr, "abc", 3), 3);
	assert_int_equal(tee_poll(&tee).fd, tee.rd);
	assert_int_equal(tee_pump(&tee), 3);
	assert_memory_equal(tee.buf, "abc", 3);
	assert_int_equal(read(out[0], big, sizeof(big)), 3);

	memset(big, 'x', sizeof(big));
	while (write(out[1], big, sizeof(big)) > 0)
		filled += sizeof(big);
	assert_int_equal(write(tee.wr, "later", 5), 5);
	assert_int_equal(tee_pump(&tee), 5);
	/* It is not read again before that has been taken. */
	assert_int_equal(tee_poll(&tee).fd, out[1]);
	assert_int_equal(tee_pump(&tee), 0);
	while (filled) {
		ssize_t got = read(out[0], big, sizeof(big));

		assert_true(got > 0);
		filled -= (size_t)got;
	}
	assert_int_equal(tee_pump(&tee), 0);
	assert_int_equal(tee_poll(&tee).fd, tee.rd);
	assert_int_equal(read(out[0], big, sizeof(big)), 5);
	assert_memory_equal(big, "later", 5);
	assert_int_equal(read(out[0], &c, 1), -1);
	tee_close(&tee);
	assert_int_equal(tee_poll(&tee).fd, -1);
	close(out[0]);
	close(out[1]);
}

static int t_setup(void **state)
{
	static struct expect expect;

	memset(&expect, 0, sizeof(expect));
	*state = &expect;
	return 0;
}

static int t_teardown(void **state)
{
	expect_fini(*state);
	return 0;
}

#define T_TEST(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(test_a_pattern_is_found_in_a_line_or_what_there_is_of_it),
		T_TEST(test_the_end_of_a_line_is_known_only_when_it_is_there),
		T_TEST(test_what_terminals_eat_is_no_part_of_a_line),
		T_TEST(test_a_cursor_sent_elsewhere_begins_a_line),
		T_TEST(test_patterns_are_found_in_their_order),
		T_TEST(test_a_line_without_end_is_forgotten_by_halves),
		T_TEST(test_bytes_of_all_kinds_are_survived),
		T_TEST(test_a_panic_is_heard),
		T_TEST(test_a_pattern_that_makes_no_sense_is_refused),
		cmocka_unit_test(test_repetitions_of_repetitions_are_refused),
		cmocka_unit_test(test_what_refers_back_is_refused),
		cmocka_unit_test(test_the_tee_passes_output_on_and_waits_for_a_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
