/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ready.c - for who supervises us: vmm/cli/ready.c, and vmm/cli/report.c in JSON
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/ready.h"
#include "vmm/cli/report.h"

/* ---- sd_notify -------------------------------------------------------------------- */

static int t_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path));
	if (*path == '@')
		addr.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void t_hears(int fd, const char *want)
{
	char buf[256] = "";

	assert_true(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(buf, want);
}

static void test_systemd_is_told_once(void **state)
{
	static const char *const nowhere[] = { "", "relative", "/nonexistent/socket", "@nobody" };
	char path[64] = "/tmp/test_ready.XXXXXX";
	char name[96];
	struct t_process before;
	struct vmm_error err;
	struct ready ready;

	(void)state;
	assert_non_null(mkdtemp(path));
	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(name, sizeof(name), "%s%s/notify", i ? "@" : "", path);
		fd = t_listen(name);
		t_process_save(&before);
		ready_clear(&ready);
		assert_int_equal(ready_begin(&ready, -1, NULL, &err), 0);
		ready_tell(&ready);
		t_hears(fd, "READY=1\n");
		ready_tell(&ready);
		assert_int_equal(recv(fd, name, 1, MSG_DONTWAIT), -1);
		ready_end(&ready);
		t_hears(fd, "STOPPING=1\n");
		t_process_check(&before);
		close(fd);
	}
	snprintf(name, sizeof(name), "%s/notify", path);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(path), 0);
	/* Nobody may be there, or nobody who can be reached. */
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
		setenv("NOTIFY_SOCKET", nowhere[i], 1);
		ready_clear(&ready);
		assert_int_equal(ready_begin(&ready, -1, NULL, &err), 0);
		assert_int_equal(ready.notify, -1);
		ready_tell(&ready);
		ready_end(&ready);
	}
	unsetenv("NOTIFY_SOCKET");
	ready_clear(&ready);
	ready_end(&ready);
}

/* ---- The descriptor ---------------------------------------------------------------- */

static void test_descriptor_is_told_and_closed(void **state)
{
	struct t_process before;
	struct vmm_error err;
	struct ready ready;
	char buf[32] = "";
	int fds[2];

	(void)state;
	t_process_save(&before);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, fds[1], NULL, &err), 0);
	assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), -1);
	ready_tell(&ready);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 8);
	assert_string_equal(buf, "READY=1\n");
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	ready_end(&ready);
	/* One that fails to start closes it and says nothing. */
	close(fds[0]);
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, fds[1], NULL, &err), 0);
	ready_end(&ready);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	close(fds[0]);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, fds[1], NULL, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "no descriptor of ours"));
	t_process_check(&before);
}

/* ---- The file ------------------------------------------------------------------------ */

static void test_pidfile_is_there_while_we_are(void **state)
{
	char dir[64] = "/tmp/test_ready.XXXXXX";
	char path[96];
	char text[64] = "";
	struct t_process before;
	struct vmm_error err;
	struct ready other;
	struct ready ready;
	struct stat st;
	int fd;

	(void)state;
	t_process_save(&before);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	/* What a killed one has left is longer. */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "123456789012345\n", 16), 16);
	close(fd);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, -1, path, &err), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_int_equal(atoi(text), getpid());
	assert_int_equal(text[strlen(text) - 1], '\n');
	ready_clear(&other);
	assert_int_equal(ready_begin(&other, -1, path, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "another process has it"));
	ready_end(&other);
	assert_int_equal(stat(path, &st), 0);
	ready_end(&ready);
	assert_int_equal(stat(path, &st), -1);
	/* Another's file of this name is left alone, and a link is not followed. */
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, -1, path, &err), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nonexistent", path), 0);
	ready_end(&ready);
	assert_int_equal(lstat(path, &st), 0);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, -1, path, &err), -ELOOP);
	ready_end(&ready);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	ready_clear(&ready);
	assert_int_equal(ready_begin(&ready, -1, path, &err), -ENOENT);
	t_process_check(&before);
}

/* ---- The log ------------------------------------------------------------------------- */

static int t_redirect(int *saved)
{
	int mem = memfd_create("stderr", MFD_CLOEXEC);

	*saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(mem, STDERR_FILENO), STDERR_FILENO);
	return mem;
}

static void t_restore(int saved)
{
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
}

static void t_is(const json_t *line, const char *level, const char *name, const char *message)
{
	assert_true(json_is_object(line));
	assert_string_equal(json_string_value(json_object_get(line, "level")), level);
	assert_string_equal(json_string_value(json_object_get(line, "message")), message);
	assert_true(json_integer_value(json_object_get(line, "time")) > 1700000000000);
	if (name)
		assert_string_equal(json_string_value(json_object_get(line, "name")), name);
	else
		assert_null(json_object_get(line, "name"));
}

static void test_log_lines_are_objects(void **state)
{
	const struct report named = { .name = "web", .level = VMM_LOG_INFO };
	const struct report nameless = { .level = VMM_LOG_DEBUG };
	char buf[4096] = "";
	int saved;
	int fd = t_redirect(&saved);
	char *line;
	char *next;
	int nr = 0;

	(void)state;
	report_in_json(true);
	report_log(&named, VMM_LOG_WARN, "a \"quoted\"\nline\t\\");
	report_log(&named, VMM_LOG_DEBUG, "not shown");
	report_log(&nameless, VMM_LOG_DEBUG, "caf\xc3\xa9 \xff");
	report_fatal("%s: gone", "it");
	report_in_json(false);
	report_fatal("text again");
	t_restore(saved);
	assert_true(pread(fd, buf, sizeof(buf) - 1, 0) > 0);
	close(fd);
	for (line = strtok_r(buf, "\n", &next); line; line = strtok_r(NULL, "\n", &next), nr++) {
		json_t *object = json_loads(line, 0, NULL);

		if (nr == 0)
			t_is(object, "warning", "web", "a \"quoted\"\nline\t\\");
		else if (nr == 1)
			t_is(object, "debug", NULL, "caf?? ?");
		else if (nr == 2)
			t_is(object, "fatal", NULL, "it: gone");
		else
			assert_string_equal(line, "vmm: Fatal: text again");
		json_decref(object);
	}
	assert_int_equal(nr, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_systemd_is_told_once),
		cmocka_unit_test(test_descriptor_is_told_and_closed),
		cmocka_unit_test(test_pidfile_is_there_while_we_are),
		cmocka_unit_test(test_log_lines_are_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
