/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balloon.h - what a guest tells of its balloon, for people
 */
#ifndef VMM_CLI_BALLOON_H
#define VMM_CLI_BALLOON_H

#include <jansson.h>

/* The member "balloon" of an answer of vmm-control(7), which may be NULL: nothing then. */
void balloon_print(const json_t *balloon);

#endif /* VMM_CLI_BALLOON_H */
