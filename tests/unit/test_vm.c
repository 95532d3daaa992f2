/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vm.c - the life of a VM on the library's own threads
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/vm.h"

#define SPI_GPIO	37	/* INTID of the power key's controller */
#define SPI_UART	32

static const struct fake_step off[] = { T_OFF };

/* Reads of a register, for ever. */
static const struct fake_step busy[] = {
	{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = 0x80, .data = 0x80 },
};

static u64 nr_runs(struct vmm *vm, u32 vcpu)
{
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

	assert_int_equal(vmm_stats(vm, vcpu, &stats), 0);
	return stats.runs;
}

/* ---- How it ends --------------------------------------------------------------- */

static void t_ends(const struct fake_step *step, enum vmm_stop_reason reason, int error,
		   const char *text)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_event ev;

	fake_script(fake, 0, step, 1, 1);
	t_start(vm);
	t_event(vm, &ev);
	assert_int_equal(ev.type, VMM_EVENT_STOPPED);
	assert_int_equal(ev.reason, reason);
	assert_int_equal(ev.error, error);
	assert_int_equal(ev.index, 0);
	if (!strstr(ev.msg, text))
		fail_msg("'%s' does not say '%s'", ev.msg, text);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_guest_says_why_it_stops(void **state)
{
	struct fake_step step = T_OFF;

	(void)state;
	t_ends(&step, VMM_STOP_GUEST_OFF, 0, "powered off");
	step.data = KVM_SYSTEM_EVENT_RESET;
	t_ends(&step, VMM_STOP_GUEST_RESET, 0, "reboot");
	step.data = KVM_SYSTEM_EVENT_CRASH;
	t_ends(&step, VMM_STOP_GUEST_CRASH, 0, "crash");
	step.data = 99;
	t_ends(&step, VMM_STOP_ERROR, -EIO, "99");
}

static void test_kvm_says_that_it_cannot_go_on(void **state)
{
	struct fake_step step = { .kind = FAKE_FAIL_ENTRY, .data = 0x40, .addr = 3 };

	(void)state;
	t_ends(&step, VMM_STOP_ERROR, -EIO, "0x40");
	step = (struct fake_step){ .kind = FAKE_INTERNAL_ERROR, .data = 5 };
	t_ends(&step, VMM_STOP_ERROR, -EIO, "internal error 5");
	step = (struct fake_step){ .kind = FAKE_EXIT, .data = KVM_EXIT_HYPERV };
	t_ends(&step, VMM_STOP_ERROR, -EIO, "exit reason 27");
	step = (struct fake_step){ .kind = FAKE_RETURN, .ret = -ENOEXEC };
	t_ends(&step, VMM_STOP_ERROR, -ENOEXEC, "KVM_RUN");
	step = (struct fake_step){ .kind = FAKE_RETURN, .ret = -EFAULT };
	t_ends(&step, VMM_STOP_ERROR, -EFAULT, "vcpu0");
}

static void test_access_of_a_size_that_cannot_be_is_an_error(void **state)
{
	struct fake_step step = { .kind = FAKE_WRITE, .addr = T_UART, .len = 3 };

	(void)state;
	t_ends(&step, VMM_STOP_ERROR, -EIO, "3 bytes");
	step.len = 16;
	t_ends(&step, VMM_STOP_ERROR, -EIO, "16 bytes");
}

