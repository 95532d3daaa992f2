/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_gmem.c - guest memory
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/t.h"
#include "vmm/gmem.h"

#define BASE	GIB(2)
#define SIZE	MIB(4)

static struct gmem t_gmem(int fd)
{
	struct vmm_error err = { 0 };
	struct gmem mem;

	if (gmem_init(&mem, BASE, SIZE, fd, 0, &err))
		fail_msg("gmem_init: %s", err.msg);
	return mem;
}

static void test_address_and_length_are_checked_together(void **state)
{
	struct gmem mem = t_gmem(-1);
	u8 buf[16];

	(void)state;
	assert_int_equal(gmem_read(&mem, BASE, buf, 16), 0);
	assert_int_equal(gmem_read(&mem, BASE + SIZE - 16, buf, 16), 0);
	assert_int_equal(gmem_read(&mem, BASE + SIZE - 15, buf, 16), -EFAULT);
	assert_int_equal(gmem_read(&mem, BASE - 1, buf, 16), -EFAULT);
	assert_int_equal(gmem_read(&mem, BASE + SIZE, buf, 1), -EFAULT);
	assert_int_equal(gmem_read(&mem, UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(gmem_read(&mem, 0, buf, 1), -EFAULT);
	assert_int_equal(gmem_write(&mem, BASE + SIZE - 15, buf, 16), -EFAULT);
	assert_int_equal(gmem_write(&mem, BASE, buf, UINT64_MAX), -EFAULT);
	assert_int_equal(gmem_write(&mem, BASE + 1, buf, UINT64_MAX - BASE), -EFAULT);
	assert_int_equal(gmem_write(&mem, BASE + SIZE, buf, 0), 0);
	assert_null(gmem_host(&mem, BASE + SIZE + 1, 0));
	gmem_fini(&mem);
}

static void test_refused_write_changes_nothing(void **state)
{
	struct gmem mem = t_gmem(-1);
	u8 buf[16];
	u8 last;

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(gmem_write(&mem, BASE + SIZE - 1, buf, 16), -EFAULT);
	assert_int_equal(gmem_read(&mem, BASE + SIZE - 1, &last, 1), 0);
	assert_int_equal(last, 0);
	gmem_fini(&mem);
}

static void test_descriptor_is_shared(void **state)
{
	int fd = memfd_create("t-ram", MFD_CLOEXEC);
	struct gmem mem;
	char buf[6] = "";

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)SIZE), 0);
	mem = t_gmem(fd);
	assert_int_equal(gmem_write(&mem, BASE + 100, "hello", 5), 0);
	assert_int_equal(pread(fd, buf, 5, 100), 5);
	assert_string_equal(buf, "hello");
	gmem_fini(&mem);
	close(fd);
}

static void test_descriptor_that_is_too_small_is_refused(void **state)
{
	int fd = memfd_create("t-ram", MFD_CLOEXEC);
	struct vmm_error err = { 0 };
	struct gmem mem;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)SIZE - 1), 0);
	assert_int_equal(gmem_init(&mem, BASE, SIZE, fd, 0, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "RAM"));
	gmem_fini(&mem);
	close(fd);
	assert_int_equal(gmem_init(&mem, BASE, SIZE, fd, 0, &err), -EBADF);
	gmem_fini(&mem);
}

static void test_more_than_can_be_mapped_is_enomem(void **state)
{
	struct vmm_error err = { 0 };
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, BASE, UINT64_MAX - GIB(4), -1, 0, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "RAM"));
	gmem_fini(&mem);
	assert_int_equal(gmem_init(&mem, BASE, 1ull << 60, -1, 0, &err), -ENOMEM);
	gmem_fini(&mem);
}

