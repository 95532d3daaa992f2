/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_image.c - arm64/image.c, image_head.c and unpack.c
 *
 * Guest RAM lies between pages that fault, and files are memfds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "arm64/image.h"
#include "vmm/error.h"

#define T_BASE		0x80000000ull
#define T_GUARD		KIB(64)
#define T_PE		0x40		/* where t_image() puts its PE header */
#define T_SECTIONS	(T_PE + 0x18 + 0x70)
#define T_ALL_GRANULES	(IMAGE_GRANULE_4K | IMAGE_GRANULE_16K | IMAGE_GRANULE_64K)

struct t_file {
	u8	*data;
	size_t	len;
};

struct t_vm {
	struct gmem		mem;
	struct image_request	req;
	struct image_layout	out;
	struct vmm_error	err;
};

/* ---- Bytes -------------------------------------------------------------- */

static void t_put(struct t_file *f, size_t off, const void *p, size_t len)
{
	if (off + len > f->len) {
		f->data = realloc(f->data, off + len);
		assert_non_null(f->data);
		memset(f->data + f->len, 0, off + len - f->len);
		f->len = off + len;
	}
	memcpy(f->data + off, p, len);
}

static void t_le(struct t_file *f, size_t off, u64 val, size_t bytes)
{
	u8 le[8];

	for (size_t i = 0; i < bytes; i++)
		le[i] = (u8)(val >> (8 * i));
	t_put(f, off, le, bytes);
}

