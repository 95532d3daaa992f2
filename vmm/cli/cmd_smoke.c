/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_smoke.c - vmm smoke
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/command.h"
#include "vmm/cli/number.h"
#include "vmm/cli/report.h"
#include "vmm/cli/smoke.h"
#include "vmm/cli/smokereport.h"
#include "vmm/cli/status.h"

#define JOBS_DEFAULT	2
#define JOBS_MAX	256
#define LOG_DIR		"vmm-smoke-logs"

static void smoke_help(void)
{
	fputs("usage: vmm smoke [OPTION]... FILE...\n"
	      "\n"
	      "Boot each guest image that the files list, and see whether it does what it\n"
	      "shall.  vmm-smoke(5) describes the files:\n"
	      "\n"
	      "  [defaults]\n"
	      "  mem = 256\n"
	      "  [debian]\n"
	      "  kernel = vmlinuz\n"
	      "  initrd = initrd.img\n"
	      "  expect = login: \n"
	      "  timeout = 60\n"
	      "\n"
	      "  -j, --jobs N          images at a time (default: 2)\n"
	      "      --only GLOB       those of such a name alone\n"
	      "      --list            say which there are, and run none\n"
	      "      --log-dir DIR     for NAME.log, the console, and NAME.err, what vmm\n"
	      "                        said (default: " LOG_DIR ")\n"
	      "      --tap             results as TAP\n"
	      "      --json            results as JSON, at the end\n"
	      "      --junit FILE      results as JUnit's XML, too\n"
	      "  -h, --help            show this text\n"
	      "\n"
	      "Exit status:\n"
	      "   0   all images passed\n"
	      "   1   internal error, or a call of the host failed\n"
	      "   2   wrong usage, or a mistake in a file\n"
	      "  12   stopped by a signal\n"
	      "  15   an image failed\n", stdout);
}

struct command_line {
	bool		help;
	bool		list;
	bool		tap;
	bool		json;
	uint64_t	jobs;
	const char	*only;
	const char	*log_dir;
	const char	*junit;
	char		**files;	/* the words that are no options */
	int		nr_files;
};

/* ---- The command line ------------------------------------------------------------ */

/* The value of option @name at *@i, in the same word or the next one; NULL: not it. */
static const char *value_of(int argc, char **argv, int *i, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len))
		return NULL;
	if (argv[*i][len] == '=' && len > 2)
		return argv[*i] + len + 1;
	if (argv[*i][len])
		return len == 2 ? argv[*i] + len : NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

static int take_jobs(struct command_line *line, const char *value)
{
	if (!number_parse(value, &line->jobs) && line->jobs && line->jobs <= JOBS_MAX)
		return 0;
	report_fatal("--jobs %s: not a number from 1 to %d", value, JOBS_MAX);
	return STATUS_USAGE;
}

static bool take_flag(struct command_line *line, const char *word)
{
	if (command_wants_help(word))
		line->help = true;
	else if (!strcmp(word, "--list"))
		line->list = true;
	else if (!strcmp(word, "--tap"))
		line->tap = true;
	else if (!strcmp(word, "--json"))
		line->json = true;
	else
		return false;
	return true;
}

static int take_string(const char **string, const char *name, const char *value)
{
	*string = value;
	if (*value)
		return 0;
	report_fatal("%s: the argument is missing", name);
	return STATUS_USAGE;
}

static int take_word(struct command_line *line, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	const char *value;

	if (word[0] != '-') {
		line->files[line->nr_files++] = argv[*i];
		return 0;
	}
	if (take_flag(line, word))
		return 0;
	if ((value = value_of(argc, argv, i, "--jobs")) || (value = value_of(argc, argv, i, "-j")))
		return take_jobs(line, value);
	if ((value = value_of(argc, argv, i, "--only")))
		return take_string(&line->only, "--only", value);
	if ((value = value_of(argc, argv, i, "--log-dir")))
		return take_string(&line->log_dir, "--log-dir", value);
	if ((value = value_of(argc, argv, i, "--junit")))
		return take_string(&line->junit, "--junit", value);
	report_fatal("%s: unknown option, see 'vmm help smoke'", word);
	return STATUS_USAGE;
}

/* ---- Running them ---------------------------------------------------------------- */

