/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_run_faults.c - "vmm run" on a host that fails
 *
 * The program is run with each kind of device, in a process of its own and on a fake KVM, once
 * for each call that can fail, with that call failing, and once for each number of descriptors
 * that is too low.  Each time it says so in one line, ends with a status that it documents, and
 * leaves no descriptor, mapping, thread, process or file behind.
 *
 * Tap interfaces and vhost of the kernel's are pretended, see faults.h; the processes that serve
 * devices, and those that the program starts, are this one, see pose().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/backend.h"
#include "tests/unit/faults.h"
#include "tests/unit/t.h"
#include "vmm/cli/command.h"
#include "vmm/cli/status.h"
#include "vmm/vm.h"

/* No call of ours returns it by itself. */
#define ODD_ERRNO	EDOM
#define LIFE_S		60
/* Sanitizers are slow: some of them will do. */
#define STRIDE		(T_SANITIZED ? 13 : 1)
#define FILES_STRIDE	(T_SANITIZED ? 13 : 2)
#define MAX_ARGS	40

int t_vmm_create(struct vmm **vm, const struct vmm_config *cfg, struct vmm_error *err);

static struct fake_kvm *fake;

int t_vmm_create(struct vmm **vm, const struct vmm_config *cfg, struct vmm_error *err)
{
	return vm_create(vm, cfg, &fake_kvm_ops, fake, err);
}

/* ---- Other processes ------------------------------------------------------------- */

static void serve(int fd)
{
	struct backend b;

	backend_open(&b);
	close(b.front);
	close(b.fd);
	b.front = -1;
	b.fd = fd;
	backend_thread(&b);
	exit(0);
}

/* By the names of those that the program starts. */
static int pose(const char *name, int argc, char **argv)
{
	char byte;
	int fd = 3;

	if (!strcmp(name, "virtiofsd"))
		serve(accept(3, NULL, NULL));
	/* diod is told which; passt it is. */
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--rfdno"))
			fd = atoi(argv[i + 1]);
	while (read(fd, &byte, 1) > 0)
		;
	return 0;
}

static pid_t t_servers[2];

/* Who listens, and has a process for each connection. */
static pid_t t_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 10), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGCHLD, SIG_IGN);
		for (;;) {
			int peer = accept(fd, NULL, NULL);

			if (peer >= 0 && !fork())
				serve(peer);
			close(peer);
		}
	}
	close(fd);
	return pid;
}

/* ---- Where it is run ---------------------------------------------------------------- */

static char t_dir[64];

static void t_put(const char *name, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	const u32 nop = 0xd503201f;

	for (size_t i = 0; i < size; i += sizeof(nop))
		assert_int_equal(write(fd, &nop, sizeof(nop)), sizeof(nop));
	close(fd);
}

static const char *const t_programs[] = { "bin/virtiofsd", "bin/diod", "bin/passt" };

static int t_setup(void **state)
{
	char path[200];

	(void)state;
	strcpy(t_dir, "/tmp/t-run.XXXXXX");
	assert_non_null(mkdtemp(t_dir));
	assert_int_equal(chdir(t_dir), 0);
	assert_int_equal(mkdir("run", 0700) | mkdir("run/vmm", 0700) | mkdir("share", 0700) |
			 mkdir("bin", 0700), 0);
	t_put("kernel", 4096);
	t_put("initrd", 64);
	t_put("flash", 65536);
	t_put("disk", 65536);
	for (size_t i = 0; i < ARRAY_SIZE(t_programs); i++)
		assert_int_equal(symlink("/proc/self/exe", t_programs[i]), 0);
	snprintf(path, sizeof(path), "%s/bin:/usr/bin:/bin", t_dir);
	setenv("PATH", path, 1);
	snprintf(path, sizeof(path), "%s/run", t_dir);
	setenv("XDG_RUNTIME_DIR", path, 1);
	unsetenv("NOTIFY_SOCKET");
	t_servers[0] = t_listen("blk");
	t_servers[1] = t_listen("cable");
	return 0;
}

static int t_teardown(void **state)
{
	static const char *const names[] = {
		"kernel", "initrd", "flash", "disk", "blk", "cable", "run/vmm", "run", "share",
		"bin/virtiofsd", "bin/diod", "bin/passt", "bin",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t_servers); i++) {
		kill(t_servers[i], SIGKILL);
		waitpid(t_servers[i], NULL, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(remove(names[i]), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(t_dir), 0);
	return 0;
}

static size_t t_count(const char *dir, char *last, size_t size)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t nr = 0;

	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		nr++;
		snprintf(last, size, "%s/%.60s", dir, e->d_name);
	}
	closedir(d);
	return nr;
}

