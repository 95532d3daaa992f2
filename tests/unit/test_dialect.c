/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dialect.c - spe/dialect.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spe/dialect.h"
#include "tests/unit/fake_spe.h"
#include "vmm/cpumask.h"
#include "vmm/kvm.h"

#define T_TYPE	8

struct t_host {
	struct fake_spe		*fake;
	struct kvm		kvm;
	struct cpumask		cpus;
	struct dialect_spu	spu;
	u32			nr_open;
	struct fake_call	calls[1024];
	size_t			nr_calls;
};

static void t_open(struct t_host *h, const struct fake_spe_kernel *kernel)
{
	memset(h, 0, sizeof(*h));
	h->fake = fake_spe_create(kernel);
	assert_non_null(h->fake);
	cpumask_set(&h->cpus, 0);
	h->spu = (struct dialect_spu){ .type = T_TYPE, .cpus = &h->cpus };
	kvm_init(&h->kvm, &fake_spe_ops, h->fake);
	assert_int_equal(kvm_open(&h->kvm, -1), 0);
	h->nr_open = fake_nr_open(fake_spe_base(h->fake));
	fake_spe_reset(h->fake);
}

static void t_log(struct t_host *h)
{
	h->nr_calls = fake_spe_log(h->fake, h->calls, ARRAY_SIZE(h->calls));
}

static void t_close(struct t_host *h)
{
	/* Nothing is left behind, and nothing was done that no program may do. */
	assert_int_equal(fake_nr_open(fake_spe_base(h->fake)), h->nr_open);
	if (fake_spe_wrong(h->fake))
		fail_msg("%s", fake_spe_wrong(h->fake));
	kvm_close(&h->kvm);
	fake_spe_destroy(h->fake);
}

static void test_each_kernel_is_recognised(void **state)
{
	(void)state;
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];
		struct vmm_error err = { "" };
		struct spe_abi abi;
		struct t_host h;
		int ret;

		t_open(&h, k);
		ret = dialect_detect(&abi, &h.kvm, &h.spu, &err);
		if (k->row && ret)
			fail_msg("%s: not recognised: %s", k->name, err.msg);
		if (!k->row && ret != -ENOTSUP)
			fail_msg("%s: %d, taken for %s", k->name, ret, ret ? err.msg : abi.name);
		if (k->row)
			assert_string_equal(abi.name, k->row);
		else
			assert_true(strlen(err.msg) > 20);
		t_close(&h);
	}
}

/* Each row against each kernel, as if the user had insisted. */
static void test_matrix_of_rows_has_no_false_positive(void **state)
{
	const struct spe_abi *row;

	(void)state;
	for (size_t j = 0; (row = dialect_row(j)); j++) {
		for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
			const struct fake_spe_kernel *k = &fake_spe_kernels[i];
			bool same = k->row && !strcmp(k->row, row->name);
			struct vmm_error err = { "" };
			struct t_host h;
			int ret;

			t_open(&h, k);
			ret = dialect_verify(row, &h.kvm, &h.spu, &err);
			if (ret != (same ? 0 : -ENOTSUP))
				fail_msg("%s on %s: %d %s", row->name, k->name, ret, err.msg);
			if (ret)
				assert_non_null(strstr(err.msg, row->name));
			t_close(&h);
		}
	}
}

static void test_matrix_of_descriptions_has_no_false_positive(void **state)
{
	(void)state;
	for (size_t j = 0; j < fake_spe_nr_kernels; j++) {
		struct spe_abi abi;

		if (!fake_spe_kernels[j].text)
			continue;
		assert_int_equal(abi_parse(&abi, fake_spe_kernels[j].text, NULL), 0);
		for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
			struct vmm_error err = { "" };
			struct t_host h;
			int ret;

			t_open(&h, &fake_spe_kernels[i]);
			ret = dialect_verify(&abi, &h.kvm, &h.spu, &err);
			if (ret != (i == j ? 0 : -ENOTSUP))
				fail_msg("%s on %s: %d %s", abi.name, fake_spe_kernels[i].name, ret,
					 err.msg);
			t_close(&h);
		}
	}
}

