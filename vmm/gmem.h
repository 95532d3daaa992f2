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

#include "vmm.h"

#include "vmm/types.h"

struct gmem {
	u8	*host;		/* NULL: nothing is mapped */
	gpa_t	base;
	u64	size;
	void	*area;		/* the reservation around it, with its guards */
	u64	span;
};

#define GMEM_HUGEPAGES	(1u << 0)	/* ask for transparent huge pages */

/*
 * Map @size bytes for the guest at @base: from @fd, shared, or anonymous if @fd
 * is -1.  The mapping starts at a multiple of 2 MiB where it can, as KVM needs
 * for block mappings, and is not inherited by fork().
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

/*
 * Read @len bytes of the file @fd, from @off on, straight into guest memory.
 * -EFAULT as above, -ENODATA if the file ends early, or the errno of pread().
 */
int gmem_read_file(const struct gmem *mem, gpa_t gpa, int fd, u64 off, u64 len);

#endif
