/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio.c - the virtio devices of the machine: addresses, doorbells, interrupts
 *
 * Neither a kick nor an interrupt comes to a vCPU's thread: KVM rings the queue's
 * eventfd when the guest writes the doorbell, and injects when an irqfd is rung, be it
 * the line of a device or a message of a PCI function (msi.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "devices/netio.h"
#include "devices/vhost_net.h"
#include "devices/pci.h"
#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "devices/vhost_user_net.h"
#include "devices/virtio.h"
#include "devices/virtio_9p.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_fs.h"
#include "devices/virtio_mmio.h"
#include "devices/virtio_net.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_ports.h"
#include "devices/virtio_rng.h"
#include "devices/virtio_vsock.h"
#include "spe/spe.h"
#include "vmm/error.h"
#include "vmm/machine.h"

_Static_assert(VMM_VHOST_USER_QUEUES == VHOST_USER_MAX_QUEUES &&
	       VMM_NET_QUEUES == VIRTIO_NET_PAIRS && VMM_NET_QUEUES == VHOST_USER_NET_PAIRS &&
	       VMM_DISK_QUEUES <= VIRTIO_MAX_QUEUES,
	       "what vmm.h promises");
_Static_assert(VM_MAX_QUEUES == VIRTIO_MAX_QUEUES && VMM_DISK_SERIAL == VIRTIO_BLK_SERIAL,
	       "what the core promises");

/* Of a PCI function: one a queue, and one for its configuration. */
#define MAX_MESSAGES	(VM_MAX_QUEUES + 1)

static void tell(struct machine *m, enum vmm_event_type type, u32 index, const char *msg)
{
	struct vmm_event ev = { .size = sizeof(ev), .type = type, .index = (int)index };

	snprintf(ev.msg, sizeof(ev.msg), "%s", msg);
	vm_event(m->vm, &ev);
}

static void on_broken(void *ctx, u32 index, const char *msg)
{
	tell(ctx, VMM_EVENT_BROKEN, index, msg);
}

static void on_lost(void *ctx, u32 index, const char *msg)
{
	tell(ctx, VMM_EVENT_UNLINKED, index, msg);
}

static void on_rest(void *ctx, struct loop *loop)
{
	struct machine *m = ctx;

	vm_io_rests(m->vm, loop);
}

static int env_up(struct machine *m, struct vmm_error *err)
{
	struct virtio_env *env = calloc(1, sizeof(*env));

	if (!env)
		return error_set(err, -ENOMEM, "virtio: no memory");
	*env = (struct virtio_env){
		.mem = &m->vm->ram, .mem_fd = m->guest_memfd >= 0 ? m->guest_memfd : m->vm->cfg.ram_fd,
		.log = &m->vm->log, .nr_loops = m->vm->cfg.io_threads,
		.packed = machine_has(m, VMM_MACHINE_F_PACKED),
		.broken = on_broken, .rests = on_rest,
		.ctx = m,
	};
	for (u32 i = 0; i < env->nr_loops; i++)
		env->loops[i] = m->vm->io[i].loop;
	m->virtio_env = env;
	return 0;
}

static int disk_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vm_device *dev = &m->vm->devices[i];
	const struct blk_config cfg = {
		.fd = dev->fd, .ro = dev->flags & VMM_DISK_F_RO, .nr_queues = dev->queues,
		.serial = dev->serial,
	};

	return virtio_blk_create(&m->virtio[i].dev, m->virtio_env, i, &cfg, err);
}

/* One of its pairs of queues, and what is behind it. */
static int net_pair(const struct vm_device *d, u32 i, struct virtio_net_params *params,
		    struct vmm_error *err)
{
	const int fd = i ? d->net.more_fds[i - 1] : d->fd;
	const int vhost_fd = i ? d->net.more_vhost_fds[i - 1] : d->vhost_fd;
	int ret = 0;

	if (d->net.flags & VMM_NET_F_STREAM)
		ret = netstream_create(&params->io[i], fd, err);
	else if (d->net.flags & VMM_NET_F_TAP)
		ret = nettap_create(&params->io[i], fd, ioctl, err);
	if (!ret && d->net.flags & VMM_NET_F_VHOST)
		ret = vhost_net_create(&params->vhost[i], vhost_fd, ioctl, err);
	return ret;
}

static bool is_elsewhere(const struct vm_device *d)
{
	return d->net.flags & VMM_NET_F_VHOST_USER;
}

