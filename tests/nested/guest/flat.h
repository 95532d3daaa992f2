// SPDX-License-Identifier: BSD-2-Clause
//
// flat.h - what the parts of the flat guest share
//
// Ours alone, hidden: a global offset table would need relocating.
#ifndef FLAT_H
#define FLAT_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)
uint64_t flat_psci(uint64_t fn, uint64_t a, uint64_t b, uint64_t c);
void flat_puts(const char *s);
void flat_say(const char *name, uint64_t v);
void flat_echo(void);

struct hostile {
	uint64_t virtio[32];	/* register pages of virtio-mmio */
	unsigned nr_virtio;
	uint64_t ecam;		/* PCI configuration space, or 0 */
	uint64_t mpidr;		/* ours */
	uint64_t ram, ram_size;
	uint64_t end;		/* of the image and its stack */
};
void flat_hostile(const struct hostile *h);
void flat_serves(const struct hostile *h);
void flat_load(const struct hostile *h);	/* does not return */
#pragma GCC visibility pop

#endif
