/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user.c - virtio devices whose rings another process serves (vhost-user)
 *
 * A backend is asked what it can do before the guest runs, by the thread that builds
 * the machine or replaces the backend, which may wait.  All else is done at home and
 * waits for nothing: requests are sent, what is to be answered is noted in their order,
 * and the answers come as they come.
 *
 *	DRIVER_OK -> memory, rings, descriptors -> (the backend works) -> reset ->
 *	GET_VRING_BASE for each ring -> its answers -> virtio_stopped()
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_msg.h"
#include "devices/vhost_relay.h"
#include "devices/vhost_user.h"
#include "devices/virtio.h"
#include "vmm/error.h"
#include "vmm/fd.h"

_Static_assert(VHOST_USER_MAX_CONFIG == VHOST_MAX_CONFIG, "the protocol's");

#define NO_RULES	"does not keep to the protocol"
#define ASK_MS		10000	/* for a process that is only just being started */
#define ASK_AGAIN_MS	1000	/* ... while it is only looked for, and others wait meanwhile */
#define STOP_S		3	/* less than a driver waits */
/* The most that is sent before an answer is waited for. */
#define MAX_EXPECTED	(VHOST_USER_MAX_QUEUES * 8)

_Static_assert(VHOST_USER_MAX_QUEUES * 7 + 5 <= MAX_EXPECTED, "start, then stop");

/* A connection, and what was agreed on. */
struct link {
	int	fd;		/* -1: there is none */
	u64	features;
	u64	protocol;
	u64	until;		/* it may take for what it is asked at first */
	bool	owned;		/* SET_OWNER, once for each */
};

struct vhost_user {
	struct virtio		virtio;		/* first */
	u8			config[VHOST_USER_MAX_CONFIG];
	bool			told_config;	/* it is the backend's */
	u32			nr_rings;	/* that the backend serves */
	u32			nr_pairs;	/* as in its struct vhost_user_config, and so on */
	u64			own_features;
	u16			mtu;
	void			(*linked)(struct virtio *dev, bool up);
	void			(*settled)(struct virtio *dev);
	void			(*amend)(void *config, u32 nr_queues);
	bool			waits;
	struct vhost_relay	*relay;		/* of one that waits, else NULL */
	struct link		next;		/* under the device's lock */
	struct loop_msg		next_msg;

	/* At home. */
	struct link		link;
	struct watch		watch;
	struct vhost_reader	reader;
	u8			expected[MAX_EXPECTED];	/* requests, the oldest first */
	u32			nr_expected;
	bool			running;
	bool			stopping;
	bool			waiting;	/* to run, for a backend */
	u64			wanted;		/* rings that shall be enabled */
	u64			enabled;	/* ... and are, or it was asked to */
	struct loop_io		patience;
};

static struct vhost_user *of(struct virtio *dev)
{
	return (struct vhost_user *)dev;
}

static struct loop *home(struct vhost_user *v)
{
	return v->virtio.queues[0].loop;
}

/* ---- A connection begins: this waits -------------------------------------------- */

static const char *request_name(u32 request)
{
	static const char *const names[] = {
		[VHOST_GET_FEATURES]		= "GET_FEATURES",
		[VHOST_SET_FEATURES]		= "SET_FEATURES",
		[VHOST_SET_OWNER]		= "SET_OWNER",
		[VHOST_SET_MEM_TABLE]		= "SET_MEM_TABLE",
		[VHOST_SET_VRING_NUM]		= "SET_VRING_NUM",
		[VHOST_SET_VRING_ADDR]		= "SET_VRING_ADDR",
		[VHOST_SET_VRING_BASE]		= "SET_VRING_BASE",
		[VHOST_GET_VRING_BASE]		= "GET_VRING_BASE",
		[VHOST_SET_VRING_KICK]		= "SET_VRING_KICK",
		[VHOST_SET_VRING_CALL]		= "SET_VRING_CALL",
		[VHOST_GET_PROTOCOL_FEATURES]	= "GET_PROTOCOL_FEATURES",
		[VHOST_SET_PROTOCOL_FEATURES]	= "SET_PROTOCOL_FEATURES",
		[VHOST_GET_QUEUE_NUM]		= "GET_QUEUE_NUM",
		[VHOST_SET_VRING_ENABLE]	= "SET_VRING_ENABLE",
		[VHOST_NET_SET_MTU]		= "NET_SET_MTU",
		[VHOST_GET_CONFIG]		= "GET_CONFIG",
	};

	return names[request];
}

