/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic.h - how a guest tells that it has panicked
 */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct pvpanic;
struct tree;

#define PVPANIC_SIZE		2	/* bytes of registers; the second is reserved */

/* What is told (QEMU's docs/specs/pvpanic). */
#define PVPANIC_PANICKED	0x01	/* and the host should see to it */
#define PVPANIC_CRASH_LOADED	0x02	/* and the guest itself will: a crash kernel */
#define PVPANIC_SHUTDOWN	0x04	/* a regular one */

extern const struct bus_ops pvpanic_bus_ops;

/*
 * @event is called on the vCPU's thread, at every write that has one of the bits
 * of @events, with these.  No lock is held, and several may call at once.
 */
int pvpanic_create(struct pvpanic **pv, u8 events, void (*event)(void *ctx, u8 events),
		   void *ctx, struct vmm_error *err);
void pvpanic_destroy(struct pvpanic *pv);

u8 pvpanic_read(struct pvpanic *pv, u32 off);
void pvpanic_write(struct pvpanic *pv, u32 off, u8 val);

void pvpanic_tree(const struct pvpanic *pv, struct tree *t, gpa_t base);

#endif
