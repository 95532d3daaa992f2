/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_virtio.c - a driver that does anything, to each virtio device behind each transport
 *
 * The first byte chooses device and transport, rows of victims.c and of the table below; the
 * rest is what the guest does: register accesses, rings and buffers, well-formed or not, kicks and
 * resets, and in between the I/O loop runs or does not; rings are split or packed, as it
 * negotiates.  What is served elsewhere a thread serves, which looks at what it is given.  In the
 * end a reset has to mend the device, whatever was done to it: one good request is served.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "devices/pci.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "devices/virtio_pci.h"
#include "tests/fuzz/input.h"
#include "tests/unit/victims.h"
#include "vmm/bus.h"

#define BASE		GIB(2)
#define RAM		MIB(1)
#define RING(i)		(BASE + (u64)(i) * KIB(16))
#define DATA		(BASE + KIB(128))
#define TABLE		(BASE + KIB(192))
#define USED_RAM	KIB(256)		/* what is cleared in between */
#define MAX_QUEUES	8
#define PATIENCE	10			/* seconds */
#define STEPS		400
#define WINDOW		0x50000000ull
#define BAR		KIB(16)

struct port {
	const struct bus_ops	*ops;
	void			*dev;
	u64			size;
};

struct rig {
	struct virtio_env	env;
	struct virtio		*dev;
	void			*transport;
	struct pci		*pci;
	struct port		ports[4];
	u32			nr_ports;
	u16			next_desc[MAX_QUEUES];
	u16			next_slot[MAX_QUEUES];	/* of a packed ring, the round above it */
	u32			nr_broken;
};

static struct gmem ram;
static struct rig rig;

/* ---- What the guest has in memory ------------------------------------------------ */

static gpa_t choose_addr(struct input *in)
{
	u8 kind = input_u8(in);

	if (kind == 0xff)
		return input_u64(in);
	if (kind >= 0xf0)
		return BASE + RAM - kind % 16;
	if (kind >= 0xe0)
		return RING(kind % MAX_QUEUES) + input_u16(in) % KIB(16);
	return DATA + input_u16(in);
}

static struct virtio_queue *choose_queue(struct input *in)
{
	return &rig.dev->queues[input_u8(in) % rig.dev->nr_queues];
}

/* The rings are where bring_up() puts them, or this writes somewhere else in RAM. */
static struct vring_desc *desc(struct virtio_queue *q, u32 i)
{
	return (struct vring_desc *)gmem_host(&ram, RING(q->index % MAX_QUEUES), KIB(5)) + i % 256;
}

static struct vring_avail *avail(struct virtio_queue *q)
{
	return gmem_host(&ram, RING(q->index % MAX_QUEUES) + KIB(5), KIB(5));
}

static struct vring_used *used(struct virtio_queue *q)
{
	return gmem_host(&ram, RING(q->index % MAX_QUEUES) + 2 * KIB(5), KIB(5));
}

static u32 ring_mask(const struct virtio_queue *q)
{
	return (is_power_of_2(q->layout.size) && q->layout.size <= 256 ? q->layout.size : 8) - 1;
}

#define ROUND	(1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* A packed ring is where the table is, with as many slots as the mask says or more. */
static void put_slot(struct virtio_queue *q, gpa_t addr, u32 len, u16 flags, u16 id)
{
	u16 *next = &rig.next_slot[q->index % MAX_QUEUES];
	const bool first = !(*next & ROUND);
	struct vring_packed_desc d = { .addr = addr, .len = len, .id = id, .flags = flags };

	d.flags |= first ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
	memcpy(desc(q, *next & (ROUND - 1)), &d, sizeof(d));
	*next = (*next & (ROUND - 1)) < ring_mask(q) ? *next + 1u : first ? ROUND : 0;
}

static bool is_packed(void)
{
	return rig.dev->features & 1ull << VIRTIO_F_RING_PACKED;
}

static void offer(struct virtio_queue *q, u16 head)
{
	struct vring_avail *a = avail(q);

	a->ring[a->idx & ring_mask(q)] = head;
	a->idx++;
}

static void write_desc(struct vring_desc *d, struct input *in)
{
	*d = (struct vring_desc){ .addr = choose_addr(in), .len = input_u16(in) };
	if (d->len == 0xffff)
		d->len = input_u32(in);
	d->flags = input_u8(in) % 8;
	if (d->flags & VRING_DESC_F_INDIRECT && d->len % 2)
		d->addr = TABLE, d->len = d->len % 16 * 16;
	d->next = input_u8(in);
}

