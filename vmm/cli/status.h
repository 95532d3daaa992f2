/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.h - what the program's exit status tells a script
 *
 * Part of the interface: documented in vmm-run(1), and never renumbered.
 */
#ifndef VMM_CLI_STATUS_H
#define VMM_CLI_STATUS_H

#include <errno.h>

enum status {
	STATUS_OFF	= 0,	/* the guest powered itself off; any success */
	STATUS_ERROR	= 1,	/* a host call failed, or the program is wrong */
	STATUS_USAGE	= 2,
	STATUS_FILE	= 3,	/* the kernel, initrd or firmware is unusable */
	STATUS_HOST	= 4,	/* the host cannot do what was asked for */
	STATUS_REBOOT	= 10,	/* the guest asked for it, under --no-reboot */
	STATUS_CRASH	= 11,	/* the guest reported a panic */
	STATUS_STOPPED	= 12,	/* a signal, or the escape key */
	STATUS_TIMEOUT	= 13,	/* of --timeout */
	STATUS_EARLY	= 14,	/* the guest ended without what --expect waits for */
	STATUS_FAILED	= 15,	/* vmm smoke: an image did not do what it shall */
};

/* For a negative errno of a call of vmm.h that makes or starts a VM. */
static inline enum status status_of(int error)
{
	switch (-error) {
	case EINVAL:
	case E2BIG:
	case ENOSPC:
		return STATUS_USAGE;
	case ENOEXEC:
	case EFBIG:
	case ETXTBSY:
		return STATUS_FILE;
	case ENODEV:
	case EACCES:
	case ENOTSUP:
		return STATUS_HOST;
	default:
		return STATUS_ERROR;
	}
}

#endif /* VMM_CLI_STATUS_H */