/* Whatever the guest's is: they agree below the size of a block. */
static void test_host_address_suits_block_mappings(void **state)
{
	struct vmm_error err;
	struct gmem mem;

	(void)state;
	for (u64 off = 0; off < MIB(2); off += MIB(2) - KIB(64)) {
		assert_int_equal(gmem_init(&mem, BASE + off, MIB(4), -1, 0, &err), 0);
		assert_int_equal(((uintptr_t)mem.host - mem.base) % (mem.page / 8 * mem.page), 0);
		memset(mem.host, 1, mem.size);
		gmem_fini(&mem);
		gmem_fini(&mem);
	}
}

static void test_fork_does_not_inherit_it(void **state)
{
	struct gmem mem;
	unsigned char vec;
	int status;
	pid_t pid;

	(void)state;
	if (T_SANITIZED) {
		print_message("skipped: a child of fork() deadlocks in a sanitizer\n");
		skip();
	}
	mem = t_gmem(-1);
	mem.host[0] = 1;
	pid = fork();
	if (!pid)
		_exit(mincore(mem.host, 4096, &vec) && errno == ENOMEM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	gmem_fini(&mem);
}

/* proc_pid_smaps(5): "dd" among the VmFlags. */
static bool t_is_dumped(const void *at)
{
	bool inside = false;
	bool dumped = true;
	bool told = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start;
		unsigned long end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (uintptr_t)at;
		if (!inside || strncmp(line, "VmFlags:", 8))
			continue;
		told = true;
		dumped = !strstr(line, " dd");
	}
	fclose(f);
	assert_true(told);
	return dumped;
}

/* Whatever it is made of: a kernel that dumps shared memory would have it all in a file. */
static void test_core_dumps_do_not_have_it(void **state)
{
	struct gmem mem = t_gmem(-1);
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_false(t_is_dumped(mem.host));
	gmem_fini(&mem);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	mem = t_gmem(fd);
	assert_false(t_is_dumped(mem.host));
	gmem_fini(&mem);
	close(fd);
	/* A file, of a disk, that a host lends. */
	fd = t_disk_file();
	assert_int_equal(ftruncate(fd, SIZE), 0);
	mem = t_gmem(fd);
	assert_false(t_is_dumped(mem.host));
	gmem_fini(&mem);
	close(fd);
}

static void test_file_is_read_into_place(void **state)
{
	struct gmem mem = t_gmem(-1);
	int fd = t_file("0123456789", 10);
	char buf[6] = "";

	(void)state;
	assert_int_equal(gmem_read_file(&mem, BASE + 8, fd, 3, 5), 0);
	assert_int_equal(gmem_read(&mem, BASE + 8, buf, 5), 0);
	assert_string_equal(buf, "34567");
	/* Not by way of the descriptor's own position. */
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(gmem_read_file(&mem, BASE, fd, 3, 8), -ENODATA);
	assert_int_equal(gmem_read_file(&mem, BASE + SIZE - 4, fd, 0, 5), -EFAULT);
	assert_int_equal(gmem_read_file(&mem, BASE, fd, 0, 0), 0);
	assert_int_equal(gmem_read_file(&mem, BASE, -1, 0, 4), -EBADF);
	close(fd);
	gmem_fini(&mem);
}

