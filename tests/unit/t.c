/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * t.c - what the tests of the core share
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/vm.h"

/* More than glibc keeps of stacks and the allocator of arenas; less than a guest. */
#define SLACK_KIB	(24u << 10)
#define SETTLE_MS	10000

/* T_NO_IO_URING=1: a process that is refused io_uring, as containers are; check-threads.sh. */
static void __attribute__((constructor)) refuse_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (getenv("T_NO_IO_URING") &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)))
		abort();
}

struct loop *t_loop(void)
{
	struct vmm_error err = { 0 };
	struct loop *loop = NULL;

	if (getenv("T_LENT_LOOPS") ? loop_create_lent(&loop, &err) : loop_create(&loop, &err))
		fail_msg("loop_create: %s", err.msg);
	return loop;
}

static int by_number(const void *a, const void *b)
{
	const struct t_fd *x = a;
	const struct t_fd *y = b;

	return x->nr - y->nr;
}

static void save_fds(struct t_process *p)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	p->nr_fds = 0;
	while (dir && (entry = readdir(dir)) && p->nr_fds < T_MAX_FDS) {
		struct t_fd *fd = &p->fds[p->nr_fds];
		ssize_t len;

		fd->nr = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd->nr == dirfd(dir))
			continue;
		memset(fd->link, 0, sizeof(fd->link));
		len = readlinkat(dirfd(dir), entry->d_name, fd->link, sizeof(fd->link) - 1);
		p->nr_fds += len >= 0;
	}
	if (dir)
		closedir(dir);
	qsort(p->fds, p->nr_fds, sizeof(p->fds[0]), by_number);
}

/* What proc_pid_stat(5) has after the name, which may have anything in it; NULL: no thread. */
static const char *stat_of(const char *task, char *stat, int size)
{
	char path[300];
	const char *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (!fgets(stat, size, f))
		stat[0] = '\0';
	fclose(f);
	end = strrchr(stat, ')');
	return end ? end + 1 : NULL;
}

/*
 * A thread that was joined stays in /proc until the kernel is done with it: field 9 of
 * proc_pid_stat(5) has PF_EXITING of the kernel's include/linux/sched.h by then.
 */
static bool is_exiting(const char *task)
{
	char buf[512];
	const char *stat = stat_of(task, buf, sizeof(buf));
	unsigned int flags = 0;

	return !stat || sscanf(stat, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 || flags & 0x4;
}

char t_thread_state(pid_t tid)
{
	char task[16];
	char buf[512];
	const char *stat;
	char state = 0;

	snprintf(task, sizeof(task), "%d", tid);
	stat = stat_of(task, buf, sizeof(buf));
	assert_non_null(stat);
	assert_int_equal(sscanf(stat, " %c", &state), 1);
	return state;
}

/* How many there are; @last is the name of the youngest. */
static u32 count_threads(char *last, size_t size)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	u32 nr = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300];
		FILE *f;

		if (entry->d_name[0] == '.' || is_exiting(entry->d_name))
			continue;
		nr++;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (f && !fgets(last, (int)size, f))
			last[0] = '\0';
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	last[strcspn(last, "\n")] = '\0';
	return nr;
}

static u32 count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	u32 nr = 0;

	while (f && fgets(line, sizeof(line), f))
		nr += strstr(line, "[io_uring]") || strstr(line, "memfd:");
	if (f)
		fclose(f);
	return nr;
}

static u64 address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (f && fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (u64)pages * 4;
}

void t_process_save(struct t_process *p)
{
	/* A thread's first malloc() would reserve 64 MiB for good. */
	mallopt(M_ARENA_MAX, 1);
	memset(p, 0, sizeof(*p));
	save_fds(p);
	p->nr_threads = count_threads(p->thread, sizeof(p->thread));
	p->nr_maps = count_maps();
	p->kib = address_space();
	/* Not the library's function: test_sweep makes that one fail. */
	sched_getaffinity(0, sizeof(p->cpus.bits), (cpu_set_t *)p->cpus.bits);
	pthread_sigmask(SIG_BLOCK, NULL, &p->blocked);
	for (int sig = 1; sig < T_MAX_SIGNALS; sig++)
		sigaction(sig, NULL, &p->actions[sig]);
}

static const struct t_fd *find_fd(const struct t_process *p, int nr)
{
	for (size_t i = 0; i < p->nr_fds; i++)
		if (p->fds[i].nr == nr)
			return &p->fds[i];
	return NULL;
}

static bool diff_fds(const struct t_process *a, const struct t_process *b, char *buf, size_t size)
{
	for (size_t i = 0; i < b->nr_fds; i++) {
		const struct t_fd *fd = find_fd(a, b->fds[i].nr);

		if (fd && !strcmp(fd->link, b->fds[i].link))
			continue;
		snprintf(buf, size, "descriptor %d is new: %s", b->fds[i].nr, b->fds[i].link);
		return true;
	}
	if (a->nr_fds == b->nr_fds)
		return false;
	snprintf(buf, size, "%zu descriptors are gone", a->nr_fds - b->nr_fds);
	return true;
}

static bool diff_signals(const struct t_process *a, const struct t_process *b, char *buf,
			 size_t size)
{
	for (int sig = 1; sig < T_MAX_SIGNALS; sig++) {
		if (sigismember(&a->blocked, sig) != sigismember(&b->blocked, sig)) {
			snprintf(buf, size, "signal %d: blocked or not", sig);
			return true;
		}
		if (a->actions[sig].sa_handler != b->actions[sig].sa_handler ||
		    a->actions[sig].sa_flags != b->actions[sig].sa_flags) {
			snprintf(buf, size, "signal %d: its disposition", sig);
			return true;
		}
	}
	return false;
}

