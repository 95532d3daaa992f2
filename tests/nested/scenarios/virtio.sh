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

scenario rng-none "6.1-a57"
rng_none()
{
	vm "want:GUEST-RNG none" exit:0 -- $(virtio 6.1) -p "$QUIET t=rng"
	silent
}
