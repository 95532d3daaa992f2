/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_control.c - peers of the control socket that do anything
 *
 * They connect, more of them than there are places, send pieces of lines, read or do not
 * read, and hang up; what they ask is asked of a guest that has not been started.  Whoever
 * serves them is never kept, and every line that comes back is JSON.
 */
#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/input.h"
#include "tests/unit/t.h"
#include "vmm/cli/answer.h"
#include "vmm/cli/control.h"

#define CLIENTS	40
#define STEPS	300

static struct control control;
static struct answerer who = { .name = "fuzz", .control = &control, .cpus = 1, .boots = 1 };
static struct sockaddr_un addr;
static socklen_t addr_len;
static int clients[CLIENTS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	who.vm = t_vm(fake_create(&fake_server), NULL);
	control_clear(&control);
	control.answer = answer_line;
	control.arg = &who;
	control.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A name that the kernel chooses, and no file. */
	addr.sun_family = AF_UNIX;
	must(control.fd >= 0 && !bind(control.fd, (struct sockaddr *)&addr, sizeof(sa_family_t)));
	addr_len = sizeof(addr);
	must(!getsockname(control.fd, (struct sockaddr *)&addr, &addr_len));
	must(!listen(control.fd, CLIENTS));
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = -1;
	return 0;
}

static void serve(void)
{
	struct pollfd fds[CONTROL_FDS];
	nfds_t nr = control_poll(&control, fds);

	must(nr <= CONTROL_FDS);
	must(poll(fds, nr, 0) >= 0);
	control_serve(&control, fds);
	must(control.fd >= 0);
}

static void hang_up(int *client)
{
	if (*client >= 0)
		close(*client);
	*client = -1;
}

static void come(int *client)
{
	hang_up(client);
	*client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(*client >= 0);
	if (connect(*client, (struct sockaddr *)&addr, addr_len)) {
		must(errno == EAGAIN);		/* the queue is full */
		hang_up(client);
	}
}

/* What comes first is the beginning of a line, until something has been left out. */
static void hear(int client)
{
	char buf[4096];
	ssize_t len = recv(client, buf, sizeof(buf), 0);
	const char *end = len > 0 ? memchr(buf, '\n', (size_t)len) : NULL;
	json_t *answer;

	if (!end)
		return;
	answer = json_loadb(buf, (size_t)(end - buf), 0, NULL);
	must(json_is_object(answer));
	json_decref(answer);
}

static void step(struct input *in)
{
	static const char *const common[] = {
		"{\"command\":\"stat\"}\n", "{\"command\":\"events\"}\n", "{\"command\":\"stop\"}\n",
		"{\"command\":\"stop\",\"force\":true}\n",
	};
	const struct news news = NEWS("stalled");
	u8 op = input_u8(in);
	int *client = &clients[input_u8(in) % CLIENTS];
	const void *data;
	size_t len;

	switch (op % 8) {
	case 0:
		come(client);
		break;
	case 1:
		hang_up(client);
		break;
	case 2:
		len = input_data(in, &data, 255);
		for (u32 n = 0; n < 1u + op / 8 && *client >= 0; n++)
			if (send(*client, data, len, MSG_NOSIGNAL) < 0)
				break;
		break;
	case 3:
		data = common[op / 8 % ARRAY_SIZE(common)];
		if (*client >= 0)
			send(*client, data, strlen(data), MSG_NOSIGNAL);
		break;
	case 4:
		if (*client >= 0)
			hear(*client);
		break;
	case 5:
		if (*client >= 0)
			shutdown(*client, op & 8 ? SHUT_WR : SHUT_RD);
		break;
	case 6:
		answer_tell(&who, &news);
		break;
	case 7:
		serve();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	who.asked = false;
	for (u32 i = 0; i < STEPS && in.left; i++)
		step(&in);
	for (size_t i = 0; i < CLIENTS; i++)
		hang_up(&clients[i]);
	/* They are all gone, once it has been told; each takes a few turns. */
	for (u32 i = 0; i < 4 * CONTROL_PEERS + CLIENTS; i++)
		serve();
	for (size_t i = 0; i < CONTROL_PEERS; i++)
		must(control.peers[i].fd < 0);
	return 0;
}