static u32 t_random(u32 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Bytes that do not repeat and do not compress too well. */
static struct t_file t_bytes(size_t len)
{
	struct t_file f = { .data = malloc(len), .len = len };
	u32 seed = 0x2545f491;

	assert_non_null(f.data);
	for (size_t i = 0; i < len; i++)
		f.data[i] = (u8)(t_random(&seed) & 0x3f) + 0x40;
	return f;
}

/* An Image as Linux builds it: PE32+, .text from 0x1000 on, .data to the end. */
static struct t_file t_image(size_t len, u64 text_offset, u64 image_size, u64 flags)
{
	struct t_file f = t_bytes(len);
	u32 text = (u32)(len - 0x1000) / 2;

	memset(f.data, 0, 0x1000);
	t_put(&f, 0, "MZ\0\x91", 4);
	t_le(&f, 0x08, text_offset, 8);
	t_le(&f, 0x10, image_size, 8);
	t_le(&f, 0x18, flags, 8);
	t_put(&f, 0x38, "ARM\x64", 4);
	t_le(&f, 0x3c, T_PE, 4);
	t_put(&f, T_PE, "PE\0\0", 4);
	t_le(&f, T_PE + 4, 0xaa64, 2);
	t_le(&f, T_PE + 6, 2, 2);
	t_le(&f, T_PE + 20, T_SECTIONS - T_PE - 0x18, 2);
	t_put(&f, T_SECTIONS, ".text", 5);
	t_le(&f, T_SECTIONS + 16, text, 4);
	t_le(&f, T_SECTIONS + 20, 0x1000, 4);
	t_put(&f, T_SECTIONS + 40, ".data", 5);
	t_le(&f, T_SECTIONS + 56, len - 0x1000 - text, 4);
	t_le(&f, T_SECTIONS + 60, 0x1000 + text, 4);
	return f;
}

static struct t_file t_gzip(struct t_file in)
{
	struct t_file out = { .data = malloc(in.len + 4096) };
	z_stream s = {
		.next_in = in.data,
		.avail_in = (uInt)in.len,
		.next_out = out.data,
		.avail_out = (uInt)in.len + 4096,
	};

	assert_int_equal(deflateInit2(&s, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	out.len = s.total_out;
	deflateEnd(&s);
	free(in.data);
	return out;
}

/* As through a pipe: no content size, a window of 2^@window_log. */
static struct t_file t_zstd(struct t_file in, int window_log)
{
	struct t_file out = { .data = malloc(ZSTD_compressBound(in.len)) };
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	ZSTD_inBuffer ib = { .src = in.data, .size = in.len };
	ZSTD_outBuffer ob = { .dst = out.data, .size = ZSTD_compressBound(in.len) };

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, window_log);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	assert_false(ZSTD_isError(ZSTD_compressStream2(ctx, &ob, &ib, ZSTD_e_continue)));
	assert_int_equal(ZSTD_compressStream2(ctx, &ob, &ib, ZSTD_e_end), 0);
	out.len = ob.pos;
	ZSTD_freeCCtx(ctx);
	free(in.data);
	return out;
}

static struct t_file t_zboot(struct t_file payload, const char *type, u16 machine)
{
	struct t_file f = { 0 };

	t_put(&f, 0, "MZ\0\0zimg", 8);
	t_le(&f, 0x08, 0x1000, 4);
	t_le(&f, 0x0c, payload.len, 4);
	t_put(&f, 0x18, type, strlen(type));
	t_le(&f, 0x38, 0x818223cd, 4);		/* LINUX_PE_MAGIC */
	t_le(&f, 0x3c, T_PE, 4);
	t_put(&f, T_PE, "PE\0\0", 4);
	t_le(&f, T_PE + 4, machine, 2);
	t_put(&f, 0x1000, payload.data, payload.len);
	t_le(&f, f.len, 0, 4);			/* the stub follows in a real one */
	free(payload.data);
	return f;
}

static struct t_file t_text(size_t len, size_t off, const char *magic, size_t magic_len)
{
	struct t_file f = t_bytes(len);

	t_put(&f, off, magic, magic_len);
	return f;
}

static int t_memfd(const void *data, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	return fd;
}

/* ---- A machine ---------------------------------------------------------- */

static void t_vm_init(struct t_vm *vm, u64 size)
{
	u8 *p = mmap(NULL, size + 2 * T_GUARD, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + T_GUARD, size, PROT_READ | PROT_WRITE), 0);
	*vm = (struct t_vm){
		.mem = { .host = p + T_GUARD, .base = T_BASE, .size = size },
		.req = { .kernel_fd = -1, .initrd_fd = -1, .granules = T_ALL_GRANULES },
	};
}

static void t_vm_fini(struct t_vm *vm)
{
	munmap(vm->mem.host - T_GUARD, vm->mem.size + 2 * T_GUARD);
	if (vm->req.kernel_fd >= 0)
		close(vm->req.kernel_fd);
	if (vm->req.initrd_fd >= 0)
		close(vm->req.initrd_fd);
}

static void t_vm_kernel(struct t_vm *vm, struct t_file f)
{
	if (vm->req.kernel_fd >= 0)
		close(vm->req.kernel_fd);
	vm->req.kernel_fd = t_memfd(f.data, f.len);
}

static void t_vm_initrd(struct t_vm *vm, size_t len)
{
	struct t_file f = t_bytes(len);

	if (vm->req.initrd_fd >= 0)
		close(vm->req.initrd_fd);
	vm->req.initrd_fd = t_memfd(f.data, f.len);
	free(f.data);
}

static int t_vm_load(struct t_vm *vm)
{
	memset(&vm->out, 0xa5, sizeof(vm->out));
	strcpy(vm->err.msg, "untouched");
	return image_load(&vm->req, &vm->mem, &vm->out, &vm->err);
}

#define t_loads(vm)	t_loads_at(vm, __LINE__)
static void t_loads_at(struct t_vm *vm, int line)
{
	int ret = t_vm_load(vm);

	if (ret)
		print_error("line %d: %d: %s\n", line, ret, vm->err.msg);
	assert_int_equal(ret, 0);
	assert_string_equal(vm->err.msg, "untouched");
}

#define t_refuses(vm, ret, text)	t_refuses_at(vm, ret, text, __LINE__)
static void t_refuses_at(struct t_vm *vm, int want, const char *text, int line)
{
	struct image_layout before;
	int ret = t_vm_load(vm);

	if (ret != want || !strstr(vm->err.msg, text))
		print_error("line %d: %d: %s; not %d: %s\n", line, ret, vm->err.msg, want, text);
	assert_int_equal(ret, want);
	assert_non_null(strstr(vm->err.msg, text));
	memset(&before, 0xa5, sizeof(before));
	assert_memory_equal(&vm->out, &before, sizeof(before));
	assert_int_equal(image_load(&vm->req, &vm->mem, &vm->out, NULL), want);
}

static const u8 *t_at(const struct t_vm *vm, gpa_t gpa, u64 len)
{
	const u8 *p = gmem_host(&vm->mem, gpa, len);

	assert_non_null(p);
	return p;
}

static void t_is_zero(const struct t_vm *vm, gpa_t from, gpa_t to)
{
	const u8 *p = t_at(vm, from, to - from);

	/* Each byte is what the one before it is. */
	if (from == to || (!p[0] && !memcmp(p, p + 1, to - from - 1)))
		return;
	for (u64 i = 0; i < to - from; i++) {
		if (p[i])
			fail_msg("0x%llx is not zero", (unsigned long long)(from + i));
	}
}

/* All of RAM, as far as the payload region goes, is zero but for these parts. */
static void t_holds_only(const struct t_vm *vm, const struct t_file *kernel, size_t initrd_len)
{
	gpa_t end = T_BASE + (vm->mem.size < MIB(512) ? vm->mem.size : MIB(512));
	gpa_t initrd = initrd_len ? vm->out.initrd : end;
	struct t_file f;

	assert_memory_equal(t_at(vm, vm->out.entry, kernel->len), kernel->data, kernel->len);
	t_is_zero(vm, T_BASE, vm->out.entry);
	t_is_zero(vm, vm->out.entry + kernel->len, initrd);
	if (!initrd_len)
		return;
	f = t_bytes(initrd_len);
	assert_int_equal(vm->out.initrd_end - vm->out.initrd, initrd_len);
	assert_memory_equal(t_at(vm, initrd, initrd_len), f.data, initrd_len);
	t_is_zero(vm, vm->out.initrd_end, end);
	free(f.data);
}

/* ---- Addresses ---------------------------------------------------------- */

static void test_addresses_are_those_of_kvmtool(void **state)
{
	static const struct {
		u64	ram;
		gpa_t	dtb;
		u64	dtb_max;
	} rows[] = {
		{ MIB(4), 0x80200000, MIB(2) },
		{ MIB(16), 0x80e00000, MIB(2) },
		{ MIB(16) + KIB(64), 0x80e00000, MIB(2) },
		{ MIB(16) + KIB(128), 0x81000000, KIB(128) },
		{ MIB(18) - KIB(64), 0x81000000, MIB(2) - KIB(64) },
		{ MIB(64), 0x83e00000, MIB(2) },
		{ MIB(256), 0x8fe00000, MIB(2) },
		{ MIB(512), 0x9fe00000, MIB(2) },
		{ MIB(512) + KIB(64), 0x9fe00000, MIB(2) },
		{ GIB(6), 0x9fe00000, MIB(2) },
	};
	struct t_file image = t_image(KIB(300), 0, KIB(400), 0xa);
	struct t_vm vm;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t_vm_init(&vm, rows[i].ram);
		t_vm_kernel(&vm, image);
		t_vm_initrd(&vm, 100001);
		t_loads(&vm);
		assert_string_equal(vm.out.format, "Image");
		assert_int_equal(vm.out.entry, T_BASE);
		assert_int_equal(vm.out.dtb, rows[i].dtb);
		assert_int_equal(vm.out.dtb_max, rows[i].dtb_max);
		assert_int_equal(vm.out.initrd, rows[i].dtb - 102400);
		assert_int_equal(vm.out.initrd_end, rows[i].dtb - 102400 + 100001);
		if (rows[i].ram <= MIB(64))
			t_holds_only(&vm, &image, 100001);
		t_vm_fini(&vm);
	}
	free(image.data);
}

static void test_no_initrd_is_zero(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, image);
	t_loads(&vm);
	assert_int_equal(vm.out.initrd, 0);
	assert_int_equal(vm.out.initrd_end, 0);
	t_vm_fini(&vm);
	free(image.data);
}

