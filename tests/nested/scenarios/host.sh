# SPDX-License-Identifier: BSD-2-Clause
#
# host.sh - what vmm tells of the host and of running guests

# says FILE PATTERN...: each of them is in it
says()
{
	_file=$1
	shift
	for _pattern; do
		grep -q -e "$_pattern" "$_file" || fail "no '$_pattern' in: $(cat "$_file")"
	done
}

# How many CPUs of the table have a PMU: column 5.
cpus_with_pmu()
{
	sed -n '/^CPU/,/^$/p' "$1" | awk '$1 ~ /^[0-9]/ && $5 != "-" { n++ } END { print n + 0 }'
}

scenario host-table "6.1-a76 6.12-max 6.1-gicv2 two-6.12 half-6.1"
host_table()
{
	out=$WORK/log/host
	"$VMM" host >"$out" || fail "exit status $?"
	says "$out" "^host  *Linux $(uname -r), aarch64" "^KVM  *version 12, at most [1-9]" \
		"^GIC  *gicv[23]" "RLIMIT_MEMLOCK" "^sandbox  *seccomp filters, Landlock version [1-9], user namespaces$" "^0  *yes  *yes" "^vmm run --spe: "
	[ "$(sed -n '/^CPU/,/^$/p' "$out" | grep -c '^[0-9]')" = "$(nproc)" ] || fail "$(cat "$out")"
	case $HOST in
	6.1-gicv2) says "$out" "^GIC  *gicv2$" "Cortex-A76" ;;
	6.1-a76) says "$out" "^GIC  *gicv3, gicv3-its$" "Cortex-A76" "for guests .*PMU" ;;
	6.12-max) says "$out" "for guests  PMU, SVE, pointer authentication, MTE" ;;
	esac
	case $HOST in
	6.1-gicv2) [ "$(cpus_with_pmu "$out")" = 0 ] || fail "a PMU: $(cat "$out")" ;;
	half-*) [ "$(cpus_with_pmu "$out")" = 2 ] || fail "not two with a PMU: $(cat "$out")" ;;
	two-*)
		[ "$(cpus_with_pmu "$out")" = 4 ] || fail "some without a PMU: $(cat "$out")"
		[ "$(sed -n '/^CPU/,/^$/p' "$out" | awk '/^[0-9]/ { print $5 }' | sort -u |
			wc -l)" = 2 ] || fail "not two PMUs: $(cat "$out")"
		;;
	esac

	"$VMM" host --json >"$out.json" || fail "exit status $?"
	says "$out.json" '"usable": true' '"gicv[23]"' '"midr": "0x' '"verdict": {'

	# None of the emulated hosts has SPE.
	[ "$HOST" != native ] || return 0
	ret=0
	"$VMM" host --spe >"$out.spe" || ret=$?
	[ $ret = 1 ] || fail "--spe: exit status $ret"
	[ "$(wc -l <"$out.spe")" = 1 ] || fail "$(cat "$out.spe")"
	says "$out.spe" "^vmm run --spe: no, because .*SPE"
}

# Neither root nor KVM is needed, and CPUs that are offline are told.
scenario host-without "6.1-a76"
host_without()
{
	need_root
	[ "$HOST" != native ] || say_skip "takes /dev/kvm away"
	out=$WORK/log/host
	chmod 600 /dev/kvm
	"$NEST/drive" -u 65534 -o "$out" -e "$out.err" exit:0 -- "$VMM" host ||
		fail "exit status: $(cat "$out.err")"
	says "$out" "^KVM  *no: no permission to open /dev/kvm" "^0  *yes  *yes  *Cortex-A76" "user namespaces$"
	max=$(cat /proc/sys/user/max_user_namespaces)
	echo 0 >/proc/sys/user/max_user_namespaces
	"$VMM" host >"$out" || true
	echo "$max" >/proc/sys/user/max_user_namespaces
	says "$out" "^sandbox .*no user namespaces: none for helpers"
	mv /dev/kvm /dev/kvm.away
	echo 0 >/sys/devices/system/cpu/cpu1/online
	ret=0
	"$VMM" host >"$out" || ret=$?
	echo 1 >/sys/devices/system/cpu/cpu1/online
	mv /dev/kvm.away /dev/kvm
	[ $ret = 0 ] || fail "exit status $ret"
	says "$out" "^KVM  *no: there is no /dev/kvm" "^1  *no  *-"
}

