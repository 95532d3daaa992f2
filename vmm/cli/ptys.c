/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptys.c - a pseudo-terminal of the host for a serial port
 *
 * The user's side is kept open here too.  Otherwise our side hangs up whenever
 * no program is attached, which would end the guest's input for good.
 */
#include "vmm/cli/ptys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Nobody has set this terminal's modes yet, and the guest wants it plain. */
static int make_raw(int fd)
{
	struct termios tio;

	if (tcgetattr(fd, &tio))
		return -1;
	cfmakeraw(&tio);
	return tcsetattr(fd, TCSANOW, &tio);
}

int pty_open(struct pty *pty)
{
	int unlock = 0;

	pty->peer = -1;
	pty->fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (pty->fd < 0 || ioctl(pty->fd, TIOCSPTLCK, &unlock) ||
	    ioctl(pty->fd, TIOCGPTN, &pty->number))
		return -errno;
	pty->peer = ioctl(pty->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->peer < 0 || make_raw(pty->peer))
		return -errno;
	return 0;
}

void pty_close(struct pty *pty)
{
	if (pty->peer >= 0)
		close(pty->peer);
	if (pty->fd >= 0)
		close(pty->fd);
	pty->peer = -1;
	pty->fd = -1;
}
