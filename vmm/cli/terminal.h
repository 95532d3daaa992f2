/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terminal.h - the user's terminal, raw while the guest has it
 */
#ifndef VMM_CLI_TERMINAL_H
#define VMM_CLI_TERMINAL_H

#include <stdbool.h>

/* Whether @fd is a terminal; if so it is the one of the calls below. */
bool terminal_open(int fd);

/*
 * Every key to us, unless another job has the terminal: then it is left alone
 * and false is returned.  Signals that kill restore it from now on.
 */
bool terminal_raw(void);

/* As it was found.  Async-signal-safe; does nothing if it is not raw. */
void terminal_restore(void);

/* The shell has taken the terminal, and set it as it likes. */
void terminal_lost(void);

/* How large it is; false: it does not tell. */
bool terminal_size(unsigned int *cols, unsigned int *rows);

/* Whether reading the terminal is for us to do. */
bool terminal_is_ours(void);

#endif /* VMM_CLI_TERMINAL_H */
