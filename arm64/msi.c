/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msi.c - messages of PCI functions, to the ITS
 *
 * A message goes by irqfd: KVM has it in its table of routes, and the ring of an eventfd
 * sends it, whoever rings.  A new table costs KVM a wait for all vCPUs, so there is one
 * only for a message that is sent and not for each that a driver writes down, and what is
 * no longer tied leaves with the next.  A table is all that is routed: lines that are
 * tied to an irqfd, as those of virtio-mmio are, have no place beside functions.  Where
 * KVM takes no table, or has no room for one, KVM_SIGNAL_MSI sends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm64/machine.h"
#include "vmm/error.h"

struct msi {
	pthread_mutex_t		lock;
	const struct kvm	*kvm;
	const struct logger	*log;
	bool			refused;
	u32			max;
	struct kvm_irq_routing	*routes;
};

int msi_create(struct msi **out, const struct vmm *vm, u32 max, struct vmm_error *err)
{
	struct msi *msi = calloc(1, sizeof(*msi));

	if (msi)
		msi->routes = calloc(1, sizeof(*msi->routes) + max * sizeof(*msi->routes->entries));
	if (!msi || !msi->routes) {
		free(msi);
		return error_set(err, -ENOMEM, "PCI: no memory");
	}
	pthread_mutex_init(&msi->lock, NULL);
	msi->kvm = &vm->kvm;
	msi->log = &vm->log;
	msi->max = max;
	*out = msi;
	return 0;
}

void msi_destroy(struct msi *msi)
{
	if (!msi)
		return;
	pthread_mutex_destroy(&msi->lock);
	free(msi->routes);
	free(msi);
}

void msi_send(struct msi *msi, u32 requester, u64 addr, u32 data)
{
	/* Where the guest sends it is the guest's affair. */
	kvm_signal_msi(msi->kvm, requester, addr, data);
}

static void drop(struct kvm_irq_routing *routes, u32 nr)
{
	for (u32 i = 0; i < routes->nr; i++) {
		if (routes->entries[i].gsi != nr)
			continue;
		routes->entries[i] = routes->entries[--routes->nr];
		return;
	}
}

static int tie(struct msi *msi, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	struct kvm_irq_routing *routes = msi->routes;
	int ret;

	drop(routes, nr);
	if (routes->nr == msi->max)
		return -ENOSPC;
	routes->entries[routes->nr++] = (struct kvm_irq_routing_entry){
		.gsi = nr,
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi = {
			.address_lo = (u32)addr, .address_hi = (u32)(addr >> 32), .data = data,
			.devid = requester,
		},
	};
	ret = kvm_set_routes(msi->kvm, routes);
	return ret ? ret : kvm_irqfd(msi->kvm, nr, fd);
}

bool msi_tie(struct msi *msi, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	int ret = -ENOTSUP;

	pthread_mutex_lock(&msi->lock);
	if (!msi->refused)
		ret = tie(msi, nr, fd, requester, addr, data);
	if (ret && !msi->refused) {
		/* Not for each message anew; what is tied stays. */
		msi->refused = true;
		drop(msi->routes, nr);
		log_debug(msi->log, "PCI: messages go without irqfd: %s", strerrordesc_np(-ret));
	}
	pthread_mutex_unlock(&msi->lock);
	return !ret;
}

void msi_untie(struct msi *msi, u32 nr, int fd)
{
	pthread_mutex_lock(&msi->lock);
	kvm_irqfd_off(msi->kvm, nr, fd);
	drop(msi->routes, nr);
	pthread_mutex_unlock(&msi->lock);
}
