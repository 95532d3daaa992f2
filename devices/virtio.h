/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio.h - what every virtio device has, between its transport and its own code
 *
 * Above are the transports: they turn accesses of the guest into the calls of the
 * second part.  Below are the devices, each an ops table and a struct that begins with
 * struct virtio.  A device's registers belong to its lock; each queue to the loop of
 * one I/O thread, for the device's whole life; what concerns the whole device while
 * it runs to the loop of queue 0, its home.
 *
 *	DRIVER_OK -> [home] start -> [each loop] kick, kick, ... -> reset by the guest ->
 *	[each loop] stop_queue, until no chain is in flight -> [home] reset
 *
 * Queue registers are frozen from DRIVER_OK on until the reset is done.  A driver that
 * breaks the rules breaks its device, virtio_break(), and the rest runs on.
 */
#ifndef DEVICES_VIRTIO_H
#define DEVICES_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm.h"

#include "devices/virtq.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/types.h"

#define VIRTIO_MAX_QUEUES	64

struct virtio;
struct virtio_queue;

/* ---- What the machine gives to all of them --------------------------------- */

struct virtio_env {
	const struct gmem	*mem;
	int			mem_fd;		/* the file .mem is mapped from, or -1 */
	const struct logger	*log;
	struct loop		*loops[16];	/* of the I/O threads */
	u32			nr_loops;
	bool			packed;		/* offer packed rings (virtio 1.2, 2.8) */
	/* Device @index waits for a reset; from any thread, no lock held. */
	void			(*broken)(void *ctx, u32 index, const char *msg);
	/* A paused queue of this loop may have come to rest; on the loop. */
	void			(*rests)(void *ctx, struct loop *loop);
	void			*ctx;
};

/* ---- What a device is ---------------------------------------------------------- */

struct virtio_ops {
	const char	*name;		/* "rng" */
	u32		id;		/* virtio 1.2, 5 */
	u32		nr_queues;	/* 0: the device says, virtio_init() */
	u32		queue_size;	/* at most, for each */

	/*
	 * With the device locked, on a vCPU's thread.  Either may be NULL: any features
	 * that were offered are fine; the configuration cannot be written.
	 */
	bool	(*accept)(struct virtio *dev, u64 features);
	void	(*config_write)(struct virtio *dev, u32 off, const void *val, u32 len);

	/*
	 * At home.  .start comes before the first kick; an errno breaks the device.
	 * .reset: nothing is in flight any more; forget what the driver had asked for.
	 * Each may be NULL.
	 */
	int	(*start)(struct virtio *dev);
	void	(*reset)(struct virtio *dev);

	/*
	 * On the queue's loop.  .kick: there may be chains: pop them.  True: go on
	 * asking for kicks; what is left on the ring is run at once, so nothing may wait
	 * there.  False: the device waits for something else, a free request
	 * or data from outside, and will call virtio_run() or virtio_wait_kick() itself.
	 * .stop_queue: no more pops succeed; give back, virtio_push(), what is kept
	 * without a request of its own under way.  May be NULL.
	 */
	bool	(*kick)(struct virtio_queue *q);
	void	(*stop_queue)(struct virtio_queue *q);

	/*
	 * On the queue's loop, while it is paused and .kick is not called: is nothing
	 * under way that will touch guest memory?  NULL: so it is when no chain is in
	 * flight, which will come about by itself.
	 */
	bool	(*at_rest)(struct virtio_queue *q);

	/*
	 * Set by a device whose rings are served elsewhere, by the kernel or by another
	 * process, which rings and is rung itself: .start hands .kick_fd and what
	 * virtio_irq_fd() says over, and none of the queues' calls above is made.  All
	 * rings are, unless the device sets .nr_elsewhere of its struct virtio to less.  At
	 * home: take the rings back, and call virtio_stopped() when they are, now or later.
	 */
	void	(*stop)(struct virtio *dev);

	/*
	 * May be set by such a device, if its rings can rest.  At home, once it has started:
	 * they shall, or shall not any more, as .paused of queue 0 says.
	 */
	void	(*rest)(struct virtio *dev);

	/* No thread is inside, and nothing in flight. */
	void	(*destroy)(struct virtio *dev);
};

/* How a transport tells the driver. */
struct virtio_transport_ops {
	/* Chains of @q were used.  On its loop, with no lock. */
	void	(*queue_irq)(struct virtio_queue *q);
	/* The configuration or the status has changed.  With the device locked. */
	void	(*config_irq)(struct virtio *dev);
	/*
	 * An eventfd that tells the same to whom it is handed, from DRIVER_OK until the
	 * reset is done.  -1: the driver wants no interrupt of @q.
	 */
	int (*irq_fd)(struct virtio_queue *q);
	/* A reset is done.  With the device locked. */
	void	(*was_reset)(struct virtio *dev);
};

struct virtio_queue {
	struct virtio		*dev;
	u32			index;
	struct loop		*loop;
	int			kick_fd;	/* eventfd, rung by the guest */
	void			*priv;		/* the device's */

	/* Registers: under the device's lock, frozen while it runs. */
	u32			max_size;
	struct virtq_layout	layout;
	bool			ready;
	u16			vector;		/* of MSI-X */

	/* On the loop alone. */
	struct virtq		vq;
	bool			running;	/* from start until nothing is in flight */
	bool			stopping;
	bool			paused;
	u32			budget;		/* pops left in this run */
	u64			kick_count;	/* of .kick_fd, if it is read */
	struct loop_io		kick_io;
	struct loop_defer	irq;
	struct loop_msg		start_msg;
	struct loop_msg		stop_msg;
	struct loop_msg		again_msg;
	struct loop_msg		drained_msg;	/* to the home */
};

