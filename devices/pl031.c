/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pl031.c - Arm PrimeCell real time clock
 *
 * After Arm DDI 0224.  The counter is the host's clock plus an offset, so nothing
 * runs while nobody looks.  Nor does the alarm: when the counter will next equal
 * the match register is known as a time of the host's clock, and whoever looks
 * finds out whether it has passed.  Only while its interrupt could reach the
 * guest does a timer run, on the loop's thread, which also makes it.
 *
 * Being always enabled is the one difference to the chip, where the guest has to
 * set RTCCR first.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/clock.h"
#include "devices/pl031.h"
#include "devices/primecell.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

#define RTC_DR		0x000		/* data: the counter */
#define RTC_MR		0x004		/* match */
#define RTC_LR		0x008		/* load the counter */
#define RTC_CR		0x00c		/* control: enabled */
#define RTC_IMSC	0x010		/* 1: the interrupt is not masked */
#define RTC_RIS		0x014		/* raw interrupt status */
#define RTC_MIS		0x018		/* masked interrupt status */
#define RTC_ICR		0x01c		/* any write clears the interrupt */

struct pl031 {
	pthread_mutex_t	lock;		/* of everything down to the line */
	u32		offset;		/* counter less the clock's seconds */
	u32		match;
	u32		load;
	bool		enabled;	/* IMSC */
	bool		raised;		/* RIS, as far as anyone has looked */
	u64		match_at;	/* the clock's second of the next match */
	struct irq_line	irq;
	struct clock	clock;
	struct loop	*loop;		/* may be NULL */
	struct loop_msg	rearm_msg;
	struct watch	watch;
	int		timer;		/* the loop's thread's alone */
	bool		paused;		/* ... as well */
};

static const u8 pl031_id[4] = { 0x31, 0x10, 0x14, 0x00 };

static u64 now(const struct pl031 *rtc)
{
	return rtc->clock.now(rtc->clock.ctx);
}

static u32 counter(const struct pl031 *rtc, u64 t)
{
	return (u32)t + rtc->offset;
}

/* The counter or the match register has changed. */
static void plan(struct pl031 *rtc, u64 t)
{
	rtc->match_at = t + (u32)(rtc->match - counter(rtc, t));
}

/* Has it matched since the last look?  It will again when it has wrapped. */
static void look(struct pl031 *rtc)
{
	u64 t = now(rtc);

	if (t < rtc->match_at)
		return;
	rtc->raised = true;
	rtc->match_at = t + (u32)(rtc->match - counter(rtc, t) - 1) + 1;
}

static void update_irq(struct pl031 *rtc)
{
	irq_line_set(&rtc->irq, rtc->raised && rtc->enabled);
}

/* ---- The alarm, on the loop's thread ----------------------------------- */

