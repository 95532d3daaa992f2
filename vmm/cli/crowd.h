/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.h - all the guests whose end a command waits for
 */
#ifndef VMM_CLI_CROWD_H
#define VMM_CLI_CROWD_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/cli/follow.h"
#include "vmm/cli/whom.h"

struct crowd {
	struct follow	*follows;
	size_t		nr;
};

/* Of those that can be followed; an enum status tells of others, which is reported. */
int crowd_join(struct crowd *crowd, const struct whom *whom);
void crowd_leave(struct crowd *crowd);

/* Wait until all have ended, at most @ms unless that is negative; or -EAGAIN. */
int crowd_wait(struct crowd *crowd, int64_t ms);

/* The status that `vmm run` ended with; STATUS_ERROR, reported, if it did not say. */
int crowd_status(const struct follow *follow);

/* How each has ended, in JSON.  An enum status. */
int crowd_print(const struct crowd *crowd);

/* What an option --timeout means, if it is given: an enum status. */
int crowd_patience(const char *timeout, int64_t *ms);

/* A command that waits for guests to end. */
struct crowd_command {
	bool	may_force;		/* it takes --force */
	int64_t	patience_ms;		/* without --timeout; negative: no end of it */
	int	(*run)(const struct whom *whom, bool force, int64_t patience_ms);
	void	(*help)(void);
};

/* All of it.  An enum status. */
int crowd_command(const struct crowd_command *command, int argc, char **argv);

#endif /* VMM_CLI_CROWD_H */