static int ask(const struct link *l, const char *name, u32 request, u64 *num, struct vmm_error *err)
{
	int ret = vhost_ask(l->fd, request, num, l->until);

	return ret ? error_sys(err, ret, "%s: its backend: %s", name, request_name(request)) : 0;
}

/* One that does not say how many queues it has, or pairs of them, has what its kind has. */
static int ask_queues(const struct vhost_user *v, const struct link *l, const char *name,
		      struct vmm_error *err)
{
	const u32 wanted = v->nr_pairs ? v->nr_pairs : v->nr_rings;
	u64 nr = v->nr_pairs ? 1 : wanted;
	int ret = 0;

	if (l->protocol & 1ull << VHOST_PROTOCOL_F_MQ)
		ret = ask(l, name, VHOST_GET_QUEUE_NUM, &nr, err);
	if (!ret && nr < wanted)
		ret = error_set(err, -ENOTSUP, "%s: its backend has %llu %s, not %u", name,
				(unsigned long long)nr, v->nr_pairs ? "pairs of queues" : "queues", wanted);
	return ret;
}

static int agree(const struct vhost_user *v, struct link *l, struct vmm_error *err)
{
	const char *name = v->virtio.name;
	const bool config = v->told_config;
	const u64 known = 1ull << VHOST_PROTOCOL_F_MQ | 1ull << VHOST_PROTOCOL_F_REPLY_ACK |
			  (config ? 1ull << VHOST_PROTOCOL_F_CONFIG : 0) |
			  (v->mtu ? 1ull << VHOST_PROTOCOL_F_NET_MTU : 0);
	struct vhost_message msg = {
		.request = VHOST_SET_PROTOCOL_FEATURES, .flags = VHOST_VERSION, .size = sizeof(u64),
	};
	int ret = ask(l, name, VHOST_GET_FEATURES, &l->features, err);

	if (ret)
		return ret;
	if (!(l->features & 1ull << VHOST_F_PROTOCOL_FEATURES) ||
	    !(l->features & 1ull << VIRTIO_F_VERSION_1))
		return error_set(err, -ENOTSUP,
				 "%s: its backend is of an older kind: it has features 0x%llx", name,
				 (unsigned long long)l->features);
	ret = ask(l, name, VHOST_GET_PROTOCOL_FEATURES, &l->protocol, err);
	if (ret)
		return ret;
	l->protocol &= known;
	if (config && !(l->protocol & 1ull << VHOST_PROTOCOL_F_CONFIG))
		return error_set(err, -ENOTSUP, "%s: its backend does not tell its configuration",
				 name);
	msg.num = l->protocol;
	ret = vhost_send(l->fd, &msg, -1);
	if (ret)
		return error_sys(err, ret, "%s: its backend: %s", name, request_name(msg.request));
	return ask_queues(v, l, name, err);
}

static int link_open(const struct vhost_user *v, struct link *l, int fd, unsigned int ms,
		     struct vmm_error *err)
{
	int ret;

	*l = (struct link){ .fd = fd_dup(fd), .until = vhost_until(ms) };
	if (l->fd < 0) {
		ret = l->fd;
		l->fd = -1;
		return error_sys(err, ret, "%s: descriptor %d", v->virtio.name, fd);
	}
	ret = agree(v, l, err);
	if (ret)
		fd_close(&l->fd);
	return ret;
}

/* ---- The rings are back ------------------------------------------------------------ */

static void finish_stop(struct vhost_user *v)
{
	v->running = v->stopping = v->waiting = false;
	loop_cancel(home(v), &v->patience);
	if (v->relay)
		vhost_relay_end(v->relay);
	virtio_stopped(&v->virtio);
}

/* ---- A connection ends --------------------------------------------------------------- */

