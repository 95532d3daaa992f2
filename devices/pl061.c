/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pl061.c - Arm PrimeCell GPIO with the power key on it
 *
 * After Arm DDI 0190.  Eight pins, of which only PL061_KEY is connected; the
 * others read 0 as inputs, and what is driven out goes nowhere.
 *
 * How long is a key down?  Linux's gpio-keys is told of both edges, waits for the
 * bouncing to end (5 ms, from the last edge), and then reads the pin: a short
 * pulse is no key press.  How long it takes to get there depends on the host's
 * load.  So the key stays down until the pin was read, in steps of a tenth of a
 * second, but not for ever: a guest without a driver would miss the second press
 * for want of an edge.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/pl061.h"
#include "devices/primecell.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

#define GPIO_DATA	0x000		/* to 0x3fc: bits 9 to 2 are a mask */
#define GPIO_DIR	0x400		/* 1: an output */
#define GPIO_IS		0x404		/* interrupt sense; 1: level, 0: edge */
#define GPIO_IBE	0x408		/* 1: both edges */
#define GPIO_IEV	0x40c		/* 1: rising edge or high level */
#define GPIO_IE		0x410		/* 1: not masked */
#define GPIO_RIS	0x414		/* raw interrupt status */
#define GPIO_MIS	0x418		/* masked interrupt status */
#define GPIO_IC		0x41c		/* 1: clear the edge */
#define GPIO_AFSEL	0x420		/* alternate function: there is none */

#define KEY_POWER	116		/* linux/input-event-codes.h */

#define STEP_NS		100000000
#define MAX_STEPS	30

struct pl061 {
	pthread_mutex_t	lock;		/* of everything down to the line */
	u8		pins;		/* what is put in from outside */
	u8		data;		/* what is put out */
	u8		dir;
	u8		is;
	u8		ibe;
	u8		iev;
	u8		ie;
	u8		afsel;
	u8		edges;		/* seen and not cleared */
	u8		seen;		/* pins read since the key went down */
	unsigned int	nr_steps;	/* since the key went down */
	struct irq_line	irq;
	int		timer;		/* made when the key is first pressed */
	struct loop	*loop;
	struct loop_msg	watch_msg;
	bool		paused;		/* the loop's thread's alone */
	struct watch	watch;
};

static const u8 pl061_id[4] = { 0x61, 0x10, 0x04, 0x00 };

static u8 raw_status(const struct pl061 *gpio)
{
	u8 matches = (u8)~(gpio->pins ^ gpio->iev);

	return ((gpio->edges & ~gpio->is) | (matches & gpio->is)) & ~gpio->dir;
}

static u8 masked_status(const struct pl061 *gpio)
{
	return raw_status(gpio) & gpio->ie;
}

static void update_irq(struct pl061 *gpio)
{
	irq_line_set(&gpio->irq, masked_status(gpio));
}

static void set_pins(struct pl061 *gpio, u8 pins)
{
	u8 changed = gpio->pins ^ pins;
	u8 wanted = gpio->ibe | (u8)~(pins ^ gpio->iev);

	gpio->pins = pins;
	gpio->edges |= changed & wanted & ~gpio->is & ~gpio->dir;
	update_irq(gpio);
}

/* ---- The key ------------------------------------------------------------ */

static void set_timer(struct pl061 *gpio, long ns)
{
	const struct itimerspec when = {
		.it_value.tv_nsec = ns,
		.it_interval.tv_nsec = ns,
	};

	/* Fails only for a bad descriptor or time. */
	if (timerfd_settime(gpio->timer, 0, &when, NULL) < 0)
		return;
}

int pl061_press(struct pl061 *gpio)
{
	int ret = 0;

	pthread_mutex_lock(&gpio->lock);
	if (gpio->timer < 0) {
		gpio->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		if (gpio->timer < 0)
			ret = -errno;
		else
			loop_post(gpio->loop, &gpio->watch_msg);
	}
	if (!ret && !(gpio->pins & 1u << PL061_KEY)) {
		gpio->seen = 0;
		gpio->nr_steps = 0;
		set_pins(gpio, 1u << PL061_KEY);
		set_timer(gpio, STEP_NS);
	}
	pthread_mutex_unlock(&gpio->lock);
	return ret;
}

static void watch_timer(void *arg)
{
	struct pl061 *gpio = arg;

	if (!gpio->paused)
		loop_watch(gpio->loop, &gpio->watch, gpio->timer, POLLIN);
}

void pl061_pause(struct pl061 *gpio)
{
	gpio->paused = true;
	loop_unwatch(&gpio->watch);
}

void pl061_resume(struct pl061 *gpio)
{
	bool has_timer;

	gpio->paused = false;
	pthread_mutex_lock(&gpio->lock);
	has_timer = gpio->timer >= 0;
	pthread_mutex_unlock(&gpio->lock);
	if (has_timer)
		watch_timer(gpio);
}

static void on_timer(struct watch *w, u32 revents)
{
	struct pl061 *gpio = w->arg;
	u64 n;

	(void)revents;
	if (read(gpio->timer, &n, sizeof(n)) < 0)
		n = 0;
	loop_watch(gpio->loop, w, gpio->timer, POLLIN);
	pthread_mutex_lock(&gpio->lock);
	gpio->nr_steps++;
	if (gpio->seen & 1u << PL061_KEY || gpio->nr_steps >= MAX_STEPS) {
		set_timer(gpio, 0);
		set_pins(gpio, 0);
	}
	pthread_mutex_unlock(&gpio->lock);
}

