#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-includes.sh - includes point downwards, and are spelled from the root
#
#	program -> vmm.h;  arm64 -> devices, spe, fdt, vmm;  devices -> fdt, vmm;
#	spe -> fdt, vmm;  fdt -> vmm;  vmm -> itself
#
# Devices know nothing of KVM, and vmm/kvm_linux.c alone calls it.

cd "$(dirname "$0")/../.." || exit 1
shopt -s nullglob

awk '
	function fail(text) { print "check-includes: " FILENAME ":" FNR ": " text; failed = 1 }

	BEGIN {
		may["include"] = "^vmm\\.h$"
		may["vmm/cli"] = "^(vmm|vmm/cli/[a-z0-9_]+)\\.h$"
		may["vmm"] = "^(vmm|vmm/[a-z0-9_]+)\\.h$"
		may["fdt"] = "^(vmm|(fdt|vmm)/[a-z0-9_]+)\\.h$"
		may["spe"] = "^(vmm|(spe|fdt|vmm)/[a-z0-9_]+)\\.h$"
		may["devices"] = "^(vmm|(devices|fdt|vmm)/[a-z0-9_]+)\\.h$"
		may["arm64"] = "^(vmm|(arm64|devices|spe|fdt|vmm)/[a-z0-9_]+)\\.h$"
		may["examples"] = "^$"		# as a host would: <vmm.h>
	}
	FNR == 1 {
		nr++
		folder = FILENAME
		sub(/\/[^\/]*$/, "", folder)
		in_comment = 0
		if ($0 !~ /SPDX-License-Identifier: BSD-2-Clause/)
			fail("no license")
		if (FILENAME ~ /\.h$/)
			headers[FILENAME] = 0
	}
	/^#ifndef [A-Z0-9_]+_H$/ || /^#define [A-Z0-9_]+_H$/ { headers[FILENAME]++ }
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, part, "\"")
		if (part[2] !~ may[folder])
			fail("wrong way: " part[2])
	}
	# Ours are not looked for among those of the system.
	/^[ \t]*#[ \t]*include[ \t]*<(vmm\.h|(vmm|arm64|devices|spe|fdt)\/)/ && folder != "examples" {
		fail($0)
	}
	/^[ \t]*#[ \t]*include[ \t]*<(linux|asm)\/kvm/ && FILENAME != "vmm/kvm_uapi.h" {
		fail("the interface of KVM beside vmm/kvm_uapi.h")
	}
	# What follows is about code.
	/^[ \t]*(\/\*|\*|\/\/)/ { next }
	(folder == "devices" || folder == "fdt") && /(^|[^a-zA-Z_])(kvm_|KVM_)/ {
		fail("a device that knows of KVM: " $0)
	}
	folder !~ /^(vmm\/cli|examples)$/ && FILENAME != "vmm/kvm_linux.c" &&
	/(^|[^a-zA-Z_>.])ioctl\(/ && !/BLKGETSIZE64|FIONREAD|TIOC/ {
		fail("an ioctl beside vmm/kvm_linux.c: " $0)
	}
	END {
		for (file in headers)
			if (headers[file] != 2) {
				print "check-includes: " file ": no include guard"
				failed = 1
			}
		if (nr < 40) {
			print "check-includes: only " nr " files found"
			failed = 1
		}
		exit failed
	}
' {include,vmm,vmm/cli,fdt,devices,spe,arm64,examples}/*.[ch]
