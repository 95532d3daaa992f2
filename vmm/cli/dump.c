/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.c - what is in the vCPUs of a guest that is paused
 *
 * Frames are found as the Procedure Call Standard for the Arm 64-bit Architecture
 * (AAPCS64, 6.4.6) has them: x29 points to a record of the caller's x29 and of the
 * address to return to, which may be signed.  Linux keeps to that, in its interrupt
 * handlers too.
 */
#include "vmm/cli/dump.h"

#include <stdio.h>
#include <string.h>

#define FRAMES_MAX	64
#define PSTATE_EL	0xc	/* 0: EL0; Arm ARM, C5.2.19, SPSR_EL1.M */

/* JSON has no numbers for them. */
static json_t *hex(uint64_t val)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)val);
	return json_string(text);
}

/* Without a signature: all bits that are not translated are like bit 55. */
static uint64_t strip(const struct vmm_vcpu_regs *regs, uint64_t addr)
{
	unsigned int high = addr >> 55 & 1;
	unsigned int unused = regs->tcr_el1 >> (high ? 16 : 0) & 0x3f;	/* T1SZ, T0SZ */
	uint64_t mask = unused ? ~0ull << (64 - unused) : 0;

	if (!(regs->sctlr_el1 & 1))
		return addr;
	return high ? addr | mask : addr & ~mask;
}

static json_t *backtrace(struct vmm *vm, uint32_t index, const struct vmm_vcpu_regs *regs)
{
	json_t *list = json_array();
	uint64_t frame = regs->x[29];

	json_array_append_new(list, hex(regs->pc));
	for (int i = 0; i < FRAMES_MAX && frame && !(frame & 7); i++) {
		uint64_t record[2];

		if (vmm_vcpu_read(vm, index, frame, record, sizeof(record)) || !record[1])
			break;
		json_array_append_new(list, hex(strip(regs, record[1])));
		if (record[0] == frame)
			break;
		frame = record[0];
	}
	return list;
}

static json_t *registers(const struct vmm_vcpu_regs *regs)
{
	const struct {
		const char	*name;
		uint64_t	val;
	} others[] = {
		{ "pc", regs->pc },
		{ "pstate", regs->pstate },
		{ "sp_el0", regs->sp_el0 },
		{ "sp_el1", regs->sp_el1 },
		{ "elr_el1", regs->elr_el1 },
		{ "spsr_el1", regs->spsr_el1 },
		{ "esr_el1", regs->esr_el1 },
		{ "far_el1", regs->far_el1 },
		{ "sctlr_el1", regs->sctlr_el1 },
		{ "tcr_el1", regs->tcr_el1 },
		{ "ttbr0_el1", regs->ttbr0_el1 },
		{ "ttbr1_el1", regs->ttbr1_el1 },
		{ "vbar_el1", regs->vbar_el1 },
		{ "tpidr_el1", regs->tpidr_el1 },
		{ "mpidr_el1", regs->mpidr_el1 },
	};
	json_t *object = json_object();

	for (int i = 0; i < 31; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%d", i);
		json_object_set_new(object, name, hex(regs->x[i]));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		json_object_set_new(object, others[i].name, hex(others[i].val));
	return object;
}

static json_t *dump(struct vmm *vm, uint32_t index)
{
	struct vmm_vcpu_regs regs = VMM_VCPU_REGS_INIT;
	int ret = vmm_vcpu_regs(vm, index, &regs);

	if (ret)
		return json_pack("{s:i, s:s}", "index", (int)index, "error", strerror(-ret));
	if (regs.off)
		return json_pack("{s:i, s:b}", "index", (int)index, "off", 1);
	return json_pack("{s:i, s:b, s:i, s:o, s:o}", "index", (int)index, "off", 0,
			 "el", (int)((regs.pstate & PSTATE_EL) >> 2),
			 "registers", registers(&regs), "backtrace", backtrace(vm, index, &regs));
}

json_t *dump_vcpus(struct vmm *vm, uint32_t cpus)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < cpus; i++)
		json_array_append_new(list, dump(vm, i));
	return list;
}
