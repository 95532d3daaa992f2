# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh - what the emulated hosts and their guests are made of
#
# Fetches Debian's kernels and busybox, builds our guests and tools, and packs
# them into archives that together are a host's initramfs: part-base, a part for
# each guest kernel, part-formats, and one that is made for each run.  All of it
# is kept, and made anew when an input is newer.

export LC_ALL=C

top=$(cd "$here/../.." && pwd)
build=${BUILD:-$top/build}/nested
cache=${VMM_CACHE:-${HOME:?}/.cache/vmm}/nested
vmm=${VMM:-$top/build/arm64/vmm}
cc=${NESTED_CC:-aarch64-linux-gnu-gcc}
objcopy=${NESTED_OBJCOPY:-aarch64-linux-gnu-objcopy}
readelf=${NESTED_READELF:-aarch64-linux-gnu-readelf}
nest=$build/nest
logs=$build/logs
kernels="6.1 6.12 6.12-16k new"
host_modules="tun dummy tap vhost_iotlb vhost vhost_net vsock vmw_vsock_virtio_transport_common vhost_vsock"

die()
{
	echo "nested: $*" >&2
	exit 1
}

fetch()	# DIR SUITE [OPTION-OF-DEBFETCH]... PACKAGE...
{
	dir=$cache/$1 suite=$2
	shift 2
	"$top/tools/debfetch" -q -a arm64 -s "$suite" -r 'linux-image-*' -k '*/boot/vmlinuz-*' \
		-k '*/evdev.ko*' -k '*/gpio_keys.ko*' -k '*/virtio*.ko*' -k '*/bin/busybox' \
		-d "$dir" "$@" ||
		die "cannot fetch $*"
}

# The modules of a kernel that the hosts want, and those that network cards need.
fetch_more()	# DIR SUITE [OPTION-OF-DEBFETCH]... PACKAGE...
{
	dir=$cache/$1 suite=$2
	shift 2
	"$top/tools/debfetch" -q -a arm64 -s "$suite" -r 'linux-image-*' -k '*/tun.ko*' \
		-k '*/dummy.ko*' -k '*/failover.ko*' -k '*/net_failover.ko*' -k '*/tap.ko*' \
		-k '*/vhost*.ko*' -k '*vsock*.ko*' -d "$dir" "$@" ||
		die "cannot fetch $*"
}

fetch_kernel()	# VERSION
{
	case $1 in
	6.1) set -- "$1" bookworm linux-image-arm64 ;;
	6.12) set -- "$1" bookworm-backports linux-image-arm64 ;;
	6.12-16k) set -- "$1" bookworm-backports linux-image-arm64-16k ;;
	new) set -- "$1" trixie-backports -r 'linux-binary-*' -r 'linux-modules-*' \
		-k '*/vmlinuz' linux-image-arm64 ;;
	*) die "no kernel $1" ;;
	esac
	version=$1
	shift
	fetch "kernel-$version" "$@"
	fetch_more "kernel-$version-net" "$@"
}

older()	# OUT IN...: is OUT not there, or older than an input or this file?
{
	out=$1
	shift
	for in in "$@" "$here/build.sh"; do
		[ "$out" -nt "$in" ] || return 0
	done
	return 1
}

compile()	# OUT SOURCE FLAG...
{
	out=$nest/$1 src=$here/$2
	shift 2
	older "$out" "$src" "$here/transfer.h" || return 0
	"$cc" -std=gnu11 -O2 -Wall -Wextra -static -s -o "$out.tmp" "$src" "$@" ||
		die "cannot build $src"
	mv "$out.tmp" "$out"
}

# For the machine that runs the emulator.
compile_pmus()
{
	out=$nest/pmus
	older "$out" "$here/pmus.c" || return 0
	"${HOSTCC:-cc}" -std=gnu11 -O2 -Wall -Wextra -o "$out.tmp" "$here/pmus.c" -lfdt ||
		die "cannot build pmus.c"
	mv "$out.tmp" "$out"
}