static void test_initrd_of_whole_pages_ends_at_the_tree(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(256));
	t_vm_kernel(&vm, image);
	t_vm_initrd(&vm, MIB(1));
	t_loads(&vm);
	assert_int_equal(vm.out.initrd, 0x8fd00000);
	assert_int_equal(vm.out.initrd_end, 0x8fe00000);
	t_vm_fini(&vm);
	free(image.data);
}

static void test_ram_must_be_where_images_can_be(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, image);
	vm.mem.base = T_BASE + KIB(64);
	t_refuses(&vm, -EINVAL, "RAM: cannot be at 0x80010000");
	vm.mem.base = -MIB(4);
	t_refuses(&vm, -EINVAL, "RAM: cannot be at 0xffffffffffc00000");
	vm.mem.base = 0x4000000000ull;
	t_loads(&vm);
	assert_int_equal(vm.out.entry, 0x4000000000ull);
	assert_int_equal(vm.out.dtb, 0x4000e00000ull);
	vm.mem.base = T_BASE;
	vm.mem.size = MIB(2);
	t_refuses(&vm, -EFBIG, "kernel: does not fit into 2048 KiB of RAM");
	vm.mem.size = MIB(2) + KIB(64);
	t_refuses(&vm, -EFBIG, "of 0 KiB below the device tree");
	vm.mem.size = MIB(16);
	t_vm_fini(&vm);
	free(image.data);
}

/* ---- The Image header --------------------------------------------------- */

static void test_text_offset_moves_the_kernel(void **state)
{
	static const struct {
		u64	text_offset;
		u64	image_size;
		gpa_t	entry;
	} rows[] = {
		{ 0, MIB(1), 0x80000000 },
		{ 0x80000, MIB(1), 0x80080000 },
		{ 0x400000, MIB(1), 0x80400000 },
		{ 0, 0, 0x80080000 },			/* before Linux 3.17 */
		{ 0x0000080000000000, 0, 0x80080000 },	/* ... and big-endian */
	};
	struct t_vm vm;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int pack = 0; pack < 3; pack++) {
			struct t_file image = t_image(KIB(600), rows[i].text_offset,
						      rows[i].image_size, 0);
			struct t_file packed = t_image(KIB(600), rows[i].text_offset,
						       rows[i].image_size, 0);

			if (pack)
				packed = pack == 1 ? t_gzip(packed) : t_zstd(packed, 20);
			t_vm_init(&vm, MIB(16));
			t_vm_kernel(&vm, packed);
			t_vm_initrd(&vm, KIB(10));
			t_loads(&vm);
			assert_int_equal(vm.out.entry, rows[i].entry);
			t_holds_only(&vm, &image, KIB(10));
			t_vm_fini(&vm);
			free(image.data);
			free(packed.data);
		}
	}
}

static void test_granule_must_be_there(void **state)
{
	static const struct {
		u64		flags;
		unsigned int	granules;
		const char	*text;		/* NULL: loads */
	} rows[] = {
		{ 0x0, 0, NULL },
		{ 0x2, IMAGE_GRANULE_4K, NULL },
		{ 0x2, IMAGE_GRANULE_16K | IMAGE_GRANULE_64K, "kernel: built for 4 KiB pages" },
		{ 0x4, IMAGE_GRANULE_16K, NULL },
		{ 0x4, IMAGE_GRANULE_4K | IMAGE_GRANULE_64K,
		  "kernel: built for 16 KiB pages, which this CPU does not have" },
		{ 0x6, IMAGE_GRANULE_64K, NULL },
		{ 0x6, IMAGE_GRANULE_4K | IMAGE_GRANULE_16K, "kernel: built for 64 KiB pages" },
		{ 0x3, IMAGE_GRANULE_4K, NULL },		/* big-endian */
		{ 0xfffffffffffffff8, IMAGE_GRANULE_4K, NULL },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file image = t_image(KIB(64), 0, KIB(64), rows[i].flags);

		t_vm_kernel(&vm, image);
		vm.req.granules = rows[i].granules;
		if (rows[i].text)
			t_refuses(&vm, -ENOEXEC, rows[i].text);
		else
			t_loads(&vm);
		free(image.data);
	}
	t_vm_fini(&vm);
}

static void test_hostile_sizes_are_refused(void **state)
{
	static const struct {
		u64		text_offset;
		u64		image_size;
		int		ret;
		const char	*text;
	} rows[] = {
		{ 0, MIB(14), 0, NULL },
		{ 0, MIB(14) + 1, -EFBIG,
		  "kernel: needs 14337 KiB at RAM + 0x0, of 14336 KiB below the device tree" },
		{ MIB(13), MIB(1), 0, NULL },
		{ MIB(13) + 4, MIB(1), -EFBIG, "kernel: needs 1024 KiB at RAM + 0xd00004" },
		{ MIB(14), MIB(1), -EFBIG, "kernel: needs" },
		{ 2, MIB(1), -ENOEXEC, "text_offset 0x2 is not a multiple of 4" },
		{ 0, UINT64_MAX, -EFBIG, "kernel: needs 18014398509481984 KiB" },
		{ 0, UINT64_MAX - T_BASE, -EFBIG, "kernel: needs" },
		{ UINT64_MAX - 3, MIB(1), -EFBIG, "kernel: needs" },
		{ UINT64_MAX - T_BASE - 3, MIB(1), -EFBIG, "kernel: needs" },
		{ UINT64_MAX & ~0xfffull, UINT64_MAX, -EFBIG, "kernel: needs" },
		{ 0, 1, 0, NULL },			/* less than the file */
		{ MIB(14) - KIB(64), 1, 0, NULL },
		{ MIB(14) - KIB(64) + 4, 1, -EFBIG, "kernel: needs 64 KiB" },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file image = t_image(KIB(64), rows[i].text_offset, rows[i].image_size, 0);

		t_vm_kernel(&vm, image);
		if (rows[i].ret)
			t_refuses(&vm, rows[i].ret, rows[i].text);
		else
			t_loads(&vm);
		free(image.data);
	}
	t_vm_fini(&vm);
}

