/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control.c - the control socket: vmm/cli/control.c, sockdir.c, answer.c, ask.c
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arm64/reg.h"
#include "tests/unit/t.h"
#include "vmm/cli/answer.h"
#include "vmm/cli/ask.h"
#include "vmm/cli/control.h"
#include "vmm/cli/sockdir.h"
#include "vmm/cli/vhosts.h"

#define STAT	"{\"command\":\"stat\"}"
#define EVENTS	"{\"command\":\"events\"}"
#define BIG	(4u << 20)		/* more than any socket's buffer */

/* ---- A place of our own ---------------------------------------------------------- */

struct place {
	char	base[64];
	char	dir[128];		/* where the sockets are */
};

static int t_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (!place)
		return -1;
	strcpy(place->base, "/tmp/test_control.XXXXXX");
	if (!mkdtemp(place->base))
		return -1;
	snprintf(place->dir, sizeof(place->dir), "%s/vmm", place->base);
	*state = place;
	return setenv("XDG_RUNTIME_DIR", place->base, 1);
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
	struct place *place = *state;
	int ret = nftw(place->base, remove_one, 8, FTW_DEPTH | FTW_PHYS);

	free(place);
	return ret;
}

static void t_path(const struct place *place, const char *name, char *path, size_t size)
{
	assert_true(snprintf(path, size, "%s/%s.sock", place->dir, name) < (int)size);
}

static bool t_exists(const struct place *place, const char *name)
{
	char path[256];
	struct stat st;

	t_path(place, name, path, sizeof(path));
	return !lstat(path, &st);
}

/* ---- A server ---------------------------------------------------------------------- */

/* Echo, or with "big" more than can be sent at once; NULL for "none". */
static char *echo(void *arg, const char *line, size_t len, bool *follows)
{
	char *reply;

	*follows |= len == 6 && !memcmp(line, "follow", 6);
	++*(u32 *)arg;
	if (len == 3 && !memcmp(line, "big", 3)) {
		reply = malloc(BIG + 2);
		assert_non_null(reply);
		memset(reply, 'x', BIG);
		strcpy(reply + BIG, "\n");
		return reply;
	}
	if (len == 4 && !memcmp(line, "none", 4))
		return NULL;
	if (len >= CONTROL_LINE)
		return strdup("too long\n");
	assert_true(asprintf(&reply, "<%.*s>\n", (int)len, line) > 0);
	return reply;
}

struct server {
	struct control	control;
	u32		nr_asked;
};

static void t_open(struct server *server, const char *name)
{
	struct vmm_error err = { "" };

	memset(server, 0x55, sizeof(*server));
	control_clear(&server->control);
	server->nr_asked = 0;
	server->control.answer = echo;
	server->control.arg = &server->nr_asked;
	if (control_open(&server->control, name, &err))
		fail_msg("%s", err.msg);
}

/* Serve until nothing happens any more.  The number of turns. */
static u32 t_serve(struct server *server)
{
	struct pollfd fds[CONTROL_FDS];
	u32 turns = 0;

	for (;;) {
		if (poll(fds, control_poll(&server->control, fds), 0) <= 0)
			return turns;
		control_serve(&server->control, fds);
		if (++turns > 100000)
			fail_msg("it goes on for ever");
	}
}

static u32 t_nr_peers(const struct server *server)
{
	u32 nr = 0;

	for (size_t i = 0; i < CONTROL_PEERS; i++)
		nr += server->control.peers[i].fd >= 0;
	return nr;
}

/* ---- Peers ------------------------------------------------------------------------- */

static int t_connect(const char *name)
{
	struct sockdir dir;
	int fd;

	assert_int_equal(sockdir_open(&dir, false), 0);
	fd = sockdir_connect(&dir, name, 10);
	sockdir_close(&dir);
	return fd;
}

static void t_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come so far; "" at the end of the connection. */
static const char *t_received(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return "nothing";
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void t_answers(struct server *server, int fd, const char *request, const char *reply)
{
	char buf[4096];

	t_send(fd, request);
	t_serve(server);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), reply);
}

/* ---- The socket -------------------------------------------------------------------- */

static void test_socket_is_the_users_alone(void **state)
{
	struct place *place = *state;
	struct server server;
	struct t_process before;
	struct stat st;
	char path[256];
	mode_t mask = umask(0);

	t_process_save(&before);
	t_open(&server, "guest");
	umask(mask);
	t_path(place, "guest", path, sizeof(path));
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(place->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, geteuid());
	control_close(&server.control);
	assert_false(t_exists(place, "guest"));
	control_close(&server.control);
	t_process_check(&before);
}

static void test_live_guest_keeps_its_name(void **state)
{
	struct place *place = *state;
	struct vmm_error err = { "" };
	struct server server;
	struct server other;

	t_open(&server, "guest");
	control_clear(&other.control);
	assert_int_equal(control_open(&other.control, "guest", &err), -EEXIST);
	assert_non_null(strstr(err.msg, "a guest of this name is running"));
	control_close(&other.control);
	assert_true(t_exists(place, "guest"));
	/* ... also one that is too busy to accept anybody. */
	for (int i = 0; i < 40; i++)
		t_connect("guest");
	assert_int_equal(control_open(&other.control, "guest", &err), -EEXIST);
	t_open(&other, "guest2");
	control_close(&other.control);
	control_close(&server.control);
	assert_false(t_exists(place, "guest"));
}

