/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_options.c - vmm/cli/options.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/options.h"
#include "vmm/cli/vhostopt.h"
#include "vmm/cli/speopt.h"

#define T_MIB		(1024 * 1024ull)
#define T_MAX_ARGS	32

/* A command line behind "run", of words without blanks. */
struct t_line {
	char	text[1024];
	char	*argv[T_MAX_ARGS];
	int	argc;
};

static void t_split(struct t_line *line, const char *text)
{
	char *next;

	assert_true(snprintf(line->text, sizeof(line->text), "run %s", text) <
		    (int)sizeof(line->text));
	line->argc = 0;
	for (char *word = strtok_r(line->text, " ", &next); word;
	     word = strtok_r(NULL, " ", &next)) {
		assert_true(line->argc < T_MAX_ARGS);
		line->argv[line->argc++] = word;
	}
}

/* The strings of @opts are those of @line. */
static void t_accept(struct run_options *opts, struct t_line *line, const char *text)
{
	struct vmm_error err;

	t_split(line, text);
	if (options_parse(opts, line->argc, line->argv, &err))
		fail_msg("%s: %s", text, err.msg);
}

static void t_refuse(const char *text, int want, const char *message)
{
	struct run_options opts;
	struct vmm_error err;
	struct t_line line;
	int ret;

	t_split(&line, text);
	ret = options_parse(&opts, line.argc, line.argv, &err);
	if (ret != want || !strstr(err.msg, message))
		fail_msg("%s: %d, '%s'; wanted %d, '%s'", text, ret, err.msg, want, message);
}

struct t_refusal {
	const char	*text;
	const char	*message;	/* part of it */
};

static void t_refuse_all(const struct t_refusal *table, size_t nr, int want)
{
	for (size_t i = 0; i < nr; i++)
		t_refuse(table[i].text, want, table[i].message);
}

#define T_REFUSE_ALL(table, want) \
	t_refuse_all(table, sizeof(table) / sizeof((table)[0]), want)

/* ---- What is accepted ---------------------------------------------------- */

static void test_options_are_zero_unless_given(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	memset(&opts, 0xff, sizeof(opts));
	t_accept(&opts, &line, "-k Image");
	assert_string_equal(opts.kernel, "Image");
	assert_null(opts.initrd);
	assert_null(opts.firmware);
	assert_null(opts.params);
	assert_null(opts.name);
	assert_null(opts.dev);
	assert_null(opts.hugetlbfs);
	assert_null(opts.affinity);
	assert_null(opts.dump_dtb);
	assert_int_equal(opts.cpus, 0);
	assert_int_equal(opts.ram_size, 0);
	assert_int_equal(opts.ram_base, 0);
	assert_int_equal(opts.vm_flags, 0);
	assert_int_equal(opts.ttys[0].kind, TTY_STDIO);
	assert_int_equal(opts.ttys[1].kind, TTY_NOTHING);
	assert_int_equal(opts.log_level, VMM_LOG_INFO);
	assert_false(opts.nodefaults || opts.no_reboot || opts.memfd || opts.help);
	assert_int_equal(opts.machine.size, sizeof(opts.machine));
	assert_int_equal(opts.machine.flags, 0);
	assert_int_equal(opts.machine.irqchip, VMM_IRQCHIP_AUTO);
}

/* As scripts/arch-run.bash of kvm-unit-tests writes it. */
static void test_options_take_the_line_of_kvm_unit_tests(void **state)
{
	char *argv[] = {
		(char *)"run", (char *)"--nested", (char *)"--kernel", (char *)"t.flat",
		(char *)"--cpus", (char *)"4", (char *)"--params", (char *)"pmu cycle 1",
		(char *)"--nodefaults", (char *)"--network", (char *)"mode=none",
		(char *)"--loglevel=warning", (char *)"--mem", (char *)"256", (char *)"--pmu",
		(char *)"--irqchip=gicv3-its", (char *)"--initrd", (char *)"env", NULL,
	};
	struct run_options opts;
	struct vmm_error err;
	char *cmdline;

	(void)state;
	assert_int_equal(options_parse(&opts, 18, argv, &err), 0);
	assert_string_equal(opts.kernel, "t.flat");
	assert_string_equal(opts.initrd, "env");
	assert_int_equal(opts.cpus, 4);
	assert_int_equal(opts.ram_size, 256 * T_MIB);
	assert_int_equal(opts.log_level, VMM_LOG_WARN);
	assert_int_equal(opts.machine.irqchip, VMM_IRQCHIP_GICV3_ITS);
	assert_int_equal(opts.machine.flags, VMM_MACHINE_F_PMU | VMM_MACHINE_F_NESTED);
	cmdline = options_cmdline(&opts);
	assert_string_equal(cmdline, "pmu cycle 1");
	free(cmdline);
}

static void test_options_take_each_way_to_write_a_value(void **state)
{
	static const char *const lines[] = {
		"k --cpus 3", "k --cpus=3", "k -c 3", "k -c3", "--cp 3 k", "--cp=3 -- k",
		"-c0x3 k", "--kernel=k --cpus=9 --cpus=3", "-kk -c3", "--cpus 03 k",
	};
	struct run_options opts;
	struct t_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		t_accept(&opts, &line, lines[i]);
		assert_int_equal(opts.cpus, 3);
		assert_string_equal(opts.kernel, "k");
	}
}

static void test_options_prefer_an_exact_name_to_a_longer_one(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --mem 64 --debug");
	assert_int_equal(opts.ram_size, 64 * T_MIB);
	assert_false(opts.memfd);
	assert_int_equal(opts.log_level, VMM_LOG_DEBUG);
}