struct virtio {
	const struct virtio_ops	*ops;
	const struct virtio_env	*env;
	u32			index;		/* of the device in its VM */
	char			name[16];	/* "rng0", for messages */
	u64			offered;	/* features */
	struct virtio_queue	*queues;
	u32			nr_queues;
	u32			nr_elsewhere;	/* of them: the first ones, served by others */

	const struct virtio_transport_ops *transport;
	void			*transport_dev;

	pthread_mutex_t		lock;
	pthread_cond_t		was_reset;
	/* Under the lock. */
	u8			status;		/* virtio 1.2, 2.1 */
	bool			resetting;
	u64			features;	/* the driver's; settled at FEATURES_OK */
	u32			generation;
	u8			*config;	/* little-endian, .config_size bytes */
	u32			config_size;

	atomic_bool		broken;
	struct ratelimit	limit;

	/* At home alone. */
	u32			nr_running;	/* queues, while they are being stopped */
	bool			started;
	struct loop_msg		start_msg;
	struct loop_msg		stop_msg;
};

/* ---- For devices ---------------------------------------------------------------- */

/*
 * Begin: @dev is zeroes but for what the device has set by itself: .config and
 * .config_size, which must outlive it.  Features of the ring and VERSION_1 are added
 * to @features.  Queue i is on loop (@index + i / @share) of the machine's, counted round;
 * with 0 all of them are on one.
 */
int virtio_init(struct virtio *dev, const struct virtio_ops *ops, const struct virtio_env *env,
		u32 index, u32 nr_queues, u64 features, u32 share, struct vmm_error *err);

/* The last thing .destroy does. */
void virtio_fini(struct virtio *dev);

/* With no thread inside, wait for what is in flight and destroy.  NULL is fine. */
void virtio_destroy(struct virtio *dev);

/* Was @bit negotiated?  From .start until .reset. */
static inline bool virtio_has(const struct virtio *dev, unsigned int bit)
{
	return dev->features & 1ull << bit;
}

/*
 * The next chain, or false: none is there, or the device is broken or being reset.
 * A chain is given back exactly once, by virtio_push(), whatever became of it; also
 * when the device has been broken, or is being reset, meanwhile.  The driver gets its
 * interrupt at the end of the loop's turn.
 */
bool virtio_pop(struct virtio_queue *q, struct virtq_chain *chain);
void virtio_push(struct virtio_queue *q, u16 head, u32 len);
/* Several at once: the driver sees all of them or none. */
void virtio_push_all(struct virtio_queue *q, const struct virtq_used *used, u32 nr);
/* The chain popped last is needed later only; then the one before it, and so on. */
void virtio_unpop(struct virtio_queue *q, u16 head);

/* On the queue's loop: call .kick, as if there had been one. */
void virtio_run(struct virtio_queue *q);

/* After virtio_pop() found nothing: have .kick called when there is something. */
void virtio_wait_kick(struct virtio_queue *q);

/*
 * On @loop: leave the queues that are its own alone until resumed; whether they have
 * come to rest, env.rests() telling when to ask again.  Rings that are served elsewhere
 * are not ours to stop, if there is no .rest: what their driver has asked for comes to
 * its end.
 */
void virtio_pause(struct virtio *dev, struct loop *loop);
bool virtio_at_rest(const struct virtio *dev, const struct loop *loop);
void virtio_resume(struct virtio *dev, struct loop *loop);

/* For devices with .stop. */
int virtio_irq_fd(struct virtio_queue *q);
void virtio_stopped(struct virtio *dev);

/*
 * The driver broke a rule.  The device does nothing more until a reset.  On any of
 * the I/O threads, with no lock held.
 */
void virtio_break(struct virtio *dev, const char *fmt, ...) PRINTF(2, 3);

/* Change the configuration and tell the driver.  From any thread, no lock held. */
void virtio_set_config(struct virtio *dev, u32 off, const void *val, u32 len);

/* ---- For transports: with the device locked -------------------------------------- */

/* Features, 32 bits at a time. */
u32 virtio_offered(const struct virtio *dev, u32 sel);
void virtio_accept(struct virtio *dev, u32 sel, u32 val);

/* 0 begins a reset: the status reads as before until it is done. */
void virtio_set_status(struct virtio *dev, u8 status);

/* Wait for a reset to be done, for drivers that do not; false after @ms milliseconds. */
bool virtio_wait_reset(struct virtio *dev, unsigned int ms);

/* NULL: there is none. */
struct virtio_queue *virtio_queue(struct virtio *dev, u32 sel);

/* May registers of @q be written? */
bool virtio_queue_open(const struct virtio_queue *q);
void virtio_queue_set_size(struct virtio_queue *q, u32 size);
/* Half of an address: @shift is 0 or 32. */
void virtio_queue_set_addr(struct virtio_queue *q, gpa_t *addr, unsigned int shift, u32 val);
/* Refused, with a line in the log, if the layout makes no sense. */
void virtio_queue_set_ready(struct virtio_queue *q, bool ready);

/* Any part of the configuration; what is outside of it reads as 0. */
void virtio_config_read(struct virtio *dev, u64 off, void *val, u32 len);
void virtio_config_write(struct virtio *dev, u64 off, const void *val, u32 len);

/* For a doorbell that took an exit.  The lock is not needed. */
void virtio_kick(struct virtio *dev, u32 index);

#endif
