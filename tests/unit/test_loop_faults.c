/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loop_faults.c - a loop whose ring takes nothing, for a while or for good
 *
 * More is asked of the loop than its queue has room for, so that it has to be handed over in
 * the midst of it.  See faults.h for how.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/faults.h"
#include "tests/unit/t.h"
#include "vmm/loop.h"

#define MANY	200	/* of a queue of 64 */

struct rig {
	struct loop	*loop;
	struct watch	w[MANY];
	u32		nr[MANY];	/* how often it was heard */
	u32		nr_all;
	int		fd;		/* ready, all of the time */
	bool		inside;		/* nobody is to be called */
	u32		last;		/* so many, and it is enough */
	struct loop_defer at_end;	/* of the turn that hears the first */
};

static void on_watch(struct watch *w, u32 revents)
{
	struct rig *rig = w->arg;

	assert_false(rig->inside);
	assert_int_equal(revents, POLLIN);
	rig->nr[w - rig->w]++;
	if (++rig->nr_all == rig->last)
		loop_quit(rig->loop);
	if (w == rig->w && rig->at_end.fn)
		loop_defer(rig->loop, &rig->at_end);
}

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){ .loop = t_loop(), .fd = eventfd(1, EFD_CLOEXEC) };
	for (u32 i = 0; i < MANY; i++)
		rig->w[i] = (struct watch){ .fn = on_watch, .arg = rig };
	/* Its bell is armed. */
	assert_int_equal(loop_dispatch(rig->loop), 0);
	/* Who waits for ever is not waited for. */
	alarm(T_TIMEOUT_MS / 1000);
}

static void rig_close(struct rig *rig)
{
	alarm(0);
	loop_destroy(rig->loop);
	close(rig->fd);
}

static void rig_watch(struct rig *rig, u32 from, u32 to)
{
	rig->inside = true;
	for (u32 i = from; i < to; i++)
		loop_watch(rig->loop, &rig->w[i], rig->fd, POLLIN);
	rig->inside = false;
}

static void rig_all_heard_once(struct rig *rig)
{
	for (u32 i = 0; i < MANY; i++)
		assert_int_equal(rig->nr[i], 1);
}

static void test_ring_that_breaks_while_it_is_full_is_told(void **state)
{
	static const int errs[] = { EBADF, EFAULT, ENXIO };
	struct t_process before;
	struct rig rig;

	(void)state;
	t_process_save(&before);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		rig_open(&rig);
		faults_break_rings(errs[i]);
		rig_watch(&rig, 0, MANY);
		/* It stays broken: what went nowhere is never heard of. */
		faults_break_rings(0);
		assert_int_equal(loop_submit(rig.loop), -errs[i]);
		assert_int_equal(loop_dispatch(rig.loop), -errs[i]);
		assert_int_equal(loop_run(rig.loop), -errs[i]);
		loop_unwatch(&rig.w[0]);
		loop_unwatch(&rig.w[MANY - 1]);
		assert_int_equal(rig.nr_all, 0);
		rig_close(&rig);
	}
	t_process_check(&before);
}

static void test_what_passes_is_waited_for(void **state)
{
	static const int errs[] = { EAGAIN, EBUSY, EINTR };
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		rig_open(&rig);
		faults_plan("io_uring_submit", errs[i], 20);
		rig_watch(&rig, 0, MANY);
		assert_int_equal(faults_unplan(), 0);
		for (int n = 0; n < 10 && rig.nr_all < MANY; n++)
			assert_int_equal(loop_dispatch(rig.loop), 0);
		rig_all_heard_once(&rig);
		rig_close(&rig);
	}
}

static void *run(void *arg)
{
	return (void *)(intptr_t)loop_run(arg);
}