static void test_options_take_a_value_that_looks_like_an_option(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "-p --quiet -k --pmu");
	assert_string_equal(opts.params, "--quiet");
	assert_string_equal(opts.kernel, "--pmu");
	assert_int_equal(opts.machine.flags, 0);
	t_accept(&opts, &line, "--pmu -- -k");
	assert_string_equal(opts.kernel, "-k");
	t_accept(&opts, &line, "--params= k");
	assert_string_equal(opts.params, "");
	t_accept(&opts, &line, "--params=a=b k");
	assert_string_equal(opts.params, "a=b");
}

/* "--pmu NAME" is the kernel NAME, as it always was. */
static void test_options_take_an_argument_that_may_be_left_out(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "--pmu k");
	assert_string_equal(opts.kernel, "k");
	assert_int_equal(opts.machine.flags, VMM_MACHINE_F_PMU);
	assert_null(opts.machine.pmu);
	t_accept(&opts, &line, "--pmu=armv8_big k");
	assert_int_equal(opts.machine.flags, VMM_MACHINE_F_PMU);
	assert_string_equal(opts.machine.pmu, "armv8_big");
	t_accept(&opts, &line, "--pmu=armv8_big k --pmu");
	assert_null(opts.machine.pmu);
	t_accept(&opts, &line, "--pmu=armv8_big --no-pmu k");
	assert_int_equal(opts.machine.flags, 0);
	t_accept(&opts, &line, "k");
	assert_false(opts.spe);
	t_accept(&opts, &line, "--spe k");
	assert_true(opts.spe);
	assert_null(opts.spe_arg);
	t_accept(&opts, &line, "--spe=instance=arm_spe_1,optional k");
	assert_true(opts.spe);
	assert_string_equal(opts.spe_arg, "instance=arm_spe_1,optional");
	t_refuse("--pmu= k", -EINVAL, "--pmu: the argument is empty");
}

static void test_options_take_what_to_do_without_a_cpu(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --on-no-cpu stop");
	assert_int_equal(opts.on_no_cpu, VMM_NO_CPU_STOP);
	t_accept(&opts, &line, "k --on-no-cpu=stop --on-no-cpu=wait");
	assert_int_equal(opts.on_no_cpu, VMM_NO_CPU_WAIT);
	t_refuse("k --on-no-cpu=go", -EINVAL, "--on-no-cpu go: not wait or stop");
	t_refuse("k --on-no-cpu", -EINVAL, "--on-no-cpu: the argument is missing, wait|stop");
}

static void test_spe_takes_its_words_apart(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "k --spe=", "--spe: ''" },
		{ "k --spe=instance", "--spe: 'instance'" },
		{ "k --spe=instance=", "--spe: 'instance='" },
		{ "k --spe=optional,", "--spe: ''" },
		{ "k --spe=optional=1", "there is no key 'optional'" },
		{ "k --spe=buffer-max=0", "buffer-max=0" },
		{ "k --spe=buffer-max=4X", "buffer-max=4X" },
		{ "k --spe=size=4M", "there is no key 'size'" },
	};
	struct vmm_error err;
	struct speopt opt;

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
	assert_int_equal(speopt_parse(&opt, NULL, &err), 0);
	assert_int_equal(opt.cfg.size, sizeof(opt.cfg));
	assert_null(opt.cfg.instance);
	assert_int_equal(speopt_load(&opt, &err), 0);
	speopt_fini(&opt);
	assert_int_equal(speopt_parse(&opt, "instance=arm_spe_1,abi=elisei-v5,buffer-max=4M,optional",
				      &err), 0);
	assert_string_equal(opt.cfg.instance, "arm_spe_1");
	assert_string_equal(opt.cfg.abi, "elisei-v5");
	assert_int_equal(opt.cfg.buffer_max, 4 * T_MIB);
	assert_int_equal(opt.cfg.flags, VMM_SPE_F_OPTIONAL);
	assert_int_equal(speopt_load(&opt, &err), 0);
	assert_null(opt.cfg.abi_text);
	speopt_fini(&opt);
	assert_int_equal(speopt_parse(&opt, "abi=/proc/self/comm", &err), 0);
	assert_null(opt.cfg.abi);
	assert_int_equal(speopt_load(&opt, &err), 0);
	assert_string_equal(opt.cfg.abi_text, "test_options\n");
	speopt_fini(&opt);
	assert_int_equal(speopt_parse(&opt, "abi=./nonexistent", &err), 0);
	assert_int_equal(speopt_load(&opt, &err), -ENOENT);
	assert_string_equal(err.msg, "--spe: abi=./nonexistent: No such file or directory");
	speopt_fini(&opt);
}

static void test_options_take_memory_with_unit_and_address(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	size;
		uint64_t	base;
	} sizes[] = {
		{ "-m 256 k", 256 * T_MIB, 0 },
		{ "-m 0x100 k", 256 * T_MIB, 0 },
		{ "-m 0400 k", 256 * T_MIB, 0 },
		{ "-m 64K k", T_MIB / 16, 0 },
		{ "-m 65536b k", T_MIB / 16, 0 },
		{ "-m 2g k", 2048 * T_MIB, 0 },
		{ "-m 1T k", T_MIB * T_MIB, 0 },
		{ "-m 1G@4G k", 1024 * T_MIB, 4096 * T_MIB },
		{ "-m 128@0x80000000 k", 128 * T_MIB, 2048 * T_MIB },
		{ "-m 4G@0x100000000 -m 64 k", 64 * T_MIB, 0 },
	};
	struct run_options opts;
	struct t_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		t_accept(&opts, &line, sizes[i].text);
		assert_int_equal(opts.ram_size, sizes[i].size);
		assert_int_equal(opts.ram_base, sizes[i].base);
	}
}

