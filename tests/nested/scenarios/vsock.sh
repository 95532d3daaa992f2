# SPDX-License-Identifier: BSD-2-Clause
#
# vsock.sh - sockets between guest and host, by Debian's drivers and its kernel's vhost-vsock

need_vsock()
{
	need_root
	for module in vsock vmw_vsock_virtio_transport_common vhost_iotlb vhost vhost_vsock; do
		host_module $module
	done
	[ -c /dev/vhost-vsock ] || say_skip "no /dev/vhost-vsock"
}

# The guest connects to the host and both send; then the host connects to the guest, which
# echoes.
vsock_both_ways()	# KERNEL OPTION...
{
	kernel=$1
	shift
	need_vsock
	"$NEST/peer" vsock >"$WORK/log/peer" 2>&1 &
	_peer=$!
	refused 2 "vsock 2: not within" $(flat) --vsock 2
	vm "want:GUEST-VSOCK echoed=65536" exit:0 -- \
		$(virtio "$kernel") --vsock 77 "$@" -p "$QUIET t=vsock m=10"
	kill $_peer
	wait $_peer 2>/dev/null || true
	same_bytes $((10 << 20))
	grep -q "^CID 77 echoes 16 of 16" "$WORK/log/peer" || fail "the host says: $(tail -n 1 "$WORK/log/peer")"
	silent
}

scenario vsock-pci "6.12-n1"
vsock_pci()
{
	vsock_both_ways 6.12
}

# Each boot has a vhost-vsock of its own, which is opened in the sandbox, and the host hears
# of the end of the one before.
scenario vsock-reset "6.1-a76"
vsock_reset()
{
	need_vsock
	"$NEST/peer" vsock >"$WORK/log/peer" 2>&1 &
	_peer=$!
	vm "want:GUEST-NET put=" "shell:$VMM pause a" "shell:$VMM resume a" "shell:$VMM reset a" \
		"want:GUEST-NET put=" "send:go on\\n" "want:GUEST-VSOCK echoed=65536" exit:0 -- \
		$(virtio 6.1) --virtio-transport mmio --name a --vsock 4294967294 -p "$QUIET t=vsock m=1 h=1"
	kill $_peer
	wait $_peer 2>/dev/null || true
	grep -q "^CID 4294967294 echoes 16 of 16" "$WORK/log/peer" || fail "the host says: $(tail -n 1 "$WORK/log/peer")"
	[ "$(console | grep -c "^GUEST-NET .* same=1")" = 4 ] || fail "not two boots: $(console)"
}

# Thousands of connections to somebody who reads nothing: they are the guest's and the host
# kernel's, by whose credit each is held up, and vmm has none of it.
scenario vsock-flood "6.12-n1"
vsock_flood()
{
	need_vsock
	"$NEST/peer" deaf >"$WORK/log/peer" 2>&1 &
	_peer=$!
	vm want:GUEST-READY "shell:sh $NEST/scenario one hostile_before" "want:GUEST-FLOOD connected=" \
		"shell:sh $NEST/scenario one hostile_after" "shell:$VMM pause a" "shell:$VMM resume a" \
		"send:end\\n" "want:GUEST-FLOOD ends" exit:0 -- \
		$(virtio 6.12) --name a --vsock 77 -p "$QUIET t=vsock-flood n=2000"
	kill $_peer
	wait $_peer 2>/dev/null || true
	connected=$(console | sed -n 's/^GUEST-FLOOD connected=\([0-9]*\) .*/\1/p')
	[ "${connected:-0}" -ge 2000 ] || fail "${connected:-no} connections: $(tail -n 1 "$WORK/log/peer")"
	note "$(console | sed -n 's/^GUEST-FLOOD \(connected.*\)/\1/p'); descriptors, threads, KiB: $(echo $(cat "$WORK/log/before")), then $(echo $(cat "$WORK/log/after"))"
	silent
}
