/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_pci.c - virtio as a PCI function (virtio 1.2, 4.1)
 *
 * One BAR has it all: a page each for the common registers and the device's own, for
 * doorbells, and for messages (MSI-X).  What is masked is noted, and sent when it no
 * longer is.  A vector has an eventfd, which the machine ties to its message when there is
 * the first one to send, and unties when the driver changes or masks it.  While it is
 * tied, to ring it is to send; also for who serves the rings of a device elsewhere, whose
 * rings of an untied one are read here.  Without messages there is INTx: a level, taken
 * back by a read of the ISR, for whose sake every interrupt takes an exit anyway.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/pci.h"
#include "devices/virtio.h"
#include "devices/virtio_pci.h"
#include "vmm/error.h"
#include "vmm/fd.h"

#define COMMON		0x0000
#define ISR		0x0800
#define CONFIG		0x1000
#define KICK		VIRTIO_PCI_KICK
#define MSIX_TABLE	0x3000
#define MSIX_PBA	0x3800
#define BAR_SIZE	0x4000
#define REGION_SIZE	0x800		/* of common and of MSI-X's two */

#define ISR_QUEUE	1
#define ISR_CONFIG	2
#define MAX_VECTORS	(VIRTIO_MAX_QUEUES + 1)
#define MSIX_ENTRY	16
#define NO_VECTOR	VIRTIO_MSI_NO_VECTOR
#define VENDOR		0x1af4
#define DEVICE		0x1040		/* and the device's number: 4.1.2.1 */

struct message {
	u64	addr;
	u32	data;
	u32	masked;		/* the register: bit 0 */
};

struct vector {
	struct virtio_pci	*vpci;
	u16			nr;
	int			fd;		/* eventfd */

	/* Under .vpci->lock. */
	bool			pending;
	bool			tied;		/* .fd to the message */

	/* For rings that are served elsewhere: on the loop of queue 0. */
	struct loop		*loop;
	u64			count;		/* read from .fd */
	struct loop_io		io;
};

struct virtio_pci {
	struct virtio		*dev;
	struct virtio_pci_host	host;
	struct pci_fn		fn;
	u32			msix_cap;	/* where they are in .fn.cfg */
	u32			window_cap;
	u32			nr_vectors;
	struct vector		*vectors;	/* and one more: INTx of rings served elsewhere */

	/* Under the device's lock. */
	u32			offered_sel;
	u32			accept_sel;
	u16			queue_sel;
	u16			config_vector;

	pthread_mutex_t		lock;		/* of what follows; after the device's */
	bool			msix;		/* on ... */
	bool			all_masked;
	bool			intx_disabled;
	u8			isr;
	struct message		table[MAX_VECTORS];
};

/* ---- The driver is told: with .lock held -------------------------------------- */

static void update_intx(struct virtio_pci *vpci)
{
	irq_line_set(&vpci->host.intx, vpci->isr && !vpci->msix && !vpci->intx_disabled);
}

static bool may_send(const struct virtio_pci *vpci, u32 nr)
{
	return vpci->msix && !vpci->all_masked && !(vpci->table[nr].masked & 1);
}

static void untie(struct vector *v)
{
	struct virtio_pci *vpci = v->vpci;

	if (v->tied)
		vpci->host.untie(vpci->host.ctx, vpci->host.first_message + v->nr, v->fd);
	v->tied = false;
}

static void send(struct vector *v)
{
	const struct virtio_pci_host *host = &v->vpci->host;
	const struct message *m = &v->vpci->table[v->nr];
	u32 requester = pci_requester(&v->vpci->fn);
	const u64 one = 1;

	if (!v->tied)
		v->tied = host->tie(host->ctx, host->first_message + v->nr, v->fd, requester,
				    m->addr, m->data);
	/* It is taken at once, so the count does not grow. */
	if (!v->tied || write(v->fd, &one, sizeof(one)) < 0)
		host->send(host->ctx, requester, m->addr, m->data);
}

static void try_send(struct virtio_pci *vpci, u32 nr)
{
	struct vector *v = &vpci->vectors[nr];

	v->pending = !may_send(vpci, nr);
	if (!v->pending)
		send(v);
}

/* The registers have changed. */
static void settle(struct virtio_pci *vpci, u32 nr)
{
	struct vector *v = &vpci->vectors[nr];

	if (!may_send(vpci, nr))
		untie(v);
	else if (v->pending)
		try_send(vpci, nr);
}

static void settle_all(struct virtio_pci *vpci)
{
	for (u32 i = 0; i < vpci->nr_vectors; i++)
		settle(vpci, i);
}

