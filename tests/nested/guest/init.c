// SPDX-License-Identifier: BSD-2-Clause
/*
 * init.c - the guest's only program
 *
 * Prints what it finds in one line, `GUEST-READY kernel=.. cpus=..`, then does
 * what t= on the kernel command line asks (the kernel hands it over as an
 * environment variable):
 *
 *   off       power off (also without t=)
 *   reboot    restart
 *   panic     crash the kernel
 *   pvpanic   report a crash to the qemu,pvpanic-mmio device, as a kernel would
 *   powerkey  wait for the power key, then power off
 *   idle      nothing, for ever
 *   echo      answer each console line with `ECHO line`, power off at `quit`; at
 *             `paste n` read n KiB as they come, and compare them with what seq prints
 *   work      on every CPU: the same sum over some memory; print, power off
 *   disk      copy /dev/vda to /dev/vdb in all sizes, past the page cache; compare;
 *             zero a part; print what was found; power off
 *   reads     read 4 KiB of /dev/vda at a time, a thousand times for each line
 *             on the console, power off at `quit`
 *   files     mount ext4 on /dev/vda, look at the files that are there, of which those up
 *             to flushed= must be, and replace one after the other for ever: `FLUSHED n`
 *             says that n is on the disk
 *   fio       run the fio that is on /dev/vda, in ext4: write to /dev/vdb and verify
 *   faults    write to /dev/vdb until that fails; read both ends of /dev/vda, and the
 *             present one, for each line on the console, power off at `quit`
 *   hvc       answer each line on /dev/hvc0, a module's, with `HVC line`; power off at `quit`
 *   ports     send back what comes by the ports called agent and bulk, and print whether the
 *             host has them open, and the console's size as below; power off at `quit`,
 *             reboot at `reboot`
 *   size      print the size of the console whenever it is another one, power off at `quit`
 *   balloon   print what memory there is, and for each line on the console: at `fill`
 *             touch 128 MiB, and give them back at the next line; at `mem` print what there
 *             is, at `again` once it is about as much as at first; power off at `quit`
 *   share     mount "share", a directory of the host's, and run its sh script `run` by
 *             its own busybox; print the script's status, power off; by 9P with fs=9p
 *   again     the same, but twice: for the second time the device is reset after a
 *             line on the console
 *   rng       read random numbers from the host's; print, power off
 *   net       bring up eth0, transfer m= MiB both ways, or u= upwards, with its sum; with
 *             l=1 see its link go down and up, and with l=2 down once more; print, power off
 *   iperf     bring up eth0 to eth2, and run the iperf3 that is there over each, to the
 *             host and from it; power off
 *   vsock     m= MiB each way over vsock; with h=1 wait for a line on the console; be
 *             connected to and echo; print, power off
 *   chunks    eight transfers, each begun again until it is through; print, power off
 *   pmu       count cycles with the PMU; print, power off
 *   vmm       run our own guest: vmm with flat, power off
 *   many      write to eight disks all the time and read it back, with four cards up; for
 *             each line on the console, print on how many that goes on; power off at `quit`
 *   storm     on every CPU rounds of the same sum, each checked, with an eye on the
 *             time and on the PMU, and numbered lines on the console.  `more` waits
 *             until every CPU has got on and answers, `end` sums up and powers off.
 *             With io=1 there is /dev/vda too, which is read and written all the time,
 *             random numbers from the host, and a balloon; with a= and p= also a network,
 *             to which packets are sent; with talk=1 hvc0, ports with names, at whose other
 *             ends what is written comes back, and vsock
 *
 * With rings=1 it says in the end how many virtio devices have packed rings.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <linux/perf_event.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../transfer.h"

#define DT "/sys/firmware/devicetree/base"

#ifndef HWCAP2_MTE
#define HWCAP2_MTE	(1 << 18)
#endif

static void power_off(void)
{
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static uint64_t cell64(const unsigned char *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* Reads the `reg` of the first device-tree node whose name starts so. */
static int dt_reg(const char *prefix, uint64_t *addr, uint64_t *size)
{
	unsigned char reg[16];
	char path[512];
	struct dirent *e;
	int ret = -1;
	DIR *dir = opendir(DT);

	while (dir && ret && (e = readdir(dir))) {
		int fd;

		if (strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(path, sizeof(path), DT "/%s/reg", e->d_name);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && read(fd, reg, sizeof(reg)) == sizeof(reg)) {
			*addr = cell64(reg);
			*size = cell64(reg + 8);
			ret = 0;
		}
		close(fd);
	}
	if (dir)
		closedir(dir);
	return ret;
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	close(fd);
	return n;
}

/* By what the device tree calls it. */
static int gic_version(void)
{
	char compatible[128];
	char path[512];
	struct dirent *e;
	int version = 0;
	DIR *dir = opendir(DT);

	while (dir && !version && (e = readdir(dir))) {
		snprintf(path, sizeof(path), DT "/%s/interrupt-controller", e->d_name);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), DT "/%s/compatible", e->d_name);
		read_file(path, compatible, sizeof(compatible));
		if (!strcmp(compatible, "arm,gic-v3"))
			version = 3;
		else if (!strcmp(compatible, "arm,cortex-a15-gic") ||
			 !strcmp(compatible, "arm,gic-400"))
			version = 2;
	}
	if (dir)
		closedir(dir);
	return version;
}

static int log_has(const char *text)
{
	static char buf[1 << 18];
	int n = klogctl(3, buf, sizeof(buf) - 1);	/* SYSLOG_ACTION_READ_ALL */

	return n > 0 && (buf[n] = 0, strstr(buf, text) != NULL);
}

static void rtc_seconds(char *buf, size_t size)
{
	ssize_t n = read_file("/sys/class/rtc/rtc0/since_epoch", buf, size);

	buf[n > 0 ? n - 1 : 0] = 0;		/* without the newline */
}

