/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - the signals that the program answers, as a descriptor
 */
#include "vmm/cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/terminal.h"

/*
 * A signal that our parent had us ignore (nohup, a shell without job control)
 * stays ignored; once blocked it would show up in the descriptor all the same.
 */
static void take(sigset_t *set, int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) || sa.sa_handler == SIG_IGN)
		return;
	sigaddset(set, sig);
}

/* The kick has done its work when it has interrupted KVM_RUN. */
static void kicked(int sig)
{
	(void)sig;
}

/* Only a write() and the end follow, for the thread may do little more. */
static void refused(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	terminal_restore();
	report_fatal("the sandbox refuses system call %d; --sandbox off goes without it",
		     info->si_syscall);
	_exit(STATUS_ERROR);
}

int signals_open(bool terminal)
{
	const struct sigaction sys = { .sa_sigaction = refused, .sa_flags = SA_SIGINFO };
	const struct sigaction kick = { .sa_handler = kicked, .sa_flags = SA_RESTART };
	sigset_t blocked;
	sigset_t taken;
	int fd;

	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	take(&taken, SIGINT);
	take(&taken, SIGHUP);
	if (terminal) {
		take(&taken, SIGTSTP);
		sigaddset(&taken, SIGCONT);
		sigaddset(&taken, SIGWINCH);
	}

	blocked = taken;
	/* The guest's console goes on in the background, as far as it can. */
	sigaddset(&blocked, SIGTTIN);
	sigaddset(&blocked, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	/* EPIPE and EFBIG say the same to who can do something about it. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigaction(SIGRTMIN, &kick, NULL);
	sigaction(SIGSYS, &sys, NULL);

	fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int signals_next(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Not SIGSTOP, which would also stop a job that no shell is there to continue. */
void signals_suspend(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
}
