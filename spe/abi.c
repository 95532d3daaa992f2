/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abi.c - one kernel's interface for SPE in guests, as data and as text
 *
 * The text is lines of "key = value".  One table says which keys there are, what
 * each may be and where it goes, for reading and for writing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spe/abi.h"
#include "vmm/error.h"

#define SHOWN		40	/* of a word that makes no sense */

static const char *const memories[] = {
	[ABI_MEMORY_NONE] = "none",
	[ABI_MEMORY_MLOCK] = "mlock",
	[ABI_MEMORY_LOCK_MEMSLOTS] = "lock-memslots",
	[ABI_MEMORY_KVM_PINS] = "kvm-pins",
	[ABI_MEMORY_GUEST_MEMFD] = "guest-memfd",
};
_Static_assert(ARRAY_SIZE(memories) == ABI_MEMORIES, "a name for each memory rule");

static const char *const wrong_cpus[] = {
	[ABI_WRONG_CPU_NONE] = "none",
	[ABI_WRONG_CPU_FAIL_ENTRY] = "fail-entry",
	[ABI_WRONG_CPU_ENOEXEC] = "enoexec",
};
_Static_assert(ARRAY_SIZE(wrong_cpus) == ABI_WRONG_CPUS, "a name for each form");

/* What a KVM_RUN that comes too early has been seen to say; index = position. */
static const char *const errnos[] = { "EINVAL", "EPERM", "ENOEXEC" };
static const int errno_values[] = { EINVAL, EPERM, ENOEXEC };
_Static_assert(ARRAY_SIZE(errnos) == ARRAY_SIZE(errno_values), "a name for each errno");

enum kind { NAME, NUMBER, WORD, ERRNO };

struct key {
	const char		*name;
	size_t			offset;		/* in struct spe_abi */
	enum kind		kind;
	bool			required;
	int			min;		/* of a NUMBER */
	int			max;
	const char *const	*words;		/* of a WORD */
	size_t			nr_words;
};

#define AT(field)		offsetof(struct spe_abi, field)
#define NUMBER_KEY(n, f, lo, hi)	\
	{ .name = n, .offset = AT(f), .kind = NUMBER, .min = lo, .max = hi }
#define REQUIRED_KEY(n, f, lo, hi)	\
	{ .name = n, .offset = AT(f), .kind = NUMBER, .min = lo, .max = hi, .required = true }
#define WORD_KEY(n, f, w)		\
	{ .name = n, .offset = AT(f), .kind = WORD, .words = w, .nr_words = ARRAY_SIZE(w) }

/*
 * Feature bits 0 to 6 and groups 0 and 1 are something else in every kernel that
 * there ever was; exit reasons below 32 too.  ioctl numbers have 8 bits.
 */
static const struct key keys[] = {
	{ .name = "name", .offset = AT(name), .kind = NAME },
	NUMBER_KEY("capability", capability, 1, INT32_MAX),
	NUMBER_KEY("absent-capability", absent_capability, 1, INT32_MAX),
	REQUIRED_KEY("feature-bit", feature_bit, 7, 31),
	REQUIRED_KEY("group", group, 2, INT32_MAX),
	REQUIRED_KEY("irq", irq, 0, INT32_MAX),
	REQUIRED_KEY("init", init, 0, INT32_MAX),
	NUMBER_KEY("spu", spu, 0, INT32_MAX),
	NUMBER_KEY("buffer-size", buffer_size, 0, INT32_MAX),
	NUMBER_KEY("stop", stop, 0, INT32_MAX),
	NUMBER_KEY("finalize-group", finalize_group, 0, INT32_MAX),
	NUMBER_KEY("finalize-attr", finalize_attr, 0, INT32_MAX),
	WORD_KEY("memory", memory, memories),
	NUMBER_KEY("lock-capability", lock_capability, 1, INT32_MAX),
	NUMBER_KEY("cpus-capability", cpus_capability, 1, INT32_MAX),
	NUMBER_KEY("cpus-ioctl", cpus_ioctl, 0, 0xff),
	WORD_KEY("wrong-cpu", wrong_cpu, wrong_cpus),
	{ .name = "not-ready", .offset = AT(not_ready), .kind = ERRNO, .words = errnos,
	  .nr_words = ARRAY_SIZE(errnos) },
	NUMBER_KEY("exit-rlimit", exit_rlimit, 32, INT32_MAX),
	NUMBER_KEY("exit-rlimit-need", exit_rlimit_need, 0, 248),
};
_Static_assert(ARRAY_SIZE(keys) <= 32, "a bit for each key");

