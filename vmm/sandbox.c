/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.c - take from a thread what it does not need
 *
 * In this order, as each step would be harder without those before it: no privileges
 * by execve(), which unprivileged processes must have given up before they may set a
 * filter; no capabilities; no files but those that are named; no system calls but those
 * in sandbox_table.h.  All of it is the thread's, and those that it makes inherit it.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/error.h"
#include "vmm/landlock.h"
#include "vmm/sandbox.h"
#include "vmm/sandbox_filters.h"

struct filter {
	const struct sock_filter	*code;
	unsigned short			len;
};

#define FILTER(name)	{ (name), ARRAY_SIZE(name) }

static const struct filter filters[][2] = {
	[VMM_SANDBOX_CONTROL]	= { FILTER(control_on), FILTER(control_audit) },
	[VMM_SANDBOX_VCPU]	= { FILTER(vcpu_on), FILTER(vcpu_audit) },
	[VMM_SANDBOX_IO]	= { FILTER(io_on), FILTER(io_audit) },
};

bool sandbox_possible(void)
{
	const u32 action = SECCOMP_RET_TRAP;

	return !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

static int no_filters(struct vmm_error *err)
{
	return error_set(err, -ENOTSUP, "sandbox: this kernel has no seccomp filters");
}

static int no_new_privileges(struct vmm_error *err)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ?
	       error_sys(err, -errno, "sandbox: no_new_privs") : 0;
}

int sandbox_filter(enum vmm_sandbox_role role, bool audit, struct vmm_error *err)
{
	const struct filter *filter = &filters[role][audit];
	const struct sock_fprog prog = {
		.len = filter->len, .filter = (struct sock_filter *)filter->code,
	};

	int ret = no_new_privileges(err);

	if (ret)
		return ret;
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return 0;
	if (errno == ENOSYS || errno == EINVAL)
		return no_filters(err);
	return error_sys(err, -errno, "sandbox: setting a seccomp filter");
}

/* An ambient capability goes with its inheritable one. */
static int drop_capabilities(u64 keep, struct vmm_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return error_sys(err, -errno, "sandbox: reading capabilities");
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		data[i].permitted &= (u32)(keep >> (32 * i));
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data))
		return error_sys(err, -errno, "sandbox: dropping capabilities");
	return 0;
}

static int check(const struct vmm_sandbox_config *cfg, struct vmm_error *err)
{
	const u64 access = VMM_PATH_READ | VMM_PATH_WRITE | VMM_PATH_MAKE;
	int ret = config_flags(cfg->flags, VMM_SANDBOX_F_AUDIT | VMM_SANDBOX_F_FILES, err);

	if (ret)
		return ret;
	if (cfg->role > VMM_SANDBOX_IO)
		return error_set(err, -EINVAL, "sandbox: no role %u", cfg->role);
	if (cfg->nr_paths && !(cfg->flags & VMM_SANDBOX_F_FILES))
		return error_set(err, -EINVAL, "sandbox: paths, and all files are allowed");
	for (u32 i = 0; i < cfg->nr_paths && !ret; i++)
		ret = config_flags(cfg->paths[i].access, access, err);
	return ret;
}

/* vmm.h says what the library opens by itself. */
static int restrict_files(const struct vmm_sandbox_config *cfg, struct vmm_error *err)
{
	static const struct vmm_sandbox_path ours[] = {
		{ "/dev/kvm", VMM_PATH_READ | VMM_PATH_WRITE },
		{ "/sys", VMM_PATH_READ },
		{ "/proc/self", VMM_PATH_READ },
	};
	const struct vmm_sandbox_path *const lists[] = { ours, cfg->paths };
	const size_t nrs[] = { ARRAY_SIZE(ours), cfg->nr_paths };
	int ret = no_new_privileges(err);

	return ret ? ret : landlock_restrict(lists, nrs, ARRAY_SIZE(lists), err);
}

int vmm_sandbox_enter(const struct vmm_sandbox_config *user, struct vmm_error *err)
{
	struct vmm_sandbox_config cfg;
	bool audit;
	int ret;

	KEEP_ERRNO();
	ret = config_copy(&cfg, sizeof(cfg), user, err);
	if (!ret)
		ret = check(&cfg, err);
	if (!ret && !sandbox_possible())
		ret = no_filters(err);
	if (ret)
		return ret;
	audit = cfg.flags & VMM_SANDBOX_F_AUDIT;
	if (!audit)
		ret = drop_capabilities(cfg.keep_caps, err);
	if (!ret && !audit && (cfg.flags & VMM_SANDBOX_F_FILES))
		ret = restrict_files(&cfg, err);
	return ret ? ret : sandbox_filter(cfg.role, audit, err);
}
