/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * expect.c - wait for words in what a guest prints
 *
 * Escape sequences are those of ECMA-48: ESC and a byte; CSI, parameters and a
 * final byte; OSC and its like, up to BEL or ESC \.
 */
#include "vmm/cli/expect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ESC	0x1b
#define BEL	0x07
#define DEL	0x7f

/* kernel/panic.c; there is no driver for the panic device in most kernels. */
static const char panic_text[] = "Kernel panic - not syncing";

int expect_init(struct expect *expect, const char *const *patterns, uint32_t nr,
		struct vmm_error *err)
{
	memset(expect, 0, sizeof(*expect));
	for (uint32_t i = 0; i < nr && i < EXPECT_MAX; i++) {
		int ret = regcomp(&expect->patterns[i], patterns[i], REG_EXTENDED);
		char why[128];

		if (ret) {
			regerror(ret, &expect->patterns[i], why, sizeof(why));
			snprintf(err->msg, sizeof(err->msg), "--expect %s: %s", patterns[i], why);
			expect_fini(expect);
			return -EINVAL;
		}
		expect->texts[i] = patterns[i];
		expect->nr++;
	}
	return 0;
}

void expect_fini(struct expect *expect)
{
	while (expect->nr)
		regfree(&expect->patterns[--expect->nr]);
}

const char *expect_awaited(const struct expect *expect)
{
	return expect->found < expect->nr ? expect->texts[expect->found] : NULL;
}

/* Look at the line; @whole: nothing will be added to it. */
static void look(struct expect *expect, bool whole)
{
	expect->line[expect->len] = '\0';
	while (expect->found < expect->nr) {
		int flags = (expect->from ? REG_NOTBOL : 0) | (whole ? 0 : REG_NOTEOL);
		regmatch_t match;

		if (regexec(&expect->patterns[expect->found], expect->line + expect->from, 1,
			    &match, flags))
			break;
		expect->found++;
		expect->from += (size_t)match.rm_eo;
	}
	if (strstr(expect->line, panic_text))
		expect->panic = true;
}

static void end_line(struct expect *expect)
{
	look(expect, true);
	expect->len = 0;
	expect->from = 0;
}

static void add(struct expect *expect, char c)
{
	if (expect->len == sizeof(expect->line) - 1) {
		size_t half = expect->len / 2;

		look(expect, false);
		memmove(expect->line, expect->line + half, expect->len - half);
		expect->len -= half;
		expect->from = expect->from > half ? expect->from - half : 0;
	}
	expect->line[expect->len++] = c;
}

static void text(struct expect *expect, unsigned char c)
{
	if (c == ESC)
		expect->state = EXPECT_ESC;
	else if (c == '\n')
		end_line(expect);
	else if (c == '\t' || (c >= ' ' && c != DEL))
		add(expect, (char)c);
}

static void escape(struct expect *expect, unsigned char c)
{
	switch (c) {
	case '[':
		expect->state = EXPECT_CSI;
		break;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_':
		expect->state = EXPECT_STRING;
		break;
	case ESC:
		break;
	default:
		/* An intermediate byte has one more behind it. */
		expect->state = c >= ' ' && c <= '/' ? EXPECT_CHARSET : EXPECT_TEXT;
	}
}

static void control(struct expect *expect, unsigned char c)
{
	if (c == ESC) {
		expect->state = EXPECT_ESC;
		return;
	}
	if (c < '@' || c > '~')
		return;
	expect->state = EXPECT_TEXT;
	if (c == 'C')			/* forward: what it passes is blank */
		add(expect, ' ');
	else if (strchr("ABEFHJdf", c))	/* to another place */
		end_line(expect);
}

static void take(struct expect *expect, unsigned char c)
{
	switch (expect->state) {
	case EXPECT_TEXT:
		text(expect, c);
		break;
	case EXPECT_ESC:
		escape(expect, c);
		break;
	case EXPECT_CSI:
		control(expect, c);
		break;
	case EXPECT_STRING:
		/* A line's end as well: a guest that was cut off must not be unheard. */
		if (c == BEL || c == '\n')
			expect->state = EXPECT_TEXT;
		else if (c == ESC)
			expect->state = EXPECT_STRING_ESC;
		break;
	case EXPECT_STRING_ESC:
		expect->state = EXPECT_TEXT;
		if (c != '\\')
			escape(expect, c);
		break;
	case EXPECT_CHARSET:
		expect->state = EXPECT_TEXT;
		break;
	}
}

void expect_feed(struct expect *expect, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		take(expect, (unsigned char)buf[i]);
	look(expect, false);
}
