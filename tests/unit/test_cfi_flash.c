/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cfi_flash.c - devices/cfi_flash.c
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>

#include "devices/cfi_flash.h"
#include "fdt/tree.h"
#include "tests/unit/t.h"
#include "vmm/bus.h"
#include "vmm/log.h"

#define T_SIZE	0x40000

struct t_rig {
	struct cfi_flash	*flash;
	struct logger		log;
	int			fd;
	void			*mapped;
	unsigned int		nr_maps;
	int			map_fails;	/* a negative errno, once */
	unsigned int		nr_lines;
};

static int t_map(void *ctx, void *host)
{
	struct t_rig *rig = ctx;
	int ret = rig->map_fails;

	rig->map_fails = 0;
	if (!ret)
		rig->mapped = host;
	rig->nr_maps += !ret;
	return ret;
}

static void t_line(void *opaque, int level, const char *msg)
{
	(void)level;
	(void)msg;
	((struct t_rig *)opaque)->nr_lines++;
}

static void t_open_file(struct t_rig *rig, int fd, bool readonly)
{
	struct cfi_flash_config cfg = {
		.fd = fd, .readonly = readonly, .log = &rig->log, .map = t_map, .ctx = rig,
	};

	*rig = (struct t_rig){
		.fd = fd, .log = { .fn = t_line, .opaque = rig, .level = VMM_LOG_DEBUG },
	};
	assert_int_equal(cfi_flash_create(&rig->flash, &cfg, NULL), 0);
	assert_int_equal(cfi_flash_map(rig->flash), 0);
}

static int t_file_of(off_t size)
{
	static u8 ones[T_SIZE];
	int fd = memfd_create("t-flash", MFD_CLOEXEC);

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(ftruncate(fd, size), 0);
	if (size <= (off_t)sizeof(ones))
		assert_int_equal(pwrite(fd, ones, (size_t)size, 0), size);
	return fd;
}

static void t_open(struct t_rig *rig)
{
	t_open_file(rig, t_file_of(T_SIZE), false);
}

static void t_close(struct t_rig *rig)
{
	cfi_flash_destroy(rig->flash);
	close(rig->fd);
}

static u32 t_word(struct t_rig *rig, u64 off)
{
	return (u32)cfi_flash_read(rig->flash, off, 4);
}

static void t_write(struct t_rig *rig, u64 off, u32 val)
{
	cfi_flash_write(rig->flash, off, 4, val);
}

/* To both chips. */
static void t_command(struct t_rig *rig, u64 off, u16 cmd)
{
	t_write(rig, off, (u32)cmd << 16 | cmd);
}

static u32 t_kept(const struct t_rig *rig, u64 off)
{
	u32 val = 0;

	assert_int_equal(pread(rig->fd, &val, 4, (off_t)off), 4);
	return val;
}