/* Both kinds that a killed process may leave: bound, and bound and listening. */
static void test_dead_guest_is_replaced(void **state)
{
	struct place *place = *state;
	struct server server;
	struct sockdir dir;
	struct sockaddr_un addr;
	int fd;

	t_open(&server, "guest");
	close(server.control.fd);
	server.control.fd = -1;
	assert_true(t_exists(place, "guest"));
	t_open(&server, "guest");
	control_close(&server.control);

	assert_int_equal(sockdir_open(&dir, true), 0);
	assert_int_equal(sockdir_address(&dir, "guest", &addr), 0);
	sockdir_close(&dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	t_open(&server, "guest");
	close(fd);
	fd = t_connect("guest");
	t_answers(&server, fd, "hello\n", "<hello>\n");
	close(fd);
	control_close(&server.control);
	assert_false(t_exists(place, "guest"));
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
	struct place *place = *state;
	struct vmm_error err = { "" };
	struct server server;
	char path[256];
	int fd;

	t_open(&server, "guest");
	control_close(&server.control);
	t_path(place, "guest", path, sizeof(path));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	/* connect() says of a file what it says of a dead socket. */
	assert_int_equal(control_open(&server.control, "guest", &err), -EADDRINUSE);
	assert_true(t_exists(place, "guest"));
	control_close(&server.control);
}

/* Somebody else's socket by the same name is not removed at the end. */
static void test_only_the_own_file_is_removed(void **state)
{
	struct place *place = *state;
	struct server first;
	struct server second;
	char path[256];

	t_open(&first, "guest");
	t_path(place, "guest", path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	t_open(&second, "guest");
	control_close(&first.control);
	assert_true(t_exists(place, "guest"));
	control_close(&second.control);
	assert_false(t_exists(place, "guest"));
}

static void t_refused(int want, const char *text)
{
	struct vmm_error err = { "" };
	struct t_process before;
	struct server server;

	t_process_save(&before);
	control_clear(&server.control);
	assert_int_equal(control_open(&server.control, "guest", &err), want);
	if (!strstr(err.msg, text))
		fail_msg("'%s' does not say '%s'", err.msg, text);
	control_close(&server.control);
	t_process_check(&before);
}

static void test_guest_goes_on_without_a_directory(void **state)
{
	struct place *place = *state;
	char longer[200];

	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	t_refused(-ENOENT, "/nonexistent/vmm: No such file");
	setenv("XDG_RUNTIME_DIR", "/dev/null", 1);
	t_refused(-ENOTDIR, "/dev/null/vmm");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("XDG_RUNTIME_DIR", longer, 1);
	t_refused(-ENAMETOOLONG, "no control socket: ");
	setenv("XDG_RUNTIME_DIR", place->base, 1);
	assert_int_equal(mkdir(place->dir, 0755), 0);
	assert_int_equal(chmod(place->dir, 0755), 0);
	t_refused(-EPERM, "is not this user's alone");
	assert_int_equal(rmdir(place->dir), 0);
	assert_int_equal(symlink("/tmp", place->dir), 0);
	t_refused(-ENOTDIR, place->dir);
	if (geteuid()) {
		unsetenv("XDG_RUNTIME_DIR");
		t_refused(-ENOENT, "XDG_RUNTIME_DIR is not set");
	}
}

/* ---- Peers of every kind ---------------------------------------------------------- */

static void test_requests_are_answered_in_order(void **state)
{
	struct server server;
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	t_answers(&server, fd, "a\n", "<a>\n");
	t_answers(&server, fd, "b\nc\n\n\nd\n", "<b>\n<c>\n<d>\n");
	t_answers(&server, fd, "half", "nothing");
	t_answers(&server, fd, "-line\nnext", "<half-line>\n");
	t_answers(&server, fd, "\n", "<next>\n");
	close(fd);
	t_serve(&server);
	assert_int_equal(t_nr_peers(&server), 0);
	control_close(&server.control);
}

static void test_requests_before_the_end_are_answered(void **state)
{
	struct server server;
	char buf[256];
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	t_send(fd, "a\nb\nc");
	shutdown(fd, SHUT_WR);
	t_serve(&server);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "<a>\n<b>\n");
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "");
	assert_int_equal(t_nr_peers(&server), 0);
	close(fd);
	control_close(&server.control);
}

static void test_line_without_end_costs_the_connection(void **state)
{
	struct server server;
	char junk[3 * CONTROL_LINE];
	char buf[256];
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	memset(junk, 'j', sizeof(junk));
	assert_int_equal(send(fd, junk, sizeof(junk), MSG_NOSIGNAL), sizeof(junk));
	t_serve(&server);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "too long\n");
	assert_int_equal(t_nr_peers(&server), 0);
	assert_int_equal(server.nr_asked, 1);
	close(fd);

	/* The longest that fits is a request. */
	fd = t_connect("guest");
	junk[CONTROL_LINE - 1] = '\n';
	assert_int_equal(send(fd, junk, CONTROL_LINE, MSG_NOSIGNAL), CONTROL_LINE);
	t_serve(&server);
	assert_int_equal(server.nr_asked, 2);
	assert_int_equal(t_nr_peers(&server), 1);
	close(fd);
	control_close(&server.control);
}

static void test_peer_that_does_not_read_waits(void **state)
{
	struct server server;
	char *buf = malloc(BIG + 16);
	size_t len = 0;
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	for (int i = 0; i < 100; i++)
		t_send(fd, "big\n");
	assert_true(t_serve(&server) < 50);
	/* One answer is made, not a hundred. */
	assert_int_equal(server.nr_asked, 1);
	while (len < BIG + 1) {
		ssize_t n = recv(fd, buf + len, BIG + 1 - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			t_serve(&server);
	}
	assert_int_equal(buf[BIG], '\n');
	close(fd);
	t_serve(&server);
	assert_int_equal(t_nr_peers(&server), 0);
	free(buf);
	control_close(&server.control);
}

static void test_peer_that_goes_is_forgotten(void **state)
{
	struct t_process before;
	struct server server;

	(void)state;
	t_process_save(&before);
	t_open(&server, "guest");
	for (int i = 0; i < 100; i++) {
		int fd = t_connect("guest");

		t_send(fd, i % 2 ? "big\n" : "a\nb\n");
		if (i % 3)
			t_serve(&server);
		close(fd);
		t_serve(&server);
		assert_int_equal(t_nr_peers(&server), 0);
	}
	control_close(&server.control);
	t_process_check(&before);
}

static void test_silent_peers_give_way(void **state)
{
	struct server server;
	int fds[3 * CONTROL_PEERS];
	char buf[64];
	int talks;

	(void)state;
	t_open(&server, "guest");
	talks = t_connect("guest");
	t_answers(&server, talks, "a\n", "<a>\n");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = t_connect("guest");
		assert_true(fds[i] >= 0);
		t_serve(&server);
		/* The one that talks stays. */
		t_answers(&server, talks, "b\n", "<b>\n");
	}
	assert_int_equal(t_nr_peers(&server), CONTROL_PEERS);
	assert_string_equal(t_received(fds[0], buf, sizeof(buf)), "");
	t_answers(&server, fds[ARRAY_SIZE(fds) - 1], "c\n", "<c>\n");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(talks);
	t_serve(&server);
	assert_int_equal(t_nr_peers(&server), 0);
	control_close(&server.control);
}

