#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-threads.sh DIR - the tests of what does I/O, in processes that are refused io_uring

for test in test_loop test_virtio test_virtio_blk test_virtio_net test_virtio_rng \
	test_chardev test_vm; do
	T_NO_IO_URING=1 "$1/$test" || exit 1
done