static int net_elsewhere_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vm_device *d = &m->vm->devices[i];
	struct vhost_user_net_params params = {
		.mtu = d->net.mtu, .nr_pairs = d->net.queues, .fd = d->fd,
		.waits = d->net.flags & VMM_NET_F_WAIT,
	};

	memcpy(params.mac, d->net.mac, sizeof(params.mac));
	return vhost_user_net_create(&m->virtio[i].dev, m->virtio_env, i, &params, err);
}

static int net_up(struct machine *m, u32 index, struct vmm_error *err)
{
	const struct vm_device *d = &m->vm->devices[index];
	struct virtio_net_params params = {
		.mtu = d->net.mtu, .nr_pairs = d->net.queues, .lost = on_lost, .ctx = m,
	};
	int ret = 0;

	memcpy(params.mac, d->net.mac, sizeof(params.mac));
	for (u32 i = 0; i < d->net.queues && !ret; i++)
		ret = net_pair(d, i, &params, err);
	if (ret) {
		virtio_net_forget(&params);
		return ret;
	}
	return virtio_net_create(&m->virtio[index].dev, m->virtio_env, index, &params, err);
}

static int balloon_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vmm_balloon_config *cfg = &m->vm->devices[i].balloon;
	const struct virtio_balloon_params params = {
		.flags = cfg->flags, .target = cfg->target, .keep = m->spe && spe_holds_ram(m->spe),
	};

	return virtio_balloon_create(&m->virtio[i].dev, m->virtio_env, i, &params, err);
}

static int hvc_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vm_device *dev = &m->vm->devices[i];
	const struct virtio_console_params params = {
		.in_fd = dev->fd, .out_fd = dev->out_fd,
		.cols = m->vm->hvc_cols, .rows = m->vm->hvc_rows,
	};
	int ret = virtio_console_create(&m->virtio[i].dev, m->virtio_env, i, &params, err);

	m->hvc = m->virtio[i].dev;
	return ret;
}

static int ports_up(struct machine *m, u32 i, struct vmm_error *err)
{
	struct virtio_port ports[VMM_MAX_PORTS];
	u32 nr = m->vm->nr_ports;
	int ret;

	for (u32 p = 0; p < nr; p++)
		ports[p] = (struct virtio_port){
			.name = m->vm->ports[p].name, .in_fd = m->vm->ports[p].in_fd,
			.out_fd = m->vm->ports[p].out_fd, .open = m->vm->ports[p].open,
		};
	ret = virtio_ports_create(&m->virtio[i].dev, m->virtio_env, i, ports, nr, err);
	m->ports = m->virtio[i].dev;
	return ret;
}

static int p9_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vm_device *dev = &m->vm->devices[i];
	const struct virtio_9p_params params = {
		.fd = dev->fd, .tag = dev->tag, .aname = dev->aname, .uname = dev->uname,
	};

	return virtio_9p_create(&m->virtio[i].dev, m->virtio_env, i, &params, err);
}

static int create(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct vm_device *dev = &m->vm->devices[i];

	switch (dev->kind) {
	case VM_DISK:
		return disk_up(m, i, err);
	case VM_FS:
		return virtio_fs_create(&m->virtio[i].dev, m->virtio_env, i, dev->tag, dev->fd, err);
	case VM_9P:
		return p9_up(m, i, err);
	case VM_VHOST_USER:
		return vhost_user_blk_create(&m->virtio[i].dev, m->virtio_env, i, dev->queues, dev->fd,
					     dev->flags & VMM_VHOST_USER_F_WAIT, err);
	case VM_RNG:
		return virtio_rng_create(&m->virtio[i].dev, m->virtio_env, i, getrandom, err);
	case VM_NET:
		return is_elsewhere(dev) ? net_elsewhere_up(m, i, err) : net_up(m, i, err);
	case VM_BALLOON:
		return balloon_up(m, i, err);
	case VM_VSOCK:
		return virtio_vsock_create(&m->virtio[i].dev, m->virtio_env, i, dev->cid, dev->fd,
					   ioctl, err);
	case VM_HVC:
		return hvc_up(m, i, err);
	case VM_PORTS:
		return ports_up(m, i, err);
	}
	return -EINVAL;
}

/* ---- virtio-mmio ----------------------------------------------------------- */

static gpa_t mmio_base(u32 i)
{
	return MAP_VIRTIO + i * (u64)VIRTIO_MMIO_SIZE;
}

