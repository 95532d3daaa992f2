/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_topology.c - spe/topology.c, on trees made for it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spe/topology.h"
#include "tests/unit/sysfs.h"

#define SPE0	"bus/event_source/devices/arm_spe_0"
#define SPE1	"bus/event_source/devices/arm_spe_1"
#define PMUS	"bus/event_source/devices"
#define CPU	"devices/system/cpu"

static void t_cpus(const char *root, const char *list)
{
	t_put(root, CPU "/online", list);
	t_put(root, CPU "/possible", list);
}

static void t_spe(const char *root, const char *dir, const char *type, const char *cpus)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/type", dir);
	t_put(root, path, type);
	snprintf(path, sizeof(path), "%s/cpumask", dir);
	t_put(root, path, cpus);
}

static struct topology *t_read(const char *root)
{
	struct vmm_error err = { "" };
	struct topology *topo;

	if (topology_read(&topo, root, &err))
		fail_msg("%s", err.msg);
	return topo;
}

static void t_list(const struct cpumask *mask, const char *want)
{
	char buf[256];

	assert_string_equal(cpumask_format(mask, buf, sizeof(buf)), want);
}

static void test_one_instance(void **state)
{
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-3\n");
	t_spe(root, SPE0, "9\n", "2-3\n");
	t_put(root, SPE0 "/caps/arch_inst", "1\n");
	t_put(root, SPE0 "/caps/count_size", "12\n");
	t_put(root, SPE0 "/caps/ernd", "0\n");
	t_put(root, SPE0 "/caps/min_interval", "1024\n");
	t_put(root, SPE0 "/caps/event_filter", "0xff00aa\n");
	t_put(root, SPE0 "/format/jitter", "config:16\n");
	topo = t_read(root);

	assert_int_equal(topo->nr_spus, 1);
	assert_true(topo->spus[0].dev.usable);
	assert_string_equal(topo->spus[0].dev.name, "arm_spe_0");
	assert_int_equal(topo->spus[0].dev.type, 9);
	t_list(&topo->spus[0].dev.cpus, "2-3");
	assert_int_equal(topo->spus[0].caps, 1u << SPU_ARCH_INST | 1u << SPU_COUNT_SIZE |
			 1u << SPU_ERND | 1u << SPU_MIN_INTERVAL | 1u << SPU_EVENT_FILTER);
	assert_int_equal(topo->spus[0].cap[SPU_ARCH_INST], 1);
	assert_int_equal(topo->spus[0].cap[SPU_COUNT_SIZE], 12);
	assert_int_equal(topo->spus[0].cap[SPU_MIN_INTERVAL], 1024);
	assert_int_equal(topo->spus[0].cap[SPU_EVENT_FILTER], 0xff00aa);
	assert_string_equal(spu_cap_name(SPU_MIN_INTERVAL), "min_interval");
	t_list(&topo->online, "0-3");
	t_list(&topo->possible, "0-3");
	assert_false(cpumask_empty(&topo->process));
	assert_ptr_equal(topology_spu(topo, "arm_spe_0"), &topo->spus[0]);
	assert_null(topology_spu(topo, "arm_spe_1"));
	topology_destroy(topo);
	t_remove(root);
}

static void test_instances_are_in_order_and_differ(void **state)
{
	static const char *const dirs[] = { PMUS "/arm_spe_10", SPE1, PMUS "/arm_spe_2", SPE0 };
	static const u32 numbers[] = { 0, 1, 2, 10 };
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-15\n");
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char cpu[16];
		char type[16];

		snprintf(cpu, sizeof(cpu), "%zu\n", i);
		snprintf(type, sizeof(type), "%zu\n", 20 + i);
		t_spe(root, dirs[i], type, cpu);
	}
	t_put(root, SPE0 "/caps/min_interval", "256\n");
	t_put(root, SPE1 "/caps/min_interval", "4096\n");
	topo = t_read(root);
	assert_int_equal(topo->nr_spus, 4);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_int_equal(topo->spus[i].nr, numbers[i]);
	assert_int_equal(topo->spus[0].cap[SPU_MIN_INTERVAL], 256);
	assert_int_equal(topo->spus[1].cap[SPU_MIN_INTERVAL], 4096);
	assert_int_equal(topo->spus[2].caps, 0);
	assert_int_equal(topo->spus[3].dev.type, 20);
	topology_destroy(topo);
	t_remove(root);
}

