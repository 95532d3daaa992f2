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

#define COUNT_BITS	24		/* of .window: lines; more are counted as so many */
#define COUNT_MASK	((1ull << COUNT_BITS) - 1)

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

/* One line more, in the window that there is or in a new one.  What there was before. */
static u64 count_line(struct ratelimit *rl, bool *begins)
{
	u64 old = atomic_load_explicit(&rl->window, memory_order_relaxed);
	u64 now = now_ms();
	u64 new;

	do {
		*begins = !old || now >= (old >> COUNT_BITS) + LOG_WINDOW_MS;
		new = *begins ? now << COUNT_BITS | 1 : old + ((old & COUNT_MASK) != COUNT_MASK);
	} while (!atomic_compare_exchange_weak(&rl->window, &old, new));
	return old & COUNT_MASK;
}

void log_limited(const struct logger *log, struct ratelimit *rl, int level,
		 const char *fmt, ...)
{
	bool begins;
	va_list ap;
	u64 nr;

	if (!wanted(log, level))
		return;
	nr = count_line(rl, &begins);
	if (!begins && nr >= LOG_BURST)
		return;
	/* Who begins a window also tells what the last one left out. */
	if (begins && nr > LOG_BURST)
		log_msg(log, level, "%llu lines like the next were left out",
			(unsigned long long)nr - LOG_BURST);
	va_start(ap, fmt);
	emit(log, level, fmt, ap);
	va_end(ap);
}
