/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - lines for the host's log
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "vmm/log.h"

#define LOG_LINE	512

static void emit(const struct logger *log, int level, const char *fmt, va_list ap)
{
	char line[LOG_LINE];

	vsnprintf(line, sizeof(line), fmt, ap);
	log->fn(log->opaque, level, line);
}

static bool wanted(const struct logger *log, int level)
{
	return log->fn && level <= log->level;
}

void log_msg(const struct logger *log, int level, const char *fmt, ...)
{
	va_list ap;

	if (!wanted(log, level))
		return;
	va_start(ap, fmt);
	emit(log, level, fmt, ap);
	va_end(ap);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

void log_limited(const struct logger *log, struct ratelimit *rl, int level,
		 const char *fmt, ...)
{
	u64 window = atomic_load_explicit(&rl->window, memory_order_relaxed);
	unsigned int nr;
	va_list ap;
	u64 now;

	if (!wanted(log, level))
		return;
	now = now_ns();
	/* Who moves the window on also tells what the last one left out. */
	if ((!window || now - window >= LOG_WINDOW_NS) &&
	    atomic_compare_exchange_strong(&rl->window, &window, now)) {
		nr = atomic_exchange(&rl->nr_lines, 0);
		if (nr > LOG_BURST)
			log_msg(log, level, "%u lines like the next were left out",
				nr - LOG_BURST);
	}
	if (atomic_fetch_add(&rl->nr_lines, 1) >= LOG_BURST)
		return;
	va_start(ap, fmt);
	emit(log, level, fmt, ap);
	va_end(ap);
}
