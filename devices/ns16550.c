/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ns16550.c - a 16550A UART with registers one byte apart
 *
 * After National's data sheet of the PC16550D, sections by its numbers.  The
 * wire has no speed: what the guest sends is in the chardev's ring at once, so
 * the transmitter is empty (THRE, TEMT) as long as a whole FIFO fits into the
 * ring, and a host that does not read looks like a slow wire.
 *
 * Input comes only as far as the receive FIFO has room, so there is no overrun,
 * and only while the guest asks for it.  A guest that drives the modem lines
 * asks with RTS, as it would ask a modem: what was typed before its driver is up
 * stays in the host, where Linux, which clears the FIFO when the port is opened,
 * would lose it.  One that does not drive them asks by enabling the FIFO or the
 * interrupt, by reading the receive buffer, or by looking into LSR again after
 * it has said that the transmitter is empty, for what else could it wait for?
 * (Linux's early console looks once a byte.)
 *
 * A break comes from the host alone, with a few characters behind it for which room
 * is kept.  Not there: a break to the host, and errors of the wire.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chardev.h"
#include "devices/ns16550.h"
#include "fdt/tree.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/irq.h"
#include "vmm/lock.h"

/* Register offsets (8.0); with DLAB the first two are the divisor (8.3). */
#define UART_RBR	0		/* read */
#define UART_THR	0		/* write */
#define UART_DLL	0
#define UART_IER	1
#define UART_DLM	1
#define UART_IIR	2		/* read */
#define UART_FCR	2		/* write */
#define UART_LCR	3
#define UART_MCR	4
#define UART_LSR	5
#define UART_MSR	6
#define UART_SCR	7

#define IER_RDI		0x01		/* received data available */
#define IER_THRI	0x02		/* transmitter holding register empty */
#define IER_RLSI	0x04		/* receiver line status */
#define IER_MSI		0x08		/* modem status */
#define IER_MASK	0x0f

/* Interrupt identification (8.6), by falling priority. */
#define IIR_RLSI	0x06
#define IIR_RDI		0x04
#define IIR_TIMEOUT	0x0c		/* data below the trigger level */
#define IIR_THRI	0x02
#define IIR_MSI		0x00
#define IIR_NONE	0x01
#define IIR_FIFO	0xc0		/* the FIFOs are enabled */

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_TRIGGER	6		/* shift of the level's two bits */

#define LCR_DLAB	0x80

#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_MASK	0x1f

#define LSR_DR		0x01		/* data ready */
#define LSR_OE		0x02		/* overrun: in loopback only */
#define LSR_BI		0x10		/* the next character is a break */
#define LSR_THRE	0x20		/* transmitter holding register empty */
#define LSR_TEMT	0x40		/* transmitter empty */
#define LSR_FIFOE	0x80		/* there is a break in the FIFO */

#define MSR_DELTA	0x0f		/* what changed since the last read */
#define MSR_TERI	0x04		/* RI: of it, only the trailing edge */
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80

#define TX_FIFO		64		/* as the tree tells; a 16550A has 16, which do too */
#define RX_FIFO		16
#define RX_BUFFER	64		/* more than the FIFO: fewer turns to the host */
#define RX_BREAK	16		/* of it, kept for a break and what follows */

#define CLOCK_HZ	1843200		/* 115200 baud with a divisor of 1 */

struct ns16550 {
	struct lock	lock;		/* of everything below */
	struct irq_line	irq;
	struct chardev	*chr;		/* NULL: nothing is connected */
	bool		thre_pending;	/* the THRE interrupt has a cause */
	bool		overrun;
	bool		has_break;	/* not seen yet, at .break_at */
	bool		polls;		/* for input, see above */
	bool		saw_thre;	/* in LSR, and has sent nothing since */
	u8		ier;
	u8		fcr;
	u8		lcr;
	u8		mcr;
	u8		msr;
	u8		scr;
	u8		thr;		/* on its way out */
	u8		dll;
	u8		dlm;
	u32		rx_head;	/* bytes ever received */
	u32		rx_tail;	/* bytes ever read */
	u32		break_at;	/* as .rx_tail will be */
	u8		rx[RX_BUFFER];
	u64		nr_dropped;
};

_Static_assert(RX_BUFFER && !(RX_BUFFER & (RX_BUFFER - 1)), "indices wrap");
_Static_assert(TX_FIFO <= CHARDEV_LOW, "no room is followed by tx_room");

/* ---- What the registers say ------------------------------------------- */

static u32 rx_level(const struct ns16550 *uart)
{
	return uart->rx_head - uart->rx_tail;
}

static bool is_looped(const struct ns16550 *uart)
{
	return uart->mcr & MCR_LOOP;
}

static bool can_send(const struct ns16550 *uart)
{
	return is_looped(uart) || !uart->chr || chardev_room(uart->chr) >= TX_FIFO;
}

/* Does the guest want input?  See the top of this file. */
static bool is_receiving(const struct ns16550 *uart)
{
	if (is_looped(uart))
		return false;
	if (uart->mcr & (MCR_DTR | MCR_RTS))
		return uart->mcr & MCR_RTS;
	return uart->fcr & FCR_ENABLE || uart->ier & IER_RDI || uart->polls;
}

static bool is_break_next(const struct ns16550 *uart)
{
	return uart->has_break && uart->break_at == uart->rx_tail;
}

static u8 lsr(const struct ns16550 *uart)
{
	u8 val = 0;

	if (is_break_next(uart))
		val |= LSR_BI;
	if (uart->has_break && uart->fcr & FCR_ENABLE)
		val |= LSR_FIFOE;

	if (rx_level(uart))
		val |= LSR_DR;
	if (uart->overrun)
		val |= LSR_OE;
	if (can_send(uart))
		val |= LSR_THRE | LSR_TEMT;
	return val;
}

static u32 rx_trigger(const struct ns16550 *uart)
{
	static const u8 levels[] = { 1, 4, 8, 14 };	/* 8.5 */

	return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> FCR_TRIGGER] : 1;
}

