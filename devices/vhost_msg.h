/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost_msg.h - messages of the vhost-user protocol, on a connected unix socket
 *
 * The protocol is QEMU's, docs/interop/vhost-user.rst; we are its front end.  The peer
 * is a process of the host's, which we believe nothing all the same: lengths are
 * checked, descriptors it sends are dropped by the kernel, and nothing here waits but
 * vhost_ask(), which says how long.
 */
#ifndef DEVICES_VHOST_MSG_H
#define DEVICES_VHOST_MSG_H

#include <linux/vhost_types.h>
#include <stddef.h>

#include "vmm/types.h"

enum vhost_request {
	VHOST_GET_FEATURES		= 1,
	VHOST_SET_FEATURES		= 2,
	VHOST_SET_OWNER			= 3,
	VHOST_SET_MEM_TABLE		= 5,
	VHOST_SET_VRING_NUM		= 8,
	VHOST_SET_VRING_ADDR		= 9,
	VHOST_SET_VRING_BASE		= 10,
	VHOST_GET_VRING_BASE		= 11,
	VHOST_SET_VRING_KICK		= 12,
	VHOST_SET_VRING_CALL		= 13,
	VHOST_GET_PROTOCOL_FEATURES	= 15,
	VHOST_SET_PROTOCOL_FEATURES	= 16,
	VHOST_GET_QUEUE_NUM		= 17,
	VHOST_SET_VRING_ENABLE		= 18,
	VHOST_NET_SET_MTU		= 20,
	VHOST_GET_CONFIG		= 24,
};

/* A feature bit that is the protocol's own, and the bits that it leads to. */
#define VHOST_F_PROTOCOL_FEATURES	30
#define VHOST_PROTOCOL_F_MQ		0
#define VHOST_PROTOCOL_F_REPLY_ACK	3
#define VHOST_PROTOCOL_F_NET_MTU	4
#define VHOST_PROTOCOL_F_CONFIG		9

/* .flags */
#define VHOST_VERSION		0x1
#define VHOST_VERSION_MASK	0x3
#define VHOST_REPLY		0x4
#define VHOST_NEED_REPLY	0x8

/* Of SET_VRING_KICK and SET_VRING_CALL: there is no descriptor. */
#define VHOST_NO_FD		0x100

/*
 * Of SET_VRING_BASE: the start of a packed ring, slot 0 in its first round, as what is taken
 * next and as what is given back next: two places, each with its wrap counter in bit 15.
 */
#define VHOST_PACKED_BASE	0x80008000u

#define VHOST_MAX_CONFIG	256
#define VHOST_CONFIG_HEADER	12	/* in front of .config.bytes */

#define VHOST_MAX_REGIONS	2

struct vhost_region {
	u64	gpa;
	u64	size;
	u64	user;		/* where we have it: rings are told by such addresses */
	u64	offset;		/* in the file */
};

struct vhost_message {
	u32	request;
	u32	flags;
	u32	size;		/* of what follows */
	union {
		u64			num;
		struct vhost_vring_state state;
		struct vhost_vring_addr	addr;
		struct {
			u32			nr;
			u32			padding;
			struct vhost_region	region[VHOST_MAX_REGIONS];
		} mem;
		struct {
			u32			offset;
			u32			size;
			u32			flags;
			u8			bytes[VHOST_MAX_CONFIG];
		} config;
	} __attribute__((packed));
} __attribute__((packed));

#define VHOST_HEADER	offsetof(struct vhost_message, num)

/* Send with @pass, unless it is -1.  Never waits: a peer that does not read is -EAGAIN. */
int vhost_send(int fd, const struct vhost_message *msg, int pass);
/* ... with @nr of them, at most VHOST_MAX_REGIONS. */
int vhost_send_fds(int fd, const struct vhost_message *msg, const int *pass, u32 nr);

/* A message as far as it has come. */
struct vhost_reader {
	struct vhost_message	msg;
	size_t			have;
};

/*
 * Read on: 1 if .msg is whole, and the next call begins another; 0 if there is more to
 * come; -ENOTCONN at the end; -EPROTO if it is longer than any that we know.
 */
int vhost_recv(int fd, struct vhost_reader *r);

/* Is @msg a reply to @request of @size bytes? */
bool vhost_is_reply(const struct vhost_message *msg, u32 request, u32 size);

/* The time by which answers that may take @ms milliseconds from now have to have come. */
u64 vhost_until(unsigned int ms);

/* Send a request without a payload and wait for a number. */
int vhost_ask(int fd, u32 request, u64 *num, u64 until);

/* ... or for the first @size bytes, at most VHOST_MAX_CONFIG, of a configuration. */
int vhost_ask_config(int fd, void *config, u32 size, u64 until);

#endif
