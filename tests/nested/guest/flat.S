// SPDX-License-Identifier: BSD-2-Clause
//
// flat.S - the first instructions of a flat image: no header, entry at offset 0
//
// Keeps the state it was entered in for flat_main(), takes a stack behind the
// image, and starts further CPUs at flat_secondary.

	.section .text.start, "ax"
	.globl	_start
_start:
	adr	x9, _end
	add	x9, x9, #0x10000
	and	sp, x9, #~0xf
	sub	sp, sp, #80
	stp	x0, x1, [sp]
	stp	x2, x3, [sp, #16]
	mrs	x4, CurrentEL
	mrs	x5, DAIF
	stp	x4, x5, [sp, #32]
	mrs	x6, SCTLR_EL1
	mrs	x7, SPSel
	stp	x6, x7, [sp, #48]
	adr	x8, _start
	adr	x9, _end
	stp	x8, x9, [sp, #64]
	mov	x0, sp
	bl	flat_main
	// PSCI SYSTEM_OFF
	movz	w0, #0x0008
	movk	w0, #0x8400, lsl #16
	bl	flat_psci
1:	wfi
	b	1b

// u64 flat_psci(u64 fn, u64 a, u64 b, u64 c): at EL2 an HVC would be our own
	.globl	flat_psci
flat_psci:
	mrs	x9, CurrentEL
	tbnz	x9, #3, 3f
	hvc	#0
	ret
3:	smc	#0
	ret

// A further CPU: x0 is the address of its flag.  Says that it is here, with
// its affinity, and turns itself off.
	.globl	flat_secondary
flat_secondary:
	mrs	x1, MPIDR_EL1
	orr	x1, x1, #1 << 63
	str	x1, [x0]
	dsb	sy
	movz	w0, #0x0002
	movk	w0, #0x8400, lsl #16
	bl	flat_psci
2:	wfi
	b	2b

// A further CPU that calls PSCI when it is told to: x0 is the address of three words,
// the function, that it is here, and that it may go on.
	.globl	flat_caller
flat_caller:
	mov	x1, #1
	str	x1, [x0, #8]
	dsb	sy
3:	ldr	x1, [x0, #16]
	cbz	x1, 3b
	ldr	x0, [x0]
	bl	flat_psci
4:	wfi
	b	4b
