/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.S - entry at EL2, exceptions, and a way down to EL1 and back
 */

	.section .text.start, "ax"
	.globl	_start
_start:
	ldr	x0, =stack_top
	mov	sp, x0
	ldr	x0, =vectors_el2
	msr	vbar_el2, x0
	ldr	x0, =vectors_el1
	msr	vbar_el1, x0
	isb
	bl	main
	ldr	x0, =0x84000008		// PSCI SYSTEM_OFF
	smc	#0
1:	wfi
	b	1b

/*
 * u64 at_el1(u64 (*fn)(u64), u64 arg): what fn returns at EL1, where it runs
 * on a stack of its own with all interrupts masked.
 */
	.text
	.globl	at_el1
at_el1:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	ldr	x2, =stack_el1_top
	msr	sp_el1, x2
	mov	x2, #0x3c5		// EL1h, DAIF
	msr	spsr_el2, x2
	msr	elr_el2, x0
	mov	x0, x1
	adr	x30, 1f
	eret
1:	hvc	#0			// at EL1: fn has returned

	.macro	vector target
	.balign	128
	b	\target
	.endm

	.balign	2048
vectors_el2:
	.rept	4
	vector	unexpected
	.endr
	vector	unexpected		// from this EL
	vector	unexpected
	vector	unexpected
	vector	unexpected
	vector	from_el1		// from a lower one
	vector	unexpected
	vector	unexpected
	vector	unexpected
	.rept	4
	vector	unexpected
	.endr

	.balign	2048
vectors_el1:
	.rept	16
	vector	el1_exception
	.endr

	.text
from_el1:
	msr	tpidr_el2, x1
	mrs	x1, esr_el2
	lsr	x1, x1, #26
	cmp	x1, #0x16		// HVC: back to the caller of at_el1
	b.ne	2f
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret
2:	cmp	x1, #0x18		// a trapped system register: note it, skip it
	b.ne	unexpected
	stp	x2, x3, [sp, #-16]!
	ldr	x2, =nr_traps
	ldr	x3, [x2]
	add	x3, x3, #1
	str	x3, [x2]
	mrs	x3, elr_el2
	add	x3, x3, #4
	msr	elr_el2, x3
	ldp	x2, x3, [sp], #16
	mrs	x1, tpidr_el2
	mov	x0, #0
	eret

el1_exception:
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	b	fatal

unexpected:
	mrs	x0, esr_el2
	mrs	x1, elr_el2
	mrs	x2, far_el2
	b	fatal

/*
 * void spin(u64 n): n iterations of 8 instructions: a load, a store, a branch
 * that is never taken, fillers, and the branch back.
 */
	.balign	64
	.globl	spin, spin_end
spin:
	adr	x1, word
1:	ldr	x2, [x1]
	str	x2, [x1, #8]
	cbnz	xzr, 1b
	add	x2, x2, #1
	add	x2, x2, #1
	add	x2, x2, #1
	subs	x0, x0, #1
	b.ne	1b
spin_end:
	ret

	.bss
	.balign	64
	.globl	word
word:	.skip	64
	.globl	nr_traps
nr_traps: .skip	8
	.balign	16
	.skip	16384
stack_top:
	.skip	16384
stack_el1_top:
