/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * helper.c - a process that starts virtiofsds and diods, and connects, for one that may not
 */
#include "vmm/cli/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/closefd.h"
#include "vmm/cli/fsd.h"
#include "vmm/cli/vhosts.h"

enum what { START, STOP, HOW, CONNECT };

struct request {
	unsigned int	what;
	unsigned int	index;
};

struct answer {
	int			ret;	/* of HOW: has it ended? */
	bool			again;
	struct vmm_error	err;	/* ... how */
};

#define MAX_FDS	2	/* the socket, then, of a START, the process */

/* ---- In the helper ------------------------------------------------------------ */

static void reply(int fd, const struct answer *a, const int *fds, unsigned int nr)
{
	struct iovec iov = { .iov_base = (void *)a, .iov_len = sizeof(*a) };
	union {
		struct cmsghdr	head;
		char		buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = { .buf = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(nr * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.head), fds, nr * sizeof(int));
	}
	/* Who does not listen has gone, and the next request will not come. */
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		return;
}

static void join(int fd, const struct vhosts *v, unsigned int i)
{
	struct answer a = { .err = { "" } };
	int s = vhostopt_connect(v->list[i].path, false, v->list[i].option, &a.err);

	a.ret = s < 0 ? s : 0;
	reply(fd, &a, &s, s >= 0);
	close_fd(&s);
}

static void serve(int fd, struct fsd *fsd, unsigned int what)
{
	struct answer a = { .err = { "" } };
	int fds[MAX_FDS];

	switch (what) {
	case START:
		fds[0] = fsd_start(fsd, &a.err);
		fds[1] = fsd->pid_fd;
		a.ret = fds[0] < 0 ? fds[0] : 0;
		reply(fd, &a, fds, a.ret ? 0 : MAX_FDS);
		close_fd(&fds[0]);
		return;
	case STOP:
		fsd_stop(fsd);
		break;
	case HOW:
		a.ret = fsd_ended(fsd, a.err.msg, sizeof(a.err.msg));
		a.again = fsd_may_restart(fsd);
		break;
	}
	reply(fd, &a, NULL, 0);
}

/* Milliseconds until one of them is to be hurried, or -1. */
static int patience(const struct fsd *fsds, unsigned int nr)
{
	int least = -1;

	for (unsigned int i = 0; i < nr; i++) {
		int ms = fsd_patience(&fsds[i]);

		if (ms >= 0 && (least < 0 || ms < least))
			least = ms;
	}
	return least;
}

static void attend(struct fsd *fsd, bool said, bool gone)
{
	if (said)
		fsd_hear(fsd);
	if (gone)
		fsd_gone(fsd);
	fsd_hurry(fsd);
}

/*
 * Wait for a request; meanwhile pass on what is said, and end who does not by himself.  False:
 * nobody asks any more.
 */
static bool next_request(int fd, struct fsd *fsds, unsigned int nr, struct request *r)
{
	struct pollfd p[1 + 2 * OPTIONS_FS] = { { .fd = fd, .events = POLLIN } };

	do {
		for (unsigned int i = 0; i < nr; i++) {
			p[1 + 2 * i] = (struct pollfd){ .fd = fsds[i].said.fd, .events = POLLIN };
			p[2 + 2 * i] = (struct pollfd){ .fd = fsds[i].gone_fd, .events = POLLIN };
		}
		if (poll(p, 1 + 2 * nr, patience(fsds, nr)) < 0)
			continue;
		for (unsigned int i = 0; i < nr; i++)
			attend(&fsds[i], p[1 + 2 * i].revents, p[2 + 2 * i].revents);
	} while (!p[0].revents);
	return recv(fd, r, sizeof(*r), 0) == sizeof(*r);
}

static void __attribute__((noreturn)) help(int fd, struct fsd *fsds, unsigned int nr,
					   struct vhosts *vhosts)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct request r;

	/* A connection ends when our maker ends it. */
	vhosts_close(vhosts);
	/* Who waits for the end of our maker's output shall not wait for us. */
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	prctl(PR_SET_NAME, "vmm-helper");
	/* Away from the terminal's Ctrl-C, which is the guest's. */
	setpgid(0, 0);
	while (next_request(fd, fsds, nr, &r))
		if (r.what == CONNECT && r.index < vhosts->nr)
			join(fd, vhosts, r.index);
		else if (r.what != CONNECT && r.index < nr)
			serve(fd, &fsds[r.index], r.what);
	for (unsigned int i = 0; i < nr; i++)
		fsd_stop(&fsds[i]);
	_exit(0);
}

