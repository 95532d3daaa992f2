/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_walk.c - arm64/walk.c, arm64/regs.c: looking inside by a guest's own tables
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm64/reg.h"
#include "arm64/walk.h"
#include "tests/unit/t.h"
#include "vmm/gmem.h"

#define T_BASE		GIB(2)
#define T_SIZE		MIB(4)
#define T_ROOT		(T_BASE + MIB(1))	/* the tables, a 64 KiB each */
#define T_DATA		(T_BASE + MIB(2))
#define VALID		1ull
#define TABLE		3ull
#define TCR_TG0(n)	((u64)(n) << 14)
#define TCR_TG1(n)	((u64)(n) << 30)
#define TCR_T1SZ(n)	((u64)(n) << 16)

static int t_up(void **state)
{
	struct gmem *mem = calloc(1, sizeof(*mem));
	struct vmm_error err;

	*state = mem;
	return mem ? gmem_init(mem, T_BASE, T_SIZE, -1, 0, &err) : -1;
}

static int t_down(void **state)
{
	gmem_fini(*state);
	free(*state);
	return 0;
}

static u64 t_table(unsigned int nr)
{
	return T_ROOT + nr * KIB(64);
}

/* Entry @index of table @nr. */
static void t_put(const struct gmem *mem, unsigned int nr, u64 index, u64 desc)
{
	assert_int_equal(gmem_write(mem, t_table(nr) + 8 * index, &desc, sizeof(desc)), 0);
}

static void t_maps(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va, u64 want,
		   u64 want_left)
{
	u64 left = 0;
	gpa_t pa = 0;

	assert_int_equal(walk_translate(mem, regs, va, &pa, &left), 0);
	assert_int_equal(pa, want);
	assert_int_equal(left, want_left);
}

static void t_faults(const struct gmem *mem, const struct vmm_vcpu_regs *regs, u64 va)
{
	u64 left;
	gpa_t pa;

	assert_int_equal(walk_translate(mem, regs, va, &pa, &left), -EFAULT);
}

static void test_without_mmu_addresses_are_physical(void **state)
{
	struct vmm_vcpu_regs regs = { .tcr_el1 = ~0ull };
	u32 word = 0x12345678;
	u32 got = 0;

	assert_int_equal(gmem_write(*state, T_DATA, &word, 4), 0);
	assert_int_equal(walk_read(*state, &regs, T_DATA, &got, 4), 0);
	assert_int_equal(got, word);
	assert_int_equal(walk_read(*state, &regs, T_BASE + T_SIZE - 2, &got, 4), -EFAULT);
}

/* Linux' usual: 4 KiB pages, 48 bits, the kernel in the upper half. */
static void test_4k_pages_and_blocks(void **state)
{
	const u64 va = 0xffff800080123456;
	struct vmm_vcpu_regs regs = {
		.sctlr_el1 = 1,
		.tcr_el1 = 16 | TCR_TG0(0) | TCR_T1SZ(16) | TCR_TG1(2),
		.ttbr0_el1 = t_table(8) | 0x0042000000000001,	/* an ASID, and CnP */
		.ttbr1_el1 = t_table(0) | 1,
	};

	t_put(*state, 0, va >> 39 & 511, t_table(1) | TABLE);
	t_put(*state, 1, va >> 30 & 511, t_table(2) | TABLE);
	t_put(*state, 2, va >> 21 & 511, t_table(3) | TABLE | 0xf800000000000000);
	t_put(*state, 3, va >> 12 & 511, T_DATA | TABLE | 0x00780000000007fc);
	t_maps(*state, &regs, va, T_DATA + 0x456, 0x1000 - 0x456);
	t_faults(*state, &regs, va + 0x1000);
	t_faults(*state, &regs, va + (1ull << 21));
	t_faults(*state, &regs, va + (1ull << 39));
	/* On the last level the bits of a block are those of nothing. */
	t_put(*state, 3, va >> 12 & 511, T_DATA | VALID);
	t_faults(*state, &regs, va);
	/* A block of 2 MiB, then one of 1 GiB. */
	t_put(*state, 2, va >> 21 & 511, T_DATA | VALID);
	t_maps(*state, &regs, va, T_DATA + 0x123456, MIB(2) - 0x123456);
	t_put(*state, 1, va >> 30 & 511, GIB(2) | VALID);
	t_maps(*state, &regs, va, GIB(2) + 0x123456, GIB(1) - 0x123456);
	/* The lower half has tables of its own. */
	t_faults(*state, &regs, va & 0xffffffffffff);
	t_put(*state, 8, 0, t_table(1) | TABLE);
	t_put(*state, 1, 0, 0 | VALID);
	t_maps(*state, &regs, 0x1234, 0x1234, GIB(1) - 0x1234);
}

