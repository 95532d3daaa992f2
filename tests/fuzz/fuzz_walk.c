/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_walk.c - page tables that a guest made, and registers that it chose: what is read
 * by them is in its RAM
 *
 * The input is registers, entries of tables, and addresses to look at.
 */
#include <errno.h>

#include "arm64/walk.h"
#include "tests/fuzz/input.h"

#define BASE	GIB(2)
#define RAM	KIB(256)
#define STEPS	64

static struct gmem ram;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct vmm_error err;

	(void)argc;
	(void)argv;
	must(!gmem_init(&ram, BASE, RAM, -1, 0, &err));
	return 0;
}

/* Somewhere in RAM, mostly; the low bits are a descriptor's. */
static u64 choose_entry(struct input *in)
{
	u8 how = input_u8(in);

	if (how & 0x80)
		return input_u64(in);
	return (BASE + (u64)(how >> 2 & 0xf) * KIB(16)) | (how & 3) | (how & 0x40 ? ~0ull << 48 : 0);
}

static void look(const struct vmm_vcpu_regs *regs, u64 va)
{
	gpa_t pa = 0;
	u64 left = 0;
	u8 buf[64];
	int ret = walk_translate(&ram, regs, va, &pa, &left);

	must(!ret || ret == -EFAULT);
	if (!ret) {
		must(left && (!(regs->sctlr_el1 & 1) || left <= 1ull << 56));
		must(!(regs->sctlr_el1 & 1) || !(pa >> 52));
	}
	ret = walk_read(&ram, regs, va, buf, sizeof(buf));
	must(!ret || ret == -EFAULT);
	/* What can be read can be read in parts, and is the same. */
	for (size_t i = 0; !ret && i < sizeof(buf); i += 16) {
		u8 part[16];

		must(!walk_read(&ram, regs, va + i, part, sizeof(part)));
		must(!memcmp(part, buf + i, sizeof(part)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct vmm_vcpu_regs regs = { .size = sizeof(regs) };

	memset(gmem_host(&ram, BASE, RAM), 0, RAM);
	regs.sctlr_el1 = input_u8(&in);
	regs.tcr_el1 = input_u64(&in);
	regs.ttbr0_el1 = choose_entry(&in);
	regs.ttbr1_el1 = choose_entry(&in);
	for (u32 i = 0; i < STEPS && in.left; i++) {
		u8 how = input_u8(&in);
		u64 at = input_u16(&in) % (RAM / 8);
		u64 entry;

		switch (how % 4) {
		case 0:
			look(&regs, input_u64(&in));
			break;
		case 1:
			look(&regs, at << (how >> 4) | (how & 8 ? ~0ull << 48 : 0));
			break;
		default:
			/* One of a run of them, so that some are met. */
			entry = choose_entry(&in);
			for (u64 n = 0; n <= how >> 2 && at + n < RAM / 8; n++)
				must(!gmem_write(&ram, BASE + 8 * (at + n), &entry, sizeof(entry)));
		}
	}
	look(&regs, 0);
	look(&regs, ~0ull);
	return 0;
}