static void let_go(struct vhost_user *v)
{
	if (v->watch.armed)
		loop_unwatch(&v->watch);
	/* Who has a duplicate is to learn of it, as is the backend. */
	if (v->link.fd >= 0)
		shutdown(v->link.fd, SHUT_RDWR);
	fd_close(&v->link.fd);
	v->reader.have = 0;
	v->nr_expected = 0;
	if (v->linked)
		v->linked(&v->virtio, false);
}

static void tell(struct vhost_user *v, const char *why)
{
	struct virtio *dev = &v->virtio;
	char msg[VMM_MSG_SIZE];

	snprintf(msg, sizeof(msg), "%s: its backend %s", dev->name, why);
	log_limited(dev->env->log, &dev->limit, VMM_LOG_WARN, "%s", msg);
	dev->env->broken(dev->env->ctx, dev->index, msg);
}

static void lose(struct vhost_user *v, const char *why)
{
	bool working = v->running && !v->stopping;

	let_go(v);
	v->running = false;
	if (working)
		virtio_break(&v->virtio, "its backend %s", why);
	else
		tell(v, why);
	if (v->stopping)
		finish_stop(v);
}

static void lose_for_rings(struct virtio *dev)
{
	lose(of(dev), NO_RULES);
}

/* What comes now is passed on when there is another; who waits for it to rest has it. */
static void wait_for_another(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;

	/* What it has done it has said before its end. */
	if (!vhost_relay_collect(v->relay)) {
		lose(v, NO_RULES);
		return;
	}
	let_go(v);
	v->running = false;
	v->waiting = true;
	tell(v, "has gone; requests wait for another");
	if (dev->queues[0].paused && dev->env->rests)
		dev->env->rests(dev->env->ctx, home(v));
}

static void gone(struct vhost_user *v)
{
	if (v->relay && v->running && !v->stopping)
		wait_for_another(v);
	else
		lose(v, "has gone");
}

/* ---- Requests and their answers: at home, nothing waits -------------------------------- */

/* Those that are answered with a number that means something. */
static bool is_question(u32 request)
{
	return request == VHOST_GET_VRING_BASE || request == VHOST_GET_FEATURES;
}

static int request_fds(struct vhost_user *v, struct vhost_message *msg, const int *pass, u32 nr)
{
	bool ack = v->link.protocol & 1ull << VHOST_PROTOCOL_F_REPLY_ACK;
	bool answered = is_question(msg->request);
	int ret;

	msg->flags = VHOST_VERSION | (ack && !answered ? VHOST_NEED_REPLY : 0);
	ret = v->nr_expected < MAX_EXPECTED ? vhost_send_fds(v->link.fd, msg, pass, nr) : -EAGAIN;
	if (ret)
		return ret;
	if (ack || answered)
		v->expected[v->nr_expected++] = (u8)msg->request;
	return 0;
}

static int request(struct vhost_user *v, struct vhost_message *msg, int pass)
{
	return request_fds(v, msg, &pass, pass >= 0);
}

/*
 * Everything that was sent has been done.  A kick that came while a ring was being handed
 * over may be forgotten, as it was not enabled yet; and who waits for its first answer
 * does not kick again.
 */
static void ring_all(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;

	if (v->relay) {
		vhost_relay_kick_all(v->relay);
		return;
	}
	for (u32 i = 0; i < v->nr_rings; i++)
		if (dev->queues[i].ready)
			virtio_kick(dev, i);
}

static void reached(struct vhost_user *v);

static void take_reply(struct vhost_user *v)
{
	const struct vhost_message *msg = &v->reader.msg;
	u32 wanted = v->nr_expected ? v->expected[0] : 0;
	char why[64];

	if (!wanted || !vhost_is_reply(msg, wanted, sizeof(u64))) {
		lose(v, NO_RULES);
		return;
	}
	if (!is_question(wanted) && msg->num) {
		snprintf(why, sizeof(why), "refuses %s", request_name(wanted));
		lose(v, why);
		return;
	}
	memmove(v->expected, v->expected + 1, --v->nr_expected);
	if (wanted == VHOST_GET_FEATURES && !v->stopping)
		reached(v);
	if (v->stopping && !v->nr_expected)
		finish_stop(v);
}

