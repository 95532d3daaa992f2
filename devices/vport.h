/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vport.h - a port of a virtio-console: two queues, and the host's descriptors behind them
 *
 * All of it is on the queues' loop, where they all are.
 */
#ifndef DEVICES_VPORT_H
#define DEVICES_VPORT_H

#include "vmm.h"

#include "devices/virtio.h"
#include "vmm/types.h"

struct chardev;

#define VPORT_QUEUE_SIZE	128

/* A chain that is kept. */
struct vport_kept {
	bool			here;
	struct virtq_chain	chain;
	size_t			done;		/* bytes of it */
	struct iovec		iov[VPORT_QUEUE_SIZE];
};

struct vport {
	struct virtio		*dev;
	u32			input;		/* its queue; that for output is the next */
	struct chardev		*chr;
	struct vport_kept	in;
	struct vport_kept	out;
	bool			paused;		/* .chr is */
	bool			deaf;		/* the driver shall have no input now */
	/* Some input has been given to the driver; may be NULL. */
	void			(*given)(struct vport *p);
};

struct vport_config {
	const char	*name;		/* for the log */
	int		in_fd;		/* -1: no input; duplicated */
	int		out_fd;		/* -1: output vanishes; duplicated */
	u32		input;
};

/*
 * @p is zeroes but for .deaf and .given, and @dev has its queues.  vport_fini() may follow in
 * any case.
 */
int vport_init(struct vport *p, struct virtio *dev, const struct vport_config *cfg,
	       struct vmm_error *err);
void vport_fini(struct vport *p);

/* What struct virtio_ops has, of one of the port's queues. */
bool vport_kick(struct vport *p, struct virtio_queue *q);
void vport_stop_queue(struct vport *p, struct virtio_queue *q);
void vport_rest(struct vport *p);

/*
 * Input of another origin: how much the driver has room for, and as much of it at most.  If it
 * has none its next buffer comes with a kick.
 */
size_t vport_room(struct vport *p);
void vport_give(struct vport *p, const void *buf, size_t len);

/* Is there input that has not been given to the driver?  It need not be deaf for that. */
bool vport_has_input(const struct vport *p);

/* .deaf has been set, or is not set any more. */
void vport_hear(struct vport *p);

/* The driver has printed its last: see chardev_drain() and chardev_abandon(). */
void vport_drain(struct vport *p, void (*done)(void *arg), void *arg);
void vport_abandon(struct vport *p);

#endif