static void test_kernel_and_initrd_do_not_overlap(void **state)
{
	struct t_file image = t_image(KIB(64), 0, MIB(12), 0);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, image);
	t_vm_initrd(&vm, MIB(2));
	t_loads(&vm);
	assert_int_equal(vm.out.initrd, T_BASE + MIB(12));
	t_vm_initrd(&vm, MIB(2) + 1);
	t_refuses(&vm, -EFBIG,
		  "kernel: needs 12288 KiB at RAM + 0x0, of 12284 KiB below the initrd");
	t_vm_initrd(&vm, MIB(14));
	t_refuses(&vm, -EFBIG, "of 0 KiB below the initrd");
	t_vm_initrd(&vm, MIB(14) + 1);
	t_refuses(&vm, -EFBIG,
		  "initrd: 14337 KiB do not fit into 14336 KiB below the device tree");
	t_vm_fini(&vm);
	free(image.data);
}

static void test_truncated_image_is_noticed(void **state)
{
	struct t_file image = t_image(KIB(300), 0, KIB(400), 0);
	struct t_file start = { 0 };
	struct t_file gz;
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	image.len--;
	t_vm_kernel(&vm, image);
	t_refuses(&vm, -ENOEXEC, "kernel: truncated: 307199 of 307200 bytes");
	image.len = 12345;
	t_vm_kernel(&vm, image);
	t_refuses(&vm, -ENOEXEC, "kernel: truncated: 12345 of 307200 bytes");
	gz = t_gzip(image);
	t_vm_kernel(&vm, gz);
	t_refuses(&vm, -ENOEXEC, "kernel: truncated: 12345 of 307200 bytes");
	t_put(&start, 0, "MZ", 2);
	t_put(&start, 39, "", 1);
	t_vm_kernel(&vm, start);
	t_refuses(&vm, -ENOEXEC, "kernel: truncated: 40 bytes");
	t_vm_fini(&vm);
	free(gz.data);
	free(start.data);
}

/* Where the PE headers make no sense there is nothing to check against. */
static void test_hostile_pe_headers_are_harmless(void **state)
{
	static const struct {
		u16	off;
		u8	bytes;
		u32	val;
		bool	truncated;
	} rows[] = {
		{ 0x3c, 4, 0, false },				/* the PE offset */
		{ 0x3c, 4, 0xffffffff, false },
		{ 0x3c, 4, 4096 - 4, false },
		{ 0x3c, 4, 4096 - 24, false },
		{ 0x3c, 4, 4096, false },
		{ 0x3c, 4, 4097, false },
		{ T_PE, 4, 0, false },				/* its magic */
		{ T_PE + 6, 2, 0, false },			/* sections */
		{ T_PE + 6, 2, 0xffff, false },
		{ T_PE + 20, 2, 0xffff, false },		/* the optional header */
		{ T_SECTIONS + 56, 4, 0xffffffff, true },	/* size of .data */
		{ T_SECTIONS + 60, 4, 0xffffffff, true },	/* offset of .data */
		{ T_SECTIONS + 56, 4, 0, false },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file image = t_image(KIB(64), 0, KIB(64), 0);

		t_le(&image, rows[i].off, rows[i].val, rows[i].bytes);
		t_vm_kernel(&vm, image);
		if (rows[i].truncated)
			t_refuses(&vm, -ENOEXEC, "kernel: truncated: 65536 of 429");
		else
			t_loads(&vm);
		free(image.data);
	}
	t_vm_fini(&vm);
}

static void test_bare_header_is_enough(void **state)
{
	struct t_file f = { 0 };
	struct t_vm vm;

	(void)state;
	t_le(&f, 0x10, KIB(4), 8);
	t_put(&f, 0x38, "ARM\x64\0\0\0", 8);
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, f);
	t_loads(&vm);
	assert_string_equal(vm.out.format, "Image");
	f.len--;
	t_vm_kernel(&vm, f);
	t_loads(&vm);
	assert_string_equal(vm.out.format, "flat binary");
	t_vm_fini(&vm);
	free(f.data);
}

/* ---- Formats ------------------------------------------------------------ */

static void test_every_format_is_loaded(void **state)
{
	struct t_file plain[] = {
		t_image(KIB(700), 0, KIB(900), 0xa),
		t_bytes(KIB(700)),
	};
	struct {
		struct t_file	file;
		const char	*format;
		int		is;		/* of plain[] */
	} rows[] = {
		{ t_image(KIB(700), 0, KIB(900), 0xa), "Image", 0 },
		{ t_gzip(t_image(KIB(700), 0, KIB(900), 0xa)), "gzip Image", 0 },
		{ t_zstd(t_image(KIB(700), 0, KIB(900), 0xa), 20), "zstd Image", 0 },
		{ t_zstd(t_image(KIB(700), 0, KIB(900), 0xa), 27), "zstd Image", 0 },
		{ t_zboot(t_gzip(t_image(KIB(700), 0, KIB(900), 0xa)), "gzip", 0xaa64),
		  "EFI zboot (gzip)", 0 },
		{ t_zboot(t_zstd(t_image(KIB(700), 0, KIB(900), 0xa), 27), "zstd", 0xaa64),
		  "EFI zboot (zstd)", 0 },
		{ t_zboot(t_zstd(t_image(KIB(700), 0, KIB(900), 0xa), 20), "zstd22", 0xaa64),
		  "EFI zboot (zstd)", 0 },
		{ t_bytes(KIB(700)), "flat binary", 1 },
		{ t_gzip(t_bytes(KIB(700))), "gzip flat binary", 1 },
		{ t_zstd(t_bytes(KIB(700)), 20), "zstd flat binary", 1 },
	};
	struct t_vm vm;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t_vm_init(&vm, MIB(16));
		t_vm_kernel(&vm, rows[i].file);
		t_vm_initrd(&vm, KIB(123));
		t_loads(&vm);
		assert_string_equal(vm.out.format, rows[i].format);
		assert_int_equal(vm.out.entry, rows[i].is ? T_BASE + 0x80000 : T_BASE);
		t_holds_only(&vm, &plain[rows[i].is], KIB(123));
		t_vm_fini(&vm);
		free(rows[i].file.data);
	}
	free(plain[0].data);
	free(plain[1].data);
}

