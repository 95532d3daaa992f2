/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_vsock.c - devices/virtio_vsock.c and vmm_add_vsock()
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <string.h>
#include <unistd.h>

#include "devices/virtio_vsock.h"
#include "tests/unit/driver.h"
#include "tests/unit/fake_kvm.h"
#include "tests/unit/fake_vhost.h"
#include "tests/unit/t.h"

#define BIT(nr)		(1ull << (nr))
#define T_RINGS		(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT(VIRTIO_RING_F_INDIRECT_DESC))
#define T_SEQPACKET	BIT(VIRTIO_VSOCK_F_SEQPACKET)

static struct fake_vhost *const t_vhost = &fake_vhost[0];

static int t_create(struct driver *d, u64 features, struct virtio **dev, struct vmm_error *err)
{
	fake_vhost_reset(features);
	driver_open(d, 1);
	return virtio_vsock_create(dev, &d->env, 5, 0x12345678, STDERR_FILENO, fake_vhost_control, err);
}

static void t_open(struct driver *d, u64 features)
{
	struct vmm_error err;
	struct virtio *dev;

	assert_int_equal(t_create(d, features, &dev, &err), 0);
	driver_attach(d, dev);
}

/* ---- The device ------------------------------------------------------------------ */

static void test_is_what_it_shall_be(void **state)
{
	struct virtio_vsock_config config;
	struct driver d;

	(void)state;
	t_open(&d, T_RINGS | T_SEQPACKET);
	assert_int_equal(d.dev->ops->id, 19);
	assert_int_equal(d.dev->nr_queues, 3);
	assert_int_equal(d.dev->config_size, sizeof(config));
	driver_locked(&d, virtio_config_read(d.dev, 0, &config, sizeof(config)));
	assert_int_equal(config.guest_cid, 0x12345678);
	assert_int_equal(t_vhost->cid, 0x12345678);
	assert_true(d.dev->offered & T_SEQPACKET);
	assert_false(d.dev->offered & 1ull << VIRTIO_F_RING_PACKED);
	driver_close(&d);
	/* An older kernel. */
	t_open(&d, T_RINGS);
	assert_false(d.dev->offered & T_SEQPACKET);
	driver_close(&d);
}

static void test_vhost_gets_the_rings(void **state)
{
	struct driver d;

	(void)state;
	t_open(&d, T_RINGS | T_SEQPACKET);
	assert_false(t_vhost->running);
	driver_start(&d, T_RINGS | T_SEQPACKET);
	driver_turn(&d);
	assert_true(t_vhost->running);
	assert_int_equal(t_vhost->set_features, T_RINGS | T_SEQPACKET);
	for (u32 i = 0; i < 2; i++) {
		const struct vhost_vring_addr *addr = &t_vhost->addr[i];

		assert_int_equal(t_vhost->num[i], d.q[i].layout.size);
		assert_ptr_equal((void *)(uintptr_t)addr->desc_user_addr, d.q[i].desc);
		assert_ptr_equal((void *)(uintptr_t)addr->avail_user_addr, d.q[i].avail);
		assert_ptr_equal((void *)(uintptr_t)addr->used_user_addr, d.q[i].used);
		assert_int_equal(t_vhost->kick[i], d.dev->queues[i].kick_fd);
		assert_int_equal(t_vhost->call[i], d.irq_fd);
	}
	driver_status(&d, 0);
	driver_turn(&d);
	assert_int_equal(driver_status(&d, -1), 0);
	assert_false(t_vhost->running);
	driver_start(&d, T_RINGS);
	/* Before the kernel looks at it. */
	driver_kick(&d, 1);
	driver_turn(&d);
	assert_true(t_vhost->running);
	assert_int_equal(fake_vhost_kicks(t_vhost, 1), 1);
	assert_int_equal(t_vhost->set_features, T_RINGS);
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
	assert_false(t_vhost->running);
}

/* Nobody serves the ring of events, whatever the driver does with it. */
static void test_events_are_nobodys(void **state)
{
	const struct driver_buf buf = { DRIVER_DATA, 64, true };
	struct driver d;
	u32 head;
	u32 len;

	(void)state;
	t_open(&d, T_RINGS);
	driver_start(&d, T_RINGS);
	driver_turn(&d);
	driver_add(&d.q[2], &buf, 1);
	for (int i = 0; i < 3; i++)
		driver_kick(&d, 2);
	driver_turn(&d);
	assert_false(driver_used(&d.q[2], &head, &len));
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
}

static void test_rests_during_a_pause(void **state)
{
	struct driver d;
	struct loop *loop;

	(void)state;
	t_open(&d, T_RINGS);
	loop = d.dev->queues[0].loop;
	/* Before the driver has come there is nothing to rest. */
	virtio_pause(d.dev, loop);
	virtio_resume(d.dev, loop);
	assert_int_equal(t_vhost->nr_runs, 0);
	driver_start(&d, T_RINGS);
	driver_turn(&d);
	virtio_pause(d.dev, loop);
	assert_false(t_vhost->running);
	assert_true(virtio_at_rest(d.dev, loop));
	virtio_kick(d.dev, 1);
	virtio_resume(d.dev, loop);
	assert_true(t_vhost->running);
	assert_int_equal(fake_vhost_kicks(t_vhost, 1), 1);
	/* A driver that says DRIVER_OK and is paused before it was heard. */
	driver_status(&d, 0);
	driver_turn(&d);
	driver_start(&d, T_RINGS);
	virtio_pause(d.dev, loop);
	driver_turn(&d);
	assert_false(t_vhost->running);
	virtio_resume(d.dev, loop);
	assert_true(t_vhost->running);
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
}

