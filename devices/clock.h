/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - where a device has the time of day from
 */
#ifndef DEVICES_CLOCK_H
#define DEVICES_CLOCK_H

#include "vmm/types.h"

/* Seconds since 1970, from any thread. */
struct clock {
	u64	(*now)(void *ctx);
	void	*ctx;
};

/* CLOCK_REALTIME */
extern const struct clock clock_host;

#endif
