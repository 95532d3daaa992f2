# SPDX-License-Identifier: BSD-2-Clause
#
# p9.sh - directories of the host's in the guest, by 9P and diod
#
# With what fs.sh has for that.

p9_share()
{
	[ "$HOST" != native ] || say_skip "needs diod and the modules of 9p"
	s=$WORK/files/share
	mkdir -p "$s"
	cp /bin/busybox "$s/busybox"
	cat >"$s/run"
	cat "$NEST/virtio-6.1.cpio" "$NEST/9p-6.1.cpio" >"$WORK/files/initrd"
}

p9_guest()	# TRANSPORT
{
	echo "$(virtio 6.1) --initrd $WORK/files/initrd --virtio-transport $1"
}

# Two at once: the guest sees what is there, and the host what the guest has made of it;
# and in the one that is for reading, nothing can be changed.  No way leads out of it.
scenario p9-tree-pci "6.1-a76"
p9_tree_pci()
{
	p9_share <<-END
	$walk
	# What runs from there is read anew each time.
	/mnt/busybox cp /mnt/busybox /
	b=/busybox
	walk tree \$b >seen || exit 1
	\$b cp -a tree copy || exit 2
	\$b mkdir /ro
	\$b mount -t 9p -o trans=virtio,version=9p2000.L,aname=/etc,uname=nobody ro /ro || exit 3
	cd /ro
	refused() { "\$@" 2>>/error && echo "GUEST-SHARE this went: \$*" || n=\$((n + 1)); }
	new() { echo x >new; }
	append() { echo x >>f1; }
	n=0
	for what in new append "\$b mkdir new" "\$b rm f1" "\$b mv f1 f2" "\$b ln f1 f2" \\
		"\$b ln -s f1 f2" "\$b chmod 777 f1" "\$b touch f1" "\$b mknod null c 1 3"; do
		refused \$what
	done
	walk /ro \$b | \$b cmp - /mnt/seen || exit 4
	echo "GUEST-SHARE refused=\$n of=10"
	cd /mnt
	\$b umount /ro
	END
	# Each request takes several processes.
	tree "$s/tree" 8
	eval "$walk"
	walk "$s/tree" "$s/busybox" >"$WORK/files/made"
	vm "want:GUEST-SHARE refused=10 of=10" "want:GUEST-SHARE status=0 umount=0" exit:0 -- \
		$(p9_guest pci) --9p "$s,share" --9p "$s/tree,ro,ro" -p "$QUIET t=share fs=9p"
	silent
	cmp "$WORK/files/made" "$s/seen" || fail "the guest saw something else"
	walk "$s/tree" "$s/busybox" >"$WORK/files/after"
	cmp "$WORK/files/made" "$WORK/files/after" || fail "the tree has changed"
	diff -r "$s/tree" "$s/copy" || fail "the copy differs"
	[ "$(stat -c %a "$s/copy/f4097")" = 4755 ] || fail "the copy has another mode"
}

# While the guest reads: what it asks for fails, and once it has mounted it anew all is well.
scenario p9-killed-mmio "6.1-a76"
p9_killed_mmio()
{
	p9_share <<-'END'
	[ -x /busybox ] || {
		# What runs and what it says are read in parts, as they are needed.
		/mnt/busybox cp /mnt/busybox /mnt/run /
		exec /busybox sh /run
	}
	b=/busybox
	cd /
	echo "GUEST-SHARE reads"
	while $b dd if=/mnt/f of=/dev/null bs=64k 2>/error; do :; done
	$b grep -o "Input/output error" /error
	$b umount /mnt || exit 1
	until $b mount -t 9p -o trans=virtio,version=9p2000.L share /mnt; do
		$b sleep 1
	done
	$b sha256sum /mnt/f
	END
	head -c 2000000 /dev/urandom >"$s/f"
	sum=$(sha256sum <"$s/f" | cut -d' ' -f1)
	vm "want:GUEST-SHARE reads" "shell:sleep 1; fsd=diod; $kill_fsd" "want:Input/output error" "want:$sum" \
		"want:status=0 umount=0" exit:0 -- \
		$(p9_guest mmio) --9p "$s,share" -p "$QUIET t=share fs=9p"
	stderr | grep -q "diod has ended: SIGKILL; the guest has to mount it anew" || fail "its end is not told"
}
