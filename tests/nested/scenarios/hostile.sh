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
	vm "want:FLAT" "shell:$VMM stat hostile" "want:HOSTILE virtio=3 mended=3 psci=0 " \
		"want:SMP up=2 of=2" want:LISTENS "shell:$VMM stat hostile" "send:z" "want:<z>" "send:q" \
		"want:EXIT: STATUS=1" exit:0 -- $(flat) --name hostile --virtio-transport mmio -c 2 \
		-d "$WORK/files/disk" -d "$WORK/files/disk2,ro" --rng --flash "$WORK/files/flash" -p t=hostile
	lines=$(stderr | wc -l)
	note "$lines lines of log"
	[ "$lines" -le 200 ] || fail "$lines lines of log"
}
