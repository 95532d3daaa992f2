/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops.c - three loops whose shares of all samples are known, under SPE
 *
 * An iteration of loop_a, loop_b and loop_c is 20, 10 and 6 instructions and
 * every round runs each of them equally often, so of the samples 55.56, 27.78
 * and 16.67 % must lie in them.  Each has one load, one store and one branch:
 * under a filter the shares must be equal.  The program profiles itself through
 * perf's interface, reads the records, and fails unless the shares are right, and
 * what the records say of operations, addresses and targets; and unless there are
 * as many as there are intervals in the instructions that it ran, if perf does not
 * say that something was lost.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/perf_event.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spe_record.h"

#define RECORD_SIZE	64	/* PMBIDR_EL1.Align of the test bed */
#define RING_PAGES	8
#define NR_LOOPS	3
#define ITERATIONS	1000	/* of each loop in a turn, */
#define TURNS		100	/* of which a round has that many */
#define SYSCALLS	20	/* in a turn with -k: some 300 instructions each */
#define MEAN_JITTER	127.5
#define SWEEP_ITEMS	65536	/* of 16 bytes, a load and a store for each */
#define SWEEP_TURNS	5
#define SWEEP_PARTS	16

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

/* Over an array: loads from the first half of each item, stores to the second. */
void sweep(unsigned long n, void *data);
extern const char sweep_end[];
__asm__(".text\n.globl sweep, sweep_end\n"
	".type sweep, %function\n"
	"sweep:\n"
	"1:	ldr	x2, [x1], #8\n"
	"	str	x2, [x1], #8\n"
	"	subs	x0, x0, #1\n"
	"	b.ne	1b\n"
	"sweep_end:\n"
	"	ret\n"
	".size sweep, . - sweep\n");

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
	unsigned long other;		/* user samples elsewhere */
	unsigned long el[4];
	unsigned long bad;		/* records that are no records */
	unsigned long op[3];		/* other, load or store, branch */
	unsigned long loads, stores;
	unsigned long unwanted;		/* that the filter should have kept out */
	unsigned long wrong;		/* samples in loops with a wrong address or target */
	unsigned long part[SWEEP_PARTS];
	unsigned long swept[2];
	unsigned long lost, truncated, collisions;
	unsigned long chunks;
};

static uint64_t array[2 * SWEEP_ITEMS];
static uint64_t filter;
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

static bool passes(const struct spe_record *r)
{
	bool store = r->payload & 1;

	return !filter || (r->op == SPE_RECORD_BRANCH && (filter & SPE_BRANCH)) ||
	       (r->op == SPE_RECORD_LDST && (filter & (store ? SPE_STORE : SPE_LOAD)));
}

/* Of each loop: the load is the first instruction, the store follows, the branch is last. */
static bool is_right(const struct spe_record *r, const struct loop *loop, uint64_t pc)
{
	uint64_t start = (uintptr_t)loop->run;

	if (pc <= start + 4)
		return r->op == SPE_RECORD_LDST && (r->payload & 1) == (pc - start) / 4 &&
		       r->addr == (uintptr_t)&datum[(pc - start) / 4];
	if (pc == (uintptr_t)loop->end - 4)
		return r->op == SPE_RECORD_BRANCH && r->target == (r->not_taken ? 0 : start);
	return r->op == SPE_RECORD_OTHER;
}

static void account_sweep(struct counts *counts, const struct spe_record *r)
{
	uint64_t at = r->addr - (uintptr_t)array;

	if (r->op != SPE_RECORD_LDST)
		return;
	if (at >= sizeof(array) || (at / 8 & 1) != (r->payload & 1)) {
		counts->wrong++;
		return;
	}
	counts->part[at * SWEEP_PARTS / sizeof(array)]++;
	counts->swept[r->payload & 1]++;
}

