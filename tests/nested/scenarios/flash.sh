# SPDX-License-Identifier: BSD-2-Clause
#
# flash.sh - NOR flash that is kept in a file

blank()		# FILE BYTES
{
	head -c "$2" /dev/zero | tr '\000' '\377' >"$1"
}

scenario flash "6.1-a76 6.12-max 6.12-16k"
flash()
{
	file=$WORK/files/flash
	blank "$file" 1048576
	# Each boot clears one bit more.
	vm "want:FLASH size=100000 query=1 word=ffffffff program=80 erase=80 wrong=0 now=fffffffe" \
		"want:FLASH size=100000 query=1 word=fffffffe program=80 erase=80 wrong=0 now=fffffffc" \
		kill:TERM exit:12 -- $(flat) --flash "$file" --nodefaults -p "t=flash t=reset"
	vm "want:FLASH size=100000 query=1 word=" exit:0 -- $(flat) -F "$file" -p t=flash
	[ "$(stat -c %s "$file")" -eq 1048576 ] || fail "the file has another size"
	[ "$(tail -c 65536 "$file" | head -c 4 | od -An -tx4 | tr -d ' ')" = c0de0000 ] ||
		fail "the file has not what the guest wrote"
	silent
}

# Raw code in place of a kernel, at the beginning of RAM and elsewhere, with the flash that is its own.
scenario firmware "6.1-a76"
firmware()
{
	file=$WORK/files/flash
	blank "$file" 65536
	for address in "" "--firmware-address 0x80400000"; do
		vm "want:FLASH size=10000 query=1 word=" exit:0 -- --firmware "$NEST/flat" $address \
			--mem 64 --cpus 1 --nodefaults --loglevel warning --flash "$file" -p t=flash
		silent
	done
	refused 2 "excludes" $(flat) --firmware "$NEST/flat"
}

scenario flash-readonly "6.1-a76"
flash_readonly()
{
	file=$WORK/files/flash
	blank "$file" 65536
	before=$(md5sum <"$file")
	vm "want:program=92 erase=a2" exit:0 -- $(flat) --flash "$file,ro" -p t=flash
	[ "$before" = "$(md5sum <"$file")" ] || fail "the file has changed"
	blank "$file" 100000
	refused 3 "no power of two" $(flat) --flash "$file"
	refused 3 "Unable to open flash" $(flat) --flash "$WORK/files/none"
}

# kvmtool's UEFI: it formats the flash and restarts at the first boot, and finds the same disk
# behind either transport, and the time.  Its build has to be asked for.
scenario uefi "6.1-a57"
uefi()
{
	[ -e "$NEST/uefi" ] || say_skip "no firmware: tests/testbed/build uefi"
	file=$WORK/files/flash
	blank "$file" 16777216
	for transport in pci mmio; do
		vm "want:UEFI Interactive Shell" "want:$(date -u +%m/%d/%Y)" "want:GUEST-READY kernel=6.1" exit:0 -- \
			--firmware "$NEST/uefi/KVMTOOL_EFI.fd" --flash "$file" --disk "$NEST/uefi/disk,ro" \
			--virtio-transport $transport --mem 512 --cpus 1 --loglevel warning
		silent
	done
	[ "$(dd if="$file" bs=1 skip=40 count=4 2>/dev/null)" = _FVH ] || fail "there are no variables in the flash"
}

# On CPUs with addresses of 52 bits, more than it can bear.
scenario uefi-52 "6.12-max"
uefi_52()
{
	[ -e "$NEST/uefi" ] || say_skip "no firmware: tests/testbed/build uefi"
	file=$WORK/files/flash
	blank "$file" 16777216
	vm "want:UEFI Interactive Shell" "shell:$VMM stop --force firm" exit:12 -- --name firm \
		--firmware "$NEST/uefi/KVMTOOL_EFI.fd" --flash "$file" --disk "$NEST/uefi/disk,ro" --mem 512 --cpus 1 --loglevel warning
	silent
}
