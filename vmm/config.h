/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - the structs that cross the public interface, old or new
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "vmm.h"

#include "vmm/types.h"

/*
 * Copy a configuration that may be older (shorter) or newer (longer) than ours:
 * what it lacks is zero, what we lack must be zero (-E2BIG).
 */
int config_copy(void *dst, size_t dst_size, const void *src, struct vmm_error *err);

/* -E2BIG if @reserved is not zero, or if @flags has others than those in @known. */
int config_reserved(u64 reserved, struct vmm_error *err);
int config_flags(u64 flags, u64 known, struct vmm_error *err);

/*
 * The other way: fill in the struct of a caller that may know less of it than we
 * do, or more, whose .size remains.  -EINVAL if that is not set.
 */
int config_fill(void *dst, const void *src, size_t src_size);

#endif
