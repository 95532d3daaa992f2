/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pl031.c - devices/pl031.c
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <libfdt.h>

#include "devices/clock.h"
#include "devices/pl031.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

enum {
	T_DR = 0x00, T_MR = 0x04, T_LR = 0x08, T_CR = 0x0c,
	T_IMSC = 0x10, T_RIS = 0x14, T_MIS = 0x18, T_ICR = 0x1c,
};

#define T_START		1700000000u
#define T_PATIENCE_MS	10000

struct t_rig {
	struct loop	*loop;
	struct pl031	*rtc;
	u64		now;
	bool		level;
	unsigned int	nr_changes;
};

static u64 t_clock(void *ctx)
{
	struct t_rig *rig = ctx;

	return rig->now;
}

static void t_irq(void *ctx, u32 nr, bool level)
{
	struct t_rig *rig = ctx;

	assert_int_equal(nr, 2);
	assert_true(level != rig->level);
	rig->level = level;
	rig->nr_changes++;
}

static struct t_rig *t_open_with(const struct clock *clock, bool with_loop)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct clock own = { .now = t_clock, .ctx = rig };
	struct irq_line irq = { .set = t_irq, .ctx = rig, .nr = 2 };
	struct vmm_error err;

	assert_non_null(rig);
	rig->now = T_START;
	if (with_loop)
		assert_int_equal(loop_create(&rig->loop, &err), 0);
	assert_int_equal(pl031_create(&rig->rtc, clock ? clock : &own, &irq, rig->loop, &err), 0);
	return rig;
}

/* A clock that the test sets, and no loop. */
static struct t_rig *t_open(void)
{
	return t_open_with(NULL, false);
}

static void t_close(struct t_rig *rig)
{
	pl031_destroy(rig->rtc);
	loop_destroy(rig->loop);
	free(rig);
}

static u32 t_in(struct t_rig *rig, u32 off)
{
	return pl031_read(rig->rtc, off);
}

static void t_out(struct t_rig *rig, u32 off, u32 val)
{
	pl031_write(rig->rtc, off, val);
}

static void t_sleep_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static int t_nr_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void test_data_follows_the_clock(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	assert_int_equal(t_in(rig, T_DR), T_START);
	rig->now += 5;
	assert_int_equal(t_in(rig, T_DR), T_START + 5);
	assert_int_equal(t_in(rig, T_CR), 1);
	assert_int_equal(t_in(rig, T_LR), 0);
	assert_int_equal(t_in(rig, T_MR), 0);
	assert_int_equal(t_in(rig, T_RIS), 0);
	t_close(rig);
}

static void test_load_sets_the_counter(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_LR, 1000);
	assert_int_equal(t_in(rig, T_LR), 1000);
	assert_int_equal(t_in(rig, T_DR), 1000);
	rig->now += 7;
	assert_int_equal(t_in(rig, T_DR), 1007);
	assert_int_equal(t_in(rig, T_LR), 1000);
	t_close(rig);
}

static void test_host_clock_set_back_takes_the_counter_along(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	rig->now -= 3600;
	assert_int_equal(t_in(rig, T_DR), T_START - 3600);
	t_close(rig);
}

static void test_ids_are_those_of_a_pl031(void **state)
{
	static const u8 id[] = { 0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct t_rig *rig = t_open();

	(void)state;
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(t_in(rig, 0xfe0 + 4 * i), id[i]);
	t_close(rig);
}

/* As kvm-unit-tests' pl031 does it. */
static void test_masked_alarm_is_latched_and_delivered_when_unmasked(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_MR, T_START + 1);
	assert_int_equal(t_in(rig, T_RIS), 0);
	rig->now += 2;
	assert_int_equal(t_in(rig, T_MIS), 0);
	assert_false(rig->level);
	t_out(rig, T_IMSC, 1);
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_RIS), 1);
	assert_int_equal(t_in(rig, T_MIS), 1);
	t_out(rig, T_ICR, 0x80000000);		/* any value clears */
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_RIS), 0);
	assert_int_equal(t_in(rig, T_MIS), 0);
	rig->now += 1000;
	assert_int_equal(t_in(rig, T_RIS), 0);
	t_close(rig);
}

