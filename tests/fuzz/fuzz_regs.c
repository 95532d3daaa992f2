/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_regs.c - any access to the registers of the devices that have nothing else
 *
 * The first byte chooses the device, a row of the table below; the rest is accesses, and
 * what happens on the host's side in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/cfi_flash.h"
#include "devices/chardev.h"
#include "devices/clock.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pl031.h"
#include "devices/pl061.h"
#include "devices/pvpanic.h"
#include "tests/fuzz/input.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/log.h"
#include "vmm/loop.h"

#define STEPS	400

struct rig {
	struct loop	*loop;
	void		*dev;
	bool		level;
	/* Of single devices. */
	struct chardev	*chr;
	int		host;		/* the other end of the UART's wire; the flash's file */
	u64		now;
};

static struct rig rig;

static void on_irq(void *ctx, u32 nr, bool level)
{
	(void)ctx;
	must(nr == 7 && level != rig.level);
	rig.level = level;
}

static const struct irq_line line = { .set = on_irq, .nr = 7 };

/* ---- The UART ------------------------------------------------------------------ */

static void uart_make(struct vmm_error *err)
{
	static const struct logger quiet = { .fn = NULL };
	struct chardev_config cfg = { .name = "serial0", .log = &quiet, .ops = &ns16550_chardev_ops };
	struct ns16550 *uart;
	int s[2];

	must(!ns16550_create(&uart, &line, err));
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	cfg.arg = uart;
	cfg.in_fd = cfg.out_fd = s[1];
	must(!chardev_create(&rig.chr, rig.loop, &cfg, err));
	close(s[1]);
	rig.host = s[0];
	rig.dev = uart;
	ns16550_connect(uart, rig.chr);
	chardev_kick_rx(rig.chr);
}

/* Bytes to the guest, or from it; or the wire is cut. */
static void uart_event(struct input *in)
{
	u8 how = input_u8(in);
	char buf[256];
	const void *data;
	size_t len = input_data(in, &data, sizeof(buf));

	if (how == 0xff)
		shutdown(rig.host, SHUT_RDWR);
	else if (how & 1)
		must(read(rig.host, buf, sizeof(buf)) <= (ssize_t)sizeof(buf));
	else
		must(send(rig.host, data, len, MSG_NOSIGNAL) <= (ssize_t)len);
}

static void uart_destroy(void)
{
	chardev_destroy(rig.chr);
	ns16550_destroy(rig.dev);
	close(rig.host);
}

/* ---- The clock ------------------------------------------------------------------- */

static u64 rtc_now(void *ctx)
{
	(void)ctx;
	return rig.now;
}

static void rtc_make(struct vmm_error *err)
{
	static const struct clock clock = { .now = rtc_now };
	struct pl031 *rtc;

	rig.now = 1700000000;
	must(!pl031_create(&rtc, &clock, &line, rig.loop, err));
	rig.dev = rtc;
}

static void rtc_event(struct input *in)
{
	rig.now = input_u8(in) & 1 ? rig.now + input_u8(in) : input_u64(in);
}

static void rtc_destroy(void)
{
	pl031_destroy(rig.dev);
}

static void firmware_rtc_make(struct vmm_error *err)
{
	static const struct clock clock = { .now = rtc_now };
	struct mc146818 *rtc;

	rig.now = 1700000000;
	must(!mc146818_create(&rtc, &clock, err));
	rig.dev = rtc;
}

static void firmware_rtc_destroy(void)
{
	mc146818_destroy(rig.dev);
}

/* ---- The power key ------------------------------------------------------------------ */

static void gpio_make(struct vmm_error *err)
{
	struct pl061 *gpio;

	must(!pl061_create(&gpio, rig.loop, &line, err));
	rig.dev = gpio;
}

static void gpio_event(struct input *in)
{
	(void)in;
	must(!pl061_press(rig.dev));
}

static void gpio_destroy(void)
{
	pl061_destroy(rig.dev);
}

/* ---- The panic device ------------------------------------------------------------------ */

static void on_panic(void *ctx, u8 events)
{
	(void)ctx;
	must(events & (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED));
}