/* ---- Registers ---------------------------------------------------------- */

static u32 read_data(struct pl061 *gpio, u8 mask)
{
	gpio->seen |= mask & ~gpio->dir;
	return ((gpio->pins & ~gpio->dir) | (gpio->data & gpio->dir)) & mask;
}

static u32 do_read(struct pl061 *gpio, u32 off)
{
	if (off < GPIO_DIR)
		return read_data(gpio, (u8)(off >> 2));
	switch (off) {
	case GPIO_DIR:
		return gpio->dir;
	case GPIO_IS:
		return gpio->is;
	case GPIO_IBE:
		return gpio->ibe;
	case GPIO_IEV:
		return gpio->iev;
	case GPIO_IE:
		return gpio->ie;
	case GPIO_RIS:
		return raw_status(gpio);
	case GPIO_MIS:
		return masked_status(gpio);
	case GPIO_AFSEL:
		return gpio->afsel;
	}
	return primecell_id(pl061_id, off);
}

static void do_write(struct pl061 *gpio, u32 off, u8 val)
{
	u8 mask = (u8)(off >> 2) & gpio->dir;

	if (off < GPIO_DIR) {
		gpio->data = (gpio->data & ~mask) | (val & mask);
		return;
	}
	switch (off) {
	case GPIO_DIR:
		gpio->dir = val;
		break;
	case GPIO_IS:
		gpio->is = val;
		break;
	case GPIO_IBE:
		gpio->ibe = val;
		break;
	case GPIO_IEV:
		gpio->iev = val;
		break;
	case GPIO_IE:
		gpio->ie = val;
		break;
	case GPIO_IC:
		gpio->edges &= ~val;
		break;
	case GPIO_AFSEL:
		gpio->afsel = val;
		break;
	}
}

u32 pl061_read(struct pl061 *gpio, u32 off)
{
	u32 val;

	pthread_mutex_lock(&gpio->lock);
	val = do_read(gpio, off);
	pthread_mutex_unlock(&gpio->lock);
	return val;
}

void pl061_write(struct pl061 *gpio, u32 off, u32 val)
{
	pthread_mutex_lock(&gpio->lock);
	do_write(gpio, off, (u8)val);
	update_irq(gpio);
	pthread_mutex_unlock(&gpio->lock);
}

static u64 bus_read32(void *dev, u64 off, unsigned int len)
{
	(void)len;
	return primecell_part(pl061_read(dev, (u32)ALIGN_DOWN(off, 4)), off);
}

static void bus_write32(void *dev, u64 off, unsigned int len, u64 val)
{
	(void)len;
	if (off % 4 == 0)
		pl061_write(dev, (u32)off, (u32)val);
}

const struct bus_ops pl061_bus_ops = {
	.read = bus_read32,
	.write = bus_write32,
};

/* ---- From the machine -------------------------------------------------- */

int pl061_create(struct pl061 **out, struct loop *loop, const struct irq_line *irq,
		 struct vmm_error *err)
{
	struct pl061 *gpio = calloc(1, sizeof(*gpio));

	if (!gpio)
		return error_set(err, -ENOMEM, "gpio: no memory");
	pthread_mutex_init(&gpio->lock, NULL);
	gpio->irq = *irq;
	gpio->loop = loop;
	gpio->watch = (struct watch){ .fn = on_timer, .arg = gpio };
	gpio->watch_msg = (struct loop_msg){ .fn = watch_timer, .arg = gpio };
	gpio->timer = -1;
	*out = gpio;
	return 0;
}

void pl061_destroy(struct pl061 *gpio)
{
	if (!gpio)
		return;
	/* The loop must not find a message of ours when we are gone. */
	while (gpio->watch_msg.queued && !loop_dispatch(gpio->loop))
		;
	loop_unwatch(&gpio->watch);
	fd_close(&gpio->timer);
	pthread_mutex_destroy(&gpio->lock);
	free(gpio);
}

static void key_tree(struct tree *t)
{
	tree_begin(t, "gpio-keys");
	tree_string(t, "compatible", "gpio-keys");
	tree_begin(t, "key-poweroff");
	tree_string(t, "label", "Power Button");
	tree_u32(t, "linux,code", KEY_POWER);
	tree_cells(t, "gpios", PHANDLE_GPIO, PL061_KEY, 0);
	tree_end(t);
	tree_end(t);
}

void pl061_tree(const struct pl061 *gpio, struct tree *t, gpa_t base, u32 spi)
{
	(void)gpio;
	tree_begin(t, "gpio@%llx", (unsigned long long)base);
	tree_strings(t, "compatible", "arm,pl061", "arm,primecell");
	tree_u32(t, "arm,primecell-periphid", primecell_periphid(pl061_id));
	tree_reg(t, base, PL061_SIZE);
	tree_cells(t, "interrupts", GIC_SPI, spi, IRQ_HIGH);
	tree_u32(t, "clocks", PHANDLE_CLOCK);
	tree_string(t, "clock-names", "apb_pclk");
	tree_empty(t, "gpio-controller");
	tree_u32(t, "#gpio-cells", 2);
	/* All pins but the key's: nobody need ask for their direction. */
	tree_cells(t, "gpio-reserved-ranges", 0, PL061_KEY, PL061_KEY + 1, 7 - PL061_KEY);
	tree_empty(t, "interrupt-controller");
	tree_u32(t, "#interrupt-cells", 2);
	tree_u32(t, "phandle", PHANDLE_GPIO);
	tree_end(t);
	key_tree(t);
}
