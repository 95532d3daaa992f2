/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_expect.c - any pattern, and anything that a guest prints: neither takes memory or
 * time without a bound
 *
 * The first line of the input is the pattern.
 */
#include <errno.h>

#include "tests/fuzz/input.h"
#include "vmm/cli/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct expect expect;
	struct input in = { data, size };
	char *pattern = input_string(&in);
	char *text = strchr(pattern, '\n');
	const char *const patterns[] = { pattern, "end" };
	struct vmm_error err = { "" };
	size_t len = text ? (size_t)(pattern + size - text) - 1 : 0;
	int ret;

	if (text)
		*text++ = '\0';
	ret = expect_init(&expect, patterns, 2, &err);
	must(!ret || (ret == -EINVAL && err.msg[0]));
	if (!ret) {
		/* In two pieces. */
		expect_feed(&expect, text, len / 2);
		expect_feed(&expect, text ? text + len / 2 : NULL, len - len / 2);
		must(expect.len < EXPECT_LINE && expect.from <= expect.len);
		must(expect.found <= expect.nr);
		must(!expect_awaited(&expect) == (expect.found == expect.nr));
		/* In the end it hears again, whatever a terminal made of the rest. */
		expect.found = 1;
		expect_feed(&expect, "\a\n@\nend", 7);
		must(!expect_awaited(&expect));
	}
	expect_fini(&expect);
	free(pattern);
	return 0;
}
