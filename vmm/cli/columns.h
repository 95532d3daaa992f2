/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns.h - tables on stdout, each column as wide as it needs to be
 */
#ifndef VMM_CLI_COLUMNS_H
#define VMM_CLI_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

struct columns {
	size_t	nr;		/* columns */
	char	**cells;	/* row by row */
	size_t	nr_cells;
	bool	failed;		/* no memory: nothing is printed */
};

/* Cell after cell, the first row being the heads. */
__attribute__((format(printf, 2, 3)))
void columns_add(struct columns *table, const char *fmt, ...);

/* -ENOMEM if there was no memory for a cell.  The table is empty afterwards. */
int columns_print(struct columns *table);

#endif /* VMM_CLI_COLUMNS_H */
