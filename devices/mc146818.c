/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mc146818.c - the PC's real time clock, as kvmtool's firmware expects it
 *
 * After Motorola's data sheet, with the register of the century where PCs have it.
 * The time is the host's clock plus an offset, so nothing runs while nobody looks.
 * There is no interrupt: an alarm is remembered and never goes off.
 *
 * The C library's gmtime_r() would read the time zone's file, on a vCPU's thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "devices/clock.h"
#include "devices/mc146818.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"

enum {
	REG_SECONDS	= 0x00,
	REG_MINUTES	= 0x02,
	REG_HOURS	= 0x04,
	REG_WEEKDAY	= 0x06,		/* 1: Sunday */
	REG_DAY		= 0x07,
	REG_MONTH	= 0x08,
	REG_YEAR	= 0x09,		/* of the century */
	REG_A		= 0x0a,		/* dividers, and UIP, which is never set */
	REG_B		= 0x0b,
	REG_C		= 0x0c,		/* interrupts that have come */
	REG_D		= 0x0d,
	REG_CENTURY	= 0x32,		/* always BCD */
	NR_REGS		= 0x80,
};

#define A_UIP		0x80
#define A_32KHZ		0x26
#define B_SET		0x80		/* the time stands still to be set */
#define B_BINARY	0x04		/* else BCD */
#define B_24H		0x02
#define D_VALID		0x80
#define HOURS_PM	0x80

struct mc146818 {
	pthread_mutex_t	lock;		/* of all that follows */
	struct clock	clock;
	u64		offset;		/* what it shows less the clock's seconds, modulo 2^64 */
	u8		index;
	u8		regs[NR_REGS];
	u64		shown;		/* the clock's second that the registers of the time show */
	u64		seen;		/* those that somebody has read since */
};

/* ---- The calendar ------------------------------------------------------- */

#define DAY_SECONDS	86400u
#define ERA_DAYS	146097u		/* of 400 years */
#define EPOCH_DAYS	719468u		/* 1970 begins, counted from 1 March of the year 0 */

struct moment {
	u32	second;
	u32	minute;
	u32	hour;
	u32	weekday;	/* 1: Sunday */
	u32	day;
	u32	month;		/* 1: January */
	u32	year;
};

/* Days of a year that begins with March before its month @m, 0 to 11. */
static u32 days_before(u32 m)
{
	return (153 * m + 2) / 5;
}

/* @t is seconds since 1970, before it as well, and any number will do. */
static struct moment moment_of(u64 t)
{
	u64 since = t + (u64)EPOCH_DAYS * DAY_SECONDS;
	u64 days = since / DAY_SECONDS;
	u32 second = since % DAY_SECONDS;
	u32 day = days % ERA_DAYS;
	/* The leap days that have gone by do not count: then all years have 365. */
	u32 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	u32 m;

	day -= 365 * year + year / 4 - year / 100;
	m = (5 * day + 2) / 153;
	return (struct moment){
		.second = second % 60,
		.minute = second / 60 % 60,
		.hour = second / 3600,
		.weekday = (u32)((days + 3) % 7 + 1),
		.day = day - days_before(m) + 1,
		.month = m < 10 ? m + 3 : m - 9,
		.year = ((u32)(days / ERA_DAYS % 25 * 400) + year + (m >= 10)) % 10000,
	};
}

static u64 time_of(const struct moment *at)
{
	u32 m = (at->month + 9) % 12;
	u64 year = at->year - (m >= 10);
	u64 days = 365 * year + year / 4 - year / 100 + year / 400 + days_before(m) + at->day - 1;

	return (days - EPOCH_DAYS) * DAY_SECONDS + at->hour * 3600 + at->minute * 60 + at->second;
}

/* ---- Between the calendar and the registers --------------------------------- */

static u8 to_bcd(u32 val)
{
	return (u8)(val / 10 << 4 | val % 10);
}

/* At least 100 if it is none. */
static u32 from_bcd(u8 val)
{
	return val % 16 < 10 && val >> 4 < 10 ? (val >> 4) * 10u + val % 16 : 100;
}

static u8 encode(const struct mc146818 *rtc, u32 val)
{
	return rtc->regs[REG_B] & B_BINARY ? (u8)val : to_bcd(val);
}

static u32 decode(const struct mc146818 *rtc, u8 val)
{
	return rtc->regs[REG_B] & B_BINARY ? val : from_bcd(val);
}

