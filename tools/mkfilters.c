/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mkfilters.c - the table of vmm/sandbox_table.h as filters, a C header on stdout
 *
 * Runs where the library is built, which so needs libseccomp there alone; and a VM
 * that starts pays nothing for making them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/sandbox_table.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "mkfilters: %s: %s\n", what, strerror(-ret));
	exit(1);
}

static void add(scmp_filter_ctx ctx, const struct sandbox_rule *r)
{
	uint32_t action = r->error ? SCMP_ACT_ERRNO(r->error) : SCMP_ACT_ALLOW;
	int nr = seccomp_syscall_resolve_name(r->call);
	struct scmp_arg_cmp cmp = SCMP_CMP(r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value);

	if (nr == __NR_SCMP_ERROR)
		check(-ENOSYS, r->call);
	/* A call that this architecture does not have is left out. */
	check(seccomp_rule_add_array(ctx, action, nr, r->mask ? 1 : 0, &cmp), r->call);
}

static void print(scmp_filter_ctx ctx, const char *name)
{
	struct sock_filter code;
	int fd = memfd_create(name, 0);

	check(fd < 0 ? -errno : seccomp_export_bpf(ctx, fd), name);
	lseek(fd, 0, SEEK_SET);
	printf("static const struct sock_filter %s[] = {\n", name);
	while (read(fd, &code, sizeof(code)) == sizeof(code))
		printf("\t{ 0x%02x, %u, %u, 0x%x },\n", code.code, code.jt, code.jf, code.k);
	printf("};\n");
	close(fd);
}

static void make(uint32_t arch, unsigned int roles, const char *name, uint32_t otherwise)
{
	scmp_filter_ctx ctx = seccomp_init(otherwise);

	check(ctx ? 0 : -ENOMEM, name);
	if (arch != seccomp_arch_native()) {
		check(seccomp_arch_add(ctx, arch), name);
		check(seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE), name);
	}
	/* A binary tree: the kernel tries every number when a filter is installed. */
	check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), name);
	check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), name);
	for (size_t i = 0; i < COUNT(sandbox_rules); i++)
		if (roles == CONTROL || sandbox_rules[i].roles & roles)
			add(ctx, &sandbox_rules[i]);
	print(ctx, name);
	seccomp_release(ctx);
}

static void make_all(uint32_t arch)
{
	make(arch, CONTROL, "control_on", SCMP_ACT_TRAP);
	make(arch, CONTROL, "control_audit", SCMP_ACT_LOG);
	make(arch, VCPU, "vcpu_on", SCMP_ACT_TRAP);
	make(arch, VCPU, "vcpu_audit", SCMP_ACT_LOG);
	make(arch, IO, "io_on", SCMP_ACT_TRAP);
	make(arch, IO, "io_audit", SCMP_ACT_LOG);
}

int main(void)
{
	/*
	 * Actions are for the kernel of the host that has the library, not for this
	 * one, which may know none (qemu-user has no seccomp): 3 has LOG, KILL_PROCESS.
	 */
	check(seccomp_api_set(3), "seccomp_api_set");
	printf("/* Made by tools/mkfilters.c of vmm/sandbox_table.h. */\n"
	       "#include <linux/filter.h>\n"
	       "#if defined(__aarch64__)\n");
	make_all(SCMP_ARCH_AARCH64);
	printf("#elif defined(__x86_64__)\n");
	make_all(SCMP_ARCH_X86_64);
	printf("#endif\n");
	return fflush(stdout) || ferror(stdout);
}
