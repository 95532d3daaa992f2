# SPDX-License-Identifier: BSD-2-Clause
#
# disk.sh - what a disk keeps, and what it tells of the host's errors

last_flushed()
{
	console | sed -n 's/^FLUSHED \([0-9]*\)$/\1/p' | tail -n 1
}

# A guest replaces files on ext4, and flushes each, until its vmm is killed, three
# times: nothing that was flushed may be missing or torn then, and the file system has to
# be sound.
scenario disk-power-cuts "6.12-n1"
disk_power_cuts()
{
	[ "$HOST" != native ] || say_skip "needs mke2fs and the modules of ext4"
	disk=$WORK/files/disk flushed=0 transport=pci
	cat "$NEST/virtio-6.1.cpio" "$NEST/ext4-6.1.cpio" >"$WORK/files/initrd"
	dd if=/dev/zero of="$disk" bs=1M seek=24 count=0 2>/dev/null
	/usr/sbin/mke2fs -q -t ext4 -E nodiscard "$disk"
	for ms in 317 40 0; do
		AS=cut-$ms
		vm "want:GUEST-FILES lost=0 torn=0 flushed=$flushed latest=" \
			"want:FLUSHED $((flushed + 12))" sleep:$ms kill:KILL signal:9 -- \
			$(virtio 6.1) --name cut --initrd "$WORK/files/initrd" -d "$disk,queues=2" --cpus 2 \
			--virtio-transport $transport -p "$QUIET t=files flushed=$flushed"
		flushed=$(last_flushed)
		cp "$disk" "$WORK/files/copy"
		# The journal is to be replayed; after that nothing is left to mend.
		/usr/sbin/e2fsck -p "$WORK/files/copy" >"$WORK/log/fsck-$ms" || [ $? = 1 ] || fail "e2fsck -p"
		/usr/sbin/e2fsck -f -n "$WORK/files/copy" >>"$WORK/log/fsck-$ms" || fail "it is not sound"
		[ $transport = pci ] && transport=mmio || transport=pci
	done
	note "$flushed files were flushed"
	# Nobody was there to remove it; who came next has taken it over.
	rm "$XDG_RUNTIME_DIR/vmm/cut.sock"
}

long()	# UNITS of 64 KiB
{
	echo "dd if=/dev/zero of=$WORK/files/a bs=64k seek=$1 count=0 2>/dev/null"
}

# The host has no more room for what the guest writes, and the image of a disk gets shorter
# under it: errors of those requests, and all goes on.  Of what it is told it sees the size.
scenario disk-faults "6.12-n1 6.12-16k"
disk_faults()
{
	[ -n "${NESTED-}" ] || say_skip "mounts a file system"
	mkdir -p "$WORK/files/small"
	mount -t tmpfs -o size=8m small "$WORK/files/small"
	a=$WORK/files/a b=$WORK/files/small/b
	dd if=/dev/urandom of="$a" bs=64k count=16 2>/dev/null
	dd if=/dev/zero of="$b" bs=1M seek=64 count=0 2>/dev/null
	vm "want:GUEST-FULL Input/output error after=8 of=64." \
		'send:1\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		"shell:$(long 8)" \
		'send:2\n' "want:GUEST-ENDS first=read last=Input/output error kib=1024 end=Input/output error." \
		"shell:$(long 16)" \
		'send:3\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		"shell:$(long 48) && $VMM resize --json faults >$WORK/log/grown" \
		'send:4\n' "want:GUEST-ENDS first=read last=read kib=3072 end=read." \
		"shell:$(long 16) && $VMM resize faults" \
		'send:5\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		'send:quit\n' exit:0 -- \
		$(virtio 6.1) --name faults -d "$a,ro" -d "$b" -p "$QUIET t=faults"
	grep -q '3145728' "$WORK/log/grown" || fail "$(cat "$WORK/log/grown")"
	umount "$WORK/files/small"
	stderr | grep -q "blk1: request 1 at byte 8388608: No space left on device" || fail "ENOSPC is not told"
	stderr | grep -q "blk0: request 0 at byte .*: the file is shorter" || fail "nor what is missing"
}

# A block device of the host's that fails: what lies behind a loop device is not there any more.
scenario disk-eio "6.12-n1"
disk_eio()
{
	block_devices 16
	vm "want:GUEST-FULL Success after=1 of=1." \
		'send:1\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		"shell:$(long 8)" \
		'send:2\n' "want:GUEST-ENDS first=read last=Input/output error kib=1024 end=Input/output error." \
		"shell:$(long 16)" \
		'send:3\n' "want:GUEST-ENDS first=read last=read kib=1024 end=read." \
		'send:quit\n' exit:0 -- \
		$(virtio 6.1) -d "$one,ro,direct" -d "$two" -p "$QUIET t=faults" || status=$?
	losetup -d "$one"
	losetup -d "$two"
	[ -z "${status-}" ] || return 1
	stderr | grep -q "blk0: request 0 at byte .*: Input/output error" || fail "it is not told"
}

