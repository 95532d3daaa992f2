/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.c - stage 1 translation by a guest's own tables, for who looks inside
 *
 * Arm ARM, D8 "The AArch64 Virtual Memory System Architecture".  The tables are the
 * guest's, so anything may be in them, and they may change meanwhile: each descriptor
 * is read once, and there are at most five.
 */
#include "arm64/walk.h"

#include <errno.h>

/* TCR_EL1 (D24.2.193): for the lower half of addresses; the upper has them elsewhere. */
#define TCR_T0SZ	0
#define TCR_EPD0	7
#define TCR_TG0		14
#define TCR_T1SZ	16
#define TCR_EPD1	23
#define TCR_TG1		30
#define TCR_IPS		32
#define TCR_TBI0	37
#define TCR_TBI1	38
#define TCR_DS		59
#define IPS_52		6

#define SCTLR_M		(1u << 0)
#define DESC_VALID	(1u << 0)
#define DESC_TABLE	(1u << 1)	/* a table, or on the last level a page */
#define TTBR_BADDR	0x0000fffffffffffeull

struct walk {
	u64		table;
	unsigned int	va_bits;
	unsigned int	page_shift;
	bool		wide;		/* 52 bits of physical address ... */
	bool		ds;		/* ... of pages below 64 KiB */
};

static u64 bits(u64 val, unsigned int shift, unsigned int nr)
{
	return val >> shift & ((1ull << nr) - 1);
}

/* The page size, as a shift; 0: there is no such one. */
static unsigned int granule(u64 tcr, bool high)
{
	static const u8 low_shifts[] = { 12, 16, 14, 0 };	/* TG0 */
	static const u8 high_shifts[] = { 0, 14, 12, 16 };	/* TG1 */

	return high ? high_shifts[bits(tcr, TCR_TG1, 2)] : low_shifts[bits(tcr, TCR_TG0, 2)];
}

/* All bits above those that are translated are like bit 55, which chooses the half. */
static bool is_canonical(u64 va, unsigned int va_bits, bool tagged, bool high)
{
	unsigned int top = tagged ? 56 : 64;
	u64 above = bits(va, va_bits, top - va_bits);

	return above == (high ? bits(~0ull, va_bits, top - va_bits) : 0);
}

static int begin(struct walk *w, const struct vmm_vcpu_regs *regs, u64 va)
{
	bool high = bits(va, 55, 1);
	u64 ttbr = high ? regs->ttbr1_el1 : regs->ttbr0_el1;
	u64 tcr = regs->tcr_el1;

	if (bits(tcr, high ? TCR_EPD1 : TCR_EPD0, 1))
		return -EFAULT;
	w->va_bits = 64 - (unsigned int)bits(tcr, high ? TCR_T1SZ : TCR_T0SZ, 6);
	w->page_shift = granule(tcr, high);
	if (!w->page_shift || w->va_bits < 16 || w->va_bits > 52 || w->va_bits <= w->page_shift)
		return -EFAULT;
	if (!is_canonical(va, w->va_bits, bits(tcr, high ? TCR_TBI1 : TCR_TBI0, 1), high))
		return -EFAULT;
	w->ds = w->page_shift != 16 && bits(tcr, TCR_DS, 1);
	w->wide = w->ds || (w->page_shift == 16 && bits(tcr, TCR_IPS, 3) == IPS_52);
	w->table = ttbr & TTBR_BADDR;
	if (w->wide)
		w->table = (w->table & ~0x3full) | bits(ttbr, 2, 4) << 48;
	return 0;
}

static u64 output(const struct walk *w, u64 desc)
{
	unsigned int top = w->ds ? 50 : 48;
	u64 pa = bits(desc, w->page_shift, top - w->page_shift) << w->page_shift;

	if (w->ds)
		pa |= bits(desc, 8, 2) << 50;
	else if (w->wide)
		pa |= bits(desc, 12, 4) << 48;
	return pa;
}

/* From the first level, which translates whatever is left at the top. */
static int walk(struct walk *w, const struct gmem *mem, u64 va, gpa_t *pa, u64 *left)
{
	unsigned int stride = w->page_shift - 3;
	unsigned int nr_levels = (w->va_bits - w->page_shift + stride - 1) / stride;
	unsigned int top = w->va_bits;

	for (unsigned int i = nr_levels; i-- > 0;) {
		unsigned int shift = w->page_shift + i * stride;
		u64 desc;

		if (gmem_read(mem, w->table + 8 * bits(va, shift, top - shift), &desc, sizeof(desc)) ||
		    !(desc & DESC_VALID))
			return -EFAULT;
		if (i && desc & DESC_TABLE) {
			w->table = output(w, desc);
			top = shift;
			continue;
		}
		if (!i && !(desc & DESC_TABLE))
			return -EFAULT;
		*pa = (output(w, desc) & ~((1ull << shift) - 1)) | bits(va, 0, shift);
		*left = (1ull << shift) - bits(va, 0, shift);
		return 0;
	}
	return -EFAULT;
}

int walk_translate(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va, gpa_t *pa,
		   u64 *left)
{
	struct walk w;
	int ret;

	if (!(regs->sctlr_el1 & SCTLR_M)) {
		*pa = va;
		*left = UINT64_MAX;
		return 0;
	}
	ret = begin(&w, regs, va);
	return ret ? ret : walk(&w, mem, va, pa, left);
}

int walk_read(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va, void *buf,
	      size_t len)
{
	char *to = buf;

	while (len) {
		gpa_t pa;
		u64 n;
		int ret = walk_translate(mem, regs, va, &pa, &n);

		if (n > len)
			n = len;
		if (ret || gmem_read(mem, pa, to, n))
			return -EFAULT;
		to += n;
		va += n;
		len -= n;
	}
	return 0;
}
