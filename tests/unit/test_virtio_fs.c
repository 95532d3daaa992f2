/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_fs.c - devices/virtio_fs.c, vmm_add_fs(), vmm_add_vhost_user() and
 * vmm_set_backend()
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio_fs.h"
#include "tests/unit/backend.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/fd.h"

/* ---- The device ------------------------------------------------------------ */

static void t_tag(const char *tag)
{
	struct virtio_fs_config config;
	struct vmm_error err;
	struct virtio *dev;
	struct backend b;
	struct driver d;

	driver_open(&d, 1);
	backend_open(&b);
	backend_greet(&b);
	assert_int_equal(virtio_fs_create(&dev, &d.env, 0, tag, b.front, &err), 0);
	driver_attach(&d, dev);
	assert_int_equal(dev->ops->id, 26);
	assert_int_equal(dev->nr_queues, 2);
	assert_int_equal(dev->config_size, sizeof(config));
	driver_locked(&d, virtio_config_read(dev, 0, &config, sizeof(config)));
	assert_int_equal(config.num_request_queues, 1);
	assert_memory_equal(config.tag, tag, strlen(tag));
	for (size_t i = strlen(tag); i < sizeof(config.tag); i++)
		assert_int_equal(config.tag[i], 0);
	backend_close(&b);
	driver_close(&d);
}

static void test_tells_its_tag(void **state)
{
	(void)state;
	t_tag("a");
	t_tag("123456789012345678901234567890123456");
}

/* ---- In a VM ----------------------------------------------------------------- */

#define T_BASE		0x03000000ull
#define T_GSI		8
#define T_REG(off, val)	{ .kind = FAKE_WRITE, .addr = T_BASE + (off), .data = (val) }
#define T_DESC(q)	(GIB(2) + MIB(16) + (q) * KIB(64))
#define T_AVAIL(q)	(T_DESC(q) + KIB(4))
#define T_USED(q)	(T_DESC(q) + KIB(8))
#define T_OK		(DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK)

#define T_QUEUE(q)								\
	T_REG(VIRTIO_MMIO_QUEUE_SEL, q),					\
	T_REG(VIRTIO_MMIO_QUEUE_NUM, 8),					\
	T_REG(VIRTIO_MMIO_QUEUE_DESC_LOW, T_DESC(q)),				\
	T_REG(VIRTIO_MMIO_QUEUE_AVAIL_LOW, T_AVAIL(q)),				\
	T_REG(VIRTIO_MMIO_QUEUE_USED_LOW, T_USED(q)),				\
	T_REG(VIRTIO_MMIO_QUEUE_READY, 1)

#define T_UP									\
	T_REG(VIRTIO_MMIO_STATUS, DRIVER_ACK),					\
	T_REG(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1),				\
	T_REG(VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32)),	\
	T_REG(VIRTIO_MMIO_STATUS, T_OK),					\
	T_QUEUE(0), T_QUEUE(1),							\
	T_REG(VIRTIO_MMIO_STATUS, T_OK | VIRTIO_CONFIG_S_DRIVER_OK)

struct t_guest {
	struct fake_kvm		*fake;
	struct backend		b;
	pthread_t		thread;
	struct t_log		log;
	struct vmm		*vm;
	struct vmm_error	err;
};

static void t_backend(struct t_guest *g)
{
	backend_open(&g->b);
	assert_int_equal(pthread_create(&g->thread, NULL, backend_thread, &g->b), 0);
}

/* Its end, once nobody else has the other side. */
static void t_backend_gone(struct t_guest *g)
{
	fd_close(&g->b.front);
	pthread_join(g->thread, NULL);
	backend_close(&g->b);
}

static void t_create(struct t_guest *g, const struct fake_step *steps, size_t nr)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;

	*g = (struct t_guest){ .fake = fake_create(&fake_server), .log = T_LOG_INIT };
	fake_script(g->fake, 0, steps, nr, 1);
	cfg.flags = VMM_F_RAM_FD;
	cfg.ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(cfg.ram_fd, (off_t)T_RAM), 0);
	cfg.log = t_log;
	cfg.opaque = &g->log;
	cfg.log_level = VMM_LOG_WARN;
	g->vm = t_vm(g->fake, &cfg);
	close(cfg.ram_fd);
	machine.virtio = VMM_VIRTIO_MMIO;
	assert_int_equal(vmm_set_machine(g->vm, &machine, &g->err), 0);
}

