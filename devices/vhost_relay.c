/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_relay.c - rings of our own between a driver and a backend that may go away
 *
 * What is in flight is noted in the driver's queue, struct virtq, as for any device.  The
 * backend may write to all of these rings: what is read from them is read once and checked.
 *
 * The protocol has another way, an inflight region (VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD):
 * the backend itself notes there what it has taken from the driver's rings, and the next one
 * reads it.  It is not asked for, as these notes leave nothing to it:
 *  - a backend has to have it.  qemu-storage-daemon has not, as of QEMU 7.2 and 10.0;
 *  - of what the last one had taken nobody has to tell the next one: its rings are new, and
 *    hold just what is to be done;
 *  - no more is done only once.  Between a write to an image and any note of it there is a
 *    moment in which the backend can be killed, and then it is written again;
 *  - what a backend has noted would have to be believed.  Here one that gives back what it
 *    was not asked for breaks its device.
 * It would save the detour through our thread, where there is a backend that has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/vhost_relay.h"
#include "devices/virtio.h"
#include "devices/virtq_ring.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

/* Where the rings of a queue are, whatever its size. */
#define USED_AT		KIB(4)
#define STRIDE		KIB(16)
#define PAGE		KIB(64)		/* the largest that a host has */

_Static_assert(SPLIT_ELEMENTS + VIRTQ_MAX_SIZE * SPLIT_AVAIL_ELEMENT + 2 <= USED_AT &&
	       USED_AT + SPLIT_ELEMENTS + VIRTQ_MAX_SIZE * SPLIT_USED_ELEMENT + 2 <= STRIDE, "they fit");

struct ring {
	struct vhost_relay	*relay;
	struct virtio_queue	*q;
	struct gview		avail;
	struct gview		used;
	u16			avail_idx;
	u16			used_idx;	/* as far as it was collected */
	int			kick;
	int			call;
	struct watch		called;
};

struct vhost_relay {
	struct virtio	*dev;
	void		(*broke)(struct virtio *dev);
	int		fd;
	u8		*host;
	size_t		size;
	u32		nr_rings;
	struct iovec	iov[VIRTQ_MAX_SIZE];	/* of a chain that is only passed on */
	struct virtq_used done[VIRTQ_MAX_SIZE];	/* ... and of what comes back at once */
	struct ring	rings[];
};

/* ---- Towards the backend -------------------------------------------------------- */

static u64 slot(const struct ring *r, u16 idx, u32 element)
{
	return SPLIT_ELEMENTS + (u64)(idx & (r->q->vq.size - 1)) * element;
}

static void put(struct ring *r, u16 head)
{
	gview_store16(&r->avail, slot(r, r->avail_idx++, SPLIT_AVAIL_ELEMENT), head);
	/* The backend's acquire of idx is the partner. */
	gview_store16_release(&r->avail, SPLIT_IDX, r->avail_idx);
}

static void kick(const struct ring *r)
{
	const u64 one = 1;

	/* A count at its end says the same. */
	if (write(r->kick, &one, sizeof(one)) < 0)
		return;
}

void vhost_relay_offer(struct vhost_relay *r, struct virtio_queue *q)
{
	struct ring *ring = &r->rings[q->index];
	struct virtq_chain chain = { .iov = r->iov, .max = ARRAY_SIZE(r->iov) };
	bool any = false;

	for (; virtio_pop(q, &chain); any = true)
		put(ring, chain.head);
	if (any)
		kick(ring);
}

void vhost_relay_kick_all(struct vhost_relay *r)
{
	for (u32 i = 0; i < r->nr_rings; i++)
		if (r->rings[i].q->ready)
			kick(&r->rings[i]);
}

void vhost_relay_begin(struct vhost_relay *r)
{
	memset(r->host, 0, r->size);
	for (u32 i = 0; i < r->nr_rings; i++) {
		struct ring *ring = &r->rings[i];
		const struct virtq *vq = &ring->q->vq;

		ring->avail_idx = ring->used_idx = 0;
		/* A queue that has not run yet has nothing in flight. */
		for (u32 head = 0; ring->q->running && head < vq->size; head++)
			if (virtq_is_inflight(vq, (u16)head))
				put(ring, (u16)head);
	}
}

/* ---- From the backend -------------------------------------------------------------- */

/* False: it is none that the backend has, or it gives it back a second time. */
static bool take(struct ring *r, struct virtq_used *used, u64 *seen)
{
	u32 element[2];		/* virtio 1.2, 2.7.8: its head, then its length */
	u32 head;

	gview_read(&r->used, slot(r, r->used_idx++, SPLIT_USED_ELEMENT), element, sizeof(element));
	head = element[0];
	if (head >= r->q->vq.size || !virtq_is_inflight(&r->q->vq, (u16)head) ||
	    seen[head / 64] >> head % 64 & 1)
		return false;
	seen[head / 64] |= 1ull << head % 64;
	*used = (struct virtq_used){ .head = (u16)head, .len = element[1] };
	return true;
}

