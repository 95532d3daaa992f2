/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_vhosts.c - vmm/cli/vhosts.c: who serves a device goes, and is looked for
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/backend.h"
#include "tests/unit/t.h"
#include "vmm/cli/helper.h"
#include "vmm/cli/report.h"
#include "vmm/cli/vhosts.h"
#include "vmm/fd.h"

static const struct report quiet = { .level = -1 };

struct t_rig {
	struct sockaddr_un	addr;
	int			listener;
	char			args[2][200];
	struct run_options	opts;
	struct vhosts		v;
	struct helper		h;
	struct fake_kvm		*fake;
	struct vmm		*vm;		/* which does not run, but after t_run() */
	struct backend		b;		/* ... behind the first connection */
	struct vmm_error	err;
};

static void t_listen(struct t_rig *rig)
{
	rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(rig->listener, (struct sockaddr *)&rig->addr, sizeof(rig->addr)), 0);
	assert_int_equal(listen(rig->listener, 8), 0);
}

static void t_be_away(struct t_rig *rig)
{
	close(rig->listener);
	unlink(rig->addr.sun_path);
}

static int t_accept(struct t_rig *rig)
{
	return accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
}

/* One device with those words behind its socket, and one that is not connected anew. */
static void t_open(struct t_rig *rig, const char *words)
{
	memset(rig, 0, sizeof(*rig));
	rig->addr.sun_family = AF_UNIX;
	snprintf(rig->addr.sun_path, sizeof(rig->addr.sun_path), "/tmp/t-vhosts.%d", (int)getpid());
	t_listen(rig);
	for (int i = 0; i < 2; i++) {
		snprintf(rig->args[i], sizeof(rig->args[i]), "type=blk,socket=%s%s", rig->addr.sun_path,
			 i ? "" : words);
		rig->opts.vhosts[i] = rig->args[i];
	}
	rig->opts.nr_vhosts = 2;
	rig->fake = fake_create(&fake_server);
	rig->vm = t_vm(rig->fake, NULL);
	vhosts_clear(&rig->v);
	assert_int_equal(vhosts_open(&rig->v, &rig->opts, &rig->err), 0);
	helper_clear(&rig->h);
	assert_int_equal(helper_open(&rig->h, NULL, 0, &rig->v), 0);
}

static void t_close(struct t_rig *rig)
{
	vhosts_close(&rig->v);
	helper_close(&rig->h);
	vmm_destroy(rig->vm);
	t_fake_done(rig->fake);
	t_be_away(rig);
}

static void t_serve(struct t_rig *rig)
{
	vhosts_serve(&rig->v, rig->vm, &rig->h, &quiet);
}

static bool t_hears(struct t_rig *rig)
{
	struct pollfd fds[VHOSTS_MAX];

	return poll(fds, vhosts_poll(&rig->v, fds), 0) > 0;
}

static void test_one_that_has_gone_is_looked_for(void **state)
{
	struct t_process before;
	struct t_rig rig;
	int left;
	int s[2];

	(void)state;
	t_process_save(&before);
	t_open(&rig, ",reconnect=1");
	assert_true(vhosts_reconnect(&rig.v));
	s[0] = t_accept(&rig);
	s[1] = t_accept(&rig);
	assert_true(s[0] >= 0 && s[1] >= 0);
	assert_int_equal(vhosts_timeout(&rig.v), -1);
	/* What it says is not for us. */
	assert_int_equal(send(s[0], "x", 1, 0), 1);
	assert_false(t_hears(&rig));
	t_serve(&rig);
	assert_int_equal(t_accept(&rig), -1);
	close(s[1]);
	assert_false(t_hears(&rig));
	close(s[0]);
	assert_true(t_hears(&rig));

	/* Nobody is there: at once, then after a second. */
	t_be_away(&rig);
	t_serve(&rig);
	left = vhosts_timeout(&rig.v);
	assert_in_range(left, 1, 1000);
	assert_false(t_hears(&rig));
	t_listen(&rig);
	t_serve(&rig);
	assert_int_equal(t_accept(&rig), -1);
	assert_true(vhosts_timeout(&rig.v) <= left);
	t_until(!vhosts_timeout(&rig.v));
	t_serve(&rig);
	s[0] = t_accept(&rig);
	assert_true(s[0] >= 0);
	/* The VM does not run and has not taken it: so it is let go, and there is a next time. */
	assert_int_equal(recv(s[0], &left, 1, 0), 0);
	close(s[0]);
	assert_in_range(vhosts_timeout(&rig.v), 1, 1000);
	t_close(&rig);
	t_process_check(&before);
}

