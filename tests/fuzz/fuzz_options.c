/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_options.c - any command line of "vmm run", a word a line
 */
#include <errno.h>

#include "tests/fuzz/input.h"
#include "vmm/cli/number.h"
#include "vmm/cli/options.h"
#include "vmm/cli/speopt.h"

#define WORDS	64

static void check(const struct run_options *opts)
{
	struct speopt spe = { .abi = NULL };
	struct vmm_error err = { "" };
	char *cmdline;
	int ret;

	must(opts->nr_expect <= EXPECT_MAX);
	for (int i = 0; i < OPTIONS_SERIAL_PORTS; i++)
		must((opts->ttys[i].kind >= TTY_FILE) == (opts->ttys[i].path && *opts->ttys[i].path));
	cmdline = options_cmdline(opts);
	must(cmdline);
	free(cmdline);
	ret = speopt_parse(&spe, opts->spe_arg, &err);
	must(!ret || (ret == -EINVAL && err.msg[0]));
	speopt_fini(&spe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = input_string(&in);
	char name[] = "run";
	char *argv[WORDS + 2] = { name };
	struct vmm_error err = { "" };
	struct run_options opts;
	const char *end;
	u64 val;
	int argc = 1;
	int ret;

	for (char *p = text; p && argc <= WORDS;) {
		argv[argc++] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	ret = options_parse(&opts, argc, argv, &err);
	must(!ret || ((ret == -EINVAL || ret == -ENOTSUP) && err.msg[0]));
	if (!ret && !opts.help)
		check(&opts);
	if (!ret)
		options_fini(&opts);
	number_parse(argv[argc - 1], &val);
	if (!number_parse_size(argv[argc - 1], 'M', &end, &val))
		must(end > argv[argc - 1] && end <= argv[argc - 1] + strlen(argv[argc - 1]));
	free(text);
	return 0;
}
