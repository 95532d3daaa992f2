# SPDX-License-Identifier: BSD-2-Clause
#
# memory.sh - sizes and kinds of guest memory

silent_but_for()	# TEXT
{
	! stderr | grep -v "$1" | grep . || exit 1
}

ram()	# SIZE BYTES-IN-HEX: a flat guest with --mem SIZE sees that much
{
	vm "want:ram=80000000+$2 " "want:EXIT: STATUS=1" exit:0 -- \
		--kernel "$NEST/flat" --cpus 1 --nodefaults --loglevel warning --mem "$1"
	silent_but_for "more than the host has"
}

scenario mem-sizes "6.1-a76 6.1-gicv2 6.12-16k"
mem_sizes()
{
	ram 64 4000000
	ram 64M 4000000
	ram 65536K 4000000
	ram 1G 40000000
	ram 333M 14d00000
	ram 6G 180000000
}

scenario mem-default "6.1-a57"
mem_default()
{
	vm "want:EXIT: STATUS=1" exit:0 -- --kernel "$NEST/flat" --cpus 1 --nodefaults
	vm "want:EXIT: STATUS=1" exit:0 -- --kernel "$NEST/flat" --nodefaults
}

scenario mem-6g "6.12-a76"
mem_6g()
{
	vm want:GUEST-READY exit:0 -- $(linux 6.1) --mem 6G -p "$QUIET"
	[ "$(field memkb)" -gt 6000000 ] || fail "memkb=$(field memkb)"
	[ "$(field ram)" = 0x80000000+0x180000000 ] || fail "ram=$(field ram)"
	silent_but_for "more than the host has"
}

scenario mem-odd "6.1-a57 6.12-16k"
mem_odd()
{
	vm want:GUEST-READY "want:GUEST-WORK good=1" exit:0 -- \
		$(linux 6.1) --mem 333M -p "$QUIET t=work"
	[ "$(field ram)" = 0x80000000+0x14d00000 ] || fail "ram=$(field ram)"
	silent
}

scenario mem-memfd "6.12-a76 6.12-16k"
mem_memfd()
{
	vm "want:GUEST-WORK good=1" exit:0 -- $(linux 6.1) --memfd -p "$QUIET t=work"
	silent
}

# Where they are given to who asks: by default, and not with --no-hugepages.
scenario mem-huge-pages "6.12-a76 6.1-a57 6.12-16k"
mem_huge_pages()
{
	need_root
	thp=/sys/kernel/mm/transparent_hugepage/enabled
	[ -w $thp ] || say_skip "this kernel has no transparent huge pages"
	kib=$(($(cat /sys/kernel/mm/transparent_hugepage/hpage_pmd_size) / 1024))
	before=$(sed 's/.*\[\(.*\)\].*/\1/' $thp)
	echo madvise >$thp
	look='sed -n "s/^AnonHugePages: *\([0-9]*\) kB/\1/p" /proc/$PID/smaps | sort -n | tail -n 1 >>$WORK/log/huge'
	export WORK
	ret=0
	for option in "" --no-hugepages; do
		vm want:FLAT "shell:$look" kill:TERM sleep:200 kill:TERM exit:12 -- \
			$(flat) --mem=$((kib / 1024 + 62)) $option -p t=wfi || ret=1
	done
	echo "$before" >$thp
	[ $ret = 0 ] || exit 1
	set -- $(cat "$WORK/log/huge")
	[ $# = 2 ] && [ "$1" -ge $kib ] && [ "$2" = 0 ] || fail "KiB in huge pages, with and without: $*"
}

scenario mem-hugetlbfs "6.12-a76 6.12-16k"
mem_hugetlbfs()
{
	need_root
	pages=/proc/sys/vm/nr_hugepages
	before=$(cat $pages)
	mkdir "$WORK/files/huge"
	mount -t hugetlbfs none "$WORK/files/huge"
	echo $((before + 160)) >$pages
	ret=0
	vm want:GUEST-READY "want:GUEST-WORK good=1" exit:0 -- \
		$(linux 6.1) --hugetlbfs "$WORK/files/huge" -p "$QUIET t=work" || ret=1
	left=$(ls "$WORK/files/huge")
	# More than there is: refused, not killed later.
	[ $ret != 0 ] || vm exit:1 -- $(flat) --mem 4G --hugetlbfs "$WORK/files/huge" || ret=1
	umount "$WORK/files/huge"
	echo "$before" >$pages
	[ -z "$left" ] || fail "it left $left"
	[ $ret = 0 ] || exit 1
}

# What of these is in FILE: an option of vmm's, and a word of the flat guest's image that it
# does not print.
words_in()	# FILE
{
	tr -s '\000' '\n' <"$1" | grep -F -o -e --loglevel -e t=off-and-reset | sort -u | tr '\n' ' '
}

# A vmm that crashes leaves a core, in which its own memory is and, whatever that is made of,
# not the guest's; though all kinds of memory are asked for.
scenario mem-core "6.12-a76 6.12-16k"
mem_core()
{
	need_root
	[ "$HOST" != native ] || say_skip "does not change what becomes of a real host's cores"
	kernel=/proc/sys/kernel core=$WORK/files/core huge=$WORK/files/huge
	pages=$(cat /proc/sys/vm/nr_hugepages) pattern=$(cat $kernel/core_pattern)
	mkdir "$huge"
	mount -t hugetlbfs none "$huge"
	echo $((pages + 64)) >/proc/sys/vm/nr_hugepages
	# Landlock keeps vmm from writing a file; and its end is to wait for the last byte.
	echo "|/bin/busybox dd bs=64k of=$core" >$kernel/core_pattern
	echo 1 >$kernel/core_pipe_limit
	echo 0x1ff >"/proc/$$/coredump_filter"
	ulimit -c unlimited
	[ "$(words_in "$NEST/flat")" = "t=off-and-reset " ] || fail "in the image: $(words_in "$NEST/flat")"
	wrong=
	for kind in --no-hugepages --memfd "--hugetlbfs $huge"; do
		rm -f "$core"
		launch crash FLAT $(flat) $kind -p t=spin
		[ "$kind" != "--hugetlbfs $huge" ] || grep -q "^VmFlags:.* ht" "/proc/$pid/smaps" ||
			wrong="$wrong, no huge pages"
		kill -SEGV $pid
		status 139 wait $pid
		words=$(words_in "$core")
		[ "$words" = "--loglevel " ] || wrong="$wrong, $kind: in the core: $words"
		note "$kind: $(($(stat -c %s "$core") / 1024)) KiB"
	done
	rm -f "$XDG_RUNTIME_DIR"/vmm/*
	umount "$huge"
	echo "$pages" >/proc/sys/vm/nr_hugepages
	echo "$pattern" >$kernel/core_pattern
	echo 0 >$kernel/core_pipe_limit
	[ -z "$wrong" ] || fail "${wrong#, }"
}

scenario mem-refused "6.1-a57"
mem_refused()
{
	refused 2 "mem" --kernel "$NEST/flat" --mem 0
	refused 2 "mem" --kernel "$NEST/flat" --mem 12Q
	refused 2 "mem" --kernel "$NEST/flat" --mem 99999999999999999999
	refused 4 "." --kernel "$NEST/flat" --loglevel error --mem 100P
}