static void test_other_devices_are_no_instances(void **state)
{
	static const char *const names[] = {
		"arm_spe_", "arm_spe_x", "arm_spe_1x", "arm_spe_01", "arm_spe_-1", "arm_spe",
		"arm_spe_99999999999999999999", "mm_spe_0", "arm_spe_0.old",
	};
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];

		snprintf(path, sizeof(path), PMUS "/%s", names[i]);
		t_spe(root, path, "9\n", "0\n");
	}
	topo = t_read(root);
	assert_int_equal(topo->nr_spus, 0);
	topology_destroy(topo);
	t_remove(root);
}

static void test_instance_below_devices_alone_is_found(void **state)
{
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-3\n");
	t_spe(root, "devices/arm_spe_0", "9\n", "1\n");
	topo = t_read(root);
	assert_int_equal(topo->nr_spus, 1);
	assert_true(topo->spus[0].dev.usable);
	t_list(&topo->spus[0].dev.cpus, "1");
	topology_destroy(topo);

	/* ... also if the other place has some of it, which counts first. */
	t_put(root, SPE0 "/type", "10\n");
	topo = t_read(root);
	assert_int_equal(topo->nr_spus, 1);
	assert_int_equal(topo->spus[0].dev.type, 10);
	t_list(&topo->spus[0].dev.cpus, "1");
	topology_destroy(topo);
	t_remove(root);
}

