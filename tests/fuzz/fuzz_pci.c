/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_pci.c - a guest that does anything to configuration space, BARs and MSI-X
 *
 * Three functions on one bus.  What they are stays what it is; a BAR is where its registers
 * say, and inside of the window; and an interrupt is the message that the table has, one
 * that waits, or a level.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include "devices/pci.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "tests/fuzz/input.h"
#include "tests/unit/driver.h"
#include "vmm/bus.h"

#define NR	3
#define WINDOW	0x50000000ull
#define SIZE	KIB(256)
#define BAR	KIB(16)
#define TABLE	0x3000
#define PBA	0x3800
#define STEPS	200

struct fn {
	struct virtio		*dev;
	struct virtio_pci	*vpci;
	u64			bar;		/* as it was told */
	u8			first[PCI_CFG_SIZE];
	u32			msix;		/* its capability */
	u32			nr_sent;
	u64			addr;
	u32			data;
	bool			line;
	struct tied {
		int	fd;		/* 0: it is not */
		u64	addr;
		u32	data;
	} tied[2];
};

static struct driver driver;		/* for its memory and loop alone */
static struct fn fns[NR];
static struct pci *pci;
static bool ties;			/* the host has messages sent by eventfds */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	driver_open(&driver, 1);
	return 0;
}

static void on_message(void *ctx, u32 requester, u64 addr, u32 data)
{
	struct fn *fn = ctx;

	must(requester == (u32)(fn - fns) << 3);
	fn->nr_sent++;
	fn->addr = addr;
	fn->data = data;
}

static bool on_tie(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	struct fn *fn = ctx;
	struct tied *t = &fn->tied[nr % 2];

	must(nr / 2 == (u32)(fn - fns) && requester == nr / 2 << 3 && fd > 0 && !t->fd);
	if (ties)
		*t = (struct tied){ fd, addr, data };
	return ties;
}

/* What was rung is sent. */
static void send_rung(struct fn *fn)
{
	for (u32 i = 0; i < ARRAY_SIZE(fn->tied); i++) {
		struct tied *t = &fn->tied[i];
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		u64 nr;

		if (!t->fd || poll(&p, 1, 0) != 1)
			continue;
		must(read(t->fd, &nr, sizeof(nr)) == sizeof(nr));
		fn->nr_sent += (u32)nr;
		fn->addr = t->addr;
		fn->data = t->data;
	}
}

static void on_untie(void *ctx, u32 nr, int fd)
{
	struct fn *fn = ctx;

	must(nr / 2 == (u32)(fn - fns) && fd == fn->tied[nr % 2].fd);
	send_rung(fn);
	fn->tied[nr % 2].fd = 0;
}

static void on_line(void *ctx, u32 nr, bool level)
{
	must(ctx == &fns[nr]);
	fns[nr].line = level;
}

static void on_moved(void *ctx, struct virtio *dev, u64 from, u64 to)
{
	struct fn *fn = ctx;

	must(dev == fn->dev && from == fn->bar && to != from);
	fn->bar = to;
}

/* ---- What the guest reads ----------------------------------------------------------- */

static u32 cfg(u32 slot, u32 off, unsigned int len)
{
	return (u32)pci_ecam_ops.read(pci, slot << 15 | off, len);
}

/* Straight from the function, wherever its BAR is. */
static u64 reg(const struct fn *fn, u64 off, unsigned int len)
{
	const struct pci_fn *p = virtio_pci_fn(fn->vpci);

	return p->ops->read(p->ctx, off, len);
}

static u32 find_msix(u32 slot)
{
	u32 at = cfg(slot, PCI_CAPABILITY_LIST, 1);

	for (u32 i = 0; i < 48; i++, at = cfg(slot, at + PCI_CAP_LIST_NEXT, 1)) {
		must(at >= 0x40 && at < PCI_CFG_SIZE);
		if (cfg(slot, at, 1) == PCI_CAP_ID_MSIX)
			return at;
	}
	must(!"a capability of MSI-X");
	return 0;
}

