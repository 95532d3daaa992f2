/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_placement.c - which host CPUs a vCPU may run on, and why
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/t.h"
#include "vmm/placement.h"

static void t_resolves(struct placement *p, u32 vcpu, const char *want)
{
	struct vmm_error err = { 0 };
	struct cpumask cpus;
	char buf[64];

	if (placement_resolve(p, vcpu, &cpus, &err))
		fail_msg("vCPU %u: %s", vcpu, err.msg);
	assert_string_equal(cpumask_format(&cpus, buf, sizeof(buf)), want);
}

static void t_process(struct placement *p, const char *cpus)
{
	struct cpumask mask;

	assert_int_equal(cpumask_parse(&mask, cpus, strlen(cpus)), 0);
	assert_int_equal(placement_set(p, PLACE_PROCESS, PLACE_ALL, "", &mask), 0);
}

static void test_without_constraints_any_cpu_will_do(void **state)
{
	struct placement p = { 0 };

	(void)state;
	t_resolves(&p, 0, "0-8191");
	assert_false(placement_binds(&p, 0));
	placement_fini(&p);
}

static void test_one_list_is_for_all(void **state)
{
	struct placement p = { 0 };

	(void)state;
	assert_int_equal(placement_add_user(&p, "2-5", 3, NULL), 0);
	t_process(&p, "0-3");
	t_resolves(&p, 0, "2-3");
	t_resolves(&p, 2, "2-3");
	assert_true(placement_binds(&p, 1));
	placement_fini(&p);
}

static void test_lists_by_vcpu_leave_the_others_alone(void **state)
{
	struct placement p = { 0 };

	(void)state;
	assert_int_equal(placement_add_user(&p, "0=0-1:2=3,5", 3, NULL), 0);
	t_process(&p, "0-7");
	t_resolves(&p, 0, "0-1");
	t_resolves(&p, 1, "0-7");
	t_resolves(&p, 2, "3,5");
	assert_true(placement_binds(&p, 0));
	assert_false(placement_binds(&p, 1));
	placement_fini(&p);
}

static void test_lists_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "x", "0=", "=0", "0=0:", ":0=0", "0=0:1", "-1=0", "+0=1", " 0=1", "3=0",
		"0=0 :1=1", "4294967296=0", "18446744073709551616=0", "0=3-1", "0=0=1", "0x0=1",
		"0=0-3:0=2-9",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct placement p = { 0 };
		struct vmm_error err = { 0 };

		if (placement_add_user(&p, bad[i], 3, &err) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		if (!strstr(err.msg, "CPU list"))
			fail_msg("'%s': %s", bad[i], err.msg);
		placement_fini(&p);
	}
}

static void test_contradiction_names_both_sides(void **state)
{
	struct placement p = { 0 };
	struct vmm_error err = { 0 };
	struct cpumask cpus;

	(void)state;
	assert_int_equal(placement_add_user(&p, "1=8-9", 2, NULL), 0);
	t_process(&p, "0-3");
	t_resolves(&p, 0, "0-3");
	assert_int_equal(placement_resolve(&p, 1, &cpus, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "vCPU 1"));
	assert_non_null(strstr(err.msg, "the CPUs asked for (8-9)"));
	assert_non_null(strstr(err.msg, "the affinity of this process (0-3)"));
	placement_fini(&p);
}

static void test_contradiction_of_three_is_told(void **state)
{
	struct placement p = { 0 };
	struct vmm_error err = { 0 };
	struct cpumask cpus;

	(void)state;
	/* Any two agree. */
	assert_int_equal(placement_add_user(&p, "0=0-1", 1, NULL), 0);
	t_process(&p, "0,2");
	assert_int_equal(cpumask_parse(&cpus, "1-2", 3), 0);
	assert_int_equal(placement_set(&p, PLACE_PMU, PLACE_ALL, "a", &cpus), 0);
	assert_int_equal(placement_resolve(&p, 0, &cpus, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "all of its constraints"));
	placement_fini(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_constraints_any_cpu_will_do),
		cmocka_unit_test(test_one_list_is_for_all),
		cmocka_unit_test(test_lists_by_vcpu_leave_the_others_alone),
		cmocka_unit_test(test_lists_that_make_no_sense_are_refused),
		cmocka_unit_test(test_contradiction_names_both_sides),
		cmocka_unit_test(test_contradiction_of_three_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