static u8 encode_hour(const struct mc146818 *rtc, u32 hour)
{
	if (rtc->regs[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour < 12 ? 0 : HOURS_PM);
}

static u32 decode_hour(const struct mc146818 *rtc, u8 val)
{
	u32 hour;

	if (rtc->regs[REG_B] & B_24H)
		return decode(rtc, val);
	hour = decode(rtc, val & ~HOURS_PM);
	if (!hour || hour > 12)
		return 24;
	return hour % 12 + (val & HOURS_PM ? 12 : 0);
}

static void show(struct mc146818 *rtc)
{
	u64 now = rtc->clock.now(rtc->clock.ctx);
	struct moment at = moment_of(now + rtc->offset);

	rtc->regs[REG_SECONDS] = encode(rtc, at.second);
	rtc->regs[REG_MINUTES] = encode(rtc, at.minute);
	rtc->regs[REG_HOURS] = encode_hour(rtc, at.hour);
	rtc->regs[REG_WEEKDAY] = encode(rtc, at.weekday);
	rtc->regs[REG_DAY] = encode(rtc, at.day);
	rtc->regs[REG_MONTH] = encode(rtc, at.month);
	rtc->regs[REG_YEAR] = encode(rtc, at.year % 100);
	rtc->regs[REG_CENTURY] = to_bcd(at.year / 100);
	rtc->shown = now;
	rtc->seen = 0;
}

/* The registers were set.  What is no time leaves the clock as it was. */
static void take(struct mc146818 *rtc)
{
	struct moment at = {
		.second = decode(rtc, rtc->regs[REG_SECONDS]),
		.minute = decode(rtc, rtc->regs[REG_MINUTES]),
		.hour = decode_hour(rtc, rtc->regs[REG_HOURS]),
		.day = decode(rtc, rtc->regs[REG_DAY]),
		.month = decode(rtc, rtc->regs[REG_MONTH]),
		.year = decode(rtc, rtc->regs[REG_YEAR]),
	};
	u32 century = from_bcd(rtc->regs[REG_CENTURY]);

	if (at.second > 59 || at.minute > 59 || at.hour > 23 || !at.day || at.day > 31 || !at.month ||
	    at.month > 12 || at.year > 99 || century > 99 || !(century + at.year))
		return;
	at.year += 100 * century;
	rtc->offset = time_of(&at) - rtc->clock.now(rtc->clock.ctx);
}

/* ---- Registers ------------------------------------------------------------ */

static bool is_time(u8 reg)
{
	switch (reg) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		return true;
	}
	return false;
}

/*
 * Registers that are read one after the other within a second show one moment, so that
 * nobody reads a minute's end and then the next hour; one that is read again, a new one.
 */
static void look(struct mc146818 *rtc, u8 reg)
{
	u64 bit = 1ull << reg;		/* REG_CENTURY is the last */

	if (rtc->seen & bit || rtc->clock.now(rtc->clock.ctx) - rtc->shown > 1)
		show(rtc);
	rtc->seen |= bit;
}

static u8 get(struct mc146818 *rtc, u8 reg)
{
	if (is_time(reg) && !(rtc->regs[REG_B] & B_SET))
		look(rtc, reg);
	return rtc->regs[reg];
}

static void set_b(struct mc146818 *rtc, u8 val)
{
	u8 old = rtc->regs[REG_B];

	if (!(old & B_SET))
		show(rtc);
	rtc->regs[REG_B] = val;
	if (old & ~val & B_SET)
		take(rtc);
	/* What the registers hold is no longer what they say, if the format has changed. */
	if (!(val & B_SET))
		show(rtc);
}

static void set(struct mc146818 *rtc, u8 reg, u8 val)
{
	bool stands = rtc->regs[REG_B] & B_SET;

	if (reg == REG_B) {
		set_b(rtc, val);
	} else if (reg == REG_A) {
		rtc->regs[reg] = val & ~A_UIP;
	} else if (is_time(reg)) {
		if (!stands)
			show(rtc);
		rtc->regs[reg] = val;
		if (!stands) {
			take(rtc);
			show(rtc);
		}
	} else if (reg != REG_C && reg != REG_D) {
		rtc->regs[reg] = val;
	}
}

u8 mc146818_read(struct mc146818 *rtc, u32 off)
{
	u8 val = 0;

	pthread_mutex_lock(&rtc->lock);
	if (off == 0)
		val = rtc->index;
	else if (off == 1)
		val = get(rtc, rtc->index);
	pthread_mutex_unlock(&rtc->lock);
	return val;
}

void mc146818_write(struct mc146818 *rtc, u32 off, u8 val)
{
	pthread_mutex_lock(&rtc->lock);
	if (off == 0)
		rtc->index = val % NR_REGS;
	else if (off == 1)
		set(rtc, rtc->index, val);
	pthread_mutex_unlock(&rtc->lock);
}

/* A wider access means the byte that it begins at. */
static u64 bus_read8(void *dev, u64 off, unsigned int len)
{
	(void)len;
	return mc146818_read(dev, (u32)off);
}

static void bus_write8(void *dev, u64 off, unsigned int len, u64 val)
{
	(void)len;
	mc146818_write(dev, (u32)off, (u8)val);
}

const struct bus_ops mc146818_bus_ops = {
	.read = bus_read8,
	.write = bus_write8,
};

/* ---- From the machine ------------------------------------------------------- */

int mc146818_create(struct mc146818 **out, const struct clock *clock, struct vmm_error *err)
{
	struct mc146818 *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return error_set(err, -ENOMEM, "rtc: no memory");
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->clock = *clock;
	rtc->regs[REG_A] = A_32KHZ;
	rtc->regs[REG_B] = B_24H;
	rtc->regs[REG_D] = D_VALID;
	show(rtc);
	*out = rtc;
	return 0;
}

void mc146818_destroy(struct mc146818 *rtc)
{
	if (!rtc)
		return;
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

void mc146818_tree(const struct mc146818 *rtc, struct tree *t, gpa_t base)
{
	(void)rtc;
	tree_begin(t, "rtc@%llx", (unsigned long long)base);
	tree_string(t, "compatible", "motorola,mc146818");
	tree_reg(t, base, MC146818_SIZE);
	tree_end(t);
}
