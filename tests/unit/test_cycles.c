/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cycles.c - a process that has run many VMs is as it was: descriptors, threads,
 * mappings and memory
 */
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "tests/unit/t.h"

#define T_BOOTS		(T_SANITIZED ? 50 : 500)
#define T_PAIRS		(T_SANITIZED ? 10 : 100)
#define T_WARM		5	/* until the C library has what it keeps */

static const struct fake_step off[] = { T_OFF };

struct t_guest {
	struct fake_kvm	*fake;
	struct vmm	*vm;
	int		in[2];
	int		out;
	int		disk;
};

/* With one device of each kind that needs no peer. */
static void t_up(struct t_guest *g)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct vmm_disk_config disk = VMM_DISK_CONFIG_INIT;
	struct vmm_error err;
	char zeroes[4096] = { 0 };

	cfg.vcpus = 2;
	g->fake = fake_create(&fake_server);
	g->vm = t_vm(g->fake, &cfg);
	assert_int_equal(pipe2(g->in, O_CLOEXEC), 0);
	g->out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(t_add_console(g->vm, g->in[0], g->out), 0);
	g->disk = t_file(zeroes, sizeof(zeroes));
	disk.fd = g->disk;
	assert_true(vmm_add_disk(g->vm, &disk, &err) >= 0);
	assert_true(vmm_add_rng(g->vm, &rng, &err) >= 0);
	fake_script(g->fake, 0, off, 1, 1);
	t_start(g->vm);
}

static void t_down(struct t_guest *g)
{
	t_stopped(g->vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(g->vm);
	t_fake_done(g->fake);
	close(g->in[0]);
	close(g->in[1]);
	close(g->out);
	close(g->disk);
}

static void t_one(void)
{
	struct t_guest g;

	t_up(&g);
	t_down(&g);
}

/* They live at the same time, and end in turns. */
static void t_two(u32 i)
{
	struct t_guest g[2];

	t_up(&g[0]);
	t_up(&g[1]);
	t_down(&g[i % 2]);
	t_down(&g[1 - i % 2]);
}

static size_t t_heap(void)
{
	return mallinfo2().uordblks;
}

/*
 * What the C library keeps of what was freed counts as used and is some KiB; the smallest
 * piece that each of @nr VMs might lose is 32 bytes.  Sanitizers have a heap of their own,
 * and find what was lost by themselves.
 */
static void t_same(const struct t_process *before, size_t heap, u32 nr)
{
	t_process_check(before);
	if (!T_SANITIZED && t_heap() > heap + 16 * nr)
		fail_msg("%zu bytes of heap are %zu after %u VMs", heap, t_heap(), nr);
}

static void test_many_boots_leave_nothing(void **state)
{
	struct t_process before;
	size_t heap;

	(void)state;
	for (u32 i = 0; i < T_WARM; i++)
		t_one();
	t_process_save(&before);
	heap = t_heap();
	for (u32 i = 0; i < T_BOOTS; i++)
		t_one();
	t_same(&before, heap, T_BOOTS);
}

static void test_many_pairs_leave_nothing(void **state)
{
	struct t_process before;
	size_t heap;

	(void)state;
	for (u32 i = 0; i < T_WARM; i++)
		t_two(i);
	t_process_save(&before);
	heap = t_heap();
	for (u32 i = 0; i < T_PAIRS; i++)
		t_two(i);
	t_same(&before, heap, 2 * T_PAIRS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_boots_leave_nothing),
		cmocka_unit_test(test_many_pairs_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
