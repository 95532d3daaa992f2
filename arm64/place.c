/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.c - what the guest's PMU and SPE ask of the placement of its vCPUs
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "arm64/machine.h"
#include "vmm/cpumask.h"
#include "vmm/fd.h"
#include "vmm/machine.h"

int machine_online(struct vmm *vm, struct cpumask *cpus)
{
	char path[256];
	char text[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/devices/system/cpu/online", vm->cfg.sysfs);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text));
	fd_close(&fd);
	return len < 0 ? -EIO : cpumask_parse(cpus, text, (size_t)len);
}

int machine_constrain(struct vmm *vm, struct vmm_error *err)
{
	(void)vm;
	(void)err;
	return 0;
}
