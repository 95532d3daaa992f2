/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smokefile.c - lists of guest images to try, vmm-smoke(5)
 *
 * The keys are the options of "vmm run", which looks at them here as well: there is
 * no second list of them, and a mistake is found before the first guest starts.
 */
#include "vmm/cli/smokefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/conffile.h"
#include "vmm/cli/options.h"

/* What is being read. */
struct parser {
	struct smoke_list	*list;
	struct conffile		file;
	char			*dir;
	unsigned int		begun;		/* the line of the section's name */
	char			*section;	/* NULL: none yet */
	bool			is_defaults;
	char			*defaults[SMOKEFILE_WORDS_MAX];
	int			nr_defaults;
	char			*words[SMOKEFILE_WORDS_MAX];
	int			nr_words;
};

static int no_memory(struct parser *p)
{
	return conffile_refuse(&p->file, 0, -ENOMEM, "out of memory");
}

static void free_words(char **words, int *nr)
{
	while (*nr)
		free(words[--*nr]);
}

static void free_image(struct smoke_image *image)
{
	for (int i = 0; i < image->argc; i++)
		free(image->argv[i]);
	free(image->argv);
	free(image->name);
	free(image->dir);
}

void smokefile_free(struct smoke_list *list)
{
	while (list->nr)
		free_image(&list->images[--list->nr]);
	free(list->images);
	list->images = NULL;
}

/* ---- One image ---------------------------------------------------------------- */

static bool add_word(struct smoke_image *image, const char *word)
{
	image->argv[image->argc] = strdup(word);
	if (!image->argv[image->argc])
		return false;
	image->argc++;
	return true;
}

static bool fill(struct parser *p, struct smoke_image *image)
{
	char text[32];
	bool good;

	image->name = strdup(p->section);
	image->dir = strdup(p->dir);
	/* "vmm", "run", the default timeout, and the NULL. */
	image->argv = calloc((size_t)(p->nr_defaults + p->nr_words) + 4, sizeof(*image->argv));
	if (!image->name || !image->dir || !image->argv)
		return false;
	snprintf(text, sizeof(text), "--timeout=%d", SMOKEFILE_TIMEOUT);
	good = add_word(image, "vmm") && add_word(image, "run") && add_word(image, text);
	for (int i = 0; i < p->nr_defaults && good; i++)
		good = add_word(image, p->defaults[i]);
	for (int i = 0; i < p->nr_words && good; i++)
		good = add_word(image, p->words[i]);
	return good;
}

static int check(struct parser *p, struct smoke_image *image)
{
	struct run_options opts;
	struct vmm_error err;

	if (options_parse(&opts, image->argc - 1, image->argv + 1, &err))
		return conffile_refuse(&p->file, p->begun, -EINVAL, "[%s]: %s", image->name, err.msg);
	options_fini(&opts);
	if (opts.help)
		return conffile_refuse(&p->file, p->begun, -EINVAL, "[%s]: help is no option of an image", image->name);
	image->timeout = opts.timeout;
	for (size_t i = 0; i < p->list->nr; i++)
		if (!strcmp(p->list->images[i].name, image->name))
			return conffile_refuse(&p->file, p->begun, -EINVAL, "[%s]: there is one of this name already",
				      image->name);
	return 0;
}

static int add_image(struct parser *p)
{
	struct smoke_list *list = p->list;
	struct smoke_image image = { 0 };
	struct smoke_image *images;
	int ret;

	if (list->nr == SMOKEFILE_IMAGES_MAX)
		return conffile_refuse(&p->file, p->begun, -EINVAL, "more than %d images", SMOKEFILE_IMAGES_MAX);
	ret = fill(p, &image) ? check(p, &image) : no_memory(p);
	images = ret ? NULL : realloc(list->images, (list->nr + 1) * sizeof(*images));
	if (!images) {
		free_image(&image);
		return ret ? ret : no_memory(p);
	}
	list->images = images;
	images[list->nr++] = image;
	return 0;
}

/* ---- Lines -------------------------------------------------------------------- */

static int end_section(struct parser *p)
{
	int ret = 0;

	if (p->section && p->is_defaults) {
		memcpy(p->defaults, p->words, sizeof(p->defaults));
		p->nr_defaults = p->nr_words;
		p->nr_words = 0;
	} else if (p->section) {
		ret = add_image(p);
	}
	free_words(p->words, &p->nr_words);
	free(p->section);
	p->section = NULL;
	return ret;
}

static int begin_section(struct parser *p, char *line)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789._-";
	bool first = !p->section;
	size_t len;
	int ret = end_section(p);

	if (ret)
		return ret;
	p->begun = p->file.line;
	line++;
	len = strspn(line, allowed);
	if (strcmp(line + len, "]"))
		return conffile_refuse(&p->file, 0, -EINVAL,
			      "not [NAME], of letters, digits and ._- alone");
	/* It names files: not "." and not "..". */
	if (!len || len > SMOKEFILE_NAME_MAX || line[0] == '.')
		return conffile_refuse(&p->file, 0, -EINVAL,
			      "a name has 1 to %d characters, the first being no dot",
			      SMOKEFILE_NAME_MAX);
	line[len] = '\0';
	p->is_defaults = !strcmp(line, "defaults");
	if (p->is_defaults && !first)
		return conffile_refuse(&p->file, 0, -EINVAL, "[defaults] is the first section, or none");
	p->section = strdup(line);
	return p->section ? 0 : no_memory(p);
}

/* The section keeps it. */
static int add_option(struct parser *p, char *word)
{
	if (!p->section || p->nr_words == SMOKEFILE_WORDS_MAX) {
		free(word);
		if (!p->section)
			return conffile_refuse(&p->file, 0, -EINVAL, "an option before the first [NAME]");
		return conffile_refuse(&p->file, 0, -EINVAL, "more than %d options",
				       SMOKEFILE_WORDS_MAX);
	}
	p->words[p->nr_words++] = word;
	return 0;
}

static int take_line(struct parser *p)
{
	char *word;
	int kind = conffile_next(&p->file, &word);

	if (kind == CONFFILE_SECTION)
		return begin_section(p, word);
	return kind == CONFFILE_OPTION ? add_option(p, word) : kind;
}

/* The folder of @path, "." if it has none. */
static char *folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int smokefile_parse(struct smoke_list *list, const char *path, char *text, size_t len,
		    struct vmm_error *err)
{
	struct parser p = { .list = list, .dir = folder(path) };
	size_t before = list->nr;
	int ret;

	conffile_begin(&p.file, path, text, len, err);
	ret = p.dir ? 0 : no_memory(&p);
	while (!ret && p.file.text < p.file.end)
		ret = take_line(&p);
	if (!ret)
		ret = end_section(&p);
	if (!ret && list->nr == before)
		ret = conffile_refuse(&p.file, 0, -EINVAL, "no image in it");
	free_words(p.words, &p.nr_words);
	free_words(p.defaults, &p.nr_defaults);
	free(p.section);
	free(p.dir);
	return ret;
}

int smokefile_read(struct smoke_list *list, const char *path, struct vmm_error *err)
{
	char *text;
	long len = conffile_load(path, &text, err);
	int ret = len < 0 ? (int)len : smokefile_parse(list, path, text, (size_t)len, err);

	free(text);
	return ret;
}
