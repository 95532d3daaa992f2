/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_stat.c - vmm stat
 */
#include <stdio.h>
#include <string.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/balloon.h"
#include "vmm/cli/columns.h"
#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/uptime.h"
#include "vmm/cli/whom.h"

static void stat_help(void)
{
	fputs("usage: vmm stat [--json] [-a | [-n] NAME...]\n"
	      "\n"
	      "Show what the vCPUs of a running guest have done, what was done to them, how\n"
	      "much memory it has given up, if it has a balloon, which frames its network cards\n"
	      "have dropped, and whether the processes that serve devices of it are there.\n"
	      "NAME may be left out if only one guest runs.\n"
	      "\n"
	      WHOM_HELP
	      "  -m, --memory       accepted, and shown anyway\n"
	      "      --json         as the guest tells it, in JSON; of several, an array\n"
	      "  -h, --help         show this text\n", stdout);
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

static void print_backend(const json_t *backend)
{
	json_int_t seconds = ask_number(backend, "reconnect");

	printf("%s %s: its process ", ask_string(backend, "option"), ask_string(backend, "socket"));
	if (json_is_true(json_object_get(backend, "connected")))
		puts("is there");
	else if (seconds > 0)
		printf("has gone, another is looked for every %lld s\n", (long long)seconds);
	else
		puts("has gone");
}

/* Only of one that has dropped something; the cards are counted as vmm link does. */
static void print_network(const json_t *network)
{
	json_int_t rx = ask_number(network, "rx_dropped");
	json_int_t tx = ask_number(network, "tx_dropped");

	if (rx > 0 || tx > 0)
		printf("network card %lld: dropped %lld frames to the guest, %lld from it\n",
		       (long long)ask_number(network, "card"), (long long)rx, (long long)tx);
}

static int print(const json_t *reply)
{
	static const char *const heads[] = {
		"vCPU", "thread", "on CPU", "state", "runs", "MMIO", "kicks", "wrong CPU",
		"others", "re-pins", "stalls", "may run on",
	};
	struct columns table = { .nr = sizeof(heads) / sizeof(heads[0]) };
	const json_t *vcpus = json_object_get(reply, "vcpus");
	const json_t *networks = json_object_get(reply, "networks");
	const json_t *backends = json_object_get(reply, "backends");
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
	balloon_print(json_object_get(reply, "balloon"));
	for (size_t i = 0; i < json_array_size(networks); i++)
		print_network(json_array_get(networks, i));
	for (size_t i = 0; i < json_array_size(backends); i++)
		print_backend(json_array_get(backends, i));
	return command_help_done();
}

/* ---- Whom to ask ---------------------------------------------------------------- */

/* One that does not answer does not keep us from asking the others. */
static int collect(const struct whom *whom, json_t *replies)
{
	int status = 0;

	for (int i = 0; i < whom->nr; i++) {
		struct vmm_error err;
		json_t *reply;

		if (ask(&whom->dir, whom->names[i], "{\"command\":\"stat\"}", &reply, &err)) {
			report_fatal("%s", err.msg);
			status = STATUS_ERROR;
			continue;
		}
		json_array_append_new(replies, reply);
	}
	return status;
}

static int print_all(const struct whom *whom, const json_t *replies)
{
	bool list = whom->all || whom->nr > 1;
	int status = 0;

	if (whom->json)
		return list ? ask_print(replies) : ask_print(json_array_get(replies, 0));
	for (size_t i = 0; i < json_array_size(replies) && !status; i++) {
		if (i)
			putchar('\n');
		status = print(json_array_get(replies, i));
	}
	return status;
}

static int stat_run(int argc, char **argv)
{
	bool memory;
	const struct whom_option options[] = {
		{ 'm', "memory", &memory, NULL },	/* kvmtool's */
		{ 0, NULL, NULL, NULL },
	};
	json_t *replies;
	struct whom whom;
	int printed = 0;
	int status = whom_parse(&whom, options, argc, argv);

	if (status)
		return status;
	if (whom.help) {
		stat_help();
		return command_help_done();
	}
	status = whom_open(&whom, true);
	replies = json_array();
	if (!status) {
		status = collect(&whom, replies);
		if (whom.all || json_array_size(replies))
			printed = print_all(&whom, replies);
	}
	json_decref(replies);
	whom_close(&whom);
	return status ? status : printed;
}

const struct command command_stat = {
	.name = "stat",
	.summary = "show what a running guest's vCPUs do",
	.run = stat_run,
	.help = stat_help,
};
