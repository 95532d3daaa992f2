/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sweep.c - every call that can fail does, one after the other
 *
 * A VM is made, started, run to its end and destroyed, once for each call of the
 * seam and once for each call of libc's that can fail, with that call failing.  Each
 * time the same errno has to come out, with a text, nothing may be left behind, and
 * a start that failed has to succeed when it is tried again.
 *
 * Tap interfaces and vhost of the kernel's are pretended; who serves devices by vhost-user
 * are threads.  Their guest brings each device up, so that it is handed over to them.
 *
 * See faults.h for how the calls of libc are made to fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/backend.h"
#include "tests/unit/faults.h"
#include "tests/unit/overlays.h"
#include "tests/unit/t.h"
#include "vmm/fd.h"
#include "vmm/vm.h"

/* No call of ours returns it by itself, and nothing translates it. */
#define ODD_ERRNO	EDOM

#define T_VIRTIO	0x03000000ull
#define STRIDE		(T_SANITIZED ? 11 : 1)	/* from one call of libc that fails to the next */

/* ---- One life ----------------------------------------------------------------- */

struct recipe {
	const struct fake_profile	*profile;
	u64				flags;		/* VMM_F_* */
	u64				machine;	/* VMM_MACHINE_F_* */
	enum vmm_irqchip		irqchip;
	u32				vcpus;
	bool				rich;	/* everything that can be configured */
	bool				mmio;	/* a virtio device, which is no PCI function */
	bool				wired;	/* all that others serve, with mmio */
	bool				soft;	/* io_uring is refused */
};

/* Who serves a device by vhost-user. */
struct server {
	struct backend	b;
	pthread_t	thread;
};

/* What a life needs of the host's. */
struct host {
	int	kernel;
	int	initrd;
	int	ram;
	int	dtb;
	int	null;
	struct server	fs;
	struct server	blk;
	struct server	cable;	/* of a network card */
	int	tap;
	int	tap_peer;
	int	vhost;
	u32	nr_told;	/* warnings and errors, atomically */
	int	socket;
	int	peer;
	int	flash;
	int	overlay;
};

static void *serve(void *arg)
{
	faults_spare(true);
	return backend_thread(arg);
}

static void server_open(struct server *s)
{
	backend_open(&s->b);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, &s->b), 0);
}

static void server_close(struct server *s)
{
	fd_close(&s->b.front);
	pthread_join(s->thread, NULL);
	faults_spare(true);
	backend_close(&s->b);
	faults_spare(false);
}

/* New ones for each life: they have some of its memory and its descriptors. */
static void servers_open(struct host *host, const struct recipe *r)
{
	if (r->rich)
		server_open(&host->fs);
	if (r->wired) {
		server_open(&host->blk);
		server_open(&host->cable);
	}
}

static void servers_close(struct host *host, const struct recipe *r)
{
	if (r->rich)
		server_close(&host->fs);
	if (r->wired) {
		server_close(&host->blk);
		server_close(&host->cable);
	}
}