/* ---- Who follows the news ---------------------------------------------------------- */

static void test_news_are_for_who_follows(void **state)
{
	struct server server;
	char buf[256];
	int other;
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	other = t_connect("guest");
	t_answers(&server, other, "a\n", "<a>\n");
	control_tell(&server.control, "nobody\n");
	t_answers(&server, fd, "follow\n", "<follow>\n");
	control_tell(&server.control, "one\n");
	control_tell(&server.control, "two\n");
	t_serve(&server);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "one\ntwo\n");
	assert_string_equal(t_received(other, buf, sizeof(buf)), "nothing");
	/* It may ask all the same, and half a line is none. */
	t_send(fd, "b");
	t_serve(&server);
	control_tell(&server.control, "three\n");
	t_answers(&server, fd, "\n", "three\n<b>\n");
	/* The last ones come before the end. */
	control_tell(&server.control, "four\n");
	control_close(&server.control);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "four\n");
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "");
	close(fd);
	close(other);
}

/* As `echo ... | nc -N` does it. */
static void test_who_has_nothing_more_to_ask_may_follow(void **state)
{
	struct t_process before;
	struct server server;
	char buf[256];
	int fd;

	(void)state;
	t_process_save(&before);
	t_open(&server, "guest");
	fd = t_connect("guest");
	t_send(fd, "follow\n");
	shutdown(fd, SHUT_WR);
	/* ... and costs no turns. */
	assert_true(t_serve(&server) < 10);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "<follow>\n");
	control_tell(&server.control, "one\n");
	assert_true(t_serve(&server) < 10);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "one\n");
	close(fd);
	t_serve(&server);
	assert_int_equal(t_nr_peers(&server), 0);
	control_close(&server.control);
	t_process_check(&before);
}

static void test_news_pile_up_to_a_limit(void **state)
{
	struct t_process before;
	struct server server;
	char line[4096];
	char read[4096];
	size_t told = 0;
	int slow;
	int fd;

	(void)state;
	t_process_save(&before);
	memset(line, 'n', sizeof(line));
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	t_open(&server, "guest");
	slow = t_connect("guest");
	fd = t_connect("guest");
	t_answers(&server, slow, "follow\n", "<follow>\n");
	t_answers(&server, fd, "follow\n", "<follow>\n");
	while (t_nr_peers(&server) == 2) {
		control_tell(&server.control, line);
		told += strlen(line);
		t_serve(&server);
		while (recv(fd, read, sizeof(read), MSG_DONTWAIT) > 0)
			;
		assert_true(told < CONTROL_BACKLOG + BIG);
	}
	assert_true(told > CONTROL_BACKLOG);
	t_answers(&server, fd, "a\n", "<a>\n");
	close(fd);
	close(slow);
	t_serve(&server);
	control_close(&server.control);
	t_process_check(&before);
}

static void test_followers_outlast_the_silent(void **state)
{
	struct server server;
	int fds[2 * CONTROL_PEERS];
	char buf[64];
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	t_answers(&server, fd, "follow\n", "<follow>\n");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = t_connect("guest");
		t_answers(&server, fds[i], "a\n", "<a>\n");
	}
	control_tell(&server.control, "one\n");
	t_serve(&server);
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "one\n");
	/* But nobody is locked out by them. */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		close(fds[i]);
		fds[i] = t_connect("guest");
		t_answers(&server, fds[i], "follow\n", "<follow>\n");
	}
	assert_string_equal(t_received(fd, buf, sizeof(buf)), "");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(fd);
	control_close(&server.control);
}

static void test_answer_without_memory_costs_the_connection(void **state)
{
	struct server server;
	int fd;

	(void)state;
	t_open(&server, "guest");
	fd = t_connect("guest");
	t_answers(&server, fd, "none\n", "");
	assert_int_equal(t_nr_peers(&server), 0);
	close(fd);
	control_close(&server.control);
}

static void test_no_descriptor_left_ends_the_service(void **state)
{
	struct place *place = *state;
	struct rlimit limit;
	struct rlimit low;
	struct server server;
	int spare;
	int next;
	int fd;

	t_open(&server, "guest");
	fd = t_connect("guest");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	/* Below ours there is none free. */
	spare = dup(fd);
	next = dup(fd);
	assert_true(next > server.control.fd);
	close(next);
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	t_serve(&server);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(server.control.fd, -1);
	close(fd);
	close(spare);
	assert_false(t_exists(place, "guest"));
}

