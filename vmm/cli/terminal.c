/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terminal.c - the user's terminal, raw while the guest has it
 *
 * A signal handler has no argument to find its state by, so this is the one
 * file of the program with static data.  SIGTTOU and SIGTTIN are blocked by
 * signals_open(): tcsetattr() from the background would go through, hence each
 * call asks first whose the terminal is.
 */
#include "vmm/cli/terminal.h"

#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
	int			fd;
	volatile sig_atomic_t	raw;
	bool			guarded;	/* the handlers are in place */
	struct termios		found;
} terminal = { .fd = -1 };

bool terminal_open(int fd)
{
	if (tcgetattr(fd, &terminal.found))
		return false;
	terminal.fd = fd;
	return true;
}

/* A terminal that does not control our session has no job that could own it. */
bool terminal_is_ours(void)
{
	pid_t owner = tcgetpgrp(terminal.fd);

	return owner < 0 || owner == getpgrp();
}

bool terminal_size(unsigned int *cols, unsigned int *rows)
{
	struct winsize size;

	if (terminal.fd < 0 || ioctl(terminal.fd, TIOCGWINSZ, &size) || !size.ws_col)
		return false;
	*cols = size.ws_col;
	*rows = size.ws_row;
	return true;
}

void terminal_restore(void)
{
	if (!terminal.raw)
		return;
	tcsetattr(terminal.fd, TCSANOW, &terminal.found);
	terminal.raw = 0;
}

void terminal_lost(void)
{
	terminal.raw = 0;
}

/* SA_RESETHAND has put the default action back: the signal kills as it would. */
static void restore_and_die(int sig)
{
	terminal_restore();
	raise(sig);
}

/* What ends a process by default and is neither awaited nor ignored by us. */
static void guard(void)
{
	static const int fatal[] = {
		SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGUSR1,
		SIGSEGV, SIGUSR2, SIGALRM, SIGSTKFLT, SIGXCPU, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR,		/* SIGSYS: signals.c */
	};
	struct sigaction sa = {
		.sa_handler = restore_and_die,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		struct sigaction old;

		if (sigaction(fatal[i], &sa, &old) == 0 && old.sa_handler == SIG_IGN)
			sigaction(fatal[i], &old, NULL);
	}
	terminal.guarded = true;
}

/*
 * Input byte for byte.  Output keeps the newline translation: bare-metal guests
 * write "\n" alone, and so do our own lines on stderr.
 */
bool terminal_raw(void)
{
	struct termios raw;

	if (!terminal_is_ours())
		return false;
	if (!terminal.guarded) {
		/* In the background it may have been as a shell's editor had it. */
		tcgetattr(terminal.fd, &terminal.found);
		guard();
	}
	raw = terminal.found;
	raw.c_iflag &= ~(BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_oflag |= OPOST | ONLCR;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* First the flag: a signal in between restores what needs no restoring. */
	terminal.raw = 1;
	tcsetattr(terminal.fd, TCSANOW, &raw);
	return true;
}
