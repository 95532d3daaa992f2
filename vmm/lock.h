/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - a mutex for what every access of a vCPU takes
 *
 * It is nearly always free, and then costs two atomic instructions and their calls: a
 * third of what the C library's costs, whose lock and unlock were nearly half of the
 * instructions of an MMIO exit in this process.  Who has to wait sleeps in the kernel.
 * Not recursive, without an owner; a zeroed one is free, and needs no end.
 */
#ifndef VMM_LOCK_H
#define VMM_LOCK_H

#include "vmm/types.h"

struct lock {
	u32	state;
};

enum { LOCK_FREE, LOCK_TAKEN, LOCK_AWAITED };

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

static inline void lock_take(struct lock *lock)
{
	u32 state = LOCK_FREE;

	if (!__atomic_compare_exchange_n(&lock->state, &state, LOCK_TAKEN, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		lock_wait(lock);
}

static inline void lock_release(struct lock *lock)
{
	if (__atomic_exchange_n(&lock->state, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_AWAITED)
		lock_wake(lock);
}

#endif
