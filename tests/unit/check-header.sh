#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check-header.sh - vmm.h compiles alone, as C11 and as C++20, without a warning

cd "$(dirname "$0")/../.." || exit 1
failed=0
nr=0
warn="-Wall -Wextra -pedantic -Werror -Wundef"

try()
{
	command -v "$1" >/dev/null || return
	nr=$((nr + 1))
	"$@" -fsyntax-only - || { echo "check-header: $*" >&2; failed=1; }
}

for cc in gcc clang; do
	# Alone, twice, and with each struct made by its macro.
	try $cc -x c -std=c11 $warn -Iinclude <<-'END'
		#include "vmm.h"
		#include "vmm.h"
		extern const size_t sizes[];
		const size_t sizes[] = { sizeof(struct vmm_config), sizeof(struct vmm_event) };
		static struct vmm_config config = VMM_CONFIG_INIT;
		static struct vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
		static struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
		static struct vmm_console_config console = VMM_CONSOLE_CONFIG_INIT;
		extern void use(const void *a, const void *b, const void *c, const void *d);
		extern void f(void);
		void f(void) { use(&config, &machine, &boot, &console); }
	END
done
# C++ warns of what a designated initialiser leaves out, C does not: the macros cannot help it.
for cxx in g++ clang++; do
	try $cxx -x c++ -std=c++20 $warn -Iinclude <<<'#include "vmm.h"'
	try $cxx -x c++ -std=c++20 $warn -Wno-missing-field-initializers -Iinclude <<-'END'
		#include "vmm.h"
		#include "vmm.h"
		static vmm_config config = VMM_CONFIG_INIT;
		static vmm_machine_config machine = VMM_MACHINE_CONFIG_INIT;
		static vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
		static vmm_console_config console = VMM_CONSOLE_CONFIG_INIT;
		int f();
		int f()
		{
			vmm *vm = nullptr;
			vmm_error err;
			vmm_event ev = VMM_EVENT_INIT;

			if (vmm_create(&vm, &config, &err) || vmm_set_machine(vm, &machine, &err) ||
			    vmm_set_boot(vm, &boot, &err) || vmm_add_console(vm, &console, &err) < 0)
				return 1;
			return vmm_next_event(vm, &ev);
		}
	END
done
[ $nr -ge 2 ] || { echo "check-header: no compiler" >&2; exit 77; }
# Promised: nothing but the two headers of the language's own.
if grep -nE '#include' include/vmm.h | grep -vE '<(stddef|stdint)\.h>'; then
	echo "check-header: vmm.h includes more than it says" >&2
	failed=1
fi
exit $failed
