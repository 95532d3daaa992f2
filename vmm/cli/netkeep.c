/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netkeep.c - a process beside us that starts passt(1) and watches over it
 */
#include "vmm/cli/netkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/answer.h"

/* Who ends again at once is started ever more seldom. */
#define DELAY_MIN_MS	100
#define DELAY_MAX_MS	10000
#define LONG_LIFE_MS	10000

#define KEEPER_FD	3		/* all that it has, but for what it says */

/* ---- The process ---------------------------------------------------------- */

struct card {
	struct passt	passt;
	int64_t		started_ms;
	int64_t		restart_ms;	/* when to start it again; 0: it runs, or need not */
	int		delay_ms;	/* of the next start */
};

struct keeper {
	const struct netkeep_card *cards;
	unsigned int	nr;
	uint32_t	boot;
	struct card	card[OPTIONS_NETS];
};

/* If nobody listens any more we hear of it soon. */
static void tell(const struct keeper *k, unsigned int i, int error, const char *msg, int fd)
{
	struct netkeep_news news = { .boot = k->boot, .card = i, .error = error };
	struct iovec iov = { &news, sizeof(news) };
	union {
		struct cmsghdr	head;
		char		room[CMSG_SPACE(sizeof(int))];
	} u = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	snprintf(news.msg, sizeof(news.msg), "%s", msg);
	if (fd >= 0) {
		m.msg_control = &u;
		m.msg_controllen = sizeof(u);
		u.head.cmsg_level = SOL_SOCKET;
		u.head.cmsg_type = SCM_RIGHTS;
		u.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&u.head), &fd, sizeof(fd));
	}
	while (sendmsg(KEEPER_FD, &m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void start_later(struct card *c)
{
	int64_t now = (int64_t)answer_now_ms();

	if (now - c->started_ms > LONG_LIFE_MS)
		c->delay_ms = DELAY_MIN_MS;
	c->restart_ms = now + c->delay_ms;
	c->delay_ms = c->delay_ms * 2 < DELAY_MAX_MS ? c->delay_ms * 2 : DELAY_MAX_MS;
}

static void start(struct keeper *k, unsigned int i)
{
	struct card *c = &k->card[i];
	struct vmm_error err = { "" };
	int fd = -1;
	int ret;

	c->started_ms = (int64_t)answer_now_ms();
	c->restart_ms = 0;
	ret = passt_start(&c->passt, k->cards[i].opt, &fd, &err);
	tell(k, i, ret, err.msg, fd);
	if (fd >= 0)
		close(fd);
	if (ret)
		start_later(c);
}

static void begin_boot(struct keeper *k, uint32_t boot)
{
	k->boot = boot;
	for (unsigned int i = 0; i < k->nr; i++) {
		if (!k->cards[i].passt)
			continue;
		passt_stop(&k->card[i].passt);
		k->card[i].delay_ms = DELAY_MIN_MS;
		start(k, i);
	}
}

/* Who waits for a connection has been told; who had one hears of its end now. */
static void look_at(struct keeper *k, unsigned int i, bool ended)
{
	struct card *c = &k->card[i];

	if (ended) {
		char why[64];

		passt_reap(&c->passt, why, sizeof(why));
		start_later(c);
		tell(k, i, -EPIPE, why, -1);
	}
	if (c->restart_ms && (int64_t)answer_now_ms() >= c->restart_ms)
		start(k, i);
}

static int time_left(const struct keeper *k)
{
	int64_t now = (int64_t)answer_now_ms();
	int wait = -1;

	for (unsigned int i = 0; i < k->nr; i++) {
		int64_t at = k->card[i].restart_ms;
		int left = at > now ? (int)(at - now) : 0;

		if (at && (wait < 0 || left < wait))
			wait = left;
	}
	return wait;
}

static void serve(struct keeper *k)
{
	for (;;) {
		struct pollfd fds[1 + OPTIONS_NETS];
		uint32_t boot;

		fds[0] = (struct pollfd){ .fd = KEEPER_FD, .events = POLLIN };
		for (unsigned int i = 0; i < k->nr; i++)
			fds[1 + i] = (struct pollfd){ .fd = k->card[i].passt.pidfd, .events = POLLIN };
		if (poll(fds, 1 + k->nr, time_left(k)) < 0 && errno != EINTR)
			return;
		if (fds[0].revents) {
			if (recv(KEEPER_FD, &boot, sizeof(boot), 0) != sizeof(boot))
				return;
			begin_boot(k, boot);
			continue;
		}
		for (unsigned int i = 0; i < k->nr; i++)
			look_at(k, i, fds[1 + i].revents);
	}
}

__attribute__((noreturn))
static void be_keeper(int fd, const struct netkeep_card *cards, unsigned int nr)
{
	struct keeper k = { .cards = cards, .nr = nr };

	/* The terminal's keys are not for us. */
	setpgid(0, 0);
	prctl(PR_SET_NAME, "vmm-net");
	if ((fd != KEEPER_FD && dup3(fd, KEEPER_FD, O_CLOEXEC) < 0) ||
	    close_range(KEEPER_FD + 1, ~0u, 0))
		_exit(1);
	for (unsigned int i = 0; i < nr; i++)
		k.card[i].passt.pidfd = -1;
	serve(&k);
	for (unsigned int i = 0; i < nr; i++) {
		passt_stop(&k.card[i].passt);
		tapif_down(cards[i].opt, cards[i].name);
	}
	_exit(0);
}

/* ---- From the guest's side ---------------------------------------------------- */

int netkeep_start(struct netkeep *keep, const struct netkeep_card *cards, unsigned int nr)
{
	int pair[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	keep->pid = fork();
	if (!keep->pid)
		be_keeper(pair[1], cards, nr);
	ret = keep->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (ret) {
		keep->pid = 0;
		close(pair[0]);
		return ret;
	}
	keep->fd = pair[0];
	return 0;
}

void netkeep_stop(struct netkeep *keep)
{
	if (!keep->pid)
		return;
	/* Others of ours, who were made later, may have it too. */
	shutdown(keep->fd, SHUT_RDWR);
	close(keep->fd);
	while (waitpid(keep->pid, NULL, 0) < 0 && errno == EINTR)
		;
	keep->fd = -1;
	keep->pid = 0;
}

int netkeep_boot(struct netkeep *keep)
{
	keep->boot++;
	if (send(keep->fd, &keep->boot, sizeof(keep->boot), MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

static int receive(struct netkeep *keep, struct netkeep_news *news, int *fd, bool wait)
{
	struct iovec iov = { news, sizeof(*news) };
	union {
		struct cmsghdr	head;
		char		room[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u),
	};
	ssize_t n;

	*fd = -1;
	if (keep->fd < 0)
		return -EPIPE;
	do
		n = recvmsg(keep->fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != sizeof(*news))
		return -EPIPE;
	if (CMSG_FIRSTHDR(&m) && u.head.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&u.head), sizeof(*fd));
	return 1;
}

int netkeep_next(struct netkeep *keep, struct netkeep_news *news, int *fd, bool wait)
{
	int ret;

	while ((ret = receive(keep, news, fd, wait)) > 0 && news->boot != keep->boot)
		if (*fd >= 0)
			close(*fd);
	return ret;
}
