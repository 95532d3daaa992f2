/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mc146818.h - the PC's real time clock, as kvmtool's firmware expects it
 */
#ifndef DEVICES_MC146818_H
#define DEVICES_MC146818_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct clock;
struct mc146818;
struct tree;

#define MC146818_SIZE	2		/* bytes: the index, and the register it names */

extern const struct bus_ops mc146818_bus_ops;

/* It begins at the time of @clock, UTC, which is copied. */
int mc146818_create(struct mc146818 **rtc, const struct clock *clock, struct vmm_error *err);
void mc146818_destroy(struct mc146818 *rtc);

/* From any thread.  Beyond MC146818_SIZE reads are 0 and writes are ignored. */
u8 mc146818_read(struct mc146818 *rtc, u32 off);
void mc146818_write(struct mc146818 *rtc, u32 off, u8 val);

void mc146818_tree(const struct mc146818 *rtc, struct tree *t, gpa_t base);

#endif
