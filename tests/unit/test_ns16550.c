/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ns16550.c - devices/ns16550.c, with a real chardev behind it
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>
#include <linux/sockios.h>

#include "devices/chardev.h"
#include "devices/ns16550.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/loop.h"

/* As Linux names and uses them. */
#define T_TX_FIFO	64		/* what the tree says of it */

enum {
	T_RX = 0, T_TX = 0, T_DLL = 0, T_IER = 1, T_DLM = 1, T_IIR = 2, T_FCR = 2,
	T_LCR = 3, T_MCR = 4, T_LSR = 5, T_MSR = 6, T_SCR = 7,
};
enum { T_RDI = 1, T_THRI = 2, T_RLSI = 4, T_MSI = 8 };
enum { T_DR = 0x01, T_OE = 0x02, T_THRE = 0x20, T_TEMT = 0x40, T_BOTH_EMPTY = 0x60 };
enum { T_DTR = 1, T_RTS = 2, T_OUT1 = 4, T_OUT2 = 8, T_LOOP = 0x10 };

#define T_PATIENCE_MS	10000

struct t_rig {
	struct loop	*loop;
	struct chardev	*chr;
	struct ns16550	*uart;
	int		host;		/* the other end of the wire, -1: none */
	bool		level;
	unsigned int	nr_changes;
};

static void t_irq(void *ctx, u32 nr, bool level)
{
	struct t_rig *rig = ctx;

	assert_int_equal(nr, 7);
	assert_true(level != rig->level);
	rig->level = level;
	rig->nr_changes++;
}

static struct t_rig *t_unconnected(void)
{
	struct t_rig *rig = calloc(1, sizeof(*rig));
	struct irq_line irq = { .set = t_irq, .ctx = rig, .nr = 7 };
	struct vmm_error err;

	assert_non_null(rig);
	rig->host = -1;
	assert_int_equal(ns16550_create(&rig->uart, &irq, &err), 0);
	return rig;
}

static struct t_rig *t_connected(void)
{
	struct t_rig *rig = t_unconnected();
	struct chardev_config cfg = {
		.name = "serial0",
		.ops = &ns16550_chardev_ops,
		.arg = rig->uart,
	};
	struct vmm_error err;
	int small = 4096;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
	assert_int_equal(setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	rig->host = s[0];
	cfg.in_fd = s[1];
	cfg.out_fd = s[1];
	assert_int_equal(loop_create(&rig->loop, &err), 0);
	assert_int_equal(chardev_create(&rig->chr, rig->loop, &cfg, &err), 0);
	close(s[1]);
	ns16550_connect(rig->uart, rig->chr);
	chardev_kick_rx(rig->chr);
	return rig;
}

static void t_close(struct t_rig *rig)
{
	chardev_destroy(rig->chr);
	ns16550_destroy(rig->uart);
	loop_destroy(rig->loop);
	if (rig->host >= 0)
		close(rig->host);
	free(rig);
}

static u8 t_in(struct t_rig *rig, u32 off)
{
	return ns16550_read(rig->uart, off);
}

static void t_out(struct t_rig *rig, u32 off, u8 val)
{
	ns16550_write(rig->uart, off, val);
}

static void t_sleep_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static long t_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void t_turn(struct t_rig *rig, long ms)
{
	long end = t_now_ms() + ms;

	do {
		assert_int_equal(loop_dispatch(rig->loop), 0);
		t_sleep_ms(1);
	} while (t_now_ms() < end);
}

#define t_turn_until(rig, cond) do {						\
	long t_end = t_now_ms() + T_PATIENCE_MS;				\
	while (!(cond)) {							\
		assert_true(t_now_ms() < t_end);				\
		t_turn(rig, 0);							\
	}									\
} while (0)

static void t_type(struct t_rig *rig, const char *text)
{
	assert_int_equal(write(rig->host, text, strlen(text)), strlen(text));
}

/* The guest's driver is up: FIFO of 14, modem lines, receive interrupt. */
static void t_open_port(struct t_rig *rig)
{
	t_out(rig, T_FCR, 0xc1);
	t_out(rig, T_MCR, T_DTR | T_RTS | T_OUT2);
	t_out(rig, T_IER, T_RDI);
}

/* Nobody reads: fill the socket and then the ring. */
static size_t t_fill(struct t_rig *rig)
{
	long end = t_now_ms() + T_PATIENCE_MS;
	size_t nr = 0;
	int idle = 0;

	while (idle < 5) {
		size_t before = nr;

		while (t_in(rig, T_LSR) & T_THRE) {
			t_out(rig, T_TX, (u8)nr);
			nr++;
		}
		t_turn(rig, 0);
		idle = nr == before ? idle + 1 : 0;
		assert_true(t_now_ms() < end);
	}
	return nr;
}

