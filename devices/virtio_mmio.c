/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_mmio.c - virtio over a page of registers (virtio 1.2, 4.2)
 *
 * The registers are words, and an access of another size or place finds nothing
 * there; the device's configuration, from 0x100 on, is bytes.  An interrupt is an edge:
 * the bit is set, then the line is pulsed, and the driver reads the bit, clears it and
 * looks at its queues, in that order.
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fd.h"

#define MAGIC		0x74726976	/* "virt" */
#define VERSION		2
#define VENDOR		0x4d4d56	/* "VMM" */
#define NO_REGION	UINT32_MAX	/* of shared memory: 4.2.2 */
#define RESET_MS	5000

_Static_assert(VIRTIO_MMIO_KICK == VIRTIO_MMIO_QUEUE_NOTIFY, "the doorbell");

struct virtio_mmio {
	struct virtio	*dev;
	int		irq_fd;
	atomic_uint	irqs;		/* VIRTIO_MMIO_INT_* that were not acknowledged */
	/* Under the device's lock. */
	u32		offered_sel;
	u32		accept_sel;
	u32		queue_sel;
};

/* ---- The driver is told -------------------------------------------------- */

static void interrupt(struct virtio_mmio *mmio, u32 why)
{
	const u64 one = 1;

	atomic_fetch_or(&mmio->irqs, why);
	/* A count at its end is as good as one more. */
	if (write(mmio->irq_fd, &one, sizeof(one)) < 0)
		return;
}

static void queue_irq(struct virtio_queue *q)
{
	interrupt(q->dev->transport_dev, VIRTIO_MMIO_INT_VRING);
}

static int irq_fd(struct virtio_queue *q)
{
	return virtio_mmio_irq_fd(q->dev->transport_dev);
}

static void config_irq(struct virtio *dev)
{
	interrupt(dev->transport_dev, VIRTIO_MMIO_INT_CONFIG);
}

static void was_reset(struct virtio *dev)
{
	struct virtio_mmio *mmio = dev->transport_dev;

	mmio->offered_sel = mmio->accept_sel = mmio->queue_sel = 0;
	atomic_store(&mmio->irqs, 0);
}

static const struct virtio_transport_ops ops = {
	.queue_irq = queue_irq,
	.irq_fd = irq_fd,
	.config_irq = config_irq,
	.was_reset = was_reset,
};

/* ---- Registers: with the device locked ------------------------------------- */

static u32 read_queue(const struct virtio_queue *q, u32 off)
{
	if (!q)
		return 0;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q->max_size;
	case VIRTIO_MMIO_QUEUE_READY:
		return q->ready;
	}
	return 0;
}

/* Who is handed the line sets no bit; that nothing new is in a queue harms nobody. */
static u32 read_irqs(struct virtio_mmio *mmio)
{
	return atomic_load(&mmio->irqs) | (mmio->dev->ops->stop ? VIRTIO_MMIO_INT_VRING : 0);
}

static u32 read_reg(struct virtio_mmio *mmio, u32 off)
{
	struct virtio *dev = mmio->dev;

	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_offered(dev, mmio->offered_sel);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return read_irqs(mmio);
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return NO_REGION;
	}
	return read_queue(virtio_queue(dev, mmio->queue_sel), off);
}

static void write_queue(struct virtio_queue *q, u32 off, u32 val)
{
	if (!q)
		return;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		virtio_queue_set_size(q, val);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		virtio_queue_set_ready(q, val & 1);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_queue_set_addr(q, &q->layout.desc, off % 8 * 8, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		virtio_queue_set_addr(q, &q->layout.avail, off % 8 * 8, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		virtio_queue_set_addr(q, &q->layout.used, off % 8 * 8, val);
		break;
	}
}

/* Drivers go on at once after a reset, without a look at the status. */
static void set_status(struct virtio_mmio *mmio, u32 val)
{
	virtio_set_status(mmio->dev, (u8)val);
	if (!(u8)val)
		virtio_wait_reset(mmio->dev, RESET_MS);
}

static void write_reg(struct virtio_mmio *mmio, u32 off, u32 val)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->offered_sel = val;
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->accept_sel = val;
		return;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_accept(mmio->dev, mmio->accept_sel, val);
		return;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = val;
		return;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_kick(mmio->dev, val);
		return;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&mmio->irqs, ~val);
		return;
	case VIRTIO_MMIO_STATUS:
		set_status(mmio, val);
		return;
	}
	write_queue(virtio_queue(mmio->dev, mmio->queue_sel), off, val);
}

/* ---- From the bus ------------------------------------------------------------- */

static u64 mmio_read(void *arg, u64 off, unsigned int len)
{
	struct virtio_mmio *mmio = arg;
	u64 val = 0;

	pthread_mutex_lock(&mmio->dev->lock);
	if (off >= VIRTIO_MMIO_CONFIG)
		virtio_config_read(mmio->dev, off - VIRTIO_MMIO_CONFIG, &val, len);
	else if (len == 4 && off % 4 == 0)
		val = read_reg(mmio, (u32)off);
	pthread_mutex_unlock(&mmio->dev->lock);
	return val;
}

static void mmio_write(void *arg, u64 off, unsigned int len, u64 val)
{
	struct virtio_mmio *mmio = arg;

	pthread_mutex_lock(&mmio->dev->lock);
	if (off >= VIRTIO_MMIO_CONFIG)
		virtio_config_write(mmio->dev, off - VIRTIO_MMIO_CONFIG, &val, len);
	else if (len == 4 && off % 4 == 0)
		write_reg(mmio, (u32)off, (u32)val);
	pthread_mutex_unlock(&mmio->dev->lock);
}

const struct bus_ops virtio_mmio_bus_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

/* ---- From the machine ----------------------------------------------------------- */

int virtio_mmio_create(struct virtio_mmio **out, struct virtio *dev, struct vmm_error *err)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));
	int ret;

	if (!mmio)
		return error_set(err, -ENOMEM, "%s: no memory", dev->name);
	mmio->dev = dev;
	mmio->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mmio->irq_fd < 0) {
		ret = error_sys(err, -errno, "%s: eventfd", dev->name);
		free(mmio);
		return ret;
	}
	dev->transport = &ops;
	dev->transport_dev = mmio;
	*out = mmio;
	return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	if (!mmio)
		return;
	fd_close(&mmio->irq_fd);
	free(mmio);
}

int virtio_mmio_irq_fd(const struct virtio_mmio *mmio)
{
	return mmio->irq_fd;
}

/* Documentation/devicetree/bindings/virtio/mmio.yaml */
void virtio_mmio_tree(struct tree *t, gpa_t base, u32 spi)
{
	tree_begin(t, "virtio_mmio@%llx", (unsigned long long)base);
	tree_string(t, "compatible", "virtio,mmio");
	tree_reg(t, base, VIRTIO_MMIO_SIZE);
	tree_cells(t, "interrupts", GIC_SPI, spi, IRQ_EDGE);
	tree_empty(t, "dma-coherent");
	tree_end(t);
}
