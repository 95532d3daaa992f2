/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport.c - a virtio device's registers as the driver has them, by either transport
 */
#include <linux/pci_regs.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#include <sched.h>
#include <string.h>

#include "devices/pci.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "devices/virtio_pci.h"
#include "tests/unit/t.h"
#include "tests/unit/transport.h"
#include "vmm/bus.h"

static void add_area(struct transport *t, const struct bus_ops *ops, void *dev, u32 from, u32 to)
{
	assert_true(t->nr_areas < ARRAY_SIZE(t->areas));
	t->areas[t->nr_areas++] = (struct transport_area){ ops, dev, from, to };
}

void transport_up(struct transport *t, const struct transport_ops *ops, struct virtio *dev)
{
	memset(t, 0, sizeof(*t));
	t->ops = ops;
	t->dev = dev;
	ops->up(t);
	ops->find(t);
}

/* ---- virtio-mmio ------------------------------------------------------------- */

static u32 mmio_in(struct transport *t, u32 off)
{
	return (u32)virtio_mmio_bus_ops.read(t->mmio, off, 4);
}

static void mmio_out(struct transport *t, u32 off, u32 val)
{
	virtio_mmio_bus_ops.write(t->mmio, off, 4, val);
}

static void mmio_up(struct transport *t)
{
	assert_int_equal(virtio_mmio_create(&t->mmio, t->dev, NULL), 0);
	add_area(t, &virtio_mmio_bus_ops, t->mmio, 0, VIRTIO_MMIO_SIZE);
}

static void mmio_down(struct transport *t)
{
	virtio_mmio_destroy(t->mmio);
}

static void mmio_find(struct transport *t)
{
	assert_int_equal(mmio_in(t, VIRTIO_MMIO_VERSION), 2);
}

static u8 mmio_status(struct transport *t)
{
	return (u8)mmio_in(t, VIRTIO_MMIO_STATUS);
}

static void mmio_set_status(struct transport *t, u8 val)
{
	mmio_out(t, VIRTIO_MMIO_STATUS, val);
}

