/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.h - guest physical addresses and interrupt numbers
 *
 * kvmtool's map, so that images, firmware and test suites that know it run
 * unmodified; what kvmtool does not have stands where it has nothing.  The first
 * GiB is I/O: kvm-unit-tests maps it so before it reads the device tree.
 */
#ifndef ARM64_MAP_H
#define ARM64_MAP_H

#define MAP_UART	0x01000000ull	/* four, 4 KiB apart */
#define MAP_UART_STEP	0x1000ull
#define MAP_UART_SIZE	8
#define MAP_RTC		0x01010000ull
#define MAP_PVPANIC	0x01011000ull
#define MAP_GPIO	0x01012000ull
#define MAP_MC146818	0x01013000ull	/* kvmtool has it where the PL031 is */
#define MAP_PAGE	0x1000ull
#define MAP_PVTIME	0x01020000ull	/* 64 bytes a vCPU */
#define MAP_PVTIME_SIZE	0x10000ull
#define MAP_FLASH	0x02000000ull	/* at most 16 MiB */
#define MAP_VIRTIO	0x03000000ull	/* one behind the other */
#define MAP_PCI_ECAM	0x40000000ull
#define MAP_PCI_WINDOW	0x50000000ull	/* of the BARs */
#define MAP_PCI_WINDOW_SIZE 0x30000000ull
#define MAP_ITS_SIZE	0x20000ull	/* directly below the redistributors */
#define MAP_REDIST_SIZE	0x20000ull	/* a vCPU, directly below the distributor */
#define MAP_GICC	0x3ffd0000ull	/* GICv2 CPU interface */
#define MAP_GICC_SIZE	0x20000ull
#define MAP_GICD	0x3fff0000ull
#define MAP_GICD_SIZE	0x10000ull

/* Shared peripheral interrupts, counted from INTID 32. */
#define SPI_UART	0		/* and the next three */
#define SPI_RTC		4
#define SPI_GPIO	5
#define SPI_VIRTIO	8		/* and one for each */
#define NR_SPIS		32

/* Private peripheral interrupts, counted from INTID 16. */
#define PPI_GIC_MAINT	9
#define PPI_TIMER_HP	10		/* EL2 physical */
#define PPI_TIMER_V	11
#define PPI_TIMER_HV	12		/* EL2 virtual */
#define PPI_TIMER_S	13
#define PPI_TIMER_P	14
#define PPI_PMU		7

#define INTID_PPI	16
#define INTID_SPI	32

/* KVM memory slots. */
#define SLOT_RAM	0
#define SLOT_PVTIME	1
#define SLOT_FLASH	2

#endif
