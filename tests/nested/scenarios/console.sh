# SPDX-License-Identifier: BSD-2-Clause
#
# console.sh - what is typed reaches the guest, what it prints reaches us

scenario console-pipe "6.1-a76 6.12-a76"
console_pipe()
{
	long=$(printf '%0500d' 7)
	vm want:GUEST-LISTENS "send:hello\n" "want:ECHO hello" "send:$long\n" "want:ECHO $long" \
		"send:quit\n" exit:0 -- $(linux 6.1) -p "$QUIET t=echo"
	silent
}

scenario console-pty "6.1-a76"
console_pty()
{
	vm -p want:GUEST-LISTENS "send:hello\r" "want:ECHO hello" \
		"send:quit\r" exit:0 -- $(linux 6.1) -p "$QUIET t=echo"
	silent
}

# Ctrl-A x ends the machine, Ctrl-A Ctrl-A is one Ctrl-A, Ctrl-C is the guest's.
scenario console-escape "6.1-a57 6.12-a76"
console_escape()
{
	vm -p want:LISTENS send:ab "want:<a><b>" "send:\x03z" "want:<z>" "send:\x01x" exit:12 -- \
		$(flat) -p t=echo
	vm -p want:LISTENS "send:\x01\x01" "want:>" "send:q" "want:EXIT: STATUS=1" exit:0 -- \
		$(flat) -p t=echo
	vm -p want:FLAT "send:\x01x" exit:12 -- $(flat) -c 2 -p t=spin
}

scenario console-restores-terminal "6.1-a57"
console_restores_terminal()
{
	vm -p want:FLAT kill:TERM sleep:200 kill:TERM exit:12 -- $(flat) -p t=spin
	vm -p exit:0 -- $(flat)
	vm -p exit:3 -- --kernel /no-such-kernel
}

# The end of the input is not the end of the guest.
scenario console-eof "6.1-a57"
console_eof()
{
	vm want:LISTENS send:a "want:<a>" close sleep:500 kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -p t=echo
	"$VMM" run $(flat) --nodefaults </dev/null >"$WORK/log/vm.console" 2>"$WORK/log/vm.stderr"
	console | grep -q 'EXIT: STATUS=1'
	"$VMM" run $(flat) --nodefaults <&- >"$WORK/log/vm.console" 2>"$WORK/log/vm.stderr"
	console | grep -q 'EXIT: STATUS=1'
}

# Input faster than the guest reads is kept, not lost.
scenario console-flood "6.1-a76"
console_flood()
{
	flood=$(printf '%0300d' 0)
	want=$(printf '%s' "$flood" | sed 's/0/<0>/g')
	vm want:LISTENS "send:$flood" "want:$want" send:q exit:0 -- $(flat) -p t=echo
}
