/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio.c - what every virtio device has, between its transport and its own code
 */
#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/virtio.h"
#include "vmm/error.h"
#include "vmm/fd.h"

#define NO_VECTOR	0xffff

/* ---- The driver is told ---------------------------------------------------- */

static void irq_at_end_of_turn(void *arg)
{
	struct virtio_queue *q = arg;

	if (q->running && virtq_should_signal(&q->vq))
		q->dev->transport->queue_irq(q);
}

void virtio_break(struct virtio *dev, const char *fmt, ...)
{
	char msg[VMM_MSG_SIZE];
	va_list ap;
	int n;

	if (atomic_exchange(&dev->broken, true))
		return;
	n = snprintf(msg, sizeof(msg), "%s: waits for a reset: ", dev->name);
	va_start(ap, fmt);
	vsnprintf(msg + n, sizeof(msg) - (size_t)n, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&dev->lock);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		dev->transport->config_irq(dev);
	}
	pthread_mutex_unlock(&dev->lock);
	log_limited(dev->env->log, &dev->limit, VMM_LOG_WARN, "%s", msg);
	dev->env->broken(dev->env->ctx, dev->index, msg);
}

void virtio_set_config(struct virtio *dev, u32 off, const void *val, u32 len)
{
	pthread_mutex_lock(&dev->lock);
	assert(off <= dev->config_size && len <= dev->config_size - off);
	memcpy(dev->config + off, val, len);
	dev->generation++;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->transport->config_irq(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- Queues at work: on their loops ------------------------------------------- */

static void drained(void *arg);

static bool is_broken(const struct virtio *dev)
{
	return atomic_load_explicit(&dev->broken, memory_order_relaxed);
}

static struct loop *home(const struct virtio *dev)
{
	return dev->queues[0].loop;
}

/* A queue that is being stopped and has nothing in flight is at rest. */
static void check_drained(struct virtio_queue *q)
{
	if (!q->stopping || !q->running || q->vq.nr_inflight)
		return;
	q->running = false;
	loop_post(home(q->dev), &q->drained_msg);
}

bool virtio_pop(struct virtio_queue *q, struct virtq_chain *chain)
{
	int ret;

	if (!q->running || q->stopping || !q->budget || is_broken(q->dev))
		return false;
	q->budget--;
	ret = virtq_pop(&q->vq, chain);
	if (ret == -EPROTO)
		virtio_break(q->dev, "queue %u: %s", q->index, q->vq.why);
	return ret == 1;
}

static void given_back(struct virtio_queue *q)
{
	check_drained(q);
	if (q->paused && q->dev->env->rests)
		q->dev->env->rests(q->dev->env->ctx, q->loop);
}

static void was_pushed(struct virtio_queue *q)
{
	loop_defer(q->loop, &q->irq);
	given_back(q);
}

void virtio_push(struct virtio_queue *q, u16 head, u32 len)
{
	virtq_push(&q->vq, head, len);
	was_pushed(q);
}

void virtio_push_all(struct virtio_queue *q, const struct virtq_used *used, u32 nr)
{
	virtq_push_all(&q->vq, used, nr);
	was_pushed(q);
}

void virtio_unpop(struct virtio_queue *q, u16 head)
{
	virtq_unpop(&q->vq, head);
	given_back(q);
}

static void arm_kick(struct virtio_queue *q)
{
	if (!q->kick_io.busy)
		loop_listen(q->loop, &q->kick_io, q->kick_fd, &q->kick_count);
}

void virtio_wait_kick(struct virtio_queue *q)
{
	if (!q->running || q->stopping || is_broken(q->dev))
		return;
	/* What came meanwhile has no kick to come. */
	if (virtq_enable_kicks(&q->vq))
		loop_post(q->loop, &q->again_msg);
}

/*
 * A driver that adds chains as fast as we take them would keep us from all other
 * queues: after as many as the queue holds it is another turn.
 */
void virtio_run(struct virtio_queue *q)
{
	if (!q->running || q->stopping || q->paused || is_broken(q->dev))
		return;
	virtq_disable_kicks(&q->vq);
	q->budget = q->vq.size;
	if (q->dev->ops->kick(q))
		virtio_wait_kick(q);
	else if (!q->budget)
		loop_post(q->loop, &q->again_msg);
	/* Outside of a run, data that comes from elsewhere bounds what is popped. */
	q->budget = q->vq.size;
}

static void rest(struct virtio *dev, struct loop *loop)
{
	if (dev->ops->rest && dev->started && home(dev) == loop)
		dev->ops->rest(dev);
}

void virtio_pause(struct virtio *dev, struct loop *loop)
{
	for (u32 i = 0; i < dev->nr_queues; i++)
		if (dev->queues[i].loop == loop)
			dev->queues[i].paused = true;
	rest(dev, loop);
}

static bool is_ours(const struct virtio_queue *q)
{
	return q->index >= q->dev->nr_elsewhere;
}

static bool is_at_rest(struct virtio_queue *q)
{
	const struct virtio_ops *ops = q->dev->ops;

	if (!q->running || !is_ours(q))
		return true;
	return ops->at_rest ? ops->at_rest(q) : !q->vq.nr_inflight;
}

bool virtio_at_rest(const struct virtio *dev, const struct loop *loop)
{
	for (u32 i = 0; i < dev->nr_queues; i++)
		if (dev->queues[i].loop == loop && !is_at_rest(&dev->queues[i]))
			return false;
	return true;
}

/* Kicks, frames and free requests may have come meanwhile; a run finds them all. */
void virtio_resume(struct virtio *dev, struct loop *loop)
{
	for (u32 i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (q->loop != loop || !q->paused)
			continue;
		q->paused = false;
		if (is_ours(q))
			virtio_run(q);
	}
	rest(dev, loop);
}

static void again(void *arg)
{
	virtio_run(arg);
}

static void on_kick(struct loop_io *io, int res)
{
	struct virtio_queue *q = io->arg;

	if (!q->running || q->stopping)
		return;
	/* A thread that ended has taken its entry along; and armed comes before looked at. */
	if (res > 0 || res == -ECANCELED || res == -EINTR)
		arm_kick(q);
	if (res > 0)
		virtio_run(q);
}

static void start_queue(void *arg)
{
	struct virtio_queue *q = arg;

	virtq_init(&q->vq, q->dev->env->mem, &q->layout, q->dev->features);
	q->stopping = false;
	q->running = true;
	arm_kick(q);
	/* The driver may have added chains before it said DRIVER_OK. */
	virtio_run(q);
}

static void stop_queue(void *arg)
{
	struct virtio_queue *q = arg;

	if (!q->running) {
		loop_post(home(q->dev), &q->drained_msg);	/* the device never started */
		return;
	}
	q->stopping = true;
	loop_cancel(q->loop, &q->kick_io);
	if (q->dev->ops->stop_queue)
		q->dev->ops->stop_queue(q);
	check_drained(q);
}

/* ---- The life of a device: at home ----------------------------------------------- */

static void forget_queues(struct virtio *dev)
{
	for (u32 i = 0; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		q->layout = (struct virtq_layout){ .size = q->max_size };
		q->ready = false;
		q->vector = NO_VECTOR;
	}
}

/* Under the lock: as it was before the driver came. */
static void finish_reset(struct virtio *dev)
{
	forget_queues(dev);
	dev->features = 0;
	dev->status = 0;
	dev->resetting = false;
	atomic_store(&dev->broken, false);
	if (dev->transport)
		dev->transport->was_reset(dev);
	pthread_cond_broadcast(&dev->was_reset);
}

static void one_less(struct virtio *dev)
{
	if (--dev->nr_running)
		return;
	if (dev->started && dev->ops->reset)
		dev->ops->reset(dev);
	dev->started = false;
	pthread_mutex_lock(&dev->lock);
	finish_reset(dev);
	pthread_mutex_unlock(&dev->lock);
}

static void drained(void *arg)
{
	struct virtio_queue *q = arg;

	one_less(q->dev);
}

void virtio_stopped(struct virtio *dev)
{
	one_less(dev);
}

int virtio_irq_fd(struct virtio_queue *q)
{
	return q->dev->transport->irq_fd(q);
}

/* The queues that are ready do not change while the device runs. */
static void start_device(void *arg)
{
	struct virtio *dev = arg;
	int ret = dev->ops->start ? dev->ops->start(dev) : 0;

	dev->started = !ret;
	if (ret) {
		virtio_break(dev, "it cannot start: %s", strerrordesc_np(-ret));
		return;
	}
	for (u32 i = dev->nr_elsewhere; i < dev->nr_queues; i++)
		if (dev->queues[i].ready)
			loop_post(dev->queues[i].loop, &dev->queues[i].start_msg);
}

static void stop_device(void *arg)
{
	struct virtio *dev = arg;

	dev->nr_running = 1;
	for (u32 i = dev->nr_elsewhere; i < dev->nr_queues; i++) {
		struct virtio_queue *q = &dev->queues[i];

		if (!q->ready)
			continue;
		dev->nr_running++;
		loop_post(q->loop, &q->stop_msg);
	}
	if (dev->ops->stop && dev->started)
		dev->ops->stop(dev);
	else
		one_less(dev);
}

/* ---- Registers: with the lock held --------------------------------------------------- */

u32 virtio_offered(const struct virtio *dev, u32 sel)
{
	return sel < 2 ? (u32)(dev->offered >> 32 * sel) : 0;
}

static bool before_features_ok(const struct virtio *dev)
{
	return !dev->resetting && !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
}

void virtio_accept(struct virtio *dev, u32 sel, u32 val)
{
	if (sel >= 2 || !before_features_ok(dev))
		return;
	dev->features &= ~((u64)UINT32_MAX << 32 * sel);
	dev->features |= (u64)val << 32 * sel;
}

static bool features_fine(struct virtio *dev)
{
	return !(dev->features & ~dev->offered) &&
	       dev->features & 1ull << VIRTIO_F_VERSION_1 &&
	       (!dev->ops->accept || dev->ops->accept(dev, dev->features));
}

static void begin_reset(struct virtio *dev)
{
	if (dev->resetting)
		return;
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		finish_reset(dev);
		return;
	}
	dev->resetting = true;
	loop_post(home(dev), &dev->stop_msg);
}

/* Bits are only ever added, in the order of virtio 1.2, 3.1.1; others do not stick. */
void virtio_set_status(struct virtio *dev, u8 status)
{
	const u8 settable = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			    VIRTIO_CONFIG_S_FAILED;
	u8 added = status & (u8)~dev->status;

	if (!status) {
		begin_reset(dev);
		return;
	}
	if (dev->resetting)
		return;
	dev->status |= added & settable;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && dev->status & VIRTIO_CONFIG_S_DRIVER &&
	    features_fine(dev))
		dev->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		dev->status |= VIRTIO_CONFIG_S_DRIVER_OK;
		loop_post(home(dev), &dev->start_msg);
	}
}

