/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_nets.c - vmm/cli/nets.c, netkeep.c, netopt.c, passt.c and spawn.c, with a passt of our own
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/nets.h"
#include "vmm/cli/spawn.h"

/* Writes down its arguments and whether descriptor 3 is a socket, then does as told. */
static void t_install(const char *does)
{
	FILE *f = fopen("passt", "we");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho \"$@\" >args.new\n"
		"readlink /proc/$$/fd/3 >fd3\necho $$ >pid\nmv args.new args\n%s\n", does);
	fclose(f);
	assert_int_equal(chmod("passt", 0755), 0);
	unlink("args");
}

static off_t t_size(const char *name)
{
	struct stat st;

	return stat(name, &st) ? 0 : st.st_size;
}

/* What it was started with, and its process. */
static pid_t t_args(char *buf, size_t size)
{
	char fd3[10];
	int pid = 0;
	FILE *f;

	t_until(!access("args", R_OK));
	f = fopen("args", "re");
	assert_non_null(fgets(buf, (int)size, f));
	fclose(f);
	f = fopen("fd3", "re");
	assert_string_equal(fgets(fd3, 8, f), "socket:");
	fclose(f);
	f = fopen("pid", "re");
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

struct t_nets {
	struct run_options	opts;
	struct nets		nets;
	struct vhosts		vhosts;
	struct fake_kvm		*fake;
	struct vmm		*vm;
	struct vmm_error	err;
	struct report		report;
};

static void t_open(struct t_nets *t, const char *arg)
{
	memset(t, 0, sizeof(*t));
	t->opts.nets[t->opts.nr_nets++] = arg;
	t->report.level = -1;		/* says nothing */
	t->fake = fake_create(&fake_server);
	t->vm = t_vm(t->fake, NULL);
	vhosts_clear(&t->vhosts);
	assert_int_equal(nets_open(&t->nets, &t->opts, &t->vhosts, &t->err), 0);
}

static void t_close(struct t_nets *t)
{
	vmm_destroy(t->vm);
	nets_close(&t->nets);
	vhosts_close(&t->vhosts);
	t_fake_done(t->fake);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_starts_passt_and_ends_it(void **state)
{
	struct t_nets t;
	char buf[200];
	pid_t pid;

	(void)state;
	t_install("exec sleep 1000");
	t_open(&t, "mode=user,mtu=9000,guest_ip=10.0.0.2,host_ip=10.0.0.1");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	pid = t_args(buf, sizeof(buf));
	assert_string_equal(buf, "--foreground --quiet --fd 3 --mtu 9000 --address 10.0.0.2 "
				 "--gateway 10.0.0.1\n");
	t_close(&t);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* Each boot has its own. */
static void test_starts_one_a_boot(void **state)
{
	struct t_nets t;
	char buf[200];
	pid_t first;
	pid_t next;

	(void)state;
	t_install("exec sleep 1000");
	t_open(&t, "mode=user");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	first = t_args(buf, sizeof(buf));
	/* Of the boot before there is news, that is of no use. */
	kill(first, SIGKILL);
	unlink("args");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	next = t_args(buf, sizeof(buf));
	assert_int_not_equal(next, first);
	t_close(&t);
}

static void test_starts_passt_again(void **state)
{
	struct pollfd p = { .events = POLLIN };
	struct t_nets t;
	char buf[200];
	pid_t first;

	(void)state;
	t_install("exec sleep 1000");
	t_open(&t, "mode=user");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	t_start(t.vm);
	first = t_args(buf, sizeof(buf));
	assert_string_equal(buf, "--foreground --quiet --fd 3 --mtu 65520\n");
	p.fd = nets_fd(&t.nets);
	assert_int_equal(poll(&p, 1, 0), 0);
	unlink("args");
	kill(first, SIGKILL);
	assert_int_equal(poll(&p, 1, T_TIMEOUT_MS), 1);
	nets_serve(&t.nets, t.vm, &t.report);
	assert_int_equal(poll(&p, 1, T_TIMEOUT_MS), 1);
	nets_serve(&t.nets, t.vm, &t.report);
	assert_int_not_equal(t_args(buf, sizeof(buf)), first);
	t_close(&t);
}

/* Ever later: three starts take 100 and 200 milliseconds. */
static void test_passt_that_ends_at_once(void **state)
{
	struct t_nets t;
	u64 begin = t_now_ms();

	(void)state;
	t_install("echo x >>ends\nexit 3");
	t_open(&t, "mode=user");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	t_start(t.vm);
	t_until((nets_serve(&t.nets, t.vm, &t.report), t_size("ends") >= 6));
	assert_true(t_now_ms() - begin >= 300);
	t_close(&t);
	unlink("ends");
}

/* Whoever ends us: nothing of ours stays. */
static void test_keeper_goes(void **state)
{
	struct t_nets t;
	char buf[200];
	pid_t pid;

	(void)state;
	t_install("exec sleep 1000");
	t_open(&t, "mode=user");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	pid = t_args(buf, sizeof(buf));
	t_start(t.vm);
	kill(t.nets.keep.pid, SIGKILL);
	t_until((nets_serve(&t.nets, t.vm, &t.report), nets_fd(&t.nets) == -1));
	kill(pid, SIGKILL);
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), -EPIPE);
	t_close(&t);
}

static void test_passt_is_not_there(void **state)
{
	struct t_nets t;

	(void)state;
	unlink("passt");
	t_open(&t, "mode=user");
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), -ENOTSUP);
	assert_non_null(strstr(t.err.msg, "passt cannot be started: No such file or directory"));
	t_close(&t);
}

