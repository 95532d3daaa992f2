# SPDX-License-Identifier: BSD-2-Clause
#
# features.sh - CPU features: offered as the host has them, and withheld on request

# A field of an ID register as a flat guest reads it: idreg REGISTER SHIFT.
idreg()
{
	echo $((0x$(console | sed -n "s/.* $1=\([0-9a-f]*\) .*/\1/p") >> $2 & 15))
}

scenario features "6.12-max 6.1-a76"
features()
{
	sve=0 pauth=0 mte=0
	! host_has sve || sve=1
	! host_has paca || pauth=1
	! host_has mte || mte=1
	case $HOST in
	*-max) [ $sve$pauth$mte = 111 ] || fail "the emulated host lacks a feature: $sve$pauth$mte" ;;
	esac
	kernel=6.12
	[ -e "$NEST/Image-$kernel" ] || kernel=6.1
	vm want:GUEST-READY exit:0 -- $(linux $kernel) -p "$QUIET"
	set -- "$(field sve) $(field pauth) $(field mte)"
	[ "$*" = "$sve $pauth $mte" ] || fail "sve pauth mte: $*, expected $sve $pauth $mte"
	[ "$(field pmu)" = 0 ] || fail "a PMU that nobody asked for"
	[ "$HOST" = native ] || [ "$(field pvtime)" = 1 ] || fail "no stolen time"
	[ $sve = 0 ] || [ "$HOST" = native ] || [ "$(field vl)" -gt 256 ] || fail "vectors of $(field vl) bits"
	silent
}

scenario features-off "6.12-max"
features_off()
{
	vm want:GUEST-READY exit:0 -- $(linux 6.12) --no-sve --no-pauth --disable-mte --no-pvtime \
		-p "$QUIET"
	set -- "$(field sve)$(field pauth)$(field mte)$(field pvtime)"
	[ "$*" = 0000 ] || fail "sve pauth mte pvtime: $*"
	silent
}

# Each by itself: ID_AA64PFR0.SVE, ID_AA64ISAR1.{APA,API}, ID_AA64PFR1.MTE.
scenario features-each "6.12-max"
features_each()
{
	vm want:FLAT exit:0 -- $(flat)
	sve=$(idreg pfr0 32) pauth=$(($(idreg isar1 4) + $(idreg isar1 8))) mte=$(idreg pfr1 8)
	[ "$HOST" = native ] || [ $((sve && pauth && mte)) = 1 ] || fail "lacking: $(console)"
	vm want:FLAT exit:0 -- $(flat) --no-sve
	[ "$(idreg pfr0 32)" = 0 ] && [ "$(idreg pfr1 8)" = "$mte" ] || fail "--no-sve: $(console)"
	vm want:FLAT exit:0 -- $(flat) --disable-mte
	[ "$(idreg pfr1 8)" = 0 ] && [ "$(idreg pfr0 32)" = "$sve" ] || fail "--disable-mte: $(console)"
	vm want:FLAT exit:0 -- $(flat) --no-pauth
	[ $(($(idreg isar1 4) + $(idreg isar1 8))) = 0 ] || fail "--no-pauth: $(console)"
	[ "$(idreg pfr0 32)" = "$sve" ] || fail "--no-pauth: $(console)"
	silent
}

scenario sve-max-vl "6.12-max"
sve_max_vl()
{
	host_has sve || say_skip "this host has no SVE"
	vm want:GUEST-READY exit:0 -- $(linux 6.12) --sve-max-vl 256 -p "$QUIET"
	[ "$(field vl)" = 256 ] || [ "$HOST" = native ] || fail "vectors of $(field vl) bits"
	[ "$(field vl)" -le 256 ] || fail "vectors of $(field vl) bits"
	silent
}

# The highest version that this KVM has is what it takes by itself, unless one is asked for.
scenario psci "6.1-a76 6.12-a76 new-nested"
psci()
{
	vm want:FLAT exit:0 -- $(flat)
	version=$((0x$(console | sed -n 's/.* psci=\([0-9a-f]*\) .*/\1/p')))
	case $HOST in
	6.1-* | 6.12-*) want=$((0x10001)) ;;
	new-*) want=$((0x10003)) ;;
	*) want=$((0x10000)) ;;
	esac
	have=$((version >> 16)).$((version & 0xffff))
	note "PSCI $have"
	[ $version -ge $want ] || fail "PSCI $have"
	silent
}

# On a host without them there is nothing to withhold, which is no error.
scenario features-off-without "6.1-a57"
features_off_without()
{
	vm "want:EXIT: STATUS=1" exit:0 -- $(flat) --nodefaults --no-sve --no-pauth --disable-mte
	silent
}

scenario pmu "6.1-a57 6.12-a76"
pmu()
{
	MAY_LACK=1 vm want:GUEST-READY "want:GUEST-PMU counts" exit:0 -- $(linux 6.1) --pmu -p "$QUIET t=pmu"
	silent
}

scenario pvtime-off "6.1-a76"
pvtime_off()
{
	vm want:GUEST-READY exit:0 -- $(linux 6.1) --no-pvtime -p "$QUIET"
	[ "$(field pvtime)" = 0 ] || fail "stolen time all the same"
	silent
}

scenario affinity "6.12-a76"
affinity()
{
	[ "$(nproc)" -ge 2 ] || say_skip "one CPU"
	# The threads' own lists, vCPU 0 on CPU 0 and vCPU 1 on CPU 1.
	lists='grep -h Cpus_allowed_list /proc/$PID/task/*/status | sort -u | tr -d "\n\t" >$WORK/log/lists'
	export WORK
	vm want:FLAT "shell:$lists" kill:TERM sleep:200 kill:TERM exit:12 -- \
		$(flat) -c 2 --vcpu-affinity 0=0:1=1 -p t=spin
	grep -q 'list:0Cpus' "$WORK/log/lists" && grep -q 'list:1$' "$WORK/log/lists" ||
		grep -q 'list:1Cpus' "$WORK/log/lists" || fail "$(cat "$WORK/log/lists")"
	vm want:GUEST-READY "want:GUEST-WORK good=2" exit:0 -- \
		$(linux 6.1) -c 2 --vcpu-affinity 0=0:1=1 -p "$QUIET t=work"
	vm want:FLAT exit:0 -- $(flat) -c 2 --vcpu-affinity 1
	refused 4 "900" $(flat) --vcpu-affinity 900
	refused 2 "x" $(flat) --vcpu-affinity x
}

scenario dump-dtb "6.1-a76"
dump_dtb()
{
	vm "want:EXIT: STATUS=1" exit:0 -- $(flat) --nodefaults --dump-dtb "$WORK/files/dtb"
	# The magic, and the size it claims.
	[ "$(od -An -tx1 -N4 "$WORK/files/dtb" | tr -d ' ')" = d00dfeed ] || fail "magic"
	size=$((0x$(od -An -tx1 -j4 -N4 "$WORK/files/dtb" | tr -d ' ')))
	[ "$size" -le "$(stat -c %s "$WORK/files/dtb")" ] || fail "size $size"
	grep -q 'ns16550a' "$WORK/files/dtb" || fail "no console in it"
	refused 2 "/no-such-dir" $(flat) --dump-dtb /no-such-dir/dtb
}
