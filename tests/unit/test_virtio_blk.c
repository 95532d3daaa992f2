/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_virtio_blk.c - devices/virtio_blk.c
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/unit/driver.h"
#include "tests/unit/t.h"

#define T_BASIC		(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define T_WANTED	(T_BASIC | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_CONFIG_WCE)
#define T_SECTORS	2048u
#define T_SIZE		(T_SECTORS * 512u)
#define T_HDR		DRIVER_DATA
#define T_STATUS	(DRIVER_DATA + 64)
#define T_TABLE		(DRIVER_DATA + KIB(32))
#define T_DATA		(DRIVER_DATA + KIB(64))
#define T_NONE		0xee		/* a status that no device gives */

struct t_rig {
	struct driver	d;
	int		fd;
	u8		*disk;		/* what is in the file */
};

static void t_open_fd(struct t_rig *rig, int fd, struct blk_config cfg, u64 features)
{
	struct vmm_error err;
	struct virtio *dev;

	rig->fd = fd;
	cfg.fd = fd;
	cfg.nr_queues = cfg.nr_queues ? cfg.nr_queues : 1;
	driver_open(&rig->d, 1);
	assert_int_equal(virtio_blk_create(&dev, &rig->d.env, 0, &cfg, &err), 0);
	driver_attach(&rig->d, dev);
	driver_start(&rig->d, features);
	driver_turn(&rig->d);
}

/* What is in memory goes without the ring, so all is done with a file of each kind. */
static bool t_on_disk;

/* A disk of pseudo-random bytes. */
static void t_open(struct t_rig *rig, struct blk_config cfg, u64 features)
{
	int fd = t_on_disk ? t_disk_file() : memfd_create("t-disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, T_SIZE), 0);
	rig->disk = mmap(NULL, T_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(rig->disk, MAP_FAILED);
	srandom(1);
	for (u32 i = 0; i < T_SIZE; i += 4)
		*(u32 *)(rig->disk + i) = (u32)random();
	t_open_fd(rig, fd, cfg, features);
}

static void t_close(struct t_rig *rig)
{
	driver_close(&rig->d);
	if (rig->disk)
		munmap(rig->disk, T_SIZE);
	close(rig->fd);
	rig->disk = NULL;
}

static u8 *t_mem(struct t_rig *rig, gpa_t at)
{
	return driver_at(&rig->d.q[0], at);
}

/* Wait for one request, and give its status. */
static u8 t_wait(struct t_rig *rig, u16 want)
{
	u32 head;
	u32 len;

	virtio_kick(rig->d.dev, 0);
	t_until((driver_turn(&rig->d), driver_used(&rig->d.q[0], &head, &len)));
	assert_int_equal(head, want);
	return *t_mem(rig, T_STATUS);
}

/* A request of type @type for @sector with @nr buffers of data. */
static u8 t_request(struct t_rig *rig, u32 type, u64 sector, const struct driver_buf *data, size_t nr)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	struct driver_buf bufs[300];

	memcpy(t_mem(rig, T_HDR), &hdr, sizeof(hdr));
	*t_mem(rig, T_STATUS) = T_NONE;
	bufs[0] = (struct driver_buf){ T_HDR, sizeof(hdr), false };
	for (size_t i = 0; i < nr; i++)
		bufs[i + 1] = data[i];
	bufs[nr + 1] = (struct driver_buf){ T_STATUS, 1, true };
	return t_wait(rig, driver_add_indirect(&rig->d.q[0], T_TABLE, bufs, nr + 2));
}

static u8 t_get(struct t_rig *rig, u64 sector, u32 len)
{
	return t_request(rig, VIRTIO_BLK_T_IN, sector, &(struct driver_buf){ T_DATA, len, true }, 1);
}

static u8 t_put(struct t_rig *rig, u64 sector, u32 len)
{
	return t_request(rig, VIRTIO_BLK_T_OUT, sector, &(struct driver_buf){ T_DATA, len, false }, 1);
}

static u8 t_zero(struct t_rig *rig, u32 type, u64 sector, u32 nr, u32 flags)
{
	struct virtio_blk_discard_write_zeroes range = { sector, nr, flags };

	memcpy(t_mem(rig, T_DATA), &range, sizeof(range));
	return t_request(rig, type, 0, &(struct driver_buf){ T_DATA, sizeof(range), false }, 1);
}

static const struct blk_config t_plain;

/* ---- Well-formed -------------------------------------------------------------------- */

static void test_tells_of_the_disk(void **state)
{
	struct virtio_blk_config config;
	struct t_rig rig;
	u32 features;

	(void)state;
	t_open(&rig, (struct blk_config){ .nr_queues = 2 }, T_WANTED);
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, 0, &config, sizeof(config)));
	features = virtio_offered(rig.d.dev, 0);
	assert_int_equal(config.capacity, T_SECTORS);
	assert_int_equal(config.blk_size, 512);
	assert_int_equal(config.seg_max, 254);
	assert_int_equal(config.num_queues, 2);
	assert_int_equal(config.wce, 1);
	assert_true(features & 1u << VIRTIO_BLK_F_MQ);
	assert_true(features & 1u << VIRTIO_BLK_F_DISCARD);
	assert_false(features & 1u << VIRTIO_BLK_F_RO);
	t_close(&rig);
	t_open(&rig, (struct blk_config){ .ro = true }, T_WANTED);
	features = virtio_offered(rig.d.dev, 0);
	assert_true(features & 1u << VIRTIO_BLK_F_RO);
	assert_false(features & (1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_MQ));
	t_close(&rig);
}

