/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smokefile.h - lists of guest images to try, vmm-smoke(5)
 */
#ifndef VMM_CLI_SMOKEFILE_H
#define VMM_CLI_SMOKEFILE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

#define SMOKEFILE_IMAGES_MAX	1000
#define SMOKEFILE_WORDS_MAX	100	/* options of one image */
#define SMOKEFILE_NAME_MAX	64
#define SMOKEFILE_TIMEOUT	120	/* seconds, if nothing else is said */

struct smoke_image {
	char		*name;
	char		*dir;		/* that of its file: where relative names begin */
	char		**argv;		/* "vmm", "run" and options, and a NULL */
	int		argc;
	uint32_t	timeout;	/* seconds */
};

struct smoke_list {
	struct smoke_image	*images;
	size_t			nr;
};

/*
 * Add the images of a file; a list begins as zeroes.  -EINVAL: the file says what makes
 * no sense, -ENOMEM, or the errno of reading it; the list is to be freed all the same.
 */
int smokefile_read(struct smoke_list *list, const char *path, struct vmm_error *err);

/*
 * The same for its text, which is changed, with room for a NUL behind it.  @path is for
 * messages, and for .dir.
 */
int smokefile_parse(struct smoke_list *list, const char *path, char *text, size_t len,
		    struct vmm_error *err);

void smokefile_free(struct smoke_list *list);

#endif /* VMM_CLI_SMOKEFILE_H */
