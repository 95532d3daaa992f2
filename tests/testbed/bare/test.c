/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test.c - the emulator's FEAT_SPE against the architecture, without a kernel
 *
 * Runs at EL2 of the bare machine and speaks TAP on the UART.  Everything is
 * identity-mapped except where a test says otherwise; the MMU of EL2 is off.
 */

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

#define UART		((volatile u32 *)0x09000000)
#define GICR_ISPENDR0	((volatile u32 *)(0x080a0000 + 0x10000 + 0x200))
#define PPI_SPE		(1u << 21)

/* System registers, Arm ARM D19.6 */
#define ID_AA64DFR0_EL1	"S3_0_C0_C5_0"
#define PMSCR_EL1	"S3_0_C9_C9_0"
#define PMSICR_EL1	"S3_0_C9_C9_2"
#define PMSIRR_EL1	"S3_0_C9_C9_3"
#define PMSFCR_EL1	"S3_0_C9_C9_4"
#define PMSEVFR_EL1	"S3_0_C9_C9_5"
#define PMSLATFR_EL1	"S3_0_C9_C9_6"
#define PMSIDR_EL1	"S3_0_C9_C9_7"
#define PMBLIMITR_EL1	"S3_0_C9_C10_0"
#define PMBPTR_EL1	"S3_0_C9_C10_1"
#define PMBSR_EL1	"S3_0_C9_C10_3"
#define PMBIDR_EL1	"S3_0_C9_C10_7"
#define PMSCR_EL2	"S3_4_C9_C9_0"
#define PMSCR_EL12	"S3_5_C9_C9_0"
#define MDCR_EL2	"S3_4_C1_C1_1"
#define HCR_EL2		"S3_4_C1_C1_0"
#define HDFGRTR_EL2	"S3_4_C3_C1_4"
#define VTCR_EL2	"S3_4_C2_C1_2"
#define VTTBR_EL2	"S3_4_C2_C1_0"
#define SCTLR_EL1	"S3_0_C1_C0_0"
#define TTBR0_EL1	"S3_0_C2_C0_0"
#define TCR_EL1		"S3_0_C2_C0_2"
#define MAIR_EL1	"S3_0_C10_C2_0"

#define HCR_VM		(1ull << 0)
#define HCR_RW		(1ull << 31)
#define HCR_E2H		(1ull << 34)
#define MDCR_E2PB(n)	((u64)(n) << 12)
#define MDCR_TPMS	(1ull << 14)
#define HDFGRTR_PMSCR	(1ull << 26)

#define PMBSR_S		(1ull << 17)
#define PMBSR_EC(v)	((v) >> 26 & 0x3f)
#define PMBSR_FSC(v)	((v) & 0x3f)
#define PMBLIMITR_E	1

#define SCR_E0		1
#define SCR_E1		2		/* E2SPE in PMSCR_EL2 */
#define FCR_FE		1
#define FCR_FT		2
#define FCR_FL		4
#define FCR_B		(1u << 16)
#define FCR_LD		(1u << 17)
#define FCR_ST		(1u << 18)

#define RECORD		64
#define PAGE		4096
#define BUFFER_PAGES	16
#define SPIN_INSNS	8

#define read(reg) ({ u64 val_; __asm__ volatile("mrs %0, " reg : "=r"(val_) :: "memory"); val_; })
#define write(reg, val) __asm__ volatile("msr " reg ", %0\n\tisb" :: "r"((u64)(val)) : "memory")

u64 at_el1(u64 (*fn)(u64), u64 arg);
void spin(u64 n);
int main(void);
void fatal(u64 esr, u64 elr, u64 far);
extern const u8 spin_end[];
extern u64 word[8];
extern volatile u64 nr_traps;