static void check(struct fn *fn)
{
	const struct pci_fn *p = virtio_pci_fn(fn->vpci);
	u32 slot = (u32)(fn - fns);
	u64 at = cfg(slot, PCI_BASE_ADDRESS_0, 4);
	bool inside = at >= WINDOW && at + BAR <= WINDOW + SIZE;

	must(!(at % BAR));
	must(fn->bar == (cfg(slot, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY && inside ? at : PCI_NO_BAR));
	for (u32 i = 0; i < PCI_CFG_SIZE; i++)
		must(!((p->cfg[i] ^ fn->first[i]) & ~p->writable[i] & (i == PCI_STATUS ? ~PCI_STATUS_INTERRUPT : ~0)));
	/* Of BARs over one another that of the first function answers. */
	if (fn->bar != PCI_NO_BAR && fn == &fns[0])
		must(pci_window_ops.read(pci, fn->bar - WINDOW + TABLE, 8) == reg(fn, TABLE, 8));
}

/* ---- Interrupts ------------------------------------------------------------------------ */

static void check_vector(struct fn *fn, u16 vector, u32 before, bool line_before)
{
	u32 control = cfg((u32)(fn - fns), fn->msix + PCI_MSIX_FLAGS, 2);
	bool masked;

	if (!(control & PCI_MSIX_FLAGS_ENABLE)) {
		must(fn->nr_sent == before);
		must(fn->line == !(cfg((u32)(fn - fns), PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE));
		return;
	}
	must(fn->line == line_before && !fn->line);
	if (vector >= fn->dev->nr_queues + 1) {
		must(fn->nr_sent == before);
		return;
	}
	masked = control & PCI_MSIX_FLAGS_MASKALL || reg(fn, TABLE + vector * 16u + 12, 4) & 1;
	must(fn->nr_sent == before + !masked);
	must(!!(reg(fn, PBA, 8) >> vector & 1) == masked);
	if (!masked)
		must(fn->addr == reg(fn, TABLE + vector * 16u, 8) && fn->data == reg(fn, TABLE + vector * 16u + 8, 4));
}

static void interrupt(struct fn *fn, bool config)
{
	struct virtio_queue *q = &fn->dev->queues[0];
	u32 before;
	bool line = fn->line;
	u16 vector;

	send_rung(fn);
	before = fn->nr_sent;
	if (config) {
		vector = (u16)reg(fn, VIRTIO_PCI_COMMON_MSIX, 2);
		pthread_mutex_lock(&fn->dev->lock);
		fn->dev->transport->config_irq(fn->dev);
		pthread_mutex_unlock(&fn->dev->lock);
	} else {
		vector = q->vector;
		fn->dev->transport->queue_irq(q);
	}
	send_rung(fn);
	check_vector(fn, vector, before, line);
}

/* ---- What the guest does ------------------------------------------------------------------ */

static u64 value(struct input *in, u8 how, unsigned int len)
{
	u64 val = how & 0x80 ? input_u64(in) : input_u8(in);

	return len < 8 ? val & ((1ull << 8 * len) - 1) : val;
}

static void step(struct input *in)
{
	u8 op = input_u8(in);
	u8 how = input_u8(in);
	unsigned int len = 1u << how % 4;
	struct fn *fn = &fns[(how >> 2) % NR];
	u32 slot = (u32)(fn - fns);
	u64 off;

	switch (op % 8) {
	case 0:
		off = input_u8(in) & ~(len - 1);
		pci_ecam_ops.write(pci, slot << 15 | off, len, value(in, how, len));
		break;
	case 1:		/* ... anywhere */
		off = (u64)input_bytes(in, 3) & (PCI_ECAM_SIZE - 1) & ~(u64)(len - 1);
		pci_ecam_ops.read(pci, off, len);
		pci_ecam_ops.write(pci, off, len, value(in, how, len));
		break;
	case 2:
		off = (u64)input_bytes(in, 3) % SIZE & ~(u64)(len - 1);
		pci_window_ops.read(pci, off, len);
		pci_window_ops.write(pci, off, len, value(in, how, len));
		break;
	case 3:		/* inside of a function */
		off = input_u16(in) % BAR & ~(u64)(len - 1);
		if (op & 8)
			off = TABLE + off % 64;
		virtio_pci_fn(fn->vpci)->ops->write(fn->vpci, off, len, value(in, how, len));
		break;
	case 4:
		pci_ecam_ops.write(pci, slot << 15 | PCI_BASE_ADDRESS_0, 4, WINDOW + (u64)input_u8(in) * KIB(4));
		pci_ecam_ops.write(pci, slot << 15 | PCI_COMMAND, 2, op >> 3);
		break;
	case 5:
		pci_ecam_ops.write(pci, slot << 15 | (fn->msix + PCI_MSIX_FLAGS), 2, (u64)op << 11);
		break;
	case 6:
		interrupt(fn, op & 8);
		break;
	case 7:
		reg(fn, input_u16(in) % BAR & ~(u64)(len - 1), len);
		break;
	}
}

static void up(struct fn *fn)
{
	u32 slot = (u32)(fn - fns);
	const struct virtio_pci_host host = {
		.ctx = fn, .intx = { .set = on_line, .ctx = fn, .nr = slot },
		.send = on_message, .tie = on_tie, .untie = on_untie, .first_message = 2 * slot,
		.moved = on_moved,
	};

	*fn = (struct fn){ .bar = PCI_NO_BAR };
	must(!virtio_rng_create(&fn->dev, &driver.env, slot, getrandom, NULL));
	must(!virtio_pci_create(&fn->vpci, fn->dev, &host, NULL));
	pci_add(pci, slot, virtio_pci_fn(fn->vpci));
	fn->msix = find_msix(slot);
	memcpy(fn->first, virtio_pci_fn(fn->vpci)->cfg, sizeof(fn->first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	ties = input_u8(&in) & 1;
	must(!pci_create(&pci, WINDOW, SIZE, NULL));
	for (u32 i = 0; i < NR; i++)
		up(&fns[i]);
	for (u32 i = 0; i < STEPS && in.left; i++) {
		step(&in);
		for (u32 n = 0; n < NR; n++)
			check(&fns[n]);
	}
	driver_turn(&driver);
	for (u32 i = 0; i < NR; i++) {
		virtio_destroy(fns[i].dev);
		virtio_pci_destroy(fns[i].vpci);
		must(!fns[i].tied[0].fd && !fns[i].tied[1].fd);
	}
	pci_destroy(pci);
	return 0;
}
