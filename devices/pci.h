/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci.h - a PCI Express host bridge with one bus of simple functions
 *
 * A function has one BAR of memory, 32 bits wide, and capabilities.  The guest moves the
 * BAR as it likes; it counts only where it lies wholly inside the bridge's window, so
 * that nothing else of the machine can be covered by it.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <stdatomic.h>

#include "vmm.h"

#include "vmm/types.h"

struct bus_ops;
struct pci;
struct tree;

#define PCI_SLOTS	32		/* function 0 of each */
#define PCI_ECAM_SIZE	MIB(1)		/* of one bus */
#define PCI_CFG_SIZE	256
#define PCI_NO_BAR	UINT64_MAX

/*
 * Set by the function's owner before pci_add(): .cfg, and in .writable which of its bits
 * the guest may change; then the configuration belongs to the bridge's lock.
 */
struct pci_fn {
	const struct pci_fn_ops	*ops;
	void			*ctx;
	u8			cfg[PCI_CFG_SIZE];
	u8			writable[PCI_CFG_SIZE];
	u32			bar_size;	/* a power of two, 16 or more */
	u32			slot;
	u32			last_cap;	/* 0: none yet */
	u32			caps_end;
	_Atomic u64		bar;		/* where it is, or PCI_NO_BAR */
};

struct pci_fn_ops {
	/* Inside the BAR; on any vCPU's thread, with no lock. */
	u64	(*read)(void *ctx, u64 off, unsigned int len);
	void	(*write)(void *ctx, u64 off, unsigned int len, u64 val);
	/* With the bridge locked.  Each may be NULL: .cfg is about to be read ... */
	void	(*cfg_read)(struct pci_fn *fn, u32 off, unsigned int len);
	/* ... or was written. */
	void	(*cfg_written)(struct pci_fn *fn, u32 off, unsigned int len);
	/* The BAR is somewhere else now; either may be PCI_NO_BAR. */
	void	(*moved)(struct pci_fn *fn, u64 from, u64 to);
};

/* For both, @dev is the bridge: the configuration space, and the window of BARs. */
extern const struct bus_ops pci_ecam_ops;
extern const struct bus_ops pci_window_ops;

int pci_create(struct pci **pci, gpa_t window, u64 size, struct vmm_error *err);
void pci_destroy(struct pci *pci);

/* Put a function in place, before the guest runs.  It must outlive the bridge. */
void pci_add(struct pci *pci, u32 slot, struct pci_fn *fn);

/* The identifier by which its messages are told from others'. */
static inline u32 pci_requester(const struct pci_fn *fn)
{
	return fn->slot << 3;
}

/* Make room for a capability of @len bytes, before pci_add(); returns its offset. */
u32 pci_add_cap(struct pci_fn *fn, u8 id, u32 len);

static inline void pci_set16(u8 *cfg, u32 off, u16 val)
{
	cfg[off] = (u8)val;
	cfg[off + 1] = (u8)(val >> 8);
}

static inline void pci_set32(u8 *cfg, u32 off, u32 val)
{
	pci_set16(cfg, off, (u16)val);
	pci_set16(cfg, off + 2, (u16)(val >> 16));
}

static inline u16 pci_get16(const u8 *cfg, u32 off)
{
	return (u16)(cfg[off] | cfg[off + 1] << 8);
}

static inline u32 pci_get32(const u8 *cfg, u32 off)
{
	return pci_get16(cfg, off) | (u32)pci_get16(cfg, off + 2) << 16;
}

/*
 * INTx of slot i is SPI @first_spi + i, for the @nr first slots; @msi: there is an ITS,
 * and messages go to it.
 */
void pci_tree(const struct pci *pci, struct tree *t, gpa_t ecam, u32 first_spi, u32 nr, bool msi);

#endif
