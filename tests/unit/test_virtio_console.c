/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_console.c - devices/virtio_console.c
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "devices/virtio_console.h"
#include "tests/unit/driver.h"
#include "tests/unit/fake_kvm.h"
#include "tests/unit/t.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
			 1ull << VIRTIO_CONSOLE_F_SIZE)

enum { T_IN, T_OUT };

/* The host's end is .peer; what is between holds little. */
struct t_rig {
	struct driver	d;
	int		peer;
};

static void t_open(struct t_rig *rig)
{
	struct virtio_console_params params = { .cols = 80, .rows = 25 };
	const int small = 4096;
	struct vmm_error err;
	struct virtio *dev;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	params.in_fd = params.out_fd = fds[0];
	rig->peer = fds[1];
	driver_open(&rig->d, 2);
	assert_int_equal(virtio_console_create(&dev, &rig->d.env, 1, &params, &err), 0);
	close(fds[0]);
	driver_attach(&rig->d, dev);
	driver_start(&rig->d, T_WANTED);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	close(rig->peer);
}

static u16 t_say(struct t_rig *rig, gpa_t at, const void *text, u32 len)
{
	const struct driver_buf buf = { at, len, false };
	u16 head;

	assert_int_equal(gmem_write(&rig->d.mem, at, text, len), 0);
	head = driver_add(&rig->d.q[T_OUT], &buf, 1);
	driver_kick(&rig->d, T_OUT);
	return head;
}

static bool t_used(struct t_rig *rig, u32 queue, u32 *len)
{
	u32 head;

	driver_turn(&rig->d);
	return driver_used(&rig->d.q[queue], &head, len);
}

/* All that the host's end gets until there is @want of it. */
static size_t t_receive(struct t_rig *rig, u8 *buf, size_t want)
{
	size_t got = 0;
	ssize_t n;

	t_until((driver_turn(&rig->d), n = recv(rig->peer, buf + got, want - got, 0),
		 got += n > 0 ? (size_t)n : 0, got == want));
	return got;
}

static void test_prints(void **state)
{
	const struct driver_buf two[] = { { DRIVER_DATA, 3, false }, { DRIVER_DATA + 100, 2, false } };
	struct t_rig rig;
	u8 buf[16];
	u32 len;

	(void)state;
	t_open(&rig);
	t_say(&rig, DRIVER_DATA, "hello\n", 6);
	assert_true(t_used(&rig, T_OUT, &len));
	assert_int_equal(len, 0);
	t_receive(&rig, buf, 6);
	assert_memory_equal(buf, "hello\n", 6);
	gmem_write(&rig.d.mem, DRIVER_DATA, "abc", 3);
	gmem_write(&rig.d.mem, DRIVER_DATA + 100, "de", 2);
	driver_add(&rig.d.q[T_OUT], two, 2);
	driver_kick(&rig.d, T_OUT);
	t_receive(&rig, buf, 5);
	assert_memory_equal(buf, "abcde", 5);
	t_close(&rig);
}

/* HOSTILE: nobody reads.  So much is kept and no more; and nothing gets lost or out of order. */
static void test_flood_waits_on_the_ring(void **state)
{
	static u8 text[KIB(128)];
	static u8 buf[sizeof(text)];
	struct driver_buf whole = { DRIVER_DATA, KIB(16), false };
	struct t_rig rig;
	u32 nr_used = 0;
	u32 len;

	(void)state;
	t_open(&rig);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (u8)(i * 7 + i / 251);
	assert_int_equal(gmem_write(&rig.d.mem, DRIVER_DATA, text, sizeof(text)), 0);
	for (u32 i = 0; i < 8; i++, whole.addr += whole.len)
		driver_add(&rig.d.q[T_OUT], &whole, 1);
	for (u32 i = 0; i < 20; i++) {
		driver_kick(&rig.d, T_OUT);
		nr_used += t_used(&rig, T_OUT, &len);
		usleep(2000);
	}
	assert_in_range(nr_used, 1, 4);
	assert_int_equal(t_receive(&rig, buf, sizeof(buf)), sizeof(text));
	assert_memory_equal(buf, text, sizeof(text));
	while (nr_used < 8)
		t_until((nr_used += t_used(&rig, T_OUT, &len), true));
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* HOSTILE: how long a chain takes is bounded. */
static void test_too_much_at_once_breaks_it(void **state)
{
	struct driver_buf buf = { DRIVER_DATA, (u32)MIB(1), false };
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	driver_add(&rig.d.q[T_OUT], &buf, 1);
	driver_kick(&rig.d, T_OUT);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
	t_open(&rig);
	buf.len++;
	driver_add(&rig.d.q[T_OUT], &buf, 1);
	driver_kick(&rig.d, T_OUT);
	driver_turn(&rig.d);
	assert_int_equal(rig.d.nr_broken, 1);
	t_close(&rig);
}

static void test_reads_into_what_there_is(void **state)
{
	const struct driver_buf three = { DRIVER_DATA, 3, true };
	const struct driver_buf out = { DRIVER_DATA + 64, 8, false };
	const struct driver_buf mixed[] = { out, { DRIVER_DATA + 100, 2, true }, { DRIVER_DATA + 200, 9, true } };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig);
	assert_int_equal(send(rig.peer, "abcdefg", 7, 0), 7);
	driver_turn(&rig.d);
	driver_add(&rig.d.q[T_IN], &three, 1);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA), "abc", 3);
	/* One that cannot be written to comes back empty. */
	driver_add(&rig.d.q[T_IN], &out, 1);
	driver_add(&rig.d.q[T_IN], mixed, 3);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 0);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA + 100), "de", 2);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA + 200), "fg", 2);
	t_close(&rig);
}