static void test_it_describes_itself(void **state)
{
	static const u16 want[] = {
		'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0,
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_command(&rig, 0x55 * 4, 0x98);
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(t_word(&rig, (0x10 + i) * 4), want[i] | (u32)want[i] << 16);
	/* Half of it is in each chip; four blocks, of 32 KiB there. */
	assert_int_equal(t_word(&rig, 0x27 * 4) & 0xffff, 17);
	assert_int_equal(t_word(&rig, 0x28 * 4) & 0xffff, 1);
	assert_int_equal(t_word(&rig, 0x2c * 4) & 0xffff, 1);
	assert_int_equal(t_word(&rig, 0x2d * 4) & 0xffff, 3);
	assert_int_equal(t_word(&rig, 0x2f * 4) & 0xffff, 0x80);
	assert_int_equal(t_word(&rig, 0x31 * 4) & 0xffff, 'P');
	assert_int_equal(t_word(&rig, 0x34 * 4) & 0xffff, '1');
	assert_int_equal(t_word(&rig, 0), 0);
	assert_int_equal(t_word(&rig, T_SIZE - 4), 0);
	t_command(&rig, 0, 0x90);
	assert_int_equal(t_word(&rig, 0), 0x00890089);
	assert_int_equal(t_word(&rig, 8), 0);
	t_close(&rig);
}

static void test_it_is_memory_while_both_chips_are(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_non_null(rig.mapped);
	assert_int_equal(t_word(&rig, 0), 0xffffffff);
	/* One chip alone. */
	cfi_flash_write(rig.flash, 2, 2, 0x70);
	assert_null(rig.mapped);
	assert_int_equal(t_word(&rig, 0), 0x0080ffff);
	cfi_flash_write(rig.flash, 0, 2, 0x70);
	assert_int_equal(t_word(&rig, 0), 0x00800080);
	cfi_flash_write(rig.flash, 2, 2, 0xff);
	assert_null(rig.mapped);
	assert_int_equal(t_word(&rig, 0), 0xffff0080);
	cfi_flash_write(rig.flash, 0, 1, 0xff);
	assert_non_null(rig.mapped);
	assert_int_equal(rig.nr_maps, 3);
	t_close(&rig);
}

static void test_a_slot_that_cannot_be_changed_is_tried_again(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_command(&rig, 0, 0x70);
	rig.map_fails = -ENOMEM;
	t_command(&rig, 0, 0xff);
	assert_null(rig.mapped);
	assert_int_equal(rig.nr_lines, 1);
	assert_int_equal(t_word(&rig, 0), 0xffffffff);
	t_command(&rig, 0, 0xff);
	assert_non_null(rig.mapped);
	t_close(&rig);
}

static void test_programming_clears_bits_alone(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_command(&rig, 0x100, 0x40);
	t_write(&rig, 0x100, 0x1234fff0);
	assert_int_equal(t_word(&rig, 0), 0x00800080);
	t_command(&rig, 0x100, 0x10);
	t_write(&rig, 0x100, 0xffff00ff);
	t_command(&rig, 0, 0xff);
	assert_int_equal(t_word(&rig, 0x100), 0x123400f0);
	assert_int_equal(t_kept(&rig, 0x100), 0x123400f0);
	assert_int_equal(t_word(&rig, 0x104), 0xffffffff);
	assert_int_equal(cfi_flash_read(rig.flash, 0x100, 8), 0xffffffff123400f0);
	assert_int_equal(cfi_flash_read(rig.flash, 0x103, 1), 0x12);
	assert_int_equal(cfi_flash_read(rig.flash, 0x101, 2), 0x3400);
	t_close(&rig);
}

static void test_erasing_is_of_a_block(void **state)
{
	struct t_rig rig;
	int fd = memfd_create("t-flash", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, T_SIZE), 0);
	t_open_file(&rig, fd, false);
	t_command(&rig, 0x1fffc, 0x20);
	t_command(&rig, 0x1fffc, 0xd0);
	assert_int_equal(t_word(&rig, 0), 0x00800080);
	t_command(&rig, 0, 0xff);
	assert_int_equal(t_word(&rig, 0xfffc), 0);
	assert_int_equal(t_word(&rig, 0x10000), 0xffffffff);
	assert_int_equal(t_word(&rig, 0x1fffc), 0xffffffff);
	assert_int_equal(t_word(&rig, 0x20000), 0);
	assert_int_equal(t_kept(&rig, 0x1fffc), 0xffffffff);
	assert_int_equal(t_kept(&rig, 0x20000), 0);
	/* One chip of the two: half of each word. */
	cfi_flash_write(rig.flash, 0x20000, 2, 0x20);
	cfi_flash_write(rig.flash, 0x20000, 2, 0xd0);
	cfi_flash_write(rig.flash, 0x20000, 2, 0xff);
	assert_int_equal(t_word(&rig, 0x20000), 0x0000ffff);
	t_close(&rig);
}

static void t_buffer(struct t_rig *rig, u64 off, u32 count, u16 confirm)
{
	t_command(rig, off, 0xe8);
	assert_int_equal(t_word(rig, off) & 0x00800080, 0x00800080);
	t_command(rig, off, (u16)(count - 1));
	for (u32 i = 0; i < count; i++)
		t_write(rig, off + 4 * i, 0xa0000000 + i);
	t_command(rig, off, confirm);
}

static void test_a_buffer_is_programmed_at_once(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_buffer(&rig, 0x200, 64, 0xd0);
	assert_int_equal(t_word(&rig, 0), 0x00800080);
	t_command(&rig, 0, 0xff);
	for (u32 i = 0; i < 64; i++)
		assert_int_equal(t_word(&rig, 0x200 + 4 * i), 0xa0000000 + i);
	assert_int_equal(t_word(&rig, 0x300), 0xffffffff);
	assert_int_equal(t_kept(&rig, 0x2fc), 0xa000003f);
	t_close(&rig);
}

