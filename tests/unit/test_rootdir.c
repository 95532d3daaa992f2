/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rootdir.c - vmm/cli/rootdir.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/cli/rootdir.h"

/* What "vmm run" makes of at most three disks; NULL: it is accepted. */
static void t_take(struct run_options *opts, const char *const disks[3], const char *refusal)
{
	char *argv[8] = { (char *)"run", (char *)"k" };
	struct vmm_error err = { "" };
	int argc = 2;

	for (int i = 0; i < 3 && disks[i]; i++) {
		argv[argc++] = (char *)"--disk";
		argv[argc++] = (char *)disks[i];
	}
	assert_int_equal(options_parse(opts, argc, argv, &err), 0);
	assert_int_equal(rootdir_take(opts, &err), refusal ? -EINVAL : 0);
	assert_string_equal(err.msg, refusal ? refusal : "");
}

static void test_directory_becomes_the_root(void **state)
{
	struct run_options opts;
	const struct fs_option *fs = &opts.fs[0];

	(void)state;
	t_take(&opts, (const char *[]){ "a,serial=1", "/tmp,ro,sandbox=none", "b" }, NULL);
	assert_int_equal(opts.nr_disks, 2);
	assert_memory_equal(opts.disks[0].path, "a", 1);
	assert_memory_equal(opts.disks[1].path, "b", 1);
	assert_int_equal(opts.nr_fs, 1);
	assert_true(opts.root_fs && fs->ro);
	assert_int_equal(fs->dir_len, 4);
	assert_memory_equal(fs->dir, "/tmp", 4);
	assert_int_equal(fs->tag_len, 6);
	assert_memory_equal(fs->tag, "rootfs", 6);
	assert_int_equal(fs->sandbox_len, 4);
	assert_memory_equal(fs->sandbox, "none", 4);
}

static void test_files_stay_disks(void **state)
{
	struct run_options opts;

	(void)state;
	t_take(&opts, (const char *[]){ "/dev/null", "/nowhere/at/all,ro", NULL }, NULL);
	assert_int_equal(opts.nr_disks, 2);
	assert_int_equal(opts.nr_fs, 0);
	assert_false(opts.root_fs);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *disks[3];
		const char *refusal;
	} rows[] = {
		{ { "/", "/tmp" }, "--disk /tmp: a second directory; one can be the root file system" },
		{ { "/tmp,direct" }, "--disk /tmp: a directory takes only ro and sandbox=" },
		{ { "/tmp,queues=2" }, "--disk /tmp: a directory takes only ro and sandbox=" },
		{ { "/tmp,serial=x" }, "--disk /tmp: a directory takes only ro and sandbox=" },
		{ { "/dev/null,sandbox=none" }, "--disk /dev/null: sandbox= is for directories" },
	};
	struct run_options opts;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		t_take(&opts, rows[i].disks, rows[i].refusal);
}

static void test_it_counts_among_the_directories(void **state)
{
	char *argv[2 + 2 * (OPTIONS_FS + 1)] = { (char *)"run", (char *)"k" };
	struct vmm_error err = { "" };
	struct run_options opts;
	int argc = 2;

	(void)state;
	for (int i = 0; i < OPTIONS_FS; i++) {
		argv[argc++] = (char *)"--fs";
		argv[argc++] = (char *)"d,t";
	}
	argv[argc++] = (char *)"--disk";
	argv[argc++] = (char *)"/tmp";
	assert_int_equal(options_parse(&opts, argc, argv, &err), 0);
	assert_int_equal(rootdir_take(&opts, &err), -EINVAL);
	assert_string_equal(err.msg, "--disk /tmp: too many directories, with those of --fs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory_becomes_the_root),
		cmocka_unit_test(test_files_stay_disks),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_it_counts_among_the_directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
