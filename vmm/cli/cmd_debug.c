/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_debug.c - vmm debug
 */
#include <stdio.h>
#include <string.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

static void debug_help(void)
{
	fputs("usage: vmm debug [--dump] [--sysrq KEY] [--json] [-a | [-n] NAME...]\n"
	      "\n"
	      "Show what is in guests' vCPUs: registers, and from where functions were called.\n"
	      "Or send Linux a magic SysRq, on its console.\n"
	      "NAME may be left out if only one guest runs.\n"
	      "\n"
	      WHOM_HELP
	      "  -d, --dump         show it also if --sysrq is given\n"
	      "  -s, --sysrq KEY    send this one, h for help\n"
	      "      --json         as the guest tells it\n"
	      "  -h, --help         show this text\n", stdout);
}

/* ---- For people ----------------------------------------------------------------- */

static void print_registers(const json_t *registers)
{
	const char *name;
	json_t *val;
	int i = 0;

	json_object_foreach((json_t *)registers, name, val)
		printf("%s%9s %s", i++ % 3 ? "  " : i > 1 ? "\n" : "", name, json_string_value(val) + 2);
	putchar('\n');
}

static void print_vcpu(const json_t *vcpu)
{
	const json_t *trace = json_object_get(vcpu, "backtrace");

	printf("\nvCPU %lld: ", (long long)ask_number(vcpu, "index"));
	if (json_is_true(json_object_get(vcpu, "off"))) {
		puts("off");
		return;
	}
	if (*ask_string(vcpu, "error")) {
		puts(ask_string(vcpu, "error"));
		return;
	}
	printf("at EL%lld\n", (long long)ask_number(vcpu, "el"));
	print_registers(json_object_get(vcpu, "registers"));
	puts("called from:");
	for (size_t i = 0; i < json_array_size(trace); i++)
		printf("%9zu %s\n", i, json_string_value(json_array_get(trace, i)) + 2);
}

static int print(const json_t *reply)
{
	const json_t *vcpus = json_object_get(reply, "vcpus");

	printf("%s: %s\n", ask_string(reply, "name"), ask_string(reply, "state"));
	for (size_t i = 0; i < json_array_size(vcpus); i++)
		print_vcpu(json_array_get(vcpus, i));
	return command_help_done();
}

/* ---- Whom to ask ---------------------------------------------------------------- */

static int ask_one(const struct whom *whom, const char *name, const char *request, json_t *replies)
{
	struct vmm_error err;
	json_t *reply;

	if (ask(&whom->dir, name, request, &reply, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_ERROR;
	}
	json_array_append_new(replies, reply);
	return 0;
}

static int debug(const struct whom *whom, const char *sysrq, bool dump)
{
	json_t *replies = json_array();
	char request[64];
	int status = 0;

	for (int i = 0; i < whom->nr && sysrq; i++) {
		snprintf(request, sizeof(request), "{\"command\":\"sysrq\",\"key\":\"%s\"}", sysrq);
		status |= ask_one(whom, whom->names[i], request, replies);
	}
	if (dump)
		json_array_clear(replies);
	for (int i = 0; i < whom->nr && dump; i++)
		status |= ask_one(whom, whom->names[i], "{\"command\":\"dump\"}", replies);
	if (whom->json)
		status |= ask_print(replies);
	for (size_t i = 0; i < json_array_size(replies) && dump && !whom->json; i++) {
		if (i)
			putchar('\n');
		status |= print(json_array_get(replies, i));
	}
	json_decref(replies);
	return status ? STATUS_ERROR : 0;
}

/* Those that Linux knows are letters and digits. */
static int check(const char *sysrq)
{
	if (!sysrq || (strlen(sysrq) == 1 && strspn(sysrq, "abcdefghijklmnopqrstuvwxyzR0123456789")))
		return 0;
	report_fatal("--sysrq %s: not a letter or digit", sysrq);
	return STATUS_USAGE;
}

static int debug_run(int argc, char **argv)
{
	const char *sysrq = NULL;
	bool dump = false;
	const struct whom_option options[] = {
		{ 'd', "dump", &dump, NULL },
		{ 's', "sysrq", NULL, &sysrq },
		{ 0, NULL, NULL, NULL },
	};
	struct whom whom;
	int status = whom_parse(&whom, options, argc, argv);

	if (!status && !whom.help)
		status = check(sysrq);
	if (status)
		return status;
	if (whom.help) {
		debug_help();
		return command_help_done();
	}
	status = whom_open(&whom, !sysrq);
	if (!status)
		status = debug(&whom, sysrq, dump || !sysrq);
	whom_close(&whom);
	return status;
}

const struct command command_debug = {
	.name = "debug",
	.summary = "show what is in guests' vCPUs, or send them a SysRq",
	.run = debug_run,
	.help = debug_help,
};