static void test_options_set_what_the_machine_has(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	flags;
	} flags[] = {
		{ "k --pmu --no-pmu", 0 },
		{ "k --no-pmu --pmu", VMM_MACHINE_F_PMU },
		{ "k --nested --e2h0", VMM_MACHINE_F_NESTED | VMM_MACHINE_F_E2H0 },
		{ "k --e2h0 --nested", VMM_MACHINE_F_NESTED | VMM_MACHINE_F_E2H0 },
		{ "k --no-sve --no-pauth", VMM_MACHINE_F_NO_SVE | VMM_MACHINE_F_NO_PAUTH },
		{ "k --no-mte", VMM_MACHINE_F_NO_MTE },
		{ "k --disable-mte", VMM_MACHINE_F_NO_MTE },
		{ "k --no-pvtime --no-seed", VMM_MACHINE_F_NO_PVTIME | VMM_MACHINE_F_NO_SEED },
		{ "k --kaslr-seed 0", VMM_MACHINE_F_KASLR_SEED },
		{ "k --counter-offset 0", VMM_MACHINE_F_COUNTER_OFFSET },
		{ "k --virtio-ring packed", VMM_MACHINE_F_PACKED },
		{ "k --virtio-ring packed --virtio-ring split", 0 },
	};
	struct run_options opts;
	struct t_line line;

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		t_accept(&opts, &line, flags[i].text);
		assert_int_equal(opts.machine.flags, flags[i].flags);
	}
	t_accept(&opts, &line, "k --kaslr-seed 0xffffffffffffffff --counter-offset 77 "
		 "--sve-max-vl 384 --override-bad-firmware-cntfrq 4294967295 --irqchip gicv2");
	assert_int_equal(opts.machine.kaslr_seed, UINT64_MAX);
	assert_int_equal(opts.machine.counter_offset, 77);
	assert_int_equal(opts.machine.sve_max_vl, 384);
	assert_int_equal(opts.machine.cntfrq, UINT32_MAX);
	assert_int_equal(opts.machine.irqchip, VMM_IRQCHIP_GICV2);
}

static void test_options_collect_ttys(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --tty 0 --tty=3 --tty 3,pty");
	assert_int_equal(opts.ttys[0].kind, TTY_PTY);
	assert_int_equal(opts.ttys[1].kind, TTY_NOTHING);
	assert_int_equal(opts.ttys[3].kind, TTY_PTY);
	assert_int_equal(options_stdio_port(&opts), -1);

	t_accept(&opts, &line, "k --tty 1,file=a,b --tty 2,socket=s --tty 3,file=x --tty 3,socket=y=");
	assert_int_equal(options_stdio_port(&opts), 0);
	assert_int_equal(opts.ttys[1].kind, TTY_FILE);
	assert_string_equal(opts.ttys[1].path, "a,b");
	assert_int_equal(opts.ttys[2].kind, TTY_SOCKET);
	assert_string_equal(opts.ttys[2].path, "s");
	assert_int_equal(opts.ttys[3].kind, TTY_SOCKET);
	assert_string_equal(opts.ttys[3].path, "y=");

	/* The terminal is one port's. */
	t_accept(&opts, &line, "k --tty 2,stdio --expect up");
	assert_int_equal(opts.ttys[0].kind, TTY_NOTHING);
	assert_int_equal(options_stdio_port(&opts), 2);
	t_accept(&opts, &line, "k --tty 1,file=a --console virtio");
	assert_int_equal(opts.ttys[0].kind, TTY_NOTHING);
}

static void test_options_collect_disks(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k -d a.img --disk=/b,ro,direct -dc,queues=4,serial=x=y --rng --io-threads 16");
	assert_int_equal(opts.nr_disks, 3);
	assert_memory_equal(opts.disks[0].path, "a.img", 5);
	assert_int_equal(opts.disks[0].path_len, 5);
	assert_false(opts.disks[0].ro || opts.disks[0].direct);
	assert_int_equal(opts.disks[1].path_len, 2);
	assert_true(opts.disks[1].ro && opts.disks[1].direct);
	assert_int_equal(opts.disks[2].queues, 4);
	assert_int_equal(opts.disks[2].serial_len, 3);
	assert_memory_equal(opts.disks[2].serial, "x=y", 3);
	assert_true(opts.rng);
	assert_int_equal(opts.io_threads, 16);
}

