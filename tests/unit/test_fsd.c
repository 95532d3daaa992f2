/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fsd.c - vmm/cli/fsd.c and vmm/cli/helper.c
 *
 * The virtiofsd is this program itself, under that name, and so is the diod: see pose().
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/fsd.h"
#include "vmm/cli/helper.h"
#include "vmm/cli/vhosts.h"

/* What $T_POSE says: "serve" its arguments until the end of the connection, "die", "hang". */
static int pose(int argc, char **argv)
{
	const char *how = getenv("T_POSE");
	char byte;
	int fd;

	if (!strcmp(how, "die"))
		return 7;
	signal(SIGTERM, SIG_IGN);
	while (!strcmp(how, "hang"))
		pause();
	fd = accept(3, NULL, NULL);
	for (int i = 1; i < argc; i++)
		dprintf(fd, "%s ", argv[i]);
	dprintf(fd, ".");
	while (read(fd, &byte, 1) > 0)
		;
	return 0;
}

static char t_dir[64];		/* with virtiofsd in it */
static char t_run[64];		/* where sockets are made */

static int t_setup(void **state)
{
	char path[96];

	(void)state;
	strcpy(t_dir, "/tmp/t-fsd.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	strcpy(t_run, "/tmp/t-run.XXXXXX");
	assert_non_null(mkdtemp(t_run));
	snprintf(path, sizeof(path), "%s/virtiofsd", t_dir);
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	setenv("PATH", t_dir, 1);
	setenv("XDG_RUNTIME_DIR", t_run, 1);
	return 0;
}

static int t_teardown(void **state)
{
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/virtiofsd", t_dir);
	unlink(path);
	/* Nothing else is there, and nobody is left. */
	assert_int_equal(rmdir(t_dir), 0);
	assert_int_equal(rmdir(t_run), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return 0;
}

static int t_open(struct fsd *fsd, const char *dir, const char *sandbox, bool ro, struct vmm_error *err)
{
	const struct fs_option opt = {
		.dir = dir, .dir_len = (int)strlen(dir), .tag = "tag,", .tag_len = 3,
		.sandbox = sandbox, .sandbox_len = sandbox ? (int)strlen(sandbox) : 0, .ro = ro,
	};

	fsd_clear(fsd);
	return fsd_open(fsd, &opt, err);
}

static int t_spawn(struct fsd *fsd, const char *how)
{
	struct vmm_error err;
	int fd;

	setenv("T_POSE", how, 1);
	fd = fsd_start(fsd, &err);
	if (fd < 0)
		fail_msg("%s", err.msg);
	return fd;
}

static void t_args(int fd, const char *expected)
{
	char buf[256];
	size_t len = 0;

	while (len < sizeof(buf) - 1 && (!len || buf[len - 1] != '.') &&
	       read(fd, buf + len, 1) == 1)
		len++;
	buf[len] = '\0';
	assert_string_equal(buf, expected);
}

static void t_serve(const char *sandbox, bool ro, const char *args)
{
	struct t_process before;
	struct vmm_error err;
	struct fsd fsd;
	int fd;

	t_process_save(&before);
	assert_int_equal(t_open(&fsd, "/tmp", sandbox, ro, &err), 0);
	assert_string_equal(fsd.tag, "tag");
	fd = t_spawn(&fsd, "serve");
	t_args(fd, args);
	assert_int_equal(getpgid(fsd.pid), fsd.pid);
	close(fd);
	fsd_close(&fsd);
	t_process_check(&before);
}

static void test_serves_a_directory(void **state)
{
	(void)state;
	t_serve(NULL, false, "--fd 3 --shared-dir /tmp --log-level error .");
	t_serve(NULL, true, "--fd 3 --shared-dir /tmp --log-level error --readonly .");
	t_serve("chroot", true,
		"--fd 3 --shared-dir /tmp --log-level error --readonly --sandbox chroot .");
}

/* Addresses of sockets are short, names of directories need not be. */
static void test_runtime_directory_may_be_long(void **state)
{
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/%0150d", t_run, 0);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", path, 1);
	t_serve(NULL, false, "--fd 3 --shared-dir /tmp --log-level error .");
	assert_int_equal(rmdir(path), 0);
}

static void test_no_place_for_a_socket(void **state)
{
	struct t_process before;
	struct vmm_error err;
	struct fsd fsd;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	t_process_save(&before);
	assert_int_equal(t_open(&fsd, "/tmp", NULL, false, &err), 0);
	assert_int_equal(fsd_start(&fsd, &err), -ENOENT);
	assert_string_equal(err.msg, "--fs: a socket for /tmp: No such file or directory");
	fsd_close(&fsd);
	t_process_check(&before);
}

static void t_wait(struct fsd *fsd)
{
	struct pollfd p = { .fd = fsd->pid_fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, T_TIMEOUT_MS), 1);
}

