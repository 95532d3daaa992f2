/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_stat.c - vmm stat
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/columns.h"
#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/uptime.h"

static void stat_help(void)
{
	fputs("usage: vmm stat [--json] [NAME]\n"
	      "\n"
	      "Show what the vCPUs of a running guest have done, and what was done to them.\n"
	      "NAME may be left out if only one guest runs.\n"
	      "\n"
	      "      --json    as the guest tells it, in JSON\n"
	      "  -h, --help    show this text\n", stdout);
}

struct stat_options {
	const char	*name;
	bool		json;
	bool		help;
};

static int parse(struct stat_options *opts, int argc, char **argv)
{
	memset(opts, 0, sizeof(*opts));
	for (int i = 1; i < argc; i++) {
		if (command_wants_help(argv[i])) {
			opts->help = true;
			return 0;
		}
		if (!strcmp(argv[i], "--json")) {
			opts->json = true;
		} else if (argv[i][0] == '-') {
			report_fatal("%s: unknown option, see 'vmm help stat'", argv[i]);
			return STATUS_USAGE;
		} else if (opts->name) {
			report_fatal("%s: one argument too many", argv[i]);
			return STATUS_USAGE;
		} else {
			opts->name = argv[i];
		}
	}
	return 0;
}

/* ---- For people ----------------------------------------------------------------- */

/* Bucket @i of vmm.h's repin_latency: less than 2^i microseconds. */
static void add_latency(char *buf, size_t size, size_t i, bool last, json_int_t count)
{
	static const char *const units[] = { "us", "ms", "s" };
	size_t exponent = last ? i - 1 : i;
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s%s%u %s %lld", len ? ", " : "", last ? ">" : "<",
		 1u << exponent % 10, units[exponent / 10 < 2 ? exponent / 10 : 2],
		 (long long)count);
}

static void print_latency(const json_t *vcpu)
{
	const json_t *list = json_object_get(vcpu, "repin_latency");
	size_t nr = json_array_size(list);
	char text[512] = "";

	for (size_t i = 0; i < nr && i < 30; i++) {
		json_int_t count = json_integer_value(json_array_get(list, i));

		if (count)
			add_latency(text, sizeof(text), i, i == nr - 1, count);
	}
	if (*text)
		printf("vCPU %lld, time to re-pin: %s\n",
		       (long long)ask_number(vcpu, "index"), text);
}

static void add_vcpu(struct columns *table, const json_t *vcpu)
{
	const json_t *cpu = json_object_get(vcpu, "cpu");
	const json_t *exits = json_object_get(vcpu, "exits");

	columns_add(table, "%lld", (long long)ask_number(vcpu, "index"));
	columns_add(table, "%lld", (long long)ask_number(vcpu, "thread"));
	if (json_is_integer(cpu))
		columns_add(table, "%lld", (long long)json_integer_value(cpu));
	else
		columns_add(table, "-");
	columns_add(table, "%s", ask_string(vcpu, "state"));
	columns_add(table, "%lld", (long long)ask_number(vcpu, "runs"));
	columns_add(table, "%lld", (long long)ask_number(exits, "mmio"));
	columns_add(table, "%lld", (long long)ask_number(exits, "kick"));
	columns_add(table, "%lld", (long long)ask_number(exits, "wrong_cpu"));
	columns_add(table, "%lld", (long long)ask_number(exits, "other"));
	columns_add(table, "%lld", (long long)ask_number(vcpu, "repins"));
	columns_add(table, "%lld", (long long)ask_number(vcpu, "stalls"));
	columns_add(table, "%s", ask_string(vcpu, "placement"));
}

static int print(const json_t *reply)
{
	static const char *const heads[] = {
		"vCPU", "thread", "on CPU", "state", "runs", "MMIO", "kicks", "wrong CPU",
		"others", "re-pins", "stalls", "may run on",
	};
	struct columns table = { .nr = sizeof(heads) / sizeof(heads[0]) };
	const json_t *vcpus = json_object_get(reply, "vcpus");
	const char *reason = ask_string(reply, "reason");
	char up[UPTIME_SIZE];

	printf("%s: %s, process %lld, up %s%s%s\n\n", ask_string(reply, "name"),
	       ask_string(reply, "state"), (long long)ask_number(reply, "pid"),
	       uptime_format(json_number_value(json_object_get(reply, "uptime")), up),
	       *reason ? "\n" : "", reason);
	for (size_t i = 0; i < table.nr; i++)
		columns_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < json_array_size(vcpus); i++)
		add_vcpu(&table, json_array_get(vcpus, i));
	if (columns_print(&table)) {
		report_fatal("out of memory");
		return STATUS_ERROR;
	}
	for (size_t i = 0; i < json_array_size(vcpus); i++)
		print_latency(json_array_get(vcpus, i));
	return command_help_done();
}

/* ---- Whom to ask ---------------------------------------------------------------- */

static int ask_and_print(const struct sockdir *dir, const char *name, bool json)
{
	struct vmm_error err;
	json_t *reply;
	int status;

	if (ask(dir, name, "{\"command\":\"stat\"}", &reply, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_ERROR;
	}
	if (json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
		status = command_help_done();
	} else {
		status = print(reply);
	}
	json_decref(reply);
	return status;
}

/* The only one there is. */
static int choose(char **names, const char **name)
{
	char list[256] = "";
	size_t len = 0;

	*name = names[0];
	if (!names[0]) {
		report_fatal("no guest is running");
		return STATUS_ERROR;
	}
	if (!names[1])
		return 0;
	for (size_t i = 0; names[i] && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					names[i]);
	report_fatal("which guest? %s", list);
	return STATUS_USAGE;
}

static int stat_run(int argc, char **argv)
{
	struct stat_options opts;
	struct sockdir dir;
	char **names;
	int status = parse(&opts, argc, argv);

	if (status)
		return status;
	if (opts.help) {
		stat_help();
		return command_help_done();
	}
	status = ask_who(&dir, &names);
	if (status)
		return status;
	if (!opts.name)
		status = choose(names, &opts.name);
	if (!status)
		status = ask_and_print(&dir, opts.name, opts.json);
	free(names);
	sockdir_close(&dir);
	return status;
}

const struct command command_stat = {
	.name = "stat",
	.summary = "show what a running guest's vCPUs do",
	.run = stat_run,
	.help = stat_help,
};
