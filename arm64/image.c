/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.c - put a kernel, an initrd and firmware where they belong in guest RAM
 *
 * The initrd is measured and given its place first, as it bounds the kernel, but
 * read last: until then the top of the payload region is free, and the compressed
 * bytes of a kernel are read there.  From there they are decompressed to the start
 * of RAM, in one go and without memory of our own, and only then does the Image
 * header tell where they should have gone.  That is the start of RAM for every
 * kernel since 5.8; others are moved.  The price is that the compressed and the
 * decompressed kernel must fit into the region side by side.
 *
 * A file is trusted with nothing, not even with its length: it may change while it
 * is read, so it is not mapped.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arm64/image.h"
#include "arm64/image_head.h"
#include "vmm/error.h"

#define REGION_MAX	MIB(512)
#define DTB_ALIGN	MIB(2)
#define DTB_ROOM	KIB(64)		/* at least; kvmtool's FDT_MAX_SIZE */
#define DTB_MAX		MIB(2)		/* booting.rst, 2 */
#define IMAGE_ALIGN	MIB(2)		/* booting.rst, 4 */
#define TEXT_OFFSET	0x80000		/* booting.rst, 4: where image_size is zero */
#define BSS_ROOM	MIB(1)		/* above what does not say how much it needs */
#define PAGE		4096

struct loader {
	const struct image_request	*req;
	const struct gmem		*mem;
	struct vmm_error		*err;
	struct image_layout		out;
	gpa_t				limit;	/* the end of the payload region */
	gpa_t				top;	/* the end of what the kernel may take */
};

static const char *const plain_names[] = {
	[IMAGE_KIND_FLAT] = "flat binary",
	[IMAGE_KIND_IMAGE] = "Image",
};

static const char *const packed_names[][2] = {
	[IMAGE_KIND_FLAT] = {
		[UNPACK_GZIP] = "gzip flat binary",
		[UNPACK_ZSTD] = "zstd flat binary",
	},
	[IMAGE_KIND_IMAGE] = {
		[UNPACK_GZIP] = "gzip Image",
		[UNPACK_ZSTD] = "zstd Image",
	},
};

static const char *const zboot_names[] = {
	[UNPACK_GZIP] = "EFI zboot (gzip)",
	[UNPACK_ZSTD] = "EFI zboot (zstd)",
};

static unsigned long long kib_up(u64 bytes)
{
	return (bytes >> 10) + !!(bytes & 1023);
}

static unsigned long long kib_down(u64 bytes)
{
	return bytes >> 10;
}

/* The length of the file @fd; @what names it in errors. */
static int file_size(struct loader *ld, int fd, const char *what, u64 *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_sys(ld->err, -errno, "%s: descriptor %d", what, fd);
	if (S_ISDIR(st.st_mode))
		return error_set(ld->err, -ENOEXEC, "%s: is a directory", what);
	if (S_ISREG(st.st_mode))
		*size = (u64)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return error_set(ld->err, -ENOEXEC,
				 "%s: is neither a file nor a block device: "
				 "it cannot be read at an offset", what);
	else if (ioctl(fd, BLKGETSIZE64, size))
		return error_sys(ld->err, -errno, "%s: size of the block device", what);
	if (!*size)
		return error_set(ld->err, -ENOEXEC, "%s: is empty", what);
	return 0;
}

static int read_file(struct loader *ld, gpa_t gpa, int fd, const char *what, u64 off, u64 len)
{
	int ret = gmem_read_file(ld->mem, gpa, fd, off, len);

	if (ret == -ENODATA)
		return error_set(ld->err, -ENOEXEC, "%s: became shorter while it was read", what);
	if (ret)
		return error_sys(ld->err, ret, "%s: reading %llu KiB", what, kib_up(len));
	return 0;
}

/* ---- Where things go ---------------------------------------------------- */

static int place_dtb(struct loader *ld)
{
	const struct gmem *mem = ld->mem;
	u64 size = mem->size < REGION_MAX ? mem->size : REGION_MAX;

	if (mem->base % IMAGE_ALIGN || add_overflow(mem->base, size, &ld->limit))
		return error_set(ld->err, -EINVAL, "RAM: cannot be at 0x%llx",
				 (unsigned long long)mem->base);
	if (size < DTB_MAX + DTB_ROOM)
		return error_set(ld->err, -EFBIG, "kernel: does not fit into %llu KiB of RAM",
				 kib_down(size));
	ld->out.dtb = ALIGN_UP(ld->limit - DTB_ROOM - DTB_MAX, DTB_ALIGN);
	ld->out.dtb_max = ld->limit - ld->out.dtb;
	if (ld->out.dtb_max > DTB_MAX)
		ld->out.dtb_max = DTB_MAX;
	ld->top = ld->out.dtb;
	return 0;
}

