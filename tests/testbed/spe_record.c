/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spe_record.c - what a sample record of SPE says
 * (Arm ARM, "Statistical Profiling Extension sample record specification")
 *
 * A record is packets: a header, whose bits 5:4 say of most how long their payload is,
 * and the payload, little-endian.  Those of addresses and counters have an index, whose
 * upper two bits, if they are not 0, come in a byte before the header.  The last packet
 * is an end or a timestamp.
 */
#include <string.h>

#include "spe_record.h"

#define PADDING		0x00
#define END		0x01
#define LONG		0x20	/* and bits 4:3 of the index of what follows */
#define EVENTS		0x42	/* and a size */
#define SOURCE		0x43	/* and a size */
#define OPERATION	0x48	/* and a class: 1 byte */
#define CONTEXT		0x64	/* and an index: 4 bytes */
#define TIMESTAMP	0x71	/* 8 bytes */
#define COUNTER		0x98	/* and bits 2:0 of an index: 2 bytes */
#define ADDRESS		0xb0	/* the same: 8 bytes */

/* Indices of addresses; of the others we want nothing. */
#define ADDRESS_PC	0
#define ADDRESS_TARGET	1
#define ADDRESS_DATA	2

#define EVENT_NOT_TAKEN	(1u << 6)

struct packet {
	uint8_t		kind;	/* one of the above */
	unsigned int	index;	/* or class */
	uint64_t	payload;
};

static uint64_t load_le(const uint8_t *p, unsigned int n)
{
	uint64_t val = 0;

	while (n--)
		val = val << 8 | p[n];
	return val;
}

/* Of a header without what else is in it; LONG, which can be no header's, of one that is none. */
static uint8_t kind_of(uint8_t header, bool is_long)
{
	if ((header & 0xf8) == ADDRESS || (header & 0xf8) == COUNTER)
		return header & 0xf8;
	if (is_long)
		return LONG;
	if ((header & 0xcf) == EVENTS || (header & 0xcf) == SOURCE)
		return header & 0xcf;
	/* Class 3 is reserved. */
	if ((header & 0xfc) == CONTEXT || ((header & 0xfc) == OPERATION && (header & 3) <= SPE_RECORD_BRANCH))
		return header & 0xfc;
	return header == PADDING || header == END || header == TIMESTAMP ? header : LONG;
}

/* How many bytes it has; 0: it is none, or there are not so many. */
static size_t take(struct packet *packet, const uint8_t *p, size_t left)
{
	bool is_long = (*p & 0xfc) == LONG;
	uint8_t header;
	size_t at = is_long;
	size_t len;

	if (at >= left)
		return 0;
	header = p[at++];
	packet->kind = kind_of(header, is_long);
	packet->index = header & (packet->kind == OPERATION ? 3 : 7);
	packet->index |= is_long ? (p[0] & 3u) << 3 : 0;
	packet->payload = 0;
	if (packet->kind == LONG)
		return 0;
	if (packet->kind == PADDING || packet->kind == END)
		return at;
	len = (size_t)1 << (header >> 4 & 3);
	if (len > left - at)
		return 0;
	packet->payload = load_le(p + at, (unsigned int)len);
	return at + len;
}

static void note_address(struct spe_record *r, unsigned int index, uint64_t val)
{
	if (index == ADDRESS_PC) {
		r->pc = val;
		r->have_pc = true;
	} else if (index == ADDRESS_TARGET) {
		r->target = val & SPE_RECORD_ADDRESS;
	} else if (index == ADDRESS_DATA) {
		r->addr = val & SPE_RECORD_ADDRESS;
	}
}

static bool is_padding(const uint8_t *p, size_t size)
{
	while (size && p[size - 1] == PADDING)
		size--;
	return !size;
}

bool spe_record_parse(struct spe_record *r, const uint8_t *rec, size_t size)
{
	bool have_op = false;
	size_t at = 0;

	memset(r, 0, sizeof(*r));
	/* To the end of its buffer, the driver fills up with zeroes. */
	if (is_padding(rec, size))
		return true;
	while (at < size) {
		struct packet packet;
		size_t len = take(&packet, rec + at, size - at);

		if (!len)
			return false;
		at += len;
		if (packet.kind == END || packet.kind == TIMESTAMP)
			return is_padding(rec + at, size - at) && (r->have_pc || !have_op);
		if (packet.kind == ADDRESS)
			note_address(r, packet.index, packet.payload);
		if (packet.kind == EVENTS)
			r->not_taken = packet.payload & EVENT_NOT_TAKEN;
		if (packet.kind == OPERATION) {
			r->op = packet.index;
			r->payload = (unsigned int)packet.payload;
			have_op = true;
		}
	}
	return false;
}
