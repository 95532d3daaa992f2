/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.h - what a running guest says on its control socket, vmm-control(7)
 */
#ifndef VMM_CLI_ANSWER_H
#define VMM_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm.h"

/* Serial ports, then hvc0, then those with a name. */
#define ANSWER_HVC	4
#define ANSWER_CONSOLES	(ANSWER_HVC + 1 + VMM_MAX_PORTS)

struct control;
struct vhosts;

/* Where others reach one. */
struct answer_console {
	const char	*kind;		/* "socket" or "pty"; NULL: nowhere */
	char		*path;		/* absolute */
	const char	*name;		/* of a port that has one; not terminated */
	int		name_len;
};

/* Who is asked. */
struct answerer {
	const char	*name;
	struct vmm	*vm;
	struct control	*control;	/* for news */
	uint32_t	cpus;
	uint32_t	disks;		/* devices 0 and up */
	uint32_t	first_net;	/* devices from here on */
	uint32_t	nets;
	const struct vhosts *vhosts;	/* who serves devices; NULL: nobody */
	uint64_t	boots;
	uint64_t	booted_ms;	/* CLOCK_MONOTONIC, of the latest boot */
	bool		asked;		/* to power off */
	bool		paused;
	bool		reset;		/* its stop is to be followed by another boot */
	bool		resized;	/* its balloon was given a size: */
	uint64_t	balloon;	/* bytes */
	bool		hvc;		/* its console is the virtio-console */
	uint32_t	cols;		/* ... as whoever has attached to it has told; 0: nobody has */
	uint32_t	rows;
	uint32_t	unplugged;	/* bit n: the cable of network card n is out */
	struct answer_console consoles[ANSWER_CONSOLES];
	char		stall[VMM_MSG_SIZE];	/* what was last said of one */
};

/* What has happened.  Strings may be NULL, numbers -1, for what does not apply. */
struct news {
	const char	*event;
	const char	*reason;
	const char	*message;
	int64_t		vcpu;
	int64_t		boots;
	int64_t		status;
};
#define NEWS(_event)	{ .event = (_event), .vcpu = -1, .boots = -1, .status = -1 }

/* A guest has booted: what it was told of its balloon and its cables before a reboot holds still. */
void answer_remind(const struct answerer *who);

/* To all who follow. */
void answer_tell(const struct answerer *who, const struct news *news);

/*
 * Press the power button, of a paused guest too, or if that is not possible pull the plug.  0, or what kept
 * the button from being pressed.
 */
int answer_power_off(struct answerer *who);

/*
 * The answer to one request, a line of JSON each; to be freed.  NULL: no memory.
 * @arg is a struct answerer.
 */
char *answer_line(void *arg, const char *line, size_t len, bool *follows);

uint64_t answer_now_ms(void);

#endif /* VMM_CLI_ANSWER_H */