static int open_cycles(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The longest vector there is, in bits; 0 without SVE. */
static int vector_length(void)
{
	int vl = prctl(PR_SVE_SET_VL, 8192);

	return vl < 0 ? 0 : (vl & PR_SVE_VL_LEN_MASK) * 8;
}

static void ready(void)
{
	unsigned long hwcap = getauxval(AT_HWCAP);
	uint64_t addr = 0;
	uint64_t size = 0;
	struct sysinfo si;
	struct utsname un;
	char rtc[32];

	sysinfo(&si);
	uname(&un);
	dt_reg("memory", &addr, &size);
	rtc_seconds(rtc, sizeof(rtc));
	printf("GUEST-READY kernel=%s cpus=%ld memkb=%llu page=%ld ram=%#llx+%#llx rtc=%s"
	       " gic=%d its=%d pmu=%d sve=%d pauth=%d mte=%d pvtime=%d vl=%d.\n",
	       un.release, sysconf(_SC_NPROCESSORS_ONLN),
	       (unsigned long long)si.totalram * si.mem_unit / 1024, sysconf(_SC_PAGESIZE),
	       (unsigned long long)addr, (unsigned long long)size, rtc,
	       gic_version(), log_has("ITS [mem"), open_cycles() >= 0,
	       !!(hwcap & HWCAP_SVE), !!(hwcap & HWCAP_PACA),
	       !!(getauxval(AT_HWCAP2) & HWCAP2_MTE), log_has("using stolen time PV"), vector_length());
}

/* --- the storm --- */

#define STORM_CPUS	8
#define STORM_WORDS	2048

struct storm_cpu {
	atomic_ulong rounds, wrong, backwards, early, uncounted;
};

struct storm {
	atomic_bool end;
	atomic_ullong latest;		/* the latest time that any CPU has seen */
	atomic_ulong transfers, failures;	/* of the disk and the random numbers */
	atomic_ulong hvc, ports, vsock;		/* bytes that came back, and transfers */
	struct storm_cpu cpu[STORM_CPUS];
};

static unsigned long long clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + (unsigned long long)ts.tv_nsec;
}

static uint64_t storm_sum(void)
{
	static uint64_t mem[STORM_WORDS];
	uint64_t x = 88172645463325252ULL;
	uint64_t sum = 0;

	for (int i = 0; i < STORM_WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		mem[i] = x;
	}
	for (int i = STORM_WORDS; i-- > 0;)
		sum = (sum << 1 | sum >> 63) + mem[i];
	return sum;
}

/* Whoever reads the clock later, on whatever CPU, reads no less. */
static void storm_clock(struct storm *s, struct storm_cpu *cpu)
{
	for (int i = 0; i < 20; i++) {
		unsigned long long latest = atomic_load(&s->latest);
		unsigned long long now = clock_ns();

		if (now < latest)
			cpu->backwards++;
		while (latest < now && !atomic_compare_exchange_weak(&s->latest, &latest, now))
			;
	}
}

static void storm_sleep(struct storm_cpu *cpu)
{
	unsigned long long start = clock_ns();

	usleep(1000);
	if (clock_ns() - start < 1000000)
		cpu->early++;
}

static void storm_cpu(struct storm *s, int index)
{
	struct storm_cpu *cpu = &s->cpu[index];
	uint64_t want = storm_sum();
	uint64_t before = 0;
	uint64_t cycles;
	int pmu = open_cycles();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(index, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!s->end) {
		if (storm_sum() != want)
			cpu->wrong++;
		storm_clock(s, cpu);
		if (cpu->rounds % 16 == 0)
			storm_sleep(cpu);
		if (read(pmu, &cycles, sizeof(cycles)) != sizeof(cycles) || cycles <= before)
			cpu->uncounted++;
		before = cycles;
		cpu->rounds++;
	}
	_exit(sched_getcpu() != index);
}

static void storm_more(struct storm *s, long cpus)
{
	for (long i = 0; i < cpus; i++)
		for (unsigned long from = s->cpu[i].rounds; s->cpu[i].rounds < from + 3;)
			usleep(1000);
	printf("GUEST-MORE ms=%llu.\n", clock_ns() / 1000000);
}

static void storm_judge(struct storm *s, long cpus)
{
	struct storm_cpu sum = { 0 };
	unsigned long least = -1UL;
	long good = 0;

	for (long i = 0; i < cpus; i++) {
		struct storm_cpu *cpu = &s->cpu[i];
		int status;

		good += wait(&status) > 0 && status == 0;
		least = cpu->rounds < least ? cpu->rounds : least;
		sum.wrong += cpu->wrong;
		sum.backwards += cpu->backwards;
		sum.early += cpu->early;
		sum.uncounted += cpu->uncounted;
	}
	printf("GUEST-STORM good=%ld of=%ld least=%lu wrong=%lu backwards=%lu early=%lu"
	       " uncounted=%lu.\n", good, cpus, least, sum.wrong, sum.backwards, sum.early,
	       sum.uncounted);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		printf("%s: %s\n", path, strerror(errno));
	close(fd);
}

static int open_input(void)
{
	char path[32];

	for (int i = 0; i < 4; i++) {
		unsigned long keys[KEY_MAX / (8 * sizeof(long)) + 1] = { 0 };
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) > 0 &&
		    keys[KEY_POWER / (8 * sizeof(long))] >> KEY_POWER % (8 * sizeof(long)) & 1)
			return fd;
		close(fd);
	}
	return -1;
}

static void task_powerkey(void)
{
	struct input_event ev;
	int fd = open_input();

	for (int i = 0; fd < 0 && i < 100; i++) {
		usleep(50000);
		fd = open_input();
	}
	printf(fd < 0 ? "GUEST-NO-KEY\n" : "GUEST-WAITS\n");
	while (fd >= 0 && read(fd, &ev, sizeof(ev)) == sizeof(ev)) {
		if (ev.type == EV_KEY && ev.code == KEY_POWER && ev.value == 1) {
			printf("GUEST-POWERKEY\n");
			power_off();
		}
	}
	for (;;)
		pause();
}

static void task_pvpanic(void)
{
	uint64_t addr;
	uint64_t size;
	volatile unsigned char *reg;
	int fd = open("/dev/mem", O_RDWR | O_SYNC);

	if (fd < 0 || dt_reg("pvpanic", &addr, &size)) {
		printf("GUEST-NO-PVPANIC\n");
		return;
	}
	reg = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   addr & -(uint64_t)getpagesize());
	if (reg == MAP_FAILED) {
		perror("pvpanic");
		return;
	}
	reg += addr & (getpagesize() - 1);
	printf("GUEST-PVPANIC events=%#x\n", *reg);
	*reg = 1;		/* bit 0: the guest has panicked */
}

static void task_panic(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (write(fd, "c", 1) != 1)
		perror("sysrq");
}

/* Byte after byte of what seq prints, counting from 1. */
struct seq {
	unsigned int n;
	size_t at;
	char line[16];
};

static char seq_next(struct seq *seq)
{
	if (!seq->line[seq->at]) {
		snprintf(seq->line, sizeof(seq->line), "%u\n", ++seq->n);
		seq->at = 0;
	}
	return seq->line[seq->at++];
}

/* From a terminal that keeps nothing of them to itself.  Who sends them waits at first. */
static void paste(unsigned long long want)
{
	static char buf[4096];
	struct pollfd in = { .fd = 0, .events = POLLIN };
	unsigned long long got = 0;
	unsigned long long wrong = 0;
	unsigned long long begun;
	struct seq seq = { .n = 0 };
	struct termios before;
	struct termios raw;

	tcgetattr(0, &before);
	raw = before;
	cfmakeraw(&raw);
	raw.c_cflag |= CRTSCTS;
	tcsetattr(0, TCSANOW, &raw);
	printf("GUEST-PASTES\n");
	sleep(2);
	begun = clock_ns();
	while (got < want && poll(&in, 1, 20000) > 0) {
		ssize_t n = read(0, buf, sizeof(buf));

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != seq_next(&seq);
		got += (unsigned long long)n;
	}
	tcsetattr(0, TCSANOW, &before);
	printf("GUEST-PASTED bytes=%llu wrong=%llu ms=%llu.\n", got, wrong,
	       (clock_ns() - begun) / 1000000);
}

