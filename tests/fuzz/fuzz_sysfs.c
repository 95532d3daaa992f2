/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_sysfs.c - whatever a host's sysfs holds, its topology is read and makes sense
 *
 * The input is files, each a byte that chooses its name and the text that is in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spe/topology.h"
#include "tests/fuzz/input.h"

#define SOURCES	"bus/event_source/devices/"
#define CPU	"devices/system/cpu/"
#define FILES	24

static const char *const dirs[] = {
	"bus", "bus/event_source", "bus/event_source/devices", "devices", "devices/system",
	"devices/system/cpu", SOURCES "arm_spe_0", SOURCES "arm_spe_0/caps", SOURCES "arm_spe_1",
	SOURCES "arm_spe_4294967295", SOURCES "armv8_cortex_a57", CPU "cpu0", CPU "cpu0/regs",
	CPU "cpu0/regs/identification", CPU "vulnerabilities", "bus/platform",
	"bus/platform/devices", "bus/platform/devices/spe", "bus/platform/drivers",
	"bus/platform/drivers/arm,spe-v1",
};

static const char *const names[] = {
	CPU "online", CPU "possible", CPU "present", CPU "cpu0/regs/identification/midr_el1",
	CPU "vulnerabilities/meltdown", SOURCES "arm_spe_0/type", SOURCES "arm_spe_0/cpumask",
	SOURCES "arm_spe_0/caps/arch_inst", SOURCES "arm_spe_0/caps/count_size",
	SOURCES "arm_spe_0/caps/event_filter", SOURCES "arm_spe_0/caps/max_buff_size",
	SOURCES "arm_spe_1/type", SOURCES "arm_spe_1/cpumask", SOURCES "arm_spe_4294967295/type",
	SOURCES "armv8_cortex_a57/type", SOURCES "armv8_cortex_a57/cpus",
	"bus/platform/devices/spe/modalias", "bus/platform/drivers/arm,spe-v1/x",
};

static char root[] = "/dev/shm/fuzz_sysfs.XXXXXX";
static int root_fd;

static void clean_up(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(root_fd, names[i], 0);
	for (size_t i = ARRAY_SIZE(dirs); i--;)
		unlinkat(root_fd, dirs[i], AT_REMOVEDIR);
	rmdir(root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(mkdtemp(root));
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(root_fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		must(!mkdirat(root_fd, dirs[i], 0700));
	atexit(clean_up);
	return 0;
}

static void put(const char *name, const void *data, size_t len)
{
	int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void check_source(const struct event_source *dev)
{
	must(memchr(dev->name, 0, sizeof(dev->name)) && dev->name[0]);
	must(memchr(dev->reason, 0, sizeof(dev->reason)));
	must(dev->usable != !!dev->reason[0]);
	must(!dev->usable || dev->type >= 0);
}

static void check(const struct topology *topo)
{
	char buf[VMM_MSG_SIZE];

	for (size_t i = 0; i < topo->nr_spus; i++) {
		check_source(&topo->spus[i].dev);
		must(topology_spu(topo, topo->spus[i].dev.name) == &topo->spus[i]);
		must(!(topo->spus[i].caps >> SPU_CAPS));
	}
	for (size_t i = 0; i < topo->nr_pmus; i++)
		check_source(&topo->pmus[i]);
	topology_midr_name(topology_midr(topo, 0));
	must(topology_no_spe(topo, buf, sizeof(buf)) == buf && memchr(buf, 0, sizeof(buf)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct vmm_error err = { "" };
	struct topology *topo;
	bool there[ARRAY_SIZE(names)] = { false };
	int ret;

	for (u32 i = 0; i < FILES && in.left; i++) {
		size_t which = input_u8(&in) % ARRAY_SIZE(names);
		const void *text;
		size_t len = input_data(&in, &text, 255);

		put(names[which], text, len);
		there[which] = true;
	}
	ret = topology_read(&topo, root, &err);
	must(!ret);
	check(topo);
	topology_destroy(topo);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (there[i])
			unlinkat(root_fd, names[i], 0);
	return 0;
}
