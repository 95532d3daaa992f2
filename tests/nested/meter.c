// SPDX-License-Identifier: BSD-2-Clause
/*
 * meter.c - what a run of a program costs
 *
 *   meter time LABEL PROGRAM...          time: in all, to the guest's entry, to its init
 *   meter file LABEL PROGRAM...          the same with its output in a file, where
 *                                        nobody reads it meanwhile
 *   meter cost LABEL PROGRAM...          instructions, which costs time itself; so too
 *   meter calls LABEL PROGRAM...         system calls, returns of KVM_RUN, and calls
 *                                        that raise an interrupt; the returns by kind
 *                                        as `@@ EXIT LABEL count=...`
 *   meter idle LABEL PROGRAM...          the same of IDLE_S seconds, once it has run for
 *                                        as long; then it is killed
 *   meter size LABEL MARK PROGRAM...     once it has written MARK: threads,
 *                                        descriptors, memory; then it is killed
 *
 *   meter ask LABEL SOCKET [LINE ANSWER]...
 *                                        time until a line sent there is answered by one
 *                                        with ANSWER in it: of the last of them
 *
 * Prints `@@ METER LABEL NAME=VALUE...`.  Times are in ns of the virtual counter,
 * which under QEMU's -icount shift=0 counts instructions; then, with one CPU, the
 * numbers hardly differ from run to run.  Guest RAM is any mapping of RAM_KB or more.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAM_KB		(32 << 10)
#define OUTPUT		"/tmp/meter.out"
#define EVENT_INST	0x08	/* INST_RETIRED */
#define IDLE_S		5

struct run {
	pid_t pid;
	bool to_file;
	int out;
	volatile uint64_t *exec;	/* the counter just before execve() */
	uint64_t ready;			/* ... at the guest's marker */
	char text[1 << 16];
	size_t len;
};

static uint64_t counter(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, CNTVCT_EL0" : "=r"(v) : : "memory");
	return v;
}

static double ns(uint64_t ticks)
{
	uint64_t hz;

	__asm__ volatile("mrs %0, CNTFRQ_EL0" : "=r"(hz));
	return (double)ticks * 1e9 / (double)hz;
}

static int open_event(pid_t pid, struct perf_event_attr *attr)
{
	int fd;

	attr->size = sizeof(*attr);
	attr->disabled = 1;
	attr->inherit = 1;
	attr->enable_on_exec = 1;
	fd = (int)syscall(SYS_perf_event_open, attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "perf_event_open: %s\n", strerror(errno));
	return fd;
}

static unsigned long long event_value(int fd)
{
	unsigned long long v = 0;

	if (fd < 0 || read(fd, &v, sizeof(v)) != sizeof(v))
		return 0;
	close(fd);
	return v;
}

/* Starts the program stopped at a gate, so that its events can be opened. */
static int start(struct run *run, char **argv)
{
	int gate[2];
	int out[2];
	char c;

	run->exec = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pipe2(gate, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return -1;
	run->pid = fork();
	if (run->pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		close(gate[1]);
		dup2(null, 0);
		dup2(run->to_file ? open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) :
				    out[1], 1);
		if (read(gate[0], &c, 1) < 0)
			_exit(127);
		*run->exec = counter();
		execv(argv[0], argv);
		_exit(127);
	}
	close(gate[0]);
	close(out[1]);
	run->out = out[0];
	return gate[1];
}

/* Until its end, or until it has written this. */
static void follow(struct run *run, const char *until)
{
	for (;;) {
		ssize_t n = read(run->out, run->text + run->len,
				 sizeof(run->text) - 1 - run->len);
		uint64_t t = counter();

		if (n <= 0)
			return;
		run->len += (size_t)n;
		run->text[run->len] = 0;
		if (!run->ready && strstr(run->text, "GUEST-READY"))
			run->ready = t;
		if (until && strstr(run->text, until))
			return;
	}
}

static void print_times(const char *label, bool to_file, char **argv)
{
	struct run run = { .to_file = to_file };
	char *entered;
	char *each;
	int status;

	close(start(&run, argv));
	follow(&run, NULL);
	waitpid(run.pid, &status, 0);
	printf("@@ METER %s status=%d total_ns=%.0f", label, WEXITSTATUS(status),
	       ns(counter() - *run.exec));
	/* The guest's CNTPCT_EL0 at its entry is our CNTVCT_EL0. */
	entered = strstr(run.text, "entered=");
	if (entered)
		printf(" entered_ns=%.0f", ns(strtoull(entered + 8, NULL, 16) - *run.exec));
	if (run.ready)
		printf(" ready_ns=%.0f", ns(run.ready - *run.exec));
	each = strstr(run.text, "each_ns=");
	if (each)
		printf(" each_ns=%.0f", strtod(each + 8, NULL));
	printf("\n");
}

