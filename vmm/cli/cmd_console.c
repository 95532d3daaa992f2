/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_console.c - vmm console
 *
 * The guest's process tells where its console is, and we are one more client of that.
 * What is typed goes through stdcons.h, so that a terminal behaves as under "vmm run".
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/cli/ask.h"
#include "vmm/cli/command.h"
#include "vmm/cli/number.h"
#include "vmm/cli/report.h"
#include "vmm/cli/status.h"
#include "vmm/cli/stdcons.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/whom.h"

static void console_help(void)
{
	fputs("usage: vmm console [--tty N | --port PORT] [-n] NAME\n"
	      "       vmm console --json [-n] NAME\n"
	      "\n"
	      "Attach the terminal to the console of a guest that runs, which must be on a socket\n"
	      "or a pty: see --tty and --console of 'vmm help run'.  Ctrl-A d detaches it again;\n"
	      "the guest does not notice.  If stdin is no terminal, all of it goes to the guest,\n"
	      "and its output is written until it ends.\n"
	      "\n"
	      "  -n, --name NAME    this guest, as does NAME alone\n"
	      "      --tty N        its serial port N, not hvc0 or the first that is reachable\n"
	      "      --port PORT    its port of that name, see --virtio-port of 'vmm help run'\n"
	      "      --json         tell where its consoles are, and attach to none\n"
	      "  -h, --help         show this text\n", stdout);
}

/* ---- Where it is ---------------------------------------------------------------- */

/* In its directory, because addresses of sockets are short and paths need not be. */
static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[PATH_MAX];
	char base[PATH_MAX];
	int ret;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	snprintf(base, sizeof(base), "%s", path);
	if (strlen(basename(base)) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, basename(base));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!chdir(dirname(dir)) && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
	    !fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int open_console(const json_t *console)
{
	const char *path = ask_string(console, "path");
	int fd;

	if (!strcmp(ask_string(console, "kind"), "socket"))
		return connect_to(path);
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Which one is wanted. */
struct which {
	json_int_t	tty;		/* -1: the guest's console, the first there is */
	const char	*port;		/* NULL: none with a name */
};

/* The virtio-console is the guest's console if there is one. */
static int fitness(const json_t *console, const struct which *which)
{
	const json_t *tty = json_object_get(console, "port");

	if (which->port)
		return !strcmp(ask_string(console, "name"), which->port);
	if (which->tty >= 0)
		return tty && json_integer_value(tty) == which->tty;
	return json_object_get(console, "hvc") ? 2 : !!tty;
}

/* NULL: it has none. */
static const json_t *choose(const json_t *reply, const struct which *which)
{
	const json_t *consoles = json_object_get(reply, "consoles");
	const json_t *best = NULL;

	for (size_t i = 0; i < json_array_size(consoles); i++) {
		const json_t *console = json_array_get(consoles, i);

		if (fitness(console, which) > (best ? fitness(best, which) : 0))
			best = console;
	}
	return best;
}

/* ---- Bytes ------------------------------------------------------------------------ */

struct link {
	const struct whom *whom;
	bool		is_hvc;		/* it is told how large the terminal is */
	struct stdcons	in;
	int		fd;		/* the guest's console */
	size_t		start;		/* of what it has not taken yet */
	size_t		len;
	char		buf[STDCONS_CHUNK];
};

static volatile sig_atomic_t came_back;
static volatile sig_atomic_t other_size;

static void on_signal(int sig)
{
	if (sig == SIGCONT)
		came_back = sig;
	else
		other_size = sig;
}

/* A guest that has just ended need not know. */
static void tell_size(const struct link *link)
{
	unsigned int cols;
	unsigned int rows;
	struct vmm_error err;
	char request[80];
	json_t *reply;

	if (!link->is_hvc || !terminal_size(&cols, &rows))
		return;
	snprintf(request, sizeof(request), "{\"command\":\"terminal\",\"cols\":%u,\"rows\":%u}",
		 cols, rows);
	if (!ask(&link->whom->dir, link->whom->names[0], request, &reply, &err))
		json_decref(reply);
}

/* False: that was the end. */
static bool show(const struct link *link)
{
	char buf[STDCONS_CHUNK];
	ssize_t got = read(link->fd, buf, sizeof(buf));

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t done = 0; done < got;) {
		ssize_t n = write(STDOUT_FILENO, buf + done, (size_t)(got - done));

		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? n : 0;
	}
	return got > 0;
}

static void give(struct link *link)
{
	ssize_t done = write(link->fd, link->buf + link->start, link->len);

	if (done > 0) {
		link->start += (size_t)done;
		link->len -= (size_t)done;
	}
}

static void take(struct link *link)
{
	ssize_t got = read(link->in.pipe_rd, link->buf, sizeof(link->buf));

	link->start = 0;
	link->len = got > 0 ? (size_t)got : 0;
	/* All of it has been given: from now on there is output alone. */
	if (got == 0) {
		close(link->in.pipe_rd);
		link->in.pipe_rd = -1;
	}
}

