/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk.c - a disk: a file or a block device of the host's (virtio 1.2, 5.2)
 *
 * A request is one operation of the ring on the guest's own memory, two where a change
 * has to be on the disk before it is done.  As many as a queue holds may be under way;
 * each has its place from the start, so taking one cannot fail.  What the host cannot
 * do the guest sees as an I/O error of that request.
 *
 * A file in memory needs no ring: there is nothing to wait for, and as the kernel cannot
 * know that of a tmpfs (it has not FMODE_NOWAIT, mm/shmem.c) the ring would hand over each
 * request to a thread.
 *
 * Neither buffers nor files are registered with the ring.  A buffer that is stays pinned, and
 * that would be all of the guest's RAM, which a balloon then could not give back, for the
 * sake of files past the page cache alone; what a file would spare, a reference to it for
 * each request, was not measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/virtio.h"
#include "devices/virtio_blk.h"
#include "vmm/error.h"
#include "vmm/fd.h"

#define QUEUE_SIZE	256
#define SEG_MAX		(QUEUE_SIZE - 2)	/* without header and status */
#define FEW_SEGS	4			/* that need no memory of their own */
#define SECTOR		512u
#define MAX_ZEROED	(GIB(1) / SECTOR)	/* sectors a request */
#define LONG		KIB(64)			/* to copy; others do so meanwhile */

struct blk_queue;

struct blk_req {
	struct loop_io	io;
	struct blk_queue *bq;
	struct blk_req	*next;		/* that is free */
	u32		type;		/* VIRTIO_BLK_T_* */
	u16		head;
	u32		in_len;		/* all of what the device writes */
	u8		*status;
	u64		off;		/* in the file */
	u64		left;		/* bytes to move */
	bool		sync;		/* ... and then have them on the disk */
	struct iovec	*iov;		/* what is left to move */
	u32		nr_iov;
	struct iovec	*many;		/* ours, if they are more than FEW_SEGS */
	struct iovec	few[FEW_SEGS];
};

struct blk_queue {
	struct virtio_queue	*q;
	struct blk_req		*free;
	struct blk_req		reqs[QUEUE_SIZE];
	struct iovec		iov[QUEUE_SIZE];	/* of the chain that is being taken */
};

struct blk {
	struct virtio			virtio;		/* first */
	struct virtio_blk_config	config;
	_Atomic u64			capacity;	/* as in .config, for the queues */
	int				fd;
	bool				ro;
	bool				in_memory;
	atomic_bool			writeback;	/* the driver flushes */
	char				serial[VIRTIO_BLK_SERIAL];
	struct ratelimit		limit;
	struct blk_queue		*queues;
};

static struct blk *blk_of(const struct blk_req *req)
{
	return (struct blk *)req->bq->q->dev;
}

static void finish(struct blk_req *req, u8 status)
{
	struct blk_queue *bq = req->bq;

	*req->status = status;
	free(req->many);
	req->many = NULL;
	req->next = bq->free;
	bq->free = req;
	virtio_push(bq->q, req->head, req->in_len);
}

/* ---- Operations under way ---------------------------------------------------- */

static bool moves(const struct blk_req *req)
{
	return req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_OUT;
}

static void on_done(struct loop_io *io, int res);

static void submit_flush(struct blk_req *req)
{
	req->sync = false;
	if (blk_of(req)->in_memory)
		on_done(&req->io, 0);
	else
		loop_fdatasync(req->bq->q->loop, &req->io, blk_of(req)->fd);
}

static void move_at_once(struct blk_req *req)
{
	bool in = req->type == VIRTIO_BLK_T_IN;
	int fd = blk_of(req)->fd;
	off_t off = (off_t)req->off;
	ssize_t n;

	/* Of one element, which most have, the kernel makes less work. */
	if (req->nr_iov > 1)
		n = (in ? preadv : pwritev)(fd, req->iov, (int)req->nr_iov, off);
	else if (in)
		n = pread(fd, req->iov->iov_base, req->iov->iov_len, off);
	else
		n = pwrite(fd, req->iov->iov_base, req->iov->iov_len, off);
	on_done(&req->io, n < 0 ? -errno : (int)n);
}

static void submit_move(struct blk_req *req)
{
	struct loop *loop = req->bq->q->loop;

	if (blk_of(req)->in_memory && req->left < LONG)
		move_at_once(req);
	else if (req->type == VIRTIO_BLK_T_IN)
		loop_readv(loop, &req->io, blk_of(req)->fd, req->iov, req->nr_iov, req->off, 0);
	else
		loop_writev(loop, &req->io, blk_of(req)->fd, req->iov, req->nr_iov, req->off,
			    req->sync ? RWF_DSYNC : 0);
}

