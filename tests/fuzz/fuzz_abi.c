/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_abi.c - a description of a kernel's SPE, vmm-spe-abi(5), is refused, or comes
 * back the same when it is written and read again
 */
#include <errno.h>

#include "spe/abi.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = input_string(&in);
	struct vmm_error err = { "" };
	struct spe_abi again;
	struct spe_abi abi;
	char buf[ABI_TEXT];
	int ret;

	memset(&abi, 0, sizeof(abi));
	memset(&again, 0, sizeof(again));
	ret = abi_parse(&abi, text, &err);
	must(!ret || ret == -EINVAL);
	must(!ret || err.msg[0]);
	if (!ret) {
		must(memchr(abi.name, 0, sizeof(abi.name)));
		abi_format(&abi, buf, sizeof(buf));
		must(!abi_parse(&again, buf, &err));
		must(!strcmp(abi.name, again.name));
		/* Behind the name's end may be anything. */
		memcpy(again.name, abi.name, sizeof(abi.name));
		must(!memcmp(&abi, &again, sizeof(abi)));
	}
	free(text);
	return 0;
}
