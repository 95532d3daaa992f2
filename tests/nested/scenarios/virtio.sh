# SPDX-License-Identifier: BSD-2-Clause
#
# virtio.sh - virtio devices, with Debian's drivers

rng_differs()
{
	n=$(console | sed -n 's/^GUEST-RNG from=virtio_rng.0 differ=\([0-9]*\)$/\1/p')
	# Of a thousand bytes four are expected to be the same.
	[ "${n:-0}" -gt 950 ] || fail "differ=$n"
	silent
}

scenario rng-mmio "6.1-gicv2"
rng_mmio()
{
	vm "want:GUEST-RNG from=" exit:0 -- \
		$(virtio 6.1) --rng --virtio-transport mmio -p "$QUIET t=rng"
	rng_differs
}

scenario rng-pci "6.12-a76"
rng_pci()
{
	vm "want:GUEST-RNG from=" exit:0 -- \
		$(virtio 6.12) --rng --virtio-transport pci -p "$QUIET t=rng"
	rng_differs
}

scenario rng-none "6.1-a57"
rng_none()
{
	vm "want:GUEST-RNG none" exit:0 -- $(virtio 6.1) -p "$QUIET t=rng"
	silent
}

# copy KERNEL OPTION...: a guest copies one disk to another, and they are the same here too.
disk_copy()
{
	kernel=$1
	shift
	a=$WORK/files/a b=$WORK/files/b
	dd if=/dev/urandom of="$a" bs=64k count=96 2>/dev/null
	dd if=/dev/zero of="$b" bs=64k count=96 2>/dev/null
	vm "want:GUEST-DISK copied=6291456 of=6291456 differ=0 notzero=0 ro=1 write=Operation not permitted serial=copy." \
		exit:0 -- $(virtio "$kernel") -d "$a,ro${keys-}" -d "$b,serial=copy${keys-}" "$@" -p "$QUIET t=disk"
	silent
	# But for the second MiB, which it has zeroed.
	dd if=/dev/zero of="$a" bs=64k seek=16 count=16 conv=notrunc 2>/dev/null
	cmp "$a" "$b" || fail "what the guest has written is not there"
}

scenario disk-mmio-6.1 "6.1-gicv2"
disk_mmio_6_1()
{
	disk_copy 6.1 --virtio-transport mmio
}

scenario disk-mmio-6.12 "6.12-a76"
disk_mmio_6_12()
{
	disk_copy 6.12 --virtio-transport mmio
}

scenario disk-pci-6.1 "6.1-a76 6.1-gicv2"
disk_pci_6_1()
{
	disk_copy 6.1
}

scenario disk-pci-6.12 "6.12-a76"
disk_pci_6_12()
{
	disk_copy 6.12
}

# For the shell of a step: is FILE open past the page cache?  O_DIRECT is 0200000.
direct()	# FILE
{
	echo "for f in /proc/\$PID/fd/*; do [ \"\$(readlink \$f)\" = $1 ] && grep -Eq 'flags:.*[2367].....\$' \
		/proc/\$PID/fdinfo/\${f##*/} && exit 0; done; exit 1"
}

# Two of so many units of 64 KiB, $one and $two: the files $a, of random bytes, and $b.
block_devices()	# UNITS
{
	need_root
	host_module loop
	a=$WORK/files/a b=$WORK/files/b
	dd if=/dev/urandom of="$a" bs=64k count=$1 2>/dev/null
	dd if=/dev/zero of="$b" bs=64k count=$1 2>/dev/null
	one=$(losetup -f) && losetup "$one" "$a" || say_skip "no loop devices"
	two=$(losetup -f) && losetup "$two" "$b"
}

# Of block devices, past the host's page cache.
scenario disk-block "6.12-n1"
disk_block()
{
	block_devices 96
	vm "want:GUEST-DISK copied=6291456 of=6291456 differ=0 notzero=0 ro=1 write=Operation not permitted serial=copy." \
		exit:0 -- $(virtio 6.1) -d "$one,ro,direct" -d "$two,serial=copy,direct,queues=2" -p "$QUIET t=disk" || status=$?
	refused 3 "somebody else" $(flat) -d "$two" -d "$two,ro"
	AS=direct vm want:FLAT "shell:$(direct "$two")" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -d "$two,direct" -p t=spin || status=$?
	AS=cached vm want:FLAT "shell:! ($(direct "$two"))" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -d "$two" -p t=spin || status=$?
	losetup -d "$one"
	losetup -d "$two"
	[ -z "${status-}" ] || return 1
	dd if=/dev/zero of="$a" bs=64k seek=16 count=16 conv=notrunc 2>/dev/null
	cmp "$a" "$b" || fail "what the guest has written is not there"
}

