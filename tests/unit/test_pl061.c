/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pl061.c - devices/pl061.c
 */
#include <fcntl.h>
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

#include "devices/pl061.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

enum {
	T_DIR = 0x400, T_IS = 0x404, T_IBE = 0x408, T_IEV = 0x40c, T_IE = 0x410,
	T_RIS = 0x414, T_MIS = 0x418, T_IC = 0x41c, T_AFSEL = 0x420,
};

#define T_KEY		(1u << PL061_KEY)
#define T_KEY_DATA	(T_KEY << 2)		/* the data register, masked to the key */
#define T_ALL_DATA	0x3fc
#define T_PATIENCE_MS	10000

struct t_rig {
	struct loop	*loop;
	struct pl061	*gpio;
	bool		level;
};

static void t_irq(void *ctx, u32 nr, bool level)
{
	struct t_rig *rig = ctx;

	assert_int_equal(nr, 4);
	assert_true(level != rig->level);
	rig->level = level;
}

static struct t_rig *t_open(void)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct irq_line irq = { .set = t_irq, .ctx = rig, .nr = 4 };
	struct vmm_error err;

	assert_non_null(rig);
	assert_int_equal(loop_create(&rig->loop, &err), 0);
	assert_int_equal(pl061_create(&rig->gpio, rig->loop, &irq, &err), 0);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	pl061_destroy(rig->gpio);
	loop_destroy(rig->loop);
	free(rig);
}

static u32 t_in(struct t_rig *rig, u32 off)
{
	return pl061_read(rig->gpio, off);
}

static void t_out(struct t_rig *rig, u32 off, u32 val)
{
	pl061_write(rig->gpio, off, val);
}

static void t_sleep_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static long t_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void t_turn(struct t_rig *rig, long ms)
{
	long end = t_now_ms() + ms;

	do {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	} while (t_now_ms() < end);
}

/* As Linux' gpio-pl061 sets a line up for gpio-keys. */
static void t_linux_driver(struct t_rig *rig)
{
	t_out(rig, T_IE, 0);
	t_out(rig, T_DIR, t_in(rig, T_DIR) & ~T_KEY);
	t_out(rig, T_IS, t_in(rig, T_IS) & ~T_KEY);
	t_out(rig, T_IBE, t_in(rig, T_IBE) | T_KEY);
	t_out(rig, T_IE, t_in(rig, T_IE) | T_KEY);
}

/* Wait for an interrupt as Linux does: status, then acknowledge. */
static void t_take_irq(struct t_rig *rig)
{
	long end = t_now_ms() + T_PATIENCE_MS;

	while (!rig->level) {
		assert_true(t_now_ms() < end);
		t_turn(rig, 0);
	}
	assert_int_equal(t_in(rig, T_MIS), T_KEY);
	t_out(rig, T_IC, T_KEY);
	assert_int_equal(t_in(rig, T_MIS), 0);
	assert_false(rig->level);
}

static void test_reset_values(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	for (u32 off = 0; off <= T_AFSEL; off += 4)
		assert_int_equal(t_in(rig, off), 0);
	assert_false(rig->level);
	t_close(rig);
}

static void test_ids_are_those_of_a_pl061(void **state)
{
	static const u8 id[] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct t_rig *rig = t_open();

	(void)state;
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(t_in(rig, 0xfe0 + 4 * i), id[i]);
	t_close(rig);
}

static void test_address_masks_the_data(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_DIR, 0xf7);
	t_out(rig, T_ALL_DATA, 0xff);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0xf7);
	t_out(rig, 0x0f << 2, 0x05);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0xf5);
	assert_int_equal(t_in(rig, 0x30 << 2), 0x30);
	assert_int_equal(t_in(rig, 0), 0);
	t_out(rig, 0, 0xff);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0xf5);
	t_close(rig);
}

static void test_writing_an_input_changes_nothing(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_ALL_DATA, 0xff);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0);
	t_out(rig, T_DIR, 0xff);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0);
	t_close(rig);
}

/* gpio-keys: an edge, 5 ms of debouncing, the pin; and the other way round. */
static void test_linux_sees_the_key_go_down_and_up(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_linux_driver(rig);
	pl061_press(rig->gpio);
	t_take_irq(rig);
	t_turn(rig, 5);
	assert_int_equal(t_in(rig, T_KEY_DATA), T_KEY);
	t_take_irq(rig);
	t_turn(rig, 5);
	assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	t_close(rig);
}

static void test_slow_guest_still_sees_the_key_down(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_linux_driver(rig);
	pl061_press(rig->gpio);
	t_take_irq(rig);
	t_turn(rig, 500);
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_KEY_DATA), T_KEY);
	t_take_irq(rig);
	assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	t_close(rig);
}

