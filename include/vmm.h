/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm.h - run arm64 KVM virtual machines inside your own process
 *
 * What the library promises its host:
 *
 *  - It keeps no process-wide state.  Any number of VMs may live side by side.
 *  - It never exits, aborts, forks, prints, reads the environment, or changes
 *    what belongs to the process: a signal's disposition, a resource limit, the
 *    affinity of a thread it did not make.  Where a limit is too low, the error
 *    says which and how much is needed.
 *  - It opens no file but /dev/kvm, what describes the CPUs under /sys and, when
 *    a vCPU has no CPU to run on, what tells of the cpuset of the process; and it
 *    writes to no descriptor it was not given.
 *  - A guest can harm only itself: whatever a guest writes, the worst outcome
 *    is an event that says a device, or the VM, has stopped.
 *
 * Return values: 0 or a positive count on success, a negative errno on failure.
 * errno itself is left alone.  A call that takes a struct vmm_error fills it in
 * on failure; pass NULL when the number is enough.
 *
 * Errors by kind, the same for every call that can meet them:
 *	-EINVAL		what the caller asked for makes no sense
 *	-ENOEXEC	the kernel, initrd or firmware cannot be used
 *	-EFBIG		... because it does not fit into the guest's RAM
 *	-ENODEV		there is no usable /dev/kvm
 *	-EACCES		... or this process may not open it
 *	-ENOTSUP	this host, or its KVM, does not have what was asked for
 *	-EBUSY		not in this state
 *	-E2BIG		a field or a flag that this library does not know is set
 *	others		the errno of the system call that failed
 *
 * Threads: every call may be made from any thread unless its comment says
 * otherwise; calls on one VM are serialised inside.  No call may be made from a
 * callback.
 *
 * Life of a VM, and what may be called when:
 *
 *	NEW	vmm_create() returned it	vmm_add_*(), vmm_set_*()
 *	RUNNING	vmm_start() returned 0		vmm_pause(), vmm_shutdown()
 *	PAUSED	vmm_pause() returned 0		vmm_resume()
 *	STOPPED	a VMM_EVENT_STOPPED was queued	nothing but reading
 *
 * vmm_destroy(), vmm_event_fd(), vmm_next_event() and vmm_stats() are good in
 * every state; vmm_stop(), vmm_mem_read() and vmm_mem_write() in all but NEW.
 * Anything else out of its state fails with -EBUSY and changes nothing.
 */
#ifndef VMM_H
#define VMM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_API		__attribute__((visibility("default")))
#define VMM_MUST_CHECK	__attribute__((warn_unused_result))

struct vmm;			/* one virtual machine */

/* Filled in by a failing call.  Owned by the caller, always terminated. */
#define VMM_MSG_SIZE	256
struct vmm_error {
	char msg[VMM_MSG_SIZE];
};

enum vmm_log_level {
	VMM_LOG_ERROR,		/* something the host asked for did not happen */
	VMM_LOG_WARN,		/* the guest did something it must not */
	VMM_LOG_INFO,		/* once in a VM's life: start, stop, reset */
	VMM_LOG_DEBUG,
};

/*
 * Configuration structures grow only at the end.  Set .size with the *_INIT
 * macro and leave what you do not care about zero: zero always means "choose
 * for me".  A program built against an older header keeps working with a newer
 * library; one built against a newer header gets -E2BIG from an older library
 * only if it sets a field that library does not have.
 *
 * Descriptors are borrowed: the library duplicates those it keeps, so the
 * caller may close its own as soon as the call returns.  An optional descriptor
 * is looked at only if its flag says so, 0 being a valid descriptor.
 * Strings are copied.
 */
#define VMM_F_KVM_FD		(1ull << 0)	/* use .kvm_fd, not /dev/kvm */
#define VMM_F_RAM_FD		(1ull << 1)	/* map guest RAM from .ram_fd */
#define VMM_F_HOST_THREADS	(1ull << 2)	/* see vmm_vcpu_run() */
#define VMM_F_NO_HUGEPAGES	(1ull << 3)	/* do not ask for huge pages */
#define VMM_F_KICK_HANDLER	(1ull << 4)	/* .kick_signal has a handler, see there */
#define VMM_F_SANDBOX		(1ull << 5)	/* for the VM's own threads, see */
#define VMM_F_SANDBOX_AUDIT	(1ull << 6)	/* ... vmm_sandbox_enter(); refuse nothing */

enum vmm_no_cpu {
	VMM_NO_CPU_WAIT,	/* until one returns; VMM_EVENT_STALLED tells */
	VMM_NO_CPU_STOP,	/* the VM stops with VMM_STOP_ERROR */
};

struct vmm_config {
	size_t		size;
	uint64_t	flags;		/* VMM_F_* */
	uint64_t	ram_size;	/* bytes, a multiple of 64 KiB; 0: 256 MiB */
	uint32_t	vcpus;		/* 0: one */
	uint32_t	io_threads;	/* 0: one; at most 16 */
	int		kvm_fd;
	/*
	 * Guest RAM is this descriptor from offset 0: a memfd (also one with
	 * MFD_HUGETLB) or a file on hugetlbfs or tmpfs, of at least .ram_size.
	 */
	int		ram_fd;
	/*
	 * The signal that interrupts KVM_RUN, a real-time one; 0: SIGRTMIN.  It
	 * is sent to vCPU threads alone, is blocked there, and no handler is
	 * installed for it.  With VMM_F_KICK_HANDLER the host has installed one,
	 * which does nothing, and leaves it until the VM is destroyed; then it
	 * is not blocked, and each exit from the guest costs some 4 % less.
	 */
	int		kick_signal;
	int		log_level;	/* enum vmm_log_level; this one and above */
	/*
	 * Host CPUs for the vCPU threads.  "0-3,8": each may run on all of
	 * these; "0=0-1:1=2": vCPU 0 on CPUs 0 and 1, vCPU 1 on CPU 2, the
	 * others anywhere.  NULL: any.  vmm_start() reads it.
	 */
	const char	*cpus;
	/*
	 * One line, no newline.  Called from any of the VM's threads and from the
	 * one in vmm_start(), perhaps at the same time, never with the VM's lock
	 * held.  NULL: no logging.
	 */
	void		(*log)(void *opaque, int level, const char *msg);
	void		*opaque;
	uint64_t	ram_base;	/* guest physical, by 2 MiB; 0: 2 GiB, the least */
	/*
	 * What a vCPU does when no host CPU that it may run on is online or
	 * allowed by the cpuset any more: enum vmm_no_cpu.
	 */
	uint32_t	on_no_cpu;
	uint32_t	reserved;
	const char	*sysfs;		/* where sysfs is mounted; NULL: /sys */
};
#define VMM_CONFIG_INIT { .size = sizeof(struct vmm_config) }

