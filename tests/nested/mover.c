// SPDX-License-Identifier: BSD-2-Clause
/*
 * mover.c - move a program's vCPU threads to where they do not belong
 *
 *   mover storm PID MOVES CPU,CPU... [GROUP GROUP]
 *        move threads named vcpuN at random to one of the CPUs, at random moments;
 *        with two cgroups one move in ten is the whole process into the other one
 *   mover calls PID MOVES CPU,CPU...
 *        the same one by one, with quiet moments in between, and count the system
 *        calls that the program makes in its vCPU threads for it
 *   mover cost PID MOVES CPU,CPU...
 *        the same, and count the instructions that these threads spend on it in the
 *        program and in the kernel, less what they spend when they are left alone;
 *        for an emulator that counts them (QEMU's -icount)
 *
 * A thread is back when none of the CPUs is in its affinity any more, which only it
 * itself brings about; until then it is not moved again.  Prints one line:
 *
 *   MOVER moves=1000 threads=900 back=750 [calls=.. setaffinity=.. ioctl=.. idle=..]
 *
 * back= counts the moves of threads that cannot have been undone but after an exit
 * for a wrong CPU: not the first one after a change of cgroup, which may have the
 * thread put itself right just then.  Fails if a thread does not come back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS	16
#define MAX_PAUSE_US	3000
#define QUIET_US	40000		/* between moves that shall not be one */
#define PATIENCE_S	30
#define PMUS		"/sys/bus/event_source/devices"
#define MAX_PMUS	4
#define EVENT_INST	0x08		/* INST_RETIRED */
#define SHORT_QUIET_US	5000
#define SYS_ENTER	"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"

enum count { ALL, SETAFFINITY, IOCTL, COUNTS };

struct thread {
	pid_t tid;
	bool away;
	bool loose;		/* its next move may find it outside of the guest */
	int fd[COUNTS];
};

struct mover {
	pid_t pid;
	struct thread threads[MAX_THREADS];
	int nr_threads;
	cpu_set_t wrong;
	int cpus[CPU_SETSIZE];
	int nr_cpus;
	uint64_t random;
	unsigned long moves;
	unsigned long thread_moves;
	unsigned long back;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("mover: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	exit(1);
}

static unsigned int chance(struct mover *m, unsigned int n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (unsigned int)(m->random >> 32) % n;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void find_threads(struct mover *m)
{
	char path[300];
	char name[32];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", m->pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", m->pid, e->d_name);
		f = fopen(path, "r");
		if (f && fgets(name, sizeof(name), f) && !strncmp(name, "vcpu", 4) &&
		    m->nr_threads < MAX_THREADS)
			m->threads[m->nr_threads++].tid = atoi(e->d_name);
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	if (!m->nr_threads)
		die("process %d has no vCPU threads", m->pid);
}

static void take_cpus(struct mover *m, char *list)
{
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		m->cpus[m->nr_cpus] = atoi(word);
		CPU_SET(m->cpus[m->nr_cpus++], &m->wrong);
	}
}

static bool is_back(const struct mover *m, const struct thread *t)
{
	cpu_set_t now;

	if (sched_getaffinity(t->tid, sizeof(now), &now))
		die("thread %d: %s", t->tid, strerror(errno));
	CPU_AND(&now, &now, &m->wrong);
	return !CPU_COUNT(&now);
}

/* Notes whether a thread that was away is back. */
static bool look(struct mover *m, struct thread *t)
{
	if (t->away && is_back(m, t)) {
		t->away = false;
		m->back += !t->loose;
		t->loose = false;
	}
	return !t->away;
}

static void wait_back(struct mover *m, struct thread *t)
{
	long long end = now_ms() + PATIENCE_S * 1000;

	while (!look(m, t)) {
		if (now_ms() > end)
			die("thread %d stays where it does not belong", t->tid);
		usleep(200);
	}
}

static void move(struct mover *m, struct thread *t)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(m->cpus[chance(m, (unsigned int)m->nr_cpus)], &set);
	if (sched_setaffinity(t->tid, sizeof(set), &set))
		die("thread %d: sched_setaffinity: %s", t->tid, strerror(errno));
	t->away = true;
	m->thread_moves++;
}

/* The kernel may change the affinity of all threads: none is away meanwhile. */
static void move_process(struct mover *m, const char *group)
{
	char path[300];
	FILE *f;

	for (int i = 0; i < m->nr_threads; i++)
		wait_back(m, &m->threads[i]);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", m->pid) < 0 || fclose(f))
		die("%s: %s", path, strerror(errno));
	for (int i = 0; i < m->nr_threads; i++)
		m->threads[i].loose = true;
}

static void storm(struct mover *m, unsigned long moves, char **groups)
{
	while (m->moves < moves) {
		struct thread *t = &m->threads[chance(m, (unsigned int)m->nr_threads)];

		if (groups && !chance(m, 10))
			move_process(m, groups[m->moves & 1]);
		else if (look(m, t))
			move(m, t);
		else
			m->moves--;	/* not yet */
		m->moves++;
		usleep(chance(m, MAX_PAUSE_US));
	}
	for (int i = 0; i < m->nr_threads; i++)
		wait_back(m, &m->threads[i]);
	printf("MOVER moves=%lu threads=%lu back=%lu\n", m->moves, m->thread_moves, m->back);
}

/* ---- Counting ------------------------------------------------------------------ */

