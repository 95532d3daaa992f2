/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.c - from a command's name to the command, and what all of them share
 */
#include "vmm/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

#define COMMAND_ROW(cmd)	&command_##cmd,
static const struct command *const commands[] = { COMMANDS(COMMAND_ROW) NULL };

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

const struct command *command_at(size_t index)
{
	return commands[index];
}

bool command_wants_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

int command_help_done(void)
{
	if (fflush(stdout) || ferror(stdout)) {
		report_fatal("stdout: cannot write to it");
		return STATUS_ERROR;
	}
	return STATUS_OFF;
}
