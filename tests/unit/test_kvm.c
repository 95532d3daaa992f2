/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_kvm.c - the wrappers over the seam, and that the fake refuses what KVM does
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/kvm.h"

#define CORE_PC		(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |	\
			 KVM_REG_ARM_CORE_REG(regs.pc))
#define MPIDR		ARM64_SYS_REG(3, 0, 0, 0, 5)
#define FEATURE(f)	(1u << (f))

/* An open VM. */
struct t_kvm {
	struct fake_kvm	*fake;
	struct kvm	kvm;
	struct kvm_run	*run;
	int		vcpu;
	int		gic;
	void		*ram;
};

static struct t_kvm t_open(const struct fake_profile *profile)
{
	struct t_kvm t = { .vcpu = -1, .gic = -1 };

	t.fake = fake_create(profile);
	kvm_init(&t.kvm, &fake_kvm_ops, t.fake);
	assert_int_equal(kvm_open(&t.kvm, -1), 0);
	assert_int_equal(kvm_create_vm(&t.kvm, 0), 0);
	return t;
}

static void t_close(struct t_kvm *t)
{
	kvm_destroy_vcpu(&t->kvm, &t->vcpu, &t->run);
	kvm_destroy_device(&t->kvm, &t->gic);
	kvm_close(&t->kvm);
	t_fake_done(t->fake);
}

static void t_vcpu(struct t_kvm *t)
{
	t->vcpu = kvm_create_vcpu(&t->kvm, 0, &t->run);
	assert_true(t->vcpu >= 0);
}

static int t_init(struct t_kvm *t, u32 features)
{
	struct kvm_vcpu_init init;

	assert_int_equal(kvm_vm_ioctl(&t->kvm, KVM_ARM_PREFERRED_TARGET, &init), 0);
	init.features[0] = features;
	return kvm_vcpu_ioctl(&t->kvm, t->vcpu, KVM_ARM_VCPU_INIT, &init);
}

static void t_gic(struct t_kvm *t, u32 type)
{
	t->gic = kvm_create_device(&t->kvm, type);
	assert_true(t->gic >= 0);
}

static int t_addr(struct t_kvm *t, u64 type, u64 addr)
{
	return kvm_set_attr(&t->kvm, t->gic, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &addr);
}

