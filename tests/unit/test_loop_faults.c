/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loop_faults.c - a loop whose ring takes nothing, for a while or for good
 *
 * More is asked of the loop than its queue has room for, so that it is handed over in the
 * midst of it, where nobody may be called.  Nothing is lost, nobody waits for what is there,
 * and what is lost for good is told.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/faults.h"
#include "tests/unit/t.h"
#include "vmm/loop.h"

#define MANY	400	/* of a queue of 64, and of completions there are places for 128 */

struct rig {
	struct loop	*loop;
	struct watch	w[MANY];
	u32		nr[MANY];	/* how often it was heard */
	u32		nr_all;
	u32		order[MANY];	/* in which they were, the first time */
	int		ready;		/* readable, all of the time */
	int		never;		/* ... and never */
	bool		inside;		/* of something, when nobody may be called */
	u32		again;		/* so many times more is each asked for */
	struct loop_defer at_end;	/* of the turn that hears the first */
};

static void rig_watch(struct rig *rig, u32 from, u32 to, int fd)
{
	bool before = rig->inside;

	rig->inside = true;
	for (u32 i = from; i < to; i++)
		loop_watch(rig->loop, &rig->w[i], fd, POLLIN);
	rig->inside = before;
}

static void on_watch(struct watch *w, u32 revents)
{
	struct rig *rig = w->arg;
	u32 i = (u32)(w - rig->w);

	assert_false(rig->inside);
	assert_int_equal(revents, POLLIN);
	if (rig->nr_all < MANY)
		rig->order[rig->nr_all] = i;
	rig->nr_all++;
	if (rig->nr[i]++ < rig->again)
		rig_watch(rig, i, i + 1, rig->ready);
	if (!i && rig->at_end.fn)
		loop_defer(rig->loop, &rig->at_end);
}

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){
		.loop = t_loop(), .ready = eventfd(1, EFD_CLOEXEC), .never = eventfd(0, EFD_CLOEXEC),
	};
	for (u32 i = 0; i < MANY; i++)
		rig->w[i] = (struct watch){ .fn = on_watch, .arg = rig };
	/* Its bell is armed. */
	assert_int_equal(loop_dispatch(rig->loop), 0);
	/* Who waits for ever is ended. */
	alarm(4 * T_TIMEOUT_MS / 1000);
}

/* So many are there, nobody has looked, and the ring takes nothing before somebody does. */
#define THERE	40

static void rig_crowd(struct rig *rig)
{
	rig_watch(rig, 0, THERE, rig->ready);
	assert_int_equal(loop_submit(rig->loop), 0);
	faults_crowd_rings(true);
}

static void rig_open_soft(struct rig *rig)
{
	faults_plan("io_uring_queue_init_params", EPERM, 1);
	rig_open(rig);
	assert_int_equal(faults_unplan(), 0);
	assert_true(loop_is_soft(rig->loop));
}

static void rig_close(struct rig *rig)
{
	faults_crowd_rings(false);
	loop_destroy(rig->loop);
	close(rig->ready);
	close(rig->never);
	alarm(0);
}

static bool rings(const struct rig *rig)
{
	return poll(&(struct pollfd){ loop_fd(rig->loop), POLLIN, 0 }, 1, 0) == 1;
}

/* As a host with a loop of its own does: when the descriptor says so, and only then. */
static void rig_serve(struct rig *rig)
{
	assert_int_equal(loop_dispatch(rig->loop), 0);
	while (rings(rig))
		assert_int_equal(loop_dispatch(rig->loop), 0);
}

static void rig_heard(const struct rig *rig, u32 from, u32 to, u32 nr)
{
	for (u32 i = from; i < to; i++)
		if (rig->nr[i] != nr)
			fail_msg("watch %u was heard %u times, not %u", i, rig->nr[i], nr);
}

static void *run(void *arg)
{
	return (void *)(intptr_t)loop_run(arg);
}

static int rig_run(struct rig *rig, pthread_t thread)
{
	void *ret;

	loop_quit(rig->loop);
	assert_int_equal(pthread_join(thread, &ret), 0);
	return (int)(intptr_t)ret;
}

/* ---- For good ---------------------------------------------------------------------- */

static void rig_lost(struct rig *rig, int err)
{
	u32 nr = rig->nr_all;

	assert_int_equal(loop_submit(rig->loop), err);
	assert_int_equal(loop_dispatch(rig->loop), err);
	assert_int_equal(loop_run(rig->loop), err);
	/* Nor does anybody wait for what will not come. */
	loop_unwatch(&rig->w[0]);
	loop_unwatch(&rig->w[MANY - 1]);
	rig_watch(rig, 0, MANY, rig->ready);
	assert_int_equal(loop_dispatch(rig->loop), err);
	assert_int_equal(rig->nr_all, nr);
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
		rig_watch(&rig, 0, MANY, rig.ready);
		/* What went nowhere does not come back when the ring does. */
		faults_break_rings(0);
		rig_lost(&rig, -errs[i]);
		rig_close(&rig);
	}
	t_process_check(&before);
}

