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