static int *field(struct spe_abi *abi, const struct key *key)
{
	return (int *)((char *)abi + key->offset);
}

static int value_of(const struct spe_abi *abi, const struct key *key)
{
	return *(const int *)((const char *)abi + key->offset);
}

/* ---- Reading ------------------------------------------------------------------ */

/* A piece of the text, without blanks around it. */
struct span {
	const char	*at;
	size_t		len;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(const char *at, size_t len)
{
	while (len && blank(*at)) {
		at++;
		len--;
	}
	while (len && blank(at[len - 1]))
		len--;
	return (struct span){ at, len };
}

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.at, word, s.len);
}

struct parser {
	struct vmm_error	*err;
	unsigned int		line;
};

static int refuse(const struct parser *p, const char *fmt, ...) PRINTF(2, 3);

static int refuse(const struct parser *p, const char *fmt, ...)
{
	char text[VMM_MSG_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set(p->err, -EINVAL, "SPE interface: line %u: %s", p->line, text);
}

/* A word of the text, safe to show. */
static const char *show(struct span s, char *buf)
{
	size_t len = s.len < SHOWN - 1 ? s.len : SHOWN - 1;

	for (size_t i = 0; i < len; i++)
		buf[i] = s.at[i] >= ' ' && s.at[i] <= '~' ? s.at[i] : '?';
	buf[len] = '\0';
	return buf;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* Decimal, or hexadecimal behind 0x. */
static int number(struct span s, u64 *val)
{
	bool hex = s.len > 2 && s.at[0] == '0' && (s.at[1] | 0x20) == 'x';
	u64 base = hex ? 16 : 10;

	*val = 0;
	if (!s.len)
		return -EINVAL;
	for (size_t i = hex ? 2 : 0; i < s.len; i++) {
		unsigned int d = (unsigned int)digit(s.at[i]);

		if (d >= base)
			return -EINVAL;
		if (*val > INT32_MAX)
			continue;	/* too much already; stay there */
		*val = *val * base + d;
	}
	return 0;
}

static int parse_name(const struct parser *p, struct spe_abi *abi, struct span value)
{
	if (!value.len || value.len >= sizeof(abi->name))
		return refuse(p, "a name has 1 to %zu characters", sizeof(abi->name) - 1);
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] <= ' ' || value.at[i] > '~')
			return refuse(p, "a name is one word");
	memset(abi->name, 0, sizeof(abi->name));
	memcpy(abi->name, value.at, value.len);
	return 0;
}

static int parse_number(const struct parser *p, const struct key *key, struct span value, int *out)
{
	char word[SHOWN];
	u64 val;

	if (!key->required && is(value, "none")) {
		*out = ABI_NONE;
		return 0;
	}
	if (number(value, &val))
		return refuse(p, "%s: '%s' is no number%s", key->name, show(value, word),
			      key->required ? "" : ", nor \"none\"");
	if (val < (u64)key->min || val > (u64)key->max)
		return refuse(p, "%s: %s is not between %d and %d", key->name, show(value, word),
			      key->min, key->max);
	*out = (int)val;
	return 0;
}

static int parse_word(const struct parser *p, const struct key *key, struct span value, int *out)
{
	char word[SHOWN];
	char list[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < key->nr_words; i++) {
		if (is(value, key->words[i])) {
			*out = key->kind == ERRNO ? errno_values[i] : (int)i;
			return 0;
		}
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
				       key->words[i]);
	}
	return refuse(p, "%s: '%s' is none of %s", key->name, show(value, word), list);
}

static int parse_value(const struct parser *p, const struct key *key, struct span value,
		       struct spe_abi *abi)
{
	switch (key->kind) {
	case NAME:
		return parse_name(p, abi, value);
	case NUMBER:
		return parse_number(p, key, value, field(abi, key));
	case WORD:
	case ERRNO:
		break;
	}
	return parse_word(p, key, value, field(abi, key));
}

