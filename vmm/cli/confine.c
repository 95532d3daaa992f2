/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confine.c - the sandbox of "vmm run"
 *
 * What the library opens by itself it allows by itself.  Here are the paths at which
 * the program still has something to do: what is opened anew for each boot, and files
 * that it removes in the end.
 */
#include "vmm/cli/confine.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

#include "vmm/cli/report.h"
#include "vmm/cli/sockdir.h"
#include "vmm/cli/status.h"

#define MAX_PATHS	(5 + OPTIONS_TTYS)

struct paths {
	struct vmm_sandbox_path	list[MAX_PATHS];
	uint32_t		nr;
};

static void add(struct paths *paths, const char *path, uint64_t access)
{
	paths->list[paths->nr++] = (struct vmm_sandbox_path){ .path = path, .access = access };
}

/* To remove @file in the end, whose directory's name is made in @buf, of PATH_MAX. */
static void add_dir_of(struct paths *paths, const char *file, char *buf)
{
	snprintf(buf, PATH_MAX, "%s", file);
	add(paths, dirname(buf), VMM_PATH_MAKE);
}

int confine(struct guest *guest)
{
	struct vmm_sandbox_config cfg = VMM_SANDBOX_CONFIG_INIT;
	const struct run_options *opts = guest->opts;
	struct paths paths = { .nr = 0 };
	struct vmm_error err = { "" };
	struct sockdir sockets;
	char dirs[2 + OPTIONS_TTYS][PATH_MAX];	/* longer ones cannot be opened */
	int ret;

	if (opts->sandbox == SANDBOX_OFF)
		return 0;
	if (opts->spe)
		guest_allow_raises();
	if (!sockdir_open(&sockets, false))
		add(&paths, sockets.path, VMM_PATH_READ | VMM_PATH_MAKE);
	if (opts->hugetlbfs)
		add(&paths, opts->hugetlbfs, VMM_PATH_READ | VMM_PATH_WRITE | VMM_PATH_MAKE);
	if (opts->vsock_cid)
		add(&paths, VSOCK_DEVICE, VMM_PATH_READ | VMM_PATH_WRITE);
	if (guest->made_dtb)
		add_dir_of(&paths, opts->dump_dtb, dirs[0]);
	if (opts->pidfile)
		add_dir_of(&paths, opts->pidfile, dirs[1]);
	for (int i = 0; i < OPTIONS_TTYS; i++)
		if (opts->ttys[i].kind == TTY_SOCKET)
			add_dir_of(&paths, opts->ttys[i].path, dirs[2 + i]);
	cfg.role = VMM_SANDBOX_CONTROL;
	cfg.flags = VMM_SANDBOX_F_FILES;
	if (opts->sandbox == SANDBOX_AUDIT)
		cfg.flags |= VMM_SANDBOX_F_AUDIT;
	cfg.paths = paths.list;
	cfg.nr_paths = paths.nr;
	ret = vmm_sandbox_enter(&cfg, &err);
	sockdir_close(&sockets);
	guest->confined = !ret;
	if (!ret)
		return 0;
	if (ret == -ENOTSUP && opts->sandbox == SANDBOX_AUTO) {
		report_log(&guest->report, VMM_LOG_DEBUG, "%s; there is none", err.msg);
		return 0;
	}
	report_fatal("%s; --sandbox off goes without it", err.msg);
	return status_of(ret);
}
