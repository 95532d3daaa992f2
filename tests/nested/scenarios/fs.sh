# SPDX-License-Identifier: BSD-2-Clause
#
# fs.sh - directories of the host's in the guest, by virtiofsd

# What virtiofsd chooses by itself for root.
sandbox=sandbox=namespace

# The old one in C, which came with QEMU up to 7.2, has other options.
need_virtiofsd()
{
	for file in /usr/libexec/virtiofsd /usr/lib/virtiofsd; do
		[ ! -x "$file" ] || return 0
	done
	command -v virtiofsd >/dev/null || say_skip "there is no virtiofsd, or only QEMU's old one"
}

# A directory to share, with the busybox that runs the script on standard input.
share()
{
	need_virtiofsd
	s=$WORK/files/share
	mkdir -p "$s"
	for file in /bin/busybox "$NEST/busybox"; do
		[ ! -x "$file" ] || cp "$file" "$s/busybox"
	done
	cat >"$s/run"
}

# What each name in a directory is, and what is in it, in order: for the host's shell and
# the guest's, by the same busybox.
walk='walk() {	# DIR BUSYBOX
	(cd "$1" && $2 find . -print0 | $2 sort -z | $2 xargs -0 $2 stat -c "%n %f %s %u %g %h %Y %N" &&
		$2 find . -type f -print0 | $2 sort -z | $2 xargs -0 $2 sha256sum)
}'

tree()	# DIR [FILES]: as many in one directory
{
	mkdir -p "$1/a/b/c/d" "$1/with space" "$1/empty" "$1/many"
	for size in 0 1 4095 4096 4097 65537 1048577 2500000; do
		head -c $size /dev/urandom >"$1/f$size"
	done
	i=0
	while [ $i -lt ${2:-50} ]; do
		echo $i >"$1/many/name-$i"
		i=$((i + 1))
	done
	ln -s ../f1 "$1/a/link"
	ln -s /nowhere "$1/dangling"
	ln "$1/f4096" "$1/a/b/hard"
	echo text >"$1/with space/a name with spaces"
	echo text >"$1/a/b/c/d/$(printf 'M\303\274ll')"
	chmod 640 "$1/f1"
	chmod 4755 "$1/f4097"
	chmod 700 "$1/a/b"
}

# The guest sees what is there, and the host what the guest has made of it.
fs_tree()	# TRANSPORT
{
	share <<-END
	$walk
	walk tree /mnt/busybox >seen || exit 1
	/mnt/busybox cp -a tree copy || exit 2
	END
	tree "$s/tree"
	eval "$walk"
	walk "$s/tree" "$s/busybox" >"$WORK/files/made"
	vm "want:GUEST-SHARE status=0 umount=0" exit:0 -- $(virtio 6.12) --virtio-transport "$1" \
		--fs "$s,share,$sandbox" -p "$QUIET t=share"
	silent
	[ "$(wc -l <"$WORK/files/made")" -gt 100 ] || fail "the tree is small"
	cmp "$WORK/files/made" "$s/seen" || fail "the guest saw something else"
	walk "$s/tree" "$s/busybox" >"$WORK/files/after"
	cmp "$WORK/files/made" "$WORK/files/after" || fail "the tree has changed"
	"$s/busybox" diff -r "$s/tree" "$s/copy" || fail "the copy differs"
	[ "$(stat -c %a "$s/copy/f4097")" = 4755 ] || fail "the copy has another mode"
}

scenario fs-tree-pci "6.1-a76"
fs_tree_pci()
{
	fs_tree pci
}

scenario fs-tree-mmio "6.12-n1"
fs_tree_mmio()
{
	fs_tree mmio
}

# Whatever the guest tries, as root and with the file system mounted for writing.
scenario fs-read-only "6.12-n1"
fs_read_only()
{
	share <<-'END'
	PATH=
	b=/mnt/busybox
	cd tree
	refused()
	{
		if "$@" 2>>/error; then
			echo "GUEST-SHARE this went: $*"
		else
			n=$((n + 1))
		fi
	}
	new() { echo x >new; }
	append() { echo x >>f1; }
	truncate() { echo -n >f1; }
	n=0
	refused new
	refused append
	refused truncate
	refused $b mkdir new
	refused $b rm f1
	refused $b mv f1 f2
	refused $b ln f1 f2
	refused $b ln -s f1 f2
	refused $b chmod 777 f1
	refused $b chown 1:1 f1
	refused $b touch f1
	refused $b mknod null c 1 3
	refused $b mkfifo fifo
	refused $b rmdir empty
	$b sha256sum f2500000
	echo "GUEST-SHARE refused=$n of=14"
	END
	tree "$s/tree"
	eval "$walk"
	walk "$s" "$s/busybox" >"$WORK/files/made"
	sum=$(sha256sum <"$s/tree/f2500000" | cut -d' ' -f1)
	vm "want:$sum" "want:GUEST-SHARE refused=14 of=14" want:status=0 exit:0 -- \
		$(virtio 6.12) --fs "$s,share,ro,$sandbox" -p "$QUIET t=share"
	silent
	walk "$s" "$s/busybox" >"$WORK/files/after"
	cmp "$WORK/files/made" "$WORK/files/after" || fail "something has changed"
}