static void test_entries_that_there_is_no_memory_for_are_told(void **state)
{
	struct t_process before;
	struct rig rig;

	(void)state;
	t_process_save(&before);
	for (size_t left = 0; left < 3; left++) {
		rig_open(&rig);
		faults_break_rings(EBUSY);
		rig_watch(&rig, 0, 64 + (u32)left, rig.ready);
		faults_plan("calloc", ENOMEM, 1);
		rig_watch(&rig, 64 + (u32)left, MANY, rig.ready);
		assert_int_equal(faults_unplan(), 0);
		faults_break_rings(0);
		rig_lost(&rig, -ENOMEM);
		rig_close(&rig);
	}
	t_process_check(&before);
}

/* Without io_uring each entry takes some. */
static void test_no_memory_without_io_uring_is_told(void **state)
{
	struct t_process before;
	struct rig rig;

	(void)state;
	/* A sanitizer may have a thread from the first that is made on. */
	rig_open_soft(&rig);
	rig_close(&rig);
	t_process_save(&before);
	rig_open_soft(&rig);
	faults_plan("malloc", ENOMEM, 1000);
	rig_watch(&rig, 0, MANY, rig.ready);
	assert_in_range(faults_unplan(), 1, 998);
	rig_lost(&rig, -ENOMEM);
	rig_close(&rig);
	/* A moment of it is none. */
	rig_open_soft(&rig);
	faults_plan("malloc", ENOMEM, 1);
	rig_watch(&rig, 0, MANY, rig.ready);
	assert_int_equal(faults_unplan(), 0);
	rig_serve(&rig);
	rig_heard(&rig, 0, MANY, 1);
	rig_close(&rig);
	t_process_check(&before);
}

/* ---- For a while ------------------------------------------------------------------- */

static void test_what_passes_is_waited_for(void **state)
{
	static const int errs[] = { EAGAIN, EBUSY, EINTR };
	struct t_process before;
	struct rig rig;

	(void)state;
	t_process_save(&before);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		for (size_t n = 1; n < 4; n++) {
			rig_open(&rig);
			faults_plan("io_uring_submit", errs[i], n);
			rig_watch(&rig, 0, MANY, rig.ready);
			/* Those that are asked for in one piece take one call. */
			faults_unplan();
			rig_serve(&rig);
			rig_heard(&rig, 0, MANY, 1);
			rig_close(&rig);
		}
	}
	t_process_check(&before);
}

/* The kernel has no memory for a while: nothing would tell whoever polls that it has again. */
static void test_dispatch_waits_for_memory(void **state)
{
	struct rig rig;
	u64 begin;

	(void)state;
	rig_open(&rig);
	rig_watch(&rig, 0, 10, rig.ready);
	faults_plan("io_uring_submit", EAGAIN, 20);
	begin = t_now_ms();
	assert_int_equal(loop_dispatch(rig.loop), 0);
	assert_int_equal(faults_unplan(), 0);
	assert_in_range(t_now_ms() - begin, 15, T_TIMEOUT_MS);
	rig_heard(&rig, 0, 10, 1);
	/* Where something will tell, it is the next time's. */
	rig_watch(&rig, 0, 10, rig.ready);
	assert_int_equal(loop_submit(rig.loop), 0);
	rig_watch(&rig, 10, 20, rig.ready);
	faults_plan("io_uring_submit", EAGAIN, 1);
	assert_int_equal(loop_submit(rig.loop), 0);
	assert_int_equal(faults_unplan(), 0);
	assert_true(rings(&rig));
	rig_serve(&rig);
	rig_heard(&rig, 0, 10, 2);
	rig_heard(&rig, 10, 20, 1);
	/* It has an end, and is told. */
	rig_watch(&rig, 0, 1, rig.ready);
	faults_plan("io_uring_submit", EAGAIN, SIZE_MAX);
	assert_int_equal(loop_dispatch(rig.loop), -ENOMEM);
	faults_unplan();
	rig_close(&rig);
}

/* A thread of the loop's own waits as well, and does not burn a CPU meanwhile. */
static void test_run_waits_for_memory(void **state)
{
	pthread_t thread;
	struct rig rig;
	u64 begin;

	(void)state;
	rig_open(&rig);
	rig_watch(&rig, 0, 10, rig.ready);
	faults_plan("io_uring_submit_and_wait", EAGAIN, 1000000);
	begin = t_now_ms();
	assert_int_equal(pthread_create(&thread, NULL, run, rig.loop), 0);
	t_sleep_ms(50);
	assert_in_range(1000000 - faults_unplan(), 1, 10 + 2 * (t_now_ms() - begin));
	assert_int_equal(rig_run(&rig, thread), 0);
	rig_serve(&rig);
	rig_heard(&rig, 0, 10, 1);
	rig_close(&rig);
}

