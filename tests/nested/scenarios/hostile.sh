# SPDX-License-Identifier: BSD-2-Clause
#
# hostile.sh - guests that own their kernel, and mean harm

# Registers, rings, doorbells and PSCI as no driver uses them; who asks meanwhile is
# answered, the log stays short, every device works after its reset, and so do the CPUs.
scenario hostile-mmio "6.12-a76 6.1-gicv2"
hostile_mmio()
{
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=4 2>/dev/null
	cp "$WORK/files/disk" "$WORK/files/disk2"
	dd if=/dev/zero of="$WORK/files/flash" bs=64k count=1 2>/dev/null
	vm "want:FLAT" "shell:$VMM stat hostile" "want:HOSTILE virtio=3 mended=3 wrong=0 psci=0 " \
		"want:SMP up=2 of=2" want:LISTENS "shell:$VMM stat hostile" "send:z" "want:<z>" "send:q" \
		"want:EXIT: STATUS=1" exit:0 -- $(flat) --name hostile --virtio-transport mmio -c 2 \
		-d "$WORK/files/disk" -d "$WORK/files/disk2,ro" --rng --flash "$WORK/files/flash" -p t=hostile
	lines=$(stderr | wc -l)
	note "$lines lines of log"
	[ "$lines" -le 200 ] || fail "$lines lines of log"
}

# The same to what the host's kernel serves, vhost-net and vhost-vsock, to a tap and to the
# balloon; the kernel has nothing to complain of.
scenario hostile-vhost "6.1-a76"
hostile_vhost()
{
	need_tap
	for module in tap vhost_iotlb vhost vhost_net; do
		host_module $module
	done
	need_vsock
	[ -c /dev/vhost-net ] || say_skip "no /dev/vhost-net"
	oops=$(dmesg | grep -c -e 'BUG:' -e 'Oops' -e 'WARNING:') || true
	vm "want:FLAT" "shell:$VMM stat hostile" "want:HOSTILE virtio=5 mended=5 wrong=0 psci=0 " \
		want:LISTENS "shell:$VMM stat hostile" "send:z" "want:<z>" "send:q" \
		"want:EXIT: STATUS=1" exit:0 -- $(flat) --name hostile --virtio-transport mmio \
		-n mode=tap,vhost=1 -n mode=tap --vsock 77 --balloon --rng -p t=hostile
	lines=$(stderr | wc -l)
	note "$lines lines of log"
	[ "$lines" -le 200 ] || fail "$lines lines of log"
	[ "$(dmesg | grep -c -e 'BUG:' -e 'Oops' -e 'WARNING:')" = "$oops" ] || fail "the host's kernel says: $(dmesg | tail -n 5)"
}

# By PCI: configuration space, BARs over RAM, the GIC and one another, vectors and messages.
scenario hostile-pci "6.12-a76"
hostile_pci()
{
	dd if=/dev/zero of="$WORK/files/disk" bs=64k count=4 2>/dev/null
	cp "$WORK/files/disk" "$WORK/files/disk2"
	vm "want:FLAT" "shell:$VMM stat hostile" "want:HOSTILE virtio=4 mended=4 wrong=0 psci=0 " \
		"want:SMP up=2 of=2" want:LISTENS "shell:$VMM stat hostile" "send:z" "want:<z>" "send:q" \
		"want:EXIT: STATUS=1" exit:0 -- $(flat) --name hostile --virtio-transport pci -c 2 \
		-d "$WORK/files/disk" --rng --balloon -d "$WORK/files/disk2,queues=2" -p t=hostile
	lines=$(stderr | wc -l)
	note "$lines lines of log"
	[ "$lines" -le 200 ] || fail "$lines lines of log"
}
