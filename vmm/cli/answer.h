/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.h - what a running guest says on its control socket, vmm-stat(1)
 */
#ifndef VMM_CLI_ANSWER_H
#define VMM_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

/* Who is asked. */
struct answerer {
	const char	*name;
	struct vmm	*vm;
	uint32_t	cpus;
	uint64_t	boots;
	uint64_t	booted_ms;	/* CLOCK_MONOTONIC, of the latest boot */
	bool		asked;		/* to power off */
	char		stall[VMM_MSG_SIZE];	/* what was last said of one */
};

/*
 * The answer to one request, a line of JSON each; to be freed.  NULL: no memory.
 * @arg is a struct answerer.
 */
char *answer_line(void *arg, const char *line, size_t len);

uint64_t answer_now_ms(void);

#endif /* VMM_CLI_ANSWER_H */