/* ---- In its maker ------------------------------------------------------------------ */

void helper_clear(struct helper *h)
{
	*h = (struct helper){ .fd = -1 };
}

int helper_open(struct helper *h, struct fsd *fsds, unsigned int nr, struct vhosts *vhosts)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -1;
	h->pid = fork();
	if (!h->pid) {
		close(fds[0]);
		help(fds[1], fsds, nr, vhosts);
	}
	close(fds[1]);
	h->fd = fds[0];
	if (h->pid > 0)
		return 0;
	h->pid = 0;
	close_fd(&h->fd);
	return -1;
}

void helper_close(struct helper *h)
{
	close_fd(&h->fd);
	if (h->pid > 0)
		waitpid(h->pid, NULL, 0);
	h->pid = 0;
}

static int receive(int fd, struct answer *a, int *fds)
{
	struct iovec iov = { .iov_base = a, .iov_len = sizeof(*a) };
	union {
		struct cmsghdr	head;
		char		buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*a))
		return -ECONNRESET;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_len <= CMSG_LEN(MAX_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return 0;
}

/* @fds are -1 unless they came. */
static int ask(struct helper *h, unsigned int what, unsigned int i, struct answer *a, int *fds)
{
	const struct request r = { .what = what, .index = i };
	int ret;

	fds[0] = fds[1] = -1;
	ret = send(h->fd, &r, sizeof(r), MSG_NOSIGNAL) < 0 ? -errno : receive(h->fd, a, fds);
	if (ret) {
		/* Nor is it asked again: what it has answered would be for another question. */
		close_fd(&h->fd);
		snprintf(a->err.msg, sizeof(a->err.msg), "the process that helps this one has gone");
	}
	return ret ? ret : a->ret;
}

/* The first of the @nr descriptors that come, or none of them. */
static int ask_for_fds(struct helper *h, unsigned int what, unsigned int i, int *fds,
		       unsigned int nr, struct vmm_error *err)
{
	struct answer a;
	int ret = ask(h, what, i, &a, fds);

	if (!ret && fds[nr - 1] >= 0)
		return fds[0];
	if (!ret) {
		/* The kernel drops those that there is no room for. */
		close_fd(&fds[0]);
		ret = -EMFILE;
		snprintf(a.err.msg, sizeof(a.err.msg), "there is no descriptor left");
	}
	*err = a.err;
	return ret;
}

int helper_start(struct helper *h, unsigned int i, int *pid_fd, struct vmm_error *err)
{
	int fds[MAX_FDS];
	struct answer a;
	int ret = ask_for_fds(h, START, i, fds, 2, err);

	*pid_fd = fds[1];
	if (ret == -EMFILE)
		ask(h, STOP, i, &a, fds);
	return ret;
}

void helper_stop(struct helper *h, unsigned int i, int *pid_fd)
{
	struct answer a;
	int fds[MAX_FDS];

	if (*pid_fd >= 0)
		ask(h, STOP, i, &a, fds);
	close_fd(pid_fd);
}

bool helper_ended(struct helper *h, unsigned int i, int *pid_fd, char *how, size_t size, bool *again)
{
	struct pollfd p = { .fd = *pid_fd, .events = POLLIN };
	struct answer a = { .again = false };
	int fds[MAX_FDS];

	if (*pid_fd < 0 || poll(&p, 1, 0) <= 0 || !ask(h, HOW, i, &a, fds))
		return false;
	close_fd(pid_fd);
	*again = a.again;
	snprintf(how, size, "%s", a.err.msg);
	return true;
}

int helper_connect(struct helper *h, unsigned int i, struct vmm_error *err)
{
	int fds[MAX_FDS];

	return ask_for_fds(h, CONNECT, i, fds, 1, err);
}
