# SPDX-License-Identifier: BSD-2-Clause
#
# placement.sh - vCPUs on the CPUs that they need, whatever is done to them
#
# The hosts "two-*" have a PMU for CPUs 0 and 1 and another for CPUs 2 and 3, and
# "half-*" has one for CPUs 2 and 3: KVM runs a vCPU that has it nowhere else.

A57=armv8_cortex_a57	# 0-1
A53=armv8_cortex_a53	# 2-3, and the default: by name the first of equals
CGROUP=/sys/fs/cgroup
CPU=/sys/devices/system/cpu

emulated()
{
	[ "$HOST" != native ] || say_skip "made for the CPUs of an emulated host"
	# Whatever the last one has left.
	for file in $CPU/cpu[1-9]*/online; do
		[ ! -e "$file" ] || echo 1 >"$file"
	done
}

online()	# CPU 0|1
{
	echo "$2" >"$CPU/cpu$1/online"
}

# A step that runs a function of this file.
step()	# NAME
{
	echo "shell:sh $NEST/scenario one $1"
}

# ... which sees PID, and the guest by the name "storm".  The sum over its vCPUs:
counted()	# wrong_cpu|repins|stalls
{
	"$VMM" stat storm --json | awk -F '[:,]' -v key="\"$1\"" '
		index($1, key) { n += $2; found = 1 }
		END { if (!found) exit 1; print n }'
}

# Waits until standard error has N lines with TEXT.
said()	# N TEXT
{
	for i in $(seq 300); do
		[ "$(grep -c -e "$2" "$WORK/log/vm.stderr")" -lt "$1" ] || return 0
		sleep 0.1
	done
	fail "not $1 lines on standard error with: $2"
}