/* SO_PEERCRED is of the process that connects. */
static void test_strangers_are_not_served(void **state)
{
	struct place *place = *state;
	struct server server;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char byte;
	int ready[2];
	pid_t pid;
	int status;

	if (geteuid()) {
		print_message("skipped: needs root\n");
		skip();
	}
	t_open(&server, "guest");
	t_path(place, "guest", path, sizeof(path));
	/* What the modes would keep out. */
	assert_int_equal(chmod(place->base, 0755), 0);
	assert_int_equal(chmod(place->dir, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		memcpy(addr.sun_path, path, sizeof(addr.sun_path));
		if (setresuid(65534, 65534, 65534) ||
		    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
		    send(fd, "a\n", 2, MSG_NOSIGNAL) != 2 || write(ready[1], "", 1) != 1)
			_exit(1);
		/* The end, or a reset for what was not read; no answer. */
		_exit(recv(fd, &byte, 1, 0) <= 0 ? 0 : 2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	t_serve(&server);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(server.nr_asked, 0);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(chmod(place->dir, 0700), 0);
	control_close(&server.control);
	assert_false(t_exists(place, "guest"));
}

/* ---- Who lives --------------------------------------------------------------------- */

static void test_the_living_are_listed_and_the_dead_removed(void **state)
{
	struct place *place = *state;
	struct server servers[3];
	struct sockdir dir;
	char **names;
	char path[256];

	t_open(&servers[0], "b");
	t_open(&servers[1], "a.sock");
	t_open(&servers[2], "dead");
	close(servers[2].control.fd);
	snprintf(path, sizeof(path), "%s/other", place->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(sockdir_open(&dir, false), 0);
	names = sockdir_living(&dir);
	assert_non_null(names);
	assert_string_equal(names[0], "a.sock");
	assert_string_equal(names[1], "b");
	assert_null(names[2]);
	assert_false(t_exists(place, "dead"));
	free(names);
	sockdir_close(&dir);
	control_close(&servers[0].control);
	control_close(&servers[1].control);
}

/* ---- What is said -------------------------------------------------------------------- */

static json_t *t_ask(struct answerer *who, const char *request)
{
	bool follows = false;
	char *line = answer_line(who, request, strlen(request), &follows);
	json_t *reply;

	assert_non_null(line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_int_equal(follows, !strcmp(request, EVENTS));
	reply = json_loads(line, 0, NULL);
	assert_true(json_is_object(reply));
	free(line);
	return reply;
}

static void test_nonsense_is_answered_with_an_error(void **state)
{
	static const char *const requests[] = {
		"", "x", "{", "[]", "null", "\"stat\"", "{}", "{\"command\":1}", "{\"command\":null}",
		"{\"command\":\"\"}", "{\"command\":\"stops\"}", "{\"command\":\"stat\"} x",
		"{\"command\":\"stat\",\"command\":\"stat\"}", "{\"command\":\"st\\u0000at\"}",
		"{\"command\":\"\xff\"}", "{\"command\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	struct answerer who = { .name = "guest" };
	char deep[CONTROL_LINE - 1];
	bool follows = false;
	char *line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		json_t *reply = t_ask(&who, requests[i]);

		if (!*ask_string(reply, "error"))
			fail_msg("%s is answered", requests[i]);
		json_decref(reply);
	}
	memset(deep, '[', sizeof(deep));
	line = answer_line(&who, deep, sizeof(deep), &follows);
	assert_non_null(strstr(line, "error"));
	free(line);
	line = answer_line(&who, deep, CONTROL_LINE, &follows);
	assert_non_null(strstr(line, "too long"));
	assert_false(follows);
	free(line);
}

static void test_stat_tells_of_each_vcpu(void **state)
{
	static const struct fake_step steps[] = {
		{ .kind = FAKE_READ, .addr = T_UART_LSR, .len = 1, .times = 7 },
		{ .kind = FAKE_BLOCK },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct answerer who = { .name = "guest", .cpus = 2, .boots = 1 };
	const json_t *vcpu;
	json_t *reply;

	(void)state;
	cfg.vcpus = 2;
	cfg.cpus = "0-8191";
	fake_script(fake, 0, steps, 2, 1);
	who.vm = t_vm(fake, &cfg);
	who.booted_ms = answer_now_ms() - 1500;
	strcpy(who.stall, "not said unless it is so");
	t_start(who.vm);
	assert_true(fake_wait_inside(fake, 2));
	reply = t_ask(&who, STAT);
	assert_string_equal(ask_string(reply, "name"), "guest");
	assert_string_equal(ask_string(reply, "state"), "running");
	assert_string_equal(ask_string(reply, "version"), vmm_version());
	assert_null(json_object_get(reply, "reason"));
	assert_int_equal(ask_number(reply, "pid"), getpid());
	assert_int_equal(ask_number(reply, "boots"), 1);
	assert_true(json_number_value(json_object_get(reply, "uptime")) >= 1.5);
	assert_int_equal(json_array_size(json_object_get(reply, "vcpus")), 2);
	vcpu = json_array_get(json_object_get(reply, "vcpus"), 0);
	assert_int_equal(ask_number(vcpu, "index"), 0);
	assert_true(ask_number(vcpu, "thread") > 0 && ask_number(vcpu, "thread") != getpid());
	assert_true(json_is_integer(json_object_get(vcpu, "cpu")));
	assert_string_equal(ask_string(vcpu, "state"), "running");
	assert_true(strstr(ask_string(vcpu, "placement"), "user"));
	assert_int_equal(ask_number(vcpu, "runs"), 8);
	assert_int_equal(ask_number(json_object_get(vcpu, "exits"), "mmio"), 7);
	assert_int_equal(ask_number(json_object_get(vcpu, "exits"), "wrong_cpu"), 0);
	assert_int_equal(ask_number(vcpu, "repins"), 0);
	assert_int_equal(json_array_size(json_object_get(vcpu, "repin_latency")),
			 VMM_LATENCY_BUCKETS);
	json_decref(reply);
	who.asked = true;
	reply = t_ask(&who, STAT);
	assert_string_equal(ask_string(reply, "state"), "stopping");
	json_decref(reply);
	vmm_destroy(who.vm);
	t_fake_done(fake);
}

static void test_stat_tells_who_serves_devices(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who = { .name = "guest", .boots = 1 };
	const json_t *backend;
	struct vhosts v;
	json_t *reply;
	int s[2];

	(void)state;
	vhosts_clear(&v);
	who.vm = t_vm(fake, NULL);
	who.vhosts = &v;
	reply = t_ask(&who, STAT);
	assert_null(json_object_get(reply, "backends"));
	json_decref(reply);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	v.nr = 2;
	v.list[0] = (struct vhost){ .option = "--vhost-user", .path = "/a", .reconnect = 7, .fd = s[0] };
	v.list[1] = (struct vhost){ .option = "--network", .path = "/b", .fd = -1 };
	for (int there = 1; there >= 0; there--) {
		reply = t_ask(&who, STAT);
		assert_int_equal(json_array_size(json_object_get(reply, "backends")), 2);
		backend = json_array_get(json_object_get(reply, "backends"), 0);
		assert_string_equal(ask_string(backend, "option"), "--vhost-user");
		assert_string_equal(ask_string(backend, "socket"), "/a");
		assert_int_equal(ask_number(backend, "reconnect"), 7);
		assert_int_equal(json_is_true(json_object_get(backend, "connected")), there);
		backend = json_array_get(json_object_get(reply, "backends"), 1);
		assert_string_equal(ask_string(backend, "socket"), "/b");
		assert_int_equal(ask_number(backend, "reconnect"), 0);
		assert_true(json_is_false(json_object_get(backend, "connected")));
		json_decref(reply);
		if (there)
			close(s[1]);
	}
	close(s[0]);
	vmm_destroy(who.vm);
	t_fake_done(fake);
}

/* A machine that does nothing, and who answers for it. */
static struct vmm *t_guest(struct fake_kvm *fake, struct answerer *who, struct server *server)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };

	fake_script(fake, 0, &step, 1, 0);
	memset(who, 0, sizeof(*who));
	who->name = "guest";
	who->cpus = 1;
	who->vm = t_vm(fake, NULL);
	who->booted_ms = answer_now_ms();
	who->control = &server->control;
	t_start(who->vm);
	assert_true(fake_wait_inside(fake, 1));
	t_open(server, "guest");
	server->control.answer = answer_line;
	server->control.arg = who;
	return who->vm;
}

static json_t *t_line(int fd)
{
	char buf[4096];
	json_t *line;

	t_received(fd, buf, sizeof(buf));
	line = json_loads(buf, JSON_DISABLE_EOF_CHECK, NULL);
	if (!json_is_object(line))
		fail_msg("'%s' is no line", buf);
	return line;
}

static void t_says(struct server *server, int fd, const char *key, const char *want)
{
	json_t *line;

	t_serve(server);
	line = t_line(fd);
	assert_string_equal(ask_string(line, key), want);
	json_decref(line);
}

static void test_stop_presses_the_button_or_pulls_the_plug(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who;
	struct server server;
	struct vmm *vm = t_guest(fake, &who, &server);
	int follows;
	int fd;

	(void)state;
	follows = t_connect("guest");
	t_send(follows, EVENTS "\n");
	t_says(&server, follows, "state", "running");
	fd = t_connect("guest");
	t_send(fd, "{\"command\":\"stop\"}\n");
	t_says(&server, fd, "state", "stopping");
	t_says(&server, follows, "event", "stopping");
	assert_true(who.asked);
	/* Once, however often it is asked; and the guest goes on. */
	t_send(fd, "{\"command\":\"stop\"}\n");
	t_says(&server, fd, "state", "stopping");
	assert_string_equal(t_received(follows, (char[8]){ "" }, 8), "nothing");
	assert_int_equal(vmm_pause(vm), 0);
	assert_int_equal(vmm_resume(vm), 0);
	t_send(fd, "{\"command\":\"stop\",\"force\":true}\n");
	t_says(&server, fd, "state", "stopping");
	t_stopped(vm, VMM_STOP_HOST);
	close(fd);
	close(follows);
	control_close(&server.control);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_pause_and_resume_may_be_said_twice(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who;
	struct server server;
	struct vmm *vm = t_guest(fake, &who, &server);
	char buf[64];
	int follows;
	json_t *reply;
	int fd;

	(void)state;
	follows = t_connect("guest");
	t_send(follows, EVENTS "\n");
	t_says(&server, follows, "state", "running");
	fd = t_connect("guest");
	for (int i = 0; i < 2; i++) {
		t_send(fd, "{\"command\":\"pause\"}\n");
		t_says(&server, fd, "state", "paused");
	}
	t_says(&server, follows, "event", "paused");
	assert_int_equal(vmm_pause(vm), -EBUSY);
	reply = t_ask(&who, STAT);
	assert_string_equal(ask_string(reply, "state"), "paused");
	assert_string_equal(ask_string(json_array_get(json_object_get(reply, "vcpus"), 0), "state"),
			    "paused");
	json_decref(reply);
	for (int i = 0; i < 2; i++) {
		t_send(fd, "{\"command\":\"resume\"}\n");
		t_says(&server, fd, "state", "running");
	}
	t_says(&server, follows, "event", "resumed");
	assert_string_equal(t_received(follows, buf, sizeof(buf)), "nothing");
	/* A paused one cannot press its button. */
	t_send(fd, "{\"command\":\"pause\"}\n");
	t_says(&server, fd, "state", "paused");
	t_send(fd, "{\"command\":\"stop\"}\n");
	t_says(&server, fd, "state", "stopping");
	assert_int_equal(vmm_resume(vm), -EBUSY);
	t_send(fd, "{\"command\":\"reset\"}\n");
	t_says(&server, fd, "state", "running");
	assert_true(who.reset && !who.asked);
	t_stopped(vm, VMM_STOP_HOST);
	t_send(fd, "{\"command\":\"pause\"}\n");
	t_says(&server, fd, "error", "the guest has stopped");
	close(fd);
	close(follows);
	control_close(&server.control);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void t_record(struct vmm *vm, u64 at, u64 next, u64 lr)
{
	const u64 record[2] = { next, lr };

	assert_int_equal(vmm_mem_write(vm, at, record, sizeof(record)), 0);
}

static json_int_t t_balloon(struct answerer *who, const char *request)
{
	json_t *reply = t_ask(who, request);
	json_int_t size = ask_number(json_object_get(reply, "balloon"), "size");

	assert_string_equal(ask_string(reply, "name"), *ask_string(reply, "error") ? "" : "guest");
	if (*ask_string(reply, "error"))
		size = -1;
	json_decref(reply);
	return size;
}

static void test_balloon_is_resized(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_balloon_config cfg = VMM_BALLOON_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who = { .name = "guest", .cpus = 1 };
	const json_t *balloon;
	json_t *reply;

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	who.vm = t_vm(fake, NULL);
	cfg.target = MIB(4);
	assert_int_equal(vmm_add_balloon(who.vm, &cfg, NULL), 0);
	t_start(who.vm);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\"}"), MIB(4));
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":2097152}"), MIB(2));
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"inflate\":4194304}"), MIB(6));
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"deflate\":1048576}"), MIB(5));
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"deflate\":1099511627776}"), 0);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":1099511627776}"), -1);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":-1}"), -1);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":\"1\"}"), -1);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":9223372036854775807,"
					 "\"inflate\":9223372036854775807}"), -1);
	reply = t_ask(&who, STAT);
	balloon = json_object_get(reply, "balloon");
	assert_int_equal(ask_number(balloon, "size"), 0);
	assert_true(json_is_integer(json_object_get(balloon, "actual")));
	assert_true(json_is_integer(json_object_get(balloon, "reported")));
	/* No driver has told anything. */
	assert_int_equal(json_object_size(json_object_get(balloon, "guest")), 0);
	json_decref(reply);
	assert_int_equal(vmm_stop(who.vm), 0);
	t_stopped(who.vm, VMM_STOP_HOST);
	assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\",\"size\":4096}"), -1);
	vmm_destroy(who.vm);
	t_fake_done(fake);
}