/* What is there that was not, or NULL.  What was written by a guest that ran is the user's. */
static const char *t_new_file(bool ran, char *buf, size_t size)
{
	static const char *const mine[] = { "pid", "sock", "port", "dtb" };

	unlink("out");
	if (ran)
		unlink("dtb");
	for (size_t i = 0; i < ARRAY_SIZE(mine); i++)
		if (!unlink(mine[i]))
			return mine[i];
	if (t_count("run/vmm", buf, size) || t_count("run", buf, size) != 1)
		return buf;
	return NULL;
}

/* ---- One life --------------------------------------------------------------------------- */

struct row {
	const char	*what;
	const char	*args[MAX_ARGS];	/* behind those that all have */
	bool		passt;			/* a socket for it is descriptor 40 */
};

#define PASST_FD	40

static const char *const common[] = {
	"run", "-k", "kernel", "-m", "32M", "-c", "1", "--sandbox", "off", "--name", "t",
	"--loglevel", "warning",
};

static const struct row rows[] = {
	{ .what = "everything small",
	  .args = { "-n", "mode=none", "-i", "initrd", "--pidfile", "pid", "--dump-dtb", "dtb", "--flash",
		    "flash", "-d", "disk", "--rng", "--balloon", "--tty", "1,pty", "--tty", "2,file=out",
		    "--tty", "3,socket=sock", "--virtio-port", "a,socket=port", "--virtio-port", "b,pty",
		    "--console", "virtio" } },
	{ .what = "cards, and vsock",
	  .args = { "-n", "mode=tap", "-n", "mode=tap,tapif=tap7,vhost=1,mq=2", "-n", "mode=user,fd=40",
		    "-n", "mode=vhost-user,socket=cable", "--vsock", "7" }, .passt = true },
	{ .what = "what one after the other serves",
	  .args = { "--vhost-user", "type=blk,socket=blk,reconnect=1", "-n",
		    "mode=vhost-user,socket=cable,reconnect=1", "--expect", "x" } },
	{ .what = "what is started",
	  .args = { "-n", "mode=user", "--fs", "share,fs,sandbox=none", "--9p", "share,9p,sandbox=none" } },
};

/* What the library does test_sweep has; of the first row what is allocated fails as well. */
#define NR_ALLOCATE	4
static const char *const librarys[] = {
	"malloc", "calloc", "realloc", "strdup", "mmap", "eventfd", "timerfd_create", "timerfd_settime",
	"fcntl of flags", "fstatfs", "pread", "pread64", "sched_getaffinity", "sched_setaffinity",
	"pthread_create", "pthread_attr_init", "pthread_attr_setstacksize", "io_uring_queue_init_params",
	"io_uring_register", "inotify_init1", "getsockopt", "lseek", "TUNGETIFF", "TUNSETVNETHDRSZ",
	"TUNSETOFFLOAD", "VHOST_GET_FEATURES", "VHOST_SET_OWNER",
};

struct result {
	char	failed[40];	/* which call; empty: none did */
	int	err;
	int	status;
	char	left[200];	/* behind; empty: nothing */
	char	text[4096];	/* what was said */
};

/* From the child. */
static struct result *shared;

static const struct fake_step guest[] = {
	{ .kind = FAKE_READ_UNTIL, .addr = T_UART_LSR, .len = 1, .mask = T_LSR_THRE, .data = T_LSR_THRE },
	{ .kind = FAKE_WRITE, .addr = T_UART_THR, .len = 1, .data = 'x' },
	T_OFF,
};

static void look_around(struct t_process *before, struct result *r)
{
	struct t_process now;

	/* What the program has done to its signals is its own affair. */
	t_process_save(&now);
	before->blocked = now.blocked;
	memcpy(before->actions, now.actions, sizeof(now.actions));
	before->kib = now.kib;
	if (t_process_diff(before, r->left, sizeof(r->left)))
		return;
	if (fake_nr_open(fake))
		strcpy(r->left, "KVM is open");
	else if (faults_nr_maps())
		strcpy(r->left, "a mapping is left");
	else if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		strcpy(r->left, "a process is left");
}

/* What is to go wrong: the @n-th call, with @err; or all beyond @files descriptors, or in files. */
struct fault {
	size_t		n;
	int		err;
	rlim_t		files;
	bool		full;
	rlim_t		size;		/* ... of a file, then */
};

