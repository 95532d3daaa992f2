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

/* ---- Patterns ------------------------------------------------------------------ */

/* Behind "[", to behind its "]". */
static const char *skip_set(const char *p)
{
	p += *p == '^';
	p += *p == ']';
	while (*p && *p != ']') {
		char kind = *p == '[' && p[1] && strchr(".:=", p[1]) ? p[1] : 0;

		p += kind ? 2 : 1;
		while (kind && *p && !(*p == kind && p[1] == ']'))
			p++;
		p += kind && *p ? 2 : 0;
	}
	return p + (*p == ']');
}

/* To behind what is at @p, which is not the end. */
static const char *next(const char *p)
{
	if (*p == '[')
		return skip_set(p + 1);
	return *p == '\\' && p[1] ? p + 2 : p + 1;
}

static bool is_repetition(char c)
{
	return c == '*' || c == '+' || c == '?' || c == '{';
}

/*
 * How often the C library writes something out for the repetition at *@p, which moves past
 * it.  Twice at least: what may be left out leads on in two ways.
 */
static uint32_t copies(const char **p)
{
	char kind = *(*p)++;
	uint32_t most = 2;
	uint32_t n = 0;

	if (kind != '{')
		return most;
	for (; (**p >= '0' && **p <= '9') || **p == ','; (*p)++) {
		if (**p == ',')
			n = 0;
		else if (n < EXPECT_SIZE)
			n = 10 * n + (uint32_t)(**p - '0');
		most = n > most ? n : most;
	}
	if (**p != '}')
		return most;
	(*p)++;
	/* "{9,}" is nine and then as often as one likes. */
	return (*p)[-2] == ',' ? most + 1 : most;
}

/*
 * Repetitions are written out by the C library, and those of repetitions multiply: four
 * times "{99}" take all the memory that there is.  So many characters would it be, or
 * more than EXPECT_SIZE.
 */
static uint32_t written_out(const char *p)
{
	uint32_t outer[EXPECT_SIZE];	/* what was before each "(" */
	uint32_t depth = 0;
	uint32_t sum = 0;
	uint32_t last = 0;		/* what a repetition would be of */

	if (strlen(p) > EXPECT_SIZE)
		return EXPECT_SIZE + 1;
	while (*p && sum + last <= EXPECT_SIZE) {
		if (is_repetition(*p)) {
			last *= copies(&p);
			continue;
		}
		if (*p == ')' && depth) {
			last += sum;
			sum = outer[--depth];
			p++;
			continue;
		}
		sum += last;
		last = 1;
		if (*p == '(') {
			outer[depth++] = sum;
			sum = 0;
		}
		p = next(p);
	}
	while (depth)
		sum += outer[--depth];
	return sum + last;
}

/* "a++" means nothing in POSIX. */
static bool is_stacked(const char *p)
{
	bool repeats = false;

	while (*p) {
		if (!is_repetition(*p)) {
			repeats = false;
			p = next(p);
			continue;
		}
		if (repeats)
			return true;
		repeats = true;
		copies(&p);
	}
	return false;
}

/* "\1" asks for what was matched before: to find that takes as long as the guest likes. */
static bool refers_back(const char *p)
{
	for (; *p; p = next(p))
		if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
			return true;
	return false;
}

static int check(const char *pattern, struct vmm_error *err)
{
	const char *why = NULL;

	if (is_stacked(pattern))
		why = "a repetition of a repetition, which wants parentheses";
	else if (written_out(pattern) > EXPECT_SIZE)
		why = "too long, with its repetitions written out";
	else if (refers_back(pattern))
		why = "it refers back to what it matched, which can take for ever";
	if (!why)
		return 0;
	/* Of a long one the beginning tells which it is. */
	snprintf(err->msg, sizeof(err->msg), "--expect %.64s%s: %s", pattern,
		 strlen(pattern) > 64 ? "..." : "", why);
	return -EINVAL;
}

static int compile(regex_t *regex, const char *pattern, struct vmm_error *err)
{
	char why[128];
	int ret = check(pattern, err);

	if (ret)
		return ret;
	ret = regcomp(regex, pattern, REG_EXTENDED);
	if (!ret)
		return 0;
	regerror(ret, regex, why, sizeof(why));
	snprintf(err->msg, sizeof(err->msg), "--expect %s: %s", pattern, why);
	return -EINVAL;
}

int expect_init(struct expect *expect, const char *const *patterns, uint32_t nr,
		struct vmm_error *err)
{
	memset(expect, 0, sizeof(*expect));
	for (uint32_t i = 0; i < nr && i < EXPECT_MAX; i++) {
		int ret = compile(&expect->patterns[i], patterns[i], err);

		if (ret) {
			expect_fini(expect);
			return ret;
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

/* ---- Text ---------------------------------------------------------------------- */

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
