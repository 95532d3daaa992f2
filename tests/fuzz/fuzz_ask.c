/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_ask.c - who answers at a control socket lies: the commands that ask
 *
 * The first byte chooses the command, the rest is what is answered, whoever asks what.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/input.h"
#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/follow.h"
#include "vmm/cli/sockdir.h"
#include "vmm/cli/status.h"

#define WORDS	6

static const char *const lines[][WORDS] = {
	{ "stat", "-n", "liar" },
	{ "stat", "--json", "liar" },
	{ "list" },
	{ "list", "--json" },
	{ "events", "liar" },
	{ "events", "--json" },
	{ "wait", "--json", "-t", "0", "liar" },
	{ "pause", "--json", "-a" },
	{ "debug", "liar" },
	{ "debug", "--json", "--sysrq", "h", "liar" },
	{ "stat", "-a" },
};

static char top[] = "/dev/shm/fuzz_ask.XXXXXX";
static struct sockdir dir;
static int server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static u8 answer[4096];		/* under the lock */
static size_t answer_len;

static void clean_up(void)
{
	char path[256];

	unlinkat(dir.fd, "liar.sock", 0);
	rmdir(dir.path);
	snprintf(path, sizeof(path), "%s", top);
	rmdir(path);
}

/* One after the other, and each is told the same in two pieces. */
static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
		char request[512];
		u8 reply[sizeof(answer)];
		size_t len;

		must(fd >= 0);
		/* Who only looks whether somebody is there asks nothing. */
		if (recv(fd, request, sizeof(request), 0) > 0) {
			pthread_mutex_lock(&lock);
			len = answer_len;
			memcpy(reply, answer, len);
			pthread_mutex_unlock(&lock);
			send(fd, reply, len / 2, MSG_NOSIGNAL);
			send(fd, reply + len / 2, len - len / 2, MSG_NOSIGNAL);
		}
		close(fd);
	}
	return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_un addr;
	pthread_t thread;

	(void)argc;
	(void)argv;
	must(mkdtemp(top) && !setenv("XDG_RUNTIME_DIR", top, 1));
	must(!sockdir_open(&dir, true) && !sockdir_address(&dir, "liar", &addr));
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server >= 0 && !bind(server, (struct sockaddr *)&addr, sizeof(addr)) && !listen(server, 16));
	atexit(clean_up);
	must(freopen("/dev/null", "w", stdout));
	must(!pthread_create(&thread, NULL, serve, NULL));
	return 0;
}

static void run(const char *const *line)
{
	char *argv[WORDS + 1] = { NULL };
	char *words[WORDS + 1];		/* argv is sorted by who parses it */
	int argc = 0;
	int status;

	for (; argc < WORDS && line[argc]; argc++)
		argv[argc] = strdup(line[argc]);
	memcpy(words, argv, sizeof(words));
	status = command_find(argv[0])->run(argc, argv);
	must(status >= 0 && status <= 255);
	for (int i = 0; i < argc; i++)
		free(words[i]);
}

static void check_ask(void)
{
	struct vmm_error err = { "" };
	json_t *reply = NULL;
	int ret = ask(&dir, "liar", "{\"command\":\"stat\"}", &reply, &err);

	if (ret) {
		must(ret == -ECONNRESET || ret == -EPROTO || ret == -EPIPE);
		must(err.msg[0]);
		return;
	}
	must(json_is_object(reply));
	/* What is shown moves no cursor. */
	for (const char *p = ask_string(reply, "name"); *p; p++)
		must((u8)*p >= ' ' && *p != 0x7f);
	json_decref(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u8 which = input_u8(&in);

	pthread_mutex_lock(&lock);
	answer_len = in.left < sizeof(answer) ? in.left : sizeof(answer);
	memcpy(answer, in.p, answer_len);
	pthread_mutex_unlock(&lock);
	if (which % 16 < ARRAY_SIZE(lines))
		run(lines[which % 16]);
	else
		check_ask();
	return 0;
}