VMM_API VMM_MUST_CHECK
int vmm_create(struct vmm **vm, const struct vmm_config *cfg,
	       struct vmm_error *err);

/* Stop the VM if it runs, join every thread, free everything.  NULL is fine. */
VMM_API void vmm_destroy(struct vmm *vm);

/* ---- What the VM is made of: NEW only -------------------------------- */

/*
 * The machine.  Whatever KVM offers and an arm64 guest can only gain from is on
 * unless its NO flag is set; what costs something is off unless asked for, and
 * asking for what the host does not have makes vmm_start() fail with -ENOTSUP.
 */
#define VMM_MACHINE_F_PMU		(1ull << 0)	/* PMUv3 */
#define VMM_MACHINE_F_NESTED		(1ull << 1)	/* vCPUs start at EL2 */
#define VMM_MACHINE_F_E2H0		(1ull << 2)	/* ... without VHE */
#define VMM_MACHINE_F_NO_SVE		(1ull << 3)
#define VMM_MACHINE_F_NO_PAUTH		(1ull << 4)	/* pointer authentication */
#define VMM_MACHINE_F_NO_MTE		(1ull << 5)	/* memory tagging; off with .ram_fd */
#define VMM_MACHINE_F_NO_PVTIME		(1ull << 6)	/* stolen time */
#define VMM_MACHINE_F_NO_SEED		(1ull << 7)	/* no rng-seed, no kaslr-seed */
#define VMM_MACHINE_F_KASLR_SEED	(1ull << 8)	/* .kaslr_seed is set */
#define VMM_MACHINE_F_COUNTER_OFFSET	(1ull << 9)	/* .counter_offset is set */
#define VMM_MACHINE_F_PACKED		(1ull << 10)	/* virtio devices offer packed rings */

enum vmm_irqchip {
	VMM_IRQCHIP_AUTO,		/* GICv3, else GICv2; with an ITS if there is PCI */
	VMM_IRQCHIP_GICV2,
	VMM_IRQCHIP_GICV3,
	VMM_IRQCHIP_GICV3_ITS,		/* with an Interrupt Translation Service */
};

/* How the guest finds its virtio devices. */
enum vmm_virtio_transport {
	VMM_VIRTIO_AUTO,		/* PCI */
	VMM_VIRTIO_MMIO,		/* each a node of the device tree */
	VMM_VIRTIO_PCI,			/* each a PCI function, with MSI-X if there is an ITS */
};

struct vmm_machine_config {
	size_t		size;
	uint64_t	flags;		/* VMM_MACHINE_F_* */
	uint32_t	irqchip;	/* enum vmm_irqchip */
	uint32_t	sve_max_vl;	/* bits, 128 to 2048 by 128; 0: all KVM has */
	uint64_t	kaslr_seed;	/* for the device tree; default: random */
	uint64_t	counter_offset;	/* ticks taken off the guest's counters */
	uint32_t	cntfrq;		/* Hz, for firmware that leaves CNTFRQ_EL0 bad */
	uint32_t	virtio;		/* enum vmm_virtio_transport */
	/*
	 * Of the PMU whose CPUs the vCPUs run on, as in
	 * /sys/bus/event_source/devices; NULL: the one with the most CPUs that
	 * the vCPUs may use.  Counts with VMM_MACHINE_F_PMU only.
	 */
	const char	*pmu;
};
#define VMM_MACHINE_CONFIG_INIT { .size = sizeof(struct vmm_machine_config) }

VMM_API VMM_MUST_CHECK
int vmm_set_machine(struct vmm *vm, const struct vmm_machine_config *cfg,
		    struct vmm_error *err);

/*
 * Statistical profiling (SPE) for the guest.  vCPUs run on CPUs of one SPE instance of
 * the host's; what the kernel offers is found out at vmm_start(), which fails with
 * -ENOTSUP and says what is missing, or goes on without if VMM_SPE_F_OPTIONAL is
 * set, and logs that once.
 */
#define VMM_SPE_F_OPTIONAL	(1ull << 0)

struct vmm_spe_config {
	size_t		size;
	uint64_t	flags;		/* VMM_SPE_F_* */
	const char	*instance;	/* arm_spe_N; NULL: the one with the most CPUs */
	const char	*abi;		/* kernel interface, by name; NULL: find out */
	const char	*abi_text;	/* ... by its description, vmm-spe-abi(5) */
	uint64_t	buffer_max;	/* bytes; 0: what the kernel allows */
};
#define VMM_SPE_CONFIG_INIT { .size = sizeof(struct vmm_spe_config) }

VMM_API VMM_MUST_CHECK
int vmm_set_spe(struct vmm *vm, const struct vmm_spe_config *cfg, struct vmm_error *err);

/*
 * What is booted: an arm64 Image, raw, gzipped or as EFI zboot, or a flat binary
 * without a header.  vmm_start() reads the files, with pread() from offset 0.
 *
 * With firmware there is the clock that EDK II for kvmtool looks for, and vCPUs have no
 * more than 48 bits of physical address, which is what it bears (Linux 6.7 on the host).
 */
#define VMM_BOOT_F_INITRD	(1ull << 0)	/* .initrd_fd is set */
#define VMM_BOOT_F_FIRMWARE	(1ull << 1)	/* .kernel_fd is firmware */
#define VMM_BOOT_F_DUMP_DTB	(1ull << 2)	/* .dtb_fd is set */

struct vmm_boot_config {
	size_t		size;
	uint64_t	flags;		/* VMM_BOOT_F_* */
	int		kernel_fd;
	int		initrd_fd;
	const char	*cmdline;	/* NULL: empty */
	uint64_t	firmware_addr;	/* guest physical; 0: the start of RAM */
	int		dtb_fd;		/* the device tree is written to it at start */
	int		reserved;
};
#define VMM_BOOT_CONFIG_INIT { .size = sizeof(struct vmm_boot_config) }

VMM_API VMM_MUST_CHECK
int vmm_set_boot(struct vmm *vm, const struct vmm_boot_config *cfg,
		 struct vmm_error *err);

