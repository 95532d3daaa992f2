/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.c - what a running guest says on its control socket
 *
 * The format is a promise: vmm-control(7).  It grows by members.
 */
#include "vmm/cli/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/cli/control.h"
#include "vmm/cli/dump.h"
#include "vmm/cli/vhosts.h"

#define STAT_PROCESSOR	39	/* proc(5), /proc/PID/stat */
#define CTRL_O		0x0f

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

static json_t *describe_vcpu(uint32_t index, const struct vmm_vcpu_stats *stats, bool paused)
{
	int cpu = stats->tid ? cpu_of(stats->tid) : -1;
	/* Those for a wrong CPU are among the others, and shown apart. */
	uint64_t others = stats->others > stats->wrong_cpu ? stats->others - stats->wrong_cpu : 0;

	return json_pack("{s:i, s:i, s:o, s:s, s:s, s:I, s:{s:I, s:I, s:I, s:I}, s:I, s:o, s:I}",
			 "index", (int)index,
			 "thread", stats->tid,
			 "cpu", cpu < 0 ? json_null() : json_integer(cpu),
			 "placement", stats->cpus,
			 "state", stats->stalled ? "stalled" : paused ? "paused" : "running",
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

static const char *state_of(const struct answerer *who)
{
	if (who->paused)
		return "paused";
	return who->asked ? "stopping" : "running";
}

/* ---- The balloon ---------------------------------------------------------------- */

#define BALLOON_WAIT_MS	100

static json_t *describe_balloon(const struct vmm_balloon_stats *stats)
{
	static const char *const names[] = {
		[VMM_BALLOON_SWAP_IN]		= "swap_in",
		[VMM_BALLOON_SWAP_OUT]		= "swap_out",
		[VMM_BALLOON_MAJOR_FAULTS]	= "major_faults",
		[VMM_BALLOON_MINOR_FAULTS]	= "minor_faults",
		[VMM_BALLOON_FREE]		= "free",
		[VMM_BALLOON_TOTAL]		= "total",
		[VMM_BALLOON_AVAILABLE]		= "available",
		[VMM_BALLOON_CACHES]		= "caches",
		[VMM_BALLOON_HUGETLB_ALLOCS]	= "hugetlb_allocs",
		[VMM_BALLOON_HUGETLB_FAILURES]	= "hugetlb_failures",
	};
	json_t *guest = json_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (stats->known & 1u << i)
			json_object_set_new(guest, names[i],
					    json_integer((json_int_t)stats->guest[i]));
	return json_pack("{s:I, s:I, s:I, s:o}",
			 "size", (json_int_t)stats->target,
			 "actual", (json_int_t)stats->actual,
			 "reported", (json_int_t)stats->reported,
			 "guest", guest);
}

/*
 * What the guest told last, and it is given some time to tell anew; one that has never
 * told anything, or cannot now, is not waited for.  NULL: there is no balloon.
 */
static json_t *balloon_now(const struct answerer *who)
{
	const struct timespec a_moment = { .tv_nsec = 5000000 };
	struct vmm_balloon_stats stats = VMM_BALLOON_STATS_INIT;
	uint64_t before;

	if (vmm_balloon_stats(who->vm, &stats))
		return NULL;
	before = stats.updates;
	for (int ms = 0; before && !who->paused && stats.updates == before && ms < BALLOON_WAIT_MS;
	     ms += 5) {
		nanosleep(&a_moment, NULL);
		if (vmm_balloon_stats(who->vm, &stats))
			return NULL;
	}
	return describe_balloon(&stats);
}

/* ---- Who serves devices ----------------------------------------------------------- */

/* NULL: nobody does. */
static json_t *describe_backends(const struct vhosts *v)
{
	json_t *list = v && v->nr ? json_array() : NULL;

	for (uint32_t i = 0; list && i < v->nr; i++) {
		const struct vhost *one = &v->list[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:i}",
						      "option", one->option,
						      "socket", one->path,
						      "connected", vhost_is_there(one),
						      "reconnect", (int)one->reconnect));
	}
	return list;
}

