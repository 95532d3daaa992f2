/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - the lines that the program writes to stderr
 */
#ifndef VMM_CLI_REPORT_H
#define VMM_CLI_REPORT_H

#include <stdarg.h>
#include <stdbool.h>

struct report {
	const char	*name;	/* of the VM, in front of each line; NULL: none */
	int		level;	/* enum vmm_log_level; this one and above */
};

/*
 * Whether lines are JSON objects from now on, vmm-run(1).  To be called while there is
 * one thread.
 */
void report_in_json(bool json);

/* Why the program ends: the object, then the matter. */
__attribute__((format(printf, 1, 2)))
void report_fatal(const char *fmt, ...);

__attribute__((format(printf, 3, 4)))
void report_log(const struct report *report, int level, const char *fmt, ...);

/* The log callback of struct vmm_config; @opaque is a struct report. */
void report_vmm(void *opaque, int level, const char *msg);

#endif /* VMM_CLI_REPORT_H */
