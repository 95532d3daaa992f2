# SPDX-License-Identifier: BSD-2-Clause
#
# control.sh - guests that are told what to do, by their names

# launch NAME TEXT OPTIONS: `vmm run --name NAME OPTIONS` in the background, its process
# in $pid, once it has printed TEXT.  It reads the file INPUT, if there is one.
launch()
{
	_name=$1 _text=$2
	shift 2
	: >"$WORK/log/$_name.console"	# of an earlier guest of this name
	"$VMM" run --name "$_name" "$@" <"${INPUT:-/dev/null}" >"$WORK/log/$_name.console" 2>"$WORK/log/$_name.stderr" &
	pid=$!
	_n=0
	until grep -q -e "$_text" "$WORK/log/$_name.console"; do
		_n=$((_n + 1))
		{ [ $_n -lt $((600 * SLOW)) ] && kill -0 $pid 2>/dev/null; } || fail "$_name does not start: $(tail -n 3 "$WORK/log/$_name".*)"
		sleep 0.1
	done
}

# status WANT COMMAND: its exit status is that.
status()
{
	_want=$1 _got=0
	shift
	"$@" || _got=$?
	[ "$_got" = "$_want" ] || fail "exit status $_got, not $_want, of: $*"
}

# Wait until these, in the background, have reached their guest.
have_reached()	# PROCESS...
{
	for _process; do
		_n=0
		until ls -l "/proc/$_process/fd" 2>/dev/null | grep -q socket:; do
			_n=$((_n + 1))
			[ $_n -lt $((200 * SLOW)) ] || fail "process $_process reaches nobody"
			sleep 0.05
		done
	done
	# From having a socket to having asked by it is a moment yet.
	sleep 0.3
}

# One that heeds its power button, followed from beginning to end.
scenario stop-politely "6.12-a76"
stop_politely()
{
	log=$WORK/log
	launch web GUEST-WAITS $(linux 6.12) -p "$QUIET t=powerkey"
	"$VMM" events --json web >"$log/events" &
	events=$!
	"$VMM" events >"$log/events.text" &
	text=$!
	"$VMM" wait web --json >"$log/wait" &
	waits=$!
	have_reached $events $text $waits
	status 0 "$VMM" stop -n web --json >"$log/stop"
	# It is gone, not merely going.
	[ ! -e "/proc/$pid/exe" ] || fail "the process is still there"
	status 0 wait $pid
	status 0 wait $events
	status 0 wait $text
	status 0 wait $waits
	says "$log/stop" '"name": "web"' '"ended": true' '"status": 0'
	says "$log/wait" '"status": 0'
	says "$log/events" '"event":"stopping"' \
		'"event":"stopped",.*"reason":"off"' '"event":"ended",.*"status":0}'
	[ "$(wc -l <"$log/events")" = 3 ] || fail "$(cat "$log/events")"
	says "$log/events.text" " stopping$" " stopped, off: " " ended, status 0$"
}

# ... and those that do not.
scenario stop-anyway "6.1-a57"
stop_anyway()
{
	log=$WORK/log
	launch a FLAT $(flat) -p t=spin
	pids=$pid
	launch b FLAT $(flat) -p t=wfi
	status 2 "$VMM" stop 2>"$log/whom"
	says "$log/whom" "which guest? a, b"
	status 1 "$VMM" stop none 2>"$log/none"
	says "$log/none" "none: no guest of this name"
	status 13 "$VMM" wait --all --timeout 1
	status 0 "$VMM" stop --all --timeout 1 --json >"$log/stop"
	[ "$(grep -c '"status": 12' "$log/stop")" = 2 ] || fail "$(cat "$log/stop")"
	status 12 wait $pids
	status 12 wait $pid
	launch a FLAT $(flat) -p t=spin
	"$VMM" wait a 2>"$log/wait" &
	waits=$!
	have_reached $waits
	status 0 "$VMM" stop --force a
	status 12 wait $pid
	status 12 wait $waits
	status 0 "$VMM" stop --all
}

