/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_9p.c - a directory of the host's by 9P (virtio device 9, <linux/virtio_9p.h>)
 *
 * The protocol, 9P2000.L, is between the guest and a server at the other end of a stream
 * socket; here each message is checked to be one and handed on.  A request is copied out
 * of its chain and sent whole; a reply is received whole and copied to the chain whose tag
 * it has, if it fits.  Tags are the guest's, and of those in flight no two are the same.
 *
 * A server that goes, or talks nonsense, ends the session: what is in flight is answered
 * with an error, and so is everything until there is another server and the guest
 * begins a session with it, by Tversion, as it does when it mounts.  A reset with requests
 * in flight ends the connection, so that no reply of before it meets a chain of after it.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/virtio.h"
#include "devices/virtio_9p.h"
#include "vmm/error.h"
#include "vmm/fd.h"

#define QUEUE_SIZE	128
#define MAX_MSIZE	KIB(512)	/* that a session may have */
#define MIN_MSIZE	KIB(4)		/* Linux asks for no less */
#define REPLIES_A_RUN	256

/* 9P2000.L: size[4] type[1] tag[2], and what the type has; little-endian. */
#define HEADER		7u
#define RLERROR		7		/* ecode[4] */
#define TVERSION	100		/* msize[4] version[s] */
#define TATTACH		104		/* fid[4] afid[4] uname[s] aname[s] n_uname[4] */
#define TFLUSH		108		/* oldtag[2] */
#define NO_UID		UINT32_MAX	/* the name says who */
#define RLERROR_SIZE	(HEADER + 4)
#define VERSION		"9P2000.L"

/* A request in flight. */
struct request {
	bool			busy;
	u8			type;
	u16			tag;
	u16			oldtag;		/* of a Tflush */
	struct virtq_chain	chain;
	struct iovec		iov[QUEUE_SIZE];
};

struct virtio_9p {
	struct virtio		virtio;		/* first */
	u8			config[sizeof(struct virtio_9p_config) + VMM_FS_TAG_MAX];
	char			aname[VMM_9P_NAME_MAX + 1];
	char			uname[VMM_9P_NAME_MAX + 1];

	/* Under the device's lock: a server to come, or -1. */
	int			new_fd;
	struct loop_msg		change_msg;

	/* On the loop. */
	int			fd;		/* -1: there is no server */
	bool			session;	/* .. and the guest has begun to talk to it */
	u32			msize;
	struct watch		in;
	struct watch		out;
	u32			sent;
	u32			out_len;
	u32			got;
	struct request		requests[QUEUE_SIZE];
	u8			out_buf[MAX_MSIZE];
	u8			in_buf[MAX_MSIZE];
};

static struct virtio_9p *of(struct virtio *dev)
{
	return (struct virtio_9p *)dev;
}

static struct virtio_queue *queue(struct virtio_9p *p9)
{
	return &p9->virtio.queues[0];
}

/* ---- Numbers in a message ------------------------------------------------------ */

static u16 get16(const u8 *at)
{
	u16 val;

	memcpy(&val, at, sizeof(val));
	return le16toh(val);
}

static u32 get32(const u8 *at)
{
	u32 val;

	memcpy(&val, at, sizeof(val));
	return le32toh(val);
}

static void put16(u8 *at, u16 val)
{
	val = htole16(val);
	memcpy(at, &val, sizeof(val));
}

static void put32(u8 *at, u32 val)
{
	val = htole32(val);
	memcpy(at, &val, sizeof(val));
}

static void put_header(u8 *at, u32 size, u8 type, u16 tag)
{
	put32(at, size);
	at[4] = type;
	put16(at + 5, tag);
}

/* ---- Answers ---------------------------------------------------------------------- */

static void finish(struct virtio_9p *p9, struct request *r, u32 len)
{
	r->busy = false;
	virtio_push(queue(p9), r->chain.head, len);
}

