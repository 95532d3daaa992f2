/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox_table.h - the system calls that threads in the sandbox may make
 *
 * One table for all roles.  What is in no row is refused: SIGSYS, whose default is the
 * end of the process.  tools/mkfilters.c makes a filter of it for each role when the
 * library is built.
 *
 * To allow another call, add a row, or a role to its row, with the reason; the call
 * is named as in syscalls(2).  Only add a call to VCPU that a vCPU's thread makes itself
 * (it may ask I/O thread 0 instead, as vm_look() does), with a test in
 * tests/unit/test_sandbox.c that fails without the row.  With an argument test the row
 * is for calls that pass it; more rows of one call add up.  `vmm run --sandbox=audit`
 * has the kernel log what lacks a row.  What is done before the sandbox is entered,
 * such as spawning a helper, needs none.
 *
 * Threads inherit what their maker may, and can only lose more of it, so CONTROL may
 * do whatever the others may, and need not be named with them.
 */
#ifndef VMM_SANDBOX_TABLE_H
#define VMM_SANDBOX_TABLE_H

#include "vmm/types.h"

#define CONTROL	(1u << 0)	/* VMM_SANDBOX_CONTROL, and so on */
#define VCPU	(1u << 1)
#define IO	(1u << 2)
#define ALL	(CONTROL | VCPU | IO)

struct sandbox_rule {
	const char	*call;
	unsigned int	roles;
	const char	*why;
	/* If .mask is not 0: only if argument .arg, counted from 0, is .value there. */
	unsigned int	arg;
	u64		mask;
	u64		value;
	int		error;		/* fail with this errno instead of going on */
};

