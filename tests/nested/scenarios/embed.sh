# SPDX-License-Identifier: BSD-2-Clause
#
# embed.sh - programs that embed the library: the example, against either form of it

embeds()	# PROGRAM...
{
	"$@" "$NEST/flat" </dev/null >"$WORK/log/flat" 2>"$WORK/log/flat.err" ||
		fail "exit status $?: $(tail -n 1 "$WORK/log/flat.err")"
	grep -q 'EXIT: STATUS=1' "$WORK/log/flat" || fail "$(tail -n 1 "$WORK/log/flat")"
	"$@" "$NEST/Image-6.1" "$NEST/guest-6.1.cpio" "console=ttyS0 $QUIET" </dev/null \
		>"$WORK/log/linux" 2>"$WORK/log/linux.err" ||
		fail "exit status $?: $(tail -n 1 "$WORK/log/linux.err")"
	grep -q GUEST-READY "$WORK/log/linux" || fail "$(tail -n 1 "$WORK/log/linux")"
}

scenario embed "6.1-a76"
embed()
{
	[ -d "$NEST/embed" ] || fail "the example is not built"
	embeds "$NEST/embed/embed"
	if [ "$HOST" = native ]; then
		LD_LIBRARY_PATH=$NEST/embed embeds "$NEST/embed/embed-shared"
	else
		embeds "$NEST/embed/ld-linux-aarch64.so.1" --library-path "$NEST/embed" \
			"$NEST/embed/embed-shared"
	fi
	# Its own refusals: no kernel, and one that is not there.
	status=0
	"$NEST/embed/embed" 2>/dev/null || status=$?
	[ $status -eq 2 ] || fail "without a kernel it ends with status $status"
	status=0
	"$NEST/embed/embed" /no/such/kernel 2>/dev/null || status=$?
	[ $status -eq 1 ] || fail "with a kernel that is not there it ends with status $status"
}

# Hundreds of machines, and pairs of them, in one process, which has in the end what it had: as
# many as test_cycles has on the fake.
scenario embed-cycles "6.12-n1"
embed_cycles()
{
	[ -d "$NEST/embed" ] || fail "the example is not built"
	"$NEST/embed/cycles" "$NEST/flat" 500 100 >"$WORK/log/cycles" || fail "$(cat "$WORK/log/cycles")"
	note "$(sed 's/^CYCLES //' "$WORK/log/cycles")"
}
