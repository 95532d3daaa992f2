# SPDX-License-Identifier: BSD-2-Clause
#
# expect.sh - --expect and --timeout: the statuses that a script goes by

scenario expect "6.1-a76"
expect()
{
	vm want:GUEST-READY exit:0 -- $(linux 6.1) --expect "GUEST-(READY|NEVER)" -p "$QUIET t=echo"
	silent
	# One after the other, and the last one when the guest has ended.
	vm exit:0 -- $(linux 6.1) --expect Booting --expect GUEST-READY -p "loglevel=7 panic=-1 t=reboot"
}

scenario expect-early "6.1-a76"
expect_early()
{
	vm want:FLAT exit:14 -- $(flat) --expect never
	stderr | grep -q "has not printed 'never'" || fail "it said: $(stderr)"
	vm want:FLAT exit:14 -- $(flat) --expect never --no-reboot -p t=reset
	# A guest that has been told to stop has not failed.
	vm want:FLAT kill:TERM sleep:200 kill:TERM exit:12 -- $(flat) --expect never -p t=spin
}

scenario expect-panic "6.1-a76"
expect_panic()
{
	vm exit:11 -- $(linux 6.1) --expect never -p "loglevel=1 panic=-1 cryptomgr.notests=1 t=panic"
	stderr | grep -q "panicked, before 'never'" || fail "it said: $(stderr)"
}

scenario timeout "6.1-a76"
timeout()
{
	vm want:FLAT exit:13 -- $(flat) --timeout 1 -p t=spin
	vm want:FLAT exit:13 -- $(flat) --timeout 1 --expect never -p t=wfi
	stderr | grep -q "has not printed 'never'" || fail "it said: $(stderr)"
	# Not that of each boot, but of all of them.
	vm want:FLAT want:FLAT exit:13 -- $(flat) --timeout 2 --expect never -p t=reset
	vm want:FLAT exit:0 -- $(flat) --timeout 100 --expect FLAT -p t=spin
}
