/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_ports.c - devices/virtio_ports.c
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/virtio_ports.h"
#include "tests/unit/driver.h"
#include "tests/unit/fake_kvm.h"
#include "tests/unit/t.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
			 1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define T_MESSAGES	(DRIVER_DATA + KIB(64))
#define T_STEP		256
#define T_SAID		(DRIVER_DATA + KIB(96))

enum { T_IN0, T_OUT0, T_CONTROL_IN, T_CONTROL_OUT, T_IN1, T_OUT1, T_IN2, T_OUT2 };

/* Two ports; the host's end of each is a peer. */
struct t_rig {
	struct driver	d;
	int		peers[2];
};

static void t_open(struct t_rig *rig, bool open)
{
	struct virtio_port ports[2] = { { .name = "first", .open = open }, { .name = "org.second.0" } };
	const int small = 4096;
	struct vmm_error err;
	struct virtio *dev;
	int fds[2];

	driver_open(&rig->d, 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
		assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
		ports[i].in_fd = ports[i].out_fd = fds[0];
		rig->peers[i] = fds[1];
	}
	assert_int_equal(virtio_ports_create(&dev, &rig->d.env, 1, ports, 2, &err), 0);
	for (u32 i = 0; i < 2; i++)
		close(ports[i].in_fd);
	driver_attach(&rig->d, dev);
	driver_start(&rig->d, T_WANTED);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	close(rig->peers[0]);
	close(rig->peers[1]);
}

static bool t_used(struct t_rig *rig, u32 queue, u32 *len)
{
	u32 head;

	driver_turn(&rig->d);
	return driver_used(&rig->d.q[queue], &head, len);
}

/* Control message number @nr, from 0, is to be put at its place. */
static void t_expect(struct t_rig *rig, u32 nr)
{
	const struct driver_buf buf = { T_MESSAGES + nr * T_STEP, T_STEP, true };

	driver_add(&rig->d.q[T_CONTROL_IN], &buf, 1);
	driver_kick(&rig->d, T_CONTROL_IN);
}

static void t_say(struct t_rig *rig, u32 id, u16 event, u16 value)
{
	const struct virtio_console_control msg = { id, event, value };
	const struct driver_buf buf = { T_SAID, sizeof(msg), false };
	u32 len;

	gmem_write(&rig->d.mem, T_SAID, &msg, sizeof(msg));
	driver_add(&rig->d.q[T_CONTROL_OUT], &buf, 1);
	driver_kick(&rig->d, T_CONTROL_OUT);
	t_until(t_used(rig, T_CONTROL_OUT, &len));
	assert_int_equal(len, 0);
}

/* It has come, and says this. */
static void t_told(struct t_rig *rig, u32 nr, u32 id, u16 event, u16 value, const char *name)
{
	const u8 *at = driver_at(&rig->d.q[T_CONTROL_IN], T_MESSAGES + nr * T_STEP);
	struct virtio_console_control msg;
	u32 len = 0;

	t_until(t_used(rig, T_CONTROL_IN, &len));
	assert_int_equal(len, sizeof(msg) + strlen(name));
	memcpy(&msg, at, sizeof(msg));
	assert_int_equal(msg.id, id);
	assert_int_equal(msg.event, event);
	assert_int_equal(msg.value, value);
	assert_memory_equal(at + sizeof(msg), name, strlen(name));
}