static void test_options_collect_vhost_user(void **state)
{
	struct run_options opts;
	struct vmm_error err;
	struct t_line line;
	struct vhostopt opt;

	(void)state;
	t_accept(&opts, &line, "k --vhost-user type=blk,socket=/a/b --vhost-user=queues=3,socket=c,type=blk,reconnect=5");
	assert_int_equal(opts.nr_vhosts, 2);
	assert_int_equal(vhostopt_parse(&opt, opts.vhosts[0], &err), 0);
	assert_string_equal(opt.path, "/a/b");
	assert_int_equal(opt.queues, 0);
	assert_int_equal(opt.reconnect, 0);
	assert_int_equal(vhostopt_parse(&opt, opts.vhosts[1], &err), 0);
	assert_string_equal(opt.path, "c");
	assert_int_equal(opt.queues, 3);
	assert_int_equal(opt.reconnect, 5);
	assert_int_equal(opt.type, VMM_VHOST_USER_BLK);
	assert_int_equal(vhostopt_connect(opt.path, true, "--vhost-user", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--vhost-user: Unable to connect to c: "));
}

static void test_options_collect_directories(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --fs /a/b,tag --fs=c,d,ro,sandbox=chroot");
	assert_int_equal(opts.nr_fs, 2);
	assert_int_equal(opts.fs[0].dir_len, 4);
	assert_memory_equal(opts.fs[0].dir, "/a/b", 4);
	assert_int_equal(opts.fs[0].tag_len, 3);
	assert_memory_equal(opts.fs[0].tag, "tag", 3);
	assert_false(opts.fs[0].ro);
	assert_int_equal(opts.fs[0].sandbox_len, 0);
	assert_memory_equal(opts.fs[1].tag, "d", 1);
	assert_int_equal(opts.fs[1].tag_len, 1);
	assert_true(opts.fs[1].ro);
	assert_int_equal(opts.fs[1].sandbox_len, 6);
	assert_memory_equal(opts.fs[1].sandbox, "chroot", 6);
	assert_false(opts.fs[0].p9 || opts.fs[1].p9);
	t_accept(&opts, &line, "k --9p /a,t --fs b,u --9p=c,v,ro,sandbox=none");
	assert_int_equal(opts.nr_fs, 3);
	assert_true(opts.fs[0].p9 && !opts.fs[1].p9 && opts.fs[2].p9);
	assert_true(opts.fs[2].ro && !opts.fs[0].ro);
	assert_int_equal(opts.fs[2].sandbox_len, 4);
}

static void test_options_collect_overlays(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --dt-overlay a.dtbo --dt-overlay=b");
	assert_int_equal(opts.nr_overlays, 2);
	assert_string_equal(opts.overlays[0], "a.dtbo");
	assert_string_equal(opts.overlays[1], "b");
	t_refuse("k --dt-o 1 --dt-o 2 --dt-o 3 --dt-o 4 --dt-o 5 --dt-o 6 --dt-o 7 --dt-o 8 --dt-o 9",
		 -EINVAL, "--dt-overlay 9: more than 8 of them");
	t_refuse("k --dt-overlay=", -EINVAL, "--dt-overlay: the argument is empty");
}

static void test_options_collect_what_is_expected(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --expect a+ --timeout 60 --expect=b");
	assert_int_equal(opts.nr_expect, 2);
	assert_string_equal(opts.expect[0], "a+");
	assert_string_equal(opts.expect[1], "b");
	assert_int_equal(opts.timeout, 60);
	t_refuse("k --timeout 0", -EINVAL, "--timeout 0: not within 1 to 4294967295");
}

static void test_options_stop_at_help(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "--help");
	assert_true(opts.help);
	t_accept(&opts, &line, "-k k -h --frobnicate");
	assert_true(opts.help);
}

/* ---- What is refused ------------------------------------------------------ */

static void test_options_refuse_nonsense_naming_it(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "", "no kernel" },
		{ "--pmu", "no kernel" },
		{ "k l", "l: one argument too many" },
		{ "-k k l", "l: the kernel is k already" },
		{ "--kernel=", "--kernel: the argument is empty" },
		{ "k -x", "-x: unknown option" },
		{ "k --frob=1", "--frob: unknown option" },
		{ "k --=1", "unknown option" },
		{ "k --What", "--What: unknown option" },
		{ "k --no", "--no: ambiguous, --nodefaults or" },
		{ "k --de", "--de: ambiguous, --dev or --debug" },
		{ "k --nested=yes", "--nested: takes no argument" },
		{ "k -hx", "--help: takes no argument" },
		{ "k --cpus", "--cpus: the argument is missing" },
		{ "k -p", "--params: the argument is missing" },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
}

static void test_options_refuse_bad_numbers(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "k -c 0", "--cpus 0: not within 1 to" },
		{ "k -c -1", "--cpus -1: not a number" },
		{ "k -c 4x", "--cpus 4x: not a number" },
		{ "k --cpus=", "--cpus : not a number" },
		{ "k -c 4294967296", "not within 1 to 4294967295" },
		{ "k -c 99999999999999999999999", "not within 1 to 4294967295" },
		{ "k --tty 4", "--tty 4: not within 0 to 3" },
		{ "k --tty -1", "--tty -1: not a number" },
		{ "k --tty ,pty", "--tty : not a number" },
		{ "k --tty 1,", "--tty 1,: not stdio, pty, file=FILE or socket=PATH" },
		{ "k --tty 1,tcp=x", "--tty 1,tcp=x: not stdio, pty, file=FILE or socket=PATH" },
		{ "k --tty 1,file=", "--tty 1,file=: not stdio" },
		{ "k --tty 1,file", "--tty 1,file: not stdio" },
		{ "k --tty 1,stdio,", "--tty 1,stdio,: not stdio" },
		{ "k --io-threads 0", "not within 1 to 16" },
		{ "k --io-threads 17", "not within 1 to 16" },
		{ "k --sve-max-vl 0", "not within 128 to 2048" },
		{ "k --sve-max-vl 2176", "not within 128 to 2048" },
		{ "k --sve-max-vl 200", "not a multiple of 128" },
		{ "k --kaslr-seed 0x10000000000000000", "not within" },
		{ "k --override-bad-firmware-cntfrq 0", "not within 1" },
		{ "-f f --firmware-address 0xzz", "not a number" },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
}

static void test_options_refuse_bad_memory(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "k -m 0", "--mem 0: not a positive multiple" },
		{ "k -m 0G", "not a positive multiple" },
		{ "k -m 100K", "not a positive multiple of 64K" },
		{ "k -m 1B", "not a positive multiple" },
		{ "k --mem=", "--mem : not SIZE" },
		{ "k -m M", "not SIZE" },
		{ "k -m -64", "not SIZE" },
		{ "k -m 64MB", "not SIZE" },
		{ "k -m 1.5G", "not SIZE" },
		{ "k -m 64M@", "not SIZE" },
		{ "k -m 64M@x", "not SIZE" },
		{ "k -m 64M@4G@5G", "not SIZE" },
		{ "k -m 64M@0", "RAM is at 0x80000000 or above" },
		{ "k -m 64M@0x7fffffff", "RAM is at 0x80000000 or above" },
		{ "k -m 16384P", "above 64 bits" },
		{ "k -m 18446744073709551616B", "above 64 bits" },
		{ "k -m 64M@16384P", "above 64 bits" },
		{ "k -m 64M@0xffffffffffff0000", "above 64 bits" },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
}