static int t_gic_init(struct t_kvm *t)
{
	return kvm_set_attr(&t->kvm, t->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
			    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

/* ---- Opening ------------------------------------------------------------- */

static void test_open_checks_the_version(void **state)
{
	struct fake_profile old = fake_server;
	struct fake_kvm *fake;
	struct kvm kvm;

	(void)state;
	old.api_version = 11;
	fake = fake_create(&old);
	kvm_init(&kvm, &fake_kvm_ops, fake);
	assert_int_equal(kvm_open(&kvm, -1), -ENOTSUP);
	kvm_close(&kvm);
	kvm_close(&kvm);
	t_fake_done(fake);
}

static void test_open_takes_a_descriptor(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct fake_call calls[8];
	struct kvm kvm;
	int fd;

	(void)state;
	kvm_init(&kvm, &fake_kvm_ops, fake);
	assert_int_equal(kvm_open(&kvm, fake_open_dev(fake)), 0);
	assert_int_equal(fake_log(fake, calls, ARRAY_SIZE(calls)), 2);
	assert_true(calls[0].req == KVM_GET_API_VERSION);
	kvm_close(&kvm);

	/* One that is no KVM. */
	fd = t_kernel();
	kvm_init(&kvm, &fake_kvm_ops, fake);
	assert_int_equal(kvm_open(&kvm, fd), -ENOTTY);
	kvm_close(&kvm);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	t_fake_done(fake);
}

static void test_capability_is_zero_on_failure(void **state)
{
	struct t_kvm t = t_open(&fake_server);

	(void)state;
	assert_int_equal(kvm_capability(&t.kvm, KVM_CAP_ARM_VM_IPA_SIZE), 48);
	fake_fail(t.fake, 1, EIO);
	assert_int_equal(kvm_capability(&t.kvm, KVM_CAP_ARM_VM_IPA_SIZE), 0);
	t_close(&t);
}

static void test_vcpu_without_its_page_is_closed_again(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	struct t_process before;
	struct kvm_run *run = NULL;

	(void)state;
	t_process_save(&before);
	fake_fail(t.fake, 2, ENOMEM);
	assert_int_equal(kvm_create_vcpu(&t.kvm, 0, &run), -ENOMEM);
	assert_null(run);
	t_process_check(&before);
	t_close(&t);
}

/* ---- What KVM refuses ------------------------------------------------------- */

static void test_memory_slots_do_not_overlap(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u8 *host = (u8 *)0x100000;

	(void)state;
	assert_int_equal(kvm_set_memory(&t.kvm, 0, GIB(2), MIB(2), host), 0);
	assert_int_equal(kvm_set_memory(&t.kvm, 1, GIB(2) + MIB(1), MIB(2), host), -EEXIST);
	assert_int_equal(kvm_set_memory(&t.kvm, 1, GIB(2) + MIB(2), MIB(2), host), 0);
	assert_int_equal(kvm_set_memory(&t.kvm, 2, GIB(4), 100, host), -EINVAL);
	assert_int_equal(kvm_set_memory(&t.kvm, 2, 1, MIB(2), host), -EINVAL);
	assert_int_equal(kvm_set_memory(&t.kvm, 2, 1ull << 40, MIB(2), host), -EFAULT);
	assert_int_equal(kvm_set_memory(&t.kvm, 0, GIB(2), 0, NULL), 0);
	assert_int_equal(kvm_set_memory(&t.kvm, 0, GIB(2), 0, NULL), -EINVAL);
	t_close(&t);
}

static void test_address_space_has_bounds(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct kvm kvm;

	(void)state;
	kvm_init(&kvm, &fake_kvm_ops, fake);
	assert_int_equal(kvm_open(&kvm, -1), 0);
	assert_int_equal(kvm_create_vm(&kvm, KVM_VM_TYPE_ARM_IPA_SIZE(31)), -EINVAL);
	assert_int_equal(kvm_create_vm(&kvm, KVM_VM_TYPE_ARM_IPA_SIZE(49)), -EINVAL);
	assert_int_equal(kvm_create_vm(&kvm, 1ul << 31), -EINVAL);
	assert_int_equal(kvm_create_vm(&kvm, KVM_VM_TYPE_ARM_IPA_SIZE(33)), 0);
	assert_int_equal(kvm_set_memory(&kvm, 0, GIB(8), MIB(2), (void *)0x100000), -EFAULT);
	kvm_close(&kvm);
	t_fake_done(fake);
}

static void test_run_wants_an_initialised_vcpu(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u64 val;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -ENOEXEC);
	assert_int_equal(kvm_get_reg(&t.kvm, t.vcpu, MPIDR, &val), -ENOEXEC);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_SVE)), 0);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EPERM);
	t_close(&t);
}

static void test_features_are_checked(void **state)
{
	struct t_kvm t = t_open(&fake_board);
	struct t_kvm u = t_open(&fake_server);

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 1u << 20), -ENOENT);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_HAS_EL2)), -ENOENT);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_SVE)), -EINVAL);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_PSCI_0_2)), 0);
	t_vcpu(&u);
	assert_int_equal(t_init(&u, FEATURE(KVM_ARM_VCPU_PTRAUTH_ADDRESS)), -EINVAL);
	assert_int_equal(t_init(&u, FEATURE(KVM_ARM_VCPU_PSCI_0_2)), 0);
	/* All of a VM alike. */
	assert_int_equal(t_init(&u, FEATURE(KVM_ARM_VCPU_PSCI_0_2) | FEATURE(KVM_ARM_VCPU_PMU_V3)),
			 -EINVAL);
	t_close(&t);
	t_close(&u);
}