/* A description without a capability has less to go by, and still must not err. */
static void test_description_without_capability_is_verified(void **state)
{
	(void)state;
	for (size_t j = 0; j < fake_spe_nr_kernels; j++) {
		struct spe_abi abi;

		if (!fake_spe_kernels[j].text)
			continue;
		assert_int_equal(abi_parse(&abi, fake_spe_kernels[j].text, NULL), 0);
		abi.capability = ABI_NONE;
		for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
			struct vmm_error err = { "" };
			struct t_host h;
			int ret;

			t_open(&h, &fake_spe_kernels[i]);
			ret = dialect_verify(&abi, &h.kvm, &h.spu, &err);
			if (ret != (i == j ? 0 : -ENOTSUP))
				fail_msg("%s on %s: %d %s", abi.name, fake_spe_kernels[i].name, ret,
					 err.msg);
			t_close(&h);
		}
	}
}

static size_t t_count(const struct t_host *h, unsigned long req)
{
	size_t n = 0;

	for (size_t i = 0; i < h->nr_calls; i++)
		n += h->calls[i].req == req;
	return n;
}

static void test_linux_proper_is_told_in_six_calls(void **state)
{
	static const char *const names[] = {
		"linux-5.4", "linux-5.16", "linux-6.1", "linux-6.12", "linux-6.16",
		"linux-6.16-nested", "linux-7.3", "linux-7.3-nested",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct vmm_error err = { "" };
		struct spe_abi abi;
		struct t_host h;

		t_open(&h, fake_spe_kernel(names[i]));
		assert_int_equal(dialect_detect(&abi, &h.kvm, &h.spu, &err), -ENOTSUP);
		assert_non_null(strstr(err.msg, "no SPE for guests"));
		t_log(&h);
		assert_int_equal(t_count(&h, KVM_CHECK_EXTENSION), 6);
		assert_int_equal(h.nr_calls, 6);
		t_close(&h);
	}
}

static void test_detection_enables_and_sets_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];
		struct spe_abi abi;
		struct t_host h;
		bool nested = false;

		t_open(&h, k);
		for (size_t j = 0; j < ARRAY_SIZE(k->caps); j++)
			nested |= k->caps[j].cap == 240 && k->caps[j].value;
		(void)dialect_detect(&abi, &h.kvm, &h.spu, NULL);
		t_log(&h);
		assert_int_equal(t_count(&h, KVM_ENABLE_CAP), 0);
		assert_int_equal(t_count(&h, KVM_SET_DEVICE_ATTR), 0);
		assert_int_equal(t_count(&h, KVM_RUN), 0);
		for (size_t j = 0; j < h.nr_calls; j++)
			if (h.calls[j].req == KVM_ARM_VCPU_INIT && (nested || k->refuses & 0x80))
				assert_int_equal(h.calls[j].arg & 0x380 & ~k->refuses, 0);
		t_close(&h);
	}
}

/* The VM that asks is not touched. */
static void test_present_vm_is_left_alone(void **state)
{
	struct spe_abi abi;
	struct t_host h;
	int vm;

	(void)state;
	t_open(&h, fake_spe_kernel("elisei-v5"));
	assert_int_equal(kvm_create_vm(&h.kvm, 0), 0);
	vm = h.kvm.vm;
	h.nr_open++;
	assert_int_equal(dialect_detect(&abi, &h.kvm, &h.spu, NULL), 0);
	assert_int_equal(h.kvm.vm, vm);
	t_close(&h);
}

