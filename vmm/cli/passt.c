/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passt.c - passt(1) at work for a guest's network card
 *
 * It ends by itself when our end of the connection is closed, however we end.
 */
#include "vmm/cli/passt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/spawn.h"

#define MAX_ARGS	16

/*
 * It sends as much as the guest's window lets it, and what the socket has no room for
 * again two seconds later: so as much room as the kernel gives.
 */
#define BUFFER		(1 << 30)

static int launch(struct passt *passt, const struct netopt *opt, int fd)
{
	const char *argv[MAX_ARGS] = { "passt", "--foreground", "--quiet", "--fd" };
	char number[16];
	char mtu[16];
	int n = 4;

	snprintf(number, sizeof(number), "%d", SPAWN_FD);
	argv[n++] = number;
	snprintf(mtu, sizeof(mtu), "%u", opt->mtu ? opt->mtu : PASST_MTU);
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	if (opt->guest_ip) {
		argv[n++] = "--address";
		argv[n++] = opt->guest_ip;
	}
	if (opt->host_ip) {
		argv[n++] = "--gateway";
		argv[n++] = opt->host_ip;
	}
	return spawn(&passt->pid, argv, fd);
}

int passt_start(struct passt *passt, const struct netopt *opt, int *fd, struct vmm_error *err)
{
	int pair[2];
	int ret;

	passt->pid = 0;
	passt->pidfd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		ret = -errno;
		snprintf(err->msg, sizeof(err->msg), "--network: sockets: %s", strerror(-ret));
		return ret;
	}
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){ BUFFER }, sizeof(int));
	ret = launch(passt, opt, pair[1]);
	close(pair[1]);
	if (!ret) {
		passt->pidfd = pidfd_open(passt->pid, 0);
		ret = passt->pidfd < 0 ? -errno : 0;
	} else {
		passt->pid = 0;
	}
	if (ret) {
		passt_stop(passt);
		close(pair[0]);
		snprintf(err->msg, sizeof(err->msg), "--network: mode=user: passt cannot be started: %s%s",
			 strerror(-ret), ret == -ENOENT ? "; it is Debian's package of that name" : "");
		return ret == -ENOENT ? -ENOTSUP : ret;
	}
	*fd = pair[0];
	return 0;
}

static int wait_for(struct passt *passt)
{
	int status = 0;

	while (waitpid(passt->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (passt->pidfd >= 0)
		close(passt->pidfd);
	passt->pidfd = -1;
	passt->pid = 0;
	return status;
}

void passt_reap(struct passt *passt, char *why, size_t size)
{
	int status = wait_for(passt);

	if (WIFSIGNALED(status))
		snprintf(why, size, "passt was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(why, size, "passt has ended with status %d", WEXITSTATUS(status));
}

void passt_stop(struct passt *passt)
{
	if (!passt->pid)
		return;
	kill(passt->pid, SIGKILL);
	wait_for(passt);
}
