/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.c - all the guests whose end a command waits for
 */
#include "vmm/cli/crowd.h"

#include <stdlib.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/number.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

#define TIMEOUT_MAX	(365 * 86400)	/* seconds */

int crowd_patience(const char *timeout, int64_t *ms)
{
	uint64_t seconds;

	if (!timeout)
		return 0;
	if (number_parse(timeout, &seconds) || seconds > TIMEOUT_MAX) {
		report_fatal("--timeout %s: not a number of seconds", timeout);
		return STATUS_USAGE;
	}
	*ms = (int64_t)seconds * 1000;
	return 0;
}

int crowd_join(struct crowd *crowd, const struct whom *whom)
{
	int status = 0;

	crowd->nr = 0;
	crowd->follows = calloc((size_t)whom->nr + 1, sizeof(*crowd->follows));
	if (!crowd->follows) {
		report_fatal("out of memory");
		return STATUS_ERROR;
	}
	for (int i = 0; i < whom->nr; i++) {
		struct follow *follow = &crowd->follows[crowd->nr];
		struct vmm_error err;

		if (!follow_open(follow, &whom->dir, whom->names[i], &err)) {
			crowd->nr++;
			continue;
		}
		follow_close(follow);
		report_fatal("%s", err.msg);
		status = STATUS_ERROR;
	}
	return status;
}

void crowd_leave(struct crowd *crowd)
{
	while (crowd->nr)
		follow_close(&crowd->follows[--crowd->nr]);
	free(crowd->follows);
	crowd->follows = NULL;
}

int crowd_wait(struct crowd *crowd, int64_t ms)
{
	return follow_wait(crowd->follows, crowd->nr, ms < 0 ? -1 : follow_clock_ms() + ms);
}

int crowd_status(const struct follow *follow)
{
	if (follow->status >= 0)
		return follow->status;
	report_fatal("%s: it ended without a word", follow->name);
	return STATUS_ERROR;
}

int crowd_print(const struct crowd *crowd)
{
	json_t *list = json_array();
	int status;

	for (size_t i = 0; i < crowd->nr; i++) {
		const struct follow *follow = &crowd->follows[i];
		json_t *how = json_pack("{s:s, s:b}", "name", follow->name, "ended", follow->ended);

		if (follow->status >= 0)
			json_object_set_new(how, "status", json_integer(follow->status));
		json_array_append_new(list, how);
	}
	status = ask_print(list);
	json_decref(list);
	return status;
}

int crowd_command(const struct crowd_command *command, int argc, char **argv)
{
	const char *timeout = NULL;
	bool force = false;
	const struct whom_option options[] = {
		{ 't', "timeout", NULL, &timeout },
		{ 'f', command->may_force ? "force" : NULL, &force, NULL },
		{ 0, NULL, NULL, NULL },
	};
	int64_t patience_ms = command->patience_ms;
	struct whom whom;
	int status = whom_parse(&whom, options, argc, argv);

	if (!status && !whom.help)
		status = crowd_patience(timeout, &patience_ms);
	if (status)
		return status;
	if (whom.help) {
		command->help();
		return command_help_done();
	}
	status = whom_open(&whom, false);
	if (!status)
		status = command->run(&whom, force, patience_ms);
	whom_close(&whom);
	return status;
}
