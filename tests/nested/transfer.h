// SPDX-License-Identifier: BSD-2-Clause
/*
 * transfer.h - bytes sent over a connection and their sum, for both of its ends
 *
 * A request is one struct; then who sends sends .len bytes that look random, and the
 * other one answers with the sum of what came.  Both ends are of one endianness.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRANSFER_PORT	5001

struct transfer {
	uint64_t	len;		/* a multiple of 8 */
	uint64_t	seed;
	uint64_t	upwards;	/* to who serves */
};

static inline uint64_t transfer_mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 29;
}

/* All of it: 0, or -1 with errno. */
static inline int transfer_all(int fd, void *buf, size_t len, int out)
{
	char *p = buf;

	while (len) {
		ssize_t n = out ? send(fd, p, len, MSG_NOSIGNAL) : recv(fd, p, len, 0);

		if (!n)
			errno = ECONNRESET;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Send or receive the bytes of @t; what they add up to is in @sum. */
static inline int transfer_bytes(int fd, const struct transfer *t, int out, uint64_t *sum)
{
	static uint64_t buf[16384];
	uint64_t x = t->seed | 1;

	*sum = t->seed;
	for (uint64_t left = t->len; left;) {
		size_t len = left < sizeof(buf) ? left : sizeof(buf);

		for (size_t i = 0; out && i < len / 8; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf[i] = x;
		}
		if (transfer_all(fd, buf, len, out))
			return -1;
		for (size_t i = 0; i < len / 8; i++)
			*sum = transfer_mix(*sum, buf[i]);
		left -= len;
	}
	return 0;
}

/* Then who has received tells its sum, and both know whether it is the same. */
static inline int transfer_compare(int fd, int out, uint64_t sum, uint64_t *theirs)
{
	*theirs = sum;
	return transfer_all(fd, theirs, sizeof(*theirs), !out) ? -1 : 0;
}

#endif
