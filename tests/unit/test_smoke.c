/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_smoke.c - vmm/cli/smokefile.c, smoke.c and smokereport.c
 *
 * What smoke.c runs is the program it is in, with the words of "vmm run": here that is
 * this program, which then does what --params says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/cli/smoke.h"
#include "vmm/cli/smokefile.h"
#include "vmm/cli/smokereport.h"

#define T_TEXT	"/work/list.smoke"

/* ---- Files ----------------------------------------------------------------------- */

static int t_parse(struct smoke_list *list, const char *text, size_t len, struct vmm_error *err)
{
	char *copy = malloc(len + 1);
	int ret;

	memcpy(copy, text, len);
	*list = (struct smoke_list){ 0 };
	ret = smokefile_parse(list, T_TEXT, copy, len, err);
	free(copy);
	return ret;
}

static void t_accept(struct smoke_list *list, const char *text)
{
	struct vmm_error err;

	if (t_parse(list, text, strlen(text), &err))
		fail_msg("%s", err.msg);
}

static void t_refuse(const char *text, size_t len, const char *message)
{
	struct smoke_list list;
	struct vmm_error err = { "" };

	assert_int_equal(t_parse(&list, text, len, &err), -EINVAL);
	if (strncmp(err.msg, message, strlen(message)))
		fail_msg("'%s', not '%s'", err.msg, message);
	smokefile_free(&list);
}

static void t_argv(const struct smoke_image *image, const char *const *want)
{
	for (int i = 0; i < image->argc; i++) {
		assert_non_null(want[i]);
		assert_string_equal(image->argv[i], want[i]);
	}
	assert_null(want[image->argc]);
	assert_null(image->argv[image->argc]);
}

static void test_a_file_becomes_command_lines(void **state)
{
	static const char *const first[] = {
		"vmm", "run", "--timeout=120", "--mem=64", "--no-reboot", "--kernel=a b#c",
		"--params=x=\"1\" = 2", "--expect=^a", "--expect=b$", NULL,
	};
	static const char *const second[] = {
		"vmm", "run", "--timeout=120", "--mem=64", "--no-reboot", "--kernel=k", "--mem=128",
		"--timeout=7", "--spe", NULL,
	};
	struct smoke_list list;

	(void)state;
	t_accept(&list, "# a comment\n\n[defaults]\nmem=64\r\n  no-reboot  \n"
		 "[one.a_B-2]\n\tkernel = a b#c\nparams=x=\"1\" = 2 \nexpect = ^a\nexpect=b$\n"
		 "[two]\nkernel=k\nmem=128\n#no\ntimeout = 7\nspe");
	assert_int_equal(list.nr, 2);
	assert_string_equal(list.images[0].name, "one.a_B-2");
	assert_string_equal(list.images[0].dir, "/work");
	assert_int_equal(list.images[0].timeout, SMOKEFILE_TIMEOUT);
	t_argv(&list.images[0], first);
	assert_int_equal(list.images[1].timeout, 7);
	t_argv(&list.images[1], second);
	smokefile_free(&list);
}

