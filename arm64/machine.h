/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.h - the arm64 machine and its parts
 *
 * Each part has a function that builds it and one that takes it down, called by
 * the table in machine.c; and most have one that writes their nodes of the tree.
 */
#ifndef ARM64_MACHINE_H
#define ARM64_MACHINE_H

#include "vmm.h"

#include "arm64/image.h"
#include "fdt/tree.h"
#include "vmm/irq.h"
#include "vmm/types.h"
#include "vmm/vm.h"

struct cfi_flash;
struct chardev;
struct mc146818;
struct msi;
struct ns16550;
struct pci;
struct pl031;
struct pl061;
struct pvpanic;
struct spe;
struct virtio;
struct virtio_env;
struct virtio_mmio;
struct virtio_pci;

struct machine {
	struct vmm		*vm;

	/* cpu.c */
	u64			features;	/* bits of KVM_ARM_VCPU_* */
	bool			mte;
	u64			*mpidr;		/* of each vCPU */

	/* place.c: NULL, the guest has none */
	struct spe		*spe;
	bool			spe_chosen;

	/* place.c: the PMU to ask KVM for, if it matters which */
	char			pmu_name[64];	/* empty: it does not */
	int			pmu_type;

	/* counter.c */
	u64			counter_offset;	/* as KVM was told, if it was */
	u64			counter;	/* what it was held at */
	bool			counter_held;

	/* gic.c */
	enum vmm_irqchip	irqchip;	/* never AUTO once it exists */
	int			gic_fd;
	int			its_fd;
	gpa_t			redist;		/* GICv3 */
	gpa_t			its;

	/* ram.c: RAM that is KVM's memory, or -1 */
	int			guest_memfd;

	/* pvtime.c: NULL if guests get no stolen time here */
	void			*pvtime;

	/* board.c */
	struct chardev		*chardevs[VM_MAX_CONSOLES];
	struct ns16550		*uarts[VM_MAX_CONSOLES];
	u32			nr_uarts;
	struct pl031		*rtc;
	struct mc146818		*firmware_rtc;	/* NULL: there is no firmware */
	struct pl061		*gpio;
	struct pvpanic		*pvpanic;
	struct virtio		*hvc;		/* one of .virtio[]; NULL: there is none */
	struct virtio		*ports;		/* ... */
	bool			draining;	/* on I/O thread 0 */
	u32			nr_draining;

	/* flash.c: NULL, there is none */
	struct cfi_flash	*flash;

	/* virtio.c */
	struct virtio_env	*virtio_env;
	struct pci		*pci;		/* NULL: there is none */
	struct msi		*msi;
	struct {
		struct virtio		*dev;
		struct virtio_mmio	*mmio;
		struct virtio_pci	*pci;
		bool			bells;	/* ioeventfds are in place */
	} virtio[VM_MAX_DEVICES];

	struct image_layout	image;
};

int kvm_up(struct machine *m, struct vmm_error *err);
void kvm_down(struct machine *m);
/* Why kvm_open() failed, as the errno of vmm.h with its text. */
int kvm_explain(int ret, struct vmm_error *err);

int counter_up(struct machine *m, struct vmm_error *err);

/* vCPUs: created, then given their features, then their first registers. */
int cpu_up(struct machine *m, struct vmm_error *err);
void cpu_down(struct machine *m);
int cpu_boot(struct machine *m, struct vmm_error *err);
void cpu_tree(const struct machine *m, struct tree *t);
/* IMAGE_GRANULE_* that vCPU 0 has.  A negative errno. */
int cpu_granules(struct machine *m, unsigned int *granules);

/* The controller exists before the vCPUs and is finished after them. */
int gic_up(struct machine *m, struct vmm_error *err);
int gic_finish(struct machine *m, struct vmm_error *err);
void gic_down(struct machine *m);
void gic_tree(const struct machine *m, struct tree *t);

int pmu_up(struct machine *m, struct vmm_error *err);
void pmu_tree(const struct machine *m, struct tree *t);

/* SPE: what this kernel wants for it, and then doing it. */
int profiling_find(struct machine *m, struct vmm_error *err);
int profiling_up(struct machine *m, struct vmm_error *err);
void profiling_down(struct machine *m);
int profiling_exit(struct vcpu *vcpu, int ret, struct vmm_error *err);
void profiling_tree(const struct machine *m, struct tree *t);

int pvtime_up(struct machine *m, struct vmm_error *err);
void pvtime_down(struct machine *m);

/* The line of SPI @nr, counted from INTID 32. */
struct irq_line machine_spi(struct machine *m, u32 nr);

int board_up(struct machine *m, struct vmm_error *err);
void board_down(struct machine *m);
void board_tree(const struct machine *m, struct tree *t);

int flash_up(struct machine *m, struct vmm_error *err);
void flash_down(struct machine *m);
void flash_tree(const struct machine *m, struct tree *t);

/* Messages: at most @max at a time are tied to an eventfd; see struct virtio_pci_host. */
int msi_create(struct msi **msi, const struct vmm *vm, u32 max, struct vmm_error *err);
void msi_destroy(struct msi *msi);
void msi_send(struct msi *msi, u32 requester, u64 addr, u32 data);
bool msi_tie(struct msi *msi, u32 nr, int fd, u32 requester, u64 addr, u32 data);
void msi_untie(struct msi *msi, u32 nr, int fd);

/* Are there devices, and is each a PCI function? */
bool virtio_on_pci(const struct machine *m);
int virtio_up(struct machine *m, struct vmm_error *err);
void virtio_down(struct machine *m);
/* machine_pause_io() and machine_resume_io() of these. */
bool virtio_pause_io(struct machine *m, u32 io);
void virtio_resume_io(struct machine *m, u32 io);
void virtio_tree(const struct machine *m, struct tree *t);

/* The device tree, into guest memory at .image.dtb. */
int dt_up(struct machine *m, struct vmm_error *err);

static inline bool machine_has(const struct machine *m, u64 flag)
{
	return m->vm->mcfg.flags & flag;
}

#endif
