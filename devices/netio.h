/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netio.h - what is behind a network device: where its frames go and come from
 *
 * A frame is preceded by virtio-net's header of NETIO_HEADER bytes (virtio 1.2, 5.1.6),
 * whoever it is for.  All calls are made on the thread of its queues, none blocks: who
 * cannot go on polls .fd.
 */
#ifndef DEVICES_NETIO_H
#define DEVICES_NETIO_H

#include <linux/virtio_net.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm.h"

#include "vmm/types.h"

#define NETIO_HEADER	12u
#define NETIO_LONGEST	(NETIO_HEADER + 14 + 65535 + 1)	/* virtio 1.2, 5.1.6.3.1: 65562 */

#ifndef VIRTIO_NET_F_GUEST_USO4		/* Linux 6.2 */
#define VIRTIO_NET_F_GUEST_USO4	54
#define VIRTIO_NET_F_GUEST_USO6	55
#define VIRTIO_NET_F_HOST_USO	56
#endif

struct netio;

struct netio_frame {
	struct iovec	*iov;		/* .iov[-1] is there too, for who sends it */
	u32		nr;		/* 0: there is nothing to send */
	u32		len;		/* with its header */
	u32		prefix;		/* the sender's */
};

struct netio_ops {
	/* What the driver may ask for, bits of virtio-net; then what it has. */
	u64	(*offers)(struct netio *io);
	int	(*start)(struct netio *io, u64 features);

	/*
	 * One of several queues of an interface: frames are to come and go by it, as in the
	 * beginning, or by the others alone.  NULL: there is one.
	 */
	int	(*enable)(struct netio *io, bool on);

	/*
	 * Send frames in their order: how many were taken, for good, or an errno: the
	 * peer is gone.  Fewer than @nr: poll for POLLOUT and call again, also with
	 * none.  A frame that cannot be sent is taken and dropped.
	 */
	int	(*send)(struct netio *io, struct netio_frame *frames, u32 nr);
	/* Some of a frame that was taken has not been sent yet. */
	bool	(*unsent)(const struct netio *io);

	/*
	 * How long the next frame is, with its header: 0 if there is none, an errno if
	 * the peer is gone.  Unless @exact it may be said that it is NETIO_LONGEST.
	 */
	ssize_t	(*next)(struct netio *io, bool exact);
	/* Take it into pieces that have room for what .next said; as .next. */
	ssize_t	(*receive)(struct netio *io, const struct iovec *iov, unsigned int nr);
	/* Forget it; .next has been asked exactly. */
	void	(*drop)(struct netio *io);

	void	(*destroy)(struct netio *io);
};

struct netio {
	const struct netio_ops	*ops;
	int			fd;		/* ours */

	/* Counted by .send, for whoever calls it to take back to 0. */
	u32			nr_dropped;	/* frames of the guest that made no sense */
	u32			nr_refused;	/* ... that did, and were dropped all the same */
};

/*
 * A stream socket to who does the rest in user space, such as passt(1): each frame is
 * preceded by its length, 32 bits, big-endian.  @fd is duplicated.
 */
int netstream_create(struct netio **io, int fd, struct vmm_error *err);

/*
 * A queue of a tap interface, made with IFF_VNET_HDR and IFF_NO_PI, and O_NONBLOCK.
 * @fd is duplicated; @ctl is ioctl(2), or what a test has in its place.
 */
typedef int nettap_control(int fd, unsigned long request, ...);
int nettap_create(struct netio **io, int fd, nettap_control *ctl, struct vmm_error *err);

void netio_destroy(struct netio *io);

#endif
