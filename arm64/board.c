/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * board.c - the devices of the machine, their addresses and interrupts
 *
 * They belong to I/O thread 0.
 */
#include <errno.h>
#include <time.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "devices/chardev.h"
#include "devices/clock.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/pl031.h"
#include "devices/pl061.h"
#include "devices/pvpanic.h"
#include "devices/virtio_console.h"
#include "devices/virtio_ports.h"
#include "vmm/error.h"
#include "vmm/irq.h"
#include "vmm/machine.h"

/* KVM_IRQ_LINE for an SPI (Documentation/virt/kvm/api.rst, KVM_IRQ_LINE). */
static void set_spi(void *ctx, u32 nr, bool level)
{
	struct machine *m = ctx;

	kvm_irq_line(&m->vm->kvm, KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (INTID_SPI + nr),
		     level);
}

struct irq_line machine_spi(struct machine *m, u32 nr)
{
	return (struct irq_line){ .set = set_spi, .ctx = m, .nr = nr };
}

static struct loop *io_loop(const struct machine *m)
{
	return m->vm->io[0].loop;
}

static int place(struct machine *m, const char *name, gpa_t base, u64 size,
		 const struct bus_ops *ops, void *dev, struct vmm_error *err)
{
	int ret = bus_add(&m->vm->bus, name, base, size, ops, dev);

	return ret ? error_sys(err, ret, "%s: its place at 0x%llx", name, (unsigned long long)base) : 0;
}

static int connect(struct machine *m, u32 i, struct vmm_error *err)
{
	static const char *const names[VM_MAX_CONSOLES] = {
		"serial0", "serial1", "serial2", "serial3",
	};
	const struct vm_console *con = &m->vm->consoles[i];
	struct chardev_config cfg = {
		.name = names[i],
		.log = &m->vm->log,
		.in_fd = con->in_fd,
		.out_fd = con->out_fd,
		.ops = &ns16550_chardev_ops,
		.arg = m->uarts[i],
	};
	int ret;

	if (con->in_fd < 0 && con->out_fd < 0)
		return 0;
	ret = chardev_create(&m->chardevs[i], io_loop(m), &cfg, err);
	if (!ret)
		ns16550_connect(m->uarts[i], m->chardevs[i]);
	return ret;
}

static int uart_up(struct machine *m, u32 i, struct vmm_error *err)
{
	struct irq_line irq = machine_spi(m, SPI_UART + i);
	int ret = ns16550_create(&m->uarts[i], &irq, err);

	if (!ret)
		ret = connect(m, i, err);
	if (!ret)
		ret = place(m, "serial", MAP_UART + i * MAP_UART_STEP, MAP_UART_SIZE,
			    &ns16550_bus_ops, m->uarts[i], err);
	return ret;
}

static int uarts_up(struct machine *m, struct vmm_error *err)
{
	int ret = 0;

	m->nr_uarts = m->vm->nr_consoles ? m->vm->nr_consoles : 1;
	for (u32 i = 0; i < m->nr_uarts && !ret; i++)
		ret = uart_up(m, i, err);
	return ret;
}

static int rtc_up(struct machine *m, struct vmm_error *err)
{
	struct irq_line irq = machine_spi(m, SPI_RTC);
	int ret = pl031_create(&m->rtc, &clock_host, &irq, io_loop(m), err);

	return ret ? ret : place(m, "rtc", MAP_RTC, MAP_PAGE, &pl031_bus_ops, m->rtc, err);
}

/* kvmtool's firmware looks for no other clock; Debian's kernels know the PL031 only. */
static int firmware_rtc_up(struct machine *m, struct vmm_error *err)
{
	int ret;

	if (!(m->vm->boot.flags & VMM_BOOT_F_FIRMWARE))
		return 0;
	ret = mc146818_create(&m->firmware_rtc, &clock_host, err);
	return ret ? ret : place(m, "firmware rtc", MAP_MC146818, MC146818_SIZE, &mc146818_bus_ops,
				 m->firmware_rtc, err);
}

static int gpio_up(struct machine *m, struct vmm_error *err)
{
	struct irq_line irq = machine_spi(m, SPI_GPIO);
	int ret = pl061_create(&m->gpio, io_loop(m), &irq, err);

	return ret ? ret : place(m, "gpio", MAP_GPIO, MAP_PAGE, &pl061_bus_ops, m->gpio, err);
}

static void on_panic(void *ctx, u8 events)
{
	struct machine *m = ctx;

	if (events & PVPANIC_PANICKED)
		vm_stop(m->vm, VMM_STOP_GUEST_CRASH, 0, -1, "the guest reported a panic");
}

static int pvpanic_up(struct machine *m, struct vmm_error *err)
{
	int ret = pvpanic_create(&m->pvpanic, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED, on_panic, m, err);

	return ret ? ret : place(m, "pvpanic", MAP_PVPANIC, PVPANIC_SIZE, &pvpanic_bus_ops,
				 m->pvpanic, err);
}

