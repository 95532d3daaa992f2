/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_host.c - what the library promises the process it lives in: many machines, a
 * host's own threads and loop, and everything as it was before
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/vm.h"

static const struct fake_step off[] = { T_OFF };
static const struct fake_step busy[] = {
	{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = 0x80, .data = 0x80 },
};

/* ---- Side by side ------------------------------------------------------------------ */

static void test_two_machines_are_destroyed_in_either_order(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct t_process before;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fake_script(fake, 0, busy, 1, 0);
	cfg.vcpus = 2;
	cfg.cpus = "0-8191";
	for (int i = 0; i < 101; i++) {
		struct vmm *a = t_vm(fake, &cfg);
		struct vmm *b = t_vm(fake, &cfg);

		assert_int_equal(t_add_console(a, fds[0], fds[1]), 0);
		assert_int_equal(t_add_console(b, fds[0], fds[1]), 0);
		t_start(a);
		t_start(b);
		if (i % 3 == 0)
			vmm_stop(a);
		if (i % 5 == 0)
			assert_int_equal(vmm_pause(b), 0);
		vmm_destroy(i % 2 ? a : b);
		if (i % 3 && i % 2 == 0)
			assert_int_equal(vmm_pause(a), 0);
		vmm_destroy(i % 2 ? b : a);
		assert_int_equal(fake_nr_open(fake), 0);
		/* The first round is libc's, which keeps stacks and arenas. */
		if (!i)
			t_process_save(&before);
	}
	t_process_check(&before);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
}

static void test_machines_do_not_see_one_another(void **state)
{
	struct fake_kvm *fa = fake_create(&fake_server);
	struct fake_kvm *fb = fake_create(&fake_board);
	struct vmm *a = t_vm(fa, NULL);
	struct vmm *b = t_vm(fb, NULL);
	struct vmm_event ev = VMM_EVENT_INIT;
	u32 val = 0x12345678;

	(void)state;
	fake_script(fa, 0, off, 1, 1);
	t_start(b);
	t_start(a);
	t_stopped(a, VMM_STOP_GUEST_OFF);
	assert_int_equal(vmm_next_event(b, &ev), 0);
	assert_int_equal(vmm_mem_write(a, GIB(2) + MIB(20), &val, sizeof(val)), 0);
	assert_int_equal(vmm_mem_read(b, GIB(2) + MIB(20), &val, sizeof(val)), 0);
	assert_int_equal(val, 0);
	vmm_destroy(a);
	vmm_stop(b);
	t_stopped(b, VMM_STOP_HOST);
	vmm_destroy(b);
	t_fake_done(fa);
	t_fake_done(fb);
}

/* ---- Borrowed things ------------------------------------------------------------------ */

