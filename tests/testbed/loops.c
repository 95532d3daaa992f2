/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops.c - three loops whose shares of all samples are known, under SPE
 *
 * An iteration of loop_a, loop_b and loop_c is 20, 10 and 6 instructions and
 * every round runs each of them equally often, so of the samples 55.56, 27.78
 * and 16.67 % must lie in them.  Each has one load, one store and one branch:
 * under a filter the shares must be equal.  The program profiles itself through
 * perf's interface, reads the records, and fails unless the shares are right.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORD_SIZE	64	/* PMBIDR_EL1.Align of the test bed */
#define RING_PAGES	8
#define NR_LOOPS	3

/* config of arm_spe_pmu */
#define SPE_TS_ENABLE	(1ull << 0)
#define SPE_JITTER	(1ull << 16)
#define SPE_BRANCH	(1ull << 32)
#define SPE_LOAD	(1ull << 33)
#define SPE_STORE	(1ull << 34)

void loop_a(unsigned long n, void *data);
void loop_b(unsigned long n, void *data);
void loop_c(unsigned long n, void *data);
extern const char loop_a_end[], loop_b_end[], loop_c_end[];

/* Instructions in the loop: the fillers and four more. */
#define LOOP(name, fillers)						\
	__asm__(".text\n.globl " #name ", " #name "_end\n"		\
		".type " #name ", %function\n"				\
		#name ":\n"						\
		"1:	ldr	x2, [x1]\n"				\
		"	str	x3, [x1, #8]\n"			\
		"	.rept " #fillers "\n"				\
		"	add	x3, x3, #1\n"				\
		"	.endr\n"					\
		"	subs	x0, x0, #1\n"				\
		"	b.ne	1b\n"					\
		#name "_end:\n"						\
		"	ret\n"						\
		".size " #name ", . - " #name "\n")

LOOP(loop_a, 16);
LOOP(loop_b, 6);
LOOP(loop_c, 2);

static const struct loop {
	const char *name;
	void (*run)(unsigned long, void *);
	const char *end;
	unsigned int insns;
} loops[NR_LOOPS] = {
	{ "loop_a", loop_a, loop_a_end, 20 },
	{ "loop_b", loop_b, loop_b_end, 10 },
	{ "loop_c", loop_c, loop_c_end, 6 },
};

struct counts {
	unsigned long loop[NR_LOOPS];
	unsigned long other;
	unsigned long kernel;
	unsigned long bad;		/* records that are no records */
	unsigned long data;		/* records with the right data address */
	unsigned long loads, stores, branches;
	unsigned long truncated;
	unsigned long chunks;
};

static uint64_t datum[2];

static int spe_type(const char *want, char *name, size_t size)
{
	DIR *dir = opendir("/sys/bus/event_source/devices");
	struct dirent *entry;
	char path[512];
	int type = -1;
	FILE *file;

	while (dir && type < 0 && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "arm_spe_", 8) != 0 ||
		    (want && strcmp(entry->d_name, want) != 0))
			continue;
		snprintf(name, size, "%s", entry->d_name);
		snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/type", name);
		file = fopen(path, "r");
		if (file && fscanf(file, "%d", &type) != 1)
			type = -1;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return type;
}

static uint64_t load_le(const uint8_t *p, unsigned int n)
{
	uint64_t val = 0;

	while (n--)
		val = val << 8 | p[n];
	return val;
}

/* Arm ARM, Statistical Profiling Extension sample record specification */
static void account(struct counts *counts, const uint8_t *rec)
{
	const uint8_t *end = rec + RECORD_SIZE;
	uint64_t pc = 0, addr = 0, want;
	unsigned int i, op = 0, payload = 0;
	bool have_pc = false;

	while (rec < end && *rec != 0x01) {
		uint8_t header = *rec++;
		unsigned int size = 1u << (header >> 4 & 3);
		uint64_t val;

		if (header == 0x00)
			continue;
		if (header < 0x40 || rec + size > end) {
			counts->bad++;
			return;
		}
		val = load_le(rec, size);
		rec += size;
		if (header == 0xb0) {
			pc = val;
			have_pc = true;
		} else if (header == 0xb2) {
			addr = val & 0x00ffffffffffffffull;
		} else if ((header & 0xfc) == 0x48) {
			op = header & 3;
			payload = val;
		} else if (header == 0x71) {
			break;
		}
	}
	if (!have_pc) {
		/* The driver fills up with zeroes, to the end of its buffer. */
		counts->bad += op != 0;
		return;
	}
	if ((pc >> 61 & 3) != 0) {
		counts->kernel++;
		return;
	}
	counts->branches += op == 2;
	counts->loads += op == 1 && !(payload & 1);
	counts->stores += op == 1 && (payload & 1);
	pc &= 0x00ffffffffffffffull;
	for (i = 0; i < NR_LOOPS; i++) {
		if (pc >= (uintptr_t)loops[i].run && pc < (uintptr_t)loops[i].end)
			break;
	}
	if (i == NR_LOOPS) {
		counts->other++;
		return;
	}
	counts->loop[i]++;
	want = (uintptr_t)&datum[payload & 1];
	counts->data += op == 1 && addr == want && pc == (uintptr_t)loops[i].run + 4 * (payload & 1);
}