static void on_socket(struct watch *w, u32 revents)
{
	struct vhost_user *v = w->arg;
	int ret;

	(void)revents;
	do {
		ret = vhost_recv(v->link.fd, &v->reader);
		if (ret == 1)
			take_reply(v);
	} while (ret == 1 && v->link.fd >= 0);
	if (v->link.fd < 0)
		return;
	if (ret == -EPROTO)
		lose(v, NO_RULES);
	else if (ret < 0)
		gone(v);
	else
		loop_watch(home(v), w, v->link.fd, POLLIN);
}

/* ---- Start ------------------------------------------------------------------------------ */

static int send_num(struct vhost_user *v, u32 what, u64 num, int pass)
{
	struct vhost_message msg = { .request = what, .size = sizeof(msg.num), .num = num };

	return request(v, &msg, pass);
}

static int send_state(struct vhost_user *v, u32 what, u32 index, u32 num)
{
	struct vhost_message msg = {
		.request = what, .size = sizeof(msg.state), .state = { index, num },
	};

	return request(v, &msg, -1);
}

static int send_empty(struct vhost_user *v, u32 what)
{
	struct vhost_message msg = { .request = what };

	return request(v, &msg, -1);
}

static int send_owner(struct vhost_user *v)
{
	int ret = v->link.owned ? 0 : send_empty(v, VHOST_SET_OWNER);

	v->link.owned |= !ret;
	return ret;
}

static int send_memory(struct vhost_user *v)
{
	const struct gmem *mem = v->virtio.env->mem;
	struct vhost_message msg = {
		.request = VHOST_SET_MEM_TABLE,
		.mem = {
			.nr = 1,
			.region[0] = {
				.gpa = mem->base, .size = mem->size, .user = (uintptr_t)mem->host,
			},
		},
	};
	int fds[VHOST_MAX_REGIONS] = { v->virtio.env->mem_fd };

	if (v->relay) {
		const struct vhost_relay_memory rings = vhost_relay_memory(v->relay);

		/* No guest has an address there. */
		msg.mem.region[msg.mem.nr] = (struct vhost_region){
			.gpa = mem->base + mem->size, .size = rings.size, .user = rings.user,
		};
		fds[msg.mem.nr++] = rings.fd;
	}
	msg.size = (u32)(sizeof(u64) + msg.mem.nr * sizeof(msg.mem.region[0]));
	return request_fds(v, &msg, fds, msg.mem.nr);
}

static u64 user_address(struct vhost_user *v, gpa_t gpa)
{
	/* It was checked when the queue became ready. */
	return (uintptr_t)gmem_host(v->virtio.env->mem, gpa, 1);
}

static int send_addresses(struct vhost_user *v, const struct virtio_queue *q)
{
	struct vhost_message msg = {
		.request = VHOST_SET_VRING_ADDR,
		.size = sizeof(msg.addr),
		.addr = {
			.index = q->index,
			.desc_user_addr = user_address(v, q->layout.desc),
			.used_user_addr = user_address(v, q->layout.used),
			.avail_user_addr = user_address(v, q->layout.avail),
		},
	};

	if (v->relay) {
		const struct vhost_relay_ring ring = vhost_relay_ring(v->relay, q->index);

		msg.addr.avail_user_addr = ring.avail;
		msg.addr.used_user_addr = ring.used;
	}
	return request(v, &msg, -1);
}

/* The driver's, or those that we listen to and ring. */
static struct vhost_relay_ring fds_of(struct vhost_user *v, struct virtio_queue *q)
{
	return v->relay ? vhost_relay_ring(v->relay, q->index) :
	       (struct vhost_relay_ring){ .kick = q->kick_fd, .call = virtio_irq_fd(q) };
}