static void test_key_nobody_looks_at_is_let_go(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	pl061_press(rig->gpio);
	assert_int_equal(t_in(rig, T_RIS), 0);		/* falling edges only */
	for (int i = 0; i < T_PATIENCE_MS / 10 && !t_in(rig, T_RIS); i++)
		t_turn(rig, 10);
	assert_int_equal(t_in(rig, T_RIS), T_KEY);
	assert_int_equal(t_in(rig, T_ALL_DATA), 0);
	assert_false(rig->level);
	t_close(rig);
}

/* The guest that is to see it is not running. */
static void test_key_stays_down_while_paused(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_linux_driver(rig);
	for (int i = 0; i < 2; i++) {
		/* The first press makes the timer, and may be seen after the pause. */
		if (i)
			pl061_press(rig->gpio);
		pl061_pause(rig->gpio);
		if (!i)
			pl061_press(rig->gpio);
		t_take_irq(rig);
		t_turn(rig, 3500);			/* longer than it would be held */
		assert_false(rig->level);
		assert_int_equal(t_in(rig, T_KEY_DATA), T_KEY);
		pl061_resume(rig->gpio);
		for (int j = 0; j < T_PATIENCE_MS / 10 && !rig->level; j++)
			t_turn(rig, 10);
		t_take_irq(rig);
		assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	}
	t_close(rig);
}

static void test_pressing_a_key_that_is_down_is_one_press(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_linux_driver(rig);
	pl061_press(rig->gpio);
	t_take_irq(rig);
	pl061_press(rig->gpio);
	assert_false(rig->level);
	t_close(rig);
}

static void test_key_can_be_pressed_again(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_linux_driver(rig);
	for (int i = 0; i < 2; i++) {
		pl061_press(rig->gpio);
		t_take_irq(rig);
		assert_int_equal(t_in(rig, T_KEY_DATA), T_KEY);
		t_take_irq(rig);
		assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	}
	t_close(rig);
}

static void test_rising_edge_alone_can_be_chosen(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_IEV, T_KEY);
	t_out(rig, T_IE, T_KEY);
	pl061_press(rig->gpio);
	t_take_irq(rig);
	for (int i = 0; i < T_PATIENCE_MS / 10 && t_in(rig, T_KEY_DATA); i++)
		t_turn(rig, 10);
	assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	assert_int_equal(t_in(rig, T_RIS), 0);
	t_close(rig);
}

static void test_masked_edge_is_kept(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_IBE, T_KEY);
	pl061_press(rig->gpio);
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_RIS), T_KEY);
	assert_int_equal(t_in(rig, T_MIS), 0);
	t_out(rig, T_IE, T_KEY);
	assert_true(rig->level);
	t_close(rig);
}

static void test_level_interrupt_follows_the_pin(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	t_out(rig, T_IS, T_KEY);
	t_out(rig, T_IE, T_KEY);
	assert_true(rig->level);		/* low */
	t_out(rig, T_IC, T_KEY);		/* of no use */
	assert_true(rig->level);
	t_out(rig, T_IEV, T_KEY);
	assert_false(rig->level);
	pl061_press(rig->gpio);
	assert_true(rig->level);
	t_out(rig, T_IC, T_KEY);
	assert_true(rig->level);
	t_out(rig, T_DIR, T_KEY);		/* an output hears nothing */
	assert_false(rig->level);
	t_close(rig);
}

static void test_random_accesses_keep_line_and_mis_in_step(void **state)
{
	static const unsigned int lens[] = { 1, 2, 4, 8 };
	const struct bus_ops *ops = &pl061_bus_ops;
	struct t_rig *rig = t_open();
	unsigned int seed = 61;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		u64 off = rand_r(&seed) & 1 ? 0x400 + (u64)(rand_r(&seed) % 0x24) :
			(u64)(rand_r(&seed) % 0xff8);
		unsigned int len = lens[rand_r(&seed) % 4];

		if (rand_r(&seed) & 1)
			ops->write(rig->gpio, off, len, (u64)rand_r(&seed));
		else
			assert_true(ops->read(rig->gpio, off, len) <= 0xff);
		assert_int_equal(t_in(rig, T_MIS) != 0, rig->level);
		assert_int_equal(t_in(rig, T_MIS), t_in(rig, T_RIS) & t_in(rig, T_IE));
		if (i % 1000 == 0) {
			pl061_press(rig->gpio);
			assert_int_equal(loop_dispatch(rig->loop), 0);
		}
	}
	t_close(rig);
}

static void *t_loop_thread(void *arg)
{
	struct t_rig *rig = arg;

	assert_int_equal(loop_run(rig->loop), 0);
	return NULL;
}