struct teller {
	const struct command_line *line;
	size_t	done;
};

static void tell(void *arg, const struct smoke_result *result)
{
	struct teller *teller = arg;

	if (teller->line->tap) {
		if (result->state != SMOKE_RUNS)
			smokereport_tap(stdout, result, ++teller->done);
	} else if (!teller->line->json) {
		smokereport_line(stdout, result, isatty(STDOUT_FILENO));
	} else if (isatty(STDERR_FILENO)) {
		smokereport_line(stderr, result, true);
	}
}

static int write_junit(const struct command_line *line, const struct smoke *smoke)
{
	FILE *out = fopen(line->junit, "we");
	bool good = out;

	if (out) {
		smokereport_junit(out, smoke);
		good = !fflush(out) && !ferror(out);
		good &= !fclose(out);
	}
	if (good)
		return 0;
	report_fatal("--junit %s: %s", line->junit, strerror(errno));
	return STATUS_ERROR;
}

static int status_of_all(const struct command_line *line, struct smoke *smoke)
{
	size_t failed = smoke_count(smoke, SMOKE_FAILED);
	int status = line->junit ? write_junit(line, smoke) : 0;

	if (line->json)
		smokereport_json(stdout, smoke);
	else
		printf("%s%zu passed, %zu failed, %zu skipped\n", line->tap ? "# " : "",
		       smoke_count(smoke, SMOKE_PASSED), failed, smoke_count(smoke, SMOKE_SKIPPED));
	if (!status)
		status = command_help_done();
	if (!status && smoke->stopped)
		status = STATUS_STOPPED;
	return status ? status : failed ? STATUS_FAILED : STATUS_OFF;
}

static int run_all(const struct command_line *line, struct smoke_result *results, size_t nr)
{
	struct teller teller = { .line = line };
	struct smoke smoke = {
		.results = results,
		.nr = nr,
		.jobs = (unsigned int)line->jobs,
		.log_dir = line->log_dir,
		.tell = tell,
		.arg = &teller,
	};
	struct vmm_error err;

	if (line->tap)
		smokereport_tap_plan(stdout, nr);
	if (smoke_run(&smoke, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_ERROR;
	}
	return status_of_all(line, &smoke);
}

static int run_list(const struct command_line *line, const struct smoke_list *list)
{
	struct smoke_result *results = calloc(list->nr, sizeof(*results));
	size_t nr = 0;
	int status;

	if (!results) {
		report_fatal("out of memory");
		return STATUS_ERROR;
	}
	for (size_t i = 0; i < list->nr; i++) {
		if (line->only && fnmatch(line->only, list->images[i].name, 0))
			continue;
		if (line->list)
			puts(list->images[i].name);
		results[nr++].image = &list->images[i];
	}
	if (!nr) {
		report_fatal("--only %s: no image of such a name", line->only);
		status = STATUS_USAGE;
	} else {
		status = line->list ? command_help_done() : run_all(line, results, nr);
	}
	free(results);
	return status;
}

static int run_files(const struct command_line *line)
{
	struct smoke_list list = { 0 };
	struct vmm_error err;
	int status = 0;

	for (int i = 0; i < line->nr_files && !status; i++) {
		if (!smokefile_read(&list, line->files[i], &err))
			continue;
		report_fatal("%s", err.msg);
		status = STATUS_USAGE;
	}
	if (!status)
		status = run_list(line, &list);
	smokefile_free(&list);
	return status;
}

static int smoke_main(int argc, char **argv)
{
	struct command_line line = { .jobs = JOBS_DEFAULT, .log_dir = LOG_DIR, .files = argv };
	int status = 0;

	for (int i = 1; i < argc && !status && !line.help; i++)
		status = take_word(&line, argc, argv, &i);
	if (status)
		return status;
	if (line.help) {
		smoke_help();
		return command_help_done();
	}
	if (!line.nr_files || (line.tap && line.json)) {
		report_fatal(line.nr_files ? "--tap: excludes --json" :
			     "no file, see 'vmm help smoke'");
		return STATUS_USAGE;
	}
	return run_files(&line);
}

const struct command command_smoke = {
	.name = "smoke",
	.summary = "see whether guest images boot",
	.run = smoke_main,
	.help = smoke_help,
};
