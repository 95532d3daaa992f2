/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_abi.c - spe/abi.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spe/abi.h"
#include "spe/dialect.h"

#define LEAST	"feature-bit = 9\ngroup = 3\nirq = 0\ninit = 1\n"

static void test_least_description_gets_defaults(void **state)
{
	struct spe_abi abi;

	(void)state;
	assert_int_equal(abi_parse(&abi, LEAST, NULL), 0);
	assert_string_equal(abi.name, "file");
	assert_int_equal(abi.feature_bit, 9);
	assert_int_equal(abi.group, 3);
	assert_int_equal(abi.irq, 0);
	assert_int_equal(abi.init, 1);
	assert_int_equal(abi.capability, ABI_NONE);
	assert_int_equal(abi.absent_capability, ABI_NONE);
	assert_int_equal(abi.spu, ABI_NONE);
	assert_int_equal(abi.buffer_size, ABI_NONE);
	assert_int_equal(abi.stop, ABI_NONE);
	assert_int_equal(abi.finalize_group, ABI_NONE);
	assert_int_equal(abi.cpus_ioctl, ABI_NONE);
	assert_int_equal(abi.exit_rlimit, ABI_NONE);
	assert_int_equal(abi.memory, ABI_MEMORY_NONE);
	assert_int_equal(abi.wrong_cpu, ABI_WRONG_CPU_FAIL_ENTRY);
	assert_int_equal(abi.not_ready, EINVAL);
}