static void answer(struct virtio_9p *p9, struct request *r, const u8 *msg, u32 len)
{
	iov_write(r->iov + r->chain.nr_out, r->chain.nr_in, 0, msg, len);
	finish(p9, r, len);
}

/* A chain without room even for that is given back with nothing in it. */
static void refuse(struct virtio_9p *p9, struct request *r, int error)
{
	u8 msg[RLERROR_SIZE];

	put_header(msg, sizeof(msg), RLERROR, r->tag);
	put32(msg + HEADER, (u32)error);
	if (r->chain.in_len >= sizeof(msg))
		answer(p9, r, msg, sizeof(msg));
	else
		finish(p9, r, 0);
}

static struct request *find(struct virtio_9p *p9, u16 tag)
{
	for (u32 i = 0; i < QUEUE_SIZE; i++)
		if (p9->requests[i].busy && p9->requests[i].tag == tag)
			return &p9->requests[i];
	return NULL;
}

/* There are as many as a queue can hold. */
static struct request *find_free(struct virtio_9p *p9)
{
	u32 i = 0;

	while (i < QUEUE_SIZE && p9->requests[i].busy)
		i++;
	return i < QUEUE_SIZE ? &p9->requests[i] : NULL;
}

/* ---- The server ---------------------------------------------------------------------- */

static void unwatch(struct virtio_9p *p9)
{
	if (p9->in.armed)
		loop_unwatch(&p9->in);
	if (p9->out.armed)
		loop_unwatch(&p9->out);
}

static void hang_up(struct virtio_9p *p9)
{
	unwatch(p9);
	fd_close(&p9->fd);
	p9->session = false;
	p9->sent = p9->out_len = p9->got = 0;
	for (u32 i = 0; i < QUEUE_SIZE; i++)
		if (p9->requests[i].busy)
			refuse(p9, &p9->requests[i], EIO);
}

static void lose(struct virtio_9p *p9, const char *why)
{
	char msg[VMM_MSG_SIZE];

	snprintf(msg, sizeof(msg), "%s: the 9P server %s; the guest has to mount it anew",
		 p9->virtio.name, why);
	hang_up(p9);
	log_limited(p9->virtio.env->log, &p9->virtio.limit, VMM_LOG_WARN, "%s", msg);
	p9->virtio.env->broken(p9->virtio.env->ctx, p9->virtio.index, msg);
}

static void take_new(struct virtio_9p *p9)
{
	int fd;

	pthread_mutex_lock(&p9->virtio.lock);
	fd = p9->new_fd;
	p9->new_fd = -1;
	pthread_mutex_unlock(&p9->virtio.lock);
	if (fd < 0)
		return;
	hang_up(p9);
	p9->fd = fd;
}

/* ---- Sending ----------------------------------------------------------------------------- */

static bool is_sending(const struct virtio_9p *p9)
{
	return p9->sent < p9->out_len;
}

static void send_on(struct virtio_9p *p9)
{
	while (is_sending(p9)) {
		ssize_t n = send(p9->fd, p9->out_buf + p9->sent, p9->out_len - p9->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			p9->sent += (u32)n;
		} else if (errno == EAGAIN) {
			loop_watch(queue(p9)->loop, &p9->out, p9->fd, POLLOUT);
			return;
		} else if (errno != EINTR) {
			lose(p9, "has gone");
			return;
		}
	}
}

/* 0, or what is wrong with it, as an errno. */
static int check_version(struct virtio_9p *p9)
{
	u8 *msg = p9->out_buf;
	u32 msize;

	if (p9->out_len < HEADER + 4)
		return EINVAL;
	msize = get32(msg + HEADER);
	if (msize < MIN_MSIZE)
		return EINVAL;
	put32(msg + HEADER, msize < MAX_MSIZE ? msize : MAX_MSIZE);
	return 0;
}