static void test_reads_and_writes(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	assert_int_equal(t_get(&rig, 3, 4096), VIRTIO_BLK_S_OK);
	assert_memory_equal(t_mem(&rig, T_DATA), rig.disk + 3 * 512, 4096);
	memset(t_mem(&rig, T_DATA), 0x5a, 1024);
	assert_int_equal(t_put(&rig, T_SECTORS - 2, 1024), VIRTIO_BLK_S_OK);
	assert_memory_equal(rig.disk + T_SIZE - 1024, t_mem(&rig, T_DATA), 1024);
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

/* Header, data and status may be cut into buffers in any way: virtio 1.2, 2.7.4. */
static void test_any_cut_of_a_request(void **state)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT, .sector = 7 };
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	/* Header and data in one, out; in odd pieces. */
	for (u32 cut = 1; cut < 16 + 512; cut += 5) {
		const struct driver_buf bufs[] = {
			{ T_DATA, cut, false }, { T_DATA + cut, 16 + 512 - cut, false },
			{ T_STATUS, 1, true },
		};

		memcpy(t_mem(&rig, T_DATA), &hdr, sizeof(hdr));
		memset(t_mem(&rig, T_DATA + 16), (int)cut, 512);
		*t_mem(&rig, T_STATUS) = T_NONE;
		assert_int_equal(t_wait(&rig, driver_add(&rig.d.q[0], bufs, 3)), VIRTIO_BLK_S_OK);
		assert_memory_equal(rig.disk + 7 * 512, t_mem(&rig, T_DATA + 16), 512);
	}
	/* Data and status in one, in. */
	hdr.type = VIRTIO_BLK_T_IN;
	memcpy(t_mem(&rig, T_HDR), &hdr, sizeof(hdr));
	for (u32 cut = 1; cut <= 512; cut += 73) {
		const struct driver_buf bufs[] = {
			{ T_HDR, 16, false }, { T_DATA, cut, true }, { T_DATA + cut, 513 - cut, true },
		};
		u32 head;
		u32 len;

		memset(t_mem(&rig, T_DATA), T_NONE, 513);
		driver_add(&rig.d.q[0], bufs, 3);
		virtio_kick(rig.d.dev, 0);
		t_until((driver_turn(&rig.d), driver_used(&rig.d.q[0], &head, &len)));
		assert_int_equal(len, 513);
		assert_memory_equal(t_mem(&rig, T_DATA), rig.disk + 7 * 512, 512);
		assert_int_equal(*t_mem(&rig, T_DATA + 512), VIRTIO_BLK_S_OK);
	}
	t_close(&rig);
}

static void test_many_segments(void **state)
{
	struct driver_buf data[254];
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	for (u32 i = 0; i < 254; i++)
		data[i] = (struct driver_buf){ T_DATA + (253 - i) * 512u, 512, true };
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_IN, 100, data, 254), VIRTIO_BLK_S_OK);
	for (u32 i = 0; i < 254; i++)
		assert_memory_equal(t_mem(&rig, data[i].addr), rig.disk + (100 + i) * 512, 512);
	t_close(&rig);
}