/* ... and without burning a CPU meanwhile. */
static void test_waiting_is_not_spinning(void **state)
{
	pthread_t thread;
	struct rig rig;
	void *ret;
	u64 begin;

	(void)state;
	rig_open(&rig);
	faults_plan("io_uring_submit", EAGAIN, 50);
	begin = t_now_ms();
	rig_watch(&rig, 0, 100);
	assert_int_equal(faults_unplan(), 0);
	assert_in_range(t_now_ms() - begin, 45, T_TIMEOUT_MS);
	for (int n = 0; n < 10 && rig.nr_all < 100; n++)
		assert_int_equal(loop_dispatch(rig.loop), 0);
	assert_int_equal(rig.nr_all, 100);
	faults_plan("io_uring_submit_and_wait", EAGAIN, 1000000);
	begin = t_now_ms();
	assert_int_equal(pthread_create(&thread, NULL, run, rig.loop), 0);
	t_sleep_ms(50);
	assert_in_range(1000000 - faults_unplan(), 1, 10 + 2 * (t_now_ms() - begin));
	loop_quit(rig.loop);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
	rig_close(&rig);
}

/* Completions make room where none is taken before they are; nobody is called meanwhile. */
static void test_completions_make_room(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (int round = 0; round < 3; round++) {
		rig_watch(&rig, 0, 40);
		assert_int_equal(loop_submit(rig.loop), 0);
		faults_crowd_rings(true);
		rig_watch(&rig, 40, MANY);
		for (int n = 0; n < 10 && rig.nr_all < MANY; n++)
			assert_int_equal(loop_dispatch(rig.loop), 0);
		faults_crowd_rings(false);
		rig_all_heard_once(&rig);
		memset(rig.nr, 0, sizeof(rig.nr));
		rig.nr_all = 0;
	}
	rig_close(&rig);
}

/* Nothing else comes, and they are not waited for. */
static void test_what_made_room_is_heard_though_nothing_comes(void **state)
{
	int never = eventfd(0, EFD_CLOEXEC);
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig.last = 40;
	rig_watch(&rig, 0, 40);
	assert_int_equal(loop_submit(rig.loop), 0);
	faults_crowd_rings(true);
	for (u32 i = 40; i < MANY; i++)
		loop_watch(rig.loop, &rig.w[i], never, POLLIN);
	faults_crowd_rings(false);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_int_equal(rig.nr_all, 40);
	rig_close(&rig);
	close(never);
}

/* Taken out of the ring, and then not wanted any more. */
static void test_what_made_room_can_be_called_off(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_watch(&rig, 0, 40);
	assert_int_equal(loop_submit(rig.loop), 0);
	faults_crowd_rings(true);
	rig_watch(&rig, 40, 150);
	faults_crowd_rings(false);
	loop_unwatch(&rig.w[7]);
	assert_false(rig.w[7].armed);
	for (int n = 0; n < 10 && rig.nr_all < 149; n++)
		assert_int_equal(loop_dispatch(rig.loop), 0);
	assert_int_equal(loop_dispatch(rig.loop), 0);
	for (u32 i = 0; i < 150; i++)
		assert_int_equal(rig.nr[i], i != 7);
	rig_close(&rig);
}

static void watch_the_rest(void *arg)
{
	struct rig *rig = arg;

	rig_watch(rig, 1, 41);
	/* Those are there, and nobody has looked. */
	assert_int_equal(loop_submit(rig->loop), 0);
	rig_watch(rig, 41, MANY);
}

/* What a turn's end has put by, no descriptor tells of: it is heard in that turn. */
static void test_what_was_put_by_is_heard_in_the_turn(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig.at_end = (struct loop_defer){ .fn = watch_the_rest, .arg = &rig };
	rig_watch(&rig, 0, 1);
	faults_crowd_rings(true);
	assert_int_equal(loop_dispatch(rig.loop), 0);
	assert_in_range(rig.nr_all, 41, MANY);
	while (poll(&(struct pollfd){ loop_fd(rig.loop), POLLIN, 0 }, 1, 0) == 1)
		assert_int_equal(loop_dispatch(rig.loop), 0);
	faults_crowd_rings(false);
	rig_all_heard_once(&rig);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_that_breaks_while_it_is_full_is_told),
		cmocka_unit_test(test_what_passes_is_waited_for),
		cmocka_unit_test(test_waiting_is_not_spinning),
		cmocka_unit_test(test_completions_make_room),
		cmocka_unit_test(test_what_made_room_is_heard_though_nothing_comes),
		cmocka_unit_test(test_what_made_room_can_be_called_off),
		cmocka_unit_test(test_what_was_put_by_is_heard_in_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
