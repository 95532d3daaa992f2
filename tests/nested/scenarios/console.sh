# SPDX-License-Identifier: BSD-2-Clause
#
# console.sh - what is typed reaches the guest, what it prints reaches us

# For the shell of a step: the memory that is the vmm's own, in KiB, if the guest's is a memfd.
# By printf, for dash's echo takes a backslash for its own.
own()
{
	printf '%s\n' "sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' /proc/\$PID/status"
}

# pasted KIB OPTIONS: a guest that echoes is given lines by its console, and then so much at
# once.  As long as it reads nothing the vmm does not keep it either; then all of it comes.
pasted()
{
	long=$(printf '%0999d' 7) file=$WORK/files/paste kib=$1
	shift
	seq 1 1000000 | head -c $((kib * 1024)) >"$file"
	vm want:GUEST-LISTENS "send:hello\n" "want:ECHO hello" "send:$long\n" "want:ECHO $long" \
		"send:paste $kib\n" want:GUEST-PASTES \
		"shell:$(own) >$WORK/log/own; cat $file >/proc/\$PID/fd/0 &" sleep:1500 \
		"shell:[ \$((\$($(own)) - \$(cat $WORK/log/own))) -lt 256 ]" \
		"want:GUEST-PASTED bytes=$((kib * 1024)) wrong=0 " \
		"send:quit\n" "want:${last-}" exit:0 -- --memfd "$@"
	note "$(console | sed -n 's/.*PASTED.* ms=\([0-9]*\).*/\1 ms/p') for $kib KiB"
}

# The UART takes exits for each byte, 0.3 ms of them in an emulated host, and so it is given less:
# 256 KiB come as whole, but take 16 times as long.
scenario console-pipe "6.1-a76"
console_pipe()
{
	pasted 16 $(linux 6.1) -p "$QUIET t=echo"
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
scenario console-escape "6.12-a76"
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

# Ctrl-A h says what the keys are, and the guest sees nothing of it.
scenario console-keys "6.1-a76"
console_keys()
{
	vm -p want:LISTENS "send:\x01ha" "want:<a>" send:q exit:0 -- $(flat) -p t=echo
	stderr | grep -q "Ctrl-A x" || fail "$(stderr)"
}

# A serial port on a pty, whose name is said.
scenario console-tty "6.1-a76"
console_tty()
{
	"$VMM" run $(flat) --tty 0 -p t=echo </dev/null >"$WORK/log/vm.console" 2>"$WORK/log/vm.stderr" &
	pid=$! n=0
	until grep -q /dev/pts/ "$WORK/log/vm.stderr"; do
		n=$((n + 1))
		[ $n -lt 300 ] || fail "no pty: $(stderr)"
		sleep 0.1
	done
	pts=$(sed -n 's|.*ttyS0: \(/dev/pts/[0-9]*\).*|\1|p' "$WORK/log/vm.stderr")
	# Not by this shell, whose controlling terminal it could become.
	(
		exec 3<>"$pts"
		command timeout $((30 * SLOW)) grep -m1 -q LISTENS <&3
		printf ab >&3
		command timeout $((30 * SLOW)) dd bs=1 count=6 <&3 2>/dev/null
		printf q >&3
	) >"$WORK/log/got"
	status=0
	wait $pid || status=$?
	got=$(cat "$WORK/log/got")
	[ "$got" = "<a><b>" ] || fail "the guest answers: $got"
	[ $status = 0 ] || fail "exit status $status"
	[ ! -s "$WORK/log/vm.console" ] || fail "on the standard output: $(console)"
}

# What is typed at a terminal that is attached, as the steps say.
attach()	# STEP...
{
	"$NEST/drive" -p -t $((60 * SLOW)) -o "$WORK/log/attach.console" -e "$WORK/log/attach.stderr" \
		"$@" -- "$VMM" console ports >"$WORK/log/attach.verdict" || fail "$(cat "$WORK/log/attach.verdict")"
}

# By its name, from another directory: twice at the terminal, then not.
attached()
{
	(cd "$WORK/files" && exec "$VMM" run $(flat) --name ports --tty 0,socket=rel --tty 1,stdio -p t=echo) \
		</dev/null >/dev/null 2>"$WORK/log/ports.stderr" &
	pid=$! n=0
	until "$VMM" console --json ports 2>/dev/null | grep -q "\"path\": *\"$WORK/files/rel\""; do
		n=$((n + 1))
		[ $n -lt $((300 * SLOW)) ] || fail "it does not start: $(cat "$WORK/log/ports.stderr")"
		sleep 0.1
	done
	attach want:LISTENS send:a "want:<a>" 'send:\x01h\x01d' exit:0
	grep -q "Ctrl-A d *detach" "$WORK/log/attach.stderr" || fail "$(cat "$WORK/log/attach.stderr")"
	grep -q "^detached from ports" "$WORK/log/attach.stderr" || fail "$(cat "$WORK/log/attach.stderr")"
	attach send:b "want:<b>" 'send:\x01d' exit:0
	! "$VMM" console --tty 1 ports 2>"$WORK/log/attach.stderr" || fail "it attaches to the other port"
	grep -q "ports: that serial port is on no socket" "$WORK/log/attach.stderr" || fail "$(cat "$WORK/log/attach.stderr")"
	printf cq | "$VMM" console ports | grep -q "<c>EXIT: STATUS=1" || fail "not to the end, through a pipe"
	wait $pid || fail "exit status $?"
}

# Serial ports on a socket, which may be left and taken up again, on a file and elsewhere.
scenario console-ports "6.12-a76"
console_ports()
{
	socket=$WORK/files/socket file=$WORK/files/file
	vm "dial:$socket" want:LISTENS send:a "want:<a>" "dial:$socket" send:b "want:<b>" \
		kill:KILL signal:9 -- $(flat) --tty "0,socket=$socket" -p t=echo
	[ -S "$socket" ] || fail "no socket"
	# It takes the control socket away that was left too.
	"$VMM" list >/dev/null
	# Nobody answers there, and it is replaced.
	vm "dial:$socket" want:LISTENS send:bq "want:<b>" exit:0 -- \
		$(flat) --tty "0,socket=$socket" -p t=echo
	silent
	[ ! -e "$socket" ] || fail "a socket is left"

	attached

	echo before >"$file"
	vm exit:0 -- $(flat) --tty "0,file=$file"
	[ "$(head -n 1 "$file")" = before ] || fail "the file is not appended to"
	grep -q "EXIT: STATUS=1" "$file" || fail "nothing in the file"

	vm want:GUEST-LISTENS "send:hello\n" "want:ECHO hello" "send:quit\n" exit:0 -- \
		$(linux 6.1) --tty "0,file=$file" --tty 2,stdio -p "$QUIET t=echo"
	silent
}