# A block device that grows under its guest: told to look, vmm tells the guest.
scenario disk-block-grows "6.12-n1"
disk_block_grows()
{
	block_devices 16
	vm "want:GUEST-FULL Success after=1 of=1." \
		'send:1\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		"shell:dd if=/dev/zero of=$a bs=64k seek=48 count=0 2>/dev/null && losetup -c $one" \
		"shell:$VMM resize --json grows >$WORK/log/grown" \
		'send:2\n' "want:GUEST-ENDS first=read last=read kib=3072 end=read." \
		'send:quit\n' exit:0 -- \
		$(virtio 6.1) --name grows -d "$one,ro" -d "$two" -p "$QUIET t=faults" || status=$?
	losetup -d "$one"
	losetup -d "$two"
	[ -z "${status-}" ] || return 1
	grep -q 3145728 "$WORK/log/grown" || fail "$(cat "$WORK/log/grown")"
	silent
}

# Without an ITS there are lines.
scenario disk-pci-intx "6.12-n1"
disk_pci_intx()
{
	keys=,queues=4 disk_copy 6.1 --irqchip gicv3 --io-threads 3 --cpus 2
}

scenario disk-refused "6.1-a57"
disk_refused()
{
	refused 3 "Unable to open disk /none" $(flat) -d /none
	refused 3 "neither a file" $(flat) -d /dev/null
	: >"$WORK/files/empty"
	refused 2 "less than a block" $(flat) -d "$WORK/files/empty"
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=1 2>/dev/null
	refused 3 "somebody else" $(flat) -d "$WORK/files/disk" -d "$WORK/files/disk,ro"
}

# exits: of vCPU 0, for MMIO, so far
exits()
{
	echo 'sleep 1; $VMM stat --json reads | grep -o "\"mmio\": *[0-9]*" | grep -o "[0-9]*$" >>$WORK/log/exits'
}

# reads KERNEL EACH OPTION...: a thousand reads, one after the other, in EACH exits at most.
disk_reads()
{
	kernel=$1 each=$2
	shift 2
	dd if=/dev/urandom of="$WORK/files/a" bs=64k count=64 2>/dev/null
	vm want:GUEST-READS 'send:1\n' "want:GUEST-READ 1000" "shell:$(exits)" \
		"shell:cat /proc/[0-9]*/task/*/comm | grep -c vmm-io >$WORK/log/threads" \
		'send:2\n' "want:GUEST-READ 1000" "shell:$(exits)" 'send:quit\n' exit:0 -- \
		$(virtio "$kernel") --name reads -d "$WORK/files/a,ro" "$@" -p "$QUIET t=reads"
	n=$(($(sed -n 2p "$WORK/log/exits") - $(sed -n 1p "$WORK/log/exits")))
	note "1000 reads took $n exits for MMIO, those of the console's two lines included"
	[ $n -le "$each" ] || fail "$n exits"
}

scenario disk-exits-mmio "6.12-n1"
disk_exits_mmio()
{
	# The driver reads and acknowledges each interrupt.
	disk_reads 6.1 2300 --virtio-transport mmio
}

# Neither a kick nor an interrupt is one.
scenario disk-exits-pci "6.12-n1"
disk_exits_pci()
{
	disk_reads 6.1 300 --loglevel debug --io-threads 3
	! stderr | grep "without irqfd" || fail "its kernel has irqfd"
	[ "$(cat "$WORK/log/threads")" = 3 ] || fail "$(cat "$WORK/log/threads") threads"
}

# ---- A console without registers -----------------------------------------------------

# The kernel's own console from the beginning, input, a paste, and the last words.
scenario hvc-pci-6.12 "6.12-a76"
hvc_pci_6_12()
{
	last="Power down" pasted 1024 $(linux 6.12) --console virtio \
		-p "loglevel=7 panic=-1 cryptomgr.notests=1 t=echo"
	console | grep -q '\] Run /init as init process' || fail "hvc0 is not the kernel's console"
	silent
}

# On a terminal, whose size it is told, and told again; and asked for help by a SysRq.
scenario hvc-resize "6.12-a76"
hvc_resize()
{
	vm -p want:GUEST-READY "shell:stty cols 71 rows 19 </proc/\$PID/fd/0" "want:GUEST-SIZE 71x19" \
		"shell:$VMM debug --sysrq h sized" "want:sysrq: HELP" "send:quit\n" exit:0 -- \
		$(linux 6.12) --name sized --console virtio -p "$QUIET t=size"
}