static size_t t_read_host(struct t_rig *rig, size_t at)
{
	u8 buf[4096];
	size_t done = 0;
	ssize_t n;

	while ((n = read(rig->host, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], (u8)(at + done + (size_t)i));
		done += (size_t)n;
	}
	return done;
}

/* ---- Registers ---------------------------------------------------------- */

static void test_reset_values(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	assert_int_equal(t_in(rig, T_IER), 0);
	assert_int_equal(t_in(rig, T_IIR), 0x01);
	assert_int_equal(t_in(rig, T_LCR), 0);
	assert_int_equal(t_in(rig, T_MCR), 0);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(t_in(rig, T_MSR), 0xb0);
	assert_false(rig->level);
	t_close(rig);
}

static void test_dlab_selects_the_divisor(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_IER, 0x05);
	t_out(rig, T_LCR, 0x83);
	t_out(rig, T_DLL, 0x12);
	t_out(rig, T_DLM, 0x34);
	assert_int_equal(t_in(rig, T_DLL), 0x12);
	assert_int_equal(t_in(rig, T_DLM), 0x34);
	t_out(rig, T_LCR, 0x03);
	assert_int_equal(t_in(rig, T_IER), 0x05);
	assert_int_equal(t_in(rig, T_RX), 0);
	t_close(rig);
}

static void test_reserved_bits_read_zero(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_IER, 0xff);
	assert_int_equal(t_in(rig, T_IER), 0x0f);
	t_out(rig, T_MCR, 0xff);
	assert_int_equal(t_in(rig, T_MCR), 0x1f);
	t_close(rig);
}

static void test_status_registers_ignore_writes(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_LSR, 0);
	t_out(rig, T_MSR, 0);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(t_in(rig, T_MSR), 0xb0);
	t_close(rig);
}

static int t_size_fifo(struct t_rig *rig)
{
	int count;

	t_out(rig, T_LCR, 0);
	t_out(rig, T_FCR, 0x07);
	t_out(rig, T_MCR, T_LOOP);
	for (count = 0; count < 256; count++)
		t_out(rig, T_TX, (u8)count);
	for (count = 0; count < 256 && t_in(rig, T_LSR) & T_DR; count++)
		assert_int_equal(t_in(rig, T_RX), count);
	t_out(rig, T_MCR, 0);
	return count;
}

/* What drivers/tty/serial/8250/8250_port.c, autoconfig(), looks for. */
static void test_linux_detects_a_16550a(void **state)
{
	struct t_rig *rig = t_connected();
	u8 iir;

	(void)state;
	t_out(rig, T_IER, 0x00);
	assert_int_equal(t_in(rig, T_IER) & 0x0f, 0x00);
	t_out(rig, T_IER, 0x0f);
	assert_int_equal(t_in(rig, T_IER) & 0x0f, 0x0f);
	t_out(rig, T_IER, 0x00);
	t_out(rig, T_MCR, T_LOOP | 0x0a);
	assert_int_equal(t_in(rig, T_MSR) & 0xf0, 0x90);
	t_out(rig, T_MCR, 0);
	/* FIFOs, as of a 16550A. */
	t_out(rig, T_LCR, 0xbf);
	t_out(rig, T_FCR, 0);
	t_out(rig, T_LCR, 0);
	t_out(rig, T_FCR, 0x01);
	assert_int_equal(t_in(rig, T_IIR) >> 6, 3);
	/* No enhanced features register. */
	t_out(rig, T_LCR, 0x80);
	assert_int_not_equal(t_in(rig, T_FCR), 0);
	t_out(rig, T_LCR, 0xbf);
	assert_int_not_equal(t_in(rig, T_FCR), 0);
	/* No bank 2 of a National SuperIO. */
	t_out(rig, T_LCR, 0xe0);
	iir = t_in(rig, 2);
	t_out(rig, T_LCR, 0);
	t_out(rig, T_MCR, T_LOOP);
	t_out(rig, T_LCR, 0xe0);
	assert_int_equal((t_in(rig, 2) ^ iir) & T_LOOP, 0);
	t_out(rig, T_LCR, 0);
	t_out(rig, T_MCR, 0);
	/* No 64-byte mode of a 16750. */
	t_out(rig, T_FCR, 0x21);
	assert_int_equal(t_in(rig, T_IIR) >> 5, 6);
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_LCR, 0x80);
	t_out(rig, T_FCR, 0x21);
	assert_int_equal(t_in(rig, T_IIR) >> 5, 6);
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_LCR, 0);
	/* No XScale unit enable. */
	t_out(rig, T_IER, 0x40);
	assert_int_equal(t_in(rig, T_IER) & 0x40, 0);
	assert_int_equal(t_size_fifo(rig), 16);
	t_close(rig);
}

