/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * input.h - what the fuzzer chose, taken from its front; behind its end are zeroes
 */
#ifndef TESTS_INPUT_H
#define TESTS_INPUT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/types.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold, whatever was chosen. */
#define must(cond)								\
	do {									\
		if (!(cond)) {							\
			fprintf(stderr, "%s:%d: not so: %s\n",			\
				__FILE__, __LINE__, #cond);			\
			abort();						\
		}								\
	} while (0)

struct input {
	const u8	*p;
	size_t		left;
};

static inline u64 input_bytes(struct input *in, unsigned int nr)
{
	u64 val = 0;

	for (unsigned int i = 0; i < nr && in->left; i++, in->left--)
		val |= (u64)*in->p++ << 8 * i;
	return val;
}

static inline u8 input_u8(struct input *in)
{
	return (u8)input_bytes(in, 1);
}

static inline u16 input_u16(struct input *in)
{
	return (u16)input_bytes(in, 2);
}

static inline u32 input_u32(struct input *in)
{
	return (u32)input_bytes(in, 4);
}

static inline u64 input_u64(struct input *in)
{
	return input_bytes(in, 8);
}

/* Up to @max bytes, as many as a byte says; *@data is not copied. */
static inline size_t input_data(struct input *in, const void **data, size_t max)
{
	size_t len = input_u8(in);

	len = len < max ? len : max;
	len = len < in->left ? len : in->left;
	*data = in->p;
	in->p += len;
	in->left -= len;
	return len;
}

/* All that is left as a string of its own, to be freed. */
static inline char *input_string(struct input *in)
{
	char *text = malloc(in->left + 1);

	must(text);
	memcpy(text, in->p, in->left);
	text[in->left] = '\0';
	in->left = 0;
	return text;
}

#endif