static void task_echo(void)
{
	static char line[4096];
	unsigned long long kib;

	printf("GUEST-LISTENS\n");
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "quit\n"))
			return;
		if (sscanf(line, "paste %llu", &kib) == 1)
			paste(kib << 10);
		else
			printf("ECHO %s", line);
	}
	printf("GUEST-EOF\n");
}

#define WORK_WORDS	(1 << 19)	/* 4 MiB */

/* A pass forth that fills memory with a sequence, and one back that adds it up. */
static uint32_t work_sum(void)
{
	uint64_t *mem = malloc(WORK_WORDS * sizeof(*mem));
	uint64_t x = 88172645463325252ULL;
	uint64_t sum = 0;

	for (int i = 0; i < WORK_WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		mem[i] = x;
	}
	for (int i = WORK_WORDS; i-- > 0;)
		sum = (sum << 1 | sum >> 63) + mem[i];
	free(mem);
	return (uint32_t)(sum ^ sum >> 32);
}

static void task_work(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t *sums = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long good = 0;

	for (long i = 0; i < cpus; i++) {
		if (fork() == 0) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(i, &set);
			sched_setaffinity(0, sizeof(set), &set);
			sums[i] = work_sum();
			_exit(sched_getcpu() != i);
		}
	}
	for (long i = 0; i < cpus; i++) {
		int status;

		good += wait(&status) > 0 && status == 0;
	}
	for (long i = 1; i < cpus; i++)
		good -= sums[i] != sums[0];
	printf("GUEST-WORK good=%ld of=%ld sum=%#x\n", good, cpus, sums[0]);
}

/* What is built in is not there. */
static void load_present(const char *path)
{
	if (!access(path, R_OK))
		load_module(path);
}

/* Either transport. */
static void load_transports(void)
{
	load_present("/virtio_mmio.ko");
	load_present("/virtio_pci_modern_dev.ko");
	load_present("/virtio_pci_legacy_dev.ko");
	load_present("/virtio_pci.ko");
}

static void load_virtio(const char *driver)
{
	load_transports();
	load_module(driver);
}

/* Names what is in use, and how many bytes of a thousand differ from the ones before. */
static void task_rng(void)
{
	char name[64] = "none";
	uint8_t bytes[2][1000];
	int differ = 0;
	int fd;

	load_virtio("/virtio-rng.ko");
	read_file("/sys/class/misc/hw_random/rng_current", name, sizeof(name));
	name[strcspn(name, "\n")] = 0;
	fd = open("/dev/hwrng", O_RDONLY);
	for (int i = 0; i < 2; i++) {
		for (size_t got = 0; got < sizeof(bytes[i]);) {
			ssize_t n = read(fd, bytes[i] + got, sizeof(bytes[i]) - got);

			if (n <= 0) {
				printf("GUEST-RNG %s: %s\n", name, n ? strerror(errno) : "the end");
				return;
			}
			got += (size_t)n;
		}
	}
	for (size_t i = 0; i < sizeof(bytes[0]); i++)
		differ += bytes[0][i] != bytes[1][i];
	printf("GUEST-RNG from=%s differ=%d\n", name, differ);
}

static int open_disk(char which, int mode, uint64_t *size)
{
	char path[] = "/dev/vd?";
	int fd;

	path[sizeof(path) - 2] = which;
	fd = open(path, mode | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, size))
		printf("GUEST-DISK %s: %s\n", path, strerror(errno));
	return fd;
}

#define DISK_CHUNK	(1 << 20)

/* Sizes from a sector to a MiB, so that every kind of request is there. */
static uint64_t disk_copy(int from, int to, uint64_t size, char *buf)
{
	uint64_t done = 0;

	for (uint32_t n = 0; done < size; n++) {
		uint64_t len = 512ull << n % 12;

		if (len > size - done)
			len = size - done;
		if (pread(from, buf, len, (off_t)done) != (ssize_t)len ||
		    pwrite(to, buf, len, (off_t)done) != (ssize_t)len)
			break;
		done += len;
	}
	return fsync(to) ? 0 : done;
}

static uint64_t disk_differ(int a, int b, uint64_t size, char *buf)
{
	uint64_t differ = 0;

	for (uint64_t at = 0; at < size; at += DISK_CHUNK) {
		size_t len = size - at < DISK_CHUNK ? size - at : DISK_CHUNK;
		ssize_t na = pread(a, buf, len, (off_t)at);
		ssize_t nb = pread(b, buf + DISK_CHUNK, len, (off_t)at);

		differ += na != nb || na != (ssize_t)len || memcmp(buf, buf + DISK_CHUNK, len);
	}
	return differ;
}

/* The second MiB of the disk: discarded if that is known there, and in any case zero. */
static int disk_zero(int fd, char *buf)
{
	uint64_t range[2] = { DISK_CHUNK, DISK_CHUNK };
	int wrong = 0;

	if (ioctl(fd, BLKDISCARD, range))
		printf("GUEST-DISK no discard: %s\n", strerror(errno));
	if (ioctl(fd, BLKZEROOUT, range) ||
	    pread(fd, buf, DISK_CHUNK, DISK_CHUNK) != DISK_CHUNK)
		return -1;
	for (int i = 0; i < DISK_CHUNK; i++)
		wrong += buf[i] != 0;
	return wrong;
}

static void task_disk(void)
{
	char *buf = aligned_alloc(4096, 2 * DISK_CHUNK);
	uint64_t sizes[2] = { 0, 0 };
	char serial[64] = "";
	uint64_t copied;
	int ro = 0;
	int a;
	int b;

	load_virtio("/virtio_blk.ko");
	a = open_disk('a', O_RDONLY, &sizes[0]);
	b = open_disk('b', O_RDWR, &sizes[1]);
	ioctl(a, BLKROGET, &ro);
	read_file("/sys/block/vdb/serial", serial, sizeof(serial));
	serial[strcspn(serial, "\n")] = 0;
	copied = disk_copy(a, b, sizes[0], buf);
	printf("GUEST-DISK copied=%llu of=%llu differ=%llu", (unsigned long long)copied,
	       (unsigned long long)sizes[0], (unsigned long long)disk_differ(a, b, sizes[0], buf));
	a = open_disk('a', O_WRONLY, &sizes[0]);
	printf(" notzero=%d ro=%d write=%s serial=%s.\n", disk_zero(b, buf), ro,
	       pwrite(a, buf, 4096, 0) < 0 ? strerror(errno) : "done", serial);
}