static void test_what_is_known_and_cannot_boot_is_named(void **state)
{
	struct t_file elf = t_text(KIB(8), 0, "\177ELF\2\1\1", 7);
	struct t_file x86_efi = t_image(KIB(8), 0, 0, 0);
	struct t_file bzimage = t_image(KIB(8), 0, 0, 0);
	struct t_file pe_arm64 = t_image(KIB(8), 0, 0, 0);
	struct t_file pe_odd = t_image(KIB(8), 0, 0, 0);

	t_le(&x86_efi, 0x38, 0, 4);
	t_le(&x86_efi, T_PE + 4, 0x8664, 2);
	t_le(&bzimage, 0x38, 0, 4);
	t_le(&bzimage, T_PE + 4, 0x8664, 2);
	t_put(&bzimage, 0x202, "HdrS", 4);
	t_le(&pe_arm64, 0x38, 0, 4);
	t_le(&pe_odd, 0x38, 0, 4);
	t_le(&pe_odd, T_PE + 4, 0x1234, 2);

	struct {
		struct t_file	file;
		const char	*text;
	} rows[] = {
		{ bzimage, "kernel: is an x86 bzImage" },
		{ x86_efi, "kernel: is an EFI program for x86-64: an arm64 Image is needed" },
		{ pe_odd, "kernel: is an EFI program for another machine (0x1234)" },
		{ pe_arm64, "kernel: is an EFI program without a Linux Image" },
		{ t_text(100, 0x24, "\x18\x28\x6f\x01", 4), "kernel: is a 32-bit Arm zImage" },
		{ t_text(100, 0x38, "RSC\x05", 4), "kernel: is a RISC-V Image" },
		{ t_text(100, 0, "\xfd" "7zXZ\0", 6), "kernel: is xz-compressed: unpack it first" },
		{ t_text(100, 0, "BZh9", 4), "kernel: is bzip2-compressed" },
		{ t_text(100, 0, "\x04\x22\x4d\x18", 4), "kernel: is lz4-compressed" },
		{ t_text(4, 0, "\x02\x21\x4c\x18", 4), "kernel: is lz4-compressed" },
		{ t_text(100, 0, "\x89LZO\0\r\n\x1a\n", 9), "kernel: is lzo-compressed" },
		{ t_text(100, 0, "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", 13),
		  "kernel: is lzma-compressed" },
		{ t_text(100, 0, "\x27\x05\x19\x56", 4), "kernel: is a U-Boot uImage" },
		{ t_text(100, 0, "\xd0\x0d\xfe\xed", 4), "kernel: is a device tree" },
		{ t_text(100, 0, "ANDROID!", 8), "kernel: is an Android boot image" },
		{ t_gzip(t_text(KIB(8), 0, "\177ELF", 4)), "kernel: is an ELF file" },
		{ t_gzip(t_gzip(t_bytes(KIB(8)))), "kernel: is compressed twice" },
		{ t_gzip(t_zboot(t_gzip(t_bytes(KIB(8))), "gzip", 0xaa64)),
		  "kernel: is compressed twice" },
		{ t_zboot(t_gzip(t_bytes(KIB(8))), "gzip", 0xaa64),
		  "kernel: EFI zboot without an Image in it" },
		{ t_zboot(t_gzip(t_text(KIB(8), 0, "\177ELF", 4)), "gzip", 0xaa64),
		  "kernel: is an ELF file" },
		{ t_zboot(t_bytes(100), "xzkern", 0xaa64),
		  "kernel: is EFI zboot compressed with 'xzkern': only gzip and zstd" },
		{ t_zboot(t_bytes(100), "lzma", 0xaa64), "with 'lzma'" },
		{ t_zboot(t_bytes(100), "", 0xaa64), "with ''" },
		{ t_zboot(t_bytes(100), "\033[2J\x80", 0xaa64), "with '?[2J?'" },
		{ t_zboot(t_bytes(100), "0123456789abcdef0123456789abcdef", 0xaa64),
		  "with '0123456789abcdef0123456789abcdef'" },
		{ t_zboot(t_gzip(t_bytes(100)), "gzip", 0x6264),
		  "kernel: is an EFI program for LoongArch" },
		{ elf, "kernel: is an ELF file: use arch/arm64/boot/Image" },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t_vm_kernel(&vm, rows[i].file);
		t_refuses(&vm, -ENOEXEC, rows[i].text);
		free(rows[i].file.data);
	}
	t_vm_fini(&vm);
}

static void test_flat_binary_keeps_a_mebibyte_above(void **state)
{
	struct t_file f = t_bytes(MIB(13) - 0x80000);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, f);
	t_loads(&vm);
	assert_int_equal(vm.out.entry, 0x80080000);
	t_le(&f, f.len, 0, 1);
	t_vm_kernel(&vm, f);
	t_refuses(&vm, -EFBIG, "kernel: needs 13825 KiB at RAM + 0x80000, of 14336 KiB");
	t_vm_fini(&vm);
	free(f.data);
}

/* The first instruction may look like the start of a format, but for a byte. */
static void test_flat_binary_may_start_with_anything(void **state)
{
	static const struct {
		const char	*start;
		size_t		len;
	} rows[] = {
		{ "\0", 1 },
		{ "\x5d\0\0\x14", 4 },			/* b . + 0x174 */
		{ "\x1f", 1 },
		{ "ARM\x64", 4 },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file f = { 0 };

		t_put(&f, 0, rows[i].start, rows[i].len);
		t_vm_kernel(&vm, f);
		t_loads(&vm);
		assert_string_equal(vm.out.format, "flat binary");
		free(f.data);
	}
	t_vm_fini(&vm);
}