/* A model of the disk, and requests of all sizes, many at a time. */
static void test_random_requests_agree_with_a_model(void **state)
{
	struct t_rig rig;
	u8 *model = malloc(T_SIZE);

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	memcpy(model, rig.disk, T_SIZE);
	for (u32 n = 0; n < (T_SANITIZED ? 500 : 3000); n++) {
		u32 nr = 1 + (u32)random() % 16;
		u64 sector = (u64)random() % (T_SECTORS - nr);

		if (random() % 2) {
			for (u32 i = 0; i < nr * 512; i += 4)
				*(u32 *)t_mem(&rig, T_DATA + i) = (u32)random();
			memcpy(model + sector * 512, t_mem(&rig, T_DATA), nr * 512);
			assert_int_equal(t_put(&rig, sector, nr * 512), VIRTIO_BLK_S_OK);
		} else {
			assert_int_equal(t_get(&rig, sector, nr * 512), VIRTIO_BLK_S_OK);
			assert_memory_equal(t_mem(&rig, T_DATA), model + sector * 512, nr * 512);
		}
	}
	assert_memory_equal(rig.disk, model, T_SIZE);
	free(model);
	t_close(&rig);
}

/* As many under way as the queue holds; each is completed once. */
static void test_full_queue(void **state)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN };
	bool seen[256] = { false };
	struct t_rig rig;
	u32 nr = 0;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < 256; i++) {
			const struct driver_buf bufs[] = {
				{ T_HDR + i * 16, 16, false }, { T_DATA + i * 512, 512, true },
				{ T_TABLE + KIB(20) + i, 1, true },
			};

			hdr.sector = i;
			memcpy(t_mem(&rig, T_HDR + i * 16), &hdr, sizeof(hdr));
			driver_add_indirect(&rig.d.q[0], T_TABLE + i * 48, bufs, 3);
		}
		memset(seen, 0, sizeof(seen));
		nr = 0;
		virtio_kick(rig.d.dev, 0);
		while (nr < 256) {
			t_until((driver_turn(&rig.d), driver_used(&rig.d.q[0], &head, &len)));
			assert_false(seen[head]);
			seen[head] = true;
			nr++;
		}
		assert_memory_equal(t_mem(&rig, T_DATA), rig.disk, 256 * 512);
		assert_false(driver_used(&rig.d.q[0], &head, &len));
	}
	t_close(&rig);
}

static size_t t_allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* As many as the queue holds, each of as many pieces as may be: 16 bytes for each piece. */
static void test_long_requests_take_bounded_memory(void **state)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN };
	struct driver_buf bufs[256];
	struct t_rig rig;
	size_t before;
	size_t most;
	u32 nr = 0;
	u32 head;
	u32 len;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	memcpy(t_mem(&rig, T_HDR), &hdr, sizeof(hdr));
	bufs[0] = (struct driver_buf){ T_HDR, sizeof(hdr), false };
	for (u32 i = 1; i < 255; i++)
		bufs[i] = (struct driver_buf){ T_DATA + i * 512, 512, true };
	bufs[255] = (struct driver_buf){ T_STATUS, 1, true };
	before = t_allocated();
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < 256; i++)
			driver_add_indirect(&rig.d.q[0], T_TABLE, bufs, 256);
		virtio_kick(rig.d.dev, 0);
		driver_turn(&rig.d);
		most = t_allocated();
		assert_true(T_SANITIZED || most < before + 256 * 256 * sizeof(struct iovec) + KIB(64));
		for (nr = 0; nr < 256; nr++)
			t_until((driver_turn(&rig.d), driver_used(&rig.d.q[0], &head, &len)));
		assert_int_equal(*t_mem(&rig, T_STATUS), VIRTIO_BLK_S_OK);
		assert_memory_equal(t_mem(&rig, T_DATA + 512), rig.disk, 254 * 512);
		assert_true(T_SANITIZED || t_allocated() < before + KIB(64));
	}
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_serial_number(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, (struct blk_config){ .serial = "disk-7" }, T_WANTED);
	memset(t_mem(&rig, T_DATA), 0xff, 32);
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_GET_ID, 0,
				   &(struct driver_buf){ T_DATA, 20, true }, 1), VIRTIO_BLK_S_OK);
	assert_memory_equal(t_mem(&rig, T_DATA), "disk-7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21);
	t_close(&rig);
	t_open(&rig, (struct blk_config){ .serial = "12345678901234567890" }, T_WANTED);
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_GET_ID, 0,
				   &(struct driver_buf){ T_DATA, 20, true }, 1), VIRTIO_BLK_S_OK);
	assert_memory_equal(t_mem(&rig, T_DATA), "12345678901234567890", 20);
	t_close(&rig);
}

