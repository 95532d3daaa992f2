/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_api.c - what the public calls take and refuse
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/vm.h"

/* ---- Configurations of other ages ------------------------------------------------- */

/* A struct that is @extra bytes longer than the library's, of the same start. */
static void *t_longer(const void *cfg, size_t size, size_t extra)
{
	char *longer = calloc(1, size + extra);
	size_t total = size + extra;

	memcpy(longer, cfg, size);
	memcpy(longer, &total, sizeof(total));
	return longer;
}

static void test_newer_config_is_taken_if_it_sets_nothing_new(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;
	char *longer = t_longer(&cfg, sizeof(cfg), 16);

	(void)state;
	assert_int_equal(vmm_create(&vm, (void *)longer, &err), 0);
	vmm_destroy(vm);
	for (size_t i = 0; i < 16; i++) {
		memset(longer + sizeof(cfg), 0, 16);
		longer[sizeof(cfg) + i] = 1;
		err.msg[0] = '\0';
		assert_int_equal(vmm_create(&vm, (void *)longer, &err), -E2BIG);
		assert_true(err.msg[0]);
	}
	free(longer);
}

/* Every length, down to the size alone; what lies behind is not looked at. */
static void test_older_config_is_completed_with_zeroes(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };

	(void)state;
	for (size_t size = sizeof(size_t); size <= sizeof(cfg); size++) {
		struct vmm_config *old = malloc(size);
		struct vmm *vm = NULL;

		memcpy(old, &cfg, size);
		memcpy(old, &size, sizeof(size));
		if (vmm_create(&vm, old, &err))
			fail_msg("of %zu bytes: %s", size, err.msg);
		vmm_destroy(vm);
		free(old);
	}
}

static void test_config_without_size_is_refused(void **state)
{
	struct vmm_config cfg = { .size = 0 };
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;

	(void)state;
	assert_int_equal(vmm_create(&vm, &cfg, &err), -EINVAL);
	assert_non_null(strstr(err.msg, ".size"));
	cfg.size = sizeof(size_t) - 1;
	assert_int_equal(vmm_create(&vm, &cfg, &err), -EINVAL);
	assert_int_equal(vmm_create(&vm, NULL, &err), -EINVAL);
	assert_int_equal(vmm_create(&vm, NULL, NULL), -EINVAL);
	assert_null(vm);
}

static void test_every_config_follows_the_rule_of_sizes(void **state)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm = NULL;
	int kernel = t_kernel();
	char *longer;

	(void)state;
	boot.kernel_fd = kernel;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	longer = t_longer(&machine, sizeof(machine), 8);
	assert_int_equal(vmm_set_machine(vm, (void *)longer, NULL), 0);
	longer[sizeof(machine)] = 1;
	assert_int_equal(vmm_set_machine(vm, (void *)longer, NULL), -E2BIG);
	free(longer);
	longer = t_longer(&con, sizeof(con), 8);
	assert_int_equal(vmm_add_console(vm, (void *)longer, NULL), 0);
	longer[sizeof(con) + 7] = 1;
	assert_int_equal(vmm_add_console(vm, (void *)longer, NULL), -E2BIG);
	free(longer);
	longer = t_longer(&boot, sizeof(boot), 8);
	assert_int_equal(vmm_set_boot(vm, (void *)longer, NULL), 0);
	longer[sizeof(boot) + 3] = 1;
	assert_int_equal(vmm_set_boot(vm, (void *)longer, NULL), -E2BIG);
	free(longer);

	machine.size = con.size = boot.size = 0;
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), -EINVAL);
	assert_int_equal(vmm_add_console(vm, &con, NULL), -EINVAL);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), -EINVAL);
	assert_int_equal(vmm_set_machine(vm, NULL, NULL), -EINVAL);
	assert_int_equal(vmm_add_console(vm, NULL, NULL), -EINVAL);
	assert_int_equal(vmm_set_boot(vm, NULL, NULL), -EINVAL);
	vmm_destroy(vm);
	close(kernel);
}

static void test_unknown_flags_are_refused(void **state)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm = NULL;

	(void)state;
	cfg.flags = 1ull << 63;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), -E2BIG);
	cfg.flags = 0;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	machine.flags = con.flags = boot.flags = 1ull << 63;
	assert_int_equal(vmm_set_machine(vm, &machine, NULL), -E2BIG);
	assert_int_equal(vmm_add_console(vm, &con, NULL), -E2BIG);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), -E2BIG);
	vmm_destroy(vm);
}

static void test_event_of_an_older_program_is_cut(void **state)
{
	static const struct fake_step off[] = { T_OFF };
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct {
		struct vmm_event	ev;
		char			canary[16];
	} box;
	int ret;

	(void)state;
	fake_script(fake, 0, off, 1, 1);
	memset(&box, 0x5a, sizeof(box));
	t_start(vm);
	box.ev.size = 0;
	assert_int_equal(vmm_next_event(vm, &box.ev), -EINVAL);
	box.ev.size = offsetof(struct vmm_event, error);
	do
		ret = vmm_next_event(vm, &box.ev);
	while (!ret);
	assert_int_equal(ret, 1);
	assert_int_equal(box.ev.size, offsetof(struct vmm_event, error));
	assert_int_equal(box.ev.reason, VMM_STOP_GUEST_OFF);
	assert_int_equal(box.ev.error, 0x5a5a5a5a);
	vmm_destroy(vm);
	t_fake_done(fake);
}

