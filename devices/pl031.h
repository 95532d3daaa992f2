/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pl031.h - Arm PrimeCell real time clock
 */
#ifndef DEVICES_PL031_H
#define DEVICES_PL031_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct clock;
struct irq_line;
struct loop;
struct pl031;
struct tree;

#define PL031_SIZE	0x1000

extern const struct bus_ops pl031_bus_ops;

/*
 * It begins at the time of @clock, which is copied, as is the line.  An alarm
 * goes off at the host's CLOCK_REALTIME by way of @loop; without one it is only
 * noticed when the guest looks.
 */
int pl031_create(struct pl031 **rtc, const struct clock *clock,
		 const struct irq_line *irq, struct loop *loop, struct vmm_error *err);

/* On the loop's thread, or whoever owns the loop, with no other thread inside. */
void pl031_destroy(struct pl031 *rtc);

/* On the loop's thread: no alarm until resumed. */
void pl031_pause(struct pl031 *rtc);
void pl031_resume(struct pl031 *rtc);

/* @off is a multiple of 4 below PL031_SIZE. */
u32 pl031_read(struct pl031 *rtc, u32 off);
void pl031_write(struct pl031 *rtc, u32 off, u32 val);

/* @spi counts from the first shared interrupt. */
void pl031_tree(const struct pl031 *rtc, struct tree *t, gpa_t base, u32 spi);

#endif
