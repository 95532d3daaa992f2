/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smoke.c - try guest images, some at a time
 *
 * A guest is timed by its own "vmm run"; here only that process itself is, and it
 * has some seconds more than it gives its guest.
 */
#include "vmm/cli/smoke.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/answer.h"

#define GRACE_MS	30000	/* to end after the guest's time is up */
#define STOP_MS		3000	/* to end when all is stopped */
#define LOOK_MS		200	/* at those that have to end */
#define PATH_SIZE	4096
#define NO_EXEC		127

size_t smoke_count(const struct smoke *smoke, enum smoke_state state)
{
	size_t nr = 0;

	for (size_t i = 0; i < smoke->nr; i++)
		nr += smoke->results[i].state == state;
	return nr;
}

static void tell(struct smoke *smoke, const struct smoke_result *result)
{
	if (smoke->tell)
		smoke->tell(smoke->arg, result);
}

/* ---- One process --------------------------------------------------------------- */

static int open_log(const struct smoke *smoke, const struct smoke_result *result,
		    const char *kind)
{
	char path[PATH_SIZE];
	int len = snprintf(path, sizeof(path), "%s/%s.%s", smoke->log_dir, result->image->name, kind);
	int fd;

	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : fd;
}

/* In the child, which has one thread like its parent. */
static void become(const struct smoke_image *image, int out, int err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Away from the terminal's Ctrl-C, which is for us to pass on. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(NO_EXEC);
	if (chdir(image->dir)) {
		dprintf(STDERR_FILENO, "%s: %s\n", image->dir, strerror(errno));
		_exit(NO_EXEC);
	}
	/* The file that we are, even if its name has come to mean another one. */
	execv("/proc/self/exe", image->argv);
	dprintf(STDERR_FILENO, "/proc/self/exe: %s\n", strerror(errno));
	_exit(NO_EXEC);
}

static void fail(struct smoke_result *result, const char *what, int error)
{
	result->state = SMOKE_FAILED;
	result->status = -1;
	snprintf(result->why, sizeof(result->why), "%s: %s", what, strerror(-error));
}

static void start(struct smoke *smoke, struct smoke_result *result)
{
	int out = open_log(smoke, result, "log");
	int err = out < 0 ? out : open_log(smoke, result, "err");

	result->begun = answer_now_ms();
	if (err < 0) {
		fail(result, "its log", err);
	} else {
		result->pid = fork();
		if (!result->pid)
			become(result->image, out, err);
		if (result->pid < 0)
			fail(result, "fork", -errno);
		else
			result->state = SMOKE_RUNS;
	}
	if (out >= 0)
		close(out);
	if (err >= 0)
		close(err);
	tell(smoke, result);
}

/* The last line of what it said on stderr, without what all such lines begin with. */
static void last_words(const struct smoke *smoke, struct smoke_result *result)
{
	static const char fatal[] = "vmm: Fatal: ";
	char path[PATH_SIZE];
	char buf[1024];
	char *line = buf;
	ssize_t got = 0;
	off_t size;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.err", smoke->log_dir, result->image->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = lseek(fd, 0, SEEK_END);
		got = pread(fd, buf, sizeof(buf) - 1, size > (off_t)sizeof(buf) - 1 ?
			    size - (off_t)sizeof(buf) + 1 : 0);
		close(fd);
	}
	while (got > 0 && buf[got - 1] == '\n')
		got--;
	buf[got > 0 ? got : 0] = '\0';
	if (strrchr(buf, '\n'))
		line = strrchr(buf, '\n') + 1;
	if (!strncmp(line, fatal, strlen(fatal)))
		line += strlen(fatal);
	if (*line)
		snprintf(result->why, sizeof(result->why), "%.200s (status %d)", line, result->status);
	else
		snprintf(result->why, sizeof(result->why), "status %d", result->status);
}