static void test_its_end_is_told(void **state)
{
	struct vmm_error err;
	struct fsd fsd;
	char how[32];
	int fd;

	(void)state;
	assert_int_equal(t_open(&fsd, "/tmp", NULL, false, &err), 0);
	assert_false(fsd_ended(&fsd, how, sizeof(how)));
	fd = t_spawn(&fsd, "serve");
	assert_false(fsd_ended(&fsd, how, sizeof(how)));
	assert_int_equal(kill(fsd.pid, SIGKILL), 0);
	t_wait(&fsd);
	assert_true(fsd_ended(&fsd, how, sizeof(how)));
	assert_string_equal(how, "SIGKILL");
	assert_int_equal(fsd.pid_fd, -1);
	assert_false(fsd_ended(&fsd, how, sizeof(how)));
	close(fd);
	/* And another. */
	fd = t_spawn(&fsd, "serve");
	t_args(fd, "--fd 3 --shared-dir /tmp --log-level error .");
	close(fd);
	fsd_close(&fsd);
}

static void test_one_that_keeps_dying_is_given_up(void **state)
{
	struct vmm_error err;
	struct fsd fsd;
	char how[32];

	(void)state;
	assert_int_equal(t_open(&fsd, "/tmp", NULL, false, &err), 0);
	for (int i = 0; i < 4; i++) {
		assert_true(fsd_may_restart(&fsd));
		close(t_spawn(&fsd, "die"));
		t_wait(&fsd);
		assert_true(fsd_ended(&fsd, how, sizeof(how)));
		assert_string_equal(how, "status 7");
	}
	assert_false(fsd_may_restart(&fsd));
	/* One that has lived is another matter. */
	close(t_spawn(&fsd, "die"));
	t_wait(&fsd);
	fsd.born_ms -= 10000;
	assert_true(fsd_ended(&fsd, how, sizeof(how)));
	assert_true(fsd_may_restart(&fsd));
	fsd_close(&fsd);
}

static void test_stubborn_one_is_killed(void **state)
{
	struct vmm_error err;
	struct fsd fsd;

	(void)state;
	assert_int_equal(t_open(&fsd, "/tmp", NULL, false, &err), 0);
	close(t_spawn(&fsd, "hang"));
	fsd_stop(&fsd);
	assert_int_equal(fsd.pid, 0);
	fsd_close(&fsd);
}

static void test_what_is_missing_is_named(void **state)
{
	struct vmm_error err;
	struct fsd fsd;

	(void)state;
	assert_int_equal(t_open(&fsd, "/nowhere", NULL, false, &err), -ENOENT);
	assert_string_equal(err.msg, "--fs: directory /nowhere: No such file or directory");
	fsd_close(&fsd);
	assert_int_equal(t_open(&fsd, "/dev/null", NULL, false, &err), -ENOTDIR);
	assert_string_equal(err.msg, "--fs: directory /dev/null: Not a directory");
	fsd_close(&fsd);
	/* A directory of that name is none that can be run; nor is "" a part of PATH. */
	setenv("PATH", ":/nowhere:", 1);
	if (access("/usr/libexec/virtiofsd", F_OK)) {
		assert_int_equal(t_open(&fsd, "/tmp", NULL, false, &err), -ENOTSUP);
		assert_non_null(strstr(err.msg, "there is no virtiofsd"));
		fsd_close(&fsd);
	}
}

