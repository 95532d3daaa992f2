/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.c - a thread of the library's, in a process that is not its own
 */
#include <signal.h>

#include "vmm/thread.h"
#include "vmm/types.h"

#define STACK_SIZE	KIB(128)

/*
 * Every signal is blocked in our threads from their first instruction, but for those
 * that tell of a fault of the thread itself: blocked, they would end the process
 * without a chance for the host's handlers.
 */
int thread_spawn(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	pthread_attr_t attr;
	sigset_t all;
	int ret;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&all, faults[i]);
	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	ret = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!ret)
		ret = pthread_attr_setsigmask_np(&attr, &all);
	if (!ret)
		ret = pthread_create(thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -ret;
}
