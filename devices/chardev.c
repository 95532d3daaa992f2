/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chardev.c - what a console's bytes go to and come from: the host's side
 *
 * The ring has one producer, under the device's lock, and one consumer, the
 * loop's thread, and no lock.  Three flags carry what one side owes the other:
 *
 *	scheduled	the consumer will look: a timer runs or a poll is armed
 *	wants_room	the producer found little room, the consumer will tell
 *	wants_input	the consumer found no room, the producer will tell
 *
 * Each is one half of a store-then-look on both sides, sequentially consistent:
 * who raises a flag looks again afterwards, who changes the ring looks at the
 * flag afterwards, so one of them sees the other.
 *
 * The timer is the doorbell too: setting it to "now" wakes the loop.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "devices/stream.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define GATHER_NS	1000000		/* how long a byte waits for others */
#define NOW_NS		1		/* 0 would stop the timer */
#define RX_CHUNK	4096		/* as much as a buffer of Linux's for hvc0 holds */

struct chardev {
	const struct chardev_ops	*ops;
	void				*arg;
	const struct logger		*log;
	char				name[16];
	struct loop			*loop;
	struct stream			in;
	struct stream			out;
	int				timer;
	struct watch			in_watch;
	struct watch			out_watch;
	struct watch			timer_watch;
	bool				closing;
	bool				paused;		/* the loop's thread's alone */
	void				(*done)(void *arg);	/* of a drain */
	void				*done_arg;
	atomic_bool			scheduled;
	atomic_bool			wants_room;
	atomic_bool			wants_input;
	atomic_bool			dropping;	/* no one takes output any more */
	_Atomic u32			head;		/* bytes ever put */
	_Atomic u32			tail;		/* bytes ever written */
	u8				ring[CHARDEV_RING];
};

static void set_timer(struct chardev *chr, long ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = ns };

	/* Fails only for a bad descriptor or time. */
	if (timerfd_settime(chr->timer, 0, &when, NULL) < 0)
		return;
}

/* ---- Output: the producer --------------------------------------------- */

static void copy_in(struct chardev *chr, u32 head, const u8 *buf, size_t len)
{
	size_t at = head % CHARDEV_RING;
	size_t first = CHARDEV_RING - at;

	if (first > len)
		first = len;
	memcpy(chr->ring + at, buf, first);
	memcpy(chr->ring, buf + first, len - first);
}

size_t chardev_put(struct chardev *chr, const u8 *buf, size_t len)
{
	u32 head = atomic_load_explicit(&chr->head, memory_order_relaxed);
	u32 used = head - atomic_load(&chr->tail);
	bool scheduled;

	if (atomic_load(&chr->dropping))
		return len;
	if (len > CHARDEV_RING - used)
		len = CHARDEV_RING - used;
	if (!len)
		return 0;
	copy_in(chr, head, buf, len);
	atomic_store(&chr->head, head + (u32)len);
	scheduled = atomic_load(&chr->scheduled) || atomic_exchange(&chr->scheduled, true);
	if (used < CHARDEV_RING / 2 && used + len >= CHARDEV_RING / 2)
		set_timer(chr, NOW_NS);
	else if (!scheduled)
		set_timer(chr, GATHER_NS);
	return len;
}

static size_t room(const struct chardev *chr)
{
	return CHARDEV_RING - (atomic_load(&chr->head) - atomic_load(&chr->tail));
}

size_t chardev_room(struct chardev *chr)
{
	size_t n = room(chr);

	if (atomic_load(&chr->dropping))
		return CHARDEV_RING;
	if (n < CHARDEV_LOW) {
		atomic_store(&chr->wants_room, true);
		n = room(chr);
	}
	return n;
}

/* ---- Output: the consumer --------------------------------------------- */

/* How many bytes lie in one piece at the tail.  None: the ring is left alone. */
static size_t pending(struct chardev *chr)
{
	u32 tail = atomic_load_explicit(&chr->tail, memory_order_relaxed);
	u32 used = atomic_load(&chr->head) - tail;
	size_t first = CHARDEV_RING - tail % CHARDEV_RING;

	if (!used) {
		atomic_store(&chr->scheduled, false);
		/* What came in between saw the flag still set. */
		used = atomic_load(&chr->head) - tail;
		if (used)
			atomic_store(&chr->scheduled, true);
	}
	return used < first ? used : first;
}

