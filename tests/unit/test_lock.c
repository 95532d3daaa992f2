/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lock.c - one at a time, and who waits sleeps
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/lock.h"

#define THREADS		4
#define ROUNDS		50000

struct shared {
	struct lock lock;
	unsigned long n;		/* plain: two at a time lose some of it */
	unsigned long cpu_ns;
	int error;
};

static void *add(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&s->lock);
		s->n++;
		lock_release(&s->lock);
	}
	return NULL;
}

static void test_one_at_a_time(void **state)
{
	struct shared s = { 0 };
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.n, THREADS * ROUNDS);
	assert_int_equal(s.lock.state, LOCK_FREE);
}

static void *wait_for_it(void *arg)
{
	struct shared *s = arg;
	struct timespec ts;

	errno = ENOTTY;
	lock_take(&s->lock);
	s->error = errno;
	s->n++;
	lock_release(&s->lock);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	s->cpu_ns = (unsigned long)ts.tv_sec * 1000000000 + (unsigned long)ts.tv_nsec;
	return NULL;
}

static void test_waiting_is_sleep_and_leaves_errno(void **state)
{
	struct shared s = { 0 };
	pthread_t thread;

	(void)state;
	lock_take(&s.lock);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &s), 0);
	while (__atomic_load_n(&s.lock.state, __ATOMIC_RELAXED) != LOCK_AWAITED)
		usleep(1000);
	usleep(300000);
	assert_int_equal(s.n, 0);
	lock_release(&s.lock);
	pthread_join(thread, NULL);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.error, ENOTTY);
	assert_true(s.cpu_ns < 100000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_waiting_is_sleep_and_leaves_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
