/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_balloon.c - memory that the guest gives up and takes back (virtio 1.2, 5.5)
 *
 * Which pages are in the balloon is kept in a bitmap, so that each counts once, whatever
 * the guest says of it, and so that a page of the host's larger than the balloon's is
 * given back only when all of it is in there.  A page that is taken back needs nothing
 * done: the host has zeroes for who touches it.
 */
#include <endian.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio.h"
#include "devices/virtio_balloon.h"
#include "vmm/error.h"

#define QUEUE_SIZE	128		/* Linux wants 32 to report free pages */
#define LONGEST		KIB(16)		/* of one chain of page numbers */
#define NR_PFNS		1024		/* that are looked at together */
#define BIT(nr)		(1ull << (nr))

/*
 * virtio 1.2, 5.5.2.  With neither free page hints nor a queue for them, Linux before
 * 6.11, and later for hosts that have no fifth queue, reports free pages in the fourth:
 * both are for that here.
 */
enum { INFLATE, DEFLATE, STATS, REPORT_DENSE, REPORT, NR_QUEUES };

_Static_assert(VIRTIO_BALLOON_PAGE == 1u << VIRTIO_BALLOON_PFN_SHIFT, "virtio 1.2, 5.5.6");

struct virtio_balloon {
	struct virtio			virtio;		/* first */
	struct virtio_balloon_config	config;

	/* On the loop alone. */
	bool				keep;		/* nothing is given back to the host */
	u64				*held;		/* a bit a page of RAM */
	u64				nr_pages;
	u64				nr_held;
	u64				reported;	/* bytes, in sum */
	bool				has_stats;	/* the driver's buffer for them is here */
	bool				wanted;		/* ... and shall go back */
	u16				stats_head;
	struct iovec			iov[QUEUE_SIZE];
	__le32				pfns[NR_PFNS];
	u32				pages[NR_PFNS];	/* of RAM, to be given back */

	/* Under the device's lock: how things are. */
	struct vmm_balloon_stats	told;
	struct loop_msg			ask_msg;
};

static struct virtio_balloon *of(struct virtio *dev)
{
	return (struct virtio_balloon *)dev;
}

/* ---- Pages of the host's ---------------------------------------------------- */

static void discard(struct virtio_balloon *b, gpa_t gpa, u64 len)
{
	const struct virtio_env *env = b->virtio.env;
	int ret = b->keep ? 0 : gmem_discard(env->mem, env->mem_fd, gpa, len);

	if (!ret)
		return;
	b->keep = true;
	log_warn(env->log, "%s: the host keeps what the guest gives up: %s", b->virtio.name,
		 strerrordesc_np(-ret));
}

static bool is_held(const struct virtio_balloon *b, u64 page)
{
	return b->held[page / 64] & BIT(page % 64);
}

/* Pages of the balloon's in one of the host's. */
static u64 pages_each(const struct virtio_balloon *b)
{
	u64 size = b->virtio.env->mem->page;

	return size > VIRTIO_BALLOON_PAGE ? size / VIRTIO_BALLOON_PAGE : 1;
}

/* Is all of the host's page around @page in the balloon? */
static bool is_whole(const struct virtio_balloon *b, u64 page)
{
	u64 each = pages_each(b);
	u64 first = ALIGN_DOWN(page, each);

	/* A driver that need not tell may be using the others already. */
	if (each > 1 && !virtio_has(&b->virtio, VIRTIO_BALLOON_F_MUST_TELL_HOST))
		return false;
	if (first + each > b->nr_pages)
		return false;
	for (u64 i = first; i < first + each; i++)
		if (!is_held(b, i))
			return false;
	return true;
}

/* By Shell's way: the C library's qsort() asks for memory, and the system how much it has. */
static void sort(u32 *a, u32 nr)
{
	static const u32 gaps[] = { 301, 132, 57, 23, 10, 4, 1 };

	for (size_t g = 0; g < ARRAY_SIZE(gaps); g++) {
		u32 gap = gaps[g];

		for (u32 i = gap; i < nr; i++) {
			u32 val = a[i];
			u32 at = i;

			for (; at >= gap && a[at - gap] > val; at -= gap)
				a[at] = a[at - gap];
			a[at] = val;
		}
	}
}

