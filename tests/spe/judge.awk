# SPDX-License-Identifier: BSD-2-Clause
#
# judge.awk - in the guest: are perf's samples of loops what they must be?
#
#   loops -n ... >LOG, under perf record -c PERIOD with jitter
#   perf script --itrace=i1i -F ip,sym,symoff,addr 2>ERRORS |
#           awk -v want=WHAT -v period=PERIOD -v errors=ERRORS -f judge.awk LOG -
#
# WHAT is the filter, load, store or branch, or `all`: then it is about shares, and,
# with loops -z, about the kernel's clear_user and the addresses that it stores to.
# With -v small=1 there may be fewer if perf says in ERRORS that it lost some.

function wrong(why)
{
	print "JUDGE: " want ": " why
	failed = 1
}

# Busybox's awk may have no sqrt().
function root(x,	r, i)
{
	r = x > 1 ? x : 1
	for (i = 0; i < 40; i++)
		r = (r + x / r) / 2
	return r
}

function near(what, got, should, percent, sigmas)
{
	slack = should * percent / 100 + sigmas * root(should)
	print "JUDGE: " want ": " what " " got " (should be " should ")"
	if (got > should + slack || (!lost && got < should - slack))
		wrong(what)
}

# To within 1 %, or what chance makes of the few that were not lost.
function share(what, got, should)
{
	slack = lost ? 5 * root(should * (100 - should) / total) : 1
	printf "JUDGE: %s: %s %d of %d, %.2f %% (should be %.2f)\n", want, what, got, total, 100 * got / total, should
	if (100 * got / total < should - slack || 100 * got / total > should + slack)
		wrong("share of " what)
}

NR == FNR {
	if ($2 == "load") {
		load = $3
		store = $5
		start = $7	# of the array
		end = $8
		bss = $10
	}
	if ($2 == "rounds")
		rounds = $3
	next
}

# "ADDRESS IP SYMBOL+OFFSET"
{
	split($3, where, "[+]0x")
	n[where[1]]++
	samples++
}

where[1] ~ /^loop_[abc]$/ {
	total++
	# Its branch, and its return.
	branches = where[1] == "loop_a" ? " 4c 50 " : where[1] == "loop_b" ? " 24 28 " : " 14 18 "
	if (where[2] == "0" ? $1 != load : where[2] == "4" ? $1 != store : $1 != "0")
		addresses++
	if ((want == "load" && where[2] != "0") || (want == "store" && where[2] != "4") ||
	    (want == "branch" && !index(branches, " " where[2] " ")))
		unwanted++
}

# Every other kind of its instructions has no address.
where[1] == "__arch_clear_user" && $1 != "0" {
	stores++
	# As texts: awk has no such numbers.  What is before the array execve() has cleared.
	if (length($1) != length(start) || $1 "" < bss "" || $1 "" >= end "") {
		addresses++
		print "JUDGE: " want ": clear_user stored to " $1
	}
}

# The kernel is in the upper half of the addresses.
length($2) == 16 {
	kernel++
}

END {
	if (!load || !total) {
		wrong("no samples of the loops")
		exit 1
	}
	while ((getline line <errors) > 0) {
		if (line ~ /lost/) {
			print "JUDGE: " want ": perf says: " line
			lost = 1
		}
	}
	if (lost && !small)
		wrong("lost")
	each = rounds * 100 * 1000 / (period + 127.5)
	if (want == "all") {
		near("samples of the loops", total, 36 * each, 0.5, 0)
		share("loop_a", n["loop_a"], 55.56)
		share("loop_b", n["loop_b"], 27.78)
		share("loop_c", n["loop_c"], 16.67)
	} else {
		near("samples of the loops", total, 3 * each, 0.5, 4)
		for (i = 1; i <= 3; i++)
			near("loop_" substr("abc", i, 1), n["loop_" substr("abc", i, 1)], each, 0.5, 5)
	}
	if (end && want == "all" && zero) {
		# A store for each 8 bytes of 1 MiB, in a loop of four instructions.
		near("samples of __arch_clear_user", n["__arch_clear_user"], rounds * 524288 / (period + 127.5), 1, 4)
		near("of them stores", stores, n["__arch_clear_user"] / 4, 0, 5)
		print "JUDGE: all: " kernel " samples of the kernel"
		if (kernel < n["__arch_clear_user"] || kernel > 1.5 * n["__arch_clear_user"])
			wrong("kernel")
	}
	if (addresses)
		wrong(addresses " wrong addresses")
	if (unwanted)
		wrong(unwanted " against the filter")
	exit failed
}
