/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_drop.c - vmm/cli/drop.c: another user, another root directory
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/drop.h"

#define T_UID	65534
#define T_GID	65533

static const char t_passwd[] =
	"root:x:0:0:root:/root:/bin/sh\n"
	"toor:x:0:5::/:/bin/sh\n"
	"a line that is none\n"
	"web:x:1000:1001:,,,:/home/web:/bin/sh\n"
	"12:x:2000:2001::/:\n";

static int t_find(struct drop *drop, const char *user, struct vmm_error *err)
{
	char path[64];
	int fd = memfd_create("passwd", MFD_CLOEXEC);
	int ret;

	assert_int_equal(write(fd, t_passwd, strlen(t_passwd)), strlen(t_passwd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = drop_find(drop, NULL, user, path, err);
	close(fd);
	return ret;
}

static void t_is(const char *user, uid_t uid, gid_t gid)
{
	struct vmm_error err;
	struct drop drop;

	if (t_find(&drop, user, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(drop.uid, uid);
	assert_int_equal(drop.gid, gid);
}

static void test_who_it_is_to_be(void **state)
{
	struct drop drop;

	(void)state;
	t_is("web", 1000, 1001);
	t_is("7", 7, 7);
	t_is("7:8", 7, 8);
	t_is("7:0", 7, 0);
	t_is("4294967294", 4294967294u, 4294967294u);
	/* A number is one, whoever is called so. */
	t_is("12", 12, 12);
	assert_int_equal(drop_find(&drop, "/x", NULL, "/nonexistent", NULL), 0);
	assert_null(drop.user);
	assert_string_equal(drop.root, "/x");
}

static void test_who_it_cannot_be(void **state)
{
	static const char *const bad[] = {
		"root", "0", "0:5", "toor", "nobody-of-this-name", "4294967295", "1:4294967295", "-1", "1:", ":1",
		"1:2:3", "1:web", "", "18446744073709551617", "00000000000000000000000000000000001",
	};
	struct vmm_error err;
	struct drop drop;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		if (t_find(&drop, bad[i], &err) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		assert_non_null(strstr(err.msg, "--user "));
	}
	assert_int_equal(drop_find(&drop, NULL, "web", "/nonexistent", &err), -EINVAL);
	assert_string_equal(err.msg, "--user web: /nonexistent: No such file or directory");
}

/* What a process sees afterwards, as an exit status: 0 is all right. */
static int look(const struct drop *drop)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) || getresgid(&gid[0], &gid[1], &gid[2]))
		return 10;
	for (int i = 0; i < 3; i++)
		if (uid[i] != drop->uid || gid[i] != drop->gid)
			return 11;
	if (getgroups(0, NULL))
		return 12;
	if (!seteuid(0) || !setgid(0))
		return 13;
	/* Nothing is there, and there is no way out. */
	if (access("/proc", F_OK) != -1 || access("../../etc", F_OK) != -1)
		return 14;
	return 0;
}

static int t_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_nothing_is_left(void **state)
{
	char dir[] = "/tmp/test_drop.XXXXXX";
	struct drop drop = { .root = dir, .user = "web", .uid = T_UID, .gid = T_GID };
	struct vmm_error err;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		print_message("skipped: only root can try\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (!pid) {
		const gid_t groups[] = { 1, 2 };

		setgroups(2, groups);
		_exit(drop_enter(&drop, &err) ? 1 : look(&drop));
	}
	assert_int_equal(t_status(pid), 0);
	assert_int_equal(rmdir(dir), 0);
}

static int t_refused(const struct drop *drop, const char *text)
{
	struct vmm_error err = { "" };

	if (!geteuid() && (setgid(T_GID) || setuid(T_UID)))
		return 1;
	return drop_enter(drop, &err) == -EPERM && !strcmp(err.msg, text) ? 0 : 2;
}

static void test_it_takes_root(void **state)
{
	const struct drop user = { .user = "web", .uid = 1000, .gid = 1000 };
	const struct drop root = { .root = "/tmp" };
	struct vmm_error err = { "" };
	struct drop nothing = { .user = NULL };
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(t_refused(&user, "--user web: Operation not permitted"));
	assert_int_equal(t_status(pid), 0);
	pid = fork();
	if (!pid)
		_exit(t_refused(&root, "--chroot /tmp: Operation not permitted"));
	assert_int_equal(t_status(pid), 0);
	assert_int_equal(drop_enter(&nothing, &err), 0);
	nothing.root = "/nonexistent";
	assert_true(drop_enter(&nothing, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_it_is_to_be),
		cmocka_unit_test(test_who_it_cannot_be),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_it_takes_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
