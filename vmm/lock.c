/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.c - a mutex for what every access of a vCPU takes: how one waits
 *
 * Whoever slept may not be the last, so who gets the lock after that calls it awaited:
 * at worst its release wakes nobody.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/lock.h"

/* In vain if the state has changed meanwhile, or for a signal; the caller looks again. */
static void futex(u32 *word, int op, u32 val)
{
	int saved = errno;

	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, NULL, NULL, 0);
	errno = saved;
}

void lock_wait(struct lock *lock)
{
	while (__atomic_exchange_n(&lock->state, LOCK_AWAITED, __ATOMIC_ACQUIRE) != LOCK_FREE)
		futex(&lock->state, FUTEX_WAIT, LOCK_AWAITED);
}

void lock_wake(struct lock *lock)
{
	futex(&lock->state, FUTEX_WAKE, 1);
}