static u64 t_blocks(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (u64)st.st_blocks;
}

static void test_discard_frees_space(void **state)
{
	struct t_rig rig;
	u64 before;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	before = t_blocks(rig.fd);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 1024, 1024, 0), VIRTIO_BLK_S_OK);
	assert_true(t_blocks(rig.fd) < before);
	assert_int_equal(lseek(rig.fd, 0, SEEK_END), T_SIZE);
	t_close(&rig);
}

/* A file system that cannot says so, and Linux writes the zeroes itself then. */
static void test_write_zeroes(void **state)
{
	struct t_rig rig = { 0 };
	int fd = t_disk_file();
	u8 buf[8192];
	u8 status;

	(void)state;
	memset(buf, 1, sizeof(buf));
	assert_int_equal(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	t_open_fd(&rig, fd, t_plain, T_WANTED);
	status = t_zero(&rig, VIRTIO_BLK_T_WRITE_ZEROES, 4, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	if (status != VIRTIO_BLK_S_UNSUPP) {
		assert_int_equal(status, VIRTIO_BLK_S_OK);
		for (u32 i = 0; i < sizeof(buf); i++)
			assert_int_equal(buf[i], i < 2048 || i >= 2048 + 4096);
	} else {
		assert_int_equal(buf[2048], 1);
	}
	t_close(&rig);
	if (t_on_disk)
		return;
	/* A memfd's cannot. */
	t_open(&rig, t_plain, T_WANTED);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	t_close(&rig);
}

/* HOSTILE: what a guest writes to its disk is never looked at. */
static void test_image_of_another_format_is_bytes(void **state)
{
	/* qcow2 of 64 KiB, behind which is a file of the host's. */
	static const u8 qcow2[] = {
		'Q', 'F', 'I', 0xfb, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x70, 0, 0, 0, 11, 0, 0, 0, 16,
		0, 0, 0, 0, 0, 1, 0, 0,
	};
	struct virtio_blk_config config;
	struct t_rig rig;
	int fd;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	memset(t_mem(&rig, T_DATA), 0, 512);
	memcpy(t_mem(&rig, T_DATA), qcow2, sizeof(qcow2));
	memcpy(t_mem(&rig, T_DATA + 0x70), "/etc/passwd", 11);
	assert_int_equal(t_put(&rig, 0, 512), VIRTIO_BLK_S_OK);
	fd = dup(rig.fd);
	t_close(&rig);
	t_open_fd(&rig, fd, t_plain, T_WANTED);
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, 0, &config, sizeof(config)));
	assert_int_equal(config.capacity, T_SECTORS);
	memset(t_mem(&rig, T_DATA), 0xff, 512);
	assert_int_equal(t_get(&rig, 0, 512), VIRTIO_BLK_S_OK);
	assert_memory_equal(t_mem(&rig, T_DATA), qcow2, sizeof(qcow2));
	assert_memory_equal(t_mem(&rig, T_DATA + 0x70), "/etc/passwd", 12);
	t_close(&rig);
}

static void test_size_changes(void **state)
{
	static const u64 sizes[] = { 2 * T_SIZE + 100, T_SIZE / 2, T_SIZE };
	struct virtio_blk_config config;
	struct vmm_error err;
	struct t_rig rig;
	u64 size = 0;
	u32 generation;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	generation = rig.d.dev->generation;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 nr = sizes[i] / 512;

		assert_int_equal(ftruncate(rig.fd, (off_t)sizes[i]), 0);
		assert_int_equal(virtio_blk_resize(rig.d.dev, &size, &err), 0);
		assert_int_equal(size, nr * 512);
		driver_locked(&rig.d, virtio_config_read(rig.d.dev, 0, &config, sizeof(config)));
		assert_int_equal(config.capacity, nr);
		assert_int_equal(rig.d.dev->generation, ++generation);
		assert_int_equal(t_put(&rig, nr - 2, 1024), VIRTIO_BLK_S_OK);
		assert_int_equal(t_put(&rig, nr - 1, 1024), VIRTIO_BLK_S_IOERR);
	}
	/* Nothing has changed: nothing is told. */
	assert_int_equal(virtio_blk_resize(rig.d.dev, &size, &err), 0);
	assert_int_equal(rig.d.dev->generation, generation);
	/* It is gone. */
	assert_int_equal(ftruncate(rig.fd, 511), 0);
	assert_int_equal(virtio_blk_resize(rig.d.dev, &size, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "less than a block"));
	assert_int_equal(rig.d.dev->generation, generation);
	t_close(&rig);
}