bool virtio_wait_reset(struct virtio *dev, unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000l;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (dev->resetting)
		if (pthread_cond_clockwait(&dev->was_reset, &dev->lock, CLOCK_MONOTONIC,
					   &until) == ETIMEDOUT)
			return false;
	return true;
}

struct virtio_queue *virtio_queue(struct virtio *dev, u32 sel)
{
	return sel < dev->nr_queues ? &dev->queues[sel] : NULL;
}

bool virtio_queue_open(const struct virtio_queue *q)
{
	return !q->ready && !q->dev->resetting && !(q->dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_queue_set_size(struct virtio_queue *q, u32 size)
{
	if (virtio_queue_open(q))
		q->layout.size = size;
}

void virtio_queue_set_addr(struct virtio_queue *q, gpa_t *addr, unsigned int shift, u32 val)
{
	if (!virtio_queue_open(q))
		return;
	*addr &= ~((u64)UINT32_MAX << shift);
	*addr |= (u64)val << shift;
}

/* Taken back only by a reset: what runs has been told where its ring is. */
void virtio_queue_set_ready(struct virtio_queue *q, bool ready)
{
	struct virtio *dev = q->dev;
	const char *why;

	if (dev->resetting || dev->status & VIRTIO_CONFIG_S_DRIVER_OK || ready == q->ready)
		return;
	if (!ready) {
		q->ready = false;
		return;
	}
	why = virtq_check(dev->env->mem, &q->layout, q->max_size, dev->features);
	if (!why && !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		why = "the features are not settled";
	if (why)
		log_limited(dev->env->log, &dev->limit, VMM_LOG_WARN, "%s: queue %u: refused: %s",
			    dev->name, q->index, why);
	q->ready = !why;
}

void virtio_config_read(struct virtio *dev, u64 off, void *val, u32 len)
{
	u8 *to = val;

	for (u32 i = 0; i < len; i++)
		to[i] = off + i < dev->config_size ? dev->config[off + i] : 0;
}

void virtio_config_write(struct virtio *dev, u64 off, const void *val, u32 len)
{
	if (dev->ops->config_write && !dev->resetting && off < dev->config_size &&
	    len <= dev->config_size - off)
		dev->ops->config_write(dev, (u32)off, val, len);
}

void virtio_kick(struct virtio *dev, u32 index)
{
	const u64 one = 1;

	/* A count at its end, 2^64 - 2, would block; nobody lives to see it. */
	if (index < dev->nr_queues && write(dev->queues[index].kick_fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- From the machine ----------------------------------------------------------------- */

static int init_queue(struct virtio *dev, u32 i, struct loop *loop)
{
	struct virtio_queue *q = &dev->queues[i];

	q->dev = dev;
	q->index = i;
	q->loop = loop;
	q->max_size = dev->ops->queue_size;
	q->kick_io = (struct loop_io){ .done = on_kick, .arg = q };
	q->irq = (struct loop_defer){ .fn = irq_at_end_of_turn, .arg = q };
	q->start_msg = (struct loop_msg){ .fn = start_queue, .arg = q };
	q->stop_msg = (struct loop_msg){ .fn = stop_queue, .arg = q };
	q->again_msg = (struct loop_msg){ .fn = again, .arg = q };
	q->drained_msg = (struct loop_msg){ .fn = drained, .arg = q };
	/* It can block, for io_uring to wait on it rather than to fail. */
	q->kick_fd = eventfd(0, EFD_CLOEXEC);
	return q->kick_fd < 0 ? -errno : 0;
}

/*
 * VIRTIO_F_IN_ORDER (virtio 1.2, 6) is never among the features.  Disks and what 9P and
 * vhost-user have give back as they are done; to keep to the order would be to wait.  A
 * network card keeps to it, and would be spared the used elements of all but the last
 * chain of a batch: 10 instructions a chain, of the tens of thousands that it costs.
 */
int virtio_init(struct virtio *dev, const struct virtio_ops *ops, const struct virtio_env *env,
		u32 index, u32 nr_queues, u64 features, u32 share, struct vmm_error *err)
{
	int ret = 0;

	dev->ops = ops;
	dev->env = env;
	dev->index = index;
	snprintf(dev->name, sizeof(dev->name), "%s%u", ops->name, index);
	dev->nr_queues = nr_queues ? nr_queues : ops->nr_queues;
	assert(dev->nr_queues && dev->nr_queues <= VIRTIO_MAX_QUEUES);
	dev->nr_elsewhere = ops->stop ? dev->nr_queues : 0;
	dev->offered = features | 1ull << VIRTIO_F_VERSION_1 |
		       1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
		       (env->packed ? 1ull << VIRTIO_F_RING_PACKED : 0);
	dev->start_msg = (struct loop_msg){ .fn = start_device, .arg = dev };
	dev->stop_msg = (struct loop_msg){ .fn = stop_device, .arg = dev };
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->was_reset, NULL);
	dev->queues = calloc(dev->nr_queues, sizeof(*dev->queues));
	if (!dev->queues)
		return error_set(err, -ENOMEM, "%s: no memory", dev->name);
	for (u32 i = 0; i < dev->nr_queues; i++)
		dev->queues[i].kick_fd = -1;
	for (u32 i = 0; i < dev->nr_queues && !ret; i++)
		ret = init_queue(dev, i, env->loops[(index + (share ? i / share : 0)) % env->nr_loops]);
	forget_queues(dev);
	return ret ? error_sys(err, ret, "%s: eventfd", dev->name) : 0;
}

void virtio_fini(struct virtio *dev)
{
	for (u32 i = 0; dev->queues && i < dev->nr_queues; i++)
		fd_close(&dev->queues[i].kick_fd);
	free(dev->queues);
	dev->queues = NULL;
	pthread_cond_destroy(&dev->was_reset);
	pthread_mutex_destroy(&dev->lock);
}

/* Every message that is under way comes to its end first, as it would in life. */
void virtio_destroy(struct virtio *dev)
{
	bool resetting;

	if (!dev)
		return;
	pthread_mutex_lock(&dev->lock);
	if (dev->queues)
		begin_reset(dev);
	resetting = dev->resetting;
	pthread_mutex_unlock(&dev->lock);
	while (resetting) {
		for (u32 i = 0; i < dev->env->nr_loops; i++)
			if (loop_dispatch(dev->env->loops[i]))
				goto out;
		pthread_mutex_lock(&dev->lock);
		resetting = dev->resetting;
		pthread_mutex_unlock(&dev->lock);
	}
out:
	/* A doorbell may have been left in an inbox. */
	for (u32 i = 0; dev->queues && i < dev->nr_queues; i++)
		while (dev->queues[i].again_msg.queued && !loop_dispatch(dev->queues[i].loop))
			;
	dev->ops->destroy(dev);
}
