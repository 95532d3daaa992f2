# SPDX-License-Identifier: BSD-2-Clause
#
# measure.awk - the table, or the JSON, of what meter said
#
# What is recorded is no measurement of this run: kvmtool f67bc0b (2026-08), linked
# statically, and QEMU 10.0.2, with guests that do the same, on a host of the same
# kind whose kernel was configured a little differently.  How much that matters is
# what QEMU, recorded and measured, tells.

{
	for (i = 2; i <= NF; i++) {
		split($i, kv, "=")
		v[$1, kv[1]] = kv[2]
		if (kv[1] == "status" && kv[2] != 0)
			wrong($1 " ended with status " kv[2])
	}
}

function wrong(what)
{
	print "measure: " what >"/dev/stderr"
	bad = 1
}

function get(label, what)
{
	return (label, what) in v ? v[label, what] : ""
}

function mega(x)
{
	return x == "" ? "" : sprintf("%.3f", x / 1e6)
}

function minus(a, b, by)
{
	return a == "" || b == "" ? "" : int((a - b) / by)
}

function ratio(a, b)
{
	return a == "" || b == "" || a + 0 == 0 ? "" : sprintf("%.2f", b / a)
}

function line(name, vmm, qemu, by_qemu, kvmtool, by_kvmtool, old_qemu)
{
	printf "%-46s %9s %9s %6s %9s %6s %9s\n", name, vmm, qemu, by_qemu, kvmtool, by_kvmtool, old_qemu
}

function title(text)
{
	if (format != "json")
		printf "%s\n", text
}

function json(x)
{
	return x == "" ? "null" : x
}

function row(key, name, vmm, qemu, kvmtool, old_qemu)
{
	if (vmm == "" && peers ~ /vmm/)
		wrong("no " key)
	if (!recorded)
		kvmtool = old_qemu = ""
	if (format == "json") {
		printf "%s\n  \"%s\": {\"vmm\": %s, \"qemu\": %s, \"recorded\": {\"kvmtool\": %s, \"qemu\": %s}}", \
			sep, key, json(vmm), json(qemu), json(kvmtool), json(old_qemu)
		sep = ","
	} else {
		line("  " name, vmm, qemu, ratio(vmm, qemu), kvmtool, ratio(vmm, kvmtool), old_qemu)
	}
}

# A row in millions,
function mrow(key, name, label, what, kvmtool, old_qemu)
{
	row(key, name, mega(get("vmm-" label, what)), mega(get("qemu-" label, what)), kvmtool, old_qemu)
}

# ... as it is,
function nrow(key, name, label, what, kvmtool, old_qemu)
{
	row(key, name, get("vmm-" label, what), get("qemu-" label, what), kvmtool, old_qemu)
}

# ... and of one of the 10,000 things that a guest did.
function each(peer, label, what,	base)
{
	base = what == "user" ? "-flat-1" : "-file-1"
	return minus(get(peer "-" label "-1", what), get(peer base, what), 10000)
}

function erow(key, name, label, what, kvmtool, old_qemu)
{
	row(key, name, each("vmm", label, what), each("qemu", label, what), kvmtool, old_qemu)
}

function sum(a, b)
{
	return a == "" || b == "" ? "" : a + b
}