/* True: it was told to detach. */
static bool pump(struct link *link)
{
	static const char keys[] =
		"\r\n"
		"Ctrl-A d   detach from the guest, which runs on\r\n"
		"Ctrl-A h   list the keys\r\n"
		"Ctrl-A a   send Ctrl-A, as does Ctrl-A Ctrl-A\r\n";
	unsigned int asked = stdcons_pump(&link->in);

	if ((asked & KEYS_HELP) && write(STDERR_FILENO, keys, sizeof(keys) - 1) < 0)
		return false;	/* the keys work untold */
	return asked & KEYS_QUIT;
}

/* Until it is detached, true, or the console has gone. */
static bool relay(struct link *link)
{
	for (;;) {
		struct pollfd fds[3] = {
			stdcons_poll(&link->in),
			{ .fd = link->len ? -1 : link->in.pipe_rd, .events = POLLIN },
			{ .fd = link->fd, .events = POLLIN | (link->len ? POLLOUT : 0) },
		};

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return false;
		if (came_back || other_size) {
			if (came_back)
				stdcons_enter(&link->in);
			came_back = other_size = 0;
			tell_size(link);
			continue;
		}
		if (fds[0].revents && pump(link))
			return true;
		if (fds[1].revents)
			take(link);
		if (link->len)
			give(link);
		if ((fds[2].revents & ~POLLOUT) && !show(link))
			return false;
	}
}

static int attach(const struct whom *whom, int fd, bool is_hvc)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct link link = { .whom = whom, .fd = fd, .is_hvc = is_hvc };
	const char *name = whom->names[0];
	bool detached;
	int ret = stdcons_init(&link.in);

	if (ret) {
		report_fatal("%s", strerror(-ret));
		return STATUS_ERROR;
	}
	sigaction(SIGCONT, &act, NULL);
	sigaction(SIGWINCH, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	link.in.keys.quit = 'd';
	if (link.in.is_terminal)
		fprintf(stderr, "attached to %s; Ctrl-A d detaches\n", name);
	stdcons_enter(&link.in);
	tell_size(&link);
	detached = relay(&link);
	stdcons_fini(&link.in);
	if (link.in.is_terminal)
		fprintf(stderr, detached ? "\ndetached from %s\n" : "\n%s has ended\n", name);
	close(fd);
	return 0;
}

/* ---- Whose -------------------------------------------------------------------------- */

static int attach_to(const struct whom *whom, const json_t *reply, const struct which *which)
{
	const json_t *console = choose(reply, which);
	const char *name = whom->names[0];
	int fd;

	if (*ask_string(reply, "error")) {
		report_fatal("%s: %s", name, ask_string(reply, "error"));
		return STATUS_ERROR;
	}
	if (!console) {
		report_fatal("%s: %s is on no socket and no pty; see vmm-run(1)", name,
			     which->port ? "a port of that name" :
			     which->tty < 0 ? "its console" : "that serial port");
		return STATUS_ERROR;
	}
	fd = open_console(console);
	if (fd >= 0)
		return attach(whom, fd, json_object_get(console, "hvc"));
	report_fatal("%s: %s: %s", name, ask_string(console, "path"), strerror(-fd));
	return STATUS_ERROR;
}

static int ask_and_attach(struct whom *whom, const struct which *which)
{
	struct vmm_error err;
	json_t *reply;
	int status = whom_open(whom, true);

	if (status)
		return status;
	if (ask(&whom->dir, whom->names[0], "{\"command\":\"console\"}", &reply, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_ERROR;
	}
	status = whom->json ? ask_print(reply) : attach_to(whom, reply, which);
	json_decref(reply);
	return status;
}

static int console_run(int argc, char **argv)
{
	struct which which = { .tty = -1 };
	const char *tty = NULL;
	const struct whom_option options[] = {
		{ 0, "tty", NULL, &tty },
		{ 0, "port", NULL, &which.port },
		{ 0, NULL, NULL, NULL },
	};
	struct whom whom;
	uint64_t number;
	int status = whom_parse(&whom, options, argc, argv);

	if (!status && whom.help) {
		console_help();
		return command_help_done();
	}
	if (!status && (whom.all || whom.nr > 1)) {
		report_fatal("one guest, see 'vmm help console'");
		status = STATUS_USAGE;
	}
	if (!status && tty && which.port) {
		report_fatal("--port %s: excludes --tty", which.port);
		status = STATUS_USAGE;
	} else if (!status && tty && (number_parse(tty, &number) || number > INT_MAX)) {
		report_fatal("--tty %s: not the number of a serial port", tty);
		status = STATUS_USAGE;
	} else if (!status && tty) {
		which.tty = (json_int_t)number;
	}
	if (status)
		return status;
	status = ask_and_attach(&whom, &which);
	whom_close(&whom);
	return status;
}

const struct command command_console = {
	.name = "console",
	.summary = "attach the terminal to a guest's console",
	.run = console_run,
	.help = console_help,
};
