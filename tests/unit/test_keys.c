/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_keys.c - vmm/cli/keys.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/cli/keys.h"

static void t_type(struct keys *keys, const char *typed, size_t len, const char *want,
		   size_t want_len, unsigned int want_asked)
{
	unsigned int asked = ~0u;
	char buf[64];

	memcpy(buf, typed, len);
	assert_int_equal(keys_filter(keys, buf, len, &asked), want_len);
	assert_memory_equal(buf, want, want_len);
	assert_int_equal(asked, want_asked);
}

#define T_TYPE(keys, typed, want, asked) \
	t_type(keys, typed, sizeof(typed) - 1, want, sizeof(want) - 1, asked)

static void test_keys_pass_what_is_not_escaped(void **state)
{
	struct keys keys = { 0 };

	(void)state;
	T_TYPE(&keys, "", "", 0);
	T_TYPE(&keys, "xh\0\x02\xff\x03\x1a", "xh\0\x02\xff\x03\x1a", 0);
}

static void test_keys_take_commands_out(void **state)
{
	struct keys keys = { 0 };

	(void)state;
	T_TYPE(&keys, "\x01x", "", KEYS_QUIT);
	T_TYPE(&keys, "\x01h", "", KEYS_HELP);
	T_TYPE(&keys, "a\x01hb\x01xc", "abc", KEYS_HELP | KEYS_QUIT);
}

/* As under vmm console, where x is for the guest. */
static void test_keys_quit_by_another(void **state)
{
	struct keys keys = { .quit = 'd' };

	(void)state;
	T_TYPE(&keys, "d\x01x", "dx", 0);
	T_TYPE(&keys, "\x01" "dh", "h", KEYS_QUIT);
}

static void test_keys_send_the_escape_key_itself(void **state)
{
	struct keys keys = { 0 };

	(void)state;
	T_TYPE(&keys, "\x01" "a", "\x01", 0);
	T_TYPE(&keys, "\x01\x01", "\x01", 0);
	/* The second of them is sent, and so does not escape the x. */
	T_TYPE(&keys, "\x01\x01x", "\x01x", 0);
}

static void test_keys_pass_an_unknown_command_without_the_escape(void **state)
{
	struct keys keys = { 0 };

	(void)state;
	T_TYPE(&keys, "\x01q\x01X", "qX", 0);
}

static void test_keys_remember_the_escape_between_reads(void **state)
{
	struct keys keys = { 0 };

	(void)state;
	T_TYPE(&keys, "ab\x01", "ab", 0);
	T_TYPE(&keys, "", "", 0);
	T_TYPE(&keys, "x", "", KEYS_QUIT);
	T_TYPE(&keys, "x", "x", 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_pass_what_is_not_escaped),
		cmocka_unit_test(test_keys_take_commands_out),
		cmocka_unit_test(test_keys_quit_by_another),
		cmocka_unit_test(test_keys_send_the_escape_key_itself),
		cmocka_unit_test(test_keys_pass_an_unknown_command_without_the_escape),
		cmocka_unit_test(test_keys_remember_the_escape_between_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
