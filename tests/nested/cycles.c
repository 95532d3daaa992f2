// SPDX-License-Identifier: BSD-2-Clause
/*
 * cycles.c - many virtual machines in one process, one after the other and in pairs
 *
 *	cycles IMAGE BOOTS PAIRS
 *
 * Each has two vCPUs, a disk, randomness and a console that nobody reads, and powers itself
 * off.  Of a pair both are there at a time, and either is destroyed first.  Says what the
 * process has when it has run a few, and then when it has run them all:
 *
 *	CYCLES fds=.. threads=.. kib=.., then fds=.. threads=.. kib=..
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmm.h>

#define WARM	10	/* until the C library has what it keeps */

struct has {
	int	fds;
	int	threads;
	int	kib;		/* anonymous memory */
};

static int image;
static int disk;
static int null;

static void die(const char *what, const struct vmm_error *err)
{
	printf("CYCLES %s: %s\n", what, err ? err->msg : "");
	exit(1);
}

static struct vmm *up(void)
{
	struct vmm_config cfg = VMM_CONFIG_INIT;
	struct vmm_boot_config boot = VMM_BOOT_CONFIG_INIT;
	struct vmm_console_config con = VMM_CONSOLE_CONFIG_INIT;
	struct vmm_disk_config blk = VMM_DISK_CONFIG_INIT;
	struct vmm_rng_config rng = VMM_RNG_CONFIG_INIT;
	struct vmm_error err;
	struct vmm *vm;

	cfg.ram_size = 64 << 20;
	cfg.vcpus = 2;
	boot.kernel_fd = image;
	con.flags = VMM_CONSOLE_F_OUT;
	con.out_fd = null;
	blk.fd = disk;
	if (vmm_create(&vm, &cfg, &err))
		die("vmm_create", &err);
	if (vmm_set_boot(vm, &boot, &err) || vmm_add_console(vm, &con, &err) < 0 ||
	    vmm_add_disk(vm, &blk, &err) < 0 || vmm_add_rng(vm, &rng, &err) < 0 ||
	    vmm_start(vm, &err))
		die("a machine", &err);
	return vm;
}

static void down(struct vmm *vm)
{
	struct pollfd p = { .fd = vmm_event_fd(vm), .events = POLLIN };
	struct vmm_event ev = VMM_EVENT_INIT;

	do
		if (vmm_next_event(vm, &ev) <= 0)
			poll(&p, 1, -1);
	while (ev.type != VMM_EVENT_STOPPED);
	if (ev.reason != VMM_STOP_GUEST_OFF)
		die(ev.msg, NULL);
	vmm_destroy(vm);
}

static void pair(bool first)
{
	struct vmm *vms[2];

	for (int i = 0; i < 2; i++)
		vms[i] = up();
	down(vms[first]);
	down(vms[!first]);
}

static int count(const char *path)
{
	DIR *dir = opendir(path);
	int nr = 0;

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2;		/* "." and ".." */
}

static int anonymous(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	int kib = -1;

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %d", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

/* A thread that was joined is in /proc for a moment longer. */
static struct has look(void)
{
	usleep(200000);
	return (struct has){
		.fds = count("/proc/self/fd"), .threads = count("/proc/self/task"), .kib = anonymous(),
	};
}

int main(int argc, char **argv)
{
	const int boots = argc == 4 ? atoi(argv[2]) : 0;
	const int pairs = argc == 4 ? atoi(argv[3]) : 0;
	struct has before;
	struct has after;

	image = open(boots ? argv[1] : "", O_RDONLY | O_CLOEXEC);
	disk = memfd_create("disk", MFD_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (image < 0 || disk < 0 || null < 0 || ftruncate(disk, 1 << 20))
		die("IMAGE BOOTS PAIRS", NULL);
	for (int i = 0; i < WARM; i++)
		pair(i % 2);
	before = look();
	for (int i = 0; i < boots; i++)
		down(up());
	for (int i = 0; i < pairs; i++)
		pair(i % 2);
	after = look();
	printf("CYCLES fds=%d threads=%d kib=%d, then fds=%d threads=%d kib=%d\n", before.fds,
	       before.threads, before.kib, after.fds, after.threads, after.kib);
	return after.fds != before.fds || after.threads != before.threads || after.kib > before.kib + 256;
}