/* ---- By another process ---------------------------------------------------------- */

static void t_help(struct helper *h, const char *how, bool ro)
{
	struct vhosts none;
	struct vmm_error err;
	struct fsd fsds[2];

	setenv("T_POSE", how, 1);
	helper_clear(h);
	vhosts_clear(&none);
	assert_int_equal(t_open(&fsds[0], "/", NULL, false, &err), 0);
	assert_int_equal(t_open(&fsds[1], "/tmp", NULL, ro, &err), 0);
	assert_int_equal(helper_open(h, fsds, 2, &none), 0);
	fsd_close(&fsds[0]);
	fsd_close(&fsds[1]);
}

static void test_helper_starts_and_stops(void **state)
{
	struct t_process before;
	struct vmm_error err;
	struct helper h;
	int pid_fds[2];
	int fds[2];

	(void)state;
	t_process_save(&before);
	t_help(&h, "serve", true);
	for (unsigned int i = 0; i < 2; i++) {
		fds[i] = helper_start(&h, i, &pid_fds[i], &err);
		assert_true(fds[i] >= 0 && pid_fds[i] >= 0);
	}
	t_args(fds[0], "--fd 3 --shared-dir / --log-level error .");
	t_args(fds[1], "--fd 3 --shared-dir /tmp --log-level error --readonly .");
	close(fds[0]);
	helper_stop(&h, 0, &pid_fds[0]);
	assert_int_equal(pid_fds[0], -1);
	helper_stop(&h, 0, &pid_fds[0]);
	/* The other ends with the helper. */
	close(fds[1]);
	helper_close(&h);
	assert_int_equal(poll(&(struct pollfd){ .fd = pid_fds[1], .events = POLLIN }, 1, 0), 1);
	close(pid_fds[1]);
	t_process_check(&before);
}

static void test_helper_tells_how_they_end(void **state)
{
	struct vmm_error err;
	struct helper h;
	char how[32];
	bool again = true;
	int pid_fd = -1;

	(void)state;
	t_help(&h, "die", false);
	assert_false(helper_ended(&h, 1, &pid_fd, how, sizeof(how), &again));
	for (int i = 0; i < 4; i++) {
		assert_true(again);
		close(helper_start(&h, 1, &pid_fd, &err));
		t_until(helper_ended(&h, 1, &pid_fd, how, sizeof(how), &again));
		assert_string_equal(how, "status 7");
		assert_int_equal(pid_fd, -1);
	}
	assert_false(again);
	helper_close(&h);
}

/* As a guest can get it that opens pipes; but not while it is listened to. */
static void test_stuck_diod_ends_soon_after_its_connection(void **state)
{
	const struct fs_option opt = {
		.dir = "/tmp", .dir_len = 4, .tag = "t", .tag_len = 1, .sandbox = "none", .sandbox_len = 4, .p9 = true,
	};
	char path[96];
	struct t_process before;
	struct vhosts none;
	struct vmm_error err;
	struct helper h;
	struct fsd fsd;
	char how[32];
	bool again;
	int pid_fd;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/diod", t_dir);
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	t_process_save(&before);
	helper_clear(&h);
	vhosts_clear(&none);
	fsd_clear(&fsd);
	setenv("T_POSE", "hang", 1);
	assert_int_equal(fsd_open(&fsd, &opt, &err), 0);
	assert_int_equal(helper_open(&h, &fsd, 1, &none), 0);
	for (u32 n = 0; n < 2; n++) {
		fd = helper_start(&h, 0, &pid_fd, &err);
		assert_true(fd >= 0);
		if (!n) {
			t_sleep_ms(1500);
			assert_false(helper_ended(&h, 0, &pid_fd, how, sizeof(how), &again));
		}
		close(fd);
		t_until(helper_ended(&h, 0, &pid_fd, how, sizeof(how), &again));
		assert_string_equal(how, "SIGKILL");
		assert_true(again);
	}
	/* While it has its second it may be stopped. */
	fd = helper_start(&h, 0, &pid_fd, &err);
	close(fd);
	helper_stop(&h, 0, &pid_fd);
	helper_close(&h);
	fsd_close(&fsd);
	assert_int_equal(unlink(path), 0);
	t_process_check(&before);
}