static u8 buffer[BUFFER_PAGES * PAGE] __attribute__((aligned(65536)));
static u64 s1_l1[512] __attribute__((aligned(PAGE)));
static u64 s1_l2[512] __attribute__((aligned(PAGE)));
static u64 s2_l1[512] __attribute__((aligned(PAGE)));
static u64 s2_l2[512] __attribute__((aligned(PAGE)));
static unsigned int nr_tests, nr_failed;

static void put(const char *s)
{
	for (; *s; s++)
		*UART = *s;
}

static void put_hex(u64 val)
{
	char text[19] = "0x";
	int i;

	for (i = 0; i < 16; i++)
		text[2 + i] = "0123456789abcdef"[val >> (60 - 4 * i) & 15];
	put(text);
}

static void put_number(unsigned int n)
{
	char digit[2] = { '0' + n % 10 };

	if (n >= 10)
		put_number(n / 10);
	put(digit);
}

static bool ok(bool good, const char *what)
{
	put(good ? "ok " : "not ok ");
	put_number(++nr_tests);
	put(" - ");
	put(what);
	put("\n");
	nr_failed += !good;
	return good;
}

static void is(u64 got, u64 want, const char *what)
{
	if (!ok(got == want, what)) {
		put("# got ");
		put_hex(got);
		put(", want ");
		put_hex(want);
		put("\n");
	}
}

void fatal(u64 esr, u64 elr, u64 far)
{
	put("Bail out! exception: ESR ");
	put_hex(esr);
	put(" ELR ");
	put_hex(elr);
	put(" FAR ");
	put_hex(far);
	put("\n");
	__asm__ volatile("mov x0, %0\n\tsmc #0" :: "r"(0x84000008ull) : "x0");
	for (;;)
		;
}

/* What the records in the buffer say. */
struct seen {
	unsigned int records;
	unsigned int in_spin;
	unsigned int el[4];
	unsigned int op[4];		/* other, load or store, branch */
	unsigned int loads, stores;
	unsigned int not_taken;
	unsigned int right_data;
	unsigned int right_target;
	unsigned int pcs;		/* a bit for each instruction of spin */
};

static struct seen seen;

static u64 load_le(const u8 *p, unsigned int n)
{
	u64 val = 0;

	while (n--)
		val = val << 8 | p[n];
	return val;
}

static void look_at_record(const u8 *rec)
{
	const u8 *end = rec + RECORD;
	u64 pc = 0, addr = 0, target = 0, events = 0;
	unsigned int op = 0, payload = 0;

	while (rec < end && *rec != 0x01) {
		u8 header = *rec++;
		unsigned int size = 1u << (header >> 4 & 3);
		u64 val;

		if (header == 0)
			continue;
		val = load_le(rec, size);
		rec += size;
		switch (header) {
		case 0xb0: pc = val; break;
		case 0xb1: target = val; break;
		case 0xb2: addr = val; break;
		case 0x52: events = val; break;
		case 0x48: case 0x49: case 0x4a: op = header & 3; payload = val; break;
		}
		if (header == 0x71)
			break;
	}
	seen.records++;
	seen.el[pc >> 61 & 3]++;
	seen.op[op]++;
	seen.not_taken += events >> 6 & 1;
	pc &= 0x00ffffffffffffffull;
	target &= 0x00ffffffffffffffull;
	if (pc >= (u64)spin && pc < (u64)spin_end) {
		seen.in_spin++;
		seen.pcs |= 1u << ((pc - (u64)spin) / 4);
	}
	if (op == 1) {
		seen.loads += !(payload & 1);
		seen.stores += payload & 1;
		seen.right_data += addr == (u64)word + 8 * (payload & 1);
	}
	if (op == 2 && target)
		seen.right_target += target == (u64)spin + 4;
}

static void look(const u8 *at, u64 bytes)
{
	u8 *p = (u8 *)&seen;
	unsigned int i;

	for (i = 0; i < sizeof(seen); i++)
		p[i] = 0;
	for (; bytes >= RECORD; bytes -= RECORD, at += RECORD)
		look_at_record(at);
}

