/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * types.h - the names of integers, and arithmetic that tells when it overflows
 */
#ifndef VMM_TYPES_H
#define VMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

typedef u64 gpa_t;		/* a guest physical address */

#define KIB(n)	((u64)(n) << 10)
#define MIB(n)	((u64)(n) << 20)
#define GIB(n)	((u64)(n) << 30)

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)	((x) & ~((u64)(a) - 1))
#define ALIGN_UP(x, a)		ALIGN_DOWN((x) + (u64)(a) - 1, a)

#define PRINTF(fmt, first)	__attribute__((format(printf, fmt, first)))

/* True if @a + @b does not fit into @sum. */
static inline bool add_overflow(u64 a, u64 b, u64 *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

static inline bool is_power_of_2(u64 x)
{
	return x && !(x & (x - 1));
}

#endif