# Kill virtiofsd, or the diod of fsd=diod; a child of the helper, which is that of $PID; see
# that another takes its place.
kill_fsd='
child_of() { grep -l "^PPid:.$1$" /proc/[0-9]*/status 2>/dev/null; }
child() {
	for s in $(child_of $(child_of $PID | tr -d -c "[0-9]")); do
		! grep -q "^Name:.${fsd:-virtiofsd}$" $s || grep -q "^State:.Z" $s || echo $s | tr -d -c "[0-9]"
	done
}
await() {
	n=0
	until new=$(child) && [ -n "$new" ] && [ "$new" != "$1" ]; do
		n=$((n + 1))
		[ $n -lt 100 ] || { echo "no other than $1"; exit 1; }
		sleep 0.1
	done
}
await none
old=$new
kill -9 $old
await $old'

# While the guest reads: it and the rest of its machine run on.
scenario fs-killed "6.12-n1"
fs_killed()
{
	share <<-'END'
	[ -x /busybox ] || {
		# What runs and what it says are read in parts, as they are needed.
		/mnt/busybox cp /mnt/busybox /mnt/run /
		cd /mnt
		exec /busybox sh /run
	}
	main()
	{
		(while :; do /busybox dd if=f of=/dev/null bs=64k iflag=direct; done) 2>/dev/null &
		echo "GUEST-SHARE reads"
		while read line; do
			echo "GUEST-SHARE $line"
		done
	}
	main
	END
	head -c 4000000 /dev/urandom >"$s/f"
	vm "want:GUEST-SHARE reads" "shell:sleep 1; $kill_fsd" 'send:still there\n' \
		"want:GUEST-SHARE still there" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(virtio 6.12) --fs "$s,share,$sandbox" -p "$QUIET t=share"
	stderr | grep -q "virtiofsd has ended: SIGKILL" || fail "its end is not told"
	stderr | grep -q "fs0: waits for a reset: its backend has gone" || fail "the device does not break"
}

# After a reset of the device its file system is there again, from another virtiofsd.
scenario fs-again "6.12-n1"
fs_again()
{
	share <<-'END'
	read line </mnt/line
	echo "GUEST-SHARE $line"
	END
	echo first >"$s/line"
	vm "want:GUEST-SHARE first" "want:status=0 umount=0" "shell:$kill_fsd; echo second >$s/line" \
		'send:go\n' "want:GUEST-SHARE second" "want:status=0 umount=0" exit:0 -- \
		$(virtio 6.12) --virtio-transport mmio --fs "$s,share,$sandbox" -p "$QUIET t=again"
	stderr | grep -q "virtiofsd has ended: SIGKILL" || fail "its end is not told"
}

# A Debian kernel with nothing but a directory: no initrd, no disk.  It tells what an
# overlay has made of its device tree.
scenario fs-root "6.12-n1"
fs_root()
{
	share </dev/null
	mkdir -p "$s/sbin" "$s/dev" "$s/proc" "$s/sys"
	cat >"$s/sbin/init" <<-'END'
	#!/busybox sh
	/busybox mount -t proc proc /proc
	/busybox mount -t sysfs sysfs /sys
	/busybox grep " / " /proc/mounts
	tree=/sys/firmware/devicetree/base
	echo "$(/busybox tr -d '\0' <$tree/chosen/overlay-test) $(/busybox cat $tree/overlay-test/compatible)"
	echo "$(/busybox cat /proc/cmdline)" >/seen
	echo "GUEST-ROOT $(/busybox uname -r)"
	/busybox poweroff -f
	END
	chmod +x "$s/sbin/init"
	vm "want:rootfs / virtiofs rw" "want:merged vmm,overlay-test" "want:GUEST-ROOT 6." exit:0 -- --kernel "$NEST/Image-6.12" --mem 256 \
		--cpus 1 --loglevel warning -d "$s,$sandbox" -p "$QUIET" \
		--dt-overlay "$NEST/overlay.dtbo"
	silent
	grep "root=rootfs rootfstype=virtiofs rw" "$s/seen" || fail "the guest has not written to its root"
	refused 3 "flat: overlay 0: it is not what dtc makes" $(flat) --dt-overlay "$NEST/flat"
	refused 3 "Unable to open device tree overlay /nowhere" $(flat) --dt-overlay /nowhere
	refused 2 "a second directory" $(flat) -d / -d "$s"
	refused 2 "a directory takes only" $(flat) -d "$s,direct"
}

scenario fs-refused "6.12-n1"
fs_refused()
{
	refused 3 "directory /nowhere: No such file" $(flat) --fs /nowhere,share
	refused 3 "Not a directory" $(flat) --fs "$NEST/flat,share"
	mkdir "$WORK/files/share" "$WORK/files/bin"
	printf '#!/bin/sh\necho "it says why" >&2\nexit 7\n' >"$WORK/files/bin/virtiofsd"
	chmod 755 "$WORK/files/bin/virtiofsd"
	PATH=$WORK/files/bin:$PATH
	vm exit:4 -- $(flat) --fs "$WORK/files/share,share"
	stderr | grep -q "virtiofsd has ended: status 7" || fail "its end is not told"
}
