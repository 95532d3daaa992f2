#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-link.sh BUILD [TOOLS] [FLAGS] - libvmm.a links beside anything
#
# A program that has a function of its own for each name inside the library, and
# that calls all of the interface, links with it, statically and not.

cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: check-link.sh BUILD [TOOLS] [FLAGS]}
tools=${2:-}
shift $(($# > 1 ? 2 : 1))	# on arm64 there are no tools and no flags
cc=${tools}gcc
nm=${tools}nm
command -v "$cc" >/dev/null || { echo "check-link: no $cc" >&2; exit 77; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

inside=$($nm "$build/libvmm.a" | awk '$2 == "t" && $3 ~ /^[a-z_][a-z0-9_]*$/ { print $3 }' | sort -u)
for name in gmem_init log_msg bus_add loop_create error_set kvm_open; do
	grep -qx $name <<<"$inside" || { echo "check-link: the library has no $name" >&2; exit 1; }
done
calls=$($nm -g --defined-only "$build/libvmm.a" | awk 'NF == 3 { print $3 }')
{
	echo '#include "vmm.h"'
	for name in $inside; do
		# Names that libc has, too, are not for a program to define.
		case $name in main | connect | read | write | open | close | hit | bind | accept | listen | \
			remove | select | drain | index | signal | wait | time | send | recv | dup | stat) continue ;; esac
		echo "void x_$name(void) __asm__(\"$name\"); void x_$name(void) { }"
	done
	echo 'const void *const calls[] = {'
	for name in $calls; do
		echo "	(const void *)$name,"
	done
	echo '}; int main(void) { return calls[0] == calls[1]; }'
} >"$tmp/host.c"

status=0
for how in -static -no-pie; do
	"$cc" -w -Iinclude "$@" $how -o "$tmp/host" "$tmp/host.c" "$build/libvmm.a" \
		-lfdt -luring -lz -lzstd -lpthread 2>"$tmp/log" && continue
	echo "check-link: a program with names of its own does not link ($how):" >&2
	tail -n 20 "$tmp/log" >&2
	status=1
done
exit $status
