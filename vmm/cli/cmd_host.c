/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_host.c - vmm host
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/columns.h"
#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/speopt.h"
#include "vmm/cli/status.h"

#include "vmm.h"

#define FIELD		12	/* what stands in front of a line's matter */

struct host_options {
	bool		json;
	bool		spe;		/* the verdict is the exit status */
	bool		help;
	const char	*dev;
	struct speopt	speopt;
};

struct host {
	struct vmm_host		*host;
	struct vmm_host_info	info;
	struct vmm_host_verdict	verdict;
};

static void host_help(void)
{
	fputs("usage: vmm host [--json] [--spe[=KEY=VALUE,...]] [--dev PATH]\n"
	      "\n"
	      "Show what this host can do for guests.\n"
	      "\n"
	      "      --json    in JSON\n"
	      "      --spe     say whether 'vmm run --spe' would work, with the same\n"
	      "                argument, and exit with status 0 if so, else 1\n"
	      "      --dev PATH\n"
	      "                KVM device (default: /dev/kvm)\n"
	      "  -h, --help    show this text\n", stdout);
}

/* ---- Options -------------------------------------------------------------------- */

static int usage(const char *word, const char *matter)
{
	report_fatal("%s: %s", word, matter);
	return STATUS_USAGE;
}

static int take_spe(struct host_options *opts, const char *arg)
{
	struct vmm_error err;
	int ret;

	opts->spe = true;
	speopt_fini(&opts->speopt);
	ret = speopt_parse(&opts->speopt, arg, &err);
	if (!ret)
		return 0;
	report_fatal("%s", err.msg);
	return ret == -EINVAL ? STATUS_USAGE : STATUS_ERROR;
}

static int parse(struct host_options *opts, int argc, char **argv)
{
	for (int i = 1; i < argc && !opts->help; i++) {
		const char *word = argv[i];
		int status = 0;

		if (command_wants_help(word))
			opts->help = true;
		else if (!strcmp(word, "--json"))
			opts->json = true;
		else if (!strcmp(word, "--spe"))
			status = take_spe(opts, NULL);
		else if (!strncmp(word, "--spe=", 6))
			status = take_spe(opts, word + 6);
		else if (!strncmp(word, "--dev=", 6))
			opts->dev = word + 6;
		else if (!strcmp(word, "--dev") && i + 1 < argc)
			opts->dev = argv[++i];
		else if (!strcmp(word, "--dev"))
			status = usage(word, "the argument is missing, PATH");
		else
			status = usage(word, "unknown argument, see 'vmm help host'");
		if (status)
			return status;
	}
	return 0;
}

/* ---- Words ------------------------------------------------------------------------ */

static const struct {
	uint64_t	bit;
	const char	*key;
	const char	*name;
} features[] = {
	{ VMM_HOST_PMU, "pmu", "PMU" },
	{ VMM_HOST_SVE, "sve", "SVE" },
	{ VMM_HOST_PAUTH, "pauth", "pointer authentication" },
	{ VMM_HOST_MTE, "mte", "MTE" },
	{ VMM_HOST_PVTIME, "pvtime", "stolen time" },
	{ VMM_HOST_NESTED, "nested", "EL2" },
	{ VMM_HOST_E2H0, "e2h0", "EL2 without VHE" },
	{ VMM_HOST_COUNTER_OFFSET, "counter_offset", "counter offset" },
	{ VMM_HOST_AARCH32, "aarch32", "32-bit EL1" },
	{ VMM_HOST_GUEST_MEMFD, "guest_memfd", "guest_memfd that can be mapped" },
	{ VMM_HOST_PRE_FAULT, "pre_fault", "memory mapped ahead of time" },
};

static const char *const irqchips[] = {
	[VMM_IRQCHIP_GICV2] = "gicv2",
	[VMM_IRQCHIP_GICV3] = "gicv3",
	[VMM_IRQCHIP_GICV3_ITS] = "gicv3-its",
};

static const struct {
	uint32_t	bit;
	const char	*name;
	size_t		offset;
} spe_caps[] = {
	{ VMM_HOST_SPE_ARCH_INST, "arch_inst", offsetof(struct vmm_host_spe, arch_inst) },
	{ VMM_HOST_SPE_COUNT_SIZE, "count_size", offsetof(struct vmm_host_spe, count_size) },
	{ VMM_HOST_SPE_ERND, "ernd", offsetof(struct vmm_host_spe, ernd) },
	{ VMM_HOST_SPE_MIN_INTERVAL, "min_interval", offsetof(struct vmm_host_spe, min_interval) },
	{ VMM_HOST_SPE_EVENT_FILTER, "event_filter", offsetof(struct vmm_host_spe, event_filter) },
	{ VMM_HOST_SPE_MAX_BUFF_SIZE, "max_buff_size", offsetof(struct vmm_host_spe, max_buff_size) },
};

