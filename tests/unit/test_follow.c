/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_follow.c - whom a command is for, and hearing how they end: vmm/cli/whom.c,
 * follow.c, crowd.c
 */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/answer.h"
#include "vmm/cli/ask.h"
#include "vmm/cli/control.h"
#include "vmm/cli/crowd.h"
#include "vmm/cli/follow.h"
#include "vmm/cli/status.h"
#include "vmm/cli/whom.h"

/* ---- Whom ------------------------------------------------------------------------ */

static int t_parse(struct whom *whom, const char *line, bool *flag, const char **value)
{
	static char text[256];
	static char *argv[16];
	const struct whom_option options[] = {
		{ 'f', "flag", flag, NULL },
		{ 'v', "value", NULL, value },
		{ 0, NULL, NULL, NULL },
	};
	int argc = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	*flag = false;
	*value = NULL;
	return whom_parse(whom, options, argc, argv);
}

static void test_whom_is_said_as_in_kvmtool(void **state)
{
	const char *value;
	struct whom whom;
	bool flag;

	(void)state;
	assert_int_equal(t_parse(&whom, "stop web -f db -v 3 -n mail", &flag, &value), 0);
	assert_int_equal(whom.nr, 3);
	assert_string_equal(whom.names[0], "web");
	assert_string_equal(whom.names[1], "db");
	assert_string_equal(whom.names[2], "mail");
	assert_true(flag && !whom.all && !whom.json && !whom.help);
	assert_string_equal(value, "3");
	assert_int_equal(t_parse(&whom, "stop --name=web --value= --json", &flag, &value), 0);
	assert_int_equal(whom.nr, 1);
	assert_string_equal(whom.names[0], "web");
	assert_string_equal(value, "");
	assert_true(whom.json);
	assert_int_equal(t_parse(&whom, "stop -a -v3", &flag, &value), 0);
	assert_true(whom.all && !whom.nr);
	assert_string_equal(value, "3");
	assert_int_equal(t_parse(&whom, "stop --no --help", &flag, &value), STATUS_USAGE);
	assert_int_equal(t_parse(&whom, "stop x --help --no", &flag, &value), 0);
	assert_true(whom.help);
}

static void test_whom_refuses_what_it_does_not_know(void **state)
{
	static const char *const lines[] = {
		"stop -x", "stop --fla", "stop --flags", "stop --flag=1", "stop -fx", "stop --value",
		"stop web -v", "stop -n", "stop -a web", "stop web --all", "stop --", "stop --json=1",
	};
	const char *value;
	struct whom whom;
	bool flag;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (t_parse(&whom, lines[i], &flag, &value) != STATUS_USAGE)
			fail_msg("'%s' is taken", lines[i]);
}

/* ---- Guests that are processes ------------------------------------------------------ */

