/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend.c - the other side of vhost-user, well-behaved and not, for tests
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/backend.h"
#include "tests/unit/t.h"
#include "vmm/fd.h"

void backend_open(struct backend *b)
{
	int fds[2];

	*b = (struct backend){
		.features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
			    1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VHOST_F_PROTOCOL_FEATURES,
		.protocol = UINT64_MAX,
		.nr_queues = BACKEND_QUEUES,
	};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	b->front = fds[0];
	b->fd = fds[1];
	for (u32 i = 0; i < BACKEND_QUEUES; i++)
		b->q[i].kick = b->q[i].call = -1;
}

void backend_close(struct backend *b)
{
	for (u32 i = 0; i < BACKEND_QUEUES; i++) {
		fd_close(&b->q[i].kick);
		fd_close(&b->q[i].call);
	}
	if (b->mem.host)
		gmem_fini(&b->mem);
	fd_close(&b->front);
	fd_close(&b->fd);
}

void backend_send(struct backend *b, const void *data, size_t len)
{
	assert_int_equal(send(b->fd, data, len, MSG_NOSIGNAL), len);
}

void backend_reply(struct backend *b, u32 request, u64 num)
{
	const struct vhost_message msg = {
		.request = request, .flags = VHOST_VERSION | VHOST_REPLY, .size = 8, .num = num,
	};

	backend_send(b, &msg, VHOST_HEADER + 8);
}

void backend_greet(struct backend *b)
{
	backend_reply(b, VHOST_GET_FEATURES, b->features);
	backend_reply(b, VHOST_GET_PROTOCOL_FEATURES, b->protocol);
	if (b->protocol & 1ull << VHOST_PROTOCOL_F_MQ)
		backend_reply(b, VHOST_GET_QUEUE_NUM, b->nr_queues);
}

/* The next message, and what came with it. */
static ssize_t receive(struct backend *b, void *buf, size_t len, int *pass)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	union {
		struct cmsghdr	head;
		char		buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(b->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c)
		memcpy(pass, CMSG_DATA(c), sizeof(*pass));
	return n;
}

/* Our front end's address, as the guest's. */
static gpa_t guest_address(const struct backend *b, u64 user)
{
	assert_in_range(user, b->region.user, b->region.user + b->region.size - 1);
	return user - b->region.user + b->region.gpa;
}

static void take_memory(struct backend *b, const struct vhost_message *msg, int fd)
{
	struct vmm_error err;

	assert_int_equal(msg->mem.nr, 1);
	assert_int_equal(msg->mem.region.offset, 0);
	b->region = msg->mem.region;
	if (b->mem.host)
		gmem_fini(&b->mem);
	assert_int_equal(gmem_init(&b->mem, b->region.gpa, b->region.size, fd, 0, &err), 0);
	close(fd);
}

static void take_fd(int *to, int fd)
{
	fd_close(to);
	*to = fd;
}

static void take(struct backend *b, const struct vhost_message *msg, int fd)
{
	struct backend_queue *q = &b->q[msg->state.index % BACKEND_QUEUES];
	u64 forgotten;

	switch (msg->request) {
	case VHOST_SET_OWNER:
		b->owned = true;
		break;
	case VHOST_SET_FEATURES:
		b->acked = msg->num;
		break;
	case VHOST_SET_MEM_TABLE:
		take_memory(b, msg, fd);
		break;
	case VHOST_SET_VRING_NUM:
		q->layout.size = msg->state.num;
		break;
	case VHOST_SET_VRING_ADDR:
		q->layout.desc = guest_address(b, msg->addr.desc_user_addr);
		q->layout.avail = guest_address(b, msg->addr.avail_user_addr);
		q->layout.used = guest_address(b, msg->addr.used_user_addr);
		break;
	case VHOST_SET_VRING_KICK:
		take_fd(&b->q[msg->num & 0xff].kick, fd);
		break;
	case VHOST_SET_VRING_CALL:
		take_fd(&b->q[msg->num & 0xff].call, fd);
		break;
	case VHOST_SET_VRING_ENABLE:
		/* It was not enabled: as virtiofsd does. */
		if (read(q->kick, &forgotten, sizeof(forgotten)) < 0)
			forgotten = 0;
		q->enabled = msg->state.num;
		if (!q->running)
			virtq_init(&q->vq, &b->mem, &q->layout, b->acked);
		__atomic_store_n(&q->running, true, __ATOMIC_RELEASE);
		break;
	case VHOST_GET_VRING_BASE:
		q->running = false;
		break;
	}
}

static void answer(struct backend *b, const struct vhost_message *msg)
{
	const u64 firsts[] = {
		[VHOST_GET_FEATURES] = b->features,
		[VHOST_GET_PROTOCOL_FEATURES] = b->protocol,
		[VHOST_GET_QUEUE_NUM] = b->nr_queues,
	};

	if ((b->eager || (b->owned && msg->request == VHOST_GET_FEATURES)) &&
	    msg->request < ARRAY_SIZE(firsts) && firsts[msg->request])
		backend_reply(b, msg->request, firsts[msg->request]);
	else if (msg->request == VHOST_GET_VRING_BASE && !b->lazy)
		backend_reply(b, msg->request, msg->state.index);
	else if (msg->flags & VHOST_NEED_REPLY)
		backend_reply(b, msg->request, msg->request == b->refuses);
}

bool backend_serve(struct backend *b)
{
	for (;;) {
		struct vhost_message msg;
		int fd = -1;
		ssize_t n = receive(b, &msg, VHOST_HEADER, &fd);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		assert_int_equal(n, VHOST_HEADER);
		assert_true(msg.size <= sizeof(msg) - VHOST_HEADER);
		if (msg.size)
			assert_int_equal(recv(b->fd, &msg.num, msg.size, MSG_DONTWAIT), msg.size);
		if (b->nr_log < BACKEND_LOG)
			b->log[b->nr_log++] = msg;
		take(b, &msg, fd);
		answer(b, &msg);
	}
}

u32 backend_work(struct backend *b, u32 i, u8 byte)
{
	struct backend_queue *q = &b->q[i];
	struct iovec iov[8];
	struct virtq_chain chain = { .iov = iov, .max = ARRAY_SIZE(iov) };
	u64 count;
	u32 nr = 0;

	if (!q->running || !q->enabled || read(q->kick, &count, sizeof(count)) < 0)
		return 0;
	for (; virtq_pop(&q->vq, &chain) == 1; nr++) {
		for (u32 n = 0; n < chain.nr_in; n++)
			memset(iov[chain.nr_out + n].iov_base, byte, iov[chain.nr_out + n].iov_len);
		virtq_push(&q->vq, chain.head, chain.in_len);
	}
	count = 1;
	if (nr && q->call >= 0)
		assert_int_equal(write(q->call, &count, sizeof(count)), sizeof(count));
	return nr;
}

bool backend_runs(struct backend *b, u32 i)
{
	return __atomic_load_n(&b->q[i].running, __ATOMIC_ACQUIRE);
}

void *backend_thread(void *arg)
{
	struct backend *b = arg;
	struct pollfd p[] = { { .fd = b->fd, .events = POLLIN }, { .events = POLLIN } };

	b->eager = true;
	while (backend_serve(b)) {
		backend_work(b, 1, BACKEND_BYTE);
		p[1].fd = b->q[1].kick;
		poll(p, ARRAY_SIZE(p), -1);
	}
	return NULL;
}

u32 backend_count(const struct backend *b, u32 request)
{
	u32 nr = 0;

	for (u32 i = 0; i < b->nr_log; i++)
		nr += b->log[i].request == request;
	return nr;
}