#define COUNT(table)	(sizeof(table) / sizeof((table)[0]))

static uint64_t spe_cap(const struct vmm_host_spe *spe, size_t i)
{
	uint64_t val;

	memcpy(&val, (const char *)spe + spe_caps[i].offset, sizeof(val));
	return val;
}

/* A message of the library's names its object, which is clear here. */
static const char *without(const char *object, const char *msg)
{
	size_t len = strlen(object);

	return !strncmp(msg, object, len) && !strncmp(msg + len, ": ", 2) ? msg + len + 2 : msg;
}

/* ---- For people -------------------------------------------------------------------- */

static void print_limit(const char *name, uint64_t soft, uint64_t hard, unsigned int shift,
			const char *unit)
{
	const uint64_t limits[] = { soft, hard };

	printf("%s ", name);
	for (size_t i = 0; i < 2; i++) {
		if (i && soft == hard)
			break;
		printf("%s", i ? " (hard: " : "");
		if (limits[i] == UINT64_MAX)
			printf("unlimited");
		else
			printf("%llu%s", (unsigned long long)limits[i] >> shift, unit);
		printf("%s", i ? ")" : "");
	}
}

static void print_kvm(const struct vmm_host_info *info)
{
	const char *sep = "";

	if (info->kvm_error) {
		printf("%-*sno: %s\n", FIELD, "KVM", without("KVM", info->kvm_why));
		return;
	}
	printf("%-*sversion %u, at most %u vCPUs, %u bits of guest addresses\n", FIELD, "KVM",
	       info->kvm_version, info->max_vcpus, info->ipa_bits);
	printf("%-*s", FIELD, "GIC");
	for (size_t i = VMM_IRQCHIP_GICV2; i < COUNT(irqchips); i++) {
		if (!(info->irqchips & 1ull << i))
			continue;
		printf("%s%s", sep, irqchips[i]);
		sep = ", ";
	}
	printf("\n%-*s", FIELD, "for guests");
	sep = "";
	for (size_t i = 0; i < COUNT(features); i++) {
		if (!(info->features & features[i].bit))
			continue;
		printf("%s%s", sep, features[i].name);
		sep = ", ";
	}
	printf("%s\n", *sep ? "" : "nothing beyond the least");
}

static void print_info(const struct vmm_host_info *info)
{
	printf("%-*sLinux %s, %s\n", FIELD, "host", info->kernel, info->machine);
	print_kvm(info);
	printf("%-*s", FIELD, "limits");
	print_limit("RLIMIT_MEMLOCK", info->memlock, info->memlock_max, 10, " KiB");
	printf(", ");
	print_limit("RLIMIT_NOFILE", info->nofile, info->nofile_max, 0, "");
	printf("\n%-*s%s, ", FIELD, "sandbox", info->seccomp ? "seccomp filters" : "no seccomp filters");
	if (info->landlock)
		printf("Landlock version %u, ", info->landlock);
	else
		printf("no Landlock: files stay open to it, ");
	printf("%s\n", info->userns ? "user namespaces" : "no user namespaces: none for helpers");
	printf("%-*s%s\n", FIELD, "I/O",
	       info->io_uring ? "io_uring" : "no io_uring: by threads, which takes more of its time");
}

static void add_text(struct columns *table, const char *text)
{
	columns_add(table, "%s", *text ? text : "-");
}

static void add_cpu(struct columns *table, const struct vmm_host_cpu *cpu)
{
	columns_add(table, "%u", cpu->number);
	columns_add(table, "%s", cpu->online ? "yes" : "no");
	/* One that is offline is nobody's for now. */
	columns_add(table, "%s", !cpu->online ? "-" : cpu->allowed ? "yes" : "no");
	if (*cpu->name || !cpu->midr)
		add_text(table, cpu->name);
	else
		columns_add(table, "0x%llx", (unsigned long long)cpu->midr);
	add_text(table, cpu->pmu);
	add_text(table, cpu->spe);
}

