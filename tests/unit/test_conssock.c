/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conssock.c - vmm/cli/conssock.c, with guest and clients of our own
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/conssock.h"

#define PASTE		(1u << 20)
#define IN_SOCKETS	(4u << 20)	/* more than all their buffers take */

static int t_socket(const char *path, bool listens)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(addr.sun_path, path, strlen(path));
	if (listens)
		assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* What "vmm run" does when something has come, until nothing comes; returns how often. */
static unsigned int t_serve(struct conssock *cons)
{
	struct pollfd fds[CONSSOCK_FDS];
	unsigned int nr = 0;

	for (conssock_poll(cons, fds); poll(fds, CONSSOCK_FDS, 0) > 0; conssock_poll(cons, fds)) {
		conssock_serve(cons);
		assert_true(nr++ < 10000);
	}
	return nr;
}

static struct conssock *t_open(const char *path)
{
	struct conssock *cons = malloc(sizeof(*cons));
	struct vmm_error err;

	assert_non_null(cons);
	assert_int_equal(conssock_open(cons, path, &err), 0);
	return cons;
}

static void t_close(struct conssock *cons)
{
	conssock_close(cons);
	free(cons);
}

static int t_attach(struct conssock *cons)
{
	int fd = t_socket("s", false);

	t_serve(cons);
	assert_true(cons->client >= 0);
	return fd;
}

/* The byte at @pos of a long text that repeats itself nowhere near. */
static char t_byte(size_t pos)
{
	return (char)(pos * 2654435761u >> 13);
}

/* As much of that text, from @pos on, as @fd takes, up to @end. */
static size_t t_send(int fd, size_t pos, size_t end)
{
	char buf[1000];
	ssize_t done = 1;

	while (pos < end && done > 0) {
		size_t len = end - pos < sizeof(buf) ? end - pos : sizeof(buf);

		for (size_t i = 0; i < len; i++)
			buf[i] = t_byte(pos + i);
		done = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		pos += done > 0 ? (size_t)done : 0;
	}
	return pos;
}

/* What there is at @fd, which has to be the text from @pos on. */
static size_t t_receive(int fd, size_t pos)
{
	char buf[3000];
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(buf[i], t_byte(pos + (size_t)i));
		pos += (size_t)got;
	}
	return pos;
}

static void t_hears(int fd, const char *want)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), strlen(want));
	assert_string_equal(buf, want);
}

