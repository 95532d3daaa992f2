/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_console.h - a console without registers for each byte (virtio 1.2, 5.3)
 */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;

struct virtio_console_params {
	int	in_fd;		/* -1: no input; duplicated */
	int	out_fd;		/* -1: output vanishes; duplicated */
	u16	cols;		/* of the terminal; 0: not known yet */
	u16	rows;
};

/* On the first I/O thread.  To be destroyed by virtio_destroy(). */
int virtio_console_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  const struct virtio_console_params *params, struct vmm_error *err);

/* From any thread, no lock held: the terminal has another size. */
void virtio_console_resize(struct virtio *dev, u16 cols, u16 rows);

#define VIRTIO_CONSOLE_TYPED	15	/* characters */

/*
 * From any thread, no lock held: let the driver have @text before any other input.
 * -EAGAIN: it is longer than VIRTIO_CONSOLE_TYPED, there is no driver, or it has not
 * taken the last one.
 */
int virtio_console_type(struct virtio *dev, const char *text);

/*
 * On the first I/O thread: call @done once everything the driver has printed has been
 * written, or cannot be; and do not wait for that any more.
 */
void virtio_console_drain(struct virtio *dev, void (*done)(void *arg), void *arg);
void virtio_console_abandon(struct virtio *dev);

#endif
