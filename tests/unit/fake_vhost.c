/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_vhost.c - the kernel's vhost-net and vhost-vsock, which refuse what the real ones do
 */
#include <errno.h>
#include <linux/vhost.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/fake_vhost.h"
#include "tests/unit/t.h"

#define MAX_PIECES	16	/* of a chain that is served */

struct fake_vhost fake_vhost[FAKE_VHOSTS];

/* Of all of it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t server;
static int wake = -1;		/* -1: there is no thread */
static bool ended;

void fake_vhost_reset(u64 features)
{
	memset(fake_vhost, 0, sizeof(fake_vhost));
	for (u32 i = 0; i < FAKE_VHOSTS; i++) {
		fake_vhost[i].features = features;
		for (u32 k = 0; k < FAKE_VHOST_RINGS; k++)
			fake_vhost[i].backend[k] = -1;
	}
}

static struct fake_vhost *find(int fd)
{
	u32 i = 0;

	while (i < FAKE_VHOSTS && fake_vhost[i].fd && fake_vhost[i].fd != fd)
		i++;
	assert_true(i < FAKE_VHOSTS);
	fake_vhost[i].fd = fd;
	return &fake_vhost[i];
}

static int fails(int error)
{
	errno = error;
	return -1;
}

static bool at_work(const struct fake_vhost *v, u32 i)
{
	return v->running || v->backend[i] >= 0;
}

u64 fake_vhost_kicks(const struct fake_vhost *v, u32 i)
{
	struct pollfd p = { .fd = v->kick[i], .events = POLLIN };
	u64 n = 0;

	if (poll(&p, 1, 0) == 1)
		assert_int_equal(read(p.fd, &n, sizeof(n)), sizeof(n));
	return n;
}

/* ---- Requests: with the lock held -------------------------------------------- */

static bool is_mapped(const struct fake_vhost *v, u64 user, u64 len)
{
	const struct vhost_memory_region *r = &v->region;

	return user >= r->userspace_addr && len <= r->memory_size &&
	       user - r->userspace_addr <= r->memory_size - len;
}

/* The kernel would refuse it later, where nobody sees; so it must not come to that. */
static int set_addr(struct fake_vhost *v, const struct vhost_vring_addr *addr)
{
	const u64 num = v->num[addr->index];

	assert_true(is_mapped(v, addr->desc_user_addr, 16 * num));
	assert_true(is_mapped(v, addr->avail_user_addr, 4 + 2 * num));
	assert_true(is_mapped(v, addr->used_user_addr, 4 + 8 * num));
	v->addr[addr->index] = *addr;
	v->begun[addr->index] = false;
	return 0;
}

static int set_memory(struct fake_vhost *v, const struct vhost_memory *memory)
{
	const struct vhost_memory_region *r = &memory->regions[0];

	assert_int_equal(memory->nregions, 1);
	v->region = *r;
	v->mem = (struct gmem){
		.host = (u8 *)(uintptr_t)r->userspace_addr, .base = r->guest_phys_addr,
		.size = r->memory_size,
	};
	return 0;
}

static int set_running(struct fake_vhost *v, bool run)
{
	/* What was kicked while it does not run, the kernel forgets. */
	for (u32 i = 0; i < FAKE_VHOST_RINGS && run && !v->running && v->addr[i].desc_user_addr; i++)
		fake_vhost_kicks(v, i);
	for (u32 i = 0; i < FAKE_VHOST_RINGS && run; i++)
		if (!v->region.memory_size || !v->addr[i].desc_user_addr)
			return fails(EFAULT);
	v->nr_runs += run && !v->running;
	v->running = run;
	return 0;
}

/* There are two, and their places are not changed while they are at work. */
static int set_state(struct fake_vhost *v, unsigned long request, const struct vhost_vring_state *state)
{
	if (state->index >= FAKE_VHOST_RINGS)
		return fails(ENOBUFS);
	if (at_work(v, state->index))
		return fails(EBUSY);
	if (request == VHOST_SET_VRING_NUM)
		v->num[state->index] = state->num;
	else
		assert_int_equal(state->num, 0);
	return 0;
}

