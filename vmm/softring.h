/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softring.h - what a loop needs of io_uring, by epoll, where it is refused
 *
 * Entries are io_uring's and are filled in by liburing; what they ask for and how they end
 * is the same, as far as vmm/loop.c allows it.  All calls are those of the loop's thread.
 */
#ifndef VMM_SOFTRING_H
#define VMM_SOFTRING_H

#include "vmm.h"

#include "vmm/types.h"

struct io_uring_sqe;
struct softring;

/* @threads: it may have one, for files; else a call that hands over such work does it. */
int softring_create(struct softring **ring, bool threads, struct vmm_error *err);
/* NULL is fine.  What is under way ends, or is forgotten. */
void softring_destroy(struct softring *ring);

/* The next entry, of zeroes.  NULL: no memory. */
struct io_uring_sqe *softring_sqe(struct softring *ring);

/* Hand over what was filled in; wait for a completion. */
void softring_submit(struct softring *ring);
void softring_wait(struct softring *ring);

/* Take a completion: false, there is none. */
bool softring_next(struct softring *ring, u64 *user_data, int *res);

/* Readable while there may be completions, of what has been submitted. */
int softring_fd(const struct softring *ring);

#endif