static void test_descriptors_may_be_closed_at_once(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	char cpus[] = "0-8191";
	char cmdline[] = "quiet";
	struct t_process before;
	struct vmm *vm;
	char *guest;

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	t_process_save(&before);
	cfg.flags = VMM_F_KVM_FD | VMM_F_RAM_FD;
	cfg.kvm_fd = fake_open_dev(fake);
	cfg.ram_fd = memfd_create("t-ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(cfg.ram_fd, (off_t)T_RAM), 0);
	cfg.cpus = cpus;
	vm = t_vm(fake, &cfg);
	memset(cpus, 'x', sizeof(cpus) - 1);
	close(cfg.kvm_fd);
	boot.kernel_fd = t_kernel();
	boot.flags = VMM_BOOT_F_INITRD;
	boot.initrd_fd = t_file("initrd", 6);
	boot.cmdline = cmdline;
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	close(boot.kernel_fd);
	close(boot.initrd_fd);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	assert_int_equal(vmm_mem_write(vm, GIB(2), "shared", 6), 0);
	guest = mmap(NULL, 4096, PROT_READ, MAP_SHARED, cfg.ram_fd, 0);
	assert_memory_equal(guest, "shared", 6);
	munmap(guest, 4096);
	close(cfg.ram_fd);
	vmm_destroy(vm);
	t_process_check(&before);
	t_fake_done(fake);
}

static void test_every_descriptor_is_cloexec(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct t_process before;
	struct t_process p;
	struct vmm *vm;
	int fds[2];

	(void)state;
	t_process_save(&before);
	vm = t_vm(fake, NULL);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(t_add_console(vm, fds[0], fds[1]), 0);
	boot.kernel_fd = t_kernel();
	boot.flags = VMM_BOOT_F_INITRD;
	boot.initrd_fd = t_file("initrd", 6);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	t_start(vm);
	t_process_save(&p);
	for (size_t i = 0; i < p.nr_fds; i++) {
		bool old = false;

		for (size_t j = 0; j < before.nr_fds; j++)
			old |= before.fds[j].nr == p.fds[i].nr;
		/* The fake opens /dev/kvm by dup(). */
		if (!old && !strstr(p.fds[i].link, "fake-kvm") &&
		    !(fcntl(p.fds[i].nr, F_GETFD) & FD_CLOEXEC))
			fail_msg("descriptor %d (%s) outlives exec", p.fds[i].nr, p.fds[i].link);
	}
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fds[0]);
	close(fds[1]);
	close(boot.kernel_fd);
	close(boot.initrd_fd);
}

static void test_errno_is_left_alone(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_event ev = VMM_EVENT_INIT;
	struct vmm *vm;
	u8 byte;

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	errno = EXFULL;
	cfg.flags = VMM_F_RAM_FD;
	cfg.ram_fd = 12345;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), -EBADF);
	assert_int_equal(errno, EXFULL);
	boot.kernel_fd = 12345;
	vm = t_vm(fake, NULL);
	errno = EXFULL;
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), -EBADF);
	assert_int_equal(t_add_console(vm, 12345, -1), -EBADF);
	assert_int_equal(errno, EXFULL);
	t_start(vm);
	assert_int_equal(errno, EXFULL);
	while (!vmm_next_event(vm, &ev))
		;
	assert_int_equal(vmm_pause(vm), -EBUSY);
	assert_int_equal(vmm_mem_read(vm, 0, &byte, 1), -EFAULT);
	assert_int_equal(errno, EXFULL);
	vmm_destroy(vm);
	assert_int_equal(errno, EXFULL);
	t_fake_done(fake);
}

/* ---- Signals and affinity --------------------------------------------------------------- */

struct threads_seen {
	struct fake_kvm	*fake;
	bool		wrong;
};

/* A fault of the thread itself: were they blocked, the process would just end. */
static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP ||
	       sig == SIGSYS;
}

