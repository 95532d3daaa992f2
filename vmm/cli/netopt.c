/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netopt.c - the argument of --network
 */
#include "vmm/cli/netopt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/number.h"
#include "vmm/cli/refuse.h"
#include "vmm/cli/vhostopt.h"

#define MTU_MIN		68		/* vmm.h, vmm_net_config.mtu */
#define MTU_MAX		65535

static int take_number(const char *key, const char *text, uint64_t min, uint64_t max,
		       uint64_t *val, struct vmm_error *err)
{
	if (number_parse(text, val) || *val < min || *val > max)
		return refuse(err, -EINVAL, "--network: %s=%s: not a number within %llu to %llu", key,
			      text, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

static int take_mode(struct netopt *opt, const char *text, struct vmm_error *err)
{
	if (!strcmp(text, "tap"))
		opt->mode = NETOPT_TAP;
	else if (!strcmp(text, "user"))
		opt->mode = NETOPT_USER;
	else if (!strcmp(text, "vhost-user"))
		opt->mode = NETOPT_VHOST_USER;
	else if (!strcmp(text, "none"))
		opt->mode = NETOPT_NONE;
	else
		return refuse(err, -EINVAL, "--network: mode=%s: not user, tap, vhost-user or none",
			      text);
	return 0;
}

static int take_mac(struct netopt *opt, const char *text, struct vmm_error *err)
{
	unsigned int b[6];
	int end = 0;

	if (strspn(text, "0123456789abcdefABCDEF:") != strlen(text) ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 || text[end])
		return refuse(err, -EINVAL, "--network: guest_mac=%s: not like 02:00:00:00:00:01",
			      text);
	for (int i = 0; i < 6; i++)
		opt->mac[i] = (uint8_t)b[i];
	if (b[0] & 1)
		return refuse(err, -EINVAL, "--network: guest_mac=%s: it is the address of a group",
			      text);
	return 0;
}

static int take_ip(const char *key, const char *text, const char **ip, struct vmm_error *err)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1)
		return refuse(err, -EINVAL, "--network: %s=%s: not an IPv4 address", key, text);
	*ip = text;
	return 0;
}

static int take_tapif(struct netopt *opt, const char *text, struct vmm_error *err)
{
	if (strlen(text) >= IFNAMSIZ)
		return refuse(err, -EINVAL, "--network: tapif=%s: a name has at most %d characters",
			      text, IFNAMSIZ - 1);
	opt->tapif = text;
	return 0;
}

static int take_socket(struct netopt *opt, const char *text, struct vmm_error *err)
{
	if (strlen(text) >= VHOSTOPT_PATH)
		return refuse(err, -EINVAL, "--network: socket: a name of %zu bytes is too long",
			      strlen(text));
	opt->socket = text;
	return 0;
}

static int take_vhost(struct netopt *opt, const char *text, struct vmm_error *err)
{
	uint64_t val = 0;
	int ret = take_number("vhost", text, 0, 1, &val, err);

	opt->vhost = val;
	return ret;
}

static int take_trans(struct netopt *opt, const char *text, struct vmm_error *err)
{
	if (!strcmp(text, "pci"))
		opt->trans = VMM_VIRTIO_PCI;
	else if (!strcmp(text, "mmio"))
		opt->trans = VMM_VIRTIO_MMIO;
	else
		return refuse(err, -EINVAL, "--network: trans=%s: not pci or mmio", text);
	return 0;
}

static int take_word(struct netopt *opt, char *key, struct vmm_error *err)
{
	char *text = strchr(key, '=');
	uint64_t val = 0;
	int ret = 0;

	if (!text || !text[1])
		return refuse(err, -EINVAL, "--network: '%s': not KEY=VALUE", key);
	*text++ = '\0';
	if (!strcmp(key, "mode"))
		return take_mode(opt, text, err);
	if (!strcmp(key, "guest_mac"))
		return take_mac(opt, text, err);
	if (!strcmp(key, "tapif"))
		return take_tapif(opt, text, err);
	if (!strcmp(key, "socket"))
		return take_socket(opt, text, err);
	if (!strcmp(key, "host_ip"))
		return take_ip(key, text, &opt->host_ip, err);
	if (!strcmp(key, "guest_ip"))
		return take_ip(key, text, &opt->guest_ip, err);
	if (!strcmp(key, "vhost"))
		return take_vhost(opt, text, err);
	if (!strcmp(key, "trans"))
		return take_trans(opt, text, err);
	if (!strcmp(key, "script")) {
		opt->script = text;
	} else if (!strcmp(key, "downscript")) {
		opt->downscript = text;
	} else if (!strcmp(key, "mtu")) {
		ret = take_number(key, text, MTU_MIN, MTU_MAX, &val, err);
		opt->mtu = (uint16_t)val;
	} else if (!strcmp(key, "reconnect")) {
		ret = take_number(key, text, 1, VHOSTOPT_RECONNECT, &val, err);
		opt->reconnect = (uint32_t)val;
	} else if (!strcmp(key, "mq")) {
		ret = take_number(key, text, 1, VMM_NET_QUEUES, &val, err);
		opt->queues = (uint32_t)val;
	} else if (!strcmp(key, "fd")) {
		ret = take_number(key, text, 0, INT32_MAX, &val, err);
		opt->fd = (int)val;
		opt->has_fd = true;
	} else {
		ret = refuse(err, -EINVAL, "--network: there is no key '%s'", key);
	}
	return ret;
}

/* What keys mean together. */
static int check(const struct netopt *opt, struct vmm_error *err)
{
	if (opt->has_fd && opt->tapif)
		return refuse(err, -EINVAL, "--network: fd excludes tapif");
	if (opt->queues > 1 && (opt->has_fd || (opt->mode != NETOPT_TAP && opt->mode != NETOPT_VHOST_USER)))
		return refuse(err, -EINVAL,
			      "--network: mq needs mode=tap or mode=vhost-user, and excludes fd");
	if ((opt->mode == NETOPT_VHOST_USER) != (opt->socket != NULL))
		return refuse(err, -EINVAL, "--network: mode=vhost-user and socket need one another");
	if (opt->reconnect && (!opt->socket || opt->queues > 1))
		return refuse(err, -EINVAL, "--network: reconnect needs mode=vhost-user, and excludes mq");
	if (opt->socket && opt->has_fd)
		return refuse(err, -EINVAL, "--network: fd excludes mode=vhost-user");
	if (opt->mode != NETOPT_TAP && (opt->tapif || opt->script || opt->downscript || opt->vhost))
		return refuse(err, -EINVAL,
			      "--network: tapif, script, downscript and vhost need mode=tap");
	return 0;
}

int netopt_parse(struct netopt *opt, const char *arg, struct vmm_error *err)
{
	char *word;
	char *next;
	int ret = 0;

	memset(opt, 0, sizeof(*opt));
	opt->queues = 1;
	opt->words = next = strdup(arg);
	if (!next)
		return refuse(err, -ENOMEM, "out of memory");
	while (!ret && (word = strsep(&next, ",")))
		ret = take_word(opt, word, err);
	return ret ? ret : check(opt, err);
}

void netopt_fini(struct netopt *opt)
{
	free(opt->words);
	opt->words = NULL;
}
