# SPDX-License-Identifier: BSD-2-Clause
#
# host.sh - in the test bed's machine: cases, a line for each, as in TAP
#
# FORM says what a wrong CPU looks like: "exit" or "enoexec".

. ./settings
run=/tmp
. ./guests.sh
failed=0

case $FORM in
exit) abi=spe-testbed.abi ;;
enoexec)
	abi=spe-testbed-enoexec.abi
	echo 1 >/sys/module/kvm/parameters/spe_enoexec
	;;
esac

case_()	# TEXT FUNCTION
{
	began=$(cut -d. -f1 /proc/uptime)
	if ("$2") >/tmp/case.log 2>&1; then
		good=1
	else
		good=0 failed=1
	fi
	took=$(($(cut -d. -f1 /proc/uptime) - began))
	[ $good -eq 1 ] && echo "ok - $1 ($FORM, $took s)" || echo "not ok - $1 ($FORM, $took s)"
	sed 's/^\([^#]\)/# \1/' /tmp/case.log
	if [ $good -eq 0 ]; then
		for f in /tmp/*.err /tmp/*.out; do
			[ ! -s "$f" ] || { echo "# -- $f"; tail -n 12 "$f" | tr -d '\r' | sed 's/^/# /'; }
		done
	fi
	# Whatever a case left behind must not be in the way of the next one.
	for job in /tmp/*.pid; do
		[ ! -e "$job" ] || kill -9 "$(cat "$job")" 2>/dev/null
	done
	killall -9 sleep vmm vmm-uapi loops mover 2>/dev/null
	for cpu in 2 3; do
		echo 1 >/sys/devices/system/cpu/cpu$cpu/online 2>/dev/null
	done
	rm -f /tmp/*.in /tmp/*.out /tmp/*.err /tmp/*.pid
}

# started NAME N: wait until its command N, the Nth to run loops, does so
started()
{
	tries=$((150 * SLOW))
	until [ "$(console "$1" | grep -c '^loops: \(started\|load\)')" -ge "$2" ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && ! grep -q "GUEST-DONE $2 " "$run/$1.out" || fail "guest $1 does not start"
		sleep 0.2
	done
}

# That what was to happen while command N ran did so.
busy()		# NAME N
{
	! grep -q "GUEST-DONE $2 " "$run/$1.out" || fail "command $2 was done too early for this test"
}

# The same of `loops -u`, which may end now.
enough()	# NAME N
{
	busy "$1" "$2"
	tell "$1" enough
}

# Each wrong-CPU exit has been answered by one re-pin, and there were some.
recovered()	# NAME LEAST
{
	wrong=$(counted "$1" wrong_cpu) repins=$(counted "$1" repins)
	echo "wrong_cpu=$wrong repins=$repins"
	[ "$wrong" -ge "$2" ] || fail "fewer than $2 exits for a wrong CPU"
	[ "$wrong" -eq "$repins" ] || fail "not every exit for a wrong CPU was followed by a re-pin"
}

# Its threads are in the sandbox, filters and all.
confined()	# NAME
{
	pid=$(cat "/tmp/$1.pid")
	for status in /proc/$pid/task/*/status; do
		grep -q '^Seccomp:.2$' "$status" && grep -q '^NoNewPrivs:.1$' "$status" ||
			fail "$(sed -n 's/^Name:.//p' "$status") has no filter"
	done
	grep -i 'sandbox' "/tmp/$1.err" && fail "it says that something is missing"
	return 0
}

# Whether the only guest saw each interrupt that KVM gave it, and no more.  It may miss one
# that comes while its driver stops, which looks into the buffer's status itself and so takes
# the line down.  Its command N is this.
irqs_agree()	# NAME N LEAST
{
	tell "$1" "awk '/arm_spe/ { for (i = 2; \$i ~ /^[0-9]+\$/; i++) n += \$i } END { print \"IRQS\", n }' /proc/interrupts"
	answer "$1" "$2"
	guest=$(console "$1" | awk '$1 == "IRQS" { n = $2 } END { print n }')
	kvm=$(cat /sys/kernel/debug/kvm/*-*/spe_irqs)
	echo "buffer interrupts: $guest in the guest, $kvm from KVM"
	[ "$guest" -ge "$3" ] || fail "fewer than $3"
	[ "$guest" -le "$kvm" ] && [ $((kvm - guest)) -le 2 ] || fail "the guest and KVM count differently"
}