static void test_options_refuse_bad_words(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "k --loglevel warn", "--loglevel warn: not error, warning," },
		{ "k --loglevel=", "--loglevel : not" },
		{ "k --irqchip gic", "--irqchip gic: not gicv2," },
		{ "k --console ser", "--console ser: not serial or virtio" },
		{ "k --console virtiox", "--console virtiox: not serial or virtio" },
		{ "k --console virtio,x", "--console virtio,x: not stdio, pty, file=FILE or socket=PATH" },
		{ "k --console virtio,pty --expect x", "--expect: excludes --console virtio elsewhere" },
		{ "k --console virtio,socket=a --chroot d", "--console virtio,socket: excludes --chroot" },
		{ "k --virtio-port a,socket=a --chroot d", "--virtio-port a,socket: excludes --chroot" },
		{ "k --virtio-port ,pty", "--virtio-port ,pty: not a name of 1 to 63 printable bytes" },
		{ "k --virtio-port a/b", "--virtio-port a/b: not a name" },
		{ "k --virtio-port ..", "--virtio-port ..: not a name" },
		{ "k --virtio-port a,stdio", "--virtio-port a,stdio: the terminal is for consoles" },
		{ "k --virtio-port a,b", "--virtio-port a,b: not stdio, pty, file=FILE or socket=PATH" },
		{ "k --virtio-port a --virtio-port a,file=x", "--virtio-port a,file=x: there is one" },
		{ "k --virtio-port a --virtio-port b --virtio-port c --virtio-port d --virtio-port e"
		  " --virtio-port f --virtio-port g --virtio-port h --virtio-port i",
		  "--virtio-port i: more than 8 of them" },
		{ "k --name=", "--name : not 1 to 64" },
		{ "k --name a/b", "--name a/b: only letters" },
		{ "k --name \xc3\xa4", "only letters" },
		{ "k --name aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "not 1 to 64" },
		{ "k --vcpu-affinity=", "--vcpu-affinity: the argument is empty" },
		{ "k --expect=", "--expect: the argument is empty" },
		{ "k --expect a(b", "--expect a(b: " },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
}

