// SPDX-License-Identifier: BSD-2-Clause
//
// bench.S - a page of guest for `make bench`, for any VMM: a kernel by its header
//
//	UART	where its UART is: vmm's and kvmtool's ns16550a, QEMU's PL011
//	OFF	the offset there of the register that COUNT stores go to
//	COUNT	how many; then the guest powers off
//	REPORT	1: print the physical counter as it was at entry, `entered=HEX`
//	IDLE	1: print `idle` and sleep for ever; 2: print that, and compute for ever

	.macro	say text
	adr	x2, 7f
6:	ldrb	w3, [x2], #1
	cbz	w3, 8f
	strb	w3, [x1]
	b	6b
7:	.asciz	"\text"
	.balign	4
8:
	.endm

	// Documentation/arch/arm64/booting.rst, 4
	.globl	_start
_start:	b	start
	.word	0
	.quad	0			// text_offset
	.quad	0x10000			// image_size
	.quad	0xa			// little-endian, pages of 4 KiB, anywhere
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

start:	mrs	x10, CNTPCT_EL0
	ldr	x1, =UART
	ldr	w4, =COUNT
	mov	w3, #'x'
	cbz	w4, 2f
1:	strb	w3, [x1, #OFF]
	subs	w4, w4, #1
	b.ne	1b
2:
	.if	REPORT
	say	"entered="
	mov	x7, #60
3:	lsr	x3, x10, x7
	and	x3, x3, #15
	add	x2, x3, #'0'
	add	x6, x3, #'a' - 10
	cmp	x3, #10
	csel	x2, x2, x6, lo
	strb	w2, [x1]
	subs	x7, x7, #4
	b.pl	3b
	say	"\n"
	.endif
	.if	IDLE
	say	"idle\n"
	.if	IDLE == 2
	b	.
	.endif
4:	wfi
	b	4b
	.endif
	ldr	w0, =0x84000008		// PSCI SYSTEM_OFF
	hvc	#0
5:	wfi
	b	5b
	.ltorg
	.balign	4096