/* EINTR without a kick (a debugger's, say) and EAGAIN mean: once more. */
static void test_transient_failures_of_run_are_tried_again(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_RETURN, .ret = -EINTR, .times = 3 },
		{ .kind = FAKE_RETURN, .ret = -EAGAIN, .times = 2 },
		{ .kind = FAKE_EXIT, .data = KVM_EXIT_INTR },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.runs, 7);
	assert_int_equal(stats.kicks, 4);
	assert_int_equal(stats.others, 3);
	assert_int_equal(stats.mmio, 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- Events ------------------------------------------------------------------------- */

static void test_event_descriptor_is_readable_while_events_are_queued(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct pollfd pfd = { .fd = vmm_event_fd(vm), .events = POLLIN };
	struct vmm_event ev = VMM_EVENT_INIT;

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(vmm_next_event(vm, &ev), 0);
	t_start(vm);
	assert_int_equal(pfd.fd, vmm_event_fd(vm));
	assert_int_equal(poll(&pfd, 1, T_TIMEOUT_MS), 1);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(vmm_next_event(vm, &ev), 1);
	assert_int_equal(ev.size, sizeof(ev));
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(vmm_next_event(vm, &ev), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_stopped_finds_a_place_behind_a_flood(void **state)
{
	struct t_log lines = T_LOG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_event ev = VMM_EVENT_INIT;
	struct vmm *vm;
	u32 nr = 0;

	(void)state;
	cfg.log = t_log;
	cfg.opaque = &lines;
	cfg.log_level = VMM_LOG_WARN;
	vm = t_vm(fake, &cfg);
	t_start(vm);
	for (int i = 0; i < 3 * VM_MAX_EVENTS; i++) {
		struct vmm_event broken = { .type = VMM_EVENT_BROKEN, .index = i };

		strcpy(broken.msg, "blk0: it broke");
		vm_event(vm, &broken);
	}
	assert_int_equal(vmm_stop(vm), 0);
	do {
		t_event(vm, &ev);
		if (ev.type == VMM_EVENT_BROKEN)
			assert_int_equal(ev.index, nr);
		nr++;
	} while (ev.type != VMM_EVENT_STOPPED);
	assert_int_equal(nr, VM_MAX_EVENTS);
	assert_int_equal(ev.reason, VMM_STOP_HOST);
	assert_int_equal(vmm_next_event(vm, &ev), 0);
	/* And none comes after it. */
	vm_event(vm, &(struct vmm_event){ .type = VMM_EVENT_BROKEN });
	assert_int_equal(vmm_next_event(vm, &ev), 0);
	assert_true(t_logged(&lines, "blk0: it broke"));
	/* Each that was lost has no line of its own; the window may have passed once. */
	assert_in_range(lines.nr[VMM_LOG_WARN], 1, 2 * LOG_BURST + 1);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_first_reason_is_the_one_that_is_told(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	t_start(vm);
	t_until(nr_runs(vm, 0) > 0);
	t_sleep_ms(5);
	vmm_stop(vm);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_int_equal(vmm_stop(vm), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* Whoever of them says it: here the last of three, while the second is off. */
static void test_any_vcpu_may_end_it(void **state)
{
	static const struct {
		u32			type;
		enum vmm_stop_reason	reason;
		int			error;
	} ends[] = {
		{ KVM_SYSTEM_EVENT_SHUTDOWN, VMM_STOP_GUEST_OFF, 0 },
		{ KVM_SYSTEM_EVENT_RESET, VMM_STOP_GUEST_RESET, 0 },
		{ KVM_SYSTEM_EVENT_CRASH, VMM_STOP_GUEST_CRASH, 0 },
		{ 99, VMM_STOP_ERROR, -EIO },
	};
	static const struct fake_step boot[] = {
		{ .kind = FAKE_CPU_ON, .data = 2 },
		{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = 0x80, .data = 0x80 },
	};
	struct vmm_config cfg = VMM_CONFIG_INIT;

	(void)state;
	cfg.vcpus = 3;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const struct fake_step end = { .kind = FAKE_SYSTEM_EVENT, .data = ends[i].type };
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_vm(fake, &cfg);
		struct vmm_event ev = VMM_EVENT_INIT;

		fake_script(fake, 0, boot, ARRAY_SIZE(boot), 1);
		fake_script(fake, 2, &end, 1, 1);
		t_start(vm);
		t_event(vm, &ev);
		assert_int_equal(ev.type, VMM_EVENT_STOPPED);
		assert_int_equal(ev.reason, ends[i].reason);
		assert_int_equal(ev.error, ends[i].error);
		assert_int_equal(ev.index, 2);
		assert_int_equal(vmm_next_event(vm, &ev), 0);
		vmm_destroy(vm);
		t_fake_done(fake);
	}
}

struct t_end {
	u32			type;
	pthread_barrier_t	*both;
};

/* Not before the other one is here too. */
static int t_end_together(struct kvm_run *run, void *arg)
{
	const struct t_end *end = arg;

	pthread_barrier_wait(end->both);
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = end->type;
	return 0;
}

static void test_two_ends_at_once_are_one(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	pthread_barrier_t both;
	struct t_end off_end = { KVM_SYSTEM_EVENT_SHUTDOWN, &both };
	struct t_end reset_end = { KVM_SYSTEM_EVENT_RESET, &both };
	const struct fake_step first[] = {
		{ .kind = FAKE_CPU_ON, .data = 1 },
		{ .kind = FAKE_CALL, .fn = t_end_together, .arg = &off_end },
	};
	const struct fake_step second[] = {
		{ .kind = FAKE_CALL, .fn = t_end_together, .arg = &reset_end },
	};

	(void)state;
	cfg.vcpus = 2;
	assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
	for (int round = 0; round < 100; round++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_vm(fake, &cfg);
		struct pollfd pfd = { .fd = vmm_event_fd(vm), .events = POLLIN };
		struct vmm_event ev = VMM_EVENT_INIT;

		fake_script(fake, 0, first, ARRAY_SIZE(first), 1);
		fake_script(fake, 1, second, ARRAY_SIZE(second), 1);
		t_start(vm);
		t_event(vm, &ev);
		assert_int_equal(ev.type, VMM_EVENT_STOPPED);
		assert_true(ev.reason == VMM_STOP_GUEST_OFF || ev.reason == VMM_STOP_GUEST_RESET);
		/* The words are of the one whose reason it is. */
		assert_int_equal(ev.index, ev.reason == VMM_STOP_GUEST_OFF ? 0 : 1);
		assert_non_null(strstr(ev.msg, ev.index ? "reboot" : "powered off"));
		/* Both had one, and the other's is not told. */
		for (u32 i = 0; i < 2; i++) {
			struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

			assert_int_equal(vmm_stats(vm, i, &stats), 0);
			assert_int_equal(stats.others, 1);
		}
		assert_int_equal(vmm_next_event(vm, &ev), 0);
		assert_int_equal(poll(&pfd, 1, round % 20 ? 0 : 5), 0);
		vmm_destroy(vm);
		t_fake_done(fake);
	}
	pthread_barrier_destroy(&both);
}

/* ---- States --------------------------------------------------------------------------- */

static void test_states_allow_what_the_header_says(void **state)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error err = { 0 };
	char byte = 0;

	(void)state;
	/* NEW */
	assert_int_equal(vmm_pause(vm), -EBUSY);
	assert_int_equal(vmm_resume(vm), -EBUSY);
	assert_int_equal(vmm_shutdown(vm), -EBUSY);
	assert_int_equal(vmm_stop(vm), -EBUSY);
	assert_int_equal(vmm_mem_read(vm, GIB(2), &byte, 1), -EBUSY);
	assert_int_equal(vmm_mem_write(vm, GIB(2), &byte, 1), -EBUSY);
	assert_int_equal(vmm_vcpu_run(vm, 0), -EBUSY);
	assert_int_equal(vmm_io_run(vm, 0), -EBUSY);
	assert_int_equal(vmm_io_dispatch(vm, 0), -EBUSY);
	t_start(vm);

	/* RUNNING */
	assert_int_equal(vmm_start(vm, &err), -EBUSY);
	assert_true(err.msg[0]);
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), -EBUSY);
	assert_int_equal(vmm_add_console(vm, &con, NULL), -EBUSY);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), -EBUSY);
	assert_int_equal(vmm_resume(vm), -EBUSY);
	assert_int_equal(vmm_vcpu_run(vm, 0), -EBUSY);
	assert_int_equal(vmm_shutdown(vm), 0);

	/* PAUSED */
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_pause(vm), -EBUSY);
	assert_int_equal(vmm_shutdown(vm), -EBUSY);
	assert_int_equal(vmm_start(vm, NULL), -EBUSY);
	assert_int_equal(vmm_mem_read(vm, GIB(2), &byte, 1), 0);
	assert_int_equal(vmm_resume(vm), 0);
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_stop(vm), 0);
	t_stopped(vm, VMM_STOP_HOST);

	/* STOPPED */
	assert_int_equal(vmm_pause(vm), -EBUSY);
	assert_int_equal(vmm_resume(vm), -EBUSY);
	assert_int_equal(vmm_shutdown(vm), -EBUSY);
	assert_int_equal(vmm_start(vm, NULL), -EBUSY);
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), -EBUSY);
	assert_int_equal(vmm_mem_read(vm, GIB(2), &byte, 1), 0);
	assert_int_equal(vmm_stop(vm), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_start_without_a_kernel_is_refused(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_error err = { 0 };
	struct vmm *vm;

	(void)state;
	assert_int_equal(vm_create(&vm, &cfg, &fake_kvm_ops, fake, &err), 0);
	assert_int_equal(vmm_start(vm, &err), -EINVAL);
	assert_true(err.msg[0]);
	assert_int_equal(fake_nr_calls(fake), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_destroy_works_in_every_state(void **state)
{
	struct t_process before;

	(void)state;
	vmm_destroy(NULL);
	for (int i = 0; i < 5; i++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_vm(fake, NULL);

		fake_script(fake, 0, busy, 1, 0);
		if (i)
			t_start(vm);
		if (i == 2)
			assert_int_equal(vmm_pause(vm), 0);
		if (i >= 3)
			vmm_stop(vm);
		if (i == 4)
			t_stopped(vm, VMM_STOP_HOST);
		vmm_destroy(vm);
		t_fake_done(fake);
		if (!i)
			t_process_save(&before);
	}
	t_process_check(&before);
}

/* ---- Pause -------------------------------------------------------------------------------- */

static void test_paused_vcpus_do_not_run(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;

	(void)state;
	/* One that exits all the time, one that stays inside, and two that are off. */
	cfg.vcpus = 4;
	vm = t_vm(fake, &cfg);
	fake_script(fake, 0, busy, 1, 0);
	t_start(vm);
	for (int i = 0; i < 50; i++) {
		u64 runs[4];

		assert_int_equal(vmm_pause(vm), 0);
		for (u32 j = 0; j < 4; j++)
			runs[j] = nr_runs(vm, j);
		if (i % 10 == 0)
			t_sleep_ms(2);
		for (u32 j = 0; j < 4; j++)
			assert_int_equal(nr_runs(vm, j), runs[j]);
		assert_int_equal(vmm_resume(vm), 0);
		t_until(nr_runs(vm, 0) > runs[0]);
	}
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- ... and the guest's time --------------------------------------------------------------- */

static void t_time_stands(const struct vmm_machine_config *machine, u64 start)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;

	fake_tick(fake, 1000000);
	vm = t_vm(fake, NULL);
	if (machine)
		assert_int_equal(vmm_set_machine(vm, machine, NULL), 0);
	fake_script(fake, 0, busy, 1, 0);
	t_start(vm);
	assert_int_equal(fake_counter(fake), start);
	for (u64 i = 1; i < 10; i++) {
		fake_tick(fake, 5);
		assert_int_equal(vmm_pause(vm), 0);
		fake_tick(fake, 3000000000);
		assert_int_equal(vmm_resume(vm), 0);
		assert_int_equal(fake_counter(fake), start + 5 * i);
	}
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_time_stands_while_paused(void **state)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;

	(void)state;
	t_time_stands(NULL, 0);
	machine.flags = VMM_MACHINE_F_COUNTER_OFFSET;
	machine.counter_offset = 400000;
	t_time_stands(&machine, 600000);
}

/* The register would take the guest's own offset for ours. */
static void test_time_of_a_nested_guest_stands_by_the_offset(void **state)
{
	static struct fake_call calls[FAKE_MAX_CALLS];
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	u32 nr_offsets = 0;
	size_t n;

	(void)state;
	machine.flags = VMM_MACHINE_F_NESTED;
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), 0);
	t_start(vm);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vmm_pause(vm), 0);
		fake_tick(fake, 7000);
		assert_int_equal(vmm_resume(vm), 0);
		assert_int_equal(fake_counter(fake), 0);
	}
	n = fake_log(fake, calls, FAKE_MAX_CALLS);
	for (size_t i = 0; i < n; i++) {
		nr_offsets += calls[i].req == KVM_ARM_SET_COUNTER_OFFSET;
		if (calls[i].req == KVM_SET_ONE_REG)
			assert_int_not_equal(calls[i].arg, KVM_REG_ARM_TIMER_CNT);
	}
	assert_int_equal(nr_offsets, 2);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_pause_does_without_the_counter(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct t_log log = T_LOG_INIT;
	static const struct fake_step block = { .kind = FAKE_BLOCK };
	struct vmm *vm;

	(void)state;
	cfg.log = t_log;
	cfg.opaque = &log;
	cfg.log_level = VMM_LOG_WARN;
	vm = t_vm(fake, &cfg);
	fake_script(fake, 0, &block, 1, 0);
	t_start(vm);
	assert_true(fake_wait_inside(fake, 1));
	for (int i = 0; i < 2; i++) {
		/* Reading it fails, then setting it. */
		if (i == 0)
			fake_fail(fake, 1, EINVAL);
		assert_int_equal(vmm_pause(vm), 0);
		fake_tick(fake, 10);
		if (i == 1)
			fake_fail(fake, 1, EINVAL);
		assert_int_equal(vmm_resume(vm), 0);
		assert_int_equal(fake_counter(fake), 10 * (i + 1));
		assert_int_equal(log.nr[VMM_LOG_WARN], i + 1);
		assert_true(fake_wait_inside(fake, 1));
	}
	assert_true(t_logged(&log, "pause: the guest's counter goes on: Invalid argument"));
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- ... and its devices ---------------------------------------------------------------------- */

/* Input waits outside, and so does output that the guest had put into its UART. */
static void test_paused_devices_leave_the_host_alone(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_WRITE, .addr = T_UART + 2, .len = 1, .data = 1 },
		{ .kind = FAKE_WRITE, .addr = T_UART + 4, .len = 1, .data = 3 },
		{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_DR,
		  .data = T_LSR_DR },
		{ .kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = 'x' },
		{ .kind = FAKE_BLOCK },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	int in[2];
	int out[2];
	char byte;
	int left;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(t_add_console(vm, in[0], out[1]), 0);
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(write(in[1], "a", 1), 1);
	t_sleep_ms(20);
	assert_int_equal(ioctl(in[0], FIONREAD, &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(vmm_resume(vm), 0);
	t_until(read(out[0], &byte, 1) == 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(ioctl(in[0], FIONREAD, &left), 0);
	assert_int_equal(left, 0);
	/* A paused one that is stopped still writes out what it has. */
	assert_int_equal(vmm_pause(vm), 0);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	vmm_destroy(vm);
	t_fake_done(fake);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static u64 cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

static void test_paused_vcpus_sleep(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm;
	u64 before;

	(void)state;
	cfg.vcpus = 4;
	vm = t_vm(fake, &cfg);
	for (u32 i = 0; i < 4; i++)
		fake_script(fake, i, busy, 1, 0);
	t_start(vm);
	assert_int_equal(vmm_pause(vm), 0);
	before = cpu_ms();
	t_sleep_ms(300);
	assert_true(cpu_ms() - before < 100);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void *pause_vm(void *arg)
{
	return (void *)(intptr_t)vmm_pause(arg);
}

/* While pause waits for a vCPU that is long in KVM, someone resumes. */
static void test_resume_ends_a_pause_under_way(void **state)
{
	static const struct fake_step slow[] = {
		{ .kind = FAKE_SLOW },
		{ .kind = FAKE_BLOCK, .times = UINT32_MAX },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	pthread_t thread;
	void *ret;

	(void)state;
	fake_script(fake, 0, slow, ARRAY_SIZE(slow), 1);
	t_start(vm);
	assert_true(fake_wait_inside(fake, 1));
	assert_int_equal(pthread_create(&thread, NULL, pause_vm, vm), 0);
	t_until(vmm_resume(vm) == 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
	fake_open_gate(fake);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* The guest stops before it is paused. */
static void test_stop_ends_a_pause_under_way(void **state)
{
	static const struct fake_step slow[] = { { .kind = FAKE_SLOW }, T_OFF };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	pthread_t thread;
	void *ret;

	(void)state;
	fake_script(fake, 0, slow, ARRAY_SIZE(slow), 1);
	t_start(vm);
	assert_true(fake_wait_inside(fake, 1));
	assert_int_equal(pthread_create(&thread, NULL, pause_vm, vm), 0);
	t_sleep_ms(5);
	vmm_stop(vm);
	assert_int_equal(pthread_join(thread, &ret), 0);
	fake_open_gate(fake);
	t_stopped(vm, VMM_STOP_HOST);
	vmm_destroy(vm);
	t_fake_done(fake);
}

struct stress {
	struct vmm	*vm;
	u32		rounds;
};

static void *pause_and_resume(void *arg)
{
	const struct stress *s = arg;
	unsigned int seed = (unsigned int)(uintptr_t)&seed;

	for (u32 i = 0; i < s->rounds; i++) {
		struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

		/* Either may be too late, or too early. */
		if (vmm_pause(s->vm) && rand_r(&seed) % 4 == 0)
			t_sleep_ms(1);
		if (vmm_resume(s->vm) && rand_r(&seed) % 4 == 0)
			t_sleep_ms(1);
		if (vmm_stats(s->vm, i % 4, &stats))
			return NULL;
	}
	return NULL;
}

static void test_kicks_pauses_and_a_stop_race(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	pthread_t threads[3];

	(void)state;
	cfg.vcpus = 4;
	for (int round = 0; round < 10; round++) {
		static const struct fake_step mixed[] = {
			{ .kind = FAKE_READ, .addr = T_UART_LSR, .len = 1 },
			{ .kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = 'x' },
			{ .kind = FAKE_BLOCK },
			{ .kind = FAKE_RETURN, .ret = -EINTR },
		};
		static const struct fake_step boot[] = {
			{ .kind = FAKE_CPU_ON, .data = 1 },
			{ .kind = FAKE_CPU_ON, .data = 2 },
			{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = 0x80, .data = 0x80 },
		};
		struct fake_kvm *fake = fake_create(&fake_server);
		struct stress s = { .rounds = 40 };
		struct vmm *vm;

		cfg.flags = round & 2 ? VMM_F_KICK_HANDLER : 0;
		vm = s.vm = t_vm(fake, &cfg);
		fake_script(fake, 0, boot, ARRAY_SIZE(boot), 1);
		fake_script(fake, 1, mixed, ARRAY_SIZE(mixed), 0);
		fake_script(fake, 2, mixed, ARRAY_SIZE(mixed), 0);
		t_start(vm);
		for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, pause_and_resume, &s), 0);
		t_sleep_ms((unsigned int)round);
		if (round % 2)
			vmm_stop(vm);
		for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		vmm_stop(vm);
		t_stopped(vm, VMM_STOP_HOST);
		vmm_destroy(vm);
		t_fake_done(fake);
	}
}

/* The host's handler takes the signal, so KVM need not change masks. */
static void test_kick_with_a_handler_needs_no_mask(void **state)
{
	static const struct fake_step block = { .kind = FAKE_BLOCK };
	static struct fake_call calls[FAKE_MAX_CALLS];
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm;
	size_t n;

	(void)state;
	cfg.flags = VMM_F_KICK_HANDLER;
	vm = t_vm(fake, &cfg);
	fake_script(fake, 0, &block, 1, 0);
	t_start(vm);
	for (int i = 0; i < 3; i++) {
		assert_true(fake_wait_inside(fake, 1));
		assert_int_equal(vmm_pause(vm), 0);
		assert_int_equal(vmm_resume(vm), 0);
	}
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	n = fake_log(fake, calls, FAKE_MAX_CALLS);
	for (size_t i = 0; i < n; i++)
		assert_true(calls[i].req != KVM_SET_SIGNAL_MASK);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void *stop_vm(void *arg)
{
	return (void *)(intptr_t)vmm_stop(arg);
}

static void test_stop_from_many_threads_is_told_once(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;

	(void)state;
	cfg.vcpus = 2;
	for (int round = 0; round < 20; round++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_vm(fake, &cfg);
		pthread_t threads[4];

		fake_script(fake, 0, busy, 1, 0);
		t_start(vm);
		for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, stop_vm, vm), 0);
		for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
			pthread_join(threads[i], NULL);
		t_stopped(vm, VMM_STOP_HOST);
		vmm_destroy(vm);
		t_fake_done(fake);
	}
}

/* ---- Consoles ---------------------------------------------------------------------------- */

static struct vmm *t_printing(struct fake_kvm *fake, int out_fd, struct fake_step *steps,
			      size_t max, const char *text)
{
	struct vmm *vm = t_vm(fake, NULL);
	size_t nr = t_print(steps, max - 1, text);

	steps[nr++] = (struct fake_step)T_OFF;
	fake_script(fake, 0, steps, nr, 1);
	assert_int_equal(t_add_console(vm, -1, out_fd), 0);
	t_start(vm);
	return vm;
}

static void test_output_is_written_before_stopped(void **state)
{
	struct fake_step steps[64];
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;
	char buf[32] = "";
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	vm = t_printing(fake, fds[1], steps, ARRAY_SIZE(steps), "Hello, world\n");
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	/* It is in the pipe already, although the VM lives. */
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 13);
	assert_string_equal(buf, "Hello, world\n");
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
}

struct reader {
	int	fd;
	size_t	nr;
	bool	wrong;
};

/* Slowly at first, so that the guest has to wait. */
static void *read_all(void *arg)
{
	struct reader *r = arg;
	char buf[97];
	ssize_t n;

	for (;;) {
		if (r->nr < 10000)
			t_sleep_ms(1);
		n = read(r->fd, buf, sizeof(buf));
		if (n <= 0)
			return NULL;
		for (ssize_t i = 0; i < n; i++)
			r->wrong |= buf[i] != (char)('a' + (r->nr + (size_t)i) % 26);
		r->nr += (size_t)n;
	}
}

static void test_much_output_to_a_slow_reader_is_complete(void **state)
{
	const size_t len = 20000;
	struct fake_step *steps = calloc(2 * len + 1, sizeof(*steps));
	char *text = calloc(1, len + 1);
	struct fake_kvm *fake = fake_create(&fake_server);
	struct reader reader = { 0 };
	struct vmm *vm;
	pthread_t thread;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	reader.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
	vm = t_printing(fake, fds[1], steps, 2 * len + 1, text);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	assert_int_equal(reader.nr, len);
	assert_false(reader.wrong);
	free(text);
	free(steps);
}

/* What a guest does that prints and never looks at LSR. */
static const struct fake_step flood[] = {
	{ .kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = 'x' },
};

static void t_never_read(bool nonblock, bool stop_first)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_event ev = VMM_EVENT_INIT;
	int fds[2];
	u64 start;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	if (nonblock)
		fcntl(fds[1], F_SETFL, O_NONBLOCK);
	fake_script(fake, 0, flood, 1, 0);
	assert_int_equal(t_add_console(vm, -1, fds[1]), 0);
	t_start(vm);
	t_until(nr_runs(vm, 0) > 30000);
	start = t_now_ms();
	if (stop_first) {
		vmm_stop(vm);
		t_event(vm, &ev);
		assert_int_equal(ev.type, VMM_EVENT_STOPPED);
	}
	vmm_destroy(vm);
	assert_in_range(t_now_ms() - start, 0, 5000);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
}

static void test_output_that_nobody_reads_holds_up_no_stop(void **state)
{
	(void)state;
	t_never_read(true, false);
	t_never_read(true, true);
	t_never_read(false, false);
	t_never_read(false, true);
}

/* The guest is off, but its last words cannot be written: STOPPED waits for them. */
static void test_last_words_are_waited_for_until_the_host_will_not(void **state)
{
	struct fake_step *steps = calloc(40000, sizeof(*steps));
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_event ev = VMM_EVENT_INIT;
	char text[9001];
	struct vmm *vm;
	int fds[2];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	vm = t_printing(fake, fds[1], steps, 40000, text);
	/* All of it but the last vCPU's exit. */
	t_until(nr_runs(vm, 0) >= 2 * strlen(text) + 1);
	t_sleep_ms(20);
	assert_int_equal(vmm_next_event(vm, &ev), 0);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
	free(steps);
}

static void test_reader_that_went_away_is_no_end(void **state)
{
	struct fake_step steps[64];
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	close(fds[0]);
	vm = t_printing(fake, fds[1], steps, ARRAY_SIZE(steps), "Hello, world\n");
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[1]);
}

static void test_input_reaches_the_guest(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_WRITE, .addr = T_UART_IER, .len = 1, .data = 1 },
		{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_DR, .data = T_LSR_DR },
		{ .kind = FAKE_GATE },
		{ .kind = FAKE_READ, .addr = T_UART_THR, .len = 1 },
		{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_DR, .data = T_LSR_DR },
		{ .kind = FAKE_READ, .addr = T_UART_THR, .len = 1 },
		T_OFF,
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	int fds[2];
	u64 val = 0;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	assert_int_equal(t_add_console(vm, fds[0], -1), 0);
	t_start(vm);
	assert_int_equal(write(fds[1], "ok", 2), 2);
	/* With something to read, the line is up. */
	t_until(fake_irq(fake, SPI_UART));
	fake_open_gate(fake);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_true(fake_value(fake, 0, 0, &val));
	assert_int_equal(val, 'o');
	assert_true(fake_value(fake, 0, 1, &val));
	assert_int_equal(val, 'k');
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
}

static void test_consoles_are_four(void **state)
{
	struct fake_step steps[VM_MAX_CONSOLES + 1];
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	int fds[VM_MAX_CONSOLES][2];
	char byte;

	(void)state;
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++) {
		assert_int_equal(pipe2(fds[i], O_CLOEXEC | O_NONBLOCK), 0);
		assert_int_equal(t_add_console(vm, -1, fds[i][1]), i);
		steps[i] = (struct fake_step){
			.kind = FAKE_WRITE, .addr = T_UART + i * 0x1000, .len = 1, .data = 'a' + i,
		};
	}
	assert_int_equal(t_add_console(vm, -1, fds[0][1]), -ENOSPC);
	steps[VM_MAX_CONSOLES] = (struct fake_step)T_OFF;
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	t_fake_done(fake);
	for (u32 i = 0; i < VM_MAX_CONSOLES; i++) {
		assert_int_equal(read(fds[i][0], &byte, 1), 1);
		assert_int_equal(byte, 'a' + i);
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

/* ---- Looking inside ------------------------------------------------------------------------- */

static void test_power_button_raises_its_interrupt(void **state)
{
	/* PL061: IS, IBE and IEV as at reset with edges up, IE for the key. */
	static const struct fake_step steps[] = {
		{ .kind = FAKE_WRITE, .addr = 0x01012408, .data = 0x08 },	/* IBE */
		{ .kind = FAKE_WRITE, .addr = 0x01012410, .data = 0x08 },	/* IE */
		{ .kind = FAKE_BLOCK, .times = UINT32_MAX },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	assert_true(fake_wait_inside(fake, 1));
	assert_int_equal(vmm_shutdown(vm), 0);
	t_until(fake_irq(fake, SPI_GPIO));
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_running_vm_keeps_its_own_descriptors_alone(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm;

	(void)state;
	cfg.vcpus = 3;
	vm = t_vm(fake, &cfg);
	t_start(vm);
	/* The VM and its vCPUs: neither /dev/kvm nor the interrupt controller. */
	assert_int_equal(fake_nr_open(fake), 4);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_memory_is_read_and_written_within_bounds(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	const u64 base = GIB(2);
	u8 buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	u8 back[8] = { 0 };

	(void)state;
	t_start(vm);
	assert_int_equal(vmm_mem_write(vm, base + T_RAM - 8, buf, 8), 0);
	assert_int_equal(vmm_mem_read(vm, base + T_RAM - 8, back, 8), 0);
	assert_memory_equal(buf, back, 8);
	assert_memory_equal(fake_host(fake, base + T_RAM - 8), buf, 8);
	assert_int_equal(vmm_mem_write(vm, base + T_RAM - 7, buf, 8), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, base + T_RAM - 7, back, 8), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, base - 1, back, 8), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, T_UART, back, 1), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, base, back, SIZE_MAX), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, UINT64_MAX, back, 2), -EFAULT);
	assert_int_equal(vmm_mem_read(vm, base, back, 0), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_stats_count_by_kind(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_READ, .addr = T_UART_LSR, .len = 1, .times = 5 },
		{ .kind = FAKE_WRITE, .addr = T_UART_IER, .len = 1, .times = 2 },
		T_OFF,
	};
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.runs, 0);
	assert_int_equal(vmm_stats(vm, 1, &stats), -ENOENT);
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.size, sizeof(stats));
	assert_int_equal(stats.runs, 8);
	assert_int_equal(stats.mmio, 7);
	assert_int_equal(stats.others, 1);
	assert_true(stats.tid > 0);
	stats.size = 24;
	stats.mmio = 99;
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.runs, 8);
	assert_int_equal(stats.mmio, 7);
	stats.size = 0;
	assert_int_equal(vmm_stats(vm, 0, &stats), -EINVAL);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_strays_of_the_guest_are_harmless(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_READ, .addr = 0x05000000, .len = 8 },
		{ .kind = FAKE_READ, .addr = T_UART + 4, .len = 8 },
		{ .kind = FAKE_WRITE, .addr = UINT64_MAX, .len = 8 },
		{ .kind = FAKE_WRITE, .addr = 0, .len = 4, .times = 200 },
		T_OFF,
	};
	struct t_log lines = T_LOG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;
	u64 val = 1;

	(void)state;
	cfg.log = t_log;
	cfg.opaque = &lines;
	cfg.log_level = VMM_LOG_WARN;
	vm = t_vm(fake, &cfg);
	fake_script(fake, 0, steps, ARRAY_SIZE(steps), 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_true(fake_value(fake, 0, 0, &val));
	assert_int_equal(val, 0);
	assert_in_range(lines.nr[VMM_LOG_WARN], 1, 11);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- Flash --------------------------------------------------------------------- */

static int t_add_flash(struct vmm *vm, int fd, u64 flags, struct vmm_error *err)
{
	struct vmm_flash_config cfg = VMM_FLASH_CONFIG_INIT;

	cfg.fd = fd;
	cfg.flags = flags;
	return vmm_add_flash(vm, &cfg, err);
}

/* As a disk is: one writes, or several read. */
static void test_flash_is_locked(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vms[3] = { t_vm(fake, NULL), t_vm(fake, NULL), t_vm(fake, NULL) };
	struct vmm_error err;
	char path[64];
	int fds[4];

	(void)state;
	fds[0] = memfd_create("t-flash", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	for (int i = 1; i < 4; i++)
		fds[i] = open(path, (i == 1 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	assert_int_equal(t_add_flash(vms[0], fds[0], 0, &err), 0);
	assert_int_equal(t_add_flash(vms[1], fds[1], 0, &err), -ETXTBSY);
	assert_string_equal(err.msg, "flash: somebody else has it open");
	assert_int_equal(t_add_flash(vms[1], fds[2], VMM_FLASH_F_READONLY, &err), -ETXTBSY);
	/* It has none yet, and can have the same again, as after a reboot. */
	assert_int_equal(t_add_flash(vms[1], fds[0], 0, &err), 0);
	vmm_destroy(vms[0]);
	vmm_destroy(vms[1]);
	close(fds[0]);
	vms[0] = t_vm(fake, NULL);
	assert_int_equal(t_add_flash(vms[0], fds[2], VMM_FLASH_F_READONLY, &err), 0);
	assert_int_equal(t_add_flash(vms[2], fds[1], 0, &err), -ETXTBSY);
	assert_int_equal(t_add_flash(vms[2], fds[3], 0, &err), -EBADF);
	assert_int_equal(t_add_flash(vms[2], fds[3], VMM_FLASH_F_READONLY, &err), 0);
	vmm_destroy(vms[0]);
	vmm_destroy(vms[2]);
	t_fake_done(fake);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_says_why_it_stops),
		cmocka_unit_test(test_kvm_says_that_it_cannot_go_on),
		cmocka_unit_test(test_access_of_a_size_that_cannot_be_is_an_error),
		cmocka_unit_test(test_transient_failures_of_run_are_tried_again),
		cmocka_unit_test(test_event_descriptor_is_readable_while_events_are_queued),
		cmocka_unit_test(test_stopped_finds_a_place_behind_a_flood),
		cmocka_unit_test(test_first_reason_is_the_one_that_is_told),
		cmocka_unit_test(test_any_vcpu_may_end_it),
		cmocka_unit_test(test_two_ends_at_once_are_one),
		cmocka_unit_test(test_states_allow_what_the_header_says),
		cmocka_unit_test(test_start_without_a_kernel_is_refused),
		cmocka_unit_test(test_destroy_works_in_every_state),
		cmocka_unit_test(test_paused_vcpus_do_not_run),
		cmocka_unit_test(test_time_stands_while_paused),
		cmocka_unit_test(test_time_of_a_nested_guest_stands_by_the_offset),
		cmocka_unit_test(test_pause_does_without_the_counter),
		cmocka_unit_test(test_paused_devices_leave_the_host_alone),
		cmocka_unit_test(test_paused_vcpus_sleep),
		cmocka_unit_test(test_resume_ends_a_pause_under_way),
		cmocka_unit_test(test_stop_ends_a_pause_under_way),
		cmocka_unit_test(test_kicks_pauses_and_a_stop_race),
		cmocka_unit_test(test_kick_with_a_handler_needs_no_mask),
		cmocka_unit_test(test_stop_from_many_threads_is_told_once),
		cmocka_unit_test(test_output_is_written_before_stopped),
		cmocka_unit_test(test_much_output_to_a_slow_reader_is_complete),
		cmocka_unit_test(test_output_that_nobody_reads_holds_up_no_stop),
		cmocka_unit_test(test_last_words_are_waited_for_until_the_host_will_not),
		cmocka_unit_test(test_reader_that_went_away_is_no_end),
		cmocka_unit_test(test_input_reaches_the_guest),
		cmocka_unit_test(test_consoles_are_four),
		cmocka_unit_test(test_power_button_raises_its_interrupt),
		cmocka_unit_test(test_running_vm_keeps_its_own_descriptors_alone),
		cmocka_unit_test(test_memory_is_read_and_written_within_bounds),
		cmocka_unit_test(test_stats_count_by_kind),
		cmocka_unit_test(test_strays_of_the_guest_are_harmless),
		cmocka_unit_test(test_flash_is_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