static void test_cache_can_be_switched(void **state)
{
	const size_t wce = offsetof(struct virtio_blk_config, wce);
	struct t_rig rig;
	u8 val = 0;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	driver_locked(&rig.d, virtio_config_write(rig.d.dev, wce, &val, 1));
	assert_int_equal(t_put(&rig, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_OK);
	val = 0xff;
	driver_locked(&rig.d, virtio_config_read(rig.d.dev, wce, &val, 1));
	assert_int_equal(val, 0);
	/* Nothing else can be written. */
	driver_locked(&rig.d, virtio_config_write(rig.d.dev, 0, "\xff", 1);
			      virtio_config_write(rig.d.dev, wce - 1, "\xff\xff", 2);
			      virtio_config_read(rig.d.dev, 0, &val, 1));
	assert_int_equal(val, (u8)T_SECTORS);
	/* A driver that does not flush has no cache. */
	driver_status(&rig.d, 0);
	driver_turn(&rig.d);
	driver_start(&rig.d, T_BASIC);
	assert_int_equal(t_put(&rig, 0, 512), VIRTIO_BLK_S_OK);
	t_close(&rig);
}

static void test_reset_in_the_middle(void **state)
{
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	for (u32 n = 0; n < 50; n++) {
		struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN };
		const struct driver_buf bufs[] = {
			{ T_HDR, 16, false }, { T_DATA, 4096, true }, { T_STATUS, 1, true },
		};

		memcpy(t_mem(&rig, T_HDR), &hdr, sizeof(hdr));
		for (u32 i = 0; i < 20; i++)
			driver_add(&rig.d.q[0], bufs, 3);
		virtio_kick(rig.d.dev, 0);
		if (n % 2)
			assert_int_equal(loop_dispatch(rig.d.env.loops[0]), 0);
		driver_status(&rig.d, 0);
		t_until((driver_turn(&rig.d), !driver_status(&rig.d, -1)));
		driver_start(&rig.d, T_WANTED);
	}
	assert_int_equal(t_get(&rig, 0, 512), VIRTIO_BLK_S_OK);
	t_close(&rig);
}

/* ---- What fails ---------------------------------------------------------------------- */

