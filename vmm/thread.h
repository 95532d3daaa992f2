/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.h - a thread of the library's, in a process that is not its own
 */
#ifndef VMM_THREAD_H
#define VMM_THREAD_H

#include <pthread.h>

/*
 * 0, with the thread to be joined in @thread, or a negative errno.  It has a stack of
 * 128 KiB, and gets no signal but those that it raises itself by a fault.
 */
int thread_spawn(pthread_t *thread, void *(*fn)(void *), void *arg);

#endif
