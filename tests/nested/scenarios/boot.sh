# SPDX-License-Identifier: BSD-2-Clause
#
# boot.sh - guests start, see what they were promised, and end

scenario boot-6.1 "6.1-*"
boot_6_1()
{
	vm "want:GUEST-READY kernel=6.1." exit:0 -- $(linux 6.1) -p "$DEFAULT"
	[ "$(field cpus)" = 1 ]
	[ "$(field page)" = 4096 ]
	[ "$(field ram)" = 0x80000000+0x10000000 ] || fail "RAM $(field ram)"
	now=$(date +%s)
	rtc=$(field rtc)
	[ -n "$rtc" ] || fail "no clock"
	[ $((now - rtc)) -lt 60 ] && [ $((rtc - now)) -lt 60 ] || fail "clock $rtc, now $now"
	silent
}

scenario boot-6.12 "6.12-a76 6.12-16k"
boot_6_12()
{
	vm "want:GUEST-READY kernel=6.12." exit:0 -- $(linux 6.12) -p "$DEFAULT"
	[ "$(field ram)" = 0x80000000+0x10000000 ] || fail "RAM $(field ram)"
	silent
}

scenario boot-new "new-nested"
boot_new()
{
	vm "want:GUEST-READY kernel=" exit:0 -- $(linux new) -p "$DEFAULT"
	case $(field kernel) in
	[0-6].*) fail "Linux $(field kernel)" ;;
	esac
	silent
}

scenario boot-16k "6.12-max"
boot_16k()
{
	vm "want:FLAT" exit:0 -- $(flat) --nodefaults
	# ID_AA64MMFR0_EL1.TGran16: 0 is none
	case $(console | sed -n 's/.* mmfr0=\([0-9a-f]*\) .*/\1/p') in
	*0?????) say_skip "this CPU has no 16 KiB pages" ;;
	esac
	vm "want:GUEST-READY kernel=6.12." exit:0 -- $(linux 6.12-16k) -p "$QUIET"
	[ "$(field page)" = 16384 ] || fail "pages of $(field page)"
	silent
}

scenario smp2 "6.12-a76 6.1-gicv2"
smp2()
{
	vm "want:GUEST-READY" "want:GUEST-WORK good=2 of=2" exit:0 -- \
		$(linux 6.1) -c 2 -p "$QUIET t=work"
	silent
}

# More than the 16 that have the same upper part of their number, MPIDR_EL1.
scenario smp18 "6.12-n1"
smp18()
{
	PATIENCE=200 vm "want:GUEST-READY" exit:0 -- $(linux 6.12) -c 18 -p "$QUIET"
	[ "$(field cpus)" = 18 ] || fail "$(field cpus) CPUs"
	silent
}

# As many vCPUs as KVM has, and more RAM than any host.
scenario most "6.12-n1"
most()
{
	max=$("$VMM" host --json | tr ',' '\n' | sed -n 's/.*"max_vcpus": *\([0-9]*\).*/\1/p')
	vm "want:FLAT" exit:0 -- $(flat) -c "$max"
	console | grep -q " cpus=$(printf %x "$max") " || fail "$(console | head -n 1)"
	vm "want:FLAT" exit:0 -- $(flat) -m 128G
	console | grep -q " ram=80000000+2000000000 " || fail "$(console | head -n 1)"
	refused 4 "$((max + 1)), of at most $max" $(flat) -c $((max + 1))
	note "$max vCPUs"
}

scenario smp4 "6.12-a76"
smp4()
{
	vm "want:GUEST-READY" "want:GUEST-WORK good=4 of=4" exit:0 -- \
		$(linux 6.12) -c 4 -p "$QUIET t=work"
	silent
}

scenario two-guests "6.12-a76"
two_guests()
{
	AS=one vm "want:GUEST-READY" "want:GUEST-WORK good=1" exit:0 -- \
		$(linux 6.1) -p "$QUIET t=work" &
	first=$!
	AS=two vm "want:GUEST-READY" "want:GUEST-WORK good=1" exit:0 -- \
		$(linux 6.12) -p "$QUIET t=work" &
	one=0 two=0
	second=$!
	wait $first || one=1
	wait $second || two=1
	[ $one$two = 00 ] || fail "$(cat "$WORK/log/one.verdict" "$WORK/log/two.verdict" | tr '\n' ' ')"
}

# What is on the command line of a guest without --nodefaults, and with.
scenario command-line "6.1-a76"
command_line()
{
	vm "want:args=[console=ttyS0 " exit:0 -- $(flat) -p "one two"
	console | grep -q 'args=\[console=ttyS0 .*root=/dev/vda rw.* one two *\]' || fail "$(console)"
	vm exit:0 -- $(flat) -p "root=/dev/nowhere"
	console | grep -q 'vda' && fail "$(console)"
	vm exit:0 -- $(flat) --nodefaults -p "one two"
	console | grep -q 'args=\[one two\]' || fail "$(console)"
	vm exit:0 -- $(flat) --nodefaults
	console | grep -q 'args=\[\]' || fail "$(console)"
}
