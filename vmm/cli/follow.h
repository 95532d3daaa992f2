/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.h - hear what happens to a running guest, until it has ended
 */
#ifndef VMM_CLI_FOLLOW_H
#define VMM_CLI_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

#include "vmm/cli/sockdir.h"

#define FOLLOW_LINE	8192	/* longer than any news */

struct follow {
	const char	*name;		/* the caller's */
	int		fd;		/* -1: nothing more will be told */
	int		pidfd;		/* its process; -1: not known */
	int		status;		/* of its `vmm run`; -1: not told */
	bool		ended;		/* follow_wait() has seen that */
	size_t		len;
	char		buf[FOLLOW_LINE];
};

/* Errors are those of ask().  follow_close() may be called in any case. */
int follow_open(struct follow *follow, const struct sockdir *dir, const char *name,
		struct vmm_error *err);
void follow_close(struct follow *follow);

/* Ask for something; the answer is among what follow_next() returns. */
int follow_ask(struct follow *follow, const char *request, struct vmm_error *err);

/*
 * What has been told, one after the other, to be freed; NULL: nothing, for @ms
 * milliseconds, or without end if that is negative; or nothing any more.
 */
json_t *follow_next(struct follow *follow, int ms);

/*
 * Wait until all @nr have ended, but no longer than until @deadline of
 * follow_clock_ms() unless that is negative.  0, -EAGAIN if some have not, or
 * -ENOMEM.
 */
int follow_wait(struct follow *follows, size_t nr, int64_t deadline);
int64_t follow_clock_ms(void);

#endif /* VMM_CLI_FOLLOW_H */