static int owned_control(struct fake_vhost *v, unsigned long request, void *arg)
{
	const struct vhost_vring_file *file = arg;

	assert_true(v->owned);
	switch (request) {
	case VHOST_VSOCK_SET_GUEST_CID:
		if (*(u64 *)arg == v->taken)
			return fails(EADDRINUSE);
		v->cid = *(u64 *)arg;
		return 0;
	case VHOST_SET_FEATURES:
		v->set_features = *(u64 *)arg;
		return v->set_features & ~v->features ? fails(EOPNOTSUPP) : 0;
	case VHOST_SET_MEM_TABLE:
		return set_memory(v, arg);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
		return set_state(v, request, arg);
	case VHOST_SET_VRING_ADDR:
		return set_addr(v, arg);
	case VHOST_SET_VRING_KICK:
		v->kick[file->index] = file->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		v->call[file->index] = file->fd;
		return 0;
	case VHOST_VSOCK_SET_RUNNING:
		return set_running(v, *(int *)arg);
	case VHOST_NET_SET_BACKEND:
		/* The rings are there, and stay while frames go. */
		assert_true(v->num[file->index] || file->fd == -1);
		v->backend[file->index] = file->fd;
		return 0;
	}
	return fails(ENOTTY);
}

static int control(struct fake_vhost *v, unsigned long request, void *arg)
{
	if (v->fail && !--v->fail)
		return fails(EIO);
	if (request == VHOST_GET_FEATURES) {
		*(u64 *)arg = v->features;
		return 0;
	}
	if (request != VHOST_SET_OWNER)
		return owned_control(v, request, arg);
	if (v->owned)
		return fails(EBUSY);
	v->owned = true;
	return 0;
}

static void wake_server(void)
{
	const u64 one = 1;

	if (wake >= 0)
		assert_int_equal(write(wake, &one, sizeof(one)), sizeof(one));
}

int fake_vhost_control(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int error;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	pthread_mutex_lock(&lock);
	ret = control(find(fd), request, arg);
	error = errno;
	wake_server();
	pthread_mutex_unlock(&lock);
	errno = error;
	return ret;
}

/* ---- The thread ------------------------------------------------------------------ */

static gpa_t guest(const struct fake_vhost *v, u64 user)
{
	return user - v->region.userspace_addr + v->region.guest_phys_addr;
}

/* What stays as it is while the ring merely rests. */
static void begin(struct fake_vhost *v, u32 i)
{
	const struct virtq_layout layout = {
		.size = v->num[i],
		.desc = guest(v, v->addr[i].desc_user_addr),
		.avail = guest(v, v->addr[i].avail_user_addr),
		.used = guest(v, v->addr[i].used_user_addr),
	};

	if (!v->begun[i])
		virtq_init(&v->vq[i], &v->mem, &layout, v->set_features);
	v->begun[i] = true;
}

/* What buffers hold stays, as drivers may have the same ones in several rings. */
static void work(struct fake_vhost *v, u32 i)
{
	struct iovec iov[MAX_PIECES];
	struct virtq_chain chain = { .iov = iov, .max = ARRAY_SIZE(iov) };
	const u64 one = 1;
	bool any = false;

	begin(v, i);
	fake_vhost_kicks(v, i);
	for (; virtq_pop(&v->vq[i], &chain) == 1; any = true)
		virtq_push(&v->vq[i], chain.head, chain.in_len);
	if (any && v->call[i] >= 0)
		assert_int_equal(write(v->call[i], &one, sizeof(one)), sizeof(one));
}

/* Work, and note what to wait for. */
static u32 work_all(struct pollfd *p)
{
	u32 nr = 0;

	for (u32 i = 0; i < FAKE_VHOSTS; i++) {
		for (u32 k = 0; k < FAKE_VHOST_RINGS; k++) {
			if (!at_work(&fake_vhost[i], k))
				continue;
			work(&fake_vhost[i], k);
			p[nr++] = (struct pollfd){ .fd = fake_vhost[i].kick[k], .events = POLLIN };
		}
	}
	return nr;
}

static void *serve(void *arg)
{
	struct pollfd p[FAKE_VHOSTS * FAKE_VHOST_RINGS + 1];
	bool end;
	u64 count;

	do {
		u32 nr;

		pthread_mutex_lock(&lock);
		nr = work_all(p);
		end = ended;
		pthread_mutex_unlock(&lock);
		p[nr++] = (struct pollfd){ .fd = wake, .events = POLLIN };
		if (!end)
			poll(p, nr, -1);
		if (p[nr - 1].revents)
			assert_int_equal(read(wake, &count, sizeof(count)), sizeof(count));
	} while (!end);
	return arg;
}

void fake_vhost_serve(void)
{
	ended = false;
	wake = eventfd(0, EFD_CLOEXEC);
	assert_true(wake >= 0);
	assert_int_equal(pthread_create(&server, NULL, serve, NULL), 0);
}

void fake_vhost_rest(void)
{
	pthread_mutex_lock(&lock);
	ended = true;
	wake_server();
	pthread_mutex_unlock(&lock);
	pthread_join(server, NULL);
	close(wake);
	wake = -1;
}