static void add_slots(struct virtio_queue *q, const struct victim_buf *bufs, u32 nr, const gpa_t *addrs,
		      u16 id)
{
	for (u32 i = 0; i < nr; i++)
		put_slot(q, addrs[i], bufs[i].len,
			 (u16)((bufs[i].in ? VRING_DESC_F_WRITE : 0) | (i + 1 < nr ? VRING_DESC_F_NEXT : 0)),
			 id);
}

/* A chain without a fault, up to what it is about. */
static void add_chain(struct virtio_queue *q, const struct victim_buf *bufs, u32 nr, const gpa_t *addrs)
{
	u32 mask = ring_mask(q);
	u16 *next = &rig.next_desc[q->index % MAX_QUEUES];
	u16 head = (u16)(*next & mask);

	if (is_packed()) {
		add_slots(q, bufs, nr, addrs, head);
		(*next)++;
		return;
	}
	for (u32 i = 0; i < nr; i++)
		*desc(q, (*next)++ & mask) = (struct vring_desc){
			.addr = addrs[i], .len = bufs[i].len,
			.flags = (u16)((bufs[i].in ? VRING_DESC_F_WRITE : 0) |
				       (i + 1 < nr ? VRING_DESC_F_NEXT : 0)),
			.next = (u16)(*next & mask),
		};
	offer(q, head);
}

/* ---- Transports ------------------------------------------------------------------- */

static void mmio_up(struct vmm_error *err)
{
	struct virtio_mmio *mmio;

	must(!virtio_mmio_create(&mmio, rig.dev, err));
	rig.transport = mmio;
	rig.ports[rig.nr_ports++] = (struct port){ &virtio_mmio_bus_ops, mmio, VIRTIO_MMIO_SIZE };
}

static void mmio_down(void)
{
	virtio_mmio_destroy(rig.transport);
}

static void pci_message(void *ctx, u32 requester, u64 addr, u32 data)
{
	(void)ctx;
	(void)addr;
	(void)data;
	must(!requester);
}

/* Nobody rings in place of it. */
static bool pci_tie(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	(void)fd;
	must(nr <= rig.dev->nr_queues);
	pci_message(ctx, requester, addr, data);
	return false;
}

static void pci_untie(void *ctx, u32 nr, int fd)
{
	(void)ctx;
	(void)nr;
	(void)fd;
	must(!"tied");
}

static void pci_line(void *ctx, u32 nr, bool level)
{
	(void)ctx;
	(void)level;
	must(!nr);
}

static void pci_moved(void *ctx, struct virtio *dev, u64 from, u64 to)
{
	(void)ctx;
	must(dev == rig.dev && from != to);
	must(to == PCI_NO_BAR || (to >= WINDOW && to <= WINDOW + MIB(1) - BAR));
}

/* With its BAR switched on, as firmware leaves it. */
static void pci_up(struct vmm_error *err)
{
	const struct virtio_pci_host host = {
		.intx = { .set = pci_line }, .send = pci_message, .tie = pci_tie, .untie = pci_untie,
		.moved = pci_moved,
	};
	struct virtio_pci *vpci;

	must(!pci_create(&rig.pci, WINDOW, MIB(1), err));
	must(!virtio_pci_create(&vpci, rig.dev, &host, err));
	pci_add(rig.pci, 0, virtio_pci_fn(vpci));
	rig.transport = vpci;
	rig.ports[rig.nr_ports++] = (struct port){ &pci_window_ops, rig.pci, BAR };
	rig.ports[rig.nr_ports++] = (struct port){ &pci_ecam_ops, rig.pci, PCI_CFG_SIZE };
	pci_ecam_ops.write(rig.pci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void pci_down(void)
{
	virtio_pci_destroy(rig.transport);
	pci_destroy(rig.pci);
}

static const struct transport {
	void	(*up)(struct vmm_error *err);
	void	(*down)(void);
} transports[] = {
	{ mmio_up, mmio_down },
	{ pci_up, pci_down },
};

/* ---- Time ---------------------------------------------------------------------------- */

static void turn(u32 nr)
{
	while (nr--)
		must(!loop_dispatch(rig.env.loops[0]));
}

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec;
}

/*
 * In place of the C library's.  A transport waits so for a reset, which the I/O thread
 * has to do; here that is this thread.
 */
int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t clock,
			   const struct timespec *until)
{
	static u64 begun;

	(void)cond;
	(void)clock;
	(void)until;
	if (!begun)
		begun = now();
	must(now() < begun + PATIENCE);
	pthread_mutex_unlock(lock);
	turn(1);
	pthread_mutex_lock(lock);
	if (!rig.dev->resetting)
		begun = 0;
	return 0;
}

