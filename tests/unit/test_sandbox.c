/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sandbox.c - what is left to a thread in the sandbox, and what is not
 *
 * A sandbox is for good, so each look at one is a child's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/kvm.h"
#include "vmm/landlock.h"
#include "vmm/sandbox_table.h"

#define T_VCPU_MOST	25	/* calls that a vCPU may have */
#define T_PAGE		4096

/* What a child has to say, in memory that it shares with us. */
struct t_word {
	bool	entered;
	bool	done;		/* all of @fn went through */
	int	refused;	/* the call that was not, or -1 */
	int	error;		/* of vmm_sandbox_enter() */
	char	text[2048];
};

static struct t_word *word;

static int t_setup(void **state)
{
	(void)state;
	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return word == MAP_FAILED;
}

static void t_need_children(void)
{
	if (!T_SANITIZED)
		return;
	print_message("skipped: a sanitizer makes system calls of its own\n");
	skip();
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	word->refused = info->si_syscall;
	syscall(info->si_syscall == SYS_exit_group ? SYS_exit : SYS_exit_group, 1);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* A filter that refuses one call more: as if it had no row in the table. */
static void deny(int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(2);
}

/* @fn in the sandbox, in a child; @denied is one more call that it may not make, or -1. */
static void t_confined(const struct vmm_sandbox_config *cfg, int denied, void (*fn)(void))
{
	const struct sigaction sys = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	struct vmm_error err;
	int status;
	pid_t pid;

	memset(word, 0, sizeof(*word));
	word->refused = -1;
	pid = fork();
	if (!pid) {
		sigaction(SIGSYS, &sys, NULL);
		signal(SIGUSR1, on_signal);
		if (denied >= 0)
			deny(denied);
		word->error = vmm_sandbox_enter(cfg, &err);
		if (word->error)
			_exit(3);
		word->entered = true;
		fn();
		word->done = true;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(word->error, 0);
	assert_true(word->entered);
}

static struct vmm_sandbox_config t_role(enum vmm_sandbox_role role)
{
	struct vmm_sandbox_config cfg = VMM_SANDBOX_CONFIG_INIT;

	cfg.role = role;
	return cfg;
}

/* ---- What a vCPU's thread does --------------------------------------------------- */

static void do_ioctl(void) { ioctl(-1, KVM_RUN, 0); }
static void do_write(void) { if (write(-1, "", 1) < 0) errno = 0; }
static void do_pwrite(void) { if (pwrite(-1, "", 1, 0) < 0) errno = 0; }
static void do_clock(void) { struct timespec ts; syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts); }
static void do_kick(void) { pthread_kill(pthread_self(), SIGUSR1); }
static void do_restart(void) { syscall(SYS_restart_syscall); }
static void do_brk(void) { syscall(SYS_brk, 0); }
static void do_exit(void) { word->done = true; syscall(SYS_exit, 0); }
static void do_exit_group(void) { word->done = true; _exit(0); }
static void do_unkick(void) { kvm_linux_ops.unkick(NULL, SIGRTMIN); }
static void do_getcpu(void) { syscall(SYS_getcpu, NULL, NULL, NULL); }
static void do_limit(void) { struct rlimit r; getrlimit(RLIMIT_MEMLOCK, &r); }

/* A wait for something that does not come. */
static void do_futex(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec = (until.tv_nsec + 1000000) % 1000000000;
	pthread_mutex_lock(&lock);
	pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&lock);
}

