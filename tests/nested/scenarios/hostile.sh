# SPDX-License-Identifier: BSD-2-Clause
#
# hostile.sh - guests that own their kernel, and mean harm

uptime_s()
{
	cut -d. -f1 /proc/uptime
}

# log_bound PLACES SECONDS: each place that a guest can make log says 10 lines in 5 s, and how
# many it left out.
log_bound()
{
	echo $(($1 * 11 * ($2 / 5 + 2)))
}

# What process $PID has by itself: descriptors; threads, but for those that the kernel lends to
# io_uring; KiB of anonymous memory, but for the guest's RAM, which no other mapping is as large as.
possessions()
{
	ls "/proc/$PID/fd" | wc -l
	cat "/proc/$PID"/task/*/comm | grep -v -c '^iou-'
	awk '/^Size:/ { size = $2 } /^Anonymous:/ && size < 32768 { sum += $2 } END { print sum }' "/proc/$PID/smaps"
}

hostile_before()
{
	sleep 1		# for what is under way
	possessions >"$WORK/log/before"
}

# 52 rounds for each device later: had each left 2 KiB, it would be more than this.
# What a sanitizer keeps is its own.
hostile_after()
{
	read -r fds threads kib <<-END
	$(tr '\n' ' ' <"$WORK/log/before")
	END
	n=0
	while :; do
		possessions >"$WORK/log/after"
		read -r fds_now threads_now kib_now <<-END
		$(tr '\n' ' ' <"$WORK/log/after")
		END
		[ "$(readlink "/proc/$PID/exe")" = "$VMM" ] || kib_now=$kib
		[ "$fds_now" -gt $((fds + 4)) ] || [ "$threads_now" -gt "$threads" ] ||
			[ "$kib_now" -ge $((kib + 512)) ] || return 0
		n=$((n + 1))
		[ $n -lt $((5 * SLOW)) ] || break
		sleep 1
	done
	ls -l "/proc/$PID/fd"
	fail "it had $fds descriptors, $threads threads, $kib KiB, and has $fds_now, $threads_now, $kib_now"
}

# By each ring; but a virtiofsd that its guest has made end again and again is not there any more.
hostile_served()
{
	served=$(console | sed -n 's/.*SERVES of=[0-9]* split=\([0-9]*\) packed=\([0-9]*\).*/\1 + \2/p')
	dead=$(console | grep -c 'DEAD virtio=[0-9]* id=1a ') || true
	[ "$dead" = 0 ] || given_up || fail "virtiofsd serves no more: $(console | grep DEAD)"
	[ $((served + dead)) = $((virtio + packed)) ] || fail "$served of $virtio + $packed work: $(console | grep DEAD)"
}

given_up()
{
	stderr | grep -q "virtiofsd keeps ending, and is not started any more"
}

# hostile VIRTIO PACKED STEP OPTIONS...: so many devices, of which so many offer packed rings.
# Who asks meanwhile is answered, the log stays short, and the program has no more than before
# the most of it; in the end, and after that step, every device works by each of its rings, and
# so do the CPUs.
hostile()
{
	virtio=$1 packed=$2 step=$3 begun=$(uptime_s)
	shift 3
	vm "dial:$WORK/files/tty" "want:FLAT" "shell:$VMM stat hostile" \
		want:LISTENS "shell:sh $NEST/scenario one hostile_before" "send:q" \
		"want:HOSTILE virtio=$virtio wrong=0 psci=0 " "want:SMP up=2 of=2" want:LISTENS \
		"shell:$VMM stat hostile" "shell:sh $NEST/scenario one hostile_after" "send:z" "want:<z>" "$step" "send:q" \
		"want:SERVES of=$virtio split=" "want:EXIT: STATUS=1" exit:0 -- \
		$(flat) --name hostile -c 2 --virtio-ring packed --tty "0,socket=$WORK/files/tty" "$@" \
		-p t=hostile
	hostile_served
	lines=$(stderr | wc -l)
	note "$lines lines of log; descriptors, threads, KiB: $(echo $(cat "$WORK/log/before")), then $(echo $(cat "$WORK/log/after"))"
	[ "$lines" -le "$(log_bound $((virtio + 4)) $(($(uptime_s) - begun)))" ] || fail "$lines lines of log"
}

# Before a virtio-console: somebody who types on and on, and reads all.
flooded()
{
	printf '#!/bin/sh\nexec "%s" "$@" </dev/zero >"%s"\n' "${PROGRAM:-$VMM}" "$WORK/log/hvc0" >"$WORK/files/flooded"
	chmod 755 "$WORK/files/flooded"
	PROGRAM=$WORK/files/flooded
}

# Registers, rings, doorbells and PSCI as no driver uses them.
scenario hostile-mmio "6.12-a76 6.1-gicv2"
hostile_mmio()
{
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=4 2>/dev/null
	cp "$WORK/files/disk" "$WORK/files/disk2"
	dd if=/dev/zero of="$WORK/files/flash" bs=64k count=1 2>/dev/null
	flooded
	hostile 5 5 shell:: --virtio-transport mmio --console virtio -d "$WORK/files/disk" \
		-d "$WORK/files/disk2,ro" --rng --flash "$WORK/files/flash" \
		--virtio-port "named,file=$WORK/files/port"
	[ -s "$WORK/log/hvc0" ] || fail "nothing is printed on the virtio-console"
}

# The same to what others serve: the host's kernel, by vhost-net and vhost-vsock, virtiofsd and
# diod; and to a tap and to the balloon.  The kernel has nothing to complain of.  virtiofsd
# gives such a guest up without a word and serves its rings no more, whatever is reset: that
# is the guest's loss, and another takes its place.
scenario hostile-vhost "6.1-a76"
hostile_vhost()
{
	need_tap
	for module in tap vhost_iotlb vhost vhost_net; do
		host_module $module
	done
	need_vsock
	need_virtiofsd
	[ -c /dev/vhost-net ] || say_skip "no /dev/vhost-net"
	[ -x /usr/sbin/diod ] || say_skip "no diod"
	mkdir "$WORK/files/share"
	oops=$(dmesg | grep -c -e 'BUG:' -e 'Oops' -e 'WARNING:') || true
	hostile 7 4 "shell:sh $NEST/scenario one given_up || { $kill_fsd
	}" --virtio-transport mmio -n mode=tap,vhost=1 -n mode=tap --vsock 77 --balloon --rng \
		--fs "$WORK/files/share,share" --9p "$WORK/files/share,9p"
	[ "$(dmesg | grep -c -e 'BUG:' -e 'Oops' -e 'WARNING:')" = "$oops" ] || fail "the host's kernel says: $(dmesg | tail -n 5)"
}

# By PCI: configuration space, BARs over RAM, the GIC and one another, vectors and messages.
scenario hostile-pci "6.12-a76"
hostile_pci()
{
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=4 2>/dev/null
	cp "$WORK/files/disk" "$WORK/files/disk2"
	flooded
	hostile 5 5 shell:: --virtio-transport pci --console virtio -d "$WORK/files/disk" --rng --balloon \
		-d "$WORK/files/disk2,queues=2"
}