# A guest that is killed has ended as well, though it cannot say how.
scenario wait-killed "6.1-a76"
wait_killed()
{
	log=$WORK/log
	launch a FLAT $(flat) -p t=spin
	"$VMM" wait a 2>"$log/wait" &
	waits=$!
	have_reached $waits
	kill -9 $pid
	status 137 wait $pid
	status 1 wait $waits
	says "$log/wait" "a: it ended without a word"
	[ -z "$("$VMM" list)" ]
}

# Boots are told, and why there is another one.
scenario events-reboot "6.1-a76"
events_reboot()
{
	log=$WORK/log
	launch a FLAT $(flat) -p t=reset
	"$VMM" events a >"$log/events" &
	events=$!
	n=0
	until grep -q 'booted, boot [0-9]' "$log/events"; do
		n=$((n + 1))
		[ $n -lt $((600 * SLOW)) ] || fail "no second boot: $(cat "$log/events")"
		sleep 0.1
	done
	status 0 "$VMM" stop --force a
	status 12 wait $pid
	status 0 wait $events
	says "$log/events" "stopped, reset: the guest asked for a reboot" "ended, status 12"
}

# What vCPUs have run, and the time that the process has used, in ticks.
effort()	# PROCESS
{
	"$VMM" stat storm --json | grep '"runs"'
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

pause_100_times()
{
	i=0
	while [ $i -lt 100 ]; do
		"$VMM" pause storm && "$VMM" resume storm || fail "pause $i"
		i=$((i + 1))
	done
}

pause_for_5_s()
{
	"$VMM" pause storm --json >"$WORK/log/paused"
	says "$WORK/log/paused" '"state": "paused"'
	before=$(effort "$PID")
	lines=$(grep -c LINE "$WORK/log/vm.console")
	sleep 5
	after=$(effort "$PID")
	# Asking is an effort as well.
	used=$(($(echo "$after" | tail -n 1) - $(echo "$before" | tail -n 1)))
	[ $used -le 20 ] || fail "paused, it has used $used ticks"
	[ "$(echo "$before" | grep runs)" = "$(echo "$after" | grep runs)" ] ||
		fail "a paused vCPU has run: $before; $after"
	[ "$(grep -c LINE "$WORK/log/vm.console")" = "$lines" ] || fail "it prints while paused"
	"$VMM" list >"$WORK/log/list"
	says "$WORK/log/list" "^storm .* paused "
	"$VMM" resume -n storm
}

# A hundred pauses under load, which the guest does not notice: sums are right, clocks
# go forwards, and the five seconds of one more pause are not in them.
scenario pause-storm "6.1-a76"
pause_storm()
{
	PATIENCE=250
	vm want:GUEST-MORE "shell:sh $NEST/scenario one pause_100_times" "send:more\n" \
		want:GUEST-MORE "shell:sh $NEST/scenario one pause_for_5_s" "send:more\n" \
		want:GUEST-MORE "send:end\n" "want:GUEST-STORM " want:. exit:0 -- \
		$(linux 6.1) -c 2 --pmu --name storm -p "$QUIET t=storm"
	silent
	console | grep -q "GUEST-STORM good=2 of=2 .* wrong=0 backwards=0 early=0 uncounted=0\." ||
		fail "$(console | grep GUEST-STORM)"
	set -- $(console | sed -n 's/.*GUEST-MORE ms=\([0-9]*\)\..*/\1/p')
	[ $(($3 - $2)) -lt 4500 ] || fail "$(($3 - $2)) ms went by in a pause of 5000 ms"
	note "$(($3 - $2)) ms in the guest around 5000 ms of pause"
}

# A counter offset takes the other way.
scenario pause-offset "6.12-a76"
pause_offset()
{
	vm want:GUEST-MORE "shell:$VMM pause storm && sleep 5 && $VMM resume storm" "send:more\n" \
		want:GUEST-MORE "send:end\n" "want:GUEST-STORM " want:. exit:0 -- \
		$(linux 6.12) --counter-offset 1000000 --name storm -p "$QUIET t=storm"
	silent
	set -- $(console | sed -n 's/.*GUEST-MORE ms=\([0-9]*\)\..*/\1/p')
	[ $(($2 - $1)) -lt 4500 ] || fail "$(($2 - $1)) ms went by in a pause of 5000 ms"
}

# Paused guests can be stopped, reset, and asked to power off.
scenario pause-and-then "6.12-a76"
pause_and_then()
{
	log=$WORK/log
	launch a FLAT $(flat) -p t=spin
	status 0 "$VMM" pause a
	status 0 "$VMM" stop --force a
	status 12 wait $pid
	launch web GUEST-WAITS $(linux 6.12) -p "$QUIET t=powerkey"
	status 0 "$VMM" pause web
	status 0 "$VMM" stop web
	status 0 wait $pid
}

# What process $pid has: descriptors, threads; and its anonymous memory in KiB.
has() { echo "$(ls "/proc/$pid/fd" | wc -l) descriptors, $(ls "/proc/$pid/task" | wc -l) threads"; }
anonymous() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; }