static void test_clients_come_and_go(void **state)
{
	struct conssock *cons = t_open("s");
	struct stat st;
	int first;
	int next;

	(void)state;
	assert_int_equal(stat("s", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(send(cons->guest_fd, "boot", 4, 0), 4);
	t_serve(cons);
	first = t_attach(cons);
	t_hears(first, "boot");
	assert_int_equal(send(first, "key", 3, 0), 3);
	t_serve(cons);
	t_hears(cons->guest_fd, "key");

	/* The next one waits, and what it has typed too. */
	next = t_socket("s", false);
	assert_int_equal(send(next, "mine", 4, 0), 4);
	assert_int_equal(send(cons->guest_fd, "x", 1, 0), 1);
	t_serve(cons);
	t_hears(first, "x");
	assert_int_equal(recv(next, &st, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recv(cons->guest_fd, &st, 1, MSG_DONTWAIT), -1);
	close(first);
	t_serve(cons);
	t_hears(cons->guest_fd, "mine");

	/* The guest's last words. */
	assert_int_equal(send(cons->guest_fd, "bye", 3, 0), 3);
	t_close(cons);
	t_hears(next, "bye");
	assert_int_equal(recv(next, &st, 1, 0), 0);
	close(next);
	assert_int_equal(access("s", F_OK), -1);
}

static void test_backlog_is_the_newest_and_bounded(void **state)
{
	struct conssock *cons = t_open("s");
	size_t pos = 0;
	int client;

	(void)state;
	while (pos < PASTE) {
		size_t was = pos;

		pos = t_send(cons->guest_fd, pos, PASTE);
		/* Nobody reads, and the guest does not wait. */
		assert_true(pos > was);
		t_serve(cons);
	}
	assert_true(cons->out_len >= CONSSOCK_BACKLOG);
	pos = PASTE - cons->out_len;
	client = t_attach(cons);
	assert_int_equal(t_receive(client, pos), PASTE);
	close(client);
	t_close(cons);
}

static void test_megabytes_arrive_both_ways(void **state)
{
	struct conssock *cons = t_open("s");
	int client = t_attach(cons);
	const int from[] = { client, cons->guest_fd };

	(void)state;
	for (int way = 0; way < 2; way++) {
		size_t sent = 0;
		size_t got = 0;

		while (got < PASTE) {
			sent = t_send(from[way], sent, PASTE);
			t_serve(cons);
			got = t_receive(from[!way], got);
		}
	}
	close(client);
	t_close(cons);
}

/* All that can be sent while the other side does not read. */
static size_t t_fill(struct conssock *cons, int fd)
{
	size_t sent = 0;
	size_t was;

	do {
		was = sent;
		sent = t_send(fd, sent, IN_SOCKETS);
		t_serve(cons);
	} while (sent != was);
	assert_true(sent < IN_SOCKETS);
	return sent;
}

/* Who does not read is waited for: neither loses a byte, and nobody spins. */
static void test_both_sides_wait(void **state)
{
	struct conssock *cons = t_open("s");
	int client = t_attach(cons);
	const int from[] = { client, cons->guest_fd };

	(void)state;
	for (int way = 0; way < 2; way++) {
		size_t sent = t_fill(cons, from[way]);

		assert_int_equal(t_serve(cons), 0);
		for (size_t got = 0; got < sent; t_serve(cons))
			got = t_receive(from[!way], got);
	}
	close(client);
	t_close(cons);
}

/* The last of what it typed is read when the guest gets to it. */
static void test_client_may_leave_early(void **state)
{
	struct conssock *cons = t_open("s");
	int client = t_attach(cons);
	size_t sent = t_fill(cons, client);
	size_t got;

	(void)state;
	close(client);
	assert_int_equal(send(cons->guest_fd, "?", 1, 0), 1);
	t_serve(cons);
	assert_int_equal(t_serve(cons), 0);
	for (got = 0; got < sent; t_serve(cons))
		got = t_receive(cons->guest_fd, got);
	assert_int_equal(cons->client, -1);

	client = t_attach(cons);
	t_hears(client, "?");
	close(client);
	t_close(cons);
}

static void t_refuses(const char *path, int error)
{
	struct conssock *cons = malloc(sizeof(*cons));
	struct vmm_error err = { "" };

	assert_non_null(cons);
	assert_int_equal(conssock_open(cons, path, &err), error);
	assert_non_null(strstr(err.msg, strerror(-error)));
	t_close(cons);
}

static void test_takes_the_place_of_the_dead_alone(void **state)
{
	char too_long[200];
	struct t_process before;
	struct conssock *cons;
	struct stat st;

	(void)state;
	t_process_save(&before);
	/* Left by one who was killed. */
	close(t_socket("s", true));
	cons = t_open("s");
	t_refuses("s", -EADDRINUSE);
	close(t_attach(cons));

	/* Another has the name now, and keeps it. */
	assert_int_equal(rename("s", "t"), 0);
	close(t_socket("s", true));
	t_close(cons);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("t"), 0);

	close(open("s", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	t_refuses("s", -EADDRINUSE);
	assert_int_equal(stat("s", &st), 0);
	assert_int_equal(unlink("s"), 0);
	t_refuses("no/s", -ENOENT);
	memset(too_long, 's', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	t_refuses(too_long, -ENAMETOOLONG);
	t_process_check(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_come_and_go),
		cmocka_unit_test(test_backlog_is_the_newest_and_bounded),
		cmocka_unit_test(test_megabytes_arrive_both_ways),
		cmocka_unit_test(test_both_sides_wait),
		cmocka_unit_test(test_client_may_leave_early),
		cmocka_unit_test(test_takes_the_place_of_the_dead_alone),
	};
	char dir[] = "/tmp/test_conssock.XXXXXX";
	int ret;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	return rmdir(dir) ? 1 : ret;
}
