/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * number.c - numbers and sizes as a user writes them
 *
 * Not strtoull(): it skips blanks, takes "-1" for 2^64-1, and reports overflow
 * in errno alone.
 */
#include "vmm/cli/number.h"

#include <errno.h>
#include <string.h>

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

static int scan(const char *text, const char **end, uint64_t *val)
{
	const char *first;
	uint64_t sum = 0;
	unsigned int base = 10;

	if (text[0] == '0' && (text[1] | 0x20) == 'x') {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	for (first = text; digit_value(*text) < base; text++) {
		if (__builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit_value(*text), &sum))
			return -ERANGE;
	}
	if (text == first)
		return -EINVAL;
	*end = text;
	*val = sum;
	return 0;
}

int number_parse(const char *text, uint64_t *val)
{
	const char *end;
	int ret;

	ret = scan(text, &end, val);
	if (ret)
		return ret;
	return *end ? -EINVAL : 0;
}

int number_parse_count(const char *text, size_t len, uint32_t max, uint32_t *val)
{
	char number[16];
	uint64_t wide;

	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	if (number_parse(number, &wide) || !wide || wide > max)
		return -EINVAL;
	*val = (uint32_t)wide;
	return 0;
}

/* The power of two that a unit stands for, -1 if it is none. */
static int unit_shift(char unit)
{
	switch (unit & ~0x20) {
	case 'B':
		return 0;
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	case 'P':
		return 50;
	default:
		return -1;
	}
}

int number_parse_size(const char *text, char unit, const char **end, uint64_t *val)
{
	int shift;
	int ret;

	ret = scan(text, end, val);
	if (ret)
		return ret;
	shift = unit_shift(**end);
	if (shift < 0)
		shift = unit_shift(unit);
	else
		(*end)++;
	if (*val > UINT64_MAX >> shift)
		return -ERANGE;
	*val <<= shift;
	return 0;
}
