/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_msg.c - messages of the vhost-user protocol, on a connected unix socket
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "devices/vhost_msg.h"

int vhost_send_fds(int fd, const struct vhost_message *msg, const int *pass, u32 nr)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = VHOST_HEADER + msg->size };
	union {
		struct cmsghdr	head;
		char		buf[CMSG_SPACE(VHOST_MAX_REGIONS * sizeof(*pass))];
	} control = { .buf = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	assert(nr <= VHOST_MAX_REGIONS);
	if (nr) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(nr * sizeof(*pass));
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(nr * sizeof(*pass)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.head), pass, nr * sizeof(*pass));
	}
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* What is this short and does not fit meets a peer that reads nothing. */
	return (size_t)n == iov.iov_len ? 0 : -EAGAIN;
}

int vhost_send(int fd, const struct vhost_message *msg, int pass)
{
	return vhost_send_fds(fd, msg, &pass, pass >= 0);
}

int vhost_recv(int fd, struct vhost_reader *r)
{
	for (;;) {
		size_t want = VHOST_HEADER;
		ssize_t n;

		if (r->have >= VHOST_HEADER) {
			if (r->msg.size > sizeof(r->msg) - VHOST_HEADER)
				return -EPROTO;
			want += r->msg.size;
		}
		if (r->have >= VHOST_HEADER && r->have == want) {
			r->have = 0;
			return 1;
		}
		n = recv(fd, (u8 *)&r->msg + r->have, want - r->have, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!n)
			return -ENOTCONN;
		r->have += (size_t)n;
	}
}

bool vhost_is_reply(const struct vhost_message *msg, u32 request, u32 size)
{
	return msg->request == request && msg->size == size && msg->flags & VHOST_REPLY &&
	       (msg->flags & VHOST_VERSION_MASK) == VHOST_VERSION;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

u64 vhost_until(unsigned int ms)
{
	return now_ms() + ms;
}

/* Send, and wait for a reply of @size bytes, which is in @r then. */
static int ask(int fd, const struct vhost_message *msg, struct vhost_reader *r, u32 size,
	       u64 until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ret = vhost_send(fd, msg, -1);

	r->have = 0;
	while (!ret) {
		u64 now = now_ms();

		if (now >= until)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(until - now)) < 0 && errno != EINTR)
			return -errno;
		ret = vhost_recv(fd, r);
	}
	if (ret < 0)
		return ret;
	return vhost_is_reply(&r->msg, msg->request, size) ? 0 : -EPROTO;
}

int vhost_ask(int fd, u32 request, u64 *num, u64 until)
{
	const struct vhost_message msg = { .request = request, .flags = VHOST_VERSION };
	struct vhost_reader r;
	int ret = ask(fd, &msg, &r, sizeof(*num), until);

	if (!ret)
		*num = r.msg.num;
	return ret;
}

int vhost_ask_config(int fd, void *config, u32 size, u64 until)
{
	const struct vhost_message msg = {
		.request = VHOST_GET_CONFIG, .flags = VHOST_VERSION,
		.size = VHOST_CONFIG_HEADER + size, .config = { .size = size },
	};
	struct vhost_reader r;
	int ret = ask(fd, &msg, &r, msg.size, until);

	if (!ret && (r.msg.config.offset || r.msg.config.size != size))
		ret = -EPROTO;
	if (!ret)
		memcpy(config, r.msg.config.bytes, size);
	return ret;
}