qcow2()	# FILE SOCKET: serve it, by process $served
{
	/usr/bin/qemu-storage-daemon --blockdev driver=file,node-name=file,filename="$1",discard=unmap \
		--blockdev driver=qcow2,node-name=disk,file=file,discard=unmap \
		--export type=vhost-user-blk,id=x,node-name=disk,writable=on,num-queues=2,addr.type=unix,addr.path="$2" &
	served=$!
	for _ in $(seq 100); do
		[ ! -S "$2" ] || return 0
		sleep 0.1
	done
	fail "it does not listen"
}

# An image in a format that vmm knows nothing of: what the guest writes is in it, and the
# guest lives on when who serves it is gone.
scenario disk-qcow2 "6.12-n1"
disk_qcow2()
{
	[ -n "${NESTED-}" ] || say_skip "needs qemu-storage-daemon"
	a=$WORK/files/a b=$WORK/files/b.qcow2 socket=$WORK/files/socket
	dd if=/dev/urandom of="$a" bs=64k count=96 2>/dev/null
	/usr/bin/qemu-img create -q -f qcow2 "$b" 6M
	qcow2 "$b" "$socket"
	vm "want:GUEST-DISK copied=6291456 of=6291456 differ=0 notzero=0 ro=1 write=Operation not permitted" \
		exit:0 -- $(virtio 6.1) -d "$a,ro" --vhost-user "type=blk,socket=$socket,queues=2" \
		--cpus 2 -p "$QUIET t=disk"
	silent
	AS=killed
	vm want:GUEST-READS 'send:1\n' "want:GUEST-READ 1000" "shell:kill -9 $served" \
		"shell:sleep 1; $VMM stat lives >$WORK/log/stat" \
		"shell:$VMM stop --force lives" exit:12 -- \
		$(virtio 6.1) --name lives --vhost-user "type=blk,socket=$socket" \
		--virtio-transport mmio -p "$QUIET t=reads"
	wait $served || true
	rm "$socket"
	grep -q running "$WORK/log/stat" || fail "$(cat "$WORK/log/stat")"
	stderr | grep -q "blk0: waits for a reset: its backend has gone" || fail "its end is not told"
	# But for the second MiB, which the guest has zeroed.
	/usr/bin/qemu-img convert -f qcow2 -O raw "$b" "$WORK/files/b"
	dd if=/dev/zero of="$a" bs=64k seek=16 count=16 conv=notrunc 2>/dev/null
	cmp "$a" "$WORK/files/b" || fail "what the guest has written is not there"
	refused 3 "Unable to connect to $socket" $(flat) --vhost-user "type=blk,socket=$socket"
}

told()	# TEXT TIMES: has vm said it so often?
{
	[ "$(stderr | grep -c -e "$1")" -ge "$2" ]
}

heard()	# EVENTS: are they all that was told of who serves a device?
{
	[ "$(sed -n 's/^{"event":"\(broken\|served\)".*/\1/p' "$WORK/log/events" | tr '\n' ' ')" = "$1" ]
}

# Wait for something, but not longer than vm runs.
until_it()	# COMMAND...
{
	until "$@"; do
		[ ! -e "$WORK/files/end" ] || fail "it has not come to: $*"
		sleep 0.1
	done
}

# Who serves a disk, $served, is killed while the guest is at it, and the next comes, again
# and again; once with OTHER, which is not the one to go on with.
come_and_go()	# FILE OTHER SOCKET
{
	until_it grep -q "GUEST-FIO begins" "$WORK/log/$AS.console"
	"$VMM" events --json served >"$WORK/log/events" &
	times=0
	for file in "$1" "$2" "$1"; do
		sleep 0.4
		kill -9 $served
		rm "$3"
		[ $times -gt 0 ] || "$VMM" stat served >"$WORK/log/gone"
		qcow2 "$file" "$3"
		if [ "$file" = "$2" ]; then
			until_it told "$3: blk1: its new backend has another configuration" 1
		else
			times=$((times + 1))
			until_it told "blk1: has another backend, and goes on" $times
		fi
	done
	! grep -q "GUEST-FIO status" "$WORK/log/$AS.console" || fail "the guest was done before"
	"$VMM" stat served >"$WORK/log/there"
	grep -q "^--vhost-user $3: its process has gone, another is looked for" "$WORK/log/gone" ||
		fail "stat does not tell that it has gone"
	grep -q "^--vhost-user $3: its process is there" "$WORK/log/there" ||
		fail "stat does not tell that there is another"
	until_it heard "broken served broken served "
	until [ -e "$WORK/files/end" ]; do
		sleep 0.1
	done
	kill $served
	wait $served || true
	rm -f "$3"
}

