// SPDX-License-Identifier: BSD-2-Clause
/*
 * flat.c - a guest without a kernel: checks what it was given, then does one thing
 *
 * Runs with the MMU off, so every access is aligned, and nothing here needs a
 * relocation.  Prints one line
 *
 *   FLAT base=.. dtb=.. ram=..+.. cpus=.. mmfr0=.. pfr0=.. pfr1=.. isar1=.. isar2=..
 *   el=.. args=[..] initrd=[first line] size=..
 *
 * then what t= in the arguments asks, then `EXIT: STATUS=n` with n = code << 1 | 1,
 * or with `silent` among the arguments nothing:
 *
 *   reset     PSCI SYSTEM_RESET       spin, wfi  stay, working or asleep
 *   smp       start every CPU         echo       answer each byte until q
 *   pvpanic   report a crash          hole       touch an address without a device
 *   flash     count boots in its first word, zero by zero, and write its last block
 *   load      keep every disk busy
 *   off-by-1, reset-by-1   the second CPU does it, while this one sleeps
 *   off-and-reset   both do, this one SYSTEM_OFF, after a letter of input
 *   all-off   every CPU turns itself off, and nothing ends
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flat.h"

#define UART		0x01000000UL	/* ns16550a, a byte a register */
#define UART_FCR	2
#define UART_MCR	4
#define UART_LSR	5
#define LSR_DR		0x01
#define LSR_THRE	0x20

#define MAX_CPUS		512	/* KVM's limit, with GICv3 */

#define PSCI_VERSION		0x84000000UL
#define PSCI_CPU_OFF		0x84000002UL
#define PSCI_CPU_ON		0xc4000003UL
#define PSCI_AFFINITY_INFO	0xc4000004UL
#define PSCI_SYSTEM_OFF		0x84000008UL
#define PSCI_SYSTEM_RESET	0x84000009UL

#define AFFINITY_OFF		1

#define read_sysreg(reg) ({					\
	uint64_t v_;						\
	__asm__ volatile("mrs %0, " #reg : "=r"(v_));		\
	v_;							\
})

struct entry {
	uint64_t x[4];
	uint64_t el, daif, sctlr, spsel;
	uint64_t base, end;
};

/* Ours alone: no global offset table, which would need relocating. */
#pragma GCC visibility push(hidden)
void flat_secondary(void);
void flat_caller(void);
void flat_main(const struct entry *e);
#pragma GCC visibility pop

static uint8_t mmio_read(uint64_t addr)
{
	return *(volatile uint8_t *)addr;
}

static void mmio_write(uint64_t addr, uint8_t v)
{
	*(volatile uint8_t *)addr = v;
}

static void put(char c)
{
	while (!(mmio_read(UART + UART_LSR) & LSR_THRE))
		;
	mmio_write(UART, (uint8_t)c);
}

void flat_puts(const char *s)
{
	while (*s)
		put(*s++);
}

static uint8_t get(void)
{
	while (!(mmio_read(UART + UART_LSR) & LSR_DR))
		;
	return mmio_read(UART);
}

