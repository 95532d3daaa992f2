/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * embed.c - boot a kernel inside your own process: libvmm(7) on two pages
 *
 *	cc -o embed embed.c $(pkg-config --cflags --libs libvmm)
 *	./embed KERNEL [INITRD [COMMAND-LINE]]
 *
 * The guest's console is stdin and stdout.  Ctrl-C presses its power button, a
 * second one pulls the plug.  The exit status is 0 if it powered itself off.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <vmm.h>

/* The library never prints; it calls this, from any of its threads.  Be quick. */
static void log_line(void *opaque, int level, const char *msg)
{
	(void)opaque;
	(void)level;
	fprintf(stderr, "embed: %s\n", msg);
}

/*
 * Step 1: say what the VM is made of.  A structure begins as its INIT macro, and
 * what is left zero means "choose for me": here one vCPU, the best interrupt
 * controller that the host has, threads of the library's own.
 */
static int configure(struct vmm **vm, int kernel_fd, int initrd_fd, const char *cmdline,
		     struct vmm_error *err)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	int ret;

	cfg.ram_size = 512ull << 20;
	cfg.log = log_line;
	cfg.log_level = VMM_LOG_WARN;
	ret = vmm_create(vm, &cfg, err);
	if (ret)
		return ret;

	boot.kernel_fd = kernel_fd;
	boot.cmdline = cmdline;
	/* 0 is a descriptor like any other, so a flag says that there is one. */
	if (initrd_fd >= 0)
		boot.flags |= VMM_BOOT_F_INITRD;
	boot.initrd_fd = initrd_fd;
	ret = vmm_set_boot(*vm, &boot, err);
	if (ret)
		return ret;

	con.flags = VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT;
	con.in_fd = STDIN_FILENO;
	con.out_fd = STDOUT_FILENO;
	ret = vmm_add_console(*vm, &con, err);
	return ret < 0 ? ret : 0;
}

/*
 * Step 3: wait for events in the loop that the program has anyway, beside what
 * else it waits for: here signals.  The VM's threads take none of those.
 */
static int watch(struct vmm *vm, int signal_fd)
{
	struct pollfd fds[] = {
		{ .fd = vmm_event_fd(vm), .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	struct vmm_event ev = VMM_EVENT_INIT;
	struct signalfd_siginfo si;
	bool asked = false;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && read(signal_fd, &si, sizeof(si)) > 0) {
			/* The guest need not listen to its power button. */
			if (asked || vmm_shutdown(vm) < 0)
				vmm_stop(vm);
			asked = true;
		}
		while (vmm_next_event(vm, &ev) > 0) {
			fprintf(stderr, "embed: %s\n", ev.msg);
			/* The last one.  To reboot is to destroy the VM and make it anew. */
			if (ev.type == VMM_EVENT_STOPPED)
				return ev.reason == VMM_STOP_GUEST_OFF ? 0 : 1;
		}
	}
}

int main(int argc, char **argv)
{
	int kernel_fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int initrd_fd = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	const char *cmdline = argc > 3 ? argv[3] : "console=ttyS0";
	struct vmm_error err = { "" };
	struct vmm *vm = NULL;
	struct termios saved = { 0 };
	struct termios term;
	sigset_t signals;
	int status = 1;

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: embed KERNEL [INITRD [COMMAND-LINE]]\n");
		return 2;
	}
	if (kernel_fd < 0 || (argc > 2 && initrd_fd < 0)) {
		perror(kernel_fd < 0 ? argv[1] : argv[2]);
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* On a terminal the guest does the echo and the editing.  Ctrl-C stays ours. */
	tcgetattr(STDIN_FILENO, &saved);
	term = saved;
	term.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	term.c_iflag &= ~(tcflag_t)ICRNL;
	tcsetattr(STDIN_FILENO, TCSANOW, &term);

	/* Step 2: start it.  A call that failed has undone what it did, and says why. */
	if (configure(&vm, kernel_fd, initrd_fd, cmdline, &err) || vmm_start(vm, &err))
		fprintf(stderr, "embed: %s\n", err.msg);
	else
		status = watch(vm, signalfd(-1, &signals, SFD_CLOEXEC));

	/* Step 4: stop it if it runs, join its threads, free all.  NULL is fine. */
	vmm_destroy(vm);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	return status;
}