static void cost(const char *label, char **argv)
{
	/* user, host kernel, guest */
	struct perf_event_attr attr[3] = {
		{ .exclude_kernel = 1, .exclude_hv = 1, .exclude_guest = 1 },
		{ .exclude_user = 1, .exclude_guest = 1 },
		{ .exclude_host = 1 },
	};
	unsigned long long inst[3];
	struct run run = { .to_file = true };
	int gate = start(&run, argv);
	int fd[3];
	int status;

	for (int i = 0; i < 3; i++) {
		attr[i].type = PERF_TYPE_RAW;
		attr[i].config = EVENT_INST;
		fd[i] = open_event(run.pid, &attr[i]);
	}
	close(gate);
	follow(&run, NULL);
	waitpid(run.pid, &status, 0);
	for (int i = 0; i < 3; i++)
		inst[i] = event_value(fd[i]);
	printf("@@ METER %s status=%d user=%llu kernel=%llu guest=%llu\n", label,
	       WEXITSTATUS(status), inst[0], inst[1], inst[2]);
}

/*
 * System calls of all its threads, and what KVM_RUN came back with.  By ptrace(2), for
 * a kernel without tracepoints has that too; the program is slower, but does the same.
 */
#define SYS_STOP	(SIGTRAP | 0x80)
#define MAX_VCPUS	16
#define MAX_KINDS	64

struct vcpu {
	int fd;
	uint64_t run;			/* where its struct kvm_run is */
};

struct kind {
	uint32_t reason;
	bool is_write;
	uint64_t addr;
	unsigned long count;
};

struct trace {
	unsigned long syscalls;
	unsigned long runs;
	unsigned long interrupts;
	struct vcpu vcpus[MAX_VCPUS];
	int nr_vcpus;
	struct kind kinds[MAX_KINDS];	/* the last one is all others */
	int nr_kinds;
};

/* What a thread is in; a system call's number is told only at its beginning. */
struct thread {
	pid_t tid;
	uint64_t nr;
	uint64_t args[6];
};

static struct thread *thread_of(pid_t tid)
{
	static struct thread threads[64];

	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		if (!threads[i].tid)
			threads[i].tid = tid;
		if (threads[i].tid == tid)
			return &threads[i];
	}
	fprintf(stderr, "meter: too many threads\n");
	exit(1);
}

static uint64_t peek(pid_t tid, uint64_t addr)
{
	return (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)addr, NULL);
}

static void count_exit(struct trace *t, pid_t tid, int fd, int64_t ret)
{
	struct kind kind = { .reason = ~0u };
	int i;

	t->runs++;
	/* The newest: a descriptor's number may have meant another file before. */
	for (i = t->nr_vcpus - 1; i >= 0 && t->vcpus[i].fd != fd; i--)
		;
	if (ret >= 0 && i >= 0) {
		uint64_t run = t->vcpus[i].run;

		kind.reason = (uint32_t)peek(tid, run + offsetof(struct kvm_run, exit_reason));
		if (kind.reason == KVM_EXIT_MMIO) {
			kind.addr = peek(tid, run + offsetof(struct kvm_run, mmio.phys_addr));
			kind.is_write = peek(tid, run + offsetof(struct kvm_run, mmio.len)) >> 32 & 0xff;
		}
	}
	for (i = 0; i < t->nr_kinds; i++)
		if (t->kinds[i].reason == kind.reason && t->kinds[i].addr == kind.addr &&
		    t->kinds[i].is_write == kind.is_write)
			break;
	if (i == MAX_KINDS)
		return;
	if (i == t->nr_kinds)
		t->kinds[t->nr_kinds++] = kind;
	t->kinds[i].count++;
}

static void syscall_stop(struct trace *t, pid_t tid)
{
	struct __ptrace_syscall_info info;
	struct thread *thread = thread_of(tid);

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		thread->nr = info.entry.nr;
		memcpy(thread->args, info.entry.args, sizeof(thread->args));
		t->syscalls++;
		t->interrupts += thread->nr == SYS_ioctl &&
				 ((uint32_t)thread->args[1] == KVM_SIGNAL_MSI ||
				  (uint32_t)thread->args[1] == KVM_IRQ_LINE);
	} else if (thread->nr == SYS_ioctl && (uint32_t)thread->args[1] == KVM_RUN) {
		count_exit(t, tid, (int)thread->args[0], info.exit.rval);
	} else if (thread->nr == SYS_mmap && thread->args[3] & MAP_SHARED && !info.exit.is_error &&
		   (int)thread->args[4] >= 0 && t->nr_vcpus < MAX_VCPUS) {
		t->vcpus[t->nr_vcpus++] = (struct vcpu){ (int)thread->args[4], (uint64_t)info.exit.rval };
	}
}

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