/* serial8250_do_startup(): else it would poll with a timer. */
static void test_linux_finds_no_thre_bug(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_out(rig, T_IER, T_THRI);
	assert_false(t_in(rig, T_IIR) & 1);
	t_out(rig, T_IER, 0);
	t_out(rig, T_IER, T_THRI);
	assert_false(t_in(rig, T_IIR) & 1);
	t_out(rig, T_IER, 0);
	/* The test for UART_BUG_TXEN. */
	t_out(rig, T_IER, T_THRI);
	assert_true(t_in(rig, T_LSR) & T_TEMT);
	assert_false(t_in(rig, T_IIR) & 1);
	t_close(rig);
}

static void test_loopback_connects_the_modem_lines(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_MCR, T_LOOP);
	t_in(rig, T_MSR);
	t_out(rig, T_MCR, T_LOOP | T_RTS);
	assert_int_equal(t_in(rig, T_MSR), 0x10 | 0x01);
	assert_int_equal(t_in(rig, T_MSR), 0x10);
	t_out(rig, T_MCR, T_LOOP | T_DTR);
	assert_int_equal(t_in(rig, T_MSR), 0x20 | 0x03);
	t_out(rig, T_MCR, T_LOOP | T_OUT1);
	assert_int_equal(t_in(rig, T_MSR), 0x40 | 0x02);
	t_out(rig, T_MCR, T_LOOP | T_OUT2);
	assert_int_equal(t_in(rig, T_MSR), 0x80 | 0x08 | 0x04);
	t_close(rig);
}

static void test_modem_status_interrupts_until_it_is_read(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_MCR, T_LOOP);
	t_in(rig, T_MSR);
	t_out(rig, T_IER, T_MSI);
	assert_false(rig->level);
	t_out(rig, T_MCR, T_LOOP | T_RTS);
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0x00);
	assert_true(rig->level);
	t_in(rig, T_MSR);
	assert_false(rig->level);
	t_close(rig);
}

static void test_loopback_reaches_no_host(void **state)
{
	struct t_rig *rig = t_connected();
	char c;

	(void)state;
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_MCR, T_LOOP);
	t_out(rig, T_TX, 'x');
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR);
	assert_int_equal(t_in(rig, T_RX), 'x');
	t_turn(rig, 10);
	assert_int_equal(read(rig->host, &c, 1), -1);
	t_close(rig);
}

static void test_overrun_in_loopback_keeps_the_fifo(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_IER, T_RLSI);
	t_out(rig, T_MCR, T_LOOP);
	for (int i = 0; i < 17; i++)
		t_out(rig, T_TX, (u8)i);
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0xc6);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR | T_OE);
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR);
	for (int i = 0; i < 16; i++)
		assert_int_equal(t_in(rig, T_RX), i);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	t_close(rig);
}

static void test_overrun_without_fifo_keeps_the_last(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_MCR, T_LOOP);
	t_out(rig, T_TX, 'a');
	t_out(rig, T_TX, 'b');
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR | T_OE);
	assert_int_equal(t_in(rig, T_RX), 'b');
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	t_close(rig);
}

/* ---- Sending ------------------------------------------------------------ */

static void test_thr_write_reaches_the_host(void **state)
{
	struct t_rig *rig = t_connected();
	char buf[8] = "";

	(void)state;
	t_out(rig, T_TX, 'h');
	t_out(rig, T_TX, 'i');
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	t_turn_until(rig, read(rig->host, buf, sizeof(buf)) == 2);
	assert_string_equal(buf, "hi");
	t_close(rig);
}

static void test_thr_write_with_full_ring_clears_thre(void **state)
{
	struct t_rig *rig = t_connected();
	size_t sent = t_fill(rig);
	size_t got = 0;

	(void)state;
	assert_true(sent > CHARDEV_RING - 16);
	assert_int_equal(t_in(rig, T_LSR), 0);
	/* A driver that honours it loses nothing; the host reads on. */
	t_turn_until(rig, (got += t_read_host(rig, got)) == sent);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(ns16550_nr_dropped(rig->uart), 0);
	t_close(rig);
}

