/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci.c - a PCI Express host bridge with one bus of simple functions
 *
 * Configuration space is memory: a page for each function, of which the first 256 bytes
 * are there (PCI Express Base Specification, 7.2.2, the ECAM).  Where no function is,
 * reads give ones.
 */
#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"

struct pci {
	pthread_mutex_t	lock;		/* of every function's configuration */
	gpa_t		window;
	u64		size;
	struct pci_fn	*fns[PCI_SLOTS];
};

/* ---- Configuration space -------------------------------------------------- */

static u64 bar_of(const struct pci *pci, const struct pci_fn *fn)
{
	u64 at = pci_get32(fn->cfg, PCI_BASE_ADDRESS_0) & PCI_BASE_ADDRESS_MEM_MASK;

	if (!(fn->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return PCI_NO_BAR;
	if (at < pci->window || at - pci->window > pci->size - fn->bar_size)
		return PCI_NO_BAR;
	return at;
}

static void update_bar(const struct pci *pci, struct pci_fn *fn)
{
	u64 from = atomic_load(&fn->bar);
	u64 to = bar_of(pci, fn);

	if (from == to)
		return;
	atomic_store(&fn->bar, to);
	if (fn->ops->moved)
		fn->ops->moved(fn, from, to);
}

static struct pci_fn *fn_at(const struct pci *pci, u64 off)
{
	return off >> 12 & 7 ? NULL : pci->fns[off >> 15 & (PCI_SLOTS - 1)];
}

static u64 ecam_read(void *dev, u64 off, unsigned int len)
{
	struct pci *pci = dev;
	struct pci_fn *fn = fn_at(pci, off);
	u32 at = (u32)(off & 0xfff);
	u64 val = 0;

	if (!fn)
		return UINT64_MAX;
	if (at + len > PCI_CFG_SIZE)
		return 0;		/* there are no extended capabilities */
	pthread_mutex_lock(&pci->lock);
	if (fn->ops->cfg_read)
		fn->ops->cfg_read(fn, at, len);
	memcpy(&val, fn->cfg + at, len);
	pthread_mutex_unlock(&pci->lock);
	return val;
}

static void ecam_write(void *dev, u64 off, unsigned int len, u64 val)
{
	struct pci *pci = dev;
	struct pci_fn *fn = fn_at(pci, off);
	u32 at = (u32)(off & 0xfff);

	if (!fn || at + len > PCI_CFG_SIZE)
		return;
	pthread_mutex_lock(&pci->lock);
	for (u32 i = 0; i < len; i++) {
		u8 mask = fn->writable[at + i];

		fn->cfg[at + i] = (u8)((fn->cfg[at + i] & ~mask) | ((val >> i * 8) & mask));
	}
	update_bar(pci, fn);
	if (fn->ops->cfg_written)
		fn->ops->cfg_written(fn, at, len);
	pthread_mutex_unlock(&pci->lock);
}

const struct bus_ops pci_ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
};

/* ---- The window --------------------------------------------------------------- */

/* Of BARs that lie over one another the first is found. */
static struct pci_fn *bar_at(const struct pci *pci, u64 off, unsigned int len, u64 *in)
{
	gpa_t at = pci->window + off;

	for (u32 i = 0; i < PCI_SLOTS; i++) {
		struct pci_fn *fn = pci->fns[i];
		u64 bar = fn ? atomic_load_explicit(&fn->bar, memory_order_acquire) : PCI_NO_BAR;

		if (bar == PCI_NO_BAR || at < bar || at - bar > fn->bar_size - len)
			continue;
		*in = at - bar;
		return fn;
	}
	return NULL;
}

static u64 window_read(void *dev, u64 off, unsigned int len)
{
	u64 in;
	struct pci_fn *fn = bar_at(dev, off, len, &in);

	return fn ? fn->ops->read(fn->ctx, in, len) : UINT64_MAX;
}

static void window_write(void *dev, u64 off, unsigned int len, u64 val)
{
	u64 in;
	struct pci_fn *fn = bar_at(dev, off, len, &in);

	if (fn)
		fn->ops->write(fn->ctx, in, len, val);
}

const struct bus_ops pci_window_ops = {
	.read = window_read,
	.write = window_write,
};

/* ---- From the machine ------------------------------------------------------------ */

int pci_create(struct pci **out, gpa_t window, u64 size, struct vmm_error *err)
{
	struct pci *pci = calloc(1, sizeof(*pci));

	if (!pci)
		return error_set(err, -ENOMEM, "PCI: no memory");
	pthread_mutex_init(&pci->lock, NULL);
	pci->window = window;
	pci->size = size;
	*out = pci;
	return 0;
}

void pci_destroy(struct pci *pci)
{
	if (!pci)
		return;
	pthread_mutex_destroy(&pci->lock);
	free(pci);
}

#define FIRST_CAP	0x40

u32 pci_add_cap(struct pci_fn *fn, u8 id, u32 len)
{
	u32 at = fn->last_cap ? fn->caps_end : FIRST_CAP;

	assert(at + len <= PCI_CFG_SIZE);
	fn->cfg[fn->last_cap ? fn->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST] = (u8)at;
	fn->cfg[at + PCI_CAP_LIST_ID] = id;
	fn->last_cap = at;
	fn->caps_end = (u32)ALIGN_UP(at + len, 4);
	return at;
}

/* It is where firmware would have put it, but not yet switched on. */
void pci_add(struct pci *pci, u32 slot, struct pci_fn *fn)
{
	u32 mask = ~(fn->bar_size - 1);

	assert(slot < PCI_SLOTS && !pci->fns[slot] && is_power_of_2(fn->bar_size));
	fn->slot = slot;
	pci_set16(fn->cfg, PCI_STATUS, PCI_STATUS_CAP_LIST);
	pci_set16(fn->writable, PCI_COMMAND,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	fn->writable[PCI_INTERRUPT_LINE] = 0xff;
	fn->cfg[PCI_INTERRUPT_PIN] = 1;		/* INTA */
	pci_set32(fn->cfg, PCI_BASE_ADDRESS_0, (u32)(pci->window + (u64)slot * fn->bar_size));
	pci_set32(fn->writable, PCI_BASE_ADDRESS_0, mask);
	atomic_store(&fn->bar, PCI_NO_BAR);
	pci->fns[slot] = fn;
}

/* Documentation/devicetree/bindings/pci/host-generic-pci.yaml, pci-msi.txt */
void pci_tree(const struct pci *pci, struct tree *t, gpa_t ecam, u32 first_spi, u32 nr, bool msi)
{
	u32 map[PCI_SLOTS][10];

	for (u32 i = 0; i < nr; i++) {
		const u32 line[] = {
			i << 11, 0, 0, 1,	/* a function's address, and its INTA */
			PHANDLE_GIC, 0, 0, GIC_SPI, first_spi + i, IRQ_HIGH,
		};

		memcpy(map[i], line, sizeof(line));
	}
	tree_begin(t, "pci@%llx", (unsigned long long)ecam);
	tree_string(t, "compatible", "pci-host-ecam-generic");
	tree_string(t, "device_type", "pci");
	tree_reg(t, ecam, PCI_ECAM_SIZE);
	tree_cells(t, "bus-range", 0, 0);
	tree_u32(t, "#address-cells", 3);
	tree_u32(t, "#size-cells", 2);
	/* Memory of 32 bits that is not prefetchable, and lies where it seems to. */
	tree_cells(t, "ranges", 0x02000000, 0, (u32)pci->window, (u32)(pci->window >> 32),
		   (u32)pci->window, (u32)(pci->size >> 32), (u32)pci->size);
	tree_u32(t, "#interrupt-cells", 1);
	tree_cells(t, "interrupt-map-mask", 0xf800, 0, 0, 7);
	tree_cell_list(t, "interrupt-map", map[0], nr * ARRAY_SIZE(map[0]));
	if (msi)
		tree_cells(t, "msi-map", 0, PHANDLE_MSI, 0, 0x10000);
	tree_empty(t, "dma-coherent");
	tree_end(t);
}