static void interrupt(struct virtio_pci *vpci, u16 vector, u8 why)
{
	pthread_mutex_lock(&vpci->lock);
	if (vpci->msix) {
		if (vector < vpci->nr_vectors)
			try_send(vpci, vector);
	} else {
		vpci->isr |= why;
		update_intx(vpci);
	}
	pthread_mutex_unlock(&vpci->lock);
}

static void queue_irq(struct virtio_queue *q)
{
	interrupt(q->dev->transport_dev, q->vector, ISR_QUEUE);
}

static void arm(struct vector *v)
{
	loop_read(v->loop, &v->io, v->fd, &v->count, sizeof(v->count), 0);
}

/*
 * Nobody else has taken the ring, so it is untied.  What comes after a reset is one
 * interrupt too many, which drivers live with.
 */
static void on_ring(struct loop_io *io, int res)
{
	struct vector *v = io->arg;

	if (res > 0 || res == -ECANCELED || res == -EINTR)
		arm(v);
	if (res > 0)
		interrupt(v->vpci, v->nr, ISR_QUEUE);
}

static int irq_fd(struct virtio_queue *q)
{
	struct virtio_pci *vpci = q->dev->transport_dev;
	u32 nr = q->vector < vpci->nr_vectors ? q->vector : vpci->nr_vectors;
	struct vector *v = &vpci->vectors[nr];

	if (!v->io.busy)
		arm(v);
	return v->fd;
}

static void config_irq(struct virtio *dev)
{
	struct virtio_pci *vpci = dev->transport_dev;

	interrupt(vpci, vpci->config_vector, ISR_CONFIG);
}

static void was_reset(struct virtio *dev)
{
	struct virtio_pci *vpci = dev->transport_dev;

	vpci->offered_sel = vpci->accept_sel = vpci->queue_sel = 0;
	vpci->config_vector = NO_VECTOR;
	pthread_mutex_lock(&vpci->lock);
	vpci->isr = 0;
	for (u32 i = 0; i < vpci->nr_vectors; i++)
		vpci->vectors[i].pending = false;
	update_intx(vpci);
	pthread_mutex_unlock(&vpci->lock);
}

static const struct virtio_transport_ops ops = {
	.queue_irq = queue_irq,
	.irq_fd = irq_fd,
	.config_irq = config_irq,
	.was_reset = was_reset,
};

/* ---- Common registers (4.1.4.3): with the device locked -------------------------- */

/* The width of each; halves of the addresses are registers of their own. */
static unsigned int width(u32 off)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_GFSELECT:
	case VIRTIO_PCI_COMMON_GF:
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return 4;
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 2;
	}
	return 0;
}

static u32 half(gpa_t addr, u32 off)
{
	return (u32)(addr >> off % 8 * 8);
}

static u32 read_queue(const struct virtio_queue *q, u32 off)
{
	if (!q)
		return off == VIRTIO_PCI_COMMON_Q_MSIX ? NO_VECTOR : 0;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->layout.size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->ready;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return q->index;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half(q->layout.desc, off);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half(q->layout.avail, off);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half(q->layout.used, off);
	}
	return 0;
}

static u32 read_common(struct virtio_pci *vpci, u32 off)
{
	struct virtio *dev = vpci->dev;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vpci->offered_sel;
	case VIRTIO_PCI_COMMON_DF:
		return virtio_offered(dev, vpci->offered_sel);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vpci->accept_sel;
	case VIRTIO_PCI_COMMON_GF:
		return vpci->accept_sel < 2 ? (u32)(dev->features >> 32 * vpci->accept_sel) : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return vpci->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return dev->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return (u8)dev->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vpci->queue_sel;
	}
	return read_queue(virtio_queue(dev, vpci->queue_sel), off);
}

static u16 vector_or_none(const struct virtio_pci *vpci, u32 val)
{
	return val < vpci->nr_vectors ? (u16)val : NO_VECTOR;
}