static void test_room_after_a_full_ring_interrupts(void **state)
{
	struct t_rig *rig = t_connected();
	size_t sent = t_fill(rig);
	size_t got = 0;

	(void)state;
	t_out(rig, T_IER, T_THRI);
	assert_false(rig->level);	/* no room: not empty */
	t_turn(rig, 5);
	assert_false(rig->level);
	t_turn_until(rig, (got += t_read_host(rig, got), rig->level));
	assert_int_equal(t_in(rig, T_IIR), 0x02);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	t_turn_until(rig, (got += t_read_host(rig, got)) == sent);
	t_close(rig);
}

static void test_a_whole_fifo_fits_while_thre_is_set(void **state)
{
	struct t_rig *rig = t_connected();
	size_t sent = 0;

	(void)state;
	t_out(rig, T_TX, (u8)sent++);
	while (t_in(rig, T_LSR) & T_THRE)
		for (int i = 0; i < T_TX_FIFO; i++, sent++)
			t_out(rig, T_TX, (u8)sent);
	assert_int_equal(ns16550_nr_dropped(rig->uart), 0);
	assert_true(sent > CHARDEV_RING - T_TX_FIFO);
	t_close(rig);
}

static void test_bytes_without_room_are_dropped_and_counted(void **state)
{
	struct t_rig *rig = t_connected();
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < CHARDEV_RING + 100; i++)
		t_out(rig, T_TX, (u8)i);
	assert_int_equal(ns16550_nr_dropped(rig->uart), 100);
	t_turn_until(rig, (got += t_read_host(rig, got)) == CHARDEV_RING);
	t_close(rig);
}

static void test_thre_interrupt_returns_after_each_byte(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_out(rig, T_IER, T_THRI);
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0x02);
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0x01);
	t_out(rig, T_TX, 'x');
	assert_true(rig->level);
	t_out(rig, T_IER, 0);
	assert_false(rig->level);
	t_close(rig);
}

static void test_iir_read_keeps_thre_behind_received_data(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	t_out(rig, T_MCR, T_LOOP);
	t_out(rig, T_TX, 'x');
	t_out(rig, T_IER, T_RDI | T_THRI);
	assert_int_equal(t_in(rig, T_IIR), 0x04);
	assert_int_equal(t_in(rig, T_IIR), 0x04);
	t_in(rig, T_RX);
	assert_int_equal(t_in(rig, T_IIR), 0x02);
	assert_int_equal(t_in(rig, T_IIR), 0x01);
	t_close(rig);
}

static void test_unconnected_uart_swallows_output(void **state)
{
	struct t_rig *rig = t_unconnected();

	(void)state;
	for (int i = 0; i < 100000; i++)
		t_out(rig, T_TX, 'x');
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(ns16550_nr_dropped(rig->uart), 0);
	t_out(rig, T_IER, T_THRI | T_RDI);
	assert_int_equal(t_in(rig, T_IIR), 0x02);
	assert_int_equal(t_in(rig, T_RX), 0);
	t_close(rig);
}

/* ---- Receiving ----------------------------------------------------------- */

static void test_input_interrupts_until_it_is_read(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_open_port(rig);
	t_type(rig, "ok");
	t_turn_until(rig, rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0xcc);	/* below the trigger level */
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR);
	assert_int_equal(t_in(rig, T_RX), 'o');
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_RX), 'k');
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(t_in(rig, T_RX), 0);
	t_close(rig);
}

static void test_input_at_the_trigger_level_says_so(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_open_port(rig);
	t_type(rig, "12345678901234");
	t_turn_until(rig, rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0xc4);
	t_in(rig, T_RX);
	assert_int_equal(t_in(rig, T_IIR), 0xcc);
	t_close(rig);
}

static void test_long_input_is_neither_lost_nor_mixed_up(void **state)
{
	struct t_rig *rig = t_connected();
	char text[2001];
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = 0;
	t_open_port(rig);
	t_type(rig, text);
	while (got < sizeof(text) - 1) {
		t_turn_until(rig, t_in(rig, T_LSR) & T_DR);
		assert_int_equal(t_in(rig, T_RX), text[got]);
		got++;
	}
	assert_false(t_in(rig, T_LSR) & T_OE);
	t_close(rig);
}