static void test_absurd_files_spoil_the_instance_alone(void **state)
{
	static const struct {
		const char *type;
		const char *cpus;
		const char *reason;	/* NULL: it is fine */
		const char *list;
	} cases[] = {
		{ "8\n", "0-1\n", NULL, "0-1" },
		{ "8", "0-1", NULL, "0-1" },
		{ "8\n", "4095\n", NULL, "4095" },
		{ "8\n", "0,2,1024-1030\n", NULL, "0,2,1024-1030" },
		{ "0x8\n", "8191", NULL, "8191" },
		{ "2147483647\n", "0\n", NULL, "0" },
		{ "8\n", "\n", "its cpumask is empty: none of its CPUs is online", "none" },
		{ "8\n", "", "its cpumask is empty: none of its CPUs is online", "none" },
		{ "8\n", "8192\n", "its cpumask is '8192', not a list of CPUs", "none" },
		{ "8\n", "3-2\n", "its cpumask is '3-2', not a list of CPUs", "none" },
		{ "8\n", "0-\n", "its cpumask is '0-', not a list of CPUs", "none" },
		{ "8\n", "0-1\n2\n", "its cpumask is '0-1', not a list of CPUs", "none" },
		{ "8\n", "99999999999999999999\n",
		  "its cpumask is '99999999999999999999', not a list of CPUs", "none" },
		{ "8\n", "all the CPUs that there are\n",
		  "its cpumask is 'all the CPUs that there', not a list of CPUs", "none" },
		{ "8\n", "\x1b[2J\n", "its cpumask is '?[2J', not a list of CPUs", "none" },
		{ "\n", "0\n", "its type is '', not a number", "0" },
		{ "", "0\n", "its type is '', not a number", "0" },
		{ "0x\n", "0\n", "its type is '0x', not a number", "0" },
		{ "-1\n", "0\n", "its type is '-1', not a number", "0" },
		{ "8 \n", "0\n", "its type is '8 ', not a number", "0" },
		{ "2147483648\n", "0\n", "its type is '2147483648', not a number", "0" },
		{ "99999999999999999999\n", "0\n",
		  "its type is '99999999999999999999', not a number", "0" },
		{ NULL, "0\n", "its type is missing", "0" },
		{ "8\n", NULL, "its cpumask is missing", "none" },
		{ NULL, NULL, "its type is missing", "none" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *root = t_root();
		struct topology *topo;

		t_cpus(root, "0-3\n");
		t_put(root, SPE0 "/uevent", "\n");
		if (cases[i].type)
			t_put(root, SPE0 "/type", cases[i].type);
		if (cases[i].cpus)
			t_put(root, SPE0 "/cpumask", cases[i].cpus);
		t_spe(root, SPE1, "7\n", "3\n");
		topo = t_read(root);

		assert_int_equal(topo->nr_spus, 2);
		assert_int_equal(topo->spus[0].dev.usable, !cases[i].reason);
		if (cases[i].reason)
			assert_string_equal(topo->spus[0].dev.reason, cases[i].reason);
		t_list(&topo->spus[0].dev.cpus, cases[i].list);
		assert_true(topo->spus[1].dev.usable);
		topology_destroy(topo);
		t_remove(root);
	}
}

static void test_endless_and_strange_files_spoil_the_instance(void **state)
{
	static const char nul[] = "0-1\0\n";
	static char big[200 << 10];
	char *root = t_root();
	struct topology *topo;
	char path[256];

	(void)state;
	memset(big, '1', sizeof(big));
	t_cpus(root, "0-3\n");
	t_put(root, SPE0 "/type", "8\n");
	t_bytes(root, SPE0 "/cpumask", big, sizeof(big));
	t_put(root, SPE1 "/cpumask", "0\n");
	t_bytes(root, SPE1 "/type", nul, sizeof(nul) - 1);
	/* A directory in place of a file. */
	t_put(root, PMUS "/arm_spe_2/type/x", "8\n");
	t_put(root, PMUS "/arm_spe_2/cpumask", "0\n");
	/* One that never ends. */
	t_put(root, PMUS "/arm_spe_3/type", "8\n");
	snprintf(path, sizeof(path), "%s/" PMUS "/arm_spe_3/cpumask", root);
	assert_int_equal(symlink("/dev/zero", path), 0);
	/* A file in place of a directory. */
	t_put(root, PMUS "/arm_spe_4", "hello\n");
	topo = t_read(root);

	assert_int_equal(topo->nr_spus, 5);
	assert_string_equal(topo->spus[0].dev.reason, "its cpumask is too long");
	assert_string_equal(topo->spus[1].dev.reason, "its type is '0-1?', not a number");
	assert_string_equal(topo->spus[2].dev.reason, "its type cannot be read");
	assert_string_equal(topo->spus[3].dev.reason, "its cpumask is too long");
	assert_string_equal(topo->spus[4].dev.reason, "its type is missing");
	for (size_t i = 0; i < topo->nr_spus; i++)
		assert_false(topo->spus[i].dev.usable);
	topology_destroy(topo);
	t_remove(root);
}

static void test_absurd_capabilities_are_none(void **state)
{
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-3\n");
	t_spe(root, SPE0, "8\n", "0\n");
	t_put(root, SPE0 "/caps/arch_inst", "yes\n");
	t_put(root, SPE0 "/caps/ernd", "");
	t_put(root, SPE0 "/caps/count_size", "99999999999999999999999\n");
	t_put(root, SPE0 "/caps/event_filter", "0xffffffffffffffff\n");
	t_put(root, SPE0 "/caps/min_interval", "512");
	topo = t_read(root);
	assert_true(topo->spus[0].dev.usable);
	assert_int_equal(topo->spus[0].caps, 1u << SPU_EVENT_FILTER | 1u << SPU_MIN_INTERVAL);
	assert_true(topo->spus[0].cap[SPU_EVENT_FILTER] == UINT64_MAX);
	topology_destroy(topo);
	t_remove(root);
}

static void test_pmus_are_those_with_cpus(void **state)
{
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-5\n");
	t_put(root, PMUS "/armv8_cortex_a57/type", "8\n");
	t_put(root, PMUS "/armv8_cortex_a57/cpus", "4-5\n");
	t_put(root, PMUS "/armv8_cortex_a53/type", "9\n");
	t_put(root, PMUS "/armv8_cortex_a53/cpus", "0-3\n");
	t_put(root, PMUS "/apple_icestorm_pmu/type", "10\n");
	t_put(root, PMUS "/apple_icestorm_pmu/cpus", "0\n");
	t_put(root, PMUS "/armv8_odd/type", "many\n");
	t_put(root, PMUS "/armv8_odd/cpus", "0\n");
	t_put(root, PMUS "/armv8_away/type", "11\n");
	t_put(root, PMUS "/armv8_away/cpus", "\n");
	/* Not of a CPU. */
	t_put(root, PMUS "/arm_dsu_0/type", "12\n");
	t_put(root, PMUS "/arm_dsu_0/cpumask", "0\n");
	t_put(root, PMUS "/software/type", "1\n");
	topo = t_read(root);

	assert_int_equal(topo->nr_pmus, 5);
	assert_string_equal(topo->pmus[0].name, "apple_icestorm_pmu");
	assert_string_equal(topo->pmus[1].name, "armv8_away");
	assert_string_equal(topo->pmus[1].reason, "its cpus is empty: none of its CPUs is online");
	assert_string_equal(topo->pmus[2].name, "armv8_cortex_a53");
	assert_int_equal(topo->pmus[2].type, 9);
	t_list(&topo->pmus[2].cpus, "0-3");
	assert_string_equal(topo->pmus[4].name, "armv8_odd");
	assert_false(topo->pmus[4].usable);
	assert_ptr_equal(topology_pmu(topo, "armv8_cortex_a57"), &topo->pmus[3]);
	assert_null(topology_pmu(topo, "arm_dsu_0"));
	topology_destroy(topo);
	t_remove(root);
}

static void test_cpus_fall_back_on_what_is_known(void **state)
{
	char *root = t_root();
	struct topology *topo;

	(void)state;
	/* Nothing at all: what this process may run on is online for sure. */
	topo = t_read(root);
	assert_int_equal(topo->nr_spus, 0);
	assert_int_equal(topo->nr_pmus, 0);
	assert_true(cpumask_equal(&topo->online, &topo->process));
	assert_true(cpumask_equal(&topo->possible, &topo->process));
	topology_destroy(topo);
	t_put(root, CPU "/online", "rubbish\n");
	t_put(root, CPU "/possible", "\n");
	topo = t_read(root);
	assert_true(cpumask_equal(&topo->online, &topo->process));
	topology_destroy(topo);
	t_put(root, CPU "/online", "1,3\n");
	t_put(root, CPU "/possible", "0-4095\n");
	topo = t_read(root);
	t_list(&topo->online, "1,3");
	t_list(&topo->possible, "0-4095");
	topology_destroy(topo);
	t_remove(root);
}

static void test_root_that_is_not_there_is_an_error(void **state)
{
	struct vmm_error err = { "" };
	struct topology *topo;
	char deep[600];

	(void)state;
	assert_int_equal(topology_read(&topo, "/nonexistent/sys", &err), -ENOENT);
	assert_string_equal(err.msg, "host CPUs: reading /nonexistent/sys: No such file or directory");
	assert_int_equal(topology_read(&topo, "/nonexistent/sys", NULL), -ENOENT);

	/* Too long to add anything to: nothing is found, nothing breaks. */
	strcpy(deep, "/");
	while (strlen(deep) < 520)
		strcat(deep, "./");
	topo = t_read(deep);
	assert_int_equal(topo->nr_spus + topo->nr_pmus, 0);
	assert_int_equal(topology_midr(topo, 0), 0);
	topology_destroy(topo);
	topology_destroy(NULL);
}

static void test_real_host_can_be_read(void **state)
{
	struct topology *topo = t_read(NULL);

	(void)state;
	assert_false(cpumask_empty(&topo->online));
	topology_destroy(topo);
}

/* Out of descriptors: an error, and not a host without SPE. */
static void test_want_of_descriptors_is_an_error(void **state)
{
	struct rlimit old;
	struct rlimit none;
	char *root = t_root();
	struct vmm_error err = { "" };
	struct topology *topo;
	int fds[64];
	int nr = 0;

	(void)state;
	t_cpus(root, "0-3\n");
	t_spe(root, SPE0, "8\n", "0\n");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (nr < 64 && (fds[nr] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		nr++;
	for (int keep = 0; keep <= 1 && nr > keep; keep++) {
		assert_int_equal(topology_read(&topo, root, &err), -EMFILE);
		close(fds[--nr]);
	}
	close(fds[--nr]);
	assert_int_equal(topology_read(&topo, root, &err), 0);
	topology_destroy(topo);
	while (nr)
		close(fds[--nr]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	t_remove(root);
}

static void test_midr_is_read_and_named(void **state)
{
	static const struct {
		const char *text;
		u64 midr;
		const char *name;
	} cases[] = {
		{ "0x00000000410fd0c1\n", 0x410fd0c1, "Neoverse-N1" },
		{ "0x00000000410fd034\n", 0x410fd034, "Cortex-A53" },
		{ "0x000000004f1fd4f1\n", 0x4f1fd4f1, NULL },
		{ "0x00000000000f0510\n", 0x000f0510, "QEMU-max" },
		{ "0x00000000611f0221\n", 0x611f0221, "Apple-M1-Icestorm" },
		{ "0x00000000c00fac30\n", 0xc00fac30, "AmpereOne" },
		{ "rubbish\n", 0, NULL },
		{ "", 0, NULL },
	};
	char *root = t_root();
	struct topology *topo;

	(void)state;
	t_cpus(root, "0-7\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[128];

		snprintf(path, sizeof(path), CPU "/cpu%u/regs/identification/midr_el1", i);
		t_put(root, path, cases[i].text);
	}
	topo = t_read(root);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 midr = topology_midr(topo, i);
		const char *name = topology_midr_name(midr);

		assert_int_equal(midr, cases[i].midr);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		else
			assert_null(name);
	}
	assert_int_equal(topology_midr(topo, 99), 0);
	topology_destroy(topo);
	t_remove(root);
}

static void test_reason_for_no_spe_names_what_is_missing(void **state)
{
	char *root = t_root();
	struct topology *topo;
	char buf[VMM_MSG_SIZE];

	(void)state;
	t_cpus(root, "0-1\n");
	topo = t_read(root);
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "have no SPE"));

	t_put(root, CPU "/cpu1/regs/identification/midr_el1", "0x00000000410fd0c1\n");
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "Neoverse-N1"));
	assert_non_null(strstr(buf, "firmware"));

	t_put(root, CPU "/vulnerabilities/meltdown", "Mitigation: PTI\n");
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "kpti=off"));

	t_put(root, "bus/platform/devices/timer/modalias", "of:NtimerT(null)Carm,armv8-timer\n");
	t_put(root, "bus/platform/devices/spe-pmu/modalias",
	      "of:Nspe-pmuT(null)Carm,statistical-profiling-extension-v1\n");
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "modprobe arm_spe_pmu"));

	t_put(root, "bus/platform/drivers/arm,spe-v1/uevent", "\n");
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "kpti=off"));

	t_put(root, CPU "/vulnerabilities/meltdown", "Not affected\n");
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "kernel log"));
	assert_non_null(topology_no_spe(topo, buf, 8));
	assert_int_equal(strlen(buf), 7);
	topology_destroy(topo);
	t_remove(root);
}