/*
 * The most urgent interrupt.  Characters that time out at once are as good as
 * those that do so after four times their length, the wire having no speed.
 */
static u8 cause(const struct ns16550 *uart)
{
	if (uart->ier & IER_RLSI && (uart->overrun || is_break_next(uart)))
		return IIR_RLSI;
	if (uart->ier & IER_RDI && rx_level(uart))
		return rx_level(uart) >= rx_trigger(uart) ? IIR_RDI : IIR_TIMEOUT;
	if (uart->ier & IER_THRI && uart->thre_pending)
		return IIR_THRI;
	if (uart->ier & IER_MSI && uart->msr & MSR_DELTA)
		return IIR_MSI;
	return IIR_NONE;
}

/* A guest that polls, like Linux's console when it prints, has all of them disabled. */
static void update_irq(struct ns16550 *uart)
{
	irq_line_set(&uart->irq, uart->ier && cause(uart) != IIR_NONE);
}

/* ---- What they do ------------------------------------------------------ */

static void rx_push(struct ns16550 *uart, u8 val)
{
	uart->rx[uart->rx_head++ % RX_BUFFER] = val;
}

static u8 read_rbr(struct ns16550 *uart)
{
	uart->polls = true;
	if (!rx_level(uart))
		return 0;
	if (is_break_next(uart))
		uart->has_break = false;
	return uart->rx[uart->rx_tail++ % RX_BUFFER];
}

static void rx_clear(struct ns16550 *uart)
{
	uart->rx_tail = uart->rx_head;
	uart->has_break = false;
}

/*
 * In loopback the FIFO is as deep as the chip's and overruns: it keeps what it
 * has, a lone buffer takes what is new (8.4, bit 1).
 */
static void loop_back(struct ns16550 *uart, u8 val)
{
	u32 depth = uart->fcr & FCR_ENABLE ? RX_FIFO : 1;

	if (rx_level(uart) >= depth) {
		uart->overrun = true;
		if (depth > 1)
			return;
		rx_clear(uart);
	}
	rx_push(uart, val);
}

static bool send(struct ns16550 *uart, u8 val)
{
	/* From where it lies: a byte on the stack would cost its protection. */
	uart->thr = val;
	return chardev_put(uart->chr, &uart->thr, 1);
}

static void write_thr(struct ns16550 *uart, u8 val)
{
	uart->saw_thre = false;
	if (is_looped(uart))
		loop_back(uart, val);
	else if (uart->chr && !send(uart, val))
		uart->nr_dropped++;
	/* Sent already, if the next one would be; else tx_room() follows. */
	uart->thre_pending = can_send(uart);
}