static void host_open(struct host *host)
{
	int pair[2];

	host->nr_told = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	host->tap = pair[0];
	host->tap_peer = pair[1];
	host->vhost = memfd_create("t-vhost", MFD_CLOEXEC);

	host->kernel = t_kernel();
	host->initrd = t_file("initrd", 6);
	host->ram = memfd_create("t-ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(host->ram, (off_t)T_RAM), 0);
	host->dtb = memfd_create("t-dtb", MFD_CLOEXEC);
	host->overlay = overlay_file("/chosen", "ours", "text");
	host->flash = memfd_create("t-flash", MFD_CLOEXEC);
	assert_int_equal(ftruncate(host->flash, 0x10000), 0);
	host->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(host->null >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	host->socket = pair[0];
	host->peer = pair[1];
}

static void host_close(struct host *host)
{
	close(host->kernel);
	close(host->initrd);
	close(host->ram);
	close(host->dtb);
	close(host->null);
	close(host->tap);
	close(host->tap_peer);
	close(host->vhost);
	close(host->socket);
	close(host->peer);
	close(host->flash);
	close(host->overlay);
}

/* In this order, which is that of wired_queues[]. */
static int wire(struct vmm *vm, const struct host *host, struct vmm_error *err)
{
	struct vmm_vhost_user_config blk = VMM_VHOST_USER_CONFIG_INIT;
	struct vmm_net_config cable = VMM_NET_CONFIG_INIT;
	struct vmm_net_config pairs = VMM_NET_CONFIG_INIT;
	struct vmm_net_config tap = VMM_NET_CONFIG_INIT;
	struct vmm_vsock_config vsock = VMM_VSOCK_CONFIG_INIT;
	int ret;

	blk.fd = host->blk.b.front;
	blk.type = VMM_VHOST_USER_BLK;
	ret = vmm_add_vhost_user(vm, &blk, err);
	cable.flags = VMM_NET_F_VHOST_USER | VMM_NET_F_WAIT;
	cable.fd = host->cable.b.front;
	if (ret >= 0)
		ret = vmm_add_net(vm, &cable, err);
	pairs.flags = VMM_NET_F_TAP | VMM_NET_F_VHOST;
	pairs.queues = 2;
	pairs.fd = pairs.more_fds[0] = host->tap;
	pairs.vhost_fd = pairs.more_vhost_fds[0] = host->vhost;
	if (ret >= 0)
		ret = vmm_add_net(vm, &pairs, err);
	tap.flags = VMM_NET_F_TAP;
	tap.fd = host->tap;
	if (ret >= 0)
		ret = vmm_add_net(vm, &tap, err);
	vsock.fd = host->vhost;
	vsock.cid = 7;
	return ret < 0 ? ret : vmm_add_vsock(vm, &vsock, err);
}

static int configure(struct vmm *vm, const struct recipe *r, const struct host *host,
		     struct vmm_error *err)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_port_config port = VMM_PORT_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_disk_config disk = VMM_DISK_CONFIG_INIT;
	struct vmm_overlay_config overlay = VMM_OVERLAY_CONFIG_INIT;
	struct vmm_flash_config flash = VMM_FLASH_CONFIG_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct vmm_fs_config fs = VMM_FS_CONFIG_INIT;
	struct vmm_9p_config p9 = VMM_9P_CONFIG_INIT;
	struct vmm_net_config net = VMM_NET_CONFIG_INIT;
	struct vmm_balloon_config balloon = VMM_BALLOON_CONFIG_INIT;
	int ret;

	machine.flags = r->machine;
	machine.irqchip = r->irqchip;
	machine.virtio = r->mmio ? VMM_VIRTIO_MMIO : VMM_VIRTIO_AUTO;
	machine.sve_max_vl = r->rich ? 256 : 0;
	con.flags = VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT;
	con.in_fd = con.out_fd = host->null;
	boot.kernel_fd = host->kernel;
	boot.cmdline = "console=ttyS0";
	if (r->rich) {
		boot.flags = VMM_BOOT_F_INITRD | VMM_BOOT_F_DUMP_DTB;
		boot.initrd_fd = host->initrd;
		boot.dtb_fd = host->dtb;
	}
	ret = vmm_set_machine(vm, &machine, err);
	for (int i = 0; ret >= 0 && i < (r->rich ? 2 : 1); i++)
		ret = vmm_add_console(vm, &con, err);
	disk.fd = host->ram;
	disk.queues = 2;
	if (ret >= 0 && r->rich)
		ret = vmm_add_disk(vm, &disk, err);
	overlay.fd = host->overlay;
	if (ret >= 0 && r->rich)
		ret = vmm_add_overlay(vm, &overlay, err);
	flash.fd = host->flash;
	if (ret >= 0 && r->rich)
		ret = vmm_add_flash(vm, &flash, err);
	for (int i = 0; ret >= 0 && i < (r->rich ? 2 : r->mmio); i++)
		ret = vmm_add_rng(vm, &rng, err);
	fs.fd = host->fs.b.front;
	fs.tag = "tag";
	if (ret >= 0 && r->rich)
		ret = vmm_add_fs(vm, &fs, err);
	p9.fd = host->socket;
	p9.tag = "tag";
	p9.aname = "/export";
	p9.uname = "root";
	if (ret >= 0 && r->rich)
		ret = vmm_add_9p(vm, &p9, err);
	net.flags = VMM_NET_F_STREAM;
	net.fd = host->socket;
	if (ret >= 0 && r->rich)
		ret = vmm_add_net(vm, &net, err);
	if (ret >= 0 && r->rich)
		ret = vmm_add_balloon(vm, &balloon, err);
	if (ret >= 0 && r->rich)
		ret = vmm_add_hvc(vm, &con, err);
	port.flags = con.flags;
	port.in_fd = port.out_fd = host->null;
	port.name = "port";
	if (ret >= 0 && r->rich)
		ret = vmm_add_port(vm, &port, err);
	if (ret >= 0 && r->wired)
		ret = wire(vm, host, err);
	return ret < 0 ? ret : vmm_set_boot(vm, &boot, err);
}

static void count_told(void *arg, int level, const char *msg)
{
	struct host *host = arg;

	(void)msg;
	if (level <= VMM_LOG_WARN)
		__atomic_add_fetch(&host->nr_told, 1, __ATOMIC_RELAXED);
}

static int create(struct vmm **vm, struct fake_kvm *fake, const struct recipe *r,
		  struct host *host, struct vmm_error *err)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	int ret;

	cfg.ram_size = T_RAM;
	cfg.vcpus = r->vcpus;
	cfg.flags = r->flags;
	cfg.log = count_told;
	cfg.opaque = host;
	cfg.log_level = VMM_LOG_WARN;
	if (r->rich || r->wired) {
		cfg.flags |= VMM_F_RAM_FD;
		cfg.ram_fd = host->ram;
	}
	if (r->rich) {
		cfg.io_threads = 2;
		cfg.cpus = "0-8191";
	}
	ret = vm_create(vm, &cfg, &fake_kvm_ops, fake, err);
	if (ret)
		return ret;
	ret = configure(*vm, r, host, err);
	if (ret) {
		vmm_destroy(*vm);
		*vm = NULL;
	}
	return ret;
}

