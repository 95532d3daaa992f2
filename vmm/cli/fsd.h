/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsd.h - virtiofsd or diod, one for each directory that a guest shares
 *
 * It is started for each boot, by the helper (helper.h), talks to the VM on a socket that
 * nobody else can reach, and ends with the connection, or is ended soon after: a guest can
 * get a diod stuck.  One that ends is started again, unless it keeps ending.
 */
#ifndef VMM_CLI_FSD_H
#define VMM_CLI_FSD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm.h"

#include "vmm/cli/options.h"
#include "vmm/cli/said.h"

struct fsd {
	char	*dir;		/* NULL: not open */
	char	tag[VMM_FS_TAG_MAX + 1];
	char	sandbox[16];	/* empty: virtiofsd's default, or a namespace */
	bool	ro;
	bool	p9;		/* by 9P and diod */
	char	user[33];	/* ... who we are to it */
	char	program[128];
	int	device;		/* its index in the VM, -1: none */
	pid_t	pid;		/* 0: it does not run */
	int	pid_fd;		/* readable when it has ended */
	int	gone_fd;	/* of diod: readable when the connection has; -1: it is not told */
	uint64_t end_ms;	/* ... and then by when it has to end too, else 0 */
	uint64_t born_ms;
	unsigned int nr_deaths;	/* soon after it was started, one after the other */
	struct said said;	/* its standard error, from fsd_start() to fsd_stop() */
};

/* Nothing is open. */
void fsd_clear(struct fsd *fsd);

/* The option and the program, for messages. */
const char *fsd_option(const struct fsd *fsd);
const char *fsd_program(const struct fsd *fsd);

/* Look for the directory and the program; @err says which is missing. */
int fsd_open(struct fsd *fsd, const struct fs_option *opt, struct vmm_error *err);
void fsd_close(struct fsd *fsd);

/* Start it.  Returns the connected socket or a negative errno. */
int fsd_start(struct fsd *fsd, struct vmm_error *err);

/* It has said something: there is something to read from .said.fd. */
void fsd_hear(struct fsd *fsd);

/* Its connection has ended: .gone_fd is readable. */
void fsd_gone(struct fsd *fsd);
/* Milliseconds until fsd_hurry() has something to do, at most; -1: it has not. */
int fsd_patience(const struct fsd *fsd);
void fsd_hurry(struct fsd *fsd);

/* Its end: wait for it, a little, if the connection is closed already, or end it. */
void fsd_stop(struct fsd *fsd);

/* If it has ended: how, in @how, and true. */
bool fsd_ended(struct fsd *fsd, char *how, size_t size);

/* May it be started once more? */
bool fsd_may_restart(const struct fsd *fsd);

#endif /* VMM_CLI_FSD_H */
