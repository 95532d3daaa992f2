/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvpanic.c - how a guest tells that it has panicked
 *
 * One byte: read, the events that are understood; written, those that happened.
 * Nothing changes after creation, so there is no lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/pvpanic.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"

struct pvpanic {
	u8	events;
	void	(*event)(void *ctx, u8 events);
	void	*ctx;
};

u8 pvpanic_read(struct pvpanic *pv, u32 off)
{
	return off ? 0 : pv->events;
}

void pvpanic_write(struct pvpanic *pv, u32 off, u8 val)
{
	if (!off && val & pv->events)
		pv->event(pv->ctx, val & pv->events);
}

/* A wider access means the byte that it begins at. */
static u64 bus_read8(void *dev, u64 off, unsigned int len)
{
	(void)len;
	return pvpanic_read(dev, (u32)off);
}

static void bus_write8(void *dev, u64 off, unsigned int len, u64 val)
{
	(void)len;
	pvpanic_write(dev, (u32)off, (u8)val);
}

const struct bus_ops pvpanic_bus_ops = {
	.read = bus_read8,
	.write = bus_write8,
};

int pvpanic_create(struct pvpanic **out, u8 events, void (*event)(void *ctx, u8 events),
		   void *ctx, struct vmm_error *err)
{
	struct pvpanic *pv = calloc(1, sizeof(*pv));

	if (!pv)
		return error_set(err, -ENOMEM, "pvpanic: no memory");
	pv->events = events;
	pv->event = event;
	pv->ctx = ctx;
	*out = pv;
	return 0;
}

void pvpanic_destroy(struct pvpanic *pv)
{
	free(pv);
}

void pvpanic_tree(const struct pvpanic *pv, struct tree *t, gpa_t base)
{
	(void)pv;
	tree_begin(t, "pvpanic@%llx", (unsigned long long)base);
	tree_string(t, "compatible", "qemu,pvpanic-mmio");
	tree_reg(t, base, PVPANIC_SIZE);
	tree_end(t);
}