/* All of a guest: a few bytes of output, and off. */
static const struct fake_step guest[] = {
	{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_THRE, .data = T_LSR_THRE },
	{ .kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = 'x' },
	{ .kind = FAKE_WRITE, .addr = T_UART_IER, .len = 1, .data = 2 },
	T_OFF,
};

/* Of those of wire(), behind the device that comes with mmio. */
static const u32 wired_queues[] = { 1, 2, 5, 3, 3 };

#define WIRED_STEPS	320
#define RINGS		0x81000000ull	/* in RAM, and zeroes */

/* A driver's way to DRIVER_OK: virtio 1.2, 3.1.1. */
static size_t bring_up(struct fake_step *steps, u32 dev, u32 nr_queues)
{
	const u64 base = T_VIRTIO + dev * 0x200;
	size_t n = 0;

#define PUT(off, val) (steps[n++] = (struct fake_step){ .kind = FAKE_WRITE, .addr = base + (off), .data = (val) })
	PUT(VIRTIO_MMIO_STATUS, 0);
	PUT(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	PUT(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	PUT(VIRTIO_MMIO_DRIVER_FEATURES, 1);		/* VIRTIO_F_VERSION_1 */
	PUT(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_FEATURES_OK);
	for (u32 q = 0; q < nr_queues; q++) {
		const u64 ring = RINGS + (dev * 8 + q) * 0x3000ull;

		PUT(VIRTIO_MMIO_QUEUE_SEL, q);
		PUT(VIRTIO_MMIO_QUEUE_NUM, 8);
		PUT(VIRTIO_MMIO_QUEUE_DESC_LOW, ring);
		PUT(VIRTIO_MMIO_QUEUE_AVAIL_LOW, ring + 0x1000);
		PUT(VIRTIO_MMIO_QUEUE_USED_LOW, ring + 0x2000);
		PUT(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	PUT(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
#undef PUT
	return n;
}

/* Borrowed by the fake. */
static struct fake_step wired_guest[WIRED_STEPS];

static size_t make_wired_guest(void)
{
	size_t n = 0;

	for (u32 i = 0; i < ARRAY_SIZE(wired_queues); i++)
		n += bring_up(wired_guest + n, 1 + i, wired_queues[i]);
	memcpy(wired_guest + n, guest, sizeof(guest));
	n += ARRAY_SIZE(guest);
	assert_in_range(n, 100, WIRED_STEPS);
	return n;
}

/* Wait for the end; its errno. */
static int end_of(struct vmm *vm)
{
	struct vmm_event ev;

	do
		t_event(vm, &ev);
	while (ev.type != VMM_EVENT_STOPPED);
	assert_true(ev.msg[0]);
	assert_true((ev.reason == VMM_STOP_ERROR) == (ev.error != 0));
	return ev.error;
}

enum verdict {
	UNHURT,		/* it made no difference */
	REFUSED,	/* nothing could be created */
	NOT_STARTED,
	STOPPED,	/* the VM stopped with an error */
};

struct outcome {
	enum verdict	verdict;
	bool		told;		/* the log has a warning, or an error */
	int		ret;
	char		what[160];	/* is wrong; empty if nothing */
};

static void blame(struct outcome *out, const struct t_process *before)
{
	if (out->what[0] || t_process_diff(before, out->what, sizeof(out->what)))
		return;
	if (faults_nr_maps())
		snprintf(out->what, sizeof(out->what), "%zu mappings left", faults_nr_maps());
}

static void blame_silence(struct outcome *out, const struct vmm_error *err)
{
	if (!err->msg[0])
		snprintf(out->what, sizeof(out->what), "no text for %d", out->ret);
}

/* Who serves a device is in the midst of a talk that nobody goes on with. */
static bool spoils_talk(const char *failed)
{
	return failed && (!strcmp(failed, "recv") || !strcmp(failed, "sendmsg"));
}

static struct outcome live_with(struct fake_kvm *fake, const struct recipe *r, struct host *host,
				void (*disarm)(struct fake_kvm *fake))
{
	struct outcome out = { .verdict = UNHURT };
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;
	struct t_process made;
	bool again;

	out.ret = create(&vm, fake, r, host, &err);
	if (out.ret) {
		out.verdict = REFUSED;
		blame_silence(&out, &err);
		return out;
	}
	t_process_save(&made);
	err.msg[0] = '\0';
	out.ret = vmm_start(vm, &err);
	if (out.ret) {
		out.verdict = NOT_STARTED;
		blame_silence(&out, &err);
		blame(&out, &made);
		if (!out.what[0] && fake_nr_open(fake))
			snprintf(out.what, sizeof(out.what), "KVM still has open descriptors");
		disarm(fake);
		/* Still NEW, and nothing is in its way now. */
		again = !out.what[0] && !spoils_talk(faults_failed());
		if (again && vmm_start(vm, &err))
			snprintf(out.what, sizeof(out.what), "starting again: %.100s", err.msg);
		if (again && !out.what[0] && end_of(vm))
			snprintf(out.what, sizeof(out.what), "started again, it stopped with an error");
	} else {
		out.ret = end_of(vm);
		if (out.ret)
			out.verdict = STOPPED;
	}
	vmm_destroy(vm);
	return out;
}

/* The fault has been armed; @disarm makes an end of it. */
static struct outcome live(struct fake_kvm *fake, const struct recipe *r, struct host *host,
			   void (*disarm)(struct fake_kvm *fake))
{
	u32 nr_told = host->nr_told;
	struct t_process empty;
	struct outcome out;

	t_process_save(&empty);
	servers_open(host, r);
	if (r->soft)
		faults_plan("io_uring_queue_init_params", EPERM, SIZE_MAX);
	out = live_with(fake, r, host, disarm);
	if (r->soft)
		faults_unplan();
	servers_close(host, r);
	blame(&out, &empty);
	out.told = host->nr_told != nr_told;
	return out;
}

/* ---- Sweeps ---------------------------------------------------------------------- */

static const struct recipe plain = { .profile = &fake_board, .vcpus = 1 };
static const struct recipe rich = {
	.profile = &fake_server, .vcpus = 3, .irqchip = VMM_IRQCHIP_GICV3_ITS, .rich = true,
	.machine = VMM_MACHINE_F_PMU | VMM_MACHINE_F_COUNTER_OFFSET | VMM_MACHINE_F_NESTED,
};
static const struct recipe middle = { .profile = &fake_server, .vcpus = 2, .mmio = true };
static const struct recipe wired = {
	.profile = &fake_server, .vcpus = 1, .mmio = true, .wired = true,
};
static const struct recipe soft = {
	.profile = &fake_server, .vcpus = 1, .mmio = true, .wired = true, .soft = true,
};

/* Failing calls that may go unnoticed, and why. */
static bool seam_may(const struct fake_call *call)
{
	switch (call->req) {
	case KVM_CHECK_EXTENSION:	/* as if there were no such capability */
	case KVM_HAS_DEVICE_ATTR:	/* or attribute */
	case KVM_IRQ_LINE:		/* nobody to tell but the guest */
		return true;
	case KVM_SET_SIGNAL_MASK:	/* the guest may have powered off before */
	case KVM_RUN:
		return call->vcpu > 0;
	}
	return false;
}

static void seam_disarm(struct fake_kvm *fake)
{
	fake_fail(fake, 0, 0);
}

static struct fake_kvm *t_fake(const struct recipe *r)
{
	struct fake_kvm *fake = fake_create(r->profile);

	if (r->wired)
		fake_script(fake, 0, wired_guest, make_wired_guest(), 1);
	else
		fake_script(fake, 0, guest, ARRAY_SIZE(guest), 1);
	return fake;
}

/* What a first life leaves in libc and in the sanitizers is no leak. */
static void warm_up(const struct recipe *r, struct host *host)
{
	struct fake_kvm *fake = t_fake(r);
	struct outcome out;

	faults_arm(0, 0);
	live(fake, r, host, seam_disarm);
	out = live(fake, r, host, seam_disarm);
	if (out.verdict != UNHURT || out.what[0])
		fail_msg("without a fault: %d, %s", out.ret, out.what);
	t_fake_done(fake);
}

/* Returns how many calls there are; @err is exact if nothing translates it. */
static size_t sweep_seam(const struct recipe *r, int err, bool exact)
{
	struct host host;
	size_t n;

	host_open(&host);
	warm_up(r, &host);
	for (n = 1; n < 10000; n++) {
		struct fake_kvm *fake = t_fake(r);
		struct fake_call call;
		struct outcome out;

		fake_fail(fake, n, err);
		out = live(fake, r, &host, seam_disarm);
		/* A disarmed fake still tells. */
		if (out.what[0])
			fail_msg("call %zu of the seam fails with %d: %s", n, err, out.what);
		if (out.verdict == UNHURT && !fake_failed(fake, &call)) {
			t_fake_done(fake);
			break;
		}
		if (exact && out.verdict != UNHURT && out.ret != -err &&
		    !(out.ret == -ENOTSUP && call.req == KVM_CHECK_EXTENSION))
			fail_msg("call %zu of the seam fails with %d: it is told as %d", n, err, -out.ret);
		if (exact && out.verdict == UNHURT && !seam_may(&call))
			fail_msg("call %zu of the seam, 0x%lx, fails, and nobody notices", n, call.req);
		t_fake_done(fake);
	}
	host_close(&host);
	return n - 1;
}

static void libc_disarm(struct fake_kvm *fake)
{
	(void)fake;
	faults_disarm();
}

static bool libc_may(const char *what)
{
	static const char *const names[] = {
		"timerfd_settime",	/* at run time: an alarm that is late */
		"fcntl of flags",	/* at run time: is the output blocking? */
		"sched_setaffinity",	/* of a vCPU that comes when the guest is off */
		"TUNSETOFFLOAD",	/* nothing is offered then */
		"TUNSETQUEUE to attach", "VHOST_NET_SET_BACKEND to none",
		"VHOST_VSOCK_SET_RUNNING to stop",
		"inotify_init1",	/* hearing of CPUs by one of the two will do */
		"socket", "bind",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], what))
			return true;
	return false;
}

/* What it means is that the descriptor is none of those, whatever the errno. */
static bool libc_translated(const char *what)
{
	return !strcmp(what, "TUNGETIFF");
}

static size_t sweep_libc(const struct recipe *r, int err, bool exact)
{
	struct host host;
	size_t n;

	host_open(&host);
	warm_up(r, &host);
	for (n = 1; n < 10000; n += STRIDE) {
		struct fake_kvm *fake = t_fake(r);
		struct outcome out;
		const char *what;

		faults_arm(n, err);
		out = live(fake, r, &host, libc_disarm);
		what = faults_failed();
		libc_disarm(fake);
		if (out.what[0])
			fail_msg("call %zu of libc, %s, fails with %d: %s", n, what, err, out.what);
		t_fake_done(fake);
		if (!what)
			break;
		if (exact && out.verdict != UNHURT && out.ret != -faults_errno() && !libc_translated(what))
			fail_msg("call %zu of libc, %s, fails with %d: it is told as %d", n, what,
				 faults_errno(), -out.ret);
		if (exact && out.verdict == UNHURT && !out.told && !libc_may(what))
			fail_msg("call %zu of libc, %s, fails, and nobody notices", n, what);
	}
	host_close(&host);
	return n - 1;
}

static void test_each_kvm_call_fails_on_a_small_host(void **state)
{
	(void)state;
	assert_in_range(sweep_seam(&plain, ODD_ERRNO, true), 30, 1000);
}

static void test_each_kvm_call_fails_on_a_server(void **state)
{
	(void)state;
	assert_in_range(sweep_seam(&middle, ODD_ERRNO, true), 40, 1000);
}

static void test_each_kvm_call_fails_with_everything_on(void **state)
{
	(void)state;
	assert_in_range(sweep_seam(&rich, ODD_ERRNO, true), 60, 1000);
}

/* Sanitizers are slow, and the errno makes no difference to them. */
#define SOME	(T_SANITIZED ? 4 : 1)

/* Some of these mean something: it may be told otherwise, or something else tried. */
static void test_kvm_calls_fail_with_errnos_that_mean_something(void **state)
{
	static const int errs[] = { ENODEV, ENOTTY, ENXIO, EINVAL, EPERM, EINTR, EAGAIN, ENOMEM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errs); i += SOME)
		assert_in_range(sweep_seam(&middle, errs[i], false), 30, 1000);
}

static void test_each_libc_call_fails_on_a_small_host(void **state)
{
	(void)state;
	assert_in_range(sweep_libc(&plain, ODD_ERRNO, true), 15, 1000);
}

static void test_each_libc_call_fails_with_everything_on(void **state)
{
	(void)state;
	assert_in_range(sweep_libc(&rich, ODD_ERRNO, true), 30, 1000);
}

static void test_each_libc_call_fails_with_all_that_others_serve(void **state)
{
	(void)state;
	assert_in_range(sweep_libc(&wired, ODD_ERRNO, true), 60, 1000);
}

/* Where an entry fails for lack of memory, there may be some the next moment. */
static void test_each_libc_call_fails_without_io_uring(void **state)
{
	(void)state;
	assert_in_range(sweep_libc(&soft, ODD_ERRNO, false), 60, 1000);
}

static void test_libc_calls_fail_with_errnos_that_mean_something(void **state)
{
	static const int errs[] = { ENOSYS, EPERM, EINTR, EAGAIN, EMFILE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errs); i += SOME)
		assert_in_range(sweep_libc(&middle, errs[i], false), 15, 1000);
}

/* Later than any sweep gets: the I/O thread's ring breaks while the guest runs. */
static void test_ring_that_breaks_stops_the_vm(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct t_process before;
	struct vmm_event ev;
	struct vmm *vm;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	t_process_save(&before);
	vm = t_vm(fake, NULL);
	assert_int_equal(t_add_console(vm, fds[0], fds[1]), 0);
	t_start(vm);
	faults_break_rings(EBADF);
	/* Something to do for it. */
	assert_int_equal(vmm_shutdown(vm), 0);
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_STOPPED);
	assert_int_equal(ev.reason, VMM_STOP_ERROR);
	assert_int_equal(ev.error, -EBADF);
	vmm_destroy(vm);
	faults_break_rings(0);
	t_process_check(&before);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
}

