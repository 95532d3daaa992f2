/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_image.c - whatever a kernel file holds, the loader stays inside guest RAM
 *
 * The first byte of the input chooses RAM, initrd and granules, the rest is the
 * file.  RAM lies between pages that fault.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "arm64/image.h"
#include "tests/fuzz/input.h"

#define BASE	0x80000000ull
#define GUARD	KIB(64)
#define RAM	MIB(6)

#define OPT_FIRMWARE	0x01
#define OPT_INITRD	0x02
#define OPT_SMALL	0x04
#define OPT_NO_16K	0x08
#define OPT_ADDRESS	0x10

static u8 *ram;
static int kernel_fd;
static int initrd_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	ram = mmap(NULL, RAM + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(ram != MAP_FAILED);
	ram += GUARD;
	must(!mprotect(ram, RAM, PROT_READ | PROT_WRITE));
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	must(kernel_fd >= 0 && initrd_fd >= 0 && !ftruncate(initrd_fd, 5000));
	return 0;
}

static void check(const struct gmem *mem, const struct image_request *req,
		  const struct image_layout *out)
{
	must(out->format);
	must(gmem_covers(mem, out->entry, 1));
	must(gmem_covers(mem, out->dtb, out->dtb_max));
	must(out->dtb_max >= KIB(64) && out->dtb_max <= MIB(2));
	must(out->entry < out->dtb);
	must(!out->initrd_end == (req->initrd_fd < 0));
	if (out->initrd_end)
		must(out->entry < out->initrd && out->initrd + 5000 == out->initrd_end &&
		     out->initrd_end <= out->dtb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_layout out;
	struct vmm_error err = { "" };
	u8 opt;
	int ret;

	if (!size)
		return 0;
	opt = data[0];

	/* Against the upper guard, as that is the way to run over. */
	struct gmem mem = { .base = BASE, .size = opt & OPT_SMALL ? MIB(3) : RAM };
	mem.host = ram + RAM - mem.size;

	struct image_request req = {
		.kernel_fd = kernel_fd,
		.initrd_fd = opt & OPT_INITRD ? initrd_fd : -1,
		.firmware = opt & OPT_FIRMWARE,
		.firmware_addr = opt & OPT_ADDRESS ? BASE + MIB(1) : 0,
		.granules = IMAGE_GRANULE_4K | IMAGE_GRANULE_64K |
			    (opt & OPT_NO_16K ? 0 : IMAGE_GRANULE_16K),
	};

	must(!ftruncate(kernel_fd, 0));
	must(pwrite(kernel_fd, data + 1, size - 1, 0) == (ssize_t)size - 1);
	ret = image_load(&req, &mem, &out, &err);
	if (ret)
		must(ret < 0 && err.msg[0]);
	else
		check(&mem, &req, &out);
	return 0;
}
