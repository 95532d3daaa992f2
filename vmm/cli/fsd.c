/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsd.c - virtiofsd or diod, one for each directory that a guest shares
 *
 * virtiofsd wants a socket that listens.  Ours does so in a directory of its own, which
 * is gone, with the socket's name, before anybody else could know it; the connection is
 * made before there is anyone to accept it, and waits.  diod takes one that is made.
 */
#include "vmm/cli/fsd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/answer.h"
#include "vmm/cli/closefd.h"
#include "vmm/cli/diod.h"

#define SOON_MS		10000	/* a death before is one of a row */
#define MAX_DEATHS	3
#define END_MS		1000	/* to end when the connection has, and again when told to */
#define LISTEN_FD	3	/* in the child */
#define NO_EXEC		127

const char *fsd_option(const struct fsd *fsd)
{
	return fsd->p9 ? "--9p" : "--fs";
}

const char *fsd_program(const struct fsd *fsd)
{
	return fsd->p9 ? "diod" : "virtiofsd";
}

static const char *name(const struct fsd *fsd, char *buf, size_t size)
{
	snprintf(buf, size, "%s %.120s: %s", fsd_option(fsd), fsd->dir ? fsd->dir : "", fsd_program(fsd));
	return buf;
}

static int refuse(const struct fsd *fsd, struct vmm_error *err, int ret, const char *what,
		  const char *name)
{
	snprintf(err->msg, sizeof(err->msg), "%s: %s %.160s: %s", fsd_option(fsd), what, name,
		 strerror(-ret));
	return ret;
}

/* ---- What it takes ------------------------------------------------------------ */

static bool try_program(struct fsd *fsd, const char *dir, size_t len)
{
	int n = snprintf(fsd->program, sizeof(fsd->program), "%.*s/%s", (int)len, dir,
			 fsd_program(fsd));

	return len && n > 0 && (size_t)n < sizeof(fsd->program) && !access(fsd->program, X_OK);
}

/*
 * Where the user looks for programs, then where distributions keep it; not in /usr/lib/qemu,
 * which has QEMU's old one, of other options.
 */
static bool find_program(struct fsd *fsd)
{
	static const char *const homes[] = {
		"/usr/libexec", "/usr/lib", "/usr/sbin", "/sbin",
	};
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (try_program(fsd, path, len))
			return true;
		path += len + (path[len] == ':');
	}
	for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++)
		if (try_program(fsd, homes[i], strlen(homes[i])))
			return true;
	return false;
}

/* diod wants it so, and a guest has to be able to say it. */
static bool whole_name(struct fsd *fsd)
{
	char *whole = realpath(fsd->dir, NULL);

	if (!whole || strlen(whole) > VMM_9P_NAME_MAX) {
		free(whole);
		return false;
	}
	free(fsd->dir);
	fsd->dir = whole;
	return true;
}

void fsd_clear(struct fsd *fsd)
{
	*fsd = (struct fsd){ .device = -1, .pid_fd = -1, .gone_fd = -1 };
	said_clear(&fsd->said);
}

int fsd_open(struct fsd *fsd, const struct fs_option *opt, struct vmm_error *err)
{
	struct stat st;

	fsd->ro = opt->ro;
	fsd->p9 = opt->p9;
	snprintf(fsd->tag, sizeof(fsd->tag), "%.*s", opt->tag_len, opt->tag);
	snprintf(fsd->sandbox, sizeof(fsd->sandbox), "%.*s", opt->sandbox_len, opt->sandbox);
	fsd->dir = strndup(opt->dir, (size_t)opt->dir_len);
	if (!fsd->dir)
		return refuse(fsd, err, -ENOMEM, "directory", "");
	if (stat(fsd->dir, &st))
		return refuse(fsd, err, -errno, "directory", fsd->dir);
	if (!S_ISDIR(st.st_mode))
		return refuse(fsd, err, -ENOTDIR, "directory", fsd->dir);
	if (fsd->p9 && !whole_name(fsd))
		return refuse(fsd, err, -ENAMETOOLONG, "directory", fsd->dir);
	diod_user(fsd);
	if (find_program(fsd))
		return 0;
	snprintf(err->msg, sizeof(err->msg),
		 "%s: there is no %s, neither in $PATH nor in %s; it is a package of that name",
		 fsd_option(fsd), fsd_program(fsd), fsd->p9 ? "/usr/sbin" : "/usr/libexec");
	return -ENOTSUP;
}

void fsd_close(struct fsd *fsd)
{
	fsd_stop(fsd);
	free(fsd->dir);
	fsd_clear(fsd);
}

/* ---- The socket ------------------------------------------------------------------- */

static int make_dir(char *path, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	int n = snprintf(path, size, "%s/vmm-fs.XXXXXX", run && *run ? run : "/tmp");

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return mkdtemp(path) ? 0 : -errno;
}

/* @fds: one that listens, and one that is connected to it. */
static int connect_in(const char *dir, int fds[2])
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	/* However long the directory's name is. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/s", dir_fd);
	fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (dir_fd < 0 || fds[0] < 0 || fds[1] < 0 ||
	    bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)) || listen(fds[0], 1) ||
	    connect(fds[1], (struct sockaddr *)&addr, sizeof(addr)))
		ret = -errno;
	if (dir_fd >= 0) {
		unlinkat(dir_fd, "s", 0);
		close(dir_fd);
	}
	return ret;
}

static int make_sockets(int fds[2])
{
	char dir[512];
	int ret = make_dir(dir, sizeof(dir));

	fds[0] = fds[1] = -1;
	if (ret)
		return ret;
	ret = connect_in(dir, fds);
	rmdir(dir);
	if (ret) {
		close_fd(&fds[0]);
		close_fd(&fds[1]);
	}
	return ret;
}

/* ---- The process ---------------------------------------------------------------------- */

