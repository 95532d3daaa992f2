/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_record.c - a sample record of SPE is refused, or is what it says whatever is around it
 *
 * The bytes are a record and, cut at each place, many that end too early; each of them is
 * in memory that has not a byte more.
 */
#include "tests/fuzz/input.h"
#include "tests/testbed/spe_record.h"

#define LONGEST	256

static bool parse(struct spe_record *r, const uint8_t *data, size_t size)
{
	uint8_t *copy = calloc(1, size);
	bool ok;

	must(copy || !size);
	if (size)
		memcpy(copy, data, size);
	/* Nothing that was there before is left. */
	memset(r, 0xa5, sizeof(*r));
	ok = spe_record_parse(r, copy, size);
	must(!size || !memcmp(copy, data, size));
	free(copy);
	return ok;
}

static bool same(const struct spe_record *a, const struct spe_record *b)
{
	return a->pc == b->pc && a->target == b->target && a->addr == b->addr && a->op == b->op &&
	       a->payload == b->payload && a->have_pc == b->have_pc && a->not_taken == b->not_taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t padded[LONGEST + 2] = { 0 };
	struct spe_record shorter;
	struct spe_record again;
	struct spe_record r;
	size_t used;
	bool ok;

	size = size < LONGEST ? size : LONGEST;
	ok = parse(&r, data, size);
	must(r.op <= SPE_RECORD_BRANCH && r.payload <= 0xff);
	must(!((r.target | r.addr) & ~SPE_RECORD_ADDRESS));
	must(r.have_pc || !r.pc);
	must(parse(&again, data, size) == ok && same(&r, &again));

	if (size)
		memcpy(padded + 1, data, size);
	/* Padding before it changes nothing; behind it, it may complete a payload that was cut. */
	must(parse(&again, padded, size + 1) == ok && same(&r, &again));
	if (ok)
		must(parse(&again, padded, size + 2) && same(&r, &again));

	/* A record that is cut is none, unless that cuts off but padding. */
	for (used = size; used && !data[used - 1]; used--)
		;
	for (size_t cut = 0; cut < size; cut++) {
		bool part = parse(&shorter, data, cut);

		must(shorter.op <= SPE_RECORD_BRANCH);
		if (ok && cut >= used + sizeof(uint64_t))
			must(part && same(&r, &shorter));
		/* What is whole has nothing but padding behind its end. */
		if (ok && part && cut < used)
			must(!shorter.have_pc && !shorter.payload);
	}
	return 0;
}