/* As few calls as there are ranges: each has KVM take the range from the guest. */
static void discard_pages(struct virtio_balloon *b, u32 nr)
{
	u64 each = pages_each(b);
	u32 first = 0;

	sort(b->pages, nr);
	for (u32 i = 1; i <= nr; i++) {
		if (i < nr && b->pages[i] <= b->pages[i - 1] + each)
			continue;
		discard(b, b->virtio.env->mem->base + (u64)b->pages[first] * VIRTIO_BALLOON_PAGE,
			(b->pages[i - 1] - b->pages[first] + each) * VIRTIO_BALLOON_PAGE);
		first = i;
	}
}

/* ---- Into the balloon, and out of it ------------------------------------------ */

/* The page of RAM that the guest calls @pfn; false: there is none. */
static bool find_page(const struct virtio_balloon *b, __le32 pfn, u64 *page)
{
	const struct gmem *mem = b->virtio.env->mem;
	gpa_t gpa = (u64)le32toh(pfn) << VIRTIO_BALLOON_PFN_SHIFT;

	if (!gmem_covers(mem, gpa, VIRTIO_BALLOON_PAGE))
		return false;
	*page = (gpa - mem->base) >> VIRTIO_BALLOON_PFN_SHIFT;
	return true;
}

/* How many of the numbers are of no page of RAM. */
static u32 inflate(struct virtio_balloon *b, u32 nr)
{
	u32 strays = 0;
	u32 whole = 0;
	u64 page;

	for (u32 i = 0; i < nr; i++) {
		if (!find_page(b, b->pfns[i], &page)) {
			strays++;
			continue;
		}
		if (is_held(b, page))
			continue;
		b->held[page / 64] |= BIT(page % 64);
		b->nr_held++;
		if (is_whole(b, page))
			b->pages[whole++] = (u32)ALIGN_DOWN(page, pages_each(b));
	}
	discard_pages(b, whole);
	return strays;
}

static u32 deflate(struct virtio_balloon *b, u32 nr)
{
	u32 strays = 0;
	u64 page;

	for (u32 i = 0; i < nr; i++) {
		if (!find_page(b, b->pfns[i], &page)) {
			strays++;
			continue;
		}
		if (!is_held(b, page))
			continue;
		b->held[page / 64] &= ~BIT(page % 64);
		b->nr_held--;
	}
	return strays;
}

static void tell_numbers(struct virtio_balloon *b)
{
	pthread_mutex_lock(&b->virtio.lock);
	b->told.actual = b->nr_held * VIRTIO_BALLOON_PAGE;
	b->told.reported = b->reported;
	pthread_mutex_unlock(&b->virtio.lock);
}

static void move_pages(struct virtio_balloon *b, struct virtio_queue *q,
		       const struct virtq_chain *chain)
{
	u32 strays = 0;
	size_t done = 0;
	size_t got;

	do {
		u32 nr;

		got = iov_read(chain->iov, chain->nr_out, done, b->pfns, sizeof(b->pfns));
		nr = (u32)(got / sizeof(b->pfns[0]));
		strays += q->index == INFLATE ? inflate(b, nr) : deflate(b, nr);
		done += got;
	} while (got == sizeof(b->pfns));
	if (strays)
		log_limited(b->virtio.env->log, &b->virtio.limit, VMM_LOG_WARN,
			    "%s: pages that are not RAM are ignored", b->virtio.name);
	tell_numbers(b);
}

/* One at a time: other queues of the loop come between. */
static bool serve_pages(struct virtio_balloon *b, struct virtio_queue *q)
{
	struct virtq_chain chain = { .iov = b->iov, .max = QUEUE_SIZE };

	if (!virtio_pop(q, &chain))
		return true;
	if (chain.out_len > LONGEST)
		virtio_break(&b->virtio, "queue %u: %u bytes of page numbers", q->index,
			     chain.out_len);
	else
		move_pages(b, q, &chain);
	virtio_push(q, chain.head, 0);
	return true;
}

