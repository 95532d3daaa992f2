/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.c - the structs that cross the public interface, old or new
 */
#include <errno.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/error.h"

int config_copy(void *dst, size_t dst_size, const void *src, struct vmm_error *err)
{
	const unsigned char *bytes = src;
	size_t size;

	if (!src)
		return error_set(err, -EINVAL, "configuration: NULL");
	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return error_set(err, -EINVAL, "configuration: its .size is not set");
	for (size_t i = dst_size; i < size; i++)
		if (bytes[i])
			return error_set(err, -E2BIG,
					 "configuration: sets a field that this library does not have");
	memset(dst, 0, dst_size);
	memcpy(dst, src, size < dst_size ? size : dst_size);
	return 0;
}

int config_reserved(u64 reserved, struct vmm_error *err)
{
	return reserved ? error_set(err, -E2BIG, "configuration: sets a reserved field") : 0;
}

int config_flags(u64 flags, u64 known, struct vmm_error *err)
{
	if (flags & ~known)
		return error_set(err, -E2BIG, "configuration: unknown flags 0x%llx",
				 (unsigned long long)(flags & ~known));
	return 0;
}

int config_fill(void *dst, const void *src, size_t src_size)
{
	const size_t head = sizeof(size_t);
	size_t size;

	memcpy(&size, dst, head);
	if (size < head)
		return -EINVAL;
	if (size > src_size)
		memset((char *)dst + src_size, 0, size - src_size);
	else
		src_size = size;
	memcpy((char *)dst + head, (const char *)src + head, src_size - head);
	return 0;
}