static int t_add(struct t_guest *g, const char *tag)
{
	struct vmm_fs_config cfg = VMM_FS_CONFIG_INIT;

	cfg.fd = g->b.front;
	cfg.tag = tag;
	return vmm_add_fs(g->vm, &cfg, &g->err);
}

static void t_open(struct t_guest *g, const struct fake_step *steps, size_t nr)
{
	t_create(g, steps, nr);
	t_backend(g);
	assert_int_equal(t_add(g, "share"), 0);
	t_start(g->vm);
	fd_close(&g->b.front);
}

static void t_close(struct t_guest *g)
{
	vmm_destroy(g->vm);
	t_fake_done(g->fake);
}

/* What the guest offers on queue 1 before it is up, or while nothing reads it. */
static void t_offer(struct t_guest *g)
{
	struct vring_desc *desc = fake_host(g->fake, T_DESC(1));
	struct vring_avail *avail = fake_host(g->fake, T_AVAIL(1));
	struct vring_used *used = fake_host(g->fake, T_USED(1));

	*desc = (struct vring_desc){ T_DESC(1) + KIB(16), 64, VRING_DESC_F_WRITE, 0 };
	avail->ring[0] = 0;
	avail->idx = 1;
	used->idx = 0;
}

static void t_served(struct t_guest *g, u32 pulses)
{
	const struct vring_used *used = fake_host(g->fake, T_USED(1));
	const u8 *data = fake_host(g->fake, T_DESC(1) + KIB(16));

	t_until(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == 1);
	assert_int_equal(data[63], BACKEND_BYTE);
	t_until(fake_pulses(g->fake, T_GSI) >= pulses);
}

/* The doorbell rings the backend, and the backend the guest: no exit, none of ours. */
static void test_vm_is_served_without_exits(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_GATE }, T_UP, T_REG(VIRTIO_MMIO_QUEUE_NOTIFY, 1),
		{ .kind = FAKE_BLOCK },
	};
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
	struct t_guest g;

	(void)state;
	t_open(&g, steps, ARRAY_SIZE(steps));
	t_offer(&g);
	fake_open_gate(g.fake);
	t_served(&g, 1);
	assert_int_equal(vmm_stats(g.vm, 0, &stats), 0);
	assert_int_equal(stats.mmio, ARRAY_SIZE(steps) - 3);
	t_close(&g);
	t_backend_gone(&g);
	assert_int_equal(backend_count(&g.b, VHOST_GET_VRING_BASE), 2);
}

/* Who is told of nothing by the device sees that there may be something. */
static void test_vm_reads_why_it_was_interrupted(void **state)
{
	static const struct fake_step steps[] = {
		T_UP,
		{ .kind = FAKE_READ, .addr = T_BASE + VIRTIO_MMIO_INTERRUPT_STATUS },
		T_OFF,
	};
	struct t_guest g;
	u64 val;

	(void)state;
	t_open(&g, steps, ARRAY_SIZE(steps));
	t_stopped(g.vm, VMM_STOP_GUEST_OFF);
	assert_true(fake_value(g.fake, 0, 0, &val));
	assert_int_equal(val, VIRTIO_MMIO_INT_VRING);
	t_close(&g);
	t_backend_gone(&g);
}

