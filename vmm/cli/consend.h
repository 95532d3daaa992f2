/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consend.h - the host's end of a console or a port of the guest's
 */
#ifndef VMM_CLI_CONSEND_H
#define VMM_CLI_CONSEND_H

#include <stdbool.h>

#include "vmm.h"

#include "vmm/cli/conssock.h"
#include "vmm/cli/options.h"
#include "vmm/cli/ptys.h"

struct consend {
	enum tty_kind	kind;
	struct pty	pty;
	int		file;
	struct conssock	sock;
};

/* consend_close() may be called after either.  A negative errno on failure. */
void consend_clear(struct consend *end);
int consend_open(struct consend *end, const struct tty_option *to, struct vmm_error *err);
void consend_close(struct consend *end);

/* What the guest shall read and write, -1 for none; @in_fd and @out_fd are the terminal's. */
int consend_in(const struct consend *end, int in_fd);
int consend_out(const struct consend *end, int out_fd);

/* Is anybody there?  Of a pty or a file nobody can tell, and so it is. */
bool consend_is_attached(const struct consend *end);

#endif /* VMM_CLI_CONSEND_H */