/* Reading it takes back the THRE interrupt if that is what it says (8.6). */
static u8 read_iir(struct ns16550 *uart)
{
	u8 val = cause(uart);

	if (val == IIR_THRI)
		uart->thre_pending = false;
	if (uart->fcr & FCR_ENABLE)
		val |= IIR_FIFO;
	return val;
}

/* Enabling the THRE interrupt raises it if the transmitter is empty (8.4, bit 5). */
static void write_ier(struct ns16550 *uart, u8 val)
{
	if (val & ~uart->ier & IER_THRI && can_send(uart))
		uart->thre_pending = true;
	uart->ier = val & IER_MASK;
}

/*
 * Changing the mode clears the FIFOs, and without FIFOs no other bit counts
 * (8.5).  The transmitter's is always empty.
 */
static void write_fcr(struct ns16550 *uart, u8 val)
{
	if (!(val & FCR_ENABLE))
		val = 0;
	if ((val ^ uart->fcr) & FCR_ENABLE || val & FCR_CLEAR_RX)
		rx_clear(uart);
	uart->fcr = val;
}

/* The modem's lines: a modem that is ready, or in loopback our own (8.9). */
static u8 modem_lines(const struct ns16550 *uart)
{
	u8 val = 0;

	if (!is_looped(uart))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if (uart->mcr & MCR_RTS)
		val |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		val |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		val |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		val |= MSR_DCD;
	return val;
}

static void write_mcr(struct ns16550 *uart, u8 val)
{
	u8 old = uart->msr & ~MSR_DELTA;
	u8 new;
	u8 delta;

	uart->mcr = val & MCR_MASK;
	new = modem_lines(uart);
	delta = (old ^ new) >> 4;
	if (new & MSR_RI)
		delta &= ~MSR_TERI;
	uart->msr = new | (uart->msr & MSR_DELTA) | delta;
	if (val & (MCR_DTR | MCR_RTS))
		uart->polls = false;	/* its RTS counts from now on */
	/* Out of loopback, the transmitter may find the ring full, or room again. */
	uart->thre_pending = uart->thre_pending && can_send(uart);
}

/* Errors are told once (8.6). */
static u8 read_lsr(struct ns16550 *uart)
{
	u8 val = lsr(uart);

	uart->overrun = false;
	if (val & LSR_BI)
		uart->has_break = false;
	if (val & LSR_THRE && uart->saw_thre)
		uart->polls = true;
	uart->saw_thre = val & LSR_THRE;
	return val;
}

static u8 read_msr(struct ns16550 *uart)
{
	u8 val = uart->msr;

	uart->msr &= ~MSR_DELTA;
	return val;
}

static u8 do_read(struct ns16550 *uart, u32 off)
{
	switch (off) {
	case UART_RBR:
		return uart->lcr & LCR_DLAB ? uart->dll : read_rbr(uart);
	case UART_IER:
		return uart->lcr & LCR_DLAB ? uart->dlm : uart->ier;
	case UART_IIR:
		return read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_lsr(uart);
	case UART_MSR:
		return read_msr(uart);
	case UART_SCR:
		return uart->scr;
	}
	return 0;
}

static void do_write(struct ns16550 *uart, u32 off, u8 val)
{
	switch (off) {
	case UART_THR:
		if (uart->lcr & LCR_DLAB)
			uart->dll = val;
		else
			write_thr(uart, val);
		break;
	case UART_IER:
		if (uart->lcr & LCR_DLAB)
			uart->dlm = val;
		else
			write_ier(uart, val);
		break;
	case UART_FCR:
		write_fcr(uart, val);
		break;
	case UART_LCR:
		uart->lcr = val;
		break;
	case UART_MCR:
		write_mcr(uart, val);
		break;
	case UART_SCR:
		uart->scr = val;
		break;
	}
}

/* ---- From the guest ---------------------------------------------------- */

/* To be asked with the lock held, and told to the chardev without. */
static bool wants_input(const struct ns16550 *uart)
{
	return uart->chr && !rx_level(uart) && is_receiving(uart);
}

u8 ns16550_read(struct ns16550 *uart, u32 off)
{
	bool kick;
	u8 val;

	lock_take(&uart->lock);
	val = do_read(uart, off);
	update_irq(uart);
	kick = (off == UART_RBR || off == UART_LSR) && wants_input(uart);
	lock_release(&uart->lock);
	if (kick)
		chardev_kick_rx(uart->chr);
	return val;
}

static bool may_ask_for_input(u32 off)
{
	return off == UART_IER || off == UART_FCR || off == UART_MCR;
}

