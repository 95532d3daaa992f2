/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhostopt.c - the argument of --vhost-user, and the connection that it is for
 */
#include "vmm/cli/vhostopt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/cli/number.h"
#include "vmm/cli/refuse.h"

/* The value of @key, if it is that: NULL, and @len is not changed, if not. */
static const char *value_of(const char *word, const char *key, size_t *len)
{
	size_t n = strlen(key);

	if (*len <= n || strncmp(word, key, n))
		return NULL;
	*len -= n;
	return word + n;
}

static int take_word(struct vhostopt *opt, const char *word, size_t len, struct vmm_error *err)
{
	size_t n = len;
	const char *val = value_of(word, "type=", &n);

	if (val) {
		if (n != 3 || strncmp(val, "blk", n))
			return refuse(err, -EINVAL, "--vhost-user: type=%.*s: not blk", (int)n, val);
		opt->type = VMM_VHOST_USER_BLK;
		return 0;
	}
	val = value_of(word, "socket=", &n);
	if (val) {
		if (n >= VHOSTOPT_PATH)
			return refuse(err, -EINVAL, "--vhost-user: socket: a name of %zu bytes is too long",
				      n);
		memcpy(opt->path, val, n);
		opt->path[n] = '\0';
		return 0;
	}
	val = value_of(word, "reconnect=", &n);
	if (val) {
		if (number_parse_count(val, n, VHOSTOPT_RECONNECT, &opt->reconnect))
			return refuse(err, -EINVAL,
				      "--vhost-user: reconnect=%.*s: not within 1 to %d seconds",
				      (int)n, val, VHOSTOPT_RECONNECT);
		return 0;
	}
	val = value_of(word, "queues=", &n);
	if (!val)
		return refuse(err, -EINVAL,
			      "--vhost-user: '%.*s' is not type=blk, socket=PATH, queues=N or reconnect=SECONDS",
			      (int)len, word);
	if (number_parse_count(val, n, VMM_VHOST_USER_QUEUES, &opt->queues))
		return refuse(err, -EINVAL, "--vhost-user: queues=%.*s: not within 1 to %d", (int)n,
			      val, VMM_VHOST_USER_QUEUES);
	return 0;
}

int vhostopt_parse(struct vhostopt *opt, const char *arg, struct vmm_error *err)
{
	*opt = (struct vhostopt){ .path = "" };
	for (;;) {
		size_t len = strcspn(arg, ",");
		int ret = take_word(opt, arg, len, err);

		if (ret)
			return ret;
		if (!arg[len])
			break;
		arg += len + 1;
	}
	if (!opt->type || !opt->path[0])
		return refuse(err, -EINVAL, "--vhost-user: needs type=blk and socket=PATH");
	return 0;
}

int vhostopt_connect(const char *path, bool wait, const char *name, struct vmm_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
	int ret;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = -errno;
	if (fd >= 0)
		close(fd);
	return refuse(err, ret, "%s: Unable to connect to %s: %s", name, path, strerror(-ret));
}