# For a step: what serves the devices of a guest that has nothing to do has nothing to do either.
io_ticks() { awk '$2 == "(vmm-io)" { sum += $14 + $15 } END { print sum + 0 }' "/proc/$PID"/task/*/stat; }

asleep()
{
	ticks=$(io_ticks)
	sleep 2
	ticks=$(($(io_ticks) - ticks))
	[ $ticks -lt 20 ] || fail "a guest that is idle takes $ticks ticks in 2 seconds"
}

# ports CONSOLE STEP OPTIONS: a console on a socket, to which somebody attaches by a terminal, which
# does as $sized says; and ports with names on others, which the guest sees open and closed;
# half a MiB there and back.  Who is at a port when the guest boots anew, which STEP makes it do,
# is there still, and its next bytes come back as well.
ports()
{
	files=$WORK/files console=$1 again=$2
	shift 2
	seq 1 1000000 | head -c 524288 >"$files/bulk.in"
	cat >"$files/bulk.sh" <<-END
	"$VMM" console --port bulk ported <"$files/bulk.in" >"$files/bulk.out" &
	n=0
	until [ "\$(wc -c <"$files/bulk.out")" -ge 524288 ]; do
		n=\$((n + 1))
		[ \$n -lt $((300 * SLOW)) ] || break
		sleep 0.1
	done
	kill \$!
	cmp "$files/bulk.in" "$files/bulk.out"
	END
	cat >"$files/attach.sh" <<-END
	"$NEST/drive" -p -t $((60 * SLOW)) -o "$WORK/log/attach.console" -e "$WORK/log/attach.stderr" \
		"want:GUEST-PORTS 2" "want:GUEST-PORT agent open" ${sized-} 'send:\x01d' exit:0 -- "$VMM" console ported
	END
	mkfifo "$files/agent.in"
	cat >"$files/agent.sh" <<-END
	sleep 1000 >"$files/agent.in" &
	echo \$! >"$files/agent.pid"
	"$VMM" console --port agent ported <"$files/agent.in" >"$files/agent.out" &
	echo \$! >>"$files/agent.pid"
	END
	cat >"$files/answer.sh" <<-END
	echo "\$1" >"$files/agent.in"
	n=0
	until grep -qx "\$1" "$files/agent.out"; do
		n=\$((n + 1))
		[ \$n -lt $((300 * SLOW)) ] || exit 1
		sleep 0.1
	done
	END
	vm "dial:$files/agent" "send:{hello}" "want:{hello}" "shell:sh $files/attach.sh" \
		"dial:$files/console" "want:GUEST-PORT agent closed" \
		"shell:sh $files/bulk.sh" "want:GUEST-PORT bulk open" "want:GUEST-PORT bulk closed" \
		"shell:sh $files/agent.sh" "want:GUEST-PORT agent open" "shell:sh $files/answer.sh before" \
		"$again" "want:GUEST-PORTS 2" "want:GUEST-PORT agent open" "shell:sh $files/answer.sh behind" \
		"shell:kill \$(cat $files/agent.pid)" "want:GUEST-PORT agent closed" \
		"shell:sh $NEST/scenario one asleep" \
		"send:quit\n" exit:0 -- --name ported --virtio-port "agent,socket=$files/agent" \
		--virtio-port "bulk,socket=$files/bulk" "$console,socket=$files/console" "$@"
	silent
}

# 8 vCPUs, 8 disks that are written to all the time, and 4 cards, beside one of all else;
# paused and resumed amid that, and all of it once more after a reset.
full_house_paused()
{
	for _ in $(seq 20); do
		"$VMM" pause full && "$VMM" resume full || fail "a pause"
	done
	full_house_pinged
}

full_house_pinged()
{
	for i in 0 1 2 3; do
		ping -q -c 2 "10.20.$i.2" >"$WORK/log/ping" || fail "card $i: $(tail -n 2 "$WORK/log/ping")"
	done
}

scenario full-house "6.12-a76"
full_house()
{
	need_tap
	need_vsock
	set --
	for i in 0 1 2 3 4 5 6 7; do
		dd if=/dev/zero of="$WORK/files/disk$i" bs=1M seek=4 count=0 2>/dev/null
		set -- "$@" -d "$WORK/files/disk$i"
		[ $i -ge 4 ] || set -- "$@" -n "host_ip=10.20.$i.1"
	done
	dd if=/dev/zero of="$WORK/files/flash" bs=64k count=1 2>/dev/null
	one="sh $NEST/scenario one"
	PATIENCE=250 vm "want:GUEST-MANY cpus=8 cards=4" "shell:$one full_house_paused" "send:1\n" \
		"want:GUEST-MANY busy=8 failures=0." "shell:$VMM reset full" \
		"want:GUEST-MANY cpus=8 cards=4" "shell:$one full_house_pinged" "send:2\n" \
		"want:GUEST-MANY busy=8 failures=0." "shell:$one full_house_pinged" "send:quit\n" exit:0 -- \
		$(virtio 6.1) --name full --mem 384 --cpus 8 --io-threads 2 "$@" --rng --balloon --vsock 9 \
		--virtio-port "named,file=$WORK/files/port" --flash "$WORK/files/flash" -p "$QUIET t=many"
	for i in 0 1 2 3 4 5 6 7; do
		letter=$(head -c 1 "$WORK/files/disk$i")
		[ "$letter" = "$(echo $i | tr 0-7 a-h)" ] || fail "disk $i has '$letter'"
	done
}

# One of each, and drivers that have no work for them; of a disk that another process serves, until
# that is gone.
scenario idle "6.12-n1"
idle()
{
	need_tap
	need_vsock
	need_passt
	[ -n "${NESTED-}" ] || say_skip "needs qemu-storage-daemon"
	files=$WORK/files
	dd if=/dev/zero of="$files/disk" bs=1M seek=4 count=0 2>/dev/null
	/usr/bin/qemu-img create -q -f qcow2 "$files/b.qcow2" 4M
	qcow2 "$files/b.qcow2" "$files/socket"
	asleep="shell:sh $NEST/scenario one asleep"
	vm "want:GUEST-IDLE cards=2" "$asleep" "shell:kill -KILL $served" "$asleep" \
		"shell:$VMM pause idle" "$asleep" "shell:$VMM resume idle" "$asleep" "send:end\\n" exit:0 -- \
		$(virtio 6.1) --name idle --io-threads 2 -d "$files/disk" --rng --balloon --vsock 9 \
		--vhost-user "type=blk,socket=$files/socket,reconnect=1" -n host_ip=10.20.0.1 -n mode=user \
		--virtio-port "named,socket=$files/named" --virtio-port "other,file=$files/other" \
		--fs "$files,share,$sandbox" -p "$QUIET t=idle"
	wait $served || true
}

scenario ports-pci-6.12 "6.12-a76"
ports_pci_6_12()
{
	sized="want:GUEST-SIZE\\ 80x24 'shell:stty cols 71 rows 19 </proc/\$PID/fd/0' want:GUEST-SIZE\\ 71x19" \
		ports --console=virtio "shell:$VMM reset ported" $(linux 6.12) -p "$QUIET t=ports"
}

scenario ports-mmio-6.1 "6.1-a76"
ports_mmio_6_1()
{
	ports --tty=0 'send:reboot\n' $(virtio 6.1) --virtio-transport mmio -p "$QUIET t=ports"
}

# As a module, over virtio-mmio; the kernel's own console stays where it was.
scenario hvc-mmio-6.1 "6.1-a76"
hvc_mmio_6_1()
{
	vm "want:GUEST-HVC ready" "shell:sh $NEST/scenario one asleep" 'send:hello\n' 'want:HVC hello' 'send:quit\n' exit:0 -- \
		$(virtio 6.1) --console virtio --virtio-transport mmio -p "$QUIET console=ttyS0 t=hvc"
}

# ---- Memory to and fro -------------------------------------------------------------

# For the shell of a step: how much of the host's memory the vmm has, in KiB.  By printf, for
# dash's echo takes a backslash for its own.
rss()
{
	printf '%s\n' "sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/\$PID/status"
}

note_rss()
{
	printf '%s\n' "$(rss) >>$WORK/log/rss"
}

# ... wait until it is $1 MiB less than at first.
rss_falls()
{
	printf '%s\n' "n=0; until [ \$((\$(head -n 1 $WORK/log/rss) - \$($(rss)))) -ge $(($1 * 1024)) ]; do
		n=\$((n + 1)); [ \$n -lt $((300 * SLOW)) ] || exit 1; sleep 0.2; done"
}

# ... wait until member $1 of the balloon is at least $2 MiB and at most $3.
reaches()
{
	printf '%s\n' "n=0; until b=\$(\$VMM balloon --json mem | sed -n 's/.*\"$1\": *\([0-9]*\).*/\1/p') &&
		[ \$((b >> 20)) -ge $2 ] && [ \$((b >> 20)) -le $3 ]; do
			n=\$((n + 1)); [ \$n -lt $((300 * SLOW)) ] || exit 1; sleep 0.2; done"
}

