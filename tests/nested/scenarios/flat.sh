# SPDX-License-Identifier: BSD-2-Clause
#
# flat.sh - images without a header, and the way kvm-unit-tests runs them

# The image judges its entry state itself: registers, exception level, masks,
# MMU, load address, device tree.
scenario flat-entry "*"
flat_entry()
{
	vm "want:EXIT: STATUS=1" exit:0 -- $(flat) --nodefaults
	console | grep BAD && fail "$(console)"
	silent
}

scenario flat-smp "*"
flat_smp()
{
	vm "want:SMP up=4 of=4" "want:EXIT: STATUS=1" exit:0 -- $(flat) -c 4 -p t=smp
	vm "want:SMP up=8 of=8" "want:EXIT: STATUS=1" exit:0 -- $(flat) -c 8 -p t=smp
	silent
}

scenario flat-smp-many "6.1-a76 6.12-a76"
flat_smp_many()
{
	# More than one affinity group of 16.
	MAY_LACK=1 vm "want:SMP up=14 of=14" exit:0 -- $(flat) -c 20 -p t=smp
	silent
}

# As many as KVM has, and one more.  A native host may lack the descriptors.
scenario flat-smp-limit "6.12-a76 6.1-gicv2"
flat_smp_limit()
{
	n=$("$VMM" host | sed -n 's/^KVM .* at most \([0-9]*\) vCPUs.*/\1/p')
	case $HOST in
	*gicv2) n=8 ;;
	esac
	[ "$n" -ge 8 ] || fail "at most '$n' vCPUs"
	hex=$(printf '%x' "$n")
	MAY_LACK=1 vm "want:SMP up=$hex of=$hex" "want:EXIT: STATUS=1" exit:0 -- $(flat) -c "$n" -p t=smp
	note "$n vCPUs"
	refused 4 "$((n + 1))" $(flat) -c $((n + 1))
}

scenario flat-hole "6.1-a76 6.1-a57"
flat_hole()
{
	vm "want:HOLE" "want:EXIT: STATUS=1" exit:0 -- $(flat) -p t=hole
}

scenario kut-run "6.1-a76 6.1-gicv2"
kut_run()
{
	printf 'KERNEL_VERSION=6\nERRATA_FORCE=y\n' >"$WORK/files/env"
	vm "want:EXIT: STATUS=1" exit:0 -- --kernel "$NEST/flat" --cpus 1 --params "a b" \
		--nodefaults --network mode=none --loglevel=warning --mem 256 \
		--initrd "$WORK/files/env"
	console | grep -q 'args=\[a b\] initrd=\[KERNEL_VERSION=6\] size=20\.' || fail "$(console)"
	silent
}

# Its probes: the program is known by its help, a missing kernel by the message.
scenario kut-probe "6.1-a76"
kut_probe()
{
	"$VMM" --help 2>/dev/null | grep -q "The most commonly used" || fail "--help"
	"$VMM" run --kernel _NO_FILE_4Uhere_ >"$WORK/log/out" 2>&1 && fail "no failure"
	grep -q "Fatal: Unable to open kernel _NO_FILE_4Uhere_" "$WORK/log/out" ||
		fail "$(head -n 1 "$WORK/log/out")"
}
