// SPDX-License-Identifier: BSD-2-Clause
//
// bench-init.S - a Linux guest's only program for `make bench`: says that it runs,
// and powers off; with IDLE it sleeps for ever, with NOW it says what the counter is

	.globl	_start
_start:
	.if	NOW
	mrs	x10, CNTVCT_EL0
	ldr	x1, =digits
	mov	x7, #60
1:	lsr	x3, x10, x7
	and	x3, x3, #15
	add	x2, x3, #'0'
	add	x6, x3, #'a' - 10
	cmp	x3, #10
	csel	x2, x2, x6, lo
	strb	w2, [x1], #1
	subs	x7, x7, #4
	b.pl	1b
	.endif
	mov	x0, #1
	ldr	x1, =text
	mov	x2, #end - text
	mov	x8, #64			// write()
	svc	#0
	.if	IDLE
2:	mov	x0, #0			// ppoll() of nothing
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x8, #73
	svc	#0
	b	2b
	.endif
	ldr	w0, =0xfee1dead		// reboot(2)
	ldr	w1, =672274793
	ldr	w2, =0x4321fedc		// LINUX_REBOOT_CMD_POWER_OFF
	mov	x8, #142
	svc	#0
3:	b	3b
	.ltorg
	.if	NOW
	.data
	.endif
text:	.ascii	"GUEST-READY"
	.if	NOW
	.ascii	" now="
digits:	.space	16
	.endif
	.ascii	"\n"
end:
