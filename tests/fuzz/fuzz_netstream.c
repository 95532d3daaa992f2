/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_netstream.c - a peer on the socket of a network card that sends anything, and reads
 * when it likes
 *
 * What comes of it is compared with what its bytes say: whole frames in their order until
 * the first length that is none, and nothing behind that.  What the guest sends arrives
 * whole as well, however little the socket takes at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/netio.h"
#include "tests/fuzz/input.h"
#include "vmm/fd.h"
#include "vmm/gmem.h"

#define STEPS	200
#define FRAMES	8
#define LONGEST	(NETIO_LONGEST - NETIO_HEADER)
#define SENT	MIB(1)

struct bytes {
	u8	*p;
	size_t	done;
	size_t	len;
};

static struct netio *io;
static int peer;
static struct bytes told;	/* by the peer, as far as it was sent */
static struct bytes said;	/* by the guest */
static bool lost;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	told.p = malloc(SENT);
	said.p = malloc(SENT);
	must(told.p && said.p);
	return 0;
}

static void open_both(bool trusts)
{
	int fds[2];
	int small = 1;

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	/* It takes parts of frames. */
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	must(!netstream_create(&io, fds[0], NULL));
	must(!io->ops->start(io, trusts ? 1ull << VIRTIO_NET_F_GUEST_CSUM : 0));
	close(fds[0]);
	peer = fds[1];
	told.done = told.len = said.done = said.len = 0;
	lost = false;
}

/* ---- To the guest ---------------------------------------------------------------- */

static void tell(const void *data, size_t len)
{
	ssize_t n = told.len + len > SENT ? 0 : send(peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		memcpy(told.p + told.len, data, (size_t)n);
		told.len += (size_t)n;
	}
}

/* A frame, or what looks like the beginning of one; longer than an input. */
static void tell_frame(u32 len, u8 fill, bool whole)
{
	static u8 frame[4 + LONGEST];
	u32 prefix = htonl(len);

	memset(frame, fill, sizeof(frame));
	memcpy(frame, &prefix, sizeof(prefix));
	tell(frame, 4 + (len > LONGEST ? 0 : whole ? len : len / 2));
}

/* The next frame's length by what was told; 0: none yet; -1: nonsense. */
static int64_t expected(void)
{
	u32 len;

	if (told.len - told.done < sizeof(len))
		return 0;
	memcpy(&len, told.p + told.done, sizeof(len));
	len = ntohl(len);
	if (len < ETH_HLEN || len > LONGEST)
		return -1;
	return told.len - told.done - sizeof(len) >= len ? (int64_t)len : 0;
}

static void take_frame(bool drop, size_t split)
{
	static u8 buf[NETIO_LONGEST];
	const struct iovec iov[] = {
		{ buf, split % NETIO_LONGEST }, { buf + split % NETIO_LONGEST, NETIO_LONGEST - split % NETIO_LONGEST },
	};
	int64_t want = expected();
	ssize_t len = io->ops->next(io, true);

	/* A look that found nothing may have been spared, as the one before took all. */
	for (u32 i = 0; i < 4 && !len && want; i++)
		len = io->ops->next(io, true);
	if (want < 0 || (len < 0 && !want)) {
		must(len == -EPROTO || len == -EPIPE || len == -ECONNRESET);
		lost = true;
		return;
	}
	must(len == (want ? want + (int64_t)NETIO_HEADER : 0));
	if (!want)
		return;
	if (drop)
		io->ops->drop(io);
	else
		must(io->ops->receive(io, iov, 2) == len);
	if (!drop)
		must(!memcmp(buf + NETIO_HEADER, told.p + told.done + 4, (size_t)want));
	told.done += 4 + (size_t)want;
}

/* ---- From the guest --------------------------------------------------------------- */

static void hear(size_t max)
{
	static u8 buf[SENT];
	ssize_t n = recv(peer, buf, max, MSG_DONTWAIT);

	if (n <= 0)
		return;
	must((size_t)n <= said.len - said.done);
	must(!memcmp(buf, said.p + said.done, (size_t)n));
	said.done += (size_t)n;
}

static void note(const struct iovec *iov, u32 nr, u32 len)
{
	u32 prefix = htonl(len - NETIO_HEADER);

	memcpy(said.p + said.len, &prefix, sizeof(prefix));
	said.len += sizeof(prefix);
	said.len += iov_read(iov, nr, NETIO_HEADER, said.p + said.len, len - NETIO_HEADER);
}

/* Several at once, some of which cannot be sent. */
static void say(struct input *in)
{
	static u8 data[FRAMES][4096];
	struct iovec iov[FRAMES][4];
	struct netio_frame frames[FRAMES];
	struct iovec was[FRAMES][3];
	bool good[FRAMES];
	u32 nr = input_u8(in) % (FRAMES + 1);
	int ret;

	if (said.len + FRAMES * sizeof(data[0]) > SENT)
		return;
	for (u32 i = 0; i < nr; i++) {
		u32 len = input_u16(in) % sizeof(data[i]);
		u32 cut = input_u8(in);
		u8 flags = input_u8(in);

		memset(data[i], (int)(flags ^ i), len);
		memset(data[i], 0, len < NETIO_HEADER ? len : NETIO_HEADER);
		data[i][0] = flags & 0x80 ? flags & 1 : 0;
		data[i][1] = flags & 0x40 ? flags & 3 : 0;
		cut = cut < len ? cut : len;
		iov[i][1] = (struct iovec){ data[i], cut };
		iov[i][2] = (struct iovec){ data[i] + cut, len - cut };
		memcpy(was[i], iov[i] + 1, sizeof(was[i]));
		frames[i] = (struct netio_frame){ .iov = iov[i] + 1, .nr = flags & 0x20 ? 0 : 2, .len = len };
		good[i] = frames[i].nr && len >= NETIO_HEADER + ETH_HLEN && !data[i][0] && !data[i][1];
		/* Frames lie one behind the other in memory. */
		iov[i][3] = (struct iovec){ NULL, 0 };
		frames[i].nr = frames[i].nr ? 3 : 0;
	}
	ret = io->ops->send(io, frames, nr);
	if (ret < 0) {
		lost = true;
		return;
	}
	must((u32)ret <= nr);
	for (u32 i = 0; i < (u32)ret; i++)
		if (good[i])
			note(was[i], 2, frames[i].len);
}

static void step(struct input *in)
{
	u8 how = input_u8(in);
	const void *data;
	size_t len;

	switch (how % 8) {
	case 0:
		len = input_data(in, &data, 255);
		tell(data, len);
		break;
	case 1:
		tell_frame(input_u16(in) % 2048, input_u8(in), true);
		break;
	case 2:
		tell_frame(how & 8 ? input_u32(in) : LONGEST + 1 - input_u8(in) % 4, input_u8(in), how & 16);
		break;
	case 3 ... 4:
		take_frame(how & 8, input_u16(in));
		break;
	case 5:
		say(in);
		break;
	case 6:
		hear(1 + (size_t)input_u16(in));
		break;
	case 7:
		if (how & 0xf8)
			break;
		shutdown(peer, SHUT_WR);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	open_both(input_u8(&in) & 1);
	for (u32 i = 0; i < STEPS && in.left && !lost; i++)
		step(&in);
	/* All that was taken arrives, without another frame. */
	for (u32 i = 0; i < 4096 && !lost && (said.done < said.len || io->ops->unsent(io)); i++) {
		hear(SENT);
		lost = io->ops->send(io, NULL, 0) < 0;
	}
	hear(SENT);
	must(lost || said.done == said.len);
	netio_destroy(io);
	fd_close(&peer);
	return 0;
}