static void consume(struct chardev *chr, size_t len)
{
	atomic_fetch_add(&chr->tail, (u32)len);
}

static void discard(struct chardev *chr)
{
	size_t len;

	while ((len = pending(chr)) > 0)
		consume(chr, len);
}

/*
 * The other end has hung up and what was not taken will not be: a pty's buffer
 * is full and nobody has its slave open.  Later output may find someone.
 */
static bool is_stuck(ssize_t ret, u32 revents)
{
	return ret == -EAGAIN && revents & (POLLHUP | POLLERR);
}

/*
 * Write as much as can be written without waiting, but no more than one ringful,
 * for other watches want their turn.  @revents is what poll() said of the
 * descriptor just now, 0 if nobody asked.  True if something is left.
 */
static bool write_some(struct chardev *chr, u32 revents)
{
	size_t budget = CHARDEV_RING;
	size_t len;

	while ((len = pending(chr)) > 0) {
		u32 at = atomic_load_explicit(&chr->tail, memory_order_relaxed) % CHARDEV_RING;
		ssize_t ret;

		if (!budget || (!revents && stream_must_poll(&chr->out)))
			return true;
		ret = stream_write(&chr->out, chr->ring + at, len < budget ? len : budget);
		if (is_stuck(ret, revents)) {
			discard(chr);
			break;
		}
		if (ret == -EAGAIN)
			return true;
		if (ret < 0) {
			log_error(chr->log, "%s: output: %s; dropped from now on",
				  chr->name, strerrordesc_np((int)-ret));
			atomic_store(&chr->dropping, true);
			discard(chr);
			break;
		}
		consume(chr, (size_t)ret);
		budget -= (size_t)ret;
		revents = 0;
	}
	return false;
}

static void tell(struct chardev *chr)
{
	void (*done)(void *arg) = chr->done;

	if (room(chr) >= CHARDEV_RING / 2 && atomic_exchange(&chr->wants_room, false))
		chr->ops->tx_room(chr->arg);
	if (done && room(chr) == CHARDEV_RING) {
		chr->done = NULL;
		done(chr->done_arg);
	}
}

static void flush(struct chardev *chr, u32 revents)
{
	if (chr->closing || chr->paused || chr->out_watch.armed)
		return;
	if (atomic_load(&chr->dropping))
		discard(chr);
	else if (write_some(chr, revents))
		loop_watch(chr->loop, &chr->out_watch, chr->out.fd, POLLOUT);
	tell(chr);
}

static void on_writable(struct watch *w, u32 revents)
{
	flush(w->arg, revents);
}

void chardev_drain(struct chardev *chr, void (*done)(void *arg), void *arg)
{
	chr->paused = false;
	chr->done = done;
	chr->done_arg = arg;
	flush(chr, 0);
}

void chardev_abandon(struct chardev *chr)
{
	atomic_store(&chr->dropping, true);
	loop_unwatch(&chr->out_watch);
	discard(chr);
	tell(chr);
}

/* ---- Input ------------------------------------------------------------- */

static void watch_input(struct chardev *chr)
{
	if (chr->closing || chr->paused || chr->in.fd < 0 || chr->in_watch.armed)
		return;
	atomic_store(&chr->wants_input, true);
	/* The device's lock is taken here, so its next kick sees the flag. */
	if (!chr->ops->rx_room(chr->arg))
		return;
	atomic_store(&chr->wants_input, false);
	loop_watch(chr->loop, &chr->in_watch, chr->in.fd, POLLIN);
}

/*
 * The end, an error, or a hang-up with nothing left to read: there is no more
 * input.  A pty master reads EIO while nobody has the slave open, and only a
 * timer could find out when someone has; who lends us one keeps the slave open.
 */
