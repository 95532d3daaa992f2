// SPDX-License-Identifier: BSD-2-Clause
/*
 * peer.c - serve the requests of transfer.h, on all addresses, until it is killed
 *
 * Says `ready` when it listens, and then a line for each request that was done.  `peer
 * vsock` does so on vsock, and connects back to each guest, which shall echo.  `peer deaf`
 * takes every connection on vsock, and reads from none.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "transfer.h"

static void serve(int fd)
{
	struct transfer t;
	uint64_t theirs;
	uint64_t sum;

	while (!transfer_all(fd, &t, sizeof(t), 0) && !transfer_bytes(fd, &t, !t.upwards, &sum)) {
		if (transfer_compare(fd, !t.upwards, sum, &theirs))
			break;
		printf("%s %llu %016llx%s\n", t.upwards ? "received" : "sent",
		       (unsigned long long)t.len, (unsigned long long)sum,
		       sum == theirs ? "" : " DIFFERS");
	}
}

/* A block at a time goes there and comes back. */
static void call_back(int fd)
{
	struct sockaddr_vm addr;
	socklen_t len = sizeof(addr);
	char out[4096];
	char in[sizeof(out)];
	int good = 0;
	int s = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (getpeername(fd, (struct sockaddr *)&addr, &len))
		return;
	addr.svm_port = TRANSFER_PORT;
	if (connect(s, (struct sockaddr *)&addr, sizeof(addr))) {
		perror("connect");
		return;
	}
	for (int i = 0; i < 16; i++) {
		memset(out, 'a' + i, sizeof(out));
		good += !transfer_all(s, out, sizeof(out), 1) && !transfer_all(s, in, sizeof(in), 0) &&
			!memcmp(in, out, sizeof(in));
	}
	printf("CID %u echoes %d of 16\n", addr.svm_cid, good);
	close(s);
}

/* Says each thousand. */
static void hold(int s)
{
	const struct rlimit many = { 65536, 65536 };

	setrlimit(RLIMIT_NOFILE, &many);
	for (int held = 0; ; ) {
		if (accept(s, NULL, NULL) < 0)
			perror("accept");
		else if (++held % 1000 == 0)
			printf("%d connections\n", held);
	}
}

static int listen_at(int vsock)
{
	const struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_port = TRANSFER_PORT, .svm_cid = VMADDR_CID_ANY,
	};
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(TRANSFER_PORT) };
	int one = 1;
	int s = socket(vsock ? AF_VSOCK : AF_INET, SOCK_STREAM, 0);

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (vsock ? bind(s, (struct sockaddr *)&vm, sizeof(vm)) : bind(s, (struct sockaddr *)&in, sizeof(in)))
		return -1;
	return listen(s, vsock ? 4096 : 8) ? -1 : s;
}

int main(int argc, char **argv)
{
	int deaf = argc > 1 && !strcmp(argv[1], "deaf");
	int vsock = deaf || (argc > 1 && !strcmp(argv[1], "vsock"));
	int s = listen_at(vsock);

	setlinebuf(stdout);
	if (s < 0) {
		perror("peer");
		return 1;
	}
	printf("ready\n");
	if (deaf)
		hold(s);
	for (;;) {
		/* What TCP waits before it sends something again is doubled each time. */
		const struct timeval patience = { .tv_sec = 60 };
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (fork() == 0) {
			close(s);
			serve(fd);
			if (vsock)
				call_back(fd);
			_exit(0);
		}
		close(fd);
	}
}
