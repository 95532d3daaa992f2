/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhosts.c - devices that other processes serve, and the connections to those
 */
#include "vmm/cli/vhosts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cli/answer.h"
#include "vmm/cli/helper.h"
#include "vmm/cli/report.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vhosts_clear(struct vhosts *v)
{
	v->nr = 0;
	for (uint32_t i = 0; i < OPTIONS_VHOSTS; i++)
		v->list[i] = (struct vhost){ .fd = -1, .device = -1 };
}

int vhosts_open(struct vhosts *v, const struct run_options *opts, struct vmm_error *err)
{
	for (v->nr = 0; v->nr < opts->nr_vhosts; v->nr++) {
		struct vhost *one = &v->list[v->nr];
		int ret = vhostopt_parse(&one->opt, opts->vhosts[v->nr], err);

		if (!ret)
			one->fd = vhostopt_connect(one->opt.path, true, "--vhost-user", err);
		if (ret || one->fd < 0)
			return ret ? ret : one->fd;
	}
	return 0;
}

void vhosts_close(struct vhosts *v)
{
	for (uint32_t i = 0; i < OPTIONS_VHOSTS; i++)
		close_fd(&v->list[i].fd);
}

bool vhosts_reconnect(const struct vhosts *v)
{
	for (uint32_t i = 0; i < v->nr; i++)
		if (v->list[i].opt.reconnect)
			return true;
	return false;
}

static bool has_gone(const struct vhost *one)
{
	struct pollfd p = { .fd = one->fd };

	return one->fd >= 0 && poll(&p, 1, 0) > 0;
}

static int add(struct vhosts *v, uint32_t i, struct vmm *vm, struct helper *h, struct vmm_error *err)
{
	struct vmm_vhost_user_config cfg = VMM_VHOST_USER_CONFIG_INIT;
	struct vhost *one = &v->list[i];

	/* It has gone since the last boot. */
	if (one->opt.reconnect && (one->fd < 0 || has_gone(one))) {
		close_fd(&one->fd);
		one->fd = helper_connect(h, i, err);
		if (one->fd < 0)
			return one->fd;
	}
	cfg.flags = one->opt.reconnect ? VMM_VHOST_USER_F_WAIT : 0;
	cfg.type = one->opt.type;
	cfg.queues = one->opt.queues;
	cfg.fd = one->fd;
	one->device = vmm_add_vhost_user(vm, &cfg, err);
	return one->device;
}

int vhosts_add(struct vhosts *v, struct vmm *vm, struct helper *h, struct vmm_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < v->nr && ret >= 0; i++)
		ret = add(v, i, vm, h, err);
	return ret < 0 ? ret : 0;
}

/* ---- While it runs ------------------------------------------------------------ */

/* For their ends only, which are told without being asked for. */
unsigned int vhosts_poll(const struct vhosts *v, struct pollfd *fds)
{
	for (uint32_t i = 0; i < v->nr; i++)
		fds[i] = (struct pollfd){ .fd = v->list[i].opt.reconnect ? v->list[i].fd : -1 };
	return v->nr;
}

int vhosts_timeout(const struct vhosts *v)
{
	uint64_t now = answer_now_ms();
	int least = -1;

	for (uint32_t i = 0; i < v->nr; i++) {
		const struct vhost *one = &v->list[i];
		int left = one->next_ms > now ? (int)(one->next_ms - now) : 0;

		if (one->opt.reconnect && one->fd < 0 && (least < 0 || left < least))
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
	one->next_ms = answer_now_ms() + one->opt.reconnect * 1000ull;
	one->fd = helper_connect(h, i, &err);
	ret = one->fd < 0 ? one->fd : vmm_set_backend(vm, (uint32_t)one->device, one->fd, &err);
	if (!ret) {
		one->said[0] = '\0';
		return;
	}
	/* One that is not what it was is told of, once; that there is none has been. */
	if (ret != -EBUSY && strcmp(one->said, err.msg)) {
		report_log(report, one->fd < 0 ? VMM_LOG_DEBUG : VMM_LOG_WARN, "--vhost-user %s: %s",
			   one->opt.path, err.msg);
		memcpy(one->said, err.msg, sizeof(one->said));
	}
	close_fd(&one->fd);
}

void vhosts_serve(struct vhosts *v, struct vmm *vm, struct helper *h, const struct report *report)
{
	for (uint32_t i = 0; i < v->nr; i++) {
		struct vhost *one = &v->list[i];

		if (!one->opt.reconnect)
			continue;
		if (has_gone(one))
			close_fd(&one->fd);
		if (one->fd < 0 && answer_now_ms() >= one->next_ms)
			try_again(one, i, vm, h, report);
	}
}
