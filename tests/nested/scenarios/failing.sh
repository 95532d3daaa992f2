# SPDX-License-Identifier: BSD-2-Clause
#
# failing.sh - hosts that fail a guest that runs

CGROUPS=/sys/fs/cgroup

# Out of memory is the end of the one whose limit it is, of nobody else, and leaves nothing
# that is in the way.
scenario memory-limit "6.12-a76 6.12-16k"
memory_limit()
{
	need_root
	[ "$HOST" != native ] || say_skip "makes cgroups"
	grep -qw memory $CGROUPS/cgroup.controllers || say_skip "no memory controller"
	echo +memory >$CGROUPS/cgroup.subtree_control
	mkdir $CGROUPS/limit
	echo 24M >$CGROUPS/limit/memory.max
	launch other FLAT $(flat) -p t=spin
	other=$pid
	ret=0
	(
		sh -c "echo \$PPID" >$CGROUPS/limit/cgroup.procs
		exec "$VMM" run $(linux 6.1) --name limited -p "$QUIET"
	) </dev/null >"$WORK/log/limited.console" 2>"$WORK/log/limited.stderr" || ret=$?
	[ $ret = 137 ] || fail "exit status $ret: $(cat "$WORK/log/limited.stderr")"
	grep -q '^oom_kill [1-9]' $CGROUPS/limit/memory.events || fail "$(cat $CGROUPS/limit/memory.events)"
	status 0 "$VMM" stat other
	# The same name again, and within the limit.
	(
		sh -c "echo \$PPID" >$CGROUPS/limit/cgroup.procs
		exec "$VMM" run $(flat) --name limited
	) </dev/null >"$WORK/log/limited.console" 2>"$WORK/log/limited.stderr" ||
		fail "exit status $?: $(cat "$WORK/log/limited.stderr")"
	status 0 "$VMM" stop --force other
	status 12 wait $other
	rmdir $CGROUPS/limit
	echo -memory >$CGROUPS/cgroup.subtree_control
}

# The host's clock is set, a day on and a week back, under a guest that has its own: it
# goes on, --timeout waits as long as was said, and so does who counts.
scenario clock-jumps "6.12-a76"
clock_jumps()
{
	need_root
	[ "$HOST" != native ] || say_skip "sets the clock"
	log=$WORK/log
	export VMM log
	now=$(date +%s)
	vm want:GUEST-LISTENS "shell:date -s @$((now + 86400)) >/dev/null" sleep:300 "send:one\n" "want:ECHO one" \
		"shell:date -s @$((now - 604800)) >/dev/null && \$VMM stat jumps >\$log/stat" "send:two\n" \
		"want:ECHO two" "shell:date -s @$((now + 5)) >/dev/null" "send:quit\n" exit:0 -- \
		$(linux 6.1) --name jumps --timeout 600 -p "$QUIET t=echo"
	silent
	grep -q "^jumps: running, process [0-9]*, up 0:[0-9]*$" "$log/stat" || fail "$(cat "$log/stat")"
}

# The program is stopped in the middle of a transfer, for longer than a guest's watchdog
# would like, and goes on with every byte; then its tap interface is deleted under it: the
# guest sees that the cable is out, and runs on.
scenario stopped-and-tap-deleted "6.1-a76"
stopped_and_tap_deleted()
{
	[ "$HOST" != native ] || say_skip "deletes an interface"
	need_tap
	ADDR=192.168.33.15 PEER=192.168.33.1 peer tap_deleted
	same_bytes $((8 << 20))
	grep -q "^net: running" "$WORK/log/stat" || fail "$(cat "$WORK/log/stat")"
	stderr | grep -q "net0.*File descriptor in bad state" || fail "it says: $(stderr)"
	[ "$(stderr | wc -l)" -le 3 ] || fail "$(stderr | wc -l) lines of log"
}

tap_deleted()
{
	vm want:GUEST-LINK kill:STOP sleep:3000 kill:CONT "want:GUEST-NET got=$((8 << 20))" kill:STOP sleep:1000 \
		kill:CONT "want:GUEST-NET put=$((8 << 20))" "shell:ip link del tap0" "want:GUEST-LINK carrier=0" \
		"shell:$VMM stat net >$WORK/log/stat" "shell:$VMM stop --force net" exit:12 -- \
		$(virtio 6.1) --name net --loglevel info -n mode=tap -p "$QUIET t=net l=1 a=$ADDR p=$PEER m=8"
}

# Deleted under a card with two queues: it is said once, by the guest's link too.  Under one whose
# frames the kernel has nobody hears of it.  Either way nobody is busy with it, and the guest goes on
# to its end.
scenario tap-deleted-each "6.1-a76"
tap_deleted_each()
{
	[ "$HOST" != native ] || say_skip "deletes an interface"
	for module in tun tap vhost_iotlb vhost vhost_net; do
		host_module $module
	done
	need_tap
	[ -c /dev/vhost-net ] || say_skip "no /dev/vhost-net"
	ADDR=192.168.33.15 PEER=192.168.33.1
	peer tap_deleted_with mq=2 "want:GUEST-LINK carrier=0"
	same_bytes $((1 << 20))
	[ "$(stderr | grep -c "net0: the link is down, its peer has gone")" = 1 ] || fail "it says: $(stderr)"
	[ "$(stderr | wc -l)" -le 3 ] || fail "$(stderr | wc -l) lines of log"
	for keys in vhost=1 vhost=1,mq=2; do
		peer tap_deleted_with $keys shell::
		same_bytes $((1 << 20))
		[ "$(stderr | wc -l)" -le 3 ] || fail "$keys: it says: $(stderr)"
	done
}

tap_deleted_with()	# KEYS STEP
{
	vm "want:GUEST-NET put=$((1 << 20))" "shell:ip link del tap0" "$2" "shell:sh $NEST/scenario one asleep" \
		"want:GUEST-LINK carrier=" exit:0 -- \
		$(virtio 6.1) -c 2 --io-threads 2 --name net --loglevel info -n "mode=tap,$1" \
		-p "$QUIET t=net l=1 a=$ADDR p=$PEER m=1"
}