/* The socket of a connection that is to come, which all that is asked was answered to. */
static void *t_greeter(void *arg)
{
	struct t_rig *rig = arg;
	struct pollfd p = { .fd = rig->listener, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	rig->b.fd = t_accept(rig);
	assert_true(rig->b.fd >= 0);
	backend_greet(&rig->b);
	return NULL;
}

static void t_serve_greeted(struct t_rig *rig)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, t_greeter, rig), 0);
	t_until(vhosts_timeout(&rig->v) <= 0);
	t_serve(rig);
	pthread_join(thread, NULL);
}

/* A VM that runs, with a card behind the first connection. */
static void t_run(struct t_rig *rig)
{
	static const struct fake_step step = { .kind = FAKE_BLOCK };
	struct vmm_net_config net = VMM_NET_CONFIG_INIT;
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *vm;

	backend_open(&rig->b);
	fd_close(&rig->b.front);
	fd_close(&rig->b.fd);
	rig->b.fd = t_accept(rig);
	backend_greet(&rig->b);
	fake_script(fake, 0, &step, 1, 0);
	cfg.flags = VMM_F_RAM_FD;
	cfg.ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(cfg.ram_fd, (off_t)T_RAM), 0);
	vm = t_vm(fake, &cfg);
	close(cfg.ram_fd);
	net.flags = VMM_NET_F_VHOST_USER | VMM_NET_F_WAIT;
	net.queues = 1;
	net.fd = rig->v.list[0].fd;
	rig->v.list[0].device = vmm_add_net(vm, &net, &rig->err);
	assert_int_equal(rig->v.list[0].device, 0);
	t_start(vm);
	vmm_destroy(rig->vm);
	t_fake_done(rig->fake);
	rig->vm = vm;
	rig->fake = fake;
}

static void test_another_is_told_of_once(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, ",reconnect=1");
	t_run(&rig);
	assert_true(vhost_is_there(&rig.v.list[0]));
	assert_null(vhosts_returned(&rig.v));
	fd_close(&rig.b.fd);
	assert_false(vhost_is_there(&rig.v.list[0]));
	/* One is there already, but is not the first in the queue. */
	close(t_accept(&rig));
	t_serve_greeted(&rig);
	assert_true(vhost_is_there(&rig.v.list[0]));
	assert_ptr_equal(vhosts_returned(&rig.v), &rig.v.list[0]);
	assert_null(vhosts_returned(&rig.v));
	assert_int_equal(vhosts_timeout(&rig.v), -1);
	backend_close(&rig.b);
	t_close(&rig);
}

/* It takes a second of everybody's time: so seldom. */
static void test_one_that_is_silent_is_asked_seldom(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, ",reconnect=1");
	t_run(&rig);
	fd_close(&rig.b.fd);
	t_serve(&rig);
	assert_null(vhosts_returned(&rig.v));
	assert_false(vhost_is_there(&rig.v.list[0]));
	assert_non_null(strstr(rig.v.list[0].said, "GET_FEATURES"));
	assert_in_range(vhosts_timeout(&rig.v), 5000, 10000);
	/* For good, if it answers then. */
	close(t_accept(&rig));
	close(t_accept(&rig));
	rig.v.list[0].next_ms = 0;
	t_serve_greeted(&rig);
	assert_ptr_equal(vhosts_returned(&rig.v), &rig.v.list[0]);
	backend_close(&rig.b);
	t_close(&rig);
}

static void test_one_without_reconnect_is_not(void **state)
{
	struct t_rig rig;
	int s[2];

	(void)state;
	t_open(&rig, "");
	assert_false(vhosts_reconnect(&rig.v));
	s[0] = t_accept(&rig);
	s[1] = t_accept(&rig);
	close(s[0]);
	close(s[1]);
	assert_false(t_hears(&rig));
	t_serve(&rig);
	assert_int_equal(vhosts_timeout(&rig.v), -1);
	assert_int_equal(t_accept(&rig), -1);
	t_close(&rig);
}

static void test_the_helper_keeps_no_connection(void **state)
{
	struct t_rig rig;
	char byte;
	int s;

	(void)state;
	t_open(&rig, ",reconnect=3600");
	s = t_accept(&rig);
	vhosts_close(&rig.v);
	assert_int_equal(recv(s, &byte, 1, 0), 0);
	close(s);
	t_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_has_gone_is_looked_for),
		cmocka_unit_test(test_another_is_told_of_once),
		cmocka_unit_test(test_one_that_is_silent_is_asked_seldom),
		cmocka_unit_test(test_one_without_reconnect_is_not),
		cmocka_unit_test(test_the_helper_keeps_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