static void on_readable(struct watch *w, u32 revents)
{
	struct chardev *chr = w->arg;
	u8 buf[RX_CHUNK];
	size_t len;
	ssize_t ret;

	if (chr->closing || chr->paused)
		return;
	len = chr->ops->rx_room(chr->arg);
	if (len) {
		ret = stream_read(&chr->in, buf, len < sizeof(buf) ? len : sizeof(buf));
		if (ret > 0)
			chr->ops->rx(chr->arg, buf, (size_t)ret);
		else if (ret != -EAGAIN || revents & (POLLHUP | POLLERR))
			stream_fini(&chr->in);
	}
	watch_input(chr);
}

void chardev_kick_rx(struct chardev *chr)
{
	if (atomic_load(&chr->wants_input) && atomic_exchange(&chr->wants_input, false))
		set_timer(chr, NOW_NS);
}

bool chardev_has_input(const struct chardev *chr)
{
	struct pollfd in = { .fd = chr->in.fd, .events = POLLIN };

	return chr->in.fd >= 0 && poll(&in, 1, 0) == 1 && in.revents & POLLIN;
}

/* ---- Both -------------------------------------------------------------- */

void chardev_pause(struct chardev *chr)
{
	chr->paused = true;
	loop_unwatch(&chr->in_watch);
	loop_unwatch(&chr->out_watch);
}

void chardev_resume(struct chardev *chr)
{
	chr->paused = false;
	flush(chr, 0);
	watch_input(chr);
}

static void on_timer(struct watch *w, u32 revents)
{
	struct chardev *chr = w->arg;
	u64 n;

	(void)revents;
	if (chr->closing)
		return;
	/* Nothing is lost if it was set again meanwhile: then it comes again. */
	if (read(chr->timer, &n, sizeof(n)) < 0)
		n = 0;
	loop_watch(chr->loop, w, chr->timer, POLLIN);
	flush(chr, 0);
	watch_input(chr);
}

int chardev_create(struct chardev **out, struct loop *loop,
		   const struct chardev_config *cfg, struct vmm_error *err)
{
	struct chardev *chr = calloc(1, sizeof(*chr));
	int ret;

	if (!chr)
		return error_set(err, -ENOMEM, "%s: no memory", cfg->name);
	chr->ops = cfg->ops;
	chr->arg = cfg->arg;
	chr->log = cfg->log;
	snprintf(chr->name, sizeof(chr->name), "%s", cfg->name);
	chr->loop = loop;
	chr->in.fd = -1;
	chr->out.fd = -1;
	chr->in_watch = (struct watch){ .fn = on_readable, .arg = chr };
	chr->out_watch = (struct watch){ .fn = on_writable, .arg = chr };
	chr->timer_watch = (struct watch){ .fn = on_timer, .arg = chr };
	atomic_store(&chr->wants_input, cfg->in_fd >= 0);
	atomic_store(&chr->dropping, cfg->out_fd < 0);
	chr->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (chr->timer < 0) {
		ret = error_sys(err, -errno, "%s: timerfd", cfg->name);
		goto out;
	}
	ret = stream_init(&chr->in, cfg->in_fd);
	if (ret < 0) {
		error_sys(err, ret, "%s: input descriptor %d", cfg->name, cfg->in_fd);
		goto out;
	}
	ret = stream_init(&chr->out, cfg->out_fd);
	if (ret < 0) {
		error_sys(err, ret, "%s: output descriptor %d", cfg->name, cfg->out_fd);
		goto out;
	}
	loop_watch(loop, &chr->timer_watch, chr->timer, POLLIN);
	*out = chr;
	return 0;
out:
	chardev_destroy(chr);
	return ret;
}

void chardev_destroy(struct chardev *chr)
{
	if (!chr)
		return;
	/* Waiting for one watch to end may run the function of another. */
	chr->closing = true;
	loop_unwatch(&chr->in_watch);
	loop_unwatch(&chr->out_watch);
	loop_unwatch(&chr->timer_watch);
	stream_fini(&chr->in);
	stream_fini(&chr->out);
	fd_close(&chr->timer);
	free(chr);
}
