/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_list.c - vmm list
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

static void list_help(void)
{
	fputs("usage: vmm list [--run] [--json]\n"
	      "\n"
	      "List the guests of this user that are running.\n"
	      "\n"
	      "  -i, --run     as without it\n"
	      "      --json    in JSON\n"
	      "  -h, --help    show this text\n", stdout);
}

/* What `vmm stat` says of each, without the vCPUs; "state" alone if it does not answer. */
static json_t *collect(const struct sockdir *dir, char **names)
{
	json_t *list = json_array();

	for (size_t i = 0; list && names[i]; i++) {
		struct vmm_error err;
		json_t *reply;
		size_t nr;

		if (ask(dir, names[i], "{\"command\":\"stat\"}", &reply, &err)) {
			reply = json_pack("{s:s, s:s}", "name", names[i], "state", "no answer");
		} else {
			nr = json_array_size(json_object_get(reply, "vcpus"));
			json_object_set_new(reply, "vcpus", json_integer((json_int_t)nr));
		}
		json_array_append_new(list, reply);
	}
	return list;
}

static void add_number(struct columns *table, const json_t *guest, const char *key)
{
	const json_t *number = json_object_get(guest, key);

	if (number)
		columns_add(table, "%lld", (long long)json_integer_value(number));
	else
		columns_add(table, "-");
}

static int print(const json_t *list)
{
	static const char *const heads[] = { "name", "process", "vCPUs", "state", "up" };
	struct columns table = { .nr = sizeof(heads) / sizeof(heads[0]) };

	for (size_t i = 0; i < table.nr && json_array_size(list); i++)
		columns_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *guest = json_array_get(list, i);
		const json_t *up = json_object_get(guest, "uptime");
		char text[UPTIME_SIZE] = "-";

		columns_add(&table, "%s", ask_string(guest, "name"));
		add_number(&table, guest, "pid");
		add_number(&table, guest, "vcpus");
		columns_add(&table, "%s", ask_string(guest, "state"));
		if (up)
			uptime_format(json_number_value(up), text);
		columns_add(&table, "%s", text);
	}
	if (!columns_print(&table))
		return command_help_done();
	report_fatal("out of memory");
	return STATUS_ERROR;
}

static int list_run(int argc, char **argv)
{
	struct sockdir dir;
	bool json = false;
	char **names;
	json_t *list;
	int status;

	for (int i = 1; i < argc; i++) {
		if (command_wants_help(argv[i])) {
			list_help();
			return command_help_done();
		}
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (strcmp(argv[i], "--run") && strcmp(argv[i], "-i")) {
			report_fatal("%s: wrong argument, see 'vmm help list'", argv[i]);
			return STATUS_USAGE;
		}
	}
	status = ask_who(&dir, &names);
	if (status)
		return status;
	list = collect(&dir, names);
	status = json ? ask_print(list) : print(list);
	json_decref(list);
	free(names);
	sockdir_close(&dir);
	return status;
}

const struct command command_list = {
	.name = "list",
	.summary = "list the guests that are running",
	.run = list_run,
	.help = list_help,
};
