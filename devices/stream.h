/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - read and write a descriptor that the host lent us
 *
 * Its mode is the host's and stays as it is, other processes may use it at the
 * same time, and the thread may be the host's own.  So neither call may wait,
 * nor may a write leave a SIGPIPE behind.
 */
#ifndef DEVICES_STREAM_H
#define DEVICES_STREAM_H

#include <sys/types.h>

#include "vmm/types.h"

struct stream {
	int	fd;		/* a duplicate, or -1 */
	bool	is_socket;
	bool	is_file;	/* a regular one: always ready */
	bool	is_char;	/* a character device, say a terminal */
	bool	no_nowait;	/* RWF_NOWAIT is not known here */
};

/* Duplicate @fd, which may be -1.  A negative errno on failure. */
int stream_init(struct stream *s, int fd);
void stream_fini(struct stream *s);

/*
 * True if a call may wait although nobody asked it to, unless poll() reported
 * the descriptor ready just before.
 */
bool stream_must_poll(const struct stream *s);

/*
 * The number of bytes, 0 at the end, or a negative errno.  What could wait is
 * cut to what a descriptor that poll() reports writable takes at once.
 */
ssize_t stream_read(struct stream *s, void *buf, size_t len);
ssize_t stream_write(struct stream *s, const void *buf, size_t len);

#endif
