/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - the other end of control.h: ask a running guest
 */
#ifndef VMM_CLI_ASK_H
#define VMM_CLI_ASK_H

#include <jansson.h>

#include "vmm.h"

#include "vmm/cli/sockdir.h"

/*
 * Send one request and wait for its answer, not for ever.  -ENOENT or -ECONNREFUSED:
 * there is no such guest; -EAGAIN: it does not answer.  @err says so too.
 */
int ask(const struct sockdir *dir, const char *name, const char *request, json_t **reply,
	struct vmm_error *err);

/* The guests that run: 0 and their names, none too, or a status that was reported. */
int ask_who(struct sockdir *dir, char ***names);

/* What a guest answered, on stdout.  An enum status. */
int ask_print(const json_t *reply);

/* What a failing ask() says of guest @name. */
int ask_explain(const char *name, int ret, struct vmm_error *err);

/*
 * Members of an answer: 0 or "" if they are not there, or of another type.  Control
 * characters of a string are replaced.
 */
json_int_t ask_number(const json_t *object, const char *key);
const char *ask_string(const json_t *object, const char *key);

#endif /* VMM_CLI_ASK_H */