static void pvpanic_make(struct vmm_error *err)
{
	struct pvpanic *pv;

	must(!pvpanic_create(&pv, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED, on_panic, NULL, err));
	rig.dev = pv;
}

static void no_event(struct input *in)
{
	(void)in;
}

static void drop_pvpanic(void)
{
	pvpanic_destroy(rig.dev);
}

/* ---- The flash --------------------------------------------------------------------------- */

/* As memory it is read past the device, or the machine cannot have that now. */
static int flash_map(void *ctx, void *host)
{
	(void)ctx;
	(void)host;
	return rig.now ? -ENOMEM : 0;
}

static void flash_make(struct vmm_error *err)
{
	static const struct logger quiet = { .fn = NULL };
	struct cfi_flash_config cfg = { .log = &quiet, .map = flash_map };
	struct cfi_flash *flash;

	rig.now = 0;
	rig.host = cfg.fd = memfd_create("flash", MFD_CLOEXEC);
	must(rig.host >= 0 && !ftruncate(rig.host, CFI_FLASH_SIZE_MIN));
	must(!cfi_flash_create(&flash, &cfg, err));
	must(!cfi_flash_map(flash));
	rig.dev = flash;
}

/* The file gets shorter, or is as it was; memory is short, or not. */
static void flash_event(struct input *in)
{
	u8 how = input_u8(in);

	rig.now = how & 2;
	must(!ftruncate(rig.host, how & 1 ? 1000 : CFI_FLASH_SIZE_MIN));
}

static void flash_destroy(void)
{
	cfi_flash_destroy(rig.dev);
	close(rig.host);
}

static const struct device {
	const struct bus_ops	*ops;
	u64			size;
	void			(*make)(struct vmm_error *err);
	void			(*event)(struct input *in);
	void			(*destroy)(void);
} devices[] = {
	{ &ns16550_bus_ops, NS16550_SIZE, uart_make, uart_event, uart_destroy },
	{ &pl031_bus_ops, PL031_SIZE, rtc_make, rtc_event, rtc_destroy },
	{ &pl061_bus_ops, PL061_SIZE, gpio_make, gpio_event, gpio_destroy },
	{ &cfi_flash_bus_ops, CFI_FLASH_SIZE_MIN, flash_make, flash_event, flash_destroy },
	{ &pvpanic_bus_ops, PVPANIC_SIZE, pvpanic_make, no_event, drop_pvpanic },
	{ &mc146818_bus_ops, MC146818_SIZE, firmware_rtc_make, rtc_event, firmware_rtc_destroy },
};

/* ---- What the guest does ------------------------------------------------------------------ */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct vmm_error err;

	(void)argc;
	(void)argv;
	must(!loop_create(&rig.loop, &err));
	return 0;
}

/* Through a bus, which sees to it that nothing is beyond the region. */
static void use_register(struct bus *bus, const struct device *device, struct input *in)
{
	static const struct logger quiet = { .fn = NULL };
	u8 how = input_u8(in);
	unsigned int len = 1u << (how & 0x40 ? how % 4 : device->size > 8 ? 2 : 0);
	u64 off = device->size > 8 && !(how & 0x10) ? input_u16(in) : input_u8(in) % 16;

	off %= device->size;
	/* Where most of them have their registers. */
	if (!(how & 0x40))
		off -= off % len;
	if (how & 0x20) {
		u64 val = bus_read(bus, &quiet, off, len);

		must(len == 8 || !(val >> 8 * len));
	} else {
		u64 val = how & 8 ? input_u64(in) : input_u8(in);

		bus_write(bus, &quiet, off, len, len < 8 ? val & ((1ull << 8 * len) - 1) : val);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const struct device *device = &devices[input_u8(&in) % ARRAY_SIZE(devices)];
	struct bus bus = { .nr_regions = 0 };
	struct vmm_error err;

	rig.level = false;
	device->make(&err);
	must(!bus_add(&bus, "device", 0, device->size, device->ops, rig.dev));
	for (u32 i = 0; i < STEPS && in.left; i++) {
		u8 op = input_u8(&in) % 8;

		if (op == 6)
			device->event(&in);
		else if (op == 7)
			must(!loop_dispatch(rig.loop));
		else
			use_register(&bus, device, &in);
	}
	device->destroy();
	return 0;
}