/* ---- Values ---------------------------------------------------------------------------- */

static void t_refused(const struct vmm_config *cfg, int want, const char *text)
{
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;
	int ret = vmm_create(&vm, cfg, &err);

	assert_int_equal(ret, want);
	assert_null(vm);
	if (!strstr(err.msg, text))
		fail_msg("'%s' does not say '%s'", err.msg, text);
}

static void test_values_that_make_no_sense_are_refused(void **state)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;

	(void)state;
	cfg.ram_size = MIB(32) + 4096;
	t_refused(&cfg, -EINVAL, "64 KiB");
	cfg = (struct vmm_config)VMM_CONFIG_INIT;
	cfg.ram_base = GIB(1);
	t_refused(&cfg, -EINVAL, "RAM");
	cfg.ram_base = GIB(2) + KIB(64);
	t_refused(&cfg, -EINVAL, "2 MiB");
	cfg.ram_base = UINT64_MAX - MIB(2) + 1;
	t_refused(&cfg, -EINVAL, "RAM");
	cfg = (struct vmm_config)VMM_CONFIG_INIT;
	cfg.io_threads = VM_MAX_IO_THREADS + 1;
	t_refused(&cfg, -EINVAL, "I/O threads");
	cfg = (struct vmm_config)VMM_CONFIG_INIT;
	cfg.kick_signal = SIGUSR1;
	t_refused(&cfg, -EINVAL, "kick signal");
	cfg.kick_signal = SIGRTMAX + 1;
	t_refused(&cfg, -EINVAL, "kick signal");
	cfg.kick_signal = -1;
	t_refused(&cfg, -EINVAL, "kick signal");
	cfg = (struct vmm_config)VMM_CONFIG_INIT;
	cfg.flags = VMM_F_RAM_FD;
	cfg.ram_fd = -1;
	t_refused(&cfg, -EBADF, "RAM");
	cfg.flags = VMM_F_KVM_FD;
	cfg.kvm_fd = 12345;
	t_refused(&cfg, -EBADF, "KVM");
}

static void test_machine_that_makes_no_sense_is_refused(void **state)
{
	struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct vmm *vm = NULL;

	(void)state;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	machine.irqchip = VMM_IRQCHIP_GICV3_ITS + 1;
	assert_int_equal(vmm_set_machine(vm, &machine, &err), -EINVAL);
	machine.irqchip = 0;
	machine.sve_max_vl = 100;
	assert_int_equal(vmm_set_machine(vm, &machine, &err), -EINVAL);
	machine.sve_max_vl = 4096;
	assert_int_equal(vmm_set_machine(vm, &machine, &err), -EINVAL);
	machine.sve_max_vl = 0;
	machine.flags = VMM_MACHINE_F_E2H0;
	assert_int_equal(vmm_set_machine(vm, &machine, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "nested"));
	vmm_destroy(vm);
}

static void test_bad_descriptors_are_refused_by_name(void **state)
{
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_overlay_config overlay = VMM_OVERLAY_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct t_process before;
	struct vmm *vm = NULL;
	int kernel = t_kernel();

	(void)state;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	t_process_save(&before);
	boot.kernel_fd = -1;
	assert_int_equal(vmm_set_boot(vm, &boot, &err), -EBADF);
	assert_non_null(strstr(err.msg, "kernel"));
	boot.kernel_fd = kernel;
	boot.flags = VMM_BOOT_F_INITRD | VMM_BOOT_F_DUMP_DTB;
	boot.initrd_fd = 12345;
	assert_int_equal(vmm_set_boot(vm, &boot, &err), -EBADF);
	assert_non_null(strstr(err.msg, "initrd"));
	boot.initrd_fd = kernel;
	boot.dtb_fd = 12345;
	assert_int_equal(vmm_set_boot(vm, &boot, &err), -EBADF);
	assert_non_null(strstr(err.msg, "device tree"));
	con.flags = VMM_CONSOLE_F_IN | VMM_CONSOLE_F_OUT;
	con.in_fd = kernel;
	con.out_fd = 12345;
	assert_int_equal(vmm_add_console(vm, &con, &err), -EBADF);
	assert_non_null(strstr(err.msg, "output"));
	overlay.fd = 12345;
	assert_int_equal(vmm_add_overlay(vm, &overlay, &err), -EBADF);
	assert_string_equal(err.msg, "overlay 0: descriptor 12345: Bad file descriptor");
	t_process_check(&before);
	/* Refused consoles have not been counted. */
	con.flags = 0;
	assert_int_equal(vmm_add_console(vm, &con, &err), 0);
	overlay.fd = kernel;
	for (int i = 0; i < VMM_MAX_OVERLAYS; i++)
		assert_int_equal(vmm_add_overlay(vm, &overlay, &err), 0);
	assert_int_equal(vmm_add_overlay(vm, &overlay, &err), -ENOSPC);
	vmm_destroy(vm);
	close(kernel);
}

