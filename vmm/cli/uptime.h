/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uptime.h - how long something has been running, for people
 */
#ifndef VMM_CLI_UPTIME_H
#define VMM_CLI_UPTIME_H

#include <stdio.h>

#define UPTIME_SIZE	64

/* "0:07", "1:02:03", "2 days 1:02:03".  Returns @buf. */
static inline const char *uptime_format(double seconds, char buf[UPTIME_SIZE])
{
	unsigned long s = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;
	unsigned long days = s / 86400;
	unsigned long hours = s / 3600 % 24;
	char day[32] = "";

	if (days)
		snprintf(day, sizeof(day), "%lu day%s ", days, days > 1 ? "s" : "");
	if (days || hours)
		snprintf(buf, UPTIME_SIZE, "%s%lu:%02lu:%02lu", day, hours, s / 60 % 60, s % 60);
	else
		snprintf(buf, UPTIME_SIZE, "%lu:%02lu", s / 60, s % 60);
	return buf;
}

#endif /* VMM_CLI_UPTIME_H */
