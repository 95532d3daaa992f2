// SPDX-License-Identifier: BSD-2-Clause
/*
 * drive.c - run a program, talk to it, and judge how it ended
 *
 *   drive [-p] [-u UID] [-t SECONDS] [-o OUT] [-e ERR] STEP... -- PROGRAM ARG...
 *
 * The steps are done in their order:
 *
 *   want:TEXT   wait until the program has written TEXT after the last match
 *   not:TEXT    nothing written so far contains TEXT
 *   send:TEXT   write TEXT to it; \n \r \\ \xHH are understood
 *   close       end of its input
 *   dial:PATH   from here on talk to it by the unix socket there, as a new client
 *   kill:NAME   send it SIGTERM, SIGINT, SIGHUP, SIGKILL, SIGSTOP or SIGCONT
 *   sleep:MS    let some time pass
 *   shell:CMD   run CMD by sh with PID set; it has to succeed
 *   exit:N      wait for its end, which has to be by exit(N)
 *   signal:N    ... by signal N
 *
 * Input and output are pipes, or with -p a terminal of their own.  Everything
 * written is copied to OUT, standard error goes to ERR.  Whatever the steps
 * say, it is an error to leave a process behind or a terminal changed.  The
 * answer is the exit status, 0 or 1, and one line on standard output.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

struct drive {
	pid_t pid;
	int in;			/* to the program, -1: closed */
	int out;		/* from the program, -1: at its end */
	int log;		/* copy of all output */
	int tty;		/* the program's side of its terminal, or -1 */
	struct termios before;	/* its mode at the start */
	char *text;		/* all output */
	size_t len;
	size_t seen;		/* what the last want: has consumed */
	long long deadline;	/* ms, monotonic */
	bool exited;
	int status;
};

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Ends the program and all of its children, then us. */
static void __attribute__((noreturn, format(printf, 2, 3)))
fail(struct drive *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	if (d->pid > 0) {
		kill(-d->pid, SIGKILL);
		kill(d->pid, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
	exit(1);
}

static void take_output(struct drive *d)
{
	char buf[4096];
	ssize_t n = read(d->out, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {		/* a terminal says EIO when its other side is closed */
		close(d->out);
		if (d->in == d->out)
			d->in = -1;
		d->out = -1;
		return;
	}
	if (write(d->log, buf, n) != n)
		fail(d, "cannot write the log: %s", strerror(errno));
	d->text = realloc(d->text, d->len + n + 1);
	for (ssize_t i = 0; i < n; i++)		/* so that strstr() sees all of it */
		d->text[d->len + i] = buf[i] ? buf[i] : ' ';
	d->len += n;
	d->text[d->len] = 0;
}

static void look_for_exit(struct drive *d)
{
	if (!d->exited && waitpid(d->pid, &d->status, WNOHANG) == d->pid)
		d->exited = true;
}

/* Waits for output or for some ms, whichever is first. */
static void turn(struct drive *d, int ms)
{
	struct pollfd pfd = { .fd = d->out, .events = POLLIN };

	if (poll(&pfd, 1, ms) > 0)
		take_output(d);
}

/* After the program's end: what is still in the pipe. */
static void drain(struct drive *d)
{
	struct pollfd pfd = { .fd = d->out, .events = POLLIN };

	while (d->out >= 0 && (pfd.fd = d->out, poll(&pfd, 1, 0)) > 0)
		take_output(d);
}

static const char *how_it_ended(const struct drive *d, char *buf, size_t size)
{
	if (WIFEXITED(d->status))
		snprintf(buf, size, "exit status %d", WEXITSTATUS(d->status));
	else
		snprintf(buf, size, "signal %d", WTERMSIG(d->status));
	return buf;
}

static void step_want(struct drive *d, const char *what)
{
	char buf[64];

	for (;;) {
		char *hit = d->text ? strstr(d->text + d->seen, what) : NULL;

		if (hit) {
			d->seen = hit - d->text + strlen(what);
			return;
		}
		if (d->exited && d->out < 0)
			fail(d, "ended by %s without '%s'", how_it_ended(d, buf, sizeof(buf)), what);
		if (now_ms() > d->deadline)
			fail(d, "timeout, waiting for '%s'", what);
		turn(d, 100);
		look_for_exit(d);
		if (d->exited) {
			drain(d);
			if (!d->text || !strstr(d->text + d->seen, what))
				fail(d, "ended by %s without '%s'",
				     how_it_ended(d, buf, sizeof(buf)), what);
		}
	}
}

static void wait_for_end(struct drive *d)
{
	while (!d->exited) {
		if (now_ms() > d->deadline)
			fail(d, "timeout, waiting for its exit");
		turn(d, 20);
		look_for_exit(d);
	}
	drain(d);
}

static void step_exit(struct drive *d, const char *what)
{
	char buf[64];

	wait_for_end(d);
	if (!WIFEXITED(d->status) || WEXITSTATUS(d->status) != atoi(what))
		fail(d, "ended by %s, expected exit status %s",
		     how_it_ended(d, buf, sizeof(buf)), what);
}

static void step_signal(struct drive *d, const char *what)
{
	char buf[64];

	wait_for_end(d);
	if (!WIFSIGNALED(d->status) || WTERMSIG(d->status) != atoi(what))
		fail(d, "ended by %s, expected signal %s",
		     how_it_ended(d, buf, sizeof(buf)), what);
}

static size_t unescape(const char *from, char *to)
{
	char *start = to;

	for (; *from; from++) {
		if (*from != '\\' || !from[1]) {
			*to++ = *from;
			continue;
		}
		switch (*++from) {
		case 'n':
			*to++ = '\n';
			break;
		case 'r':
			*to++ = '\r';
			break;
		case 'x':
			if (isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2])) {
				char hex[3] = { from[1], from[2], 0 };

				*to++ = (char)strtol(hex, NULL, 16);
				from += 2;
			}
			break;
		default:
			*to++ = *from;
		}
	}
	return to - start;
}

static void step_send(struct drive *d, const char *what)
{
	char *buf = malloc(strlen(what) + 1);
	size_t len = unescape(what, buf);
	size_t done = 0;

	while (done < len) {
		ssize_t n = d->in < 0 ? -1 : write(d->in, buf + done, len - done);

		if (n > 0)
			done += n;
		else if (d->in < 0 || errno != EAGAIN)
			fail(d, "it does not take input: %s", strerror(errno));
		if (now_ms() > d->deadline)
			fail(d, "timeout, it does not take input");
		turn(d, 0);
	}
	free(buf);
}

static void step_kill(struct drive *d, const char *what)
{
	static const struct {
		const char *name;
		int sig;
	} sigs[] = {
		{ "TERM", SIGTERM }, { "INT", SIGINT }, { "HUP", SIGHUP },
		{ "KILL", SIGKILL }, { "STOP", SIGSTOP }, { "CONT", SIGCONT },
	};

	look_for_exit(d);
	if (d->exited)
		fail(d, "ended before SIG%s", what);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		if (!strcmp(what, sigs[i].name)) {
			kill(d->pid, sigs[i].sig);
			return;
		}
	}
	fail(d, "unknown signal %s", what);
}