static void off(void)
{
	write(PMSCR_EL1, 0);
	write(PMSCR_EL2, 0);
	__asm__ volatile("hint #17\n\tdsb sy\n\tisb" ::: "memory");	/* PSB CSYNC */
	write(PMBLIMITR_EL1, 0);
}

/* All off, EL2 owns, nothing filtered, 1024 instructions between samples. */
static void reset(void)
{
	u64 i;

	off();
	write(HCR_EL2, HCR_RW);
	write(MDCR_EL2, 0);
	write(HDFGRTR_EL2, 0);
	write(SCTLR_EL1, 0x30d00800);
	write(PMBSR_EL1, 0);
	write(PMSFCR_EL1, 0);
	write(PMSEVFR_EL1, 0);
	write(PMSLATFR_EL1, 0);
	write(PMSICR_EL1, 0);
	write(PMSIRR_EL1, 1024);
	for (i = 0; i < sizeof(buffer); i++)
		buffer[i] = 0;
	nr_traps = 0;
}

static void set_buffer(u64 at, u64 bytes)
{
	write(PMBPTR_EL1, at);
	write(PMBLIMITR_EL1, (at + bytes) | PMBLIMITR_E);
}

static u64 el1_read_pmscr(u64 arg) { (void)arg; return read(PMSCR_EL1); }
static u64 el1_read_pmbptr(u64 arg) { (void)arg; return read(PMBPTR_EL1); }
static u64 el1_read_pmbidr(u64 arg) { (void)arg; return read(PMBIDR_EL1); }
static u64 el1_spin(u64 n) { spin(n); return 0; }

static u64 el1_traps(u64 (*fn)(u64))
{
	nr_traps = 0;
	at_el1(fn, 0);
	return nr_traps;
}

static void test_identification(void)
{
	reset();
	is(read(ID_AA64DFR0_EL1) >> 32 & 15, 1, "ID_AA64DFR0_EL1.PMSVer: SPEv1.0");
	is(read(PMSIDR_EL1), 0x2640f, "PMSIDR_EL1");
	is(read(PMBIDR_EL1), 6, "PMBIDR_EL1 at EL2");
	is(at_el1(el1_read_pmbidr, 0), 6 | 1 << 4, "PMBIDR_EL1.P at EL1 while EL2 owns the buffer");
	write(MDCR_EL2, MDCR_E2PB(3));
	is(at_el1(el1_read_pmbidr, 0), 6, "... and not while EL1 does");
}

static void test_traps(void)
{
	reset();
	is(el1_traps(el1_read_pmscr), 0, "PMSCR_EL1 does not trap");
	write(MDCR_EL2, MDCR_TPMS);
	is(el1_traps(el1_read_pmscr), 1, "... but with MDCR_EL2.TPMS");
	write(MDCR_EL2, 0);
	write(HDFGRTR_EL2, HDFGRTR_PMSCR);
	is(el1_traps(el1_read_pmscr), 1, "... and with HDFGRTR_EL2.PMSCR_EL1");
	write(HDFGRTR_EL2, 0);
	is(el1_traps(el1_read_pmbptr), 1, "PMBPTR_EL1 traps with E2PB = 0");
	write(MDCR_EL2, MDCR_E2PB(2));
	is(el1_traps(el1_read_pmbptr), 1, "... and 2");
	write(MDCR_EL2, MDCR_E2PB(3));
	is(el1_traps(el1_read_pmbptr), 0, "... but not with 3");
	reset();
	write(HCR_EL2, HCR_RW | HCR_E2H);
	write(PMSCR_EL12, SCR_E0);
	write(PMSCR_EL1, SCR_E1);
	is(read(PMSCR_EL2), SCR_E1, "with E2H, PMSCR_EL1 is PMSCR_EL2");
	is(read(PMSCR_EL12), SCR_E0, "... and PMSCR_EL12 is EL1's");
	reset();
}