static void puthex(uint64_t v)
{
	int shift = 60;

	while (shift > 0 && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put("0123456789abcdef"[v >> shift & 15]);
}

void flat_say(const char *name, uint64_t v)
{
	flat_puts(name);
	puthex(v);
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static bool starts(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix)
		s++, prefix++;
	return !*prefix;
}

/* Does the argument list contain this word? */
static bool has_word(const char *args, const char *word)
{
	while (*args) {
		const char *w = word;

		while (*w && *args == *w)
			args++, w++;
		if (!*w && (!*args || *args == ' '))
			return true;
		while (*args && *args != ' ')
			args++;
		while (*args == ' ')
			args++;
	}
	return false;
}

/* --- the device tree --- */

static uint32_t be32(const void *p)
{
	return __builtin_bswap32(*(const uint32_t *)p);
}

static uint64_t cells(const void *p, uint32_t bytes)
{
	const char *c = p;

	return bytes < 8 ? be32(c) : (uint64_t)be32(c) << 32 | be32(c + 4);
}

struct tree {
	const char *bootargs;
	uint64_t initrd, initrd_end;
	uint64_t ram, ram_size;
	uint64_t pvpanic;
	uint64_t ecam;
	uint64_t virtio[32];
	unsigned nr_virtio;
	bool smc;			/* PSCI's conduit, so EL2 is ours */
	uint64_t flash, flash_size;
	uint64_t mpidr[MAX_CPUS];
	unsigned nr_cpus;
};

static void tree_property(struct tree *t, const char *node, const char *name,
			  const char *val, uint32_t len)
{
	if (same(node, "chosen")) {
		if (same(name, "bootargs"))
			t->bootargs = val;
		if (same(name, "linux,initrd-start"))
			t->initrd = cells(val, len);
		if (same(name, "linux,initrd-end"))
			t->initrd_end = cells(val, len);
	}
	if (same(node, "psci") && same(name, "method"))
		t->smc = same(val, "smc");
	if (same(name, "reg")) {
		if (starts(node, "memory")) {
			t->ram = cells(val, 8);
			t->ram_size = cells(val + 8, 8);
		}
		if (starts(node, "virtio_mmio@") && t->nr_virtio < 32)
			t->virtio[t->nr_virtio++] = cells(val, 8);
		if (starts(node, "pvpanic"))
			t->pvpanic = cells(val, 8);
		if (starts(node, "pci"))
			t->ecam = cells(val, 8);
		if (starts(node, "flash@")) {
			t->flash = cells(val, 8);
			t->flash_size = cells(val + 8, 8);
		}
		if (starts(node, "cpu@") && t->nr_cpus < MAX_CPUS)
			t->mpidr[t->nr_cpus++] = cells(val, len);
	}
}

/* Walks the structure block (Devicetree specification 0.4, 5.4). */
static void tree_read(struct tree *t, const char *fdt)
{
	const char *p = fdt + be32(fdt + 8);
	const char *strings = fdt + be32(fdt + 12);
	const char *node = "";

	for (;;) {
		uint32_t token = be32(p);

		p += 4;
		if (token == 1) {		/* FDT_BEGIN_NODE */
			node = p;
			while (*p)
				p++;
			p = (const char *)(((uintptr_t)p + 4) & ~3UL);
		} else if (token == 3) {	/* FDT_PROP */
			uint32_t len = be32(p);

			tree_property(t, node, strings + be32(p + 4), p + 8, len);
			p += 8 + ((len + 3) & ~3U);
		} else if (token == 9) {	/* FDT_END */
			return;
		}
	}
}

/* --- the tasks --- */

static void task_smp(const struct tree *t)
{
	volatile uint64_t flag[MAX_CPUS];
	unsigned up = 1;

	for (unsigned i = 1; i < t->nr_cpus; i++) {
		flag[i] = 0;
		if (flat_psci(PSCI_CPU_ON, t->mpidr[i], (uint64_t)flat_secondary,
			     (uint64_t)&flag[i]) != 0)
			continue;
		while (!flag[i])
			;
		up += (flag[i] & 0xff00ffffffUL) == t->mpidr[i];
	}
	flat_say("SMP up=", up);
	flat_say(" of=", t->nr_cpus);
	flat_puts("\n");
}

static void listen(void)
{
	mmio_write(UART + UART_FCR, 1);		/* the FIFO on */
	mmio_write(UART + UART_MCR, 3);		/* DTR and RTS: send us something */
	flat_puts("LISTENS\n");
}

void flat_echo(void)
{
	listen();
	for (;;) {
		char c = (char)get();

		if (c == 'q')
			return;
		put('<');
		put(c);
		put('>');
	}
}

/* What flat_caller is given. */
struct call {
	uint64_t fn;
	uint64_t here, go;
};

/*
 * The second CPU calls theirs; this one sleeps, or calls ours at the same time: after a letter of
 * input that says how much later, as it has a start otherwise.
 */
static void task_end(const struct tree *t, uint64_t theirs, uint64_t ours)
{
	volatile struct call call = { .fn = theirs };
	unsigned later = 0;

	if (t->nr_cpus < 2 || flat_psci(PSCI_CPU_ON, t->mpidr[1], (uint64_t)flat_caller,
					(uint64_t)&call)) {
		flat_puts("BAD no second CPU\n");
		return;
	}
	while (!call.here)
		;
	if (ours) {
		listen();
		later = 1U << (get() - 'a');
	}
	call.go = 1;
	__asm__ volatile("dsb sy" ::: "memory");
	for (volatile unsigned i = 0; i < later; i++)
		;
	if (ours)
		flat_psci(ours, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

static void task_all_off(const struct tree *t)
{
	task_smp(t);		/* which turn themselves off */
	for (unsigned i = 1; i < t->nr_cpus; i++)
		while (flat_psci(PSCI_AFFINITY_INFO, t->mpidr[i], 0, 0) != AFFINITY_OFF)
			;
	flat_puts("LAST\n");
	flat_psci(PSCI_CPU_OFF, 0, 0, 0);
	flat_puts("BAD it is on\n");
}

/* --- NOR flash of two chips, each of which is given the same commands --- */

#define FLASH_BLOCK	0x10000

static volatile uint32_t *flash_word(const struct tree *t, uint64_t off)
{
	return (volatile uint32_t *)(t->flash + off);
}

/* The status of both, as one. */
static uint32_t flash_done(volatile uint32_t *at)
{
	uint32_t status = *at;

	*at = 0x00500050;		/* clear the status */
	*at = 0x00ff00ff;		/* memory again */
	return (status | status >> 16) & 0xffff;
}

static uint32_t flash_program(volatile uint32_t *at, uint32_t val)
{
	*at = 0x00400040;
	*at = val;
	return flash_done(at);
}

static uint32_t flash_erase(volatile uint32_t *at)
{
	*at = 0x00200020;
	*at = 0x00d000d0;
	return flash_done(at);
}

static void task_flash(const struct tree *t)
{
	volatile uint32_t *first = flash_word(t, 0);
	volatile uint32_t *last = flash_word(t, t->flash_size - FLASH_BLOCK);
	uint32_t boots = *first, status;

	flat_say("FLASH size=", t->flash_size);
	*flash_word(t, 0x55 * 4) = 0x00980098;
	flat_say(" query=", *flash_word(t, 0x10 * 4) == 0x00510051 && *flash_word(t, 0x12 * 4) == 0x00590059);
	*first = 0x00ff00ff;
	flat_say(" word=", boots);
	status = flash_program(first, boots << 1);
	flat_say(" program=", status);
	status = flash_erase(last);
	flat_say(" erase=", status);
	for (unsigned i = 0; i < FLASH_BLOCK / 4; i += 1024)
		flash_program(last + i, 0xc0de0000 + i);
	for (unsigned i = 0; i < FLASH_BLOCK / 4; i++)
		status += last[i] != (i % 1024 ? 0xffffffff : 0xc0de0000 + i);
	flat_say(" wrong=", status - 0x80);
	flat_say(" now=", *first);
	flat_puts("\n");
}

static void what_there_is(const struct tree *t, uint64_t end, struct hostile *h)
{
	for (unsigned i = 0; i < t->nr_virtio; i++)
		h->virtio[i] = t->virtio[i];
	h->nr_virtio = t->nr_virtio;
	h->ecam = t->ecam;
	h->mpidr = t->mpidr[0];
	h->ram = t->ram;
	h->ram_size = t->ram_size;
	h->end = end;
}

static void task_hostile(const struct tree *t, uint64_t end)
{
	struct hostile h;

	what_there_is(t, end, &h);
	flat_hostile(&h);
	task_smp(t);
	flat_echo();
	flat_serves(&h);
}

static void task_load(const struct tree *t, uint64_t end)
{
	struct hostile h;

	what_there_is(t, end, &h);
	flat_load(&h);
}

static void do_task(const struct tree *t, uint64_t end)
{
	const char *args = t->bootargs;

	if (has_word(args, "t=flash"))
		task_flash(t);
	if (has_word(args, "t=reset"))
		flat_psci(PSCI_SYSTEM_RESET, 0, 0, 0);
	if (has_word(args, "t=off-by-1"))
		task_end(t, PSCI_SYSTEM_OFF, 0);
	if (has_word(args, "t=reset-by-1"))
		task_end(t, PSCI_SYSTEM_RESET, 0);
	if (has_word(args, "t=off-and-reset"))
		task_end(t, PSCI_SYSTEM_RESET, PSCI_SYSTEM_OFF);
	if (has_word(args, "t=all-off"))
		task_all_off(t);
	if (has_word(args, "t=smp"))
		task_smp(t);
	if (has_word(args, "t=hostile"))
		task_hostile(t, end);
	if (has_word(args, "t=load"))
		task_load(t, end);
	if (has_word(args, "t=echo"))
		flat_echo();
	if (has_word(args, "t=pvpanic")) {
		flat_say("PVPANIC events=", mmio_read(t->pvpanic));
		flat_puts("\n");
		mmio_write(t->pvpanic, 1);
	}
	if (has_word(args, "t=hole")) {
		flat_say("HOLE ", mmio_read(0x00f00000UL));
		flat_puts("\n");
		mmio_write(0x00f00000UL, 1);
	}
	while (has_word(args, "t=spin"))
		;
	while (has_word(args, "t=wfi"))
		__asm__ volatile("wfi");
}

static void check(unsigned *bad, bool ok, const char *what, uint64_t v)
{
	if (ok)
		return;
	(*bad)++;
	flat_puts("BAD ");
	flat_puts(what);
	flat_say(" ", v);
	flat_puts("\n");
}

void flat_main(const struct entry *e)
{
	const char *fdt = (const char *)e->x[0];
	struct tree t;
	unsigned bad = 0;
	char *p = (char *)&t;

	for (size_t i = 0; i < sizeof(t); i++)
		p[i] = 0;	/* no memset() here */
	t.bootargs = "";

	check(&bad, e->x[1] == 0, "x1", e->x[1]);
	check(&bad, e->x[2] == 0, "x2", e->x[2]);
	check(&bad, e->x[3] == 0, "x3", e->x[3]);
	check(&bad, e->spsel == 1, "SPSel", e->spsel);
	check(&bad, e->daif == 0xf << 6, "DAIF", e->daif);
	check(&bad, !(e->sctlr & 5), "SCTLR (MMU, cache)", e->sctlr);
	check(&bad, !(e->base & 0xffff), "load address", e->base);
	check(&bad, !(e->x[0] & 7), "x0", e->x[0]);
	check(&bad, e->x[0] >= e->end + (1 << 20), "tree below the image's end", e->x[0]);
	check(&bad, be32(fdt) == 0xd00dfeed, "tree magic", be32(fdt));
	if (!bad) {
		tree_read(&t, fdt);
		check(&bad, e->base >= t.ram && e->x[0] + be32(fdt + 4) <= t.ram + t.ram_size,
		      "RAM", t.ram);
		check(&bad, e->el == (t.smc ? 2 : 1) << 2, "CurrentEL", e->el);
	}

	if (!bad && has_word(t.bootargs, "silent")) {
		do_task(&t, e->end);
		return;
	}
	flat_say("FLAT base=", e->base);
	flat_say(" dtb=", e->x[0]);
	flat_say(" ram=", t.ram);
	flat_say("+", t.ram_size);
	flat_say(" cpus=", t.nr_cpus);
	flat_say(" mmfr0=", read_sysreg(ID_AA64MMFR0_EL1));
	flat_say(" pfr0=", read_sysreg(ID_AA64PFR0_EL1));
	flat_say(" pfr1=", read_sysreg(ID_AA64PFR1_EL1));
	flat_say(" isar1=", read_sysreg(ID_AA64ISAR1_EL1));
	flat_say(" isar2=", read_sysreg(S3_0_C0_C6_2));	/* ID_AA64ISAR2_EL1 */
	flat_say(" psci=", flat_psci(PSCI_VERSION, 0, 0, 0));
	flat_say(" el=", e->el >> 2);
	flat_puts(" args=[");
	flat_puts(t.bootargs);
	flat_puts("] initrd=[");
	for (uint64_t a = t.initrd; a < t.initrd_end && *(char *)a >= ' '; a++)
		put(*(char *)a);
	flat_say("] size=", t.initrd_end - t.initrd);
	flat_puts(".\n");

	do_task(&t, e->end);
	flat_puts("EXIT: STATUS=");
	put(bad ? '3' : '1');
	flat_puts("\n");
}