static void drain(struct perf_event_mmap_page *page, const uint8_t *aux, struct counts *counts)
{
	uint8_t *ring = (uint8_t *)page + page->data_offset;
	uint64_t head, tail;

	head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	for (tail = page->data_tail; tail < head;) {
		struct perf_event_header *event = (void *)(ring + tail % page->data_size);
		uint64_t flags;

		if (event->type == PERF_RECORD_AUX) {
			flags = *(uint64_t *)(ring + (tail + 24) % page->data_size);
			counts->truncated += flags & PERF_AUX_FLAG_TRUNCATED;
			counts->chunks++;
		}
		tail += event->size;
	}
	__atomic_store_n(&page->data_tail, tail, __ATOMIC_RELEASE);

	head = __atomic_load_n(&page->aux_head, __ATOMIC_ACQUIRE);
	/* The driver skips to the next record's place when it gives up a full buffer. */
	tail = (page->aux_tail + RECORD_SIZE - 1) / RECORD_SIZE * RECORD_SIZE;
	for (; tail + RECORD_SIZE <= head; tail += RECORD_SIZE)
		account(counts, aux + tail % page->aux_size);
	__atomic_store_n(&page->aux_tail, head, __ATOMIC_RELEASE);
}

static void report(const struct counts *counts, const char *name, bool filtered,
		   double tolerance, bool *ok)
{
	unsigned long total = 0;
	unsigned int i, insns = 0;

	for (i = 0; i < NR_LOOPS; i++) {
		total += counts->loop[i];
		insns += filtered ? 1 : loops[i].insns;
	}
	for (i = 0; i < NR_LOOPS && total; i++) {
		double want = 100.0 * (filtered ? 1 : loops[i].insns) / insns;
		double got = 100.0 * counts->loop[i] / total;

		printf("%s: %s %lu samples, %.2f %% (should be %.2f)\n", name, loops[i].name,
		       counts->loop[i], got, want);
		*ok &= fabs(got - want) < tolerance;
	}
	printf("%s: %lu samples in loops, %lu elsewhere, %lu kernel, %lu bad, %lu loads, "
	       "%lu stores, %lu branches, %lu with data address, %lu chunks, %lu truncated\n", name, total, counts->other,
	       counts->kernel, counts->bad, counts->loads, counts->stores, counts->branches,
	       counts->data, counts->chunks, counts->truncated);
	*ok &= total >= 1000 && !counts->bad;
	/* Elsewhere there are loads and stores too. */
	*ok &= counts->data + counts->other >= counts->loads + counts->stores;
}

static void run_round(void)
{
	for (int i = 0; i < 100; i++)
		for (int l = 0; l < NR_LOOPS; l++)
			loops[l].run(1000, datum);
}

static void usage(void)
{
	printf("usage: loops [options]\n"
	       "  -d NAME  instance of SPE (default: the first)\n"
	       "  -C CPU   profile this CPU, as root (default: this process, where it is)\n"
	       "  -i N     one sample every N instructions (default: 1024)\n"
	       "  -r N     rounds (default: 20)\n"
	       "  -b KIB   AUX buffer (default: 4096)\n"
	       "  -f b|l|s only branches, loads or stores\n"
	       "  -k       the kernel too\n"
	       "  -n       only run, for another program that profiles\n"
	       "  -t PCT   tolerance (default: 1)\n");
}

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .config = SPE_TS_ENABLE | SPE_JITTER, .sample_period = 1024,
		.disabled = 1, .exclude_kernel = 1, .exclude_hv = 1,
	};
	const char *want = NULL;
	struct counts counts = { .bad = 0 };
	unsigned long rounds = 20, aux_size = 4096 * 1024;
	struct perf_event_mmap_page *page;
	double tolerance = 1;
	bool ok = true, quiet = false;
	int cpu = -1, fd, opt, type;
	char name[256] = "";
	uint8_t *aux;

	while ((opt = getopt(argc, argv, "d:C:i:r:b:f:knt:h")) != -1) {
		switch (opt) {
		case 'd': want = optarg; break;
		case 'C': cpu = atoi(optarg); break;
		case 'i': attr.sample_period = strtoul(optarg, NULL, 0); break;
		case 'r': rounds = strtoul(optarg, NULL, 0); break;
		case 'b': aux_size = strtoul(optarg, NULL, 0) * 1024; break;
		case 'f':
			attr.config |= *optarg == 'b' ? SPE_BRANCH : *optarg == 'l' ? SPE_LOAD : SPE_STORE;
			break;
		case 'k': attr.exclude_kernel = 0; break;
		case 'n': quiet = true; break;
		case 't': tolerance = atof(optarg); break;
		case 'h': usage(); return 0;
		default: usage(); return 2;
		}
	}
	if (quiet) {
		while (rounds--)
			run_round();
		return 0;
	}
	type = spe_type(want, name, sizeof(name));
	if (type < 0) {
		printf("loops: no SPE here\n");
		return 77;
	}
	attr.type = type;
	fd = syscall(SYS_perf_event_open, &attr, cpu < 0 ? 0 : -1, cpu, -1, 0);
	if (fd < 0) {
		printf("loops: perf_event_open of %s: %s\n", name, strerror(errno));
		return 1;
	}
	page = mmap(NULL, (RING_PAGES + 1) * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		perror("loops: mmap");
		return 1;
	}
	page->aux_offset = (RING_PAGES + 1) * 4096;
	page->aux_size = aux_size;
	aux = mmap(NULL, aux_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page->aux_offset);
	if (aux == MAP_FAILED) {
		perror("loops: mmap of the AUX buffer");
		return 1;
	}
	for (unsigned long round = 0; round < rounds; round++) {
		ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
		run_round();
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		drain(page, aux, &counts);
	}
	report(&counts, name, attr.config & (SPE_BRANCH | SPE_LOAD | SPE_STORE), tolerance, &ok);
	printf("loops: %s\n", ok ? "ok" : "FAILED");
	return !ok;
}