static void test_options_refuse_what_excludes_one_another(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "-k k -f f", "--firmware: excludes --kernel" },
		{ "-f f k", "--firmware: excludes --kernel" },
		{ "k --firmware-address 0x90000000", "--firmware-address: needs --firmware" },
		{ "k --hugetlbfs /h --memfd", "--hugetlbfs: excludes --memfd" },
		{ "k --tty 0 --expect up", "--expect: excludes --tty 0" },
		{ "k --tty 0,stdio --tty 2,stdio", "--tty 2,stdio: port 0 is" },
		{ "k --tty 1,stdio --console virtio", "--tty 1,stdio: excludes --console virtio" },
		{ "k --tty 1,socket=s --chroot /", "--tty 1,socket: excludes --chroot" },
		{ "k --e2h0", "--e2h0: needs --nested" },
		{ "k --no-sve --sve-max-vl 128", "--no-sve: excludes --sve-max-vl" },
		{ "k --virtio-transport isa", "--virtio-transport isa: not pci or mmio" },
		{ "k --virtio-ring round", "--virtio-ring round: not split or packed" },
		{ "k -d ,ro", "--disk: the name of the file is empty" },
		{ "k --disk d,rw", "--disk: 'rw' is not ro, direct, queues=N or serial=TEXT" },
		{ "k --disk d,", "--disk: '' is not ro, direct, queues=N or serial=TEXT" },
		{ "k --disk d,queues=0", "--disk: queues=0: not within 1 to 64" },
		{ "k --disk d,queues=65", "--disk: queues=65: not within 1 to 64" },
		{ "k --disk d,serial=123456789012345678901", "more than 20 bytes" },
		{ "k --flash=", "--flash: the argument is empty" },
		{ "k -F ,ro", "--flash: the argument is empty" },
		{ "k --vhost-user blk", "'blk' is not type=blk, socket=PATH, queues=N or reconnect=SECONDS" },
		{ "k --vhost-user type=blk,socket=/s,reconnect=0", "not within 1 to 3600 seconds" },
		{ "k --vhost-user type=blk,socket=/s,reconnect=3601", "reconnect=3601: not within" },
		{ "k --vhost-user type=net,socket=/s", "type=net: not blk" },
		{ "k --vhost-user type=blk", "needs type=blk and socket=PATH" },
		{ "k --vhost-user socket=/s", "needs type=blk and socket=PATH" },
		{ "k --vhost-user type=blk,socket=", "'socket=' is not" },
		{ "k --vhost-user type=blk,socket=/s,queues=17", "not within 1 to 16" },
		{ "k --vhost-user type=blk,socket=/s,", "'' is not" },
		{ "k --vhost-user type=blk,socket=/1234567890123456789012345678901234567890"
		  "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		  "is too long" },
		{ "k --fs dir", "--fs dir: not DIR,TAG" },
		{ "k --fs ,tag", "--fs ,tag: not DIR,TAG" },
		{ "k --fs dir,,ro", "--fs dir,,ro: not DIR,TAG" },
		{ "k --fs d,1234567890123456789012345678901234567", "a tag has at most 36 bytes" },
		{ "k --fs d,t,rw", "--fs: 'rw' is not ro or sandbox=namespace|chroot|none" },
		{ "k --fs d,t,", "--fs: '' is not ro" },
		{ "k --fs d,t,sandbox=", "--fs: 'sandbox=' is not ro" },
		{ "k --9p dir", "--9p dir: not DIR,TAG" },
		{ "k --9p d,t,sandbox=chroot", "--9p: 'sandbox=chroot' is not ro or sandbox=namespace|none" },
		{ "k --9p d,1234567890123456789012345678901234567", "--9p: 1234567890123456789012345678901234567: a tag" },
		{ "k --fs d,t,sandbox=chroots", "--fs: 'sandbox=chroots' is not ro" },
		{ "k --fs a,a --fs a,a --fs a,a --fs a,a --fs a,a --fs a,a --fs a,a --fs a,a --fs b,b",
		  "--fs b,b: more than 8 of them" },
		{ "k --vsock 2", "--vsock 2: not within 3 to 4294967294" },
		{ "k --vs me", "--vsock me: not a number" },
		{ "k --network=", "--network: '': not KEY=VALUE" },
		{ "k -n mode", "--network: 'mode': not KEY=VALUE" },
		{ "k -n mode=bridge", "--network: mode=bridge: not user, tap, vhost-user or none" },
		{ "k -n trans=isa", "--network: trans=isa: not pci or mmio" },
		{ "k -n model=e1000", "--network: there is no key 'model'" },
		{ "k -n guest_mac=02:00:00:00:00", "--network: guest_mac=02:00:00:00:00: not like" },
		{ "k -n guest_mac=02:00:00:00:00:011", "not like" },
		{ "k -n guest_mac=01:00:00:00:00:01", "it is the address of a group" },
		{ "k -n mtu=67", "--network: mtu=67: not a number within 68 to 65535" },
		{ "k -n vhost=2", "--network: vhost=2: not a number within 0 to 1" },
		{ "k -n mq=0", "--network: mq=0: not a number within 1 to 8" },
		{ "k -n mq=9", "--network: mq=9: not a number within 1 to 8" },
		{ "k -n mq=2,fd=3", "mq needs mode=tap or mode=vhost-user, and excludes fd" },
		{ "k -n mode=user,mq=2", "mq needs mode=tap or mode=vhost-user, and excludes fd" },
		{ "k -n mode=vhost-user", "mode=vhost-user and socket need one another" },
		{ "k -n mode=user,socket=/s", "mode=vhost-user and socket need one another" },
		{ "k -n mode=vhost-user,socket=/s,fd=3", "fd excludes mode=vhost-user" },
		{ "k -n mode=vhost-user,socket=/s,vhost=1", "vhost need mode=tap" },
		{ "k -n mode=vhost-user,socket=/1234567890123456789012345678901234567890"
		  "12345678901234567890123456789012345678901234567890123456789012345678", "is too long" },
		{ "k -n mode=user,vhost=1", "vhost need mode=tap" },
		{ "k -n mode=vhost-user,socket=/s,reconnect=0", "reconnect=0: not a number within 1 to 3600" },
		{ "k -n mode=vhost-user,socket=/s,reconnect=1,mq=2", "reconnect needs mode=vhost-user, and excludes mq" },
		{ "k -n mode=tap,reconnect=1", "reconnect needs mode=vhost-user" },
		{ "k -n fd=x", "--network: fd=x: not a number" },
		{ "k -n host_ip=1.2.3", "--network: host_ip=1.2.3: not an IPv4 address" },
		{ "k -n tapif=abcdefghijklmnop", "a name has at most 15 characters" },
		{ "k -n fd=3,tapif=t0", "--network: fd excludes tapif" },
		{ "k -n mode=user,tapif=t0", "tapif, script, downscript and vhost need mode=tap" },
		{ "k -n fd=1 -n fd=2 -n fd=3 -n fd=4 -n fd=5 -n fd=6 -n fd=7 -n fd=8 -n fd=9",
		  "--network fd=9: more than 8 of them" },
		{ "k --rng=1", "--rng: takes no argument" },
		{ "k --balloon=", "--balloon: '' is not size=SIZE, no-oom or no-reporting" },
		{ "k --balloon=size=", "--balloon: 'size=' is not" },
		{ "k --balloon=size=64x", "--balloon: 'size=64x' is not" },
		{ "k --balloon=no-oom,", "--balloon: '' is not" },
		{ "k --balloon=no-ooms", "--balloon: 'no-ooms' is not" },
		{ "k --no-seed --kaslr-seed 1", "--no-seed: excludes --kaslr-seed" },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -EINVAL);
}

static void test_options_say_what_is_still_to_come(void **state)
{
	static const struct t_refusal refusals[] = {
		{ "k -d scsi:wwpn", "--disk scsi:wwpn: not in this version" },
		{ "k --virtio-transport pci-legacy", "there is no legacy virtio here" },
		{ "k --psci", "--psci: not in this version" },
		{ "k --irqchip gicv2m", "--irqchip gicv2m: not in this version" },
		{ "k -n trans=mmio", "trans: all devices have that of --virtio-transport" },
		{ "k -n trans=pci --virtio-transport mmio", "all devices have that of" },
	};

	(void)state;
	T_REFUSE_ALL(refusals, -ENOTSUP);
}

