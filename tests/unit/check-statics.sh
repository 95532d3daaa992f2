#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-statics.sh BUILD [TOOLS] - no writable object of the library is static
#
# No data, no zeroes, nothing of a thread's, no constructor.  .data.rel.ro is
# constant once the linker is done with it.

build=${1:?usage: check-statics.sh BUILD [TOOLS]}
objdump=${2:-}objdump
failed=0

# Section headers: name and size.
sections=$($objdump -h "$build/libvmm.o") || exit 1
while read -r name size; do
	case $name in
	.data.rel.ro*) continue ;;
	.data* | .bss* | .tdata* | .tbss* | .init_array* | .fini_array* | .ctors* | .dtors* | .preinit_array*) ;;
	*) continue ;;
	esac
	[ $((16#$size)) = 0 ] && continue
	echo "check-statics: $name has $((16#$size)) bytes:" >&2
	$objdump -t "$build/libvmm.o" | awk -F'[ \t]+' -v s="$name" '$4 == s && $NF != s' >&2
	failed=1
done < <(awk '$1 ~ /^[0-9]+$/ { print $2, $3 }' <<<"$sections")
grep -q '\.text' <<<"$sections" || { echo "check-statics: the library cannot be read" >&2; exit 1; }
if $objdump -t "$build/libvmm.o" | grep -F '*COM*'; then
	echo "check-statics: common symbols" >&2
	failed=1
fi
exit $failed