rss_at()	# N
{
	echo $(($(sed -n "$1p" "$WORK/log/rss") / 1024))
}

mem_at()	# N FIELD
{
	echo $(($(console | sed -n "s/^GUEST-MEM.*$2=\([0-9]*\).*/\1/p" | sed -n "$1p") / 1024))
}

# balloon KERNEL OPTION...: the guest touches half of its memory, and reports that it is
# free; then it has a balloon of 128 MiB, which is taken back again.  Without touching
# nothing would be there to be given.  Linux lends up to 32 pieces of 4 MiB at a time while
# it reports them: with less memory it can panic for want of it when half is touched.
balloon()
{
	kernel=$1
	shift
	PATIENCE=250 vm want:GUEST-MEM want:GUEST-BALLOON \
		'send:fill\n' "want:GUEST-FILL done" "shell:$(note_rss)" \
		'send:free\n' "shell:$(rss_falls 96); $(note_rss)" \
		"shell:\$VMM balloon mem 128; $(reaches actual 128 128)" \
		'send:mem\n' want:GUEST-MEM "shell:$(note_rss); \$VMM stat mem >$WORK/log/stat" \
		"shell:\$VMM balloon -n mem -d 28 && $(reaches actual 100 100)" \
		"shell:\$VMM balloon mem 0; $(reaches actual 0 0)" 'send:again\n' want:GUEST-MEM \
		'send:fill\n' "want:GUEST-FILL done" "shell:$(note_rss)" 'send:free\n' 'send:quit\n' exit:0 -- \
		$(virtio "$kernel") --mem 384 --name mem "$@" -p "$QUIET t=balloon"
	silent
	note "host: $(rss_at 1) MiB, $(rss_at 2) when free pages are reported, $(rss_at 3) with the balloon, $(rss_at 4) without; guest: $(mem_at 1 total) MiB, $(mem_at 1 available) available, then $(mem_at 2 total), $(mem_at 2 available), then $(mem_at 3 total), $(mem_at 3 available)"
	[ $(($(rss_at 1) - $(rss_at 2))) -ge 96 ] || fail "free pages are not given back"
	[ $(($(rss_at 4) - $(rss_at 3))) -ge 96 ] || fail "what is in the balloon is not given back"
	[ $(($(mem_at 1 available) - $(mem_at 2 available))) -ge 96 ] || fail "the guest has it still"
	[ $(($(mem_at 3 available) - $(mem_at 2 available))) -ge 96 ] || fail "the guest has it not again"
	grep -q "^balloon: 128 of 128 MiB, the guest has [0-9]* MiB total, " "$WORK/log/stat" ||
		fail "$(cat "$WORK/log/stat")"
}