# A hundred resets of a guest that has its disks at work, paused or not or going on again, with
# one of each device that needs nobody else, one process all the time, which has in the end what
# it had after ten.
scenario reset-100 "6.1-a57"
reset_100()
{
	log=$WORK/log
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=1 2>/dev/null
	cp "$WORK/files/disk" "$WORK/files/disk2"
	cp "$WORK/files/disk" "$WORK/files/flash"
	launch a "LOAD disks=2" $(flat) -c 2 --no-reboot -d "$WORK/files/disk,queues=2" \
		-d "$WORK/files/disk2" --rng --balloon --io-threads 2 \
		--flash "$WORK/files/flash" --tty "1,file=$WORK/files/tty" --virtio-port "a,socket=$WORK/files/a" \
		--virtio-port "b,file=$WORK/files/b" -p t=load
	i=0
	while [ $i -lt 100 ]; do
		[ $i != 10 ] || { has=$(has); anonymous=$(anonymous); }
		[ $((i % 3)) = 0 ] || status 0 "$VMM" pause a
		[ $((i % 3)) != 1 ] || status 0 "$VMM" resume a
		status 0 "$VMM" reset a
		i=$((i + 1))
		n=0
		until [ "$(grep -o LOAD "$log/a.console" | wc -l)" -gt $i ]; do
			n=$((n + 1))
			[ $n -lt $((100 * SLOW)) ] || fail "no boot after $i resets"
			sleep 0.05
		done
	done
	"$VMM" stat --json a >"$log/stat"
	says "$log/stat" '"boots": 101' "\"pid\": $pid," '"state": "running"'
	[ "$(has)" = "$has" ] || fail "it had $has, and has $(has): $(ls -l "/proc/$pid/fd")"
	# A page lost each time would be 360.
	[ $(($(anonymous) - anonymous)) -lt 128 ] ||
		fail "it had $anonymous KiB of memory, and has $(anonymous)"
	status 0 "$VMM" stop --force a
	status 12 wait $pid
}

# Linux, asked for help by a break; and where its idle CPUs are: in the kernel, a few
# functions deep.
scenario debug-linux "6.12-a76"
debug_linux()
{
	log=$WORK/log
	launch web GUEST-WAITS $(linux 6.12) -c 2 -p "$QUIET nokaslr t=powerkey"
	status 0 "$VMM" debug web >"$log/dump"
	says "$log/dump" "^web: running" "^vCPU 0: at EL1" "^vCPU 1: at EL1" "x29 ffff" "pc ffff"
	[ "$(grep -c '^  *[1-9] ffff' "$log/dump")" -ge 6 ] || fail "few frames: $(cat "$log/dump")"
	status 0 "$VMM" debug --sysrq h web
	n=0
	until grep -q "sysrq: HELP" "$log/web.console"; do
		n=$((n + 1))
		[ $n -lt $((100 * SLOW)) ] || fail "no answer: $(cat "$log/web.console")"
		sleep 0.1
	done
	status 0 "$VMM" pause web
	status 0 "$VMM" debug --json --dump web >"$log/json"
	says "$log/json" '"state": "paused"' '"off": false' '"sctlr_el1": "0x'
	status 0 "$VMM" stop web
	status 0 wait $pid
}

