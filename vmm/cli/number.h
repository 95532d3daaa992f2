/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * number.h - numbers and sizes as a user writes them
 */
#ifndef VMM_CLI_NUMBER_H
#define VMM_CLI_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The whole of @text is one number: decimal, 0x hexadecimal or 0 octal, with no
 * sign and no blank.  -EINVAL if it is not, -ERANGE if it is above 64 bits.
 */
int number_parse(const char *text, uint64_t *val);

/* The first @len bytes of @text are a number, 1 to @max.  -EINVAL if they are not. */
int number_parse_count(const char *text, size_t len, uint32_t max, uint32_t *val);

/*
 * A number with an optional unit of BKMGTP, in powers of 1024 and in either
 * case; @unit is meant when none is written.  @end is set behind it.
 */
int number_parse_size(const char *text, char unit, const char **end, uint64_t *val);

#endif /* VMM_CLI_NUMBER_H */
