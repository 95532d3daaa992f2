/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_said.c - vmm/cli/said.c: what a program says is passed on within bounds
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/cli/said.h"

#define WHO	"--fs /srv: virtiofsd"

struct t_rig {
	struct said	said;
	int		program;	/* what it writes to */
	int		ours;		/* what our standard error is, for now */
	int		error;		/* ... and was */
	char		seen[65536];
};

static void t_open(struct t_rig *rig)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	rig->ours = fds[0];
	rig->error = dup(STDERR_FILENO);
	assert_true(rig->error >= 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	said_clear(&rig->said);
	rig->program = said_begin(&rig->said);
	assert_true(rig->program >= 0);
}

static void t_close(struct t_rig *rig)
{
	if (rig->program >= 0)
		close(rig->program);
	said_end(&rig->said, WHO);
	assert_int_equal(rig->said.fd, -1);
	assert_int_equal(dup2(rig->error, STDERR_FILENO), STDERR_FILENO);
	close(rig->error);
	close(rig->ours);
}

static void t_says(struct t_rig *rig, const char *text)
{
	assert_int_equal(write(rig->program, text, strlen(text)), strlen(text));
	said_take(&rig->said, WHO);
}

/* All that has come since it was asked. */
static const char *t_seen(struct t_rig *rig)
{
	ssize_t n = read(rig->ours, rig->seen, sizeof(rig->seen) - 1);

	rig->seen[n > 0 ? n : 0] = '\0';
	return rig->seen;
}

static size_t t_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

static void test_lines_are_passed_on(void **state)
{
	struct t_process before;
	struct t_rig rig;

	(void)state;
	t_process_save(&before);
	t_open(&rig);
	said_take(&rig.said, WHO);
	assert_string_equal(t_seen(&rig), "");
	t_says(&rig, "one\n\ntwo\nth");
	assert_string_equal(t_seen(&rig), "one\n\ntwo\nth");
	t_says(&rig, "ree\n");
	assert_string_equal(t_seen(&rig), "ree\n");
	/* The last one is not at its end. */
	t_says(&rig, "last");
	close(rig.program);
	rig.program = -1;
	said_end(&rig.said, WHO);
	assert_string_equal(t_seen(&rig), "last\n");
	t_close(&rig);
	t_process_check(&before);
}

/* HOSTILE: a guest makes it say the same for ever. */
static void test_flood_is_cut_and_counted(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig);
	for (unsigned int i = 0; i < 100000; i++)
		t_says(&rig, "processing the vring\n");
	assert_int_equal(t_lines(t_seen(&rig)), SAID_BURST);
	/* As if that had been long ago. */
	rig.said.begun_ms -= SAID_WINDOW_MS;
	t_says(&rig, "next\n");
	assert_string_equal(t_seen(&rig), "vmm: " WHO ": 99990 more of its lines were left out\nnext\n");
	for (unsigned int i = 0; i < 100; i++)
		t_says(&rig, "more\n");
	close(rig.program);
	rig.program = -1;
	said_end(&rig.said, WHO);
	assert_int_equal(t_lines(t_seen(&rig)), SAID_BURST - 1 + 1);
	assert_non_null(strstr(rig.seen, ": 91 more of its lines"));
	t_close(&rig);
}

static void test_long_line_is_cut(void **state)
{
	char text[3000];
	struct t_rig rig;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	t_open(&rig);
	t_says(&rig, text);
	t_says(&rig, "a\nb\n");
	assert_int_equal(strspn(t_seen(&rig), "a"), SAID_LINE);
	assert_string_equal(rig.seen + SAID_LINE, "\nb\n");
	/* No end at all is one line. */
	for (unsigned int i = 0; i < 100; i++)
		t_says(&rig, text);
	assert_int_equal(strlen(t_seen(&rig)), SAID_LINE);
	t_close(&rig);
}

/* Who should read our standard error does not: it is not waited for. */
static void test_nobody_is_waited_for(void **state)
{
	char text[4096];
	struct t_rig rig;

	(void)state;
	memset(text, 'x', sizeof(text));
	t_open(&rig);
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
	while (write(STDERR_FILENO, text, sizeof(text)) > 0)
		;
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
	for (unsigned int i = 0; i < 100; i++)
		t_says(&rig, "lost\n");
	assert_int_equal(t_seen(&rig)[0], 'x');
	assert_null(strstr(rig.seen, "lost"));
	rig.said.begun_ms -= SAID_WINDOW_MS;
	t_says(&rig, "heard\n");
	assert_non_null(strstr(t_seen(&rig), ": 100 more of its lines were left out\nheard\n"));
	t_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_passed_on),
		cmocka_unit_test(test_flood_is_cut_and_counted),
		cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_nobody_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