/* Whole pages, as Linux gives the initrd's back when it has unpacked them. */
static int place_initrd(struct loader *ld)
{
	u64 room = ld->top - ld->mem->base;
	u64 size;
	int ret;

	if (ld->req->initrd_fd < 0)
		return 0;
	ret = file_size(ld, ld->req->initrd_fd, "initrd", &size);
	if (ret)
		return ret;
	if (size > room)
		return error_set(ld->err, -EFBIG,
				 "initrd: %llu KiB do not fit into %llu KiB below the device tree",
				 kib_up(size), kib_down(room));
	ld->out.initrd = ALIGN_DOWN(ld->top - size, PAGE);
	ld->out.initrd_end = ld->out.initrd + size;
	ld->top = ld->out.initrd;
	return 0;
}

static int check_granule(struct loader *ld, u64 flags)
{
	static const struct {
		unsigned int	granule;
		unsigned int	kib;
	} sizes[] = {
		[1] = { IMAGE_GRANULE_4K, 4 },
		[2] = { IMAGE_GRANULE_16K, 16 },
		[3] = { IMAGE_GRANULE_64K, 64 },
	};
	u64 page_size = IMAGE_FLAGS_PAGE_SIZE(flags);

	if (!page_size || (ld->req->granules & sizes[page_size].granule))
		return 0;
	return error_set(ld->err, -ENOEXEC,
			 "kernel: built for %u KiB pages, which this CPU does not have",
			 sizes[page_size].kib);
}

/* Find the entry of a kernel of @size bytes, and see that all it needs is free. */
static int place_kernel(struct loader *ld, const struct image_head *head, u64 size)
{
	u64 text_offset = TEXT_OFFSET;
	u64 need = size;
	gpa_t end;
	int ret;

	if (head->kind == IMAGE_KIND_IMAGE) {
		ret = check_granule(ld, head->flags);
		if (ret)
			return ret;
		if (size < head->file_size)
			return error_set(ld->err, -ENOEXEC, "kernel: truncated: %llu of %llu bytes",
					 (unsigned long long)size,
					 (unsigned long long)head->file_size);
		if (head->image_size)
			text_offset = head->text_offset;
		if (text_offset % 4)
			return error_set(ld->err, -ENOEXEC,
					 "kernel: text_offset 0x%llx is not a multiple of 4",
					 (unsigned long long)text_offset);
	}
	if (head->image_size > need)
		need = head->image_size;
	if ((!head->image_size && add_overflow(need, BSS_ROOM, &need)) ||
	    add_overflow(ld->mem->base, text_offset, &ld->out.entry) ||
	    add_overflow(ld->out.entry, need, &end) || end > ld->top)
		return error_set(ld->err, -EFBIG,
				 "kernel: needs %llu KiB at RAM + 0x%llx, of %llu KiB below the %s",
				 kib_up(need), (unsigned long long)text_offset,
				 kib_down(ld->top - ld->mem->base),
				 ld->out.initrd_end ? "initrd" : "device tree");
	return 0;
}

/* ---- Getting them there ------------------------------------------------- */

static int read_head(struct loader *ld, u64 size, struct image_head *head)
{
	u8 buf[IMAGE_HEAD_SIZE];
	size_t len = size < sizeof(buf) ? size : sizeof(buf);
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(ld->req->kernel_fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(ld->err, -errno, "kernel: reading its header");
		if (!n)
			return error_set(ld->err, -ENOEXEC,
					 "kernel: became shorter while it was read");
		done += (size_t)n;
	}
	return image_head_parse(buf, len, head, ld->err);
}

/* Decompress @len bytes from offset @off of the file to the start of RAM. */
static int unpack_kernel(struct loader *ld, const struct image_head *head, u64 off, u64 len,
			 u64 *size)
{
	u64 room = ld->limit - ld->mem->base;
	gpa_t staged = ld->limit - len;
	u64 rest;
	void *src;
	u8 *dst;
	int ret;

	if (len >= room)
		return error_set(ld->err, -EFBIG,
				 "kernel: %llu KiB, compressed, do not fit into %llu KiB of RAM",
				 kib_up(len), kib_down(room));
	*size = room - len;
	src = gmem_host(ld->mem, staged, len);
	dst = gmem_host(ld->mem, ld->mem->base, *size);
	if (!src || !dst)
		return error_sys(ld->err, -EFAULT, "kernel");
	ret = read_file(ld, staged, ld->req->kernel_fd, "kernel", off, len);
	if (ret)
		return ret;
	ret = unpack(head->format, dst, size, src, len, ld->err);
	if (ret)
		return ret;
	/* zstd uses up to two blocks of 128 KiB behind what it returns to work in. */
	rest = room - len - *size;
	memset(dst + *size, 0, rest < BSS_ROOM ? rest : BSS_ROOM);
	memset(src, 0, len);
	if (!*size)
		return error_set(ld->err, -ENOEXEC, "kernel: is empty when decompressed");
	return 0;
}

/* Move the kernel of @size bytes from the start of RAM to its entry. */
static int move_kernel(struct loader *ld, u64 size)
{
	u64 delta = ld->out.entry - ld->mem->base;
	u8 *p = gmem_host(ld->mem, ld->mem->base, delta + size);

	if (!p)
		return error_sys(ld->err, -EFAULT, "kernel");
	if (delta) {
		memmove(p + delta, p, size);
		memset(p, 0, delta < size ? delta : size);
	}
	return 0;
}