static void test_pieces_are_one_sequence(void **state)
{
	struct gmem mem = t_gmem(-1);
	struct iovec iov[3];
	char buf[8] = "";

	(void)state;
	assert_int_equal(gmem_iov(&mem, BASE + 100, 2, &iov[0]), 0);
	assert_int_equal(gmem_iov(&mem, BASE + SIZE - 3, 3, &iov[1]), 0);
	assert_int_equal(gmem_iov(&mem, BASE, 1, &iov[2]), 0);
	assert_int_equal(gmem_iov(&mem, BASE + SIZE - 3, 4, &iov[2]), -EFAULT);
	assert_int_equal(iov_write(iov, 3, 0, "abcdef", 6), 6);
	assert_int_equal(iov_read(iov, 3, 0, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "abcdef");
	assert_memory_equal(gmem_host(&mem, BASE + SIZE - 3, 3), "cde", 3);
	assert_int_equal(iov_write(iov, 3, 1, "xyz", 3), 3);
	assert_int_equal(iov_read(iov, 3, 1, buf, 4), 4);
	assert_memory_equal(buf, "xyze", 4);
	assert_int_equal(iov_read(iov, 3, 5, buf, 4), 1);
	assert_int_equal(iov_read(iov, 3, 6, buf, 4), 0);
	assert_int_equal(iov_read(iov, 3, 1000, buf, 4), 0);
	assert_int_equal(iov_read(iov, 0, 0, buf, 4), 0);
	gmem_fini(&mem);
}

static void test_view_is_checked_once(void **state)
{
	struct gmem mem = t_gmem(-1);
	struct gview view;
	u16 val;

	(void)state;
	assert_int_equal(gview_init(&view, &mem, BASE + SIZE - 8, 9), -EFAULT);
	assert_int_equal(gview_init(&view, &mem, UINT64_MAX - 3, 8), -EFAULT);
	assert_int_equal(gview_init(&view, &mem, BASE + SIZE - 8, 8), 0);
	gview_store16(&view, 0, 0x1234);
	gview_store16_release(&view, 2, 0x5678);
	gview_store32(&view, 4, 0x9abcdef0);
	assert_int_equal(gview_load16(&view, 0), 0x1234);
	gview_swap16(&view, 0, 0x4321);
	assert_int_equal(gview_load16_acquire(&view, 0), 0x4321);
	assert_int_equal(gview_load16_ordered(&view, 4), 0xdef0);
	gview_read(&view, 6, &val, sizeof(val));
	assert_int_equal(val, 0x9abc);
	gmem_fini(&mem);
}

/* What is given back reads as zeroes, beside what is not; and the file gets smaller. */
static void t_discard(struct gmem *mem, int fd)
{
	u64 page = mem->page;
	struct stat st;
	u8 byte;

	memset(mem->host, 7, 4 * page);
	assert_int_equal(gmem_discard(mem, fd, BASE + page, 2 * page), 0);
	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_blocks * 512, 2 * page);
	}
	for (u64 off = 0; off < 4 * page; off++)
		assert_int_equal(mem->host[off], off / page == 1 || off / page == 2 ? 0 : 7);
	assert_int_equal(gmem_discard(mem, fd, BASE + SIZE - page, 2 * page), -EFAULT);
	assert_int_equal(gmem_discard(mem, fd, BASE - page, page), -EFAULT);
	assert_int_equal(gmem_discard(mem, fd, BASE + page, UINT64_MAX), -EFAULT);
	assert_int_equal(gmem_read(mem, BASE, &byte, 1), 0);
	assert_int_equal(byte, 7);
}

static void test_discarded_memory_is_the_hosts(void **state)
{
	int fd = memfd_create("t-ram", MFD_CLOEXEC);
	struct gmem mem = t_gmem(-1);

	(void)state;
	assert_int_equal(mem.page, sysconf(_SC_PAGESIZE));
	assert_false(mem.pooled);
	t_discard(&mem, -1);
	gmem_fini(&mem);
	assert_int_equal(ftruncate(fd, (off_t)SIZE), 0);
	mem = t_gmem(fd);
	t_discard(&mem, fd);
	gmem_fini(&mem);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discarded_memory_is_the_hosts),
		cmocka_unit_test(test_address_and_length_are_checked_together),
		cmocka_unit_test(test_refused_write_changes_nothing),
		cmocka_unit_test(test_descriptor_is_shared),
		cmocka_unit_test(test_descriptor_that_is_too_small_is_refused),
		cmocka_unit_test(test_more_than_can_be_mapped_is_enomem),
		cmocka_unit_test(test_host_address_suits_block_mappings),
		cmocka_unit_test(test_fork_does_not_inherit_it),
		cmocka_unit_test(test_core_dumps_do_not_have_it),
		cmocka_unit_test(test_file_is_read_into_place),
		cmocka_unit_test(test_pieces_are_one_sequence),
		cmocka_unit_test(test_view_is_checked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
