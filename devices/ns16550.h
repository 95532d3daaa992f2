/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ns16550.h - a 16550A UART with registers one byte apart
 */
#ifndef DEVICES_NS16550_H
#define DEVICES_NS16550_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct chardev;
struct chardev_ops;
struct irq_line;
struct ns16550;
struct tree;

#define NS16550_SIZE	8		/* bytes of registers */

extern const struct bus_ops ns16550_bus_ops;

/* For the chardev of this UART, whose arg is the UART. */
extern const struct chardev_ops ns16550_chardev_ops;

/* The line is copied. */
int ns16550_create(struct ns16550 **uart, const struct irq_line *irq,
		   struct vmm_error *err);

/* Its chardev is destroyed first. */
void ns16550_destroy(struct ns16550 *uart);

/*
 * Give it the other end of the wire, before the guest runs.  Without one, what
 * is sent is gone and nothing ever comes.
 */
void ns16550_connect(struct ns16550 *uart, struct chardev *chr);

/*
 * From any thread: the guest receives a break, then @text of at most 15 characters.
 * -EAGAIN: there is no room, or it has not seen the last break yet.
 */
int ns16550_break(struct ns16550 *uart, const char *text);

/* Registers above NS16550_SIZE read 0 and ignore writes. */
u8 ns16550_read(struct ns16550 *uart, u32 off);
void ns16550_write(struct ns16550 *uart, u32 off, u8 val);

/* @spi counts from the first shared interrupt. */
void ns16550_tree(const struct ns16550 *uart, struct tree *t, gpa_t base, u32 spi);

/* Bytes the guest sent although LSR said that there was no room. */
u64 ns16550_nr_dropped(struct ns16550 *uart);

#endif
