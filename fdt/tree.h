/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.h - write a device tree from top to bottom
 *
 * A thin layer over libfdt's sequential writer that keeps the first error, so
 * that the nodes of a machine read as lists:
 *
 *	tree_begin(t, "rtc@%llx", base);
 *	tree_strings(t, "compatible", "arm,pl031", "arm,primecell");
 *	tree_reg(t, base, 0x1000);
 *	tree_end(t);
 */
#ifndef VMM_FDT_TREE_H
#define VMM_FDT_TREE_H

#include "vmm/types.h"

/* Every phandle of the machine: the tree is written once and must agree. */
enum tree_phandle {
	PHANDLE_GIC = 1,
	PHANDLE_MSI,
	PHANDLE_CLOCK,
	PHANDLE_GPIO,
};

struct tree {
	void	*buf;
	size_t	size;
	int	ret;		/* 0, or the first error as a negative errno */
};

/* Start in @buf with the root node open. */
void tree_init(struct tree *t, void *buf, size_t size);

/* Close the root node.  The tree's size in bytes, or the first error:
 * -ENOSPC if it does not fit, -EINVAL if it was written in a wrong order. */
int tree_finish(struct tree *t);

void tree_begin(struct tree *t, const char *fmt, ...) PRINTF(2, 3);
void tree_end(struct tree *t);

void tree_empty(struct tree *t, const char *name);
void tree_u32(struct tree *t, const char *name, u32 val);
void tree_u64(struct tree *t, const char *name, u64 val);
void tree_bytes(struct tree *t, const char *name, const void *val, size_t len);
void tree_string(struct tree *t, const char *name, const char *val);

/* A list of strings, and a list of cells. */
void tree_string_list(struct tree *t, const char *name, const char *const *vals, size_t n);
void tree_cell_list(struct tree *t, const char *name, const u32 *cells, size_t n);

/* Constants alone.  As a compound literal gcc would make it a writable object. */
#define tree_strings(t, name, ...)						\
	do {									\
		static const char *const strings_[] = { __VA_ARGS__ };		\
										\
		tree_string_list(t, name, strings_,				\
				 sizeof(strings_) / sizeof(strings_[0]));	\
	} while (0)
#define tree_cells(t, name, ...)						\
	tree_cell_list(t, name, (const u32[]){ __VA_ARGS__ },			\
		       sizeof((const u32[]){ __VA_ARGS__ }) / sizeof(u32))

/* "reg" of one range, two cells each. */
void tree_reg(struct tree *t, u64 base, u64 size);

/* Interrupt specifiers of the GIC (arm,gic-v3 binding): kind, number, flags. */
#define GIC_SPI		0
#define GIC_PPI		1
#define IRQ_EDGE	1
#define IRQ_HIGH	4
#define IRQ_LOW		8

#endif
