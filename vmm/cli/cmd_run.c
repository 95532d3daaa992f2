/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_run.c - vmm run
 *
 * The main thread waits in one poll() for signals, for what is typed, for what
 * the VM has to say, and for who asks on the control socket.  The VM's threads are
 * the library's.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/answer.h"
#include "vmm/cli/command.h"
#include "vmm/cli/confine.h"
#include "vmm/cli/control.h"
#include "vmm/cli/drop.h"
#include "vmm/cli/expect.h"
#include "vmm/cli/guest.h"
#include "vmm/cli/options.h"
#include "vmm/cli/ready.h"
#include "vmm/cli/report.h"
#include "vmm/cli/rootdir.h"
#include "vmm/cli/signals.h"
#include "vmm/cli/status.h"
#include "vmm/cli/stdcons.h"
#include "vmm/cli/tee.h"
#include "vmm/cli/terminal.h"

#define HELP_COLUMN	30

struct run {
	struct guest	guest;
	struct stdcons	cons;
	int		signal_fd;
	struct control	control;
	struct ready	ready;
	struct answerer	answerer;	/* on the control socket; .asked is for all */
	struct vmm_error no_control;	/* why there is none, until that is told */
	struct tee	tee;		/* under --expect */
	struct expect	expect;
	int64_t		deadline;	/* answer_now_ms(), 0: none */
	int		verdict;	/* the status by --expect or --timeout; -1: none yet */
};

/* ---- Help ---------------------------------------------------------------- */

