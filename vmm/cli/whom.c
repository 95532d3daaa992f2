/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * whom.c - the guests that a command is for
 */
#include "vmm/cli/whom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

/* ---- The command line --------------------------------------------------------- */

static bool is_option(const struct whom_option *opt, const char *word, size_t len)
{
	if (word[1] == '-')
		return strlen(opt->name) + 2 == len && !strncmp(word + 2, opt->name, len - 2);
	return opt->letter && word[1] == opt->letter;
}

/* The option that @word is, and the argument in the same word, or NULL. */
static const struct whom_option *find(const struct whom_option *options, const char *word,
				      const char **value)
{
	bool is_long = word[1] == '-';
	size_t len = is_long ? strcspn(word, "=") : 2;

	*value = NULL;
	if (word[len])
		*value = word + len + is_long;
	for (; options && options->name; options++)
		if (is_option(options, word, len))
			return options;
	return NULL;
}

static int take_option(const struct whom *whom, const struct whom_option *opt, const char *value,
		       const char *next)
{
	if (opt->flag && value) {
		report_fatal("--%s: takes no argument", opt->name);
		return STATUS_USAGE;
	}
	if (opt->value && !value && !next) {
		report_fatal("--%s: the argument is missing, see 'vmm help %s'", opt->name,
			     whom->command);
		return STATUS_USAGE;
	}
	if (opt->flag)
		*opt->flag = true;
	else
		*opt->value = value ? value : next;
	return 0;
}

int whom_parse(struct whom *whom, const struct whom_option *options, int argc, char **argv)
{
	const char *name = NULL;
	const struct whom_option common[] = {
		{ 'a', "all", &whom->all, NULL },
		{ 'n', "name", NULL, &name },
		{ 0, "json", &whom->json, NULL },
		{ 0, NULL, NULL, NULL },
	};

	memset(whom, 0, sizeof(*whom));
	whom->command = argv[0];
	whom->names = argv;
	whom->dir.fd = -1;
	for (int i = 1; i < argc; i++) {
		const struct whom_option *opt;
		const char *value;
		int status;

		if (command_wants_help(argv[i])) {
			whom->help = true;
			return 0;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			whom->names[whom->nr++] = argv[i];
			continue;
		}
		opt = find(common, argv[i], &value);
		if (!opt)
			opt = find(options, argv[i], &value);
		if (!opt) {
			report_fatal("%s: unknown option, see 'vmm help %s'", argv[i], whom->command);
			return STATUS_USAGE;
		}
		status = take_option(whom, opt, value, i + 1 < argc ? argv[i + 1] : NULL);
		if (status)
			return status;
		i += opt->value && !value;
		if (name)
			whom->names[whom->nr++] = (char *)name;
		name = NULL;
	}
	if (!whom->all || !whom->nr)
		return 0;
	report_fatal("%s: --all excludes names", whom->names[0]);
	return STATUS_USAGE;
}

/* ---- Who runs ------------------------------------------------------------------- */

/* Among several, or with no right to choose. */
static int which(char **names)
{
	char list[256] = "";
	size_t len = 0;

	for (size_t i = 0; names[i] && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					names[i]);
	report_fatal("which guest? %s", list);
	return STATUS_USAGE;
}

int whom_open(struct whom *whom, bool lone)
{
	int status = ask_who(&whom->dir, &whom->living);
	int nr = 0;

	if (status || whom->nr)
		return status;
	while (whom->living[nr])
		nr++;
	whom->names = whom->living;
	if (!whom->all && !nr) {
		report_fatal("no guest is running");
		return STATUS_ERROR;
	}
	if (!whom->all && (nr > 1 || !lone))
		return which(whom->living);
	whom->nr = nr;
	return 0;
}

void whom_close(struct whom *whom)
{
	free(whom->living);
	whom->living = NULL;
	sockdir_close(&whom->dir);
}

/* ---- One request for each ---------------------------------------------------------- */

/* One that fails does not keep the others from being asked. */
static int tell_each(const struct whom *whom, const char *request, json_t *replies)
{
	int status = 0;

	for (int i = 0; i < whom->nr; i++) {
		struct vmm_error err;
		json_t *reply;

		if (ask(&whom->dir, whom->names[i], request, &reply, &err)) {
			report_fatal("%s", err.msg);
			status = STATUS_ERROR;
			continue;
		}
		json_array_append_new(replies, reply);
	}
	return status;
}

int whom_send(struct whom *whom, const char *request)
{
	json_t *replies = json_array();
	int status = whom_open(whom, false);

	if (!status) {
		status = tell_each(whom, request, replies);
		if (whom->json && ask_print(replies))
			status = STATUS_ERROR;
	}
	whom_close(whom);
	json_decref(replies);
	return status;
}

int whom_tell(int argc, char **argv, const char *request, void (*help)(void))
{
	struct whom whom;
	int status = whom_parse(&whom, NULL, argc, argv);

	if (status)
		return status;
	if (whom.help) {
		help();
		return command_help_done();
	}
	return whom_send(&whom, request);
}
