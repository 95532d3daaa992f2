/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nets.c - the guest's network cards, and who is behind them
 */
#include "vmm/cli/nets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool wants_passt(const struct net *net)
{
	return net->opt.mode == NETOPT_USER && !net->opt.has_fd;
}

static int open_vhost(struct net *net, struct vmm_error *err)
{
	for (uint32_t i = 0; i < net->opt.queues; i++) {
		net->vhost_fds[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (net->vhost_fds[i] >= 0)
			continue;
		snprintf(err->msg, sizeof(err->msg), "--network: vhost=1: /dev/vhost-net: %s",
			 strerror(errno));
		return -ENOTSUP;
	}
	return 0;
}

static int connect_net(struct net *net, struct vhosts *vhosts, struct vmm_error *err)
{
	int ret = vhosts_connect(vhosts, net->opt.socket, net->opt.reconnect, "--network", err);

	net->vhost = (uint32_t)ret;
	return ret < 0 ? ret : 0;
}

static int open_net(struct net *net, struct vhosts *vhosts, struct vmm_error *err)
{
	int ret = net->opt.vhost ? open_vhost(net, err) : 0;

	if (ret)
		return ret;
	if (net->opt.mode == NETOPT_TAP)
		return tapif_open(&net->opt, net->fds, net->name, err);
	if (net->opt.mode == NETOPT_VHOST_USER)
		return connect_net(net, vhosts, err);
	if (!net->opt.has_fd)
		return 0;
	net->fds[0] = fcntl(net->opt.fd, F_DUPFD_CLOEXEC, 3);
	if (net->fds[0] >= 0)
		return 0;
	snprintf(err->msg, sizeof(err->msg), "--network: fd=%d: %s", net->opt.fd, strerror(errno));
	return -errno;
}

static int start_keeper(struct nets *nets, struct vmm_error *err)
{
	bool wanted = false;
	int ret;

	for (unsigned int i = 0; i < nets->nr; i++) {
		struct net *net = &nets->net[i];

		nets->cards[i] = (struct netkeep_card){
			.opt = &net->opt, .name = net->name, .passt = wants_passt(net),
		};
		wanted |= nets->cards[i].passt || net->opt.downscript;
	}
	if (!wanted)
		return 0;
	ret = netkeep_start(&nets->keep, nets->cards, nets->nr);
	if (ret)
		snprintf(err->msg, sizeof(err->msg), "--network: a process for it: %s", strerror(-ret));
	return ret;
}

int nets_open(struct nets *nets, const struct run_options *opts, struct vhosts *vhosts,
	      struct vmm_error *err)
{
	int ret = 0;

	memset(nets, 0, sizeof(*nets));
	nets->keep.fd = -1;
	nets->vhosts = vhosts;
	for (uint32_t i = 0; i < opts->nr_nets && !ret; i++) {
		struct net *net = &nets->net[nets->nr];

		memset(net->fds, -1, sizeof(net->fds));
		memset(net->vhost_fds, -1, sizeof(net->vhost_fds));
		ret = netopt_parse(&net->opt, opts->nets[i], err);
		if (net->opt.mode == NETOPT_NONE) {
			netopt_fini(&net->opt);
			continue;
		}
		nets->nr++;
		if (!ret)
			ret = open_net(net, vhosts, err);
	}
	return ret ? ret : start_keeper(nets, err);
}

static void close_all(const int *fds)
{
	for (uint32_t i = 0; i < VMM_NET_QUEUES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void nets_close(struct nets *nets)
{
	/* It runs scripts about interfaces that have to be there. */
	netkeep_stop(&nets->keep);
	for (unsigned int i = 0; i < nets->nr; i++) {
		close_all(nets->net[i].fds);
		close_all(nets->net[i].vhost_fds);
		netopt_fini(&nets->net[i].opt);
	}
	nets->nr = 0;
}

bool nets_share_ram(const struct nets *nets)
{
	for (unsigned int i = 0; i < nets->nr; i++)
		if (nets->net[i].opt.mode == NETOPT_VHOST_USER)
			return true;
	return false;
}

/* ---- Boot by boot ------------------------------------------------------------ */

static int add(struct net *net, int fd, struct vmm *vm, struct vmm_error *err)
{
	static const uint64_t kinds[] = {
		[NETOPT_TAP] = VMM_NET_F_TAP, [NETOPT_USER] = VMM_NET_F_STREAM,
		[NETOPT_VHOST_USER] = VMM_NET_F_VHOST_USER,
	};
	struct vmm_net_config cfg = VMM_NET_CONFIG_INIT;
	int ret;

	cfg.flags = kinds[net->opt.mode];
	cfg.fd = fd;
	cfg.flags |= net->opt.vhost ? VMM_NET_F_VHOST : 0;
	cfg.flags |= net->opt.reconnect ? VMM_NET_F_WAIT : 0;
	cfg.vhost_fd = net->opt.vhost ? net->vhost_fds[0] : 0;
	cfg.queues = net->opt.queues;
	memcpy(cfg.more_fds, net->fds + 1, sizeof(cfg.more_fds));
	memcpy(cfg.more_vhost_fds, net->vhost_fds + 1, sizeof(cfg.more_vhost_fds));
	cfg.mtu = net->opt.mtu;
	if (wants_passt(net) && !cfg.mtu)
		cfg.mtu = PASST_MTU;
	memcpy(cfg.mac, net->opt.mac, sizeof(cfg.mac));
	ret = vmm_add_net(vm, &cfg, err);
	net->index = (uint32_t)ret;
	return ret < 0 ? ret : 0;
}

/* They come in the order of the cards. */
static int take_passt(struct nets *nets, unsigned int i, int *fd, struct vmm_error *err)
{
	struct netkeep_news news;
	int ret;

	do
		ret = netkeep_next(&nets->keep, &news, fd, true);
	while (ret > 0 && news.card != i);
	if (ret < 0)
		snprintf(err->msg, sizeof(err->msg), "--network: who starts passt has gone");
	else if (news.error)
		memcpy(err->msg, news.msg, sizeof(err->msg));
	return ret < 0 ? ret : news.error;
}

/* What is behind a card in this boot. */
static int take_fd(struct nets *nets, unsigned int i, struct helper *h, int *fd, struct vmm_error *err)
{
	const struct net *net = &nets->net[i];

	*fd = net->fds[0];
	if (wants_passt(net))
		return take_passt(nets, i, fd, err);
	if (net->opt.mode != NETOPT_VHOST_USER)
		return 0;
	*fd = vhosts_take(nets->vhosts, net->vhost, h, err);
	return *fd < 0 ? *fd : 0;
}

int nets_add(struct nets *nets, struct vmm *vm, struct helper *h, struct vmm_error *err)
{
	int ret = nets->keep.pid ? netkeep_boot(&nets->keep) : 0;

	if (ret)
		snprintf(err->msg, sizeof(err->msg), "--network: who starts passt has gone");
	for (unsigned int i = 0; i < nets->nr && !ret; i++) {
		struct net *net = &nets->net[i];
		int fd;

		ret = take_fd(nets, i, h, &fd, err);
		if (!ret)
			ret = add(net, fd, vm, err);
		if (!ret && net->opt.mode == NETOPT_VHOST_USER)
			nets->vhosts->list[net->vhost].device = (int)net->index;
		if (wants_passt(net) && fd >= 0)
			close(fd);
	}
	return ret;
}

int nets_fd(const struct nets *nets)
{
	return nets->keep.pid ? nets->keep.fd : -1;
}

/* passt has ended, or runs again. */
static void hear(struct net *net, const struct netkeep_news *news, int fd, struct vmm *vm,
		 const struct report *report)
{
	struct vmm_error err = { "" };

	if (news->error) {
		report_log(report, VMM_LOG_WARN, "net%u: %s; the link is down until it runs again",
			   net->index, news->msg);
		return;
	}
	if (!vmm_net_attach(vm, net->index, fd, &err))
		report_log(report, VMM_LOG_INFO, "net%u: passt runs again", net->index);
	else
		report_log(report, VMM_LOG_DEBUG, "net%u: %s", net->index, err.msg);
}

void nets_serve(struct nets *nets, struct vmm *vm, const struct report *report)
{
	struct netkeep_news news;
	int ret;
	int fd;

	if (!nets->keep.pid)
		return;
	while ((ret = netkeep_next(&nets->keep, &news, &fd, false)) > 0) {
		hear(&nets->net[news.card], &news, fd, vm, report);
		if (fd >= 0)
			close(fd);
	}
	if (ret == 0)
		return;
	report_log(report, VMM_LOG_WARN, "--network: who starts passt has gone");
	netkeep_stop(&nets->keep);
}
