/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netstream.c - frames over a stream socket, each behind its length
 *
 * What is sent goes from the guest's memory to the socket, many frames a call.  If the
 * socket takes a part of a frame, its rest is copied and goes first next time, so that
 * nothing of the guest is needed while it waits.  What is received comes in large
 * pieces to a buffer of ours, and from there, whole frames, to the guest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/netio.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

#define PREFIX		4u
#define LONGEST		(NETIO_LONGEST - NETIO_HEADER)	/* without the header */
#define BUFFER		KIB(256)

struct netstream {
	struct netio	io;		/* first */
	bool		trusts;		/* the driver takes our word for a checksum */

	/* Of a frame that was begun: .rest[.rest_done] to .rest[.rest_len]. */
	u32		rest_len;
	u32		rest_done;
	u8		rest[PREFIX + LONGEST];

	/* Received and not yet taken: .buf[.begin] to .buf[.end]. */
	bool		drained;	/* the socket had no more, at the last look */
	size_t		begin;
	size_t		end;
	u8		buf[BUFFER];
};

static struct netstream *of(struct netio *io)
{
	return (struct netstream *)io;
}

static u64 offers(struct netio *io)
{
	(void)io;
	return 1ull << VIRTIO_NET_F_GUEST_CSUM;
}

static int start(struct netio *io, u64 features)
{
	of(io)->trusts = features & 1ull << VIRTIO_NET_F_GUEST_CSUM;
	return 0;
}

/* ---- Sending ------------------------------------------------------------- */

static bool unsent(const struct netio *io)
{
	const struct netstream *s = (const struct netstream *)io;

	return s->rest_done < s->rest_len;
}

/* How much was taken; 0 if there is no room now. */
static ssize_t push_out(int fd, const struct iovec *iov, size_t nr)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = nr };
	ssize_t n;

	do
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

static int send_rest(struct netstream *s)
{
	while (unsent(&s->io)) {
		const struct iovec iov = { s->rest + s->rest_done, s->rest_len - s->rest_done };
		ssize_t n = push_out(s->io.fd, &iov, 1);

		if (n <= 0)
			return (int)n;
		s->rest_done += (u32)n;
	}
	return 1;
}

