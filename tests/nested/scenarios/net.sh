# SPDX-License-Identifier: BSD-2-Clause
#
# net.sh - network cards, with Debian's driver, through tap interfaces and Debian's passt

# What the emulated hosts have as modules.
host_module()	# NAME
{
	[ -n "${NESTED-}" ] || { modprobe "$1" 2>/dev/null || true; return 0; }
	insmod "$NEST/$1-$(uname -r | sed 's/^\([0-9]*\.[0-9]*\).*/\1/').ko" 2>/dev/null || true
}

need_tap()
{
	need_root
	host_module tun
	[ -c /dev/net/tun ] || say_skip "no /dev/net/tun"
}

# peer DO...: with the other end of the transfers at work.
peer()
{
	"$NEST/peer" >"$WORK/log/peer" 2>&1 &
	_peer=$!
	_status=0
	"$@" || _status=$?
	kill $_peer
	wait $_peer 2>/dev/null || true
	return $_status
}

# As many bytes both ways, and the same ones: so say both ends.
same_bytes()	# BYTES [BYTES-UPWARDS]
{
	for way in sent received; do
		[ $way = sent ] && bytes=$1 || bytes=${2:-$1}
		sum=$(sed -n "s/^$way $bytes //p" "$WORK/log/peer")
		[ ${#sum} -eq 16 ] || fail "the host has not $way it: $(tail -n 1 "$WORK/log/peer")"
		console | grep -q "^GUEST-NET .* sum=$sum same=1" || fail "the guest's sum is not $sum"
	done
	note "$(console | sed -n 's/^GUEST-NET \(got\|put\)=[0-9]* ms=\([0-9]*\) .*/\1: \2 ms/p' | tr '\n' ' ')"
}

# net KERNEL MIB OPTION...: the guest is ADDR and talks to PEER; then its cable is taken
# out and put in.
net()
{
	kernel=$1 mib=$2
	shift 2
	vm "want:GUEST-NET got=$((mib << 20))" "want:GUEST-NET put=$((mib << 20))" \
		"shell:$VMM link net 0 down" "want:GUEST-LINK carrier=0" \
		"shell:$VMM link net up" "want:GUEST-LINK carrier=1" ${EXPECT:+"want:$EXPECT"} exit:0 -- \
		$(virtio "$kernel") --name net "$@" \
		-p "$QUIET t=net l=1 a=$ADDR p=$PEER m=$mib${EXPECT:+ rings=1}"
}

# 100 MiB each way, or MIB; an emulated guest has less than a real one.
amount()
{
	if [ "$HOST" = native ]; then echo 1000; else echo "${MIB:-100}"; fi
}

tap_transfer()	# KERNEL OPTION...
{
	kernel=$1
	shift
	need_tap
	ADDR=192.168.33.15 PEER=192.168.33.1 peer net "$kernel" "$(amount)" -n "${NIC:-mode=tap}" "$@"
	same_bytes $(($(amount) << 20))
	console | grep -q "GUEST-LINK mac=02:15:15:15:15:15 mtu=1500 carrier=1 pairs=${PAIRS:-1}" || fail "the link is not as it shall be"
	silent
}

scenario net-tap-mmio "6.1-a76"
net_tap_mmio()
{
	tap_transfer 6.1 --virtio-transport mmio
}

scenario net-tap-pci "6.12-a76"
net_tap_pci()
{
	MIB=32 NIC=mode=tap,mq=2 PAIRS=2 tap_transfer 6.12 --virtio-transport pci --cpus 2 --io-threads 2
}

# Packed rings, of two pairs and the control queue; disk-fio has them behind virtio-mmio.
scenario net-packed "6.12-a76"
net_packed()
{
	MIB=8 EXPECT="GUEST-RINGS packed=1 of=1." NIC=mode=tap,mq=2 PAIRS=2 \
		tap_transfer 6.12 --virtio-transport pci --virtio-ring packed --cpus 2 --io-threads 2
}

scenario net-vhost "6.1-a76 6.12-n1"
net_vhost()
{
	for module in tun tap vhost_iotlb vhost vhost_net; do
		host_module $module
	done
	[ -c /dev/vhost-net ] || say_skip "no /dev/vhost-net"
	case $HOST in
	6.1-*) NIC=mode=tap,vhost=1 tap_transfer 6.1 --virtio-transport mmio ;;
	*) NIC=mode=tap,vhost=1,mq=2 PAIRS=2 tap_transfer 6.12 --virtio-transport pci --cpus 2 ;;
	esac
}