/* What --balloon says is for the first boot; what was asked since is for all. */
static void test_balloon_keeps_its_size_at_a_reboot(void **state)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_balloon_config cfg = VMM_BALLOON_CONFIG_INIT;
	struct answerer who = { .name = "guest", .cpus = 1 };

	(void)state;
	cfg.target = MIB(4);
	for (u64 i = 0; i < 4; i++) {
		static const u64 want[] = { MIB(4), MIB(4), MIB(2), 0 };
		struct fake_kvm *fake = fake_create(&fake_server);

		fake_script(fake, 0, &step, 1, 0);
		who.vm = t_vm(fake, NULL);
		assert_int_equal(vmm_add_balloon(who.vm, &cfg, NULL), 0);
		t_start(who.vm);
		answer_remind(&who);
		assert_int_equal(t_balloon(&who, "{\"command\":\"balloon\"}"), want[i]);
		if (i)
			t_balloon(&who, "{\"command\":\"balloon\",\"deflate\":2097152}");
		assert_int_equal(vmm_stop(who.vm), 0);
		t_stopped(who.vm, VMM_STOP_HOST);
		vmm_destroy(who.vm);
		t_fake_done(fake);
	}
}

static void test_balloon_that_is_not_there(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who;
	struct server server;
	struct vmm *vm = t_guest(fake, &who, &server);
	json_t *reply = t_ask(&who, "{\"command\":\"balloon\",\"size\":0}");

	(void)state;
	assert_string_equal(ask_string(reply, "error"), "the guest has no balloon");
	json_decref(reply);
	reply = t_ask(&who, STAT);
	assert_null(json_object_get(reply, "balloon"));
	json_decref(reply);
	control_close(&server.control);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_dump_follows_the_frames(void **state)
{
	static const char *const want[] = {
		"0x0000000080001000", "0x0000000080002000", "0x0000000080003000",
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who;
	struct server server;
	struct vmm *vm = t_guest(fake, &who, &server);
	const json_t *trace;
	json_t *reply;

	(void)state;
	t_record(vm, GIB(2) + 0x100, GIB(2) + 0x200, 0x80002000);
	t_record(vm, GIB(2) + 0x200, 0, 0x80003000);
	fake_set_reg(fake, 0, CORE_REG(regs.pc), 0x80001000);
	fake_set_reg(fake, 0, CORE_REG(regs.regs[29]), GIB(2) + 0x100);
	fake_set_reg(fake, 0, CORE_REG(regs.pstate), 0x3c5);
	reply = t_ask(&who, "{\"command\":\"dump\"}");
	assert_string_equal(ask_string(reply, "state"), "running");
	trace = json_array_get(json_object_get(reply, "vcpus"), 0);
	assert_int_equal(ask_number(trace, "el"), 1);
	assert_string_equal(ask_string(json_object_get(trace, "registers"), "pstate"),
			    "0x00000000000003c5");
	assert_string_equal(ask_string(json_object_get(trace, "registers"), "x29"),
			    "0x0000000080000100");
	trace = json_object_get(trace, "backtrace");
	assert_int_equal(json_array_size(trace), ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(json_string_value(json_array_get(trace, i)), want[i]);
	json_decref(reply);

	/* It runs on; and one that is paused stays so.  Circles and rubbish have an end. */
	assert_int_equal(vmm_resume(vm), -EBUSY);
	assert_int_equal(vmm_pause(vm), 0);
	who.paused = true;
	t_record(vm, GIB(2) + 0x200, GIB(2) + 0x100, 0x80003000);
	reply = t_ask(&who, "{\"command\":\"dump\"}");
	assert_string_equal(ask_string(reply, "state"), "paused");
	trace = json_object_get(json_array_get(json_object_get(reply, "vcpus"), 0), "backtrace");
	assert_int_equal(json_array_size(trace), 65);
	json_decref(reply);
	for (u64 fp = 0x1001; fp; fp = fp == 0x1001 ? GIB(2) - 8 : 0) {
		fake_set_reg(fake, 0, CORE_REG(regs.regs[29]), fp);
		reply = t_ask(&who, "{\"command\":\"dump\"}");
		trace = json_object_get(json_array_get(json_object_get(reply, "vcpus"), 0),
					"backtrace");
		assert_int_equal(json_array_size(trace), 1);
		json_decref(reply);
	}
	vmm_destroy(vm);
	control_close(&server.control);
	t_fake_done(fake);
}

static void test_resize_tells_the_sizes(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_disk_config cfg = VMM_DISK_CONFIG_INIT;
	struct vmm *vm = t_vm(fake, NULL);
	struct answerer who = { .name = "a", .vm = vm, .cpus = 1, .disks = 1 };
	const json_t *sizes;
	json_t *reply;

	(void)state;
	cfg.fd = memfd_create("t-disk", MFD_CLOEXEC);
	assert_true(cfg.fd >= 0);
	assert_int_equal(ftruncate(cfg.fd, 4096), 0);
	assert_int_equal(vmm_add_disk(vm, &cfg, NULL), 0);
	t_start(vm);
	assert_int_equal(ftruncate(cfg.fd, 10000), 0);
	reply = t_ask(&who, "{\"command\":\"resize\"}");
	sizes = json_object_get(reply, "disks");
	assert_int_equal(json_array_size(sizes), 1);
	assert_int_equal(json_integer_value(json_array_get(sizes, 0)), 9728);
	assert_string_equal(ask_string(reply, "state"), "running");
	json_decref(reply);
	assert_int_equal(ftruncate(cfg.fd, 1), 0);
	reply = t_ask(&who, "{\"command\":\"resize\"}");
	assert_non_null(strstr(ask_string(reply, "error"), "less than a block"));
	json_decref(reply);
	vmm_destroy(vm);
	close(cfg.fd);
	t_fake_done(fake);
}

static void test_consoles_that_can_be_attached_to(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who = { .name = "a", .vm = t_vm(fake, NULL), .cpus = 1 };
	json_t *reply = t_ask(&who, "{\"command\":\"console\"}");
	const json_t *console;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(reply, "consoles")), 0);
	json_decref(reply);
	who.consoles[0] = (struct answer_console){ .kind = "pty", .path = (char []){ "/dev/pts/7" } };
	who.consoles[3] = (struct answer_console){ .kind = "socket", .path = (char []){ "/run/\"a" } };
	who.consoles[ANSWER_HVC] = (struct answer_console){ .kind = "pty", .path = (char []){ "/x" } };
	who.consoles[ANSWER_HVC + 1] = (struct answer_console){
		.kind = "socket", .path = (char []){ "/y" }, .name = "agent,pty", .name_len = 5,
	};
	reply = t_ask(&who, "{\"command\":\"console\"}");
	assert_int_equal(json_array_size(json_object_get(reply, "consoles")), 4);
	console = json_array_get(json_object_get(reply, "consoles"), 2);
	assert_non_null(json_object_get(console, "hvc"));
	assert_null(json_object_get(console, "port"));
	console = json_array_get(json_object_get(reply, "consoles"), 3);
	assert_string_equal(ask_string(console, "name"), "agent");
	assert_null(json_object_get(console, "port"));
	console = json_array_get(json_object_get(reply, "consoles"), 1);
	assert_int_equal(ask_number(console, "port"), 3);
	assert_string_equal(ask_string(console, "kind"), "socket");
	assert_string_equal(ask_string(console, "path"), "/run/\"a");
	json_decref(reply);
	vmm_destroy(who.vm);
	t_fake_done(fake);
}

static void test_link_of_a_card_or_of_all(void **state)
{
	static const struct { const char *request; const char *error; } rows[] = {
		{ "{\"command\":\"link\",\"up\":false}", "" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":0}", "" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":1}", "" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":2}", "no such network card" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":-1}", "no such network card" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":9223372036854775807}",
		  "no such network card" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":null}", "no such network card" },
		{ "{\"command\":\"link\",\"up\":true,\"card\":0.5}", "no such network card" },
		{ "{\"command\":\"link\"}", "not true or false" },
		{ "{\"command\":\"link\",\"up\":1}", "not true or false" },
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm_net_config cfg = VMM_NET_CONFIG_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct vmm *vm = t_vm(fake, NULL);
	struct answerer who = { .name = "a", .vm = vm, .cpus = 1, .first_net = 1 };
	const json_t *cards;
	json_t *reply;

	(void)state;
	assert_int_equal(vmm_add_rng(vm, &rng, NULL), 0);
	reply = t_ask(&who, rows[0].request);
	assert_string_equal(ask_string(reply, "error"), "the guest has no network card");
	json_decref(reply);
	for (; who.nets < 2; who.nets++)
		assert_int_equal(vmm_add_net(vm, &cfg, NULL), 1 + who.nets);
	t_start(vm);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reply = t_ask(&who, rows[i].request);
		assert_non_null(strstr(ask_string(reply, "error"), rows[i].error));
		assert_int_equal(!*rows[i].error, !*ask_string(reply, "error"));
		json_decref(reply);
		/* What a reboot has to do again: one card more has its cable in each time. */
		assert_int_equal(who.unplugged, i == 0 ? 3 : i == 1 ? 2 : 0);
	}
	reply = t_ask(&who, STAT);
	cards = json_object_get(reply, "networks");
	assert_int_equal(json_array_size(cards), 2);
	assert_int_equal(ask_number(json_array_get(cards, 1), "card"), 1);
	assert_true(json_is_integer(json_object_get(json_array_get(cards, 1), "rx_dropped")));
	assert_true(json_is_integer(json_object_get(json_array_get(cards, 1), "tx_dropped")));
	json_decref(reply);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	reply = t_ask(&who, rows[0].request);
	assert_string_equal(ask_string(reply, "error"), "the guest has stopped");
	json_decref(reply);
	vmm_destroy(vm);
	t_fake_done(fake);
}

static void test_sysrq_is_one_character(void **state)
{
	static const char *const refused[] = {
		"{\"command\":\"sysrq\"}", "{\"command\":\"sysrq\",\"key\":\"\"}",
		"{\"command\":\"sysrq\",\"key\":\"hh\"}", "{\"command\":\"sysrq\",\"key\":1}",
	};
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who;
	struct server server;
	struct vmm *vm = t_guest(fake, &who, &server);
	json_t *reply;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		reply = t_ask(&who, refused[i]);
		assert_true(*ask_string(reply, "error"));
		json_decref(reply);
	}
	reply = t_ask(&who, "{\"command\":\"sysrq\",\"key\":\"h\"}");
	assert_string_equal(ask_string(reply, "state"), "running");
	json_decref(reply);
	reply = t_ask(&who, "{\"command\":\"sysrq\",\"key\":\"h\"}");
	assert_string_equal(ask_string(reply, "error"), "the guest does not read its serial port");
	json_decref(reply);
	assert_int_equal(vmm_console_break(vm, 1, "h"), -ENOENT);
	vmm_stop(vm);
	t_stopped(vm, VMM_STOP_HOST);
	assert_int_equal(vmm_console_break(vm, 0, "h"), -EBUSY);
	vmm_destroy(vm);
	control_close(&server.control);
	t_fake_done(fake);
}