static void test_a_mistake_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} wrong[] = {
		{ "", T_TEXT ":0: no image" },
		{ "# nothing\n", T_TEXT ":1: no image" },
		{ "kernel = k\n", T_TEXT ":1: an option before" },
		{ "[a]\n\nkernel k\n", T_TEXT ":3: not OPTION" },
		{ "[a]\nKernel = k\n", T_TEXT ":2: not OPTION" },
		{ "[a]\n--kernel = k\n", T_TEXT ":2: not OPTION" },
		{ "[a]\n= k\n", T_TEXT ":2: not OPTION" },
		{ "[a\n", T_TEXT ":1: not [NAME]" },
		{ "[a] x\n", T_TEXT ":1: not [NAME]" },
		{ "[a/b]\n", T_TEXT ":1: not [NAME]" },
		{ "[]\n", T_TEXT ":1: a name has" },
		{ "[..]\n", T_TEXT ":1: a name has" },
		{ "[a]\nkernel=k\n[defaults]\nmem=64\n", T_TEXT ":3: [defaults] is the first" },
		{ "[a]\nkernel=k\n[a]\nkernel=k\n", T_TEXT ":3: [a]: there is one" },
		{ "[x]\nmem=64\n", T_TEXT ":1: [x]: no kernel" },
		{ "\n[x]\nkernel=k\nkernle=l\n", T_TEXT ":2: [x]: --kernle: unknown" },
		{ "[x]\nkernel=k\nhelp\n", T_TEXT ":1: [x]: help is no" },
		{ "[x]\nkernel=k\nexpect=(\n", T_TEXT ":1: [x]: --expect (: " },
		{ "[x]\nkernel=k\ntimeout=0\n", T_TEXT ":1: [x]: --timeout 0: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		t_refuse(wrong[i].text, strlen(wrong[i].text), wrong[i].message);
	t_refuse("[x]\nker\0nel=k\n", 14, T_TEXT ":2: a NUL byte");
}

static void test_a_file_has_bounds(void **state)
{
	size_t size = 200 * 1024;
	char *text = malloc(size);
	size_t len = 0;
	struct smoke_list list;
	struct vmm_error err;

	(void)state;
	len = (size_t)sprintf(text, "[a]\nkernel=k\n");
	for (int i = 0; i < SMOKEFILE_WORDS_MAX; i++)
		len += (size_t)sprintf(text + len, "debug\n");
	t_refuse(text, len, T_TEXT ":102: more than 100 options");
	len = 0;
	for (int i = 0; i <= SMOKEFILE_IMAGES_MAX; i++)
		len += (size_t)sprintf(text + len, "[a%d]\nkernel=k\n", i);
	t_refuse(text, len, T_TEXT ":2001: more than 1000 images");
	memset(text, 'a', size);
	memcpy(text, "[", 1);
	t_refuse(text, size, T_TEXT ":1: not [NAME]");
	memcpy(text, "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 79);
	t_refuse(text, 79, T_TEXT ":1: a name has");
	free(text);

	list = (struct smoke_list){ 0 };
	assert_int_equal(smokefile_read(&list, "/dev/zero", &err), -EFBIG);
	assert_int_equal(smokefile_read(&list, "/nowhere/x", &err), -ENOENT);
	assert_string_equal(err.msg, "/nowhere/x: No such file or directory");
	assert_int_equal(smokefile_read(&list, "/", &err), -EISDIR);
	smokefile_free(&list);
}

/* ---- Running --------------------------------------------------------------------- */

struct t_run {
	char			dir[64];
	struct smoke_list	list;
	struct smoke_result	results[8];
	struct smoke		smoke;
	size_t			most;	/* that ran at a time */
	size_t			nr_told;
};

static void t_tell(void *arg, const struct smoke_result *result)
{
	struct t_run *run = arg;
	size_t running = smoke_count(&run->smoke, SMOKE_RUNS);

	if (running > run->most)
		run->most = running;
	run->nr_told++;
	if (result->state == SMOKE_RUNS && strstr(result->image->argv[result->image->argc - 1], "stop"))
		kill(getpid(), SIGTERM);
}

static void t_run(struct t_run *run, const char *text, unsigned int jobs)
{
	struct vmm_error err;
	char *copy = strdup(text);

	memset(run, 0, sizeof(*run));
	strcpy(run->dir, "/tmp/test-smoke.XXXXXX");
	assert_non_null(mkdtemp(run->dir));
	if (smokefile_parse(&run->list, "list", copy, strlen(copy), &err))
		fail_msg("%s", err.msg);
	free(copy);
	for (size_t i = 0; i < run->list.nr; i++)
		run->results[i].image = &run->list.images[i];
	run->smoke = (struct smoke){
		.results = run->results, .nr = run->list.nr, .jobs = jobs,
		.log_dir = run->dir, .tell = t_tell, .arg = run,
	};
	if (smoke_run(&run->smoke, &err))
		fail_msg("%s", err.msg);
}

static void t_done(struct t_run *run)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", run->dir);
	assert_int_equal(system(command), 0);
	smokefile_free(&run->list);
}

static void test_each_is_judged_by_how_it_ended(void **state)
{
	struct t_run run;
	char path[128];
	struct stat st;

	(void)state;
	t_run(&run, "[good]\nkernel=k\nparams=0\n[bad]\nkernel=k\nparams=13\n"
	      "[mute]\nkernel=k\nparams=mute\n[crash]\nkernel=k\nparams=abort\n", 2);
	assert_int_equal(run.results[0].state, SMOKE_PASSED);
	assert_string_equal(run.results[0].why, "");
	assert_int_equal(run.results[1].state, SMOKE_FAILED);
	assert_int_equal(run.results[1].status, 13);
	assert_string_equal(run.results[1].why, "the reason (status 13)");
	assert_string_equal(run.results[2].why, "status 3");
	assert_int_equal(run.results[3].status, 128 + SIGTERM);
	assert_non_null(strstr(run.results[3].why, "signal 15"));
	assert_int_equal(run.most, 2);
	assert_int_equal(run.nr_told, 8);
	snprintf(path, sizeof(path), "%s/good.log", run.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, strlen("console\n"));
	t_done(&run);
}

static void test_a_signal_ends_those_that_run_and_skips_the_rest(void **state)
{
	struct t_run run;

	(void)state;
	t_run(&run, "[one]\nkernel=k\nparams=stop\n[two]\nkernel=k\nparams=0\n", 1);
	assert_true(run.smoke.stopped);
	assert_int_equal(run.results[0].state, SMOKE_FAILED);
	assert_string_equal(run.results[0].why, "stopped by the user");
	assert_int_equal(run.results[1].state, SMOKE_SKIPPED);
	t_done(&run);
}

static void test_logs_that_cannot_be_written_are_a_failure(void **state)
{
	struct t_run run;
	struct vmm_error err;

	(void)state;
	t_run(&run, "[one]\nkernel=k\nparams=0\n", 1);
	run.smoke.log_dir = "/proc/self/nowhere";
	assert_int_equal(smoke_run(&run.smoke, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--log-dir /proc/self/nowhere: "));
	run.smoke.log_dir = "/proc/self";
	run.results[0] = (struct smoke_result){ .image = &run.list.images[0] };
	assert_int_equal(smoke_run(&run.smoke, &err), 0);
	assert_int_equal(run.results[0].state, SMOKE_FAILED);
	assert_non_null(strstr(run.results[0].why, "its log: "));
	t_done(&run);
}

/* ---- Reports --------------------------------------------------------------------- */

static struct smoke_image t_image = { .name = (char *)"img" };

static char *t_report(void (*report)(FILE *, const struct smoke *), struct smoke_result *result,
		      const char *log_dir)
{
	struct smoke smoke = { .results = result, .nr = 1, .log_dir = log_dir };
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report(out, &smoke);
	fclose(out);
	return text;
}

static void test_junit_is_xml_whatever_a_guest_prints(void **state)
{
	struct smoke_result result = {
		.image = &t_image, .state = SMOKE_FAILED, .status = 13, .seconds = 1.5,
		.why = "<&>\" \x1b \xff",
	};
	char dir[] = "/tmp/test-smoke.XXXXXX";
	char path[64];
	char *text;
	FILE *log;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/img.log", dir);
	log = fopen(path, "w");
	fputs("]]></system-out>\x1b[1m&\r\n", log);
	fclose(log);
	text = t_report(smokereport_junit, &result, dir);
	assert_non_null(strstr(text, "tests=\"1\" failures=\"1\" skipped=\"0\" time=\"1.500\""));
	assert_non_null(strstr(text, "message=\"&lt;&amp;&gt;&quot; ? ?\"/>"));
	assert_non_null(strstr(text, "<system-out>]]&gt;&lt;/system-out&gt;?[1m&amp;\n</system-out>"));
	free(text);
	unlink(path);
	rmdir(dir);

	result.state = SMOKE_SKIPPED;
	text = t_report(smokereport_junit, &result, dir);
	assert_non_null(strstr(text, "<skipped message="));
	free(text);
}

static void test_json_can_be_read_back(void **state)
{
	struct smoke_result result = {
		.image = &t_image, .state = SMOKE_FAILED, .status = 13, .seconds = 1.5, .why = "\xff",
	};
	char *text = t_report(smokereport_json, &result, "dir");
	json_t *list = json_loads(text, 0, NULL);
	json_t *entry = json_array_get(list, 0);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(entry, "name")), "img");
	assert_string_equal(json_string_value(json_object_get(entry, "result")), "failed");
	assert_string_equal(json_string_value(json_object_get(entry, "log")), "dir/img.log");
	assert_string_equal(json_string_value(json_object_get(entry, "why")), "?");
	assert_int_equal(json_integer_value(json_object_get(entry, "status")), 13);
	json_decref(list);
	free(text);
}

static void test_tap_has_a_line_for_each(void **state)
{
	struct smoke_result result = { .image = &t_image, .state = SMOKE_PASSED, .seconds = 2 };
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	smokereport_tap_plan(out, 3);
	smokereport_tap(out, &result, 1);
	result.state = SMOKE_FAILED;
	strcpy(result.why, "a\nb");
	smokereport_tap(out, &result, 2);
	result.state = SMOKE_SKIPPED;
	smokereport_tap(out, &result, 3);
	fclose(out);
	assert_string_equal(text, "TAP version 13\n1..3\nok 1 - img\n# 2.0 s\n"
			    "not ok 2 - img\n# 2.0 s: a?b\n"
			    "ok 3 - img # SKIP stopped by the user\n# 2.0 s: a?b\n");
	free(text);
}

/* What "vmm run" is here: the last word is --params=. */
static int act(const char *word)
{
	const char *what = strchr(word, '=') + 1;

	if (!strcmp(what, "mute"))
		return 3;
	if (!strcmp(what, "abort"))
		return raise(SIGTERM);
	if (!strcmp(what, "stop")) {
		pause();
		return 1;
	}
	puts("console");
	fputs("first\nvmm: Fatal: the reason\n", stderr);
	return atoi(what);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_becomes_command_lines),
		cmocka_unit_test(test_a_mistake_is_told_with_its_line),
		cmocka_unit_test(test_a_file_has_bounds),
		cmocka_unit_test(test_each_is_judged_by_how_it_ended),
		cmocka_unit_test(test_a_signal_ends_those_that_run_and_skips_the_rest),
		cmocka_unit_test(test_logs_that_cannot_be_written_are_a_failure),
		cmocka_unit_test(test_junit_is_xml_whatever_a_guest_prints),
		cmocka_unit_test(test_json_can_be_read_back),
		cmocka_unit_test(test_tap_has_a_line_for_each),
	};

	if (argc > 1 && !strcmp(argv[1], "run"))
		return act(argv[argc - 1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
