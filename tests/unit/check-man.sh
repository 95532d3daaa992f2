#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-man.sh [LIBVMM.SO] - the header, the manual and the library agree
#
# Every public function of include/vmm.h has a page of section 3 with its name and
# its prototype; its constants, structures and their fields are described somewhere;
# no page names a function that is not there; all pages, also of the program, are free
# of warnings; and complete examples compile.  With LIBVMM.SO, it exports every
# public function, and nothing else.

set -u
so=${1-}
root=$(cd "$(dirname "$0")/../.." && pwd)
header=$root/include/vmm.h
cc=${CC:-cc}
failed=0

fail()
{
	echo "check-man: $*" >&2
	failed=1
}

# has LIST WORD
has()
{
	[[ " ${1//$'\n'/ } " == *" $2 "* ]]
}

# ---- What the header declares -----------------------------------------------

# Without comments and directives, a statement a line.
statements=$(sed '/^#/{:a;/\\$/{N;ba};d}' "$header" | tr '\n\t' '  ' |
	sed 's,/\*,\n/*,g; s,\*/,*/\n,g' | grep -v '^/\*' | tr -d '\n' | tr ';' '\n')
functions=$(grep '\<VMM_API\>' <<<"$statements" | grep -oE '\<vmm_[a-z0-9_]+ *\(' | tr -d ' (')
structs=$(grep -oE '^ *struct vmm_[a-z_]+ *\{' <<<"$statements" | grep -oE 'vmm_[a-z_]+')
constants=$(grep -oE '^#define[[:space:]]+VMM_[A-Z0-9_]+' "$header" | grep -oE 'VMM_[A-Z0-9_]+$'
	grep -oE '^[[:space:]]VMM_[A-Z0-9_]+' "$header" | tr -d '\t')
fields=$(sed -nE '/^ *struct [a-z_]+ *\{/,/^ *\}/{s/^.*\{//; ta; :a
	s/^.*\(\*([a-z_]+)\).*/\1/p; t; s/^.*[ *]([a-z_]+)(\[[A-Z0-9_]*\])?$/\1/p}' <<<"$statements")

if [ "$(wc -w <<<"$functions")" != "$(grep -cE '^VMM_API' "$header")" ] ||
   [ "$(wc -w <<<"$structs")" -lt 7 ] || [ "$(wc -w <<<"$fields")" -lt 50 ]; then
	fail "cannot read $header"
fi

# ---- What the library exports -----------------------------------------------

if [ -n "$so" ]; then
	exported=$(readelf -W --dyn-syms "$so" |
		awk '$5 != "LOCAL" && $7 != "UND" && $4 == "FUNC" { sub("@.*", "", $8); print $8 }')
	for name in $functions; do
		has "$exported" "$name" || fail "$name() is not exported by $so"
	done
	for name in $exported; do
		has "$functions" "$name" || fail "$name() is exported by $so, but not in the header"
	done
fi

# ---- What the manual says ---------------------------------------------------

if ! command -v mandoc >/dev/null; then
	[ $failed = 0 ] || exit 1
	echo "check-man: mandoc is missing (package mandoc)"
	exit 77
fi

pages=("$root/man/libvmm.7" "$root"/man/*.3)
named=$(for page in "$root"/man/*.3; do
	sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z0-9_]*\).*/\1/p' "$page"
done)
for name in $functions; do
	has "$named" "$name" || fail "$name() has no page"
done
for name in $named; do
	has "$functions" "$name" || fail "$name() has a page, but is not in the header"
done
for name in $constants; do
	case $name in
	VMM_H | VMM_API | VMM_MUST_CHECK) continue ;;
	esac
	grep -qE "^\.(It )?Dv (.* )?$name\>|Dv $name\>" "${pages[@]}" || fail "$name is not described"
done
for name in $structs; do
	grep -qE "^\.Vt \"struct $name\"" "${pages[@]}" || fail "struct $name is not described"
done
for name in $fields; do
	grep -qE "Va $name\>" "${pages[@]}" || fail "the field .$name is not described"
done

for page in "$root"/man/*.[1-8]; do
	said=$(mandoc -Tlint -W warning "$page" 2>&1) || fail "${page#"$root"/}: $said"
done

# ---- What a compiler makes of it --------------------------------------------

compiles()	# WHAT, the program on standard input
{
	said=$("$cc" -std=gnu11 -D_GNU_SOURCE -I"$root/include" -Wall -Wextra -Werror \
		-fsyntax-only -xc - 2>&1) || fail "$1 does not compile: $said"
}

# A prototype that differs from the header's is an error.
for page in "$root"/man/*.3; do
	synopsis=$(mandoc -Tascii "$page" | sed 's/.\x08//g' |
		sed -n '/^SYNOPSIS/,/^DESCRIPTION/{/^[A-Z]/d;p}')
	for name in $(sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z0-9_]*\).*/\1/p' "$page"); do
		grep -q "\<$name(" <<<"$synopsis" || fail "$name() has no prototype in ${page##*/}"
	done
	compiles "the SYNOPSIS of ${page##*/}" <<<"$synopsis"
done

# Of the examples, those that are whole programs.
for page in "${pages[@]}"; do
	program=$(sed -n '/^\.Bd -literal/,/^\.Ed/{/^\.[BE]d/d;s/\\e/\\/g;p}' "$page")
	case $program in
	*"int main("*) compiles "the example of ${page##*/}" <<<"$program" ;;
	esac
done

# README.md's example.
# shellcheck disable=SC2016 # the quotes are Markdown's
program=$(sed -n '/^```c$/,/^```$/{/^```/d;p}' "$root/README.md")
[ -n "$program" ] || fail "README.md has no example in C"
compiles "README.md's example" <<<"$program"

exit $failed
