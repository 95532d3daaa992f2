#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-exports.sh BUILD [TOOLS] - what the library shows is what vmm.h declares
#
# The functions marked VMM_API and those that libvmm.a and libvmm.so define for
# others are the same, libvmm.map lets them pass, and each has a page.

cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: check-exports.sh BUILD [TOOLS]}
nm=${2:-}nm
failed=0

compare()
{
	diff <(echo "$declared") <(echo "$2") >/dev/null && return
	echo "check-exports: $1 (>) and vmm.h (<) differ:" >&2
	diff <(echo "$declared") <(echo "$2") >&2
	failed=1
}

# "VMM_API ... name(", which may be on two lines.
declared=$(tr '\n' ' ' <include/vmm.h | grep -oE 'VMM_API [^;(]*\(' | grep -oE 'vmm_[a-z0-9_]+\($|vmm_[a-z0-9_]+ *\(' |
	tr -d '( ' | sort -u)
[ "$(wc -l <<<"$declared")" -ge 20 ] || { echo "check-exports: vmm.h cannot be read" >&2; exit 1; }

compare libvmm.a "$($nm -g --defined-only "$build/libvmm.a" | awk 'NF == 3 { print $3 }' | sort -u)"
compare libvmm.so "$($nm -D --defined-only "$build/libvmm.so" | awk '$2 != "A" { print $3 }' |
	sed 's/@.*//' | sort -u)"

# Every call has its page.
for call in $declared; do
	grep -qsw "$call" man/*.[37] || { echo "check-exports: $call has no man page" >&2; failed=1; }
done
exit $failed
