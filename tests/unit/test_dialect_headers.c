/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dialect_headers.c - spe/dialect.c, built with the headers of a kernel that
 * has the series of 2026
 *
 * Its object takes the place of the library's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/kvm_uapi.h"

/* The numbers of the fake kernels "plain" and "elisei-v7" made the same. */
#define KVM_CAP_ARM_SPE		1000
#define KVM_ARM_VCPU_SPE	16
#define KVM_ARM_VCPU_SPE_CTRL	3
#define KVM_ARM_VCPU_SPE_IRQ	0
#define KVM_ARM_VCPU_SPE_INIT	1
#define KVM_ARM_VCPU_SPE_SPU	2

#include "spe/dialect.c"

#include "tests/unit/fake_spe.h"

static int t_detect(const struct fake_spe_kernel *kernel, struct spe_abi *abi)
{
	struct fake_spe *fake = fake_spe_create(kernel);
	struct cpumask cpus = { .bits = { 1 } };
	const struct dialect_spu spu = { .type = 8, .cpus = &cpus };
	struct kvm kvm;
	int ret;

	assert_non_null(fake);
	kvm_init(&kvm, &fake_spe_ops, fake);
	assert_int_equal(kvm_open(&kvm, -1), 0);
	ret = dialect_detect(abi, &kvm, &spu, NULL);
	assert_int_equal(fake_nr_open(fake_spe_base(fake)), 1);
	assert_null(fake_spe_wrong(fake));
	kvm_close(&kvm);
	fake_spe_destroy(fake);
	return ret;
}

static void test_numbers_of_the_headers_are_used(void **state)
{
	struct spe_abi abi;

	(void)state;
	assert_int_equal(dialect_find("elisei-v7")->feature_bit, 16);
	assert_int_equal(dialect_find("elisei-v7")->capability, 1000);
	assert_int_equal(dialect_find("elisei-v6")->feature_bit, ABI_NONE);
	assert_int_equal(t_detect(fake_spe_kernel("plain"), &abi), 0);
	assert_string_equal(abi.name, "plain");
	assert_int_equal(abi.memory, ABI_MEMORY_NONE);
	assert_int_equal(abi.spu, 2);
}

/* What tells v7 from a kernel that maps by itself is that memory can be mapped ahead. */
static void test_kernel_that_maps_ahead_is_v7(void **state)
{
	struct fake_spe_kernel kernel = *fake_spe_kernel("elisei-v7");
	struct spe_abi abi;

	(void)state;
	kernel.caps[5] = (struct fake_cap){ 1000, 1 };
	kernel.feature = 16;
	kernel.init = 1;
	kernel.spu = 2;
	assert_int_equal(t_detect(&kernel, &abi), 0);
	assert_string_equal(abi.name, "elisei-v7");
	assert_int_equal(abi.memory, ABI_MEMORY_GUEST_MEMFD);
}

static void test_older_kernels_are_still_recognised(void **state)
{
	(void)state;
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];
		struct spe_abi abi;
		int ret = t_detect(k, &abi);

		if (!strcmp(k->name, "plain"))
			continue;
		assert_int_equal(ret, k->row ? 0 : -ENOTSUP);
		if (!ret)
			assert_string_equal(abi.name, k->row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_of_the_headers_are_used),
		cmocka_unit_test(test_kernel_that_maps_ahead_is_v7),
		cmocka_unit_test(test_older_kernels_are_still_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
