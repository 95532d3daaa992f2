/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_rng.c - devices/virtio_rng.c
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <sys/random.h>

#include "devices/virtio_rng.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_WANTED	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define T_TABLE		(DRIVER_DATA + MIB(1))

/* Bytes of a kind, as many as there is room for; or what the test before has set. */
static ssize_t t_sevens(void *buf, size_t len, unsigned int flags)
{
	assert_int_equal(flags, GRND_NONBLOCK);
	memset(buf, 7, len);
	return (ssize_t)len;
}

static ssize_t t_short(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 7, len / 2);
	return (ssize_t)len / 2;
}

static u32 t_refusals;

static ssize_t t_later(void *buf, size_t len, unsigned int flags)
{
	if (t_refusals) {
		t_refusals--;
		errno = EAGAIN;
		return -1;
	}
	return t_sevens(buf, len, flags);
}

static void t_open(struct driver *d, virtio_rng_fill *fill)
{
	struct vmm_error err;
	struct virtio *dev;

	driver_open(d, 1);
	assert_int_equal(virtio_rng_create(&dev, &d->env, 2, fill, &err), 0);
	driver_attach(d, dev);
	driver_start(d, T_WANTED);
}

static u32 t_filled(struct driver *d, u64 at, u32 len)
{
	const u8 *p = driver_at(&d->q[0], DRIVER_DATA + at);
	u32 n = 0;

	while (n < len && p[n] == 7)
		n++;
	return n;
}

/* One chain, and how long it is said to be. */
static u32 t_serve(struct driver *d, const struct driver_buf *bufs, size_t nr)
{
	u16 head = driver_add(&d->q[0], bufs, nr);
	u32 got;
	u32 len;

	driver_kick(d, 0);
	assert_true(driver_used(&d->q[0], &got, &len));
	assert_int_equal(got, head);
	return len;
}

static void test_fills_buffers(void **state)
{
	const struct driver_buf one = { DRIVER_DATA, 64, true };
	const struct driver_buf two[] = {
		{ DRIVER_DATA + 1000, 3, true }, { DRIVER_DATA + 2000, 5, true },
	};
	struct driver d;

	(void)state;
	t_open(&d, t_sevens);
	assert_int_equal(t_serve(&d, &one, 1), 64);
	assert_int_equal(t_filled(&d, 0, 100), 64);
	assert_int_equal(t_serve(&d, two, 2), 8);
	assert_int_equal(t_filled(&d, 1000, 100), 3);
	assert_int_equal(t_filled(&d, 2000, 100), 5);
	assert_int_equal(d.nr_irqs[0], 2);
	driver_close(&d);
}

static void test_says_how_much_there_was(void **state)
{
	const struct driver_buf two[] = {
		{ DRIVER_DATA, 100, true }, { DRIVER_DATA + 1000, 100, true },
	};
	struct driver d;

	(void)state;
	t_open(&d, t_short);
	assert_int_equal(t_serve(&d, two, 2), 50);
	assert_int_equal(t_filled(&d, 1000, 1), 0);
	driver_close(&d);
}

/* HOSTILE: a request of a guest's choosing takes a bounded time. */
static void test_long_chain_is_cut(void **state)
{
	const struct driver_buf whole = { DRIVER_RAM_BASE + MIB(1), MIB(3), true };
	struct driver_buf many[8];
	struct driver d;

	(void)state;
	t_open(&d, t_sevens);
	assert_int_equal(t_serve(&d, &whole, 1), KIB(4));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct driver_buf){ DRIVER_DATA + i * 1000, 1000, true };
	assert_int_equal(t_serve(&d, many, ARRAY_SIZE(many)), KIB(4));
	driver_close(&d);
}

static void test_chain_to_read_gets_nothing(void **state)
{
	const struct driver_buf out = { DRIVER_DATA, 64, false };
	struct driver d;

	(void)state;
	t_open(&d, t_sevens);
	assert_int_equal(t_serve(&d, &out, 1), 0);
	assert_int_equal(t_filled(&d, 0, 1), 0);
	assert_int_equal(d.nr_broken, 0);
	driver_close(&d);
}

static void test_more_buffers_than_the_queue_break_it(void **state)
{
	struct driver_buf many[9];
	struct driver d;

	(void)state;
	t_open(&d, t_sevens);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct driver_buf){ DRIVER_DATA, 1, true };
	driver_add_indirect(&d.q[0], T_TABLE, many, ARRAY_SIZE(many));
	driver_kick(&d, 0);
	assert_int_equal(d.nr_broken, 1);
	driver_close(&d);
}

/* A host that has no random numbers yet: nothing blocks, and nothing gets lost. */
static void test_waits_for_the_host_to_have_some(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 16, true };
	struct driver d;
	u32 head;
	u32 len;

	(void)state;
	t_open(&d, t_later);
	t_refusals = 2;
	driver_add(&d.q[0], &in, 1);
	driver_add(&d.q[0], &in, 1);
	driver_kick(&d, 0);
	assert_false(driver_used(&d.q[0], &head, &len));
	/* A second kick asks no sooner. */
	driver_kick(&d, 0);
	assert_int_equal(t_refusals, 1);
	t_until((driver_turn(&d), driver_used(&d.q[0], &head, &len)));
	assert_int_equal(t_refusals, 0);
	assert_int_equal(len, 16);
	t_until((driver_turn(&d), driver_used(&d.q[0], &head, &len)));
	driver_close(&d);
}

static void test_reset_while_it_waits(void **state)
{
	const struct driver_buf in = { DRIVER_DATA, 16, true };
	struct driver d;

	(void)state;
	t_open(&d, t_later);
	t_refusals = UINT32_MAX;
	driver_add(&d.q[0], &in, 1);
	driver_kick(&d, 0);
	driver_status(&d, 0);
	driver_turn(&d);
	assert_int_equal(driver_status(&d, -1), 0);
	t_refusals = 0;
	driver_start(&d, T_WANTED);
	assert_int_equal(t_serve(&d, &in, 1), 16);
	/* And taken down while it waits. */
	t_refusals = UINT32_MAX;
	driver_add(&d.q[0], &in, 1);
	driver_kick(&d, 0);
	driver_close(&d);
}

static void test_getrandom_is_random(void **state)
{
	const struct driver_buf bufs[] = {
		{ DRIVER_DATA, 32, true }, { DRIVER_DATA + 32, 32, true },
	};
	struct driver d;

	(void)state;
	t_open(&d, getrandom);
	assert_int_equal(t_serve(&d, bufs, 2), 64);
	assert_memory_not_equal(driver_at(&d.q[0], DRIVER_DATA),
				driver_at(&d.q[0], DRIVER_DATA + 32), 32);
	driver_close(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fills_buffers),
		cmocka_unit_test(test_says_how_much_there_was),
		cmocka_unit_test(test_long_chain_is_cut),
		cmocka_unit_test(test_chain_to_read_gets_nothing),
		cmocka_unit_test(test_more_buffers_than_the_queue_break_it),
		cmocka_unit_test(test_waits_for_the_host_to_have_some),
		cmocka_unit_test(test_reset_while_it_waits),
		cmocka_unit_test(test_getrandom_is_random),
	};

	return driver_run_each_kind(tests);
}