static void test_sampling(void)
{
	reset();
	set_buffer((u64)buffer, sizeof(buffer));
	write(PMSCR_EL2, SCR_E1);
	spin(1024 * 100 / SPIN_INSNS);
	off();
	look(buffer, read(PMBPTR_EL1) - (u64)buffer);
	ok(seen.records >= 99 && seen.records <= 101, "one sample every 1024 instructions");
	is(seen.in_spin, seen.records, "all of them in the loop");
	is(seen.el[2], seen.records, "all of them at EL2");
	is(seen.pcs & (seen.pcs - 1), 0, "without jitter a loop of 8 has one sampled instruction");

	reset();
	write(PMSIRR_EL1, 1024 | 1);
	set_buffer((u64)buffer, sizeof(buffer));
	write(PMSCR_EL2, SCR_E1);
	spin(1024 * 400 / SPIN_INSNS);
	off();
	look(buffer, read(PMBPTR_EL1) - (u64)buffer);
	is(seen.pcs, 0x1fe, "with jitter every instruction is");
	is(seen.right_data, seen.op[1], "data addresses");
	ok(seen.loads && seen.stores, "loads and stores");
	is(seen.right_target + seen.not_taken, seen.op[2], "branch targets");
	ok(seen.not_taken, "branches that are not taken");
}

static void test_ownership(void)
{
	reset();
	write(MDCR_EL2, MDCR_E2PB(3));
	set_buffer((u64)buffer, sizeof(buffer));
	write(PMSCR_EL1, SCR_E1);
	write(PMSCR_EL2, SCR_E1);
	spin(10000);
	is(read(PMBPTR_EL1), (u64)buffer, "EL2 is not profiled while EL1 owns the buffer");
	at_el1(el1_spin, 10000);
	off();
	look(buffer, read(PMBPTR_EL1) - (u64)buffer);
	ok(seen.records > 70 && seen.el[1] == seen.records, "EL1 is");

	reset();
	set_buffer((u64)buffer, sizeof(buffer));
	write(PMSCR_EL1, SCR_E1);
	spin(10000);
	at_el1(el1_spin, 10000);
	off();
	look(buffer, read(PMBPTR_EL1) - (u64)buffer);
	ok(seen.records > 70 && seen.el[1] == seen.records, "EL1 into a buffer of EL2");
}

static void test_full(void)
{
	reset();
	set_buffer((u64)buffer, PAGE);
	write(PMSCR_EL2, SCR_E1);
	spin(20000);
	off();
	is(read(PMBSR_EL1), PMBSR_S | 1, "full: PMBSR_EL1.S and BSC");
	is(read(PMBPTR_EL1), (u64)buffer + PAGE, "... when nothing more fits");
	is(buffer[PAGE], 0, "... and nothing is written behind it");
	is(*GICR_ISPENDR0 & PPI_SPE, PPI_SPE, "PPI 21 is pending");
	write(PMBSR_EL1, 0);
	is(*GICR_ISPENDR0 & PPI_SPE, 0, "... as long as S is 1");
}

static void filtered(u64 fcr, u64 events, u64 latency)
{
	reset();
	write(PMSIRR_EL1, 1024 | 1);
	write(PMSEVFR_EL1, events);
	write(PMSLATFR_EL1, latency);
	write(PMSFCR_EL1, fcr);
	set_buffer((u64)buffer, sizeof(buffer));
	write(PMSCR_EL2, SCR_E1);
	spin(50000);
	off();
	look(buffer, read(PMBPTR_EL1) - (u64)buffer);
}

static void test_filters(void)
{
	filtered(FCR_FT | FCR_B, 0, 0);
	ok(seen.records && seen.op[2] == seen.records, "only branches");
	filtered(FCR_FT | FCR_LD, 0, 0);
	ok(seen.records && seen.loads == seen.records, "only loads");
	filtered(FCR_FT | FCR_ST, 0, 0);
	ok(seen.records && seen.stores == seen.records, "only stores");
	filtered(FCR_FT | FCR_LD | FCR_ST, 0, 0);
	ok(seen.loads && seen.stores && seen.op[1] == seen.records, "both");
	filtered(FCR_FE, 1 << 6, 0);
	ok(seen.records && seen.not_taken == seen.records, "only branches that are not taken");
	filtered(FCR_FL, 0, 2);
	is(seen.records, 0, "only what takes longer than anything does here");
}