/*
 * Reads that are interrupted, or bring a part, as they may at any time: the guest has all of
 * what was read for it, and is heard.
 */
static void test_calls_that_do_a_part_are_gone_on_with(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	size_t size = MIB(1) + 7;
	struct vmm_error err = { "" };
	struct vmm *vm;
	u8 *initrd = malloc(size);
	int fds[2];
	u8 *ram;
	u8 *at;
	char c;

	(void)state;
	assert_non_null(initrd);
	for (size_t i = 0; i < size; i++)
		initrd[i] = (u8)(i * 31 + (i >> 8) * 7 + (i >> 16));
	cfg.flags = VMM_F_RAM_FD;
	cfg.ram_fd = memfd_create("t-ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(cfg.ram_fd, (off_t)T_RAM), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	vm = t_vm(fake, &cfg);
	boot.kernel_fd = t_kernel();
	boot.flags = VMM_BOOT_F_INITRD;
	boot.initrd_fd = t_file(initrd, size);
	assert_int_equal(vmm_set_boot(vm, &boot, &err), 0);
	assert_int_equal(t_add_console(vm, fds[0], fds[1]), 0);
	fake_script(fake, 0, guest, ARRAY_SIZE(guest), 1);
	faults_hinder();
	if (vmm_start(vm, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(end_of(vm), 0);
	assert_true(faults_unhinder() > 10);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	ram = mmap(NULL, T_RAM, PROT_READ, MAP_SHARED, cfg.ram_fd, 0);
	assert_true(ram != MAP_FAILED);
	at = memmem(ram, T_RAM, initrd, 64);
	assert_non_null(at);
	assert_true((size_t)(ram + T_RAM - at) >= size);
	assert_memory_equal(at, initrd, size);
	munmap(ram, T_RAM);
	vmm_destroy(vm);
	t_fake_done(fake);
	free(initrd);
	close(cfg.ram_fd);
	close(boot.kernel_fd);
	close(boot.initrd_fd);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kvm_call_fails_on_a_small_host),
		cmocka_unit_test(test_each_kvm_call_fails_on_a_server),
		cmocka_unit_test(test_each_kvm_call_fails_with_everything_on),
		cmocka_unit_test(test_kvm_calls_fail_with_errnos_that_mean_something),
		cmocka_unit_test(test_each_libc_call_fails_on_a_small_host),
		cmocka_unit_test(test_each_libc_call_fails_with_everything_on),
		cmocka_unit_test(test_each_libc_call_fails_with_all_that_others_serve),
		cmocka_unit_test(test_each_libc_call_fails_without_io_uring),
		cmocka_unit_test(test_libc_calls_fail_with_errnos_that_mean_something),
		cmocka_unit_test(test_calls_that_do_a_part_are_gone_on_with),
		cmocka_unit_test(test_ring_that_breaks_stops_the_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