static void live(const struct row *row, const struct fault *f)
{
	const struct rlimit few = { .rlim_cur = f->files, .rlim_max = 1024 };
	const struct rlimit enough = { .rlim_cur = 1024, .rlim_max = 1024 };
	char *argv[MAX_ARGS + ARRAY_SIZE(common)];
	struct t_process before;
	int argc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		argv[argc++] = strdup(common[i]);
	for (const char *const *arg = row->args; *arg; arg++)
		argv[argc++] = strdup(*arg);
	argv[argc] = NULL;
	fake = fake_create(&fake_server);
	fake_script(fake, 0, guest, ARRAY_SIZE(guest), 1);
	alarm(LIFE_S);
	t_process_save(&before);
	if (f->files)
		setrlimit(RLIMIT_NOFILE, &few);
	if (f->full)
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ f->size, RLIM_INFINITY });
	if (row == rows)
		faults_skip(librarys + NR_ALLOCATE, ARRAY_SIZE(librarys) - NR_ALLOCATE);
	else
		faults_skip(librarys, ARRAY_SIZE(librarys));
	faults_arm(f->n, f->err);
	shared->status = command_run.run(argc, argv);
	if (faults_failed())
		snprintf(shared->failed, sizeof(shared->failed), "%s", faults_failed());
	shared->err = faults_errno();
	faults_disarm();
	setrlimit(RLIMIT_NOFILE, &enough);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	look_around(&before, shared);
	fake_destroy(fake);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	exit(0);
}

static void redirect(int err_fd, bool passt, int sock)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, 0);
	dup2(null, 1);
	dup2(err_fd, 2);
	if (passt)
		dup2(sock, PASST_FD);
	close(null);
	close(err_fd);
	if (sock >= 0)
		close(sock);
}

static bool is_in(const char *what, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(names[i], what))
			return true;
	return false;
}

/* What cannot be seen to be ours is not removed. */
static bool may_be_left(const char *failed)
{
	static const char *const names[] = {
		"fstat", "lstat", "flock", "flock without waiting", "open of a directory",
	};

	return is_in(failed, names, ARRAY_SIZE(names));
}

/* The names of terminals are said whatever happens then. */
static void without_news(const char *text, char *to)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		len += text[len] == '\n';
		if (!memmem(text, len, ": info: ", 8))
			to = mempcpy(to, text, len);
		text += len;
	}
	*to = '\0';
}