static int open_counter(pid_t tid, const char *filter)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	FILE *f = fopen(SYS_ENTER, "r");
	int fd;

	if (!f || fscanf(f, "%llu", (unsigned long long *)&attr.config) != 1)
		die("%s: %s", SYS_ENTER, strerror(errno));
	fclose(f);
	attr.disabled = 1;
	fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 || (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter)) ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE))
		die("perf_event_open, %s: %s", filter ? filter : "all", strerror(errno));
	return fd;
}

static void open_counters(struct mover *m)
{
	char filter[COUNTS][32];

	snprintf(filter[SETAFFINITY], sizeof(filter[0]), "id==%d", SYS_sched_setaffinity);
	snprintf(filter[IOCTL], sizeof(filter[0]), "id==%d", SYS_ioctl);
	for (int i = 0; i < m->nr_threads; i++)
		for (int c = 0; c < COUNTS; c++)
			m->threads[i].fd[c] = open_counter(m->threads[i].tid, c ? filter[c] : NULL);
}

static unsigned long long sum(const struct mover *m, enum count c)
{
	unsigned long long total = 0;

	for (int i = 0; i < m->nr_threads; i++) {
		uint64_t n;

		if (read(m->threads[i].fd[c], &n, sizeof(n)) != sizeof(n))
			die("cannot read a counter");
		total += n;
	}
	return total;
}

static void calls(struct mover *m, unsigned long moves)
{
	unsigned long long idle;

	open_counters(m);
	usleep(300000);
	idle = sum(m, ALL);
	for (; m->moves < moves; m->moves++) {
		struct thread *t = &m->threads[m->moves % (unsigned int)m->nr_threads];

		move(m, t);
		wait_back(m, t);
		usleep(QUIET_US);
	}
	/* Until it has entered the guest again. */
	usleep(300000);
	printf("MOVER moves=%lu threads=%lu back=%lu calls=%llu setaffinity=%llu ioctl=%llu idle=%llu\n",
	       m->moves, m->thread_moves, m->back, sum(m, ALL) - idle, sum(m, SETAFFINITY),
	       sum(m, IOCTL), idle);
}

/* ---- What it costs ------------------------------------------------------------- */

enum side { USER, KERNEL, SIDES };

/* A counter of one PMU, for one thread: a thread that is moved needs one of each. */
static int open_instructions(pid_t tid, int type, enum side side)
{
	struct perf_event_attr attr = {
		.type = (uint32_t)type, .size = sizeof(attr), .config = EVENT_INST,
		.exclude_user = side == KERNEL, .exclude_kernel = side == USER,
		.exclude_hv = side == USER, .exclude_guest = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		die("perf_event_open, PMU %d: %s", type, strerror(errno));
	return fd;
}

static int find_pmus(int *types)
{
	DIR *dir = opendir(PMUS);
	struct dirent *e;
	int nr = 0;

	while (dir && (e = readdir(dir))) {
		char path[512];
		FILE *f;

		if (strncmp(e->d_name, "armv8_", 6) || nr == MAX_PMUS)
			continue;
		snprintf(path, sizeof(path), PMUS "/%s/type", e->d_name);
		f = fopen(path, "r");
		if (f && fscanf(f, "%d", &types[nr]) == 1)
			nr++;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return nr;
}

static void read_all(int fds[SIDES][MAX_THREADS * MAX_PMUS], int nr, double *sums)
{
	for (int side = 0; side < SIDES; side++) {
		sums[side] = 0;
		for (int i = 0; i < nr; i++) {
			uint64_t n;

			if (read(fds[side][i], &n, sizeof(n)) != sizeof(n))
				die("cannot read a counter");
			sums[side] += (double)n;
		}
	}
}

static void cost(struct mover *m, unsigned long moves)
{
	static int fds[SIDES][MAX_THREADS * MAX_PMUS];
	double start[SIDES], idle[SIDES], end[SIDES];
	int types[MAX_PMUS];
	int nr_pmus = find_pmus(types);
	int nr = 0;

	for (int i = 0; i < m->nr_threads; i++)
		for (int p = 0; p < nr_pmus; p++, nr++)
			for (int side = 0; side < SIDES; side++)
				fds[side][nr] = open_instructions(m->threads[i].tid, types[p],
								  (enum side)side);
	read_all(fds, nr, start);
	for (unsigned long i = 0; i < moves; i++)
		usleep(SHORT_QUIET_US);
	read_all(fds, nr, idle);
	for (; m->moves < moves; m->moves++) {
		struct thread *t = &m->threads[m->moves % (unsigned int)m->nr_threads];

		move(m, t);
		usleep(SHORT_QUIET_US);
		wait_back(m, t);
	}
	read_all(fds, nr, end);
	for (int side = 0; side < SIDES; side++)
		end[side] = (end[side] - idle[side]) - (idle[side] - start[side]);
	printf("MOVER moves=%lu threads=%lu back=%lu user=%.0f kernel=%.0f\n", m->moves,
	       m->thread_moves, m->back, end[USER] / (double)moves, end[KERNEL] / (double)moves);
}

int main(int argc, char **argv)
{
	struct mover m = { .random = 0x9e3779b97f4a7c15ULL };

	if (argc != 5 && argc != 7)
		die("usage: mover storm|calls|cost PID MOVES CPU,CPU... [GROUP GROUP]");
	m.pid = atoi(argv[2]);
	take_cpus(&m, argv[4]);
	find_threads(&m);
	if (!strcmp(argv[1], "calls"))
		calls(&m, strtoul(argv[3], NULL, 10));
	else if (!strcmp(argv[1], "cost"))
		cost(&m, strtoul(argv[3], NULL, 10));
	else
		storm(&m, strtoul(argv[3], NULL, 10), argc == 7 ? argv + 5 : NULL);
	return 0;
}