static void do_mask(void)
{
	sigset_t set;

	sigemptyset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void do_memory(void)
{
	void *p = mmap(NULL, T_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p, T_PAGE, PROT_READ | PROT_WRITE);
	madvise(p, T_PAGE, MADV_DONTNEED);
	munmap(p, T_PAGE);
}

static void do_timer(void)
{
	const struct itimerspec when = { .it_value.tv_nsec = 1 };

	timerfd_settime(-1, 0, &when, NULL);
}

static void do_affinity(void)
{
	struct cpumask cpus;

	cpumask_get_affinity(&cpus);
	cpumask_set_affinity(&cpus);
}

static const struct need {
	const char	*call;
	int		nr;
	void		(*fn)(void);
} needs[] = {
	{ "ioctl", SYS_ioctl, do_ioctl },
	{ "futex", SYS_futex, do_futex },
	{ "write", SYS_write, do_write },
	{ "clock_gettime", SYS_clock_gettime, do_clock },
	{ "getpid", SYS_getpid, do_kick },
	{ "gettid", SYS_gettid, do_kick },
	{ "tgkill", SYS_tgkill, do_kick },
	{ "rt_sigprocmask", SYS_rt_sigprocmask, do_mask },
	{ "rt_sigreturn", SYS_rt_sigreturn, do_kick },
	{ "restart_syscall", SYS_restart_syscall, do_restart },
	{ "mmap", SYS_mmap, do_memory },
	{ "mprotect", SYS_mprotect, do_memory },
	{ "munmap", SYS_munmap, do_memory },
	{ "brk", SYS_brk, do_brk },
	{ "madvise", SYS_madvise, do_memory },
	{ "exit", SYS_exit, do_exit },
	{ "exit_group", SYS_exit_group, do_exit_group },
	{ "timerfd_settime", SYS_timerfd_settime, do_timer },
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, do_unkick },
	{ "sched_setaffinity", SYS_sched_setaffinity, do_affinity },
	{ "sched_getaffinity", SYS_sched_getaffinity, do_affinity },
	{ "getcpu", SYS_getcpu, do_getcpu },
	{ "prlimit64", SYS_prlimit64, do_limit },
	{ "pwrite64", SYS_pwrite64, do_pwrite },
};

static void test_vcpu_has_what_it_needs(void **state)
{
	const struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_VCPU);

	(void)state;
	t_need_children();
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		t_confined(&cfg, -1, needs[i].fn);
		if (!word->done || word->refused >= 0)
			fail_msg("%s: %d is refused", needs[i].call, word->refused);
	}
}

static void test_call_that_a_vcpu_lacks_is_noticed(void **state)
{
	const struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_VCPU);

	(void)state;
	t_need_children();
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		t_confined(&cfg, needs[i].nr, needs[i].fn);
		if (word->refused != needs[i].nr)
			fail_msg("%s: nobody needs it, %d is refused", needs[i].call, word->refused);
	}
}

static void test_vcpu_has_nothing_else(void **state)
{
	size_t nr = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sandbox_rules); i++) {
		size_t at = 0;

		if (!(sandbox_rules[i].roles & VCPU))
			continue;
		nr++;
		while (at < ARRAY_SIZE(needs) && strcmp(needs[at].call, sandbox_rules[i].call))
			at++;
		if (at == ARRAY_SIZE(needs))
			fail_msg("%s: no test needs it", sandbox_rules[i].call);
	}
	assert_int_equal(nr, ARRAY_SIZE(needs));
	assert_in_range(nr, 10, T_VCPU_MOST);
}

/* ---- What nobody may do ------------------------------------------------------------ */