/*
 * A device tree overlay, as dtc makes it from a source with /plugin/, merged into what
 * the guest is told of its machine, after those that were added before it.  Nodes are
 * named by target-path: the machine's have no labels.  vmm_start() reads the file, with
 * pread() from offset 0, and says -ENOEXEC if it cannot be merged.  At most
 * VMM_MAX_OVERLAYS of VMM_OVERLAY_MAX bytes each.
 */
#define VMM_MAX_OVERLAYS	8
#define VMM_OVERLAY_MAX		65536

struct vmm_overlay_config {
	size_t		size;
	uint64_t	flags;		/* none yet: 0 */
	int		fd;
	int		reserved;
};
#define VMM_OVERLAY_CONFIG_INIT { .size = sizeof(struct vmm_overlay_config), .fd = -1 }

/* Returns 0; -ENOSPC when there are VMM_MAX_OVERLAYS. */
VMM_API VMM_MUST_CHECK
int vmm_add_overlay(struct vmm *vm, const struct vmm_overlay_config *cfg, struct vmm_error *err);

/*
 * A console: an ns16550a UART, at most four, ttyS0 first.  A machine always has
 * the first one, connected to nothing unless it is added here.
 *
 * Input is read when the guest has room for it; end of file is no error.
 * Output is written as the descriptor takes it, and the guest waits as it would
 * for a slow terminal.  Set O_NONBLOCK on descriptors that can block (a tty, a
 * socket): the library leaves their mode alone and polls before it touches them.
 * When the guest stops of itself all its output is written before
 * VMM_EVENT_STOPPED; vmm_stop() and vmm_destroy() do not wait for that.
 */
#define VMM_CONSOLE_F_IN	(1ull << 0)	/* .in_fd is set */
#define VMM_CONSOLE_F_OUT	(1ull << 1)	/* .out_fd is set */

struct vmm_console_config {
	size_t		size;
	uint64_t	flags;		/* VMM_CONSOLE_F_* */
	int		in_fd;
	int		out_fd;
};
#define VMM_CONSOLE_CONFIG_INIT { .size = sizeof(struct vmm_console_config) }

/* Returns the console's index, counted from 0 within the VM; -ENOSPC after 4. */
VMM_API VMM_MUST_CHECK
int vmm_add_console(struct vmm *vm, const struct vmm_console_config *cfg,
		    struct vmm_error *err);

/*
 * A virtio-console, hvc0 to Linux, which counts as a virtio device.  Input and output are
 * as above.  Returns the device's index; -ENOSPC after one.
 */
VMM_API VMM_MUST_CHECK
int vmm_add_hvc(struct vmm *vm, const struct vmm_console_config *cfg, struct vmm_error *err);

/*
 * NEW, RUNNING or PAUSED.  The terminal behind it has so many columns and rows, at most
 * 65535.  -ENOENT: there is no such console.
 */
VMM_API VMM_MUST_CHECK int vmm_hvc_resize(struct vmm *vm, uint32_t cols, uint32_t rows);

/*
 * Ports: streams with a name between programs of the guest's and of the host's.  Linux shows
 * them as /dev/vportNpM, and udev as /dev/virtio-ports/NAME; a program there that opens one
 * sees whether it is open at the host's end too, as it is unless VMM_PORT_F_CLOSED is set.
 * Input and output are as above, but that there is no input for a port which no program of
 * the guest's has open.
 */
#define VMM_PORT_F_CLOSED	(1ull << 2)	/* until vmm_port_open(); beside VMM_CONSOLE_F_* */

#define VMM_MAX_PORTS		8
#define VMM_PORT_NAME_MAX	63		/* bytes */

struct vmm_port_config {
	size_t		size;
	uint64_t	flags;		/* VMM_CONSOLE_F_*, VMM_PORT_F_CLOSED */
	int		in_fd;
	int		out_fd;
	const char	*name;		/* printable, without a slash; no other port's */
};
#define VMM_PORT_CONFIG_INIT { .size = sizeof(struct vmm_port_config) }

/*
 * Returns the port's index, counted from 0; -ENOSPC after VMM_MAX_PORTS; -EEXIST: another has
 * that name.  All of them are one virtio device, whose place is that of the first.
 */
VMM_API VMM_MUST_CHECK
int vmm_add_port(struct vmm *vm, const struct vmm_port_config *cfg, struct vmm_error *err);

/*
 * When RUNNING or PAUSED.  Somebody has come to the host's end of port @index, or has gone if
 * @open is 0; the guest hears of the latter once it has read all input, if it reads any.
 * -ENOENT: there is no such port.
 */
VMM_API VMM_MUST_CHECK int vmm_port_open(struct vmm *vm, uint32_t index, int open);

/*
 * NOR flash, as a firmware's place for what it has to remember: CFI, Intel's commands,
 * blocks of 64 KiB, at 0x02000000.  It is as large as the file, whose size is a power of
 * two from 64 KiB to 16 MiB; vmm_start() says -ENOEXEC if that is not so.  The file is
 * read then, and written whenever the guest programs or erases.
 */
#define VMM_FLASH_F_READONLY	(1ull << 0)	/* the guest's attempts to change it fail */

struct vmm_flash_config {
	size_t		size;
	uint64_t	flags;		/* VMM_FLASH_F_* */
	int		fd;		/* borrowed: duplicated by the call */
};
#define VMM_FLASH_CONFIG_INIT { .size = sizeof(struct vmm_flash_config), .fd = -1 }

/* -ENOSPC after one; -ETXTBSY: somebody else has it open, for writing or to be written. */
VMM_API VMM_MUST_CHECK
int vmm_add_flash(struct vmm *vm, const struct vmm_flash_config *cfg, struct vmm_error *err);

/*
 * virtio devices.  Each is served by the I/O threads, and breaks by itself if its driver
 * breaks the rules: VMM_EVENT_BROKEN.  All return the device's index, counted from 0
 * within the VM over all kinds; -ENOSPC after 24.
 */
struct vmm_rng_config {
	size_t		size;
	uint64_t	flags;		/* none yet */
};
#define VMM_RNG_CONFIG_INIT { .size = sizeof(struct vmm_rng_config) }

/* Random numbers of the host's, getrandom(2). */
VMM_API VMM_MUST_CHECK
int vmm_add_rng(struct vmm *vm, const struct vmm_rng_config *cfg, struct vmm_error *err);