static void test_input_waits_in_the_host_until_the_driver_is_up(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_type(rig, "early");
	t_turn(rig, 10);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	/* Linux: the console alone, then startup, which clears the FIFO twice. */
	t_out(rig, T_FCR, 0x81);
	t_out(rig, T_MCR, T_DTR);
	t_turn(rig, 10);
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_FCR, 0x07);
	t_out(rig, T_FCR, 0x00);
	t_in(rig, T_RX);
	t_turn(rig, 10);
	t_out(rig, T_MCR, T_DTR | T_OUT2);
	t_out(rig, T_IER, T_RDI | T_RLSI);
	t_turn(rig, 10);
	t_out(rig, T_FCR, 0x81);
	assert_false(rig->level);
	t_out(rig, T_MCR, T_DTR | T_RTS | T_OUT2);
	t_turn_until(rig, rig->level);
	for (const char *p = "early"; *p; p++)
		assert_int_equal(t_in(rig, T_RX), *p);
	t_close(rig);
}

/* What was typed and is still in the host. */
static int t_nr_waiting(struct t_rig *rig)
{
	int nr;

	assert_int_equal(ioctl(rig->host, SIOCOUTQ, &nr), 0);
	return nr;
}

/* Firmware and small guests that leave the modem lines alone. */
static void t_asks_by(u32 reg, u8 val, bool is_read)
{
	struct t_rig *rig = t_connected();

	t_type(rig, "x");
	t_turn(rig, 5);
	assert_true(t_nr_waiting(rig) > 0);
	if (is_read)
		t_in(rig, reg);
	else
		t_out(rig, reg, val);
	t_turn_until(rig, !t_nr_waiting(rig));
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY | T_DR);
	assert_int_equal(t_in(rig, T_RX), 'x');
	t_close(rig);
}

static void test_guest_without_modem_lines_gets_input(void **state)
{
	(void)state;
	t_asks_by(T_FCR, 0x01, false);
	t_asks_by(T_IER, T_RDI, false);
	t_asks_by(T_RX, 0, true);
	t_asks_by(T_MCR, T_RTS, false);
}

static void test_guest_that_only_polls_gets_input(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_type(rig, "x");
	t_turn_until(rig, t_in(rig, T_LSR) & T_DR);
	assert_int_equal(t_in(rig, T_RX), 'x');
	t_close(rig);
}

static void test_guest_that_only_prints_leaves_input_in_the_host(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_type(rig, "x");
	for (int i = 0; i < 100; i++) {
		t_out(rig, T_TX, '.');
		assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
		t_turn(rig, 0);
	}
	assert_true(t_nr_waiting(rig) > 0);
	t_close(rig);
}

static void test_hanging_up_leaves_input_in_the_host(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_in(rig, T_RX);
	t_open_port(rig);
	t_type(rig, "x");
	t_turn_until(rig, rig->level);
	t_out(rig, T_IER, 0);
	t_out(rig, T_MCR, 0);
	t_out(rig, T_FCR, 0);
	t_turn(rig, 5);
	t_type(rig, "yz");
	t_turn(rig, 5);
	/* A poll may have been on its way: it ends without reading. */
	assert_true(t_nr_waiting(rig) > 0);
	t_close(rig);
}

static void test_fcr_clears_what_was_received(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_open_port(rig);
	t_type(rig, "abc");
	t_turn_until(rig, rig->level);
	t_out(rig, T_FCR, 0xc3);
	assert_false(rig->level);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	t_type(rig, "d");
	t_turn_until(rig, rig->level);
	t_out(rig, T_FCR, 0x00);
	assert_int_equal(t_in(rig, T_LSR), T_BOTH_EMPTY);
	assert_int_equal(t_in(rig, T_IIR), 0x01);
	t_close(rig);
}

static void test_fcr_without_fifos_sets_no_other_bit(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_out(rig, T_FCR, 0xc0);
	t_out(rig, T_MCR, T_RTS);
	t_out(rig, T_IER, T_RDI);
	t_type(rig, "x");
	t_turn_until(rig, rig->level);
	assert_int_equal(t_in(rig, T_IIR), 0x04);
	t_out(rig, T_FCR, 0x02);
	assert_int_equal(t_in(rig, T_RX), 'x');
	t_close(rig);
}

/* ---- A break ---------------------------------------------------------------- */

enum { T_BI = 0x10, T_FIFOE = 0x80 };