/* No offload was offered, so the header has nothing to say. */
static bool is_plain(const struct netio_frame *f)
{
	struct virtio_net_hdr hdr;

	iov_read(f->iov, f->nr, 0, &hdr, sizeof(hdr));
	return !(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	       hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE;
}

/* The length takes the place of the header. */
static void put_prefix(struct netio_frame *f)
{
	size_t skip = NETIO_HEADER;

	f->prefix = htonl(f->len - NETIO_HEADER);
	f->iov[-1] = (struct iovec){ &f->prefix, PREFIX };
	for (u32 i = 0; skip; i++) {
		struct iovec *v = &f->iov[i];
		size_t part = v->iov_len < skip ? v->iov_len : skip;

		v->iov_base = (u8 *)v->iov_base + part;
		v->iov_len -= part;
		skip -= part;
	}
}

/* Of frames of which @sent bytes went out: how many are taken. */
static u32 take(struct netstream *s, const struct netio_frame *frames, u32 nr, size_t sent)
{
	for (u32 i = 0; i < nr; i++) {
		const struct netio_frame *f = &frames[i];
		size_t len = PREFIX + f->len - NETIO_HEADER;

		if (sent >= len) {
			sent -= len;
			continue;
		}
		if (!sent)
			return i;
		s->rest_done = 0;
		s->rest_len = (u32)iov_read(f->iov - 1, f->nr + 1, sent, s->rest, len - sent);
		return i + 1;
	}
	return nr;
}

/* A run of frames that are fine, one behind the other in memory. */
static int send_run(struct netstream *s, struct netio_frame *frames, u32 nr)
{
	struct netio_frame *last = &frames[nr - 1];
	const struct iovec *iov = frames[0].iov - 1;
	ssize_t n;

	for (u32 i = 0; i < nr; i++)
		put_prefix(&frames[i]);
	n = push_out(s->io.fd, iov, (size_t)(last->iov + last->nr - iov));
	return n < 0 ? (int)n : (int)take(s, frames, nr, (size_t)n);
}

static bool is_good(const struct netio_frame *f)
{
	return f->nr && f->len >= NETIO_HEADER + ETH_HLEN && f->len <= NETIO_LONGEST && is_plain(f);
}

static int send_frames(struct netio *io, struct netio_frame *frames, u32 nr)
{
	struct netstream *s = of(io);
	int ret = send_rest(s);
	u32 done = 0;

	if (ret <= 0)
		return ret;
	while (done < nr) {
		u32 run = 0;

		while (done + run < nr && is_good(&frames[done + run]))
			run++;
		if (run) {
			ret = send_run(s, frames + done, run);
			if (ret < 0)
				return ret;
			done += (u32)ret;
			if ((u32)ret < run || unsent(io))
				break;
		}
		if (done < nr) {		/* what ended the run */
			io->nr_dropped++;
			done++;
		}
	}
	return (int)done;
}

/* ---- Receiving -------------------------------------------------------------- */

/* 1: there is more than before; 0: nothing now. */
static int fill(struct netstream *s)
{
	ssize_t n;

	if (s->drained) {
		s->drained = false;
		return 0;
	}
	if (s->begin) {
		memmove(s->buf, s->buf + s->begin, s->end - s->begin);
		s->end -= s->begin;
		s->begin = 0;
	}
	do
		n = recv(s->io.fd, s->buf + s->end, BUFFER - s->end, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n)
		return -EPIPE;
	s->drained = (size_t)n < BUFFER - s->end;
	s->end += (size_t)n;
	return 1;
}

static ssize_t next(struct netio *io, bool exact)
{
	struct netstream *s = of(io);
	int ret;

	(void)exact;
	do {
		size_t have = s->end - s->begin;
		u32 len;

		if (have < PREFIX)
			continue;
		memcpy(&len, s->buf + s->begin, PREFIX);
		len = ntohl(len);
		if (len < ETH_HLEN || len > LONGEST)
			return -EPROTO;
		if (have - PREFIX >= len)
			return NETIO_HEADER + len;
	} while ((ret = fill(s)) > 0);
	return ret;
}

static ssize_t receive(struct netio *io, const struct iovec *iov, unsigned int nr)
{
	struct netstream *s = of(io);
	const struct virtio_net_hdr_mrg_rxbuf hdr = {
		.hdr.flags = s->trusts ? VIRTIO_NET_HDR_F_DATA_VALID : 0,
	};
	ssize_t len = next(io, true);

	_Static_assert(sizeof(hdr) == NETIO_HEADER, "virtio 1.2, 5.1.6");
	if (len <= 0)
		return len;
	iov_write(iov, nr, 0, &hdr, sizeof(hdr));
	iov_write(iov, nr, NETIO_HEADER, s->buf + s->begin + PREFIX, (size_t)len - NETIO_HEADER);
	s->begin += (size_t)len - NETIO_HEADER + PREFIX;
	return len;
}

static void drop(struct netio *io)
{
	struct netstream *s = of(io);
	ssize_t len = next(io, true);

	if (len > 0)
		s->begin += (size_t)len - NETIO_HEADER + PREFIX;
}

/* ------------------------------------------------------------------------------ */

static void destroy(struct netio *io)
{
	fd_close(&io->fd);
	free(of(io));
}

static const struct netio_ops ops = {
	.offers = offers,
	.start = start,
	.send = send_frames,
	.unsent = unsent,
	.next = next,
	.receive = receive,
	.drop = drop,
	.destroy = destroy,
};

int netstream_create(struct netio **out, int fd, struct vmm_error *err)
{
	struct netstream *s;
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return error_sys(err, -errno, "net: descriptor %d", fd);
	if (type != SOCK_STREAM)
		return error_set(err, -EINVAL, "net: descriptor %d is no stream socket", fd);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "net: no memory");
	s->io.ops = &ops;
	s->io.fd = fd_dup(fd);
	if (s->io.fd < 0) {
		int ret = error_sys(err, s->io.fd, "net: descriptor %d", fd);

		free(s);
		return ret;
	}
	*out = &s->io;
	return 0;
}

void netio_destroy(struct netio *io)
{
	if (io)
		io->ops->destroy(io);
}
