#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-threads.sh DIR - the tests of what does I/O, in processes that are refused io_uring
#
# Then those of what knows a loop and not who runs it again, with loops that may start
# no thread, as those of a host's are.

for test in test_loop test_host test_hostinfo test_virtio test_virtio_blk test_virtio_net test_virtio_rng \
	test_virtio_9p test_chardev test_vm; do
	T_NO_IO_URING=1 "$1/$test" || exit 1
done
for test in test_loop test_virtio test_virtio_blk test_virtio_net test_virtio_rng test_virtio_9p \
	test_chardev; do
	T_NO_IO_URING=1 T_LENT_LOOPS=1 "$1/$test" || exit 1
done