static void test_vector_lengths_are_set_before_they_are_final(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u64 set[KVM_ARM64_SVE_VLS_WORDS];
	int sve = KVM_ARM_VCPU_SVE;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_SVE)), 0);
	assert_int_equal(kvm_get_reg_bytes(&t.kvm, t.vcpu, KVM_REG_ARM64_SVE_VLS, set), 0);
	assert_int_equal(set[0], 0xb);
	set[0] = 0x1b;		/* one more than the host has */
	assert_int_equal(kvm_set_reg_bytes(&t.kvm, t.vcpu, KVM_REG_ARM64_SVE_VLS, set), -EINVAL);
	set[0] = 0x9;		/* a hole that the host does not have */
	assert_int_equal(kvm_set_reg_bytes(&t.kvm, t.vcpu, KVM_REG_ARM64_SVE_VLS, set), -EINVAL);
	set[0] = 0x3;
	assert_int_equal(kvm_set_reg_bytes(&t.kvm, t.vcpu, KVM_REG_ARM64_SVE_VLS, set), 0);
	assert_int_equal(kvm_vcpu_ioctl(&t.kvm, t.vcpu, KVM_ARM_VCPU_FINALIZE, &sve), 0);
	assert_int_equal(kvm_vcpu_ioctl(&t.kvm, t.vcpu, KVM_ARM_VCPU_FINALIZE, &sve), -EPERM);
	assert_int_equal(kvm_set_reg_bytes(&t.kvm, t.vcpu, KVM_REG_ARM64_SVE_VLS, set), -EPERM);
	t_close(&t);
}

static void test_devices_that_the_host_lacks(void **state)
{
	struct t_kvm t = t_open(&fake_board);

	(void)state;
	assert_int_equal(kvm_create_device(&t.kvm, KVM_DEV_TYPE_ARM_VGIC_V3), -ENODEV);
	assert_int_equal(kvm_create_device(&t.kvm, KVM_DEV_TYPE_ARM_VGIC_ITS), -ENODEV);
	t_gic(&t, KVM_DEV_TYPE_ARM_VGIC_V2);
	assert_int_equal(kvm_create_device(&t.kvm, KVM_DEV_TYPE_ARM_VGIC_V2), -EEXIST);
	t_close(&t);
}

static void test_gic_attributes_have_rules(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u32 nr = 64;
	u32 odd = 65;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	t_gic(&t, KVM_DEV_TYPE_ARM_VGIC_V3);
	assert_int_equal(t_addr(&t, KVM_VGIC_V2_ADDR_TYPE_CPU, 0x3ffd0000), -ENXIO);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x3fff1000), -EINVAL);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_DIST, 1ull << 40), -E2BIG);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -ENXIO);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x3fff0000), 0);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x3fff0000), -EEXIST);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_REDIST, 0x3ffd0000), 0);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EBUSY);
	assert_int_equal(kvm_irq_line(&t.kvm, KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | 32, 1),
			 -EBUSY);
	assert_int_equal(kvm_set_attr(&t.kvm, t.gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &odd), -EINVAL);
	assert_int_equal(kvm_set_attr(&t.kvm, t.gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr), -EBUSY);
	assert_int_equal(t_gic_init(&t), 0);
	assert_int_equal(kvm_irq_line(&t.kvm, KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | 32, 1), 0);
	assert_true(fake_irq(t.fake, 32));
	assert_int_equal(kvm_irq_line(&t.kvm, KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | 64, 1),
			 -EINVAL);
	assert_int_equal(kvm_create_vcpu(&t.kvm, 1, &t.run), -EBUSY);
	t_close(&t);
}

static void test_redistributors_may_not_meet_the_distributor(void **state)
{
	struct t_kvm t = t_open(&fake_server);

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	t_gic(&t, KVM_DEV_TYPE_ARM_VGIC_V3);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_DIST, 0x3fff0000), 0);
	assert_int_equal(t_addr(&t, KVM_VGIC_V3_ADDR_TYPE_REDIST, 0x3ffe0000), 0);
	assert_int_equal(t_gic_init(&t), 0);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EINVAL);
	t_close(&t);
}

