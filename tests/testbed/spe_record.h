/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spe_record.h - what a sample record of SPE says
 */
#ifndef TESTS_SPE_RECORD_H
#define TESTS_SPE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPE_RECORD_ADDRESS	0x00ffffffffffffffull	/* without its attributes */

enum spe_record_op {
	SPE_RECORD_OTHER,
	SPE_RECORD_LDST,
	SPE_RECORD_BRANCH,
};

struct spe_record {
	uint64_t	pc;		/* with its exception level, in bits 62:61 */
	uint64_t	target;		/* of a branch that was taken */
	uint64_t	addr;		/* virtual, of the data */
	unsigned int	op;		/* an spe_record_op */
	unsigned int	payload;	/* of that; of a store bit 0 is set */
	bool		have_pc;
	bool		not_taken;
};

/*
 * Takes apart the one record in the @size bytes at @rec, which has padding before and
 * behind it.  Padding alone is no mistake, and has no PC.  False: this is no record.
 */
bool spe_record_parse(struct spe_record *r, const uint8_t *rec, size_t size);

#endif