/* ---- Compressed data ---------------------------------------------------- */

static void test_truncated_stream_is_named(void **state)
{
	static const char *const texts[] = { "kernel: gzip data is truncated",
					     "kernel: zstd data is truncated" };
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(4));
	for (int zstd = 0; zstd < 2; zstd++) {
		struct t_file f = t_image(KIB(8), 0, KIB(8), 0);

		f = zstd ? t_zstd(f, 20) : t_gzip(f);
		for (size_t len = zstd ? 4 : 2; len < f.len; len += len < 64 ? 1 : 97) {
			t_vm_kernel(&vm, (struct t_file){ f.data, len });
			t_refuses(&vm, -ENOEXEC, texts[zstd]);
		}
		t_vm_kernel(&vm, f);
		t_loads(&vm);
		free(f.data);
	}
	t_vm_fini(&vm);
}

static void test_corrupt_stream_is_named(void **state)
{
	static const char *const texts[] = { "kernel: gzip data is corrupt: ",
					     "kernel: zstd data is corrupt: " };
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(4));
	for (int zstd = 0; zstd < 2; zstd++) {
		struct t_file f = t_image(KIB(64), 0, KIB(64), 0);

		f = zstd ? t_zstd(f, 20) : t_gzip(f);
		f.data[f.len - (zstd ? 2 : 6)] ^= 1;	/* the checksum */
		t_vm_kernel(&vm, f);
		t_refuses(&vm, -ENOEXEC, texts[zstd]);
		free(f.data);
	}
	t_vm_kernel(&vm, (struct t_file){ (u8 *)"\x1f\x8b\x07", 3 });
	t_refuses(&vm, -ENOEXEC, "kernel: gzip data is");
	t_vm_fini(&vm);
}

static void test_members_are_joined_and_garbage_is_left(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;

	(void)state;
	for (int zstd = 0; zstd < 2; zstd++) {
		struct t_file a = { 0 };
		struct t_file b = { 0 };

		t_put(&a, 0, image.data, 10000);
		t_put(&b, 0, image.data + 10000, image.len - 10000);
		a = zstd ? t_zstd(a, 20) : t_gzip(a);
		b = zstd ? t_zstd(b, 20) : t_gzip(b);
		t_put(&a, a.len, b.data, b.len);
		if (zstd)
			t_put(&a, a.len, "\x5f\x2a\x4d\x18\2\0\0\0..", 10);	/* skippable */
		t_put(&a, a.len, "\0\1\2", 3);
		t_vm_init(&vm, MIB(16));
		t_vm_kernel(&vm, a);
		t_loads(&vm);
		t_holds_only(&vm, &image, 0);
		t_vm_fini(&vm);
		free(a.data);
		free(b.data);
	}
	free(image.data);
}

static void test_nothing_inside_is_refused(void **state)
{
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(4));
	for (int zstd = 0; zstd < 2; zstd++) {
		struct t_file f = { .data = malloc(1) };

		f = zstd ? t_zstd(f, 20) : t_gzip(f);
		t_vm_kernel(&vm, f);
		t_refuses(&vm, -ENOEXEC, "kernel: is empty when decompressed");
		free(f.data);
	}
	t_vm_fini(&vm);
}

static void test_bomb_is_efbig(void **state)
{
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (int zstd = 0; zstd < 2; zstd++) {
		struct t_file f = { .data = calloc(1, MIB(32)), .len = MIB(32) };

		f = zstd ? t_zstd(f, 20) : t_gzip(f);
		t_vm_kernel(&vm, f);
		t_refuses(&vm, -EFBIG, "kernel: does not fit, decompressed, into the 16");
		free(f.data);
	}
	t_vm_fini(&vm);
}

/* It fits into RAM, but not below the initrd; or only without its compressed self. */
static void test_unpacked_kernel_is_held_to_its_bounds(void **state)
{
	struct t_file gz = t_gzip(t_image(MIB(3), 0, MIB(3), 0));
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(8));
	t_vm_kernel(&vm, gz);
	t_vm_initrd(&vm, MIB(3));
	t_loads(&vm);
	assert_int_equal(vm.out.initrd, T_BASE + MIB(3));
	t_vm_initrd(&vm, MIB(3) + 4096);
	t_refuses(&vm, -EFBIG, "kernel: needs 3072 KiB at RAM + 0x0, of 3068 KiB below the initrd");
	t_vm_fini(&vm);

	t_vm_init(&vm, MIB(5));
	t_vm_kernel(&vm, gz);
	t_refuses(&vm, -EFBIG, "kernel: does not fit, decompressed");
	t_vm_fini(&vm);
	free(gz.data);

	gz = t_bytes(MIB(4));
	t_put(&gz, 0, "\x1f\x8b", 2);
	t_vm_init(&vm, MIB(4));
	t_vm_kernel(&vm, gz);
	t_refuses(&vm, -EFBIG, "kernel: 4096 KiB, compressed, do not fit into 4096 KiB");
	t_vm_fini(&vm);
	free(gz.data);
}

static void test_zboot_payload_must_be_in_the_file(void **state)
{
	static const struct {
		u32		off;
		u32		size;
		const char	*text;
	} rows[] = {
		{ 0x1000, 0xffffffff, "kernel: truncated: " },
		{ 0xffffffff, 0xffffffff, "of 8589934590 bytes" },
		{ 0xffffffff, 0, "kernel: truncated: " },
		{ 0x1000, 0, "kernel: gzip data is truncated" },
		{ 0x1001, 100, "kernel: gzip data is corrupt" },
		{ 0, 100, "kernel: gzip data is corrupt" },
	};
	struct t_file f = t_zboot(t_gzip(t_image(KIB(64), 0, KIB(64), 0)), "gzip", 0xaa64);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t_le(&f, 0x08, rows[i].off, 4);
		t_le(&f, 0x0c, rows[i].size, 4);
		t_vm_kernel(&vm, f);
		t_refuses(&vm, -ENOEXEC, rows[i].text);
	}
	t_put(&f, 0x18, "zstd", 5);
	t_vm_kernel(&vm, f);
	t_refuses(&vm, -ENOEXEC, "kernel: zstd data is corrupt: no frame");
	t_vm_fini(&vm);
	free(f.data);
}

