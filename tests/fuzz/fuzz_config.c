/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_config.c - a file of --config is refused with the number of a line, or is a command
 * line like one that was typed
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/input.h"
#include "vmm/cli/conffile.h"
#include "vmm/cli/options.h"

static char path[64];
static int fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fd = memfd_create("config", MFD_CLOEXEC);
	must(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return 0;
}

/* The words that the file stands for, parsed as such: the answer is the same. */
static void check_same(struct run_options *opts)
{
	char name[] = "run";
	char **argv = calloc(opts->nr_config + 2u, sizeof(*argv));
	struct run_options typed;
	struct vmm_error err;
	char *lines[2];

	must(argv);
	argv[0] = name;
	for (u32 i = 0; i < opts->nr_config; i++) {
		must(!strncmp(opts->config[i], "--", 2) && !strchr(opts->config[i], '\n'));
		argv[i + 1] = opts->config[i];
	}
	must(!options_parse(&typed, (int)opts->nr_config + 1, argv, &err));
	lines[0] = options_cmdline(opts);
	lines[1] = options_cmdline(&typed);
	must(lines[0] && lines[1] && !strcmp(lines[0], lines[1]));
	must(typed.cpus == opts->cpus && typed.ram_size == opts->ram_size);
	must(typed.timeout == opts->timeout && typed.nr_expect == opts->nr_expect);
	free(lines[0]);
	free(lines[1]);
	options_fini(&typed);
	free(argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "run";
	char option[] = "--config";
	char *argv[] = { name, option, path, NULL };
	struct vmm_error err = { "" };
	struct run_options opts;
	int ret;

	must(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
	ret = options_parse(&opts, 3, argv, &err);
	if (ret) {
		must((ret == -EINVAL || ret == -ENOTSUP) && err.msg[0]);
		return 0;
	}
	if (!opts.help)
		check_same(&opts);
	options_fini(&opts);
	return 0;
}