static bool diff(const struct t_process *a, const struct t_process *b, char *buf, size_t size)
{
	if (diff_fds(a, b, buf, size) || diff_signals(a, b, buf, size))
		return true;
	if (a->nr_threads != b->nr_threads)
		snprintf(buf, size, "%u threads, %u before; the last is %s", b->nr_threads,
			 a->nr_threads, b->thread);
	else if (a->nr_maps != b->nr_maps)
		snprintf(buf, size, "%u mappings of rings and vCPUs, %u before", b->nr_maps, a->nr_maps);
	else if (!T_SANITIZED && b->kib > a->kib + SLACK_KIB)
		snprintf(buf, size, "%llu KiB of address space, %llu before",
			 (unsigned long long)b->kib, (unsigned long long)a->kib);
	else if (!cpumask_equal(&a->cpus, &b->cpus))
		snprintf(buf, size, "the affinity of the thread");
	else
		return false;
	return true;
}

const char *t_process_diff(const struct t_process *before, char *buf, size_t size)
{
	u64 end = t_now_ms() + SETTLE_MS;

	for (;;) {
		struct t_process now;

		buf[0] = '\0';
		t_process_save(&now);
		if (!diff(before, &now, buf, size))
			return NULL;
		/* Workers of a ring that is gone stay for a moment. */
		if (t_now_ms() > end)
			return buf;
		t_sleep_ms(2);
	}
}

void t_process_check(const struct t_process *before)
{
	char buf[256];
	const char *what = t_process_diff(before, buf, sizeof(buf));

	if (what)
		fail_msg("the process is not as it was: %s", what);
}

int t_file(const void *data, size_t len)
{
	int fd = memfd_create("t-file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

int t_disk_file(void)
{
	char name[] = "t-disk-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

int t_kernel(void)
{
	const u32 nop = 0xd503201f;
	u32 code[1024];

	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		code[i] = nop;
	return t_file(code, sizeof(code));
}

size_t t_read(int fd, void *buf, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(fd, (char *)buf + at, len - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	return at;
}

struct vmm *t_vm(struct fake_kvm *fake, const struct vmm_config *cfg)
{
	struct vmm_config config = VMM_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;

	if (cfg)
		config = *cfg;
	if (!config.ram_size)
		config.ram_size = T_RAM;
	if (vm_create(&vm, &config, &fake_kvm_ops, fake, &err))
		fail_msg("vm_create: %s", err.msg);
	boot.kernel_fd = t_kernel();
	if (vmm_set_boot(vm, &boot, &err))
		fail_msg("vmm_set_boot: %s", err.msg);
	close(boot.kernel_fd);
	return vm;
}

void t_start(struct vmm *vm)
{
	struct vmm_error err = { 0 };
	int ret = vmm_start(vm, &err);

	if (ret)
		fail_msg("vmm_start: %d, %s", ret, err.msg);
}

int t_add_console(struct vmm *vm, int in_fd, int out_fd)
{
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;

	if (in_fd >= 0)
		con.flags |= VMM_CONSOLE_F_IN;
	if (out_fd >= 0)
		con.flags |= VMM_CONSOLE_F_OUT;
	con.in_fd = in_fd;
	con.out_fd = out_fd;
	return vmm_add_console(vm, &con, NULL);
}

void t_event(struct vmm *vm, struct vmm_event *ev)
{
	struct pollfd pfd = { .fd = vmm_event_fd(vm), .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, T_TIMEOUT_MS), 1);
	*ev = (struct vmm_event)VMM_EVENT_INIT;
	assert_int_equal(vmm_next_event(vm, ev), 1);
}

void t_stopped(struct vmm *vm, enum vmm_stop_reason reason)
{
	struct vmm_event ev;

	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_STOPPED);
	if (ev.reason != (int)reason)
		fail_msg("stopped for reason %d, not %d: %s", ev.reason, reason, ev.msg);
	assert_int_equal(vmm_next_event(vm, &ev), 0);
}

void t_fake_done(struct fake_kvm *fake)
{
	if (fake_wrong(fake))
		fail_msg("KVM was misused: %s", fake_wrong(fake));
	assert_int_equal(fake_nr_open(fake), 0);
	assert_int_equal(fake_nr_pending(fake), 0);
	fake_destroy(fake);
}

size_t t_print(struct fake_step *steps, size_t max, const char *text)
{
	size_t nr = 0;

	for (; *text && nr + 2 <= max; text++) {
		steps[nr++] = (struct fake_step){
			.kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1,
			.mask = T_LSR_THRE, .data = T_LSR_THRE,
		};
		steps[nr++] = (struct fake_step){
			.kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = (u8)*text,
		};
	}
	assert_true(!*text);
	return nr;
}

void t_log(void *opaque, int level, const char *msg)
{
	struct t_log *log = opaque;
	int len;

	pthread_mutex_lock(&log->lock);
	log->nr[level]++;
	len = snprintf(log->text + log->len, sizeof(log->text) - log->len, "%s\n", msg);
	if (len > 0 && log->len + (size_t)len < sizeof(log->text))
		log->len += (size_t)len;
	pthread_mutex_unlock(&log->lock);
}

bool t_logged(struct t_log *log, const char *part)
{
	bool has;

	pthread_mutex_lock(&log->lock);
	has = strstr(log->text, part);
	pthread_mutex_unlock(&log->lock);
	return has;
}

u64 t_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

void t_sleep_ms(unsigned int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

void t_need_namespaces(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) != 0);
	waitpid(pid, &status, 0);
	if (status) {
		print_message("skipped: this process may make no namespaces\n");
		skip();
	}
}
