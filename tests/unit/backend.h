/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend.h - the other side of vhost-user, well-behaved and not, for tests
 *
 * It runs when the test calls it: answers to what is asked at first are sent ahead,
 * backend_greet(), and all else is taken by backend_serve().  Or it is a thread, which
 * answers everything as it comes, and lives as long as the connection.
 */
#ifndef TESTS_BACKEND_H
#define TESTS_BACKEND_H

#include "devices/vhost_msg.h"
#include "devices/virtq.h"
#include "vmm/gmem.h"
#include "vmm/types.h"

#define BACKEND_QUEUES	4
#define BACKEND_LOG	64
#define BACKEND_HELD	64
#define BACKEND_BYTE	9	/* what the thread fills with */

struct backend_queue {
	struct virtq_layout	layout;		/* as addresses of the guest's */
	int			kick;		/* -1: none yet */
	int			call;
	bool			enabled;
	bool			running;
	struct virtq		vq;
	/* Chains of one buffer that were taken, and are not done. */
	u16			held[BACKEND_HELD];
	struct iovec		held_iov[BACKEND_HELD];
	u32			nr_held;
};

struct backend {
	int			front;		/* for the front end */
	int			fd;		/* ours */
	u64			features;
	u64			protocol;
	u64			nr_queues;
	u64			acked;		/* features */
	bool			eager;		/* what is asked at first is answered as it comes */
	bool			owned;
	bool			settled;	/* atomically */
	bool			lazy;		/* GET_VRING_BASE is not answered */
	u32			refuses;	/* this request */
	bool			mute;		/* it rings nobody */
	u32			life;		/* messages until it dies; 0: for ever */
	struct gmem		mem;		/* of all regions, one behind the other */
	struct vhost_region	region[VHOST_MAX_REGIONS];
	u32			nr_regions;
	struct backend_queue	q[BACKEND_QUEUES];
	struct vhost_message	log[BACKEND_LOG];	/* what came */
	u32			nr_log;
};

void backend_open(struct backend *b);
void backend_close(struct backend *b);

/* Answers to GET_FEATURES, GET_PROTOCOL_FEATURES and, with MQ, GET_QUEUE_NUM. */
void backend_greet(struct backend *b);
void backend_reply(struct backend *b, u32 request, u64 num);
void backend_send(struct backend *b, const void *data, size_t len);

/* Take what has come.  False at the end of the connection. */
bool backend_serve(struct backend *b);

/* If queue @i was kicked: fill each of its chains with @byte and ring.  How many. */
u32 backend_work(struct backend *b, u32 i, u8 byte);

/* Take what there is on queue @i and leave it at that; how many are held then. */
u32 backend_take(struct backend *b, u32 i);
/* Do the @n-th of those that are held, and ring. */
void backend_finish(struct backend *b, u32 i, u32 n, u8 byte);

/* Was all handed over, down to the last request?  From any thread. */
bool backend_runs(struct backend *b);

/* The argument is a struct backend: an eager one that fills chains of queue 1. */
void *backend_thread(void *arg);

/* How often @request came, as far as the log goes. */
u32 backend_count(const struct backend *b, u32 request);

#endif