static int print_cpus(const struct vmm_host *host)
{
	static const char *const heads[] = { "CPU", "online", "allowed", "core", "PMU", "SPE" };
	struct columns table = { .nr = COUNT(heads) };
	struct vmm_host_cpu cpu = VMM_HOST_CPU_INIT;

	for (size_t i = 0; i < table.nr; i++)
		columns_add(&table, "%s", heads[i]);
	for (uint32_t i = 0; !vmm_host_cpu(host, i, &cpu); i++)
		add_cpu(&table, &cpu);
	putchar('\n');
	return columns_print(&table);
}

static void add_spe(struct columns *table, const struct vmm_host_spe *spe)
{
	columns_add(table, "%s", spe->name);
	columns_add(table, "%s", spe->cpus);
	for (size_t i = 0; i < COUNT(spe_caps); i++) {
		if (spe->known & spe_caps[i].bit)
			columns_add(table, "%llu", (unsigned long long)spe_cap(spe, i));
		else
			columns_add(table, "-");
	}
	columns_add(table, "%s", spe->reason);
}

static int print_spes(const struct vmm_host *host)
{
	struct columns table = { .nr = COUNT(spe_caps) + 3 };
	struct vmm_host_spe spe = VMM_HOST_SPE_INIT;

	columns_add(&table, "SPE");
	columns_add(&table, "CPUs");
	for (size_t i = 0; i < COUNT(spe_caps); i++)
		columns_add(&table, "%s", spe_caps[i].name);
	columns_add(&table, "%s", "");
	for (uint32_t i = 0; !vmm_host_spe(host, i, &spe); i++)
		add_spe(&table, &spe);
	putchar('\n');
	return columns_print(&table);
}

static void print_verdict(const struct vmm_host_verdict *v)
{
	const char *why = without("SPE", v->why);

	if (v->error) {
		printf("vmm run --spe: no, because %s\n", why);
		return;
	}
	printf("vmm run --spe: yes, on CPUs %s (%s, interface %s)%s%s\n", v->cpus, v->instance,
	       v->abi, *why ? "; " : "", why);
}

static int print(const struct host *h)
{
	int ret;

	print_info(&h->info);
	ret = print_cpus(h->host);
	if (!ret && h->info.nr_spes)
		ret = print_spes(h->host);
	putchar('\n');
	print_verdict(&h->verdict);
	return ret;
}

/* ---- For programs ------------------------------------------------------------------ */

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *limit_or_null(uint64_t limit)
{
	return limit > INT64_MAX ? json_null() : json_integer((json_int_t)limit);
}

static json_t *describe_kvm(const struct vmm_host_info *info)
{
	json_t *chips = json_array();
	json_t *has = json_object();

	for (size_t i = VMM_IRQCHIP_GICV2; i < COUNT(irqchips); i++)
		if (info->irqchips & 1ull << i)
			json_array_append_new(chips, json_string(irqchips[i]));
	for (size_t i = 0; i < COUNT(features); i++)
		json_object_set_new(has, features[i].key,
				    json_boolean(info->features & features[i].bit));
	return json_pack("{s:b, s:o, s:i, s:i, s:i, s:o, s:o}",
			 "usable", !info->kvm_error,
			 "reason", text_or_null(info->kvm_why),
			 "version", (int)info->kvm_version,
			 "max_vcpus", (int)info->max_vcpus,
			 "ipa_bits", (int)info->ipa_bits,
			 "irqchips", chips,
			 "features", has);
}

static json_t *describe_cpus(const struct vmm_host *host)
{
	json_t *list = json_array();
	struct vmm_host_cpu cpu = VMM_HOST_CPU_INIT;

	for (uint32_t i = 0; !vmm_host_cpu(host, i, &cpu); i++) {
		char midr[24] = "";

		if (cpu.midr)
			snprintf(midr, sizeof(midr), "0x%llx", (unsigned long long)cpu.midr);
		json_array_append_new(list, json_pack("{s:i, s:b, s:b, s:o, s:o, s:o, s:o}",
						      "number", (int)cpu.number,
						      "online", cpu.online,
						      "allowed", cpu.allowed,
						      "midr", text_or_null(midr),
						      "name", text_or_null(cpu.name),
						      "pmu", text_or_null(cpu.pmu),
						      "spe", text_or_null(cpu.spe)));
	}
	return list;
}