/* The backend goes: told, and the VM runs on; another comes, and after a reset it works. */
static void test_vm_gets_another_backend(void **state)
{
	static const struct fake_step steps[] = {
		T_UP, { .kind = FAKE_GATE }, T_REG(VIRTIO_MMIO_STATUS, 0), T_UP,
		T_REG(VIRTIO_MMIO_QUEUE_NOTIFY, 1), { .kind = FAKE_BLOCK }, T_OFF,
	};
	struct vmm_event ev = VMM_EVENT_INIT;
	struct t_guest g;

	(void)state;
	t_open(&g, steps, ARRAY_SIZE(steps));
	t_until(backend_runs(&g.b));
	shutdown(g.b.fd, SHUT_RDWR);
	t_event(g.vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_BROKEN);
	assert_int_equal(ev.index, 0);
	assert_non_null(strstr(ev.msg, "its backend has gone"));
	assert_true(t_logged(&g.log, "fs0: "));
	t_backend_gone(&g);

	t_backend(&g);
	assert_int_equal(vmm_set_backend(g.vm, 0, g.b.front, &g.err), 0);
	fd_close(&g.b.front);
	t_offer(&g);
	fake_open_gate(g.fake);
	t_served(&g, 1);
	/* One that is on its way there only would stay there. */
	assert_true(fake_wait_inside(g.fake, 1));
	assert_int_equal(vmm_pause(g.vm), 0);
	assert_int_equal(vmm_resume(g.vm), 0);
	t_stopped(g.vm, VMM_STOP_GUEST_OFF);
	t_close(&g);
	t_backend_gone(&g);
}

static void test_vm_does_not_start_without_a_backend(void **state)
{
	struct t_guest g;

	(void)state;
	t_create(&g, NULL, 0);
	backend_open(&g.b);
	assert_int_equal(t_add(&g, "share"), 0);
	backend_close(&g.b);
	assert_int_equal(vmm_start(g.vm, &g.err), -EPIPE);
	assert_non_null(strstr(g.err.msg, "fs0: its backend: GET_FEATURES: Broken pipe"));
	t_close(&g);
}

static void test_ram_must_be_a_file(void **state)
{
	struct t_guest g = { .fake = fake_create(&fake_server) };

	(void)state;
	g.vm = t_vm(g.fake, NULL);
	backend_open(&g.b);
	assert_int_equal(t_add(&g, "share"), 0);
	assert_int_equal(vmm_start(g.vm, &g.err), -EINVAL);
	assert_non_null(strstr(g.err.msg, "VMM_F_RAM_FD"));
	t_close(&g);
	backend_close(&g.b);
}

static void test_arguments(void **state)
{
	struct vmm_fs_config cfg = VMM_FS_CONFIG_INIT;
	struct t_process before;
	struct t_guest g;

	(void)state;
	t_create(&g, NULL, 0);
	t_backend(&g);
	t_process_save(&before);
	assert_int_equal(vmm_add_fs(g.vm, NULL, &g.err), -EINVAL);
	assert_int_equal(t_add(&g, NULL), -EINVAL);
	assert_int_equal(t_add(&g, ""), -EINVAL);
	assert_int_equal(t_add(&g, "1234567890123456789012345678901234567"), -EINVAL);
	assert_string_equal(g.err.msg, "fs: a tag has 1 to 36 bytes");
	cfg.tag = "t";
	cfg.flags = 1;
	assert_int_equal(vmm_add_fs(g.vm, &cfg, &g.err), -E2BIG);
	cfg.flags = 0;
	cfg.reserved = 1;
	assert_int_equal(vmm_add_fs(g.vm, &cfg, &g.err), -E2BIG);
	cfg.reserved = 0;
	cfg.fd = -1;
	assert_int_equal(vmm_add_fs(g.vm, &cfg, &g.err), -EBADF);
	assert_int_equal(vmm_set_backend(g.vm, 0, g.b.front, &g.err), -EBUSY);
	t_process_check(&before);
	vmm_destroy(g.vm);
	t_fake_done(g.fake);
	t_backend_gone(&g);
}