static void test_addresses_that_are_none_fault(void **state)
{
	struct vmm_vcpu_regs regs = {
		.sctlr_el1 = 1,
		.tcr_el1 = 25 | TCR_TG0(0) | TCR_T1SZ(25) | TCR_TG1(2),
		.ttbr0_el1 = t_table(0),
		.ttbr1_el1 = t_table(0),
	};

	/* 39 bits: three levels. */
	t_put(*state, 0, 1, GIB(2) | VALID);
	t_maps(*state, &regs, GIB(1), GIB(2), GIB(1));
	t_faults(*state, &regs, GIB(1) | 1ull << 39);
	t_faults(*state, &regs, GIB(1) | 1ull << 60);
	t_maps(*state, &regs, 0xffffff8000000000 | GIB(1), GIB(2), GIB(1));
	t_faults(*state, &regs, 0xfffffe8000000000 | GIB(1));
	/* A tag above is none of the address, where that is on. */
	regs.tcr_el1 |= 1ull << 37;
	t_maps(*state, &regs, GIB(1) | 0x5aull << 56, GIB(2), GIB(1));
	t_faults(*state, &regs, GIB(1) | 1ull << 54);
	/* Switched off; no such granule; sizes that there are not. */
	regs.tcr_el1 |= 1ull << 7;
	t_faults(*state, &regs, GIB(1));
	regs.tcr_el1 = 25 | TCR_TG0(3);
	t_faults(*state, &regs, GIB(1));
	for (u64 tsz = 0; tsz < 64; tsz++) {
		regs.tcr_el1 = tsz;
		if (tsz < 12 || tsz > 48)
			t_faults(*state, &regs, 0);
	}
	/* Tables that are not in RAM, and one that is its own next. */
	regs.tcr_el1 = 16;
	regs.ttbr0_el1 = GIB(1);
	t_faults(*state, &regs, 0);
	regs.ttbr0_el1 = t_table(5);
	t_put(*state, 5, 0, t_table(5) | TABLE);
	t_maps(*state, &regs, 0x10, t_table(5) + 0x10, 0x1000 - 0x10);
}

static void test_16k_and_64k_pages(void **state)
{
	const u64 va = 0x0000412345678abc;
	struct vmm_vcpu_regs regs = {
		.sctlr_el1 = 1, .tcr_el1 = 17 | TCR_TG0(2), .ttbr0_el1 = t_table(0),
	};

	/* 16 KiB, 47 bits: 11 bits a level, three of them. */
	t_put(*state, 0, va >> 36 & 2047, t_table(1) | TABLE);
	t_put(*state, 1, va >> 25 & 2047, t_table(2) | TABLE);
	t_put(*state, 2, va >> 14 & 2047, T_DATA | TABLE);
	t_maps(*state, &regs, va, T_DATA + (va & 0x3fff), 0x4000 - (va & 0x3fff));
	t_put(*state, 1, va >> 25 & 2047, GIB(2) | VALID);
	t_maps(*state, &regs, va, GIB(2) + (va & (MIB(32) - 1)), MIB(32) - (va & (MIB(32) - 1)));
	/* 64 KiB, 48 bits: 13 bits a level, of the first only six. */
	regs.tcr_el1 = 16 | TCR_TG0(1);
	t_put(*state, 0, va >> 42 & 63, t_table(1) | TABLE);
	t_put(*state, 1, va >> 29 & 8191, t_table(2) | TABLE);
	t_put(*state, 2, va >> 16 & 8191, T_DATA | TABLE);
	t_maps(*state, &regs, va, T_DATA + (va & 0xffff), 0x10000 - (va & 0xffff));
	t_put(*state, 1, va >> 29 & 8191, GIB(4) | VALID);
	t_maps(*state, &regs, va, GIB(4) + (va & (MIB(512) - 1)), MIB(512) - (va & (MIB(512) - 1)));
}

