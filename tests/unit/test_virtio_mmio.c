/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_mmio.c - devices/virtio_mmio.c, and virtio devices of a whole VM
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "devices/virtio_mmio.h"
#include "devices/virtio_rng.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"
#include "vmm/bus.h"
#include "vmm/vm.h"

struct t_rig {
	struct driver		d;
	struct virtio_mmio	*mmio;
};

static void t_open(struct t_rig *rig)
{
	struct vmm_error err;
	struct virtio *dev;

	driver_open(&rig->d, 1);
	assert_int_equal(virtio_rng_create(&dev, &rig->d.env, 0, getrandom, &err), 0);
	driver_attach(&rig->d, dev);
	assert_int_equal(virtio_mmio_create(&rig->mmio, dev, &err), 0);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	virtio_mmio_destroy(rig->mmio);
}

static u32 t_in(struct t_rig *rig, u32 off)
{
	return (u32)virtio_mmio_bus_ops.read(rig->mmio, off, 4);
}

static void t_out(struct t_rig *rig, u32 off, u32 val)
{
	virtio_mmio_bus_ops.write(rig->mmio, off, 4, val);
}

static u32 t_interrupts(struct t_rig *rig)
{
	u64 n;

	return read(virtio_mmio_irq_fd(rig->mmio), &n, sizeof(n)) == sizeof(n) ? (u32)n : 0;
}