static void account(struct counts *counts, const uint8_t *rec)
{
	struct spe_record r;
	uint64_t pc;
	unsigned int i;

	if (!spe_record_parse(&r, rec, RECORD_SIZE)) {
		counts->bad++;
		return;
	}
	if (!r.have_pc)
		return;
	counts->el[r.pc >> 61 & 3]++;
	counts->op[r.op]++;
	counts->loads += r.op == SPE_RECORD_LDST && !(r.payload & 1);
	counts->stores += r.op == SPE_RECORD_LDST && (r.payload & 1);
	counts->unwanted += !passes(&r);
	if ((r.pc >> 61 & 3) != 0)
		return;
	pc = r.pc & SPE_RECORD_ADDRESS;
	for (i = 0; i < NR_LOOPS; i++) {
		if (pc >= (uintptr_t)loops[i].run && pc < (uintptr_t)loops[i].end)
			break;
	}
	if (i < NR_LOOPS) {
		counts->loop[i]++;
		counts->wrong += !is_right(&r, &loops[i], pc);
	} else if (pc >= (uintptr_t)sweep && pc < (uintptr_t)sweep_end) {
		account_sweep(counts, &r);
	} else {
		counts->other++;
	}
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
			counts->truncated += !!(flags & PERF_AUX_FLAG_TRUNCATED);
			counts->collisions += !!(flags & PERF_AUX_FLAG_COLLISION);
			counts->chunks++;
		} else if (event->type == PERF_RECORD_LOST) {
			counts->lost++;
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

/* Is @got what @want predicts, with @sigmas standard deviations of chance? */
static bool near(double got, double want, double percent, double sigmas)
{
	return fabs(got - want) <= want * percent / 100 + sigmas * sqrt(want);
}

static bool report(const struct counts *counts, const char *name, double period,
		   unsigned long rounds, double tolerance)
{
	unsigned long total = 0;
	unsigned int i, insns = 0;
	double want;
	bool ok = true;

	for (i = 0; i < NR_LOOPS; i++) {
		total += counts->loop[i];
		insns += filter ? 1 : loops[i].insns;
	}
	for (i = 0; i < NR_LOOPS && total; i++) {
		double share = 100.0 * (filter ? 1 : loops[i].insns) / insns;
		double got = 100.0 * counts->loop[i] / total;

		printf("%s: %s %lu samples, %.2f %% (should be %.2f)\n", name, loops[i].name,
		       counts->loop[i], got, share);
		ok &= fabs(got - share) < tolerance;
	}
	want = (double)rounds * TURNS * ITERATIONS * insns / period;
	printf("%s: %lu samples in loops (should be %.0f), %lu elsewhere, %lu at EL1, %lu at EL2, "
	       "%lu loads, %lu stores, %lu branches\n", name, total, want, counts->other, counts->el[1],
	       counts->el[2], counts->loads, counts->stores, counts->op[SPE_RECORD_BRANCH]);
	ok &= total >= 1000;
	/* What is sampled is exact; what passes a filter is a matter of chance. */
	if (!counts->truncated && !counts->lost)
		ok &= near(total, want, 0.5, filter ? 4 : 0);
	return ok;
}

/* All parts of the array are seen equally often, and loads as often as stores. */
static bool report_sweep(const struct counts *counts, const char *name, double period,
			 unsigned long rounds)
{
	double want = (double)rounds * SWEEP_TURNS * SWEEP_ITEMS / period;
	bool ok = near(counts->swept[0], want, 0.5, 4) && near(counts->swept[1], want, 0.5, 4);
	unsigned long least = ~0ul, most = 0;

	for (int i = 0; i < SWEEP_PARTS; i++) {
		unsigned long n = counts->part[i];

		least = n < least ? n : least;
		most = n > most ? n : most;
		ok &= near(n, 2 * want / SWEEP_PARTS, 0, 5);
	}
	printf("%s: %lu loads and %lu stores of the array (should be %.0f), %lu to %lu in %d parts of it\n",
	       name, counts->swept[0], counts->swept[1], want, least, most, SWEEP_PARTS);
	return ok;
}

/* The linker's.  execve() clears from there to the end of the page. */
extern const char __bss_start[];

static void usage(void)
{
	printf("usage: loops [options]\n"
	       "  -d NAME  instance of SPE (default: the first)\n"
	       "  -C CPU   profile this CPU, as root (default: this process, where it is)\n"
	       "  -i N     one sample every N instructions (default: 1024)\n"
	       "  -r N     rounds (default: 20)\n"
	       "  -u       and more rounds, until a line comes on standard input\n"
	       "  -b KIB   AUX buffer (default: 4096)\n"
	       "  -f b|l|s only branches, loads or stores\n"
	       "  -a       sweep an array\n"
	       "  -k       the kernel too, and make system calls\n"
	       "  -K       the kernel only\n"
	       "  -z       have the kernel clear the array, by read() of /dev/zero\n"
	       "  -w       read the records while it runs, so that any buffer is enough\n"
	       "  -n       only run, for another program that profiles\n"
	       "  -t PCT   tolerance (default: 1)\n");
}

struct options {
	const char *instance;
	unsigned long rounds, aux_size;
	double tolerance;
	bool idle, sweep, calls, watch, until_told;
	int cpu, zero;
};

struct session {
	int fd;
	struct perf_event_mmap_page *page;
	uint8_t *aux;
	struct counts counts;
};

static int open_session(struct session *s, const struct options *opt, struct perf_event_attr *attr)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

	s->fd = (int)syscall(SYS_perf_event_open, attr, opt->cpu < 0 ? 0 : -1, opt->cpu, -1, 0);
	if (s->fd < 0) {
		printf("loops: perf_event_open: %s\n", strerror(errno));
		return -1;
	}
	s->page = mmap(NULL, (RING_PAGES + 1) * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (s->page == MAP_FAILED) {
		perror("loops: mmap");
		return -1;
	}
	s->page->aux_offset = (RING_PAGES + 1) * page_size;
	s->page->aux_size = opt->aux_size;
	s->aux = mmap(NULL, opt->aux_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
		      (off_t)s->page->aux_offset);
	if (s->aux == MAP_FAILED) {
		perror("loops: mmap of the AUX buffer");
		return -1;
	}
	return 0;
}

static void run_round(const struct options *opt, struct session *s)
{
	for (int i = 0; i < (opt->sweep ? SWEEP_TURNS : TURNS); i++) {
		if (opt->sweep)
			sweep(SWEEP_ITEMS, array);
		for (int l = 0; l < NR_LOOPS && !opt->sweep; l++)
			loops[l].run(ITERATIONS, datum);
		for (int n = 0; n < SYSCALLS && opt->calls; n++)
			syscall(SYS_getppid);
		if (opt->watch)
			drain(s->page, s->aux, &s->counts);
	}
	if (opt->zero >= 0 && read(opt->zero, array, sizeof(array)) != sizeof(array))
		perror("loops: /dev/zero");
}

/* What holds of any records. */
static bool sound(const struct counts *counts, const char *name, const struct perf_event_attr *attr,
		  uint64_t aux_size)
{
	/* The driver gives up a buffer in which less than a page is left. */
	unsigned long full = (aux_size - 2 * (unsigned long)sysconf(_SC_PAGESIZE)) / RECORD_SIZE;
	unsigned long kernel = counts->el[1] + counts->el[2];
	unsigned long all = counts->el[0] + kernel;

	printf("%s: %lu bad, %lu against the filter, %lu wrong; %lu chunks, %lu truncated, "
	       "%lu with collisions, %lu lost\n", name, counts->bad, counts->unwanted, counts->wrong,
	       counts->chunks, counts->truncated, counts->collisions, counts->lost);
	if (attr->exclude_kernel ? kernel : kernel * 20 < all)
		return false;
	if (attr->exclude_user && counts->el[0])
		return false;
	/* Up to where perf says that the buffer was full, all of it must be there. */
	if (all < counts->truncated * full)
		return false;
	return !counts->bad && !counts->unwanted && !counts->wrong;
}

/* After that many rounds: another one?  If not, they are all. */
static bool goes_on(struct options *opts, unsigned long rounds)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	if (opts->until_told && poll(&in, 1, 0) == 0) {
		opts->rounds = rounds + 1;
		return true;
	}
	/* The rest of the input is somebody else's. */
	while (opts->until_told && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
	return false;
}

int main(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .config = SPE_TS_ENABLE | SPE_JITTER, .sample_period = 1024,
		.disabled = 1, .exclude_kernel = 1, .exclude_hv = 1,
	};
	struct options opts = { .rounds = 20, .aux_size = 4096 * 1024, .tolerance = 1, .cpu = -1, .zero = -1 };
	static struct session s;
	char name[256] = "";
	int opt, type;
	double period;
	bool ok;

	while ((opt = getopt(argc, argv, "d:C:i:r:ub:f:akKnwzt:h")) != -1) {
		switch (opt) {
		case 'd': opts.instance = optarg; break;
		case 'C': opts.cpu = atoi(optarg); break;
		case 'i': attr.sample_period = strtoul(optarg, NULL, 0); break;
		case 'r': opts.rounds = strtoul(optarg, NULL, 0); break;
		case 'u': opts.until_told = true; break;
		case 'b': opts.aux_size = strtoul(optarg, NULL, 0) * 1024; break;
		case 'f':
			filter |= *optarg == 'b' ? SPE_BRANCH : *optarg == 'l' ? SPE_LOAD : SPE_STORE;
			break;
		case 'a': opts.sweep = true; break;
		case 'K': attr.exclude_user = 1; /* fall through */
		case 'k': attr.exclude_kernel = 0; opts.calls = true; break;
		case 'n': opts.idle = true; break;
		case 'w': opts.watch = true; break;
		case 'z': opts.zero = open("/dev/zero", O_RDONLY); break;
		case 't': opts.tolerance = atof(optarg); break;
		case 'h': usage(); return 0;
		default: usage(); return 2;
		}
	}
	if (opts.idle) {
		printf("loops: load %lx store %lx array %lx %lx bss %lx\n",
		       (unsigned long)&datum[0], (unsigned long)&datum[1], (unsigned long)array,
		       (unsigned long)(array + 2 * SWEEP_ITEMS), (unsigned long)__bss_start);
		fflush(stdout);
		for (unsigned long round = 0; round < opts.rounds || goes_on(&opts, round); round++)
			run_round(&opts, NULL);
		printf("loops: rounds %lu\n", opts.rounds);
		return 0;
	}
	type = spe_type(opts.instance, name, sizeof(name));
	if (type < 0) {
		printf("loops: no SPE here\n");
		return 77;
	}
	attr.type = (uint32_t)type;
	attr.config |= filter;
	if (open_session(&s, &opts, &attr))
		return 1;
	printf("loops: started\n");
	fflush(stdout);
	for (unsigned long round = 0; round < opts.rounds || goes_on(&opts, round); round++) {
		ioctl(s.fd, PERF_EVENT_IOC_ENABLE, 0);
		run_round(&opts, &s);
		ioctl(s.fd, PERF_EVENT_IOC_DISABLE, 0);
		drain(s.page, s.aux, &s.counts);
	}
	period = (double)attr.sample_period + MEAN_JITTER;
	ok = sound(&s.counts, name, &attr, opts.aux_size);
	if (opts.sweep)
		ok &= report_sweep(&s.counts, name, period, opts.rounds);
	else if (!attr.exclude_user)
		ok &= report(&s.counts, name, period, opts.rounds, opts.tolerance);
	else
		ok &= s.counts.el[1] + s.counts.el[2] >= 1000;
	if (opts.watch)
		ok &= !s.counts.truncated && !s.counts.lost;
	printf("loops: %s\n", ok ? "ok" : "FAILED");
	return !ok;
}