/* One line in, a thousand reads, one line out: the rest is the disk's. */
static void task_reads(void)
{
	char *buf = aligned_alloc(4096, 4096);
	uint32_t x = 1;
	uint64_t size = 0;
	char line[16];
	int fd;

	load_virtio("/virtio_blk.ko");
	fd = open_disk('a', O_RDONLY, &size);
	printf("GUEST-READS\n");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		int good = 0;

		for (int i = 0; i < 1000 && size; i++) {
			x = x * 1664525 + 1013904223;
			good += pread(fd, buf, 4096, (off_t)(x % (size / 4096) * 4096)) == 4096;
		}
		printf("GUEST-READ %d\n", good);
	}
}

/* --- files --- */

#define FILES		16
#define FILE_WORDS	512		/* of the smallest */

static uint64_t file_word(uint64_t n, uint64_t i)
{
	return (n + 1) * 0x9e3779b97f4a7c15 ^ i * 0xc2b2ae3d27d4eb4f;
}

static size_t file_words(uint64_t n)
{
	return FILE_WORDS * (1 + n % 9) + n % 7;
}

static void file_fill(uint64_t *buf, uint64_t n)
{
	buf[0] = n;
	for (size_t i = 1; i < file_words(n); i++)
		buf[i] = file_word(n, i);
}

static void file_name(char *name, size_t size, uint64_t n, const char *suffix)
{
	snprintf(name, size, "/mnt/file%u%s", (unsigned int)(n % FILES), suffix);
}

/* Which version it is, or 0: there is none, or UINT64_MAX: it is torn. */
static uint64_t file_version(unsigned int which, uint64_t *buf, uint64_t *want, size_t size)
{
	char name[32];
	uint64_t n;
	ssize_t len;
	int fd;

	file_name(name, sizeof(name), which, "");
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return 0;
	len = read(fd, buf, size);
	close(fd);
	n = buf[0];
	if (len < 8 || !n || n % FILES != which || (size_t)len != file_words(n) * 8)
		return UINT64_MAX;
	file_fill(want, n);
	return memcmp(buf, want, (size_t)len) ? UINT64_MAX : n;
}

static bool file_replace(uint64_t n, uint64_t *buf)
{
	char name[32];
	char fresh[32];
	int dir;
	int fd;
	bool good;

	file_name(name, sizeof(name), n, "");
	file_name(fresh, sizeof(fresh), n, ".new");
	file_fill(buf, n);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	good = fd >= 0 && write(fd, buf, file_words(n) * 8) == (ssize_t)file_words(n) * 8 && !fsync(fd);
	close(fd);
	dir = open("/mnt", O_RDONLY | O_DIRECTORY);
	good = good && !rename(fresh, name) && !fsync(dir);
	close(dir);
	return good;
}

/* So that a cut finds more in the middle than what is about to be flushed. */
static void file_noise(const uint64_t *buf, size_t size)
{
	int fd = open("/mnt/noise", O_WRONLY | O_CREAT, 0644);

	if (fork())
		return;
	for (uint32_t i = 0;; i++)
		if (pwrite(fd, buf, size, (off_t)(i * 7919 % 256 * 4096)) < 0 ||
		    (i % 64 == 0 && (ftruncate(fd, i % 1024 * 1024) || sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE))))
			_exit(1);
}

static int mount_ext4(unsigned long flags)
{
	static const char *const fs[] = {
		"/crc16.ko", "/crc32c_generic.ko", "/mbcache.ko", "/jbd2.ko", "/ext4.ko",
	};

	load_virtio("/virtio_blk.ko");
	for (size_t i = 0; i < sizeof(fs) / sizeof(fs[0]); i++)
		load_module(fs[i]);
	mkdir("/mnt", 0755);
	return mount("/dev/vda", "/mnt", "ext4", flags, NULL);
}