/*
 * A disk: what is in .fd, byte for byte, whatever that is.  It is a regular file or a
 * block device, opened with or without O_DIRECT, neither with O_APPEND nor with
 * O_NONBLOCK, and for writing unless VMM_DISK_F_RO is set.  It is locked (F_OFD_SETLK)
 * for as long as the VM or the caller has it open: -ETXTBSY if somebody else has it
 * for writing, or at all if this disk is for writing.
 */
#define VMM_DISK_F_RO		(1ull << 0)	/* the guest cannot write to it */

#define VMM_DISK_SERIAL		20		/* bytes */
#define VMM_DISK_QUEUES		64
struct vmm_disk_config {
	size_t		size;
	uint64_t	flags;		/* VMM_DISK_F_* */
	int		fd;
	uint32_t	queues;		/* 0: one; at most VMM_DISK_QUEUES */
	const char	*serial;	/* that the guest sees; NULL: empty */
};
#define VMM_DISK_CONFIG_INIT { .size = sizeof(struct vmm_disk_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_disk(struct vmm *vm, const struct vmm_disk_config *cfg, struct vmm_error *err);

/*
 * RUNNING or PAUSED.  The file or block device of disk @index has another length now: the
 * guest is told, and may use all of it.  @size, unless it is NULL, becomes what the guest
 * sees, in bytes: whole blocks.  What a guest has in use must not be cut off; to read or
 * write there is an error.  -ENOENT: @index is no disk; -EINVAL: not a block is left, and
 * the guest is told nothing.
 */
VMM_API VMM_MUST_CHECK
int vmm_disk_resize(struct vmm *vm, uint32_t index, uint64_t *size, struct vmm_error *err);

/*
 * A file system of the host's, by virtio-fs.  Its backend is a process that the caller
 * has started, as virtiofsd is one, at the other end of .fd, a connected unix socket on
 * which it speaks vhost-user.  It has all RAM of the guest mapped, which for that has to
 * be a file (VMM_F_RAM_FD), and nothing of a request passes through this process.
 * vmm_start() fails if it does not answer.
 */
#define VMM_FS_TAG_MAX		36		/* bytes */
struct vmm_fs_config {
	size_t		size;
	uint64_t	flags;		/* none yet */
	int		fd;
	int		reserved;
	const char	*tag;		/* that a guest mounts it by */
};
#define VMM_FS_CONFIG_INIT { .size = sizeof(struct vmm_fs_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_fs(struct vmm *vm, const struct vmm_fs_config *cfg, struct vmm_error *err);

/*
 * Another way to do so, by 9P.  The server is a process that the caller has started, as
 * diod is one, at the other end of .fd, a connected stream socket.  Requests and replies
 * are checked to be messages of 9P2000.L, and handed on: it has no memory of the guest's.
 * When it goes, the guest gets errors until there is another, vmm_set_backend(), and it
 * has mounted anew; and so it is if the guest resets the device while it waits for replies.
 */
#define VMM_9P_NAME_MAX		255		/* bytes */

struct vmm_9p_config {
	size_t		size;
	uint64_t	flags;		/* none yet */
	int		fd;
	int		reserved;
	const char	*tag;		/* as above */
	/* Of at most VMM_9P_NAME_MAX; NULL: what the guest says. */
	const char	*aname;		/* what any attach asks the server for */
	const char	*uname;		/* ... and who does */
};
#define VMM_9P_CONFIG_INIT { .size = sizeof(struct vmm_9p_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_9p(struct vmm *vm, const struct vmm_9p_config *cfg, struct vmm_error *err);

/*
 * A virtio device of another kind that a process at the other end of .fd serves, as the
 * backend of a file system does; vmm_set_backend() gives it another.  Of a disk all is the
 * backend's: qemu-storage-daemon, say, serves images in qcow2.
 */
enum vmm_vhost_user_type { VMM_VHOST_USER_BLK = 1 };

/*
 * If the backend ends its connection, the device does not break but waits: what has been
 * asked for and is not done the backend is asked for again that vmm_set_backend() gives it,
 * without the guest's knowing.  Until then it is silent.  VMM_EVENT_BROKEN tells all the
 * same.  The rings are passed on by this process then, which takes some of its time.
 */
#define VMM_VHOST_USER_F_WAIT	(1ull << 0)

#define VMM_VHOST_USER_QUEUES	16
struct vmm_vhost_user_config {
	size_t		size;
	uint64_t	flags;		/* VMM_VHOST_USER_F_* */
	int		fd;
	uint32_t	type;		/* enum vmm_vhost_user_type */
	uint32_t	queues;		/* 0: one; at most VMM_VHOST_USER_QUEUES */
	uint32_t	reserved;
};
#define VMM_VHOST_USER_CONFIG_INIT { .size = sizeof(struct vmm_vhost_user_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_vhost_user(struct vmm *vm, const struct vmm_vhost_user_config *cfg,
		       struct vmm_error *err);

/*
 * A network card.  What is behind it is one of three descriptors, or nothing yet: then its
 * link is down until vmm_net_attach().  Offloads are the tap interface's; TUNSETOFFLOAD
 * and the size of its header are set to what the guest wants.
 */
#define VMM_NET_F_STREAM	(1ull << 0)	/* .fd is a stream socket: frames, each behind
						 * its length of 32 bits, big-endian; passt(1) */
#define VMM_NET_F_TAP		(1ull << 1)	/* .fd is of a tap interface, O_NONBLOCK, made
						 * with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR */
#define VMM_NET_F_VHOST		(1ull << 2)	/* ... and .vhost_fd of /dev/vhost-net: the
						 * kernel serves the guest's rings */
#define VMM_NET_F_VHOST_USER	(1ull << 3)	/* .fd is a connected unix socket to a process that
						 * serves the guest's rings, as vmm_add_fs() has it;
						 * offloads are those it has */
#define VMM_NET_F_WAIT		(1ull << 4)	/* ... and which may go: the card waits, its link
						 * being down, as VMM_VHOST_USER_F_WAIT has it;
						 * with one pair of queues */