static void test_unused_descriptors_are_not_looked_at(void **state)
{
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm *vm = NULL;

	(void)state;
	cfg.kvm_fd = cfg.ram_fd = con.in_fd = con.out_fd = boot.initrd_fd = boot.dtb_fd = 12345;
	boot.kernel_fd = t_kernel();
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	assert_int_equal(vmm_add_console(vm, &con, NULL), 0);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	vmm_destroy(vm);
	close(boot.kernel_fd);
}

static void test_boot_that_is_set_again_replaces(void **state)
{
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct t_process before;
	struct vmm *vm = NULL;

	(void)state;
	boot.kernel_fd = t_kernel();
	boot.cmdline = "one";
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	t_process_save(&before);
	boot.cmdline = "two";
	for (int i = 0; i < 10; i++)
		assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	t_process_check(&before);
	vmm_destroy(vm);
	close(boot.kernel_fd);
}

/* The real seam on a host that has no KVM, or one that is none for arm64. */
static void test_host_without_kvm_says_so(void **state)
{
#ifdef __aarch64__
	(void)state;
	print_message("skipped: this host may have it\n");
	skip();
#else
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct t_process before;
	struct vmm *vm = NULL;
	int ret;

	(void)state;
	boot.kernel_fd = t_kernel();
	cfg.ram_size = T_RAM;
	assert_int_equal(vmm_create(&vm, &cfg, NULL), 0);
	assert_int_equal(vmm_set_boot(vm, &boot, NULL), 0);
	t_process_save(&before);
	ret = vmm_start(vm, &err);
	assert_true(ret < 0);
	assert_true(err.msg[0]);
	if (access("/dev/kvm", F_OK)) {
		assert_int_equal(ret, -ENODEV);
		assert_non_null(strstr(err.msg, "/dev/kvm"));
	}
	t_process_check(&before);
	vmm_destroy(vm);
	close(boot.kernel_fd);
#endif
}

static void t_open_fails(int err, int want)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error error = { 0 };

	fake_fail(fake, 1, err);
	assert_int_equal(vmm_start(vm, &error), want);
	assert_non_null(strstr(error.msg, "KVM"));
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_open_of_kvm_is_translated(void **state)
{
	(void)state;
	t_open_fails(ENOENT, -ENODEV);
	t_open_fails(ENXIO, -ENODEV);
	t_open_fails(EACCES, -EACCES);
	t_open_fails(EPERM, -EACCES);
	t_open_fails(EMFILE, -EMFILE);
}

static void test_kvm_descriptor_that_is_none_is_refused(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct vmm *vm;

	(void)state;
	cfg.flags = VMM_F_KVM_FD;
	cfg.kvm_fd = t_kernel();
	vm = t_vm(fake, &cfg);
	close(cfg.kvm_fd);
	assert_int_equal(vmm_start(vm, &err), -ENODEV);
	assert_true(err.msg[0]);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_cpus_that_exclude_one_another_are_named(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_error err = { 0 };
	struct vmm *vm;

	(void)state;
	cfg.cpus = "8190-8191";
	vm = t_vm(fake, &cfg);
	assert_int_equal(vmm_start(vm, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "8190-8191"));
	assert_int_equal(fake_nr_open(fake), 0);
	vmm_destroy(vm);
	cfg.cpus = "1=0";
	vm = t_vm(fake, &cfg);
	assert_int_equal(vmm_start(vm, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "vCPU 1"));
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_version_is_that_of_the_header(void **state)
{
	char version[32];

	(void)state;
	snprintf(version, sizeof(version), "%d.%d", VMM_VERSION_MAJOR, VMM_VERSION_MINOR);
	assert_string_equal(vmm_version(), version);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newer_config_is_taken_if_it_sets_nothing_new),
		cmocka_unit_test(test_older_config_is_completed_with_zeroes),
		cmocka_unit_test(test_config_without_size_is_refused),
		cmocka_unit_test(test_every_config_follows_the_rule_of_sizes),
		cmocka_unit_test(test_unknown_flags_are_refused),
		cmocka_unit_test(test_event_of_an_older_program_is_cut),
		cmocka_unit_test(test_values_that_make_no_sense_are_refused),
		cmocka_unit_test(test_machine_that_makes_no_sense_is_refused),
		cmocka_unit_test(test_bad_descriptors_are_refused_by_name),
		cmocka_unit_test(test_unused_descriptors_are_not_looked_at),
		cmocka_unit_test(test_boot_that_is_set_again_replaces),
		cmocka_unit_test(test_host_without_kvm_says_so),
		cmocka_unit_test(test_open_of_kvm_is_translated),
		cmocka_unit_test(test_kvm_descriptor_that_is_none_is_refused),
		cmocka_unit_test(test_cpus_that_exclude_one_another_are_named),
		cmocka_unit_test(test_version_is_that_of_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
