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

scenario rng-mmio-6.1 "6.1-a76 6.1-gicv2"
rng_mmio_6_1()
{
	vm "want:GUEST-RNG from=" exit:0 -- \
		$(virtio 6.1) --rng --virtio-transport mmio -p "$QUIET t=rng"
	rng_differs
}

scenario rng-mmio-6.12 "6.12-max"
rng_mmio_6_12()
{
	vm "want:GUEST-RNG from=" exit:0 -- \
		$(virtio 6.12) --rng --virtio-transport mmio -p "$QUIET t=rng"
	rng_differs
}

scenario rng-pci-6.1 "6.1-a76 6.1-gicv2"
rng_pci_6_1()
{
	vm "want:GUEST-RNG from=" exit:0 -- $(virtio 6.1) --rng -p "$QUIET t=rng"
	rng_differs
}

scenario rng-pci-6.12 "6.12-max"
rng_pci_6_12()
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

scenario disk-mmio-6.1 "6.1-a76 6.1-gicv2"
disk_mmio_6_1()
{
	disk_copy 6.1 --virtio-transport mmio
}

scenario disk-mmio-6.12 "6.12-max"
disk_mmio_6_12()
{
	disk_copy 6.12 --virtio-transport mmio
}

scenario disk-pci-6.1 "6.1-a76 6.1-gicv2"
disk_pci_6_1()
{
	disk_copy 6.1
}

scenario disk-pci-6.12 "6.12-max"
disk_pci_6_12()
{
	disk_copy 6.12
}

# Without an ITS there are lines.
scenario disk-pci-intx "6.12-a76"
disk_pci_intx()
{
	keys=,queues=4 disk_copy 6.1 --irqchip gicv3 --io-threads 3 --cpus 2
}

scenario disk-refused "6.1-a57"
disk_refused()
{
	refused 3 "Unable to open disk /none" $(flat) -d /none
	refused 3 "a directory" $(flat) -d "$WORK/files"
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

scenario disk-exits-mmio "6.12-a76"
disk_exits_mmio()
{
	# The driver reads and acknowledges each interrupt.
	disk_reads 6.1 2300 --virtio-transport mmio
}

# Neither a kick nor an interrupt is one.
scenario disk-exits-pci "6.12-a76"
disk_exits_pci()
{
	disk_reads 6.1 300 --loglevel debug --io-threads 3
	! stderr | grep "without irqfd" || fail "its kernel has irqfd"
	[ "$(cat "$WORK/log/threads")" = 3 ] || fail "$(cat "$WORK/log/threads") threads"
}
