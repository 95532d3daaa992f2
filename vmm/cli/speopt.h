/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * speopt.h - the argument of --spe
 */
#ifndef VMM_CLI_SPEOPT_H
#define VMM_CLI_SPEOPT_H

#include "vmm.h"

/* What the two commands that take it say of it. */
#define SPEOPT_ARG	"KEY=VALUE,..."

struct speopt {
	struct vmm_spe_config	cfg;
	const char		*abi;	/* as it was written; NULL: not at all */
	char			*words;	/* that .cfg points into */
	char			*text;	/* of a file */
};

/*
 * instance=arm_spe_N, abi=NAME or abi=FILE, buffer-max=SIZE, optional, with commas
 * between them; NULL is none of them.  Looks at no file.  -EINVAL or -ENOMEM, with
 * the matter in @err.  speopt_fini() may be called after either, and on zeros.
 */
int speopt_parse(struct speopt *opt, const char *arg, struct vmm_error *err);

/* Read the file of abi=FILE, if that is what it is: a name has no slash and no dot. */
int speopt_load(struct speopt *opt, struct vmm_error *err);

void speopt_fini(struct speopt *opt);

#endif /* VMM_CLI_SPEOPT_H */
