/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.c - the escape key of the terminal, Ctrl-A
 *
 * A sequence may be cut anywhere between two reads.  As in kvmtool, a key that
 * means nothing after Ctrl-A goes to the guest alone.
 */
#include "vmm/cli/keys.h"

#define CTRL_A	0x01

size_t keys_filter(struct keys *keys, char *buf, size_t len, unsigned int *asked)
{
	size_t kept = 0;

	*asked = 0;
	for (size_t i = 0; i < len; i++) {
		char c = buf[i];

		if (!keys->escaped) {
			keys->escaped = c == CTRL_A;
			if (!keys->escaped)
				buf[kept++] = c;
			continue;
		}
		keys->escaped = false;
		if (c == (keys->quit ? keys->quit : 'x'))
			*asked |= KEYS_QUIT;
		else if (c == 'h')
			*asked |= KEYS_HELP;
		else
			buf[kept++] = c == 'a' ? CTRL_A : c;
	}
	return kept;
}
