/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gmem.c - guest memory
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/error.h"
#include "vmm/gmem.h"

/*
 * KVM maps a block, as much as a page of the host's page tables maps, only where host and guest
 * addresses agree below its size: 2 MiB with pages of 4 KiB, 32 with 16, 512 with 64.  And
 * hugetlbfs maps whole pages of its own: f_bsize is their size there.
 */
static int alignment(struct gmem *mem, int fd, u64 size, u64 *align, struct vmm_error *err)
{
	struct statfs fs;
	struct stat st;

	mem->page = (u64)sysconf(_SC_PAGESIZE);
	*align = mem->page / sizeof(u64) * mem->page;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return error_sys(err, -errno, "RAM: descriptor %d", fd);
	if (st.st_size < 0 || (u64)st.st_size < size)
		return error_set(err, -EINVAL, "RAM: %llu MiB do not fit into a file of %llu MiB",
				 (unsigned long long)(size >> 20),
				 (unsigned long long)st.st_size >> 20);
	if (is_power_of_2((u64)fs.f_bsize) && (u64)fs.f_bsize > *align)
		*align = (u64)fs.f_bsize;
	mem->pooled = (u32)fs.f_type == HUGETLBFS_MAGIC;
	if (mem->pooled)
		mem->page = (u64)fs.f_bsize;
	return 0;
}

/*
 * Reserve more address space than is needed and map inside it, aligned.  What is
 * left of the reservation stays, as a guard on either side.
 */
int gmem_init(struct gmem *mem, gpa_t base, u64 size, int fd, unsigned int flags,
	      struct vmm_error *err)
{
	int mode = MAP_FIXED | MAP_NORESERVE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	unsigned long long mib = size >> 20;
	u64 align;
	u64 span;
	int ret;

	*mem = (struct gmem){ .base = base, .size = size };
	ret = alignment(mem, fd, size, &align, err);
	if (ret)
		return ret;
	if (add_overflow(size, 2 * align, &span) || span != (size_t)span)
		return error_set(err, -ENOMEM, "RAM: %llu MiB is more than a process can map", mib);
	mem->area = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->area == MAP_FAILED) {
		mem->area = NULL;
		return error_sys(err, -errno, "RAM: reserving %llu MiB", mib);
	}
	mem->span = span;
	mem->host = (u8 *)ALIGN_UP((uintptr_t)mem->area + 1, align) + (mem->pooled ? 0 : base % align);
	if (mmap(mem->host, size, PROT_READ | PROT_WRITE, mode, fd, 0) == MAP_FAILED) {
		ret = -errno;
		gmem_fini(mem);
		return error_sys(err, ret, "RAM: mapping %llu MiB", mib);
	}
	/* Advice: a kernel without either feature is no reason to fail. */
	madvise(mem->host, size, MADV_DONTFORK);
	madvise(mem->host, size, MADV_DONTDUMP);	/* a guest's secrets are its own */
	if (flags & GMEM_HUGEPAGES)
		madvise(mem->host, size, MADV_HUGEPAGE);
	return 0;
}

void gmem_fini(struct gmem *mem)
{
	if (mem->area)
		munmap(mem->area, mem->span);
	mem->area = NULL;
	mem->host = NULL;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, u64 len)
{
	const void *p = gmem_host(mem, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int gmem_write(const struct gmem *mem, gpa_t gpa, const void *buf, u64 len)
{
	void *p = gmem_host(mem, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

int gmem_discard(const struct gmem *mem, int fd, gpa_t gpa, u64 len)
{
	void *p = gmem_host(mem, gpa, len);
	int ret;

	if (!p)
		return -EFAULT;
	if (fd < 0)
		ret = madvise(p, len, MADV_DONTNEED);
	else
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(gpa - mem->base), (off_t)len);
	return ret ? -errno : 0;
}

static size_t iov_copy(const struct iovec *iov, unsigned int nr, size_t off, u8 *buf, size_t len,
		       bool to_guest)
{
	size_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		u8 *p = iov[i].iov_base;
		size_t n = iov[i].iov_len;

		if (off >= n) {
			off -= n;
			continue;
		}
		p += off;
		n -= off;
		off = 0;
		if (n > len - done)
			n = len - done;
		memcpy(to_guest ? p : buf + done, to_guest ? buf + done : p, n);
		done += n;
	}
	return done;
}

size_t iov_read(const struct iovec *iov, unsigned int nr, size_t off, void *buf, size_t len)
{
	return iov_copy(iov, nr, off, buf, len, false);
}

size_t iov_write(const struct iovec *iov, unsigned int nr, size_t off, const void *buf, size_t len)
{
	return iov_copy(iov, nr, off, (u8 *)buf, len, true);
}

int gview_init(struct gview *view, const struct gmem *mem, gpa_t gpa, u64 len)
{
	*view = (struct gview){ .host = gmem_host(mem, gpa, len), .len = len };
	return view->host ? 0 : -EFAULT;
}

int gmem_read_file(const struct gmem *mem, gpa_t gpa, int fd, u64 off, u64 len)
{
	u8 *p = gmem_host(mem, gpa, len);

	if (!p)
		return -EFAULT;
	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		p += n;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}