/* ---- While completions are there ----------------------------------------------------- */

/* Nobody is called while it is asked for, all are heard, and those first that were first. */
static void test_late_entries_keep_their_place(void **state)
{
	struct t_process before;
	struct rig rig;

	(void)state;
	t_process_save(&before);
	rig_open(&rig);
	rig_crowd(&rig);
	rig_watch(&rig, THERE, MANY, rig.ready);
	assert_int_equal(rig.nr_all, 0);
	assert_true(rings(&rig));
	rig_serve(&rig);
	rig_heard(&rig, 0, MANY, 1);
	for (u32 i = 0; i < MANY; i++)
		assert_int_equal(rig.order[i], i);
	rig_close(&rig);
	t_process_check(&before);
}

/* ... also when each asks for itself again, so that the queue fills as it is emptied. */
static void test_loop_that_is_full_goes_on(void **state)
{
	struct t_process before;
	pthread_t thread;
	struct rig rig;

	(void)state;
	t_process_save(&before);
	for (int polled = 0; polled < 2; polled++) {
		rig_open(&rig);
		rig.again = 9;
		rig_crowd(&rig);
		rig_watch(&rig, THERE, MANY, rig.ready);
		if (polled) {
			rig_serve(&rig);
		} else {
			assert_int_equal(pthread_create(&thread, NULL, run, rig.loop), 0);
			assert_int_equal(rig_run(&rig, thread), 0);
			/* What came behind the end is there all the same. */
			rig_serve(&rig);
		}
		rig_heard(&rig, 0, MANY, 10);
		rig_close(&rig);
	}
	t_process_check(&before);
}

/* Those that are there are heard though nothing else comes. */
static void test_what_is_there_is_not_waited_for(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_crowd(&rig);
	rig_watch(&rig, THERE, MANY, rig.never);
	/* Its bell was armed before all of them. */
	loop_quit(rig.loop);
	assert_int_equal(loop_run(rig.loop), 0);
	rig_heard(&rig, 0, THERE, 1);
	assert_int_equal(rig.nr_all, THERE);
	faults_crowd_rings(false);
	for (u32 i = THERE; i < MANY; i++)
		loop_unwatch(&rig.w[i]);
	rig_close(&rig);
}

/* What has not been handed over is not there to be cancelled before it is. */
static void test_late_entry_can_be_called_off(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_crowd(&rig);
	rig_watch(&rig, THERE, 300, rig.ready);
	rig_watch(&rig, 300, MANY, rig.never);
	for (u32 i = 300; i < MANY; i++) {
		loop_unwatch(&rig.w[i]);
		assert_false(rig.w[i].armed);
	}
	loop_unwatch(&rig.w[7]);
	rig_serve(&rig);
	rig_heard(&rig, 0, 300, 1);
	rig_heard(&rig, 300, MANY, 0);
	rig_close(&rig);
}

static void watch_the_rest(void *arg)
{
	struct rig *rig = arg;

	rig_watch(rig, 1, 41, rig->ready);
	/* Those are there, and nobody has looked. */
	assert_int_equal(loop_submit(rig->loop), 0);
	rig_watch(rig, 41, MANY, rig->ready);
}

/* What the end of a turn asks for late is on the descriptor all the same. */
static void test_late_entries_of_a_turns_end_wake_who_polls(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig.at_end = (struct loop_defer){ .fn = watch_the_rest, .arg = &rig };
	rig_watch(&rig, 0, 1, rig.ready);
	faults_crowd_rings(true);
	rig_serve(&rig);
	rig_heard(&rig, 0, MANY, 1);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_that_breaks_while_it_is_full_is_told),
		cmocka_unit_test(test_entries_that_there_is_no_memory_for_are_told),
		cmocka_unit_test(test_no_memory_without_io_uring_is_told),
		cmocka_unit_test(test_what_passes_is_waited_for),
		cmocka_unit_test(test_dispatch_waits_for_memory),
		cmocka_unit_test(test_run_waits_for_memory),
		cmocka_unit_test(test_late_entries_keep_their_place),
		cmocka_unit_test(test_loop_that_is_full_goes_on),
		cmocka_unit_test(test_what_is_there_is_not_waited_for),
		cmocka_unit_test(test_late_entry_can_be_called_off),
		cmocka_unit_test(test_late_entries_of_a_turns_end_wake_who_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