static void task_fio(void)
{
	int status = -1;
	pid_t pid;

	if (mount_ext4(MS_RDONLY)) {
		printf("GUEST-FIO mount: %s\n", strerror(errno));
		return;
	}
	printf("GUEST-FIO begins.\n");
	pid = fork();
	if (!pid) {
		execl("/mnt/lib/ld-linux-aarch64.so.1", "fio", "--library-path", "/mnt/lib", "/mnt/fio",
		      "--name=v", "--filename=/dev/vdb", "--thread", "--direct=1", "--ioengine=libaio",
		      "--iodepth=32", "--rw=randrw", "--rwmixread=30", "--bsrange=512-64k",
		      "--bs_unaligned=0", "--size=4M", "--verify=crc32c", "--verify_backlog=64",
		      "--verify_fatal=1", "--fsync=50", "--minimal", "--output=/fio.out", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	printf("GUEST-FIO status=%d.\n", WEXITSTATUS(status));
}

static void task_files(void)
{
	uint64_t flushed = getenv("flushed") ? strtoull(getenv("flushed"), NULL, 0) : 0;
	size_t size = file_words(8) * 8 + 64;
	uint64_t *buf = malloc(size);
	uint64_t *want = malloc(size);
	uint64_t latest = flushed;
	int lost = 0;
	int torn = 0;

	if (mount_ext4(0)) {
		printf("GUEST-FILES mount: %s\n", strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < FILES; i++) {
		uint64_t least = flushed < i ? 0 : flushed - (flushed - i) % FILES;
		uint64_t n = file_version(i, buf, want, size);

		torn += n == UINT64_MAX;
		lost += n < least;
		if (n != UINT64_MAX && n > latest)
			latest = n;
	}
	printf("GUEST-FILES lost=%d torn=%d flushed=%llu latest=%llu.\n", lost, torn,
	       (unsigned long long)flushed, (unsigned long long)latest);
	file_noise(want, 8192);
	while (file_replace(++latest, buf))
		printf("FLUSHED %llu\n", (unsigned long long)latest);
	printf("GUEST-FILES error: %s\n", strerror(errno));
}

static const char *read_result(int fd, char *buf, uint64_t at)
{
	ssize_t n = pread(fd, buf, 4096, (off_t)at);

	return n < 0 ? strerror(errno) : n == 4096 ? "read" : "short";
}

static void task_faults(void)
{
	char *buf = aligned_alloc(4096, DISK_CHUNK);
	uint64_t sizes[2] = { 0, 0 };
	uint64_t now = 0;
	uint64_t at = 0;
	char line[16];
	int a;
	int b;

	load_virtio("/virtio_blk.ko");
	a = open_disk('a', O_RDONLY, &sizes[0]);
	b = open_disk('b', O_WRONLY, &sizes[1]);
	memset(buf, 0x5a, DISK_CHUNK);
	errno = 0;
	while (at < sizes[1] && pwrite(b, buf, DISK_CHUNK, (off_t)at) == DISK_CHUNK)
		at += DISK_CHUNK;
	printf("GUEST-FULL %s after=%llu of=%llu.\n", strerror(errno), (unsigned long long)at >> 20,
	       (unsigned long long)sizes[1] >> 20);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		ioctl(a, BLKGETSIZE64, &now);
		printf("GUEST-ENDS first=%s", read_result(a, buf, 0));
		printf(" last=%s", read_result(a, buf, sizes[0] - 4096));
		printf(" kib=%llu end=%s.\n", (unsigned long long)now >> 10,
		       read_result(a, buf, now - 4096));
	}
}

static void task_hvc(void)
{
	char line[64];
	FILE *f;

	load_virtio("/virtio_console.ko");
	f = fopen("/dev/hvc0", "r+");
	if (!f) {
		printf("GUEST-HVC %s\n", strerror(errno));
		return;
	}
	setlinebuf(f);
	fprintf(f, "GUEST-HVC ready\n");
	while (fgets(line, sizeof(line), f) && strcmp(line, "quit\n")) {
		fseek(f, 0, SEEK_CUR);		/* from reading to writing, as C has it */
		fprintf(f, "HVC %s", line);
	}
}

/* That of the console, if it is another one. */
static void print_size(struct winsize *size)
{
	struct winsize now;

	if (ioctl(0, TIOCGWINSZ, &now) || !memcmp(&now, size, sizeof(now)))
		return;
	*size = now;
	printf("GUEST-SIZE %ux%u\n", now.ws_col, now.ws_row);
}

/* A port of the virtio-console's, by its name. */
struct vport {
	const char *name;
	int fd;
	bool open;		/* at the host's end */
	char buf[4096];		/* what is to be sent back */
	size_t at;
	size_t len;
};

static int open_vport(const char *want)
{
	struct dirent *e;
	int fd = -1;
	DIR *dir = opendir("/sys/class/virtio-ports");

	while (dir && fd < 0 && (e = readdir(dir))) {
		char path[320];
		char name[80];

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		if (e->d_name[0] == '.' || read_file(path, name, sizeof(name)) <= 0)
			continue;
		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		if (!strcmp(name, want))
			fd = open(path, O_RDWR | O_NONBLOCK);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static void serve_vport(struct vport *p, short revents)
{
	ssize_t n;

	if (p->open == !!(revents & POLLHUP)) {
		p->open = !p->open;
		printf("GUEST-PORT %s %s\n", p->name, p->open ? "open" : "closed");
	}
	if (p->len) {
		n = write(p->fd, p->buf + p->at, p->len);
		p->at += n > 0 ? (size_t)n : 0;
		p->len -= n > 0 ? (size_t)n : 0;
	} else if (revents & (POLLIN | POLLHUP)) {
		n = read(p->fd, p->buf, sizeof(p->buf));
		p->at = 0;
		p->len = n > 0 ? (size_t)n : 0;
	}
}

static void task_ports(void)
{
	struct vport ports[] = { { .name = "agent" }, { .name = "bulk" } };
	struct pollfd fds[3] = { { .fd = 0, .events = POLLIN } };
	struct winsize size = { 0 };
	char line[16];

	load_virtio("/virtio_console.ko");
	for (int i = 0; i < 2; i++)
		for (int n = 0; (ports[i].fd = open_vport(ports[i].name)) < 0 && n < 100; n++)
			usleep(20000);
	printf("GUEST-PORTS %d\n", (ports[0].fd >= 0) + (ports[1].fd >= 0));
	for (;;) {
		bool closed = true;

		for (int i = 0; i < 2; i++)
			fds[1 + i] = (struct pollfd){ ports[i].fd, ports[i].len ? POLLOUT : POLLIN, 0 };
		poll(fds, 3, 100);
		print_size(&size);
		*line = 0;
		if (fds[0].revents && fgets(line, sizeof(line), stdin) && !strcmp(line, "quit\n"))
			return;
		if (!strcmp(line, "reboot\n"))
			reboot(RB_AUTOBOOT);
		for (int i = 0; i < 2; i++) {
			serve_vport(&ports[i], fds[1 + i].revents);
			closed &= !ports[i].open;
		}
		/* One that is closed says so at every look. */
		usleep(closed ? 20000 : 0);
	}
}

static void task_size(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	struct winsize size = { 0 };
	char line[16];

	while (!poll(&in, 1, 100) || (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")))
		print_size(&size);
}

static unsigned long meminfo(const char *key)
{
	static char text[4096];
	const char *at;

	read_file("/proc/meminfo", text, sizeof(text));
	at = strstr(text, key);
	return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

#define FILL_BYTES	(128ul << 20)

/* Until there is another line; in the hands of nobody afterwards, as large pieces. */
static void fill_memory(void)
{
	char line[16];
	char *mem = mmap(NULL, FILL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED) {
		printf("GUEST-FILL %s\n", strerror(errno));
		return;
	}
	for (size_t i = 0; i < FILL_BYTES; i += 4096)
		mem[i] = 1;
	printf("GUEST-FILL done.\n");
	if (fgets(line, sizeof(line), stdin))
		munmap(mem, FILL_BYTES);
}

static unsigned long tell_memory(void)
{
	unsigned long available = meminfo("MemAvailable:");

	printf("GUEST-MEM total=%lu available=%lu.\n", meminfo("MemTotal:"), available);
	return available;
}

/* Free pages that are being reported are not available: up to 128 MiB, for a moment. */
static void wait_for_memory(unsigned long kib)
{
	for (int i = 0; i < 600 && meminfo("MemAvailable:") < kib; i++)
		usleep(100000);
}

static void task_balloon(void)
{
	unsigned long first = tell_memory();
	char line[16];

	load_virtio("/virtio_balloon.ko");
	printf("GUEST-BALLOON\n");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		if (!strcmp(line, "fill\n")) {
			fill_memory();
			continue;
		}
		if (!strcmp(line, "again\n"))
			wait_for_memory(first - (16 << 10));
		tell_memory();
	}
}

static void run_share(void)
{
	const char *type = getenv("fs") ? getenv("fs") : "virtiofs";
	int status = -1;
	pid_t pid;

	mkdir("/mnt", 0755);
	if (mount("share", "/mnt", type, 0, strcmp(type, "9p") ? NULL : "trans=virtio,version=9p2000.L")) {
		printf("GUEST-SHARE mount: %s\n", strerror(errno));
		return;
	}
	pid = fork();
	if (!pid) {
		chdir("/mnt");
		execl("/mnt/busybox", "sh", "/mnt/run", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	printf("GUEST-SHARE status=%d umount=%d\n", WEXITSTATUS(status), umount("/mnt"));
}

static void task_share(void)
{
	static const char *const p9[] = {
		"/netfs.ko", "/fscache.ko", "/9pnet.ko", "/9pnet_virtio.ko", "/9p.ko",
	};

	load_transports();
	for (size_t i = 0; getenv("fs") && i < sizeof(p9) / sizeof(p9[0]); i++)
		load_module(p9[i]);
	run_share();
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("GUEST-SHARE %s: %s\n", path, strerror(errno));
	close(fd);
}

static void task_again(void)
{
	char line[16];

	load_transports();
	run_share();
	if (!fgets(line, sizeof(line), stdin))
		return;
	write_file("/sys/bus/virtio/drivers/virtiofs/unbind", "virtio0");
	write_file("/sys/bus/virtio/drivers/virtiofs/bind", "virtio0");
	run_share();
}

static void task_pmu(void)
{
	int fd = open_cycles();
	uint64_t count = 0;

	if (fd < 0) {
		printf("GUEST-PMU none: %s\n", strerror(errno));
		return;
	}
	for (volatile int i = 0; i < 100000; i++)
		;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		printf("GUEST-PMU %s\n", count > 100000 ? "counts" : "stands still");
}

/* A guest of a guest, where we are a hypervisor. */
static void task_vmm(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/vmm", "vmm", "run", "--kernel", "/flat", "--mem", "64", "--cpus", "1",
		      "--nodefaults", "--loglevel", "warning", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	printf("GUEST-VMM status=%d\n", WEXITSTATUS(status));
}

/* ---- The network ---------------------------------------------------------- */

static const char *env(const char *name, const char *otherwise)
{
	const char *val = getenv(name);

	return val ? val : otherwise;
}

static int net_set(int sock, const char *card, unsigned long request, const char *ip)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct ifreq ifr;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", card);
	inet_pton(AF_INET, ip, &addr.sin_addr);
	memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
	return ioctl(sock, request, &ifr);
}

static long net_number(const char *name)
{
	char path[64];
	char text[32];

	snprintf(path, sizeof(path), "/sys/class/net/eth0/%s", name);
	return read_file(path, text, sizeof(text)) > 0 ? strtol(text, NULL, 10) : -1;
}

/* To CPU 1, if it has a pair of queues of its own, by which all of ours is to go then. */
static int net_second_pair(void)
{
	cpu_set_t cpus;
	char text[32];

	if (read_file("/sys/class/net/eth0/queues/tx-1/xps_cpus", text, sizeof(text)) <= 0 ||
	    strtol(text, NULL, 16) != 2 || access("/sys/class/net/eth0/queues/rx-1", F_OK))
		return 0;
	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void load_net(void)
{
	load_transports();
	load_present("/failover.ko");
	load_present("/net_failover.ko");
	load_present("/virtio_net.ko");
}

/* In a network of 24 bits. */
static int card_up(const char *card, const char *ip)
{
	struct ifreq ifr;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", card);
	if (net_set(sock, card, SIOCSIFADDR, ip) || net_set(sock, card, SIOCSIFNETMASK, "255.255.255.0") ||
	    ioctl(sock, SIOCGIFFLAGS, &ifr)) {
		printf("GUEST-NET %s: %s\n", card, strerror(errno));
		close(sock);
		return -1;
	}
	ifr.ifr_flags |= IFF_UP;
	ioctl(sock, SIOCSIFFLAGS, &ifr);
	close(sock);
	return 0;
}

/* a= is our address. */
static int net_up(void)
{
	char mac[32] = "";

	load_net();
	if (card_up("eth0", env("a", "")))
		return -1;
	for (int i = 0; i < 100 && net_number("carrier") != 1; i++)
		usleep(10000);
	read_file("/sys/class/net/eth0/address", mac, sizeof(mac));
	mac[strcspn(mac, "\n")] = 0;
	printf("GUEST-LINK mac=%s mtu=%ld carrier=%ld pairs=%d\n", mac, net_number("mtu"),
	       net_number("carrier"), 1 + net_second_pair());
	return 0;
}

/* A socket to a port of the host's where nobody listens, as each second packet is told. */
static int net_nobody(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(9) };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, env("p", ""), &addr.sin_addr);
	connect(sock, (struct sockaddr *)&addr, sizeof(addr));
	return sock;
}

/* Beside the CPUs; whoever of its devices does not answer keeps it from its end. */
static pid_t storm_io(struct storm *s)
{
	char *buf = aligned_alloc(4096, 4096);
	uint32_t x = 1;
	uint64_t size = 0;
	pid_t pid;
	int disk;
	int rng;
	int net = -1;

	load_virtio("/virtio_blk.ko");
	load_module("/virtio-rng.ko");
	load_module("/virtio_balloon.ko");
	disk = open_disk('a', O_RDWR, &size);
	rng = open("/dev/hwrng", O_RDONLY);
	if (getenv("p") && !net_up())
		net = net_nobody();
	pid = size ? fork() : 0;
	if (pid || !size)
		return pid;
	/* The CPUs' sums leave little. */
	setpriority(PRIO_PROCESS, 0, -20);
	while (!s->end) {
		off_t at = (off_t)((x = x * 1664525 + 1013904223) % (size / 4096) * 4096);

		s->failures += pread(disk, buf, 4096, at) != 4096;
		s->failures += pwrite(disk, buf, 4096, at) != 4096;
		s->failures += read(rng, buf, 16) <= 0;
		s->failures += s->transfers % 16 == 0 && fdatasync(disk);
		if (net >= 0)
			send(net, buf, 1400, 0);
		s->transfers += 3;
	}
	_exit(0);
}

/* ---- Many devices ---------------------------------------------------------- */

#define MANY_DISKS	8
#define MANY_CARDS	4

struct many {
	volatile uint64_t transfers[MANY_DISKS];
	volatile uint64_t failures;
	volatile bool end;
};

/* Blocks of its own letter, each with a number of its own, which is there when it is read. */
static void many_disk(struct many *m, int i)
{
	char *buf = aligned_alloc(4096, 8192);
	uint64_t size = 0;
	int disk = open_disk((char)('a' + i), O_RDWR, &size);
	uint64_t at = 0;

	while (!m->end && size) {
		memset(buf, 'a' + i, 4096);
		memcpy(buf + 8, (const void *)&m->transfers[i], 8);
		m->failures += pwrite(disk, buf, 4096, (off_t)at) != 4096;
		m->failures += pread(disk, buf + 4096, 4096, (off_t)at) != 4096;
		m->failures += memcmp(buf, buf + 4096, 4096) != 0;
		m->failures += m->transfers[i]++ % 16 == 0 && fdatasync(disk);
		at = (at + 7 * 4096) % size;
	}
	_exit(0);
}

static void task_many(void)
{
	struct many *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t seen[MANY_DISKS] = { 0 };
	char line[16];
	int cards = 0;

	load_virtio("/virtio_blk.ko");
	load_module("/virtio-rng.ko");
	load_module("/virtio_balloon.ko");
	load_net();
	for (int i = 0; i < MANY_CARDS; i++) {
		char card[] = "eth?";
		char ip[32];

		card[3] = (char)('0' + i);
		snprintf(ip, sizeof(ip), "10.20.%d.2", i);
		cards += !card_up(card, ip);
	}
	for (int i = 0; i < MANY_DISKS; i++)
		if (!fork())
			many_disk(m, i);
	printf("GUEST-MANY cpus=%ld cards=%d\n", sysconf(_SC_NPROCESSORS_ONLN), cards);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n")) {
		int busy = 0;

		for (int i = 0; i < MANY_DISKS; i++) {
			busy += m->transfers[i] != seen[i];
			seen[i] = m->transfers[i];
		}
		printf("GUEST-MANY busy=%d failures=%llu.\n", busy, (unsigned long long)m->failures);
	}
	m->end = true;
	while (wait(NULL) > 0)
		;
}

/* To p=, the host. */
static int net_connect(int seconds)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(TRANSFER_PORT) };
	const struct timeval patience = { .tv_sec = seconds };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, env("p", ""), &addr.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static int net_transfer(int fd, uint64_t len, bool up, uint64_t *sum, bool *same)
{
	struct transfer t = { .len = len, .seed = 0x1234567 + up, .upwards = up };
	uint64_t theirs;

	if (transfer_all(fd, &t, sizeof(t), 1) || transfer_bytes(fd, &t, up, sum) ||
	    transfer_compare(fd, up, *sum, &theirs))
		return -1;
	*same = *sum == theirs;
	return 0;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* m= MiB from the host, and as many to it, or u=. */
static void net_both_ways(int fd)
{
	const char *mib = env("m", "1");

	for (int up = 0; up < 2; up++) {
		uint64_t len = strtoull(up ? env("u", mib) : mib, NULL, 10) << 20;
		long begin = now_ms();
		uint64_t sum;
		bool same;

		if (fd < 0 || net_transfer(fd, len, up, &sum, &same)) {
			printf("GUEST-NET %s\n", strerror(errno));
			return;
		}
		printf("GUEST-NET %s=%llu ms=%ld sum=%016llx same=%d\n", up ? "put" : "got",
		       (unsigned long long)len, now_ms() - begin, (unsigned long long)sum, same);
	}
}

/* The cable is taken out and put in again, so many times in all. */
static void net_watch_link(int times)
{
	for (int n = 0; n < times; n++) {
		long carrier = n % 2;

		for (int i = 0; i < 1000 && net_number("carrier") != carrier; i++)
			usleep(10000);
		printf("GUEST-LINK carrier=%ld\n", net_number("carrier"));
	}
}

static void task_net(void)
{
	if (net_up())
		return;
	net_both_ways(net_connect(60));
	if (strcmp(env("l", "0"), "0"))
		net_watch_link(atoi(env("l", "0")) + 1);
}

static void load_vsock(void)
{
	load_transports();
	load_present("/vsock.ko");
	load_present("/vmw_vsock_virtio_transport_common.ko");
	load_present("/vmw_vsock_virtio_transport.ko");
}

static int vsock_connect(void)
{
	const struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_port = TRANSFER_PORT, .svm_cid = VMADDR_CID_HOST,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) ? -1 : fd;
}

static unsigned long storm_echoed(int fd, char *buf, size_t size)
{
	ssize_t n;

	/* What there is no room for is lost. */
	if (write(fd, buf, size) < 0 && errno != EAGAIN)
		return 0;
	n = read(fd, buf, size);
	return n > 0 ? (unsigned long)n : 0;
}

/* As storm_io, a little at a time, so that there is time left for the others. */
static pid_t storm_talk(struct storm *s)
{
	static char buf[512];
	int ports[2] = { -1, -1 };
	struct termios tty;
	int vsock;
	int hvc;
	pid_t pid;

	load_vsock();
	load_module("/virtio_console.ko");
	hvc = open("/dev/hvc0", O_RDWR | O_NONBLOCK);
	if (hvc >= 0) {
		tcgetattr(hvc, &tty);
		cfmakeraw(&tty);
		tcsetattr(hvc, TCSANOW, &tty);
	}
	for (int n = 0; (ports[0] < 0 || ports[1] < 0) && n < 100; n++) {
		ports[0] = ports[0] < 0 ? open_vport("agent") : ports[0];
		ports[1] = ports[1] < 0 ? open_vport("bulk") : ports[1];
		usleep(20000);
	}
	vsock = vsock_connect();
	pid = fork();
	if (pid)
		return pid;
	setpriority(PRIO_PROCESS, 0, -20);
	/* What was sent comes back a while later, for which a boot may be too short. */
	for (int late = 0; !s->end || ((!s->hvc || !s->ports) && late < 1000); late += s->end) {
		uint64_t sum;
		bool same = false;

		s->hvc += storm_echoed(hvc, buf, 64);
		s->ports += storm_echoed(ports[0], buf, sizeof(buf)) + storm_echoed(ports[1], buf, sizeof(buf));
		s->failures += net_transfer(vsock, 4096, s->vsock % 2, &sum, &same) || !same;
		s->vsock++;
		usleep(10000);
	}
	_exit(0);
}

static void task_storm(void)
{
	struct storm *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pollfd in = { .fd = 0, .events = POLLIN };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int lines = 0;
	struct termios tty;
	char command[16];
	pid_t talk = 0;
	pid_t io = 0;

	tcgetattr(0, &tty);
	tty.c_lflag &= ~(tcflag_t)ECHO;		/* it would fall into our lines */
	tcsetattr(0, TCSANOW, &tty);
	for (int i = 0; i < cpus; i++)
		if (fork() == 0)
			storm_cpu(s, i);
	if (getenv("io"))
		io = storm_io(s);
	if (getenv("talk"))
		talk = storm_talk(s);
	storm_more(s, cpus);
	for (;;) {
		ssize_t n;

		if (!poll(&in, 1, 200)) {
			printf("LINE %u\n", ++lines);
			continue;
		}
		n = read(0, command, sizeof(command) - 1);
		command[n > 0 ? n : 0] = 0;
		if (!strcmp(command, "more\n"))
			storm_more(s, cpus);
		if (!strcmp(command, "end\n"))
			break;
	}
	s->end = true;
	if (talk) {
		waitpid(talk, NULL, 0);
		printf("GUEST-TALK hvc=%lu ports=%lu vsock=%lu.\n", s->hvc, s->ports, s->vsock);
	}
	if (io) {
		waitpid(io, NULL, 0);
		printf("GUEST-IO transfers=%lu failures=%lu.\n", s->transfers, s->failures);
	}
	storm_judge(s, cpus);
}

/* With a driver for all there is, and two cards that are up, and nothing to do until a line comes. */
static void task_idle(void)
{
	char line[16];
	int cards;

	load_net();
	load_vsock();
	load_present("/virtio_blk.ko");
	load_present("/virtio-rng.ko");
	load_present("/virtio_balloon.ko");
	load_present("/virtio_console.ko");
	cards = !card_up("eth0", "10.20.0.2") + !card_up("eth1", "10.20.1.2");
	printf("GUEST-IDLE cards=%d\n", cards);
	if (!fgets(line, sizeof(line), stdin))
		printf("GUEST-IDLE nobody\n");
}

static int run_iperf(const char *host, bool from)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		dup2(1, 2);
		execl("/iperf/lib/ld-linux-aarch64.so.1", "iperf3", "--library-path", "/iperf/lib",
		      "/iperf/iperf3", "-c", host, "-t", "1", "-i", "0", "-f", "m",
		      from ? "-R" : NULL, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Card n is 10.7.n.2 and talks to 10.7.n.1. */
static void task_iperf(void)
{
	load_net();
	mkdir("/tmp", 0755);
	for (int n = 0; n < 3; n++) {
		char card[8];
		char ip[2][16];

		snprintf(card, sizeof(card), "eth%d", n);
		for (int i = 0; i < 2; i++)
			snprintf(ip[i], sizeof(ip[i]), "10.7.%d.%d", n, i + 1);
		if (card_up(card, ip[1]))
			return;
		for (int from = 0; from < 2; from++) {
			printf("GUEST-IPERF %s from=%d\n", card, from);
			fflush(stdout);
			printf("GUEST-IPERF status=%d.\n", run_iperf(ip[0], from));
		}
	}
}

static long vsock_echo(int fd)
{
	char buf[4096];
	long total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 && !transfer_all(fd, buf, (size_t)n, 1))
		total += n;
	return total;
}

/* n= connections to the host, the first 16 with as much under way as it lets them have. */
static void task_vsock_flood(void)
{
	const struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_port = TRANSFER_PORT, .svm_cid = VMADDR_CID_HOST,
	};
	const int wanted = atoi(env("n", "1"));
	const struct rlimit many = { 65536, 65536 };
	static char buf[4096];
	char line[16];
	int connected = 0;
	long sent = 0;

	load_vsock();
	setrlimit(RLIMIT_NOFILE, &many);
	for (int i = 0; i < wanted; i++) {
		int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		ssize_t n;

		if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
			continue;
		connected++;
		do {
			n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
			sent += n > 0 ? n : 0;
		} while (n > 0 && i < 16);
	}
	printf("GUEST-FLOOD connected=%d sent=%ld\n", connected, sent);
	if (fgets(line, sizeof(line), stdin))
		printf("GUEST-FLOOD ends.\n");
}

static void task_vsock(void)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_port = TRANSFER_PORT, .svm_cid = VMADDR_CID_ANY,
	};
	char line[16];
	int listener;
	int fd;

	load_vsock();
	listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 1)) {
		printf("GUEST-NET vsock: %s\n", strerror(errno));
		return;
	}
	addr.svm_cid = VMADDR_CID_HOST;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		printf("GUEST-NET the host: %s\n", strerror(errno));
		return;
	}
	net_both_ways(fd);
	if (!strcmp(env("h", "0"), "1") && !fgets(line, sizeof(line), stdin))
		return;
	shutdown(fd, SHUT_RDWR);
	fd = accept(listener, NULL, NULL);
	printf("GUEST-VSOCK echoed=%ld\n", vsock_echo(fd));
}