static void test_input_waits_for_a_driver(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig);
	driver_add(&rig.d.q[T_IN], &in, 1);
	driver_kick(&rig.d, T_IN);
	driver_turn(&rig.d);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(send(rig.peer, "later", 5, 0), 5);
	driver_turn(&rig.d);
	usleep(3000);
	driver_turn(&rig.d);
	driver_start(&rig.d, T_WANTED);
	driver_add(&rig.d.q[T_IN], &in, 1);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA), "later", 5);
	t_close(&rig);
}

static void test_nothing_is_touched_while_paused(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	struct t_rig rig;
	u8 buf[8];
	u32 len;

	(void)state;
	t_open(&rig);
	driver_add(&rig.d.q[T_IN], &in, 1);
	driver_kick(&rig.d, T_IN);
	driver_turn(&rig.d);
	virtio_pause(rig.d.dev, rig.d.env.loops[0]);
	assert_true(virtio_at_rest(rig.d.dev, rig.d.env.loops[0]));
	assert_int_equal(send(rig.peer, "x", 1, 0), 1);
	t_say(&rig, DRIVER_DATA + 500, "y", 1);
	usleep(3000);
	assert_false(t_used(&rig, T_IN, &len));
	assert_false(t_used(&rig, T_OUT, &len));
	assert_int_equal(recv(rig.peer, buf, 1, 0), -1);
	virtio_resume(rig.d.dev, rig.d.env.loops[0]);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 1);
	t_receive(&rig, buf, 1);
	assert_int_equal(buf[0], 'y');
	t_close(&rig);
}

static void t_done(void *arg)
{
	(*(u32 *)arg)++;
}

static void test_drain_waits_for_all_of_it(void **state)
{
	static u8 text[KIB(64)];
	static u8 buf[sizeof(text)];
	struct t_rig rig;
	u32 done = 0;

	(void)state;
	t_open(&rig);
	memset(text, 'z', sizeof(text));
	t_say(&rig, DRIVER_DATA, text, sizeof(text));
	virtio_console_drain(rig.d.dev, t_done, &done);
	driver_turn(&rig.d);
	assert_int_equal(done, 0);
	t_receive(&rig, buf, sizeof(buf));
	t_until((driver_turn(&rig.d), done));
	assert_int_equal(done, 1);
	/* ... but not for ever. */
	t_say(&rig, DRIVER_DATA, text, sizeof(text));
	virtio_console_drain(rig.d.dev, t_done, &done);
	driver_turn(&rig.d);
	assert_int_equal(done, 1);
	virtio_console_abandon(rig.d.dev);
	assert_int_equal(done, 2);
	t_close(&rig);
}

static void test_size_is_told(void **state)
{
	struct t_rig rig;
	__le16 size[2];

	(void)state;
	t_open(&rig);
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, 0, size, sizeof(size)));
	assert_int_equal(size[0], 80);
	assert_int_equal(size[1], 25);
	virtio_console_resize(rig.d.dev, 132, 43);
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, 0, size, sizeof(size)));
	assert_int_equal(size[0], 132);
	assert_int_equal(size[1], 43);
	assert_int_equal(rig.d.nr_config_irqs, 1);
	/* With one port there is no need of others, nor of a way around the ring. */
	assert_false(rig.d.dev->offered & 1ull << VIRTIO_CONSOLE_F_MULTIPORT);
	t_close(&rig);
}

