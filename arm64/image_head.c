/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image_head.c - what a kernel file is, by its first bytes
 *
 * A file that is not recognised is taken for a flat binary, so a wrong guess here
 * is a guest that dies in silence: whatever people really hand to a VMM by
 * mistake has its line in the table, with the way out.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "arm64/image_head.h"
#include "vmm/error.h"

/* The Image header (Documentation/arch/arm64/booting.rst, 4) */
#define IMAGE_TEXT_OFFSET	0x08
#define IMAGE_IMAGE_SIZE	0x10
#define IMAGE_FLAGS		0x18
#define IMAGE_MAGIC		0x38	/* "ARM\x64" */
#define IMAGE_HEADER_SIZE	0x40

/* EFI zboot (drivers/firmware/efi/libstub/zboot-header.S) */
#define ZBOOT_MAGIC		0x04	/* "zimg" */
#define ZBOOT_OFFSET		0x08
#define ZBOOT_SIZE		0x0c
#define ZBOOT_TYPE		0x18	/* a string, up to the PE magic at 0x38 */
#define ZBOOT_TYPE_MAX		0x20

/* Portable Executable (Microsoft PE format; include/linux/pe.h) */
#define MZ_PE_OFFSET		0x3c
#define PE_MACHINE		0x04	/* from here on in the PE header */
#define PE_NR_SECTIONS		0x06
#define PE_OPTIONAL_SIZE	0x14
#define PE_HEADER_SIZE		0x18
#define PE_SECTION_RAW_SIZE	0x10	/* in a section header */
#define PE_SECTION_RAW_OFFSET	0x14
#define PE_SECTION_SIZE		0x28

#define PE_MACHINE_ARM64	0xaa64

struct head_magic {
	u16		off;
	u8		len;
	char		magic[9];
	const char	*matter;
};

static const struct head_magic foreign[] = {
	{ 0x000, 4, "\177ELF", "is an ELF file: use arch/arm64/boot/Image" },
	{ 0x202, 4, "HdrS", "is an x86 bzImage: an arm64 Image is needed" },
	{ 0x024, 4, "\x18\x28\x6f\x01", "is a 32-bit Arm zImage: an arm64 Image is needed" },
	{ 0x038, 4, "RSC\x05", "is a RISC-V Image: an arm64 Image is needed" },
	{ 0x000, 6, "\xfd" "7zXZ", "is xz-compressed: unpack it first" },
	{ 0x000, 3, "BZh", "is bzip2-compressed: unpack it first" },
	{ 0x000, 4, "\x04\x22\x4d\x18", "is lz4-compressed: unpack it first" },
	{ 0x000, 4, "\x02\x21\x4c\x18", "is lz4-compressed: unpack it first" },
	{ 0x000, 4, "\x89LZO", "is lzo-compressed: unpack it first" },
	{ 0x000, 4, "\x27\x05\x19\x56", "is a U-Boot uImage: use the Image it was made from" },
	{ 0x000, 4, "\xd0\x0d\xfe\xed", "is a device tree or a FIT image: use the Image in it" },
	{ 0x000, 8, "ANDROID!", "is an Android boot image: use the Image in it" },
};

static const struct {
	u16		machine;
	const char	*name;
} pe_machines[] = {
	{ 0x014c, "x86" },
	{ 0x01c0, "32-bit Arm" },
	{ 0x01c2, "32-bit Arm" },
	{ 0x01c4, "32-bit Arm" },
	{ 0x5032, "RISC-V" },
	{ 0x5064, "RISC-V" },
	{ 0x6232, "LoongArch" },
	{ 0x6264, "LoongArch" },
	{ 0x8664, "x86-64" },
};

static u16 head_u16(const u8 *p)
{
	u16 val;

	memcpy(&val, p, sizeof(val));
	return le16toh(val);
}

static u32 head_u32(const u8 *p)
{
	u32 val;

	memcpy(&val, p, sizeof(val));
	return le32toh(val);
}

static u64 head_u64(const u8 *p)
{
	u64 val;

	memcpy(&val, p, sizeof(val));
	return le64toh(val);
}

static bool has(const u8 *buf, size_t len, size_t off, const char *magic, size_t n)
{
	return len >= n && off <= len - n && !memcmp(buf + off, magic, n);
}

/*
 * lc, lp, pb and a dictionary of whole pages: as an instruction that is a branch,
 * so see also that the size is all ones, for unknown, as the tools write it.
 */