static struct result run(const struct row *row, const struct fault *f)
{
	int pair[2] = { -1, -1 };
	struct result r;
	const char *file;
	char where[100];
	int fds[2];
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (row->passt)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		redirect(fds[1], row->passt, pair[0]);
		close(fds[0]);
		live(row, f);
	}
	close(fds[1]);
	/* Its end is that of all that it has started. */
	memset(r.text, 0, sizeof(r.text));
	t_read(fds[0], r.text, sizeof(r.text) - 1);
	close(fds[0]);
	if (row->passt) {
		close(pair[0]);
		close(pair[1]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	without_news(r.text, shared->text);
	r = *shared;
	if (status)
		fail_msg("%s: call %zu, %s: it ends with 0x%x: %s", row->what, f->n, r.failed, status,
			 r.text);
	file = t_new_file(!r.status, where, sizeof(where));
	if (!r.left[0] && file && !may_be_left(r.failed))
		snprintf(r.left, sizeof(r.left), "%s", file);
	return r;
}

/* ---- Sweeps -------------------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
	size_t nr = 0;

	for (; *text; text++)
		nr += *text == '\n';
	return nr;
}

/* The program does without, or it happens at an end that nothing can be done about. */
static bool may_go_unnoticed(const char *what)
{
	static const char *const names[] = {
		"timerfd_settime", "fcntl of flags", "sched_setaffinity", "sched_getaffinity",
		"inotify_init1", "socket", "bind",	/* hearing of CPUs */
		"flock", "flock to unlock",	/* of a directory, as long as nobody races */
		"open of a directory",
		"open of stdout", "fstat of stdio",	/* it is as it is, then */
		"stat", "fopen",	/* whoever opens it will see; the user's name */
		"write",		/* the guest's output is dropped */
		"send", "recvmsg",	/* who is told to end has its end of file as well */
	};

	return is_in(what, names, ARRAY_SIZE(names));
}

/* It is told as what it means. */
static bool may_be_translated(const char *failed)
{
	static const char *const names[] = { "TUNGETIFF", "send", "recvmsg" };

	return is_in(failed, names, ARRAY_SIZE(names));
}

/* One line, that says it, and a status of vmm-run(1) that is a failure's. */
static const char *is_told_badly(const struct result *r)
{
	static const char prefix[] = "vmm: Fatal: ";

	if (r->status < STATUS_ERROR || r->status > STATUS_HOST)
		return "its status is none of those";
	if (count_lines(r->text) != 1)
		return "it is not one line";
	if (strncmp(r->text, prefix, sizeof(prefix) - 1))
		return "it is no message of an end";
	return NULL;
}

static bool names_error(const struct result *r)
{
	return strstr(r->text, strerror(r->err)) || (r->err == ENOMEM && strstr(r->text, "memory"));
}

/* All that is wrong is printed, and then it is one failure. */
static void blame(u32 *nr_bad, const struct row *row, const struct fault *f, const struct result *r,
		  const char *why)
{
	print_message("%s: %s %llu%s%s: %s: status %d: %s\n", row->what,
		      f->files ? "descriptors" : "call",
		      (unsigned long long)(f->files ? f->files : f->n), r->failed[0] ? ", " : "",
		      r->failed, why, r->status, r->text);
	(*nr_bad)++;
}

static void sweep(const struct row *row, u32 *nr_bad)
{
	struct fault f = { .n = 0, .err = ODD_ERRNO };
	struct result r = run(row, &f);

	if (r.status || r.text[0] || r.left[0])
		fail_msg("%s: without a fault: status %d, %s %s", row->what, r.status, r.left, r.text);
	for (f.n = 1; f.n < 3000; f.n += STRIDE) {
		const char *why = NULL;

		r = run(row, &f);
		if (r.left[0])
			why = r.left;
		else if (!r.failed[0])
			break;
		else if (r.status)
			why = is_told_badly(&r);
		else if (!r.text[0] && !may_go_unnoticed(r.failed) && !may_be_left(r.failed))
			why = "nobody notices";
		if (!why && r.status && !names_error(&r) && !may_be_translated(r.failed))
			why = "it is told as another error";
		if (why)
			blame(nr_bad, row, &f, &r, why);
	}
	assert_in_range(f.n, 20, 2999);
}

static void test_each_call_fails(void **state)
{
	u32 nr_bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		sweep(&rows[i], &nr_bad);
	assert_int_equal(nr_bad, 0);
}

static void test_few_descriptors(void **state)
{
	u32 nr_bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fault f = { .files = 4 };
		struct result r;

		do {
			const char *why;

			r = run(&rows[i], &f);
			why = r.left[0] ? r.left : r.status ? is_told_badly(&r) : NULL;
			if (why)
				blame(&nr_bad, &rows[i], &f, &r, why);
			f.files += FILES_STRIDE;
		} while (r.status && f.files < 200);
		assert_in_range(f.files, 20, 199);
	}
	assert_int_equal(nr_bad, 0);
}

/* The guest's output is dropped, which is told, and it goes on. */
static void test_full_disk_of_a_console(void **state)
{
	static const struct row devices[] = {
		{ .what = "full", .args = { "-n", "mode=none", "--tty", "0,file=/dev/full" } },
		{ .what = "too large", .args = { "-n", "mode=none", "--tty", "0,file=out" } },
	};
	static const char *const whys[] = { "No space left on device", "File too large" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		struct fault f = { .full = i, .size = 65536 };
		struct result r;

		if (f.full)
			t_put("out", f.size);
		r = run(&devices[i], &f);
		assert_string_equal(r.left, "");
		if (r.status != STATUS_OFF || count_lines(r.text) != 1 || !strstr(r.text, whys[i]) ||
		    !strstr(r.text, "dropped from now on"))
			fail_msg("%s: status %d: %s", devices[i].what, r.status, r.text);
	}
}

/* Nobody may take an empty one for that of a process. */
static void test_full_disk_of_a_pidfile(void **state)
{
	const struct row row = { .what = "full", .args = { "-n", "mode=none", "--pidfile", "pid" } };
	const struct fault f = { .full = true };
	struct result r = run(&row, &f);

	(void)state;
	assert_string_equal(r.left, "");
	assert_int_equal(r.status, STATUS_USAGE);
	assert_string_equal(r.text, "vmm: Fatal: --pidfile pid: File too large\n");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call_fails),
		cmocka_unit_test(test_few_descriptors),
		cmocka_unit_test(test_full_disk_of_a_console),
		cmocka_unit_test(test_full_disk_of_a_pidfile),
	};
	const char *name = strrchr(argv[0], '/');

	name = name ? name + 1 : argv[0];
	if (strcmp(name, "test_run_faults"))
		return pose(name, argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, t_setup, t_teardown);
}
