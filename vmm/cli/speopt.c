/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * speopt.c - the argument of --spe
 */
#include "vmm/cli/speopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/number.h"
#include "vmm/cli/refuse.h"

#define ABI_FILE_MAX	16384	/* a description is a few hundred bytes */

static int take_size(struct speopt *opt, const char *text, struct vmm_error *err)
{
	const char *end;
	uint64_t size;
	int ret = number_parse_size(text, 'B', &end, &size);

	if (ret || *end || !size)
		return refuse(err, -EINVAL, "--spe: buffer-max=%s: not a SIZE[BKMGTP]", text);
	opt->cfg.buffer_max = size;
	return 0;
}

static int take_word(struct speopt *opt, char *word, struct vmm_error *err)
{
	char *value = strchr(word, '=');

	if (!value && !strcmp(word, "optional")) {
		opt->cfg.flags |= VMM_SPE_F_OPTIONAL;
		return 0;
	}
	if (!value || !value[1])
		return refuse(err, -EINVAL, "--spe: '%s': not instance=NAME, abi=NAME|FILE, buffer-max=SIZE or optional",
			      word);
	*value++ = '\0';
	if (!strcmp(word, "instance"))
		opt->cfg.instance = value;
	else if (!strcmp(word, "abi"))
		opt->abi = value;
	else if (!strcmp(word, "buffer-max"))
		return take_size(opt, value, err);
	else
		return refuse(err, -EINVAL, "--spe: there is no key '%s'", word);
	return 0;
}

int speopt_parse(struct speopt *opt, const char *arg, struct vmm_error *err)
{
	char *word;
	char *next;
	int ret = 0;

	memset(opt, 0, sizeof(*opt));
	opt->cfg.size = sizeof(opt->cfg);
	if (!arg)
		return 0;
	opt->words = next = strdup(arg);
	if (!next)
		return refuse(err, -ENOMEM, "out of memory");
	while (!ret && (word = strsep(&next, ",")))
		ret = take_word(opt, word, err);
	if (opt->abi && !strpbrk(opt->abi, "/."))
		opt->cfg.abi = opt->abi;
	return ret;
}

int speopt_load(struct speopt *opt, struct vmm_error *err)
{
	size_t len;
	FILE *f;

	if (!opt->abi || opt->cfg.abi)
		return 0;
	free(opt->text);
	opt->text = malloc(ABI_FILE_MAX);
	if (!opt->text)
		return refuse(err, -ENOMEM, "out of memory");
	f = fopen(opt->abi, "re");
	if (!f)
		return refuse(err, -errno, "--spe: abi=%s: %s", opt->abi, strerror(errno));
	len = fread(opt->text, 1, ABI_FILE_MAX, f);
	fclose(f);
	if (len == ABI_FILE_MAX)
		return refuse(err, -EFBIG, "--spe: abi=%s: it is too long", opt->abi);
	opt->text[len] = '\0';
	opt->cfg.abi_text = opt->text;
	return 0;
}

void speopt_fini(struct speopt *opt)
{
	free(opt->words);
	free(opt->text);
	opt->words = opt->text = NULL;
}
