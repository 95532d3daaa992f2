# SPDX-License-Identifier: BSD-2-Clause
#
# nested.sh - guests that are hypervisors

entry_level()
{
	console | sed -n 's/.* el=\([0-9]\) .*/\1/p'
}

# Entered at EL2, with PSCI by SMC; a second CPU too.
scenario nested-entry "new-nested"
nested_entry()
{
	MAY_LACK=1 vm "want:SMP up=2 of=2" "want:EXIT: STATUS=1" exit:0 -- \
		$(flat) -c 2 --nested -p t=smp
	[ "$(entry_level)" = 2 ] || fail "$(console)"
	MAY_LACK=1 vm "want:EXIT: STATUS=1" exit:0 -- $(flat) --nested --e2h0
	[ "$(entry_level)" = 2 ] || fail "$(console)"
	vm "want:EXIT: STATUS=1" exit:0 -- $(flat)
	[ "$(entry_level)" = 1 ] || fail "$(console)"
	silent
}

# A guest whose own KVM, by our program in it, runs a guest.
scenario nested-guest "new-nested"
nested_guest()
{
	mkdir "$WORK/files/more"
	cp "$VMM" "$WORK/files/more/vmm"
	cp "$NEST/flat" "$WORK/files/more/flat"
	(cd "$WORK/files/more" && find . | cpio -o -H newc >../more.cpio 2>/dev/null)
	cat "$NEST/guest-6.12.cpio" "$WORK/files/more.cpio" >"$WORK/files/initrd"
	MAY_LACK=1 PATIENCE=240 vm "want:GUEST-READY" "want:FLAT" "want:el=1" "want:EXIT: STATUS=1" \
		"want:GUEST-VMM status=0" exit:0 -- $(linux 6.12) --nested --mem 512 \
		--initrd "$WORK/files/initrd" -p "$QUIET t=vmm"
	silent
}

scenario nested-without "6.12-max 6.1-a57 6.1-gicv2"
nested_without()
{
	if [ "$HOST" = native ] && "$VMM" host | grep -q '^for guests.*EL2'; then
		say_skip "this host has nested guests"
	fi
	refused 4 "nested guests: this host's KVM has none" $(flat) --nested
	refused 2 "needs --nested" $(flat) --e2h0
}