#define RULE(_call, _roles, _why, ...) \
	{ .call = (_call), .roles = (_roles), .why = (_why), ##__VA_ARGS__ }
#define IF(_arg, _mask, _value)	.arg = (_arg), .mask = (_mask), .value = (_value)
#define WHOLE	(~0ull)

#define KVM_TYPE	0xae00		/* of an ioctl, Documentation/userspace-api/ioctl */
#define VHOST_TYPE	0xaf00
#define BLOCK_TYPE	0x1200
#define TYPE_MASK	0xff00
#define NO_EXEC		IF(2, 4, 0)	/* PROT_EXEC */

static const struct sandbox_rule sandbox_rules[] = {
	/* What every thread does. */
	RULE("ioctl", ALL, "KVM_RUN, KVM_IRQ_LINE", IF(1, TYPE_MASK, KVM_TYPE)),
	RULE("futex", ALL, "locks"),
	RULE("write", ALL, "eventfds, the log"),
	RULE("clock_gettime", ALL, "where the vDSO cannot"),
	RULE("getpid", ALL, "pthread_kill()"),
	RULE("gettid", ALL, "pthread_kill() of itself"),
	RULE("tgkill", ALL, "kicking vCPUs"),
	RULE("rt_sigprocmask", ALL, "letting the kick in; the end of a thread"),
	RULE("rt_sigreturn", ALL, "the handler of the kick"),
	RULE("restart_syscall", ALL, "a wait that SIGSTOP interrupted"),
	RULE("mmap", ALL, "malloc()", NO_EXEC),
	RULE("mprotect", ALL, "malloc()", NO_EXEC),
	RULE("munmap", ALL, "free()"),
	RULE("brk", ALL, "malloc()"),
	RULE("madvise", ALL, "the stack of a thread that ends; balloon"),
	RULE("exit", ALL, "the end of a thread"),
	RULE("exit_group", ALL, "a host's handler of SIGSYS"),
	RULE("timerfd_settime", ALL, "output of consoles, alarms"),

	/* vCPUs: placement, and answering the kick. */
	RULE("rt_sigtimedwait", VCPU | IO, "taking a kick back, or SIGPIPE"),
	RULE("sched_setaffinity", VCPU, "going where it belongs"),
	RULE("sched_getaffinity", VCPU | IO, "was it moved?  Which CPUs are allowed?"),
	RULE("getcpu", VCPU, "which CPU was wrong"),
	RULE("prlimit64", VCPU, "RLIMIT_MEMLOCK, reading alone", IF(2, WHOLE, 0)),

	/* I/O: what devices have opened, */
	RULE("io_uring_enter", IO, "the loop"),
	RULE("epoll_ctl", IO, "the loop, without io_uring"),
	RULE("epoll_wait", IO, "the loop, without io_uring"),
	RULE("epoll_pwait", IO, "the loop, without io_uring"),
	RULE("read", IO, "eventfds, consoles"),
	RULE("rt_sigpending", IO, "was SIGPIPE there before?"),
	RULE("readv", IO, "consoles, disks, taps"),
	RULE("writev", IO, "consoles, disks, taps"),
	RULE("pread64", IO, "disks"),
	RULE("pwrite64", VCPU | IO, "flash is programmed by vCPUs; disks"),
	RULE("preadv", IO, "disks"),
	RULE("pwritev", IO, "disks"),
	RULE("preadv2", IO, "consoles that must not block"),
	RULE("pwritev2", IO, "consoles that must not block"),
	RULE("fsync", IO, "disks"),
	RULE("fdatasync", IO, "disks"),
	RULE("fallocate", IO, "disks, balloon"),
	RULE("lseek", IO, "disks, reading files"),
	RULE("recvfrom", IO, "sockets, uevents"),
	RULE("recvmsg", IO, "sockets"),
	RULE("sendto", IO, "sockets"),
	RULE("sendmsg", IO, "sockets"),
	RULE("getsockopt", IO, "sockets"),
	RULE("setsockopt", IO, "sockets"),
	RULE("shutdown", IO, "letting a vhost-user backend go"),
	RULE("poll", IO, "waiting for a descriptor"),
	RULE("ppoll", IO, "waiting for a descriptor"),
	RULE("ioctl", IO, "vhost-net, vhost-vsock", IF(1, TYPE_MASK, VHOST_TYPE)),
	RULE("ioctl", IO, "TUNSETOFFLOAD", IF(1, WHOLE, 0x400454d0)),
	RULE("ioctl", IO, "TUNSETQUEUE", IF(1, WHOLE, 0x400454d9)),
	RULE("ioctl", IO, "FIONREAD", IF(1, WHOLE, 0x541b)),
	RULE("getrandom", IO, "virtio-rng"),
	RULE("close", IO, "consoles and connections that end"),
	RULE("fcntl", IO, "O_NONBLOCK, duplicates"),
	RULE("dup3", IO, "duplicates"),
	RULE("timerfd_create", IO, "alarms"),
	RULE("timerfd_gettime", IO, "alarms"),
	RULE("eventfd2", IO, "interrupts"),
	/* ... and looking at the host for vCPUs (vm_look()), within what Landlock leaves. */
	RULE("openat", IO, "sysfs, /proc/self"),
	RULE("newfstatat", IO, "fopen()"),
	RULE("fstat", IO, "fopen()"),
	RULE("stat", IO, "sysconf()"),
	RULE("statx", IO, "files"),
	RULE("getdents64", IO, "opendir()"),
	RULE("faccessat", IO, "access()"),
	RULE("faccessat2", IO, "access()"),
	RULE("access", IO, "access()"),
	RULE("readlinkat", IO, "sysfs"),
	RULE("inotify_init1", IO, "CPUs that come and go"),
	RULE("inotify_add_watch", IO, "CPUs that come and go"),
	RULE("socket", IO, "uevents", IF(0, WHOLE, 16)),	/* AF_NETLINK */
	RULE("bind", IO, "uevents"),

	/* Who makes VMs, waits for them, destroys them, and makes others in their place. */
	RULE("clone3", CONTROL, "glibc falls back to clone()", .error = 38),	/* ENOSYS */
	RULE("clone", CONTROL, "threads, no processes", IF(0, 0x10000, 0x10000)),	/* CLONE_THREAD */
	RULE("set_robust_list", CONTROL, "threads begin"),
	RULE("rseq", CONTROL, "threads begin"),
	RULE("prctl", CONTROL, "PR_SET_NAME", IF(0, WHOLE, 15)),
	RULE("prctl", CONTROL, "PR_SET_NO_NEW_PRIVS", IF(0, WHOLE, 38)),
	RULE("seccomp", CONTROL, "threads give up more"),
	RULE("capget", CONTROL, "threads give up more"),
	RULE("capset", CONTROL, "threads give up more"),
	RULE("sched_yield", CONTROL, "threads"),
	RULE("io_uring_setup", CONTROL, "a loop"),
	RULE("io_uring_register", CONTROL, "a loop"),
	RULE("memfd_create", CONTROL, "RAM"),
	RULE("ftruncate", CONTROL, "RAM, --dump-dtb"),
	RULE("mlock", CONTROL, "RAM, for SPE"),
	RULE("munlock", CONTROL, "RAM, for SPE"),
	RULE("mremap", CONTROL, "realloc()"),
	RULE("prlimit64", CONTROL, "RLIMIT_MEMLOCK, for SPE"),
	RULE("statfs", CONTROL, "--hugetlbfs"),
	RULE("fstatfs", CONTROL, "pages of RAM"),
	RULE("pipe2", CONTROL, "consoles"),
	RULE("dup", CONTROL, "duplicates"),
	RULE("unlink", CONTROL, "the control socket"),
	RULE("unlinkat", CONTROL, "the control socket"),
	RULE("lstat", CONTROL, "the control socket"),
	RULE("flock", CONTROL, "the control socket"),
	RULE("accept4", CONTROL, "the control socket"),
	RULE("epoll_create1", CONTROL, "a terminal in the background; a loop without io_uring"),
	/* Of terminals those that a guest needs; never TIOCSTI, which types for the user. */
	RULE("ioctl", CONTROL, "TUNGETIFF", IF(1, WHOLE, 0x800454d2)),
	RULE("ioctl", CONTROL, "TUNSETVNETHDRSZ", IF(1, WHOLE, 0x400454d8)),
	RULE("ioctl", CONTROL, "TCGETS", IF(1, WHOLE, 0x5401)),
	RULE("ioctl", CONTROL, "TCSETS", IF(1, WHOLE, 0x5402)),
	RULE("ioctl", CONTROL, "TCSETSW", IF(1, WHOLE, 0x5403)),
	RULE("ioctl", CONTROL, "TCSETSF", IF(1, WHOLE, 0x5404)),
	RULE("ioctl", CONTROL, "TIOCGPGRP", IF(1, WHOLE, 0x540f)),
	RULE("ioctl", CONTROL, "TIOCGWINSZ", IF(1, WHOLE, 0x5413)),
	RULE("ioctl", CONTROL, "the size of a disk", IF(1, TYPE_MASK, BLOCK_TYPE)),
	RULE("getpgrp", CONTROL, "whose the terminal is"),
	RULE("getpgid", CONTROL, "whose the terminal is"),
	RULE("rt_sigaction", CONTROL, "handlers that restore the terminal"),
	RULE("geteuid", CONTROL, "who asks on the control socket"),
	RULE("getuid", CONTROL, "who asks on the control socket"),
	RULE("sysinfo", CONTROL, "the host's RAM"),
	RULE("uname", CONTROL, "the host's kernel"),
	RULE("clock_nanosleep", CONTROL, "waiting"),
	RULE("nanosleep", CONTROL, "waiting"),
	RULE("wait4", CONTROL, "helpers that ended"),
	RULE("waitid", CONTROL, "helpers that ended"),
	RULE("pidfd_send_signal", CONTROL, "helpers that shall end"),
};

#undef RULE
#undef IF
#undef WHOLE
#undef NO_EXEC

#endif
