/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.c - what a running guest says on its control socket
 *
 * The format is a promise: vmm-stat(1), "The control socket".  It grows by members.
 */
#include "vmm/cli/answer.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/cli/control.h"

#define STAT_PROCESSOR	39	/* proc(5), /proc/PID/stat */

uint64_t answer_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The host CPU that a thread of ours is on, or was last; -1 if it has none. */
static int cpu_of(int tid)
{
	char text[1024];
	char path[64];
	char *p;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	/* The second field is the thread's name, which may contain anything. */
	p = strrchr(text, ')');
	for (int field = 2; p && field < STAT_PROCESSOR; field++)
		p = strchr(p + 1, ' ');
	return p ? atoi(p + 1) : -1;
}

static json_t *latencies(const struct vmm_vcpu_stats *stats)
{
	json_t *list = json_array();

	for (size_t i = 0; i < VMM_LATENCY_BUCKETS; i++)
		json_array_append_new(list, json_integer((json_int_t)stats->repin_latency[i]));
	return list;
}

static json_t *describe_vcpu(uint32_t index, const struct vmm_vcpu_stats *stats)
{
	int cpu = stats->tid ? cpu_of(stats->tid) : -1;
	/* Those for a wrong CPU are among the others, and shown apart. */
	uint64_t others = stats->others > stats->wrong_cpu ? stats->others - stats->wrong_cpu : 0;

	return json_pack("{s:i, s:i, s:o, s:s, s:s, s:I, s:{s:I, s:I, s:I, s:I}, s:I, s:o, s:I}",
			 "index", (int)index,
			 "thread", stats->tid,
			 "cpu", cpu < 0 ? json_null() : json_integer(cpu),
			 "placement", stats->cpus,
			 "state", stats->stalled ? "stalled" : "running",
			 "runs", (json_int_t)stats->runs,
			 "exits",
				"mmio", (json_int_t)stats->mmio,
				"kick", (json_int_t)stats->kicks,
				"wrong_cpu", (json_int_t)stats->wrong_cpu,
				"other", (json_int_t)others,
			 "repins", (json_int_t)stats->repins,
			 "repin_latency", latencies(stats),
			 "stalls", (json_int_t)stats->stalls);
}

static json_t *describe(const struct answerer *who)
{
	json_t *vcpus = json_array();
	bool stalled = false;
	const char *state;

	for (uint32_t i = 0; i < who->cpus; i++) {
		struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

		if (vmm_stats(who->vm, i, &stats))
			break;
		stalled |= stats.stalled;
		json_array_append_new(vcpus, describe_vcpu(i, &stats));
	}
	state = stalled ? "stalled" : who->asked ? "stopping" : "running";
	return json_pack("{s:s, s:i, s:s, s:s, s:s*, s:f, s:I, s:o}",
			 "name", who->name,
			 "pid", (int)getpid(),
			 "version", vmm_version(),
			 "state", state,
			 "reason", stalled ? who->stall : NULL,
			 "uptime", (double)(answer_now_ms() - who->booted_ms) / 1000,
			 "boots", (json_int_t)who->boots,
			 "vcpus", vcpus);
}

static json_t *refuse(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

static json_t *answer(const struct answerer *who, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (!json_is_object(request))
		return refuse("the request is not a JSON object");
	if (!command)
		return refuse("the request has no \"command\"");
	if (!strcmp(command, "stat"))
		return describe(who);
	return refuse("the command is not known");
}

char *answer_line(void *arg, const char *line, size_t len)
{
	json_t *request = NULL;
	json_t *reply;
	char *text = NULL;
	char *whole = NULL;

	if (len >= CONTROL_LINE) {
		reply = refuse("the request is too long");
	} else {
		request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
		reply = answer(arg, request);
	}
	if (reply)
		text = json_dumps(reply, JSON_COMPACT);
	if (text && asprintf(&whole, "%s\n", text) < 0)
		whole = NULL;
	free(text);
	json_decref(reply);
	json_decref(request);
	return whole;
}