/* Before what the host's end has sent, in as many buffers as it takes, and once. */
static void test_typed_comes_first(void **state)
{
	const struct driver_buf two = { DRIVER_DATA, 2, true };
	const struct driver_buf more = { DRIVER_DATA + 64, 64, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig);
	assert_int_equal(virtio_console_type(rig.d.dev, "0123456789abcdef"), -EAGAIN);
	assert_int_equal(virtio_console_type(rig.d.dev, "\x0fhelp"), 0);
	assert_int_equal(virtio_console_type(rig.d.dev, "x"), -EAGAIN);
	assert_int_equal(send(rig.peer, "input", 5, 0), 5);
	driver_add(&rig.d.q[T_IN], &two, 1);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA), "\x0fh", 2);
	assert_int_equal(virtio_console_type(rig.d.dev, "x"), -EAGAIN);
	driver_add(&rig.d.q[T_IN], &more, 1);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA + 64), "elp", 3);
	driver_add(&rig.d.q[T_IN], &more, 1);
	driver_kick(&rig.d, T_IN);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA + 64), "input", 5);
	/* With a buffer there already it needs no kick. */
	driver_add(&rig.d.q[T_IN], &more, 1);
	driver_kick(&rig.d, T_IN);
	driver_turn(&rig.d);
	assert_int_equal(virtio_console_type(rig.d.dev, "y"), 0);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 1);
	t_close(&rig);
}

/* A driver that has gone has not typed it, and a guest that is paused sees nothing of it. */
static void test_typed_is_for_who_is_there(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 64, true };
	struct t_rig rig;
	u32 len;

	(void)state;
	t_open(&rig);
	assert_int_equal(virtio_console_type(rig.d.dev, "old"), 0);
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	assert_int_equal(driver_status(&rig.d, -1), 0);
	assert_int_equal(virtio_console_type(rig.d.dev, "none"), -EAGAIN);
	driver_start(&rig.d, T_WANTED);
	driver_add(&rig.d.q[T_IN], &in, 1);
	driver_kick(&rig.d, T_IN);
	driver_turn(&rig.d);
	virtio_pause(rig.d.dev, rig.d.env.loops[0]);
	assert_true(virtio_at_rest(rig.d.dev, rig.d.env.loops[0]));
	assert_int_equal(virtio_console_type(rig.d.dev, "new"), 0);
	assert_false(t_used(&rig, T_IN, &len));
	virtio_resume(rig.d.dev, rig.d.env.loops[0]);
	t_until(t_used(&rig, T_IN, &len));
	assert_int_equal(len, 3);
	assert_memory_equal(driver_at(&rig.d.q[T_IN], DRIVER_DATA), "new", 3);
	t_close(&rig);
}

static void test_vm_has_one(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_console_config cfg = VMM_CONSOLE_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error err;

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	assert_int_equal(vmm_hvc_resize(vm, 80, 25), -ENOENT);
	assert_int_equal(vmm_hvc_type(vm, "x"), -ENOENT);
	cfg.flags = 1ull << 40;
	assert_int_equal(vmm_add_hvc(vm, &cfg, &err), -E2BIG);
	cfg.flags = VMM_CONSOLE_F_OUT;
	cfg.out_fd = -1;
	assert_int_equal(vmm_add_hvc(vm, &cfg, &err), -EBADF);
	cfg.out_fd = STDERR_FILENO;
	assert_int_equal(vmm_add_hvc(vm, &cfg, &err), 0);
	assert_int_equal(vmm_add_hvc(vm, &cfg, &err), -ENOSPC);
	assert_int_equal(vmm_hvc_resize(vm, 80, 25), 0);
	assert_int_equal(vmm_hvc_resize(vm, 65536, 25), -EINVAL);
	assert_int_equal(vmm_hvc_type(vm, "x"), -EBUSY);
	t_start(vm);
	assert_int_equal(vmm_hvc_resize(vm, 100, 30), 0);
	assert_int_equal(vmm_hvc_type(vm, "x"), -EAGAIN);
	assert_int_equal(vmm_stop(vm), 0);
	t_stopped(vm, VMM_STOP_HOST);
	assert_int_equal(vmm_hvc_resize(vm, 80, 25), -EBUSY);
	assert_int_equal(vmm_hvc_type(vm, "x"), -EBUSY);
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prints),
		cmocka_unit_test(test_flood_waits_on_the_ring),
		cmocka_unit_test(test_too_much_at_once_breaks_it),
		cmocka_unit_test(test_reads_into_what_there_is),
		cmocka_unit_test(test_input_waits_for_a_driver),
		cmocka_unit_test(test_nothing_is_touched_while_paused),
		cmocka_unit_test(test_drain_waits_for_all_of_it),
		cmocka_unit_test(test_size_is_told),
		cmocka_unit_test(test_typed_comes_first),
		cmocka_unit_test(test_typed_is_for_who_is_there),
		cmocka_unit_test(test_vm_has_one),
	};

	return driver_run_each_kind(tests);
}