/* ---- Free pages ------------------------------------------------------------------ */

/* What is in @iov stays the guest's, who does not need what is in there. */
static void report(struct virtio_balloon *b, const struct iovec *iov)
{
	const struct gmem *mem = b->virtio.env->mem;
	u64 from = (u64)((u8 *)iov->iov_base - mem->host);
	u64 to = ALIGN_DOWN(from + iov->iov_len, mem->page);

	from = ALIGN_UP(from, mem->page);
	if (from >= to)
		return;
	discard(b, mem->base + from, to - from);
	b->reported += b->keep ? 0 : to - from;
}

static bool serve_reports(struct virtio_balloon *b, struct virtio_queue *q)
{
	struct virtq_chain chain = { .iov = b->iov, .max = QUEUE_SIZE };

	if (!virtio_pop(q, &chain))
		return true;
	for (u32 i = 0; i < chain.nr_in; i++)
		if (virtio_has(&b->virtio, VIRTIO_BALLOON_F_REPORTING))
			report(b, &chain.iov[chain.nr_out + i]);
	tell_numbers(b);
	virtio_push(q, chain.head, 0);
	return true;
}

/* ---- Statistics -------------------------------------------------------------------- */

static void read_stats(struct virtio_balloon *b, const struct virtq_chain *chain)
{
	struct virtio_balloon_stat stats[2 * VMM_BALLOON_STATS];
	size_t len = iov_read(chain->iov, chain->nr_out, 0, stats, sizeof(stats));

	pthread_mutex_lock(&b->virtio.lock);
	for (size_t i = 0; i < len / sizeof(stats[0]); i++) {
		u16 tag = le16toh(stats[i].tag);

		if (tag >= VMM_BALLOON_STATS)
			continue;
		b->told.guest[tag] = le64toh(stats[i].val);
		b->told.known |= 1u << tag;
	}
	b->told.updates++;
	pthread_mutex_unlock(&b->virtio.lock);
}

/*
 * The driver's buffer stays here until somebody wants to know; it comes back with what is
 * so then.  Of two that a driver offers the older one is given back.
 */
static bool serve_stats(struct virtio_balloon *b, struct virtio_queue *q)
{
	struct virtq_chain chain = { .iov = b->iov, .max = QUEUE_SIZE };

	while (virtio_pop(q, &chain)) {
		if (b->has_stats)
			virtio_push(q, b->stats_head, 0);
		else
			b->wanted = false;	/* these are new */
		read_stats(b, &chain);
		b->stats_head = chain.head;
		b->has_stats = true;
	}
	if (b->wanted && b->has_stats) {
		b->wanted = b->has_stats = false;
		virtio_push(q, b->stats_head, 0);
	}
	return true;
}

static void on_ask(void *arg)
{
	struct virtio_balloon *b = arg;

	b->wanted = true;
	virtio_run(&b->virtio.queues[STATS]);
}

void virtio_balloon_stats(struct virtio *dev, struct vmm_balloon_stats *stats)
{
	struct virtio_balloon *b = of(dev);

	pthread_mutex_lock(&dev->lock);
	*stats = b->told;
	pthread_mutex_unlock(&dev->lock);
	loop_post(dev->queues[STATS].loop, &b->ask_msg);
}

/* ---- The device ----------------------------------------------------------------------- */

static u32 pages_of(u64 target)
{
	return (u32)(target / VIRTIO_BALLOON_PAGE);
}

void virtio_balloon_set(struct virtio *dev, u64 target)
{
	struct virtio_balloon *b = of(dev);
	const __le32 nr = htole32(pages_of(target));

	pthread_mutex_lock(&dev->lock);
	b->told.target = (u64)pages_of(target) * VIRTIO_BALLOON_PAGE;
	pthread_mutex_unlock(&dev->lock);
	virtio_set_config(dev, offsetof(struct virtio_balloon_config, num_pages), &nr, sizeof(nr));
}

