// SPDX-License-Identifier: BSD-2-Clause
//
// bench-init.S - a Linux guest's only program for `make bench`: says that it runs,
// and powers off

	.globl	_start
_start:	mov	x0, #1
	adr	x1, text
	mov	x2, #12
	mov	x8, #64			// write()
	svc	#0
	ldr	w0, =0xfee1dead		// reboot(2)
	ldr	w1, =672274793
	ldr	w2, =0x4321fedc		// LINUX_REBOOT_CMD_POWER_OFF
	mov	x8, #142
	svc	#0
1:	b	1b
text:	.ascii	"GUEST-READY\n"