static void write_queue(struct virtio_pci *vpci, struct virtio_queue *q, u32 off, u32 val)
{
	if (!q)
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		virtio_queue_set_size(q, val);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		/* The queue's thread reads it while the device runs. */
		if (virtio_queue_open(q))
			q->vector = vector_or_none(vpci, val);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (val == 1)
			virtio_queue_set_ready(q, true);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		virtio_queue_set_addr(q, &q->layout.desc, off % 8 * 8, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		virtio_queue_set_addr(q, &q->layout.avail, off % 8 * 8, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		virtio_queue_set_addr(q, &q->layout.used, off % 8 * 8, val);
		break;
	}
}

static void write_common(struct virtio_pci *vpci, u32 off, u32 val)
{
	struct virtio *dev = vpci->dev;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vpci->offered_sel = val;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vpci->accept_sel = val;
		return;
	case VIRTIO_PCI_COMMON_GF:
		virtio_accept(dev, vpci->accept_sel, val);
		return;
	case VIRTIO_PCI_COMMON_MSIX:
		vpci->config_vector = vector_or_none(vpci, val);
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		/* Drivers read it until it is 0. */
		virtio_set_status(dev, (u8)val);
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vpci->queue_sel = (u16)val;
		return;
	}
	write_queue(vpci, virtio_queue(dev, vpci->queue_sel), off, val);
}

/* ---- MSI-X (PCI Express, 7.7.2): with .lock held ------------------------------------ */

static u64 read_table(const struct virtio_pci *vpci, u32 off, unsigned int len)
{
	u64 val = 0;

	if ((len == 4 || len == 8) && off % len == 0 && off < vpci->nr_vectors * MSIX_ENTRY)
		memcpy(&val, (const u8 *)vpci->table + off, len);
	return val;
}

static void write_table(struct virtio_pci *vpci, u32 off, unsigned int len, u64 val)
{
	u32 nr = off / MSIX_ENTRY;
	struct message was;

	_Static_assert(sizeof(struct message) == MSIX_ENTRY, "an entry of the table");

	if ((len != 4 && len != 8) || off % len || nr >= vpci->nr_vectors)
		return;
	was = vpci->table[nr];
	memcpy((u8 *)vpci->table + off, &val, len);
	vpci->table[nr].masked &= 1;
	if (memcmp(&was, &vpci->table[nr], sizeof(was)))
		untie(&vpci->vectors[nr]);
	settle(vpci, nr);
}

static u64 read_pba(const struct virtio_pci *vpci, u32 off, unsigned int len)
{
	u64 val = 0;

	for (u32 i = 0; i < len * 8; i++)
		if (off * 8 + i < vpci->nr_vectors && vpci->vectors[off * 8 + i].pending)
			val |= 1ull << i;
	return val;
}

static u8 take_isr(struct virtio_pci *vpci)
{
	u8 isr = vpci->isr;

	vpci->isr = 0;
	update_intx(vpci);
	return isr;
}

/* ---- The BAR ---------------------------------------------------------------------------- */

static u64 read_locked(struct virtio_pci *vpci, u32 off, unsigned int len)
{
	u64 val = 0;

	pthread_mutex_lock(&vpci->lock);
	if (off >= MSIX_PBA)
		val = read_pba(vpci, off - MSIX_PBA, len);
	else if (off >= MSIX_TABLE)
		val = read_table(vpci, off - MSIX_TABLE, len);
	else if (off == ISR)
		val = take_isr(vpci);
	pthread_mutex_unlock(&vpci->lock);
	return val;
}

static u64 bar_read(void *ctx, u64 off, unsigned int len)
{
	struct virtio_pci *vpci = ctx;
	u64 val = 0;

	if (off >= MSIX_TABLE || (off >= ISR && off < CONFIG))
		return read_locked(vpci, (u32)off, len);
	pthread_mutex_lock(&vpci->dev->lock);
	if (off < ISR && len == width((u32)off))
		val = read_common(vpci, (u32)off);
	else if (off >= CONFIG && off < KICK)
		virtio_config_read(vpci->dev, off - CONFIG, &val, len);
	pthread_mutex_unlock(&vpci->dev->lock);
	return val;
}

static void bar_write(void *ctx, u64 off, unsigned int len, u64 val)
{
	struct virtio_pci *vpci = ctx;

	if (off >= MSIX_TABLE) {
		pthread_mutex_lock(&vpci->lock);
		if (off < MSIX_PBA)
			write_table(vpci, (u32)off - MSIX_TABLE, len, val);
		pthread_mutex_unlock(&vpci->lock);
	} else if (off >= KICK) {
		virtio_kick(vpci->dev, (u32)(off - KICK) / VIRTIO_PCI_KICK_STEP);
	} else {
		pthread_mutex_lock(&vpci->dev->lock);
		if (off < ISR && len == width((u32)off))
			write_common(vpci, (u32)off, (u32)val);
		else if (off >= CONFIG)
			virtio_config_write(vpci->dev, off - CONFIG, &val, len);
		pthread_mutex_unlock(&vpci->dev->lock);
	}
}

/* ---- Configuration space: with the bridge locked -------------------------------------------- */

/*
 * The BAR by way of configuration space (4.1.4.9), for who cannot reach it.  Where the
 * window makes no sense there is nothing.
 */
static bool window_of(const struct pci_fn *fn, u32 cap, u32 *off, u32 *len)
{
	const u8 *cfg = fn->cfg + cap;

	*off = pci_get32(cfg, VIRTIO_PCI_CAP_OFFSET);
	*len = pci_get32(cfg, VIRTIO_PCI_CAP_LENGTH);
	return !cfg[VIRTIO_PCI_CAP_BAR] && (*len == 1 || *len == 2 || *len == 4) &&
	       *off % *len == 0 && *off <= BAR_SIZE - *len;
}

static bool touches(u32 off, unsigned int len, u32 reg)
{
	return off < reg + 4 && reg < off + len;
}

static void cfg_read(struct pci_fn *fn, u32 off, unsigned int len)
{
	struct virtio_pci *vpci = fn->ctx;
	u32 data = vpci->window_cap + sizeof(struct virtio_pci_cap);
	u32 at;
	u32 n;

	pthread_mutex_lock(&vpci->lock);
	fn->cfg[PCI_STATUS] = (u8)(PCI_STATUS_CAP_LIST |
				   (vpci->isr && !vpci->msix ? PCI_STATUS_INTERRUPT : 0));
	pthread_mutex_unlock(&vpci->lock);
	if (touches(off, len, data) && window_of(fn, vpci->window_cap, &at, &n))
		pci_set32(fn->cfg, data, (u32)bar_read(vpci, at, n));
}

