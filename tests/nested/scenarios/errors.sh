# SPDX-License-Identifier: BSD-2-Clause
#
# errors.sh - what cannot be done is refused in one line, with its own status

scenario options-refused "6.1-a76"
options_refused()
{
	refused 2 "no-such-option" $(flat) --no-such-option
	refused 2 "cpus" --kernel "$NEST/flat" --cpus 0
	refused 2 "cpus" --kernel "$NEST/flat" --cpus many
	refused 2 "kernel" --kernel
	refused 2 "loglevel" --kernel "$NEST/flat" --loglevel loud
}

scenario no-kvm "6.1-a76"
no_kvm()
{
	refused 4 "/nonexistent.*No such file" $(flat) --dev /nonexistent
	refused 4 "KVM device" $(flat) --dev /dev/null
}

scenario no-permission "6.1-a76"
no_permission()
{
	need_root
	[ "$HOST" != native ] || say_skip "does not change the mode of a real /dev/kvm"
	chmod 600 /dev/kvm
	AS_UID=65534 refused 4 "permission.*/dev/kvm" $(flat)
}

scenario unprivileged "6.12-a76"
unprivileged()
{
	need_root
	[ "$HOST" != native ] || say_skip "does not change the mode of a real /dev/kvm"
	chmod 666 /dev/kvm
	chmod 1777 "$WORK/cwd" "$WORK/tmp" "$WORK/run" "$WORK/home"
	ret=0
	vm -u 65534 "want:EXIT: STATUS=1" exit:0 -- $(flat) --nodefaults || ret=1
	chmod 600 /dev/kvm
	return $ret
}

scenario too-many-cpus "6.1-a76 6.1-gicv2"
too_many_cpus()
{
	refused 4 "1000" $(flat) --cpus 1000
	case $HOST in
	*gicv2) refused 4 "9" $(flat) --cpus 9 ;;	# GICv2 has 8 CPU interfaces
	esac
}

# The host runs out of descriptors: an error, not a crash, and nothing is left.
scenario few-descriptors "6.1-a57"
few_descriptors()
{
	options=$(flat)
	for n in 4 6 8 10 12 16 20 24; do
		ret=0
		(
			ulimit -n $n
			exec "$VMM" run $options --nodefaults
		) </dev/null >"$WORK/log/vm.console" 2>"$WORK/log/vm.stderr" || ret=$?
		case $ret in
		0) console | grep -q 'EXIT: STATUS=1' || fail "$n: no sign of the guest" ;;
		1 | 3 | 4) [ "$(stderr | wc -l)" -eq 1 ] || fail "$n: $(stderr)" ;;
		*) fail "$n descriptors: exit status $ret" ;;
		esac
	done
}

scenario no-memory "6.1-a57"
no_memory()
{
	ret=0
	(
		ulimit -v 100000
		exec "$VMM" run --kernel "$NEST/flat" --mem 1G --cpus 1
	) </dev/null >"$WORK/log/vm.console" 2>"$WORK/log/vm.stderr" || ret=$?
	[ $ret = 1 ] || [ $ret = 4 ] || fail "exit status $ret"
	[ "$(stderr | wc -l)" -eq 1 ] || fail "$(stderr)"
}