/* NULL: there is no network card. */
static json_t *describe_networks(const struct answerer *who)
{
	json_t *list = who->nets ? json_array() : NULL;

	for (uint32_t i = 0; list && i < who->nets; i++) {
		struct vmm_net_stats stats = VMM_NET_STATS_INIT;
		bool known = !vmm_net_stats(who->vm, who->first_net + i, &stats);

		json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "card", (int)i,
			"rx_dropped", known ? json_integer((json_int_t)stats.rx_dropped) : json_null(),
			"tx_dropped", known ? json_integer((json_int_t)stats.tx_dropped) : json_null()));
	}
	return list;
}

static json_t *describe(const struct answerer *who)
{
	json_t *vcpus = json_array();
	bool stalled = false;

	for (uint32_t i = 0; i < who->cpus; i++) {
		struct vmm_vcpu_stats stats = VMM_VCPU_STATS_INIT;

		if (vmm_stats(who->vm, i, &stats))
			break;
		stalled |= stats.stalled;
		json_array_append_new(vcpus, describe_vcpu(i, &stats, who->paused));
	}
	return json_pack("{s:s, s:i, s:s, s:s, s:s*, s:f, s:I, s:o, s:o*, s:o*, s:o*}",
			 "name", who->name,
			 "pid", (int)getpid(),
			 "version", vmm_version(),
			 "state", stalled ? "stalled" : state_of(who),
			 "reason", stalled ? who->stall : NULL,
			 "uptime", (double)(answer_now_ms() - who->booted_ms) / 1000,
			 "boots", (json_int_t)who->boots,
			 "vcpus", vcpus,
			 "balloon", balloon_now(who),
			 "networks", describe_networks(who),
			 "backends", describe_backends(who->vhosts));
}

/* ---- News ----------------------------------------------------------------------- */