static int mmio_up(struct machine *m, u32 i, struct vmm_error *err)
{
	struct virtio *dev = m->virtio[i].dev;
	gpa_t base = mmio_base(i);
	int ret = virtio_mmio_create(&m->virtio[i].mmio, dev, err);

	if (ret)
		return ret;
	ret = bus_add(&m->vm->bus, dev->name, base, VIRTIO_MMIO_SIZE, &virtio_mmio_bus_ops,
		      m->virtio[i].mmio);
	if (ret)
		return error_sys(err, ret, "%s: its place at 0x%llx", dev->name,
				 (unsigned long long)base);
	for (u32 q = 0; q < dev->nr_queues && !ret; q++)
		ret = kvm_ioeventfd(&m->vm->kvm, base + VIRTIO_MMIO_KICK, 4, q,
				    dev->queues[q].kick_fd);
	if (ret)
		return error_sys(err, ret, "%s: the doorbell (KVM_IOEVENTFD)", dev->name);
	ret = kvm_irqfd(&m->vm->kvm, SPI_VIRTIO + i, virtio_mmio_irq_fd(m->virtio[i].mmio));
	return ret ? error_sys(err, ret, "%s: the interrupt (KVM_IRQFD)", dev->name) : 0;
}

/* ---- virtio-pci -------------------------------------------------------------- */

bool virtio_on_pci(const struct machine *m)
{
	return m->vm->nr_devices && m->vm->mcfg.virtio != VMM_VIRTIO_MMIO;
}

static void send(void *ctx, u32 requester, u64 addr, u32 data)
{
	struct machine *m = ctx;

	msi_send(m->msi, requester, addr, data);
}

static bool tie(void *ctx, u32 nr, int fd, u32 requester, u64 addr, u32 data)
{
	struct machine *m = ctx;

	return msi_tie(m->msi, nr, fd, requester, addr, data);
}

static void untie(void *ctx, u32 nr, int fd)
{
	struct machine *m = ctx;

	msi_untie(m->msi, nr, fd);
}

static gpa_t bell(u64 bar, u32 q)
{
	return bar + VIRTIO_PCI_KICK + (u64)q * VIRTIO_PCI_KICK_STEP;
}

static void take_bells(struct machine *m, const struct virtio *dev, u64 bar, u32 nr)
{
	for (u32 q = 0; q < nr; q++)
		kvm_ioeventfd_off(&m->vm->kvm, bell(bar, q), 2, q, dev->queues[q].kick_fd);
}

/* Without, a kick is an exit, as when BARs lie over one another. */
static void moved(void *ctx, struct virtio *dev, u64 from, u64 to)
{
	struct machine *m = ctx;
	bool *bells = &m->virtio[dev->index].bells;
	u32 q = 0;

	if (*bells)
		take_bells(m, dev, from, dev->nr_queues);
	*bells = false;
	if (to == PCI_NO_BAR)
		return;
	while (q < dev->nr_queues &&
	       !kvm_ioeventfd(&m->vm->kvm, bell(to, q), 2, q, dev->queues[q].kick_fd))
		q++;
	*bells = q == dev->nr_queues;
	if (!*bells)
		take_bells(m, dev, to, q);
}

static int bridge_up(struct machine *m, struct vmm_error *err)
{
	int ret = pci_create(&m->pci, MAP_PCI_WINDOW, MAP_PCI_WINDOW_SIZE, err);

	_Static_assert(VM_MAX_DEVICES * MAX_MESSAGES <= 4096, "KVM_MAX_IRQ_ROUTES");
	if (!ret)
		ret = msi_create(&m->msi, m->vm, m->vm->nr_devices * MAX_MESSAGES, err);
	if (ret)
		return ret;
	ret = bus_add(&m->vm->bus, "PCI", MAP_PCI_ECAM, PCI_ECAM_SIZE, &pci_ecam_ops, m->pci);
	if (!ret)
		ret = bus_add(&m->vm->bus, "PCI", MAP_PCI_WINDOW, MAP_PCI_WINDOW_SIZE,
			      &pci_window_ops, m->pci);
	return ret ? error_sys(err, ret, "PCI: its place") : 0;
}

static int pci_up(struct machine *m, u32 i, struct vmm_error *err)
{
	const struct virtio_pci_host host = {
		.ctx = m, .intx = machine_spi(m, SPI_VIRTIO + i), .send = send, .tie = tie,
		.untie = untie, .first_message = i * MAX_MESSAGES, .moved = moved,
	};
	int ret = virtio_pci_create(&m->virtio[i].pci, m->virtio[i].dev, &host, err);

	if (!ret)
		pci_add(m->pci, i, virtio_pci_fn(m->virtio[i].pci));
	return ret;
}