#define VMM_NET_QUEUES		8
struct vmm_net_config {
	size_t		size;
	uint64_t	flags;		/* VMM_NET_F_* */
	int		fd;
	uint16_t	mtu;		/* told to the guest; 0: nothing is told */
	uint8_t		mac[6];		/* zeroes: 02:15:15:15:15:15, the last byte counts */
	int		vhost_fd;
	/*
	 * Of a tap interface made with IFF_MULTI_QUEUE: one pair of queues for each .fd.  With
	 * VMM_NET_F_VHOST_USER all are by the first.
	 */
	uint32_t	queues;		/* pairs; 0: one; at most VMM_NET_QUEUES */
	int		more_fds[VMM_NET_QUEUES - 1];		/* behind the first */
	int		more_vhost_fds[VMM_NET_QUEUES - 1];	/* likewise */
};
#define VMM_NET_CONFIG_INIT { .size = sizeof(struct vmm_net_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_net(struct vmm *vm, const struct vmm_net_config *cfg, struct vmm_error *err);

/*
 * RUNNING or PAUSED.  Put the stream socket @fd behind network card @index, whatever was
 * there before, as after VMM_EVENT_UNLINKED; or take the cable out, @up being 0, and in
 * again.  The guest hears of its link.  -ENOENT: @index is no network card; -EINVAL: it
 * is one on a tap interface or served by a process, for which vmm_set_backend() is; or
 * @fd is no stream socket.
 */
VMM_API VMM_MUST_CHECK
int vmm_net_attach(struct vmm *vm, uint32_t index, int fd, struct vmm_error *err);
VMM_API VMM_MUST_CHECK int vmm_net_link(struct vmm *vm, uint32_t index, int up);

/* Frames that a network card has dropped, since vmm_start(). */
struct vmm_net_stats {
	size_t		size;
	/* To the guest: its link was down, or its buffers were too small. */
	uint64_t	rx_dropped;
	/* Of the guest's: they made no sense, its link was down, or its peer did not take them. */
	uint64_t	tx_dropped;
};
#define VMM_NET_STATS_INIT { .size = sizeof(struct vmm_net_stats) }

/*
 * RUNNING or PAUSED.  -ENOENT: @index is no network card; -EOPNOTSUPP: the host's kernel,
 * or another process, has its frames, and knows.
 */
VMM_API VMM_MUST_CHECK
int vmm_net_stats(struct vmm *vm, uint32_t index, struct vmm_net_stats *stats);

/*
 * A balloon: memory that the guest gives up when it is asked to, and takes back later, is
 * the host's in between; and so are, with free page reporting, pages that the guest has no
 * use for at the time.  RAM on hugetlbfs, or that SPE has locked, the host keeps.
 */
#define VMM_BALLOON_F_NO_OOM		(1ull << 0)	/* a guest that runs out of memory does
							 * not take it back by itself */
#define VMM_BALLOON_F_NO_REPORTING	(1ull << 1)	/* of free pages */

struct vmm_balloon_config {
	size_t		size;
	uint64_t	flags;		/* VMM_BALLOON_F_* */
	uint64_t	target;		/* bytes, as vmm_balloon_set() */
};
#define VMM_BALLOON_CONFIG_INIT { .size = sizeof(struct vmm_balloon_config) }

/* -ENOSPC after one. */
VMM_API VMM_MUST_CHECK
int vmm_add_balloon(struct vmm *vm, const struct vmm_balloon_config *cfg, struct vmm_error *err);

/*
 * RUNNING or PAUSED.  How much memory the guest shall give up, in bytes, of which it does
 * as much as it can, in its own time.  -EINVAL: more than it has; -ENOENT: there is no
 * balloon.
 */
VMM_API VMM_MUST_CHECK int vmm_balloon_set(struct vmm *vm, uint64_t target);

/* What guests tell of themselves, numbered as in virtio 1.2, 5.5.6.4; sizes in bytes. */
enum vmm_balloon_stat {
	VMM_BALLOON_SWAP_IN,
	VMM_BALLOON_SWAP_OUT,
	VMM_BALLOON_MAJOR_FAULTS,
	VMM_BALLOON_MINOR_FAULTS,
	VMM_BALLOON_FREE,
	VMM_BALLOON_TOTAL,
	VMM_BALLOON_AVAILABLE,		/* without swapping */
	VMM_BALLOON_CACHES,
	VMM_BALLOON_HUGETLB_ALLOCS,
	VMM_BALLOON_HUGETLB_FAILURES,
};
#define VMM_BALLOON_STATS	16	/* later guests may tell more */

struct vmm_balloon_stats {
	size_t		size;
	uint64_t	target;		/* bytes it shall give up */
	uint64_t	actual;		/* ... and has */
	uint64_t	reported;	/* bytes it reported as free, in sum, since vmm_start() */
	uint64_t	updates;	/* how often it has told the rest */
	uint64_t	guest[VMM_BALLOON_STATS];	/* by enum vmm_balloon_stat */
	uint32_t	known;		/* bit n: .guest[n] was told */
	uint32_t	reserved;
};
#define VMM_BALLOON_STATS_INIT { .size = sizeof(struct vmm_balloon_stats) }

/*
 * RUNNING or PAUSED.  Also asks the guest to tell anew, which a later call finds, its
 * .updates being more.  -ENOENT: there is no balloon.
 */
VMM_API VMM_MUST_CHECK
int vmm_balloon_stats(struct vmm *vm, struct vmm_balloon_stats *stats);

/*
 * Sockets between the guest and the host (vsock(7)), by the kernel: .fd is of
 * /dev/vhost-vsock, opened for this guest, which is .cid to all of this host's vsocks as
 * long as the VM, or the caller, has it open.  The number is the host's; 0 to 2 and
 * 0xffffffff have other meanings.  vmm_start() returns -EADDRINUSE if another guest has it.
 */
struct vmm_vsock_config {
	size_t		size;
	uint64_t	flags;		/* none yet */
	int		fd;
	uint32_t	cid;
};
#define VMM_VSOCK_CONFIG_INIT { .size = sizeof(struct vmm_vsock_config) }

VMM_API VMM_MUST_CHECK
int vmm_add_vsock(struct vmm *vm, const struct vmm_vsock_config *cfg, struct vmm_error *err);

/* ---- Running it ------------------------------------------------------- */

/* Build the machine and let the guest run.  On failure the VM is still NEW. */
VMM_API VMM_MUST_CHECK
int vmm_start(struct vmm *vm, struct vmm_error *err);

/*
 * Returns once no vCPU is in the guest, and devices are at rest: none changes guest
 * memory or touches a descriptor.  An I/O loop that the host serves by dispatching is
 * at rest when it does so next.  The guest's counter stands until vmm_resume().
 */
VMM_API VMM_MUST_CHECK int vmm_pause(struct vmm *vm);
VMM_API VMM_MUST_CHECK int vmm_resume(struct vmm *vm);