static void test_terminal_is_of_a_virtio_console(void **state)
{
	static const char *const refused[] = {
		"{\"command\":\"terminal\"}", "{\"command\":\"terminal\",\"cols\":80}",
		"{\"command\":\"terminal\",\"cols\":0,\"rows\":25}",
		"{\"command\":\"terminal\",\"cols\":80,\"rows\":65536}",
		"{\"command\":\"terminal\",\"cols\":\"80\",\"rows\":25}",
	};
	static const char good[] = "{\"command\":\"terminal\",\"cols\":80,\"rows\":25}";
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_console_config cfg = VMM_CONSOLE_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct answerer who = { .name = "guest", .vm = t_vm(fake, NULL) };
	json_t *reply;

	(void)state;
	fake_script(fake, 0, &step, 1, 0);
	reply = t_ask(&who, good);
	assert_string_equal(ask_string(reply, "error"), "the guest has no virtio-console");
	json_decref(reply);
	assert_int_equal(vmm_add_hvc(who.vm, &cfg, NULL), 0);
	t_start(who.vm);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		reply = t_ask(&who, refused[i]);
		assert_true(*ask_string(reply, "error"));
		json_decref(reply);
	}
	assert_int_equal(who.cols, 0);
	reply = t_ask(&who, good);
	assert_string_equal(ask_string(reply, "state"), "running");
	json_decref(reply);
	assert_int_equal(who.cols, 80);
	assert_int_equal(who.rows, 25);
	vmm_stop(who.vm);
	t_stopped(who.vm, VMM_STOP_HOST);
	reply = t_ask(&who, good);
	assert_string_equal(ask_string(reply, "error"), "the guest has stopped");
	json_decref(reply);
	vmm_destroy(who.vm);
	t_fake_done(fake);
}