static void test_vhost_user_arguments(void **state)
{
	struct vmm_vhost_user_config cfg = VMM_VHOST_USER_CONFIG_INIT;
	struct t_guest g;

	(void)state;
	t_create(&g, NULL, 0);
	t_backend(&g);
	cfg.fd = g.b.front;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), -EINVAL);
	cfg.type = VMM_VHOST_USER_BLK;
	cfg.queues = VMM_VHOST_USER_QUEUES + 1;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), -EINVAL);
	assert_string_equal(g.err.msg, "vhost-user: 17 queues, of at most 16");
	cfg.queues = 0;
	cfg.flags = VMM_VHOST_USER_F_WAIT << 1;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), -E2BIG);
	cfg.flags = VMM_VHOST_USER_F_WAIT;
	cfg.reserved = 1;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), -E2BIG);
	cfg.reserved = 0;
	cfg.fd = -1;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), -EBADF);
	cfg.fd = g.b.front;
	assert_int_equal(vmm_add_vhost_user(g.vm, &cfg, &g.err), 0);
	assert_int_equal(vmm_set_backend(g.vm, 0, g.b.front, &g.err), -EBUSY);
	vmm_destroy(g.vm);
	t_fake_done(g.fake);
	t_backend_gone(&g);
}

/* One that serves a network card: its link is ours, and another may come in its place. */
static void test_card_of_a_backend(void **state)
{
	static const struct fake_step steps[] = { { .kind = FAKE_BLOCK }, T_OFF };
	struct vmm_net_config cfg = VMM_NET_CONFIG_INIT;
	struct vmm_event ev = VMM_EVENT_INIT;
	struct t_guest g;
	int fds[2];

	(void)state;
	t_create(&g, steps, ARRAY_SIZE(steps));
	t_backend(&g);
	cfg.flags = VMM_NET_F_VHOST_USER;
	cfg.queues = 1;
	cfg.fd = -1;
	assert_int_equal(vmm_add_net(g.vm, &cfg, &g.err), -EBADF);
	cfg.fd = g.b.front;
	assert_int_equal(vmm_add_net(g.vm, &cfg, &g.err), 0);
	t_start(g.vm);
	fd_close(&g.b.front);
	assert_int_equal(vmm_net_link(g.vm, 0, 0), 0);
	assert_int_equal(vmm_net_link(g.vm, 0, 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(vmm_net_attach(g.vm, 0, fds[0], &g.err), -EINVAL);
	assert_string_equal(g.err.msg, "net: device 0 is served by a process");
	close(fds[0]);
	close(fds[1]);
	shutdown(g.b.fd, SHUT_RDWR);
	t_event(g.vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_BROKEN);
	assert_string_equal(ev.msg, "net0: its backend has gone");
	t_backend_gone(&g);
	t_backend(&g);
	assert_int_equal(vmm_set_backend(g.vm, 0, g.b.front, &g.err), 0);
	t_close(&g);
	t_backend_gone(&g);
}

static void test_only_some_devices_have_a_backend(void **state)
{
	static const struct fake_step steps[] = { { .kind = FAKE_BLOCK }, T_OFF };
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct backend other;
	struct t_guest g;

	(void)state;
	t_create(&g, steps, ARRAY_SIZE(steps));
	t_backend(&g);
	assert_int_equal(t_add(&g, "share"), 0);
	assert_int_equal(vmm_add_rng(g.vm, &rng, &g.err), 1);
	t_start(g.vm);
	assert_int_equal(vmm_set_backend(g.vm, 1, g.b.front, &g.err), -ENOENT);
	assert_int_equal(vmm_set_backend(g.vm, 2, g.b.front, &g.err), -ENOENT);
	assert_int_equal(vmm_set_backend(g.vm, UINT32_MAX, g.b.front, &g.err), -ENOENT);
	assert_int_equal(vmm_set_backend(g.vm, 0, -1, &g.err), -EBADF);
	backend_open(&other);
	fd_close(&other.fd);
	assert_int_equal(vmm_set_backend(g.vm, 0, other.front, &g.err), -EPIPE);
	backend_close(&other);
	t_close(&g);
	t_backend_gone(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_its_tag),
		cmocka_unit_test(test_vm_is_served_without_exits),
		cmocka_unit_test(test_vm_reads_why_it_was_interrupted),
		cmocka_unit_test(test_vm_gets_another_backend),
		cmocka_unit_test(test_vm_does_not_start_without_a_backend),
		cmocka_unit_test(test_ram_must_be_a_file),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_vhost_user_arguments),
		cmocka_unit_test(test_card_of_a_backend),
		cmocka_unit_test(test_only_some_devices_have_a_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