/* HOSTILE: sums that overflow, ends that are past the end. */
static void test_ranges_past_the_end_fail(void **state)
{
	static const u64 sectors[] = {
		T_SECTORS - 1, T_SECTORS, T_SECTORS + 1, UINT64_MAX, UINT64_MAX / 512,
		UINT64_MAX / 512 - 1, 1ull << 55, 1ull << 63,
	};
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(t_get(&rig, sectors[i], 1024), VIRTIO_BLK_S_IOERR);
		assert_int_equal(t_put(&rig, sectors[i], 1024), VIRTIO_BLK_S_IOERR);
		assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, sectors[i], 2, 0),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_WRITE_ZEROES, sectors[i], 2, 0),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(lseek(rig.fd, 0, SEEK_END), T_SIZE);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_odd_requests_fail(void **state)
{
	const struct driver_buf in = { T_DATA, 512, true };
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	assert_int_equal(t_get(&rig, 0, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_put(&rig, 0, 513), VIRTIO_BLK_S_IOERR);
	/* The data is on the wrong side, and so not there. */
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_OUT, 0, &in, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(t_request(&rig, 4711, 0, &in, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_SCSI_CMD, 0, &in, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	/* Half a range, and two. */
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_DISCARD, 0,
				   &(struct driver_buf){ T_DATA, 8, false }, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_request(&rig, VIRTIO_BLK_T_DISCARD, 0,
				   &(struct driver_buf){ T_DATA, 32, false }, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(rig.d.nr_broken, 0);
	t_close(&rig);
}

static void test_header_that_is_too_short_fails(void **state)
{
	const struct driver_buf bufs[] = { { T_HDR, 15, false }, { T_STATUS, 1, true } };
	const struct driver_buf none = { T_STATUS, 1, true };
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	assert_int_equal(t_wait(&rig, driver_add(&rig.d.q[0], bufs, 2)), VIRTIO_BLK_S_IOERR);
	*t_mem(&rig, T_STATUS) = T_NONE;
	assert_int_equal(t_wait(&rig, driver_add(&rig.d.q[0], &none, 1)), VIRTIO_BLK_S_IOERR);
	t_close(&rig);
}

static void test_request_without_a_status_breaks_it(void **state)
{
	const struct driver_buf out = { T_HDR, 16, false };
	struct t_rig rig;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	driver_add(&rig.d.q[0], &out, 1);
	driver_kick(&rig.d, 0);
	assert_int_equal(rig.d.nr_broken, 1);
	assert_non_null(strstr(rig.d.why, "status"));
	t_close(&rig);
}

static void test_disk_that_cannot_be_written(void **state)
{
	struct t_rig rig;
	u8 first;

	(void)state;
	t_open(&rig, (struct blk_config){ .ro = true }, T_WANTED);
	first = rig.disk[0];
	*t_mem(&rig, T_DATA) = (u8)~first;
	assert_int_equal(t_put(&rig, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_zero(&rig, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_get(&rig, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(rig.disk[0], first);
	t_close(&rig);
}

/* The host's errors are the guest's I/O errors; a file that shrinks is one. */
static void test_host_errors_are_io_errors(void **state)
{
	char path[32];
	struct t_rig rig;
	int fd;

	(void)state;
	t_open(&rig, t_plain, T_WANTED);
	assert_int_equal(ftruncate(rig.fd, T_SIZE / 2 - 512), 0);
	assert_int_equal(t_get(&rig, T_SECTORS / 2, 4096), VIRTIO_BLK_S_IOERR);
	/* The end is in the middle of it. */
	assert_int_equal(t_get(&rig, T_SECTORS / 2 - 4, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_get(&rig, 0, 4096), VIRTIO_BLK_S_OK);
	/* A descriptor that cannot be read. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rig.fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	t_close(&rig);
	t_open_fd(&rig, fd, t_plain, T_WANTED);
	assert_int_equal(t_get(&rig, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(t_put(&rig, 0, 512), VIRTIO_BLK_S_OK);
	t_close(&rig);
}

static void test_no_disk_is_refused(void **state)
{
	static const u8 bytes[511];
	struct blk_config cfg = { .nr_queues = 1 };
	struct vmm_error err;
	struct virtio *dev;
	struct driver d;
	int fds[2];

	(void)state;
	driver_open(&d, 1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	cfg.fd = fds[0];
	assert_int_equal(virtio_blk_create(&dev, &d.env, 0, &cfg, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "neither a file"));
	close(fds[0]);
	cfg.fd = 12345;
	assert_int_equal(virtio_blk_create(&dev, &d.env, 0, &cfg, &err), -EBADF);
	cfg.fd = t_file(bytes, sizeof(bytes));
	assert_int_equal(virtio_blk_create(&dev, &d.env, 0, &cfg, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "511 bytes"));
	close(cfg.fd);
	close(fds[1]);
	d.dev = NULL;
	driver_close(&d);
}

/* ---- vmm_add_disk() ---------------------------------------------------------------------- */

static int t_reopen(int fd, int mode)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, mode | O_CLOEXEC);
}

static int t_add(struct vmm *vm, int fd, u64 flags, struct vmm_error *err)
{
	struct vmm_disk_config cfg = VMM_DISK_CONFIG_INIT;

	cfg.fd = fd;
	cfg.flags = flags;
	return vmm_add_disk(vm, &cfg, err);
}

static void test_disk_is_locked(void **state)
{
	struct fake_kvm *fake = fake_create(&fake_server);
	struct vmm *a = t_vm(fake, NULL);
	struct vmm *b = t_vm(fake, NULL);
	struct vmm_error err;
	int fds[4];

	(void)state;
	fds[0] = memfd_create("t-disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fds[0], T_SIZE), 0);
	for (int i = 1; i < 4; i++)
		fds[i] = t_reopen(fds[0], i == 3 ? O_RDONLY : O_RDWR);
	assert_int_equal(t_add(a, fds[0], 0, &err), 0);
	assert_int_equal(t_add(b, fds[1], 0, &err), -ETXTBSY);
	assert_non_null(strstr(err.msg, "somebody else"));
	assert_int_equal(t_add(b, fds[3], VMM_DISK_F_RO, &err), -ETXTBSY);
	/* The same one again, as after a reboot. */
	assert_int_equal(t_add(b, fds[0], 0, &err), 0);
	t_start(a);
	close(fds[0]);
	assert_int_equal(t_add(b, fds[1], 0, &err), -ETXTBSY);
	vmm_destroy(a);
	vmm_destroy(b);
	a = t_vm(fake, NULL);
	/* Many may read. */
	assert_int_equal(t_add(a, fds[3], VMM_DISK_F_RO, &err), 0);
	assert_int_equal(t_add(a, fds[2], VMM_DISK_F_RO, &err), 1);
	assert_int_equal(t_add(a, fds[1], 0, &err), -ETXTBSY);
	vmm_destroy(a);
	t_fake_done(fake);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
}

static void test_wrong_disks_are_refused(void **state)
{
	struct vmm_disk_config cfg = VMM_DISK_CONFIG_INIT;
	struct fake_kvm *fake = fake_create(&fake_server);
	int fd = memfd_create("t-disk", MFD_CLOEXEC);
	struct vmm *vm = t_vm(fake, NULL);
	struct vmm_error err;
	int other;

	(void)state;
	assert_int_equal(ftruncate(fd, T_SIZE), 0);
	assert_int_equal(t_add(vm, fd, 2, &err), -E2BIG);
	assert_int_equal(t_add(vm, 12345, 0, &err), -EBADF);
	other = t_reopen(fd, O_RDONLY);
	assert_int_equal(t_add(vm, other, 0, &err), -EINVAL);
	close(other);
	other = t_reopen(fd, O_WRONLY);
	assert_int_equal(t_add(vm, other, 0, &err), -EINVAL);
	assert_int_equal(t_add(vm, other, VMM_DISK_F_RO, &err), -EINVAL);
	close(other);
	other = t_reopen(fd, O_RDWR | O_NONBLOCK);
	assert_int_equal(t_add(vm, other, 0, &err), -EINVAL);
	close(other);
	other = t_reopen(fd, O_RDWR | O_APPEND);
	assert_int_equal(t_add(vm, other, 0, &err), -EINVAL);
	close(other);
	cfg.fd = fd;
	cfg.queues = 65;
	assert_int_equal(vmm_add_disk(vm, &cfg, &err), -EINVAL);
	cfg.queues = 64;
	cfg.serial = "123456789012345678901";
	assert_int_equal(vmm_add_disk(vm, &cfg, &err), -EINVAL);
	cfg.serial = "12345678901234567890";
	assert_int_equal(vmm_add_disk(vm, &cfg, &err), 0);
	assert_int_equal(vmm_disk_resize(vm, 0, NULL, &err), -EBUSY);
	t_start(vm);
	assert_int_equal(vmm_add_disk(vm, &cfg, &err), -EBUSY);
	assert_int_equal(vmm_disk_resize(vm, 1, NULL, &err), -ENOENT);
	assert_int_equal(vmm_disk_resize(vm, 0, NULL, &err), 0);
	vmm_destroy(vm);
	t_fake_done(fake);
	close(fd);
}

/* ---- Killed --------------------------------------------------------------------------- */

#define T_KILLS		200
#define T_KILL_US	6000		/* the longest that one is let live, or lives on */
#define T_WRITES	8u		/* of a round, all under way at once */
#define T_WRITE_SIZE	4096u
#define T_ROUND_SIZE	(T_WRITES * T_WRITE_SIZE)
#define T_PLACES	(T_SIZE / T_ROUND_SIZE)	/* round after round has the next */

/* Offer a round's writes, every word of which is @round. */
static void t_write_round(struct t_rig *rig, u32 round)
{
	for (u32 i = 0; i < T_WRITES; i++) {
		const struct virtio_blk_outhdr hdr = {
			.type = VIRTIO_BLK_T_OUT,
			.sector = (round % T_PLACES * T_ROUND_SIZE + i * T_WRITE_SIZE) / 512,
		};
		const struct driver_buf bufs[] = {
			{ T_HDR + i * 16, 16, false }, { T_DATA + i * T_WRITE_SIZE, T_WRITE_SIZE, false },
			{ T_TABLE + KIB(20) + i, 1, true },
		};
		u32 *words = (u32 *)t_mem(rig, bufs[1].addr);

		memcpy(t_mem(rig, bufs[0].addr), &hdr, sizeof(hdr));
		for (u32 w = 0; w < T_WRITE_SIZE / 4; w++)
			words[w] = round;
		driver_add_indirect(&rig->d.q[0], T_TABLE + i * 48, bufs, 3);
	}
	virtio_kick(rig->d.dev, 0);
}

/* The child: write, flush and tell of it, for as long as it lives. */
static void t_flush_until_killed(int fd, atomic_uint *flushed)
{
	struct t_rig rig;
	u32 head;
	u32 len;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	t_open_fd(&rig, fd, t_plain, T_WANTED);
	for (u32 round = *flushed + 1;; round++) {
		t_write_round(&rig, round);
		for (u32 i = 0; i < T_WRITES; i++)
			t_until((driver_turn(&rig.d), driver_used(&rig.d.q[0], &head, &len)));
		if (t_request(&rig, VIRTIO_BLK_T_FLUSH, 0, NULL, 0) != VIRTIO_BLK_S_OK)
			_exit(1);
		*flushed = round;
	}
}

/* The latest flushed round of each place is whole, but where the next was under way. */
static void t_check_flushed(const u8 *disk, u32 flushed)
{
	for (u32 place = 0; place < T_PLACES; place++) {
		const u32 *words = (const u32 *)(disk + place * T_ROUND_SIZE);
		u32 round = flushed < place ? 0 : flushed - (flushed - place) % T_PLACES;
		bool under_way = (flushed + 1) % T_PLACES == place;

		for (u32 i = 0; i < T_ROUND_SIZE / 4; i++)
			if (words[i] != round && !(under_way && words[i] == flushed + 1))
				fail_msg("round %u of %u: %u at %u", round, flushed, words[i], i);
	}
}

static void test_killed_at_any_moment_keeps_what_was_flushed(void **state)
{
	atomic_uint *flushed;
	const u8 *disk;
	int status;
	int fd;

	(void)state;
	if (T_SANITIZED) {
		print_message("skipped: a child of fork() deadlocks in a sanitizer\n");
		skip();
	}
	fd = t_on_disk ? t_disk_file() : memfd_create("t-disk", MFD_CLOEXEC);
	assert_true(fd >= 0);
	flushed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(flushed, MAP_FAILED);
	assert_int_equal(ftruncate(fd, T_SIZE), 0);
	disk = mmap(NULL, T_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(disk, MAP_FAILED);
	for (u32 i = 0; i < T_KILLS; i++) {
		u32 before = *flushed;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			t_flush_until_killed(fd, flushed);
		/* However slow the host, every other one comes as far as a flush. */
		if (i % 2)
			t_until(*flushed > before);
		usleep((useconds_t)random() % T_KILL_US);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		t_check_flushed(disk, *flushed);
	}
	munmap((void *)disk, T_SIZE);
	munmap(flushed, 4096);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_of_the_disk),
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_any_cut_of_a_request),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_random_requests_agree_with_a_model),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_long_requests_take_bounded_memory),
		cmocka_unit_test(test_serial_number),
		cmocka_unit_test(test_discard_frees_space),
		cmocka_unit_test(test_write_zeroes),
		cmocka_unit_test(test_image_of_another_format_is_bytes),
		cmocka_unit_test(test_size_changes),
		cmocka_unit_test(test_cache_can_be_switched),
		cmocka_unit_test(test_reset_in_the_middle),
		cmocka_unit_test(test_ranges_past_the_end_fail),
		cmocka_unit_test(test_odd_requests_fail),
		cmocka_unit_test(test_header_that_is_too_short_fails),
		cmocka_unit_test(test_request_without_a_status_breaks_it),
		cmocka_unit_test(test_disk_that_cannot_be_written),
		cmocka_unit_test(test_host_errors_are_io_errors),
		cmocka_unit_test(test_no_disk_is_refused),
		cmocka_unit_test(test_disk_is_locked),
		cmocka_unit_test(test_wrong_disks_are_refused),
		cmocka_unit_test(test_killed_at_any_moment_keeps_what_was_flushed),
	};

	int failed = driver_run_each_kind(tests);

	t_on_disk = true;
	return failed + driver_run_each_kind(tests);
}