static void test_news_say_what_applies(void **state)
{
	struct news news = NEWS("stalled");
	struct answerer who = { .name = "guest" };
	struct server server;
	json_t *line;
	int fd;

	(void)state;
	answer_tell(&who, &news);		/* there is nobody */
	t_open(&server, "guest");
	who.control = &server.control;
	fd = t_connect("guest");
	t_answers(&server, fd, "follow\n", "<follow>\n");
	news.vcpu = 0;
	news.message = "for \"2\"";
	answer_tell(&who, &news);
	t_serve(&server);
	line = t_line(fd);
	assert_string_equal(ask_string(line, "event"), "stalled");
	assert_string_equal(ask_string(line, "message"), "for \"2\"");
	assert_true(json_is_integer(json_object_get(line, "vcpu")));
	assert_true(ask_number(line, "time") > 1700000000000);
	assert_int_equal(json_object_size(line), 4);
	json_decref(line);
	close(fd);
	control_close(&server.control);
}

/* ---- Asking ---------------------------------------------------------------------------- */

static void *serve_thread(void *arg)
{
	struct server *server = arg;
	struct pollfd fds[CONTROL_FDS];
	u64 end = t_now_ms() + T_TIMEOUT_MS;

	while (server->nr_asked < 3 && t_now_ms() < end) {
		if (poll(fds, control_poll(&server->control, fds), 50) > 0)
			control_serve(&server->control, fds);
	}
	return NULL;
}

