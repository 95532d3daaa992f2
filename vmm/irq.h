/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irq.h - one interrupt line, as a device sees it
 *
 * A device knows that it has a line and drives it; who listens at the other end
 * is the machine's affair.  Setting a level again that the line already has
 * costs nothing.  The caller holds the lock of the device that owns the line.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include "vmm/types.h"

struct irq_line {
	void	(*set)(void *ctx, u32 nr, bool level);
	void	*ctx;
	u32	nr;		/* the machine's name for it */
	bool	level;
};

static inline void irq_line_set(struct irq_line *line, bool level)
{
	if (line->level == level)
		return;
	line->level = level;
	line->set(line->ctx, line->nr, level);
}

#endif