/* How much it has given up, as it says; the pages that it has named are what counts. */
static void config_write(struct virtio *dev, u32 off, const void *val, u32 len)
{
	const u32 actual = offsetof(struct virtio_balloon_config, actual);

	if (off >= actual && off + len <= actual + sizeof(__le32))
		memcpy(dev->config + off, val, len);
}

static bool kick(struct virtio_queue *q)
{
	struct virtio_balloon *b = of(q->dev);

	switch (q->index) {
	case INFLATE:
	case DEFLATE:
		return serve_pages(b, q);
	case STATS:
		return serve_stats(b, q);
	default:
		return serve_reports(b, q);
	}
}

/* Nothing is done to the buffer for statistics meanwhile. */
static bool at_rest(struct virtio_queue *q)
{
	(void)q;
	return true;
}

static void stop_queue(struct virtio_queue *q)
{
	struct virtio_balloon *b = of(q->dev);

	if (q->index != STATS || !b->has_stats)
		return;
	b->has_stats = false;
	virtio_push(q, b->stats_head, 0);
}

/* Its memory is all its own again. */
static void reset(struct virtio *dev)
{
	struct virtio_balloon *b = of(dev);

	memset(b->held, 0, (b->nr_pages + 63) / 64 * sizeof(u64));
	b->nr_held = 0;
	b->wanted = b->has_stats = false;
	pthread_mutex_lock(&dev->lock);
	b->told.actual = 0;
	b->told.known = 0;
	b->config.actual = 0;
	pthread_mutex_unlock(&dev->lock);
}

static void destroy(struct virtio *dev)
{
	struct virtio_balloon *b = of(dev);

	while (b->ask_msg.queued && !loop_dispatch(dev->queues[STATS].loop))
		;
	free(b->held);
	virtio_fini(dev);
	free(b);
}

static const struct virtio_ops ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.nr_queues = NR_QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_write = config_write,
	.reset = reset,
	.kick = kick,
	.stop_queue = stop_queue,
	.at_rest = at_rest,
	.destroy = destroy,
};

/*
 * PAGE_POISON is not offered: a driver that has to find its pattern in free pages does
 * not report them then.
 */
static u64 offered(const struct virtio_balloon *b, u64 flags)
{
	return BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST) | BIT(VIRTIO_BALLOON_F_STATS_VQ) |
	       (flags & VMM_BALLOON_F_NO_OOM ? 0 : BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM)) |
	       (flags & VMM_BALLOON_F_NO_REPORTING || b->keep ? 0 : BIT(VIRTIO_BALLOON_F_REPORTING));
}

int virtio_balloon_create(struct virtio **dev, const struct virtio_env *env, u32 index,
			  const struct virtio_balloon_params *params, struct vmm_error *err)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return error_set(err, -ENOMEM, "balloon%u: no memory", index);
	/* A page that is out of its pool may be somebody else's when the guest wants it. */
	b->keep = params->keep || env->mem->pooled;
	b->config.num_pages = htole32(pages_of(params->target));
	b->told.target = (u64)pages_of(params->target) * VIRTIO_BALLOON_PAGE;
	b->nr_pages = env->mem->size / VIRTIO_BALLOON_PAGE;
	b->held = calloc((b->nr_pages + 63) / 64, sizeof(u64));
	b->virtio.config = (u8 *)&b->config;
	b->virtio.config_size = offsetof(struct virtio_balloon_config, free_page_hint_cmd_id);
	b->ask_msg = (struct loop_msg){ .fn = on_ask, .arg = b };
	ret = virtio_init(&b->virtio, &ops, env, index, 0, offered(b, params->flags), 0, err);
	if (!ret && !b->held)
		ret = error_set(err, -ENOMEM, "balloon%u: no memory", index);
	if (ret) {
		destroy(&b->virtio);
		return ret;
	}
	if (b->keep)
		log_info(env->log, "%s: the host keeps what the guest gives up: its RAM is %s",
			 b->virtio.name, params->keep ? "locked" : "of huge pages from a pool");
	*dev = &b->virtio;
	return 0;
}
