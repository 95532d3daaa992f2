# SPDX-License-Identifier: BSD-2-Clause
#
# sanitizers.sh - the program under sanitizers: guests whose devices are at work, threads
# that are moved to wrong CPUs, and many clients at once
#
# A sanitizer has system calls and files of its own, which the sandbox forbids.

# Each client wants something else of it.
sanitizer_pester()
{
	"$NEST/mover" storm "$PID" 20 0,1 >"$WORK/files/moves" &
	mover=$!
	others=
	for request in "stat storm --json" "debug -d storm" "balloon storm 8" "resize storm" \
		"link storm 0 down"; do
		"$VMM" $request >/dev/null &
		others="$others $!"
	done
	"$VMM" pause storm
	"$VMM" resume storm
	for pid in $others $mover; do
		wait "$pid" || fail "$(cat "$WORK/files/moves")"
	done
	"$VMM" link storm 0 up
	ping -q -c 3 192.168.33.15 >"$WORK/log/ping" || fail "$(tail -n 2 "$WORK/log/ping")"
	# Gone in the middle of it.
	"$VMM" events storm >"$WORK/log/events" &
	have_reached $!
	kill -9 $!
}

# sends_back NAME ARGUMENTS: somebody at that port of the guest's, however often it boots, who
# sends back what comes, by a fifo that is both of his ends.
sends_back()
{
	_fifo=$WORK/files/$1.fifo
	shift
	mkfifo "$_fifo"
	(
		exec 3<>"$_fifo"
		"$VMM" console "$@" storm <&3 >&3 2>/dev/null &
		echo $! >"$_fifo.pid"
	)
}

# For a step, when it has its sockets.
sanitizer_talk()
{
	sends_back hvc
	sends_back agent --port agent
	sends_back bulk --port bulk
}

# storm asan|tsan: all of it at once, and once more after a reset.
sanitizer_storm()
{
	emulated
	need_tap
	need_vsock
	PROGRAM=$NEST/$1/vmm
	[ -x "$PROGRAM" ] || say_skip "there is no $PROGRAM"
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=64 2>/dev/null
	"$NEST/peer" vsock >"$WORK/log/peer" 2>&1 &
	_peer=$!
	PATIENCE=250 vm want:GUEST-READY "$(step sanitizer-talk)" "want:GUEST-MORE" \
		"$(step sanitizer-pester)" "send:more\n" "want:GUEST-MORE" \
		"shell:$VMM reset storm" want:GUEST-READY "want:GUEST-MORE" \
		"send:end\n" want:GUEST-STORM exit:0 -- \
		$(virtio 6.1) -c 2 --pmu --name storm --sandbox off --io-threads 2 -d "$WORK/files/disk,queues=2" \
		--rng --balloon -n mode=tap --vsock 77 --console "virtio,socket=$WORK/files/hvc" --tty 0,stdio \
		--virtio-port "agent,socket=$WORK/files/agent" --virtio-port "bulk,socket=$WORK/files/bulk" \
		-p "$QUIET console=ttyS0 t=storm io=1 talk=1 a=192.168.33.15 p=192.168.33.1"
	kill $_peer
	wait $_peer 2>/dev/null || true
	silent
	note "$(console | sed -n 's/^GUEST-TALK //p')"
	console | grep -q 'GUEST-TALK hvc=[1-9][0-9]* ports=[1-9][0-9]* vsock=[1-9]' || fail "$(console | tail -n 3)"
	note "$(console | sed -n 's/^GUEST-IO //p')"
	console | grep -q 'GUEST-IO transfers=[1-9][0-9]* failures=0\.' || fail "$(console | tail -n 2)"
	console | grep -q 'GUEST-STORM good=\(.\) of=\1 .* wrong=0 backwards=0' || fail "$(console | tail -n 1)"
}

# ... and a guest that means harm.
sanitizer_harm()
{
	dd if=/dev/zero of="$WORK/files/flash" bs=64k count=1 2>/dev/null
	flooded
	AS=hostile hostile 3 3 shell:: --sandbox off --virtio-transport mmio --console virtio \
		-d "$WORK/files/disk" --rng --flash "$WORK/files/flash"
	! grep -A 20 -e '\(ERROR\|WARNING\): .*Sanitizer' -e 'runtime error' "$WORK/log/hostile.stderr" || exit 1
}

scenario storm-tsan "two-6.12"
storm_tsan()
{
	# More is no use to it.
	[ "$HOST" = native ] || echo 18 >/proc/sys/vm/mmap_rnd_bits
	export TSAN_OPTIONS="suppressions=$NEST/tsan/tsan.supp report_thread_leaks=0"
	sanitizer_storm tsan
	sanitizer_harm
}

scenario storm-asan "two-6.12"
storm_asan()
{
	export ASAN_OPTIONS=detect_leaks=1
	sanitizer_storm asan
	sanitizer_harm
}
