/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_raise.c - the program raises the limit that is in its VM's way, if it may
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/guest.h"
#include "vmm/vm.h"

#define HAVE	KIB(64)
#define NEED	MIB(1)

/*
 * In a child, whose limits are its own: with @hard above the soft limit, and without
 * privilege.  Returns 0 if the soft limit is NEED then, 1 if it is as it was.
 */
static int t_raises(rlim_t hard)
{
	const struct rlimit before = { .rlim_cur = HAVE, .rlim_max = hard };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct guest guest = { .vm = vm };
	struct rlimit after;
	int status;
	pid_t pid;

	vm_set_limit(vm, RLIMIT_MEMLOCK, HAVE, NEED);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		bool raised;

		if (setrlimit(RLIMIT_MEMLOCK, &before) ||
		    (!geteuid() && setresuid(65534, 65534, 65534)))
			_exit(2);
		raised = guest_raise_limit(&guest);
		if (getrlimit(RLIMIT_MEMLOCK, &after) || raised != (after.rlim_cur == NEED))
			_exit(3);
		_exit(!raised);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	vmm_destroy(vm);
	t_fake_done(fake);
	return WEXITSTATUS(status);
}

static void test_limit_is_raised_as_far_as_the_hard_one(void **state)
{
	(void)state;
	assert_int_equal(t_raises(2 * NEED), 0);
	assert_int_equal(t_raises(NEED), 0);
}

static void test_limit_that_may_not_be_raised_stays(void **state)
{
	(void)state;
	assert_int_equal(t_raises(NEED - 1), 1);
	assert_int_equal(t_raises(HAVE), 1);
}

static void test_without_a_limit_nothing_is_raised(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct guest guest = { .vm = t_vm(fake, NULL) };

	(void)state;
	assert_false(guest_raise_limit(&guest));
	/* What is there is enough. */
	vm_set_limit(guest.vm, RLIMIT_MEMLOCK, NEED, NEED);
	assert_false(guest_raise_limit(&guest));
	vmm_destroy(guest.vm);
	t_fake_done(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_is_raised_as_far_as_the_hard_one),
		cmocka_unit_test(test_limit_that_may_not_be_raised_stays),
		cmocka_unit_test(test_without_a_limit_nothing_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
