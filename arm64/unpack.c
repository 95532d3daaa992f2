/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unpack.c - decompress a kernel from memory to memory
 *
 * Both libraries get the whole input and the whole room for the output in one
 * call, so neither keeps a window of its own: matches are found in the output.
 * That matters for zstd, as zboot compresses with a window of 128 MiB, and saves
 * the copying for gzip.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "arm64/unpack.h"
#include "vmm/error.h"

#define GZIP_ONLY	16		/* added to windowBits: zlib.h, inflateInit2() */

static int too_big(u64 room, struct vmm_error *err)
{
	return error_set(err, -EFBIG,
			 "kernel: does not fit, decompressed, into the %llu KiB left for it",
			 (unsigned long long)room >> 10);
}

static bool next_member(z_stream *s)
{
	return s->avail_in >= 2 && s->next_in[0] == 0x1f && s->next_in[1] == 0x8b &&
	       inflateReset(s) == Z_OK;
}

static int gzip_result(int ret, const z_stream *s, u64 room, struct vmm_error *err)
{
	switch (ret) {
	case Z_STREAM_END:
		return 0;
	case Z_BUF_ERROR:
		if (!s->avail_out)
			return too_big(room, err);
		return error_set(err, -ENOEXEC, "kernel: gzip data is truncated");
	case Z_MEM_ERROR:
		return error_sys(err, -ENOMEM, "kernel: gzip");
	default:
		return error_set(err, -ENOEXEC, "kernel: gzip data is corrupt: %s",
				 s->msg ? s->msg : "no reason given");
	}
}

static int unpack_gzip(u8 *dst, u64 *dst_len, const u8 *src, u64 src_len, struct vmm_error *err)
{
	u64 room = *dst_len;
	z_stream s = {
		.next_in = src,
		.avail_in = (uInt)src_len,
		.next_out = dst,
		.avail_out = (uInt)room,
	};
	int ret;

	ret = inflateInit2(&s, GZIP_ONLY + MAX_WBITS);
	if (ret == Z_OK) {
		do
			ret = inflate(&s, Z_FINISH);
		while (ret == Z_STREAM_END && next_member(&s));
	}
	*dst_len = (u64)(s.next_out - dst);
	ret = gzip_result(ret, &s, room, err);
	inflateEnd(&s);
	return ret;
}

/* RFC 8878, 3.1.1 and 3.1.2.  Frames of versions before 0.8 do not count. */
static bool zstd_frame(const u8 *src, u64 len)
{
	static const u8 skippable[] = { 0x2a, 0x4d, 0x18 };
	static const u8 frame[] = { 0x28, 0xb5, 0x2f, 0xfd };

	if (len < sizeof(frame))
		return false;
	return !memcmp(src, frame, sizeof(frame)) ||
	       ((src[0] & 0xf0) == 0x50 && !memcmp(src + 1, skippable, sizeof(skippable)));
}

static int zstd_result(size_t ret, u64 room, struct vmm_error *err)
{
	switch (ZSTD_getErrorCode(ret)) {
	case ZSTD_error_dstSize_tooSmall:
		return too_big(room, err);
	case ZSTD_error_srcSize_wrong:
		return error_set(err, -ENOEXEC, "kernel: zstd data is truncated");
	case ZSTD_error_memory_allocation:
		return error_sys(err, -ENOMEM, "kernel: zstd");
	default:
		return error_set(err, -ENOEXEC, "kernel: zstd data is corrupt: %s",
				 ZSTD_getErrorName(ret));
	}
}

static int unpack_zstd(u8 *dst, u64 *dst_len, const u8 *src, u64 src_len, struct vmm_error *err)
{
	u64 room = *dst_len;
	u64 out = 0;
	ZSTD_DCtx *ctx;
	int ret = 0;

	if (!zstd_frame(src, src_len))
		return error_set(err, -ENOEXEC, "kernel: zstd data is corrupt: no frame");
	ctx = ZSTD_createDCtx();
	if (!ctx)
		return error_sys(err, -ENOMEM, "kernel: zstd");
	while (zstd_frame(src, src_len)) {
		size_t frame = ZSTD_findFrameCompressedSize(src, src_len);
		size_t n = ZSTD_isError(frame) ? frame :
			   ZSTD_decompressDCtx(ctx, dst + out, room - out, src, frame);

		if (ZSTD_isError(n)) {
			ret = zstd_result(n, room, err);
			break;
		}
		out += n;
		src += frame;
		src_len -= frame;
	}
	ZSTD_freeDCtx(ctx);
	*dst_len = out;
	return ret;
}

int unpack(enum unpack_format format, void *dst, u64 *dst_len, const void *src, u64 src_len,
	   struct vmm_error *err)
{
	assert(*dst_len <= UINT32_MAX && src_len <= UINT32_MAX);
	return format == UNPACK_GZIP ? unpack_gzip(dst, dst_len, src, src_len, err)
				     : unpack_zstd(dst, dst_len, src, src_len, err);
}