/*
 * A limit of this process that was too low: after vmm_start() failed with -ENOMEM,
 * or after a VMM_EVENT_LIMIT.  Returns 1, or 0 if no limit is in the way.  The
 * library leaves limits alone; raise it and start again, or call vmm_retry(), which
 * lets the vCPUs that wait for it go on.
 */
struct vmm_limit {
	size_t		size;
	int		resource;	/* RLIMIT_MEMLOCK, as setrlimit(2) knows it */
	int		reserved;
	uint64_t	have;		/* bytes */
	uint64_t	need;		/* at least */
};
#define VMM_LIMIT_INIT { .size = sizeof(struct vmm_limit) }

VMM_API int vmm_limit(struct vmm *vm, struct vmm_limit *limit);
VMM_API VMM_MUST_CHECK int vmm_retry(struct vmm *vm);

/*
 * Another backend for device @index, whose old one has gone (VMM_EVENT_BROKEN) or is let
 * go now, by a socket as above.  Who is let go, be it for not keeping to the protocol, finds
 * the connection shut down, whoever else has a descriptor of it.  The device works again
 * once the guest has reset it, or has mounted it anew if that is by 9P; at once if it waits
 * (VMM_VHOST_USER_F_WAIT).
 * Waits for the backend's answers: 10 seconds for all of them, or one if the device waits,
 * then -ETIMEDOUT.  While the VM runs or is paused, else -EBUSY; -ENOENT: there is no such
 * device, or it has no backend.
 */
VMM_API VMM_MUST_CHECK
int vmm_set_backend(struct vmm *vm, uint32_t index, int fd, struct vmm_error *err);

/*
 * Press the power button.  The guest decides whether and when to stop.  The first
 * press takes a descriptor: -EMFILE, -ENFILE.
 */
VMM_API VMM_MUST_CHECK int vmm_shutdown(struct vmm *vm);

/*
 * Console @index receives a break, then @text, of at most 15 characters; to Linux that
 * is a magic SysRq if @text is one character.  When RUNNING or PAUSED.  -ENOENT: there
 * is no such console; -EAGAIN: there is no room, or the last break is still unseen.
 */
VMM_API VMM_MUST_CHECK
int vmm_console_break(struct vmm *vm, uint32_t index, const char *text);

/*
 * The virtio-console receives @text, of at most 15 characters, before any other input, as if
 * it had been typed; a Linux that has its console there takes Ctrl-O, 0x0f, and a character
 * for a magic SysRq.  When RUNNING or PAUSED.  -ENOENT: there is no such console; -EAGAIN:
 * the guest has no driver for it, or has not taken the last text.
 */
VMM_API VMM_MUST_CHECK int vmm_hvc_type(struct vmm *vm, const char *text);

/* Pull the plug.  Returns at once; VMM_EVENT_STOPPED follows. */
VMM_API int vmm_stop(struct vmm *vm);

/* ---- Hearing from it -------------------------------------------------- */

enum vmm_event_type {
	VMM_EVENT_STOPPED = 1,	/* .reason says why; the last event of a VM */
	VMM_EVENT_BROKEN,	/* device .index waits for a guest reset, or its backend
				 * has gone */
	VMM_EVENT_STALLED,	/* vCPU .index waits for a host CPU; .msg says which, and
				 * is told again when what it waits for changes */
	VMM_EVENT_UNSTALLED,	/* ... and has got one */
	VMM_EVENT_LIMIT,	/* vCPU .index waits for a limit: see vmm_limit() */
	VMM_EVENT_UNLINKED,	/* what was behind network card .index has gone */
};

enum vmm_stop_reason {
	VMM_STOP_GUEST_OFF = 1,	/* the guest powered itself off */
	VMM_STOP_GUEST_RESET,	/* the guest asked for a reboot */
	VMM_STOP_GUEST_CRASH,	/* the guest reported a panic */
	VMM_STOP_HOST,		/* vmm_stop() */
	VMM_STOP_ERROR,		/* .error and .msg say what failed */
};

struct vmm_event {
	size_t	size;
	int	type;		/* enum vmm_event_type */
	int	reason;		/* enum vmm_stop_reason */
	int	error;		/* a negative errno, or 0 */
	int	index;		/* of a vCPU or a device, or -1 */
	char	msg[VMM_MSG_SIZE];
};
#define VMM_EVENT_INIT { .size = sizeof(struct vmm_event) }

/*
 * A descriptor to poll for POLLIN, readable while events are queued.  It is the
 * same for the VM's whole life and belongs to the VM: do not read or close it.
 */
VMM_API int vmm_event_fd(const struct vmm *vm);

/* Take the oldest event.  Returns 1, or 0 when there is none. */
VMM_API int vmm_next_event(struct vmm *vm, struct vmm_event *ev);

/* ---- Bringing your own threads or loop (VMM_F_HOST_THREADS) ----------- */

/*
 * The VM has no thread but those, whatever the kernel can do.  Where io_uring is refused
 * to the process, what disks are asked for is done inside vmm_io_run() and
 * vmm_io_dispatch(), which block for it; the log says so (VMM_LOG_INFO).
 */

/*
 * Run vCPU @index in the calling thread until the VM stops.  Start one thread a
 * vCPU after vmm_start().  The kick signal is blocked meanwhile, or let in if it
 * has a handler; the thread's signal mask and affinity are as before on return.
 */
VMM_API VMM_MUST_CHECK int vmm_vcpu_run(struct vmm *vm, uint32_t index);

/*
 * I/O either takes a thread, vmm_io_run(), which returns when the VM has
 * stopped; or joins a loop you already have: call vmm_io_dispatch(), which does
 * not block, once after vmm_start(), and then whenever vmm_io_fd() polls POLLIN.
 * One thread at a time for a given @index, and always the same one.  While the kernel
 * has no memory for what io_uring is asked, vmm_io_dispatch() tries again for a second
 * at most; then it fails with -ENOMEM, for good.
 *
 * -EBUSY: another thread is at it, or the VM has threads of its own; -ENOENT:
 * there is no such @index.
 */
VMM_API VMM_MUST_CHECK int vmm_io_run(struct vmm *vm, uint32_t index);
VMM_API int vmm_io_fd(const struct vmm *vm, uint32_t index);
VMM_API VMM_MUST_CHECK int vmm_io_dispatch(struct vmm *vm, uint32_t index);

/* ---- Looking inside ---------------------------------------------------- */