static void submit_zero(struct blk_req *req)
{
	/* A discarded range may read as anything; to keep its space is what zeroes can ask for. */
	int mode = req->type == VIRTIO_BLK_T_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	loop_fallocate(req->bq->q->loop, &req->io, blk_of(req)->fd, mode | FALLOC_FL_KEEP_SIZE,
		       req->off, req->left);
}

/* @n bytes were moved, fewer than all. */
static void advance(struct blk_req *req, u64 n)
{
	req->off += n;
	req->left -= n;
	while (n >= req->iov->iov_len) {
		n -= req->iov->iov_len;
		req->iov++;
		req->nr_iov--;
	}
	req->iov->iov_base = (u8 *)req->iov->iov_base + n;
	req->iov->iov_len -= n;
}

static void failed(struct blk_req *req, int res)
{
	struct blk *blk = blk_of(req);

	if (res == -EOPNOTSUPP && req->type == VIRTIO_BLK_T_DISCARD) {
		finish(req, VIRTIO_BLK_S_OK);	/* it was a hint */
		return;
	}
	if (res == -EOPNOTSUPP && req->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		finish(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	log_limited(blk->virtio.env->log, &blk->limit, VMM_LOG_WARN,
		    "%s: request %u at byte %llu: %s", blk->virtio.name, req->type,
		    (unsigned long long)req->off, res ? strerrordesc_np(-res) : "the file is shorter");
	finish(req, VIRTIO_BLK_S_IOERR);
}

static void submit(struct blk_req *req)
{
	if (moves(req))
		submit_move(req);
	else if (req->type == VIRTIO_BLK_T_FLUSH)
		submit_flush(req);
	else
		submit_zero(req);
}

static void on_done(struct loop_io *io, int res)
{
	struct blk_req *req = io->arg;

	if (res == -EINTR || res == -ECANCELED)
		submit(req);		/* the thread that had it is gone */
	else if (res < 0 || (moves(req) && !res))
		failed(req, res);
	else if (moves(req) && (u64)res < req->left) {
		advance(req, (u64)res);
		submit_move(req);
	} else if (!moves(req) && req->sync) {
		req->type = VIRTIO_BLK_T_FLUSH;
		submit_flush(req);
	} else {
		finish(req, VIRTIO_BLK_S_OK);
	}
}

/* ---- Requests of the driver's ----------------------------------------------------- */

static bool in_range(const struct blk *blk, u64 sector, u64 nr)
{
	u64 capacity = atomic_load_explicit(&blk->capacity, memory_order_relaxed);

	return sector <= capacity && nr <= capacity - sector;
}

/* Make the elements of @from, but for their first @skip bytes, those of the request. */
static int take_data(struct blk_req *req, const struct iovec *from, u32 nr, u64 skip)
{
	req->iov = req->few;
	req->nr_iov = 0;
	if (nr > FEW_SEGS) {
		req->many = malloc(nr * sizeof(*req->many));
		if (!req->many)
			return -ENOMEM;
		req->iov = req->many;
	}
	for (u32 i = 0; i < nr; i++) {
		u64 cut = skip < from[i].iov_len ? skip : from[i].iov_len;

		skip -= cut;
		if (cut < from[i].iov_len)
			req->iov[req->nr_iov++] = (struct iovec){
				.iov_base = (u8 *)from[i].iov_base + cut,
				.iov_len = from[i].iov_len - cut,
			};
	}
	return 0;
}

static void begin_move(struct blk_req *req, const struct virtq_chain *chain, u64 sector)
{
	struct blk *blk = blk_of(req);
	bool in = req->type == VIRTIO_BLK_T_IN;
	const struct iovec *iov = in ? chain->iov + chain->nr_out : chain->iov;

	req->left = in ? chain->in_len : chain->out_len - sizeof(struct virtio_blk_outhdr);
	req->off = sector * SECTOR;
	if (req->left % SECTOR || !in_range(blk, sector, req->left / SECTOR) || (!in && blk->ro) ||
	    take_data(req, iov, in ? chain->nr_in : chain->nr_out,
		      in ? 0 : sizeof(struct virtio_blk_outhdr)))
		finish(req, VIRTIO_BLK_S_IOERR);
	else if (!req->left)
		finish(req, VIRTIO_BLK_S_OK);
	else
		submit_move(req);
}

/* One range a request is all that the configuration allows. */
static void begin_zero(struct blk_req *req, const struct virtq_chain *chain)
{
	const u32 flags = req->type == VIRTIO_BLK_T_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes range;
	struct blk *blk = blk_of(req);

	if (chain->out_len != sizeof(struct virtio_blk_outhdr) + sizeof(range)) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_read(chain->iov, chain->nr_out, sizeof(struct virtio_blk_outhdr), &range, sizeof(range));
	if (range.flags & ~flags) {
		finish(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (blk->ro || !range.num_sectors || range.num_sectors > MAX_ZEROED ||
	    !in_range(blk, range.sector, range.num_sectors)) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->off = range.sector * SECTOR;
	req->left = (u64)range.num_sectors * SECTOR;
	submit_zero(req);
}

static void give_id(struct blk_req *req, const struct virtq_chain *chain)
{
	iov_write(chain->iov + chain->nr_out, chain->nr_in, 0, blk_of(req)->serial,
		  VIRTIO_BLK_SERIAL);
	finish(req, VIRTIO_BLK_S_OK);
}

/* The last byte that the device may write is the status; what is before it is data. */
static void take_status(struct blk_req *req, struct virtq_chain *chain)
{
	struct iovec *last = &chain->iov[chain->nr_out + chain->nr_in - 1];

	last->iov_len--;
	req->status = (u8 *)last->iov_base + last->iov_len;
	req->in_len = chain->in_len--;
	if (!last->iov_len)
		chain->nr_in--;
}

static void begin(struct blk_req *req, struct virtq_chain *chain)
{
	struct virtio_blk_outhdr hdr;

	req->head = chain->head;
	take_status(req, chain);
	if (iov_read(chain->iov, chain->nr_out, 0, &hdr, sizeof(hdr)) < sizeof(hdr)) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->type = hdr.type;
	req->off = 0;
	req->sync = !atomic_load_explicit(&blk_of(req)->writeback, memory_order_relaxed);
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		begin_move(req, chain, hdr.sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		submit_flush(req);
		break;
	case VIRTIO_BLK_T_GET_ID:
		give_id(req, chain);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_zero(req, chain);
		break;
	default:
		finish(req, VIRTIO_BLK_S_UNSUPP);
	}
}

static bool kick(struct virtio_queue *q)
{
	struct blk_queue *bq = q->priv;
	struct virtq_chain chain = { .iov = bq->iov, .max = QUEUE_SIZE };

	while (virtio_pop(q, &chain)) {
		struct blk_req *req = bq->free;

		if (!chain.in_len) {
			virtio_break(q->dev, "queue %u: a request has no room for its status",
				     q->index);
			virtio_push(q, chain.head, 0);
			break;
		}
		bq->free = req->next;
		begin(req, &chain);
	}
	return true;
}

/* ---- Configuration ------------------------------------------------------------------ */

static void set_writeback(struct blk *blk)
{
	const struct virtio *dev = &blk->virtio;
	bool on = virtio_has(dev, VIRTIO_BLK_F_FLUSH) &&
		  (!virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE) || blk->config.wce);

	atomic_store(&blk->writeback, on);
}

static int start(struct virtio *dev)
{
	pthread_mutex_lock(&dev->lock);
	set_writeback((struct blk *)dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static void config_write(struct virtio *dev, u32 off, const void *val, u32 len)
{
	struct blk *blk = (struct blk *)dev;

	if (off != offsetof(struct virtio_blk_config, wce) || len != 1)
		return;
	blk->config.wce = *(const u8 *)val & 1;
	set_writeback(blk);
}

static void reset(struct virtio *dev)
{
	struct blk *blk = (struct blk *)dev;

	pthread_mutex_lock(&dev->lock);
	blk->config.wce = 1;
	pthread_mutex_unlock(&dev->lock);
}

static void destroy(struct virtio *dev)
{
	struct blk *blk = (struct blk *)dev;

	virtio_fini(dev);
	fd_close(&blk->fd);
	free(blk->queues);
	free(blk);
}

static const struct virtio_ops ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.queue_size = QUEUE_SIZE,
	.config_write = config_write,
	.start = start,
	.reset = reset,
	.kick = kick,
	.destroy = destroy,
};

/* ---- From the machine ------------------------------------------------------------------ */

/* The unit that reads and writes past the page cache must be of. */
static u32 direct_unit(int fd)
{
	u32 unit = SECTOR;
#ifdef STATX_DIOALIGN
	struct statx st;

	if (fcntl(fd, F_GETFL) & O_DIRECT && !statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) &&
	    st.stx_mask & STATX_DIOALIGN && st.stx_dio_offset_align > unit)
		unit = st.stx_dio_offset_align;
#else
	(void)fd;
#endif
	return unit;
}

/* Of block devices the file system is the one that their names are in. */
static int find_out_where(struct blk *blk, struct vmm_error *err)
{
	struct statfs fs;
	struct stat st;

	if (fstat(blk->fd, &st) || fstatfs(blk->fd, &fs))
		return error_sys(err, -errno, "%s: which file system is it in", blk->virtio.name);
	blk->in_memory = S_ISREG(st.st_mode) &&
			 ((u32)fs.f_type == TMPFS_MAGIC || (u32)fs.f_type == RAMFS_MAGIC);
	return 0;
}

/* Returns how long it is, and its block size. */
static int measure(int fd, u64 *size, u32 *unit)
{
	struct stat st;
	int sector;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*size = (u64)st.st_size;
		*unit = direct_unit(fd);
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	if (ioctl(fd, BLKGETSIZE64, size) || ioctl(fd, BLKSSZGET, &sector))
		return -errno;
	*unit = (u32)sector;
	return 0;
}

/* In sectors; what is behind the last whole block cannot be reached. */
static int take_capacity(struct blk *blk, u64 *capacity, u32 *unit, struct vmm_error *err)
{
	const char *name = blk->virtio.name;
	u64 size = 0;
	int ret = measure(blk->fd, &size, unit);

	if (ret == -EINVAL)
		return error_set(err, ret, "%s: neither a file nor a block device", name);
	if (ret)
		return error_sys(err, ret, "%s: how large is it", name);
	if (!is_power_of_2(*unit) || size / *unit == 0)
		return error_set(err, -EINVAL, "%s: %llu bytes are less than a block", name,
				 (unsigned long long)size);
	*capacity = size / *unit * (*unit / SECTOR);
	return 0;
}

static int describe(struct blk *blk, const struct blk_config *cfg, struct vmm_error *err)
{
	u64 capacity;
	u32 unit = 0;
	int ret = take_capacity(blk, &capacity, &unit, err);

	if (!ret)
		ret = find_out_where(blk, err);
	if (ret)
		return ret;
	atomic_init(&blk->capacity, capacity);
	blk->config = (struct virtio_blk_config){
		.capacity = capacity,
		.seg_max = SEG_MAX,
		.blk_size = unit,
		.wce = 1,
		.num_queues = (u16)cfg->nr_queues,
		.max_discard_sectors = MAX_ZEROED,
		.max_discard_seg = 1,
		.discard_sector_alignment = unit / SECTOR,
		.max_write_zeroes_sectors = MAX_ZEROED,
		.max_write_zeroes_seg = 1,
	};
	return 0;
}

static int queues_up(struct blk *blk)
{
	blk->queues = calloc(blk->virtio.nr_queues, sizeof(*blk->queues));
	if (!blk->queues)
		return -ENOMEM;
	for (u32 i = 0; i < blk->virtio.nr_queues; i++) {
		struct blk_queue *bq = &blk->queues[i];

		bq->q = &blk->virtio.queues[i];
		bq->q->priv = bq;
		for (u32 k = QUEUE_SIZE; k-- > 0;) {
			struct blk_req *req = &bq->reqs[k];

			req->bq = bq;
			req->io = (struct loop_io){ .done = on_done, .arg = req };
			req->next = bq->free;
			bq->free = req;
		}
	}
	return 0;
}

int virtio_blk_create(struct virtio **dev, const struct virtio_env *env, u32 index,
		      const struct blk_config *cfg, struct vmm_error *err)
{
	u64 features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
		       1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_CONFIG_WCE;
	struct blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk)
		return error_set(err, -ENOMEM, "blk%u: no memory", index);
	features |= cfg->ro ? 1ull << VIRTIO_BLK_F_RO :
			      1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	if (cfg->nr_queues > 1)
		features |= 1ull << VIRTIO_BLK_F_MQ;
	blk->fd = -1;
	blk->ro = cfg->ro;
	if (cfg->serial)
		memcpy(blk->serial, cfg->serial, strnlen(cfg->serial, sizeof(blk->serial)));
	blk->virtio.config = (u8 *)&blk->config;
	blk->virtio.config_size = sizeof(blk->config);
	ret = virtio_init(&blk->virtio, &ops, env, index, cfg->nr_queues, features, 1, err);
	if (ret)
		goto fail;
	blk->fd = fd_dup(cfg->fd);
	if (blk->fd < 0) {
		ret = error_sys(err, blk->fd, "blk%u: descriptor %d", index, cfg->fd);
		blk->fd = -1;
		goto fail;
	}
	ret = describe(blk, cfg, err);
	if (ret)
		goto fail;
	ret = queues_up(blk);
	if (ret) {
		error_set(err, ret, "blk%u: no memory", index);
		goto fail;
	}
	*dev = &blk->virtio;
	return 0;
fail:
	destroy(&blk->virtio);
	return ret;
}

int virtio_blk_resize(struct virtio *dev, u64 *size, struct vmm_error *err)
{
	struct blk *blk = (struct blk *)dev;
	u32 unit = 0;
	u64 capacity;
	int ret = take_capacity(blk, &capacity, &unit, err);

	if (ret)
		return ret;
	/* The guest may rely on the new size from the moment that it is told. */
	if (atomic_exchange(&blk->capacity, capacity) != capacity)
		virtio_set_config(dev, offsetof(struct virtio_blk_config, capacity), &capacity,
				  sizeof(capacity));
	*size = capacity * SECTOR;
	return 0;
}