/* SIGALRM after IDLE_S seconds, and again. */
static void start_ticks(void)
{
	const struct sigaction action = { .sa_handler = tick };
	const struct itimerval every = { { IDLE_S, 0 }, { IDLE_S, 0 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* Counts anew at the first tick; at the second all is over. */
static bool ticked(struct trace *t)
{
	if (ticks == 1) {
		t->syscalls = 0;
		t->runs = 0;
		t->interrupts = 0;
		t->nr_kinds = 0;
	}
	return ticks < 2;
}

static int trace(struct trace *t, pid_t pid)
{
	bool running = false;
	int status;
	pid_t tid;

	for (;;) {
		int sig = 0;

		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR && ticked(t))
			continue;
		if (tid <= 0)
			break;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid == pid)
				return status;
			continue;
		}
		if (status >> 16 == PTRACE_EVENT_EXEC)
			running = true;
		else if (WSTOPSIG(status) == SYS_STOP && running)
			syscall_stop(t, tid);
		else if (!(status >> 16) && WSTOPSIG(status) != SYS_STOP)
			sig = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)sig);
	}
	kill(pid, SIGKILL);
	return 0;
}

static void calls(const char *label, bool idle, char **argv)
{
	static struct trace t;
	struct run run = { 0 };
	int gate = start(&run, argv);
	int status;

	if (ptrace(PTRACE_SEIZE, run.pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
		   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_INTERRUPT, run.pid, NULL, NULL)) {
		fprintf(stderr, "ptrace: %s\n", strerror(errno));
		exit(1);
	}
	if (idle)
		start_ticks();
	close(gate);
	status = trace(&t, run.pid);
	printf("@@ METER %s status=%d syscalls=%lu kvm_run=%lu interrupts=%lu\n", label,
	       WEXITSTATUS(status), t.syscalls, t.runs, t.interrupts);
	for (int i = 0; i < t.nr_kinds; i++) {
		const struct kind *k = &t.kinds[i];

		printf("@@ EXIT %s count=%lu", label, k->count);
		if (k->reason == KVM_EXIT_MMIO)
			printf(" mmio=%s addr=0x%llx\n", k->is_write ? "write" : "read",
			       (unsigned long long)k->addr);
		else
			printf(" reason=%d\n", (int)k->reason);
	}
}

static int entries(pid_t pid, const char *what)
{
	char path[64];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* KiB of anonymous memory outside guest RAM. */
static long anonymous(pid_t pid)
{
	char line[512];
	long size = 0;
	long sum = 0;
	long kb;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/smaps", pid);
	f = fopen(line, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Size: %ld", &kb) == 1)
			size = kb;
		if (sscanf(line, "Anonymous: %ld", &kb) == 1 && size < RAM_KB)
			sum += kb;
	}
	if (f)
		fclose(f);
	return sum;
}

static void size(const char *label, const char *mark, char **argv)
{
	struct run run = { 0 };

	close(start(&run, argv));
	follow(&run, mark);
	usleep(100000);
	printf("@@ METER %s threads=%d fds=%d anon_kb=%ld\n", label, entries(run.pid, "task"),
	       entries(run.pid, "fd"), anonymous(run.pid));
	kill(run.pid, SIGKILL);
	waitpid(run.pid, NULL, 0);
}

static void ask(const char *label, const char *path, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t took = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return;
	}
	for (; argv[0] && argv[1]; argv += 2) {
		char text[4096] = "";
		size_t len = 0;

		took = counter();
		dprintf(fd, "%s\n", argv[0]);
		while (!strstr(text, argv[1])) {
			ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);

			if (n <= 0) {
				fprintf(stderr, "%s: no answer to %s\n", path, argv[0]);
				return;
			}
			len += (size_t)n;
			text[len] = 0;
		}
		took = counter() - took;
	}
	printf("@@ METER %s ns=%.0f\n", label, ns(took));
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "time"))
		print_times(argv[2], false, argv + 3);
	else if (argc > 3 && !strcmp(argv[1], "file"))
		print_times(argv[2], true, argv + 3);
	else if (argc > 3 && !strcmp(argv[1], "cost"))
		cost(argv[2], argv + 3);
	else if (argc > 3 && !strcmp(argv[1], "calls"))
		calls(argv[2], false, argv + 3);
	else if (argc > 3 && !strcmp(argv[1], "idle"))
		calls(argv[2], true, argv + 3);
	else if (argc > 5 && !strcmp(argv[1], "ask"))
		ask(argv[2], argv[3], argv + 4);
	else if (argc > 4 && !strcmp(argv[1], "size"))
		size(argv[2], argv[3], argv + 4);
	else
		return 2;
	return 0;
}