/* What a wrong sequence says in the status, and that it has changed nothing. */
static void t_refused(struct t_rig *rig, u16 status)
{
	t_command(rig, 0, 0x70);
	assert_int_equal(t_word(rig, 0), (u32)status << 16 | status);
	t_command(rig, 0, 0x50);
	t_command(rig, 0, 0x70);
	assert_int_equal(t_word(rig, 0), 0x00800080);
	t_command(rig, 0, 0xff);
	for (u64 off = 0; off < T_SIZE; off += 4)
		assert_int_equal(t_word(rig, off), 0xffffffff);
}

static void test_wrong_sequences_are_errors(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	t_buffer(&rig, 0x200, 4, 0xff);			/* not confirmed */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 64);				/* one too many */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 0xffff);
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 3);
	t_write(&rig, 0x200, 0);
	t_write(&rig, 0x210, 0);			/* not within four of it */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 3);
	t_write(&rig, 0x200, 0);
	t_write(&rig, 0x1fc, 0);			/* before it */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 1);
	t_write(&rig, 0xfffc, 0);
	t_write(&rig, 0x10000, 0);			/* the next block */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0xe8);
	t_command(&rig, 0, 1);
	t_write(&rig, T_SIZE - 4, 0);			/* and no further */
	t_write(&rig, 0, 0);
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0x20);
	t_command(&rig, 0, 0x20);
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0x60);
	t_command(&rig, 0, 0x01);			/* nothing can be locked */
	t_refused(&rig, 0xb0);
	t_command(&rig, 0, 0x60);
	t_command(&rig, 0, 0xd0);			/* all is unlocked */
	t_refused(&rig, 0x80);
	t_close(&rig);
}

static void test_a_readonly_one_says_so(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open_file(&rig, t_file_of(T_SIZE), true);
	t_command(&rig, 0, 0x40);
	t_write(&rig, 0, 0);
	t_refused(&rig, 0x92);
	t_command(&rig, 0, 0x20);
	t_command(&rig, 0, 0xd0);
	t_refused(&rig, 0xa2);
	t_buffer(&rig, 0x200, 4, 0xd0);
	t_refused(&rig, 0x92);
	assert_int_equal(t_kept(&rig, 0), 0xffffffff);
	t_close(&rig);
}

static void test_a_file_that_cannot_be_written_is_an_error_of_the_chip(void **state)
{
	char path[64];
	struct t_rig rig;
	int fd = t_file_of(T_SIZE);
	int readonly;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readonly = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(readonly >= 0);
	close(fd);
	t_open_file(&rig, readonly, false);
	t_command(&rig, 0, 0x40);
	t_write(&rig, 0, 0);
	assert_int_equal(t_word(&rig, 0), 0x00900090);
	t_command(&rig, 0, 0x50);
	t_command(&rig, 0, 0x20);
	t_command(&rig, 0, 0xd0);
	assert_int_equal(t_word(&rig, 0), 0x00a000a0);
	assert_true(rig.nr_lines >= 2 && rig.nr_lines <= LOG_BURST + 1);
	t_close(&rig);
}

/* A part of a block has room: the block is in error until there is some for all of it. */
static void test_a_disk_that_is_full(void **state)
{
	const u32 block = 0x10000;
	struct rlimit before;
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_int_equal(ftruncate(rig.fd, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ block + 512, before.rlim_max }), 0);
	t_command(&rig, block, 0x20);
	t_command(&rig, block, 0xd0);
	assert_int_equal(t_word(&rig, block), 0x00a000a0);
	t_command(&rig, block, 0x50);
	t_command(&rig, block + 0x400, 0x40);
	t_write(&rig, block + 0x400, 0x12345678);
	assert_int_equal(t_word(&rig, block), 0x00900090);
	assert_in_range(rig.nr_lines, 2, LOG_BURST + 1);
	/* What is in front of the end works on. */
	t_command(&rig, 0, 0x50);
	t_command(&rig, 0x100, 0x40);
	t_write(&rig, 0x100, 0x11112222);
	assert_int_equal(t_word(&rig, 0), 0x00800080);
	assert_int_equal(t_kept(&rig, 0x100), 0x11112222);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	t_command(&rig, block, 0x20);
	t_command(&rig, block, 0xd0);
	assert_int_equal(t_word(&rig, block), 0x00800080);
	assert_int_equal(t_kept(&rig, block + 0xfffc), 0xffffffff);
	t_close(&rig);
}