/* The driver finds port @id, and a program opens it. */
static void t_use(struct t_rig *rig, u32 id)
{
	t_say(rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
	t_say(rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void test_ports_are_told(void **state)
{
	struct t_rig rig;
	__le32 nr;
	u32 len;

	(void)state;
	t_open(&rig, true);
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, offsetof(struct virtio_console_config,
								     max_nr_ports), &nr, sizeof(nr)));
	assert_int_equal(nr, 3);
	assert_false(rig.d.dev->offered & 1ull << VIRTIO_CONSOLE_F_SIZE);
	for (u32 i = 0; i < 8; i++)
		t_expect(&rig, i);
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	t_say(&rig, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	t_told(&rig, 0, 1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	t_told(&rig, 1, 2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	t_say(&rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	t_told(&rig, 2, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "org.second.0");
	t_told(&rig, 3, 2, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	t_told(&rig, 4, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "first");
	t_told(&rig, 5, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	virtio_ports_open(rig.d.dev, 1, true);
	t_told(&rig, 6, 2, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	/* It is so already. */
	virtio_ports_open(rig.d.dev, 1, true);
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	t_close(&rig);
}

/* HOSTILE: a driver that asks for ever and takes no answer has each told once. */
static void test_what_is_owed_is_bounded(void **state)
{
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, true);
	for (u32 i = 0; i < 1000; i++) {
		t_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		t_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	}
	for (u32 i = 0; i < 8; i++)
		t_expect(&rig, i);
	t_told(&rig, 0, 1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	t_told(&rig, 1, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "first");
	t_told(&rig, 2, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	t_told(&rig, 3, 2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* HOSTILE: ports that are not there, messages that are none, cut off or unheard of. */
static void test_nonsense_is_ignored(void **state)
{
	const struct driver_buf shorter = { T_SAID, sizeof(struct virtio_console_control) - 1, false };
	const struct driver_buf none = { T_SAID, 8, true };
	const struct driver_buf tiny = { T_MESSAGES, 4, true };
	static const u32 ids[] = { 0, 3, 0x80000000, UINT32_MAX };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, true);
	t_expect(&rig, 1);
	for (u32 i = 0; i < ARRAY_SIZE(ids); i++)
		for (u16 event = VIRTIO_CONSOLE_PORT_ADD; event < 12; event++)
			t_say(&rig, ids[i], event, 1);
	t_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	t_say(&rig, 1, 0xffff, 1);
	driver_add(&rig.d.q[T_CONTROL_OUT], &shorter, 1);
	driver_add(&rig.d.q[T_CONTROL_OUT], &none, 1);
	driver_kick(&rig.d, T_CONTROL_OUT);
	t_until(t_used(&rig, T_CONTROL_OUT, &len));
	t_until(t_used(&rig, T_CONTROL_OUT, &len));
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	t_told(&rig, 1, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "first");
	/* A buffer without room for a message is given back empty. */
	driver_add(&rig.d.q[T_CONTROL_IN], &tiny, 1);
	driver_kick(&rig.d, T_CONTROL_IN);
	t_until(t_used(&rig, T_CONTROL_IN, &len));
	assert_int_equal(len, 0);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void t_gets(struct t_rig *rig, u32 port, const char *want)
{
	char buf[64];
	ssize_t n;

	t_until((driver_turn(&rig->d), n = recv(rig->peers[port], buf, sizeof(buf), 0), n > 0));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, strlen(want));
}

static void test_each_is_its_own(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	const struct driver_buf out = { DRIVER_DATA + 64, 5, false };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, true);
	t_use(&rig, 1);
	t_use(&rig, 2);
	gmem_write(&rig.d.mem, DRIVER_DATA + 64, "hello", 5);
	/* Nobody is at port 0. */
	driver_add(&rig.d.q[T_OUT0], &out, 1);
	driver_kick(&rig.d, T_OUT0);
	t_until(t_used(&rig, T_OUT0, &len));
	driver_add(&rig.d.q[T_OUT2], &out, 1);
	driver_kick(&rig.d, T_OUT2);
	t_gets(&rig, 1, "hello");
	driver_add(&rig.d.q[T_IN0], &in, 1);
	driver_add(&rig.d.q[T_IN1], &in, 1);
	driver_add(&rig.d.q[T_IN2], &in, 1);
	driver_kick(&rig.d, T_IN0);
	driver_kick(&rig.d, T_IN1);
	driver_kick(&rig.d, T_IN2);
	assert_int_equal(send(rig.peers[0], "one", 3, 0), 3);
	t_until(t_used(&rig, T_IN1, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(driver_at(&rig.d.q[T_IN1], DRIVER_DATA), "one", 3);
	assert_false(t_used(&rig, T_IN0, &len));
	assert_false(t_used(&rig, T_IN2, &len));
	t_close(&rig);
}

/* Linux throws away what comes for a port that no program has open. */
static void test_input_waits_until_it_is_opened(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, true);
	for (u32 i = 0; i < 3; i++)
		driver_add(&rig.d.q[T_IN1], &in, 1);
	driver_kick(&rig.d, T_IN1);
	assert_int_equal(send(rig.peers[0], "early", 5, 0), 5);
	for (u32 i = 0; i < 5; i++, usleep(1000))
		assert_false(t_used(&rig, T_IN1, &len));
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	t_until(t_used(&rig, T_IN1, &len));
	assert_int_equal(len, 5);
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(send(rig.peers[0], "late", 4, 0), 4);
	for (u32 i = 0; i < 5; i++, usleep(1000))
		assert_false(t_used(&rig, T_IN1, &len));
	/* Nor has the next driver any before it opens the port. */
	driver_status(&rig.d, 0);
	t_until((driver_turn(&rig.d), !driver_status(&rig.d, -1)));
	driver_start(&rig.d, T_WANTED);
	driver_add(&rig.d.q[T_IN1], &in, 1);
	driver_kick(&rig.d, T_IN1);
	for (u32 i = 0; i < 5; i++, usleep(1000))
		assert_false(t_used(&rig, T_IN1, &len));
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	t_until(t_used(&rig, T_IN1, &len));
	assert_int_equal(len, 4);
	t_close(&rig);
}

/* That the host's end is closed comes behind its last words. */
static void test_close_comes_last(void **state)
{
	const struct driver_buf two = { DRIVER_DATA, 2, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, true);
	for (u32 i = 0; i < 4; i++)
		t_expect(&rig, i);
	t_use(&rig, 1);
	t_told(&rig, 0, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "first");
	t_told(&rig, 1, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	assert_int_equal(send(rig.peers[0], "bye", 3, 0), 3);
	virtio_ports_open(rig.d.dev, 0, false);
	driver_turn(&rig.d);
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	driver_add(&rig.d.q[T_IN1], &two, 1);
	driver_kick(&rig.d, T_IN1);
	t_until(t_used(&rig, T_IN1, &len));
	assert_int_equal(len, 2);
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	driver_add(&rig.d.q[T_IN1], &two, 1);
	driver_kick(&rig.d, T_IN1);
	t_until(t_used(&rig, T_IN1, &len));
	assert_int_equal(len, 1);
	t_told(&rig, 2, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
	/* If the guest does not read it is not waited for. */
	virtio_ports_open(rig.d.dev, 0, true);
	t_told(&rig, 3, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	t_expect(&rig, 4);
	assert_int_equal(send(rig.peers[0], "bye", 3, 0), 3);
	virtio_ports_open(rig.d.dev, 0, false);
	driver_turn(&rig.d);
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	t_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	t_told(&rig, 4, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
	t_close(&rig);
}

static void test_nothing_is_touched_while_paused(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig, false);
	t_use(&rig, 1);
	driver_add(&rig.d.q[T_IN1], &in, 1);
	driver_kick(&rig.d, T_IN1);
	driver_turn(&rig.d);
	t_expect(&rig, 0);
	t_expect(&rig, 1);
	t_expect(&rig, 2);
	t_told(&rig, 0, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "first");
	t_told(&rig, 1, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
	virtio_pause(rig.d.dev, rig.d.env.loops[0]);
	virtio_pause(rig.d.dev, rig.d.env.loops[1]);
	assert_true(virtio_at_rest(rig.d.dev, rig.d.env.loops[0]));
	assert_int_equal(send(rig.peers[0], "x", 1, 0), 1);
	virtio_ports_open(rig.d.dev, 0, true);
	usleep(3000);
	assert_false(t_used(&rig, T_IN1, &len));
	assert_false(t_used(&rig, T_CONTROL_IN, &len));
	virtio_resume(rig.d.dev, rig.d.env.loops[0]);
	virtio_resume(rig.d.dev, rig.d.env.loops[1]);
	t_until(t_used(&rig, T_IN1, &len));
	t_told(&rig, 2, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	t_close(&rig);
}

static void t_done(void *arg)
{
	(*(u32 *)arg)++;
}

static void test_drain_waits_for_all(void **state)
{
	const struct driver_buf all = { DRIVER_DATA, KIB(64), false };
	static u8 buf[KIB(64)];
	struct t_rig rig;
	size_t got = 0;
	ssize_t n;
	u32 done = 0;

	(void)state;
	t_open(&rig, true);
	driver_turn(&rig.d);
	driver_add(&rig.d.q[T_OUT2], &all, 1);
	virtio_ports_drain(rig.d.dev, t_done, &done);
	driver_turn(&rig.d);
	assert_int_equal(done, 0);
	t_until((driver_turn(&rig.d), n = recv(rig.peers[1], buf, sizeof(buf), 0),
		 got += n > 0 ? (size_t)n : 0, done));
	assert_int_equal(done, 1);
	/* ... but not for ever. */
	driver_add(&rig.d.q[T_OUT1], &all, 1);
	virtio_ports_drain(rig.d.dev, t_done, &done);
	driver_turn(&rig.d);
	assert_int_equal(done, 1);
	virtio_ports_abandon(rig.d.dev);
	assert_int_equal(done, 2);
	t_close(&rig);
}

static void test_vm_has_them(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	static const char *const bad[] = { "", "a/b", "a b", "a\n", ".", "..", "\xc3\xa4" };
	struct vmm_port_config cfg = VMM_PORT_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	char name[VMM_PORT_NAME_MAX + 2];
	struct vmm_error err;

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -EINVAL);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg.name = bad[i];
		assert_int_equal(vmm_add_port(vm, &cfg, &err), -EINVAL);
	}
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	cfg.name = name;
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -EINVAL);
	name[sizeof(name) - 2] = '\0';
	cfg.flags = 1ull << 40;
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -E2BIG);
	cfg.flags = VMM_CONSOLE_F_OUT;
	cfg.out_fd = -1;
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -EBADF);
	cfg.out_fd = STDERR_FILENO;
	assert_int_equal(vmm_add_port(vm, &cfg, &err), 0);
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -EEXIST);
	cfg.flags = VMM_PORT_F_CLOSED;
	for (int i = 1; i < VMM_MAX_PORTS; i++) {
		name[0] = (char)('a' + i);
		assert_int_equal(vmm_add_port(vm, &cfg, &err), i);
	}
	name[0] = 'z';
	assert_int_equal(vmm_add_port(vm, &cfg, &err), -ENOSPC);
	assert_int_equal(vmm_port_open(vm, VMM_MAX_PORTS, 1), -ENOENT);
	assert_int_equal(vmm_port_open(vm, 0, 1), -EBUSY);
	t_start(vm);
	assert_int_equal(vmm_port_open(vm, 0, 0), 0);
	assert_int_equal(vmm_port_open(vm, VMM_MAX_PORTS - 1, 1), 0);
	assert_int_equal(vmm_stop(vm), 0);
	t_stopped(vm, VMM_STOP_HOST);
	assert_int_equal(vmm_port_open(vm, 0, 1), -EBUSY);
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_are_told),
		cmocka_unit_test(test_what_is_owed_is_bounded),
		cmocka_unit_test(test_nonsense_is_ignored),
		cmocka_unit_test(test_each_is_its_own),
		cmocka_unit_test(test_input_waits_until_it_is_opened),
		cmocka_unit_test(test_close_comes_last),
		cmocka_unit_test(test_nothing_is_touched_while_paused),
		cmocka_unit_test(test_drain_waits_for_all),
		cmocka_unit_test(test_vm_has_them),
	};

	return driver_run_each_kind(tests);
}