static int load_packed(struct loader *ld, const struct image_head *outer, u64 off, u64 len)
{
	struct image_head head;
	const u8 *p;
	u64 size;
	int ret;

	ret = unpack_kernel(ld, outer, off, len, &size);
	if (ret)
		return ret;
	p = gmem_host(ld->mem, ld->mem->base, size);
	if (!p)
		return error_sys(ld->err, -EFAULT, "kernel");
	ret = image_head_parse(p, size < IMAGE_HEAD_SIZE ? size : IMAGE_HEAD_SIZE, &head, ld->err);
	if (ret)
		return ret;
	if (head.kind == IMAGE_KIND_PACKED || head.kind == IMAGE_KIND_ZBOOT)
		return error_set(ld->err, -ENOEXEC, "kernel: is compressed twice: unpack it first");
	if (outer->kind == IMAGE_KIND_ZBOOT && head.kind != IMAGE_KIND_IMAGE)
		return error_set(ld->err, -ENOEXEC, "kernel: EFI zboot without an Image in it");
	ld->out.format = outer->kind == IMAGE_KIND_ZBOOT ? zboot_names[outer->format]
							 : packed_names[head.kind][outer->format];
	ret = place_kernel(ld, &head, size);
	if (ret)
		return ret;
	return move_kernel(ld, size);
}

static int load_zboot(struct loader *ld, const struct image_head *head, u64 size)
{
	u64 end;

	if (add_overflow(head->payload_offset, head->payload_size, &end) || end > size)
		return error_set(ld->err, -ENOEXEC, "kernel: truncated: %llu of %llu bytes",
				 (unsigned long long)size, (unsigned long long)end);
	return load_packed(ld, head, head->payload_offset, head->payload_size);
}

static int load_kernel(struct loader *ld)
{
	struct image_head head;
	u64 size;
	int ret;

	ret = file_size(ld, ld->req->kernel_fd, "kernel", &size);
	if (ret)
		return ret;
	ret = read_head(ld, size, &head);
	if (ret)
		return ret;
	if (head.kind == IMAGE_KIND_PACKED)
		return load_packed(ld, &head, 0, size);
	if (head.kind == IMAGE_KIND_ZBOOT)
		return load_zboot(ld, &head, size);
	ld->out.format = plain_names[head.kind];
	ret = place_kernel(ld, &head, size);
	if (ret)
		return ret;
	return read_file(ld, ld->out.entry, ld->req->kernel_fd, "kernel", 0, size);
}

static int load_linux(struct loader *ld)
{
	int ret;

	ret = place_dtb(ld);
	if (ret)
		return ret;
	ret = place_initrd(ld);
	if (ret)
		return ret;
	ret = load_kernel(ld);
	if (ret || !ld->out.initrd_end)
		return ret;
	return read_file(ld, ld->out.initrd, ld->req->initrd_fd, "initrd", 0,
			 ld->out.initrd_end - ld->out.initrd);
}

static int load_firmware(struct loader *ld)
{
	const struct gmem *mem = ld->mem;
	gpa_t addr = ld->req->firmware_addr ? ld->req->firmware_addr : mem->base;
	u64 room;
	u64 size;
	u64 end;
	int ret;

	if (ld->req->initrd_fd >= 0)
		return error_set(ld->err, -EINVAL, "initrd: needs a kernel, not firmware");
	if (addr % PAGE || !gmem_covers(mem, addr, PAGE))
		return error_set(ld->err, -EINVAL, "firmware: address 0x%llx is %s",
				 (unsigned long long)addr,
				 addr % PAGE ? "not a multiple of 4 KiB" : "not in RAM");
	ret = file_size(ld, ld->req->kernel_fd, "firmware", &size);
	if (ret)
		return ret;
	room = mem->size - (addr - mem->base);
	if (size > room || add_overflow(addr + size, DTB_ALIGN - 1, &end) ||
	    !gmem_covers(mem, ALIGN_DOWN(end, DTB_ALIGN), DTB_ROOM))
		return error_set(ld->err, -EFBIG,
				 "firmware: %llu KiB and a device tree do not fit into the %llu KiB "
				 "of RAM from 0x%llx on",
				 kib_up(size), kib_down(room), (unsigned long long)addr);
	ld->out.format = "firmware";
	ld->out.entry = addr;
	ld->out.dtb = ALIGN_DOWN(end, DTB_ALIGN);
	ld->out.dtb_max = mem->size - (ld->out.dtb - mem->base);
	if (ld->out.dtb_max > DTB_MAX)
		ld->out.dtb_max = DTB_MAX;
	return read_file(ld, addr, ld->req->kernel_fd, "firmware", 0, size);
}

int image_load(const struct image_request *req, const struct gmem *mem,
	       struct image_layout *out, struct vmm_error *err)
{
	struct loader ld = { .req = req, .mem = mem, .err = err };
	int ret;

	ret = req->firmware ? load_firmware(&ld) : load_linux(&ld);
	if (!ret)
		*out = ld.out;
	return ret;
}
