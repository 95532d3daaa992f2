# SPDX-License-Identifier: BSD-2-Clause
#
# images.sh - every form a kernel comes in, whole and broken

boots()	# KERNEL-FILE
{
	vm "want:GUEST-READY kernel=6.1." exit:0 -- --kernel "$1" \
		--initrd "$NEST/guest-6.1.cpio" --mem 256 --cpus 1 --loglevel warning -p "$QUIET"
	silent
}

scenario image-gzip "6.1-a76"
image_gzip()
{
	boots "$NEST/Image-6.1.gz"
}

scenario image-zboot-gzip "6.1-a76"
image_zboot_gzip()
{
	boots "$NEST/zboot-gzip"
}

scenario image-zboot-zstd "6.1-a76"
image_zboot_zstd()
{
	boots "$NEST/zboot-zstd"
}

# A kernel is any argument that is not an option.
scenario image-argument "6.1-a57"
image_argument()
{
	vm "want:EXIT: STATUS=1" exit:0 -- --mem 64 --cpus 1 --nodefaults "$NEST/flat"
}

scenario image-truncated "6.1-a76"
image_truncated()
{
	# The file says how long it is, so that a copy cut short is noticed.
	head -c 1000000 "$NEST/Image-6.1" >"$WORK/files/short"
	refused 3 "short:" --kernel "$WORK/files/short" --mem 256 --cpus 1
	head -c 40 "$NEST/Image-6.1" >"$WORK/files/tiny"
	refused 3 "tiny:" --kernel "$WORK/files/tiny" --mem 256 --cpus 1
	: >"$WORK/files/empty"
	refused 3 "empty:" --kernel "$WORK/files/empty" --mem 256 --cpus 1
	for form in Image-6.1.gz zboot-gzip zboot-zstd; do
		head -c 1000000 "$NEST/$form" >"$WORK/files/short"
		refused 3 "short:" --kernel "$WORK/files/short" --mem 256 --cpus 1
	done
}

scenario image-damaged "6.1-a76"
image_damaged()
{
	for form in Image-6.1.gz zboot-gzip zboot-zstd; do
		cp "$NEST/$form" "$WORK/files/bad"
		dd if=/dev/urandom of="$WORK/files/bad" bs=1000 seek=2000 count=4 conv=notrunc 2>/dev/null
		refused 3 "bad:" --kernel "$WORK/files/bad" --mem 256 --cpus 1
	done
	# A zboot header with an algorithm that nobody has, and one that points outside.
	cp "$NEST/zboot-gzip" "$WORK/files/odd"
	printf 'rot13\000' | dd of="$WORK/files/odd" bs=1 seek=24 conv=notrunc 2>/dev/null
	refused 3 "rot13" --kernel "$WORK/files/odd" --mem 256 --cpus 1
	cp "$NEST/zboot-gzip" "$WORK/files/odd"
	printf '\377\377\377\177' | dd of="$WORK/files/odd" bs=1 seek=8 conv=notrunc 2>/dev/null
	refused 3 "odd:" --kernel "$WORK/files/odd" --mem 256 --cpus 1
}

scenario image-foreign "6.1-a76"
image_foreign()
{
	refused 3 "x86" --kernel "$NEST/bzImage" --mem 256 --cpus 1
	refused 3 "." --kernel "$VMM" --mem 256 --cpus 1
	refused 3 "director\|not a regular file" --kernel "$NEST" --mem 256 --cpus 1
}

scenario image-too-large "6.1-a76"
image_too_large()
{
	refused 3 "kernel:.*KiB" --kernel "$NEST/Image-6.1" --mem 16 --cpus 1
	refused 3 "kernel:.*KiB" --kernel "$NEST/Image-6.1.gz" --mem 16 --cpus 1
	truncate -s 100M "$WORK/files/initrd"
	refused 3 "initrd" --kernel "$NEST/flat" --initrd "$WORK/files/initrd" --mem 64 --cpus 1
	# Each fits, but not both.
	truncate -s 50M "$WORK/files/initrd"
	refused 3 "initrd" --kernel "$NEST/Image-6.1" --initrd "$WORK/files/initrd" --mem 80 --cpus 1
}

scenario image-missing "6.1-a76"
image_missing()
{
	refused 3 "no-such-kernel.*No such file" --kernel /no-such-kernel --cpus 1
	refused 3 "no-such-initrd.*No such file" --kernel "$NEST/flat" --initrd /no-such-initrd --cpus 1
}