static bool is_lzma(const u8 *buf, size_t len)
{
	return has(buf, len, 0, "\x5d\0\0", 3) &&
	       has(buf, len, 5, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

/* The PE header if all of it is in sight, and what follows it; or NULL. */
static const u8 *pe_header(const u8 *buf, size_t len, size_t *left)
{
	u32 off;

	if (len < IMAGE_HEADER_SIZE || memcmp(buf, "MZ", 2))
		return NULL;
	off = head_u32(buf + MZ_PE_OFFSET);
	if (off > len || len - off < PE_HEADER_SIZE || memcmp(buf + off, "PE\0", 4))
		return NULL;
	*left = len - off;
	return buf + off;
}

/* How long a file must be to have all its sections; 0 if they are not in sight. */
static u64 pe_file_size(const u8 *buf, size_t len)
{
	u64 size = 0;
	size_t left;
	size_t off;
	const u8 *pe = pe_header(buf, len, &left);

	if (!pe)
		return 0;
	off = PE_HEADER_SIZE + (size_t)head_u16(pe + PE_OPTIONAL_SIZE);
	for (u16 i = 0; i < head_u16(pe + PE_NR_SECTIONS); i++, off += PE_SECTION_SIZE) {
		u64 raw_size;
		u64 end;

		if (off > left || left - off < PE_SECTION_SIZE)
			return 0;
		raw_size = head_u32(pe + off + PE_SECTION_RAW_SIZE);
		end = head_u32(pe + off + PE_SECTION_RAW_OFFSET) + raw_size;
		if (raw_size && end > size)
			size = end;
	}
	return size;
}

static int refuse_pe(u16 machine, struct vmm_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(pe_machines); i++) {
		if (pe_machines[i].machine == machine)
			return error_set(err, -ENOEXEC,
					 "kernel: is an EFI program for %s: "
					 "an arm64 Image is needed",
					 pe_machines[i].name);
	}
	return error_set(err, -ENOEXEC, "kernel: is an EFI program for another machine (0x%x)",
			 machine);
}

static int refuse_foreign(const u8 *buf, size_t len, struct vmm_error *err)
{
	if (is_lzma(buf, len))
		return error_set(err, -ENOEXEC, "kernel: is lzma-compressed: unpack it first");
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		const struct head_magic *f = &foreign[i];

		if (has(buf, len, f->off, f->magic, f->len))
			return error_set(err, -ENOEXEC, "kernel: %s", f->matter);
	}
	return 0;
}

static int parse_zboot(const u8 *buf, struct image_head *head, struct vmm_error *err)
{
	char type[ZBOOT_TYPE_MAX + 1] = "";

	memcpy(type, buf + ZBOOT_TYPE, ZBOOT_TYPE_MAX);
	head->kind = IMAGE_KIND_ZBOOT;
	head->payload_offset = head_u32(buf + ZBOOT_OFFSET);
	head->payload_size = head_u32(buf + ZBOOT_SIZE);
	if (!strcmp(type, "gzip")) {
		head->format = UNPACK_GZIP;
		return 0;
	}
	/* "zstd22" is the name of a rule of Kbuild, which older kernels put there. */
	if (!strcmp(type, "zstd") || !strcmp(type, "zstd22")) {
		head->format = UNPACK_ZSTD;
		return 0;
	}
	for (char *p = type; *p; p++) {
		if (*p < '!' || *p > '~')
			*p = '?';
	}
	return error_set(err, -ENOEXEC,
			 "kernel: is EFI zboot compressed with '%s': "
			 "only gzip and zstd are supported",
			 type);
}

int image_head_parse(const u8 *buf, size_t len, struct image_head *head, struct vmm_error *err)
{
	const u8 *pe;
	size_t left;
	int ret;

	*head = (struct image_head){ .kind = IMAGE_KIND_FLAT };
	if (len >= IMAGE_HEADER_SIZE && !memcmp(buf + IMAGE_MAGIC, "ARM\x64", 4)) {
		head->kind = IMAGE_KIND_IMAGE;
		head->text_offset = head_u64(buf + IMAGE_TEXT_OFFSET);
		head->image_size = head_u64(buf + IMAGE_IMAGE_SIZE);
		head->flags = head_u64(buf + IMAGE_FLAGS);
		head->file_size = pe_file_size(buf, len);
		return 0;
	}
	if (has(buf, len, 0, "\x1f\x8b", 2) || has(buf, len, 0, "\x28\xb5\x2f\xfd", 4)) {
		head->kind = IMAGE_KIND_PACKED;
		head->format = buf[0] == 0x1f ? UNPACK_GZIP : UNPACK_ZSTD;
		return 0;
	}
	ret = refuse_foreign(buf, len, err);
	if (ret)
		return ret;
	if (has(buf, len, 0, "MZ", 2) && len < IMAGE_HEADER_SIZE)
		return error_set(err, -ENOEXEC, "kernel: truncated: %zu bytes, of an Image's header",
				 len);
	pe = pe_header(buf, len, &left);
	if (pe && head_u16(pe + PE_MACHINE) != PE_MACHINE_ARM64)
		return refuse_pe(head_u16(pe + PE_MACHINE), err);
	if (has(buf, len, 0, "MZ", 2) && has(buf, len, ZBOOT_MAGIC, "zimg", 4) &&
	    len >= IMAGE_HEADER_SIZE)
		return parse_zboot(buf, head, err);
	if (pe)
		return error_set(err, -ENOEXEC,
				 "kernel: is an EFI program without a Linux Image: "
				 "boot it through firmware");
	return 0;
}