static int look_at_thread(struct kvm_run *run, void *arg)
{
	struct threads_seen *seen = arg;
	sigset_t blocked;

	/* All but those of libc's own. */
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (int sig = 1; sig < T_MAX_SIGNALS; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			seen->wrong |= sigismember(&blocked, sig) == is_fault(sig);
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
	return 0;
}

static void test_library_threads_block_every_signal_but_faults(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct threads_seen seen = { .fake = fake };
	const struct fake_step steps[] = {
		{ .kind = FAKE_CALL, .fn = look_at_thread, .arg = &seen },
	};
	struct vmm *vm = t_vm(fake, NULL);

	(void)state;
	fake_script(fake, 0, steps, 1, 1);
	t_start(vm);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	vmm_destroy(vm);
	assert_false(seen.wrong);
	t_fake_done(fake);
}

static void test_process_is_as_before_at_every_step(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct t_process before;
	struct t_process now;

	(void)state;
	cfg.cpus = "0-8191";
	cfg.vcpus = 2;
	for (int round = 0; round < 2; round++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm;

		t_process_save(&before);
		vm = t_vm(fake, &cfg);
		t_start(vm);
		t_process_save(&now);
		assert_true(cpumask_equal(&before.cpus, &now.cpus));
		for (int sig = 1; sig < T_MAX_SIGNALS; sig++) {
			assert_true(before.actions[sig].sa_handler == now.actions[sig].sa_handler);
			assert_int_equal(sigismember(&before.blocked, sig),
					 sigismember(&now.blocked, sig));
		}
		vmm_stop(vm);
		t_stopped(vm, VMM_STOP_HOST);
		vmm_destroy(vm);
		if (round)
			t_process_check(&before);
		t_fake_done(fake);
	}
}

/* ---- A host's own threads ------------------------------------------------------------------ */

struct lent {
	struct vmm	*vm;
	u32		index;
	int		ret;
	bool		changed;	/* the thread's mask or affinity */
};

static void *lend_vcpu(void *arg)
{
	struct lent *lent = arg;
	struct cpumask cpus[2];
	sigset_t masks[2];

	cpumask_get_affinity(&cpus[0]);
	pthread_sigmask(SIG_BLOCK, NULL, &masks[0]);
	lent->ret = vmm_vcpu_run(lent->vm, lent->index);
	cpumask_get_affinity(&cpus[1]);
	pthread_sigmask(SIG_BLOCK, NULL, &masks[1]);
	lent->changed = !cpumask_equal(&cpus[0], &cpus[1]);
	for (int sig = 1; sig < T_MAX_SIGNALS; sig++)
		lent->changed |= sigismember(&masks[0], sig) != sigismember(&masks[1], sig);
	return NULL;
}

static void *lend_io(void *arg)
{
	struct lent *lent = arg;

	lent->ret = vmm_io_run(lent->vm, lent->index);
	return NULL;
}

#define T_VCPUS	3
#define T_IO	2

struct crew {
	struct lent	vcpus[T_VCPUS];
	struct lent	io[T_IO];
	pthread_t	threads[T_VCPUS + T_IO];
};

static void t_lend(struct crew *crew, struct vmm *vm)
{
	memset(crew, 0, sizeof(*crew));
	for (u32 i = 0; i < T_VCPUS; i++) {
		crew->vcpus[i] = (struct lent){ .vm = vm, .index = i, .ret = 1 };
		assert_int_equal(pthread_create(&crew->threads[i], NULL, lend_vcpu, &crew->vcpus[i]), 0);
	}
	for (u32 i = 0; i < T_IO; i++) {
		crew->io[i] = (struct lent){ .vm = vm, .index = i, .ret = 1 };
		assert_int_equal(pthread_create(&crew->threads[T_VCPUS + i], NULL, lend_io,
						&crew->io[i]), 0);
	}
}

/* All are inside: from here on they may be called back. */
static bool all_entered(struct vmm *vm)
{
	bool all = true;

	pthread_mutex_lock(&vm->lock);
	for (u32 i = 0; i < T_VCPUS; i++)
		all &= vm->vcpus[i].entered;
	for (u32 i = 0; i < T_IO; i++)
		all &= vm->io[i].entered;
	pthread_mutex_unlock(&vm->lock);
	return all;
}

static void t_return(struct crew *crew)
{
	for (size_t i = 0; i < ARRAY_SIZE(crew->threads); i++)
		pthread_join(crew->threads[i], NULL);
	for (u32 i = 0; i < T_VCPUS; i++) {
		assert_int_equal(crew->vcpus[i].ret, 0);
		assert_false(crew->vcpus[i].changed);
	}
	for (u32 i = 0; i < T_IO; i++)
		assert_int_equal(crew->io[i].ret, 0);
}

static struct vmm *t_lent_vm(struct fake_kvm *fake)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;

	cfg.flags = VMM_F_HOST_THREADS;
	cfg.vcpus = T_VCPUS;
	cfg.io_threads = T_IO;
	cfg.cpus = "0=0:1=0-8191";
	return t_vm(fake, &cfg);
}