/* ---- All of them -------------------------------------------------------------- */

int virtio_up(struct machine *m, struct vmm_error *err)
{
	int ret = 0;

	if (!m->vm->nr_devices)
		return 0;
	ret = env_up(m, err);
	if (!ret && virtio_on_pci(m))
		ret = bridge_up(m, err);
	for (u32 i = 0; i < m->vm->nr_devices && !ret; i++) {
		ret = create(m, i, err);
		if (!ret)
			ret = m->pci ? pci_up(m, i, err) : mmio_up(m, i, err);
	}
	return ret;
}

void virtio_down(struct machine *m)
{
	for (u32 i = 0; i < VM_MAX_DEVICES; i++) {
		virtio_destroy(m->virtio[i].dev);
		virtio_mmio_destroy(m->virtio[i].mmio);
		virtio_pci_destroy(m->virtio[i].pci);
	}
	pci_destroy(m->pci);
	msi_destroy(m->msi);
	free(m->virtio_env);
}

int machine_set_backend(struct vmm *vm, u32 index, int fd, struct vmm_error *err)
{
	struct virtio *dev = vm->machine->virtio[index].dev;

	if (vm->devices[index].kind == VM_9P)
		return virtio_9p_replace(dev, fd, err);
	return vhost_user_replace(dev, fd, err);
}

void virtio_tree(const struct machine *m, struct tree *t)
{
	if (m->pci)
		pci_tree(m->pci, t, MAP_PCI_ECAM, SPI_VIRTIO, m->vm->nr_devices, m->its_fd >= 0);
	for (u32 i = 0; i < m->vm->nr_devices && !m->pci; i++)
		virtio_mmio_tree(t, mmio_base(i), SPI_VIRTIO + i);
}

/* ---- While it runs ----------------------------------------------------------------- */

int machine_net_attach(struct vmm *vm, u32 index, int fd, struct vmm_error *err)
{
	struct netio *io;
	int ret = netstream_create(&io, fd, err);

	if (!ret)
		virtio_net_attach(vm->machine->virtio[index].dev, io);
	return ret;
}

int machine_net_link(struct vmm *vm, u32 index, bool up)
{
	struct virtio *dev = vm->machine->virtio[index].dev;

	if (is_elsewhere(&vm->devices[index]))
		vhost_user_net_link(dev, up);
	else
		virtio_net_link(dev, up);
	return 0;
}

void machine_net_stats(struct vmm *vm, u32 index, struct vmm_net_stats *stats)
{
	virtio_net_stats(vm->machine->virtio[index].dev, stats);
}

int machine_disk_resize(struct vmm *vm, u32 index, u64 *size, struct vmm_error *err)
{
	return virtio_blk_resize(vm->machine->virtio[index].dev, size, err);
}

void machine_hvc_resize(struct vmm *vm, u16 cols, u16 rows)
{
	virtio_console_resize(vm->machine->hvc, cols, rows);
}

int machine_hvc_type(struct vmm *vm, const char *text)
{
	return virtio_console_type(vm->machine->hvc, text);
}

void machine_port_open(struct vmm *vm, u32 index, bool open)
{
	virtio_ports_open(vm->machine->ports, index, open);
}

static struct virtio *balloon(struct vmm *vm)
{
	return vm->machine->virtio[vm->balloon].dev;
}

void machine_balloon_set(struct vmm *vm, u64 target)
{
	virtio_balloon_set(balloon(vm), target);
}

void machine_balloon_stats(struct vmm *vm, struct vmm_balloon_stats *stats)
{
	virtio_balloon_stats(balloon(vm), stats);
}

/* ---- A pause ------------------------------------------------------------------- */

bool virtio_pause_io(struct machine *m, u32 io)
{
	struct loop *loop = m->vm->io[io].loop;
	bool at_rest = true;

	for (u32 i = 0; i < m->vm->nr_devices; i++) {
		virtio_pause(m->virtio[i].dev, loop);
		at_rest &= virtio_at_rest(m->virtio[i].dev, loop);
	}
	return at_rest;
}

void virtio_resume_io(struct machine *m, u32 io)
{
	for (u32 i = 0; i < m->vm->nr_devices; i++)
		virtio_resume(m->virtio[i].dev, m->vm->io[io].loop);
}
