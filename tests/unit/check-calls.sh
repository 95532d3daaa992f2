#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-calls.sh BUILD [TOOLS] - what the library must not call, it does not
#
# It never ends the process, forks, prints, reads the environment or touches what is
# the process's: a disposition, a limit, the mask or the affinity of other threads.

build=${1:?usage: check-calls.sh BUILD [TOOLS]}
nm=${2:-}nm
failed=0

forbidden='
	exit _exit _Exit quick_exit abort __assert_fail atexit on_exit __cxa_atexit raise kill
	tgkill pthread_exit pthread_cancel fork vfork clone execve execv execvp posix_spawn system popen
	signal sigaction __sigaction bsd_signal sysv_signal __sysv_signal sigaltstack sigprocmask
	siginterrupt
	setrlimit setrlimit64 prlimit prlimit64 mlockall munlockall umask chdir fchdir chroot
	setpriority nice setuid setgid seteuid setsid setpgid sched_setscheduler
	printf fprintf vprintf vfprintf dprintf vdprintf puts fputs putchar putc fputc fwrite perror
	psignal err errx warn warnx error syslog vsyslog openlog
	__printf_chk __fprintf_chk __vprintf_chk __vfprintf_chk __dprintf_chk stdout stderr stdin
	getenv secure_getenv __secure_getenv setenv putenv unsetenv environ __environ
	setlocale strtok strerror gmtime localtime rand srand random srandom getopt getopt_long
	sleep usleep alarm setitimer timer_create
	malloc_trim mallopt pthread_atfork dlopen
'
calls=$($nm -u "$build/libvmm.o" 2>/dev/null || $nm -u "$build/libvmm.a") || exit 1
calls=$(awk 'NF { print $NF }' <<<"$calls" | sed 's/@.*//' | sort -u)
[ "$(wc -l <<<"$calls")" -ge 40 ] || { echo "check-calls: the library cannot be read" >&2; exit 1; }
for name in $forbidden; do
	if grep -qxF "$name" <<<"$calls"; then
		echo "check-calls: the library calls $name" >&2
		failed=1
	fi
done
exit $failed