/* The contents were read: no signal for who reads them. */
static void test_a_file_that_shrinks_harms_nobody(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	assert_int_equal(ftruncate(rig.fd, 0), 0);
	assert_int_equal(t_word(&rig, T_SIZE - 4), 0xffffffff);
	t_close(&rig);
}

static void test_sizes(void **state)
{
	static const struct {
		off_t	size;
		int	ret;
	} sizes[] = {
		{ 0, -ENOEXEC }, { 0x8000, -ENOEXEC }, { 0x10000, 0 }, { 0x18000, -ENOEXEC },
		{ 0x1000000, 0 }, { 0x1000001, -ENOEXEC }, { 0x2000000, -ENOEXEC },
	};
	struct t_rig rig = { .log = { .level = VMM_LOG_ERROR } };
	struct vmm_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct cfi_flash_config cfg = {
			.fd = t_file_of(sizes[i].size), .log = &rig.log, .map = t_map, .ctx = &rig,
		};
		struct cfi_flash *flash = NULL;

		assert_int_equal(cfi_flash_create(&flash, &cfg, &err), sizes[i].ret);
		if (sizes[i].ret)
			assert_non_null(strstr(err.msg, "no power of two"));
		else
			assert_int_equal(cfi_flash_size(flash), sizes[i].size);
		cfi_flash_destroy(flash);
		close(cfg.fd);
	}
}

/* Whatever is written, in whatever order: sanitizers watch. */
static void test_noise(void **state)
{
	static const u8 commands[] = {
		0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xb0, 0xd0, 0xe8, 0xff, 0x03,
	};
	struct t_rig rig;
	u64 noise = 88172645463325252ull;
	off_t size;

	(void)state;
	t_open(&rig);
	size = lseek(rig.fd, 0, SEEK_END);
	for (u32 i = 0; i < 200000; i++) {
		unsigned int len = 1u << (noise >> 20) % 4;
		u64 off = (noise >> 24) % (T_SIZE - len + 1);
		u32 cmd = commands[(noise >> 50) % ARRAY_SIZE(commands)];

		noise ^= noise << 13;
		noise ^= noise >> 7;
		noise ^= noise << 17;
		if (noise % 8 == 0)
			(void)cfi_flash_read(rig.flash, off, len);
		else if (noise % 8 == 1)
			cfi_flash_write(rig.flash, off, len, noise);
		else
			cfi_flash_write(rig.flash, off & ~3ull, 4, cmd << 16 | cmd);
	}
	t_command(&rig, 0, 0xff);
	t_command(&rig, 0, 0xff);
	for (u32 i = 0; i < 300; i++)
		t_command(&rig, 0, 0xff);
	assert_non_null(rig.mapped);
	for (u64 off = 0; off < T_SIZE; off += 4)
		assert_int_equal(t_word(&rig, off), t_kept(&rig, off));
	assert_int_equal(lseek(rig.fd, 0, SEEK_END), size);
	t_close(&rig);
}

static void test_tree(void **state)
{
	char buf[4096];
	struct tree t;
	struct t_rig rig;
	int node;

	(void)state;
	t_open(&rig);
	tree_init(&t, buf, sizeof(buf));
	cfi_flash_tree(rig.flash, &t, 0x2000000);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/flash@2000000");
	assert_true(node > 0);
	assert_string_equal(fdt_getprop(buf, node, "compatible", NULL), "cfi-flash");
	assert_string_equal(fdt_getprop(buf, node, "label", NULL), "System-firmware");
	assert_int_equal(fdt32_to_cpu(*(const u32 *)fdt_getprop(buf, node, "bank-width", NULL)), 4);
	t_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_describes_itself),
		cmocka_unit_test(test_it_is_memory_while_both_chips_are),
		cmocka_unit_test(test_a_slot_that_cannot_be_changed_is_tried_again),
		cmocka_unit_test(test_programming_clears_bits_alone),
		cmocka_unit_test(test_erasing_is_of_a_block),
		cmocka_unit_test(test_a_buffer_is_programmed_at_once),
		cmocka_unit_test(test_wrong_sequences_are_errors),
		cmocka_unit_test(test_a_readonly_one_says_so),
		cmocka_unit_test(test_a_file_that_cannot_be_written_is_an_error_of_the_chip),
		cmocka_unit_test(test_a_disk_that_is_full),
		cmocka_unit_test(test_a_file_that_shrinks_harms_nobody),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