/* A big answer, an error, and nonsense, one after another. */
static char *answers(void *arg, const char *line, size_t len, bool *follows)
{
	u32 *nr = arg;
	char *reply = NULL;

	(void)line;
	(void)len;
	(void)follows;
	switch ((*nr)++) {
	case 0:
		if (asprintf(&reply, "{\"name\":\"%*s\"}\n", 1 << 20, "x") < 0)
			return NULL;
		return reply;
	case 1:
		return strdup("{\"error\":\"not today\"}\n");
	}
	return strdup("<html>\n");
}

static void test_ask_takes_any_answer(void **state)
{
	struct vmm_error err;
	struct server server;
	struct sockdir dir;
	pthread_t thread;
	json_t *reply;

	(void)state;
	t_open(&server, "guest");
	server.control.answer = answers;
	assert_int_equal(pthread_create(&thread, NULL, serve_thread, &server), 0);
	assert_int_equal(sockdir_open(&dir, false), 0);
	assert_int_equal(ask(&dir, "guest", STAT, &reply, &err), 0);
	assert_int_equal(strlen(ask_string(reply, "name")), 1 << 20);
	assert_string_equal(ask_string(reply, "nothing"), "");
	assert_int_equal(ask_number(reply, "name"), 0);
	json_decref(reply);
	assert_int_equal(ask(&dir, "guest", STAT, &reply, &err), -EPROTO);
	assert_string_equal(err.msg, "guest: it says: not today");
	assert_int_equal(ask(&dir, "guest", STAT, &reply, &err), -EPROTO);
	pthread_join(thread, NULL);
	assert_int_equal(ask(&dir, "other", STAT, &reply, &err), -ENOENT);
	assert_string_equal(err.msg, "other: no guest of this name is running");
	control_close(&server.control);
	sockdir_close(&dir);
}

static void test_ask_does_not_wait_for_ever(void **state)
{
	struct vmm_error err;
	struct server server;
	struct sockdir dir;
	json_t *reply;
	u64 start;

	(void)state;
	t_open(&server, "guest");
	assert_int_equal(sockdir_open(&dir, false), 0);
	start = t_now_ms();
	assert_int_equal(ask(&dir, "guest", STAT, &reply, &err), -EAGAIN);
	assert_true(t_now_ms() - start < T_TIMEOUT_MS);
	assert_non_null(strstr(err.msg, "does not answer"));
	sockdir_close(&dir);
	control_close(&server.control);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, t_place, t_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_socket_is_the_users_alone),
		TEST(test_live_guest_keeps_its_name),
		TEST(test_dead_guest_is_replaced),
		TEST(test_what_is_no_socket_is_left_alone),
		TEST(test_only_the_own_file_is_removed),
		TEST(test_guest_goes_on_without_a_directory),
		TEST(test_requests_are_answered_in_order),
		TEST(test_requests_before_the_end_are_answered),
		TEST(test_line_without_end_costs_the_connection),
		TEST(test_peer_that_does_not_read_waits),
		TEST(test_peer_that_goes_is_forgotten),
		TEST(test_silent_peers_give_way),
		TEST(test_news_are_for_who_follows),
		TEST(test_who_has_nothing_more_to_ask_may_follow),
		TEST(test_news_pile_up_to_a_limit),
		TEST(test_followers_outlast_the_silent),
		TEST(test_answer_without_memory_costs_the_connection),
		TEST(test_no_descriptor_left_ends_the_service),
		TEST(test_strangers_are_not_served),
		TEST(test_the_living_are_listed_and_the_dead_removed),
		TEST(test_nonsense_is_answered_with_an_error),
		TEST(test_stat_tells_of_each_vcpu),
		TEST(test_stat_tells_who_serves_devices),
		TEST(test_stop_presses_the_button_or_pulls_the_plug),
		TEST(test_pause_and_resume_may_be_said_twice),
		TEST(test_balloon_is_resized),
		TEST(test_balloon_keeps_its_size_at_a_reboot),
		TEST(test_balloon_that_is_not_there),
		TEST(test_dump_follows_the_frames),
		TEST(test_resize_tells_the_sizes),
		TEST(test_consoles_that_can_be_attached_to),
		TEST(test_link_of_a_card_or_of_all),
		TEST(test_sysrq_is_one_character),
		TEST(test_terminal_is_of_a_virtio_console),
		TEST(test_news_say_what_applies),
		TEST(test_ask_takes_any_answer),
		TEST(test_ask_does_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