/* ---- Descriptors -------------------------------------------------------- */

static void test_unreadable_files_are_named(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;
	char path[64];
	int fds[2];

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_refuses(&vm, -EBADF, "kernel: descriptor -1");

	vm.req.kernel_fd = t_memfd("", 0);
	t_refuses(&vm, -ENOEXEC, "kernel: is empty");
	close(vm.req.kernel_fd);

	vm.req.kernel_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t_refuses(&vm, -ENOEXEC, "kernel: is a directory");
	close(vm.req.kernel_fd);

	assert_int_equal(pipe(fds), 0);
	vm.req.kernel_fd = fds[0];
	t_refuses(&vm, -ENOEXEC, "kernel: is neither a file nor a block device");
	close(fds[0]);
	close(fds[1]);

	vm.req.kernel_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	t_refuses(&vm, -ENOEXEC, "kernel: is neither a file nor a block device");
	vm.req.initrd_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	t_refuses(&vm, -ENOEXEC, "initrd: is neither a file nor a block device");
	close(vm.req.initrd_fd);

	t_vm_kernel(&vm, image);
	vm.req.initrd_fd = t_memfd("", 0);
	t_refuses(&vm, -ENOEXEC, "initrd: is empty");
	close(vm.req.initrd_fd);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", vm.req.kernel_fd);
	vm.req.initrd_fd = open(path, O_WRONLY | O_CLOEXEC);
	t_refuses(&vm, -EBADF, "initrd: reading 64 KiB: ");
	close(vm.req.kernel_fd);
	vm.req.kernel_fd = vm.req.initrd_fd;
	vm.req.initrd_fd = -1;
	t_refuses(&vm, -EBADF, "kernel: reading its header: ");
	t_vm_fini(&vm);
	free(image.data);
}

/* A file of sysfs says that it has a page and gives a line. */
static void test_shorter_than_it_says_is_noticed(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;
	int fd = open("/sys/kernel/profiling", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		free(image.data);
		print_message("skipped: no file of /proc or /sys has a length that lies\n");
		skip();
	}
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, image);
	vm.req.initrd_fd = fd;
	t_refuses(&vm, -ENOEXEC, "initrd: became shorter while it was read");
	vm.req.initrd_fd = -1;
	close(vm.req.kernel_fd);
	vm.req.kernel_fd = fd;
	t_refuses(&vm, -ENOEXEC, "kernel: became shorter while it was read");
	t_vm_fini(&vm);
	free(image.data);
}

static void test_file_offset_is_left_alone(void **state)
{
	struct t_file image = t_image(KIB(64), 0, KIB(64), 0);
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	t_vm_kernel(&vm, image);
	assert_int_equal(lseek(vm.req.kernel_fd, 1234, SEEK_SET), 1234);
	t_loads(&vm);
	t_holds_only(&vm, &image, 0);
	assert_int_equal(lseek(vm.req.kernel_fd, 0, SEEK_CUR), 1234);
	t_vm_fini(&vm);
	free(image.data);
}

/* ---- Firmware ----------------------------------------------------------- */

static void test_firmware_is_taken_as_it_is(void **state)
{
	static const struct {
		gpa_t	addr;
		size_t	len;
		gpa_t	entry;
		gpa_t	dtb;
	} rows[] = {
		{ 0, KIB(4), 0x80000000, 0x80200000 },
		{ 0, MIB(2), 0x80000000, 0x80200000 },
		{ 0, MIB(2) + 1, 0x80000000, 0x80400000 },
		{ 0x80301000, KIB(4), 0x80301000, 0x80400000 },
		{ 0x80dff000, KIB(4), 0x80dff000, 0x80e00000 },
	};
	struct t_vm vm;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file f = t_text(rows[i].len, 0, "\177ELF", 4);

		t_vm_init(&vm, MIB(16));
		t_vm_kernel(&vm, f);
		vm.req.firmware = true;
		vm.req.firmware_addr = rows[i].addr;
		t_loads(&vm);
		assert_string_equal(vm.out.format, "firmware");
		assert_int_equal(vm.out.entry, rows[i].entry);
		assert_int_equal(vm.out.dtb, rows[i].dtb);
		assert_int_equal(vm.out.dtb_max, MIB(2));
		assert_int_equal(vm.out.initrd_end, 0);
		t_holds_only(&vm, &f, 0);
		t_vm_fini(&vm);
		free(f.data);
	}
}

static void test_firmware_may_be_above_the_payload_region(void **state)
{
	struct t_file f = t_bytes(KIB(100));
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, GIB(1) + KIB(128));
	t_vm_kernel(&vm, f);
	vm.req.firmware = true;
	vm.req.firmware_addr = T_BASE + GIB(1) - MIB(1);
	t_loads(&vm);
	assert_int_equal(vm.out.entry, T_BASE + GIB(1) - MIB(1));
	assert_int_equal(vm.out.dtb, T_BASE + GIB(1));
	assert_int_equal(vm.out.dtb_max, KIB(128));
	assert_memory_equal(t_at(&vm, vm.out.entry, f.len), f.data, f.len);
	t_vm_fini(&vm);
	free(f.data);
}

