/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - a target without a fuzzer: once for each file of the directories named
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/input.h"

#pragma weak LLVMFuzzerInitialize

static void replay(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	u8 *data;

	must(fd >= 0 && !fstat(fd, &st));
	/* Exactly as long as it is, for who watches over the ends. */
	data = malloc((size_t)st.st_size);
	must(data || !st.st_size);
	must(read(fd, data, (size_t)st.st_size) == st.st_size);
	close(fd);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
}

int main(int argc, char **argv)
{
	u32 nr = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		must(dir);
		while ((entry = readdir(dir))) {
			if (entry->d_name[0] == '.')
				continue;
			printf("%s\n", entry->d_name);
			fflush(stdout);
			replay(dirfd(dir), entry->d_name);
			nr++;
		}
		closedir(dir);
	}
	/* An empty corpus shows nothing. */
	return !nr;
}
