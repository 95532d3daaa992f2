/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topology.c - the host's CPUs, and which of them can count and profile
 *
 * Documentation/ABI/testing/sysfs-bus-event_source-devices and
 * sysfs-devices-system-cpu; drivers/perf/arm_spe_pmu.c and arm_pmu.c for what
 * their devices are called and hold.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spe/topology.h"
#include "vmm/error.h"

#define SYSFS		"/sys"
#define EVENT_SOURCES	"bus/event_source/devices"
#define DEVICES		"devices"
#define PLATFORM	"bus/platform/devices"
#define SPE_PREFIX	"arm_spe_"

/* A file of sysfs is a page at most, and a page is at most this. */
#define FILE_MAX	(64u << 10)
#define PATH_SIZE	512
#define SHOWN		24		/* of a file that makes no sense */

struct reader {
	const char	*root;
	char		*buf;		/* of FILE_MAX + 1 */
	size_t		len;
};

/* Failures of this process, and not of what sysfs says. */
static bool ours(int ret)
{
	return ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* A file below the root into the reader's buffer; -EFBIG if it is too long. */
static int slurp(struct reader *r, const char *path)
{
	char full[PATH_SIZE];
	int len = snprintf(full, sizeof(full), "%s/%s", r->root, path);
	ssize_t n;
	int fd;

	if (len < 0 || (size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	n = read_all(fd, r->buf, FILE_MAX + 1);
	close(fd);
	if (n < 0)
		return (int)n;
	if (n > (ssize_t)FILE_MAX)
		return -EFBIG;
	r->buf[n] = '\0';
	r->len = (size_t)n;
	return 0;
}

static int open_dir(const struct reader *r, const char *path, DIR **dir)
{
	char full[PATH_SIZE];
	int len = snprintf(full, sizeof(full), "%s/%s", r->root, path);

	if (len < 0 || (size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	*dir = opendir(full);
	return *dir ? 0 : -errno;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* What was read is one number, decimal or 0x...; a newline may follow. */
static int number(const struct reader *r, u64 *val)
{
	const char *p = r->buf;
	const char *end = r->buf + r->len;
	int base = 10;

	*val = 0;
	if (end > p && end[-1] == '\n')
		end--;
	if (end - p > 2 && p[0] == '0' && p[1] == 'x') {
		base = 16;
		p += 2;
	}
	if (p == end)
		return -EINVAL;
	for (; p < end; p++) {
		int d = digit(*p);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(*val, (u64)base, val) ||
		    __builtin_add_overflow(*val, (u64)d, val))
			return -ERANGE;
	}
	return 0;
}

/* The beginning of what was read, safe to show. */
static void excerpt(const struct reader *r, char *buf, size_t size)
{
	size_t len = 0;

	while (len < r->len && len < size - 1 && r->buf[len] != '\n') {
		buf[len] = r->buf[len] >= ' ' && r->buf[len] <= '~' ? r->buf[len] : '?';
		len++;
	}
	buf[len] = '\0';
}

/* ---- Event sources ---------------------------------------------------------- */

static void spoil(struct event_source *dev, const char *file, const char *why)
{
	if (!dev->usable)
		return;
	dev->usable = false;
	snprintf(dev->reason, sizeof(dev->reason), "its %s %s", file, why);
}

static void spoil_content(struct event_source *dev, const struct reader *r, const char *file,
			  const char *want)
{
	char shown[SHOWN];
	char why[SHOWN + 64];

	excerpt(r, shown, sizeof(shown));
	snprintf(why, sizeof(why), "is '%s', not %s", shown, want);
	spoil(dev, file, why);
}

/*
 * A file of an event source, from either of the two places where the device may
 * be found.  0 with the text in the buffer, -ENODATA with the device spoilt, or
 * our own failure.
 */
static int dev_file(struct reader *r, struct event_source *dev, const char *file)
{
	static const char *const dirs[] = { EVENT_SOURCES, DEVICES };
	int ret = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && (ret == -ENOENT || ret == -ENOTDIR); i++) {
		char path[PATH_SIZE];

		snprintf(path, sizeof(path), "%s/%s/%s", dirs[i], dev->name, file);
		ret = slurp(r, path);
	}
	if (!ret || ours(ret))
		return ret;
	spoil(dev, file, ret == -EFBIG ? "is too long" :
			 ret == -ENOENT || ret == -ENOTDIR ? "is missing" : "cannot be read");
	return -ENODATA;
}

static int read_type(struct reader *r, struct event_source *dev)
{
	u64 val;
	int ret = dev_file(r, dev, "type");

	if (ret)
		return ours(ret) ? ret : 0;
	if (number(r, &val) || val > INT32_MAX)
		spoil_content(dev, r, "type", "a number");
	else
		dev->type = (int)val;
	return 0;
}

static int read_cpus(struct reader *r, struct event_source *dev, const char *file)
{
	int ret = dev_file(r, dev, file);

	if (ret)
		return ours(ret) ? ret : 0;
	ret = cpumask_parse(&dev->cpus, r->buf, r->len);
	if (ret) {
		cpumask_clear(&dev->cpus);
		spoil_content(dev, r, file, "a list of CPUs");
	} else if (cpumask_empty(&dev->cpus)) {
		spoil(dev, file, "is empty: none of its CPUs is online");
	}
	return 0;
}

static const char *const cap_names[] = {
	[SPU_ARCH_INST] = "arch_inst",
	[SPU_COUNT_SIZE] = "count_size",
	[SPU_ERND] = "ernd",
	[SPU_MIN_INTERVAL] = "min_interval",
	[SPU_EVENT_FILTER] = "event_filter",
	[SPU_MAX_BUFF_SIZE] = "max_buff_size",
};
_Static_assert(ARRAY_SIZE(cap_names) == SPU_CAPS, "a name for each capability");

const char *spu_cap_name(enum spu_cap cap)
{
	return cap_names[cap];
}

/* Capabilities are for show: one that cannot be read is one that is not there. */
static int read_caps(struct reader *r, struct spu *spu)
{
	for (int i = 0; i < SPU_CAPS; i++) {
		struct event_source scratch = { 0 };
		char file[32];
		int ret;

		memcpy(scratch.name, spu->dev.name, sizeof(scratch.name));
		snprintf(file, sizeof(file), "caps/%s", cap_names[i]);
		ret = dev_file(r, &scratch, file);
		if (ours(ret))
			return ret;
		if (!ret && !number(r, &spu->cap[i]))
			spu->caps |= 1u << i;
	}
	return 0;
}

static int read_spu(struct reader *r, struct spu *spu)
{
	int ret;

	spu->dev.usable = true;
	snprintf(spu->dev.name, sizeof(spu->dev.name), SPE_PREFIX "%u", spu->nr);
	ret = read_type(r, &spu->dev);
	if (!ret)
		ret = read_cpus(r, &spu->dev, "cpumask");
	return ret ? ret : read_caps(r, spu);
}

/* The driver counts its instances and writes them without leading zeros. */
static bool spu_number(const char *name, u32 *nr)
{
	const size_t len = strlen(SPE_PREFIX);
	char *end;
	unsigned long n;

	if (strncmp(name, SPE_PREFIX, len) || name[len] < '0' || name[len] > '9')
		return false;
	if (name[len] == '0' && name[len + 1])
		return false;
	if (strlen(name + len) > 6)
		return false;
	n = strtoul(name + len, &end, 10);
	*nr = (u32)n;
	return !*end;
}

static int add_spu(struct topology *topo, struct reader *r, u32 nr)
{
	struct spu *spus;

	for (size_t i = 0; i < topo->nr_spus; i++)
		if (topo->spus[i].nr == nr)
			return 0;
	spus = realloc(topo->spus, (topo->nr_spus + 1) * sizeof(*spus));
	if (!spus)
		return -ENOMEM;
	topo->spus = spus;
	spus[topo->nr_spus] = (struct spu){ .nr = nr };
	return read_spu(r, &spus[topo->nr_spus++]);
}

static int add_pmu(struct topology *topo, struct reader *r, const char *name)
{
	struct event_source pmu = { .usable = true };
	struct event_source *pmus;
	char path[PATH_SIZE];
	int ret;

	if (strlen(name) >= sizeof(pmu.name))
		return 0;
	/*
	 * Only arm_pmu has a file of this name: what sits outside of the CPUs
	 * has "cpumask".  Names do not help, not all begin with armv8.
	 */
	snprintf(path, sizeof(path), EVENT_SOURCES "/%s/cpus", name);
	ret = slurp(r, path);
	if (ret == -ENOENT || ret == -ENOTDIR)
		return 0;
	strcpy(pmu.name, name);
	ret = read_type(r, &pmu);
	if (!ret)
		ret = read_cpus(r, &pmu, "cpus");
	if (ret)
		return ret;
	pmus = realloc(topo->pmus, (topo->nr_pmus + 1) * sizeof(*pmus));
	if (!pmus)
		return -ENOMEM;
	topo->pmus = pmus;
	pmus[topo->nr_pmus++] = pmu;
	return 0;
}

static int scan(struct topology *topo, struct reader *r, const char *path, bool want_pmus)
{
	struct dirent *entry;
	DIR *dir;
	u32 nr;
	int ret = open_dir(r, path, &dir);

	if (ret)
		return ours(ret) ? ret : 0;
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (spu_number(entry->d_name, &nr))
			ret = add_spu(topo, r, nr);
		else if (want_pmus)
			ret = add_pmu(topo, r, entry->d_name);
	}
	closedir(dir);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	const struct spu *x = a;
	const struct spu *y = b;

	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

static int by_name(const void *a, const void *b)
{
	const struct event_source *x = a;
	const struct event_source *y = b;

	return strcmp(x->name, y->name);
}

/* ---- CPUs --------------------------------------------------------------------- */

/* Left as it is if the host does not tell. */
static int read_list(struct reader *r, const char *path, struct cpumask *mask)
{
	struct cpumask read;
	int ret = slurp(r, path);

	if (ret)
		return ours(ret) ? ret : 0;
	if (!cpumask_parse(&read, r->buf, r->len) && !cpumask_empty(&read))
		*mask = read;
	return 0;
}

static int read_all_of(struct topology *topo, struct reader *r)
{
	int ret = cpumask_get_affinity(&topo->process);

	if (ret)
		return ret;
	topo->online = topo->process;
	ret = read_list(r, "devices/system/cpu/online", &topo->online);
	if (ret)
		return ret;
	topo->possible = topo->present = topo->online;
	ret = read_list(r, "devices/system/cpu/possible", &topo->possible);
	if (!ret)
		ret = read_list(r, "devices/system/cpu/present", &topo->present);
	if (!ret)
		ret = scan(topo, r, EVENT_SOURCES, true);
	if (!ret)
		ret = scan(topo, r, DEVICES, false);
	return ret;
}

int topology_read(struct topology **out, const char *root, struct vmm_error *err)
{
	struct topology *topo = calloc(1, sizeof(*topo));
	struct reader r = { .buf = malloc(FILE_MAX + 1) };
	int ret = -ENOMEM;

	if (topo)
		topo->root = strdup(root ? root : SYSFS);
	if (topo && topo->root && r.buf) {
		r.root = topo->root;
		ret = access(topo->root, X_OK) ? -errno : read_all_of(topo, &r);
	}
	free(r.buf);
	if (ret) {
		topology_destroy(topo);
		return error_sys(err, ret, "host CPUs: reading %s", root ? root : SYSFS);
	}
	if (topo->nr_spus)
		qsort(topo->spus, topo->nr_spus, sizeof(*topo->spus), by_number);
	if (topo->nr_pmus)
		qsort(topo->pmus, topo->nr_pmus, sizeof(*topo->pmus), by_name);
	*out = topo;
	return 0;
}

void topology_destroy(struct topology *topo)
{
	if (!topo)
		return;
	free(topo->spus);
	free(topo->pmus);
	free(topo->root);
	free(topo);
}

const struct spu *topology_spu(const struct topology *topo, const char *name)
{
	for (size_t i = 0; i < topo->nr_spus; i++)
		if (!strcmp(topo->spus[i].dev.name, name))
			return &topo->spus[i];
	return NULL;
}

const struct event_source *topology_pmu(const struct topology *topo, const char *name)
{
	for (size_t i = 0; i < topo->nr_pmus; i++)
		if (!strcmp(topo->pmus[i].name, name))
			return &topo->pmus[i];
	return NULL;
}

/* ---- MIDR_EL1 (Arm ARM, D19.2.100) ------------------------------------------------ */

#define MIDR_IMPLEMENTER(midr)	((unsigned int)((midr) >> 24 & 0xff))
#define MIDR_PART(midr)		((unsigned int)((midr) >> 4 & 0xfff))

/* arch/arm64/include/asm/cputype.h and the cores' manuals. */
static const struct core {
	u8		implementer;
	u16		part;
	bool		spe;		/* the manual says that it has SPE */
	const char	*name;
} cores[] = {
	{ 0x00, 0x051, false, "QEMU-max" },
	{ 0x41, 0xd02, false, "Cortex-A34" },
	{ 0x41, 0xd03, false, "Cortex-A53" },
	{ 0x41, 0xd04, false, "Cortex-A35" },
	{ 0x41, 0xd05, false, "Cortex-A55" },
	{ 0x41, 0xd06, false, "Cortex-A65" },
	{ 0x41, 0xd07, false, "Cortex-A57" },
	{ 0x41, 0xd08, false, "Cortex-A72" },
	{ 0x41, 0xd09, false, "Cortex-A73" },
	{ 0x41, 0xd0a, false, "Cortex-A75" },
	{ 0x41, 0xd0b, false, "Cortex-A76" },
	{ 0x41, 0xd0c, true, "Neoverse-N1" },
	{ 0x41, 0xd0d, false, "Cortex-A77" },
	{ 0x41, 0xd0e, false, "Cortex-A76AE" },
	{ 0x41, 0xd0f, false, "Arm-AEM-v8" },
	{ 0x41, 0xd40, true, "Neoverse-V1" },
	{ 0x41, 0xd41, true, "Cortex-A78" },
	{ 0x41, 0xd42, true, "Cortex-A78AE" },
	{ 0x41, 0xd43, false, "Cortex-A65AE" },
	{ 0x41, 0xd44, true, "Cortex-X1" },
	{ 0x41, 0xd46, false, "Cortex-A510" },
	{ 0x41, 0xd47, true, "Cortex-A710" },
	{ 0x41, 0xd48, true, "Cortex-X2" },
	{ 0x41, 0xd49, true, "Neoverse-N2" },
	{ 0x41, 0xd4a, false, "Neoverse-E1" },
	{ 0x41, 0xd4b, true, "Cortex-A78C" },
	{ 0x41, 0xd4c, true, "Cortex-X1C" },
	{ 0x41, 0xd4d, true, "Cortex-A715" },
	{ 0x41, 0xd4e, true, "Cortex-X3" },
	{ 0x41, 0xd4f, true, "Neoverse-V2" },
	{ 0x41, 0xd80, false, "Cortex-A520" },
	{ 0x41, 0xd81, true, "Cortex-A720" },
	{ 0x41, 0xd82, true, "Cortex-X4" },
	{ 0x41, 0xd83, true, "Neoverse-V3AE" },
	{ 0x41, 0xd84, true, "Neoverse-V3" },
	{ 0x41, 0xd85, true, "Cortex-X925" },
	{ 0x41, 0xd87, true, "Cortex-A725" },
	{ 0x41, 0xd88, false, "Cortex-A520AE" },
	{ 0x41, 0xd89, true, "Cortex-A720AE" },
	{ 0x41, 0xd8a, false, "C1-Nano" },
	{ 0x41, 0xd8b, false, "C1-Pro" },
	{ 0x41, 0xd8c, false, "C1-Ultra" },
	{ 0x41, 0xd8e, true, "Neoverse-N3" },
	{ 0x41, 0xd8f, false, "Cortex-A320" },
	{ 0x41, 0xd90, false, "C1-Premium" },
	{ 0x42, 0x100, false, "Brahma-B53" },
	{ 0x42, 0x516, false, "Vulcan" },
	{ 0x43, 0x0a1, false, "ThunderX" },
	{ 0x43, 0x0a2, false, "ThunderX-81XX" },
	{ 0x43, 0x0a3, false, "ThunderX-83XX" },
	{ 0x43, 0x0af, false, "ThunderX2" },
	{ 0x46, 0x001, false, "A64FX" },
	{ 0x48, 0xd01, true, "Kunpeng-920" },
	{ 0x48, 0xd02, true, "HIP09" },
	{ 0x4e, 0x003, false, "Denver" },
	{ 0x4e, 0x004, false, "Carmel" },
	{ 0x4e, 0x010, false, "Olympus" },
	{ 0x50, 0x000, false, "X-Gene" },
	{ 0x51, 0x001, false, "Oryon" },
	{ 0x51, 0x800, false, "Kryo-2xx-Gold" },
	{ 0x51, 0x801, false, "Kryo-2xx-Silver" },
	{ 0x51, 0x802, false, "Kryo-3xx-Gold" },
	{ 0x51, 0x803, false, "Kryo-3xx-Silver" },
	{ 0x51, 0x804, false, "Kryo-4xx-Gold" },
	{ 0x51, 0x805, false, "Kryo-4xx-Silver" },
	{ 0x51, 0xc00, false, "Falkor" },
	{ 0x51, 0xc01, false, "Saphira" },
	{ 0x61, 0x022, false, "Apple-M1-Icestorm" },
	{ 0x61, 0x023, false, "Apple-M1-Firestorm" },
	{ 0x61, 0x024, false, "Apple-M1-Pro-Icestorm" },
	{ 0x61, 0x025, false, "Apple-M1-Pro-Firestorm" },
	{ 0x61, 0x028, false, "Apple-M1-Max-Icestorm" },
	{ 0x61, 0x029, false, "Apple-M1-Max-Firestorm" },
	{ 0x61, 0x032, false, "Apple-M2-Blizzard" },
	{ 0x61, 0x033, false, "Apple-M2-Avalanche" },
	{ 0x61, 0x034, false, "Apple-M2-Pro-Blizzard" },
	{ 0x61, 0x035, false, "Apple-M2-Pro-Avalanche" },
	{ 0x61, 0x038, false, "Apple-M2-Max-Blizzard" },
	{ 0x61, 0x039, false, "Apple-M2-Max-Avalanche" },
	{ 0x6d, 0xd49, true, "Azure-Cobalt-100" },
	{ 0x70, 0x303, false, "FTC310" },
	{ 0x70, 0x660, false, "FTC660" },
	{ 0x70, 0x661, false, "FTC661" },
	{ 0x70, 0x662, false, "FTC662" },
	{ 0x70, 0x663, false, "FTC663" },
	{ 0x70, 0x664, false, "FTC664" },
	{ 0x70, 0x862, false, "FTC862" },
	{ 0xc0, 0xac3, false, "AmpereOne" },
	{ 0xc0, 0xac4, false, "AmpereOne-A" },
	{ 0xc0, 0xac5, false, "AmpereOne-B" },
};

static const struct core *find_core(u64 midr)
{
	for (size_t i = 0; i < ARRAY_SIZE(cores); i++)
		if (cores[i].implementer == MIDR_IMPLEMENTER(midr) &&
		    cores[i].part == MIDR_PART(midr))
			return &cores[i];
	return NULL;
}

const char *topology_midr_name(u64 midr)
{
	const struct core *core = midr ? find_core(midr) : NULL;

	return core ? core->name : NULL;
}

u64 topology_midr(const struct topology *topo, unsigned int cpu)
{
	char buf[64];
	struct reader r = { .root = topo->root, .buf = buf };
	char path[PATH_SIZE];
	ssize_t n;
	u64 midr;
	int fd;

	snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/regs/identification/midr_el1",
		 topo->root, cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	n = read_all(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n < 0)
		return 0;
	r.len = (size_t)n;
	return number(&r, &midr) ? 0 : midr;
}

/* ---- Why there is no SPE ------------------------------------------------------------ */

/* The name of a core here that should have SPE, or NULL. */
static const char *promising_core(const struct topology *topo)
{
	for (unsigned int cpu = 0; cpu < CPUMASK_BITS; cpu++) {
		const struct core *core;
		u64 midr;

		if (!cpumask_has(&topo->online, cpu))
			continue;
		midr = topology_midr(topo, cpu);
		core = midr ? find_core(midr) : NULL;
		if (core && core->spe)
			return core->name;
	}
	return NULL;
}

/* Documentation/ABI/testing/sysfs-devices-system-cpu, vulnerabilities */
static bool kpti(struct reader *r)
{
	return !slurp(r, "devices/system/cpu/vulnerabilities/meltdown") && strstr(r->buf, "PTI");
}

/* Does firmware tell of SPE?  A platform device exists then, driver or not. */
static bool described(struct reader *r)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (open_dir(r, PLATFORM, &dir))
		return false;
	while (!found && (entry = readdir(dir))) {
		char path[PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), PLATFORM "/%s/modalias", entry->d_name);
		found = !slurp(r, path) &&
			(strstr(r->buf, "arm,statistical-profiling-extension-v1") ||
			 strstr(r->buf, "platform:arm,spe-v1"));
	}
	closedir(dir);
	return found;
}

static bool driver_loaded(const struct reader *r)
{
	DIR *dir;

	if (open_dir(r, "bus/platform/drivers/arm,spe-v1", &dir))
		return false;
	closedir(dir);
	return true;
}

const char *topology_no_spe(const struct topology *topo, char *buf, size_t size)
{
	struct reader r = { .root = topo->root, .buf = malloc(FILE_MAX + 1) };
	const char *core = promising_core(topo);

	if (!r.buf)
		snprintf(buf, size, "this host shows no SPE");
	else if (described(&r) && !driver_loaded(&r))
		snprintf(buf, size,
			 "the SPE driver of this host is not loaded: modprobe arm_spe_pmu (CONFIG_ARM_SPE_PMU)");
	else if ((core || described(&r)) && kpti(&r))
		snprintf(buf, size,
			 "this host's kernel has KPTI on and gives up SPE for it; kpti=off on its command line helps");
	else if (described(&r))
		snprintf(buf, size,
			 "this host's SPE driver found no SPE that it can use: see its kernel log, firmware may keep SPE to itself");
	else if (core)
		snprintf(buf, size,
			 "this host's CPUs (%s) should have SPE, but its firmware, or its hypervisor, does not tell the kernel of it",
			 core);
	else
		snprintf(buf, size, "this host's CPUs have no SPE, or firmware does not tell of it");
	free(r.buf);
	return buf;
}
