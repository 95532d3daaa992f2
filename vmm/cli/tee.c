/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tee.c - the guest's output on its way to stdout
 *
 * A pipe, read only when the last of it has been written: a slow reader of stdout
 * slows the guest down, as it does without us.
 */
#include "vmm/cli/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void tee_clear(struct tee *tee)
{
	tee->rd = -1;
	tee->wr = -1;
	tee->out_fd = -1;
	tee->start = 0;
	tee->len = 0;
}

int tee_open(struct tee *tee, int out_fd)
{
	int fds[2];

	tee_clear(tee);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	tee->rd = fds[0];
	tee->wr = fds[1];
	tee->out_fd = out_fd;
	return 0;
}

void tee_close(struct tee *tee)
{
	if (tee->rd >= 0)
		close(tee->rd);
	if (tee->wr >= 0)
		close(tee->wr);
	tee_clear(tee);
}

struct pollfd tee_poll(const struct tee *tee)
{
	if (tee->len)
		return (struct pollfd){ .fd = tee->out_fd, .events = POLLOUT };
	return (struct pollfd){ .fd = tee->rd, .events = POLLIN };
}

/* Output that nobody takes any more is dropped: who reads along goes on. */
static void flush(struct tee *tee)
{
	ssize_t done = write(tee->out_fd, tee->buf + tee->start, tee->len);

	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (done < 0)
		done = (ssize_t)tee->len;
	tee->start += (size_t)done;
	tee->len -= (size_t)done;
}

size_t tee_pump(struct tee *tee)
{
	ssize_t got;

	if (tee->len) {
		flush(tee);
		return 0;
	}
	got = read(tee->rd, tee->buf, sizeof(tee->buf));
	if (got <= 0)
		return 0;
	tee->start = 0;
	tee->len = (size_t)got;
	flush(tee);
	return (size_t)got;
}
