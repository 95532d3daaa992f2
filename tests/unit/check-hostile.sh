#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every row of tests/HOSTILE.md is tested by something that exists: a unit test that is
# run, a proof, a fuzzer's target, a scenario.  A row may wait for a source file, but no
# longer than until it is there.  So are the bounds that vmm-security(7) promises.

set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
waiting=

complain()
{
	echo "tests/HOSTILE.md: $*"
	bad=1
}

exists()
{
	case $1 in
	test_*) grep -qE "(cmocka_unit_test(_[a-z_]*)?|TEST)\($1[,)]" tests/unit/test_*.c ;;
	prove_*) grep -q "^void $1(void)" tests/cbmc/*.[ch] && grep -qP "\t${1#prove_}\t" tests/cbmc/run ;;
	fuzz_*) [ -e "tests/fuzz/$1.c" ] ;;
	scenario:*) grep -q "^scenario ${1#scenario:} " tests/nested/scenarios/*.sh ;;
	*) false ;;
	esac
}

rows=$(sed -n 's/^| \([0-9]*\) | .* | \([^|]*\) |$/\1 \2/p' tests/HOSTILE.md)
[ "$(cut -d' ' -f1 <<<"$rows" | tr '\n' ' ')" = "$(seq -s ' ' 28) " ] || complain "not the rows 1 to 28"
while read -r row tests; do
	if [[ $tests == "not yet: "* ]]; then
		file=${tests#not yet: }
		[ ! -e "$file" ] || waiting+="row $row: $file is there, and no test named; "
		continue
	fi
	for name in ${tests//,/ }; do
		exists "$name" || complain "row $row: there is no $name"
	done
done <<<"$rows"
bounds=$(sed -n '/^\.Ss What can be made to grow/,/^\.Ss What a host/p' man/vmm-security.7)
entries=$(awk '/^\.It / { if (entry) print entry; entry = $0; gsub(/ /, "_", entry) }
	/^(test_|scenario:)/ { entry = entry " " $0 } END { print entry }' <<<"$bounds")
[ "$(wc -l <<<"$entries")" -ge 15 ] || complain "the bounds of vmm-security.7 cannot be read"
while read -r what tests; do
	[ -n "$tests" ] || complain "vmm-security.7: $what: no test"
	for name in $tests; do
		exists "$name" || complain "vmm-security.7: $what: there is no $name"
	done
done <<<"$entries"
[ $bad = 0 ] || exit 1
[ -z "$waiting" ] || { echo "skipped: tests/HOSTILE.md: ${waiting%; }"; exit 77; }
