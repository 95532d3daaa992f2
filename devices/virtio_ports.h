/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_ports.h - channels with names between guest and host (virtio 1.2, 5.3)
 */
#ifndef DEVICES_VIRTIO_PORTS_H
#define DEVICES_VIRTIO_PORTS_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

struct virtio_port {
	const char	*name;		/* copied; of at most VMM_PORT_NAME_MAX bytes */
	int		in_fd;		/* -1: no input; duplicated */
	int		out_fd;		/* -1: output vanishes; duplicated */
	bool		open;		/* somebody is at the host's end */
};

/* Of @nr ports, at least one.  On the first I/O thread.  To be destroyed by virtio_destroy(). */
int virtio_ports_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			const struct virtio_port *ports, u32 nr, struct vmm_error *err);

/*
 * From any thread, no lock held: somebody has come to the host's end of port @nr, or has
 * gone.  That one has gone the driver hears behind the last of the input, if it reads that.
 */
void virtio_ports_open(struct virtio *dev, u32 nr, bool open);

/* As of virtio_console.h, for all ports together. */
void virtio_ports_drain(struct virtio *dev, void (*done)(void *arg), void *arg);
void virtio_ports_abandon(struct virtio *dev);

#endif
