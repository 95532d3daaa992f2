/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pl061.h - Arm PrimeCell GPIO with the power key on it
 */
#ifndef DEVICES_PL061_H
#define DEVICES_PL061_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct irq_line;
struct loop;
struct pl061;
struct tree;

#define PL061_SIZE	0x1000
#define PL061_KEY	3		/* the pin; high: pressed */

extern const struct bus_ops pl061_bus_ops;

/* The line is copied. */
int pl061_create(struct pl061 **gpio, struct loop *loop, const struct irq_line *irq,
		 struct vmm_error *err);

/* On the loop's thread, or whoever owns the loop, with no other thread inside. */
void pl061_destroy(struct pl061 *gpio);

/* On the loop's thread: a key that is down stays so until resumed. */
void pl061_pause(struct pl061 *gpio);
void pl061_resume(struct pl061 *gpio);

/*
 * Press the key.  From any thread.  It is let go of by the loop, some time after
 * the guest has seen it, or if it never looks.  A key that is down stays down.
 * Fails if there is no descriptor for the timer that this takes.
 */
int pl061_press(struct pl061 *gpio);

/* @off is a multiple of 4 below PL061_SIZE. */
u32 pl061_read(struct pl061 *gpio, u32 off);
void pl061_write(struct pl061 *gpio, u32 off, u32 val);

/* The controller, and the node of the key.  @spi as in a device tree. */
void pl061_tree(const struct pl061 *gpio, struct tree *t, gpa_t base, u32 spi);

#endif