static int t_place(void **state)
{
	static char base[64];

	strcpy(base, "/tmp/test_follow.XXXXXX");
	if (!mkdtemp(base))
		return -1;
	*state = base;
	return setenv("XDG_RUNTIME_DIR", base, 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int t_remove(void **state)
{
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* How the process of a guest ends once it has been asked anything but "events". */
enum t_end { T_SAYS_10, T_SAYS_0, T_SILENT, T_NEVER };

struct t_guest {
	struct control	control;
	bool		over;
};

static char *t_answer(void *arg, const char *line, size_t len, bool *follows)
{
	struct t_guest *guest = arg;

	if (len == strlen("{\"command\":\"events\"}") && strstr(line, "events"))
		*follows = true;
	else
		guest->over = true;
	return strdup("{\"state\":\"running\"}\n");
}

__attribute__((noreturn))
static void guest_main(const char *name, enum t_end end, int ready)
{
	struct t_guest guest = { .over = false };
	const struct answerer who = { .name = name, .control = &guest.control };
	struct news news = NEWS("ended");
	struct pollfd fds[CONTROL_FDS];
	struct vmm_error err;

	control_clear(&guest.control);
	guest.control.answer = t_answer;
	guest.control.arg = &guest;
	if (control_open(&guest.control, name, &err) || write(ready, "", 1) != 1)
		_exit(1);
	while (!guest.over || end == T_NEVER) {
		if (poll(fds, control_poll(&guest.control, fds), T_TIMEOUT_MS) <= 0)
			_exit(2);
		control_serve(&guest.control, fds);
	}
	if (end == T_SILENT)
		_exit(3);
	news.status = end == T_SAYS_10 ? 10 : 0;
	answer_tell(&who, &news);
	control_close(&guest.control);
	/* The process is there for a while. */
	t_sleep_ms(50);
	_exit(0);
}

static pid_t t_guest(const char *name, enum t_end end)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		guest_main(name, end, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void t_whom(struct whom *whom, char **names, int nr)
{
	memset(whom, 0, sizeof(*whom));
	whom->command = "wait";
	whom->names = names;
	whom->nr = nr;
	assert_int_equal(whom_open(whom, false), 0);
}

static void test_wait_hears_how_each_ends(void **state)
{
	char *names[] = { (char *)"a", (char *)"b", (char *)"c" };
	pid_t pids[] = { t_guest("a", T_SAYS_10), t_guest("b", T_SAYS_0), t_guest("c", T_SILENT) };
	struct t_process before;
	struct vmm_error err;
	struct crowd crowd;
	struct whom whom;

	(void)state;
	t_process_save(&before);
	t_whom(&whom, names, 3);
	assert_int_equal(crowd_join(&crowd, &whom), 0);
	assert_int_equal(crowd.nr, 3);
	assert_int_equal(crowd_wait(&crowd, 20), -EAGAIN);
	for (size_t i = 0; i < crowd.nr; i++) {
		assert_false(crowd.follows[i].ended);
		assert_int_equal(follow_ask(&crowd.follows[i], "{}", &err), 0);
	}
	assert_int_equal(crowd_wait(&crowd, T_TIMEOUT_MS), 0);
	/* Not merely told, but gone. */
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(waitpid(pids[i], NULL, WNOHANG), pids[i]);
	assert_int_equal(crowd_status(&crowd.follows[0]), 10);
	assert_int_equal(crowd_status(&crowd.follows[1]), 0);
	assert_int_equal(crowd_status(&crowd.follows[2]), STATUS_ERROR);
	assert_true(follow_ask(&crowd.follows[0], "{}", &err) < 0);
	crowd_leave(&crowd);
	whom_close(&whom);
	t_process_check(&before);
}

static void test_killed_one_has_ended(void **state)
{
	char *names[] = { (char *)"a", (char *)"none" };
	pid_t pid = t_guest("a", T_NEVER);
	struct crowd crowd;
	struct whom whom;

	(void)state;
	t_whom(&whom, names, 2);
	/* The one that there is. */
	assert_int_equal(crowd_join(&crowd, &whom), STATUS_ERROR);
	assert_int_equal(crowd.nr, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(crowd_wait(&crowd, -1), 0);
	assert_true(crowd.follows[0].ended);
	assert_int_equal(crowd.follows[0].status, -1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	crowd_leave(&crowd);
	whom_close(&whom);
}

/* ... that is not the end of the guest. */
static void test_lost_connection_is_not_the_end(void **state)
{
	char *names[] = { (char *)"a" };
	pid_t pid = t_guest("a", T_NEVER);
	struct crowd crowd;
	struct whom whom;

	(void)state;
	t_whom(&whom, names, 1);
	assert_int_equal(crowd_join(&crowd, &whom), 0);
	close(crowd.follows[0].fd);
	crowd.follows[0].fd = -1;
	assert_int_equal(crowd_wait(&crowd, 50), -EAGAIN);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(crowd_wait(&crowd, -1), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	crowd_leave(&crowd);
	whom_close(&whom);
}

static void test_who_is_meant_without_a_name(void **state)
{
	pid_t pids[2];
	struct whom whom = { .command = "stat", .names = NULL, .dir = { .fd = -1 } };

	(void)state;
	assert_int_equal(whom_open(&whom, true), STATUS_ERROR);
	whom_close(&whom);
	whom.all = true;
	assert_int_equal(whom_open(&whom, false), 0);
	assert_int_equal(whom.nr, 0);
	whom_close(&whom);
	whom.all = false;
	pids[0] = t_guest("b", T_NEVER);
	assert_int_equal(whom_open(&whom, true), 0);
	assert_int_equal(whom.nr, 1);
	assert_string_equal(whom.names[0], "b");
	whom_close(&whom);
	whom.nr = 0;
	/* To change something, its name has to be said. */
	assert_int_equal(whom_open(&whom, false), STATUS_USAGE);
	whom_close(&whom);
	pids[1] = t_guest("a", T_NEVER);
	assert_int_equal(whom_open(&whom, true), STATUS_USAGE);
	whom_close(&whom);
	whom.all = true;
	assert_int_equal(whom_open(&whom, false), 0);
	assert_int_equal(whom.nr, 2);
	assert_string_equal(whom.names[0], "a");
	whom_close(&whom);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
}

static void test_patience_is_a_number_of_seconds(void **state)
{
	int64_t ms = -1;

	(void)state;
	assert_int_equal(crowd_patience(NULL, &ms), 0);
	assert_int_equal(ms, -1);
	assert_int_equal(crowd_patience("0", &ms), 0);
	assert_int_equal(ms, 0);
	assert_int_equal(crowd_patience("90", &ms), 0);
	assert_int_equal(ms, 90000);
	assert_int_equal(crowd_patience("", &ms), STATUS_USAGE);
	assert_int_equal(crowd_patience("1m", &ms), STATUS_USAGE);
	assert_int_equal(crowd_patience("18446744073709551615", &ms), STATUS_USAGE);
}

/* ---- Who lies ----------------------------------------------------------------------- */

struct t_liar {
	pthread_t	thread;
	struct follow	follow;
	int		fd;
	const char	*says;		/* again and again ... */
	unsigned int	pause_ms;
};

static void *t_lie(void *arg)
{
	struct t_liar *liar = arg;

	while (send(liar->fd, liar->says, strlen(liar->says), MSG_NOSIGNAL) > 0)
		t_sleep_ms(liar->pause_ms);
	return NULL;
}

static void t_begin(struct t_liar *liar)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	liar->fd = fds[1];
	liar->follow = (struct follow){ .name = "liar", .fd = fds[0], .pidfd = -1, .status = -1 };
	if (liar->says)
		assert_int_equal(pthread_create(&liar->thread, NULL, t_lie, liar), 0);
}

static void t_end(struct t_liar *liar)
{
	follow_close(&liar->follow);
	if (liar->says)
		pthread_join(liar->thread, NULL);
	close(liar->fd);
}

static void test_a_status_that_is_none_is_not_believed(void **state)
{
	static const char *const lies[] = {
		"{\"event\":\"ended\",\"status\":256}\n", "{\"event\":\"ended\",\"status\":4294967296}\n",
		"{\"event\":\"ended\",\"status\":-1}\n", "{\"event\":7,\"status\":1}\n", "[]\n", "\"ended\"\n", "\n",
	};
	static const char truth[] = "{\"event\":\"ended\",\"status\":255}\n";
	struct t_liar liar = { .says = NULL };

	(void)state;
	t_begin(&liar);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		assert_true(send(liar.fd, lies[i], strlen(lies[i]), 0) > 0);
		json_decref(follow_next(&liar.follow, T_TIMEOUT_MS));
		assert_int_equal(liar.follow.status, -1);
	}
	assert_true(send(liar.fd, truth, strlen(truth), 0) > 0);
	json_decref(follow_next(&liar.follow, T_TIMEOUT_MS));
	assert_int_equal(liar.follow.status, 255);
	t_end(&liar);
}

static void test_who_says_a_byte_now_and_then_is_not_waited_for(void **state)
{
	struct t_liar liar = { .says = "x", .pause_ms = 10 };

	(void)state;
	t_begin(&liar);
	/* It would be 80 seconds until the buffer is full. */
	assert_null(follow_next(&liar.follow, 100));
	assert_in_range(liar.follow.len, 1, FOLLOW_LINE - 1);
	t_end(&liar);
}

static void test_who_never_stops_is_not_listened_to_for_ever(void **state)
{
	struct t_liar liar = { .says = "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n" };

	(void)state;
	t_begin(&liar);
	assert_int_equal(follow_wait(&liar.follow, 1, follow_clock_ms() + 50), -EAGAIN);
	t_end(&liar);
}

static void test_what_is_shown_moves_no_cursor(void **state)
{
	json_t *reply = json_pack("{s:s, s:s, s:i}", "a", "\x1b[2J\n\x7f\xc2\x9b" "1m\xc2\xa0\xc3\x9b", "b", "plain",
				  "c", 7);

	(void)state;
	assert_non_null(reply);
	assert_string_equal(ask_string(reply, "a"), "?[2J????1m\xc2\xa0\xc3\x9b");
	assert_string_equal(ask_string(reply, "b"), "plain");
	assert_string_equal(ask_string(reply, "c"), "");
	assert_string_equal(ask_string(reply, "d"), "");
	json_decref(reply);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_place, t_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whom_is_said_as_in_kvmtool),
		cmocka_unit_test(test_whom_refuses_what_it_does_not_know),
		cmocka_unit_test(test_patience_is_a_number_of_seconds),
		TEST(test_wait_hears_how_each_ends),
		TEST(test_killed_one_has_ended),
		TEST(test_lost_connection_is_not_the_end),
		TEST(test_who_is_meant_without_a_name),
		cmocka_unit_test(test_a_status_that_is_none_is_not_believed),
		cmocka_unit_test(test_who_says_a_byte_now_and_then_is_not_waited_for),
		cmocka_unit_test(test_who_never_stops_is_not_listened_to_for_ever),
		cmocka_unit_test(test_what_is_shown_moves_no_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
