/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chardev.h - what a console's bytes go to and come from: the host's side
 *
 * Output goes through a ring that a vCPU fills and the loop's thread empties.  A
 * byte costs no system call: those of a millisecond leave together, sooner if
 * there are many.  Input is read only as the device has room for it.
 *
 * Callbacks run on the loop's thread with no lock of ours held.
 */
#ifndef DEVICES_CHARDEV_H
#define DEVICES_CHARDEV_H

#include "vmm.h"

#include "vmm/types.h"

struct chardev;
struct logger;
struct loop;

#define CHARDEV_RING	16384		/* bytes of output; a power of 2 */
#define CHARDEV_LOW	64		/* less room than this is promised a tx_room */

struct chardev_ops {
	/* How many bytes the device would take now. */
	size_t	(*rx_room)(void *arg);
	/* Take them all: @len is no more than rx_room() said. */
	void	(*rx)(void *arg, const u8 *buf, size_t len);
	/* chardev_room() had found little, and now there is plenty. */
	void	(*tx_room)(void *arg);
};

struct chardev_config {
	const char			*name;	/* for the log */
	const struct logger		*log;	/* must outlive the chardev */
	int				in_fd;	/* -1: no input; duplicated */
	int				out_fd;	/* -1: output vanishes; duplicated */
	const struct chardev_ops	*ops;
	void				*arg;
};

/* No callback runs before the first chardev_put() or chardev_kick_rx(). */
int chardev_create(struct chardev **chr, struct loop *loop,
		   const struct chardev_config *cfg, struct vmm_error *err);

/* On the loop's thread, or whoever owns the loop, with no other thread inside. */
void chardev_destroy(struct chardev *chr);

/*
 * From any thread, one at a time: the device's lock sees to that.  Never waits;
 * returns how many bytes were taken.
 */
size_t chardev_put(struct chardev *chr, const u8 *buf, size_t len);

/*
 * Room for output, under the same lock.  Once it has been seen below CHARDEV_LOW,
 * tx_room() is called when half of the ring is free again.
 */
size_t chardev_room(struct chardev *chr);

/* On the loop's thread: is there input to be read, that the device has had no room for? */
bool chardev_has_input(const struct chardev *chr);

/* From any thread: rx_room() may have grown. */
void chardev_kick_rx(struct chardev *chr);

/*
 * On the loop's thread: touch neither descriptors nor the device until resumed; what
 * has not been written waits.
 */
void chardev_pause(struct chardev *chr);
void chardev_resume(struct chardev *chr);

/*
 * On the loop's thread: call @done once everything put so far has been written,
 * or cannot be.  That may be before this returns.  One at a time.  Ends a pause.
 */
void chardev_drain(struct chardev *chr, void (*done)(void *arg), void *arg);

/* On the loop's thread: drop what is left and all that comes.  Ends a drain. */
void chardev_abandon(struct chardev *chr);

#endif
