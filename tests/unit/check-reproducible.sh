#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-reproducible.sh BUILD - the library and the program, built again in another
# directory, are the same to the byte

set -e
export CCACHE_DISABLE=1
build=$(readlink -f "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cd "$top"
tar cf - Makefile include vmm arm64 devices fdt spe tools libvmm.map | tar xf - -C "$dir"
mkdir -p "$dir/build"
[ ! -d "$build/sysroot" ] || ln -s "$build/sysroot" "$dir/build/sysroot"
${MAKE:-make} -s -C "$dir" B=build arm64_DEPS= build/arm64/vmm build/arm64/libvmm.a build/arm64/libvmm.so \
	>"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
for file in vmm libvmm.a libvmm.so; do
	cmp "$build/arm64/$file" "$dir/build/arm64/$file" || exit 1
done