compile_flat()
{
	out=$nest/flat
	older "$out" "$here/guest/flat.S" "$here"/guest/flat.[ch] "$here"/guest/hostile*.[ch] "$here/guest/load.c" || return 0
	"$cc" -std=gnu11 -O2 -Wall -Wextra -ffreestanding -fno-builtin -fpie \
		-fno-stack-protector -fno-asynchronous-unwind-tables -mgeneral-regs-only \
		-mstrict-align -nostdlib -static -Wl,-Ttext=0,--build-id=none,-e,_start \
		-o "$out.elf" "$here/guest/flat.S" "$here/guest/flat.c" "$here"/guest/hostile*.c "$here/guest/load.c" || die "cannot build flat.c"
	"$objcopy" -O binary -j .text -j .rodata "$out.elf" "$out.tmp" || die "cannot build flat"
	mv "$out.tmp" "$out"
	rm -f "$out.elf"
}

compile_overlay()
{
	out=$nest/overlay.dtbo
	older "$out" "$here/guest/overlay.dtso" || return 0
	dtc -q -@ -I dts -O dtb -o "$out.tmp" "$here/guest/overlay.dtso" || die "cannot build overlay.dtso"
	mv "$out.tmp" "$out"
}

# Guests for measuring, named by what they do and for whose machine.
compile_bench()
{
	compile bare bare.c
	compile bench-net guest/bench-net.c
	for machine in vmm:0x1000000:7 qemu:0x9000000:0x20; do
		uart=${machine#*:} name=${machine%%:*}
		# A register that only keeps what it is given: the ns16550a's SCR, the PL011's ILPR
		scratch=${uart#*:} uart=${uart%:*}
		for guest in off:0:0:0:0 entered:0:0:1:0 idle:0:0:0:1 spin:0:0:0:2 store:"$scratch":10000:0:0 \
			byte:0:10000:0:0; do
			IFS=: read -r what off count report idle <<-END
			$guest
			END
			out=$nest/bench-$what-$name
			older "$out" "$here/guest/bench.S" || continue
			"$cc" -nostdlib -static -Wl,-Ttext=0,--build-id=none -DUART="$uart" -DOFF="$off" \
				-DCOUNT="$count" -DREPORT="$report" -DIDLE="$idle" -o "$out.elf" \
				"$here/guest/bench.S" || die "cannot build bench.S"
			"$objcopy" -O binary -j .text "$out.elf" "$out.tmp" && mv "$out.tmp" "$out" ||
				die "cannot build bench"
			rm -f "$out.elf"
		done
	done
	for what in boot:0:0 idle:1:0 alone:0:1 disk net; do
		IFS=: read -r what idle now <<-END
		$what
		END
		out=$nest/bench-$what.cpio tree=$build/bench.tmp
		older "$out" "$here/guest/bench-init.S" "$here/guest/bench-disk.c" "$nest/bench-net" || continue
		rm -rf "$tree"
		mkdir -p "$tree/dev"
		case $what in
		disk) "$cc" -std=gnu11 -O2 -Wall -Wextra -static -s -o "$tree/init" \
			"$here/guest/bench-disk.c" ;;
		net) cp "$nest/bench-net" "$tree/init" ;;
		*) "$cc" -nostdlib -static -s -Wl,--build-id=none -DIDLE="$idle" -DNOW="$now" -o \
			"$tree/init" "$here/guest/bench-init.S" ;;
		esac || die "cannot build a guest to measure with"
		(cd "$tree" && archive "$out") || die "cannot make $out"
		rm -rf "$tree"
	done
}

