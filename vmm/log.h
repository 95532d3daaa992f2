/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - lines for the host's log
 *
 * Levels mean: ERROR, what the host asked for did not happen; WARN, the guest
 * erred; INFO, once in a VM's life; DEBUG, the rest.  What a guest can trigger
 * goes through a ratelimit, one for each place that logs.
 */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include <stdatomic.h>

#include "vmm.h"

#include "vmm/types.h"

struct logger {
	void	(*fn)(void *opaque, int level, const char *msg);
	void	*opaque;
	int	level;
};

/* At most LOG_BURST lines in any LOG_WINDOW_MS; the rest is counted. */
#define LOG_BURST	10
#define LOG_WINDOW_MS	5000ull
struct ratelimit {
	/* In one, so that no line is of two windows: its start in ms, and lines asked for in it. */
	_Atomic u64	window;
};

void log_msg(const struct logger *log, int level, const char *fmt, ...) PRINTF(3, 4);

/* A line that a guest can trigger.  Says once how many lines were left out. */
void log_limited(const struct logger *log, struct ratelimit *rl, int level,
		 const char *fmt, ...) PRINTF(4, 5);

#define log_error(log, ...)	log_msg(log, VMM_LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)	log_msg(log, VMM_LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)	log_msg(log, VMM_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)	log_msg(log, VMM_LOG_DEBUG, __VA_ARGS__)

#endif