/* As Linux' serial8250_rx_chars() does it: the flags are those of the next character. */
static void test_break_is_a_flag_of_a_zero(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_out(rig, T_FCR, 1);
	t_out(rig, T_MCR, T_DTR | T_RTS);
	t_out(rig, T_IER, T_RDI | T_RLSI);
	assert_int_equal(ns16550_break(rig->uart, "h"), 0);
	assert_true(rig->level);
	assert_int_equal(t_in(rig, T_IIR) & 0xf, 0x6);
	assert_int_equal(ns16550_break(rig->uart, "h"), -EAGAIN);
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, T_FIFOE | T_BI | T_DR);
	/* It is told once; the character is still there. */
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, T_DR);
	assert_int_equal(t_in(rig, T_IIR) & 0xf, 0x4);
	assert_int_equal(t_in(rig, T_RX), 0);
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, T_DR);
	assert_int_equal(t_in(rig, T_RX), 'h');
	assert_false(rig->level);
	t_close(rig);
}

static void test_break_comes_in_its_turn(void **state)
{
	struct t_rig *rig = t_connected();

	(void)state;
	t_out(rig, T_FCR, 1);
	t_out(rig, T_MCR, T_DTR | T_RTS);
	t_out(rig, T_IER, T_RDI | T_RLSI);
	t_type(rig, "ab");
	t_turn_until(rig, rig->level);
	assert_int_equal(ns16550_break(rig->uart, ""), 0);
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, T_FIFOE | T_DR);
	assert_int_equal(t_in(rig, T_IIR) & 0xf, 0x4);
	assert_int_equal(t_in(rig, T_RX), 'a');
	assert_int_equal(t_in(rig, T_RX), 'b');
	assert_int_equal(t_in(rig, T_IIR) & 0xf, 0x6);
	/* Reading the character takes the flag along. */
	assert_int_equal(t_in(rig, T_RX), 0);
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, 0);
	/* So does emptying the FIFO. */
	assert_int_equal(ns16550_break(rig->uart, "x"), 0);
	t_out(rig, T_FCR, 3);
	assert_int_equal(t_in(rig, T_LSR) & 0x9f, 0);
	assert_int_equal(ns16550_break(rig->uart, "x"), 0);
	t_close(rig);
}

static void test_break_has_room_however_much_is_typed(void **state)
{
	struct t_rig *rig = t_connected();
	char text[256];
	size_t n = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	t_out(rig, T_FCR, 1);
	t_out(rig, T_MCR, T_DTR | T_RTS);
	assert_int_equal(write(rig->host, text, sizeof(text)), sizeof(text));
	t_turn_until(rig, t_in(rig, T_LSR) & T_DR);
	assert_int_equal(ns16550_break(rig->uart, "0123456789abcdef"), -EAGAIN);
	assert_int_equal(ns16550_break(rig->uart, "0123456789abcde"), 0);
	while (n < sizeof(text) + 1) {
		t_turn_until(rig, t_in(rig, T_LSR) & T_DR);
		n += t_in(rig, T_RX) == 'a';
	}
	/* In loopback the wire is not connected. */
	t_out(rig, T_MCR, T_LOOP);
	assert_int_equal(ns16550_break(rig->uart, "x"), -EAGAIN);
	t_close(rig);
}

static void test_end_of_input_leaves_output_alone(void **state)
{
	struct t_rig *rig = t_connected();
	char buf[8] = "";

	(void)state;
	t_open_port(rig);
	assert_int_equal(shutdown(rig->host, SHUT_WR), 0);
	t_turn(rig, 5);
	t_out(rig, T_TX, 'x');
	t_turn_until(rig, read(rig->host, buf, sizeof(buf)) == 1);
	t_close(rig);
}

/* ---- The bus ------------------------------------------------------------- */

static void test_wide_access_means_one_register(void **state)
{
	const struct bus_ops *ops = &ns16550_bus_ops;
	struct t_rig *rig = t_connected();
	char buf[8] = "";

	(void)state;
	t_out(rig, T_IER, T_RDI);
	t_out(rig, T_FCR, 0x01);
	t_out(rig, T_LCR, 0x03);
	ops->write(rig->uart, T_TX, 4, 'A');
	ops->write(rig->uart, T_TX, 8, 'B');
	ops->write(rig->uart, T_TX, 2, 'C');
	assert_int_equal(t_in(rig, T_IER), T_RDI);
	assert_int_equal(t_in(rig, T_IIR) & 0xc0, 0xc0);
	assert_int_equal(t_in(rig, T_LCR), 0x03);
	t_turn_until(rig, read(rig->host, buf, sizeof(buf)) == 3);
	assert_string_equal(buf, "ABC");
	assert_int_equal(ops->read(rig->uart, T_LCR, 4), 0x03);
	assert_int_equal(ops->read(rig->uart, T_SCR, 8), 0);
	t_close(rig);
}

