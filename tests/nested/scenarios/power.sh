# SPDX-License-Identifier: BSD-2-Clause
#
# power.sh - how a machine ends: by its guest, and by its host

scenario reboot-status "6.1-a76 6.1-gicv2"
reboot_status()
{
	vm want:GUEST-READY exit:10 -- $(linux 6.1) --no-reboot -p "$QUIET t=reboot"
	vm want:FLAT exit:10 -- $(flat) --no-reboot -p t=reset
}

# A reboot without --no-reboot begins anew, as often as the guest wants.
scenario reboot-again "6.1-a76"
reboot_again()
{
	vm want:GUEST-READY want:GUEST-READY kill:TERM kill:TERM exit:12 -- \
		$(linux 6.1) -c 2 -p "$QUIET t=reboot"
}

scenario reboot-flat "6.1-a57 6.1-gicv2"
reboot_flat()
{
	set -- want:FLAT want:FLAT want:FLAT want:FLAT want:FLAT want:FLAT want:FLAT want:FLAT
	vm "$@" "$@" "$@" kill:TERM kill:TERM exit:12 -- $(flat) -c 2 -p t=reset
}

# Who ends the machine need not be the CPU that began.
scenario power-secondary "6.1-a76 6.1-gicv2"
power_secondary()
{
	vm want:FLAT exit:0 -- $(flat) -c 2 -p t=off-by-1
	silent
	vm want:FLAT exit:10 -- $(flat) -c 2 --no-reboot -p t=reset-by-1
	vm want:FLAT want:FLAT want:FLAT kill:TERM kill:TERM exit:12 -- $(flat) -c 2 -p t=reset-by-1
}

# Two CPUs that want different ends: the machine has one of them, which is told once.
scenario power-both "6.1-a76 6.1-gicv2"
power_both()
{
	log=$WORK/log off=0 reset=0
	mkfifo "$WORK/files/in"
	exec 9<>"$WORK/files/in"
	for later in a e i q r s t u v; do
		INPUT=$WORK/files/in launch race LISTENS $(flat) -c 2 --no-reboot -p t=off-and-reset
		"$VMM" events --json race >"$log/events" &
		events=$!
		have_reached $events
		printf %s "$later" >&9
		got=0
		wait $pid || got=$?
		status 0 wait $events
		case $got in
		0) reason=off off=$((off + 1)) ;;
		10) reason=reset reset=$((reset + 1)) ;;
		*) fail "exit status $got" ;;
		esac
		says "$log/events" "\"event\":\"stopped\",.*\"reason\":\"$reason\"" \
			"\"event\":\"ended\",.*\"status\":$got}"
		[ "$(wc -l <"$log/events")" = 2 ] || fail "$later: $(cat "$log/events")"
		[ ! -s "$log/race.stderr" ] || fail "it said: $(head -n 1 "$log/race.stderr")"
	done
	note "off $off times, reset $reset times"
}

# All CPUs are off, and nobody in there can turn one on: the machine stays, its host decides.
scenario power-all-off "6.1-a76 6.1-gicv2"
power_all_off()
{
	log=$WORK/log
	launch dark LAST $(flat) -c 2 -p t=all-off
	n=0
	until "$VMM" debug dark >"$log/dump" && [ "$(grep -c '^vCPU [01]: off' "$log/dump")" = 2 ]; do
		n=$((n + 1))
		[ $n -lt $((100 * SLOW)) ] || fail "not all are off: $(cat "$log/dump")"
		sleep 0.1
	done
	status 0 "$VMM" stat dark --json >"$log/stat"
	says "$log/stat" '"state": "running"' '"boots": 1'
	status 0 "$VMM" pause dark
	status 0 "$VMM" resume dark
	status 13 "$VMM" wait dark --timeout 1
	status 0 "$VMM" reset dark
	n=0
	until [ "$(grep -c LAST "$log/dark.console")" = 2 ]; do
		n=$((n + 1))
		[ $n -lt $((600 * SLOW)) ] || fail "a reset does not revive it"
		sleep 0.1
	done
	status 0 "$VMM" stat dark >"$log/stat"
	status 0 "$VMM" stop --force dark
	status 12 wait $pid
	! grep -q BAD "$log/dark.console" || fail "$(grep BAD "$log/dark.console")"
}

scenario panic "6.1-a76"
panic()
{
	# Debian's kernels have no driver for the panic device: a crash is seen as
	# the restart that panic=-1 makes of it.
	vm want:GUEST-READY exit:10 -- $(linux 6.1) --no-reboot -p "$QUIET t=panic"
}

scenario pvpanic "6.1-a76 6.12-max"
pvpanic()
{
	vm "want:PVPANIC events=" exit:11 -- $(flat) -p t=pvpanic
	[ -n "$(stderr)" ] || fail "a crash without a word"
}

scenario pvpanic-linux "6.1-a57"
pvpanic_linux()
{
	vm want:GUEST-PVPANIC exit:11 -- $(linux 6.1) -p "$QUIET t=pvpanic"
}

# The first signal presses the power key; the guest does the rest.
scenario powerkey-6.1 "6.1-a76"
powerkey_6_1()
{
	vm want:GUEST-WAITS kill:TERM want:GUEST-POWERKEY exit:0 -- \
		$(linux 6.1) -p "$QUIET t=powerkey"
}

scenario powerkey-6.12 "6.12-a76"
powerkey_6_12()
{
	vm want:GUEST-WAITS kill:INT want:GUEST-POWERKEY exit:0 -- \
		$(linux 6.12) -c 2 -p "$QUIET t=powerkey"
}

# The second one pulls the plug, whatever the guest is doing.
scenario signals "6.1-a57 6.12-a76"
signals()
{
	vm want:FLAT kill:TERM sleep:200 kill:TERM exit:12 -- $(flat) -p t=spin
	vm want:FLAT kill:INT sleep:200 kill:INT exit:12 -- $(flat) -p t=wfi
	vm want:FLAT kill:HUP sleep:200 kill:TERM exit:12 -- $(flat) -c 2 -p t=spin
	vm want:LISTENS kill:TERM sleep:200 kill:INT exit:12 -- $(flat) -p t=echo
}

scenario signal-first-alone "6.1-a76"
signal_first_alone()
{
	# A guest that does not listen to the key runs on.
	vm want:LISTENS kill:TERM sleep:500 send:ab "want:<a><b>" send:q exit:0 -- $(flat) -p t=echo
}

scenario stop-and-continue "6.12-a76"
stop_and_continue()
{
	vm want:GUEST-LISTENS kill:STOP sleep:1500 kill:CONT "send:after\n" "want:ECHO after" \
		"send:quit\n" exit:0 -- $(linux 6.1) -p "$QUIET t=echo"
}
