/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victims.h - every virtio device, to be maltreated
 *
 * A row each, for test_hostile.c and for the fuzzer.  They do not outlive one another:
 * what is behind a device is the module's.
 */
#ifndef TESTS_VICTIMS_H
#define TESTS_VICTIMS_H

#include "devices/virtio.h"
#include "vmm/types.h"

struct victim_buf {
	u32	len;
	bool	in;
};

struct victim {
	const char		*name;
	/* The kernel or another process has queue .queue: here a thread that knows of no mistakes. */
	bool			elsewhere;
	struct virtio		*(*make)(const struct virtio_env *env);
	/* When it has been destroyed; may be NULL. */
	void			(*unmake)(void);
	/* Buffers of zeroes for queue .queue, which a working device uses at once. */
	u32			queue;
	struct victim_buf	good[3];
	/* A bit for each queue that a driver stocks with buffers for what may come. */
	u32			input;
	/* What a request of the driver's begins with: its length; may be NULL. */
	size_t			(*header)(u8 *buf, u8 how, u64 arg);
	/* Has who serves rings elsewhere been told of all of them?  May be NULL. */
	bool			(*settled)(void);
	/* Something of the host's comes to pass; may be NULL. */
	void			(*host)(const void *data, size_t len);
};

extern const struct victim victims[];
extern const u32 nr_victims;

/* How the host behaves towards all of them from now on; 0 is well. */
void victims_host(u8 how);

#endif