static void *t_press_thread(void *arg)
{
	struct t_rig *rig = arg;

	for (int i = 0; i < 1000; i++) {
		pl061_press(rig->gpio);
		t_in(rig, T_KEY_DATA);
		t_out(rig, T_IC, 0xff);
	}
	return NULL;
}

static void test_presses_from_any_thread(void **state)
{
	struct t_rig *rig = t_open();
	pthread_t pressers[3];
	pthread_t loop_thread;

	(void)state;
	t_linux_driver(rig);
	pthread_create(&loop_thread, NULL, t_loop_thread, rig);
	for (int i = 0; i < 3; i++)
		pthread_create(&pressers[i], NULL, t_press_thread, rig);
	for (int i = 0; i < 3; i++)
		pthread_join(pressers[i], NULL);
	t_sleep_ms(250);
	loop_quit(rig->loop);
	pthread_join(loop_thread, NULL);
	assert_int_equal(t_in(rig, T_KEY_DATA), 0);
	t_close(rig);
}

static void test_destroy_while_the_key_is_down(void **state)
{
	struct t_rig *rig = t_open();

	(void)state;
	pl061_press(rig->gpio);
	t_turn(rig, 5);
	t_close(rig);
	pl061_destroy(NULL);
}

static const fdt32_t *t_cells(const void *fdt, const char *path, const char *name, int nr)
{
	int node = fdt_path_offset(fdt, path);
	const fdt32_t *cells;
	int len;

	assert_true(node >= 0);
	cells = fdt_getprop(fdt, node, name, &len);
	assert_non_null(cells);
	assert_int_equal(len, 4 * nr);
	return cells;
}

static void test_nodes_are_what_linux_matches(void **state)
{
	struct t_rig *rig = t_open();
	u8 buf[4096] __attribute__((aligned(8)));
	const fdt32_t *gpios;
	struct tree t;
	int node;

	(void)state;
	tree_init(&t, buf, sizeof(buf));
	pl061_tree(rig->gpio, &t, 0x1030000, 6);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/gpio@1030000");
	assert_true(node >= 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "arm,pl061"), 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "arm,primecell"), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fdt32_to_cpu(*t_cells(buf, "/gpio@1030000",
						       "arm,primecell-periphid", 1)) >> 8 * i & 0xff,
				 pl061_read(rig->gpio, 0xfe0 + 4 * i));
	assert_non_null(fdt_getprop(buf, node, "gpio-controller", NULL));
	assert_int_equal(fdt_get_phandle(buf, node), PHANDLE_GPIO);
	assert_int_equal(fdt32_to_cpu(*t_cells(buf, "/gpio@1030000", "#gpio-cells", 1)), 2);
	assert_int_equal(fdt32_to_cpu(t_cells(buf, "/gpio@1030000", "interrupts", 3)[1]), 6);
	node = fdt_path_offset(buf, "/gpio-keys");
	assert_int_equal(fdt_node_check_compatible(buf, node, "gpio-keys"), 0);
	gpios = t_cells(buf, "/gpio-keys/key-poweroff", "gpios", 3);
	assert_int_equal(fdt32_to_cpu(gpios[0]), PHANDLE_GPIO);
	assert_int_equal(fdt32_to_cpu(gpios[1]), 3);
	assert_int_equal(fdt32_to_cpu(gpios[2]), 0);
	assert_int_equal(fdt32_to_cpu(*t_cells(buf, "/gpio-keys/key-poweroff", "linux,code", 1)),
			 116);
	t_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_values),
		cmocka_unit_test(test_ids_are_those_of_a_pl061),
		cmocka_unit_test(test_address_masks_the_data),
		cmocka_unit_test(test_writing_an_input_changes_nothing),
		cmocka_unit_test(test_linux_sees_the_key_go_down_and_up),
		cmocka_unit_test(test_slow_guest_still_sees_the_key_down),
		cmocka_unit_test(test_key_nobody_looks_at_is_let_go),
		cmocka_unit_test(test_key_stays_down_while_paused),
		cmocka_unit_test(test_pressing_a_key_that_is_down_is_one_press),
		cmocka_unit_test(test_key_can_be_pressed_again),
		cmocka_unit_test(test_rising_edge_alone_can_be_chosen),
		cmocka_unit_test(test_masked_edge_is_kept),
		cmocka_unit_test(test_level_interrupt_follows_the_pin),
		cmocka_unit_test(test_random_accesses_keep_line_and_mis_in_step),
		cmocka_unit_test(test_presses_from_any_thread),
		cmocka_unit_test(test_destroy_while_the_key_is_down),
		cmocka_unit_test(test_nodes_are_what_linux_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
