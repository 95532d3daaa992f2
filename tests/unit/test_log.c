/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log.c - lines for the host's log
 */
#include <string.h>

#include "tests/unit/t.h"
#include "vmm/log.h"

static void test_level_decides(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_WARN };

	(void)state;
	log_error(&log, "vm: e");
	log_warn(&log, "vm: w %d", 7);
	log_info(&log, "vm: i");
	log_debug(&log, "vm: d");
	assert_string_equal(lines.text, "vm: e\nvm: w 7\n");
}

static void test_nobody_listens(void **state)
{
	const struct logger log = { .level = VMM_LOG_DEBUG };
	struct ratelimit rl = { 0 };

	(void)state;
	log_error(&log, "vm: e");
	log_limited(&log, &rl, VMM_LOG_ERROR, "vm: e");
}

static void test_long_line_is_cut(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_DEBUG };
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info(&log, "%s", text);
	assert_int_equal(strspn(lines.text, "a"), 511);
}

static void test_flood_is_limited_and_counted(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_WARN };
	struct ratelimit rl = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_limited(&log, &rl, VMM_LOG_WARN, "bus: line");
	assert_int_equal(lines.nr[VMM_LOG_WARN], LOG_BURST);

	/* As if the window had begun long ago. */
	atomic_store(&rl.window, 1000);
	log_limited(&log, &rl, VMM_LOG_WARN, "bus: next");
	assert_true(t_logged(&lines, "990 lines"));
	assert_true(t_logged(&lines, "bus: next"));
	assert_int_equal(lines.nr[VMM_LOG_WARN], LOG_BURST + 2);
}

static void test_unwanted_lines_do_not_use_up_the_burst(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_ERROR };
	struct ratelimit rl = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_limited(&log, &rl, VMM_LOG_WARN, "bus: line");
	log.level = VMM_LOG_WARN;
	log_limited(&log, &rl, VMM_LOG_WARN, "bus: line");
	assert_int_equal(lines.nr[VMM_LOG_WARN], 1);
}

struct flood {
	const struct logger	*log;
	struct ratelimit	*rl;
};

static void *flood(void *arg)
{
	const struct flood *f = arg;

	for (int i = 0; i < 1000; i++)
		log_limited(f->log, f->rl, VMM_LOG_WARN, "bus: line");
	return NULL;
}

static void test_threads_share_the_limit(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct logger log = { .fn = t_log, .opaque = &lines, .level = VMM_LOG_WARN };
	struct ratelimit rl = { 0 };
	struct flood f = { &log, &rl };
	const u64 begun = t_now_ms();
	pthread_t threads[4];
	u64 windows;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	/* One window, unless this took long; each but the first begins with what was left out. */
	windows = 1 + (t_now_ms() - begun) / LOG_WINDOW_MS;
	assert_in_range(lines.nr[VMM_LOG_WARN], LOG_BURST, windows * (LOG_BURST + 1) - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_decides),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_flood_is_limited_and_counted),
		cmocka_unit_test(test_unwanted_lines_do_not_use_up_the_burst),
		cmocka_unit_test(test_threads_share_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
