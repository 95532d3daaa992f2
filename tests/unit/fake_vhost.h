/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_vhost.h - the kernel's vhost-net and vhost-vsock, which refuse what the real ones do
 *
 * Each descriptor that fake_vhost_control() is called with is one of them, in the order in
 * which they come.  They serve no ring, or all of them by a thread, as the kernel's.
 */
#ifndef TESTS_FAKE_VHOST_H
#define TESTS_FAKE_VHOST_H

#include <linux/vhost_types.h>

#include "devices/virtq.h"
#include "vmm/gmem.h"
#include "vmm/types.h"

#define FAKE_VHOSTS		2
#define FAKE_VHOST_RINGS	2

struct fake_vhost {
	int				fd;		/* 0: it has not come yet */
	u64				features;
	u64				set_features;
	u64				cid;
	u64				taken;		/* by another guest */
	struct vhost_memory_region	region;
	struct vhost_vring_addr		addr[FAKE_VHOST_RINGS];
	u32				num[FAKE_VHOST_RINGS];
	int				kick[FAKE_VHOST_RINGS];
	int				call[FAKE_VHOST_RINGS];
	int				backend[FAKE_VHOST_RINGS];	/* of a network card; -1: none */
	bool				owned;
	bool				running;	/* of vsock */
	u32				nr_runs;
	u32				fail;		/* this call from now on */

	/* What the thread has of them. */
	struct gmem			mem;
	struct virtq			vq[FAKE_VHOST_RINGS];
	bool				begun[FAKE_VHOST_RINGS];
};

extern struct fake_vhost fake_vhost[FAKE_VHOSTS];

/* None has come, and all will have @features. */
void fake_vhost_reset(u64 features);

int fake_vhost_control(int fd, unsigned long request, ...);

/* How often a ring was kicked since we looked. */
u64 fake_vhost_kicks(const struct fake_vhost *v, u32 i);

/* Begin to serve all rings that are at work, and end. */
void fake_vhost_serve(void);
void fake_vhost_rest(void);

#endif