/* 1 GiB blocks but for that of the buffer, which has 2 MiB ones. */
static void make_tables(void)
{
	u64 i;

	for (i = 0; i < 512; i++) {
		s1_l1[i] = i < 4 ? i << 30 | 0x701 : 0;		/* AF, inner shareable */
		s1_l2[i] = 1ull << 30 | i << 21 | 0x701;
		s2_l1[i] = i < 4 ? i << 30 | 0x7fd : 0;		/* read and write, cached */
		s2_l2[i] = 1ull << 30 | i << 21 | 0x7fd;
	}
	s1_l1[1] = (u64)s1_l2 | 3;
	s2_l1[1] = (u64)s2_l2 | 3;
	write(MAIR_EL1, 0xff);
	write(TCR_EL1, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1u << 23 | 2ull << 32);
	write(TTBR0_EL1, s1_l1);
	write(VTCR_EL2, 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1u << 31);
	write(VTTBR_EL2, s2_l1);
}

static void two_stages(u64 va)
{
	reset();
	write(MDCR_EL2, MDCR_E2PB(3));
	write(HCR_EL2, HCR_RW | HCR_VM);
	write(SCTLR_EL1, 0x30d00801);
	__asm__ volatile("dsb sy\n\ttlbi alle1\n\tdsb sy\n\tisb" ::: "memory");
	set_buffer(va, PAGE);
	write(PMSCR_EL1, SCR_E1);
	at_el1(el1_spin, 1000);
	off();
}

static void test_translation(void)
{
	u64 pa = (u64)buffer & ~0x1fffffull;
	u64 va = 0x7f800000, ipa = 0x7fa00000;

	make_tables();
	/* VA -> another IPA -> the buffer */
	s1_l2[va >> 21 & 511] = ipa | 0x701;
	s2_l2[ipa >> 21 & 511] = pa | 0x7fd;
	two_stages(va + ((u64)buffer - pa));
	look(buffer, read(PMBPTR_EL1) - (va + ((u64)buffer - pa)));
	ok(seen.records && seen.in_spin == seen.records, "a buffer through two stages of translation");
	is(read(PMBSR_EL1), 0, "... without an event");

	s2_l2[ipa >> 21 & 511] = 0;
	two_stages(va);
	is(PMBSR_EC(read(PMBSR_EL1)), 0x25, "unmapped at stage 2: EC");
	is(PMBSR_FSC(read(PMBSR_EL1)), 0x06, "... translation fault, level 2");
	is(read(PMBPTR_EL1), va, "... at PMBPTR_EL1");
	is(*GICR_ISPENDR0 & PPI_SPE, PPI_SPE, "... with an interrupt");

	s2_l2[ipa >> 21 & 511] = pa | 0x77d;		/* S2AP: read only */
	two_stages(va);
	is(PMBSR_EC(read(PMBSR_EL1)), 0x25, "read-only at stage 2: EC");
	is(PMBSR_FSC(read(PMBSR_EL1)), 0x0e, "... permission fault, level 2");

	s1_l2[va >> 21 & 511] = 0;
	two_stages(va);
	is(PMBSR_EC(read(PMBSR_EL1)), 0x24, "unmapped at stage 1: EC");
	is(PMBSR_FSC(read(PMBSR_EL1)), 0x06, "... translation fault, level 2");
	reset();
}

int main(void)
{
	test_identification();
	test_traps();
	test_sampling();
	test_ownership();
	test_full();
	test_filters();
	test_translation();
	put("1..");
	put_number(nr_tests);
	put("\n");
	return nr_failed != 0;
}
