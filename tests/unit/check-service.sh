#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-service.sh VMM - the unit for systemd is one, and its commands are ours

set -u
vmm=$(readlink -f "${1:?usage: check-service.sh VMM}")
root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

fail()
{
	echo "check-service: $*" >&2
	failed=1
}

sed -e "s|@BINDIR@|${vmm%/*}|" "$root/vmm/cli/vmm@.service.in" >"$tmp/vmm@.service"

# The commands, as systemd would run them for a guest whose kernel is not there.
echo "kernel = $tmp/no-such-kernel" >"$tmp/web.conf"
for line in ExecStart:3 ExecStop:1; do
	command=$(sed -n "s/^${line%:*}=//p" "$tmp/vmm@.service" | sed "s|/etc/vmm|$tmp|; s|%i|web|g")
	# shellcheck disable=SC2086 # words of a command
	XDG_RUNTIME_DIR=$tmp $command >"$tmp/out" 2>&1 </dev/null
	status=$?
	[ $status = "${line#*:}" ] || fail "${line%:*} ends with $status: $(cat "$tmp/out")"
done

if ! command -v systemd-analyze >/dev/null; then
	[ $failed = 0 ] || exit 1
	echo "check-service: systemd-analyze is missing (package systemd)"
	exit 77
fi
said=$(systemd-analyze verify --man=no "$tmp/vmm@.service" 2>&1) || fail "$said"
[ -z "$said" ] || fail "$said"
exit $failed