scenario stat-table "6.1-a76 two-6.12"
stat_table()
{
	log=$WORK/log
	pmu=
	case $HOST in
	two-*) pmu=--pmu ;;
	esac
	export VMM log
	vm want:FLAT 'shell:$VMM stat >$log/stat && $VMM stat --json web >$log/json && $VMM list >$log/list' \
		'shell:! $VMM run --kernel /proc/self/exe --name web </dev/null 2>$log/twice' \
		kill:STOP 'shell:! $VMM stat web 2>$log/stopped && $VMM list >$log/list.stopped' kill:CONT \
		kill:TERM sleep:200 kill:TERM exit:12 -- $(flat) -c 2 $pmu --name web -p t=spin
	silent
	says "$log/stat" "^web: running, process [0-9]*, up [0-9]*:" "^vCPU  thread  on CPU" \
		"^0  *[0-9]*  *[0-9]  *running  *[1-9]" "^1  *[0-9]*  *[0-9-]  *running"
	case $HOST in
	two-*) says "$log/stat" "^0 .* [0-9]-[0-9] (PMU " ;;
	*) says "$log/stat" "^0 .* any$" ;;
	esac
	says "$log/json" '"name": "web"' '"state": "running"' '"repin_latency": \[' '"wrong_cpu": 0'
	says "$log/list" "^name  *process  *vCPUs" "^web  *[0-9]*  *2  *running  *[0-9]"
	says "$log/twice" "Fatal: --name web: a guest of this name is running"
	says "$log/stopped" "Fatal: web: it does not answer"
	says "$log/list.stopped" "^web .*no answer"
	ret=0
	"$VMM" stat web 2>"$log/gone" || ret=$?
	[ $ret = 1 ] || fail "after its end: exit status $ret"
	says "$log/gone" "web: no guest of this name is running"
	[ -z "$("$VMM" list)" ] || fail "still listed: $("$VMM" list)"
}

# What a killed one leaves is replaced by the next of its name, or removed.
scenario stat-killed "6.1-a76"
stat_killed()
{
	sock=$XDG_RUNTIME_DIR/vmm/web.sock
	for i in 1 2; do
		"$VMM" run $(flat) --name web -p t=spin </dev/null >"$WORK/log/killed" 2>&1 &
		pid=$!
		n=0
		until grep -q FLAT "$WORK/log/killed"; do
			n=$((n + 1))
			[ $n -lt 300 ] || fail "it does not start: $(cat "$WORK/log/killed")"
			sleep 0.1
		done
		[ "$(ls -l "$sock" | cut -c1-10)" = "srw-------" ] || fail "$(ls -l "$sock")"
		[ "$(ls -ld "${sock%/*}" | cut -c1-10)" = "drwx------" ] || fail "$(ls -ld "${sock%/*}")"
		kill -9 $pid
		wait $pid || true
		[ -e "$sock" ] || fail "no socket is left"
	done
	[ -z "$("$VMM" list)" ] || fail "it is listed: $("$VMM" list)"
	[ ! -e "$sock" ] || fail "the socket is still there"
}

# Without a directory there is a warning, and the guest runs; a start that fails has
# its own line alone.
scenario stat-nowhere "6.1-a76"
stat_nowhere()
{
	XDG_RUNTIME_DIR=/nonexistent
	vm "want:EXIT: STATUS=1" exit:0 -- $(flat) --nodefaults
	[ "$(stderr | wc -l)" = 1 ] || fail "$(stderr)"
	stderr | grep -q "warning: no control socket: /nonexistent/vmm" || fail "$(stderr)"
	refused 4 "No such file" $(flat) --dev /nonexistent
}