static void on_broken(void *ctx, u32 index, const char *msg)
{
	(void)ctx;
	(void)index;
	must(msg[0]);
	rig.nr_broken++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct logger quiet = { .fn = NULL };
	const int fd = memfd_create("ram", MFD_CLOEXEC);
	struct vmm_error err;

	(void)argc;
	(void)argv;
	must(fd >= 0 && !ftruncate(fd, RAM) && !gmem_init(&ram, BASE, RAM, fd, 0, &err));
	rig.env = (struct virtio_env){
		.mem = &ram, .mem_fd = fd, .log = &quiet, .nr_loops = 1, .packed = true, .broken = on_broken,
	};
	must(!loop_create(&rig.env.loops[0], &err));
	return 0;
}

/* ---- What the guest does --------------------------------------------------------------- */

static void status(u8 val)
{
	pthread_mutex_lock(&rig.dev->lock);
	virtio_set_status(rig.dev, val);
	pthread_mutex_unlock(&rig.dev->lock);
}

static void reset(void)
{
	pthread_mutex_lock(&rig.dev->lock);
	virtio_set_status(rig.dev, 0);
	must(virtio_wait_reset(rig.dev, 1000));
	must(!rig.dev->status && !rig.dev->features);
	pthread_mutex_unlock(&rig.dev->lock);
	memset(rig.next_desc, 0, sizeof(rig.next_desc));
	memset(rig.next_slot, 0, sizeof(rig.next_slot));
	memset(gmem_host(&ram, BASE, RING(MAX_QUEUES) - BASE), 0, RING(MAX_QUEUES) - BASE);
}

/* Whatever the registers hold: the guest may have chosen to put its rings elsewhere. */
static void set_queue(struct virtio_queue *q, u32 size)
{
	const gpa_t at = RING(q->index % MAX_QUEUES);
	gpa_t *const regs[] = { &q->layout.desc, &q->layout.avail, &q->layout.used };

	virtio_queue_set_size(q, size);
	for (u32 i = 0; i < 3; i++) {
		virtio_queue_set_addr(q, regs[i], 0, (u32)(at + i * KIB(5)));
		virtio_queue_set_addr(q, regs[i], 32, 0);
	}
	virtio_queue_set_ready(q, true);
}