static void test_lent_threads_come_back_as_they_were(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		struct fake_kvm *fake = fake_create(&fake_server);
		struct vmm *vm = t_lent_vm(fake);
		struct t_process before;
		struct t_process after;
		struct crew crew;

		fake_script(fake, 0, round % 2 ? off : busy, 1, round % 2);
		t_process_save(&before);
		t_start(vm);
		t_process_save(&after);
		assert_int_equal(before.nr_threads, after.nr_threads);
		t_lend(&crew, vm);
		if (round % 2 == 0) {
			assert_true(fake_wait_inside(fake, T_VCPUS - 1));
			assert_int_equal(vmm_pause(vm), 0);
			assert_int_equal(vmm_resume(vm), 0);
			vmm_stop(vm);
		}
		t_stopped(vm, round % 2 ? VMM_STOP_GUEST_OFF : VMM_STOP_HOST);
		t_return(&crew);
		vmm_destroy(vm);
		t_fake_done(fake);
	}
}

static void test_destroy_calls_lent_threads_back(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_lent_vm(fake);
	struct crew crew;

	(void)state;
	fake_script(fake, 0, busy, 1, 0);
	t_start(vm);
	t_lend(&crew, vm);
	t_until(all_entered(vm));
	vmm_destroy(vm);
	t_return(&crew);
	t_fake_done(fake);
}

