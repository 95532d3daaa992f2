/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_pci.c - devices/pci.c and devices/virtio_pci.c, and both in a VM
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "devices/pci.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/bus.h"
#include "vmm/vm.h"

#define T_WINDOW	0x50000000ull
#define T_WINDOW_SIZE	MIB(1)
#define T_BAR		0x4000u		/* its size */
#define T_NR		3		/* functions, in slots 0 to 2 */
#define T_MSI		0x08080040ull	/* where messages go */

struct t_rig {
	struct driver		d[T_NR];
	struct virtio_pci	*vpci[T_NR];
	struct pci		*pci;
	u64			bar;		/* of function 0 */
	u32			nr_sent;
	u32			requester;	/* of the last message */
	u64			addr;
	u32			data;
	bool			line[T_NR];
	u64			from;		/* of the last move */
	u64			to;
	u32			nr_moves;
	bool			ties;		/* messages to eventfds */
	u32			nr_ties;
	int			tied[2 * T_NR];	/* eventfds by the number of the message, or 0 */
	u32			tied_data[2 * T_NR];
};

static void t_send(void *ctx, u32 requester, u64 addr, u32 data)
{
	struct t_rig *rig = ctx;

	rig->nr_sent++;
	rig->requester = requester;
	rig->addr = addr;
	rig->data = data;
}

static bool t_tie(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	struct t_rig *rig = ctx;

	if (!rig->ties)
		return false;
	assert_true(nr < ARRAY_SIZE(rig->tied));
	assert_int_equal(rig->tied[nr], 0);
	assert_int_equal(requester, nr / 2 << 3);
	assert_int_equal(addr, T_MSI);
	rig->nr_ties++;
	rig->tied[nr] = fd;
	rig->tied_data[nr] = data;
	return true;
}

/* How often a message that is tied was rung. */
static u64 t_rings(const struct t_rig *rig, u32 nr)
{
	struct pollfd p = { .fd = rig->tied[nr], .events = POLLIN };
	u64 n = 0;

	assert_true(p.fd > 0);
	if (poll(&p, 1, 0) == 1)
		assert_int_equal(read(p.fd, &n, sizeof(n)), sizeof(n));
	return n;
}

static void t_untie(void *ctx, u32 nr, int fd)
{
	struct t_rig *rig = ctx;

	assert_true(nr < ARRAY_SIZE(rig->tied));
	assert_true(fd > 0);
	assert_int_equal(rig->tied[nr], fd);
	t_rings(rig, nr);	/* they were sent */
	rig->tied[nr] = 0;
}

static void t_moved(void *ctx, struct virtio *dev, u64 from, u64 to)
{
	struct t_rig *rig = ctx;

	(void)dev;
	rig->nr_moves++;
	rig->from = from;
	rig->to = to;
}

static void t_line(void *ctx, u32 nr, bool level)
{
	struct t_rig *rig = ctx;

	rig->line[nr] = level;
}

static struct t_rig *t_open(void)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct vmm_error err;

	assert_non_null(rig);
	assert_int_equal(pci_create(&rig->pci, T_WINDOW, T_WINDOW_SIZE, &err), 0);
	for (u32 i = 0; i < T_NR; i++) {
		const struct virtio_pci_host host = {
			.ctx = rig, .intx = { .set = t_line, .ctx = rig, .nr = i },
			.send = t_send, .tie = t_tie, .untie = t_untie, .first_message = 2 * i,
			.moved = t_moved,
		};
		struct virtio *dev;

		driver_open(&rig->d[i], 1);
		assert_int_equal(virtio_rng_create(&dev, &rig->d[i].env, i, getrandom, &err), 0);
		driver_attach(&rig->d[i], dev);
		assert_int_equal(virtio_pci_create(&rig->vpci[i], dev, &host, &err), 0);
		pci_add(rig->pci, i, virtio_pci_fn(rig->vpci[i]));
	}
	return rig;
}

static void t_close(struct t_rig *rig)
{
	for (u32 i = 0; i < T_NR; i++) {
		driver_close(&rig->d[i]);
		virtio_pci_destroy(rig->vpci[i]);
	}
	/* Whatever the guest left it at. */
	for (u32 i = 0; i < ARRAY_SIZE(rig->tied); i++)
		assert_int_equal(rig->tied[i], 0);
	pci_destroy(rig->pci);
	free(rig);
}

