#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-options.sh VMM - the options of "vmm run" agree wherever they are written
#
# The table in vmm/cli/options.c is what counts.  Each of its rows has to be in the
# help that VMM prints, in vmm-run(1) and in the bash completion, each option in
# those has to be in the table, and VMM has to know it.  Exit statuses of the help
# have to be in vmm-run(1), and commands in vmm(1) and the completion.

set -u
vmm=${1:?usage: check-options.sh VMM}
root=$(cd "$(dirname "$0")/../.." && pwd)
table=$root/vmm/cli/options.c
page=$root/man/vmm-run.1
completion=$root/vmm/cli/vmm.bash-completion
failed=0

fail()
{
	echo "check-options: $*" >&2
	failed=1
}

# has LIST LINE
has()
{
	[[ $'\n'$1$'\n' == *$'\n'$2$'\n'* ]]
}

# A row's first line is OPTION(ID, LETTER, "name", or FLAG(ID, "name", or
# OPTIONAL(ID, "name",
options=$(sed -nE 's/^\t(OPTION|OPTIONAL|FLAG)\([^"]*"([a-z0-9-]+)".*/\2/p' "$table")
later=$(sed -nE 's/^\tLATER\([^"]*"([a-z0-9-]+)".*/\1/p' "$table")
rows=$(grep -cE $'^\t(OPTION|OPTIONAL|FLAG|LATER)\\(' "$table")

if [ "$(wc -w <<<"$options $later")" != "$rows" ] || [ "$rows" -lt 40 ]; then
	fail "the table in $table has $rows rows, and not all of them can be read"
fi

help=$("$vmm" help run) || fail "$vmm help run: status $?"
in_help=$(grep -oE '^  (-[a-zA-Z], |    )--[a-z0-9-]+' <<<"$help" | grep -oE '[a-z0-9-]+$' | sed 's/^--//')
in_items()	# ADDRESSES: of sed's, in the page
{
	sed -n "$1p" "$page" | grep -E '^\.It Fl' | grep -oE 'Fl Fl [a-z0-9-]+' | sed 's/^Fl Fl //'
}

in_page=$(in_items '1,/^\.Sh STANDARDS/')
in_completion=$(sed -n '/options="/,/"$/p' "$completion" | grep -oE -- '--[a-z0-9-]+' | sed 's/^--//')

missing=$(in_items '/^\.Sh STANDARDS/,$')

for name in $options; do
	has "$in_help" "$name" || fail "--$name is not in the help"
	has "$in_page" "$name" || fail "--$name is not in $page"
	has "$in_completion" "$name" || fail "--$name is not in $completion"
	case $("$vmm" run "--$name" 2>&1 </dev/null) in
	*"unknown option"*|*ambiguous*)
		fail "--$name is not known to $vmm" ;;
	esac
done
for name in $in_help $in_page $in_completion; do
	has "$options" "$name" || fail "--$name is described, but not in the table"
done
for name in $later; do
	has "$missing" "$name" || fail "--$name is not in $page among those that are not there"
	case $("$vmm" run "--$name" 2>&1 </dev/null) in
	*"not in this version") ;;
	*)
		fail "--$name is not refused as one that is not there" ;;
	esac
done

# Letters, with their options
while read -r letter name; do
	grep -qE "^\.It Fl $letter , Fl Fl $name( |\$)" "$page" ||
		fail "-$letter is not with --$name in $page"
	grep -qE "^  -$letter, --$name( |\$)" <<<"$help" ||
		fail "-$letter is not with --$name in the help"
done < <(sed -nE "s/^\tOPTION\([^,]*, '(.)', \"([a-z0-9-]+)\".*/\1 \2/p" "$table")

in_help=$(sed -nE '/^Exit status/,$s/^ +([0-9]+) .*/\1/p' <<<"$help")
in_page=$(sed -nE 's/^\.It ([0-9]+)$/\1/p' "$page")
for status in $in_help; do
	has "$in_page" "$status" || fail "exit status $status is not in $page"
done
for status in $in_page; do
	has "$in_help" "$status" || fail "exit status $status is not in the help"
done

commands=$("$vmm" --help | sed -nE 's/^   ([a-z]+) .*/\1/p')
[ -n "$commands" ] || fail "$vmm --help lists no command"
for name in $commands; do
	grep -q "^\.It Ic $name" "$root/man/vmm.1" || fail "command $name is not in vmm.1"
	grep -qE "commands=\"([a-z ]* )?${name}( |\")" "$completion" ||
		fail "command $name is not in $completion"
done

exit $failed