# With the MMU off, and a vCPU that is off.
scenario debug-flat "6.1-a57"
debug_flat()
{
	log=$WORK/log
	launch a FLAT $(flat) -c 2 -p t=spin
	status 0 "$VMM" debug >"$log/dump"
	says "$log/dump" "^vCPU 0: at EL1" "pc 00000000800" "^vCPU 1: off"
	status 2 "$VMM" debug --sysrq h 2>"$log/whom"
	status 0 "$VMM" stop --force a
	status 12 wait $pid
}

# For who supervises: a file of options, readiness, the process's number, a log to parse.
scenario supervised "6.12-a76"
supervised()
{
	log=$WORK/log
	files=$WORK/files
	cat >"$files/web.conf" <<-END
	# the guest "web"
	kernel = $NEST/flat
	mem = 64
	cpus = 1
	params = t=spin
	name = other
	log-format = json
	END
	mkfifo "$files/ready"
	"$VMM" run --config "$files/web.conf" --name web --loglevel info --pidfile "$files/pid" \
		--ready-fd 7 7>"$files/ready" </dev/null >"$log/console" 2>"$log/stderr" &
	pid=$!
	[ "$(cat "$files/ready")" = "READY=1" ] || fail "$(cat "$log/stderr")"
	[ "$(cat "$files/pid")" = "$pid" ] || fail "$(cat "$files/pid"), not $pid"
	# It answers by now.
	"$VMM" list >"$log/list"
	says "$log/list" "^web .*running"
	status 2 "$VMM" run --config "$files/web.conf" --name web2 --pidfile "$files/pid" \
		</dev/null >"$log/twice" 2>&1
	says "$log/twice" '"level":"fatal","message":"--pidfile .*another process has it"'
	kill $pid
	# The second is one only if the first has been seen.
	n=0
	until grep -q '"message":"SIGTERM: ' "$log/stderr"; do
		n=$((n + 1))
		[ $n -lt $((100 * SLOW)) ] || fail "SIGTERM is not told: $(cat "$log/stderr")"
		sleep 0.1
	done
	kill $pid
	status 12 wait $pid
	[ ! -e "$files/pid" ] || fail "the pidfile is left"
	says "$log/stderr" '^{"time":[0-9]*,"level":"info","name":"web","message":"SIGTERM: '
	! grep -v '^{.*}$' "$log/stderr" || fail "a line that is no object"
	# One that does not start says so by silence.
	mkfifo "$files/never"
	"$VMM" run --kernel /nonexistent --ready-fd 7 7>"$files/never" 2>"$log/never" &
	[ -z "$(cat "$files/never")" ] || fail "ready, it says"
	status 3 wait $!
}

# A guest that copies its disk is paused all the time: nothing is lost, and while it is
# paused nothing is written.
scenario pause-disk "6.12-n1"
pause_disk()
{
	log=$WORK/log
	a=$WORK/files/a b=$WORK/files/b
	dd if=/dev/urandom of="$a" bs=64k count=96 2>/dev/null
	dd if=/dev/zero of="$b" bs=64k count=96 2>/dev/null
	launch copy GUEST-READY $(virtio 6.12) -c 2 -d "$a,ro" -d "$b" -p "$QUIET t=disk"
	pauses=0 busy=0
	while "$VMM" pause copy 2>/dev/null; do
		pauses=$((pauses + 1))
		one=$(md5sum <"$b")
		sleep 0.02
		[ "$(md5sum <"$b")" = "$one" ] || fail "written to in pause $pauses"
		[ "$one" = "${last-}" ] || busy=$((busy + 1))
		last=$one
		"$VMM" resume copy || break
	done
	status 0 wait $pid
	grep -q "GUEST-DISK copied=6291456 of=6291456 differ=0 " "$log/copy.console" ||
		fail "$(cat "$log/copy.console")"
	[ $busy -ge 3 ] || fail "of $pauses pauses only $busy were amid the copy"
	note "$pauses pauses, $busy of them amid the copy"
}
