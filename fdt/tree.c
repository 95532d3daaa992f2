/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.c - write a device tree from top to bottom
 *
 * libfdt's sequential writer does not count nodes: one tree_end() too many, or
 * a property behind a child, gives a blob that only its reader trips over.  So
 * tree_finish() walks once over what was written.
 */
#include <errno.h>
#include <libfdt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fdt/tree.h"

#define TREE_NAME_MAX	64		/* of a node, the terminator included */

/* Keep the first error. */
static void tree_note(struct tree *t, int fdt_ret)
{
	if (!t->ret && fdt_ret < 0)
		t->ret = fdt_ret == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
}

/* Open a property of @len bytes; NULL if there is an error, now or before. */
static void *tree_property(struct tree *t, const char *name, size_t len)
{
	void *val = NULL;

	if (t->ret)
		return NULL;
	if (len > INT_MAX) {
		t->ret = -ENOSPC;
		return NULL;
	}
	tree_note(t, fdt_property_placeholder(t->buf, name, (int)len, &val));
	return t->ret ? NULL : val;
}

/* Is it one root whose nodes nest, each with its properties before its children? */
static int tree_check(const void *fdt)
{
	u32 prev = FDT_NOP;
	int depth = 0;
	int off = 0;

	for (;;) {
		bool first = off == 0;
		u32 tag = fdt_next_tag(fdt, off, &off);

		switch (tag) {
		case FDT_BEGIN_NODE:
			if (depth == 0 && !first)
				return -EINVAL;
			depth++;
			break;
		case FDT_END_NODE:
			if (depth == 0)
				return -EINVAL;
			depth--;
			break;
		case FDT_PROP:
			if (depth == 0 || prev == FDT_END_NODE)
				return -EINVAL;
			break;
		default:
			return depth || off < 0 ? -EINVAL : 0;
		}
		prev = tag;
	}
}

void tree_init(struct tree *t, void *buf, size_t size)
{
	*t = (struct tree){ .buf = buf, .size = size };
	if (size > INT_MAX) {
		t->ret = -EINVAL;
		return;
	}
	/* To look for each name among those before it would be the half of the work. */
	tree_note(t, fdt_create_with_flags(buf, (int)size, FDT_CREATE_FLAG_NO_NAME_DEDUP));
	if (!t->ret)
		tree_note(t, fdt_finish_reservemap(buf));
	if (!t->ret)
		tree_note(t, fdt_begin_node(buf, ""));
}

int tree_finish(struct tree *t)
{
	tree_end(t);
	if (!t->ret)
		tree_note(t, fdt_finish(t->buf));
	if (!t->ret)
		t->ret = tree_check(t->buf);
	return t->ret ? t->ret : (int)fdt_totalsize(t->buf);
}

void tree_begin(struct tree *t, const char *fmt, ...)
{
	char name[TREE_NAME_MAX];
	va_list ap;
	int len;

	if (t->ret)
		return;
	va_start(ap, fmt);
	len = vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (len <= 0 || len >= (int)sizeof(name)) {
		t->ret = -EINVAL;
		return;
	}
	tree_note(t, fdt_begin_node(t->buf, name));
}

void tree_end(struct tree *t)
{
	if (!t->ret)
		tree_note(t, fdt_end_node(t->buf));
}

void tree_empty(struct tree *t, const char *name)
{
	tree_property(t, name, 0);
}

void tree_u32(struct tree *t, const char *name, u32 val)
{
	void *p = tree_property(t, name, sizeof(val));

	if (p)
		fdt32_st(p, val);
}

void tree_u64(struct tree *t, const char *name, u64 val)
{
	void *p = tree_property(t, name, sizeof(val));

	if (p)
		fdt64_st(p, val);
}

void tree_bytes(struct tree *t, const char *name, const void *val, size_t len)
{
	void *p = tree_property(t, name, len);

	if (p && len)
		memcpy(p, val, len);
}

void tree_string(struct tree *t, const char *name, const char *val)
{
	tree_bytes(t, name, val, strlen(val) + 1);
}

void tree_string_list(struct tree *t, const char *name, const char *const *vals, size_t n)
{
	size_t len = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		len += strlen(vals[i]) + 1;
	p = tree_property(t, name, len);
	if (!p)
		return;
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, vals[i]) + 1;
}

void tree_cell_list(struct tree *t, const char *name, const u32 *cells, size_t n)
{
	u8 *p = tree_property(t, name, n * sizeof(*cells));

	if (!p)
		return;
	for (size_t i = 0; i < n; i++)
		fdt32_st(p + i * sizeof(*cells), cells[i]);
}

void tree_reg(struct tree *t, u64 base, u64 size)
{
	u8 *p = tree_property(t, "reg", 2 * sizeof(u64));

	if (!p)
		return;
	fdt64_st(p, base);
	fdt64_st(p + sizeof(u64), size);
}