/* FEAT_LPA and FEAT_LPA2: bits above 47 are where there was room. */
static void test_52_bits(void **state)
{
	const u64 va = 0x000a412345678abc;
	struct vmm_vcpu_regs regs = {
		.sctlr_el1 = 1, .tcr_el1 = 12 | TCR_TG0(1) | 6ull << 32, .ttbr0_el1 = t_table(0),
	};

	t_put(*state, 0, va >> 42 & 1023, t_table(1) | TABLE);
	t_put(*state, 1, va >> 29 & 8191, GIB(4) | 0xa << 12 | VALID);
	t_maps(*state, &regs, va, 0xaull << 48 | GIB(4) | (va & (MIB(512) - 1)),
	       MIB(512) - (va & (MIB(512) - 1)));
	/* 4 KiB: five levels. */
	regs.tcr_el1 = 12 | TCR_TG0(0) | 1ull << 59;
	t_put(*state, 0, va >> 48 & 15, t_table(1) | TABLE);
	t_put(*state, 1, va >> 39 & 511, t_table(2) | TABLE);
	t_put(*state, 2, va >> 30 & 511, t_table(3) | TABLE);
	t_put(*state, 3, va >> 21 & 511, t_table(4) | TABLE);
	t_put(*state, 4, va >> 12 & 511, 2ull << 48 | 3 << 8 | T_DATA | TABLE);
	t_maps(*state, &regs, va, 0xeull << 48 | T_DATA | 0xabc, 0x1000 - 0xabc);
	regs.ttbr0_el1 = t_table(0) | 1 << 2;
	t_faults(*state, &regs, va);
}

static void test_read_crosses_pages(void **state)
{
	struct vmm_vcpu_regs regs = { .sctlr_el1 = 1, .tcr_el1 = 34, .ttbr0_el1 = t_table(0) };
	const char text[] = "across";
	char got[sizeof(text)];

	/* 30 bits: two levels.  Neighbours that are none. */
	t_put(*state, 0, 0, t_table(1) | TABLE);
	t_put(*state, 1, 1, (T_DATA + 0x5000) | TABLE);
	t_put(*state, 1, 2, T_DATA | TABLE);
	assert_int_equal(gmem_write(*state, T_DATA + 0x5ffd, text, 3), 0);
	assert_int_equal(gmem_write(*state, T_DATA, text + 3, sizeof(text) - 3), 0);
	assert_int_equal(walk_read(*state, &regs, 0x1ffd, got, sizeof(got)), 0);
	assert_string_equal(got, text);
	assert_int_equal(walk_read(*state, &regs, 0x2ffd, got, sizeof(got)), -EFAULT);
	/* To the end of all addresses, and not around. */
	assert_int_equal(walk_read(*state, &regs, UINT64_MAX - 2, got, sizeof(got)), -EFAULT);
}

