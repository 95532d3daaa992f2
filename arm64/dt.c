/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dt.c - the device tree: what the guest is told of its machine
 *
 * Written in place, in guest memory, where the kernel will look for it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "arm64/machine.h"
#include "arm64/map.h"
#include "devices/stream.h"
#include "fdt/overlay.h"
#include "vmm/error.h"

#define RNG_SEED	64	/* bytes; the kernel credits all of them */

/*
 * Random bytes, or nothing: a host that has not gathered enough yet must not
 * make us wait, and a guest is better off knowing that it got none.
 */
static bool fill_random(struct machine *m, void *buf, size_t len)
{
	if (getrandom(buf, len, GRND_NONBLOCK) == (ssize_t)len)
		return true;
	log_info(&m->vm->log, "the host has no randomness yet, so the guest gets no seed");
	return false;
}

static void seeds(struct machine *m, struct tree *t)
{
	struct {
		u8	rng[RNG_SEED];
		u64	kaslr;
	} seed;
	bool random;

	if (machine_has(m, VMM_MACHINE_F_NO_SEED))
		return;
	random = fill_random(m, &seed, sizeof(seed));
	if (random)
		tree_bytes(t, "rng-seed", seed.rng, sizeof(seed.rng));
	if (machine_has(m, VMM_MACHINE_F_KASLR_SEED))
		tree_u64(t, "kaslr-seed", m->vm->mcfg.kaslr_seed);
	else if (random)
		tree_u64(t, "kaslr-seed", seed.kaslr);
}

static void chosen(struct machine *m, struct tree *t)
{
	tree_begin(t, "chosen");
	tree_string(t, "bootargs", m->vm->boot.cmdline);
	tree_string(t, "stdout-path", "serial0");
	if (m->image.initrd_end) {
		tree_u64(t, "linux,initrd-start", m->image.initrd);
		tree_u64(t, "linux,initrd-end", m->image.initrd_end);
	}
	seeds(m, t);
	tree_end(t);
}

static void memory(const struct machine *m, struct tree *t)
{
	tree_begin(t, "memory@%llx", (unsigned long long)m->vm->ram.base);
	tree_string(t, "device_type", "memory");
	tree_reg(t, m->vm->ram.base, m->vm->ram.size);
	tree_end(t);
}

/* Documentation/devicetree/bindings/arm/psci.yaml */
static void psci(const struct machine *m, struct tree *t)
{
	tree_begin(t, "psci");
	tree_strings(t, "compatible", "arm,psci-1.0", "arm,psci-0.2", "arm,psci");
	/* With EL2 the guest's own hypervisor takes HVC. */
	tree_string(t, "method", machine_has(m, VMM_MACHINE_F_NESTED) ? "smc" : "hvc");
	tree_end(t);
}

/* Documentation/devicetree/bindings/timer/arm,arch_timer.yaml */
static void timer(const struct machine *m, struct tree *t)
{
	const u32 irqs[] = {
		GIC_PPI, PPI_TIMER_S, IRQ_LOW,
		GIC_PPI, PPI_TIMER_P, IRQ_LOW,
		GIC_PPI, PPI_TIMER_V, IRQ_LOW,
		GIC_PPI, PPI_TIMER_HP, IRQ_LOW,
		GIC_PPI, PPI_TIMER_HV, IRQ_LOW,
	};
	size_t nr = machine_has(m, VMM_MACHINE_F_NESTED) ? ARRAY_SIZE(irqs) : ARRAY_SIZE(irqs) - 3;

	tree_begin(t, "timer");
	tree_string(t, "compatible", "arm,armv8-timer");
	tree_cell_list(t, "interrupts", irqs, nr);
	tree_empty(t, "always-on");
	if (m->vm->mcfg.cntfrq)
		tree_u32(t, "clock-frequency", m->vm->mcfg.cntfrq);
	tree_end(t);
}

