/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * expect.h - wait for words in what a guest prints
 *
 * The text is taken as a person would read it: carriage returns, control characters
 * and escape sequences of terminals are no part of it, and a cursor that is sent
 * elsewhere begins a new line.  Memory does not grow with what is printed.
 */
#ifndef VMM_CLI_EXPECT_H
#define VMM_CLI_EXPECT_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

#define EXPECT_MAX	16	/* patterns */
#define EXPECT_SIZE	512	/* of a pattern, with "a{9}" as nine of them */
#define EXPECT_LINE	4096	/* of a longer line the older half is forgotten */

enum expect_state {
	EXPECT_TEXT,
	EXPECT_ESC,		/* behind ESC */
	EXPECT_CSI,		/* in "ESC [ ... letter" */
	EXPECT_STRING,		/* in "ESC ] ... BEL" and the like */
	EXPECT_STRING_ESC,	/* ... behind an ESC, which may end it */
	EXPECT_CHARSET,		/* one more byte, as in "ESC ( B" */
};

struct expect {
	regex_t			patterns[EXPECT_MAX];
	const char		*texts[EXPECT_MAX];	/* the caller's */
	uint32_t		nr;
	uint32_t		found;	/* of them, in their order */
	bool			panic;	/* Linux said that it panics */
	enum expect_state	state;
	size_t			from;	/* where the next pattern may begin */
	size_t			len;
	char			line[EXPECT_LINE];
};

/*
 * Patterns are POSIX extended regular expressions, to be found one after the other,
 * each behind what the one before it matched.  -EINVAL, with the reason in @err.
 */
int expect_init(struct expect *expect, const char *const *patterns, uint32_t nr,
		struct vmm_error *err);
void expect_fini(struct expect *expect);

/* Take @len bytes of output.  Afterwards .found and .panic are what they are. */
void expect_feed(struct expect *expect, const char *buf, size_t len);

/* What is waited for, or NULL if all has been found. */
const char *expect_awaited(const struct expect *expect);

#endif /* VMM_CLI_EXPECT_H */