static void do_exec(void) { execl("/bin/true", "true", NULL); }
static void do_fork(void) { if (!fork()) _exit(0); }
static void do_open(void) { open("/dev/null", O_RDONLY); }
static void do_inet(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void do_unix(void) { socket(AF_UNIX, SOCK_STREAM, 0); }
static void do_netlink(void) { socket(AF_NETLINK, SOCK_DGRAM, 0); }
static void do_sti(void) { ioctl(-1, TIOCSTI, "x"); }
static void do_kill(void) { syscall(SYS_kill, 1, 0); }
static void do_ptrace(void) { syscall(SYS_ptrace, 0, 0, 0, 0); }
static void do_peek(void) { syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0); }
static void do_ring(void) { syscall(SYS_io_uring_setup, 1, NULL); }
static void do_unshare(void) { unshare(CLONE_NEWUSER); }
static void do_bpf(void) { syscall(SYS_bpf, 0, NULL, 0); }
static void do_dumpable(void) { prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static void do_raise(void) { struct rlimit r = { 1, 1 }; setrlimit(RLIMIT_MEMLOCK, &r); }

static void do_code(void)
{
	mmap(NULL, T_PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_make_code(void)
{
	mprotect(word, T_PAGE, PROT_READ | PROT_EXEC);
}

static const struct refusal {
	unsigned int	roles;
	int		nr;
	void		(*fn)(void);
} refusals[] = {
	{ ALL, SYS_execve, do_exec },
	{ ALL, SYS_clone, do_fork },
	{ ALL, SYS_socket, do_inet },
	{ ALL, SYS_socket, do_unix },
	{ VCPU, SYS_socket, do_netlink },
	{ VCPU, SYS_openat, do_open },
	{ ALL, SYS_ioctl, do_sti },
	{ ALL, SYS_kill, do_kill },
	{ ALL, SYS_ptrace, do_ptrace },
	{ ALL, SYS_process_vm_readv, do_peek },
	{ VCPU | IO, SYS_io_uring_setup, do_ring },
	{ ALL, SYS_unshare, do_unshare },
	{ ALL, SYS_bpf, do_bpf },
	{ ALL, SYS_prctl, do_dumpable },
	{ VCPU | IO, SYS_prlimit64, do_raise },
	{ ALL, SYS_mmap, do_code },
	{ ALL, SYS_mprotect, do_make_code },
};

static void test_what_no_role_has_is_refused(void **state)
{
	(void)state;
	t_need_children();
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		for (u32 role = 0; role <= VMM_SANDBOX_IO; role++) {
			const struct vmm_sandbox_config cfg = t_role(role);

			if (!(refusals[i].roles & 1u << role))
				continue;
			t_confined(&cfg, -1, refusals[i].fn);
			if (word->done || word->refused != refusals[i].nr)
				fail_msg("role %u: not %d is refused, but %d", role, refusals[i].nr,
					 word->refused);
		}
	}
}

static void test_audit_refuses_nothing(void **state)
{
	struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_VCPU);

	(void)state;
	t_need_children();
	cfg.flags = VMM_SANDBOX_F_AUDIT;
	t_confined(&cfg, -1, do_open);
	assert_true(word->done);
	assert_int_equal(word->refused, -1);
}

/* ---- Threads, and what is told of them ------------------------------------------- */

static void *confine(void *arg)
{
	struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_VCPU);
	int *ret = arg;

	*ret = vmm_sandbox_enter(&cfg, NULL);
	return NULL;
}

static void do_threads(void)
{
	pthread_t thread;
	int ret = 1;

	if (pthread_create(&thread, NULL, confine, &ret) || pthread_join(thread, NULL) || ret)
		_exit(4);
	/* It was the thread's own. */
	do_open();
}

static void test_thread_gives_up_more_than_its_maker(void **state)
{
	const struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_CONTROL);

	(void)state;
	t_need_children();
	t_confined(&cfg, -1, do_threads);
	assert_int_equal(word->refused, -1);
	assert_true(word->done);
}

static void read_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, word->text, sizeof(word->text) - 1);

	word->text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static u64 field(const char *name, int base)
{
	const char *p = strstr(word->text, name);

	assert_non_null(p);
	return strtoull(p + strlen(name), NULL, base);
}

static void test_privileges_are_gone(void **state)
{
	struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_CONTROL);
	u64 had;

	(void)state;
	t_need_children();
	read_status();
	had = field("\nCapPrm:", 16);
	t_confined(&cfg, -1, read_status);
	assert_int_equal(field("\nNoNewPrivs:", 10), 1);
	assert_int_equal(field("\nSeccomp:", 10), SECCOMP_MODE_FILTER);
	assert_int_equal(field("\nCapPrm:", 16), 0);
	assert_int_equal(field("\nCapEff:", 16), 0);
	assert_int_equal(field("\nCapInh:", 16), 0);
	assert_int_equal(field("\nCapAmb:", 16), 0);
	/* One of them may be worth keeping. */
	cfg.keep_caps = 1ull << 0;
	t_confined(&cfg, -1, read_status);
	assert_int_equal(field("\nCapEff:", 16), had & 1);
}

/* ---- Files -------------------------------------------------------------------------- */

static int before = -1;		/* /dev/null, open when the sandbox is entered */

