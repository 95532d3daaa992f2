/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.h - what is in the vCPUs of a guest that is paused
 */
#ifndef VMM_CLI_DUMP_H
#define VMM_CLI_DUMP_H

#include <jansson.h>

#include "vmm.h"

/* An array of what vmm-control(7) says of the command "dump"; NULL: no memory. */
json_t *dump_vcpus(struct vmm *vm, uint32_t cpus);

#endif /* VMM_CLI_DUMP_H */
