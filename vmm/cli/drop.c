/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drop.c - become another user, in another root directory
 *
 * For who has to start as root.  All that is given is open by then, KVM included, so
 * that neither needs to be able to open any of it.
 */
#include "vmm/cli/drop.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/number.h"

__attribute__((format(printf, 3, 4)))
static int fail(struct vmm_error *err, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return ret;
}

/* The last one means "leave it as it is" to the calls that change it. */
static bool is_id(const char *text, uint32_t *id)
{
	uint64_t val;

	if (number_parse(text, &val) || val >= UINT32_MAX)
		return false;
	*id = (uint32_t)val;
	return true;
}

/* By the file alone: a program that needs nothing of the machine has no other source. */
static int find_name(struct drop *drop, const char *passwd)
{
	FILE *file = fopen(passwd, "re");
	struct passwd *entry;
	int ret = -ESRCH;

	if (!file)
		return -errno;
	while (ret && (entry = fgetpwent(file))) {
		if (strcmp(entry->pw_name, drop->user))
			continue;
		drop->uid = entry->pw_uid;
		drop->gid = entry->pw_gid;
		ret = 0;
	}
	fclose(file);
	return ret;
}

/* A number alone is user and group. */
static bool find_numbers(struct drop *drop)
{
	char text[32];
	char *colon;

	if (snprintf(text, sizeof(text), "%s", drop->user) >= (int)sizeof(text))
		return false;
	colon = strchr(text, ':');
	if (colon)
		*colon++ = '\0';
	return is_id(text, &drop->uid) && is_id(colon ? colon : text, &drop->gid);
}

int drop_find(struct drop *drop, const char *root, const char *user, const char *passwd,
	      struct vmm_error *err)
{
	const char *path = passwd ? passwd : "/etc/passwd";
	int ret;

	*drop = (struct drop){ .root = root, .user = user };
	if (!user)
		return 0;
	ret = find_numbers(drop) ? 0 : find_name(drop, path);
	if (ret == -ESRCH)
		return fail(err, -EINVAL, "--user %s: not in %s, and no UID[:GID]", user, path);
	if (ret)
		return fail(err, -EINVAL, "--user %s: %s: %s", user, path, strerror(-ret));
	if (!drop->uid)
		return fail(err, -EINVAL, "--user %s: that is root, who gives nothing up so", user);
	return 0;
}

/* Without the groups of who started it; all three of each identifier. */
static int become(const struct drop *drop, struct vmm_error *err)
{
	if (setgroups(0, NULL) || setresgid(drop->gid, drop->gid, drop->gid) ||
	    setresuid(drop->uid, drop->uid, drop->uid))
		return fail(err, -errno, "--user %s: %s", drop->user, strerror(errno));
	/* It would be worse to believe it than to end. */
	if (!setuid(0) || !setgid(0))
		return fail(err, -EPERM, "--user %s: root can be had back", drop->user);
	return 0;
}

int drop_enter(const struct drop *drop, struct vmm_error *err)
{
	if (drop->root && (chroot(drop->root) || chdir("/")))
		return fail(err, -errno, "--chroot %s: %s", drop->root, strerror(errno));
	return drop->user ? become(drop, err) : 0;
}
