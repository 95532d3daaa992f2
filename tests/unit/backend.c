/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend.c - the other side of vhost-user, well-behaved and not, for tests
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <sys/mman.h>
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
	ssize_t n = send(b->fd, data, len, MSG_NOSIGNAL);

	/* A front end may go before it has its answer, and a thread does not know. */
	if (n < 0 && b->eager && (errno == EPIPE || errno == ECONNRESET))
		return;
	assert_int_equal(n, len);
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
		char		buf[CMSG_SPACE(VHOST_MAX_REGIONS * sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(b->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c)
		memcpy(pass, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return n;
}

/* Our front end's address, as the guest's. */
static gpa_t guest_address(const struct backend *b, u64 user)
{
	for (u32 i = 0; i < b->nr_regions; i++)
		if (user - b->region[i].user < b->region[i].size)
			return user - b->region[i].user + b->region[i].gpa;
	fail_msg("an address in no region");
	return 0;
}

static void take_memory(struct backend *b, const struct vhost_message *msg, const int *fds)
{
	const struct vhost_region *r = b->region;
	struct vmm_error err;

	assert_in_range(msg->mem.nr, 1, VHOST_MAX_REGIONS);
	assert_int_equal(msg->size, 8 + msg->mem.nr * 32);
	b->nr_regions = msg->mem.nr;
	memcpy(b->region, msg->mem.region, sizeof(b->region));
	if (b->mem.host)
		gmem_fini(&b->mem);
	assert_int_equal(gmem_init(&b->mem, r->gpa, r->size, fds[0], 0, &err), 0);
	if (b->nr_regions == 2) {
		/* In the place of the guard, which is larger. */
		void *at = b->mem.host + r[0].size;

		assert_int_equal(r[1].gpa, r[0].gpa + r[0].size);
		assert_ptr_equal(mmap(at, r[1].size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				      fds[1], 0), at);
		b->mem.size += r[1].size;
		close(fds[1]);
	}
	close(fds[0]);
}

static void take_fd(int *to, int fd)
{
	fd_close(to);
	*to = fd;
}

static void take(struct backend *b, const struct vhost_message *msg, const int *fds)
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
		take_memory(b, msg, fds);
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
		take_fd(&b->q[msg->num & 0xff].kick, fds[0]);
		break;
	case VHOST_SET_VRING_CALL:
		take_fd(&b->q[msg->num & 0xff].call, fds[0]);
		break;
	case VHOST_SET_VRING_ENABLE:
		/* It was not enabled: as virtiofsd does. */
		if (read(q->kick, &forgotten, sizeof(forgotten)) < 0)
			forgotten = 0;
		q->enabled = msg->state.num;
		if (!q->running)
			virtq_init(&q->vq, &b->mem, &q->layout, b->acked);
		q->running = true;
		break;
	case VHOST_GET_VRING_BASE:
		__atomic_store_n(&b->settled, false, __ATOMIC_RELEASE);
		q->running = false;
		break;
	}
}

/* A configuration of zeroes. */
static void reply_config(struct backend *b, const struct vhost_message *msg)
{
	const struct vhost_message reply = {
		.request = msg->request, .flags = VHOST_VERSION | VHOST_REPLY,
		.size = msg->size, .config.size = msg->config.size,
	};

	backend_send(b, &reply, VHOST_HEADER + reply.size);
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
	else if (b->eager && msg->request == VHOST_GET_CONFIG)
		reply_config(b, msg);
	else if (msg->request == VHOST_GET_VRING_BASE && !b->lazy)
		backend_reply(b, msg->request, msg->state.index);
	else if (msg->flags & VHOST_NEED_REPLY)
		backend_reply(b, msg->request, msg->request == b->refuses);
}

bool backend_serve(struct backend *b)
{
	for (;;) {
		struct vhost_message msg;
		int fds[VHOST_MAX_REGIONS] = { -1, -1 };
		ssize_t n = receive(b, &msg, VHOST_HEADER, fds);

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
		take(b, &msg, fds);
		answer(b, &msg);
		/* What hands queues over ends with this. */
		if (msg.request == VHOST_GET_FEATURES && b->q[0].running)
			__atomic_store_n(&b->settled, true, __ATOMIC_RELEASE);
		if (b->life && !--b->life)
			return false;
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

static void ring(const struct backend_queue *q)
{
	const u64 one = 1;

	if (q->call >= 0)
		assert_int_equal(write(q->call, &one, sizeof(one)), sizeof(one));
}

u32 backend_take(struct backend *b, u32 i)
{
	struct backend_queue *q = &b->q[i];
	struct virtq_chain chain = { .max = 1 };

	while (q->running && q->nr_held < BACKEND_HELD) {
		chain.iov = &q->held_iov[q->nr_held];
		if (virtq_pop(&q->vq, &chain) != 1)
			break;
		q->held[q->nr_held++] = chain.head;
	}
	return q->nr_held;
}

void backend_finish(struct backend *b, u32 i, u32 n, u8 byte)
{
	struct backend_queue *q = &b->q[i];

	assert_true(n < q->nr_held);
	memset(q->held_iov[n].iov_base, byte, q->held_iov[n].iov_len);
	virtq_push(&q->vq, q->held[n], (u32)q->held_iov[n].iov_len);
	q->nr_held--;
	memmove(&q->held[n], &q->held[n + 1], (q->nr_held - n) * sizeof(q->held[0]));
	memmove(&q->held_iov[n], &q->held_iov[n + 1], (q->nr_held - n) * sizeof(q->held_iov[0]));
	if (!b->mute)
		ring(q);
}

bool backend_runs(struct backend *b)
{
	return __atomic_load_n(&b->settled, __ATOMIC_ACQUIRE);
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