static void test_match_of_this_second_raises_at_once(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_IMSC, 1);
	t_out(rig, T_MR, T_START);
	assert_true(rig->level);
	t_out(rig, T_ICR, 1);
	assert_false(rig->level);
	t_close(rig);
}

static void test_load_moves_the_alarm(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_IMSC, 1);
	t_out(rig, T_MR, T_START + 100);
	t_out(rig, T_LR, T_START + 90);
	rig->now += 9;
	assert_int_equal(t_in(rig, T_RIS), 0);
	rig->now += 1;
	assert_int_equal(t_in(rig, T_RIS), 1);
	assert_true(rig->level);
	t_close(rig);
}

static void test_match_in_the_past_comes_after_a_wrap(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_MR, T_START - 1);
	rig->now += 1000;
	assert_int_equal(t_in(rig, T_RIS), 0);
	rig->now = T_START + 0xffffffffull - 1;
	assert_int_equal(t_in(rig, T_RIS), 0);
	rig->now++;
	assert_int_equal(t_in(rig, T_DR), T_START - 1);
	assert_int_equal(t_in(rig, T_RIS), 1);
	t_out(rig, T_ICR, 1);
	assert_int_equal(t_in(rig, T_RIS), 0);
	rig->now += 0x100000000ull;
	assert_int_equal(t_in(rig, T_RIS), 1);
	t_close(rig);
}

static void test_read_only_registers_ignore_writes_of_any_width(void **state)
{
	static const u32 offs[] = { T_DR, T_CR, T_RIS, T_MIS, 0x20, 0xfdc, 0xfe0, 0xfff & ~3u };
	const struct bus_ops *ops = &pl031_bus_ops;
	struct t_rig *rig = t_open();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offs); i++) {
		u64 before = ops->read(rig->rtc, offs[i], 4);

		ops->write(rig->rtc, offs[i], 1, 0xef);
		ops->write(rig->rtc, offs[i], 2, 0xbeef);
		ops->write(rig->rtc, offs[i], 4, 0xdeadbeef);
		ops->write(rig->rtc, offs[i], 8, 0xdeadbeefdeadbeef);
		assert_int_equal(ops->read(rig->rtc, offs[i], 4), before);
	}
	t_close(rig);
}

static void test_narrow_and_crooked_accesses_have_values(void **state)
{
	const struct bus_ops *ops = &pl031_bus_ops;
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_MR, 0x44332211);
	assert_int_equal(ops->read(rig->rtc, T_MR, 8), 0x44332211);
	assert_int_equal(ops->read(rig->rtc, T_MR + 1, 1) & 0xff, 0x22);
	assert_int_equal(ops->read(rig->rtc, T_MR + 2, 2) & 0xffff, 0x4433);
	assert_int_equal(ops->read(rig->rtc, T_MR + 3, 4), 0x44);
	assert_int_equal(ops->read(rig->rtc, T_ICR, 4), 0);
	ops->write(rig->rtc, T_MR + 1, 1, 0xff);
	assert_int_equal(t_in(rig, T_MR), 0x44332211);
	t_close(rig);
}

/* MIS is RIS and IMSC, and the line is MIS, whatever comes. */
static void test_random_accesses_keep_line_and_mis_in_step(void **state)
{
	static const unsigned int lens[] = { 1, 2, 4, 8 };
	const struct bus_ops *ops = &pl031_bus_ops;
	struct t_rig *rig = t_open();
	unsigned int seed = 31;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		u64 off = rand_r(&seed) & 1 ? (u64)(rand_r(&seed) % 0x24) :
			(u64)(rand_r(&seed) % 0xff8);
		unsigned int len = lens[rand_r(&seed) % 4];
		u64 val = (u64)rand_r(&seed);
		u32 mis;

		if (rand_r(&seed) % 3 == 0)
			val = rig->now + val % 4;
		if (rand_r(&seed) & 1)
			ops->write(rig->rtc, off, len, val);
		else
			assert_true(ops->read(rig->rtc, off, len) <= 0xffffffff);
		mis = t_in(rig, T_MIS);
		assert_int_equal(mis, rig->level);
		assert_int_equal(mis, t_in(rig, T_RIS) & t_in(rig, T_IMSC));
		rig->now += (u64)(rand_r(&seed) % 2);
		if (rand_r(&seed) % 100 == 0)
			rig->now -= 50;
	}
	t_close(rig);
}

