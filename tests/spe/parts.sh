# SPDX-License-Identifier: BSD-2-Clause
#
# parts.sh - what guests with SPE are made of: Debian's kernel, driver, perf, busybox
#
# For scripts of bash that have set $BUILD.  What is fetched is kept in $BUILD/cache.

spe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$spe/../.." && pwd)
[ "$(uname -m)" = aarch64 ] && cross= || cross=aarch64-linux-gnu-
cc=${TESTBED_CC:-${cross}gcc}
parts=$BUILD/cache

fetch_busybox()
{
	"$top/tools/debfetch" -q -a arm64 -s bookworm -k '*/bin/busybox' -d "$parts/busybox" \
		busybox-static || return 1
	busybox=$(find "$parts/busybox" -name busybox -type f)
	[ -n "$busybox" ]
}

fetch_parts()
{
	fetch_busybox &&
	"$top/tools/debfetch" -q -a arm64 -s bookworm-backports -r 'linux-image-*' -k '*/boot/vmlinuz-*' \
		-k '*/arm_spe_pmu.ko*' -d "$parts/linux-6.12-spe" linux-image-arm64 &&
	"$top/tools/debfetch" -q -a arm64 -s bookworm -s bookworm-backports -r 'lib*' -r 'zlib*' \
		-r 'linux-perf*' -k '*/lib/*' -k '*/usr/bin/perf*' -d "$parts/perf" \
		linux-perf/bookworm-backports libdebuginfod1 libtraceevent1 || return 1
	debian_kernel=$(find "$parts/linux-6.12-spe" -name 'vmlinuz-*')
	debian_driver=$(find "$parts/linux-6.12-spe" -name 'arm_spe_pmu.ko*')
	[ -n "$debian_kernel" ] && [ -n "$debian_driver" ]
}

# Position-independent, so that no two programs are at the same addresses.
compile()	# OUT SOURCE FLAG...
{
	local out=$1 source=$2

	shift 2
	"$cc" -std=gnu11 -O2 -Wall -Wextra -fPIE -static-pie -o "$out" "$source" "$@"
}

# new_tree TREE FILE...: a guest's root, of busybox, guest-init and files of ours
new_tree()
{
	local tree=$1

	shift
	rm -rf "$tree"
	mkdir -p "$tree/bin" && cp "$busybox" "$tree/bin/busybox" &&
		install -m 755 "$spe/guest-init" "$tree/init" || return 1
	[ $# -eq 0 ] || cp "$@" "$tree/"
}

# For kernels of Debian's, whose driver is a module, packed or not.
add_driver()	# TREE [MODULE]
{
	local module=${2:-$debian_driver}

	xz -dcf "$module" >"$1/arm_spe_pmu.ko"
}

# add_program TREE PROGRAM FROM: with every library that it needs, and they, which are there
add_program()
{
	local tree=$1 todo=$2 from=$3 file lib

	mkdir -p "$tree/bin" "$tree/lib" && cp "$2" "$tree/bin/" || return 1
	while [ -n "$todo" ]; do
		file=${todo%%$'\n'*}
		todo=${todo#"$file"}
		todo=${todo#$'\n'}
		for lib in $("${cross}readelf" -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
			[ ! -e "$tree/lib/$lib" ] || continue
			file=$(find "$from/lib" "$from/usr/lib" -name "$lib" 2>/dev/null | head -n 1)
			[ -n "$file" ] || { echo "no $lib for $2" >&2; return 1; }
			cp -L "$file" "$tree/lib/$lib"
			todo=$tree/lib/$lib$'\n'$todo
		done
	done
}

add_perf()	# TREE
{
	add_program "$1" "$parts/perf/usr/bin/perf" "$parts/perf"
}

# What serves directories, for hosts.
add_servers()	# TREE
{
	"$top/tools/debfetch" -q -a arm64 -s trixie -k '*/lib/*.so*' -k '*/libexec/virtiofsd' \
		-d "$parts/virtiofsd" virtiofsd libc6 libgcc-s1 libcap-ng0 libseccomp2 &&
	"$top/tools/debfetch" -q -a arm64 -s trixie -r 'lib*' -k '*/lib/*.so*' -k '*/sbin/diod' \
		-d "$parts/diod" diod || return 1
	add_program "$1" "$parts/virtiofsd/usr/libexec/virtiofsd" "$parts/virtiofsd" &&
	add_program "$1" "$parts/diod/usr/sbin/diod" "$parts/diod"
}

pack()		# TREE OUT
{
	(cd "$1" && find . | sort | cpio -o -H newc -R 0:0 --quiet) >"$2"
}