static void judge(struct smoke *smoke, struct smoke_result *result, const siginfo_t *info)
{
	result->seconds = (double)(answer_now_ms() - result->begun) / 1000;
	result->pid = 0;
	if (info->si_code == CLD_EXITED)
		result->status = info->si_status;
	else
		result->status = 128 + info->si_status;
	result->state = result->status ? SMOKE_FAILED : SMOKE_PASSED;
	if (info->si_code != CLD_EXITED && !result->why[0])
		snprintf(result->why, sizeof(result->why), "ended by signal %d (%s)",
			 info->si_status, strsignal(info->si_status));
	else if (result->status && !result->why[0])
		last_words(smoke, result);
	tell(smoke, result);
}

/* ---- All of them --------------------------------------------------------------- */

static void reap(struct smoke *smoke)
{
	for (size_t i = 0; i < smoke->nr; i++) {
		struct smoke_result *result = &smoke->results[i];
		siginfo_t info = { .si_pid = 0 };

		if (result->state == SMOKE_RUNS &&
		    !waitid(P_PID, (id_t)result->pid, &info, WEXITED | WNOHANG) && info.si_pid)
			judge(smoke, result, &info);
	}
}

static void start_some(struct smoke *smoke)
{
	size_t running = smoke_count(smoke, SMOKE_RUNS);

	for (size_t i = 0; i < smoke->nr && running < smoke->jobs; i++) {
		struct smoke_result *result = &smoke->results[i];

		if (result->state != SMOKE_WAITS)
			continue;
		if (smoke->stopped) {
			result->state = SMOKE_SKIPPED;
			snprintf(result->why, sizeof(result->why), "stopped by the user");
			tell(smoke, result);
			continue;
		}
		start(smoke, result);
		running += result->state == SMOKE_RUNS;
	}
}

/* Those whose time is up; the first signal asks a guest, the second one stops it. */
static void hurry(struct smoke *smoke, uint64_t stopped_at)
{
	uint64_t now = answer_now_ms();

	for (size_t i = 0; i < smoke->nr; i++) {
		struct smoke_result *result = &smoke->results[i];

		if (result->state != SMOKE_RUNS)
			continue;
		if (smoke->stopped) {
			snprintf(result->why, sizeof(result->why), "stopped by the user");
			kill(result->pid, now - stopped_at > STOP_MS ? SIGKILL : SIGTERM);
		} else if (now - result->begun > result->image->timeout * 1000ull + GRACE_MS) {
			snprintf(result->why, sizeof(result->why), "vmm run did not end in time");
			kill(result->pid, SIGKILL);
		}
	}
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static bool told_to_stop(int fd)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		stop |= info.ssi_signo != SIGCHLD;
	return stop;
}

static int make_log_dir(const char *dir, struct vmm_error *err)
{
	if (!mkdir(dir, 0777) || errno == EEXIST)
		return 0;
	snprintf(err->msg, sizeof(err->msg), "--log-dir %s: %s", dir, strerror(errno));
	return -errno;
}

int smoke_run(struct smoke *smoke, struct vmm_error *err)
{
	int ret = make_log_dir(smoke->log_dir, err);
	uint64_t stopped_at = 0;
	struct pollfd p;

	if (ret)
		return ret;
	p = (struct pollfd){ .fd = open_signals(), .events = POLLIN };
	if (p.fd < 0) {
		snprintf(err->msg, sizeof(err->msg), "signalfd: %s", strerror(-p.fd));
		return p.fd;
	}
	for (;;) {
		start_some(smoke);
		if (!smoke_count(smoke, SMOKE_RUNS) && !smoke_count(smoke, SMOKE_WAITS))
			break;
		poll(&p, 1, smoke->stopped ? LOOK_MS : 1000);
		if (told_to_stop(p.fd) && !smoke->stopped) {
			smoke->stopped = true;
			stopped_at = answer_now_ms();
		}
		reap(smoke);
		hurry(smoke, stopped_at);
	}
	close(p.fd);
	return 0;
}
