/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * primecell.h - what Arm's PrimeCell peripherals have in common
 *
 * A page of 32-bit registers whose last eight words name the part.  The bus that
 * they are made for has neither bytes nor double words, so other accesses are
 * given a meaning here: a read takes the bytes it covers from the register it
 * begins in, zeroes above; a write counts as a whole one if it begins where the
 * register does, and else is lost.
 */
#ifndef DEVICES_PRIMECELL_H
#define DEVICES_PRIMECELL_H

#include "vmm/types.h"

#define PRIMECELL_SIZE	0x1000
#define PRIMECELL_ID	0xfe0		/* PeriphID0 to 3, PCellID0 to 3 */

/* One byte a word, as in PeriphID @id; 0 beside the eight. */
static inline u32 primecell_id(const u8 id[4], u32 off)
{
	static const u8 cell[4] = { 0x0d, 0xf0, 0x05, 0xb1 };
	u32 i = (off - PRIMECELL_ID) / 4;

	if (off < PRIMECELL_ID || i >= 8)
		return 0;
	return i < 4 ? id[i] : cell[i - 4];
}

/*
 * PeriphID @id as one number, for the property arm,primecell-periphid: a guest that is
 * told need not read it, which takes eight exits.
 */
static inline u32 primecell_periphid(const u8 id[4])
{
	return id[0] | (u32)id[1] << 8 | (u32)id[2] << 16 | (u32)id[3] << 24;
}

/* What a read at @off gets of the register that it begins in. */
static inline u64 primecell_part(u32 reg, u64 off)
{
	return reg >> off % 4 * 8;
}

#endif
