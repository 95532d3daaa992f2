# SPDX-License-Identifier: BSD-2-Clause
#
# measure.awk - the table, the JSON or the picture of what meter said
#
# What is recorded is no measurement of this run: kvmtool f67bc0b (2026-08), linked
# statically, and QEMU 10.0.2, with guests that do the same, on a host of the same
# kind with a kernel like the one here.  How like, is what QEMU, recorded and measured,
# tells.

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
	if (format == "txt")
		printf "%s\n", text
}

# Bars of one row, a VMM each, to the scale of the longest.
function bar(y, who, x, most, colour)
{
	printf "<rect x=\"330\" y=\"%d\" width=\"%.1f\" height=\"9\" fill=\"%s\"/>\n", y, 1 + 330 * x / most, colour
	printf "<text x=\"%.1f\" y=\"%d\" font-size=\"10\">%s, %s</text>\n", 336 + 330 * x / most, y + 9, x, who
}

function bars(name, vmm, qemu, kvmtool,		most)
{
	most = vmm + 0
	most = qemu + 0 > most ? qemu + 0 : most
	most = kvmtool + 0 > most ? kvmtool + 0 : most
	printf "<text x=\"322\" y=\"%d\" text-anchor=\"end\">%s</text>\n", at + 20, name
	bar(at, "vmm", vmm, most, "#3b6fb6")
	if (kvmtool != "")
		bar(at + 11, "kvmtool, recorded", kvmtool, most, "#8aa37b")
	if (qemu != "")
		bar(at + 22, "QEMU", qemu, most, "#c98b4a")
	at += 44
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
	ours[key] = vmm
	theirs[key] = qemu
	if (vmm != "" && kvmtool != "") {
		nr_recorded++
		if (vmm + 0 > kvmtool + 0)
			over = over " " key
		else
			nr_under++
	}
	if (format == "svg") {
		if (key in drawn && vmm != "")
			bars(drawn[key], vmm, qemu, kvmtool)
	} else if (format == "json") {
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

# ... what is the host's of one,
function mhost(key, label)
{
	row(key, "of it and its end, host user and kernel",
	    mega(sum(get("vmm-" label, "user"), get("vmm-" label, "kernel"))),
	    mega(sum(get("qemu-" label, "user"), get("qemu-" label, "kernel"))))
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

# ... and of one of the 1,000 reads more.
function erow2(key, name, what)
{
	row(key, name, per_read("vmm", what), per_read("qemu", what))
}

function per_read(peer, what)
{
	if (get(peer "-reads-1", what) == "")
		return ""
	return sprintf("%.2f", (get(peer "-reads-1", what) - get(peer "-reads-0", what)) / 1000)
}

# ... of what a network card does, one of @of things: a MiB, or a byte there and back,
function per_thing(peer, way, what, of)
{
	return minus(get(peer "-net-cost-" way, what), get(peer "-net-cost-0", what), of)
}

# Instructions of the host, in the process and in the kernel, for each of @of things that
# one run did more than another.
function host(peer, label, base, of)
{
	return minus(sum(get(peer "-" label, "user"), get(peer "-" label, "kernel")),
		     sum(get(peer "-" base, "user"), get(peer "-" base, "kernel")), of)
}

function host_row(key, label, base, of)
{
	row(key, "of it, host user and kernel, instructions", host("vmm", label, base, of),
	    host("qemu", label, base, of))
}

function net_row(key, name, way, what, of)
{
	row(key, name, per_thing("vmm", way, what, of), per_thing("qemu", way, what, of))
}

# ... and of a frame.
function per_frame(peer, way, what,	frames)
{
	frames = get(peer "-net-calls-" way, "frames") - get(peer "-net-calls-0", "frames")
	if (get(peer "-net-calls-" way, what) == "" || frames <= 0)
		return ""
	return sprintf("%.2f", (get(peer "-net-calls-" way, what) - get(peer "-net-calls-0", what)) / frames)
}

function frame_row(key, name, way, what)
{
	row(key, name, per_frame("vmm", way, what), per_frame("qemu", way, what))
}

# ... in millions, without the sandbox and with.
function pair(key, name, label, what)
{
	row("sandbox_off_" key, name ", off", mega(get("vmm-off-" label, what)))
	row("sandbox_on_" key, name ", on", mega(get("vmm-on-" label, what)))
}

function kib(x)
{
	return x == "" ? "" : int(x / 1024)
}

# What is in no VMM's power, to compare with.
function limit(key, name, x)
{
	if (format == "json") {
		printf "%s\n  \"%s\": {\"limit\": %s}", sep, key, json(x)
		sep = ","
	} else if (format == "txt") {
		line("  " name, x)
	}
}

# ---- What is aimed at ---------------------------------------------------------------

function goal(key, name, is, how, want,		met)
{
	if (is == "" || want == "")
		return
	met = how == "least" ? is + 0 >= want + 0 : is + 0 <= want + 0
	if (format == "json") {
		printf "%s\n  \"goal_%s\": {\"is\": %s, \"at_%s\": %s, \"met\": %s}", sep, key, is, how, want,
			met ? "true" : "false"
		sep = ","
	} else if (format == "txt") {
		printf "  %-46s %9s   at %s %s: %s\n", name, is, how, want, met ? "met" : "MISSED"
	}
}

# QEMU's figure is at least four times ours.
function quarter(key, name)
{
	goal(key, name, ratio(ours[key], theirs[key]), "least", 4)
}

function bare(pvtime)
{
	return minus(get("bare-store-" pvtime, "total_ns"), get("bare-off-" pvtime, "total_ns"), 10000)
}

function sum(a, b)
{
	return a == "" || b == "" ? "" : a + b
}

END {
	drawn["flat_entry"] = "to the first guest instruction, 10^6 instructions"
	drawn["linux_user"] = "Linux, of it in the VMM, 10^6 instructions"
	drawn["store"] = "a store to a device, instructions"
	drawn["linux_syscalls"] = "system calls for a boot of Linux"
	drawn["linux_init"] = "Linux to its init, 10^6 instructions"
	drawn["linux_pci_host"] = "with a disk, of it in the host, 10^6 instructions"
	drawn["byte"] = "a byte to the UART, instructions"
	drawn["disk_1"] = "4 KiB read from a disk, ns"
	drawn["disk_32"] = "32 at a time, ns each"
	drawn["disk_mib"] = "1 MiB read from a disk, ns"
	drawn["read_syscalls"] = "system calls for 4 KiB read"
	drawn["net_up"] = "a MiB to the host by TCP, ns"
	drawn["net_down"] = "a MiB from the host by TCP, ns"
	drawn["net_trip"] = "a byte there and back by TCP, ns"
	drawn["pause"] = "pausing, ns"
	drawn["anon_kib"] = "private memory, KiB"
	drawn["anon4_kib"] = "4 vCPUs, KiB"
	drawn["threads4"] = "threads, 4 vCPUs"
	drawn["size_kib"] = "program and libraries, KiB"
	for (key in drawn)
		height += 44
	at = 40
	if (format == "json")
		printf "{"
	else if (format == "svg")
		printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 %d\" font-family=\"sans-serif\" " \
			"font-size=\"12\">\n<rect width=\"800\" height=\"%d\" fill=\"white\"/>\n" \
			"<text x=\"20\" y=\"24\" font-size=\"15\" font-weight=\"bold\">What a guest costs</text>\n",
			height + 42, height + 42
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
	limit("linux_alone", "the kernel on QEMU's machine, without a VMM", mega(get("alone", "ready_ns")))
	mrow("linux_init", "exec to init's first line, in all", "linux", "ready_ns")
	mrow("linux_exit", "exec to exit, in all", "linux", "total_ns", 42.7, 193.9)
	mrow("linux_user", "of these, host user", "linux", "user", 0.44, 102.9)
	mrow("linux_kernel", "of these, host kernel", "linux", "kernel", 11.4, 38.8)
	mrow("linux_guest", "of these, the guest", "linux", "guest", 30.3, 45.5)
	mrow("linux_pci_init", "with a disk behind virtio-pci: to init", "linux-pci", "ready_ns")
	mrow("linux_pci_user", "of it and its end, host user", "linux-pci", "user")
	mhost("linux_pci_host", "linux-pci")
	mrow("linux_mmio_init", "with a disk behind virtio-mmio: to init", "linux-mmio", "ready_ns")
	mrow("linux_mmio_user", "of it and its end, host user", "linux-mmio", "user")
	mhost("linux_mmio_host", "linux-mmio")
	title("One exit to userspace, instructions")
	erow("store", "store to a device, in all", "store", "total_ns", 4953, 6137)
	erow("store_user", "of these, host user", "store", "user", 212, 1345)
	row("store_no_pvtime", "in all, with --no-pvtime", each("vmm-quick", "store", "total_ns"))
	limit("store_bare", "a loop of KVM_RUN and nothing else", bare(1))
	limit("store_bare_no_pvtime", "... with no stolen time to tell", bare(0))
	erow("byte", "byte to the UART, in all", "byte", "total_ns", 5697, 8435)
	erow("byte_user", "of these, host user", "byte", "user")
	nrow("repin_user", "vCPU moved to a wrong CPU and back, host user", "repin", "user")
	title("A read of 4 KiB from a disk (virtio-blk, PCI) in the host's memory")
	nrow("disk_1", "one at a time, in all, ns", "disk-1", "each_ns", 32500, 87600)
	host_row("disk_1_host", "disk-cost-1", "disk-cost-0", 2000)
	nrow("disk_32", "32 at a time, in all, ns", "disk-32", "each_ns", 12500, 23600)
	host_row("disk_32_host", "disk-cost-32", "disk-cost-0", 2000)
	erow2("read_syscalls", "system calls for each", "syscalls")
	erow2("read_kvm_run", "of these, returns of KVM_RUN", "kvm_run")
	erow2("read_interrupts", "of these, ioctls to raise its interrupt", "interrupts")
	nrow("disk_mib", "reads of 1 MiB, one behind the other, in all, ns", "disk-mib", "each_ns")
	host_row("disk_mib_host", "disk-mib-256", "disk-mib-0", 256)
	title("A read of 4 KiB from such a disk that qemu-storage-daemon serves (vhost-user)")
	nrow("served_1", "one at a time, in all, ns", "served-1", "each_ns")
	nrow("served_32", "32 at a time, in all, ns", "served-32", "each_ns")
	nrow("relayed_1", "one at a time, with reconnect=, in all, ns", "served-relayed-1", "each_ns")
	nrow("relayed_32", "32 at a time, with reconnect=, in all, ns", "served-relayed-32", "each_ns")
	title("TCP through a network card (virtio-net, PCI) on a tap interface of the host's")
	nrow("net_up", "a MiB to the host, in all, ns", "net-time-up", "each_ns")
	net_row("net_up_user", "of these, host user", "up", "user", 64)
	host_row("net_up_host", "net-cost-up", "net-cost-0", 64)
	frame_row("net_up_syscalls", "system calls for each frame of it", "up", "syscalls")
	nrow("net_up_vhost", "in all, if the kernel serves the rings", "vhost-time-up", "each_ns")
	nrow("net_down", "a MiB from the host, in all, ns", "net-time-down", "each_ns")
	net_row("net_down_user", "of these, host user", "down", "user", 64)
	host_row("net_down_host", "net-cost-down", "net-cost-0", 64)
	frame_row("net_down_syscalls", "system calls for each frame of it", "down", "syscalls")
	nrow("net_down_vhost", "in all, if the kernel serves the rings", "vhost-time-down", "each_ns")
	nrow("net_trip", "a byte there and back, in all, ns", "net-time-trips", "each_ns")
	net_row("net_trip_user", "of these, host user", "trips", "user", 1000)
	host_row("net_trip_host", "net-cost-trips", "net-cost-0", 1000)
	frame_row("net_trip_syscalls", "system calls for each of the two frames", "trips", "syscalls")
	frame_row("net_trip_kvm_run", "of these, returns of KVM_RUN", "trips", "kvm_run")
	nrow("net_trip_vhost", "in all, if the kernel serves the rings", "vhost-time-trips", "each_ns")
	title("The device by itself, on this machine: 32 such reads at a time, in the page cache, of CPU time")
	limit("native_bare_ns", "a loop of io_uring and nothing else, ns each", get("native-disk", "bare_ns"))
	limit("native_device_ns", "the device, ns each", get("native-disk", "device_ns"))
	limit("native_packed_ns", "... of a packed ring, ns each", get("native-disk", "packed_ns"))
	limit("native_percent", "reads that it does, of the loop's, per cent", get("native-disk", "percent"))
	title("A guest of Linux that has nothing to do, in 5 seconds")
	nrow("idle_syscalls", "system calls", "quiet", "syscalls")
	nrow("idle_kvm_run", "of these, returns of KVM_RUN", "quiet", "kvm_run")
	title("Pausing a guest that computes, 1 vCPU")
	nrow("pause", "asked on the control socket to answered, ns", "pause", "ns")
	if (peers ~ /vmm/) {
		title("The sandbox, which is off above; on a host with Debian's kernel")
		pair("flat_exit", "flat image: exec to exit, in all", "flat-1", "total_ns")
		pair("flat_user", "of these, host user", "flat-1", "user")
		pair("flat_kernel", "of these, host kernel", "flat-1", "kernel")
		pair("flat4_kernel", "4 vCPUs: host kernel", "flat-4", "kernel")
		pair("linux_init", "Linux: exec to init's first line", "linux", "ready_ns")
		for (i = 1; i <= 2; i++) {
			what = i == 1 ? "store" : "byte"
			for (j = 1; j <= 2; j++) {
				on = j == 1 ? "off" : "on"
				row("sandbox_" on "_" what, (i == 1 ? "store to a device, in all, " : "byte to the UART, in all, ") on,
				    minus(get("vmm-" on "-" what "-1", "total_ns"), get("vmm-" on "-file-1", "total_ns"), 10000))
			}
		}
		nrow("sandbox_on_anon_kib", "anonymous memory, KiB, on", "on-idle-1", "anon_kb")
	}
	title("What a process holds while its guest sleeps")
	nrow("anon_kib", "anonymous memory outside guest RAM, KiB", "idle-1", "anon_kb", 196, 25264)
	nrow("anon4_kib", "4 vCPUs", "idle-4", "anon_kb", 228, 26256)
	nrow("anon8_kib", "8 vCPUs", "idle-8", "anon_kb")
	nrow("threads", "threads", "idle-1", "threads", 5, 3)
	nrow("threads4", "4 vCPUs", "idle-4", "threads", 8, 6)
	nrow("fds", "open descriptors", "idle-1", "fds", 14, 13)
	nrow("fds4", "4 vCPUs", "idle-4", "fds", 17, 19)
	title("What it asks for")
	nrow("flat_syscalls", "system calls, flat image", "flat-1", "syscalls", 185, 3673)
	nrow("flat4_syscalls", "4 vCPUs", "flat-4", "syscalls")
	nrow("linux_syscalls", "system calls, Linux", "linux", "syscalls", 434, 4315)
	nrow("linux_kvm_run", "returns of KVM_RUN, Linux", "linux", "kvm_run", 164, 404)
	title("How much there is of it")
	row("size_kib", "the program and its libraries, KiB", kib(get("vmm-size", "bytes")), kib(get("qemu-size", "bytes")))
	row("lines_library", "lines of code, the library", get("vmm-size", "library"))
	row("lines_program", "lines of code, the program", get("vmm-size", "program"))
	title("Goals.  The first of them: QEMU's instructions in the host, of vmm's")
	quarter("linux_pci_host", "Linux to init and off, a disk behind virtio-pci")
	quarter("linux_mmio_host", "the same behind virtio-mmio")
	quarter("disk_1_host", "a read of 4 KiB")
	quarter("disk_32_host", "32 at a time")
	quarter("disk_mib_host", "a read of 1 MiB, which the kernel copies")
	quarter("net_up_host", "a MiB to the host by TCP, which it copies too")
	quarter("net_down_host", "a MiB from the host by TCP")
	quarter("net_trip_host", "a byte there and back by TCP")
	quarter("net_up_user", "in the process, a MiB to the host by TCP")
	quarter("net_down_user", "in the process, a MiB from the host by TCP")
	goal("read_kvm_run", "returns of KVM_RUN for a read", ours["read_kvm_run"], "most", 0.05)
	goal("native_percent", "the device by itself, per cent of a bare loop", get("native-disk", "percent"), "least", 90)
	goal("anon_kib", "anonymous memory, KiB", ours["anon_kib"], "most", 200)
	goal("anon4_kib", "4 vCPUs", ours["anon4_kib"], "most", 240)
	goal("idle_syscalls", "system calls of an idle guest", ours["idle_syscalls"], "most", 0)
	if (recorded && nr_recorded) {
		goal("disk_1", "a read of 4 KiB, in all, ns", ours["disk_1"], "most", 24000)
		goal("disk_32", "32 at a time, in all, ns", ours["disk_32"], "most", 9000)
		goal("kvmtool", "rows at or under what kvmtool had" over, nr_under + 0, "least", nr_recorded)
	}
	if (format == "json")
		printf "\n}\n"
	else if (format == "svg")
		printf "</svg>\n"
	if (format != "txt")
		exit bad
	print "\n/vmm: that many times vmm's.  In all: of the whole machine, with 1 ns of idle time for one."
	if (recorded)
		print "* recorded, not measured in this run: kvmtool f67bc0b of 2026-08, linked statically, and\n" \
			"  QEMU 10.0.2, on a host of the same kind, with a kernel like this one: how like, QEMU\n" \
			"  and QEMU* tell"
	else
		print "No figures of kvmtool: they were recorded with a kernel like the test bed's kernelbench"
	exit bad
}