static void test_pmu_comes_after_the_gic(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	const u32 group = KVM_ARM_VCPU_PMU_V3_CTRL;
	int irq = 23;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, FEATURE(KVM_ARM_VCPU_PMU_V3)), 0);
	t_gic(&t, KVM_DEV_TYPE_ARM_VGIC_V2);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -ENODEV);
	assert_int_equal(t_addr(&t, KVM_VGIC_V2_ADDR_TYPE_DIST, 0x3fff0000), 0);
	assert_int_equal(t_addr(&t, KVM_VGIC_V2_ADDR_TYPE_CPU, 0x3ffd0000), 0);
	assert_int_equal(t_gic_init(&t), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -ENXIO);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EINVAL);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_IRQ, &irq), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_IRQ, &irq), -EBUSY);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_INIT, NULL), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, group, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -EBUSY);
	t_close(&t);
}

static void test_stolen_time_wants_memory_behind_it(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u64 gpa = 0x01020000;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	assert_int_equal(kvm_has_attr(&t.kvm, t.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 0), 0);
	assert_int_equal(kvm_has_attr(&t.kvm, t.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 1), -ENXIO);
	assert_int_equal(kvm_has_attr(&t.kvm, t.vcpu, 77, 0), -ENXIO);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 0, &gpa), -EINVAL);
	assert_int_equal(kvm_set_memory(&t.kvm, 1, gpa, 0x10000, (void *)0x100000), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 0, &gpa), 0);
	assert_int_equal(kvm_set_attr(&t.kvm, t.vcpu, KVM_ARM_VCPU_PVTIME_CTRL, 0, &gpa), -EEXIST);
	t_close(&t);
}

static void test_mte_is_enabled_before_the_vcpus(void **state)
{
	struct t_kvm t = t_open(&fake_server);

	(void)state;
	assert_int_equal(kvm_enable_cap(&t.kvm, KVM_CAP_ARM_MTE, 0), 0);
	t_vcpu(&t);
	assert_int_equal(kvm_enable_cap(&t.kvm, KVM_CAP_ARM_MTE, 0), -EINVAL);
	assert_int_equal(kvm_enable_cap(&t.kvm, 9999, 0), -EINVAL);
	t_close(&t);
}

static void test_registers_keep_what_was_set(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	u64 val = 0;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	assert_int_equal(kvm_set_reg(&t.kvm, t.vcpu, CORE_PC, 0x80080000), 0);
	assert_int_equal(kvm_get_reg(&t.kvm, t.vcpu, CORE_PC, &val), 0);
	assert_int_equal(val, 0x80080000);
	assert_int_equal(fake_reg(t.fake, 0, CORE_PC), 0x80080000);
	assert_int_equal(kvm_get_reg(&t.kvm, t.vcpu, MPIDR, &val), 0);
	assert_int_equal(val, 0x80000000);
	assert_int_equal(kvm_get_reg(&t.kvm, t.vcpu, ARM64_SYS_REG(3, 7, 15, 15, 7), &val), -ENOENT);
	t_close(&t);
}

/* ---- The kick -------------------------------------------------------------------- */

/* Block the kick signal in this thread, as a vCPU's thread does. */
static void t_block(struct t_kvm *t, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, old);
	assert_int_equal(kvm_set_kick(&t->kvm, t->vcpu, SIGRTMIN), 0);
}

