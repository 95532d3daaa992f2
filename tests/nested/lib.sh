# SPDX-License-Identifier: BSD-2-Clause
#
# lib.sh - what scenarios are written with
#
# A scenario is a function of scenarios/*.sh, declared by the line before it with
# its name and the hosts, by globs, on which the emulated runs have it; a real
# host runs them all.  It runs under `set -e` in an empty directory, for busybox's
# sh and for dash, and passes if it returns 0 and nothing is left behind: no
# process, and no file in the working directory, $HOME, $TMPDIR, $XDG_RUNTIME_DIR.
# Its own files belong in $WORK/files.  See drive.c for the steps.

# For a guest's command line: its console is slow, and so are the self-tests of
# its cryptography, two thirds of a boot; a crash restarts.
DEFAULT="quiet loglevel=1 panic=-1"
QUIET="$DEFAULT cryptomgr.notests=1"

say_skip()	# REASON
{
	echo "$*"
	exit 77
}

# For who reads the results of a scenario that passes.
note()	# TEXT
{
	echo "note: $*"
}

fail()	# REASON
{
	echo "$*"
	exit 1
}

# The options that boot Debian's kernel KERNEL (6.1, 6.12, ...) with our init.
linux()	# KERNEL
{
	echo "--kernel $NEST/Image-$1 --initrd $NEST/guest-$1.cpio --mem 256 --cpus 1 --loglevel warning"
}

# ... with the modules of virtio.
virtio()	# KERNEL
{
	echo "--kernel $NEST/Image-$1 --initrd $NEST/virtio-$1.cpio --mem 256 --cpus 1 --loglevel warning"
}

flat()
{
	echo "--kernel $NEST/flat --mem 64 --cpus 1 --loglevel warning"
}

# vm [drive options] STEP... -- OPTIONS: `vmm run OPTIONS` has to go as the steps say.
# The name in AS, "vm" by default, is that of the log files; PROGRAM is another vmm.  With MAY_LACK a real
# host may say that it does not have what is asked for; the emulated ones have it.
vm()
{
	if drive "$@"; then
		return 0
	fi
	if [ -n "${MAY_LACK-}" ] && [ "$HOST" = native ] && grep -q 'exit status 4' "$WORK/log/${AS:-vm}.verdict"; then
		say_skip "$(tail -n 1 "$WORK/log/${AS:-vm}.stderr")"
	fi
	return 1
}

drive()
{
	_options=
	_steps=0
	for _arg; do
		[ "$_arg" != -- ] || break
		_steps=$((_steps + 1))
	done
	# Put the program in front of the options that follow "--".
	_i=0
	for _arg; do
		shift
		set -- "$@" "$_arg"
		_i=$((_i + 1))
		[ $_i -ne $((_steps + 1)) ] || set -- "$@" "${PROGRAM:-$VMM}" run
	done
	"$NEST/drive" -t $((${PATIENCE:-120} * SLOW)) -o "$WORK/log/${AS:-vm}.console" \
		-e "$WORK/log/${AS:-vm}.stderr" "$@" >"$WORK/log/${AS:-vm}.verdict" || {
		cat "$WORK/log/${AS:-vm}.verdict"
		return 1
	}
}

console()
{
	tr -d '\r' <"$WORK/log/${AS:-vm}.console"
}

stderr()
{
	cat "$WORK/log/${AS:-vm}.stderr"
}

# The vmm has said nothing on its standard error.
silent()
{
	[ ! -s "$WORK/log/${AS:-vm}.stderr" ] || fail "it said: $(head -n 1 "$WORK/log/${AS:-vm}.stderr")"
}

# refused STATUS TEXT OPTIONS: `vmm run OPTIONS` ends with that status and
# exactly one line on standard error, which contains TEXT (a pattern of grep -i).
refused()
{
	_status=$1 _text=$2
	shift 2
	vm ${AS_UID:+-u "$AS_UID"} "exit:$_status" -- "$@"
	_lines=$(stderr | wc -l)
	[ "$_lines" -eq 1 ] || fail "$_lines lines on standard error for: $*"
	stderr | grep -q -i -e "$_text" || fail "no '$_text' in: $(stderr)"
	[ -z "$(console)" ] || fail "it wrote to standard output: $(console | head -n 1)"
}

# A number out of the guest's line: field NAME.
field()
{
	console | sed -n "s/.*GUEST-READY.* $1=\([^ ]*[^ .]\).*/\1/p" | head -n 1
}

host_has()	# CPUFLAG
{
	grep -q -w "$1" /proc/cpuinfo
}

need_root()
{
	[ "$(id -u)" = 0 ] || say_skip "needs root"
}
