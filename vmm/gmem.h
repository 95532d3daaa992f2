/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gmem.h - guest memory, and the only door to it
 *
 * One contiguous range of RAM.  Address and length are always checked together;
 * all of a range or none of it is touched.  Every function may be called from
 * any thread: the mapping does not change between gmem_init() and gmem_fini().
 */
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "vmm.h"

#include "vmm/types.h"

struct gmem {
	u8	*host;		/* NULL: nothing is mapped */
	gpa_t	base;
	u64	size;
	u64	page;		/* of the host's, by which it maps */
	bool	pooled;		/* from hugetlbfs: a page given back may not be had again */
	void	*area;		/* the reservation around it, with its guards */
	u64	span;
};

#define GMEM_HUGEPAGES	(1u << 0)	/* ask for transparent huge pages */

/*
 * Map @size bytes for the guest at @base: from @fd, shared, or anonymous if @fd
 * is -1.  The mapping starts where KVM can use block mappings: host and guest addresses
 * agree below what a page of the host's page tables maps.  fork() does not inherit it.
 */
int gmem_init(struct gmem *mem, gpa_t base, u64 size, int fd, unsigned int flags,
	      struct vmm_error *err);
void gmem_fini(struct gmem *mem);

static inline bool gmem_covers(const struct gmem *mem, gpa_t gpa, u64 len)
{
	return gpa >= mem->base && len <= mem->size &&
	       gpa - mem->base <= mem->size - len;
}

/* Where @gpa is in this process, for @len bytes; NULL if not all of it is RAM. */
static inline void *gmem_host(const struct gmem *mem, gpa_t gpa, u64 len)
{
	return gmem_covers(mem, gpa, len) ? mem->host + (gpa - mem->base) : NULL;
}

/* Copy small things.  -EFAULT unless all of the range is RAM. */
int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, u64 len);
int gmem_write(const struct gmem *mem, gpa_t gpa, const void *buf, u64 len);

/* The range as an element for I/O straight on guest memory.  -EFAULT as above. */
static inline int gmem_iov(const struct gmem *mem, gpa_t gpa, u64 len, struct iovec *iov)
{
	void *p = gmem_host(mem, gpa, len);

	if (!p)
		return -EFAULT;
	*iov = (struct iovec){ .iov_base = p, .iov_len = len };
	return 0;
}

/*
 * Give whole pages of the host's back to it: the range reads as zeroes until it is written
 * again.  @fd is what .mem was mapped from.  -EFAULT as above, or what the host has against it.
 */
int gmem_discard(const struct gmem *mem, int fd, gpa_t gpa, u64 len);

/*
 * Between guest memory, which the guest may write meanwhile, and ours: from or to byte
 * @off of @nr pieces that gmem_iov() made.  Returns how many bytes there were, at most
 * @len.
 */
size_t iov_read(const struct iovec *iov, unsigned int nr, size_t off, void *buf, size_t len);
size_t iov_write(const struct iovec *iov, unsigned int nr, size_t off, const void *buf, size_t len);

/*
 * A range that was checked once and is read and written many times, as a ring is.  An
 * offset plus the size of the access has to be within .len, which the caller knows;
 * accesses of one size are whole if the address is a multiple of it.
 */
struct gview {
	u8	*host;
	u64	len;
};

/* -EFAULT unless all of the range is RAM. */
int gview_init(struct gview *view, const struct gmem *mem, gpa_t gpa, u64 len);

static inline u16 gview_load16(const struct gview *v, u64 off)
{
	return __atomic_load_n((u16 *)(v->host + off), __ATOMIC_RELAXED);
}

static inline u16 gview_load16_acquire(const struct gview *v, u64 off)
{
	return __atomic_load_n((u16 *)(v->host + off), __ATOMIC_ACQUIRE);
}

/* After gview_swap16(): what was stored there is seen before this is loaded. */
static inline u16 gview_load16_ordered(const struct gview *v, u64 off)
{
	return __atomic_load_n((u16 *)(v->host + off), __ATOMIC_SEQ_CST);
}

static inline void gview_store16(const struct gview *v, u64 off, u16 val)
{
	__atomic_store_n((u16 *)(v->host + off), val, __ATOMIC_RELAXED);
}

static inline void gview_store16_release(const struct gview *v, u64 off, u16 val)
{
	__atomic_store_n((u16 *)(v->host + off), val, __ATOMIC_RELEASE);
}

static inline void gview_swap16(const struct gview *v, u64 off, u16 val)
{
	__atomic_exchange_n((u16 *)(v->host + off), val, __ATOMIC_SEQ_CST);
}

/* All that was stored before is seen before anything is loaded after; to gcc's TSan too. */
static inline void gview_fence(void)
{
	__sync_synchronize();
}

static inline void gview_store32(const struct gview *v, u64 off, u32 val)
{
	__atomic_store_n((u32 *)(v->host + off), val, __ATOMIC_RELAXED);
}

/* A copy that nobody changes any more; the compiler must not look at the original again. */
static inline void gview_read(const struct gview *v, u64 off, void *buf, size_t len)
{
	memcpy(buf, v->host + off, len);
	__asm__ __volatile__("" : : "r"(buf) : "memory");
}

/*
 * Read @len bytes of the file @fd, from @off on, straight into guest memory.
 * -EFAULT as above, -ENODATA if the file ends early, or the errno of pread().
 */
int gmem_read_file(const struct gmem *mem, gpa_t gpa, int fd, u64 off, u64 len);

#endif