static void test_offsets_beyond_the_registers_read_zero(void **state)
{
	const struct bus_ops *ops = &ns16550_bus_ops;
	struct t_rig *rig = t_unconnected();

	(void)state;
	ops->write(rig->uart, 8, 1, 0xff);
	ops->write(rig->uart, 0xfff, 1, 0xff);
	ops->write(rig->uart, 0x100000001, 1, 0xff);
	assert_int_equal(ops->read(rig->uart, 8, 1), 0);
	assert_int_equal(ops->read(rig->uart, 0xff8, 8), 0);
	assert_int_equal(ops->read(rig->uart, 0x100000005, 1), 0);
	assert_int_equal(t_in(rig, T_IER), 0);
	t_close(rig);
}

/* Whatever the guest does: the line says what IIR says. */
static void test_random_accesses_keep_line_and_iir_in_step(void **state)
{
	static const unsigned int lens[] = { 1, 2, 4, 8 };
	const struct bus_ops *ops = &ns16550_bus_ops;
	struct t_rig *rig = t_connected();
	unsigned int seed = 16550;
	char buf[4096];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		u64 off = (u64)(rand_r(&seed) % 10);
		unsigned int len = lens[rand_r(&seed) % 4];
		bool level;

		if (rand_r(&seed) & 1)
			ops->write(rig->uart, off, len, (u64)rand_r(&seed));
		else
			assert_true(ops->read(rig->uart, off, len) <= 0xff);
		level = rig->level;
		assert_int_equal(t_in(rig, T_IIR) & 1, !level);
		if (i % 1000 == 0) {
			t_type(rig, "input");
			assert_int_equal(loop_dispatch(rig->loop), 0);
			if (read(rig->host, buf, sizeof(buf)) < 0)
				assert_int_equal(errno, EAGAIN);
		}
	}
	t_close(rig);
}

/* ---- Threads ------------------------------------------------------------- */

#define T_ECHO	40000

static void *t_loop_thread(void *arg)
{
	struct t_rig *rig = arg;

	assert_int_equal(loop_run(rig->loop), 0);
	return NULL;
}

static void *t_echo_thread(void *arg)
{
	struct t_rig *rig = arg;
	size_t done = 0;

	while (done < T_ECHO) {
		struct pollfd p = { .fd = rig->host, .events = POLLIN };
		char buf[500];
		ssize_t n;
		ssize_t at = 0;

		assert_int_equal(poll(&p, 1, T_PATIENCE_MS), 1);
		n = read(rig->host, buf, sizeof(buf));
		assert_true(n > 0);
		while (at < n) {
			ssize_t ret = write(rig->host, buf + at, (size_t)(n - at));

			if (ret > 0)
				at += ret;
			else
				t_sleep_ms(1);
		}
		done += (size_t)n;
	}
	return NULL;
}

/* A driver that sends a FIFO's worth when told, and reads what there is. */
static void test_guest_host_and_loop_threads_echo_everything(void **state)
{
	struct t_rig *rig = t_connected();
	long end = t_now_ms() + 3 * T_PATIENCE_MS;
	pthread_t loop_thread;
	pthread_t echo;
	size_t sent = 0;
	size_t got = 0;

	(void)state;
	pthread_create(&loop_thread, NULL, t_loop_thread, rig);
	pthread_create(&echo, NULL, t_echo_thread, rig);
	t_open_port(rig);
	t_out(rig, T_IER, T_RDI | T_THRI);
	while (got < T_ECHO) {
		u8 iir = t_in(rig, T_IIR);
		u8 lsr;

		assert_true(t_now_ms() < end);
		if (iir & 1) {
			sched_yield();
			continue;
		}
		lsr = t_in(rig, T_LSR);
		while (lsr & T_DR) {
			assert_int_equal(t_in(rig, T_RX), (u8)got);
			got++;
			lsr = t_in(rig, T_LSR);
		}
		for (int i = 0; lsr & T_THRE && i < 16 && sent < T_ECHO; i++)
			t_out(rig, T_TX, (u8)sent++);
		if (sent == T_ECHO)
			t_out(rig, T_IER, T_RDI);
	}
	pthread_join(echo, NULL);
	loop_quit(rig->loop);
	pthread_join(loop_thread, NULL);
	assert_int_equal(ns16550_nr_dropped(rig->uart), 0);
	t_close(rig);
}

/* ---- Birth and the tree -------------------------------------------------- */

static void test_destroy_takes_null(void **state)
{
	(void)state;
	ns16550_destroy(NULL);
}