static json_t *describe_spes(const struct vmm_host *host)
{
	json_t *list = json_array();
	struct vmm_host_spe spe = VMM_HOST_SPE_INIT;

	for (uint32_t n = 0; !vmm_host_spe(host, n, &spe); n++) {
		json_t *caps = json_object();

		for (size_t i = 0; i < COUNT(spe_caps); i++)
			if (spe.known & spe_caps[i].bit)
				json_object_set_new(caps, spe_caps[i].name,
						    json_integer((json_int_t)spe_cap(&spe, i)));
		json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:i, s:s, s:o}",
						      "name", spe.name,
						      "usable", !*spe.reason,
						      "reason", text_or_null(spe.reason),
						      "type", spe.type,
						      "cpus", spe.cpus,
						      "caps", caps));
	}
	return list;
}

static json_t *describe(const struct host *h)
{
	const struct vmm_host_info *info = &h->info;
	const struct vmm_host_verdict *v = &h->verdict;

	return json_pack("{s:s, s:s, s:o, s:{s:o, s:o, s:o, s:o}, s:{s:b, s:i, s:b}, s:b, s:o, s:o, s:{s:b, s:o, s:o, s:o, s:o}}",
			 "kernel", info->kernel,
			 "machine", info->machine,
			 "kvm", describe_kvm(info),
			 "limits",
				"memlock", limit_or_null(info->memlock),
				"memlock_max", limit_or_null(info->memlock_max),
				"nofile", limit_or_null(info->nofile),
				"nofile_max", limit_or_null(info->nofile_max),
			 "sandbox",
				"seccomp", (int)info->seccomp,
				"landlock", (int)info->landlock,
				"userns", (int)info->userns,
			 "io_uring", (int)info->io_uring,
			 "cpus", describe_cpus(h->host),
			 "spe", describe_spes(h->host),
			 "verdict",
				"spe", !v->error,
				"reason", text_or_null(v->why),
				"instance", text_or_null(v->instance),
				"cpus", text_or_null(v->cpus),
				"abi", text_or_null(v->abi));
}

static int print_json(const struct host *h)
{
	json_t *all = describe(h);

	if (!all)
		return -ENOMEM;
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return 0;
}

/* ---- The command ---------------------------------------------------------------------- */

static int show(const struct host_options *opts, const struct host *h)
{
	int ret = 0;
	int status;

	if (opts->json)
		ret = print_json(h);
	else if (opts->spe)
		print_verdict(&h->verdict);
	else
		ret = print(h);
	if (ret) {
		report_fatal("out of memory");
		return STATUS_ERROR;
	}
	status = command_help_done();
	return !status && opts->spe && h->verdict.error ? STATUS_ERROR : status;
}

static int open_dev(const struct host_options *opts, struct vmm_host_config *cfg)
{
	if (!opts->dev)
		return 0;
	cfg->kvm_fd = open(opts->dev, O_RDWR | O_CLOEXEC);
	if (cfg->kvm_fd < 0) {
		report_fatal("%s: %s", opts->dev, strerror(errno));
		return STATUS_ERROR;
	}
	cfg->flags = VMM_HOST_F_KVM_FD;
	return 0;
}

static int look(struct host_options *opts)
{
	struct vmm_host_config cfg = VMM_HOST_CONFIG_INIT;
	struct host h = { .info = VMM_HOST_INFO_INIT, .verdict = VMM_HOST_VERDICT_INIT };
	struct vmm_error err = { "" };
	int status;
	int ret;

	if (speopt_load(&opts->speopt, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_USAGE;
	}
	status = open_dev(opts, &cfg);
	if (status)
		return status;
	if (opts->spe)
		cfg.spe = &opts->speopt.cfg;
	ret = vmm_host_open(&h.host, &cfg, &err);
	if (cfg.flags & VMM_HOST_F_KVM_FD)
		close(cfg.kvm_fd);
	if (ret) {
		report_fatal("%s", err.msg[0] ? err.msg : strerror(-ret));
		return STATUS_ERROR;
	}
	ret = vmm_host_info(h.host, &h.info);
	if (!ret)
		ret = vmm_host_verdict(h.host, &h.verdict);
	status = ret ? STATUS_ERROR : show(opts, &h);
	vmm_host_close(h.host);
	return status;
}

static int host_run(int argc, char **argv)
{
	struct host_options opts = { .json = false };
	int status = parse(&opts, argc, argv);

	if (!status && opts.help) {
		host_help();
		status = command_help_done();
	} else if (!status) {
		status = look(&opts);
	}
	speopt_fini(&opts.speopt);
	return status;
}

const struct command command_host = {
	.name = "host",
	.summary = "show what this host can do for guests",
	.run = host_run,
	.help = host_help,
};
