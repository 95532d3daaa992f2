# SPDX-License-Identifier: BSD-2-Clause
#
# sandbox.sh - what a running vmm has given up
#
# All scenarios run in the sandbox; these look at it.

# Of each thread of process PID: field NAME of its status.
of_threads()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1"/task/*/status | sort | uniq -c | sed 's/^ *//'
}

scenario sandbox-threads "6.1-a76 6.12-a76 6.12-16k"
sandbox_threads()
{
	launch on FLAT $(flat) -c 2 --rng -p t=spin
	[ "$(of_threads $pid Seccomp)" = "4 2" ] || fail "seccomp: $(of_threads $pid Seccomp)"
	[ "$(of_threads $pid NoNewPrivs)" = "4 1" ] || fail "$(of_threads $pid NoNewPrivs)"
	[ "$(of_threads $pid CapEff)" = "4 0000000000000000" ] || fail "$(of_threads $pid CapEff)"
	[ "$(of_threads $pid CapPrm)" = "4 0000000000000000" ] || fail "$(of_threads $pid CapPrm)"
	# One filter for the program, and one more for each thread of the VM's.
	filters=$(of_threads $pid Seccomp_filters | tr '\n' ' ')
	[ "$filters" = "1 1 3 2 " ] || fail "filters: $filters"
	status 0 "$VMM" stop --force on
	status 12 wait $pid

	launch off FLAT $(flat) --sandbox off -p t=spin
	[ "$(of_threads $pid Seccomp)" = "3 0" ] || fail "seccomp: $(of_threads $pid Seccomp)"
	[ "$(of_threads $pid NoNewPrivs)" = "3 0" ] || fail "$(of_threads $pid NoNewPrivs)"
	status 0 "$VMM" stop --force off
	status 12 wait $pid
}

# Root lets a user run it who may open nothing, in a directory where nothing is; reboots
# find KVM all the same.
scenario sandbox-drop "6.1-a57 6.12-a76"
sandbox_drop()
{
	need_root
	[ "$HOST" != native ] || say_skip "does not change the mode of a real /dev/kvm"
	chmod 600 /dev/kvm
	mkdir -p "$WORK/empty"
	launch drop FLAT $(flat) --user 65534:65533 --chroot "$WORK/empty" -c 2 --rng -p t=reset
	n=0
	until [ "$(grep -o FLAT "$WORK/log/drop.console" | wc -l)" -ge 3 ]; do
		n=$((n + 1))
		[ $n -lt $((300 * SLOW)) ] || fail "no reboot: $(cat "$WORK/log/drop.stderr")"
		sleep 0.05
	done
	of_threads $pid Uid | grep -q "^[1-4] 65534	65534	65534	65534$" || fail "$(of_threads $pid Uid)"
	of_threads $pid Gid | grep -q "^[1-4] 65533	65533	65533	65533$" || fail "$(of_threads $pid Gid)"
	of_threads $pid Groups | grep -q "^[1-4] *$" || fail "groups: $(of_threads $pid Groups)"
	[ "$(readlink "/proc/$pid/root")" = "$WORK/empty" ] || fail "$(readlink "/proc/$pid/root")"
	status 0 "$VMM" stat drop
	status 0 "$VMM" stop --force drop
	status 12 wait $pid
	# What it could not remove is in nobody's way.
	launch drop FLAT $(flat) --user 65534 --sandbox off -p t=spin
	status 0 "$VMM" stop --force drop
	status 12 wait $pid
	[ -z "$("$VMM" list)" ] || fail "it is listed: $("$VMM" list)"
	[ ! -e "$XDG_RUNTIME_DIR/vmm/drop.sock" ] || fail "the socket is still there"
	refused 4 "--chroot /nonexistent: No such file" $(flat) --chroot /nonexistent
	chmod 666 /dev/kvm
	AS_UID=65534 refused 4 "--user 1: Operation not permitted" $(flat) --user 1
	chmod 600 /dev/kvm
}

# All of a guest's life, and its reboots, without a call that would be refused.
scenario sandbox-audit "6.1-a76"
sandbox_audit()
{
	need_root
	grep -qw log /proc/sys/kernel/seccomp/actions_logged || say_skip "this kernel logs nothing"
	dmesg -c >/dev/null
	launch audit FLAT $(flat) --sandbox audit -c 2 --rng -p t=reset
	sleep 2
	"$VMM" stat audit >/dev/null
	status 0 "$VMM" stop --force audit
	status 12 wait $pid
	vm "want:GUEST-READY" exit:0 -- $(linux 6.1) -p "$QUIET" --sandbox audit
	dmesg >"$WORK/log/dmesg"
	grep 'type=1326' "$WORK/log/dmesg" && fail "it lacks: $(grep -o 'syscall=[0-9]*' "$WORK/log/dmesg" | sort -u | tr '\n' ' ')"
	return 0
}

# What `confined` tries, with what comes of it; the errors are those of errno(3).
tried()		# OPTION...
{
	files=$WORK/files
	rm -rf "${files:?}"/*
	mkdir "$files/mine" "$files/read" "$files/other"
	touch "$files/mine/file" "$files/read/file" "$files/other/file" "$files/read/gone" "$files/other/gone"
	ln -s ../other/file "$files/mine/link"
	"$NEST/embed/confined" "$files" "$@" 2>&1 | tr '\n' ' '
}

# Files, sockets and io_uring, on kernels with what Landlock had at first, and now.
scenario sandbox-files "6.1-a76 6.12-a76 new-nested"
sandbox_files()
{
	need_root
	[ -x "$NEST/embed/confined" ] || say_skip "confined is not built: make check-nested does"
	version=$("$VMM" host | sed -n 's/^sandbox .*Landlock version \([0-9]*\).*/\1/p')
	[ -n "$version" ] || say_skip "this kernel has no Landlock"
	# TCP came with version 4, abstract sockets with 6.
	[ "$version" -ge 4 ] && tcp=13 || tcp=0
	[ "$version" -ge 6 ] && abstract=1 || abstract=0
	mine="read-mine 0 write-mine 0 make-mine 0 remove-mine 0 read-read 0 list-read 0"
	got=$(tried open)
	want="$mine write-read 0 make-read 0 remove-read 0 read-other 0 list-other 0 write-other 0 \
make-other 0 remove-other 0 link 0 above 0 within 0 self 0 init 0 sys 0 passwd 0 null 0 \
ring-read-other 0 ring-make-read 0 ring-connect 0 bind 0 abstract 0 "
	[ "$got" = "$want" ] || fail "with all files: $got"
	got=$(tried)
	want="$mine write-read 13 make-read 13 remove-read 13 read-other 13 list-other 13 write-other 13 \
make-other 13 remove-other 13 link 13 above 13 within 13 self 0 init 13 sys 0 passwd 13 null 13 \
ring-read-other 13 ring-make-read 13 ring-connect $tcp bind $tcp abstract $abstract "
	[ "$got" = "$want" ] || fail "with some: $got"
	[ ! -e "$WORK/files/other/new" ] && [ ! -e "$WORK/files/read/new" ] && [ -e "$WORK/files/read/gone" ] ||
		fail "it is not so: $(ls "$WORK"/files/*)"
	note "Landlock version $version"
}
