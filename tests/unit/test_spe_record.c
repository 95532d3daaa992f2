/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spe_record.c - sample records of SPE, as our programs in guests take them apart
 */
#include <stdlib.h>
#include <string.h>

#include "tests/testbed/spe_record.h"
#include "tests/unit/t.h"

#define T_PC	0xb0, 0x78, 0x56, 0x34, 0x12, 0xaa, 0xaa, 0x00, 0xa0	/* EL1, not secure */
#define T_OTHER	0x48, 0x00
#define T_END	0x01
#define T_BYTES(...)	(const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ })

/* In memory that ends where the record does. */
static bool t_parse(struct spe_record *r, const u8 *bytes, size_t size)
{
	u8 *copy = malloc(size);
	bool ok;

	memcpy(copy, bytes, size);
	memset(r, 0xff, sizeof(*r));
	ok = spe_record_parse(r, copy, size);
	free(copy);
	return ok;
}

static void test_branch_has_its_target(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(T_PC, 0xb1, 1, 2, 3, 4, 5, 6, 7, 0x80, 0x4a, 0x01,
					0x52, 0x40, 0x00, 0x98, 1, 0, 0x99, 1, 0,
					0x71, 1, 2, 3, 4, 5, 6, 7, 8)));
	assert_true(r.have_pc && r.not_taken);
	assert_int_equal(r.pc, 0xa000aaaa12345678ull);
	assert_int_equal(r.target, 0x07060504030201ull);
	assert_int_equal(r.op, SPE_RECORD_BRANCH);
	assert_int_equal(r.payload, 1);
	assert_int_equal(r.addr, 0);
}

static void test_store_has_its_address(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x64, 1, 0, 0, 0, 0x65, 1, 0, 0, 0, 0x49, 0x01,
					0x62, 2, 0, 0, 0, 0x9a, 1, 0, 0x53, 1, 0,
					0xb2, 1, 2, 3, 4, 5, 6, 7, 8, 0xb3, 9, 9, 9, 9, 9, 9, 9, 9,
					T_END, 0, 0, 0)));
	assert_int_equal(r.op, SPE_RECORD_LDST);
	assert_int_equal(r.payload, 1);
	assert_int_equal(r.addr, 0x07060504030201ull);
	assert_false(r.not_taken);
}

static void test_events_have_four_sizes(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x42, 0x40, T_END)));
	assert_true(r.not_taken);
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x62, 0x40, 0, 0, 0, T_END)));
	assert_true(r.not_taken);
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x72, 0x40, 0, 0, 0, 0, 0, 0, 0, T_END)));
	assert_true(r.not_taken);
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x72, 0xbf, 1, 1, 1, 1, 1, 1, 1, T_END)));
	assert_false(r.not_taken);
}

static void test_padding_may_be_between_packets(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(0, 0, T_PC, 0, T_OTHER, 0, 0, T_END, 0)));
	assert_true(r.have_pc);
}

static void test_padding_alone_has_no_pc(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(0, 0, 0, 0)));
	assert_false(r.have_pc);
	assert_true(spe_record_parse(&r, NULL, 0));
	assert_false(r.have_pc);
}

/* Those that we know have indices below 8; others are skipped, not taken for them. */
static void test_long_headers_are_of_addresses_and_counters(void **state)
{
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, T_BYTES(T_PC, 0x21, 0xb0, 9, 9, 9, 9, 9, 9, 9, 9,
					0x23, 0xb2, 9, 9, 9, 9, 9, 9, 9, 9,
					0x22, 0x9f, 9, 9, T_OTHER, T_END)));
	assert_int_equal(r.pc, 0xa000aaaa12345678ull);
	assert_int_equal(r.addr, 0);
	assert_true(t_parse(&r, T_BYTES(0x20, T_PC, T_OTHER, T_END)));
	assert_int_equal(r.pc, 0xa000aaaa12345678ull);
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, 0x48, 0, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, 0x42, 0, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, 0x00, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, 0x21, 0xb0, 9, 9, 9, 9, 9, 9, 9, 9, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21, 0x9f, 9)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x21)));
}

