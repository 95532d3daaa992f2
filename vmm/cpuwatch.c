/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuwatch.c - hear that host CPUs came or went, or that a cpuset changed
 *
 * CPUs announce themselves by a uevent (lib/kobject_uevent.c: multicast group 1 of
 * NETLINK_KOBJECT_UEVENT, which needs no privilege), but only in network
 * namespaces of the initial user namespace.  A cpuset announces nothing; yet
 * whoever changes it writes to a file, and inotify tells of writes on any file
 * system.  The same works for the "online" files of CPUs, so that a container
 * which gets no uevents hears of hotplug as well.
 *
 * Not heard: a thread that is moved to another cgroup, unless it was the last one
 * in its own, which "cgroup.events" tells; and from inside a cgroup namespace what
 * is written outside, to the files of another mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/cpumask.h"
#include "vmm/cpuwatch.h"
#include "vmm/error.h"
#include "vmm/fd.h"
#include "vmm/loop.h"

#define UEVENT_GROUP	1	/* the kernel's own; 2 is udev's */
#define CPUSET_FILES	4

struct cpuwatch {
	struct loop	*loop;
	const char	*sysfs;
	void		(*fn)(void *arg);
	void		*arg;
	int		uevents;
	int		inotify;
	struct watch	uevent_watch;
	struct watch	inotify_watch;
};

/* An uevent begins with "ACTION@DEVPATH"; CPUs are /devices/system/cpu/cpuN. */
static bool about_cpus(const char *buf, ssize_t len)
{
	static const char path[] = "@/devices/system/cpu/cpu";

	return memmem(buf, (size_t)len, path, sizeof(path) - 1) != NULL;
}

static void on_uevent(struct watch *w, u32 revents)
{
	struct cpuwatch *cw = w->arg;
	bool changed = false;
	char buf[2048];
	ssize_t len;

	(void)revents;
	while ((len = recv(cw->uevents, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		changed |= about_cpus(buf, len);
	/* Overrun: what was lost may have been ours. */
	changed |= len < 0 && errno == ENOBUFS;
	loop_watch(cw->loop, w, cw->uevents, POLLIN);
	if (changed)
		cw->fn(cw->arg);
}

static void on_inotify(struct watch *w, u32 revents)
{
	struct cpuwatch *cw = w->arg;
	char buf[1024] __attribute__((aligned(__alignof__(struct inotify_event))));

	(void)revents;
	while (read(cw->inotify, buf, sizeof(buf)) > 0)
		;
	loop_watch(cw->loop, w, cw->inotify, POLLIN);
	cw->fn(cw->arg);
}

static int open_uevents(struct cpuwatch *cw)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = UEVENT_GROUP };

	cw->uevents = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     NETLINK_KOBJECT_UEVENT);
	if (cw->uevents < 0)
		return -errno;
	if (bind(cw->uevents, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return 0;
}

static void watch_file(struct cpuwatch *cw, const char *path)
{
	/* One that is not there, or may not be read, has nothing to tell. */
	inotify_add_watch(cw->inotify, path, IN_MODIFY);
}

/* The cpuset files of our cgroup and of all above it. */
static void watch_cgroup(struct cpuwatch *cw, const char *mount, const char *group)
{
	static const char *const files[CPUSET_FILES] = {
		"cpuset.cpus", "cpuset.cpus.partition", "cgroup.subtree_control",
		"cgroup.events",
	};
	char dir[PATH_MAX];
	char path[PATH_MAX + 32];

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int)sizeof(dir))
		return;
	while (strlen(dir) > strlen(mount)) {
		char *slash = strrchr(dir, '/');

		for (size_t i = 0; i < CPUSET_FILES; i++) {
			snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
			watch_file(cw, path);
		}
		*slash = '\0';
	}
}

/*
 * /proc/PID/cgroup, cgroups(7): "0::/PATH" for version 2, "N:cpuset:/PATH" for the
 * cpuset controller of version 1.
 */
void cpuwatch_cgroup(struct cpuwatch *cw, int tid)
{
	char line[PATH_MAX];
	char name[64];
	FILE *f;

	if (cw->inotify < 0)
		return;
	snprintf(name, sizeof(name), "/proc/self/task/%d/cgroup", tid);
	f = fopen(name, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		char mount[PATH_MAX];
		bool v2;

		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		v2 = !controllers[1];
		if (!v2 && strcmp(controllers + 1, "cpuset"))
			continue;
		if (snprintf(mount, sizeof(mount), "%s/fs/cgroup%s", cw->sysfs,
			     v2 ? "" : "/cpuset") < (int)sizeof(mount))
			watch_cgroup(cw, mount, group);
	}
	fclose(f);
}

static void watch_cpus(struct cpuwatch *cw)
{
	char path[PATH_MAX];
	long nr = sysconf(_SC_NPROCESSORS_CONF);

	for (long cpu = 0; cpu < nr && cpu < CPUMASK_BITS; cpu++) {
		snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%ld/online", cw->sysfs,
			 cpu);
		watch_file(cw, path);
	}
}

int cpuwatch_create(struct cpuwatch **out, struct loop *loop, const char *sysfs,
		    void (*fn)(void *arg), void *arg, struct vmm_error *err)
{
	struct cpuwatch *cw = calloc(1, sizeof(*cw));
	int ret;

	if (!cw)
		return error_set(err, -ENOMEM, "host CPUs: no memory");
	cw->loop = loop;
	cw->sysfs = sysfs;
	cw->fn = fn;
	cw->arg = arg;
	cw->uevent_watch = (struct watch){ .fn = on_uevent, .arg = cw };
	cw->inotify_watch = (struct watch){ .fn = on_inotify, .arg = cw };
	cw->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ret = cw->inotify < 0 ? -errno : 0;
	if (open_uevents(cw))
		fd_close(&cw->uevents);
	/* One of the two will do. */
	if (ret && cw->uevents < 0) {
		cpuwatch_destroy(cw);
		return error_sys(err, ret, "host CPUs: cannot hear of their coming and going");
	}
	if (cw->inotify >= 0) {
		watch_cpus(cw);
		loop_watch(loop, &cw->inotify_watch, cw->inotify, POLLIN);
	}
	if (cw->uevents >= 0)
		loop_watch(loop, &cw->uevent_watch, cw->uevents, POLLIN);
	*out = cw;
	return 0;
}

void cpuwatch_destroy(struct cpuwatch *cw)
{
	if (!cw)
		return;
	loop_unwatch(&cw->uevent_watch);
	loop_unwatch(&cw->inotify_watch);
	fd_close(&cw->uevents);
	fd_close(&cw->inotify);
	free(cw);
}
