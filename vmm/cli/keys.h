/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.h - the escape key of the terminal, Ctrl-A
 */
#ifndef VMM_CLI_KEYS_H
#define VMM_CLI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

struct keys {
	bool	escaped;	/* Ctrl-A was the last byte seen */
	char	quit;		/* what means KEYS_QUIT; 0: 'x' */
};

#define KEYS_QUIT	(1u << 0)
#define KEYS_HELP	(1u << 1)

/*
 * Take the escape sequences out of what was typed; what is left in @buf is for
 * the guest.  Returns its length; @asked gets KEYS_*.
 */
size_t keys_filter(struct keys *keys, char *buf, size_t len, unsigned int *asked);

#endif /* VMM_CLI_KEYS_H */