/* The write waits until it is done. */
static void mmio_reset(struct transport *t)
{
	mmio_out(t, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(mmio_status(t), 0);
}

static void mmio_set_features(struct transport *t, u64 features)
{
	for (u32 sel = 0; sel < 2; sel++) {
		mmio_out(t, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		mmio_out(t, VIRTIO_MMIO_DRIVER_FEATURES, (u32)(features >> 32 * sel));
	}
}

static void mmio_kick(struct transport *t, u32 queue)
{
	mmio_out(t, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void mmio_select(struct transport *t, u32 queue)
{
	mmio_out(t, VIRTIO_MMIO_QUEUE_SEL, queue);
}

static u32 mmio_max_size(struct transport *t)
{
	return mmio_in(t, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static bool mmio_ready(struct transport *t)
{
	return mmio_in(t, VIRTIO_MMIO_QUEUE_READY);
}

static void mmio_set_layout(struct transport *t, const struct virtq_layout *l)
{
	mmio_out(t, VIRTIO_MMIO_QUEUE_NUM, l->size);
	mmio_out(t, VIRTIO_MMIO_QUEUE_DESC_LOW, (u32)l->desc);
	mmio_out(t, VIRTIO_MMIO_QUEUE_DESC_HIGH, (u32)(l->desc >> 32));
	mmio_out(t, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (u32)l->avail);
	mmio_out(t, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (u32)(l->avail >> 32));
	mmio_out(t, VIRTIO_MMIO_QUEUE_USED_LOW, (u32)l->used);
	mmio_out(t, VIRTIO_MMIO_QUEUE_USED_HIGH, (u32)(l->used >> 32));
}

static void mmio_set_ready(struct transport *t, bool ready)
{
	mmio_out(t, VIRTIO_MMIO_QUEUE_READY, ready);
}

const struct transport_ops transport_mmio = {
	.name = "mmio",
	.widest = UINT32_MAX,
	.up = mmio_up,
	.down = mmio_down,
	.find = mmio_find,
	.status = mmio_status,
	.set_status = mmio_set_status,
	.reset = mmio_reset,
	.set_features = mmio_set_features,
	.kick = mmio_kick,
	.select = mmio_select,
	.max_size = mmio_max_size,
	.ready = mmio_ready,
	.set_layout = mmio_set_layout,
	.set_ready = mmio_set_ready,
};

/* ---- virtio-pci: the only function of a bridge, with its BAR at the window's start -------- */

#define WINDOW		0x50000000ull
#define WINDOW_SIZE	MIB(1)
#define BAR_SIZE	0x4000u
#define MSIX_TABLE	0x3000u
#define MSIX_PBA	0x3800u
#define ISR		0x0800u
#define CONFIG		0x1000u

static void pci_message(void *ctx, u32 requester, u64 addr, u32 data)
{
	struct transport *t = ctx;

	(void)addr;
	(void)data;
	assert_int_equal(requester, 0);
	t->nr_messages++;
}

/* Nobody rings in place of it. */
static bool pci_tie(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	(void)ctx;
	(void)nr;
	(void)fd;
	(void)requester;
	(void)addr;
	(void)data;
	return false;
}

static void pci_untie(void *ctx, u32 nr, int fd)
{
	(void)ctx;
	(void)nr;
	(void)fd;
	fail_msg("nothing was tied");
}

static void pci_line(void *ctx, u32 nr, bool level)
{
	struct transport *t = ctx;

	assert_int_equal(nr, 0);
	t->line = level;
}

/* It stays in the window, whatever is written. */
static void pci_moved(void *ctx, struct virtio *dev, u64 from, u64 to)
{
	(void)ctx;
	(void)dev;
	assert_true(from != to);
	if (to != PCI_NO_BAR)
		assert_in_range(to, WINDOW, WINDOW + WINDOW_SIZE - BAR_SIZE);
}

static u32 pci_in(struct transport *t, u32 off, unsigned int len)
{
	return (u32)pci_window_ops.read(t->pci, off, len);
}

static void pci_out(struct transport *t, u32 off, unsigned int len, u32 val)
{
	pci_window_ops.write(t->pci, off, len, len == 4 ? val : val & ((1u << len * 8) - 1));
}

static void pci_up(struct transport *t)
{
	const struct virtio_pci_host host = {
		.ctx = t, .intx = { .set = pci_line, .ctx = t }, .send = pci_message,
		.tie = pci_tie, .untie = pci_untie, .moved = pci_moved,
	};
	static const u32 areas[][2] = {
		{ 0, 0x48 }, { ISR - 8, ISR + 8 }, { CONFIG - 8, CONFIG + 0x140 },
		{ VIRTIO_PCI_KICK - 8, VIRTIO_PCI_KICK + 0x40 }, { MSIX_TABLE - 8, MSIX_TABLE + 0xc0 },
		{ MSIX_PBA - 8, MSIX_PBA + 0x20 }, { BAR_SIZE - 16, BAR_SIZE + 16 },
	};

	assert_int_equal(pci_create(&t->pci, WINDOW, WINDOW_SIZE, NULL), 0);
	assert_int_equal(virtio_pci_create(&t->vpci, t->dev, &host, NULL), 0);
	pci_add(t->pci, 0, virtio_pci_fn(t->vpci));
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		add_area(t, &pci_window_ops, t->pci, areas[i][0], areas[i][1]);
	add_area(t, &pci_ecam_ops, t->pci, 0, PCI_CFG_SIZE + 16);
}

static void pci_down(struct transport *t)
{
	virtio_pci_destroy(t->vpci);
	pci_destroy(t->pci);
}

static void pci_find(struct transport *t)
{
	pci_ecam_ops.write(t->pci, PCI_BASE_ADDRESS_0, 4, WINDOW);
	pci_ecam_ops.write(t->pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_in(t, VIRTIO_PCI_COMMON_NUMQ, 2), t->dev->nr_queues);
}

static u8 pci_status(struct transport *t)
{
	return (u8)pci_in(t, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void pci_set_status(struct transport *t, u8 val)
{
	pci_out(t, VIRTIO_PCI_COMMON_STATUS, 1, val);
}

/* The driver reads it until it is done (virtio 1.2, 4.1.4.3.2), which is soon at most times. */
static void pci_reset(struct transport *t)
{
	pci_set_status(t, 0);
	for (u32 i = 0; i < 100 && pci_status(t); i++)
		sched_yield();
	t_until(!pci_status(t));
}

static void pci_set_features(struct transport *t, u64 features)
{
	for (u32 sel = 0; sel < 2; sel++) {
		pci_out(t, VIRTIO_PCI_COMMON_GFSELECT, 4, sel);
		pci_out(t, VIRTIO_PCI_COMMON_GF, 4, (u32)(features >> 32 * sel));
	}
}

/* Behind the last doorbell there are other registers. */
static void pci_kick(struct transport *t, u32 queue)
{
	if (queue < (MSIX_TABLE - VIRTIO_PCI_KICK) / VIRTIO_PCI_KICK_STEP)
		pci_out(t, VIRTIO_PCI_KICK + queue * VIRTIO_PCI_KICK_STEP, 2, queue);
}

static void pci_select(struct transport *t, u32 queue)
{
	pci_out(t, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
}

static u32 pci_max_size(struct transport *t)
{
	return pci_in(t, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

static bool pci_ready(struct transport *t)
{
	return pci_in(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2);
}

static void pci_set_layout(struct transport *t, const struct virtq_layout *l)
{
	pci_out(t, VIRTIO_PCI_COMMON_Q_SIZE, 2, l->size);
	pci_out(t, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (u32)l->desc);
	pci_out(t, VIRTIO_PCI_COMMON_Q_DESCHI, 4, (u32)(l->desc >> 32));
	pci_out(t, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (u32)l->avail);
	pci_out(t, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, (u32)(l->avail >> 32));
	pci_out(t, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (u32)l->used);
	pci_out(t, VIRTIO_PCI_COMMON_Q_USEDHI, 4, (u32)(l->used >> 32));
	/* Two of them share one. */
	pci_out(t, VIRTIO_PCI_COMMON_Q_MSIX, 2, pci_in(t, VIRTIO_PCI_COMMON_Q_SELECT, 2) / 2);
}

static void pci_set_ready(struct transport *t, bool ready)
{
	pci_out(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2, ready);
}

const struct transport_ops transport_pci = {
	.name = "pci",
	.widest = UINT16_MAX,
	.up = pci_up,
	.down = pci_down,
	.find = pci_find,
	.status = pci_status,
	.set_status = pci_set_status,
	.reset = pci_reset,
	.set_features = pci_set_features,
	.kick = pci_kick,
	.select = pci_select,
	.max_size = pci_max_size,
	.ready = pci_ready,
	.set_layout = pci_set_layout,
	.set_ready = pci_set_ready,
};