/* Whatever is in the tables and registers, it ends, and stays in RAM. */
static void test_random_tables(void **state)
{
	const struct gmem *mem = *state;
	u64 x = 88172645463325252ull;
	u32 found = 0;

	for (u64 off = 0; off < T_SIZE; off += 8) {
		u64 desc;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		desc = (T_BASE + x % T_SIZE / 4096 * 4096) | (x >> 60 ? TABLE : x & 3);
		assert_int_equal(gmem_write(mem, T_BASE + off, &desc, 8), 0);
	}
	for (int i = 0; i < 200000; i++) {
		struct vmm_vcpu_regs regs = { .sctlr_el1 = 1 };
		u64 left = 0;
		gpa_t pa;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		regs.tcr_el1 = i % 4 ? 16 + x % 20 : x * 3;
		regs.ttbr0_el1 = T_BASE + x % T_SIZE;
		regs.ttbr1_el1 = i % 3 ? regs.ttbr0_el1 : x * 5;
		if (!walk_translate(mem, &regs, i % 2 ? x >> 30 : x * 7, &pa, &left)) {
			assert_true(left);
			found++;
		}
	}
	assert_true(found > 1000);
}

/* ---- By the public calls -------------------------------------------------------------- */

static void test_registers_are_read_while_it_stands(void **state)
{
	static const struct fake_step block = { .kind = FAKE_BLOCK };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_vcpu_regs regs = VMM_VCPU_REGS_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm;
	u64 word = 0x1122334455667788;
	u64 got;

	(void)state;
	cfg.vcpus = 2;
	vm = t_vm(fake, &cfg);
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), -EBUSY);
	fake_script(fake, 0, &block, 1, 0);
	t_start(vm);
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), -EBUSY);
	assert_int_equal(vmm_vcpu_read(vm, 0, GIB(2), &got, 8), -EBUSY);
	assert_int_equal(vmm_pause(vm), 0);
	fake_set_reg(fake, 0, CORE_REG(regs.regs[29]), 0x2929);
	fake_set_reg(fake, 0, CORE_REG(regs.pc), 0xffff800080001000);
	fake_set_reg(fake, 0, CORE_REG(sp_el1), 0x1111);
	fake_set_reg(fake, 0, REG_TCR_EL1, 0x77);
	fake_set_reg(fake, 0, REG_TPIDR_EL1, 0x99);
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), 0);
	assert_int_equal(regs.size, sizeof(regs));
	assert_int_equal(regs.x[29], 0x2929);
	assert_int_equal(regs.pc, 0xffff800080001000);
	assert_int_equal(regs.sp_el1, 0x1111);
	assert_int_equal(regs.tcr_el1, 0x77);
	assert_int_equal(regs.tpidr_el1, 0x99);
	assert_int_equal(regs.mpidr_el1 & 0xffffff, 0);
	assert_int_equal(regs.off, 0);
	assert_int_equal(vmm_vcpu_regs(vm, 1, &regs), 0);
	assert_int_equal(regs.off, 1);
	assert_int_equal(regs.mpidr_el1 & 0xffffff, 1);
	assert_int_equal(vmm_vcpu_regs(vm, 2, &regs), -ENOENT);
	regs.size = 0;
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), -EINVAL);
	/* The MMU is off. */
	assert_int_equal(vmm_mem_write(vm, GIB(2) + MIB(1), &word, sizeof(word)), 0);
	assert_int_equal(vmm_vcpu_read(vm, 1, GIB(2) + MIB(1), &got, sizeof(got)), 0);
	assert_int_equal(got, word);
	assert_int_equal(vmm_vcpu_read(vm, 1, 0, &got, sizeof(got)), -EFAULT);
	assert_int_equal(vmm_vcpu_read(vm, 2, GIB(2), &got, sizeof(got)), -ENOENT);
	assert_int_equal(vmm_resume(vm), 0);
	regs.size = sizeof(regs);
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), -EBUSY);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	/* Who crashed can be looked at. */
	assert_int_equal(vmm_vcpu_regs(vm, 0, &regs), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_up, t_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_mmu_addresses_are_physical),
		TEST(test_4k_pages_and_blocks),
		TEST(test_addresses_that_are_none_fault),
		TEST(test_16k_and_64k_pages),
		TEST(test_52_bits),
		TEST(test_read_crosses_pages),
		TEST(test_random_tables),
		cmocka_unit_test(test_registers_are_read_while_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