/* The length of the string at @at, or -1: it is not there, or long. */
static int string_at(const struct virtio_9p *p9, u32 at)
{
	u32 len;

	if (p9->out_len < at + 2)
		return -1;
	len = get16(p9->out_buf + at);
	return len <= VMM_9P_NAME_MAX && len <= p9->out_len - at - 2 ? (int)len : -1;
}

/* @name, or what the guest has at @from if that is empty; returns where it ends. */
static u32 put_string(u8 *to, const char *name, const u8 *from)
{
	const u16 len = name[0] ? (u16)strlen(name) : get16(from);

	memcpy(to + 2, name[0] ? (const u8 *)name : from + 2, len);
	put16(to, len);
	return 2 + len;
}

/* Put our names of who attaches to what in the place of the guest's. */
static int rewrite_attach(struct virtio_9p *p9)
{
	u8 guest[2 * (2 + VMM_9P_NAME_MAX) + 4];
	const u32 uname = HEADER + 8;
	const int uname_len = string_at(p9, uname);
	const u32 aname = uname + 2 + (u32)uname_len;
	const int aname_len = uname_len < 0 ? -1 : string_at(p9, aname);
	u8 *to = p9->out_buf + uname;

	if (aname_len < 0 || p9->out_len != aname + 2 + (u32)aname_len + 4)
		return EINVAL;
	memcpy(guest, to, p9->out_len - uname);
	to += put_string(to, p9->uname, guest);
	to += put_string(to, p9->aname, guest + aname - uname);
	put32(to, p9->uname[0] ? NO_UID : get32(guest + aname - uname + 2 + (u32)aname_len));
	p9->out_len = (u32)(to + 4 - p9->out_buf);
	put32(p9->out_buf, p9->out_len);
	return 0;
}

static bool has_others(const struct virtio_9p *p9, const struct request *r)
{
	for (u32 i = 0; i < QUEUE_SIZE; i++)
		if (p9->requests[i].busy && &p9->requests[i] != r)
			return true;
	return false;
}

/* 0, or the errno that answers it. */
static int check(struct virtio_9p *p9, struct request *r)
{
	if (p9->fd < 0)
		return EIO;
	switch (r->type) {
	case TVERSION:
		/* It would end what is in flight. */
		if (has_others(p9, r))
			return EBUSY;
		p9->session = false;
		return check_version(p9);
	case TATTACH:
		return p9->session ? rewrite_attach(p9) : EIO;
	case TFLUSH:
		if (p9->out_len != HEADER + 2)
			return EINVAL;
		r->oldtag = get16(p9->out_buf + HEADER);
		/* fallthrough */
	default:
		return p9->session ? 0 : EIO;
	}
}

/* Copy it out: 0, or the errno that answers it. */
static int take(struct virtio_9p *p9, struct request *r)
{
	const struct virtq_chain *chain = &r->chain;
	u8 *msg = p9->out_buf;
	u32 size;

	memset(msg, 0, HEADER);
	iov_read(chain->iov, chain->nr_out, 0, msg, HEADER);
	size = get32(msg);
	r->type = msg[4];
	r->tag = get16(msg + 5);
	if (size < HEADER || size > chain->out_len)
		return EINVAL;
	if (size > (p9->session ? p9->msize : MIN_MSIZE))
		return p9->session ? EMSGSIZE : EIO;
	if (find(p9, r->tag))
		return EINVAL;
	iov_read(chain->iov, chain->nr_out, HEADER, msg + HEADER, size - HEADER);
	p9->out_len = size;
	return 0;
}

static bool kick(struct virtio_queue *q)
{
	struct virtio_9p *p9 = of(q->dev);

	take_new(p9);
	if (p9->fd >= 0)
		loop_watch(q->loop, &p9->in, p9->fd, POLLIN);
	send_on(p9);
	while (!is_sending(p9)) {
		struct request *r = find_free(p9);
		int error;

		p9->sent = p9->out_len = 0;
		if (!r)
			return false;
		r->chain = (struct virtq_chain){ .iov = r->iov, .max = QUEUE_SIZE };
		if (!virtio_pop(q, &r->chain))
			return true;
		error = take(p9, r);
		r->busy = true;
		if (!error)
			error = check(p9, r);
		if (error) {
			p9->out_len = 0;
			refuse(p9, r, error);
		} else {
			send_on(p9);
		}
	}
	return false;
}