static void test_bad_firmware_is_refused(void **state)
{
	static const struct {
		gpa_t		addr;
		size_t		len;
		int		ret;
		const char	*text;
	} rows[] = {
		{ 0x80000800, KIB(4), -EINVAL,
		  "firmware: address 0x80000800 is not a multiple of 4 KiB" },
		{ 0x7ffff000, KIB(4), -EINVAL, "firmware: address 0x7ffff000 is not in RAM" },
		{ 0x81000000, KIB(4), -EINVAL, "firmware: address 0x81000000 is not in RAM" },
		{ 0xfffffffffffff000, KIB(4), -EINVAL, "is not in RAM" },
		{ 0x80fff000, KIB(8), -EFBIG,
		  "firmware: 8 KiB and a device tree do not fit into the 4 KiB of RAM from 0x80fff" },
		{ 0x80fff000, KIB(4), -EFBIG, "firmware: 4 KiB and a device tree" },
		{ 0x80e00000, KIB(4), -EFBIG, "firmware: 4 KiB and a device tree" },
		{ 0, MIB(17), -EFBIG, "firmware: 17408 KiB and a device tree" },
		{ 0, 0, -ENOEXEC, "firmware: is empty" },
	};
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(16));
	vm.req.firmware = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct t_file f = t_bytes(rows[i].len + 1);

		f.len--;
		t_vm_kernel(&vm, f);
		vm.req.firmware_addr = rows[i].addr;
		t_refuses(&vm, rows[i].ret, rows[i].text);
		free(f.data);
	}
	vm.req.firmware_addr = 0;
	t_vm_initrd(&vm, 100);
	t_refuses(&vm, -EINVAL, "initrd: needs a kernel, not firmware");
	t_vm_fini(&vm);
}

/* ---- Anything ----------------------------------------------------------- */

/* What comes out of image_load() is in RAM, whatever went in. */
static void t_layout_is_sane(const struct t_vm *vm)
{
	const struct image_layout *out = &vm->out;

	assert_non_null(out->format);
	assert_true(gmem_covers(&vm->mem, out->entry, 1));
	assert_true(gmem_covers(&vm->mem, out->dtb, out->dtb_max));
	assert_true(out->dtb_max >= KIB(64));
	assert_true(out->entry < out->initrd);
	assert_true(out->initrd < out->initrd_end && out->initrd_end <= out->dtb);
}

static void test_random_headers_do_no_harm(void **state)
{
	struct t_file seeds[] = {
		t_image(KIB(8), 0, KIB(64), 0xa),
		t_gzip(t_image(KIB(8), 0x80000, KIB(64), 0xa)),
		t_zstd(t_image(KIB(8), 0, KIB(64), 0xa), 20),
		t_zboot(t_gzip(t_image(KIB(8), 0, KIB(64), 0)), "gzip", 0xaa64),
		t_zboot(t_zstd(t_image(KIB(8), 0, KIB(64), 0), 20), "zstd", 0xaa64),
		t_bytes(KIB(1)),
	};
	static const u8 interesting[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	u32 rnd = 0x9e3779b9;
	int loaded = 0;
	struct t_vm vm;

	(void)state;
	t_vm_init(&vm, MIB(4));
	t_vm_initrd(&vm, KIB(64));
	for (int i = 0; i < 30000; i++) {
		const struct t_file *seed = &seeds[t_random(&rnd) % ARRAY_SIZE(seeds)];
		size_t len = seed->len;
		u8 buf[KIB(16)];

		assert_true(len <= sizeof(buf));
		memcpy(buf, seed->data, len);
		for (u32 n = t_random(&rnd) % 8 + 1; n; n--) {
			size_t within = t_random(&rnd) % 4 ? 0x140 : len;
			size_t off = t_random(&rnd) % (within < len ? within : len);

			if (t_random(&rnd) % 2)
				buf[off] = interesting[t_random(&rnd) % sizeof(interesting)];
			else
				buf[off] = (u8)t_random(&rnd);
		}
		if (t_random(&rnd) % 8 == 0)
			len = t_random(&rnd) % len;
		if (vm.req.kernel_fd >= 0)
			close(vm.req.kernel_fd);
		vm.req.kernel_fd = t_memfd(buf, len);
		if (t_vm_load(&vm)) {
			assert_string_not_equal(vm.err.msg, "untouched");
			continue;
		}
		t_layout_is_sane(&vm);
		loaded++;
	}
	assert_true(loaded > 1000);
	t_vm_fini(&vm);
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		free(seeds[i].data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_those_of_kvmtool),
		cmocka_unit_test(test_no_initrd_is_zero),
		cmocka_unit_test(test_initrd_of_whole_pages_ends_at_the_tree),
		cmocka_unit_test(test_ram_must_be_where_images_can_be),
		cmocka_unit_test(test_text_offset_moves_the_kernel),
		cmocka_unit_test(test_granule_must_be_there),
		cmocka_unit_test(test_hostile_sizes_are_refused),
		cmocka_unit_test(test_kernel_and_initrd_do_not_overlap),
		cmocka_unit_test(test_truncated_image_is_noticed),
		cmocka_unit_test(test_hostile_pe_headers_are_harmless),
		cmocka_unit_test(test_bare_header_is_enough),
		cmocka_unit_test(test_every_format_is_loaded),
		cmocka_unit_test(test_what_is_known_and_cannot_boot_is_named),
		cmocka_unit_test(test_flat_binary_keeps_a_mebibyte_above),
		cmocka_unit_test(test_flat_binary_may_start_with_anything),
		cmocka_unit_test(test_truncated_stream_is_named),
		cmocka_unit_test(test_corrupt_stream_is_named),
		cmocka_unit_test(test_members_are_joined_and_garbage_is_left),
		cmocka_unit_test(test_nothing_inside_is_refused),
		cmocka_unit_test(test_bomb_is_efbig),
		cmocka_unit_test(test_unpacked_kernel_is_held_to_its_bounds),
		cmocka_unit_test(test_zboot_payload_must_be_in_the_file),
		cmocka_unit_test(test_unreadable_files_are_named),
		cmocka_unit_test(test_shorter_than_it_says_is_noticed),
		cmocka_unit_test(test_file_offset_is_left_alone),
		cmocka_unit_test(test_firmware_is_taken_as_it_is),
		cmocka_unit_test(test_firmware_may_be_above_the_payload_region),
		cmocka_unit_test(test_bad_firmware_is_refused),
		cmocka_unit_test(test_random_headers_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