static void test_every_key_is_read(void **state)
{
	static const char text[] =
		"# a kernel of our own\r\n"
		"\n"
		"  name=mine # with a word\n"
		"capability = 0x3e8\n"
		"absent-capability = 206\n"
		"\tfeature-bit\t=\t31\t\n"
		"group = 4\n"
		"irq = 5\n"
		"init = 6\n"
		"spu = 7\n"
		"buffer-size = 8\n"
		"stop = 9\n"
		"finalize-group = 10\n"
		"finalize-attr = 11\n"
		"memory = lock-memslots\n"
		"lock-capability = 12\n"
		"cpus-capability = 13\n"
		"cpus-ioctl = 0xC5\n"
		"wrong-cpu = enoexec\n"
		"not-ready = EPERM\n"
		"exit-rlimit = 42\n"
		"exit-rlimit-need = 0x10";
	struct spe_abi abi;
	struct vmm_error err = { "" };

	(void)state;
	if (abi_parse(&abi, text, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(abi.name, "mine");
	assert_int_equal(abi.capability, 1000);
	assert_int_equal(abi.absent_capability, 206);
	assert_int_equal(abi.feature_bit, 31);
	assert_int_equal(abi.group, 4);
	assert_int_equal(abi.irq, 5);
	assert_int_equal(abi.init, 6);
	assert_int_equal(abi.spu, 7);
	assert_int_equal(abi.buffer_size, 8);
	assert_int_equal(abi.stop, 9);
	assert_int_equal(abi.finalize_group, 10);
	assert_int_equal(abi.finalize_attr, 11);
	assert_int_equal(abi.memory, ABI_MEMORY_LOCK_MEMSLOTS);
	assert_int_equal(abi.lock_capability, 12);
	assert_int_equal(abi.cpus_capability, 13);
	assert_int_equal(abi.cpus_ioctl, 0xc5);
	assert_int_equal(abi.wrong_cpu, ABI_WRONG_CPU_ENOEXEC);
	assert_int_equal(abi.not_ready, EPERM);
	assert_int_equal(abi.exit_rlimit, 42);
	assert_int_equal(abi.exit_rlimit_need, 16);
}

static void test_words_are_read(void **state)
{
	static const struct {
		const char *text;
		int memory;
		int wrong_cpu;
	} cases[] = {
		{ "memory = none\nwrong-cpu = none\n", ABI_MEMORY_NONE, ABI_WRONG_CPU_NONE },
		{ "memory = mlock\nwrong-cpu = fail-entry\n", ABI_MEMORY_MLOCK,
		  ABI_WRONG_CPU_FAIL_ENTRY },
		{ "memory = kvm-pins\n", ABI_MEMORY_KVM_PINS, ABI_WRONG_CPU_FAIL_ENTRY },
		{ "memory = guest-memfd\n", ABI_MEMORY_GUEST_MEMFD, ABI_WRONG_CPU_FAIL_ENTRY },
		{ "spu = none\n", ABI_MEMORY_NONE, ABI_WRONG_CPU_FAIL_ENTRY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spe_abi abi;
		char text[256];

		snprintf(text, sizeof(text), LEAST "%s", cases[i].text);
		assert_int_equal(abi_parse(&abi, text, NULL), 0);
		assert_int_equal(abi.memory, cases[i].memory);
		assert_int_equal(abi.wrong_cpu, cases[i].wrong_cpu);
	}
}

static void test_bad_line_is_named(void **state)
{
	static const struct {
		const char *text;
		const char *msg;
	} cases[] = {
		{ "", "SPE interface: feature-bit is missing" },
		{ "# nothing\n", "SPE interface: feature-bit is missing" },
		{ "feature-bit = 9\ngroup = 3\ninit = 1\n", "SPE interface: irq is missing" },
		{ "feature-bit = 9\ngroup = 3\nirq = 1\n", "SPE interface: init is missing" },
		{ "feature-bit = 9\nirq = 0\ninit = 1\n", "SPE interface: group is missing" },
		{ LEAST "\n# x\nfrob = 1\n", "SPE interface: line 7: unknown key 'frob'" },
		{ "frob", "SPE interface: line 1: 'frob' is not of the form key = value" },
		{ "= 3", "SPE interface: line 1: unknown key ''" },
		{ "group 3", "SPE interface: line 1: 'group 3' is not of the form key = value" },
		{ "group =", "SPE interface: line 1: group: '' is no number" },
		{ "group = x", "SPE interface: line 1: group: 'x' is no number" },
		{ "group = 3 4", "SPE interface: line 1: group: '3 4' is no number" },
		{ "group = -1", "SPE interface: line 1: group: '-1' is no number" },
		{ "group = 0x", "SPE interface: line 1: group: '0x' is no number" },
		{ "group = 3a", "SPE interface: line 1: group: '3a' is no number" },
		{ "group = 0", "SPE interface: line 1: group: 0 is not between 2 and 2147483647" },
		{ "group = 1", "SPE interface: line 1: group: 1 is not between 2 and 2147483647" },
		{ "group = none", "SPE interface: line 1: group: 'none' is no number" },
		{ "spu = some", "SPE interface: line 1: spu: 'some' is no number, nor \"none\"" },
		{ "feature-bit = 6", "SPE interface: line 1: feature-bit: 6 is not between 7 and 31" },
		{ "feature-bit = 32", "SPE interface: line 1: feature-bit: 32 is not between 7 and 31" },
		{ "irq = 2147483648",
		  "SPE interface: line 1: irq: 2147483648 is not between 0 and 2147483647" },
		{ "irq = 99999999999999999999999999",
		  "SPE interface: line 1: irq: 99999999999999999999999999 is not between 0 and 2147483647" },
		{ "irq = 0\nirq = 0\n", "SPE interface: line 2: irq is given twice" },
		{ "name = a b", "SPE interface: line 1: a name is one word" },
		{ "name =", "SPE interface: line 1: a name has 1 to 31 characters" },
		{ "name = 01234567890123456789012345678901",
		  "SPE interface: line 1: a name has 1 to 31 characters" },
		{ "memory = pin",
		  "SPE interface: line 1: memory: 'pin' is none of none, mlock, lock-memslots, kvm-pins, guest-memfd" },
		{ "wrong-cpu = maybe",
		  "SPE interface: line 1: wrong-cpu: 'maybe' is none of none, fail-entry, enoexec" },
		{ "not-ready = 22",
		  "SPE interface: line 1: not-ready: '22' is none of EINVAL, EPERM, ENOEXEC" },
		{ "cpus-ioctl = 256", "SPE interface: line 1: cpus-ioctl: 256 is not between 0 and 255" },
		{ "exit-rlimit = 9",
		  "SPE interface: line 1: exit-rlimit: 9 is not between 32 and 2147483647" },
		{ "\x1b[31mgroup = 3",
		  "SPE interface: line 1: unknown key '?[31mgroup'" },
		{ LEAST "memory = lock-memslots\n",
		  "SPE interface: memory = lock-memslots and lock-capability go together" },
		{ LEAST "lock-capability = 3\n",
		  "SPE interface: memory = lock-memslots and lock-capability go together" },
		{ LEAST "finalize-attr = 3\n",
		  "SPE interface: finalize-group and finalize-attr go together" },
		{ LEAST "cpus-ioctl = 3\n",
		  "SPE interface: cpus-capability and cpus-ioctl go together" },
		{ LEAST "exit-rlimit-need = 8\n",
		  "SPE interface: exit-rlimit-need is of no use without exit-rlimit" },
		{ "feature-bit = 9\ngroup = 3\nirq = 1\ninit = 1\n",
		  "SPE interface: irq and init are the same attribute" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vmm_error err = { "" };
		struct spe_abi abi;

		assert_int_equal(abi_parse(&abi, cases[i].text, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

static void test_long_junk_is_shown_shortly(void **state)
{
	struct vmm_error err;
	struct spe_abi abi;
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(abi_parse(&abi, text, &err), -EINVAL);
	assert_true(strlen(err.msg) < 120);
	assert_int_equal(abi_parse(&abi, text, NULL), -EINVAL);
}

/* Also of what a file could not say: rows may stay within what it can. */
static void test_every_row_survives_a_round_trip(void **state)
{
	const struct spe_abi *row;

	(void)state;
	for (size_t i = 0; (row = dialect_row(i)); i++) {
		struct vmm_error err = { "" };
		struct spe_abi back;
		char text[ABI_TEXT];
		char second[ABI_TEXT];

		if (row->feature_bit == ABI_NONE)
			continue;
		abi_format(row, text, sizeof(text));
		if (abi_parse(&back, text, &err))
			fail_msg("%s: %s", row->name, err.msg);
		assert_memory_equal(&back, row, sizeof(back));
		assert_string_equal(abi_format(&back, second, sizeof(second)), text);
	}
}

static void test_longest_text_fits(void **state)
{
	struct spe_abi abi;
	char text[ABI_TEXT];

	(void)state;
	memset(&abi, 0, sizeof(abi));
	memset(abi.name, 'n', sizeof(abi.name) - 1);
	abi.capability = abi.absent_capability = abi.feature_bit = abi.group = INT32_MAX;
	abi.irq = abi.init = abi.spu = abi.buffer_size = abi.stop = INT32_MAX;
	abi.finalize_group = abi.finalize_attr = abi.lock_capability = INT32_MAX;
	abi.cpus_capability = abi.cpus_ioctl = abi.exit_rlimit = INT32_MAX;
	abi.exit_rlimit_need = INT32_MAX;
	abi.memory = ABI_MEMORY_LOCK_MEMSLOTS;
	abi.wrong_cpu = ABI_WRONG_CPU_FAIL_ENTRY;
	abi.not_ready = ENOEXEC;
	abi_format(&abi, text, sizeof(text));
	assert_true(strlen(text) < sizeof(text) - 1);
	assert_non_null(strstr(text, "exit-rlimit-need = 2147483647\n"));
	/* ... and one that does not is cut. */
	for (size_t size = 1; size < 200; size++) {
		memset(text, 0x5a, sizeof(text));
		abi_format(&abi, text, size);
		assert_true(strnlen(text, size) < size);
		assert_int_equal(text[size], 0x5a);
	}
}

static u32 next(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Changed descriptions: refused with a line, or read and written back the same. */
static void test_mutations_never_surprise(void **state)
{
	static const char bits[] = "=#\n\r\t 0123456789xabcn-_\xff\x01.";
	u32 seed = 1;

	(void)state;
	for (int round = 0; round < 40000; round++) {
		const struct spe_abi *row = dialect_row(3 + next(&seed) % 6);
		struct vmm_error err = { "" };
		struct spe_abi abi;
		struct spe_abi back;
		char text[ABI_TEXT];
		char out[ABI_TEXT];
		size_t len;

		abi_format(row, text, sizeof(text));
		len = strlen(text);
		for (u32 i = next(&seed) % 4; i < 4; i++) {
			u32 at = next(&seed) % (u32)len;

			if (next(&seed) % 4)
				text[at] = bits[next(&seed) % (sizeof(bits) - 1)];
			else
				memmove(text + at, text + at + 1, len - at);
		}
		if (abi_parse(&abi, text, &err)) {
			assert_int_equal(strncmp(err.msg, "SPE interface: ", 15), 0);
			continue;
		}
		abi_format(&abi, out, sizeof(out));
		assert_int_equal(abi_parse(&back, out, &err), 0);
		assert_memory_equal(&abi, &back, sizeof(abi));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least_description_gets_defaults),
		cmocka_unit_test(test_every_key_is_read),
		cmocka_unit_test(test_words_are_read),
		cmocka_unit_test(test_bad_line_is_named),
		cmocka_unit_test(test_long_junk_is_shown_shortly),
		cmocka_unit_test(test_every_row_survives_a_round_trip),
		cmocka_unit_test(test_longest_text_fits),
		cmocka_unit_test(test_mutations_never_surprise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