static void test_takes_a_socket(void **state)
{
	char arg[40];
	int fds[2];
	struct t_nets t;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	snprintf(arg, sizeof(arg), "mode=user,fd=%d", fds[0]);
	t_open(&t, arg);
	close(fds[0]);
	/* For one boot after another, and nobody is started. */
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	assert_int_equal(nets_fd(&t.nets), -1);
	t_close(&t);
	close(fds[1]);
}

static void test_no_card(void **state)
{
	struct t_nets t;

	(void)state;
	t_open(&t, "mode=none");
	assert_int_equal(t.nets.nr, 0);
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	t_close(&t);
}

static void test_options_are_taken_apart(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0xab, 0x0f };
	struct vmm_error err;
	struct netopt opt;

	(void)state;
	assert_int_equal(netopt_parse(&opt, "tapif=t0,script=/a/b,downscript=c,guest_mac=02:0:0:00:aB:f,"
				      "host_ip=1.2.3.4,vhost=0,mq=1,trans=mmio", &err), 0);
	assert_int_equal(opt.mode, NETOPT_TAP);
	assert_string_equal(opt.tapif, "t0");
	assert_string_equal(opt.script, "/a/b");
	assert_string_equal(opt.downscript, "c");
	assert_string_equal(opt.host_ip, "1.2.3.4");
	assert_memory_equal(opt.mac, mac, 6);
	assert_false(opt.has_fd);
	netopt_fini(&opt);
	assert_int_equal(netopt_parse(&opt, "fd=0,mode=user,guest_ip=10.0.0.9", &err), 0);
	assert_true(opt.has_fd);
	assert_int_equal(opt.mode, NETOPT_USER);
	netopt_fini(&opt);
	assert_int_equal(netopt_parse(&opt, "socket=/a/b,mq=8,mtu=9000,mode=vhost-user", &err), 0);
	assert_int_equal(opt.mode, NETOPT_VHOST_USER);
	assert_string_equal(opt.socket, "/a/b");
	assert_int_equal(opt.queues, 8);
	assert_int_equal(opt.mtu, 9000);
	assert_int_equal(opt.reconnect, 0);
	netopt_fini(&opt);
	assert_int_equal(netopt_parse(&opt, "mode=vhost-user,reconnect=3600,socket=/a/b", &err), 0);
	assert_int_equal(opt.reconnect, 3600);
	netopt_fini(&opt);
}

/* It is connected once, and RAM is shared for it. */
static void test_connects_to_a_backend(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "backend" };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct t_nets t;

	(void)state;
	t_open(&t, "mode=none");
	assert_false(nets_share_ram(&t.nets));
	t_close(&t);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s, 1), 0);
	t_open(&t, "mode=vhost-user,socket=backend,mq=2");
	assert_true(nets_share_ram(&t.nets));
	assert_false(vhosts_reconnect(&t.vhosts));
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	t_close(&t);
	/* What it is to be connected to again is told, and of which device it is. */
	t_open(&t, "mode=vhost-user,socket=backend,reconnect=7");
	t.nets.vhosts->list[0].device = -1;
	assert_true(vhosts_reconnect(&t.vhosts));
	assert_int_equal(t.vhosts.list[0].reconnect, 7);
	assert_int_equal(nets_add(&t.nets, t.vm, NULL, &t.err), 0);
	assert_int_equal(t.vhosts.list[0].device, 0);
	t_close(&t);
	close(s);
	unlink("backend");
	memset(&t, 0, sizeof(t));
	vhosts_clear(&t.vhosts);
	t.opts.nets[t.opts.nr_nets++] = "mode=vhost-user,socket=backend";
	assert_int_equal(nets_open(&t.nets, &t.opts, &t.vhosts, &t.err), -ENOENT);
	assert_string_equal(t.err.msg, "--network: Unable to connect to backend: No such file or directory");
	nets_close(&t.nets);
}

static void test_spawn_waits(void **state)
{
	static const char *const good[] = { "sh", "-c", "exit 7", NULL };
	static const char *const bad[] = { "./is-not-there", NULL };

	(void)state;
	assert_int_equal(WEXITSTATUS(spawn_wait(good)), 7);
	assert_int_equal(spawn_wait(bad), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_passt_and_ends_it),
		cmocka_unit_test(test_starts_one_a_boot),
		cmocka_unit_test(test_starts_passt_again),
		cmocka_unit_test(test_passt_that_ends_at_once),
		cmocka_unit_test(test_keeper_goes),
		cmocka_unit_test(test_passt_is_not_there),
		cmocka_unit_test(test_takes_a_socket),
		cmocka_unit_test(test_no_card),
		cmocka_unit_test(test_options_are_taken_apart),
		cmocka_unit_test(test_connects_to_a_backend),
		cmocka_unit_test(test_spawn_waits),
	};
	char dir[] = "/tmp/test_nets.XXXXXX";
	char path[400];
	int ret;

	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", mkdtemp(dir));
	setenv("PATH", path, 1);
	if (chdir(dir))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	for (const char *const *f = (const char *const []){ "passt", "args", "fd3", "pid", NULL }; *f; f++)
		unlink(*f);
	return rmdir(dir) || ret;
}
