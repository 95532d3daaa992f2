/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smokefile.c - lists of guest images to try, vmm-smoke(5)
 *
 * The keys are the options of "vmm run", which looks at them here as well: there is
 * no second list of them, and a mistake is found before the first guest starts.
 */
#include "vmm/cli/smokefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/options.h"

/* What is being read. */
struct parser {
	struct smoke_list	*list;
	struct vmm_error	*err;
	const char		*path;
	char			*dir;
	unsigned int		line;
	unsigned int		begun;		/* the line of the section's name */
	char			*section;	/* NULL: none yet */
	bool			is_defaults;
	char			*defaults[SMOKEFILE_WORDS_MAX];
	int			nr_defaults;
	char			*words[SMOKEFILE_WORDS_MAX];
	int			nr_words;
};

__attribute__((format(printf, 4, 5)))
static int refuse(struct parser *p, unsigned int line, int ret, const char *fmt, ...)
{
	int len = snprintf(p->err->msg, sizeof(p->err->msg), "%s:%u: ", p->path, line);
	va_list ap;

	if (len < 0 || (size_t)len >= sizeof(p->err->msg))
		return ret;
	va_start(ap, fmt);
	vsnprintf(p->err->msg + len, sizeof(p->err->msg) - (size_t)len, fmt, ap);
	va_end(ap);
	return ret;
}

static int no_memory(struct parser *p)
{
	return refuse(p, p->line, -ENOMEM, "out of memory");
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
		return refuse(p, p->begun, -EINVAL, "[%s]: %s", image->name, err.msg);
	if (opts.help)
		return refuse(p, p->begun, -EINVAL, "[%s]: help is no option of an image", image->name);
	image->timeout = opts.timeout;
	for (size_t i = 0; i < p->list->nr; i++)
		if (!strcmp(p->list->images[i].name, image->name))
			return refuse(p, p->begun, -EINVAL, "[%s]: there is one of this name already",
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
		return refuse(p, p->begun, -EINVAL, "more than %d images", SMOKEFILE_IMAGES_MAX);
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
	p->begun = p->line;
	line++;
	len = strspn(line, allowed);
	if (strcmp(line + len, "]"))
		return refuse(p, p->line, -EINVAL,
			      "not [NAME], of letters, digits and ._- alone");
	/* It names files: not "." and not "..". */
	if (!len || len > SMOKEFILE_NAME_MAX || line[0] == '.')
		return refuse(p, p->line, -EINVAL,
			      "a name has 1 to %d characters, the first being no dot",
			      SMOKEFILE_NAME_MAX);
	line[len] = '\0';
	p->is_defaults = !strcmp(line, "defaults");
	if (p->is_defaults && !first)
		return refuse(p, p->line, -EINVAL, "[defaults] is the first section, or none");
	p->section = strdup(line);
	return p->section ? 0 : no_memory(p);
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

static int add_option(struct parser *p, char *line)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = strspn(line, allowed);
	char *value = line + len;
	int got;

	if (!p->section)
		return refuse(p, p->line, -EINVAL, "an option before the first [NAME]");
	value += strspn(value, " \t");
	if (!len || line[0] == '-' || (*value && *value != '='))
		return refuse(p, p->line, -EINVAL,
			      "not OPTION or OPTION = VALUE, with an option of 'vmm run'");
	if (p->nr_words == SMOKEFILE_WORDS_MAX)
		return refuse(p, p->line, -EINVAL, "more than %d options", SMOKEFILE_WORDS_MAX);
	if (*value)
		got = asprintf(&p->words[p->nr_words], "--%.*s=%s", (int)len, line,
			       trim(value + 1));
	else
		got = asprintf(&p->words[p->nr_words], "--%.*s", (int)len, line);
	if (got < 0)
		return no_memory(p);
	p->nr_words++;
	return 0;
}

static int take_line(struct parser *p, char *line)
{
	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	return *line == '[' ? begin_section(p, line) : add_option(p, line);
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
	struct parser p = { .list = list, .err = err, .path = path, .dir = folder(path) };
	char *end = text + len;
	size_t before = list->nr;
	int ret = p.dir ? 0 : no_memory(&p);

	while (!ret && text < end) {
		char *stop = memchr(text, '\n', (size_t)(end - text));

		p.line++;
		if (!stop)
			stop = end;
		*stop = '\0';
		if (strlen(text) != (size_t)(stop - text))
			ret = refuse(&p, p.line, -EINVAL, "a NUL byte: this is no text");
		else
			ret = take_line(&p, text);
		text = stop + 1;
	}
	if (!ret)
		ret = end_section(&p);
	if (!ret && list->nr == before)
		ret = refuse(&p, p.line, -EINVAL, "no image in it");
	free_words(p.words, &p.nr_words);
	free_words(p.defaults, &p.nr_defaults);
	free(p.section);
	free(p.dir);
	return ret;
}

/* ---- Files --------------------------------------------------------------------- */

/* One byte more than is allowed, so that too much is seen, and one for a NUL. */
static ssize_t read_all(int fd, char *text)
{
	size_t len = 0;

	while (len <= SMOKEFILE_SIZE_MAX) {
		ssize_t got = read(fd, text + len, SMOKEFILE_SIZE_MAX + 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		len += (size_t)got;
	}
	return len > SMOKEFILE_SIZE_MAX ? -EFBIG : (ssize_t)len;
}

int smokefile_read(struct smoke_list *list, const char *path, struct vmm_error *err)
{
	char *text = malloc(SMOKEFILE_SIZE_MAX + 2);
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -errno : text ? read_all(fd, text) : -ENOMEM;
	int ret;

	if (fd >= 0)
		close(fd);
	if (len < 0) {
		snprintf(err->msg, sizeof(err->msg), "%s: %s", path, strerror((int)-len));
		ret = (int)len;
	} else {
		ret = smokefile_parse(list, path, text, (size_t)len, err);
	}
	free(text);
	return ret;
}