END {
	if (format == "json")
		printf "{"
	else
		line("", "vmm", "QEMU", "/vmm", "kvmtool*", "/vmm", "QEMU*")
	title("A flat image that powers off at once, 10^6 instructions")
	mrow("flat_entry", "exec to the first guest instruction, in all", "entry-1", "entered_ns", 1.50, 84.3)
	mrow("flat_exit", "exec to exit, in all", "flat-1", "total_ns", 2.16, 126.8)
	mrow("flat_user", "of these, host user", "flat-1", "user", 0.316, 98.9)
	mrow("flat_kernel", "of these, host kernel", "flat-1", "kernel", 1.404, 21.2)
	mrow("flat4_entry", "4 vCPUs: exec to the first guest instruction", "entry-4", "entered_ns")
	row("flat4_host", "4 vCPUs: host user and kernel",
	    mega(sum(get("vmm-flat-4", "user"), get("vmm-flat-4", "kernel"))),
	    mega(sum(get("qemu-flat-4", "user"), get("qemu-flat-4", "kernel"))), 2.1, 147.3)
	title("Linux, which powers off in its init, 10^6 instructions")
	mrow("linux_init", "exec to init's first line, in all", "linux", "ready_ns")
	mrow("linux_exit", "exec to exit, in all", "linux", "total_ns", 42.7, 193.9)
	mrow("linux_user", "of these, host user", "linux", "user", 0.44, 102.9)
	mrow("linux_kernel", "of these, host kernel", "linux", "kernel", 11.4, 38.8)
	mrow("linux_guest", "of these, the guest", "linux", "guest", 30.3, 45.5)
	title("One exit to userspace, instructions")
	erow("store", "store to a device, in all", "store", "total_ns", 4953, 6137)
	erow("store_user", "of these, host user", "store", "user", 212, 1345)
	row("store_no_pvtime", "in all, with --no-pvtime", each("vmm-quick", "store", "total_ns"))
	erow("byte", "byte to the UART, in all", "byte", "total_ns", 5697, 8435)
	erow("byte_user", "of these, host user", "byte", "user")
	row("repin_user", "vCPU moved to a wrong CPU and back, host user", repin)
	if (get("vmm-safe-flat-1", "total_ns") != "") {
		title("The sandbox, which is off above, on")
		mrow("safe_flat_exit", "flat image: exec to exit, in all", "safe-flat-1", "total_ns")
		mrow("safe_flat_user", "of these, host user", "safe-flat-1", "user")
		mrow("safe_flat_kernel", "of these, host kernel", "safe-flat-1", "kernel")
		row("safe_flat4_host", "4 vCPUs: host user and kernel",
		    mega(sum(get("vmm-safe-flat-4", "user"), get("vmm-safe-flat-4", "kernel"))))
		mrow("safe_linux_exit", "Linux: exec to exit, in all", "safe-linux", "total_ns")
		row("safe_store", "store to a device, in all", minus(get("vmm-safe-store-1", "total_ns"), get("vmm-safe-file-1", "total_ns"), 10000))
		row("safe_byte", "byte to the UART, in all", minus(get("vmm-safe-byte-1", "total_ns"), get("vmm-safe-file-1", "total_ns"), 10000))
	}
	title("What a process holds while its guest sleeps")
	nrow("anon_kib", "anonymous memory outside guest RAM, KiB", "idle-1", "anon_kb", 196, 25264)
	nrow("anon4_kib", "4 vCPUs", "idle-4", "anon_kb", 228, 26256)
	nrow("threads", "threads", "idle-1", "threads", 5, 3)
	nrow("threads4", "4 vCPUs", "idle-4", "threads", 8, 6)
	nrow("fds", "open descriptors", "idle-1", "fds", 14, 13)
	nrow("fds4", "4 vCPUs", "idle-4", "fds", 17, 19)
	title("What it asks for")
	nrow("flat_syscalls", "system calls, flat image", "flat-1", "syscalls", 185, 3673)
	nrow("flat4_syscalls", "4 vCPUs", "flat-4", "syscalls")
	nrow("linux_syscalls", "system calls, Linux", "linux", "syscalls", 434, 4315)
	nrow("linux_kvm_run", "returns of KVM_RUN, Linux", "linux", "kvm_run", 164, 404)
	if (format == "json") {
		printf "\n}\n"
		exit bad
	}
	print "\n/vmm: that many times vmm's.  In all: of the whole machine, with 1 ns of idle time for one."
	if (recorded)
		print "* recorded, not measured in this run: kvmtool f67bc0b of 2026-08, linked statically, and\n" \
			"  QEMU 10.0.2, on a host of the same kind whose kernel and whose Linux guest were\n" \
			"  slightly different ones: how much that matters, QEMU and QEMU* tell"
	else
		print "No figures of kvmtool: they were recorded with the test bed's kernel (make testbed)"
	exit bad
}