/* What a driver writes to bring queue 0 up. */
static void t_bring_up(struct t_rig *rig)
{
	const struct virtq_layout *l = &rig->d.q[0].layout;

	t_out(rig, VIRTIO_MMIO_STATUS, DRIVER_ACK);
	t_out(rig, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	t_out(rig, VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32));
	t_out(rig, VIRTIO_MMIO_STATUS, DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(t_in(rig, VIRTIO_MMIO_STATUS), DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK);
	t_out(rig, VIRTIO_MMIO_QUEUE_SEL, 0);
	t_out(rig, VIRTIO_MMIO_QUEUE_NUM, l->size);
	t_out(rig, VIRTIO_MMIO_QUEUE_DESC_LOW, (u32)l->desc);
	t_out(rig, VIRTIO_MMIO_QUEUE_DESC_HIGH, (u32)(l->desc >> 32));
	t_out(rig, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (u32)l->avail);
	t_out(rig, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (u32)(l->avail >> 32));
	t_out(rig, VIRTIO_MMIO_QUEUE_USED_LOW, (u32)l->used);
	t_out(rig, VIRTIO_MMIO_QUEUE_USED_HIGH, (u32)(l->used >> 32));
	t_out(rig, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(t_in(rig, VIRTIO_MMIO_QUEUE_READY), 1);
	t_out(rig, VIRTIO_MMIO_STATUS,
	      DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static const struct driver_buf t_buf = { DRIVER_DATA, 64, true };

static void test_tells_what_it_is(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_QUEUE_NUM_MAX), 8);
	t_out(&rig, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_DEVICE_FEATURES), 1u << (VIRTIO_F_VERSION_1 - 32));
	t_out(&rig, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	/* No shared memory. */
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	/* No other queue. */
	t_out(&rig, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	t_out(&rig, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_QUEUE_READY), 0);
	t_close(&rig);
}

static void test_serves_and_interrupts(void **state)
{
	struct t_rig rig;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig);
	t_bring_up(&rig);
	for (u32 n = 0; n < 3; n++) {
		driver_add(&rig.d.q[0], &t_buf, 1);
		t_out(&rig, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		driver_turn(&rig.d);
		assert_true(driver_used(&rig.d.q[0], &head, &len));
		assert_int_equal(len, 64);
		assert_int_equal(t_interrupts(&rig), 1);
		assert_int_equal(t_in(&rig, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
		t_out(&rig, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
		assert_int_equal(t_in(&rig, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	}
	t_close(&rig);
}

static void *io_thread(void *arg)
{
	assert_int_equal(loop_run(arg), 0);
	return NULL;
}

/* Drivers of Linux go on without a look at the status. */
static void test_write_of_reset_returns_when_it_is_done(void **state)
{
	pthread_t thread;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_int_equal(pthread_create(&thread, NULL, io_thread, rig.d.env.loops[0]), 0);
	for (u32 n = 0; n < 20; n++) {
		driver_queue_init(&rig.d.q[0], &rig.d.mem, 0, 8);
		t_bring_up(&rig);
		driver_add(&rig.d.q[0], &t_buf, 1);
		t_out(&rig, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		t_out(&rig, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(t_in(&rig, VIRTIO_MMIO_STATUS), 0);
		assert_int_equal(t_in(&rig, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
		assert_int_equal(t_in(&rig, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	loop_quit(rig.d.env.loops[0]);
	pthread_join(thread, NULL);
	t_close(&rig);
}

/* HOSTILE: accesses of every size, at every offset, with values at the edges. */
static void test_odd_accesses_do_no_harm(void **state)
{
	static const u64 vals[] = { 0, 1, 0x7fffffff, UINT32_MAX, UINT64_MAX };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_bring_up(&rig);
	for (u32 len = 1; len <= 8; len *= 2) {
		for (u32 off = 0; off + len <= VIRTIO_MMIO_SIZE; off++) {
			u64 val = virtio_mmio_bus_ops.read(rig.mmio, off, len);

			if (off < VIRTIO_MMIO_CONFIG && (len != 4 || off % 4))
				assert_int_equal(val, 0);
			/* A reset would wait for a loop that does not run. */
			for (size_t i = 0; i < ARRAY_SIZE(vals); i++)
				if (off != VIRTIO_MMIO_STATUS || len != 4 || (u8)vals[i])
					virtio_mmio_bus_ops.write(rig.mmio, off, len, vals[i]);
		}
	}
	driver_turn(&rig.d);
	driver_add(&rig.d.q[0], &t_buf, 1);
	driver_kick(&rig.d, 0);
	assert_int_equal(rig.d.q[0].used->idx, 1);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_broken_device_says_so(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_bring_up(&rig);
	rig.d.q[0].avail->idx = 100;
	driver_kick(&rig.d, 0);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_true(t_in(&rig, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(t_in(&rig, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(t_interrupts(&rig), 1);
	t_close(&rig);
}

/* ---- In a VM --------------------------------------------------------------------------- */

#define T_BASE		0x03000200ull	/* the second device */
#define T_GSI		9
#define T_REG(off, val)	{ .kind = FAKE_WRITE, .addr = T_BASE + (off), .data = (val) }
#define T_DESC		(GIB(2) + MIB(16))
#define T_AVAIL		(T_DESC + KIB(4))
#define T_USED		(T_DESC + KIB(8))
#define T_OK		(DRIVER_ACK | VIRTIO_CONFIG_S_FEATURES_OK)

#define T_UP									\
	T_REG(VIRTIO_MMIO_STATUS, DRIVER_ACK),					\
	T_REG(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1),				\
	T_REG(VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32)),	\
	T_REG(VIRTIO_MMIO_STATUS, T_OK),					\
	T_REG(VIRTIO_MMIO_QUEUE_NUM, 8),					\
	T_REG(VIRTIO_MMIO_QUEUE_DESC_LOW, T_DESC),				\
	T_REG(VIRTIO_MMIO_QUEUE_AVAIL_LOW, T_AVAIL),				\
	T_REG(VIRTIO_MMIO_QUEUE_USED_LOW, T_USED),				\
	T_REG(VIRTIO_MMIO_QUEUE_READY, 1),					\
	T_REG(VIRTIO_MMIO_STATUS, T_OK | VIRTIO_CONFIG_S_DRIVER_OK)

static struct vmm *t_vm_with_rngs(struct fake_kvm *fake, struct t_log *log)
{
	struct vmm_rng_config cfg = VMM_RNG_CONFIG_INIT;
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_config config = VMM_CONFIG_INIT;
	struct vmm *vm;

	config.log = t_log;
	config.opaque = log;
	config.log_level = VMM_LOG_WARN;
	vm = t_vm(fake, &config);
	machine.virtio = VMM_VIRTIO_MMIO;
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), 0);
	assert_int_equal(vmm_add_rng(vm, &cfg, NULL), 0);
	assert_int_equal(vmm_add_rng(vm, &cfg, NULL), 1);
	t_start(vm);
	return vm;
}

/* The doorbell costs no exit, and the interrupt none of ours. */
static void test_vm_serves_without_exits(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_GATE }, T_UP, T_REG(VIRTIO_MMIO_QUEUE_NOTIFY, 0), { .kind = FAKE_BLOCK },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
	struct t_log log = T_LOG_INIT;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_desc *desc;
	struct vmm *vm;

	(void)state;
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	vm = t_vm_with_rngs(fake, &log);
	desc = fake_host(fake, T_DESC);
	avail = fake_host(fake, T_AVAIL);
	used = fake_host(fake, T_USED);
	*desc = (struct vring_desc){ T_DESC + KIB(16), 64, VRING_DESC_F_WRITE, 0 };
	avail->idx = 1;
	fake_open_gate(fake);
	t_until(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == 1);
	assert_int_equal(used->ring[0].len, 64);
	t_until(fake_pulses(fake, T_GSI) == 1);
	assert_int_equal(fake_pulses(fake, T_GSI - 1), 0);
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.mmio, ARRAY_SIZE(steps) - 3);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* HOSTILE: the device breaks, its VM goes on and its host hears of it. */
static void test_vm_tells_of_a_broken_device(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_GATE }, T_UP, { .kind = FAKE_BLOCK }, T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct t_log log = T_LOG_INIT;
	struct vring_avail *avail;
	struct vmm_event ev;
	struct vmm *vm;

	(void)state;
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	vm = t_vm_with_rngs(fake, &log);
	avail = fake_host(fake, T_AVAIL);
	avail->idx = 1000;
	fake_open_gate(fake);
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_BROKEN);
	assert_int_equal(ev.index, 1);
	assert_non_null(strstr(ev.msg, "rng1: "));
	assert_true(t_logged(&log, "rng1: waits for a reset"));
	/* One that is on its way there only would stay there. */
	assert_true(fake_wait_inside(fake, 1));
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_resume(vm), 0);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_vm_has_room_for_24(void **state)
{
	struct vmm_rng_config cfg = VMM_RNG_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error err;

	(void)state;
	cfg.flags = 1;
	assert_int_equal(vmm_add_rng(vm, &cfg, &err), -E2BIG);
	cfg.flags = 0;
	assert_int_equal(vmm_add_rng(vm, NULL, &err), -EINVAL);
	for (int i = 0; i < 24; i++)
		assert_int_equal(vmm_add_rng(vm, &cfg, &err), i);
	assert_int_equal(vmm_add_rng(vm, &cfg, &err), -ENOSPC);
	t_start(vm);
	assert_int_equal(vmm_add_rng(vm, &cfg, &err), -EBUSY);
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_what_it_is),
		cmocka_unit_test(test_serves_and_interrupts),
		cmocka_unit_test(test_write_of_reset_returns_when_it_is_done),
		cmocka_unit_test(test_odd_accesses_do_no_harm),
		cmocka_unit_test(test_broken_device_says_so),
		cmocka_unit_test(test_vm_serves_without_exits),
		cmocka_unit_test(test_vm_tells_of_a_broken_device),
		cmocka_unit_test(test_vm_has_room_for_24),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