static void bring_up(u64 features, u32 size)
{
	const u8 found = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	pthread_mutex_lock(&rig.dev->lock);
	virtio_set_status(rig.dev, found);
	virtio_accept(rig.dev, 0, (u32)features);
	virtio_accept(rig.dev, 1, (u32)(features >> 32));
	virtio_set_status(rig.dev, found | VIRTIO_CONFIG_S_FEATURES_OK);
	for (u32 i = 0; i < rig.dev->nr_queues; i++) {
		struct virtio_queue *q = &rig.dev->queues[i];

		set_queue(q, size < q->max_size ? size : q->max_size);
	}
	virtio_set_status(rig.dev, found | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	pthread_mutex_unlock(&rig.dev->lock);
}

static void choose_chain(struct input *in)
{
	struct virtio_queue *q = choose_queue(in);
	u8 shape = input_u8(in);
	u32 nr = 1 + shape % 4;
	struct victim_buf bufs[4];
	gpa_t addrs[4];

	for (u32 i = 0; i < nr; i++) {
		bufs[i] = (struct victim_buf){ 1 + input_u16(in), i >= nr - (shape >> 4) % 5u };
		addrs[i] = choose_addr(in);
	}
	add_chain(q, bufs, nr, addrs);
}

/* A request that is well-formed but for what it asks for. */
static void choose_request(const struct victim *victim, struct input *in)
{
	struct virtio_queue *q = choose_queue(in);
	u8 how = input_u8(in);
	u64 arg = how & 0x80 ? input_u64(in) : input_u16(in);
	const gpa_t addrs[] = { DATA + KIB(48), choose_addr(in), DATA + KIB(50) };
	struct victim_buf bufs[] = { { 0, false }, { input_u16(in), how & 0x40 }, { 1, true } };
	u8 header[64];

	if (!victim->header)
		return;
	bufs[0].len = (u32)victim->header(header, how, arg);
	gmem_write(&ram, addrs[0], header, bufs[0].len);
	add_chain(q, bufs, !bufs[1].len ? 1 : how & 0x20 ? 2 : 3, addrs);
}

static void use_register(struct input *in)
{
	u8 how = input_u8(in);
	const struct port *port = &rig.ports[how / 64 % rig.nr_ports];
	unsigned int len = 1u << (how & 0x10 ? how % 4 : 2);
	u64 off = input_u16(in) % port->size;
	u64 val;

	if (!(how & 0x10))
		off &= ~3ull;
	if (off + len > port->size)
		off = port->size - len;
	if (how & 0x20) {
		port->ops->read(port->dev, off, len);
		return;
	}
	val = how & 8 ? input_u64(in) : input_u8(in);
	port->ops->write(port->dev, off, len, len < 8 ? val & ((1ull << 8 * len) - 1) : val);
}

static void step(const struct victim *victim, struct input *in)
{
	struct virtio_queue *q;
	const void *data;
	size_t len;

	switch (input_u8(in) % 24) {
	case 0 ... 3:
		use_register(in);
		break;
	case 4:
		bring_up(1ull << VIRTIO_F_VERSION_1 | input_u32(in), 1u << input_u8(in) % 9);
		break;
	case 23:
		bring_up(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_RING_PACKED | input_u32(in),
			 1u << input_u8(in) % 9);
		break;
	case 5 ... 7:
		choose_chain(in);
		break;
	case 8:
		q = choose_queue(in);
		write_desc(desc(q, input_u8(in)), in);
		break;
	case 9:
		write_desc((struct vring_desc *)gmem_host(&ram, TABLE, KIB(1)) + input_u8(in) % 16, in);
		break;
	case 10:
		q = choose_queue(in);
		if (is_packed())
			put_slot(q, choose_addr(in), input_u16(in), input_u16(in), input_u8(in));
		else
			offer(q, input_u8(in));
		break;
	case 11:
		q = choose_queue(in);
		avail(q)->idx = input_u16(in);
		break;
	case 12:
		len = input_data(in, &data, 255);
		gmem_write(&ram, choose_addr(in), data, len);
		break;
	case 13 ... 14:
		virtio_kick(rig.dev, input_u8(in) % (rig.dev->nr_queues + 1));
		break;
	case 15:
	case 16:
		turn(1 + input_u8(in) % 3);
		break;
	case 17:
		status(input_u8(in) & 0xf);	/* 0: a reset, and nobody waits for it */
		break;
	case 18:
		victims_host(input_u8(in));
		break;
	case 19 ... 21:
		choose_request(victim, in);
		break;
	case 22:
		len = input_data(in, &data, 255);
		if (victim->host)
			victim->host(data, len);
		break;
	}
}

/* ---- In the end ---------------------------------------------------------------------- */

static bool is_used(struct virtio_queue *q)
{
	u16 flags;

	if (!is_packed())
		return used(q)->idx;
	memcpy(&flags, (u8 *)desc(q, 0) + offsetof(struct vring_packed_desc, flags), sizeof(flags));
	return flags & 1u << VRING_PACKED_DESC_F_USED;
}

static void check_mended(const struct victim *victim, u64 features)
{
	const bool packed = features & 1ull << VIRTIO_F_RING_PACKED;
	struct virtio_queue *q = &rig.dev->queues[victim->queue];
	const gpa_t addrs[] = { DATA, DATA + KIB(8), DATA + KIB(16) };
	u64 begun = now();
	u32 nr = 0;

	victims_host(0);
	reset();
	bring_up(1ull << VIRTIO_F_VERSION_1 | features, 8);
	must(rig.dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
	rig.nr_broken = 0;
	while (nr < ARRAY_SIZE(victim->good) && victim->good[nr].len)
		nr++;
	memset(gmem_host(&ram, DATA, KIB(32)), 0, KIB(32));
	add_chain(q, victim->good, nr, addrs);
	virtio_kick(rig.dev, q->index);
	while (!is_used(q)) {
		must(now() < begun + PATIENCE);
		turn(1);
		/* A peer has been slow, and takes now what is under way. */
		if (victim->host)
			victim->host(NULL, 0);
	}
	must(packed || (used(q)->idx == 1 && !used(q)->ring[0].id));
	must(!rig.nr_broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u8 which = input_u8(&in);
	const struct victim *victim = &victims[which % 32 % nr_victims];
	const struct transport *transport = &transports[which / 32 % ARRAY_SIZE(transports)];
	struct vmm_error err;

	memset(gmem_host(&ram, BASE, USED_RAM), 0, USED_RAM);
	memset(rig.next_desc, 0, sizeof(rig.next_desc));
	memset(rig.next_slot, 0, sizeof(rig.next_slot));
	rig.nr_ports = 0;
	victims_host(0);
	rig.dev = victim->make(&rig.env);
	must(rig.dev->nr_queues);
	transport->up(&err);
	for (u32 i = 0; i < STEPS && in.left; i++)
		step(victim, &in);
	check_mended(victim, which & 0x80 ? rig.dev->offered & 1ull << VIRTIO_F_RING_PACKED : 0);
	virtio_destroy(rig.dev);
	transport->down();
	if (victim->unmake)
		victim->unmake();
	return 0;
}