static int try(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int ret = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/* In text, as a child cannot assert: what was asked, and what came of it. */
static void do_files(void)
{
	char *p = word->text;

	p += sprintf(p, "null %d, ", try("/dev/null", O_RDONLY));
	p += sprintf(p, "passwd %d, ", try("/etc/passwd", O_RDONLY));
	p += sprintf(p, "self %d, ", try("/proc/self/status", O_RDONLY));
	p += sprintf(p, "sys %d, ", try("/sys/kernel", O_RDONLY | O_DIRECTORY));
	p += sprintf(p, "make %d, ", try("/tmp/t-sandbox/new", O_WRONLY | O_CREAT | O_EXCL));
	p += sprintf(p, "remove %d, ", unlink("/tmp/t-sandbox/new") ? errno : 0);
	p += sprintf(p, "above %d, ", try("/tmp/t-sandbox-new", O_WRONLY | O_CREAT | O_EXCL));
	sprintf(p, "open %d", write(before, "x", 1) == 1 ? 0 : errno);
}

static void test_files_that_are_not_named_are_not_opened(void **state)
{
	static const struct vmm_sandbox_path path = {
		"/tmp/t-sandbox", VMM_PATH_READ | VMM_PATH_WRITE | VMM_PATH_MAKE,
	};
	static const struct vmm_sandbox_path gone = { "/nonexistent", VMM_PATH_READ };
	const struct vmm_sandbox_path paths[] = { gone, path };
	struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_CONTROL);

	(void)state;
	t_need_children();
	if (!landlock_version()) {
		print_message("skipped: this kernel has no Landlock\n");
		skip();
	}
	before = open("/dev/null", O_WRONLY | O_CLOEXEC);
	mkdir("/tmp/t-sandbox", 0700);
	cfg.flags = VMM_SANDBOX_F_FILES;
	cfg.paths = paths;
	cfg.nr_paths = ARRAY_SIZE(paths);
	t_confined(&cfg, -1, do_files);
	assert_string_equal(word->text, "null 13, passwd 13, self 0, sys 0, make 0, remove 0, above 13, open 0");
	/* To audit is to refuse nothing. */
	cfg.flags |= VMM_SANDBOX_F_AUDIT;
	t_confined(&cfg, -1, do_files);
	assert_string_equal(word->text, "null 0, passwd 0, self 0, sys 0, make 0, remove 0, above 0, open 0");
	unlink("/tmp/t-sandbox-new");
	rmdir("/tmp/t-sandbox");
	close(before);
}

/* ---- Arguments ----------------------------------------------------------------------- */

static void test_arguments_are_checked_first(void **state)
{
	static const struct vmm_sandbox_path path = { "/", VMM_PATH_MAKE << 1 };
	struct vmm_sandbox_config cfg = t_role(VMM_SANDBOX_IO + 1);
	struct vmm_error err;

	(void)state;
	assert_int_equal(vmm_sandbox_enter(&cfg, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "role"));
	cfg = t_role(VMM_SANDBOX_VCPU);
	cfg.flags = VMM_SANDBOX_F_FILES << 1;
	assert_int_equal(vmm_sandbox_enter(&cfg, &err), -E2BIG);
	cfg.flags = 0;
	cfg.nr_paths = 1;
	cfg.paths = &path;
	assert_int_equal(vmm_sandbox_enter(&cfg, &err), -EINVAL);
	cfg.flags = VMM_SANDBOX_F_FILES;
	assert_int_equal(vmm_sandbox_enter(&cfg, &err), -E2BIG);
	assert_int_equal(vmm_sandbox_enter(NULL, &err), -EINVAL);
	read_status();
	assert_int_equal(field("\nSeccomp:", 10), 0);
}

static void test_vm_has_its_own_threads_or_none_in_the_sandbox(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err;
	struct vmm *vm;

	(void)state;
	cfg.flags = VMM_F_SANDBOX_AUDIT;
	assert_int_equal(vmm_create(&vm, &cfg, &err), -EINVAL);
	cfg.flags = VMM_F_SANDBOX | VMM_F_HOST_THREADS;
	assert_int_equal(vmm_create(&vm, &cfg, &err), -EINVAL);
	cfg.flags = VMM_F_SANDBOX | VMM_F_SANDBOX_AUDIT;
	assert_int_equal(vmm_create(&vm, &cfg, &err), 0);
	vmm_destroy(vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpu_has_what_it_needs),
		cmocka_unit_test(test_call_that_a_vcpu_lacks_is_noticed),
		cmocka_unit_test(test_vcpu_has_nothing_else),
		cmocka_unit_test(test_what_no_role_has_is_refused),
		cmocka_unit_test(test_audit_refuses_nothing),
		cmocka_unit_test(test_thread_gives_up_more_than_its_maker),
		cmocka_unit_test(test_privileges_are_gone),
		cmocka_unit_test(test_files_that_are_not_named_are_not_opened),
		cmocka_unit_test(test_arguments_are_checked_first),
		cmocka_unit_test(test_vm_has_its_own_threads_or_none_in_the_sandbox),
	};

	return cmocka_run_group_tests(tests, t_setup, NULL);
}