/* ---- With a loop --------------------------------------------------------- */

static void test_no_descriptor_until_an_alarm_is_wanted(void **state)
{
	struct t_rig *rig = t_open_with(&clock_host, true);
	int before = t_nr_fds();

	(void)state;
	t_in(rig, T_DR);
	t_out(rig, T_LR, t_in(rig, T_DR));
	t_out(rig, T_IMSC, 0);
	assert_int_equal(loop_dispatch(rig->loop), 0);
	assert_int_equal(t_nr_fds(), before);
	t_out(rig, T_MR, t_in(rig, T_DR) + 1000);
	t_out(rig, T_IMSC, 1);
	for (int i = 0; i < 20 && t_nr_fds() == before; i++) {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	}
	assert_int_equal(t_nr_fds(), before + 1);
	t_close(rig);
}

static void test_alarm_interrupts_by_itself(void **state)
{
	struct t_rig *rig = t_open_with(&clock_host, true);
	struct pollfd p = { .fd = loop_fd(rig->loop), .events = POLLIN };
	u32 at;

	(void)state;
	/* As Linux sets one: match, clear, unmask; the guest's day is another. */
	t_out(rig, T_LR, 1000);
	at = t_in(rig, T_DR) + 2;
	t_out(rig, T_MR, at);
	t_out(rig, T_ICR, 1);
	t_out(rig, T_IMSC, 1);
	for (int i = 0; i < T_PATIENCE_MS && !rig->level; i++) {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	}
	assert_true(rig->level);
	assert_true(t_in(rig, T_DR) >= at);
	assert_true(t_in(rig, T_DR) <= at + 1);
	t_out(rig, T_ICR, 1);
	assert_false(rig->level);
	/* And then the loop sleeps. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	}
	assert_int_equal(poll(&p, 1, 50), 0);
	t_close(rig);
}

static void test_alarm_waits_for_the_end_of_a_pause(void **state)
{
	struct t_rig *rig = t_open_with(&clock_host, true);

	(void)state;
	t_out(rig, T_MR, t_in(rig, T_DR) + 1);
	t_out(rig, T_IMSC, 1);
	assert_int_equal(loop_dispatch(rig->loop), 0);
	pl031_pause(rig->rtc);
	for (int i = 0; i < 1500; i++) {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	}
	assert_false(rig->level);
	pl031_resume(rig->rtc);
	assert_true(rig->level);
	t_close(rig);
}

static void test_masked_alarm_is_taken_back(void **state)
{
	struct t_rig *rig = t_open_with(&clock_host, true);
	struct pollfd p = { .fd = loop_fd(rig->loop), .events = POLLIN };

	(void)state;
	t_out(rig, T_MR, t_in(rig, T_DR) + 2);
	t_out(rig, T_IMSC, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(loop_dispatch(rig->loop), 0);
	t_out(rig, T_IMSC, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	}
	/* Not even the host is woken. */
	assert_int_equal(poll(&p, 1, 2200), 0);
	assert_int_equal(rig->nr_changes, 0);
	t_close(rig);
}

static void test_destroy_with_a_message_queued_is_safe(void **state)
{
	struct vmm_error err;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_create(&loop, &err), 0);
	for (int i = 0; i < 100; i++) {
		struct t_rig rig = { 0 };
		struct irq_line irq = { .set = t_irq, .ctx = &rig, .nr = 2 };

		assert_int_equal(pl031_create(&rig.rtc, &clock_host, &irq, loop, &err), 0);
		t_out(&rig, T_MR, t_in(&rig, T_DR) + 1000);
		t_out(&rig, T_IMSC, 1);
		pl031_destroy(rig.rtc);
		assert_int_equal(loop_dispatch(loop), 0);
	}
	loop_destroy(loop);
}

static void test_destroy_takes_null(void **state)
{
	(void)state;
	pl031_destroy(NULL);
}

static void *t_loop_thread(void *arg)
{
	struct t_rig *rig = arg;

	assert_int_equal(loop_run(rig->loop), 0);
	return NULL;
}

