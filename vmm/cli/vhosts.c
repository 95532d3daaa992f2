/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhosts.c - connections to other processes that serve devices, and the disks among those
 */
#include "vmm/cli/vhosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/cli/answer.h"
#include "vmm/cli/closefd.h"
#include "vmm/cli/helper.h"
#include "vmm/cli/report.h"

/* Who takes a connection and does not answer costs a second, and is not asked as often. */
#define SILENT_MS	10000

void vhosts_clear(struct vhosts *v)
{
	v->nr = v->nr_disks = 0;
	for (uint32_t i = 0; i < VHOSTS_MAX; i++)
		v->list[i] = (struct vhost){ .fd = -1, .device = -1 };
}

int vhosts_connect(struct vhosts *v, const char *path, uint32_t reconnect, const char *option,
		   struct vmm_error *err)
{
	struct vhost *one = &v->list[v->nr];

	one->option = option;
	one->reconnect = reconnect;
	snprintf(one->path, sizeof(one->path), "%s", path);
	one->fd = vhostopt_connect(path, true, option, err);
	return one->fd < 0 ? one->fd : (int)v->nr++;
}

int vhosts_open(struct vhosts *v, const struct run_options *opts, struct vmm_error *err)
{
	int ret = 0;

	for (; v->nr_disks < opts->nr_vhosts && ret >= 0; v->nr_disks++) {
		struct vhostopt *opt = &v->disks[v->nr_disks];

		ret = vhostopt_parse(opt, opts->vhosts[v->nr_disks], err);
		if (!ret)
			ret = vhosts_connect(v, opt->path, opt->reconnect, "--vhost-user", err);
	}
	return ret < 0 ? ret : 0;
}

void vhosts_close(struct vhosts *v)
{
	for (uint32_t i = 0; i < VHOSTS_MAX; i++)
		close_fd(&v->list[i].fd);
}

bool vhosts_reconnect(const struct vhosts *v)
{
	for (uint32_t i = 0; i < v->nr; i++)
		if (v->list[i].reconnect)
			return true;
	return false;
}

static bool has_gone(const struct vhost *one)
{
	struct pollfd p = { .fd = one->fd };

	return one->fd >= 0 && poll(&p, 1, 0) > 0;
}

bool vhost_is_there(const struct vhost *one)
{
	return one->fd >= 0 && !has_gone(one);
}

int vhosts_take(struct vhosts *v, uint32_t i, struct helper *h, struct vmm_error *err)
{
	struct vhost *one = &v->list[i];

	/* It has gone since the last boot. */
	if (one->reconnect && (one->fd < 0 || has_gone(one))) {
		close_fd(&one->fd);
		one->fd = helper_connect(h, i, err);
	}
	return one->fd;
}

static int add(struct vhosts *v, uint32_t i, struct vmm *vm, struct helper *h, struct vmm_error *err)
{
	struct vmm_vhost_user_config cfg = VMM_VHOST_USER_CONFIG_INIT;

	cfg.fd = vhosts_take(v, i, h, err);
	if (cfg.fd < 0)
		return cfg.fd;
	cfg.flags = v->disks[i].reconnect ? VMM_VHOST_USER_F_WAIT : 0;
	cfg.type = v->disks[i].type;
	cfg.queues = v->disks[i].queues;
	return v->list[i].device = vmm_add_vhost_user(vm, &cfg, err);
}

int vhosts_add(struct vhosts *v, struct vmm *vm, struct helper *h, struct vmm_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < v->nr_disks && ret >= 0; i++)
		ret = add(v, i, vm, h, err);
	return ret < 0 ? ret : 0;
}

/* ---- While it runs ------------------------------------------------------------ */

/* For their ends only, which are told without being asked for. */
unsigned int vhosts_poll(const struct vhosts *v, struct pollfd *fds)
{
	for (uint32_t i = 0; i < v->nr; i++)
		fds[i] = (struct pollfd){ .fd = v->list[i].reconnect ? v->list[i].fd : -1 };
	return v->nr;
}

int vhosts_timeout(const struct vhosts *v)
{
	uint64_t now = answer_now_ms();
	int least = -1;

	for (uint32_t i = 0; i < v->nr; i++) {
		const struct vhost *one = &v->list[i];
		int left = one->next_ms > now ? (int)(one->next_ms - now) : 0;

		if (one->reconnect && one->fd < 0 && (least < 0 || left < least))
			least = left;
	}
	return least;
}

static void try_again(struct vhost *one, uint32_t i, struct vmm *vm, struct helper *h,
		      const struct report *report)
{
	struct vmm_error err = { "" };
	int ret;

	/* After this one's end, too, if that is soon. */
	one->next_ms = answer_now_ms() + one->reconnect * 1000ull;
	one->fd = helper_connect(h, i, &err);
	ret = one->fd < 0 ? one->fd : vmm_set_backend(vm, (uint32_t)one->device, one->fd, &err);
	if (!ret) {
		one->said[0] = '\0';
		one->returned = true;
		return;
	}
	if (ret == -ETIMEDOUT && one->reconnect < SILENT_MS / 1000)
		one->next_ms = answer_now_ms() + SILENT_MS;
	/* One that is not what it was is told of, once; that there is none has been. */
	if (ret != -EBUSY && strcmp(one->said, err.msg)) {
		report_log(report, one->fd < 0 ? VMM_LOG_DEBUG : VMM_LOG_WARN, "%s %s: %s",
			   one->option, one->path, err.msg);
		memcpy(one->said, err.msg, sizeof(one->said));
	}
	close_fd(&one->fd);
}

void vhosts_serve(struct vhosts *v, struct vmm *vm, struct helper *h, const struct report *report)
{
	for (uint32_t i = 0; i < v->nr; i++) {
		struct vhost *one = &v->list[i];

		if (!one->reconnect)
			continue;
		if (has_gone(one))
			close_fd(&one->fd);
		if (one->fd < 0 && answer_now_ms() >= one->next_ms)
			try_again(one, i, vm, h, report);
	}
}

const struct vhost *vhosts_returned(struct vhosts *v)
{
	for (uint32_t i = 0; i < v->nr; i++) {
		if (v->list[i].returned) {
			v->list[i].returned = false;
			return &v->list[i];
		}
	}
	return NULL;
}