/* All of the range or none of it: -EFAULT if any byte is not guest RAM. */
VMM_API VMM_MUST_CHECK
int vmm_mem_read(struct vmm *vm, uint64_t gpa, void *buf, size_t len);
VMM_API VMM_MUST_CHECK
int vmm_mem_write(struct vmm *vm, uint64_t gpa, const void *buf, size_t len);

/*
 * A vCPU as it stands, by the names of the Arm ARM.  Of one that the guest has not
 * turned on, .off is 1 and the rest means little.
 */
struct vmm_vcpu_regs {
	size_t		size;
	uint64_t	x[31];
	uint64_t	pc;
	uint64_t	pstate;
	uint64_t	sp_el0;
	uint64_t	sp_el1;
	uint64_t	elr_el1;
	uint64_t	spsr_el1;
	uint64_t	esr_el1;
	uint64_t	far_el1;
	uint64_t	sctlr_el1;
	uint64_t	tcr_el1;
	uint64_t	ttbr0_el1;
	uint64_t	ttbr1_el1;
	uint64_t	vbar_el1;
	uint64_t	tpidr_el1;
	uint64_t	mpidr_el1;
	int		off;
	int		reserved;
};
#define VMM_VCPU_REGS_INIT { .size = sizeof(struct vmm_vcpu_regs) }

/* When PAUSED or STOPPED.  -ENOENT: there is no vCPU @index. */
VMM_API VMM_MUST_CHECK
int vmm_vcpu_regs(struct vmm *vm, uint32_t index, struct vmm_vcpu_regs *regs);

/*
 * The same of what it sees at virtual address @va, by its own page tables at EL1: all
 * of the range or none of it, -EFAULT if any byte is not mapped to RAM.
 */
VMM_API VMM_MUST_CHECK
int vmm_vcpu_read(struct vmm *vm, uint32_t index, uint64_t va, void *buf, size_t len);

/*
 * What a vCPU has done since vmm_start(), in entries and exits of KVM_RUN, and
 * what has been done to it.  A wrong-CPU exit is one that KVM made because the
 * thread stood on a host CPU without the VM's SPE or PMU; the thread is moved back.
 */
#define VMM_LATENCY_BUCKETS	24
struct vmm_vcpu_stats {
	size_t		size;
	uint64_t	runs;		/* calls of KVM_RUN */
	uint64_t	mmio;		/* ... that came back for an MMIO access */
	uint64_t	kicks;		/* ... that a kick interrupted */
	uint64_t	others;		/* ... any other way */
	int		tid;		/* its thread, 0 before it runs */
	int		stalled;	/* 1 while it waits for a host CPU */
	uint64_t	wrong_cpu;	/* exits for a wrong CPU */
	uint64_t	repins;		/* of the thread, after such an exit */
	uint64_t	stalls;		/* times that there was no CPU to go to */
	/*
	 * How long from the wrong-CPU exit until the thread was where it
	 * belongs: [i] counts those of less than 2^i microseconds but not less
	 * than half of that, the last one all that are longer.
	 */
	uint64_t	repin_latency[VMM_LATENCY_BUCKETS];
	char		cpus[64];	/* where it may run and why: "2-3 (PMU armv8_x)" */
};
#define VMM_VCPU_STATS_INIT { .size = sizeof(struct vmm_vcpu_stats) }

/* -ENOENT: there is no vCPU @index. */
VMM_API VMM_MUST_CHECK
int vmm_stats(struct vmm *vm, uint32_t index, struct vmm_vcpu_stats *stats);

/* ---- A sandbox: no VM needed ---------------------------------------------- */

/*
 * What is left to a thread.  A system call that a role does not have is refused with
 * SIGSYS, whose default is the end of the process.
 */
enum vmm_sandbox_role {
	VMM_SANDBOX_CONTROL,	/* to make VMs, watch them and destroy them */
	VMM_SANDBOX_VCPU,	/* to be in vmm_vcpu_run() */
	VMM_SANDBOX_IO,		/* to be in vmm_io_run() or vmm_io_dispatch() */
};

#define VMM_SANDBOX_F_AUDIT	(1ull << 0)	/* refuse nothing: the kernel logs it */
#define VMM_SANDBOX_F_FILES	(1ull << 1)	/* open none but .paths and the library's */

#define VMM_PATH_READ	(1ull << 0)	/* files and directories */
#define VMM_PATH_WRITE	(1ull << 1)	/* files */
#define VMM_PATH_MAKE	(1ull << 2)	/* make and remove files */

/* A file, or a directory with all below it. */
struct vmm_sandbox_path {
	const char	*path;
	uint64_t	access;		/* VMM_PATH_* */
};

struct vmm_sandbox_config {
	size_t		size;
	uint64_t	flags;		/* VMM_SANDBOX_F_* */
	uint32_t	role;		/* enum vmm_sandbox_role */
	uint32_t	nr_paths;
	uint64_t	keep_caps;	/* bit n: capability n, if the thread has it */
	const struct vmm_sandbox_path *paths;	/* with VMM_SANDBOX_F_FILES */
};
#define VMM_SANDBOX_CONFIG_INIT { .size = sizeof(struct vmm_sandbox_config) }

/*
 * Take from the calling thread, and from those that it will make, what its role does
 * not need, for good: new privileges by execve(), capabilities and system calls; and
 * files, with VMM_SANDBOX_F_FILES and where the kernel has Landlock.
 * Threads that exist keep what they have.  VMs whose threads shall give up more than
 * their maker has are made with VMM_F_SANDBOX.
 *
 * -ENOTSUP: the kernel has no seccomp filters, and nothing has changed.  Upon any other
 * failure some of it may be gone.
 */
VMM_API VMM_MUST_CHECK
int vmm_sandbox_enter(const struct vmm_sandbox_config *cfg, struct vmm_error *err);

/* ---- What this host can do: no VM needed -------------------------------- */

struct vmm_host;		/* the host, as it was when vmm_host_open() looked */

#define VMM_HOST_F_KVM_FD	(1ull << 0)	/* use .kvm_fd, not /dev/kvm */

struct vmm_host_config {
	size_t		size;
	uint64_t	flags;		/* VMM_HOST_F_* */
	int		kvm_fd;
	int		reserved;
	const char	*sysfs;		/* where sysfs is mounted; NULL: /sys */
	const struct vmm_spe_config *spe;	/* that a guest would have; NULL: any */
};
#define VMM_HOST_CONFIG_INIT { .size = sizeof(struct vmm_host_config) }