static void test_lent_threads_that_come_late_go_at_once(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_lent_vm(fake);

	(void)state;
	t_start(vm);
	assert_int_equal(vmm_vcpu_run(vm, T_VCPUS), -ENOENT);
	assert_int_equal(vmm_io_run(vm, T_IO), -ENOENT);
	assert_int_equal(vmm_io_fd(vm, T_IO), -ENOENT);
	assert_int_equal(vmm_io_dispatch(vm, T_IO), -ENOENT);
	/* With no vCPU there is nobody to wait for, but someone must do the I/O. */
	vmm_stop(vm);
	assert_int_equal(vmm_vcpu_run(vm, 0), 0);
	assert_int_equal(vmm_io_run(vm, 0), 0);
	t_stopped(vm, VMM_STOP_HOST);
	assert_int_equal(vmm_vcpu_run(vm, 0), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_paused_before_the_first_thread_comes(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_lent_vm(fake);
	struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;
	struct crew crew;

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	t_start(vm);
	assert_int_equal(vmm_pause(vm), 0);
	t_lend(&crew, vm);
	t_sleep_ms(10);
	assert_int_equal(vmm_stats(vm, 0, &stats), 0);
	assert_int_equal(stats.runs, 0);
	assert_int_equal(vmm_resume(vm), 0);
	t_stopped(vm, VMM_STOP_GUEST_OFF);
	t_return(&crew);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- A host's own loop ------------------------------------------------------------------------ */

struct own_loop {
	struct vmm	*vm;
	struct vmm_event ev;
	u32		nr_wakes;
	bool		timed_out;
};

/* Poll all of the VM's descriptors, as a host with a loop would, until it stops. */
static void serve(struct own_loop *own)
{
	own->ev = (struct vmm_event)VMM_EVENT_INIT;
	for (;;) {
		struct pollfd pfd[1 + T_IO] = {
			{ .fd = vmm_event_fd(own->vm), .events = POLLIN },
		};

		for (u32 i = 0; i < T_IO; i++)
			pfd[1 + i] = (struct pollfd){ .fd = vmm_io_fd(own->vm, i), .events = POLLIN };
		if (poll(pfd, ARRAY_SIZE(pfd), 5000) <= 0) {
			own->timed_out = true;
			return;
		}
		own->nr_wakes++;
		if (pfd[0].revents && vmm_next_event(own->vm, &own->ev) &&
		    own->ev.type == VMM_EVENT_STOPPED)
			return;
		for (u32 i = 0; i < T_IO; i++)
			if (pfd[1 + i].revents)
				assert_int_equal(vmm_io_dispatch(own->vm, i), 0);
	}
}

/* As the header has it: poll, and dispatch when there is something to do. */
static void test_loop_of_the_host_serves_the_machine(void **state)
{
	struct fake_step steps[64];
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_lent_vm(fake);
	struct own_loop own = { .vm = vm };
	struct lent lent = { .vm = vm };
	char buf[32] = "";
	pthread_t thread;
	size_t nr;
	int in[2];
	int out[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	/* A guest that has opened the port. */
	steps[0] = (struct fake_step){ .kind = FAKE_WRITE, .addr = T_UART_IER, .len = 1, .data = 1 };
	steps[1] = (struct fake_step){
		.kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_DR, .data = T_LSR_DR,
	};
	steps[2] = (struct fake_step){ .kind = FAKE_READ, .addr = T_UART_THR, .len = 1 };
	nr = 3 + t_print(steps + 3, ARRAY_SIZE(steps) - 4, "Hello, world\n");
	steps[nr++] = (struct fake_step)T_OFF;
	fake_script(fake, 0, steps, nr, 1);
	assert_int_equal(t_add_console(vm, in[0], out[1]), 0);
	assert_int_equal(vmm_io_fd(vm, 0), -EBUSY);
	t_start(vm);
	assert_int_equal(write(in[1], "k", 1), 1);
	/* Nobody else is there to bring the devices to rest. */
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_resume(vm), 0);
	assert_int_equal(pthread_create(&thread, NULL, lend_vcpu, &lent), 0);
	serve(&own);
	if (own.timed_out) {
		vmm_stop(vm);
		fail_msg("nothing to do was seen after %u wakes", own.nr_wakes);
	}
	pthread_join(thread, NULL);
	assert_int_equal(own.ev.reason, VMM_STOP_GUEST_OFF);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 13);
	assert_string_equal(buf, "Hello, world\n");
	/* An idle loop is not woken for nothing. */
	assert_in_range(own.nr_wakes, 1, 200);
	vmm_destroy(vm);
	t_fake_done(fake);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

struct starter {
	struct vmm	*vm;
	int		ret;
};

static void *start_vm(void *arg)
{
	struct starter *s = arg;

	s->ret = vmm_start(s->vm, NULL);
	return NULL;
}

/* The thread that called vmm_start() ends before the loop runs. */
static void test_loop_of_the_host_outlives_the_thread_that_started(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_lent_vm(fake);
	struct own_loop own = { .vm = vm };
	struct starter starter = { vm, 1 };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, start_vm, &starter), 0);
	pthread_join(thread, NULL);
	assert_int_equal(starter.ret, 0);
	vmm_stop(vm);
	serve(&own);
	assert_false(own.timed_out);
	assert_int_equal(own.ev.reason, VMM_STOP_HOST);
	vmm_destroy(vm);
	t_fake_done(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_machines_are_destroyed_in_either_order),
		cmocka_unit_test(test_machines_do_not_see_one_another),
		cmocka_unit_test(test_descriptors_may_be_closed_at_once),
		cmocka_unit_test(test_every_descriptor_is_cloexec),
		cmocka_unit_test(test_errno_is_left_alone),
		cmocka_unit_test(test_library_threads_block_every_signal_but_faults),
		cmocka_unit_test(test_process_is_as_before_at_every_step),
		cmocka_unit_test(test_lent_threads_come_back_as_they_were),
		cmocka_unit_test(test_destroy_calls_lent_threads_back),
		cmocka_unit_test(test_lent_threads_that_come_late_go_at_once),
		cmocka_unit_test(test_paused_before_the_first_thread_comes),
		cmocka_unit_test(test_loop_of_the_host_serves_the_machine),
		cmocka_unit_test(test_loop_of_the_host_outlives_the_thread_that_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