static void test_node_is_what_linux_matches(void **state)
{
	struct t_rig *rig = t_unconnected();
	u8 buf[4096] __attribute__((aligned(8)));
	const fdt32_t *cells;
	struct tree t;
	int node;
	int len;

	(void)state;
	tree_init(&t, buf, sizeof(buf));
	ns16550_tree(rig->uart, &t, 0x1000000, 3);
	assert_true(tree_finish(&t) > 0);
	node = fdt_path_offset(buf, "/serial@1000000");
	assert_true(node >= 0);
	assert_int_equal(fdt_node_check_compatible(buf, node, "ns16550a"), 0);
	cells = fdt_getprop(buf, node, "interrupts", &len);
	assert_int_equal(len, 12);
	assert_int_equal(fdt32_to_cpu(cells[0]), 0);
	assert_int_equal(fdt32_to_cpu(cells[1]), 3);
	assert_int_equal(fdt32_to_cpu(cells[2]), 4);
	cells = fdt_getprop(buf, node, "clock-frequency", &len);
	assert_int_equal(len, 4);
	assert_int_equal(fdt32_to_cpu(cells[0]), 1843200);
	cells = fdt_getprop(buf, node, "fifo-size", &len);
	assert_int_equal(fdt32_to_cpu(cells[0]), T_TX_FIFO);
	cells = fdt_getprop(buf, node, "tx-threshold", &len);
	assert_int_equal(fdt32_to_cpu(cells[0]), 0);
	cells = fdt_getprop(buf, node, "reg", &len);
	assert_int_equal(len, 16);
	assert_int_equal(fdt32_to_cpu(cells[1]), 0x1000000);
	assert_int_equal(fdt32_to_cpu(cells[3]), NS16550_SIZE);
	t_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_values),
		cmocka_unit_test(test_dlab_selects_the_divisor),
		cmocka_unit_test(test_reserved_bits_read_zero),
		cmocka_unit_test(test_status_registers_ignore_writes),
		cmocka_unit_test(test_linux_detects_a_16550a),
		cmocka_unit_test(test_linux_finds_no_thre_bug),
		cmocka_unit_test(test_loopback_connects_the_modem_lines),
		cmocka_unit_test(test_modem_status_interrupts_until_it_is_read),
		cmocka_unit_test(test_loopback_reaches_no_host),
		cmocka_unit_test(test_overrun_in_loopback_keeps_the_fifo),
		cmocka_unit_test(test_overrun_without_fifo_keeps_the_last),
		cmocka_unit_test(test_thr_write_reaches_the_host),
		cmocka_unit_test(test_thr_write_with_full_ring_clears_thre),
		cmocka_unit_test(test_room_after_a_full_ring_interrupts),
		cmocka_unit_test(test_a_whole_fifo_fits_while_thre_is_set),
		cmocka_unit_test(test_bytes_without_room_are_dropped_and_counted),
		cmocka_unit_test(test_thre_interrupt_returns_after_each_byte),
		cmocka_unit_test(test_iir_read_keeps_thre_behind_received_data),
		cmocka_unit_test(test_unconnected_uart_swallows_output),
		cmocka_unit_test(test_input_interrupts_until_it_is_read),
		cmocka_unit_test(test_input_at_the_trigger_level_says_so),
		cmocka_unit_test(test_long_input_is_neither_lost_nor_mixed_up),
		cmocka_unit_test(test_input_waits_in_the_host_until_the_driver_is_up),
		cmocka_unit_test(test_guest_without_modem_lines_gets_input),
		cmocka_unit_test(test_guest_that_only_polls_gets_input),
		cmocka_unit_test(test_guest_that_only_prints_leaves_input_in_the_host),
		cmocka_unit_test(test_hanging_up_leaves_input_in_the_host),
		cmocka_unit_test(test_fcr_clears_what_was_received),
		cmocka_unit_test(test_fcr_without_fifos_sets_no_other_bit),
		cmocka_unit_test(test_break_is_a_flag_of_a_zero),
		cmocka_unit_test(test_break_comes_in_its_turn),
		cmocka_unit_test(test_break_has_room_however_much_is_typed),
		cmocka_unit_test(test_end_of_input_leaves_output_alone),
		cmocka_unit_test(test_wide_access_means_one_register),
		cmocka_unit_test(test_offsets_beyond_the_registers_read_zero),
		cmocka_unit_test(test_random_accesses_keep_line_and_iir_in_step),
		cmocka_unit_test(test_guest_host_and_loop_threads_echo_everything),
		cmocka_unit_test(test_destroy_takes_null),
		cmocka_unit_test(test_node_is_what_linux_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