static int send_queue(struct vhost_user *v, struct virtio_queue *q)
{
	const struct vhost_relay_ring fds = fds_of(v, q);
	int ret = send_state(v, VHOST_SET_VRING_NUM, q->index, q->layout.size);

	if (!ret)
		ret = send_state(v, VHOST_SET_VRING_BASE, q->index,
				 virtio_has(&v->virtio, VIRTIO_F_RING_PACKED) ? VHOST_PACKED_BASE : 0);
	if (!ret)
		ret = send_addresses(v, q);
	if (!ret)
		ret = send_num(v, VHOST_SET_VRING_CALL, q->index | (fds.call < 0 ? VHOST_NO_FD : 0),
			       fds.call);
	if (!ret)
		ret = send_num(v, VHOST_SET_VRING_KICK, q->index, fds.kick);
	if (!ret)
		ret = send_state(v, VHOST_SET_VRING_ENABLE, q->index, v->wanted >> q->index & 1);
	return ret;
}

static int send_mtu(struct vhost_user *v)
{
	return v->link.protocol & 1ull << VHOST_PROTOCOL_F_NET_MTU ?
	       send_num(v, VHOST_NET_SET_MTU, v->mtu, -1) : 0;
}

/* Where it is to look at an event index nobody of us keeps one. */
static u64 features(const struct vhost_user *v)
{
	const u64 ours = v->relay ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;

	return (v->virtio.features & v->link.features & ~ours) | 1ull << VHOST_F_PROTOCOL_FEATURES;
}

static int hand_over(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;
	int ret = send_owner(v);

	if (v->relay)
		vhost_relay_begin(v->relay);
	if (!ret)
		ret = send_num(v, VHOST_SET_FEATURES, features(v), -1);
	if (!ret)
		ret = send_mtu(v);
	if (!ret)
		ret = send_memory(v);
	v->enabled = v->wanted;
	for (u32 i = 0; i < v->nr_rings && !ret; i++)
		if (dev->queues[i].ready)
			ret = send_queue(v, &dev->queues[i]);
	if (!ret)
		ret = send_empty(v, VHOST_GET_FEATURES);
	if (ret) {
		/* It has half of what it needs: nobody knows what it would do. */
		let_go(v);
		return ret;
	}
	v->running = true;
	v->waiting = false;
	return 0;
}

/* If there is one: whether it has all it needs. */
static bool try_to_run(struct vhost_user *v)
{
	int ret = v->link.fd < 0 ? 0 : hand_over(v);

	if (ret)
		tell(v, ret == -EAGAIN ? "does not read" : "has gone");
	return v->running;
}

int vhost_user_start(struct virtio *dev)
{
	struct vhost_user *v = of(dev);

	if (!v->relay)
		return v->link.fd < 0 ? -ENOTCONN : hand_over(v);
	v->waiting = true;
	try_to_run(v);
	return 0;
}

/* ---- The rings are passed on ----------------------------------------------------------------- */

/* The last one's work, and what has come meanwhile. */
static void go_on(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;

	if (!try_to_run(v))
		return;
	log_limited(dev->env->log, &dev->limit, VMM_LOG_INFO, "%s: has another backend, and goes on",
		    dev->name);
	for (u32 i = 0; i < v->nr_rings; i++)
		loop_post(home(v), &dev->queues[i].again_msg);
}

bool vhost_user_kick(struct virtio_queue *q)
{
	struct vhost_user *v = of(q->dev);

	/* Another came while the device was paused. */
	if (v->waiting && v->link.fd >= 0)
		go_on(v);
	/* Who waits is run again when there is one: until then nothing is looked for. */
	if (v->running)
		vhost_relay_offer(v->relay, q);
	return v->running;
}

bool vhost_user_at_rest(struct virtio_queue *q)
{
	return !q->vq.nr_inflight || !of(q->dev)->running;
}

/* ---- Which rings are enabled --------------------------------------------------------------- */

/* False: nothing is to be done.  One change at a time, so that answers stay few. */
static bool change(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;
	const u64 changed = v->wanted ^ v->enabled;
	u64 sent = 0;
	int ret = 0;

	for (u32 i = 0; i < v->nr_rings && !ret; i++) {
		if (!dev->queues[i].ready || !(changed >> i & 1))
			continue;
		ret = send_state(v, VHOST_SET_VRING_ENABLE, i, v->wanted >> i & 1);
		sent |= 1ull << i;
	}
	v->enabled ^= sent;
	if (sent && !ret)
		ret = send_empty(v, VHOST_GET_FEATURES);
	if (ret == -EAGAIN)
		lose(v, "does not read");
	else if (ret)
		gone(v);
	return sent;
}