/*
 * Look at the host.  KVM is asked with a VM that is gone when the call returns.  A
 * host without KVM, or one that keeps it from this process, is a result like any
 * other.  Nothing stays open.
 */
VMM_API VMM_MUST_CHECK
int vmm_host_open(struct vmm_host **host, const struct vmm_host_config *cfg,
		  struct vmm_error *err);

/* NULL is fine. */
VMM_API void vmm_host_close(struct vmm_host *host);

/* What KVM has for guests: bits of vmm_host_info.features. */
#define VMM_HOST_PMU		(1ull << 0)	/* PMUv3 */
#define VMM_HOST_SVE		(1ull << 1)
#define VMM_HOST_PAUTH		(1ull << 2)	/* pointer authentication */
#define VMM_HOST_MTE		(1ull << 3)	/* memory tagging */
#define VMM_HOST_PVTIME		(1ull << 4)	/* stolen time */
#define VMM_HOST_NESTED		(1ull << 5)	/* EL2 */
#define VMM_HOST_E2H0		(1ull << 6)	/* ... without VHE */
#define VMM_HOST_COUNTER_OFFSET	(1ull << 7)
#define VMM_HOST_AARCH32	(1ull << 8)	/* 32-bit EL1 */
#define VMM_HOST_GUEST_MEMFD	(1ull << 9)	/* memory of KVM's, and it can be mapped */
#define VMM_HOST_PRE_FAULT	(1ull << 10)	/* mapping memory ahead of time */

struct vmm_host_info {
	size_t		size;
	char		kernel[72];	/* "6.12.48" */
	char		machine[24];	/* "aarch64" */
	int		kvm_error;	/* 0: KVM can be used; or a negative errno */
	uint32_t	kvm_version;	/* of its interface; 0: not known */
	char		kvm_why[VMM_MSG_SIZE];	/* ... why it cannot */
	uint32_t	max_vcpus;	/* of one VM */
	uint32_t	ipa_bits;	/* of a guest physical address */
	uint64_t	irqchips;	/* bit n: enum vmm_irqchip n */
	uint64_t	features;	/* VMM_HOST_* */
	uint32_t	nr_cpus;	/* that vmm_host_cpu() knows */
	uint32_t	nr_spes;	/* that vmm_host_spe() knows */
	/* Limits of this process, soft and hard; UINT64_MAX: none. */
	uint64_t	memlock;	/* RLIMIT_MEMLOCK, bytes */
	uint64_t	memlock_max;
	uint64_t	nofile;		/* RLIMIT_NOFILE */
	uint64_t	nofile_max;
	uint32_t	seccomp;	/* 1: it has the filters of vmm_sandbox_enter() */
	uint32_t	landlock;	/* version of its Landlock; 0: none */
	uint32_t	userns;		/* 1: this process may make user namespaces */
	uint32_t	io_uring;	/* 1: this process may use it; else threads do its I/O */
};
#define VMM_HOST_INFO_INIT { .size = sizeof(struct vmm_host_info) }

VMM_API VMM_MUST_CHECK
int vmm_host_info(const struct vmm_host *host, struct vmm_host_info *info);

struct vmm_host_cpu {
	size_t		size;
	uint32_t	number;
	int		online;		/* 1 or 0 */
	int		allowed;	/* 1: affinity and cpuset let the caller run on it */
	int		reserved;
	uint64_t	midr;		/* MIDR_EL1; 0: the host does not tell */
	char		name[32];	/* "Neoverse-N1"; empty: not known */
	char		pmu[64];	/* its PMU; empty: none */
	char		spe[64];	/* its SPE instance; empty: none */
};
#define VMM_HOST_CPU_INIT { .size = sizeof(struct vmm_host_cpu) }

/* Row @index of the host's CPUs; -ENOENT behind the last. */
VMM_API VMM_MUST_CHECK
int vmm_host_cpu(const struct vmm_host *host, uint32_t index, struct vmm_host_cpu *cpu);

/* What the driver tells of an SPE instance: bits of vmm_host_spe.known. */
#define VMM_HOST_SPE_ARCH_INST		(1u << 0)
#define VMM_HOST_SPE_COUNT_SIZE		(1u << 1)
#define VMM_HOST_SPE_ERND		(1u << 2)
#define VMM_HOST_SPE_MIN_INTERVAL	(1u << 3)
#define VMM_HOST_SPE_EVENT_FILTER	(1u << 4)
#define VMM_HOST_SPE_MAX_BUFF_SIZE	(1u << 5)

struct vmm_host_spe {
	size_t		size;
	char		name[64];	/* "arm_spe_0" */
	char		reason[128];	/* why it cannot be used; empty: it can */
	char		cpus[256];	/* "2-3", those that are online */
	int		type;		/* perf's and KVM's number of it */
	uint32_t	known;		/* VMM_HOST_SPE_*: what follows counts */
	uint64_t	arch_inst;	/* architecturally executed instructions only */
	uint64_t	count_size;	/* bits of a counter */
	uint64_t	ernd;		/* the interval is made random at its end */
	uint64_t	min_interval;	/* the least that is advised */
	uint64_t	event_filter;	/* events that can be filtered by */
	uint64_t	max_buff_size;	/* bytes; 0: no limit */
};
#define VMM_HOST_SPE_INIT { .size = sizeof(struct vmm_host_spe) }

/* Instance @index; -ENOENT behind the last. */
VMM_API VMM_MUST_CHECK
int vmm_host_spe(const struct vmm_host *host, uint32_t index, struct vmm_host_spe *spe);

/* Can a guest of this process have SPE? */
struct vmm_host_verdict {
	size_t		size;
	int		error;		/* 0: yes; or a negative errno */
	int		reserved;
	char		why[VMM_MSG_SIZE];	/* why not; or what else it will take */
	char		instance[64];	/* that it would have; empty: none */
	char		cpus[256];	/* on which its vCPUs would run */
	char		abi[32];	/* the kernel's interface; empty: none was found */
};
#define VMM_HOST_VERDICT_INIT { .size = sizeof(struct vmm_host_verdict) }

VMM_API VMM_MUST_CHECK
int vmm_host_verdict(const struct vmm_host *host, struct vmm_host_verdict *verdict);

#define VMM_VERSION_MAJOR	0
#define VMM_VERSION_MINOR	1
VMM_API const char *vmm_version(void);

#ifdef __cplusplus
}
#endif

#endif /* VMM_H */
