#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-bench.sh - what make bench makes of figures, and bench-compare of two of them
#
# measure.awk is given a figure for each that it asks for: 1000, 1001, ...

set -eu
cd "$(dirname "$0")/../nested"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "$*"
	exit 1
}

# Labels and names of figures as measure.awk spells them, of both VMMs.
for who in vmm vmm-off vmm-on vmm-quick qemu; do
	for label in entry-1 entry-4 flat-1 flat-4 linux linux-pci linux-mmio file-1 store-1 byte-1 idle-1 idle-4 idle-8 \
		repin disk-1 disk-32 served-1 served-32 served-relayed-1 served-relayed-32 reads-0 reads-1 quiet pause size \
		disk-cost-0 disk-cost-1 disk-cost-32 disk-mib disk-mib-0 disk-mib-256 \
		net-cost-0 net-calls-0 net-time-up net-cost-up net-calls-up vhost-time-up net-time-down \
		net-cost-down net-calls-down vhost-time-down net-time-trips net-cost-trips net-calls-trips \
		vhost-time-trips; do
		echo "$who-$label"
	done
done >"$tmp/labels"
printf '%s\n' alone bare-off-0 bare-off-1 bare-store-0 bare-store-1 >>"$tmp/labels"
awk '{
	printf "%s status=0", $1
	n = split("entered_ns total_ns ready_ns user kernel guest anon_kb threads fds syscalls kvm_run " \
		  "interrupts each_ns frames ns bytes library program", names)
	for (i = 1; i <= n; i++)
		printf " %s=%d", names[i], 10000000 + 100000 * NR + 1000 * i
	print ""
}' "$tmp/labels" >"$tmp/old"
# One is more by 3 %, one less by 1 %.
awk '$1 == "vmm-pause" { for (i = 2; i <= NF; i++) if (split($i, kv, "=") && kv[1] == "ns") $i = "ns=" kv[2] * 1.03 }
$1 == "vmm-quiet" { for (i = 2; i <= NF; i++) if (split($i, kv, "=") && kv[1] == "syscalls") $i = "syscalls=" kv[2] * 0.99 }
{ print }' "$tmp/old" >"$tmp/new"

for which in old new; do
	for form in txt json svg; do
		awk -f measure.awk -v format=$form -v peers="vmm qemu" -v recorded=1 "$tmp/$which" \
			>"$tmp/$which.$form" 2>"$tmp/err" || fail "$form: $(cat "$tmp/err")"
		[ ! -s "$tmp/err" ] || fail "$form: $(cat "$tmp/err")"
	done
done
# All that lacks a figure is said, and fails.
! grep -v '^vmm-pause' "$tmp/old" | awk -f measure.awk -v format=json -v peers="vmm qemu" -v recorded=1 \
	>/dev/null 2>"$tmp/err" || fail "nobody missed a figure"
grep -q 'no pause' "$tmp/err" || fail "$(cat "$tmp/err")"
# A program that failed is no measurement.
! sed 's/^vmm-flat-1 status=0/vmm-flat-1 status=4/' "$tmp/old" | awk -f measure.awk -v format=txt \
	-v peers="vmm qemu" -v recorded=1 >/dev/null 2>"$tmp/err" || fail "a failure counts"
grep -q 'vmm-flat-1 ended with status 4' "$tmp/err" || fail "$(cat "$tmp/err")"

[ "$(head -c 1 "$tmp/old.json")" = "{" ] && [ "$(tail -n 1 "$tmp/old.json")" = "}" ] || fail "no JSON"
[ "$(grep -c '^<text' "$tmp/old.svg")" -gt 10 ] && tail -n 1 "$tmp/old.svg" | grep -qx '</svg>' || fail "no SVG"

./compare "$tmp/old.json" "$tmp/old.json" >"$tmp/out" || fail "the same is worse: $(cat "$tmp/out")"
! ./compare "$tmp/old.json" "$tmp/new.json" >"$tmp/out" || fail "3 % more is not worse: $(cat "$tmp/out")"
[ "$(awk '/%$/ { print $1 }' "$tmp/out")" = pause ] || fail "$(cat "$tmp/out")"
./compare "$tmp/new.json" "$tmp/old.json" >"$tmp/out" || fail "3 % less is worse: $(cat "$tmp/out")"

# What is aimed at, and what is not reached.
grep -q '^  anonymous memory, KiB  *[0-9]*   at most 200: MISSED$' "$tmp/old.txt" || fail "$(tail -n 25 "$tmp/old.txt")"
sed '/^vmm-idle-1 /s/anon_kb=[0-9]*/anon_kb=200/' "$tmp/old" | awk -f measure.awk -v format=txt \
	-v peers="vmm qemu" -v recorded=1 >"$tmp/out"
grep -q '^  anonymous memory, KiB  *200   at most 200: met$' "$tmp/out" || fail "$(tail -n 25 "$tmp/out")"
