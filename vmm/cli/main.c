/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - where the program begins
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/command.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"

/*
 * Started with one of the first three descriptors closed, the next file opened
 * would take its place, and the guest's console or a log line go into it.
 */
static int fill_std_fds(void)
{
	struct pollfd std[] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

	if (poll(std, 3, 0) <= 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		if ((std[i].revents & POLLNVAL) && open("/dev/null", O_RDWR) < 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (fill_std_fds())
		return STATUS_ERROR;
	if (argc < 2) {
		report_fatal("no command, see 'vmm --help'");
		return STATUS_USAGE;
	}
	if (command_wants_help(argv[1]))
		argv[1] = (char *)"help";
	else if (!strcmp(argv[1], "--version"))
		argv[1] = (char *)"version";
	command = command_find(argv[1]);
	if (!command) {
		report_fatal("%s: unknown command, see 'vmm --help'", argv[1]);
		return STATUS_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