/* ---- Configuration space ------------------------------------------------------- */

static u64 t_cfg(struct t_rig *rig, u32 slot, u32 off, unsigned int len)
{
	u64 val = pci_ecam_ops.read(rig->pci, slot << 15 | off, len);

	return len < 8 ? val & ((1ull << len * 8) - 1) : val;
}

static void t_set_cfg(struct t_rig *rig, u32 slot, u32 off, unsigned int len, u64 val)
{
	pci_ecam_ops.write(rig->pci, slot << 15 | off, len, val);
}

/* The capability @id, and of those of virtio the one of type @type; 0: none. */
static u32 t_cap(struct t_rig *rig, u32 slot, u8 id, int type)
{
	u32 at = (u32)t_cfg(rig, slot, PCI_CAPABILITY_LIST, 1);

	for (u32 n = 0; at && n < 48; n++) {
		if (t_cfg(rig, slot, at, 1) == id &&
		    (type < 0 || t_cfg(rig, slot, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == (u64)type))
			return at;
		at = (u32)t_cfg(rig, slot, at + 1, 1);
	}
	return 0;
}

static u32 t_structure(struct t_rig *rig, int type)
{
	u32 at = t_cap(rig, 0, PCI_CAP_ID_VNDR, type);

	assert_true(at);
	assert_int_equal(t_cfg(rig, 0, at + VIRTIO_PCI_CAP_BAR, 1), 0);
	return (u32)t_cfg(rig, 0, at + VIRTIO_PCI_CAP_OFFSET, 4);
}

static void test_functions_are_found(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	for (u32 i = 0; i < PCI_SLOTS; i++) {
		u32 id = (u32)t_cfg(rig, i, PCI_VENDOR_ID, 4);

		assert_int_equal(id, i < T_NR ? (0x1040 + VIRTIO_ID_RNG) << 16 | 0x1af4 : UINT32_MAX);
	}
	/* Other functions of a slot. */
	assert_int_equal(t_cfg(rig, 0, 0x1000, 4), UINT32_MAX);
	assert_int_equal(t_cfg(rig, 0, 0x7000, 2), 0xffff);
	assert_int_equal(t_cfg(rig, 0, PCI_REVISION_ID, 1), 1);
	assert_int_equal(t_cfg(rig, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(t_cfg(rig, 0, PCI_INTERRUPT_PIN, 1), 1);
	assert_true(t_cfg(rig, 0, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	/* No extended capabilities. */
	assert_int_equal(t_cfg(rig, 0, 0x100, 4), 0);
	for (int type = VIRTIO_PCI_CAP_COMMON_CFG; type <= VIRTIO_PCI_CAP_PCI_CFG; type++)
		assert_true(t_cap(rig, 0, PCI_CAP_ID_VNDR, type));
	assert_true(t_cap(rig, 0, PCI_CAP_ID_MSIX, -1));
	t_close(rig);
}

static void test_bar_has_its_size_and_moves(void **state)
{
	struct t_rig *rig = t_open();
	u64 bar;

	(void)state;
	bar = t_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4);
	assert_int_equal(bar, T_WINDOW + T_BAR);
	/* Not before memory is switched on. */
	assert_int_equal(pci_window_ops.read(rig->pci, T_BAR, 4), UINT64_MAX);
	t_set_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
	assert_int_equal(t_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), ~(T_BAR - 1));
	t_set_cfg(rig, 1, PCI_BASE_ADDRESS_1, 4, UINT32_MAX);
	assert_int_equal(t_cfg(rig, 1, PCI_BASE_ADDRESS_1, 4), 0);
	t_set_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4, bar);
	assert_int_equal(rig->nr_moves, 0);
	t_set_cfg(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rig->from, PCI_NO_BAR);
	assert_int_equal(rig->to, bar);
	assert_int_equal(pci_window_ops.read(rig->pci, T_BAR + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	t_set_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4, T_WINDOW + 0x80000);
	assert_int_equal(rig->from, bar);
	assert_int_equal(rig->to, T_WINDOW + 0x80000);
	assert_int_equal(pci_window_ops.read(rig->pci, T_BAR + VIRTIO_PCI_COMMON_NUMQ, 2), UINT64_MAX);
	assert_int_equal(pci_window_ops.read(rig->pci, 0x80000 + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	t_set_cfg(rig, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(rig->to, PCI_NO_BAR);
	t_close(rig);
}

/* HOSTILE: nothing but the window can be covered, and of two that lie there one answers. */
static void test_bar_stays_in_the_window(void **state)
{
	static const u32 bad[] = {
		0, 0x3fff0000, 0x40000000, 0x4fffc000, 0x50100000, 0x80000000, 0xffffc000,
	};
	struct t_rig *rig = t_open();

	(void)state;
	t_set_cfg(rig, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		t_set_cfg(rig, 0, PCI_BASE_ADDRESS_0, 4, bad[i]);
		assert_int_equal(atomic_load(&virtio_pci_fn(rig->vpci[0])->bar), PCI_NO_BAR);
	}
	t_set_cfg(rig, 0, PCI_BASE_ADDRESS_0, 4, T_WINDOW + T_WINDOW_SIZE - T_BAR);
	assert_int_equal(rig->to, T_WINDOW + T_WINDOW_SIZE - T_BAR);
	/* An access that ends behind the BAR. */
	t_set_cfg(rig, 0, PCI_BASE_ADDRESS_0, 4, T_WINDOW);
	assert_int_equal(pci_window_ops.read(rig->pci, T_BAR - 4, 8), UINT64_MAX);
	t_set_cfg(rig, 1, PCI_BASE_ADDRESS_0, 4, T_WINDOW);
	t_set_cfg(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_window_ops.write(rig->pci, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(driver_status(&rig->d[0], -1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(driver_status(&rig->d[1], -1), 0);
	t_close(rig);
}

/* HOSTILE: what is not to be written stays, whatever is written. */
static void test_configuration_is_mostly_read_only(void **state)
{
	struct t_rig *rig = t_open();
	u8 before[256];

	(void)state;
	for (u32 i = 0; i < 256; i++)
		before[i] = (u8)t_cfg(rig, 2, i, 1);
	for (unsigned int len = 1; len <= 8; len *= 2)
		for (u32 off = 0; off < 4096; off++)
			t_set_cfg(rig, 2, off, len, off % 2 ? UINT64_MAX : 0);
	for (u32 off = 0; off < 4096; off++)
		t_set_cfg(rig, 3, off, 4, UINT64_MAX);
	for (u32 i = 0; i < PCI_CAPABILITY_LIST + 1; i++)
		if (i != PCI_COMMAND && i != PCI_COMMAND + 1 && (i < PCI_BASE_ADDRESS_0 ||
								   i >= PCI_BASE_ADDRESS_1))
			assert_int_equal(t_cfg(rig, 2, i, 1), before[i]);
	/* The chain of capabilities is what it was. */
	for (u32 at = before[PCI_CAPABILITY_LIST]; at; at = before[at + 1]) {
		assert_int_equal(t_cfg(rig, 2, at, 1), before[at]);
		assert_int_equal(t_cfg(rig, 2, at + 1, 1), before[at + 1]);
	}
	t_close(rig);
}

/* ---- The BAR ---------------------------------------------------------------------- */

static u64 t_in(struct t_rig *rig, u32 off, unsigned int len)
{
	return pci_window_ops.read(rig->pci, rig->bar - T_WINDOW + off, len);
}

static void t_out(struct t_rig *rig, u32 off, unsigned int len, u64 val)
{
	pci_window_ops.write(rig->pci, rig->bar - T_WINDOW + off, len, val);
}

static void t_map(struct t_rig *rig)
{
	rig->bar = T_WINDOW + 0x10000;
	t_set_cfg(rig, 0, PCI_BASE_ADDRESS_0, 4, rig->bar);
	t_set_cfg(rig, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void t_set_msix(struct t_rig *rig, u16 control)
{
	t_set_cfg(rig, 0, t_cap(rig, 0, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_FLAGS, 2, control);
}

static u32 t_table(struct t_rig *rig)
{
	return (u32)t_cfg(rig, 0, t_cap(rig, 0, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_TABLE, 4);
}

static u32 t_pba(struct t_rig *rig)
{
	return (u32)t_cfg(rig, 0, t_cap(rig, 0, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_PBA, 4);
}

static void t_set_vector(struct t_rig *rig, u32 i, u32 data, bool masked)
{
	t_out(rig, t_table(rig) + i * 16, 4, (u32)T_MSI);
	t_out(rig, t_table(rig) + i * 16 + 4, 4, T_MSI >> 32);
	t_out(rig, t_table(rig) + i * 16 + 8, 4, data);
	t_out(rig, t_table(rig) + i * 16 + 12, 4, masked);
}

/* As a driver does it; the queue has vector @vector. */
static void t_bring_up(struct t_rig *rig, u16 vector)
{
	const struct virtq_layout *l = &rig->d[0].q[0].layout;

	t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1, DRIVER_ACK);
	t_out(rig, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	t_out(rig, VIRTIO_PCI_COMMON_GF, 4, 1u << (VIRTIO_F_VERSION_1 - 32));
	t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK);
	t_out(rig, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	t_out(rig, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	t_out(rig, VIRTIO_PCI_COMMON_Q_SIZE, 2, l->size);
	t_out(rig, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (u32)l->desc);
	t_out(rig, VIRTIO_PCI_COMMON_Q_DESCHI, 4, l->desc >> 32);
	t_out(rig, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (u32)l->avail);
	t_out(rig, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, l->avail >> 32);
	t_out(rig, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (u32)l->used);
	t_out(rig, VIRTIO_PCI_COMMON_Q_USEDHI, 4, l->used >> 32);
	t_out(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	t_out(rig, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_USEDLO, 4), (u32)l->used);
	t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1,
	      DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	driver_turn(&rig->d[0]);
}

static const struct driver_buf t_buf = { DRIVER_DATA, 64, true };

static void t_serve(struct t_rig *rig)
{
	u16 before = rig->d[0].q[0].used->idx;

	driver_add(&rig->d[0].q[0], &t_buf, 1);
	t_out(rig, t_structure(rig, VIRTIO_PCI_CAP_NOTIFY_CFG), 2, 0);
	driver_turn(&rig->d[0]);
	assert_int_equal(rig->d[0].q[0].used->idx, (u16)(before + 1));
}

static void test_messages(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_map(rig);
	assert_int_equal(t_cfg(rig, 0, t_cap(rig, 0, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_FLAGS, 2), 1);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	t_set_vector(rig, 0, 70, false);
	t_set_vector(rig, 1, 71, false);
	t_bring_up(rig, 1);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	t_serve(rig);
	assert_int_equal(rig->nr_sent, 1);
	assert_int_equal(rig->requester, 0);
	assert_int_equal(rig->addr, T_MSI);
	assert_int_equal(rig->data, 71);
	assert_false(rig->line[0]);
	/* Masked, by itself and with all: noted, and sent afterwards, once. */
	t_out(rig, t_table(rig) + 16 + 12, 4, 1);
	t_serve(rig);
	t_serve(rig);
	assert_int_equal(rig->nr_sent, 1);
	assert_int_equal(t_in(rig, t_pba(rig), 4), 1 << 1);
	t_out(rig, t_table(rig) + 16 + 12, 4, 0);
	assert_int_equal(rig->nr_sent, 2);
	assert_int_equal(t_in(rig, t_pba(rig), 8), 0);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	t_serve(rig);
	assert_int_equal(rig->nr_sent, 2);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(rig->nr_sent, 3);
	/* The device has something to say: vector 0. */
	rig->d[0].q[0].avail->idx = 1000;
	driver_kick(&rig->d[0], 0);
	assert_int_equal(rig->nr_sent, 4);
	assert_int_equal(rig->data, 70);
	t_close(rig);
}

static void test_messages_are_tied(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	rig->ties = true;
	t_map(rig);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	t_set_vector(rig, 0, 70, false);
	t_set_vector(rig, 1, 71, false);
	t_bring_up(rig, 1);
	/* The first that is sent is, for good; no other. */
	assert_int_equal(rig->nr_ties, 0);
	for (u32 i = 0; i < 3; i++) {
		t_serve(rig);
		assert_int_equal(t_rings(rig, 1), 1);
		assert_int_equal(rig->tied_data[1], 71);
	}
	assert_int_equal(rig->nr_ties, 1);
	/* What is written again is no change. */
	t_set_vector(rig, 1, 71, false);
	t_serve(rig);
	assert_int_equal(t_rings(rig, 1), 1);
	assert_int_equal(rig->nr_ties, 1);
	/* Another message, also when it is changed in an enabled entry, as it should not be. */
	t_out(rig, t_table(rig) + 16 + 8, 4, 72);
	assert_int_equal(rig->tied[1], 0);
	t_serve(rig);
	assert_int_equal(t_rings(rig, 1), 1);
	assert_int_equal(rig->tied_data[1], 72);
	assert_int_equal(rig->nr_ties, 2);
	/* Masked in each of the ways. */
	t_out(rig, t_table(rig) + 16 + 12, 4, 1);
	assert_int_equal(rig->tied[1], 0);
	t_serve(rig);
	assert_int_equal(t_in(rig, t_pba(rig), 4), 1 << 1);
	t_out(rig, t_table(rig) + 16 + 12, 4, 0);
	assert_int_equal(t_rings(rig, 1), 1);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(rig->tied[1], 0);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(rig->tied[1], 0);
	t_serve(rig);
	assert_int_equal(t_rings(rig, 1), 1);
	assert_int_equal(rig->nr_ties, 4);
	/* A reset of the device is none of the function. */
	t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	driver_turn(&rig->d[0]);
	assert_true(rig->tied[1]);
	t_set_msix(rig, 0);
	assert_int_equal(rig->tied[1], 0);
	assert_int_equal(rig->nr_sent, 0);
	/* To the end. */
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	t_set_vector(rig, 1, 71, false);
	t_bring_up(rig, 1);
	t_serve(rig);
	assert_true(rig->tied[1]);
	t_close(rig);
}

struct t_writer {
	struct t_rig	*rig;
	atomic_bool	over;
	u32		nr;
};

static void *t_rewrite(void *arg)
{
	struct t_writer *w = arg;
	u32 table = t_table(w->rig);

	for (u32 i = 0; !atomic_load(&w->over) || i < 1000; i++) {
		t_out(w->rig, table + 16 + 8, 4, 100 + i % 7);
		t_out(w->rig, table + 16 + 12, 4, i % 2);
		if (i % 5 == 0)
			t_set_msix(w->rig, i % 2 ? 0 : PCI_MSIX_FLAGS_ENABLE);
		w->nr++;
	}
	t_set_msix(w->rig, PCI_MSIX_FLAGS_ENABLE);
	t_out(w->rig, table + 16 + 8, 4, 77);
	t_out(w->rig, table + 16 + 12, 4, 0);
	return NULL;
}

/* HOSTILE: vectors that are programmed anew while their messages are sent. */
static void test_vectors_change_under_load(void **state)
{
	struct t_rig *rig = t_open();
	struct t_writer w = { .rig = rig };
	pthread_t thread;

	(void)state;
	rig->ties = true;
	t_map(rig);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	t_set_vector(rig, 1, 71, false);
	t_bring_up(rig, 1);
	assert_int_equal(pthread_create(&thread, NULL, t_rewrite, &w), 0);
	for (u32 i = 0; i < 200; i++)
		t_serve(rig);
	atomic_store(&w.over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (rig->tied[1])
		t_rings(rig, 1);
	t_serve(rig);
	assert_int_equal(t_rings(rig, 1), 1);
	assert_int_equal(rig->tied_data[1], 77);
	assert_int_equal(rig->nr_sent, 0);
	assert_int_equal(rig->d[0].nr_broken, 0);
	t_close(rig);
}

static void test_lines_where_there_are_no_messages(void **state)
{
	struct t_rig *rig = t_open();
	u32 isr;

	(void)state;
	t_map(rig);
	isr = t_structure(rig, VIRTIO_PCI_CAP_ISR_CFG);
	t_bring_up(rig, VIRTIO_MSI_NO_VECTOR);
	t_serve(rig);
	assert_true(rig->line[0]);
	assert_true(t_cfg(rig, 0, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(t_in(rig, isr, 1), 1);
	assert_false(rig->line[0]);
	assert_int_equal(t_in(rig, isr, 1), 0);
	t_serve(rig);
	t_set_cfg(rig, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_false(rig->line[0]);
	t_set_cfg(rig, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(rig->line[0]);
	/* A reset takes it back. */
	t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	driver_turn(&rig->d[0]);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_false(rig->line[0]);
	assert_int_equal(rig->nr_sent, 0);
	t_close(rig);
}

/* A device whose ring is served elsewhere, by who rings .irq_fd. */
struct t_far {
	struct virtio	virtio;
	int		irq_fd;
};

static int far_start(struct virtio *dev)
{
	((struct t_far *)dev)->irq_fd = virtio_irq_fd(&dev->queues[0]);
	return 0;
}

static void far_stop(struct virtio *dev)
{
	virtio_stopped(dev);
}

static void far_destroy(struct virtio *dev)
{
	virtio_fini(dev);
}

static void test_who_serves_elsewhere_is_relayed(void **state)
{
	static const struct virtio_ops far_ops = {
		.name = "far", .id = VIRTIO_ID_FS, .nr_queues = 1, .queue_size = 8,
		.start = far_start, .stop = far_stop, .destroy = far_destroy,
	};
	struct t_far *far = calloc(1, sizeof(*far));
	struct t_rig *rig = t_open();
	const struct virtio_pci_host host = {
		.ctx = rig, .send = t_send, .tie = t_tie, .untie = t_untie, .moved = t_moved,
	};
	const u64 one = 1;
	struct vmm_error err;

	(void)state;
	/* In place of the first one. */
	virtio_destroy(rig->d[0].dev);
	virtio_pci_destroy(rig->vpci[0]);
	pci_destroy(rig->pci);
	assert_int_equal(pci_create(&rig->pci, T_WINDOW, T_WINDOW_SIZE, &err), 0);
	assert_int_equal(virtio_init(&far->virtio, &far_ops, &rig->d[0].env, 0, 0, 0, 0, &err), 0);
	driver_attach(&rig->d[0], &far->virtio);
	assert_int_equal(virtio_pci_create(&rig->vpci[0], &far->virtio, &host, &err), 0);
	pci_add(rig->pci, 0, virtio_pci_fn(rig->vpci[0]));
	t_map(rig);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	for (u32 n = 0; n < 3; n++) {
		u32 vector = n % 2;

		t_set_vector(rig, vector, 70 + vector, false);
		t_bring_up(rig, (u16)vector);
		rig->nr_sent = 0;
		for (u32 i = 1; i < 4; i++) {
			assert_int_equal(write(far->irq_fd, &one, sizeof(one)), sizeof(one));
			driver_turn(&rig->d[0]);
			assert_int_equal(rig->nr_sent, i);
			assert_int_equal(rig->data, 70 + vector);
		}
		t_out(rig, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		driver_turn(&rig->d[0]);
		assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	}
	/* Once tied, the ring is not for us to read. */
	t_bring_up(rig, 0);
	rig->nr_sent = 0;
	rig->ties = true;
	assert_int_equal(write(far->irq_fd, &one, sizeof(one)), sizeof(one));
	driver_turn(&rig->d[0]);
	assert_int_equal(rig->tied[0], far->irq_fd);
	assert_int_equal(rig->tied_data[0], 70);
	assert_int_equal(rig->nr_sent, 0);
	/* It rings for the last time when nobody is there any more. */
	assert_int_equal(write(far->irq_fd, &one, sizeof(one)), sizeof(one));
	virtio_destroy(rig->d[0].dev);
	virtio_pci_destroy(rig->vpci[0]);
	rig->d[0].dev = NULL;
	rig->vpci[0] = NULL;
	free(far);
	t_close(rig);
}

/* HOSTILE: vectors that are not there, and no vector. */
static void test_wrong_vectors_are_none(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_map(rig);
	t_set_msix(rig, PCI_MSIX_FLAGS_ENABLE);
	t_set_vector(rig, 0, 70, false);
	t_set_vector(rig, 1, 71, false);
	for (u32 val = 2; val < 0x10000; val += 0x1111) {
		t_out(rig, VIRTIO_PCI_COMMON_MSIX, 2, val);
		assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
		t_out(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2, val);
		assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	}
	/* Entries that are not there. */
	for (u32 off = 32; off < 0x800; off += 4)
		t_out(rig, t_table(rig) + off, 4, UINT32_MAX);
	assert_int_equal(t_in(rig, t_table(rig) + 32, 4), 0);
	t_bring_up(rig, 2);
	t_serve(rig);
	assert_int_equal(rig->nr_sent, 0);
	assert_false(rig->line[0]);
	/* Nor can it be given one while it runs. */
	t_out(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(t_in(rig, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	t_close(rig);
}

/* HOSTILE: accesses of every size, at every offset of the BAR. */
static void test_odd_accesses_do_no_harm(void **state)
{
	static const u64 vals[] = { 0, 1, 0x7fffffff, UINT64_MAX };
	struct t_rig *rig = t_open();

	(void)state;
	t_map(rig);
	t_bring_up(rig, 0);
	for (unsigned int len = 1; len <= 8; len *= 2) {
		for (u32 off = 0; off + len <= T_BAR; off++) {
			t_in(rig, off, len);
			for (size_t i = 0; i < ARRAY_SIZE(vals); i++)
				if (off != VIRTIO_PCI_COMMON_STATUS || len != 1 || (u8)vals[i])
					t_out(rig, off, len, vals[i]);
		}
		driver_turn(&rig->d[0]);
	}
	t_serve(rig);
	assert_int_equal(rig->d[0].nr_broken, 0);
	t_close(rig);
}

/* The BAR by way of configuration space; and windows that make no sense. */
static void test_access_by_configuration(void **state)
{
	struct t_rig *rig = t_open();
	u32 cap = t_cap(rig, 0, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);
	u32 data = cap + sizeof(struct virtio_pci_cap);

	(void)state;
	t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	t_set_cfg(rig, 0, data, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(driver_status(&rig->d[0], -1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(t_cfg(rig, 0, data, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	for (u32 len = 0; len < 20; len++) {
		static const u32 offs[] = { 0, 1, T_BAR - 1, T_BAR, UINT32_MAX, UINT32_MAX - 3 };

		t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
		for (size_t i = 0; i < ARRAY_SIZE(offs); i++) {
			t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_OFFSET, 4, offs[i]);
			t_cfg(rig, 0, data, 4);
			t_set_cfg(rig, 0, data, 4, UINT32_MAX);
		}
	}
	t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	t_set_cfg(rig, 0, cap + VIRTIO_PCI_CAP_BAR, 1, 1);
	t_set_cfg(rig, 0, data, 1, DRIVER_ACK);
	assert_int_equal(driver_status(&rig->d[0], -1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	t_close(rig);
}

/* ---- In a VM ---------------------------------------------------------------------------- */

#define V_ECAM(off)	(0x40000000ull + (1 << 15) + (off))	/* slot 1 */
#define V_BAR		0x50100000ull
#define V_CFG(off, n, val) { .kind = FAKE_WRITE, .addr = V_ECAM(off), .len = (n), .data = (val) }
#define V_REG(off, n, val) { .kind = FAKE_WRITE, .addr = V_BAR + (off), .len = (n), .data = (val) }
#define V_MSIX		0x40	/* the first capability */
#define V_DESC		(GIB(2) + MIB(16))
#define V_AVAIL		(V_DESC + KIB(4))
#define V_USED		(V_DESC + KIB(8))
#define V_OK		(DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK)

static const struct fake_step v_steps[] = {
	{ .kind = FAKE_GATE },
	V_CFG(PCI_BASE_ADDRESS_0, 4, V_BAR),
	V_CFG(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
	V_CFG(V_MSIX + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE),
	V_REG(0x3010, 4, (u32)T_MSI), V_REG(0x3018, 4, 71), V_REG(0x301c, 4, 0),
	V_REG(VIRTIO_PCI_COMMON_STATUS, 1, DRIVER_ACK),
	V_REG(VIRTIO_PCI_COMMON_GFSELECT, 4, 1),
	V_REG(VIRTIO_PCI_COMMON_GF, 4, 1u << (VIRTIO_F_VERSION_1 - 32)),
	V_REG(VIRTIO_PCI_COMMON_STATUS, 1, V_OK),
	V_REG(VIRTIO_PCI_COMMON_Q_DESCLO, 4, V_DESC),
	V_REG(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, V_AVAIL),
	V_REG(VIRTIO_PCI_COMMON_Q_USEDLO, 4, V_USED),
	V_REG(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1),
	V_REG(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1),
	V_REG(VIRTIO_PCI_COMMON_STATUS, 1, V_OK | VIRTIO_CONFIG_S_DRIVER_OK),
	V_REG(VIRTIO_PCI_KICK, 2, 0),
	/* Elsewhere, and it still works: also where another lies already. */
	{ .kind = FAKE_BLOCK },
	V_CFG(PCI_BASE_ADDRESS_0, 4, V_BAR + 0x10000),
	{ .kind = FAKE_WRITE, .addr = V_BAR + 0x10000 + VIRTIO_PCI_KICK, .len = 2, .data = 0 },
	{ .kind = FAKE_BLOCK },
};

static void v_offer(struct fake_kvm *fake, u16 n)
{
	struct vring_desc *desc = fake_host(fake, V_DESC);
	struct vring_avail *avail = fake_host(fake, V_AVAIL);

	*desc = (struct vring_desc){ V_DESC + KIB(16), 64, VRING_DESC_F_WRITE, 0 };
	__atomic_store_n(&avail->idx, n, __ATOMIC_RELEASE);
}

static u16 v_used(struct fake_kvm *fake)
{
	struct vring_used *used = fake_host(fake, V_USED);

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

/* A vCPU that is in the middle of an exit has not counted it yet. */
static u64 v_mmio(struct vmm *vm)
{
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	return stats.mmio;
}

static void t_serve_without_exits(const struct fake_profile *host, bool ties)
{
	struct vmm_rng_config cfg = VMM_RNG_CONFIG_INIT;
	static struct fake_call calls[FAKE_MAX_CALLS];
	struct fake_kvm *fake = fake_create(host);
	struct vmm *vm = t_vm(fake, NULL);
	u32 nr_sent = 0;
	size_t nr;

	fake_script(fake, 0, v_steps, ARRAY_SIZE(v_steps), 1);
	assert_int_equal(vmm_add_rng(vm, &cfg, NULL), 0);
	assert_int_equal(vmm_add_rng(vm, &cfg, NULL), 1);
	t_start(vm);
	v_offer(fake, 1);
	fake_open_gate(fake);
	t_until(v_used(fake) == 1);
	t_until(fake_messages(fake, 1 << 3, T_MSI, 71) == 1);
	t_until(v_mmio(vm) == 16);	/* all of them but the kick */
	/* Kicked before it is there, it would be there for ever. */
	assert_true(fake_wait_inside(fake, 1));
	v_offer(fake, 2);
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_resume(vm), 0);
	t_until(v_used(fake) == 2);
	t_until(fake_messages(fake, 1 << 3, T_MSI, 71) == 2);
	t_until(v_mmio(vm) == 17);
	nr = fake_log(fake, calls, ARRAY_SIZE(calls));
	for (size_t i = 0; i < nr; i++)
		nr_sent += calls[i].req == KVM_SIGNAL_MSI;
	assert_int_equal(nr_sent, ties ? 0 : 2);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_vm_serves_without_exits(void **state)
{
	(void)state;
	t_serve_without_exits(&fake_server, true);
}

static void test_vm_without_routes(void **state)
{
	struct fake_profile host = fake_server;

	(void)state;
	host.no_routes = true;
	t_serve_without_exits(&host, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_are_found),
		cmocka_unit_test(test_bar_has_its_size_and_moves),
		cmocka_unit_test(test_bar_stays_in_the_window),
		cmocka_unit_test(test_configuration_is_mostly_read_only),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_messages_are_tied),
		cmocka_unit_test(test_vectors_change_under_load),
		cmocka_unit_test(test_lines_where_there_are_no_messages),
		cmocka_unit_test(test_who_serves_elsewhere_is_relayed),
		cmocka_unit_test(test_wrong_vectors_are_none),
		cmocka_unit_test(test_odd_accesses_do_no_harm),
		cmocka_unit_test(test_access_by_configuration),
		cmocka_unit_test(test_vm_serves_without_exits),
		cmocka_unit_test(test_vm_without_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
