/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_user.h - virtio devices whose rings another process serves (vhost-user)
 *
 * The backend has the guest's RAM mapped, reads the kicks and rings the interrupts
 * itself: nothing of a request passes through here.  It is trusted with the guest's
 * memory and with nothing else.  One that goes away, or does not keep to the protocol,
 * is let go: the device breaks, and after a reset by the guest it works again if the
 * host has given it another backend meanwhile, vhost_user_replace().
 *
 * A device that .waits does not break when its backend merely goes: what it had been
 * asked for, and had not done, the next one is asked for again.  That takes requests that
 * can be done twice, and a backend that no longer does anything once its connection has
 * ended.  Its rings are passed on by us (vhost_relay.h).
 */
#ifndef DEVICES_VHOST_USER_H
#define DEVICES_VHOST_USER_H

#include "vmm.h"

#include "vmm/types.h"

struct virtio;
struct virtio_env;
struct virtio_ops;
struct virtio_queue;

#define VHOST_USER_MAX_QUEUES	16
#define VHOST_USER_MAX_CONFIG	256	/* as the protocol has it */

struct vhost_user_config {
	const struct virtio_ops	*ops;		/* with VHOST_USER_OPS in it */
	u32			nr_queues;	/* the backend's */
	u32			nr_own;		/* behind them: the device's, by its .kick */
	u32			nr_pairs;	/* if such a backend counts its queues by two */
	u64			features;	/* of the device's kind, that we know */
	u64			own_features;	/* offered whatever the backend has */
	u16			mtu;		/* to tell the backend; 0: none */
	int			fd;		/* a connected socket, borrowed */
	/* The device's configuration; copied.  NULL: it is the backend's, with amends. */
	const void		*config;
	u32			config_size;
	void			(*amend)(void *config, u32 nr_queues);	/* may be NULL */
	/*
	 * At home, no lock held; may be NULL.  There is a backend, as at first, or there is
	 * none; what vhost_user_enable() waited for has been done.
	 */
	void			(*linked)(struct virtio *dev, bool up);
	void			(*settled)(struct virtio *dev);
	/* With VHOST_USER_RELAY_OPS in .ops, and no .nr_own. */
	bool			waits;
};

/* To be destroyed by virtio_destroy(). */
int vhost_user_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct vhost_user_config *cfg, struct vmm_error *err);

/*
 * Another backend, for after the next reset; what there was is let go.  Waits for its
 * answers.  From any thread but those of the loops, no lock held.
 */
int vhost_user_replace(struct virtio *dev, int fd, struct vmm_error *err);

/*
 * At home: which of its rings the backend is to serve, a bit for each; at first all.
 * False: it has been asked to, and .settled() comes if it does.
 */
bool vhost_user_enable(struct virtio *dev, u64 rings);

/* For the struct virtio_ops of a kind. */
int vhost_user_start(struct virtio *dev);
void vhost_user_stop(struct virtio *dev);
void vhost_user_destroy(struct virtio *dev);

#define VHOST_USER_OPS				\
	.start = vhost_user_start,		\
	.stop = vhost_user_stop,		\
	.destroy = vhost_user_destroy

/* Besides, of a kind that may wait. */
bool vhost_user_kick(struct virtio_queue *q);
bool vhost_user_at_rest(struct virtio_queue *q);

#define VHOST_USER_RELAY_OPS			\
	.kick = vhost_user_kick,		\
	.at_rest = vhost_user_at_rest

#endif