static void cfg_written(struct pci_fn *fn, u32 off, unsigned int len)
{
	struct virtio_pci *vpci = fn->ctx;
	u32 data = vpci->window_cap + sizeof(struct virtio_pci_cap);
	u16 control = pci_get16(fn->cfg, vpci->msix_cap + PCI_MSIX_FLAGS);
	u32 at;
	u32 n;

	pthread_mutex_lock(&vpci->lock);
	vpci->msix = control & PCI_MSIX_FLAGS_ENABLE;
	vpci->all_masked = control & PCI_MSIX_FLAGS_MASKALL;
	vpci->intx_disabled = pci_get16(fn->cfg, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
	settle_all(vpci);
	update_intx(vpci);
	pthread_mutex_unlock(&vpci->lock);
	if (touches(off, len, data) && window_of(fn, vpci->window_cap, &at, &n))
		bar_write(vpci, at, n, n < 4 ? pci_get32(fn->cfg, data) & ((1u << n * 8) - 1) :
					       pci_get32(fn->cfg, data));
}

static void moved(struct pci_fn *fn, u64 from, u64 to)
{
	struct virtio_pci *vpci = fn->ctx;

	vpci->host.moved(vpci->host.ctx, vpci->dev, from, to);
}

static const struct pci_fn_ops fn_ops = {
	.read = bar_read,
	.write = bar_write,
	.cfg_read = cfg_read,
	.cfg_written = cfg_written,
	.moved = moved,
};

/* Where a structure is: 4.1.4. */
static u32 add_cap(struct virtio_pci *vpci, u8 type, u32 off, u32 len, u32 more)
{
	u32 size = (u32)sizeof(struct virtio_pci_cap) + more;
	u32 at = pci_add_cap(&vpci->fn, PCI_CAP_ID_VNDR, size);
	u8 *cfg = vpci->fn.cfg + at;

	cfg[VIRTIO_PCI_CAP_LEN] = (u8)size;
	cfg[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	pci_set32(cfg, VIRTIO_PCI_CAP_OFFSET, off);
	pci_set32(cfg, VIRTIO_PCI_CAP_LENGTH, len);
	return at;
}

static void add_msix(struct virtio_pci *vpci)
{
	u8 *cfg;

	vpci->msix_cap = pci_add_cap(&vpci->fn, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	cfg = vpci->fn.cfg + vpci->msix_cap;
	pci_set16(cfg, PCI_MSIX_FLAGS, (u16)(vpci->nr_vectors - 1));
	pci_set32(cfg, PCI_MSIX_TABLE, MSIX_TABLE);
	pci_set32(cfg, PCI_MSIX_PBA, MSIX_PBA);
	pci_set16(vpci->fn.writable, vpci->msix_cap + PCI_MSIX_FLAGS,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void add_caps(struct virtio_pci *vpci)
{
	u32 notify;
	u8 *may;

	add_msix(vpci);
	add_cap(vpci, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, ISR - COMMON, 0);
	add_cap(vpci, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1, 0);
	add_cap(vpci, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG, KICK - CONFIG, 0);
	notify = add_cap(vpci, VIRTIO_PCI_CAP_NOTIFY_CFG, KICK,
			 vpci->dev->nr_queues * VIRTIO_PCI_KICK_STEP, 4);
	pci_set32(vpci->fn.cfg, notify + VIRTIO_PCI_NOTIFY_CAP_MULT, VIRTIO_PCI_KICK_STEP);
	vpci->window_cap = add_cap(vpci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4);
	may = vpci->fn.writable + vpci->window_cap;
	may[VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(may + VIRTIO_PCI_CAP_OFFSET, 0xff, 4);
	memset(may + VIRTIO_PCI_CAP_LENGTH, 0xff, 4);
	memset(may + sizeof(struct virtio_pci_cap), 0xff, 4);
}

/* Base and sub-class, for who looks at devices by their kind. */
static u16 class_of(u32 id)
{
	switch (id) {
	case VIRTIO_ID_NET:
		return 0x0200;
	case VIRTIO_ID_BLOCK:
		return 0x0180;
	case VIRTIO_ID_CONSOLE:
		return 0x0780;
	}
	return 0xff00;
}

static int vectors_up(struct virtio_pci *vpci)
{
	vpci->vectors = calloc(vpci->nr_vectors + 1, sizeof(*vpci->vectors));
	if (!vpci->vectors)
		return -ENOMEM;
	for (u32 i = 0; i <= vpci->nr_vectors; i++)
		vpci->vectors[i] = (struct vector){
			.vpci = vpci, .nr = (u16)i, .fd = -1, .loop = vpci->dev->queues[0].loop,
			.io = { .done = on_ring, .arg = &vpci->vectors[i] },
		};
	for (u32 i = 0; i < vpci->nr_vectors + !!vpci->dev->ops->stop; i++) {
		struct vector *v = &vpci->vectors[i];

		/* It can block, for io_uring to wait on it rather than to fail. */
		v->fd = eventfd(0, EFD_CLOEXEC);
		if (v->fd < 0)
			return -errno;
	}
	return 0;
}

static void vectors_down(struct virtio_pci *vpci)
{
	for (u32 i = 0; vpci->vectors && i <= vpci->nr_vectors; i++) {
		loop_cancel(vpci->vectors[i].loop, &vpci->vectors[i].io);
		untie(&vpci->vectors[i]);
		fd_close(&vpci->vectors[i].fd);
	}
	free(vpci->vectors);
}

int virtio_pci_create(struct virtio_pci **out, struct virtio *dev,
		      const struct virtio_pci_host *host, struct vmm_error *err)
{
	struct virtio_pci *vpci = calloc(1, sizeof(*vpci));
	u8 *cfg;
	int ret;

	if (!vpci)
		return error_set(err, -ENOMEM, "%s: no memory", dev->name);
	vpci->dev = dev;
	vpci->host = *host;
	vpci->config_vector = NO_VECTOR;
	vpci->nr_vectors = dev->nr_queues + 1;
	for (u32 i = 0; i < vpci->nr_vectors; i++)
		vpci->table[i].masked = 1;
	pthread_mutex_init(&vpci->lock, NULL);
	vpci->fn.ops = &fn_ops;
	vpci->fn.ctx = vpci;
	vpci->fn.bar_size = BAR_SIZE;
	cfg = vpci->fn.cfg;
	pci_set16(cfg, PCI_VENDOR_ID, VENDOR);
	pci_set16(cfg, PCI_DEVICE_ID, (u16)(DEVICE + dev->ops->id));
	cfg[PCI_REVISION_ID] = 1;
	pci_set16(cfg, PCI_CLASS_DEVICE, class_of(dev->ops->id));
	pci_set16(cfg, PCI_SUBSYSTEM_VENDOR_ID, VENDOR);
	pci_set16(cfg, PCI_SUBSYSTEM_ID, (u16)(DEVICE + dev->ops->id));
	add_caps(vpci);
	ret = vectors_up(vpci);
	if (ret) {
		virtio_pci_destroy(vpci);
		return error_sys(err, ret, "%s: eventfd", dev->name);
	}
	dev->transport = &ops;
	dev->transport_dev = vpci;
	*out = vpci;
	return 0;
}

void virtio_pci_destroy(struct virtio_pci *vpci)
{
	if (!vpci)
		return;
	vectors_down(vpci);
	pthread_mutex_destroy(&vpci->lock);
	free(vpci);
}

struct pci_fn *virtio_pci_fn(struct virtio_pci *vpci)
{
	return &vpci->fn;
}