# 32 requests at a time, each read back and compared, of a disk whose server does not stay.
# It is this shell that starts each, for vm takes what others leave behind for the program's;
# and who is to connect to them has neither the right to nor a name for their socket.
scenario disk-reconnect "6.12-n1"
disk_reconnect()
{
	[ -n "${NESTED-}" ] || say_skip "needs qemu-storage-daemon, mke2fs and fio"
	image=$WORK/files/image b=$WORK/files/b.qcow2 other=$WORK/files/other.qcow2 socket=$WORK/files/socket
	cat "$NEST/virtio-6.1.cpio" "$NEST/ext4-6.1.cpio" >"$WORK/files/initrd"
	dd if=/dev/zero of="$image" bs=1M seek=96 count=0 2>/dev/null
	/usr/sbin/mke2fs -q -t ext4 -E nodiscard -d "$NEST/fio" "$image"
	/usr/bin/qemu-img create -q -f qcow2 "$b" 4M
	/usr/bin/qemu-img create -q -f qcow2 "$other" 5M
	mkdir "$WORK/files/empty"
	qcow2 "$b" "$socket"
	first=$served
	AS=served
	come_and_go "$b" "$other" "$socket" &
	goer=$!
	vm "want:GUEST-FIO status=0." exit:0 -- $(virtio 6.1) --initrd "$WORK/files/initrd" \
		--mem 384 --cpus 2 --loglevel info --name served --user 1000 \
		--chroot "$WORK/files/empty" -d "$image,ro" \
		--vhost-user "type=blk,socket=$socket,queues=2,reconnect=1" -p "$QUIET t=fio" || status=$?
	touch "$WORK/files/end"
	wait $goer || fail "not as it should, while it came and went"
	wait $first || true
	[ -z "${status-}" ] || return 1
	# Its user could not.
	rm "$XDG_RUNTIME_DIR/vmm/served.sock"
	rm "$image"
	# 3: no clusters are broken, but some leaked as their owner was killed.
	/usr/bin/qemu-img check -q "$b" || [ $? = 3 ] || fail "its image is broken"
}

# A host that refuses io_uring: epoll and a thread do what it would.
scenario disk-without-io-uring "6.12-n1"
disk_without_io_uring()
{
	[ -n "${NESTED-}" ] || say_skip "disables io_uring"
	a=$WORK/files/a b=$WORK/files/b
	dd if=/dev/urandom of="$a" bs=64k count=96 2>/dev/null
	dd if=/dev/zero of="$b" bs=64k count=96 2>/dev/null
	echo 2 >/proc/sys/kernel/io_uring_disabled
	AS=disks
	vm "want:GUEST-DISK copied=6291456 of=6291456 differ=0 notzero=0 ro=1 write=Operation not permitted serial=copy." \
		exit:0 -- $(virtio 6.1) --loglevel info -d "$a,ro" -d "$b,serial=copy,queues=2" --rng \
		--io-threads 2 --cpus 2 -p "$QUIET t=disk" || status=$?
	told=$("$VMM" host) || true
	echo 0 >/proc/sys/kernel/io_uring_disabled
	echo "$told" | grep -q "^I/O  *no io_uring" || fail "vmm host: $told"
	"$VMM" host | grep -q "^I/O  *io_uring" || fail "vmm host does not see that it is back"
	[ -z "${status-}" ] || fail "it does not work"
	stderr | grep -q "I/O: files by a thread, which is slower: io_uring is refused" || fail "it does not say so"
	dd if=/dev/zero of="$a" bs=64k seek=16 count=16 conv=notrunc 2>/dev/null
	cmp "$a" "$b" || fail "what the guest has written is not there"
}

# 32 requests at a time, of any size, each read back and compared, by fio in the guest, with
# rings of either kind.
scenario disk-fio "6.12-n1"
disk_fio()
{
	[ "$HOST" != native ] || say_skip "needs mke2fs, fio and the modules of ext4"
	image=$WORK/files/image b=$WORK/files/b
	cat "$NEST/virtio-6.1.cpio" "$NEST/ext4-6.1.cpio" >"$WORK/files/initrd"
	dd if=/dev/zero of="$image" bs=1M seek=96 count=0 2>/dev/null
	/usr/sbin/mke2fs -q -t ext4 -E nodiscard -d "$NEST/fio" "$image"
	for AS in pci-split mmio-packed; do
		dd if=/dev/zero of="$b" bs=64k count=64 2>/dev/null
		packed=0
		[ ${AS#*-} = split ] || packed=2
		vm "want:GUEST-FIO status=0." "want:GUEST-RINGS packed=$packed of=2." exit:0 -- \
			$(virtio 6.1) --initrd "$WORK/files/initrd" --mem 384 --cpus 2 \
			--virtio-transport ${AS%-*} --virtio-ring ${AS#*-} \
			-d "$image,ro" -d "$b,queues=2" -p "$QUIET t=fio rings=1"
		silent
	done
	rm "$image"
	# It has been written to.
	[ "$(tr -d '\000' <"$b" | wc -c)" -gt 2000000 ] || fail "nothing was written"
}