int board_up(struct machine *m, struct vmm_error *err)
{
	int ret = uarts_up(m, err);

	if (!ret)
		ret = rtc_up(m, err);
	if (!ret)
		ret = firmware_rtc_up(m, err);
	if (!ret)
		ret = gpio_up(m, err);
	if (!ret)
		ret = pvpanic_up(m, err);
	return ret;
}

void board_down(struct machine *m)
{
	pvpanic_destroy(m->pvpanic);
	pl061_destroy(m->gpio);
	mc146818_destroy(m->firmware_rtc);
	pl031_destroy(m->rtc);
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++) {
		chardev_destroy(m->chardevs[i]);
		ns16550_destroy(m->uarts[i]);
	}
	m->vm->bus.nr_regions = 0;
}

/* What primecells hang on; its rate means nothing to a device that has no wires. */
#define APB_CLOCK_HZ	24000000

void board_tree(const struct machine *m, struct tree *t)
{
	tree_begin(t, "apb-pclk");
	tree_string(t, "compatible", "fixed-clock");
	tree_u32(t, "#clock-cells", 0);
	tree_u32(t, "clock-frequency", APB_CLOCK_HZ);
	tree_u32(t, "phandle", PHANDLE_CLOCK);
	tree_end(t);

	for (u32 i = 0; i < m->nr_uarts; i++)
		ns16550_tree(m->uarts[i], t, MAP_UART + i * MAP_UART_STEP, SPI_UART + i);
	pl031_tree(m->rtc, t, MAP_RTC, SPI_RTC);
	if (m->firmware_rtc)
		mc146818_tree(m->firmware_rtc, t, MAP_MC146818);
	pl061_tree(m->gpio, t, MAP_GPIO, SPI_GPIO);
	pvpanic_tree(m->pvpanic, t, MAP_PVPANIC);

	tree_begin(t, "aliases");
	for (u32 i = 0; i < m->nr_uarts; i++) {
		char name[] = "serial0";
		char path[] = "/serial@1000000";

		name[sizeof(name) - 2] = (char)('0' + i);
		path[sizeof(path) - 5] = (char)('0' + i);
		tree_string(t, name, path);
	}
	tree_end(t);
}

void machine_start_io(struct vmm *vm)
{
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++)
		if (vm->machine->chardevs[i])
			chardev_kick_rx(vm->machine->chardevs[i]);
}

static void pause_board(struct machine *m)
{
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++)
		if (m->chardevs[i])
			chardev_pause(m->chardevs[i]);
	pl031_pause(m->rtc);
	pl061_pause(m->gpio);
}

static void resume_board(struct machine *m)
{
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++)
		if (m->chardevs[i])
			chardev_resume(m->chardevs[i]);
	pl031_resume(m->rtc);
	pl061_resume(m->gpio);
}

bool machine_pause_io(struct vmm *vm, u32 io)
{
	if (!io)
		pause_board(vm->machine);
	return virtio_pause_io(vm->machine, io);
}

void machine_resume_io(struct vmm *vm, u32 io)
{
	if (!io)
		resume_board(vm->machine);
	virtio_resume_io(vm->machine, io);
}

int machine_power_button(struct vmm *vm)
{
	return pl061_press(vm->machine->gpio);
}

int machine_console_break(struct vmm *vm, u32 index, const char *text)
{
	struct machine *m = vm->machine;

	return index < m->nr_uarts ? ns16550_break(m->uarts[index], text) : -ENOENT;
}

static void drained_one(void *arg)
{
	struct machine *m = arg;

	if (!--m->nr_draining)
		vm_drained(m->vm);
}

void machine_drain(struct vmm *vm, bool abandon)
{
	struct machine *m = vm->machine;

	if (!m->draining) {
		m->draining = true;
		m->nr_draining = 1;	/* this call's own, for when all are done at once */
		for (u32 i = 0; i < VM_MAX_CONSOLES; i++) {
			if (!m->chardevs[i])
				continue;
			m->nr_draining++;
			chardev_drain(m->chardevs[i], drained_one, m);
		}
		if (m->hvc) {
			m->nr_draining++;
			virtio_console_drain(m->hvc, drained_one, m);
		}
		if (m->ports) {
			m->nr_draining++;
			virtio_ports_drain(m->ports, drained_one, m);
		}
		drained_one(m);
	}
	if (abandon && m->hvc)
		virtio_console_abandon(m->hvc);
	if (abandon && m->ports)
		virtio_ports_abandon(m->ports);
	for (u32 i = 0; abandon && i < VM_MAX_CONSOLES; i++)
		if (m->chardevs[i])
			chardev_abandon(m->chardevs[i]);
}
