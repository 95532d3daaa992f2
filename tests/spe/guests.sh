# SPDX-License-Identifier: BSD-2-Clause
#
# guests.sh - guests with SPE, from the host that runs them: start, tell, end
#
# For the directory of a job, which has vmm, kernels and initramfs in it, and for
# busybox's sh and dash.  $run is where a guest NAME has its files: NAME.in and .out
# are its console, .err is what vmm said.  $vmm is the program, ./vmm by default.

fail()		# WHY
{
	echo "# $*"
	exit 1
}

# start NAME KERNEL OPTIONS: a guest that waits to be told, see guest-init
start()
{
	name=$1 kernel=$2
	shift 2
	mkfifo "$run/$name.in"
	: >"$run/$name.out"
	# As long as somebody has it open for writing it does not end.
	sleep 100000 >"$run/$name.in" &
	echo $! >"$run/$name.open.pid"
	"${vmm:-./vmm}" run --name "$name" --kernel "Image-$kernel" --initrd "guest-$kernel.cpio" --mem 768 \
		--params "console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests=1" --nodefaults \
		"$@" <"$run/$name.in" >"$run/$name.out" 2>"$run/$name.err" &
	echo $! >"$run/$name.pid"
	await "$name" 'GUEST-UP' 90
}

# await NAME PATTERN SECONDS
await()
{
	tries=$(($3 * 5 * SLOW))
	until grep -q "$2" "$run/$1.out"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "no '$2' from guest $1"
		kill -0 "$(cat "$run/$1.pid")" 2>/dev/null || fail "guest $1 has ended"
		sleep 0.2
	done
}

tell()		# NAME COMMAND
{
	echo "$2" >"$run/$1.in"
}

# answer NAME N: wait until command N is done; it must have succeeded
answer()
{
	await "$1" "GUEST-DONE $2 " 120
	console "$1" | grep -q "GUEST-DONE $2 0\$" || fail "command $2 of guest $1 failed"
}

console()	# NAME
{
	tr -d '\r' <"$run/$1.out"
}

# off NAME: the guest powers off and vmm ends with status 0
off()
{
	tell "$1" off
	wait "$(cat "$run/$1.pid")" || fail "vmm run ended with status $?"
	kill "$(cat "$run/$1.open.pid")"
	rm "$run/$1.pid" "$run/$1.open.pid"
}

# counted NAME FIELD: over all vCPUs, from vmm stat
counted()
{
	./vmm stat --json "$1" | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" | {
		sum=0
		while read -r n; do
			sum=$((sum + n))
		done
		echo $sum
	}
}
