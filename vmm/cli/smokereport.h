/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smokereport.h - what became of the images, for people and for programs
 */
#ifndef VMM_CLI_SMOKEREPORT_H
#define VMM_CLI_SMOKEREPORT_H

#include <stdio.h>

#include "vmm/cli/smoke.h"

/* A line for people; @begins: also that it starts. */
void smokereport_line(FILE *out, const struct smoke_result *result, bool begins);

/* TAP version 13: the plan, then a line for each that is done, @nr counting them. */
void smokereport_tap_plan(FILE *out, size_t nr);
void smokereport_tap(FILE *out, const struct smoke_result *result, size_t nr);

/* At the end.  Both are plain ASCII, whatever a guest has printed. */
void smokereport_junit(FILE *out, const struct smoke *smoke);
void smokereport_json(FILE *out, const struct smoke *smoke);

#endif /* VMM_CLI_SMOKEREPORT_H */
