// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostile-device.c - a virtio device as a driver sees it, by either transport
 */
#include "hostile.h"

/* virtio 1.2, 4.2.2 */
#define DEVICE_ID		0x008
#define DEVICE_FEATURES		0x010
#define DEVICE_FEATURES_SEL	0x014
#define DRIVER_FEATURES		0x020
#define DRIVER_FEATURES_SEL	0x024
#define QUEUE_SEL		0x030
#define QUEUE_NUM		0x038
#define QUEUE_READY		0x044
#define QUEUE_NOTIFY		0x050
#define STATUS			0x070
#define QUEUE_DESC		0x080
#define STATUS_OK		0x0b	/* found, driven, features settled */

/* virtio 1.2, 4.1.4.3 */
#define PCI_DEVICE_FEATURE_SEL	0x00
#define PCI_DEVICE_FEATURE	0x04
#define PCI_DRIVER_FEATURE_SEL	0x08
#define PCI_DRIVER_FEATURE	0x0c
#define PCI_STATUS_OFF		0x14
#define PCI_QUEUE_SEL		0x16
#define PCI_QUEUE_SIZE		0x18
#define PCI_QUEUE_VECTOR	0x1a
#define PCI_QUEUE_ENABLE	0x1c
#define PCI_QUEUE_DESC		0x20

uint32_t device_id(const struct device *d)
{
	return d->notify ? (in(d->cfg) >> 16) - 0x1040 : in(d->regs + DEVICE_ID);
}

void device_set_status(const struct device *d, uint32_t v)
{
	if (!d->notify) {
		out(d->regs + STATUS, v);
		return;
	}
	*(volatile uint8_t *)(d->regs + PCI_STATUS_OFF) = (uint8_t)v;
	while (!v && *(volatile uint8_t *)(d->regs + PCI_STATUS_OFF))
		;		/* until it is reset: virtio 1.2, 4.1.4.3.2 */
}

uint32_t device_status(const struct device *d)
{
	return d->notify ? *(volatile uint8_t *)(d->regs + PCI_STATUS_OFF) : in(d->regs + STATUS);
}

void device_set_queue(const struct device *d, uint32_t sel, uint32_t size, const uint64_t at[3])
{
	uint64_t step = d->notify ? 8 : 16;
	uint64_t first = d->regs + (d->notify ? PCI_QUEUE_DESC : QUEUE_DESC);

	if (d->notify) {
		out16(d->regs + PCI_QUEUE_SEL, sel);
		out16(d->regs + PCI_QUEUE_SIZE, size);
		out16(d->regs + PCI_QUEUE_VECTOR, sel);
	} else {
		out(d->regs + QUEUE_SEL, sel);
		out(d->regs + QUEUE_NUM, size);
	}
	for (unsigned i = 0; i < 3; i++) {
		out(first + step * i, (uint32_t)at[i]);
		out(first + step * i + 4, (uint32_t)(at[i] >> 32));
	}
	if (d->notify)
		out16(d->regs + PCI_QUEUE_ENABLE, 1);
	else
		out(d->regs + QUEUE_READY, 1);
}

void device_kick(const struct device *d, uint32_t queue)
{
	if (d->notify)
		out16(d->notify, queue);
	else
		out(d->regs + QUEUE_NOTIFY, queue);
}

bool device_keeps(const struct device *d, uint64_t off)
{
	return (off & ~7UL) != ((d->notify ? PCI_STATUS_OFF : STATUS) & ~7UL);
}

uint64_t device_features(const struct device *d)
{
	uint64_t sel = d->regs + (d->notify ? PCI_DEVICE_FEATURE_SEL : DEVICE_FEATURES_SEL);
	uint64_t features = d->regs + (d->notify ? PCI_DEVICE_FEATURE : DEVICE_FEATURES);
	uint64_t low;

	out(sel, 0);
	low = in(features);
	out(sel, 1);
	return (uint64_t)in(features) << 32 | low;
}

bool device_negotiate(const struct device *d, uint64_t wanted)
{
	uint64_t sel = d->regs + (d->notify ? PCI_DRIVER_FEATURE_SEL : DRIVER_FEATURES_SEL);
	uint64_t features = d->regs + (d->notify ? PCI_DRIVER_FEATURE : DRIVER_FEATURES);

	device_set_status(d, 0);
	device_set_status(d, 3);
	wanted &= device_features(d);
	out(sel, 0);
	out(features, (uint32_t)wanted);
	out(sel, 1);
	out(features, (uint32_t)(wanted >> 32));
	device_set_status(d, STATUS_OK);
	return device_status(d) == STATUS_OK;
}