/* By the manual's table: its kinds, each with its sizes, and nothing else. */
static bool t_known(unsigned int header)
{
	static const u8 known[] = {
		0x00, 0x01, 0x42, 0x52, 0x62, 0x72, 0x43, 0x53, 0x63, 0x73, 0x48, 0x49, 0x4a,
		0x64, 0x65, 0x66, 0x67, 0x71,
	};

	if ((header >= 0x98 && header <= 0x9f) || (header >= 0xb0 && header <= 0xb7))
		return true;
	return memchr(known, (int)header, sizeof(known));
}

static void test_headers_that_are_none_are_refused(void **state)
{
	(void)state;
	for (unsigned int header = 0; header <= 0xff; header++) {
		u8 bytes[] = { T_PC, T_OTHER, (u8)header, 0, 0, 0, 0, 0, 0, 0, 0, T_END };
		size_t size = 0;
		struct spe_record r;
		bool ok;

		/* An end, or a timestamp, has nothing behind it. */
		if (header == 0x01 || header == 0x71)
			bytes[sizeof(bytes) - 1] = 0;
		ok = t_parse(&r, bytes, sizeof(bytes));
		if (ok != t_known(header))
			fail_msg("header %#x: %s", header, ok ? "taken" : "refused");
		/* As many bytes as its payload has, and no fewer. */
		if (!ok || header < 0x42)
			continue;
		size = (size_t)1 << (header >> 4 & 3);
		if (t_parse(&r, bytes, 12 + size - 1))
			fail_msg("header %#x: taken with %zu bytes", header, size - 1);
		bytes[12 + size] = T_END;
		if (header != 0x71 && !t_parse(&r, bytes, 12 + size + 1))
			fail_msg("header %#x: refused with %zu bytes", header, size);
	}
}

static void test_cut_anywhere_it_is_none(void **state)
{
	static const u8 whole[] = {
		T_PC, 0x49, 0x01, 0x52, 2, 0, 0x21, 0x98, 1, 0, 0xb2, 1, 2, 3, 4, 5, 6, 7, 8,
		0x71, 1, 2, 3, 4, 5, 6, 7, 8,
	};
	struct spe_record r;

	(void)state;
	assert_true(t_parse(&r, whole, sizeof(whole)));
	for (size_t size = 1; size < sizeof(whole); size++)
		assert_false(t_parse(&r, whole, size));
}

static void test_nothing_is_behind_the_end(void **state)
{
	struct spe_record r;

	(void)state;
	assert_false(t_parse(&r, T_BYTES(T_PC, T_OTHER, T_END, 0, 0x48)));
	assert_false(t_parse(&r, T_BYTES(T_PC, T_OTHER, T_END, T_PC, T_OTHER, T_END)));
	assert_false(t_parse(&r, T_BYTES(T_PC, 0x71, 1, 2, 3, 4, 5, 6, 7, 8, T_END)));
	/* There is a PC wherever there is an operation. */
	assert_false(t_parse(&r, T_BYTES(T_OTHER, T_END)));
	assert_true(t_parse(&r, T_BYTES(0x42, 1, T_END)));
	assert_false(r.have_pc);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_branch_has_its_target),
		cmocka_unit_test(test_store_has_its_address),
		cmocka_unit_test(test_events_have_four_sizes),
		cmocka_unit_test(test_padding_may_be_between_packets),
		cmocka_unit_test(test_padding_alone_has_no_pc),
		cmocka_unit_test(test_long_headers_are_of_addresses_and_counters),
		cmocka_unit_test(test_headers_that_are_none_are_refused),
		cmocka_unit_test(test_cut_anywhere_it_is_none),
		cmocka_unit_test(test_nothing_is_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