static void test_closest_miss_is_what_is_told(void **state)
{
	static const struct {
		const char *kernel;
		const char *part;
	} cases[] = {
		{ "linux-all-caps", "its KVM refuses feature bit 7" },
		{ "linux-all-caps-nested", "feature bit 7 is nested virtualisation here" },
		{ "linux-all-caps-bit-7", "its KVM lacks attribute 0 of group 3" },
		{ "linux-group-3", "a guest with feature bit 7 sees no SPE" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmm_error err = { "" };
		struct spe_abi abi;
		struct t_host h;

		t_open(&h, fake_spe_kernel(cases[i].kernel));
		assert_int_equal(dialect_detect(&abi, &h.kvm, &h.spu, &err), -ENOTSUP);
		if (!strstr(err.msg, cases[i].part))
			fail_msg("%s: %s", cases[i].kernel, err.msg);
		t_close(&h);
	}
}

static void test_instance_that_kvm_does_not_know_is_told(void **state)
{
	struct vmm_error err = { "" };
	struct spe_abi abi;
	struct t_host h;

	(void)state;
	t_open(&h, fake_spe_kernel("plain"));
	h.spu.type = T_TYPE + 1;
	assert_int_equal(abi_parse(&abi, fake_spe_kernel("plain")->text, NULL), 0);
	assert_int_equal(dialect_verify(&abi, &h.kvm, &h.spu, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "no instance of type 9"));
	t_close(&h);
}

static void test_unknown_numbers_are_told(void **state)
{
	struct vmm_error err = { "" };
	struct t_host h;

	(void)state;
	assert_null(dialect_find("elisei-v8"));
	if (dialect_find("elisei-v7")->feature_bit != ABI_NONE) {
		print_message("skipped: these headers have its numbers\n");
		skip();
	}
	t_open(&h, fake_spe_kernel("elisei-v7"));
	assert_int_equal(dialect_verify(dialect_find("elisei-v7"), &h.kvm, &h.spu, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "vmm-spe-abi(5)"));
	t_log(&h);
	assert_int_equal(h.nr_calls, 0);
	t_close(&h);
}

static int t_ask(struct t_host *h, const struct fake_spe_kernel *k, struct vmm_error *err)
{
	struct spe_abi abi;

	if (!k->text)
		return dialect_detect(&abi, &h->kvm, &h->spu, err);
	assert_int_equal(abi_parse(&abi, k->text, NULL), 0);
	return dialect_verify(&abi, &h->kvm, &h->spu, err);
}

/* A call that fails is a failure, not an answer; and nothing is left. */
static void test_each_failure_is_passed_on(void **state)
{
	static const int errnos[] = { EIO, ENOMEM, EMFILE };

	(void)state;
	for (size_t i = 0; i < fake_spe_nr_kernels; i++) {
		const struct fake_spe_kernel *k = &fake_spe_kernels[i];

		for (size_t n = 1;; n++) {
			int want = errnos[n % ARRAY_SIZE(errnos)];
			struct fake_call call;
			struct vmm_error err = { "" };
			struct t_host h;
			bool failed;
			int ret;

			t_open(&h, k);
			fake_spe_fail(h.fake, n, want);
			ret = t_ask(&h, k, &err);
			failed = fake_spe_failed(h.fake, &call);
			if (failed && ret != -want)
				fail_msg("%s: call %zu (0x%lx) failed with %d, detection with %d: %s",
					 k->name, n, call.req, want, ret, err.msg);
			if (failed)
				assert_true(strlen(err.msg) > 10);
			t_close(&h);
			if (!failed) {
				assert_true(n > 5);
				break;
			}
		}
	}
}

/* Whatever a kernel says no with, it is not taken for a yes, nor kept open. */
static void test_each_refusal_is_survived(void **state)
{
	static const int errnos[] = { ENXIO, EINVAL, ENOENT, ENODEV, ENOTTY, EPERM, EBUSY };

	(void)state;
	for (size_t e = 0; e < ARRAY_SIZE(errnos); e++) {
		const struct fake_spe_kernel *k = fake_spe_kernel("elisei-v4");
		bool failed = true;

		for (size_t n = 1; failed; n++) {
			struct fake_call call;
			struct spe_abi abi;
			struct t_host h;
			int ret;

			t_open(&h, k);
			fake_spe_fail(h.fake, n, errnos[e]);
			ret = dialect_detect(&abi, &h.kvm, &h.spu, NULL);
			failed = fake_spe_failed(h.fake, &call);
			/* Without a GICv3 there is a GICv2. */
			if (failed && !(errnos[e] == ENODEV && call.req == KVM_CREATE_DEVICE))
				assert_true(ret < 0);
			if (!ret)
				assert_string_equal(abi.name, k->row);
			t_close(&h);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kernel_is_recognised),
		cmocka_unit_test(test_matrix_of_rows_has_no_false_positive),
		cmocka_unit_test(test_matrix_of_descriptions_has_no_false_positive),
		cmocka_unit_test(test_description_without_capability_is_verified),
		cmocka_unit_test(test_linux_proper_is_told_in_six_calls),
		cmocka_unit_test(test_detection_enables_and_sets_nothing),
		cmocka_unit_test(test_present_vm_is_left_alone),
		cmocka_unit_test(test_closest_miss_is_what_is_told),
		cmocka_unit_test(test_instance_that_kvm_does_not_know_is_told),
		cmocka_unit_test(test_unknown_numbers_are_told),
		cmocka_unit_test(test_each_failure_is_passed_on),
		cmocka_unit_test(test_each_refusal_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
