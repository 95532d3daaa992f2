// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench-net.c - both ends of a TCP connection for `make bench`
 *
 * A Linux guest's only program: do=up|down|trips n=N, of the kernel's command line: N MiB
 * to the host, or from it, or N times a byte there and back.  Prints what one took, and
 * powers off.  `bench-net serve` is the host's end, until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST	"192.168.33.1"
#define GUEST	"192.168.33.15"
#define PORT	5002
#define MIB	(1u << 20)

enum { UP, DOWN, TRIPS };

static const char *const ways[] = { "up", "down", "trips" };

struct order {
	uint64_t	way;
	uint64_t	n;
};

static char buf[1 << 17];

static uint64_t counter(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, CNTVCT_EL0" : "=r"(v) : : "memory");
	return v;
}

static uint64_t frequency(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, CNTFRQ_EL0" : "=r"(v));
	return v;
}

static struct sockaddr_in address(const char *ip)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	inet_pton(AF_INET, ip, &addr.sin_addr);
	return addr;
}

/* @len bytes, whatever they are. */
static int pour(int fd, uint64_t len, int out)
{
	while (len) {
		size_t most = len < sizeof(buf) ? len : sizeof(buf);
		ssize_t n = out ? send(fd, buf, most, MSG_NOSIGNAL) : recv(fd, buf, most, 0);

		if (n <= 0)
			return -1;
		len -= (uint64_t)n;
	}
	return 0;
}

/* What was ordered, by either end; who has received all says so with a byte. */
static int carry_out(int fd, const struct order *o, int host)
{
	int sends = (o->way == UP) != host;

	if (o->way != TRIPS)
		return pour(fd, o->n * MIB, sends) || pour(fd, 1, !sends) ? -1 : 0;
	for (uint64_t i = 0; i < o->n; i++)
		if (pour(fd, 1, !host) || pour(fd, 1, host))
			return -1;
	return 0;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int serve(void)
{
	const struct sockaddr_in addr = address("0.0.0.0");
	int one = 1;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	signal(SIGCHLD, SIG_IGN);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (const struct sockaddr *)&addr, sizeof(addr)) || listen(s, 8)) {
		perror("bench-net");
		return 1;
	}
	for (;;) {
		int fd = accept(s, NULL, NULL);
		struct order o;

		if (fd >= 0 && fork() == 0) {
			no_delay(fd);
			while (recv(fd, &o, sizeof(o), MSG_WAITALL) == sizeof(o) && !carry_out(fd, &o, 1))
				;
			_exit(0);
		}
		close(fd);
	}
}

static int set(int sock, unsigned long request, const char *ip)
{
	struct ifreq ifr = { .ifr_name = "eth0" };
	const struct sockaddr_in addr = address(ip);

	memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
	return ioctl(sock, request, &ifr);
}

static int up(void)
{
	struct ifreq ifr = { .ifr_name = "eth0", .ifr_flags = IFF_UP };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	int ret = set(sock, SIOCSIFADDR, GUEST) || set(sock, SIOCSIFNETMASK, "255.255.255.0") ||
		  ioctl(sock, SIOCSIFFLAGS, &ifr);

	close(sock);
	return ret;
}

static int take(int fd, const struct order *o)
{
	return send(fd, o, sizeof(*o), MSG_NOSIGNAL) == sizeof(*o) ? carry_out(fd, o, 0) : -1;
}

static int measure(void)
{
	const char *way = getenv("do");
	const char *n = getenv("n");
	const struct sockaddr_in addr = address(HOST);
	struct order o = { .n = n ? strtoull(n, NULL, 10) : 0 };
	const struct order first = { .way = TRIPS, .n = 1 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t t;

	while (o.way < TRIPS && (!way || strcmp(way, ways[o.way])))
		o.way++;
	if (up() || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	no_delay(fd);
	if (take(fd, &first))
		return -1;
	if (!o.n)
		return 0;
	t = counter();
	if (take(fd, &o))
		return -1;
	t = counter() - t;
	printf("each_ns=%.0f\n", (double)t * 1e9 / (double)frequency() / (double)o.n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve();
	if (measure())
		perror("GUEST-NET");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