/* Eight of m= MiB each way, each on a connection of its own, until they are through. */
static void task_chunks(void)
{
	uint64_t len = strtoull(env("m", "1"), NULL, 10) << 20;
	int failed = 0;
	int good = 0;

	if (net_up())
		return;
	/* A connection that was slow, as the backend had gone, would make the next ones slow. */
	write_file("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
	while (good < 8 && failed < 50) {
		int fd = net_connect(5);
		bool same = false;
		int window = 65536;	/* of which no piece has to be sent again */
		uint64_t sum;

		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
		if (fd >= 0 && !net_transfer(fd, len, 0, &sum, &same) && same &&
		    !net_transfer(fd, len, 1, &sum, &same) && same)
			good++;
		else
			failed++;
		close(fd);
		printf("GUEST-CHUNK %d failed=%d\n", good, failed);
	}
	printf("GUEST-CHUNKS good=%d failed=%d changes=%ld\n", good, failed, net_number("carrier_changes"));
}

/* Of the features that were negotiated, a digit each: VIRTIO_F_RING_PACKED. */
#define RING_PACKED	34

static void print_rings(void)
{
	DIR *dir = opendir("/sys/bus/virtio/devices");
	struct dirent *e;
	int packed = 0;
	int nr = 0;

	while (dir && (e = readdir(dir))) {
		char path[320];
		char bits[80] = "";

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/features", e->d_name);
		read_file(path, bits, sizeof(bits));
		packed += bits[RING_PACKED] == '1';
		nr++;
	}
	printf("GUEST-RINGS packed=%d of=%d.\n", packed, nr);
}

int main(void)
{
	const char *task = getenv("t");

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	setlinebuf(stdout);
	if (!task)
		task = "off";
	if (!strcmp(task, "powerkey")) {
		load_module("/evdev.ko");
		load_module("/gpio_keys.ko");
	}
	ready();
	if (!strcmp(task, "powerkey"))
		task_powerkey();
	else if (!strcmp(task, "pvpanic"))
		task_pvpanic();
	else if (!strcmp(task, "panic"))
		task_panic();
	else if (!strcmp(task, "echo"))
		task_echo();
	else if (!strcmp(task, "work"))
		task_work();
	else if (!strcmp(task, "disk"))
		task_disk();
	else if (!strcmp(task, "reads"))
		task_reads();
	else if (!strcmp(task, "files"))
		task_files();
	else if (!strcmp(task, "fio"))
		task_fio();
	else if (!strcmp(task, "faults"))
		task_faults();
	else if (!strcmp(task, "hvc"))
		task_hvc();
	else if (!strcmp(task, "ports"))
		task_ports();
	else if (!strcmp(task, "size"))
		task_size();
	else if (!strcmp(task, "balloon"))
		task_balloon();
	else if (!strcmp(task, "share"))
		task_share();
	else if (!strcmp(task, "again"))
		task_again();
	else if (!strcmp(task, "rng"))
		task_rng();
	else if (!strcmp(task, "net"))
		task_net();
	else if (!strcmp(task, "iperf"))
		task_iperf();
	else if (!strcmp(task, "idle"))
		task_idle();
	else if (!strcmp(task, "vsock-flood"))
		task_vsock_flood();
	else if (!strcmp(task, "vsock"))
		task_vsock();
	else if (!strcmp(task, "chunks"))
		task_chunks();
	else if (!strcmp(task, "pmu"))
		task_pmu();
	else if (!strcmp(task, "vmm"))
		task_vmm();
	else if (!strcmp(task, "many"))
		task_many();
	else if (!strcmp(task, "storm"))
		task_storm();
	else if (!strcmp(task, "reboot"))
		reboot(RB_AUTOBOOT);
	else if (!strcmp(task, "idle"))
		for (;;)
			pause();
	if (getenv("rings"))
		print_rings();
	power_off();
}
