/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conffile.h - files of options, a line each: lists of images, and --config
 */
#ifndef VMM_CLI_CONFFILE_H
#define VMM_CLI_CONFFILE_H

#include <stddef.h>

#include "vmm.h"

#define CONFFILE_SIZE_MAX	(1 << 20)

struct conffile {
	const char		*path;		/* for messages */
	struct vmm_error	*err;
	unsigned int		line;		/* the latest */
	char			*text;		/* what is left of it */
	char			*end;
};

enum conffile_kind {
	CONFFILE_END,
	CONFFILE_SECTION,	/* "[NAME]", with its brackets; in the file's text */
	CONFFILE_OPTION,	/* "--option" or "--option=value", to be freed */
};

/*
 * Read all of @path into *@text, to be freed, with room for a NUL.  The length, or a
 * negative errno with @err.
 */
long conffile_load(const char *path, char **text, struct vmm_error *err);

/* From a text, which is changed, with room for a NUL behind @len bytes. */
void conffile_begin(struct conffile *file, const char *path, char *text, size_t len,
		    struct vmm_error *err);

/* What comes next, or -EINVAL or -ENOMEM. */
int conffile_next(struct conffile *file, char **word);

/* @ret, with the file and @line, or the latest if that is 0, before the text. */
__attribute__((format(printf, 4, 5)))
int conffile_refuse(const struct conffile *file, unsigned int line, int ret, const char *fmt, ...);

#endif /* VMM_CLI_CONFFILE_H */
