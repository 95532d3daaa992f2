/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confine.h - the sandbox of "vmm run"
 */
#ifndef VMM_CLI_CONFINE_H
#define VMM_CLI_CONFINE_H

#include "vmm/cli/guest.h"

/*
 * Give up what running @guest does not take, as --sandbox says.  All that it is given
 * is open and whoever helps it is started; what is done from here on, also when the
 * guest is built anew, has to do with what is left.  An exit status.
 */
int confine(struct guest *guest);

#endif /* VMM_CLI_CONFINE_H */
