/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmus.c - make QEMU's virt machine one whose CPUs differ in their PMU
 *
 *	pmus IN.dtb OUT.dtb COMPATIBLE=CPU,CPU... [COMPATIBLE=CPU,CPU...]
 *
 * The one PMU node of the tree is replaced by one for each argument, for the CPUs
 * named (by their place in /cpus), as hardware with big and little cores has them:
 * their interrupt is the same PPI, partitioned among the CPUs (arm,gic-v3 binding,
 * "ppi-partitions").  That takes a fourth cell in every specifier of the GIC, which
 * is what most of this program adds.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM		(2 << 20)		/* QEMU pads its tree to 1 MiB */
#define MAX_CPUS	64
#define MAX_CELLS	4096
#define FIRST_PHANDLE	0x7001		/* QEMU's begin at 0x8000 and count up */

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "pmus: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static int must(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, fdt_strerror(ret));
	return ret;
}

static void *load(const char *path)
{
	char *in = malloc(ROOM);
	char *out = malloc(ROOM);
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!in || !out || !f)
		die("%s: %s", path, strerror(errno));
	len = fread(in, 1, ROOM, f);
	fclose(f);
	must(fdt_check_full(in, len), path);
	must(fdt_open_into(in, out, ROOM), path);
	free(in);
	return out;
}

static void save(void *fdt, const char *path)
{
	FILE *f = fopen(path, "wb");

	must(fdt_pack(fdt), "packing");
	if (!f || fwrite(fdt, 1, fdt_totalsize(fdt), f) != fdt_totalsize(fdt) || fclose(f))
		die("%s: %s", path, strerror(errno));
}

/*
 * Put a zero behind the specifier of three cells at the end of each entry of @width
 * cells of a property.
 */
static void widen(void *fdt, int node, const char *name, int width)
{
	static fdt32_t cells[MAX_CELLS];
	const fdt32_t *old;
	int len;
	int n = 0;

	old = fdt_getprop(fdt, node, name, &len);
	if (!old)
		return;
	len /= 4;
	if (len % width || len + len / width > MAX_CELLS)
		die("%s: %d cells are not entries of %d", name, len, width);
	for (int i = 0; i < len; i++) {
		cells[n++] = old[i];
		if (i % width == width - 1)
			cells[n++] = 0;
	}
	must(fdt_setprop(fdt, node, name, cells, n * 4), name);
}

static int find_gic(const void *fdt)
{
	return must(fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3"), "arm,gic-v3");
}

static void widen_all(void *fdt)
{
	/* A PCI address, its pin, and the parent's phandle and address. */
	int before = 3 + 1 + 1 + must(fdt_address_cells(fdt, find_gic(fdt)), "#address-cells");

	for (int node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
		widen(fdt, node, "interrupts", 3);
		widen(fdt, node, "interrupt-map", before + 3);
	}
	must(fdt_setprop_u32(fdt, find_gic(fdt), "#interrupt-cells", 4), "#interrupt-cells");
}

/* The phandles of the CPUs, in the order of their addresses. */
static int find_cpus(const void *fdt, uint32_t *phandles)
{
	int cpus = must(fdt_path_offset(fdt, "/cpus"), "/cpus");
	int node;
	int nr = 0;

	fdt_for_each_subnode(node, fdt, cpus) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);
		const fdt32_t *reg = fdt_getprop(fdt, node, "reg", NULL);

		if (!type || strcmp(type, "cpu") || !reg)
			continue;
		if (fdt32_to_cpu(*reg) >= MAX_CPUS)
			die("/cpus: too many");
		phandles[fdt32_to_cpu(*reg)] = fdt_get_phandle(fdt, node);
		nr++;
	}
	return nr;
}

/* The partition of the CPUs in @list; returns its phandle. */
static uint32_t add_partition(void *fdt, int index, const char *list)
{
	uint32_t phandles[MAX_CPUS];
	fdt32_t affinity[MAX_CPUS];
	int nr_cpus = find_cpus(fdt, phandles);
	uint32_t phandle = FIRST_PHANDLE + (uint32_t)index;
	char name[32];
	int parent;
	int node;
	int nr = 0;

	for (char *end; *list; list = *end ? end + 1 : end) {
		unsigned long cpu = strtoul(list, &end, 10);

		if (end == list || (*end && *end != ',') || cpu >= (unsigned long)nr_cpus)
			die("no CPU '%s'", list);
		affinity[nr++] = cpu_to_fdt32(phandles[cpu]);
	}
	parent = fdt_subnode_offset(fdt, find_gic(fdt), "ppi-partitions");
	if (parent < 0)
		parent = must(fdt_add_subnode(fdt, find_gic(fdt), "ppi-partitions"), "ppi-partitions");
	snprintf(name, sizeof(name), "interrupt-partition-%d", index);
	node = must(fdt_add_subnode(fdt, parent, name), name);
	must(fdt_setprop(fdt, node, "affinity", affinity, nr * 4), name);
	must(fdt_setprop_u32(fdt, node, "phandle", phandle), name);
	return phandle;
}

static void add_pmu(void *fdt, int index, const char *compatible, uint32_t partition)
{
	const fdt32_t irq[] = {		/* PPI 7, level, high */
		cpu_to_fdt32(1), cpu_to_fdt32(7), cpu_to_fdt32(4), cpu_to_fdt32(partition),
	};
	char name[16];
	int node;

	snprintf(name, sizeof(name), "pmu-%d", index);
	node = must(fdt_add_subnode(fdt, 0, name), name);
	must(fdt_setprop_string(fdt, node, "compatible", compatible), name);
	must(fdt_setprop(fdt, node, "interrupts", irq, sizeof(irq)), name);
}

int main(int argc, char **argv)
{
	void *fdt;

	if (argc < 4)
		die("usage: pmus IN.dtb OUT.dtb COMPATIBLE=CPU,CPU...");
	fdt = load(argv[1]);
	must(fdt_del_node(fdt, must(fdt_path_offset(fdt, "/pmu"), "/pmu")), "/pmu");
	widen_all(fdt);
	for (int i = 3; i < argc; i++) {
		char *list = strchr(argv[i], '=');

		if (!list)
			die("%s: not COMPATIBLE=CPU,CPU...", argv[i]);
		*list++ = '\0';
		add_pmu(fdt, i - 3, argv[i], add_partition(fdt, i - 3, list));
	}
	save(fdt, argv[2]);
	return 0;
}