static void step_sleep(struct drive *d, const char *what)
{
	long long end = now_ms() + atoi(what);

	while (now_ms() < end)
		turn(d, (int)(end - now_ms()));
}

static void step_shell(struct drive *d, const char *what)
{
	char pid[16];
	int ret;

	snprintf(pid, sizeof(pid), "%d", d->pid);
	setenv("PID", pid, 1);
	ret = system(what);
	what += strspn(what, "\n");
	if (ret != 0)
		fail(d, "failed: %.*s", (int)strcspn(what, "\n"), what);
}

/* Where there may be no socket yet. */
static int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
	    !fcntl(fd, F_SETFL, O_NONBLOCK))
		return fd;
	close(fd);
	return -1;
}

static void step_dial(struct drive *d, const char *what)
{
	char buf[64];

	if (d->out >= 0 && d->out != d->in)
		close(d->out);
	if (d->in >= 0)
		close(d->in);
	d->in = d->out = -1;
	while ((d->in = dial(what)) < 0) {
		look_for_exit(d);
		if (d->exited)
			fail(d, "ended by %s without %s", how_it_ended(d, buf, sizeof(buf)), what);
		if (now_ms() > d->deadline)
			fail(d, "timeout, connecting to %s", what);
		usleep(20000);
	}
	d->out = d->in;
}

