/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.h - the signals that the program answers, as a descriptor
 */
#ifndef VMM_CLI_SIGNALS_H
#define VMM_CLI_SIGNALS_H

#include <stdbool.h>

/*
 * To be called before the first thread is made, which inherits the mask.  With
 * @terminal the signals of job control are among them.  SIGRTMIN gets a handler, as
 * VMM_F_KICK_HANDLER promises.  A negative errno.
 */
int signals_open(bool terminal);

/* The next one's number, 0 when there is none. */
int signals_next(int fd);

/* Do what SIGTSTP would have done; returns when the process is continued. */
void signals_suspend(void);

#endif /* VMM_CLI_SIGNALS_H */
