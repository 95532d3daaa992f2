/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consend.c - the host's end of a console or a port of the guest's
 */
#include "vmm/cli/consend.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/cli/closefd.h"
#include "vmm/cli/refuse.h"

void consend_clear(struct consend *end)
{
	end->kind = TTY_NOTHING;
	end->pty = (struct pty){ .fd = -1, .peer = -1 };
	end->file = -1;
	conssock_clear(&end->sock);
}

/* O_NONBLOCK, for a fifo that nobody reads would keep us in open(). */
static int open_file(int *fd, const char *path, struct vmm_error *err)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	return *fd < 0 ? refuse(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int open_pty(struct pty *pty, struct vmm_error *err)
{
	int ret = pty_open(pty);

	return ret ? refuse(err, ret, "no pty: %s", strerror(-ret)) : 0;
}

int consend_open(struct consend *end, const struct tty_option *to, struct vmm_error *err)
{
	consend_clear(end);
	end->kind = to->kind;
	switch (to->kind) {
	case TTY_PTY:
		return open_pty(&end->pty, err);
	case TTY_FILE:
		return open_file(&end->file, to->path, err);
	case TTY_SOCKET:
		return conssock_open(&end->sock, to->path, err);
	case TTY_NOTHING:
	case TTY_STDIO:
		break;
	}
	return 0;
}

void consend_close(struct consend *end)
{
	pty_close(&end->pty);
	close_fd(&end->file);
	conssock_close(&end->sock);
	consend_clear(end);
}

int consend_in(const struct consend *end, int in_fd)
{
	switch (end->kind) {
	case TTY_STDIO:
		return in_fd;
	case TTY_PTY:
		return end->pty.fd;
	case TTY_SOCKET:
		return end->sock.guest_fd;
	case TTY_FILE:
	case TTY_NOTHING:
		break;
	}
	return -1;
}

int consend_out(const struct consend *end, int out_fd)
{
	if (end->kind == TTY_STDIO)
		return out_fd;
	return end->kind == TTY_FILE ? end->file : consend_in(end, -1);
}

bool consend_is_attached(const struct consend *end)
{
	return end->kind != TTY_SOCKET || end->sock.client >= 0;
}
