/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns.c - tables on stdout
 *
 * What is shown may come from another process: control characters are replaced.
 */
#include "vmm/cli/columns.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP	2	/* blanks between two columns */

void columns_add(struct columns *table, const char *fmt, ...)
{
	char **cells = realloc(table->cells, (table->nr_cells + 1) * sizeof(*cells));
	char *cell;
	va_list ap;
	int len;

	if (!cells) {
		table->failed = true;
		return;
	}
	table->cells = cells;
	va_start(ap, fmt);
	len = vasprintf(&cell, fmt, ap);
	va_end(ap);
	if (len < 0) {
		table->failed = true;
		return;
	}
	for (char *p = cell; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	cells[table->nr_cells++] = cell;
}

static size_t width(const struct columns *table, size_t column)
{
	size_t widest = 0;

	for (size_t i = column; i < table->nr_cells; i += table->nr) {
		size_t len = strlen(table->cells[i]);

		if (len > widest)
			widest = len;
	}
	return widest;
}

/* Nothing follows the last cell of a row, nor an empty one before the end. */
static void print(const struct columns *table)
{
	size_t missing = 0;

	for (size_t i = 0; i < table->nr_cells; i++) {
		const char *cell = table->cells[i];

		if (*cell) {
			printf("%*s%s", (int)missing, "", cell);
			missing = 0;
		}
		if (i % table->nr == table->nr - 1) {
			putchar('\n');
			missing = 0;
		} else {
			missing += width(table, i % table->nr) + GAP - strlen(cell);
		}
	}
}

int columns_print(struct columns *table)
{
	int ret = table->failed ? -ENOMEM : 0;

	if (!ret)
		print(table);
	for (size_t i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->nr_cells = 0;
	return ret;
}