static void on_out(struct watch *w, u32 revents)
{
	struct virtio_9p *p9 = w->arg;

	(void)revents;
	send_on(p9);
	if (!is_sending(p9))
		virtio_run(queue(p9));
}

/* ---- Receiving ------------------------------------------------------------------------------ */

/* Read up to byte @want of the reply: 1, 0 if there is no more now, or -1: it has gone. */
static int read_to(struct virtio_9p *p9, u32 want)
{
	while (p9->got < want) {
		ssize_t n = recv(p9->fd, p9->in_buf + p9->got, want - p9->got, MSG_DONTWAIT);

		if (n > 0)
			p9->got += (u32)n;
		else if (n < 0 && errno == EAGAIN)
			return 0;
		else if (!n || errno != EINTR)
			return -1;
	}
	return 1;
}

static void begin_session(struct virtio_9p *p9, u32 size)
{
	const u8 *msg = p9->in_buf;
	const u32 len = (u32)strlen(VERSION);
	u32 msize;

	if (size != HEADER + 6 + len || get16(msg + HEADER + 4) != len ||
	    memcmp(msg + HEADER + 6, VERSION, len))
		return;
	msize = get32(msg + HEADER);
	if (msize < MIN_MSIZE || msize > MAX_MSIZE)
		return;
	p9->msize = msize;
	p9->session = true;
}

/* Of what is flushed no reply comes any more: its chain is free before the guest hears so. */
static void flush(struct virtio_9p *p9, const struct request *r)
{
	struct request *old = r->oldtag == r->tag ? NULL : find(p9, r->oldtag);

	if (old)
		finish(p9, old, 0);
}

/* A whole message is here: false if it makes no sense. */
static bool deliver(struct virtio_9p *p9, u32 size)
{
	const u8 *msg = p9->in_buf;
	struct request *r = find(p9, get16(msg + 5));

	p9->got = 0;
	if (!r || (msg[4] != RLERROR && msg[4] != (u8)(r->type + 1)) ||
	    (msg[4] == RLERROR && size != RLERROR_SIZE))
		return false;
	if (r->type == TVERSION && msg[4] != RLERROR)
		begin_session(p9, size);
	if (r->type == TFLUSH && msg[4] != RLERROR)
		flush(p9, r);
	if (size <= r->chain.in_len)
		answer(p9, r, msg, size);
	else
		refuse(p9, r, EMSGSIZE);
	return true;
}

/* One reply: 1, 0 if there is none that is whole, or -1: there is no server any more. */
static int receive_one(struct virtio_9p *p9)
{
	int ret = read_to(p9, HEADER);
	u32 size = 0;

	if (ret > 0) {
		size = get32(p9->in_buf);
		if (size < HEADER || size > (p9->session ? p9->msize : MIN_MSIZE)) {
			lose(p9, "sends what is no message");
			return -1;
		}
		ret = read_to(p9, size);
	}
	if (ret < 0)
		lose(p9, "has gone");
	if (ret <= 0)
		return ret;
	if (deliver(p9, size))
		return 1;
	lose(p9, "answers what was not asked");
	return -1;
}

static void on_in(struct watch *w, u32 revents)
{
	struct virtio_9p *p9 = w->arg;
	int ret = 1;

	(void)revents;
	/* It was paused meanwhile; the run when that is over looks again. */
	if (queue(p9)->paused)
		return;
	for (u32 i = 0; i < REPLIES_A_RUN && ret > 0; i++)
		ret = receive_one(p9);
	if (ret >= 0 && p9->fd >= 0)
		loop_watch(queue(p9)->loop, &p9->in, p9->fd, POLLIN);
	virtio_run(queue(p9));
}

