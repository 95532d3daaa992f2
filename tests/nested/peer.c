// SPDX-License-Identifier: BSD-2-Clause
/*
 * peer.c - serve the requests of transfer.h, on all addresses, until it is killed
 *
 * Says `ready` when it listens, and then a line for each request that was done.
 */
#define _GNU_SOURCE
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

int main(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(TRANSFER_PORT) };
	int one = 1;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	setlinebuf(stdout);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&addr, sizeof(addr)) || listen(s, 8)) {
		perror("peer");
		return 1;
	}
	printf("ready\n");
	for (;;) {
		const struct timeval patience = { .tv_sec = 10 };
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (fork() == 0) {
			close(s);
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}