static void set_timer(struct pl031 *rtc, u64 at)
{
	const struct itimerspec when = { .it_value.tv_sec = (time_t)at };

	if (rtc->timer < 0 && at)
		rtc->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	/* Without a timer the guest misses the interrupt and finds RIS set. */
	if (rtc->timer < 0 || timerfd_settime(rtc->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return;
	if (at)
		loop_watch(rtc->loop, &rtc->watch, rtc->timer, POLLIN);
}

static void rearm(void *arg)
{
	struct pl031 *rtc = arg;
	u64 at = 0;

	if (rtc->paused)
		return;
	pthread_mutex_lock(&rtc->lock);
	look(rtc);
	update_irq(rtc);
	if (rtc->enabled && !rtc->raised)
		at = rtc->match_at;
	pthread_mutex_unlock(&rtc->lock);
	set_timer(rtc, at);
}

static void on_timer(struct watch *w, u32 revents)
{
	struct pl031 *rtc = w->arg;
	u64 n;

	(void)revents;
	if (read(rtc->timer, &n, sizeof(n)) < 0)
		n = 0;
	rearm(rtc);
}

void pl031_pause(struct pl031 *rtc)
{
	rtc->paused = true;
	loop_unwatch(&rtc->watch);
}

void pl031_resume(struct pl031 *rtc)
{
	rtc->paused = false;
	rearm(rtc);
}

/* ---- Registers ---------------------------------------------------------- */

u32 pl031_read(struct pl031 *rtc, u32 off)
{
	u32 val = 0;

	pthread_mutex_lock(&rtc->lock);
	look(rtc);
	update_irq(rtc);
	switch (off) {
	case RTC_DR:
		val = counter(rtc, now(rtc));
		break;
	case RTC_MR:
		val = rtc->match;
		break;
	case RTC_LR:
		val = rtc->load;
		break;
	case RTC_CR:
		val = 1;
		break;
	case RTC_IMSC:
		val = rtc->enabled;
		break;
	case RTC_RIS:
		val = rtc->raised;
		break;
	case RTC_MIS:
		val = rtc->raised && rtc->enabled;
		break;
	default:
		val = primecell_id(pl031_id, off);
	}
	pthread_mutex_unlock(&rtc->lock);
	return val;
}

static void do_write(struct pl031 *rtc, u32 off, u32 val)
{
	u64 t = now(rtc);

	switch (off) {
	case RTC_MR:
		rtc->match = val;
		plan(rtc, t);
		break;
	case RTC_LR:
		rtc->load = val;
		rtc->offset += val - counter(rtc, t);
		plan(rtc, t);
		break;
	case RTC_IMSC:
		rtc->enabled = val & 1;
		break;
	case RTC_ICR:
		rtc->raised = false;
		break;
	}
}

void pl031_write(struct pl031 *rtc, u32 off, u32 val)
{
	bool was_waiting;
	bool waits;

	pthread_mutex_lock(&rtc->lock);
	look(rtc);
	was_waiting = rtc->enabled && !rtc->raised;
	do_write(rtc, off, val);
	look(rtc);
	update_irq(rtc);
	waits = rtc->enabled && !rtc->raised;
	pthread_mutex_unlock(&rtc->lock);
	if (rtc->loop && (waits || was_waiting))
		loop_post(rtc->loop, &rtc->rearm_msg);
}

static u64 bus_read32(void *dev, u64 off, unsigned int len)
{
	(void)len;
	return primecell_part(pl031_read(dev, (u32)ALIGN_DOWN(off, 4)), off);
}

static void bus_write32(void *dev, u64 off, unsigned int len, u64 val)
{
	(void)len;
	if (off % 4 == 0)
		pl031_write(dev, (u32)off, (u32)val);
}

const struct bus_ops pl031_bus_ops = {
	.read = bus_read32,
	.write = bus_write32,
};

/* ---- From the machine -------------------------------------------------- */

int pl031_create(struct pl031 **out, const struct clock *clock,
		 const struct irq_line *irq, struct loop *loop, struct vmm_error *err)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return error_set(err, -ENOMEM, "rtc: no memory");
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->clock = *clock;
	rtc->irq = *irq;
	rtc->loop = loop;
	rtc->rearm_msg = (struct loop_msg){ .fn = rearm, .arg = rtc };
	rtc->watch = (struct watch){ .fn = on_timer, .arg = rtc };
	rtc->timer = -1;
	plan(rtc, now(rtc));
	*out = rtc;
	return 0;
}

void pl031_destroy(struct pl031 *rtc)
{
	if (!rtc)
		return;
	/* The loop must not find a message of ours when we are gone. */
	while (rtc->rearm_msg.queued && !loop_dispatch(rtc->loop))
		;
	loop_unwatch(&rtc->watch);
	fd_close(&rtc->timer);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

void pl031_tree(const struct pl031 *rtc, struct tree *t, gpa_t base, u32 spi)
{
	(void)rtc;
	tree_begin(t, "rtc@%llx", (unsigned long long)base);
	tree_strings(t, "compatible", "arm,pl031", "arm,primecell");
	tree_u32(t, "arm,primecell-periphid", primecell_periphid(pl031_id));
	tree_reg(t, base, PL031_SIZE);
	tree_cells(t, "interrupts", GIC_SPI, spi, IRQ_HIGH);
	tree_u32(t, "clocks", PHANDLE_CLOCK);
	tree_string(t, "clock-names", "apb_pclk");
	tree_end(t);
}