static json_int_t wall_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (json_int_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A line of JSON, to be freed; NULL: no memory.  Takes @object. */
static char *to_line(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	char *whole = NULL;

	if (text && asprintf(&whole, "%s\n", text) < 0)
		whole = NULL;
	free(text);
	json_decref(object);
	return whole;
}

static void add_number(json_t *object, const char *key, int64_t number)
{
	if (number >= 0)
		json_object_set_new(object, key, json_integer((json_int_t)number));
}

void answer_tell(const struct answerer *who, const struct news *news)
{
	json_t *object = json_pack("{s:s, s:I, s:s*, s:s*}",
				   "event", news->event,
				   "time", wall_clock_ms(),
				   "reason", news->reason,
				   "message", news->message);
	char *line;

	add_number(object, "vcpu", news->vcpu);
	add_number(object, "boots", news->boots);
	add_number(object, "status", news->status);
	line = to_line(object);
	if (line && who->control)
		control_tell(who->control, line);
	free(line);
}

/* ---- Requests --------------------------------------------------------------------- */

static json_t *refuse(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

static json_t *tell_state(const struct answerer *who)
{
	return json_pack("{s:s, s:s}", "name", who->name, "state", state_of(who));
}

static void tell_event(const struct answerer *who, const char *event)
{
	const struct news news = NEWS(event);

	answer_tell(who, &news);
}

static json_t *pause_guest(struct answerer *who)
{
	if (!who->paused && vmm_pause(who->vm))
		return refuse("the guest has stopped");
	if (!who->paused)
		tell_event(who, "paused");
	who->paused = true;
	return tell_state(who);
}

static int go_on(struct answerer *who)
{
	if (!who->paused)
		return 0;
	if (vmm_resume(who->vm))
		return -EBUSY;
	who->paused = false;
	tell_event(who, "resumed");
	return 0;
}

static json_t *resume_guest(struct answerer *who)
{
	return go_on(who) ? refuse("the guest has stopped") : tell_state(who);
}

static json_t *reset(struct answerer *who)
{
	who->reset = true;
	who->asked = false;
	vmm_stop(who->vm);
	return tell_state(who);
}

/* Of a guest that runs: what was in its vCPUs in between. */
static json_t *dump(struct answerer *who)
{
	bool pause = !who->paused;
	json_t *vcpus;
	int ret;

	if (pause && vmm_pause(who->vm))
		return refuse("the guest has stopped");
	vcpus = dump_vcpus(who->vm, who->cpus);
	/* It fails if it is being stopped meanwhile, by itself too. */
	ret = pause ? vmm_resume(who->vm) : 0;
	return json_pack("{s:s, s:s, s:o}", "name", who->name, "state",
			 ret ? "stopping" : state_of(who), "vcpus", vcpus);
}

/* As Linux has it: by a break on a UART, and by Ctrl-O on hvc0. */
static int press_sysrq(const struct answerer *who, char key)
{
	const char text[] = { CTRL_O, key, '\0' };

	return who->hvc ? vmm_hvc_type(who->vm, text) : vmm_console_break(who->vm, 0, text + 1);
}

static json_t *sysrq(const struct answerer *who, const json_t *request)
{
	const char *key = json_string_value(json_object_get(request, "key"));

	if (!key || strlen(key) != 1)
		return refuse("the \"key\" is not one character");
	switch (press_sysrq(who, *key)) {
	case 0:
		return tell_state(who);
	case -EAGAIN:
		return refuse(who->hvc ? "the guest does not read hvc0" :
			      "the guest does not read its serial port");
	}
	return refuse("the guest has stopped");
}

/* Look how long the files of the disks are now. */
static json_t *resize(const struct answerer *who)
{
	json_t *sizes = json_array();
	struct vmm_error err;
	uint64_t size;

	for (uint32_t i = 0; i < who->disks; i++) {
		if (vmm_disk_resize(who->vm, i, &size, &err)) {
			json_decref(sizes);
			return refuse(err.msg);
		}
		json_array_append_new(sizes, json_integer((json_int_t)size));
	}
	return json_pack("{s:s, s:s, s:o}", "name", who->name, "state", state_of(who), "disks",
			 sizes);
}

/* Take out the cable of network card "card", or of all of them, or put it in. */
static json_t *set_link(struct answerer *who, const json_t *request)
{
	const json_t *card = json_object_get(request, "card");
	const json_t *up = json_object_get(request, "up");
	json_int_t first = card ? json_integer_value(card) : 0;
	json_int_t end;

	if (!json_is_boolean(up))
		return refuse("\"up\" is not true or false");
	if (!who->nets)
		return refuse("the guest has no network card");
	if (card && (!json_is_integer(card) || first < 0 || first >= who->nets))
		return refuse("the guest has no such network card");
	end = card ? first + 1 : who->nets;
	for (json_int_t i = first; i < end; i++) {
		if (vmm_net_link(who->vm, who->first_net + (uint32_t)i, json_is_true(up)))
			return refuse("the guest has stopped");
		who->unplugged &= ~(1u << i);
		who->unplugged |= json_is_true(up) ? 0 : 1u << i;
	}
	return tell_state(who);
}

/* A number of bytes that may be left out: 0, or -EINVAL. */
static int take_bytes(const json_t *request, const char *key, uint64_t *bytes)
{
	const json_t *member = json_object_get(request, key);

	*bytes = 0;
	if (!member)
		return 0;
	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return -EINVAL;
	*bytes = (uint64_t)json_integer_value(member);
	return 0;
}

/* Set to "size", if that is there, then made larger or smaller, but not less than empty. */
static int resize_balloon(struct answerer *who, const json_t *request)
{
	struct vmm_balloon_stats stats = VMM_BALLOON_STATS_INIT;
	uint64_t size;
	uint64_t more;
	uint64_t less;
	int ret = vmm_balloon_stats(who->vm, &stats);

	if (!ret)
		ret = take_bytes(request, "size", &size);
	if (!ret)
		ret = take_bytes(request, "inflate", &more);
	if (!ret)
		ret = take_bytes(request, "deflate", &less);
	if (ret)
		return ret;
	if (!json_object_get(request, "size"))
		size = stats.target;
	if (__builtin_add_overflow(size, more, &size))
		return -EINVAL;
	size -= less < size ? less : size;
	ret = size == stats.target ? 0 : vmm_balloon_set(who->vm, size);
	if (!ret) {
		who->resized = true;
		who->balloon = size;
	}
	return ret;
}

static json_t *balloon(struct answerer *who, const json_t *request)
{
	json_t *now;

	switch (resize_balloon(who, request)) {
	case 0:
		break;
	case -ENOENT:
		return refuse("the guest has no balloon");
	case -EINVAL:
		return refuse("that is no size, or more than the guest has");
	default:
		return refuse("the guest has stopped");
	}
	now = balloon_now(who);
	if (!now)
		return refuse("the guest has stopped");
	return json_pack("{s:s, s:s, s:o}", "name", who->name, "state", state_of(who),
			 "balloon", now);
}

/* Of who has attached to the virtio-console. */
static json_t *set_terminal(struct answerer *who, const json_t *request)
{
	json_int_t cols = json_integer_value(json_object_get(request, "cols"));
	json_int_t rows = json_integer_value(json_object_get(request, "rows"));

	if (cols < 1 || rows < 1 || cols > UINT16_MAX || rows > UINT16_MAX)
		return refuse("\"cols\" and \"rows\" are not from 1 to 65535");
	switch (vmm_hvc_resize(who->vm, (uint32_t)cols, (uint32_t)rows)) {
	case 0:
		who->cols = (uint32_t)cols;
		who->rows = (uint32_t)rows;
		return tell_state(who);
	case -ENOENT:
		return refuse("the guest has no virtio-console");
	}
	return refuse("the guest has stopped");
}

/* Fails for a guest that has stopped already, to which it no longer matters. */
void answer_remind(const struct answerer *who)
{
	int ret = who->resized ? vmm_balloon_set(who->vm, who->balloon) : 0;

	if (!ret && who->cols)
		ret = vmm_hvc_resize(who->vm, who->cols, who->rows);
	for (uint32_t i = 0; i < who->nets && !ret; i++)
		if (who->unplugged & 1u << i)
			ret = vmm_net_link(who->vm, who->first_net + i, 0);
}

int answer_power_off(struct answerer *who)
{
	int ret = go_on(who);

	if (!ret)
		ret = vmm_shutdown(who->vm);
	if (!who->asked)
		tell_event(who, "stopping");
	who->asked = true;
	if (ret)
		vmm_stop(who->vm);
	return ret;
}

static json_t *stop(struct answerer *who, const json_t *request)
{
	if (json_is_true(json_object_get(request, "force"))) {
		who->asked = true;
		who->reset = false;
		vmm_stop(who->vm);
	} else {
		answer_power_off(who);
	}
	return tell_state(who);
}

/* What tells it from the others: a number, or a name. */
static json_t *console(const struct answerer *who, int i)
{
	const struct answer_console *c = &who->consoles[i];
	json_t *obj = json_pack("{s:s, s:s}", "kind", c->kind, "path", c->path);

	if (i > ANSWER_HVC)
		json_object_set_new(obj, "name", json_stringn(c->name, (size_t)c->name_len));
	else
		json_object_set_new(obj, i == ANSWER_HVC ? "hvc" : "port",
				    json_integer(i == ANSWER_HVC ? 0 : i));
	return obj;
}

static json_t *consoles(const struct answerer *who)
{
	json_t *list = json_array();

	for (int i = 0; i < ANSWER_CONSOLES; i++)
		if (who->consoles[i].kind)
			json_array_append_new(list, console(who, i));
	return json_pack("{s:s, s:s, s:o}", "name", who->name, "state", state_of(who), "consoles",
			 list);
}

static json_t *answer(struct answerer *who, const json_t *request, bool *follows)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (!json_is_object(request))
		return refuse("the request is not a JSON object");
	if (!command)
		return refuse("the request has no \"command\"");
	if (!strcmp(command, "stat"))
		return describe(who);
	if (!strcmp(command, "stop"))
		return stop(who, request);
	if (!strcmp(command, "pause"))
		return pause_guest(who);
	if (!strcmp(command, "resume"))
		return resume_guest(who);
	if (!strcmp(command, "reset"))
		return reset(who);
	if (!strcmp(command, "dump"))
		return dump(who);
	if (!strcmp(command, "sysrq"))
		return sysrq(who, request);
	if (!strcmp(command, "resize"))
		return resize(who);
	if (!strcmp(command, "console"))
		return consoles(who);
	if (!strcmp(command, "link"))
		return set_link(who, request);
	if (!strcmp(command, "balloon"))
		return balloon(who, request);
	if (!strcmp(command, "terminal"))
		return set_terminal(who, request);
	if (!strcmp(command, "events")) {
		*follows = true;
		return tell_state(who);
	}
	return refuse("the command is not known");
}

char *answer_line(void *arg, const char *line, size_t len, bool *follows)
{
	json_t *request;
	json_t *reply;

	if (len >= CONTROL_LINE)
		return to_line(refuse("the request is too long"));
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	reply = answer(arg, request, follows);
	json_decref(request);
	return to_line(reply);
}
