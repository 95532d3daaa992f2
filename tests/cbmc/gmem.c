/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gmem.c - proofs about vmm/gmem.c and gmem.h, for CBMC
 *
 * RAM is an object of up to RAM bytes, anywhere below 2^64 in the guest, and what is
 * copied is one of exactly the length that is asked for.
 */
#include <assert.h>
#include <string.h>

static void *model_memcpy(void *to, const void *from, size_t len);
#define memcpy model_memcpy
#include "vmm/gmem.c"

#define RAM	6

u8 nondet_u8(void);
u16 nondet_u16(void);
u32 nondet_u32(void);
u64 nondet_u64(void);
ssize_t nondet_ssize(void);
_Bool nondet_bool(void);

/* Where it reads and writes is what matters; what, costs the solver minutes. */
static void *model_memcpy(void *to, const void *from, size_t len)
{
	assert(__CPROVER_r_ok(from, len) && __CPROVER_w_ok(to, len));
	return to;
}

/* Nothing here says why. */
int error_set(struct vmm_error *err, int ret, const char *fmt, ...)
{
	(void)err;
	(void)fmt;
	return ret;
}

int error_sys(struct vmm_error *err, int ret, const char *fmt, ...)
{
	(void)err;
	(void)fmt;
	return ret;
}

/* At most what is asked for, as the kernel does: it may also write all of it. */
ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	ssize_t n = nondet_ssize();

	(void)fd;
	(void)off;
	__CPROVER_assume(n >= -1 && n <= (ssize_t)len);
	__CPROVER_assume(n != -1 || errno != EINTR);
	assert(__CPROVER_w_ok(buf, len));
	return n;
}

static struct gmem any_ram(void)
{
	struct gmem mem = { .base = nondet_u64(), .size = nondet_u64() };

	__CPROVER_assume(mem.size <= RAM && mem.size <= UINT64_MAX - mem.base);
	mem.host = malloc(mem.size);
	return mem;
}

/* Said in another way than the code does: no sum that could wrap. */
static bool is_ram(const struct gmem *mem, u64 gpa, u64 len)
{
	unsigned __int128 end = (unsigned __int128)gpa + len;

	return gpa >= mem->base && end <= (unsigned __int128)mem->base + mem->size;
}

void prove_copies(void)
{
	struct gmem mem = any_ram();
	u64 gpa = nondet_u64();
	u64 len = nondet_u64();
	bool good = is_ram(&mem, gpa, len);
	u8 *buf = good ? malloc(len) : NULL;
	int ret = nondet_bool() ? gmem_read(&mem, gpa, buf, len) : gmem_write(&mem, gpa, buf, len);

	assert(ret == (good ? 0 : -EFAULT));
}

void prove_pieces(void)
{
	struct gmem mem = any_ram();
	u64 gpa = nondet_u64();
	u64 len = nondet_u64();
	struct iovec iov;

	assert(gmem_iov(&mem, gpa, len, &iov) == (is_ram(&mem, gpa, len) ? 0 : -EFAULT));
	if (!is_ram(&mem, gpa, len))
		return;
	assert(iov.iov_len == len && (u8 *)iov.iov_base == mem.host + (gpa - mem.base));
	assert(__CPROVER_w_ok(iov.iov_base, len));
}

/* Any pieces, any part of them. */
void prove_copies_of_pieces(void)
{
	struct gmem mem = any_ram();
	unsigned int nr = nondet_u32();
	struct iovec iov[2];
	size_t len = nondet_u64();
	size_t off = nondet_u64();
	size_t total = 0;
	size_t want;
	u8 *buf;

	__CPROVER_assume(nr <= 2 && len <= RAM);
	for (unsigned int i = 0; i < nr; i++) {
		__CPROVER_assume(!gmem_iov(&mem, nondet_u64(), nondet_u64(), &iov[i]));
		total += iov[i].iov_len;
	}
	want = off >= total ? 0 : total - off < len ? total - off : len;
	buf = malloc(len);
	if (nondet_bool())
		assert(iov_read(iov, nr, off, buf, len) == want);
	else
		assert(iov_write(iov, nr, off, buf, len) == want);
}

/* A view is RAM, and so is every access that is inside of it. */
void prove_views(void)
{
	struct gmem mem = any_ram();
	u64 gpa = nondet_u64();
	u64 len = nondet_u64();
	u64 off = nondet_u64();
	struct gview v;
	u8 buf[4];

	assert(gview_init(&v, &mem, gpa, len) == (is_ram(&mem, gpa, len) ? 0 : -EFAULT));
	if (!v.host)
		return;
	assert(v.len == len && v.host == mem.host + (gpa - mem.base));
	if (len >= 4 && off <= len - 4) {
		gview_read(&v, off, buf, 4);
		gview_store32(&v, off, nondet_u32());
	}
	if (len >= 2 && off <= len - 2) {
		gview_load16(&v, off);
		gview_load16_acquire(&v, off);
		gview_load16_ordered(&v, off);
		gview_store16(&v, off, nondet_u16());
		gview_store16_release(&v, off, nondet_u16());
		gview_swap16(&v, off, nondet_u16());
	}
}

void prove_files(void)
{
	struct gmem mem = any_ram();
	u64 gpa = nondet_u64();
	u64 len = nondet_u64();
	int ret = gmem_read_file(&mem, gpa, 3, nondet_u64(), len);

	assert(is_ram(&mem, gpa, len) || ret == -EFAULT);
}