threads_on()	# vcpu|others LIST: all of these threads may run just there
{
	for dir in /proc/"$PID"/task/*; do
		case $(cat "$dir/comm") in
		vcpu*) [ "$1" = vcpu ] || continue ;;
		*) [ "$1" = others ] || continue ;;
		esac
		list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$dir/status")
		[ "$list" = "$2" ] || fail "$(cat "$dir/comm") may run on $list, not $2"
	done
}

on_0_1()
{
	threads_on vcpu 0-1
	threads_on others 0-3
}

on_2_3()
{
	threads_on vcpu 2-3
	threads_on others 0-3
}

spins_on()	# LIST OPTIONS
{
	check=$(echo "on_$1" | tr - _)
	shift
	vm want:FLAT "$(step "$check")" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -c 2 -p t=spin "$@"
}

scenario placement-pmu "two-*"
placement_pmu()
{
	emulated
	spins_on 2-3 --pmu
	spins_on 0-1 --pmu=$A57
	# The PMU of the CPUs that are left, also if it is not the default.
	spins_on 0-1 --pmu --vcpu-affinity 0-1
	refused 4 "no armv8_nothing.*: $A53, $A57" $(flat) --pmu=armv8_nothing
	refused 4 "no CPU is both in the CPUs asked for (0-1) and in PMU $A53 (2-3)" \
		$(flat) --pmu=$A53 --vcpu-affinity 0-1
	refused 4 "vCPU 1.*(0) and in PMU $A53 (2-3)" $(flat) -c 2 --pmu=$A53 --vcpu-affinity 0=2:1=0
}

# ---- The storm -----------------------------------------------------------------

group()	# NAME CPUS
{
	[ -d "$CGROUP/$1" ] || mkdir "$CGROUP/$1"
	echo "$2" >"$CGROUP/$1/cpuset.cpus"
}

ungroup()	# NAME...
{
	for name; do
		[ ! -d "$CGROUP/$name" ] || rmdir "$CGROUP/$name"
	done
}

# What the guest says at its end: nothing went wrong, and no line of its console
# was lost or came twice.
storm_is_over()
{
	console | grep -q 'GUEST-STORM good=\(.\) of=\1 .* wrong=0 backwards=0 early=0 uncounted=0\.' ||
		fail "$(console | tail -n 1)"
	console | grep '^LINE' | awk '$2 != NR { bad = 1 } END { exit bad || !NR }' ||
		fail "the console's lines are not all there, or not in order"
}

storm_steady()
{
	on_2_3
	sleep 1
	[ "$(counted wrong_cpu)" = 0 ] || fail "wrong-CPU exits in a steady run: $(counted wrong_cpu)"
}

storm_moves()
{
	"$NEST/mover" storm "$PID" 1000 0,1 $CGROUP/low $CGROUP/high >"$WORK/files/moves" ||
		fail "$(cat "$WORK/files/moves")"
	back=$(sed -n 's/.* back=//p' "$WORK/files/moves")
	wrong=$(counted wrong_cpu) repins=$(counted repins)
	echo "$(cat "$WORK/files/moves") wrong_cpu=$wrong repins=$repins"
	[ "$back" -gt 600 ] && [ "$wrong" -ge "$back" ] && [ "$repins" -ge "$back" ] ||
		fail "it counts $wrong wrong-CPU exits and $repins re-pins: $(cat "$WORK/files/moves")"
	[ "$(counted stalls)" = 0 ] || fail "it stalled"
}

# Neither group forbids all of the right CPUs.
scenario placement-storm "two-*"
placement_storm()
{
	emulated
	echo +cpuset >$CGROUP/cgroup.subtree_control
	group low 0-2
	group high 0,1,3
	PATIENCE=250 vm want:GUEST-READY "want:GUEST-MORE" "$(step storm-steady)" \
		"send:more\n" "want:GUEST-MORE" "$(step storm-moves)" \
		"send:more\n" "want:GUEST-MORE" "send:end\n" want:GUEST-STORM exit:0 -- \
		$(linux 6.1) -c 2 --pmu --name storm -p "$QUIET t=storm"
	storm_is_over
	silent
	note "$(sed -n 's/^MOVER //p' "$WORK/log/vm.verdict")"
	note "$(console | sed -n 's/^GUEST-STORM //p')"
	ungroup low high
}

# ---- Nowhere to go ---------------------------------------------------------------

switches()
{
	cat /proc/"$PID"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'
}

stall_offline()
{
	online 2 0
	[ "$(counted stalls)" = 0 ] || fail "it stalled with CPU 3 online"
	online 3 0
	said 2 "vcpu[01]: stalled: no online CPU among 2-3 (PMU $A53)"
	"$VMM" stat storm --json >"$WORK/files/stat"
	grep -q '"reason": "vcpu[01]: stalled: no online CPU among 2-3' "$WORK/files/stat" ||
		fail "$(cat "$WORK/files/stat")"
	[ "$(grep -c '"state": "stalled"' "$WORK/files/stat")" -eq 3 ] || fail "$(cat "$WORK/files/stat")"
	# It waits: nothing runs.
	before=$(switches)
	sleep 2
	[ "$(switches)" = "$before" ] || fail "it is not asleep: $before, $(switches)"
	# The wrong ones come and go.
	online 1 0
	online 1 1
	online 3 1
	said 2 "vcpu[01]: goes on, on CPUs 2-3 (PMU $A53)"
}

stall_back()
{
	online 2 1
	[ "$(counted stalls)" = 2 ] || fail "$(counted stalls) stalls"
}

to_group()	# NAME
{
	echo "$PID" >"$CGROUP/$1/cgroup.procs"
}

# The set changes under it, it is moved into another one, and both at once.
stall_cpuset()
{
	group here 0-3
	group there 0,1
	to_group here
	group here 0-1
	said 2 "vcpu[01]: stalled: the cpuset of this process allows CPUs 0-1, none among 2-3"
	group here 0,3
	said 4 "vcpu[01]: goes on"
	to_group there
	said 4 "vcpu[01]: stalled: the cpuset of this process allows CPUs 0-1, none among 2-3"
	to_group here
	said 6 "vcpu[01]: goes on"
	to_group there
	said 6 "vcpu[01]: stalled: the cpuset"
	group there 1-2
	said 8 "vcpu[01]: goes on"
	echo "$PID" >$CGROUP/cgroup.procs
	ungroup here there
}

scenario placement-stall "two-*"
placement_stall()
{
	emulated
	echo +cpuset >$CGROUP/cgroup.subtree_control
	PATIENCE=250 vm want:GUEST-READY "want:GUEST-MORE" \
		"$(step stall-offline)" "send:more\n" "want:GUEST-MORE" \
		"$(step stall-back)" "send:more\n" "want:GUEST-MORE" \
		"$(step stall-cpuset)" "send:more\n" "want:GUEST-MORE" \
		"send:end\n" want:GUEST-STORM exit:0 -- \
		$(linux 6.1) -c 2 --pmu --name storm -p "$QUIET t=storm"
	storm_is_over
	! stderr | grep -v 'stalled: \|goes on' | grep . || exit 1
}

right_ones_off()
{
	online 2 0
	online 3 0
}

scenario placement-stop "two-*"
placement_stop()
{
	emulated
	ret=0
	vm want:FLAT "$(step right-ones-off)" exit:1 -- \
		$(flat) -c 2 --pmu --on-no-cpu=stop -p t=spin || ret=1
	online 2 1
	online 3 1
	[ $ret = 0 ] || exit 1
	[ "$(stderr | wc -l)" -eq 1 ] || fail "$(stderr)"
	stderr | grep -q "no online CPU among 2-3 (PMU $A53)" || fail "$(stderr)"
}

# ---- What a re-pin costs -----------------------------------------------------------

# A late clock may have it ask for its affinity now and then.
count_calls()
{
	"$NEST/mover" calls "$PID" 50 0,1 >"$WORK/files/calls" || fail "$(cat "$WORK/files/calls")"
	cat "$WORK/files/calls"
	grep -q ' back=50 calls=10[0-2] setaffinity=50 ioctl=50 idle=0$' "$WORK/files/calls" ||
		fail "not one sched_setaffinity() and one KVM_RUN: $(cat "$WORK/files/calls")"
}

scenario placement-cost "two-*"
placement_cost()
{
	emulated
	vm want:FLAT "$(step count-calls)" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) --pmu -p t=spin
	note "$(sed -n 's/^MOVER //p' "$WORK/log/vm.verdict")"
}

# ---- A PMU on half of the CPUs -------------------------------------------------------

scenario placement-half "half-*"
placement_half()
{
	emulated
	vm want:FLAT "$(step on-2-3)" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -c 2 --pmu -p t=spin
	vm want:GUEST-READY "want:GUEST-PMU counts" exit:0 -- $(linux 6.1) --pmu -p "$QUIET t=pmu"
	silent
	# Nobody's business without --pmu.
	vm want:FLAT "$(step on-0-3)" kill:TERM sleep:200 kill:TERM exit:12 -- $(flat) -p t=spin
	# The rest runs as a process that may use some CPUs only.
	taskset -p 1 $$ >/dev/null
	refused 4 "the affinity of this process (0) and in PMU $A53 (2-3)" $(flat) --pmu
	refused 4 "the affinity of this process (0) and in PMU $A53 (2-3)" $(flat) --pmu=$A53
	vm want:FLAT exit:0 -- $(flat)
	taskset -p c $$ >/dev/null
	vm want:FLAT exit:0 -- $(flat) --pmu
	# The machine is made where there is one, wherever the program was started.
	for i in 1 2 3; do
		taskset -p 2 $$ >/dev/null
		taskset -p a $$ >/dev/null
		vm want:FLAT "$(step on-3)" kill:TERM sleep:200 kill:TERM exit:12 -- \
			$(flat) --pmu -p t=spin
	done
}

on_0_3()
{
	threads_on vcpu 0-3
}

# The affinity of the process is a constraint like the others.
on_3()
{
	threads_on vcpu 3
	threads_on others 1,3
}

# ---- vmm host --------------------------------------------------------------------

# The PMU of each CPU, as `vmm host --json` has it, in one line.
host_pmus()
{
	echo $(sed -n '/"cpus": \[/,/\]/s/.*"pmu": "*\([^",]*\)"*,*$/\1/p' "$WORK/files/host")
}

host_says()	# PATTERN
{
	grep -q -e "$1" "$WORK/files/host" || fail "no $1 in: $(cat "$WORK/files/host")"
}

ask_host()	# STATUS OPTIONS
{
	status=$1
	shift
	ret=0
	"$VMM" host "$@" >"$WORK/files/host" 2>"$WORK/log/vm.stderr" || ret=$?
	[ $ret = "$status" ] || fail "vmm host $*: status $ret, $(stderr)"
	silent
}

scenario host-truth "two-* half-* 6.1-a76 6.1-gicv2 6.12-max"
host_truth()
{
	emulated
	case $HOST in
	two-*) want="$A57 $A57 $A53 $A53" pmu=true ;;
	half-*) want="null null $A53 $A53" pmu=true ;;
	*-gicv2) want="null null" pmu=false ;;
	*) want="armv8_pmuv3 armv8_pmuv3" pmu=true ;;
	esac
	ask_host 0 --json
	[ "$(host_pmus)" = "$want" ] || fail "PMUs: $(host_pmus)"
	host_says '"usable": true'
	host_says "\"pmu\": $pmu"
	[ $pmu = true ] || refused 4 "PMU" $(flat) --pmu
	ask_host 0
	host_says 'vmm run --spe: no, because'
	ask_host 1 --spe
	# Without KVM it knows as much about CPUs.
	mv /dev/kvm /dev/kvm.gone
	ret=0
	(without_kvm) || ret=1
	mv /dev/kvm.gone /dev/kvm
	[ $ret = 0 ] || exit 1
}

without_kvm()
{
	ask_host 0 --json
	[ "$(host_pmus)" = "$want" ] || fail "PMUs: $(host_pmus)"
	host_says '"usable": false'
	ask_host 0
	host_says '^KVM  *no: .*/dev/kvm'
	ask_host 1 --spe
	refused 4 "/dev/kvm" $(flat)
}

# A kernel that has no SPE for guests.
scenario spe-refused "two-6.12 6.1-a76"
spe_refused()
{
	emulated
	"$VMM" run --help | grep -q -e --spe || say_skip "not there yet"
	refused 4 "SPE" $(flat) --spe
	vm want:FLAT exit:0 -- $(flat) --spe=optional
	[ "$(stderr | grep -c SPE)" -eq 1 ] || fail "$(stderr)"
}