static void print_option(const struct option_text *text)
{
	const char *line = text->help;
	int column;

	if (text->letter)
		column = printf("  -%c, --%s", text->letter, text->name);
	else
		column = printf("      --%s", text->name);
	if (text->arg)
		column += printf(text->may ? "[=%s]" : " %s", text->arg);
	if (column >= HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	for (;;) {
		int len = (int)strcspn(line, "\n");

		printf("%*s%.*s\n", HELP_COLUMN - column, "", len, line);
		if (!line[len])
			return;
		line += len + 1;
		column = 0;
	}
}

static void run_help(void)
{
	struct option_text text;

	fputs("usage: vmm run -k KERNEL [-i INITRD] [-p PARAMS] [-c CPUS] [-m SIZE] [OPTION]...\n"
	      "\n"
	      "Boot an arm64 guest, with its console on the terminal.\n", stdout);
	for (size_t i = 0; options_text(i, &text); i++) {
		if (text.heading)
			printf("\n%s:\n", text.heading);
		else
			print_option(&text);
	}
	fputs("\n"
	      "Numbers may be decimal, 0x hexadecimal or 0 octal.\n"
	      "\n"
	      "Keys:\n"
	      "  Ctrl-A x   stop the guest\n"
	      "  Ctrl-A h   list the keys\n"
	      "  Ctrl-A a   send Ctrl-A, as does Ctrl-A Ctrl-A\n"
	      "\n"
	      "A first SIGTERM, SIGINT or SIGHUP presses the guest's power button, a second\n"
	      "one stops it.\n"
	      "\n"
	      "Exit status:\n"
	      "   0   the guest powered itself off\n"
	      "   1   internal error, or a call of the host failed\n"
	      "   2   wrong usage\n"
	      "   3   unusable kernel, initrd, firmware, disk or flash\n"
	      "   4   the host cannot do what was asked for\n"
	      "  10   the guest asked for a reboot, under --no-reboot\n"
	      "  11   the guest reported a panic\n"
	      "  12   stopped by a signal or by Ctrl-A x\n"
	      "  13   stopped by --timeout\n"
	      "  14   it ended before it printed what --expect waits for\n", stdout);
}

/* ---- What happens while the guest runs ----------------------------------- */

static void pull_plug(struct run *run)
{
	run->answerer.reset = false;
	vmm_stop(run->guest.vm);
}

/* SIGTERM and its like: once politely. */
static void ask_to_stop(struct run *run, int sig)
{
	const struct report *report = &run->guest.report;
	int ret;

	if (run->answerer.asked) {
		report_log(report, VMM_LOG_INFO, "SIG%s: stopping the guest",
			   sigabbrev_np(sig));
		pull_plug(run);
		return;
	}
	ret = answer_power_off(&run->answerer);
	if (ret) {
		report_log(report, VMM_LOG_WARN,
			   "SIG%s: stopping the guest, it cannot be asked to: %s",
			   sigabbrev_np(sig), strerror(-ret));
		return;
	}
	report_log(report, VMM_LOG_INFO,
		   "SIG%s: the guest is asked to power off, a second signal stops it",
		   sigabbrev_np(sig));
}

/* A serial port has no way to tell it. */
static void tell_size(struct run *run)
{
	unsigned int cols;
	unsigned int rows;

	/* Of no interest to a guest that has stopped. */
	if (options_stdio_hvc(run->guest.opts) && terminal_size(&cols, &rows) &&
	    vmm_hvc_resize(run->guest.vm, cols, rows))
		return;
}

static void take_signals(struct run *run)
{
	int sig;

	while ((sig = signals_next(run->signal_fd))) {
		switch (sig) {
		case SIGTSTP:
			stdcons_leave(&run->cons);
			signals_suspend();
			break;
		case SIGCONT:
			stdcons_enter(&run->cons);
			tell_size(run);
			break;
		case SIGWINCH:
			tell_size(run);
			break;
		default:
			ask_to_stop(run, sig);
		}
	}
}

static void take_input(struct run *run)
{
	static const char keys[] =
		"\n"
		"Ctrl-A x   stop the guest\n"
		"Ctrl-A h   list the keys\n"
		"Ctrl-A a   send Ctrl-A, as does Ctrl-A Ctrl-A\n";
	unsigned int asked = stdcons_pump(&run->cons);

	if ((asked & KEYS_HELP) && write(STDERR_FILENO, keys, sizeof(keys) - 1) < 0)
		return;		/* the keys work untold */
	if (asked & KEYS_QUIT)
		pull_plug(run);
}

/* The first verdict counts, and ends the guest. */
static void judge(struct run *run, int verdict)
{
	if (run->verdict >= 0)
		return;
	run->verdict = verdict;
	pull_plug(run);
}

static void take_output(struct run *run)
{
	size_t got = tee_pump(&run->tee);

	if (!got)
		return;
	expect_feed(&run->expect, run->tee.buf, got);
	if (!expect_awaited(&run->expect)) {
		judge(run, STATUS_OFF);
	} else if (run->expect.panic && run->verdict < 0) {
		report_fatal("the guest panicked, before '%s'", expect_awaited(&run->expect));
		judge(run, STATUS_CRASH);
	}
}

/* What is on its way when the guest has ended. */
static void drain_output(struct run *run)
{
	struct pollfd p = tee_poll(&run->tee);

	while (p.fd >= 0 && poll(&p, 1, p.events & POLLOUT ? -1 : 0) > 0) {
		take_output(run);
		p = tee_poll(&run->tee);
	}
}

/* Milliseconds until the deadline, for poll(). */
static int time_left(const struct run *run)
{
	int64_t left;

	if (!run->deadline || run->verdict >= 0)
		return -1;
	left = run->deadline - (int64_t)answer_now_ms();
	if (left > INT_MAX)
		return INT_MAX;
	return left > 0 ? (int)left : 0;
}

/* ... or until the guest has something to be done. */
static int time_to_wait(const struct run *run)
{
	int left = time_left(run);
	int other = guest_timeout(&run->guest);

	return left < 0 || (other >= 0 && other < left) ? other : left;
}

static void look_at_clock(struct run *run)
{
	const char *awaited = expect_awaited(&run->expect);

	if (time_left(run))
		return;
	if (awaited)
		report_fatal("--timeout %u: the guest has not printed '%s'",
			     run->guest.opts->timeout, awaited);
	else
		report_fatal("--timeout %u: the guest is stopped", run->guest.opts->timeout);
	judge(run, STATUS_TIMEOUT);
}

static void tell(struct run *run, const char *event, const struct vmm_event *ev)
{
	static const char *const reasons[] = {
		[VMM_STOP_GUEST_OFF]	= "off",
		[VMM_STOP_GUEST_RESET]	= "reset",
		[VMM_STOP_GUEST_CRASH]	= "crash",
		[VMM_STOP_HOST]		= "host",
		[VMM_STOP_ERROR]	= "error",
	};
	struct news news = NEWS(event);

	if (ev->type == VMM_EVENT_STOPPED)
		news.reason = reasons[ev->reason];
	else if (ev->type != VMM_EVENT_BROKEN && ev->type != VMM_EVENT_UNLINKED)
		news.vcpu = ev->index;
	if (ev->msg[0])
		news.message = ev->msg;
	answer_tell(&run->answerer, &news);
}

static void tell_returned(struct run *run)
{
	const struct vhost *one;
	char msg[VMM_MSG_SIZE];

	while ((one = vhosts_returned(&run->guest.vhosts))) {
		struct news news = NEWS("served");

		snprintf(msg, sizeof(msg), "%s %s: another process serves the device", one->option,
			 one->path);
		news.message = msg;
		answer_tell(&run->answerer, &news);
	}
}

/* Why it stopped, as a status. */
static int stopped(struct run *run, const struct vmm_event *ev)
{
	switch (ev->reason) {
	case VMM_STOP_GUEST_OFF:
		return STATUS_OFF;
	case VMM_STOP_GUEST_RESET:
		return STATUS_REBOOT;
	case VMM_STOP_GUEST_CRASH:
		report_log(&run->guest.report, VMM_LOG_ERROR, "the guest crashed%s%s",
			   ev->msg[0] ? ": " : "", ev->msg);
		return STATUS_CRASH;
	case VMM_STOP_HOST:
		return run->answerer.reset ? STATUS_REBOOT : STATUS_STOPPED;
	default:
		report_fatal("%s", ev->msg[0] ? ev->msg : strerror(-ev->error));
		return STATUS_ERROR;
	}
}

/* A vCPU waits for a limit to be raised; the status to end with if it cannot be. */
static int meet_limit(struct run *run, const struct vmm_event *ev)
{
	if (guest_raise_limit(&run->guest) && !vmm_retry(run->guest.vm))
		return -1;
	report_fatal("%s", ev->msg);
	return STATUS_HOST;
}

/* The status the VM ended with, or -1 while it runs. */
static int take_events(struct run *run)
{
	struct vmm_event ev = VMM_EVENT_INIT;

	while (vmm_next_event(run->guest.vm, &ev) > 0) {
		switch (ev.type) {
		case VMM_EVENT_STOPPED:
			tell(run, "stopped", &ev);
			return stopped(run, &ev);
		case VMM_EVENT_LIMIT: {
			int status = meet_limit(run, &ev);

			tell(run, "limit", &ev);
			if (status >= 0)
				return status;
			break;
		}
		case VMM_EVENT_STALLED:
			memcpy(run->answerer.stall, ev.msg, sizeof(ev.msg));
			/* fall through */
		case VMM_EVENT_UNSTALLED:
			tell(run, ev.type == VMM_EVENT_STALLED ? "stalled" : "unstalled", &ev);
			report_log(&run->guest.report, VMM_LOG_WARN, "%s", ev.msg);
			break;
		case VMM_EVENT_UNLINKED:
			tell(run, "unlinked", &ev);
			report_log(&run->guest.report, VMM_LOG_INFO, "%s", ev.msg);
			break;
		default:
			/* A broken device: the library has logged which, and why. */
			tell(run, "broken", &ev);
			break;
		}
	}
	return -1;
}

static int watch(struct run *run)
{
	struct pollfd fds[4 + GUEST_FDS + CONTROL_FDS];
	int status = -1;
	nfds_t nr;

	while (status < 0) {
		fds[0] = (struct pollfd){ .fd = vmm_event_fd(run->guest.vm), .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = run->signal_fd, .events = POLLIN };
		fds[2] = stdcons_poll(&run->cons);
		fds[3] = tee_poll(&run->tee);
		nr = 4 + guest_poll(&run->guest, fds + 4);
		if (poll(fds, nr + control_poll(&run->control, fds + nr), time_to_wait(run)) < 0) {
			if (errno == EINTR)
				continue;
			report_fatal("poll: %s", strerror(errno));
			return STATUS_ERROR;
		}
		if (fds[2].revents)
			take_input(run);
		if (fds[1].revents)
			take_signals(run);
		if (fds[3].revents)
			take_output(run);
		look_at_clock(run);
		guest_serve(&run->guest);
		tell_returned(run);
		control_serve(&run->control, fds + nr);
		if (fds[0].revents)
			status = take_events(run);
	}
	drain_output(run);
	return run->verdict >= 0 ? run->verdict : status;
}

/* ---- Boot by boot --------------------------------------------------------- */

_Static_assert(ANSWER_CONSOLES == OPTIONS_TTYS && ANSWER_HVC == OPTIONS_HVC, "row by row");

/* Others have another working directory.  What cannot be told is told of as not there. */
static char *path_for_others(const char *path)
{
	char *cwd = *path == '/' ? strdup("") : getcwd(NULL, 0);
	char *whole;

	if (!cwd || asprintf(&whole, "%s%s%s", cwd, *cwd ? "/" : "", path) < 0)
		whole = NULL;
	free(cwd);
	return whole;
}

static void find_consoles(struct run *run)
{
	for (int i = 0; i < OPTIONS_TTYS; i++) {
		struct answer_console *c = &run->answerer.consoles[i];
		const struct tty_option *tty = &run->guest.opts->ttys[i];

		if (tty->kind == TTY_SOCKET)
			c->path = path_for_others(tty->path);
		else if (tty->kind == TTY_PTY &&
			 asprintf(&c->path, "/dev/pts/%u", run->guest.ends[i].pty.number) < 0)
			c->path = NULL;
		c->name = tty->name;
		c->name_len = tty->name_len;
		c->kind = !c->path ? NULL : tty->kind == TTY_PTY ? "pty" : "socket";
	}
}

static void booted(struct run *run)
{
	struct answerer *who = &run->answerer;
	struct news news = NEWS("booted");

	who->vm = run->guest.vm;
	who->name = run->guest.name;
	who->cpus = run->guest.cpus;
	who->disks = run->guest.opts->nr_disks;
	who->hvc = run->guest.opts->hvc;
	who->nets = run->guest.nets.nr;
	who->first_net = who->nets ? run->guest.nets.net[0].index : 0;
	who->booted_ms = answer_now_ms();
	who->paused = who->reset = false;
	news.boots = (int64_t)++who->boots;
	answer_remind(who);
	answer_tell(who, &news);
	/* Said now, so that a start that fails has one line alone. */
	if (run->no_control.msg[0])
		report_log(&run->guest.report, VMM_LOG_WARN, "%s", run->no_control.msg);
	run->no_control.msg[0] = '\0';
	ready_tell(&run->ready);
}

/* Where the console writes: to who reads along, or right to stdout. */
static int build(struct run *run)
{
	int out_fd = run->tee.wr >= 0 ? run->tee.wr : run->cons.out_fd;

	return guest_build(&run->guest, run->cons.pipe_rd, out_fd);
}

static int boot(struct run *run)
{
	int status = build(run);

	if (status)
		return status;
	stdcons_enter(&run->cons);
	tell_size(run);
	status = guest_start(&run->guest);
	if (status) {
		guest_destroy(&run->guest);
		return status;
	}
	booted(run);
	if (run->guest.opts->timeout && !run->deadline)
		run->deadline = (int64_t)answer_now_ms() + run->guest.opts->timeout * 1000ll;
	return watch(run);
}

/*
 * A guest that was asked to power off and is on its way to a reboot would come
 * back without ever having seen the request.
 */
static int boot_again_and_again(struct run *run)
{
	int status;

	for (;;) {
		status = boot(run);
		if (status != STATUS_REBOOT)
			return status;
		if (run->answerer.asked)
			return STATUS_STOPPED;
		if (run->guest.opts->no_reboot && !run->answerer.reset)
			return status;
		guest_destroy(&run->guest);
	}
}

/* With serial port 0 elsewhere, stdin and stdout may not be the guest's. */
static int open_console(struct run *run)
{
	int ret;

	if (!options_stdio_hvc(run->guest.opts) && options_stdio_port(run->guest.opts) < 0)
		return 0;
	ret = stdcons_init(&run->cons);
	if (ret == 0) {
		stdcons_open_out(&run->cons);
		return 0;
	}
	report_fatal("console: %s", strerror(-ret));
	return STATUS_ERROR;
}

static int open_signals(struct run *run)
{
	run->signal_fd = signals_open(run->cons.is_terminal);
	if (run->signal_fd >= 0)
		return 0;
	report_fatal("signalfd: %s", strerror(-run->signal_fd));
	return STATUS_ERROR;
}

/* A guest can do without; two of one name cannot be told apart. */
static int open_control(struct run *run)
{
	run->control.answer = answer_line;
	run->control.arg = &run->answerer;
	run->answerer.control = &run->control;
	run->answerer.vhosts = &run->guest.vhosts;
	if (control_open(&run->control, run->guest.name, &run->no_control) != -EEXIST)
		return 0;
	report_fatal("%s", run->no_control.msg);
	return STATUS_USAGE;
}

static int open_expect(struct run *run)
{
	const struct run_options *opts = run->guest.opts;
	struct vmm_error err;
	int ret;

	if (!opts->nr_expect)
		return 0;
	if (expect_init(&run->expect, opts->expect, opts->nr_expect, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_USAGE;
	}
	ret = tee_open(&run->tee, run->cons.out_fd);
	if (!ret)
		return 0;
	report_fatal("--expect: a pipe: %s", strerror(-ret));
	return STATUS_ERROR;
}

/* It has ended, perhaps by itself: was that all right? */
static int ended(struct run *run, int status)
{
	const char *awaited = expect_awaited(&run->expect);
	struct news news = NEWS("ended");

	if (awaited && (status == STATUS_OFF || status == STATUS_REBOOT)) {
		report_fatal("the guest ended, and has not printed '%s'", awaited);
		status = STATUS_EARLY;
	}
	news.status = status;
	answer_tell(&run->answerer, &news);
	return status;
}

static int open_ready(struct run *run)
{
	const struct run_options *opts = run->guest.opts;
	struct vmm_error err;
	int ret = ready_begin(&run->ready, opts->ready_fd ? opts->ready_fd : -1, opts->pidfile, &err);

	if (!ret)
		return 0;
	report_fatal("%s", err.msg);
	return STATUS_USAGE;
}

/* All is open, and helpers have been started, who stay who we were or see to it by themselves. */
static int drop(const struct drop *who)
{
	struct vmm_error err;

	if (!drop_enter(who, &err))
		return 0;
	report_fatal("%s", err.msg);
	return STATUS_HOST;
}

static int run_guest(const struct run_options *opts, const struct drop *who)
{
	struct run run;
	int status;

	run.signal_fd = -1;
	run.deadline = 0;
	run.verdict = -1;
	run.expect.nr = 0;
	run.expect.found = 0;
	tee_clear(&run.tee);
	memset(&run.answerer, 0, sizeof(run.answerer));
	run.no_control.msg[0] = '\0';
	control_clear(&run.control);
	ready_clear(&run.ready);
	stdcons_clear(&run.cons);
	status = guest_open(&run.guest, opts);
	if (status == 0)
		find_consoles(&run);
	if (status == 0)
		status = open_console(&run);
	if (status == 0)
		status = open_expect(&run);
	if (status == 0)
		status = open_signals(&run);
	if (status == 0)
		status = open_control(&run);
	if (status == 0)
		status = open_ready(&run);
	if (status == 0)
		status = drop(who);
	if (status == 0)
		status = confine(&run.guest);
	if (status == 0)
		status = ended(&run, boot_again_and_again(&run));
	ready_end(&run.ready);
	control_close(&run.control);
	for (int i = 0; i < OPTIONS_TTYS; i++)
		free(run.answerer.consoles[i].path);
	guest_close(&run.guest);
	tee_close(&run.tee);
	expect_fini(&run.expect);
	stdcons_close_out(&run.cons);
	stdcons_fini(&run.cons);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	return status;
}

static int run_run(int argc, char **argv)
{
	struct run_options opts;
	struct vmm_error err;
	struct drop who;
	int status;

	if (options_parse(&opts, argc, argv, &err)) {
		report_fatal("%s", err.msg);
		return STATUS_USAGE;
	}
	report_in_json(opts.log_json);
	if (opts.help) {
		run_help();
		status = command_help_done();
	} else if (rootdir_take(&opts, &err) || drop_find(&who, opts.chroot, opts.user, NULL, &err)) {
		report_fatal("%s", err.msg);
		status = STATUS_USAGE;
	} else {
		status = run_guest(&opts, &who);
	}
	options_fini(&opts);
	return status;
}

const struct command command_run = {
	.name = "run",
	.summary = "boot a guest, with its console on the terminal",
	.run = run_run,
	.help = run_help,
};