static void *t_vcpu_thread(void *arg)
{
	struct t_rig *rig = arg;
	unsigned int seed = 7;

	for (int i = 0; i < 20000; i++) {
		t_out(rig, T_MR, t_in(rig, T_DR) + (u32)(rand_r(&seed) % 3));
		t_out(rig, T_IMSC, (u32)(rand_r(&seed) & 1));
		t_out(rig, T_ICR, 0);
	}
	return NULL;
}

static void test_vcpus_and_loop_share_the_alarm(void **state)
{
	struct t_rig *rig = t_open_with(&clock_host, true);
	pthread_t vcpus[2];
	pthread_t loop_thread;

	(void)state;
	pthread_create(&loop_thread, NULL, t_loop_thread, rig);
	for (int i = 0; i < 2; i++)
		pthread_create(&vcpus[i], NULL, t_vcpu_thread, rig);
	for (int i = 0; i < 2; i++)
		pthread_join(vcpus[i], NULL);
	loop_quit(rig->loop);
	pthread_join(loop_thread, NULL);
	assert_int_equal(t_in(rig, T_MIS), rig->level);
	t_close(rig);
}

static void test_host_clock_is_the_time_of_day(void **state)
{
	u64 before = (u64)time(NULL);
	u64 now = clock_host.now(clock_host.ctx);

	(void)state;
	assert_true(now >= before && now <= (u64)time(NULL) + 1);
}

static void test_node_is_what_linux_matches(void **state)
{
	struct t_rig *rig = t_open();
	u8 buf[4096] __attribute__((aligned(8)));
	const fdt32_t *cells;
	struct tree t;
	int node;
	int len;

	(void)state;
	tree_init(&t, buf, sizeof(buf));
	pl031_tree(rig->rtc, &t, 0x1010000, 5);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/rtc@1010000");
	assert_true(node >= 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "arm,pl031"), 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "arm,primecell"), 0);
	cells = fdt_getprop(buf, node, "arm,primecell-periphid", &len);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fdt32_to_cpu(cells[0]) >> 8 * i & 0xff,
				 pl031_read(rig->rtc, 0xfe0 + 4 * i));
	assert_string_equal(fdt_getprop(buf, node, "clock-names", &len), "apb_pclk");
	cells = fdt_getprop(buf, node, "clocks", &len);
	assert_int_equal(fdt32_to_cpu(cells[0]), PHANDLE_CLOCK);
	cells = fdt_getprop(buf, node, "interrupts", &len);
	assert_int_equal(len, 12);
	assert_int_equal(fdt32_to_cpu(cells[1]), 5);
	assert_int_equal(fdt32_to_cpu(cells[2]), 4);
	t_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_follows_the_clock),
		cmocka_unit_test(test_load_sets_the_counter),
		cmocka_unit_test(test_host_clock_set_back_takes_the_counter_along),
		cmocka_unit_test(test_ids_are_those_of_a_pl031),
		cmocka_unit_test(test_masked_alarm_is_latched_and_delivered_when_unmasked),
		cmocka_unit_test(test_match_of_this_second_raises_at_once),
		cmocka_unit_test(test_load_moves_the_alarm),
		cmocka_unit_test(test_match_in_the_past_comes_after_a_wrap),
		cmocka_unit_test(test_read_only_registers_ignore_writes_of_any_width),
		cmocka_unit_test(test_narrow_and_crooked_accesses_have_values),
		cmocka_unit_test(test_random_accesses_keep_line_and_mis_in_step),
		cmocka_unit_test(test_no_descriptor_until_an_alarm_is_wanted),
		cmocka_unit_test(test_alarm_interrupts_by_itself),
		cmocka_unit_test(test_alarm_waits_for_the_end_of_a_pause),
		cmocka_unit_test(test_masked_alarm_is_taken_back),
		cmocka_unit_test(test_destroy_with_a_message_queued_is_safe),
		cmocka_unit_test(test_destroy_takes_null),
		cmocka_unit_test(test_vcpus_and_loop_share_the_alarm),
		cmocka_unit_test(test_host_clock_is_the_time_of_day),
		cmocka_unit_test(test_node_is_what_linux_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