/* All that it was asked for until here has been done. */
static void reached(struct vhost_user *v)
{
	ring_all(v);
	if (!change(v) && v->settled)
		v->settled(&v->virtio);
}

bool vhost_user_enable(struct virtio *dev, u64 rings)
{
	struct vhost_user *v = of(dev);

	v->wanted = rings;
	if (!v->running || v->stopping)
		return true;
	return !v->nr_expected && !change(v);
}

/* ---- Stop -------------------------------------------------------------------------------- */

static void be_patient(struct vhost_user *v)
{
	static const struct __kernel_timespec delay = { .tv_sec = STOP_S };

	io_uring_prep_timeout(loop_sqe(home(v), &v->patience),
			      (struct __kernel_timespec *)&delay, 0, 0);
}

static void on_impatience(struct loop_io *io, int res)
{
	struct vhost_user *v = io->arg;

	if (!v->stopping)
		return;
	/* The thread that submitted it has ended, and this one carries on. */
	if (res == -ECANCELED)
		be_patient(v);
	else
		lose(v, "does not give its rings back");
}

void vhost_user_stop(struct virtio *dev)
{
	struct vhost_user *v = of(dev);
	int ret = 0;

	if (!v->running) {
		finish_stop(v);		/* the backend was lost meanwhile */
		return;
	}
	v->stopping = true;
	be_patient(v);
	for (u32 i = 0; i < v->nr_rings && !ret; i++)
		if (dev->queues[i].ready)
			ret = send_state(v, VHOST_GET_VRING_BASE, i, 0);
	if (ret)
		lose(v, ret == -EAGAIN ? "does not read" : "has gone");
	else if (!v->nr_expected)
		finish_stop(v);
}

/* ---- Another backend ------------------------------------------------------------------------ */

static void take_next(void *arg)
{
	struct vhost_user *v = arg;
	struct link next;

	pthread_mutex_lock(&v->virtio.lock);
	next = v->next;
	v->next.fd = -1;
	pthread_mutex_unlock(&v->virtio.lock);
	if (next.fd < 0)
		return;
	/* Its end may not have been heard of yet. */
	if (v->link.fd >= 0)
		on_socket(&v->watch, 0);
	if (v->link.fd >= 0)
		lose(v, "is replaced");
	v->link = next;
	loop_watch(home(v), &v->watch, v->link.fd, POLLIN);
	if (v->linked)
		v->linked(&v->virtio, true);
	if (v->waiting && !v->virtio.queues[0].paused)
		go_on(v);
}

static int ask_config(const struct vhost_user *v, const struct link *l, u8 *config,
		      struct vmm_error *err)
{
	const struct virtio *dev = &v->virtio;
	int ret = vhost_ask_config(l->fd, config, dev->config_size, l->until);

	if (ret)
		return error_sys(err, ret, "%s: its backend: %s", dev->name,
				 request_name(VHOST_GET_CONFIG));
	if (v->amend)
		v->amend(config, v->nr_rings);
	return 0;
}

/* The driver has read it, and is not told of another. */
static int must_be_the_same(struct vhost_user *v, const struct link *l, struct vmm_error *err)
{
	struct virtio *dev = &v->virtio;
	const u64 lacks = dev->offered & ~(l->features | v->own_features);
	u8 config[VHOST_USER_MAX_CONFIG];
	int ret;

	if (lacks)
		return error_set(err, -ENOTSUP, "%s: its new backend lacks features 0x%llx", dev->name,
				 (unsigned long long)lacks);
	if (!v->told_config)
		return 0;
	ret = ask_config(v, l, config, err);
	if (!ret && memcmp(config, v->config, dev->config_size))
		ret = error_set(err, -ENOTSUP, "%s: its new backend has another configuration",
				dev->name);
	return ret;
}

