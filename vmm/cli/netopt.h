/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netopt.h - the argument of --network
 */
#ifndef VMM_CLI_NETOPT_H
#define VMM_CLI_NETOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm.h"

enum netopt_mode {
	NETOPT_TAP,		/* kvmtool's default, when there is a --network */
	NETOPT_USER,
	NETOPT_VHOST_USER,
	NETOPT_NONE,
};

/* Strings are NULL where nothing was said. */
struct netopt {
	enum netopt_mode mode;
	bool		has_fd;
	bool		vhost;		/* tap: by the kernel's vhost-net */
	int		fd;		/* tap: of the interface; user: to who is like passt */
	uint32_t	queues;		/* pairs of them; tap: each with a descriptor */
	uint16_t	mtu;		/* 0: none was given */
	uint32_t	trans;		/* enum vmm_virtio_transport; AUTO: none was given */
	uint8_t		mac[6];		/* zeroes: none was given */
	const char	*tapif;		/* an interface that is there */
	const char	*script;	/* to run when one was made, with its name */
	const char	*downscript;	/* ... and at the end */
	const char	*host_ip;	/* tap: the interface's; user: the guest's gateway */
	const char	*guest_ip;	/* user: what the guest is told by DHCP */
	const char	*socket;	/* vhost-user: where its backend listens */
	uint32_t	reconnect;	/* ... and seconds between tries; 0: there is none */
	char		*words;		/* that the strings point into */
};

/*
 * KEY=VALUE with commas between them, kvmtool's keys, mtu, mq, socket and reconnect.  Looks
 * at nothing of the host.  -EINVAL, -ENOMEM, or -ENOTSUP for what kvmtool has and this
 * version has not, with the matter in @err.  netopt_fini() may be called after any, and on
 * zeros.
 */
int netopt_parse(struct netopt *opt, const char *arg, struct vmm_error *err);
void netopt_fini(struct netopt *opt);

#endif /* VMM_CLI_NETOPT_H */