scenario balloon-pci-6.12 "6.12-a76"
balloon_pci_6_12()
{
	balloon 6.12 --balloon
	[ "$(mem_at 2 total)" = "$(mem_at 1 total)" ] || fail "it has no right to take it back"
	# With less left than it then wants it takes back what it lacks, and nothing is killed.
	AS=oom vm want:GUEST-BALLOON "shell:\$VMM balloon mem 216; $(reaches actual 216 216)" \
		'send:fill\n' "want:GUEST-FILL done" "shell:$(reaches actual 16 206)" \
		'send:free\n' 'send:quit\n' exit:0 -- \
		$(virtio 6.12) --mem 384 --name mem --balloon -p "$QUIET t=balloon"
}

# In a file, and for good: the guest has so much less.
scenario balloon-mmio-6.1 "6.1-a76"
balloon_mmio_6_1()
{
	balloon 6.1 --balloon=no-oom --memfd --virtio-transport mmio
	[ $(($(mem_at 1 total) - $(mem_at 2 total))) = 128 ] || fail "it counts what it has given up"
}

scenario balloon-none "6.1-a76"
balloon_none()
{
	vm "want:FLAT" 'shell:! $VMM balloon mem 1 2>$WORK/log/none' kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) --name mem -p t=spin
	grep -q "mem: .*the guest has no balloon" "$WORK/log/none" || fail "$(cat "$WORK/log/none")"
	refused 2 "balloon: 65 MiB, of a guest that has 64" $(flat) --balloon=size=65
}