# What a program needs to be loaded, with what that needs.
libraries()	# PROGRAM FROM TO
{
	todo=$1 from=$2 to=$3
	mkdir -p "$to"
	cp -L "$(find "$from" -name 'ld-linux*.so.*' | head -n 1)" "$to/"
	while [ -n "$todo" ]; do
		# shellcheck disable=SC2086 # a list of our own names
		needed=$("$readelf" -d $todo | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
		todo=
		for lib in $needed; do
			[ ! -e "$to/$lib" ] || continue
			file=$(find "$from" -name "$lib" | head -n 1)
			[ -n "$file" ] || die "no $lib in $from"
			cp -L "$file" "$to/$lib" || die "cannot copy $file"
			todo="$todo $to/$lib"
		done
	done
}

# virtiofsd for the hosts, of a release that knows --readonly.
fs_part()
{
	out=$build/part-fs.cpio tree=$build/part.tmp from=$cache/virtiofsd
	"$top/tools/debfetch" -q -a arm64 -s trixie -k '*/lib/*.so*' -k '*/libexec/virtiofsd' \
		-d "$from" virtiofsd libc6 libgcc-s1 libcap-ng0 libseccomp2 ||
		die "cannot fetch virtiofsd"
	older "$out" "$from/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/usr/libexec"
	cp "$from/usr/libexec/virtiofsd" "$tree/usr/libexec/"
	libraries "$from/usr/libexec/virtiofsd" "$from" "$tree/lib"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# diod for the hosts, and 9P's modules for guests with Debian's 6.1.
p9_part()
{
	out=$build/part-9p.cpio tree=$build/part.tmp from=$cache/diod drivers=$cache/kernel-6.1-9p
	"$top/tools/debfetch" -q -a arm64 -s trixie -r 'lib*' -k '*/lib/*.so*' -k '*/sbin/diod' \
		-d "$from" diod || die "cannot fetch diod"
	"$top/tools/debfetch" -q -a arm64 -s bookworm -r 'linux-image-*' -k '*/netfs.ko*' \
		-k '*/fscache.ko*' -k '*/9pnet.ko*' -k '*/9pnet_virtio.ko*' -k '*/9p.ko*' \
		-d "$drivers" linux-image-arm64 || die "cannot fetch 9p"
	older "$out" "$from/.debfetch" "$drivers/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/usr/sbin" "$tree/modules" "$tree/nest"
	cp "$from/usr/sbin/diod" "$tree/usr/sbin/"
	libraries "$from/usr/sbin/diod" "$from" "$tree/lib"
	find "$drivers/" -name '*.ko*' -exec cp {} "$tree/modules/" \;
	find "$tree/modules" -name '*.xz' -exec xz -d -f {} \;
	(cd "$tree/modules" && archive "$tree/nest/9p-6.1.cpio") || die "cannot make 9p-6.1.cpio"
	rm -rf "$tree/modules"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# The programs of ext4 for the hosts, and its modules for guests with Debian's 6.1; and what
# makes a block device of a file, in hosts with 6.12.
ext4_part()
{
	out=$build/part-ext4.cpio tree=$build/part.tmp from=$cache/e2fsprogs drivers=$cache/kernel-6.1-ext4
	loop=$cache/kernel-6.12-loop
	"$top/tools/debfetch" -q -a arm64 -s trixie -k '*/lib/*.so*' -k '*/sbin/mke2fs' \
		-k '*/sbin/e2fsck' -d "$from" e2fsprogs libc6 libext2fs2t64 libcom-err2 libblkid1 \
		libuuid1 libss2 || die "cannot fetch e2fsprogs"
	"$top/tools/debfetch" -q -a arm64 -s bookworm -r 'linux-image-*' -k '*/crc16.ko*' \
		-k '*/crc32c_generic.ko*' -k '*/mbcache.ko*' -k '*/jbd2.ko*' -k '*/ext4.ko*' \
		-d "$drivers" linux-image-arm64 || die "cannot fetch ext4"
	"$top/tools/debfetch" -q -a arm64 -s bookworm-backports -r 'linux-image-*' -k '*/loop.ko*' \
		-d "$loop" linux-image-arm64 || die "cannot fetch loop"
	older "$out" "$from/.debfetch" "$drivers/.debfetch" "$loop/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/usr/sbin" "$tree/modules" "$tree/nest"
	for program in mke2fs e2fsck; do
		find "$from/" -name $program -type f -exec cp {} "$tree/usr/sbin/" \;
		libraries "$tree/usr/sbin/$program" "$from" "$tree/lib"
	done
	find "$drivers/" -name '*.ko*' -exec cp {} "$tree/modules/" \;
	find "$tree/modules" -name '*.xz' -exec xz -d -f {} \;
	(cd "$tree/modules" && archive "$tree/nest/ext4-6.1.cpio") || die "cannot make ext4-6.1.cpio"
	rm -rf "$tree/modules"
	find "$loop/" -name 'loop.ko*' -exec cp {} "$tree/nest/" \;
	find "$tree/nest" -name '*.xz' -exec xz -d -f {} \;
	mv "$tree/nest/loop.ko" "$tree/nest/loop-6.12.ko" || die "there is no loop.ko"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# fio for guests, which the hosts put on a disk.
fio_part()
{
	out=$build/part-fio.cpio tree=$build/part.tmp from=$cache/fio
	"$top/tools/debfetch" -q -a arm64 -s trixie -r 'lib*' -r 'zlib*' -k '*/lib/*.so*' \
		-k '*/bin/fio' -d "$from" fio libc6 || die "cannot fetch fio"
	older "$out" "$from/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/nest/fio"
	cp "$from/usr/bin/fio" "$tree/nest/fio/"
	libraries "$tree/nest/fio/fio" "$from" "$tree/nest/fio/lib"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# iperf3, for hosts and their guests, and a passt that knows vhost-user.
net_part()
{
	out=$build/part-net.cpio tree=$build/part.tmp from=$cache/net
	"$top/tools/debfetch" -q -a arm64 -s trixie -r 'lib*' -r 'zlib*' -k '*/lib/*.so*' -k '*/bin/iperf3' \
		-k '*/bin/passt' -d "$from" iperf3 passt libc6 || die "cannot fetch iperf3 and passt"
	older "$out" "$from/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/nest/net" "$tree/nest/iperf/iperf"
	cp "$from/usr/bin/passt" "$tree/nest/net/"
	libraries "$from/usr/bin/passt" "$from" "$tree/nest/net/lib"
	cp "$from/usr/bin/iperf3" "$tree/nest/iperf/iperf/"
	libraries "$from/usr/bin/iperf3" "$from" "$tree/nest/iperf/iperf/lib"
	# Which it loads when a thread of its own is to end.
	cp -L "$from/usr/lib/aarch64-linux-gnu/libgcc_s.so.1" "$tree/nest/iperf/iperf/lib/" || die "no libgcc_s"
	(cd "$tree/nest/iperf" && archive "$tree/nest/iperf.cpio") || die "cannot make iperf.cpio"
	mv "$tree/nest/iperf/iperf" "$tree/nest/net/"
	rmdir "$tree/nest/iperf"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# QEMU's storage daemon for the hosts, and what makes images for it.
storage_part()
{
	out=$build/part-storage.cpio tree=$build/part.tmp from=$cache/qsd
	"$top/tools/debfetch" -q -a arm64 -s trixie -r 'lib*' -r 'zlib*' -k '*/lib/*.so*' \
		-k '*/usr/bin/qemu-storage-daemon' -k '*/usr/bin/qemu-img' -d "$from" \
		qemu-system-common qemu-utils libc6 || die "cannot fetch qemu-storage-daemon"
	older "$out" "$from/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/usr/bin"
	for program in qemu-storage-daemon qemu-img; do
		cp "$from/usr/bin/$program" "$tree/usr/bin/"
		libraries "$tree/usr/bin/$program" "$from" "$tree/lib"
	done
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# Firmware for kvmtool's machine, if the test bed has it, and a disk from which its shell
# starts Debian's 6.1 with our init.
uefi_files()
{
	from=$(eval "$("$top/tests/testbed/build" -p uefi 2>/dev/null)"; echo "${TESTBED_UEFI-}") to=$nest/uefi
	[ -n "$from" ] && older "$to/disk" "$from/version" "$nest/Image-6.1" "$nest/guest-6.1.cpio" || return 0
	need mformat
	rm -rf "$to"
	mkdir -p "$to"
	cp "$from/KVMTOOL_EFI.fd" "$to/"
	printf '%s\r\n' fs0: date "vmlinuz initrd=\\initrd console=ttyS0 quiet loglevel=1 panic=-1 \
cryptomgr.notests=1" >"$to/startup.nsh"
	dd if=/dev/zero of="$to/disk.tmp" bs=1M count=0 seek=48 2>/dev/null
	mformat -i "$to/disk.tmp" :: && mmd -i "$to/disk.tmp" ::EFI ::EFI/BOOT &&
		mcopy -i "$to/disk.tmp" "$from/Shell.efi" ::EFI/BOOT/BOOTAA64.EFI &&
		mcopy -i "$to/disk.tmp" "$to/startup.nsh" ::startup.nsh &&
		mcopy -i "$to/disk.tmp" "$nest/Image-6.1" ::vmlinuz &&
		mcopy -i "$to/disk.tmp" "$nest/guest-6.1.cpio" ::initrd || die "cannot make $to/disk"
	rm "$to/startup.nsh"
	mv "$to/disk.tmp" "$to/disk"
}

uefi_part()
{
	out=$build/part-uefi.cpio tree=$build/part.tmp
	rm -rf "$tree"
	mkdir -p "$tree/nest"
	if [ -d "$nest/uefi" ]; then
		older "$out" "$nest/uefi/disk" || return 0
		cp -R "$nest/uefi" "$tree/nest/"
	fi
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# Debian's QEMU 10, for that architecture, in DIR/bin, and every library it needs in
# DIR/lib: to run in a host, and where an older one is installed.
qemu_tree()	# ARCHITECTURE DIR
{
	tree=$2 from=$cache/qemu-$1
	"$top/tools/debfetch" -q -a "$1" -s bookworm -s bookworm-backports -r 'lib*' -r 'zlib*' \
		-r 'qemu-system-*' -k '*/lib/*.so*' -k '*/usr/bin/qemu-system-aarch64' -d "$from" \
		qemu-system-arm/bookworm-backports libc6 || die "cannot fetch qemu"
	older "$tree/.done" "$from/.debfetch" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/bin"
	cp "$from/usr/bin/qemu-system-aarch64" "$tree/bin/"
	libraries "$from/usr/bin/qemu-system-aarch64" "$from" "$tree/lib"
	touch "$tree/.done"
}

qemu_part()
{
	qemu_tree arm64 "$build/qemu-arm64"
	older "$build/part-qemu.cpio" "$build/qemu-arm64/.done" || return 0
	(cd "$build/qemu-arm64" && archive "$build/part-qemu.cpio") || die "cannot make part-qemu.cpio"
}

# An emulator of FEAT_NV2: QEMU 9 or newer, this machine's or a backport.
new_emulator()
{
	case $(qemu-system-aarch64 --version | sed -n 's/.*version \([0-9]*\).*/\1/p') in
	[0-8]) ;;
	*) echo qemu-system-aarch64; return ;;
	esac
	arch=$(dpkg --print-architecture) dir=$build/qemu-10
	qemu_tree "$arch" "$dir"
	cat >"$dir/run" <<-END
	#!/bin/sh
	exec "$(echo "$dir"/lib/ld-linux*)" --library-path "$dir/lib" "$dir/bin/qemu-system-aarch64" "\$@"
	END
	chmod 755 "$dir/run"
	echo "$dir/run"
}

archive()	# OUT: of the current directory
{
	find . | sort | cpio -o -H newc -R 0:0 --quiet >"$1.tmp" && mv "$1.tmp" "$1"
}

# A kernel image under our name,
kernel_image()	# VERSION
{
	image=$nest/Image-$1
	from=$(find "$cache/kernel-$1/" -name 'vmlinuz*' -type f)
	older "$image" "$from" || return 0
	cp "$from" "$image.tmp"
	mv "$image.tmp" "$image"
}

modules()	# VERSION DIR MODULE...
{
	from=$cache/kernel-$1 to=$2
	shift 2
	for module; do
		find "$from/" "$from-net/" -name "$module.ko*" -exec cp {} "$to/" \;
	done
	find "$to" -name '*.xz' -exec xz -d -f {} \;
}

# ... its guests' initramfs with the modules they load, and one with those of virtio
# too, as far as they are modules there.
kernel()	# VERSION
{
	kernel_image "$1"
	image=$nest/Image-$1 tree=$build/guest.tmp
	older "$nest/virtio-$1.cpio" "$nest/init" "$image" "$here/build.sh" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/dev" "$tree/proc" "$tree/sys"
	cp "$nest/init" "$tree/init"
	modules "$1" "$tree" evdev gpio_keys
	(cd "$tree" && archive "$nest/guest-$1.cpio") || die "cannot make guest-$1.cpio"
	modules "$1" "$tree" virtio_mmio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
		virtio-rng virtio_blk failover net_failover virtio_net virtio_balloon virtio_console \
		vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport
	(cd "$tree" && archive "$nest/virtio-$1.cpio") || die "cannot make virtio-$1.cpio"
	modules "$1" "$tree" $host_modules
	for module in $host_modules; do
		mv "$tree/$module.ko" "$nest/$module-$1.ko"
	done
	rm -rf "$tree"
}

# The 6.1 kernel in its other forms, and what looks like a kernel for x86.
formats()
{
	image=$nest/Image-6.1
	if older "$nest/Image-6.1.gz" "$image"; then
		gzip -n -6 -c "$image" >"$nest/gz.tmp" || die "gzip"
		mv "$nest/gz.tmp" "$nest/Image-6.1.gz"
	fi
	for type in gzip zstd; do
		older "$nest/zboot-$type" "$image" "$here/mkzboot" || continue
		sh "$here/mkzboot" $type "$image" "$nest/zboot-$type" || die "mkzboot"
	done
	older "$nest/bzImage" || return 0
	{
		head -c 510 /dev/zero
		printf '\125\252\353\152HdrS\017\002'	# 0xaa55, a jump, the magic
		head -c 100000 /dev/zero
	} >"$nest/bzImage"
}

part()	# NAME FILE-OF-NEST...
{
	out=$build/part-$1.cpio tree=$build/part.tmp
	shift
	# shellcheck disable=SC2046 # a list of our own names
	(cd "$nest" && older "$out" "$@") || return 0
	rm -rf "$tree"
	mkdir -p "$tree/nest"
	(cd "$nest" && ln "$@" "$tree/nest/") || die "cannot make $tree"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

base_part()
{
	out=$build/part-base.cpio tree=$build/part.tmp
	busybox=$cache/busybox/bin/busybox
	older "$out" "$busybox" "$here/host-init" "$nest/drive" "$nest/meter" "$nest/mover" \
		"$nest/flat" "$nest/overlay.dtbo" "$nest/peer" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/bin" "$tree/nest/passt"
	cp "$busybox" "$tree/bin/busybox"
	cp "$here/host-init" "$tree/init"
	chmod 755 "$tree/init" "$tree/bin/busybox"
	cp "$nest/drive" "$nest/meter" "$nest/mover" "$nest/flat" "$nest/peer" "$nest/overlay.dtbo" \
		"$tree/nest/"
	find "$cache/passt/" -type f ! -name .debfetch -exec cp {} "$tree/nest/passt/" \;
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# The tree of a machine whose CPUs differ in their PMU; the options are QEMU's.
pmu_tree()	# OUT two|half CPUS EMULATOR MACHINE OPTION...
{
	out=$1 pmus=$2 cpus=$3 qemu=$4 of=$5
	shift 5
	"$qemu" -machine "$of,dumpdtb=$out.one" -smp "$cpus" "$@" -nic none \
		-display none >/dev/null 2>&1 || die "cannot get the tree of $of"
	first=$(seq -s, 0 $((cpus / 2 - 1))) second=$(seq -s, $((cpus / 2)) $((cpus - 1)))
	case $pmus in
	two) set -- arm,cortex-a57-pmu="$first" arm,cortex-a53-pmu="$second" ;;
	half) set -- arm,cortex-a53-pmu="$second" ;;
	*) die "PMUs: $pmus?" ;;
	esac
	"$nest/pmus" "$out.one" "$out" "$@" || die "cannot make $out"
	rm -f "$out.one"
}

# The example of embedding, against either form of the library, with what the
# second needs to be loaded where there is nothing but us.
embed_files()
{
	from=$(dirname "$vmm") to=$nest/embed
	rm -rf "$to"
	[ -x "$from/embed-shared" ] && [ -x "$from/cycles" ] && [ -x "$from/confined" ] || return 0
	mkdir -p "$to"
	cp -L "$from/embed" "$from/embed-shared" "$from/libvmm.so.0" "$from/cycles" \
		"$from/confined" "$to/"
	[ "$(uname -m)" != aarch64 ] || return 0
	cross=$("$cc" -print-file-name=libc.so.6)
	for lib in "$(dirname "$cross")"/ld-linux-aarch64.so.1 "$cross" \
		"$from"/../sysroot/usr/lib/aarch64-linux-gnu/libfdt.so.1 \
		"$from"/../sysroot/usr/lib/aarch64-linux-gnu/liburing.so.2 \
		"$from"/../sysroot/lib/aarch64-linux-gnu/libz.so.1 \
		"$from"/../sysroot/usr/lib/aarch64-linux-gnu/libzstd.so.1; do
		cp -L "$lib" "$to/" || die "cannot copy $lib"
	done
}

# The program under sanitizers, with the C library that it is linked to where hosts have
# none; what is known of it is in tsan.supp.
sanitized_files()
{
	for name in asan tsan; do
		program=$(dirname "$vmm")/../$name-arm64/arm64/vmm to=$nest/$name
		[ -x "$program" ] && older "$to/vmm" "$program" "$here/tsan.supp" || continue
		rm -rf "$to"
		mkdir -p "$to"
		cp "$here/tsan.supp" "$to/"
		[ "$(uname -m)" = aarch64 ] ||
			libraries "$program" "$(dirname "$("$cc" -print-file-name=libc.so.6)")" "$to"
		cp "$program" "$to/vmm"
	done
}

# ... and what hosts need to have a network.
sanitized_part()
{
	out=$build/part-sanitized.cpio tree=$build/part.tmp
	older "$out" "$nest"/[at]san/vmm || return 0
	rm -rf "$tree"
	mkdir -p "$tree/nest"
	for name in asan tsan; do
		[ ! -d "$nest/$name" ] || cp -R "$nest/$name" "$tree/nest/"
	done
	for module in tun vhost_iotlb vhost vsock vmw_vsock_virtio_transport_common vhost_vsock; do
		cp "$nest/$module-6.12.ko" "$tree/nest/"
	done
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

# What differs from run to run: the vmm, scripts, and a job for host-init.
job_part()	# OUT LINE-OF-JOB...
{
	out=$1 tree=$1.tree
	shift
	mkdir -p "$tree/nest/scenarios"
	cp "$vmm" "$tree/nest/vmm"
	cp "$here/scenario" "$here/lib.sh" "$here"/measure-* "$tree/nest/"
	cp "$here"/scenarios/*.sh "$tree/nest/scenarios/"
	[ ! -d "$nest/embed" ] || cp -R "$nest/embed" "$tree/nest/"
	printf '%s\n' "$@" >"$tree/nest/job"
	(cd "$tree" && archive "$out") || die "cannot make $out"
	rm -rf "$tree"
}

need()	# TOOL...
{
	for tool; do
		command -v "$tool" >/dev/null || die "$tool is missing (try: make deps)"
	done
}

# Everything that scenarios use, in $nest.
build_nest()
{
	[ -x "$vmm" ] || die "$vmm is missing: make it first"
	need cpio gzip xz zstd "$cc" "$objcopy"
	mkdir -p "$nest" "$cache"
	# One builder at a time in a tree; who comes second finds it done.
	exec 7>"$build/lock"
	flock 7
	for version in $kernels; do
		fetch_kernel "$version"
	done
	compile drive drive.c -lutil
	compile meter meter.c
	compile mover mover.c
	compile peer peer.c
	compile init guest/init.c
	compile_flat
	compile_overlay
	for version in $kernels; do
		kernel "$version"
	done
	formats
	uefi_files
	embed_files
	sanitized_files
	fetch busybox bookworm busybox-static
	ln -sfn "$cache/busybox/bin/busybox" "$nest/busybox"
	exec 7>&-
}

# ... and in archives, for emulated hosts.
build_parts()
{
	need qemu-system-aarch64
	fetch passt bookworm -r libc6 -k '*/bin/passt' -k '*/ld-linux-aarch64.so.1' \
		-k '*/libc.so.6' passt
	compile_pmus
	base_part
	fs_part
	p9_part
	ext4_part
	storage_part
	fio_part
	sanitized_part
	net_part
	for version in $kernels; do
		part "$version" "Image-$version" "guest-$version.cpio" "virtio-$version.cpio" \
			$(printf "%s-$version.ko " $host_modules)
	done
	part formats Image-6.1.gz zboot-gzip zboot-zstd bzImage
	uefi_part
}
