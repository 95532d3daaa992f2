/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_diod.c - vmm/cli/diod.c, by way of vmm/cli/fsd.c
 *
 * The diod is this program itself, under that name: see pose().
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/diod.h"
#include "vmm/cli/fsd.h"

#define FD	3

static const char *t_try(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK, 0644);

	return fd < 0 ? strerrorname_np(errno) : "open";
}

/* Say what there is, and how it is called, and stay until nobody listens. */
static int pose(int argc, char **argv)
{
	const char *outside = getenv("T_OUTSIDE");
	const struct passwd *user = getpwuid(geteuid());
	char cwd[64] = "";
	char byte;

	if (!getcwd(cwd, sizeof(cwd)))
		return 1;
	if (getenv("T_QUIET"))
		dprintf(FD, "%s\n", t_try(outside, O_RDONLY));
	else
		dprintf(FD, "cwd=%s user=%s,%s inside=%s new=%s link=%s outside=%s usr=%s root=%s null=%s\n",
		cwd, user ? user->pw_name : "none", user && user->pw_uid == geteuid() ? "same" : "other",
		t_try("/share/inside", O_RDONLY), t_try("/share/new", O_CREAT | O_WRONLY),
		t_try("/share/link", O_RDONLY), t_try(outside, O_RDONLY),
		t_try("/usr/t-new", O_CREAT | O_WRONLY), t_try("/t-new", O_CREAT | O_WRONLY),
		t_try("/dev/null", O_WRONLY));
	for (int i = 1; i < argc; i++)
		dprintf(FD, "%s ", argv[i]);
	dprintf(FD, ".");
	return read(FD, &byte, 1) > 0;
}

static char t_dir[64];		/* with diod in it, and a file */
static char t_share[96];
static char t_outside[96];

static void t_put(const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static int t_setup(void **state)
{
	char path[128];

	(void)state;
	strcpy(t_dir, "/tmp/t-diod.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	snprintf(path, sizeof(path), "%s/diod", t_dir);
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	snprintf(t_outside, sizeof(t_outside), "%s/outside", t_dir);
	snprintf(t_share, sizeof(t_share), "%s/share", t_dir);
	assert_int_equal(mkdir(t_share, 0755), 0);
	t_put(t_dir, "outside");
	t_put(t_share, "inside");
	snprintf(path, sizeof(path), "%s/link", t_share);
	assert_int_equal(symlink(t_outside, path), 0);
	setenv("PATH", t_dir, 1);
	setenv("T_OUTSIDE", t_outside, 1);
	return 0;
}

static int t_teardown(void **state)
{
	static const char *const names[] = { "share/inside", "share/new", "share/link", "outside", "diod" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", t_dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(t_share), 0);
	assert_int_equal(rmdir(t_dir), 0);
	return 0;
}

static void t_is(const char *sandbox, bool ro, const char *name, const char *expected)
{
	const struct fs_option opt = {
		.dir = name, .dir_len = (int)strlen(name), .tag = "tag", .tag_len = 3,
		.sandbox = sandbox, .sandbox_len = sandbox ? (int)strlen(sandbox) : 0, .ro = ro, .p9 = true,
	};
	struct t_process before;
	struct vmm_error err;
	struct fsd fsd;
	char buf[1024];
	size_t len = 0;
	int fd;

	t_process_save(&before);
	fsd_clear(&fsd);
	assert_int_equal(fsd_open(&fsd, &opt, &err), 0);
	assert_string_equal(diod_aname(&fsd), sandbox ? t_share : "/share");
	fd = fsd_start(&fsd, &err);
	assert_true(fd >= 0);
	while (len < sizeof(buf) - 1 && read(fd, buf + len, 1) == 1)
		if (buf[len++] == '.' && buf[len - 2] == ' ')
			break;
	buf[len] = '\0';
	assert_string_equal(buf, expected);
	close(fd);
	fsd_close(&fsd);
	t_process_check(&before);
}

#define ALWAYS	"--foreground --no-auth --allsquash --config-file /dev/null --logdest /dev/null --export "

static const char *t_expected(char *buf, size_t size, const char *seen, const char *dir, const char *ro)
{
	snprintf(buf, size, "%s\n" ALWAYS "%s --rfdno 3 --wfdno 3 %s%s.", seen, dir, ro,
		 geteuid() ? "" : "--squashuser root ");
	return buf;
}

static const char *t_user(void)
{
	return geteuid() ? "vmm" : "root";
}

static void test_has_a_root_of_its_own(void **state)
{
	char seen[256];
	char buf[512];

	(void)state;
	t_need_namespaces();
	snprintf(seen, sizeof(seen), "cwd=/ user=%s,same inside=open new=open link=ENOENT outside=ENOENT "
		 "usr=EROFS root=EROFS null=open", t_user());
	t_is(NULL, false, t_share, t_expected(buf, sizeof(buf), seen, "/share", ""));
	/* What it made is there. */
	snprintf(buf, sizeof(buf), "%s/new", t_share);
	assert_int_equal(access(buf, F_OK), 0);
	assert_int_equal(access("/t-new", F_OK), -1);
}

/* By the kernel, whatever diod thinks of it. */
static void test_read_only_is_the_mount(void **state)
{
	char seen[256];
	char buf[512];

	(void)state;
	t_need_namespaces();
	snprintf(seen, sizeof(seen), "cwd=/ user=%s,same inside=open new=EROFS link=ENOENT outside=ENOENT "
		 "usr=EROFS root=EROFS null=open", t_user());
	t_is(NULL, true, t_share, t_expected(buf, sizeof(buf), seen, "/share", "--export-opts ro "));
}

/* Its name is made whole, as diod wants it. */
static void test_without_a_sandbox(void **state)
{
	char name[128];
	char buf[512];

	(void)state;
	snprintf(name, sizeof(name), "%s/../share/", t_share);
	setenv("T_QUIET", "1", 1);
	t_is("none", false, name, t_expected(buf, sizeof(buf), "open", t_share, ""));
	unsetenv("T_QUIET");
}

static void test_what_is_missing_is_named(void **state)
{
	const struct fs_option opt = { .dir = "/tmp", .dir_len = 4, .tag = "t", .tag_len = 1, .p9 = true };
	const struct fs_option nowhere = { .dir = "/nowhere", .dir_len = 8, .tag = "t", .tag_len = 1, .p9 = true };
	struct vmm_error err;
	struct fsd fsd;

	(void)state;
	fsd_clear(&fsd);
	assert_int_equal(fsd_open(&fsd, &nowhere, &err), -ENOENT);
	assert_string_equal(err.msg, "--9p: directory /nowhere: No such file or directory");
	fsd_close(&fsd);
	setenv("PATH", "/nowhere", 1);
	if (!access("/usr/sbin/diod", F_OK) || !access("/sbin/diod", F_OK)) {
		assert_int_equal(fsd_open(&fsd, &opt, &err), 0);
	} else {
		assert_int_equal(fsd_open(&fsd, &opt, &err), -ENOTSUP);
		assert_string_equal(err.msg, "--9p: there is no diod, neither in $PATH nor in /usr/sbin; "
				    "it is a package of that name");
	}
	fsd_close(&fsd);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_has_a_root_of_its_own),
		TEST(test_read_only_is_the_mount),
		TEST(test_without_a_sandbox),
		TEST(test_what_is_missing_is_named),
	};

	if (!strcmp(argv[0], "diod"))
		return pose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