__attribute__((noreturn)) static void become_virtiofsd(const struct fsd *fsd)
{
	const char *argv[16] = { "virtiofsd", "--fd", "3", "--shared-dir", fsd->dir, "--log-level", "error" };
	size_t n = 7;

	if (fsd->ro)
		argv[n++] = "--readonly";
	if (fsd->sandbox[0]) {
		argv[n++] = "--sandbox";
		argv[n++] = fsd->sandbox;
	}
	execv(fsd->program, (char *const *)argv);
	_exit(NO_EXEC);
}

/* In the child of the helper, which has one thread. */
__attribute__((noreturn)) static void become(const struct fsd *fsd, int listener, int error,
					     pid_t parent)
{
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	/* Away from the terminal's Ctrl-C, which is the guest's. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NO_EXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(error, STDERR_FILENO) < 0)
		_exit(NO_EXEC);
	/* A duplicate of itself would stay close-on-exec. */
	if (listener == LISTEN_FD ? fcntl(listener, F_SETFD, 0) : dup2(listener, LISTEN_FD) < 0)
		_exit(NO_EXEC);
	if (fsd->p9)
		diod_become(fsd, LISTEN_FD);
	become_virtiofsd(fsd);
}

/*
 * An epoll does not keep the server's end open: that one is the server's alone when we have
 * closed ours, and is gone with it.
 */
static int watch_end(int socket)
{
	struct epoll_event event = { .events = EPOLLRDHUP };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, socket, &event))
		close_fd(&fd);
	return fd;
}

int fsd_start(struct fsd *fsd, struct vmm_error *err)
{
	pid_t parent = getpid();
	int fds[2];
	int error;
	int ret;

	if (fsd->p9)
		ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ? -errno : 0;
	else
		ret = make_sockets(fds);
	if (ret)
		return refuse(fsd, err, ret, "a socket for", fsd->dir);
	error = said_begin(&fsd->said);
	if (error < 0) {
		close_fd(&fds[0]);
		close_fd(&fds[1]);
		return refuse(fsd, err, error, "a pipe for", fsd->dir);
	}
	fsd->pid = fork();
	if (!fsd->pid)
		become(fsd, fds[0], error, parent);
	ret = fsd->pid < 0 ? -errno : 0;
	/* Without that a stuck one stays until it is stopped. */
	if (!ret && fsd->p9)
		fsd->gone_fd = watch_end(fds[0]);
	close_fd(&fds[0]);
	close_fd(&error);
	if (!ret) {
		fsd->pid_fd = pidfd_open(fsd->pid, 0);
		ret = fsd->pid_fd < 0 ? -errno : 0;
	}
	if (ret) {
		close_fd(&fds[1]);
		fsd_stop(fsd);
		return refuse(fsd, err, ret, "starting", fsd->program);
	}
	fsd->born_ms = answer_now_ms();
	return fds[1];
}

void fsd_hear(struct fsd *fsd)
{
	char who[160];

	said_take(&fsd->said, name(fsd, who, sizeof(who)));
}

/* Its last words, too. */
static void hear_out(struct fsd *fsd)
{
	char who[160];

	said_end(&fsd->said, name(fsd, who, sizeof(who)));
}

static void forget(struct fsd *fsd)
{
	fsd->pid = 0;
	fsd->end_ms = 0;
	close_fd(&fsd->pid_fd);
	close_fd(&fsd->gone_fd);
}

static bool reap(struct fsd *fsd, int *status)
{
	if (waitpid(fsd->pid, status, WNOHANG) != fsd->pid)
		return false;
	forget(fsd);
	return true;
}

void fsd_gone(struct fsd *fsd)
{
	close_fd(&fsd->gone_fd);
	fsd->end_ms = answer_now_ms() + END_MS;
}

int fsd_patience(const struct fsd *fsd)
{
	const uint64_t now = answer_now_ms();

	return !fsd->end_ms ? -1 : fsd->end_ms > now ? (int)(fsd->end_ms - now) : 0;
}

/* Until it is waited for, nobody else has its number. */
void fsd_hurry(struct fsd *fsd)
{
	if (!fsd->end_ms || answer_now_ms() < fsd->end_ms)
		return;
	fsd->end_ms = 0;
	kill(fsd->pid, SIGKILL);
}

void fsd_stop(struct fsd *fsd)
{
	static const int signals[] = { 0, SIGTERM, SIGKILL };
	struct pollfd p = { .fd = fsd->pid_fd, .events = POLLIN };
	int status;

	for (size_t i = 0; fsd->pid > 0 && i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (signals[i])
			kill(fsd->pid, signals[i]);
		if (p.fd >= 0)
			poll(&p, 1, END_MS);
		reap(fsd, &status);
	}
	if (fsd->pid > 0)
		waitpid(fsd->pid, &status, 0);
	forget(fsd);
	hear_out(fsd);
}

bool fsd_ended(struct fsd *fsd, char *how, size_t size)
{
	int status;

	if (fsd->pid <= 0 || !reap(fsd, &status))
		return false;
	hear_out(fsd);
	if (answer_now_ms() - fsd->born_ms >= SOON_MS)
		fsd->nr_deaths = 0;
	fsd->nr_deaths++;
	if (WIFSIGNALED(status))
		snprintf(how, size, "SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		snprintf(how, size, "status %d", WEXITSTATUS(status));
	return true;
}

bool fsd_may_restart(const struct fsd *fsd)
{
	return fsd->nr_deaths <= MAX_DEATHS;
}