static void test_acpi_device_counts_as_described(void **state)
{
	char *root = t_root();
	struct topology *topo;
	char buf[VMM_MSG_SIZE];

	(void)state;
	t_cpus(root, "0-1\n");
	t_put(root, "bus/platform/devices/arm,spe-v1/modalias", "platform:arm,spe-v1\n");
	topo = t_read(root);
	assert_non_null(strstr(topology_no_spe(topo, buf, sizeof(buf)), "modprobe arm_spe_pmu"));
	topology_destroy(topo);
	t_remove(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_instance),
		cmocka_unit_test(test_instances_are_in_order_and_differ),
		cmocka_unit_test(test_other_devices_are_no_instances),
		cmocka_unit_test(test_instance_below_devices_alone_is_found),
		cmocka_unit_test(test_absurd_files_spoil_the_instance_alone),
		cmocka_unit_test(test_endless_and_strange_files_spoil_the_instance),
		cmocka_unit_test(test_absurd_capabilities_are_none),
		cmocka_unit_test(test_pmus_are_those_with_cpus),
		cmocka_unit_test(test_cpus_fall_back_on_what_is_known),
		cmocka_unit_test(test_root_that_is_not_there_is_an_error),
		cmocka_unit_test(test_real_host_can_be_read),
		cmocka_unit_test(test_want_of_descriptors_is_an_error),
		cmocka_unit_test(test_midr_is_read_and_named),
		cmocka_unit_test(test_reason_for_no_spe_names_what_is_missing),
		cmocka_unit_test(test_acpi_device_counts_as_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
