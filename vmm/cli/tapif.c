/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapif.c - a tap interface of the host's
 *
 * As with kvmtool: one that is named is taken as it is; one that is made is set up by
 * the script, or else gets host_ip and is up.
 */
#include "vmm/cli/tapif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/cli/refuse.h"
#include "vmm/cli/spawn.h"

#define HOST_IP		"192.168.33.1"	/* kvmtool's */
#define NETMASK		"255.255.255.0"

_Static_assert(TAPIF_NAME == IFNAMSIZ, "the length of a name");

/* A queue of an interface, that of @name if it has one already. */
static int make_queue(const struct netopt *opt, char *name, struct vmm_error *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return refuse(err, -errno, "--network: /dev/net/tun: %s", strerror(errno));
	if (opt->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (name[0])
		memcpy(ifr.ifr_name, name, TAPIF_NAME);
	else
		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", opt->tapif ? opt->tapif : "tap%d");
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		ret = refuse(err, -errno, "--network: tap interface %s: %s",
			     opt->tapif ? opt->tapif : "", strerror(errno));
		close(fd);
		return ret;
	}
	memcpy(name, ifr.ifr_name, TAPIF_NAME);
	return fd;
}

static int make(const struct netopt *opt, int *fds, char *name, struct vmm_error *err)
{
	name[0] = '\0';
	for (uint32_t i = 0; i < opt->queues; i++) {
		fds[i] = make_queue(opt, name, err);
		if (fds[i] < 0)
			return fds[i];
	}
	return 0;
}

static int run_script(const char *script, const char *name)
{
	const char *const argv[] = { script, name, NULL };

	return spawn_wait(argv);
}

static int set_ip(int sock, const char *name, unsigned long request, const char *ip)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct ifreq ifr = { .ifr_flags = 0 };

	memcpy(ifr.ifr_name, name, TAPIF_NAME);
	inet_pton(AF_INET, ip, &addr.sin_addr);
	memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
	return ioctl(sock, request, &ifr);
}

static int bring_up(int sock, const char *name)
{
	struct ifreq ifr = { .ifr_flags = 0 };

	memcpy(ifr.ifr_name, name, TAPIF_NAME);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr))
		return -1;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &ifr);
}

static int set_up(const struct netopt *opt, const char *name, struct vmm_error *err)
{
	const char *ip = opt->host_ip ? opt->host_ip : HOST_IP;
	int sock;
	int ret = 0;

	if (opt->script) {
		ret = run_script(opt->script, name);
		if (!ret)
			return 0;
		if (ret < 0)
			return refuse(err, ret, "--network: script %s: %s", opt->script, strerror(-ret));
		return refuse(err, -ECANCELED, "--network: script %s: it failed for %s", opt->script, name);
	}
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || set_ip(sock, name, SIOCSIFADDR, ip) ||
	    set_ip(sock, name, SIOCSIFNETMASK, NETMASK) || bring_up(sock, name))
		ret = refuse(err, -errno, "--network: setting up %s: %s", name, strerror(errno));
	if (sock >= 0)
		close(sock);
	return ret;
}

/* One that somebody has opened for us, and may not have thought of what we need. */
static int inherit(const struct netopt *opt, char *name, struct vmm_error *err)
{
	int fd = fcntl(opt->fd, F_DUPFD_CLOEXEC, 3);
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		int ret = refuse(err, -errno, "--network: fd=%d: %s", opt->fd, strerror(errno));

		if (fd >= 0)
			close(fd);
		return ret;
	}
	name[0] = '\0';
	return fd;
}

int tapif_open(const struct netopt *opt, int *fds, char *name, struct vmm_error *err)
{
	int ret;

	if (opt->has_fd) {
		fds[0] = inherit(opt, name, err);
		return fds[0] < 0 ? fds[0] : 0;
	}
	ret = make(opt, fds, name, err);
	return ret || opt->tapif ? ret : set_up(opt, name, err);
}

void tapif_down(const struct netopt *opt, const char *name)
{
	if (opt->downscript && name[0])
		run_script(opt->downscript, name);
}