/* ---- The device ------------------------------------------------------------------------------- */

/* Replies wait in the socket, and the rest of a request here. */
static bool at_rest(struct virtio_queue *q)
{
	unwatch(of(q->dev));
	return true;
}

static void stop_queue(struct virtio_queue *q)
{
	struct virtio_9p *p9 = of(q->dev);

	if (has_others(p9, NULL))
		hang_up(p9);
	unwatch(p9);
	p9->session = false;
}

static void on_change(void *arg)
{
	struct virtio_9p *p9 = arg;
	struct virtio_queue *q = queue(p9);

	/* What would be answered now is after the pause. */
	if (q->paused)
		return;
	take_new(p9);
	virtio_run(q);
}

static void destroy(struct virtio *dev)
{
	struct virtio_9p *p9 = of(dev);

	while (p9->change_msg.queued && !loop_dispatch(queue(p9)->loop))
		;
	unwatch(p9);
	fd_close(&p9->fd);
	fd_close(&p9->new_fd);
	virtio_fini(dev);
	free(p9);
}

static const struct virtio_ops ops = {
	.name = "9p",
	.id = VIRTIO_ID_9P,
	.nr_queues = 1,
	.queue_size = QUEUE_SIZE,
	.kick = kick,
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

/* Our duplicate of @fd, or a negative errno. */
static int take_socket(const char *name, int fd, struct vmm_error *err)
{
	socklen_t len = sizeof(int);
	int type;
	int ret;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return error_sys(err, -errno, "%s: descriptor %d", name, fd);
	if (type != SOCK_STREAM)
		return error_set(err, -EINVAL, "%s: descriptor %d is no stream socket", name, fd);
	ret = fd_dup(fd);
	return ret < 0 ? error_sys(err, ret, "%s: descriptor %d", name, fd) : ret;
}

static void set_config(struct virtio_9p *p9, const char *tag)
{
	const size_t len = strlen(tag);

	put16(p9->config, (u16)len);
	memcpy(p9->config + sizeof(struct virtio_9p_config), tag, len);
	p9->virtio.config = p9->config;
	p9->virtio.config_size = (u32)(sizeof(struct virtio_9p_config) + len);
}

int virtio_9p_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		     const struct virtio_9p_params *params, struct vmm_error *err)
{
	struct virtio_9p *p9 = calloc(1, sizeof(*p9));
	int ret;

	if (!p9)
		return error_set(err, -ENOMEM, "9p%u: no memory", index);
	p9->fd = p9->new_fd = -1;
	snprintf(p9->aname, sizeof(p9->aname), "%s", params->aname);
	snprintf(p9->uname, sizeof(p9->uname), "%s", params->uname);
	p9->change_msg = (struct loop_msg){ .fn = on_change, .arg = p9 };
	p9->in = (struct watch){ .fn = on_in, .arg = p9 };
	p9->out = (struct watch){ .fn = on_out, .arg = p9 };
	set_config(p9, params->tag);
	ret = virtio_init(&p9->virtio, &ops, env, index, 0, 1ull << VIRTIO_9P_MOUNT_TAG, 0, err);
	if (!ret) {
		p9->fd = take_socket(p9->virtio.name, params->fd, err);
		ret = p9->fd < 0 ? p9->fd : 0;
	}
	if (ret) {
		destroy(&p9->virtio);
		return ret;
	}
	*dev = &p9->virtio;
	return 0;
}

int virtio_9p_replace(struct virtio *dev, int fd, struct vmm_error *err)
{
	struct virtio_9p *p9 = of(dev);
	int old;
	int ret = take_socket(dev->name, fd, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&dev->lock);
	old = p9->new_fd;
	p9->new_fd = ret;
	pthread_mutex_unlock(&dev->lock);
	fd_close(&old);
	loop_post(queue(p9)->loop, &p9->change_msg);
	return 0;
}