void ns16550_write(struct ns16550 *uart, u32 off, u8 val)
{
	bool kick;

	lock_take(&uart->lock);
	do_write(uart, off, val);
	update_irq(uart);
	kick = may_ask_for_input(off) && wants_input(uart);
	lock_release(&uart->lock);
	if (kick)
		chardev_kick_rx(uart->chr);
}

/*
 * Registers are bytes: a wider access means the one it begins at.  To split it
 * would let the zeroes above a character reach IER, FCR and LCR.
 */
static u64 bus_read8(void *dev, u64 off, unsigned int len)
{
	(void)len;
	return off < NS16550_SIZE ? ns16550_read(dev, (u32)off) : 0;
}

static void bus_write8(void *dev, u64 off, unsigned int len, u64 val)
{
	(void)len;
	if (off < NS16550_SIZE)
		ns16550_write(dev, (u32)off, (u8)val);
}

const struct bus_ops ns16550_bus_ops = {
	.read = bus_read8,
	.write = bus_write8,
};

/* ---- From the host, on the loop's thread ------------------------------- */

static size_t rx_room(void *arg)
{
	struct ns16550 *uart = arg;
	size_t n = 0;

	lock_take(&uart->lock);
	if (is_receiving(uart) && rx_level(uart) < RX_BUFFER - RX_BREAK)
		n = RX_BUFFER - RX_BREAK - rx_level(uart);
	lock_release(&uart->lock);
	return n;
}

/* There is room, unless the guest has used it up in loopback meanwhile. */
static void rx(void *arg, const u8 *buf, size_t len)
{
	struct ns16550 *uart = arg;

	lock_take(&uart->lock);
	for (size_t i = 0; i < len && rx_level(uart) < RX_BUFFER; i++)
		rx_push(uart, buf[i]);
	update_irq(uart);
	lock_release(&uart->lock);
}

/* One character of zeroes, however long it is (8.6, bit 4). */
int ns16550_break(struct ns16550 *uart, const char *text)
{
	size_t len = strlen(text);
	int ret = -EAGAIN;

	lock_take(&uart->lock);
	if (!is_looped(uart) && !uart->has_break && len < RX_BREAK &&
	    rx_level(uart) + 1 + len <= RX_BUFFER) {
		uart->has_break = true;
		uart->break_at = uart->rx_head;
		rx_push(uart, 0);
		for (size_t i = 0; i < len; i++)
			rx_push(uart, (u8)text[i]);
		update_irq(uart);
		ret = 0;
	}
	lock_release(&uart->lock);
	return ret;
}

static void tx_room(void *arg)
{
	struct ns16550 *uart = arg;

	lock_take(&uart->lock);
	uart->thre_pending = can_send(uart);
	update_irq(uart);
	lock_release(&uart->lock);
}

const struct chardev_ops ns16550_chardev_ops = {
	.rx_room = rx_room,
	.rx = rx,
	.tx_room = tx_room,
};

/* ---- From the machine -------------------------------------------------- */

int ns16550_create(struct ns16550 **out, const struct irq_line *irq,
		   struct vmm_error *err)
{
	struct ns16550 *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return error_set(err, -ENOMEM, "uart: no memory");
	uart->irq = *irq;
	uart->msr = modem_lines(uart);
	*out = uart;
	return 0;
}

void ns16550_destroy(struct ns16550 *uart)
{
	if (!uart)
		return;
	free(uart);
}

void ns16550_connect(struct ns16550 *uart, struct chardev *chr)
{
	uart->chr = chr;
}

u64 ns16550_nr_dropped(struct ns16550 *uart)
{
	u64 n;

	lock_take(&uart->lock);
	n = uart->nr_dropped;
	lock_release(&uart->lock);
	return n;
}

void ns16550_tree(const struct ns16550 *uart, struct tree *t, gpa_t base, u32 spi)
{
	(void)uart;
	tree_begin(t, "serial@%llx", (unsigned long long)base);
	tree_string(t, "compatible", "ns16550a");
	tree_reg(t, base, NS16550_SIZE);
	tree_cells(t, "interrupts", GIC_SPI, spi, IRQ_HIGH);
	tree_u32(t, "clock-frequency", CLOCK_HZ);
	tree_u32(t, "fifo-size", TX_FIFO);
	tree_u32(t, "tx-threshold", 0);
	tree_end(t);
}