/* What came at once goes on at once: it may be the buffers of one frame. */
static bool collect(struct ring *r)
{
	struct virtio_queue *q = r->q;
	struct virtq_used *done = r->relay->done;
	u16 idx = gview_load16_acquire(&r->used, SPLIT_IDX);
	u64 seen[VIRTQ_MAX_SIZE / 64] = { 0 };
	u32 nr = 0;

	if (idx == r->used_idx)
		return true;
	if (!q->running || (u16)(idx - r->used_idx) > q->vq.nr_inflight)
		return false;
	while (r->used_idx != idx)
		if (!take(r, &done[nr++], seen))
			return false;
	virtio_push_all(q, done, nr);
	return true;
}

bool vhost_relay_collect(struct vhost_relay *r)
{
	bool fine = true;

	for (u32 i = 0; i < r->nr_rings; i++)
		fine &= collect(&r->rings[i]);
	return fine;
}

void vhost_relay_end(struct vhost_relay *r)
{
	for (u32 i = 0; i < r->nr_rings; i++) {
		struct virtio_queue *q = r->rings[i].q;

		for (u32 head = 0; q->running && head < q->vq.size; head++)
			if (virtq_is_inflight(&q->vq, (u16)head))
				virtio_push(q, (u16)head, 0);
	}
}

static void on_call(struct watch *w, u32 revents)
{
	struct ring *r = w->arg;
	u64 count;

	(void)revents;
	/* Armed before looked at. */
	if (read(r->call, &count, sizeof(count)) < 0)
		count = 0;
	loop_watch(r->q->loop, w, r->call, POLLIN);
	if (!collect(r))
		r->relay->broke(r->relay->dev);
}

/* --------------------------------------------------------------------------------------- */

struct vhost_relay_memory vhost_relay_memory(const struct vhost_relay *r)
{
	return (struct vhost_relay_memory){
		.fd = r->fd, .user = (uintptr_t)r->host, .size = r->size,
	};
}

struct vhost_relay_ring vhost_relay_ring(const struct vhost_relay *r, u32 index)
{
	const struct ring *ring = &r->rings[index];

	return (struct vhost_relay_ring){
		.avail = (uintptr_t)ring->avail.host, .used = (uintptr_t)ring->used.host,
		.kick = ring->kick, .call = ring->call,
	};
}

void vhost_relay_destroy(struct vhost_relay *r)
{
	if (!r)
		return;
	for (u32 i = 0; i < r->nr_rings; i++) {
		if (r->rings[i].called.armed)
			loop_unwatch(&r->rings[i].called);
		fd_close(&r->rings[i].kick);
		fd_close(&r->rings[i].call);
	}
	if (r->host)
		munmap(r->host, r->size);
	fd_close(&r->fd);
	free(r);
}

/* A length that stays: a backend could take the memory from under us. */
static int make_memory(struct vhost_relay *r)
{
	void *host;

	r->fd = memfd_create("vhost-user rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size) ||
	    fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	host = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (host == MAP_FAILED)
		return -errno;
	r->host = host;
	return 0;
}

static int make_ring(struct vhost_relay *r, u32 i)
{
	struct ring *ring = &r->rings[i];
	u8 *host = r->host + i * STRIDE;

	ring->avail = (struct gview){ .host = host, .len = USED_AT };
	ring->used = (struct gview){ .host = host + USED_AT, .len = STRIDE - USED_AT };
	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->kick < 0 || ring->call < 0)
		return -errno;
	loop_watch(ring->q->loop, &ring->called, ring->call, POLLIN);
	return 0;
}

int vhost_relay_create(struct vhost_relay **relay, struct virtio *dev, u32 nr_rings,
		       void (*broke)(struct virtio *dev), struct vmm_error *err)
{
	struct vhost_relay *r = calloc(1, sizeof(*r) + nr_rings * sizeof(r->rings[0]));
	int ret;

	if (!r)
		return error_set(err, -ENOMEM, "%s: no memory", dev->name);
	r->dev = dev;
	r->broke = broke;
	r->fd = -1;
	r->size = (nr_rings * STRIDE + PAGE - 1) / PAGE * PAGE;
	r->nr_rings = nr_rings;
	for (u32 i = 0; i < nr_rings; i++)
		r->rings[i] = (struct ring){
			.relay = r, .q = &dev->queues[i], .kick = -1, .call = -1,
			.called = { .fn = on_call, .arg = &r->rings[i] },
		};
	ret = make_memory(r);
	for (u32 i = 0; i < nr_rings && !ret; i++)
		ret = make_ring(r, i);
	if (ret) {
		vhost_relay_destroy(r);
		return error_sys(err, ret, "%s: memory for its rings", dev->name);
	}
	*relay = r;
	return 0;
}