static void test_options_cut_a_message_that_is_too_long(void **state)
{
	char word[2000];
	char *argv[] = { (char *)"run", word, NULL };
	struct run_options opts;
	struct vmm_error err;

	(void)state;
	memset(word, 'a', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	memcpy(word, "--", 2);
	memset(&err, 0x55, sizeof(err));
	assert_int_equal(options_parse(&opts, 2, argv, &err), -EINVAL);
	assert_true(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
	memcpy(word, "--cpus=", 7);
	memset(&err, 0x55, sizeof(err));
	assert_int_equal(options_parse(&opts, 2, argv, &err), -EINVAL);
	assert_true(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
}

/* ---- What follows from them ------------------------------------------------ */

static void test_cmdline_is_generated_as_by_kvmtool(void **state)
{
	static const struct {
		struct run_options	opts;
		const char		*line;
	} lines[] = {
		{ { 0 }, "console=ttyS0 root=/dev/vda rw" },
		{ { .params = "" }, "console=ttyS0 root=/dev/vda rw" },
		{ { .params = "quiet" }, "console=ttyS0 root=/dev/vda rw quiet" },
		{ { .ttys = { [2] = { .kind = TTY_STDIO } } }, "console=ttyS2 root=/dev/vda rw" },
		{ { .ttys = { [2] = { .kind = TTY_PTY } } }, "console=ttyS0 root=/dev/vda rw" },
		{ { .initrd = "i" }, "console=ttyS0" },
		{ { .initrd = "i", .params = "quiet" }, "console=ttyS0 quiet" },
		{ { .params = "root=/dev/sda" }, "console=ttyS0 root=/dev/sda" },
		{ { .params = "ro root=LABEL=x" }, "console=ttyS0 ro root=LABEL=x" },
		{ { .params = "nfsroot=h:/ quiet" },
		  "console=ttyS0 root=/dev/vda rw nfsroot=h:/ quiet" },
		{ { .params = "nfsroot=h:/ root=/dev/nfs" },
		  "console=ttyS0 nfsroot=h:/ root=/dev/nfs" },
		{ { .root_fs = true }, "console=ttyS0 root=rootfs rootfstype=virtiofs rw" },
		{ { .root_fs = true, .initrd = "i" }, "console=ttyS0" },
		{ { .root_fs = true, .params = "root=/dev/vda" }, "console=ttyS0 root=/dev/vda" },
		{ { .nodefaults = true }, "" },
		{ { .nodefaults = true, .params = "a  b" }, "a  b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *line = options_cmdline(&lines[i].opts);

		assert_string_equal(line, lines[i].line);
		free(line);
	}
}

static void test_default_ram_follows_vcpus_and_host(void **state)
{
	static const struct {
		uint32_t	cpus;
		uint64_t	host;
		uint64_t	ram;
	} sizes[] = {
		{ 1, 64 * 1024 * T_MIB, 256 * T_MIB },
		{ 4, 64 * 1024 * T_MIB, 448 * T_MIB },
		{ 1, 0, 256 * T_MIB },
		{ 61, 1000 * T_MIB, 800 * T_MIB },
		/* Whole MiB. */
		{ 61, 1001 * T_MIB, 800 * T_MIB },
		/* Sums that do not fit into 32 bits. */
		{ UINT32_MAX, UINT64_MAX, (4294967295ull + 3) * 64 * T_MIB },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(options_default_ram(sizes[i].cpus, sizes[i].host),
				 sizes[i].ram);
}

static void test_help_rows_fit_a_terminal(void **state)
{
	struct option_text text;
	size_t rows = 0;

	(void)state;
	for (; options_text(rows, &text); rows++) {
		if (text.heading)
			continue;
		assert_non_null(text.name);
		assert_non_null(text.help);
		for (const char *line = text.help; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			assert_true(strcspn(line, "\n") <= 49);
		}
	}
	assert_true(rows > 30);
	assert_false(options_text(SIZE_MAX, &text));
}

/* ---- --config ------------------------------------------------------------------ */

static void t_config(char *path, const char *text)
{
	int fd;

	strcpy(path, "/tmp/test_options.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_config_has_options_by_their_names(void **state)
{
	char path[64];
	char text[128];
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_config(path, "# a guest\n\nkernel = Image\n  params=a = b  \r\ncpus = 3\nmem=1G\n"
		       "no-reboot\ndisk = a.img,ro\nexpect = one two\npmu\nlog-format = json");
	snprintf(text, sizeof(text), "--cpus 2 --config %s --mem 2G --expect three --ready-fd 9", path);
	t_accept(&opts, &line, text);
	assert_string_equal(opts.kernel, "Image");
	assert_string_equal(opts.params, "a = b");
	/* At its place among the others. */
	assert_int_equal(opts.cpus, 3);
	assert_int_equal(opts.ram_size, 2ull << 30);
	assert_int_equal(opts.nr_expect, 2);
	assert_string_equal(opts.expect[0], "one two");
	assert_string_equal(opts.expect[1], "three");
	assert_true(opts.no_reboot && opts.log_json);
	assert_int_equal(opts.ready_fd, 9);
	options_fini(&opts);
	assert_int_equal(unlink(path), 0);
}

static void test_config_says_where_it_is_wrong(void **state)
{
	static const struct t_refusal files[] = {
		{ "kernel = a\nkernl = b\n", ":2: --kernl: unknown option" },
		{ "cpus = x", ":1: --cpus x: not a number" },
		{ "\n\ncpus\n", ":3: --cpus: the argument is missing" },
		{ "memfd = 1", ":1: --memfd: takes no argument" },
		{ "[web]\nkernel = a", ":1: a section" },
		{ "-k = a", ":1: not OPTION" },
		{ "kernel a", ":1: not OPTION" },
		{ "config = /dev/null", ":1: --config /dev/null: there is one already" },
		{ "vnc", ":1: --vnc: not in this version" },
	};
	char path[64];
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		t_config(path, files[i].text);
		snprintf(text, sizeof(text), "--config %s --kernel x", path);
		t_refuse(text, strstr(files[i].text, "vnc") ? -ENOTSUP : -EINVAL, files[i].message);
		assert_int_equal(unlink(path), 0);
	}
	t_refuse("--config /nonexistent/x", -EINVAL, "/nonexistent/x: No such file");
	t_refuse("--config /dev/zero", -EINVAL, "/dev/zero: File too large");
	t_refuse("--config /dev/null --config /dev/null", -EINVAL, "there is one already");
	t_refuse("--config", -EINVAL, "the argument is missing");
	t_refuse("-k a --ready-fd 2", -EINVAL, "--ready-fd 2");
	t_refuse("-k a --ready-fd 99999999999", -EINVAL, "--ready-fd");
	t_refuse("-k a --log-format xml", -EINVAL, "--log-format xml: not text or json");
	t_refuse("-k a --pidfile=", -EINVAL, "--pidfile: the argument is empty");
	t_refuse("-k a --user=", -EINVAL, "--user: the argument is empty");
	t_refuse("-k a --chroot d --hugetlbfs e", -EINVAL, "--hugetlbfs: excludes --chroot");
}

static void test_console(void **state)
{
	struct run_options opts;
	struct t_line line;
	char *cmdline;

	(void)state;
	t_accept(&opts, &line, "k --console virtio -p x --expect y --tty 0");
	assert_true(opts.hvc);
	cmdline = options_cmdline(&opts);
	assert_string_equal(cmdline, "console=hvc0 root=/dev/vda rw x");
	free(cmdline);
	assert_true(options_stdio_hvc(&opts));
	t_accept(&opts, &line, "k --console virtio --console serial");
	assert_false(opts.hvc || options_stdio_hvc(&opts));
	t_accept(&opts, &line, "k --console virtio,socket=a,b --tty 1,stdio --expect y");
	assert_true(opts.hvc);
	assert_false(options_stdio_hvc(&opts));
	assert_int_equal(opts.ttys[OPTIONS_HVC].kind, TTY_SOCKET);
	assert_string_equal(opts.ttys[OPTIONS_HVC].path, "a,b");
	assert_int_equal(options_stdio_port(&opts), 1);
}

static void test_virtio_ports(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --virtio-port org.qemu.guest_agent.0,socket=a --virtio-port=b");
	assert_int_equal(opts.nr_ports, 2);
	assert_int_equal(opts.ttys[OPTIONS_FIRST_PORT].kind, TTY_SOCKET);
	assert_string_equal(opts.ttys[OPTIONS_FIRST_PORT].path, "a");
	assert_int_equal(opts.ttys[OPTIONS_FIRST_PORT].name_len, strlen("org.qemu.guest_agent.0"));
	assert_int_equal(opts.ttys[OPTIONS_FIRST_PORT + 1].kind, TTY_PTY);
	assert_memory_equal(opts.ttys[OPTIONS_FIRST_PORT + 1].name, "b", 1);
}

static void test_balloon(void **state)
{
	struct run_options opts;
	struct t_line line;

	(void)state;
	t_accept(&opts, &line, "k --balloon");
	assert_true(opts.balloon);
	assert_int_equal(opts.balloon_flags, 0);
	assert_int_equal(opts.balloon_size, 0);
	t_accept(&opts, &line, "k --balloon=size=64,no-oom,no-reporting");
	assert_int_equal(opts.balloon_flags, VMM_BALLOON_F_NO_OOM | VMM_BALLOON_F_NO_REPORTING);
	assert_int_equal(opts.balloon_size, 64 << 20);
	t_accept(&opts, &line, "--balloon=no-oom,size=1g --balloon k");
	assert_int_equal(opts.balloon_flags, 0);
	assert_int_equal(opts.balloon_size, 0);
	assert_string_equal(opts.kernel, "k");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_balloon),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_virtio_ports),
		cmocka_unit_test(test_options_are_zero_unless_given),
		cmocka_unit_test(test_options_take_the_line_of_kvm_unit_tests),
		cmocka_unit_test(test_options_take_each_way_to_write_a_value),
		cmocka_unit_test(test_options_prefer_an_exact_name_to_a_longer_one),
		cmocka_unit_test(test_options_take_a_value_that_looks_like_an_option),
		cmocka_unit_test(test_options_take_an_argument_that_may_be_left_out),
		cmocka_unit_test(test_options_take_what_to_do_without_a_cpu),
		cmocka_unit_test(test_spe_takes_its_words_apart),
		cmocka_unit_test(test_options_take_memory_with_unit_and_address),
		cmocka_unit_test(test_options_set_what_the_machine_has),
		cmocka_unit_test(test_options_collect_ttys),
		cmocka_unit_test(test_options_collect_disks),
		cmocka_unit_test(test_options_collect_vhost_user),
		cmocka_unit_test(test_options_collect_directories),
		cmocka_unit_test(test_options_collect_overlays),
		cmocka_unit_test(test_options_collect_what_is_expected),
		cmocka_unit_test(test_options_stop_at_help),
		cmocka_unit_test(test_options_refuse_nonsense_naming_it),
		cmocka_unit_test(test_options_refuse_bad_numbers),
		cmocka_unit_test(test_options_refuse_bad_memory),
		cmocka_unit_test(test_options_refuse_bad_words),
		cmocka_unit_test(test_options_refuse_what_excludes_one_another),
		cmocka_unit_test(test_options_say_what_is_still_to_come),
		cmocka_unit_test(test_options_cut_a_message_that_is_too_long),
		cmocka_unit_test(test_cmdline_is_generated_as_by_kvmtool),
		cmocka_unit_test(test_default_ram_follows_vcpus_and_host),
		cmocka_unit_test(test_help_rows_fit_a_terminal),
		cmocka_unit_test(test_config_has_options_by_their_names),
		cmocka_unit_test(test_config_says_where_it_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
