# SPDX-License-Identifier: BSD-2-Clause
#
# control.sh - guests that are told what to do, by their names

# launch NAME TEXT OPTIONS: `vmm run --name NAME OPTIONS` in the background, its process
# in $pid, once it has printed TEXT.
launch()
{
	_name=$1 _text=$2
	shift 2
	"$VMM" run --name "$_name" "$@" </dev/null >"$WORK/log/$_name.console" 2>"$WORK/log/$_name.stderr" &
	pid=$!
	_n=0
	until grep -q -e "$_text" "$WORK/log/$_name.console"; do
		_n=$((_n + 1))
		[ $_n -lt $((600 * SLOW)) ] || fail "$_name does not start: $(tail -n 3 "$WORK/log/$_name".*)"
		usleep 100000
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
	usleep 500000
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
scenario stop-anyway "6.1-a57 6.12-a76"
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
	usleep 300000
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
	usleep 500000
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
		usleep 100000
	done
	status 0 "$VMM" stop --force a
	status 12 wait $pid
	status 0 wait $events
	says "$log/events" "stopped, reset: the guest asked for a reboot" "ended, status 12"
}