static void test_helper_says_what_fails(void **state)
{
	struct vmm_error err;
	struct helper h;
	int pid_fd;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	t_help(&h, "serve", false);
	assert_int_equal(helper_start(&h, 1, &pid_fd, &err), -ENOENT);
	assert_string_equal(err.msg, "--fs: a socket for /tmp: No such file or directory");
	assert_int_equal(pid_fd, -1);
	/* And when it is not there itself. */
	kill(h.pid, SIGKILL);
	t_until(helper_start(&h, 1, &pid_fd, &err) != -ENOENT);
	assert_string_equal(err.msg, "the process that helps this one has gone");
	helper_close(&h);
}

static void test_helper_tells_when_descriptors_are_used_up(void **state)
{
	struct t_process before;
	struct rlimit limit;
	struct vmm_error err;
	struct helper h;
	int pid_fd;
	int fd;

	(void)state;
	t_process_save(&before);
	t_help(&h, "serve", false);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned int room = 0; room <= 2; room++) {
		const struct rlimit low = { h.fd + 1 + room, limit.rlim_max };

		err.msg[0] = 0;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		fd = helper_start(&h, 0, &pid_fd, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(pid_fd >= 0, room == 2);
		if (room == 2) {
			assert_true(fd >= 0);
			break;
		}
		assert_int_equal(fd, -EMFILE);
		assert_string_equal(err.msg, "there is no descriptor left");
	}
	close(fd);
	helper_stop(&h, 0, &pid_fd);
	helper_close(&h);
	t_process_check(&before);
}

static void test_helper_connects(void **state)
{
	struct vhosts vhosts;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct t_process before;
	struct vmm_error err;
	struct helper h;
	int fds[2];
	int s;

	(void)state;
	t_process_save(&before);
	vhosts_clear(&vhosts);
	vhosts.nr = 1;
	vhosts.list[0].option = "--vhost-user";
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/t-helper.%d", (int)getpid());
	memcpy(vhosts.list[0].path, addr.sun_path, sizeof(addr.sun_path));
	helper_clear(&h);
	assert_int_equal(helper_open(&h, NULL, 0, &vhosts), 0);
	assert_int_equal(helper_connect(&h, 0, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--vhost-user: Unable to connect to /tmp/t-helper."));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(helper_connect(&h, 0, &err), -ECONNREFUSED);
	assert_int_equal(listen(s, 0), 0);
	fds[0] = helper_connect(&h, 0, &err);
	assert_true(fds[0] >= 0);
	/* Nobody accepts, and nobody is waited for. */
	assert_int_equal(helper_connect(&h, 0, &err), -EAGAIN);
	fds[1] = accept(s, NULL, NULL);
	assert_int_equal(send(fds[0], "x", 1, 0), 1);
	close(fds[0]);
	close(fds[1]);
	close(s);
	unlink(addr.sun_path);
	helper_close(&h);
	t_process_check(&before);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_serves_a_directory),
		TEST(test_runtime_directory_may_be_long),
		TEST(test_no_place_for_a_socket),
		TEST(test_its_end_is_told),
		TEST(test_one_that_keeps_dying_is_given_up),
		TEST(test_stubborn_one_is_killed),
		TEST(test_what_is_missing_is_named),
		TEST(test_helper_starts_and_stops),
		TEST(test_helper_tells_how_they_end),
		TEST(test_stuck_diod_ends_soon_after_its_connection),
		TEST(test_helper_says_what_fails),
		TEST(test_helper_tells_when_descriptors_are_used_up),
		TEST(test_helper_connects),
	};

	if (!strcmp(argv[0], "virtiofsd") || !strcmp(argv[0], "diod"))
		return pose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