scenario net-tap-script "6.12-n1"
net_tap_script()
{
	need_tap
	cat >"$WORK/files/up" <<-END
		#!/bin/sh
		ip addr add 10.8.0.1/24 dev \$1
		ip link set \$1 up
		echo "up \$1" >>$WORK/files/said
	END
	sed 's/^ip.*//; s/up /down /' "$WORK/files/up" >"$WORK/files/down"
	chmod 755 "$WORK/files/up" "$WORK/files/down"
	ADDR=10.8.0.15 PEER=10.8.0.1 peer net 6.12 10 \
		-n "script=$WORK/files/up,downscript=$WORK/files/down,guest_mac=02:00:00:00:00:09,mtu=1400"
	same_bytes $((10 << 20))
	console | grep -q 'GUEST-LINK mac=02:00:00:00:00:09 mtu=1400 carrier=1' || fail "the link is not as it shall be"
	[ "$(tr '\n' ' ' <"$WORK/files/said")" = "up tap0 down tap0 " ] || fail "the scripts: $(cat "$WORK/files/said")"
	silent
}

scenario net-refused "6.1-a57"
net_refused()
{
	refused 4 "passt cannot be started" $(flat) -n mode=user
	need_tap
	refused 2 "of no tap interface" $(flat) -n fd=0
}

# ---- passt --------------------------------------------------------------------

# A user who may use KVM and nothing else, and a host that has an address.
need_passt()
{
	if [ -z "${NESTED-}" ]; then
		command -v passt >/dev/null || say_skip "passt is not installed"
		say_skip "the scenario is for a host whose addresses it knows"
	fi
	host_module dummy
	ip link set dummy0 up
	ip addr add 10.9.0.2/24 dev dummy0 2>/dev/null || true
	ip route add default via 10.9.0.1 dev dummy0 2>/dev/null || true
	chmod 666 /dev/kvm
	grep -q nobody /etc/passwd || echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>/etc/passwd
	mkdir -p "$WORK/files/bin"
	cat >"$WORK/files/bin/passt" <<-END
		#!/bin/sh
		echo \$\$ >$WORK/files/pid
		exec $NEST/passt/ld-linux-aarch64.so.1 --library-path $NEST/passt $NEST/passt/passt "\$@"
	END
	chmod 755 "$WORK/files/bin/passt"
	chown 1000:1000 "$WORK/run" "$WORK/tmp" "$WORK/files"
	export PATH="$WORK/files/bin:$PATH"
	ADDR=10.9.0.2 PEER=10.9.0.1
}

scenario net-passt-mmio "6.12-n1"
net_passt_mmio()
{
	need_passt
	peer net_user 6.12 "$(amount)" -n mode=user --virtio-transport mmio
	same_bytes $(($(amount) << 20)) $((10 << 20))
	console | grep -q 'GUEST-LINK mac=02:15:15:15:15:15 mtu=65520 carrier=1' || fail "the link is not as it shall be"
}

# Upwards it is little: what a socket of passt's has no room for at the moment is lost, and
# the guest has to send it again, here every sixth segment.
net_user()
{
	kernel=$1 mib=$2
	shift 2
	vm -u 1000 "want:GUEST-NET got=$((mib << 20))" "want:GUEST-NET put=$((10 << 20))" exit:0 -- \
		$(virtio "$kernel") "$@" -p "$QUIET t=net a=$ADDR p=$PEER m=$mib u=10"
}

# Killed in the middle of a transfer, three times over.
scenario net-passt-killed "6.12-n1"
net_passt_killed()
{
	need_passt
	kill_it="shell:kill -KILL \$(cat $WORK/files/pid)"
	peer vm -u 1000 "want:GUEST-CHUNK 2 " "$kill_it" "want:GUEST-CHUNK 4 " "$kill_it" \
		"want:GUEST-CHUNK 6 " "$kill_it" "want:GUEST-CHUNK 8 " "want:GUEST-CHUNKS" exit:0 -- \
		$(virtio 6.12) --loglevel info -n mode=user -p "$QUIET t=chunks a=$ADDR p=$PEER m=2"
	lost=$(stderr | grep -c "passt was ended by SIGKILL; the link is down")
	again=$(stderr | grep -c "passt runs again")
	[ "$lost" = 3 ] || fail "its end was reported $lost times"
	changes=$(console | sed -n 's/^GUEST-CHUNKS good=8 .*changes=\([0-9]*\)$/\1/p')
	[ "${changes:-0}" -ge 4 ] || fail "the guest saw ${changes:-no} changes of its link"
	note "$lost ends, $again new starts, $changes changes of the guest's link"
}

# ---- Served by another process ------------------------------------------------

# A passt that does so, as it is started by hand, by which it becomes nobody: process
# $served at $socket.
serve()	# OPTION-OF-PASST...
{
	mkdir -p -m 777 "$WORK/files/nobody"
	socket=$WORK/files/nobody/socket
	"$NEST/net/lib/ld-linux-aarch64.so.1" --library-path "$NEST/net/lib" "$NEST/net/passt" \
		--foreground --one-off --vhost-user --socket "$socket" "$@" >"$WORK/log/passt" 2>&1 &
	served=$!
	for _ in $(seq 100); do
		[ ! -S "$socket" ] || return 0
		sleep 0.1
	done
	fail "it does not listen: $(tail -n 1 "$WORK/log/passt")"
}

# What it was rung for is there, the link is the cable's, and goes down with the backend.
scenario net-vhost-user "6.12-a76"
net_vhost_user()
{
	[ -d "$NEST/net" ] || say_skip "needs a passt that knows vhost-user"
	need_passt
	mib=$(($(amount) / 4))
	serve
	peer vm "want:GUEST-NET got=$((mib << 20))" "want:GUEST-NET put=$((mib << 20))" \
		"shell:$VMM link net 0 down" "want:GUEST-LINK carrier=0" \
		"shell:$VMM link net up" "want:GUEST-LINK carrier=1" \
		"shell:kill -KILL $served" "want:GUEST-LINK carrier=0" exit:0 -- \
		$(virtio 6.12) --name net -n "mode=vhost-user,socket=$socket,guest_mac=02:00:00:00:00:07,mtu=9000" \
		-p "$QUIET t=net l=2 a=$ADDR p=$PEER m=$mib"
	wait $served || true
	rm -f "$socket"
	same_bytes $((mib << 20))
	console | grep -q 'GUEST-LINK mac=02:00:00:00:00:07 mtu=9000 carrier=1' || fail "the link is not as it shall be"
	stderr | grep -q "net0: waits for a reset: its backend has gone" || fail "its end is not told"
	refused 4 "Unable to connect to $socket" $(flat) -n "mode=vhost-user,socket=$socket"
}

# Until there is $WORK/files/end, one after the other; process $WORK/files/pid.
keep_serving()
{
	until [ -e "$WORK/files/end" ]; do
		serve
		echo $served >"$WORK/files/pid"
		wait $served || true
		rm -f "$socket"
	done
	touch "$WORK/files/ended"
}

# Killed in the middle of a transfer, twice: the card goes on with the next.
scenario net-reconnect "6.12-a76"
net_reconnect()
{
	[ -d "$NEST/net" ] || say_skip "needs a passt that knows vhost-user"
	need_passt
	socket=$WORK/files/nobody/socket
	keep_serving &
	until [ -e "$WORK/files/pid" ]; do
		sleep 0.1
	done
	kill_it="shell:kill -KILL \$(cat $WORK/files/pid)"
	peer vm "want:GUEST-CHUNK 2 " "$kill_it" "want:GUEST-CHUNK 4 " "$kill_it" \
		"want:GUEST-CHUNKS" exit:0 -- \
		$(virtio 6.12) --virtio-transport mmio --loglevel info -n "mode=vhost-user,socket=$socket,reconnect=1" \
		-p "$QUIET t=chunks a=$ADDR p=$PEER m=1" || status=$?
	touch "$WORK/files/end"
	until [ -e "$WORK/files/ended" ]; do
		kill -KILL $(cat "$WORK/files/pid") 2>/dev/null || true
		sleep 0.1
	done
	[ -z "${status-}" ] || return 1
	lost=$(stderr | grep -c "net0: its backend has gone; requests wait for another" || true)
	again=$(stderr | grep -c "net0: has another backend, and goes on" || true)
	[ "$lost $again" = "2 2" ] || fail "it went $lost times, and came $again times"
	changes=$(console | sed -n 's/^GUEST-CHUNKS good=8 .*changes=\([0-9]*\)$/\1/p')
	[ "${changes:-0}" -ge 4 ] || fail "the guest saw ${changes:-no} changes of its link"
}

# iperf3 both ways: on a tap interface, by a passt of ours, and by one that has the rings.
scenario net-iperf "6.12-a76"
net_iperf()
{
	[ -d "$NEST/net" ] || say_skip "needs iperf3 and a passt that knows vhost-user"
	need_passt
	need_tap
	cat "$NEST/virtio-6.12.cpio" "$NEST/iperf.cpio" >"$WORK/files/initrd"
	serve --address 10.7.2.2 --netmask 24 --gateway 10.7.2.1
	"$NEST/net/iperf/lib/ld-linux-aarch64.so.1" --library-path "$NEST/net/iperf/lib" \
		"$NEST/net/iperf/iperf3" -s >"$WORK/log/iperf" 2>&1 &
	iperf=$!
	status=0
	vm want:status=0. want:status=0. want:status=0. want:status=0. want:status=0. want:status=0. \
		exit:0 -- $(virtio 6.12) --initrd "$WORK/files/initrd" --mem 384 \
		-n host_ip=10.7.0.1 -n mode=user,guest_ip=10.7.1.2,host_ip=10.7.1.1 \
		-n "mode=vhost-user,socket=$socket" -p "$QUIET t=iperf" || status=$?
	kill $iperf
	wait $iperf $served || true
	rm -f "$socket"
	[ $status -eq 0 ] || return $status
	received=$(console | awk '/ receiver$/ && $5 + 0 > 0 { print $5 }' | tr '\n' ' ')
	[ "$(echo $received | wc -w)" = 6 ] || fail "not all has come through: $received"
	note "MB received: $received"
}