int vhost_user_replace(struct virtio *dev, int fd, struct vmm_error *err)
{
	struct vhost_user *v = of(dev);
	struct link link;
	int ret = link_open(v, &link, fd, v->waits ? ASK_AGAIN_MS : ASK_MS, err);

	if (ret)
		return ret;
	ret = must_be_the_same(v, &link, err);
	if (ret) {
		fd_close(&link.fd);
		return ret;
	}
	pthread_mutex_lock(&dev->lock);
	fd_close(&v->next.fd);
	v->next = link;
	pthread_mutex_unlock(&dev->lock);
	loop_post(home(v), &v->next_msg);
	return 0;
}

/* ---- From the machine -------------------------------------------------------------------------- */

void vhost_user_destroy(struct virtio *dev)
{
	struct vhost_user *v = of(dev);

	while (v->next_msg.queued && !loop_dispatch(home(v)))
		;
	if (v->watch.armed)
		loop_unwatch(&v->watch);
	fd_close(&v->link.fd);
	fd_close(&v->next.fd);
	vhost_relay_destroy(v->relay);
	virtio_fini(dev);
	free(v);
}

/* Who is rung for nothing must not get stuck in it: we read none of them. */
static int unblock_kicks(struct vhost_user *v)
{
	struct virtio *dev = &v->virtio;

	for (u32 i = 0; i < v->nr_rings; i++)
		if (fcntl(dev->queues[i].kick_fd, F_SETFL, O_NONBLOCK))
			return -errno;
	return 0;
}

static int build(struct vhost_user *v, const struct virtio_env *env, u32 index,
		 const struct vhost_user_config *cfg, struct vmm_error *err)
{
	struct virtio *dev = &v->virtio;
	int ret = virtio_init(dev, cfg->ops, env, index, cfg->nr_queues + cfg->nr_own,
			      cfg->features | cfg->own_features, 0, err);

	if (ret)
		return ret;
	dev->nr_elsewhere = v->waits ? 0 : v->nr_rings;
	if (env->mem_fd < 0)
		return error_set(err, -EINVAL,
				 "%s: its backend can share only RAM that is a file (VMM_F_RAM_FD)",
				 dev->name);
	if (v->waits) {
		ret = vhost_relay_create(&v->relay, dev, v->nr_rings, lose_for_rings, err);
	} else {
		ret = unblock_kicks(v);
		if (ret)
			return error_sys(err, ret, "%s: eventfd", dev->name);
	}
	if (!ret)
		ret = link_open(v, &v->link, cfg->fd, ASK_MS, err);
	if (!ret && v->told_config)
		ret = ask_config(v, &v->link, v->config, err);
	if (ret)
		return ret;
	dev->offered &= v->link.features | v->own_features;
	/* Of a packed ring the table is not apart from what is offered. */
	if (v->relay)
		dev->offered &= ~(1ull << VIRTIO_F_RING_PACKED);
	loop_watch(home(v), &v->watch, v->link.fd, POLLIN);
	return 0;
}

int vhost_user_create(struct virtio **out, const struct virtio_env *env, u32 index,
		      const struct vhost_user_config *cfg, struct vmm_error *err)
{
	struct vhost_user *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return error_set(err, -ENOMEM, "%s%u: no memory", cfg->ops->name, index);
	v->link.fd = v->next.fd = -1;
	v->watch = (struct watch){ .fn = on_socket, .arg = v };
	v->next_msg = (struct loop_msg){ .fn = take_next, .arg = v };
	v->patience = (struct loop_io){ .done = on_impatience, .arg = v };
	v->told_config = !cfg->config;
	v->nr_rings = cfg->nr_queues;
	v->nr_pairs = cfg->nr_pairs;
	v->amend = cfg->amend;
	v->waits = cfg->waits;
	v->own_features = cfg->own_features;
	v->mtu = cfg->mtu;
	v->linked = cfg->linked;
	v->settled = cfg->settled;
	v->wanted = UINT64_MAX;
	if (cfg->config)
		memcpy(v->config, cfg->config, cfg->config_size);
	v->virtio.config = v->config;
	v->virtio.config_size = cfg->config_size;
	ret = build(v, env, index, cfg, err);
	if (ret) {
		vhost_user_destroy(&v->virtio);
		return ret;
	}
	*out = &v->virtio;
	return 0;
}