/* Whatever it is that fails: the device breaks, nothing is at work, a reset mends it. */
static void test_vhost_that_fails(void **state)
{
	(void)state;
	for (u32 fail = 1; fail <= 13; fail++) {
		struct driver d;

		t_open(&d, T_RINGS);
		t_vhost->fail = fail;
		driver_start(&d, T_RINGS);
		driver_turn(&d);
		assert_int_equal(t_vhost->fail, 0);
		assert_int_equal(d.nr_broken, 1);
		assert_false(t_vhost->running);
		driver_status(&d, 0);
		driver_turn(&d);
		driver_start(&d, T_RINGS);
		driver_turn(&d);
		assert_int_equal(d.nr_broken, 1);
		assert_true(t_vhost->running);
		driver_close(&d);
	}
}

/* A driver that leaves out a ring has the kernel told of none that is not there. */
static void test_driver_without_rings(void **state)
{
	struct driver d;

	(void)state;
	t_open(&d, T_RINGS);
	assert_true(driver_negotiate(&d, T_RINGS));
	driver_status(&d, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	driver_turn(&d);
	assert_int_equal(d.nr_broken, 1);
	assert_false(t_vhost->running);
	assert_int_equal(t_vhost->num[0] | t_vhost->num[1], 0);
	driver_close(&d);
}

static void t_refused(u64 features, u64 taken, u32 fail, int error, const char *why)
{
	struct t_process before;
	struct vmm_error err = { "" };
	struct virtio *dev;
	struct driver d;
	int ret;

	fake_vhost_reset(features);
	t_vhost->taken = taken;
	t_vhost->fail = fail;
	driver_open(&d, 1);
	t_process_save(&before);
	ret = virtio_vsock_create(&dev, &d.env, 5, 7, STDERR_FILENO, fake_vhost_control, &err);
	assert_int_equal(ret, error);
	assert_string_equal(err.msg, why);
	t_process_check(&before);
	/* What is left of the driver can be closed with a device alone. */
	fake_vhost_reset(T_RINGS);
	assert_int_equal(virtio_vsock_create(&dev, &d.env, 5, 7, STDERR_FILENO, fake_vhost_control, &err), 0);
	driver_attach(&d, dev);
	driver_close(&d);
}

static void test_says_what_is_wrong(void **state)
{
	(void)state;
	t_refused(T_RINGS, 7, 0, -EADDRINUSE, "vsock: CID 7 is another guest's");
	t_refused(T_RINGS, 0, 3, -EIO, "vsock: CID 7: Input/output error");
	t_refused(T_RINGS, 0, 1, -EIO, "vsock: descriptor 2: Input/output error");
	t_refused(T_RINGS, 0, 2, -EIO, "vsock: descriptor 2: Input/output error");
	t_refused(T_RINGS & ~BIT(VIRTIO_RING_F_EVENT_IDX), 0, 0, -ENOTSUP,
		  "vsock: this kernel's lacks features 0x20000000");
}

/* ---- In a VM ----------------------------------------------------------------------- */

static void test_vm_adds_one(void **state)
{
	struct vmm_vsock_config cfg = VMM_VSOCK_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct t_process before;
	struct vmm_error err;
	int fds[2];

	(void)state;
	t_process_save(&before);
	cfg.fd = STDERR_FILENO;
	for (u32 cid = 0; cid < 3; cid++) {
		cfg.cid = cid;
		assert_int_equal(vmm_add_vsock(vm, &cfg, &err), -EINVAL);
	}
	assert_string_equal(err.msg, "vsock: no guest can have the CID 2");
	cfg.cid = UINT32_MAX;
	assert_int_equal(vmm_add_vsock(vm, &cfg, &err), -EINVAL);
	cfg.cid = 3;
	cfg.flags = 1;
	assert_int_equal(vmm_add_vsock(vm, &cfg, &err), -E2BIG);
	cfg.flags = 0;
	cfg.fd = -1;
	assert_int_equal(vmm_add_vsock(vm, &cfg, &err), -EBADF);
	assert_int_equal(vmm_add_vsock(vm, NULL, &err), -EINVAL);
	t_process_check(&before);
	/* That it is of no vhost shows at the start. */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	cfg.fd = fds[0];
	assert_int_equal(vmm_add_vsock(vm, &cfg, &err), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(vmm_start(vm, &err), -ENOTTY);
	assert_non_null(strstr(err.msg, "vsock: descriptor"));
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_what_it_shall_be),
		cmocka_unit_test(test_vhost_gets_the_rings),
		cmocka_unit_test(test_events_are_nobodys),
		cmocka_unit_test(test_rests_during_a_pause),
		cmocka_unit_test(test_vhost_that_fails),
		cmocka_unit_test(test_driver_without_rings),
		cmocka_unit_test(test_says_what_is_wrong),
		cmocka_unit_test(test_vm_adds_one),
	};

	return driver_run_each_kind(tests);
}
