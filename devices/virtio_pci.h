/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_pci.h - virtio as a PCI function (virtio 1.2, 4.1)
 */
#ifndef DEVICES_VIRTIO_PCI_H
#define DEVICES_VIRTIO_PCI_H

#include "vmm.h"

#include "vmm/irq.h"
#include "vmm/types.h"

struct pci_fn;
struct virtio;
struct virtio_pci;

/* A write of a queue's number, 2 bytes, at its word of the BAR kicks it. */
#define VIRTIO_PCI_KICK		0x2000
#define VIRTIO_PCI_KICK_STEP	4

/* What the machine does for it. */
struct virtio_pci_host {
	void		*ctx;
	struct irq_line	intx;
	/* A message of function @requester; from any thread. */
	void		(*send)(void *ctx, u32 requester, u64 addr, u32 data);
	/*
	 * Have the ring of an eventfd send that message, without being read, until .untie;
	 * after that none is on its way.  Messages that may be so at the same time have
	 * different numbers, from @first_message on, one a queue and one more.  False: it
	 * cannot be.  From any thread.
	 */
	bool		(*tie)(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data);
	void		(*untie)(void *ctx, u32 nr, int fd);
	u32		first_message;
	/*
	 * The BAR was at @from and is at @to, each perhaps PCI_NO_BAR: kicks of
	 * @dev may be taken from there by the queues' .kick_fd.
	 */
	void		(*moved)(void *ctx, struct virtio *dev, u64 from, u64 to);
};

/* The transport of @dev, which must be destroyed first; @host is copied. */
int virtio_pci_create(struct virtio_pci **vpci, struct virtio *dev,
		      const struct virtio_pci_host *host, struct vmm_error *err);
void virtio_pci_destroy(struct virtio_pci *vpci);

/* To be added to a bridge. */
struct pci_fn *virtio_pci_fn(struct virtio_pci *vpci);

#endif