static void test_kick_before_run_ends_it_until_it_is_taken_back(void **state)
{
	static const struct fake_step steps[] = { T_OFF };
	struct t_kvm t = t_open(&fake_server);
	sigset_t old;

	(void)state;
	fake_script(t.fake, 0, steps, 1, 1);
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	t_block(&t, &old);
	kvm_kick(&t.kvm, pthread_self(), SIGRTMIN);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EINTR);
	assert_int_equal(t.run->exit_reason, KVM_EXIT_INTR);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EINTR);
	assert_int_equal(fake_nr_pending(t.fake), 1);
	kvm_unkick(&t.kvm, SIGRTMIN);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), 0);
	assert_int_equal(t.run->exit_reason, KVM_EXIT_SYSTEM_EVENT);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t_close(&t);
}

struct kicker {
	struct t_kvm	*t;
	pthread_t	victim;
};

static void *kick(void *arg)
{
	struct kicker *k = arg;

	fake_wait_inside(k->t->fake, 1);
	kvm_kick(&k->t->kvm, k->victim, SIGRTMIN);
	return NULL;
}

static void test_kick_ends_a_run_under_way(void **state)
{
	struct t_kvm t = t_open(&fake_server);
	struct kicker k = { &t, pthread_self() };
	pthread_t thread;
	sigset_t old;

	(void)state;
	t_vcpu(&t);
	assert_int_equal(t_init(&t, 0), 0);
	t_block(&t, &old);
	assert_int_equal(pthread_create(&thread, NULL, kick, &k), 0);
	assert_int_equal(kvm_run(&t.kvm, t.vcpu), -EINTR);
	pthread_join(thread, NULL);
	kvm_unkick(&t.kvm, SIGRTMIN);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	t_close(&t);
}

/* The real seam: a blocked signal that is let in by nothing is taken back. */
static void test_real_unkick_takes_the_signal(void **state)
{
	struct kvm kvm;
	sigset_t set;
	sigset_t old;

	(void)state;
	kvm_init(&kvm, &kvm_linux_ops, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	kvm_kick(&kvm, pthread_self(), SIGRTMIN);
	kvm_kick(&kvm, pthread_self(), SIGRTMIN);
	kvm_unkick(&kvm, SIGRTMIN);
	sigpending(&set);
	assert_false(sigismember(&set, SIGRTMIN));
	kvm_unkick(&kvm, SIGRTMIN);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void test_real_calls_return_negative_errno(void **state)
{
	struct kvm kvm;
	struct kvm_run *run = NULL;
	int fd = t_kernel();

	(void)state;
	kvm_init(&kvm, &kvm_linux_ops, NULL);
	assert_int_equal(kvm_open(&kvm, fd), -ENOTTY);
	assert_int_equal(kvm_linux_ops.map_run(NULL, -1, 4096, &run), -EBADF);
	assert_null(run);
	kvm_close(&kvm);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_checks_the_version),
		cmocka_unit_test(test_open_takes_a_descriptor),
		cmocka_unit_test(test_capability_is_zero_on_failure),
		cmocka_unit_test(test_vcpu_without_its_page_is_closed_again),
		cmocka_unit_test(test_memory_slots_do_not_overlap),
		cmocka_unit_test(test_address_space_has_bounds),
		cmocka_unit_test(test_run_wants_an_initialised_vcpu),
		cmocka_unit_test(test_features_are_checked),
		cmocka_unit_test(test_vector_lengths_are_set_before_they_are_final),
		cmocka_unit_test(test_devices_that_the_host_lacks),
		cmocka_unit_test(test_gic_attributes_have_rules),
		cmocka_unit_test(test_redistributors_may_not_meet_the_distributor),
		cmocka_unit_test(test_pmu_comes_after_the_gic),
		cmocka_unit_test(test_stolen_time_wants_memory_behind_it),
		cmocka_unit_test(test_mte_is_enabled_before_the_vcpus),
		cmocka_unit_test(test_registers_keep_what_was_set),
		cmocka_unit_test(test_kick_before_run_ends_it_until_it_is_taken_back),
		cmocka_unit_test(test_kick_ends_a_run_under_way),
		cmocka_unit_test(test_real_unkick_takes_the_signal),
		cmocka_unit_test(test_real_calls_return_negative_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
