/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smoke.h - try guest images, some at a time
 *
 * Each is a process of its own, "vmm run": what ends one, the worst that can happen
 * included, does not end the others, and its console and its log are two files.
 */
#ifndef VMM_CLI_SMOKE_H
#define VMM_CLI_SMOKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/cli/smokefile.h"

enum smoke_state {
	SMOKE_WAITS,
	SMOKE_RUNS,
	SMOKE_PASSED,
	SMOKE_FAILED,
	SMOKE_SKIPPED,		/* never started, as the user has stopped it all */
};

struct smoke_result {
	const struct smoke_image *image;
	enum smoke_state state;
	pid_t		pid;		/* while it runs */
	int		status;		/* its exit status; 128 and more: a signal */
	uint64_t	begun;		/* answer_now_ms() */
	double		seconds;
	char		why[256];	/* of a failure, or of a skip */
};

struct smoke {
	struct smoke_result	*results;
	size_t			nr;
	unsigned int		jobs;
	const char		*log_dir;
	/* It runs, or is done.  NULL: nobody wants to know. */
	void			(*tell)(void *arg, const struct smoke_result *result);
	void			*arg;
	bool			stopped;	/* by a signal */
};

/*
 * Run all of them.  0, or a negative errno if that cannot be; then @err says why.
 * SIGINT, SIGTERM and SIGHUP end them; SIGCHLD is blocked from then on.
 */
int smoke_run(struct smoke *smoke, struct vmm_error *err);

size_t smoke_count(const struct smoke *smoke, enum smoke_state state);

#endif /* VMM_CLI_SMOKE_H */