static int parse_line(const struct parser *p, struct span line, struct spe_abi *abi, u32 *seen)
{
	const char *comment = memchr(line.at, '#', line.len);
	const char *equals;
	struct span name;
	char word[SHOWN];

	if (comment)
		line.len = (size_t)(comment - line.at);
	line = trim(line.at, line.len);
	if (!line.len)
		return 0;
	equals = memchr(line.at, '=', line.len);
	if (!equals)
		return refuse(p, "'%s' is not of the form key = value", show(line, word));
	name = trim(line.at, (size_t)(equals - line.at));
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!is(name, keys[i].name))
			continue;
		if (*seen & 1u << i)
			return refuse(p, "%s is given twice", keys[i].name);
		*seen |= 1u << i;
		return parse_value(p, &keys[i],
				   trim(equals + 1, (size_t)(line.at + line.len - equals - 1)), abi);
	}
	return refuse(p, "unknown key '%s'", show(name, word));
}

/* What only the whole can tell. */
static int check(const struct spe_abi *abi, u32 seen, struct vmm_error *err)
{
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].required && !(seen & 1u << i))
			return error_set(err, -EINVAL, "SPE interface: %s is missing", keys[i].name);
	if ((abi->memory == ABI_MEMORY_LOCK_MEMSLOTS) != (abi->lock_capability != ABI_NONE))
		return error_set(err, -EINVAL,
				 "SPE interface: memory = lock-memslots and lock-capability go together");
	if ((abi->finalize_group != ABI_NONE) != (abi->finalize_attr != ABI_NONE))
		return error_set(err, -EINVAL,
				 "SPE interface: finalize-group and finalize-attr go together");
	if ((abi->cpus_capability != ABI_NONE) != (abi->cpus_ioctl != ABI_NONE))
		return error_set(err, -EINVAL,
				 "SPE interface: cpus-capability and cpus-ioctl go together");
	if (abi->exit_rlimit_need != ABI_NONE && abi->exit_rlimit == ABI_NONE)
		return error_set(err, -EINVAL, "SPE interface: exit-rlimit-need is of no use without exit-rlimit");
	if (abi->irq == abi->init)
		return error_set(err, -EINVAL, "SPE interface: irq and init are the same attribute");
	return 0;
}

static void defaults(struct spe_abi *abi)
{
	memset(abi, 0, sizeof(*abi));
	strcpy(abi->name, "file");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == NUMBER)
			*field(abi, &keys[i]) = ABI_NONE;
	abi->wrong_cpu = ABI_WRONG_CPU_FAIL_ENTRY;
	abi->not_ready = EINVAL;
}

int abi_parse(struct spe_abi *abi, const char *text, struct vmm_error *err)
{
	struct parser p = { .err = err };
	u32 seen = 0;
	int ret;

	defaults(abi);
	while (*text) {
		size_t len = strcspn(text, "\n");

		p.line++;
		ret = parse_line(&p, (struct span){ text, len }, abi, &seen);
		if (ret)
			return ret;
		text += len + (text[len] == '\n');
	}
	return check(abi, seen, err);
}

/* ---- Writing ------------------------------------------------------------------- */

static const char *errno_name(int val)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errno_values[i] == val)
			return errnos[i];
	return errnos[0];
}

const char *abi_format(const struct spe_abi *abi, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys) && at < size; i++) {
		const struct key *key = &keys[i];
		int val = key->kind == NAME ? 0 : value_of(abi, key);
		int len = 0;

		switch (key->kind) {
		case NAME:
			len = snprintf(buf + at, size - at, "%s = %s\n", key->name, abi->name);
			break;
		case NUMBER:
			if (val != ABI_NONE)
				len = snprintf(buf + at, size - at, "%s = %d\n", key->name, val);
			break;
		case WORD:
			len = snprintf(buf + at, size - at, "%s = %s\n", key->name, key->words[val]);
			break;
		case ERRNO:
			len = snprintf(buf + at, size - at, "%s = %s\n", key->name, errno_name(val));
			break;
		}
		at += (size_t)len;
	}
	return buf;
}