static void do_step(struct drive *d, const char *step)
{
	const char *arg = strchr(step, ':');
	size_t len = arg ? (size_t)(arg++ - step) : strlen(step);

	static const struct {
		const char *name;
		void (*fn)(struct drive *d, const char *arg);
	} steps[] = {
		{ "want", step_want }, { "send", step_send }, { "kill", step_kill },
		{ "sleep", step_sleep }, { "shell", step_shell }, { "exit", step_exit },
		{ "signal", step_signal }, { "dial", step_dial },
	};

	if (!strcmp(step, "close")) {
		close(d->in);
		d->in = -1;
		return;
	}
	if (arg && !strncmp(step, "not:", 4)) {
		drain(d);
		if (d->text && strstr(d->text, arg))
			fail(d, "it wrote '%s'", arg);
		return;
	}
	for (size_t i = 0; arg && i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strlen(steps[i].name) == len && !strncmp(step, steps[i].name, len)) {
			steps[i].fn(d, arg);
			return;
		}
	}
	fail(d, "unknown step %s", step);
}

static int open_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0) {
		printf("%s: %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

static void start(struct drive *d, bool pty, int uid, int err, char **argv)
{
	int in[2] = { -1, -1 };
	int out[2] = { -1, -1 };

	if (pty) {
		struct winsize ws = { .ws_row = 24, .ws_col = 80 };

		if (openpty(&d->in, &d->tty, NULL, NULL, &ws))
			fail(d, "no terminal: %s", strerror(errno));
		d->out = d->in;
		in[0] = out[1] = d->tty;
		tcgetattr(d->tty, &d->before);
	} else {
		if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
			fail(d, "no pipe: %s", strerror(errno));
		d->in = in[1];
		d->out = out[0];
	}
	fcntl(d->in, F_SETFD, FD_CLOEXEC);
	fcntl(d->in, F_SETFL, O_NONBLOCK);

	prctl(PR_SET_CHILD_SUBREAPER, 1);	/* what it leaves behind comes to us */
	d->pid = fork();
	if (d->pid == 0) {
		setsid();
		if (pty)
			login_tty(d->tty);
		else
			dup2(in[0], 0), dup2(out[1], 1);
		dup2(err, 2);
		if (uid >= 0 && (setgid(uid) || setuid(uid)))
			_exit(126);
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (!pty) {
		close(in[0]);
		close(out[1]);
	}
}

/* The program has ended: it has to be gone without a trace. */
static void check_traces(struct drive *d)
{
	struct termios after;

	if (d->tty >= 0) {
		tcgetattr(d->tty, &after);
		if (after.c_iflag != d->before.c_iflag || after.c_oflag != d->before.c_oflag ||
		    after.c_cflag != d->before.c_cflag || after.c_lflag != d->before.c_lflag ||
		    memcmp(after.c_cc, d->before.c_cc, sizeof(after.c_cc)))
			fail(d, "the terminal was not restored");
	}
	for (int i = 0; i < 50; i++) {
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		usleep(20000);
	}
	fail(d, "it left a process behind");
}

int main(int argc, char **argv)
{
	struct drive d = { .pid = -1, .in = -1, .out = -1, .tty = -1 };
	const char *out = "/dev/null";
	const char *err = "/dev/null";
	bool pty = false;
	int seconds = 60;
	int uid = -1;
	int first;
	int opt;
	int i;

	while ((opt = getopt(argc, argv, "+pu:t:o:e:")) != -1) {
		switch (opt) {
		case 'p':
			pty = true;
			break;
		case 'u':
			uid = atoi(optarg);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'o':
			out = optarg;
			break;
		case 'e':
			err = optarg;
			break;
		default:
			return 2;
		}
	}
	first = optind;
	for (i = first; i < argc && strcmp(argv[i], "--"); i++)
		;
	if (i + 1 >= argc) {
		printf("usage: drive [-p] [-u UID] [-t SECONDS] [-o OUT] [-e ERR] STEP... -- PROGRAM...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	d.deadline = now_ms() + seconds * 1000LL;
	d.log = open_log(out);
	start(&d, pty, uid, open_log(err), argv + i + 1);
	argv[i] = NULL;
	for (i = first; argv[i]; i++)
		do_step(&d, argv[i]);
	if (!d.exited)
		fail(&d, "the steps have no exit:");
	check_traces(&d);
	printf("ok\n");
	return 0;
}
