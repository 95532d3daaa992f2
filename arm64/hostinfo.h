/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostinfo.h - what this host can do, over any implementation of the seam
 */
#ifndef ARM64_HOSTINFO_H
#define ARM64_HOSTINFO_H

#include "vmm.h"

struct kvm_ops;

/* vmm_host_open(); the other calls on a struct vmm_host are public. */
int hostinfo_open(struct vmm_host **host, const struct vmm_host_config *cfg,
		  const struct kvm_ops *ops, void *ctx, struct vmm_error *err);

#endif
