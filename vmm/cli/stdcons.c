/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdcons.c - stdin and stdout as the guest's first console
 *
 * Input goes through a pipe, because a terminal's has the escape key taken out,
 * because a stdin that others share must not be made non-blocking, and because
 * what was typed ahead survives a reboot of the guest in it.
 *
 * A terminal is always read, so that the escape key works on a guest that does
 * not listen; what does not fit into the pipe is dropped.  Any other stdin is
 * read as the guest takes it, to the last byte.
 */
#include "vmm/cli/stdcons.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/cli/closefd.h"
#include "vmm/cli/terminal.h"

/*
 * stdout as an open file of our own, whose O_NONBLOCK nobody shares.  Only where
 * a second open means the same thing: not for a file, which has an offset; a
 * socket, which cannot be opened; or /dev/ptmx, where it makes another pty.
 */
static int open_stdout(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) ||
	     (S_ISCHR(st.st_mode) && st.st_rdev != makedev(5, 2))))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

void stdcons_clear(struct stdcons *cons)
{
	memset(cons, 0, offsetof(struct stdcons, buf));
	cons->state = STDCONS_ENDED;
	cons->pipe_rd = -1;
	cons->pipe_wr = -1;
	cons->out_fd = -1;
	cons->away_fd = -1;
}

/* /dev/null: there will never be any input, and no pipe is needed for it. */
static bool stdin_is_null(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(1, 3);
}

int stdcons_init(struct stdcons *cons)
{
	int fds[2];

	stdcons_clear(cons);
	if (stdin_is_null())
		return 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	cons->pipe_rd = fds[0];
	cons->pipe_wr = fds[1];
	cons->is_terminal = terminal_open(STDIN_FILENO);
	cons->state = STDCONS_OPEN;
	return 0;
}

void stdcons_open_out(struct stdcons *cons)
{
	cons->out_fd = open_stdout();
}

void stdcons_close_out(struct stdcons *cons)
{
	if (cons->out_fd != STDOUT_FILENO)
		close_fd(&cons->out_fd);
	cons->out_fd = -1;
}

void stdcons_fini(struct stdcons *cons)
{
	stdcons_leave(cons);
	close_fd(&cons->pipe_rd);
	close_fd(&cons->pipe_wr);
	close_fd(&cons->away_fd);
}

/*
 * Another job has the terminal, so its input is not ours, and level-triggered
 * polling would spin on every key that job is typed.  An edge wakes us at most
 * once a key, to see whether the terminal has come back: not every shell sends
 * SIGCONT to a job that was running when it is brought to the foreground.
 */
static void go_away(struct stdcons *cons)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	terminal_lost();
	cons->state = STDCONS_AWAY;
	if (cons->away_fd >= 0)
		return;
	cons->away_fd = epoll_create1(EPOLL_CLOEXEC);
	if (cons->away_fd >= 0)
		epoll_ctl(cons->away_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev);
}

void stdcons_enter(struct stdcons *cons)
{
	if (!cons->is_terminal || cons->state == STDCONS_ENDED)
		return;
	if (terminal_raw())
		cons->state = STDCONS_OPEN;
	else
		go_away(cons);
}

void stdcons_leave(struct stdcons *cons)
{
	if (cons->is_terminal)
		terminal_restore();
}

struct pollfd stdcons_poll(const struct stdcons *cons)
{
	struct pollfd p = { .fd = -1 };

	if (cons->len) {
		p.fd = cons->pipe_wr;
		p.events = POLLOUT;
	} else if (cons->state != STDCONS_ENDED) {
		p.fd = cons->state == STDCONS_AWAY ? cons->away_fd : STDIN_FILENO;
		p.events = POLLIN;
	}
	return p;
}

/*
 * The guest sees the end of its input; it runs on.  What it has not taken yet is for
 * the next one, if it reboots.
 */
static void end(struct stdcons *cons)
{
	int left;

	cons->state = STDCONS_ENDED;
	close_fd(&cons->pipe_wr);
	if (!ioctl(cons->pipe_rd, FIONREAD, &left) && !left)
		close_fd(&cons->pipe_rd);
}

static void flush(struct stdcons *cons)
{
	ssize_t done = write(cons->pipe_wr, cons->buf + cons->start, cons->len);

	if (done > 0) {
		cons->start += (size_t)done;
		cons->len -= (size_t)done;
	}
	if (cons->is_terminal)
		cons->len = 0;
}

/* One of the edges that an absent terminal is watched for. */
static void look_back(struct stdcons *cons)
{
	struct epoll_event ev;

	if (epoll_wait(cons->away_fd, &ev, 1, 0) != 1)
		return;
	if (ev.events & (EPOLLHUP | EPOLLERR))
		end(cons);
	else
		stdcons_enter(cons);
}

static unsigned int fill(struct stdcons *cons)
{
	unsigned int asked = 0;
	ssize_t got = read(STDIN_FILENO, cons->buf, sizeof(cons->buf));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < 0 && errno == EIO && cons->is_terminal && !terminal_is_ours()) {
		go_away(cons);
		return 0;
	}
	if (got <= 0) {
		end(cons);
		return 0;
	}
	cons->start = 0;
	cons->len = (size_t)got;
	if (cons->is_terminal)
		cons->len = keys_filter(&cons->keys, cons->buf, cons->len, &asked);
	if (cons->len)
		flush(cons);
	return asked;
}

unsigned int stdcons_pump(struct stdcons *cons)
{
	if (cons->len)
		flush(cons);
	else if (cons->state == STDCONS_AWAY)
		look_back(cons);
	else if (cons->state == STDCONS_OPEN)
		return fill(cons);
	return 0;
}