/* A pipe that nobody reads must not end the host, so not by a plain write(). */
static int write_out(const struct machine *m, size_t len, struct vmm_error *err)
{
	const u8 *p = gmem_host(&m->vm->ram, m->image.dtb, len);
	struct stream out;
	int ret = stream_init(&out, m->vm->boot.dtb_fd);

	while (!ret && len) {
		struct pollfd ready = { .fd = out.fd, .events = POLLOUT };
		ssize_t n;

		poll(&ready, 1, -1);
		n = stream_write(&out, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (n != -EAGAIN && n != -EINTR) {
			ret = (int)n;
		}
	}
	stream_fini(&out);
	return ret < 0 ? error_sys(err, ret, "device tree: writing it out") : 0;
}

/* Room for the tree, rather more than it takes: libfdt clears all of it first. */
static size_t room(const struct machine *m)
{
	u64 size = KIB(8) + strlen(m->vm->boot.cmdline) + (m->vm->cfg.vcpus + m->vm->nr_devices) * 256ull;

	return size < m->image.dtb_max ? size : m->image.dtb_max;
}

/* All of it, and a byte more if there is one: then it is too long.  -1 and errno. */
static ssize_t read_overlay(int fd, u8 *buf)
{
	size_t len = 0;

	while (len <= VMM_OVERLAY_MAX) {
		ssize_t n = pread(fd, buf + len, VMM_OVERLAY_MAX + 1 - len, (off_t)len);

		if (!n)
			break;
		if (n < 0 && errno != EINTR)
			return -1;
		len += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)len;
}

/* Into the tree of @len bytes, which gets all of its own strings and, with longer
 * paths, its symbols. */
static int merge(struct machine *m, size_t len, u8 *dtbo, size_t dtbo_len, struct vmm_error *err)
{
	size_t room = len + 2 * dtbo_len + KIB(4);

	if (room > m->image.dtb_max)
		room = m->image.dtb_max;
	return overlay_merge(gmem_host(&m->vm->ram, m->image.dtb, room), room, dtbo, dtbo_len, err);
}

/* The tree's new length, or a negative errno. */
static int add_overlay(struct machine *m, u32 i, int len, struct vmm_error *err)
{
	u8 *dtbo = malloc(VMM_OVERLAY_MAX + 1);
	struct vmm_error why = { "" };
	ssize_t n;

	if (!dtbo)
		return error_set(err, -ENOMEM, "overlay %u: no memory", i);
	n = read_overlay(m->vm->overlay_fds[i], dtbo);
	if (n < 0)
		len = error_sys(err, -errno, "overlay %u: reading it", i);
	else if (n > VMM_OVERLAY_MAX)
		len = error_set(err, -ENOEXEC, "overlay %u: it has more than %d bytes", i,
				VMM_OVERLAY_MAX);
	else
		len = merge(m, (size_t)len, dtbo, (size_t)n, &why);
	free(dtbo);
	return why.msg[0] ? error_set(err, len, "overlay %u: %s", i, why.msg) : len;
}

int dt_up(struct machine *m, struct vmm_error *err)
{
	struct tree t;
	int len;

	tree_init(&t, gmem_host(&m->vm->ram, m->image.dtb, room(m)), room(m));
	tree_string(&t, "compatible", "linux,dummy-virt");
	tree_u32(&t, "#address-cells", 2);
	tree_u32(&t, "#size-cells", 2);
	tree_u32(&t, "interrupt-parent", PHANDLE_GIC);
	chosen(m, &t);
	memory(m, &t);
	cpu_tree(m, &t);
	psci(m, &t);
	gic_tree(m, &t);
	timer(m, &t);
	pmu_tree(m, &t);
	profiling_tree(m, &t);
	board_tree(m, &t);
	flash_tree(m, &t);
	virtio_tree(m, &t);
	len = tree_finish(&t);
	if (len < 0)
		return error_sys(err, len, "device tree");
	for (u32 i = 0; i < m->vm->nr_overlays; i++) {
		len = add_overlay(m, i, len, err);
		if (len < 0)
			return len;
	}
	return m->vm->boot.dtb_fd < 0 ? 0 : write_out(m, (size_t)len, err);
}
