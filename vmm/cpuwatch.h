/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpuwatch.h - hear that host CPUs came or went, or that a cpuset changed
 */
#ifndef VMM_CPUWATCH_H
#define VMM_CPUWATCH_H

#include "vmm.h"

#include "vmm/types.h"

struct cpuwatch;
struct loop;

/*
 * On the loop's thread.  From then on @fn(@arg) runs there whenever the set of CPUs
 * that this process can use may have changed; now and then it is a false alarm.
 * @sysfs is where sysfs is mounted.
 */
int cpuwatch_create(struct cpuwatch **watch, struct loop *loop, const char *sysfs,
		    void (*fn)(void *arg), void *arg, struct vmm_error *err);

/*
 * Hear of the cpuset of thread @tid of this process, and go on hearing of those
 * before.  On any thread; what cannot be watched is not.
 */
void cpuwatch_cgroup(struct cpuwatch *watch, int tid);

void cpuwatch_destroy(struct cpuwatch *watch);

#endif
