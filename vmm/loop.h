/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - an I/O thread's event loop, on io_uring or what takes its place
 *
 * A loop belongs to one thread at a time, the one that calls loop_run() or
 * loop_dispatch(), or before that the one that builds the machine.  Callbacks
 * run there, and watches are changed from there alone.  Any other thread asks
 * by message, loop_post().
 */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <sys/uio.h>

#include "vmm.h"

#include "vmm/types.h"

struct io_uring_sqe;
struct loop;

/*
 * A descriptor that is watched for readiness, once an arming: when poll() would
 * report one of @events, @fn runs and the watch is idle again.  Lives inside its
 * owner and starts as zeroes; loop_watch() and loop_unwatch() do the rest.
 */
struct watch {
	void		(*fn)(struct watch *w, u32 revents);
	void		*arg;
	struct loop	*loop;
	int		fd;
	u32		events;
	bool		armed;
	bool		leaving;	/* loop_unwatch() waits for its end */
};

int loop_create(struct loop **loop, struct vmm_error *err);

/*
 * For a thread, or a loop, of the host's: starts no thread whatever.  Without io_uring
 * what is asked of files is done in loop_run() and loop_dispatch(), which wait for it.
 */
int loop_create_lent(struct loop **loop, struct vmm_error *err);

/* Whether the kernel lets this process have io_uring; without it loops do the same by threads. */
bool loop_ring_possible(void);

/* No watch may be armed any more, and no thread inside. */
void loop_destroy(struct loop *loop);

/* Arm @w for @events (POLLIN, POLLOUT) of @fd; does nothing while it is armed. */
void loop_watch(struct loop *loop, struct watch *w, int fd, u32 events);

/* On return @w is idle and its function will not run. */
void loop_unwatch(struct watch *w);

/*
 * An operation: @done runs with its result, a count or a negative errno, exactly
 * once but for loop_listen().  Lives inside its owner and starts as zeroes but for .done
 * and .arg; it may be submitted again from @done on.  What is submitted in a turn is
 * handed to the kernel at its end, with one system call.
 */
struct loop_io {
	void	(*done)(struct loop_io *io, int res);
	void	*arg;
	bool	busy;
	bool	leaving;	/* loop_cancel() waits for its end */
};

/* Elements and buffers must stay until @done; @flags are RWF_* of preadv2(). */
void loop_read(struct loop *loop, struct loop_io *io, int fd, void *buf, u32 len, u64 off);

/*
 * @done runs, with more than 0, when @eventfd, which blocks, has been written to, once for some
 * writes or more often.  While @io is busy then, this goes on by itself; else it has to be asked
 * for again.  It may have been read, to @count, or not.
 */
void loop_listen(struct loop *loop, struct loop_io *io, int eventfd, u64 *count);

void loop_readv(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		unsigned int nr, u64 off, int flags);
void loop_writev(struct loop *loop, struct loop_io *io, int fd, const struct iovec *iov,
		 unsigned int nr, u64 off, int flags);
void loop_fdatasync(struct loop *loop, struct loop_io *io, int fd);
void loop_fallocate(struct loop *loop, struct loop_io *io, int fd, int mode, u64 off, u64 len);

/* Any other: an entry to be filled in by liburing's io_uring_prep_*(), at once. */
struct io_uring_sqe *loop_sqe(struct loop *loop, struct loop_io *io);

/* Cancel @io and wait for it; on return it is idle and @done has not run nor will. */
void loop_cancel(struct loop *loop, struct loop_io *io);

/*
 * Something to do once at the end of this turn, before the kernel is called: what a
 * batch of completions has in common, such as an interrupt.  On the loop's thread.
 */
struct loop_defer {
	void			(*fn)(void *arg);
	void			*arg;
	struct loop_defer	*next;
	bool			queued;
};

void loop_defer(struct loop *loop, struct loop_defer *d);

/* Serve events until loop_quit().  0, or the errno that broke the ring. */
int loop_run(struct loop *loop);

/*
 * Serve what is there and return; for a host that polls loop_fd().  What was armed
 * before the first such call shows there once loop_submit() has been called.  Either
 * waits for a second at most while the kernel has no memory for an entry, then: -ENOMEM.
 */
int loop_dispatch(struct loop *loop);
int loop_submit(struct loop *loop);
int loop_fd(const struct loop *loop);

/* Is io_uring refused to this process, and done without? */
bool loop_is_soft(const struct loop *loop);

/* From any thread: loop_run() returns once its current turn is over, for good. */
void loop_quit(struct loop *loop);

/*
 * A message: @fn(@arg) runs on the loop's thread.  The struct stays the caller's
 * and must live until then; posting one that is still queued does nothing, so a
 * message that never changes its arg serves as a doorbell.
 */
struct loop_msg {
	void		(*fn)(void *arg);
	void		*arg;
	struct loop_msg	*next;
	bool		queued;
};

void loop_post(struct loop *loop, struct loop_msg *msg);

#endif
